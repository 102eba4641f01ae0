"""Zbkx: crossbar permutations, from the manual's chapter B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zbkx", "1.0.0", "Crossbar permutations")


@insn("xperm4 rd, rs1, rs2", "0010100 rs2 rs1 010 rd 0110011")
def xperm4(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Look the nibbles of rs1 up by the nibbles of rs2."""
    m.x[rd] = m.x[rs1].permute(m.x[rs2], 4)


@insn("xperm8 rd, rs1, rs2", "0010100 rs2 rs1 100 rd 0110011")
def xperm8(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Look the bytes of rs1 up by the bytes of rs2; an index past the end gives 0."""
    m.x[rd] = m.x[rs1].permute(m.x[rs2], 8)
