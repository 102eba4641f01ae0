"""Checks of alignment that always pass: what is known of the low bits of registers across a region.

A guest may demand that a register is a multiple of something wherever memory is accessed through it (the stack pointer
of aarch64). Such a check is a trap under a condition; most are answered by the one before, as registers of that kind
move by multiples. What is answered is taken out of the traces before anything else looks at them; what an entry must
find for that is looked at there, once. Looks at traces, never at text.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from polyvm.engine.discover import Block, Placed, Region, Slot, inputs, slot_of, static_value, written
from polyvm.engine.liveness import backwards, leaves_region
from polyvm.ir.trace import walk
from polyvm.ir.values import Val

Zeros = dict[Slot, int]
"""How many of a register's low bits are zero at least."""
MOST = 12


@dataclass(frozen=True, slots=True)
class Check:
    """A trap unless the low bits of a register are zero."""

    slot: Slot
    bits: int


def settled(region: Region) -> tuple[Region, dict[int, Zeros]]:
    """The region without the checks that pass, and what each entry must find for that."""
    demanded: Zeros = {}
    for block in region.blocks.values():
        for placed in block.insns:
            for op in placed.trace.ops:
                found = check_of(op, placed)
                if found is not None:
                    demanded[found.slot] = max(found.bits, demanded.get(found.slot, 0))
    if not demanded:
        return region, {entry: {} for entry in region.entries}
    into = _spread(region, dict.fromkeys(region.entries, demanded))
    lost = _lost(region, into, demanded)
    if lost:
        into = _spread(region, _demands(region, demanded, lost))
    blocks = {}
    for start, block in region.blocks.items():
        walker = Walker(into[start])
        blocks[start] = dataclasses.replace(block, insns=[walker.step(placed) for placed in block.insns])
    return dataclasses.replace(region, blocks=blocks), {entry: into[entry] for entry in region.entries}


def _demands(region: Region, demanded: Zeros, lost: set[Slot]) -> dict[int, Zeros]:
    """What each entry demands: that what is checked on every way from there passes, and all checks of registers whose
    value in the whole region comes from an entry.

    Of others, those in `lost`, it must not demand anything: what they hold there has nothing to do with what is checked
    later. So it is with the address of an atomic operation, which any register may hold for a moment.
    """
    soon = backwards(region, lambda block, after: _soon(region, block, after))
    return {
        entry: {slot: bits for slot, bits in demanded.items() if slot not in lost or slot in soon[entry]}
        for entry in region.entries
    }


def _soon(region: Region, block: Block, after: list[frozenset[Slot]]) -> frozenset[Slot]:
    """Registers that are checked on every way from a block before they change."""
    inside = bool(after) and not leaves_region(block, region)
    now = frozenset.intersection(*after) if inside else frozenset()
    for placed in reversed(block.insns):
        now -= written(placed)
        now |= {found.slot for op in placed.trace.ops if (found := check_of(op, placed)) is not None}
    return now


def _lost(region: Region, into: dict[int, Zeros], demanded: Zeros) -> set[Slot]:
    """Registers that are given values of which less is known than is demanded, where all entries find that."""
    lost: set[Slot] = set()
    for start, block in region.blocks.items():
        walker = Walker(into[start])
        for placed in block.insns:
            walker.step(placed)
            for slot in demanded.keys() & written(placed):
                if walker.known.get(slot, 0) < demanded[slot]:
                    lost.add(slot)
    return lost


def check_of(op: Val, placed: Placed) -> Check | None:
    """The check that an op is, if it is one."""
    if op.op != "if":
        return None
    body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
    condition = op.args[0]
    if condition.op != "ne" or not body or body[-1].op != "trap":
        return None
    masked, zero = condition.args
    fields, pc = placed.decoded.fields, placed.pc
    if masked.op != "and" or static_value(zero, fields, pc) != 0:
        return None
    register, mask = masked.args[0], static_value(masked.args[1], fields, pc)
    slot = slot_of(register, fields) if register.op in ("get", "getx") else None
    if slot is None or mask is None or mask & (mask + 1) or not 0 < mask.bit_length() <= MOST:
        return None
    return Check(slot, mask.bit_length())


class Walker:
    """What is known while walking a block."""

    def __init__(self, known: Zeros) -> None:
        self.known = dict(known)

    def step(self, placed: Placed) -> Placed:
        """Follow an instruction: the same one without the checks that pass."""
        fields, pc = placed.decoded.fields, placed.pc
        kept: list[Val] = []
        after: Zeros = {}
        for op in placed.trace.ops:
            found = check_of(op, placed)
            if found is not None:
                if self.known.get(found.slot, 0) >= found.bits:
                    continue
                self.known[found.slot] = found.bits
            elif op.op in ("set", "setx"):
                slot = slot_of(op, fields)
                if slot is not None:
                    after[slot] = (
                        0 if self._changed(op, after, fields) else self._zeros(op.args[-1], fields, pc)
                    )
            elif op.op == "if":
                for inner in walk(op.attr):  # type: ignore[arg-type]  # an if's attr is its body
                    slot = slot_of(inner, fields) if inner.op in ("set", "setx") else None
                    if slot is not None:
                        after[slot] = 0
            kept.append(op)
        self.known |= after
        if len(kept) == len(placed.trace.ops):
            return placed
        return dataclasses.replace(placed, trace=dataclasses.replace(placed.trace, ops=tuple(kept)))

    def _changed(self, op: Val, after: Zeros, fields: dict[str, int]) -> bool:
        """Whether what is written depends on a register that the same instruction wrote before."""
        return any(slot_of(value, fields) in after for value in inputs(op) if value.op in ("get", "getx"))

    def _zeros(self, value: Val, fields: dict[str, int], pc: int) -> int:
        """How many low bits of a value are zero."""
        number = static_value(value, fields, pc)
        if number is not None:
            return min((number & -number).bit_length() - 1, MOST) if number else MOST
        if value.op in ("get", "getx"):
            slot = slot_of(value, fields)
            return 0 if slot is None else min(self.known.get(slot, 0), value.bits)
        if value.op in ("add", "sub", "or", "xor"):
            return min(self._zeros(arg, fields, pc) for arg in value.args)
        if value.op == "and":
            return max(self._zeros(arg, fields, pc) for arg in value.args)
        if value.op == "shl":
            count = static_value(value.args[1], fields, pc)
            return 0 if count is None else min(self._zeros(value.args[0], fields, pc) + count, MOST)
        if value.op in ("zext", "sext"):
            inner = self._zeros(value.args[0], fields, pc)
            return inner if inner < value.args[0].bits else MOST
        if value.op == "trunc":
            return min(self._zeros(value.args[0], fields, pc), value.bits)
        return 0


def _spread(region: Region, demands: dict[int, Zeros]) -> dict[int, Zeros]:
    """What is known at each block, entries finding what they demand: the least of what all ways there know."""
    into: dict[int, Zeros | None] = dict.fromkeys(region.blocks)
    into |= {entry: dict(demands[entry]) for entry in region.entries}
    work = list(region.entries)
    while work:
        start = work.pop()
        walker = Walker(into[start] or {})
        for placed in region.blocks[start].insns:
            walker.step(placed)
        for successor in region.blocks[start].successors:
            old = into[successor]
            if old is None:
                met = {slot: bits for slot, bits in walker.known.items() if bits}
            else:
                met = {slot: min(bits, walker.known.get(slot, 0)) for slot, bits in old.items()}
                met = {slot: bits for slot, bits in met.items() if bits}
            if met != old:
                into[successor] = met
                work.append(successor)
    return {start: known or {} for start, known in into.items()}
