"""Tier 0: an interpreter in native code, generated from a guest's specification.

Every (instruction, shape) becomes one LLVM function that ends by jumping to the next one; a decoder made of the
decision tree fills the code slots the first time an instruction is met. Python is reached only by leaving. This
module makes the text, of all handlers or of a part; `engine.worker` has it compiled, `engine.image` keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from polyvm.emit.llvm import LIKELY, METADATA, UNLIKELY, Emitter
from polyvm.engine import exclusive, landing, layout
from polyvm.engine.entries import HEADER, WHOLE, Entry, Lane, Part, handlers, pack, pc_relative
from polyvm.engine.layout import COUNTERS, CR, CS, ST
from polyvm.ir.ops import EXCLUSIVE, FP_FLAGS, FP_MODE
from polyvm.ir.values import SpecError, Val
from polyvm.isa.encoding import Encoding, Leaf, Switch
from polyvm.isa.spec import Field, Insn, Isa, Shape

SIGNATURE = "(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget)"
SECTION = "pvh"  # of the handlers of instructions


class Handler(Emitter):
    """One instruction in one shape."""

    def __init__(self, insn: Insn, shape: Shape, places: dict[tuple[str, int], tuple[int, int]]) -> None:
        super().__init__()
        self.insn = insn
        self.isa = insn.isa
        self.floats = self.isa.floats
        self.lanes = pack(insn)
        self.places = places
        self.trace = self.isa.trace(insn, shape)
        self.recorded = False
        self.next_budget = "%budget"

    def text(self, name: str, number: int | None = None) -> str:
        """The function. number: of its stencil, which stands before it in the image."""
        self.start("entry")
        self.next_budget = self.ins("sub i64 %budget, 1")
        self.emit(self.trace.ops)
        if not self._ends():
            self.dispatch(self.ins(f"getelementptr i8, ptr %ip, i64 {self.insn.size << layout.SLOT_SHIFT}"))
        body = "\n".join(self.lines)
        # Never a part of the decoder, whose own accesses are fetches.
        place = "" if number is None else f' section "{SECTION}" prefix i32 {number}'
        return f"define hidden preserve_nonecc void @{name}{SIGNATURE} #0 noinline{place} {{\n{body}\n}}\n"

    def _ends(self) -> bool:
        last = self.trace.ops[-1].op if self.trace.ops else ""
        return last in ("jump", "trap", "syscall", "flush")

    # -- where values come from
    def lane(self, name: str) -> str:
        """Load a field's lane."""
        lane = self.lanes[name]
        pointer = self.ins(f"getelementptr i8, ptr %ip, i64 {lane.offset}")
        return self.ins(f"load i{lane.bits}, ptr {pointer}")

    def op_field(self, op: Val, args: list[str]) -> str:
        """A data field, from the code slot."""
        lane = self.lanes[str(op.attr)]
        value = self.lane(str(op.attr))
        return value if lane.bits == op.bits else self.ins(f"trunc i{lane.bits} {value} to i{op.bits}")

    def _extend(self, op: Val, args: list[str], how: str) -> str:
        inner = op.args[0]
        if inner.op == "field":
            lane = self.lanes[str(inner.attr)]
            if lane.signed == (how == "sext") and lane.bits < op.bits:
                return self.ins(f"{how} i{lane.bits} {self.lane(str(inner.attr))} to i{op.bits}")
        return self.ins(f"{how} i{inner.bits} {args[0]} to i{op.bits}")

    def op_sext(self, op: Val, args: list[str]) -> str:
        """Sign extension; a lane that holds its sign needs one instruction."""
        return self._extend(op, args, "sext")

    def op_zext(self, op: Val, args: list[str]) -> str:
        """Zero extension."""
        return self._extend(op, args, "zext")

    def op_pc(self, op: Val, args: list[str]) -> str:
        """The guest address, from the slot's."""
        return self.guest_pc("%ip")

    def guest_pc(self, slot: str) -> str:
        """The guest address of a slot; below the first one it is negative."""
        here = self.ins(f"ptrtoint ptr {slot} to i64")
        base = self.ins(f"load i64, ptr {self.st('slot_base')}")
        return self.ins(f"ashr exact i64 {self.ins(f'sub i64 {here}, {base}')}, {layout.SLOT_SHIFT}")

    def st(self, field: str) -> str:
        """A pointer to a field of the thread's state."""
        return self.ins(f"getelementptr i8, ptr %st, i64 {ST[field]}")

    def did(self, count: str) -> None:
        """Add to the instructions that were done in tier 1."""
        place = self.st("block_insns")
        done = self.ins(f"load i64, ptr {place}")
        self.do(f"store i64 {self.ins(f'add i64 {done}, {count}')}, ptr {place}")

    # -- registers
    def op_get(self, op: Val, args: list[str]) -> str:
        """A register with a known place."""
        slot: tuple[str, int] = op.attr  # type: ignore[assignment]  # a slot
        if slot == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        if slot == FP_MODE:
            mode = self.ins(f"load i32, ptr {self.st('fp_mode')}")
            return self.ins(f"trunc i32 {mode} to i{op.bits}")
        offset, size = self.places[slot]
        value = self.ins(f"load i{8 * size}, ptr {self.ins(f'getelementptr i8, ptr %st, i64 {offset}')}")
        return value if op.bits == 8 * size else self.ins(f"trunc i{8 * size} {value} to i{op.bits}")

    def op_set(self, op: Val, args: list[str]) -> None:
        """A register with a known place."""
        slot: tuple[str, int] = op.attr  # type: ignore[assignment]  # a slot
        bits = op.args[0].bits
        if slot == FP_FLAGS:
            self.call("void", "pv_write_flags", f"i5 {args[0]}")
            return
        if slot == FP_MODE:
            self.call("void", "pv_write_mode", "ptr %st", f"i7 {args[0]}")
            return
        offset, size = self.places[slot]
        value = args[0] if bits == 8 * size else self.ins(f"zext i{bits} {args[0]} to i{8 * size}")
        self.do(f"store i{8 * size} {value}, ptr {self.ins(f'getelementptr i8, ptr %st, i64 {offset}')}")

    def _register(self, file: str, index: Val, value: str) -> str:
        offset, size = self.places[file, 0]
        if index.op == "field" and self.lanes[str(index.attr)].bits == 8:
            number = self.ins(f"zext i8 {self.lane(str(index.attr))} to i64")
        else:
            number = self.ins(f"zext i{index.bits} {value} to i64")
        base = self.ins(f"getelementptr i8, ptr %st, i64 {offset}")
        return self.ins(f"getelementptr i{8 * size}, ptr {base}, i64 {number}")

    def op_getx(self, op: Val, args: list[str]) -> str:
        """A register named by a field. A hardwired one always holds its zero in the state."""
        return self.ins(f"load i{op.bits}, ptr {self._register(str(op.attr), op.args[0], args[0])}")

    def op_setx(self, op: Val, args: list[str]) -> None:
        """A register named by a field; a hardwired one is put back to zero, which is cheaper than asking."""
        file = self.isa.files[str(op.attr)]
        self.do(f"store i{file.bits} {args[1]}, ptr {self._register(file.name, op.args[0], args[0])}")
        if file.zero is not None:
            offset, size = self.places[file.name, file.zero]
            self.do(f"store i{8 * size} 0, ptr {self.ins(f'getelementptr i8, ptr %st, i64 {offset}')}")

    def op_counter(self, op: Val, args: list[str]) -> str:
        """A counter of the processor."""
        if op.attr == "instret":
            # What was asked for less what is left: exact while tier 0 runs. This instruction is not among them.
            return self.ins("sub i64 0, %budget")
        if op.attr == "time":
            done = self.fresh_label("dead")  # nanoseconds, which are golden's to know
            self.leave_golden()
            self.start(done)
            return "0"
        return self.call("i64", "llvm.readcyclecounter")

    # -- memory
    def _constant(self, field: str) -> str:
        """A number of the thread's state that does not change while native code runs."""
        return self.ins(f"load i64, ptr {self.st(field)}, !invariant.load !2")

    def address(self, value: str) -> str:
        """Confined by one comparison; the MMU and the guard regions do the rest."""
        return self.ins(f"icmp ult i64 {value}, {self._constant('limit')}")

    def address_for(self, op: Val, value: str, size: int, *, write: bool) -> str:
        """Record where we are, for the signal handler, then check and add the base.

        One comparison with a limit that memory hooks lower, so that they cost nothing where there are none.
        """
        if not self.recorded:
            self.recorded = True
            self.do(f"store volatile ptr %ip, ptr {self.st('ip')}")
            self.do(f"store volatile i64 %budget, ptr {self.st('budget')}")
        go = self.fresh_label("go")
        plain = self.ins(f"icmp ult i64 {value}, {self._constant('plain_limit')}")
        look = self.fresh_label("look")
        self.do(f"br i1 {plain}, label %{go}, label %{look}, {LIKELY}")
        self.start(look)
        inside = self.ins(f"icmp ult i64 {value}, {self._constant('limit')}")
        distance = self.ins(f"sub i64 {value}, {self._constant('watch_start')}")
        unwatched = self.ins(f"icmp uge i64 {distance}, {self._constant('watch_size')}")
        leaving = self.fresh_label("cold")
        self.do(f"br i1 {self.ins(f'and i1 {inside}, {unwatched}')}, label %{go}, label %{leaving}")
        self.start(leaving)
        self.do(f"store i64 {value}, ptr {self.st('value')}")
        self.do(f"store i32 {layout.WRITE if write else layout.READ}, ptr {self.st('access')}")
        self.tail("@watched")
        self.start(go)
        return self.ins(f"getelementptr i8, ptr %mem, i64 {value}")

    # -- control
    def leave(self, reason: str, slot: str, budget: str) -> None:
        """End the block by leaving native code with the guest at `slot`."""
        self.tail(f"@leave_{reason}", slot, budget)

    def tail(self, function: str, slot: str = "%ip", budget: str = "%budget") -> None:
        """End the block in another function."""
        self.do(
            f"musttail call preserve_nonecc void {function}(ptr %st, ptr %mem, ptr {slot}, ptr %hb, i64 {budget})"
        )
        self.do("ret void")

    def enter(self, slot: str, budget: str, offset: str = "") -> None:
        """End the block in the handler of a slot. offset: that of its handler, where it was loaded already."""
        offset = offset or self.ins(f"load i32, ptr {slot}")
        self.tail(
            self.ins(f"getelementptr i8, ptr %hb, i64 {self.ins(f'sext i32 {offset} to i64')}"), slot, budget
        )

    def cell_of(self, slot: str) -> str:
        """The number of the counter of a slot."""
        half = self.ins(f"lshr i64 {self.ins(f'ptrtoint ptr {slot} to i64')}, 4")
        return self.ins(f"and i64 {half}, {COUNTERS - 1}")

    def count(self, cells: str, cell: str, reached: Callable[[], None]) -> None:
        """Count down a counter; `reached`, which must end its block, is for its end."""
        counter = self.ins(f"getelementptr i32, ptr {cells}, i64 {cell}")
        left = self.ins(f"sub i32 {self.ins(f'load i32, ptr {counter}')}, 1")
        self.do(f"store i32 {left}, ptr {counter}")
        self.unlikely(self.ins(f"icmp eq i32 {left}, 0"), reached)

    def dispatch(self, slot: str) -> None:
        """End the block by going on at a slot, unless the budget is used up."""
        used = self.ins(f"icmp slt i64 {self.next_budget}, 0")
        self.unlikely(used, lambda: self.leave("BUDGET", slot, self.next_budget))
        self.enter(slot, self.next_budget)

    def op_jump(self, op: Val, args: list[str]) -> None:
        """Go elsewhere: count, look whether somebody wants us to stop, and dispatch."""
        target = op.args[0]
        relative = pc_relative(target)
        cells = self.ins(f"load ptr, ptr {self.st('warm')}")
        counters = self.ins(f"load ptr, ptr {self.st('counters')}")
        if relative is not None:
            distance = self.values[relative]
            scaled = self.ins(f"shl i64 {distance}, {layout.SLOT_SHIFT}")
            slot = self.ins(f"getelementptr i8, ptr %ip, i64 {scaled}")
            # Only backward jumps close loops; the others are counted for tier 1 alone.
            forward = self.ins(f"icmp sgt i64 {distance}, 0")
            behind = self.ins(f"getelementptr i32, ptr {counters}, i64 {COUNTERS}")
            cells = self.ins(f"select i1 {forward}, ptr {behind}, ptr {cells}")
            cell = self.cell_of(slot)
        else:
            slot = self.dynamic(args[0])
            cell = self.ins(f"and i64 {self.ins(f'lshr i64 {args[0]}, 1')}, {COUNTERS - 1}")
        self.count(cells, cell, lambda: self.leave("WARM", slot, self.next_budget))
        stop = self.ins(f"load volatile i32, ptr {self.st('stop')}")
        self.unlikely(self.ins(f"icmp ne i32 {stop}, 0"), lambda: self.leave("STOP", slot, self.next_budget))
        self.dispatch(slot)

    def dynamic(self, target: str) -> str:
        """The slot of an address that a jump goes to, which is noted."""
        goes_well = landing.lands(self, self.isa, target, self._constant("limit"))
        # The jump itself succeeds; it is the fetch at its target that faults.
        self.unlikely(self.ins(f"xor i1 {goes_well}, true"), lambda: self.astray(target, self.next_budget))
        base = self.ins(f"load ptr, ptr {self.st('slot_base')}")
        log_target(self, self.guest_pc("%ip"), target)
        return self.ins(
            f"getelementptr i8, ptr {base}, i64 {self.ins(f'shl i64 {target}, {layout.SLOT_SHIFT}')}"
        )

    def astray(self, pc: str, budget: str, address: str = "") -> None:
        """Leave with the fault, or the exception, of fetching an instruction that is not there."""
        self.do(f"store i64 {pc}, ptr {self.st('pc')}")
        self.do(f"store i64 {address or pc}, ptr {self.st('value')}")
        if self.isa.misaligned:

            def misaligned() -> None:
                self.do(f"store i64 {landing.cause(self.isa)}, ptr {self.st('cause')}")
                self.leave("MISALIGNED", "%ip", budget)

            self.unlikely(landing.between(self, self.isa, pc), misaligned)
        self.do(f"store i32 {layout.FETCH}, ptr {self.st('access')}")
        self.leave("FETCH", "%ip", budget)

    def op_if(self, op: Val, args: list[str]) -> None:
        """A structured branch; a body that jumps or traps does not come back."""
        body: tuple[Val, ...] = op.attr  # type: ignore[assignment]  # an if's attr is its body
        then, after = self.fresh_label("then"), self.fresh_label("after")
        trapping = body and body[-1].op == "trap"
        self.do(f"br i1 {args[0]}, label %{then}, label %{after}{', ' + UNLIKELY if trapping else ''}")
        self.start(then)
        recorded = self.recorded
        self.emit(body)
        self.recorded = recorded
        last = body[-1].op if body else ""
        if any(inner.op == "jump" for inner in body[:-1]) or (
            last == "jump" and self.trace.ops[-1] is not op
        ):
            raise SpecError(f"{self.insn.name}: a jump that is not the last thing on its path")
        if last not in ("jump", "trap", "syscall", "flush"):
            self.do(f"br label %{after}")
        self.start(after)

    def op_trap(self, op: Val, args: list[str]) -> None:
        """Leave with an exception; the instruction counts as not done."""
        self.do(f"store i64 {self.isa.causes.index(str(op.attr))}, ptr {self.st('cause')}")
        self.do(f"store i64 {args[0]}, ptr {self.st('value')}")
        self.leave("TRAP", "%ip", "%budget")

    def op_syscall(self, op: Val, args: list[str]) -> None:
        """Leave for a system call."""
        self.leave("SYSCALL", "%ip", self.next_budget)

    def op_flush(self, op: Val, args: list[str]) -> None:
        """Leave so that decoded code can be dropped."""
        slot = self.ins(f"getelementptr i8, ptr %ip, i64 {self.insn.size << layout.SLOT_SHIFT}")
        self.leave("FLUSH", slot, self.next_budget)

    def op_hint(self, op: Val, args: list[str]) -> None:
        """Nothing to do, but where an exclusive section is to run alone."""
        if op.attr == EXCLUSIVE:
            exclusive.hint(self, self.st("alone"))

    def leave_golden(self) -> None:
        """The golden evaluator must do this instruction."""
        self.leave("GOLDEN", "%ip", "%budget")


