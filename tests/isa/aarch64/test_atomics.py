"""Atomics of signed numbers, about which Unicorn is wrong, by the manual's pseudocode; and what is not aligned."""

from __future__ import annotations

import random

import pytest

from polyvm.ir.golden import Trap, signed
from tests.isa.aarch64.machine import Machine
from tests.isa.dictionaries import random_value

DATA = 0x8_0000


@pytest.mark.parametrize("order", ["", "a", "l", "al"])
@pytest.mark.parametrize(("letter", "bits"), [("b", 8), ("h", 16), ("", 32), ("", 64)])
@pytest.mark.parametrize("name", ["ldsmax", "ldsmin"])
def test_signed_numbers(name: str, letter: str, bits: int, order: str, rng: random.Random) -> None:
    r, mask, choose = "x" if bits == 64 else "w", (1 << bits) - 1, max if name == "ldsmax" else min
    for _ in range(100):
        old, new = random_value(rng), random_value(rng)
        machine = Machine(DATA, old.to_bytes(8, "little") * 2)
        machine[1], machine[2] = new, DATA + 8
        machine.do(f"{name}{order}{letter} {r}1, {r}3, [x2]")
        kept = choose((old & mask, new & mask), key=lambda value: signed(value, bits))
        assert machine[3] == old & mask
        assert machine.memory.load(DATA + 8, 8) == old & ~mask | kept
        assert machine.memory.load(DATA, 8) == old


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("ldaddh w1, w2, [x9]", 2), ("swp w1, w2, [x9]", 4), ("ldumin x1, x2, [x9]", 8), ("casal x1, x2, [x9]", 8),
        ("cash w1, w2, [x9]", 2), ("casp w2, w3, w4, w5, [x9]", 8), ("caspal x2, x3, x4, x5, [x9]", 16),
        ("ldaprh w1, [x9]", 2), ("ldapr x1, [x9]", 8),
    ],
)  # fmt: skip
def test_addresses_must_be_aligned(line: str, size: int) -> None:
    machine = Machine(DATA, bytes(64))
    for beside in (1, size // 2, size):
        machine[9] = DATA + beside
        before = dict(machine.state.slots)
        if beside % size:
            with pytest.raises(Trap) as trap:
                machine.do(line)
            assert (trap.value.cause, trap.value.value) == ("misaligned", DATA + beside)
            assert machine.state.slots == before
        else:
            machine.do(line)
