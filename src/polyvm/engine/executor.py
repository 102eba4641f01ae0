"""The engine as the layers above see it: threads of a guest that run until something outside must be done.

Joins the tiers. What leaves native code for the engine's own sake (a hot loop, an instruction only the golden
evaluator does, a flush) is dealt with here and never seen above. It refuses tiers that do not exist, by name.
"""

from __future__ import annotations

import _thread
from time import perf_counter, process_time

from polyvm.engine import cachedir, fault, interpreter_image, layout
from polyvm.engine.arena import SIZE as ARENA_SIZE
from polyvm.engine.cpu import FOREVER, Cpu
from polyvm.engine.guest import Guest
from polyvm.engine.layout import (
    BARRED,
    BUDGET,
    COUNTED,
    COUNTERS,
    FAULT,
    FETCH,
    FLUSH,
    GOLDEN,
    HOT,
    HOT_FIRST,
    ILLEGAL,
    MET,
    PRECISE,
    ROUNDED,
    ST,
    UNMET,
    WARM_FIRST,
    WHOLE,
)
from polyvm.engine.native import Native
from polyvm.engine.tiering import MAX_ENTRIES, Hotness
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.access import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger
    from typing import Any

    from polyvm.engine.goldenstep import Stepper
    from polyvm.engine.profile import Profile
    from polyvm.engine.units import Unit, Units
    from polyvm.engine.workers import Compilers, Job
    from polyvm.memory.space import AddressSpace

TIERS = ("auto", "golden", "interpreter", "baseline", "region")
NEVER = 0xFFFF_FFFF
LOG_S = 0.02
"""Where dynamic jumps went is read so often, in CPU seconds, when nothing is wanted: a few hundred fill a log."""
ASK_S = 0.5
"""A place asks for its region so often at most, in CPU seconds."""
HOT_AFTER = 16384
"""Backward or dynamic jumps to a place before its region is compiled: some 0.2 ms at least. Compiling costs hundreds of
times that, so engine.tiering decides which of what is hot is compiled. What the disk has is taken after HOT_FIRST."""
VECTOR_HOT = 4
"""How often a vector instruction is met before a region is made of it: the evaluator takes milliseconds for each."""
VECTOR_WORTH = 1e6
"""Its score: more than that of any region of what tier 1 can do meanwhile."""
MAX_TRIES = 4
MAX_TARGETS = 64
MAX_LEFT = 32
"""Regions that are still compiled when their program has ended."""
_NONE: set[int] = set()
_FILLED = bytes([UNMET, *[MET] * 255])
_UNIT_INSNS, _UNIT_TICKS = ST["unit_insns"] >> 3, ST["unit_ticks"] >> 3
_HOT_PC, _LOG_NEXT = ST["hot_pc"] >> 3, ST["log_next"] >> 2
_WARM = ST["warm"] >> 3
_LOOKING, _SINGLY = ST["looking"] >> 2, ST["singly"] >> 2
_GIVEN_AT, _GIVEN, _GIVEN_SIZE = (ST[name] >> 3 for name in ("given_at", "given", "given_size"))
_GIVEN_BYTES = 16
HOTTEST = 32  # places that are told of
_ALONE = ST["alone"] >> 2
_TIERED, _BLOCK_INSNS = ST["tiered"] >> 2, ST["block_insns"] >> 3

_natives: dict[str, tuple[Native, str, bool, int]] = {}


