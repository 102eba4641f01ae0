"""Compiles traces of floating-point ops to native functions, and drives them over rows of operands and results.

A row is five 64-bit numbers: three operands, the result, the accrued exceptions. The comparing loop is native too, so
that millions of vectors take seconds; it loads the control word before each row and reads it after.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from llvmlite import binding as llvm

from polyvm.emit import llvm_float
from polyvm.emit.deferred import Deferred
from polyvm.emit.llvm import METADATA, Emitter
from polyvm.ir import golden
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.ir.trace import Trace, Tracer, record
from polyvm.ir.values import Val

HOST_ROUND = (0, 3, 1, 2, 0, 0, 0, 0)  # ours to the host's; what it lacks rounds to nearest
GOLDEN = 1 << 32  # among the flags: the code left for the golden evaluator
RESULTS = 8
OPERANDS = "abcdefgh"


class Op(NamedTuple):
    """An op to compile: its name, the widths of its operands and of its result, its attr."""

    name: str
    operands: tuple[int, ...]
    bits: int
    attr: object = None
    floats: str = "canonical"

    @property
    def symbol(self) -> str:
        """A name for the function."""
        attr = self.attr if isinstance(self.attr, tuple) else (self.attr,)
        parts = (self.name, *self.operands, "to", self.bits, *(int(a) for a in attr if isinstance(a, int)))
        return "_".join(map(str, parts))

    @property
    def trace(self) -> Trace:
        """The op on operands a, b, c; its value is result 0."""
        names = OPERANDS[: len(self.operands)]

        def body(m: Tracer, **operands: Val) -> None:
            m.set(("result", 0), m.emit(self.name, self.bits, tuple(operands[n] for n in names), self.attr))

        return record(body, {}, 4, {}, dict(zip(names, self.operands, strict=True)), self.floats)

    def soft(self, operands: tuple[int, ...], mode: int) -> tuple[int, int]:
        """The golden evaluator's answer: the result and the exceptions, under this FP_MODE."""
        width = self.operands[0]
        return golden.floating(self.name, list(operands), self.bits, width, self.attr, mode, self.floats)


class Body(Emitter):
    """A trace as `void f(ptr operands, ptr out, ptr round)`: out takes the results, and 1 behind them when it left."""

    def __init__(self, name: str, trace: Trace, features: frozenset[str] = llvm_float.FEATURES) -> None:
        super().__init__()
        self.floats = trace.floats
        self.symbol = name
        self.features = features
        self.start("entry")
        self.emit(trace.ops)
        self.do("ret void")

    def text(self) -> str:
        """The function."""
        body = "\n".join(self.lines)
        return f"define void @{self.symbol}(ptr %operands, ptr %out, ptr %round) #0 {{\n{body}\n}}\n"

    def op_field(self, op: Val, args: list[str]) -> str:
        """An operand."""
        pointer = self.ins(f"getelementptr i64, ptr %operands, i64 {OPERANDS.index(str(op.attr))}")
        return self.ins(f"load i{op.bits}, ptr {pointer}")

    def op_get(self, op: Val, args: list[str]) -> str:
        """The environment."""
        if op.attr == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        assert op.attr == FP_MODE
        return self.ins(f"trunc i32 {self.ins('load i32, ptr %round')} to i{op.bits}")

    def op_set(self, op: Val, args: list[str]) -> None:
        """A result, or the environment."""
        bits = op.args[0].bits
        if op.attr == FP_FLAGS:
            self.call("void", "pv_write_flags", f"i5 {args[0]}")
        elif op.attr == FP_MODE:
            self.call("void", "pv_write_mode", "ptr %round", f"i7 {args[0]}")
        else:
            assert isinstance(op.attr, tuple)
            value = args[0] if bits == 64 else self.ins(f"zext i{bits} {args[0]} to i64")
            self.do(f"store i64 {value}, ptr {self.ins(f'getelementptr i64, ptr %out, i64 {op.attr[1]}')}")

    def leave_golden(self) -> None:
        """Say so."""
        self.do(f"store i64 1, ptr {self.ins(f'getelementptr i64, ptr %out, i64 {RESULTS}')}")
        self.do("ret void")


