"""From a system call's number to what carries it out: built on first use, one closure per call.

A call that the host does itself gets its pointers moved and its descriptors checked; one with file names has them
resolved by the process's Paths; the rest are Python functions. Nothing without a declaration reaches the host:
unknown numbers answer ENOSYS and are counted.
"""

from __future__ import annotations

from polyvm.user import limits
from polyvm.user.hostabi import numbers
from polyvm.user.syscalls.table import Declaration, declaration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from polyvm.user.process import Process
    from polyvm.user.root import Root
    from polyvm.user.thread import Thread

    Handler: TypeAlias = Callable[[Thread, int, int, int, int, int, int], "int | None"]

ENOSYS, EBADF, EROFS = 38, 9, 30
AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW = 0x100, 0x400


class Call:
    """A system call ready to run."""

    __slots__ = ("name", "restart", "run")

    def __init__(self, name: str, run: Handler, restart: int = 0) -> None:
        self.name = name
        self.run = run
        self.restart = restart


class Dispatch:
    """The calls of one process. `unknown` counts numbers that nobody knows."""

    __slots__ = ("calls", "names", "process", "unknown")

    def __init__(self, process: Process, names: dict[int, str]) -> None:
        self.process = process
        self.names = names
        self.calls: dict[int, Call] = {}
        self.unknown: dict[int, int] = {}

    def resolve(self, number: int) -> Call:
        """The call behind a number; from then on it stands in `calls`."""
        number_32 = number & 0xFFFFFFFF
        name = self.names.get(number_32)
        found = self.declaration(name) if name else None
        if found is None:
            call = Call(name or f"syscall_{number_32}", self._unknown(number_32))
        else:
            call = self.build(found)
            if self.process.natively is not None and self.is_plain(found):
                self.process.natively.add(number, numbers()[found.name], found)
        if self.process.strace is not None:
            call = self.process.strace.wrap(call, found)
        self.calls[number] = call
        return call

    def declaration(self, name: str) -> Declaration | None:
        """A call's declaration, from the guest's own table or the common one."""
        line = self.process.abi.DECLARATIONS.get(name)
        return Declaration(line) if line else declaration(name)

    def build(self, found: Declaration) -> Call:
        """A declaration made runnable, under the process's policy."""
        denied = self.process.policy.denies(found)
        if denied:
            return Call(found.name, _refuse(denied))
        if found.how == "refuse":
            return Call(found.name, _refuse(found.errno))
        if found.how == "pass":
            number = numbers()[found.name]
            run = with_paths(found, number) if found.paths else plain(found, number, self.process.hidden)
            root = self.process.paths.root
            if root is not None and found.name in WRITING_OPEN:
                run = _unless_readonly(run, root)
            return self.ready(found, run)
        module = __import__(f"polyvm.user.syscalls.{found.how}", fromlist=["polyvm"])
        run = getattr(module, f"sys_{found.name}")
        if found.descriptors:
            run = _guarded(run, found.descriptors, self.process.hidden)
        return self.ready(found, run)

    def is_plain(self, found: Declaration) -> bool:
        """Whether the host does it as it is, but for pointers and descriptors: native code may."""
        return (
            found.how == "pass"
            and not found.paths
            and not self.process.policy.denies(found)
            and found.name not in limits.CREATING
            and found.name not in limits.PAIRS
            and not (self.process.paths.root is not None and found.name in WRITING_OPEN)
        )

    def ready(self, found: Declaration, run: Handler) -> Call:
        """The call, held to the guest's limit of open files where it makes descriptors."""
        if found.name in limits.CREATING or found.name in limits.PAIRS:
            run = limits.bounded(found.name, run, self.process)
        return Call(found.name, run, found.restart)

    def _unknown(self, number: int) -> Handler:
        def run(thread: Thread, *arguments: int) -> int:
            self.unknown[number] = self.unknown.get(number, 0) + 1
            return -ENOSYS

        return run


