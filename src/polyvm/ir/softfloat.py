"""The meaning of every floating-point op of the IR, exact and in plain integers, for the golden evaluator.

Operands and results are bit patterns; every function returns `(result, flags)`. Rounding modes and flags are
numbered as in RISC-V. `nan` chooses which NaN comes out and what an integer conversion out of range gives
(`canonical` is RISC-V), `tininess` when underflow is detected. What is not known here is refused with a
ValueError that names what is; nothing is approximated.
"""

from __future__ import annotations

from math import isqrt

from polyvm.ir.softfloat_core import (
    DZ,
    FORMATS,
    IDC,
    NAN_POLICIES,
    NV,
    NX,
    ODD,
    OF,
    RDN,
    RMM,
    RNE,
    ROUNDINGS,
    RTZ,
    RUP,
    TININESS,
    UF,
    Format,
    Result,
    check_policy,
    check_rounding,
    choose_nan,
    format_of,
    round_pack,
    shift_round,
)

__all__ = [
    "DZ", "FORMATS", "IDC", "NAN_POLICIES", "NV", "NX", "ODD", "OF", "RDN", "RMM", "RNE", "ROUNDINGS", "RTZ", "RUP",
    "TININESS", "UF", "Format", "Result",
    "add", "classify", "convert", "div", "eq", "eq_signaling", "flush", "fma", "from_int", "le", "le_quiet", "lt",
    "lt_quiet", "max", "maximum", "min", "minimum", "mul", "order", "round_to_int", "sqrt", "sub", "to_int",
]  # fmt: skip


# Arithmetic ---------------------------------------------------------------------------------------


