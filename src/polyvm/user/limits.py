"""Resource limits that must not strike us: core files are none of ours, and descriptors are always left for us.

The host's limit of open files stays above the guest's by a reserve, from which our own descriptors come; a call that
gives the guest one beyond its own limit is undone and answers EMFILE. It refuses to lift a limit of the host.
"""

from __future__ import annotations

import os
from _struct import Struct

from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.dispatch import Handler
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

RLIMIT_CORE, RLIMIT_NOFILE = 4, 7
EMFILE, EBADF = 24, 9
RESERVE = 64
_PAIR = Struct("<QQ")

# Calls whose result is a new descriptor, and those that store two at this argument.
CREATING = frozenset((
    "openat", "openat2", "dup", "fcntl", "socket", "accept", "accept4", "eventfd2", "epoll_create1", "inotify_init1",
    "signalfd4", "timerfd_create", "memfd_create", "pidfd_open", "mq_open",
))  # fmt: skip
PAIRS = {"pipe2": 0, "socketpair": 3}
_F_DUPFD = (0, 1030)  # fcntl: F_DUPFD, F_DUPFD_CLOEXEC


def exchange(process: Process, resource: int, new: tuple[int, int] | None = None) -> tuple[int, int] | int:
    """The host's limit before, or a negative errno; and its new one."""
    at = host.mmap(0, 4096, 3, 0x22)
    try:
        if new is not None:
            host.poke(at, _PAIR.pack(*new))
        result = process.plain_syscall("prlimit64", 0, resource, at if new is not None else 0, at + 64)
        if result < 0:
            return result
        soft, hard = _PAIR.unpack(host.peek(at + 64, 16))
        return soft, hard
    finally:
        host.munmap(at, 4096)


def begin(process: Process) -> None:
    """Note the guest's limits, and set ours."""
    for resource in (RLIMIT_CORE, RLIMIT_NOFILE):
        found = exchange(process, resource)
        if isinstance(found, tuple):
            process.limits[resource] = found
    if RLIMIT_NOFILE in process.limits:
        soft, hard = process.limits[RLIMIT_NOFILE]
        if soft + RESERVE > hard:  # the guest is told of less, for there is no more
            hard -= min(RESERVE, hard // 4)
            process.limits[RLIMIT_NOFILE] = min(soft, hard), hard
    ours(process)


def ours(process: Process) -> None:
    """The host's limits as they are while the guest runs here."""
    if RLIMIT_CORE in process.limits:
        exchange(process, RLIMIT_CORE, (0, process.limits[RLIMIT_CORE][1]))
    if RLIMIT_NOFILE in process.limits:
        set_files(process, process.limits[RLIMIT_NOFILE][0])


def set_files(process: Process, soft: int) -> None:
    """The host's limit of open files, above the guest's where there is room."""
    found = exchange(process, RLIMIT_NOFILE)
    if isinstance(found, tuple):
        exchange(process, RLIMIT_NOFILE, (min(soft + RESERVE, found[1]), found[1]))


def theirs(process: Process) -> None:
    """The guest's own limits, for a program of the host that takes this process over."""
    for resource in (RLIMIT_CORE, RLIMIT_NOFILE):
        if resource in process.limits:
            exchange(process, resource, process.limits[resource])


def raise_hard(process: Process, resource: int, hard: int) -> int:
    """Whether the guest may have a hard limit above its own: the host decides. 0 or a negative errno."""
    found = exchange(process, resource)
    if isinstance(found, int):
        return found
    if hard <= found[1]:
        return 0
    result = exchange(process, resource, (found[0], hard))
    return result if isinstance(result, int) else 0


def bounded(name: str, run: Handler, process: Process) -> Handler:
    """A call that makes descriptors, held to the guest's limit of them."""
    if name in CREATING:
        return _one(name == "fcntl", run, process)
    return _two(PAIRS[name], run, process)


def _one(fcntl: bool, run: Handler, process: Process) -> Handler:
    limits = process.limits

    def one(thread: Thread, *arguments: int) -> int | None:
        result = run(thread, *arguments)
        if result is None or result < 0 or result < limits[RLIMIT_NOFILE][0]:
            return result
        if fcntl and arguments[1] & 0xFFFFFFFF not in _F_DUPFD:
            return result
        os.close(result)
        return -EMFILE

    return one


def _two(position: int, run: Handler, process: Process) -> Handler:
    limits = process.limits

    def two(thread: Thread, *arguments: int) -> int | None:
        result = run(thread, *arguments)
        if result:
            return result
        data = thread.space.read(arguments[position], 8)
        made = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little")
        if max(made) < limits[RLIMIT_NOFILE][0]:
            return result
        for fd in made:
            process.plain_syscall("close", fd)  # another thread may have closed it, or put it elsewhere
        return -EMFILE

    return two
