"""V: permutation (16): moves of element 0, slides, gathers, compress, and moves of whole registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.integer import IVI, IVV, MVV, MVX, form
from polyvm.isa.riscv64.vector.machine import VSTART
from polyvm.isa.riscv64.vector.reduction import first
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")


# -- Element 0 (16.1)
@insn("vmv.x.s rd, vs2", f"010000 1 vs2 00000 {MVV} rd 1010111")
def vmv_x_s(v: Machine, rd: Val, vs2: Val) -> None:
    """Element 0 to an integer register, with its sign; whatever vl and vstart are."""
    v.m.x[rd] = first(v, vs2, v.sew).sext(64)


def move_first(v: Machine, vd: Val, value: Val) -> None:
    """Write element 0 where vstart is below vl."""
    old = v.get(vd, 0)
    new = (old & -(1 << v.sew)) | value.zext(v.vlen)
    some = v.m.get(VSTART).ult(v.vl()) if v.part else v.vl() != 0
    v.set(vd, 0, v.m.select(some, new, old))


@insn("vmv.s.x vd, rs1", f"010000 1 00000 rs1 {MVX} vd 1010111")
def vmv_s_x(v: Machine, vd: Val, rs1: Val) -> None:
    """An integer register to element 0."""
    move_first(v, vd, v.scalar(rs1))


# -- Slides (16.3)
def moved_down(v: Machine, source: Sequence[Val], count: Val) -> list[Val]:
    """Chunks shifted down by so many bits (64 of them), zeros behind the end."""
    m, zero = v.m, v.m.const(0, v.vlen)
    parts, step = [*source], 1
    while step < len(parts):  # by whole chunks
        here = count[v.vlen.bit_length() - 1 + step.bit_length() - 1]
        later = [*parts[step:], *[zero] * step]
        parts = [m.select(here, b, a) for a, b in zip(parts, later, strict=True)]
        step *= 2
    inner = (count & v.vlen - 1).zext(v.vlen)
    results = []
    for part, after in zip(parts, [*parts[1:], zero], strict=True):
        results.append((part >> inner) | (after << (m.const(v.vlen, v.vlen) - inner)))
    far = count.uge(len(source) * v.vlen)
    return [m.select(far, zero, result) for result in results]


def moved_up(v: Machine, source: Sequence[Val], count: Val) -> list[Val]:
    """Chunks shifted up by so many bits, zeros before the beginning."""
    m, zero = v.m, v.m.const(0, v.vlen)
    parts, step = [*source], 1
    while step < len(parts):
        here = count[v.vlen.bit_length() - 1 + step.bit_length() - 1]
        earlier = [*[zero] * step, *parts[: len(parts) - step]]
        parts = [m.select(here, b, a) for a, b in zip(parts, earlier, strict=True)]
        step *= 2
    inner = (count & v.vlen - 1).zext(v.vlen)
    results = []
    for part, before in zip(parts, [zero, *parts[:-1]], strict=True):
        results.append((part << inner) | (before >> (m.const(v.vlen, v.vlen) - inner)))
    far = count.uge(len(source) * v.vlen)
    return [m.select(far, zero, result) for result in results]


def bits_of(v: Machine, elements: Val) -> Val:
    """How many bits so many elements take; more than any group has where that is more."""
    most = v.m.select(elements.ult(1 << 16), elements, 1 << 16)
    return most << v.sew.bit_length() - 1


def offset(v: Machine, given: dict[str, Val]) -> Val:
    """By how many elements a slide goes: all 64 bits of a register count."""
    return v.m.x[given["rs1"]] if "rs1" in given else given["uimm"].zext(64)


def at_least(v: Machine, chunk: int, number: Val) -> Lanes:
    """For each lane of a chunk, whether its element has at least a number."""
    per = v.vlen // v.sew
    iota = Lanes(v.m.const(sum(i << i * v.sew for i in range(per)), v.vlen), v.sew)
    return iota.uge(v.counted(number, chunk * per, per).trunc(v.sew))


for _one in (form("x"), form("u")):

    @insn(f"vslideup.v{_one.suffix} vd, vs2, {_one.operand}, vm", f"001110 vm vs2 {_one.encoding} vd 1010111")
    def vslideup(v: Machine, vd: Val, vs2: Val, **given: Val) -> None:
        """Elements move to higher numbers; those below the offset stay as they are."""
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        v.apart(vd, v.lmul, vs2, v.lmul)
        by = offset(v, given)
        moved = moved_up(v, [lanes.whole for lanes in v.source(vs2)], bits_of(v, by))
        v.write(vd, [
            at_least(v, n, by).select(Lanes(value, v.sew), Lanes(v.get(vd, n), v.sew)) for n, value in enumerate(moved)
        ])  # fmt: skip

    @insn(
        f"vslidedown.v{_one.suffix} vd, vs2, {_one.operand}, vm", f"001111 vm vs2 {_one.encoding} vd 1010111"
    )
    def vslidedown(v: Machine, vd: Val, vs2: Val, **given: Val) -> None:
        """Elements move to lower numbers; what comes from behind VLMAX is 0."""
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        moved = moved_down(v, inside_group(v, v.source(vs2)), bits_of(v, offset(v, given)))
        v.write(vd, [Lanes(value, v.sew) for value in moved])


def inside_group(v: Machine, source: Sequence[Lanes]) -> list[Val]:
    """A group's chunks without what lies behind VLMAX in the only one of less than a register."""
    bits = v.vlmax * v.sew
    return [lanes.whole & (1 << bits) - 1 if bits < v.vlen else lanes.whole for lanes in source]


