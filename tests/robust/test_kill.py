"""SIGKILL at any moment, also in the middle of a cache write: the next run is right, and the cache is sound."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.engine import cachedir
from tests.processes import unmeasured
from tests.robust.conftest import Lane
from tests.robust.victim import POINTS

VICTIM = Path(__file__).with_name("victim.py")
COMMAND = ["run", "--quiet", "--policy", "eager"]


def forget(lane: Lane, rng: random.Random, share: float, *, interpreter: bool = False) -> None:
    """Take something out of the cache, so that the next run has something to write."""
    for unit in lane.units():
        if rng.random() < share:
            unit.unlink()
    if interpreter:  # seconds of compiling: seldom
        for file in lane.interpreters():
            file.unlink()


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_kills_at_random_times(
    lane: Lane, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    kills = 500 if full else 50
    outcomes: Counter[str] = Counter()
    lane.settle()
    began = time.monotonic()
    lane.run()
    length = time.monotonic() - began
    for number in range(kills):
        inside = number % 5 == 0
        cold = number % 50 in (20, 49)
        if inside:  # or the pool of a killed run would still write what is to be written here
            lane.close()
        forget(lane, rng, 1.0 if inside else 0.5, interpreter=cold)
        if inside:
            point = POINTS[number // 5 % len(POINTS)]
            # It does not end before there is something to write: the interpreter, or the first region.
            words = [point, "1", *COMMAND, str(lane.program), "1000000"]
            done = subprocess.run(
                [sys.executable, str(VICTIM), *words],
                env=unmeasured(),
                capture_output=True,
                text=True,
                check=False,
                timeout=200,
            )
            assert done.returncode == -signal.SIGKILL, done.stderr
            outcomes[f"in a cache write ({point})"] += 1
        else:
            command = [sys.executable, "-m", "polyvm", *COMMAND, str(lane.program)]
            process = subprocess.Popen(
                command, env=unmeasured(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            time.sleep(rng.random() * (4.0 if cold else length))
            process.kill()
            out, err = process.communicate(timeout=200)
            assert process.returncode in (0, -signal.SIGKILL), err
            assert lane.expected.startswith(out)
            outcomes["at a random time" if process.returncode else "too late"] += 1
        document = lane.run()
        assert document["cache"]["disk_rejected"] == 0  # nothing half written was ever in place
        lane.verify()
    assert sum(count for what, count in outcomes.items() if "write" in what) >= kills // 5
    found = ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items()))
    report(f"SIGKILL: {kills} runs killed, {found}")
    # What dead writers left is no entry, and goes when it is old enough.
    left = list(lane.folder.glob(f"{cachedir.TEMPORARY}*"))
    assert left
    for file in left:
        os.utime(file, (0, 0))
    assert len(cachedir.trim(str(lane.folder))) == len(left)
    assert not list(lane.folder.glob(f"{cachedir.TEMPORARY}*"))


@pytest.mark.timeout(1200)
def test_the_compilers_die(lane: Lane, rng: random.Random, full: bool, report: Callable[[str], None]) -> None:
    killed = 0
    for _ in range(40 if full else 8):
        forget(lane, rng, 1.0)
        command = [sys.executable, "-m", "polyvm", *COMMAND, str(lane.program)]
        process = subprocess.Popen(
            command, env=unmeasured(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(0.05 + 0.2 * rng.random())
        for pid in lane.pools():
            os.kill(pid, signal.SIGKILL)
            killed += 1
        out, err = process.communicate(timeout=200)
        assert (process.returncode, out, err) == (0, lane.expected, "")
        lane.verify()
    lane.run()
    report(f"SIGKILL: {killed} compile pools killed under running programs")


def test_many_start_at_once_on_an_empty_cache(lane: Lane) -> None:
    command = [sys.executable, "-m", "polyvm", *COMMAND, str(lane.program)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    for process in processes:
        out, err = process.communicate(timeout=200)
        assert (process.returncode, out, err) == (0, lane.expected, "")
    lane.verify()
    lane.settle()
    document = lane.run()
    assert document["cache"]["disk"]["hits"] > 0
    assert document["cache"]["disk_rejected"] == 0
