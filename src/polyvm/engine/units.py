"""Compiled regions in a running process: installed in the code slots, known to the fault handler, dropped with code.

One object per guest process. A unit that came from the disk or from a worker is used only if the guest's code is,
byte for byte, what it was made from. Compiling is `engine.workers`' business.
"""

from __future__ import annotations

import marshal
import os
from time import monotonic

from polyvm.engine import cachedir, layout, unitfiles
from polyvm.engine import image as images
from polyvm.engine.native import Range
from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.engine.image import Image
    from polyvm.engine.native import Native
    from polyvm.memory.space import AddressSpace

MAX_BYTES = 64 << 20
"""Of units in memory, unless another limit is asked for."""
LIST_S = 0.25
"""Seconds for which what is on the disk is taken from a list: other processes store units too."""
EXEC = 4


class Unit:
    """A compiled region: its image, where it may be entered, and the guest code that it stands for."""

    __slots__ = ("asked", "code", "compile_s", "entries", "hot", "image", "insns", "kind", "own", "pc", "range",
                 "reach", "seen", "start", "tries")  # fmt: skip

    def __init__(self, image: Image) -> None:
        meta = marshal.loads(image.meta)
        self.image = image
        self.start = image.base + image.exports["unit"]
        self.pc: int = meta["pc"]
        self.kind: str = meta["kind"]
        self.asked: list[int] = meta["asked"]  # entries that somebody asked for
        self.entries: list[int] = meta["entries"]
        self.code: list[tuple[int, bytes]] = meta["code"]
        self.own: list[tuple[int, int]] = meta["own"]  # the spans of code that are not of callees
        self.reach: int = meta["reach"]  # the space must be so large
        self.insns: int = meta["insns"]
        self.tries: int = meta["tries"]  # how often it had been compiled by then
        self.hot: list[int] = meta["hot"]  # beginnings of blocks that had been found hot
        self.seen: list[tuple[int, tuple[int, ...]]] = meta["seen"]  # dynamic jumps, and where they went
        self.compile_s: float = meta["compile_s"]
        self.range = Range.of(image)

    def covers(self, pc: int) -> bool:
        """Whether an address is in the function that it was made for: callees have units of their own."""
        return unitfiles.covers(self.own, pc)

    def has(self, pc: int) -> bool:
        """Whether it was made from code at an address."""
        return self.overlaps(pc, pc + 1)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether it was made from code in a range."""
        return any(at < end and at + len(code) > start for at, code in self.code)


class Units:
    """Every unit of a process."""

    def __init__(self, native: Native, folder: str | None, key: str) -> None:
        self.native = native
        self.folder = folder
        self.key = key
        self.by_pc: dict[int, Unit] = {}
        # Those in by_pc, and those that others took all entries of; oldest first.
        self.installed: dict[Unit, None] = {}
        self.bytes, self.limit = 0, MAX_BYTES  # that they take, and may take before some are given up
        self.crowded = False  # whether one found no room
        self.evicted = 0
        self.by_page: dict[int, list[Unit]] = {}  # those that cover() something of a page
        self.digests: dict[int, str] = {}  # of pages, until code is dropped
        self.on_disk: dict[str, set[int]] = {}  # by kinds, the addresses that the disk has units for
        self.listed = (0.0, 0)  # when that was looked up, and the age of the folder then
        self.kind = ""
        # Places that no unit may have inside: a debugger's breakpoints.
        self.barred: frozenset[int] = frozenset()
        self.hits = self.misses = self.rejected = self.stored = self.written = 0
        self.compiled = 0
        self.compile_s = 0.0
        self.compiled_insns = 0
        self.dropped = 0
        self.code_bytes = 0

    # -- names on disk
    def name(self, space: AddressSpace, pc: int) -> str | None:
        """The file of the unit of an address: its address and a digest of the code around it."""
        page = pc & -4096
        digest = self.digests.get(page)
        if digest is None:
            region = space.lookup(pc)
            if region is None or not region.prot & EXEC:
                return None
            start = max(page, region.start)
            data = space.fetch(start, min(page + 4096, region.end) - start)
            digest = self.digests[page] = unitfiles.digest(data)
        return unitfiles.name(self.key, pc, self.kind, digest)

    def look(self) -> dict[str, set[int]]:
        """What the disk has, by kinds: from a list, which is made anew when it is old and the folder has changed."""
        when, age = self.listed
        now = monotonic()
        if not when or now - when > LIST_S:
            try:
                changed = os.stat(f"{self.folder}/units/{self.key}").st_mtime_ns
                if changed != age:
                    self.on_disk = unitfiles.listed(os.listdir(f"{self.folder}/units/{self.key}"))
            except OSError:
                changed = 0  # nothing was ever stored
            self.listed = now, changed
        return self.on_disk

    def fetch(self, space: AddressSpace, pc: int) -> Unit | None:
        """Install the unit of an address from the disk, if there is one that fits."""
        there = self.folder is not None and pc in self.look().get(self.kind, ())
        name = self.name(space, pc) if there else None
        data = cachedir.read(self.folder, name) if name and self.folder is not None else None
        if name is None or self.folder is None or data is None:
            self.misses += 1
            return None
        try:
            unit = self.install(space, data)
        except PolyvmError as error:
            if error.code != "PVM-CACHE-DAMAGED":
                raise
            unit = None
        if unit is not None and (unit.covers(pc) or pc in unit.entries):
            self.hits += 1
            return unit
        if self.barred or self.crowded:  # which may be all that is wrong with it
            self.misses += 1
            return None
        # Damaged, of other code, or of another place: somebody copied it here. It will be made again.
        self.rejected += 1
        cachedir.remove(f"{self.folder}/{name}")
        return None

    def store(self, space: AddressSpace, unit: Unit, data: bytes) -> bool:
        """Keep a unit for the next process, under every entry of its own function; whether it could be."""
        others = unitfiles.names(unit.pc, unit.asked, unit.entries, unit.own)
        if self.folder is not None and unitfiles.store(
            self.folder, data, unit.pc, others, lambda pc: self.name(space, pc)
        ):
            self.stored += 1
            self.written += len(data)
            return True
        return self.folder is None

    def name_also(self, space: AddressSpace, unit: Unit, pc: int) -> None:
        """Have a stored unit found under another address too."""
        if self.folder is not None:
            unitfiles.also(self.folder, self.name(space, unit.pc), self.name(space, pc))

    def covering(self, pc: int) -> Unit | None:
        """A unit of the function that an address is in."""
        for unit in reversed(self.by_page.get(pc >> 12, ())):
            if unit.covers(pc):
                return unit
        return None

    # -- in memory
    def install(self, space: AddressSpace, data: bytes) -> Unit | None:
        """Map a unit and lead its entries to it; None when the guest's code is not what it was made from, or when it
        is not of the kind that is wanted by now, or has a place inside that is barred, or when there is no room.

        Raises PVM-CACHE-DAMAGED for what is no image.
        """
        try:
            image = images.load(data, shadow=True, within=self.native.image.room)
        except PolyvmError as error:
            if error.code != "PVM-RESOURCE":
                raise
            self.crowded = True
            return None
        try:
            unit = Unit(image)
            with space.lock:
                same = all(self._same(space, at, code) for at, code in unit.code)
                fits = unit.kind == self.kind and unit.reach <= space.limit
                if not fits or not same or any(map(unit.has, self.barred)):
                    image.unload()
                    return None
                self._replace(space, unit)
        except (ValueError, EOFError, KeyError, TypeError, IndexError) as error:
            image.unload()
            raise PolyvmError(
                "PVM-CACHE-DAMAGED", "A unit's description cannot be read.", unit="memory"
            ) from error
        return unit

    def _same(self, space: AddressSpace, at: int, code: bytes) -> bool:
        for region in space.regions.overlapping(at, at + len(code)):
            if not region.prot & EXEC:
                return False
        try:
            return space.fetch(at, len(code)) == code
        except PolyvmError:
            return False

    def _replace(self, space: AddressSpace, unit: Unit) -> None:
        self.native.add_ranges([unit.range])
        self.installed[unit] = None
        self.bytes += unit.image.size
        self.code_bytes += unit.image.size
        for pc in unit.entries:
            self.lead(space, pc, unit.start)
            # An older unit stays mapped: a thread may be inside, and other entries may still lead to it.
            self.by_pc[pc] = unit
        for page in {
            place >> 12 for at, size in unit.own for place in (*range(at, at + size, 4096), at + size - 1)
        }:
            self.by_page.setdefault(page, []).append(unit)

    def lead(self, space: AddressSpace, pc: int, code: int) -> None:
        """Have the slot of an address lead to code in the room."""
        slot = host.view(space.slots + pc * (layout.SLOT_SIZE >> 1), 8).cast("Q")
        distance = code - self.native.decode
        assert -1 << 31 <= distance < 1 << 31, "code that no slot reaches"
        slot[0] = distance & 0xFFFF_FFFF

    @property
    def full(self) -> bool:
        """Whether some are to be given up."""
        return self.crowded or self.bytes > self.limit

    def drop(self, space: AddressSpace, start: int, end: int) -> None:
        """Forget units made from code in a range. No guest thread is in native code now."""
        self.digests.clear()
        gone = {unit for unit in self.installed if unit.overlaps(start, end)}
        self.dropped += len(gone)
        if gone:
            self._give_up(space, gone)

    def evict(self, space: AddressSpace) -> set[int]:
        """Get back below the limit, or make room: first what others took all entries of, then the oldest, to half.

        The addresses that lead nowhere now: what is still hot comes back from the disk, as the newest. No guest thread
        is in native code now.
        """
        crowded, self.crowded = self.crowded, False
        used = set(self.by_pc.values())
        gone = {unit for unit in self.installed if unit not in used}
        left = self.bytes - sum(unit.image.size for unit in gone)
        most = min(self.limit, left - 1) if crowded else self.limit
        if left > most:
            for unit in self.installed:
                if left <= most // 2:
                    break
                if unit in used:
                    gone.add(unit)
                    left -= unit.image.size
        self.evicted += len(gone)
        return self._give_up(space, gone)

    def _give_up(self, space: AddressSpace, gone: set[Unit]) -> set[int]:
        """Unmap units; the addresses that lead nowhere now."""
        for page, found in list(self.by_page.items()):
            self.by_page[page] = [unit for unit in found if unit not in gone]
        places = {pc for pc, unit in self.by_pc.items() if unit in gone}
        for pc in places:
            host.view(space.slots + pc * (layout.SLOT_SIZE >> 1), 8).cast("Q")[0] = 0
            del self.by_pc[pc]
        self.native.remove_ranges([unit.range for unit in gone])
        for unit in gone:
            del self.installed[unit]
            self.bytes -= unit.image.size
            unit.image.unload()
        return places

    def drop_all(self, space: AddressSpace) -> None:
        """Forget every unit. No guest thread is in native code now."""
        self.drop(space, 0, space.limit)
