"""Zbb: basic bit manipulation, from the manual's chapter B. zext.h is a special case of Zbkb's packw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zbb", "1.0.0", "Basic bit manipulation")


# -- Logic with negate
@insn("andn rd, rs1, rs2", "0100000 rs2 rs1 111 rd 0110011")
def andn(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """And with the inverse of rs2."""
    m.x[rd] = m.x[rs1] & ~m.x[rs2]


@insn("orn rd, rs1, rs2", "0100000 rs2 rs1 110 rd 0110011")
def orn(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Or with the inverse of rs2."""
    m.x[rd] = m.x[rs1] | ~m.x[rs2]


@insn("xnor rd, rs1, rs2", "0100000 rs2 rs1 100 rd 0110011")
def xnor(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Exclusive nor."""
    m.x[rd] = ~(m.x[rs1] ^ m.x[rs2])


# -- Counting
@insn("clz rd, rs1", "0110000 00000 rs1 001 rd 0010011")
def clz(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count leading zeros; 64 for zero."""
    m.x[rd] = m.x[rs1].clz()


@insn("clzw rd, rs1", "0110000 00000 rs1 001 rd 0011011")
def clzw(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count leading zeros of the low word; 32 for zero."""
    m.x[rd] = m.x[rs1][31:0].clz().zext(64)


@insn("ctz rd, rs1", "0110000 00001 rs1 001 rd 0010011")
def ctz(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count trailing zeros; 64 for zero."""
    m.x[rd] = m.x[rs1].ctz()


@insn("ctzw rd, rs1", "0110000 00001 rs1 001 rd 0011011")
def ctzw(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count trailing zeros of the low word; 32 for zero."""
    m.x[rd] = m.x[rs1][31:0].ctz().zext(64)


@insn("cpop rd, rs1", "0110000 00010 rs1 001 rd 0010011")
def cpop(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count set bits."""
    m.x[rd] = m.x[rs1].popcount()


@insn("cpopw rd, rs1", "0110000 00010 rs1 001 rd 0011011")
def cpopw(m: Tracer, rd: Val, rs1: Val) -> None:
    """Count set bits of the low word."""
    m.x[rd] = m.x[rs1][31:0].popcount().zext(64)


# -- Minimum and maximum
@insn("max rd, rs1, rs2", "0000101 rs2 rs1 110 rd 0110011")
def max(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The greater of two signed numbers."""
    a, b = m.x[rs1], m.x[rs2]
    m.x[rd] = m.select(a.slt(b), b, a)


@insn("maxu rd, rs1, rs2", "0000101 rs2 rs1 111 rd 0110011")
def maxu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The greater of two unsigned numbers."""
    a, b = m.x[rs1], m.x[rs2]
    m.x[rd] = m.select(a.ult(b), b, a)


@insn("min rd, rs1, rs2", "0000101 rs2 rs1 100 rd 0110011")
def min(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The lesser of two signed numbers."""
    a, b = m.x[rs1], m.x[rs2]
    m.x[rd] = m.select(a.slt(b), a, b)


@insn("minu rd, rs1, rs2", "0000101 rs2 rs1 101 rd 0110011")
def minu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The lesser of two unsigned numbers."""
    a, b = m.x[rs1], m.x[rs2]
    m.x[rd] = m.select(a.ult(b), a, b)


# -- Sign and zero extension
@insn("sext.b rd, rs1", "0110000 00100 rs1 001 rd 0010011")
def sext_b(m: Tracer, rd: Val, rs1: Val) -> None:
    """Sign-extend the low byte."""
    m.x[rd] = m.x[rs1][7:0].sext(64)


@insn("sext.h rd, rs1", "0110000 00101 rs1 001 rd 0010011")
def sext_h(m: Tracer, rd: Val, rs1: Val) -> None:
    """Sign-extend the low half word."""
    m.x[rd] = m.x[rs1][15:0].sext(64)


@insn("zext.h rd, rs1", "0000100 00000 rs1 100 rd 0111011")
def zext_h(m: Tracer, rd: Val, rs1: Val) -> None:
    """Zero-extend the low half word."""
    m.x[rd] = m.x[rs1][15:0].zext(64)


# -- Rotation
@insn("rol rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0110011")
def rol(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Rotate left by the low six bits of rs2."""
    m.x[rd] = m.x[rs1].rotl(m.x[rs2][5:0])


@insn("rolw rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0111011")
def rolw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Rotate the low word left by the low five bits of rs2; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].rotl(m.x[rs2][4:0]).sext(64)


@insn("ror rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0110011")
def ror(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Rotate right by the low six bits of rs2."""
    m.x[rd] = m.x[rs1].rotr(m.x[rs2][5:0])


@insn("rori rd, rs1, shamt", "011000 shamt[5:0] rs1 101 rd 0010011")
def rori(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Rotate right by a constant."""
    m.x[rd] = m.x[rs1].rotr(shamt)


@insn("roriw rd, rs1, shamt", "0110000 shamt[4:0] rs1 101 rd 0011011")
def roriw(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Rotate the low word right by a constant; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].rotr(shamt).sext(64)


@insn("rorw rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0111011")
def rorw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Rotate the low word right by the low five bits of rs2; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].rotr(m.x[rs2][4:0]).sext(64)


# -- Bytes
@insn("orc.b rd, rs1", "001010000111 rs1 101 rd 0010011")
def orc_b(m: Tracer, rd: Val, rs1: Val) -> None:
    """Set every byte that is not zero to all ones."""
    a = m.x[rs1]
    low = 0x7F7F_7F7F_7F7F_7F7F
    # The top bit of each byte: its low seven bits, unless all zero, carry into it, or it was set itself.
    top = (((a & low) + low) | a) & 0x8080_8080_8080_8080
    m.x[rd] = (top << 1) - (top >> 7)


@insn("rev8 rd, rs1", "011010111000 rs1 101 rd 0010011")
def rev8(m: Tracer, rd: Val, rs1: Val) -> None:
    """Reverse the order of the bytes."""
    m.x[rd] = m.x[rs1].bswap()
