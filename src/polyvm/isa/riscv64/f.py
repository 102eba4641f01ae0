"""F: single-precision floating point, with registers of 64 bits that hold boxed values, as with D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.fp import S, computations, write
from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("F", "2.2", "Single-precision floating point")


# -- Loads and stores, which take bits as they are
@insn("flw fd, imm(rs1)", "imm[11:0] rs1 010 fd 0000111")
def flw(m: Tracer, fd: Val, rs1: Val, imm: Val) -> None:
    """Load a word."""
    write(m, fd, m.load(m.x[rs1] + imm.sext(64), 32))


@insn("fsw fs2, imm(rs1)", "imm[11:5] fs2 rs1 010 imm[4:0] 0100111")
def fsw(m: Tracer, rs1: Val, fs2: Val, imm: Val) -> None:
    """Store the low word, boxed or not."""
    m.store(m.x[rs1] + imm.sext(64), m.f[fs2][31:0])


# -- Computations and conversions
computations(insn, S)


# -- Moves of bits, without conversion and without boxing checks
@insn("fmv.x.w rd, fs1", "1110000 00000 fs1 000 rd 1010011")
def fmv_x_w(m: Tracer, rd: Val, fs1: Val) -> None:
    """Copy the low word to an integer register, sign-extended."""
    m.x[rd] = m.f[fs1][31:0].sext(64)


@insn("fmv.w.x fd, rs1", "1111000 00000 rs1 000 fd 1010011")
def fmv_w_x(m: Tracer, fd: Val, rs1: Val) -> None:
    """Copy the low word of an integer register."""
    write(m, fd, m.x[rs1][31:0])
