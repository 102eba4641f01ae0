"""Where a jump may lead whose target is only known at run time: into the guest's space, and not between instructions.

The conditions that all tiers share; how a tier leaves when they do not hold is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyvm.emit.llvm import Emitter
    from polyvm.isa.spec import Isa


def lands(e: Emitter, isa: Isa, target: str, limit: str) -> str:
    """Whether a jump goes well. One comparison: turned right, what is no multiple becomes a large number."""
    step = isa.step.bit_length() - 1
    if step:
        target = e.call("i64", "llvm.fshr.i64", f"i64 {target}", f"i64 {target}", f"i64 {step}")
        limit = e.ins(f"lshr i64 {limit}, {step}")
    return e.ins(f"icmp ult i64 {target}, {limit}")


def between(e: Emitter, isa: Isa, target: str) -> str:
    """Whether a target is the address of no instruction, for a guest where such targets are possible."""
    return e.ins(f"icmp ne i64 {e.ins(f'and i64 {target}, {isa.step - 1}')}, 0")


def cause(isa: Isa) -> int:
    """The number of the exception there."""
    return isa.causes.index(isa.misaligned)
