"""Advanced SIMD, one vector: the manual's tables "Advanced SIMD two-register miscellaneous", of vectors and scalars.

Instructions of floating point are in simd_fp_misc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import (
    TITLE,
    Row,
    arranged,
    halves,
    narrowed,
    read,
    read_upper,
    saturated,
    widened,
    write,
    write_upper,
)

if TYPE_CHECKING:
    from polyvm.ir.lanes import Lanes
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Unary


# -- Operations
def _reversed(within: int) -> Unary:
    """Lanes in reverse order within so many bits."""
    return lambda m, a: a.pick([place ^ (within // a.bits - 1) for place in range(a.count)])


def _leading_signs(m: Tracer, a: Lanes) -> Lanes:
    return (a ^ a.asr(1)).clz() - 1


def _absolute(m: Tracer, a: Lanes) -> Lanes:
    return a.slt(0).select(-a, a)


def _least(m: Tracer, a: Lanes) -> None:
    """The least number has no opposite."""
    saturated(m, a == 1 << a.bits - 1)


def _saturating_absolute(m: Tracer, a: Lanes) -> Lanes:
    _least(m, a)
    return a.slt(0).select((a & 0).sub_sat(a, signed=True), a)


def _saturating_negative(m: Tracer, a: Lanes) -> Lanes:
    _least(m, a)
    return (a & 0).sub_sat(a, signed=True)


def _mixed_sum(to_signed: bool) -> Callable[[Tracer, Lanes, Lanes], Lanes]:
    """A signed and an unsigned number, the destination being what the sum is, too."""

    def operation(m: Tracer, a: Lanes, d: Lanes) -> Lanes:
        def summed(a: Lanes, d: Lanes) -> Lanes:
            value = widened(a, signed=not to_signed) + widened(d, signed=to_signed)
            return narrowed(m, value, signed=True, to_signed=to_signed)

        return halves(summed, a, d)

    return operation


def reciprocal(top: Lanes) -> Lanes:
    """An estimate of 1/a of nine bits, a having as many ("RecipEstimate" of the shared pseudocode)."""
    odd = (top << 1) + 1
    quotient = (odd & 0 | 1 << 19).op("udiv", odd.bits, (odd,))
    return (quotient + 1) >> 1


def reciprocal_root(top: Lanes) -> Lanes:
    """An estimate of the square root of 1/a, likewise ("RecipSqrtEstimate" of the shared pseudocode)."""
    scaled = top.ult(256).select((top << 1) + 1, ((top >> 1 << 1) + 1) << 1)
    # The greatest number of ten bits whose square, so scaled, is less than 2^28: a parabola and one of Newton's steps
    # find it or the one before. Bit by bit, LLVM needs seconds for the nine selects in a row.
    root = (scaled & 0 | 1407) - (scaled * 1813 >> 10) + (scaled * scaled * 932 >> 20)
    root = ((scaled & 0 | 3 << 28) - scaled * root * root >> 10) * root >> 19
    more = root + 1
    root = (scaled * more * more).ult(1 << 28).select(more, root)
    return (root + 1) >> 1


def _reciprocal(m: Tracer, a: Lanes) -> Lanes:
    """An estimate of 1/a, a being a fraction of 32 bits."""
    return a.slt(0).select(reciprocal(a >> 23) << 23, a | -1)


def _reciprocal_root(m: Tracer, a: Lanes) -> Lanes:
    """An estimate of the square root of 1/a, likewise."""
    return (a >> 30 == 0).select(a | -1, reciprocal_root(a >> 23) << 23)


def _zero(compare: Callable[[Lanes], Lanes]) -> Unary:
    """All ones where a comparison with zero holds."""
    return lambda m, a: compare(a).sext(a.bits)


S, U = True, False
SATURATING: Final = (
    Row("suqadd", 0, "00011", "T", _mixed_sum(S), "Add unsigned lanes to signed ones, saturating.", True),
    Row("sqabs", 0, "00111", "T", _saturating_absolute, "The absolute values of lanes, saturating."),
    Row("usqadd", 1, "00011", "T", _mixed_sum(U), "Add signed lanes to unsigned ones, saturating.", True),
    Row("sqneg", 1, "00111", "T", _saturating_negative, "Negate lanes, saturating."),
)
ZERO: Final = (
    Row(
        "cmgt",
        0,
        "01000",
        "T",
        _zero(lambda a: ~a.sle(0)),
        "All ones where a signed lane is greater than zero.",
    ),
    Row("cmeq", 0, "01001", "T", _zero(lambda a: a == 0), "All ones where a lane is zero."),
    Row(
        "cmlt", 0, "01010", "T", _zero(lambda a: a.slt(0)), "All ones where a signed lane is less than zero."
    ),
    Row("cmge", 1, "01000", "T", _zero(lambda a: ~a.slt(0)), "All ones where a signed lane is zero or more."),
    Row("cmle", 1, "01001", "T", _zero(lambda a: a.sle(0)), "All ones where a signed lane is zero or less."),
)
SIGNS: Final = (
    Row("abs", 0, "01011", "T", _absolute, "The absolute values of lanes."),
    Row("neg", 1, "01011", "T", lambda m, a: -a, "Negate lanes."),
)
OTHERS: Final = (
    Row("rev64", 0, "00000", "T_bhs", _reversed(64), "Reverse the order of lanes in each double word."),
    Row("cls", 0, "00100", "T_bhs", _leading_signs, "Count leading copies of the sign, itself not counted."),
    Row("rev32", 1, "00000", "T_bh", _reversed(32), "Reverse the order of lanes in each word."),
    Row("clz", 1, "00100", "T_bhs", lambda m, a: a.clz(), "Count leading zeros."),
)
# Those of one size: (row, arrangement, size)
SINGLE: Final = (
    (
        Row("rev16", 0, "00001", "Q", _reversed(16), "Reverse the order of bytes in each half word."),
        "B",
        "00",
    ),
    (Row("cnt", 0, "00101", "Q", lambda m, a: a.popcount(), "Count the bits that are set."), "B", "00"),
    (Row("not", 1, "00101", "Q", lambda m, a: ~a, "Invert bits."), "B", "00"),
    (
        Row("rbit", 1, "00101", "Q", lambda m, a: a.bitrev(), "Reverse the order of bits in each byte."),
        "B",
        "01",
    ),
)
NARROWINGS: Final = (
    ("xtn", 0, "10010", lambda m, a: a.trunc(a.bits // 2), "Halve the width of lanes."),
    ("sqxtn", 0, "10100", lambda m, a: narrowed(m, a, signed=S, to_signed=S), "Halve the width, saturating."),
    ("sqxtun", 1, "10010", lambda m, a: narrowed(m, a, signed=S, to_signed=U),
     "Halve the width of signed lanes, saturating to unsigned."),
    ("uqxtn", 1, "10100", lambda m, a: narrowed(m, a, signed=U, to_signed=U),
     "Halve the width of unsigned lanes, saturating."),
)  # fmt: skip

# -- Advanced SIMD scalar two-register miscellaneous
scalar = insn = aarch64.extension("Advanced SIMD scalar two-register miscellaneous", "8.0", TITLE)
_SCALAR: Final = "01 $U 11110 $size 10000 $opcode 10 Vn Vd"
for row in SATURATING:
    row.on("size").declare(insn, "Ed.$T, En.$T", _SCALAR)
for row in ZERO:
    row.on("size_d").declare(insn, "Ed.$T, En.$T, #0", _SCALAR)
for row in SIGNS:
    row.on("size_d").declare(insn, "Ed.$T, En.$T", _SCALAR)


def _narrow_scalar(name: str, U: int, opcode: str, operation: Unary, doc: str) -> None:
    def body(m: Tracer, size_bhs: int, Vn: Val, Vd: Val) -> None:
        write(m, Vd, operation(m, read(m, Vn, 16 << size_bhs, 1)))

    insn(f"{name} Ed.size_bhs, Ln.size_bhs", f"01 {U} 11110 size_bhs 10000 {opcode} 10 Vn Vd")(
        described(body, doc)
    )


for narrowing in NARROWINGS[1:]:
    _narrow_scalar(*narrowing)

# -- Advanced SIMD two-register miscellaneous
insn = aarch64.extension("Advanced SIMD two-register miscellaneous", "8.0", TITLE)
_VECTOR: Final = "0 $Q $U 01110 $size 10000 $opcode 10 Vn Vd"
for row in (*OTHERS, *SATURATING, *SIGNS):
    row.declare(insn, "Vd.$T, Vn.$T", _VECTOR)
for row in ZERO:
    row.declare(insn, "Vd.$T, Vn.$T, #0", _VECTOR)
for row, letter, size in SINGLE:
    row.declare(insn, f"Vd.{letter}, Vn.{letter}", f"0 $Q $U 01110 {size} 10000 $opcode 10 Vn Vd")


def _estimate(name: str, U: int, operation: Unary, doc: str) -> None:
    def body(m: Tracer, Q: int, Vn: Val, Vd: Val) -> None:
        write(m, Vd, operation(m, read(m, Vn, 32, 2 << Q)))

    insn(f"{name} Vd.S, Vn.S", f"0 Q {U} 01110 10 10000 11100 10 Vn Vd")(described(body, doc))


_estimate("urecpe", 0, _reciprocal, "Estimate reciprocals of fractions.")
_estimate("ursqrte", 1, _reciprocal_root, "Estimate reciprocal square roots of fractions.")


def _narrow(name: str, U: int, opcode: str, operation: Unary, doc: str) -> None:
    for upper, half in ((0, "low"), (1, "full")):

        def body(m: Tracer, size_bhs: int, Vn: Val, Vd: Val, upper: int = upper) -> None:
            bits = 8 << size_bhs
            write_upper(m, Vd, operation(m, read(m, Vn, 2 * bits, 64 // bits)), upper=upper)

        insn(
            f"{name}{'2' if upper else ''} Vd.{half}.size_bhs, Vn.wide.size_bhs",
            f"0 {upper} {U} 01110 size_bhs 10000 {opcode} 10 Vn Vd",
        )(described(body, doc.replace(".", ", to the upper half.") if upper else doc))


for narrowing in NARROWINGS:
    _narrow(*narrowing)


def _shift_by_width(upper: int, half: str) -> None:
    def shll(m: Tracer, size_bhs: int, Vn: Val, Vd: Val) -> None:
        bits = 8 << size_bhs
        write(m, Vd, read_upper(m, Vn, bits, upper=upper).zext(2 * bits) << bits)

    insn(
        f"shll{'2' if upper else ''} Vd.wide.size_bhs, Vn.{half}.size_bhs, #width.size_bhs",
        f"0 {upper} 1 01110 size_bhs 10000 10011 10 Vn Vd",
    )(
        described(
            shll,
            f"Widen lanes of the {'upper' if upper else 'lower'} half and shift them left by their width.",
        )
    )


_shift_by_width(0, "low")
_shift_by_width(1, "full")


def _pair_sum(name: str, U: int, opcode: str, accumulates: bool, doc: str) -> None:
    def body(m: Tracer, T_bhs: int, Vn: Val, Vd: Val) -> None:
        bits, count = arranged(T_bhs)
        both = read(m, Vn, 2 * bits, count // 2)
        if U:
            result = (both & (1 << bits) - 1) + (both >> bits)
        else:
            result = (both << bits).asr(bits) + both.asr(bits)
        write(m, Vd, read(m, Vd, 2 * bits, count // 2) + result if accumulates else result)

    insn(f"{name} Vd.long.T_bhs, Vn.T_bhs", f"0 T_bhs[0] {U} 01110 T_bhs[2:1] 10000 {opcode} 10 Vn Vd")(
        described(body, doc)
    )


_pair_sum("saddlp", 0, "00010", False, "Add neighbouring signed lanes, twice as wide.")
_pair_sum("sadalp", 0, "00110", True, "Add neighbouring signed lanes to wide ones.")
_pair_sum("uaddlp", 1, "00010", False, "Add neighbouring unsigned lanes, twice as wide.")
_pair_sum("uadalp", 1, "00110", True, "Add neighbouring unsigned lanes to wide ones.")
