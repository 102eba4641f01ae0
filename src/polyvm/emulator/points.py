"""Breakpoints in the code slots: `until` and narrow code hooks, with native code from one to the next.

The slot of a watched address leads to the handler `pause`, so nothing else runs slower for it. It refuses wide ranges,
for which a look before every instruction (`emulator.watch`) is the better way, and the golden tier, which has no slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.emulator.exits import Exit
from polyvm.engine import layout
from polyvm.engine.cpu import FOREVER
from polyvm.memory import host

if TYPE_CHECKING:
    from weakref import ref

    from polyvm.emulator.exits import Limits
    from polyvm.emulator.processor import Emulator
    from polyvm.emulator.watch import Watcher
    from polyvm.engine.executor import GuestCpu
    from polyvm.memory.space import AddressSpace

MAX_BYTES = 1 << 16  # of guest code under breakpoints at once
GRANULE = layout.SLOT_SIZE >> layout.SLOT_SHIFT  # bytes of guest code a slot stands for


class Breakpoints:
    """The breakpoints of one emulator, in their slots only while it runs."""

    def __init__(self, emulator: ref[Emulator], cpu: GuestCpu, space: AddressSpace) -> None:
        self._emulator = emulator
        self.cpu = cpu
        self.space = space
        native = cpu.native
        word = native.image.address("pause") - native.decode & 0xFFFF_FFFF
        self._slot = word.to_bytes(layout.SLOT_SIZE, "little")
        self._ranges: list[tuple[int, int]] = []
        space.on_code_drop(self._dropped)

    def run(self, limits: Limits, watcher: Watcher | None) -> Exit | None:
        """Run until something ends it; None when hooks came or went, and how to run must be decided anew."""
        emulator, cpu = self._emulator(), self.cpu
        assert emulator is not None, "an emulator that runs is alive"
        until = limits.until
        hooked = [] if watcher is None else [(w.begin, min(w.end, self.space.limit)) for w in watcher.code]
        version = emulator._version()
        try:
            # An address that no instruction can have gets no breakpoint.
            if until is not None and until % GRANULE == 0 and until < self.space.limit:
                self._put(until, until + GRANULE)
            for begin, end in hooked:
                self._put(begin, end)
            while True:
                pc = cpu.pc
                if pc == until:
                    return Exit("until", pc)
                if limits.left == 0:
                    return Exit("count", pc)
                if emulator._wanted:
                    cpu.clear_stop()
                    return Exit("stopped", pc)
                here = any(begin <= pc < end for begin, end in hooked)
                if here and limits.announced != pc and watcher is not None:
                    limits.announced = pc
                    watcher.announce(pc)
                    if emulator._version() != version:
                        return None
                    continue  # the hook may have changed anything: look again
                limits.announced = -1
                left = limits.left
                budget = 0 if here else FOREVER if left is None else left - 1
                cpu.budget = budget
                if here:
                    self._fill(pc, pc + GRANULE, bytes(layout.SLOT_SIZE))
                    reason = cpu.run()
                    self._fill(pc, pc + GRANULE, self._slot)
                else:
                    reason = cpu.run()
                limits.ran(budget - cpu.budget)
                if reason == layout.STOP and cpu.pc == until:
                    return Exit("until", until)
                ended = emulator._after(reason, limits.deadline)
                if ended is not None or emulator._version() != version:
                    return ended
        finally:
            self._remove()

    def _put(self, begin: int, end: int) -> None:
        begin -= begin % GRANULE
        if begin < end:
            self._ranges.append((begin, end))
            self._fill(begin, end, self._slot)

    def _remove(self) -> None:
        ranges, self._ranges = self._ranges, []
        for begin, end in ranges:
            self._fill(begin, end, bytes(layout.SLOT_SIZE))

    def _fill(self, begin: int, end: int, slot: bytes) -> None:
        begin -= begin % GRANULE
        count = -(-(end - begin) // GRANULE)
        at = self.space.slots + (begin << layout.SLOT_SHIFT)
        host.view(at, count * layout.SLOT_SIZE)[:] = slot * count

    def _dropped(self, start: int, end: int) -> None:
        """Decoded code was forgotten, and what stood in its slots with it."""
        for low, high in self._ranges:
            if low < end and high > start:
                self._fill(max(low, start), min(high, end), self._slot)
