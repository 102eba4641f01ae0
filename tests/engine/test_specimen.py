"""One handler to look at: its assembly is Intel's, and looking changes nothing for who compiles afterwards."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from llvmlite import binding as llvm

from polyvm.engine import specimen
from polyvm.isa import SPECIFIED
from polyvm.isa.riscv64 import load


def test_the_assembly_of_one_handler() -> None:
    isa = load()
    insn = next(insn for insn in isa.insns if insn.name == "addi")
    _, module = specimen.handler_text(insn, next(iter(insn.shapes())))
    lines = specimen.assembly(module, specimen.symbol(insn))
    assert any(line.split()[0] == "jmp" for line in lines)
    assert not any("%r" in line for line in lines)


@pytest.mark.parametrize("guest", SPECIFIED)
def test_every_handler_alone_is_whole(guest: str) -> None:
    isa = import_module(f"polyvm.isa.{guest}").load()
    for insn in isa.insns:
        for shape in insn.shapes():
            _, module = specimen.handler_text(insn, shape)
            llvm.parse_assembly(module).verify()


def test_compiling_goes_on_as_before() -> None:
    """LLVM ends the process over inline assembly that it cannot read, so this runs in another one."""
    code = """
from polyvm.engine import compile, specimen
from polyvm.isa.riscv64 import load
isa = load()
insn = next(insn for insn in isa.insns if insn.name == "addi")
text, module = specimen.handler_text(insn, next(iter(insn.shapes())))
for _ in range(2):
    specimen.assembly(module, specimen.symbol(insn))
    image = compile.build("", [])
print(len(image) > 4096)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
