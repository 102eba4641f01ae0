"""A C program as Linux runs it and as polyvm does: what it prints must be the same, and the same as the golden text.

The golden text is Linux's own: the program is built for this machine too, and judged by the kernel that is here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import require_c
from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm

HERE = "Linux on this machine"
WHERE = (HERE, *TIERS, "aarch64 interpreter", "aarch64 auto")
FLAGS = ("-Wno-unused-result", "-Wno-nonnull")


def output(where: str, source: str, folder: Path, *arguments: str, options: Sequence[str] = ()) -> str:
    """What a program of tests/user/programs prints, run in an empty folder: by Linux, or in a tier of polyvm.

    where: one of WHERE, a tier alone means riscv64's.
    """
    if where == HERE:
        program = build(PROGRAMS / source, "x86_64", flags=FLAGS)
        done = subprocess.run(
            [program, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=60,
        )
    else:
        guest, _, tier = where.rpartition(" ")
        guest = guest or "riscv64"
        require_c(guest)
        program = build(PROGRAMS / source, guest, flags=FLAGS)
        done = polyvm("--tier", tier, *options, program, *arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
