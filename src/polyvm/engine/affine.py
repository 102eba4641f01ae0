"""Loops of one block whose accesses step through memory: what has to be known to run them without looking.

A strip is a number of iterations that are surely followed by another. All that it takes is known before the first: how
many there are, and which bytes of memory they touch. Looks at traces, never at text (docs/decisions/0007-strips.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from polyvm.engine.discover import MASK, Block, Placed, Slot, inputs, slot_of, static_value
from polyvm.engine.liveness import Effects, is_zero
from polyvm.ir.ops import EXCLUSIVE, FP_FLAGS, FP_MODE, OPS, ROUND_DYNAMIC, rounding
from polyvm.ir.trace import walk
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa

FLOATS = frozenset({"fadd", "fsub", "fmul", "fdiv", "fsqrt"})
"""Floating-point ops whose plain form does the same, flags included, in vectors too."""
STATEFUL = frozenset({"get", "set", "getx", "setx", "load", "store", "if", "jump", "hint", "prefetch"})
MAX_INSNS, MAX_STREAMS = 64, 8
FARTHEST = 1 << 30
"""Bytes that an access may lie from what moves."""
MAX_STEP = 4096
"""Bytes from one access to the next at most: every page in between is looked at."""
GAP = 4096
"""Accesses this near to each other are looked at together."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A 64-bit value at the beginning of an iteration: registers times numbers, and a number."""

    terms: tuple[tuple[Slot, int], ...]
    number: int

    def plus(self, other: Linear, times: int = 1) -> Linear:
        """The sum with a multiple of another."""
        terms = dict(self.terms)
        for slot, count in other.terms:
            terms[slot] = terms.get(slot, 0) + times * count
        return Linear(
            tuple(sorted((slot, count) for slot, count in terms.items() if count)),
            self.number + times * other.number,
        )


NOTHING = Linear((), 0)


@dataclass(slots=True)
class Stream:
    """Accesses that move together: they begin at `terms` plus something from `low` to `high`, exclusive, in bytes."""

    terms: tuple[tuple[Slot, int], ...]
    low: int
    high: int
    step: int
    write: bool


@dataclass(slots=True)
class Strip:
    """What is known of a loop. steps: registers that an iteration moves by a constant. carried: others that one
    iteration hands to the next. exposed: registers that are read before they are written.

    compare, left, right: it goes on while the comparison holds, of values as they stand behind the first iteration, of
    which `move` of one side gets nearer to the other each time. accesses: their addresses, in order.
    """

    block: Block
    steps: dict[Slot, int]
    carried: list[Slot]
    exposed: list[Slot]
    compare: str
    left: Linear
    right: Linear
    move: int
    accesses: list[Linear]
    streams: list[Stream] = field(default_factory=list)

    def step(self, terms: Iterable[tuple[Slot, int]]) -> int:
        """How far an iteration moves a sum of registers."""
        return sum(count * self.steps.get(slot, 0) for slot, count in terms)


def find(isa: Isa, block: Block, effects: dict[int, Effects]) -> Strip | None:
    """The strip of a block that jumps back to itself, or None where it is not of this kind."""
    flow = block.flow
    if not (flow.conditional and flow.target == block.start) or flow.call or flow.dynamic or flow.leaves:
        return None
    if len(block.insns) > MAX_INSNS:
        return None
    return _Finder(isa, block, effects).find()


class _No(Exception):
    """This loop is not of the kind."""


Origin = tuple[str, object]
"""Where a value comes from: ("op", (address, op)) of floating point, or ("before", register) of the last iteration."""


