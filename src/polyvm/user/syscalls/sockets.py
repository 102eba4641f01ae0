"""Sockets: addresses below a root, messages with their vectors, and the options that carry no pointers.

Options whose structures hold addresses (socket filters, zero-copy receive, netfilter, packet rings) are refused with
ENOPROTOOPT: the host would read its own memory through them.
"""

from __future__ import annotations

import os
from _struct import Struct

from polyvm.user.paths import AT_FDCWD, signed
from polyvm.user.syscalls.descriptors import vectors
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.user.root import Root
    from polyvm.user.thread import Thread

EBADF, EFAULT, EINVAL, ENAMETOOLONG, EMSGSIZE, ENOPROTOOPT, ECONNREFUSED, EPERM = (
    9,
    14,
    22,
    36,
    90,
    92,
    111,
    1,
)
AF_UNIX = 1
UNIX_MAX = 108
ADDRESS_MAX = 128
SOL_SOCKET, SCM_RIGHTS = 1, 1
CONTROL_MAX = 65536
MSG_WAITFORONE = 0x10000
VLEN_MAX = 1024

_MSG = Struct("<QI4xQQQQI4x")
_MMSG_BYTES = _MSG.size + 8
_CMSG = Struct("<QII")

# Levels whose options carry no pointers, with the exceptions: options that do, or the first that do.
_LEVELS = {
    SOL_SOCKET: frozenset((26, 50, 51, 52)),  # SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF
    6: frozenset((35,)),  # TCP_ZEROCOPY_RECEIVE
    17: frozenset(),
    58: frozenset(),
    136: frozenset(),
    255: frozenset(),
    270: frozenset(),  # netlink
}
_LEVELS_BELOW = {0: 64, 41: 64}  # IP and IPv6: netfilter's options start at 64


def _option_allowed(level: int, option: int) -> bool:
    if level in _LEVELS_BELOW:
        return 0 <= option < _LEVELS_BELOW[level]
    return level in _LEVELS and option not in _LEVELS[level]


def sys_setsockopt(t: Thread, fd: int, level: int, option: int, value: int, size: int, *_: int) -> int:
    """setsockopt."""
    if not _option_allowed(signed(level), signed(option)):
        return -ENOPROTOOPT
    return t.host(t.process.numbers["setsockopt"], fd, level, option, t.pointer(value), size)


def sys_getsockopt(t: Thread, fd: int, level: int, option: int, value: int, size: int, *_: int) -> int:
    """getsockopt."""
    if not _option_allowed(signed(level), signed(option)):
        return -ENOPROTOOPT
    return t.host(t.process.numbers["getsockopt"], fd, level, option, t.pointer(value), t.pointer(size))


def _address(
    t: Thread, address: int, size: int, taken: list[int], *, creates: bool = False
) -> tuple[int, int]:
    """(host address, size) of a socket address that the guest hands in. Names of Unix sockets are file names."""
    size = signed(size)
    paths = t.process.paths
    if size <= 2 or not address or (paths.root is None and paths.sysroot is None):
        return t.pointer(address), size
    if size > ADDRESS_MAX:
        raise Refusal(EINVAL)
    data = t.space.read(address, size)
    if int.from_bytes(data[:2], "little") != AF_UNIX:
        return t.place(data), size
    name = data[2:].split(b"\0", 1)[0]
    if not name:
        if paths.root is not None:
            raise Refusal(
                EPERM if creates else ECONNREFUSED
            )  # abstract names belong to everybody on the host
        return t.place(data), size
    at, found = paths.lookup(AT_FDCWD, name, not creates, taken, writes=creates)
    # The kernel keeps a socket's name as it was given, and tells it to everybody: one without a directory is left so.
    if at != AT_FDCWD and not (creates and found == name):
        found = _host_name(paths.root, at, found, name if creates else None)
    if len(found) > UNIX_MAX:
        raise Refusal(ENAMETOOLONG)
    return t.place(data[:2] + found + b"\0"), 2 + len(found) + 1


def _host_name(root: Root | None, at: int, last: bytes, name: bytes | None) -> bytes:
    """The name of a socket in an open directory; with the guest's own, the one that stands for this and no other."""
    found = b"/proc/self/fd/%d/%s" % (at, last)
    if root is not None and name is not None:
        while root.sockets.setdefault(found, name) != name:  # descriptors are used again
            found = b"%s/./%s" % (found[: -len(last) - 1], last)
    return found


