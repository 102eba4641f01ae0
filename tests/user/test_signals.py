"""Signals as a program sees them: frames, restarts, masks, waiting, timers, queues, threads; output is Linux's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_program_sees(tier: str, golden: Callable[[str, str], None]) -> None:
    done = polyvm("--tier", tier, build(PROGRAMS / "signals.c", flags=("-Wno-unused-result",)))
    assert (done.returncode, done.stderr) == (0, "")
    golden("signals.txt", done.stdout)


ENDLESS = """
#include <signal.h>
#include <unistd.h>
static void bye(int number) { (void)number; write(1, "caught\\n", 7); _exit(3); }
int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) signal(SIGINT, bye);
    write(1, "ready\\n", 6);
    __asm__ volatile("1: j 1b");
}
"""


@pytest.mark.parametrize("tier", ["golden", "interpreter", "region", "auto"])
@pytest.mark.parametrize("handler", [False, True])
def test_an_endless_loop_of_one_block_ends_by_ctrl_c(
    tier: str, handler: bool, report: Callable[[str], None]
) -> None:
    command = [
        sys.executable,
        "-m",
        "polyvm",
        "run",
        "--quiet",
        "--tier",
        tier,
        build(ENDLESS, name="endless"),
    ]
    process = subprocess.Popen([*command, *["x"] * handler], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.2)  # long enough for the loop to be compiled, where something compiles
    started = time.perf_counter()
    process.send_signal(signal.SIGINT)
    if handler:
        assert process.stdout.readline() == b"caught\n"
        took = time.perf_counter() - started
        report(f"Ctrl-C to the guest's handler in an endless loop, {tier}: {took * 1e3:.1f} ms")
    out, errors = process.communicate(timeout=30)
    assert (out, errors) == (b"", b"")
    assert process.returncode == (3 if handler else -signal.SIGINT)
