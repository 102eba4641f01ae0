"""AES and the hashes of `ir.crypto` beside the standards' known answers and the host's own library."""

from __future__ import annotations

import hashlib
import random
from math import isqrt

import pytest

from polyvm.ir import crypto

ONES = 0xFFFF_FFFF


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def schedule(key: bytes) -> list[int]:
    """AES-128's round keys (FIPS 197, 5.2). Of a state whose bytes are all alike, half a round is the S-box."""
    words, constant = [key[i : i + 4] for i in range(0, 16, 4)], 1
    while len(words) < 44:
        word = words[-1]
        if len(words) % 4 == 0:
            turned = word[1:] + word[:1]
            word = bytes(crypto.aes(number(bytes([byte]) * 16), "encrypt") & 255 for byte in turned)
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word, strict=True)))
    return [number(b"".join(words[i : i + 4])) for i in range(0, 44, 4)]


def test_aes_of_the_standard_s_example() -> None:
    """FIPS 197, appendix B, there and back."""
    keys = schedule(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    plain = number(bytes.fromhex("3243f6a8885a308d313198a2e0370734"))
    state = plain
    for key in keys[:9]:
        state = crypto.aes(crypto.aes(state ^ key, "encrypt"), "mix")
    state = crypto.aes(state ^ keys[9], "encrypt") ^ keys[10]
    assert state == number(bytes.fromhex("3925841d02dc09fbdc118597196a0b32"))
    state = crypto.aes(state ^ keys[10], "decrypt") ^ keys[9]
    for key in keys[8::-1]:
        state = crypto.aes(crypto.aes(state, "unmix"), "decrypt") ^ key
    assert state == plain


@pytest.mark.parametrize(("there", "back"), [("encrypt", "decrypt"), ("mix", "unmix")])
def test_halves_of_rounds_are_inverse(there: str, back: str, rng: random.Random) -> None:
    for _ in range(20):
        state = rng.getrandbits(128)
        assert (
            crypto.aes(crypto.aes(state, there), back) == state == crypto.aes(crypto.aes(state, back), there)
        )


def padded(message: bytes) -> list[list[int]]:
    """Blocks of sixteen words (FIPS 180-4, 5.1.1, 5.2.1)."""
    data = message + b"\x80" + bytes((55 - len(message)) % 64) + (8 * len(message)).to_bytes(8, "big")
    words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
    return [words[i : i + 16] for i in range(0, len(words), 16)]


def joined(words: list[int]) -> int:
    return sum(word << 32 * place for place, word in enumerate(words))


def parts(value: int) -> list[int]:
    return [value >> 32 * place & ONES for place in range(4)]


def sums(words: list[int], constants: list[int]) -> int:
    return joined([word + constant & ONES for word, constant in zip(words, constants, strict=True)])


def sha256(message: bytes) -> str:
    primes = [n for n in range(2, 312) if all(n % p for p in range(2, isqrt(n) + 1))]
    constants = [_cube_root(p << 96) & ONES for p in primes]
    state = [isqrt(p << 64) & ONES for p in primes[:8]]
    for block in padded(message):
        words = list(block)
        while len(words) < 64:
            first = crypto.numbers("sha256_words", "first", [joined(words[-16:-12]), joined(words[-12:-8])])
            total = sums(parts(first), words[-7:-3])
            words += parts(crypto.numbers("sha256_words", "second", [total, joined(words[-4:])]))
        low, high = joined(state[:4]), joined(state[4:])
        for i in range(0, 64, 4):
            args = [low, high, sums(words[i : i + 4], constants[i : i + 4])]
            low, high = (crypto.numbers("sha256", kind, args) for kind in ("low", "high"))
        state = [a + b & ONES for a, b in zip(state, parts(low) + parts(high), strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state).hex()


def _cube_root(n: int) -> int:
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= n else (low, middle - 1)
    return low


def sha1(message: bytes) -> str:
    functions = (
        ("choose", 0x5A827999),
        ("parity", 0x6ED9EBA1),
        ("majority", 0x8F1BBCDC),
        ("parity", 0xCA62C1D6),
    )
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    for block in padded(message):
        words = list(block)
        while len(words) < 80:
            word = words[-3] ^ words[-8] ^ words[-14] ^ words[-16]
            words.append((word << 1 | word >> 31) & ONES)
        rest, e = joined(state[:4]), state[4]
        for i in range(0, 80, 4):
            kind, constant = functions[i // 20]
            after = (rest << 30 | (rest & ONES) >> 2) & ONES
            rest = crypto.numbers("sha1", kind, [rest, e, sums(words[i : i + 4], [constant] * 4)])
            e = after
        state = [a + b & ONES for a, b in zip(state, [*parts(rest), e], strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state).hex()


@pytest.mark.parametrize("length", [0, 3, 55, 56, 64, 300])
def test_hashes_are_the_library_s(length: int, rng: random.Random) -> None:
    message = rng.randbytes(length)
    assert sha1(message) == hashlib.sha1(message).hexdigest()
    assert sha256(message) == hashlib.sha256(message).hexdigest()
