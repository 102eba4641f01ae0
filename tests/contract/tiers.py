"""Guest threads of every tier side by side, each in an address space of its own, for whoever compares them.

A tier is the real engine: the golden evaluator, the native interpreter, stencils from the first instruction on, or
compiled regions of one kind, made in this process when they are asked for. The tests say what runs; nothing here knows
what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from polyvm.engine import layout, worker
from polyvm.engine.executor import Engine, GuestCpu
from polyvm.engine.guest import GUESTS
from polyvm.engine.layout import COUNTED, COUNTERS, FAULT, PRECISE, ROUNDED, TRAP
from polyvm.engine.region import RegionEmitter
from polyvm.isa.disasm import listing
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace, GuestFault
from tests.contract.guests import Guest, Slot, guest

PAGE = 4096
EVERY = tuple(guest(name) for name in GUESTS)
"""Every guest that polyvm has: the suites are written for all of them."""
BUDGET = 1 << 40
_DECODING = layout.ST["decoding"] >> 2
ONCE = memoryview((1).to_bytes(4, "little") * 2 * COUNTERS).cast("I")

REGIONS = {
    "region": "",
    "region, precise": PRECISE,
    "region, counted": COUNTED,
    "region, rounded": ROUNDED,
    "region, all": COUNTED + PRECISE + ROUNDED,
}
"""Tiers made of compiled regions, and the kinds of their units."""
BASELINE = "baseline"
TIERS = ("golden", "interpreter", BASELINE, *REGIONS)


class RegionEngine(Engine):
    """Compiles what it is told to, and once more when the guest leaves the rounding mode that the units take for
    granted. `compiled` regions so far; `insns` in them."""

    def __init__(self, guest: Guest, kind: str, emitter: Callable[..., RegionEmitter] | None = None) -> None:
        super().__init__(guest.name, tier="region", options=guest.isa.options)
        assert self.units is not None
        self.threshold = 0xFFFF_FFFF  # nothing gets hot by itself
        self.units.kind = self.plain_kind + kind
        self.units.folder = None
        self.emitter = emitter
        self.orders: list[tuple[int, tuple[int, ...], dict[int, list[int]]]] = []
        self.compiled = self.insns = self.renewed = 0

    def hot(self, cpu: GuestCpu) -> None:
        """A unit was entered with another rounding mode than its own: the engine's own way, then all units anew."""
        units = self.units
        assert units is not None
        assert cpu.fp_mode
        assert ROUNDED not in units.kind
        self._renew(cpu.space, units, ROUNDED)
        self.renewed += 1
        for order in self.orders:
            self.make(cpu.space, *order)

    def make(
        self, space: AddressSpace, pc: int, entries: Sequence[int], observed: dict[int, list[int]]
    ) -> bytes:
        """Compile the region of an address and install it; its image."""
        units = self.units
        assert units is not None
        data = worker.compile_unit(
            self.name,
            pc,
            list(entries),
            observed,
            lambda address: page(space, address),
            kind=units.kind,
            emitter=self.emitter,
        )
        assert data is not None
        unit = units.install(space, data)
        assert unit is not None
        assert pc in unit.entries
        self.compiled += 1
        self.insns += unit.insns
        return data


