"""Files by name and descriptor as a program sees them: on the host, below a root, with a sysroot."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import build
from tests.user.linux import FLAGS, HERE, WHERE, output
from tests.user.running import PROGRAMS, polyvm

Golden = Callable[[str, str], None]
ARGUMENT = "some arguments"


@pytest.mark.parametrize("where", WHERE)
def test_what_a_program_sees(where: str, tmp_path: Path, golden: Golden) -> None:
    golden("names.txt", output(where, "names.c", tmp_path, ARGUMENT))


def test_a_sysroot_changes_nothing_that_it_has_not(tmp_path: Path, golden: Golden) -> None:
    sysroot, folder = tmp_path / "sysroot", tmp_path / "folder"
    sysroot.mkdir()
    folder.mkdir()
    golden("names.txt", output("auto", "names.c", folder, ARGUMENT, options=("--sysroot", str(sysroot))))


def rooted(root: Path, source: str, *words: str | Path, options: tuple[str, ...] = ()) -> str:
    """What a program prints that has a folder for its world, and a folder in that for its own."""
    root.mkdir()
    shutil.copy(build(PROGRAMS / source, flags=FLAGS), root / "program")
    (root / "folder").mkdir()
    done = polyvm("--root", root, *options, "--cwd", "/folder", "/program", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_root_looks_like_any_other(tmp_path: Path, golden: Golden) -> None:
    options = ("--bind", "/proc", "--bind", "/dev")
    golden("names.txt", rooted(tmp_path / "root", "names.c", ARGUMENT, options=options))


@pytest.mark.parametrize("options", [(), ("--bind", "/proc")], ids=["alone", "with /proc"])
def test_nothing_outside_of_a_root_is_reached(options: tuple[str, ...], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    for place in (outside, outside / "folder"):
        (place / "secret").write_text("secret")
    before = {path: path.lstat() for path in sorted(tmp_path.rglob("*"))}
    text = rooted(tmp_path / "root", "escape.c", outside, options=options)
    assert text == "0 of 1196\n"
    shutil.rmtree(tmp_path / "root")
    after = {path: path.lstat() for path in sorted(tmp_path.rglob("*"))}
    assert before.keys() == after.keys()
    for path, found in before.items():
        assert (found.st_mode, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink) == (
            after[path].st_mode, after[path].st_mtime_ns, after[path].st_ctime_ns, after[path].st_nlink,
        )  # fmt: skip


def test_the_same_ways_do_lead_there_without_a_root(tmp_path: Path) -> None:
    """Else the test before this one would show nothing."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "folder").mkdir(parents=True)
    folder.mkdir()
    (outside / "secret").write_text("secret")
    lines = output("auto", "escape.c", folder, str(outside)).splitlines()
    assert f"stat({outside}/secret)" in lines
    assert not (outside / "secret").exists()


