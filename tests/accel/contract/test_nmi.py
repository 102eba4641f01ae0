"""A non-maskable interrupt wakes a guest that waits, whether or not it takes interrupts."""

from __future__ import annotations

from polyvm.vcpu.exits import Halt, Pio
from tests.accel.contract.test_interrupts import vector
from tests.accel.machines import Machine

NEEDS = "nmi"


def test_nmi(x86: Machine) -> None:
    x86.load("fa f4 f4")
    vector(x86, 2)
    assert x86.cpu.run() == Halt()
    x86.cpu.nmi()
    assert x86.exits(2) == [Pio(0x10, 1, 1, b"\xaa"), Halt()]
