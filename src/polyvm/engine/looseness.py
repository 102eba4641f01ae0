"""Which floating-point registers may stay as the host computed them across the blocks of a region.

A result whose NaN is not yet canonical (emit.deferred) need not be settled where control goes on to a block that takes
it so from everywhere. One data-flow analysis over blocks; it looks at traces, never at text. What it says of a block
is a promise of all the blocks before it, and of the region's entry, which looks for other NaNs.
"""

from __future__ import annotations

from dataclasses import dataclass

from polyvm.engine.discover import Placed, Region, Slot, slot_of, static_value
from polyvm.ir.trace import walk
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa

EXACT = 0
RESULTS = frozenset({"fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma", "fcvt", "fresize", "itof"})
"""Ops whose NaN, if they have any, is the canonical one, so that another may stand for it until somebody looks."""
BOX = (1 << 64) - (1 << 32)
INFINITY = {32: 0x7F80_0000, 64: 0x7FF0 << 48}


def copied(value: Val) -> Val | None:
    """The op that a value is a copy of, made of its halves: how a sign injection copies a register."""
    if value.op != "or" or any(arg.op != "and" or arg.args[1].op != "const" for arg in value.args):
        return None
    (left, low), (right, high) = (arg.args for arg in value.args)
    assert isinstance(low.attr, int)
    assert isinstance(high.attr, int)
    halves = low.attr ^ high.attr == (1 << value.bits) - 1
    return left if halves and left.op == right.op and left.op in ("get", "getx") else None


def result_bits(value: Val) -> int:
    """The width of the result that a register's new value is, alone or boxed in ones; EXACT for anything else."""
    if value.op in RESULTS and value.bits == 64:
        return 64
    if value.op == "or" and value.bits == 64 and value.args[1].op == "const":
        inner = value.args[0]
        if value.args[1].attr == BOX and inner.op == "zext":
            return 32 if inner.args[0].op in RESULTS and inner.args[0].bits == 32 else EXACT
    return EXACT


def number_bits(pattern: int) -> int:
    """The width of the number that a register's constant is; EXACT for a NaN."""
    if pattern & ~(1 << 63) <= INFINITY[64]:
        return 64
    return 32 if pattern >= BOX and pattern & 0x7FFF_FFFF <= INFINITY[32] else EXACT


def _follow(
    isa: Isa, placed: Placed, found: dict[Slot, int], constant_slots: set[Slot] | None = None
) -> None:
    """What an instruction makes of the registers that it writes. constant_slots: to be added to; see Looseness."""
    fields = placed.decoded.fields
    zeros = {(name, file.zero): (0, placed.pc) for name, file in isa.files.items() if file.zero is not None}
    after: dict[Slot, int] = {}
    for op in placed.trace.ops:
        slot = slot_of(op, fields) if op.op in ("set", "setx") else None
        if slot is not None:
            value = op.args[-1]
            constant = static_value(value, fields, placed.pc, zeros)
            source = copied(value)
            if constant is not None:
                after[slot] = number_bits(constant)
            elif source is not None and _same(value, fields):
                origin = slot_of(source, fields) or slot
                after[slot] = found.get(origin, EXACT)
                if origin not in found and constant_slots is not None:
                    constant_slots.add(origin)
            else:
                after[slot] = result_bits(value)
        elif op.op == "if":  # written on one of two ways
            body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
            for inner in walk(body):
                inside = slot_of(inner, fields) if inner.op in ("set", "setx") else None
                if inside is not None:
                    after[inside] = EXACT
    found |= after


def _result_files(placed: Placed) -> list[str]:
    """The register files that results go to: only there is a number a number."""
    return [
        slot[0]
        for op in placed.trace.ops
        if op.op in ("set", "setx") and result_bits(op.args[-1])
        if (slot := slot_of(op, placed.decoded.fields)) is not None
    ]


def _same(value: Val, fields: dict[str, int]) -> bool:
    """Whether both halves of what copied() found are the same register's."""
    return slot_of(value.args[0].args[0], fields) == slot_of(value.args[1].args[0], fields)


@dataclass(frozen=True, slots=True)
class Looseness:
    """Per block: the registers that may come loose, with the width of the result that is in them.

    guarded: registers that no instruction of the region writes and that are copied. Every entry looks whether there is
    a number in them, or the canonical NaN, so that a copy is like a result.
    """

    blocks: dict[int, dict[Slot, int]]
    guarded: dict[Slot, int]

    def at_entry(self, pc: int) -> dict[Slot, int]:
        """What an entry at an address looks at."""
        return self.guarded | self.blocks[pc]


def loose_on_entry(isa: Isa, region: Region) -> Looseness:
    """Follow the floating-point registers through a region.

    Of the arm style nothing is loose: which NaN a result is, its operands say, and these are at hand only there.
    """
    if isa.floats != "canonical":
        return Looseness({start: {} for start in region.blocks}, {})
    placed = [item for block in region.blocks.values() for item in block.insns]
    files = {name for item in placed for name in _result_files(item)}
    every: dict[Slot, int] = {}
    copied_slots: set[Slot] = set()
    for item in placed:
        _follow(isa, item, every)
    writes: dict[int, dict[Slot, int]] = {}
    guarded: dict[Slot, int] = {}
    for start, block in region.blocks.items():
        found: dict[Slot, int] = dict(guarded)
        for item in block.insns:
            copied_slots.clear()
            _follow(isa, item, found, copied_slots)
            for slot in copied_slots:
                if slot not in every and slot[0] in files:
                    guarded[slot] = found[slot] = 64
                    _follow(isa, item, found)
        writes[start] = {slot: bits for slot, bits in found.items() if slot in every}
    slots = {slot for found in writes.values() for slot, bits in found.items() if bits and slot[0] in files}
    before: dict[int, list[int]] = {start: [] for start in region.blocks}
    for start, block in region.blocks.items():
        for successor in block.successors:
            before[successor].append(start)
    result: dict[int, dict[Slot, int]] = {start: {} for start in region.blocks}
    for slot in slots:
        for start, bits in _solve(region, slot, writes, before).items():
            if bits:
                result[start][slot] = bits
    return Looseness(result, guarded)


def _solve(
    region: Region, slot: Slot, writes: dict[int, dict[Slot, int]], before: dict[int, list[int]]
) -> dict[int, int]:
    """What one register is on entry to each block. None, while it goes on: nothing known to speak against anything."""
    into: dict[int, int | None] = dict.fromkeys(region.blocks)

    def settle(work: list[int]) -> None:
        while work:
            start = work.pop()
            found = {writes[p].get(slot, into[p]) for p in before[start]} - {None}
            value = into[start]
            if value == EXACT and start in fixed:
                continue
            new = found.pop() if len(found) == 1 else (EXACT if found else None)
            if new is not None and new != value:
                into[start] = EXACT if value is not None else new
                work.extend(region.blocks[start].successors)

    fixed: set[int] = set()
    settle(list(region.blocks))
    # What comes from the region's entry alone was computed by somebody else.
    fixed = {start for start, value in into.items() if value is None}
    for start in fixed:
        into[start] = EXACT
    settle([successor for start in fixed for successor in region.blocks[start].successors])
    return {start: value or EXACT for start, value in into.items()}
