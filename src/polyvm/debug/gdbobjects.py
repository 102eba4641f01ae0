"""What a debugger may read besides memory: qXfer's objects, and files as the guest sees them (GDB manual, E.4 and E.7).

Files are opened for reading only, by the guest's own names: below --sysroot and --root a debugger finds the libraries
that the program found. It refuses to write, and to open more than a few at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from _struct import Struct, pack

from polyvm.debug.gdbwire import Damaged, binary, escape, number, numbers
from polyvm.user import execute, procfs
from polyvm.user.paths import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from polyvm.debug.gdbcontrol import Control
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

    T = TypeVar("T")

OBJECTS = ("features", "auxv", "exec-file", "threads", "siginfo")
# The numbers of the File-I/O extension (GDB manual, E.13.9.2): of errno those that differ from Linux's, and open's.
_ERRNO = {36: 91}
_SAME_ERRNO = frozenset((1, 2, 4, 9, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30))
_UNKNOWN_ERRNO = 9999
_READ_ONLY = 0
_STAT = Struct(">IIIIIIIQQQIII")
MOST_FILES = 32
MOST_BYTES = 1 << 20  # of a file at a time


def of_process(process: Process, name: str) -> bytes:
    """The object auxv, or exec-file."""
    if name == "auxv":
        return b"".join(pack("<QQ", *entry) for entry in process.auxv)
    return process.exe


def threads(named: Iterable[tuple[str, Thread]]) -> bytes:
    """The object threads, of threads with their ids."""
    rows = [f'<thread id="{id}" name="{_attribute(thread_name(thread))}"/>' for id, thread in named]
    return "\n".join(["<threads>", *rows, "</threads>"]).encode()


def thread_name(thread: Thread) -> str:
    """A thread's name, which is the host's thread's."""
    try:
        with open(f"/proc/self/task/{thread.tid}/comm", "rb") as file:
            return file.read().strip().decode(errors="replace")
    except OSError:
        return ""


def _attribute(text: str) -> str:
    """Text within quotes of XML, which has no characters for what cannot be shown."""
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(plain, entity)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def part(data: bytes, offset: int, length: int) -> bytes:
    """The answer to a read of a part of an object: `l` before the last one, else `m`."""
    piece = data[offset : offset + length]
    return (b"l" if offset + length >= len(data) else b"m") + escape(piece)


class Files:
    """Files that a debugger has open: the vFile packets. Each answer opens its file anew, in a thread of the guest's
    that is parked: the guest never has a descriptor more than it should.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._names: dict[int, bytes] = {}

    def answer(self, packet: bytes) -> bytes:
        """What to say to a packet, its "vFile:" taken away. Raises Damaged."""
        operation, _, rest = packet.partition(b":")
        known = {
            b"setfs": self._set_file_system, b"open": self._open, b"close": self._close, b"pread": self._read,
            b"fstat": self._status,
        }  # fmt: skip
        if operation not in known:
            return b""
        try:
            return known[operation](rest)
        except OSError as error:
            found = error.errno or 0
            return b"F-1,%x" % (found if found in _SAME_ERRNO else _ERRNO.get(found, _UNKNOWN_ERRNO))

    def _set_file_system(self, rest: bytes) -> bytes:
        number(rest)  # of a process: there is one
        return b"F0"

    def _open(self, rest: bytes) -> bytes:
        text, _, modes = rest.partition(b",")
        name = binary(text)
        flags, _ = numbers(modes, 2)
        if not name or b"\0" in name:
            raise Damaged("this is no file's name")
        if flags != _READ_ONLY:
            raise OSError(errno.EROFS, "only read")
        if len(self._names) >= MOST_FILES:
            raise OSError(errno.EMFILE, "too many")
        self._at(name, os.fstat)
        handle = next(handle for handle in range(1, MOST_FILES + 1) if handle not in self._names)
        self._names[handle] = name
        return b"F%x" % handle

    def _name(self, text: bytes) -> bytes:
        handle = number(text)
        if handle not in self._names:
            raise OSError(errno.EBADF, "not open")
        return self._names[handle]

    def _close(self, rest: bytes) -> bytes:
        self._name(rest)
        del self._names[number(rest)]
        return b"F0"

    def _read(self, rest: bytes) -> bytes:
        text, _, others = rest.partition(b",")
        count, offset = numbers(others, 2)
        offset = min(offset, (1 << 63) - 1)
        data = self._at(self._name(text), lambda fd: os.pread(fd, min(count, MOST_BYTES), offset))
        return b"F%x;%b" % (len(data), escape(data))

    def _status(self, rest: bytes) -> bytes:
        found = self._at(self._name(rest), os.fstat)
        numbers = (
            found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_rdev,
        )  # fmt: skip
        times = (found.st_atime, found.st_mtime, found.st_ctime)
        data = _STAT.pack(
            *(value & 0xFFFFFFFF for value in numbers), found.st_size, found.st_blksize, found.st_blocks,
            *(int(when) & 0xFFFFFFFF for when in times),
        )  # fmt: skip
        return b"F%x;%b" % (len(data), escape(data))

    def _at(self, name: bytes, look: Callable[[int], T]) -> T:
        """What is found at the descriptor of a guest's file. Raises OSError."""
        process = self._control.process

        def job() -> T:
            special = procfs.find(process, AT_FDCWD, name)
            content = procfs.contents(process, special[0]) if special and len(special) == 1 else None
            if content is not None:
                fd = os.memfd_create("proc")
                os.write(fd, content)
            elif special in (None, (b"exe",)):
                fd = execute.open_file(process, AT_FDCWD, process.exe if special else name)
            else:
                raise OSError(errno.EACCES, "not for debuggers")
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(errno.EACCES, "no regular file")
                return look(fd)
            finally:
                os.close(fd)

        return self._control.ask(job)
