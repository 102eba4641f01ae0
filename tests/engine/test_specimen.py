"""One handler to look at: its assembly is Intel's, and looking changes nothing for who compiles afterwards."""

from __future__ import annotations

import subprocess
import sys

from polyvm.engine import specimen
from polyvm.isa.riscv64 import load


def test_the_assembly_of_one_handler() -> None:
    isa = load()
    insn = next(insn for insn in isa.insns if insn.name == "addi")
    _, module = specimen.handler_text(insn, next(iter(insn.shapes())))
    lines = specimen.assembly(module, specimen.symbol(insn))
    assert any(line.split()[0] == "jmp" for line in lines)
    assert not any("%r" in line for line in lines)


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
