"""A triple fault is a shutdown, not an error of the host."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Shutdown
from tests.accel.machines import Machine

NEEDS = "port_io"


def test_triple_fault(x86: Machine) -> None:
    x86.load("0f 0b")  # ud2, and no interrupt table
    x86.long_mode(0)
    x86.cpu.registers["idt_limit"] = 0
    exit = x86.cpu.run()
    assert exit == Shutdown("triple fault")
    with pytest.raises(PolyvmError, match="serves no Shutdown exit") as caught:
        raise exit.error()
    assert caught.value.code == "PVM-VCPU-EXIT"
