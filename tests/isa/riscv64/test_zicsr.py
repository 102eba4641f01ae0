"""Control and status registers: the floating-point ones are one register, counters are read only."""

from __future__ import annotations

import pytest

from polyvm.isa.disasm import assemble
from tests.isa.riscv64.machine import ISA, Machine

A0, A1 = 10, 11


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.fcsr = 0b011_10101
    return machine


def do(machine: Machine, line: str) -> int:
    machine.step(int.from_bytes(assemble(ISA, line), "little"))
    return machine[A0]


def test_the_parts_of_fcsr(machine: Machine) -> None:
    assert do(machine, "csrr a0, fcsr") == 0b011_10101
    assert do(machine, "csrr a0, frm") == 0b011
    assert do(machine, "csrr a0, fflags") == 0b10101


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("csrrw a0, fcsr, a1", 0b011_10101, 0xFF),
        ("csrrw a0, fflags, a1", 0b10101, 0b011_11111),
        ("csrrw a0, frm, a1", 0b011, 0b111_10101),
        ("csrrs a0, fflags, a1", 0b10101, 0b011_11111),
        ("csrrc a0, fcsr, a1", 0b011_10101, 0),
        ("csrrwi a0, frm, 9", 0b011, 0b001_10101),
        ("csrrsi a0, fcsr, 10", 0b011_10101, 0b011_11111),
        ("csrrci a0, fflags, 5", 0b10101, 0b011_10000),
        ("csrrs a0, fcsr, zero", 0b011_10101, 0b011_10101),
        ("csrrci a0, fcsr, 0", 0b011_10101, 0b011_10101),
        ("csrrw zero, fcsr, zero", 0, 0),
    ],
)
def test_access(line: str, old: int, new: int, machine: Machine) -> None:
    machine[A1] = 0xFFFF_FFFF_FFFF_FFFF
    assert do(machine, line) == old
    assert machine.fcsr == new


def test_one_register_may_be_source_and_destination(machine: Machine) -> None:
    machine[A0] = 0b1_0000_0010
    assert do(machine, "csrrw a0, fcsr, a0") == 0b011_10101
    assert machine.fcsr == 0b10


def test_counters_come_from_the_state(machine: Machine) -> None:
    assert [do(machine, f"rd{name} a0") for name in ("cycle", "time", "instret")] == [1000, 2000, 3000]


def test_only_what_is_written_is_written() -> None:
    """An access to frm must not become a write of the flags, which compiled code may still owe."""
    for line, slots in (("fsrm a0", {"fp.mode"}), ("fsflags a0", {"fp.flags"}), ("frcsr a0", set())):
        decoded = ISA.decode(int.from_bytes(assemble(ISA, line), "little"))
        assert decoded is not None
        written = {op.attr for op in ISA.trace(decoded.insn, decoded.shape).walk() if op.op == "set"}
        assert written == {(name, 0) for name in slots}
