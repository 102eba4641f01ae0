"""Pipelines of guest and host programs, started by a guest: pipes, fork, vfork, exec, SIGCHLD, SIGPIPE, threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm

NUMBERS = [i * 7919 % 10007 for i in range(1, 3001)]


@pytest.fixture
def shell(guest: str) -> Path:
    return build(PROGRAMS / "pipeline.c", guest)


def expected(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("numbers 5", [str(n) for n in NUMBERS[:5]]),
        ("numbers 3000 | order | first 4", [str(n) for n in sorted(NUMBERS)[:4]]),
        ("numbers 3000 | sort -n | first 4", [str(n) for n in sorted(NUMBERS)[:4]]),
        ("echo some words | upper | cat | upper", ["SOME WORDS"]),
        ("numbers 100000 | first 2", [str(n) for n in NUMBERS[:2]]),  # SIGPIPE ends the first stage
        ("numbers 3000 | order | wc -l | upper | cat | first 1", ["3000"]),
    ],
)
def test_a_pipeline(words: str, lines: list[str], tier: str, shell: Path) -> None:
    done = polyvm("--tier", tier, shell, *words.split())
    assert (done.returncode, done.stdout) == (0, expected(lines))
    assert done.stderr == f"{words.count('|') + 1} stages, 1 children noticed at least\n"


def test_threads_at_the_end_of_a_pipeline(shell: Path) -> None:
    text = "".join(f"{n}\n" for n in NUMBERS).encode()
    done = polyvm(shell, "numbers", "3000", "|", "total")
    parts = [text[len(text) * i // 4 : len(text) * (i + 1) // 4] for i in range(4)]
    total = sum(byte * (i % 251 + 1) for part in parts for i, byte in enumerate(part))
    assert done.stdout == f"{len(text)} bytes, sum {total}\n"


def test_how_the_last_stage_ends_is_how_the_pipeline_ends(shell: Path) -> None:
    assert polyvm(shell, "numbers", "3", "|", "false").returncode == 1
    assert polyvm(shell, "numbers", "3", "|", "no-such-program").returncode == 127
    assert polyvm(shell, "numbers", "3", "|", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_guest_among_programs_of_the_host(shell: Path) -> None:
    """The other way round: the host's shell has guests in its pipeline, which see the same pipe."""
    run = f"{sys.executable} -m polyvm run --quiet {shell}"
    line = f"{run} numbers 3000 2>/dev/null | sort -n | {run} first 3 '|' upper 2>/dev/null"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, expected([str(n) for n in sorted(NUMBERS)[:3]]))
