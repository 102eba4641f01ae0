"""Words that a guest loads piece by piece, because it may not load them where they are not aligned.

A compiler for a processor whose unaligned accesses may be slow makes eight loads, seven shifts and seven ors of one
load. Here are found the loads of a block that together read a word; what is done with the pieces stays as it is, and
LLVM sees that it makes the word of them again. Looks at traces, never at text (docs/decisions/0013-words.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from polyvm.engine.discover import Block, Placed, Slot
from polyvm.engine.liveness import Effects, base_of, is_zero
from polyvm.ir.ops import OPS
from polyvm.ir.trace import walk
from polyvm.isa.spec import Isa

WORDS = (8, 4)
"""Bytes of a word."""
FEWEST = 4
"""Pieces of a word: fewer are loaded sooner than it is found out whether they are in one page."""
PIECES = (1, 2)
"""Bytes of a piece."""
_STATEFUL = frozenset({"get", "set", "getx", "setx", "load", "hint", "prefetch"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word: `size` bytes at `low` from a base register.

    pieces: loads and how many bytes behind `low` they read, in the order of the program. between: what else is loaded
    before the last of them: base register, and from where to where, exclusive, in bytes from it. Loads of the same byte
    happen in order, so a word may be loaded at once only where it lies apart from these.
    """

    low: int
    size: int
    pieces: tuple[tuple[Placed, int], ...]
    between: tuple[tuple[Slot, int, int], ...]

    @property
    def first(self) -> int:
        """The address of the first load."""
        return self.pieces[0][0].pc

    def place(self, pc: int) -> int:
        """How many bytes behind `low` the load at an address reads."""
        return next(place for placed, place in self.pieces if placed.pc == pc)


@dataclass(frozen=True, slots=True)
class _Load:
    """A load: its number in the block, base register and distance where it has that form, and bytes.

    since: the number of the first instruction that finds the base register as it is.
    """

    number: int
    placed: Placed
    base: Slot | None
    since: int
    distance: int
    size: int


def find(isa: Isa, block: Block, effects: dict[int, Effects]) -> dict[int, Word]:
    """The words of a block, by the address of each of their loads. effects: per instruction address.

    Between the first and the last load of a word nothing is stored, ordered, or left, and the base does not change.
    """
    found: dict[int, Word] = {}
    loads: list[_Load] = []
    since: dict[Slot | None, int] = {}
    for number, placed in enumerate(block.insns):
        if not all(OPS[op.op].pure or op.op in _STATEFUL for op in placed.trace.ops):
            _take(block, effects, loads, found)
            loads = []
        for op in placed.trace.ops:
            if op.op == "load":
                base, distance = base_of(op, placed.decoded.fields, placed.pc) or (None, 0)
                base = None if base is None or is_zero(isa, base) else base
                loads.append(_Load(number, placed, base, since.get(base, 0), distance, op.bits // 8))
        since |= dict.fromkeys(effects[placed.pc].writes, number + 1)
    _take(block, effects, loads, found)
    return found


def _shifted(block: Block, effects: dict[int, Effects], load: _Load) -> bool:
    """Whether what is loaded is shifted or made a part of something next, and not stored as it is."""
    slots = effects[load.placed.pc].writes
    for later in block.insns[load.number + 1 :]:
        effect = effects[later.pc]
        if slots & effect.reads:
            return any(
                op.op in ("set", "setx") and op.args[-1].op in ("or", "shl", "add")
                for op in walk(later.trace.ops)
            )
        if slots & effect.writes:
            return False
    return False


def _take(block: Block, effects: dict[int, Effects], loads: list[_Load], found: dict[int, Word]) -> None:
    """Make words of loads between which nothing else happens."""
    groups: dict[tuple[Slot, int, int], dict[int, _Load]] = {}
    for load in loads:
        if load.base is not None and load.size in PIECES and _shifted(block, effects, load):
            groups.setdefault((load.base, load.since, load.size), {}).setdefault(load.distance, load)
    for (_, _, size), at in groups.items():
        for word in WORDS:
            if word < FEWEST * size:
                continue
            for low in sorted(at):
                places = range(low, low + word, size)
                if not all(place in at for place in places):
                    continue
                pieces = sorted((at[place] for place in places), key=lambda load: load.number)
                between = _between(pieces, low, word, loads)
                if between is not None:
                    made = Word(
                        low, word, tuple((load.placed, load.distance - low) for load in pieces), between
                    )
                    found.update((at.pop(place).placed.pc, made) for place in places)


def _between(
    pieces: list[_Load], low: int, size: int, loads: list[_Load]
) -> tuple[tuple[Slot, int, int], ...] | None:
    """What else is loaded meanwhile; None where that is not known at the first of the loads, or is of the word."""
    first, last = pieces[0], pieces[-1]
    spans: dict[Slot, tuple[int, int]] = {}
    for load in loads:
        if load in pieces or not first.number < load.number < last.number:
            continue
        if load.base is None or load.since > first.number:
            return None
        begin, end = load.distance, load.distance + load.size
        if load.base == first.base:
            if begin < low + size and low < end:
                return None
            continue
        known = spans.get(load.base, (begin, end))
        spans[load.base] = min(begin, known[0]), max(end, known[1])
    return tuple((base, *span) for base, span in spans.items())