def add(w: int, a: int, b: int, rm: int, *, nan: str = "canonical", tininess: str = "after") -> Result:
    """a + b."""
    fmt = _start(w, rm, nan, tininess, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return choose_nan(fmt, nan, a, b)
    return _sum(fmt, rm, nan, tininess, a, b)


def sub(w: int, a: int, b: int, rm: int, *, nan: str = "canonical", tininess: str = "after") -> Result:
    """a - b; a NaN that is handed on keeps its sign."""
    fmt = _start(w, rm, nan, tininess, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return choose_nan(fmt, nan, a, b)
    return _sum(fmt, rm, nan, tininess, a, b ^ fmt.sign_bit)


def mul(w: int, a: int, b: int, rm: int, *, nan: str = "canonical", tininess: str = "after") -> Result:
    """a * b."""
    fmt = _start(w, rm, nan, tininess, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return choose_nan(fmt, nan, a, b)
    sign = fmt.sign(a ^ b)
    if fmt.is_inf(a) or fmt.is_inf(b):
        if fmt.is_zero(a) or fmt.is_zero(b):
            return fmt.default_nan(nan), NV
        return fmt.signed(sign, fmt.infinity), 0
    if fmt.is_zero(a) or fmt.is_zero(b):
        return fmt.signed(sign, 0), 0
    (sig_a, exp_a), (sig_b, exp_b) = fmt.unpack(a), fmt.unpack(b)
    return round_pack(fmt, rm, tininess, sign, sig_a * sig_b, exp_a + exp_b)


def div(w: int, a: int, b: int, rm: int, *, nan: str = "canonical", tininess: str = "after") -> Result:
    """a / b; DZ when a finite number that is not zero is divided by zero."""
    fmt = _start(w, rm, nan, tininess, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return choose_nan(fmt, nan, a, b)
    sign = fmt.sign(a ^ b)
    if (fmt.is_inf(a) and fmt.is_inf(b)) or (fmt.is_zero(a) and fmt.is_zero(b)):
        return fmt.default_nan(nan), NV
    if fmt.is_inf(a):
        return fmt.signed(sign, fmt.infinity), 0
    if fmt.is_zero(b):
        return fmt.signed(sign, fmt.infinity), DZ
    if fmt.is_zero(a) or fmt.is_inf(b):
        return fmt.signed(sign, 0), 0
    (sig_a, exp_a), (sig_b, exp_b) = fmt.unpack(a), fmt.unpack(b)
    shift = 2 * fmt.fraction_bits + 4  # so that a quotient of any two significands has enough bits
    quotient, remainder = divmod(sig_a << shift, sig_b)
    sticky = quotient << 1 | (remainder != 0)
    return round_pack(fmt, rm, tininess, sign, sticky, exp_a - exp_b - shift - 1)


def sqrt(w: int, a: int, rm: int, *, nan: str = "canonical", tininess: str = "after") -> Result:
    """The square root; that of -0 is -0."""
    fmt = _start(w, rm, nan, tininess, a)
    if fmt.is_nan(a):
        return choose_nan(fmt, nan, a)
    if fmt.is_zero(a):
        return a, 0
    if fmt.sign(a):
        return fmt.default_nan(nan), NV
    if fmt.is_inf(a):
        return a, 0
    significand, exponent = fmt.unpack(a)
    shift = 2 * fmt.fraction_bits + 6
    shift += (exponent - shift) & 1  # an even exponent can be halved
    significand <<= shift
    root = isqrt(significand)
    sticky = root << 1 | (root * root != significand)
    return round_pack(fmt, rm, tininess, 0, sticky, (exponent - shift) // 2 - 1)


def fma(
    w: int,
    a: int,
    b: int,
    c: int,
    rm: int,
    *,
    nan: str = "canonical",
    tininess: str = "after",
    factors: int = 0,
) -> Result:
    """a * b + c with one rounding. factors: the width of a and b where it is another one than w.

    inf * 0 + quiet NaN raises NV and gives the default NaN (RISC-V F 2.3 asks for the flag, Arm's FPMulAdd
    for both).  x86 is refused: which NaN it hands on depends on the 132, 213 or 231 form.
    """
    fmt = _start(w, rm, nan, tininess, c)
    narrow = format_of(factors or w, a, b)
    if nan == "x86":
        raise ValueError("fma has no NaN policy 'x86'; supported: canonical, arm")
    invalid_product = (narrow.is_inf(a) and narrow.is_zero(b)) or (narrow.is_zero(a) and narrow.is_inf(b))
    if invalid_product and not fmt.is_signaling(c):
        return fmt.default_nan(nan), NV
    if narrow.is_nan(a) or narrow.is_nan(b) or fmt.is_nan(c):
        # The addend first: Arm's FPProcessNaNs3 in FPMulAdd.
        return choose_nan(fmt, nan, c, _widened_nan(narrow, fmt, a), _widened_nan(narrow, fmt, b))
    sign = narrow.sign(a ^ b)
    if narrow.is_inf(a) or narrow.is_inf(b):
        if fmt.is_inf(c) and fmt.sign(c) != sign:
            return fmt.default_nan(nan), NV
        return fmt.signed(sign, fmt.infinity), 0
    if fmt.is_inf(c):
        return c, 0
    (sig_a, exp_a), (sig_b, exp_b) = narrow.unpack(a), narrow.unpack(b)
    return _sum_exact(fmt, rm, tininess, (sign, sig_a * sig_b, exp_a + exp_b), (fmt.sign(c), *fmt.unpack(c)))


# Minimum and maximum ------------------------------------------------------------------------------


def min(w: int, a: int, b: int, *, nan: str = "canonical") -> Result:
    """minimumNumber of IEEE 754-2019: a number beats a NaN, -0 < +0; a signaling NaN raises NV."""
    return _extreme(w, a, b, nan, smallest=True, number=True)


def max(w: int, a: int, b: int, *, nan: str = "canonical") -> Result:
    """maximumNumber of IEEE 754-2019: a number beats a NaN, -0 < +0; a signaling NaN raises NV."""
    return _extreme(w, a, b, nan, smallest=False, number=True)


def minimum(w: int, a: int, b: int, *, nan: str = "canonical") -> Result:
    """minimum of IEEE 754-2019: a NaN beats a number."""
    return _extreme(w, a, b, nan, smallest=True, number=False)


def maximum(w: int, a: int, b: int, *, nan: str = "canonical") -> Result:
    """maximum of IEEE 754-2019: a NaN beats a number."""
    return _extreme(w, a, b, nan, smallest=False, number=False)


# Comparison: 1 or 0, and false if either operand is a NaN -----------------------------------------


def eq(w: int, a: int, b: int) -> Result:
    """a == b, quiet: only a signaling NaN raises NV."""
    return _compare(w, a, b, signaling=False, less=False, equal=True)


def eq_signaling(w: int, a: int, b: int) -> Result:
    """a == b; any NaN raises NV."""
    return _compare(w, a, b, signaling=True, less=False, equal=True)


def lt(w: int, a: int, b: int) -> Result:
    """a < b; any NaN raises NV."""
    return _compare(w, a, b, signaling=True, less=True, equal=False)


def lt_quiet(w: int, a: int, b: int) -> Result:
    """a < b, quiet: only a signaling NaN raises NV."""
    return _compare(w, a, b, signaling=False, less=True, equal=False)


def le(w: int, a: int, b: int) -> Result:
    """a <= b; any NaN raises NV."""
    return _compare(w, a, b, signaling=True, less=True, equal=True)


def le_quiet(w: int, a: int, b: int) -> Result:
    """a <= b, quiet: only a signaling NaN raises NV."""
    return _compare(w, a, b, signaling=False, less=True, equal=True)


def order(w: int, a: int, b: int, signaling: bool) -> Result:
    """One bit of four: a < b, a == b, a > b, unordered; a signaling NaN raises NV, or any if `signaling`."""
    equal, flags = _compare(w, a, b, signaling=signaling, less=False, equal=True)
    if equal:
        return 2, flags
    fmt = format_of(w)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return 8, flags
    return (1 if _order(fmt, a) < _order(fmt, b) else 4), flags


def flush(w: int, *operands: int) -> tuple[list[int], int]:
    """Operands with zeros for denormal numbers, and IDC if there was one (Arm's FPUnpack with FPCR.FZ)."""
    fmt = format_of(w, *operands)
    denormal = any(map(fmt.is_denormal, operands))
    return [
        bits & fmt.sign_bit if fmt.is_denormal(bits) else bits for bits in operands
    ], IDC if denormal else 0


def classify(w: int, a: int) -> Result:
    """RISC-V's fclass, one bit of ten.

    0 -inf, 1 -normal, 2 -subnormal, 3 -0, 4 +0, 5 +subnormal, 6 +normal, 7 +inf, 8 signaling, 9 quiet NaN.
    """
    fmt = format_of(w, a)
    if fmt.is_nan(a):
        return (1 << 8 if fmt.is_signaling(a) else 1 << 9), 0
    magnitude = a & fmt.magnitude
    if magnitude == fmt.infinity:
        size = 3
    elif magnitude >> fmt.fraction_bits:
        size = 2
    else:
        size = 1 if magnitude else 0
    return (1 << (3 - size) if fmt.sign(a) else 1 << (4 + size)), 0


# Conversion ---------------------------------------------------------------------------------------


def convert(
    w_from: int,
    w_to: int,
    a: int,
    rm: int,
    *,
    nan: str = "canonical",
    tininess: str = "after",
    alternative: bool = False,
) -> Result:
    """From one format to another; a NaN that is handed on keeps its sign and the top of its payload.

    alternative: halves are Arm's, which have numbers instead of infinities and NaNs (FPCR.AHP).
    """
    source = _start(w_from, rm, nan, tininess, a)
    target = format_of(w_to)
    if alternative and w_from == 16 and a & source.infinity == source.infinity:
        significand = a & source.quiet_bit * 2 - 1 | source.quiet_bit * 2
        return round_pack(target, rm, tininess, source.sign(a), significand, 16 - source.fraction_bits)
    if alternative and w_to == 16:
        return _to_alternative(source, rm, tininess, a)
    if source.is_nan(a):
        quieted, flags = choose_nan(source, nan, a)
        payload = quieted & (source.quiet_bit - 1)
        moved = payload << target.fraction_bits >> source.fraction_bits
        return target.signed(source.sign(quieted), target.infinity | target.quiet_bit | moved), flags
    if source.is_inf(a):
        return target.signed(source.sign(a), target.infinity), 0
    if source.is_zero(a):
        return target.signed(source.sign(a), 0), 0
    return round_pack(target, rm, tininess, source.sign(a), *source.unpack(a))


def _to_alternative(source: Format, rm: int, tininess: str, a: int) -> Result:
    """To a half of Arm's alternative format (FPConvert and FPRound with FPCR.AHP)."""
    target, sign = FORMATS[16], source.sign(a)
    if source.is_nan(a):
        return target.signed(sign, 0), NV
    if source.is_inf(a):
        return target.signed(sign, target.magnitude), NV
    if source.is_zero(a):
        return target.signed(sign, 0), 0
    significand, exponent = source.unpack(a)
    top = exponent + significand.bit_length() - 1
    if top < 15:  # where both formats are the same
        return round_pack(target, rm, tininess, sign, significand, exponent)
    kept, inexact = shift_round(rm, sign, significand, top - target.fraction_bits - exponent)
    magnitude = ((top + 14) << target.fraction_bits) + kept  # with the hidden bit, and a carry
    if magnitude > target.magnitude:
        return target.signed(sign, target.magnitude), NV
    return target.signed(sign, magnitude), NX if inexact else 0


def to_int(
    w: int, a: int, rm: int, int_width: int, signed: bool, *, exact: bool = True, nan: str = "canonical"
) -> Result:
    """To an integer of `int_width` bits, as a bit pattern.

    NV alone when the rounded value is out of range; else NX when rounding changed it, if `exact`. Out of
    range gives the nearest integer in range (a NaN the largest, on Arm 0), on x86 the "integer indefinite".
    """
    fmt = _start(w, rm, nan, "after", a)
    mask = (1 << int_width) - 1
    high = mask >> 1 if signed else mask
    low = -high - 1 if signed else 0
    negative = fmt.sign(a)
    invalid = low if negative else high
    if fmt.is_nan(a):
        invalid = 0 if nan.startswith("arm") else high
    if nan == "x86":
        invalid = low if signed else high
    if fmt.is_nan(a) or fmt.is_inf(a):
        return invalid & mask, NV
    significand, exponent = fmt.unpack(a)
    rounded, inexact = shift_round(rm, negative, significand, -exponent)
    value = -rounded if negative else rounded
    if not low <= value <= high:
        return invalid & mask, NV
    return value & mask, NX if inexact and exact else 0


def from_int(value: int, int_width: int, signed: bool, w: int, rm: int) -> Result:
    """From an integer given as a pattern of `int_width` bits."""
    fmt = _start(w, rm, "canonical", "after")
    if value >> int_width:
        raise ValueError(f"{value:#x} is not a {int_width}-bit pattern")
    if not value:
        return 0, 0
    negative = signed and value >> (int_width - 1)
    return round_pack(fmt, rm, "after", int(negative), (1 << int_width) - value if negative else value, 0)


def round_to_int(w: int, a: int, rm: int, exact: bool, *, nan: str = "canonical") -> Result:
    """To an integer in the same format, keeping the sign of zero; NX if that changes it and `exact` asks."""
    fmt = _start(w, rm, nan, "after", a)
    if fmt.is_nan(a):
        return choose_nan(fmt, nan, a)
    if fmt.is_inf(a):
        return a, 0
    significand, exponent = fmt.unpack(a)
    sign = fmt.sign(a)
    if exponent >= 0:
        return a, 0
    rounded, inexact = shift_round(rm, sign, significand, -exponent)
    flags = NX if inexact and exact else 0
    if not rounded:
        return fmt.signed(sign, 0), flags
    return round_pack(fmt, rm, "after", sign, rounded, 0)[0], flags


# Shared parts -------------------------------------------------------------------------------------


def _start(w: int, rm: int, nan: str, tininess: str, *operands: int) -> Format:
    check_rounding(rm)
    check_policy(nan, tininess)
    return format_of(w, *operands)


def _widened_nan(narrow: Format, fmt: Format, bits: int) -> int:
    """A NaN in a wider format, signaling if it was; anything else as a zero."""
    if not narrow.is_nan(bits):
        return 0
    payload = bits & narrow.quiet_bit * 2 - 1
    return fmt.signed(narrow.sign(bits), fmt.infinity | payload << fmt.fraction_bits - narrow.fraction_bits)


def _sum(fmt: Format, rm: int, nan: str, tininess: str, a: int, b: int) -> Result:
    """a + b, neither a NaN."""
    if fmt.is_inf(a):
        if fmt.is_inf(b) and a != b:
            return fmt.default_nan(nan), NV
        return a, 0
    if fmt.is_inf(b):
        return b, 0
    return _sum_exact(fmt, rm, tininess, (fmt.sign(a), *fmt.unpack(a)), (fmt.sign(b), *fmt.unpack(b)))


def _sum_exact(
    fmt: Format, rm: int, tininess: str, x: tuple[int, int, int], y: tuple[int, int, int]
) -> Result:
    """The rounded sum of two numbers (sign, significand, exponent) that need not fit the format."""
    (sign_x, sig_x, exp_x), (sign_y, sig_y, exp_y) = x, y
    exponent = exp_x if exp_x < exp_y else exp_y
    term_x, term_y = sig_x << (exp_x - exponent), sig_y << (exp_y - exponent)
    total = (-term_x if sign_x else term_x) + (-term_y if sign_y else term_y)
    if total:
        return round_pack(fmt, rm, tininess, int(total < 0), abs(total), exponent)
    # IEEE 754-2019 6.3: a zero sum is +0, or -0 when rounding down, unless both terms are zeros of one sign
    if not sig_x and not sig_y and sign_x == sign_y:
        return fmt.signed(sign_x, 0), 0
    return fmt.signed(rm == RDN, 0), 0


def _order(fmt: Format, bits: int) -> int:
    """An integer that orders all patterns but NaNs as the numbers are ordered, with -0 just below +0."""
    return ~(bits & fmt.magnitude) if fmt.sign(bits) else bits


def _extreme(w: int, a: int, b: int, nan: str, *, smallest: bool, number: bool) -> Result:
    check_policy(nan)
    if nan == "x86":
        raise ValueError("minimum and maximum have no NaN policy 'x86'; supported: canonical, arm")
    fmt = format_of(w, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        result, flags = choose_nan(fmt, nan, a, b)
        # Arm's FMINNM lets only a quiet NaN lose; RISC-V, as IEEE 754-2019 9.6, a signaling one too.
        if number and not (fmt.is_nan(a) and fmt.is_nan(b)) and not (nan.startswith("arm") and flags):
            return (b if fmt.is_nan(a) else a), flags
        return result, flags
    a_first = _order(fmt, a) < _order(fmt, b)
    return (a if a_first == smallest else b), 0


def _compare(w: int, a: int, b: int, *, signaling: bool, less: bool, equal: bool) -> Result:
    fmt = format_of(w, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        invalid = signaling or fmt.is_signaling(a) or fmt.is_signaling(b)
        return 0, NV if invalid else 0
    if a == b or (fmt.is_zero(a) and fmt.is_zero(b)):
        return int(equal), 0
    return int(less and _order(fmt, a) < _order(fmt, b)), 0
