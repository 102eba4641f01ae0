"""The host's side of signals: dispositions by the engine's native handler or raw calls, masks, and what was inherited.

Catching goes through the engine's handler, which only records. It refuses Python's own signal handling, and never
takes a signal from the engine that the engine lives on.
"""

from __future__ import annotations

import _thread
import os
from _struct import Struct

from polyvm.engine import fault, native
from polyvm.engine.layout import POLICY_CHAIN, POLICY_FORWARD, POLICY_QUEUE, POLICY_STOP, PR
from polyvm.memory import host
from polyvm.user.hostabi import numbers
from polyvm.user.signals import ENGINE, KICK, NSIG, SA_ONSTACK, SA_RESTART, SA_SIGINFO, SIGKILL, SIGSTOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process

_ACTION = Struct("<QQQQ")  # the kernel's on x86-64 and arm64: handler, flags, restorer, mask
_LIBC_OWN = (32, 33)  # glibc keeps them from programs; the guest's libc wants them too
SIGPIPE, SIGXFSZ = 13, 25
_DEFAULT, _IGNORE, _CATCH = 0, 1, 2
_RECORD = POLICY_QUEUE | POLICY_STOP | POLICY_FORWARD
_EVERY = (1 << 64) - 1


class HostSignals:
    """Dispositions as they stand on the host."""

    __slots__ = ("_memory", "_number", "_state", "_threaded", "first_mask", "ignored", "process")

    def __init__(self, process: Process) -> None:
        self.process = process
        self._memory = host.mmap(0, 4096, 3, 0x22)
        self._number = numbers()["rt_sigaction"]
        self._state: dict[int, tuple[int, int]] = {}
        self.first_mask = 0
        self._threaded = False  # whether the host's libc has made a thread, for all we know
        self.ignored = 0

    def begin(self) -> None:
        """Learn what whoever started us left ignored and blocked, and undo what Python changed."""
        for signo in range(1, NSIG + 1):
            if signo in (SIGKILL, SIGSTOP) or signo in ENGINE:
                continue
            handler = self._read(signo)[0]
            if handler == 1 and signo not in (SIGPIPE, SIGXFSZ):  # Python ignores these two by itself
                self.ignored |= 1 << signo - 1
                self._state[signo] = (_IGNORE, 0)
            elif handler == 0:
                self._state[signo] = (_DEFAULT, 0)
        fault.install()
        fault.set_main(os.getpid())
        self.first_mask = self.mask()
        self.process.actions.start(self.ignored)

    def _read(self, signo: int) -> tuple[int, ...]:
        host.syscall(self._number, signo, 0, self._memory, 8)
        return _ACTION.unpack(host.peek(self._memory, 32))

    def _write(self, signo: int, handler: int, flags: int, restorer: int, mask: int) -> None:
        host.poke(self._memory, _ACTION.pack(handler, flags, restorer, mask))
        host.syscall(self._number, signo, self._memory, 0, 8)

    def _set(self, signo: int, kind: int, flags: int) -> None:
        before = self._state.get(signo)
        if before == (kind, flags):
            return
        self._state[signo] = (kind, flags)
        if signo in ENGINE:
            fault.take(signo, POLICY_CHAIN if kind == _DEFAULT else _RECORD)
        elif signo in _LIBC_OWN:
            self._set_libc_own(signo, kind, flags)
        elif kind == _CATCH:
            fault.take(signo, _RECORD, flags)
        else:
            if before is not None and before[0] == _CATCH:
                fault.release(signo)
            self._write(signo, kind, flags, 0, 0)

    def _set_libc_own(self, signo: int, kind: int, flags: int) -> None:
        """By the kernel's call, with the trampoline that libc gave to another signal."""
        if kind != _CATCH:
            self._write(signo, kind, flags, 0, 0)
            return
        if not self._threaded:
            # libc takes its own when it makes its first thread: it does so now, and not after us.
            self._threaded = True
            fault.start_thread(_nothing)
        first = native.loaded[0]
        first.block[PR["policy"] + signo] = _RECORD
        _, ours, restorer, _ = self._read(KICK)
        self._write(
            signo, first.handler, ours | flags | SA_SIGINFO | SA_ONSTACK | SA_RESTART, restorer, _EVERY
        )

    def ignore(self, signo: int) -> None:
        """SIG_IGN."""
        self._set(signo, _IGNORE, 0)

    def default(self, signo: int, flags: int) -> None:
        """SIG_DFL."""
        self._set(signo, _DEFAULT, flags)

    def catch(self, signo: int, flags: int) -> None:
        """The engine's handler, which queues it for the thread it meets. flags: SA_NOCLDSTOP, SA_NOCLDWAIT."""
        self._set(signo, _CATCH, flags)

    def mask(self) -> int:
        """The calling host thread's mask."""
        memory = self._memory + 64
        host.syscall(numbers()["rt_sigprocmask"], 2, 0, memory, 8)
        return int.from_bytes(host.peek(memory, 8), "little")

    def set_mask(self, mask: int) -> None:
        """Set the calling host thread's mask."""
        memory = self._memory + 128 + 8 * (_thread.get_native_id() % 256)
        host.poke(memory, mask.to_bytes(8, "little"))
        host.syscall(numbers()["rt_sigprocmask"], 2, memory, 0, 8)


def reset_and_unblock(signo: int) -> None:
    """SIG_DFL and unblocked, for dying of it."""
    memory = host.mmap(0, 4096, 3, 0x22)
    host.poke(memory, _ACTION.pack(0, 0, 0, 0))
    host.syscall(numbers()["rt_sigaction"], signo, memory, 0, 8)
    host.poke(memory, (1 << signo - 1).to_bytes(8, "little"))
    host.syscall(numbers()["rt_sigprocmask"], 1, memory, 0, 8)


def forked() -> None:
    """In a forked child: its one thread is the main one."""
    fault.set_main(os.getpid())


def _nothing() -> None:
    """The body of a thread that is there to have been made."""
