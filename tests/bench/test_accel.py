"""benchmarks/accel.py measures what it says, at a size that takes a moment."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from polyvm.accel import choice
from tests.conftest import ROOT

USABLE, REASON = choice.survey()["kvm"]


@pytest.mark.skipif(not USABLE, reason=f"KVM is not usable here: {REASON}")
def test_every_line() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "accel.py"), "--exits", "200", "--rounds", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280).stdout
    for kind in ("a port", "memory"):
        for way in ("C", "the native loop", "typed in Python"):
            assert re.search(rf"^an exit for {kind} by {way}: [\d.]+ us, [\d.]+ of C", printed, re.MULTILINE)
    assert "200 doorbells through ioeventfd: 1 returns to Python" in printed
    assert len(printed.splitlines()) == 12
