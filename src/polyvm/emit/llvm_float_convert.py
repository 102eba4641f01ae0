"""Between floating-point numbers and integers on an x86-64 host, saturating as the ops ask.

The host's conversions give one value for everything out of range, so that value leads to a block out of the way that
says which limit it is. Unsigned integers are told by comparing patterns first, because a conversion that is taken
back would have raised inexact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit import llvm_float_half as half
from polyvm.emit.llvm_float_env import (
    FRACTION,
    SUFFIX,
    TYPE,
    assembly,
    cold_effect,
    cold_value,
    compare,
    constrained,
    infinity,
    magnitude,
    power,
    raise_inexact,
    raise_invalid,
    split,
    to_float,
    to_pattern,
)
from polyvm.ir.ops import ROUND_DYNAMIC

if TYPE_CHECKING:
    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

NEAREST_EVEN, TO_ZERO, DOWN, UP, NEAREST_AWAY = range(5)
# vroundss and vroundsd: the mode, 4 for the host's own, and 8 for silence about inexact.
IMMEDIATE: Final = {NEAREST_EVEN: 0, DOWN: 1, UP: 2, TO_ZERO: 3, ROUND_DYNAMIC: 4}
SILENT: Final = 8

_PRECISION: Final = {16: 11, 32: 24, 64: 53}


def _attr(op: Val) -> tuple[bool, int]:
    """Signedness and rounding of a conversion from or to an integer."""
    assert isinstance(op.attr, tuple)
    signed, mode = op.attr
    return bool(signed), int(mode)


def exact(op: Val) -> bool:
    """Whether a conversion has nothing to round, whatever the operand."""
    if op.op in ("fcvt", "fresize"):
        return op.bits > op.args[0].bits
    if op.op == "itof":
        signed, _ = _attr(op)
        return op.args[0].bits - signed <= _PRECISION[op.bits]
    return False


# -- From integers
def inexact(e: Emitter, op: Val, args: list[str]) -> str:
    """Whether an integer is so large that its conversion may have to round."""
    signed, _ = _attr(op)
    t, limit = f"i{op.args[0].bits}", 1 << _PRECISION[op.bits]
    if not signed:
        return e.ins(f"icmp ugt {t} {args[0]}, {limit}")
    return e.ins(f"icmp ugt {t} {e.ins(f'add {t} {args[0]}, {limit}')}, {2 * limit}")


def from_integer(e: Emitter, op: Val, args: list[str]) -> str:
    """To a number; no NaN can come out."""
    signed, _ = _attr(op)
    width, value = op.args[0].bits, args[0]
    if width < 32:
        value = e.ins(f"{'s' if signed else 'z'}ext i{width} {value} to i32")
        width, signed = 32, True
    if op.bits == 16:
        # Beyond 2^17 every integer overflows alike, and what is left is exact in a float.
        limit = 1 << 17
        t = f"i{width}"
        if signed:
            value = e.call(t, f"llvm.smax.{t}", f"{t} {value}", f"{t} {-limit}")
        value = e.call(t, f"llvm.{'s' if signed else 'u'}min.{t}", f"{t} {value}", f"{t} {limit}")
        if width > 32:
            value = e.ins(f"trunc {t} {value} to i32")
        return half.narrow(e, constrained(e, "sitofp.f32.i32", "float", f"i32 {value}"))
    if width == 32 and not signed:
        width, signed, value = 64, True, e.ins(f"zext i32 {value} to i64")
    name = f"{'s' if signed else 'u'}itofp.f{op.bits}.i{width}"
    return to_pattern(e, constrained(e, name, TYPE[op.bits], f"i{width} {value}"), op.bits)


# -- To integers
class _Source:
    """The number to convert: its format, its pattern and its value."""

    def __init__(self, e: Emitter, bits: int, pattern: str) -> None:
        self.bits = max(bits, 32)
        if bits == 16:
            self.value = half.widen(e, pattern)
            self.pattern = to_pattern(e, self.value, 32)
        else:
            self.value, self.pattern = to_float(e, pattern, bits), pattern


def to_integer(e: Emitter, op: Val, args: list[str]) -> str:
    """Saturating; a NaN gives the largest, or zero in Arm's style."""
    signed, mode = _attr(op)
    source, bits = _Source(e, op.args[0].bits, args[0]), max(op.bits, 32)
    result = (_signed if signed else _unsigned)(e, source, bits, mode)
    return result if bits == op.bits else _shortened(e, result, op.bits, signed=signed)


