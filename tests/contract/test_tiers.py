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
from polyvm.engine.liveness import affine, effects
from polyvm.ir import golden
from polyvm.ir.ops import ACCESSES, FP_MODE, ROUND_DYNAMIC, rounding
from polyvm.ir.values import Val
from polyvm.isa.disasm import disassemble
from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Decoded, Insn, Shape
from polyvm.memory.space import READ
from tests.contract.guests import Guest, Slot, integers
from tests.contract.tiers import EVERY, PAGE, Outcome, Tier, differences, tiers
from tests.isa.dictionaries import MASK, random_fields
from tests.isa.dictionaries import State as Registers

CODE = 0x1_2340_0000
DATA, WRITABLE = 0x2_0000_0000, 2 * PAGE
SIZE = WRITABLE + PAGE  # the last page may only be read; behind it, as before the first, there is nothing
LIMIT = 1 << 38
CODE_SIZE = 0x4_0000  # more than there is
UNIT = 120
"""Instructions that are compiled together; each has a system call behind it."""
SHAPES, ALL_SHAPES = 6, 1700
"""Shapes of an instruction that are looked at, chosen by the seed where it has more, and of all of them, roughly."""
WORDS, ALL_WORDS = 2, 1700
"""Instruction words of each instruction in each shape; one where there are too many shapes for that."""
STATES, FEWEST, MOST = 6000, 4, 24
"""States of all instructions of a guest, and of one shape."""
TIERS_HERE = ("golden", "interpreter", "baseline", "region", "region, precise", "region, all")
"""Those that single instructions can tell apart."""
PHASES = [phase for phase in Phase if phase is not Phase.explain]  # which traces every line
ENDS = (SYSCALL, TRAP, FAULT)


# ------------------------------------------------------------------------------------------------ instructions
@dataclass(frozen=True)
class Item:
    """An instruction at an address, what it reads and writes, and what must be known of it to choose operands.

    base: the register that its access goes through, and the distance, None where other registers are in it. jump:
    likewise, for the target of a dynamic jump. counter: the counter that it reads. dynamic: the rounding mode matters.
    """

    pc: int
    decoded: Decoded
    reads: tuple[Slot, ...]
    writes: tuple[Slot, ...]
    base: tuple[Slot, int | None] | None
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

    guest: Guest
    registers: bytes
    flags: int
    mode: int
    shown: tuple[Slot, ...]

    def __repr__(self) -> str:
        guest = self.guest
        values = [f"{guest.register(slot)} = {guest.get(self.registers, slot):#x}" for slot in self.shown]
        return ", ".join([*values, f"exceptions = {self.flags:05b}", f"rounding = {self.mode}"])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def study(guest: Guest, pc: int, decoded: Decoded) -> Item:
    """Read off the trace what an instruction needs."""
    trace = guest.isa.trace(decoded.insn, decoded.shape)
    fields = decoded.fields
    base: tuple[Slot, int | None] | None = None
    jump: tuple[Slot, int] | None = None
    counter, dynamic = "", False

    def known(form: tuple[Slot | None, int] | None) -> tuple[Slot, int] | None:
        """A register and a distance, where there is a register that has a choice."""
        return None if form is None or form[0] is None or form[0] in guest.zeros else (form[0], form[1])

    for op in trace.walk():
        if op.op in ACCESSES:
            address = op.args[0]
            base = known(affine(address, fields, pc)) or moving(guest, address, fields, pc)
        elif op.op == "jump":
            target = op.args[0]
            # jalr clears the lowest bit of its target.
            jump = known(affine(target.args[0] if target.op == "and" else target, fields, pc))
        elif op.op == "counter":
            counter = str(op.attr)
        dynamic |= (op.op == "get" and op.attr == FP_MODE) or rounding(op.op, op.attr) == ROUND_DYNAMIC
        # FPCR can ask for more than a rounding mode.
        dynamic |= trace.floats == "arm" and op.op in golden.FLOAT_OPS
    found = effects(guest.isa, Placed(pc, decoded, trace))
    reads, writes = tuple(sorted(found.reads)), tuple(sorted(found.writes))
    return Item(pc, decoded, reads, writes, base, jump, counter, dynamic)


def moving(guest: Guest, address: Val, fields: dict[str, int], pc: int) -> tuple[Slot, None] | None:
    """The register that moves an address by as much as it is moved, however the rest comes about."""
    while address.op in ("add", "sub", "and"):
        address = address.args[0]
    form = affine(address, fields, pc)
    return None if form is None or form[0] is None or form[0] in guest.zeros else (form[0], None)


class Reached(Exception):
    """The address of an instruction's first access."""


