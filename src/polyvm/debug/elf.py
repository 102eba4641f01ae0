"""ELF files for a reader: sections, symbols and unwind tables. Nothing here loads a program.

Everything is checked against the file's size, because files may be hostile: what a header promises and the file does
not have is refused (PVM-ELF-TRUNCATED, PVM-ELF-INVALID), and names are cut at a bound.
"""

from __future__ import annotations

from _bisect import bisect_right
from _struct import Struct

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}
PT_LOAD, PT_GNU_EH_FRAME, PF_X = 1, 0x6474E550, 1
SHT_SYMTAB, SHT_NOBITS, SHT_DYNSYM = 2, 8, 11
SHF_EXECINSTR, SHF_COMPRESSED = 4, 0x800
STT_NOTYPE, STT_FUNC, STT_GNU_IFUNC = 0, 2, 10
MAX_SYMBOLS = 1 << 20
MAX_NAME = 4096

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = Struct("<IIQQQQQQ")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")


class Section:
    """A section: `data` is empty for one without bytes in the file."""

    __slots__ = ("address", "compressed", "data", "executable", "kind", "link", "name", "size")

    def __init__(
        self, name: str, kind: int, flags: int, address: int, size: int, data: memoryview, link: int
    ) -> None:
        self.name = name
        self.kind = kind
        self.executable = bool(flags & SHF_EXECINSTR)
        self.compressed = bool(flags & SHF_COMPRESSED)
        self.address = address
        self.size = size
        self.data = data
        self.link = link


class Segment:
    """A program header with what it maps."""

    __slots__ = ("address", "data", "flags", "kind", "offset", "size")

    def __init__(self, kind: int, flags: int, offset: int, address: int, size: int, data: memoryview) -> None:
        self.kind = kind
        self.flags = flags
        self.offset = offset
        self.address = address
        self.size = size
        self.data = data


