"""Vector instructions as native code, each in the contexts that a test asks for: regions' code, on a state block."""

from __future__ import annotations

import ctypes
import random
from dataclasses import replace

from polyvm.emit import llvm_float
from polyvm.emit.llvm import METADATA, Emitter
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val
from polyvm.isa.riscv64.vector.machine import pack
from polyvm.isa.riscv64.vector.spec import VectorIsa
from polyvm.isa.spec import Insn
from tests.emit.floatprobe import HOST_ROUND, exceptions, host_exceptions, link
from tests.isa.riscv64.vectors import PAGE, Case, after, on_golden, random_case, state_of

ROUND, LEFT, SCRATCH, REGISTERS = 0, 8, 16, 128
BLOCK = 8192
MARGIN = 1 << 16


class Function(Emitter):
    """An instruction as `void f(ptr state, ptr fields, ptr memory)`. LEFT: 1 trapped, 2 for the golden evaluator."""

    floats = "canonical"

    def __init__(self, name: str, trace: Trace, fields: list[str], isa: VectorIsa) -> None:
        super().__init__()
        self.name_of_all, self.fields, self.isa = name, fields, isa
        self.places = isa.state_layout(REGISTERS)
        self.start("entry")
        self.emit(trace.ops)
        self.do("ret void")

    def text(self) -> str:
        body = "\n".join(self.lines)
        return f"define void @{self.name_of_all}(ptr %state, ptr %fields, ptr %memory) #0 {{\n{body}\n}}\n"

    def _at(self, base: str, offset: int) -> str:
        return self.ins(f"getelementptr i8, ptr {base}, i64 {offset}")

    def op_field(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._at('%fields', 8 * self.fields.index(str(op.attr)))}")

    def _register(self, op: Val, number: str) -> str:
        offset, size = self.places[str(op.attr), 0]
        index = number if op.args[0].bits == 64 else self.ins(f"zext i{op.args[0].bits} {number} to i64")
        return self.ins(f"getelementptr i{8 * size}, ptr {self._at('%state', offset)}, i64 {index}")

    def op_getx(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._register(op, args[0])}, align 8")

    def op_setx(self, op: Val, args: list[str]) -> None:
        self.do(f"store i{op.args[1].bits} {args[1]}, ptr {self._register(op, args[0])}, align 8")
        self.do(f"store i64 0, ptr {self._at('%state', self.places['x', 0][0])}")

    def op_get(self, op: Val, args: list[str]) -> str:
        if op.attr == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        if op.attr == FP_MODE:
            word = self.ins(f"load i32, ptr {self._at('%state', ROUND)}")
            return self.ins(f"trunc i32 {word} to i{op.bits}")
        offset, _ = self.places[op.attr]  # type: ignore[index]  # a slot
        return self.ins(f"load i{op.bits}, ptr {self._at('%state', offset)}, align 8")

    def op_set(self, op: Val, args: list[str]) -> None:
        if op.attr == FP_FLAGS:
            self.call("void", "pv_write_flags", f"i5 {args[0]}")
            return
        offset, _ = self.places[op.attr]  # type: ignore[index]  # a slot
        self.do(f"store i{op.args[0].bits} {args[0]}, ptr {self._at('%state', offset)}, align 8")

    def address(self, value: str) -> str:
        return self.ins(f"getelementptr i8, ptr %memory, i64 {value}")

    def scratch(self, bits: int) -> str:
        return self._at("%state", SCRATCH)

    def _leave(self, how: int) -> None:
        self.do(f"store i64 {how}, ptr {self._at('%state', LEFT)}")
        self.do("ret void")

    def op_trap(self, op: Val, args: list[str]) -> None:
        assert op.attr == "illegal"
        self._leave(1)

    def leave_golden(self) -> None:
        self._leave(2)


ENTER = """
define i32 @enter(ptr %f, ptr %state, ptr %fields, ptr %memory, i32 %control) #0 {
  %word = alloca i32
  %host = alloca i32
  store volatile i32 %control, ptr %word
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %host)
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %word)
  call void %f(ptr %state, ptr %fields, ptr %memory)
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %word)
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %host)
  %v = load volatile i32, ptr %word
  ret i32 %v
}"""