def _shortened(e: Emitter, word: str, bits: int, *, signed: bool) -> str:
    """An integer that is shorter than a word, of the word that a half has become.

    A finite half out of a signed number's range has no fraction, so that nothing has said inexact; there is none out of
    an unsigned one's but below it, and that is out of a word's, too.
    """
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    near = word
    if signed:
        near = e.call("i32", "llvm.smax.i32", f"i32 {word}", f"i32 {low}")
    near = e.call("i32", f"llvm.{'s' if signed else 'u'}min.i32", f"i32 {near}", f"i32 {high}")
    cold_effect(e, e.ins(f"icmp ne i32 {near}, {word}"), lambda: raise_invalid(e))
    return e.ins(f"trunc i32 {near} to i{bits}")


def to_integral(e: Emitter, op: Val, args: list[str]) -> str:
    """To a number of the same format; the host makes NaNs quiet and keeps the sign of zeros."""
    exact, mode = _attr(op)
    source = _Source(e, op.bits, args[0])
    value = _integral(e, source, mode, silent=not exact)
    if exact and mode == NEAREST_AWAY:  # else the host says so
        changed = compare(e, "one", source.bits, value, source.value)
        cold_effect(e, changed, lambda: raise_inexact(e))
    if op.bits == 16:
        return half.canonical(e, value) if e.floats == "canonical" else half.narrow(e, value)
    return e.result(value, op.bits) if e.floats == "canonical" else to_pattern(e, value, op.bits)


def _convert(e: Emitter, source: int, value: str, bits: int, *, truncate: bool = True) -> str:
    """The host's conversion: to zero, or in its own rounding mode."""
    name = f"vcvt{'t' if truncate else ''}{SUFFIX[source]}2si"
    return assembly(e, f"i{bits}", f"{name} $1, $0", "=r,x", f"{TYPE[source]} {value}")


def _integral(e: Emitter, source: _Source, mode: int, *, silent: bool) -> str:
    """The number rounded to an integral one. Silent says nothing about inexact."""
    bits, t = source.bits, TYPE[source.bits]

    def host(immediate: int) -> str:
        name = f"vround{SUFFIX[bits]} $${immediate}, $1, $1, $0"
        return assembly(e, t, name, "=x,x", f"{t} {source.value}")

    if mode != NEAREST_AWAY:
        return host(IMMEDIATE[mode] | (SILENT if silent else 0))

    def away() -> str:
        # Half away from zero: the truncated number, and one more when what was cut off is a half or more. All exact.
        whole = host(IMMEDIATE[TO_ZERO] | SILENT)
        rest = constrained(e, f"fsub.f{bits}", t, f"{t} {source.value}", f"{t} {whole}")
        far = e.ins(f"icmp uge i{bits} {magnitude(e, to_pattern(e, rest, bits), bits)}, {power(bits, -1)}")
        one = e.ins(f"select i1 {far}, i{bits} {power(bits, 0)}, i{bits} 0")
        sign = e.ins(f"and i{bits} {source.pattern}, {-(1 << (bits - 1))}")
        step = to_float(e, e.ins(f"or i{bits} {one}, {sign}"), bits)
        return constrained(e, f"fadd.f{bits}", t, f"{t} {whole}", f"{t} {step}")

    # Where there is no fraction, and for infinities, there is nothing to do; NaNs become quiet.
    size = magnitude(e, source.pattern, bits)
    whole = e.ins(f"icmp uge i{bits} {size}, {power(bits, FRACTION[bits])}")
    return split(e, whole, t, lambda: host(IMMEDIATE[TO_ZERO] | SILENT), away)


def _limit(e: Emitter, source: _Source, bits: int, low: int, high: int) -> str:
    """What an operand out of range gives."""
    if e.floats == "arm":
        n = source.bits
        nan = e.ins(f"icmp ugt i{n} {magnitude(e, source.pattern, n)}, {infinity(n)}")
        high_or_zero = e.ins(f"select i1 {nan}, i{bits} 0, i{bits} {high}")
        negative = e.ins(f"icmp slt i{n} {source.pattern}, 0")
        below = e.ins(f"and i1 {negative}, {e.ins(f'xor i1 {nan}, true')}")
        return e.ins(f"select i1 {below}, i{bits} {low}, i{bits} {high_or_zero}")
    below = compare(e, "olt", source.bits, source.value, "0.0")
    return e.ins(f"select i1 {below}, i{bits} {low}, i{bits} {high}")


