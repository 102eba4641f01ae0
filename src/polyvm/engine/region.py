"""Tier 2: a region of guest code as one LLVM function, guest registers in SSA values, loops inside.

Control leaves only with every register that a guest can still read stored; stops are taken at loop heads, where a
stack of labels costs nothing until somebody asks. Makes text; `engine.worker` compiles it. A precise region stores
what changed before every access, so that a fault shows the guest all its registers; the other kinds run while no guest
handler and no debugger can look: whole ones while none can at a fault, all others while none can at a stop either
(docs/decisions/0003-two-modes.md, 0005-whole-stops.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from polyvm.emit import llvm_float
from polyvm.emit.deferred import Loose
from polyvm.emit.llvm import LIKELY, METADATA, UNLIKELY
from polyvm.emit.llvm_float_env import NAN_BITS, to_float
from polyvm.engine import affine, layout
from polyvm.engine.discover import Block, Region, Slot, loop_heads, sets_round, slot_of
from polyvm.engine.homes import in_state
from polyvm.engine.interpreter import log_target
from polyvm.engine.layout import COUNTERS, ST
from polyvm.engine.liveness import Checked, Knowledge, analyse, base_of, combines, is_zero, used_once
from polyvm.engine.looseness import BOX, loose_on_entry
from polyvm.engine.placed import PlacedEmitter, literal
from polyvm.engine.strip import StripEmitter
from polyvm.ir.ops import FP_FLAGS, FP_ROUND
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa

MASK = (1 << 64) - 1
SIGNATURE = (
    f"(ptr noalias align 4096 dereferenceable({layout.STATE_SIZE}) %st, ptr noalias %mem, "
    "ptr %ip, ptr %hb, i64 %budget)"
)

INFINITY_BITS = {32: 0x7F80_0000, 64: 0x7FF0_0000_0000_0000}

# A safepoint: a label, and in section pvp where to go when a stop was asked for. No instruction at all.
_POINT = (
    'callbr void asm sideeffect ".Lpvp${:uid}:\\0A.pushsection pvp,\\22a\\22\\0A'
    '.long .Lpvp${:uid}-., ${0:l}-.\\0A.popsection", "!i"()'
)


class RegionEmitter(PlacedEmitter):
    """One region's function."""

    def __init__(self, isa: Isa, region: Region, *, kind: str = "") -> None:
        super().__init__(isa)
        self.region = region
        self.precise = layout.PRECISE in kind
        self.whole = self.precise or layout.WHOLE in kind
        self.counted = layout.COUNTED in kind
        self.rounded = layout.ROUNDED in kind
        self.round_used = False
        self.undone = 0  # instructions of the block from this one on: counted, but not done
        self.stale: set[Slot] = set()  # registers whose value in the state is an older one, on some way here
        self.places = isa.state_layout(layout.REGISTERS)
        self.loosely = loose_on_entry(isa, region)
        self.home_loose: dict[Slot, int] = {}
        self.know: Knowledge = analyse(isa, region, precise=self.precise, rounded=self.rounded)
        self.heads = loop_heads(region)
        self.general = {file for file, _ in isa.links}  # the file of general registers
        self.stay = self._stay()
        self.current: dict[Slot, str] = {}
        self.written: set[Slot] = set()
        self.checked = Checked(isa, {})
        self.block: Block | None = None
        self.nested = 0
        self.metadata: list[str] = []
        self.marked: set[int] = set()  # addresses of instructions whose accesses are noted
        self.kept: frozenset[int] = frozenset()  # those whose results LLVM must not take for unused
        self.gone: list[tuple[str, str]] = []  # (label, target)
        self.doors: dict[
            frozenset[Slot], list[tuple[str, int]]
        ] = {}  # what is stored -> ways there: (label, target)
        self.points: dict[int, str] = {}  # offset in the state -> pointer, made once at the entry
        self.strips = 0
        self.walled = ""  # the label behind which there is a wall already
        # (label, guest PC from the entry on, base, distance, kind of access)
        self.wild: list[tuple[str, int, str, int, int]] = []

    def text(self, name: str) -> str:
        """The module's text: the function and what it refers to."""
        self.start("entry")
        for slot in self.know.used:
            if slot not in self.stay:
                self.do(f"{self._home(slot)} = alloca i{self._bits(slot)}")
        self.do(f"store i64 %budget, ptr {self.st('budget')}")
        if self.counted:
            self.do("%B = alloca i64")
            self.do("store i64 %budget, ptr %B")
            self.do("%since = call i64 @llvm.readcyclecounter()")
            self.declarations.add("declare i64 @llvm.readcyclecounter()")
        limit = self.ins(f"load i64, ptr {self.st('limit')}")
        self.lines[-1] = self.lines[-1].replace(limit, "%limit", 1)
        entry = len(self.lines)
        self._enter()
        for pc in self.region.entries:
            self._gate(pc)
        for block in self.region.blocks.values():
            self._block(block)
        for number, (slots, ways) in enumerate(self.doors.items()):
            self._door(number, slots, ways)
        self._wild()
        self._gone()
        rounding = self._rounding()
        points = [f"{name} = getelementptr i8, ptr %st, i64 {offset}" for offset, name in self.points.items()]
        body = "\n".join([self.lines[0], *points, *self.lines[1:entry], *rounding, *self.lines[entry:]])
        declarations = "\n".join(d for d in sorted(self.declarations) if "@pv_" not in d)
        runtime = llvm_float.RUNTIME.replace("FP_ROUND", str(ST["fp_round"])) if any(
            "@pv_" in d for d in self.declarations) else ""  # fmt: skip
        return (
            f"{declarations}\n{runtime}\ndefine preserve_nonecc void @{name}{SIGNATURE} #0 {{\n{body}\n}}\n"
            'attributes #0 = { nounwind strictfp "no-builtins" }\n'
            + METADATA
            + "\n".join(self.metadata)
            + "\n"
        )

    def _enter(self) -> None:
        entries = self.region.entries
        if len(entries) == 1:
            self.do(f"br label %{_gate(entries[0])}")
            return
        base = self.ins(f"load i64, ptr {self.st('slot_base')}")
        here = self.ins(f"sub i64 {self.ins('ptrtoint ptr %ip to i64')}, {base}")
        cases = " ".join(f"i64 {pc << layout.SLOT_SHIFT}, label %{_gate(pc)}" for pc in entries[1:])
        self.do(f"switch i64 {here}, label %{_gate(entries[0])} [ {cases} ]")

    def _gate(self, pc: int) -> None:
        """An entry: take the registers that matter from the state, and look whether they are what the block takes them
        for. Another NaN than the canonical one, no box, or an address outside the space is golden's to go on with.
        """
        self.start(_gate(pc))
        looked_at = self.loosely.at_entry(pc)
        values = {}
        for slot in sorted((self.know.needed[pc] | looked_at.keys()) - self.stay):
            values[slot] = self.ins(f"load i{self._bits(slot)}, ptr {self._at(self.places[slot][0])}")
            self.do(f"store i{self._bits(slot)} {values[slot]}, ptr {self._home(slot)}")
        odds = [self._odd(values[slot], bits) for slot, bits in sorted(looked_at.items())]
        odds += [self.ins(f"icmp uge i64 {values[slot]}, %limit") for slot in sorted(self.know.checked[pc])]
        if not odds:
            self.do(f"br label %{_label(pc)}")
            return
        bad = odds[0]
        for other in odds[1:]:
            bad = self.ins(f"or i1 {bad}, {other}")
        odd = self.fresh_label("odd")
        self.do(f"br i1 {bad}, label %{odd}, label %{_label(pc)}, {UNLIKELY}")
        self.start(odd)
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i32 {layout.GOLDEN}, ptr {self.st('reason')}")
        self.do("ret void")

    def _odd(self, value: str, bits: int) -> str:
        """Whether a register does not hold a number of so many bits, or holds a NaN that no operation makes.

        By its bits: a comparison of numbers would raise invalid for a signaling NaN.
        """
        pattern = value if bits == 64 else self.ins(f"trunc i64 {value} to i32")
        doubled = self.ins(f"shl i{bits} {pattern}, 1")
        nan = self.ins(f"icmp ugt i{bits} {doubled}, {2 * INFINITY_BITS[bits]}")
        other = self.ins(f"icmp ne i{bits} {pattern}, {NAN_BITS[bits]}")
        odd = self.ins(f"and i1 {nan}, {other}")
        if bits == 32:
            odd = self.ins(f"or i1 {odd}, {self.ins(f'icmp ult i64 {value}, {BOX}')}")
        return odd

    def companions(self) -> Iterable[str]:
        """What was written last: it is often stored next."""
        return reversed(self.current.values())

    def _rounding(self) -> list[str]:
        """What the entry does about the rounding mode: no instruction inside changes it, so it is looked at once."""
        if not self.round_used:
            return []
        lines = [f"  %round.32 = load i32, ptr {self.st('fp_round')}"]
        if self.rounded:
            return [*lines, "  %round = trunc i32 %round.32 to i3"]
        here = self.st("slot_base")
        return [
            *lines,
            "  %round.other = icmp ne i32 %round.32, 0",
            "  br i1 %round.other, label %rounding, label %nearest, !prof !0",
            "rounding:",
            f"  %rounding.slots = load i64, ptr {here}",
            "  %rounding.ip = ptrtoint ptr %ip to i64",
            "  %rounding.at = sub i64 %rounding.ip, %rounding.slots",
            f"  %rounding.pc = lshr i64 %rounding.at, {layout.SLOT_SHIFT}",
            f"  store i64 %rounding.pc, ptr {self.st('pc')}",
            f"  store i64 %rounding.pc, ptr {self.st('hot_pc')}",
            f"  store i32 {layout.HOT}, ptr {self.st('reason')}",
            "  ret void",
            "nearest:",
        ]

    # -- places
    def _stay(self) -> frozenset[Slot]:
        """The registers whose home is the state. Those that the entries look at are loaded anyway."""
        looked_at = {slot for known in self.loosely.blocks.values() for slot in known}
        for entry in self.region.entries:
            looked_at |= self.loosely.at_entry(entry).keys() | self.know.checked[entry].keys()
        return in_state(self.region, self.know) - looked_at

    def _home(self, slot: Slot) -> str:
        if slot in self.stay:
            return self._at(self.places[slot][0])
        return f"%R.{slot[0]}.{slot[1]}"

    def _bits(self, slot: Slot) -> int:
        return 8 * self.places[slot][1]

    def _at(self, offset: int) -> str:
        return self.points.setdefault(offset, f"%S.{offset}")

    def st(self, field: str) -> str:
        """A pointer to a field of the thread's state."""
        return self._at(ST[field])

    def read(self, slot: Slot) -> str:
        """A register's value here."""
        value = self.current.get(slot)
        if value is None:
            value = self.current[slot] = self._from_home(slot)
        return value

    def _from_home(self, slot: Slot) -> str:
        """A register's value out of its home, where it may be loose."""
        value = self.ins(f"load i{self._bits(slot)}, ptr {self._home(slot)}")
        bits = self.home_loose.get(slot)
        if bits == 64:
            self.loose[value] = Loose(to_float(self, value, 64), 64, lambda canonical: canonical)
        elif bits == 32:
            number = to_float(self, self.ins(f"trunc i64 {value} to i32"), 32)

            def box(canonical: str) -> str:
                return self.ins(f"or i64 {self.ins(f'zext i32 {canonical} to i64')}, {BOX}")

            self.loose[value] = Loose(number, 32, box)
        return value

    # -- blocks
    def _block(self, block: Block) -> None:
        self.block = block
        self.current, self.written = {}, set()
        self.stale = set(self.know.dirty[block.start] - self.stay)
        self.checked = Checked(self.isa, self.know.checked[block.start])
        self.start(_label(block.start))
        self.forget()
        self.home_loose = dict(self.loosely.blocks[block.start])
        if block.start in self.heads:
            self._safepoint(block.start)
            self._strip(block)
        if self.counted:
            left = self.ins(f"sub i64 {self.ins('load i64, ptr %B')}, {len(block.insns)}")
            self.do(f"store i64 {left}, ptr %B")
        for number, placed in enumerate(block.insns):
            self.placed = placed
            self.undone = len(block.insns) - number
            self.values = {}
            self.emit(placed.trace.ops)
            self.checked.walk(placed)
        last = block.insns[-1]
        flow = block.flow
        if any(sets_round(op) for op in last.trace.ops):
            self.exit(str(last.next_pc))
        elif not flow.ends or flow.conditional:
            self.go(last.next_pc)

    def _safepoint(self, pc: int) -> None:
        go, stop = self.fresh_label("run"), self.fresh_label("stop")
        self.undone = 0  # the block is counted behind its safepoint
        self.do(f"{_POINT} to label %{go} [label %{stop}]")
        self.start(stop)
        saved = dict(self.current)
        with self.aside():
            self.leave("STOP", pc, live_at=pc)
        self.current = saved
        self.start(go)

    def _strip(self, block: Block) -> None:
        """Many iterations at once, where the loop is hot and of that kind, and nobody can see single ones."""
        if self.precise or self.rounded or block.start not in self.region.hot:
            return
        strip = affine.find(self.isa, block, self.know.effects)
        if strip is None or any(slot in self.home_loose for slot in strip.steps):
            return
        self.strips += 1
        StripEmitter(self, strip).build()
        self.forget()
        self.walled = ""
        self.home_loose = dict(self.loosely.blocks[block.start])

    def flush(self, targets: list[int]) -> None:
        """Put what this block wrote into the registers' homes, for the blocks behind it."""
        exact = self._settled_slots(targets)
        slots = sorted(self.written | set(exact))
        known = dict(zip(exact, self.settle([self.read(slot) for slot in exact]), strict=True))
        for slot in slots:
            value = known.get(slot, self.current[slot])
            self.do(f"store i{self._bits(slot)} {value}, ptr {self._home(slot)}")
        self.stale -= self.stay

    def _settled_slots(self, targets: list[int]) -> list[Slot]:
        """Registers that are loose here, and that one of the blocks that come next takes for exact."""
        assert self.block is not None
        found = []
        for slot in sorted(self.written | self.home_loose.keys()):
            value = self.current.get(slot)
            loose = None if value is None else self.loose.get(value)
            bits = self.home_loose.get(slot) if value is None else loose.bits if loose else None
            if bits and any(
                self.loosely.blocks[t].get(slot) != bits and self._seen(slot, t) for t in targets
            ):
                found.append(slot)
        return found

    def _seen(self, slot: Slot, target: int) -> bool:
        """Whether anybody may look at a register in a block or behind it."""
        return self.whole or slot in self.know.live[target]

    def sync(self, live_at: int | None = None) -> None:
        """Store dirty registers in the state: all, or those that are live at an instruction."""
        assert self.block is not None
        dirty = set(self.stale)
        if live_at is not None and not self.whole:
            dirty &= self.know.live[live_at]
        slots = sorted(dirty)
        # What is read here is not remembered: this may be a block beside the one that goes on.
        values = [self.current.get(slot) or self._from_home(slot) for slot in slots]
        for slot, value in zip(slots, self.settle(values, leaving=True), strict=True):
            offset, _ = self.places[slot]
            self.do(f"store i{self._bits(slot)} {value}, ptr {self._at(offset)}")

    def account(self, undone: int) -> None:
        """Counted mode: bring the counts up to date before leaving, the block's last instructions not done."""
        if not self.counted:
            return
        left = self.ins(f"add i64 {self.ins('load i64, ptr %B')}, {undone}")
        before = self.ins(f"load i64, ptr {self.st('budget')}")
        now = self.ins("call i64 @llvm.readcyclecounter()")
        self.do(f"store i64 {left}, ptr {self.st('budget')}")
        for field, last, first in (("unit_insns", before, left), ("unit_ticks", now, "%since")):
            spent = self.ins(f"sub i64 {last}, {first}")
            total = self.ins(f"add i64 {self.ins(f'load i64, ptr {self.st(field)}')}, {spent}")
            self.do(f"store i64 {total}, ptr {self.st(field)}")

    def save(self) -> None:
        """Precise mode: before an access, make the state what the guest may see if it faults.

        The stores are volatile, as accesses are, so neither is moved across the other.
        """
        if not self.precise:
            return
        assert self.placed is not None
        slots = sorted(self.stale)
        values = self.settle([self.read(slot) for slot in slots])
        for slot, value in zip(slots, values, strict=True):
            self.do(f"store volatile i{self._bits(slot)} {value}, ptr {self._at(self.places[slot][0])}")
        self.do(f"store volatile i64 {self.placed.pc}, ptr {self.st('pc')}")
        self.stale.clear()

    def go(self, target: int) -> None:
        """End the block by going on at a known guest address."""
        if target in self.region.blocks:
            self.flush([target])
            self.do(f"br label %{_label(target)}")
        else:
            self.exit(str(target))

    def exit(self, target: str) -> None:
        """End the block by leaving the region for a guest address, through its code slot."""
        known = literal(target)
        if known is not None and known in self.region.unmet:
            self._to_door(known)
            return
        self.sync()
        self.account(0)
        if known is not None and known >> 63 == 0:
            # What lies beyond a region's end is as hot as a loop.
            self._count(known, target)
        self._away(target)

    def _to_door(self, target: int) -> None:
        """Leave for where nobody has ever gone: all such ways lead through doors, one for all with the same registers
        to store. Most exits are of this kind, and each by itself would be half as long as what it leaves.
        """
        slots = sorted(self.stale)
        moved = [slot for slot in slots if slot in self.written or slot in self.home_loose]
        values = self.settle(
            [self.current.get(slot) or self._from_home(slot) for slot in moved], leaving=True
        )
        for slot, value in zip(moved, values, strict=True):
            self.do(f"store i{self._bits(slot)} {value}, ptr {self._home(slot)}")
        stored = frozenset(slots) - self.stay
        ways = self.doors.setdefault(stored, [])
        self.do(f"br label %door{list(self.doors).index(stored)}")
        ways.append((self.label, target))

    def _door(self, number: int, slots: frozenset[Slot], ways: list[tuple[str, int]]) -> None:
        """What is behind a door: the registers are in their homes. What was left out belongs inside after all."""
        self.start(f"door{number}")
        self.forget()
        self.home_loose = {}
        self.current = {}
        self.stale = set(slots)
        values = ", ".join(f"[ {pc - self.region.entry}, %{label} ]" for label, pc in ways)
        self.do(f"%door{number}.here = phi i64 {values}")
        target = self.ins(f"add i64 %door{number}.here, {self.region.entry}")
        self.sync()
        self.account(0)
        self._count(self.region.entry, target)
        self._away(target)

    def _away(self, target: str) -> None:
        """Leave for a guest address, the state being in order."""
        base = self.ins(f"load ptr, ptr {self.st('slot_base')}")
        known = literal(target)
        offset = (
            str(known << layout.SLOT_SHIFT)
            if known is not None
            else self.ins(f"shl i64 {target}, {layout.SLOT_SHIFT}")
        )
        # The jump itself succeeds; it is the fetch at its target that faults.
        inside = self.ins(f"icmp ult i64 {target}, %limit")
        go = self.fresh_label("in")
        self.gone.append((self.label, target))
        self.do(f"br i1 {inside}, label %{go}, label %gone, {LIKELY}")
        self.start(go)
        slot = self.ins(f"getelementptr i8, ptr {base}, i64 {offset}")
        hb = self.ins(f"load ptr, ptr {self.st('hbase')}")
        budget = self.ins(f"load i64, ptr {self.st('budget')}")
        distance = self.ins(f"load i32, ptr {slot}")
        handler = self.ins(f"getelementptr i8, ptr {hb}, i64 {self.ins(f'sext i32 {distance} to i64')}")
        self.do(
            f"musttail call preserve_nonecc void {handler}(ptr %st, ptr %mem, ptr {slot}, ptr {hb}, i64 {budget})"
        )
        self.do("ret void")

    def leave(self, reason: str, pc: int, *, live_at: int | None = None) -> None:
        """End the block by returning to Python."""
        self.sync(live_at)
        self.account(self.undone - (reason == "FLUSH"))
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i32 {layout.REASONS.index(reason)}, ptr {self.st('reason')}")
        self.do("ret void")

    def leave_for_call(self, pc: int) -> None:
        """End the block with a system call: native code of the interpreter's makes it, or leaves."""
        self.sync()
        self.account(self.undone - 1)
        base = self.ins(f"load ptr, ptr {self.st('slot_base')}")
        slot = self.ins(f"getelementptr i8, ptr {base}, i64 {pc << layout.SLOT_SHIFT}")
        hb, way = (self.ins(f"load ptr, ptr {self.st(name)}") for name in ("hbase", "leave_syscall"))
        budget = self.ins(f"load i64, ptr {self.st('budget')}")
        self.do(
            f"musttail call preserve_nonecc void {way}(ptr %st, ptr %mem, ptr {slot}, ptr {hb}, i64 {budget})"
        )
        self.do("ret void")

    def leave_golden(self) -> None:
        """The golden evaluator must do the current instruction."""
        assert self.placed is not None
        self.leave("GOLDEN", self.placed.pc, live_at=self.placed.pc)

    # -- ops
    def op_get(self, op: Val, args: list[str]) -> str:
        """A register."""
        slot = self._slot(op)
        if slot == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        if slot == FP_ROUND:
            self.round_used = True
            return "%round" if self.rounded else "0"
        if is_zero(self.isa, slot):
            return "0"
        value = self.read(slot)
        return (
            value
            if op.bits == self._bits(slot)
            else self.ins(f"trunc i{self._bits(slot)} {value} to i{op.bits}")
        )

    op_getx = op_get

    def op_set(self, op: Val, args: list[str]) -> None:
        """A register."""
        slot, value, bits = self._slot(op), args[-1], op.args[-1].bits
        if slot == FP_FLAGS:
            self.call("void", "pv_write_flags", f"i5 {value}")
            return
        if slot == FP_ROUND:
            self.call("void", "pv_write_round", "ptr %st", f"i3 {value}")
            return
        if is_zero(self.isa, slot):
            return
        if bits != self._bits(slot):
            value = self.ins(f"zext i{bits} {value} to i{self._bits(slot)}")
        self.stale.add(slot)
        if self.nested:
            # Inside a `when` the register's home is its only place, so that both ways meet there.
            (value,) = self.settle([value])
            self.do(f"store i{self._bits(slot)} {value}, ptr {self._home(slot)}")
            self.home_loose.pop(slot, None)
            return
        self.current.pop(slot, None)  # so that the last one written is the last one
        self.current[slot] = value
        self.written.add(slot)

    op_setx = op_set

    def op_counter(self, op: Val, args: list[str]) -> str:
        """Counters of the processor; retired instructions are known only to tier 0, nanoseconds to golden."""
        if op.attr != "cycle":
            done = self.fresh_label("dead")
            self.leave_golden()
            self.start(done)
            return "0"
        return self.call("i64", "llvm.readcyclecounter")

    def address_for(self, op: Val, value: str, size: int, *, write: bool) -> str:
        """Compare the base register with the limit unless that was done on every way here; guards take the rest."""
        assert self.placed is not None
        form = base_of(op, self.placed.decoded.fields, self.placed.pc)
        base, distance, known = value, 0, False
        if form is not None and not is_zero(self.isa, form[0]):
            slot, distance = form
            base = self.read(slot)
            known = self.checked.covers(slot, distance, 16)
            if not known and not self.nested:
                self.checked.check(slot)
        if not known:
            outside = self.ins(f"icmp uge i64 {base}, %limit")
            if self.precise:
                self.unlikely(outside, self.leave_golden)
            else:
                self._outside(outside, base, distance, write=write)
        self.save()
        # In two steps, both here: so the distance becomes part of the access's own addressing mode.
        pointer = self.ins(f"getelementptr i8, ptr %mem, i64 {base}")
        if distance:
            pointer = self.ins(f"getelementptr i8, ptr {pointer}, i64 {distance}")
        if self.label != self.walled:
            self._wall()
        return pointer

    def _wall(self) -> None:
        """No instruction at all: what keeps LLVM from making one access of two in different blocks, or of the copies of
        one, which would lose their places. It seems to write a field of the state that is no business of units.
        """
        assert self.placed is not None
        if self.precise:
            return
        self.do(
            f'call void asm sideeffect "{wall(self.placed.pc)}", "=*m"(ptr elementtype(i32) {self.st("tid")}) '
            "nomerge nounwind willreturn memory(argmem: readwrite)"
        )
        self.walled = self.label

    def _outside(self, outside: str, base: str, distance: int, *, write: bool) -> None:
        """Fast mode: a base outside the space ends the guest. No page is mapped so near its ends that the distance from
        the base could lead back inside, and nobody can look at registers: all such places share one way out.
        """
        assert self.placed is not None
        go = self.fresh_label("go")
        here = self.placed.pc - self.region.entry
        self.wild.append((self.label, here, base, distance, layout.WRITE if write else layout.READ))
        self.do(f"br i1 {outside}, label %wild, label %{go}, {UNLIKELY}")
        self.start(go)

    def _wild(self) -> None:
        """The way out of all of them. Small numbers only come from there: large ones would be made beforehand."""
        if not self.wild:
            return
        self.start("wild")
        kinds = (("here", "i64", 1), ("base", "i64", 2), ("distance", "i64", 3), ("access", "i32", 4))
        for name, kind, column in kinds:
            values = ", ".join(f"[ {entry[column]}, %{entry[0]} ]" for entry in self.wild)
            self.do(f"%wild.{name} = phi {kind} {values}")
        self.account(0)
        pc = self.ins(f"add i64 %wild.here, {self.region.entry}")
        self._fault(pc, self.ins("add i64 %wild.base, %wild.distance"), "%wild.access")

    def _gone(self) -> None:
        """The way out of all jumps to a place outside the space."""
        if not self.gone:
            return
        self.start("gone")
        values = ", ".join(f"[ {target}, %{label} ]" for label, target in self.gone)
        self.do(f"%gone.pc = phi i64 {values}")
        self._fault("%gone.pc", "%gone.pc", str(layout.FETCH))

    def _fault(self, pc: str, address: str, access: str) -> None:
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i64 {address}, ptr {self.st('value')}")
        self.do(f"store i32 {access}, ptr {self.st('access')}")
        self.do(f"store i64 11, ptr {self.st('cause')}")
        self.do(f"store i32 {layout.FAULT}, ptr {self.st('reason')}")
        self.do("ret void")

    def _mark(self) -> str:
        assert self.placed is not None
        if self.precise:
            return ""
        self.marked.add(self.placed.pc)
        number = 2 + 2 * len(self.metadata)
        self.metadata.append(
            f'!{number} = !{{!"pvq", !{number + 1}}}\n!{number + 1} = !{{i64 {self.placed.pc}}}'
        )
        return f", !pcsections !{number}"

    def op_load(self, op: Val, args: list[str]) -> str:
        """A guest load, its place noted for the signal handler."""
        value = super().op_load(op, args)
        self.lines[-1] += self._mark()
        self._wall()
        self._keep(value, op.bits)
        return value

    def _keep(self, value: str, bits: int) -> None:
        """Have LLVM take a loaded value for used: where it lost the place of a load, and where it may. That is when it
        makes one instruction of a load and the arithmetic that alone uses its value, and takes them apart again.
        """
        assert self.placed is not None
        if self.precise:
            return
        if self.placed.pc in self.kept or self._folds():
            self.do(f'call void asm sideeffect "", "r"(i{bits} {value})')

    def _folds(self) -> bool:
        assert self.placed is not None
        assert self.block is not None
        number = len(self.block.insns) - self.undone
        for slot in self.know.effects[self.placed.pc].writes:
            user = used_once(self.know, self.region, self.block, number, slot)
            if user is not None and slot[0] in self.general and combines(user, slot):
                return True
        return False

    def op_store(self, op: Val, args: list[str]) -> None:
        """A guest store, its place noted."""
        super().op_store(op, args)
        self.lines[-1] += self._mark()
        self._wall()

    def op_amo(self, op: Val, args: list[str]) -> str:
        """An atomic operation, the places of its accesses noted."""
        first = len(self.lines)
        value = super().op_amo(op, args)
        for number in range(first, len(self.lines)):
            if "= atomicrmw volatile" in self.lines[number]:
                self.lines[number] += self._mark()
        self._wall()
        self._keep(value, op.bits)
        return value

    def op_cas(self, op: Val, args: list[str]) -> str:
        """A compare and swap, its place noted."""
        value = super().op_cas(op, args)
        self.lines[-2] += self._mark()
        self._wall()
        self._keep(value, op.bits)
        return value

    def op_if(self, op: Val, args: list[str]) -> None:
        """A structured branch; a body that jumps, traps or calls the system does not come back."""
        assert self.block is not None
        assert self.placed is not None
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        last = body[-1].op if body else ""
        condition = literal(args[0])
        if condition is not None and not condition & 1:
            return
        then, after = self.fresh_label("then"), self.fresh_label("after")
        ends = last in ("jump", "trap", "syscall", "flush")
        inside = [slot_of(o, self.placed.decoded.fields) for o in body if o.op in ("set", "setx")]
        for slot in inside:
            # Written on one of two ways: from here on the home holds it.
            if slot is not None and slot in self.places and not is_zero(self.isa, slot):
                (value,) = self.settle([self.read(slot)])
                self.do(f"store i{self._bits(slot)} {value}, ptr {self._home(slot)}")
                self.home_loose.pop(slot, None)
        self.do(f"br i1 {args[0]}, label %{then}, label %{after}{', ' + UNLIKELY if last == 'trap' else ''}")
        self.start(then)
        saved = dict(self.current), set(self.written), set(self.stale)
        self.nested += 1
        with self.aside():
            self.emit(body)
        self.nested -= 1
        self.current, self.written = saved[:2]
        self.stale |= saved[2]  # what the body saved, the other way did not
        for slot in inside:
            if slot is not None and not is_zero(self.isa, slot):
                self.current.pop(slot, None)
        if not ends:
            self.do(f"br label %{after}")
        self.start(after)
        for slot in inside:
            if slot is not None and slot in self.places and not is_zero(self.isa, slot):
                self.read(slot)
                self.written.add(slot)

    def op_jump(self, op: Val, args: list[str]) -> None:
        """Go on elsewhere: inside the region, to a return site, or out."""
        assert self.block is not None
        known = literal(args[0])
        if known is not None:
            self.go(known & MASK)
            return
        flow = self.block.flow
        seen = self.region.returns.get(self.block.start, []) if flow.returns else flow.seen
        sites = [site for site in seen if site in self.region.blocks]
        if sites:
            self.flush(sites)
            away = self.fresh_label("away")
            cases = " ".join(f"i64 {site}, label %{_label(site)}" for site in sites)
            self.do(f"switch i64 {args[0]}, label %{away} [ {cases} ]")
            self.start(away)
        self.sync()
        self.account(0)
        if not flow.returns:
            # What was seen before and is none of the region's has one of its own, or will: nothing to be learnt.
            familiar, new = self.fresh_label("familiar"), self.fresh_label("new")
            cases = " ".join(f"i64 {target}, label %{familiar}" for target in seen if target not in sites)
            self.do(f"switch i64 {args[0]}, label %{new} [ {cases} ]")
            self.start(new)
            self._note_target(args[0])
            self.do(f"br label %{familiar}")
            self.start(familiar)
        self._away(args[0])

    def _note_target(self, target: str) -> None:
        """Log where a dynamic jump went that the region did not know, and ask for a better region when it goes on."""
        assert self.placed is not None
        log_target(self, str(self.placed.pc), target)
        self._count(self.region.entry, target)

    def _count(self, hot_pc: int, target: str) -> None:
        """Leave with HOT once in a while, `hot_pc` being what is to be compiled; the state is in order."""
        counters = self.ins(f"load ptr, ptr {self.st('counters')}")
        counter = self.ins(f"getelementptr i32, ptr {counters}, i64 {(hot_pc >> 1) % COUNTERS}")
        left = self.ins(f"sub i32 {self.ins(f'load i32, ptr {counter}')}, 1")
        self.do(f"store i32 {left}, ptr {counter}")

        def hot() -> None:
            self.do(f"store i64 {target}, ptr {self.st('pc')}")
            self.do(f"store i64 {hot_pc}, ptr {self.st('hot_pc')}")
            self.do(f"store i32 {layout.HOT}, ptr {self.st('reason')}")
            self.do("ret void")

        self.unlikely(self.ins(f"icmp eq i32 {left}, 0"), hot)

    def op_trap(self, op: Val, args: list[str]) -> None:
        """Leave with an exception."""
        assert self.placed is not None
        self.do(f"store i64 {self.isa.causes.index(str(op.attr))}, ptr {self.st('cause')}")
        self.do(f"store i64 {args[0]}, ptr {self.st('value')}")
        self.leave("TRAP", self.placed.pc)

    def op_syscall(self, op: Val, args: list[str]) -> None:
        """Leave for a system call."""
        assert self.placed is not None
        self.leave_for_call(self.placed.pc)

    def op_flush(self, op: Val, args: list[str]) -> None:
        """Leave so that decoded code can be dropped."""
        assert self.placed is not None
        self.leave("FLUSH", self.placed.next_pc)


def wall(pc: int) -> str:
    """The comment that marks what is left of an instruction's accesses in LLVM's text."""
    return f"/* {pc:x} */"


def _label(pc: int) -> str:
    return f"L{pc:x}"


def _gate(pc: int) -> str:
    return f"G{pc:x}"


def module(isa: Isa, region: Region, name: str = "unit", *, kind: str = "") -> str:
    """The LLVM text of a region's unit."""
    return RegionEmitter(isa, region, kind=kind).text(name)
