"""F, D and Zfh as native code beside the golden evaluator: every instruction in every shape, on random states."""

from __future__ import annotations

import ctypes
import itertools
import platform
import random

import pytest

from polyvm.emit import llvm_float
from polyvm.emit.llvm import METADATA, Emitter
from polyvm.ir import golden, softfloat
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val
from polyvm.isa.spec import Insn, Shape
from tests.emit.floatprobe import HOST_ROUND, exceptions, host_exceptions, link
from tests.isa.riscv64.floats import FLOAT, fill, float_register
from tests.isa.riscv64.machine import ISA, Machine, random_fields

DATA = 0x10_0000

X, F, ROUND, LEFT = 0, 256, 512, 520
SIZE = 528


class Function(Emitter):
    """An instruction as `void f(ptr state, ptr fields, ptr memory)`. LEFT: 1 trapped, 2 for the golden evaluator."""

    def __init__(self, name: str, trace: Trace, fields: list[str]) -> None:
        super().__init__()
        self.name_of_all, self.fields = name, fields
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

    def _register(self, file: str, number: str, bits: int) -> str:
        index = self.ins(f"zext i{bits} {number} to i64")
        return self.ins(f"getelementptr i64, ptr {self._at('%state', {'x': X, 'f': F}[file])}, i64 {index}")

    def op_getx(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i64, ptr {self._register(str(op.attr), args[0], op.args[0].bits)}")

    def op_setx(self, op: Val, args: list[str]) -> None:
        self.do(f"store i64 {args[1]}, ptr {self._register(str(op.attr), args[0], op.args[0].bits)}")
        self.do("store i64 0, ptr %state")

    def op_get(self, op: Val, args: list[str]) -> str:
        if op.attr == FP_MODE:
            word = self.ins(f"load i32, ptr {self._at('%state', ROUND)}")
            return self.ins(f"trunc i32 {word} to i{op.bits}")
        file, number = op.attr  # type: ignore[misc]  # a slot
        return self.ins(f"load i64, ptr {self._at('%state', {'x': X, 'f': F}[file] + 8 * number)}")

    def op_set(self, op: Val, args: list[str]) -> None:
        raise AssertionError(op)

    def address(self, value: str) -> str:
        return self.ins(f"getelementptr i8, ptr %memory, i64 {value}")

    def _leave(self, how: int) -> None:
        self.do(f"store i64 {how}, ptr {self._at('%state', LEFT)}")
        self.do("ret void")

    def op_trap(self, op: Val, args: list[str]) -> None:
        assert op.attr == "illegal"
        self._leave(1)

    def leave_golden(self) -> None:
        self._leave(2)


class Native:
    """Every floating-point instruction in every shape."""

    def __init__(self) -> None:
        self.names: dict[tuple[Insn, Shape], str] = {}
        functions = []
        for insn in FLOAT:
            for shape in insn.shapes():
                name = self.names[insn, shape] = f"f{len(self.names)}"
                functions.append(Function(name, ISA.trace(insn, shape), list(insn.data_fields)))
        declared = {line for function in functions for line in function.declarations if "@pv_" not in line}
        enter = """
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
        text = "\n".join(
            [*sorted(declared), *(function.text() for function in functions), enter,
             llvm_float.RUNTIME.replace("FP_MODE", str(ROUND)),
             'attributes #0 = { nounwind strictfp "no-builtins" }', METADATA]
        )  # fmt: skip
        self.keep, self.addresses = link(text, ["enter", *self.names.values()], "x86-64-v3")
        p, w = ctypes.c_void_p, ctypes.c_uint32
        self.enter = ctypes.CFUNCTYPE(w, p, p, p, p, w)(self.addresses["enter"])

    def step(self, machine: Machine, word: int) -> int:
        """Do an instruction on the machine's registers and memory; how it left, 0 when it did not."""
        decoded = ISA.decode(word)
        assert decoded is not None
        state = (ctypes.c_uint64 * (SIZE // 8))(
            *(machine[n] for n in range(32)),
            *(float_register(machine, n) for n in range(32)),
            machine.fcsr >> 5,
            0,
        )
        fields = (ctypes.c_uint64 * 8)(*(decoded.fields[name] for name in decoded.insn.data_fields))
        data = (ctypes.c_uint8 * len(machine.memory.data)).from_buffer(machine.memory.data)
        control = 0x1F80 | HOST_ROUND[machine.fcsr >> 5] << 13 | host_exceptions(machine.fcsr & 31)
        memory = ctypes.addressof(data) - machine.memory.start
        function = self.addresses[self.names[decoded.insn, decoded.shape]]
        after = self.enter(function, ctypes.addressof(state), ctypes.addressof(fields), memory, control)
        assert after & ~0x3F == control & ~0x3F  # the rounding mode came back
        for number in range(32):
            machine[number] = state[number]
            machine.state.write(("f", number), state[32 + number])
        machine.state.write(FP_FLAGS, exceptions(after))
        return int(state[LEFT // 8])


@pytest.fixture(scope="module")
def native() -> Native:
    if platform.machine() != "x86_64":
        pytest.skip("these lowerings are for x86-64 hosts")
    return Native()


def may_leave(insn: Insn, shape: dict[str, int], mode: int) -> bool:
    """Ties away are left to the golden evaluator; nothing else is."""
    return "rm" in shape and (shape["rm"] == softfloat.RMM or (shape["rm"] == 7 and mode == softfloat.RMM))


@pytest.mark.parametrize("insn", FLOAT, ids=[insn.name for insn in FLOAT])
def test_native_code_agrees_with_the_golden_evaluator(
    insn: Insn, native: Native, rng: random.Random, full: bool
) -> None:
    data = rng.randbytes(4096)
    for shape, _ in itertools.product(insn.shapes(), range(1000 if full else 30)):
        machines = []
        seed = rng.getrandbits(64)
        fields = random_fields(insn, shape, rng)
        for _ in range(2):
            machine = Machine(DATA, data)
            again = random.Random(seed)
            fill(machine, again)
            machine.fcsr = again.choice((*range(5), 0, 7)) << 5 | again.choice((0, again.getrandbits(5)))
            if "imm" in fields or "uimm" in fields:
                base = fields.get("rs1", fields.get("rs1'", 2)) or fields.setdefault("rs1", 1)
                fields["rs1"] = fields.get("rs1", base) or 1
                machine[base or 1] = DATA + 2048 + again.randrange(8)
            machines.append(machine)
        word = insn.encode({name: fields[name] for name in insn.encoding.fields})
        ours, theirs = machines
        left = native.step(ours, word)
        what = f"{insn.text} {dict(shape)}: {word:#x}, fcsr {theirs.fcsr:#x}"
        before = theirs.fcsr
        try:
            theirs.step(word)
        except golden.Trap:
            assert left == 1, what
        else:
            assert left in (0, 2 if may_leave(insn, dict(shape), before >> 5) else 0), what
        if left:
            continue
        assert [hex(ours[n]) for n in range(32)] == [hex(theirs[n]) for n in range(32)], what
        assert [hex(float_register(ours, n)) for n in range(32)] == [
            hex(float_register(theirs, n)) for n in range(32)
        ], what
        assert ours.fcsr == theirs.fcsr, what
        assert ours.memory.data == theirs.memory.data