class GuestCpu(Cpu):
    """A guest thread whose run() comes back only for what its caller must do."""

    def __init__(self, engine: Engine, space: AddressSpace) -> None:
        super().__init__(engine.native, space, engine.guest.places)
        self.engine = engine
        self.space = space
        self._stepper: Stepper | None = None
        self.counter_block = host.mmap(
            0, 8 * COUNTERS, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS
        )
        self.hot_cells = host.view(self.counter_block, 8 * COUNTERS).cast("I")
        self.begun: dict[int, int] = {}  # what counters were set to that came to their end before
        self.log_read = 0.0  # when its log was, in CPU seconds
        self.counters = self.counter_block
        self.hot_cells[:COUNTERS] = _pattern(engine.threshold)
        self.hot_cells[COUNTERS:] = _pattern(WARM_FIRST if engine.tiered else NEVER)
        self._words[_WARM] = self.counter_block + (4 * COUNTERS if engine.tiered else 0)
        self._halves[_TIERED] = engine.tiered
        if engine.expected is not None:
            self.expect(engine.expected - engine.met, engine.longer)
        self.golden = engine.tier == "golden"
        self.native_s = 0.0

    def close(self) -> None:
        """Give the state's memory back."""
        if self.st:
            self.engine.ended(self)
            self.hot_cells.release()
            host.munmap(self.counter_block, 8 * COUNTERS)
        super().close()

    def expect(self, places: set[int], more: int) -> None:
        """Have the counters run longer, but not those of some places."""
        cells = self.hot_cells[:COUNTERS]
        if more:
            counts = int.from_bytes(cells, "little") + int.from_bytes(_pattern(more), "little")
            cells[:] = memoryview(counts.to_bytes(4 * COUNTERS, "little")).cast("I")
        for pc in places:
            cell = (pc >> 1) % COUNTERS
            if cells[cell] > HOT_FIRST:
                cells[cell] = HOT_FIRST

    def stepper(self) -> Stepper:
        """The golden evaluator on this thread."""
        if self._stepper is None:
            from polyvm.engine.goldenstep import Stepper

            guest = self.engine.guest
            turn = self.engine.turn if self.golden else None
            self._stepper = Stepper(self, guest.isa, self.space, guest.monitor, turn)
        return self._stepper

    def _give(self) -> bool:
        """Give native code the instruction that it could not read: executing is all that the guest may do there."""
        pc = self.pc
        try:
            code = self.space.fetch(pc, _GIVEN_BYTES)
        except GuestFault:
            return False
        if not pc <= self.value < pc + len(code):
            return False
        words = self._words
        words[_GIVEN] = int.from_bytes(code[:8], "little")
        words[_GIVEN + 1] = int.from_bytes(code[8:], "little")
        words[_GIVEN_SIZE], words[_GIVEN_AT] = len(code), pc + 1
        return True

    def run(self) -> int:
        """Run until a system call, a trap, a fault, a stop, or the end of the budget; the reason."""
        exits = self.engine.exits
        while True:
            if self.golden:
                reason = self.stepper().run()
            elif self.engine.counted:
                started = perf_counter()
                reason = super().run()
                self.native_s += perf_counter() - started
            else:
                reason = super().run()
            exits[reason] += 1
            if reason == FAULT and self._halves[_LOOKING]:
                # A strip found a page that is not there: the guest's own access will, if it gets so far.
                self._halves[_LOOKING], self._halves[_SINGLY] = 0, 1
            elif reason == FAULT and self.access == FETCH and self._give():
                pass  # the decoder goes on with it
            elif reason == HOT:
                self.engine.hot(self)
            elif reason == GOLDEN:
                self.engine.golden_steps += 1
                reason = self.stepper().step_for_native()
                if reason == FLUSH:
                    self.space.drop_code()
                elif reason:
                    return reason
            elif reason == FLUSH:
                self.space.drop_code()
                if self.budget < 0:
                    return BUDGET
            elif self.engine.guest.vlen and self._vector(reason):
                reason = self.stepper().step()
                if reason:
                    return reason
            else:
                return reason

    def _vector(self, reason: int) -> bool:
        """Whether what native code was left for is the golden evaluator's to do: a vector instruction, which tier 0 has
        none of, or one that faulted in the middle, where every register is in its place.
        """
        engine = self.engine
        if self.golden:
            return False
        if reason == ILLEGAL:
            engine.golden_steps += 1
            engine.vector(self)
            return True
        units = engine.units
        return reason == FAULT and self.access != FETCH and units is not None and PRECISE in units.kind


