"""Waiting for compilers: they work beside a program and after its end, for as long as a machine takes for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from polyvm.engine.workers import finishing

LIMIT_S = 120
QUIET_S = 2.0


def regions(cache: Path) -> set[str]:
    """The units of a cache, by their files' names."""
    return {str(path) for path in cache.glob("units/*/*.pvu")}


def settled(cache: Path) -> set[str]:
    """The regions of a cache once there are some, nobody compiles what was left, and none was added for a while."""
    names: set[str] = set()
    since = time.monotonic()
    end = since + LIMIT_S
    while time.monotonic() < end:
        now, lock = regions(cache), finishing(str(cache))
        if lock is not None:
            os.close(lock)
        if not now or now != names or lock is None:
            names, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET_S:
            break
        time.sleep(0.1)
    return names


def run_until_compiled(
    cache: Path, stop: Path, *arguments: str | Path, pass_fds: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`polyvm run --quiet ARGUMENTS STOP`: of a program that goes on until there is a file STOP, which is made once a
    region was compiled and is in use. What is on the disk is in use: it is installed before it is kept.
    """
    words = [sys.executable, "-m", "polyvm", "run", "--quiet", *arguments, stop]
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    ) as process:
        end = time.monotonic() + LIMIT_S
        while process.poll() is None and not regions(cache) and time.monotonic() < end:
            time.sleep(0.05)
        stop.touch()
        out, err = process.communicate(timeout=LIMIT_S)
    return subprocess.CompletedProcess(words, process.returncode, out, err)
