"""Native code of A64's floating-point instructions beside the golden evaluator: registers, memory and exceptions."""

from __future__ import annotations

import ctypes
import platform
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from polyvm.emit import llvm_float
from polyvm.emit.llvm import METADATA, Emitter
from polyvm.ir import golden
from polyvm.ir.ops import FP_FLAGS, FP_MODE, lanes_of
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val
from polyvm.isa.spec import Insn, Shape
from tests.emit.floatprobe import GUARDED, HOST_ROUND, exceptions, host_exceptions, link
from tests.isa.aarch64.judge import DATA, DATA_SIZE
from tests.isa.aarch64.machine import ISA, Machine
from tests.isa.aarch64.test_golden_unicorn import ops, prepared

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")

FLOAT = [insn for insn in ISA.insns if ops(insn) & golden.FLOAT_OPS or insn.name in ("mrs", "msr")]
PLACES = ISA.state_layout(0)
END = max(offset + size for offset, size in PLACES.values()) + 8
MODE, LEFT, PC, SIZE = END, END + 8, END + 16, END + 24


class Function(Emitter):
    """One instruction in one shape as `void f(ptr state, ptr fields, ptr memory)`."""

    floats = ISA.floats

    def __init__(self, name: str, trace: Trace, fields: list[str]) -> None:
        super().__init__()
        self.symbol = name
        self.fields = fields
        self.start("entry")
        self.emit(trace.ops)
        self.do("ret void")

    def text(self) -> str:
        body = "\n".join(self.lines)
        return f"define void @{self.symbol}(ptr %state, ptr %fields, ptr %memory) #0 {{\n{body}\n}}\n"

    def _at(self, base: str, offset: int) -> str:
        return self.ins(f"getelementptr i8, ptr {base}, i64 {offset}")

    def op_field(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._at('%fields', 8 * self.fields.index(str(op.attr)))}")

    def op_pc(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i64, ptr {self._at('%state', PC)}")

    def _register(self, op: Val, number: str) -> str:
        offset, size = PLACES[str(op.attr), 0]
        index = self.ins(f"zext i{op.args[0].bits} {number} to i64")
        return self.ins(f"getelementptr i{8 * size}, ptr {self._at('%state', offset)}, i64 {index}")

    def op_getx(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._register(op, args[0])}, align 1")

    def op_setx(self, op: Val, args: list[str]) -> None:
        self.do(f"store i{op.args[1].bits} {args[1]}, ptr {self._register(op, args[0])}, align 1")
        zero = ISA.files[str(op.attr)].zero
        if zero is not None:
            self.do(f"store i64 0, ptr {self._at('%state', PLACES[str(op.attr), zero][0])}")

    def op_get(self, op: Val, args: list[str]) -> str:
        if op.attr == FP_FLAGS:
            return self.call("i5", "pv_read_flags")
        slot: tuple[str, int] = op.attr  # type: ignore[assignment]  # a slot
        word = self.ins(f"load i64, ptr {self._at('%state', MODE if slot == FP_MODE else PLACES[slot][0])}")
        return word if op.bits == 64 else self.ins(f"trunc i64 {word} to i{op.bits}")

    def op_set(self, op: Val, args: list[str]) -> None:
        bits = op.args[0].bits
        if op.attr == FP_FLAGS:
            self.call("void", "pv_write_flags", f"i5 {args[0]}")
        elif op.attr == FP_MODE:
            self.call("void", "pv_write_mode", "ptr %state", f"i7 {args[0]}")
        else:
            slot: tuple[str, int] = op.attr  # type: ignore[assignment]  # a slot
            value = args[0] if bits == 64 else self.ins(f"zext i{bits} {args[0]} to i64")
            self.do(f"store i64 {value}, ptr {self._at('%state', PLACES[slot][0])}")

    def address(self, value: str) -> str:
        return self.ins(f"getelementptr i8, ptr %memory, i64 {self.ins(f'sub i64 {value}, {DATA}')}")

    def op_counter(self, op: Val, args: list[str]) -> str:
        return "0"  # nobody reads clocks here

    def leave_golden(self) -> None:
        self.do(f"store i64 1, ptr {self._at('%state', LEFT)}")
        self.do("ret void")


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
        text = "\n".join(
            [*sorted(declared), *(function.text() for function in functions), GUARDED,
             llvm_float.RUNTIME.replace("FP_MODE", str(MODE)),
             'attributes #0 = { nounwind strictfp "no-builtins" }', METADATA]
        )  # fmt: skip
        self.keep, self.addresses = link(text, ["guarded", *self.names.values()], "x86-64-v3")
        p, w = ctypes.c_void_p, ctypes.c_uint32
        self.enter = ctypes.CFUNCTYPE(w, p, p, p, p, w)(self.addresses["guarded"])

    def step(self, machine: Machine, word: int) -> bool:
        """Do an instruction on the machine's registers and memory; whether it was done, or left to the evaluator."""
        decoded = ISA.decode(word)
        assert decoded is not None
        state = bytearray(SIZE)

        def put(offset: int, size: int, value: int) -> None:
            state[offset : offset + size] = value.to_bytes(size, "little")

        slots = machine.state
        for slot, (offset, size) in PLACES.items():
            put(offset, size, slots.read(slot))
        mode = slots.read(FP_MODE)
        put(MODE, 8, mode)
        put(PC, 8, machine.pc)
        raw = (ctypes.c_uint8 * SIZE).from_buffer(state)
        fields = (ctypes.c_uint64 * 8)(*(decoded.fields[name] for name in decoded.insn.data_fields))
        data = (ctypes.c_uint8 * DATA_SIZE).from_buffer(machine.memory.data)
        control = 0x1F80 | HOST_ROUND[mode & 7] << 13 | host_exceptions(slots.read(FP_FLAGS))
        after = self.enter(
            self.addresses[self.names[decoded.insn, decoded.shape]],
            ctypes.addressof(raw), ctypes.addressof(fields), ctypes.addressof(data), control,
        )  # fmt: skip
        del data
        if state[LEFT]:
            return False
        for slot, (offset, size) in PLACES.items():
            slots.write(slot, int.from_bytes(state[offset : offset + size], "little"))
        slots.write(FP_FLAGS, exceptions(after))
        slots.write(FP_MODE, int.from_bytes(state[MODE : MODE + 4], "little"))
        return True


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """States by what became of them; the sums are reported."""
    counts: Counter[str] = Counter()
    yield counts
    report(f"native == golden: {len(FLOAT)} floating-point encodings of A64, {dict(counts)}")


@pytest.mark.parametrize("insn", FLOAT, ids=[insn.text for insn in FLOAT])
def test_native_code_agrees_with_the_golden_evaluator(
    insn: Insn, native: Native, rng: random.Random, full: bool, counted: Counter[str]
) -> None:
    data = rng.randbytes(DATA_SIZE)
    names = {
        lanes_of(op.attr)[0] if op.op == "flanes" else op.op
        for op in ISA.trace(insn, next(insn.shapes())).walk()
    }
    floating = names & golden.FLOAT_OPS - {"itof"}  # what FPCR can ask more of than a rounding mode
    wanted = 1000 if full else 60
    while wanted:
        ours, theirs = Machine(DATA, data), Machine(DATA, data)
        ours.pc = DATA - 0x1000
        word = prepared(insn, ours, rng)
        if word is None:
            continue
        theirs.state.slots, theirs.pc = dict(ours.state.slots), ours.pc
        what = f"{insn.text}: {word:#x} fpcr {ours.fpcr:#x} {theirs.state.slots}"
        mode = ours.state.read(FP_MODE)
        done = native.step(ours, word)
        wanted -= 1
        counted["done" if done else "left"] += 1
        if not done:
            assert floating, what
            assert mode >= 8, what
            continue
        assert mode < 8 or not floating or insn.name.startswith("fccmp"), what
        theirs.step(word)
        different = {
            slot: (hex(ours.state.read(slot)), hex(theirs.state.read(slot)))
            for slot in {**ours.state.slots, **theirs.state.slots}
            if ours.state.read(slot) != theirs.state.read(slot)
        }
        assert different == {}, what
        assert ours.memory.data == theirs.memory.data, what
