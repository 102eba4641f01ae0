"""Floating-point ops on an x86-64 host's instructions, exact in value and in accrued exceptions.

LOWERINGS maps an op to a function of (emitter, op, argument names) that appends LLVM text and names the result. NaN
results become the guest's behind a branch. What the host cannot do as asked (ties away from zero, what Arm's FPCR can
ask beside a rounding mode, hosts without the FEATURES) leaves for the golden evaluator. Judged by Berkeley TestFloat,
values and flags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.emit import llvm_float_arm as arm
from polyvm.emit import llvm_float_convert as convert
from polyvm.emit import llvm_float_half as half
from polyvm.emit.llvm_float_env import (
    FEATURES,
    INFINITY,
    NAN,
    RUNTIME,
    SUFFIX,
    TYPE,
    absolute,
    assembly,
    cold_effect,
    cold_value,
    compare,
    constrained,
    dynamic_mode,
    never,
    raise_invalid,
    set_round,
    split,
    to_float,
    to_pattern,
)
from polyvm.ir.ops import ROUND_DYNAMIC, rounding

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

    Lowering = Callable[[Emitter, Val, list[str]], str]
    Core = Callable[[Emitter, Val, list[str]], str]

__all__ = ["FEATURES", "LOWERINGS", "PREDICATES", "RUNTIME", "canonical", "lowering"]

NEAREST_AWAY: Final = 4


def _float(e: Emitter, op: Val, args: list[str], core: Core) -> str:
    """An op under its rounding mode, the host's standing at the dynamic one."""
    mode = None if convert.exact(op) else rounding(op.op, op.attr)
    # A short integer is made of a word, which is as exact for halves alone.
    short = op.op == "ftoi" and op.bits < 32 and (op.bits, op.args[0].bits) != (16, 16)
    if short or _needs(op, e.floats) - e.features:
        e.leave_golden()
        return never(e, "0")
    current = "0"
    if e.floats == "arm" and op.op != "itof":  # an integer is no NaN and no denormal number
        current = dynamic_mode(e, op)
        if not current.isdigit():  # else it is known, and what the host can do
            e.unlikely(e.ins(f"icmp uge i7 {current}, {NEAREST_AWAY}"), e.leave_golden)
    elif mode == ROUND_DYNAMIC:
        current = dynamic_mode(e, op)
        if not current.isdigit() and e.floats == "canonical":
            e.unlikely(e.ins(f"icmp eq i7 {current}, {NEAREST_AWAY}"), e.leave_golden)
    if mode in (None, ROUND_DYNAMIC) or op.op in ("ftoi", "frint"):  # which have means of their own
        return core(e, op, args)
    if op.op == "itof":
        # Compilers give these a mode where the integer comes from a conversion in that mode: floor, round. It is
        # small then, and nothing is rounded.
        large = convert.inexact(e, op, args)
        return split(
            e, large, f"i{op.bits}", lambda: _static(e, op, args, core, mode), lambda: core(e, op, args)
        )
    return _static(e, op, args, core, mode)


def _static(e: Emitter, op: Val, args: list[str], core: Core, mode: int) -> str:
    """An op with a rounding mode of its own, which nearly always is the one that is set already."""
    if mode == NEAREST_AWAY:
        e.leave_golden()
        return never(e, "0")
    current = dynamic_mode(e, op)
    if current == str(mode):
        return core(e, op, args)
    differs = e.ins(f"icmp ne i7 {current}, {mode}")
    cold_effect(e, differs, lambda: set_round(e, str(mode)))
    result = core(e, op, args)
    cold_effect(e, differs, lambda: set_round(e, current))
    return result


def _half(op: Val) -> bool:
    """Whether a number among operands and result, which are no integers, has 16 bits."""
    operand = op.op != "itof" and op.args[0].bits == 16
    return operand or (op.bits == 16 and op.op != "ftoi")


_AVX: Final = frozenset(("fmin", "fmax", "fminimum", "fmaximum", "fcmp", "frint", "ftoi"))


def _needs(op: Val, floats: str) -> set[str]:
    """The features of the host that a lowering uses."""
    fused = {"fma"} if op.op == "fma" and op.bits != 16 else set()
    if _half(op):
        return {"avx", "f16c"} | fused
    if fused:
        return {"avx"} | fused
    return {"avx"} if op.op in _AVX or floats == "arm" else set()


