"""System instructions: tables of the manual's section "Branches, Exception Generating and System instructions" in
C4.1, as far as a program without privileges may use them; C5.3 has the operations of DC and IC.

A system register is a shape field, so each access is code of its own. Naming one that is not in model.SYSTEM, or
writing one that only can be read, does not decode: both are illegal instructions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.ops import FP_MODE_BITS, IDC
from polyvm.isa.aarch64 import features
from polyvm.isa.aarch64.exclusives import EXCLUSIVE
from polyvm.isa.aarch64.flags import C, N, V, Z
from polyvm.isa.aarch64.model import IDENTITY, SYSTEM, aarch64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

TITLE = "Branches, Exception Generating and System instructions"

# -- Hints
insn = aarch64.extension("Hints", "8.0", TITLE)


@insn("hint #imm7", "11010101000000110010 imm7 11111")
def hint(m: Tracer, imm7: Val) -> None:
    """A hint of a later extension, or of none: nothing happens."""
    m.hint("hint")


@insn("nop", "11010101000000110010 0000 000 11111")
def nop(m: Tracer) -> None:
    """Nothing."""
    m.hint("nop")


@insn("yield", "11010101000000110010 0000 001 11111")
@insn("wfe", "11010101000000110010 0000 010 11111")
@insn("wfi", "11010101000000110010 0000 011 11111")
def wait(m: Tracer) -> None:
    """Say that this is a loop that waits; waiting for an event or an interrupt may end at any time."""
    m.hint("pause")


@insn("sev", "11010101000000110010 0000 100 11111")
@insn("sevl", "11010101000000110010 0000 101 11111")
def event(m: Tracer) -> None:
    """Send an event to those that wait, who wait for none."""
    m.hint("event")


# -- Barriers
insn = aarch64.extension("Barriers", "8.0", TITLE)

LOADS, STORES = 0b01, 0b10


@insn("clrex {#CRm}", "11010101000000110011 CRm 010 11111")
def clrex(m: Tracer, CRm: Val) -> None:
    """Clear the exclusive monitor."""
    m.set(EXCLUSIVE, m.const(0, 64))


@insn("dsb barrier", "11010101000000110011 barrier 100 11111")
@insn("dmb barrier", "11010101000000110011 barrier 101 11111")
def barrier(m: Tracer, barrier: int) -> None:
    """Order accesses: earlier loads with all later accesses, earlier stores with later stores, or all with all.

    The domain says among whom; all of them are treated as the whole system. Completion, for which DSB waits too, is
    nothing that a program without privileges could see.
    """
    kinds = barrier & 0b11
    if kinds == LOADS:
        m.fence("r", "rw")
    elif kinds == STORES:
        m.fence("w", "w")
    else:
        m.fence()


@insn("isb {#CRm}", "11010101000000110011 CRm 110 11111")
def isb(m: Tracer, CRm: Val) -> None:
    """Fetch later instructions anew. What IC has told of is code in all threads already, so only order is left."""
    m.fence()


insn = aarch64.extension("FEAT_SB", "8.5", TITLE)


@insn("sb", "11010101000000110011 0000 111 11111")
def sb(m: Tracer) -> None:
    """No later instruction is speculated before earlier ones are done: nothing that a program sees."""
    m.hint("sb")


# -- System instructions: SYS, by the operations that programs may use (C5.3)
insn = aarch64.extension("System instructions", "8.0", TITLE)

ZEROED = 64
"""Bytes that DC ZVA zeroes, a power of two."""


@insn("dc zva, Xt", "1101010100 0 01 011 0111 0100 001 Rt")
def dc_zva(m: Tracer, Rt: Val) -> None:
    """Zero the block of 64 bytes that an address lies in."""
    address = m.x[Rt] & -ZEROED
    m.probe(address, ZEROED, write=True)
    for offset in range(0, ZEROED, 16):
        m.store(address + offset, m.const(0, 128))


@insn("dc cvac, Xt", "1101010100 0 01 011 0111 1010 001 Rt")
@insn("dc cvau, Xt", "1101010100 0 01 011 0111 1011 001 Rt")
@insn("dc civac, Xt", "1101010100 0 01 011 0111 1110 001 Rt")
def dc_clean(m: Tracer, Rt: Val) -> None:
    """Write a line of the data cache back. There is none, but the address must be one that can be read."""
    m.probe(m.x[Rt], 1, write=False)


@insn("ic ivau, Xt", "1101010100 0 01 011 0111 0101 001 Rt")
def ic_ivau(m: Tracer, Rt: Val) -> None:
    """Make earlier stores to an address visible to fetches of instructions; here, all earlier stores."""
    m.probe(m.x[Rt], 1, write=False)
    m.flush_code()


# -- System register move
insn = aarch64.extension("System register move", "8.0", TITLE)

# Lines of both caches have 64 bytes; the instruction cache is like a physical one; both flushes are needed.
CTR_EL0: Final = 1 << 31 | 4 << 24 | 4 << 20 | 4 << 16 | 3 << 14 | 4
DCZID_EL0: Final = (ZEROED // 4).bit_length() - 1
NANOSECONDS: Final = 1_000_000_000
TPIDR_EL0: Final = ("tpidr_el0", 0)
_FLAGS: Final = ((N, 31), (Z, 30), (C, 29), (V, 28))


# FPCR (C5.2.7) has the rounding modes nearest, up, down, to zero, which are the IR's, negated modulo 4.
_MODES: Final = ((3, 25), (4, 24), (5, 26), (6, 19))
"""Bits of the IR's FP_MODE, and where FPCR has them: DN, FZ, AHP, FZ16."""
QC: Final = ("qc", 0)
FPSR_QC, FPSR_IDC = 27, 7


