"""The transformer block of examples/gpu agrees with NumPy, layer by layer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.compute import nvrtc
from tests.conftest import ROOT


def test_the_block_agrees_with_numpy(tmp_path: Path) -> None:
    if not nvrtc.is_installed():
        pytest.skip("CUDA C needs NVRTC: pip install 'polyvm[cuda]'")
    picture = tmp_path / "layers.svg"
    words = [
        sys.executable,
        str(ROOT / "examples/gpu/inference.py"),
        "--tokens",
        "32",
        "--plot",
        str(picture),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("off by") == 11
    assert picture.read_text().count("<rect") == 11
