"""Whose signals are whose: installs the native handler, keeps it installed, and drains what it queued.

The handler itself is native (emit.host_*): guest faults end a run with an exact guest PC, signals for the guest go to
the queue of its thread and stop it at a safepoint, and all else goes to whoever had the signal before. No Python
handler takes part. It refuses to hide anything: a fault that is not the guest's is never ours.
"""

from __future__ import annotations

import _thread
import os
import sys
from _struct import Struct

from polyvm.engine import layout
from polyvm.engine import native as natives
from polyvm.engine.layout import LATER_VALID, POLICY_CHAIN, POLICY_QUEUE, PR, ST
from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.engine.native import Native

SIGTRAP, SIGBUS, SIGSEGV = 5, 7, 11
WATCHED = (SIGSEGV, SIGBUS)
ENGINE = (SIGSEGV, SIGBUS, SIGTRAP, natives.KICK_SIGNO)
_SIG_SETMASK = 2
_SA_SIGINFO, _SA_RESTORER, _SA_ONSTACK, _SA_RESTART = 4, 0x04000000, 0x08000000, 0x10000000
_SS_DISABLE = 2

# glibc's and musl's struct sigaction and stack_t, on x86-64 and arm64.
_ACTION = Struct("<Q128si4xQ")
_STACK = Struct("<QiiQ")
_EVERY = b"\xff" * 8
_PAIR = Struct("<II")
_LOST = Struct("<QII")
_RECORD = Struct("<QQI")
_ENTRY = Struct("<QQ")

_sigaction = host.native(host.symbol("sigaction"), 3)
_sigaltstack = host.native(host.symbol("sigaltstack"), 2)
_sigmask = host.native(host.symbol("pthread_sigmask"), 3)

_PAGE = 4096
_lock = _thread.RLock()
_taken: dict[int, int] = {}  # signal -> extra flags, in the order they were taken
_masks: dict[int, bytes] = {}  # of the actions that were displaced last
_local = _thread._local()
_forks_watched = False


def _map(size: int) -> int:
    at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    if at < 0:
        raise PolyvmError("PVM-RESOURCE", "The host has no memory for a signal stack.", size=size, errno=-at)
    return at


