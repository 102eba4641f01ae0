"""Floating point on lanes: the operations of the manual's shared pseudocode that are no op of the IR, built from ops.

The same operations serve vectors, elements and scalars. What IEEE 754 leaves open is the IR's style "arm". Nothing here
is an instruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.ir.ops import FLUSH, FLUSH_HALVES, IDC
from polyvm.isa.aarch64.fp_formats import D, Format, H, S
from polyvm.isa.aarch64.simd import halves
from polyvm.isa.aarch64.simd_misc import reciprocal, reciprocal_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Binary, Unary

NEAREST, ZERO, DOWN, UP, AWAY, DYNAMIC = 0, 1, 2, 3, 4, 7
"""Rounding modes, as the IR numbers them."""
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
"""Exceptions, likewise."""
FORMATS: Final = {fmt.bits: fmt for fmt in (S, D, H)}


# -- Parts of numbers
def infinity(fmt: Format) -> int:
    """The pattern of plus infinity; what is more, without its sign, is a NaN."""
    return fmt.sign - (1 << fmt.fraction)


def power(fmt: Format, exponent: int) -> int:
    """The pattern of 2^exponent."""
    return fmt.bias + exponent << fmt.fraction


def magnitude(a: Lanes) -> Lanes:
    """Without the sign, of NaNs too (FPAbs)."""
    return a & (1 << a.bits - 1) - 1


def negated(a: Lanes) -> Lanes:
    """Another sign, of NaNs too (FPNeg)."""
    return a ^ (1 << a.bits - 1)


def flushes(m: Tracer, fmt: Format) -> Val:
    """FPCR.FZ, or FZ16 of halves, one bit: denormal numbers are zeros."""
    return m.fp_mode[(FLUSH_HALVES if fmt is H else FLUSH).bit_length() - 1]


def rises(m: Tracer, exceptions: int, where: Lanes) -> None:
    """Accrue exceptions if a lane, as lanes of one bit, has met them."""
    with m.when(where.any()):
        m.fp_flags = m.fp_flags | exceptions


# -- Sums and products
def add(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The sum."""
    return m.fadd(a, b)


