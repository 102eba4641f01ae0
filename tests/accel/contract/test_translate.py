"""Virtual to physical addresses, by the guest's own tables."""

from __future__ import annotations

from tests.accel.machines import Machine

NEEDS = "translate"


def test_by_the_guests_tables(x86: Machine) -> None:
    x86.load("f4")
    x86.long_mode(0)
    assert x86.cpu.translate(0x1234) == 0x1234
    assert x86.cpu.translate(1 << 40) is None