def _signed(e: Emitter, source: _Source, bits: int, mode: int) -> str:
    least = -(1 << (bits - 1))
    # A double can be out of a word's range and have a fraction; then invalid comes alone, so inexact must wait.
    late = source.bits == 64 and bits == 32 and mode not in (TO_ZERO, ROUND_DYNAMIC)
    if mode in (TO_ZERO, ROUND_DYNAMIC):
        whole = source.value
        result = _convert(e, source.bits, whole, bits, truncate=mode == TO_ZERO)
    else:
        late = late or mode == NEAREST_AWAY
        whole = _integral(e, source, mode, silent=late)
        result = _convert(e, source.bits, whole, bits)

    def limit() -> str:
        # The host's answer to everything out of range is also the right one for the least integer itself.
        if late:
            edge = to_float(e, str(_pattern_of_least(source.bits, bits)), source.bits)
            inside = compare(e, "oeq", source.bits, whole, edge)
            changed = compare(e, "one", source.bits, whole, source.value)
            cold_effect(e, e.ins(f"and i1 {inside}, {changed}"), lambda: raise_inexact(e))
        return _limit(e, source, bits, least, -least - 1)

    outside = e.ins(f"icmp eq i{bits} {result}, {least}")
    if not late:
        return cold_value(e, outside, f"i{bits}", result, limit)

    def inside() -> str:
        _convert(e, source.bits, source.value, bits)  # for inexact: truncated, it is in range too
        return result

    return split(e, outside, f"i{bits}", limit, inside)


def _pattern_of_least(source: int, bits: int) -> int:
    return 1 << (source - 1) | power(source, bits - 1)


def _unsigned(e: Emitter, source: _Source, bits: int, mode: int) -> str:
    n, t = source.bits, TYPE[source.bits]
    whole = source.value if mode == TO_ZERO else _integral(e, source, mode, silent=True)
    pattern = source.pattern if mode == TO_ZERO else to_pattern(e, whole, n)

    def usual() -> str:
        if mode == ROUND_DYNAMIC:
            return _convert(e, n, source.value, 64, truncate=False)
        if mode != TO_ZERO:
            _convert(e, n, source.value, 64)  # for inexact
        return _convert(e, n, whole, 64)

    def large() -> str:
        # In [2^63, 2^64) every number is integral, and less 2^63 it is exact.
        offset = to_float(e, str(power(n, 63)), n)
        rest = constrained(e, f"fsub.f{n}", t, f"{t} {whole}", f"{t} {offset}")
        return e.ins(f"xor i64 {_convert(e, n, rest, 64)}, {-(1 << 63)}")

    def other() -> str:
        # Above -1 and not above -0 all round to 0; what else is left is invalid.
        negative = e.ins(f"icmp slt i{n} {pattern}, 0")
        small = e.ins(f"icmp ult i{n} {pattern}, {1 << (n - 1) | power(n, 0)}")

        def zero() -> str:
            _convert(e, n, source.value, 64)  # for inexact
            return "0"

        def invalid() -> str:
            raise_invalid(e)
            value = _limit(e, source, bits, 0, (1 << bits) - 1)
            return value if bits == 64 else e.ins(f"zext i32 {value} to i64")

        return split(e, e.ins(f"and i1 {negative}, {small}"), "i64", zero, invalid)

    def unusual() -> str:
        if bits == 32:
            return other()
        above = e.ins(f"icmp ult i{n} {e.ins(f'sub i{n} {pattern}, {power(n, 63)}')}, {1 << FRACTION[n]}")
        return split(e, above, "i64", large, other)

    # As an unsigned number a pattern with its sign set is large, so one comparison sees negative ones and NaNs too.
    uncommon = e.ins(f"icmp uge i{n} {pattern}, {power(n, min(bits, 63))}")
    result = split(e, uncommon, "i64", unusual, usual)
    return result if bits == 64 else e.ins(f"trunc i64 {result} to i32")
