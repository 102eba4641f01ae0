"""Words that are loaded piece by piece: which are found, and that one load for all does what the pieces do."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llvmlite import binding as llvm

from polyvm.engine import compile as compiler
from polyvm.engine.layout import COUNTED, PRECISE, WHOLE
from polyvm.engine.liveness import analyse
from polyvm.engine.region import RegionEmitter
from polyvm.engine.words import Word, find
from tests.engine.assembly import ISA, Program
from tests.engine.guest import DATA, DATA_SIZE
from tests.engine.pair import Pair

WORD = """
    loop: lbu t1, 1(a0)
          lbu t0, 0(a0)
          slli t1, t1, 8
          or t1, t1, t0
          lbu t2, 2(a0)
          slli t2, t2, 16
          or t1, t1, t2
          lbu t3, 3(a0)
          slli t3, t3, 24
          or a3, t1, t3
          ecall
"""


def found(program: Program) -> dict[int, Word]:
    """The words of a program's block."""
    region = program.region("loop")
    return find(ISA, region.blocks[program["loop"]], analyse(ISA, region).effects)


def words(text: str) -> list[tuple[int, int, list[tuple[str, int]]]]:
    """(low, size, [(label of a load or its number in the block, place)]) of each word of a program's block."""
    program = Program(text)
    block = program.region("loop").blocks[program["loop"]]
    numbers = {placed.pc: number for number, placed in enumerate(block.insns)}
    once = {id(word): word for word in found(program).values()}
    return [
        (word.low, word.size, [(str(numbers[placed.pc]), place) for placed, place in word.pieces])
        for word in once.values()
    ]


# ------------------------------------------------------------------------------------------- which they are
def test_four_bytes_make_a_word() -> None:
    assert words(WORD) == [(0, 4, [("0", 1), ("1", 0), ("4", 2), ("7", 3)])]


def test_two_words_through_two_registers() -> None:
    second = WORD.replace("loop:", "").replace("(a0)", "(a1)").replace("a3,", "a4,")
    assert [(low, size) for low, size, _ in words(WORD.replace("ecall", "") + second)] == [(0, 4), (0, 4)]


def test_what_is_loaded_meanwhile() -> None:
    """Where it may be one of the bytes, they are looked at in order."""
    program = Program(WORD.replace("lbu t2, 2(a0)", "ld t4, -8(a1)\n lhu t5, 2(a1)\n lbu t2, 2(a0)"))
    word = found(program)[program["loop"]]
    assert word.between == ((("x", 11), -8, 4),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lbu t2, 2(a0)", "sb zero, 0(a2)\n lbu t2, 2(a0)"),  # it might be stored to one of the pieces
        ("lbu t2, 2(a0)", "fence\n lbu t2, 2(a0)"),
        ("lbu t2, 2(a0)", "addi a0, a0, 1\n lbu t2, 1(a0)"),  # another base
        ("lbu t2, 2(a0)", "lbu t2, 4(a0)"),  # a byte is missing
        ("slli t3, t3, 24", "sb t3, 0(a2)"),  # its last piece goes elsewhere: of three there is no word
        ("lbu t3, 3(a0)", "lhu t3, 3(a0)"),
        ("lbu t2, 2(a0)", "lbu t4, 3(a0)\n lbu t2, 2(a0)"),  # one of the bytes twice, and these are in order
        ("lbu t2, 2(a0)", "ld a4, 0(a2)\n lbu a5, 0(a4)\n lbu t2, 2(a0)"),  # one of the bytes, perhaps
    ],
)
def test_what_is_no_word(old: str, new: str) -> None:
    assert old in WORD
    assert words(WORD.replace(old, new)) == []


def test_a_precise_region_loads_the_pieces() -> None:
    """There each access has its own state to show."""
    region = Program(WORD).region("loop")
    # One of them is the look at the stop flag when a region is entered.
    counts = [
        RegionEmitter(ISA, region, kind=kind).text("unit").count("load volatile i32")
        for kind in ("", PRECISE)
    ]
    assert counts == [2, 1]


def test_llvm_makes_one_value_of_it() -> None:
    """On the usual way there is neither a shift nor an or left."""
    cleared = "".join(f"addi t{number}, zero, 0\n" for number in range(4))
    text = RegionEmitter(ISA, Program(WORD.replace("ecall", cleared + "ecall")).region("loop")).text("unit")
    machine = compiler.target_machine(2)
    with compiler.optimised(machine, text, 2, loops=False, straight=False) as module:
        made = str(module)
    assert isinstance(llvm.get_host_cpu_name(), str)
    after = made[made.rindex("phi i32") :]
    assert " shl " not in after
    assert " or " not in after


