"""A vDSO: a small ELF shared object, built here, whose functions are plain system calls.

What is in it is the guest's: a table of names and code. It refuses to be fast: what deserves a shortcut gets it where
the system call is carried out.
"""

from __future__ import annotations

from _struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SONAME = "linux-vdso.so.1"
APART = 16
"""Functions begin at multiples of this."""


def elf_hash(name: str) -> int:
    """The hash of the System V gABI, for DT_HASH and versions."""
    h = 0
    for byte in name.encode():
        h = (h << 4) + byte
        high = h & 0xF0000000
        h = (h ^ high >> 24) & ~high & 0xFFFFFFFF
    return h


def build(
    machine: int, version: str, functions: Sequence[tuple[str, bytes]], nop: bytes
) -> tuple[bytes, dict[str, int]]:
    """(image, offset of each function).

    machine: e_machine. version: of every symbol. functions: name and code, in order. nop: what fills the gaps.
    """
    strings = bytearray(b"\0")

    def string(text: str) -> int:
        at = len(strings)
        strings.extend(text.encode() + b"\0")
        return at

    names = [(name, string(name)) for name, _ in functions]
    version_at, soname = string(version), string(SONAME)
    count = len(names) + 1

    header = 64 + 2 * 56
    hash_at = header
    hash_table = pack("<II", 1, count) + pack(
        f"<{1 + count}I", 1, 0, *range(2, count), 0
    )  # one bucket, one chain
    dynsym_at = _align(hash_at + len(hash_table), 8)
    strings_at = dynsym_at + 24 * count
    versym_at = _align(strings_at + len(strings), 2)
    verdef_at = _align(versym_at + 2 * count, 8)
    verdef = _verdef(1, SONAME, soname, 28, flags=1) + _verdef(2, version, version_at, 0, flags=0)
    dynamic_at = _align(verdef_at + len(verdef), 8)
    dynamic_tags = (
        (14, soname),  # DT_SONAME
        (4, hash_at),  # DT_HASH
        (5, strings_at),  # DT_STRTAB
        (6, dynsym_at),  # DT_SYMTAB
        (10, len(strings)),  # DT_STRSZ
        (11, 24),  # DT_SYMENT
        (0x6FFFFFFC, verdef_at),  # DT_VERDEF
        (0x6FFFFFFD, 2),  # DT_VERDEFNUM
        (0x6FFFFFF0, versym_at),  # DT_VERSYM
        (0, 0),
    )
    dynamic = b"".join(pack("<QQ", tag, value) for tag, value in dynamic_tags)
    code_at = _align(dynamic_at + len(dynamic), 16)

    text = bytearray()
    symbols = bytearray(24)
    offsets = {}
    for (name, name_at), (_, body) in zip(names, functions, strict=True):
        at = code_at + len(text)
        offsets[name] = at
        symbols += pack("<IBBHQQ", name_at, 0x12, 0, 1, at, len(body))  # STB_GLOBAL STT_FUNC
        text += body
        text += nop * ((_align(len(text), APART) - len(text)) // len(nop))
    size = code_at + len(text)

    image = bytearray(size)
    image[0:64] = (
        b"\x7fELF\2\1\1\0"
        + bytes(8)
        + pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    )
    image[64:120] = pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)  # PT_LOAD r-x
    image[120:176] = pack(
        "<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, dynamic_at, len(dynamic), len(dynamic), 8
    )
    for at, part in (
        (hash_at, hash_table),
        (dynsym_at, symbols),
        (strings_at, strings),
        (versym_at, pack(f"<{count}H", 0, *[2] * (count - 1))),
        (verdef_at, verdef),
        (dynamic_at, dynamic),
        (code_at, text),
    ):
        image[at : at + len(part)] = part
    return bytes(image), offsets


def _verdef(index: int, name: str, name_at: int, following: int, flags: int) -> bytes:
    """An Elf64_Verdef and its one Elf64_Verdaux."""
    return pack("<HHHHIII", 1, flags, index, 1, elf_hash(name), 20, following) + pack("<II", name_at, 0)


def _align(value: int, to: int) -> int:
    return (value + to - 1) & -to
