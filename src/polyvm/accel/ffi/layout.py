"""C structures from their text: offsets, sizes and whole unpacking, with the natural alignment of 64-bit hosts.

    Structure("kvm_dtable", "u64 base; u16 limit padding[3]")

A field is an integer (u8 ... u64, s32, s64), bytes (`bytes[16] data`), another structure, or an array of one of these.
It refuses bit fields and packed structures; a union is a structure for each of its arms.
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Place: TypeAlias = tuple[int, int]

_INTEGERS = {
    "u8": (1, "B"),
    "u16": (2, "H"),
    "u32": (4, "I"),
    "u64": (8, "Q"),
    "s32": (4, "i"),
    "s64": (8, "q"),
}

structures: dict[str, Structure] = {}
"""Every structure by its name."""


class Structure:
    """A structure's layout. places: "cs.base", "db.2" -> (offset, bytes). names: of its integers, in order.

    pack and unpack go between bytes and a tuple of all its integers; bytes fields are none of them.
    """

    __slots__ = ("align", "codec", "name", "names", "places", "size")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.places: dict[str, Place] = {}
        self.names: list[str] = []
        codes: list[str] = []
        at, self.align = 0, 1
        for declaration in text.split(";"):
            kind, *fields = declaration.split()
            for field in fields:
                label, _, bound = field.partition("[")
                count = int(bound.rstrip("]")) if bound else 0
                at = self._field(kind, label, count, at, codes)
        self.size = (at + self.align - 1) & -self.align
        codes.append(f"{self.size - at}x")
        self.codec = Struct("<" + "".join(codes))
        structures[name] = self

    def _field(self, kind: str, label: str, count: int, at: int, codes: list[str]) -> int:
        """Lay a field out from `at` on; where it ends."""
        inner = structures.get(kind)
        blob = int(kind[6:-1]) if kind.startswith("bytes[") else 0
        size, code = (inner.size, "") if inner else (blob, "") if blob else _INTEGERS[kind]
        align = inner.align if inner else 1 if blob else size
        start = (at + align - 1) & -align
        codes.append(f"{start - at}x" if start > at else "")
        self.align = max(self.align, align)
        self.places[label] = start, size * (count or 1)
        for number in range(count or 1):
            each, place = (f"{label}.{number}" if count else label), start + number * size
            self.places[each] = place, size
            if inner:
                for name, (offset, length) in inner.places.items():
                    self.places[f"{each}.{name}"] = place + offset, length
                self.names += [f"{each}.{name}" for name in inner.names]
                codes.append(inner.codec.format[1:])
            elif blob:
                codes.append(f"{blob}x")
            else:
                self.names.append(each)
                codes.append(code)
        return start + size * (count or 1)

    def offset(self, field: str) -> int:
        """Where a field begins."""
        return self.places[field][0]

    def unpack(self, data: bytes | bytearray | memoryview) -> dict[str, int]:
        """All integers by name."""
        return dict(zip(self.names, self.codec.unpack_from(data), strict=True))
