"""Zicsr: access to control and status registers, the manual's chapter Zicsr, for those of a user program.

The register is a shape field, so each access is code of its own. Writing a read-only register does not
decode, nor does naming one that is not in model.CSR: both are illegal instructions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.ops import FP_MODE_BITS
from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zicsr", "2.0", "Control and status register instructions")

FFLAGS, FRM, FCSR = 0x001, 0x002, 0x003
VSTART, VXSAT, VXRM, VCSR, VLENB = 0x008, 0x009, 0x00A, 0x00F, 0xC22
PLAIN_VECTOR: Final = {VSTART: "vstart", VXSAT: "vxsat", VXRM: "vxrm", 0xC20: "vl", 0xC21: "vtype"}
# Zicntr.
COUNTERS: Final = {0xC00: "cycle", 0xC01: "time", 0xC02: "instret"}


def read_csr(m: Tracer, csr: int) -> Val:
    """The value of a control and status register, 64 bits."""
    if csr == FFLAGS:
        return m.fp_flags.zext(64)
    if csr == FRM:
        return m.fp_mode[2:0].zext(64)
    if csr == FCSR:
        return (m.fp_mode[2:0].zext(64) << 5) | m.fp_flags.zext(64)
    if csr in COUNTERS:
        return m.counter(COUNTERS[csr])
    return _read_vector(m, csr)


def write_csr(m: Tracer, csr: int, value: Val) -> None:
    """Write a control and status register; the bits that it does not have are ignored."""
    if csr in (FFLAGS, FCSR):
        m.fp_flags = value[4:0]
    if csr == FRM:
        m.fp_mode = value[2:0].zext(FP_MODE_BITS)
    if csr == FCSR:
        m.fp_mode = value[7:5].zext(FP_MODE_BITS)
    if csr == VSTART:
        m.set(("vstart", 0), value & (m.v.file.bits - 1))  # below VLEN
    if csr in (VXSAT, VCSR):
        m.set(("vxsat", 0), value & 1)
    if csr in (VXRM, VCSR):
        m.set(("vxrm", 0), (value >> 1 if csr == VCSR else value) & 3)


def _read_vector(m: Tracer, csr: int) -> Val:
    """Those of the vector extension, where the guest has it (V, 3)."""
    if csr == VCSR:
        return (m.get(("vxrm", 0)) << 1) | m.get(("vxsat", 0))
    if csr == VLENB:
        return m.const(m.v.file.bits // 8, 64)
    return m.get((PLAIN_VECTOR[csr], 0))


@insn("csrrw rd, wcsr, rs1", "wcsr rs1 001 rd 1110011")
def csrrw(m: Tracer, rd: Val, wcsr: int, rs1: Val) -> None:
    """Swap a register with a control and status register."""
    old, value = read_csr(m, wcsr), m.x[rs1]
    write_csr(m, wcsr, value)
    m.x[rd] = old


@insn("csrrs rd, wcsr, rs1", "wcsr rs1!=0 010 rd 1110011")
def csrrs(m: Tracer, rd: Val, wcsr: int, rs1: Val) -> None:
    """Set the bits of a control and status register that are set in rs1; rd is its old value."""
    old, value = read_csr(m, wcsr), m.x[rs1]
    write_csr(m, wcsr, old | value)
    m.x[rd] = old


@insn("csrrc rd, wcsr, rs1", "wcsr rs1!=0 011 rd 1110011")
def csrrc(m: Tracer, rd: Val, wcsr: int, rs1: Val) -> None:
    """Clear the bits of a control and status register that are set in rs1; rd is its old value."""
    old, value = read_csr(m, wcsr), m.x[rs1]
    write_csr(m, wcsr, old & ~value)
    m.x[rd] = old


@insn("csrrwi rd, wcsr, zimm", "wcsr zimm 101 rd 1110011")
def csrrwi(m: Tracer, rd: Val, wcsr: int, zimm: Val) -> None:
    """Write a 5-bit immediate to a control and status register; rd is its old value."""
    old = read_csr(m, wcsr)
    write_csr(m, wcsr, zimm.zext(64))
    m.x[rd] = old


@insn("csrrsi rd, wcsr, zimm", "wcsr zimm!=0 110 rd 1110011")
def csrrsi(m: Tracer, rd: Val, wcsr: int, zimm: Val) -> None:
    """Set the bits of a control and status register that a 5-bit immediate has; rd is its old value."""
    old = read_csr(m, wcsr)
    write_csr(m, wcsr, old | zimm.zext(64))
    m.x[rd] = old


@insn("csrrci rd, wcsr, zimm", "wcsr zimm!=0 111 rd 1110011")
def csrrci(m: Tracer, rd: Val, wcsr: int, zimm: Val) -> None:
    """Clear the bits of a control and status register that a 5-bit immediate has; rd is its old value."""
    old = read_csr(m, wcsr)
    write_csr(m, wcsr, old & ~zimm.zext(64))
    m.x[rd] = old


# -- Setting or clearing nothing reads without writing, so read-only registers allow it.
@insn("csrrs rd, csr, zero", "csr 00000 010 rd 1110011")
@insn("csrrc rd, csr, zero", "csr 00000 011 rd 1110011")
@insn("csrrsi rd, csr, 0", "csr 00000 110 rd 1110011")
@insn("csrrci rd, csr, 0", "csr 00000 111 rd 1110011")
def csr_read(m: Tracer, rd: Val, csr: int) -> None:
    """Read a control and status register."""
    m.x[rd] = read_csr(m, csr)
