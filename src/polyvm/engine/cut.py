"""The stencils of tier 1, cut out of what LLVM made of their text: where each lies, and what its holes stand for.

The table that comes of it is a section of the interpreter's image, which `emit.patcher` reads. A relocation that it
does not know is refused by name: a hole that is not filled in would be a wrong address.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.engine import layout, stencil
from polyvm.engine.entries import WHOLE, Entry, Lane, handlers
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.engine.flatten import Flat, Reference, Symbol
    from polyvm.isa.spec import Isa

# Code in the image, bytes of it, holes, flags, where the first hole is in the table; then of the instruction its bytes,
# and by how much its fields are shifted left to see the sign of its distance.
_RECORD = Struct("<IHBBIBBH")
# Where in the stencil, bytes, kind; shifts of the fields left and right, of the number left; the number of a hardwired
# register; what is added.
_HOLE = Struct("<HBBBBBBq")
_WIDTHS = {"R_X86_64_64": 8, "R_X86_64_32": 4, "R_X86_64_32S": 4, "R_X86_64_8": 1}
_RELATIVE = ("R_X86_64_PC32", "R_X86_64_PLT32")
_JUMP, _JUMP_SIZE = 0xE9, 5
_NO_REGISTER = 255


def table(isa: Isa, flat: Flat) -> bytes:
    """Records of all stencils in the order of their numbers, and behind them their holes. Raises PVM-COMPILE-FAILED."""
    return Cutter(isa, flat).table()


class Cutter:
    """Takes one object's section of stencils apart."""

    def __init__(self, isa: Isa, flat: Flat) -> None:
        self.isa = isa
        self.flat = flat
        self.places = isa.state_layout(layout.REGISTERS)
        self.references = sorted(flat.references)
        self.starts = [reference.place for reference in self.references]
        self.holes: list[bytes] = []

    def table(self) -> bytes:
        """See table()."""
        pieces: list[tuple[str, Entry | None]] = [(stencil.BEGINNING, None), (stencil.END, None)]
        for entry in WHOLE.own(handlers(self.isa)):
            pieces += [(name, entry) for name, _ in stencil.names(entry)]
        start = len(pieces) * _RECORD.size
        records = [self._record(name, entry, start) for name, entry in pieces]
        return b"".join([*records, *self.holes])

    def _record(self, name: str, entry: Entry | None, start: int) -> bytes:
        symbol = self.flat.defined[name]
        assert symbol.place is not None
        length = symbol.size
        found = self._references(symbol)
        # What comes last is mostly the jump to the next stencil, which will stand there by itself.
        last = found[-1] if found else None
        if (
            last is not None
            and last.symbol.name == stencil.NEXT
            and last.place == symbol.place + length - 4
            and self.flat.code[symbol.place + length - _JUMP_SIZE] == _JUMP
        ):
            length -= _JUMP_SIZE
            found.pop()
        first = start + _HOLE.size * len(self.holes)
        self.holes += [self._hole(reference, symbol.place, length, entry) for reference in found]
        flags = size = left = 0
        if entry is not None:
            size = entry.insn.size
            trace = self.isa.trace(entry.insn, entry.shape)
            if trace.ops and trace.ops[-1].op in ("jump", "trap", "syscall", "flush"):
                flags |= layout.FLAG_ENDS
            if entry.distance is not None:
                flags |= layout.FLAG_WAYS
                left = _shifts(entry.lanes[entry.distance])[0]
        if length > layout.MAX_STENCIL:
            raise _refuse("a stencil is too long", stencil=name, size=length)
        return _RECORD.pack(symbol.place, length, len(found), flags, first, size, left, 0)

    def _references(self, symbol: Symbol) -> list[Reference]:
        from bisect import bisect_left

        assert symbol.place is not None
        low = bisect_left(self.starts, symbol.place)
        return self.references[low : bisect_left(self.starts, symbol.place + symbol.size)]

    def _hole(self, reference: Reference, place: int, length: int, entry: Entry | None) -> bytes:
        from polyvm.engine.flatten import RELOCATIONS

        at, symbol, addend = reference.place - place, reference.symbol, reference.addend
        label = RELOCATIONS.get(reference.kind, str(reference.kind))
        if label in _RELATIVE and symbol.name == stencil.NEXT:
            return _HOLE.pack(at, 4, layout.BASE_NONE, 0, 0, 0, _NO_REGISTER, length - at + addend)
        if label in _RELATIVE and symbol.place is not None:
            return _HOLE.pack(at, 4, layout.BASE_IMAGE, 0, 0, 0, _NO_REGISTER, symbol.place + addend - at)
        if label not in _WIDTHS or not symbol.name.startswith("hole."):
            raise _refuse("a stencil needs what it has no hole for", symbol=symbol.name, relocation=label)
        kind, left, right, shift, zero, add = self._meaning(symbol.name, entry)
        return _HOLE.pack(at, _WIDTHS[label], kind, left, right, shift, zero, add + addend)

    def _meaning(self, name: str, entry: Entry | None) -> tuple[int, int, int, int, int, int]:
        """What a hole's name says: kind, shifts, hardwired register, and what is added."""
        what, *rest = name.split(".")[1:]
        simple = {"here": (layout.BASE_HERE, 0), "pc": (layout.BASE_PC, 0), "before": (layout.BASE_BEFORE, 0),
                  "done": (layout.BASE_BEFORE, 1), "undone": (layout.BASE_UNDONE, 0),
                  "spent": (layout.BASE_UNDONE, -1)}  # fmt: skip
        if what in simple:
            kind, add = simple[what]
            return kind, 0, 0, 0, _NO_REGISTER, add
        assert entry is not None
        lane = entry.lanes[rest[1] if what in ("register", "written") else rest[0]]
        left, right = _shifts(lane)
        sort = layout.HOLE_LANE | (layout.HOLE_SIGNED if lane.signed else 0)
        if what == "field":
            return sort | layout.BASE_NONE, left, right, 0, _NO_REGISTER, 0
        if what == "target":
            return sort | layout.BASE_HERE, left, right, layout.SLOT_SHIFT, _NO_REGISTER, 0
        file = self.isa.files[rest[0]]
        offset, size = self.places[file.name, 0]
        zero = _NO_REGISTER if file.zero is None else file.zero
        kind = layout.BASE_WRITTEN if what == "written" else layout.BASE_NONE
        return sort | kind, left, right, size.bit_length() - 1, zero, offset


def _shifts(lane: Lane) -> tuple[int, int]:
    """How the eight bytes of fields are shifted left and right to have one of them alone."""
    return 64 - 8 * (lane.offset - 8) - lane.bits, 64 - lane.bits


def _refuse(why: str, **context: object) -> PolyvmError:
    return PolyvmError("PVM-COMPILE-FAILED", f"Stencils cannot be made: {why}.").add_context(**context)
