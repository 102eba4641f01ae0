"""Where a jump through a table may lead: found by doing what stands before it, once for each index.

What is found is a guess that nothing relies on: compiled code compares where a jump really goes with it. So this may be
generous: a register that was given one constant somewhere before is taken to have it still, and only one may be the
index. Works on the traces of any guest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polyvm.engine.discover import Extent, Fetch, Placed, Slot, flow_of, learn, placed_at, slot_of, written
from polyvm.ir import golden
from polyvm.ir.trace import walk
from polyvm.isa.spec import Isa

MAX_TARGETS = 512
MAX_BEFORE = 24
"""Instructions that are done before the jump."""
MAX_STARTS = 16
"""Instructions before it that are tried as the first."""
MAX_REPEATED = 64
"""Indices one after the other that lead to places which are known already."""
MAX_MISSED = 300
"""Indices from 0 on that lead nowhere before the first that does: compilers subtract the least one later."""
MAX_FUNCTION, MAX_SWEPT = 1 << 15, 1 << 13
"""Bytes of code before and behind a jump that its table may lead to, and those before it that are looked at."""


class _Unknown(Exception):
    """A register or memory whose value is not known was read."""


class _Trial:
    """Registers and memory for one try: what is known of them. Nothing is written to memory."""

    def __init__(self, known: dict[Slot, int], read: Fetch, zeros: dict[str, int | None]) -> None:
        self.known = known
        self.bytes = read
        self.zeros = zeros

    def read(self, slot: Slot) -> int:
        try:
            return self.known[slot]
        except KeyError:
            raise _Unknown from None

    def write(self, slot: Slot, value: int) -> None:
        self.known[slot] = value

    def hardwired(self, file: str) -> int | None:
        return self.zeros.get(file)

    def counter(self, kind: str) -> int:
        raise _Unknown

    def load(self, address: int, size: int) -> int:
        data = self.bytes(address, size)
        if len(data) != size:
            raise _Unknown
        return int.from_bytes(data, "little")

    def store(self, address: int, size: int, value: int) -> None:
        return None

    def probe(self, address: int, size: int, write: bool) -> None:
        raise _Unknown


class Tables:
    """What `discover` guesses of dynamic jumps, in a program that has not run.

    code, read: the guest's code, and what else of its memory never changes, at (address, length). extent: of functions.
    """

    def __init__(self, isa: Isa, code: Fetch, read: Fetch, extent: Extent) -> None:
        self.isa = isa
        self.code = code
        self.data = read
        self.extent = extent
        self.zeros = {name: file.zero for name, file in isa.files.items()}
        self.found: dict[int, list[int]] = {}

    def __call__(self, pc: int) -> Sequence[int]:
        """Where the dynamic jump at an address may go."""
        if pc not in self.found:
            self.found[pc] = self._search(pc)
        return self.found[pc]

    def _search(self, pc: int) -> list[int]:
        low, high = self.extent(pc)
        low, high = max(low, pc - MAX_FUNCTION), min(high, pc + MAX_FUNCTION)
        before, constants = self._sweep(max(low, pc - MAX_SWEPT & -self.isa.step), pc)
        if not before or before[-1].pc != pc or flow_of(self.isa, before[-1]).call:
            return []

        def fits(target: int) -> bool:
            return low <= target < high and not target % self.isa.step

        best: list[int] = []
        # The comparison with the table's size may stand before the index is what it is, or behind it. Of what is found
        # from here and there on, the least has seen the comparison.
        for start in range(len(before) - 2, max(-1, len(before) - MAX_STARTS), -1):
            part = before[start:]
            for register in self._read_first(part):
                targets = self._try(part, constants, register, fits)
                if len(targets) > 1 and (not best or len(targets) < len(best)):
                    best = targets
        # Into the middle of an instruction that stands before it: the table has ended by then.
        places = {placed.pc for placed in before}
        first = before[0].pc
        for number, target in enumerate(best):
            if first <= target < pc and target not in places:
                return best[:number]
        return best

    def _sweep(self, low: int, pc: int) -> tuple[list[Placed], dict[Slot, int]]:
        """The instructions that lead to one, by falling through, and the constants that registers were given."""
        chain: list[Placed] = []
        constants: dict[Slot, int] = {}
        known: dict[Slot, tuple[int, int]] = {}
        at = low
        while at <= pc:
            placed = placed_at(self.isa, self.code, at)
            if placed is None:
                chain, known, at = [], {}, at + self.isa.step
                continue
            chain.append(placed)
            if at == pc:
                break
            learn(self.isa, placed, known)
            constants.update((slot, value) for slot, (value, _) in known.items())
            flow = flow_of(self.isa, placed, known)
            if flow.ends and not flow.conditional and not flow.leaves and not flow.call:
                chain, known = [], {}
            at = placed.next_pc
        return chain[-MAX_BEFORE:], constants

    def _read_first(self, before: list[Placed]) -> list[Slot]:
        """Registers that are read before anything is written to them: those read last come first."""
        done: set[Slot] = set()
        found: dict[Slot, None] = {}
        for placed in before:
            for op in walk(placed.trace.ops):
                slot = slot_of(op, placed.decoded.fields) if op.op in ("get", "getx", "set", "setx") else None
                if slot is None or self.zeros.get(slot[0]) == slot[1]:
                    continue
                if op.op in ("set", "setx"):
                    done.add(slot)
                elif slot not in done:
                    found.pop(slot, None)
                    found[slot] = None
        return list(found)[::-1]

    def _try(
        self, before: list[Placed], constants: dict[Slot, int], index: Slot, fits: Callable[[int], bool]
    ) -> list[int]:
        """Where the jump goes for the values of a register from 0 on, as long as that is a place that fits."""
        targets: dict[int, None] = {}
        last = 0  # that led to a new place
        without = {slot: value for slot, value in constants.items() if slot != index}
        for number in range(MAX_TARGETS + MAX_MISSED):
            target, branched = self._go(before, without | {index: number})
            if target is not None and fits(target):
                if target not in targets:
                    targets[target], last = None, number
                if len(targets) == MAX_TARGETS or number - last > MAX_REPEATED:
                    break
            elif targets or number >= MAX_MISSED or (target is None and number == 0 and not branched):
                break
        return list(targets)

    def _go(self, before: list[Placed], known: dict[Slot, int]) -> tuple[int | None, bool]:
        """Where the last instruction jumps, None when that stays unknown; and whether it is because a branch before it
        was taken, so that another index may come further.
        """
        trial = _Trial(known, self.data, self.zeros)
        target: int | None = None
        for placed in before:
            try:
                target = golden.execute(placed.trace, placed.decoded.fields, placed.pc, trial, trial)
            except (_Unknown, golden.Trap, golden.Syscall, golden.Flush):
                target = None
                for slot in written(placed):
                    known.pop(slot, None)
            if target not in (None, placed.next_pc) and placed is not before[-1]:
                return None, True
        return target, False