def _told(root: Root, data: bytes) -> bytes:
    """A socket address in the guest's words; the last part of its name where another process made it."""
    if int.from_bytes(data[:2], "little") != AF_UNIX or not data.startswith(b"/proc/self/fd/", 2):
        return data
    name = data[2:].split(b"\0", 1)[0]
    return data[:2] + root.sockets.get(name, name.rpartition(b"/")[2]) + b"\0"


def _named(t: Thread, address: int, size: int, call: Callable[[int, int], int]) -> int:
    """Make a call that gives a socket's address: it gets host addresses of the room for it and of its size."""
    root = t.process.paths.root
    room = signed(t.space.read_u32(size)) if root is not None and address else -1
    if root is None or room < 0:
        return call(t.pointer(address), t.pointer(size))
    where, length = t.place(b"", ADDRESS_MAX), t.place(ADDRESS_MAX.to_bytes(4, "little"))
    result = call(where, length)
    if result >= 0:
        given = int.from_bytes(t.placed(length, 4), "little")
        name = _told(root, t.placed(where, min(given, ADDRESS_MAX)))
        t.space.write(address, name[:room])
        t.space.write_u32(size, len(name))
    return result


def _close(taken: list[int]) -> None:
    for fd in taken:
        os.close(fd)


def sys_bind(t: Thread, fd: int, address: int, size: int, *_: int) -> int:
    """bind."""
    taken: list[int] = []
    try:
        where, size = _address(t, address, size, taken, creates=True)
        return t.host(t.process.numbers["bind"], fd, where, size)
    finally:
        _close(taken)


def sys_connect(t: Thread, fd: int, address: int, size: int, *_: int) -> int:
    """connect."""
    taken: list[int] = []
    try:
        where, size = _address(t, address, size, taken)
        return t.host(t.process.numbers["connect"], fd, where, size)
    finally:
        _close(taken)


def sys_sendto(
    t: Thread, fd: int, buffer: int, size: int, flags: int, address: int, address_size: int
) -> int:
    """sendto."""
    taken: list[int] = []
    try:
        where, address_size = _address(t, address, address_size, taken)
        return t.host(t.process.numbers["sendto"], fd, t.pointer(buffer), size, flags, where, address_size)
    finally:
        _close(taken)


def sys_recvfrom(
    t: Thread, fd: int, buffer: int, size: int, flags: int, address: int, address_size: int
) -> int:
    """recvfrom."""
    number, data = t.process.numbers["recvfrom"], t.pointer(buffer)
    return _named(
        t, address, address_size, lambda where, length: t.host(number, fd, data, size, flags, where, length)
    )


def sys_accept(t: Thread, fd: int, address: int, size: int, *_: int) -> int:
    """accept."""
    number = t.process.numbers["accept"]
    return _named(t, address, size, lambda where, length: t.host(number, fd, where, length))


def sys_accept4(t: Thread, fd: int, address: int, size: int, flags: int, *_: int) -> int:
    """accept4."""
    number = t.process.numbers["accept4"]
    return _named(t, address, size, lambda where, length: t.host(number, fd, where, length, flags))


def sys_getsockname(t: Thread, fd: int, address: int, size: int, *_: int) -> int:
    """getsockname."""
    number = t.process.numbers["getsockname"]
    return _named(t, address, size, lambda where, length: t.host(number, fd, where, length))


def sys_getpeername(t: Thread, fd: int, address: int, size: int, *_: int) -> int:
    """getpeername."""
    number = t.process.numbers["getpeername"]
    return _named(t, address, size, lambda where, length: t.host(number, fd, where, length))