def canonical(e: Emitter, value: str, bits: int, cold: Callable[[], None] | None = None) -> str:
    """The pattern of an operation's result, any NaN as the canonical one; `cold` is done for a NaN.

    This comparison may be LLVM's own, which it moves as it likes: no result is a signaling NaN. One on an operand
    must be constrained, or it may come to run, and raise invalid, where the guest's instruction does not.
    """

    def nan() -> str:
        if cold is not None:
            cold()
        return NAN[bits]

    unordered = e.ins(f"fcmp uno {TYPE[bits]} {value}, {value}")
    return to_pattern(e, cold_value(e, unordered, TYPE[bits], value, nan), bits)


def _arithmetic(e: Emitter, op: Val, args: list[str]) -> str:
    if op.bits == 16:
        return half.arithmetic(e, op, args)
    t = TYPE[op.bits]
    values = [to_float(e, arg, op.bits) for arg in args]
    name = "sqrt" if op.op == "fsqrt" else op.op
    result = constrained(e, f"{name}.f{op.bits}", t, *(f"{t} {value}" for value in values))
    if e.floats == "canonical":
        return e.result(result, op.bits)

    def again() -> None:
        arm.repeat(e, values, op.bits)

    # Sums that are tiny are exact, and roots never are. A quotient below a power of two is further from it than half a
    # unit in the last place: it is tiny after rounding too.
    tiny = again if op.op == "fmul" else None
    return arm.settled(e, op, result, lambda: arm.choose(e, args, op.bits), tiny)


def _fma(e: Emitter, op: Val, args: list[str]) -> str:
    if op.bits == 16:
        return half.fma(e, op, args)
    bits, t = op.bits, TYPE[op.bits]
    mixed = op.args[0].bits != bits
    a, b = (half.widen(e, arg) if mixed else to_float(e, arg, bits) for arg in args[:2])
    c = to_float(e, args[2], bits)

    def chosen() -> str:
        given = args
        if mixed:
            wide = zip(args, (to_pattern(e, factor, bits) for factor in (a, b)), strict=False)
            given = [*(arm.unquieted(e, narrow, pattern) for narrow, pattern in wide), args[2]]
        return arm.choose_fused(e, given, bits)

    def invalid() -> None:
        # The host is quiet about infinity * 0 beside a quiet NaN.
        for x, y in ((a, b), (b, a)):
            infinite = compare(e, "oeq", bits, absolute(e, x, bits), INFINITY)
            zero = compare(e, "oeq", bits, y, "0.0")
            cold_effect(e, e.ins(f"and i1 {infinite}, {zero}"), lambda: raise_invalid(e))

    result = constrained(e, f"fma.f{bits}", t, f"{t} {a}", f"{t} {b}", f"{t} {c}")
    if e.floats == "canonical":
        return canonical(e, result, bits, invalid)
    return arm.settled(e, op, result, chosen, lambda: arm.repeat(e, [a, b, c], bits))


def _extreme(e: Emitter, op: Val, args: list[str]) -> str:
    """Minimum and maximum: minimumNumber, where a number beats a NaN, and minimum, where a NaN beats a number."""
    smaller = op.op in ("fmin", "fminimum")
    wide = max(op.bits, 32)
    t = TYPE[wide]
    a, b = (half.widen(e, arg) if op.bits == 16 else to_float(e, arg, op.bits) for arg in args)
    # Quiet, but invalid for a signaling NaN, which is what both ops ask for. Widening does that for halves.
    unordered = compare(e, "uno", wide, a, b)

    def number() -> str:
        if e.floats == "arm":
            choose = arm.choose if op.op in ("fminimum", "fmaximum") else arm.choose_number
            chosen = choose(e, args, op.bits)
            return half.widen(e, chosen) if op.bits == 16 else to_float(e, chosen, wide)
        if op.op in ("fminimum", "fmaximum"):
            return NAN[wide]
        second = e.ins(f"select i1 {compare(e, 'uno', wide, b, b)}, {t} {NAN[wide]}, {t} {b}")
        return e.ins(f"select i1 {compare(e, 'uno', wide, a, a)}, {t} {second}, {t} {a}")

    def ordered() -> str:
        # The host's instruction gives its second operand when both are zeros; both orders together see either sign.
        name = f"v{'min' if smaller else 'max'}{SUFFIX[wide]}"
        both = [
            to_pattern(e, assembly(e, t, f"{name} $2, $1, $0", "=x,x,x", f"{t} {x}", f"{t} {y}"), wide)
            for x, y in ((a, b), (b, a))
        ]
        return to_float(e, e.ins(f"{'or' if smaller else 'and'} i{wide} {both[0]}, {both[1]}"), wide)

    # The hot block must not run before the comparison: min of a quiet NaN is invalid on the host.
    result = split(e, unordered, t, number, ordered)
    return half.narrow(e, result) if op.bits == 16 else to_pattern(e, result, wide)


