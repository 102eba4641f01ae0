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


# -- Patterns: integers, or vectors of so many of them where `count` is not 1
def _type(bits: int, count: int) -> str:
    return f"i{bits}" if count == 1 else f"<{count} x i{bits}>"


def _number(value: int, bits: int, count: int) -> str:
    return str(value) if count == 1 else f"splat (i{bits} {value})"


def _size(e: Emitter, pattern: str, bits: int, count: int) -> str:
    """A pattern without its sign."""
    mask = _number((1 << (bits - 1)) - 1, bits, count)
    return e.ins(f"and {_type(bits, count)} {pattern}, {mask}")


def is_nan(e: Emitter, pattern: str, bits: int, count: int = 1) -> str:
    """Whether a pattern is a NaN."""
    size = _size(e, pattern, bits, count)
    return e.ins(f"icmp ugt {_type(bits, count)} {size}, {_number(infinity(bits), bits, count)}")


def signaling(e: Emitter, pattern: str, bits: int, count: int = 1) -> str:
    """Whether a pattern is a signaling NaN."""
    t = _type(bits, count)
    quiet = e.ins(f"and {t} {pattern}, {_number(QUIET[bits], bits, count)}")
    loud = e.ins(f"icmp eq {t} {quiet}, {_number(0, bits, count)}")
    return e.ins(f"and {_type(1, count)} {is_nan(e, pattern, bits, count)}, {loud}")


def select(e: Emitter, condition: str, then: str, otherwise: str, bits: int, count: int = 1) -> str:
    """A choice among patterns."""
    t = _type(bits, count)
    return e.ins(f"select {_type(1, count)} {condition}, {t} {then}, {t} {otherwise}")


def choose(e: Emitter, patterns: list[str], bits: int, count: int = 1) -> str:
    """The NaN that a result is: the first signaling operand, else the first quiet one, else the default one."""
    chosen = _number(NAN_BITS[bits], bits, count)
    for test in (is_nan, signaling):
        for pattern in reversed(patterns):
            chosen = select(e, test(e, pattern, bits, count), pattern, chosen, bits, count)
    return e.ins(f"or {_type(bits, count)} {chosen}, {_number(QUIET[bits], bits, count)}")


def choose_fused(e: Emitter, patterns: list[str], bits: int, count: int = 1) -> str:
    """The NaN of a * b + c: the addend's comes first, but infinity * 0 beside a quiet one gives the default one."""
    a, b, c = patterns
    t, bit = _type(bits, count), _type(1, count)
    products = []
    for x, y in ((a, b), (b, a)):
        size = _size(e, x, bits, count)
        infinite = e.ins(f"icmp eq {t} {size}, {_number(infinity(bits), bits, count)}")
        zero = e.ins(f"icmp eq {t} {_size(e, y, bits, count)}, {_number(0, bits, count)}")
        products.append(e.ins(f"and {bit} {infinite}, {zero}"))
    product = e.ins(f"or {bit} {products[0]}, {products[1]}")
    silent = e.ins(f"xor {bit} {signaling(e, c, bits, count)}, {_number(-1, 1, count)}")
    invalid = e.ins(f"and {bit} {product}, {silent}")
    cold_effect(e, any_of(e, invalid, count), lambda: raise_invalid(e))
    default = _number(NAN_BITS[bits], bits, count)
    return select(e, invalid, default, choose(e, [c, a, b], bits, count), bits, count)


def unquieted(e: Emitter, half: str, wide: str, count: int = 1) -> str:
    """The pattern of a half in single precision, which the host has made, with a signaling NaN as one again."""
    quiet = e.ins(f"and {_type(32, count)} {wide}, {_number(~QUIET[32], 32, count)}")
    return select(e, signaling(e, half, 16, count), quiet, wide, 32, count)


def any_of(e: Emitter, condition: str, count: int) -> str:
    """Whether one of some conditions holds."""
    if count == 1:
        return condition
    return e.ins(f"icmp ne i{count} {e.ins(f'bitcast <{count} x i1> {condition} to i{count}')}, 0")


def choose_number(e: Emitter, patterns: list[str], bits: int, count: int = 1) -> str:
    """The result of minimumNumber where an operand is a NaN: the number beside a quiet one, else a NaN."""
    bit = _type(1, count)
    first, second = (is_nan(e, pattern, bits, count) for pattern in patterns)
    loud = e.ins(f"or {bit} {', '.join(signaling(e, pattern, bits, count) for pattern in patterns)}")
    one = e.ins(f"xor {bit} {first}, {second}")
    alone = e.ins(f"and {bit} {one}, {e.ins(f'xor {bit} {loud}, {_number(-1, 1, count)}')}")
    other = select(e, first, patterns[1], patterns[0], bits, count)
    return select(e, alone, other, choose(e, patterns, bits, count), bits, count)


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
    underflow_where(e, op, smallest, again)


def underflow_where(e: Emitter, op: Val, smallest: str, again: Callable[[], object]) -> None:
    """The same where it is known already whether a result is that number."""
    cold_effect(e, smallest, lambda: _towards_zero(e, op, again))


def repeat(e: Emitter, values: list[str], bits: int) -> None:
    """An operation of the host whose result nobody wants: multiply, or multiply and add."""
    t = TYPE[bits]
    operands = [f"{t} {value}" for value in values]
    if len(values) == 3:
        assembly(e, t, f"vfmadd213{SUFFIX[bits]} $3, $2, $0", "=x,0,x,x", *operands)
    else:
        assembly(e, t, f"vmul{SUFFIX[bits]} $2, $1, $0", "=x,x,x", *operands)