class _Message:
    """A guest's msghdr, rebuilt for the host."""

    __slots__ = ("guest", "host", "name", "room")

    def __init__(self, t: Thread, guest: int, taken: list[int], *, sends: bool) -> None:
        name, name_size, iov, iov_count, control, control_size, flags = _MSG.unpack(
            t.space.read(guest, _MSG.size)
        )
        if iov_count > 1024:
            raise Refusal(EMSGSIZE)
        where = t.pointer(name)
        self.name, self.room = (
            0,
            signed(name_size),
        )  # where the name goes, if it must be told in the guest's words
        if sends and name:
            where, name_size = _address(t, name, name_size, taken)
        elif name and t.process.paths.root is not None and self.room >= 0:
            self.name, where, name_size = name, t.place(b"", ADDRESS_MAX), ADDRESS_MAX
        pieces = vectors(t, iov, iov_count)
        place = t.pointer(control)
        if sends and control and control_size:
            place = t.place(self._checked(t, control, control_size))
        self.guest = guest
        self.host = t.place(
            _MSG.pack(where, name_size & 0xFFFFFFFF, pieces, iov_count, place, control_size, flags)
        )

    @staticmethod
    def _checked(t: Thread, control: int, size: int) -> bytes:
        """Control data to send, which must not hand out our own descriptors."""
        if size > CONTROL_MAX:
            raise Refusal(105)  # ENOBUFS
        data = t.space.read(control, size)
        at = 0
        while at + _CMSG.size <= size:
            length, level, kind = _CMSG.unpack_from(data, at)
            if length < _CMSG.size or at + length > size:
                break
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                for place in range(at + _CMSG.size, at + length - 3, 4):
                    if int.from_bytes(data[place : place + 4], "little") in t.process.hidden:
                        raise Refusal(EBADF)
            at += (length + 7) & ~7
        return data

    def write_back(self, t: Thread) -> None:
        """What recvmsg changes in the guest's structure: the sizes and the flags."""
        data = t.placed(self.host, _MSG.size)
        size = data[8:12]
        root = t.process.paths.root
        if self.name and root is not None:
            where, given = int.from_bytes(data[:8], "little"), int.from_bytes(size, "little")
            name = _told(root, t.placed(where, min(given, ADDRESS_MAX)))
            t.space.write(self.name, name[: self.room])
            size = len(name).to_bytes(4, "little")
        t.space.write(self.guest + 8, size)
        t.space.write(self.guest + 40, data[40:52])


def sys_sendmsg(t: Thread, fd: int, message: int, flags: int, *_: int) -> int:
    """sendmsg."""
    taken: list[int] = []
    try:
        return t.host(t.process.numbers["sendmsg"], fd, _Message(t, message, taken, sends=True).host, flags)
    finally:
        _close(taken)


def sys_recvmsg(t: Thread, fd: int, message: int, flags: int, *_: int) -> int:
    """recvmsg."""
    made = _Message(t, message, [], sends=False)
    result = t.host(t.process.numbers["recvmsg"], fd, made.host, flags)
    if result >= 0:
        made.write_back(t)
    return result


def sys_sendmmsg(t: Thread, fd: int, messages: int, count: int, flags: int, *_: int) -> int:
    """sendmmsg, one message after the other."""
    number = t.process.numbers["sendmsg"]
    done = 0
    for i in range(min(count & 0xFFFFFFFF, VLEN_MAX)):
        taken: list[int] = []
        at = messages + i * _MMSG_BYTES
        t.top = 0
        try:
            result = t.host(number, fd, _Message(t, at, taken, sends=True).host, flags)
        finally:
            _close(taken)
        if result < 0:
            return done or result
        t.space.write_u32(at + _MSG.size, result)
        done += 1
    return done


def sys_recvmmsg(t: Thread, fd: int, messages: int, count: int, flags: int, timeout: int, *_: int) -> int:
    """recvmmsg, one message after the other; the timeout is looked at between them, as in Linux."""
    from time import monotonic

    number = t.process.numbers["recvmsg"]
    until = None
    if timeout:
        seconds, nanoseconds = Struct("<qq").unpack(t.space.read(timeout, 16))
        if seconds < 0 or not 0 <= nanoseconds < 1_000_000_000:
            return -EINVAL
        until = monotonic() + seconds + nanoseconds / 1e9
    done = 0
    for i in range(min(count & 0xFFFFFFFF, VLEN_MAX)):
        at = messages + i * _MMSG_BYTES
        t.top = 0
        made = _Message(t, at, [], sends=False)
        result = t.host(number, fd, made.host, flags & ~MSG_WAITFORONE)
        if result < 0:
            return done or result
        made.write_back(t)
        t.space.write_u32(at + _MSG.size, result)
        done += 1
        if flags & MSG_WAITFORONE:
            flags |= 0x40  # MSG_DONTWAIT
        if until is not None and monotonic() >= until:
            break
    return done
