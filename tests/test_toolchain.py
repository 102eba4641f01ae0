"""The guest compiler: what it builds is for the guest, is built once, and what it cannot build it says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import toolchain

MACHINES = {"riscv64": 243, "aarch64": 183, "x86_64": 62}


def machine(program: Path) -> int:
    """e_machine of an ELF file."""
    return int.from_bytes(program.read_bytes()[18:20], "little")


@pytest.mark.parametrize("guest", MACHINES)
def test_freestanding_programs_for_every_guest(guest: str) -> None:
    program = toolchain.build("bare_hello.c", guest, libc=None)
    assert machine(program) == MACHINES[guest]
    assert toolchain.build("bare_hello.c", guest, libc=None) == program
    assert program.stat().st_mode & 0o111


def test_a_program_from_text_with_musl() -> None:
    program = toolchain.build("int main(void) {\n    return 3;\n}\n", name="three")
    assert machine(program) == MACHINES["riscv64"]
    assert program.name.startswith("three-riscv64-")


def test_flags_make_another_program() -> None:
    source = "int main(void) {\n    return NUMBER;\n}\n"
    assert toolchain.build(source, flags=["-DNUMBER=1"]) != toolchain.build(source, flags=["-DNUMBER=2"])


def test_the_compilers_words_are_shown() -> None:
    with pytest.raises(toolchain.BuildError, match="undeclared identifier 'missing'"):
        toolchain.build("int main(void) {\n    return missing;\n}\n")


@pytest.mark.parametrize(
    "arguments",
    [{"guest": "vax"}, {"libc": "dietlibc"}, {"libc": "glibc", "static": True}],
    ids=lambda arguments: str(next(iter(arguments.values()))),
)
def test_what_there_is_no_compiler_for_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no cross compiler|libc is|dynamically only"):
        toolchain.build("hello.c", **arguments)  # type: ignore[arg-type]


def test_the_programs_are_right_by_an_emulator_made_elsewhere() -> None:
    qemu = shutil.which("qemu-riscv64")
    if qemu is None:
        pytest.skip("qemu-riscv64 is not here: apt install qemu-user")
    program = toolchain.build("bare_hello.c", libc=None)
    done = subprocess.run([qemu, program, "one"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Hello, bare world!\none\n")
