"""What code addresses are called: the symbols, and the unwind tables, of the files that are mapped there.

Files are read when they are first asked for. One that cannot be read has no names.
"""

from __future__ import annotations

from polyvm.debug import elf, unwind
from polyvm.errors import PolyvmError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.memory.regions import Region
    from polyvm.memory.space import AddressSpace

FAR = 1 << 16  # a function that began further away is not listed from its start


class Names:
    """Names of code addresses, from the symbol tables of the files that are mapped there."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.files: dict[str, tuple[elf.Elf, elf.Symbols] | None] = {}
        self.unwinding: dict[str, unwind.Tables | None] = {}

    def of(self, address: int) -> str:
        """As in "main+0x10 (/bin/program)", as far as it is known."""
        region = self.space.lookup(address) if address < self.space.limit else None
        if region is None:
            return ""
        if region.backing is None:
            return printable(region.name)
        path = printable(region.backing.path)
        text = self.label(address)
        return f"{text} ({path})" if text else f"({path})"

    def label(self, address: int) -> str | None:
        """As in "main+0x10"."""
        found = self._find(address)
        if found is None:
            return None
        name, offset = printable(found[0]), found[1]
        return f"{name}+{offset:#x}" if offset else name

    def place(self, address: int) -> tuple[str, int] | None:
        """The file that is mapped at an address, and the address as that file counts."""
        found = self._file(address)
        return None if found is None else (found[0], found[3])

    def start(self, address: int) -> int | None:
        """Where the function that an address belongs to begins."""
        found = self._find(address)
        return None if found is None or found[1] > FAR else address - found[1]

    def tables(self, address: int) -> tuple[unwind.Tables, int] | None:
        """The unwind tables of the file that is mapped at an address, and how far it was moved."""
        found = self._file(address)
        if found is None:
            return None
        path, file, _, own = found
        tables = self._tables(path, file)
        return None if tables is None else (tables, address - own)

    def _tables(self, path: str, file: elf.Elf) -> unwind.Tables | None:
        if path not in self.unwinding:
            frames, more = file.eh_frame(), file.debug_frame()
            found = [] if frames is None else [unwind.Tables(*frames)]
            if more is not None:
                found.append(unwind.Tables(0, more, debug=True))
            self.unwinding[path] = unwind.Joined(*found) if len(found) > 1 else found[0] if found else None
        return self.unwinding[path]

    def functions(self, region: Region) -> set[int]:
        """Where functions begin in executable memory, by the symbols and the unwind tables of its file."""
        found = self._read(region)
        if found is None or region.backing is None:
            return set()
        file, symbols = found
        tables = self._tables(region.backing.path, file)
        starts = {start for start, _ in symbols} | set(tables.starts if tables is not None else ())
        size = region.end - region.start
        for segment in file.segments:
            code = segment.kind == elf.PT_LOAD and segment.flags & elf.PF_X
            if code and -len(segment.data) < segment.offset - region.offset < size:
                moved = region.start + segment.offset - region.offset - segment.address
                inside = {
                    start + moved for start in starts if 0 <= start - segment.address < len(segment.data)
                }
                return {start for start in inside if region.start <= start < region.end}
        return set()

    def knows(self, region: Region, symbols: Iterable[str]) -> bool:
        """Whether the file behind a mapping has one of some symbols, or wants it from another."""
        found = self._read(region)
        if found is None:
            return False
        texts = [bytes(s.data) for s in found[0].sections if s.name in (".strtab", ".dynstr")]
        return any(b"\0" + name.encode() + b"\0" in text for name in symbols for text in texts)

    def _find(self, address: int) -> tuple[str, int] | None:
        found = self._file(address)
        return None if found is None else found[2].at(found[3])

    def _file(self, address: int) -> tuple[str, elf.Elf, elf.Symbols, int] | None:
        """The file that is mapped at an address: path, contents, symbols, and the address as the file counts."""
        region = self.space.lookup(address) if address < self.space.limit else None
        found = None if region is None else self._read(region)
        if region is None or region.backing is None or found is None:
            return None
        path = region.backing.path
        offset = region.offset + address - region.start
        for segment in found[0].segments:
            if segment.kind == elf.PT_LOAD and segment.offset <= offset < segment.offset + len(segment.data):
                return path, *found, segment.address + offset - segment.offset
        return None

    def _read(self, region: Region) -> tuple[elf.Elf, elf.Symbols] | None:
        """The file behind a mapping, and its symbols."""
        if region.backing is None:
            return None
        path = region.backing.path
        if path not in self.files:
            try:
                file = elf.read(path)
                self.files[path] = file, file.symbols()
            except PolyvmError:
                self.files[path] = None  # deleted meanwhile, or no ELF file: no names then
        return self.files[path]