def log_target(e: Emitter, pc: str, target: str) -> None:
    """Note where a dynamic jump goes, for whoever compiles the region around it."""
    next_at = e.ins(f"getelementptr i8, ptr %st, i64 {ST['log_next']}")
    number = e.ins(f"load i32, ptr {next_at}")
    e.do(f"store i32 {e.ins(f'add i32 {number}, 1')}, ptr {next_at}")
    row = e.ins(f"zext i32 {e.ins(f'and i32 {number}, {layout.LOG_ENTRIES - 1}')} to i64")
    log = e.ins(f"getelementptr i8, ptr %st, i64 {layout.LOG}")
    entry = e.ins(f"getelementptr {{i64, i64}}, ptr {log}, i64 {row}")
    e.do(f"store i64 {pc}, ptr {entry}")
    e.do(f"store i64 {target}, ptr {e.ins(f'getelementptr i8, ptr {entry}, i64 8')}")


def module(isa: Isa, declarations: set[str], stencils: str, part: Part = WHOLE) -> str:
    """The LLVM text of a guest's interpreter, or of a part of it. Needs the host runtime's text beside it.

    stencils: the text of tier 1's, and declarations what it needs.
    """
    places = isa.state_layout(layout.REGISTERS)
    declarations = set(declarations)
    entries = handlers(isa)
    made = part.own(entries)
    functions = [stencils, *(_shared(isa, entries) if part.first else ())]
    for entry in made:
        handler = Handler(entry.insn, entry.shape, places)
        functions.append(handler.text(entry.symbol, entry.number))
        declarations |= handler.declarations
    if part.first:
        elsewhere = {entry.symbol for entry in entries} - {entry.symbol for entry in made}
    else:
        elsewhere = {f"leave_{reason}" for reason in layout.REASONS} | SHARED
    own = {"pv_read_flags", "pv_write_flags", "pv_write_mode", "pv_set_round"}
    return "\n".join(
        [*(d for d in sorted(declarations) if not any(f"@{n}(" in d for n in own)), *map(declared, sorted(elsewhere)),
         *functions, "attributes #0 = { nounwind strictfp \"no-builtins\" }", METADATA, "!2 = !{}"]
    )  # fmt: skip


