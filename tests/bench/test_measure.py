"""One process measured: what it took, what it said, and how it ends when it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from polyvm.bench.footprint import Peak, resident
from polyvm.bench.measure import LONG, measure
from polyvm.errors import PolyvmError

ENV = {"PATH": os.environ["PATH"]}
PYTHON = (sys.executable, "-I", "-S", "-c")


def test_time_output_and_status() -> None:
    sample = measure([*PYTHON, "sum(range(10**6)); print('so'); raise SystemExit(3)"], env=ENV, limit=60)
    assert (sample.status, sample.output, sample.errors, sample.timed_out) == (3, "so", "", False)
    assert sample.cpu_s > 0
    assert 0 < sample.wall_s < 60


def test_the_cpu_time_of_children_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    sample = measure(["/bin/sh", "-c", '"$0" -I -S -c "$1"; true', sys.executable, burn], env=ENV, limit=60)
    assert sample.cpu_s >= 0.2


def test_memory_that_was_used() -> None:
    hold = "x = bytearray(b'x' * (64 << 20)); import time; time.sleep(0.3)"
    sample = measure([*PYTHON, hold], env=ENV, limit=60)
    assert sample.max_rss is not None
    assert (64 << 20) < sample.max_rss < (2 << 30)


def test_a_signal_is_a_negative_status() -> None:
    sample = measure(["/bin/sh", "-c", "kill -TERM $$"], env=ENV, limit=60)
    assert sample.status == -signal.SIGTERM


def test_input_is_empty_and_the_folder_is_the_one_named(tmp_path: Path) -> None:
    sample = measure(["/bin/sh", "-c", "cat; pwd -P"], env=ENV, limit=60, cwd=str(tmp_path))
    assert sample.output == str(tmp_path.resolve())


def test_long_output_is_kept_as_its_digest() -> None:
    sample = measure([*PYTHON, f"print('x' * {LONG})"], env=ENV, limit=60)
    assert sample.output.startswith(f"{LONG + 1} bytes, sha256 ")
    assert sample.output == measure([*PYTHON, f"print('x' * {LONG})"], env=ENV, limit=60).output


def test_past_the_limit_the_whole_group_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "child"
    command = f"sleep 1000 & echo $! > {note}; echo begun; wait"
    sample = measure(["/bin/sh", "-c", command], env=ENV, limit=1.0)
    assert sample.timed_out
    assert (sample.status, sample.output) == (-signal.SIGKILL, "begun")
    child = int(note.read_text())
    deadline = time.monotonic() + 20
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_the_measured_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import sys; from polyvm.bench.measure import measure\n"
        f"measure(['/bin/sh', '-c', 'echo $$ > {note}; sleep 1000'], env={ENV!r}, limit=500)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as ours:
        deadline = time.monotonic() + 60
        while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        ours.send_signal(signal.SIGINT)
        _, errors = ours.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert not _alive(int(note.read_text()))


def test_ctrl_c_while_the_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the start of the process and the wait for it, an interruption used to leave it running."""
    started: list[int] = []
    spawn = os.posix_spawnp

    def interrupted(*arguments: Any, **options: Any) -> int:
        started.append(spawn(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(os, "posix_spawnp", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(["/bin/sleep", "1000"], env=ENV, limit=500)
    assert not _alive(started[0])
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_cannot_be_started() -> None:
    with pytest.raises(PolyvmError, match="cannot start /nowhere/at-all: No such file") as caught:
        measure(["/nowhere/at-all"], env=ENV, limit=1)
    assert caught.value.code == "PVM-BENCH-BUILD"


def test_a_probe_sees_the_process_while_it_runs() -> None:
    seen: list[int] = []
    measure([*PYTHON, "import time; time.sleep(0.3)"], env=ENV, limit=60, probe=seen.append)
    assert len(seen) > 3
    assert len(set(seen)) == 1


def test_footprint_counts_children_and_the_workers_of_its_cache(tmp_path: Path) -> None:
    hold = "x = bytearray(b'x' * (48 << 20)); print('ready', flush=True); input()"

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PYTHON, hold, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    worker = start("polyvm.engine.worker", f"{tmp_path}/compiler.sock")
    other = start("polyvm.engine.worker", "/elsewhere/compiler.sock")
    child = start()
    try:
        peak = Peak(tmp_path)
        peak.look(child.pid)
        both = peak.bytes
        assert resident(child.pid) + (48 << 20) < both < resident(child.pid) + (90 << 20)
        family = Peak(Path("/nobody/has/this/cache"))
        family.look(os.getpid())
        assert family.bytes > 3 * (48 << 20)
        peak.look(2**22)  # no such process
        assert peak.bytes >= (48 << 20)
    finally:
        for process in (worker, other, child):
            process.communicate("\n")
