"""Known answers of the standards, by a program that uses the instructions as libraries do: the same in all tiers."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import unmeasured
from tests.toolchain import build

EXPECTED = f"""\
aes-128 69c4e0d86a7b0430d8cdb78070b4c55a
and back {bytes(range(0, 256, 17)).hex()}
pmull {(1 | 1 << 64).to_bytes(16, "little").hex()}
pmull2 {"55" * 16}
sha1 {hashlib.sha1(b"abc").hexdigest()}
sha256 {hashlib.sha256(b"abc").hexdigest()}
sha512 {hashlib.sha512(b"abc").hexdigest()}
sha3-256 {hashlib.sha3_256(b"").hexdigest()}
"""
"""FIPS 197, C.1, and what the host's library says of messages that FIPS 180-4 and 202 have examples of."""


@pytest.fixture(scope="module")
def program() -> Path:
    return build("crypto_aarch64.c", "aarch64", libc=None, cpu="baseline+aes+sha2+sha3")


@pytest.mark.parametrize("tier", ["auto", "interpreter", "baseline", "region", "golden"])
def test_known_answers(program: Path, tier: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, program],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=200,
        env=unmeasured() if tier == "golden" else None,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == EXPECTED


def test_another_emulator_gives_the_same(program: Path) -> None:
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("qemu-aarch64 is not installed")
    done = subprocess.run([qemu, "-cpu", "max", program], capture_output=True, text=True, check=False)
    assert done.stdout == EXPECTED
