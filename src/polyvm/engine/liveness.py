"""What is known of guest registers across a region: which may be dirty, which are live, which were range-checked.

Small data-flow analyses over blocks. They look at traces, never at text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from polyvm.engine.discover import Block, Placed, Region, Slot, inputs, slot_of, static_value
from polyvm.ir.ops import ACCESSES, FP_FLAGS, FP_MODE
from polyvm.ir.trace import walk
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa

GUARD = 1 << 30
"""How far from a checked register an access may lie: well inside the guard regions at both ends of the space."""


@dataclass(slots=True)
class Effects:
    """The registers that one instruction reads and writes; `surely` are written on every path."""

    reads: set[Slot]
    writes: set[Slot]
    surely: set[Slot]


def effects(isa: Isa, placed: Placed) -> Effects:
    """Read an instruction's register use off its trace."""
    fields = placed.decoded.fields
    result = Effects(set(), set(), set())
    for op in walk(placed.trace.ops):
        slot = slot_of(op, fields) if op.op in ("get", "set", "getx", "setx") else None
        if slot is None or slot in (FP_FLAGS, FP_MODE) or is_zero(isa, slot):
            continue
        (result.reads if op.op in ("get", "getx") else result.writes).add(slot)
    for op in placed.trace.ops:
        slot = slot_of(op, fields) if op.op in ("set", "setx") else None
        if slot is not None and slot in result.writes:
            result.surely.add(slot)
    return result


def is_zero(isa: Isa, slot: Slot) -> bool:
    """Whether a slot is a hardwired zero."""
    file = isa.files.get(slot[0])
    return file is not None and file.zero == slot[1]


@dataclass(slots=True)
class Knowledge:
    """The results. Per block start: may-dirty registers on entry, checked registers on entry (with slack).

    live: per instruction address, the registers that some path still reads, this instruction included. needed: per
    block start, the registers whose value matters to the region itself, because it reads or stores them. effects: per
    instruction address.
    """

    used: list[Slot]
    dirty: dict[int, frozenset[Slot]]
    live: dict[int, frozenset[Slot]]
    checked: dict[int, dict[Slot, int]]
    needed: dict[int, frozenset[Slot]]
    effects: dict[int, Effects]


def analyse(isa: Isa, region: Region, *, precise: bool = False, rounded: bool = False) -> Knowledge:
    """Run the analyses. With precise, what an access saves before it is not dirty behind it. With
    rounded, instructions may trap because of the rounding mode.
    """
    table = {p.pc: effects(isa, p) for block in region.blocks.values() for p in block.insns}
    used: set[Slot] = set()
    for effect in table.values():
        used |= effect.reads | effect.writes
    dirty = _dirty(region, table, precise)
    live = _live(region, table, used, rounded)
    return Knowledge(
        sorted(used), dirty, live, _checked(isa, region, table), _needed(region, table, dirty), table
    )


def used_once(know: Knowledge, region: Region, block: Block, number: int, slot: Slot) -> Placed | None:
    """The only instruction that uses what one of a block writes to a register, when it is in the block; else None."""
    user: Placed | None = None
    for later in block.insns[number + 1 :]:
        effect = know.effects[later.pc]
        if slot in effect.reads:
            if user is not None:
                return None
            user = later
        if slot in effect.surely:
            return user
    if leaves_region(block, region) or any(slot in know.live[successor] for successor in block.successors):
        return None
    return user


def combines(placed: Placed, slot: Slot) -> bool:
    """Whether an instruction makes a new value of a register and another one."""
    fields = placed.decoded.fields

    def whole(value: Val) -> Val:
        return whole(value.args[0]) if value.op in ("zext", "sext", "trunc") else value

    for op in walk(placed.trace.ops):
        if op.op not in ("add", "sub", "and", "or", "xor", "mul"):
            continue
        for value, other in (op.args, op.args[::-1]):
            found = whole(value)
            if (
                found.op in ("get", "getx")
                and slot_of(found, fields) == slot
                and static_value(other, fields, placed.pc) is None
            ):
                return True
    return False


def accesses(placed: Placed) -> bool:
    """Whether an instruction accesses memory on every path."""
    return any(op.op in ACCESSES for op in placed.trace.ops)


