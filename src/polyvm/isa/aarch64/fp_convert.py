"""Between scalar floating point and general registers: conversions to and from integers and fixed point, and moves.

A table of C4.1 is an extension here; each instruction's page is in C7.2, under the name of its mnemonic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.fp import AWAY, DOWN, DYNAMIC, NEAREST, UP, ZERO
from polyvm.isa.aarch64.fp_formats import TITLE, D, Format, H, S, fp16, read, write
from polyvm.isa.aarch64.model import aarch64, described, sized
from polyvm.isa.aarch64.model import read as read_general
from polyvm.isa.aarch64.model import write as write_general

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.model import Declare
    from polyvm.isa.spec import Body

# -- Conversion between floating-point and fixed-point
insn = aarch64.extension("Conversion between floating-point and fixed-point", "8.0", TITLE)


def _power(m: Tracer, exponent: Val, fmt: Format) -> Val:
    """2 to an exponent that may be negative, of seven bits, as a pattern."""
    return (exponent.sext(fmt.bits) + fmt.bias) << fmt.fraction


def _fraction_bits(scale: Val, bits: int) -> Val:
    """How many bits of a fixed-point number are behind the point, as a number of eight bits."""
    return -(scale.zext(8)) + bits


def _from_fixed(name: str, opcode: str, what: str, *, signed: bool) -> None:
    def body(m: Tracer, bits: int, fmt: Format, scale: Val, Rn: Val, Vd: Val) -> None:
        value, wide = read_general(m, Rn, bits), D if fmt is H else fmt
        if fmt is H:
            # Its exponents have no room for what follows: as exact as it must be, in double precision.
            value = _cut(m, value, signed=signed)
        # Rounded once: the power of two only moves the exponent, which neither overflows nor underflows.
        number = m.itof(value, wide.bits, signed=signed)
        number = m.fmul(number, _power(m, -_fraction_bits(scale, bits), wide))
        write(m, Vd, m.fresize(number, 16) if fmt is H else number)

    _both(f"{name} Fd, Rn, #scale", f"sf 0 0 11110 ftype 0 00 {opcode} scale Rn Vd", body,
          f"From {what} fixed-point number.")  # fmt: skip


def _cut(m: Tracer, value: Val, *, signed: bool) -> Val:
    """An integer that a double can hold, and that a half is rounded from as from the given one: where it is large, an
    odd number in place of bits that are lost."""
    if value.bits == 32:
        return value
    limit = D.fraction + 1
    large = (value + (1 << limit)).uge(2 << limit) if signed else value.uge(1 << limit)
    lost = 64 - limit
    sticky = ((value & (1 << lost) - 1) != 0).zext(64) << lost
    return m.select(large, value & -(1 << lost) | sticky, value)


def _to_fixed(name: str, opcode: str, what: str, *, signed: bool) -> None:
    def body(m: Tracer, bits: int, fmt: Format, scale: Val, Vn: Val, Rd: Val) -> None:
        number, places = read(m, Vn, fmt), _fraction_bits(scale, bits)
        if fmt is H:
            number, factor = m.fresize(number, D.bits), _power(m, places, D)
        else:
            # What is so large that it could overflow is out of range as it is.
            large = (number & fmt.sign - 1).uge(fmt.bias + 64 << fmt.fraction)
            factor = m.select(large, _power(m, m.const(0, 8), fmt), _power(m, places, fmt))
        write_general(m, Rd, m.ftoi(m.fmul(number, factor), bits, signed=signed, rounding=ZERO))

    _both(f"{name} Rd, Fn, #scale", f"sf 0 0 11110 ftype 0 11 {opcode} scale Vn Rd", body,
          f"To {what} fixed-point number, towards zero.")  # fmt: skip


def _both(text: str, encoding: str, body: Body, doc: str) -> None:
    """Declare an instruction for both widths of general registers and every format."""
    for fmt in (S, D, H):

        def variant(m: Tracer, bits: int, fmt: Format = fmt, **fields: Val) -> None:
            body(m, bits, fmt, **fields)

        shown = text.replace("Fd", f"{fmt.letter}d").replace("Fn", f"{fmt.letter}n")
        declare = sized(fp16 if fmt is H else insn)
        declare(shown, encoding.replace("ftype", fmt.ftype))(described(variant, doc))


_from_fixed("scvtf", "010", "a signed", signed=True)
_from_fixed("ucvtf", "011", "an unsigned", signed=False)
_to_fixed("fcvtzs", "000", "a signed", signed=True)
_to_fixed("fcvtzu", "001", "an unsigned", signed=False)

# -- Conversion between floating-point and integer
insn = aarch64.extension("Conversion between floating-point and integer", "8.0", TITLE)


def _to_integer(letter: str, rmode: str, opcode: str, rounding: int, how: str) -> None:
    for sign, signed in (("s", True), ("u", False)):

        def body(m: Tracer, bits: int, fmt: Format, Vn: Val, Rd: Val, signed: bool = signed) -> None:
            write_general(m, Rd, m.ftoi(read(m, Vn, fmt), bits, signed=signed, rounding=rounding))

        _both(
            f"fcvt{letter}{sign} Rd, Fn",
            f"sf 0 0 11110 ftype 1 {rmode} {opcode}{int(not signed)} 000000 Vn Rd",
            body,
            f"To {'a signed' if signed else 'an unsigned'} integer, {how}; the nearest one there is, and 0 for a NaN.",
        )


def _from_integer(name: str, opcode: str, what: str, *, signed: bool) -> None:
    def body(m: Tracer, bits: int, fmt: Format, Rn: Val, Vd: Val) -> None:
        write(m, Vd, m.itof(read_general(m, Rn, bits), fmt.bits, signed=signed, rounding=DYNAMIC))

    _both(f"{name} Fd, Rn", f"sf 0 0 11110 ftype 1 00 {opcode} 000000 Rn Vd", body, f"From {what} integer.")


_to_integer("n", "00", "00", NEAREST, "ties to the even one")
_from_integer("scvtf", "010", "a signed", signed=True)
_from_integer("ucvtf", "011", "an unsigned", signed=False)
_to_integer("a", "00", "10", AWAY, "ties away from zero")
_to_integer("p", "01", "00", UP, "up")
_to_integer("m", "10", "00", DOWN, "down")
_to_integer("z", "11", "00", ZERO, "towards zero")


def _moves(insn: Declare, general: str, fmt: Format, sf: str) -> None:
    def out(m: Tracer, Vn: Val, Rd: Val) -> None:
        """Copy the bits of a number to a general register, with zeros above them."""
        write_general(m, Rd, read(m, Vn, fmt))

    def into(m: Tracer, Rn: Val, Vd: Val) -> None:
        """Copy the bits of a number from a general register."""
        write(m, Vd, read_general(m, Rn, fmt.bits))

    insn(f"fmov {general}d, {fmt.letter}n", f"{sf} 0 0 11110 {fmt.ftype} 1 00 110 000000 Vn Rd")(out)
    insn(f"fmov {fmt.letter}d, {general}n", f"{sf} 0 0 11110 {fmt.ftype} 1 00 111 000000 Rn Vd")(into)


_moves(insn, "W", S, "0")
_moves(insn, "X", D, "1")
_moves(fp16, "W", H, "0")
_moves(fp16, "X", H, "1")


@insn("fmov Xd, Vn.d[1]", "1 0 0 11110 10 1 01 110 000000 Vn Rd")
def fmov_from_top(m: Tracer, Vn: Val, Rd: Val) -> None:
    """Copy the upper half of a vector register to a general one."""
    m.x[Rd] = m.q[Vn][127:64]


@insn("fmov Vd.d[1], Xn", "1 0 0 11110 10 1 01 111 000000 Rn Vd")
def fmov_to_top(m: Tracer, Rn: Val, Vd: Val) -> None:
    """Copy a general register to the upper half of a vector one; the lower half stays."""
    m.q[Vd] = m.q[Vd].trunc(64).zext(128) | m.x[Rn].zext(128) << 64
