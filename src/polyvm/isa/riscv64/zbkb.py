"""Zbkb: bit manipulation for cryptography, from the manual's chapter B, without what Zbb has too.

rol, ror, rev8, andn, orn and xnor exist once, in zbb. zext.h there is packw with rs2 = x0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zbkb", "1.0.0", "Bit manipulation for cryptography")


@insn("brev8 rd, rs1", "011010000111 rs1 101 rd 0010011")
def brev8(m: Tracer, rd: Val, rs1: Val) -> None:
    """Reverse the bits of each byte."""
    m.x[rd] = m.x[rs1].bitrev().bswap()


@insn("pack rd, rs1, rs2", "0000100 rs2 rs1 100 rd 0110011")
def pack(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The low word of rs1, below the low word of rs2."""
    m.x[rd] = m.x[rs1][31:0].zext(64) | (m.x[rs2] << 32)


@insn("packh rd, rs1, rs2", "0000100 rs2 rs1 111 rd 0110011")
def packh(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The low byte of rs1, below the low byte of rs2; zeros above."""
    m.x[rd] = m.x[rs1][7:0].zext(64) | (m.x[rs2][7:0].zext(64) << 8)


@insn("packw rd, rs1, rs2", "0000100 rs2 rs1 100 rd 0111011")
def packw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The low half word of rs1, below the low half word of rs2; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][15:0].zext(32) | (m.x[rs2][31:0] << 16)).sext(64)
