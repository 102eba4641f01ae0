"""The golden evaluator beside qemu-riscv64, for what Unicorn does not know: bit manipulation, and once more the rest.

One program per extension is assembled with polyvm's own assembler: it loads operands from a table, does each
instruction once, and writes every result to standard output. Skipped where qemu-riscv64 is not installed.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.ir.ops import OPS
from polyvm.isa.disasm import assemble
from polyvm.isa.spec import Insn
from tests.isa.riscv64.machine import ISA, Machine, of, random_fields, random_value

QEMU = shutil.which("qemu-riscv64")
FEATURES = "rv64,zba=on,zbb=on,zbc=on,zbs=on,zbkb=on,zbkx=on"
# Zicond came with QEMU 8.
EXTENSIONS = ("I", "M", "Zba", "Zbb", "Zbc", "Zbs", "Zbkb", "Zbkx")
LOAD_ADDRESS = 0x1_0000
OPERANDS = (10, 11, 12)  # a0, a1, a2: what the instructions may name

pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-riscv64 is not installed")


def computes(insn: Insn) -> bool:
    """Whether it takes registers to a register and does nothing else."""
    trace = ISA.trace(insn, next(insn.shapes()))
    return all((OPS[op.op].pure and op.op != "pc") or op.op in ("getx", "setx") for op in trace.walk())


def mistaken(insn: Insn, source: int) -> bool:
    """Whether QEMU 7.2 is known to be wrong: its ctzw looked at the high word when the low one is zero (fixed in 8)."""
    return insn.name == "ctzw" and source & 0xFFFF_FFFF == 0 != source


def code(*lines: str) -> bytes:
    return b"".join(assemble(ISA, line) for line in lines)


def elf(text: bytes, data: bytes) -> bytes:
    """A static program: one segment that may be read, written and executed."""
    size = 64 + 56
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 243, 1, LOAD_ADDRESS + size, 64, 0, 0,
                         64, 56, 1, 0, 0, 0)  # fmt: skip
    body = len(text) + len(data) + size
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, LOAD_ADDRESS, LOAD_ADDRESS, body, body, 0x1000)
    return header + segment + text + data


def program(words: list[int], operands: list[tuple[int, ...]]) -> bytes:
    """Do each word on its operands; s0 walks over the table, where the results replace the operands."""
    step = 8 * len(OPERANDS)
    before = code(*(f"ld x{register}, {8 * i}(s0)" for i, register in enumerate(OPERANDS)))
    after = code(
        *(f"sd x{register}, {8 * i}(s0)" for i, register in enumerate(OPERANDS)), f"addi s0, s0, {step}"
    )
    body = b"".join(before + word.to_bytes(4, "little") + after for word in words)
    table = b"".join(struct.pack(f"<{len(row)}Q", *row) for row in operands)
    high, low = split(len(table))
    write = ["li a0, 1", "mv a1, s1", f"lui a2, {high}", f"addi a2, a2, {low}", "li a7, 64", "ecall"]
    end = code(*write, "li a0, 0", "li a7, 93", "ecall")
    # The table follows the code.
    start_size = 12
    high, low = split(start_size + len(body) + len(end))
    start = code(f"auipc s0, {high}", f"addi s0, s0, {low}", "mv s1, s0")
    assert len(start) == start_size
    return elf(start + body + end, table)


def split(value: int) -> tuple[int, int]:
    """The operands of lui (or auipc) and addi that make a value."""
    low = (value & 0xFFF ^ 0x800) - 0x800
    return (value - low) >> 12 & 0xF_FFFF, low


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_agrees_with_qemu(
    extension: str, tmp_path: Path, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    insns = [insn for insn in of([extension]) if computes(insn)]
    words: list[int] = []
    operands: list[tuple[int, ...]] = []
    texts: list[str] = []
    for insn in insns:
        for _ in range(2000 if full else 100):
            fields = random_fields(insn, (), rng)
            for name in ("rd", "rs1", "rs2"):
                if name in fields:
                    fields[name] = rng.choice((*OPERANDS, 0))
            values = {register: random_value(rng) for register in OPERANDS}
            if mistaken(insn, values.get(fields.get("rs1", 0), 0)):
                continue
            words.append(insn.encode(fields))
            texts.append(insn.text)
            operands.append(tuple(values.values()))
    binary = tmp_path / "program"
    binary.write_bytes(program(words, operands))
    binary.chmod(0o755)
    assert QEMU is not None
    run = subprocess.run([QEMU, "-cpu", FEATURES, str(binary)], capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    results = list(struct.iter_unpack(f"<{len(OPERANDS)}Q", run.stdout))
    assert len(results) == len(words)
    machine = Machine()
    for word, text, before, after in zip(words, texts, operands, results, strict=True):
        for register, value in zip(OPERANDS, before, strict=True):
            machine[register] = value
        machine.step(word)
        assert [hex(machine[r]) for r in OPERANDS] == [hex(v) for v in after], (
            f"{text}: {word:#x} on {before}"
        )
    report(f"golden == qemu: {extension:>4}, {len(insns)} instructions, {len(words)} random operands")
