"""The 170 user-mode riscv-tests in each tier; what runs in the tier's own code is counted.

They are data from outside (`--conformance` or `--riscv-tests`). Each exits with 0, or the number of the test that
failed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.engine import layout
from polyvm.engine.executor import Engine, GuestCpu
from polyvm.engine.lockstep import Here
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace
from tests.contract.tiers import BASELINE, ONCE, decode

TIERS = ("golden", "interpreter", "baseline", "region")
PROGRAMS = 170
SYS_EXIT = 93
BUDGET = 1_000_000
"""The longest program has some 20,000 instructions."""


class Eager(Engine):
    """Compiles a region the first time that control goes somewhere by a backward or dynamic jump, and waits for it."""

    def __init__(self, guest: str) -> None:
        super().__init__(guest, tier="region")
        assert self.units is not None
        self.threshold = 1
        self.units.folder = None  # what others made is of no interest
        self.compilers = Here(guest)  # type: ignore[assignment]  # it has what is used of the pool

    def hot(self, cpu: GuestCpu) -> None:
        """As for every engine, but a region is compiled the first time already."""
        self.met.add(cpu._words[layout.ST["hot_pc"] >> 3])
        super().hot(cpu)

    def ran(self, space: AddressSpace, address: int) -> bytes:
        """Whole programs are compiled before anything of them ran."""
        return b""

    def compile(self, cpu: GuestCpu, pc: int) -> None:
        """Compile the region of an address before anything ran there."""
        assert self.units is not None
        self._want(cpu.space, self.units, pc)
        assert pc in self.units.by_pc


def load_program(path: Path, space: AddressSpace, cpu: GuestCpu | None = None) -> int:
    """Map a static program, have it decoded by a thread if there is one; its entry."""
    image = path.read_bytes()
    entry, headers = struct.unpack_from("<QQ", image, 24)
    (count,) = struct.unpack_from("<H", image, 56)
    for number in range(count):
        kind, flags, offset, address, _, size, memory, _ = struct.unpack_from(
            "<IIQQQQQQ", image, headers + 56 * number
        )
        if kind != 1:
            continue
        start = address & -4096
        end = -(-(address + memory) // 4096) * 4096
        space.map(start, end - start, READ | WRITE)
        space.write(address, image[offset : offset + size])
        prot = (READ if flags & 4 else 0) | (WRITE if flags & 2 else 0) | (EXEC if flags & 1 else 0)
        space.protect(start, end - start, prot)
        if cpu is not None and flags & 1:
            decode(cpu, address, image[offset : offset + size])
    return int(entry)


def run(engine: Engine, path: Path) -> tuple[int, int]:
    """The exit status, and how many instructions were counted: those outside of regions."""
    space = AddressSpace()
    cpu = engine.thread(space)
    cpu.pc = load_program(path, space, cpu if engine.tier == BASELINE else None)
    cpu.budget = BUDGET
    if engine.tier == BASELINE:
        cpu.hot_cells[:] = ONCE  # whatever is jumped to is made of stencils
        assert engine.native.translate is not None
        assert engine.native.translate(cpu.st, cpu.pc) == 0
    if isinstance(engine, Eager):
        engine.compile(cpu, cpu.pc)
    reason = cpu.run()
    assert reason == layout.SYSCALL, f"{layout.REASONS[reason]} at {cpu.pc:#x}, value {cpu.value:#x}"
    assert cpu.x[17] == SYS_EXIT
    status, counted = cpu.x[10], BUDGET - cpu.budget
    if engine.units is not None:
        engine.units.drop_all(space)
    engine.new_program()
    cpu.close()
    space.close()
    return status, counted


@pytest.fixture(scope="module")
def programs(riscv_tests_dir: Path) -> list[Path]:
    found = sorted(path for path in riscv_tests_dir.iterdir() if path.name.startswith("rv64"))
    assert len(found) == PROGRAMS
    return found


@pytest.mark.parametrize("tier", TIERS)
def test_riscv_tests(tier: str, programs: list[Path], report: Callable[[str], None]) -> None:
    engine = Eager("riscv64") if tier == "region" else Engine("riscv64", tier=tier)
    failed = []
    total = 0
    for path in programs:
        status, counted = run(engine, path)
        total += counted
        if status:
            failed.append(f"{path.name}: test {status >> 1}")
    assert failed == []
    made = f", {engine.native.get('block_insns')} in stencils" if tier == BASELINE else ""
    report(f"riscv-tests, {tier}: {len(programs)} of {PROGRAMS} programs, {total} instructions counted{made}")
