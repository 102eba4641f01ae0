"""Zicond, beside its definition in the manual: no emulator at hand knows it."""

from __future__ import annotations

import random

import pytest

from polyvm.isa.disasm import assemble
from tests.isa.riscv64.machine import ISA, Machine, random_value


@pytest.mark.parametrize("condition", [0, 1, 1 << 63, (1 << 64) - 1])
def test_conditional_zero(condition: int, rng: random.Random) -> None:
    machine = Machine()
    for _ in range(20):
        value = random_value(rng)
        for name, expected in (
            ("czero.eqz", value if condition else 0),
            ("czero.nez", 0 if condition else value),
        ):
            machine[11], machine[12] = value, condition
            machine.step(int.from_bytes(assemble(ISA, f"{name} a0, a1, a2"), "little"))
            assert machine[10] == expected
