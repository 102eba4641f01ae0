"""M: integer multiplication and division, the manual's chapter M.

The corners (division by zero, the minimum by -1) are those of the ops, which were chosen alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("M", "2.0", "Integer multiplication and division")


# -- Multiplication
@insn("mul rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0110011")
def mul(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The low half of the product."""
    m.x[rd] = m.x[rs1] * m.x[rs2]


@insn("mulh rd, rs1, rs2", "0000001 rs2 rs1 001 rd 0110011")
def mulh(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The high half of the product of two signed numbers."""
    m.x[rd] = (m.x[rs1].sext(128) * m.x[rs2].sext(128))[127:64]


@insn("mulhsu rd, rs1, rs2", "0000001 rs2 rs1 010 rd 0110011")
def mulhsu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The high half of the product of signed rs1 and unsigned rs2."""
    m.x[rd] = (m.x[rs1].sext(128) * m.x[rs2].zext(128))[127:64]


@insn("mulhu rd, rs1, rs2", "0000001 rs2 rs1 011 rd 0110011")
def mulhu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The high half of the product of two unsigned numbers."""
    m.x[rd] = (m.x[rs1].zext(128) * m.x[rs2].zext(128))[127:64]


@insn("mulw rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0111011")
def mulw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The product of the low words; the low word of it is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] * m.x[rs2][31:0]).sext(64)


# -- Division
@insn("div rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0110011")
def div(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Divide signed numbers, towards zero; by zero it gives -1."""
    m.x[rd] = m.x[rs1].sdiv(m.x[rs2])


@insn("divu rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0110011")
def divu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Divide unsigned numbers; by zero it gives all ones."""
    m.x[rd] = m.x[rs1].udiv(m.x[rs2])


@insn("rem rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0110011")
def rem(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The remainder of signed numbers, with the sign of rs1; by zero it gives rs1."""
    m.x[rd] = m.x[rs1].srem(m.x[rs2])


@insn("remu rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0110011")
def remu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The remainder of unsigned numbers; by zero it gives rs1."""
    m.x[rd] = m.x[rs1].urem(m.x[rs2])


@insn("divw rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0111011")
def divw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Divide the low words as signed numbers; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].sdiv(m.x[rs2][31:0]).sext(64)


@insn("divuw rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0111011")
def divuw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Divide the low words as unsigned numbers; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].udiv(m.x[rs2][31:0]).sext(64)


@insn("remw rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0111011")
def remw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The remainder of the low words as signed numbers; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].srem(m.x[rs2][31:0]).sext(64)


@insn("remuw rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0111011")
def remuw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The remainder of the low words as unsigned numbers; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].urem(m.x[rs2][31:0]).sext(64)