def distance(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """How far two numbers are apart; NaNs lose their sign, too."""
    return magnitude(m.fsub(a, b))


def accumulated(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
    """The destination and a product, rounded once."""
    return m.fma(a, b, d)


def deducted(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
    """The destination less a product, rounded once."""
    return m.fma(negated(a), b, d)


def _indeterminate(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """Where a product is one of infinity and zero, and so invalid for others; a flushed operand of it, unless it is a
    half, sets IDC."""
    fmt = FORMATS[a.bits]
    everywhere = Lanes.splat(flushes(m, fmt), a.count)
    found = []
    for x, y in ((magnitude(a), magnitude(b)), (magnitude(b), magnitude(a))):
        flushed = everywhere & y.ult(1 << fmt.fraction) & (y != 0)
        product = (x == infinity(fmt)) & ((y == 0) | flushed)
        if fmt is not H:
            with m.when((product & flushed).any()):
                m.set(IDC, m.const(1, 1))
        found.append(product)
    return found[0] | found[1]


def multiply_extended(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The product; that of infinity and zero is two, with a sign (FPMulX)."""
    fmt, special = FORMATS[a.bits], _indeterminate(m, a, b)
    two, one = (a & fmt.sign | power(fmt, 1)), (b & fmt.sign | power(fmt, 0))
    return m.fmul(special.select(two, a), special.select(one, b))


def reciprocal_step(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """2 - a * b, rounded once; infinity and zero have the product 0 (FPRecipStepFused)."""
    fmt, special = FORMATS[a.bits], _indeterminate(m, a, b)
    two = a & 0 | power(fmt, 1)
    return m.fma(special.select(a & 0, negated(a)), special.select(two, b), two)


def reciprocal_root_step(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """(3 - a * b) / 2, rounded once; infinity and zero have the product 0 (FPRSqrtStepFused).

    An operand is halved before, since half of the difference may be finite where all of it is not. Where neither stays
    a normal number so, the product is so small that only its sign matters.
    """
    fmt, special = FORMATS[a.bits], _indeterminate(m, a, b)
    step = 1 << fmt.fraction

    def has_room(x: Lanes) -> Lanes:
        return (magnitude(x) - 2 * step).ult(infinity(fmt) - 2 * step)

    first = has_room(a)
    second = has_room(b) & ~first
    x = special.select(a & 0, first.select(a - step, a))
    y = special.select(a & 0 | power(fmt, 0), second.select(b - step, b))
    return m.fma(negated(x), y, a & 0 | power(fmt, 0) | step >> 1)


# -- Comparisons, which give all ones where they hold
def equal(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """Equal; only signaling NaNs are invalid."""
    return m.feq(a, b).sext(a.bits)


def greater_equal(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """Greater or equal; all NaNs are invalid."""
    return m.fle(b, a).sext(a.bits)


def greater(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """Greater; all NaNs are invalid."""
    return m.flt(b, a).sext(a.bits)


def of_magnitudes(compare: Binary) -> Binary:
    """A comparison of numbers without their signs."""
    return lambda m, a, b: compare(m, magnitude(a), magnitude(b))


# -- Rounding and conversion
def integral(rounding: int, *, exact: bool = False) -> Unary:
    """To an integral number; exact says where it was not one."""
    return lambda m, a: m.frint(a, exact=exact, rounding=rounding)


def to_integer(rounding: int, *, signed: bool) -> Unary:
    """To an integer as wide."""
    return lambda m, a: m.ftoi(a, a.bits, signed=signed, rounding=rounding)


def from_integer(*, signed: bool) -> Unary:
    """From an integer as wide."""
    return lambda m, a: m.itof(a, a.bits, signed=signed)


def from_fixed(*, signed: bool) -> Binary:
    """From fixed point with some bits behind the point: rounded once, since the power of two moves the exponent only,
    which neither overflows nor underflows."""
    return lambda m, a, n: m.fmul(m.itof(a, a.bits, signed=signed), _scale(-n))


def to_fixed(*, signed: bool) -> Binary:
    """To fixed point with some bits behind the point, towards zero."""

    def operation(m: Tracer, a: Lanes, n: Lanes) -> Lanes:
        fmt = FORMATS[a.bits]
        # What is so large that it could overflow is out of range as it is.
        large = magnitude(a).uge(power(fmt, 64))
        scaled = m.fmul(a, large.select(a & 0 | power(fmt, 0), _scale(n)))
        return m.ftoi(scaled, a.bits, signed=signed, rounding=ZERO)

    return operation


def half_from_fixed(*, signed: bool) -> Binary:
    """Likewise to halves, whose exponents have no room for that: exact in single precision, and then rounded."""

    def operation(m: Tracer, a: Lanes, n: Lanes) -> Lanes:
        def wide(a: Lanes, n: Lanes) -> Lanes:
            number = m.itof(a.sext(32) if signed else a.zext(32), 32, signed=True)
            return m.fresize(m.fmul(number, _scale(-n.zext(32))), 16)

        return halves(wide, a, n)

    return operation


def half_to_fixed(*, signed: bool) -> Binary:
    """Likewise from halves, by way of words.

    What is out of range of 16 bits and not of 32 would be inexact in the latter: it is made infinite.
    """

    def operation(m: Tracer, a: Lanes, n: Lanes) -> Lanes:
        def wide(a: Lanes, n: Lanes) -> Lanes:
            scaled = m.fmul(m.fresize(a, 32), _scale(n.zext(32)))
            size, negative = magnitude(scaled), scaled.slt(0)
            bound = scaled & 0 | power(S, 15 if signed else 16)
            if signed:  # what is truncated to the least number is in range
                bound = negative.select(bound | 1 << S.fraction - 15, bound)
            outside = size.uge(bound) & size.ule(infinity(S))
            number = outside.select(scaled & S.sign | infinity(S), scaled)
            word = m.ftoi(number, 32, signed=signed, rounding=ZERO)
            near = word.smax(-1 << 15).smin((1 << 15) - 1) if signed else word.umin((1 << 16) - 1)
            return near.trunc(16)

        return halves(wide, a, n)

    return operation


def _scale(exponent: Lanes) -> Lanes:
    """2 to a power, as patterns."""
    fmt = FORMATS[exponent.bits]
    return (exponent + fmt.bias) << fmt.fraction


def to_odd(m: Tracer, a: Lanes) -> Lanes:
    """From double to single precision, to an odd pattern where it is not exact (FPRounding_ODD)."""
    cut = m.fcvt(a, 32, ZERO)
    fmt = D
    size = magnitude(cut)
    # Truncated it is exact where it has the same value still. NaNs are no numbers; what was flushed stays zero.
    flushed = Lanes.splat(flushes(m, D), a.count) & (size == 0)
    inexact = (m.fcvt(cut, 64) != a) & magnitude(a).ule(infinity(fmt)) & ~flushed
    return cut | inexact.zext(32)


# -- Estimates
def unpacked(m: Tracer, a: Lanes) -> Lanes:
    """As FPUnpack has it: NaNs quiet or the default one, with their exception; denormal numbers flushed if asked."""
    return m.fmaximum(a, a)


def _estimated(estimate: Callable[[Lanes], Lanes], top: Lanes) -> Lanes:
    """The low eight bits of an estimate, which half words have no room to compute."""
    if top.bits < 32:
        return halves(lambda part: estimate(part.zext(32)).trunc(top.bits), top) & 255
    return estimate(top) & 255


def reciprocal_estimate(m: Tracer, a: Lanes) -> Lanes:
    """An estimate of 1/a, of eight bits (FPRecipEstimate)."""
    fmt, number = FORMATS[a.bits], unpacked(m, a)
    bits, mask = fmt.fraction, (1 << fmt.fraction) - 1
    sign, size = number & fmt.sign, magnitude(number)
    zero, special = size == 0, size.uge(infinity(fmt))
    # Below 2^(-bias - 1) it overflows; the fraction of that number is a quarter.
    overflows = size.ult(1 << bits - 2) & ~zero
    flushed = Lanes.splat(flushes(m, fmt), a.count) & size.uge(power(fmt, fmt.bias - 1)) & ~special
    rises(m, DZ, zero)
    rises(m, OF | NX, overflows)
    rises(m, UF, flushed)

    # One leading bit and eight behind it; denormal numbers have it in the first two places of their fraction.
    exponent, fraction = size >> bits, number & mask
    denormal = exponent == 0
    upper = fraction >> bits - 1 != 0
    fraction = denormal.select(upper.select(fraction << 1, fraction << 2), fraction) & mask
    exponent = denormal.select(upper.select(a & 0, a | -1), exponent)
    estimate = _estimated(reciprocal, fraction >> bits - 8 | 256)
    result = (a & 0) + (2 * fmt.bias - 1) - exponent  # its exponent
    fraction = estimate << bits - 8
    tiny = result.sle(0)
    # Denormal results: the leading bit is in the fraction.
    shifted = (fraction | 1 << bits) >> ((result == 0).select(a & 0 | 1, a & 0 | 2))
    value = tiny.select(shifted, result << bits | fraction)

    value = flushed.select(a & 0, value)
    mode = m.fp_mode[2:0]
    everywhere = [Lanes.splat(mode == which, a.count) for which in (NEAREST, DOWN, UP)]
    negative = a.slt(0)
    infinite = everywhere[0] | everywhere[1] & negative | everywhere[2] & ~negative
    largest = infinite.select(a & 0 | infinity(fmt), infinity(fmt) - 1)
    value = overflows.select(largest, value)
    value = zero.select(a & 0 | infinity(fmt), value)
    value = sign | special.select(a & 0, value)
    return (size.ule(infinity(fmt))).select(value, number)


def reciprocal_root_estimate(m: Tracer, a: Lanes) -> Lanes:
    """An estimate of the square root of 1/a, of eight bits (FPRSqrtEstimate)."""
    fmt, number = FORMATS[a.bits], unpacked(m, a)
    bits, mask = fmt.fraction, (1 << fmt.fraction) - 1
    size = magnitude(number)
    zero, nan = size == 0, ~size.ule(infinity(fmt))
    negative = number.slt(0) & ~zero & ~nan
    rises(m, DZ, zero)
    rises(m, NV, negative)

    # Denormal numbers as if the exponent went on downwards.
    denormal = size.ult(1 << bits)
    distance = size.clz() - (a.bits - 1 - bits)
    fraction = denormal.select(size << distance, size) & mask
    exponent = denormal.select(-distance + 1, size >> bits)
    top = fraction >> bits - 8 | 256
    estimate = _estimated(reciprocal_root, (exponent & 1 == 0).select(top, top >> 1))
    result = ((a & 0) + (3 * fmt.bias - 1) - exponent) >> 1
    value = result << bits | estimate << bits - 8

    value = (size == infinity(fmt)).select(a & 0, value)
    value = zero.select(number & fmt.sign | infinity(fmt), value)
    value = negative.select(a & 0 | infinity(fmt) | 1 << bits - 1, value)
    return nan.select(number, value)


def reciprocal_exponent(m: Tracer, a: Lanes) -> Lanes:
    """A power of two of about the size of 1/a (FPRecpX)."""
    fmt, number = FORMATS[a.bits], unpacked(m, a)
    exponent = number & infinity(fmt)
    greatest = infinity(fmt) - (1 << fmt.fraction)
    value = (exponent == 0).select(a & 0 | greatest, exponent ^ infinity(fmt))
    return magnitude(number).ule(infinity(fmt)).select(value | number & fmt.sign, number)
