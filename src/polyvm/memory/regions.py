"""The guest's own mapping table: which addresses are mapped, how, and to what, as the guest sees it.

Regions never overlap, are kept in order of address, and join their neighbours where nothing tells them apart.
The table refuses to know the host: it maps nothing, protects nothing, and checks no alignment.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Protections, as in PROT_*.
READ, WRITE, EXEC = 1, 2, 4

# What a region is beyond its protections.
SHARED = 1  # writes are seen by others: a shared file or shared anonymous memory
GROWSDOWN = 2  # a stack that grows when touched just below
EVER_WRITABLE = 4  # was writable at some time, so code in it may have been written by the guest
DONTFORK = 8  # is not there in a forked child
WIPEONFORK = 16  # is empty in a forked child


class Backing:
    """What stands behind a mapping: a file, or shared anonymous memory. One object for each call of map."""

    __slots__ = ("device", "inode", "path")

    def __init__(self, path: str, device: int = 0, inode: int = 0) -> None:
        self.path = path
        self.device = device
        self.inode = inode

    def __repr__(self) -> str:
        return f"Backing({self.path!r}, device={self.device}, inode={self.inode})"


class Region:
    """A range of guest addresses with one set of properties. A value: changed ones are new regions.

    `backing` is None for private anonymous memory; `offset` is the place of `start` in the backing.
    """

    __slots__ = ("backing", "end", "flags", "name", "offset", "prot", "start")

    def __init__(
        self,
        start: int,
        end: int,
        prot: int,
        flags: int = 0,
        backing: Backing | None = None,
        offset: int = 0,
        name: str = "",
    ) -> None:
        self.start = start
        self.end = end
        self.prot = prot
        self.flags = flags
        self.backing = backing
        self.offset = offset
        self.name = name

    @property
    def size(self) -> int:
        """Bytes from start to end."""
        return self.end - self.start

    @property
    def shared(self) -> bool:
        """Whether writes are seen through other mappings."""
        return bool(self.flags & SHARED)

    @property
    def permissions(self) -> str:
        """As in /proc/self/maps: "rw-p"."""
        prot = self.prot
        return (
            ("r" if prot & READ else "-")
            + ("w" if prot & WRITE else "-")
            + ("x" if prot & EXEC else "-")
            + ("s" if self.flags & SHARED else "p")
        )

    def slice(self, start: int, end: int) -> Region:
        """The part of this region from start to end, which must lie in it."""
        offset = self.offset + start - self.start if self.backing is not None else 0
        return Region(start, end, self.prot, self.flags, self.backing, offset, self.name)

    def changed(self, *, prot: int | None = None, flags: int | None = None) -> Region:
        """This region with another protection or other flags."""
        return Region(
            self.start,
            self.end,
            self.prot if prot is None else prot,
            self.flags if flags is None else flags,
            self.backing,
            self.offset,
            self.name,
        )

    def moved(self, start: int, end: int) -> Region:
        """This region at another place."""
        return Region(start, end, self.prot, self.flags, self.backing, self.offset, self.name)

    def joins(self, after: Region) -> bool:
        """Whether the region right after this one is only its continuation."""
        return (
            self.end == after.start
            and self.prot == after.prot
            and self.flags == after.flags
            and self.backing is after.backing
            and (self.backing is None or self.offset + self.end - self.start == after.offset)
            and self.name == after.name
        )

    def __repr__(self) -> str:
        what = self.name or ("" if self.backing is None else f"{self.backing.path}+{self.offset:#x}")
        return f"<Region {self.start:#x}-{self.end:#x} {self.permissions}{' ' + what if what else ''}>"


class Regions:
    """The table: regions in order of address. Iterating walks a snapshot."""

    __slots__ = ("_ceiling", "_items", "_largest", "_searched", "_starts", "mapped")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._items: list[Region] = []
        self.mapped = 0  # bytes in all
        # What the last search for a gap learnt: no gap between _searched and _ceiling is larger than _largest.
        self._ceiling = self._searched = self._largest = 0

    def __iter__(self) -> Iterator[Region]:
        return iter(self._items.copy())

    def __len__(self) -> int:
        return len(self._items)

    def lookup(self, address: int) -> Region | None:
        """The region that holds an address."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        region = self._items[index]
        return region if address < region.end else None

    def above(self, address: int) -> Region | None:
        """The first region that starts at or above an address."""
        index = bisect_left(self._starts, address)
        return self._items[index] if index < len(self._items) else None

    def below(self, address: int) -> Region | None:
        """The last region that starts below an address."""
        index = bisect_left(self._starts, address) - 1
        return self._items[index] if index >= 0 else None

    def overlapping(self, start: int, end: int) -> list[Region]:
        """The regions that have a byte in a range, whole."""
        first, last = self._span(start, end)
        return self._items[first:last]

    def covered(self, start: int, end: int) -> bool:
        """Whether every byte of a range is mapped."""
        for region in self.overlapping(start, end):
            if region.start > start:
                return False
            start = region.end
        return start >= end

    def insert(self, region: Region) -> None:
        """Add a region where nothing is mapped, joined with its neighbours where it can be."""
        index = bisect_left(self._starts, region.start)
        items = self._items
        self.mapped += region.end - region.start
        start, end, first, last = region.start, region.end, index, index
        if index and items[index - 1].joins(region):
            first -= 1
            start = items[first].start
        if index < len(items) and region.joins(items[index]):
            last += 1
            end = items[index].end
        if first != last:
            origin = items[first] if first < index else region
            region = origin.moved(start, end)
        items[first:last] = [region]
        self._starts[first:last] = [start]

    def remove(self, start: int, end: int) -> list[Region]:
        """Take a range out; what was there, cut to the range."""
        first, last = self._span(start, end)
        if first == last:
            return []
        removed = self._items[first:last]
        kept = []
        if removed[0].start < start:
            kept.append(removed[0].slice(removed[0].start, start))
        if removed[-1].end > end:
            kept.append(removed[-1].slice(end, removed[-1].end))
        if removed[-1].end > end:
            removed[-1] = removed[-1].slice(removed[-1].start, end)
        if removed[0].start < start:
            removed[0] = removed[0].slice(start, removed[0].end)
        self._items[first:last] = kept
        self._starts[first:last] = [region.start for region in kept]
        for region in removed:
            self.mapped -= region.end - region.start
        if end > self._searched:
            self._note_gap(end)
        return removed

    def clear(self) -> None:
        """Take everything out."""
        self._starts.clear()
        self._items.clear()
        self.mapped = self._ceiling = self._searched = self._largest = 0

    def gap_below(self, ceiling: int, floor: int, size: int) -> int | None:
        """The highest address in [floor, ceiling - size] where size bytes are free."""
        if ceiling != self._ceiling or size <= self._largest:
            self._ceiling = self._searched = ceiling
            self._largest = 0
        items = self._items
        top = self._searched
        index = bisect_left(self._starts, top) - 1
        while index >= 0 and items[index].end > floor:
            region = items[index]
            if top - region.end >= size:
                break
            self._largest = max(self._largest, top - region.end)
            top = min(top, region.start)
            index -= 1
        self._searched = top
        return top - size if top - floor >= size else None

    def _note_gap(self, end: int) -> None:
        """What lies before `end` became free, above where the last search ended."""
        index = bisect_left(self._starts, end)
        low = self._items[index - 1].end if index else 0
        high = min(self._items[index].start, self._ceiling) if index < len(self._items) else self._ceiling
        if low < self._searched:
            self._searched = max(self._searched, high)
        else:
            self._largest = max(self._largest, high - low)

    def _span(self, start: int, end: int) -> tuple[int, int]:
        """Indices of the first region with a byte in a range, and of the one after the last."""
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self._items[first].end <= start:
            first += 1
        return first, max(first, bisect_left(self._starts, end)) if start < end else first
