"""State that was saved is put back, into the same vCPU or another machine's, and moves on from there."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.state import GROUPS, VcpuState
from tests.accel.machines import Machine

NEEDS = "save"

VOLATILE = {"tsc"}
"""Registers that go on by themselves."""


def stable(state: VcpuState) -> dict[str, dict[str, int]]:
    """What must be the same after a round trip."""
    return {
        group: {name: value for name, value in values.items() if name not in VOLATILE}
        for group, values in state.groups.items()
    }


def fill(machine: Machine) -> None:
    """Have values in registers of every kind."""
    values = {"x5": 2**64 - 1, "x9": 7, "pc": 0x1234}
    if machine.guest == "x86_64":
        values = {f"xmm{number}": 3 << 100 | number for number in range(16)}
        values |= {"rax": 1, "r15": 2**64 - 1, "dr0": 0x1234, "lstar": 0x5678, "cr2": 0x9999, "mxcsr": 0x1F81}
    elif machine.guest == "riscv64":
        values |= {f"f{number}": 3 << 50 | number for number in range(32)} | {"fcsr": 0x61}
    else:
        values |= {f"q{number}": 3 << 100 | number for number in range(32)} | {"nzcv": 5 << 28, "sp": 0x8000}
    machine.cpu.registers.update(values)


def test_a_round_trip(machine: Machine, build: Callable[..., Machine]) -> None:
    fill(machine)
    saved = pickle.loads(pickle.dumps(machine.cpu.save()))
    assert saved == machine.cpu.save() or stable(saved) == stable(machine.cpu.save())
    assert set(saved.groups) <= set(GROUPS)
    other = build()
    assert stable(other.cpu.save()) != stable(saved)
    other.cpu.restore(saved)
    assert stable(other.cpu.save()) == stable(saved)
    names = [name for values in saved.groups.values() for name in values if name in other.cpu.registers]
    assert other.cpu.registers.read(*names).keys() == set(names)


def test_typed_values_count_over_blobs(machine: Machine) -> None:
    """What somebody changed in a saved state is what is restored."""
    fill(machine)
    saved = machine.cpu.save()
    group, name = next(
        (group, name) for group, values in saved.groups.items() for name in values if name in ("rbx", "x5")
    )
    saved.groups[group][name] = 0x1234_5678
    machine.cpu.restore(saved)
    assert machine.cpu.registers[name] == 0x1234_5678


def test_without_blobs_typed_state_is_enough(machine: Machine, build: Callable[..., Machine]) -> None:
    """As if it came from another accelerator."""
    fill(machine)
    saved = machine.cpu.save()
    foreign = VcpuState(saved.guest, "another", saved.groups, {})
    other = build()
    other.cpu.restore(foreign)
    assert stable(other.cpu.save()) == stable(saved)


def test_another_guests_is_refused(machine: Machine) -> None:
    saved = machine.cpu.save()
    saved.guest = "another"
    with pytest.raises(PolyvmError, match="state of the guest another"):
        machine.cpu.restore(saved)
