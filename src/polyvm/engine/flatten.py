"""From relocatable ELF objects to one flat, position-independent image: place sections, apply relocations, sort tables.

Pure Python over x86-64 objects of the small code model, which may refer to each other's global symbols. It refuses, by
name, whatever would make the image depend on its address or on anything outside it: absolute relocations, writable
data, thread-local storage, undefined symbols.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from polyvm.engine import image
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_RELA = Struct("<QQq")
_S32 = Struct("<i")

SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 1, 2, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS = 1, 2, 4, 0x400
SHN_UNDEF, SHN_RESERVED = 0, 0xFF00  # from there on, indices that are no section's: absolute, common
STB_LOCAL = 0

# System V ABI, AMD64 supplement, table 4.10.
RELOCATIONS = {
    0: "R_X86_64_NONE", 1: "R_X86_64_64", 2: "R_X86_64_PC32", 3: "R_X86_64_GOT32", 4: "R_X86_64_PLT32",
    9: "R_X86_64_GOTPCREL", 10: "R_X86_64_32", 11: "R_X86_64_32S", 12: "R_X86_64_16", 13: "R_X86_64_PC16",
    14: "R_X86_64_8", 15: "R_X86_64_PC8", 19: "R_X86_64_TLSGD", 20: "R_X86_64_TLSLD", 22: "R_X86_64_GOTTPOFF",
    23: "R_X86_64_TPOFF32", 24: "R_X86_64_PC64", 25: "R_X86_64_GOTOFF64", 26: "R_X86_64_GOTPC32",
    41: "R_X86_64_GOTPCRELX", 42: "R_X86_64_REX_GOTPCRELX",
}  # fmt: skip
_PC32, _PLT32, _GOTPCREL, _PC64, _GOTPCRELX, _REX_GOTPCRELX = 2, 4, 9, 24, 41, 42

PLACES = "pvq"

# Allocated, but of use only to a linker, an unwinder or a debugger.
_DROPPED = (".eh_frame", ".note", ".llvm_addrsig")


def _refuse(why: str, **context: object) -> PolyvmError:
    error = PolyvmError("PVM-COMPILE-FAILED", f"An object cannot be made a flat image: {why}.")
    return error.add_context(**context)


class _Section:
    __slots__ = ("align", "data", "flags", "info", "link", "name", "offset", "place", "size", "type")

    def __init__(self, header: tuple[int, ...]) -> None:
        (_, self.type, self.flags, _, self.offset, self.size, self.link, self.info, align, _) = header
        self.align = align or 1
        self.name = ""
        self.data = b""
        self.place: int | None = None


def _string(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()


def _sections(obj: bytes, first: int = 0) -> list[_Section]:
    """An object's sections. first: how many there are before them, which the numbers in them shall count too."""
    if obj[:6] != b"\x7fELF\2\1" or obj[16:20] != b"\1\0\x3e\0":
        raise _refuse("it is no relocatable x86-64 ELF file")
    offset = int.from_bytes(obj[40:48], "little")
    size, count, names = (int.from_bytes(obj[i : i + 2], "little") for i in (58, 60, 62))
    if size != _SECTION.size or offset + size * count > len(obj):
        raise _refuse("its section headers are damaged")
    headers = [_SECTION.unpack_from(obj, offset + size * i) for i in range(count)]
    sections = [_Section(header) for header in headers]
    for section in sections:
        if section.type != SHT_NOBITS:
            section.data = obj[section.offset : section.offset + section.size]
    for section, header in zip(sections, headers, strict=True):
        section.name = _string(sections[names].data, header[0])
        section.link += first
        if section.type == SHT_RELA:
            section.info += first
    return sections


def _order(section: _Section) -> tuple[int, str]:
    # Code first and by name, so that a named section of code is one piece; then the constants.
    return (0 if section.flags & SHF_EXECINSTR else 1, section.name)


def _place(sections: list[_Section]) -> tuple[bytearray, dict[str, tuple[int, int]]]:
    """Give every section that an image needs its place; the bytes, and where the named sections are."""
    spans: dict[str, tuple[int, int]] = {}
    code = bytearray()
    for section in sorted(sections, key=_order):
        if not section.flags & SHF_ALLOC or not section.size or section.name.startswith(_DROPPED):
            continue
        if section.flags & SHF_TLS:
            raise _refuse("it has thread-local storage", section=section.name)
        # LLVM calls its tables of instructions (pcsections) writable; nobody writes to ours.
        constant = section.name in image.TABLES or section.name.startswith(".data.rel.ro")
        if section.type == SHT_NOBITS or (section.flags & SHF_WRITE and not constant):
            raise _refuse("it has writable data", section=section.name)
        fill = b"\xcc" if section.flags & SHF_EXECINSTR else b"\0"
        code += fill * (-len(code) % section.align)
        section.place = len(code)
        code += section.data
        start = spans.get(section.name, (section.place, 0))[0]
        spans[section.name] = (start, len(code) - start)
    return code, spans


class Symbol(NamedTuple):
    """place: in the image, None where it has none. size: of what it names."""

    name: str
    place: int | None
    size: int


