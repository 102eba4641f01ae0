"""All tiers agree: every instruction of the specification in every shape, on operands that hypothesis chooses.

Each is executed by the real engine: the golden evaluator says what is right, the native interpreter and compiled
regions of every kind must end with the same registers, memory, exceptions and way out. Programs of many instructions
are in test_programs.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from polyvm.engine import layout
from polyvm.engine.discover import Placed
from polyvm.engine.layout import FAULT, FETCH, ILLEGAL, SYSCALL, TRAP
from polyvm.engine.liveness import ACCESSES, affine, effects
from polyvm.ir.ops import FP_MODE, ROUND_DYNAMIC, rounding
from polyvm.isa.disasm import assemble, disassemble
from polyvm.isa.riscv64.a import RESERVED, RESERVED_ADDRESS, RESERVED_VALUE
from polyvm.isa.spec import Decoded, Insn, Shape
from polyvm.memory.space import READ
from tests.contract.tiers import (
    PAGE,
    Outcome,
    Slot,
    Tier,
    differences,
    get,
    pack,
    put,
    register_name,
    tiers,
)
from tests.isa.riscv64.floats import register
from tests.isa.riscv64.machine import CORNERS, ISA, MASK, random_fields

CODE = 0x1_2340_0000
DATA, WRITABLE = 0x2_0000_0000, 2 * PAGE
SIZE = WRITABLE + PAGE  # the last page may only be read; behind it, as before the first, there is nothing
LIMIT = 1 << 38
CODE_SIZE = 0x4_0000  # more than there is
ECALL = assemble(ISA, "ecall")
END_OF_UNIT = bytes(4)  # no instruction
UNIT = 120
"""Instructions that are compiled together; each has an ecall behind it."""
WORDS = 2
"""Instruction words of each instruction in each shape."""
TIERS_HERE = ("golden", "interpreter", "baseline", "region", "region, precise", "region, all")
"""Those that single instructions can tell apart."""
PHASES = [phase for phase in Phase if phase is not Phase.explain]  # which traces every line
ENDS = (SYSCALL, TRAP, FAULT)


# ------------------------------------------------------------------------------------------------ instructions
@dataclass(frozen=True)
class Item:
    """An instruction at an address, what it reads, and what must be known of it to choose operands.

    base: the register that its access goes through, and the distance; size: of the access, in bytes. jump: likewise,
    for the target of a dynamic jump. counter: the counter that it reads. dynamic: the rounding mode matters.
    """

    pc: int
    decoded: Decoded
    reads: tuple[Slot, ...]
    base: tuple[Slot, int] | None
    size: int
    jump: tuple[Slot, int] | None
    counter: str
    dynamic: bool

    def __repr__(self) -> str:
        return f"{disassemble(self.decoded, self.pc)} ({self.decoded.word:#x}) at {self.pc:#x}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True)
class State:
    """What an instruction begins with; `shown` are the registers that matter."""

    registers: bytes
    flags: int
    mode: int
    shown: tuple[Slot, ...]

    def __repr__(self) -> str:
        values = [f"{register_name(slot)} = {get(self.registers, slot):#x}" for slot in self.shown]
        return ", ".join([*values, f"fflags = {self.flags:05b}", f"frm = {self.mode}"])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def study(pc: int, decoded: Decoded) -> Item:
    """Read off the trace what an instruction needs."""
    trace = ISA.trace(decoded.insn, decoded.shape)
    fields = decoded.fields
    base = jump = None
    size, counter, dynamic = 0, "", False
    for op in trace.walk():
        if op.op in ACCESSES:
            base = affine(op.args[0], fields, pc)
            size = (op.args[1] if op.op == "store" else op).bits // 8
        elif op.op == "jump":
            target = op.args[0]
            # jalr clears the lowest bit of its target.
            jump = affine(target.args[0] if target.op == "and" else target, fields, pc)
        elif op.op == "counter":
            counter = str(op.attr)
        dynamic |= (op.op == "get" and op.attr == FP_MODE) or rounding(op.op, op.attr) == ROUND_DYNAMIC
    reads = tuple(sorted(effects(ISA, Placed(pc, decoded, trace)).reads))
    return Item(pc, decoded, reads, known(base), size, known(jump), counter, dynamic)


def known(form: tuple[Slot | None, int] | None) -> tuple[Slot, int] | None:
    """A register and a distance, where there is a register that has a choice."""
    return None if form is None or form[0] in (None, ("x", 0)) else (form[0], form[1])


def needs_rounding(insn: Insn, shape: Shape) -> bool:
    """Whether compiled code takes the rounding mode for granted."""
    fields = random_fields(insn, shape, random.Random(0))
    return study(0, Decoded(insn, shape, {n: fields[n] for n in insn.data_fields}, 0)).dynamic


def choose(pc: int, insn: Insn, shape: Shape, pads: list[int], rng: random.Random) -> Decoded:
    """Random fields; a branch leads to a pad or, where it reaches so far, to where there is nothing."""
    while True:
        fields = random_fields(insn, shape, rng)
        registers = [
            name for name in fields if ISA.fields[name].kind == "register" and not ISA.fields[name].bias
        ]
        if registers and rng.random() < 0.3:
            # Zero, and the same register twice, are corners.
            fields[rng.choice(registers)] = rng.choice((0, fields[rng.choice(registers)]))
        if "offset" in fields:
            width = insn.encoding.width("offset")
            reach = 1 << (width - 1)
            offset = rng.choice([pad - pc for pad in pads if -reach <= pad - pc < reach])
            if reach > 2 * CODE_SIZE and rng.random() < 0.2:
                offset = rng.choice((-1, 1)) * rng.randrange(CODE_SIZE, reach, 2)
            fields["offset"] = offset & (1 << width) - 1
        if any(fields[name] in insn.encoding.excluded.get(name, ()) for name in registers):
            continue
        decoded = ISA.decode(insn.encode(fields))
        # A more special instruction may own the word, as zext.h owns some of packw's.
        if decoded is not None and decoded.insn is insn:
            return decoded


class Everything:
    """Every instruction in every shape, in memory; pads: where jumps may lead, each an ecall."""

    def __init__(self, made: dict[str, Tier], rng: random.Random, words: int) -> None:
        self.tiers = made
        self.data = rng.randbytes(SIZE)
        chosen = [(insn, shape) for insn in ISA.insns for shape in insn.shapes() for _ in range(words)]
        # Those that depend on the rounding mode together: a unit with one of them is left in another mode.
        chosen.sort(key=lambda pair: needs_rounding(*pair))
        self.batch_of: dict[int, list[Item]] = {}  # by address
        self.items: dict[Insn, list[Item]] = {}
        self.pads: list[int] = []
        code = self._place(chosen, rng)
        self.images: dict[tuple[str, int], bytes] = {}  # by tier and first address of a batch
        for tier in made.values():
            tier.map(DATA, self.data[:WRITABLE])
            tier.map(DATA + WRITABLE, self.data[WRITABLE:], READ)
            tier.code(CODE, code)

    def ready(self, tier: Tier, item: Item) -> None:
        """Have the unit of an instruction in place: compiled when it is first asked for."""
        batch = self.batch_of[item.pc]
        key = tier.name, batch[0].pc
        if key not in self.images:
            self.images[key] = tier.compile(batch[0].pc, [other.pc for other in batch[1:]], keep=False)
        tier.reinstall(item.pc, self.images[key])

    def _place(self, chosen: list[tuple[Insn, Shape]], rng: random.Random) -> bytes:
        """Choose the words, batch after batch."""
        code = b""
        dynamic = [needs_rounding(*pair) for pair in chosen]
        first = 0
        while first < len(chosen):
            end = first + 1
            while end < len(chosen) and end - first < UNIT and dynamic[end] == dynamic[first]:
                end += 1
            code += self._batch(CODE + len(code), chosen[first:end], rng) + END_OF_UNIT
            first = end
        return code

    def _batch(self, start: int, chosen: list[tuple[Insn, Shape]], rng: random.Random) -> bytes:
        places, pads, at = [], [], start
        for insn, _ in chosen:
            places.append(at)
            pads.append(at + insn.size)
            at += insn.size + len(ECALL)
        batch = []
        for pc, (insn, shape) in zip(places, chosen, strict=True):
            batch.append(study(pc, choose(pc, insn, shape, pads, rng)))
            self.items.setdefault(insn, []).append(batch[-1])
        self.batch_of |= dict.fromkeys(places, batch)
        self.pads += pads
        return b"".join(
            item.decoded.word.to_bytes(item.decoded.insn.size, "little") + ECALL for item in batch
        )

    # -- operands
    def run(self, item: Item, state: State) -> list[tuple[Tier, Outcome, bytes]]:
        """Do an instruction in every tier that may; the golden evaluator's outcome is the first."""
        outcomes = []
        for tier in self.tiers.values():
            if item.dynamic and state.mode and not (tier.kind is None or layout.ROUNDED in tier.kind):
                continue  # its units are for the other mode; that they are left is another test's
            self.ready(tier, item)
            tier.space.write(DATA, self.data[:WRITABLE])
            outcome = tier.run(item.pc, state.registers, state.flags, state.mode)
            outcomes.append((tier, outcome, tier.space.read(DATA, SIZE)))
        return outcomes


