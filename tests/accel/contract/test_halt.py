"""A processor that waits with nothing to wake it comes back, and goes on behind the instruction."""

from __future__ import annotations

from polyvm.vcpu.exits import Halt, Pio
from tests.accel.machines import ENTRY, Machine

NEEDS = "port_io"


def test_halt(x86: Machine) -> None:
    x86.load("f4 b0 41 e6 10 f4")
    assert x86.cpu.run() == Halt()
    assert x86.pc == ENTRY + 1
    assert x86.exits(2) == [Pio(0x10, 1, 1, b"A"), Halt()]