READONLY = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
static void say(const char *what, int result) { printf("%s: %s\n", what, result < 0 ? strerror(errno) : "0"); }
int main(void) {
    int fd = open("/bound/file", O_RDONLY), folder = open("/bound", O_RDONLY | O_DIRECTORY);
    char name[64], data[8] = "";
    say("read", (int)read(fd, data, 4));
    puts(data);
    say("open for writing", open("/bound/file", O_WRONLY));
    say("open to append", open("/bound/file", O_RDONLY | O_APPEND));
    say("truncate by opening", open("/bound/file", O_RDONLY | O_TRUNC));
    say("make", open("/bound/new", O_RDONLY | O_CREAT, 0600));
    say("make what is there", open("/bound/file", O_RDONLY | O_CREAT, 0600));
    say("make at it", openat(folder, "new", O_WRONLY | O_CREAT, 0600));
    say("hidden", open("/bound", O_TMPFILE | O_RDWR, 0600));
    say("by path", open("/bound/file", O_PATH));
    say("chmod", chmod("/bound/file", 0777));
    say("unlink", unlink("/bound/file"));
    say("rename", rename("/bound/file", "/bound/other"));
    say("rename out", rename("/bound/file", "/other"));
    say("link out", link("/bound/file", "/other"));
    say("mkdir", mkdir("/bound/folder", 0700));
    say("symlink", symlink("x", "/bound/link"));
    say("times", utimensat(AT_FDCWD, "/bound/file", 0, 0));
    say("times by descriptor", futimens(fd, 0));
    say("chown at descriptor", fchownat(fd, "", -1, -1, AT_EMPTY_PATH));
    say("chown by descriptor", fchown(fd, -1, -1));
    say("chmod by descriptor", fchmod(fd, 0777));
    say("attribute", fsetxattr(fd, "user.x", "y", 1, 0));
    say("no attribute", fremovexattr(fd, "user.x"));
    int flags = 0;
    say("flags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    say("chmod through proc", chmod(name, 0777));
    say("truncate through proc", truncate(name, 0));
    say("open through proc", open(name, O_RDWR));
    say("read through proc", open(name, O_RDONLY));
    snprintf(name, sizeof name, "/proc/self/fd/%d/file", folder);
    say("unlink through proc", unlink(name));
    say("chdir", chdir("/bound"));
    say("unlink from there", unlink("file"));
    say("a file in place of a folder", open("/single/x", O_RDONLY));
    say("a file by itself", open("/single", O_RDONLY));
    say("write it", open("/single", O_RDWR));
    return 0;
}
"""


def test_a_read_only_bind_cannot_be_written(tmp_path: Path, golden: Golden) -> None:
    bound, root = tmp_path / "bound", tmp_path / "root"
    bound.mkdir()
    root.mkdir()
    (bound / "file").write_text("data")
    shutil.copy(build(READONLY, name="readonly"), root / "program")
    found = (bound / "file").stat()
    binds = ("--bind", f"{bound}:/bound:ro", "--bind", f"{bound}/file:/single:ro")
    done = polyvm("--root", root, *binds, "--cwd", "/", "/program")
    assert (done.returncode, done.stderr) == (0, "")
    golden("readonly.txt", done.stdout)
    assert [path.name for path in bound.iterdir()] == ["file"]
    after = (bound / "file").stat()
    assert (found.st_mode, found.st_mtime_ns, found.st_size) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_size,
    )


REFUSED = """\
mem: Permission denied
smaps: Permission denied
smaps_rollup: Permission denied
pagemap: Permission denied
numa_maps: Permission denied
syscall: Permission denied
stack: Permission denied
maps: Permission denied
map_files: Permission denied
"""


@pytest.mark.parametrize("process", ["self", "thread-self"])
def test_files_that_would_show_the_hosts_memory_are_refused(process: str, tmp_path: Path) -> None:
    assert output("auto", "names.c", tmp_path, "x", process) == REFUSED


PLACES = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    char name[64];
    int bad = 0, top = 3;
    for (int fd = 3; fd < 2000; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || dup2(0, fd) < 0) bad++, top = fd;
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (access(name, F_OK) && !fcntl(fd, F_GETFD)) bad++;
        close(fd);
    }
    close(0);
    int first = open("/", O_RDONLY), second = open("/proc/self/maps", O_RDONLY);
    printf("%d in the way, the last %d; %d %d\n", bad, top, first, second);
    return 0;
}
"""


@pytest.mark.parametrize("options", [(), ("--root", "/")], ids=["no root", "root"])
def test_our_descriptors_are_not_there_and_new_ones_are_the_lowest(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    """A program may count on getting the number that it has just closed."""
    program = build(PLACES, name="places")
    native = subprocess.run(
        [build(PLACES, "x86_64", name="places")],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    done = polyvm(*options, program, cwd=tmp_path)
    assert done.stdout.rpartition("; ")[2] == native.stdout.rpartition("; ")[2] == "0 3\n"


@pytest.mark.parametrize("where", WHERE)
def test_threads_that_open_at_once(where: str, tmp_path: Path, golden: Golden) -> None:
    golden("together.txt", output(where, "together.c", tmp_path))


# What compiles has descriptors of its own, which such a thread closes too.
@pytest.mark.parametrize("where", [HERE, "interpreter"])
def test_a_thread_that_closes_what_others_open(where: str, tmp_path: Path, golden: Golden) -> None:
    golden("sweeping.txt", output(where, "sweeping.c", tmp_path))
