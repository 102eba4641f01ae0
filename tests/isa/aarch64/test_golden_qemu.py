"""The golden evaluator beside qemu-aarch64, which is later than Unicorn: single instructions of extensions.

`single.c` does them; what touches memory or branches is none of its. All records go through one process.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Insn
from tests.isa.aarch64.judge import FPCR, FPSR
from tests.isa.aarch64.machine import ISA, Machine
from tests.isa.aarch64.test_golden_unicorn import JUDGED, disputed, floating, ops, prepared
from tests.toolchain import build

QEMU = shutil.which("qemu-aarch64")
RECORD = struct.Struct("<18Q512s")
ACCESSING = {"load", "store", "amo", "cas", "probe", "jump"}
LATER = [
    insn
    for insn in ISA.insns
    if insn.extension.name.startswith("FEAT_")
    and insn.name != "sb"
    and not insn.extension.name.startswith("FEAT_PAuth")  # has keys, in test_pauth
    and not ops(insn) & ACCESSING
]
REGISTERS = range(2, 16)
"""General registers that the program lends."""


def word_of(insn: Insn, machine: Machine, rng: random.Random) -> int:
    """An instruction whose general registers are lent ones, and the state for it."""
    while True:
        word = prepared(insn, machine, rng)
        if word is None or disputed(insn, machine, word):
            continue
        fields = insn.fields(word)
        fields |= {name: rng.choice(REGISTERS) for name in fields if ISA.fields[name].file == "x"}
        try:
            return insn.encode(fields)
        except EncodingError:
            continue


def record(machine: Machine, word: int) -> bytes:
    vectors = b"".join(machine.vector(number).to_bytes(16, "little") for number in range(32))
    general = (machine[number] for number in REGISTERS)
    return RECORD.pack(word, machine.nzcv << 28, machine.fpcr, machine.fpsr, *general, vectors)


@pytest.mark.skipif(QEMU is None, reason="qemu-aarch64 is not installed")
def test_agrees_with_qemu(rng: random.Random, full: bool, report: Callable[[str], None]) -> None:
    assert QEMU is not None
    program = build(Path(__file__).parent / "single.c", "aarch64")
    given, expected, shown = [], [], []
    counts: Counter[str] = Counter()
    for insn in LATER:
        # Those that Unicorn knows too are for it to judge at length.
        many = (400 if full else 1) * (10 if insn in JUDGED else 60 if floating(insn) else 30)
        for _ in range(many):
            machine = Machine()
            word = word_of(insn, machine, rng)
            given.append(record(machine, word))
            machine.step(word)
            expected.append(record(machine, word))
            shown.append(f"{insn.text}: {word:#x}")
            counts[insn.text] += 1
    done = subprocess.run(
        [QEMU, "-cpu", "max", program], input=b"".join(given), capture_output=True, check=False
    )
    assert len(done.stdout) == RECORD.size * len(given), (
        done.returncode,
        shown[len(done.stdout) // RECORD.size],
    )
    for place, (before, ours, what) in enumerate(zip(given, expected, shown, strict=True)):
        theirs = RECORD.unpack_from(done.stdout, place * RECORD.size)
        word, nzcv, fpcr, fpsr, *rest = theirs
        assert [word, nzcv, fpcr & FPCR, fpsr & FPSR, *rest] == [*RECORD.unpack(ours)], (what, before.hex())
    report(f"golden == qemu-aarch64: {len(counts)} encodings of A64, {counts.total()} random states")
