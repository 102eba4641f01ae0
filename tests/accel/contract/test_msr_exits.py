"""Model-specific registers that the accelerator leaves to its user."""

from __future__ import annotations

from polyvm.vcpu.exits import Halt, Msr, Pio
from tests.accel.contract.test_interrupts import vector
from tests.accel.machines import Machine

NEEDS = "msr_exits"

READ = "66 b9 45230100 0f 32 f4"  # mov ecx, 0x12345; rdmsr; hlt
WRITE = "66 b9 45230100 66 b8 07000000 66 ba 09000000 0f 30 f4"  # edx:eax = 9:7; wrmsr; hlt


def test_a_read(x86: Machine) -> None:
    x86.vm.exit_on_msrs()
    x86.load(READ)
    assert x86.cpu.run() == Msr(0x12345, None, "unknown")
    x86.cpu.answer(0x5_0000_0006)
    assert x86.cpu.run() == Halt()
    assert x86.cpu.registers.read("rax", "rdx") == {"rax": 6, "rdx": 5}


def test_a_write(x86: Machine) -> None:
    x86.vm.exit_on_msrs()
    x86.load(WRITE)
    assert x86.cpu.run() == Msr(0x12345, 9 << 32 | 7, "unknown")
    assert x86.cpu.run() == Halt()


def test_a_fault(x86: Machine) -> None:
    x86.vm.exit_on_msrs()
    x86.load(WRITE)
    vector(x86, 13)
    x86.cpu.run()
    x86.cpu.fail()
    assert x86.cpu.run() == Pio(0x10, 1, 1, b"\xaa"), "the handler of general protection faults"


def test_taken_back(x86: Machine) -> None:
    x86.vm.exit_on_msrs()
    x86.vm.exit_on_msrs(False)
    x86.load(READ)
    vector(x86, 13)
    assert x86.cpu.run() == Pio(0x10, 1, 1, b"\xaa")
