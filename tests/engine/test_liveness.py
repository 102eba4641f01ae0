"""What is known of registers across a region: dirty, live, compared with the limit; the golden evaluator judges it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from polyvm.engine.discover import Block, Flow, Placed, Region, Slot
from polyvm.engine.liveness import (
    GUARD,
    Checked,
    accesses,
    affine,
    analyse,
    base_of,
    effects,
    is_zero,
    leaves_region,
    may_trap,
)
from polyvm.ir import golden
from polyvm.ir.ops import ACCESSES, FP_FLAGS, FP_MODE
from polyvm.ir.values import Val
from tests.engine.assembly import ISA, START, SUM, Program, odd_guest, placed
from tests.engine.walks import MASK, Hart, Memory, random_code, random_region, walk
from tests.isa.riscv64.floats import register as float_value
from tests.isa.riscv64.machine import State, random_fields, random_value


def x(*numbers: int) -> set[Slot]:
    return {("x", number) for number in numbers}


# ------------------------------------------------------------------------------------------- one instruction
class Watched(State):
    """Registers that note who looks at them."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        for number in range(32):
            self.slots["x", number] = random_value(rng)
            self.slots["f", number] = float_value(rng)
        self.reads: set[Slot] = set()
        self.writes: set[Slot] = set()

    def read(self, slot: Slot) -> int:
        self.reads.add(slot)
        return super().read(slot)

    def write(self, slot: Slot, value: int) -> None:
        self.writes.add(slot)
        super().write(slot, value)


def test_every_instruction_reads_and_writes_what_its_effects_say(
    rng: random.Random, report: Callable[[str], None]
) -> None:
    count = 0
    for insn in ISA.insns:
        for shape in insn.shapes():
            for _ in range(3):
                decoded = ISA.decode(insn.encode(random_fields(insn, shape, rng)))
                if decoded is None:
                    continue
                item = Placed(START, decoded, ISA.trace(decoded.insn, decoded.shape))
                state = Watched(rng)
                done = True
                try:
                    golden.execute(item.trace, decoded.fields, START, state, Memory(0))
                except golden.Flush:
                    pass
                except (golden.Trap, golden.Syscall):
                    done = False
                found = effects(ISA, item)
                hidden = {FP_FLAGS, FP_MODE} | {s for s in found.reads if is_zero(ISA, s)}
                assert state.reads - hidden <= found.reads, decoded
                assert state.writes - hidden <= found.writes, decoded
                assert found.surely <= found.writes
                if done:
                    assert found.surely <= state.writes, decoded
                assert not {FP_FLAGS, FP_MODE, ("x", 0)} & (found.reads | found.writes)
                count += 1
    report(f"effects: {count} instruction words")


def test_effects_leave_nothing_in_that_is_not_there() -> None:
    add = effects(ISA, placed("add a0, zero, a1"))
    assert (add.reads, add.writes, add.surely) == (x(11), x(10), x(10))
    nothing = effects(ISA, placed("addi zero, a1, 5"))
    assert (nothing.reads, nothing.writes) == (x(11), set())
    store = effects(ISA, placed("sd a0, 8(sp)"))
    assert (store.reads, store.writes) == (x(10, 2), set())


def test_what_is_written_on_one_way_only_is_not_surely_written() -> None:
    isa = odd_guest()
    found = effects(isa, placed("maybe two, one", isa=isa))
    assert (found.reads, found.writes, found.surely) == ({("r", 1)}, {("r", 2)}, set())
    assert effects(isa, placed("surely two", isa=isa)).surely == {("r", 2)}
    # So its old value is live before it, and it is no copy of anything that was compared.
    flow = Flow(dynamic=True)
    blocks = {
        0: Block(0, [placed("maybe two, one", 0, isa)], Flow(), [2]),
        2: Block(2, [placed("surely two", 2, isa), placed("surely three", 4, isa)], flow),
    }
    live = analyse(isa, Region(0, [0], blocks, {})).live
    assert live[2] == frozenset({("r", 1)})
    blocks[2] = Block(2, [placed("surely three", 2, isa)], flow)
    assert analyse(isa, Region(0, [0], blocks, {})).live[0] == frozenset({("r", 1), ("r", 2)})
    state = Checked(isa, {("r", 2): 0})
    state.walk(placed("maybe two, one", isa=isa))
    assert state.known == {}


