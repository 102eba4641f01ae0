"""Atomic instructions where a random state seldom leads: alignment, lost reservations, faults before effects."""

from __future__ import annotations

import pytest

from polyvm.ir.golden import Trap
from polyvm.isa.disasm import assemble
from polyvm.isa.riscv64.a import RESERVED
from tests.isa.riscv64.machine import ISA, Machine, OutsideMemory, of

A0, A1, A2, A3 = 10, 11, 12, 13
DATA = 0x1000


@pytest.fixture
def machine() -> Machine:
    machine = Machine(DATA, bytes(range(64)))
    machine[A0] = DATA + 16
    machine[A2] = 0x1122_3344_5566_7788
    return machine


def do(machine: Machine, *lines: str) -> None:
    for line in lines:
        machine.step(int.from_bytes(assemble(ISA, line), "little"))


WIDTHS = [("w", 4), ("d", 8)]


@pytest.mark.parametrize(("width", "size"), WIDTHS)
def test_a_reservation_that_holds(width: str, size: int, machine: Machine) -> None:
    do(machine, f"lr.{width} a1, (a0)", f"sc.{width} a3, a2, (a0)")
    assert machine[A1] == int.from_bytes(bytes(range(16, 16 + size)), "little")
    assert machine[A3] == 0
    assert machine.memory.load(DATA + 16, size) == machine[A2] & (1 << 8 * size) - 1
    do(machine, f"sc.{width} a3, a2, (a0)")
    assert machine[A3] == 1


@pytest.mark.parametrize(
    "between",
    [
        ["sc.w a3, a2, (a0)"],  # uses the reservation up
        ["sw zero, 0(a0)"],  # changes the value
        ["addi a0, a0, 8"],  # another address
        ["lr.w a1, (a0)", "addi a0, a0, 4"],
    ],
)
def test_a_reservation_that_is_lost(between: list[str], machine: Machine) -> None:
    do(machine, "lr.w a1, (a0)", *between)
    before = bytes(machine.memory.data)
    do(machine, "sc.w a3, a2, (a0)")
    assert machine[A3] == 1
    assert bytes(machine.memory.data) == before
    assert machine.state.read(RESERVED) == 0


@pytest.mark.parametrize(("first", "second"), [("w", "d"), ("d", "w")])
def test_a_reservation_of_another_size_does_not_hold(first: str, second: str, machine: Machine) -> None:
    do(machine, f"lr.{first} a1, (a0)", f"sc.{second} a3, a2, (a0)")
    assert machine[A3] == 1


def test_without_a_reservation_there_is_no_access(machine: Machine) -> None:
    machine[A0] = 0x8000_0000
    do(machine, "sc.d a3, a2, (a0)")
    assert machine[A3] == 1


def test_address_zero_is_reserved_only_when_asked() -> None:
    machine = Machine(0, bytes(16))
    do(machine, "sc.d a3, a2, (a0)")
    assert machine[A3] == 1
    do(machine, "lr.d a3, (a0)", "sc.d a3, a2, (a0)")
    assert machine[A3] == 0


def test_the_result_may_go_where_the_address_came_from(machine: Machine) -> None:
    do(machine, "lr.d a2, (a0)", "sc.d a0, a2, (a0)")
    assert machine[A0] == 0
    do(machine, "sc.d zero, a2, (a0)")
    assert machine[0] == 0


def test_a_fault_leaves_everything_as_it_was(machine: Machine) -> None:
    do(machine, "lr.d a1, (a0)")
    machine.memory.start += 1 << 20  # the memory went away between the two
    before = dict(machine.state.slots)
    with pytest.raises(OutsideMemory):
        do(machine, "sc.d a3, a2, (a0)")
    assert machine.state.slots == before
    with pytest.raises(OutsideMemory):
        do(machine, "amoadd.d a3, a2, (a0)")
    assert machine.state.slots == before


@pytest.mark.parametrize("name", [insn.name for insn in of(["A"])])
@pytest.mark.parametrize("offset", [1, 2, 4, 6])
def test_misaligned_addresses_trap(name: str, offset: int, machine: Machine) -> None:
    size = 8 if name.endswith(".d") else 4
    machine[A0] = DATA + 16 + offset
    operands = "a3, (a0)" if name.startswith("lr") else "a3, a2, (a0)"
    before, data, pc = dict(machine.state.slots), bytes(machine.memory.data), machine.pc
    if offset % size == 0:
        do(machine, f"{name} {operands}")
        return
    with pytest.raises(Trap) as trap:
        do(machine, f"{name} {operands}")
    cause = "load_misaligned" if name.startswith("lr") else "store_misaligned"
    assert (trap.value.cause, trap.value.value) == (cause, DATA + 16 + offset)
    assert (machine.state.slots, bytes(machine.memory.data), machine.pc) == (before, data, pc)


def test_ordering_bits_change_no_value(machine: Machine) -> None:
    for suffix in ("", ".aq", ".rl", ".aqrl"):
        do(machine, f"lr.w{suffix} a1, (a0)", f"sc.w{suffix} a3, a1, (a0)", f"amoswap.w{suffix} a1, a1, (a0)")
        assert machine[A3] == 0
