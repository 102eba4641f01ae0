"""The entries of tier 0 and tier 1: which instructions in which shapes have a handler and a stencil, under what name,
and where their fields lie in a code slot. The interpreter, the stencils, and the table of stencils agree by this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from polyvm.engine import layout
from polyvm.ir.trace import walk
from polyvm.ir.values import SpecError, Val
from polyvm.isa.spec import Field, Insn, Isa, Shape

PIECES = 2  # stencils that are of no instruction: how a block begins and ends
HEADER = 8
"""Bytes of a code slot before the decoded fields."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a decoded field lies in a code slot: byte offset, bits of the lane, and how it was extended."""

    offset: int
    bits: int
    signed: bool


def pack(insn: Insn) -> dict[str, Lane]:
    """Lay an instruction's data fields out in the eight bytes of a code slot."""
    lanes: dict[str, Lane] = {}
    byte = HEADER
    wide = []
    for name, bits in insn.data_fields.items():
        if bits <= 8:
            lanes[name] = Lane(byte, 8, _signed(insn.isa.fields[name]))
            byte += 1
        else:
            wide.append((name, bits))
    for name, bits in sorted(wide, key=lambda item: item[1]):
        size = 2 if bits <= 16 else 4
        byte = (byte + size - 1) // size * size
        lanes[name] = Lane(byte, 8 * size, _signed(insn.isa.fields[name]))
        byte += size
    if byte > layout.SLOT_SIZE:
        raise SpecError(
            f"{insn.text}: the data fields need {byte - HEADER} bytes of a code slot, there are 8"
        )
    return lanes


def _signed(field: Field) -> bool:
    return field.kind not in ("register", "unsigned")


def distance_field(target: Val) -> str | None:
    """The data field that a jump's distance is, extended or not; None for other jumps."""
    value = pc_relative(target)
    while value is not None and value.op in ("sext", "zext", "trunc"):
        value = value.args[0]
    return str(value.attr) if value is not None and value.op == "field" else None


def pc_relative(target: Val) -> Val | None:
    """The distance, when a jump target is the program counter plus something."""
    if target.op == "add" and target.args[0].op == "pc":
        return target.args[1]
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """A handler's name in the image and what it does.

    number: of its stencil. distance: the data field that it jumps by, if it does. again: an entry before it has the
    same handler and stencil.
    """

    symbol: str
    insn: Insn
    shape: Shape
    number: int
    distance: str | None
    again: bool

    @property
    def ways(self) -> int:
        """How many stencils it has, which follow each other: the second of two is for jumps forward."""
        return 1 if self.distance is None else 2

    @property
    def lanes(self) -> dict[str, Lane]:
        """Where its fields are in a code slot."""
        return pack(self.insn)


@cache
def handlers(isa: Isa) -> tuple[Entry, ...]:
    """Every handler of a guest, in a fixed order. What does the same with the same fields has one handler.

    Of aarch64's 3,856 instructions and shapes 517 are such: LD1 loads the same bytes of lanes of any width.
    """
    found: list[Entry] = []
    made: dict[object, tuple[str, int]] = {}
    number = PIECES
    for place, insn in enumerate(isa.insns):
        for index, shape in enumerate(insn.shapes()):
            ops = isa.trace(insn, shape).ops
            jumps = [op for op in walk(ops) if op.op == "jump"]
            distances = [field for op in jumps if (field := distance_field(op.args[0])) is not None]
            same = insn.size, tuple(pack(insn).items()), _structure(ops, {})
            again = same in made
            symbol, own = made.setdefault(same, (f"h{place}_{index}", number))
            found.append(Entry(symbol, insn, shape, own, distances[0] if distances else None, again))
            number += 0 if again else found[-1].ways
    return tuple(found)


def _structure(ops: Iterable[Val], numbers: dict[int, int]) -> tuple[object, ...]:
    """What ops do, for comparing: ops that they use are told by their numbers."""
    found = []
    for op in ops:
        numbers[id(op)] = len(numbers)
        attr = _structure(op.attr, numbers) if op.op == "if" else op.attr  # type: ignore[arg-type]  # an if's body
        found.append((op.op, op.bits, tuple(_argument(arg, numbers) for arg in op.args), attr))
    return tuple(found)


def _argument(arg: Val, numbers: dict[int, int]) -> object:
    number = numbers.get(id(arg))
    return (
        number
        if number is not None
        else (arg.op, arg.bits, arg.attr, *(_argument(a, numbers) for a in arg.args))
    )


class Part(NamedTuple):
    """One of the parts that a guest's interpreter is compiled in, at the same time: every so many-th handler.

    The first has also what all share, which the others only declare.
    """

    number: int = 0
    of: int = 1

    @property
    def first(self) -> bool:
        """Whether what is shared is in it."""
        return self.number == 0

    def own(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries whose handlers and stencils are made in it."""
        return [entry for entry in entries if not entry.again][self.number :: self.of]


WHOLE = Part()
