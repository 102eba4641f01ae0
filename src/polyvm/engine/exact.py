"""Running a guest exactly, for a debugger: one instruction at a time, or until an access that is watched.

Both are tier 0's to do, whose budget is exact and which compares every access with a limit. So that stencils and
regions stay where they are meanwhile, there is a second array of code slots for it, in which only tier 0 ever puts
something; a thread's state says which array it uses. It refuses to know who debugs, and stops no thread.
"""

from __future__ import annotations

from polyvm.engine.cpu import Cpu
from polyvm.engine.layout import (
    BUDGET,
    COUNTERS,
    FAULT,
    FETCH,
    FLUSH,
    GOLDEN,
    HOT,
    LET_BE,
    PAUSE,
    REFUSE,
    ST,
    STOP,
)
from polyvm.engine.points import Points
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.codemap import SLOT_MARGIN, SLOT_SCALE, forget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from polyvm.engine.executor import Engine, GuestCpu
    from polyvm.memory.space import AddressSpace

WIDEST = 16
"""Bytes of one access at most: a watched range begins one less earlier for native code."""
_SLOT_BASE, _WARM = ST["slot_base"] >> 3, ST["warm"] >> 3
_PLAIN_LIMIT, _WATCH_START, _WATCH_SIZE = (
    ST[name] >> 3 for name in ("plain_limit", "watch_start", "watch_size")
)
_ACCESS_HOOK, _OUTER_BUDGET = ST["access_hook"] >> 3, ST["outer_budget"] >> 3
_TIERED, _STOP, _PASSING, _NESTED = (ST[name] >> 2 for name in ("tiered", "stop", "passing", "nested"))
_PRIVATE = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE


