"""Zbs: single-bit instructions, from the manual's chapter B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zbs", "1.0.0", "Single-bit instructions")


def _bit(m: Tracer, number: Val) -> Val:
    """A double word with one bit set."""
    return m.const(1, 64) << number


@insn("bclr rd, rs1, rs2", "0100100 rs2 rs1 001 rd 0110011")
def bclr(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Clear the bit that the low six bits of rs2 number."""
    m.x[rd] = m.x[rs1] & ~_bit(m, m.x[rs2][5:0])


@insn("bclri rd, rs1, shamt", "010010 shamt[5:0] rs1 001 rd 0010011")
def bclri(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Clear a bit."""
    m.x[rd] = m.x[rs1] & ~_bit(m, shamt)


@insn("bext rd, rs1, rs2", "0100100 rs2 rs1 101 rd 0110011")
def bext(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """The bit that the low six bits of rs2 number, as 0 or 1."""
    m.x[rd] = (m.x[rs1] >> m.x[rs2][5:0]) & 1


@insn("bexti rd, rs1, shamt", "010010 shamt[5:0] rs1 101 rd 0010011")
def bexti(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """A bit, as 0 or 1."""
    m.x[rd] = (m.x[rs1] >> shamt) & 1


@insn("binv rd, rs1, rs2", "0110100 rs2 rs1 001 rd 0110011")
def binv(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Invert the bit that the low six bits of rs2 number."""
    m.x[rd] = m.x[rs1] ^ _bit(m, m.x[rs2][5:0])


@insn("binvi rd, rs1, shamt", "011010 shamt[5:0] rs1 001 rd 0010011")
def binvi(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Invert a bit."""
    m.x[rd] = m.x[rs1] ^ _bit(m, shamt)


@insn("bset rd, rs1, rs2", "0010100 rs2 rs1 001 rd 0110011")
def bset(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Set the bit that the low six bits of rs2 number."""
    m.x[rd] = m.x[rs1] | _bit(m, m.x[rs2][5:0])


@insn("bseti rd, rs1, shamt", "001010 shamt[5:0] rs1 001 rd 0010011")
def bseti(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Set a bit."""
    m.x[rd] = m.x[rs1] | _bit(m, shamt)
