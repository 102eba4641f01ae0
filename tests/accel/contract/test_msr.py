"""Model-specific registers: what the guest writes is read here, and the other way round."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Halt
from tests.accel.machines import Machine

NEEDS = "msr"


def test_both_ways(x86: Machine) -> None:
    # mov ecx, 0xc0000082 (LSTAR); mov eax, 0x1234; mov edx, 0x5678; wrmsr; hlt; mov cl, 0x81 (STAR); rdmsr; hlt
    x86.load("66 b9 820000c0 66 b8 34120000 66 ba 78560000 0f 30 f4 b1 81 0f 32 f4")
    assert x86.cpu.run() == Halt()
    assert x86.cpu.registers["lstar"] == 0x5678_0000_1234
    assert x86.cpu.registers["msr_c0000082"] == 0x5678_0000_1234
    x86.cpu.registers["star"] = 0x23_0010_0000_0042
    assert x86.cpu.run() == Halt()
    assert x86.cpu.registers["rax"] == 0x42
    assert x86.cpu.registers["rdx"] == 0x23_0010


def test_what_is_none_is_refused(x86: Machine) -> None:
    for access in (lambda: x86.cpu.registers["msr_12345"], lambda: x86.cpu.registers.update(msr_12345=1)):
        with pytest.raises(PolyvmError) as caught:
            access()
        assert caught.value.code == "PVM-ACCEL-REFUSED"
    for name in ("msr_", "msr_xyz", "msr_123456789"):
        with pytest.raises(PolyvmError, match="has no register"):
            x86.cpu.registers[name]
