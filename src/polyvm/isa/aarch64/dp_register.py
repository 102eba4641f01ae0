"""Data processing, register: the tables of the manual's section "Data Processing -- Register" in C4.1.

A table of C4.1 is an extension here, in its order; each instruction's page is in C6.2, under the name of its mnemonic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.flags import after_add, after_logic, after_sub, carry, holds, set_flags
from polyvm.isa.aarch64.model import aarch64, read, sized, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

TITLE = "Data Processing -- Register"

# -- Data-processing (2 source)
insn = aarch64.extension("Data-processing (2 source)", "8.0", TITLE)


@sized(insn)("udiv Rd, Rn, Rm", "sf 0 0 11010110 Rm 000010 Rn Rd")
def udiv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Divide unsigned numbers, towards zero; by zero is zero."""
    divisor = read(m, Rm, bits)
    write(m, Rd, m.select(divisor == 0, m.const(0, bits), read(m, Rn, bits).udiv(divisor)))


@sized(insn)("sdiv Rd, Rn, Rm", "sf 0 0 11010110 Rm 000011 Rn Rd")
def sdiv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Divide signed numbers, towards zero; by zero is zero, the minimum by -1 is the minimum."""
    divisor = read(m, Rm, bits)
    write(m, Rd, m.select(divisor == 0, m.const(0, bits), read(m, Rn, bits).sdiv(divisor)))


def _amount(m: Tracer, Rm: Val, bits: int) -> Val:
    return read(m, Rm, bits) & (bits - 1)


@sized(insn)("lslv Rd, Rn, Rm", "sf 0 0 11010110 Rm 001000 Rn Rd")
def lslv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Shift left by a register, modulo the width."""
    write(m, Rd, read(m, Rn, bits) << _amount(m, Rm, bits))


@sized(insn)("lsrv Rd, Rn, Rm", "sf 0 0 11010110 Rm 001001 Rn Rd")
def lsrv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Shift right by a register, modulo the width, zeros in."""
    write(m, Rd, read(m, Rn, bits) >> _amount(m, Rm, bits))


@sized(insn)("asrv Rd, Rn, Rm", "sf 0 0 11010110 Rm 001010 Rn Rd")
def asrv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Shift right by a register, modulo the width, sign in."""
    write(m, Rd, read(m, Rn, bits).asr(_amount(m, Rm, bits)))


