"""The condition flags N, Z, C and V: how they are set, and what the conditions ask (C1.2.4, "Condition code").

Each flag is a register slot of its own, so whatever is overwritten before it is read vanishes from compiled code, flag
by flag. V of a subtraction is written so that the signed conditions, N against V, cancel to a signed comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

    Flags = tuple[Val, Val, Val, Val]

N: Final = ("n", 0)
Z: Final = ("z", 0)
C: Final = ("c", 0)
V: Final = ("v", 0)


def set_flags(m: Tracer, flags: Flags) -> None:
    """Write N, Z, C and V."""
    for slot, value in zip((N, Z, C, V), flags, strict=True):
        m.set(slot, value)


def carry(m: Tracer) -> Val:
    """The flag C, one bit."""
    return m.get(C, 1)


def after_add(a: Val, b: Val, carry: Val | None = None) -> tuple[Val, Flags]:
    """a + b + carry, with its flags ("AddWithCarry" of the shared pseudocode)."""
    top = a.bits - 1
    result = a + b
    carried = result.ult(a)
    if carry is not None:
        result = result + carry.zext(a.bits)
        carried = result.ult(a) | (carry & (result == a))
    return result, (result[top], result == 0, carried, ((a ^ result) & (b ^ result))[top])


def after_sub(a: Val, b: Val) -> tuple[Val, Flags]:
    """a - b, with its flags: C says that nothing was borrowed."""
    result = a - b
    negative = result[a.bits - 1]
    return result, (negative, result == 0, a.uge(b), negative ^ a.slt(b))


def after_logic(m: Tracer, result: Val) -> Flags:
    """The flags of a logical result."""
    no = m.const(0, 1)
    return result[result.bits - 1], result == 0, no, no


def holds(m: Tracer, cond: int) -> Val:
    """Whether a condition holds, one bit."""
    n, z, c, v = (m.get(slot, 1) for slot in (N, Z, C, V))
    asked = (
        lambda: z,
        lambda: c,
        lambda: n,
        lambda: v,
        lambda: c & ~z,
        lambda: ~(n ^ v),
        lambda: ~(n ^ v) & ~z,
        lambda: m.const(1, 1),
    )[cond >> 1]()
    # 0b1111 is always too.
    return ~asked if cond & 1 and cond != 0b1111 else asked
