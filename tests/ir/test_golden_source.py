"""The golden evaluator's lines put behind each other do what the evaluator does, for every instruction of the guest."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from polyvm.ir import golden
from polyvm.ir.golden_source import Block, Writer
from polyvm.ir.ops import DEFAULT_NAN, FLUSH, FP_FLAGS, FP_MODE, IDC
from polyvm.ir.trace import Trace, Tracer, record
from polyvm.isa.spec import Decoded
from tests.emit.floatvalues import specials
from tests.isa.riscv64.floats import register
from tests.isa.riscv64.machine import ISA, Memory, OutsideMemory, State, random_value, random_word

START, SIZE = 0x4000, 0x1000
SLOTS = [slot for slot, _ in ISA.slots() if slot != ("x", 0)]
INDEX = {slot: place for place, slot in enumerate(SLOTS)}
PC = 0x10000


def environment(memory: Memory, state: State) -> dict[str, Any]:
    """What blocks call, on the evaluator's own memory and counters."""
    names: dict[str, Any] = {"probe": memory.probe, "counter": state.counter}
    for size in (1, 2, 4, 8):
        names[f"load{size}"] = lambda address, size=size: memory.load(address, size)
        names[f"store{size}"] = lambda address, value, size=size: memory.store(address, size, int(value))
    return names


