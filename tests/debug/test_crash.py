"""What is told of a guest that died: of what, where, with which registers, and how it came there."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import toolchain

NESTED = r"""
#include <signal.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) void third(volatile long *where) {
    __asm__ volatile("li s7, 0x1234\n\tfld fs3, %0" ::"m"(*(double *)"\0\0\0\0\0\0\xf0\x3f") : "s7", "fs3");
    *where = 7;
}
__attribute__((noinline)) void second(long at) { third((long *)at); __asm__ volatile(""); }
__attribute__((noinline)) void first(long at) { second(at); __asm__ volatile(""); }
int main(int argc, char **argv) {
    if (!strcmp(argv[1], "raise")) raise(atoi(argv[2]));
    first(strtol(argv[1], 0, 0));
    return 0;
}
"""


@pytest.fixture(scope="session")
def program() -> Path:
    return toolchain.build(NESTED, name="nested", flags=["-fno-optimize-sibling-calls"])


def crash(*words: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stderr


def test_the_whole_report(program: Path) -> None:
    status, text = crash(program, "0x5000")
    assert status == -signal.SIGSEGV
    lines = text.splitlines()
    assert (
        lines[0]
        == "polyvm: the riscv64 program was killed by SIGSEGV: a write to 0x5000, which is not mapped"
    )
    assert re.fullmatch(rf"  pc = 0x[0-9a-f]+ third\+0x[0-9a-f]+ \({re.escape(str(program))}\)", lines[1])
    assert re.search(r"  s7 0000000000001234", text)
    assert re.search(r" fs3 3ff0000000000000", text)
    trace = text.split("Backtrace")[1].split("\n\n")[0]
    names = re.findall(r"#\d+ +0x[0-9a-f]+ (\w+)\+", trace)
    assert names[0] == "third"
    assert [name for name in names if name in ("second", "first", "main")] == ["second", "first", "main"]
    code = text.split("Code:\n")[1].split("\n\n")[0].splitlines()
    (here,) = [line for line in code if line.startswith("->")]
    assert re.search(r"\bsd ", here) or "c.sd" in here
    mapping = text.split("Mapping:\n")[1]
    assert re.search(rf"^  [0-9a-f]+-[0-9a-f]+ r-xp {re.escape(str(program))}$", mapping, re.MULTILINE)
    assert "[stack]" in mapping


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["0x3fffffffff8"], "a write to 0x3fffffffff8, which is not mapped"),
        (["-1"], "a write to 0xffffffffffffffff, which is not mapped"),
        (["raise", "11"], "killed by SIGSEGV, which a process sent"),
        (["raise", "6"], "killed by SIGABRT, which a process sent"),
    ],
)
def test_why_it_died(program: Path, words: list[str], text: str) -> None:
    assert text in crash(program, *words)[1]


@pytest.mark.parametrize("number", [15, 9, 2])
def test_other_signals_are_no_crash(program: Path, number: int) -> None:
    assert crash(program, "raise", str(number)) == (-number, "")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("zero", "a jump to 0x0, which is not mapped"),
        ("data", "which is mapped rw-"),
        ("illegal", "killed by SIGILL at 0x"),
        ("text", "which is mapped r-x"),
        ("stack", "which is not mapped"),
    ],
)
def test_programs_that_go_wrong(kind: str, text: str) -> None:
    status, told = crash(toolchain.build("fault.c"), kind)
    assert status < 0
    assert text in told
    assert "Mapping:" in told


def test_a_stripped_program_has_no_names(program: Path, tmp_path: Path) -> None:
    stripped = toolchain.build(NESTED, name="stripped", flags=["-s"])
    status, text = crash(stripped, "0x5000")
    assert status == -signal.SIGSEGV
    assert f"({stripped})" in text.splitlines()[1]
    assert "third" not in text


def test_only_the_first_process_tells(tmp_path: Path) -> None:
    source = r"""
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int status = 0;
    if (!fork()) *(volatile int *)16 = 1;
    wait(&status);
    printf("child %d\n", WTERMSIG(status));
    return 0;
}
"""
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", str(toolchain.build(source, name="forks"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "child 11\n", "")