# ------------------------------------------------------------------------------------------- the same as golden
TEMPORARY = [
    "t0",
    "t1",
    "t2",
    "t3",
    "t4",
    "t5",
    "t6",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "s8",
    "s9",
    "s10",
    "s11",
]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Words loaded in pieces, in any order, put together in any way; stores among them; a piece missing or wrong."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    lines: list[str] = []
    for result in ("a3", "a4", "a5")[: rng.randint(1, 3)]:
        base, size, piece = rng.choice(["a0", "a1"]), rng.choice([4, 8]), rng.choice([1, 1, 1, 2])
        low = rng.randint(-12, 12)
        kind = {1: ("lbu", "lb"), 2: ("lhu", "lh")}[piece]
        places = list(range(0, size, piece))
        if not rng.randrange(4):
            places.remove(rng.choice(places))
        rng.shuffle(places) if rng.randrange(3) else None
        loads, joins = [], []
        big = rng.randrange(2)
        for number, place in enumerate(places):
            register = TEMPORARY[number]
            load = kind[0] if place + piece < size or rng.randrange(2) else kind[1]
            loads.append(f"{load} {register}, {low + place}({base})")
            amount = 8 * (size - piece - place if big else place)
            if amount:
                joins.append(f"slli {register}, {register}, {amount}")
            joins.append(f"or {result}, {result}, {register}" if number else f"addi {result}, {register}, 0")
            if not rng.randrange(12):
                joins.append(
                    f"{rng.choice(['sb', 'sd'])} {register}, {rng.randint(-8, 8)}({rng.choice(['a0', 'a2'])})"
                )
            if rng.randrange(2):
                loads += joins
                joins = []
        lines += [*loads, *joins]
        if rng.randrange(2):
            lines.append(f"sd {result}, {rng.randint(0, 16)}(a2)")
        if not rng.randrange(4):
            lines.append(f"addi {base}, {base}, {rng.randint(-3, 3)}")
    return "loop: " + "\n".join([*lines, "ecall"])


# Where two pages meet, where the data begin and end, and where there is nothing.
PLACES = [DATA + 0x1000, DATA + 0x2000, DATA, DATA + DATA_SIZE, 0, (1 << 32), (1 << 64) - 8, 1 << 46]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["", WHOLE, COUNTED])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_words_made_at_random(kind: str, cold_cache: Path, data: st.DataObject) -> None:
    pair = Pair(Program(data.draw(programs())), cold_cache, kind)
    try:
        for _ in range(8):
            at = [
                (data.draw(st.sampled_from(PLACES)) + data.draw(st.integers(-12, 12))) % 2**64
                for _ in range(2)
            ]
            ends = pair.run(a0=at[0], a1=at[1], a2=data.draw(st.sampled_from([DATA + 0xFF8, DATA + 0x800])))
            assert ends[0] == ends[1]
            golden, fast = pair.golden.cpu, pair.fast.cpu
            if ends[0] == "FAULT":
                assert (fast.pc, fast.value, fast.access) == (golden.pc, golden.value, golden.access)
                assert pair.seen(pair.fast)[2] == pair.seen(pair.golden)[2]
                # What is left in registers nobody can see; from here on they are the same again.
                for number in range(32):
                    fast.x[number] = golden.x[number]
            else:
                assert pair.seen(pair.fast) == pair.seen(pair.golden)
    finally:
        pair.close()


def test_a_fault_is_that_of_the_first_piece(pairs: Callable[..., Pair]) -> None:
    pair = pairs(Program(WORD))
    program = pair.fast.program
    for base, number, address in (
        (DATA - 1, 1, DATA - 1),  # 1(a0) is there, 0(a0) is not
        (DATA - 4, 0, DATA - 3),
        (DATA + DATA_SIZE, 0, DATA + DATA_SIZE + 1),
        (DATA + DATA_SIZE - 2, 4, DATA + DATA_SIZE),
    ):
        assert pair.run(a0=base) == ("FAULT", "FAULT")
        block = program.region("loop").blocks[program["loop"]]
        for guest in (pair.golden, pair.fast):
            assert (guest.cpu.pc, guest.cpu.value) == (block.insns[number].pc, address)
    assert pair.run(a0=DATA + 0xFFE) == ("SYSCALL", "SYSCALL")
    assert pair.seen(pair.fast) == pair.seen(pair.golden)
