"""Watchpoints: which accesses an instruction is about to make, and whether any of them is watched.

The golden evaluator does the instruction on registers that it may not change and memory that it does not write, so
every kind of access is told by its own meaning: pairs, structures and atomics too. It refuses to run anything.
"""

from __future__ import annotations

from polyvm.engine.goldenstep import CpuState, Fault, SpaceMemory
from polyvm.ir import golden
from polyvm.ir.ops import ACCESSES
from polyvm.ir.trace import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from polyvm.engine.executor import GuestCpu
    from polyvm.isa.spec import Isa
    from polyvm.memory.space import AddressSpace

WRITE, READ, ACCESS = "watch", "rwatch", "awatch"
"""Kinds of watchpoints, as stop replies name them."""


class Watch:
    """A watched range."""

    __slots__ = ("end", "kind", "start")

    def __init__(self, kind: str, start: int, size: int) -> None:
        self.kind = kind
        self.start = start
        self.end = start + size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Watch) and (self.kind, self.start, self.end) == (
            other.kind,
            other.start,
            other.end,
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.start, self.end))

    def sees(self, address: int, size: int, *, write: bool) -> bool:
        """Whether an access reaches it, and is of its kind."""
        return address < self.end and address + size > self.start and self.kind != (READ if write else WRITE)


def hull(watches: Collection[Watch]) -> tuple[int, int]:
    """The range from the first address that is watched to the end of the last."""
    return min(watch.start for watch in watches), max(watch.end for watch in watches)


class _Reached(Exception):
    """An access that is watched: `args` are the watchpoint and the first watched address that it reaches."""


class _Registers(CpuState):
    """Registers whose changes are forgotten."""

    def __init__(self, cpu: GuestCpu, isa: Isa) -> None:
        super().__init__(cpu, isa)
        self.changed: dict[tuple[str, int], int] = {}

    def read(self, slot: tuple[str, int]) -> int:
        """A register, as it would be now."""
        return self.changed[slot] if slot in self.changed else super().read(slot)

    def write(self, slot: tuple[str, int], value: int) -> None:
        """Remember what would have been set."""
        self.changed[slot] = value


class _Memory(SpaceMemory):
    """Memory that nothing is written to, which says when it is touched where somebody watches."""

    def __init__(self, space: AddressSpace, watches: Collection[Watch]) -> None:
        super().__init__(space)
        self.watches = watches

    def load(self, address: int, size: int) -> int:
        """Read. Raises _Reached."""
        value = super().load(address, size)
        self._touch(address, size, write=False)
        return value

    def store(self, address: int, size: int, value: int) -> None:
        """Write nothing. Raises _Reached."""
        self._touch(address, size, write=True)

    def probe(self, address: int, size: int, write: bool) -> None:
        """A question whether an access is allowed is none."""

    def _touch(self, address: int, size: int, *, write: bool) -> None:
        for watch in self.watches:
            if watch.sees(address, size, write=write):
                raise _Reached(watch, max(address, watch.start))


class Simple:
    """Instructions that make one access, of memory that is not shared for it: those need not be tried."""

    __slots__ = ("_known", "space")

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self._known: dict[int, tuple[int, bool] | None] = {}
        space.on_code_drop(self._forget)

    def passes(self, cpu: GuestCpu, watches: Collection[Watch]) -> bool:
        """Whether the access that native code is about to make is all that there is, and nobody watches it.

        Its address is the state's `value`.
        """
        pc = cpu.pc
        if pc not in self._known:
            self._known[pc] = self._access(cpu)
        found = self._known[pc]
        if found is None:
            return False
        size, write = found
        return not any(watch.sees(cpu.value, size, write=write) for watch in watches)

    def _access(self, cpu: GuestCpu) -> tuple[int, bool] | None:
        """Bytes of an instruction's only access, and whether it writes."""
        isa = cpu.engine.guest.isa
        try:
            decoded = isa.decode(cpu.stepper().fetch(cpu.pc))
        except Fault:
            return None
        if decoded is None:
            return None
        accesses = [op for op in walk(isa.trace(decoded.insn, decoded.shape).ops) if op.op in ACCESSES]
        if len(accesses) != 1 or accesses[0].op not in ("load", "store"):
            return None
        (op,) = accesses
        return (op.bits // 8, False) if op.op == "load" else (op.args[1].bits // 8, True)

    def _forget(self, start: int, end: int) -> None:
        self._known.clear()


def reached(cpu: GuestCpu, space: AddressSpace, watches: Collection[Watch]) -> tuple[Watch, int] | None:
    """The watchpoint that the next instruction of a thread reaches, and where; None when it reaches none."""
    isa = cpu.engine.guest.isa
    registers = _Registers(cpu, isa)
    try:
        decoded = isa.decode(cpu.stepper().fetch(cpu.pc))
        if decoded is not None:
            trace = isa.trace(decoded.insn, decoded.shape)
            golden.execute(trace, decoded.fields, cpu.pc, registers, _Memory(space, watches))
    except _Reached as found:
        watch, address = found.args
        return watch, address
    except (Fault, golden.Trap, golden.Syscall, golden.Flush):
        pass  # what is wrong with it is found when it is executed
    return None
