"""Lock-step: native code runs, and after every exit of a region, every so many turns of its loops, and every stretch of
the interpreter and of stencils, the golden evaluator does the same and all registers and all memory that was written
are compared.

An Engine like the other, for programs of one thread (more are refused): system calls happen once, for the native
code, and what they changed is taken over. Regions are compiled in this process, when they are wanted.
"""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

from polyvm.engine import compile as compiler
from polyvm.engine import flatten, layout, worker
from polyvm.engine import image as images
from polyvm.engine.executor import Engine, GuestCpu
from polyvm.engine.judge import Event, Judge
from polyvm.engine.layout import (
    BUDGET,
    FAULT,
    FLUSH,
    GOLDEN,
    HOT,
    ILLEGAL,
    ST,
    STOP,
    SYSCALL,
    TRAP,
)
from polyvm.engine.native import Range
from polyvm.engine.region import RegionEmitter
from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from polyvm.engine.discover import Region, Slot
    from polyvm.engine.units import Unit
    from polyvm.engine.workers import Job
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Isa
    from polyvm.memory.space import AddressSpace

STRETCH = 4096
"""Instructions of the interpreter between two comparisons."""
TURNS = 997
"""Turns of loops in stencils, unless as many are asked for."""
_HOT_PC = ST["hot_pc"] >> 3

# A unit that is left at once: where another one begins, whoever compares wants to be asked.
_DOOR = """
define preserve_nonecc void @unit(ptr %st, ptr %mem, ptr %ip, ptr %hb, i64 %budget) {{
  %base.at = getelementptr i8, ptr %st, i64 {slot_base}
  %base = load i64, ptr %base.at
  %here = ptrtoint ptr %ip to i64
  %distance = sub i64 %here, %base
  %pc = lshr exact i64 %distance, {shift}
  %pc.at = getelementptr i8, ptr %st, i64 {pc}
  store i64 %pc, ptr %pc.at
  %reason.at = getelementptr i8, ptr %st, i64 {reason}
  store i32 {left}, ptr %reason.at
  %budget.at = getelementptr i8, ptr %st, i64 {budget}
  store i64 %budget, ptr %budget.at
  ret void
}}
"""


class Turning(RegionEmitter):
    """A region that is also left after so many passes over loop heads."""

    turns = 0

    def _enter(self) -> None:
        if self.turns:
            self.do("%T = alloca i64")
            # One more: the entry itself may be a loop head, and something must be done between two comparisons.
            self.do(f"store i64 {self.turns + 1}, ptr %T")
        super()._enter()

    def op_counter(self, op: Val, args: list[str]) -> str:
        """Counters are read where the judge can see it."""
        done = self.fresh_label("dead")
        self.leave_golden()
        self.start(done)
        return "0"

    def _safepoint(self, pc: int) -> None:
        super()._safepoint(pc)
        if not self.turns:
            return
        left = self.ins(f"sub i64 {self.ins('load i64, ptr %T')}, 1")
        self.do(f"store i64 {left}, ptr %T")
        saved = dict(self.current)
        self.unlikely(self.ins(f"icmp eq i64 {left}, 0"), lambda: self.leave("BUDGET", pc, live_at=pc))
        self.current = saved


class Here:
    """Stands for the compilers' pool: compiles when it is asked, in this thread."""

    def __init__(self, guest: str, emitter: type[RegionEmitter] = RegionEmitter) -> None:
        self.guest = guest
        self.emitter = emitter
        self.cpu_s = 0.0
        self.failed = ""
        self.made: RegionEmitter | None = None

    def submit(self, job: Job) -> None:
        """Compile a region and hand it over."""
        started = process_time()
        job.done(job, self.compile(job), process_time() - started)

    def no_start(self) -> None:
        """It has no processes."""

    def compile(self, job: Job) -> bytes | None:
        """A region's unit."""
        return worker.compile_unit(
            self.guest,
            job.pc,
            job.entries,
            job.observed(),
            job.read,
            hot=job.hot(),
            ran=job.ran,
            kind=job.kind,
            tries=job.tries,
            emitter=self._emit,
        )

    def _emit(self, isa: Isa, region: Region, *, kind: str = "") -> RegionEmitter:
        self.made = self.emitter(isa, region, kind=kind)
        return self.made


