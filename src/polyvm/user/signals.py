"""Signals: dispositions, masks, pending sets, and how one becomes a frame on the guest's stack or the guest's death.

Asynchronous signals arrive in the engine's native handler, which queues them; here they are taken from that queue at
safepoints and after system calls. What the guest ignores or leaves to the default is so on the host too, so the
kernel itself does most of it. It refuses to run any Python signal handler, and knows no guest's frame layout.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.memory.access import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL = range(1, 10)
SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT = range(10, 19)
SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF = range(19, 28)
SIGWINCH, SIGIO, SIGPWR, SIGSYS = range(28, 32)
NSIG = 64
KICK = 64  # shared with the guest: ours carry KICK_VALUE

SIG_DFL, SIG_IGN = 0, 1
SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO = 1, 2, 4
SA_ONSTACK, SA_RESTART, SA_NODEFER, SA_RESETHAND = 0x08000000, 0x10000000, 0x40000000, 0x80000000
SA_RESTORER = 0x04000000
SS_ONSTACK, SS_DISABLE, SS_AUTODISARM = 1, 2, 1 << 31
SI_USER, SI_KERNEL, SI_QUEUE, SI_TKILL = 0, 0x80, -1, -6

ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = -512, -513, -514, -516
EINTR, EFAULT = 4, 14

WORD = 0xFFFFFFFFFFFFFFFF
UNCATCHABLE = 1 << SIGKILL - 1 | 1 << SIGSTOP - 1
IGNORED_BY_DEFAULT = frozenset((SIGCHLD, SIGCONT, SIGURG, SIGWINCH))
STOPPING = frozenset((SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU))
CRASHES = frozenset((SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS))  # whose end is explained
SYNCHRONOUS = (SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)
# Never blocked, never ignored and never default on the host: the engine lives on them. They are kept here instead.
ENGINE = frozenset((SIGSEGV, SIGBUS, SIGTRAP, KICK))
UNBLOCKABLE = UNCATCHABLE | sum(1 << signo - 1 for signo in ENGINE)

NAMES = (
    "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
    "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)  # fmt: skip

_INFO = Struct("<iii4xQ104x")
_INFO_KILL = Struct("<iii4xiIQ96x")


def name(signo: int) -> str:
    """SIGNAL's name: "SIGSEGV", "SIGRT34"."""
    return f"SIG{NAMES[signo]}" if 0 < signo < len(NAMES) else f"SIGRT{signo}"


def info_fault(signo: int, code: int, address: int) -> bytes:
    """A siginfo with an address, as for SIGSEGV."""
    return _INFO.pack(signo, 0, code, address & WORD)


def info_kill(signo: int, code: int, pid: int, uid: int, value: int = 0) -> bytes:
    """A siginfo with a sender and a value."""
    return _INFO_KILL.pack(signo, 0, code, pid, uid, value & WORD)


def info_code(info: bytes) -> int:
    """si_code."""
    return int.from_bytes(info[8:12], "little", signed=True)


class Action:
    """struct sigaction as the guest gave it."""

    __slots__ = ("flags", "handler", "mask", "restorer")

    def __init__(self, handler: int = SIG_DFL, flags: int = 0, mask: int = 0, restorer: int = 0) -> None:
        self.handler = handler
        self.flags = flags
        self.mask = mask
        self.restorer = restorer


class Actions:
    """The dispositions of a process, and their mirror on the host."""

    __slots__ = ("catch_fatal", "process", "table")

    def __init__(self, process: Process) -> None:
        self.process = process
        self.table = [Action() for _ in range(NSIG + 1)]
        # Whether every fatal default is carried out by us, after a last report; those of a crash always are.
        self.catch_fatal = False

    def set(self, signo: int, action: Action) -> None:
        """Install an action and mirror it."""
        self.table[signo] = action
        self.mirror(signo)
        if action.handler > SIG_IGN:  # from now on the guest can look at its registers
            engine = self.process.engine
            look = engine.set_precise if signo in (SIGSEGV, SIGBUS) else engine.set_whole
            look(self.process.space)

    def mirror(self, signo: int) -> None:
        """Give the host the disposition that fits the guest's."""
        host = self.process.host_signals
        action = self.table[signo]
        if action.handler == SIG_IGN:
            host.ignore(signo)
        elif action.handler != SIG_DFL:
            host.catch(signo, action.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT))
        elif (
            (self.catch_fatal or signo in CRASHES)
            and signo not in IGNORED_BY_DEFAULT
            and signo not in STOPPING
            and signo != SIGKILL
        ):
            host.catch(signo, 0)
        else:
            host.default(signo, action.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT))

    def start(self, ignored: int) -> None:
        """The dispositions of a new program: everything default but what was ignored by whoever started us."""
        for signo in range(1, NSIG + 1):
            if signo in (SIGKILL, SIGSTOP):
                continue
            self.table[signo] = Action(SIG_IGN if ignored >> signo - 1 & 1 else SIG_DFL)
            if self.catch_fatal or signo < 32:
                self.mirror(signo)

    def exec(self) -> None:
        """What execve does: handlers become default, ignored stays ignored."""
        for signo, action in enumerate(self.table):
            if signo and action.handler not in (SIG_DFL, SIG_IGN):
                self.set(signo, Action())
            elif action.flags:
                self.set(signo, Action(action.handler))

    def has_handler(self, signo: int) -> bool:
        """Whether the guest catches a signal."""
        return self.table[signo].handler > SIG_IGN


