"""Sleeping, which goes on with the time that is left when nothing came for the guest, and timers with signals."""

from __future__ import annotations

from _struct import Struct

from polyvm.user import signals
from polyvm.user.paths import signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EINTR, EFAULT, EINVAL = 4, 14, 22
TIMER_ABSTIME = 1
CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
_TIME = Struct("<qq")
_EVENT = Struct("<Qiii")
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 0, 1, 2, 4


def _sleep(
    t: Thread, name: str, before: tuple[int, ...], request: int, remaining: int, absolute: bool
) -> int:
    data = t.space.read(request, 16)
    left = t.place(b"", 16)
    number = t.process.numbers[name]
    where = t.place(data)
    first = True
    while True:
        result = t.host(number, *before, where, left)
        if result == 0 or (
            result < 0 and result not in (-EINTR, signals.ERESTARTSYS, signals.ERESTARTNOINTR)
        ):
            return result
        if result == signals.ERESTARTNOINTR and first:
            return result
        if result == -EINTR and not absolute:
            t.view[where - t.scratch : where - t.scratch + 16] = t.placed(left, 16)
        first = False
        if signals.must_return(t):
            if remaining and not absolute:
                t.space.write(remaining, t.placed(where, 16))
            return -EINTR


def sys_nanosleep(t: Thread, request: int, remaining: int, *_: int) -> int:
    """nanosleep."""
    return _sleep(t, "nanosleep", (), request, remaining, False)


def sys_clock_nanosleep(t: Thread, clock: int, flags: int, request: int, remaining: int, *_: int) -> int:
    """clock_nanosleep."""
    return _sleep(t, "clock_nanosleep", (clock, flags), request, remaining, bool(flags & TIMER_ABSTIME))


def sys_timer_create(t: Thread, clock: int, event: int, out: int, *_: int) -> int:
    """timer_create. A thread that SIGEV_THREAD_ID names must be the guest's."""
    if event:
        _, _, notify, tid = _EVENT.unpack(t.space.read(event, _EVENT.size))
        if notify & SIGEV_THREAD_ID and tid not in [thread.tid for thread in t.process.world.threads]:
            return -EINVAL
    return t.host(t.process.numbers["timer_create"], clock, t.pointer(event), t.pointer(out) or t.bad)


def sys_timer_delete(t: Thread, timer: int, *_: int) -> int:
    """timer_delete."""
    return t.host(t.process.numbers["timer_delete"], signed(timer))
