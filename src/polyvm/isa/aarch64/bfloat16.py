"""FEAT_BF16: numbers of eight bits of exponent and seven of fraction, which are the upper halves of single precision.

The rows stand in tables of C4.1 that `fp`, `simd_fp_misc`, `simd_extra` and `simd_element` have. Dot products have an
arithmetic of their own (BFDotAdd of the manual's shared pseudocode without FEAT_EBF16): rounded to odd twice, denormal
numbers are zeros, a NaN is the default one, FPCR and FPSR take no part. No host has that, so it is made of integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.fp_formats import TITLE, S
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import element, read, write, write_upper
from polyvm.isa.aarch64.simd_fp import (
    DOWN,
    NEAREST,
    NX,
    OF,
    UF,
    UP,
    infinity,
    magnitude,
    power,
    rises,
    unpacked,
)

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = aarch64.extension("FEAT_BF16", "8.6", TITLE)

NAN: Final = infinity(S) | 1 << S.fraction - 1


# -- Operands: words hold two numbers each
def _lower(words: Lanes) -> Lanes:
    """The first number of each word, in single precision."""
    return words << 16


def _upper(words: Lanes) -> Lanes:
    """The second one."""
    return words & -(1 << 16)


# -- Conversion
def rounded(m: Tracer, a: Lanes) -> Lanes:
    """From single precision in the mode of FPCR (FPConvertBF)."""
    number = unpacked(m, a)
    size, sign = magnitude(number), number & S.sign
    finite, rest = size.ult(infinity(S)), size & 0xFFFF
    mode = m.fp_mode[2:0]
    nearest, up, down = (Lanes.splat(mode == which, a.count) for which in (NEAREST, UP, DOWN))
    more = (up & (sign == 0) | down & (sign != 0)).select(a & 0 | 0xFFFF, 0)
    more = nearest.select((size >> 16 & 1) + 0x7FFF, more)
    result = finite.select(size + more, size) >> 16
    inexact = finite & (rest != 0)
    rises(m, NX, inexact)
    rises(m, OF, inexact & (result == infinity(S) >> 16))
    rises(m, UF, inexact & size.ult(power(S, 1 - S.bias)))  # found before rounding
    return (result | sign >> 16).trunc(16)


@insn("bfcvt Hd, Sn", "0 0 0 11110 01 1 000110 10000 Vn Vd")
def bfcvt(m: Tracer, Vn: Val, Vd: Val) -> None:
    """From single precision."""
    write(m, Vd, rounded(m, read(m, Vn, 32, 1)))


def _narrow(upper: int) -> None:
    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        write_upper(m, Vd, rounded(m, read(m, Vn, 32, 4)), upper=upper)

    doc = f"From single precision, to the {'upper' if upper else 'lower'} half."
    insn(f"bfcvtn{'2' if upper else ''} Vd.{8 if upper else 4}h, Vn.4s", f"0 {upper} 0 01110 10 10000 10110 10 Vn Vd")(
        described(body, doc)
    )  # fmt: skip


_narrow(0)
_narrow(1)


# -- The arithmetic of dot products, on numbers in single precision
def _exponent(a: Lanes) -> Lanes:
    return a >> S.fraction & 255


def _packed(sign: Lanes, exponent: Lanes, significand: Lanes) -> Lanes:
    """A number, by its exponent field and 24 bits: infinite where it is too large, zero where it is denormal."""
    value = exponent << S.fraction | significand & (1 << S.fraction) - 1
    value = exponent.sge(255).select(value & 0 | infinity(S), value)
    return sign | exponent.sle(0).select(value & 0, value)


def product(a: Lanes, b: Lanes) -> Lanes:
    """The product of numbers with seven bits of fraction, which single precision holds (BFMulH)."""
    sign = (a ^ b) & S.sign
    numbers = magnitude(a), magnitude(b)
    nans = [~size.ule(infinity(S)) for size in numbers]
    infinite = [size == infinity(S) for size in numbers]
    zero = [_exponent(size) == 0 for size in numbers]
    x, y = (size >> 16 & 127 | 128 for size in numbers)
    whole = x * y  # of 15 or 16 bits
    top = whole >> 15
    exponent = _exponent(a) + _exponent(b) + top - S.bias
    value = _packed(sign, exponent, whole << (top ^ 1) + 8)
    value = (zero[0] | zero[1]).select(sign, value)
    value = (infinite[0] | infinite[1]).select(sign | infinity(S), value)
    invalid = nans[0] | nans[1] | infinite[0] & zero[1] | zero[0] & infinite[1]
    return invalid.select(a & 0 | NAN, value)


def total(a: Lanes, b: Lanes) -> Lanes:
    """The sum, rounded to odd (FPAdd_BF16 and BFRound). Seven bits below the last one tell what was lost of it."""
    swapped = magnitude(a).ult(magnitude(b))
    large, small = swapped.select(b, a), swapped.select(a, b)
    size, other = magnitude(large), magnitude(small)

    def significand(size: Lanes) -> Lanes:
        value = (size & (1 << S.fraction) - 1 | 1 << S.fraction) << 7
        return (_exponent(size) == 0).select(size & 0, value)

    x, y = significand(size), significand(other)
    distance = _exponent(size) - _exponent(other)
    kept = y >> distance
    kept = kept | ((kept << distance) != y).zext(32)
    differ = (large ^ small).slt(0)
    value = differ.select(x - kept, x + kept)
    zeros = value.clz()
    value = value << zeros
    # Of what was lost, one bit is left.
    rest = ((value & 255) != 0).zext(32)
    result = _packed(large & S.sign, _exponent(size) + 1 - zeros, value >> 8 | rest)
    result = (value == 0).select(large & small & S.sign, result)
    result = (size == infinity(S)).select(large, result)
    invalid = ~size.ule(infinity(S)) | (other == infinity(S)) & differ
    return invalid.select(a & 0 | NAN, result)


def dot(d: Lanes, a: Lanes, b: Lanes) -> Lanes:
    """For each word, the sum of the products of its numbers, and then of that and the destination (BFDotAdd)."""
    products = (product(part(a), part(b)) for part in (_lower, _upper))
    return total(d, total(*products))


def _dots(m: Tracer, Q: int, Vd: Val, a: Lanes, b: Lanes) -> None:
    """Two words or four; the host does four in no more instructions."""
    result = dot(read(m, Vd, 32, 4), a, b)
    write(m, Vd, result if Q else result.low())


@insn("bfdot Vd.S, Vn.H, Vm.H", "0 Q 1 01110 01 0 Vm 1 1111 1 Vn Vd")
def bfdot(m: Tracer, Q: int, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Add the products of two numbers to each word, rounded to odd."""
    _dots(m, Q, Vd, *(read(m, V, 32, 4) for V in (Vn, Vm)))


