"""What a guest sees of itself in /proc: its own threads, memory and signals, and none of what runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.linux import FLAGS, HERE, output
from tests.user.running import PROGRAMS, polyvm

FILE = "proc.txt"


@pytest.mark.parametrize("where", [HERE, "interpreter", "aarch64 auto"])
def test_proc_is_the_guests(where: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    golden(FILE, output(where, "proc.c", tmp_path))


def test_proc_below_a_root(guest: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    """/dev/fd and /dev/stdin are links to /proc/self there as elsewhere, and no name is the host's."""
    shutil.copy(build(PROGRAMS / "proc.c", guest, flags=FLAGS), tmp_path / "program")
    (tmp_path / "work").mkdir()
    binds = ("--bind", "/proc:/proc", "--bind", "/dev:/dev")
    done = polyvm("--root", tmp_path, *binds, "--cwd", "/work", "/program", "below a root")
    assert (done.returncode, done.stderr) == (0, "")
    golden(FILE, done.stdout)
