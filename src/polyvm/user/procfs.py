"""The guest's own entries in /proc: exe, maps, cmdline, auxv and the rest, told from the guest's side.

Everything else in /proc is the host's. What shows or changes the host's memory is refused when it is opened.
"""

from __future__ import annotations

import os
from _struct import pack

from polyvm.user.hostabi import open_flags_to_host
from polyvm.user.paths import PROC_FILES, may_be_proc
from polyvm.user.signals import SIG_IGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

AT_FDCWD = -100
ENOENT, EACCES, ENOTDIR, ELOOP = 2, 13, 20, 40
F_GETFL, O_RDWR, O_TRUNC = 3, 2, 0o1000
MFD_CLOEXEC = 1
SETS = (b"SigBlk", b"SigIgn", b"SigCgt")
O_ACCMODE, O_CLOEXEC, O_NOFOLLOW, O_DIRECTORY, O_PATH = 3, 0o2000000, 0x20000, 0x10000, 0o10000000

NAMES = PROC_FILES - {b"cpuinfo"}  # of a process
# The host's, but for threads, sizes and signals; of a process only.
COUNTED = frozenset((b"stat", b"statm", b"status"))
LINKS = frozenset((b"cwd", b"root"))  # to directories, whose names are the guest's below --root
PAGE = 4096


def find(process: Process, at: int, path: bytes) -> tuple[bytes, ...] | None:
    """What a name means if it is one of ours: ("exe",), ("fd", "3"), ("cpuinfo",); None for everything else."""
    if not may_be_proc(path):
        return None
    if path[:1] != b"/":
        if process.paths.root is not None and at == AT_FDCWD:
            directory = b"/" + b"/".join(process.paths.root.cwd)
        else:
            try:
                directory = os.getcwdb() if at == AT_FDCWD else os.readlink(b"/proc/self/fd/%d" % at)
            except OSError:
                return None
        if not directory.startswith(b"/proc"):
            return None
        path = directory + b"/" + path
    parts: list[bytes] = []
    pieces = path.split(b"/")
    for number, part in enumerate(pieces):
        if part == b"..":
            if parts:
                parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
            if (
                len(parts) in (3, 4, 6)
                and parts[-2] == b"fd"
                and part.isdigit()
                and any(pieces[number + 1 :])
            ):
                parts += pieces[number + 1 :]  # `..` is its parent there, whatever the name says
                break
    if parts[:2] == [b"dev", b"fd"]:  # a link to /proc/self/fd wherever there is a /dev
        parts[:2] = [b"proc", b"self", b"fd"]
    if len(parts) < 2 or parts[0] != b"proc":
        return None
    if parts[1:] == [b"cpuinfo"]:
        return (b"cpuinfo",)
    if parts[1] not in (b"self", b"thread-self", b"%d" % process.pid):
        return None
    rest = parts[2:]
    if rest and rest[0] in LINKS and (len(rest) > 1 or process.paths.root is None):
        return None
    if rest and rest[0] in COUNTED and parts[1] == b"thread-self":
        return None
    if len(rest) > 2 and rest[0] == b"task":
        if rest[2] in COUNTED:
            return None
        if not rest[1].isdigit() or int(rest[1]) not in [thread.tid for thread in process.world.threads]:
            return None
        rest = rest[2:]
    if not rest or (rest[0] not in NAMES and rest[0] != b"fd"):
        return None
    return tuple(rest)


def through(special: tuple[bytes, ...]) -> tuple[int, bytes] | None:
    """(descriptor, name below it) of what is named through a descriptor of the process: /proc/self/fd/3/name."""
    if special[0] != b"fd" or len(special) < 3 or not special[1].isdigit():
        return None
    return int(special[1]), b"/".join(special[2:]).lstrip(b"/")


def read_link(process: Process, special: tuple[bytes, ...] | None) -> bytes | None:
    """The target of one of our links, None where the host knows it."""
    if special == (b"exe",):
        return process.exe
    if special == (b"root",):
        return b"/"
    if special == (b"cwd",) and process.paths.root is not None:
        return b"/" + b"/".join(process.paths.root.cwd)
    if special and special[0] == b"fd" and len(special) == 2 and special[1].isdigit():
        if process.paths.root is not None and int(special[1]) not in process.hidden:
            try:
                target = os.readlink(b"/proc/self/fd/" + special[1])
            except OSError:
                return None
            return process.paths.to_guest(target) if target.startswith(b"/") else target
    return None


