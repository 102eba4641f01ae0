"""A recorded run for each guest, and the report of it: made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polyvm.debug import recording, report
from tests import toolchain

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"
GUESTS = ("riscv64", "aarch64")


def program(guest: str) -> Path:
    return toolchain.build(WORKLOADS / "json.c", guest, flags=("-g", "-lm"))


@pytest.fixture(scope="session", params=GUESTS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A recording: of a second run, whose regions are from the disk, and of what got hot only now."""
    path = tmp_path_factory.mktemp("recorded") / "run.polyvm"
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "polyvm", "run", "--quiet", "--policy", "eager", "--record", path,
             program(request.param), "800"],
            stdout=subprocess.PIPE, timeout=280, check=True,
        )  # fmt: skip
    return recording.load(path.read_bytes(), "it")


@pytest.fixture(scope="session")
def shown(recorded: dict[str, Any]) -> dict[str, Any]:
    """The report of it."""
    return report.document(recorded, "it", top=2)