SHARED = {"leave_FETCH", "leave_MISALIGNED", "leave_WARM", "watched"}
"""What is in the first part alone, besides a way out for every reason."""


def declared(name: str) -> str:
    """The declaration of a function that is in another part."""
    return f"declare hidden preserve_nonecc void @{name}{SIGNATURE}"


def _shared(isa: Isa, entries: Iterable[Entry]) -> list[str]:
    """The decoder, and what handlers end in."""
    others = ("LOST", "SYSCALL", "INTERRUPTED")
    texts = [Decoder(isa, entries).function()]
    texts += [_leave(reason) for reason in layout.REASONS if reason not in others]
    texts += [_leave(reason, keep_pc=True) for reason in ("FETCH", "MISALIGNED")]
    return [*texts, _leave_syscall(), _warm(), _pause(), _watched()]


class Piece(Handler):
    """A function that is of no instruction."""

    def __init__(self) -> None:
        Emitter.__init__(self)
        self.start("entry")

    def function(self, name: str, attributes: str, *, linkage: str = "") -> str:
        """Its text."""
        body = "\n".join(self.lines)
        return f"define {linkage}preserve_nonecc void @{name}{SIGNATURE} {attributes} {{\n{body}\n}}\n"


def _leave(reason: str, *, keep_pc: bool = False) -> str:
    number = layout.REASONS.index({"FETCH": "FAULT", "MISALIGNED": "TRAP"}.get(reason, reason))
    e = Piece()
    if not keep_pc:
        e.do(f"store i64 {e.guest_pc('%ip')}, ptr {e.st('pc')}")
    if number == layout.HOT:
        e.do(f"store i64 {e.guest_pc('%ip')}, ptr {e.st('hot_pc')}")
    if number == layout.FAULT:
        e.do(f"store i64 11, ptr {e.st('cause')}")
    e.do(f"store i32 {number}, ptr {e.st('reason')}")
    e.do(f"store i64 %budget, ptr {e.st('budget')}")
    e.do("ret void")
    return e.function(f"leave_{reason}", "#0 cold noinline", linkage="hidden ")


