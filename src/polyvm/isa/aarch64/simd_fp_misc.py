"""Advanced SIMD, floating point of one vector or scalar: the rest of the tables "two-register miscellaneous"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import simd_misc
from polyvm.isa.aarch64.model import described
from polyvm.isa.aarch64.simd import Row, read, read_upper, write, write_upper
from polyvm.isa.aarch64.simd_fp import (
    AWAY,
    DOWN,
    DYNAMIC,
    NEAREST,
    UP,
    ZERO,
    equal,
    from_integer,
    greater,
    greater_equal,
    integral,
    magnitude,
    negated,
    reciprocal_estimate,
    reciprocal_exponent,
    reciprocal_root_estimate,
    to_integer,
    to_odd,
)

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Binary, Unary


def _zero(compare: Binary, *, turned: bool = False) -> Unary:
    """A comparison with zero, or of zero with a lane."""
    return lambda m, a: compare(m, a & 0, a) if turned else compare(m, a, a & 0)


def _conversions() -> tuple[Row, ...]:
    """To integers in a mode of their own: the mode is in the higher bit of the size and in the opcode."""
    rows = []
    for letter, high, opcode, rounding, how in (
        ("n", 0, "11010", NEAREST, "ties to the even one"),
        ("m", 0, "11011", DOWN, "down"),
        ("a", 0, "11100", AWAY, "ties away from zero"),
        ("p", 1, "11010", UP, "up"),
        ("z", 1, "11011", ZERO, "towards zero"),
    ):
        for U, sign in enumerate("su"):
            operation = to_integer(rounding, signed=not U)
            doc = f"To {'unsigned' if U else 'signed'} integers, {how}; the nearest ones there are, and 0 for NaNs."
            rows.append(Row(f"fcvt{letter}{sign}", U, f"{high} {opcode}", "F", operation, doc))
    return tuple(rows)


# The higher bit of the field size stands before the opcode, whose part it is.
SCALARS: Final = (
    *_conversions(),
    Row("scvtf", 0, "0 11101", "F", from_integer(signed=True), "From signed integers."),
    Row("ucvtf", 1, "0 11101", "F", from_integer(signed=False), "From unsigned integers."),
    Row("frecpe", 0, "1 11101", "F", reciprocal_estimate, "Estimate reciprocals."),
    Row("frsqrte", 1, "1 11101", "F", reciprocal_root_estimate, "Estimate reciprocals of square roots."),
)
ZEROS: Final = (
    Row("fcmgt", 0, "1 01100", "F", _zero(greater), "All ones where a number is greater than zero."),
    Row("fcmeq", 0, "1 01101", "F", _zero(equal), "All ones where a number is zero."),
    Row("fcmlt", 0, "1 01110", "F", _zero(greater, turned=True), "All ones where a number is less than zero."),
    Row("fcmge", 1, "1 01100", "F", _zero(greater_equal), "All ones where a number is zero or more."),
    Row("fcmle", 1, "1 01101", "F", _zero(greater_equal, turned=True), "All ones where a number is zero or less."),
)  # fmt: skip
VECTORS: Final = (
    Row("frintn", 0, "0 11000", "F", integral(NEAREST), "To integral numbers, ties to the even one."),
    Row("frintm", 0, "0 11001", "F", integral(DOWN), "To integral numbers, down."),
    Row("frintp", 0, "1 11000", "F", integral(UP), "To integral numbers, up."),
    Row("frintz", 0, "1 11001", "F", integral(ZERO), "To integral numbers, towards zero."),
    Row("fabs", 0, "1 01111", "F", lambda m, a: magnitude(a), "Clear signs, of NaNs too."),
    Row("frinta", 1, "0 11000", "F", integral(AWAY), "To integral numbers, ties away from zero."),
    Row("frintx", 1, "0 11001", "F", integral(DYNAMIC, exact=True),
        "To integral numbers in the mode of FPCR, and say where one was inexact."),
    Row("fneg", 1, "1 01111", "F", lambda m, a: negated(a), "Change signs, of NaNs too."),
    Row("frinti", 1, "1 11001", "F", integral(DYNAMIC), "To integral numbers in the mode of FPCR."),
    Row("fsqrt", 1, "1 11111", "F", lambda m, a: m.fsqrt(a), "Square roots."),
)  # fmt: skip
EXPONENT: Final = Row("frecpx", 0, "1 11111", "F", reciprocal_exponent, "A power of two near the reciprocal.")
"""Of scalars only, as VECTORS are of vectors only."""


def _declare(row: Row, more: str, *, scalar: bool) -> None:
    high, opcode = row.opcode.split()
    tail = f"{high} $size 10000 {opcode} 10 Vn Vd"
    if scalar:
        row.on("sz").declare(simd_misc.scalar, f"Ed.sz, En.sz{more}", f"01 $U 11110 {tail}")
    else:
        row.declare(simd_misc.insn, f"Vd.F, Vn.F{more}", f"0 $Q $U 01110 {tail}")


for scalar in (True, False):
    for row in SCALARS:
        _declare(row, "", scalar=scalar)
    for row in ZEROS:
        _declare(row, ", #zero", scalar=scalar)
for row in VECTORS:
    _declare(row, "", scalar=False)
_declare(EXPONENT, "", scalar=True)


# -- From one format to another
def _narrow(name: str, U: int, sz: int, operation: Callable[[Tracer, Lanes], Lanes], doc: str) -> None:
    wide, (low, full) = (("4s", ("4h", "8h")), ("2d", ("2s", "4s")))[sz]
    for upper, half in enumerate((low, full)):

        def body(m: Tracer, Vn: Val, Vd: Val, upper: int = upper) -> None:
            write_upper(m, Vd, operation(m, read(m, Vn, 32 << sz, 4 >> sz)), upper=upper)

        simd_misc.insn(
            f"{name}{'2' if upper else ''} Vd.{half}, Vn.{wide}",
            f"0 {upper} {U} 01110 0 {sz} 10000 10110 10 Vn Vd",
        )(described(body, doc.replace(".", ", to the upper half.") if upper else doc))


def _long(sz: int) -> None:
    wide, halves = (("4s", ("4h", "8h")), ("2d", ("2s", "4s")))[sz]
    for upper, half in enumerate(halves):

        def body(m: Tracer, Vn: Val, Vd: Val, upper: int = upper) -> None:
            write(m, Vd, m.fcvt(read_upper(m, Vn, 16 << sz, upper=upper), 32 << sz))

        simd_misc.insn(
            f"fcvtl{'2' if upper else ''} Vd.{wide}, Vn.{half}",
            f"0 {upper} 0 01110 0 {sz} 10000 10111 10 Vn Vd",
        )(described(body, f"To the next wider format, from the {'upper' if upper else 'lower'} half."))


for sz in (0, 1):
    _narrow("fcvtn", 0, sz, lambda m, a: m.fcvt(a, a.bits // 2), "To the next narrower format.")
    _long(sz)
_narrow("fcvtxn", 1, 1, to_odd, "To single precision, to an odd fraction where it is inexact.")


@simd_misc.scalar("fcvtxn Sd, Dn", "01 1 11110 0 1 10000 10110 10 Vn Vd")
def fcvtxn(m: Tracer, Vn: Val, Vd: Val) -> None:
    """To single precision, to an odd fraction where it is inexact."""
    write(m, Vd, to_odd(m, read(m, Vn, 64, 1)))
