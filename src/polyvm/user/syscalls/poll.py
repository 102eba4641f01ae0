"""Waiting for descriptors: epoll, ppoll, pselect6, signalfd, with the signal mask that goes with them."""

from __future__ import annotations

from _struct import Struct

from polyvm.user import signals
from polyvm.user.hostabi import EPOLL_EVENT, EPOLL_EVENT_GENERIC
from polyvm.user.paths import signed
from polyvm.user.signals import UNBLOCKABLE, UNCATCHABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.user.thread import Thread

EINTR, EBADF, EINVAL = 4, 9, 22
EPOLL_CTL_DEL = 2
MAX_EVENTS = 16384  # what fits into scratch; asking for more only means more calls
_PAIR = Struct("<QQ")


def with_mask(t: Thread, mask: int, size: int, call: Callable[[int], int]) -> int:
    """Make a call with another signal mask for its length, atomically; call gets the mask's host address, or 0."""
    if not mask:
        return call(0)
    if size != 8:
        return -EINVAL
    value = t.space.read_u64(mask) & ~UNCATCHABLE
    t.lend_mask(value)
    if signals.deliverable(t, value):
        return signals.ERESTARTNOHAND
    result = call(t.place((value & ~UNBLOCKABLE).to_bytes(8, "little")))
    if result != -EINTR:
        t.return_mask()
    return result


def sys_epoll_ctl(t: Thread, epfd: int, op: int, fd: int, event: int, *_: int) -> int:
    """epoll_ctl; the event is packed on x86 alone."""
    number = t.process.numbers["epoll_ctl"]
    if signed(op) == EPOLL_CTL_DEL:
        return t.host(number, epfd, op, fd, 0)
    data = EPOLL_EVENT.pack(*EPOLL_EVENT_GENERIC.unpack(t.space.read(event, 16)))
    return t.host(number, epfd, op, fd, t.place(data))


def _epoll(
    t: Thread, name: str, epfd: int, events: int, most: int, timeout: int, mask: int, size: int
) -> int:
    most = signed(most)
    if most <= 0:
        return -EINVAL
    most = min(most, MAX_EVENTS)
    number = t.process.numbers[name]
    out = t.place(b"", most * EPOLL_EVENT.size)
    result = with_mask(t, mask, size, lambda where: t.host(number, epfd, out, most, timeout, where, 8))
    if result > 0:
        data = t.placed(out, result * EPOLL_EVENT.size)
        t.space.write(
            events, b"".join(EPOLL_EVENT_GENERIC.pack(*one) for one in EPOLL_EVENT.iter_unpack(data))
        )
    return result


def sys_epoll_pwait(t: Thread, epfd: int, events: int, most: int, timeout: int, mask: int, size: int) -> int:
    """epoll_pwait."""
    return _epoll(t, "epoll_pwait", epfd, events, most, timeout, mask, size)


def sys_epoll_pwait2(t: Thread, epfd: int, events: int, most: int, timeout: int, mask: int, size: int) -> int:
    """epoll_pwait2."""
    return _epoll(t, "epoll_pwait2", epfd, events, most, t.pointer(timeout), mask, size)


def sys_ppoll(t: Thread, fds: int, count: int, timeout: int, mask: int, size: int, *_: int) -> int:
    """ppoll."""
    number = t.process.numbers["ppoll"]
    pointers = t.pointer(fds), t.pointer(timeout)
    return with_mask(t, mask, size, lambda where: t.host(number, pointers[0], count, pointers[1], where, 8))


def sys_pselect6(
    t: Thread, count: int, reads: int, writes: int, excepts: int, timeout: int, mask: int
) -> int:
    """pselect6, whose last argument points to a mask and its size."""
    number = t.process.numbers["pselect6"]
    sets = [t.pointer(p) for p in (reads, writes, excepts, timeout)]
    at, size = _PAIR.unpack(t.space.read(mask, 16)) if mask else (0, 8)

    def call(where: int) -> int:
        return t.host(number, count, *sets, t.place(_PAIR.pack(where, 8)) if where else 0)

    return with_mask(t, at, size, call)


def sys_signalfd4(t: Thread, fd: int, mask: int, size: int, flags: int, *_: int) -> int:
    """signalfd4."""
    if size != 8:
        return -EINVAL
    if signed(fd) in t.process.hidden:
        return -EBADF
    where = t.place(t.space.read(mask, 8))
    return t.host(t.process.numbers["signalfd4"], fd, where, 8, flags)
