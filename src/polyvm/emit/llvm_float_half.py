"""Half precision on a host that has only its conversions (F16C): compute in a wider format, then round once more.

Exact where twice the precision and two bits are at hand, which single precision has for all but fused multiply and
add (Figueroa 1995); that one rounds to odd first, after which a second rounding does no harm (Boldo, Melquiond 2008).
What is inexact in the wider format is inexact as a half, too, so that the exceptions are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.emit import llvm_float_arm as arm
from polyvm.emit.llvm_float_env import (
    NAN_BITS,
    assembly,
    cold_value,
    compare,
    constrained,
    infinity,
    magnitude,
    to_float,
    to_pattern,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val


# The host converts four lanes at a time and raises for all of them, so the three that nobody asked for must be zero.
def widen(e: Emitter, pattern: str) -> str:
    """A half as a float, exactly; a signaling NaN is invalid and becomes a quiet one."""
    lanes = e.ins(
        f"insertelement <4 x i32> zeroinitializer, i32 {e.ins(f'zext i16 {pattern} to i32')}, i32 0"
    )
    return assembly(e, "float", "vcvtph2ps $1, $0", "=x,x", f"<4 x i32> {lanes}")


def narrow(e: Emitter, value: str) -> str:
    """A float rounded to a half's pattern, in the host's rounding mode (immediate 4)."""
    lanes = e.ins(f"insertelement <4 x float> zeroinitializer, float {value}, i32 0")
    rounded = assembly(e, "float", "vcvtps2ph $$4, $1, $0", "=x,x", f"<4 x float> {lanes}")
    return e.ins(f"trunc i32 {to_pattern(e, rounded, 32)} to i16")


def canonical(e: Emitter, value: str) -> str:
    """A float rounded to a half's pattern, any NaN as the canonical one."""
    unordered = compare(e, "uno", 32, value, value)
    return cold_value(e, unordered, "i16", narrow(e, value), lambda: str(NAN_BITS[16]))


def _settled(e: Emitter, op: Val, value: str, nan: Callable[[], str], *, tiny: bool) -> str:
    """A float rounded to a half's pattern in the guest's style; in Arm's, `nan` makes a NaN's. tiny: whether it may
    have been less than the smallest normal number that it is: the float is exact or odd then, and rounded again."""
    if e.floats == "canonical":
        return canonical(e, value)
    rounded = narrow(e, value)
    if tiny:
        arm.underflow(e, op, rounded, lambda: narrow(e, value))
    return cold_value(e, e.ins(f"fcmp uno float {value}, {value}"), "i16", rounded, nan)


def arithmetic(e: Emitter, op: Val, args: list[str]) -> str:
    """Add, subtract, multiply, divide, square root. What can be tiny is as in llvm_float: products, which are exact."""
    operands = [f"float {widen(e, arg)}" for arg in args]
    name = "sqrt" if op.op == "fsqrt" else op.op
    result = constrained(e, f"{name}.f32", "float", *operands)
    return _settled(e, op, result, lambda: arm.choose(e, args, 16), tiny=op.op == "fmul")


def odd(e: Emitter, pattern: str) -> str:
    """A double's pattern rounded to odd where a float's last bit is, so that it can be rounded once more."""
    low = (1 << 29) - 1
    rest = e.ins(f"icmp ne i64 {e.ins(f'and i64 {pattern}, {low}')}, 0")
    sticky = e.ins(f"shl i64 {e.ins(f'zext i1 {rest} to i64')}, 29")
    return e.ins(f"or i64 {e.ins(f'and i64 {pattern}, {~low}')}, {sticky}")


def fma(e: Emitter, op: Val, args: list[str]) -> str:
    """Multiply and add. The product of two halves is exact in a double; their sum with a third mostly is."""
    a, b, c = (
        constrained(e, "fpext.f64.f32", "double", f"float {widen(e, arg)}", rounded=False) for arg in args
    )

    def both(name: str, x: str, y: str) -> str:
        return constrained(e, f"{name}.f64", "double", f"double {x}", f"double {y}")

    product = both("fmul", a, b)
    total = both("fadd", product, c)
    bits = to_pattern(e, total, 64)

    def fixed() -> str:
        # What the sum lost, seen from the larger of its terms, from where it is exact in every rounding mode.
        lost = []
        for x, y in ((product, c), (c, product)):
            lost.append(both("fsub", y, both("fsub", total, x)))
        sizes = [magnitude(e, to_pattern(e, value, 64), 64) for value in (product, c)]
        larger = e.ins(f"icmp uge i64 {sizes[0]}, {sizes[1]}")
        error = to_pattern(e, e.ins(f"select i1 {larger}, double {lost[0]}, double {lost[1]}"), 64)
        # To odd: an even last bit moves to the neighbour on the other side of the exact sum.
        exact = e.ins(f"icmp eq i64 {magnitude(e, error, 64)}, 0")
        even = e.ins(f"icmp eq i64 {e.ins(f'and i64 {bits}, 1')}, 0")
        away = e.ins(f"icmp sge i64 {e.ins(f'xor i64 {error}, {bits}')}, 0")
        step = e.ins(f"select i1 {away}, i64 1, i64 -1")
        moves = e.ins(f"and i1 {even}, {e.ins(f'xor i1 {exact}, true')}")
        return e.ins(f"add i64 {bits}, {e.ins(f'select i1 {moves}, i64 {step}, i64 0')}")

    # Infinities and NaNs have no error to compute, and computing it would be invalid.
    special = e.ins(f"icmp uge i64 {magnitude(e, bits, 64)}, {infinity(64)}")
    finite = e.ins(f"xor i1 {special}, true")
    taken, join = e.fresh_label("finite"), e.fresh_label("join")
    origin = e.label
    e.do(f"br i1 {finite}, label %{taken}, label %{join}")
    e.start(taken)
    value = fixed()
    end = e.label
    e.do(f"br label %{join}")
    e.start(join)
    total_bits = e.ins(f"phi i64 [ {bits}, %{origin} ], [ {value}, %{end} ]")
    number = to_float(e, odd(e, total_bits), 64)
    result = constrained(e, "fptrunc.f32.f64", "float", f"double {number}")
    return _settled(e, op, result, lambda: arm.choose_fused(e, args, 16), tiny=True)
