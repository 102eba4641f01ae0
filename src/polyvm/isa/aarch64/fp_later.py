"""FEAT_FRINTTS and FEAT_JSCVT: numbers rounded to the size of an integer, and converted as JavaScript does.

FPRoundIntN and FPToFixedJS of the manual's shared pseudocode. Their rows stand in the tables of C4.1 that `fp`,
`fp_convert` and `simd_fp_misc` have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.flags import set_flags
from polyvm.isa.aarch64.fp_formats import TITLE, D, S
from polyvm.isa.aarch64.fp_formats import read as read_scalar
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.model import write as write_general
from polyvm.isa.aarch64.simd import Row, read, write
from polyvm.isa.aarch64.simd_fp import (
    DYNAMIC,
    FORMATS,
    NV,
    NX,
    ZERO,
    flushes,
    magnitude,
    power,
    rises,
)

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.fp_formats import Format
    from polyvm.isa.aarch64.simd import Unary

insn = aarch64.extension("FEAT_FRINTTS", "8.5", TITLE)


def sized_integral(size: int, rounding: int) -> Unary:
    """To an integral number that a signed integer of `size` bits could hold; where there is none, to the least one.

    Inexact is raised where a number was not integral, but not where it is invalid (FPRoundIntN).
    """

    def operation(m: Tracer, a: Lanes) -> Lanes:
        fmt = FORMATS[a.bits]
        least = fmt.sign | power(fmt, size - 1)
        result = m.frint(a, exact=False, rounding=rounding)
        fits = magnitude(result).ult(power(fmt, size - 1)) | (result == least)
        flushed = Lanes.splat(flushes(m, fmt), a.count) & magnitude(a).ult(1 << fmt.fraction)
        rises(m, NX, fits & (result != a) & ~flushed)
        rises(m, NV, ~fits)
        return fits.select(result, a & 0 | least)

    return operation


# Of scalars the opcode; of vectors U and the opcode.
ROWS: Final = (
    ("frint32z", 32, ZERO, "010000", 0, "11110", "towards zero"),
    ("frint32x", 32, DYNAMIC, "010001", 1, "11110", "in the mode of FPCR"),
    ("frint64z", 64, ZERO, "010010", 0, "11111", "towards zero"),
    ("frint64x", 64, DYNAMIC, "010011", 1, "11111", "in the mode of FPCR"),
)


def _scalar(name: str, operation: Unary, opcode: str, fmt: Format, doc: str) -> None:
    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        write(m, Vd, operation(m, read(m, Vn, fmt.bits, 1)))

    insn(f"{name} {fmt.letter}d, {fmt.letter}n", f"0 0 0 11110 {fmt.ftype} 1 {opcode} 10000 Vn Vd")(
        described(body, doc)
    )


for name, size, rounding, scalar, U, vector, how in ROWS:
    operation = sized_integral(size, rounding)
    doc = f"To integral numbers that integers of {size} bits can hold, {how}."
    for fmt in (S, D):
        _scalar(name, operation, scalar, fmt, doc)
    Row(name, U, vector, "F", operation, doc).declare(
        insn, "Vd.F, Vn.F", "0 $Q $U 01110 0 $size 10000 $opcode 10 Vn Vd"
    )

insn = aarch64.extension("FEAT_JSCVT", "8.3", TITLE)


@insn("fjcvtzs Wd, Dn", "0 0 0 11110 01 1 11 110 000000 Vn Rd")
def fjcvtzs(m: Tracer, Vn: Val, Rd: Val) -> None:
    """To a signed integer, towards zero and modulo 2^32, as JavaScript has it; Z says that nothing was lost."""
    number = read_scalar(m, Vn, D)
    # In range or not, the exceptions are those of the conversion that saturates.
    near = m.ftoi(number, 32, signed=True, rounding=ZERO)
    kept = m.itof(near, 64, signed=True) == number
    # All of the integer's bits that a double can have, modulo 2^64; infinities and NaNs have none below 2^32.
    exponent = number[62:52].zext(64) - (D.bias + D.fraction)
    fraction = number & (1 << D.fraction) - 1 | 1 << D.fraction
    whole = m.select(exponent.slt(0), fraction >> -exponent, fraction << exponent).trunc(32)
    no = m.const(0, 1)
    set_flags(m, (no, kept, no, no))
    write_general(m, Rd, m.select(number[63], -whole, whole))
