"""Signals as a program sees them: frames, restarts, masks, waiting, timers, queues, threads; output is Linux's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_program_sees(tier: str, guest: str, golden: Callable[[str, str], None]) -> None:
    done = polyvm("--tier", tier, build(PROGRAMS / "signals.c", guest, flags=("-Wno-unused-result",)))
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


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region", "auto"])
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


LOOKING = """
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <ucontext.h>
#define HITS 300
enum { PC = 0, T2 = 7, S2 = 18, FT1 = 1 };
static volatile long stop;
static long hits, inside, wrong;
extern char first[], last[];
static void look(int number, siginfo_t *info, void *context) {
    (void)number; (void)info;
    ucontext_t *seen = context;
    uint64_t pc = seen->uc_mcontext.__gregs[PC], turn = seen->uc_mcontext.__gregs[S2];
    uint64_t twice = seen->uc_mcontext.__gregs[T2], nan = seen->uc_mcontext.__fpregs.__d.__f[FT1];
    if (++hits == HITS) stop = 1;
    if (pc < (uint64_t)first || pc >= (uint64_t)last) return;
    inside++;
    if ((twice != 2 * turn && twice != 2 * (turn - 1)) || nan != (0x7ff8ULL << 48)) {
        if (!wrong++) printf("pc %lx, turn %ld: %ld, %lx\\n", pc, turn, twice, nan);
    }
}
int main(void) {
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &often, 0);
    __asm__ volatile(
        "mv t3, %0\\n fmv.d ft0, %1\\n li s2, 0\\n slli t2, s2, 1\\n fsub.d ft1, ft0, ft0\\n"
        ".global first\\n first:\\n"
        "addi s2, s2, 1\\n slli t2, s2, 1\\n fsub.d ft1, ft0, ft0\\n add t4, t4, t2\\n fadd.d ft2, ft2, ft1\\n"
        "ld t5, 0(t3)\\n beqz t5, first\\n"
        ".global last\\n last:\\n"
        : : "r"(&stop), "f"(INFINITY * 1.0) : "t2", "t3", "t4", "t5", "s2", "ft0", "ft1", "ft2", "memory");
    setitimer(ITIMER_REAL, &never, 0);
    printf("%s, %ld wrong\\n", inside > HITS / 2 ? "interrupted" : "hardly interrupted", wrong);
}
"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_handler_sees_registers_that_nobody_reads_any_more(tier: str) -> None:
    """Wherever a loop is interrupted, what it computed last is in the frame, though the next turn computes it anew."""
    done = polyvm("--tier", tier, build(LOOKING, name="looking"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted, 0 wrong\n", "")


CANCEL = r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *sleeper(void *arg) { for (;;) pause(); return arg; }
int main(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, sleeper, 0);
    usleep(10000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("%d\n", result == PTHREAD_CANCELED);
    return 0;
}
"""


def test_the_hosts_libc_takes_no_signal_of_a_program_that_is_reported_on(guest: str, tmp_path: Path) -> None:
    """Every fatal signal is caught then, from the start: also those that libc takes when it makes its first thread."""
    program = build(CANCEL, guest, name="cancel")
    done = polyvm("--result-file", tmp_path / "result", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
