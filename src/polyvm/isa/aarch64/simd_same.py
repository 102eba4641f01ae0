"""Advanced SIMD, three vectors of the same arrangement: the manual's table "Advanced SIMD three same" in C4.1.

Operations here are of lanes and serve the scalar table too. Those of floating point are in simd_fp_same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.model import aarch64
from polyvm.isa.aarch64.simd import TITLE, Row, halves, saturated, widened

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.isa.aarch64.simd import Binary

insn = aarch64.extension("Advanced SIMD three same", "8.0", TITLE)


# -- Sums, differences and their halves. Without a bit more: a + b is twice a & b and once what only one of them has.
def halved_sum(signed: bool) -> Binary:
    """(a + b) / 2, down."""
    return lambda m, a, b: (a & b) + _half(a ^ b, signed)


def rounded_half(signed: bool) -> Binary:
    """(a + b + 1) / 2, down."""
    return lambda m, a, b: (a | b) - _half(a ^ b, signed)


def halved_difference(signed: bool) -> Binary:
    """(a - b) / 2, down."""
    return lambda m, a, b: _half(a ^ b, signed) - (~a & b)


def _half(value: Lanes, signed: bool) -> Lanes:
    return value.asr(1) if signed else value >> 1


def saturating_sum(signed: bool) -> Binary:
    """The sum, or the nearest number there is."""

    def operation(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        result = a.add_sat(b, signed=signed)
        saturated(m, result != a + b)
        return result

    return operation


def saturating_difference(signed: bool) -> Binary:
    """The difference, or the nearest number there is."""

    def operation(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        result = a.sub_sat(b, signed=signed)
        saturated(m, result != a - b)
        return result

    return operation


def distance(signed: bool) -> Binary:
    """How far two numbers are apart."""
    if signed:
        return lambda m, a, b: a.smax(b) - a.smin(b)
    return lambda m, a, b: a.umax(b) - a.umin(b)


# -- Shifts by the low byte of each lane, which is signed: to the left, or to the right where it is negative
def shifted(signed: bool, *, rounding: bool = False, saturating: bool = False) -> Binary:
    """SSHL and its kin ("SSHL" and "SQRSHL" of C7.2): a right shift may round, a left shift may saturate."""

    def operation(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        amount = b.trunc(8).sext(b.bits)
        right = amount.slt(0)
        left = saturating_left(m, a, amount, ~right, signed) if saturating else a << amount
        return right.select(shifted_right(a, -amount, signed, rounding), left)

    return operation


def shifted_right(a: Lanes, amount: Lanes, signed: bool, rounding: bool) -> Lanes:
    """By one or more; rounded, the last bit that goes out is added."""
    result = a.asr(amount) if signed else a >> amount
    if rounding:
        last = a.asr(amount - 1) if signed else a >> (amount - 1)
        result = result + (last & 1)
    return result


def saturating_left(m: Tracer, a: Lanes, amount: Lanes, where: Lanes | None, signed: bool) -> Lanes:
    """To the left, or the nearest number there is where bits would be lost; only lanes of `where` set QC."""
    result = a << amount
    lost = (result.asr(amount) if signed else result >> amount) != a
    saturated(m, lost if where is None else lost & where)
    return lost.select(limit(a) if signed else a | -1, result)


def limit(a: Lanes) -> Lanes:
    """The signed number that is farthest on each lane's side of zero."""
    return a.asr(a.bits - 1) ^ ((1 << a.bits - 1) - 1)


