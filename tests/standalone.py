"""Standalone executables for tests: of a program of which nothing is compiled, so that they are made in a moment.

The interpreter runs such a one; what its runtime does is the same.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from unittest import mock

from polyvm.cli import main
from polyvm.engine import aot


def make(program: Path, output: Path, *options: str) -> Path:
    """Write the executable of a program."""
    with mock.patch.object(aot, "compile_ahead", return_value=aot.Progress()):
        status = main.main(["aot", "--quiet", "--standalone", "-o", str(output), *options, str(program)])
    assert status == 0
    return output


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """What a program does, with nothing on its standard input."""
    given = {"stdin": subprocess.DEVNULL, **options}
    return subprocess.run(list(map(str, command)), capture_output=True, timeout=60, check=False, **given)  # type: ignore[call-overload,no-any-return]
