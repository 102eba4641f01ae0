"""V: masks (15): logic on them, counting and finding their bits, and elements made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")


# -- Logic (15.1)
def logic(name: str, code: str, doc: str, operation: Callable[[Val, Val], Val]) -> None:
    """Declare vd.bit[i] = operation(vs2.bit[i], vs1.bit[i])."""

    @insn(f"{name}.mm vd, vs2, vs1", f"{code} 1 vs2 vs1 010 vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
        value, inside = operation(v.get(vs2, 0), v.get(vs1, 0)), v.body_bits()
        v.set(vd, 0, (v.get(vd, 0) & ~inside) | (value & inside))


logic("vmandn", "011000", "vs2 and not vs1.", lambda a, b: a & ~b)
logic("vmand", "011001", "And.", lambda a, b: a & b)
logic("vmor", "011010", "Or.", lambda a, b: a | b)
logic("vmxor", "011011", "Exclusive or.", lambda a, b: a ^ b)
logic("vmorn", "011100", "vs2 or not vs1.", lambda a, b: a | ~b)
logic("vmnand", "011101", "Not both.", lambda a, b: ~(a & b))
logic("vmnor", "011110", "Neither.", lambda a, b: ~(a | b))
logic("vmxnor", "011111", "Equal.", lambda a, b: ~(a ^ b))


# -- Counting and finding (15.2, 15.3), in words of 64 bits
def set_bits(v: Machine, vs2: Val) -> list[Val]:
    """The active bits of a mask, in words."""
    value = v.get(vs2, 0) & v.body_bits()
    if v.masked:
        value &= v.get(0, 0)
    return [value[at + 63 : at] for at in range(0, v.vlen, 64)]


@insn("vcpop.m rd, vs2, vm", "010000 vm vs2 10000 010 rd 1010111")
def vcpop(v: Machine, rd: Val, vs2: Val) -> None:
    """How many active bits are set."""
    v.from_zero()
    total = v.m.const(0, 64)
    for part in set_bits(v, vs2):
        total += part.popcount()
    v.m.x[rd] = total


@insn("vfirst.m rd, vs2, vm", "010000 vm vs2 10001 010 rd 1010111")
def vfirst(v: Machine, rd: Val, vs2: Val) -> None:
    """The number of the first active bit that is set, or -1."""
    v.from_zero()
    first = v.m.const(-1, 64)
    parts = set_bits(v, vs2)
    for place in reversed(range(len(parts))):
        first = v.m.select(parts[place] != 0, parts[place].ctz() + 64 * place, first)
    v.m.x[rd] = first


def around_first(name: str, code: str, doc: str, *, before: bool, at: bool) -> None:
    """Declare vmsbf, vmsif and vmsof (15.4 to 15.6): bits before the first that is set, and at it."""

    @insn(f"{name}.m vd, vs2, vm", f"010100 vm vs2 {code} 010 vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        v.no_mask(vd)
        v.reserve(vd == vs2)
        v.checked()
        v.from_zero()
        inside = v.body_bits()
        if v.masked:
            inside &= v.get(0, 0)
        value, zero = v.get(vs2, 0) & inside, v.m.const(0, v.vlen)
        lowest = value & zero - value
        below = lowest - 1  # all ones where there is none
        result = (below if before else zero) | (lowest if at else zero)
        v.set(vd, 0, (v.get(vd, 0) & ~inside) | (result & inside))


around_first("vmsbf", "00001", "Set the bits before the first that is set.", before=True, at=False)
around_first("vmsof", "00010", "Set the first bit that is set, alone.", before=False, at=True)
around_first("vmsif", "00011", "Set the bits up to the first that is set.", before=True, at=True)


# -- Elements (15.8, 15.9)
@insn("viota.m vd, vs2, vm", "010100 vm vs2 10000 010 vd 1010111")
def viota(v: Machine, vd: Val, vs2: Val) -> None:
    """For each element, how many active bits of vs2 are set before it."""
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    v.apart(vd, v.lmul, vs2, 8)
    v.checked()
    v.from_zero()
    per, found = v.vlen // v.sew, []
    v.spend(v.vlmax // 2)
    before = v.m.const(0, 64)
    for chunk in range(v.chunks(v.lmul)):
        bits = (v.mask(chunk, v.sew, vs2).whole & v.active(chunk, v.sew).whole).zext(64)
        found.append(Lanes.of([(before + (bits & (1 << i) - 1).popcount()).trunc(v.sew) for i in range(per)]))
        before += bits.popcount()
    v.write(vd, found)


@insn("vid.v vd, vm", "010100 vm 00000 10001 010 vd 1010111")
def vid(v: Machine, vd: Val) -> None:
    """The number of each element."""
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    per, mask = v.vlen // v.sew, (1 << v.sew) - 1
    v.write(vd, [
        Lanes(v.m.const(sum((chunk * per + i & mask) << i * v.sew for i in range(per)), v.vlen), v.sew)
        for chunk in range(v.chunks(v.lmul))
    ])  # fmt: skip
