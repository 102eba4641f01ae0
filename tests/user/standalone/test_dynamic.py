"""Dynamic programs: their libraries are inside, and compiled code of them is used where they are mapped as before."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests import standalone, toolchain
from tests.cli.test_aot import aot
from tests.real import fetch

PROGRAM = r"""
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    double sum = 0;
    for (int i = 1; i < 1000; i++) sum += sin(i) / i;
    printf("%.12f\n", sum);
    if (argc < 2) return 0;
    struct stat status;
    char head[4] = "";
    int fd = open(argv[1], O_RDONLY);
    printf("open %d\n", fd >= 0);
    printf("read %d\n", read(fd, head, 4) == 4 && !memcmp(head, "\177ELF", 4));
    printf("size %d\n", fstat(fd, &status) == 0 && status.st_size == lseek(fd, 0, SEEK_END));
    printf("stat %d %d\n", stat(argv[1], &status) == 0 && S_ISREG(status.st_mode), status.st_size > 1000);
    printf("access %d", access(argv[1], R_OK));
    printf(" %d %s\n", access(argv[1], W_OK), strerror(errno));
    printf("write %d %s\n", open(argv[1], O_RDWR), strerror(errno));
    printf("link %d %s\n", (int)readlink(argv[1], head, 4), strerror(errno));
    printf("nothing %d %s\n", open("/lib/libnothing.so", O_RDONLY), strerror(errno));
    return 0;
}
"""


def root_of(guest: str) -> Path:
    """A folder with a guest's libraries."""
    try:
        return fetch.root(guest)
    except LookupError as error:
        pytest.skip(str(error))


def program_for(guest: str) -> Path:
    return toolchain.build(PROGRAM, guest, static=False, libc="glibc", flags=["-lm"], name="dynamic")


def test_libraries_are_inside(guest: str, tmp_path: Path) -> None:
    """What the dynamic linker opened is there at its names, to be read and for nothing else."""
    root = root_of(guest)
    made = standalone.make(program_for(guest), tmp_path / "made", "--sysroot", str(root))
    document = standalone.run(made)
    assert (document.returncode, document.stderr) == (0, b"")
    library = f"/lib/{guest}-linux-gnu/libc.so.6"
    done = standalone.run(made, library, env={})
    assert done.stdout.decode().splitlines() == [
        document.stdout.decode().strip(), "open 1", "read 1", "size 1", "stat 1 1", "access 0 -1 Permission denied",
        "write -1 Permission denied", "link -1 Invalid argument", "nothing -1 No such file or directory",
    ]  # fmt: skip


@pytest.mark.timeout(300)
def test_compiled_code_of_libraries(compiles: Path, tmp_path: Path) -> None:
    """By a profile: in the program's own place and in one where nothing is."""
    program = program_for("riscv64")
    root, profile, output = root_of("riscv64"), tmp_path / "profile", tmp_path / "made"
    words = [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", "baseline", "--sysroot", root]
    expected = standalone.run(*words, "--profile-out", profile, program)
    assert expected.returncode == 0
    options = ("--standalone", "-o", output, "--profile-in", profile, "--sysroot", root)
    made = aot("--json", *options, program)
    assert (made.returncode, made.stderr) == (0, "")
    assert json.loads(made.stdout)["standalone"]["regions"] > 10
    assert standalone.run(output).stdout == expected.stdout
    # Where a library is loaded besides, the others are elsewhere: their code is not what was compiled.
    other = standalone.run(output, env={"LD_PRELOAD": f"{root}/lib/riscv64-linux-gnu/libutil.so.1"})
    assert other.stdout == expected.stdout
    if os.geteuid() == 0:
        place = tmp_path / "root"
        place.mkdir(mode=0o755)
        output.rename(place / "made")
        done = standalone.run("/made", env={}, preexec_fn=lambda: os.chroot(place))
        assert done.stdout == expected.stdout
