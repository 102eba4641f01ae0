"""Sockets as a program sees them, whatever carries them out, and what of them is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.linux import FLAGS, WHERE, output
from tests.user.running import PROGRAMS, polyvm

REFUSED = """\
SO_ATTACH_FILTER: Protocol not available
TCP_ZEROCOPY_RECEIVE: Protocol not available
netfilter: Protocol not available
packet: Protocol not available
no such level: Protocol not available
"""


@pytest.mark.parametrize("where", WHERE)
def test_what_a_program_sees(where: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    golden("sockets.txt", output(where, "sockets.c", tmp_path))


def test_options_whose_structures_hold_addresses_are_refused(tmp_path: Path) -> None:
    assert output("auto", "sockets.c", tmp_path, "refused") == REFUSED


def test_below_a_root_names_are_the_guests(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    """Whatever the host calls a socket's file; abstract names, which belong to everybody on the host, are refused."""
    shutil.copy(build(PROGRAMS / "sockets.c", flags=FLAGS), tmp_path / "program")
    (tmp_path / "folder").mkdir()
    done = polyvm("--root", tmp_path, "--cwd", "/folder", "/program")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = (
        "abstract: Operation not permitted\nconnect: Connection refused\n",
        "abstract: 0\nconnect: 0\n",
    )
    assert done.stdout.count(before) == 1
    golden("sockets.txt", done.stdout.replace(before, after))


NAMES = r"""
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
static void at(const char *name, int connects) {
    struct sockaddr_un a = {AF_UNIX, ""}, b = {0};
    socklen_t size = sizeof b;
    strcpy(a.sun_path, name);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    int r = connects ? connect(s, (void *)&a, sizeof a) : bind(s, (void *)&a, sizeof a);
    getsockname(s, (void *)&b, &size);
    printf("%s: %s, %s\n", name, r ? strerror(errno) : "0", b.sun_path);
    close(s);
}
int main(void) {
    at("/run/one", 0);
    at("/run/one", 1);
    at("/../../run/two", 0);
    at("/outside/three", 0);
    at("/outside/here.sock", 1);
    at("/readonly/four", 0);
    at("/bound/five", 0);
    at("bound", 0);
    at("/no/where", 0);
    char name[108];
    memset(name, 'x', sizeof name);
    name[107] = 0;
    at(name, 0);
    return 0;
}
"""


def test_sockets_below_a_root_stay_there(tmp_path: Path) -> None:
    root, outside, bound = (tmp_path / name for name in ("root", "outside", "bound"))
    for folder in (root, root / "run", outside, bound):
        folder.mkdir()
    (root / "outside").symlink_to(outside)
    shutil.copy(build(NAMES, name="names"), root / "names")
    binds = ("--bind", f"{bound}:/bound", "--bind", f"{bound}:/readonly:ro")
    done = polyvm("--root", root, *binds, "--cwd", "/", "/names")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:-1] == [
        "/run/one: 0, /run/one",
        "/run/one: Connection refused, ",
        "/../../run/two: 0, /../../run/two",
        "/outside/three: No such file or directory, ",
        "/outside/here.sock: No such file or directory, ",
        "/readonly/four: Read-only file system, ",
        "/bound/five: 0, /bound/five",
        "bound: Address in use, ",
        "/no/where: No such file or directory, ",
    ]
    assert lines[-1].split(": ")[1].startswith("0, xxx")
    assert sorted(path.name for path in (root / "run").iterdir()) == ["one", "two"]
    assert [path.name for path in bound.iterdir()] == ["five"]
    assert not list(outside.iterdir())
