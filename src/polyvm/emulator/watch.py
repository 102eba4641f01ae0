"""Hooks, and running with those for which breakpoints will not do: memory hooks, and code hooks on wide ranges.

Straight lines of code in which nothing is watched run natively, one after the other; the instruction that is watched
is announced first, and one that a memory hook wants to see is done by the golden evaluator, whose memory tells. None
of this is loaded or consulted for a run without hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.emulator.exits import Exit, Hook
from polyvm.emulator.points import MAX_BYTES
from polyvm.engine import layout
from polyvm.engine.goldenstep import Fault, SpaceMemory, Stepper
from polyvm.errors import PolyvmError
from polyvm.memory.access import GuestFault
from polyvm.memory.regions import READ, WRITE

if TYPE_CHECKING:
    from weakref import ref

    from polyvm.emulator.exits import Limits
    from polyvm.emulator.processor import CodeHook, Emulator, MemoryHook
    from polyvm.engine.executor import GuestCpu
    from polyvm.isa.spec import Isa
    from polyvm.memory.space import AddressSpace

MAX_LINE = 256  # instructions in one straight line
_ENDS = frozenset(("jump", "syscall", "flush"))
_ACCESSES = frozenset(("load", "store", "amo", "cas"))


class _Insn:
    """What the watcher must know of an instruction."""

    __slots__ = ("accesses", "ends", "size")

    def __init__(self, size: int, ends: bool, accesses: bool) -> None:
        self.size = size
        self.ends = ends
        self.accesses = accesses


class _CodeWatch:
    __slots__ = ("begin", "callback", "end")

    def __init__(self, callback: CodeHook, begin: int, end: int) -> None:
        self.callback = callback
        self.begin = begin
        self.end = end


class _MemoryWatch:
    __slots__ = ("begin", "callback", "end", "read", "write")

    def __init__(self, callback: MemoryHook, begin: int, end: int, read: bool, write: bool) -> None:
        self.callback = callback
        self.begin = begin
        self.end = end
        self.read = read
        self.write = write


class _WatchedMemory(SpaceMemory):
    """Guest memory of the evaluator, which tells the hooks of every access."""

    def __init__(self, space: AddressSpace, watcher: Watcher) -> None:
        super().__init__(space)
        self.watcher = watcher

    def load(self, address: int, size: int) -> int:
        """Read, and tell what was read."""
        value = super().load(address, size)
        self.watcher.tell("read", address, size, value)
        return value

    def store(self, address: int, size: int, value: int) -> None:
        """Tell what is written, and write it. An access that fails is none, and is not told."""
        self.probe(address, size, True)
        self.watcher.tell("write", address, size, value)
        super().store(address, size, value)

    def probe(self, address: int, size: int, write: bool) -> None:
        """Fault as an access would, and tell nobody."""
        try:
            self.space.host_address(address, size, prot=WRITE if write else READ)
        except GuestFault as fault:
            raise Fault(fault.address, layout.WRITE if write else layout.READ) from None


class _WatchedStepper(Stepper):
    """The evaluator on watched memory. Fetching instructions is no access that a hook is told of."""

    def __init__(self, cpu: GuestCpu, isa: Isa, space: AddressSpace, watcher: Watcher) -> None:
        super().__init__(cpu, isa, space)
        self.memory = _WatchedMemory(space, watcher)
        self.plain = Stepper(cpu, isa, space)

    def fetch(self, pc: int) -> int:
        """The instruction word at pc. Raises Fault."""
        return self.plain.fetch(pc)


class Watcher:
    """The hooks of one emulator, and its run while there is something to watch for."""

    def __init__(self, emulator: ref[Emulator], cpu: GuestCpu, space: AddressSpace, isa: Isa) -> None:
        self._emulator = emulator  # weak: an emulator that nobody has any more is closed
        self.cpu = cpu
        self.space = space
        self.isa = isa
        self.code: list[_CodeWatch] = []
        self.memory: list[_MemoryWatch] = []
        self.version = 0  # counts hooks that came and went
        self.until: int | None = None
        self.stepper = _WatchedStepper(cpu, isa, space, self)
        self._insns: dict[int, _Insn | None] = {}
        self._lines: dict[int, int] = {}
        space.on_code_drop(self._forget)

    @property
    def emulator(self) -> Emulator:
        """Whose hooks these are."""
        found = self._emulator()
        assert found is not None, "an emulator that runs is alive"
        return found

    @property
    def busy(self) -> bool:
        """Whether any hook is in place."""
        return bool(self.code or self.memory)

    @property
    def wide(self) -> bool:
        """Whether breakpoints will not do."""
        return bool(self.memory) or sum(watch.end - watch.begin for watch in self.code) > MAX_BYTES

    # -------------------------------------------------------------------------------------------- hooks
    def add_code(self, callback: CodeHook, begin: int, end: int | None) -> Hook:
        """A hook before instructions."""
        watch = _CodeWatch(callback, *self._range(begin, end))
        self.code.append(watch)
        return self._hook(self.code, watch)

    def add_memory(
        self, callback: MemoryHook, begin: int, end: int | None, *, read: bool, write: bool
    ) -> Hook:
        """A hook for accesses."""
        if not read and not write:
            raise PolyvmError(
                "PVM-USAGE", "A memory hook for neither reads nor writes would never be called."
            )
        watch = _MemoryWatch(callback, *self._range(begin, end), read, write)
        self.memory.append(watch)
        return self._hook(self.memory, watch)

    def _range(self, begin: int, end: int | None) -> tuple[int, int]:
        """A range, checked; without an end it goes to the end of memory."""
        end = self.space.limit if end is None else end
        if not 0 <= begin < end:
            raise PolyvmError("PVM-USAGE", f"A hook for addresses from {begin:#x} up to {end:#x} has none.")
        return begin, end

    def _hook(self, watches: list[_CodeWatch] | list[_MemoryWatch], watch: _CodeWatch | _MemoryWatch) -> Hook:
        self._lines.clear()
        self.version += 1

        def remove() -> None:
            self._lines.clear()
            self.version += 1
            watches.remove(watch)  # type: ignore[arg-type]  # the list that it was added to

        return Hook(remove)

    def tell(self, kind: str, address: int, size: int, value: int) -> None:
        """Tell the memory hooks of an access."""
        for watch in list(self.memory):
            wanted = watch.read if kind == "read" else watch.write
            if wanted and address < watch.end and address + size > watch.begin:
                watch.callback(self.emulator, kind, address, size, value)

    # -------------------------------------------------------------------------------------------- running
    def run(self, limits: Limits) -> Exit | None:
        """Run until something ends it; None when hooks came or went, and how to run must be decided anew."""
        if limits.until != self.until:
            self.until = limits.until
            self._lines.clear()
        cpu, emulator, version = self.cpu, self.emulator, self.version
        while self.version == version:
            pc = cpu.pc
            if pc == self.until:
                return Exit("until", pc)
            if limits.left == 0:
                return Exit("count", pc)
            if emulator._wanted:
                cpu.clear_stop()
                return Exit("stopped", pc)
            if self.code and limits.announced != pc:
                limits.announced = pc
                if self.announce(pc):
                    continue  # the hook may have changed anything: look again
            limits.announced = -1
            length = self._lines.get(pc, -1)
            if length < 0:
                length = self._lines[pc] = self._line(pc)
            if length:
                length = length if limits.left is None else min(length, limits.left)
                before = cpu.budget = length - 1
                reason = cpu.run()
                done = before - cpu.budget
            else:
                before = cpu.budget = 1 << 32
                reason = self._evaluate()
                done = before - cpu.budget
            limits.ran(done)
            ended = emulator._after(reason, limits.deadline)
            if ended is not None:
                return ended
        return None

    def announce(self, pc: int) -> bool:
        """Call the code hooks for an instruction; whether there were any."""
        insn = self._insn(pc)
        called = False
        for watch in list(self.code):
            if watch.begin <= pc < watch.end:
                called = True
                watch.callback(self.emulator, pc, insn.size if insn else 0)
                if self.cpu.pc != pc:
                    break
        return called

    def _evaluate(self) -> int:
        """One instruction by the golden evaluator, its accesses told to the hooks."""
        if self.cpu._halves[layout.ST["stop"] >> 2]:
            return layout.STOP
        reason = self.stepper.step()
        if reason == layout.FLUSH:
            self.space.drop_code()
            reason = 0
        return reason or layout.BUDGET

    def _line(self, pc: int) -> int:
        """How many instructions from here on run without a look; 0: this one is for the evaluator.

        Code hooks of the first instruction were called already.
        """
        count, at = 0, pc
        while count < MAX_LINE:
            if count and (at == self.until or any(w.begin <= at < w.end for w in self.code)):
                break
            insn = self._insn(at)
            if insn is None:  # none: let native code say so
                return count or 1
            if insn.accesses and self.memory:
                break
            count += 1
            if insn.ends:
                break
            at += insn.size
        return count

    def _insn(self, pc: int) -> _Insn | None:
        """What stands at an address, as far as the watcher is concerned; None where nothing can be executed."""
        try:
            return self._insns[pc]
        except KeyError:
            found = self._insns[pc] = self._decode(pc)
            return found

    def _decode(self, pc: int) -> _Insn | None:
        try:
            decoded = self.isa.decode(self.stepper.fetch(pc))
        except Fault:
            return None
        if decoded is None:
            return None
        ops = {op.op for op in self.isa.trace(decoded.insn, decoded.shape).walk()}
        return _Insn(decoded.insn.size, bool(ops & _ENDS), bool(ops & _ACCESSES))

    def _forget(self, start: int, end: int) -> None:
        """Code was changed."""
        self._insns.clear()
        self._lines.clear()
