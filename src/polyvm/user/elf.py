"""ELF64 programs: the headers that loading needs, read from a descriptor and checked against the file's size.

Every number in a file is hostile until it was checked: what is refused is refused by a PVM-ELF code that
says which field. No more is read than the headers and names that are used. It refuses to map anything: that
is the loader's.
"""

from __future__ import annotations

import os
from _struct import Struct, unpack_from

from polyvm.errors import PolyvmError, from_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PT_LOAD, PT_INTERP, PT_PHDR, PT_GNU_STACK = 1, 3, 6, 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4

_HEADER = Struct("<HHIQQQIHHHHHH")  # from e_type on
_PROGRAM = Struct("<IIQQQQQQ")
_HEADER_BYTES, _IDENT_BYTES = 64, 16
_PROGRAM_MAX = 65536 // 56  # Linux reads at most 64 KiB of program headers
_PATH_MAX = 4096
_SCRIPT_BYTES = 256  # BINPRM_BUF_SIZE
ADDRESSES = 1 << 64  # sums of addresses wrap here, as Linux's do

# Machines that people have programs for; the rest is shown by number.
_MACHINES = {
    3: "i386",
    8: "mips",
    20: "powerpc",
    21: "powerpc64",
    22: "s390x",
    40: "arm",
    43: "sparc64",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    247: "bpf",
    258: "loongarch64",
}

Symbol = tuple[int, int, str]  # address, size, name


class Segment:
    """A PT_LOAD header: what is mapped where, with which rights (PF_R, PF_W, PF_X)."""

    __slots__ = ("address", "align", "filesz", "flags", "memsz", "offset")

    def __init__(self, flags: int, offset: int, address: int, filesz: int, memsz: int, align: int) -> None:
        self.flags = flags
        self.offset = offset
        self.address = address
        self.filesz = filesz
        self.memsz = memsz
        self.align = align

    @property
    def end(self) -> int:
        """The address after the last byte in memory."""
        return self.address + self.memsz


class Elf:
    """What the headers of one program say, checked. Addresses are the file's own: nothing is loaded yet."""

    __slots__ = (
        "align",
        "entry",
        "flags",
        "interp",
        "machine",
        "path",
        "phdr",
        "phnum",
        "position_independent",
        "segments",
        "stack_flags",
    )

    phent = _PROGRAM.size

    def __init__(self, path: bytes, machine: int, flags: int, entry: int, position_independent: bool) -> None:
        self.path = path
        self.machine = machine
        self.flags = flags
        self.entry = entry
        self.position_independent = position_independent
        self.segments: list[Segment] = []  # in order of address, never overlapping
        self.interp: bytes | None = None  # the dynamic linker's name
        self.phdr = 0  # where the program headers are in memory, 0 if nowhere
        self.phnum = 0
        self.stack_flags = PF_R | PF_W  # as Linux assumes on 64-bit machines where a program does not say
        self.align = 1  # of the load address

    @property
    def start(self) -> int:
        """The lowest address of all segments."""
        return self.segments[0].address

    @property
    def end(self) -> int:
        """The address after the highest byte of all segments."""
        return self.segments[-1].end


def machine_name(machine: int) -> str:
    """A name for an e_machine number."""
    return _MACHINES.get(machine, f"number {machine}")


