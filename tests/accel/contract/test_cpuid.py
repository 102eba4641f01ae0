"""What the guest's CPUID says is its owner's; nested virtualisation is not offered."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Halt
from tests.accel.machines import Machine

NEEDS = "cpuid"

ASK = "66 31 c9 0f a2 f4"  # xor ecx, ecx; cpuid; hlt


def ask(machine: Machine, leaf: int) -> tuple[int, int, int, int]:
    """The guest's CPUID of a leaf."""
    machine.load(ASK)
    machine.cpu.registers["rax"] = leaf
    assert machine.cpu.run() == Halt()
    found = machine.cpu.registers.read("rax", "rbx", "rcx", "rdx")
    return found["rax"], found["rbx"], found["rcx"], found["rdx"]


def test_ours_is_the_guests(x86: Machine) -> None:
    leaves = x86.cpu.cpuid()
    assert ask(x86, 0)[1:] == leaves[0, 0][1:]
    other = x86.vm.create_vcpu(1)
    leaves[0, 0] = (
        leaves[0, 0][0],
        *(int.from_bytes(text, "little") for text in (b"poly", b"ours", b"vm's")),
    )
    other.set_cpuid(leaves)
    x86.cpu = other
    assert ask(x86, 0) == leaves[0, 0]


def test_a_vcpu_knows_its_number(x86: Machine) -> None:
    x86.cpu = x86.vm.create_vcpu(1)
    assert ask(x86, 1)[1] >> 24 == 1


def test_nested_virtualisation_is_refused(x86: Machine) -> None:
    leaves = x86.cpu.cpuid()
    assert not leaves[1, 0][2] & 1 << 5
    a, b, c, d = leaves[1, 0]
    with pytest.raises(PolyvmError) as caught:
        x86.cpu.set_cpuid({**leaves, (1, 0): (a, b, c | 1 << 5, d)})
    assert caught.value.code == "PVM-ACCEL-CAPABILITY"
    assert caught.value.context["capability"] == "nested"
