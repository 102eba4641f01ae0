"""Zfh: half-precision floating point. Zfhmin is its loads, stores, moves and conversions between formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.fp import D, H, S, computations, convert, write
from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zfh", "1.0", "Half-precision floating point")


# -- Loads and stores, which take bits as they are
@insn("flh fd, imm(rs1)", "imm[11:0] rs1 001 fd 0000111")
def flh(m: Tracer, fd: Val, rs1: Val, imm: Val) -> None:
    """Load a half word."""
    write(m, fd, m.load(m.x[rs1] + imm.sext(64), 16))


@insn("fsh fs2, imm(rs1)", "imm[11:5] fs2 rs1 001 imm[4:0] 0100111")
def fsh(m: Tracer, rs1: Val, fs2: Val, imm: Val) -> None:
    """Store the low half word, boxed or not."""
    m.store(m.x[rs1] + imm.sext(64), m.f[fs2][15:0])


# -- Computations and conversions
computations(insn, H)


@insn("fcvt.s.h fd, fs1, rm", "0100000 00010 fs1 rm fd 1010011")
def fcvt_s_h(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From half to single precision, exactly."""
    convert(m, fd, fs1, rm, S, H)


@insn("fcvt.h.s fd, fs1, rm", "0100010 00000 fs1 rm fd 1010011")
def fcvt_h_s(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From single to half precision."""
    convert(m, fd, fs1, rm, H, S)


@insn("fcvt.d.h fd, fs1, rm", "0100001 00010 fs1 rm fd 1010011")
def fcvt_d_h(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From half to double precision, exactly."""
    convert(m, fd, fs1, rm, D, H)


@insn("fcvt.h.d fd, fs1, rm", "0100010 00001 fs1 rm fd 1010011")
def fcvt_h_d(m: Tracer, fd: Val, fs1: Val, rm: int) -> None:
    """From double to half precision, rounded once."""
    convert(m, fd, fs1, rm, H, D)


# -- Moves of bits, without conversion and without boxing checks
@insn("fmv.x.h rd, fs1", "1110010 00000 fs1 000 rd 1010011")
def fmv_x_h(m: Tracer, rd: Val, fs1: Val) -> None:
    """Copy the low half word to an integer register, sign-extended."""
    m.x[rd] = m.f[fs1][15:0].sext(64)


@insn("fmv.h.x fd, rs1", "1111010 00000 rs1 000 fd 1010011")
def fmv_h_x(m: Tracer, fd: Val, rs1: Val) -> None:
    """Copy the low half word of an integer register."""
    write(m, fd, m.x[rs1][15:0])
