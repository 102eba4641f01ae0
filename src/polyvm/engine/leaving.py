"""How a region is left, and where the guest's registers live until then: what is stored before control leaves.

Control leaves only with every register that a guest can still read stored; stops are taken at loop heads, where a
stack of labels costs nothing until somebody asks. A precise region stores what changed before every access, so that a
fault shows the guest all its registers; the other kinds run while no guest handler and no debugger can look: whole
ones while none can at a fault, all others while none can at a stop either (docs/decisions/0003-two-modes.md,
0005-whole-stops.md). Knows no instruction and no order of blocks: that is `engine.region`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from polyvm.emit.deferred import Loose
from polyvm.emit.llvm import LIKELY, UNLIKELY
from polyvm.emit.llvm_float_env import to_float
from polyvm.engine import landing, layout
from polyvm.engine.discover import Block, Region, Slot
from polyvm.engine.homes import in_state
from polyvm.engine.layout import COUNTERS, ST
from polyvm.engine.liveness import Knowledge, analyse
from polyvm.engine.looseness import BOX, loose_on_entry
from polyvm.engine.placed import PlacedEmitter, literal
from polyvm.isa.spec import Isa

# A safepoint: a label, and in section pvp where to go when a stop was asked for. No instruction at all.
_POINT = (
    'callbr void asm sideeffect ".Lpvp${:uid}:\\0A.pushsection pvp,\\22a\\22\\0A'
    '.long .Lpvp${:uid}-., ${0:l}-.\\0A.popsection", "!i"()'
)


class LeavingEmitter(PlacedEmitter):
    """The registers of a region's function, and its ways out. Subclasses say what it does in between."""

    def __init__(self, isa: Isa, region: Region, *, kind: str = "") -> None:
        super().__init__(isa)
        self.region = region
        self.precise = layout.PRECISE in kind
        self.whole = self.precise or layout.WHOLE in kind
        self.counted = layout.COUNTED in kind
        self.rounded = layout.ROUNDED in kind
        self.places = isa.state_layout(layout.REGISTERS)
        self.loosely = loose_on_entry(isa, region)
        self.know: Knowledge = analyse(isa, region, precise=self.precise, rounded=self.rounded)
        self.stay = self._stay()
        self.points: dict[int, str] = {}  # offset in the state -> pointer, made once at the entry
        self.block: Block | None = None
        self.undone = 0  # instructions of the block from this one on: counted, but not done
        self.current: dict[Slot, str] = {}
        self.written: set[Slot] = set()
        self.stale: set[Slot] = set()  # registers whose value in the state is an older one, on some way here
        self.home_loose: dict[Slot, int] = {}
        self.gone: list[tuple[str, str]] = []  # (label, target)
        self.doors: dict[
            frozenset[Slot], list[tuple[str, int]]
        ] = {}  # what is stored -> ways there: (label, target)
        # (label, guest PC from the entry on, instructions undone)
        self.beyond: list[tuple[str, int, int]] = []
        # (label, guest PC from the entry on, base, distance, kind of access)
        self.wild: list[tuple[str, int, str, int, int]] = []

    # -- places
    def _stay(self) -> frozenset[Slot]:
        """The registers whose home is the state. Those that the entries look at are loaded anyway."""
        looked_at = {slot for known in self.loosely.blocks.values() for slot in known}
        for entry in self.region.entries:
            looked_at |= self.loosely.at_entry(entry).keys() | self.know.checked[entry].keys()
        return in_state(self.region, self.know) - looked_at

    def home(self, slot: Slot) -> str:
        """A pointer to where a register lives."""
        if slot in self.stay:
            return self._at(self.places[slot][0])
        return f"%R.{slot[0]}.{slot[1]}"

    def _bits(self, slot: Slot) -> int:
        return 8 * self.places[slot][1]

    def type(self, slot: Slot) -> str:
        """What a register's home holds: of a wide one a vector, or LLVM would keep it in two general registers."""
        bits = self._bits(slot)
        return f"i{bits}" if bits <= 64 else f"<{bits // 64} x i64>"

    def take_from(self, slot: Slot, pointer: str) -> str:
        """A register's value out of its home, or out of the state."""
        value = self.ins(f"load {self.type(slot)}, ptr {pointer}")
        if self._bits(slot) > 64:
            value = self.ins(f"bitcast {self.type(slot)} {value} to i{self._bits(slot)}")
        return value

    def put(self, slot: Slot, value: str, pointer: str, volatile: str = "") -> None:
        """Store a register's value there."""
        t = self.type(slot)
        if self._bits(slot) > 64:
            value = self.ins(f"bitcast i{self._bits(slot)} {value} to {t}")
        self.do(f"store {volatile}{t} {value}, ptr {pointer}")

    def _at(self, offset: int) -> str:
        return self.points.setdefault(offset, f"%S.{offset}")

    def st(self, field: str) -> str:
        """A pointer to a field of the thread's state."""
        return self._at(ST[field])

    def read(self, slot: Slot) -> str:
        """A register's value here."""
        value = self.current.get(slot)
        if value is None:
            value = self.current[slot] = self.from_home(slot)
        return value

    def from_home(self, slot: Slot) -> str:
        """A register's value out of its home, where it may be loose."""
        value = self.take_from(slot, self.home(slot))
        bits = self.home_loose.get(slot)
        if bits == 64:
            self.loose[value] = Loose(to_float(self, value, 64), 64, lambda canonical: canonical)
        elif bits == 32:
            number = to_float(self, self.ins(f"trunc i64 {value} to i32"), 32)

            def box(canonical: str) -> str:
                return self.ins(f"or i64 {self.ins(f'zext i32 {canonical} to i64')}, {BOX}")

            self.loose[value] = Loose(number, 32, box)
        return value

    def companions(self) -> Iterable[str]:
        """What was written last: it is often stored next."""
        return reversed(self.current.values())

    def flush(self, targets: list[int]) -> None:
        """Put what this block wrote into the registers' homes, for the blocks behind it."""
        exact = self._settled_slots(targets)
        slots = sorted(self.written | set(exact))
        known = dict(zip(exact, self.settle([self.read(slot) for slot in exact]), strict=True))
        for slot in slots:
            value = known.get(slot, self.current[slot])
            self.put(slot, value, self.home(slot))
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

    # -- the state in order
    def sync(self, live_at: int | None = None) -> None:
        """Store dirty registers in the state: all, or those that are live at an instruction."""
        assert self.block is not None
        dirty = set(self.stale)
        if live_at is not None and not self.whole:
            dirty &= self.know.live[live_at]
        slots = sorted(dirty)
        # What is read here is not remembered: this may be a block beside the one that goes on.
        values = [self.current.get(slot) or self.from_home(slot) for slot in slots]
        for slot, value in zip(slots, self.settle(values, leaving=True), strict=True):
            offset, _ = self.places[slot]
            self.put(slot, value, self._at(offset))

    def save(self) -> None:
        """Precise mode: before an access, make the state what the guest may see if it faults.

        The stores are volatile, as accesses are, so neither is moved across the other. The PC is in the table of
        accesses.
        """
        if not self.precise:
            return
        slots = sorted(self.stale)
        values = self.settle([self.read(slot) for slot in slots])
        for slot, value in zip(slots, values, strict=True):
            self.put(slot, value, self._at(self.places[slot][0]), "volatile ")
        self.stale.clear()

    def account(self, undone: int | str) -> None:
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

    # -- ways out
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
        values = self.settle([self.current.get(slot) or self.from_home(slot) for slot in moved], leaving=True)
        for slot, value in zip(moved, values, strict=True):
            self.put(slot, value, self.home(slot))
        stored = frozenset(slots) - self.stay
        ways = self.doors.setdefault(stored, [])
        self.do(f"br label %door{list(self.doors).index(stored)}")
        ways.append((self.label, target))

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
        inside = landing.lands(self, self.isa, target, "%limit")
        go = self.fresh_label("in")
        self.gone.append((self.label, target))
        self.do(f"br i1 {inside}, label %{go}, label %gone, {LIKELY}")
        self.start(go)
        slot = self.ins(f"getelementptr i8, ptr {base}, i64 {offset}")
        hb = self.ins(f"load ptr, ptr {self.st('hbase')}")
        budget = self.ins(f"load i64, ptr {self.st('budget')}")
        distance = self.ins(f"load i32, ptr {slot}")
        handler = self.ins(f"getelementptr i8, ptr {hb}, i64 {self.ins(f'sext i32 {distance} to i64')}")
        self._tail_call(handler, slot, hb, budget)

    def leave(self, reason: str, pc: int, *, live_at: int | None = None) -> None:
        """End the block by returning to Python."""
        self.sync(live_at)
        self.account(self.undone - (reason == "FLUSH"))
        self._return(reason, pc)

    def _return(self, reason: str, pc: int | str) -> None:
        """Return to Python, the state being in order."""
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i32 {layout.REASONS.index(reason)}, ptr {self.st('reason')}")
        self.do("ret void")

    def leave_golden(self) -> None:
        """The golden evaluator must do the current instruction."""
        assert self.placed is not None
        self.leave("GOLDEN", self.placed.pc, live_at=self.placed.pc)

    def leave_for_call(self, pc: int) -> None:
        """End the block with a system call: native code of the interpreter's makes it, or leaves."""
        self.sync()
        self.account(self.undone - 1)
        base = self.ins(f"load ptr, ptr {self.st('slot_base')}")
        slot = self.ins(f"getelementptr i8, ptr {base}, i64 {pc << layout.SLOT_SHIFT}")
        hb, way = (self.ins(f"load ptr, ptr {self.st(name)}") for name in ("hbase", "leave_syscall"))
        budget = self.ins(f"load i64, ptr {self.st('budget')}")
        self._tail_call(way, slot, hb, budget)

    def _tail_call(self, code: str, slot: str, hb: str, budget: str) -> None:
        """Become native code outside, which is handed what all of it takes."""
        self.do(
            f"musttail call preserve_nonecc void {code}(ptr %st, ptr %mem, ptr {slot}, ptr {hb}, i64 {budget})"
        )
        self.do("ret void")

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

    def _beyond(self, outside: str) -> None:
        """Precise mode: the evaluator goes on with an access whose base is outside the space. The state is in order for
        the access's own sake, so here, too, all such places share one way out.
        """
        assert self.placed is not None
        go = self.fresh_label("go")
        self.beyond.append((self.label, self.placed.pc - self.region.entry, self.undone))
        self.do(f"br i1 {outside}, label %beyond, label %{go}, {UNLIKELY}")
        self.start(go)

    # -- the blocks that ways out share
    def shared_ways(self) -> None:
        """The blocks that ways out share, made when all that lead there are."""
        for number, (slots, ways) in enumerate(self.doors.items()):
            self._door(number, slots, ways)
        self._wild()
        self._to_golden()
        self._gone()

    def _meet(self, name: str, kind: str, ways: Iterable[tuple[str, object]]) -> None:
        """Name a value of a block that several lead to: of each the value that it brings, by its label."""
        values = ", ".join(f"[ {value}, %{label} ]" for label, value in ways)
        self.do(f"%{name} = phi {kind} {values}")

    def _door(self, number: int, slots: frozenset[Slot], ways: list[tuple[str, int]]) -> None:
        """What is behind a door: the registers are in their homes. What was left out belongs inside after all."""
        self.start(f"door{number}")
        self.forget()
        self.home_loose = {}
        self.current = {}
        self.stale = set(slots)
        self._meet(f"door{number}.here", "i64", ((label, pc - self.region.entry) for label, pc in ways))
        target = self.ins(f"add i64 %door{number}.here, {self.region.entry}")
        self.sync()
        self.account(0)
        self._count(self.region.entry, target)
        self._away(target)

    def _wild(self) -> None:
        """The way out of all wild accesses. Small numbers only come from there: large ones would be made beforehand."""
        if not self.wild:
            return
        self.start("wild")
        kinds = (("here", "i64", 1), ("base", "i64", 2), ("distance", "i64", 3), ("access", "i32", 4))
        for name, kind, column in kinds:
            self._meet(f"wild.{name}", kind, ((entry[0], entry[column]) for entry in self.wild))
        self.account(0)
        pc = self.ins(f"add i64 %wild.here, {self.region.entry}")
        self._fault(pc, self.ins("add i64 %wild.base, %wild.distance"), "%wild.access")

    def _to_golden(self) -> None:
        """The way to the evaluator of all accesses outside the space, of a precise region."""
        if not self.beyond:
            return
        self.start("beyond")
        for name, column in (("here", 1), ("undone", 2)):
            self._meet(f"beyond.{name}", "i64", ((entry[0], entry[column]) for entry in self.beyond))
        self.account("%beyond.undone")
        self._return("GOLDEN", self.ins(f"add i64 %beyond.here, {self.region.entry}"))

    def _gone(self) -> None:
        """The way out of all jumps to a place outside the space."""
        if not self.gone:
            return
        self.start("gone")
        self._meet("gone.pc", "i64", self.gone)
        if self.isa.misaligned:
            self.unlikely(landing.between(self, self.isa, "%gone.pc"), lambda: self._misaligned("%gone.pc"))
        self._fault("%gone.pc", "%gone.pc", str(layout.FETCH))

    def _misaligned(self, pc: str) -> None:
        for field, value in (("pc", pc), ("value", pc), ("cause", landing.cause(self.isa))):
            self.do(f"store i64 {value}, ptr {self.st(field)}")
        self.do(f"store i32 {layout.TRAP}, ptr {self.st('reason')}")
        self.do("ret void")

    def _fault(self, pc: str, address: str, access: str) -> None:
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i64 {address}, ptr {self.st('value')}")
        self.do(f"store i32 {access}, ptr {self.st('access')}")
        self.do(f"store i64 11, ptr {self.st('cause')}")
        self.do(f"store i32 {layout.FAULT}, ptr {self.st('reason')}")
        self.do("ret void")
