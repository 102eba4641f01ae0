"""The floating-point environment on an x86-64 host: the control word, raising flags, and branches out of the way.

Everything that reads, sets or raises flags is assembly with side effects, because LLVM merges reads through its own
intrinsics across operations that set flags. It knows no operation; those are in `llvm_float` and beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.ops import FP_MODE, FP_MODE_BITS
from polyvm.ir.values import Val

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.llvm import Emitter

FEATURES: Final = frozenset({"avx", "f16c", "fma"})
"""What the lowerings ask of the host beyond SSE2, as LLVM names it. All of x86-64-v3 has it."""

# As LLVM's own constrained operations: the environment is memory that no load or store reaches. So flags stay in
# order among themselves, while loads of guest state are still shared and moved across.
ENV: Final = "nounwind willreturn strictfp memory(inaccessiblemem: readwrite)"
STRICT: Final = 'metadata !"fpexcept.strict"'
DYNAMIC: Final = 'metadata !"round.dynamic"'
COLD: Final = "!prof !0"

TYPE: Final = {16: "half", 32: "float", 64: "double"}
SUFFIX: Final = {32: "ss", 64: "sd"}
FRACTION: Final = {16: 10, 32: 23, 64: 52}
BIAS: Final = {16: 15, 32: 127, 64: 1023}
NAN: Final = {32: "0x7FF8000000000000", 64: "0x7FF8000000000000"}
"""The canonical NaN as LLVM writes it: singles too as the double of the same value."""
INFINITY: Final = "0x7FF0000000000000"
QUIET: Final = {bits: 1 << (fraction - 1) for bits, fraction in FRACTION.items()}
"""The bit that quiet NaNs have and signaling ones have not."""
NAN_BITS: Final = {16: 0x7E00, 32: 0x7FC0_0000, 64: 0x7FF8_0000_0000_0000}


def infinity(bits: int) -> int:
    """The pattern of plus infinity."""
    return (1 << (bits - 1)) - (1 << FRACTION[bits])


def power(bits: int, exponent: int) -> int:
    """The pattern of 2^exponent."""
    return (BIAS[bits] + exponent) << FRACTION[bits]


def magnitude(e: Emitter, pattern: str, bits: int) -> str:
    """A pattern without its sign."""
    return e.ins(f"and i{bits} {pattern}, {(1 << (bits - 1)) - 1}")


# -- Values
def to_float(e: Emitter, pattern: str, bits: int) -> str:
    """A pattern as a number of LLVM's."""
    return e.ins(f"bitcast i{bits} {pattern} to {TYPE[bits]}")


def absolute(e: Emitter, value: str, bits: int) -> str:
    """A number without its sign; no comparison, so that it raises nothing."""
    return e.call(TYPE[bits], f"llvm.fabs.f{bits}", f"{TYPE[bits]} {value}")


def to_pattern(e: Emitter, value: str, bits: int) -> str:
    """A number of LLVM's as a pattern."""
    return e.ins(f"bitcast {TYPE[bits]} {value} to i{bits}")


def constrained(
    e: Emitter, name: str, result: str, *args: str, rounded: bool = True, extra: tuple[str, ...] = ()
) -> str:
    """An operation that LLVM neither drops, hoists nor folds. The name carries the types."""
    more = (*extra, DYNAMIC) if rounded else extra
    return e.call(
        result, f"llvm.experimental.constrained.{name}", *args, *more, STRICT, attributes="strictfp"
    )


def compare(e: Emitter, predicate: str, bits: int, a: str, b: str, *, signaling: bool = False) -> str:
    """Compare two numbers; quiet comparisons raise invalid for signaling NaNs only."""
    t, name = TYPE[bits], f"fcmp{'s' if signaling else ''}.f{bits}"
    return constrained(
        e, name, "i1", f"{t} {a}", f"{t} {b}", rounded=False, extra=(f'metadata !"{predicate}"',)
    )


def assembly(e: Emitter, result: str, template: str, constraints: str, *args: str) -> str:
    """One host instruction that may set flags."""
    return e.ins(f'call {result} asm sideeffect "{template}", "{constraints}"({", ".join(args)}) {ENV}')


def raise_invalid(e: Emitter) -> None:
    """Raise NV: the quotient of two zeros."""
    assembly(e, "double", "vdivsd $1, $1, $0", "=x,x", "double 0.0")


def raise_inexact(e: Emitter) -> None:
    """Raise NX: a half, converted to an integer."""
    assembly(e, "i32", "vcvttsd2si $1, $0", "=r,x", "double 0.5")


# -- Branches
def cold_value(e: Emitter, condition: str, result: str, hot: str, cold: Callable[[], str]) -> str:
    """`hot`, or what `cold` makes in a block of its own when the condition, which is unlikely, holds.

    Never a select: the hot value would have to wait for the condition.
    """
    taken, join = e.fresh_label("cold"), e.fresh_label("join")
    origin = e.label
    e.do(f"br i1 {condition}, label %{taken}, label %{join}, {COLD}")
    e.start(taken)
    value = cold()
    end = e.label
    e.do(f"br label %{join}")
    e.start(join)
    return e.ins(f"phi {result} [ {hot}, %{origin} ], [ {value}, %{end} ]")