class Nowhere:
    """Memory that tells where it is accessed."""

    def load(self, address: int, size: int) -> int:
        raise Reached(address)

    def store(self, address: int, size: int, value: int) -> None:
        raise Reached(address)

    def probe(self, address: int, size: int, write: bool) -> None:
        raise Reached(address)


def distance(guest: Guest, item: Item, values: dict[Slot, int], base: Slot) -> int:
    """How far from a register an instruction accesses memory, the others being as they are."""
    registers = Registers(guest.isa)
    registers.slots = values | {base: 0}
    decoded = item.decoded
    try:
        golden.execute(
            guest.isa.trace(decoded.insn, decoded.shape), decoded.fields, item.pc, registers, Nowhere()
        )
    except Reached as reached:
        found: int = reached.args[0]
        return found
    except golden.Trap:
        pass
    return 0


def needs_rounding(guest: Guest, insn: Insn, shape: Shape) -> bool:
    """Whether compiled code takes the rounding mode for granted."""
    fields = random_fields(insn, shape, random.Random(0))
    return study(guest, 0, Decoded(insn, shape, {n: fields[n] for n in insn.data_fields}, 0)).dynamic


def choose(guest: Guest, pc: int, insn: Insn, shape: Shape, pads: list[int], rng: random.Random) -> Decoded:
    """Random fields; a branch leads to a pad or, where it reaches so far, to where there is nothing."""
    isa = guest.isa
    while True:
        fields = random_fields(insn, shape, rng)
        registers = [
            name for name in fields if isa.fields[name].kind == "register" and not isa.fields[name].bias
        ]
        if registers and rng.random() < 0.3:
            # Zero, and the same register twice, are corners.
            fields[rng.choice(registers)] = rng.choice((0, fields[rng.choice(registers)]))
        if "offset" in fields:
            width = insn.encoding.width("offset")
            reach = 1 << (width - 1)
            offset = rng.choice([pad - pc for pad in pads if -reach <= pad - pc < reach])
            if reach > 2 * CODE_SIZE and rng.random() < 0.2:
                step = 1 << insn.encoding.low_zeros("offset")
                offset = rng.choice((-1, 1)) * rng.randrange(CODE_SIZE, reach, step)
            fields["offset"] = offset & (1 << width) - 1
        if any(fields[name] in insn.encoding.excluded.get(name, ()) for name in registers):
            continue
        try:
            decoded = isa.decode(insn.encode(fields))
        except EncodingError:
            continue  # a register that this field cannot name
        # A more special instruction may own the word, as zext.h owns some of packw's.
        if decoded is not None and decoded.insn is insn:
            return decoded


def some_shapes(guest: Guest, rng: random.Random, *, full: bool) -> dict[Insn, list[Shape]]:
    """The shapes of every instruction that are looked at: all, or as many of each as there is time for."""
    every = {insn: list(insn.shapes()) for insn in guest.isa.insns}
    if full:
        return every
    most = SHAPES
    while most > 1 and sum(min(most, len(shapes)) for shapes in every.values()) > ALL_SHAPES:
        most -= 1
    return {insn: rng.sample(shapes, min(most, len(shapes))) for insn, shapes in every.items()}


