"""gdb itself on programs under `polyvm run --gdb`, in batches of its commands, where it is installed."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import toolchain
from tests.processes import unmeasured

GDB = shutil.which("gdb-multiarch")
pytestmark = pytest.mark.skipif(GDB is None, reason="gdb-multiarch is not installed")
SETUP = ("set pagination off", "set confirm off", "set width 0")

Session = Callable[..., tuple[str, str, int]]


@pytest.fixture
def session(guest: str, tmp_path: Path) -> Session:
    """session(words, commands): the program under gdb; what gdb said, what the program wrote, and its status.

    A command is gdb's, or a function that is called with the program's process while gdb waits for it.
    """
    program = toolchain.build("debugged.c", guest, flags=("-g", "-fno-optimize-sibling-calls"))

    def run(words: tuple[str, ...], *commands: str, after: float = 0, send: int = 0) -> tuple[str, str, int]:
        assert GDB is not None
        where = tmp_path / "socket"
        polyvm = subprocess.Popen(
            [sys.executable, "-m", "polyvm", "run", "--quiet", "--gdb", f"unix:{where}", program, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=unmeasured(),
        )  # fmt: skip
        assert polyvm.stderr is not None
        try:
            assert "waits for a debugger" in polyvm.stderr.readline()
            options = [
                word for command in (*SETUP, f"target remote {where}", *commands) for word in ("-ex", command)
            ]
            gdb = subprocess.Popen(
                [GDB, "-nx", "-batch", *options, program],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip
            try:
                if send:
                    time.sleep(after)
                    gdb.send_signal(send)
                said, _ = gdb.communicate(timeout=100)
            finally:
                gdb.kill()
            out, _ = polyvm.communicate(timeout=100)
        finally:
            polyvm.kill()
            polyvm.communicate()
        return said, out, polyvm.returncode

    return run


def test_a_whole_session(session: Session, guest: str) -> None:
    said, out, status = session(
        (),
        "break inner", "continue", "backtrace", "info registers", "print value", "finish", "delete",
        "tbreak outer", "continue", "step", "stepi", "info threads", "print outer(20)", "finish",
        "watch counter", "continue", "print counter", "delete",
        "rwatch other", "continue", "delete", "info auxv", "continue",
    )  # fmt: skip
    assert re.search(r"#0  inner \(value=1\)", said)
    assert re.search(r"#1 .* in outer \(value=", said)
    assert re.search(r"#2 .* in main \(", said)
    registers = {"riscv64": r"a0 +0x1\s+1", "aarch64": r"x0 +0x1\s+1"}[guest]
    assert re.search(rf"^{registers}$", said, re.MULTILINE)
    assert "$1 = 1\n" in said
    assert "Value returned is $2 = 2\n" in said
    assert re.search(r"Thread [\d.]+ \"debugged-", said)
    assert "$3 = 43\n" in said  # a function called by the debugger
    assert "Value returned is $4 = 4\n" in said
    assert re.findall(r"New value = (\d+)", said) == ["3"]
    assert "$5 = 3\n" in said
    assert re.search(r"Hardware read watchpoint \d+: other\n\nValue = \d+", said)
    assert re.search(r"AT_ENTRY +Entry point of program", said)
    assert "exited with code 07" in said
    assert out.startswith("15 999 ")
    assert status == 7


@pytest.mark.full
def test_ctrl_c(session: Session, guest: str) -> None:
    said, _, status = session(
        ("loop",), "continue", "backtrace", "print other > 0", "kill", send=signal.SIGINT, after=3
    )
    assert "Program received signal SIGINT, Interrupt." in said
    assert re.search(r"#0 .*forever \(\)", said)
    assert re.search(r"#1 .* main \(", said)
    assert "$1 = 1\n" in said
    assert status == -signal.SIGKILL


def test_signals_and_a_crash(session: Session, guest: str) -> None:
    said, out, status = session(("raise",), "continue", "print $_siginfo.si_signo", "continue")
    assert "Program received signal SIGUSR1, User defined signal 1." in said
    assert "$1 = 10\n" in said
    assert (out, status) == ("15 999 1003 10\n", 7)
    said, _, status = session(("crash",), "continue", "print where", "print $_siginfo._sifields._sigfault.si_addr",
                              "x/i $pc", "backtrace", "continue")  # fmt: skip
    assert "Program received signal SIGSEGV, Segmentation fault." in said
    assert "$1 = (volatile int *) 0x10\n" in said
    assert "$2 = (void *) 0x10\n" in said
    assert re.search(r"#1 .* main \(", said)
    assert "Program terminated with signal SIGSEGV" in said
    assert status == -signal.SIGSEGV


def test_threads(session: Session, guest: str) -> None:
    said, out, status = session(
        ("threads",),
        "break inner if shared > 100", "continue", "info threads", "thread apply all backtrace 1",
        "set scheduler-locking on", "step", "set scheduler-locking off", "delete", "continue",
    )  # fmt: skip
    assert len(set(re.findall(r'Thread [\d.]+ "(first|second)"', said))) == 2
    assert re.search(r"Thread 3 \(", said)
    assert "exited with code 07" in said
    assert (out.splitlines()[0], status) == ("2000", 7)
