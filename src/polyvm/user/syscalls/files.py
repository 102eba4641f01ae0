"""Files by name: opening, stat, links, directories and the working directory."""

from __future__ import annotations

import os
from _struct import Struct

from polyvm.user import openflags
from polyvm.user.hostabi import STAT_BYTES, open_flags_to_host, stat_to_generic
from polyvm.user.paths import AT_EMPTY_PATH, AT_FDCWD, Elsewhere, may_be_proc, signed
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EPERM, ENOENT, EBADF, EACCES, EFAULT, ENOTDIR, EINVAL, ERANGE, EXDEV, EROFS = (
    1,
    2,
    9,
    13,
    14,
    20,
    22,
    34,
    18,
    30,
)
E2BIG, ELOOP = 7, 40
AT_SYMLINK_NOFOLLOW = 0x100
O_ACCMODE, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW_GENERIC, O_CLOEXEC = (
    3,
    0o100,
    0o200,
    0o1000,
    0x20000,
    0o2000000,
)
O_PATH_GENERIC, O_TMPFILE_BIT = 0o10000000, 0o20000000
_U64 = Struct("<Q")
_HOW = Struct("<QQQ")

# Files of a process in /proc that show the host's memory, or let it be changed.
FORBIDDEN = (b"mem", b"pagemap", b"smaps", b"smaps_rollup", b"numa_maps", b"syscall", b"stack", b"map_files")

_proc_device: list[int] = []


def proc_device() -> int:
    """The device number of /proc, or -1 where there is none."""
    if not _proc_device:
        try:
            _proc_device.append(os.stat("/proc/self").st_dev)
        except OSError:
            _proc_device.append(-1)
    return _proc_device[0]


def sys_openat(t: Thread, directory: int, path: int, flags: int, mode: int, *_: int) -> int:
    """openat."""
    flags = openflags.from_guest(t.process.abi, flags & 0xFFFFFFFF)
    return _open(t, directory, t.process.paths.read(t, path), flags, mode & 0o7777777, None)


def sys_openat2(t: Thread, directory: int, path: int, how: int, size: int, *_: int) -> int:
    """openat2. Below a root or a sysroot its resolve flags but RESOLVE_NO_SYMLINKS and the like are refused."""
    if size < 24:
        return -EINVAL
    if size > 4096:
        return -E2BIG
    data = t.space.read(how, size)
    if any(data[24:]):
        return -E2BIG
    flags, mode, resolve = _HOW.unpack_from(data)
    name = t.process.paths.read(t, path)
    if resolve and (t.process.paths.root is not None or t.process.paths.sysroot is not None):
        return -EINVAL
    return _open(t, directory, name, openflags.from_guest(t.process.abi, flags), mode, resolve)


def _open(t: Thread, directory: int, path: bytes, flags: int, mode: int, resolve: int | None) -> int:
    """Open for openat2, which takes nothing that it does not know; for openat with `resolve` None.

    flags: in asm-generic's form.
    """
    process = t.process
    paths = process.paths
    at = paths.directory(directory)
    if not path:
        return -ENOENT
    taken: list[int] = []
    host_flags = open_flags_to_host(flags)
    try:
        if may_be_proc(path):
            from polyvm.user import procfs

            special = procfs.find(process, at, path)
            if special is not None:
                opened = procfs.open_special(t, special, flags)
                if opened is not None:
                    return opened
                below = procfs.through(special) if paths.root is not None else None
                if below is not None:
                    at, path = below
                    paths.linked(at)
        if paths.root is not None:
            try:
                at, path, extra = _in_root(t, at, path, flags, taken)
            except Elsewhere as found:
                return _open(t, AT_FDCWD, found.args[0], flags, mode, resolve)
            host_flags |= extra
        elif not resolve:
            at, path = paths.lookup(at, path, not flags & O_NOFOLLOW_GENERIC, taken)
        name = t.place(path + b"\0")
        if resolve is not None:
            how = t.place(_HOW.pack(host_flags, mode, resolve))
            fd = t.host(process.numbers["openat2"], at, name, how, 24)
        else:
            fd = t.host(process.numbers["openat"], at, name, host_flags, mode)
    finally:
        for taken_fd in taken:
            os.close(taken_fd)
    if fd < 0:
        return fd
    if taken and fd > min(taken):
        fd = process.lowest(fd, flags & O_CLOEXEC)  # directories on the way to it had lower ones
    return _checked(t, fd)


