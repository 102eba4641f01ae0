"""Registers come from the guest's table alone: no accelerator writes one by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import polyvm
from polyvm.isa.x86_64 import registers as x86_64
from polyvm.vcpu.state import GROUPS

ACCEL = Path(polyvm.__file__).parent / "accel"
SOURCES = [path for path in sorted(ACCEL.rglob("*.py")) if "ffi" not in path.parts]
USED = {"ss_access", "rip"}
"""The ring that a guest is in, which must be known before it is debugged; and the kernel's name of an exit's field."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ACCEL)))
def test_no_accelerator_names_a_register(path: Path) -> None:
    names = {row.name for row in x86_64.table()} | {f"x{n}" for n in range(32)} | {f"q{n}" for n in range(32)}
    tree = ast.parse(path.read_text())
    found = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    # CPUID's answers are words of the interface, eax to edx, and no registers of a vCPU.
    assert found <= USED


def test_the_table_has_each_register_once() -> None:
    rows = x86_64.table()
    assert x86_64.table() is rows
    for column in ("name", "kvm"):
        values = [getattr(row, column) for row in rows]
        assert len(values) == len(set(values)), column
    for column in ("gdb", "dwarf", "hvf"):
        numbers = [value for row in rows if (value := getattr(row, column)) is not None]
        assert len(numbers) == len(set(numbers)), column
    assert {row.group for row in rows} <= set(GROUPS)


def test_the_numbers_of_debuggers() -> None:
    """GDB's of features/i386/64bit-core.xml, DWARF's of the System V ABI: known points of both."""
    rows = {row.name: row for row in x86_64.table()}
    gdb = {"rax": 0, "rbx": 1, "rsp": 7, "r15": 15, "rip": 16, "rflags": 17, "gs": 23, "st0": 24, "fop": 39,
           "xmm0": 40, "mxcsr": 56, "fs_base": 57}  # fmt: skip
    assert {name: rows[name].gdb for name in gdb} == gdb
    dwarf = {"rax": 0, "rdx": 1, "rsp": 7, "r8": 8, "xmm15": 32, "st7": 40, "mxcsr": 64}
    assert {name: rows[name].dwarf for name in dwarf} == dwarf
