"""Processes and threads: clone, execve, wait, exit."""

from __future__ import annotations

from _struct import Struct

from polyvm.user.paths import AT_FDCWD, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

ENOENT, E2BIG, EFAULT, EINVAL = 2, 7, 14, 22
AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW = 0x1000, 0x100
_CLONE_ARGS = Struct("<11Q")
CLONE_ARGS_MIN = 64
MAX_STRING = 131072  # MAX_ARG_STRLEN
MAX_STRINGS = 6 << 20  # three quarters of _STK_LIM, the kernel's upper bound


def sys_exit(t: Thread, status: int, *_: int) -> None:
    """exit: this thread only. The process's status is the first thread's, unless somebody says exit_group."""
    t.ending = True
    if t.tid == t.process.pid:
        t.process.first_status = status & 0xFF


def sys_exit_group(t: Thread, status: int, *_: int) -> None:
    """exit_group."""
    t.process.finish("exited", status & 0xFF, None)


def sys_set_tid_address(t: Thread, address: int, *_: int) -> int:
    """set_tid_address."""
    t.clear_tid = address
    return t.tid


def sys_clone(t: Thread, a: int, b: int, c: int, d: int, e: int, *_: int) -> int | None:
    """clone, whose arguments every architecture orders its own way."""
    from polyvm.user import fork

    flags, stack, parent_tid, tls, child_tid = t.process.abi.clone_arguments(a, b, c, d, e)
    return fork.clone(
        t,
        flags=flags & 0xFFFFFF00,
        exit_signal=flags & 0xFF,
        stack=stack,
        tls=tls,
        parent_tid=parent_tid,
        child_tid=child_tid,
        pidfd=parent_tid,
    )


def sys_clone3(t: Thread, args: int, size: int, *_: int) -> int | None:
    """clone3."""
    from polyvm.user import fork

    if size > 4096:
        return -E2BIG
    if size < CLONE_ARGS_MIN:
        return -EINVAL
    data = t.space.read(args, size)
    if any(data[88:]):
        return -E2BIG
    flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, _ = (
        _CLONE_ARGS.unpack(data[:88].ljust(88, b"\0"))
    )
    if (
        set_tid
        or set_tid_size
        or flags & 0xFF
        or exit_signal > 64
        or flags >> 33
        or bool(stack) != bool(stack_size)
    ):
        return -EINVAL
    return fork.clone(
        t,
        flags=flags,
        exit_signal=exit_signal,
        stack=stack + stack_size,
        tls=tls,
        parent_tid=parent_tid,
        child_tid=child_tid,
        pidfd=pidfd,
    )


def strings(t: Thread, address: int, room: int) -> list[bytes] | int:
    """A null-terminated array of strings, or a negative errno. A null pointer is an empty array, as for Linux."""
    result: list[bytes] = []
    space = t.space
    while address:
        pointer = space.read_u64(address)
        if not pointer:
            break
        text = space.read_cstr(pointer, MAX_STRING)
        room -= len(text) + 9
        if len(text) >= MAX_STRING or room < 0:
            return -E2BIG
        result.append(text)
        address += 8
    return result


def _exec(t: Thread, at: int, path: bytes, argv: int, envp: int, flags: int) -> int | None:
    from polyvm.user import execute

    arguments = strings(t, argv, MAX_STRINGS)
    if isinstance(arguments, int):
        return arguments
    variables = strings(t, envp, MAX_STRINGS)
    if isinstance(variables, int):
        return variables
    if sum(map(len, arguments)) + sum(map(len, variables)) > MAX_STRINGS:
        return -E2BIG
    return execute.execve(t, at, path, arguments, variables, flags)


def sys_execve(t: Thread, path: int, argv: int, envp: int, *_: int) -> int | None:
    """execve."""
    name = t.process.paths.read(t, path)
    return _exec(t, AT_FDCWD, name, argv, envp, 0) if name else -ENOENT


def sys_execveat(
    t: Thread, directory: int, path: int, argv: int, envp: int, flags: int, *_: int
) -> int | None:
    """execveat."""
    flags &= 0xFFFFFFFF
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        return -EINVAL
    name = t.process.paths.read(t, path)
    if not name and not flags & AT_EMPTY_PATH:
        return -ENOENT
    return _exec(t, t.process.paths.directory(directory), name, argv, envp, flags)


def sys_wait4(t: Thread, pid: int, status: int, options: int, usage: int, *_: int) -> int:
    """wait4; helper processes of ours are nobody's answer."""
    t.process.engine.no_helper_starts()
    return t.host(t.process.numbers["wait4"], signed(pid), t.pointer(status), options, t.pointer(usage))


def sys_waitid(t: Thread, which: int, pid: int, info: int, options: int, usage: int, *_: int) -> int:
    """waitid."""
    number = t.process.numbers["waitid"]
    t.process.engine.no_helper_starts()
    return t.host(number, which, pid, t.pointer(info), options, t.pointer(usage))