def _dirty(region: Region, table: dict[int, Effects], precise: bool) -> dict[int, frozenset[Slot]]:
    into: dict[int, frozenset[Slot]] = {start: frozenset() for start in region.blocks}
    work = list(region.blocks)
    while work:
        start = work.pop()
        out = set(into[start])
        for placed in region.blocks[start].insns:
            if precise and accesses(placed):
                out.clear()
            out |= table[placed.pc].writes
        for successor in region.blocks[start].successors:
            if not out <= into[successor]:
                into[successor] |= out
                work.append(successor)
    return into


def leaves_region(block: Block, region: Region) -> bool:
    """Whether control may leave the region behind this block, so that every register is live there."""
    if block.flow.leaves or block.flow.dynamic:
        return True
    return any(place not in region.blocks for place in block.onward)


def may_trap(placed: Placed, rounded: bool) -> bool:
    """Whether an instruction may end in an exception, before which a handler can see every register."""
    return any(
        op.op == "if"
        and any(inner.op == "trap" for inner in walk(op.attr))  # type: ignore[arg-type]  # an if's attr is its body
        and (rounded or not any(value.attr == FP_MODE for value in inputs(op.args[0])))
        for op in placed.trace.ops
    )


def _live(
    region: Region, table: dict[int, Effects], used: set[Slot], rounded: bool
) -> dict[int, frozenset[Slot]]:
    everything = frozenset(used)
    live: dict[int, frozenset[Slot]] = {}

    def step(block: Block, after: list[frozenset[Slot]]) -> frozenset[Slot]:
        now = everything if leaves_region(block, region) else frozenset().union(*after)
        for placed in reversed(block.insns):
            effect = table[placed.pc]
            now = everything if may_trap(placed, rounded) else (now - effect.surely) | effect.reads
            live[placed.pc] = now
        return now

    backwards(region, step)
    return live


def backwards(
    region: Region, step: Callable[[Block, list[frozenset[Slot]]], frozenset[Slot]]
) -> dict[int, frozenset[Slot]]:
    """The least solution of a backward analysis: step makes a block's set from those of its successors."""
    into: dict[int, frozenset[Slot]] = {start: frozenset() for start in region.blocks}
    before: dict[int, list[int]] = {start: [] for start in region.blocks}
    for start, block in region.blocks.items():
        for successor in block.successors:
            before[successor].append(start)
    work = list(region.blocks)
    while work:
        start = work.pop()
        block = region.blocks[start]
        now = step(block, [into[successor] for successor in block.successors])
        if now != into[start]:
            into[start] = now
            work.extend(before[start])
    return into


def _needed(
    region: Region, table: dict[int, Effects], dirty: dict[int, frozenset[Slot]]
) -> dict[int, frozenset[Slot]]:
    """What is read before it is written, and what is dirty on some way: wherever a block is left, that is stored."""

    def step(block: Block, after: list[frozenset[Slot]]) -> frozenset[Slot]:
        now = frozenset().union(*after)
        for placed in reversed(block.insns):
            effect = table[placed.pc]
            now = (now - effect.surely) | effect.reads | (effect.writes - effect.surely)
        return now | dirty[block.start]

    return backwards(region, step)


def affine(op: Val, fields: dict[str, int], pc: int) -> tuple[Slot | None, int] | None:
    """A 64-bit value as (register, distance), (None, constant), or None when it is neither."""
    known = static_value(op, fields, pc)
    if known is not None:
        return None, known
    if op.op in ("get", "getx") and op.bits == 64:
        slot = slot_of(op, fields)
        return None if slot is None else (slot, 0)
    if op.op in ("add", "sub") and op.bits == 64:
        left, right = affine(op.args[0], fields, pc), static_value(op.args[1], fields, pc)
        if left is not None and left[0] is not None and right is not None:
            distance = right - (1 << 64) if right >> 63 else right
            return left[0], left[1] + (distance if op.op == "add" else -distance)
    return None


