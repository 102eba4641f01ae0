"""Zihintpause: the pause hint, the manual's chapter Zihintpause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer

insn = riscv64.extension("Zihintpause", "2.0", "Pause hint")


@insn("pause", "0000 0001 0000 00000 000 00000 0001111")
def pause(m: Tracer) -> None:
    """Say that this is a loop that waits. Its encoding is a fence that orders nothing."""
    m.hint("pause")
