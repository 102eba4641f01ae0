"""Calls about signals: dispositions, masks, sending and waiting."""

from __future__ import annotations

from _struct import Struct

from polyvm.user import signals
from polyvm.user.paths import signed
from polyvm.user.signals import NSIG, SA_RESTORER, SIGKILL, SIGSTOP, UNBLOCKABLE, UNCATCHABLE, Action

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EPERM, ESRCH, EINTR, EAGAIN, EINVAL = 1, 3, 4, 11, 22
SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2
SA_KNOWN = 0xDC000007 | 0x400 | 0x800  # with SA_EXPOSE_TAGBITS; SA_UNSUPPORTED is never reported back
SA_UNSUPPORTED = 0x400

_ACTION = Struct("<QQQ")
_ACTION_RESTORER = Struct("<QQQQ")
_STACK = Struct("<Qi4xQ")
_TIME = Struct("<qq")


def sys_rt_sigaction(t: Thread, signo: int, new: int, old: int, size: int, *_: int) -> int:
    """rt_sigaction."""
    signo = signed(signo)
    if size != 8 or not 0 < signo <= NSIG:
        return -EINVAL
    actions = t.process.actions
    before = actions.table[signo]
    action = None
    restorer = t.process.abi.SIGACTION_RESTORER
    if new:
        if signo in (SIGKILL, SIGSTOP):
            return -EINVAL
        if restorer:
            handler, flags, function, mask = _ACTION_RESTORER.unpack(t.space.read(new, 32))
        else:
            handler, flags, mask = _ACTION.unpack(t.space.read(new, 24))
            function = 0
        action = Action(handler, flags & ~SA_UNSUPPORTED & 0xFFFFFFFF, mask & ~UNCATCHABLE, function)
    if old:
        told = (before.handler, before.flags, before.restorer, before.mask)
        if restorer:
            t.space.write(old, _ACTION_RESTORER.pack(*told))
        else:
            t.space.write(old, _ACTION.pack(told[0], told[1] & ~SA_RESTORER, told[3]))
    if action is not None:
        with t.process.world.lock:
            actions.set(signo, action)
        ignored = action.handler == signals.SIG_IGN
        if ignored or (action.handler == signals.SIG_DFL and signo in signals.IGNORED_BY_DEFAULT):
            for thread in list(t.process.world.threads):  # POSIX: what is pending is gone
                thread.pending[:] = [p for p in thread.pending if p[0] != signo]
    return 0


def sys_rt_sigprocmask(t: Thread, how: int, new: int, old: int, size: int, *_: int) -> int:
    """rt_sigprocmask."""
    if size != 8:
        return -EINVAL
    before = t.mask
    if new:
        value = t.space.read_u64(new) & ~UNCATCHABLE
        how = signed(how)
        if how == SIG_BLOCK:
            value |= before
        elif how == SIG_UNBLOCK:
            value = before & ~value
        elif how != SIG_SETMASK:
            return -EINVAL
        if value != before:
            signals.set_mask(t, value)
    if old:
        t.space.write_u64(old, before)
    return 0


def sys_rt_sigpending(t: Thread, out: int, size: int, *_: int) -> int:
    """rt_sigpending: what the kernel holds and what waits here."""
    if size > 8:
        return -EINVAL
    signals.collect(t)
    here = t.place(b"", 8)
    result = t.process.plain_syscall("rt_sigpending", here, 8)
    if result < 0:
        return result
    bits = int.from_bytes(t.placed(here, 8), "little")
    for signo, _info in t.pending:
        bits |= 1 << signo - 1
    t.space.write(out, (bits & t.mask).to_bytes(8, "little")[:size])
    return 0


def sys_rt_sigsuspend(t: Thread, mask: int, size: int, *_: int) -> int:
    """rt_sigsuspend."""
    if size != 8:
        return -EINVAL
    value = t.space.read_u64(mask) & ~UNCATCHABLE
    t.lend_mask(value)
    if signals.deliverable(t, value):
        return -EINTR
    here = t.place((value & ~UNBLOCKABLE).to_bytes(8, "little"))
    while True:
        t.host(t.process.numbers["rt_sigsuspend"], here, 8)
        if signals.must_return(t):
            return -EINTR