# -- Products
def doubled_high(rounding: bool) -> Binary:
    """The high half of twice the product; only the square of the least number has no room."""

    def operation(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        bits = a.bits
        least = 1 << bits - 1
        full = (a == least) & (b == least)
        saturated(m, full)

        def product(a: Lanes, b: Lanes) -> Lanes:
            value = widened(a, signed=True) * widened(b, signed=True)
            if rounding:
                value = value + (1 << bits - 2)
            return value.asr(bits - 1).trunc(bits)

        return (~full).select(halves(product, a, b), least - 1)

    return operation


def polynomial(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The low half of the carry-less product."""
    return halves(lambda a, b: a.clmul(b).trunc(a.bits), a, b)


# -- Neighbours: the even and the odd lanes of both vectors, the first one's below
def pairs(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """Of lanes that are neighbours, the lower ones and the upper ones."""
    return a.pick(range(0, 2 * a.count, 2), b), a.pick(range(1, 2 * a.count, 2), b)


def pairwise(operation: Binary) -> Binary:
    """An operation on neighbours."""
    return lambda m, a, b: operation(m, *pairs(a, b))


def mask(compare: Binary) -> Binary:
    """All ones where a comparison holds."""
    return lambda m, a, b: compare(m, a, b).sext(a.bits)


def smax(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The greater signed number."""
    return a.smax(b)


def smin(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The less signed number."""
    return a.smin(b)


def umax(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The greater unsigned number."""
    return a.umax(b)


def umin(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The less unsigned number."""
    return a.umin(b)


def add(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The sum."""
    return a + b


CMGT: Final = mask(lambda m, a, b: b.slt(a))
CMHI: Final = mask(lambda m, a, b: b.ult(a))
CMGE: Final = mask(lambda m, a, b: a.sge(b))
CMHS: Final = mask(lambda m, a, b: a.uge(b))
CMTST: Final = mask(lambda m, a, b: (a & b) != 0)
CMEQ: Final = mask(lambda m, a, b: a == b)
S, U = True, False

ROWS: Final = (
    Row("shadd", 0, "00000", "T_bhs", halved_sum(S), "Add signed lanes and halve, down."),
    Row("sqadd", 0, "00001", "T", saturating_sum(S), "Add signed lanes, saturating."),
    Row("srhadd", 0, "00010", "T_bhs", rounded_half(S), "Add signed lanes and halve, rounded."),
    Row("shsub", 0, "00100", "T_bhs", halved_difference(S), "Subtract signed lanes and halve, down."),
    Row("sqsub", 0, "00101", "T", saturating_difference(S), "Subtract signed lanes, saturating."),
    Row("cmgt", 0, "00110", "T", CMGT, "All ones where a signed lane is greater."),
    Row("cmge", 0, "00111", "T", CMGE, "All ones where a signed lane is greater or equal."),
    Row("sshl", 0, "01000", "T", shifted(S), "Shift signed lanes by the low bytes of others, which are signed."),
    Row("sqshl", 0, "01001", "T", shifted(S, saturating=True),
        "Shift signed lanes by the low bytes of others, saturating."),
    Row("srshl", 0, "01010", "T", shifted(S, rounding=True),
        "Shift signed lanes by the low bytes of others, to the right rounded."),
    Row("sqrshl", 0, "01011", "T", shifted(S, rounding=True, saturating=True),
        "Shift signed lanes by the low bytes of others, saturating, to the right rounded."),
    Row("smax", 0, "01100", "T_bhs", smax, "The greater of signed lanes."),
    Row("smin", 0, "01101", "T_bhs", smin, "The less of signed lanes."),
    Row("sabd", 0, "01110", "T_bhs", distance(S), "How far signed lanes are apart."),
    Row("saba", 0, "01111", "T_bhs", lambda m, a, b, d: d + distance(S)(m, a, b), "Add how far signed lanes are apart.",
        accumulates=True),
    Row("add", 0, "10000", "T", add, "Add lanes."),
    Row("cmtst", 0, "10001", "T", CMTST, "All ones where lanes have a bit in common."),
    Row("mla", 0, "10010", "T_bhs", lambda m, a, b, d: d + a * b, "Add the products of lanes.", accumulates=True),
    Row("mul", 0, "10011", "T_bhs", lambda m, a, b: a * b, "Multiply lanes."),
    Row("smaxp", 0, "10100", "T_bhs", pairwise(smax), "The greater of neighbouring signed lanes."),
    Row("sminp", 0, "10101", "T_bhs", pairwise(smin), "The less of neighbouring signed lanes."),
    Row("sqdmulh", 0, "10110", "T_hs", doubled_high(False), "The high half of twice the product, saturating."),
    Row("addp", 0, "10111", "T", pairwise(add), "Add neighbouring lanes."),
    Row("uhadd", 1, "00000", "T_bhs", halved_sum(U), "Add unsigned lanes and halve, down."),
    Row("uqadd", 1, "00001", "T", saturating_sum(U), "Add unsigned lanes, saturating."),
    Row("urhadd", 1, "00010", "T_bhs", rounded_half(U), "Add unsigned lanes and halve, rounded."),
    Row("uhsub", 1, "00100", "T_bhs", halved_difference(U), "Subtract unsigned lanes and halve, down."),
    Row("uqsub", 1, "00101", "T", saturating_difference(U), "Subtract unsigned lanes, saturating."),
    Row("cmhi", 1, "00110", "T", CMHI, "All ones where an unsigned lane is greater."),
    Row("cmhs", 1, "00111", "T", CMHS, "All ones where an unsigned lane is greater or equal."),
    Row("ushl", 1, "01000", "T", shifted(U), "Shift unsigned lanes by the low bytes of others, which are signed."),
    Row("uqshl", 1, "01001", "T", shifted(U, saturating=True),
        "Shift unsigned lanes by the low bytes of others, saturating."),
    Row("urshl", 1, "01010", "T", shifted(U, rounding=True),
        "Shift unsigned lanes by the low bytes of others, to the right rounded."),
    Row("uqrshl", 1, "01011", "T", shifted(U, rounding=True, saturating=True),
        "Shift unsigned lanes by the low bytes of others, saturating, to the right rounded."),
    Row("umax", 1, "01100", "T_bhs", umax, "The greater of unsigned lanes."),
    Row("umin", 1, "01101", "T_bhs", umin, "The less of unsigned lanes."),
    Row("uabd", 1, "01110", "T_bhs", distance(U), "How far unsigned lanes are apart."),
    Row("uaba", 1, "01111", "T_bhs", lambda m, a, b, d: d + distance(U)(m, a, b),
        "Add how far unsigned lanes are apart.", accumulates=True),
    Row("sub", 1, "10000", "T", lambda m, a, b: a - b, "Subtract lanes."),
    Row("cmeq", 1, "10001", "T", CMEQ, "All ones where lanes are equal."),
    Row("mls", 1, "10010", "T_bhs", lambda m, a, b, d: d - a * b, "Subtract the products of lanes.", accumulates=True),
    Row("umaxp", 1, "10100", "T_bhs", pairwise(umax), "The greater of neighbouring unsigned lanes."),
    Row("uminp", 1, "10101", "T_bhs", pairwise(umin), "The less of neighbouring unsigned lanes."),
    Row("sqrdmulh", 1, "10110", "T_hs", doubled_high(True), "The high half of twice the product, rounded, saturating."),
)  # fmt: skip

for row in ROWS:
    row.declare(insn, "Vd.$T, Vn.$T, Vm.$T", "0 $Q $U 01110 $size 1 Vm $opcode 1 Vn Vd")

# -- Those of bytes alone, or of bits, where the field size is part of the opcode
BITWISE: Final = (
    Row("and", 0, "00 00011", "Q", lambda m, a, b: a & b, "And."),
    Row("bic", 0, "01 00011", "Q", lambda m, a, b: a & ~b, "Clear the bits that are set in the second vector."),
    Row("orr", 0, "10 00011", "Q", lambda m, a, b: a | b, "Or."),
    Row("orn", 0, "11 00011", "Q", lambda m, a, b: a | ~b, "Or with the inverse."),
    Row("pmul", 1, "00 10011", "Q", polynomial, "Multiply bytes without carries, the low half."),
    Row("eor", 1, "00 00011", "Q", lambda m, a, b: a ^ b, "Exclusive or."),
    Row("bsl", 1, "01 00011", "Q", lambda m, a, b, d: (a ^ b) & d ^ b,
        "Bits of the first vector where the destination has ones, else of the second.", accumulates=True),
    Row("bit", 1, "10 00011", "Q", lambda m, a, b, d: d ^ (d ^ a) & b,
        "Take bits of the first vector where the second has ones.", accumulates=True),
    Row("bif", 1, "11 00011", "Q", lambda m, a, b, d: d ^ (d ^ a) & ~b,
        "Take bits of the first vector where the second has zeros.", accumulates=True),
)  # fmt: skip
for row in BITWISE:
    size, opcode = row.opcode.split()
    row.declare(insn, "Vd.B, Vn.B, Vm.B", f"0 Q $U 01110 {size} 1 Vm {opcode} 1 Vn Vd")