class _Mine:
    """What a host thread has of ours: a page for libc's structures, and an alternate stack. It goes with the thread."""

    __slots__ = ("pid", "scratch", "stack", "tid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.tid = _thread.get_native_id()
        self.stack = 0
        self.scratch = _map(_PAGE)

    def alternate(self, st: int) -> int:
        """Make our alternate stack this thread's, and st's; its base."""
        if not self.stack:
            at = _map(_PAGE + layout.ALT_SIZE)
            host.mprotect(at, _PAGE, host.PROT_NONE)
            self.stack = at + _PAGE
            host.poke(self.stack, _RECORD.pack(layout.ALT_MAGIC, 0, self.tid))
        host.poke(self.scratch, _STACK.pack(self.stack, 0, 0, layout.ALT_SIZE))
        if _sigaltstack(self.scratch, 0) & 0xFFFFFFFF:
            raise PolyvmError("PVM-INTERNAL", "The host refuses an alternate signal stack.")
        host.poke(st + ST["altstack"], self.stack.to_bytes(8, "little"))
        return self.stack

    def forked(self) -> None:
        """This is the child, and its only thread, which is another one for the kernel."""
        self.pid = os.getpid()
        self.tid = _thread.get_native_id()
        if self.stack:
            tid = self.tid.to_bytes(4, "little")
            host.poke(self.stack + layout.ALT_TID, tid)
            st = int.from_bytes(host.peek(self.stack + layout.ALT_STATE, 8), "little")
            if st:
                host.poke(st + ST["tid"], tid)

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if ending():
            return
        # A thread's storage is cleared by itself; in the child of a fork, by the one that is left.
        if self.tid == _thread.get_native_id():
            if self.stack:
                host.poke(self.scratch, _STACK.pack(0, _SS_DISABLE, 0, 0))
                _sigaltstack(self.scratch, 0)
        elif self.pid == os.getpid():
            return  # the interpreter is ending under a thread that still runs
        host.munmap(self.scratch, _PAGE)
        if self.stack:
            host.munmap(self.stack - _PAGE, _PAGE + layout.ALT_SIZE)


def _mine() -> _Mine:
    mine: _Mine | None = getattr(_local, "mine", None)
    if mine is None:
        mine = _local.mine = _Mine()
    return mine


def action(signo: int) -> tuple[int, int, bytes]:
    """The host's present handler (0 default, 1 ignored), flags and mask for a signal."""
    at = _mine().scratch
    if _sigaction(signo, 0, at) & 0xFFFFFFFF:
        raise PolyvmError("PVM-INTERNAL", f"The host has no signal {signo}.")
    handler, mask, flags, _ = _ACTION.unpack(host.peek(at, _ACTION.size))
    return handler, flags & ~_SA_RESTORER & 0xFFFFFFFF, mask[:8]  # the kernel knows 64 signals


def set_action(signo: int, handler: int, flags: int, mask: bytes = bytes(8)) -> None:
    """Set the host's handler (0 default, 1 ignored) and flags for a signal, whoever has it."""
    at = _mine().scratch
    flags = flags - (1 << 32) if flags >> 31 else flags  # an int to C, and SA_RESETHAND is its highest bit
    host.poke(at, _ACTION.pack(handler, mask, flags, 0))
    if _sigaction(signo, at, 0) & 0xFFFFFFFF:
        raise PolyvmError("PVM-INTERNAL", f"The host refuses a handler for signal {signo}.")


def install() -> None:
    """Take the signals that the engine lives on: SIGSEGV, SIGBUS, SIGTRAP and the kick. Needs a loaded image."""
    global _forks_watched
    with _lock:
        for signo in ENGINE:
            if signo not in _taken:
                take(signo, POLICY_CHAIN)
        if not _forks_watched:
            _forks_watched = True
            os.register_at_fork(after_in_child=_after_fork)


def take(signo: int, policy: int, flags: int = 0) -> None:
    """Have a signal handled natively by a policy (layout.POLICY_*); flags: SA_NOCLDSTOP and the like.

    Signals that are queued are installed with SA_RESTART, so that pv_syscall can tell a call that would be restarted
    from one that is interrupted; what is chained keeps the restart behaviour of the handler before.
    """
    with _lock:
        if not natives.loaded:
            raise PolyvmError("PVM-INTERNAL", "A signal was taken before native code was loaded.")
        first = natives.loaded[0]
        _taken[signo] = flags
        _policy(first, signo, policy)
        _install(first, signo, policy)
        _share()


def _policy(first: Native, signo: int, policy: int | None = None) -> int:
    at = PR["policy"] + signo
    if policy is not None:
        first.block[at] = policy
    return first.block[at]


def _install(first: Native, signo: int, policy: int) -> None:
    handler, old_flags, mask = action(signo)
    if handler != first.handler:
        at = PR["first"] + 16 * signo
        known = _ENTRY.unpack_from(first.block, at)[1] & LATER_VALID
        if known:
            at = PR["later"] + 16 * signo
        # Written before ours is installed: a signal may come at once.
        _ENTRY.pack_into(first.block, at, handler, old_flags | LATER_VALID)
        _masks[signo] = mask
    else:
        old_flags = _ENTRY.unpack_from(first.block, PR["first"] + 16 * signo)[1] & 0xFFFFFFFF
    restart = _SA_RESTART if policy & POLICY_QUEUE else old_flags & _SA_RESTART
    set_action(signo, first.handler, _SA_SIGINFO | _SA_ONSTACK | restart | _taken[signo], _EVERY)


def release(signo: int) -> None:
    """Give a signal back to whoever had it last before us; nothing if somebody took it from us meanwhile."""
    with _lock:
        if _taken.pop(signo, None) is None:
            return
        first = natives.loaded[0]
        entries = [_ENTRY.unpack_from(first.block, PR[name] + 16 * signo) for name in ("later", "first")]
        handler, flags = next(e for e in entries if e[1] & LATER_VALID)
        if action(signo)[0] == first.handler:
            set_action(signo, handler, flags & 0xFFFFFFFF, _masks.pop(signo))
        for name in ("later", "first"):
            _ENTRY.pack_into(first.block, PR[name] + 16 * signo, 0, 0)
        _policy(first, signo, 0)
        _share()


def uninstall() -> None:
    """Give every signal back."""
    for signo in list(_taken):
        release(signo)


def _share() -> None:
    """Tell every image what pv_run must re-check: the handler, and the signals that others like to take."""
    first = natives.loaded[0]
    # Who takes SIGTRAP or the kick from us takes these as well; one system call less for each run.
    # These two also when they were given back: the next run takes them again.
    others = [s for s in _taken if s not in ENGINE and not _policy(first, s) & POLICY_QUEUE]
    watched = [*WATCHED, *others][:15]
    for native in natives.loaded:
        native.set("handler", first.handler)
        native.set("watch", int.from_bytes(bytes(watched), "little"), 16)


def start_thread(body: Callable[..., object], *arguments: object) -> None:
    """Start a thread of ours that no signal ever meets: it begins with all of them blocked. Raises RuntimeError."""
    at = _mine().scratch
    host.poke(at, _EVERY + bytes(120))
    _sigmask(_SIG_SETMASK, at, at + 128)
    try:
        _thread.start_new_thread(body, arguments)
    finally:
        _sigmask(_SIG_SETMASK, at + 128, 0)


def set_main(tid: int) -> None:
    """The thread that gets guest signals which met a thread without a guest (POLICY_FORWARD); 0 for none."""
    natives.loaded[0].set("main_tid", tid, 4)


# ------------------------------------------------------------------------------------------------ threads


def own(st: int) -> None:
    """Put back what pv_run found lost: handlers that somebody replaced, and this thread's alternate stack."""
    install()
    with _lock:
        first = natives.loaded[0]
        _share()
        for signo in list(_taken):
            if action(signo)[0] != first.handler:
                _install(first, signo, _policy(first, signo))
    _mine().alternate(st)


def attach(st: int) -> None:
    """Make this thread the guest thread of a state: signals that it gets go to that state's queue from now on."""
    install()
    mine = _mine()
    base = mine.alternate(st)
    host.poke(base, _RECORD.pack(layout.ALT_MAGIC, st, mine.tid))
    host.poke(st + ST["tid"], mine.tid.to_bytes(4, "little"))


def detach() -> None:
    """End attach(): this thread belongs to no guest any more."""
    mine = _mine()
    if mine.stack:
        host.poke(mine.stack + layout.ALT_STATE, bytes(8))


def leave(st: int) -> None:
    """A state is going away: this thread no longer runs it."""
    mine = _mine()
    if mine.stack and int.from_bytes(host.peek(mine.stack + layout.ALT_STATE, 8), "little") == st:
        detach()


def _after_fork() -> None:
    global _lock
    _lock = _thread.RLock()
    for native in natives.loaded:
        native.forked()
    mine: _Mine | None = getattr(_local, "mine", None)
    if mine is not None:
        mine.forked()


# -------------------------------------------------------------------------------------------------- the queue


def drain(st: int) -> list[tuple[int, bytes]]:
    """Take what the handler queued for a state: (signal, siginfo), oldest first. To be called on its own thread.

    A signal whose last instance found the queue full comes with a siginfo that holds nothing but its number.
    """
    head, tail = _PAIR.unpack(host.peek(st + ST["sig_head"], 8))
    found = []
    while head != tail:
        at = st + layout.QUEUE + head % layout.QUEUE_ENTRIES * layout.QUEUE_ENTRY
        entry = host.peek(at, layout.QUEUE_INFO + layout.SIGINFO_SIZE)
        found.append((entry[0], entry[layout.QUEUE_INFO :]))
        head = (head + 1) & 0xFFFFFFFF
    # `lost` is read before there is room again, and cleared after: in between, nothing can be added to it.
    lost, _, held = _LOST.unpack(host.peek(st + ST["sig_lost"], 16))
    host.poke(st + ST["sig_head"], head.to_bytes(4, "little"))
    if lost:
        host.poke(st + ST["sig_lost"], bytes(8))
        found += [(n, n.to_bytes(layout.SIGINFO_SIZE, "little")) for n in range(1, 65) if lost >> n - 1 & 1]
    if held:
        at = _mine().scratch
        host.poke(st + ST["sig_held"], bytes(4))
        host.poke(at, host.peek(st + ST["sigmask"], 8) + bytes(120))
        _sigmask(_SIG_SETMASK, at, 0)
    return found


def forget(st: int) -> None:
    """Empty a state's queue and clear its stop flag: what was meant for the parent is not the child's of a fork."""
    drain(st)
    host.poke(st + ST["stop"], bytes(4))
