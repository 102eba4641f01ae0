"""The guest programs of tests/guests, run by `polyvm run` in every tier: output and end are Linux's, to the letter.

The expected outputs are files under golden/; an emulator made elsewhere agrees with them where it is present and able.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import require_c, warm
from tests.processes import unmeasured
from tests.toolchain import build, build_second, second

TIERS = ("golden", "interpreter", "baseline", "region", "auto")

# Program, arguments; "{dir}" is a fresh folder.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "hello": (),
    "atomics": (),
    "files": ("{dir}",),
    "floats": (),
    "fork": (),
    "mapping": ("{dir}/file",),
    "signals": (),
    "threads": ("500",),
}

# Where qemu-user 7.2 differs from Linux: it knows no MAP_FIXED_NOREPLACE, and execs no guest without binfmt_misc.
NOT_FOR_QEMU = ("mapping", "fork")

ENDS = {
    ("status", "0"): 0,
    ("status", "7"): 7,
    ("status", "256"): 0,
    ("status", "signal", "15"): -signal.SIGTERM,
    ("status", "signal", "9"): -signal.SIGKILL,
    ("status", "signal", "34"): -34,
    ("status", "signal", "17"): 111,
    ("status", "trap"): -signal.SIGILL,
    ("status", "abort"): -signal.SIGABRT,
    ("fault", "null"): -signal.SIGSEGV,
    ("fault", "wild"): -signal.SIGSEGV,
    ("fault", "negative"): -signal.SIGSEGV,
    ("fault", "zero"): -signal.SIGSEGV,
    ("fault", "stack"): -signal.SIGSEGV,
    ("fault", "illegal"): -signal.SIGILL,
    ("fault", "data"): -signal.SIGSEGV,
    ("fault", "text"): -signal.SIGSEGV,
    ("fault", "nothing"): 0,
}


def polyvm(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `polyvm run` with these arguments; errors="surrogateescape", so that any output compares."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options are the caller's
        [sys.executable, "-m", "polyvm", "run", "--quiet", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
        **options,
    )


def fill(arguments: Sequence[str], folder: Path) -> list[str]:
    """Arguments with the folder in its place."""
    return [argument.replace("{dir}", str(folder)) for argument in arguments]


def require(name: str, guest: str) -> None:
    """Skip where a guest lacks what a program needs."""
    if (name, guest) == ("floats", "aarch64"):
        require_c(guest, 0x4FC29084)  # fmul v4.2d, v4.2d, v2.d[0]


def told(output: str, guest: str) -> str:
    """What a program says, with the name of the guest that the golden files have."""
    return output.replace(guest, "riscv64")


@pytest.mark.parametrize("name", PROGRAMS)
def test_of_another_compiler(
    name: str, guest: str, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    """Debian's cross compiler and its C library make other code of the same source."""
    require(name, guest)
    if second(guest) is None:
        pytest.skip(f"{guest}-linux-gnu-gcc is not installed (Debian: gcc-{guest}-linux-gnu)")
    done = polyvm(build_second(f"{name}.c", guest), *fill(PROGRAMS[name], tmp_path))
    assert done.returncode == 0, done.stderr
    output = done.stdout.replace("No child processes", "No child process")  # as musl says it
    golden(f"{name}.txt", told(output, guest))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_output(name: str, tier: str, guest: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    require(name, guest)
    if tier == "golden" and name == "threads":
        pytest.skip("too many instructions for the golden evaluator")
    environment = unmeasured() if tier == "golden" and name not in ("hello", "args") else None
    program = build(f"{name}.c", guest)
    done = polyvm("--tier", tier, program, *fill(PROGRAMS[name], tmp_path), env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    golden(f"{name}.txt", told(done.stdout, guest))


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in NOT_FOR_QEMU])
def test_an_emulator_made_elsewhere_agrees(
    name: str, guest: str, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    golden(
        f"{name}.txt",
        told(elsewhere(guest, build(f"{name}.c", guest), *fill(PROGRAMS[name], tmp_path)), guest),
    )


def elsewhere(guest: str, *words: str | Path) -> str:
    """What a program prints in an emulator made elsewhere."""
    qemu = shutil.which(f"qemu-{guest}")
    if qemu is None:
        pytest.skip(f"qemu-{guest} is not here: apt install qemu-user")
    done = subprocess.run(
        [qemu, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("tier", ["interpreter", "auto"])
@pytest.mark.parametrize("arguments", ENDS, ids=" ".join)
def test_the_end_is_the_guests(arguments: tuple[str, ...], tier: str, guest: str) -> None:
    name, *rest = arguments
    done = polyvm("--tier", tier, build(f"{name}.c", guest), *rest)
    # A trap is an illegal instruction on riscv64, and a breakpoint on aarch64.
    trap = arguments == ("status", "trap") and guest == "aarch64"
    assert done.returncode == (-signal.SIGTRAP if trap else ENDS[arguments])
    if name == "fault":
        assert done.stdout == ("before\nafter\n" if rest == ["nothing"] else "before\n")


@pytest.mark.parametrize("tier", ["interpreter", "baseline", "region", "auto"])
def test_alarm_ends_an_endless_loop(tier: str, guest: str) -> None:
    assert polyvm("--tier", tier, build("loop.c", guest), "100").returncode == -signal.SIGALRM


def test_what_the_program_is_given(guest: str, tmp_path: Path) -> None:
    program = build("args.c", guest)
    environment = {**os.environ, "EMPTY": "", "GONE": "x"}
    done = polyvm(
        "--env", "ADDED=one two", "--unset-env", "GONE", "--argv0", "another name", "--cwd", tmp_path,
        program, "", "ä b",
        env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:4] == ["argc 3", "argv[0] another name", "argv[1] ", "argv[2] ä b"]
    assert "env ADDED=one two" in lines
    assert "env EMPTY=" in lines
    assert not [line for line in lines if line.startswith("env GONE")]
    assert f"cwd {tmp_path}" in lines
    facts = (
        "pagesz 4096",
        "clktck 100",
        "secure 0",
        f"execfn {program}",
        "ids 1",
        "phnum 1",
        "random 1",
        "isatty 0",
    )
    assert [fact for fact in facts if fact not in lines] == []


# ---------------------------------------------------------------- programs without a library
BARE = ("riscv64", "aarch64")


@pytest.fixture(params=BARE)
def machine(request: pytest.FixtureRequest) -> str:
    """Each guest that programs without a C library run on."""
    warm(request.param)
    return str(request.param)


@pytest.mark.parametrize("tier", TIERS)
def test_a_program_without_a_library(machine: str, tier: str) -> None:
    done = polyvm("--tier", tier, build("bare_hello.c", machine, libc=None), "one", "two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello, bare world!\none\ntwo\n", "")


@pytest.mark.parametrize("tier", TIERS)
def test_what_the_kernel_gives(machine: str, tier: str, golden: Callable[[str, str], None]) -> None:
    done = polyvm("--tier", tier, build("bare_kernel.c", machine, libc=None))
    assert (done.returncode, done.stderr) == (0, "")
    golden("bare_kernel.txt", done.stdout)


def test_another_kernel_gives_the_same(machine: str, golden: Callable[[str, str], None]) -> None:
    golden("bare_kernel.txt", elsewhere(machine, build("bare_kernel.c", machine, libc=None)))


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "auto"])
def test_a_program_becomes_one_of_another_guest(
    machine: str, tier: str, golden: Callable[[str, str], None]
) -> None:
    """There and back again, in one process: each has its own calls, signals and threads."""
    other = next(name for name in BARE if name != machine)
    here, there = (build("bare_kernel.c", name, libc=None) for name in (machine, other))
    alone = polyvm(here).stdout
    done = polyvm("--tier", tier, here, there, here)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    for name in (machine, other):
        text = text.replace(f"\n{name}\n", "\n", 1)
    assert text == 3 * alone
