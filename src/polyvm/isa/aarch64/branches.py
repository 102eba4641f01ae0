"""Branches and exception generation: tables of the manual's section "Branches, Exception Generating and System
instructions" in C4.1. Its system part is in `system`.

What needs a privilege that no program has (HVC, SMC, ERET) or a debugger (HLT, DCPS) is undefined there and does not
decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.flags import holds
from polyvm.isa.aarch64.model import aarch64, read, sized

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

TITLE = "Branches, Exception Generating and System instructions"

# -- Reserved
insn = aarch64.extension("Reserved", "8.0", "Reserved")


@insn("udf #imm16", "0000000000000000 imm16")
def udf(m: Tracer, imm16: Val) -> None:
    """Permanently undefined: an illegal instruction."""
    m.trap("illegal", m.pc)


# -- Conditional branch (immediate)
insn = aarch64.extension("Conditional branch (immediate)", "8.0", TITLE)


@insn("b.cond offset", "0101010 0 offset[20:2] 0 cond")
def b_cond(m: Tracer, offset: Val, cond: int) -> None:
    """Branch if a condition holds."""
    with m.when(holds(m, cond)):
        m.jump(m.pc + offset.sext(64))


# -- Exception generation
insn = aarch64.extension("Exception generation", "8.0", TITLE)


@insn("svc #imm16", "11010100 000 imm16 000 01")
def svc(m: Tracer, imm16: Val) -> None:
    """Call the supervisor: a system call of the operating system."""
    m.syscall()


@insn("brk #imm16", "11010100 001 imm16 000 00")
def brk(m: Tracer, imm16: Val) -> None:
    """Breakpoint."""
    m.trap("breakpoint", m.pc)


# -- Unconditional branch (register)
insn = aarch64.extension("Unconditional branch (register)", "8.0", TITLE)


@insn("br Xn", "1101011 0000 11111 000000 Rn 00000")
def br(m: Tracer, Rn: Val) -> None:
    """Branch to a register."""
    m.jump(m.x[Rn])


@insn("blr Xn", "1101011 0001 11111 000000 Rn 00000")
def blr(m: Tracer, Rn: Val) -> None:
    """Branch to a register, with the return address in x30."""
    target = m.x[Rn]
    m.x[30] = m.next_pc
    m.jump(target)


@insn("ret {Xlink}", "1101011 0010 11111 000000 Rn 00000")
def ret(m: Tracer, Rn: Val) -> None:
    """Return to a register, x30 where none is named."""
    m.jump(m.x[Rn])


# -- Unconditional branch (immediate)
insn = aarch64.extension("Unconditional branch (immediate)", "8.0", TITLE)


@insn("b offset", "0 00101 offset[27:2]")
def b(m: Tracer, offset: Val) -> None:
    """Branch."""
    m.jump(m.pc + offset.sext(64))


@insn("bl offset", "1 00101 offset[27:2]")
def bl(m: Tracer, offset: Val) -> None:
    """Branch, with the return address in x30."""
    m.x[30] = m.next_pc
    m.jump(m.pc + offset.sext(64))


# -- Compare and branch (immediate)
insn = aarch64.extension("Compare and branch (immediate)", "8.0", TITLE)


@sized(insn)("cbz Rt, offset", "sf 011010 0 offset[20:2] Rt")
def cbz(m: Tracer, bits: int, offset: Val, Rt: Val) -> None:
    """Branch if a register is zero."""
    with m.when(read(m, Rt, bits) == 0):
        m.jump(m.pc + offset.sext(64))


@sized(insn)("cbnz Rt, offset", "sf 011010 1 offset[20:2] Rt")
def cbnz(m: Tracer, bits: int, offset: Val, Rt: Val) -> None:
    """Branch if a register is not zero."""
    with m.when(read(m, Rt, bits) != 0):
        m.jump(m.pc + offset.sext(64))


# -- Test and branch (immediate)
insn = aarch64.extension("Test and branch (immediate)", "8.0", TITLE)


@insn("tbz Rt_bit, #bit, offset", "bit[5] 011011 0 bit[4:0] offset[15:2] Rt")
def tbz(m: Tracer, bit: Val, offset: Val, Rt: Val) -> None:
    """Branch if a bit is zero."""
    with m.when((m.x[Rt] >> bit)[0] == 0):
        m.jump(m.pc + offset.sext(64))


@insn("tbnz Rt_bit, #bit, offset", "bit[5] 011011 1 bit[4:0] offset[15:2] Rt")
def tbnz(m: Tracer, bit: Val, offset: Val, Rt: Val) -> None:
    """Branch if a bit is one."""
    with m.when((m.x[Rt] >> bit)[0]):
        m.jump(m.pc + offset.sext(64))
