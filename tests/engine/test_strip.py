"""Strips do what the golden evaluator does one iteration after the other; without a page they do nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llvmlite import binding as llvm

from polyvm.engine import compile as compiler
from polyvm.engine.layout import COUNTED, ST, WHOLE
from polyvm.engine.region import RegionEmitter
from polyvm.memory.space import READ, WRITE
from tests.engine.assembly import ISA, Program
from tests.engine.guest import DATA, DATA_SIZE
from tests.engine.pair import PATTERN, Pair
from tests.engine.test_affine import SAXPY

LOADS = {"lb": 1, "lbu": 1, "lh": 2, "lhu": 2, "lw": 4, "lwu": 4, "ld": 8}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
WORK = (
    "add",
    "sub",
    "xor",
    "and",
    "or",
    "mul",
    "addw",
    "subw",
    "sllw",
    "srl",
    "sra",
    "slt",
    "sltu",
    "min",
    "maxu",
)
FLOAT = ("fadd", "fsub", "fmul", "fdiv")
MIDDLE = DATA + DATA_SIZE // 2
ODD = [0, 1, 0x7FF8000000000000, 0x7FF0000000000001, 0xFFF0000000000000, 0x3FF0000000000000, 0x8000000000000000,
       0x7FEFFFFFFFFFFFFF, 0xFFFFFFFF7FC00000, 0xFFFFFFFF7FA00000, 0xFFFFFFFF3F800000, 0xFFFFFFFF00000001]  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """A loop that copies from a1 and a4 to a0 by way of t1, t2 or fa1, fa2, and the registers that it begins with."""

    body: tuple[str, ...]
    steps: tuple[int, int, int]
    ending: str
    turns: int
    offsets: tuple[int, int, int]
    count: int

    @property
    def program(self) -> Program:
        """The code."""
        moves = [
            f"addi {r}, {r}, {step}" for r, step in zip(("a0", "a1", "a4"), self.steps, strict=True) if step
        ]
        return Program(
            "loop: " + "\n".join([*self.body, *moves, f"addi a6, a6, {self.count}", self.ending, "ecall"])
        )

    def registers(self) -> dict[str, int]:
        """Where it begins, and where it ends."""
        first, last = (5, 5 + self.turns * self.count) if self.count > 0 else (5 - self.turns * self.count, 5)
        if "zero" in self.ending:
            first, last = -self.turns * self.count, 0
        places = {r: MIDDLE + offset for r, offset in zip(("a0", "a1", "a4"), self.offsets, strict=True)}
        return places | {"a6": first % 2**64, "a7": last % 2**64, "t3": 3, "a3": 7}


@st.composite
def loops(draw: st.DrawFn) -> Loop:
    """Loops of one block with up to three streams, which may overlap, and what a compiler ends them with."""
    turns = draw(st.one_of(st.integers(1, 90), st.integers(20, 40)))
    body: list[str] = []
    if draw(st.booleans()):
        wide = draw(st.sampled_from([".s", ".d"]))
        size = 4 if wide == ".s" else 8
        load, store = ("flw", "fsw") if size == 4 else ("fld", "fsd")
        body += [f"{load} fa1, 0(a1)", f"{load} fa2, {draw(st.sampled_from([0, size, -size]))}(a4)"]
        values = ["fa0", "fa1", "fa2"]
        for number in range(draw(st.integers(1, 3))):
            one, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
            result = f"fa{number + 3}"
            op = draw(st.sampled_from([*FLOAT, "fsqrt", "fsgnjn"]))
            body.append(f"{op}{wide} {result}, {one}" + (f", {other}" if op != "fsqrt" else ""))
            if op not in ("fsgnjn",):
                body.append(f"{store} {result}, {size * number}(a0)")
            values.append(result)
        if draw(st.booleans()):
            body.append(f"fsgnj{wide} fa0, fa1, fa1")
        sizes = size, size, size
    else:
        first, second = draw(st.sampled_from(sorted(LOADS))), draw(st.sampled_from(sorted(LOADS)))
        store = draw(st.sampled_from(sorted(STORES)))
        body += [
            f"{first} t1, {draw(st.integers(-8, 8))}(a1)",
            f"{second} t2, {draw(st.integers(-2047, 2047))}(a4)",
        ]
        values = ["t1", "t2", "t3", "a6", "a7"]
        for number in range(draw(st.integers(0, 3))):
            one, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
            result = draw(st.sampled_from(["t4", "t5", "a3"])) if number else "t4"
            body.append(f"{draw(st.sampled_from(WORK))} {result}, {one}, {other}")
            values.append(result)
        if draw(st.booleans()):
            body.append(f"add a3, a3, {draw(st.sampled_from(values))}")
        body.append(f"{store} {draw(st.sampled_from(values))}, 0(a0)")
        sizes = STORES[store], LOADS[first], LOADS[second]
    # Small enough to stay inside for so many turns, with the offsets below.
    furthest = min(40, (DATA_SIZE // 2 - 2600) // turns)
    steps = tuple(
        draw(st.sampled_from([size, -size, size, 2 * size, draw(st.integers(-furthest, furthest))]))
        for size in sizes
    )
    steps = tuple(step if abs(step) <= furthest else size for step, size in zip(steps, sizes, strict=True))
    count = draw(st.sampled_from([1, -1, 2, -3, 5]))
    up = [
        "bne a6, a7, loop",
        "bne a7, a6, loop",
        "blt a6, a7, loop",
        "bltu a6, a7, loop",
        "bne a6, zero, loop",
    ]
    down = ["bne a6, a7, loop", "blt a7, a6, loop", "bltu a7, a6, loop", "bne a6, zero, loop", "blt zero, a6, loop",
            "bge a6, t3, loop"]  # fmt: skip
    ending = draw(st.sampled_from(up if count > 0 else down))
    offsets = tuple(draw(st.integers(-64, 64)) for _ in range(3))
    return Loop(tuple(body), steps, ending, turns, offsets, count)


# ------------------------------------------------------------------------------------------- the same as golden
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["", WHOLE, COUNTED])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_loops_made_at_random(kind: str, cold_cache: Path, data: st.DataObject) -> None:
    loop = data.draw(loops())
    pair = Pair(loop.program, cold_cache, kind)
    try:
        for guest in (pair.golden, pair.fast):
            numbers = [ODD[(loop.turns + n) % len(ODD)] for n in range(32)]
            guest.cpu.f[:] = memoryview(b"".join(n.to_bytes(8, "little") for n in numbers)).cast("Q")
            if "fsw" in "".join(loop.body) or "fsd" in "".join(loop.body):
                special = b"".join(n.to_bytes(8, "little") for n in ODD)
                guest.space.write(MIDDLE - 64, special)
        ends = pair.run(**loop.registers())
        assert ends == ("SYSCALL", "SYSCALL")
        assert pair.seen(pair.fast) == pair.seen(pair.golden)
        if kind == COUNTED:
            assert pair.fast.cpu.budget == pair.golden.cpu.budget
    finally:
        pair.close()


def vectors(program: Program) -> str:
    """What LLVM made of a loop's region, before it chose instructions."""
    made = RegionEmitter(ISA, program.region("loop"))
    machine = compiler.target_machine(2)
    with compiler.optimised(machine, made.text("unit"), 1, loops=True, straight=False) as module:
        assert made.strips == 1
        return str(module)