BAD_ADDRESS = 4096  # behind the space, where nothing is ever mapped: EFAULT from the kernel


def _leave_syscall() -> str:
    """A system call, %ip being its slot: one that the host does as it is asked is made here and goes on behind it.

    All others leave, SYSCALL, and so do descriptors that may be ours. A call that a signal interrupted leaves,
    INTERRUPTED, its result as the value: what becomes of it depends on the guest's handlers.
    """
    e = Piece()
    e.do(f"store i64 {e.guest_pc('%ip')}, ptr {e.st('pc')}")
    e.do(f"store i32 {layout.SYSCALL}, ptr {e.st('reason')}")
    e.do(f"store i64 %budget, ptr {e.st('budget')}")
    calls = e.ins(f"load ptr, ptr {e.st('calls')}")
    e.do(f"br i1 {e.ins(f'icmp eq ptr {calls}, null')}, label %out, label %look")
    e.start("look")

    def head(offset: int) -> str:
        return e.ins(f"load i32, ptr {e.ins(f'getelementptr i8, ptr {calls}, i64 {offset}')}")

    def place(offset: int) -> str:
        at = e.ins(f"zext i32 {head(offset)} to i64")
        return e.ins(f"getelementptr i8, ptr %st, i64 {at}")

    number = e.ins(f"load i64, ptr {place(CS['number'])}")
    e.do(f"br i1 {e.ins(f'icmp ult i64 {number}, {layout.CALL_ROWS}')}, label %known, label %out")
    e.start("known")
    far = e.ins(f"add i64 {e.ins(f'mul i64 {number}, {layout.CALL_ROW}')}, {layout.CALLS_HEAD}")
    row = e.ins(f"getelementptr i8, ptr {calls}, i64 {far}")
    fields = {name: e.ins(f"getelementptr i8, ptr {row}, i64 {offset}") for name, offset in CR.items()}
    made = e.ins(f"icmp ne i16 {e.ins('load i16, ptr ' + fields['known'])}, 0")
    host = e.ins(f"zext i32 {e.ins('load i32, ptr ' + fields['host'])} to i64")
    pointers, descriptors = (e.ins("load i8, ptr " + fields[name]) for name in ("pointers", "descriptors"))
    floor, limit = head(CS["floor"]), e.ins(f"load i64, ptr {e.st('limit')}")
    base = e.ins("ptrtoint ptr %mem to i64")
    bad = e.ins(f"add i64 {e.ins(f'add i64 {base}, {limit}')}, {BAD_ADDRESS}")
    values = []
    for index in range(6):
        value = e.ins(f"load i64, ptr {place(CS['arguments'] + 4 * index)}")
        high = e.ins(f"icmp uge i32 {e.ins(f'trunc i64 {value} to i32')}, {floor}")
        ours = e.ins(f"and i1 {_bit(e, descriptors, index)}, {high}")
        made = e.ins(f"and i1 {made}, {e.ins(f'xor i1 {ours}, true')}")
        inside = e.ins(f"icmp ult i64 {value}, {limit}")
        moved = e.ins(f"select i1 {inside}, i64 {e.ins(f'add i64 {value}, {base}')}, i64 {bad}")
        moved = e.ins(f"select i1 {e.ins(f'icmp eq i64 {value}, 0')}, i64 0, i64 {moved}")
        values.append(e.ins(f"select i1 {_bit(e, pointers, index)}, i64 {moved}, i64 {value}"))
    e.do(f"br i1 {made}, label %make, label %out")
    e.start("make")
    _add(e, fields["count"])
    words = ", ".join(f"i64 {value}" for value in values)
    result = e.ins(f"call i64 @pv_syscall(ptr %st, i64 {host}, {words})")
    e.do(f"br i1 {e.ins(f'icmp ugt i64 {result}, -4096')}, label %failed, label %done")
    e.start("failed")
    _add(e, fields["errors"])
    odd = e.ins(f"icmp sle i64 {result}, {layout.RESTART_SYSCALL}")
    odd = e.ins(f"or i1 {odd}, {e.ins(f'icmp eq i64 {result}, -4')}")  # EINTR
    e.do(f"br i1 {odd}, label %interrupted, label %done")
    e.start("interrupted")
    e.do(f"store i64 {result}, ptr {e.st('value')}")
    _stay(e, layout.INTERRUPTED)
    e.start("out")
    e.do("ret void")
    e.start("done")
    e.do(f"store i64 {result}, ptr {place(CS['result'])}")
    far = e.ins(f"shl i64 {e.ins('zext i32 ' + head(CS['bytes']) + ' to i64')}, {layout.SLOT_SHIFT}")
    slot = e.ins(f"getelementptr i8, ptr %ip, i64 {far}")
    used = e.ins("icmp slt i64 %budget, 0")
    e.unlikely(used, lambda: e.leave("BUDGET", slot, "%budget"))
    stop = e.ins(f"load volatile i32, ptr {e.st('stop')}")
    e.unlikely(e.ins(f"icmp ne i32 {stop}, 0"), lambda: e.leave("STOP", slot, "%budget"))
    e.enter(slot, "%budget")
    return e.function("leave_SYSCALL", "#0 noinline")