class _Finder:
    def __init__(self, isa: Isa, block: Block, effects: dict[int, Effects]) -> None:
        self.isa = isa
        self.block = block
        self.effects = effects
        self.general = {file for file, _ in isa.links}
        self.now: dict[Slot, Linear | None] = {}
        self.origins: dict[Slot, frozenset[Origin]] = {}
        self.exposed: set[Slot] = set()
        self.written: set[Slot] = set()
        self.floats: set[Origin] = set()
        self.stored: set[Origin] = set()
        self.accesses: list[tuple[Linear, int, bool]] = []

    def find(self) -> Strip | None:
        try:
            branch = None
            for placed in self.block.insns:
                branch = self._walk(placed)
            steps, carried = self._registers()
            self._keep(carried)
            strip = self._counted(branch, steps, carried)
            self._streams(strip)
        except _No:
            return None
        return strip

    def _walk(self, placed: Placed) -> Val | None:
        """Follow an instruction; the branch that it is, if it is one."""
        effect = self.effects[placed.pc]
        if effect.writes != effect.surely:
            raise _No
        self.exposed |= effect.reads - self.written
        branch = None
        origins: dict[Val, frozenset[Origin]] = {}
        linear: dict[Slot, Linear | None] = {}
        after: dict[Slot, frozenset[Origin]] = {}
        for op in placed.trace.ops:
            if op.op == "if":
                branch = branch if self._never(op) else op
                continue
            if not self._allowed(op):
                raise _No
            of = frozenset(origin for arg in op.args for origin in origins[arg])
            slot = slot_of(op, placed.decoded.fields) if op.op in ("get", "getx", "set", "setx") else None
            if op.op in FLOATS:
                of |= {("op", (placed.pc, op))}
                self.floats |= of
            elif op.op in ("get", "getx") and slot is not None:
                of = self.origins.get(slot, frozenset({("before", slot)}))
            elif op.op in ("load", "store"):
                self._access(op, placed)
                self.stored |= of if op.op == "store" else frozenset()
            elif slot is not None and not is_zero(self.isa, slot):
                linear[slot], after[slot] = self._linear(op.args[-1], placed), of
            origins[op] = of
        if branch is not None and placed is not self.block.insns[-1]:
            raise _No
        self.now |= linear
        self.origins |= after
        self.written |= effect.surely
        return branch

    def _access(self, op: Val, placed: Placed) -> None:
        at, write = self._linear(op.args[0], placed), op.op == "store"
        if at is None:
            raise _No
        self.accesses.append((at, (op.args[1].bits if write else op.bits) // 8, write))

    def _keep(self, carried: list[Slot]) -> None:
        """Floating point is done in the order that the guest has it, and for its flags too: no sums, and no result that
        nobody looks at.
        """
        handed: set[Origin] = set()
        for slot in carried:
            origins = self.origins.get(slot, frozenset())
            if slot[0] not in self.general and any(("before", other) in origins for other in carried):
                raise _No
            handed |= origins
        if any(origin[0] == "op" for origin in self.floats - self.stored - handed):
            raise _No

    def _allowed(self, op: Val) -> bool:
        if op.op == "hint" and op.attr == EXCLUSIVE:
            return False
        if op.attr == FP_FLAGS or (op.op == "set" and op.attr == FP_MODE):
            return False
        if op.op in FLOATS:
            known = op.bits in (32, 64) and rounding(op.op, op.attr) in (0, ROUND_DYNAMIC)
            return known and self.isa.floats == "canonical"
        return OPS[op.op].pure or op.op in STATEFUL

    def _never(self, op: Val) -> bool:
        """Whether a condition is known to be false where the rounding mode is the usual one."""
        condition = op.args[0]
        reads = [value for value in inputs(condition) if not OPS[value.op].pure]
        if any(value.op != "get" or value.attr != FP_MODE for value in reads):
            return False
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        return any(inner.op == "trap" for inner in walk(body)) and not any(
            inner.op == "jump" for inner in walk(body)
        )

    def _linear(self, op: Val, placed: Placed) -> Linear | None:
        fields, pc = placed.decoded.fields, placed.pc
        known = static_value(op, fields, pc)
        if known is not None:
            return Linear((), _signed(known))
        if op.bits != 64:
            return None
        if op.op in ("get", "getx"):
            slot = slot_of(op, fields)
            if slot is None:
                return None
            if is_zero(self.isa, slot):
                return NOTHING
            return self.now.get(slot, Linear(((slot, 1),), 0))
        if op.op not in ("add", "sub", "shl", "mul"):
            return None
        left = self._linear(op.args[0], placed)
        right = self._linear(op.args[1], placed) if op.op != "shl" else NOTHING
        if left is None or right is None:
            return None
        if op.op in ("add", "sub"):
            return left.plus(right, 1 if op.op == "add" else -1)
        if op.op == "shl":
            count = static_value(op.args[1], fields, pc)
            return None if count is None or count > 32 else NOTHING.plus(left, 1 << count)
        if not right.terms:
            return NOTHING.plus(left, right.number)
        return NOTHING.plus(right, left.number) if not left.terms else None

    def _registers(self) -> tuple[dict[Slot, int], list[Slot]]:
        """How far registers move in an iteration, and those that change in other ways and are handed on."""
        steps, carried = {}, []
        for slot in sorted(self.written):
            form = self.now.get(slot)
            if form is not None and form.terms == ((slot, 1),):
                steps[slot] = form.number
            elif slot in self.exposed:
                carried.append(slot)
        return steps, carried

    def _counted(self, branch: Val | None, steps: dict[Slot, int], carried: list[Slot]) -> Strip:
        """How long it goes on."""
        condition = None if branch is None else branch.args[0]
        if (
            condition is None
            or condition.op not in ("ne", "ult", "ule", "slt", "sle")
            or condition.args[0].bits != 64
        ):
            raise _No
        left, right = (self._linear(arg, self.block.insns[-1]) for arg in condition.args)
        if left is None or right is None or self._changing(left, steps) or self._changing(right, steps):
            raise _No
        exposed = sorted(self.exposed | steps.keys())
        places = [at for at, _, _ in self.accesses]
        strip = Strip(self.block, steps, carried, exposed, condition.op, left, right, 0, places)
        one, other = strip.step(left.terms), strip.step(right.terms)
        strip.move = one - other
        if strip.move == 0 or abs(strip.move) >= 1 << 31:
            raise _No
        # An order is counted on while one side alone moves towards the other: then nothing wraps before they meet.
        if condition.op != "ne" and (strip.move < 0 or (one and other)):
            raise _No
        return strip

    def _changing(self, form: Linear, steps: dict[Slot, int]) -> bool:
        """Whether a sum has a register in it that does not move by a constant."""
        return any(slot in self.written and slot not in steps for slot, _ in form.terms)

    def _streams(self, strip: Strip) -> None:
        """Gather accesses that move together; there must be few, and each small enough to look at."""
        groups: dict[tuple[tuple[tuple[Slot, int], ...], bool], list[tuple[int, int]]] = {}
        for at, size, write in self.accesses:
            if self._changing(at, strip.steps) or abs(at.number) > FARTHEST:
                raise _No
            groups.setdefault((at.terms, write), []).append((at.number, at.number + size))
        for (terms, write), spans in groups.items():
            step = strip.step(terms)
            if abs(step) > MAX_STEP or (write and not step):
                raise _No
            for low, high in sorted(spans):
                last = strip.streams[-1] if strip.streams else None
                if last and (last.terms, last.write) == (terms, write) and low - last.high <= GAP:
                    last.high = max(last.high, high)
                else:
                    strip.streams.append(Stream(terms, low, high, step, write))
        if not 0 < len(strip.streams) <= MAX_STREAMS:
            raise _No


def _signed(number: int) -> int:
    number &= MASK
    return number - (1 << 64) if number >> 63 else number
