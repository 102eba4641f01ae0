"""Which registers may stay as the host computed them: what a block is promised is true however it is reached."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from polyvm.engine.discover import Placed, Region, Slot
from polyvm.engine.looseness import (
    BOX,
    EXACT,
    Looseness,
    _follow,
    copied,
    loose_on_entry,
    number_bits,
    result_bits,
)
from polyvm.ir.values import Val
from tests.engine.assembly import ISA, START, Program, odd_guest, placed
from tests.engine.walks import Hart, random_code, random_region, walk

QUIET = {64: 0x7FF8 << 48, 32: 0x7FC0_0000}
"""The canonical NaN of each width."""


def f(**bits: int) -> dict[Slot, int]:
    """Registers by their ABI names."""
    names = ISA.files["f"].names
    return {("f", names.index(name)): width for name, width in bits.items()}


def loose(code: Program, entries: tuple[str, ...] = ()) -> Looseness:
    return loose_on_entry(ISA, code.region(entries=entries))


# ------------------------------------------------------------------------------------------- values
def new_value(item: Placed) -> Val:
    """What an instruction writes to its register."""
    return next(op for op in item.trace.ops if op.op in ("set", "setx") and op.attr in ISA.files).args[-1]


DOUBLE = (
    "fadd.d fa0, fa1, fa2",
    "fmadd.d fa0, fa1, fa2, fa3",
    "fsqrt.d fa0, fa1",
    "fcvt.d.w fa0, a0",
    "fcvt.d.s fa0, fa1",
)
SINGLE = ("fadd.s fa0, fa1, fa2", "fcvt.s.d fa0, fa1", "fdiv.s fa0, fa1, fa2", "fcvt.s.lu fa0, a0")
# Bits from memory, from a whole register, or with a sign of their own choice; halves are never loose.
OTHER = (
    "fld fa0, 0(a0)",
    "flw fa0, 0(a0)",
    "fmv.d.x fa0, a0",
    "fmv.w.x fa0, a0",
    "fadd.h fa0, fa1, fa2",
    "fsgnjn.d fa0, fa1, fa1",
    "fsgnjx.d fa0, fa1, fa2",
    "fmin.d fa0, fa1, fa2",
    "add a0, a1, a2",
)


def test_what_counts_as_a_result() -> None:
    for bits, texts in ((64, DOUBLE), (32, SINGLE), (EXACT, OTHER)):
        for text in texts:
            assert result_bits(new_value(placed(text))) == bits, text


def test_numbers_among_constants() -> None:
    assert [number_bits(p) for p in (0, 1 << 63, 0x3FF0 << 48, 0x7FF0 << 48, 0xFFF0 << 48)] == [64] * 5
    assert number_bits((0x7FF0 << 48) + 1) == EXACT
    assert number_bits(QUIET[64]) == EXACT
    assert number_bits(BOX | 0x3F80_0000) == number_bits(BOX | 0xFF80_0000) == 32
    assert number_bits(BOX | 0xFF80_0001) == number_bits(BOX | QUIET[32]) == EXACT


def test_a_sign_injection_of_a_register_with_itself_copies_it() -> None:
    value = new_value(placed("fsgnj.d fa0, fa1, fa1"))
    assert copied(value) in {op for arg in value.args for op in arg.args}
    assert copied(new_value(placed("fsgnjn.d fa0, fa1, fa1"))) is None
    assert copied(new_value(placed("or a0, a1, a2"))) is None
    # Halves that leave a bit out, or have one twice, are no copy.
    tracer = value.tracer
    for low, high, whole in ((0x7F, 0x80, True), (0x7F, 0xC0, False), (0x3F, 0x80, False)):
        register = Val(tracer, "get", 8, (), ("r", 1))
        halves = [Val(tracer, "and", 8, (register, Val(tracer, "const", 8, (), n))) for n in (low, high)]
        assert (copied(Val(tracer, "or", 8, tuple(halves))) is register) == whole


# ------------------------------------------------------------------------------------------- small programs
def test_what_a_loop_computes_is_loose_round_the_loop() -> None:
    code = Program("""
        start: fcvt.d.w fa0, zero
        loop:  fadd.d fa0, fa0, fa1
               c.addi a0, -1
               bne a0, zero, loop
        after: fsd fa0, 0(a1)
               c.jr ra
    """)
    found = loose(code)
    assert found.blocks == {START: {}, code["loop"]: f(fa0=64), code["after"]: f(fa0=64)}
    assert found.guarded == {}


def test_single_precision_is_loose_at_its_own_width() -> None:
    code = Program("start: fcvt.s.w fa0, zero\n loop: fadd.s fa0, fa0, fa1\n bne a0, zero, loop\n c.jr ra")
    assert loose(code).blocks[code["loop"]] == f(fa0=32)


def test_two_widths_that_meet_are_exact() -> None:
    code = Program("""
        start: c.beqz a0, other
               fadd.d fa0, fa1, fa2
               c.j next
        other: fadd.s fa0, fa1, fa2
        next:  fsd fa0, 0(a1)
               c.jr ra
    """)
    assert loose(code).blocks[code["next"]] == {}


@pytest.mark.parametrize("write", ["fld fa0, 0(a1)", "fmv.d.x fa0, a1", "fsgnjn.d fa0, fa0, fa0"])
def test_something_else_on_one_way_makes_it_exact(write: str) -> None:
    code = Program(f"""
        start: c.beqz a0, other
               fadd.d fa0, fa1, fa2
               c.j next
        other: {write}
        next:  c.nop
               bne a0, a1, start
               c.jr ra
    """)
    found = loose(code)
    assert found.blocks[code["next"]] == {}
    # At the head of the loop it is looked at where the region is entered, and exact when the loop comes round.
    assert found.blocks[START] == {}


def test_a_loop_entered_from_outside_looks_at_what_comes_in() -> None:
    """What a block is promised at an entry, the entry makes sure of."""
    code = Program("loop: fadd.d fa0, fa0, fa1\n bne a0, zero, loop\n after: c.jr ra")
    found = loose(code)
    assert found.at_entry(START) == f(fa0=64)
    assert found.blocks[code["after"]] == f(fa0=64)


def test_a_constant_of_the_region_that_is_copied_is_guarded() -> None:
    code = Program("""
        start: fcvt.d.w fa0, zero
        loop:  fsgnj.d fa3, fa1, fa1
               fadd.d fa0, fa0, fa3
               fadd.d fa3, fa3, fa0
               bne a0, zero, loop
               c.jr ra
    """)
    found = loose(code)
    assert found.guarded == f(fa1=64)
    assert found.at_entry(START) == f(fa1=64)
    # A copy of a register that nobody computes with stays what it is.
    moved = Program("start: fsgnj.d fa3, fa1, fa1\n fsd fa3, 0(a0)\n bne a0, zero, start\n c.jr ra")
    assert loose(moved).guarded == {}


def test_a_copy_of_a_loose_register_is_loose() -> None:
    code = Program("""
        start: fadd.d fa0, fa1, fa2
               fsgnj.d fa3, fa0, fa0
               fsgnj.d fa4, fa0, fa1
               c.j next
        next:  c.jr ra
    """)
    assert loose(code).blocks[code["next"]] == f(fa0=64, fa3=64)


def test_zero_is_a_number() -> None:
    code = Program("start: fmv.d.x fa0, zero\n loop: fadd.d fa0, fa0, fa1\n bne a0, zero, loop\n c.jr ra")
    assert loose(code).blocks[code["loop"]] == f(fa0=64)


def test_what_is_written_on_one_way_only_is_exact() -> None:
    found = {("r", 2): 64}
    _follow(isa := odd_guest(), placed("maybe two, one", isa=isa), found)
    assert found == {("r", 2): EXACT}


# ------------------------------------------------------------------------------------------- anything at all
def fits(value: int, bits: int) -> bool:
    """Whether a register has a number of a width in it, or its canonical NaN."""
    if bits == 32 and value < BOX:
        return False
    pattern = value if bits == 64 else value & 0xFFFF_FFFF
    infinity = 0x7FF0 << 48 if bits == 64 else 0x7F80_0000
    return pattern & ~(1 << bits - 1) <= infinity or pattern == QUIET[bits]


def test_what_is_promised_to_a_block_is_true(seed: int, full: bool, report: Callable[[str], None]) -> None:
    promises = guards = 0
    for number in range(4000 if full else 500):
        rng = random.Random(f"{seed} {number} loose")
        region = random_region(rng, random_code(rng, floats=True))
        assert isinstance(region, Region)
        found = loose_on_entry(ISA, region)
        for entry in region.entries:
            hart = Hart(rng)
            for slot, bits in found.at_entry(entry).items():
                guards += 1
                while not fits(hart.state.read(slot), bits):
                    hart.state.write(slot, rng.getrandbits(64) | (BOX if bits == 32 else 0))
            for step in walk(hart, region, entry, 80):
                if step.first:
                    for slot, bits in (found.guarded | found.blocks[step.block.start]).items():
                        promises += 1
                        assert fits(hart.state.read(slot), bits), (hex(step.block.start), slot, bits)
    assert promises
    assert guards
    report(f"loose registers: {promises} promises at block entries, {guards} looked at by entries")
