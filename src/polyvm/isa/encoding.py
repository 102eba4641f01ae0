"""Encodings as the manuals print them: "imm[11:0] rs1 000 rd 0010011" to mask, match, fields and a decision tree.

Knows bits only. What a field means (a register, a signed number) is the guest's table of fields, in `isa.spec`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_TOKEN = re.compile(
    r"(?P<bits>[01]+)|(?P<name>[A-Za-z_]\w*'?)(?:\[(?P<ranges>[0-9:|]+)\])?(?:!=(?P<not>\d+|\{[\d,]+\}))?"
)


class EncodingError(ValueError):
    """An encoding line does not follow the notation, or two encodings overlap."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bits of a field: from bit `insn_low` of the instruction to bit `field_low` of the field."""

    insn_low: int
    length: int
    field_low: int


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoding line, taken apart.

    size: bytes. A word matches when word & mask == match and no field holds a value that `excluded` lists for it.
    """

    text: str
    size: int
    mask: int
    match: int
    fields: dict[str, tuple[Piece, ...]]
    excluded: dict[str, frozenset[int]]

    def width(self, name: str) -> int:
        """Bits of a field's raw value, implied low zeros included."""
        return max(piece.field_low + piece.length for piece in self.fields[name])

    def low_zeros(self, name: str) -> int:
        """Low bits of a field that no piece holds and that are therefore zero."""
        return min(piece.field_low for piece in self.fields[name])

    def extract(self, word: int, name: str) -> int:
        """The raw value of a field in an instruction word."""
        value = 0
        for piece in self.fields[name]:
            value |= (word >> piece.insn_low & (1 << piece.length) - 1) << piece.field_low
        return value

    def insert(self, name: str, value: int) -> int:
        """The instruction bits that hold a raw field value. Raises EncodingError when it does not fit."""
        word = covered = 0
        for piece in self.fields[name]:
            mask = (1 << piece.length) - 1
            word |= (value >> piece.field_low & mask) << piece.insn_low
            covered |= mask << piece.field_low
        if value & ~covered:
            raise EncodingError(f"{name} = {value:#x} does not fit {self.text!r}")
        return word

    def matches(self, word: int) -> bool:
        """Whether a word is this encoding."""
        if word & self.mask != self.match:
            return False
        return all(self.extract(word, name) not in values for name, values in self.excluded.items())


