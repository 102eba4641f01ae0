"""`polyvm inspect`, the command: in a terminal that a test holds the other side of; and what is refused, by name."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import toolchain

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"


def refused(*words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "inspect", *map(str, words)],
        capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (125, "")
    return done.stderr


def test_it_wants_a_program_and_a_terminal() -> None:
    assert "either a PROGRAM or --watch" in refused()
    assert "either a PROGRAM or --watch" in refused("--watch", "x", "program")
    assert "draws on a terminal" in refused("program")


class Held:
    """A command in a terminal whose other side is here."""

    def __init__(self, *words: str | Path) -> None:
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, "-m", "polyvm", "inspect", *map(str, words)])

    def until(self, *texts: bytes, seconds: float = 100) -> None:
        """Read until all of these stood somewhere."""
        end = time.monotonic() + seconds
        while not all(text in self.seen for text in texts):
            assert time.monotonic() < end, self.seen[-3000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 1 << 16)

    def end(self) -> int:
        """Read the rest; the exit status."""
        while True:
            try:
                if not os.read(self.fd, 1 << 16):
                    break
            except OSError:
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def program() -> Path:
    return toolchain.build(WORKLOADS / "json.c", flags=("-g", "-lm"))


@pytest.mark.timeout(200)
def test_a_program_is_watched_until_q() -> None:
    held = Held(program(), "100000")
    held.until(b"running", b"Regions", b"Stencils")
    os.write(held.fd, b"q")
    assert held.end() == 0


@pytest.mark.timeout(200)
def test_a_program_elsewhere_is_watched(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "polyvm", "run", "--quiet", "--live", tmp_path / "live", program(), "100000"],
        stdout=subprocess.DEVNULL,
    ) as other:  # fmt: skip
        try:
            while not (tmp_path / "live").exists() or (tmp_path / "live").stat().st_size == 0:
                time.sleep(0.02)
            held = Held("--watch", tmp_path / "live")
            held.until(b"running", str(other.pid).encode())
            os.write(held.fd, b"q")
            assert held.end() == 0
            assert other.poll() is None  # it is not ours to end
        finally:
            other.kill()


@pytest.mark.timeout(200)
def test_what_cannot_be_watched_or_run_is_told_in_the_terminal(tmp_path: Path) -> None:
    for words, code in (
        (("--watch", tmp_path / "gone"), b"PVM-FILE-MISSING"),
        (("--watch", program()), b"PVM-USAGE"),
        ((tmp_path / "gone",), b"PVM-FILE-MISSING"),
    ):
        held = Held(*words)
        held.until(code)
        assert held.end() in (125, 127)