class Symbols:
    """Names of addresses: functions and labels, sorted."""

    __slots__ = ("_ends", "_names", "_starts")

    def __init__(self, found: list[tuple[int, int, str]]) -> None:
        best: dict[int, tuple[int, str]] = {}
        for address, size, name in found:
            # Of several names, the one that knows its size, then the one with fewer underscores in front.
            known = best.get(address)
            if known is None or (size > 0, name.startswith("_") < known[1].startswith("_")) > (
                known[0] > 0,
                False,
            ):
                best[address] = (size, name)
        self._starts = sorted(best)
        self._names = [best[address][1] for address in self._starts]
        self._ends = [address + best[address][0] for address in self._starts]

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(zip(self._starts, self._names, strict=True))

    def at(self, address: int) -> tuple[str, int] | None:
        """The name that an address belongs to, and the distance from its start."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start, end = self._starts[index], self._ends[index]
        if end > start and address >= end:
            return None
        return self._names[index], address - start

    def text(self, address: int) -> str | None:
        """As in "main+0x10"."""
        found = self.at(address)
        if found is None:
            return None
        name, offset = found
        return f"{name}+{offset:#x}" if offset else name

    def find(self, name: str) -> tuple[int, int] | None:
        """The start and the end of the symbol with this name; the end is where the next one starts if unknown."""
        for index, known in enumerate(self._names):
            if known == name:
                start, end = self._starts[index], self._ends[index]
                if end == start:
                    end = self._starts[index + 1] if index + 1 < len(self._starts) else start + 256
                return start, end
        return None


class Elf:
    """A file's headers, taken apart. `machine` is a guest's name, or "machine 40" for one that is no guest."""

    __slots__ = ("data", "entry", "kind", "machine", "path", "sections", "segments")

    def __init__(self, data: bytes | memoryview, path: str = "") -> None:
        self.data = memoryview(data)
        self.path = path
        if bytes(self.data[:4]) != b"\x7fELF":
            raise self._bad("PVM-ELF-INVALID", "is no ELF file")
        if len(self.data) < _HEADER.size:
            raise self._bad("PVM-ELF-TRUNCATED", "ends within its header")
        if self.data[4] != 2:
            raise self._bad("PVM-ELF-CLASS", "is not a 64-bit ELF file")
        if self.data[5] != 1:
            raise self._bad("PVM-ELF-ENDIAN", "is not a little-endian ELF file")
        _, self.kind, machine, _, self.entry, ph, sh, _, _, ph_size, ph_count, sh_size, sh_count, sh_names = (
            _HEADER.unpack_from(self.data)
        )
        self.machine = MACHINES.get(machine, f"machine {machine}")
        self.segments = [self._segment(ph + i * ph_size) for i in range(ph_count)] if ph else []
        self.sections = self._sections(sh, sh_size, sh_count, sh_names) if sh else []

    def _bad(self, code: str, why: str) -> PolyvmError:
        return PolyvmError(code, f"{self.path or 'The file'} {why}.", path=self.path or None)

    def _piece(self, offset: int, size: int) -> memoryview:
        if offset + size > len(self.data):
            raise self._bad("PVM-ELF-TRUNCATED", f"ends before {offset + size:#x}, where its headers point")
        return self.data[offset : offset + size]

    def _segment(self, at: int) -> Segment:
        kind, flags, offset, address, _, size, _, _ = _PROGRAM.unpack(self._piece(at, _PROGRAM.size))
        data = self._piece(offset, size) if kind in (PT_LOAD, PT_GNU_EH_FRAME) else memoryview(b"")
        return Segment(kind, flags, offset, address, size, data)

    def _sections(self, start: int, size: int, count: int, names: int) -> list[Section]:
        if size < _SECTION.size:
            raise self._bad("PVM-ELF-INVALID", "has section headers of an impossible size")
        rows = [_SECTION.unpack(self._piece(start + i * size, _SECTION.size)) for i in range(count)]
        if names >= count:
            texts = memoryview(b"")
        else:
            texts = self._piece(rows[names][4], rows[names][5])
        sections = []
        for name, kind, flags, address, offset, length, link, *_ in rows:
            data = memoryview(b"") if kind in (0, SHT_NOBITS) else self._piece(offset, length)
            sections.append(Section(_name(texts, name), kind, flags, address, length, data, link))
        return sections

    def code(self) -> list[tuple[str, int, memoryview]]:
        """What can be executed, as (name, address, bytes): sections, or segments where the file has no sections."""
        found = [(s.name, s.address, s.data) for s in self.sections if s.executable and len(s.data)]
        if found:
            return sorted(found, key=lambda item: item[1])
        return [
            ("segment", s.address, s.data)
            for s in self.segments
            if s.kind == PT_LOAD and s.flags & PF_X and len(s.data)
        ]

    def symbols(self) -> Symbols:
        """Names of code, from the symbol table, or from the dynamic one when the file was stripped."""
        for wanted in (SHT_SYMTAB, SHT_DYNSYM):
            for section in self.sections:
                if section.kind == wanted and section.link < len(self.sections):
                    found = self._read_symbols(section)
                    if found:
                        return Symbols(found)
        return Symbols([])

    def _read_symbols(self, section: Section) -> list[tuple[int, int, str]]:
        texts = self.sections[section.link].data
        executable = {i for i, s in enumerate(self.sections) if s.executable}
        found = []
        rows = section.data[: min(len(section.data) // _SYMBOL.size, MAX_SYMBOLS) * _SYMBOL.size]
        for name, info, _, index, value, size in _SYMBOL.iter_unpack(rows):
            if index not in executable or info & 15 not in (STT_NOTYPE, STT_FUNC, STT_GNU_IFUNC):
                continue
            text = _name(texts, name)
            # Mapping symbols ($x, $d) and local labels say nothing to a reader.
            if text and not text.startswith(("$", ".L")):
                found.append((value, size, text))
        return found

    def eh_frame(self) -> tuple[int, memoryview] | None:
        """The unwind tables, as (address, bytes)."""
        for section in self.sections:
            if section.name == ".eh_frame" and len(section.data):
                return section.address, section.data
        return None

    def debug_frame(self) -> memoryview | None:
        """A debugger's unwind tables, where the file has them as they are: not compressed."""
        for section in self.sections:
            if section.name == ".debug_frame" and len(section.data) and not section.compressed:
                return section.data
        return None


def _name(texts: memoryview, offset: int) -> str:
    piece = bytes(texts[offset : offset + MAX_NAME])
    return piece.partition(b"\0")[0].decode("utf-8", "replace")


def read(path: str) -> Elf:
    """The ELF file at a path. Raises PVM-FILE-* and PVM-ELF-*."""
    from polyvm.errors import from_oserror

    try:
        with open(path, "rb") as file:
            return Elf(file.read(), path)
    except OSError as error:
        raise from_oserror(error, f"Cannot read {path}") from error