@insn("bfdot Vd.S, Vn.H, Vm.2h[lane]", "0 Q 0 01111 01 lane[0] Vm 1111 lane[1] 0 Vn Vd")
def bfdot_by_element(m: Tracer, Q: int, lane: Val, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Add the products of two numbers, those of one word, to each word, rounded to odd."""
    _dots(m, Q, Vd, read(m, Vn, 32, 4), Lanes.splat(element(m, Vm, 32, lane), 4))


@insn("bfmmla Vd.4s, Vn.8h, Vm.8h", "0 1 1 01110 01 0 Vm 1 1101 1 Vn Vd")
def bfmmla(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Multiply two by four numbers by four by two, and add to words, rounded to odd (BFMatMulAdd)."""
    d, rows, columns = (read(m, V, 32, 4) for V in (Vd, Vn, Vm))
    for pair in range(2):
        d = dot(d, rows.pick([pair, pair, 2 + pair, 2 + pair]), columns.pick([pair, 2 + pair] * 2))
    write(m, Vd, d)


# -- Fused products, in single precision's arithmetic
def _long(name: str, Q: int) -> None:
    which = _upper if Q else _lower

    def vectors(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
        d, a, b = (read(m, V, 32, 4) for V in (Vd, Vn, Vm))
        write(m, Vd, m.fma(which(a), which(b), d))

    def by_element(m: Tracer, lane: Val, Vm: Val, Vn: Val, Vd: Val) -> None:
        b = Lanes.splat(element(m, Vm, 16, lane).zext(32) << 16, 4)
        write(m, Vd, m.fma(which(read(m, Vn, 32, 4)), b, read(m, Vd, 32, 4)))

    doc = f"Add products of the {'second' if Q else 'first'} number of each word, rounded once."
    insn(f"{name} Vd.4s, Vn.8h, Vm.8h", f"0 {Q} 1 01110 11 0 Vm 1 1111 1 Vn Vd")(described(vectors, doc))
    insn(f"{name} Vd.4s, Vn.8h, Vm.h[lane]", f"0 {Q} 0 01111 11 lane[1:0] Vm[3:0] 1111 lane[2] 0 Vn Vd")(
        described(by_element, doc.replace(",", " and one by number,"))
    )


_long("bfmlalb", 0)
_long("bfmlalt", 1)
