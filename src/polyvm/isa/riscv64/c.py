"""C: compressed instructions, in the order of the tables of the manual's chapter C: quadrants 0, 1 and 2.

Every body is that of a base instruction. HINTs (rd = x0, or an immediate of zero) need no rule of their own:
the base instruction does nothing then. What the manual reserves is excluded and does not decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64 import base, d
from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("C", "2.0", "Compressed instructions")


def _x(m: Tracer, number: int) -> Val:
    """A register operand that the encoding implies."""
    return m.const(number, 5)


ZERO, RA, SP = 0, 1, 2


# -- Quadrant 0. Offsets are unsigned here; zext makes the base bodies' sext(64) keep them so.
@insn("c.addi4spn rd', sp, nzuimm", "000 nzuimm[5:4|9:6|2|3]!=0 rd' 00")
def c_addi4spn(m: Tracer, rd_: Val, nzuimm: Val) -> None:
    """Add a multiple of four to the stack pointer: the address of a local variable."""
    base.addi(m, rd_, _x(m, SP), nzuimm.zext(64))


@insn("c.lw rd', uimm(rs1')", "010 uimm[5:3] rs1' uimm[2|6] rd' 00")
def c_lw(m: Tracer, rd_: Val, rs1_: Val, uimm: Val) -> None:
    """Load a word, sign-extended."""
    base.lw(m, rd_, rs1_, uimm.zext(64))


@insn("c.ld rd', uimm(rs1')", "011 uimm[5:3] rs1' uimm[7:6] rd' 00")
def c_ld(m: Tracer, rd_: Val, rs1_: Val, uimm: Val) -> None:
    """Load a double word."""
    base.ld(m, rd_, rs1_, uimm.zext(64))


@insn("c.sw rs2', uimm(rs1')", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00")
def c_sw(m: Tracer, rs2_: Val, rs1_: Val, uimm: Val) -> None:
    """Store a word."""
    base.sw(m, rs1_, rs2_, uimm.zext(64))


@insn("c.sd rs2', uimm(rs1')", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00")
def c_sd(m: Tracer, rs2_: Val, rs1_: Val, uimm: Val) -> None:
    """Store a double word."""
    base.sd(m, rs1_, rs2_, uimm.zext(64))


# -- Quadrant 1
@insn("c.nop", "000 0 00000 00000 01")
def c_nop(m: Tracer) -> None:
    """Do nothing."""


@insn("c.addi rd, nzimm", "000 nzimm[5] rd nzimm[4:0] 01")
def c_addi(m: Tracer, rd: Val, nzimm: Val) -> None:
    """Add a 6-bit immediate to rd. With rd = x0 or an immediate of 0 it is a HINT."""
    base.addi(m, rd, rd, nzimm)


@insn("c.addiw rd, imm", "001 imm[5] rd!=0 imm[4:0] 01")
def c_addiw(m: Tracer, rd: Val, imm: Val) -> None:
    """Add a 6-bit immediate to the low word of rd; the result is sign-extended."""
    base.addiw(m, rd, rd, imm)


@insn("c.li rd, imm", "010 imm[5] rd imm[4:0] 01")
def c_li(m: Tracer, rd: Val, imm: Val) -> None:
    """Load a 6-bit immediate. With rd = x0 it is a HINT."""
    base.addi(m, rd, _x(m, ZERO), imm)


@insn("c.addi16sp sp, nzimm", "011 nzimm[9]!=0 00010 nzimm[4|6|8:7|5] 01")
def c_addi16sp(m: Tracer, nzimm: Val) -> None:
    """Add a multiple of sixteen to the stack pointer: enter or leave a function."""
    base.addi(m, _x(m, SP), _x(m, SP), nzimm)


@insn("c.lui rd, upper", "011 upper[17]!=0 rd!=2 upper[16:12] 01")
def c_lui(m: Tracer, rd: Val, upper: Val) -> None:
    """Load a sign-extended immediate into bits 17 to 12. With rd = x0 it is a HINT."""
    base.lui(m, rd, upper)


@insn("c.srli rd', shamt", "100 shamt[5] 00 rd' shamt[4:0] 01")
def c_srli(m: Tracer, rd_: Val, shamt: Val) -> None:
    """Shift right by a constant, zeros in. A shift by 0 is a HINT."""
    base.srli(m, rd_, rd_, shamt)


@insn("c.srai rd', shamt", "100 shamt[5] 01 rd' shamt[4:0] 01")
def c_srai(m: Tracer, rd_: Val, shamt: Val) -> None:
    """Shift right by a constant, sign in. A shift by 0 is a HINT."""
    base.srai(m, rd_, rd_, shamt)


@insn("c.andi rd', imm", "100 imm[5] 10 rd' imm[4:0] 01")
def c_andi(m: Tracer, rd_: Val, imm: Val) -> None:
    """And with a sign-extended 6-bit immediate."""
    base.andi(m, rd_, rd_, imm)


@insn("c.sub rd', rs2'", "100 0 11 rd' 00 rs2' 01")
def c_sub(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """Subtract rs2' from rd'."""
    base.sub(m, rd_, rd_, rs2_)


@insn("c.xor rd', rs2'", "100 0 11 rd' 01 rs2' 01")
def c_xor(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """Exclusive or."""
    base.xor(m, rd_, rd_, rs2_)


@insn("c.or rd', rs2'", "100 0 11 rd' 10 rs2' 01")
def c_or(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """Or."""
    base.or_(m, rd_, rd_, rs2_)


@insn("c.and rd', rs2'", "100 0 11 rd' 11 rs2' 01")
def c_and(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """And."""
    base.and_(m, rd_, rd_, rs2_)


@insn("c.subw rd', rs2'", "100 1 11 rd' 00 rs2' 01")
def c_subw(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """Subtract the low words; the result is sign-extended."""
    base.subw(m, rd_, rd_, rs2_)


@insn("c.addw rd', rs2'", "100 1 11 rd' 01 rs2' 01")
def c_addw(m: Tracer, rd_: Val, rs2_: Val) -> None:
    """Add the low words; the result is sign-extended."""
    base.addw(m, rd_, rd_, rs2_)


@insn("c.j offset", "101 offset[11|4|9:8|10|6|7|3:1|5] 01")
def c_j(m: Tracer, offset: Val) -> None:
    """Jump."""
    base.jal(m, _x(m, ZERO), offset)


@insn("c.beqz rs1', offset", "110 offset[8|4:3] rs1' offset[7:6|2:1|5] 01")
def c_beqz(m: Tracer, rs1_: Val, offset: Val) -> None:
    """Branch if zero."""
    base.beq(m, rs1_, _x(m, ZERO), offset)


@insn("c.bnez rs1', offset", "111 offset[8|4:3] rs1' offset[7:6|2:1|5] 01")
def c_bnez(m: Tracer, rs1_: Val, offset: Val) -> None:
    """Branch if not zero."""
    base.bne(m, rs1_, _x(m, ZERO), offset)


# -- Quadrant 2
@insn("c.slli rd, shamt", "000 shamt[5] rd shamt[4:0] 10")
def c_slli(m: Tracer, rd: Val, shamt: Val) -> None:
    """Shift left by a constant. With rd = x0 or a shift by 0 it is a HINT."""
    base.slli(m, rd, rd, shamt)


@insn("c.lwsp rd, uimm(sp)", "010 uimm[5] rd!=0 uimm[4:2|7:6] 10")
def c_lwsp(m: Tracer, rd: Val, uimm: Val) -> None:
    """Load a word from the stack, sign-extended."""
    base.lw(m, rd, _x(m, SP), uimm.zext(64))


@insn("c.ldsp rd, uimm(sp)", "011 uimm[5] rd!=0 uimm[4:3|8:6] 10")
def c_ldsp(m: Tracer, rd: Val, uimm: Val) -> None:
    """Load a double word from the stack."""
    base.ld(m, rd, _x(m, SP), uimm.zext(64))


@insn("c.jr rs1", "100 0 rs1!=0 00000 10")
def c_jr(m: Tracer, rs1: Val) -> None:
    """Jump to a register; c.jr ra returns."""
    base.jalr(m, _x(m, ZERO), rs1, m.const(0, 12))


@insn("c.mv rd, rs2", "100 0 rd rs2!=0 10")
def c_mv(m: Tracer, rd: Val, rs2: Val) -> None:
    """Copy a register. With rd = x0 it is a HINT."""
    base.add(m, rd, _x(m, ZERO), rs2)


@insn("c.ebreak", "100 1 00000 00000 10")
def c_ebreak(m: Tracer) -> None:
    """Breakpoint."""
    base.ebreak(m)


@insn("c.jalr rs1", "100 1 rs1!=0 00000 10")
def c_jalr(m: Tracer, rs1: Val) -> None:
    """Jump to a register and link."""
    base.jalr(m, _x(m, RA), rs1, m.const(0, 12))


@insn("c.add rd, rs2", "100 1 rd rs2!=0 10")
def c_add(m: Tracer, rd: Val, rs2: Val) -> None:
    """Add rs2 to rd. With rd = x0 it is a HINT."""
    base.add(m, rd, rd, rs2)


@insn("c.swsp rs2, uimm(sp)", "110 uimm[5:2|7:6] rs2 10")
def c_swsp(m: Tracer, rs2: Val, uimm: Val) -> None:
    """Store a word to the stack."""
    base.sw(m, _x(m, SP), rs2, uimm.zext(64))


@insn("c.sdsp rs2, uimm(sp)", "111 uimm[5:3|8:6] rs2 10")
def c_sdsp(m: Tracer, rs2: Val, uimm: Val) -> None:
    """Store a double word to the stack."""
    base.sd(m, _x(m, SP), rs2, uimm.zext(64))


# -- Floating-point loads and stores (c.fld, c.fsd, c.fldsp, c.fsdsp)
@insn("c.fld fd', uimm(rs1')", "001 uimm[5:3] rs1' uimm[7:6] fd' 00")
def c_fld(m: Tracer, fd_: Val, rs1_: Val, uimm: Val) -> None:
    """Load a double-precision number."""
    d.fld(m, fd_, rs1_, uimm.zext(64))


@insn("c.fsd fs2', uimm(rs1')", "101 uimm[5:3] rs1' uimm[7:6] fs2' 00")
def c_fsd(m: Tracer, fs2_: Val, rs1_: Val, uimm: Val) -> None:
    """Store a double-precision number."""
    d.fsd(m, rs1_, fs2_, uimm.zext(64))


@insn("c.fldsp fd, uimm(sp)", "001 uimm[5] fd uimm[4:3|8:6] 10")
def c_fldsp(m: Tracer, fd: Val, uimm: Val) -> None:
    """Load a double-precision number from the stack."""
    d.fld(m, fd, _x(m, SP), uimm.zext(64))


@insn("c.fsdsp fs2, uimm(sp)", "101 uimm[5:3|8:6] fs2 10")
def c_fsdsp(m: Tracer, fs2: Val, uimm: Val) -> None:
    """Store a double-precision number to the stack."""
    d.fsd(m, _x(m, SP), fs2, uimm.zext(64))