def _in_root(t: Thread, at: int, path: bytes, flags: int, taken: list[int]) -> tuple[int, bytes, int]:
    """(directory, name, more host flags) for opening below --root: the last component is never a link any more."""
    root = t.process.paths.root
    assert root is not None
    creates = flags & O_CREAT
    follow = not flags & O_NOFOLLOW_GENERIC and not (creates and flags & O_EXCL)
    place, last, bind = root.walk(at, path, follow, taken)
    writes = flags & O_ACCMODE or flags & O_TRUNC or flags & O_TMPFILE_BIT
    readonly = root.binds_readonly(bind) if bind >= 0 else place.mount.readonly
    if readonly and not flags & O_PATH_GENERIC:
        if writes:
            raise Refusal(EROFS)
        if creates:
            flags &= ~O_CREAT
            try:
                os.stat(last, dir_fd=place.fd, follow_symlinks=False)
            except OSError:
                raise Refusal(EROFS) from None
    if bind >= 0:
        return AT_FDCWD, b"/proc/self/fd/%d" % bind, 0
    return place.fd, last, os.O_NOFOLLOW


def _checked(t: Thread, fd: int) -> int:
    """A new descriptor, unless it opened the host's memory through some name in /proc."""
    buffer = t.place(b"", STAT_BYTES)
    if t.process.plain_syscall("fstat", fd, buffer) == 0:
        (device,) = _U64.unpack(t.placed(buffer, 8))
        if device == proc_device():
            where = os.readlink(b"/proc/self/fd/%d" % fd).split(b"/")
            if where[-1] in FORBIDDEN and len(where) > 3:
                os.close(fd)
                return -EACCES
    return fd


def sys_readlinkat(t: Thread, directory: int, path: int, buffer: int, size: int, *_: int) -> int:
    """readlinkat; /proc/self/exe names the guest's program."""
    size_32 = signed(size)
    if size_32 <= 0:
        return -EINVAL
    process = t.process
    name = process.paths.read(t, path)
    at = process.paths.directory(directory)
    target = None
    if name and may_be_proc(name):
        from polyvm.user import procfs

        target = procfs.read_link(process, procfs.find(process, at, name))
    taken: list[int] = []
    try:
        if name and target is None:
            at, name = process.paths.lookup(at, name, False, taken)
            link = name.removeprefix(b"/proc/self/fd/") if at == AT_FDCWD else b""
            if process.paths.root is not None and link.isdigit():
                if int(link) in taken:
                    return -EINVAL  # our own way to what has a slash behind its name: no link
                from polyvm.user import procfs

                target = procfs.read_link(process, (b"fd", link))
        if target is not None:
            data = target[:size_32]
            t.space.write(buffer, data)
            return len(data)
        return t.host(
            process.numbers["readlinkat"], at, t.place(name + b"\0"), t.pointer(buffer) or t.bad, size_32
        )
    finally:
        for fd in taken:
            os.close(fd)


def _stat_at(t: Thread, directory: int, path: int, flags: int, taken: list[int]) -> tuple[int, bytes]:
    """(directory, name) for the stat family, whose empty name may mean the descriptor."""
    paths = t.process.paths
    if not path and flags & AT_EMPTY_PATH:  # Linux 6.11 takes a null pointer for an empty name
        return paths.directory(directory), b""
    return paths.resolve(t, directory, path, not flags & AT_SYMLINK_NOFOLLOW, flags, taken)


def sys_newfstatat(t: Thread, directory: int, path: int, buffer: int, flags: int, *_: int) -> int:
    """newfstatat."""
    taken: list[int] = []
    try:
        at, name = _stat_at(t, directory, path, flags, taken)
        out = t.place(b"", STAT_BYTES)
        result = t.host(t.process.numbers["newfstatat"], at, t.place(name + b"\0"), out, flags)
    finally:
        for fd in taken:
            os.close(fd)
    if result == 0:
        t.space.write(buffer, stat_to_generic(t.placed(out, STAT_BYTES)))
    return result


def sys_fstat(t: Thread, fd: int, buffer: int, *_: int) -> int:
    """fstat."""
    out = t.place(b"", STAT_BYTES)
    result = t.host(t.process.numbers["fstat"], fd, out)
    if result == 0:
        t.space.write(buffer, stat_to_generic(t.placed(out, STAT_BYTES)))
    return result


