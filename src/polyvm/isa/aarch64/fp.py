"""Scalar floating point: the tables of C4.1 that begin with "Floating-point", conversions apart.

A table of C4.1 is an extension here; each instruction's page is in C7.2, under the name of its mnemonic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.flags import C, N, V, Z, holds, set_flags
from polyvm.isa.aarch64.fp_formats import (
    TITLE,
    D,
    Format,
    H,
    S,
    compared,
    negated,
    of_formats,
    read,
    write,
)
from polyvm.isa.aarch64.model import aarch64, described

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

# -- Floating-point data-processing (1 source)
insn = aarch64.extension("Floating-point data-processing (1 source)", "8.0", TITLE)


@of_formats(insn)("fmov Fd, Fn", "0 0 0 11110 ftype 1 000000 10000 Vn Vd")
def fmov(m: Tracer, fmt: Format, Vn: Val, Vd: Val) -> None:
    """Copy a number as it is."""
    write(m, Vd, read(m, Vn, fmt))


@of_formats(insn)("fabs Fd, Fn", "0 0 0 11110 ftype 1 000001 10000 Vn Vd")
def fabs(m: Tracer, fmt: Format, Vn: Val, Vd: Val) -> None:
    """Clear the sign, of NaNs too."""
    write(m, Vd, read(m, Vn, fmt) & fmt.sign - 1)


@of_formats(insn)("fneg Fd, Fn", "0 0 0 11110 ftype 1 000010 10000 Vn Vd")
def fneg(m: Tracer, fmt: Format, Vn: Val, Vd: Val) -> None:
    """Change the sign, of NaNs too."""
    write(m, Vd, negated(read(m, Vn, fmt), fmt))


@of_formats(insn)("fsqrt Fd, Fn", "0 0 0 11110 ftype 1 000011 10000 Vn Vd")
def fsqrt(m: Tracer, fmt: Format, Vn: Val, Vd: Val) -> None:
    """The square root."""
    write(m, Vd, m.fsqrt(read(m, Vn, fmt)))


def _fcvt(source: Format, to: Format) -> None:
    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        write(m, Vd, m.fcvt(read(m, Vn, source), to.bits))

    insn(f"fcvt {to.letter}d, {source.letter}n", f"0 0 0 11110 {source.ftype} 1 0001{to.ftype} 10000 Vn Vd")(
        described(body, f"From {source.bits} bits to {to.bits}.")
    )


for source in (S, D, H):
    for to in (S, D, H):
        if source is not to:
            _fcvt(source, to)

NEAREST, ZERO, DOWN, UP, AWAY, DYNAMIC = 0, 1, 2, 3, 4, 7
"""Rounding modes, as the IR numbers them."""


def _frint(letter: str, opcode: str, rounding: int, how: str, *, exact: bool = False) -> None:
    def body(m: Tracer, fmt: Format, Vn: Val, Vd: Val) -> None:
        write(m, Vd, m.frint(read(m, Vn, fmt), exact=exact, rounding=rounding))

    of_formats(insn)(f"frint{letter} Fd, Fn", f"0 0 0 11110 ftype 1 001{opcode} 10000 Vn Vd")(
        described(body, f"Round to an integral number, {how}.")
    )


_frint("n", "000", NEAREST, "ties to the even one")
_frint("p", "001", UP, "up")
_frint("m", "010", DOWN, "down")
_frint("z", "011", ZERO, "towards zero")
_frint("a", "100", AWAY, "ties away from zero")
_frint("x", "110", DYNAMIC, "in the mode of FPCR, and say where it was inexact", exact=True)
_frint("i", "111", DYNAMIC, "in the mode of FPCR")

# -- Floating-point compare
insn = aarch64.extension("Floating-point compare", "8.0", TITLE)


def _compare(name: str, opc: str, *, signaling: bool) -> None:
    invalid = "any NaN is invalid" if signaling else "only a signaling NaN is invalid"

    def body(m: Tracer, fmt: Format, Vm: Val, Vn: Val) -> None:
        set_flags(m, compared(m, read(m, Vn, fmt), read(m, Vm, fmt), signaling=signaling))

    def zero(m: Tracer, fmt: Format, Vn: Val) -> None:
        set_flags(m, compared(m, read(m, Vn, fmt), m.const(0, fmt.bits), signaling=signaling))

    of_formats(insn)(f"{name} Fn, Fm", f"0 0 0 11110 ftype 1 Vm 00 1000 Vn {opc}0 000")(
        described(body, f"Compare; {invalid}.")
    )
    of_formats(insn)(f"{name} Fn, #zero", f"0 0 0 11110 ftype 1 00000 00 1000 Vn {opc}1 000")(
        described(zero, f"Compare with zero; {invalid}.")
    )


_compare("fcmp", "0", signaling=False)
_compare("fcmpe", "1", signaling=True)

# -- Floating-point immediate
insn = aarch64.extension("Floating-point immediate", "8.0", TITLE)


@of_formats(insn)("fmov Fd, #fimm", "0 0 0 11110 ftype 1 fimm 100 00000 Vd")
def fmov_immediate(m: Tracer, fmt: Format, fimm: Val, Vd: Val) -> None:
    """A number of eight bits: a sign, three of the exponent, four of the fraction (VFPExpandImm)."""
    low = fmt.bits - fmt.fraction - 2  # of the exponent, all bits but the highest
    exponent = ((fimm[6].sext(low) << 2) | fimm[5:4].zext(low)).zext(fmt.bits)
    exponent = exponent | ((~fimm[6]).zext(fmt.bits) << low)
    magnitude = (exponent << fmt.fraction) | (fimm[3:0].zext(fmt.bits) << fmt.fraction - 4)
    write(m, Vd, magnitude | (fimm[7].zext(fmt.bits) << fmt.bits - 1))


# -- Floating-point conditional compare
insn = aarch64.extension("Floating-point conditional compare", "8.0", TITLE)


def _conditional(name: str, op: str, *, signaling: bool) -> None:
    def body(m: Tracer, fmt: Format, Vm: Val, cond: int, Vn: Val, nzcv: Val) -> None:
        """Compare if a condition holds, else set the flags to a constant."""
        a, b, condition = read(m, Vn, fmt), read(m, Vm, fmt), holds(m, cond)
        with m.when(condition):
            set_flags(m, compared(m, a, b, signaling=signaling))
        with m.when(~condition):
            for place, flag in enumerate((V, C, Z, N)):
                m.set(flag, nzcv[place])

    of_formats(insn)(f"{name} Fn, Fm, #nzcv, cond", f"0 0 0 11110 ftype 1 Vm cond 01 Vn {op} nzcv")(
        described(body, f"{body.__doc__} {'Any' if signaling else 'Only a signaling'} NaN is invalid.")
    )


_conditional("fccmp", "0", signaling=False)
_conditional("fccmpe", "1", signaling=True)

# -- Floating-point data-processing (2 source)
insn = aarch64.extension("Floating-point data-processing (2 source)", "8.0", TITLE)


@of_formats(insn)("fmul Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0000 10 Vn Vd")
def fmul(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Multiply."""
    write(m, Vd, m.fmul(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fdiv Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0001 10 Vn Vd")
def fdiv(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Divide."""
    write(m, Vd, m.fdiv(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fadd Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0010 10 Vn Vd")
def fadd(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Add."""
    write(m, Vd, m.fadd(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fsub Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0011 10 Vn Vd")
def fsub(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Subtract."""
    write(m, Vd, m.fsub(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fmax Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0100 10 Vn Vd")
def fmax(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The larger one; a NaN where one is a NaN."""
    write(m, Vd, m.fmaximum(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fmin Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0101 10 Vn Vd")
def fmin(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The smaller one; a NaN where one is a NaN."""
    write(m, Vd, m.fminimum(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fmaxnm Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0110 10 Vn Vd")
def fmaxnm(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The larger one; the number beside a quiet NaN."""
    write(m, Vd, m.fmax(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fminnm Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 0111 10 Vn Vd")
def fminnm(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """The smaller one; the number beside a quiet NaN."""
    write(m, Vd, m.fmin(read(m, Vn, fmt), read(m, Vm, fmt)))


@of_formats(insn)("fnmul Fd, Fn, Fm", "0 0 0 11110 ftype 1 Vm 1000 10 Vn Vd")
def fnmul(m: Tracer, fmt: Format, Vm: Val, Vn: Val, Vd: Val) -> None:
    """Multiply, then change the sign, of NaNs too."""
    write(m, Vd, negated(m.fmul(read(m, Vn, fmt), read(m, Vm, fmt)), fmt))


# -- Floating-point conditional select
insn = aarch64.extension("Floating-point conditional select", "8.0", TITLE)


@of_formats(insn)("fcsel Fd, Fn, Fm, cond", "0 0 0 11110 ftype 1 Vm cond 11 Vn Vd")
def fcsel(m: Tracer, fmt: Format, Vm: Val, cond: int, Vn: Val, Vd: Val) -> None:
    """Fn if a condition holds, else Fm."""
    write(m, Vd, m.select(holds(m, cond), read(m, Vn, fmt), read(m, Vm, fmt)))


# -- Floating-point data-processing (3 source)
insn = aarch64.extension("Floating-point data-processing (3 source)", "8.0", TITLE)


def _fused(name: str, o1: str, o0: str, doc: str) -> None:
    def body(m: Tracer, fmt: Format, Vm: Val, Va: Val, Vn: Val, Vd: Val) -> None:
        n, a = read(m, Vn, fmt), read(m, Va, fmt)
        product = negated(n, fmt) if o1 != o0 else n
        write(m, Vd, m.fma(product, read(m, Vm, fmt), negated(a, fmt) if o1 == "1" else a))

    of_formats(insn)(f"{name} Fd, Fn, Fm, Fa", f"0 0 0 11111 ftype {o1} Vm {o0} Va Vn Vd")(
        described(body, doc)
    )


_fused("fmadd", "0", "0", "Add a product to Fa, rounded once.")
_fused("fmsub", "0", "1", "Subtract a product from Fa, rounded once.")
_fused("fnmadd", "1", "0", "Subtract a product and Fa from zero, rounded once: -Fa - Fn * Fm.")
_fused("fnmsub", "1", "1", "Subtract Fa from a product, rounded once: Fn * Fm - Fa.")