def set_mask(thread: Thread, mask: int) -> None:
    """Set the guest's mask, on the host too."""
    mask &= ~UNCATCHABLE
    thread.mask = mask
    thread.set_host_mask(mask & ~UNBLOCKABLE)
    for signo, _ in thread.pending:
        if not mask >> signo - 1 & 1:
            thread.cpu.stop()  # so that the way back into the guest comes by deliver()
            break


def collect(thread: Thread) -> None:
    """Move what the native handler queued to the thread's pending list."""
    thread.pending.extend(thread.cpu.take_signals())


def deliverable(thread: Thread, mask: int) -> bool:
    """Whether something pending and not in the mask has a handler, or ends or stops the process."""
    table = thread.process.actions.table
    for signo, _ in thread.pending:
        if mask >> signo - 1 & 1:
            continue
        handler = table[signo].handler
        if handler != SIG_IGN and (handler != SIG_DFL or signo not in IGNORED_BY_DEFAULT):
            return True
    return False


def must_return(thread: Thread) -> bool:
    """For calls that wait in steps: whether an interruption is the guest's business. If not, waits at the gate."""
    thread.clear_stop()
    collect(thread)
    if thread.ending or deliverable(thread, thread.mask):
        return True
    if thread.process.world.closed:
        thread.process.world.wait()
    return False


def deliver(thread: Thread, restart: int = 0, argument: int = 0) -> None:
    """Act on every pending signal that is not blocked, as the kernel does on its way back to user mode.

    restart: 0, or the kernel's restart code of the call that was interrupted, whose instruction PC still points at
    and whose first argument was `argument`. Afterwards PC is where the guest goes on.
    """
    collect(thread)
    while True:
        found = _next(thread)
        if found is None:
            break
        signo, info = found
        tracer = thread.process.tracer
        if tracer is not None:
            signo, info, moved = tracer.signal(thread, signo, info)
            restart = 0 if moved else restart  # what it was given is where it goes on
            if thread.ending:
                return
            if not signo:
                continue
        action = thread.process.actions.table[signo]
        if action.handler == SIG_IGN or (action.handler == SIG_DFL and signo in IGNORED_BY_DEFAULT):
            continue
        if action.handler == SIG_DFL:
            if signo in STOPPING:
                thread.process.stop_self(signo)
                continue
            thread.process.killed(thread, signo, info)
            return
        if restart:
            _finish_interrupted(thread, restart, bool(action.flags & SA_RESTART), argument)
            restart = 0
        enter(thread, signo, info, action)
        if thread.ending:
            return
    if restart:
        _finish_interrupted(thread, restart, True, argument, handled=False)
    if thread.saved_mask is not None:
        thread.mask, thread.saved_mask = thread.saved_mask, None
        thread.set_host_mask(thread.mask & ~UNBLOCKABLE)
    _give_back(thread)


def _finish_interrupted(
    thread: Thread, restart: int, sa_restart: bool, argument: int, handled: bool = True
) -> None:
    """Either leave PC at the call, to make it again, or step over it with EINTR (kernel: handle_signal, do_signal)."""
    again = not handled or restart == ERESTARTNOINTR or (restart == ERESTARTSYS and sa_restart)
    abi = thread.process.abi
    if again:
        abi.set_first_argument(thread.cpu, argument)
    else:
        abi.set_result(thread.cpu, -EINTR)
        thread.cpu.pc = (thread.cpu.pc + abi.SYSCALL_BYTES) & WORD


def _next(thread: Thread) -> tuple[int, bytes] | None:
    """Take the pending signal the kernel would deliver first: synchronous ones, then the lowest number."""
    best, rank = -1, 1000
    for i, (signo, _) in enumerate(thread.pending):
        if thread.mask >> signo - 1 & 1:
            continue
        order = signo - 100 if signo in SYNCHRONOUS else signo
        if order < rank:
            best, rank = i, order
    return thread.pending.pop(best) if best >= 0 else None