PREDICATES: Final = {"feq": ("oeq", False), "flt": ("olt", True), "fle": ("ole", True)}


def _compare(e: Emitter, op: Val, args: list[str]) -> str:
    predicate, signaling = PREDICATES[op.op]
    bits = op.args[0].bits
    if bits == 16:
        return compare(e, predicate, 32, half.widen(e, args[0]), half.widen(e, args[1]), signaling=signaling)
    return compare(
        e, predicate, bits, to_float(e, args[0], bits), to_float(e, args[1], bits), signaling=signaling
    )


def _order(e: Emitter, op: Val, args: list[str]) -> str:
    """All four outcomes by one comparison of the host, whose flags are taken together.

    LLVM may lose flags that are results of assembly: it puts branches between them and their use.
    """
    bits = op.args[0].bits
    wide = max(bits, 32)
    t = TYPE[wide]
    a, b = (half.widen(e, arg) if bits == 16 else to_float(e, arg, bits) for arg in args)
    name = f"v{'' if op.attr else 'u'}comi{SUFFIX[wide]}"
    flags = assembly(e, "i16", f"{name} $2, $1\\0Alahf", "={ax},x,x,~{flags}", f"{t} {a}", f"{t} {b}")
    below, unordered, equal = (
        e.ins(f"trunc i16 {e.ins(f'lshr i16 {flags}, {n}')} to i1") for n in (8, 10, 14)
    )
    ordered = e.ins(f"xor i1 {unordered}, true")
    less, same = (e.ins(f"and i1 {flag}, {ordered}") for flag in (below, equal))
    # Unordered sets all three flags.
    greater = e.ins(f"xor i1 {e.ins(f'or i1 {below}, {equal}')}, true")
    result = e.ins(f"zext i1 {less} to i4")
    for place, outcome in ((1, same), (2, greater), (3, unordered)):
        wider = e.ins(f"zext i1 {outcome} to i4")
        result = e.ins(f"or i4 {result}, {e.ins(f'shl i4 {wider}, {place}')}")
    return result


def _fcvt(e: Emitter, op: Val, args: list[str]) -> str:
    """From one format to another; the host makes NaNs quiet and raises what it must."""
    source, to, value = op.args[0].bits, op.bits, args[0]
    if source == to:
        raise ValueError(f"{op.op} from {source} to {to} bits")
    if source == 16:
        wide = half.widen(e, value)
        if to == 64:
            wide = constrained(e, "fpext.f64.f32", "double", f"float {wide}", rounded=False)
        return e.result(wide, to) if e.floats == "canonical" else to_pattern(e, wide, to)
    number = to_float(e, half.odd(e, value) if (source, to) == (64, 16) else value, source)
    if source == 32 and to == 64:
        number = constrained(e, "fpext.f64.f32", "double", f"float {number}", rounded=False)
    elif source == 64:
        number = constrained(e, "fptrunc.f32.f64", "float", f"double {number}")
    if e.floats == "canonical":
        return half.canonical(e, number) if to == 16 else e.result(number, to)
    # The host hands NaNs on as Arm does.
    if to == 16:
        pattern = half.narrow(e, number)
        arm.underflow(e, op, pattern, lambda: half.narrow(e, number))
        return pattern
    pattern = to_pattern(e, number, to)
    if source == 64:
        wide = to_float(e, value, 64)
        arm.underflow(
            e, op, pattern, lambda: assembly(e, "float", "vcvtsd2ss $1, $1, $0", "=x,x", f"double {wide}")
        )
    return pattern


def lowering(core: Core) -> Lowering:
    """A lowering that does `core` under the op's rounding mode, or leaves where the host cannot."""
    return lambda e, op, args: _float(e, op, args, core)


LOWERINGS: Final[dict[str, Lowering]] = {
    name: lowering(core)
    for names, core in (
        (("fadd", "fsub", "fmul", "fdiv", "fsqrt"), _arithmetic),
        (("fma",), _fma),
        (("fmin", "fmax", "fminimum", "fmaximum"), _extreme),
        (("feq", "flt", "fle"), _compare),
        (("fcmp",), _order),
        (("fcvt", "fresize"), _fcvt),
        (("frint",), convert.to_integral),
        (("ftoi",), convert.to_integer),
        (("itof",), convert.from_integer),
    )
    for name in names
}
