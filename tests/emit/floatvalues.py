"""Floating-point ops in every width and mode, and patterns that favour the corners, for the tests of native code."""

from __future__ import annotations

import random
from collections.abc import Iterator

from polyvm.ir import softfloat
from polyvm.ir.ops import ROUND_DYNAMIC
from tests.emit.floatprobe import Op

WIDTHS = (16, 32, 64)
HOST_MODES = (softfloat.RNE, softfloat.RTZ, softfloat.RDN, softfloat.RUP)
ROUNDINGS = (*HOST_MODES, softfloat.RMM, ROUND_DYNAMIC)
ARITHMETIC = {"fadd": 2, "fsub": 2, "fmul": 2, "fdiv": 2, "fsqrt": 1, "fma": 3}
UNROUNDED = ("fmin", "fmax", "fminimum", "fmaximum", "feq", "flt", "fle")
INTEGERS = ((32, True), (32, False), (64, True), (64, False))


def rounding_ops(rounding: int) -> Iterator[Op]:
    """Every op that rounds, in one mode."""
    for w in WIDTHS:
        for name, count in ARITHMETIC.items():
            yield Op(name, (w,) * count, w, rounding)
        for to in WIDTHS:
            if to != w:
                yield Op("fcvt", (w,), to, rounding)
                yield Op("fresize", (w,), to, rounding)
        for exact in (False, True):
            yield Op("frint", (w,), w, (exact, rounding))
        for bits, signed in INTEGERS:
            yield Op("ftoi", (w,), bits, (signed, rounding))
            yield Op("itof", (bits,), w, (signed, rounding))
    yield Op("fma", (16, 16, 32), 32, rounding)
    for signed in (True, False):
        yield Op("ftoi", (16,), 16, (signed, rounding))
        yield Op("itof", (16,), 16, (signed, rounding))


def unrounded_ops() -> Iterator[Op]:
    for w in WIDTHS:
        for name in UNROUNDED:
            yield Op(name, (w, w), w if name.startswith(("fmin", "fmax")) else 1)
        for signaling in (False, True):
            yield Op("fcmp", (w, w), 4, signaling)


ALL = [*unrounded_ops(), *(op for rounding in ROUNDINGS for op in rounding_ops(rounding))]


def rounds(op: Op) -> bool:
    return op.attr is not None and op.name != "fcmp"


def with_rounding(op: Op, rounding: int) -> Op:
    if not rounds(op):
        return op
    return op._replace(attr=(op.attr[0], rounding) if isinstance(op.attr, tuple) else rounding)


def rounding_of(op: Op) -> object:
    if not rounds(op):
        return None
    return op.attr[1] if isinstance(op.attr, tuple) else op.attr


# -- Operands
def specials(w: int) -> list[int]:
    """Corners of a format, both signs."""
    fmt = softfloat.FORMATS[w]
    one = fmt.infinity >> 1 & ~((1 << fmt.fraction_bits) - 1)
    least = 1 << fmt.fraction_bits  # the smallest normal
    magnitudes = (
        0, 1, least - 1, least, one - 1, one, one + 1, one + (least >> 1), one + least, fmt.infinity - 1, fmt.infinity,
        fmt.infinity | 1, fmt.infinity | fmt.quiet_bit, fmt.infinity | fmt.quiet_bit | 5,
    )  # fmt: skip
    return [m | sign for m in magnitudes for sign in (0, fmt.sign_bit)]


def scattered(rng: random.Random, w: int) -> int:
    """A random pattern: any exponent, few or many fraction bits; sometimes near another's size."""
    fmt = softfloat.FORMATS[w]
    top = fmt.infinity >> fmt.fraction_bits
    exponent = rng.choice((rng.randint(0, top), rng.randint(top // 2 - 12, top // 2 + 12)))
    fraction = rng.getrandbits(fmt.fraction_bits)
    kept = rng.choice((fmt.fraction_bits, rng.randint(0, fmt.fraction_bits)))
    fraction = fraction >> (fmt.fraction_bits - kept) << (fmt.fraction_bits - kept)
    return rng.getrandbits(1) << (w - 1) | exponent << fmt.fraction_bits | fraction