def _give_back(thread: Thread) -> None:
    """Hand what is blocked now to another thread that does not block it, else back to the kernel, where it waits."""
    if not thread.pending:
        return
    keep = []
    for signo, info in thread.pending:
        if signo in ENGINE:
            keep.append((signo, info))
            continue
        if info_code(info) != SI_TKILL and thread.process.hand_over(thread, signo, info):
            continue
        thread.queue_to_self(signo, info)
    thread.pending[:] = keep


def enter(
    thread: Thread, signo: int, info: bytes, action: Action, fault: tuple[str, int] | None = None
) -> None:
    """Build the frame for one signal and let the guest's handler be next. fault: as for force()."""
    process, cpu = thread.process, thread.cpu
    abi = process.abi
    sp, size, disposition = thread.altstack_sp, thread.altstack_size, thread.altstack_flags
    top = here = abi.stack_pointer(cpu)
    on_alternate = on_altstack(thread, here)
    if action.flags & SA_ONSTACK and size and not on_alternate:
        top = sp + size
    # Already there and about to overflow it: the kernel uses an address that always faults.
    overflow = on_alternate and not sp < top - abi.FRAME_BYTES - abi.STACK_ALIGN
    saved = thread.mask if thread.saved_mask is None else thread.saved_mask
    thread.saved_mask = None
    told = (sp, altstack_state(thread, here) | disposition & SS_AUTODISARM, size)
    restorer = action.restorer if action.flags & SA_RESTORER and abi.SIGACTION_RESTORER else process.sigreturn
    try:
        if overflow:
            raise GuestFault(top - abi.FRAME_BYTES & WORD, 1)
        abi.setup_frame(cpu, process.space, top, action.handler, restorer, signo, info, saved, told, fault)
    except GuestFault:
        thread.mask = saved
        if signo == SIGSEGV:
            process.actions.table[SIGSEGV] = Action()
        force(thread, SIGSEGV, info_kill(SIGSEGV, SI_KERNEL, 0, 0))
        return
    if disposition & SS_AUTODISARM:
        thread.altstack_sp, thread.altstack_size, thread.altstack_flags = 0, 0, SS_DISABLE
    mask = thread.mask | action.mask
    if not action.flags & SA_NODEFER:
        mask |= 1 << signo - 1
    if action.flags & SA_RESETHAND:
        process.actions.set(signo, Action(SIG_DFL, action.flags))
    process.count_signal(signo, delivered=True)
    set_mask(thread, mask)


def force(thread: Thread, signo: int, info: bytes, fault: tuple[str, int] | None = None) -> None:
    """A synchronous signal: delivered now, or death if it is blocked, ignored or has no handler (force_sig_info).

    fault: what was wrong, "read", "write", "fetch" or the cause of a trap, and the address.
    """
    process = thread.process
    process.count_fault(signo)
    if process.tracer is not None:
        asked = signo
        signo, info, _ = process.tracer.signal(thread, signo, info)
        if thread.ending or not signo:
            return
        fault = fault if signo == asked else None
    action = process.actions.table[signo]
    if action.handler in (SIG_DFL, SIG_IGN) or thread.mask >> signo - 1 & 1:
        process.killed(thread, signo, info)
        return
    enter(thread, signo, info, action, fault)


def on_altstack(thread: Thread, sp: int) -> bool:
    """Whether sp lies on the alternate stack (kernel: on_sig_stack)."""
    if thread.altstack_flags & SS_AUTODISARM:
        return False
    return 0 < sp - thread.altstack_sp <= thread.altstack_size


def altstack_state(thread: Thread, sp: int) -> int:
    """SS_DISABLE, SS_ONSTACK or 0."""
    if not thread.altstack_size:
        return SS_DISABLE
    return SS_ONSTACK if on_altstack(thread, sp) else 0


def sigreturn(thread: Thread) -> None:
    """rt_sigreturn: everything as it was, or death if the frame is bad."""
    abi = thread.process.abi
    try:
        mask, (sp, flags, size) = abi.restore_frame(thread.cpu, thread.process.space)
    except (GuestFault, ValueError):
        force(thread, SIGSEGV, info_kill(SIGSEGV, SI_KERNEL, 0, 0))
        return
    set_mask(thread, mask)
    set_altstack(thread, sp, flags, size, abi.stack_pointer(thread.cpu))


def set_altstack(thread: Thread, sp: int, flags: int, size: int, here: int) -> int:
    """sigaltstack's second half: 0 or a negative errno (kernel: do_sigaltstack)."""
    if on_altstack(thread, here):
        return -1  # EPERM
    mode = flags & ~SS_AUTODISARM
    if mode not in (0, SS_ONSTACK, SS_DISABLE):
        return -22  # EINVAL
    if mode == SS_DISABLE:
        sp = size = 0
    elif size < thread.process.abi.MINSIGSTKSZ:
        return -12  # ENOMEM
    thread.altstack_sp, thread.altstack_flags, thread.altstack_size = sp, flags & WORD, size
    return 0