def _bit(e: Piece, byte: str, index: int) -> str:
    return e.ins(f"trunc i8 {e.ins(f'lshr i8 {byte}, {index}')} to i1")


def _add(e: Piece, place: str) -> None:
    """Count one more, for all threads."""
    e.ins(f"atomicrmw add ptr {place}, i64 1 monotonic")


def _warm() -> str:
    """Where a jump of tier 0 goes whose counter is at its end: to tier 1, which is made now, or to Python."""
    e = Piece()
    tiered = e.ins(f"load i32, ptr {e.st('tiered')}")
    e.unlikely(e.ins(f"icmp eq i32 {tiered}, 0"), lambda: e.leave("HOT", "%ip", "%budget"))
    e.tail("@pv_warm")
    return e.function("leave_WARM", "#0 cold noinline", linkage="hidden ")


def _pause() -> str:
    """The handler of a slot before which somebody wants to be asked: a breakpoint that costs nothing elsewhere.

    Where a unit's entry would be, the slot has the handler that comes after.
    """
    e = Piece()
    after = e.ins(f"load i32, ptr {e.ins('getelementptr i8, ptr %ip, i64 4')}")
    passing = e.ins(f"load i32, ptr {e.st('passing')}")
    e.do(f"br i1 {e.ins(f'icmp eq i32 {passing}, 0')}, label %stop, label %pass")
    e.start("stop")
    answer = _ask(e, "pause_hook", lambda: e.leave("PAUSE", "%ip", "%budget"))
    e.do(f"br i1 {e.ins(f'icmp eq i32 {answer}, {layout.LET_BE}')}, label %pass, label %out")
    e.start("out")
    _stay(e, layout.PAUSE)
    e.start("pass")
    e.do(f"store i32 0, ptr {e.st('passing')}")
    e.enter("%ip", "%budget", after)
    return e.function("pause", "#0 noinline")


