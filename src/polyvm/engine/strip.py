"""Strips in text: many iterations of a loop at once, without checks, so that LLVM may make vectors of them.

Before the first, the pages that they touch are looked at, by accesses like the guest's own. Where one of these faults,
the loop goes on one iteration at a time and meets the fault where the guest does; so does a loop of few iterations.
The last iteration is never in a strip: it leaves every register as the guest expects it
(docs/decisions/0007-strips.md).
"""

from __future__ import annotations

from polyvm.emit.llvm_float_env import NAN_BITS, TYPE, to_float, to_pattern
from polyvm.engine.affine import Linear, Stream, Strip
from polyvm.engine.discover import Slot
from polyvm.engine.liveness import is_zero
from polyvm.engine.placed import PlacedEmitter, literal
from polyvm.ir.ops import FP_MODE
from polyvm.ir.values import Val

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from polyvm.engine.region import RegionEmitter

FEWEST, MOST = 24, 1 << 16
"""Iterations of a strip. Between two of them somebody may want the loop to stop."""
PAGE = 4096


class StripEmitter(PlacedEmitter):
    """Emits one strip into the text of the region that has the loop, at the loop's head."""

    def __init__(self, region: RegionEmitter, strip: Strip) -> None:
        super().__init__(region.isa)
        self.region = region
        self.strip = strip
        self.lines = region.lines
        self.declarations = region.declarations
        self.first: dict[Slot, str] = {}  # registers at the beginning of the first iteration
        self.current: dict[Slot, str] = {}
        self.pointers: dict[tuple[tuple[Slot, int], ...], str] = {}

    # -- text: the region's
    def name(self) -> str:
        """A fresh local name."""
        return self.region.name()

    def fresh_label(self, stem: str) -> str:
        """A fresh block label."""
        return self.region.fresh_label(stem)

    def start(self, label: str) -> None:
        """Begin a block."""
        self.region.start(label)
        self.label = label

    # -- the whole
    def build(self) -> None:
        """The strip, and a label behind it where the loop goes on by single iterations."""
        region, strip = self.region, self.strip
        scalar = self.fresh_label("scalar")
        for slot in strip.exposed:
            value = self.first[slot] = region.from_home(slot)
            if value in region.loose and slot not in strip.carried:
                self.loose[value] = region.loose[value]
            elif slot[0] not in region.general:
                (exact,) = region.settle([value], leaving=True)
                self.first[slot] = self._opaque(exact)
        count = self._iterations(scalar)
        singly = self.ins(f"load i32, ptr {region.st('singly')}")
        self._on(f"icmp ne i32 {singly}, 0", scalar)
        bounds = [self._bounds(stream, count, scalar) for stream in strip.streams]
        last = {slot: self._moved(slot, count) for slot in strip.steps}
        for slot in region.know.checked[strip.block.start]:
            if slot in last:
                self._on(f"icmp uge i64 {last[slot]}, %limit", scalar)
        self._look(bounds)
        self._loop(count)
        for slot, value in last.items():
            self.do(f"store i64 {value}, ptr {region.home(slot)}")
        for slot in strip.carried:
            self.do(f"store i64 {self.current[slot]}, ptr {region.home(slot)}")
        if region.counted:
            spent = self.ins(f"mul i64 {count}, {len(strip.block.insns)}")
            left = self.ins(f"sub i64 {self.ins('load i64, ptr %B')}, {spent}")
            self.do(f"store i64 {left}, ptr %B")
        self.do(f"br label %{scalar}")
        self.start(scalar)

    def _opaque(self, value: str) -> str:
        """A value that LLVM knows nothing about: what it does to constants it does not do to flags."""
        return self.ins(f'call i64 asm "", "=r,0"(i64 {value})')

    def _on(self, condition: str, away: str) -> None:
        """Go on unless a condition holds."""
        go = self.fresh_label("go")
        self.do(f"br i1 {self.ins(condition)}, label %{away}, label %{go}")
        self.start(go)

    def _value(self, form: Linear) -> str:
        """What a sum of registers is at the beginning."""
        total = str(form.number)
        for slot, times in form.terms:
            value = self.first[slot]
            part = value if times == 1 else self.ins(f"mul i64 {value}, {times}")
            total = part if total == "0" else self.ins(f"add i64 {part}, {total}")
        return total

    def _moved(self, slot: Slot, count: str) -> str:
        step = self.strip.steps[slot]
        return self.ins(f"add i64 {self.first[slot]}, {self.ins(f'mul i64 {count}, {step}')}")

    def _iterations(self, scalar: str) -> str:
        """How many iterations are followed by another, as far as a strip goes."""
        strip, move = self.strip, abs(self.strip.move)
        left, right = self._value(strip.left), self._value(strip.right)
        if strip.compare == "ne":
            ahead = (left, right) if strip.move < 0 else (right, left)
            distance = self.ins(f"sub i64 {ahead[0]}, {ahead[1]}")
            count = self.ins(f"udiv i64 {distance}, {move}")
            if move != 1:
                self._on(f"icmp ne i64 {self.ins(f'mul i64 {count}, {move}')}, {distance}", scalar)
        else:
            ended = {"slt": "sge", "sle": "sgt", "ult": "uge", "ule": "ugt"}[strip.compare]
            self._on(f"icmp {ended} i64 {left}, {right}", scalar)
            distance = self.ins(f"sub i64 {right}, {left}")
            if strip.compare in ("slt", "ult"):
                distance = self.ins(f"sub i64 {distance}, 1")
            count = self.ins(f"add i64 {self.ins(f'udiv i64 {distance}, {move}')}, 1")
        self._on(f"icmp ult i64 {count}, {FEWEST}", scalar)
        return self.call("i64", "llvm.umin.i64", f"i64 {count}", f"i64 {MOST}")

    def _bounds(self, stream: Stream, count: str, scalar: str) -> tuple[Stream, str, str]:
        """The first and the last byte that a stream touches; both are inside the guest's space."""
        first = self._value(Linear(stream.terms, 0))
        self.pointers[stream.terms] = self.ins(f"getelementptr i8, ptr %mem, i64 {first}")
        moved = self.ins(f"mul i64 {self.ins(f'sub i64 {count}, 1')}, {stream.step}")
        end = self.ins(f"add i64 {first}, {moved}")
        low, high = (first, end) if stream.step >= 0 else (end, first)
        low = self.ins(f"add i64 {low}, {stream.low}")
        high = self.ins(f"add i64 {high}, {stream.high - 1}")
        outside = self.ins(f"icmp uge i64 {high}, %limit")
        self._on(f"or i1 {outside}, {self.ins(f'icmp ugt i64 {low}, {high}')}", scalar)
        return stream, low, high

    # -- looking
    def _look(self, bounds: list[tuple[Stream, str, str]]) -> None:
        """Touch every page. The guest's registers are stored first: at a fault it goes on from here in another way."""
        region, block = self.region, self.strip.block
        region.sync(block.start)
        self.do(f"store volatile i32 1, ptr {region.st('looking')}")
        region.placed = block.insns[0]
        for stream, low, high in bounds:
            step = abs(stream.step)
            step = PAGE - PAGE % step if step else PAGE
            before, around, behind = region.label, self.fresh_label("look"), self.fresh_label("looked")
            self.do(f"br label %{around}")
            self.start(around)
            at, following = self.name(), self.name()
            self.do(f"{at} = phi i64 [ {low}, %{before} ], [ {following}, %{around} ]")
            self._touch(at, write=stream.write)
            self.do(f"{following} = add i64 {at}, {step}")
            more = self.ins(f"icmp ule i64 {following}, {high}")
            self.do(f"br i1 {more}, label %{around}, label %{behind}")
            self.start(behind)
            self._touch(high, write=stream.write)
        self.do(f"store volatile i32 0, ptr {region.st('looking')}")

    def _touch(self, address: str, *, write: bool) -> None:
        region = self.region
        pointer = self.ins(f"getelementptr i8, ptr %mem, i64 {address}")
        region._wall()
        # What changes nothing, but asks for the right to write.
        text = (
            f"cmpxchg volatile ptr {pointer}, i8 0, i8 0 monotonic monotonic, align 1"
            if write
            else f"load volatile i8, ptr {pointer}, align 1"
        )
        value = self.ins(text + region._mark())
        region.walled = ""
        region._wall()
        if not write:
            self.do(f'call void asm sideeffect "", "r"(i8 {value})')

    # -- the loop
    def _loop(self, count: str) -> None:
        before, around, behind = self.region.label, self.fresh_label("strip"), self.fresh_label("stripped")
        self.do(f"br label %{around}")
        self.start(around)
        number, following = self.name(), self.name()
        self.do(f"{number} = phi i64 [ 0, %{before} ], [ {following}, %{around} ]")
        carried = {slot: self.name() for slot in self.strip.carried}
        place = len(self.lines)
        self.current = {**self.first, **carried}
        for slot, step in self.strip.steps.items():
            moved = self.ins(f"mul i64 {number}, {step}")
            self.current[slot] = self.ins(f"add i64 {self.first[slot]}, {moved}")
        self.at = {
            terms: self.ins(
                f"getelementptr inbounds i8, ptr {pointer}, i64 "
                + self.ins(f"mul nsw i64 {number}, {self.strip.step(terms)}")
            )
            for terms, pointer in self.pointers.items()
        }
        self.accesses = iter(self.strip.accesses)
        for placed in self.strip.block.insns:
            self.placed = placed
            self.values = {}
            self.emit(placed.trace.ops)
        for slot, value in zip(carried, self.settle([self.current[slot] for slot in carried]), strict=True):
            self.current[slot] = value
        self.lines[place:place] = [
            f"  {name} = phi i64 [ {self.first[slot]}, %{before} ], [ {self.current[slot]}, %{around} ]"
            for slot, name in carried.items()
        ]
        self.do(f"{following} = add nuw nsw i64 {number}, 1")
        more = self.ins(f"icmp ult i64 {following}, {count}")
        self.do(f"br i1 {more}, label %{around}, label %{behind}")
        self.start(behind)

    # -- ops
    def op_get(self, op: Val, args: list[str]) -> str:
        """A register."""
        slot = self._slot(op)
        if slot == FP_MODE or is_zero(self.isa, slot):
            return "0"
        value = self.current[slot]
        bits = self.region._bits(slot)
        return value if op.bits == bits else self.ins(f"trunc i{bits} {value} to i{op.bits}")

    op_getx = op_get

    def op_set(self, op: Val, args: list[str]) -> None:
        """A register."""
        slot, value, bits = self._slot(op), args[-1], self.region._bits(self._slot(op))
        if not is_zero(self.isa, slot):
            if op.args[-1].bits != bits:
                value = self.ins(f"zext i{op.args[-1].bits} {value} to i{bits}")
            self.current[slot] = value

    op_setx = op_set

    def op_if(self, op: Val, args: list[str]) -> None:
        """The loop's own branch, which is known to be taken, or a trap that is known not to be."""

    def op_load(self, op: Val, args: list[str]) -> str:
        """A guest load."""
        return self.ins(f"load i{op.bits}, ptr {self._pointer()}, align 1")

    def op_store(self, op: Val, args: list[str]) -> None:
        """A guest store."""
        self.do(f"store i{op.args[1].bits} {args[1]}, ptr {self._pointer()}, align 1")

    def _pointer(self) -> str:
        at = next(self.accesses)
        return self.ins(f"getelementptr inbounds i8, ptr {self.at[at.terms]}, i64 {at.number}")

    def settle(self, values: Sequence[str], *, leaving: bool = False) -> list[str]:
        """Canonical patterns of values, without a branch."""
        return self._settle(values, leaving=True)

    def _select(self, numbers: list[str], bits: int) -> list[str]:
        """Canonical patterns, chosen among integers: of plain arithmetic's results LLVM takes one NaN for any other."""
        for number in numbers:
            pattern = to_pattern(self, number, bits)
            nan = self.ins(f"fcmp uno {TYPE[bits]} {number}, {number}")
            self._settled[number] = self.ins(f"select i1 {nan}, i{bits} {NAN_BITS[bits]}, i{bits} {pattern}")
        return []

    def _plain(self, op: Val, args: list[str]) -> str:
        """Arithmetic that LLVM may do on vectors: the same value, and the same flags in the end."""
        bits, t = op.bits, TYPE[op.bits]
        exact = [
            self.ins(f'call i{bits} asm sideeffect "", "=r,0"(i{bits} {arg})')
            if literal(arg) is not None
            else arg
            for arg in args
        ]
        numbers = [to_float(self, arg, bits) for arg in exact]
        if op.op == "fsqrt":
            return self.result(self.call(t, f"llvm.sqrt.f{bits}", f"{t} {numbers[0]}"), bits)
        return self.result(self.ins(f"{op.op} {t} {numbers[0]}, {numbers[1]}"), bits)

    op_fadd = op_fsub = op_fmul = op_fdiv = op_fsqrt = _plain
