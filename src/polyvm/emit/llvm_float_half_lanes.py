"""Halves on lanes as vectors of floats on an x86-64 host: what `llvm_float_half` does to one, done to four or eight.

The host's conversions take whole vectors, of 256 bits where there are eight lanes. As in `llvm_float_lanes`, a vector
with something unusual in it is looked at once more in a cold block: on vectors in Arm's style, lane by lane in the
other. Nothing here is a mode of its own; those are `llvm_float`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit import llvm_float
from polyvm.emit import llvm_float_arm as arm
from polyvm.emit.llvm_float_convert import IMMEDIATE, NEAREST_AWAY, SILENT, TO_ZERO
from polyvm.emit.llvm_float_env import (
    FRACTION,
    assembly,
    cold_effect,
    cold_value,
    constrained,
    infinity,
    power,
    raise_invalid,
    split,
)
from polyvm.ir.ops import ROUND_DYNAMIC, lanes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

    Each = Callable[[Emitter, Val, list[str]], str]
    OnVectors = Callable[[Emitter, Val, list[str], Each], str]

_ARITHMETIC: Final = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv", "fsqrt": "sqrt"}


class _Lanes:
    """How an op's lanes are written: f, floats; i, their patterns; h, patterns of halves; b, bits."""

    def __init__(self, e: Emitter, op: Val) -> None:
        self.e, self.op = e, op
        self.name, self.count, widths, self.attr = lanes_of(op.attr)
        self.bits, self.to = widths[0], op.bits // self.count
        n = self.count
        self.f, self.i, self.h, self.b = f"<{n} x float>", f"<{n} x i32>", f"<{n} x i16>", f"<{n} x i1>"

    def vector(self, value: str, lane: str) -> str:
        """A value as lanes of LLVM's type `lane`."""
        bits = {"float": 32, "i32": 32, "i16": 16}[lane]
        return self.e.ins(f"bitcast i{self.count * bits} {value} to <{self.count} x {lane}>")

    def whole(self, vector: str, t: str, bits: int) -> str:
        """The value of lanes."""
        return self.e.ins(f"bitcast {t} {vector} to i{self.count * bits}")

    def patterns(self, floats: str) -> str:
        """The patterns of floats."""
        return self.e.ins(f"bitcast {self.f} {floats} to {self.i}")

    def numbers(self, patterns: str) -> str:
        """The other way round."""
        return self.e.ins(f"bitcast {self.i} {patterns} to {self.f}")

    def widen(self, halves: str) -> str:
        """Halves as floats, exactly; signaling NaNs are invalid and become quiet ones."""
        full = max(self.count, 4)
        source = self._padded(halves, "i16", 8)
        wide = assembly(self.e, f"<{full} x float>", "vcvtph2ps $1, $0", "=x,x", f"<8 x i16> {source}")
        return self._low(wide, f"<{full} x float>", full)

    def narrow(self, floats: str) -> str:
        """Floats rounded to halves in the host's mode."""
        half = assembly(self.e, "<8 x i16>", "vcvtps2ph $$4, $1, $0", "=x,x", self.whole_register(floats))
        return self._low(half, "<8 x i16>", 8)

    def whole_register(self, floats: str) -> str:
        """Floats as an operand of an instruction of the host, which takes four at least."""
        full = max(self.count, 4)
        return f"<{full} x float> {self._padded(floats, 'float', full)}"

    def _padded(self, vector: str, lane: str, full: int) -> str:
        """Zeros above lanes: the host raises exceptions for those that nobody asked for, too."""
        if self.count == full:
            return vector
        t, places = f"<{self.count} x {lane}>", ", ".join(f"i32 {min(i, self.count)}" for i in range(full))
        return self.e.ins(f"shufflevector {t} {vector}, {t} zeroinitializer, <{full} x i32> <{places}>")

    def _low(self, vector: str, t: str, full: int) -> str:
        if self.count == full:
            return vector
        places = ", ".join(f"i32 {i}" for i in range(self.count))
        return self.e.ins(f"shufflevector {t} {vector}, {t} zeroinitializer, <{self.count} x i32> <{places}>")

    def any(self, bits: str) -> str:
        """Whether one of some bits is set."""
        return arm.any_of(self.e, bits, self.count)

    def nans(self, floats: str) -> str:
        """Where results are NaNs. This comparison may be LLVM's own: no result is a signaling one."""
        return self.e.ins(f"fcmp uno {self.f} {floats}, {floats}")

    def once_more(self, args: list[str], each: Each, t: str) -> Callable[[], str]:
        """All of it lane by lane, in a block of its own, as a vector."""

        def apart() -> str:
            with self.e.aside():
                return self.e.ins(f"bitcast i{self.op.bits} {each(self.e, self.op, args)} to {t}")

        return apart


