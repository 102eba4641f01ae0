"""The crash report: what happened, where, and the guest's state, the same whichever tier the guest died in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain import build

# Not `python -m polyvm`: the guest's death is told as a status, so that this process ends in order.
RUN = "import sys; from polyvm.cli import run; sys.exit(run.main(sys.argv[1:], leave=False))"

SIGILL, SIGTRAP, SIGSEGV, SIGTERM = 4, 5, 11, 15

LEAF = """
#include <stdlib.h>
__attribute__((noinline)) static long reads(const long *where) {
    long sum = 0;
    for (int i = 0; i < 100000; i++) sum += where[i];
    return sum;
}
__attribute__((noinline)) static long outer(const long *where) {
    volatile long more = 1;
    return reads(where) + more;
}
int main(void) {
    static long table[4096];
    for (int i = 0; i < 60; i++) outer(calloc(100000, sizeof(long)));
    return (int)outer(table);
}
"""


def run(*words: str | Path) -> tuple[int, str]:
    """The exit status and the report."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, "--quiet", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def section(report: str, title: str) -> list[str]:
    """The lines below a title, until an empty one."""
    lines = report.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start) if "" in lines[start:] else len(lines)]


@pytest.mark.parametrize("tier", ["golden", "interpreter", "region"])
@pytest.mark.parametrize(
    ("kind", "signal", "what", "mnemonic"),
    [
        ("null", SIGSEGV, "SIGSEGV: a write to 0x0, which is not mapped", "sw"),
        ("wild", SIGSEGV, "SIGSEGV: a write to 0x400000000000, which is not mapped", "sw"),
        ("negative", SIGSEGV, "SIGSEGV: a write to 0xffffffffffffffff, which is not mapped", "sb"),
        ("text", SIGSEGV, r"SIGSEGV: a write to 0x[0-9a-f]+, which is mapped r-x", "sw"),
        ("illegal", SIGILL, "SIGILL at 0x[0-9a-f]+", r"\.2byte 0x0"),
    ],
)
def test_what_where_and_the_state(kind: str, signal: int, what: str, mnemonic: str, tier: str) -> None:
    program = build("fault.c")
    status, report = run("--tier", tier, program, kind)
    assert status == 128 + signal
    first, second, *_ = report.splitlines()
    assert re.fullmatch(rf"polyvm: the riscv64 program was killed by {what}", first)
    place = re.fullmatch(rf"  pc = (0x[0-9a-f]+) main\+0x[0-9a-f]+ \({re.escape(str(program))}\)", second)
    assert place is not None
    (marked,) = (line for line in section(report, "Code:") if line.startswith("->"))
    assert re.fullmatch(rf"-> {int(place[1], 16):#014x}  [0-9a-f]+ +(c\.)?{mnemonic}\b.*", marked)
    registers = dict(re.findall(r"(\w+) ([0-9a-f]{16})", "\n".join(section(report, "Registers"))))
    assert len(registers) == 31
    assert int(registers["sp"], 16) % 16 == 0
    assert section(report, "Backtrace")[0].endswith(second.partition(" = ")[2].partition(" ")[2])
    mapping = section(report, "Mapping:")
    assert any(line.endswith("[stack]") for line in mapping)
    assert any(f" r-xp {program}" in line for line in mapping)


def test_jumps_to_nowhere() -> None:
    status, report = run(build("fault.c"), "zero")
    assert status == 128 + SIGSEGV
    assert report.startswith(
        "polyvm: the riscv64 program was killed by SIGSEGV: a jump to 0x0, which is not mapped\n  pc = 0x0\n"
    )
    assert section(report, "Code:") == ["  0x0 is not executable"]
    assert re.match(r"  #1  0x[0-9a-f]+ main\+0x", section(report, "Backtrace:")[1])


def test_the_stack_of_calls_and_what_may_be_stale() -> None:
    status, report = run("--tier", "region", build(LEAF, name="leaf"))
    assert status == 128 + SIGSEGV
    names = re.findall(r"^  #\d+ +0x\w+ ([\w.]+)", report, re.MULTILINE)
    assert names[:3] == ["reads", "outer", "main"]
    assert "\nBacktrace:\n" in report
    assert ": a read of 0x" in report.splitlines()[0]


def test_a_sent_signal_has_no_address(tmp_path: Path) -> None:
    # With a result file the ends of all kinds pass through polyvm, so this one is told as well.
    result = tmp_path / "result.json"
    status, report = run("--result-file", result, build("status.c"), "signal", str(SIGTRAP))
    assert status == 128 + SIGTRAP
    assert report.startswith("polyvm: the riscv64 program was killed by SIGTRAP, which a process sent\n")


def test_an_ordinary_end_is_no_crash(tmp_path: Path) -> None:
    program = build("status.c")
    assert run("--result-file", tmp_path / "r", program, "signal", str(SIGTERM)) == (128 + SIGTERM, "")
    assert run(program, "7") == (7, "")


def test_names_that_the_guest_chose_are_escaped(tmp_path: Path) -> None:
    program = tmp_path / "a\x1b[31mb"
    shutil.copy(build("fault.c"), program)
    _, report = run(program, "null")
    assert "\x1b" not in report
    assert "a\\x1b[31mb" in report


def test_without_unwind_tables_the_backtrace_is_a_guess_and_says_so() -> None:
    flags = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    _, report = run(build(LEAF, name="leaf", flags=flags, libc="musl"))
    assert "\nBacktrace (return addresses on the stack" in report
    names = re.findall(r"^  #\d+ +0x\w+ ([\w.]+)", report, re.MULTILINE)
    assert names[0] == "reads"
    assert {"outer", "main"} <= set(names)


def test_a_program_without_symbols() -> None:
    program = build("fault.c", flags=["-s"])
    _, report = run(program, "null")
    assert report.splitlines()[1].endswith(f" ({program})")
    assert [line for line in section(report, "Code:") if line.startswith("->")]
