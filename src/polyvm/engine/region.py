"""Tier 2: a region of guest code as one LLVM function, guest registers in SSA values, loops inside.

Walks blocks and instructions and finishes the function; `engine.leaving` says where the registers live and how control
leaves. Makes text; `engine.worker` compiles it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polyvm.emit import llvm_float
from polyvm.emit.llvm import LIKELY, METADATA, UNLIKELY
from polyvm.emit.llvm_float_env import NAN_BITS
from polyvm.engine import affine, alignment, exclusive, layout, words
from polyvm.engine.discover import Block, Region, Slot, loop_heads, sets_round, slot_of
from polyvm.engine.interpreter import log_target
from polyvm.engine.layout import ST
from polyvm.engine.leaving import LeavingEmitter
from polyvm.engine.liveness import Checked, base_of, combines, is_zero, used_once
from polyvm.engine.looseness import BOX
from polyvm.engine.placed import literal
from polyvm.engine.strip import PAGE, StripEmitter
from polyvm.engine.words import Word
from polyvm.ir.ops import EXCLUSIVE, FP_FLAGS, FP_MODE
from polyvm.ir.values import Val
from polyvm.isa.spec import Isa

MASK = (1 << 64) - 1
SIGNATURE = (
    f"(ptr noalias align 4096 dereferenceable({layout.STATE_SIZE}) %st, ptr noalias %mem, "
    "ptr %ip, ptr %hb, i64 %budget)"
)

REACH = 1 << 38
"""Known addresses below are not compared with the limit: where a space is smaller, the region is not used."""
INFINITY_BITS = {32: 0x7F80_0000, 64: 0x7FF0_0000_0000_0000}


class RegionEmitter(LeavingEmitter):
    """One region's function."""

    def __init__(self, isa: Isa, region: Region, *, kind: str = "") -> None:
        region, self.found = alignment.settled(region)
        super().__init__(isa, region, kind=kind)
        self.round_used = False
        self.heads = loop_heads(region)
        self.general = {file for file, _ in isa.links}  # the file of general registers
        self.checked = Checked(isa, {})
        self.nested = 0
        self.metadata: list[str] = []
        self.marked: set[int] = set()  # addresses of instructions whose accesses are noted
        self.kept: frozenset[int] = frozenset()  # those whose results LLVM must not take for unused
        self.strips = 0
        self.words: dict[int, Word] = {}  # of the block, by the addresses of their loads
        self.wholes: dict[int, str] = {}  # those that were loaded, by the address of their first load
        self.walled = ""  # the label behind which there is a wall already
        self.reach = 0  # an address space must be so large: known addresses are not compared with its limit

    def text(self, name: str) -> str:
        """The module's text: the function and what it refers to."""
        self.start("entry")
        for slot in self.know.used:
            if slot not in self.stay:
                self.do(f"{self.home(slot)} = alloca {self.type(slot)}")
        self.do(f"store i64 %budget, ptr {self.st('budget')}")
        if self.counted:
            self.do("%B = alloca i64")
            self.do("store i64 %budget, ptr %B")
            self.do("%since = call i64 @llvm.readcyclecounter()")
            self.declarations.add("declare i64 @llvm.readcyclecounter()")
        limit = self.ins(f"load i64, ptr {self.st('limit')}")
        self.lines[-1] = self.lines[-1].replace(limit, "%limit", 1)
        self._look_for_stop()
        entry = len(self.lines)
        self._enter()
        for pc in self.region.entries:
            self._gate(pc)
        for block in self.region.blocks.values():
            self._block(block)
        self.shared_ways()
        rounding = self._rounding()
        points = [f"{name} = getelementptr i8, ptr %st, i64 {offset}" for offset, name in self.points.items()]
        body = "\n".join([self.lines[0], *points, *self.lines[1:entry], *rounding, *self.lines[entry:]])
        declarations = "\n".join(d for d in sorted(self.declarations) if "@pv_" not in d)
        runtime = llvm_float.RUNTIME.replace("FP_MODE", str(ST["fp_mode"])) if any(
            "@pv_" in d for d in self.declarations) else ""  # fmt: skip
        return (
            f"{declarations}\n{runtime}\ndefine preserve_nonecc void @{name}{SIGNATURE} #0 {{\n{body}\n}}\n"
            'attributes #0 = { nounwind strictfp "no-builtins" }\n'
            + METADATA
            + "\n".join(self.metadata)
            + "\n"
        )

    def _look_for_stop(self) -> None:
        """Units that are chained in a circle, without a loop in any, pass here. A thread that is stopped before is run
        on to here in the unit's shadow.
        """
        wanted = self.ins(f"load volatile i32, ptr {self.st('stop')}")
        self.unlikely(self.ins(f"icmp ne i32 {wanted}, 0"), self._stop_here)

    def _stop_here(self) -> None:
        self.do(f"store i64 {self.ins(f'lshr i64 {self._here()}, {layout.SLOT_SHIFT}')}, ptr {self.st('pc')}")
        self.do(f"store i32 {layout.STOP}, ptr {self.st('reason')}")
        self.do("ret void")

    def _here(self) -> str:
        """The distance of the slot that led here: as the slot may change at any time, what it says does not count."""
        base = self.ins(f"load i64, ptr {self.st('slot_base')}")
        return self.ins(f"sub i64 {self.ins('ptrtoint ptr %ip to i64')}, {base}")

    def _enter(self) -> None:
        entries = self.region.entries
        if len(entries) == 1:
            self.do(f"br label %{_gate(entries[0])}")
            return
        cases = " ".join(f"i64 {pc << layout.SLOT_SHIFT}, label %{_gate(pc)}" for pc in entries[1:])
        self.do(f"switch i64 {self._here()}, label %{_gate(entries[0])} [ {cases} ]")

    def _gate(self, pc: int) -> None:
        """An entry: take the registers that matter from the state, and look whether they are what the block takes them
        for. Another NaN than the canonical one, no box, an address outside the space, or one that is not aligned is
        golden's to go on with.
        """
        self.start(_gate(pc))
        looked_at = self.loosely.at_entry(pc)
        values = {}
        for slot in sorted((self.know.needed[pc] | looked_at.keys()) - self.stay):
            values[slot] = self.take_from(slot, self._at(self.places[slot][0]))
            self.put(slot, values[slot], self.home(slot))
        odds = [self._odd(values[slot], bits) for slot, bits in sorted(looked_at.items())]
        odds += [self.ins(f"icmp uge i64 {values[slot]}, %limit") for slot in sorted(self.know.checked[pc])]
        odds += [self._uneven(slot, bits, values) for slot, bits in sorted(self.found[pc].items())]
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

    def _uneven(self, slot: Slot, bits: int, values: dict[Slot, str]) -> str:
        """Whether some of a register's low bits are not zero."""
        value = values.get(slot) or self.take_from(slot, self._at(self.places[slot][0]))
        low = self.ins(f"and i{self._bits(slot)} {value}, {(1 << bits) - 1}")
        return self.ins(f"icmp ne i{self._bits(slot)} {low}, 0")

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

    def _rounding(self) -> list[str]:
        """What the entry does about the rounding mode: no instruction inside changes it, so it is looked at once."""
        if not self.round_used:
            return []
        lines = [f"  %round.32 = load i32, ptr {self.st('fp_mode')}"]
        if self.rounded:
            return [*lines, "  %round = trunc i32 %round.32 to i7"]
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
        self.words, self.wholes = {} if self.precise else words.find(self.isa, block, self.know.effects), {}
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

    def go(self, target: int) -> None:
        """End the block by going on at a known guest address."""
        if target in self.region.blocks:
            self.flush([target])
            self.do(f"br label %{_label(target)}")
        else:
            self.exit(str(target))

    # -- ops
    def op_get(self, op: Val, args: list[str]) -> str:
        """A register."""
        slot = self._slot(op)
        if slot == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        if slot == FP_MODE:
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
        if slot == FP_MODE:
            self.call("void", "pv_write_mode", "ptr %st", f"i7 {value}")
            return
        if is_zero(self.isa, slot):
            return
        if bits != self._bits(slot):
            value = self.ins(f"zext i{bits} {value} to i{self._bits(slot)}")
        self.stale.add(slot)
        if self.nested:
            # Inside a `when` the register's home is its only place, so that both ways meet there.
            (value,) = self.settle([value])
            self.put(slot, value, self.home(slot))
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
            if not known:
                self.checked.check(slot)
        self.save()
        number = literal(base)
        if number is not None and 0 <= number < REACH:
            self.reach = max(self.reach, number + 1)
            known = True
        if not known:
            outside = self.ins(f"icmp uge i64 {base}, %limit")
            if self.precise:
                self._beyond(outside)
            else:
                self._outside(outside, base, distance, write=write)
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
        self.do(
            f'call void asm sideeffect "{wall(self.placed.pc)}", "=*m"(ptr elementtype(i32) {self.st("tid")}) '
            "nomerge nounwind willreturn memory(argmem: readwrite)"
        )
        self.walled = self.label

    def _mark(self) -> str:
        assert self.placed is not None
        self.marked.add(self.placed.pc)
        number = 2 + 2 * len(self.metadata)
        self.metadata.append(
            f'!{number} = !{{!"pvq", !{number + 1}}}\n!{number + 1} = !{{i64 {self.placed.pc}}}'
        )
        return f", !pcsections !{number}"

    def op_load(self, op: Val, args: list[str]) -> str:
        """A guest load, its place noted for the signal handler; or the piece of a word that was loaded whole."""
        assert self.placed is not None
        word = self.words.get(self.placed.pc)
        if word is not None and self.placed.pc != word.first and self._reaches(op):
            return self._piece(word, op.bits)
        value = super().op_load(op, args)
        if word is not None and self.placed.pc == word.first:
            self._word(word, op, value)
            return self._piece(word, op.bits)
        return value

    def loaded(self, t: str, pointer: str) -> str:
        """One access, its place noted, and a wall behind it."""
        value = super().loaded(t, pointer)
        self._noted()
        self._keep(value, t)
        return value

    def loaded_lanes(self, t: str, pointer: str, mask: str) -> str:
        """One access, its place noted, and a wall behind it."""
        value = super().loaded_lanes(t, pointer, mask)
        self._noted()
        return value

    def stored_lanes(self, t: str, value: str, pointer: str, mask: str) -> None:
        """One access, its place noted, and a wall behind it."""
        super().stored_lanes(t, value, pointer, mask)
        self._noted()

    def stored(self, t: str, value: str, pointer: str) -> None:
        """One access, its place noted, and a wall behind it."""
        super().stored(t, value, pointer)
        self._noted()

    def touched(self, pointer: str) -> None:
        """One access, its place noted, and a wall behind it."""
        super().touched(pointer)
        self._noted()

    def _noted(self) -> None:
        self.lines[-1] += self._mark()
        self._wall()

    def _reaches(self, op: Val) -> bool:
        """Whether an access needs no comparison of its own."""
        assert self.placed is not None
        form = base_of(op, self.placed.decoded.fields, self.placed.pc)
        return form is not None and self.checked.covers(*form, 16)

    def _word(self, word: Word, op: Val, first: str) -> None:
        """Behind its first piece, load a word at once, where it is all in one page, so that nothing faults that the
        first did not, and apart from what else is loaded meanwhile; else the other pieces one by one.
        """
        assert self.placed is not None
        here, bits = self.placed, 8 * word.size
        form = base_of(op, here.decoded.fields, here.pc)
        assert form is not None
        base = self.read(form[0])
        start = self.ins(f"getelementptr i8, ptr %mem, i64 {base}")
        offset = self.ins(f"and i64 {self.ins(f'add i64 {base}, {word.low}')}, {PAGE - 1}")
        inside = self.ins(f"icmp ule i64 {offset}, {PAGE - word.size}")
        for slot, begin, end in word.between:
            room = end - begin + word.size - 1
            behind = self.ins(f"sub i64 {self.read(slot)}, {base}")
            behind = self.ins(f"add i64 {behind}, {end - 1 - word.low}")
            inside = self.ins(f"and i1 {inside}, {self.ins(f'icmp uge i64 {behind}, {room}')}")
        whole, apart, both = (self.fresh_label(stem) for stem in ("whole", "apart", "word"))
        self.do(f"br i1 {inside}, label %{whole}, label %{apart}, {LIKELY}")
        self.start(whole)
        one = self._directly(start, word.low, bits)
        self.do(f"br label %{both}")
        self.start(apart)
        total = ""
        for number, (placed, place) in enumerate(word.pieces):
            self.placed = placed
            value = self._directly(start, word.low + place, op.bits) if number else first
            part = self.ins(f"shl i{bits} {self.ins(f'zext i{op.bits} {value} to i{bits}')}, {8 * place}")
            total = self.ins(f"or i{bits} {total}, {part}") if number else part
        self.placed = here
        self.do(f"br label %{both}")
        self.start(both)
        self.wholes[word.first] = self.ins(f"phi i{bits} [ {one}, %{whole} ], [ {total}, %{apart} ]")

    def _directly(self, start: str, distance: int, bits: int) -> str:
        """A load of what is known to be in the space or in its guards."""
        assert self.placed is not None
        if self.label != self.walled:
            self._wall()
        pointer = self.ins(f"getelementptr i8, ptr {start}, i64 {distance}")
        value = super().loaded(f"i{bits}", pointer)
        self._noted()
        if self.placed.pc in self.kept:
            self._used(value, f"i{bits}")
        return value

    def _piece(self, word: Word, bits: int) -> str:
        """A piece of a word that was loaded."""
        assert self.placed is not None
        value, place = self.wholes[word.first], word.place(self.placed.pc)
        if place:
            value = self.ins(f"lshr i{8 * word.size} {value}, {8 * place}")
        return self.ins(f"trunc i{8 * word.size} {value} to i{bits}")

    def _keep(self, value: str, t: str) -> None:
        """Have LLVM take a loaded value for used: where it lost the place of a load, and where it may. That is when it
        makes one instruction of a load and the arithmetic that alone uses its value, and takes them apart again.
        """
        assert self.placed is not None
        if self.placed.pc in self.kept or self._folds():
            self._used(value, t)

    def _used(self, value: str, t: str) -> None:
        self.do(f'call void asm sideeffect "", "{"x" if t[0] == "<" else "r"}"({t} {value})')

    def _folds(self) -> bool:
        assert self.placed is not None
        assert self.block is not None
        number = len(self.block.insns) - self.undone
        for slot in self.know.effects[self.placed.pc].writes:
            user = used_once(self.know, self.region, self.block, number, slot)
            if user is not None and slot[0] in self.general and combines(user, slot):
                return True
        return False

    def op_amo(self, op: Val, args: list[str]) -> str:
        """An atomic operation, the places of its accesses noted."""
        value = super().op_amo(op, args)
        self._noted()
        self._keep(value, f"i{op.bits}")
        return value

    def op_cas(self, op: Val, args: list[str]) -> str:
        """A compare and swap, its place noted."""
        value = super().op_cas(op, args)
        self.lines[-2] += self._mark()
        self._wall()
        self._keep(value, f"i{op.bits}")
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
        ends = last in ("jump", "trap", "syscall", "reshape", "flush")
        inside = [slot_of(o, self.placed.decoded.fields) for o in body if o.op in ("set", "setx")]
        for slot in inside:
            # Written on one of two ways: from here on the home holds it.
            if slot is not None and slot in self.places and not is_zero(self.isa, slot):
                (value,) = self.settle([self.read(slot)])
                self.put(slot, value, self.home(slot))
                self.home_loose.pop(slot, None)
        self.do(
            f"br i1 {args[0]}, label %{then}, label %{after}{', ' + UNLIKELY if last in ('trap', 'reshape') else ''}"
        )
        self.start(then)
        with self.beside():
            self.emit(body)
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

    @contextmanager
    def beside(self) -> Iterator[None]:
        """One of several ways: what is read there is not known behind it, and what it saved, the others did not."""
        saved = dict(self.current), set(self.written), set(self.stale)
        checked = dict(self.checked.known)
        self.nested += 1
        with self.aside():
            yield
        self.checked.known = checked
        self.nested -= 1
        self.current, self.written = saved[:2]
        self.stale |= saved[2]

    def scratch(self, bits: int) -> str:
        """A place in the state."""
        return self.st("scratch")

    def op_hint(self, op: Val, args: list[str]) -> None:
        """Nothing to do, but where an exclusive section is to run alone."""
        if op.attr == EXCLUSIVE:
            exclusive.hint(self, self.st("alone"))

    def op_prefetch(self, op: Val, args: list[str]) -> None:
        """Have the host fetch the line, wherever it is: no access, and it cannot fault."""
        pointer = self.ins(f"getelementptr i8, ptr %mem, i64 {args[0]}")
        self.call("void", "llvm.prefetch.p0", f"ptr {pointer}", "i32 0", "i32 3", "i32 1")

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
