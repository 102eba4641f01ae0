"""Zba: address generation, from the manual's chapter B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zba", "1.0.0", "Address generation")


@insn("add.uw rd, rs1, rs2", "0000100 rs2 rs1 000 rd 0111011")
def add_uw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add the zero-extended low word of rs1 to rs2."""
    m.x[rd] = m.x[rs1][31:0].zext(64) + m.x[rs2]


@insn("sh1add rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0110011")
def sh1add(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add rs1 times 2 to rs2."""
    m.x[rd] = (m.x[rs1] << 1) + m.x[rs2]


@insn("sh1add.uw rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0111011")
def sh1add_uw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add the zero-extended low word of rs1 times 2 to rs2."""
    m.x[rd] = (m.x[rs1][31:0].zext(64) << 1) + m.x[rs2]


@insn("sh2add rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0110011")
def sh2add(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add rs1 times 4 to rs2."""
    m.x[rd] = (m.x[rs1] << 2) + m.x[rs2]


@insn("sh2add.uw rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0111011")
def sh2add_uw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add the zero-extended low word of rs1 times 4 to rs2."""
    m.x[rd] = (m.x[rs1][31:0].zext(64) << 2) + m.x[rs2]


@insn("sh3add rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0110011")
def sh3add(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add rs1 times 8 to rs2."""
    m.x[rd] = (m.x[rs1] << 3) + m.x[rs2]


@insn("sh3add.uw rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0111011")
def sh3add_uw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add the zero-extended low word of rs1 times 8 to rs2."""
    m.x[rd] = (m.x[rs1][31:0].zext(64) << 3) + m.x[rs2]


@insn("slli.uw rd, rs1, shamt", "000010 shamt[5:0] rs1 001 rd 0011011")
def slli_uw(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift the zero-extended low word left by a constant."""
    m.x[rd] = m.x[rs1][31:0].zext(64) << shamt