def slide_one_up(v: Machine, vd: Val, vs2: Val, value: Val) -> None:
    """vd[0] = value, vd[i + 1] = vs2[i]."""
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    v.apart(vd, v.lmul, vs2, v.lmul)
    source, found = v.source(vs2), []
    before = Lanes(value, v.sew)
    for lanes in source:
        found.append(before.join(lanes.pick(range(lanes.count - 1))) if lanes.count > 1 else before)
        before = lanes.pick([lanes.count - 1])
    v.write(vd, found)


def slide_one_down(v: Machine, vd: Val, vs2: Val, value: Val) -> None:
    """vd[vl - 1] = value, vd[i] = vs2[i + 1]."""
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    source, found, per = v.source(vs2), [], v.vlen // v.sew
    last = v.splat(value)
    end = v.vl() - 1
    for n, lanes in enumerate(source):
        after = source[n + 1].pick([0]) if n + 1 < len(source) else Lanes(v.m.const(0, v.sew), v.sew)
        moved = lanes.pick(range(1, per)).join(after)
        found.append(at_least(v, n, end).select(last, moved))
    v.write(vd, found)


@insn("vslide1up.vx vd, vs2, rs1, vm", f"001110 vm vs2 rs1 {MVX} vd 1010111")
def vslide1up(v: Machine, vd: Val, vs2: Val, rs1: Val) -> None:
    """Elements move up by one; rs1 comes to element 0."""
    slide_one_up(v, vd, vs2, v.scalar(rs1))


@insn("vslide1down.vx vd, vs2, rs1, vm", f"001111 vm vs2 rs1 {MVX} vd 1010111")
def vslide1down(v: Machine, vd: Val, vs2: Val, rs1: Val) -> None:
    """Elements move down by one; rs1 comes to the last."""
    slide_one_down(v, vd, vs2, v.scalar(rs1))


# -- Gathers (16.4): bytes by bytes, 16 out of 16 at a time
TABLE: Final = 128
"""Bits of a table that one look-up takes."""


def pieces(v: Machine, source: Sequence[Val]) -> list[Val]:
    """Registers in pieces that a look-up takes."""
    return [
        value[at + TABLE - 1 : at] if v.vlen > TABLE else value
        for value in source
        for at in range(0, v.vlen, TABLE)
    ]


def looked_up(v: Machine, table: Sequence[Val], index: Lanes, first: int = 0) -> Lanes:
    """Elements of a group by number, as many as an index register has; 0 where it is not among those of the table.

    table: pieces of the group. first: the number of its first element.
    """
    per, size, found = TABLE // v.sew, v.sew // 8, []
    for part in pieces(v, [index.whole]):
        numbers, total = Lanes(part, v.sew), v.m.const(0, TABLE)
        for n, piece in enumerate(table):
            at = first + n * per
            here = numbers - at if at else numbers
            if size > 1:  # the numbers of an element's bytes; all ones where it is none of this piece's
                ones = int.from_bytes(bytes([size]) * size, "little")
                order = int.from_bytes(bytes(range(size)), "little")
                here = here.ult(per).select(here * ones + order, -1)
            total |= piece.permute(here.whole, 8)
        found.append(total)
    return Lanes(Lanes.of(found).whole, v.sew)


