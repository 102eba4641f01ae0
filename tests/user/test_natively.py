"""System calls that native code makes itself: the same answers as from the kernel, counted, and none that are ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.engine.executor import Engine
from polyvm.engine.guest import Guest
from polyvm.engine.layout import CALL_ROW, CALLS_HEAD, CR
from polyvm.isa.riscv64 import abi
from polyvm.user.natively import Natively
from polyvm.user.syscalls.table import Declaration, declaration
from tests.processes import unmeasured
from tests.toolchain import build

PROGRAM = Path(__file__).parent / "programs/natively.c"
EXPECTED = """\
file 13076
wrong -9
wrong -9
wrong -14
wrong -14
wrong -14
wrong -14
descriptors of others 0
interrupted -4, rang 1
interrupted 1, rang 2
read 5
"""


@pytest.fixture
def program(guest: str) -> Path:
    return build(PROGRAM, guest)


@pytest.mark.parametrize("tier", ["auto", "interpreter", "baseline", "region", "golden"])
def test_answers(program: Path, tier: str, tmp_path: Path) -> None:
    file = tmp_path / "result"
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, "--result-file", file, program],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120,
        env=unmeasured() if tier == "golden" else None,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == EXPECTED
    calls = json.loads(file.read_text())["syscalls"]
    assert calls["pwrite64"]["count"] == 50
    assert calls["pread64"]["count"] == 50
    assert calls["write"]["errors"] == 5 * 50
    # The first of each is Python's, which then says how it is made.
    natively = {name: call["native"] for name, call in calls.items() if call["native"]}
    if tier == "golden":
        assert natively == {}
    else:
        assert natively["pwrite64"] == 49
        assert natively["lseek"] > 49
        assert set(natively) <= {
            "pwrite64",
            "pread64",
            "lseek",
            "read",
            "write",
            "getpid",
            "gettid",
            "setitimer",
        }


def test_answers_are_another_emulator_s(guest: str, program: Path, tmp_path: Path) -> None:
    qemu = shutil.which(f"qemu-{guest}")
    if qemu is None:
        pytest.skip(f"qemu-{guest} is not installed")
    done = subprocess.run([qemu, program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout == EXPECTED


def test_a_trace_has_every_call(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--quiet", "--strace", program],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == EXPECTED
    assert done.stderr.count("pwrite64(") == 50


def test_what_is_in_the_table() -> None:
    table = Natively(abi, Engine("riscv64").guest.places)

    def row(number: int) -> bytes:
        at = CALLS_HEAD + CALL_ROW * number
        return bytes(table.bytes[at : at + CALL_ROW])

    read = declaration("read")
    assert read is not None
    table.add(63, 0, read)
    assert row(63)[CR["pointers"]] == 2
    assert row(63)[CR["descriptors"]] == 1
    assert row(63)[CR["known"]] == 1
    for number, line in ((64, "write pass/b fd:fd"), (600, "write pass fd:fd")):
        table.add(number, 1, Declaration(line))
    assert table.names == {63: "read"}
    assert list(table.counts()) == []


@pytest.mark.parametrize(("machine", "first_name"), [("riscv64", "zero"), ("aarch64", "x0")])
def test_the_registers_are_those_of_the_abi(machine: str, first_name: str) -> None:
    guest = Guest(machine)
    abi = guest.abi
    number, arguments, result = abi.SYSCALL
    names = guest.places.names

    class Cpu:
        x = [0] * 33

    cpu, first = Cpu(), names[first_name][0]
    for value, name in enumerate((number, *arguments), 1):
        cpu.x[(names[name][0] - first) // 8] = value
    assert abi.syscall(cpu) == (1, 2, 3, 4, 5, 6, 7)
    abi.set_result(cpu, 99)
    assert cpu.x[(names[result][0] - first) // 8] == 99
