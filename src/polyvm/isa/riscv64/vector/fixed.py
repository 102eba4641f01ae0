"""V: fixed point (12): saturation, which vxsat remembers, and rounding as vxrm says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.integer import Form, form, narrow, shift
from polyvm.isa.riscv64.vector.machine import VXRM, VXSAT
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")


class Saturated:
    """Whether an active element was saturated."""

    def __init__(self, v: Machine) -> None:
        self.v = v
        self.bits: list[Lanes] = []

    def note(self, chunk: int, bits: int, where: Lanes) -> None:
        """Of a chunk of elements of so many bits, lanes that were."""
        self.bits.append(where & self.v.active(chunk, bits))

    def keep(self) -> None:
        """Set vxsat."""
        m, any_of = self.v.m, self.v.m.const(0, 1)
        for lanes in self.bits:
            any_of |= lanes.any()
        m.set(VXSAT, m.get(VXSAT) | any_of.zext(64))


# -- Saturating sums (12.1)
def saturating(
    name: str, code: str, kinds: str, doc: str, op: str, plain: Callable[[Lanes, Lanes], Lanes]
) -> None:
    """Declare a sum or a difference that saturates."""
    for one in (form(kind) for kind in kinds):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.no_mask(vd)
            v.aligned(vd, v.lmul)
            some, found = Saturated(v), []
            a, b = v.source(vs2), one.lanes(v, given)
            v.checked()
            for chunk, (x, y) in enumerate(zip(a, b, strict=True)):
                found.append(x.op(op, v.sew, (y,)))
                some.note(chunk, v.sew, found[-1] != plain(x, y))
            some.keep()
            v.write(vd, found)


saturating("vsaddu", "100000", "vxi", "Add, unsigned, or the maximum.", "uadd_sat", lambda a, b: a + b)
saturating("vsadd", "100001", "vxi", "Add, or the nearest number.", "sadd_sat", lambda a, b: a + b)
saturating("vssubu", "100010", "vx", "Subtract, unsigned, or 0.", "usub_sat", lambda a, b: a - b)
saturating("vssub", "100011", "vx", "Subtract, or the nearest number.", "ssub_sat", lambda a, b: a - b)


# -- Rounding (3.8)
def increment(v: Machine, value: Lanes, amount: Lanes) -> Lanes:
    """What vxrm adds to a value that was shifted right by an amount, as lanes: 1 or 0."""
    m, one = v.m, Lanes(v.m.const(0, value.whole.bits), value.bits) + 1
    zero = amount == 0
    last = (value >> amount) & one  # bit d
    half = (value >> (amount - 1)) & one  # bit d - 1; of a shift by 0 it is not looked at
    below = (value & ((one << (amount - 1)) - 1)) != 0  # bits d - 2 to 0
    under = below | (half == 1)
    mode = m.get(VXRM)
    rnu = half
    rne = half & (below.zext(value.bits) | last)
    rod = (last ^ 1) & under.zext(value.bits)
    chosen = m.select(mode == 0, rnu, m.select(mode == 1, rne, m.select(mode == 3, rod, 0)))
    return zero.select(Lanes(m.const(0, value.whole.bits), value.bits), chosen)


def rounded(v: Machine, value: Lanes, amount: Lanes, *, signed: bool) -> Lanes:
    """A value shifted right and rounded."""
    return (value.asr(amount) if signed else value >> amount) + increment(v, value, amount)


# -- Averages (12.2)
def averaging(name: str, code: str, doc: str, *, signed: bool, subtract: bool) -> None:
    """Declare half a sum or a difference, which has a bit more than SEW."""
    for one in (form("v", m=True), form("x", m=True)):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.no_mask(vd)
            v.aligned(vd, v.lmul)
            m, top = v.m, v.sew - 1
            mode, found = m.get(VXRM), []
            for x, y in zip(v.source(vs2), one.lanes(v, given), strict=True):
                total = x - y if subtract else x + y
                # The bit above, which is the sign or the carry.
                if signed:
                    over = (x ^ y) & (x ^ total) if subtract else ~(x ^ y) & (x ^ total)
                    above = ((total ^ over) >> top) & 1
                else:
                    above = (x.ult(y) if subtract else total.ult(x)).zext(v.sew)
                half = (total >> 1) | (above << top)
                lost, last = total & 1, half & 1
                add = m.select(
                    mode == 0, lost, m.select(mode == 1, lost & last, m.select(mode == 3, lost & ~last, 0))
                )
                found.append(half + add)
            v.write(vd, found)


averaging("vaaddu", "001000", "Half the sum, unsigned, rounded.", signed=False, subtract=False)
averaging("vaadd", "001001", "Half the sum, rounded.", signed=True, subtract=False)
averaging("vasubu", "001010", "Half the difference, unsigned, rounded.", signed=False, subtract=True)
averaging("vasub", "001011", "Half the difference, rounded.", signed=True, subtract=True)


# -- The fractional product (12.3)
def fraction(v: Machine, x: Lanes, y: Lanes) -> tuple[Lanes, Lanes]:
    """2 * x * y in the units of SEW - 1 fraction bits, rounded; and where it was saturated."""
    bits = x.bits
    least = 1 << bits - 1
    both = (x == least) & (y == least)
    parts = []
    if bits == 64:
        for i in range(x.count):
            product = Lanes(x[i].sext(128) * y[i].sext(128), 128)
            wide = rounded(v, product, Lanes(v.m.const(63, 128), 128), signed=True)
            parts.append(Lanes(wide.whole.trunc(64), 64))
    else:
        for half in (Lanes.low, Lanes.high):
            product = half(x).sext(2 * bits) * half(y).sext(2 * bits)
            amount = Lanes(v.m.const(0, product.whole.bits), 2 * bits) + (bits - 1)
            parts.append(rounded(v, product, amount, signed=True).trunc(bits))
    result = parts[0].join(parts[1]) if bits < 64 else Lanes.of([part.whole for part in parts])
    return both.select(Lanes(v.m.const(0, v.vlen), bits) + (least - 1), result), both


for _one in (form("v"), form("x")):

    @insn(f"vsmul.v{_one.suffix} vd, vs2, {_one.operand}, vm", f"100111 vm vs2 {_one.encoding} vd 1010111")
    def vsmul(v: Machine, vd: Val, vs2: Val, one: Form = _one, **given: Val) -> None:
        """The product of fractions, rounded and saturated."""
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        some, found = Saturated(v), []
        a, b = v.source(vs2), one.lanes(v, given)
        v.checked()
        for chunk, (x, y) in enumerate(zip(a, b, strict=True)):
            result, over = fraction(v, x, y)
            found.append(result)
            some.note(chunk, v.sew, over)
        some.keep()
        v.write(vd, found)


# -- Scaling shifts (12.4) and narrowing clips (12.5)
def scaling(name: str, code: str, doc: str, *, signed: bool) -> None:
    """Declare a shift right that rounds."""
    for one in (form("v"), form("x"), form("u")):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.no_mask(vd)
            v.aligned(vd, v.lmul)
            a, b = v.source(vs2), one.lanes(v, given)
            v.write(vd, [rounded(v, x, shift(y), signed=signed) for x, y in zip(a, b, strict=True)])


scaling("vssrl", "101010", "Shift right, zeros in, rounded.", signed=False)
scaling("vssra", "101011", "Shift right, sign in, rounded.", signed=True)


def clipping(name: str, code: str, doc: str, *, signed: bool) -> None:
    """Declare a shift right that rounds, and saturates to half the width."""
    for one in (form("v"), form("x"), form("u")):

        @insn(*one.masked(name, code, wide=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            some, place = Saturated(v), 0

            def clip(a: Lanes, b: Lanes) -> Lanes:
                nonlocal place
                value, bits = rounded(v, a, shift(b), signed=signed), a.bits // 2
                if signed:
                    low, high = -1 << bits - 1, (1 << bits - 1) - 1
                    result = value.smax(low).smin(high)
                else:
                    result = value.umin((1 << bits) - 1)
                some.note(place, a.bits, result != value)
                place += 1
                return result.trunc(bits)

            narrow(v, vd, vs2, clip, one, given, before=some.keep)


clipping("vnclipu", "101110", "Shift right and round, unsigned, saturated to half the width.", signed=False)
clipping("vnclip", "101111", "Shift right and round, saturated to half the width.", signed=True)
