"""Zicond: integer conditional operations, the manual's chapter Zicond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zicond", "1.0.0", "Integer conditional operations")


@insn("czero.eqz rd, rs1, rs2", "0000111 rs2 rs1 101 rd 0110011")
def czero_eqz(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Zero if rs2 is zero, else rs1."""
    m.x[rd] = m.select(m.x[rs2] == 0, m.const(0, 64), m.x[rs1])


@insn("czero.nez rd, rs1, rs2", "0000111 rs2 rs1 111 rd 0110011")
def czero_nez(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Zero if rs2 is not zero, else rs1."""
    m.x[rd] = m.select(m.x[rs2] != 0, m.const(0, 64), m.x[rs1])