def _rounded(
    v: _Lanes, floats: str, args: list[str], each: Each, choose: Callable[[], str], *, tiny: bool
) -> str:
    """Results as halves, in the guest's style. choose: the NaNs of Arm's; tiny: see llvm_float_half."""
    e, halves, nans = v.e, v.narrow(floats), v.nans(floats)
    if e.floats == "canonical":
        again = v.once_more(args, each, v.h)
        return v.whole(cold_value(e, v.any(nans), v.h, halves, again), v.h, 16)
    if tiny:
        _underflow(v, halves, floats)
    settled = cold_value(
        e, v.any(nans), v.h, halves, lambda: arm.select(e, nans, choose(), halves, 16, v.count)
    )
    return v.whole(settled, v.h, 16)


def _underflow(v: _Lanes, halves: str, floats: str) -> None:
    """Raise underflow where a result is the smallest normal number, and was less before it was rounded."""
    e = v.e
    size = e.ins(f"shl {v.h} {halves}, splat (i16 1)")
    least = e.ins(f"icmp eq {v.h} {size}, splat (i16 {2 << FRACTION[16]})")
    arm.underflow_where(e, v.op, v.any(least), lambda: v.narrow(floats))


# -- Ops, as functions of (emitter, the op on lanes, values, how it is done lane by lane)
def _arithmetic(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    v = _Lanes(e, op)
    patterns = [v.vector(arg, "i16") for arg in args]
    operands = [f"{v.f} {v.widen(pattern)}" for pattern in patterns]
    result = constrained(e, f"{_ARITHMETIC[v.name]}.v{v.count}f32", v.f, *operands)
    return _rounded(
        v, result, args, each, lambda: arm.choose(e, patterns, 16, v.count), tiny=v.name == "fmul"
    )


def _fused(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """A product of halves is exact in a float; the sum is rounded to odd there, and then once more."""
    v = _Lanes(e, op)
    patterns = [v.vector(arg, "i16") for arg in args]
    a, b, c = (v.widen(pattern) for pattern in patterns)
    product = _both(v, "fmul", a, b)
    total = _both(v, "fadd", product, c)
    bits = v.patterns(total)
    size = e.ins(f"and {v.i} {bits}, splat (i32 {(1 << 31) - 1})")
    # Infinities and NaNs have no error to compute, and computing it would be invalid: they are zeros in it.
    finite = e.ins(f"sext {v.b} {e.ins(f'icmp ult {v.i} {size}, splat (i32 {infinity(32)})')} to {v.i}")
    terms = [e.ins(f"and {v.i} {v.patterns(term)}, {finite}") for term in (product, c, total)]
    x, y, s = (v.numbers(term) for term in terms)
    # What the sum lost, seen from the larger of its terms, from where the sign of it is right in every rounding mode.
    lost = [
        v.patterns(_both(v, "fsub", other, _both(v, "fsub", s, first))) for first, other in ((x, y), (y, x))
    ]
    sizes = [e.ins(f"and {v.i} {term}, splat (i32 {(1 << 31) - 1})") for term in terms[:2]]
    larger = e.ins(f"icmp uge {v.i} {sizes[0]}, {sizes[1]}")
    error = arm.select(e, larger, lost[0], lost[1], 32, v.count)
    # To odd: an even last bit moves to the neighbour on the other side of the exact sum.
    nothing = e.ins(f"and {v.i} {error}, splat (i32 {(1 << 31) - 1})")
    inexact = e.ins(f"icmp ne {v.i} {nothing}, zeroinitializer")
    even = e.ins(f"icmp eq {v.i} {e.ins(f'and {v.i} {bits}, splat (i32 1)')}, zeroinitializer")
    away = e.ins(f"icmp sge {v.i} {e.ins(f'xor {v.i} {error}, {bits}')}, zeroinitializer")
    step = arm.select(e, away, "splat (i32 1)", "splat (i32 -1)", 32, v.count)
    moves = e.ins(f"and {v.b} {inexact}, {even}")
    odd = e.ins(f"add {v.i} {bits}, {arm.select(e, moves, step, 'zeroinitializer', 32, v.count)}")

    def chosen() -> str:
        return arm.choose_fused(e, patterns, 16, v.count)

    return _rounded(v, v.numbers(odd), args, each, chosen, tiny=True)


def _both(v: _Lanes, name: str, x: str, y: str) -> str:
    return constrained(v.e, f"{name}.v{v.count}f32", v.f, f"{v.f} {x}", f"{v.f} {y}")


def _mixed(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """Products of halves, added to singles and rounded once."""
    v = _Lanes(e, op)
    halves = [v.vector(arg, "i16") for arg in args[:2]]
    a, b = (v.widen(half) for half in halves)
    addend = v.vector(args[2], "float")
    given = [f"{v.f} {number}" for number in (a, b, addend)]
    result = constrained(e, f"fma.v{v.count}f32", v.f, *given)
    nans = v.nans(result)
    if e.floats == "canonical":
        apart = v.once_more(args, each, v.f)
        return v.whole(cold_value(e, v.any(nans), v.f, result, apart), v.f, 32)

    def chosen() -> str:
        factors = [arm.unquieted(e, half, v.patterns(number), v.count)
                   for half, number in zip(halves, (a, b), strict=True)]  # fmt: skip
        found = arm.choose_fused(e, [*factors, v.patterns(addend)], 32, v.count)
        return v.numbers(arm.select(e, nans, found, v.patterns(result), 32, v.count))

    settled = cold_value(e, v.any(nans), v.f, result, chosen)
    size = e.ins(f"shl {v.i} {v.patterns(result)}, splat (i32 1)")
    least = e.ins(f"icmp eq {v.i} {size}, splat (i32 {2 << FRACTION[32]})")

    def again() -> None:
        operands = [v.whole_register(number) for number in (a, b, addend)]
        assembly(e, "<4 x float>", "vfmadd213ps $3, $2, $0", "=x,0,x,x", *operands)

    arm.underflow_where(e, v.op, v.any(least), again)
    return v.whole(settled, v.f, 32)


def _comparison(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    v = _Lanes(e, op)
    predicate, signaling = llvm_float.PREDICATES[v.name]
    a, b = (v.widen(v.vector(arg, "i16")) for arg in args)
    return v.whole(_compare(v, predicate, a, b, signaling=signaling), v.b, 1)


def _compare(v: _Lanes, predicate: str, a: str, b: str, *, signaling: bool = False) -> str:
    name, extra = f"fcmp{'s' if signaling else ''}.v{v.count}f32", (f'metadata !"{predicate}"',)
    return constrained(v.e, name, v.b, f"{v.f} {a}", f"{v.f} {b}", rounded=False, extra=extra)


def _extreme(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    v = _Lanes(e, op)
    patterns = [v.vector(arg, "i16") for arg in args]
    a, b = (v.widen(pattern) for pattern in patterns)
    # Quiet: the host has said already what is invalid about signaling NaNs.
    unordered = _compare(v, "uno", a, b)

    def ordered(a: str, b: str) -> str:
        # The host's instruction gives its second operand when both are zeros; both orders together see either sign.
        smaller = v.name in ("fmin", "fminimum")
        name = f"v{'min' if smaller else 'max'}ps $2, $1, $0"
        both = [v.patterns(assembly(e, v.f, name, "=x,x,x", f"{v.f} {x}", f"{v.f} {y}"))
                for x, y in ((a, b), (b, a))]  # fmt: skip
        found = v.numbers(e.ins(f"{'or' if smaller else 'and'} {v.i} {both[0]}, {both[1]}"))
        return v.narrow(found)

    def chosen() -> str:
        where = e.ins(f"xor {v.b} {unordered}, splat (i1 true)")
        keep = e.ins(f"sext {v.b} {where} to {v.i}")
        kept = [v.numbers(e.ins(f"and {v.i} {v.patterns(number)}, {keep}")) for number in (a, b)]
        choose = arm.choose if v.name in ("fminimum", "fmaximum") else arm.choose_number
        return arm.select(e, unordered, choose(e, patterns, 16, v.count), ordered(*kept), 16, v.count)

    cold = chosen if e.floats == "arm" else v.once_more(args, each, v.h)
    # The hot block must not run before the comparison: min of a quiet NaN is invalid on the host.
    return v.whole(split(e, v.any(unordered), v.h, cold, lambda: ordered(a, b)), v.h, 16)


def _integral(v: _Lanes, value: str, mode: int, *, silent: bool) -> str:
    """Integral numbers; ties away from zero say nothing about inexact."""
    e = v.e
    if mode == NEAREST_AWAY:
        # Half of one more, towards zero: the sum is exact, as a half has eleven bits and a float 24.
        sign = e.ins(f"and {v.i} {v.patterns(value)}, splat (i32 {-(1 << 31)})")
        half = v.numbers(e.ins(f"or {v.i} {sign}, splat (i32 {power(32, -1)})"))
        value, mode, silent = _both(v, "fadd", value, half), TO_ZERO, True
    immediate = IMMEDIATE[mode] | (SILENT if silent else 0)
    return assembly(v.e, v.f, f"vroundps $${immediate}, $1, $0", "=x,x", f"{v.f} {value}")


def _truncated(v: _Lanes, value: str) -> str:
    """Words, towards zero; inexact where a number is not integral."""
    return assembly(v.e, v.i, "vcvttps2dq $1, $0", "=x,x", f"{v.f} {value}")


def _to_integral(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    v = _Lanes(e, op)
    exact, mode = _pair(v)
    result = _integral(v, v.widen(v.vector(args[0], "i16")), mode, silent=not exact)
    halves = v.narrow(result)
    if e.floats == "canonical":  # Arm's NaNs are what the host makes of them
        again = v.once_more(args, each, v.h)
        halves = cold_value(e, v.any(v.nans(result)), v.h, halves, again)
    return v.whole(halves, v.h, 16)


def _to_integer(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """To integers as short. Finite numbers out of range have no fraction, but for those that are negative."""
    v = _Lanes(e, op)
    signed, mode = _pair(v)
    pattern = v.vector(args[0], "i16")
    again = v.once_more(args, each, v.h)

    def convert(value: str) -> str:
        if mode == ROUND_DYNAMIC:
            return assembly(e, v.i, "vcvtps2dq $1, $0", "=x,x", f"{v.f} {value}")
        if mode == NEAREST_AWAY:
            _truncated(v, value)
        return _truncated(v, value if mode == TO_ZERO else _integral(v, value, mode, silent=False))

    def unsigned() -> str:
        """Lanes out of range as zeros among the others. No finite number is out of range above."""
        value, nan = v.widen(pattern), arm.is_nan(e, pattern, 16, v.count)
        whole = v.patterns(_integral(v, value, mode, silent=True))
        size = e.ins(f"and {v.i} {whole}, splat (i32 {(1 << 31) - 1})")
        negative = e.ins(f"icmp slt {v.i} {whole}, zeroinitializer")
        below = e.ins(f"and {v.b} {negative}, {e.ins(f'icmp ne {v.i} {size}, zeroinitializer')}")
        special = e.ins(f"icmp uge {v.i} {size}, splat (i32 {infinity(32)})")
        outside = e.ins(f"or {v.b} {below}, {special}")
        cold_effect(e, v.any(outside), lambda: raise_invalid(e))
        inside = arm.select(e, outside, "zeroinitializer", v.patterns(value), 32, v.count)
        words = e.ins(f"trunc {v.i} {convert(v.numbers(inside))} to {v.h}")
        low = e.ins(f"or {v.b} {nan}, {below}")
        limit = arm.select(e, low, "zeroinitializer", "splat (i16 -1)", 16, v.count)
        return arm.select(e, outside, limit, words, 16, v.count)

    if not signed:
        # As unsigned numbers patterns with their sign set are large.
        unusual = v.any(e.ins(f"icmp uge {v.h} {pattern}, splat (i16 {infinity(16)})"))
        cold = unsigned if e.floats == "arm" else again
        result = split(
            e, unusual, v.h, cold, lambda: e.ins(f"trunc {v.i} {convert(v.widen(pattern))} to {v.h}")
        )
        return v.whole(result, v.h, 16)
    words = convert(v.widen(pattern))
    short = e.ins(f"trunc {v.i} {words} to {v.h}")
    outside = e.ins(f"icmp ne {v.i} {e.ins(f'sext {v.h} {short} to {v.i}')}, {words}")

    def limited() -> str:
        raise_invalid(e)
        negative = e.ins(f"icmp slt {v.h} {pattern}, zeroinitializer")
        near = arm.select(
            e, negative, f"splat (i16 {-(1 << 15)})", f"splat (i16 {(1 << 15) - 1})", 16, v.count
        )
        nan = arm.is_nan(e, pattern, 16, v.count)
        near = arm.select(e, nan, "zeroinitializer", near, 16, v.count)
        return arm.select(e, outside, near, short, 16, v.count)

    cold = limited if e.floats == "arm" else again
    return v.whole(cold_value(e, v.any(outside), v.h, short, cold), v.h, 16)


def _from_integer(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """From integers as short, in the mode that is set: exact in a float."""
    v = _Lanes(e, op)
    signed, _ = _pair(v)
    words = e.ins(f"{'s' if signed else 'z'}ext {v.h} {v.vector(args[0], 'i16')} to {v.i}")
    floats = constrained(e, f"sitofp.v{v.count}f32.v{v.count}i32", v.f, f"{v.i} {words}")
    return v.whole(v.narrow(floats), v.h, 16)


def _convert(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """Halves to singles, or singles to halves. The host hands NaNs on as Arm does."""
    v = _Lanes(e, op)
    if v.to == 32:
        result = v.widen(v.vector(args[0], "i16"))
        if e.floats == "canonical":
            again = v.once_more(args, each, v.f)
            result = cold_value(e, v.any(v.nans(result)), v.f, result, again)
        return v.whole(result, v.f, 32)
    floats = v.vector(args[0], "float")
    halves = v.narrow(floats)
    if e.floats == "canonical":
        odd = v.any(arm.is_nan(e, halves, 16, v.count))
        halves = cold_value(e, odd, v.h, halves, v.once_more(args, each, v.h))
    else:
        _underflow(v, halves, floats)
    return v.whole(halves, v.h, 16)


def _pair(v: _Lanes) -> tuple[bool, int]:
    """The attr of a conversion from or to an integer or an integral number."""
    assert isinstance(v.attr, tuple)
    flag, mode = v.attr
    return bool(flag), int(mode)


def at_once(op: Val) -> OnVectors | None:
    """How lanes with halves among them are done together, or None."""
    name, count, widths, attr = lanes_of(op.attr)
    to = op.bits // count
    if count not in (2, 4, 8):
        return None
    if name == "fma" and (widths, to) == ((16, 16, 32), 32):
        return _mixed
    if name in ("fcvt", "fresize") and {widths[0], to} == {16, 32}:
        return _convert
    if count == 2 or widths[0] != 16 or (to != 16 and name not in llvm_float.PREDICATES):
        return None
    if name in ("frint", "ftoi", "itof"):
        assert isinstance(attr, tuple)
        loud = name == "frint" and attr == (True, NEAREST_AWAY)
        if loud or (name == "itof" and attr[1] != ROUND_DYNAMIC):
            return None
        return {"frint": _to_integral, "ftoi": _to_integer, "itof": _from_integer}[name]
    if name in _ARITHMETIC:
        return _arithmetic
    if name in llvm_float.PREDICATES:
        return _comparison
    if name in ("fmin", "fmax", "fminimum", "fmaximum"):
        return _extreme
    return _fused if name == "fma" else None
