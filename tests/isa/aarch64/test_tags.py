"""Memory tagging where no memory has tags: what a program sees, in every tier, as qemu-aarch64 does it for memory that
was not mapped with PROT_MTE. Instructions that access no memory are for test_golden_qemu.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.isa.aarch64 import abi, features
from tests.isa.aarch64.machine import Machine
from tests.processes import unmeasured
from tests.toolchain import build

GOLDEN = Path(__file__).parent / "golden" / "tags.txt"
HWCAP2_MTE = 1 << 18


@pytest.fixture(scope="module")
def program() -> Path:
    return build("tags_aarch64.c", "aarch64")


@pytest.mark.parametrize("tier", ["auto", "interpreter", "baseline", "region", "golden"])
def test_a_program_sees_no_tags(program: Path, tier: str, tmp_path: Path) -> None:
    options = ["--policy", "eager"] if tier in ("auto", "region") else []
    for _ in range(2 if options else 1):
        done = subprocess.run(
            [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, *options, program],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=200, env=unmeasured(),
        )  # fmt: skip
        assert (done.returncode, done.stderr, done.stdout) == (0, "", GOLDEN.read_text() + "told: 0\n")


def test_another_emulator_does_the_same(program: Path) -> None:
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("qemu-aarch64 is not installed")
    done = subprocess.run([qemu, "-cpu", "max", program], capture_output=True, text=True, check=False)
    assert done.stdout == GOLDEN.read_text() + "told: 1\n"  # it has them for memory that asks


def test_only_the_id_register_tells() -> None:
    assert features.value("id_aa64pfr1_el1") >> 8 & 15 == 1  # the instructions alone (D24.2.80)
    assert not abi.hwcap2() & HWCAP2_MTE


def test_tags_are_taken_off() -> None:
    machine = Machine()
    machine[1], machine[2] = 0xFFF0_1234_5678_9ABC, 0x0F00_0000_0000_0100
    machine.do(
        "irg x3, x1", "addg x4, x1, #16, #3", "subg x5, x1, #32, #0", "gmi x6, x1, x2", "subp x7, x1, x2"
    )
    assert machine[3] == 0xF0F0_1234_5678_9ABC
    assert machine[4] == machine[3] + 16
    assert machine[5] == machine[3] - 32
    assert machine[6] == machine[2] | 1 << 15
    assert machine[7] == 0xFFF0_1234_5678_9ABC - 0x100