def open_special(thread: Thread, special: tuple[bytes, ...], flags: int) -> int | None:
    """A descriptor of one of our files, a negative errno, or None where the host may open it itself."""
    process = thread.process
    if special == (b"exe",):
        if flags & O_NOFOLLOW:
            return None if flags & O_PATH else -ELOOP
        name = thread.place(process.exe_host + b"\0")
        return thread.host(process.numbers["openat"], AT_FDCWD, name, open_flags_to_host(flags), 0)
    if special[0] == b"fd" and len(special) == 2 and process.paths.root is not None:
        return _reopen(thread, special[1], flags)
    if len(special) != 1 or special[0] == b"fd" or special[0] in LINKS:
        return None
    if special == (b"mem",):
        return -EACCES
    if flags & O_DIRECTORY:
        return -ENOTDIR
    if flags & O_ACCMODE:
        return -EACCES
    content = contents(process, special[0])
    if content is None:
        return None
    fd = os.memfd_create("proc", MFD_CLOEXEC)
    try:
        done = 0
        while done < len(content):
            done += os.write(fd, content[done:])
        # Opened once more: a descriptor that can only read, at the start, and the lowest one free.
        name = thread.place(b"/proc/self/fd/%d\0" % fd)
        result = thread.host(process.numbers["openat"], AT_FDCWD, name, flags & O_CLOEXEC, 0)
    finally:
        os.close(fd)
    if result > fd:  # the memfd had the number that the guest should get
        return process.lowest(result, flags & O_CLOEXEC)
    return result


def _reopen(thread: Thread, name: bytes, flags: int) -> int:
    """/proc/self/fd/N below --root: never with more rights than the descriptor has."""
    process = thread.process
    fd = int(name) if name.isdigit() else -1
    had = process.plain_syscall("fcntl", fd, F_GETFL)
    if had < 0 or fd in process.hidden:
        return -ENOENT
    wants = flags & O_ACCMODE
    if (wants or flags & O_TRUNC) and (had & O_ACCMODE != O_RDWR and had & O_ACCMODE != wants):
        return -EACCES
    where = thread.place(b"/proc/self/fd/%d\0" % fd)
    return thread.host(process.numbers["openat"], AT_FDCWD, where, open_flags_to_host(flags), 0)


def contents(process: Process, name: bytes) -> bytes | None:
    """The content of one of our files."""
    if name == b"maps":
        return maps(process)
    if name == b"cmdline":
        return b"".join(argument + b"\0" for argument in process.argv)
    if name == b"environ":
        return b"".join(variable + b"\0" for variable in process.envp)
    if name == b"auxv":
        return b"".join(pack("<QQ", kind, value) for kind, value in process.auxv)
    if name == b"cpuinfo":
        text: str = process.abi.cpuinfo(len(os.sched_getaffinity(0)), process.engine.options)
        return text.encode()
    if name in COUNTED:
        return _counted(process, name)
    return None


def _counted(process: Process, name: bytes) -> bytes | None:
    """stat, statm or status as the host tells it, with the guest's own threads, memory and signals (proc(5))."""
    try:
        with open(b"/proc/self/" + name, "rb") as file:
            text = file.read()
    except OSError:
        return None
    size = sum(region.end - region.start for region in process.space)
    threads = len(process.world.threads)
    if name == b"statm":
        return b"%d %s" % (size // PAGE, text.partition(b" ")[2])
    if name == b"stat":  # the name in parentheses may have spaces in it
        head, _, tail = text.rpartition(b")")
        fields = tail.split(b" ")
        fields[18], fields[21] = b"%d" % threads, b"%d" % size
        return head + b")" + b" ".join(fields)
    own = {b"Threads": b"%d" % threads, b"VmPeak": None, b"VmSize": b"%8d kB" % (size >> 10)}
    own |= _signal_sets(process)
    lines = []
    for line in text.splitlines(keepends=True):
        key = line.partition(b":")[0]
        value = own.get(key, b"")
        if value:
            lines.append(b"%s:\t%s\n" % (key, value))
        elif value is not None:
            lines.append(line)
    return b"".join(lines)


def _signal_sets(process: Process) -> dict[bytes, bytes]:
    """What is blocked in the first thread, ignored and caught, as status tells it."""
    table = process.actions.table
    first = min(process.world.threads, key=lambda thread: thread.tid != process.pid)
    ignored = sum(1 << signo - 1 for signo, action in enumerate(table) if signo and action.handler == SIG_IGN)
    caught = sum(1 << signo - 1 for signo, action in enumerate(table) if signo and action.handler > SIG_IGN)
    return {key: b"%016x" % value for key, value in zip(SETS, (first.mask, ignored, caught), strict=True)}


def maps(process: Process) -> bytes:
    """/proc/self/maps from the guest's mapping table."""
    lines = []
    for region in process.space:
        backing = region.backing
        device, inode, name = 0, 0, region.name
        if backing is not None:
            device, inode = backing.device, backing.inode
            name = os.fsdecode(process.paths.to_guest(os.fsencode(backing.path))) if device else backing.path
        line = (
            f"{region.start:08x}-{region.end:08x} {region.permissions} {region.offset:08x} "
            f"{os.major(device):02x}:{os.minor(device):02x} {inode} "
        )
        lines.append(f"{line:<73}{name}".rstrip() + ("\n" if name else " \n"))
    return os.fsencode("".join(lines))