def sys_rt_sigtimedwait(t: Thread, mask: int, info: int, timeout: int, size: int, *_: int) -> int:
    """rt_sigtimedwait, for signals that the guest has blocked, as it must."""
    if size != 8:
        return -EINVAL
    wanted = t.space.read_u64(mask) & ~UNCATCHABLE
    if timeout:
        seconds, nanoseconds = _TIME.unpack(t.space.read(timeout, 16))
        if seconds < 0 or not 0 <= nanoseconds < 1_000_000_000:
            return -EINVAL
    found = _take(t, wanted)
    if found is None:
        out = t.place(b"", 128)
        here = t.place((wanted & ~UNBLOCKABLE).to_bytes(8, "little"))
        result = t.host(t.process.numbers["rt_sigtimedwait"], here, out, t.pointer(timeout), 8)
        if result < 0:
            found = _take(t, wanted) if result != -EAGAIN else None
            if found is None:
                return -EINTR if result <= -512 else result
        else:
            found = (result, t.placed(out, 128))
    if info:
        t.space.write(info, found[1])
    return found[0]


def _take(t: Thread, wanted: int) -> tuple[int, bytes] | None:
    """A pending signal that waits here and not in the kernel."""
    signals.collect(t)
    for i, (signo, _) in enumerate(t.pending):
        if wanted >> signo - 1 & 1:
            return t.pending.pop(i)
    return None


def sys_sigaltstack(t: Thread, new: int, old: int, *_: int) -> int:
    """sigaltstack."""
    here = t.process.abi.stack_pointer(t.cpu)
    state = signals.altstack_state(t, here) | t.altstack_flags & signals.SS_AUTODISARM
    told = (t.altstack_sp, state - (1 << 32) if state >> 31 else state, t.altstack_size)
    if new:
        sp, flags, size = _STACK.unpack(t.space.read(new, 24))
        result = signals.set_altstack(t, sp, flags & 0xFFFFFFFF, size, here)
        if result:
            return result
    if old:
        t.space.write(old, _STACK.pack(*told))
    return 0


def sys_rt_sigreturn(t: Thread, *_: int) -> None:
    """rt_sigreturn."""
    signals.sigreturn(t)


def sys_kill(t: Thread, pid: int, signo: int, *_: int) -> int:
    """kill."""
    return t.host(t.process.numbers["kill"], pid, signo)


def sys_tkill(t: Thread, tid: int, signo: int, *_: int) -> int:
    """tkill."""
    return t.host(t.process.numbers["tkill"], tid, signo)


def sys_tgkill(t: Thread, pid: int, tid: int, signo: int, *_: int) -> int:
    """tgkill."""
    return t.host(t.process.numbers["tgkill"], pid, tid, signo)


KICK, SI_QUEUE = signals.KICK, signals.SI_QUEUE


def _kick_in_disguise(t: Thread, signo: int, info: int) -> bool:
    """Whether a guest sends what the engine would take for its own kick: this signal with a thread state's address."""
    if signed(signo) != KICK:
        return False
    data = t.space.read(info, 128)
    value = int.from_bytes(data[24:32], "little")
    return signals.info_code(data) == SI_QUEUE and any(
        value == other.cpu.st for other in t.process.world.threads
    )


def sys_rt_sigqueueinfo(t: Thread, pid: int, signo: int, info: int, *_: int) -> int:
    """rt_sigqueueinfo."""
    if _kick_in_disguise(t, signo, info):
        return -EPERM
    return t.host(t.process.numbers["rt_sigqueueinfo"], pid, signo, t.pointer(info))


def sys_rt_tgsigqueueinfo(t: Thread, pid: int, tid: int, signo: int, info: int, *_: int) -> int:
    """rt_tgsigqueueinfo."""
    if _kick_in_disguise(t, signo, info):
        return -EPERM
    return t.host(t.process.numbers["rt_tgsigqueueinfo"], pid, tid, signo, t.pointer(info))


def sys_pidfd_send_signal(t: Thread, pidfd: int, signo: int, info: int, flags: int, *_: int) -> int:
    """pidfd_send_signal."""
    if info and _kick_in_disguise(t, signo, info):
        return -EPERM
    return t.host(t.process.numbers["pidfd_send_signal"], pidfd, signo, t.pointer(info), flags)
