"""`polyvm aot`: the first run uses what is compiled ahead; what cannot be loaded is refused as `polyvm run` does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import toolchain
from tests.compiled import regions
from tests.real import fetch

# Loops, recursion, a table of functions, and a switch, each hot.
PROGRAM = r"""
#include "bare.h"
#include "hot.h"
int main(int argc, char **argv) {
    uint64_t sum = argc;
    for (int i = 0; i < 200000; i++) sum = run(code, sum + i);
    put_hex(sum);
    put_int(fib(20));
    put("\n");
    return 0;
}
"""


def program_for(guest: str = "riscv64") -> Path:
    return toolchain.build(PROGRAM, guest, libc=None, name="ahead")


@pytest.fixture
def bare() -> Path:
    """A small one."""
    return toolchain.build("bare_hello.c", libc=None)


def aot(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polyvm", "aot", *map(str, words)]
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command, capture_output=True, text=True, timeout=200, check=False, **options
    )


def run(*words: str | Path) -> tuple[str, dict[str, Any]]:
    """What a program printed, and the document of its run."""
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", "--result-file", "fd:2", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    return done.stdout, json.loads(done.stderr)


@pytest.mark.timeout(300)
def test_the_first_run_compiles_nothing(guest: str, compiles: Path) -> None:
    program = program_for(guest)
    done = aot("--json", program)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "polyvm.aot/1"
    assert (document["guest"], document["program"]) == (guest, str(program))
    assert (document["deaths"], document["interrupted"]) == (0, False)
    assert document["regions"] >= 6
    assert document["code_bytes"] > 500
    made = regions(compiles)
    printed, first = run(program)
    assert (
        printed == subprocess.run([program_for("x86_64")], capture_output=True, text=True, check=True).stdout
    )
    assert first["cache"]["disk"]["hits"] > 0
    assert first["cache"]["disk_rejected"] == 0
    assert (first["cache"]["disk_written"], first["workers_cpu_s"]) == (0, 0)
    assert regions(compiles) == made
    # And so does a second look: it is all there.
    again = json.loads(aot("--json", program).stdout)
    assert again["regions"] < 4
    assert again["kept"] > document["regions"] * 0.9  # what another region has by now is not looked for


@pytest.mark.timeout(300)
def test_by_a_profile(guest: str, compiles: Path, tmp_path: Path) -> None:
    """What ran is compiled, as it ran, and the first run finds it, also where nothing in the code tells of jumps."""
    program = program_for(guest)
    made = tmp_path / "profile"
    printed, _ = run("--tier", "baseline", "--profile-out", made, program)
    assert regions(compiles) == set()
    document = json.loads(aot("--json", "--profile-in", made, program).stdout)
    whole = json.loads(aot("--json", "--handlers", "faults", program).stdout)
    assert 3 < document["regions"] <= whole["regions"]
    assert document["code_bytes"] < whole["code_bytes"]
    kept = regions(compiles)
    again, first = run(program)
    assert again == printed
    assert first["cache"]["disk"]["hits"] > 0
    assert (first["cache"]["disk_written"], first["workers_cpu_s"]) == (0, 0)
    assert regions(compiles) == kept


def test_profiles_that_are_refused(compiles: Path, bare: Path, tmp_path: Path) -> None:
    """Each with its reason; what was asked for is done without them."""
    program, other = bare, program_for()
    missing, foreign, guest, damaged = (tmp_path / name for name in ("no", "foreign", "guest", "damaged"))
    run("--profile-out", foreign, other)
    run("--profile-out", guest, program_for("aarch64"))
    damaged.write_bytes(foreign.read_bytes()[:-20])
    names = [word for name in (damaged, foreign, guest) for word in ("--profile-in", name)]
    done = aot(*names, program)
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "warning" in line]
    assert [line.partition("The profile ")[0] for line in told] == [
        "polyvm: warning: PVM-PROFILE-REFUSED: "
    ] * 3
    assert "is damaged" in told[0]
    assert "another program" in told[1]
    assert "for aarch64" in told[2]
    command = [sys.executable, "-m", "polyvm", "run", "--profile-in", damaged, "--profile-in", guest, program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr.count("PVM-PROFILE-REFUSED")) == (0, 2)
    assert done.stdout == "Hello, bare world!\n"
    done = aot("--profile-in", missing, program)
    assert done.returncode == 125
    assert "PVM-USAGE" in done.stderr


def test_a_run_by_a_profile(compiles: Path, tmp_path: Path) -> None:
    program, made = program_for(), tmp_path / "profile"
    first, _ = run("--profile-out", made, program)
    assert run("--profile-in", made, "--profile-in", made, program)[0] == first
    # Where it cannot be written, nothing is run.
    command = [sys.executable, "-m", "polyvm", "run", "--profile-out", tmp_path / "no" / "where", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert "Cannot write the profile" in done.stderr


def test_what_it_says(compiles: Path, bare: Path) -> None:
    done = aot("--jobs", "1", bare)
    assert done.returncode == 0
    name, _, text = done.stdout.partition(": ")
    assert name == bare.name
    assert " regions of " in text
    assert "of riscv64 code; " in text
    assert " with 1 process, " in text
    assert "were there already" in aot("--quiet", bare).stdout


def test_a_kind_of_its_own_for_programs_that_handle_faults(compiles: Path, bare: Path) -> None:
    for what, kinds in (("faults", "p"), ("some", "pw"), ("none", "pw-")):
        assert aot("--handlers", what, bare).returncode == 0
        assert {Path(name).name.partition(".")[2][0] for name in regions(compiles)} == set(kinds)


def test_the_kind_that_the_program_will_use(compiles: Path, tmp_path: Path) -> None:
    """By its symbols, or by what a run has shown."""
    handles = tmp_path / "handles.c"
    handles.write_text("#include <signal.h>\nint main(void) { signal(SIGINT, SIG_IGN); return 0; }\n")
    program = toolchain.build(handles)
    assert aot("--jobs", "2", program).returncode == 0
    assert {Path(name).name.partition(".")[2][0] for name in regions(compiles)} == {"w"}


def test_what_cannot_be_loaded(compiles: Path, tmp_path: Path) -> None:
    for words, code in (
        ([tmp_path / "missing"], "PVM-FILE-MISSING"),
        ([tmp_path], "PVM-FILE-DIRECTORY"),
        ([sys.executable], "PVM-ELF-MACHINE"),
        ([toolchain.build("hello.c", static=False, libc="glibc")], "PVM-ELF-INTERP"),
        ([], "PVM-USAGE"),
        (["--jobs", "0", "x"], "PVM-USAGE"),
        (["--standalone", "x"], "PVM-USAGE"),
        (["--bind", "/tmp", "x"], "PVM-USAGE"),
        (["--root", "/tmp", "--sysroot", "/tmp", "x"], "PVM-USAGE"),
        (["--handlers", "many", "x"], "PVM-USAGE"),
    ):
        done = aot(*words)
        assert done.returncode != 0, words
        assert code in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
    failed = json.loads(aot("--json", tmp_path / "missing").stdout)
    assert failed["code"] == "PVM-FILE-MISSING"
    assert regions(compiles) == set()


def test_a_program_that_ends_before_it_begins(compiles: Path, machine_sysroot: Path) -> None:
    """Its dynamic linker says why."""
    program = toolchain.build("hello.c", static=False, libc="glibc")
    done = aot("--sysroot", machine_sysroot, program)
    assert done.returncode == 125
    assert "PVM-UNSUPPORTED" in done.stderr
    assert "ended before its own code began" in done.stderr
    assert "libc.so.6" in done.stderr


@pytest.fixture
def machine_sysroot(tmp_path: Path) -> Path:
    """One that has a dynamic linker and nothing else."""
    try:
        linker = fetch.root("riscv64") / "lib/ld-linux-riscv64-lp64d.so.1"
    except LookupError as error:
        pytest.skip(str(error))
    folder = tmp_path / "sysroot" / "lib"
    folder.mkdir(parents=True)
    shutil.copy(linker, folder)
    return folder.parent


def test_ctrl_c_keeps_what_is_done(compiles: Path) -> None:
    program = toolchain.build("hello.c", "aarch64")
    command = [sys.executable, "-m", "polyvm", "aot", "--jobs", "1", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 100
        while not regions(compiles) and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert " regions of " in out
    assert "run it again to go on" in err
    assert "Traceback" not in err