class Everything:
    """Every instruction of a guest in its shapes, in memory; pads: where jumps may lead, each a system call."""

    def __init__(self, guest: Guest, made: dict[str, Tier], rng: random.Random, *, full: bool) -> None:
        self.guest = guest
        self.tiers = made
        self.data = rng.randbytes(SIZE)
        self.call = guest.assemble(guest.call)
        self.shapes = some_shapes(guest, rng, full=full)
        count = sum(map(len, self.shapes.values()))
        self.examples = 500 if full else max(FEWEST, min(MOST, STATES // count))
        words = 4 * WORDS if full else max(1, min(WORDS, ALL_WORDS // count))
        chosen = [(insn, s) for insn, shapes in self.shapes.items() for s in shapes for _ in range(words)]
        # Those that depend on the rounding mode together: a unit with one of them is left in another mode.
        chosen.sort(key=lambda pair: needs_rounding(guest, *pair))
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
        dynamic = [needs_rounding(self.guest, *pair) for pair in chosen]
        first = 0
        while first < len(chosen):
            end = first + 1
            while end < len(chosen) and end - first < UNIT and dynamic[end] == dynamic[first]:
                end += 1
            code += self._batch(CODE + len(code), chosen[first:end], rng) + self.guest.none[0]
            first = end
        return code

    def _batch(self, start: int, chosen: list[tuple[Insn, Shape]], rng: random.Random) -> bytes:
        places, pads, at = [], [], start
        for insn, _ in chosen:
            places.append(at)
            pads.append(at + insn.size)
            at += insn.size + len(self.call)
        batch = []
        for pc, (insn, shape) in zip(places, chosen, strict=True):
            decoded = choose(self.guest, pc, insn, shape, pads, rng)
            batch.append(study(self.guest, pc, decoded))
            self.items.setdefault(insn, []).append(batch[-1])
        self.batch_of |= dict.fromkeys(places, batch)
        self.pads += pads
        return b"".join(
            item.decoded.word.to_bytes(item.decoded.insn.size, "little") + self.call for item in batch
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

    def stored(self, address: int, size: int) -> int:
        """What memory holds, zero where there is none."""
        offset = address - DATA
        return int.from_bytes(self.data[offset : offset + size], "little") if 0 <= offset < SIZE else 0


edges = st.sampled_from([DATA, DATA + PAGE, DATA + WRITABLE, DATA + SIZE])
addresses = st.one_of(
    st.integers(DATA, DATA + SIZE),
    st.integers(0, (SIZE - 1) // 8).map(lambda place: DATA + 8 * place),
    st.builds(lambda edge, beside: edge + beside, edges, st.integers(-17, 1)),
    st.sampled_from([0, 8, CODE, LIMIT - 4, LIMIT - 1, LIMIT, LIMIT + DATA, 1 << 46, (1 << 47) + 8, 1 << 63, MASK,
                     MASK - 2, MASK - 7]),
    integers,
)  # fmt: skip


@st.composite
def operands(draw: Callable[..., int], everything: Everything, item: Item) -> State:
    """Registers, accrued exceptions and the rounding mode: corners, and what makes sense for the instruction."""
    guest = everything.guest
    values: dict[Slot, int] = {slot: draw(guest.drawn(slot)) for slot in item.reads}
    if item.base is not None:
        slot, beside = item.base
        address = draw(addresses)
        if beside is None:
            beside = distance(guest, item, values, slot)
        values[slot] = address - beside & MASK
        monitor = guest.monitor(address, everything.stored)
        if values.keys() & monitor.keys() and draw(st.booleans()):
            values |= {slot: draw(fitting) for slot, fitting in monitor.items()}
    if item.jump is not None and draw(st.booleans()):
        slot, beside = item.jump
        target = draw(st.sampled_from(everything.pads)) + draw(st.sampled_from(guest.beside))
        values[slot] = target - beside & MASK
    data = bytearray(guest.background)
    for slot, value in values.items():
        guest.put(data, slot, value)
    flags, mode = draw(st.integers(0, 31)), draw(st.sampled_from(guest.modes))
    return State(guest, bytes(data), flags, mode, item.reads)


@pytest.fixture(scope="module", params=EVERY, ids=repr)
def guest(request: pytest.FixtureRequest) -> Guest:
    """Each guest in turn."""
    found = request.param
    assert isinstance(found, Guest)
    return found


@pytest.fixture(scope="module")
def everything(guest: Guest, seed: int, full: bool) -> Iterator[Everything]:
    with tiers(guest, TIERS_HERE) as made:
        yield Everything(guest, made, random.Random(seed), full=full)


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None], everything: Everything) -> Iterator[Counter[str]]:
    """States that agreed with the golden evaluator, by tier; instructions and shapes."""
    counts: Counter[str] = Counter()
    yield counts
    states = ", ".join(f"{name} {counts[name]}" for name in TIERS_HERE[1:])
    report(
        f"tiers == golden, single instructions of {everything.guest}: {counts['instructions']:3} in "
        f"{counts['shapes']:3} shapes; states: {states}"
    )


def compare(item: Item, state: State, outcomes: list[tuple[Tier, Outcome, bytes]]) -> None:
    (golden, expected, memory), *others = outcomes
    assert golden.name == "golden"
    assert expected.reason in ENDS, layout.REASONS[expected.reason]
    clocks = frozenset(item.writes if item.counter in ("cycle", "time") else ())
    for tier, outcome, theirs in others:
        wrong = differences(expected, outcome, tier, clocks)
        wrong += [
            f"memory at {DATA + at:#x}: golden {memory[at]:#x}, {tier.name} {theirs[at]:#x}"
            for at in (range(SIZE) if theirs != memory else ())
            if memory[at] != theirs[at]
        ]
        assert not wrong, f"{item} on {state}: {'; '.join(wrong)}"
        # Clocks of their own; that they go is all that can be said.
        assert all(state.guest.get(outcome.registers, slot) for slot in clocks)


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


@pytest.mark.parametrize(
    ("guest", "insn"),
    [pytest.param(guest, insn, id=f"{guest}-{insn.text}") for guest in EVERY for insn in guest.isa.insns],
    indirect=["guest"],
    scope="module",
)
def test_each_instruction(insn: Insn, everything: Everything, counted: Counter[str]) -> None:
    shapes = everything.shapes[insn]
    for shape in shapes:
        items = [item for item in everything.items[insn] if item.decoded.shape == shape]
        counted.update(agree(everything, items, everything.examples))
    counted["instructions"] += 1
    counted["shapes"] += len(shapes)


def test_what_is_no_instruction(
    guest: Guest, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    """Words without a meaning leave every tier alike, with nothing done; regions end before them."""
    count = 600 if full else 200
    nothing = guest.assemble(guest.nothing)
    words = list(guest.none)
    while len(words) < count:
        size = rng.choice(guest.isa.sizes)
        word = rng.getrandbits(8 * size)
        # Words with few bits are in the table where they are none.
        if word.bit_count() > 2 and guest.isa.decode(word) is None and guest.isa.length(word) == size:
            words.append(word.to_bytes(size, "little"))
    code = b"".join(nothing + word for word in words)
    places = [CODE + sum(len(nothing + word) for word in words[:number]) for number in range(len(words))]
    with tiers(guest) as made:
        for tier in made.values():
            tier.code(CODE, code)
            tier.compile(places[0], places[1:])
        first = made["golden"]
        for place, word in zip(places, words, strict=True):
            expected = first.run(place, guest.background)
            found = expected.reason, expected.pc, expected.insns
            assert found == (ILLEGAL, place + len(nothing), 1), word.hex()
            for tier in made.values():
                outcome = tier.run(place, guest.background)
                assert differences(expected, outcome, tier) == [], word.hex()
    report(f"tiers == golden, no instructions of {guest}: {len(words)} words that decode to nothing")


def test_instructions_across_the_end_of_what_may_be_executed(guest: Guest, rng: random.Random) -> None:
    """Fetching the second half faults there; the word is never taken for another one with zeros in that half.

    Where all instructions have one size, it is the whole instruction that cannot be fetched.
    """
    shortest, longest = min(guest.isa.sizes), max(guest.isa.sizes)
    half = longest - shortest
    nothing = guest.assemble(guest.nothing)
    wanted = (FAULT, FETCH, CODE + PAGE, CODE + PAGE - half)
    with tiers(guest) as made:
        for tier in made.values():
            tier.map(CODE + PAGE, bytes(PAGE))
        longer = [insn for insn in guest.isa.insns if insn.size == longest]
        for insn in rng.sample(longer, 12 if half else 1):
            word = insn.encode(random_fields(insn, next(insn.shapes()), rng)).to_bytes(longest, "little")
            before = bytes(PAGE - half - len(nothing))
            for tier in made.values():
                tier.code(CODE, before + nothing + word[:half])
                tier.compile(CODE + len(before))
                outcome = tier.run(CODE + len(before), guest.background)
                found = (outcome.reason, outcome.access, outcome.value, outcome.pc)
                assert (found, outcome.insns if tier.counts else 1) == (wanted, 1), (tier.name, insn.text)


def test_the_judge_bites(everything: Everything) -> None:
    """A wrong register, flag, exception, count or byte of memory in one tier is a difference with a name."""
    guest = everything.guest
    (item, *_), *_ = (items for insn, items in everything.items.items() if insn.name in ("addi", "add"))
    state = State(guest, guest.background, 0, 0, item.reads)
    outcomes = everything.run(item, state)
    compare(item, state, outcomes)
    tier, good, memory = outcomes[1]
    registers = bytearray(good.registers)
    registers[8] ^= 1  # the second register of the first file
    flipped = bytes((memory[0] ^ 1, *memory[1:]))
    for bad, wanted in (
        (
            (tier, replace(good, registers=bytes(registers)), memory),
            f"{guest.register((next(iter(guest.isa.files)), 1))}: golden",
        ),
        ((tier, replace(good, flags=1), memory), "exceptions, rounding"),
        ((tier, replace(good, rounding=1), memory), "exceptions, rounding"),
        ((tier, replace(good, pc=0), memory), "pc: golden"),
        ((tier, replace(good, reason=ILLEGAL), memory), "interpreter ILLEGAL"),
        ((tier, replace(good, insns=77), memory), "instructions: golden"),
        ((tier, good, flipped), f"memory at {DATA:#x}"),
    ):
        with pytest.raises(AssertionError, match=wanted):
            compare(item, state, [outcomes[0], bad])