class Two:
    """The same registers and memory for both."""

    def __init__(self, rng: random.Random) -> None:
        self.state = State()
        for slot, bits in ISA.slots():
            if slot == ("x", 0):
                continue
            value = register(rng) if slot[0] == "f" and rng.random() < 0.7 else random_value(rng)
            if slot[0] == "x" and rng.random() < 0.7:
                value = START + rng.randrange(SIZE // 2) & -8
            self.state.write(slot, value & ((1 << bits) - 1))
        self.state.write(FP_MODE, rng.randrange(5))
        self.registers = [self.state.read(slot) for slot in SLOTS]
        data = rng.randbytes(SIZE)
        self.memory, self.other = Memory(START, data), Memory(START, data)
        self.writer = Writer(INDEX, environment(self.other, self.state))

    def evaluate(self, pc: int, trace: Trace, fields: dict[str, int]) -> tuple[str, object]:
        """How the evaluator ends, and where or with what."""
        return ended(golden.execute, trace, fields, pc, self.state, self.memory)

    def agree(self) -> bool:
        """Whether all registers and the memory are equal."""
        return (
            self.registers == [self.state.read(slot) for slot in SLOTS]
            and self.memory.data == self.other.data
        )


def ended(run: Callable[..., int], *arguments: object) -> tuple[str, object]:
    """What a run comes to, as words that compare."""
    try:
        return "", run(*arguments)
    except golden.Trap as trap:
        return "trap", (trap.cause, trap.value)
    except golden.Flush as flush:
        return "flush", flush.args[0]
    except golden.Syscall:
        return "syscall", None
    except OutsideMemory as outside:
        return "outside", str(outside)


def decoded(word: int) -> Decoded:
    found = ISA.decode(word)
    assert found is not None
    return found


def test_every_instruction(rng: random.Random, full: bool, report: Callable[[str], None]) -> None:
    count = 0
    for insn in ISA.insns:
        for _ in range(60 if full else 6):
            word = random_word(insn, rng)
            found = decoded(word)
            trace = ISA.trace(found.insn, found.shape)
            two = Two(rng)
            block = two.writer.block([(PC, trace, found.fields)])
            expected = two.evaluate(PC, trace, found.fields)
            assert ended(block.run, two.registers) == expected, f"{insn.text}: {word:#x}"
            assert two.agree(), f"{insn.text}: {word:#x}"
            count += 1
    report(f"golden source: {count} executions of {len(ISA.insns)} instructions equal the evaluator's")


def test_stretches(rng: random.Random, full: bool) -> None:
    """Instructions behind each other, which share what they read; the first one to jump or raise ends the stretch."""
    plain = [insn for insn in ISA.insns if insn.name not in ("fence.i", "ecall")]
    for _ in range(400 if full else 60):
        two = Two(rng)
        insns: list[tuple[int, Trace, dict[str, int]]] = []
        pc = PC
        while len(insns) < 12:
            found = decoded(random_word(rng.choice(plain), rng))
            trace = ISA.trace(found.insn, found.shape)
            if any(op.op == "jump" for op in trace.walk()) and len(insns) < 11:
                continue
            insns.append((pc, trace, found.fields))
            pc += trace.size
        block = two.writer.block(insns)
        assert (block.start, block.end, block.insns) == (PC, pc, 12)
        got = ended(block.run, two.registers)
        expected: tuple[str, object] = "", PC
        for at, trace, fields in insns:
            expected = two.evaluate(at, trace, fields)
            if expected[0]:
                break
        assert got == expected
        assert two.agree()


def written(*bodies: Callable[[Tracer], None]) -> tuple[Block, list[Any], State]:
    """A block of instructions of four bytes with these bodies, and zeros in all registers."""
    state = State()
    writer = Writer(INDEX, environment(Memory(START, bytes(SIZE)), state))
    files = dict(ISA.files)
    traces = [record(lambda m, body=body: body(m), files, 4, {}, {}) for body in bodies]  # type: ignore[misc]
    block = writer.block([(PC + 4 * i, trace, {}) for i, trace in enumerate(traces)])
    return block, [0] * len(SLOTS), state


def test_whoever_catches_an_error_learns_where_it_was() -> None:
    def add(m: Tracer) -> None:
        m.x[m.const(5, 5)] = m.x[m.const(5, 5)] + 1

    def read(m: Tracer) -> None:
        m.x[m.const(6, 5)] = m.load(m.const(8, 64), 64)

    block, registers, _ = written(add, add, read, add)
    with pytest.raises(OutsideMemory) as caught:
        block.run(registers)
    assert block.place(caught.value) == (PC + 8, 2)
    assert registers[INDEX["x", 5]] == 2
    assert block.name in [str(entry.path) for entry in caught.traceback]


def test_a_register_written_in_a_branch_is_read_anew_behind_it() -> None:
    def maybe(m: Tracer) -> None:
        with m.when(m.x[m.const(5, 5)] == 0):
            m.x[m.const(6, 5)] = m.const(7, 64)
        m.x[m.const(7, 5)] = m.x[m.const(6, 5)]

    block, registers, _ = written(maybe)
    block.run(registers)
    assert registers[INDEX["x", 7]] == 7
    registers[INDEX["x", 5]], registers[INDEX["x", 6]] = 1, 9
    block.run(registers)
    assert registers[INDEX["x", 7]] == 9


def test_the_hardwired_register_stays() -> None:
    def body(m: Tracer) -> None:
        m.x[m.const(0, 5)] = m.const(7, 64)
        m.x[m.const(5, 5)] = m.x[m.const(0, 5)] + 1

    block, registers, _ = written(body)
    assert block.run(registers) == PC + 4
    assert registers[INDEX["x", 5]] == 1
    assert sum(registers) == 1


def test_flags_add_up() -> None:
    def body(m: Tracer) -> None:
        m.f[m.const(1, 5)] = m.fdiv(m.f[m.const(2, 5)], m.f[m.const(3, 5)], 7)

    block, registers, _ = written(body, body)
    registers[INDEX["f", 2]] = 0x3FF0 << 48
    registers[INDEX[FP_FLAGS]] = 1
    block.run(registers)
    assert registers[INDEX[FP_FLAGS]] == 1 | 8
    assert registers[INDEX["f", 1]] == 0x7FF0 << 48


def test_lanes() -> None:
    def body(m: Tracer) -> None:
        a, b = m.x[m.const(1, 5)].lanes(16), m.x[m.const(2, 5)].lanes(16)
        m.x[m.const(3, 5)] = a.slt(b).select(a + b, a.add_sat(b, signed=True)).whole
        m.x[m.const(4, 5)] = a.pick((7, -1, 0, 1), b).whole
        f, g = m.f[m.const(1, 5)].lanes(32), m.f[m.const(2, 5)].lanes(32)
        m.f[m.const(3, 5)] = m.fadd(f, g).whole
        m.x[m.const(5, 5)] = m.itof(f, 32, signed=True, rounding=2).whole

    rng = random.Random(1)
    state, memory = State(), Memory(START, bytes(SIZE))
    block, registers, _ = written(body)
    trace = record(lambda m: body(m), dict(ISA.files), 4, {}, {})
    for _ in range(50):
        for slot in [("x", 1), ("x", 2), ("f", 1), ("f", 2)]:
            value = rng.getrandbits(64)
            state.write(slot, value)
            registers[INDEX[slot]] = value
        assert block.run(registers) == PC + 4
        golden.execute(trace, {}, PC, state, memory)
        assert registers == [state.read(slot) for slot in SLOTS]


@pytest.mark.parametrize("mode", [0, DEFAULT_NAN, FLUSH, FLUSH | DEFAULT_NAN | 3])
def test_arms_style_is_the_evaluators_and_accrues_denormal_operands(mode: int) -> None:
    places: dict[tuple[str, int], int] = {("x", n): n for n in range(4)} | {FP_FLAGS: 4, FP_MODE: 5, IDC: 6}
    numbers = specials(64)

    def body(m: Tracer) -> None:
        m.set(("x", 2), m.fmul(m.get(("x", 0)), m.get(("x", 1))))
        m.set(("x", 3), m.fcmp(m.get(("x", 0)), m.get(("x", 1)), signaling=False).zext(64))

    trace = record(body, {}, 4, {}, {}, "arm")
    block = Writer(places, {}).block([(PC, trace, {})])
    for a, b in itertools.product(numbers, repeat=2):
        state = State()
        for slot, value in zip(places, (a, b, 0, 0, 0, mode, 0), strict=True):
            state.write(slot, value)
        registers: list[Any] = [state.read(slot) for slot in places]
        golden.execute(trace, {}, PC, state, Memory(0, b""))
        assert block.run(registers) == PC + 4
        assert registers == [state.read(slot) for slot in places]
        denormal = any(0 < number & (1 << 63) - 1 < 1 << 52 for number in (a, b))
        assert registers[-1] == (denormal and mode & FLUSH != 0)
