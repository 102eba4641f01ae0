"""Tier 1: one stencil of host code for every instruction in every shape, to be copied and patched at run time.

A stencil is what tier 0 does for an instruction, but with holes where tier 0 looks into the code slot, and without
going through a slot to the next one: where it is done, the next stencil follows. Makes text; `engine.cut` takes the
compiled code apart, and `emit.patcher` puts it together again (docs/decisions/0006-stencils-from-slots.md).
"""

from __future__ import annotations

from polyvm.emit import patcher
from polyvm.emit.llvm import Emitter
from polyvm.engine import layout
from polyvm.engine.entries import WHOLE, Entry, Part, distance_field, handlers
from polyvm.engine.interpreter import SIGNATURE, Handler, Piece, declared
from polyvm.engine.layout import COUNTERS, WARM_FIRST
from polyvm.ir.trace import walk
from polyvm.ir.values import Val
from polyvm.isa.spec import Insn, Isa, Shape

SECTION = "pvs"
NEXT, BEGINNING, END = "pv_next", "s_beginning", "s_end"


class Stencil(Handler):
    """One instruction in one shape. forward: for jumps by a distance greater than zero."""

    def __init__(
        self, insn: Insn, shape: Shape, places: dict[tuple[str, int], tuple[int, int]], *, forward: bool
    ) -> None:
        super().__init__(insn, shape, places)
        self.forward = forward
        self.holes: dict[str, str] = {}  # symbol -> declaration
        distances = {distance_field(op.args[0]) for op in walk(self.trace.ops) if op.op == "jump"}
        self.immediate = any(lane.bits > 8 for name, lane in self.lanes.items() if name not in distances)

    def text(self, name: str, number: int | None = None) -> str:
        """The function."""
        self.start("entry")
        self.next_budget = "%next.budget"
        self.emit(self.trace.ops)
        if not self._ends():
            self.go_on()
        first = f"  %next.budget = add i64 %budget, {self.hole('spent')}"
        body = "\n".join([self.lines[0], first, *self.lines[1:]])
        return f'define preserve_nonecc void @{name}{SIGNATURE} #1 section "{SECTION}" {{\n{body}\n}}\n'

    def go_on(self) -> None:
        """The next stencil."""
        self.tail(f"@{NEXT}")

    # -- holes
    def hole(self, name: str, low: int = -(1 << 31), high: int = 1 << 31) -> str:
        """The constant that a hole is: a symbol of the name, in a range of numbers."""
        symbol = f"hole.{name}.{high - low:x}"  # its range is part of its name: a name has one declaration
        self.holes[symbol] = (
            f'@"{symbol}" = external hidden global i8, !absolute_symbol !{{i64 {low}, i64 {high}}}'
        )
        return f'ptrtoint (ptr @"{symbol}" to i64)'

    def lane(self, name: str) -> str:
        """A field as a number of 64 bits, extended as it is in its lane."""
        if self.lanes[name].signed:
            return self.hole(f"field.{name}")
        return self.hole(f"field.{name}", 0, 1 << self.lanes[name].bits)

    def op_field(self, op: Val, args: list[str]) -> str:
        """A data field."""
        return self.ins(f"trunc i64 {self.lane(str(op.attr))} to i{op.bits}")

    def _extend(self, op: Val, args: list[str], how: str) -> str:
        inner = op.args[0]
        if inner.op == "field" and self.lanes[str(inner.attr)].signed == (how == "sext"):
            wide = self.lane(str(inner.attr))
            if op.bits == 64:
                return wide
            return self.ins(f"{'trunc' if op.bits < 64 else how} i64 {wide} to i{op.bits}")
        return self.ins(f"{how} i{inner.bits} {args[0]} to i{op.bits}")

    def guest_pc(self, slot: str) -> str:
        """The guest address of the instruction."""
        assert slot == "%ip"
        symbol = "hole.pc"
        self.holes[symbol] = f"@{symbol} = external hidden global i8"
        return self.ins(f'call i64 asm "movabsq $1, $0", "=r,i"(ptr @{symbol})')

    def slot(self, hole: str = "here") -> str:
        """A pointer to the code slot of the instruction, or to another."""
        return self.ins(f"getelementptr i8, ptr %ip, i64 {self.hole(hole)}")

    # -- registers
    def op_getx(self, op: Val, args: list[str]) -> str:
        """A register named by a field, in an instruction of its own where a number is to stand in the next one."""
        pointer = self._register(str(op.attr), op.args[0], args[0])
        return self.ins(f"load {'volatile ' if self.immediate else ''}i{op.bits}, ptr {pointer}")

    def _register(self, file: str, index: Val, value: str, *, hole: str = "register") -> str:
        offset, size = self.places[file, 0]
        if index.op == "field":
            return self.ins(f"getelementptr i8, ptr %st, i64 {self.hole(f'{hole}.{file}.{index.attr}')}")
        number = self.ins(f"zext i{index.bits} {value} to i64")
        base = self.ins(f"getelementptr i8, ptr %st, i64 {offset}")
        return self.ins(f"getelementptr i{8 * size}, ptr {base}, i64 {number}")

    def op_setx(self, op: Val, args: list[str]) -> None:
        """A register named by a field; what a hardwired one is set to goes where nobody looks."""
        file = self.isa.files[str(op.attr)]
        if file.zero is not None and op.args[0].op != "field":
            super().op_setx(op, args)
            return
        place = self._register(file.name, op.args[0], args[0], hole="written")
        self.do(f"store i{file.bits} {args[1]}, ptr {place}")

    def op_counter(self, op: Val, args: list[str]) -> str:
        """A counter of the processor."""
        if op.attr == "instret":
            return self.ins(f"sub i64 {self.hole('before')}, %budget")
        return super().op_counter(op, args)

    # -- memory
    def address_for(self, op: Val, value: str, size: int, *, write: bool) -> str:
        """As tier 0, but for the budget, which the block's beginning stored, and a shared way out."""
        if not self.recorded:
            self.recorded = True
            self.do(f"store volatile ptr {self.slot()}, ptr {self.st('ip')}")
        outside = self.ins(f"xor i1 {self.address(value)}, true")
        self.unlikely(outside, lambda: self.to("pv_write" if write else "pv_read", self.slot(), value=value))
        return self.ins(f"getelementptr i8, ptr %mem, i64 {value}")

    # -- control
    def to(self, name: str, slot: str, *, budget: str = "%budget", value: str = "") -> None:
        """End the block in one of the pieces of code that all stencils share (shared())."""
        if value:
            self.do(f"store i64 {value}, ptr {self.st('value')}")
        self.tail(f"@{name}", slot, budget)

    def leave(self, reason: str, slot: str, budget: str) -> None:
        """End the block by leaving native code with the guest at a slot."""
        self.did(self.hole("before" if budget == "%budget" else "done"))
        if slot == "%ip":
            slot = self.slot()
        if budget == "%budget":
            budget = self.ins(f"add i64 %budget, {self.hole('undone')}")
        super().leave(reason, slot, budget)

    def op_jump(self, op: Val, args: list[str]) -> None:
        """Go elsewhere. Where that may close a loop, somebody may want us to stop."""
        field = distance_field(op.args[0])
        if field is None:
            self.to("pv_dynamic", self.slot(), budget=self.next_budget, value=args[0])
        else:
            way = "pv_forward" if self.forward else "pv_backward"
            self.to(way, self.slot(f"target.{field}"), budget=self.next_budget)

    def op_flush(self, op: Val, args: list[str]) -> None:
        """Leave so that decoded code can be dropped."""
        here = self.slot()
        slot = self.ins(f"getelementptr i8, ptr {here}, i64 {self.insn.size << layout.SLOT_SHIFT}")
        self.leave("FLUSH", slot, self.next_budget)

    def op_syscall(self, op: Val, args: list[str]) -> None:
        """Leave for a system call."""
        self.leave("SYSCALL", "%ip", self.next_budget)