def page(space: AddressSpace, address: int) -> bytes:
    """What the guest may execute of a page, up to the first byte that it may not."""
    try:
        return space.fetch(address, PAGE)
    except GuestFault:
        return b""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: everything that a guest, a handler or a debugger can see, but for memory.

    registers: the bytes of all register files and special registers. insns: how many instructions were counted.
    """

    reason: int
    cause: int
    value: int
    access: int
    pc: int
    registers: bytes
    flags: int
    rounding: int
    insns: int


def decode(cpu: GuestCpu, address: int, data: bytes) -> None:
    """Fill the code slots of everything that is an instruction: stencils are made from them."""
    cpu._halves[_DECODING] = 1
    for at, _, _ in listing(cpu.engine.guest.isa, data, address):
        cpu.pc = at
        cpu.run()
    cpu._halves[_DECODING] = 0


class Tier:
    """One guest thread. `runs` is how often it did."""

    def __init__(self, guest: Guest, name: str, emitter: Callable[..., RegionEmitter] | None = None) -> None:
        self.guest = guest
        self.name = name
        self.kind = REGIONS.get(name)
        self.engine = (
            Engine(guest.name, tier=name, options=guest.isa.options)
            if self.kind is None
            else RegionEngine(guest, self.kind, emitter)
        )
        if self.kind is not None and self.engine.units is not None:
            self.kind = self.engine.units.kind
        self.space = AddressSpace()
        self.cpu = self.engine.thread(self.space)
        self.runs = 0
        self._code: dict[int, int] = {}

    def close(self) -> None:
        """Give its memory back."""
        if self.engine.units is not None:
            self.engine.units.drop_all(self.space)
        self.cpu.close()
        self.space.close()

    @property
    def exact_at_faults(self) -> bool:
        """Whether a fault shows every register."""
        return self.kind is None or PRECISE in self.kind

    @property
    def counts(self) -> bool:
        """Whether it counts every instruction."""
        return self.kind is None or COUNTED in self.kind

    # -- memory
    def map(self, address: int, data: bytes, prot: int = READ | WRITE) -> None:
        """Map whole pages with these bytes in them."""
        self.space.map(address, len(data), READ | WRITE)
        self.space.write(address, data)
        self.space.protect(address, len(data), prot)

    def code(self, address: int, data: bytes) -> None:
        """Put code where there may be other code already; nothing of that stays."""
        size = -(-len(data) // PAGE) * PAGE
        if self._code.get(address, 0) < size:
            if address in self._code:
                self.space.unmap(address, self._code[address])
            self.space.map(address, size, READ | WRITE)
            self._code[address] = size
        self.space.protect(address, self._code[address], READ | WRITE)
        self.space.write(address, data.ljust(self._code[address], b"\0"))
        self.space.protect(address, self._code[address], READ | EXEC)
        if isinstance(self.engine, RegionEngine):
            self.engine.orders.clear()
            self._own_kind()
        if self.name == BASELINE:
            decode(self.cpu, address, data)

    def _translate(self, pc: int) -> None:
        """Have the block at an address made of stencils at once, and all others when they are jumped to."""
        cpu, native = self.cpu, self.engine.native
        cpu.hot_cells[:] = ONCE
        assert native.translate is not None
        while native.translate(cpu.st, pc) == 2:
            native.arena.empty(self.space)

    def compile(
        self,
        pc: int,
        entries: Iterable[int] = (),
        observed: dict[int, list[int]] | None = None,
        *,
        keep: bool = True,
    ) -> bytes:
        """Have a region compiled where the tier is made of them; `keep` it through a change of the rounding mode."""
        if not isinstance(self.engine, RegionEngine):
            return b""
        self._own_kind()
        order = pc, tuple(entries), observed or {}
        if keep:
            self.engine.orders.append(order)
        return self.engine.make(self.space, *order)

    def reinstall(self, pc: int, data: bytes) -> None:
        """Put back a unit that was dropped because the guest flushed code or changed the rounding mode."""
        units = self.engine.units
        if units is not None:
            self._own_kind()
            if pc not in units.by_pc:
                assert units.install(self.space, data) is not None

    def _own_kind(self) -> None:
        """Go back to the kind of units that the tier has, after a change of the rounding mode."""
        units = self.engine.units
        assert units is not None
        assert self.kind is not None
        if units.kind != self.kind:
            units.drop_all(self.space)
            units.kind = self.kind

    # -- running
    def run(
        self, pc: int, registers: bytes, flags: int = 0, rounding: int = 0, budget: int = BUDGET
    ) -> Outcome:
        """Run from an address with these registers until something must be done outside."""
        cpu = self.cpu
        first, end = self.guest.first, self.guest.end
        cpu._bytes[first:end] = registers
        cpu.fp_flags, cpu.fp_mode = flags, rounding
        if self.name == BASELINE:
            self._translate(pc)
        cpu.pc, cpu.budget = pc, budget
        reason = cpu.run()
        self.runs += 1
        left = reason in (TRAP, FAULT)
        return Outcome(
            reason,
            cpu.cause if left else 0,
            cpu.value if left else 0,
            cpu.access if reason == FAULT else 0,
            cpu.pc,
            bytes(cpu._bytes[first:end]),
            cpu.fp_flags,
            cpu.fp_mode,
            budget - cpu.budget,
        )


@contextmanager
def tiers(guest: Guest, names: Iterable[str] = TIERS) -> Iterator[dict[str, Tier]]:
    """Tiers of a guest by name, closed at the end."""
    made: dict[str, Tier] = {}
    try:
        for name in names:
            made[name] = Tier(guest, name)
        yield made
    finally:
        for tier in made.values():
            tier.close()


# -- comparing
def differences(
    expected: Outcome, found: Outcome, tier: Tier, ignore: frozenset[Slot] = frozenset()
) -> list[str]:
    """What differs between the golden evaluator's outcome and a tier's, a line each."""
    lines = []
    guest = tier.guest
    for field in ("reason", "cause", "value", "access", "pc"):
        mine, theirs = getattr(expected, field), getattr(found, field)
        if mine != theirs:
            names = layout.REASONS if field == "reason" else None
            shown = (names[mine], names[theirs]) if names else (f"{mine:#x}", f"{theirs:#x}")
            lines.append(f"{field}: golden {shown[0]}, {tier.name} {shown[1]}")
    if expected.reason == FAULT and not tier.exact_at_faults:
        return lines
    if expected.registers != found.registers:
        for slot in guest.places:
            mine, theirs = guest.get(expected.registers, slot), guest.get(found.registers, slot)
            if mine != theirs and slot not in ignore:
                lines.append(f"{guest.register(slot)}: golden {mine:#x}, {tier.name} {theirs:#x}")
    if (expected.flags, expected.rounding) != (found.flags, found.rounding):
        lines.append(
            f"exceptions, rounding: golden {expected.flags:05b}, {expected.rounding}, "
            f"{tier.name} {found.flags:05b}, {found.rounding}"
        )
    # Regions and stencils bring the count up to date where they leave; a fault leaves from anywhere.
    exact = tier.name == "interpreter" or expected.reason != FAULT
    if tier.counts and expected.insns != found.insns and exact:
        lines.append(f"instructions: golden {expected.insns}, {tier.name} {found.insns}")
    return lines
