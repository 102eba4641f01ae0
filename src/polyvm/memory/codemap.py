"""Two host arrays that native code reads: which guest pages are executable, and what was decoded there.

`xmap` has one byte a guest page, 1 where the guest may execute; `slots` has 16 bytes for every two bytes of
guest memory, all zero where nothing has been decoded. Both are address space that costs memory only where
it is used. The module decides when decoded code dies; it refuses to know what a slot holds.
"""

from __future__ import annotations

from polyvm.memory import host
from polyvm.memory.regions import EXEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from polyvm.memory.regions import Region

SLOT_SCALE = 8  # bytes of slots a byte of guest memory

# Around the slots lies readable nothing, so that a branch to just outside of guest memory finds "not
# decoded".
SLOT_MARGIN = 1 << 30  # the reach of a 128 MiB branch
XMAP_MARGIN = 1 << 16

_BULK = 1 << 18  # pages; from there on it is cheaper to give xmap's pages back than to clear them


def forget(slots: int, start: int, end: int) -> None:
    """Forget what was decoded in whole pages, in slots whose first, of address 0, is there in the host's memory."""
    host.madvise(slots + start * SLOT_SCALE, (end - start) * SLOT_SCALE, host.MADV_DONTNEED)
    if start:  # an instruction may begin on the page before
        host.fill(slots + (start - 2) * SLOT_SCALE, 0, 2 * SLOT_SCALE)


class CodeMap:
    """The executable pages and the decoded code of one address space."""

    __slots__ = ("callbacks", "limit", "page_size", "slots", "xmap")

    def __init__(self, xmap: int, slots: int, limit: int, page_size: int) -> None:
        self.xmap = xmap  # host address of the byte of guest page 0
        self.slots = slots  # host address of the slot of guest address 0
        self.limit = limit
        self.page_size = page_size
        self.callbacks: list[Callable[[int, int], object]] = []

    def allow(self, start: int, end: int) -> None:
        """Whole pages became executable."""
        host.fill(self.xmap + start // self.page_size, 1, (end - start) // self.page_size)

    def forbid(self, start: int, end: int) -> None:
        """Whole pages are executable no more; what was decoded there is dropped."""
        first, count = self.xmap + start // self.page_size, (end - start) // self.page_size
        if count >= _BULK:
            inner = -(-first // host.PAGE_SIZE) * host.PAGE_SIZE
            bulk = (first + count - inner) // host.PAGE_SIZE * host.PAGE_SIZE
            host.fill(first, 0, inner - first)
            host.madvise(inner, bulk, host.MADV_DONTNEED)
            first, count = inner + bulk, first + count - inner - bulk
        host.fill(first, 0, count)
        self.drop(start, end)

    def drop(self, start: int, end: int) -> None:
        """Forget what was decoded in whole pages, and tell everybody who keeps code made from them."""
        forget(self.slots, start, end)
        for callback in self.callbacks:
            callback(start, end)

    def decoded(self, regions: Iterable[Region]) -> Iterator[int]:
        """Pages in which something was decoded, or might have been: those whose slots take memory."""
        for region in regions:
            if not region.prot & EXEC:
                continue
            size = (region.end - region.start) * SLOT_SCALE
            found = host.resident(self.slots + region.start * SLOT_SCALE, size)
            each = self.page_size * SLOT_SCALE // host.PAGE_SIZE  # host pages of slots for a guest page
            for number in range(0, len(found), each):
                if any(found[number : number + each]):
                    yield region.start + number // each * self.page_size

    def reset(self) -> None:
        """Nothing is executable any more."""
        host.madvise(self.xmap, self.limit // self.page_size, host.MADV_DONTNEED)
        self.drop(0, self.limit)
