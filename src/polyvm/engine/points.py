"""Breakpoints in native code, for a debugger: where one stands all tiers leave, PAUSE, and elsewhere nothing is slower.

A breakpoint is the handler `pause` in the code slot of its address; the guest's memory has nothing of it. Blocks of
tier 1 and regions with that address inside are given up, and none is made with it while it stands. It refuses nothing:
an address that no instruction can have gets a breakpoint that is never reached.
"""

from __future__ import annotations

from polyvm.engine import layout
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.engine.executor import Engine
    from polyvm.memory.space import AddressSpace

GRANULE = layout.SLOT_SIZE >> layout.SLOT_SHIFT  # bytes of guest code a slot stands for
PAGE = 4096  # of guest code that a block of tier 1 may span


class Points:
    """The breakpoints of one engine's guest. slots: the host address of the slots that they stand in, of address 0."""

    def __init__(self, engine: Engine, space: AddressSpace, slots: int) -> None:
        self.space = space
        self.slots = slots
        self.addresses: frozenset[int] = frozenset()
        self.use(engine)
        space.on_code_drop(self._dropped)

    def use(self, engine: Engine) -> None:
        """From now on, be the breakpoints of this engine's guest. There are none now."""
        self.engine = engine
        native = engine.native
        word = native.image.address("pause") - native.decode & 0xFFFF_FFFF
        self._slot = word.to_bytes(layout.SLOT_SIZE, "little")

    def set(self, addresses: Iterable[int]) -> None:
        """Have breakpoints at these addresses and nowhere else. No guest thread is in native code now."""
        wanted = frozenset(a for a in addresses if not a % GRANULE and 0 <= a < self.space.limit)
        with self.space.lock:
            for address in self.addresses - wanted:
                self._fill(address, bytes(layout.SLOT_SIZE))
            added, self.addresses = wanted - self.addresses, wanted
            if self.slots == self.space.slots:
                self._keep_out(added)
            for address in added:
                self._fill(address, self._slot)

    def _keep_out(self, added: frozenset[int]) -> None:
        """Give up compiled code that has new breakpoints inside, and have none made with any."""
        units = self.engine.units
        if units is not None:
            units.barred = self.addresses
        for address in added:
            self._drop_blocks(address)
            if units is not None:
                units.drop(self.space, address, address + GRANULE)

    def _drop_blocks(self, address: int) -> None:
        """Have no slot lead to a block of tier 1 that an address may be in: one that begins before it on its page."""
        native = self.engine.native
        arena = native.arena
        first = address & -PAGE
        size = (address - first) // GRANULE + 1
        cells = host.view(self.slots + (first << layout.SLOT_SHIFT), size * layout.SLOT_SIZE).cast("i")
        for place in range(0, 4 * size, 4):
            if cells[place] and 0 <= native.decode + cells[place] - arena.rx < arena.size:
                cells[place] = 0

    def _fill(self, address: int, slot: bytes) -> None:
        host.view(self.slots + (address << layout.SLOT_SHIFT), layout.SLOT_SIZE)[:] = slot

    def _dropped(self, start: int, end: int) -> None:
        """Decoded code was forgotten, and what stood in its slots with it."""
        for address in self.addresses:
            # A slot just before the range is forgotten too: its instruction may reach into it.
            if start - GRANULE <= address < end:
                self._fill(address, self._slot)
