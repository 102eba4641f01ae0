"""Writes that are collected in a ring."""

from __future__ import annotations

from polyvm.vcpu.exits import Halt, Mmio
from tests.accel.machines import DEVICE, Machine

NEEDS = "coalesced"

WRITES = "b8 ffff 8e d8 b8 2211 a2 1000 a3 1200 f4"  # ds = 0xffff; mov [0x10], al; mov [0x12], ax; hlt


def test_they_come_later_in_order(x86: Machine) -> None:
    x86.vm.add_coalesced(DEVICE, 0x1000)
    x86.load(WRITES)
    assert x86.cpu.run() == Halt()
    assert x86.vm.drain_coalesced() == [Mmio(DEVICE, 1, b"\x22"), Mmio(DEVICE + 2, 2, b"\x22\x11")]
    assert x86.vm.drain_coalesced() == []
    x86.vm.remove_coalesced(DEVICE, 0x1000)
    x86.start(x86.cpu)
    assert x86.cpu.run() == Mmio(DEVICE, 1, b"\x22")


def test_a_full_ring_loses_nothing(x86: Machine) -> None:
    """What the ring has no room for is an exit."""
    x86.vm.add_coalesced(DEVICE, 0x1000)
    x86.load("b8 ffff 8e d8 b9 2c01 a2 1000 e2 fb f4")  # mov cx, 300; again: mov [0x10], al; loop again; hlt
    seen = 0
    while (exit := x86.cpu.run()) != Halt():
        assert isinstance(exit, Mmio)
        seen += len(x86.vm.drain_coalesced()) + 1
    assert seen + len(x86.vm.drain_coalesced()) == 300
