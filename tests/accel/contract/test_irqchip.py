"""Interrupt controllers and the timer inside the accelerator: lines, messages, eventfds, and their state."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Pio
from tests.accel.contract.test_interrupts import vector
from tests.accel.machines import Machine

NEEDS = "irqchip"

# The first PIC at vector 0x20, with line 0 open: its four command words (Intel 8259A data sheet), then wait.
WAIT = "b0 11 e6 20 b0 20 e6 21 b0 04 e6 21 b0 01 e6 21 b0 fe e6 21 fb f4 eb fd"
HANDLER = "b0 aa e6 10 b0 20 e6 20 cf"  # out 0x10; end of interrupt; iret


@pytest.fixture
def waiting(build: Callable[..., Machine]) -> Machine:
    """A machine whose guest waits for line 0."""
    machine = build(irqchip=True)
    machine.load(WAIT)
    vector(machine, 0x20, HANDLER)
    return machine


def test_a_line(waiting: Machine) -> None:
    def pulse() -> None:
        waiting.vm.set_irq(0, True)
        waiting.vm.set_irq(0, False)

    timer = threading.Timer(0.05, pulse)
    timer.start()
    assert waiting.cpu.run() == Pio(0x10, 1, 1, b"\xaa")
    timer.join()


def test_an_eventfd(waiting: Machine) -> None:
    event = os.eventfd(0, os.EFD_NONBLOCK)
    waiting.vm.add_irqfd(event, 0)
    timer = threading.Timer(0.05, os.eventfd_write, [event, 1])
    timer.start()
    assert waiting.cpu.run() == Pio(0x10, 1, 1, b"\xaa")
    timer.join()
    waiting.vm.remove_irqfd(event, 0)
    os.close(event)


def test_the_timer_in_the_accelerator(waiting: Machine) -> None:
    waiting.vm.create_pit()
    # Channel 0, mode 2, every 1193 ticks (Intel 8254 data sheet), then WAIT from its beginning.
    code = "b0 34 e6 43 b0 a9 e6 40 b0 04 e6 40" + WAIT
    waiting.load(code)
    started = time.monotonic()
    assert waiting.exits(3) == [Pio(0x10, 1, 1, b"\xaa")] * 3
    assert time.monotonic() - started < 60


def test_its_state_moves_to_another_machine(waiting: Machine, build: Callable[..., Machine]) -> None:
    threading.Timer(0.2, waiting.cpu.cancel).start()
    waiting.cpu.run()  # the guest waits now
    other = build(irqchip=True)
    other.ram.write(0, waiting.ram.read(0, waiting.ram.size))
    other.vm.restore(waiting.vm.save())
    other.cpu.restore(waiting.cpu.save())
    other.vm.set_irq(0, True)
    assert other.cpu.run() == Pio(0x10, 1, 1, b"\xaa")


def test_a_vector_by_hand_is_refused(waiting: Machine) -> None:
    with pytest.raises(PolyvmError) as caught:
        waiting.cpu.interrupt(0x20)
    assert "set_irq" in str(caught.value.hint)


def test_a_message_without_its_controller_is_refused(machine: Machine) -> None:
    with pytest.raises(PolyvmError) as caught:
        machine.vm.set_irq(0, True)
    assert caught.value.code == "PVM-ACCEL-REFUSED"
    assert caught.value.context["ioctl"] == "KVM_IRQ_LINE"


def test_split(machine: Machine) -> None:
    """Local controllers only: messages reach them, lines are the I/O controller's, which is ours."""
    vm = machine.hypervisor.create_vm()
    vm.create_irqchip(split=True)
    vm.create_vcpu()
    assert isinstance(vm.signal_msi(0xFEE0_0000, 0x40), bool)
    with pytest.raises(PolyvmError, match="outside"):
        vm.set_irq(0, True)
    vm.close()
