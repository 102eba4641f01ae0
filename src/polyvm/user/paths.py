"""Which host file a guest's file name means: the host's own, the sysroot's first, or nothing but a root with its binds.

A name is copied out of guest memory once, so that no other thread changes it between check and use. Answers are a
directory descriptor and a name for the host's *at calls. It refuses to open files for the guest.
"""

from __future__ import annotations

import os

from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process
    from polyvm.user.root import Root
    from polyvm.user.thread import Thread

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
PATH_MAX = 4096
ENOENT, EBADF, EFAULT, ENAMETOOLONG, EROFS = 2, 9, 14, 36, 30
O_PATH, O_NOFOLLOW, O_DIRECTORY, O_CLOEXEC = os.O_PATH, os.O_NOFOLLOW, os.O_DIRECTORY, os.O_CLOEXEC
MERGED = (b"bin", b"sbin", b"lib", b"lib64")
HOST_ONLY = (b"proc", b"sys", b"dev")  # never taken from a sysroot
# That procfs makes.
PROC_FILES = frozenset(
    (
        b"exe",
        b"maps",
        b"cmdline",
        b"auxv",
        b"environ",
        b"mem",
        b"cpuinfo",
        b"stat",
        b"statm",
        b"status",
        b"cwd",
        b"root",
    )
)


class Elsewhere(Exception):  # an answer, as Refusal is
    """Raised by a walk that comes through a link to what the guest's own /proc has; `args[0]` is the name there."""


def may_be_proc(path: bytes) -> bool:
    """Whether procfs is worth asking about a name, at a glance: for most names it is not."""
    if path[:1] == b"/":
        return b"proc" in path or b"dev/fd" in path
    last = path.rpartition(b"/")[2]
    return last in PROC_FILES or last.isdigit()


def signed(value: int) -> int:
    """A register's low 32 bits as the C int they are."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value & 0x80000000 else value


class Paths:
    """The names of one process. `root` is None but with --root; `sysroot` is a directory's path or None."""

    __slots__ = ("process", "root", "sysroot", "sysroot_fd")

    def __init__(self, process: Process, sysroot: bytes | None, root: Root | None) -> None:
        self.process = process
        self.root = root
        self.sysroot = os.path.realpath(sysroot) if sysroot is not None else None
        self.sysroot_fd = -1
        if self.sysroot is not None:
            self.sysroot_fd = process.hide(os.open(self.sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC))

    def read(self, thread: Thread, address: int) -> bytes:
        """A file name from guest memory."""
        path = thread.space.read_cstr(address, PATH_MAX)
        if len(path) >= PATH_MAX:
            raise Refusal(ENAMETOOLONG)
        return path

    def directory(self, value: int | None) -> int:
        """A directory argument; ours do not exist."""
        fd = AT_FDCWD if value is None else signed(value)
        if fd in self.process.hidden:
            raise Refusal(EBADF)
        return fd

    def resolve(
        self,
        thread: Thread,
        directory: int | None,
        address: int,
        follow: bool,
        flags: int,
        taken: list[int],
        *,
        writes: bool = False,
    ) -> tuple[int, bytes]:
        """(host directory, host name) of the name at a guest address. `taken` gets descriptors to close afterwards.

        directory: the call's directory argument, None where it has none; then the name alone is enough.
        """
        path = self.read(thread, address)
        at = self.directory(directory)
        if not path:
            if writes and self.root is not None and flags & AT_EMPTY_PATH and self.root.is_readonly(at):
                raise Refusal(EROFS)
            return at, path
        at, path = self.lookup(at, path, follow, taken, writes=writes)
        if directory is None and at != AT_FDCWD:
            return AT_FDCWD, b"/proc/self/fd/%d/%s" % (at, path)
        return at, path

    def lookup(
        self, at: int, path: bytes, follow: bool, taken: list[int], *, writes: bool = False
    ) -> tuple[int, bytes]:
        """(host directory, host name) of a guest name that is not empty."""
        if may_be_proc(path):
            from polyvm.user import procfs

            special = procfs.find(self.process, at, path)
            if special is not None:
                if special[0] == b"fd" and len(special) > 1 and special[1].isdigit():
                    fd = int(special[1])
                    self.linked(fd)
                    if self.root is not None:
                        below = procfs.through(special)
                        if below is not None:
                            return self.root.lookup(*below, follow, taken, writes=writes)
                        return self._of_descriptor(self.root, fd, follow, writes)
                elif special == (b"exe",) and follow:
                    return AT_FDCWD, self.process.exe_host
        if self.root is not None:
            try:
                return self.root.lookup(at, path, follow, taken, writes=writes)
            except Elsewhere as answer:
                return self.lookup(AT_FDCWD, answer.args[0], follow, taken, writes=writes)
        if self.sysroot is not None and path[0] == 47:
            found = self._in_sysroot(path, follow)
            if found is not None:
                return AT_FDCWD, found
        return at, path

    def linked(self, fd: int) -> None:
        """Raise ENOENT unless /proc/self/fd has this descriptor, which it has not of ours."""
        try:
            os.fstat(fd)
        except (OSError, OverflowError):
            raise Refusal(ENOENT) from None
        if fd in self.process.hidden:
            raise Refusal(ENOENT)

    def _of_descriptor(self, root: Root, fd: int, follow: bool, writes: bool) -> tuple[int, bytes]:
        """What /proc/self/fd/N means below --root: no folder that lies outside, and nothing to be written below a bind
        that is read-only.
        """
        if follow and writes and root.is_readonly(fd):
            raise Refusal(EROFS)
        if follow and os.fstat(fd).st_mode & 0o170000 == 0o040000:
            root.directory(fd)
        return AT_FDCWD, b"/proc/self/fd/%d" % fd

    def _in_sysroot(self, path: bytes, follow: bool) -> bytes | None:
        """The sysroot's file of this absolute name, if it has one. Directories come from the host where it has them."""
        first, *_ = path.lstrip(b"/").split(b"/", 1)
        if not first or first in HOST_ONLY:
            return None
        flags = O_PATH | O_CLOEXEC | (0 if follow else O_NOFOLLOW)
        fd = self.process.open_in_root(self.sysroot_fd, path, flags)
        if fd == -ENOENT and first in MERGED:  # unpacked packages lack the links from /lib to /usr/lib
            fd = self.process.open_in_root(self.sysroot_fd, b"/usr/" + path.lstrip(b"/"), flags)
        if fd < 0:
            return None
        try:
            if os.stat(fd).st_mode & 0o170000 == 0o040000 and os.path.lexists(path):
                return None
            return os.readlink(b"/proc/self/fd/%d" % fd)
        finally:
            os.close(fd)

    def to_guest(self, host_path: bytes) -> bytes:
        """A host path as the guest would say it."""
        return host_path if self.root is None else self.root.to_guest(host_path)

    def host_path(self, path: bytes) -> bytes:
        """Where a name lies on the host, for reading a program; raises Refusal."""
        taken: list[int] = []
        try:
            at, found = self.lookup(AT_FDCWD, path, True, taken)
            if at == AT_FDCWD and not found.startswith(b"/proc/self/fd/"):
                return found
            return os.readlink(found if at == AT_FDCWD else b"/proc/self/fd/%d/%s" % (at, found))
        except OSError as error:
            raise Refusal(error.errno or ENOENT) from None
        finally:
            for fd in taken:
                os.close(fd)
