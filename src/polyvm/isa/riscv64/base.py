"""RV64I: the base integer instruction set, in the order of the manual's chapters 2 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("I", "2.1", "Base integer instructions")


# -- Integer register-immediate instructions
@insn("addi rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011")
def addi(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Add a sign-extended 12-bit immediate."""
    m.x[rd] = m.x[rs1] + imm.sext(64)


@insn("slti rd, rs1, imm", "imm[11:0] rs1 010 rd 0010011")
def slti(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Set to 1 if less than a sign-extended immediate, as signed numbers."""
    m.x[rd] = m.x[rs1].slt(imm.sext(64)).zext(64)


@insn("sltiu rd, rs1, imm", "imm[11:0] rs1 011 rd 0010011")
def sltiu(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Set to 1 if less than a sign-extended immediate, as unsigned numbers."""
    m.x[rd] = m.x[rs1].ult(imm.sext(64)).zext(64)


@insn("xori rd, rs1, imm", "imm[11:0] rs1 100 rd 0010011")
def xori(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Exclusive or with a sign-extended immediate."""
    m.x[rd] = m.x[rs1] ^ imm.sext(64)


@insn("ori rd, rs1, imm", "imm[11:0] rs1 110 rd 0010011")
def ori(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Or with a sign-extended immediate."""
    m.x[rd] = m.x[rs1] | imm.sext(64)


@insn("andi rd, rs1, imm", "imm[11:0] rs1 111 rd 0010011")
def andi(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """And with a sign-extended immediate."""
    m.x[rd] = m.x[rs1] & imm.sext(64)


@insn("slli rd, rs1, shamt", "000000 shamt[5:0] rs1 001 rd 0010011")
def slli(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift left by a constant."""
    m.x[rd] = m.x[rs1] << shamt


@insn("srli rd, rs1, shamt", "000000 shamt[5:0] rs1 101 rd 0010011")
def srli(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift right by a constant, zeros in."""
    m.x[rd] = m.x[rs1] >> shamt


@insn("srai rd, rs1, shamt", "010000 shamt[5:0] rs1 101 rd 0010011")
def srai(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift right by a constant, sign in."""
    m.x[rd] = m.x[rs1].asr(shamt)


@insn("addiw rd, rs1, imm", "imm[11:0] rs1 000 rd 0011011")
def addiw(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Add an immediate to the low word; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] + imm.sext(32)).sext(64)


@insn("slliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 001 rd 0011011")
def slliw(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift the low word left by a constant; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] << shamt).sext(64)


@insn("srliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 101 rd 0011011")
def srliw(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift the low word right by a constant, zeros in; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] >> shamt).sext(64)


@insn("sraiw rd, rs1, shamt", "0100000 shamt[4:0] rs1 101 rd 0011011")
def sraiw(m: Tracer, rd: Val, rs1: Val, shamt: Val) -> None:
    """Shift the low word right by a constant, sign in; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].asr(shamt).sext(64)


@insn("lui rd, upper", "upper[31:12] rd 0110111")
def lui(m: Tracer, rd: Val, upper: Val) -> None:
    """Load a sign-extended immediate into bits 31 to 12; the low bits are zero."""
    m.x[rd] = upper.sext(64)


@insn("auipc rd, upper", "upper[31:12] rd 0010111")
def auipc(m: Tracer, rd: Val, upper: Val) -> None:
    """Add an upper immediate to the program counter."""
    m.x[rd] = m.pc + upper.sext(64)


# -- Integer register-register instructions
@insn("add rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0110011")
def add(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add."""
    m.x[rd] = m.x[rs1] + m.x[rs2]


@insn("sub rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0110011")
def sub(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Subtract."""
    m.x[rd] = m.x[rs1] - m.x[rs2]


@insn("sll rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0110011")
def sll(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift left by the low six bits of rs2."""
    m.x[rd] = m.x[rs1] << m.x[rs2][5:0]


@insn("slt rd, rs1, rs2", "0000000 rs2 rs1 010 rd 0110011")
def slt(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Set to 1 if less, as signed numbers."""
    m.x[rd] = m.x[rs1].slt(m.x[rs2]).zext(64)


@insn("sltu rd, rs1, rs2", "0000000 rs2 rs1 011 rd 0110011")
def sltu(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Set to 1 if less, as unsigned numbers."""
    m.x[rd] = m.x[rs1].ult(m.x[rs2]).zext(64)


@insn("xor rd, rs1, rs2", "0000000 rs2 rs1 100 rd 0110011")
def xor(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Exclusive or."""
    m.x[rd] = m.x[rs1] ^ m.x[rs2]


@insn("srl rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0110011")
def srl(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift right by the low six bits of rs2, zeros in."""
    m.x[rd] = m.x[rs1] >> m.x[rs2][5:0]


@insn("sra rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0110011")
def sra(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift right by the low six bits of rs2, sign in."""
    m.x[rd] = m.x[rs1].asr(m.x[rs2][5:0])


@insn("or rd, rs1, rs2", "0000000 rs2 rs1 110 rd 0110011")
def or_(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Or."""
    m.x[rd] = m.x[rs1] | m.x[rs2]


@insn("and rd, rs1, rs2", "0000000 rs2 rs1 111 rd 0110011")
def and_(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """And."""
    m.x[rd] = m.x[rs1] & m.x[rs2]


@insn("addw rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0111011")
def addw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Add the low words; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] + m.x[rs2][31:0]).sext(64)


@insn("subw rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0111011")
def subw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Subtract the low words; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] - m.x[rs2][31:0]).sext(64)


@insn("sllw rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0111011")
def sllw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift the low word left by the low five bits of rs2; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] << m.x[rs2][4:0]).sext(64)


@insn("srlw rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0111011")
def srlw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift the low word right by the low five bits of rs2, zeros in; the result is sign-extended."""
    m.x[rd] = (m.x[rs1][31:0] >> m.x[rs2][4:0]).sext(64)


@insn("sraw rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0111011")
def sraw(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Shift the low word right by the low five bits of rs2, sign in; the result is sign-extended."""
    m.x[rd] = m.x[rs1][31:0].asr(m.x[rs2][4:0]).sext(64)


# -- Control transfer
@insn("jal rd, offset", "offset[20|10:1|11|19:12] rd 1101111")
def jal(m: Tracer, rd: Val, offset: Val) -> None:
    """Jump and link."""
    m.x[rd] = m.next_pc
    m.jump(m.pc + offset.sext(64))


@insn("jalr rd, imm(rs1)", "imm[11:0] rs1 000 rd 1100111")
def jalr(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Jump and link to a register plus an immediate; the lowest bit of the target is cleared."""
    target = (m.x[rs1] + imm.sext(64)) & ~1
    m.x[rd] = m.next_pc
    m.jump(target)


@insn("beq rs1, rs2, offset", "offset[12|10:5] rs2 rs1 000 offset[4:1|11] 1100011")
def beq(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if equal."""
    with m.when(m.x[rs1] == m.x[rs2]):
        m.jump(m.pc + offset.sext(64))


@insn("bne rs1, rs2, offset", "offset[12|10:5] rs2 rs1 001 offset[4:1|11] 1100011")
def bne(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if not equal."""
    with m.when(m.x[rs1] != m.x[rs2]):
        m.jump(m.pc + offset.sext(64))


@insn("blt rs1, rs2, offset", "offset[12|10:5] rs2 rs1 100 offset[4:1|11] 1100011")
def blt(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if less, as signed numbers."""
    with m.when(m.x[rs1].slt(m.x[rs2])):
        m.jump(m.pc + offset.sext(64))


@insn("bge rs1, rs2, offset", "offset[12|10:5] rs2 rs1 101 offset[4:1|11] 1100011")
def bge(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if greater or equal, as signed numbers."""
    with m.when(m.x[rs1].sge(m.x[rs2])):
        m.jump(m.pc + offset.sext(64))


@insn("bltu rs1, rs2, offset", "offset[12|10:5] rs2 rs1 110 offset[4:1|11] 1100011")
def bltu(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if less, as unsigned numbers."""
    with m.when(m.x[rs1].ult(m.x[rs2])):
        m.jump(m.pc + offset.sext(64))


@insn("bgeu rs1, rs2, offset", "offset[12|10:5] rs2 rs1 111 offset[4:1|11] 1100011")
def bgeu(m: Tracer, rs1: Val, rs2: Val, offset: Val) -> None:
    """Branch if greater or equal, as unsigned numbers."""
    with m.when(m.x[rs1].uge(m.x[rs2])):
        m.jump(m.pc + offset.sext(64))


# -- Loads and stores
@insn("lb rd, imm(rs1)", "imm[11:0] rs1 000 rd 0000011")
def lb(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a byte, sign-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 8).sext(64)


@insn("lh rd, imm(rs1)", "imm[11:0] rs1 001 rd 0000011")
def lh(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a half word, sign-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 16).sext(64)


@insn("lw rd, imm(rs1)", "imm[11:0] rs1 010 rd 0000011")
def lw(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a word, sign-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 32).sext(64)


@insn("ld rd, imm(rs1)", "imm[11:0] rs1 011 rd 0000011")
def ld(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a double word."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 64)


@insn("lbu rd, imm(rs1)", "imm[11:0] rs1 100 rd 0000011")
def lbu(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a byte, zero-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 8).zext(64)


@insn("lhu rd, imm(rs1)", "imm[11:0] rs1 101 rd 0000011")
def lhu(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a half word, zero-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 16).zext(64)


@insn("lwu rd, imm(rs1)", "imm[11:0] rs1 110 rd 0000011")
def lwu(m: Tracer, rd: Val, rs1: Val, imm: Val) -> None:
    """Load a word, zero-extended."""
    m.x[rd] = m.load(m.x[rs1] + imm.sext(64), 32).zext(64)


@insn("sb rs2, imm(rs1)", "imm[11:5] rs2 rs1 000 imm[4:0] 0100011")
def sb(m: Tracer, rs1: Val, rs2: Val, imm: Val) -> None:
    """Store a byte."""
    m.store(m.x[rs1] + imm.sext(64), m.x[rs2][7:0])


@insn("sh rs2, imm(rs1)", "imm[11:5] rs2 rs1 001 imm[4:0] 0100011")
def sh(m: Tracer, rs1: Val, rs2: Val, imm: Val) -> None:
    """Store a half word."""
    m.store(m.x[rs1] + imm.sext(64), m.x[rs2][15:0])


@insn("sw rs2, imm(rs1)", "imm[11:5] rs2 rs1 010 imm[4:0] 0100011")
def sw(m: Tracer, rs1: Val, rs2: Val, imm: Val) -> None:
    """Store a word."""
    m.store(m.x[rs1] + imm.sext(64), m.x[rs2][31:0])


@insn("sd rs2, imm(rs1)", "imm[11:5] rs2 rs1 011 imm[4:0] 0100011")
def sd(m: Tracer, rs1: Val, rs2: Val, imm: Val) -> None:
    """Store a double word."""
    m.store(m.x[rs1] + imm.sext(64), m.x[rs2])


# -- Memory ordering, environment calls and breakpoints
@insn("fence pred, succ", "fm pred succ rs1 000 rd 0001111")
def fence(m: Tracer, fm: Val, pred: Val, succ: Val, rs1: Val, rd: Val) -> None:
    """Order accesses of the predecessor set before those of the successor set.

    Every set is treated as the strongest; the reserved modes behave as a normal fence (manual, 2.7).
    """
    m.fence()


@insn("fence.tso", "1000 0011 0011 rs1 000 rd 0001111")
def fence_tso(m: Tracer, rs1: Val, rd: Val) -> None:
    """Order all but earlier stores with later loads. Treated as a normal fence, which orders those too."""
    m.fence()


@insn("ecall", "000000000000 00000 000 00000 1110011")
def ecall(m: Tracer) -> None:
    """Call the environment: a system call of the operating system."""
    m.syscall()


@insn("ebreak", "000000000001 00000 000 00000 1110011")
def ebreak(m: Tracer) -> None:
    """Breakpoint."""
    m.trap("breakpoint", m.pc)