class LockstepEngine(Engine):
    """tier: what is judged, as for every engine; not "golden", which is the judge. kind: letters of layout for regions
    from the start, as PRECISE. turns: of loops between comparisons; 0 for none. threshold: jumps to a place before its
    region is compiled. `comparisons` and `compared` are the sums.
    """

    def __init__(
        self,
        guest: str,
        *,
        tier: str = "region",
        kind: str = "",
        turns: int = 997,
        threshold: int = 64,
        folder: str | None = None,
        progress: Callable[[str], None] | None = None,
        options: Iterable[str] = (),
    ) -> None:
        if tier == "golden":
            raise PolyvmError(
                "PVM-USAGE",
                "Lock-step compares native code with the golden evaluator, not that with itself.",
                hint="Another tier is the default.",
            )
        super().__init__(
            guest, tier=tier, folder=folder, progress=progress, counted=True, policy="eager", options=options
        )
        self.kind = kind
        self.natively = False  # the judge wants to see them
        if self.units is not None:
            self.threshold = threshold
            self.units.folder = None  # what is compiled here has more in it than what others may use
            self.units.kind = kind + self.plain_kind
        elif self.baseline:
            self.threshold = turns or TURNS
        self.here = Here(guest, type("TurningSo", (Turning,), {"turns": turns}))
        self.compilers = self.here  # type: ignore[assignment]  # it has what is used of the pool
        self.emitters: dict[Unit, RegionEmitter] = {}
        self.judges: list[Judge] = []
        self.door = images.load(
            flatten.flatten(compiler.compile_object(_door()), ["unit"]), within=self.native.image.room
        )
        self.native.add_ranges([Range.of(self.door)])

    @property
    def comparisons(self) -> int:
        """How often everything was compared."""
        return sum(judge.comparisons for judge in self.judges)

    @property
    def compared(self) -> int:
        """Instructions that were done twice."""
        return sum(judge.insns for judge in self.judges)

    def stats(self) -> dict[str, Any]:
        """As for every engine, and what was compared."""
        found, compared = super().stats(), self.compared
        tiers = found["tiers"]
        # Budgets begin anew with every stretch: what was compared is what was done. Times are the judge's, too.
        others = sum(tiers.get(name, {}).get("insns") or 0 for name in ("golden", "baseline", "region"))
        tiers["interpreter"]["insns"] = compared - others
        for tier in tiers.values():
            tier.pop("seconds", None)
        return found | {
            "guest_insns": compared,
            "lockstep": {"insns": compared, "comparisons": self.comparisons},
        }

    def thread(self, space: AddressSpace) -> GuestCpu:
        """The guest's thread, the only one. Raises PVM-UNSUPPORTED for a second one."""
        if self.cpus:
            raise PolyvmError("PVM-UNSUPPORTED", "Lock-step checking is for programs of one thread.")
        return super().thread(space)

    def _cpu(self, space: AddressSpace) -> GuestCpu:
        cpu = LockstepCpu(self, space)
        self.judges.append(cpu.judge)
        return cpu

    def new_program(self) -> None:
        """As for every engine, but the kind stays what was asked for."""
        super().new_program()
        if self.units is not None:
            self.units.kind = self.kind + self.plain_kind

    def hot(self, cpu: GuestCpu) -> None:
        """Have a region compiled the first time already."""
        pc = cpu._words[_HOT_PC]
        self.met.add(pc)
        super().hot(cpu)
        # Stencils do not look at the budget: a loop of theirs is left because it is hot, again and again.
        self.hotness.begin(cpu, pc, self.threshold << 4 if self.units is not None else self.threshold)

    def _compiled(self, job: Job, data: bytes | None, cpu_s: float) -> None:
        units = self.units
        assert units is not None
        super()._compiled(job, data, cpu_s)
        unit = units.by_pc.get(job.pc)
        if unit is not None and unit not in self.emitters and self.here.made is not None:
            self.emitters[unit] = self.here.made
            assert self.space is not None
            for pc in unit.entries:
                units.lead(self.space, pc, self.door.address("unit"))