class Checked:
    """Registers whose value was compared with the limit, and how far each has moved since, while walking a block."""

    def __init__(self, isa: Isa, known: dict[Slot, int]) -> None:
        self.isa = isa
        self.known = dict(known)

    def covers(self, slot: Slot, distance: int, size: int) -> bool:
        """Whether an access needs no comparison of its own."""
        slack = self.known.get(slot)
        return slack is not None and slack + abs(distance) + size <= GUARD

    def check(self, slot: Slot) -> None:
        """The register was just compared."""
        self.known[slot] = 0

    def _moved(self, value: Val, fields: dict[str, int], pc: int) -> int | None:
        form = affine(value, fields, pc)
        if form is None or form[0] is None or form[0] not in self.known:
            return None
        slack = self.known[form[0]] + abs(form[1])
        return slack if slack <= GUARD else None

    def walk(self, placed: Placed) -> None:
        """Follow an instruction: its accesses check their base, its writes move or forget."""
        fields, pc = placed.decoded.fields, placed.pc
        after: dict[Slot, int | None] = {}
        for op in placed.trace.ops:
            if op.op in ACCESSES:
                form = base_of(op, fields, pc)
                if form is not None and not self.covers(form[0], form[1], 16):
                    self.check(form[0])
            elif op.op in ("set", "setx"):
                slot = slot_of(op, fields)
                if slot is not None and not is_zero(self.isa, slot):
                    after[slot] = self._moved(op.args[-1], fields, pc)
            elif op.op == "if":
                for inner in walk(op.attr):  # type: ignore[arg-type]  # an if's attr is its body
                    slot = slot_of(inner, fields) if inner.op in ("set", "setx") else None
                    if slot is not None:
                        after[slot] = None
        for slot, slack in after.items():
            if slack is None:
                self.known.pop(slot, None)
            else:
                self.known[slot] = slack


def base_of(access: Val, fields: dict[str, int], pc: int) -> tuple[Slot, int] | None:
    """The register an access goes through and its distance from it, when that is its form and the guards reach."""
    form = affine(access.args[0], fields, pc)
    if form is None or form[0] is None or abs(form[1]) >= GUARD // 2:
        return None
    return form[0], form[1]


def _checked(isa: Isa, region: Region, table: dict[int, Effects]) -> dict[int, dict[Slot, int]]:
    """An entry in the middle of things compares by itself what is known on the other ways there and used at once."""
    into: dict[int, dict[Slot, int] | None] = dict.fromkeys(region.blocks)
    for entry in region.entries:  # what no other way leads to knows nothing
        if into[entry] is None:
            into[entry] = {}
            _spread(isa, region, into, [entry])
    soon = backwards(region, lambda block, after: _soon(isa, region, table, block, after))
    gates = {
        entry: {slot: slack for slot, slack in (into[entry] or {}).items() if slot in soon[entry]}
        for entry in region.entries
    }
    into = {start: gates.get(start) for start in region.blocks}
    _spread(isa, region, into, list(region.entries))
    return {start: known or {} for start, known in into.items()}


def _soon(
    isa: Isa, region: Region, table: dict[int, Effects], block: Block, after: list[frozenset[Slot]]
) -> frozenset[Slot]:
    """Registers through which memory is accessed on every way from a block, before they change."""
    inside = bool(after) and not leaves_region(block, region)
    now = frozenset.intersection(*after) if inside else frozenset()
    for placed in reversed(block.insns):
        fields, pc = placed.decoded.fields, placed.pc
        now -= table[pc].writes
        forms = (base_of(op, fields, pc) for op in placed.trace.ops if op.op in ACCESSES)
        now |= {form[0] for form in forms if form is not None and not is_zero(isa, form[0])}
    return now


def _spread(isa: Isa, region: Region, into: dict[int, dict[Slot, int] | None], work: list[int]) -> None:
    """Carry what is known at the blocks in `work` to all that follow."""
    while work:
        start = work.pop()
        state = Checked(isa, into[start] or {})
        for placed in region.blocks[start].insns:
            state.walk(placed)
        for successor in region.blocks[start].successors:
            old = into[successor]
            if old is None:
                into[successor] = dict(state.known)
                work.append(successor)
                continue
            # Meet: known on both ways. A slack that grew around a loop would grow for ever, so it is forgotten.
            met = {s: n for s, n in old.items() if s in state.known and state.known[s] <= n}
            if met != old:
                into[successor] = met
                work.append(successor)