def parse(text: str, widths: dict[str, int]) -> Encoding:
    """Take an encoding line apart; `widths` gives the bits of fields written without a range."""
    tokens: list[re.Match[str]] = []
    for word in text.split():
        token = _TOKEN.fullmatch(word)
        if token is None:
            raise EncodingError(f"{word!r} in {text!r} is neither bits nor a field")
        tokens.append(token)
    position = total = sum(_length(token, widths, text) for token in tokens)
    if total % 8:
        raise EncodingError(f"{text!r} has {total} bits")
    mask = match = 0
    fields: dict[str, list[Piece]] = {}
    excluded: dict[str, frozenset[int]] = {}
    for token in tokens:
        if bits := token["bits"]:
            position -= len(bits)
            mask |= ((1 << len(bits)) - 1) << position
            match |= int(bits, 2) << position
            continue
        for high, low in _ranges(token, widths, text):
            position -= high - low + 1
            pieces = fields.setdefault(token["name"], [])
            if any(low < piece.field_low + piece.length and piece.field_low <= high for piece in pieces):
                raise EncodingError(f"bits {high}:{low} of {token['name']!r} in {text!r} stand there twice")
            pieces.append(Piece(position, high - low + 1, low))
        if token["not"]:
            excluded[token["name"]] = frozenset(int(value) for value in token["not"].strip("{}").split(","))
    return Encoding(text, total // 8, mask, match, {n: tuple(p) for n, p in fields.items()}, excluded)


def _ranges(token: re.Match[str], widths: dict[str, int], text: str) -> list[tuple[int, int]]:
    if token["ranges"] is None:
        if token["name"] not in widths:
            raise EncodingError(f"field {token['name']!r} in {text!r} has no range and no width of its own")
        return [(widths[token["name"]] - 1, 0)]
    pairs = []
    for part in token["ranges"].split("|"):
        high, _, low = part.partition(":")
        pairs.append((int(high), int(low or high)))
        if pairs[-1][0] < pairs[-1][1]:
            raise EncodingError(f"bits {part} in {text!r} are written low to high")
    return pairs


def _length(token: re.Match[str], widths: dict[str, int], text: str) -> int:
    if token["bits"]:
        return len(token["bits"])
    return sum(high - low + 1 for high, low in _ranges(token, widths, text))


class Encoded(Protocol):
    """Anything that has an encoding."""

    @property
    def encoding(self) -> Encoding:
        """Its encoding."""
        ...


E = TypeVar("E", bound=Encoded)


@dataclass(frozen=True, slots=True)
class Leaf(Generic[E]):
    """The candidates that are left, to be tried in order with Encoding.matches."""

    candidates: tuple[E, ...]


@dataclass(frozen=True, slots=True)
class Switch(Generic[E]):
    """A choice by bits: (word >> shift) & ((1 << width) - 1) picks a child; what is not listed is no instruction."""

    shift: int
    width: int
    children: dict[int, Switch[E] | Leaf[E]]


def decision_tree(items: Sequence[E]) -> Switch[E] | Leaf[E]:
    """A tree that finds the item whose encoding matches a word.

    Raises EncodingError when two encodings match a common word and neither is a special case of the other.
    """
    for i, a in enumerate(items):
        for b in items[i + 1 :]:
            _check_overlap(a.encoding, b.encoding)
    return _grow(tuple(items), 0)


def decode(tree: Switch[E] | Leaf[E], word: int) -> Iterator[E]:
    """The items that match a word, most special first."""
    while isinstance(tree, Switch):
        child = tree.children.get(word >> tree.shift & (1 << tree.width) - 1)
        if child is None:
            return
        tree = child
    for item in tree.candidates:
        if item.encoding.matches(word):
            yield item


def _grow(items: tuple[E, ...], decided: int) -> Switch[E] | Leaf[E]:
    if len(items) > 1:
        common = ~decided
        for item in items:
            common &= item.encoding.mask
        runs = _runs(common)
        best: tuple[int, int, int] | None = None
        for shift, width in runs:
            kinds = len({item.encoding.match >> shift & (1 << width) - 1 for item in items})
            if kinds > 1 and (best is None or kinds > best[0]):
                best = (kinds, shift, width)
        if best is not None:
            _, shift, width = best
            mask = (1 << width) - 1
            groups: dict[int, list[E]] = {}
            for item in items:
                groups.setdefault(item.encoding.match >> shift & mask, []).append(item)
            decided |= mask << shift
            return Switch(shift, width, {v: _grow(tuple(g), decided) for v, g in sorted(groups.items())})
    return Leaf(tuple(sorted(items, key=lambda item: -item.encoding.mask.bit_count())))


def _runs(mask: int) -> list[tuple[int, int]]:
    runs, position = [], 0
    while mask > 0:
        if mask & 1:
            width = (mask ^ (mask + 1)).bit_length() - 1
            # Wide switches make sparse tables; eight bits at a time are plenty.
            runs.append((position, min(width, 8)))
            position += min(width, 8)
            mask >>= min(width, 8)
        else:
            position += 1
            mask >>= 1
    return runs


def _check_overlap(a: Encoding, b: Encoding) -> None:
    if (a.match ^ b.match) & a.mask & b.mask:
        return
    if a.mask & b.mask in (a.mask, b.mask) and a.mask != b.mask:
        return
    for one, other in ((a, b), (b, a)):
        for name, values in one.excluded.items():
            fixed = one.insert(name, (1 << one.width(name)) - 1 & _covered(one, name))
            if fixed & ~other.mask == 0 and one.extract(other.match, name) in values:
                return
    raise EncodingError(f"encodings overlap: {a.text!r} and {b.text!r}")


def _covered(encoding: Encoding, name: str) -> int:
    return sum(((1 << piece.length) - 1) << piece.field_low for piece in encoding.fields[name])
