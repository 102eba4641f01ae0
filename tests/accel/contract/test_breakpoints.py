"""Exits before instructions at given addresses, on memory that does not show them."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.contract import Breakpoint
from polyvm.vcpu.exits import Debug, Exit
from tests.accel.contract.test_single_step import NOPS, SIZE
from tests.accel.machines import ENTRY, Machine

NEEDS = "breakpoints"


def place(exit: Exit) -> tuple[int, str]:
    """Where and why."""
    assert isinstance(exit, Debug)
    return exit.pc, exit.kind


def test_two_places(machine: Machine) -> None:
    machine.load(NOPS)
    before = machine.ram.read(ENTRY, 16)
    size = SIZE[machine.guest]
    machine.cpu.debug(breakpoints=[Breakpoint(ENTRY + size), Breakpoint(ENTRY + 3 * size)])
    assert place(machine.cpu.run()) == (ENTRY + size, "breakpoint")
    assert machine.ram.read(ENTRY, 16) == before
    machine.cpu.debug(breakpoints=[Breakpoint(ENTRY + 3 * size)])
    assert place(machine.cpu.run()) == (ENTRY + 3 * size, "breakpoint")
    machine.cpu.debug(step=True)
    assert place(machine.cpu.run()) == (ENTRY + 4 * size, "step")


@pytest.mark.parametrize("wrong", [Breakpoint(ENTRY, "read"), Breakpoint(ENTRY + 1, "write", 4)])
def test_what_is_none_is_refused(machine: Machine, wrong: Breakpoint) -> None:
    with pytest.raises(PolyvmError):
        machine.cpu.debug(breakpoints=[wrong])
