"""A second copy of a guest's memory, for a judge that does everything once more without touching the first.

It follows the mapping table of an AddressSpace and takes over what system calls changed. Accesses are checked against
that table in Python, so nothing here can fault the host; what lies past a file's end may not be accessed. It refuses to
know when somebody else cuts a file short, until it follows again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from polyvm.engine import layout
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.regions import EXEC, SHARED, WRITE

if TYPE_CHECKING:
    from io import FileIO

    from polyvm.memory.regions import Region
    from polyvm.memory.space import AddressSpace

MASK = (1 << 64) - 1
PAGE_SHIFT = 12
LINE_SHIFT = 6
"""What was written is remembered by lines of 64 bytes."""
CHUNK = 1 << 16
READABLE = 3  # every host and guest here reads what it may write


class MirrorFault(Exception):
    """An access that the guest may not make."""

    def __init__(self, address: int, access: int) -> None:
        super().__init__(address, access)
        self.address = address
        self.access = access


class Mirror:
    """The copy. `written` are the lines that were stored to since it was last cleared."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.limit = space.limit
        self.address = _reserve(self.limit)
        self.rights_at = _reserve(self.limit >> PAGE_SHIFT)
        self.view = host.view(self.address, self.limit)
        self.rights = host.view(self.rights_at, self.limit >> PAGE_SHIFT)
        self.theirs = host.view(space.base, self.limit)
        self.written: set[int] = set()
        self.table: list[Region] = []
        # Region of a file -> where the file ends before it.
        self.cut: dict[tuple[int, int, int, int, int], int] = {}

    def close(self) -> None:
        """Give the memory back. Nothing can be asked afterwards."""
        host.munmap(self.address, self.limit)
        host.munmap(self.rights_at, self.limit >> PAGE_SHIFT)

    # -- following the original
    def follow(self) -> bool:
        """Take over the mapping table and every byte that differs; whether the executable part of the table changed."""
        new = list(self.space.regions)
        known = {_facts(region) for region in self.table}
        coming = {_facts(region) for region in new}
        gone = [region for region in self.table if _facts(region) not in coming]
        come = [region for region in new if _facts(region) not in known]
        for region in gone:
            self._allow(region, 0)
        for region in come:
            self._allow(region, region.prot)
        self.table = new
        moved = self._cut()
        for region in new:
            if region.prot & WRITE or region.flags & SHARED or region in come or region in moved:
                for start, end in self._different(region):
                    self.view[start:end] = self._original(region, start, end)
        return any(region.prot & EXEC for region in (*gone, *come, *moved))

    def _allow(self, region: Region, rights: int, start: int = 0) -> None:
        first = max(region.start, start) >> PAGE_SHIFT
        count = (region.end >> PAGE_SHIFT) - first
        self.rights[first : first + count] = bytes((rights,)) * count

    def _cut(self) -> list[Region]:
        """Take the rights from what lies past a file's end, and give back what does so no more: which changed."""
        before, self.cut = self.cut, {}
        moved = []
        for region in self.table:
            if region.backing is None or not region.prot:
                continue
            facts, end = _facts(region), self._reach(region)
            if end < region.end:
                self.cut[facts] = end
            if before.get(facts, region.end) != end:
                moved.append(region)
            if end < region.end or facts in before:
                self._allow(region, region.prot)
                self._allow(region, 0, end)
        return moved

    def _reach(self, region: Region) -> int:
        """Where that part of a file's mapping ends that can be read."""
        if self.space.stored(region, region.end - 1, 1):
            return region.end
        low, high = region.start >> PAGE_SHIFT, region.end >> PAGE_SHIFT
        while low < high:
            middle = (low + high) // 2
            if self.space.stored(region, middle << PAGE_SHIFT, 1):
                low = middle + 1
            else:
                high = middle
        return low << PAGE_SHIFT

    def _original(self, region: Region, start: int, end: int) -> bytes:
        if region.backing is None and region.prot & READABLE:
            return self.theirs[start:end].tobytes()
        data = self.space.stored(region, start, end - start)
        return data + self.view[start + len(data) : end].tobytes()

    def _different(self, region: Region) -> Iterator[tuple[int, int]]:
        """The pieces of a region whose two copies differ. What nobody may access becomes of interest by mprotect."""
        if not region.prot:
            return
        # Opened anew each time: after a fork it is another process's, and a guest may close what it likes.
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            for start in range(region.start, region.end, CHUNK):
                end = min(start + CHUNK, region.end)
                if region.backing is None and not self._used(pagemap, start, end):
                    continue
                if self._original(region, start, end) != self.view[start:end].tobytes():
                    yield start, end

    def _used(self, pagemap: FileIO, start: int, end: int) -> bool:
        """Whether any page was ever used in one of the copies; all others of private memory are zero in both."""
        for base in (self.space.base, self.address):
            pagemap.seek((base + start >> PAGE_SHIFT) * 8)
            rows = memoryview(pagemap.read((end - start >> PAGE_SHIFT) * 8)).cast("Q")
            if any(row >> 62 for row in rows):  # bit 63: in memory; bit 62: in swap
                return True
        return False

    def differences(self) -> Iterator[int]:
        """The addresses of bytes that differ."""
        for region in self.table:
            for start, end in self._different(region):
                pairs = zip(self._original(region, start, end), self.view[start:end], strict=True)
                yield from (start + offset for offset, (theirs, ours) in enumerate(pairs) if theirs != ours)

    def written_differences(self) -> Iterator[int]:
        """The addresses of bytes that differ in the lines that were written."""
        ours, theirs = self.view, self.theirs
        for line in self.written:
            start = line << LINE_SHIFT
            end = start + (1 << LINE_SHIFT)
            if ours[start:end].tobytes() != theirs[start:end].tobytes():
                yield from (at for at in range(start, end) if ours[at] != theirs[at])

    # -- accesses
    def fetch(self, pc: int, size: int) -> bytes:
        """Up to size bytes of code: as many as are executable."""
        end = min(pc + size, self.limit)
        at = pc
        while at < end and self.rights[at >> PAGE_SHIFT] & EXEC:
            at = (at >> PAGE_SHIFT) + 1 << PAGE_SHIFT
        return self.view[pc : max(pc, min(at, end))].tobytes()

    def check(self, address: int, size: int, need: int) -> None:
        """Raise MirrorFault for the first byte that lacks the rights."""
        access = layout.WRITE if need == WRITE else layout.READ
        at, end = address, address + size
        while at < end:
            if at >= self.limit or not self.rights[at >> PAGE_SHIFT] & need:
                raise MirrorFault(at, access)
            at = (at >> PAGE_SHIFT) + 1 << PAGE_SHIFT

    def probe(self, address: int, size: int, write: bool) -> None:
        """Fault as an access would."""
        self.check(address, size, WRITE if write else READABLE)

    def load(self, address: int, size: int) -> int:
        """Read, little-endian."""
        self.check(address, size, READABLE)
        return int.from_bytes(self.view[address : address + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        """Write, little-endian."""
        self.check(address, size, WRITE)
        self.written.update(range(address >> LINE_SHIFT, (address + size - 1 >> LINE_SHIFT) + 1))
        self.view[address : address + size] = int(value).to_bytes(size, "little")

    def environment(self) -> dict[str, Any]:
        """The functions of memory that ir.golden_source's blocks call: aligned accesses take a short way."""
        space: dict[str, Any] = {
            "probe": self.probe,
            "load16": lambda address: self.load(address, 16),
            "store16": lambda address, value: self.store(address, 16, value),
        }
        for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q")):
            names = {
                "view": self.view.cast(code),  # type: ignore[call-overload]  # one of four literals
                "rights": self.rights,
                "written": self.written.add,
                "load": self.load,
                "store": self.store,
            }
            exec(_ACCESS.format(size=size, shift=size.bit_length() - 1, low=size - 1), names)
            space |= {name: names[name] for name in (f"load{size}", f"store{size}")}
        return space


_ACCESS = f"""
def load{{size}}(address):
    try:
        if rights[address >> {PAGE_SHIFT}] & {READABLE} and not address & {{low}}:
            return view[address >> {{shift}}]
    except IndexError:
        pass
    return load(address, {{size}})

def store{{size}}(address, value):
    try:
        if rights[address >> {PAGE_SHIFT}] & {WRITE} and not address & {{low}}:
            view[address >> {{shift}}] = value
            written(address >> {LINE_SHIFT})
            return
    except IndexError:
        pass
    store(address, {{size}}, value)
"""


def _reserve(size: int) -> int:
    prot, flags = host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE
    address = host.mmap(0, size, prot, flags)
    if address < 0:
        raise PolyvmError(
            "PVM-RESOURCE", "The host has no room for a second copy of the guest's memory.", errno=-address
        )
    host.madvise(address, size, host.MADV_NOHUGEPAGE)
    return address


def _facts(region: Region) -> tuple[int, int, int, int, int]:
    return region.start, region.end, region.prot, region.flags, id(region.backing)