def cold_effect(e: Emitter, condition: str, cold: Callable[[], None]) -> None:
    """Do `cold` in a block of its own when the condition, which is unlikely, holds."""
    taken, join = e.fresh_label("cold"), e.fresh_label("join")
    e.do(f"br i1 {condition}, label %{taken}, label %{join}, {COLD}")
    e.start(taken)
    cold()
    e.do(f"br label %{join}")
    e.start(join)


def split(e: Emitter, unlikely: str, result: str, cold: Callable[[], str], hot: Callable[[], str]) -> str:
    """The value of one of two blocks; nothing of either runs before the condition is known."""
    labels = e.fresh_label("cold"), e.fresh_label("hot"), e.fresh_label("join")
    e.do(f"br i1 {unlikely}, label %{labels[0]}, label %{labels[1]}, {COLD}")
    ends = []
    for label, make in zip(labels, (cold, hot), strict=False):
        e.start(label)
        value = make()
        ends.append(f"[ {value}, %{e.label} ]")
        e.do(f"br label %{labels[2]}")
    e.start(labels[2])
    return e.ins(f"phi {result} {', '.join(ends)}")


# -- Rounding
def dynamic_mode(e: Emitter, op: Val) -> str:
    """FP_MODE, as the emitter reads any guest state: 7 bits, shared where it is read again."""
    return e.op_get(Val(op.tracer, "get", FP_MODE_BITS, (), FP_MODE), [])


def set_round(e: Emitter, mode: str) -> None:
    """Set the host's rounding mode as FP_MODE has it, and nothing that the guest could read."""
    e.call("void", "pv_set_round", f"i7 {mode}", attributes="strictfp")


def never(e: Emitter, result: str) -> str:
    """After a block that has left: a block that cannot be reached, and a value for it."""
    e.start(e.fresh_label("never"))
    return result


# Host order of rounding modes is nearest, down, up, zero: two bits for each of ours, in 156 = 0b10_01_11_00. Modes
# that the host lacks round to nearest there; the lowerings leave before they could be rounded with.
RUNTIME: Final = """
define internal i5 @pv_read_flags() alwaysinline strictfp {
  %p = alloca i32
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %p)
  %v = load volatile i32, ptr %p
  %nx = lshr i32 %v, 5
  %nx1 = and i32 %nx, 1
  %uf = lshr i32 %v, 3
  %uf1 = and i32 %uf, 2
  %of = lshr i32 %v, 1
  %of1 = and i32 %of, 4
  %dz = shl i32 %v, 1
  %dz1 = and i32 %dz, 8
  %nv = shl i32 %v, 4
  %nv1 = and i32 %nv, 16
  %a = or i32 %nx1, %uf1
  %b = or i32 %of1, %dz1
  %c = or i32 %a, %nv1
  %d = or i32 %c, %b
  %r = trunc i32 %d to i5
  ret i5 %r
}
define internal void @pv_write_flags(i5 %f) alwaysinline strictfp {
  %p = alloca i32
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %p)
  %v = load volatile i32, ptr %p
  %w = zext i5 %f to i32
  %k = and i32 %v, -64
  %nx = shl i32 %w, 5
  %nx1 = and i32 %nx, 32
  %uf = shl i32 %w, 3
  %uf1 = and i32 %uf, 16
  %of = shl i32 %w, 1
  %of1 = and i32 %of, 8
  %dz = lshr i32 %w, 1
  %dz1 = and i32 %dz, 4
  %nv = lshr i32 %w, 4
  %a = or i32 %nx1, %uf1
  %b = or i32 %of1, %dz1
  %c = or i32 %a, %nv
  %d = or i32 %c, %b
  %r = or i32 %k, %d
  store volatile i32 %r, ptr %p
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %p)
  ret void
}
; The host's rounding mode alone; accrued flags stay.
define internal void @pv_set_round(i7 %m) alwaysinline strictfp {
  %n = and i7 %m, 7
  %w = zext i7 %n to i32
  %t = shl i32 %w, 1
  %s = lshr i32 156, %t
  %rc = and i32 %s, 3
  %big = icmp ugt i32 %w, 3
  %rc1 = select i1 %big, i32 0, i32 %rc
  %rc2 = shl i32 %rc1, 13
  %p = alloca i32
  call void asm sideeffect "stmxcsr $0", "=*m,~{memory}"(ptr elementtype(i32) %p)
  %v = load volatile i32, ptr %p
  %k = and i32 %v, -24577
  %r = or i32 %k, %rc2
  store volatile i32 %r, ptr %p
  call void asm sideeffect "ldmxcsr $0", "*m,~{memory}"(ptr elementtype(i32) %p)
  ret void
}
define internal void @pv_write_mode(ptr %st, i7 %m) alwaysinline strictfp {
  %w = zext i7 %m to i32
  %q = getelementptr i8, ptr %st, i64 FP_MODE
  store i32 %w, ptr %q
  call void @pv_set_round(i7 %m) strictfp
  ret void
}
"""