def _watched() -> str:
    """Where an access goes that is outside of the space or watched, with the address and the kind in the state.

    An access that is let be is made by its own handler, which is told that it is the last instruction.
    """
    e = Piece()
    address = e.ins(f"load i64, ptr {e.st('value')}")
    limit = e.ins(f"load i64, ptr {e.st('limit')}")
    outside = e.ins(f"icmp uge i64 {address}, {limit}")
    e.unlikely(outside, lambda: e.leave("FAULT", "%ip", "%budget"))
    answer = _ask(e, "access_hook", lambda: e.leave("FAULT", "%ip", "%budget"))
    e.do(
        f"switch i32 {answer}, label %aside [ i32 {layout.LET_BE}, label %make i32 {layout.REFUSE}, label %refuse ]"
    )
    e.start("aside")
    _stay(e, layout.PAUSE)
    e.start("refuse")
    e.leave("FAULT", "%ip", "%budget")
    e.start("make")
    plain = e.ins(f"load i64, ptr {e.st('plain_limit')}")
    e.do(f"store volatile i64 {limit}, ptr {e.st('plain_limit')}")
    e.do(f"store volatile i64 %budget, ptr {e.st('outer_budget')}")
    for field in ("passing", "nested"):
        e.do(f"store volatile i32 1, ptr {e.st(field)}")
    offset = e.ins("load i32, ptr %ip")
    handler = e.ins(f"getelementptr i8, ptr %hb, i64 {e.ins(f'sext i32 {offset} to i64')}")
    e.do(f"call preserve_nonecc void {handler}(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 0)")
    e.do(f"store volatile i64 {plain}, ptr {e.st('plain_limit')}")
    for field in ("passing", "nested"):
        e.do(f"store volatile i32 0, ptr {e.st(field)}")
    # Of its budget of 0, -1 is left when it was made.
    left = e.ins(f"add i64 %budget, {e.ins('load i64, ptr ' + e.st('budget'))}")
    e.do(f"store i64 {left}, ptr {e.st('budget')}")
    reason = e.ins(f"load i32, ptr {e.st('reason')}")
    made = e.ins(f"icmp eq i32 {reason}, {layout.BUDGET}")
    more = e.ins(f"and i1 {made}, {e.ins(f'icmp sge i64 {left}, 0')}")
    e.do(f"br i1 {more}, label %more, label %done")
    e.start("done")
    e.do("ret void")
    e.start("more")
    slots = e.ins(f"load ptr, ptr {e.st('slot_base')}")
    distance = e.ins(f"shl i64 {e.ins('load i64, ptr ' + e.st('pc'))}, {layout.SLOT_SHIFT}")
    e.enter(e.ins(f"getelementptr i8, ptr {slots}, i64 {distance}"), left)
    return e.function("watched", "#0 cold noinline", linkage="hidden ")


def _ask(e: Piece, hook: str, without: Callable[[], None]) -> str:
    """Call a hook with the state as it is before the instruction; its answer. `without` leaves where there is none."""
    function = e.ins(f"load ptr, ptr {e.st(hook)}")
    e.unlikely(e.ins(f"icmp eq ptr {function}, null"), without)
    e.do(f"store i64 {e.guest_pc('%ip')}, ptr {e.st('pc')}")
    e.do(f"store i64 %budget, ptr {e.st('budget')}")
    return e.ins(f"call i32 @pv_ask(ptr %st, ptr {function})")


def _stay(e: Piece, reason: int) -> None:
    """End the block by leaving native code with the state as it is."""
    e.do(f"store i32 {reason}, ptr {e.st('reason')}")
    e.do("ret void")


