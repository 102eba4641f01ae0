"""Integer SIMD as native code beside the golden evaluator, in random shapes on random states.

Every other function is made for one word, its fields numbers, as in a region; the others take them at run time.
"""

from __future__ import annotations

import ctypes
import platform
import random
from collections.abc import Callable

import pytest

from polyvm.emit.llvm import METADATA, Emitter
from polyvm.ir.trace import Trace
from polyvm.ir.values import Val
from polyvm.isa.aarch64.registers import XZR
from polyvm.isa.spec import Insn
from tests.emit.floatprobe import link
from tests.isa.aarch64.machine import ISA, REGISTERS, Machine
from tests.isa.aarch64.test_golden_unicorn import floating, random_integers
from tests.isa.dictionaries import random_value, random_word

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")

VECTORS = [insn for insn in ISA.insns if "SIMD" in insn.extension.name and not floating(insn)]
PLACES = ISA.state_layout(0)
SIZE = max(offset + size for offset, size in PLACES.values())
DATA, DATA_SIZE = 0x10_0000, 4096


class Function(Emitter):
    """An instruction as `void f(ptr state, ptr fields, ptr memory)`; with `numbers` its fields are these."""

    def __init__(self, name: str, trace: Trace, insn: Insn, numbers: dict[str, int] | None) -> None:
        super().__init__()
        self.symbol, self.fields, self.numbers = name, list(insn.data_fields), numbers
        self.start("entry")
        self.emit(trace.ops)
        self.do("ret void")

    def text(self) -> str:
        body = "\n".join(self.lines)
        return f"define void @{self.symbol}(ptr %state, ptr %fields, ptr %memory) nounwind {{\n{body}\n}}\n"

    def _at(self, base: str, offset: int) -> str:
        return self.ins(f"getelementptr i8, ptr {base}, i64 {offset}")

    def op_field(self, op: Val, args: list[str]) -> str:
        if self.numbers is not None:
            return str(self.numbers[str(op.attr)])
        return self.ins(f"load i{op.bits}, ptr {self._at('%fields', 8 * self.fields.index(str(op.attr)))}")

    def _register(self, op: Val, number: str) -> str:
        file = str(op.attr)
        index = self.ins(f"zext i{op.args[0].bits} {number} to i64")
        return self.ins(
            f"getelementptr i{ISA.files[file].bits}, ptr {self._at('%state', PLACES[file, 0][0])}, i64 {index}"
        )

    def op_getx(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._register(op, args[0])}, align 8")

    def op_setx(self, op: Val, args: list[str]) -> None:
        self.do(f"store i{op.args[1].bits} {args[1]}, ptr {self._register(op, args[0])}, align 8")
        self.do(f"store i64 0, ptr {self._at('%state', PLACES['x', XZR][0])}")

    def op_get(self, op: Val, args: list[str]) -> str:
        return self.ins(f"load i{op.bits}, ptr {self._at('%state', PLACES[op.attr][0])}")  # type: ignore[index]  # a slot

    def op_set(self, op: Val, args: list[str]) -> None:
        self.do(f"store i{op.args[0].bits} {args[0]}, ptr {self._at('%state', PLACES[op.attr][0])}")  # type: ignore[index]  # a slot

    def address(self, value: str) -> str:
        return self.ins(f"getelementptr i8, ptr %memory, i64 {value}")


def prepared(word: int, rng: random.Random) -> list[Machine]:
    """Twice the same state, with the base of an access in the middle of the data."""
    decoded = ISA.decode(word)
    assert decoded is not None
    data = rng.randbytes(DATA_SIZE)
    values = {("x", number): random_value(rng) for number in REGISTERS}
    bits = rng.choice((8, 16, 32, 64))
    values |= {("q", number): random_integers(rng, bits) for number in range(32)}
    values["qc", 0] = rng.getrandbits(1)
    if "Rn_sp" in decoded.fields:
        values["x", decoded.fields["Rn_sp"]] = DATA + rng.randrange(1024, 2048)
    machines = [Machine(DATA, data) for _ in range(2)]
    for machine in machines:
        machine.state.slots.update(values)
    return machines


def test_native_code_agrees_with_the_golden_evaluator(
    rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    functions, words = [], []
    for insn in VECTORS:
        for shape in list(insn.shapes()) if full else [None]:
            for _ in range(2):
                word = random_word(insn, rng)
                decoded = ISA.decode(word)
                while shape is not None and decoded is not None and decoded.shape != shape:
                    word = random_word(insn, rng)
                    decoded = ISA.decode(word)
                assert decoded is not None
                numbers = decoded.fields if len(words) % 2 else None
                functions.append(Function(f"f{len(words)}", ISA.trace(insn, decoded.shape), insn, numbers))
                words.append(word)
    declared = {line for function in functions for line in function.declarations}
    text = "\n".join([*sorted(declared), *(function.text() for function in functions), METADATA])
    keep, addresses = link(text, [function.symbol for function in functions], "host")
    count = 0
    for word, function in zip(words, functions, strict=True):
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(addresses[function.symbol])
        for _ in range(20 if full else 8):
            ours, theirs = prepared(word, rng)
            decoded = ISA.decode(word)
            assert decoded is not None
            state = bytearray(SIZE)
            for slot, value in ours.state.slots.items():
                offset, size = PLACES[slot]
                state[offset : offset + size] = value.to_bytes(size, "little")
            fields = (ctypes.c_uint64 * 8)(*(decoded.fields[name] for name in decoded.insn.data_fields))
            buffer = (ctypes.c_uint8 * SIZE).from_buffer(state)
            data = (ctypes.c_uint8 * DATA_SIZE).from_buffer(ours.memory.data)
            run(ctypes.addressof(buffer), ctypes.addressof(fields), ctypes.addressof(data) - DATA)
            theirs.step(word)
            what = f"{decoded.insn.text}: {word:#x}, {'numbers' if function.numbers else 'fields'}"
            for slot, (offset, size) in PLACES.items():
                value = int.from_bytes(state[offset : offset + size], "little")
                assert hex(value) == hex(theirs.state.read(slot)), f"{slot} of {what}"
            assert ours.memory.data == theirs.memory.data, what
            count += 1
    assert keep
    report(
        f"native == golden: {len(VECTORS)} encodings of SIMD, {len(words)} functions, {count} random states"
    )