class Engine:
    """Everything that threads of one guest process share.

    guest: its name. tier: one of TIERS. folder: the code cache; None for the usual one, "" for none at all.
    progress: told a line when something takes longer than a moment. regions: whether the optimising
    compiler may be used; without, budgets are exact. counted: have regions count instructions and time. code_limit:
    bytes of compiled code in memory, for each tier, before some of it is given up; None for as much as is usual.
    policy: which regions are compiled, one of tiering.POLICIES. exact_exclusives: see engine.exclusive. options: what
    the guest's processor is to have of `Guest.options`. vlen: bits of a vector register, 0 for no vectors.
    """

    def __init__(
        self,
        guest: str,
        *,
        tier: str = "auto",
        folder: str | None = None,
        progress: Callable[[str], None] | None = None,
        regions: bool = True,
        counted: bool = False,
        code_limit: int | None = None,
        policy: str = "heuristic",
        exact_exclusives: bool = False,
        options: Iterable[str] = (),
        vlen: int = 0,
    ) -> None:
        if tier not in TIERS:
            raise PolyvmError(
                "PVM-USAGE",
                f"There is no tier {tier!r}.",
                hint=f"Tiers: {', '.join(TIERS)}.",
                tier=tier,
            )
        self.guest = Guest(guest, vlen)
        self.causes = self.guest.causes
        self.tier = tier
        self.counted = counted
        self.exact_exclusives = exact_exclusives
        self.options = self._options(options)
        letters = layout.option_letters(self.guest.options)
        self.plain_kind = "".join(letters[name] for name in self.options) + (COUNTED if counted else "")
        self.folder = None if folder == "" else cachedir.prepare(folder)
        self.native, self.key, self.written, self.rejected = _native(guest, self.folder, progress)
        self.exits = [0] * len(layout.REASONS)
        self.golden_steps = 0
        self.space: AddressSpace | None = None
        self.units: Units | None = None
        self.compilers: Compilers | None = None
        self.pending: dict[int, Job] = {}
        self.met: set[int] = set()  # addresses that were looked for on the disk
        self.expected: set[int] | None = None  # those that the threads' counters take for being there
        self.busy: set[int] = set()  # addresses that were hot for long
        self.tries: dict[int, int] = {}
        self.seen: dict[int, dict[int, int]] = {}
        self.stepped: dict[int, int] = {}  # how often vector instructions were met outside of regions
        self.cpus: list[GuestCpu] = []
        self.hotness = Hotness(self.cpus, policy)
        self.on_unit: list[Callable[[Unit], object]] = []  # called when a region was installed
        self.on_empty: list[Callable[[], object]] = []  # and before tier 1's blocks are given up
        self.log: Logger | None = None
        self.describe: Callable[[int], str] = hex  # what the log calls an address
        self.hide: Callable[[int], int] = _same
        self.apart: Callable[[], bool] = _nothing
        self.threshold = NEVER
        self.baseline = tier in ("auto", "baseline") and regions
        self.turn = _thread.allocate_lock()  # of the golden tier's threads, which take turns
        self.natively = tier != "golden"  # whether native code may make system calls
        if tier in ("auto", "region") and self.folder is not None and regions:
            from polyvm.engine.units import Units

            self.units = Units(self.native, self.folder, self._unit_key())
            self.units.kind = self.plain_kind
            self.threshold = HOT_FIRST
            if code_limit is not None:
                self.units.limit = min(code_limit, layout.UNITS_ROOM >> 2)
        self.exact = ""  # the letter of what the guest can see of its registers: set_precise(), set_whole()
        self.code_limit = ARENA_SIZE if code_limit is None else code_limit
        self.started = perf_counter(), self.native.ticks()
        # By threads that ended: instructions, those in units and in stencils, native seconds, ticks in units.
        self.spent: tuple[int, int, int, float, int] = 0, 0, 0, 0.0, 0

    @property
    def abi(self) -> Any:
        """The guest's Linux ABI."""
        return self.guest.abi

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.guest.name

    @property
    def tiered(self) -> bool:
        """Whether tier 1 is made for this engine, while it has threads."""
        return self.native.arena.owner is self

    @property
    def longer(self) -> int:
        """How much longer than at first counters run where the disk has nothing."""
        return HOT_AFTER - HOT_FIRST if self.threshold == HOT_FIRST else 0

    def _options(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Those that are wanted, in the guest's order. Raises PVM-USAGE."""
        known, wanted = self.guest.options, tuple(wanted)
        for name in wanted:
            if name not in known:
                raise PolyvmError(
                    "PVM-USAGE",
                    f"A processor of {self.name} has no feature {name!r} that can be asked for.",
                    hint=f"There is: {', '.join(known)}." if known else "It has what there is.",
                    guest=self.name,
                )
        return tuple(name for name in known if name in wanted)

    def thread(self, space: AddressSpace) -> GuestCpu:
        """A new guest thread in an address space."""
        self.use_space(space)
        self.take_arena()
        cpu = self._cpu(space)
        for name in self.options:
            cpu.write(name, 1)
        self.cpus.append(cpu)
        if self.exact_exclusives and len(self.cpus) > 1:
            for each in self.cpus:  # what one thread alone was doing so far ends here
                if not each._halves[_ALONE]:
                    each._halves[_ALONE] = 1
                    each.write(self.guest.monitor, 0)
        return cpu

    def take_arena(self) -> None:
        """Have tier 1's memory, where this engine uses it and nobody else has it."""
        if self.baseline:
            self.native.arena.take(self, self.code_limit)

    def _cpu(self, space: AddressSpace) -> GuestCpu:
        return GuestCpu(self, space)

    def _unit_key(self) -> str:
        """What the names of regions on the disk begin with: with vectors they are others than without."""
        return interpreter_image.key(self.guest.variant) if self.guest.vlen else self.key

    # -- compiled regions
    def use_space(self, space: AddressSpace) -> None:
        """The address space whose code is run; units die with the code they were made from."""
        if space is not self.space:
            self.space = space
            if self.units is not None:
                units = self.units
                space.on_code_drop(lambda start, end: self._dropped(units, space, start, end))

    def _dropped(self, units: Units, space: AddressSpace, start: int, end: int) -> None:
        before = units.dropped
        units.drop(space, start, end)
        if self.log is not None and units.dropped != before:
            self.log.info(
                "%d regions are dropped: code from %#x up to %#x changed", units.dropped - before, start, end
            )

    def hot(self, cpu: GuestCpu) -> None:
        """A loop or a callee became hot, or a unit met too many jumps that it did not know."""
        pc = cpu._words[_HOT_PC]
        self.hotness.ran_down(cpu, pc)
        now = process_time()
        rate = self.hotness.rate(pc, now)
        units = self.units
        later = HOT_AFTER if units is not None else NEVER
        if self.tiered and self.native.arena.full:
            with cpu.space.pause(), cpu.space.lock:
                if self.native.arena.full:
                    for told in self.on_empty:
                        told()
                    if self.log is not None:
                        self.log.info(
                            "tier 1 is full: %d blocks are given up", len(self.native.arena.blocks())
                        )
                    self.native.arena.empty(cpu.space)
            later = HOT_FIRST
        elif units is not None and cpu.fp_mode and ROUNDED not in units.kind:
            self._renew(cpu.space, units, ROUNDED)
        elif units is not None:
            if units.full:
                self._evict(cpu.space, units)
            waited = pc in self.met or (self.expected is not None and pc not in self.expected)
            self._expect(units)
            if pc not in self.met:
                self.met.add(pc)
                if pc not in units.by_pc and self._fetch(cpu.space, units, pc):
                    waited = False
            if waited or now - cpu.log_read > LOG_S:
                cpu.log_read = now
                self._read_log(cpu)
            if waited and pc == cpu.pc and pc in units.by_pc and not self.hotness.eager:
                # Others jump to its region often: that is as it should be, and no reason to make it again.
                later = HOT_AFTER << 8
            elif waited:
                self.busy.add(pc)
                # A region that was widened often enough: what lies behind its exit gets one of its own.
                spent = self.tries.get(pc, 0) >= MAX_TRIES
                self._want(cpu.space, units, cpu.pc if spent else pc)
                # Asked again only when much more has happened: by then the region is there, or will never be.
                later = HOT_AFTER << 2 * max(1, self.tries.get(pc, 0))
                if not self.hotness.eager:
                    later = min(max(later, int(rate * ASK_S)), NEVER >> 1)
        self.hotness.begin(cpu, pc, later)

    def vector(self, cpu: GuestCpu) -> None:
        """A vector instruction is met outside of regions: have one made as soon as it was met a few times."""
        pc, units = cpu.pc, self.units
        count = self.stepped.get(pc, 0) + 1
        self.stepped[pc] = count
        if units is None:
            return
        if count == 1 and pc not in self.met:
            self.met.add(pc)
            if pc not in units.by_pc:
                self._fetch(cpu.space, units, pc)
        elif count >= VECTOR_HOT and count & count - 1 == 0:
            self._read_log(cpu)
            self.busy.add(pc)
            self._want(cpu.space, units, pc, VECTOR_WORTH)

    def _evict(self, space: AddressSpace, units: Units) -> None:
        """Give up some regions. What is still hot is looked for on the disk as soon as something new is."""
        with space.pause(), space.lock:
            before = units.evicted
            places = units.evict(space)
        if self.log is not None:
            self.log.info(
                "%d regions are given up, there are %d bytes left", units.evicted - before, units.bytes
            )
        self.met -= places
        for cpu in self.cpus:
            cpu.expect(places, 0)

    def _expect(self, units: Units) -> None:
        """Have the threads' counters wait for what the disk has no unit of until it is worth compiling."""
        expected = units.look().get(units.kind, _NONE)
        if expected is not self.expected:
            places = expected - self.met - units.by_pc.keys()
            for cpu in self.cpus:
                cpu.expect(places, self.longer if self.expected is None else 0)
            self.expected = expected

    def _fetch(self, space: AddressSpace, units: Units, pc: int) -> bool:
        """Take the unit of an address from the disk, and what was learnt when it was made; whether there was one."""
        unit = units.fetch(space, pc)
        if unit is None:
            return False
        self._installed(unit, "from the disk")
        self.busy.update(unit.hot)
        for place in (unit.pc, *unit.asked):
            self.tries[place] = max(self.tries.get(place, 0), unit.tries)
        for site, targets in unit.seen:
            seen = self.seen.setdefault(site, {})
            for rank, target in enumerate(reversed(targets), 1):
                seen[target] = seen.get(target, 0) + rank
        return True

    def _want(self, space: AddressSpace, units: Units, pc: int, worth: float | None = None) -> None:
        """Have the region of an address compiled, or a wider one when it is inside a region already.

        worth: its score whatever its counters say, for what tier 0 cannot do.
        """
        job = self.pending.get(pc)
        if job is not None:
            job.ask(pc)
            return
        entry, entries, cost_s = pc, [], 0.0
        if pc not in units.by_pc:
            unit = units.covering(pc)
            if unit is not None and len(unit.asked) < MAX_ENTRIES:
                entry, entries, cost_s = unit.pc, [*unit.asked, pc], unit.compile_s
                job = self.pending.get(entry)
                if job is not None:
                    if pc not in job.entries:
                        job.entries.append(pc)
                    job.ask(pc)
                    return
        else:
            unit = units.by_pc[pc]
            entry, entries, cost_s = unit.pc, unit.asked, unit.compile_s
        tries = self.tries.get(pc, 0)
        if tries >= MAX_TRIES:
            return
        self.tries[pc] = tries + 1
        if self.log is not None:
            self.log.debug(
                "%s is hot: a region of it is wanted, at %#x, with %d entries, try %d; %d wait",
                self.describe(pc), entry, len(entries), tries + 1, len(self.pending),
            )  # fmt: skip
        if self.compilers is None:
            from polyvm.engine.workers import Compilers

            assert self.folder is not None
            self.compilers = Compilers(self.guest.variant, self.folder, self.hide, self.apart)
        from polyvm.engine.workers import Job

        self.pending[entry] = job = Job(
            entry,
            list(entries),
            units.kind,
            observed=self._observed,
            hot=lambda: list(self.busy),
            read=lambda address: code_page(space, address),
            ran=lambda address: self.ran(space, address),
            wanted=lambda job: job.pc in units.by_pc or units.covering(job.pc) is None,
            score=lambda job: (
                self.hotness.score(job.places, job.cost_s, job.asked, process_time())
                if worth is None
                else worth
            ),
            done=self._compiled,
            tries=tries + 1,
            cost_s=cost_s,
        )
        job.ask(pc)
        self.compilers.submit(job)

    def take_profile(self, profile: Profile) -> None:
        """Begin with what other runs have seen. Raises PVM-PROFILE-REFUSED for another guest's."""
        profile.check_guest(self.name)
        self.busy.update(profile.hot)
        for site, targets in profile.seen.items():
            self.seen.setdefault(site, {}).update(targets)

    def _observed(self) -> dict[int, list[int]]:
        """Where dynamic jumps went, the commonest first."""
        found = {}
        for site, seen in list(self.seen.items()):
            counts = sorted(seen.copy().items(), key=lambda item: -item[1])
            found[site] = [target for target, _ in counts[:MAX_TARGETS]]
        return found

    def _read_log(self, cpu: GuestCpu) -> None:
        count = min(cpu._halves[_LOG_NEXT], layout.LOG_ENTRIES)
        cpu._halves[_LOG_NEXT] = 0
        at = layout.LOG >> 3
        entries = cpu._words[at : at + 2 * count].tolist()
        known = self.seen
        for site, target in zip(entries[::2], entries[1::2], strict=True):
            seen = known.get(site)
            if seen is None:
                seen = known[site] = {}
            seen[target] = seen.get(target, 0) + 1

    def _compiled(self, job: Job, data: bytes | None, cpu_s: float) -> None:
        """On the compilers' thread: install what came back."""
        units, space = self.units, self.space
        self.pending.pop(job.pc, None)
        if units is None or space is None:
            return
        if data is None:
            if self.log is not None:
                self.log.debug("the region of %#x is not compiled: it cooled down, or another has it", job.pc)
            covering = units.covering(job.pc)
            if covering is None:  # it cooled down, and may get hot again
                self.tries[job.pc] = job.tries - 1
            elif job.pc not in units.by_pc:
                # It got hot before the unit that has it inside was there; that one is found under its name from now on.
                units.name_also(space, covering, job.pc)
            return
        unit = units.install(space, data)
        if unit is not None:
            units.compiled += 1
            self.hotness.learnt(unit.compile_s)
            units.compile_s += unit.compile_s
            units.compiled_insns += unit.insns
            self._installed(unit, f"compiled in {unit.compile_s:.2f} s")
            # With breakpoints it may end early: the next run is to have a whole one.
            if not units.barred and not units.store(space, unit, data) and self.log is not None:
                self.log.warning("the region of %#x could not be kept in %s", unit.pc, units.folder)
        elif self.log is not None:
            self.log.info(
                "the region of %#x is not used: its code, or what is wanted, changed meanwhile", job.pc
            )

    def _installed(self, unit: Unit, how: str) -> None:
        """A region is used from now on."""
        for told in self.on_unit:
            told(unit)
        if self.log is not None:
            self.log.info(
                "region %s, %s: %d instructions, %d entries, %d bytes, kind %r, try %d", self.describe(unit.pc),
                how, unit.insns, len(unit.entries), unit.image.size, unit.kind, unit.tries,
            )  # fmt: skip

    def ran(self, space: AddressSpace, address: int) -> bytes:
        """For every two bytes of a page, whether an instruction that begins there was executed, in whatever tier; and
        BARRED where no region may go on."""
        if not 0 <= address < space.limit:  # a dynamic jump went there, and was a fault
            return bytes(2048)
        slots = host.view(space.slots + (address << layout.SLOT_SHIFT), 4096 << layout.SLOT_SHIFT)
        # A slot that is filled has a handler: one of its four bytes at least is not zero.
        filled = 0
        for part in range(4):
            filled |= int.from_bytes(slots[part :: layout.SLOT_SIZE], "little")
        met = bytearray(filled.to_bytes(2048, "little").translate(_FILLED))
        for pc in [*self.stepped]:
            if address <= pc < address + 4096:
                met[pc - address >> 1] = MET
        units = self.units
        for unit in list(units.installed) if units is not None else ():
            for at, code in unit.code:
                first, last = (
                    max(at, address) - address >> 1,
                    min(at + len(code), address + 4096) - address >> 1,
                )
                if first < last:
                    met[first:last] = bytes((MET,)) * (last - first)
        for pc in units.barred if units is not None else ():
            if address <= pc < address + 4096:
                met[pc - address >> 1] = BARRED
        return bytes(met)

    def hand_over(self) -> None:
        """The guest has ended: have the hottest of what was waiting compiled all the same, for its next run."""
        units, compilers, space = self.units, self.compilers, self.space
        scores = [
            (max(job.score(job), self.hotness.worth(job.places, job.cost_s)), job)
            for job in [*self.pending.values()]
        ]
        worth = sorted((one for one in scores if one[0] > 0), key=lambda one: -one[0])
        jobs = [job for _, job in worth[:MAX_LEFT]]
        if (
            not jobs
            or units is None
            or compilers is None
            or space is None
            or compilers.failed
            or units.barred
        ):
            return
        pages = {
            page: (code_page(space, page), self.ran(space, page))
            for page in space.code.decoded(space.regions)
        }
        compilers.hand_over(
            (
                units.key,
                [(job.pc, job.entries, job.kind, job.tries) for job in jobs],
                self._observed(),
                list(self.busy),
                pages,
            )
        )

    def set_precise(self, space: AddressSpace) -> None:
        """From now on the guest can see its registers at a fault: only code that is exact about them may run."""
        self.exact = PRECISE
        units = self.units
        if units is not None and PRECISE not in units.kind:
            self._renew(space, units, PRECISE)

    def set_whole(self, space: AddressSpace) -> None:
        """From now on the guest can see its registers wherever it is interrupted."""
        self.exact = self.exact or WHOLE
        units = self.units
        if units is not None and PRECISE not in units.kind and WHOLE not in units.kind:
            self._renew(space, units, WHOLE)

    def _renew(self, space: AddressSpace, units: Units, letter: str) -> None:
        """Make new units of another kind."""
        if self.log is not None:
            names = {PRECISE: "faults", WHOLE: "interruptions", ROUNDED: "rounding modes"}
            self.log.info("regions are made anew, exact about %s", names[letter])
        with space.pause(), space.lock:
            units.drop_all(space)
            without = units.kind.replace(WHOLE, "") if letter == PRECISE else units.kind
            units.kind = "".join(sorted(without + letter))
            self.tries.clear()
            self.met.clear()
            if self.expected is not None:
                self._expect(units)

    def new_program(self) -> None:
        """The guest replaced its program: what was learnt of the old one is void. Its code is dropped already."""
        self.tries.clear()
        self.seen.clear()
        self.met.clear()
        self.busy.clear()
        self.hotness.clear()
        self.exact = ""
        if self.tiered:
            self.native.arena.begin()
        if self.units is not None:
            self.units.kind = self.plain_kind

    def ended(self, cpu: GuestCpu) -> None:
        """A thread is going away: keep what it counted."""
        self.spent = _added(self.spent, cpu)
        if cpu in self.cpus:
            self.cpus.remove(cpu)
            if not self.cpus:
                self.native.arena.release(self, cpu.space)

    def no_helper_starts(self) -> None:
        """Wait until no process that is being started for the compilers is a child of this one, if one is."""
        if self.compilers is not None:
            self.compilers.no_start()

    def forked(self) -> None:
        """In a forked child, whose only thread is the calling one."""
        self.native.forked()
        self.hotness.forked()

    def left(self) -> dict[str, int]:
        """How often native code was left, by reasons."""
        return {name: n for name, n in zip(layout.REASONS, self.exits, strict=True) if n}

    def hottest(self, most: int) -> list[dict[str, Any]]:
        """The places that were jumped to most often, as parts of a polyvm.run/1 document."""
        now = process_time()
        found: list[dict[str, Any]] = []
        for pc in self.hotness.heats:
            jumps = self.hotness.jumps(pc)
            if jumps < HOT_FIRST:
                continue  # its region was there as soon as somebody looked
            if self.units is not None and self.units.covering(pc) is not None:
                tier = "region"
            else:
                tier = "baseline" if self.baseline else "interpreter"
            found.append(
                {
                    "pc": pc,
                    "name": None,
                    "jumps": jumps,
                    "heat": self.hotness.rate(pc, now),
                    "tier": tier,
                    "waiting": pc in self.pending,
                }
            )
        return sorted(found, key=lambda place: -place["jumps"])[:most]

    def stats(self) -> dict[str, Any]:
        """Counts so far, as the parts of a polyvm.run/1 document that are the engine's."""
        units, compilers = self.units, self.compilers
        spent = self.spent
        for cpu in list(self.cpus):
            spent = _added(spent, cpu)
        # Regions that do not count leave the budget as it is.
        insns, in_units, in_blocks, seconds, ticks = spent
        golden = insns if self.tier == "golden" else self.golden_steps
        tiers: dict[str, dict[str, Any]] = {
            "golden": {"insns": golden},
            "interpreter": {"insns": insns - in_units - in_blocks - golden},
            "region": {"compiled_insns": units.compiled_insns if units else 0},
        }
        if self.baseline:
            tiers["baseline"] = {"insns": in_blocks} | self.native.arena.counts()
        if units is not None:
            tiers["region"] |= {"units": len(set(units.by_pc.values())), "code_bytes": units.code_bytes}
            tiers["region"]["evicted"] = units.evicted
        if self.counted:
            elapsed = self.native.ticks() - self.started[1]
            region_s = ticks * (perf_counter() - self.started[0]) / elapsed if elapsed > 0 else 0.0
            # Control goes to and fro between stencils and the interpreter: their time is one.
            tiers["baseline" if self.baseline else "interpreter"]["seconds"] = max(0.0, seconds - region_s)
            tiers["region"] |= {"insns": in_units, "seconds": region_s}
        return {
            "guest_insns": insns if self.counted or not units else None,
            "tiers": tiers,
            "units": units.compiled if units else 0,
            "disk": {"hits": units.hits, "misses": units.misses} if units else {},
            "disk_rejected": self.rejected + (units.rejected if units else 0),
            "disk_written": self.written + (units.stored if units else 0),
            "compile_s": units.compile_s if units else 0.0,
            "workers_cpu_s": compilers.cpu_s if compilers else 0.0,
            "compiler": compilers.failed if compilers else "",
            "exits": self.left(),
            "golden_steps": self.golden_steps,
            "hot": self.hottest(HOTTEST) if self.counted else [],
        }


def _added(spent: tuple[int, int, int, float, int], cpu: GuestCpu) -> tuple[int, int, int, float, int]:
    insns, in_units, in_blocks, seconds, ticks = spent
    words = cpu._words
    return (
        insns + FOREVER - cpu.budget,
        in_units + words[_UNIT_INSNS],
        in_blocks + words[_BLOCK_INSNS],
        seconds + cpu.native_s,
        ticks + words[_UNIT_TICKS],
    )


def _same(fd: int) -> int:
    return fd


def _nothing() -> bool:
    """The calling thread's signals and descriptors are of no concern."""
    return False


def code_page(space: AddressSpace, address: int) -> bytes:
    """What the guest may execute of a page, up to the first byte that it may not."""
    region = space.lookup(address)
    if region is None or not region.prot & 4:
        return b""
    try:
        return space.fetch(address, min(4096, region.end - address))
    except PolyvmError:
        return b""


def _pattern(value: int) -> memoryview:
    return memoryview(value.to_bytes(4, "little") * COUNTERS).cast("I")


def _native(
    guest: str, folder: str | None, progress: Callable[[str], None] | None
) -> tuple[Native, str, bool, int]:
    found = _natives.get(guest)
    if found is None:
        image, key, written, rejected = interpreter_image.load(
            guest, folder, progress, tail=layout.PROCESS_SIZE + ARENA_SIZE, room=layout.UNITS_ROOM
        )
        found = _natives[guest] = (Native(image), key, written, rejected)
        fault.install()
    return found
