"""Runs many programs as `polyvm run` would, each in a child of its own, without starting Python for each.

Reads lines of a program's path; answers each with a line of JSON: how the child ended, after how many seconds, with how
much memory, and what it wrote to standard error. A child that takes longer than two seconds is killed, and the answer
says so and what it was at. Time that it waited for a processor is not counted: other tests may have all of them.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time

from polyvm.cli import run
from polyvm.engine.executor import Engine

SECONDS = 2.0
OPTIONS = ["--quiet", "--tier", "interpreter", "--timeout", "1", "--memory", "128M"]
# What a run imports when it comes to need it.
NEEDED = (
    "polyvm.user.process", "polyvm.user.execute", "polyvm.user.syscalls.numbers_generic", "polyvm.cli.failure",
    "polyvm.debug.crash", "polyvm.cli.rundocument", "polyvm.isa.vdso", "polyvm.user.syscalls.files",
    "polyvm.user.syscalls.memory", "polyvm.user.syscalls.process", "polyvm.user.syscalls.descriptors", "resource",
    "fcntl", "polyvm.user.syscalls.signals", "polyvm.user.syscalls.ioctl", "polyvm.debug.elf",
)  # fmt: skip


def child(words: list[str], errors: int) -> None:
    """Never returns."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(errors, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os._exit(run.main([*OPTIONS, *words], leave=True))
    except BaseException as error:
        os.write(2, f"Traceback of a {type(error).__name__}: {error}".encode())
        os._exit(70)


def about(pid: int, name: str) -> str:
    """What the kernel says of a process; nothing where it does not say."""
    try:
        with open(f"/proc/{pid}/{name}") as file:
            return file.read()
    except OSError:
        return ""


def waited(pid: int) -> float:
    """The seconds that a process was ready to run and did not (the second number of its schedstat, nanoseconds)."""
    fields = about(pid, "schedstat").split()
    return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0


def one(words: list[str]) -> dict[str, object]:
    """Run one program."""
    errors = os.memfd_create("errors")
    started = time.perf_counter()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        child(words, errors)
    late: dict[str, str] = {}
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            break
        if not late and time.perf_counter() - started - waited(pid) > SECONDS:
            late = {name: about(pid, name) for name in ("wchan", "syscall", "stat")}
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.0005)
    took = time.perf_counter() - started
    text = os.pread(errors, 100_000, 0).decode(errors="replace")
    os.close(errors)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": took,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss << 10,
        "late": late,
        "errors": text,
    }


def main() -> None:
    """Serve until there is no more input."""
    Engine("riscv64", tier="interpreter")  # compiled or loaded now, so that no child's time is taken for it
    for name in NEEDED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(one(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
