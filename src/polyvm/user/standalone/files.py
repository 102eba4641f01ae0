"""The files that a standalone program has inside: its libraries, and those that were looked for and were not there.

One that is opened becomes a memory file of the host's (memfd_create), so that everything else that can be done with a
descriptor is the host's. Mapped where it was when the program was compiled, its code runs compiled. They can only be
read; a name that is not inside is the host's.
"""

from __future__ import annotations

from polyvm.emit.function import Function, Word
from polyvm.user.hostabi import STAT_HOST, fields
from polyvm.user.paths import AT_EMPTY_PATH
from polyvm.user.standalone import places
from polyvm.user.standalone.places import FILE, INODES, INSTALLED, LIBRARY, SCRATCH
from polyvm.user.standalone.start import Runtime
from polyvm.user.syscalls.files import O_ACCMODE, O_CLOEXEC

ENOENT, EACCES, EINVAL = 2, 13, 22
PATH_MAX = 4096
PATH_AT = places.SCRATCH_SIZE - PATH_MAX
MFD_CLOEXEC = 1
W_OK = 2
_NAME = b"polyvm\0"

CALLS = ("openat", "faccessat", "faccessat2", "newfstatat", "statx", "readlinkat")
"""The calls that see these files."""


def add(m: Runtime) -> None:
    """What finds a file, opens it, and maps compiled code."""
    _find_file(m)
    _open_file(m)
    _install(m)
    _taken_along(m)


def inside(m: Runtime, f: Function, name: str, words: list[Word]) -> None:
    """Return what a call answers where it names a file that is inside, or one that is known not to be there."""
    with f.when(m.control(f, "file_count") != 0):
        row = f.call("find_file", words[1])
        with f.when(row != 0):
            with f.when(f.load(row + 16) == 0):
                f.ret(-ENOENT)
            _answer(m, f, name, words, row)


def _answer(m: Runtime, f: Function, name: str, words: list[Word], row: Word) -> None:
    if name == "openat":
        with f.when((words[2] & O_ACCMODE) != 0):
            f.ret(-EACCES)
        f.ret(f.call("open_file", row, f.select((words[2] & O_CLOEXEC) != 0, MFD_CLOEXEC, 0)))
    elif name in ("faccessat", "faccessat2"):
        f.ret(f.select((words[2] & W_OK) != 0, -EACCES, 0))
    elif name == "readlinkat":
        f.ret(-EINVAL)
    else:
        fd = f.call("open_file", row, MFD_CLOEXEC)
        with f.when(fd.failed):
            f.ret(fd)
        empty = f.constant(b"\0")
        if name == "statx":
            out = f.call("pointer", words[4])
            result = m.system(f, name, fd, empty, words[2] | AT_EMPTY_PATH, words[3], out)
        else:
            result = m.system(f, name, fd, empty, SCRATCH, AT_EMPTY_PATH)
        m.system(f, "close", fd)
        if name == "newfstatat":
            with f.when(result == 0):
                f.ret(f.call("stat", words[2]))
        f.ret(result)


def _find_file(m: Runtime) -> None:
    """The row of the file of a name, 0 where there is none: find_file(guest address of the name)."""
    f = m.function("find_file", 1)
    path = f.word(SCRATCH + PATH_AT)
    left = f.call_at(m.control(f, "copy"), path, f.call("pointer", f.arguments[0]), PATH_MAX)
    there = f.word(PATH_MAX) - left
    row = f.local(m.control(f, "files"))
    end = row.value + m.control(f, "file_count") * FILE.size
    with f.loop(lambda: row.value < end):
        name, size = f.load(row.value), f.load(row.value + 8)
        with f.when(size <= there):
            at = f.local(0)
            with f.loop(
                lambda: (at.value < size) & (f.load(name + at.value, 1) == f.load(path + at.value, 1))
            ):
                at.value = at.value + 1
            with f.when(at.value == size):
                f.ret(row.value)
        row.value = row.value + FILE.size
    f.ret(0)


def _open_file(m: Runtime) -> None:
    """A descriptor of a file that is inside: open_file(row, flags of memfd_create)."""
    f = m.function("open_file", 2)
    row, flags = f.arguments
    fd = m.system(f, "memfd_create", f.constant(_NAME), flags)
    with f.when(fd.failed):
        f.ret(fd)
    done, size = f.local(), f.load(row + 24)
    with f.loop(lambda: done.value < size):
        wrote = m.system(f, "write", fd, f.load(row + 16) + done.value, size - done.value)
        with f.when(wrote.failed):
            m.system(f, "close", fd)
            f.ret(wrote)
        done.value = done.value + wrote
    m.system(f, "lseek", fd, 0, 0)
    m.system(f, "fstat", fd, SCRATCH)
    number = (row - m.control(f, "files")) // FILE.size
    f.store(number * 8 + INODES, f.load(SCRATCH + fields(STAT_HOST)["ino"][0]))
    f.ret(fd)


def _install(m: Runtime) -> None:
    """Where a file's code is mapped as it was before, lead to what is compiled: install(fd, place in it, from, to).

    Compiled code may stand for code of libraries that were mapped before, so those must be where they were, too.
    """
    f = m.function("install", 4)
    fd, offset, start, end = f.arguments
    count = m.control(f, "library_count")
    with f.when(count == 0):
        f.ret(0)
    m.system(f, "fstat", fd, SCRATCH)
    inode = f.load(SCRATCH + fields(STAT_HOST)["ino"][0])
    number, complete = f.local(), f.local(1)
    with f.loop(lambda: (number.value < count) & (complete.value != 0)):
        row = number.value * LIBRARY.size + m.control(f, "libraries")
        low, high = f.load(row + 16), f.load(row + 24)
        same = (f.load(f.load(row) * 8 + INODES) == inode) & (start - offset == low - f.load(row + 8))
        with f.when(same & (start <= low) & (high <= end)):
            f.store(number.value + INSTALLED, 1, 1)
            f.call("fill", f.load(row + 32), f.load(row + 40))
        complete.value = f.load(number.value + INSTALLED, 1)
        number.value = number.value + 1
    f.ret(0)


def _taken_along(m: Runtime) -> None:
    """Whether compiled code of a file stands for something of a range: taken_along(from, to)."""
    f = m.function("taken_along", 2)
    start, end = f.arguments
    number, count = f.local(), m.control(f, "library_count")
    with f.loop(lambda: number.value < count):
        row = number.value * LIBRARY.size + m.control(f, "libraries")
        overlaps = (f.load(row + 16) < end) & (f.load(row + 24) > start)
        with f.when(overlaps & (f.load(number.value + INSTALLED, 1) != 0)):
            f.ret(1)
        number.value = number.value + 1
    f.ret(0)