def open_program(path: bytes | str) -> int:
    """A descriptor for a file that may be executed; else PVM-FILE-MISSING, -DENIED or -DIRECTORY."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise PolyvmError("PVM-FILE-MISSING", "A file name holds no zero byte.", path=os.fsdecode(name))
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        made = from_oserror(error, "Cannot open the program", path=os.fsdecode(name))
        raise made from error
    try:
        check_program(fd, name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_program(fd: int, path: bytes) -> None:
    """Raise PVM-FILE-DIRECTORY or PVM-FILE-DENIED for an open file that execve would not take."""
    mode = os.fstat(fd).st_mode
    kind, shown = mode & 0o170000, os.fsdecode(path)
    if kind == 0o040000:
        raise PolyvmError(
            "PVM-FILE-DIRECTORY",
            "The program to run is a directory.",
            hint="Name a program inside it.",
            path=shown,
        )
    if kind != 0o100000:
        raise PolyvmError("PVM-FILE-DENIED", "The program to run is not a regular file.", path=shown)
    if not mode & 0o111:
        raise PolyvmError(
            "PVM-FILE-DENIED",
            "The program's file is not marked as executable.",
            hint=f"chmod +x {shown}",
            path=shown,
        )


def parse_script(head: bytes) -> tuple[bytes, bytes | None] | None:
    """The interpreter and its one argument of a `#!` file, from its first 256 bytes; None for others."""
    if not head.startswith(b"#!"):
        return None
    head = head[:_SCRIPT_BYTES]
    line, newline, _ = head[2:].partition(b"\n")
    line = line.lstrip(b" \t")
    stop = next((i for i, byte in enumerate(line) if byte in b" \t\0"), len(line))
    # A name that is cut off by the end of the buffer could be any other name.
    if not newline and len(head) == _SCRIPT_BYTES and stop == len(line):
        return None
    name = line[:stop]
    argument = b"" if line[stop : stop + 1] == b"\0" else line[stop:].partition(b"\0")[0].strip(b" \t")
    return (name, argument or None) if name else None


def parse(fd: int, path: bytes, machine: int | None = None) -> Elf:
    """The headers of an ELF program. Raises a PVM-ELF error; -MACHINE unless it is for that one."""
    size = os.fstat(fd).st_size
    head = _pread(fd, _HEADER_BYTES, 0, path)
    _check_ident(head, path, size)
    kind, found, _, entry, phoff, _, flags, _, phentsize, phnum, _, _, _ = _HEADER.unpack_from(head, 16)
    if machine is not None and found != machine:
        _other_machine(path, found, [machine])
    if kind not in (ET_EXEC, ET_DYN):
        what = {ET_REL: "an object file, which must be linked first", ET_CORE: "a core dump"}
        _invalid(path, f"it is {what.get(kind, 'of an unknown type')}", field="e_type", value=kind)
    if phentsize != _PROGRAM.size:
        _invalid(path, "its program headers have the wrong size", field="e_phentsize", value=phentsize)
    if not 0 < phnum <= _PROGRAM_MAX:
        _invalid(path, "it has no program headers, or too many", field="e_phnum", value=phnum)
    if phoff + phnum * _PROGRAM.size > size:
        _truncated(path, "its program headers", phoff + phnum * _PROGRAM.size, size)
    elf = Elf(path, found, flags, entry, kind == ET_DYN)
    elf.phnum = phnum
    table = _pread(fd, phnum * _PROGRAM.size, phoff, path)
    _read_program_headers(elf, fd, size, table)
    for segment in elf.segments:
        if segment.offset <= phoff < segment.offset + segment.filesz:
            elf.phdr = phoff - segment.offset + segment.address
            break
    return elf


def refuse(fd: int, path: bytes, machines: Iterable[int]) -> NoReturn:
    """Raise the PVM-ELF error of a file that is no program for one of these machines."""
    _other_machine(path, parse(fd, path).machine, machines)


def _other_machine(path: bytes, found: int, machines: Iterable[int]) -> NoReturn:
    wanted = " or ".join(map(machine_name, machines))
    raise PolyvmError(
        "PVM-ELF-MACHINE",
        f"The program is for {machine_name(found)}, and not for {wanted}.",
        hint=f"Build it for {wanted}; `polyvm doctor` lists the guests.",
        path=os.fsdecode(path),
        machine=found,
    )


def _check_ident(head: bytes, path: bytes, size: int) -> None:
    magic = head[:4]
    if magic != b"\x7fELF":
        if magic and b"\x7fELF".startswith(magic):
            _truncated(path, "its header", _HEADER_BYTES, size)
        hint = "Run its interpreter with it as argument." if head.startswith(b"#!") else None
        raise PolyvmError("PVM-ELF-INVALID", "The file is no ELF program.", hint=hint, path=os.fsdecode(path))
    if len(head) < _IDENT_BYTES:
        _truncated(path, "its header", _HEADER_BYTES, size)
    if head[4] == 1:
        raise PolyvmError(
            "PVM-ELF-CLASS",
            "The program is a 32-bit one.",
            hint="Build it for a 64-bit machine; 32-bit guests are not supported.",
            path=os.fsdecode(path),
        )
    if head[4] != 2:
        _invalid(path, "its class is unknown", field="EI_CLASS", value=head[4])
    if head[5] == 2:
        raise PolyvmError(
            "PVM-ELF-ENDIAN",
            "The program is a big-endian one.",
            hint="Build it for a little-endian machine; big-endian guests are not supported.",
            path=os.fsdecode(path),
        )
    if head[5] != 1:
        _invalid(path, "its byte order is unknown", field="EI_DATA", value=head[5])
    if head[6] != 1:
        _invalid(path, "its ELF version is unknown", field="EI_VERSION", value=head[6])
    if len(head) < _HEADER_BYTES:
        _truncated(path, "its header", _HEADER_BYTES, size)


def _read_program_headers(elf: Elf, fd: int, size: int, table: bytes) -> None:
    path = elf.path
    for kind, flags, offset, address, _, filesz, memsz, align in _PROGRAM.iter_unpack(table):
        if kind == PT_LOAD:
            if filesz > memsz:
                _invalid(
                    path, "a segment is larger in the file than in memory", field="p_filesz", value=filesz
                )
            if address + memsz > ADDRESSES or offset + filesz > ADDRESSES:
                _invalid(path, "a segment ends beyond all addresses", field="p_memsz", value=memsz)
            if offset + filesz > size:
                _truncated(path, "a segment", offset + filesz, size)
            if memsz == 0:
                continue
            elf.segments.append(Segment(flags, offset, address, filesz, memsz, align))
            if align & (align - 1) == 0:  # Linux, too, ignores what is no power of two
                elf.align = max(elf.align, align)
        elif kind == PT_INTERP and elf.interp is None:
            elf.interp = _read_interp(path, fd, size, offset, filesz)
        elif kind == PT_GNU_STACK:
            elf.stack_flags = flags
    if not elf.segments:
        _invalid(path, "it has nothing to load", field="PT_LOAD", value=0)
    elf.segments.sort(key=lambda segment: segment.address)
    for before, after in zip(elf.segments, elf.segments[1:], strict=False):
        if before.end > after.address:
            _invalid(path, "two of its segments overlap", field="p_vaddr", value=after.address)


def _read_interp(path: bytes, fd: int, size: int, offset: int, filesz: int) -> bytes:
    if not 2 <= filesz <= _PATH_MAX:
        _invalid(path, "its dynamic linker's name is empty or too long", field="PT_INTERP", value=filesz)
    if offset + filesz > size:
        _truncated(path, "its dynamic linker's name", offset + filesz, size)
    name = _pread(fd, filesz, offset, path)
    if name[-1:] != b"\0" or name[:1] == b"\0":
        _invalid(path, "its dynamic linker's name does not end", field="PT_INTERP", value=filesz)
    return name.partition(b"\0")[0]


def _pread(fd: int, size: int, offset: int, path: bytes) -> bytes:
    """Bytes of the file, fewer at its end. Offsets are below the file's size, so the host takes them."""
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        raise from_oserror(error, "Cannot read the program", path=os.fsdecode(path)) from error