class Function(Body):
    """Results are canonical at once, as in tier 0."""


class DeferredFunction(Body, Deferred):
    """Results are canonical when they are put away, as in a region."""


# i32 guarded(function, row, out, round, control): the control word after a call.
GUARDED = """
define i32 @guarded(ptr %f, ptr %row, ptr %out, ptr %round, i32 %control) #0 {
  %word = alloca i32
  %host = alloca i32
  store volatile i32 %control, ptr %word
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %host)
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %word)
  call void %f(ptr %row, ptr %out, ptr %round)
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %word)
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %host)
  %v = load volatile i32, ptr %word
  ret i32 %v
}
"""

# i64 drive(function, rows, count, round, control, wrong): how many rows differ; wrong takes 64 of them, as (row,
# result, flags). Bits of the control word that are not exceptions must come back as they were.
DRIVE = """
define i32 @exceptions(i32 %v) {
  %nx = lshr i32 %v, 5
  %nx1 = and i32 %nx, 1
  %uf = lshr i32 %v, 3
  %uf1 = and i32 %uf, 2
  %of = lshr i32 %v, 1
  %of1 = and i32 %of, 4
  %dz = shl i32 %v, 1
  %dz1 = and i32 %dz, 8
  %nv = shl i32 %v, 4
  %nv1 = and i32 %nv, 16
  %a = or i32 %nx1, %uf1
  %b = or i32 %of1, %dz1
  %c = or i32 %a, %nv1
  %d = or i32 %c, %b
  ret i32 %d
}
define i64 @drive(ptr %f, ptr %rows, i64 %n, ptr %round, i32 %control, ptr %wrong) #0 {
entry:
  %out = alloca [9 x i64]
  %left = getelementptr i64, ptr %out, i64 8
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %after ]
  %bad = phi i64 [ 0, %entry ], [ %bad2, %after ]
  %row = getelementptr [5 x i64], ptr %rows, i64 %i
  store i64 0, ptr %out
  store i64 0, ptr %left
  %v = call i32 @guarded(ptr %f, ptr %row, ptr %out, ptr %round, i32 %control)
  %flags = call i32 @exceptions(i32 %v)
  %mode = xor i32 %v, %control
  %mode2 = and i32 %mode, -64
  %mode3 = zext i32 %mode2 to i64
  %result = load i64, ptr %out
  %gone = load i64, ptr %left
  %gone2 = shl i64 %gone, 32
  %flags2 = zext i32 %flags to i64
  %flags3 = or i64 %flags2, %gone2
  %flags4 = or i64 %flags3, %mode3
  %er = getelementptr i64, ptr %row, i64 3
  %ef = getelementptr i64, ptr %row, i64 4
  %want = load i64, ptr %er
  %want2 = load i64, ptr %ef
  %same = icmp eq i64 %want, %result
  %same2 = icmp eq i64 %want2, %flags4
  %both = and i1 %same, %same2
  br i1 %both, label %after, label %note
note:
  %room = icmp ult i64 %bad, 64
  br i1 %room, label %write, label %count
write:
  %w = getelementptr [3 x i64], ptr %wrong, i64 %bad
  store i64 %i, ptr %w
  %w1 = getelementptr i64, ptr %w, i64 1
  store i64 %result, ptr %w1
  %w2 = getelementptr i64, ptr %w, i64 2
  store i64 %flags4, ptr %w2
  br label %count
count:
  %bad1 = add i64 %bad, 1
  br label %after
after:
  %bad2 = phi i64 [ %bad, %loop ], [ %bad1, %count ]
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret i64 %bad2
}
"""


def exceptions(word: int) -> int:
    """The IR's flags of a control word."""
    return sum(flag for flag, bit in ((1, 32), (2, 16), (4, 8), (8, 4), (16, 1)) if word & bit)


def host_exceptions(flags: int) -> int:
    """And the other way."""
    return sum(bit for flag, bit in ((1, 32), (2, 16), (4, 8), (8, 4), (16, 1)) if flags & flag)


