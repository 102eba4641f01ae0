"""Floating-point ops on lanes as vector instructions of an x86-64 host, exact in every lane's value and in the flags.

A vector is done at once where nothing unusual is in it: no NaN, no number out of an integer's range, none that may have
been tiny before it was rounded. Else a cold block does it once more; exceptions that are raised already change nothing.
Of Arm's style, whose instructions have vectors, that block works on vectors, too, and so is short; the other style's
goes lane by lane, through the lowering of one number. Vectors of 64 bits have zeros above them. Halves are in
`llvm_float_half_lanes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit import llvm_float
from polyvm.emit import llvm_float_arm as arm
from polyvm.emit import llvm_float_half_lanes as halves
from polyvm.emit.llvm_float_convert import IMMEDIATE, SILENT, TO_ZERO
from polyvm.emit.llvm_float_env import (
    FRACTION,
    NAN_BITS,
    TYPE,
    assembly,
    cold_value,
    constrained,
    power,
    split,
)
from polyvm.ir.ops import ROUND_DYNAMIC, lanes_of
from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter

    Each = Callable[[Emitter, Val, list[str]], str]
    OnVectors = Callable[[Emitter, Val, list[str], Each], str]

_ARITHMETIC: Final = {
    "fadd": "fadd",
    "fsub": "fsub",
    "fmul": "fmul",
    "fdiv": "fdiv",
    "fsqrt": "sqrt",
    "fma": "fma",
}
_SUFFIX: Final = {32: "ps", 64: "pd"}


# -- Vectors of 128 bits out of whole values, and back
def _widen(e: Emitter, value: str, count: int, lane: str, bits: int, above: str = "zeroinitializer") -> str:
    """A value as a vector of LLVM's type `lane`; `above`: what is above its lanes."""
    t, full = f"<{count} x {lane}>", max(128 // bits, count)
    vector = e.ins(f"bitcast i{count * bits} {value} to {t}")
    if count == full:
        return vector
    places = ", ".join(f"i32 {min(i, count)}" for i in range(full))
    return e.ins(f"shufflevector {t} {vector}, {t} {above}, <{full} x i32> <{places}>")


def _narrow(e: Emitter, vector: str, count: int, lane: str, bits: int, full: int) -> str:
    """The value of the low lanes of a vector."""
    if count < full:
        places, t = ", ".join(f"i32 {i}" for i in range(count)), f"<{full} x {lane}>"
        vector = e.ins(f"shufflevector {t} {vector}, {t} zeroinitializer, <{count} x i32> <{places}>")
    return e.ins(f"bitcast <{count} x {lane}> {vector} to i{count * bits}")


def _any(e: Emitter, bits: str, count: int) -> str:
    """Whether one of some bits is set."""
    return e.ins(f"icmp ne i{count} {e.ins(f'bitcast <{count} x i1> {bits} to i{count}')}, 0")


def _nans(e: Emitter, t: str, vector: str) -> str:
    """Where a result is a NaN. This comparison may be LLVM's own: no result is a signaling one."""
    return e.ins(f"fcmp uno {t} {vector}, {vector}")


def _smallest(e: Emitter, t: str, vector: str, count: int, bits: int) -> str:
    """Where a result is the smallest normal number, with either sign."""
    i = f"<{count} x i{bits}>"
    size = e.ins(f"shl {i} {e.ins(f'bitcast {t} {vector} to {i}')}, splat (i{bits} 1)")
    return e.ins(f"icmp eq {i} {size}, splat (i{bits} {2 << FRACTION[bits]})")


class _Form:
    """What lanes an op has. bits: of a lane of the first argument; to: of the result."""

    def __init__(self, op: Val) -> None:
        self.op = op
        self.name, self.count, widths, self.attr = lanes_of(op.attr)
        self.bits, self.to = widths[0], op.bits // self.count
        self.full = max(128 // self.bits, self.count)
        self.t = f"<{self.full} x {TYPE.get(self.bits, '')}>"

    def operand(self, e: Emitter, value: str, above: str = "zeroinitializer") -> str:
        """An argument as a vector of numbers."""
        return _widen(e, value, self.count, TYPE[self.bits], self.bits, above)

    def pattern(self, e: Emitter, vector: str) -> str:
        """A vector of numbers as one of their patterns."""
        return e.ins(f"bitcast {self.t} {vector} to <{self.full} x i{self.bits}>")

    def number(self, e: Emitter, patterns: str) -> str:
        """The other way round."""
        return e.ins(f"bitcast <{self.full} x i{self.bits}> {patterns} to {self.t}")

    def result(self, e: Emitter, vector: str, full: int = 0) -> str:
        """The value of a vector of results."""
        return _narrow(e, vector, self.count, TYPE[self.to], self.to, full or self.full)

    def once_more(self, e: Emitter, args: list[str], each: Each, lane: str, full: int) -> Callable[[], str]:
        """All of it lane by lane, in a block of its own, as a vector: an integer would go through general registers."""

        def apart() -> str:
            with e.aside():
                return (
                    _widen(e, each(e, self.op, args), self.count, lane, self.to)
                    if full * self.to == 128
                    else (e.ins(f"bitcast i{self.op.bits} {each(e, self.op, args)} to <{full} x {lane}>"))
                )

        return apart


# -- Ops, as functions of (emitter, the op on lanes, values, how it is done lane by lane)
def _arithmetic(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    form = _Form(op)
    bits, t, full = form.bits, form.t, form.full
    operands = [form.operand(e, arg) for arg in args]
    if form.name == "fdiv":
        operands[1] = form.operand(e, args[1], f"splat ({TYPE[bits]} 1.0)")
    given = [f"{t} {operand}" for operand in operands]
    result = constrained(e, f"{_ARITHMETIC[form.name]}.v{full}f{bits}", t, *given)
    nans = _nans(e, t, result)
    if e.floats == "canonical" and full * bits > 128:

        def canonical() -> str:
            if form.name == "fma":
                _zeros_of_infinity(e, form, operands)
            quiet = f"<{full} x i{bits}> splat (i{bits} {NAN_BITS[bits]})"
            bools, pattern = f"<{full} x i1>", form.pattern(e, result)
            return form.number(e, e.ins(f"select {bools} {nans}, {quiet}, <{full} x i{bits}> {pattern}"))

        return form.result(e, cold_value(e, _any(e, nans, full), t, result, canonical))
    if e.floats == "canonical":
        again = form.once_more(e, args, each, TYPE[bits], full)
        return form.result(e, cold_value(e, _any(e, nans, full), t, result, again))

    def chosen() -> str:
        patterns = [form.pattern(e, operand) for operand in operands]
        choose = arm.choose_fused if form.name == "fma" else arm.choose
        found = choose(e, patterns, bits, full)
        return form.number(e, arm.select(e, nans, found, form.pattern(e, result), bits, full))

    settled = cold_value(e, _any(e, nans, full), t, result, chosen)
    # A quotient that is not called tiny by the host, too, is never rounded up to the smallest normal number.
    if form.name in ("fmul", "fma"):
        tiny = _any(e, _smallest(e, t, result, full, bits), full)
        arm.underflow_where(e, op, tiny, lambda: _repeat(e, form, given))
    return form.result(e, settled)


def _zeros_of_infinity(e: Emitter, form: _Form, operands: list[str]) -> None:
    """Raise invalid where infinity is multiplied by 0, which the host does not do beside a quiet NaN."""
    i, bools = f"<{form.full} x i{form.bits}>", f"<{form.full} x i1>"
    infinity = 2 * ((1 << form.bits - 1) - (1 << FRACTION[form.bits]))

    def those(operand: str, size: int) -> str:
        doubled = e.ins(f"shl {i} {form.pattern(e, operand)}, splat (i{form.bits} 1)")
        return e.ins(f"icmp eq {i} {doubled}, splat (i{form.bits} {size})")

    a, b = operands[:2]
    ways = [e.ins(f"and {bools} {those(x, infinity)}, {those(y, 0)}") for x, y in ((a, b), (b, a))]
    where = e.ins(f"or {bools} {ways[0]}, {ways[1]}")
    one = f"{form.t} splat ({TYPE[form.bits]} 1.0)"
    factors = [f"{form.t} {e.ins(f'select {bools} {where}, {form.t} {x}, {one}')}" for x in (a, b)]
    assembly(e, form.t, f"vmul{_SUFFIX[form.bits]} $2, $1, $0", "=v,v,v", *factors)


def _repeat(e: Emitter, form: _Form, given: list[str]) -> str:
    """A product, or one with an addend, whose result nobody wants."""
    if len(given) == 3:
        return assembly(e, form.t, f"vfmadd213{_SUFFIX[form.bits]} $3, $2, $0", "=x,0,x,x", *given)
    return assembly(e, form.t, f"vmul{_SUFFIX[form.bits]} $2, $1, $0", "=x,x,x", *given)


def _comparison(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    form = _Form(op)
    predicate, signaling = llvm_float.PREDICATES[form.name]
    found = _compare(e, form, predicate, *(form.operand(e, arg) for arg in args), signaling=signaling)
    return _narrow(e, found, form.count, "i1", 1, form.full)


def _compare(e: Emitter, form: _Form, predicate: str, a: str, b: str, *, signaling: bool = False) -> str:
    name = f"fcmp{'s' if signaling else ''}.v{form.full}f{form.bits}"
    extra = (f'metadata !"{predicate}"',)
    given = f"{form.t} {a}", f"{form.t} {b}"
    return constrained(e, name, f"<{form.full} x i1>", *given, rounded=False, extra=extra)


def _extreme(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    form = _Form(op)
    bits, t, full = form.bits, form.t, form.full
    a, b = (form.operand(e, arg) for arg in args)
    # Quiet, but invalid for a signaling NaN, which is what all four ops ask for.
    unordered = _any(e, _compare(e, form, "uno", a, b), full)

    def ordered(a: str, b: str) -> str:
        # The host's instruction gives its second operand when both are zeros; both orders together see either sign.
        smaller = form.name in ("fmin", "fminimum")
        name = f"v{'min' if smaller else 'max'}{_SUFFIX[bits]}"
        both = [
            form.pattern(e, assembly(e, t, f"{name} $2, $1, $0", "=x,x,x", f"{t} {x}", f"{t} {y}"))
            for x, y in ((a, b), (b, a))
        ]
        i = f"<{full} x i{bits}>"
        return form.number(e, e.ins(f"{'or' if smaller else 'and'} {i} {both[0]}, {both[1]}"))

    def chosen() -> str:
        patterns = [form.pattern(e, operand) for operand in (a, b)]
        first, second = (arm.is_nan(e, pattern, bits, full) for pattern in patterns)
        where = e.ins(f"or <{full} x i1> {first}, {second}")
        kept = [arm.select(e, where, "zeroinitializer", pattern, bits, full) for pattern in patterns]
        others = form.pattern(e, ordered(*(form.number(e, pattern) for pattern in kept)))
        choose = arm.choose if form.name in ("fminimum", "fmaximum") else arm.choose_number
        return form.number(e, arm.select(e, where, choose(e, patterns, bits, full), others, bits, full))

    cold = chosen if e.floats == "arm" else form.once_more(e, args, each, TYPE[bits], full)
    # The hot block must not run before the comparison: min of a quiet NaN is invalid on the host.
    return form.result(e, split(e, unordered, t, cold, lambda: ordered(a, b)))


def _integral(e: Emitter, form: _Form, value: str, mode: int, *, silent: bool) -> str:
    immediate = IMMEDIATE[mode] | (SILENT if silent else 0)
    name = f"vround{_SUFFIX[form.bits]} $${immediate}, $1, $0"
    return assembly(e, form.t, name, "=x,x", f"{form.t} {value}")


def _to_integral(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    form = _Form(op)
    exact, mode = _pair(form)
    result = _integral(e, form, form.operand(e, args[0]), mode, silent=not exact)
    if e.floats == "canonical":  # Arm's NaNs are what the host makes of them
        nans = _any(e, _nans(e, form.t, result), form.full)
        again = form.once_more(e, args, each, TYPE[form.bits], form.full)
        result = cold_value(e, nans, form.t, result, again)
    return form.result(e, result)


def _to_integer(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """Singles to words."""
    form = _Form(op)
    signed, mode = _pair(form)
    value, full, i = form.operand(e, args[0]), form.full, f"<{form.full} x i32>"
    pattern = form.pattern(e, value)
    again = form.once_more(e, args, each, "i32", full)

    def convert(value: str) -> str:
        whole = value
        if mode not in (TO_ZERO, ROUND_DYNAMIC):  # what has a fraction to be inexact about is in range
            whole = _integral(e, form, value, mode, silent=False)
        name = f"vcvt{'' if mode == ROUND_DYNAMIC else 't'}ps2dq $1, $0"
        return assembly(e, i, name, "=x,x", f"{form.t} {whole}")

    def limit(low: int, high: int) -> str:
        # What an operand out of range gives in Arm's style.
        negative = e.ins(f"icmp slt {i} {pattern}, zeroinitializer")
        near = arm.select(e, negative, f"splat (i32 {low})", f"splat (i32 {high})", 32, full)
        return arm.select(e, arm.is_nan(e, pattern, 32, full), "zeroinitializer", near, 32, full)

    if signed:
        result = convert(value)
        # The host's answer to everything out of range is also the right one for the least integer itself.
        outside = e.ins(f"icmp eq {i} {result}, splat (i32 {-(1 << 31)})")

        def limited() -> str:
            return arm.select(e, outside, limit(-(1 << 31), (1 << 31) - 1), result, 32, full)

        cold = limited if e.floats == "arm" else again
        result = cold_value(e, _any(e, outside, full), i, result, cold)
    else:
        # As unsigned numbers patterns with their sign set are large.
        large = _any(e, e.ins(f"icmp uge {i} {pattern}, splat (i32 {power(32, 31)})"), full)
        result = split(e, large, i, again, lambda: convert(value))
    return _narrow(e, result, form.count, "i32", 32, full)


def _from_integer(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """Words to singles, in the mode that is set."""
    form = _Form(op)
    signed, _ = _pair(form)
    value = _widen(e, args[0], form.count, "i32", 32)
    name = f"{'s' if signed else 'u'}itofp.v4f32.v4i32"
    result = constrained(e, name, "<4 x float>", f"<4 x i32> {value}")
    if not signed:
        # Where the host lacks this, LLVM adds two halves of the number, and those of 0 make -0 when rounding down. It
        # takes the sign for clear, so that it must not see what is cleared.
        result = e.ins(f'call <4 x float> asm "", "=x,0"(<4 x float> {result})')
        result = e.call("<4 x float>", "llvm.fabs.v4f32", f"<4 x float> {result}")
    return form.result(e, result)


def _convert(e: Emitter, op: Val, args: list[str], each: Each) -> str:
    """Two singles to doubles, or doubles to singles."""
    form = _Form(op)
    source, to = f"<2 x {TYPE[form.bits]}>", f"<2 x {TYPE[form.to]}>"
    value = e.ins(f"bitcast i{2 * form.bits} {args[0]} to {source}")
    if form.to == 64:
        result = constrained(e, "fpext.v2f64.v2f32", to, f"{source} {value}", rounded=False)
    else:
        result = constrained(e, "fptrunc.v2f32.v2f64", to, f"{source} {value}")
    unusual = None
    if e.floats == "canonical":
        unusual = _nans(e, to, result)
    elif form.to == 32:
        unusual = _smallest(e, to, result, 2, 32)
    if unusual is not None:
        again = form.once_more(e, args, each, TYPE[form.to], 2)
        result = cold_value(e, _any(e, unusual, 2), to, result, again)
    return form.result(e, result, 2)


def _pair(form: _Form) -> tuple[bool, int]:
    """The attr of a conversion from or to an integer or an integral number."""
    assert isinstance(form.attr, tuple)
    flag, mode = form.attr
    return bool(flag), int(mode)


def _at_once(form: _Form) -> OnVectors | None:
    """How lanes are done together, or None."""
    name, same = form.name, form.bits == form.to
    if 16 in (form.bits, form.to):
        return halves.at_once(form.op)
    if form.bits not in TYPE or form.count == 1:
        return None
    if name in _ARITHMETIC and same and form.count * form.bits in (64, 128, 256, 512):
        return _arithmetic
    if form.count * form.bits not in (64, 128) or form.count * form.to > 128:
        return None
    if name in llvm_float.PREDICATES:
        return _comparison
    if name in ("fmin", "fmax", "fminimum", "fmaximum"):
        return _extreme
    if name in ("fcvt", "fresize"):
        return _convert
    if name == "frint":
        return _to_integral if _pair(form)[1] in IMMEDIATE else None
    if name == "ftoi":
        return _to_integer if same and form.bits == 32 and _pair(form)[1] in IMMEDIATE else None
    if name == "itof":
        return _from_integer if same and form.bits == 32 and _pair(form)[1] == ROUND_DYNAMIC else None
    return None


def at_once(e: Emitter, op: Val) -> bool:
    """Whether lanes of more than 128 bits are done by vectors that are as wide."""
    form = _Form(op)
    wide = 512 if "avx512vl" in e.features else 256
    return (
        e.floats == "canonical" and form.bits in TYPE and form.name in _ARITHMETIC and form.bits == form.to
        and form.count * form.bits <= wide
    )  # fmt: skip


def flanes(e: Emitter, op: Val, args: list[str], lane: Val, each: Each) -> str:
    """The op on all lanes. lane: the op on one of them; each: how it is done lane by lane."""
    make = _at_once(_Form(op))
    if make is None:
        return each(e, op, args)

    def core(e: Emitter, lane: Val, args: list[str]) -> str:
        return make(e, op, args, each)

    return llvm_float.lowering(core)(e, lane, args)
