"""Futexes on the host's own, at the host address of the guest's word; robust lists, walked by us when a thread ends."""

from __future__ import annotations

from _struct import Struct

from polyvm.memory.access import GuestFault
from polyvm.user.paths import signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EPERM, ESRCH, EFAULT, EINVAL, ENOSYS = 1, 3, 14, 22, 38
(WAIT, WAKE, _FD, REQUEUE, CMP_REQUEUE, WAKE_OP, LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_BITSET, WAKE_BITSET) = (
    range(11)
)
WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2 = 11, 12, 13
COMMAND = 0x7F
_TIMED = frozenset((WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2))
_TWO = frozenset((REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_REQUEUE_PI, CMP_REQUEUE_PI))

FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_TID_MASK = 0x80000000, 0x40000000, 0x3FFFFFFF
ROBUST_LIST_LIMIT = 2048
_HEAD = Struct("<QqQ")


def sys_futex(t: Thread, address: int, op: int, value: int, timeout: int, address2: int, value3: int) -> int:
    """futex."""
    command = op & COMMAND
    if command > LOCK_PI2 or command == _FD:
        return -ENOSYS
    if address & 3:
        return -EINVAL
    fourth = t.pointer(timeout) if command in _TIMED else timeout
    second = t.pointer(address2) or t.bad if command in _TWO else 0
    if command in _TWO and address2 & 3:
        return -EINVAL
    return t.host(t.process.numbers["futex"], t.pointer(address) or t.bad, op, value, fourth, second, value3)


def sys_set_robust_list(t: Thread, head: int, size: int, *_: int) -> int:
    """set_robust_list: kept here, for the kernel must not follow guest pointers."""
    if size != _HEAD.size:
        return -EINVAL
    t.robust = head
    return 0


def sys_get_robust_list(t: Thread, pid: int, head: int, size: int, *_: int) -> int:
    """get_robust_list, of threads of this process."""
    pid = signed(pid)
    for thread in t.process.world.threads:
        if pid in (0, thread.tid) and (pid or thread is t):
            t.space.write_u64(size, _HEAD.size)
            t.space.write_u64(head, thread.robust)
            return 0
    return -EPERM if pid and t.process.plain_syscall("kill", pid, 0) == 0 else -ESRCH


def wake(t: Thread, address: int, count: int) -> None:
    """FUTEX_WAKE, not private, as the kernel itself wakes."""
    t.process.plain_syscall("futex", t.pointer(address) or t.bad, WAKE, count, 0, 0, 0)


def thread_ends(t: Thread) -> None:
    """What the kernel does with a thread's futexes when it ends or calls execve (mm_release)."""
    if t.robust:
        try:
            _robust_list(t)
        except GuestFault:
            pass  # as the kernel: the list of a careless guest is left alone
        t.robust = 0
    if t.clear_tid:
        try:
            t.space.write_u32(t.clear_tid, 0)
        except GuestFault:
            return
        wake(t, t.clear_tid, 1)
        t.clear_tid = 0


def _robust_list(t: Thread) -> None:
    """Mark every lock on the list as abandoned and wake a waiter (kernel: exit_robust_list)."""
    entry, offset, pending = _HEAD.unpack(t.space.read(t.robust, _HEAD.size))
    limit = ROBUST_LIST_LIMIT
    while entry & ~1 != t.robust and limit:
        limit -= 1
        following = t.space.read_u64(entry & ~1)
        if entry & ~1 != pending & ~1:
            _abandon(t, (entry & ~1) + offset, bool(entry & 1), pending_op=False)
        entry = following
    if pending & ~1:
        _abandon(t, (pending & ~1) + offset, bool(pending & 1), pending_op=True)


def _abandon(t: Thread, address: int, pi: bool, *, pending_op: bool) -> None:
    """One lock (kernel: handle_futex_death)."""
    if address & 3:
        return
    value = t.space.read_u32(address)
    if pending_op and not pi and not value & FUTEX_TID_MASK:
        wake(t, address, 1)
        return
    if value & FUTEX_TID_MASK != t.tid:
        return
    while True:
        new = value & FUTEX_WAITERS | FUTEX_OWNER_DIED
        seen = t.process.compare_and_swap(t, address, value, new)
        if seen == value:
            break
        value = seen
    if not pi and value & FUTEX_WAITERS:
        wake(t, address, 1)