class _Piece(Stencil):
    """What stands around the stencils of instructions."""

    def __init__(self) -> None:
        Emitter.__init__(self)
        self.holes = {}
        self.next_budget = "%next.budget"
        self.start("entry")

    def finish(self, name: str) -> str:
        """The function."""
        first = f"  %next.budget = add i64 %budget, {self.hole('undone')}"
        body = "\n".join([self.lines[0], first, *self.lines[1:]])
        return f'define preserve_nonecc void @{name}{SIGNATURE} #1 section "{SECTION}" {{\n{body}\n}}\n'


def _beginning() -> _Piece:
    """A block begins: what a fault inside finds of the budget."""
    piece = _Piece()
    piece.do(f"store volatile i64 %budget, ptr {piece.st('budget')}")
    piece.go_on()
    return piece


def _end() -> _Piece:
    """A block ends in the middle of things: go on at the slot that is next."""
    piece = _Piece()
    piece.to("pv_forward", piece.slot(), budget=piece.next_budget)
    return piece


class _Shared(Piece):
    """Code that all stencils share: how blocks end. Small stencils are worth more than short ways."""

    next_budget = "%budget"

    def finish(self, name: str) -> str:
        """The function."""
        return self.function(name, "#1 noinline", linkage="hidden ")

    def outside(self, access: int) -> None:
        """An access is outside of the space; what was done of the block is not counted, as at any fault."""
        self.do(f"store i32 {access}, ptr {self.st('access')}")
        self.leave("FAULT", "%ip", self.ins(f"load i64, ptr {self.st('budget')}"))

    def account(self) -> None:
        """Add what the block did to what was done in tier 1."""
        begun = self.ins(f"load i64, ptr {self.st('budget')}")
        self.did(self.ins(f"sub i64 {begun}, %budget"))

    def go(self, slot: str, *, loop: bool) -> None:
        """Go on at a slot. Where there is tier 0, count for tier 1; where there is tier 1, for Python."""
        if loop:
            stop = self.ins(f"load volatile i32, ptr {self.st('stop')}")
            self.unlikely(self.ins(f"icmp ne i32 {stop}, 0"), lambda: self.leave("STOP", slot, "%budget"))
        offset = self.ins(f"load i32, ptr {slot}")
        start, size = (self.ins(f"load i32, ptr {self.st(f)}") for f in ("handlers_start", "handlers_size"))
        cold = self.ins(f"icmp ult i32 {self.ins(f'sub i32 {offset}, {start}')}, {size}")

        self.unlikely(cold, lambda: self.tail("@pv_cold", slot))
        if loop:
            self.hot(slot)
        self.enter(slot, "%budget", offset)

    def hot(self, slot: str) -> None:
        """Count a jump within tier 1, for Python."""
        counters = self.ins(f"load ptr, ptr {self.st('counters')}")
        self.count(counters, self.cell_of(slot), lambda: self.leave("HOT", slot, "%budget"))

    def cold(self) -> None:
        """Count where tier 1 goes on in tier 0."""
        counters = self.ins(f"load ptr, ptr {self.st('counters')}")
        behind = self.ins(f"getelementptr i32, ptr {counters}, i64 {COUNTERS}")
        self.count(behind, self.cell_of("%ip"), lambda: self.tail("@pv_warm"))
        self.enter("%ip", "%budget")

    def warm(self) -> None:
        """Have a block made of what begins here, if it is of tier 0 and there is room; then go on with it."""
        made = self.call("i64", "pv_block", "ptr %st", "ptr %ip")
        full = self.ins(f"icmp eq i64 {made}, {patcher.NO_ROOM}")
        self.unlikely(full, lambda: self.leave("HOT", "%ip", "%budget"))

        def never() -> None:
            # Tier 0 is all there is for it, but it may be in a region of tier 2.
            self.hot("%ip")
            self.enter("%ip", "%budget")

        self.unlikely(self.ins(f"icmp eq i64 {made}, {patcher.ON_TWO_PAGES}"), never)
        self.unlikely(self.ins(f"icmp eq i64 {made}, {patcher.IS_BLOCK}"), self._hotter)
        self.enter("%ip", "%budget")

    def _hotter(self) -> None:
        """It goes round by way of tier 0, as where a system call is in the loop: so many jumps are counted at once."""
        counters = self.ins(f"load ptr, ptr {self.st('counters')}")
        counter = self.ins(f"getelementptr i32, ptr {counters}, i64 {self.cell_of('%ip')}")
        left = self.ins(f"load i32, ptr {counter}")
        left = self.call("i32", "llvm.usub.sat.i32", f"i32 {left}", f"i32 {WARM_FIRST}")
        self.do(f"store i32 {left}, ptr {counter}")
        self.unlikely(self.ins(f"icmp eq i32 {left}, 0"), lambda: self.leave("HOT", "%ip", "%budget"))
        self.enter("%ip", "%budget")


