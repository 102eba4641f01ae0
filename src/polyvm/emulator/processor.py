"""The emulator itself: running, stopping, hooks, and what becomes of everything that leaves native code.

What things cost: without hooks a run is native code from end to end, and `until` is a breakpoint in it. A code hook is
one too, at each instruction of its range, and costs a microsecond or two each time it is called. A memory hook costs
two or three for an access of its range, and a few comparisons for others; so do accesses between the ranges of several
hooks cost a microsecond, but are not told. Nothing is paid for what is not used.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from polyvm.emulator.exits import SYSCALL, Context, Exit, GuestTrap, Hook, Limits
from polyvm.emulator.memory import Memory
from polyvm.emulator.registers import Registers
from polyvm.engine import fault, layout
from polyvm.engine.cpu import FOREVER
from polyvm.engine.executor import Engine, GuestCpu
from polyvm.engine.mainthread import let_signals_through
from polyvm.errors import PolyvmError
from polyvm.memory.access import KINDS, GuestFault
from polyvm.memory.space import AddressSpace

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from polyvm.emulator.points import Breakpoint
    from polyvm.emulator.watch import Watcher

SIGBUS = 7

CodeHook: TypeAlias = Callable[["Emulator", int, int], object]
MemoryHook: TypeAlias = Callable[["Emulator", str, int, int, int], object]
SyscallHook: TypeAlias = Callable[["Emulator"], object]
TrapHook: TypeAlias = "Callable[[Emulator, GuestTrap | GuestFault], object]"


class Emulator:
    """A processor of a guest with memory of its own, and nothing else.

        cpu = polyvm.Emulator("riscv64")
        cpu.memory.map(0x1000, 0x1000, "rwx")
        cpu.memory.write(0x1000, code)
        cpu.registers["a0"] = 5
        cpu.run(0x1000, until=0x1040)

    guest: the processor's name. tier: "auto", "interpreter" or "golden" (the evaluator in Python: slow, and the
    judge of the others). address_bits: how large its space is; each bit more doubles what is reserved, not used.
    Raises PVM-UNSUPPORTED for a guest that does not exist, PVM-RESOURCE when there is no room.

    Close it when it is not needed any more (`with` does): a few dozen fit into one process.
    """

    memory: Memory
    registers: Registers

    def __init__(self, guest: str, *, tier: str = "auto", address_bits: int = 38) -> None:
        if tier == "region":
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                "An emulator's state is exact at every instruction, which the tier region does not offer yet.",
                hint='Use tier="auto".',
            )
        # Counted: the tiers whose state is exact wherever a run ends, and that can stop after any instruction.
        self._engine = Engine(guest, tier=tier, regions=False)
        self._space = AddressSpace(address_bits)
        self._cpu = self._engine.thread(self._space)
        self._lock = threading.Lock()
        self._thread: int | None = None  # who is running it
        self._wanted = False  # somebody called stop()
        self._watcher: Watcher | None = None
        self._point: Breakpoint | None = None
        self._syscall: SyscallHook | None = None
        self._trap: TrapHook | None = None
        self.memory = Memory(self._space, weakref.ref(self))
        self.registers = Registers(self._cpu, self._engine)
        self._close = weakref.finalize(self, _close, self._cpu, self._space)

    @property
    def guest(self) -> str:
        """The guest's name."""
        return self._engine.name

    @property
    def pc(self) -> int:
        """The program counter; the same as registers["pc"]."""
        return self.registers["pc"]

    @pc.setter
    def pc(self, value: int) -> None:
        self.registers["pc"] = value

    # ------------------------------------------------------------------------------------------- running

    def run(
        self,
        begin: int | None = None,
        until: int | None = None,
        *,
        count: int | None = None,
        timeout: float | None = None,
    ) -> Exit:
        """Run code from `begin` (default: the present pc) until one of these, and say which.

        until: stop before executing the instruction at this address; nothing is executed when pc is there already
        (step() first to go round a loop). count: stop after so many instructions. timeout: stop after so many
        seconds. stop() from another thread, or from a hook, stops it too.

        Raises GuestTrap for an exception that no hook handles and GuestFault for a wrong access: the registers are as
        before the instruction, `context` has the pc. What a hook raises comes through. Ctrl-C is KeyboardInterrupt;
        afterwards run() goes on from where it stopped.
        """
        if count is not None and count < 0:
            raise PolyvmError(
                "PVM-USAGE", f"The number of instructions must not be negative, and {count} is."
            )
        if timeout is not None and timeout < 0:
            raise PolyvmError("PVM-USAGE", f"The timeout must not be negative, and {timeout} is.")
        if begin is not None:
            self.registers["pc"] = begin
        self._enter()
        timer = None
        try:
            # The deadline first: a timer that rang before it would be taken for a signal, and never ring again.
            limits = Limits(until, count, None if timeout is None else monotonic() + timeout)
            if timeout is not None:
                timer = threading.Timer(timeout, self._kick)
                timer.daemon = True
                timer.start()
            ended: Exit | None = None
            while ended is None:
                ended = self._run(limits)
            return ended
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()
            self._leave()

    def step(self) -> Exit:
        """Run one instruction."""
        return self.run(count=1)

    def stop(self) -> None:
        """Stop the run that is under way, soon; from any thread, a hook or a signal handler. Without one: nothing."""
        if self._thread is not None:
            self._wanted = True
            self._kick()

    def _kick(self) -> None:
        self._cpu.stop()

    def _enter(self) -> None:
        with self._lock:
            if not self._close.alive:
                raise PolyvmError("PVM-USAGE", "This emulator is closed.")
            if self._thread is not None:
                raise PolyvmError(
                    "PVM-USAGE",
                    "This emulator is running already.",
                    hint="One emulator runs in one thread at a time; a hook must not call run().",
                )
            self._thread = threading.get_ident()
            self._wanted = False
        self._cpu.attach()
        let_signals_through()

    def _leave(self) -> None:
        with self._lock:
            fault.detach()
            self._cpu.clear_stop()
            self._cpu.budget = FOREVER
            self._thread = None

    def _check_thread(self) -> None:
        if self._thread is not None and self._thread != threading.get_ident():
            raise PolyvmError("PVM-USAGE", "From other threads, a running emulator can only be stopped.")

    def _run(self, limits: Limits) -> Exit | None:
        """Run in the cheapest way that sees what must be seen; None when that way changed meanwhile."""
        watcher = self._watcher
        if watcher is not None:
            if watcher.busy:
                return watcher.run(limits)
            watcher.arm()
        if limits.until is None:
            return self._run_freely(limits)
        if self._cpu.golden:
            return self._watched().run(limits)
        with self._breakpoint().at(limits.until):
            return self._run_freely(limits)

    def _breakpoint(self) -> Breakpoint:
        if self._point is None:
            from polyvm.emulator.points import Breakpoint

            self._point = Breakpoint(self._cpu, self._space)
        return self._point

    def _run_freely(self, limits: Limits) -> Exit | None:
        """Without hooks: native code until it leaves by itself."""
        before, until = self._version(), limits.until
        while limits.left != 0:
            if self._cpu.pc == until:
                return Exit("until", self._cpu.pc)
            budget = self._cpu.budget = FOREVER if limits.left is None else limits.left - 1
            reason = self._cpu.run()
            limits.ran(budget - self._cpu.budget)
            if reason == layout.PAUSE:
                continue
            ended = self._after(reason, limits.deadline)
            if ended is not None:
                return ended
            if self._version() != before:
                return None  # a handler of system calls put a hook in place
        pc = self._cpu.pc
        return Exit("until" if pc == until else "count", pc)

    def _version(self) -> int:
        return 0 if self._watcher is None else self._watcher.version

    def _after(self, reason: int, limit: float | None) -> Exit | None:
        """What follows when native code was left: the end of the run, an error, or None to go on."""
        cpu = self._cpu
        if reason == layout.BUDGET:
            return None
        if reason == layout.STOP:
            cpu.clear_stop()
            if self._wanted:
                return Exit("stopped", cpu.pc)
            if limit is not None and monotonic() >= limit:
                return Exit("timeout", cpu.pc)
            return None  # a signal: its Python handler runs now, before the next instruction of ours
        if reason == layout.SYSCALL:
            return self._system_call()
        error: GuestTrap | GuestFault
        if reason == layout.TRAP:
            error = GuestTrap(self._engine.causes[cpu.cause], cpu.pc, cpu.value, guest=self.guest)
        elif reason == layout.ILLEGAL:
            error = GuestTrap("illegal", cpu.pc, self._word(cpu.pc), guest=self.guest)
        elif reason == layout.FAULT:
            error = self._fault()
        else:
            raise PolyvmError(
                "PVM-INTERNAL", f"Native code was left for reason {reason}, which nobody handles here."
            )
        if self._trap is None:
            raise error
        if not self._trap(self, error):
            raise error
        return Exit("stopped", cpu.pc) if self._wanted else None

    def _system_call(self) -> Exit | None:
        cpu = self._cpu
        pc = cpu.pc
        if self._syscall is None:
            raise GuestTrap(SYSCALL, pc, 0, guest=self.guest)
        self._syscall(self)
        if cpu.pc == pc:  # the handler did not send it elsewhere
            cpu.pc = pc + self._engine.abi.SYSCALL_BYTES
        return Exit("stopped", cpu.pc) if self._wanted else None

    def _fault(self) -> GuestFault:
        cpu = self._cpu
        address = cpu.value
        region = self._space.lookup(address) if address < self._space.limit else None
        reason = (
            "beyond the file's end" if cpu.cause == SIGBUS else "unmapped" if region is None else "protected"
        )
        error = GuestFault(address, KINDS[cpu.access], reason)
        error.add_context(pc=cpu.pc, guest=self.guest)
        return error

    def _word(self, pc: int) -> int:
        """The instruction word at an address, as far as it can be read."""
        try:
            return int.from_bytes(self._space.fetch(pc, 4), "little")
        except PolyvmError:
            return 0

    # ------------------------------------------------------------------------------------------- hooks

    def hook_code(self, callback: CodeHook, begin: int = 0, end: int | None = None) -> Hook:
        """Have callback(cpu, address, size) called before each instruction at begin <= address < end.

        It may change registers and memory, set pc (the instruction is then not executed), call stop(), or raise.
        """
        return self._watched().add_code(callback, begin, end)

    def hook_memory(
        self,
        callback: MemoryHook,
        begin: int = 0,
        end: int | None = None,
        *,
        read: bool = True,
        write: bool = True,
    ) -> Hook:
        """Have callback(cpu, kind, address, size, value) called for each access that touches begin <= address < end.

        kind is "read" (value: what was read) or "write" (value: what is about to be written). An atomic instruction
        is a read and a write. It may change registers and memory, set pc (the instruction is then not executed), call
        stop() (behind the instruction), or raise: that ends the run before the instruction has had an effect.
        """
        return self._watched().add_memory(callback, begin, end, read=read, write=write)

    def hook_syscall(self, callback: SyscallHook) -> Hook:
        """Have callback(cpu) carry out system calls; the run goes on behind the instruction, or where pc was set to."""
        if self._syscall is not None:
            raise PolyvmError("PVM-USAGE", "There is a handler for system calls already.")
        self._syscall = callback

        def remove() -> None:
            self._syscall = None

        return Hook(remove)

    def hook_trap(self, callback: TrapHook) -> Hook:
        """Have callback(cpu, error) handle exceptions and wrong accesses before they are raised.

        True: it is dealt with, and the run goes on at pc, which still is the instruction's unless it was changed.
        """
        if self._trap is not None:
            raise PolyvmError("PVM-USAGE", "There is a handler for exceptions already.")
        self._trap = callback

        def remove() -> None:
            self._trap = None

        return Hook(remove)

    def _watched(self) -> Watcher:
        if self._watcher is None:
            from polyvm.emulator.watch import Watcher

            self._watcher = Watcher(weakref.ref(self), self._cpu, self._space, self._engine.guest.isa)
        return self._watcher

    # ------------------------------------------------------------------------------------------- state

    def save(self) -> Context:
        """All registers, pc and floating-point environment among them, for restore(). Memory is not part of it."""
        return Context(self.guest, self._cpu.save())

    def restore(self, context: Context) -> None:
        """Put back the registers that save() gave, of this emulator or another of the same guest."""
        if context.guest != self.guest:
            raise PolyvmError(
                "PVM-USAGE", f"These are registers of {context.guest}, and this is {self.guest}."
            )
        self._check_thread()
        self._cpu.restore(context.data)

    def close(self) -> None:
        """Give all memory back. Nothing of the emulator may be used afterwards."""
        with self._lock:
            if self._thread is not None:
                raise PolyvmError("PVM-USAGE", "A running emulator cannot be closed; stop() it first.")
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Emulator of {self.guest}{f' at {self._cpu.pc:#x}' if self._close.alive else ', closed'}>"


def _close(cpu: GuestCpu, space: AddressSpace) -> None:
    cpu.close()
    space.close()
