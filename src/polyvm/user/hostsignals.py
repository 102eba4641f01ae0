"""The host's side of signals: dispositions and masks by raw calls, and kicks that get a thread out of a wait.

Catching goes through the engine's native handler, which only records. It refuses Python's own signal handling.
"""

from __future__ import annotations

import _thread
import os
from _struct import Struct

from polyvm.memory import host
from polyvm.user.hostabi import numbers
from polyvm.user.signals import ENGINE, KICK, NSIG, SIGKILL, SIGSTOP, info_code, info_kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process

_ACTION = Struct("<QQQQ")  # the kernel's: handler, flags, restorer, mask
_KICK_VALUE = 0x6B636B6D76796C70  # a kick is a queued signal with this value
SI_QUEUE = -1
SIGXFSZ, SIGPIPE = 25, 13
_DEFAULT, _IGNORE, _CATCH = 0, 1, 2


class HostSignals:
    """Dispositions as they stand on the host."""

    __slots__ = ("_memory", "_state", "first_mask", "ignored", "process")

    def __init__(self, process: Process) -> None:
        self.process = process
        self._memory = host.mmap(0, 4096, 3, 0x22)
        self._state: dict[int, tuple[int, int]] = {}
        self.first_mask = 0
        self.ignored = 0

    def begin(self) -> None:
        """Learn what whoever started us left ignored and blocked, and undo what Python changed."""
        number = numbers()["rt_sigaction"]
        memory = self._memory
        for signo in range(1, NSIG + 1):
            if signo in (SIGKILL, SIGSTOP) or signo in ENGINE:
                continue
            if host.syscall(number, signo, 0, memory, 8) < 0:
                continue
            handler = _ACTION.unpack(host.peek(memory, 32))[0]
            if handler == 1 and signo not in (SIGPIPE, SIGXFSZ):  # Python ignores these two by itself
                self.ignored |= 1 << signo - 1
                self._state[signo] = (_IGNORE, 0)
            elif handler == 0:
                self._state[signo] = (_DEFAULT, 0)
        self.first_mask = self.mask()
        self.process.actions.start(self.ignored)
        self.process.engine_signals.catch(KICK, 0)

    def _set(self, signo: int, kind: int, flags: int) -> None:
        if self._state.get(signo) == (kind, flags):
            return
        self._state[signo] = (kind, flags)
        if kind == _CATCH:
            self.process.engine_signals.catch(signo, flags)
            return
        self.process.engine_signals.release(signo)
        host.poke(self._memory, _ACTION.pack(kind, flags, 0, 0))
        host.syscall(numbers()["rt_sigaction"], signo, self._memory, 0, 8)

    def ignore(self, signo: int) -> None:
        """SIG_IGN."""
        self._set(signo, _IGNORE, 0)

    def default(self, signo: int, flags: int) -> None:
        """SIG_DFL."""
        self._set(signo, _DEFAULT, flags)

    def catch(self, signo: int, flags: int) -> None:
        """The engine's handler, which queues it for the thread it meets."""
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

    def kick(self, tid: int) -> None:
        """Interrupt a thread's blocking host call."""
        memory = self._memory + 2560
        host.poke(memory, info_kill(KICK, SI_QUEUE, os.getpid(), 0, _KICK_VALUE))
        host.syscall(numbers()["rt_tgsigqueueinfo"], os.getpid(), tid, KICK, memory)

    def is_kick(self, info: bytes) -> bool:
        """Whether a KICK is ours and not the guest's."""
        return info_code(info) == SI_QUEUE and info[24:32] == _KICK_VALUE.to_bytes(8, "little")


def reset_and_unblock(signo: int) -> None:
    """SIG_DFL and unblocked, for dying of it."""
    memory = host.mmap(0, 4096, 3, 0x22)
    host.poke(memory, _ACTION.pack(0, 0, 0, 0))
    host.syscall(numbers()["rt_sigaction"], signo, memory, 0, 8)
    host.poke(memory, (1 << signo - 1).to_bytes(8, "little"))
    host.syscall(numbers()["rt_sigprocmask"], 1, memory, 0, 8)
