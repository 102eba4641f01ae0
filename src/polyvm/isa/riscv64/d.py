"""D: double-precision floating point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.fp import D, S, computations, convert
from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("D", "2.2", "Double-precision floating point")


# -- Loads and stores
@insn("fld fd, imm(rs1)", "imm[11:0] rs1 011 fd 0000111")
def fld(m: Tracer, fd: Val, rs1: Val, imm: Val) -> None:
    """Load a double word."""
    m.f[fd] = m.load(m.x[rs1] + imm.sext(64), 64)


@insn("fsd fs2, imm(rs1)", "imm[11:5] fs2 rs1 011 imm[4:0] 0100111")
def fsd(m: Tracer, rs1: Val, fs2: Val, imm: Val) -> None:
    """Store a double word."""
    m.store(m.x[rs1] + imm.sext(64), m.f[fs2])


# -- Computations and conversions
computations(insn, D)


@insn("fcvt.s.d fd, fs1, rm", "0100000 00001 fs1 rm fd 1010011")
def fcvt_s_d(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From double to single precision."""
    convert(m, fd, fs1, rm, S, D)


@insn("fcvt.d.s fd, fs1, rm", "0100001 00000 fs1 rm fd 1010011")
def fcvt_d_s(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From single to double precision, exactly."""
    convert(m, fd, fs1, rm, D, S)


# -- Moves of bits
@insn("fmv.x.d rd, fs1", "1110001 00000 fs1 000 rd 1010011")
def fmv_x_d(m: Tracer, rd: Val, fs1: Val) -> None:
    """Copy the bits to an integer register."""
    m.x[rd] = m.f[fs1]


@insn("fmv.d.x fd, rs1", "1111001 00000 rs1 000 fd 1010011")
def fmv_d_x(m: Tracer, fd: Val, rs1: Val) -> None:
    """Copy the bits of an integer register."""
    m.f[fd] = m.x[rs1]