def gather(v: Machine, vd: Val, vs2: Val, indexes: Sequence[Lanes]) -> None:
    """vd[i] = vs2[indexes[i]]; 0 for numbers of VLMAX or more."""
    table = pieces(v, inside_group(v, v.source(vs2)))
    v.spend(len(table) * len(indexes) * (v.vlen // TABLE))
    v.write(vd, [looked_up(v, table, index) for index in indexes])


@insn("vrgather.vv vd, vs2, vs1, vm", f"001100 vm vs2 vs1 {IVV} vd 1010111")
def vrgather_vv(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
    """Elements of vs2 by the numbers in vs1; 0 where there is none."""
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    v.apart(vd, v.lmul, vs2, v.lmul)
    v.apart(vd, v.lmul, vs1, v.lmul)
    gather(v, vd, vs2, v.source(vs1))


@insn("vrgatherei16.vv vd, vs2, vs1, vm", f"001110 vm vs2 vs1 {IVV} vd 1010111")
def vrgatherei16(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
    """Elements of vs2 by numbers of 16 bits in vs1."""
    mul = 16 * v.lmul // v.sew
    v.reserve(mul > 64 or mul < 1)
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    v.aligned(vs1, mul)
    v.apart(vd, v.lmul, vs2, v.lmul)
    v.apart(vd, v.lmul, vs1, mul)
    numbers = v.group(vs1, 16, mul)
    if v.sew >= 16:
        times = v.sew // 16
        wide = [v.widened(numbers, n, times, signed=False) for n in range(v.chunks(v.lmul))]
        gather(v, vd, vs2, wide)
        return
    # Bytes: 256 of them have numbers of 8 bits, and what is above says which 256.
    table = pieces(v, inside_group(v, v.source(vs2)))
    v.spend(len(table) * v.chunks(v.lmul) * (v.vlen // TABLE))
    results = []
    for chunk in range(v.chunks(v.lmul)):
        low = v.narrowed(numbers, chunk, lambda n: numbers[n].trunc(8))
        page = v.narrowed(numbers, chunk, lambda n: (numbers[n] >> 8).trunc(8))
        total = Lanes(v.m.const(0, v.vlen), 8)
        for number in range(0, len(table), 16):
            part = looked_up(v, table[number : number + 16], low)
            total |= (page == number // 16).select(part, 0)
        results.append(total)
    v.write(vd, results)


for _one in (form("x"), form("u")):

    @insn(f"vrgather.v{_one.suffix} vd, vs2, {_one.operand}, vm", f"001100 vm vs2 {_one.encoding} vd 1010111")
    def vrgather_one(v: Machine, vd: Val, vs2: Val, **given: Val) -> None:
        """One element of vs2 to all; 0 where there is none of that number."""
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        v.apart(vd, v.lmul, vs2, v.lmul)
        number = offset(v, given)
        source = inside_group(v, v.source(vs2))
        value = moved_down(v, source, bits_of(v, number))[0].trunc(v.sew)
        v.write(vd, [v.splat(value)] * v.chunks(v.lmul))


# -- Compress (16.5)
@insn("vcompress.vm vd, vs2, vs1", f"010111 1 vs2 vs1 {MVV} vd 1010111")
def vcompress(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
    """Elements of vs2 whose bits in vs1 are set, one behind the other; those behind them stay as they are."""
    v.aligned(vd, v.lmul)
    v.apart(vd, v.lmul, vs2, v.lmul)
    v.apart(vd, v.lmul, vs1, 8)
    source, per, m = v.source(vs2), v.vlen // v.sew, v.m
    v.checked()
    v.from_zero()
    v.spend(v.vlmax * len(source))
    chosen = [v.mask(n, v.sew, vs1) & v.body(n, v.sew) for n in range(len(source))]
    count, results = m.const(0, 64), [m.const(0, v.vlen) for _ in source]
    for i in range(v.vlmax):
        taken = chosen[i // per][i % per]
        value = m.select(taken, source[i // per][i % per], 0).zext(v.vlen)
        at = count << v.sew.bit_length() - 1
        # Below a chunk the distance wraps around, to more than any shift: nothing comes there.
        results = [whole | (value << (at - n * v.vlen).zext(v.vlen)) for n, whole in enumerate(results)]
        count += taken.zext(64)
    for n, value in enumerate(results):
        kept = at_least(v, n, count)
        results[n] = kept.select(Lanes(v.get(vd, n), v.sew), Lanes(value, v.sew)).whole
    for n, value in enumerate(results):
        v.set(vd, n, value)


# -- Whole registers (16.6)
def _whole(count: int) -> None:
    @insn(f"vmv{count}r.v vd, vs2", f"100111 1 vs2 {count - 1:05b} {IVI} vd 1010111",
          f"Copy {count} whole register{'s' if count > 1 else ''}, whatever vl is.", typed=False)  # fmt: skip
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        v.aligned(vd, 8 * count)
        v.aligned(vs2, 8 * count)
        v.checked()
        values = v.group(vs2, v.sew, 8 * count)
        for chunk, value in enumerate(values):
            if v.part:
                inside = v.body(chunk, v.sew, v.m.const(v.vlen // v.sew * count, 64))
                value = inside.select(value, Lanes(v.get(vd, chunk), v.sew))
            v.set(vd, chunk, value.whole)


for _count in (1, 2, 4, 8):
    _whole(_count)
