"""What wears a code cache out: code that is made without end, many threads and processes, no room. The output stays.

What is right is said by the same source on this machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyvm.engine import cachedir
from tests import toolchain
from tests.robust.conftest import LONG, Lane

THREADS = 8
TIERS = ("interpreter", "baseline", "region", "auto")


def run(program: Path, *words: str, options: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    """Its output, and the polyvm.run/1 document."""
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", "--policy", "eager", *options]
    done = subprocess.run(
        [*command, "--result-file", "fd:2", program, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout, json.loads(done.stderr)


@pytest.fixture(scope="session")
def jit() -> Callable[..., tuple[Path, str]]:
    """jit(*words): the program for the guest, and what it says to them."""

    def expect(*words: str) -> tuple[Path, str]:
        native = toolchain.build("jit.c", "x86_64")
        done = subprocess.run([native, *words], capture_output=True, text=True, check=True)
        return toolchain.build("jit.c"), done.stdout

    return expect


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("mode", ["fresh", "rewrite", "shared"])
def test_threads_that_call_what_they_just_made(
    mode: str, tier: str, jit: Callable[..., tuple[Path, str]], code_cache: Path, full: bool
) -> None:
    words = (mode, str(THREADS), "200" if full else "10", "3000")
    program, expected = jit(*words)
    assert run(program, *words, options=("--tier", tier))[0] == expected


def test_code_without_end_stays_under_its_bound(
    jit: Callable[..., tuple[Path, str]], code_cache: Path, full: bool, report: Callable[[str], None]
) -> None:
    """Every tier's memory is given up again and again, and what the process holds does not grow with the rounds."""
    found = []
    for rounds in (20, 2000 if full else 200):
        words = ("fresh", "2", str(rounds), "2000")
        program, expected = jit(*words)
        output, document = run(program, *words, options=("--code-cache", "64K"))
        assert output == expected
        found.append(document["max_rss"])
    report(
        f"code without end: {found[0] >> 10} KiB resident after 20 rounds, {found[1] >> 10} after {rounds}"
    )
    assert found[1] < found[0] + (16 << 20)


def test_a_code_cache_of_64_kilobytes(lane: Lane) -> None:
    lane.settle()
    output, document = run(lane.program, LONG, options=("--code-cache", "64K"))
    assert output == lane.long
    assert document["tiers"]["region"]["code_bytes"] > 0


def test_many_processes_share_one_cache(lane: Lane, full: bool) -> None:
    """All of them start on an empty one, and compile at once what the others compile."""
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", "--policy", "eager", str(lane.program)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(100 if full else 25)
    ]
    ended = [(*process.communicate(timeout=600), process.returncode) for process in processes]
    assert ended == [(lane.expected, "", 0)] * len(processes)
    lane.verify()
    lane.settle()


@pytest.mark.parametrize("room", ["none", "some"])
def test_a_full_disk(lane: Lane, room: str, tmp_path: Path) -> None:
    """Nothing can be kept, or the first file only in part: the program runs as if there were no cache.

    What its compile pool still does after its end is not its own: for a pool the disk is not full here.
    """
    result = tmp_path / "result.json"
    full_disk = Path(__file__).with_name("full_disk.py")
    for file in lane.interpreters():
        file.unlink()
    before = {path: path.stat().st_size for path in lane.folder.rglob("*.pvi")}
    words = [sys.executable, str(full_disk), "0" if room == "none" else "70000"]
    done = subprocess.run(
        [*words, "run", "--quiet", "--policy", "eager", "--result-file", result, str(lane.program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, lane.expected, "")
    lane.verify()
    assert not list(lane.folder.glob(f"{cachedir.TEMPORARY}*"))
    if room == "none":
        assert json.loads(result.read_text())["cache"]["disk_written"] == 0
        assert {path: path.stat().st_size for path in lane.folder.rglob("*.pvi")} == before
