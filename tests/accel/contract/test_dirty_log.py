"""Which pages were written: by the guest, and by us."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polyvm.errors import PolyvmError
from tests.accel.machines import DATA, Machine

NEEDS = "dirty_log"


def pages(log: bytes) -> list[int]:
    """The numbers of the bits that are set."""
    return [number for number in range(8 * len(log)) if log[number >> 3] >> (number & 7) & 1]


def test_the_guests_writes_and_ours(build: Callable[..., Machine]) -> None:
    machine = build(log_dirty=True)
    machine.load("b0 77 a2 0080 a2 0070 f4")  # mov [0x8000], al; mov [0x7000], al; hlt
    machine.vm.dirty_log(machine.region)
    assert pages(machine.vm.dirty_log(machine.region)) == []
    machine.ram.write(0x5FFF, b"two")
    machine.cpu.run()
    assert pages(machine.vm.dirty_log(machine.region)) == [5, 6, 7, DATA >> 12]
    assert pages(machine.vm.dirty_log(machine.region)) == []
    machine.ram.discard(0x3000, 0x1000)
    assert pages(machine.vm.dirty_log(machine.region)) == [3]
    assert len(machine.vm.dirty_log(machine.region)) == 32


def test_it_begins_and_ends_while_memory_is_in_place(machine: Machine) -> None:
    machine.load("b0 77 a2 0080 f4 a2 0070 f4")
    machine.vm.log_dirty(machine.region)
    machine.vm.dirty_log(machine.region)
    machine.cpu.run()
    assert pages(machine.vm.dirty_log(machine.region)) == [DATA >> 12]
    machine.vm.log_dirty(machine.region, False)
    machine.cpu.run()
    assert machine.ram.read(0x7000, 1) == b"\x77"
    with pytest.raises(PolyvmError, match="no dirty log"):
        machine.vm.dirty_log(machine.region)
    machine.vm.remove_memory(machine.region)
    with pytest.raises(PolyvmError, match="not in place"):
        machine.vm.log_dirty(machine.region)


def test_without_a_log_there_is_none(machine: Machine) -> None:
    with pytest.raises(PolyvmError, match="no dirty log"):
        machine.vm.dirty_log(machine.region)
