"""One process from start to end: wall and CPU time with its children, peak memory, output.

The process gets its own group and an empty standard input; past the limit, or on Ctrl-C, the whole group is ended.
It never judges what it measured.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from polyvm.errors import PolyvmError

LONG = 1 << 16
PROBED_EVERY = 0.03


@dataclass(frozen=True)
class Sample:
    """What one run took. `status` is the exit status, or minus the signal's number."""

    wall_s: float
    cpu_s: float
    max_rss: int | None
    status: int
    output: str
    errors: str
    timed_out: bool = False


def measure(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    limit: float,
    cwd: str | None = None,
    probe: Callable[[int], None] | None = None,
) -> Sample:
    """Run `command` and wait for it. Output goes through files, so that a slow reader never holds it up.

    probe: called with the process's id now and then, while it runs.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        # An interruption waits until there is somebody to end the process, which it does not reach by itself.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            pid = _spawn(command, env, out, err, cwd, mask)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            peak, timed_out = _watch(pid, start + limit, probe)
        except BaseException:
            _end(pid)
            os.wait4(pid, 0)
            raise
        if timed_out:
            _end(pid)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        if timed_out:
            _end(pid)  # descendants that outlived it
        return Sample(
            wall_s=wall,
            cpu_s=usage.ru_utime + usage.ru_stime,
            max_rss=_max_rss(usage.ru_maxrss * 1024, peak),
            status=os.waitstatus_to_exitcode(status),
            output=_text(out),
            errors=_text(err),
            timed_out=timed_out,
        )


def _spawn(
    command: Sequence[str],
    env: Mapping[str, str],
    out: IO[bytes],
    err: IO[bytes],
    cwd: str | None,
    mask: Iterable[int],
) -> int:
    if cwd is not None:
        command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, *command]
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
        (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
    ]
    try:
        return os.posix_spawnp(
            command[0], list(command), dict(env), file_actions=actions, setpgroup=0, setsigmask=mask
        )
    except OSError as error:
        raise PolyvmError(
            "PVM-BENCH-BUILD",
            f"cannot start {command[0]}: {error.strerror}",
            path=command[0],
            errno=error.errno,
        ) from error


def _watch(pid: int, deadline: float, probe: Callable[[int], None] | None = None) -> tuple[int, bool]:
    """Wait until the process ends or the deadline; its peak memory as last seen, and whether time was up."""
    peak = 0
    pause = 0.002
    fd = os.pidfd_open(pid)
    try:
        while True:
            left = deadline - time.perf_counter()
            if left <= 0:
                return peak, True
            ready, _, _ = select.select([fd], [], [], min(pause, left))
            if ready:
                return peak, False
            peak = max(peak, _high_water(f"/proc/{pid}/status"))
            if probe is not None:
                probe(pid)
            pause = min(pause * 2, PROBED_EVERY if probe else 0.25)
    finally:
        os.close(fd)


def _high_water(path: str) -> int:
    try:
        with open(path) as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it ended between the look and the read; the last figure stands
    return 0


def _max_rss(reported: int, seen: int) -> int | None:
    """The kernel counts what the process was before exec, which is us: below our own peak only samples tell."""
    if reported > _high_water("/proc/self/status"):
        return reported
    return seen or None


def _end(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the group is empty already


def _text(file: IO[bytes]) -> str:
    """The output, or its digest when it is long: only equality is ever asked."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > LONG:
        return f"{size} bytes, sha256 {hashlib.sha256(file.read()).hexdigest()}"
    return file.read().decode(errors="replace").strip()
