"""Arm's style of floating point on an x86-64 host: which NaN a result is, and underflow found before rounding.

The host decides both otherwise, and LLVM exchanges operands as it likes. So NaNs are chosen by the operands' patterns,
and an op whose result is the smallest normal number is done again, towards zero. Both are cold blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit.llvm_float_env import (
    COLD,
    FRACTION,
    NAN_BITS,
    QUIET,
    SUFFIX,
    TYPE,
    absolute,
    assembly,
    cold_effect,
    dynamic_mode,
    infinity,
    magnitude,
    raise_invalid,
    set_round,
    to_float,
    to_pattern,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

TO_ZERO = "1"
LEAST: Final = {32: "0x3810000000000000", 64: "0x0010000000000000"}
"""The smallest normal number as LLVM writes it, as NAN in llvm_float_env."""


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


def settled(
    e: Emitter, op: Val, value: str, nan: Callable[[], str], again: Callable[[], object] | None = None
) -> str:
    """The pattern of a result; where it is a NaN, what `nan` makes. again: see `underflow`.

    One comparison, which may be LLVM's own as in llvm_float.canonical: equal to the smallest normal number, or
    unordered.
    """
    bits, t = op.bits, TYPE[op.bits]
    taken, join = e.fresh_label("cold"), e.fresh_label("join")
    if again is None:
        odd = e.ins(f"fcmp uno {t} {value}, {value}")
    else:
        odd = e.ins(f"fcmp ueq {t} {absolute(e, value, bits)}, {LEAST[bits]}")
    ends = [f"[ {value}, %{e.label} ]"]
    e.do(f"br i1 {odd}, label %{taken}, label %{join}, {COLD}")
    e.start(taken)
    if again is not None:
        tiny, unordered = e.fresh_label("tiny"), e.fresh_label("nan")
        e.do(f"br i1 {e.ins(f'fcmp uno {t} {value}, {value}')}, label %{unordered}, label %{tiny}")
        e.start(tiny)
        _towards_zero(e, op, again)
        ends.append(f"[ {value}, %{e.label} ]")
        e.do(f"br label %{join}")
        e.start(unordered)
    # A number again, so that the usual one never leaves the host's floating-point registers.
    ends.append(f"[ {to_float(e, nan(), bits)}, %{e.label} ]")
    e.do(f"br label %{join}")
    e.start(join)
    return to_pattern(e, e.ins(f"phi {t} {', '.join(ends)}"), bits)


def _towards_zero(e: Emitter, op: Val, again: Callable[[], object]) -> None:
    mode = dynamic_mode(e, op)
    set_round(e, TO_ZERO)
    again()
    set_round(e, mode)


def underflow(e: Emitter, op: Val, pattern: str, again: Callable[[], object]) -> None:
    """Raise underflow where a result is the smallest normal number and was less before it was rounded.

    Only such a one does the host not call tiny. `again` does the op once more, under rounding towards zero, where it
    is tiny for the host too, if it was.
    """
    bits = op.bits
    smallest = e.ins(f"icmp eq i{bits} {magnitude(e, pattern, bits)}, {1 << FRACTION[bits]}")
    cold_effect(e, smallest, lambda: _towards_zero(e, op, again))


def repeat(e: Emitter, values: list[str], bits: int) -> None:
    """An operation of the host whose result nobody wants: multiply, or multiply and add."""
    t = TYPE[bits]
    operands = [f"{t} {value}" for value in values]
    if len(values) == 3:
        assembly(e, t, f"vfmadd213{SUFFIX[bits]} $3, $2, $0", "=x,0,x,x", *operands)
    else:
        assembly(e, t, f"vmul{SUFFIX[bits]} $2, $1, $0", "=x,x,x", *operands)