class Reference(NamedTuple):
    """A relocation that was left alone: place in the image, kind (RELOCATIONS), and what it refers to."""

    place: int
    kind: int
    symbol: Symbol
    addend: int


class Flat:
    """Objects that are being made flat: the bytes of their sections, and what is where.

    apart: a section whose relocations are not applied but listed, in `references`, because its code is not run where
    it lies. Raises PVM-COMPILE-FAILED.
    """

    def __init__(self, *objects: bytes, apart: str = "") -> None:
        self.sections: list[_Section] = []
        firsts = []
        for obj in objects:
            firsts.append(len(self.sections))
            self.sections += _sections(obj, firsts[-1])
        self.code, spans = _place(self.sections)
        self.named = {name: span for name, span in spans.items() if name.isidentifier()}
        provided = {"pv_image": 0}
        for name, (start, size) in self.named.items():
            provided[f"__start_{name}"] = start
            provided[f"__stop_{name}"] = start + size
        self.defined = _defined(self.sections, firsts)
        self.symbols = _symbols(self.sections, firsts, provided, self.defined)
        self.apart = apart
        self.references: list[Reference] = []
        for target, table, symbols in self._tables():
            if target.name == apart:
                assert target.place is not None
                for offset, info, addend in _RELA.iter_unpack(table):
                    symbol = symbols[info >> 32]
                    self.references.append(
                        Reference(target.place + offset, info & 0xFFFFFFFF, symbol, addend)
                    )

    def _tables(self) -> Iterator[tuple[_Section, bytes, list[Symbol]]]:
        """The sections that have relocations, these, and the symbols that they count."""
        for section in self.sections:
            if section.type == SHT_RELA and self.sections[section.info].place is not None:
                yield self.sections[section.info], section.data, self.symbols[section.link]

    def append(self, name: str, data: bytes) -> None:
        """Add a section behind all others."""
        self.code += bytes(-len(self.code) % 16)
        self.named[name] = len(self.code), len(data)
        self.code += data

    def pack(self, exports: Iterable[str] = (), meta: bytes = b"") -> bytes:
        """The image file, every relocation applied."""
        labelled = _labelled(self.sections)
        rows = self.named.get(PLACES, (0, 0))
        if labelled:
            self.append(PLACES, bytes(12 * len(labelled)))
        behind = Symbol("pv_process", -(-len(self.code) // image.PAGE) * image.PAGE, 0)
        for target, table, symbols in self._tables():
            if target.name != self.apart:
                assert target.place is not None
                _relocate(self.code, target.place, target.name, table, symbols, behind)
        _sort_tables(self.code, self.named)
        if labelled:
            _places(self.code, rows, self.named[PLACES], labelled)
        places = {name: self.defined[name].place or 0 for name in exports if name in self.defined}
        missing = [name for name in exports if name not in places]
        if missing:
            raise _refuse("it does not define what it should export", symbols=missing)
        return image.pack(bytes(self.code), places, self.named, meta)


def flatten(obj: bytes, exports: Iterable[str] = (), meta: bytes = b"") -> bytes:
    """The flat image file of an object, with the named symbols as exports and `meta` kept as it is.

    Sections named as C identifiers can be found again by name, and their ends by `__start_NAME` and `__stop_NAME`;
    `pv_process` is the first page behind the image. Raises PVM-COMPILE-FAILED.
    """
    return Flat(obj).pack(exports, meta)


def _rows_of_symbols(
    sections: list[_Section], firsts: list[int]
) -> Iterator[tuple[int, str, bool, int, int, _Section | None]]:
    """Every symbol: its table, name, whether other objects see it, value, size, and section if it has one."""
    for number, table in enumerate(sections):
        if table.type != SHT_SYMTAB:
            continue
        strings = sections[table.link].data
        first = max(place for place in firsts if place <= number)
        for name_at, info, _, index, value, size in _SYMBOL.iter_unpack(table.data):
            section = sections[first + index] if SHN_UNDEF < index < SHN_RESERVED else None
            name = _string(strings, name_at) or (section.name if section else "")
            # What is special is not defined either; an undefined one is told by its index.
            yield number, name, info >> 4 != STB_LOCAL, value, size, section


def _defined(sections: list[_Section], firsts: list[int]) -> dict[str, Symbol]:
    """The symbols that have a place, by name; one that all objects see goes before an object's own."""
    defined: dict[str, Symbol] = {}
    seen: set[str] = set()
    for _, name, shared, value, size, section in _rows_of_symbols(sections, firsts):
        if section is None or section.place is None or (name in seen and not shared):
            continue
        if shared and name in seen:
            raise _refuse("a symbol is defined twice", symbol=name)
        if shared:
            seen.add(name)
        defined[name] = Symbol(name, section.place + value, size)
    return defined


def _symbols(
    sections: list[_Section], firsts: list[int], provided: dict[str, int], defined: dict[str, Symbol]
) -> dict[int, list[Symbol]]:
    """Every symbol of each table, in order: with the place that it has there, in another object, or from here."""
    tables: dict[int, list[Symbol]] = {}
    for table, name, shared, value, size, section in _rows_of_symbols(sections, firsts):
        place: int | None
        if section is not None:
            place = None if section.place is None else section.place + value
        else:
            other = defined.get(name) if shared else None
            place = other.place if other is not None else provided.get(name)
        tables.setdefault(table, []).append(Symbol(name, place, size))
    return tables


def _relocate(
    code: bytearray, place: int, section: str, table: bytes, symbols: list[Symbol], behind: Symbol
) -> None:
    for offset, info, addend in _RELA.iter_unpack(table):
        kind, (name, value, _) = info & 0xFFFFFFFF, symbols[info >> 32]
        if name == behind.name:
            value = behind.place
        at = place + offset
        if kind == 0:
            continue
        if kind not in (_PC32, _PLT32, _GOTPCREL, _PC64, _GOTPCRELX, _REX_GOTPCRELX):
            label = RELOCATIONS.get(kind, f"relocation {kind}")
            raise _refuse(
                f"{label} depends on the address or the host", symbol=name, section=section, offset=offset
            )
        if value is None:
            raise _refuse("a symbol is not defined in it", symbol=name, section=section, offset=offset)
        if kind == _PC64:
            code[at : at + 8] = ((value + addend - at) % (1 << 64)).to_bytes(8, "little")
            continue
        if kind in (_GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX):
            _relax(code, at, addend, name)
        _S32.pack_into(code, at, value + addend - at)


def _relax(code: bytearray, at: int, addend: int, name: str) -> None:
    """Turn a load from the global offset table into the address itself (AMD64 supplement, B.2)."""
    opcode, modrm = code[at - 2], code[at - 1]
    if (
        addend == -4 and opcode == 0x8B and modrm & 0xC7 == 0x05
    ):  # mov foo@GOTPCREL(%rip), r  ->  lea foo(%rip), r
        code[at - 2] = 0x8D
    elif addend == -4 and opcode == 0xFF and modrm == 0x15:  # call *foo@GOTPCREL(%rip)  ->  addr32 call foo
        code[at - 2 : at] = b"\x67\xe8"
    elif addend == -4 and opcode == 0xFF and modrm == 0x25:  # jmp *foo@GOTPCREL(%rip)  ->  addr32 jmp foo
        code[at - 2 : at] = b"\x67\xe9"
    else:
        raise _refuse("an entry of the global offset table is needed as data", symbol=name)


def _labelled(sections: list[_Section]) -> list[int]:
    """Where section pvq has addresses: what is not relocated in it is a constant."""
    for section in sections:
        if section.type == SHT_RELA and sections[section.info].name == PLACES:
            return sorted(offset for offset, _, _ in _RELA.iter_unpack(section.data))
    return []


def places(obj: bytes) -> set[int]:
    """The constants of an object's section pvq: whose accesses LLVM kept the place of."""
    sections = _sections(obj)
    data = b"".join(
        section.data for section in sections if section.name == PLACES and section.type != SHT_RELA
    )
    return {int.from_bytes(constant, "little") for _, constant in _rows(data, _labelled(sections))}


def _rows(data: bytes, labelled: list[int]) -> list[tuple[int, bytes]]:
    """Where the addresses of section pvq stand in it, each with its constant, which may be that of several."""
    rows: list[tuple[int, bytes]] = []
    at, group = 0, []
    addresses = set(labelled)
    while at < len(data):
        if at in addresses:
            group.append(at)
            at += 4
            continue
        constant = data[at : at + 8]
        rows += [(place, constant) for place in group]
        group.clear()
        at += 8
    if group or len(rows) != len(labelled):
        raise _refuse("a table's rows are incomplete", section=PLACES)
    return rows


def _places(code: bytearray, source: tuple[int, int], target: tuple[int, int], labelled: list[int]) -> None:
    """Write the rows of pvq: an address may share its constant with those before it."""
    start, size = source
    rows = [
        (start + at + _S32.unpack_from(code, start + at)[0]).to_bytes(4, "little") + constant
        for at, constant in _rows(bytes(code[start : start + size]), labelled)
    ]
    rows.sort(key=lambda row: int.from_bytes(row[:4], "little"))
    code[start : start + size] = bytes(size)
    code[target[0] : target[0] + target[1]] = b"".join(rows)


def _sort_tables(code: bytearray, named: dict[str, tuple[int, int]]) -> None:
    """Rewrite the tables that the signal handler searches: sorted rows of offsets into the image."""
    for name, width in image.TABLES.items():
        if name == PLACES:
            continue
        start, size = named.get(name, (0, 0))
        if size % (4 * width):
            raise _refuse("a table's rows are incomplete", section=name)
        places = range(start, start + size, 4)
        values = [at + _S32.unpack_from(code, at)[0] for at in places]
        rows = sorted({tuple(values[i : i + width]) for i in range(0, len(values), width)})
        flat = b"".join(value.to_bytes(4, "little") for row in rows for value in row)
        code[start : start + size] = flat.ljust(size, b"\0")
        if size:
            named[name] = (start, len(flat))