class Native:
    """Instructions for the contexts that cases ask for, linked all at once."""

    def __init__(self, isa: VectorIsa) -> None:
        self.isa = isa
        self.names: dict[object, str] = {}
        self.functions: list[Function] = []
        self.left = 0

    def legal_case(self, insn: Insn, rng: random.Random) -> Case | None:
        """A case that the golden evaluator finds legal, the function for it made; None where none was found."""
        for _ in range(40):
            case = replace(random_case(insn, self.isa, rng), vstart=0)
            if on_golden(replace(case, vl=0), self.isa).signal == 0:
                self._name(case)
                return case
        return None

    def varied(self, case: Case, insn: Insn, rng: random.Random) -> Case:
        """The same instruction and vtype, in another state."""
        return replace(random_case(insn, self.isa, rng, like=case), vstart=0)

    def _name(self, case: Case) -> str:
        decoded = self.isa.decode(case.word)
        assert decoded is not None
        placed = self.isa.in_context(decoded, pack(case.vtype, self.isa.vlen))
        key = placed.insn, placed.shape
        if key not in self.names:
            name = self.names[key] = f"f{len(self.names)}"
            trace = self.isa.trace(*key)
            self.functions.append(Function(name, trace, list(placed.insn.data_fields), self.isa))
        return self.names[key]

    def link(self) -> None:
        """Compile them."""
        declared = {
            line for function in self.functions for line in function.declarations if "@pv_" not in line
        }
        text = "\n".join(
            [*sorted(declared), *(function.text() for function in self.functions), ENTER,
             llvm_float.RUNTIME.replace("FP_MODE", str(ROUND)),
             'attributes #0 = { nounwind strictfp "no-builtins" }', METADATA]
        )  # fmt: skip
        self.keep, self.addresses = link(text, ["enter", *self.names.values()], "host")
        p, w = ctypes.c_void_p, ctypes.c_uint32
        self.enter = ctypes.CFUNCTYPE(w, p, p, p, p, w)(self.addresses["enter"])

    def step(self, case: Case) -> Case:
        """What native code makes of a state; what it leaves to the golden evaluator, that does."""
        state = state_of(case, self.isa)
        places = self.isa.state_layout(REGISTERS)
        block = (ctypes.c_uint8 * (BLOCK + 64))()
        at = -ctypes.addressof(block) % 64
        view = memoryview(block).cast("B")[at : at + BLOCK]
        for slot, (offset, size) in places.items():
            view[offset : offset + size] = state.read(slot).to_bytes(size, "little")
        view[ROUND : ROUND + 4] = (case.fcsr >> 5).to_bytes(4, "little")
        decoded = self.isa.decode(case.word)
        assert decoded is not None
        fields = (ctypes.c_uint64 * 16)(*(decoded.fields[name] for name in decoded.insn.data_fields))
        margin = b"\xa5" * MARGIN
        around = bytearray(margin + case.page + margin)
        data = (ctypes.c_uint8 * len(around)).from_buffer(around)
        control = 0x1F80 | HOST_ROUND[case.fcsr >> 5] << 13 | host_exceptions(case.fcsr & 31)
        base = ctypes.addressof(block) + at
        function = self.addresses[self._name(case)]
        page = ctypes.addressof(data) + MARGIN - PAGE
        raised = self.enter(function, base, ctypes.addressof(fields), page, control)
        left = int.from_bytes(view[LEFT : LEFT + 8], "little")
        if left == 2:
            self.left += 1
            return on_golden(case, self.isa)
        for slot, (offset, size) in places.items():
            state.write(slot, int.from_bytes(view[offset : offset + size], "little"))
        state.write(FP_FLAGS, exceptions(raised))
        assert around[:MARGIN] == margin == around[-MARGIN:], decoded.insn.text
        return after(case, state, bytes(around[MARGIN:-MARGIN]), 4 if left else 0)
