"""Machines come and go by the thousand, and nothing of them stays behind."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory.ram import Ram
from polyvm.vcpu.contract import Hypervisor
from tests.accel.machines import Machine, descriptors

NEEDS = ""


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cycle(hypervisor: Hypervisor) -> None:
    """One life of a machine."""
    vm = hypervisor.create_vm()
    ram = Ram(0x4000)
    vm.add_memory(0, ram)
    vm.create_vcpu()
    vm.close()
    ram.close()


def test_nothing_is_left_over(hypervisor: Hypervisor, full: bool) -> None:
    for _ in range(20):
        cycle(hypervisor)
    gc.collect()
    before = descriptors(), threading.active_count(), resident()
    for _ in range(5_000 if full and hypervisor.accel == "kvm" else 100):
        cycle(hypervisor)
    gc.collect()
    after = descriptors(), threading.active_count(), resident()
    assert after[:2] == before[:2]
    assert after[2] < before[2] + (8 << 20)


def test_what_is_forgotten_is_closed(hypervisor: Hypervisor) -> None:
    gc.collect()
    before = descriptors()
    machine = Machine(hypervisor)
    assert descriptors() > before
    del machine
    gc.collect()
    assert descriptors() == before


def test_a_closed_machine_says_so(machine: Machine) -> None:
    machine.vm.close()
    machine.vm.close()
    for use in (
        machine.vm.create_vcpu,
        machine.cpu.run,
        machine.cpu.save,
        lambda: machine.cpu.registers.read(),
    ):
        with pytest.raises(PolyvmError, match="closed"):
            use()
