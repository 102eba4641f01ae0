"""Descriptors: closing and duplicating them, fcntl, and reading and writing through vectors.

Descriptors of ours are not there: they cannot be closed, replaced or named.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.user import openflags
from polyvm.user.hostabi import open_flags_from_host, open_flags_to_host
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EBADF, EINVAL = 9, 22
IOV_MAX = 1024
CLOSE_RANGE_CLOEXEC = 4

# fcntl (asm-generic/fcntl.h): what takes a number, and what takes a structure of this size.
F_DUPFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 3, 4, 1030
NUMBERS = frozenset((0, 1, 2, 8, 9, 10, 11, 1024, 1025, 1026, 1027, 1028, 1030, 1031, 1032, 1033, 1034))
STRUCTS = frozenset((5, 6, 7, 15, 16, 36, 37, 38, 1035, 1036, 1037, 1038, 1039, 1040))
_BLOCKING = frozenset((7, 38))  # F_SETLKW, F_OFD_SETLKW

_IOV = Struct("<QQ")


def sys_close(t: Thread, fd: int, *_: int) -> int:
    """close."""
    return t.host(t.process.numbers["close"], fd)


def sys_close_range(t: Thread, first: int, last: int, flags: int, *_: int) -> int:
    """close_range, around our own descriptors."""
    first, last = first & 0xFFFFFFFF, last & 0xFFFFFFFF
    if first > last or flags & ~6:
        return -EINVAL
    number = t.process.numbers["close_range"]
    flags &= CLOSE_RANGE_CLOEXEC  # CLOSE_RANGE_UNSHARE: the table is not shared with another process anyway
    for fd in sorted(t.process.hidden):
        if first <= fd <= last:
            if first < fd:
                result = t.host(number, first, fd - 1, flags)
                if result < 0:
                    return result
            first = fd + 1
    return t.host(number, first, last, flags) if first <= last else 0


def sys_dup3(t: Thread, old: int, new: int, flags: int, *_: int) -> int:
    """dup3."""
    return t.host(t.process.numbers["dup3"], old, new, flags)


def _flags_to_host(t: Thread, flags: int) -> int:
    """A guest's flags of open, as the host wants them."""
    return open_flags_to_host(openflags.from_guest(t.process.abi, flags))


def sys_pipe2(t: Thread, fds: int, flags: int, *_: int) -> int:
    """pipe2."""
    return t.host(t.process.numbers["pipe2"], t.pointer(fds), _flags_to_host(t, flags))


def sys_socketpair(t: Thread, domain: int, kind: int, protocol: int, fds: int, *_: int) -> int:
    """socketpair."""
    return t.host(t.process.numbers["socketpair"], domain, kind, protocol, t.pointer(fds))


def sys_fcntl(t: Thread, fd: int, command: int, argument: int, *_: int) -> int:
    """fcntl, for the commands of asm-generic; others are EINVAL, as from a kernel that does not know them."""
    command &= 0xFFFFFFFF
    number = t.process.numbers["fcntl"]
    if command == F_SETFL:
        return t.host(number, fd, command, _flags_to_host(t, argument & 0xFFFFFFFF))
    if command == F_GETFL:
        result = t.host(number, fd, command)
        if result < 0:
            return result
        return openflags.to_guest(t.process.abi, open_flags_from_host(result))
    if command in NUMBERS:
        return t.host(number, fd, command, argument)
    if command in STRUCTS:
        return t.host(number, fd, command, t.pointer(argument))
    return -EINVAL


def vectors(t: Thread, address: int, count: int) -> int:
    """A guest's array of iovec, copied to scratch with its pointers moved; the host address."""
    count &= 0xFFFFFFFFFFFFFFFF
    if count > IOV_MAX:
        raise Refusal(EINVAL)
    if not count:
        return t.place(b"", 16)
    data = t.space.read(address, 16 * count)
    out = bytearray(16 * count)
    base, limit = t.base, t.limit
    for at in range(0, 16 * count, 16):
        start, size = _IOV.unpack_from(data, at)
        if size >> 63:
            raise Refusal(EINVAL)
        # An empty piece never faults; one that starts inside and ends outside ends in the guard and does.
        _IOV.pack_into(
            out, at, base + start if start < limit else t.bad, size if start < limit else min(size, 1 << 30)
        )
    return t.place(bytes(out))


def _vectored(name: str, t: Thread, fd: int, iov: int, count: int, *rest: int) -> int:
    count &= 0xFFFFFFFFFFFFFFFF
    return t.host(t.process.numbers[name], fd, vectors(t, iov, count), count, *rest)


def sys_readv(t: Thread, fd: int, iov: int, count: int, *_: int) -> int:
    """readv."""
    return _vectored("readv", t, fd, iov, count)


def sys_writev(t: Thread, fd: int, iov: int, count: int, *_: int) -> int:
    """writev."""
    return _vectored("writev", t, fd, iov, count)


def sys_preadv(t: Thread, fd: int, iov: int, count: int, low: int, high: int, *_: int) -> int:
    """preadv."""
    return _vectored("preadv", t, fd, iov, count, low, high)


def sys_pwritev(t: Thread, fd: int, iov: int, count: int, low: int, high: int, *_: int) -> int:
    """pwritev."""
    return _vectored("pwritev", t, fd, iov, count, low, high)


def sys_preadv2(t: Thread, fd: int, iov: int, count: int, low: int, high: int, flags: int) -> int:
    """preadv2."""
    return _vectored("preadv2", t, fd, iov, count, low, high, flags)


def sys_pwritev2(t: Thread, fd: int, iov: int, count: int, low: int, high: int, flags: int) -> int:
    """pwritev2."""
    return _vectored("pwritev2", t, fd, iov, count, low, high, flags)


def sys_vmsplice(t: Thread, fd: int, iov: int, count: int, flags: int, *_: int) -> int:
    """vmsplice."""
    return _vectored("vmsplice", t, fd, iov, count, flags)
