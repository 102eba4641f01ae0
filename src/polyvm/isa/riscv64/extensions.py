"""Every extension of the riscv64 specification, imported in the manual's order."""

from __future__ import annotations

# The manual's order is that of the reference pages.
# isort: off
from polyvm.isa.riscv64 import base, zifencei, zicsr, zihintpause, zicond, m, a, f, d, zfh
from polyvm.isa.riscv64 import c, zba, zbb, zbc, zbs, zbkb, zbkx
from polyvm.isa.riscv64.model import riscv64
# isort: on

__all__ = [
    "a",
    "base",
    "c",
    "d",
    "f",
    "m",
    "riscv64",
    "zba",
    "zbb",
    "zbc",
    "zbkb",
    "zbkx",
    "zbs",
    "zfh",
    "zicond",
    "zicsr",
    "zifencei",
    "zihintpause",
]
