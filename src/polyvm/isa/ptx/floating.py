"""Floating-point arithmetic, comparison and conversion: PTX ISA 9.7.3 to 9.7.5, and the conversions of 9.7.9.

Where the manual defines a result to the bit, this is it: IEEE 754 with the rounding that the instruction names,
subnormal numbers kept unless .ftz stands there. Where it gives an error bound (.approx, .full), the result is within
the bound. Directed rounding of doubles is refused but for add and cvt. NaN results of add, sub, mul, div and fma are
NaNs whose payload the manual leaves open; those that it fixes (min, max, cvt) are fixed.
"""

from __future__ import annotations

from typing import Any

from polyvm.isa.ptx.integer import bits, combine, is_signed, truth_value
from polyvm.isa.ptx.table import Decoded, Lanes, form

HALVES = "f16 f16x2 bf16 bf16x2"
_ROUNDINGS = "rn rz rm rp"
_LAYOUT = {"f16": ("half", 16, 10), "f32": ("float", 32, 23), "f64": ("double", 64, 52)}
CANONICAL = {"f16": 0x7FFF, "bf16": 0x7FFF, "f32": 0x7FFFFFFF, "f64": 0x7FF8000000000000}
_INTEGRAL = {"rni": "rint", "rzi": "ftrunc", "rmi": "ffloor", "rpi": "fceil"}


def element(i: Decoded) -> str:
    """The type without the x2 of a packed one."""
    return i.type.removesuffix("x2")


# -- Helpers: brain floats, flushing, saturation, directed rounding
def widen(m: Lanes, kind: str, a: Any) -> Any:
    """A half or a brain float as float; others as they are."""
    if kind == "bf16":
        return m.bitcast(m.shl(m.zext(a, 32), m.const32(a, 16)), "float")
    return m.fpext(a, "float") if kind == "f16" else a


def narrow(m: Lanes, kind: str, a: Any) -> Any:
    """A float rounded to the nearest of a type, ties to even; a NaN becomes the canonical one."""
    if kind == "bf16":
        x = m.bitcast(a, "i32")
        odd = m.and_(m.lshr(x, m.const(x, 16)), m.const(x, 1))
        up = m.trunc(m.lshr(m.add(x, m.add(odd, m.const(x, 0x7FFF))), m.const(x, 16)), 16)
        return m.select(m.fcmp("uno", a, a), m.const(up, CANONICAL["bf16"]), up)
    if kind == "f16":
        return _quiet(m, kind, a, m.fptrunc(a, "half"))
    return a


def _quiet(m: Lanes, kind: str, source: Any, made: Any) -> Any:
    """The canonical NaN where the source is a NaN."""
    nan = m.bitcast(m.integer(made, CANONICAL[kind]), made.type)
    return m.select(m.fcmp("uno", source, source), nan, made)


def flush(m: Lanes, i: Decoded, a: Any) -> Any:
    """A subnormal float as the zero of its sign, where .ftz stands."""
    if not i.has("ftz") or a.type not in ("float", "half"):
        return a
    width, fraction = (32, 23) if a.type == "float" else (16, 10)
    x = m.bitcast(a, f"i{width}")
    exponent = m.and_(x, m.const(x, ((1 << (width - 1)) - 1) ^ ((1 << fraction) - 1)))
    sign = m.and_(x, m.const(x, 1 << (width - 1)))
    return m.bitcast(m.select(m.icmp("eq", exponent, m.const(x, 0)), sign, x), a.type)


def saturate(m: Lanes, i: Decoded, a: Any) -> Any:
    """Limited to [0, 1], NaN to +0, where .sat stands; not below +0 (NaN stays one) where .relu does."""
    zero = m.fconst(a, 0.0)
    if i.has("sat"):
        a = m.select(m.fcmp("ogt", a, zero), a, zero)
        return m.select(m.fcmp("ogt", a, m.fconst(a, 1.0)), m.fconst(a, 1.0), a)
    if i.has("relu"):
        return m.select(m.fcmp("ole", a, zero), zero, a)
    return a


def _two_sum(m: Lanes, a: Any, b: Any) -> tuple[Any, Any]:
    """The sum rounded, and what rounding took away (Knuth): exact but for overflow."""
    total = m.fadd(a, b)
    part = m.fsub(total, a)
    return total, m.fadd(m.fsub(a, m.fsub(total, part)), m.fsub(b, part))


