"""Zbc: carry-less multiplication, from the manual's chapter B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zbc", "1.0.0", "Carry-less multiplication")


@insn("clmul rd, rs1, rs2", "0000101 rs2 rs1 001 rd 0110011")
def clmul(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The low half of the carry-less product."""
    m.x[rd] = m.x[rs1].clmul(m.x[rs2])[63:0]


@insn("clmulh rd, rs1, rs2", "0000101 rs2 rs1 011 rd 0110011")
def clmulh(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The high half of the carry-less product."""
    m.x[rd] = m.x[rs1].clmul(m.x[rs2])[127:64]


@insn("clmulr rd, rs1, rs2", "0000101 rs2 rs1 010 rd 0110011")
def clmulr(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Bits 126 to 63 of the carry-less product: the low half when bits are numbered the other way round."""
    m.x[rd] = m.x[rs1].clmul(m.x[rs2])[126:63]
