"""One guest thread: its loop between native code and the kernel's side, its system calls, its signal state.

Each runs on a host thread of its own, so thread ids, masks, futexes and scheduling are the host's. It refuses to
know any system call: those are found through `dispatch`.
"""

from __future__ import annotations

import _thread

from polyvm.engine.layout import BUDGET, FAULT, ILLEGAL, INTERRUPTED, STOP, SYSCALL, TRAP
from polyvm.memory import host
from polyvm.memory.access import KINDS, GuestFault
from polyvm.user import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from polyvm.user.process import Process

SCRATCH_BYTES = 1 << 18
SCRATCH_RESERVED = 4096  # at the end, for signal masks and other small things of this module
EFAULT, EINTR, EIO = 14, 4, 5
SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR = 1, 2, 2


class Refusal(Exception):
    """Raised by system calls to return an errno; `args[0]` is the number."""


class Thread:
    """A guest thread. `pending` holds signals taken from the host that wait for the guest to unblock them."""

    __slots__ = (
        "_mask_at", "altstack_flags", "altstack_size", "altstack_sp", "base", "bad", "clear_tid", "counts", "cpu",
        "done", "ending", "host", "ident", "limit", "mask", "native", "pending", "process", "robust", "saved_mask",
        "scratch", "space", "started", "tid", "top", "view",
    )  # fmt: skip

    def __init__(self, process: Process, cpu: Any) -> None:
        self.process = process
        self.cpu = cpu
        self.host: Callable[..., int] = cpu.syscall
        self.space = process.space
        self.base = process.space.base
        self.limit = process.space.limit
        self.bad = self.base + self.limit + 4096  # in the guard behind the space: EFAULT from the kernel
        self.scratch = host.mmap(0, SCRATCH_BYTES, 3, 0x4022)
        self.view = host.view(self.scratch, SCRATCH_BYTES)
        self._mask_at = self.scratch + SCRATCH_BYTES - 64
        self.top = 0  # bytes of scratch in use by the call under way
        self.tid = 0  # the host's thread id, and the guest's
        self.ident = 0  # Python's name for the same thread
        self.mask = 0
        self.saved_mask: int | None = None  # while a call such as ppoll has lent another mask
        self.pending: list[tuple[int, bytes]] = []
        self.altstack_sp = self.altstack_size = 0
        self.altstack_flags = signals.SS_DISABLE
        self.clear_tid = 0
        self.robust = 0
        self.counts: dict[str, list[int]] = {}
        self.native = False
        self.ending = False
        self.done = False
        self.started = _thread.allocate_lock()

    def release(self) -> None:
        """Give the scratch memory back; the thread is over."""
        self.view.release()
        host.munmap(self.scratch, SCRATCH_BYTES)
        self.cpu.close()

    def take(self, cpu: Any) -> None:
        """Go on on another hardware thread, one of another machine. This one ends."""
        self.cpu.close()
        self.cpu = cpu
        self.host = cpu.syscall

    # Memory for calls ------------------------------------------------------------------------------------------

    def pointer(self, address: int) -> int:
        """A guest pointer as the host's kernel may have it: null stays null, outside is an address that faults."""
        if not address:
            return 0
        return self.base + address if address < self.limit else self.bad

    def place(self, data: bytes, room: int = 0) -> int:
        """Copy data into scratch (at least `room` bytes of it) for the call under way; its host address."""
        at = self.top
        size = len(data)
        end = at + max(size, room)
        if end > SCRATCH_BYTES - SCRATCH_RESERVED:
            raise Refusal(12)  # ENOMEM
        self.view[at : at + size] = data
        self.top = (end + 15) & ~15
        return self.scratch + at

    def placed(self, address: int, size: int) -> bytes:
        """Bytes of scratch."""
        at = address - self.scratch
        return bytes(self.view[at : at + size])

    def set_host_mask(self, mask: int) -> None:
        """Set this host thread's signal mask (rt_sigprocmask, SIG_SETMASK)."""
        at = self._mask_at
        self.view[at - self.scratch : at - self.scratch + 8] = mask.to_bytes(8, "little")
        self.process.plain_syscall("rt_sigprocmask", 2, at, 0, 8)

    def host_mask(self) -> int:
        """This host thread's signal mask."""
        at = self._mask_at
        self.process.plain_syscall("rt_sigprocmask", 2, 0, at, 8)
        return int.from_bytes(self.view[at - self.scratch : at - self.scratch + 8], "little")

    def queue_to_self(self, signo: int, info: bytes) -> None:
        """Give a signal back to the kernel, to wait until it is unblocked."""
        at = self._mask_at - 1024
        self.view[at - self.scratch : at - self.scratch + 128] = info
        self.process.plain_syscall("rt_tgsigqueueinfo", self.process.pid, self.tid, signo, at)

    # The loop --------------------------------------------------------------------------------------------------

    def loop(self) -> None:
        """Run guest code until the thread ends."""
        if self.process.tracer is not None:
            self.process.tracer.loop(self)
            return
        cpu, world = self.cpu, self.process.world
        run = cpu.run
        while not self.ending:
            self.native = True
            if world.closed:
                self.native = False
                world.wait()
                continue
            reason = run()
            self.native = False
            if reason == SYSCALL:
                self.syscall()
                if self.cpu is not cpu:  # execve changed the machine
                    cpu, run = self.cpu, self.cpu.run
            else:
                self.left(reason)

    def left(self, reason: int) -> None:
        """Carry out what native code was left for."""
        if reason == SYSCALL:
            self.syscall()
        elif reason == INTERRUPTED:
            self.interrupted_natively()
        elif reason == STOP:
            self.clear_stop()
            signals.deliver(self)
        else:
            self.trapped(reason)

    def trapped(self, reason: int) -> None:
        """Everything that is neither a call nor a stop: the guest's own faults, or the engine's business."""
        cpu = self.cpu
        if reason == FAULT:
            self.fault(int(cpu.cause), cpu.value)
        elif reason in (TRAP, ILLEGAL):
            abi = self.process.abi
            cause = "illegal" if reason == ILLEGAL else self.process.engine.causes[cpu.cause]
            signo, code = abi.TRAPS[cause]
            info = signals.info_fault(signo, code, abi.trap_address(cause, cpu.pc, cpu.value))
            signals.force(self, signo, info, (cause, cpu.value))
        elif reason != BUDGET:
            self.process.unhandled_exit(self, reason)

    def fault(self, signo: int, address: int) -> None:
        """A memory access that failed: SIGSEGV with the code that the guest's mapping table gives, or SIGBUS."""
        if signo == signals.SIGBUS:
            code = BUS_ADRERR
        else:
            signo = signals.SIGSEGV
            if address < self.limit and self.space.grow(address):
                return
            mapped = address < self.limit and self.space.lookup(address) is not None
            code = SEGV_ACCERR if mapped else SEGV_MAPERR
        signals.force(
            self, signo, signals.info_fault(signo, code, address), (KINDS[self.cpu.access], address)
        )

    # System calls ----------------------------------------------------------------------------------------------

    def syscall(self) -> None:
        """Carry out the call the guest is making. A handler that returns None has set the registers itself."""
        process = self.process
        abi = process.abi
        number, a, b, c, d, e, f = abi.syscall(self.cpu)
        call = process.calls.get(number) or process.dispatch.resolve(number)
        self.top = 0
        try:
            result = call.run(self, a, b, c, d, e, f)
        except Refusal as refusal:
            result = -refusal.args[0]
        except GuestFault:
            result = -EFAULT
        except (
            OSError
        ) as error:  # what the host refuses us on the way is the guest's answer, and not the end of it
            result = -(error.errno or EIO)
        count = self.counts.get(call.name)
        if count is None:
            count = self.counts[call.name] = [0, 0]
        count[0] += 1
        if result is None:
            return
        if -4096 < result < 0:
            count[1] += 1
            if result <= -512 or result == -EINTR:
                self.interrupted(call.restart, result, a)
                return
        abi.set_result(self.cpu, result)
        self.cpu.pc += abi.SYSCALL_BYTES

    def interrupted_natively(self) -> None:
        """A call that native code made was interrupted."""
        number, first, *_ = self.process.abi.syscall(self.cpu)
        result = self.cpu.value
        self.interrupted(
            self.process.calls[number].restart, result - (1 << 64) if result >> 63 else result, first
        )

    def interrupted(self, restart: int, result: int, argument: int) -> None:
        """A call that a signal interrupted, or never let begin: what follows depends on the signal's action."""
        if self.ending:
            return
        if result == -EINTR:
            # The engine's stub tells ERESTARTSYS apart. What is EINTR for the host may have been our own kick, of
            # which the guest must not learn: where no handler runs, the call is made again.
            result = -restart if restart > 512 else signals.ERESTARTNOHAND
        self.clear_stop()
        signals.deliver(self, result, argument)

    def clear_stop(self) -> None:
        """The thread has stopped as it was asked to: whoever asks from here on asks anew."""
        if self.process.on_stop is not None:
            self.process.on_stop(self)
        self.cpu.clear_stop()

    def lend_mask(self, mask: int) -> None:
        """Replace the guest's mask for the length of one call; deliver() puts the old one back."""
        if self.saved_mask is None:
            self.saved_mask = self.mask
        self.mask = mask & ~signals.UNCATCHABLE

    def return_mask(self) -> None:
        """End lend_mask without a signal."""
        if self.saved_mask is not None:
            self.mask, self.saved_mask = self.saved_mask, None
