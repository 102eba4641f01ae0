"""fork, vfork, exec in its many forms, wait, threads that end processes; output is Linux's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, TIERS, polyvm


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_program_sees(tier: str, guest: str, golden: Callable[[str, str], None]) -> None:
    program = build(PROGRAMS / "processes.c", guest, flags=("-Wno-unused-result", "-Wno-nonnull"))
    done = polyvm("--tier", tier, program)
    assert (done.returncode, done.stderr) == (0, "")
    golden("processes.txt", done.stdout)


CHILDREN = """
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    volatile unsigned long sum = 0;
    for (unsigned long i = 0; i < 30000000; i++) sum += i * i; /* hot: helpers are at work by now */
    printf("%d %d\\n", (int)waitpid(-1, 0, WNOHANG), errno == ECHILD);
    pid_t pid = fork();
    if (!pid) _exit(5);
    int status;
    printf("%d %d\\n", wait(&status) == pid, WEXITSTATUS(status));
    printf("%d %d\\n", (int)wait(0), errno == ECHILD);
}
"""


def test_helpers_are_nobodys_children(cold_cache: Path) -> None:
    done = polyvm(build(CHILDREN, name="children"))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "-1 1\n1 5\n-1 1\n")
