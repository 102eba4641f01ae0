"""Where a guest's threads are, looked at many times a second: what it costs is a stop for each look, some 0.1 ms.

A thread that has used the processor since the last look is asked to stop; it writes down at its next safepoint where
the signal met it, its registers and the top of its stack, and goes on. Threads that wait for something are let alone,
so the guest learns of nothing. What a look means is for others to say: see debug.recorder.
"""

from __future__ import annotations

import _thread
import os
import time
from bisect import bisect_right
from typing import Generic, TypeVar

from polyvm.engine import fault
from polyvm.engine.layout import PR, ST
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.engine.executor import Engine
    from polyvm.engine.units import Unit
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

T = TypeVar("T")
STACK_BYTES = 1 << 15
"""Of a thread's stack, from its top, that are kept for the walk to its callers."""
SHARE = 8
"""A thread is asked when it has used the processor for this part of the time between two looks at least."""
LATE_S = 1.0
"""A thread that has not answered for so long is asked again: it waited in a call meanwhile."""

TIERS = ("region", "baseline", "interpreter", "golden", "kernel", "engine")
"""What a thread may be at: code of a tier; the host's kernel, for a call that native code made; or Python, for all
other system calls and for what the engine itself does."""

_STOP_RIP = ST["stop_rip"] >> 3


class Sample:
    """One look. when: seconds since the sampler began, of the question. cpu_s: of the processor, since the look at this
    thread before.
    rip: the host's PC when the signal came. pc, registers (by their DWARF numbers), stack: of the safepoint after that;
    stack_at: the stack's address.
    """

    __slots__ = ("cpu_s", "pc", "registers", "rip", "stack", "stack_at", "tid", "when")

    def __init__(self, when: float, tid: int, cpu_s: float) -> None:
        self.when = when
        self.tid = tid
        self.cpu_s = cpu_s
        self.rip = self.pc = self.stack_at = 0
        self.registers: list[int] = []
        self.stack = b""


class Sampler:
    """Looks at the threads of a process every `period` seconds until close().

    take: called for each look, in order. tick: called after each round with the seconds since the beginning. Both are
    called on the sampler's own thread, which has descriptors of its own where the host allows it.
    """

    def __init__(
        self,
        process: Process,
        period: float,
        take: Callable[[Sample], None],
        tick: Callable[[float], None],
        *,
        stacks: bool = True,
    ) -> None:
        self.process = process
        self.period = period
        self.take = take
        self.tick = tick
        self.stacks = stacks
        self.pid = os.getpid()
        self.began = time.monotonic()
        self.trouble: BaseException | None = None
        self._asked: dict[int, Sample] = {}  # by host threads
        self._taken: list[Sample] = []
        self._used: dict[int, float] = {}
        self._end = _thread.allocate_lock()
        self._end.acquire()
        self._over = _thread.allocate_lock()
        self._over.acquire()
        me = _thread.get_native_id()  # what came before is no guest's
        self._used[me] = cpu_time(me) or 0.0
        process.on_stop = self._stopped
        fault.start_thread(self._work)

    def close(self) -> None:
        """End; every look that there was has been taken then. Raises what went wrong on the sampler's thread."""
        if os.getpid() != self.pid:
            return
        self._end.release()
        self._over.acquire()
        self.process.on_stop = None
        if self.trouble is not None:
            raise self.trouble

    # -- on the guest's threads
    def _stopped(self, thread: Thread) -> None:
        """A thread has stopped: if it was asked by us, keep where it is."""
        sample = self._asked.pop(thread.tid, None)
        if sample is None or os.getpid() != self.pid:
            return
        cpu, abi = thread.cpu, thread.process.abi
        sample.rip = cpu._words[_STOP_RIP]
        sample.pc = cpu.pc
        if self.stacks:
            sample.registers = abi.dwarf_registers(cpu)
            sample.stack_at = at = sample.registers[abi.DWARF_STACK] & -8
            space = thread.space
            region = space.lookup(at) if at < space.limit else None
            if region is not None:
                try:
                    sample.stack = space.read(at, min(STACK_BYTES, region.end - at))
                except PolyvmError:
                    pass  # no stack: it is without callers then
        self._taken.append(sample)

    # -- on our own
    def _work(self) -> None:
        try:
            self.process.set_apart()
            while not self._end.acquire(True, self.period):
                self._round()
            self._finish()
        except BaseException as error:
            self.trouble = error
        finally:
            self._over.release()

    def _round(self) -> None:
        now = time.monotonic() - self.began
        for thread in list(self.process.world.threads):
            self._ask(thread, now)
        self._finish()
        self.tick(now)

    def _finish(self) -> None:
        taken, self._taken = self._taken, []
        for sample in taken:
            self.take(sample)

    def _ask(self, thread: Thread, now: float) -> None:
        tid = thread.tid
        used = cpu_time(tid)
        if used is None or not tid:
            return
        spent = used - self._used.setdefault(tid, 0.0)
        if spent * SHARE < self.period:
            return
        old = self._asked.get(tid)
        if old is not None and now - old.when < LATE_S:
            return
        self._used[tid] = used
        self._asked[tid] = Sample(now, tid, spent + (0.0 if old is None else old.cpu_s))
        try:
            thread.cpu._words[_STOP_RIP] = 0  # it stays so when the signal meets the thread in Python
        except ValueError:
            return  # the thread has just ended
        thread.cpu.stop()


class Where(Generic[T]):
    """Host addresses of regions: which a host PC belongs to, in its image or in the copy that a stop runs on in."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ranges: list[tuple[int, int, int, T]] = []  # start, end, distance of the copy

    def add(self, unit: Unit, made: T) -> None:
        """A region is there; what was at its addresses is not any more."""
        start, shadow = unit.image.base, unit.image.shadow
        end = start + shadow + unit.image.size
        kept = [r for r in self._ranges if r[1] <= start or r[0] >= end]
        kept.append((start, end, shadow, made))
        kept.sort(key=lambda r: r[0])
        self._ranges, self._starts = kept, [r[0] for r in kept]

    def find(self, rip: int) -> tuple[T, int] | None:
        """The region, and the distance from its image's beginning."""
        index = bisect_right(self._starts, rip) - 1
        if index < 0 or rip >= self._ranges[index][1]:
            return None
        start, _, shadow, made = self._ranges[index]
        offset = rip - start
        if shadow and offset >= shadow:
            offset -= shadow
        return made, offset


def cpu_time(tid: int) -> float | None:
    """Seconds that a thread of this process has used the processor; None for one that is gone.

    The clock's number is the kernel's own (include/linux/posix-timers.h, MAKE_THREAD_CPUCLOCK with CPUCLOCK_SCHED).
    """
    try:
        return time.clock_gettime(~tid << 3 | 6)
    except OSError:
        return None


def tier_of(engine: Engine, rip: int) -> str | None:
    """What of TIERS a host PC belongs to, of all but regions; None for what may be a region."""
    native = engine.native
    if engine.tier == "golden":
        return "golden"
    arena = native.arena
    if arena.size and arena.rx <= rip < arena.rx + arena.size:
        return "baseline"
    image = native.image
    if image.base <= rip < image.base + image.size:
        return "kernel" if native.get("sys_begin") <= rip <= native.get("sys_end") else "interpreter"
    return None


assert {"sys_begin", "sys_end"} <= PR.keys()
