"""How tests run a guest program: `polyvm run` in a process of its own, with nothing on its standard input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
TIERS = ("interpreter", "baseline", "auto")


def polyvm(
    *arguments: str | bytes | Path, stdin: str | None = None, timeout: float = 120, **options: object
) -> subprocess.CompletedProcess[str]:
    """`polyvm run --quiet ARGUMENTS`; bytes that are no text come back as surrogates, so that all output compares."""
    given: dict[str, object] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options are the caller's
        [sys.executable, "-m", "polyvm", "run", "--quiet", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=timeout,
        **given,
        **options,
    )
