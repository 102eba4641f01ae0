"""ELF files made by hand for the tests of the parser and the loader: every field can be set, rightly or wrongly."""

from __future__ import annotations

import os
import struct
from pathlib import Path

HEADER = struct.Struct("<4sBBBB8xHHIQQQIHHHHHH")
PROGRAM = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR, PT_GNU_STACK = 1, 2, 3, 4, 6, 0x6474E551
ET_EXEC, ET_DYN = 2, 3
R, W, X = 4, 2, 1
RISCV = 243

Phdr = tuple[int, int, int, int, int, int, int, int]


class SmallAbi:
    """As much of a guest's ABI as loading needs."""

    NAME = "riscv64"
    MACHINE = RISCV
    PLATFORM = "riscv64"
    STACK_ALIGN = 16
    FRAME_BYTES = 1088

    def hwcap(self, options: object = ()) -> int:
        return 0x112D

    def vdso(self) -> tuple[bytes, dict[str, int]]:
        return b"\x73\x00\x00\x00" * 4, {"__vdso_rt_sigreturn": 8}


def phdr(
    kind: int = PT_LOAD,
    flags: int = R | X,
    offset: int = 0,
    address: int = 0x10000,
    filesz: int = 0x1000,
    memsz: int | None = None,
    align: int = 0x1000,
) -> Phdr:
    return kind, flags, offset, address, address, filesz, filesz if memsz is None else memsz, align


def elf(
    phdrs: list[Phdr], *, size: int = 0x3000, data: dict[int, bytes] | None = None, **fields: int
) -> bytes:
    """An ELF file of `size` bytes; data: offset -> bytes. Fields by their names in the header, without e_."""
    get = fields.get
    header = HEADER.pack(
        b"\x7fELF",
        get("ei_class", 2),
        get("ei_data", 1),
        get("ei_version", 1),
        0,
        get("type", ET_EXEC),
        get("machine", RISCV),
        1,
        get("entry", 0x10100),
        get("phoff", 64),
        get("shoff", 0),
        5,
        64,
        get("phentsize", 56),
        get("phnum", len(phdrs)),
        get("shentsize", 64),
        get("shnum", 0),
        0,
    )
    file = bytearray(size)
    file[:64] = header
    at = get("phoff", 64)
    for entry in phdrs:
        if at + 56 <= size:
            file[at : at + 56] = PROGRAM.pack(*entry)
        at += 56
    for offset, content in (data or {}).items():
        file[offset : offset + len(content)] = content
    return bytes(file)


def static(**fields: int) -> bytes:
    """Text with headers at 0x10000, data with bss at 0x12800."""
    return elf(
        [
            phdr(filesz=0x1800),
            phdr(flags=R | W, offset=0x1800, address=0x12800, filesz=0x900, memsz=0x3000),
            phdr(PT_GNU_STACK, R | W, filesz=0, address=0, align=16),
        ],
        data={0x100: b"\x13\x00\x00\x00" * 4, 0x1800: b"D" * 0x900, 0x2100: b"behind the data"},
        **fields,
    )


def pie(interp: bytes | None = None) -> bytes:
    """Position independent, from address 0 on; with a dynamic linker if it names one."""
    name = interp + b"\0" if interp is not None else b""
    phdrs = [
        phdr(PT_PHDR, R, 64, 64, 5 * 56, align=8),
        phdr(address=0, filesz=0x1200),
        phdr(flags=R | W, offset=0x1E00, address=0x2E00, filesz=0x400, memsz=0x500),
        phdr(PT_DYNAMIC, R | W, 0x1E00, 0x2E00, 0x40, align=8),
        phdr(PT_NOTE, R, 0x800, 0x800, 0x20, align=4),
        phdr(PT_GNU_STACK, R | W, 0, 0, 0, align=16),
    ]
    if interp is not None:
        phdrs.insert(1, phdr(PT_INTERP, R, 0x600, 0x600, len(name), align=1))
    dynamic = struct.pack("<8Q", 7, 0x900, 8, 24, 9, 24, 0, 0)  # DT_RELA, DT_RELASZ, DT_RELAENT, DT_NULL
    note = struct.pack("<III4sIIII", 4, 16, 1, b"GNU\0", 0, 5, 4, 0)
    rela = struct.pack("<QQq", 0x2E40, 3, 0x100)  # R_RISCV_RELATIVE
    return elf(
        phdrs,
        data={0x600: name, 0x800: note, 0x900: rela, 0x1E00: dynamic},
        type=ET_DYN,
        entry=0x100,
    )


def with_symbols(symbols: list[tuple[str, int, int, int, int]]) -> bytes:
    """static() with a symbol table of (name, info, section, value, size)."""
    names, table = b"\0", SYMBOL.pack(0, 0, 0, 0, 0, 0)
    for name, info, section, value, size in symbols:
        table += SYMBOL.pack(len(names), info, 0, section, value, size)
        names += name.encode() + b"\0"
    base = static()
    at = len(base)
    sections = at + len(table) + len(names)
    headers = [
        SECTION.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        SECTION.pack(0, 2, 0, 0, at, len(table), 2, 0, 8, 24),
        SECTION.pack(0, 3, 0, 0, at + len(table), len(names), 0, 0, 1, 0),
    ]
    file = bytearray(base + table + names + b"".join(headers))
    struct.pack_into("<Q", file, 0x28, sections)
    struct.pack_into("<HHH", file, 0x3A, 64, 3, 0)
    return bytes(file)


def write(folder: Path, data: bytes, name: str = "program", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_bytes(data)
    path.chmod(mode)
    return path


def descriptor(data: bytes) -> int:
    """A file without a name."""
    fd = os.memfd_create("program")
    os.write(fd, data)
    return fd
