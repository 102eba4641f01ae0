"""Writing ELF executables of the host: a header, a program header for each segment, and the segments' bytes.

What the kernel needs to start a program, and nothing else: no sections, no symbols, no dynamic linker. Every segment
lies at an address of its own choice (ET_EXEC). Refuses segments that overlap or are not at the beginning of a page.

Source: System V ABI, chapters 4 and 5 (ELF header, program header), and its AMD64 supplement.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 4096
READ, WRITE, EXEC = 1, 2, 4
"""Protections, as in PROT_*."""
EM_X86_64 = 62

_ET_EXEC, _PT_LOAD, _PT_GNU_STACK = 2, 1, 0x6474E551
_PF = {READ: 4, WRITE: 2, EXEC: 1}
_HEADER = Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = Struct("<IIQQQQQQ")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, little endian, version 1, System V


class Segment:
    """Bytes at an address: `data`, then zeros up to `size`."""

    __slots__ = ("address", "data", "prot", "size")

    def __init__(self, address: int, prot: int, data: bytes, size: int = 0) -> None:
        self.address = address
        self.prot = prot
        self.data = data
        self.size = max(size, len(data))

    @property
    def end(self) -> int:
        """Past its last page."""
        return self.address + self.size + PAGE - 1 & -PAGE


def write(segments: Iterable[Segment], entry: int, machine: int = EM_X86_64) -> bytes:
    """The file of an executable that begins at an address. Raises PVM-INTERNAL for segments that cannot be loaded.

    The headers are in no segment: a program that needs them finds them in its file.
    """
    ordered = sorted((segment for segment in segments if segment.size), key=lambda one: one.address)
    end = 0
    for segment in ordered:
        if segment.address % PAGE or segment.address < end:
            raise PolyvmError(
                "PVM-INTERNAL",
                "A segment is not at the beginning of a page, or lies where another is.",
                address=segment.address,
            )
        end = segment.end
    headers, parts = [], []
    count = len(ordered) + 1
    at = _HEADER.size + count * _PROGRAM_HEADER.size
    for segment in ordered:
        padding = -at % PAGE
        parts += [bytes(padding), segment.data]
        at += padding
        flags = sum(bit for prot, bit in _PF.items() if segment.prot & prot)
        place = segment.address, segment.address, len(segment.data), segment.size
        headers.append(_PROGRAM_HEADER.pack(_PT_LOAD, flags, at, *place, PAGE))
        at += len(segment.data)
    headers.append(_PROGRAM_HEADER.pack(_PT_GNU_STACK, _PF[READ] | _PF[WRITE], 0, 0, 0, 0, 0, 16))
    head = _HEADER.pack(
        _IDENT,
        _ET_EXEC,
        machine,
        1,
        entry,
        _HEADER.size,
        0,
        0,
        _HEADER.size,
        _PROGRAM_HEADER.size,
        count,
        0,
        0,
        0,
    )
    return b"".join([head, *headers, *parts])
