"""Where interrupt lines lead is the machine owner's: to pins, and to messages."""

from __future__ import annotations

import os
from collections.abc import Callable

from polyvm.vcpu.contract import Message, Pin
from polyvm.vcpu.exits import Pio
from tests.accel.contract.test_interrupts import vector
from tests.accel.contract.test_irqchip import HANDLER, WAIT
from tests.accel.machines import Machine

NEEDS = "routes"


def test_another_pin(build: Callable[..., Machine]) -> None:
    """Line 30 is the first PIC's pin 0."""
    machine = build(irqchip=True)
    machine.vm.set_routes([Pin(30, 0, 0)])
    machine.load(WAIT.replace("fb f4 eb fd", "e6 11 fb f4 eb fd"))
    vector(machine, 0x20, HANDLER)
    assert machine.cpu.run() == Pio(0x11, 1, 1, b"\xfe")
    machine.vm.set_irq(30, True)
    assert machine.cpu.run() == Pio(0x10, 1, 1, b"\xaa")


def test_an_eventfd_to_a_message(build: Callable[..., Machine]) -> None:
    """What a device with message-signalled interrupts is given: an eventfd, and nothing of it comes back here."""
    machine = build(irqchip=True)
    event = os.eventfd(0, os.EFD_NONBLOCK)
    machine.vm.set_routes([Message(24, 0xFEE0_0000, 0x41)])
    machine.vm.add_irqfd(event, 24)
    # The local APIC is enabled by its spurious interrupt register (Intel SDM volume 3, 11.9), in 64-bit code; then sti.
    machine.load("c7 80 f0000000 ff010000 e6 11 fb f4 eb fd")
    machine.long_mode(0)
    machine.ram.write(0x1_1000 + 3 * 8, (0x1_4007).to_bytes(8, "little"))
    machine.ram.write(0x1_4000 + 503 * 8, (0xFEE0_0097).to_bytes(8, "little"))
    gate = (
        0xE000  # an interrupt table whose vector 0x41 is a 64-bit gate to 0x9000 (AMD64 APM volume 2, 4.8.4)
    )
    machine.ram.write(gate + 16 * 0x41, (0x8E00_0008_9000).to_bytes(16, "little"))
    machine.ram.write(0x1_5000 + 8, (0x00AF_9B00_0000_FFFF).to_bytes(8, "little"))
    machine.ram.write(0x9000, bytes.fromhex("b0 aa e6 10 eb fe"))
    machine.cpu.registers.update(
        rax=0xFEE0_0000, idt_base=gate, idt_limit=0xFFF, gdt_base=0x1_5000, gdt_limit=0xF
    )
    assert isinstance(machine.cpu.run(), Pio)
    os.eventfd_write(event, 1)
    assert machine.cpu.run() == Pio(0x10, 1, 1, b"\xaa")
    os.close(event)