def test_which_instructions_may_trap() -> None:
    assert not may_trap(placed("add a0, a0, a1"), True)
    assert may_trap(placed("amoadd.d a0, a1, (a2)"), False)  # misaligned
    # A rounding mode that does not exist: only where it need not be to nearest.
    assert may_trap(placed("fadd.d fa0, fa0, fa1"), True)
    assert not may_trap(placed("fadd.d fa0, fa0, fa1"), False)
    assert not may_trap(placed("fadd.d fa0, fa0, fa1, rtz"), True)


def test_which_instructions_access_memory_whatever_happens() -> None:
    for text in ("ld a0, 0(a1)", "c.sd a0, 0(a1)", "amoadd.w a0, a1, (a2)", "lr.d a0, (a1)"):
        assert accesses(placed(text)), text
    for text in ("add a0, a0, a1", "fence rw, rw", "jalr ra, 0(a0)"):
        assert not accesses(placed(text)), text


def test_a_difference_is_a_distance_too() -> None:
    isa = odd_guest()
    item = placed("surely two", isa=isa)
    tracer = item.trace.ops[0].tracer
    base, eight = Val(tracer, "get", 64, (), ("r", 2)), Val(tracer, "const", 64, (), 8)
    assert affine(Val(tracer, "sub", 64, (base, eight)), item.decoded.fields, 0) == (("r", 2), -8)
    assert affine(Val(tracer, "sub", 64, (eight, base)), item.decoded.fields, 0) is None


def test_addresses_that_are_a_register_and_a_distance() -> None:
    def address(text: str) -> tuple[Slot | None, int] | None:
        item = placed(text)
        access = next(op for op in item.trace.walk() if op.op in ACCESSES)
        return affine(access.args[0], item.decoded.fields, item.pc)

    assert address("ld a0, -2048(a1)") == (("x", 11), -2048)
    assert address("c.ldsp a0, 504(sp)") == (("x", 2), 504)
    assert address("sd a0, 8(zero)") == (("x", 0), 8)
    assert address("amoadd.d a0, a1, (a2)") == (("x", 12), 0)

    def value(text: str) -> tuple[Slot | None, int] | None:
        item = placed(text)
        write = next(op for op in item.trace.walk() if op.op in ("set", "setx"))
        return affine(write.args[-1], item.decoded.fields, item.pc)

    assert value("addi a0, a1, -1") == (("x", 11), -1)
    assert value("auipc a0, 1") == (None, START + 0x1000)
    assert value("lui a0, 0x80000") == (None, 0xFFFF_FFFF_8000_0000)
    assert value("add a0, a1, a2") is None
    assert value("addiw a0, a1, 1") is None
    assert value("slli a0, a1, 1") is None


# ------------------------------------------------------------------------------------------- small programs


def test_a_register_that_is_written_before_it_is_read_is_not_live() -> None:
    know = analyse(ISA, SUM.region())
    assert know.used == sorted(x(1, 10, 11, 12, 13))
    assert ("x", 13) not in know.live[SUM["loop"]]
    assert x(10, 11, 12, 1) <= know.live[SUM["loop"]]
    assert ("x", 12) not in know.live[START]
    # Whoever comes behind the region may look at everything.
    assert know.live[SUM["after"]] == frozenset(know.used)
    assert ("x", 13) in know.live[SUM["loop"] + 4]


def test_everything_is_live_where_a_handler_may_see_it() -> None:
    code = Program(
        """
        start: addi a1, zero, 1
               {}
               addi a1, zero, 2
               c.j start
    """.replace("{}", "amoadd.d a0, a3, (a2)")
    )
    know = analyse(ISA, code.region())
    assert ("x", 11) in know.live[START + 4]
    assert ("x", 11) not in know.live[START + 8]
    plain = Program("start: addi a1, zero, 1\n fadd.d fa0, fa0, fa1\n addi a1, zero, 2\n c.j start")
    for rounded in (False, True):
        found = analyse(ISA, plain.region(), rounded=rounded).live[START + 4]
        assert (("x", 11) in found) == rounded


def test_a_register_is_dirty_from_where_it_is_written() -> None:
    region = SUM.region()
    know = analyse(ISA, region)
    assert know.dirty == {
        START: frozenset(),
        SUM["loop"]: frozenset(x(10, 12, 13)),
        SUM["after"]: frozenset(x(10, 12, 13)),
    }
    precise = analyse(ISA, region, precise=True)
    assert precise.dirty[SUM["loop"]] == frozenset(x(10, 12, 13))  # written behind the load, round the loop
    saved = Program("start: addi a1, zero, 1\n sd a1, 0(a0)\n addi a2, zero, 1\n loop: c.j loop")
    assert analyse(ISA, saved.region()).dirty[saved["loop"]] == frozenset(x(11, 12))
    assert analyse(ISA, saved.region(), precise=True).dirty[saved["loop"]] == frozenset(x(12))


