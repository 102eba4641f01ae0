"""The interpreter's compilation in parts: as many processes as are worth it, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyvm.engine import interpreter_image, worker
from polyvm.engine.entries import WHOLE, Part, handlers
from polyvm.errors import PolyvmError
from polyvm.isa import riscv64


def test_parts_have_every_handler_once() -> None:
    entries = handlers(riscv64.load())
    parts = [Part(number, 3).own(entries) for number in range(3)]
    assert sorted(entry.number for part in parts for entry in part) == sorted(
        entry.number for entry in WHOLE.own(entries)
    )
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [Part(number, 3).first for number in range(3)] == [True, False, False]


def test_a_part_that_fails_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(guest: str, number: int, of: int) -> subprocess.Popen[bytes]:
        what = "raise SystemExit(7)" if number == 1 else "import time; time.sleep(60)"
        started.append(subprocess.Popen([sys.executable, "-c", what], stdout=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(worker, "PART", 100)
    monkeypatch.setattr(worker, "_start_part", start)
    monkeypatch.setattr(worker, "part", lambda *arguments: b"")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(3))
    with pytest.raises(PolyvmError, match="compiler process failed") as caught:
        worker.interpreter("riscv64")
    assert (caught.value.code, caught.value.context["status"]) == ("PVM-COMPILE-FAILED", 7)
    assert len(started) == 2
    assert started[1].wait(timeout=5) == -signal.SIGKILL
    for process in started:
        assert process.stdout is not None
        process.stdout.close()


def test_whoever_asked_is_killed_and_the_compiler_with_it() -> None:
    """The processor is not busy for seconds with what nobody wants any more."""
    command = interpreter_image.worker_command("interpreter", "riscv64", "key")
    asks = f"import subprocess, time; print(subprocess.Popen({command!r}, stdout=-3).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", asks], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        about = Path(f"/proc/{int(asking.stdout.readline())}")
        while "llvmlite" not in (about / "maps").read_text():
            time.sleep(0.02)  # it is not one of ours yet
        asking.kill()
        end = time.monotonic() + 10
        while about.exists() and "zombie" not in (about / "status").read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