def shared(isa: Isa) -> str:
    """The text of what stencils end in."""
    texts = []
    for name, access in (("pv_read", layout.READ), ("pv_write", layout.WRITE)):
        piece = _Shared()
        piece.outside(access)
        texts.append(piece.finish(name))
    for name, loop in (("pv_forward", False), ("pv_backward", True)):
        piece = _Shared()
        piece.account()
        piece.go("%ip", loop=loop)
        texts.append(piece.finish(name))
    pieces = {name: _Shared() for name in ("pv_dynamic", "pv_cold", "pv_warm")}
    piece = pieces["pv_dynamic"]
    piece.isa = isa
    piece.account()
    piece.go(piece.dynamic(piece.ins(f"load i64, ptr {piece.st('value')}")), loop=True)
    pieces["pv_cold"].cold()
    pieces["pv_warm"].warm()
    return "\n".join([*texts, *(piece.finish(name) for name, piece in pieces.items())])


SHARED = ("pv_read", "pv_write", "pv_forward", "pv_backward", "pv_dynamic", "pv_cold", "pv_warm")


def module(isa: Isa, part: Part = WHOLE) -> tuple[set[str], str]:
    """The LLVM text of a guest's stencils, or of a part of them, and the declarations that they need besides. It is
    part of the interpreter's text, whose ways out it uses.
    """
    places = isa.state_layout(layout.REGISTERS)
    texts: list[str] = []
    holes: dict[str, str] = {}
    declarations: set[str] = set()
    made: dict[str, Stencil] = {}
    if part.first:
        pieces = {BEGINNING: _beginning(), END: _end()}
        texts += [piece.finish(name) for name, piece in pieces.items()]
        made |= pieces
    for entry in part.own(handlers(isa)):
        for name, forward in names(entry):
            made[name] = stencil = Stencil(entry.insn, entry.shape, places, forward=forward)
            texts.append(stencil.text(name))
    for stencil in made.values():
        holes |= stencil.holes
        declarations |= stencil.declarations
    if part.first:
        texts += [shared(isa), patcher.text(layout.names())]
    else:
        texts += map(declared, SHARED)
    return declarations, "\n".join(
        [f"declare preserve_nonecc void @{NEXT}{SIGNATURE}", *holes.values(), *texts,
         'attributes #1 = { nounwind strictfp "no-builtins" "no-jump-tables"="true" }']
    )  # fmt: skip


def names(entry: Entry) -> list[tuple[str, bool]]:
    """The stencils of an instruction in a shape, and whether each is for jumps forward."""
    stem = "s" + entry.symbol[1:]
    return [(stem, False), (stem + "f", True)][: entry.ways]