def test_who_leaves_the_region() -> None:
    code = Program("""
        start: c.beqz a0, other
        next:  c.j start
        other: c.beqz a1, start
        far:   c.addi a0, 1
    """)
    region = code.region(ran=lambda address: address != code["far"])
    assert [code.name(s) for s, b in region.blocks.items() if leaves_region(b, region)] == ["other"]
    for end in ("ecall", "c.jr ra", "c.jr a5", "fence.i"):
        region = Program(f"start: {end}").region()
        assert leaves_region(region.blocks[START], region), end


def test_a_base_is_compared_once_on_a_straight_way() -> None:
    code = Program("""
        start: ld a0, 0(a1)
               sd a0, 8(a1)
               addi a1, a1, 16
               ld a2, -8(a1)
               c.j next
        next:  ld a3, 0(a1)
               c.jr ra
    """)
    know = analyse(ISA, code.region())
    assert know.checked[code["next"]] == {("x", 11): 16}
    state = Checked(ISA, know.checked[code["next"]])
    assert state.covers(("x", 11), 2040, 8)
    assert state.covers(("x", 11), GUARD - 24, 8)
    assert not state.covers(("x", 11), GUARD - 23, 8)
    assert not state.covers(("x", 11), -(GUARD - 23), 8)
    assert not state.covers(("x", 12), 0, 8)


def test_what_a_loop_moves_is_compared_in_every_turn() -> None:
    """Else it would walk out of the guard. What it does not move is compared once, before it."""
    code = Program("""
        start: ld a5, 0(a1)
               ld a5, 0(a2)
        loop:  ld a3, 0(a1)
               sd a3, 0(a2)
               addi a1, a1, 8
               bne a1, a4, loop
               c.jr ra
    """)
    assert analyse(ISA, code.region()).checked[code["loop"]] == {("x", 12): 0}


def test_a_comparison_on_one_way_only_does_not_count() -> None:
    code = Program("""
        start: c.beqz a0, other
               ld a2, 0(a1)
               c.j next
        other: ld a2, 0(a3)
        next:  ld a2, 0(a1)
               c.jr ra
    """)
    assert analyse(ISA, code.region()).checked[code["next"]] == {}
    both = Program("""
        start: c.beqz a0, other
               ld a2, 0(a1)
               c.j next
        other: ld a2, 0(a1)
               addi a1, a1, -32
        next:  ld a2, 0(a1)
               c.jr ra
    """)
    # The larger distance stands for both ways, where it is known at all.
    assert analyse(ISA, both.region()).checked[both["next"]].get(("x", 11), 32) == 32


def test_an_entry_compares_what_is_used_at_once() -> None:
    text = "start: ld a2, 0(a1)\n loop: ld a3, 0(a1)\n bne a3, a2, loop\n c.jr ra"
    code = Program(text)
    assert analyse(ISA, code.region()).checked[code["loop"]] == {("x", 11): 0}
    assert analyse(ISA, code.region(entries=["loop"])).checked[code["loop"]] == {("x", 11): 0}
    # What is not used on every way from there is not compared there, and so not known.
    unsure = Program("start: ld a2, 0(a1)\n loop: beq a3, a2, out\n ld a3, 0(a1)\n c.j loop\n out: c.jr ra")
    assert analyse(ISA, unsure.region()).checked[unsure["loop"]] == {}


@pytest.mark.parametrize(
    "write", ["ld a1, 0(a1)", "add a1, a1, a2", "slli a1, a1, 1", "lui a1, 5", "addiw a1, a1, 1"]
)
def test_a_base_that_was_written_anew_must_be_compared_again(write: str) -> None:
    state = Checked(ISA, {("x", 11): 0})
    state.walk(placed(write))
    assert not state.covers(("x", 11), 0, 8)


def test_a_copy_of_a_compared_register_is_compared() -> None:
    state = Checked(ISA, {("x", 11): 5})
    state.walk(placed("addi a3, a1, -100"))
    assert state.known == {("x", 11): 5, ("x", 13): 105}
    state.walk(placed("c.mv a4, a1"))
    assert not state.covers(("x", 12), 0, 8)