def odd(m: Lanes, total: Any, rest: Any) -> Any:
    """A double whose last bit is made odd where it is not exact: rounding it once more is as rounding once."""
    x = m.bitcast(total, "i64")
    inexact = m.fcmp("one", rest, m.fconst(rest, 0.0))
    even = m.icmp("eq", m.and_(x, m.const(x, 1)), m.const(x, 0))
    same = m.icmp("eq", m.lshr(x, m.const(x, 63)), m.lshr(m.bitcast(rest, "i64"), m.const(x, 63)))
    step = m.select(same, m.const(x, 1), m.const(x, -1))
    return m.bitcast(m.select(m.and_(inexact, even), m.add(x, step), x), "double")


def to_float_odd(m: Lanes, a: Any) -> Any:
    """A double as a float whose last bit is odd where it is not exact."""
    r = m.fptrunc(a, "float")
    back = m.fpext(r, "double")
    x = m.bitcast(r, "i32")
    even = m.icmp("eq", m.and_(x, m.const(x, 1)), m.const(x, 0))
    larger = m.fcmp("ogt", m.fabs(a), m.fabs(back))
    step = m.select(larger, m.const(x, 1), m.const(x, -1))
    change = m.and_(m.fcmp("one", a, back), even)
    return m.bitcast(m.select(change, m.add(x, step), x), "float")


def directed(
    m: Lanes, mode: str, kind: str, total: Any, rest: Any = None, signs: tuple[Any, ...] = ()
) -> Any:
    """The float of a type nearest to total + rest in a direction; total is a double, rest what it lacks.

    signs: the addends, of which one that is negative makes an exact zero negative when rounding down.
    """
    name, width, _ = _LAYOUT[kind]
    r = (
        total
        if kind == "f64"
        else m.fptrunc(to_float_odd(m, total), name)
        if kind == "f16"
        else m.fptrunc(total, name)
    )
    back = r if kind == "f64" else m.fpext(r, "double")
    above, below = m.fcmp("ogt", total, back), m.fcmp("olt", total, back)
    if rest is not None:
        level = m.fcmp("oeq", total, back)
        zero = m.fconst(rest, 0.0)
        above = m.or_(above, m.and_(level, m.fcmp("ogt", rest, zero)))
        below = m.or_(below, m.and_(level, m.fcmp("olt", rest, zero)))
    x = m.bitcast(r, f"i{width}")
    one, sign = m.const(x, 1), m.const(x, 1 << (width - 1))
    minus = m.icmp("slt", x, m.const(x, 0))
    nothing = m.icmp("eq", m.shl(x, one), m.const(x, 0))
    if mode == "rz":
        away = m.or_(m.and_(below, m.not_(minus)), m.and_(above, minus))
        away = m.and_(away, m.not_(nothing))
        made = m.select(away, m.sub(x, one), x)
    elif mode == "rm":
        down = m.select(minus, m.add(x, one), m.sub(x, one))
        made = m.select(below, m.select(nothing, m.or_(sign, one), down), x)
        if signs:
            negative = m.fcmp("oeq", total, m.fconst(total, 0.0))
            some = m.const1(x, 0)
            for addend in signs:
                y = m.bitcast(addend, "i64")
                some = m.or_(some, m.icmp("slt", y, m.const(y, 0)))
            exact = m.fcmp("oeq", rest, m.fconst(rest, 0.0))
            made = m.select(m.and_(m.and_(negative, exact), some), sign, made)
    else:
        up = m.select(minus, m.sub(x, one), m.add(x, one))
        made = m.select(above, m.select(nothing, one, up), x)
    return m.bitcast(made, name)


def _double(m: Lanes, a: Any) -> Any:
    return m.fpext(a, "double")


