"""The breakpoint behind `until`, in the code slot of its address: native code everywhere else, and none of it slower.

The slot leads to the handler `pause`. It refuses nothing: an address that no instruction can have gets no breakpoint.
The golden tier, which has no slots, is `emulator.watch`'s.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from polyvm.engine import layout
from polyvm.memory import host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polyvm.engine.executor import GuestCpu
    from polyvm.memory.space import AddressSpace

GRANULE = layout.SLOT_SIZE >> layout.SLOT_SHIFT  # bytes of guest code a slot stands for


class Breakpoint:
    """The breakpoint of one emulator, in its slot only while it runs."""

    def __init__(self, cpu: GuestCpu, space: AddressSpace) -> None:
        self.space = space
        native = cpu.native
        word = native.image.address("pause") - native.decode & 0xFFFF_FFFF
        self._slot = word.to_bytes(layout.SLOT_SIZE, "little")
        self._address: int | None = None
        space.on_code_drop(self._dropped)

    @contextmanager
    def at(self, address: int) -> Iterator[None]:
        """Native code leaves, PAUSE, before the instruction at an address."""
        if address % GRANULE or address >= self.space.limit:
            yield
            return
        self._address = address
        self._fill(self._slot)
        try:
            yield
        finally:
            self._fill(bytes(layout.SLOT_SIZE))
            self._address = None

    def _fill(self, slot: bytes) -> None:
        assert self._address is not None
        at = self.space.slots + (self._address << layout.SLOT_SHIFT)
        host.view(at, layout.SLOT_SIZE)[:] = slot

    def _dropped(self, start: int, end: int) -> None:
        """Decoded code was forgotten, and what stood in its slots with it."""
        if self._address is not None and start <= self._address < end:
            self._fill(self._slot)
