"""Every extension of the riscv64 specification, imported in the manual's order."""

from __future__ import annotations

# isort: off  # the manual's order is that of the reference pages
from polyvm.isa.riscv64 import base, zifencei, zicsr, zicond, m, a
from polyvm.isa.riscv64 import c, zba, zbb, zbc, zbs, zbkb, zbkx
from polyvm.isa.riscv64.model import riscv64
# isort: on

__all__ = [
    "a",
    "base",
    "c",
    "m",
    "riscv64",
    "zba",
    "zbb",
    "zbc",
    "zbkb",
    "zbkx",
    "zbs",
    "zicond",
    "zicsr",
    "zifencei",
]