class LockstepCpu(GuestCpu):
    """A thread with a judge beside it."""

    engine: LockstepEngine

    def __init__(self, engine: LockstepEngine, space: AddressSpace) -> None:
        super().__init__(engine, space)
        self.judge = Judge(self, engine.guest.isa, space)
        engine_state = self.stepper().state
        self._counter = engine_state.counter
        engine_state.counter = self._read_counter  # type: ignore[method-assign]  # to be read again by the judge

    def _read_counter(self, kind: str) -> int:
        value = self._counter(kind)
        self.judge.clock.append(value)
        return value

    def close(self) -> None:
        """Give the state's memory back, and the judge's copy of the guest's."""
        if self.st:
            self.judge.memory.close()
        super().close()

    def run(self) -> int:
        """Run as GuestCpu does, and have everything judged."""
        judge = self.judge
        judge.take()
        while True:
            reason, insns, lost = self._native()
            self.engine.exits[reason] += 1
            if reason in (SYSCALL, TRAP, FAULT, ILLEGAL):
                judge.meet(self._expected(reason), lost)
                return reason
            judge.follow(insns, lost)
            if reason == STOP:
                return reason
            if reason == HOT:
                self.engine.hot(self)
            elif reason == FLUSH:
                self.space.drop_code()
            elif reason == GOLDEN:
                self.engine.golden_steps += 1
                reason = self.stepper().step()
                if reason:
                    judge.meet(self._expected(reason))
                    return reason
                judge.follow(1)

    def _native(self) -> tuple[int, int, set[Slot]]:
        """Run native code up to the next place to compare.

        The reason, how many instructions it did, and the registers that it need not have kept.
        """
        engine = self.engine
        units = engine.units
        unit = None if units is None else units.by_pc.get(self.pc)
        if units is None or unit is None:
            budget = self.budget = STRETCH
            return super(GuestCpu, self).run(), budget - self.budget, set()
        # Behind the region's exit one instruction of tier 0 uses the budget up.
        pc = self.pc
        units.lead(self.space, pc, unit.start)
        self.budget = 0
        reason = super(GuestCpu, self).run()
        units.lead(self.space, pc, engine.door.address("unit"))
        insns = -self.budget
        return reason, insns, self._lost(reason, engine.emitters[unit])

    def _lost(self, reason: int, emitter: RegionEmitter) -> set[Slot]:
        """Registers whose value a region may have given up where the guest cannot look: all that it uses at a fault,
        and what is dead where it was left, at a loop head or before what golden is to do."""
        know = emitter.know
        if reason == FAULT:
            return set() if emitter.precise else set(know.used)
        if emitter.whole:
            return set()
        left = reason in (BUDGET, STOP) and self.pc in emitter.heads
        if left or (reason == GOLDEN and self.pc in know.live):
            return set(know.used) - know.live[self.pc]
        return set()

    def _expected(self, reason: int) -> Event:
        if reason == TRAP:
            return Event(TRAP, self.cause, self.value)
        if reason == FAULT:
            return Event(FAULT, self.access, self.value)
        return Event(reason)


def _door() -> str:
    places: dict[str, Any] = {name: ST[name] for name in ("slot_base", "pc", "reason", "budget")}
    return _DOOR.format(shift=layout.SLOT_SHIFT, left=BUDGET, **places)
