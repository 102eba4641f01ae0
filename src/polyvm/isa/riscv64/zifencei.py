"""Zifencei: instruction-fetch fence, the manual's chapter 6."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("Zifencei", "2.0", "Instruction-fetch fence")


@insn("fence.i", "zimm12[11:0] rs1 001 rd 0001111")
def fence_i(m: Tracer, zimm12: Val, rs1: Val, rd: Val) -> None:
    """Make earlier stores of this hart visible to its instruction fetches.

    The immediate and the registers are reserved for finer fences and ignored.
    """
    m.flush_code()
