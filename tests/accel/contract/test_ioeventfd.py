"""Doorbells: writes that signal an eventfd instead of coming back."""

from __future__ import annotations

import os

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Halt, Mmio, Pio
from tests.accel.machines import DEVICE, Machine

NEEDS = "ioeventfd"

RINGS = 20_000


def test_doorbells_do_not_come_back(x86: Machine) -> None:
    event = os.eventfd(0, os.EFD_NONBLOCK)
    x86.vm.add_ioeventfd(0x10, event, size=1, port=True)
    x86.load(
        f"66 b9 {RINGS.to_bytes(4, 'little').hex()} e6 10 66 49 75 fa f4"
    )  # again: out 0x10; dec ecx; jnz
    returns = 1
    while not isinstance(x86.cpu.run(), Halt):
        returns += 1
    assert returns <= 10
    assert os.eventfd_read(event) == RINGS
    x86.vm.remove_ioeventfd(0x10, event, size=1, port=True)
    x86.start(x86.cpu)
    assert x86.cpu.run() == Pio(0x10, 1, 1, b"\0")
    os.close(event)


def test_only_the_value_that_is_meant(x86: Machine) -> None:
    event = os.eventfd(0, os.EFD_NONBLOCK)
    x86.vm.add_ioeventfd(DEVICE, event, size=2, match=7)
    # mov ax, 0xffff; mov ds, ax; mov ax, 7; mov [0x10], ax; mov al, 8; mov [0x10], ax; hlt
    x86.load("b8 ffff 8e d8 b8 0700 a3 1000 b0 08 a3 1000 f4")
    assert x86.exits(2) == [Mmio(DEVICE, 2, b"\x08\x00"), Halt()]
    assert os.eventfd_read(event) == 1
    os.close(event)


def test_twice_is_refused(x86: Machine) -> None:
    event = os.eventfd(0)
    x86.vm.add_ioeventfd(0x10, event, port=True)
    with pytest.raises(PolyvmError) as caught:
        x86.vm.add_ioeventfd(0x10, event, port=True)
    assert caught.value.context["errno"] == "EEXIST"
    os.close(event)