def _refuse(number: int) -> Handler:
    def run(thread: Thread, *arguments: int) -> int:
        return -number

    return run


def _guarded(run: Handler, positions: tuple[int, ...], hidden: set[int]) -> Handler:
    """A handler that never sees a descriptor of ours."""

    def guarded(thread: Thread, *arguments: int) -> int | None:
        if hidden:
            for i in positions:
                if arguments[i] & 0xFFFFFFFF in hidden:
                    return -EBADF
        return run(thread, *arguments)

    return guarded


def _unless_readonly(run: Handler, root: Root) -> Handler:
    """A handler that leaves open files below read-only binds as they are."""

    def checked(thread: Thread, fd: int, *arguments: int) -> int | None:
        return -EROFS if root.is_readonly(fd & 0xFFFFFFFF) else run(thread, fd, *arguments)

    return checked


def plain(found: Declaration, number: int, hidden: set[int]) -> Handler:
    """The host's own call, with guest pointers moved to where the host sees that memory."""
    pointers, descriptors = found.pointers, found.descriptors
    count = len(found.arguments)
    first = descriptors == (0,)

    if not pointers and not descriptors:

        def bare(thread: Thread, *arguments: int) -> int:
            return thread.host(number, *arguments[:count])

        return bare

    if len(pointers) == 1 and first:
        only = pointers[0]

        def one(thread: Thread, *arguments: int) -> int:
            if arguments[0] & 0xFFFFFFFF in hidden:
                return -EBADF
            values = list(arguments)
            address = values[only]
            if address:
                values[only] = thread.base + address if address < thread.limit else thread.bad
            return thread.host(number, *values)

        return one

    def several(thread: Thread, *arguments: int) -> int:
        if hidden:
            for i in descriptors:
                if arguments[i] & 0xFFFFFFFF in hidden:
                    return -EBADF
        values = list(arguments)
        for i in pointers:
            values[i] = thread.pointer(values[i])
        return thread.host(number, *values)

    return several


def with_paths(found: Declaration, number: int) -> Handler:
    """The host's own call on file names, each resolved first and passed from a copy that the guest cannot change."""
    pointers, places, flags_at = found.pointers, found.paths, found.at_flags
    opposite = any(kind == "at_follow" for _, kind in found.arguments)
    writes = found.name in WRITING

    def run(thread: Thread, *arguments: int) -> int:
        values = list(arguments)
        for i in pointers:
            values[i] = thread.pointer(values[i])
        paths = thread.process.paths
        taken: list[int] = []
        try:
            for directory, place, follow in places:
                flags = arguments[flags_at] if flags_at >= 0 else 0
                if opposite:  # of linkat, for the old name only
                    follow = follow or (place == places[0][1] and bool(flags & AT_SYMLINK_FOLLOW))
                else:
                    follow = follow and not flags & AT_SYMLINK_NOFOLLOW
                at, host_path = paths.resolve(
                    thread, arguments[directory] if directory >= 0 else None, arguments[place], follow, flags, taken,
                    writes=writes,
                )  # fmt: skip
                if directory >= 0:
                    values[directory] = at
                values[place] = thread.place(host_path + b"\0")
            return thread.host(number, *values)
        finally:
            for fd in taken:
                thread.process.plain_syscall("close", fd)

    return run


# Calls that change what a path names: not allowed below a read-only bind.
# fmt: off
WRITING = frozenset((
    "setxattr", "lsetxattr", "removexattr", "lremovexattr", "mknodat", "mkdirat", "unlinkat", "symlinkat",
    "linkat", "renameat", "renameat2", "truncate", "fchmodat", "fchmodat2", "fchownat",
))
# Likewise what an open file is, which needs no right to write into it.
WRITING_OPEN = frozenset(("fchmod", "fchown", "fsetxattr", "fremovexattr"))
# fmt: on
