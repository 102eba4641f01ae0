"""V: integer reductions (14.1, 14.2), to one element of vs1's width, or twice as wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.integer import IVV, MVV, Operation
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")


def first(v: Machine, reg: Val, bits: int) -> Val:
    """Element 0."""
    return v.get(reg, 0).trunc(bits)


def set_first(v: Machine, vd: Val, value: Val) -> None:
    """Write element 0 alone, where vl is not 0."""
    old = v.get(vd, 0)
    new = (old & -(1 << value.bits)) | value.zext(v.vlen)
    v.set(vd, 0, v.m.select(v.vl() == 0, old, new))


def folded(lanes: Lanes, operation: Operation) -> Lanes:
    """All lanes put together, as one."""
    while lanes.count > 1:
        lanes = operation(lanes.low(), lanes.high())
    return lanes


def reducing(name: str, code: str, doc: str, operation: Operation, neutral: Callable[[int], int]) -> None:
    """Declare vd[0] = vs1[0] and all active elements of vs2 put together. neutral: what changes nothing."""

    @insn(f"{name}.vs vd, vs2, vs1, vm", f"{code} vm vs2 vs1 {MVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
        source = v.source(vs2)
        v.checked()
        v.from_zero()
        parts = [v.active(n, v.sew).select(lanes, neutral(v.sew)) for n, lanes in enumerate(source)]
        whole = parts[0]
        for part in parts[1:]:
            whole = operation(whole, part)
        total = operation(folded(whole, operation), Lanes(first(v, vs1, v.sew), v.sew))
        set_first(v, vd, total.whole)


def _zero(bits: int) -> int:
    return 0


def _ones(bits: int) -> int:
    return -1


reducing("vredsum", "000000", "Sum.", lambda a, b: a + b, _zero)
reducing("vredand", "000001", "Bitwise and.", lambda a, b: a & b, _ones)
reducing("vredor", "000010", "Bitwise or.", lambda a, b: a | b, _zero)
reducing("vredxor", "000011", "Bitwise exclusive or.", lambda a, b: a ^ b, _zero)
reducing("vredminu", "000100", "The least, unsigned.", Lanes.umin, _ones)
reducing("vredmin", "000101", "The least.", Lanes.smin, lambda bits: (1 << bits - 1) - 1)
reducing("vredmaxu", "000110", "The greatest, unsigned.", Lanes.umax, _zero)
reducing("vredmax", "000111", "The greatest.", Lanes.smax, lambda bits: -1 << bits - 1)


def wide_reducing(name: str, code: str, doc: str, *, signed: bool) -> None:
    """Declare a sum twice as wide."""

    @insn(f"{name}.vs vd, vs2, vs1, vm", f"{code} vm vs2 vs1 {IVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
        v.reserve(v.sew > 32)
        source = v.source(vs2)
        v.checked()
        v.from_zero()
        masked = [v.active(n, v.sew).select(lanes, 0) for n, lanes in enumerate(source)]
        parts = [v.widened(masked, n, 2, signed=signed) for n in range(2 * len(masked))]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole + part
        total = folded(whole, lambda a, b: a + b).whole + first(v, vs1, 2 * v.sew)
        set_first(v, vd, total)


wide_reducing("vwredsumu", "110000", "Sum twice as wide, unsigned.", signed=False)
wide_reducing("vwredsum", "110001", "Sum twice as wide.", signed=True)
