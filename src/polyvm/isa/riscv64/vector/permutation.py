"""V: permutation (16): moves of element 0, slides, gathers, compress, and moves of whole registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.spec import Family
from polyvm.isa.riscv64.vector.integer import IVI, IVV, MVV, MVX, form
from polyvm.isa.riscv64.vector.machine import CHUNK, VSTART
from polyvm.isa.riscv64.vector.reduction import first

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
    new = (old & -(1 << v.sew)) | value.zext(CHUNK)
    some = v.m.get(VSTART).ult(v.vl()) if v.part else v.vl() != 0
    v.set(vd, 0, v.m.select(some, new, old))


@insn("vmv.s.x vd, rs1", f"010000 1 00000 rs1 {MVX} vd 1010111")
def vmv_s_x(v: Machine, vd: Val, rs1: Val) -> None:
    """An integer register to element 0."""
    move_first(v, vd, v.scalar(rs1))


# -- Slides (16.3)
def moved_down(v: Machine, source: Sequence[Val], count: Val) -> list[Val]:
    """Chunks shifted down by so many bits (64 of them), zeros behind the end."""
    m, zero = v.m, v.m.const(0, CHUNK)
    parts, step = [*source], 1
    while step < len(parts):  # by whole chunks
        here = count[7 + step.bit_length() - 1]
        later = [*parts[step:], *[zero] * step]
        parts = [m.select(here, b, a) for a, b in zip(parts, later, strict=True)]
        step *= 2
    inner = (count & CHUNK - 1).zext(CHUNK)
    results = []
    for part, after in zip(parts, [*parts[1:], zero], strict=True):
        results.append((part >> inner) | (after << (m.const(CHUNK, CHUNK) - inner)))
    far = count.uge(len(source) * CHUNK)
    return [m.select(far, zero, result) for result in results]


def moved_up(v: Machine, source: Sequence[Val], count: Val) -> list[Val]:
    """Chunks shifted up by so many bits, zeros before the beginning."""
    m, zero = v.m, v.m.const(0, CHUNK)
    parts, step = [*source], 1
    while step < len(parts):
        here = count[7 + step.bit_length() - 1]
        earlier = [*[zero] * step, *parts[: len(parts) - step]]
        parts = [m.select(here, b, a) for a, b in zip(parts, earlier, strict=True)]
        step *= 2
    inner = (count & CHUNK - 1).zext(CHUNK)
    results = []
    for part, before in zip(parts, [zero, *parts[:-1]], strict=True):
        results.append((part << inner) | (before >> (m.const(CHUNK, CHUNK) - inner)))
    far = count.uge(len(source) * CHUNK)
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
    per = CHUNK // v.sew
    iota = Lanes(v.m.const(sum(i << i * v.sew for i in range(per)), CHUNK), v.sew)
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

    @insn(f"vslidedown.v{_one.suffix} vd, vs2, {_one.operand}, vm", f"001111 vm vs2 {_one.encoding} vd 1010111")
    def vslidedown(v: Machine, vd: Val, vs2: Val, **given: Val) -> None:
        """Elements move to lower numbers; what comes from behind VLMAX is 0."""
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        moved = moved_down(v, inside_group(v, v.source(vs2)), bits_of(v, offset(v, given)))
        v.write(vd, [Lanes(value, v.sew) for value in moved])


def inside_group(v: Machine, source: Sequence[Lanes]) -> list[Val]:
    """A group's chunks without what lies behind VLMAX in the only one of less than a register."""
    bits = v.vlmax * v.sew
    return [lanes.whole & (1 << bits) - 1 if bits < CHUNK else lanes.whole for lanes in source]


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
    source, found, per = v.source(vs2), [], CHUNK // v.sew
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


# -- Gathers (16.4)
def looked_up(v: Machine, table: Sequence[Val], index: Lanes) -> Lanes:
    """A chunk of elements of a group by number; 0 for numbers of VLMAX or more."""
    m, per, size = v.m, CHUNK // v.sew, v.sew // 8
    bound = index.ult(v.vlmax) if v.vlmax < 1 << v.sew else None
    total = m.const(0, CHUNK)
    for n, part in enumerate(table):
        here = index - n * per if n else index
        if size > 1:  # the numbers of an element's bytes; all ones where it is none of this part's
            ones = int.from_bytes(bytes([size]) * size, "little")
            order = int.from_bytes(bytes(range(size)), "little")
            bytes_of = here * ones + order
            here = here.ult(per).select(bytes_of, -1)
        total |= part.permute(here.whole, 8)
    result = Lanes(total, v.sew)
    return bound.select(result, 0) if bound is not None else result


def gather(v: Machine, vd: Val, vs2: Val, indexes: Sequence[Lanes]) -> None:
    """vd[i] = vs2[indexes[i]]."""
    source = v.source(vs2)
    v.spend(len(source) * len(indexes) * 2)
    table = inside_group(v, source)
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
    found = []
    for chunk in range(v.chunks(v.lmul)):
        if v.sew == 16:
            found.append(numbers[chunk])
        elif v.sew > 16:
            found.append(v.widened(numbers, chunk, v.sew // 16, signed=False))
        else:  # 255 stands for all numbers that are too large: VLMAX is at most 512, so these are looked up apart

            def small(part: int) -> Lanes:
                wide = numbers[part]
                return wide.trunc(8)

            found.append(v.narrowed(numbers, chunk, small))
    if v.sew > 8:
        gather(v, vd, vs2, found)
        return
    source = v.source(vs2)
    v.spend(len(source) * len(found) * 2)
    table = inside_group(v, source)
    results = []
    for chunk, low in enumerate(found):

        def page(part: int) -> Lanes:
            return (numbers[part] >> 8).trunc(8)

        pages = v.narrowed(numbers, chunk, page)
        total = v.m.const(0, CHUNK)
        for number in range(0, len(table), 16):  # 256 elements of 8 bits
            hit = pages == number // 16
            part = v.m.const(0, CHUNK)
            for n, piece in enumerate(table[number : number + 16]):
                part |= piece.permute((low - n * 16 if n else low).whole, 8)
            total |= hit.select(Lanes(part, 8), 0).whole
        results.append(Lanes(total, 8))
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
    source, per, m = v.source(vs2), CHUNK // v.sew, v.m
    v.checked()
    v.from_zero()
    v.spend(v.vlmax * len(source))
    chosen = [v.mask(n, v.sew, vs1) & v.body(n, v.sew) for n in range(len(source))]
    count, results = m.const(0, 64), [m.const(0, CHUNK) for _ in source]
    for i in range(v.vlmax):
        taken = chosen[i // per][i % per]
        value = m.select(taken, source[i // per][i % per], 0).zext(CHUNK)
        at = count << v.sew.bit_length() - 1
        # Below a chunk the distance wraps around, to more than any shift: nothing comes there.
        results = [whole | (value << (at - n * CHUNK).zext(CHUNK)) for n, whole in enumerate(results)]
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
