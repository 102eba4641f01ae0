"""Floating-point registers for the tests: random ones, boxed and not, corners of every format among them."""

from __future__ import annotations

import random

from polyvm.isa.riscv64.fp import D, Format, H, S
from tests.isa.riscv64.machine import ISA, MASK, Machine, of, random_value

EXTENSIONS = ("F", "D", "Zfh")
FORMATS = (S, D, H)
FLOAT = [
    *of(EXTENSIONS),
    *(insn for insn in of(["C"]) if "f" in {ISA.fields[name].file for name in insn.encoding.fields}),
]
"""Every instruction that names a floating-point register."""


def pattern(rng: random.Random, fmt: Format) -> int:
    """Corners of a format, random patterns, and numbers of every size with few bits."""
    kind = rng.randrange(4)
    if kind == 0:
        one = fmt.infinity >> 1 & -(1 << fmt.fraction)
        corner = rng.choice((0, 1, (1 << fmt.fraction) - 1, 1 << fmt.fraction, one, one | 1, fmt.infinity - 1,
                             fmt.infinity, fmt.infinity | 1, fmt.nan, fmt.nan | 3))  # fmt: skip
        return corner | rng.choice((0, fmt.sign))
    if kind == 1:
        return rng.getrandbits(fmt.bits)
    middle = fmt.infinity >> (fmt.fraction + 1)
    exponent = middle + rng.randint(-min(middle - 1, 20), min(middle, 70))
    kept = rng.choice((1, 4, fmt.fraction))
    fraction = rng.getrandbits(kept) << (fmt.fraction - kept)
    return rng.choice((0, fmt.sign)) | exponent << fmt.fraction | fraction


def boxed(value: int, fmt: Format) -> int:
    return value | (MASK >> fmt.bits << fmt.bits)


def register(rng: random.Random, only_boxed: Format | None = None) -> int:
    """A register: a boxed number of some format, sometimes a number that is not boxed."""
    fmt = only_boxed or rng.choice(FORMATS)
    value = boxed(pattern(rng, fmt), fmt)
    if only_boxed is None and rng.random() < 0.1:
        value ^= 1 << rng.randrange(fmt.bits, 64) if fmt.bits < 64 else 0
    return value


def fill(machine: Machine, rng: random.Random, only_boxed: Format | None = None) -> None:
    for number in range(32):
        machine[number] = random_value(rng)
        machine.state.write(("f", number), register(rng, only_boxed))


def float_register(machine: Machine, number: int) -> int:
    return machine.state.read(("f", number))