def link(text: str, symbols: Iterable[str], cpu: str) -> tuple[object, dict[str, int]]:
    """Compile LLVM text as a release does; what to keep alive, and the addresses of symbols."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    host = cpu == "host"
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name() if host else cpu,
        features=llvm.get_host_cpu_features().flatten() if host else "",
        opt=2,
        codemodel="small",
        reloc="pic",
    )
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    compiler = llvm.create_lljit_compiler(machine)
    library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module))
    names = list(symbols)
    for symbol in names:
        library.export_symbol(symbol)
    tracker = library.link(compiler, "probe")
    return (compiler, tracker), {symbol: tracker[symbol] for symbol in names}


class Native:
    """Compiled traces. cpu: LLVM's name of the processor that code is made for, or "host"."""

    def __init__(
        self,
        traces: dict[str, Trace],
        cpu: str = "x86-64-v3",
        features: frozenset[str] = llvm_float.FEATURES,
        body: type[Body] = Function,
    ) -> None:
        self.floats = next(iter(traces.values())).floats
        functions = [body(name, trace, features) for name, trace in traces.items()]
        declarations = {
            line for function in functions for line in function.declarations if "@pv_" not in line
        }
        text = "\n".join(
            [*sorted(declarations), *(function.text() for function in functions),
             llvm_float.RUNTIME.replace("FP_MODE", "0"), GUARDED, DRIVE,
             'attributes #0 = { nounwind strictfp "no-builtins" }', METADATA]
        )  # fmt: skip
        self._keep, self._address = link(text, ["drive", "guarded", *traces], cpu)
        p, w, u = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        self._drive = ctypes.CFUNCTYPE(u, p, p, u, p, w, p)(self._address["drive"])
        self._guarded = ctypes.CFUNCTYPE(w, p, p, p, p, w)(self._address["guarded"])

    @classmethod
    def of(
        cls, ops: Iterable[Op], cpu: str = "x86-64-v3", features: frozenset[str] = llvm_float.FEATURES
    ) -> Native:
        """Compiled single ops."""
        return cls({op.symbol: op.trace for op in ops}, cpu, features)

    def mismatches(self, op: Op, rows: array[int], mode: int, accrued: int = 0) -> list[str]:
        """Run rows of five under a dynamic rounding mode, flags already up; the first of those that differ."""
        wrong = (ctypes.c_uint64 * (3 * 64))()
        round_ = ctypes.c_uint32(mode)
        control = 0x1F80 | HOST_ROUND[mode & 7] << 13 | host_exceptions(accrued)
        bad = self._drive(
            self._address[op.symbol], rows.buffer_info()[0], len(rows) // 5,
            ctypes.addressof(round_), control, ctypes.addressof(wrong),
        )  # fmt: skip
        shown = []
        for i in range(min(bad, 8)):
            row, result, flags = wrong[3 * i : 3 * i + 3]
            a, b, c, want, want_flags = rows[5 * row : 5 * row + 5]
            shown.append(
                f"{op.symbol}({a:x}, {b:x}, {c:x}) in mode {mode} is {want:x} {want_flags:02x}, "
                f"not {result:x} {flags:02x} ({bad} of {len(rows) // 5})"
            )
        return shown

    def call(
        self, name: str, operands: Iterable[int], mode: int = 0, accrued: int = 0
    ) -> tuple[list[int], int, int]:
        """The results, the flags (GOLDEN among them when the code left), and the dynamic rounding mode after it."""
        row = array("Q", [*operands, *[0] * 8])
        out = array("Q", [0] * (RESULTS + 1))
        round_ = ctypes.c_uint32(mode)
        word = self._guarded(
            self._address[name], row.buffer_info()[0], out.buffer_info()[0],
            ctypes.addressof(round_), 0x1F80 | HOST_ROUND[mode & 7] << 13 | host_exceptions(accrued),
        )  # fmt: skip
        assert word >> 13 & 3 == HOST_ROUND[round_.value & 7]
        return list(out[:RESULTS]), exceptions(word) | (GOLDEN if out[RESULTS] else 0), round_.value