def sys_statx(t: Thread, directory: int, path: int, flags: int, mask: int, buffer: int, *_: int) -> int:
    """statx, whose structure is the same everywhere."""
    taken: list[int] = []
    try:
        at, name = _stat_at(t, directory, path, flags, taken)
        number = t.process.numbers["statx"]
        return t.host(number, at, t.place(name + b"\0"), flags, mask, t.pointer(buffer) or t.bad)
    finally:
        for fd in taken:
            os.close(fd)


def sys_utimensat(t: Thread, directory: int, path: int, times: int, flags: int, *_: int) -> int:
    """utimensat, whose null path means the descriptor itself."""
    paths = t.process.paths
    number = t.process.numbers["utimensat"]
    if not path:
        at = paths.directory(directory)
        if paths.root is not None and paths.root.is_readonly(at):
            return -EROFS
        return t.host(number, at, 0, t.pointer(times), flags)
    taken: list[int] = []
    try:
        at, name = paths.resolve(
            t, directory, path, not flags & AT_SYMLINK_NOFOLLOW, flags, taken, writes=True
        )
        return t.host(number, at, t.place(name + b"\0"), t.pointer(times), flags)
    finally:
        for fd in taken:
            os.close(fd)


def sys_chdir(t: Thread, path: int, *_: int) -> int:
    """chdir."""
    name = t.process.paths.read(t, path)
    return change_directory(t, AT_FDCWD, name) if name else -ENOENT


def change_directory(t: Thread, at: int, name: bytes) -> int:
    """chdir for a name that is not empty: the host's directory is always the guest's, too."""
    root = t.process.paths.root
    taken: list[int] = []
    try:
        at, found = t.process.paths.lookup(at, name, True, taken)
        if at != AT_FDCWD:
            found = b"/proc/self/fd/%d/%s" % (at, found)
        result = t.host(t.process.numbers["chdir"], t.place(found + b"\0"))
    finally:
        for fd in taken:
            os.close(fd)
    if result == 0 and root is not None:
        root.moved(os.getcwdb())
    return result


def sys_fchdir(t: Thread, fd: int, *_: int) -> int:
    """fchdir."""
    root = t.process.paths.root
    if root is not None:
        root.directory(signed(fd))  # refuses what lies outside
    result = t.host(t.process.numbers["fchdir"], fd)
    if result == 0 and root is not None:
        root.moved(os.getcwdb())
    return result


def sys_getcwd(t: Thread, buffer: int, size: int, *_: int) -> int:
    """getcwd."""
    root = t.process.paths.root
    if root is None:
        return t.host(t.process.numbers["getcwd"], t.pointer(buffer), size)
    try:
        os.getcwdb()
    except OSError:
        return -ENOENT  # it was removed
    data = b"/" + b"/".join(root.cwd) + b"\0"
    if len(data) > size:
        return -ERANGE
    t.space.write(buffer, data)
    return len(data)


def sys_getdents64(t: Thread, fd: int, buffer: int, size: int, *_: int) -> int:
    """getdents64, without our descriptors in /proc/self/fd and our threads in /proc/self/task."""
    number = t.process.numbers["getdents64"]
    while True:
        result = t.host(number, fd, t.pointer(buffer), size)
        if result <= 0:
            return result
        out = t.place(b"", STAT_BYTES)
        t.top = 0
        if t.process.plain_syscall("fstat", fd, out) or _U64.unpack(t.placed(out, 8))[0] != proc_device():
            return result
        where = os.readlink(b"/proc/self/fd/%d" % (fd & 0xFFFFFFFF))
        last = where.rpartition(b"/")[2]
        if last == b"task" and where == b"/proc/%d/task" % t.process.pid:
            hidden = _threads_of_ours(t)
        elif last in (b"fd", b"fdinfo"):
            hidden = t.process.hidden
        else:
            return result
        kept = _without(hidden, t.space.read(buffer, result))
        if kept:
            t.space.write(buffer, kept)
            return len(kept)


def _threads_of_ours(t: Thread) -> set[int]:
    """The threads of this process that are none of the guest's."""
    guests = {thread.tid for thread in t.process.world.threads}
    return {int(name) for name in os.listdir("/proc/self/task")} - guests


def _without(hidden: set[int], data: bytes) -> bytes:
    """Directory entries but those whose name is one of these numbers."""
    kept = []
    at = 0
    while at < len(data):
        length = data[at + 16] | data[at + 17] << 8
        name = data[at + 19 : at + length].split(b"\0", 1)[0]
        if not (name.isdigit() and int(name) in hidden):
            kept.append(data[at : at + length])
        at += length
    return b"".join(kept)
