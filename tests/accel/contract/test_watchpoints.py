"""Exits behind accesses to given addresses."""

from __future__ import annotations

from polyvm.vcpu.contract import Breakpoint
from polyvm.vcpu.exits import Debug, Halt
from tests.accel.machines import DATA, Machine

NEEDS = "watchpoints"


def test_a_write(x86: Machine) -> None:
    x86.load("b0 77 a2 0070 a2 0080 f4")  # mov [0x7000], al; mov [0x8000], al; hlt
    x86.cpu.debug(breakpoints=[Breakpoint(DATA, "write", 2)])
    exit = x86.cpu.run()
    assert isinstance(exit, Debug)
    assert exit.kind == "watchpoint"
    assert x86.ram.read(DATA, 1) == b"\x77"
    assert x86.cpu.run() == Halt()
