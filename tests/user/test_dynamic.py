"""Dynamically linked programs, with a linker made here: names in --sysroot and --root. Real ones are in tests/real."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.running import PROGRAMS, polyvm

NAME = "/lib/ld-polyvm-test.so.1"


@pytest.fixture(scope="module", params=["riscv64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def program(machine: str) -> Path:
    return build(PROGRAMS / "dynamic.c", machine, libc=None, static=False, flags=("-fPIE", "-pie"))


@pytest.fixture
def sysroot(machine: str, tmp_path: Path) -> Path:
    folder = tmp_path / "sysroot"
    (folder / "lib").mkdir(parents=True)
    linker = build(PROGRAMS / "linker.c", machine, libc=None, flags=("-fPIE", "-pie"))
    shutil.copy(linker, folder / NAME[1:])
    return folder


SAID = "linked end\nHello, end\n"


def test_its_linker_is_missing(program: Path) -> None:
    done = polyvm(program)
    assert (done.returncode, done.stdout) == (126, "")
    assert "PVM-ELF-INTERP" in done.stderr
    assert NAME in done.stderr
    assert "--sysroot" in done.stderr


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "auto"])
def test_its_linker_is_in_the_sysroot(tier: str, program: Path, sysroot: Path) -> None:
    done = polyvm("--tier", tier, "--sysroot", sysroot, program, "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, SAID, "")


def test_the_sysroot_comes_from_the_environment_too(
    program: Path, sysroot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYVM_SYSROOT", str(sysroot))
    assert polyvm(program, "end").stdout == SAID


def test_unpacked_packages_lack_the_link_from_lib_to_usr(program: Path, sysroot: Path) -> None:
    (sysroot / "usr").mkdir()
    (sysroot / "lib").rename(sysroot / "usr/lib")
    assert polyvm("--sysroot", sysroot, program, "end").stdout == SAID


def test_program_and_linker_below_a_root(program: Path, sysroot: Path) -> None:
    shutil.copy(program, sysroot / "program")
    done = polyvm("--root", sysroot, "--cwd", "/", "/program", "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, SAID, "")
    # Nothing of the host is there: neither the program by its host's name, nor another.
    assert polyvm("--root", sysroot, "--cwd", "/", program).returncode == 127
    assert polyvm("--root", sysroot, "--cwd", "/", "/../../bin/sh").returncode == 127


MAPS = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(void) {
    char line[4096];
    mmap(0, 4096, PROT_READ, MAP_PRIVATE, open("/lib/mapped", O_RDONLY), 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strrchr(line, '/')) fputs(strchr(line, '/'), stdout);
    return 0;
}
"""


def test_mapped_files_have_the_guest_s_names_below_a_root(sysroot: Path, machine: str) -> None:
    shutil.copy(build(MAPS, machine, name="maps"), sysroot / "program")
    (sysroot / "lib/mapped").write_text("mapped")
    done = polyvm("--root", sysroot, "--cwd", "/", "/program")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == {"/program", "/lib/mapped"}