# -- 9.7.3 and 9.7.4 Arithmetic
def _sum(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    kind, mode = element(i), i.one("rz", "rm", "rp")
    if kind == "bf16":
        return narrow(m, kind, saturate(m, i, m.fadd(widen(m, kind, a), widen(m, kind, b))))
    a, b = flush(m, i, a), flush(m, i, b)
    if not mode:
        total = m.fadd(a, b)
    elif kind == "f64":
        # An overflow has no rest; towards zero, and away from an infinity, it is the largest number.
        total, rest = _two_sum(m, a, b)
        finite = m.and_(m.finite(a), m.finite(b))
        lost = m.and_(finite, m.not_(m.finite(total)))
        rest = m.select(lost, m.fneg(total), rest)
        total = directed(m, mode, kind, total, rest, (a, b))
    else:
        x, y = _double(m, a), _double(m, b)
        total, rest = _two_sum(m, x, y)
        total = directed(m, mode, kind, total, rest, (x, y))
    return saturate(m, i, flush(m, i, total))


@form("add", "f32", "d a b", mods=f"{_ROUNDINGS} ftz sat")
@form("add", "f64", "d a b", mods=_ROUNDINGS)
@form("add", HALVES, "d a b", mods="rn ftz sat")
def add(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The sum."""
    return _sum(m, i, a, b)


@form("sub", "f32", "d a b", mods=f"{_ROUNDINGS} ftz sat")
@form("sub", "f64", "d a b", mods=_ROUNDINGS)
@form("sub", HALVES, "d a b", mods="rn ftz sat")
def sub(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The difference."""
    if element(i) == "bf16":
        return _sum(m, i, a, m.xor(b, m.const(b, 0x8000)))
    return _sum(m, i, a, m.fneg(b))


@form("mul", "f32", "d a b", mods=f"{_ROUNDINGS} ftz sat")
@form("mul", "f64", "d a b", mods="rn")
@form("mul", HALVES, "d a b", mods="rn ftz sat")
def mul(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The product."""
    kind, mode = element(i), i.one("rz", "rm", "rp")
    if kind == "bf16":
        return narrow(m, kind, saturate(m, i, m.fmul(widen(m, kind, a), widen(m, kind, b))))
    a, b = flush(m, i, a), flush(m, i, b)
    product = m.fmul(a, b) if not mode else directed(m, mode, kind, m.fmul(_double(m, a), _double(m, b)))
    return saturate(m, i, flush(m, i, product))


def _fused(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    kind, mode = element(i), i.one("rz", "rm", "rp")
    if kind in ("f16", "bf16"):
        # The product is exact in a double; the sum is rounded to odd there, so that the last rounding is the only one.
        x, y, z = (_double(m, widen(m, kind, flush(m, i, v))) for v in (a, b, c))
        total, rest = _two_sum(m, m.fmul(x, y), z)
        return narrow(m, kind, to_float_odd(m, odd(m, total, rest)))
    a, b, c = flush(m, i, a), flush(m, i, b), flush(m, i, c)
    if not mode:
        return m.fma(a, b, c)
    product, addend = m.fmul(_double(m, a), _double(m, b)), _double(m, c)
    total, rest = _two_sum(m, product, addend)
    return directed(m, mode, kind, total, rest, (product, addend))


@form("fma", "f32", "d a b c", needs=_ROUNDINGS, mods="ftz sat")
@form("mad", "f32", "d a b c", mods=f"{_ROUNDINGS} ftz sat")
@form("fma", "f64", "d a b c", needs="rn")
@form("mad", "f64", "d a b c", needs="rn")
@form("fma", HALVES, "d a b c", needs="rn", mods="ftz sat relu")
def fma(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""
    made = _fused(m, i, a, b, c)
    if element(i) == "bf16":
        return _brain(m, i, made, saturate)
    return saturate(m, i, flush(m, i, made))


def _brain(m: Lanes, i: Decoded, made: Any, then: Any) -> Any:
    """Something that is done to floats, done to brain floats where it is asked for."""
    if not (i.has("sat") or i.has("relu")):
        return made
    return narrow(m, "bf16", then(m, i, widen(m, "bf16", made)))


def _quotient(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    mode = i.one("rz", "rm", "rp")
    if not mode:
        return m.fdiv(a, b)
    x, y = _double(m, a), _double(m, b)
    q = m.fdiv(x, y)
    rest = m.fma(m.fneg(q), y, x)
    negative = m.fcmp("olt", y, m.fconst(y, 0.0))
    return directed(m, mode, "f32", q, m.select(negative, m.fneg(rest), rest))


@form("div", "f32", "d a b", needs=f"approx full {_ROUNDINGS}", mods="ftz")
@form("div", "f64", "d a b", needs="rn")
def div(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The quotient; .approx and .full may be 2 ulp off, and are exact here."""
    return flush(m, i, _quotient(m, i, flush(m, i, a), flush(m, i, b)))


@form("rcp", "f32", "d a", needs=f"approx {_ROUNDINGS}", mods="ftz")
@form("rcp", "f64", "d a", needs="rn")
def rcp(m: Lanes, i: Decoded, a: Any) -> Any:
    """1 / a; .approx may be 1 ulp off, and is exact here."""
    a = flush(m, i, a)
    return flush(m, i, _quotient(m, i, m.fconst(a, 1.0), a))


def _upper(m: Lanes, a: Any) -> Any:
    """The upper 32 bits of a double, the lower ones zero."""
    x = m.bitcast(a, "i64")
    return m.bitcast(m.and_(x, m.const(x, 0xFFFFFFFF00000000)), "double")


@form("rcp", "f64", "d a", needs="approx", mods="ftz")
def rcp_gross(m: Lanes, i: Decoded, a: Any) -> Any:
    """1 / a, of which only the upper 32 bits count (9.7.3.14)."""
    return _upper(m, m.fdiv(m.fconst(a, 1.0), _upper(m, a)))


@form("sqrt", "f32", "d a", needs=f"approx {_ROUNDINGS}", mods="ftz")
@form("sqrt", "f64", "d a", needs="rn")
def sqrt(m: Lanes, i: Decoded, a: Any) -> Any:
    """The square root; .approx may be off by a relative 2^-23, and is exact here."""
    a, mode = flush(m, i, a), i.one("rz", "rm", "rp")
    if not mode:
        return flush(m, i, m.fsqrt(a))
    x = _double(m, a)
    root = m.fsqrt(x)
    return flush(m, i, directed(m, mode, "f32", root, m.fma(m.fneg(root), root, x)))


@form("rsqrt", "f32", "d a", needs="approx", mods="ftz")
def rsqrt(m: Lanes, i: Decoded, a: Any) -> Any:
    """1 / sqrt(a), within a relative 2^-22.9."""
    a = flush(m, i, a)
    return flush(m, i, m.fdiv(m.fconst(a, 1.0), m.fsqrt(a)))


@form("rsqrt", "f64", "d a", needs="approx", mods="ftz")
def rsqrt_double(m: Lanes, i: Decoded, a: Any) -> Any:
    """1 / sqrt(a); with .ftz only the upper 32 bits count."""
    if i.has("ftz"):
        a = _upper(m, a)
    made = m.fdiv(m.fconst(a, 1.0), m.fsqrt(a))
    return _upper(m, made) if i.has("ftz") else made


@form("neg", "f32 f64 f16 f16x2", "d a", mods="ftz")
@form("neg", "bf16 bf16x2", "d a")
def neg(m: Lanes, i: Decoded, a: Any) -> Any:
    """-a."""
    return m.xor(a, m.const(a, 0x8000)) if element(i) == "bf16" else m.fneg(flush(m, i, a))


@form("abs", "f32 f64 f16 f16x2", "d a", mods="ftz")
@form("abs", "bf16 bf16x2", "d a")
def absolute(m: Lanes, i: Decoded, a: Any) -> Any:
    """|a|."""
    return m.and_(a, m.const(a, 0x7FFF)) if element(i) == "bf16" else m.fabs(flush(m, i, a))


@form("copysign", "f32 f64", "d a b")
def copysign(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """b with the sign of a."""
    return m.copysign(b, a)


def _extreme(m: Lanes, i: Decoded, a: Any, b: Any, which: str) -> Any:
    kind = element(i)
    x, y = (flush(m, i, widen(m, kind, v) if kind == "bf16" else v) for v in (a, b))
    sign = None
    if i.has("xorsign"):
        integer = f"i{bits('f32' if kind == 'bf16' else kind)}"
        sign = m.xor(m.bitcast(x, integer), m.bitcast(y, integer))
        x, y = m.fabs(x), m.fabs(y)
    found = m.minimumnum(x, y) if which == "min" else m.maximumnum(x, y)
    bad = m.fcmp("uno", x, y) if i.has("NaN") else m.and_(m.fcmp("uno", x, x), m.fcmp("uno", y, y))
    nan = m.bitcast(m.integer(found, CANONICAL["f32" if kind == "bf16" else kind]), found.type)
    if sign is not None:
        found = m.copysign(found, m.bitcast(sign, found.type))
    found = m.select(bad, nan, found)
    return narrow(m, kind, found) if kind == "bf16" else found


_MIN_MODS = "ftz NaN xorsign abs"


@form("min", "f32", "d a b", mods=_MIN_MODS)
@form("min", "f64", "d a b")
@form("min", HALVES, "d a b", mods=_MIN_MODS)
def minimum(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The smaller, -0 below +0; of a NaN and a number the number, with .NaN the canonical NaN."""
    return _extreme(m, i, a, b, "min")


@form("max", "f32", "d a b", mods=_MIN_MODS)
@form("max", "f64", "d a b")
@form("max", HALVES, "d a b", mods=_MIN_MODS)
def maximum(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The larger, likewise."""
    return _extreme(m, i, a, b, "max")


@form("testp", "f32 f64", "d:pred a", needs="finite infinite number notanumber normal subnormal")
def testp(m: Lanes, i: Decoded, a: Any) -> Any:
    """Which kind of number it is."""
    _, width, fraction = _LAYOUT[i.type]
    x = m.bitcast(m.fabs(a), f"i{width}")
    zero, top = m.const(x, 0), m.const(x, ((1 << (width - 1 - fraction)) - 1) << fraction)
    least = m.const(x, 1 << fraction)
    kind = i.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    if kind == "normal":
        return m.and_(m.icmp("uge", x, least), m.icmp("ult", x, top))
    if kind == "subnormal":
        return m.and_(m.icmp("ult", x, least), m.icmp("ne", x, zero))
    return m.icmp({"finite": "ult", "infinite": "eq", "number": "ule", "notanumber": "ugt"}[kind], x, top)


# -- Transcendental functions: the manual bounds their errors
_EXP2 = (1.535336188319500e-4, 1.339887440266574e-3, 9.618437357674640e-3, 5.550332471162809e-2,
         2.402264791363012e-1, 6.931472028550421e-1, 1.0)  # fmt: skip


def _polynomial(m: Lanes, x: Any, coefficients: tuple[float, ...]) -> Any:
    total = m.fconst(x, coefficients[0])
    for c in coefficients[1:]:
        total = m.fma(total, x, m.fconst(x, c))
    return total


def exp2(m: Lanes, x: Any) -> Any:
    """2^x of floats within a relative 2^-22, exact for integers."""
    x = m.select(m.fcmp("olt", x, m.fconst(x, -160.0)), m.fconst(x, -160.0), x)
    x = m.select(m.fcmp("ogt", x, m.fconst(x, 130.0)), m.fconst(x, 130.0), x)
    whole = m.rint(x)
    part = m.fsub(x, whole)
    n = m.fptosi_sat(whole, 32)
    half = m.ashr(n, m.const(n, 1))
    made = _polynomial(m, part, _EXP2)
    for exponent in (half, m.sub(n, half)):  # in two steps: the result may be subnormal
        scale = m.shl(m.add(exponent, m.const(n, 127)), m.const(n, 23))
        made = m.fmul(made, m.bitcast(scale, "float"))
    return made


@form("ex2", "f32", "d a", needs="approx", mods="ftz")
@form("ex2", HALVES, "d a", needs="approx", mods="ftz")
def ex2(m: Lanes, i: Decoded, a: Any) -> Any:
    """2^a, within a relative 2^-22 (halves: 2^-9.9, brain floats 2^-7)."""
    kind = element(i)
    return narrow(m, kind, flush(m, i, exp2(m, flush(m, i, widen(m, kind, a)))))


@form("lg2", "f32", "d a", needs="approx", mods="ftz")
def lg2(m: Lanes, i: Decoded, a: Any) -> Any:
    """The logarithm to base 2, within 2^-22."""
    a = flush(m, i, a)
    tiny = m.fcmp("olt", a, m.fconst(a, 2.0**-126))
    x = m.bitcast(m.select(tiny, m.fmul(a, m.fconst(a, 2.0**24)), a), "i32")
    # The mantissa in [sqrt(1/2), sqrt(2)).
    shifted = m.sub(x, m.const(x, 0x3F3504F3))
    exponent = m.ashr(shifted, m.const(x, 23))
    mantissa = m.bitcast(m.sub(x, m.shl(exponent, m.const(x, 23))), "float")
    one = m.fconst(a, 1.0)
    s = m.fdiv(m.fsub(mantissa, one), m.fadd(mantissa, one))
    square = m.fmul(s, s)
    series = _polynomial(m, square, (2.88539008 / 9, 2.88539008 / 7, 2.88539008 / 5, 2.88539008 / 3))
    log = m.fma(m.fmul(square, series), s, m.fmul(s, m.fconst(a, 2.88539008)))
    n = m.sub(exponent, m.select_bits(tiny, 24, 32))
    made = m.fadd(m.sitofp(n, "float"), log)
    made = m.select(m.fcmp("oeq", a, m.fconst(a, 0.0)), m.fconst(a, float("-inf")), made)
    special = m.select(m.fcmp("olt", a, m.fconst(a, 0.0)), m.fconst(a, float("nan")), a)
    made = m.select(m.fcmp("ult", a, m.fconst(a, 0.0)), special, made)
    return m.select(m.fcmp("oeq", a, m.fconst(a, float("inf"))), a, made)


_SIN = (2.608e-6, -1.98107e-4, 8.33307e-3, -1.666666e-1)
_COS = (2.44e-5, -1.38873e-3, 4.16666e-2, -0.5)


def _turn(m: Lanes, a: Any, quarter: int) -> Any:
    """The sine of a plus so many right angles."""
    x = m.fpext(a, "double")
    n = m.rint(m.fmul(x, m.fconst(x, 0.6366197723675814)))
    rest = m.fma(m.fneg(n), m.fconst(x, 1.5707963267948966), x)
    rest = m.fptrunc(m.fma(m.fneg(n), m.fconst(x, 6.123233995736766e-17), rest), "float")
    which = m.add(m.trunc(m.fptosi_sat(n, 64), 32), m.const32(a, quarter))
    square = m.fmul(rest, rest)
    sine = m.fma(m.fmul(square, _polynomial(m, square, _SIN)), rest, rest)
    cosine = m.fma(square, _polynomial(m, square, _COS), m.fconst(rest, 1.0))
    one = m.const(which, 1)
    made = m.select(m.icmp("ne", m.and_(which, one), m.const(which, 0)), cosine, sine)
    minus = m.icmp("ne", m.and_(which, m.const(which, 2)), m.const(which, 0))
    made = m.select(minus, m.fneg(made), made)
    return m.select(m.finite(a), made, m.fconst(a, float("nan")))


@form("sin", "f32", "d a", needs="approx", mods="ftz")
def sin(m: Lanes, i: Decoded, a: Any) -> Any:
    """The sine, within 2^-20.5."""
    return flush(m, i, _turn(m, flush(m, i, a), 0))


@form("cos", "f32", "d a", needs="approx", mods="ftz")
def cos(m: Lanes, i: Decoded, a: Any) -> Any:
    """The cosine, within 2^-20.5."""
    return flush(m, i, _turn(m, flush(m, i, a), 1))


@form("tanh", "f32", "d a", needs="approx")
@form("tanh", HALVES, "d a", needs="approx")
def tanh(m: Lanes, i: Decoded, a: Any) -> Any:
    """The hyperbolic tangent, within a relative 2^-11."""
    kind = element(i)
    x = widen(m, kind, a)
    one = m.fconst(x, 1.0)
    power = exp2(m, m.fmul(m.fabs(x), m.fconst(x, 2.885390081777927)))
    far = m.fsub(one, m.fdiv(m.fconst(x, 2.0), m.fadd(power, one)))
    square = m.fmul(x, x)
    near = m.fma(m.fmul(square, _polynomial(m, square, (0.1333333, -0.3333333))), x, x)
    made = m.select(m.fcmp("olt", m.fabs(x), m.fconst(x, 0.125)), near, m.copysign(far, x))
    return narrow(m, kind, made)


# -- 9.7.6 and 9.7.5 Comparison
RELATIONS = {
    "eq": "oeq", "ne": "one", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "equ": "ueq", "neu": "une",
    "ltu": "ult", "leu": "ule", "gtu": "ugt", "geu": "uge", "num": "ord", "nan": "uno",
}  # fmt: skip
_ALL = " ".join(RELATIONS)


def _compare(m: Lanes, i: Decoded, kind: str, a: Any, b: Any) -> Any:
    if kind == "bf16":
        a, b = widen(m, kind, a), widen(m, kind, b)
    return m.fcmp(RELATIONS[i.one(*RELATIONS)], flush(m, i, a), flush(m, i, b))


@form("setp", "f16 bf16 f32 f64", "d:pred a b", needs=_ALL, mods="ftz")
@form("setp", "f16 bf16 f32 f64", "d:pred a b c:pred", needs=_ALL + " ; and or xor", mods="ftz")
def setp(m: Lanes, i: Decoded, a: Any, b: Any, c: Any = None) -> Any:
    """A predicate from a comparison, and its contrary."""
    truth = _compare(m, i, i.type, a, b)
    return combine(m, i, truth, c), combine(m, i, m.not_(truth), c)


@form("set", "u32 s32 f32 ; f32 f64 f16 bf16", "d a:2 b:2", needs=_ALL, mods="ftz")
@form("set", "u32 s32 f32 ; f32 f64 f16 bf16", "d a:2 b:2 c:pred", needs=_ALL + " ; and or xor", mods="ftz")
def set_(m: Lanes, i: Decoded, a: Any, b: Any, c: Any = None) -> Any:
    """All ones (1.0 for f32) or zero from a comparison."""
    return truth_value(m, i, combine(m, i, _compare(m, i, i.types[1], a, b), c))


@form("set", "f16x2 bf16x2 f16 bf16 ; f16x2 bf16x2 f16 bf16", "d a:2 b:2", needs=_ALL, mods="ftz")
def set_half(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """1.0 or zero from a comparison of halves."""
    kind = i.types[1].removesuffix("x2")
    one = 0x3F80 if element(i) == "bf16" else 0x3C00
    made = m.select_bits(_compare(m, i, kind, a, b), one, 16)
    return made if element(i) == "bf16" else m.bitcast(made, "half")


# -- 9.7.9 Conversion
_INTEGERS = "u8 s8 u16 s16 u32 s32 u64 s64"
_FLOATS = "f16 bf16 f32 f64"


@form("cvt", f"{_INTEGERS} ; {_INTEGERS}", "d a:2", mods="sat")
def cvt(m: Lanes, i: Decoded, a: Any) -> Any:
    """An integer as another type; .sat limits it to the type's range."""
    to, of = bits(i.type), bits(i.types[1])
    if i.has("sat"):
        a = m.clamp(a, is_signed(i.types[1]), is_signed(i.type), to)
    if to <= of:
        return m.trunc(a, to) if to < of else a
    return m.sext(a, to) if is_signed(i.types[1]) else m.zext(a, to)


@form("cvt", f"{_INTEGERS} ; {_FLOATS}", "d a:2", needs=" ".join(_INTEGRAL), mods="ftz sat")
def cvt_to_integer(m: Lanes, i: Decoded, a: Any) -> Any:
    """A float rounded to an integer, limited to the type's range. A NaN is 0, of doubles and for 64-bit integers the
    value with only the highest bit set."""
    kind, width = i.types[1], bits(i.type)
    a = flush(m, i, a)
    if kind in ("bf16", "f16"):
        a = widen(m, kind, a)
    nan = m.fcmp("uno", a, a)
    rounded = getattr(m, _INTEGRAL[i.one(*_INTEGRAL)])(a)
    made = m.fptosi_sat(rounded, width) if is_signed(i.type) else m.fptoui_sat(rounded, width)
    if kind == "f64" or width == 64:
        made = m.select(nan, m.const(made, 1 << (width - 1)), made)
    return made


@form("cvt", f"f16 f32 f64 ; {_INTEGERS}", "d a:2", needs=_ROUNDINGS, mods="sat ftz")
def cvt_of_integer(m: Lanes, i: Decoded, a: Any) -> Any:
    """An integer as a float."""
    mode, kind = i.one("rz", "rm", "rp"), i.type
    convert = m.sitofp if is_signed(i.types[1]) else m.uitofp
    if not mode and kind != "f16":
        return saturate(m, i, convert(a, _LAYOUT[kind][0]))
    near = convert(a, "double")
    rest = m.fconst(near, 0.0)
    if bits(i.types[1]) == 64:
        back = m.fptosi_sat(near, 64) if is_signed(i.types[1]) else m.fptoui_sat(near, 64)
        top = m.fcmp("oge", near, m.fconst(near, 2.0**63 if is_signed(i.types[1]) else 2.0**64))
        rest = m.sitofp(m.sub(m.sub(a, back), m.zext(top, 64)), "double")
    if not mode:
        made = m.fptrunc(to_float_odd(m, odd(m, near, rest)), "half")
    else:
        made = directed(m, mode, kind, near, rest)
    return saturate(m, i, made)


@form("cvt", "f16 bf16 f32 ; f16 bf16 f32 f64", "d a:2", needs=_ROUNDINGS, mods="ftz sat relu satfinite")
@form("cvt", "f16 f32 f64 ; f16 bf16 f32 f64", "d a:2", mods="ftz sat")
@form("cvt", "bf16 ; bf16 f32", "d a:2", mods="rn relu")
def cvt_float(m: Lanes, i: Decoded, a: Any) -> Any:
    """A float as another type, rounded as asked."""
    to, of, mode = i.type, i.types[1], i.one("rz", "rm", "rp")
    if i.has("satfinite"):
        return m.refuse(i, "saturation to finite numbers is for the 8-bit types")
    a = flush(m, i, a)
    source = a if of in ("f32", "f64") else widen(m, of, a)
    nan = m.fcmp("uno", source, source)
    if to == "f64":
        made = source if of == "f64" else m.fpext(source, "double")
        return saturate(m, i, made)
    if mode and to != "bf16":
        made = directed(m, mode, to, source if of == "f64" else m.fpext(source, "double"))
    elif to == "f32":
        made = m.fptrunc(source, "float") if of == "f64" else source
    elif to == "f16":
        made = m.fptrunc(to_float_odd(m, source) if of == "f64" else source, "half")
    else:
        single = to_float_odd(m, source) if of == "f64" else source
        if mode == "rz":
            x = m.bitcast(single, "i32")
            made = m.trunc(m.lshr(x, m.const(x, 16)), 16)
            made = m.select(nan, m.const(made, CANONICAL["bf16"]), made)
        elif mode:
            return m.refuse(i, "brain floats are rounded to the nearest or towards zero")
        else:
            made = narrow(m, "bf16", single)
        return _brain(m, i, made, saturate)
    made = saturate(m, i, flush(m, i, made))
    if i.has("sat") or (to == "f32" and of == "f32"):
        return made
    return m.select(nan, m.bitcast(m.integer(made, CANONICAL[to]), made.type), made)


@form("cvt", "f16 ; f16", "d a:2", needs=" ".join(_INTEGRAL), mods="ftz sat")
@form("cvt", "f32 ; f32", "d a:2", needs=" ".join(_INTEGRAL), mods="ftz sat")
@form("cvt", "f64 ; f64", "d a:2", needs=" ".join(_INTEGRAL), mods="sat")
def cvt_integral(m: Lanes, i: Decoded, a: Any) -> Any:
    """A float rounded to an integral value."""
    made = getattr(m, _INTEGRAL[i.one(*_INTEGRAL)])(flush(m, i, a))
    return saturate(m, i, made)


@form("cvt", "f16x2 bf16x2 ; f32", "d:b32 a:2 b:2", needs="rn rz", mods="relu")
def cvt_pair(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Two floats as halves in one register, a above b."""
    kind = element(i)

    def one(x: Any) -> Any:
        if i.has("relu"):
            x = saturate(m, i, x)
        if kind == "bf16":
            if i.has("rz"):
                y = m.bitcast(x, "i32")
                cut = m.trunc(m.lshr(y, m.const(y, 16)), 16)
                return m.select(m.fcmp("uno", x, x), m.const(cut, CANONICAL["bf16"]), cut)
            return narrow(m, kind, x)
        made = directed(m, "rz", kind, m.fpext(x, "double")) if i.has("rz") else m.fptrunc(x, "half")
        return m.bitcast(_quiet(m, kind, x, made), "i16")

    high = m.shl(m.zext(one(a), 32), m.const32(a, 16))
    return m.or_(high, m.zext(one(b), 32))
