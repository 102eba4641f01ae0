"""Exclusive sections that run alone: `polyvm run --exact-exclusives`.

A load-exclusive is left to the golden evaluator, which goes on from there, one instruction at a time and every other
guest thread out of guest code, until the store-exclusive. So a store-exclusive succeeds only where nobody stored in
between, whatever the value: that is checked by there being nobody. A section that does not come to its end in LONGEST
instructions, or by way of a system call or a fault, loses its monitor, and its store fails, as the architectures allow.
"""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

from polyvm.ir.ops import EXCLUSIVE

if TYPE_CHECKING:
    from polyvm.emit.llvm import Emitter
    from polyvm.engine.goldenstep import Stepper
    from polyvm.ir.trace import Trace

LONGEST = 64
"""Instructions of a section. Arm says that it must work up to 128 bytes (B2.12.5), RISC-V up to 16 instructions (the
manual's "Eventual success of store-conditional instructions")."""


def begins(trace: Trace) -> bool:
    """Whether an instruction is a load-exclusive."""
    return any(op.op == "hint" and op.attr == EXCLUSIVE for op in trace.ops)


def hint(e: Emitter, alone: str) -> None:
    """Native code before a load-exclusive: left to golden where sections run alone. alone: a pointer to whether."""
    wanted = e.ins(f"load i32, ptr {alone}")
    e.unlikely(e.ins(f"icmp ne i32 {wanted}, 0"), e.leave_golden)


def section(stepper: Stepper) -> int:
    """Run from a load-exclusive to the end of its section; 0, or why something outside must be done."""
    cpu = stepper.cpu
    monitor = stepper.monitor
    stepper.alone = True
    try:
        with stepper.space.pause():
            reason = stepper.step()
            for _ in range(LONGEST):
                if reason or not cpu.read(monitor) or stepper.next_begins():
                    break
                reason = stepper.step()
            cpu.write(monitor, 0)
    finally:
        stepper.alone = False
    sleep(0)  # who waited for the world is to have it first
    return reason