def test_distances_add_up_until_the_guards_do_not_reach() -> None:
    state = Checked(ISA, {})
    state.walk(placed("ld a0, 0(a1)"))
    state.known["x", 11] = GUARD - 2048
    state.walk(placed("addi a1, a1, 2000"))
    assert state.known == {("x", 11): GUARD - 48}
    assert state.covers(("x", 11), 0, 48)
    assert not state.covers(("x", 11), 0, 49)
    state.walk(placed("addi a1, a1, 100"))
    assert state.known == {}


# ------------------------------------------------------------------------------------------- anything at all
CASES = 300


def regions(seed: int, count: int, what: str) -> Iterator[tuple[random.Random, Region]]:
    for number in range(count):
        rng = random.Random(f"{seed} {number} {what}")
        region = random_region(rng, random_code(rng, floats=number % 3 == 0))
        assert region is not None
        yield rng, region


def test_a_register_that_is_not_live_makes_no_difference(
    seed: int, full: bool, report: Callable[[str], None]
) -> None:
    compared = changed = 0
    for rng, region in regions(seed, CASES * (10 if full else 1), "live"):
        know = analyse(ISA, region, rounded=True)
        for entry in region.entries:
            first, wanted = Hart(rng), rng.randrange(12)
            step = next(itertools.islice(walk(first, region, entry), wanted, None), None)
            if step is None:
                continue
            dead = [slot for slot in know.used if slot not in know.live[step.placed.pc]]
            if not dead:
                continue
            second = first.copy()
            for slot in dead:
                second.state.write(slot, float_value(rng) if slot[0] == "f" else random_value(rng))
            ways = [follow(hart, region, step.block, step.number) for hart in (first, second)]
            assert ways[0] == ways[1], "control went elsewhere"
            changed += len(dead)
            if ways[0][1]:
                compared += 1
                assert first.state.slots == second.state.slots
            assert first.memory.written == second.memory.written
    assert compared
    report(f"liveness: {changed} dead registers changed, {compared} ways out of a region compared")


def follow(hart: Hart, region: Region, block: Block, number: int) -> tuple[list[int], bool]:
    """Go on from the middle of a block: the addresses met, and whether the region was left."""
    rest = Block(block.start, block.insns[number:], block.flow, block.successors)
    blocks = {**region.blocks, -1: rest}
    met = [step.placed.pc for step in walk(hart, Region(-1, [-1], blocks, region.returns), -1, 120)]
    return met, len(met) < 120


def test_what_was_written_is_dirty(seed: int, full: bool, report: Callable[[str], None]) -> None:
    count = 0
    for rng, region in regions(seed, CASES * (10 if full else 1), "dirty"):
        for precise in (False, True):
            know = analyse(ISA, region, precise=precise)
            for entry in region.entries:
                written: set[Slot] = set()
                for step in walk(Hart(rng), region, entry, 60):
                    if step.first:
                        assert written <= know.dirty[step.block.start]
                        count += 1
                    if precise and accesses(step.placed):
                        written.clear()
                    written |= effects(ISA, step.placed).surely
    report(f"dirty registers: {count} block entries")


def test_an_access_without_a_comparison_is_near_one_that_was_compared(
    seed: int, full: bool, report: Callable[[str], None]
) -> None:
    free = total = 0
    for rng, region in regions(seed, CASES * (10 if full else 1), "checked"):
        know = analyse(ISA, region)
        for entry in region.entries:
            hart = Hart(rng)
            # What is known at an entry it has compared itself.
            compared = [hart.state.read(slot) for slot in know.checked[entry]]
            state = Checked(ISA, {})
            for step in walk(hart, region, entry, 60):
                if step.first:
                    state = Checked(ISA, know.checked[step.block.start])
                fields, pc = step.placed.decoded.fields, step.placed.pc
                for op in step.placed.trace.ops:
                    form = base_of(op, fields, pc) if op.op in ACCESSES else None
                    if form is None:
                        continue
                    total += 1
                    value = hart.state.read(form[0])
                    if is_zero(ISA, form[0]) or not state.covers(form[0], form[1], 16):
                        compared.append(value)
                        continue
                    free += 1
                    assert any(apart(value + form[1], other) + 16 <= GUARD for other in compared)
                state.walk(step.placed)
    assert free
    report(f"comparisons with the limit: {total} accesses, {free} needed none")


def apart(a: int, b: int) -> int:
    distance = (a - b) & MASK
    return min(distance, MASK + 1 - distance)