integers = st.one_of(
    st.sampled_from(CORNERS),
    st.integers(-64, 64).map(lambda value: value & MASK),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, MASK),
)
floats = st.randoms(use_true_random=False).map(register)
edges = st.sampled_from([DATA, DATA + PAGE, DATA + WRITABLE, DATA + SIZE])
addresses = st.one_of(
    st.integers(DATA, DATA + SIZE),
    st.integers(0, (SIZE - 1) // 8).map(lambda place: DATA + 8 * place),
    st.builds(lambda edge, distance: edge + distance, edges, st.integers(-9, 1)),
    st.sampled_from([0, 8, CODE, LIMIT - 4, LIMIT - 1, LIMIT, LIMIT + DATA, 1 << 46, (1 << 47) + 8, 1 << 63, MASK,
                     MASK - 2, MASK - 7]),
    integers,
)  # fmt: skip


@st.composite
def operands(draw: Callable[..., int], everything: Everything, item: Item) -> State:
    """Registers, accrued exceptions and the rounding mode: corners, and what makes sense for the instruction."""
    values: dict[Slot, int] = {}
    for slot in item.reads:
        values[slot] = draw(floats if slot[0] == "f" else integers)
    if item.base is not None:
        slot, distance = item.base
        address = draw(addresses)
        values[slot] = address - distance & MASK
        if RESERVED in values and draw(st.booleans()):
            offset = address - DATA
            found = (
                int.from_bytes(everything.data[offset : offset + 8], "little") if 0 <= offset < SIZE else 0
            )
            values |= {
                RESERVED_ADDRESS: address,
                RESERVED_VALUE: found,
                RESERVED: draw(st.sampled_from([4, 8])),
            }
    if item.jump is not None and draw(st.booleans()):
        slot, distance = item.jump
        values[slot] = draw(st.sampled_from(everything.pads)) + draw(st.integers(0, 1)) - distance & MASK
    data = bytearray(BACKGROUND)
    for slot, value in values.items():
        put(data, slot, value)
    flags, mode = draw(st.integers(0, 31)), draw(st.sampled_from((0, 0, 0, *range(1, 8))))
    return State(bytes(data), flags, mode, item.reads)


# What registers hold that an instruction does not read: each something of its own.
BACKGROUND = pack(
    {("x", number): number * 0x0101_0101_0101_0101 for number in range(1, 32)}
    | {("f", number): MASK << 32 & MASK | 0x4000_0000 + number for number in range(32)}
    | {RESERVED_ADDRESS: DATA + 8}
)


@pytest.fixture(scope="module")
def everything(seed: int, full: bool) -> Iterator[Everything]:
    with tiers(TIERS_HERE) as made:
        yield Everything(made, random.Random(seed), 4 * WORDS if full else WORDS)


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None], everything: Everything) -> Iterator[Counter[str]]:
    """States that agreed with the golden evaluator, by tier; instructions and shapes."""
    counts: Counter[str] = Counter()
    yield counts
    states = ", ".join(f"{name} {counts[name]}" for name in TIERS_HERE[1:])
    report(
        f"tiers == golden, single instructions: {counts['instructions']:3} in {counts['shapes']:3} shapes; "
        f"states: {states}"
    )


