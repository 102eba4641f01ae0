"""Interrupts by vector, where there is no interrupt controller, and the window in which the guest takes them."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Halt, InterruptWindow, Pio
from tests.accel.machines import DATA, Machine

NEEDS = "interrupt"

HANDLER = "b0 aa e6 10 cf"  # mov al, 0xaa; out 0x10, al; iret


def vector(machine: Machine, number: int, handler: str = HANDLER) -> None:
    """Have a real-mode vector lead to a handler."""
    machine.ram.write(DATA, bytes.fromhex(handler))
    machine.ram.write(4 * number, DATA.to_bytes(4, "little"))


def test_an_interrupt_in_its_window(x86: Machine) -> None:
    x86.load("fb 90 eb fe")  # sti; nop; jmp $
    vector(x86, 0x40)
    x86.cpu.request_interrupt_window()
    assert x86.cpu.run() == InterruptWindow()
    x86.cpu.interrupt(0x40)
    x86.cpu.request_interrupt_window(False)
    assert x86.cpu.run() == Pio(0x10, 1, 1, b"\xaa")


def test_a_guest_that_takes_none(x86: Machine) -> None:
    x86.load("fa f4")  # cli; hlt
    assert x86.cpu.run() == Halt()
    with pytest.raises(PolyvmError, match="takes no interrupt now"):
        x86.cpu.interrupt(0x40)
