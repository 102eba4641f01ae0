"""V: loads and stores (7): unit-stride, strided, indexed, segments, masks, whole registers, fault-only-first.

A compiled access touches its elements in any order; where one faults, the golden evaluator makes the instruction again,
an element at a time, so that the fault is that of the first one that faults, with its number in vstart (17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.machine import VL, Machine
from polyvm.isa.riscv64.vector.spec import RESTARTS, Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.spec import VectorIsa

insn = Family("V", "1.0", "Vector operations")

Read = Callable[[tuple[str, int]], int]
WIDTHS: Final = {8: "000", 16: "101", 32: "110", 64: "111"}
"""EEW -> the width field (7.3)."""
LOAD, STORE = "0000111", "0100111"
PAGE: Final = 4096


def of_vl(isa: VectorIsa, fields: Mapping[str, int], read: Read) -> int:
    """How many elements an access has: vl."""
    return read(VL)


def of_mask(isa: VectorIsa, fields: Mapping[str, int], read: Read) -> int:
    """How many elements an access of a mask has: bytes that vl bits take (7.4)."""
    return (read(VL) + 7) // 8


def restartable(name: str, elements: Callable[[VectorIsa, Mapping[str, int], Read], int] = of_vl) -> None:
    """Say how many elements an access has."""
    RESTARTS[name] = elements


def ordinary(v: Machine, vd: Val, eew: int, *, fields: int = 1, load: bool) -> int:
    """EMUL of an access of elements of so many bits, which must be allowed (7.3, 7.8)."""
    mul = eew * v.lmul // v.sew
    v.reserve(mul > 64 or mul < 1 or mul * fields > 64)
    v.aligned(vd, mul)
    if fields > 1:
        v.reserve((vd.zext(8) + fields * max(mul // 8, 1)).uge(33))
    if load:
        v.no_mask(vd)
    return mul


# -- Unit-stride (7.4): whole chunks at once
def unit_load(v: Machine, vd: Val, base: Val, eew: int, mul: int, vl: Val | None = None) -> None:
    """Load a group from where it lies one element behind the other."""
    v.checked()

    def load(whole: bool) -> None:
        masks = [_every(v, eew) if whole else v.active(chunk, eew, vl) for chunk in range(v.chunks(mul))]
        found = [v.m.load_lanes(_at(v, base, n), mask, eew) for n, mask in enumerate(masks)]
        merged = [mask.select(found[n], Lanes(v.get(vd, n), eew)) for n, mask in enumerate(masks)]
        for chunk, value in enumerate(merged):
            v.set(vd, chunk, value.whole)

    v.two_ways(elements(v, eew, mul), mul, load, vl)


def unit_store(v: Machine, vs3: Val, base: Val, eew: int, mul: int, vl: Val | None = None) -> None:
    """Store a group one element behind the other."""
    v.checked()

    def store(whole: bool) -> None:
        for chunk, value in enumerate(v.group(vs3, eew, mul)):
            v.m.store_lanes(_at(v, base, chunk), value, _every(v, eew) if whole else v.active(chunk, eew, vl))

    v.two_ways(elements(v, eew, mul), mul, store, vl)


def _every(v: Machine, eew: int) -> Lanes:
    return Lanes(v.m.const(-1, v.vlen // eew), 1)


def _at(v: Machine, base: Val, chunk: int) -> Val:
    return base + chunk * v.vlen // 8 if chunk else base


# -- Element by element: segments (7.8), strided (7.5), indexed (7.6)
def elements(v: Machine, eew: int, mul: int) -> int:
    """How many elements a group may have."""
    return v.vlen * mul // 8 // eew


def scattered_load(v: Machine, vd: Val, eew: int, mul: int, fields: int, address: Callable[[int], Val],
                   vl: Val | None = None) -> None:  # fmt: skip
    """Load groups element by element: field f of element i lies f elements behind address(i)."""
    most, per = elements(v, eew, mul), v.vlen // eew
    v.spend(most * fields)
    v.checked()
    chunks = v.chunks(mul)
    inside = [v.active(chunk, eew, vl) for chunk in range(chunks)]
    values: list[list[Val]] = [[] for _ in range(fields)]
    for i in range(chunks * per):
        if i >= most:  # of a group that is less than a chunk
            for field in values:
                field.append(v.m.const(0, eew))
            continue
        at, one = address(i), Lanes(inside[i // per][i % per], 1)
        for f, field in enumerate(values):
            field.append(v.m.load_lanes(at + f * eew // 8 if f else at, one, eew).whole)
    merged = []
    for f, field in enumerate(values):
        for chunk in range(chunks):
            value = Lanes.of(field[chunk * per : (chunk + 1) * per])
            reg, place = _of_field(v, vd, f, mul), chunk
            merged.append((reg, place, inside[chunk].select(value, Lanes(v.get(reg, place), eew))))
    for reg, place, lanes in merged:
        v.set(reg, place, lanes.whole)


def scattered_store(
    v: Machine, vs3: Val, eew: int, mul: int, fields: int, address: Callable[[int], Val]
) -> None:
    """Store groups element by element, in order."""
    most, per = elements(v, eew, mul), v.vlen // eew
    v.spend(most * fields)
    v.checked()
    chunks = v.chunks(mul)
    inside = [v.active(chunk, eew) for chunk in range(chunks)]
    values = [v.group(_of_field(v, vs3, f, mul), eew, mul) for f in range(fields)]
    for i in range(most):
        at, one = address(i), Lanes(inside[i // per][i % per], 1)
        for f, field in enumerate(values):
            v.m.store_lanes(at + f * eew // 8 if f else at, Lanes(field[i // per][i % per], eew), one)


def _of_field(v: Machine, reg: Val, f: int, mul: int) -> Val:
    return reg.zext(8) + f * max(mul // 8, 1) if f else reg


def _name(kind: str, fields: int, eew: int, rest: str) -> str:
    """As vlseg2e32ff.v, vsuxei8.v; one field is no segment."""
    segment = f"seg{fields}" if fields > 1 else ""
    return f"v{kind}{segment}{rest.replace('*', str(eew))}.v"


def _unit(fields: int, eew: int) -> None:
    nf, width = f"{fields - 1:03b}", WIDTHS[eew]
    what = f"{fields} fields of each segment" if fields > 1 else "elements"

    @insn(f"{_name('l', fields, eew, 'e*')} vd, (rs1), vm", f"{nf} 0 00 vm 00000 rs1 {width} vd {LOAD}",
          f"Load {what} of {eew} bits, one behind the other.")  # fmt: skip
    def load(v: Machine, vd: Val, rs1: Val) -> None:
        mul, base = ordinary(v, vd, eew, fields=fields, load=True), v.m.x[rs1]
        if fields == 1:
            unit_load(v, vd, base, eew, mul)
        else:
            scattered_load(v, vd, eew, mul, fields, lambda i: base + i * fields * eew // 8)

    @insn(f"{_name('l', fields, eew, 'e*ff')} vd, (rs1), vm", f"{nf} 0 00 vm 10000 rs1 {width} vd {LOAD}",
          f"Load {what} of {eew} bits; vl ends where the page of the first one ends (7.7 allows any end "
          "behind it).")  # fmt: skip
    def load_first(v: Machine, vd: Val, rs1: Val) -> None:
        m, base = v.m, v.m.x[rs1]
        mul = ordinary(v, vd, eew, fields=fields, load=True)
        room = (m.const(PAGE, 64) - (base & PAGE - 1)).udiv(m.const(fields * eew // 8, 64))
        room = m.select(room == 0, m.const(1, 64), room)
        vl = m.get(VL)
        vl = m.select(room.ult(vl), room, vl)
        if fields == 1:
            unit_load(v, vd, base, eew, mul, vl)
        else:
            scattered_load(v, vd, eew, mul, fields, lambda i: base + i * fields * eew // 8, vl)
        m.set(VL, vl)

    @insn(f"{_name('s', fields, eew, 'e*')} vs3, (rs1), vm", f"{nf} 0 00 vm 00000 rs1 {width} vs3 {STORE}",
          f"Store {what} of {eew} bits, one behind the other.")  # fmt: skip
    def store(v: Machine, vs3: Val, rs1: Val) -> None:
        mul, base = ordinary(v, vs3, eew, fields=fields, load=False), v.m.x[rs1]
        if fields == 1:
            unit_store(v, vs3, base, eew, mul)
        else:
            scattered_store(v, vs3, eew, mul, fields, lambda i: base + i * fields * eew // 8)

    for kind, rest in (("l", "e*"), ("l", "e*ff"), ("s", "e*")):
        restartable(_name(kind, fields, eew, rest))


def _strided(fields: int, eew: int) -> None:
    nf, width = f"{fields - 1:03b}", WIDTHS[eew]

    def address(v: Machine, rs1: Val, rs2: Val) -> Callable[[int], Val]:
        base, stride = v.m.x[rs1], v.m.x[rs2]
        return lambda i: base + stride * i if i else base

    @insn(f"{_name('ls', fields, eew, 'e*')} vd, (rs1), rs2, vm", f"{nf} 0 10 vm rs2 rs1 {width} vd {LOAD}",
          f"Load elements of {eew} bits, rs2 bytes apart.")  # fmt: skip
    def load(v: Machine, vd: Val, rs1: Val, rs2: Val) -> None:
        mul = ordinary(v, vd, eew, fields=fields, load=True)
        scattered_load(v, vd, eew, mul, fields, address(v, rs1, rs2))

    @insn(f"{_name('ss', fields, eew, 'e*')} vs3, (rs1), rs2, vm", f"{nf} 0 10 vm rs2 rs1 {width} vs3 {STORE}",
          f"Store elements of {eew} bits, rs2 bytes apart.")  # fmt: skip
    def store(v: Machine, vs3: Val, rs1: Val, rs2: Val) -> None:
        mul = ordinary(v, vs3, eew, fields=fields, load=False)
        scattered_store(v, vs3, eew, mul, fields, address(v, rs1, rs2))

    restartable(_name("ls", fields, eew, "e*"))
    restartable(_name("ss", fields, eew, "e*"))


def _indexed(fields: int, eew: int, mop: str, order: str) -> None:
    nf, width = f"{fields - 1:03b}", WIDTHS[eew]
    how = "in order" if order == "o" else "in any order"

    def indexes(v: Machine, vs2: Val) -> Callable[[int], Val]:
        mul = eew * v.lmul // v.sew
        v.reserve(mul > 64 or mul < 1)
        v.aligned(vs2, mul)
        found, per = v.group(vs2, eew, mul), v.vlen // eew
        return lambda i: found[i // per][i % per].zext(64)

    @insn(f"{_name(f'l{order}x', fields, eew, 'ei*')} vd, (rs1), vs2, vm", f"{nf} 0 {mop} vm vs2 rs1 {width} vd {LOAD}",
          f"Load elements of SEW at indexes of {eew} bits, {how}.")  # fmt: skip
    def load(v: Machine, vd: Val, rs1: Val, vs2: Val) -> None:
        ordinary(v, vd, v.sew, fields=fields, load=True)
        base, index, index_mul = v.m.x[rs1], indexes(v, vs2), eew * v.lmul // v.sew
        if fields > 1:  # no destination may overlap with the indexes (7.8.3)
            v.apart(vd, fields * max(v.lmul, 8), vs2, index_mul)
        else:
            v.compatible(vd, v.sew, v.lmul, vs2, eew, index_mul)
        scattered_load(v, vd, v.sew, v.lmul, fields, lambda i: base + index(i))

    @insn(f"{_name(f's{order}x', fields, eew, 'ei*')} vs3, (rs1), vs2, vm",
          f"{nf} 0 {mop} vm vs2 rs1 {width} vs3 {STORE}",
          f"Store elements of SEW at indexes of {eew} bits, {how}.")  # fmt: skip
    def store(v: Machine, vs3: Val, rs1: Val, vs2: Val) -> None:
        ordinary(v, vs3, v.sew, fields=fields, load=False)
        base, index = v.m.x[rs1], indexes(v, vs2)
        scattered_store(v, vs3, v.sew, v.lmul, fields, lambda i: base + index(i))

    restartable(_name(f"l{order}x", fields, eew, "ei*"))
    restartable(_name(f"s{order}x", fields, eew, "ei*"))


for _fields in range(1, 9):
    for _eew in WIDTHS:
        _unit(_fields, _eew)
        _strided(_fields, _eew)
        _indexed(_fields, _eew, "01", "u")
        _indexed(_fields, _eew, "11", "o")


# -- Masks (7.4) and whole registers (7.9)
@insn("vlm.v vd, (rs1)", f"000 0 00 1 01011 rs1 000 vd {LOAD}")
def vlm(v: Machine, vd: Val, rs1: Val) -> None:
    """Load the bytes that vl bits of a mask take."""
    unit_load(v, vd, v.m.x[rs1], 8, 8, (v.vl() + 7) >> 3)


@insn("vsm.v vs3, (rs1)", f"000 0 00 1 01011 rs1 000 vs3 {STORE}")
def vsm(v: Machine, vs3: Val, rs1: Val) -> None:
    """Store the bytes that vl bits of a mask take."""
    unit_store(v, vs3, v.m.x[rs1], 8, 8, (v.vl() + 7) >> 3)


restartable("vlm.v", of_mask)
restartable("vsm.v", of_mask)


def _of_whole(eew: int, count: int) -> Callable[[VectorIsa, Mapping[str, int], Read], int]:
    """How many elements an access of whole registers has."""
    return lambda isa, fields, read: isa.vlen // eew * count


def _whole(count: int) -> None:
    nf = f"{count - 1:03b}"

    for eew, width in WIDTHS.items():

        @insn(f"vl{count}re{eew}.v vd, (rs1)", f"{nf} 0 00 1 01000 rs1 {width} vd {LOAD}",
              f"Load {count} whole register{'s' if count > 1 else ''}, with {eew} bits as a hint, whatever vl is.",
              typed=False)  # fmt: skip
        def load(v: Machine, vd: Val, rs1: Val, eew: int = eew) -> None:
            v.aligned(vd, 8 * count)
            unit_load(v, vd, v.m.x[rs1], eew, 8 * count, v.m.const(v.vlen // eew * count, 64))

        restartable(f"vl{count}re{eew}.v", _of_whole(eew, count))

    @insn(f"vs{count}r.v vs3, (rs1)", f"{nf} 0 00 1 01000 rs1 000 vs3 {STORE}",
          f"Store {count} whole register{'s' if count > 1 else ''}, whatever vl is.", typed=False)  # fmt: skip
    def store(v: Machine, vs3: Val, rs1: Val) -> None:
        v.aligned(vs3, 8 * count)
        unit_store(v, vs3, v.m.x[rs1], 8, 8 * count, v.m.const(v.vlen // 8 * count, 64))

    restartable(f"vs{count}r.v", _of_whole(8, count))


for _count in (1, 2, 4, 8):
    _whole(_count)
