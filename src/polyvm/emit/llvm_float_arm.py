"""Arm's style of floating point on an x86-64 host: which NaN a result is, and underflow found before rounding.

The host decides both otherwise, and LLVM exchanges operands as it likes. So NaNs are chosen by the operands' patterns,
and an op whose result is the smallest normal number is done again, towards zero. Both are cold blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.emit.llvm_float_env import (
    COLD,
    FRACTION,
    NAN_BITS,
    QUIET,
    SUFFIX,
    TYPE,
    assembly,
    cold_effect,
    dynamic_mode,
    infinity,
    magnitude,
    raise_invalid,
    set_round,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

TO_ZERO = "1"


def _nan(e: Emitter, pattern: str, bits: int) -> str:
    return e.ins(f"icmp ugt i{bits} {magnitude(e, pattern, bits)}, {infinity(bits)}")


def signaling(e: Emitter, pattern: str, bits: int) -> str:
    """Whether a pattern is a signaling NaN."""
    loud = e.ins(f"icmp eq i{bits} {e.ins(f'and i{bits} {pattern}, {QUIET[bits]}')}, 0")
    return e.ins(f"and i1 {_nan(e, pattern, bits)}, {loud}")


def choose(e: Emitter, patterns: list[str], bits: int) -> str:
    """The NaN that a result is: the first signaling operand, else the first quiet one, else the default one."""
    t, chosen = f"i{bits}", str(NAN_BITS[bits])
    for test in (_nan, signaling):
        for pattern in reversed(patterns):
            chosen = e.ins(f"select i1 {test(e, pattern, bits)}, {t} {pattern}, {t} {chosen}")
    return e.ins(f"or {t} {chosen}, {QUIET[bits]}")


def choose_fused(e: Emitter, patterns: list[str], bits: int) -> str:
    """The NaN of a * b + c: the addend's comes first, but infinity * 0 beside a quiet one gives the default one."""
    a, b, c = patterns
    t = f"i{bits}"
    products = []
    for x, y in ((a, b), (b, a)):
        infinite = e.ins(f"icmp eq {t} {magnitude(e, x, bits)}, {infinity(bits)}")
        products.append(e.ins(f"and i1 {infinite}, {e.ins(f'icmp eq {t} {magnitude(e, y, bits)}, 0')}"))
    product = e.ins(f"or i1 {products[0]}, {products[1]}")
    invalid = e.ins(f"and i1 {product}, {e.ins(f'xor i1 {signaling(e, c, bits)}, true')}")
    cold_effect(e, invalid, lambda: raise_invalid(e))
    return e.ins(f"select i1 {invalid}, {t} {NAN_BITS[bits]}, {t} {choose(e, [c, a, b], bits)}")


def settled(e: Emitter, value: str, bits: int, cold: Callable[[], str]) -> str:
    """The pattern of a result; where it is a NaN, what `cold` makes. The comparison is as in llvm_float.canonical."""
    pattern = e.ins(f"bitcast {TYPE[bits]} {value} to i{bits}")
    taken, join = e.fresh_label("cold"), e.fresh_label("join")
    unordered, origin = e.ins(f"fcmp uno {TYPE[bits]} {value}, {value}"), e.label
    e.do(f"br i1 {unordered}, label %{taken}, label %{join}, {COLD}")
    e.start(taken)
    chosen, end = cold(), e.label
    e.do(f"br label %{join}")
    e.start(join)
    return e.ins(f"phi i{bits} [ {pattern}, %{origin} ], [ {chosen}, %{end} ]")


def underflow(e: Emitter, op: Val, pattern: str, again: Callable[[], object]) -> None:
    """Raise underflow where a result is the smallest normal number and was less before it was rounded.

    Only such a one does the host not call tiny. `again` does the op once more, under rounding towards zero, where it
    is tiny for the host too, if it was.
    """
    bits = op.bits
    smallest = e.ins(f"icmp eq i{bits} {magnitude(e, pattern, bits)}, {1 << FRACTION[bits]}")

    def cold() -> None:
        mode = dynamic_mode(e, op)
        set_round(e, TO_ZERO)
        again()
        set_round(e, mode)

    cold_effect(e, smallest, cold)


def repeat(e: Emitter, name: str, values: list[str], bits: int) -> None:
    """An operation of the host whose result nobody wants: multiply or divide, or multiply and add."""
    t = TYPE[bits]
    operands = [f"{t} {value}" for value in values]
    if len(values) == 3:
        assembly(e, t, f"vfmadd213{SUFFIX[bits]} $3, $2, $0", "=x,0,x,x", *operands)
    else:
        assembly(e, t, f"v{name}{SUFFIX[bits]} $2, $1, $0", "=x,x,x", *operands)