def compare(item: Item, state: State, outcomes: list[tuple[Tier, Outcome, bytes]]) -> None:
    (golden, expected, memory), *others = outcomes
    assert golden.name == "golden"
    assert expected.reason in ENDS, layout.REASONS[expected.reason]
    rd = ("x", item.decoded.fields["rd"]) if item.counter in ("cycle", "time") else None
    for tier, outcome, theirs in others:
        wrong = differences(expected, outcome, tier, frozenset(() if rd is None else (rd,)))
        wrong += [
            f"memory at {DATA + at:#x}: golden {memory[at]:#x}, {tier.name} {theirs[at]:#x}"
            for at in (range(SIZE) if theirs != memory else ())
            if memory[at] != theirs[at]
        ]
        assert not wrong, f"{item} on {state}: {'; '.join(wrong)}"
        # Clocks of their own; that they go is all that can be said.
        assert rd in (None, ("x", 0)) or get(outcome.registers, rd) != 0


def agree(everything: Everything, items: list[Item], examples: int) -> Counter[str]:
    """Do some instructions on so many states; how many every tier did."""
    counts: Counter[str] = Counter()

    @settings(phases=PHASES, max_examples=examples)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(items), label="instruction")
        state = data.draw(operands(everything, item), label="state")
        outcomes = everything.run(item, state)
        compare(item, state, outcomes)
        counts.update(tier.name for tier, _, _ in outcomes[1:])

    one()
    return counts