class Exact:
    """The second way to run the threads of one guest process.

    Raises PVM-RESOURCE when the host has no room for the slots.
    """

    def __init__(self, engine: Engine, space: AddressSpace) -> None:
        self.engine = engine
        self.space = space
        self._size = space.limit * SLOT_SCALE + 2 * SLOT_MARGIN
        self._at = _map(self._size, host.PROT_READ)
        self.slots = self._at + SLOT_MARGIN
        host.mprotect(self.slots, space.limit * SLOT_SCALE, host.PROT_READ | host.PROT_WRITE)
        host.madvise(self.slots, space.limit * SLOT_SCALE, host.MADV_NOHUGEPAGE)
        # Counters that never come to their end: nothing here is to be compiled.
        self._counters = _map(8 * COUNTERS, host.PROT_READ | host.PROT_WRITE)
        self._kept: dict[GuestCpu, tuple[int, int, int, int]] = {}
        space.on_code_drop(self._dropped)
        self.points = Points(engine, space, self.slots)

    def use(self, engine: Engine) -> None:
        """From now on, run threads of this engine in the same space. There are no breakpoints now."""
        self.engine = engine
        self.points.use(engine)

    def set_points(self, addresses: Iterable[int]) -> None:
        """Have breakpoints while running to an access that is watched. No guest thread is in native code now."""
        self.points.set(addresses)

    def watch(self, cpu: GuestCpu, start: int, end: int, passes: Callable[[], bool]) -> int:
        """Run until something outside must be done; the reason, FAULT before an access of a range.

        Accesses that may reach into the range count too. passes: whether the access that is about to be made, whose
        address is the state's `value`, is to be made all the same; asked by native code, which goes on then.
        """
        if cpu.golden:
            raise PolyvmError("PVM-INTERNAL", "The golden evaluator was asked to run native code.")
        start = max(0, start - WIDEST + 1)
        words, halves = cpu._words, cpu._halves
        words[_WATCH_START], words[_WATCH_SIZE] = start, end - start
        words[_PLAIN_LIMIT] = min(start, self.space.limit)
        hook = _Hook(passes)
        words[_ACCESS_HOOK] = hook.at
        self._enter(cpu)
        try:
            reason = cpu.run()
        finally:
            self._leave(cpu)
            words[_WATCH_START] = words[_WATCH_SIZE] = words[_ACCESS_HOOK] = 0
            words[_PLAIN_LIMIT] = self.space.limit
            halves[_PASSING] = 0
            if halves[_NESTED]:  # an access that passed failed all the same
                halves[_NESTED] = 0
                cpu.budget += words[_OUTER_BUDGET]
        if hook.error is not None:
            raise hook.error
        return reason

    def is_watched(self, cpu: GuestCpu, start: int, end: int) -> bool:
        """Whether watch() gave FAULT because of the range: if not, the access is wrong."""
        return cpu.access != FETCH and cpu.value < self.space.limit and start - WIDEST < cpu.value < end

    def step(self, cpu: GuestCpu) -> tuple[int, bool]:
        """Run one instruction, breakpoint or not: why it ended, as run() tells, and whether it was executed.

        BUDGET when there is nothing else to do. The reason STOP says that somebody wanted the thread to stop, whether
        or not the instruction was executed.
        """
        before, cpu.budget = cpu.budget, 0
        try:
            if cpu.golden or cpu.pc in self.points.addresses:
                reason = self._step_golden(cpu)
            else:
                reason = self._step_native(cpu)
            return reason, cpu.budget < 0
        finally:
            cpu.budget += before

    def _step_golden(self, cpu: GuestCpu) -> int:
        """By the evaluator. Its atomic instructions are none for native code, so that waits."""
        if cpu._halves[_STOP]:
            return STOP
        if cpu.golden:
            reason = cpu.stepper().step()
        else:
            self.engine.golden_steps += 1
            with self.space.pause():
                reason = cpu.stepper().step()
        return self._after(cpu, reason or BUDGET)

    def _step_native(self, cpu: GuestCpu) -> int:
        self._enter(cpu)
        try:
            while True:
                reason = Cpu.run(cpu)
                if reason == GOLDEN:
                    return self._step_golden(cpu)
                if not (reason == HOT or (reason == FAULT and cpu.access == FETCH and cpu._give())):
                    return self._after(cpu, reason)
                if cpu.budget < 0:
                    return BUDGET
        finally:
            self._leave(cpu)

    def _after(self, cpu: GuestCpu, reason: int) -> int:
        if reason == FLUSH:
            self.space.drop_code()
            return BUDGET
        assert reason != PAUSE, "there are no breakpoints where single steps are made"
        return reason

    def _enter(self, cpu: GuestCpu) -> None:
        words, halves = cpu._words, cpu._halves
        self._kept[cpu] = words[_SLOT_BASE], cpu.counters, words[_WARM], halves[_TIERED]
        words[_SLOT_BASE], cpu.counters, words[_WARM], halves[_TIERED] = (
            self.slots,
            self._counters,
            self._counters,
            0,
        )

    def _leave(self, cpu: GuestCpu) -> None:
        words, halves = cpu._words, cpu._halves
        words[_SLOT_BASE], cpu.counters, words[_WARM], halves[_TIERED] = self._kept.pop(cpu)

    def _dropped(self, start: int, end: int) -> None:
        """Code was changed."""
        forget(self.slots, start, end)


class _Hook:
    """A question of native code: whether an access passes. What is raised on the way waits in `error`."""

    __slots__ = ("_kept", "_passes", "at", "error")

    def __init__(self, passes: Callable[[], bool]) -> None:
        self._passes = passes
        self.error: BaseException | None = None
        self.at, self._kept = host.callback(self._answer)

    def _answer(self) -> int:
        try:
            return LET_BE if self._passes() else REFUSE
        except BaseException as error:
            self.error = error
            return REFUSE


def _map(size: int, prot: int) -> int:
    at = host.mmap(0, size, prot, _PRIVATE)
    if at < 0:
        raise PolyvmError(
            "PVM-RESOURCE",
            "The host gives no room for a debugger's second array of code slots.",
            hint="Raise the limit on address space (ulimit -v unlimited).",
            size=size,
            errno=-at,
        )
    return at