@sized(insn)("rorv Rd, Rn, Rm", "sf 0 0 11010110 Rm 001011 Rn Rd")
def rorv(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Rotate right by a register, modulo the width."""
    write(m, Rd, read(m, Rn, bits).rotr(_amount(m, Rm, bits)))


# -- Data-processing (1 source)
insn = aarch64.extension("Data-processing (1 source)", "8.0", TITLE)


@sized(insn)("rbit Rd, Rn", "sf 1 0 11010110 00000 000000 Rn Rd")
def rbit(m: Tracer, bits: int, Rn: Val, Rd: Val) -> None:
    """Reverse the order of bits."""
    write(m, Rd, read(m, Rn, bits).bitrev())


def _swap_pairs(m: Tracer, value: Val, size: int) -> Val:
    """Neighbours of so many bits change places."""
    low = m.const(((1 << value.bits) - 1) // ((1 << size) + 1), value.bits)
    return ((value & low) << size) | ((value >> size) & low)


@sized(insn)("rev16 Rd, Rn", "sf 1 0 11010110 00000 000001 Rn Rd")
def rev16(m: Tracer, bits: int, Rn: Val, Rd: Val) -> None:
    """Reverse the order of bytes in each half word."""
    write(m, Rd, _swap_pairs(m, read(m, Rn, bits), 8))


@insn("rev Wd, Wn", "0 1 0 11010110 00000 000010 Rn Rd")
def rev_w(m: Tracer, Rn: Val, Rd: Val) -> None:
    """Reverse the order of bytes in a word."""
    write(m, Rd, read(m, Rn, 32).bswap())


@insn("rev32 Xd, Xn", "1 1 0 11010110 00000 000010 Rn Rd")
def rev32(m: Tracer, Rn: Val, Rd: Val) -> None:
    """Reverse the order of bytes in each word."""
    m.x[Rd] = m.x[Rn].bswap().rotr(32)


@insn("rev Xd, Xn", "1 1 0 11010110 00000 000011 Rn Rd")
def rev_x(m: Tracer, Rn: Val, Rd: Val) -> None:
    """Reverse the order of bytes in a double word."""
    m.x[Rd] = m.x[Rn].bswap()


@sized(insn)("clz Rd, Rn", "sf 1 0 11010110 00000 000100 Rn Rd")
def clz(m: Tracer, bits: int, Rn: Val, Rd: Val) -> None:
    """Count leading zeros."""
    write(m, Rd, read(m, Rn, bits).clz())


@sized(insn)("cls Rd, Rn", "sf 1 0 11010110 00000 000101 Rn Rd")
def cls(m: Tracer, bits: int, Rn: Val, Rd: Val) -> None:
    """Count leading copies of the sign, itself not counted."""
    value = read(m, Rn, bits)
    write(m, Rd, (value ^ value.asr(1)).clz() - 1)


# -- Logical (shifted register)
insn = aarch64.extension("Logical (shifted register)", "8.0", TITLE)


def _shifted(value: Val, kind: int, amount: Val) -> Val:
    """LSL, LSR, ASR or ROR ("ShiftReg" of the shared pseudocode)."""
    if kind == 0:
        return value << amount
    if kind == 1:
        return value >> amount
    return value.asr(amount) if kind == 2 else value.rotr(amount)


@sized(insn)("and Rd, Rn, Rm{, logical_shift #imm6}", "sf 00 01010 logical_shift 0 Rm imm6 Rn Rd")
def and_(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """And with a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) & _shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("bic Rd, Rn, Rm{, logical_shift #imm6}", "sf 00 01010 logical_shift 1 Rm imm6 Rn Rd")
def bic(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Clear the bits that are set in a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) & ~_shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("orr Rd, Rn, Rm{, logical_shift #imm6}", "sf 01 01010 logical_shift 0 Rm imm6 Rn Rd")
def orr(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Or with a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) | _shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("orn Rd, Rn, Rm{, logical_shift #imm6}", "sf 01 01010 logical_shift 1 Rm imm6 Rn Rd")
def orn(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Or with the inverse of a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) | ~_shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("eor Rd, Rn, Rm{, logical_shift #imm6}", "sf 10 01010 logical_shift 0 Rm imm6 Rn Rd")
def eor(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Exclusive or with a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) ^ _shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("eon Rd, Rn, Rm{, logical_shift #imm6}", "sf 10 01010 logical_shift 1 Rm imm6 Rn Rd")
def eon(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Exclusive or with the inverse of a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) ^ ~_shifted(read(m, Rm, bits), logical_shift, imm6))


