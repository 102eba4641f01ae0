"""V: the instructions that set vl and vtype (6), for which a trace needs no context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.vector.machine import VILL, VL, VSTART, VTYPE
from polyvm.isa.riscv64.vector.spec import plain

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

V = ("V", "1.0", "Vector operations")


def set_type(m: Tracer, rd: Val, requested: Val, avl: Val | None, rs1: Val | None) -> None:
    """Set vtype, and vl for an application vector length: of rs1 unless it is given (6.2, 6.4).

    vl is the length, at most VLMAX: between VLMAX and twice it implementations may choose.
    """
    lmul, sew = requested[2:0].zext(64), requested[5:3].zext(64)
    # log2 of VLMAX is that of VLEN, less that of SEW, plus that of LMUL, which has a sign (3.4.2).
    vlen = m.v.file.bits
    shift = lmul - m.select(requested[2], m.const(8, 64), 0)
    log = m.const(vlen.bit_length() - 1 - 3, 64) - sew + shift
    limit = m.select(requested[2], m.const(6, 64) + shift - 3, 3)  # log2 of LMUL * ELEN / 8
    ill = (requested >> 8 != 0) | (requested[2:0] == 4) | limit.slt(sew) | sew.uge(4)
    longest = m.const(1, 64) << log
    old = m.get(VL)
    if avl is None:
        assert rs1 is not None
        keep = (rs1 == 0) & (rd == 0)
        value = m.select(rs1 == 0, m.select(keep, old, -1), m.x[rs1])
    else:
        value = avl
    vl = m.select(value.ult(longest), value, longest)
    vl = m.select(ill, m.const(0, 64), vl)
    m.set(VTYPE, m.select(ill, m.const(VILL, 64), requested))
    m.set(VL, vl)
    m.set(VSTART, m.const(0, 64))
    m.x[rd] = vl


def named(vreserved: Val, vma: Val, vta: Val, vsew: Val, vlmul: Val) -> Val:
    """The vtype that an encoding's fields make."""
    value = vlmul.zext(64) | vsew.zext(64) << 3 | vta.zext(64) << 6 | vma.zext(64) << 7
    return value | vreserved.zext(64) << 8


def vsetvli(m: Tracer, rd: Val, rs1: Val, vreserved: Val, vma: Val, vta: Val, vsew: Val, vlmul: Val) -> None:
    """Set vtype from the immediate and vl from rs1; zero for rs1 is VLMAX, or with zero for rd keeps vl."""
    set_type(m, rd, named(vreserved, vma, vta, vsew, vlmul), None, rs1)


def vsetivli(
    m: Tracer, rd: Val, zimm: Val, vreserved: Val, vma: Val, vta: Val, vsew: Val, vlmul: Val
) -> None:
    """Set vtype and vl from immediates."""
    set_type(m, rd, named(vreserved, vma, vta, vsew, vlmul), zimm.zext(64), None)


def vsetvl(m: Tracer, rd: Val, rs1: Val, rs2: Val) -> None:
    """Set vtype from rs2 and vl from rs1."""
    set_type(m, rd, m.x[rs2], None, rs1)


_TYPE = "vma vta vsew vlmul"
plain(*V, "vsetvli rd, rs1, vsew, vlmul, vta, vma", f"0 vreserved {_TYPE} rs1 111 rd 1010111", vsetvli)
plain(
    *V, "vsetivli rd, zimm, vsew, vlmul, vta, vma", f"11 vreserved[1:0] {_TYPE} zimm 111 rd 1010111", vsetivli
)
plain(*V, "vsetvl rd, rs1, rs2", "1000000 rs2 rs1 111 rd 1010111", vsetvl)
