"""Memory regions: added, removed, read-only; overlaps and odd sizes are refused."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory.ram import Ram
from polyvm.vcpu.exits import Mmio
from tests.accel.contract.test_mmio import WIDTHS
from tests.accel.machines import DEVICE, Machine

NEEDS = "mmio"

WRITTEN = 6
"""Instructions of WIDTHS up to the last of its three writes."""


def test_what_is_added_is_memory_and_what_is_removed_is_none(machine: Machine) -> None:
    more = Ram(0x2000)
    region = machine.vm.add_memory(DEVICE, more)
    assert machine.vm.regions() == [machine.region, region]
    machine.vm.remove_memory(region)
    assert machine.vm.regions() == [machine.region]
    machine.load(WIDTHS)
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\x44")
    machine.vm.add_memory(DEVICE, more)
    region = machine.vm.regions()[1]
    machine.start(machine.cpu)
    machine.cpu.debug(step=True)
    machine.exits(WRITTEN)
    assert more.read(0, 8) == bytes.fromhex("4400443344332211")
    machine.vm.remove_memory(region)
    more.close()


def test_a_part_of_a_ram(machine: Machine) -> None:
    more = Ram(0x3000)
    more.write(0x1000, b"\x99" * 0x1000)
    region = machine.vm.add_memory(DEVICE, more, offset=0x1000, size=0x1000)
    assert (region.address, region.size, region.end) == (DEVICE, 0x1000, DEVICE + 0x1000)
    machine.load(WIDTHS)
    machine.cpu.debug(step=True)
    machine.exits(WRITTEN)
    assert more.read(0x1000, 4) == b"\x44\x99\x44\x33"
    assert more.read(0, 4) == bytes(4)


def test_writes_to_readonly_memory_are_exits(machine: Machine) -> None:
    if not machine.vm.can("readonly_memory"):
        pytest.skip("no read-only memory")
    more = Ram(0x1000)
    more.write(0, bytes([0x5A]) * 16)
    machine.vm.add_memory(DEVICE, more, readonly=True)
    machine.load(WIDTHS)
    assert machine.exits(3) == [
        Mmio(DEVICE, 1, b"\x44"), Mmio(DEVICE + 2, 2, b"\x44\x33"), Mmio(DEVICE + 4, 4, b"\x44\x33\x22\x11")
    ]  # fmt: skip
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\x5a"), "reads are memory's"


@pytest.mark.parametrize(
    ("address", "offset", "size"),
    [(0, 0, 0x1000), (0xF_F000, 0, 0x2000), (DEVICE + 1, 0, 0x1000), (DEVICE, 0x10, 0x1000), (DEVICE, 0, 0x1010),
     (DEVICE, 0, 0), (DEVICE, 0x1000, 0x2000), (-0x1000, 0, 0x1000), (1 << 60, 0, 0x1000)],
)  # fmt: skip
def test_what_is_refused(machine: Machine, address: int, offset: int, size: int) -> None:
    more = Ram(0x2000)
    with pytest.raises(PolyvmError) as caught:
        machine.vm.add_memory(address, more, offset=offset, size=size)
    assert caught.value.code == "PVM-MEMORY-MAP"
    assert machine.vm.regions() == [machine.region]


def test_a_region_is_removed_once(machine: Machine) -> None:
    region = machine.vm.add_memory(DEVICE, Ram(0x1000))
    machine.vm.remove_memory(region)
    with pytest.raises(PolyvmError, match="not in place"):
        machine.vm.remove_memory(region)