class Decoder(Handler):
    """The handler of an empty slot: fetch, find the instruction, fill the slot, and run it."""

    def __init__(self, isa: Isa, entries: Iterable[Entry]) -> None:
        Emitter.__init__(self)
        self.isa = isa
        self.by_insn: dict[Insn, list[Entry]] = {}
        for entry in entries:
            self.by_insn.setdefault(entry.insn, []).append(entry)
        self.formats: dict[tuple[object, ...], tuple[str, list[tuple[str, str]]]] = {}
        self.pending: list[
            tuple[str, Encoding, dict[str, Lane], dict[str, Field], list[tuple[str, str]]]
        ] = []

    def function(self) -> str:
        """The function @decode, which slots of value zero lead to."""
        self.start("entry")
        self.pc = pc = self.guest_pc("%ip")
        self.do(f"store volatile ptr %ip, ptr {self.st('ip')}")
        self.do(f"store volatile i64 %budget, ptr {self.st('budget')}")
        if self.isa.misaligned:
            # A thread may be told to go on anywhere.
            self.unlikely(landing.between(self, self.isa, pc), lambda: self.astray(pc, "%budget"))
        self._check_fetch(pc, pc)
        word = self._fetch(pc)
        bits = 8 * max(self.isa.sizes)
        self._tree(self.isa.tree, word, bits)
        for item in self.pending:
            self._format(word, bits, *item)
        self.start("illegal")
        self.leave("ILLEGAL", "%ip", "%budget")
        # A table of handler addresses would be absolute; without jump tables LLVM makes none.
        return (
            f'define preserve_nonecc void @decode{SIGNATURE} #0 "no-jump-tables"="true" section "pvdecode" {{\n'
            + "\n".join(self.lines)
            + "\n}\n"
        )

    def _check_fetch(self, address: str, pc: str) -> None:
        limit = self.ins(f"load i64, ptr {self.st('limit')}")
        outside = self.ins(f"icmp uge i64 {address}, {limit}")

        self.unlikely(outside, lambda: self.astray(pc, "%budget", address))
        xmap = self.ins(f"load ptr, ptr {self.st('xmap')}")
        page = self.ins(f"getelementptr i8, ptr {xmap}, i64 {self.ins(f'lshr i64 {address}, 12')}")
        forbidden = self.ins(f"icmp eq i8 {self.ins(f'load volatile i8, ptr {page}')}, 0")
        self.unlikely(forbidden, lambda: self.astray(pc, "%budget", address))

    def _fetch(self, pc: str) -> str:
        """The instruction at an address, and maybe what follows it, as wide as the longest one."""
        small, bits = 8 * min(self.isa.sizes), 8 * max(self.isa.sizes)
        at = self.ins(f"load i64, ptr {self.st('given_at')}")
        given = self.ins(f"icmp eq i64 {at}, {self.ins(f'add i64 {pc}, 1')}")
        self.do(f"br i1 {given}, label %given, label %plain")
        ways = []
        self.start("given")
        self.do(f"store i64 0, ptr {self.st('given_at')}")
        word = self.ins(f"load i{bits}, ptr {self.st('given')}, align 8")
        if small != bits:
            size = self.ins(f"load i64, ptr {self.st('given_size')}")
            short = self.ins(f"icmp ult i64 {size}, {bits // 8}")
            long = self._is_long(self.ins(f"trunc i{bits} {word} to i{small}"))
            missing = self.ins(f"and i1 {long}, {short}")
            self.unlikely(missing, lambda: self.astray(pc, "%budget", self.ins(f"add i64 {pc}, {size}")))
        ways.append((word, self.label))
        self.do("br label %fetched")
        self.start("plain")
        pointer = self.ins(f"getelementptr i8, ptr %mem, i64 {pc}")
        word = self.ins(f"load volatile i{small}, ptr {pointer}, align 1")
        if small != bits:
            long, low = self._is_long(word), word
            word = self.ins(f"zext i{small} {low} to i{bits}")
            ways.append((word, self.label))
            self.do(f"br i1 {long}, label %more, label %fetched")
            self.start("more")
            second = self.ins(f"add i64 {pc}, {small // 8}")
            self._check_fetch(second, pc)
            pointer = self.ins(f"getelementptr i8, ptr %mem, i64 {second}")
            high = self.ins(f"load volatile i{small}, ptr {pointer}, align 1")
            high = self.ins(f"shl i{bits} {self.ins(f'zext i{small} {high} to i{bits}')}, {small}")
            word = self.ins(f"or i{bits} {word}, {high}")
        ways.append((word, self.label))
        self.do("br label %fetched")
        self.start("fetched")
        return self.ins(f"phi i{bits} {', '.join(f'[ {value}, %{label} ]' for value, label in ways)}")

    def _is_long(self, low: str) -> str:
        # RISC-V: the two lowest bits of the first parcel are 11 in every encoding longer than 16 bits (manual, 1.5).
        small = 8 * min(self.isa.sizes)
        return self.ins(f"icmp eq i{small} {self.ins(f'and i{small} {low}, 3')}, 3")

    def _tree(self, node: Switch[Insn] | Leaf[Insn], word: str, bits: int) -> None:
        if isinstance(node, Switch):
            key = self.ins(
                f"and i{bits} {self.ins(f'lshr i{bits} {word}, {node.shift}')}, {(1 << node.width) - 1}"
            )
            labels = {value: self.fresh_label("n") for value in node.children}
            cases = " ".join(f"i{bits} {value}, label %{label}" for value, label in labels.items())
            self.do(f"switch i{bits} {key}, label %illegal [ {cases} ]")
            for number, label in labels.items():
                self.start(label)
                self._tree(node.children[number], word, bits)
            return
        for insn in node.candidates:
            following = self.fresh_label("n")
            test = self.ins(f"and i{bits} {word}, {insn.encoding.mask}")
            matches = self.ins(f"icmp eq i{bits} {test}, {insn.encoding.match}")
            for name, values in insn.encoding.excluded.items():
                value = self._extract(insn.encoding, name, word, bits)
                for excluded in values:
                    matches = self.ins(
                        f"and i1 {matches}, {self.ins(f'icmp ne i{bits} {value}, {excluded}')}"
                    )
            found = self.fresh_label("n")
            self.do(f"br i1 {matches}, label %{found}, label %{following}")
            self.start(found)
            self._choose_shape(insn, word, bits)
            self.start(following)
        self.do("br label %illegal")

    def _choose_shape(self, insn: Insn, word: str, bits: int) -> None:
        entries = self.by_insn[insn]
        names = insn.shape_fields
        if not names:
            self._found(entries[0])
            return
        key, position = "0", 0
        shifts = {}
        for name in names:
            value = self._extract(insn.encoding, name, word, bits)
            shifts[name] = position
            key = self.ins(f"or i{bits} {key}, {self.ins(f'shl i{bits} {value}, {position}')}")
            position += insn.encoding.width(name)
        labels = {e.symbol: self.fresh_label("s") for e in entries}
        cases = " ".join(
            f"i{bits} {sum(value << shifts[name] for name, value in e.shape)}, label %{labels[e.symbol]}"
            for e in entries
        )
        self.do(f"switch i{bits} {key}, label %illegal [ {cases} ]")
        for entry in {e.symbol: e for e in entries}.values():
            self.start(labels[entry.symbol])
            self._found(entry)

    def _found(self, entry: Entry) -> None:
        lanes = pack(entry.insn)
        fields = {name: self.isa.fields[name] for name in lanes}
        key = tuple(
            (n, lane, entry.insn.encoding.fields[n], fields[n].bias, fields[n].last)
            for n, lane in lanes.items()
        )
        if key not in self.formats:
            label = self.fresh_label("format")
            self.formats[key] = (label, [])
            self.pending.append((label, entry.insn.encoding, lanes, fields, self.formats[key][1]))
        label, sources = self.formats[key]
        sources.append((f"@{entry.symbol}", self.label))
        self.do(f"br label %{label}")

    def _format(
        self,
        word: str,
        bits: int,
        label: str,
        encoding: Encoding,
        lanes: dict[str, Lane],
        fields: dict[str, Field],
        sources: list[tuple[str, str]],
    ) -> None:
        self.start(label)
        handler = self.ins("phi ptr " + ", ".join(f"[ {symbol}, %{origin} ]" for symbol, origin in sources))
        packed = "0"
        for name, lane in lanes.items():
            value = self._extract(encoding, name, word, bits)
            width, last, raw = encoding.width(name), fields[name].last, value
            if fields[name].bias:
                value = self.ins(f"add i{bits} {value}, {fields[name].bias}")
            elif lane.signed and width < bits:
                value = self.ins(
                    f"ashr i{bits} {self.ins(f'shl i{bits} {value}, {bits - width}')}, {bits - width}"
                )
            if last is not None:
                highest = self.ins(f"icmp eq i{bits} {raw}, {(1 << width) - 1}")
                value = self.ins(f"select i1 {highest}, i{bits} {last}, i{bits} {value}")
            part = self.ins(f"trunc i{bits} {value} to i{lane.bits}") if lane.bits < bits else value
            part = self.ins(f"zext i{lane.bits} {part} to i64")
            packed = self.ins(f"or i64 {packed}, {self.ins(f'shl i64 {part}, {8 * (lane.offset - HEADER)}')}")
        self.do(f"store i64 {packed}, ptr {self.ins(f'getelementptr i8, ptr %ip, i64 {HEADER}')}")
        here = self.ins(
            f"sub i64 {self.ins(f'ptrtoint ptr {handler} to i64')}, {self.ins('ptrtoint ptr %hb to i64')}"
        )
        here = self.ins(f"and i64 {here}, {(1 << 32) - 1}")
        distance = self.ins(f"sub i64 {self.pc}, {self._constant('pause_start')}")
        pausing = self.ins(f"icmp ult i64 {distance}, {self._constant('pause_size')}")
        pause = self.ins(
            f"sub i64 {self.ins('ptrtoint ptr @pause to i64')}, {self.ins('ptrtoint ptr %hb to i64')}"
        )
        after = self.ins(
            f"or i64 {self.ins(f'shl i64 {here}, 32')}, {self.ins(f'and i64 {pause}, {(1 << 32) - 1}')}"
        )
        here = self.ins(f"select i1 {pausing}, i64 {after}, i64 {here}, {UNLIKELY}")
        # Fields first: another thread that sees the handler sees them too.
        self.do(f"store atomic i64 {here}, ptr %ip release, align 8")
        decoding = self.ins(f"load i32, ptr {self.st('decoding')}")
        self.unlikely(self.ins(f"icmp ne i32 {decoding}, 0"), lambda: self.leave("STOP", "%ip", "%budget"))
        self.enter("%ip", "%budget", self.ins(f"trunc i64 {here} to i32"))

    def _extract(self, encoding: Encoding, name: str, word: str, bits: int) -> str:
        value = "0"
        for piece in encoding.fields[name]:
            part = self.ins(f"lshr i{bits} {word}, {piece.insn_low}") if piece.insn_low else word
            part = self.ins(f"and i{bits} {part}, {(1 << piece.length) - 1}")
            if piece.field_low:
                part = self.ins(f"shl i{bits} {part}, {piece.field_low}")
            value = part if value == "0" else self.ins(f"or i{bits} {value}, {part}")
        return value
