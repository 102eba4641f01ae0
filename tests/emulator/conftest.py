"""Emulators for the tests: one in each tier, closed afterwards, and bare code from assembly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import polyvm
from polyvm.isa.disasm import assemble
from polyvm.isa.riscv64 import load

CODE, DATA = 0x10000, 0x20000


def asm(*lines: str, pc: int = CODE) -> bytes:
    """The bytes of instructions, one after the other."""
    code = b""
    for line in lines:
        code += assemble(load(), line, pc + len(code))
    return code


@pytest.fixture(params=["auto", "golden"])
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cpu(tier: str) -> Iterator[polyvm.Emulator]:
    """An emulator with a page of code and a page of data."""
    with polyvm.Emulator("riscv64", tier=tier) as made:
        made.memory.map(CODE, 0x1000, "rwx")
        made.memory.map(DATA, 0x1000)
        yield made


@pytest.fixture
def put(cpu: polyvm.Emulator) -> Callable[..., int]:
    """put(*lines): write code to CODE; the address behind it."""

    def write(*lines: str) -> int:
        code = asm(*lines)
        cpu.memory.write(CODE, code)
        return CODE + len(code)

    return write
