"""Rounds of AES, SHA-1 and SHA-256 by their definitions: what the ops of those names mean (FIPS 197, FIPS 180-4).

AES works on Python integers. The hashes are written over words of 32 bits that have Python's operators: those of this
module for the evaluator, and those of a trace for a host that has no such instruction, so that each is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Protocol, TypeVar


# ------------------------------------------------------------------------------------------------ AES (FIPS 197)
def _times(a: int, b: int) -> int:
    """The product in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1 (4.2)."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _substitute(inverse: int) -> int:
    """Each bit with the four before it, rotated, and a constant (5.1.1)."""
    twice = inverse << 8 | inverse
    return (twice ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xFF ^ 0x63


@cache
def _boxes() -> tuple[bytes, bytes]:
    """The S-box and its inverse: of a number's inverse, and of 0 itself (5.1.1)."""
    powers = [1]
    while len(powers) < 255:  # of 3, all but 0
        powers.append(_times(powers[-1], 3))
    box = bytearray([_substitute(0)] * 256)
    for power, value in enumerate(powers):
        box[value] = _substitute(powers[-power])
    return bytes(box), bytes(map(box.index, range(256)))


# Row r of the state is bytes r, r + 4, r + 8, r + 12, and is rotated by r (5.1.2).
_SHIFTED: Final = tuple((place + 4 * (place % 4)) % 16 for place in range(16))
_UNSHIFTED: Final = tuple(map(_SHIFTED.index, range(16)))
# The polynomials that columns are multiplied by, modulo x^4 + 1 (5.1.3, 5.3.3).
_MIX: Final = {"mix": (2, 3, 1, 1), "unmix": (14, 11, 13, 9)}


def aes(state: int, kind: str) -> int:
    """Half a round on 16 bytes, the first lowest."""
    data = state.to_bytes(16, "little")
    if kind in _MIX:
        factors = _MIX[kind]
        made = bytearray(16)
        for place in range(16):
            column, row = place & ~3, place & 3
            for step, factor in enumerate(factors):
                made[place] ^= _times(data[column + (row + step & 3)], factor)
    else:
        order, box = (_SHIFTED, _boxes()[0]) if kind == "encrypt" else (_UNSHIFTED, _boxes()[1])
        made = bytearray(box[data[place]] for place in order)
    return int.from_bytes(made, "little")


# ------------------------------------------------------------------------------------------------ words
class Words(Protocol):
    """What the hashes need of a word: values of a trace have it, too."""

    def __add__(self, other: Any) -> Any: ...
    def __and__(self, other: Any) -> Any: ...
    def __xor__(self, other: Any) -> Any: ...
    def __rshift__(self, amount: int) -> Any: ...
    def rotr(self, amount: int) -> Any: ...


class Word(int):
    """A word of 32 bits."""

    def __add__(self, other: int) -> Word:
        return Word(int(self) + int(other) & 0xFFFF_FFFF)

    def __and__(self, other: int) -> Word:
        return Word(int(self) & int(other))

    def __xor__(self, other: int) -> Word:
        return Word(int(self) ^ int(other))

    def __rshift__(self, amount: int) -> Word:
        return Word(int(self) >> amount)

    def rotr(self, amount: int) -> Word:
        """Rotated right."""
        return Word((int(self) >> amount | int(self) << 32 - amount) & 0xFFFF_FFFF)


W = TypeVar("W", bound=Words)


def _apart(value: int, count: int) -> list[Word]:
    return [Word(value >> 32 * place & 0xFFFF_FFFF) for place in range(count)]


# ------------------------------------------------------------------------------------------------ hashes (FIPS 180-4)
def choose(x: W, y: W, z: W) -> W:
    """y where x has ones, else z (4.1)."""
    return z ^ (x & (y ^ z))  # type: ignore[no-any-return]  # as W is


def parity(x: W, y: W, z: W) -> W:
    """An odd number of ones (4.1.1)."""
    return x ^ y ^ z  # type: ignore[no-any-return]  # as W is


def majority(x: W, y: W, z: W) -> W:
    """What two of three have (4.1)."""
    return (x & y) ^ (z & (x ^ y))  # type: ignore[no-any-return]  # as W is


def sha1_rounds(kind: str, state: Sequence[W], e: W, sums: Sequence[W]) -> list[W]:
    """Four rounds: the new a, b, c, d (6.1.2). sums: of the schedule's words and the constant."""
    function: Callable[[W, W, W], W] = {"choose": choose, "parity": parity, "majority": majority}[kind]
    a, b, c, d = state
    for word in sums:
        a, b, c, d, e = e + a.rotr(27) + function(b, c, d) + word, a, b.rotr(2), c, d
    return [a, b, c, d]


def sha256_rounds(low: Sequence[W], high: Sequence[W], sums: Sequence[W]) -> tuple[list[W], list[W]]:
    """Four rounds: the new a, b, c, d and the new e, f, g, h (6.2.2)."""
    (a, b, c, d), (e, f, g, h) = low, high
    for word in sums:
        t = h + (e.rotr(6) ^ e.rotr(11) ^ e.rotr(25)) + choose(e, f, g) + word
        s = (a.rotr(2) ^ a.rotr(13) ^ a.rotr(22)) + majority(a, b, c)
        a, b, c, d, e, f, g, h = t + s, a, b, c, d + t, e, f, g
    return [a, b, c, d], [e, f, g, h]


def sha256_first(words: Sequence[W], later: Sequence[W]) -> list[W]:
    """Four words, and sigma0 of the one behind each (6.2.2, 1). later: the four words behind them."""
    following = [*words[1:], later[0]]
    return [w + (x.rotr(7) ^ x.rotr(18) ^ (x >> 3)) for w, x in zip(words, following, strict=True)]


def sha256_second(sums: Sequence[W], words: Sequence[W]) -> list[W]:
    """Four sums, and sigma1 of the word two before each: the new words (6.2.2, 1). words: the four before them."""
    made: list[W] = [*words[2:]]
    for place, total in enumerate(sums):
        x = made[place]
        made.append(total + (x.rotr(17) ^ x.rotr(19) ^ (x >> 10)))
    return made[2:]


def hashed(op: str, kind: str, args: Sequence[Sequence[W]]) -> list[W]:
    """The op sha1, sha256 or sha256_words, of a kind (`ops.CRYPTO_KINDS`), on its arguments as words."""
    if op == "sha1":
        state, (e,), sums = args
        return sha1_rounds(kind, state, e, sums)
    if op == "sha256":
        low, high = sha256_rounds(*args)
        return low if kind == "low" else high
    return (sha256_first if kind == "first" else sha256_second)(*args)


def numbers(op: str, kind: str, args: Sequence[int]) -> int:
    """The same on numbers."""
    counts = (4, 1, 4) if op == "sha1" else (4, 4, 4)
    made = hashed(op, kind, [_apart(arg, count) for arg, count in zip(args, counts, strict=False)])
    return sum(int(word) << 32 * place for place, word in enumerate(made))