def read_fpcr(m: Tracer) -> Val:
    """FPCR. No exception can be trapped, and what vectors of AArch32 take is not there (RES0)."""
    mode = m.fp_mode
    value = (-mode[1:0]).zext(64) << 22
    for ours, theirs in _MODES:
        value = value | mode[ours].zext(64) << theirs
    return value


def write_fpcr(m: Tracer, value: Val) -> None:
    """Set FPCR."""
    mode = (-value[23:22]).zext(FP_MODE_BITS)
    for ours, theirs in _MODES:
        mode = mode | value[theirs].zext(FP_MODE_BITS) << ours
    m.fp_mode = mode


def read_fpsr(m: Tracer) -> Val:
    """FPSR (C5.2.8): the accrued exceptions are the IR's in reverse order."""
    value = m.fp_flags.bitrev().zext(64)
    return value | m.get(IDC, 1).zext(64) << FPSR_IDC | m.get(QC, 1).zext(64) << FPSR_QC


def write_fpsr(m: Tracer, value: Val) -> None:
    """Set FPSR."""
    m.fp_flags = value[4:0].bitrev()
    m.set(IDC, value[FPSR_IDC])
    m.set(QC, value[FPSR_QC])


def read_system(m: Tracer, register: int) -> Val:
    """The value of a system register, 64 bits."""
    name = SYSTEM[register]
    if name == "nzcv":
        value = m.const(0, 64)
        for flag, place in _FLAGS:
            value = value | (m.get(flag, 1).zext(64) << place)
        return value
    if name == "tpidr_el0":
        return m.get(TPIDR_EL0)
    if name == "fpcr":
        return read_fpcr(m)
    if name == "fpsr":
        return read_fpsr(m)
    if name == "cntvct_el0":
        return m.counter("time")
    if register in IDENTITY:
        value = m.const(features.value(name), 64)
        for option in features.OPTIONAL:
            more = features.value(name, (option,)) & ~features.value(name)
            if more:
                value = value | m.select(m.get((option, 0), 1), m.const(more, 64), 0)
        return value
    constants = {"ctr_el0": CTR_EL0, "dczid_el0": DCZID_EL0, "tpidrro_el0": 0, "cntfrq_el0": NANOSECONDS}
    return m.const(constants[name], 64)


@insn("mrs Xt, sysreg", "1101010100 1 1 sysreg Rt")
def mrs(m: Tracer, sysreg: int, Rt: Val) -> None:
    """Read a system register."""
    m.x[Rt] = read_system(m, sysreg)


@insn("msr wsysreg, Xt", "1101010100 0 1 wsysreg Rt")
def msr(m: Tracer, wsysreg: int, Rt: Val) -> None:
    """Write a system register."""
    value = m.x[Rt]
    if SYSTEM[wsysreg] == "nzcv":
        for flag, place in _FLAGS:
            m.set(flag, value[place])
    elif SYSTEM[wsysreg] == "fpcr":
        write_fpcr(m, value)
    elif SYSTEM[wsysreg] == "fpsr":
        write_fpsr(m, value)
    else:
        m.set(TPIDR_EL0, value)
