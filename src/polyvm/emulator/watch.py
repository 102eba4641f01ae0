"""Hooks of code and memory, and running with them.

Both are in the native code. An instruction that a code hook may want has the handler `pause` before its own, put there
when it is decoded; one that no hook wants after all is freed of it when it is first met. An access that a memory hook
may want is above a limit that every access is compared with anyhow, and leaves before it is made; it is made natively
when the hooks were told. The golden evaluator does only the instructions whose accesses it takes more to tell, such as
atomics. Nothing of this is loaded or consulted for a run without hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.emulator.exits import Exit, Hook
from polyvm.engine import layout
from polyvm.engine.cpu import FOREVER
from polyvm.engine.discover import slot_of
from polyvm.engine.goldenstep import Fault, SpaceMemory, Stepper
from polyvm.engine.layout import ASIDE, BUDGET, FAULT, FETCH, ILLEGAL, LET_BE, PAUSE, REFUSE, ST, STOP
from polyvm.errors import PolyvmError
from polyvm.ir.ops import ACCESSES
from polyvm.ir.trace import walk
from polyvm.memory import host
from polyvm.memory.access import GuestFault
from polyvm.memory.regions import READ, WRITE

if TYPE_CHECKING:
    from weakref import ref

    from polyvm.emulator.exits import Limits
    from polyvm.emulator.processor import CodeHook, Emulator, MemoryHook
    from polyvm.engine.executor import GuestCpu
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Isa
    from polyvm.memory.space import AddressSpace

_WIDEST = 16  # bytes that an access has at most
_PC, _BUDGET, _VALUE = ST["pc"] >> 3, ST["budget"] >> 3, ST["value"] >> 3
_ACCESS, _STOP, _PASSING, _NESTED = (ST[name] >> 2 for name in ("access", "stop", "passing", "nested"))
_PAUSE_HOOK, _ACCESS_HOOK, _OUTER_BUDGET = (
    ST[name] >> 3 for name in ("pause_hook", "access_hook", "outer_budget")
)
_PLAIN_LIMIT, _WATCH_START, _WATCH_SIZE = (
    ST[name] >> 3 for name in ("plain_limit", "watch_start", "watch_size")
)
_PAUSE_START, _PAUSE_SIZE = ST["pause_start"] >> 3, ST["pause_size"] >> 3


class _Elsewhere(Exception):
    """A memory hook sent the program counter elsewhere: the instruction is not executed."""


class _Insn:
    """What the watcher must know of an instruction.

    access: the bytes of its one load or store, 0 where it takes the evaluator to tell its accesses. source: for a
    store, where in the thread's state its value is, else -1.
    """

    __slots__ = ("access", "size", "source")

    def __init__(self, size: int, access: int, source: int) -> None:
        self.size = size
        self.access = access
        self.source = source


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
        self.watcher.tell(self.watcher.emulator, "read", address, size, super().load(address, size))
        return super().load(address, size)  # a hook may have changed it

    def store(self, address: int, size: int, value: int) -> None:
        """Tell what is written, and write it. An access that fails is none, and is not told."""
        self.probe(address, size, True)
        self.watcher.tell(self.watcher.emulator, "write", address, size, value)
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
    """The hooks of one emulator, and its run while there are any."""

    def __init__(self, emulator: ref[Emulator], cpu: GuestCpu, space: AddressSpace, isa: Isa) -> None:
        self._emulator = emulator  # weak: an emulator that nobody has any more is closed
        self.cpu = cpu
        self.space = space
        self.isa = isa
        # Replaced, never changed: a hook that comes or goes while hooks are called is not among those.
        self.code: tuple[_CodeWatch, ...] = ()
        self.memory: tuple[_MemoryWatch, ...] = ()
        self.version = 0  # counts hooks that came and went
        self.stepper = _WatchedStepper(cpu, isa, space, self)
        self._places = isa.state_layout(layout.REGISTERS)
        self._words = cpu._words
        self._on_pause_at, self._kept = host.callback(self._on_pause)
        self._on_access_at, self._kept_too = host.callback(self._on_access)
        self._running: tuple[Emulator, Limits]  # while native code may ask
        self._raised: BaseException | None = None  # by a hook
        self._told = False  # hooks were told of the access for which native code was left
        self._armed = 0  # the version that native code knows
        self._pausing = 0, 0  # from and to: where instructions get pauses
        self._insns: dict[int, _Insn | None] = {}
        self._hooks: dict[int, tuple[list[CodeHook], int] | None] = {}
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

    # -------------------------------------------------------------------------------------------- hooks
    def add_code(self, callback: CodeHook, begin: int, end: int | None) -> Hook:
        """A hook before instructions."""
        watch = _CodeWatch(callback, *self._range(begin, end))
        self.code = (*self.code, watch)
        return self._hook(watch)

    def add_memory(
        self, callback: MemoryHook, begin: int, end: int | None, *, read: bool, write: bool
    ) -> Hook:
        """A hook for accesses."""
        if not read and not write:
            raise PolyvmError(
                "PVM-USAGE", "A memory hook for neither reads nor writes would never be called."
            )
        watch = _MemoryWatch(callback, *self._range(begin, end), read, write)
        self.memory = (*self.memory, watch)
        return self._hook(watch)

    def _range(self, begin: int, end: int | None) -> tuple[int, int]:
        """A range, checked; without an end it goes to the end of memory."""
        end = self.space.limit if end is None else end
        if not 0 <= begin < end:
            raise PolyvmError("PVM-USAGE", f"A hook for addresses from {begin:#x} up to {end:#x} has none.")
        return begin, end

    def _hook(self, added: _CodeWatch | _MemoryWatch) -> Hook:
        self.version += 1

        def remove() -> None:
            self.version += 1
            self.code = tuple(watch for watch in self.code if watch is not added)
            self.memory = tuple(watch for watch in self.memory if watch is not added)

        return Hook(remove)

    def tell(self, emulator: Emulator, kind: str, address: int, size: int, value: int) -> None:
        """Tell the memory hooks of an access. Raises _Elsewhere."""
        words = self._words
        pc = words[_PC]
        for watch in self.memory:
            wanted = watch.read if kind == "read" else watch.write
            if wanted and address < watch.end and address + size > watch.begin:
                watch.callback(emulator, kind, address, size, value)
                if words[_PC] != pc:
                    raise _Elsewhere

    # -------------------------------------------------------------------------------------------- running
    def arm(self) -> None:
        """Have native code leave for what the hooks of now may want, and for nothing else."""
        if self._armed == self.version:
            return
        self._armed = self.version
        self._hooks.clear()
        words, limit = self.cpu._words, self.space.limit
        before, (begin, end) = self._pausing, _hull(self.code, limit)
        self._pausing = begin, end
        words[_PAUSE_START], words[_PAUSE_SIZE] = begin, end - begin
        for start, stop in (before, (begin, end)):
            if start < stop:
                self.space.drop_code(start, stop)
        begin, end = _hull(self.memory, limit)
        begin = max(0, begin - _WIDEST + 1)
        words[_WATCH_START], words[_WATCH_SIZE] = begin, end - begin
        words[_PLAIN_LIMIT] = begin if end else limit
        words[_PAUSE_HOOK] = self._on_pause_at if self.code else 0
        words[_ACCESS_HOOK] = self._on_access_at if self.memory else 0

    def run(self, limits: Limits) -> Exit | None:
        """Run until something ends it; None when hooks came or went, and how to run must be decided anew."""
        self.arm()
        if self.cpu.golden:
            return self._run_golden(limits)
        self._running = emulator, limits = self.emulator, limits
        try:
            if limits.until is None:
                return self._run(emulator, limits)
            with emulator._breakpoint().at(limits.until):
                return self._run(emulator, limits)
        finally:
            self._running = self._raised = None  # type: ignore[assignment]  # only native code asks, which does not run

    def _run(self, emulator: Emulator, limits: Limits) -> Exit | None:
        cpu, version, until = self.cpu, self.version, limits.until
        words, halves, signed = cpu._words, cpu._halves, cpu._signed
        while True:
            pc = words[_PC]
            if pc == until or limits.left == 0 or emulator._wanted:
                return self._ended(pc, limits)
            told = limits.announced == pc
            limits.announced = -1
            left = limits.left
            signed[_BUDGET] = budget = FOREVER if left is None else left - 1
            halves[_PASSING] = told
            reason = cpu.run()
            halves[_PASSING] = 0
            if halves[_NESTED]:  # an access that hooks were told of failed all the same
                halves[_NESTED] = 0
                words[_PLAIN_LIMIT] = words[_WATCH_START]
                signed[_BUDGET] += words[_OUTER_BUDGET]
            limits.ran(budget - signed[_BUDGET])
            if self._raised is not None:
                raise self._raised
            now = words[_PC]
            if reason == FAULT and self.memory and halves[_ACCESS] != FETCH and self._watched(words[_VALUE]):
                reason = self._evaluate(limits)
            if reason == STOP and now == pc and told:
                limits.announced = pc
            elif (reason == ILLEGAL or (reason == FAULT and halves[_ACCESS] == FETCH)) and not (
                told and now == pc
            ):
                # Nothing was decoded that could have had a pause.
                hooks = self._hooks_at(now)
                if hooks is not None:
                    limits.announced = now
                    self._announce(emulator, now, hooks)
                    reason = PAUSE
            if reason not in (BUDGET, PAUSE):
                ended = emulator._after(reason, limits.deadline)
                if ended is not None:
                    return ended
            if self.version != version:
                return None

    def _on_pause(self) -> int:
        """Called by native code before an instruction that may be hooked."""
        try:
            emulator, limits = self._running
            words = self._words
            pc = words[_PC]
            if pc == limits.until or emulator._wanted:
                return ASIDE
            hooks = self._hooks_at(pc)
            if hooks is None:
                self._free(pc)
                return LET_BE
            version = self.version
            self._announce(emulator, pc, hooks)
            if words[_PC] != pc:
                return ASIDE
            if self.version != version or emulator._wanted:
                limits.announced = pc
                return ASIDE
            return LET_BE
        except BaseException as error:  # Ctrl-C among them: it goes on where run() was called
            self._raised = error
            return ASIDE

    def _on_access(self) -> int:
        """Called by native code before an access that may be hooked, whose address is the state's `value`."""
        try:
            emulator, _ = self._running
            words = self._words
            pc, address = words[_PC], words[_VALUE]
            insn = self._insn(pc)
            if insn is None or not insn.access:
                return REFUSE
            size = insn.access
            region = self.space.lookup(address)
            if region is None or address + size > region.end:
                return REFUSE
            source, version = insn.source, self.version
            if not region.prot & (READ if source < 0 else WRITE):
                return LET_BE  # an access that fails is none, and is not told
            if source >= 0:
                kind, value = "write", int.from_bytes(self.cpu._bytes[source : source + size], "little")
            elif region.backing is None:
                kind, value = "read", int.from_bytes(self.space._view[address : address + size], "little")
            else:
                kind, value = "read", int.from_bytes(self.space.read(address, size), "little")
            self.tell(emulator, kind, address, size, value)
            self._told = self.version != version or emulator._wanted
            return REFUSE if self._told else LET_BE
        except _Elsewhere:
            return ASIDE
        except BaseException as error:
            self._raised = error
            return ASIDE

    def _run_golden(self, limits: Limits) -> Exit | None:
        """The same by the evaluator alone."""
        cpu, emulator, version = self.cpu, self.emulator, self.version
        while self.version == version:
            pc = cpu.pc
            if pc == limits.until or limits.left == 0 or emulator._wanted:
                return self._ended(pc, limits)
            if limits.announced != pc and (hooks := self._hooks_at(pc)) is not None:
                limits.announced = pc
                self._announce(emulator, pc, hooks)
                continue
            limits.announced = -1
            ended = emulator._after(self._evaluate(limits), limits.deadline)
            if ended is not None:
                return ended
        return None

    def _ended(self, pc: int, limits: Limits) -> Exit:
        """Why the run ends before the instruction at pc."""
        if pc == limits.until:
            return Exit("until", pc)
        if limits.left == 0:
            return Exit("count", pc)
        self.cpu.clear_stop()
        return Exit("stopped", pc)

    # -------------------------------------------------------------------------------------------- code
    def _announce(self, emulator: Emulator, pc: int, hooks: tuple[list[CodeHook], int]) -> None:
        """Call the code hooks for an instruction, until one sends the program counter elsewhere."""
        callbacks, size = hooks
        words = self.cpu._words
        for callback in callbacks:
            callback(emulator, pc, size)
            if words[_PC] != pc:
                break

    def _hooks_at(self, pc: int) -> tuple[list[CodeHook], int] | None:
        """The code hooks for an instruction and its bytes, 0 for none that can be executed; None without hooks."""
        try:
            return self._hooks[pc]
        except KeyError:
            callbacks = [watch.callback for watch in self.code if watch.begin <= pc < watch.end]
            insn = self._insn(pc) if callbacks else None
            found = self._hooks[pc] = (callbacks, insn.size if insn else 0) if callbacks else None
            return found

    def _free(self, pc: int) -> None:
        """Take the pause before an instruction away: it is between hooks, and none wants it."""
        slot = host.view(self.space.slots + (pc << layout.SLOT_SHIFT), 8).cast("I")
        if slot[1]:
            slot[0], slot[1] = slot[1], 0

    # -------------------------------------------------------------------------------------------- memory
    def _watched(self, address: int) -> bool:
        """Whether native code left for the hooks' sake."""
        words = self.cpu._words
        return address < self.space.limit and 0 <= address - words[_WATCH_START] < words[_WATCH_SIZE]

    def _evaluate(self, limits: Limits) -> int:
        """One instruction by the golden evaluator, its accesses told to the hooks."""
        cpu = self.cpu
        if cpu.golden and cpu._halves[_STOP]:
            return STOP
        cpu.budget = 0
        stepper, self._told = self.stepper.plain if self._told else self.stepper, False
        try:
            reason = stepper.step()
        except _Elsewhere:
            return BUDGET
        limits.ran(-cpu.budget)
        if reason == layout.FLUSH:
            self.space.drop_code()
            reason = 0
        return reason or BUDGET

    # -------------------------------------------------------------------------------------------- instructions
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
        ops = self.isa.trace(decoded.insn, decoded.shape).ops
        accesses = [op for op in walk(ops) if op.op in ACCESSES]
        access, source = 0, -1
        if len(accesses) == 1 and any(op is accesses[0] for op in ops):
            if accesses[0].op == "load":
                access = accesses[0].bits // 8
            elif accesses[0].op == "store":
                source = self._source(accesses[0].args[1], decoded.fields)
                access = accesses[0].args[1].bits // 8 if source >= 0 else 0
        return _Insn(decoded.insn.size, access, source)

    def _source(self, value: Val, fields: dict[str, int]) -> int:
        """Where in the state the low bytes of a value are, when it is a register's; else -1."""
        if value.op == "trunc":
            value = value.args[0]
        slot = slot_of(value, fields)
        return -1 if slot is None or slot not in self._places else self._places[slot][0]

    def _forget(self, start: int, end: int) -> None:
        """Code was changed."""
        self._insns.clear()
        self._hooks.clear()


def _hull(watches: tuple[_CodeWatch, ...] | tuple[_MemoryWatch, ...], limit: int) -> tuple[int, int]:
    """The range from the first address that is hooked to the last, (0, 0) for none."""
    begin = min((watch.begin for watch in watches), default=0)
    end = min(max((watch.end for watch in watches), default=0), limit)
    return (begin, end) if begin < end else (0, 0)