def test_llvm_makes_vectors_of_it() -> None:
    assert isinstance(llvm.get_host_cpu_name(), str)
    assert " x float> " in vectors(Program(SAXPY.replace("4(a0)", "0(a0)").replace("a0, a0, 8", "a0, a0, 4")))


# ------------------------------------------------------------------------------------------- where it ends badly
COPY = Program("""
    loop: ld t1, 0(a1)
          add t1, t1, t1
          sd t1, 0(a0)
          addi a0, a0, 8
          addi a1, a1, 8
          bne a0, a2, loop
          ecall
""")


@pytest.mark.parametrize(
    ("registers", "away"),
    [
        ({"a0": MIDDLE, "a1": DATA, "a2": MIDDLE + 0x10000}, DATA + DATA_SIZE),  # stores past the end
        ({"a0": DATA, "a1": DATA + DATA_SIZE - 800, "a2": MIDDLE}, DATA + DATA_SIZE),  # loads past the end
        ({"a0": DATA, "a1": DATA - 8, "a2": MIDDLE}, DATA - 8),  # at once
        ({"a0": DATA, "a1": 0x20000 - 400, "a2": MIDDLE}, None),  # somewhere else altogether
        ({"a0": (1 << 32) - 800, "a1": DATA, "a2": 0}, None),  # out of the space
        ({"a0": DATA, "a1": (1 << 64) - 800, "a2": MIDDLE}, None),  # around the end of all addresses
        ({"a0": DATA, "a1": 1 << 46, "a2": MIDDLE}, None),
        ({"a0": MIDDLE, "a1": DATA, "a2": DATA}, DATA + DATA_SIZE),  # round and round
        ({"a0": MIDDLE, "a1": DATA, "a2": MIDDLE + 801}, DATA + DATA_SIZE),  # it never meets its end
    ],
)
def test_a_fault_is_where_the_guest_has_it(
    pairs: Callable[..., Pair], registers: dict[str, int], away: int | None
) -> None:
    pair = pairs(COPY)
    assert pair.run(**registers) == ("FAULT", "FAULT")
    golden, fast = pair.golden.cpu, pair.fast.cpu
    assert (fast.pc, fast.value, fast.access, fast.cause) == (
        golden.pc,
        golden.value,
        golden.access,
        golden.cause,
    )
    if away is not None:
        assert fast.value == away
    assert pair.seen(pair.fast)[2] == pair.seen(pair.golden)[2]


def test_a_page_in_between_is_missing(pairs: Callable[..., Pair]) -> None:
    pair = pairs(COPY)
    for guest in (pair.golden, pair.fast):
        guest.space.protect(DATA + 0x1000, 0x1000, READ)
    registers = {"a0": DATA, "a1": MIDDLE, "a2": DATA + 0x2000}
    assert pair.run(**registers) == ("FAULT", "FAULT")
    assert pair.fast.cpu.value == pair.golden.cpu.value == DATA + 0x1000
    assert pair.seen(pair.fast)[2] == pair.seen(pair.golden)[2]
    assert pair.fast.cpu._halves[ST["singly"] >> 2] == 1
    # From then on it goes by single iterations.
    for guest in (pair.golden, pair.fast):
        guest.space.protect(DATA + 0x1000, 0x1000, READ | WRITE)
    assert pair.run(**registers) == ("SYSCALL", "SYSCALL")
    assert pair.seen(pair.fast) == pair.seen(pair.golden)


def test_looking_changes_nothing(pairs: Callable[..., Pair]) -> None:
    """A page that is looked at for a store and then not stored to keeps what it has."""
    pair = pairs(COPY)
    assert pair.run(a0=DATA, a1=MIDDLE, a2=DATA + 8 * 100) == ("SYSCALL", "SYSCALL")
    after = pair.fast.space.read(DATA, DATA_SIZE)
    assert after[808:] == PATTERN[808:]
    assert pair.seen(pair.fast) == pair.seen(pair.golden)