@sized(insn)("ands Rd, Rn, Rm{, logical_shift #imm6}", "sf 11 01010 logical_shift 0 Rm imm6 Rn Rd")
def ands(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """And with a register, shifted by a constant, and set the flags."""
    result = read(m, Rn, bits) & _shifted(read(m, Rm, bits), logical_shift, imm6)
    write(m, Rd, result)
    set_flags(m, after_logic(m, result))


@sized(insn)("bics Rd, Rn, Rm{, logical_shift #imm6}", "sf 11 01010 logical_shift 1 Rm imm6 Rn Rd")
def bics(m: Tracer, bits: int, logical_shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Clear the bits that are set in a register, shifted by a constant, and set the flags."""
    result = read(m, Rn, bits) & ~_shifted(read(m, Rm, bits), logical_shift, imm6)
    write(m, Rd, result)
    set_flags(m, after_logic(m, result))


# -- Add/subtract (shifted register)
insn = aarch64.extension("Add/subtract (shifted register)", "8.0", TITLE)


@sized(insn)("add Rd, Rn, Rm{, shift #imm6}", "sf 00 01011 shift 0 Rm imm6 Rn Rd")
def add(m: Tracer, bits: int, shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Add a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) + _shifted(read(m, Rm, bits), shift, imm6))


@sized(insn)("adds Rd, Rn, Rm{, shift #imm6}", "sf 01 01011 shift 0 Rm imm6 Rn Rd")
def adds(m: Tracer, bits: int, shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Add a register, shifted by a constant, and set the flags."""
    result, flags = after_add(read(m, Rn, bits), _shifted(read(m, Rm, bits), shift, imm6))
    write(m, Rd, result)
    set_flags(m, flags)


@sized(insn)("sub Rd, Rn, Rm{, shift #imm6}", "sf 10 01011 shift 0 Rm imm6 Rn Rd")
def sub(m: Tracer, bits: int, shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Subtract a register, shifted by a constant."""
    write(m, Rd, read(m, Rn, bits) - _shifted(read(m, Rm, bits), shift, imm6))


@sized(insn)("subs Rd, Rn, Rm{, shift #imm6}", "sf 11 01011 shift 0 Rm imm6 Rn Rd")
def subs(m: Tracer, bits: int, shift: int, Rm: Val, imm6: Val, Rn: Val, Rd: Val) -> None:
    """Subtract a register, shifted by a constant, and set the flags."""
    result, flags = after_sub(read(m, Rn, bits), _shifted(read(m, Rm, bits), shift, imm6))
    write(m, Rd, result)
    set_flags(m, flags)


# -- Add/subtract (extended register)
insn = aarch64.extension("Add/subtract (extended register)", "8.0", TITLE)

_EXTENDED = "Rm option imm3[2:0]!={5,6,7}"


def _extended(m: Tracer, bits: int, Rm: Val, option: int, imm3: Val) -> Val:
    """A byte, half word, word or double word of a register, extended and shifted left ("ExtendReg")."""
    value = m.x[Rm].trunc(min(bits, 8 << (option & 3)))
    return (value.sext(bits) if option & 4 else value.zext(bits)) << imm3


@sized(insn)("add Rd_sp, Rn_sp, Rm_option{, R_extend{ #imm3}}", f"sf 00 01011 00 1 {_EXTENDED} Rn_sp Rd_sp")
def add_extended(m: Tracer, bits: int, Rm: Val, option: int, imm3: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Add a register, extended and shifted left by up to 4."""
    write(m, Rd_sp, read(m, Rn_sp, bits) + _extended(m, bits, Rm, option, imm3))


@sized(insn)("adds Rd, Rn_sp, Rm_option{, R_extend{ #imm3}}", f"sf 01 01011 00 1 {_EXTENDED} Rn_sp Rd")
def adds_extended(m: Tracer, bits: int, Rm: Val, option: int, imm3: Val, Rn_sp: Val, Rd: Val) -> None:
    """Add a register, extended and shifted left by up to 4, and set the flags."""
    result, flags = after_add(read(m, Rn_sp, bits), _extended(m, bits, Rm, option, imm3))
    write(m, Rd, result)
    set_flags(m, flags)


@sized(insn)("sub Rd_sp, Rn_sp, Rm_option{, R_extend{ #imm3}}", f"sf 10 01011 00 1 {_EXTENDED} Rn_sp Rd_sp")
def sub_extended(m: Tracer, bits: int, Rm: Val, option: int, imm3: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Subtract a register, extended and shifted left by up to 4."""
    write(m, Rd_sp, read(m, Rn_sp, bits) - _extended(m, bits, Rm, option, imm3))


@sized(insn)("subs Rd, Rn_sp, Rm_option{, R_extend{ #imm3}}", f"sf 11 01011 00 1 {_EXTENDED} Rn_sp Rd")
def subs_extended(m: Tracer, bits: int, Rm: Val, option: int, imm3: Val, Rn_sp: Val, Rd: Val) -> None:
    """Subtract a register, extended and shifted left by up to 4, and set the flags."""
    result, flags = after_sub(read(m, Rn_sp, bits), _extended(m, bits, Rm, option, imm3))
    write(m, Rd, result)
    set_flags(m, flags)


# -- Add/subtract (with carry)
insn = aarch64.extension("Add/subtract (with carry)", "8.0", TITLE)


@sized(insn)("adc Rd, Rn, Rm", "sf 00 11010000 Rm 000000 Rn Rd")
def adc(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Add a register and the carry."""
    write(m, Rd, read(m, Rn, bits) + read(m, Rm, bits) + carry(m).zext(bits))


@sized(insn)("adcs Rd, Rn, Rm", "sf 01 11010000 Rm 000000 Rn Rd")
def adcs(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Add a register and the carry, and set the flags."""
    result, flags = after_add(read(m, Rn, bits), read(m, Rm, bits), carry(m))
    write(m, Rd, result)
    set_flags(m, flags)


@sized(insn)("sbc Rd, Rn, Rm", "sf 10 11010000 Rm 000000 Rn Rd")
def sbc(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Subtract a register, and 1 where the carry is clear."""
    write(m, Rd, read(m, Rn, bits) + ~read(m, Rm, bits) + carry(m).zext(bits))


@sized(insn)("sbcs Rd, Rn, Rm", "sf 11 11010000 Rm 000000 Rn Rd")
def sbcs(m: Tracer, bits: int, Rm: Val, Rn: Val, Rd: Val) -> None:
    """Subtract a register, and 1 where the carry is clear, and set the flags."""
    result, flags = after_add(read(m, Rn, bits), ~read(m, Rm, bits), carry(m))
    write(m, Rd, result)
    set_flags(m, flags)


# -- Conditional compare (register)
insn = aarch64.extension("Conditional compare (register)", "8.0", TITLE)


def _compare(m: Tracer, a: Val, b: Val, *, negated: bool, cond: int, nzcv: Val) -> None:
    """Set the flags of a comparison where the condition holds, else to nzcv."""
    _, flags = after_add(a, b) if negated else after_sub(a, b)
    yes = holds(m, cond)
    n, z, c, v = (m.select(yes, flag, nzcv[3 - place]) for place, flag in enumerate(flags))
    set_flags(m, (n, z, c, v))


@sized(insn)("ccmn Rn, Rm, #nzcv, cond", "sf 0 1 11010010 Rm cond 0 0 Rn 0 nzcv")
def ccmn(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, nzcv: Val) -> None:
    """Compare with the negative of a register if a condition holds, else set the flags to a constant."""
    _compare(m, read(m, Rn, bits), read(m, Rm, bits), negated=True, cond=cond, nzcv=nzcv)


@sized(insn)("ccmp Rn, Rm, #nzcv, cond", "sf 1 1 11010010 Rm cond 0 0 Rn 0 nzcv")
def ccmp(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, nzcv: Val) -> None:
    """Compare with a register if a condition holds, else set the flags to a constant."""
    _compare(m, read(m, Rn, bits), read(m, Rm, bits), negated=False, cond=cond, nzcv=nzcv)


# -- Conditional compare (immediate)
insn = aarch64.extension("Conditional compare (immediate)", "8.0", TITLE)


@sized(insn)("ccmn Rn, #imm5, #nzcv, cond", "sf 0 1 11010010 imm5 cond 1 0 Rn 0 nzcv")
def ccmn_immediate(m: Tracer, bits: int, imm5: Val, cond: int, Rn: Val, nzcv: Val) -> None:
    """Compare with the negative of an immediate if a condition holds, else set the flags to a constant."""
    _compare(m, read(m, Rn, bits), imm5.zext(bits), negated=True, cond=cond, nzcv=nzcv)


@sized(insn)("ccmp Rn, #imm5, #nzcv, cond", "sf 1 1 11010010 imm5 cond 1 0 Rn 0 nzcv")
def ccmp_immediate(m: Tracer, bits: int, imm5: Val, cond: int, Rn: Val, nzcv: Val) -> None:
    """Compare with an immediate if a condition holds, else set the flags to a constant."""
    _compare(m, read(m, Rn, bits), imm5.zext(bits), negated=False, cond=cond, nzcv=nzcv)


# -- Conditional select
insn = aarch64.extension("Conditional select", "8.0", TITLE)


@sized(insn)("csel Rd, Rn, Rm, cond", "sf 0 0 11010100 Rm cond 0 0 Rn Rd")
def csel(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, Rd: Val) -> None:
    """Rn if a condition holds, else Rm."""
    write(m, Rd, m.select(holds(m, cond), read(m, Rn, bits), read(m, Rm, bits)))


@sized(insn)("csinc Rd, Rn, Rm, cond", "sf 0 0 11010100 Rm cond 0 1 Rn Rd")
def csinc(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, Rd: Val) -> None:
    """Rn if a condition holds, else Rm + 1."""
    write(m, Rd, m.select(holds(m, cond), read(m, Rn, bits), read(m, Rm, bits) + 1))


@sized(insn)("csinv Rd, Rn, Rm, cond", "sf 1 0 11010100 Rm cond 0 0 Rn Rd")
def csinv(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, Rd: Val) -> None:
    """Rn if a condition holds, else the inverse of Rm."""
    write(m, Rd, m.select(holds(m, cond), read(m, Rn, bits), ~read(m, Rm, bits)))


@sized(insn)("csneg Rd, Rn, Rm, cond", "sf 1 0 11010100 Rm cond 0 1 Rn Rd")
def csneg(m: Tracer, bits: int, Rm: Val, cond: int, Rn: Val, Rd: Val) -> None:
    """Rn if a condition holds, else the negative of Rm."""
    write(m, Rd, m.select(holds(m, cond), read(m, Rn, bits), -read(m, Rm, bits)))


# -- Data-processing (3 source)
insn = aarch64.extension("Data-processing (3 source)", "8.0", TITLE)


@sized(insn)("madd Rd, Rn, Rm, Ra", "sf 00 11011000 Rm 0 Ra Rn Rd")
def madd(m: Tracer, bits: int, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Add a product to Ra."""
    write(m, Rd, read(m, Ra, bits) + read(m, Rn, bits) * read(m, Rm, bits))


@sized(insn)("msub Rd, Rn, Rm, Ra", "sf 00 11011000 Rm 1 Ra Rn Rd")
def msub(m: Tracer, bits: int, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Subtract a product from Ra."""
    write(m, Rd, read(m, Ra, bits) - read(m, Rn, bits) * read(m, Rm, bits))


@insn("smaddl Xd, Wn, Wm, Xa", "1 00 11011001 Rm 0 Ra Rn Rd")
def smaddl(m: Tracer, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Add the product of two signed words to Ra."""
    m.x[Rd] = m.x[Ra] + read(m, Rn, 32).sext(64) * read(m, Rm, 32).sext(64)


@insn("smsubl Xd, Wn, Wm, Xa", "1 00 11011001 Rm 1 Ra Rn Rd")
def smsubl(m: Tracer, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Subtract the product of two signed words from Ra."""
    m.x[Rd] = m.x[Ra] - read(m, Rn, 32).sext(64) * read(m, Rm, 32).sext(64)


@insn("smulh Xd, Xn, Xm", "1 00 11011010 Rm 0 11111 Rn Rd")
def smulh(m: Tracer, Rm: Val, Rn: Val, Rd: Val) -> None:
    """The high half of the product of two signed double words."""
    m.x[Rd] = (m.x[Rn].sext(128) * m.x[Rm].sext(128))[127:64]


@insn("umaddl Xd, Wn, Wm, Xa", "1 00 11011101 Rm 0 Ra Rn Rd")
def umaddl(m: Tracer, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Add the product of two unsigned words to Ra."""
    m.x[Rd] = m.x[Ra] + read(m, Rn, 32).zext(64) * read(m, Rm, 32).zext(64)


@insn("umsubl Xd, Wn, Wm, Xa", "1 00 11011101 Rm 1 Ra Rn Rd")
def umsubl(m: Tracer, Rm: Val, Ra: Val, Rn: Val, Rd: Val) -> None:
    """Subtract the product of two unsigned words from Ra."""
    m.x[Rd] = m.x[Ra] - read(m, Rn, 32).zext(64) * read(m, Rm, 32).zext(64)


@insn("umulh Xd, Xn, Xm", "1 00 11011110 Rm 0 11111 Rn Rd")
def umulh(m: Tracer, Rm: Val, Rn: Val, Rd: Val) -> None:
    """The high half of the product of two unsigned double words."""
    m.x[Rd] = (m.x[Rn].zext(128) * m.x[Rm].zext(128))[127:64]
