"""An exit after each instruction, until it is taken back."""

from __future__ import annotations

from polyvm.vcpu.exits import Debug
from tests.accel.machines import ENTRY, Machine

NEEDS = "single_step"

NOPS = {"x86_64": "90 90 90 90", "riscv64": "nop\n" * 4, "aarch64": "nop\n" * 4}
SIZE = {"x86_64": 1, "riscv64": 4, "aarch64": 4}


def test_step(machine: Machine) -> None:
    machine.load(NOPS)
    machine.cpu.debug(step=True)
    size = SIZE[machine.guest]
    for number in range(1, 4):
        exit = machine.cpu.run()
        assert isinstance(exit, Debug)
        assert (exit.pc, exit.kind) == (ENTRY + number * size, "step")
        assert machine.pc == exit.pc
