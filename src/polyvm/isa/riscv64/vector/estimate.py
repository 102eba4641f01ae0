"""V: estimates to seven bits of reciprocals and of reciprocal square roots (13.9, 13.10).

The manual prints two tables; each entry is the value at the middle of its interval, rounded, so they are computed here.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.floating import FORMATS, supported
from polyvm.isa.riscv64.vector.integer import FVV
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.fp import Format
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")

RECIPROCAL: Final = [round(256 / (1 + (i + 0.5) / 128)) - 128 for i in range(128)]
# The index has the exponent's lowest bit on top: below, of [2, 4), then of [1, 2).
ROOT: Final = [round(256 / sqrt(base * (1 + (i + 0.5) / 64))) - 128 for base in (2, 1) for i in range(64)]
OVERFLOW, DIVIDED, INVALID = 4 | 1, 8, 16


def look_up(v: Machine, table: Sequence[int], index: Val) -> Val:
    """An entry, as wide as the index."""
    m, found = v.m, v.m.const(0, 128)
    low = index.trunc(8)
    for start in range(0, len(table), 16):
        part = m.const(int.from_bytes(bytes(table[start : start + 16]), "little"), 128)
        here = (low - start).zext(128) | -256  # only the lowest byte's number is one of an entry
        found |= part.permute(here, 8)
    return found.trunc(8).zext(index.bits)


def parts(v: Machine, x: Val, fmt: Format) -> tuple[Val, Val]:
    """A number's exponent and fraction, a subnormal one's as if it were normal: the exponent is at most 0 there."""
    m = v.m
    fraction, exponent = x & (1 << fmt.fraction) - 1, (x & fmt.sign - 1) >> fmt.fraction
    zeros = fraction.clz() - (fmt.bits - fmt.fraction)
    small = exponent == 0
    moved = (fraction << (zeros + 1)) & (1 << fmt.fraction) - 1
    return m.select(small, -zeros, exponent), m.select(small, moved, fraction)


def reciprocal(v: Machine, x: Val, fmt: Format) -> tuple[Val, Val]:
    """1 / x to seven bits, and the exceptions (13.10)."""
    m, sign = v.m, x & fmt.sign
    magnitude, bias = x & fmt.sign - 1, fmt.infinity >> fmt.fraction + 1
    exponent, fraction = parts(v, x, fmt)
    out = m.const(2 * bias - 1, fmt.bits) - exponent
    bits = look_up(v, RECIPROCAL, fraction >> fmt.fraction - 7) << fmt.fraction - 7
    whole = bits | 1 << fmt.fraction
    low = m.select(out == 0, whole >> 1, whole >> 2)
    result = m.select(out.slt(1), low, (out << fmt.fraction) | bits)
    # Above the largest number, as the rounding mode says.
    mode, negative = m.fp_mode[2:0], sign != 0
    cut = (mode == 1) | ((mode == 2) & ~negative) | ((mode == 3) & negative)
    large = exponent.slt(-1)
    result = m.select(large, m.select(cut, m.const(fmt.infinity - 1, fmt.bits), fmt.infinity), result)
    flags = m.select(large, m.const(OVERFLOW, 5), 0)
    zero = magnitude == 0
    result = m.select(zero, m.const(fmt.infinity, fmt.bits), result)
    flags = m.select(zero, m.const(DIVIDED, 5), flags)
    infinite = magnitude == fmt.infinity
    result = m.select(infinite, m.const(0, fmt.bits), result) | sign
    flags = m.select(infinite, m.const(0, 5), flags)
    return not_a_number(v, x, fmt, result, flags)


def root(v: Machine, x: Val, fmt: Format) -> tuple[Val, Val]:
    """1 / sqrt(x) to seven bits, and the exceptions (13.9)."""
    m, sign = v.m, x & fmt.sign
    magnitude, bias = x & fmt.sign - 1, fmt.infinity >> fmt.fraction + 1
    exponent, fraction = parts(v, x, fmt)
    out = (m.const(3 * bias - 1, fmt.bits) - exponent) >> 1
    index = ((exponent & 1) << 6) | (fraction >> fmt.fraction - 6)
    result = (out << fmt.fraction) | (look_up(v, ROOT, index) << fmt.fraction - 7)
    flags = m.const(0, 5)
    infinite = magnitude == fmt.infinity
    result = m.select(infinite, m.const(0, fmt.bits), result)
    negative = sign != 0
    result = m.select(negative, m.const(fmt.nan, fmt.bits), result)
    flags = m.select(negative, m.const(INVALID, 5), flags)
    zero = magnitude == 0
    result = m.select(zero, m.const(fmt.infinity, fmt.bits) | sign, result)
    flags = m.select(zero, m.const(DIVIDED, 5), flags)
    return not_a_number(v, x, fmt, result, flags)


def not_a_number(v: Machine, x: Val, fmt: Format, result: Val, flags: Val) -> tuple[Val, Val]:
    """The result, or of a NaN the canonical one."""
    m = v.m
    nan = m.const(fmt.infinity, fmt.bits).ult(x & fmt.sign - 1)
    quiet = (x & fmt.quiet) != 0
    raised = m.select(quiet, m.const(0, 5), INVALID)
    return m.select(nan, m.const(fmt.nan, fmt.bits), result), m.select(nan, raised, flags)


def estimating(
    name: str, code: str, doc: str, estimate: Callable[[Machine, Val, Format], tuple[Val, Val]]
) -> None:
    """Declare an estimate of each element."""

    @insn(f"{name}.v vd, vs2, vm", f"010011 vm vs2 {code} {FVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        supported(v, v.sew)
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        m, source = v.m, v.source(vs2)
        v.spend(4 * v.vlmax)
        v.checked()
        raised, results = m.const(0, 5), []
        for chunk, lanes in enumerate(source):
            inside = v.active(chunk, v.sew)
            found = [estimate(v, lanes[i], FORMATS[v.sew]) for i in range(lanes.count)]
            for i, (_, flags) in enumerate(found):
                raised |= m.select(inside[i], flags, 0)
            results.append(Lanes.of([value for value, _ in found]))
        m.fp_flags = m.fp_flags | raised
        v.write(vd, results)


estimating("vfrsqrt7", "00100", "The reciprocal square root, to seven bits.", root)
estimating("vfrec7", "00101", "The reciprocal, to seven bits.", reciprocal)
