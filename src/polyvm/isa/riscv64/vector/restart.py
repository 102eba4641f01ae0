"""A vector access that faults, made again one element at a time: as the manual wants it seen (V, 17).

Of the elements before the one that faults all is done, of those behind it nothing, and vstart has its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.ir import golden
from polyvm.isa.riscv64.vector.machine import END, VSTART

if TYPE_CHECKING:
    from polyvm.ir.golden import Memory, State
    from polyvm.isa.riscv64.vector.spec import VectorIsa
    from polyvm.isa.spec import Decoded


def by_elements(
    isa: VectorIsa, decoded: Decoded, pc: int, state: State, memory: Memory, fault: type[Exception]
) -> int:
    """Do an instruction, and return the address of the next one. Raises the fault, the state being as it then is."""
    read = state.read
    context = isa.state_context(read, part=True)
    placed = isa.in_context(decoded, context)
    trace = isa.trace(placed.insn, placed.shape)
    number, end = read(VSTART), isa.restarts[decoded.insn.name](isa, decoded.fields, read)
    following = pc + decoded.insn.size
    while number < end:
        state.write(VSTART, number)
        try:
            following = golden.execute(trace, {**placed.fields, END: number + 1}, pc, state, memory)
        except fault:
            state.write(VSTART, number)
            raise
        number += 1
    state.write(VSTART, 0)
    return following