def _invalid(path: bytes, what: str, *, field: str, value: int) -> NoReturn:
    raise PolyvmError(
        "PVM-ELF-INVALID",
        f"The program's file is damaged: {what}.",
        hint="Build it or fetch it again; `readelf -hl` shows its headers.",
        path=os.fsdecode(path),
        field=field,
        found=hex(value),
    )


def _truncated(path: bytes, what: str, needed: int, size: int) -> NoReturn:
    raise PolyvmError(
        "PVM-ELF-TRUNCATED",
        f"The program's file ends before {what}.",
        hint="It was probably copied or downloaded in part: fetch it again.",
        path=os.fsdecode(path),
        needed_bytes=needed,
        file_bytes=size,
    )


# ------------------------------------------------------------------------------------------------------
# symbols

_SYMBOL_BYTES_MAX = 16 << 20  # of symbols and names together; a larger table is left alone
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
SHT_SYMTAB, SHT_DYNSYM = 2, 11


def read_symbols(fd: int) -> list[Symbol]:
    """The functions and objects that a program names, in order of address; nothing where tables are damaged.

    For backtraces only, after the fact: a file may have lost its symbols, and that is no error.
    """
    size = os.fstat(fd).st_size
    head = os.pread(fd, _HEADER_BYTES, 0)
    if len(head) < _HEADER_BYTES:
        return []
    (offset,) = unpack_from("<Q", head, 0x28)
    entry_bytes, count = unpack_from("<HH", head, 0x3A)
    if entry_bytes != _SECTION.size or offset + count * entry_bytes > size:
        return []
    sections = list(_SECTION.iter_unpack(os.pread(fd, count * entry_bytes, offset)))
    for wanted in (SHT_SYMTAB, SHT_DYNSYM):
        for section in sections:
            if section[1] == wanted and section[6] < len(sections):
                found = _symbols_of(fd, size, section, sections[section[6]])
                if found:
                    return found
    return []


def _symbols_of(fd: int, size: int, table: tuple[int, ...], names: tuple[int, ...]) -> list[Symbol]:
    start, length = table[4], table[5] - table[5] % _SYMBOL.size
    if start + length > size or names[4] + names[5] > size or length + names[5] > _SYMBOL_BYTES_MAX:
        return []
    text = os.pread(fd, names[5], names[4])
    data = os.pread(fd, length, start)
    found = []
    for name, info, _, index, value, bytes_ in _SYMBOL.iter_unpack(
        data[: len(data) - len(data) % _SYMBOL.size]
    ):
        # NOTYPE, OBJECT and FUNC, defined here; mapping symbols such as $x name no place.
        if info & 15 > 2 or index == 0 or not 0 < name < len(text):
            continue
        shown = text[name : text.find(0, name)].decode("ascii", "backslashreplace")
        if shown and not shown.startswith("$"):
            found.append((value, bytes_, shown))
    found.sort()
    return found
