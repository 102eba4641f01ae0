"""A guest's descriptors are its own: what helps it takes none of their numbers, and keeps none of them open."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path

from tests.compiled import run_until_compiled
from tests.toolchain import build

# Hot until there is a file of the given name, and looks all the time: prints what is open whenever that has changed.
LOOKS = r"""
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char last[4096] = "";
    volatile unsigned long sum = 0;
    for (int i = 0; i < 100 || access(argv[1], F_OK); i++) {
        char all[4096] = "";
        for (int k = 0; k < 60000; k++) sum += k * i;
        DIR *d = opendir("/proc/self/fd");
        for (struct dirent *e; (e = readdir(d));) strcat(strcat(all, e->d_name), " ");
        closedir(d);
        if (strcmp(all, last)) printf("%s\n", all);
        strcpy(last, all);
    }
    return 0;
}
"""


def test_compiling_shows_nothing_among_a_guests_descriptors(compiles: Path, tmp_path: Path) -> None:
    done = run_until_compiled(
        compiles, tmp_path / "stop", "--result-file", tmp_path / "result", build(LOOKS, name="looks")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ". .. 0 1 2 3 \n"
    assert json.loads((tmp_path / "result").read_text())["tiers"]["region"]["units"] > 0


def test_the_compilers_keep_nothing_of_the_guest_open(compiles: Path, tmp_path: Path) -> None:
    """They outlive it by a minute: who waits for the end of its pipe must not."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    words = "--result-file", tmp_path / "result", build(LOOKS, name="looks")
    done = run_until_compiled(compiles, tmp_path / "stop", *words, pass_fds=(writing,))
    os.close(writing)
    assert done.returncode == 0
    assert json.loads((tmp_path / "result").read_text())["tiers"]["region"]["units"] > 0
    assert any(path.name.endswith("compiler.sock") for path in compiles.iterdir())
    ended = select.select([reading], [], [], 10)[0]
    assert ended
    assert os.read(reading, 1) == b""
    os.close(reading)