@pytest.mark.parametrize("insn", ISA.insns, ids=[insn.text for insn in ISA.insns])
def test_each_instruction(insn: Insn, everything: Everything, counted: Counter[str], full: bool) -> None:
    shapes = list(insn.shapes())
    examples = 500 if full else 10 if len(shapes) > 1 else 24
    for shape in shapes:
        items = [item for item in everything.items[insn] if item.decoded.shape == shape]
        counted.update(agree(everything, items, examples))
    counted["instructions"] += 1
    counted["shapes"] += len(shapes)


def test_what_is_no_instruction(rng: random.Random, full: bool, report: Callable[[str], None]) -> None:
    """Words without a meaning leave every tier alike, with nothing done; regions end before them."""
    count = 600 if full else 200
    nop = assemble(ISA, "c.nop")
    words = []
    while len(words) < count:
        size = rng.choice((2, 4))
        word = rng.getrandbits(8 * size)
        if word.bit_count() > 2 and ISA.decode(word) is None and ISA.length(word) == size:
            words.append(word.to_bytes(size, "little"))
    words += [bytes(2), b"\xff\xff", b"\xff\xff\xff\xff"]
    code = b"".join(nop + word for word in words)
    places = [CODE + sum(len(nop + word) for word in words[:number]) for number in range(len(words))]
    with tiers() as made:
        for tier in made.values():
            tier.code(CODE, code)
            tier.compile(places[0], places[1:])
        golden = made["golden"]
        for place, word in zip(places, words, strict=True):
            expected = golden.run(place, bytes(BACKGROUND))
            assert (expected.reason, expected.pc, expected.insns) == (ILLEGAL, place + 2, 1), word.hex()
            for tier in made.values():
                outcome = tier.run(place, bytes(BACKGROUND))
                assert differences(expected, outcome, tier) == [], word.hex()
    report(f"tiers == golden, no instructions: {len(words)} words that decode to nothing")


def test_instructions_across_the_end_of_what_may_be_executed(rng: random.Random) -> None:
    """Fetching the second half faults there; the word is never taken for another one with zeros in that half."""
    wanted = (FAULT, FETCH, CODE + PAGE, CODE + PAGE - 2)
    with tiers() as made:
        for tier in made.values():
            tier.map(CODE + PAGE, bytes(PAGE))
        for insn in rng.sample([insn for insn in ISA.insns if insn.size == 4], 12):
            word = insn.encode(random_fields(insn, next(insn.shapes()), rng))
            code = bytes(PAGE - 4) + assemble(ISA, "c.nop") + (word & 0xFFFF).to_bytes(2, "little")
            for tier in made.values():
                tier.code(CODE, code)
                tier.compile(CODE + PAGE - 4)
                outcome = tier.run(CODE + PAGE - 4, bytes(BACKGROUND))
                found = (outcome.reason, outcome.access, outcome.value, outcome.pc)
                assert (found, outcome.insns if tier.counts else 1) == (wanted, 1), (tier.name, insn.text)


def test_the_judge_bites(everything: Everything) -> None:
    """A wrong register, flag, exception, count or byte of memory in one tier is a difference with a name."""
    item = everything.items[next(insn for insn in ISA.insns if insn.name == "addi")][0]
    state = State(bytes(BACKGROUND), 0, 0, item.reads)
    outcomes = everything.run(item, state)
    compare(item, state, outcomes)
    tier, good, memory = outcomes[1]
    registers = bytearray(good.registers)
    registers[8] ^= 1
    flipped = bytes((memory[0] ^ 1, *memory[1:]))
    for bad, wanted in (
        ((tier, replace(good, registers=bytes(registers)), memory), "ra: golden"),
        ((tier, replace(good, flags=1), memory), "fflags"),
        ((tier, replace(good, rounding=1), memory), "frm"),
        ((tier, replace(good, pc=0), memory), "pc: golden"),
        ((tier, replace(good, reason=ILLEGAL), memory), "interpreter ILLEGAL"),
        ((tier, replace(good, insns=77), memory), "instructions: golden"),
        ((tier, good, flipped), f"memory at {DATA:#x}"),
    ):
        with pytest.raises(AssertionError, match=wanted):
            compare(item, state, [outcomes[0], bad])
