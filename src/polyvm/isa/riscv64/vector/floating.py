"""V: floating point (13, 14.3, 14.4, 16.2): what F and D say, element by element, on SEW, widening and narrowing.

An element that is not active raises no exception (13.1): 1.0 takes its place, on which no operation raises one. Halves
are Zvfh's, which is among the instructions here wherever SEW or its half is 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.ir.ops import ROUND_DYNAMIC
from polyvm.isa.riscv64 import fp
from polyvm.isa.riscv64.vector.integer import FVF, FVV, Form, widening
from polyvm.isa.riscv64.vector.permutation import move_first, slide_one_down, slide_one_up
from polyvm.isa.riscv64.vector.reduction import first, set_first
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")

FORMATS: Final = {16: fp.H, 32: fp.S, 64: fp.D}
ONE: Final = {16: 0x3C00, 32: 0x3F80_0000, 64: 0x3FF0_0000_0000_0000}
TOWARDS_ZERO: Final = 1
Operation = Callable[..., Lanes]
"""Of the tracer and lanes."""


def supported(v: Machine, *bits: int) -> None:
    """The formats must exist, and the rounding mode must be one (13, 13.1)."""
    v.reserve(any(each not in FORMATS for each in bits))
    with v.m.when(v.m.fp_mode[2:0].uge(5)):
        v.m.trap("illegal")


class FloatForm(Form):
    """A form of an operation: vs1 is a group, fs1 a scalar."""

    def lanes(self, v: Machine, given: dict[str, Val], bits: int = 0, mul: int = 0) -> list[Lanes]:
        """The operand for each chunk."""
        if "fs1" not in given:
            return super().lanes(v, given, bits, mul)
        bits = bits or v.sew
        v.reserve(bits not in FORMATS)
        return [v.splat(fp.read(v.m, given["fs1"], FORMATS[bits]))] * v.chunks(mul or v.lmul)


VV, VF = FloatForm("v", "vs1", "vs1", FVV), FloatForm("f", "fs1", "fs1", FVF)
BOTH: Final = (VV, VF)


def careful(v: Machine, chunk: int, lanes: Sequence[Lanes], operation: Callable[..., Lanes], bits: int = 0,
            *, integers: bool = False) -> Lanes:  # fmt: skip
    """An operation on a chunk's lanes, with 1.0, or 1 of integers, in the place of elements that are not active.

    bits: of an element of the destination, whose chunk it is, where operands have another width.
    """
    inside = v.active(chunk, bits or lanes[0].bits)
    return operation(v.m, *(inside.select(one, 1 if integers else ONE[one.bits]) for one in lanes))


def write(v: Machine, vd: Val, parts: Sequence[Sequence[Lanes]], operation: Operation) -> None:
    """Write what an operation makes of each chunk's lanes."""

    def do(whole: bool) -> None:
        if whole:
            results = [operation(v.m, *each) for each in parts]
            for chunk, result in enumerate(results):
                v.set(vd, chunk, result.whole)
        else:
            v.write(vd, [careful(v, n, each, operation) for n, each in enumerate(parts)])

    v.two_ways(v.vlmax, v.lmul, do)


# -- On SEW (13.2, 13.4, 13.6, 13.11, 13.12)
def on_sew(
    name: str, code: str, doc: str, operation: Operation, kinds: Sequence[Form] = BOTH, *, raises: bool = True
) -> None:
    """Declare vd[i] = operation(vs2[i], operand)."""
    for one in kinds:

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            supported(v, v.sew)
            v.no_mask(vd)
            v.aligned(vd, v.lmul)
            a, b = v.source(vs2), one.lanes(v, given)
            v.checked()
            parts = list(zip(a, b, strict=True))
            if raises:
                write(v, vd, parts, operation)
            else:
                v.write(vd, [operation(v.m, *each) for each in parts])


def signs(choose: Callable[[Lanes, Lanes], Lanes]) -> Operation:
    """A sign injection: the magnitude of the first, and a sign."""

    def operation(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        sign = 1 << a.bits - 1
        return (a & sign - 1) | (choose(a, b) & sign)

    return operation


on_sew("vfadd", "000000", "Add.", lambda m, a, b: m.fadd(a, b))
on_sew("vfsub", "000010", "Subtract.", lambda m, a, b: m.fsub(a, b))
on_sew("vfrsub", "100111", "Subtract vs2 from the scalar.", lambda m, a, b: m.fsub(b, a), (VF,))
on_sew("vfmul", "100100", "Multiply.", lambda m, a, b: m.fmul(a, b))
on_sew("vfdiv", "100000", "Divide.", lambda m, a, b: m.fdiv(a, b))
on_sew("vfrdiv", "100001", "Divide the scalar by vs2.", lambda m, a, b: m.fdiv(b, a), (VF,))
on_sew("vfmin", "000100", "The smaller; a number wins over a NaN.", lambda m, a, b: m.fmin(a, b))
on_sew("vfmax", "000110", "The larger; a number wins over a NaN.", lambda m, a, b: m.fmax(a, b))
on_sew("vfsgnj", "001000", "vs2 with the operand's sign.", signs(lambda a, b: b), raises=False)
on_sew(
    "vfsgnjn", "001001", "vs2 with the opposite of the operand's sign.", signs(lambda a, b: ~b), raises=False
)
on_sew(
    "vfsgnjx", "001010", "vs2 with the exclusive or of both signs.", signs(lambda a, b: a ^ b), raises=False
)


# -- Fused (13.6)
def negated(lanes: Lanes) -> Lanes:
    """With the other sign."""
    return lanes ^ (1 << lanes.bits - 1)


def fused(name: str, code: str, doc: str, operation: Operation) -> None:
    """Declare vd[i] = operation(operand, vs2[i], vd[i])."""
    for one in BOTH:

        @insn(*one.masked(name, code, operand_first=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            supported(v, v.sew)
            v.no_mask(vd)
            a, b, d = one.lanes(v, given), v.source(vs2), v.source(vd)
            v.checked()
            write(v, vd, list(zip(a, b, d, strict=True)), operation)


fused("vfmacc", "101100", "operand * vs2 + vd.", lambda m, a, b, d: m.fma(a, b, d))
fused("vfnmacc", "101101", "-(operand * vs2) - vd.", lambda m, a, b, d: m.fma(negated(a), b, negated(d)))
fused("vfmsac", "101110", "operand * vs2 - vd.", lambda m, a, b, d: m.fma(a, b, negated(d)))
fused("vfnmsac", "101111", "-(operand * vs2) + vd.", lambda m, a, b, d: m.fma(negated(a), b, d))
fused("vfmadd", "101000", "operand * vd + vs2.", lambda m, a, b, d: m.fma(a, d, b))
fused("vfnmadd", "101001", "-(operand * vd) - vs2.", lambda m, a, b, d: m.fma(negated(a), d, negated(b)))
fused("vfmsub", "101010", "operand * vd - vs2.", lambda m, a, b, d: m.fma(a, d, negated(b)))
fused("vfnmsub", "101011", "-(operand * vd) + vs2.", lambda m, a, b, d: m.fma(negated(a), d, b))


# -- Widening (13.3, 13.5, 13.7): operands are widened, which is exact, and then it is the same
def _half(source: Sequence[Lanes], chunk: int) -> Lanes:
    lanes = source[chunk // 2]
    return lanes.high() if chunk % 2 else lanes.low()


def wide(name: str, code: str, doc: str, operation: Operation, *, fused: bool = False) -> None:
    """Declare vd[i] = operation(vs2[i], operand), or with vd[i], of operands that are widened first."""
    for one in BOTH:
        operands = f"{one.operand}, vs2" if fused else f"vs2, {one.operand}"

        @insn(f"{name}.v{one.suffix} vd, {operands}, vm", f"{code} vm vs2 {one.encoding} vd 1010111", doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            supported(v, v.sew, 2 * v.sew)
            widening(v, vd, [vs2, *([given["vs1"]] if "vs1" in given else [])])
            a, b, mul, bits = v.source(vs2), one.lanes(v, given), 2 * v.lmul, 2 * v.sew
            d = v.group(vd, bits, mul)
            v.checked()

            def widened(m: Tracer, x: Lanes, y: Lanes, *more: Lanes) -> Lanes:
                return operation(m, m.fcvt(x, bits), m.fcvt(y, bits), *more)

            v.write(vd, [
                careful(v, n, (_half(a, n), _half(b, n), *([d[n]] if fused else ())), widened, bits)
                for n in range(v.chunks(mul))
            ])  # fmt: skip


def half_wide(name: str, code: str, doc: str, operation: Operation) -> None:
    """Declare vd[i] = operation(vs2[i], operand), where only the operand is widened first."""
    for one in BOTH:

        @insn(*one.masked(name, code, wide=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            supported(v, v.sew, 2 * v.sew)
            widening(v, vd, [given["vs1"]] if "vs1" in given else [])
            v.aligned(vs2, 2 * v.lmul)
            mul, bits = 2 * v.lmul, 2 * v.sew
            a, b = v.group(vs2, bits, mul), one.lanes(v, given)
            v.checked()

            def widened(m: Tracer, x: Lanes, y: Lanes) -> Lanes:
                return operation(m, x, m.fcvt(y, bits))

            v.write(vd, [careful(v, n, (x, _half(b, n)), widened, bits) for n, x in enumerate(a)])


wide("vfwadd", "110000", "Add, the sum twice as wide.", lambda m, a, b: m.fadd(a, b))
wide("vfwsub", "110010", "Subtract, the difference twice as wide.", lambda m, a, b: m.fsub(a, b))
wide("vfwmul", "111000", "Multiply, the product twice as wide.", lambda m, a, b: m.fmul(a, b))
half_wide("vfwadd", "110100", "Add to what is twice as wide.", lambda m, a, b: m.fadd(a, b))
half_wide("vfwsub", "110110", "Subtract from what is twice as wide.", lambda m, a, b: m.fsub(a, b))
wide(
    "vfwmacc",
    "111100",
    "operand * vs2 + vd, vd twice as wide.",
    lambda m, a, b, d: m.fma(b, a, d),
    fused=True,
)
wide("vfwnmacc", "111101", "-(operand * vs2) - vd, vd twice as wide.",
     lambda m, a, b, d: m.fma(negated(b), a, negated(d)), fused=True)  # fmt: skip
wide("vfwmsac", "111110", "operand * vs2 - vd, vd twice as wide.",
     lambda m, a, b, d: m.fma(b, a, negated(d)), fused=True)  # fmt: skip
wide("vfwnmsac", "111111", "-(operand * vs2) + vd, vd twice as wide.",
     lambda m, a, b, d: m.fma(negated(b), a, d), fused=True)  # fmt: skip


# -- Of one operand (13.8 to 13.10, 13.14)
@insn("vfsqrt.v vd, vs2, vm", f"010011 vm vs2 00000 {FVV} vd 1010111")
def vfsqrt(v: Machine, vd: Val, vs2: Val) -> None:
    """Square root."""
    supported(v, v.sew)
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    a = v.source(vs2)
    v.checked()
    v.write(vd, [careful(v, n, (x,), lambda m, x: m.fsqrt(x)) for n, x in enumerate(a)])


@insn("vfclass.v vd, vs2, vm", f"010011 vm vs2 10000 {FVV} vd 1010111")
def vfclass(v: Machine, vd: Val, vs2: Val) -> None:
    """Which of ten classes each element is of, one bit each."""
    supported(v, v.sew)
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    found = []
    for lanes in v.source(vs2):
        classes = [fp.classify(v.m, lanes[i], FORMATS[v.sew]) for i in range(lanes.count)]
        found.append(Lanes.of([each if v.sew == 64 else each.trunc(v.sew) for each in classes]))
    v.write(vd, found)


# -- Comparisons (13.13)
def comparing(name: str, code: str, doc: str, operation: Operation, kinds: Sequence[Form] = BOTH) -> None:
    """Declare a comparison, whose results are bits of a mask."""
    for one in kinds:

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            supported(v, v.sew)
            for source in (vs2, *([given["vs1"]] if "vs1" in given else [])):
                v.compatible(vd, 1, 8, source, v.sew, v.lmul)
            a, b = v.source(vs2), one.lanes(v, given)
            v.checked()
            v.write_mask(
                vd, [careful(v, n, each, operation) for n, each in enumerate(zip(a, b, strict=True))]
            )


comparing("vmfeq", "011000", "Whether equal.", lambda m, a, b: m.feq(a, b))
comparing("vmfle", "011001", "Whether less or equal.", lambda m, a, b: m.fle(a, b))
comparing("vmflt", "011011", "Whether less.", lambda m, a, b: m.flt(a, b))
comparing("vmfne", "011100", "Whether not equal.", lambda m, a, b: ~m.feq(a, b))
comparing("vmfgt", "011101", "Whether greater.", lambda m, a, b: m.flt(b, a), (VF,))
comparing("vmfge", "011111", "Whether greater or equal.", lambda m, a, b: m.fle(b, a), (VF,))


# -- Moves (13.15, 13.16, 16.2, 16.3)
@insn("vfmerge.vfm vd, vs2, fs1, v0", f"010111 0 vs2 fs1 {FVF} vd 1010111")
def vfmerge(v: Machine, vd: Val, vs2: Val, fs1: Val) -> None:
    """The scalar where v0 has a bit, else vs2; of all body elements."""
    supported(v, v.sew)
    v.reserve(vd == 0)
    v.aligned(vd, v.lmul)
    a, b = v.source(vs2), VF.lanes(v, {"fs1": fs1})
    v.write(vd, [v.mask(n, v.sew).select(y, x) for n, (x, y) in enumerate(zip(a, b, strict=True))])


@insn("vfmv.v.f vd, fs1", f"010111 1 00000 fs1 {FVF} vd 1010111")
def vfmv_v_f(v: Machine, vd: Val, fs1: Val) -> None:
    """Copy the scalar to every element."""
    supported(v, v.sew)
    v.aligned(vd, v.lmul)
    v.write(vd, VF.lanes(v, {"fs1": fs1}))


@insn("vfmv.f.s fd, vs2", f"010000 1 vs2 00000 {FVV} fd 1010111")
def vfmv_f_s(v: Machine, fd: Val, vs2: Val) -> None:
    """Element 0 to a floating-point register; whatever vl and vstart are."""
    supported(v, v.sew)
    v.checked()
    fp.write(v.m, fd, first(v, vs2, v.sew))


@insn("vfmv.s.f vd, fs1", f"010000 1 00000 fs1 {FVF} vd 1010111")
def vfmv_s_f(v: Machine, vd: Val, fs1: Val) -> None:
    """A floating-point register to element 0."""
    supported(v, v.sew)
    v.checked()
    move_first(v, vd, fp.read(v.m, fs1, FORMATS[v.sew]))


@insn("vfslide1up.vf vd, vs2, fs1, vm", f"001110 vm vs2 fs1 {FVF} vd 1010111")
def vfslide1up(v: Machine, vd: Val, vs2: Val, fs1: Val) -> None:
    """Elements move up by one; the scalar comes to element 0."""
    supported(v, v.sew)
    slide_one_up(v, vd, vs2, fp.read(v.m, fs1, FORMATS[v.sew]))


@insn("vfslide1down.vf vd, vs2, fs1, vm", f"001111 vm vs2 fs1 {FVF} vd 1010111")
def vfslide1down(v: Machine, vd: Val, vs2: Val, fs1: Val) -> None:
    """Elements move down by one; the scalar comes to the last."""
    supported(v, v.sew)
    slide_one_down(v, vd, vs2, fp.read(v.m, fs1, FORMATS[v.sew]))


# -- Conversions (13.17 to 13.19)
def converting(
    name: str, code: str, doc: str, operation: Callable[[Tracer, Lanes, int], Lanes], *, integer: bool
) -> None:
    """Declare a conversion on SEW; operation is given the width of the results."""

    @insn(f"{name}.v vd, vs2, vm", f"010010 vm vs2 {code} {FVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        supported(v, v.sew)
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        a = v.source(vs2)
        v.checked()
        v.write(
            vd,
            [
                careful(v, n, (x,), lambda m, x: operation(m, x, v.sew), integers=integer)
                for n, x in enumerate(a)
            ],
        )


def wide_converting(
    name: str, code: str, doc: str, operation: Callable[[Tracer, Lanes, int], Lanes], *, integer: bool
) -> None:
    """Declare a conversion to twice the width. integer: it is from integers, which are as narrow as 8 bits."""

    @insn(f"{name}.v vd, vs2, vm", f"010010 vm vs2 {code} {FVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        bits, mul = 2 * v.sew, 2 * v.lmul
        supported(v, bits, *(() if integer else (v.sew,)))
        widening(v, vd, [vs2])
        a = v.source(vs2)
        v.checked()

        def one(chunk: int) -> Lanes:
            lanes = _half(a, chunk)
            return careful(v, chunk, (lanes,), lambda m, x: operation(m, x, bits), bits, integers=integer)

        v.write(vd, [one(chunk) for chunk in range(v.chunks(mul))])


def narrow_converting(name: str, code: str, doc: str, operation: Callable[[Tracer, Lanes, int], Lanes],
                      *, source_integer: bool = False, integer: bool = False) -> None:  # fmt: skip
    """Declare a conversion to half the width, SEW. integer: to integers, which are as narrow as 8 bits."""

    @insn(f"{name}.w vd, vs2, vm", f"010010 vm vs2 {code} {FVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        bits, mul = 2 * v.sew, 2 * v.lmul
        supported(v, *(() if integer else (v.sew,)), *(() if source_integer else (bits,)))
        v.reserve(v.sew > 32 or v.lmul > 32)
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        v.aligned(vs2, mul)
        v.compatible(vd, v.sew, v.lmul, vs2, bits, mul)
        a = v.group(vs2, bits, mul)
        v.checked()

        def part(chunk: int) -> Lanes:
            return careful(
                v, chunk, (a[chunk],), lambda m, x: operation(m, x, v.sew), integers=source_integer
            )

        v.write(vd, [v.narrowed(a, chunk, part) for chunk in range(v.chunks(v.lmul))])


def to_integer(signed: bool, rounding: int = ROUND_DYNAMIC) -> Callable[[Tracer, Lanes, int], Lanes]:
    """To integers of so many bits."""

    def convert(m: Tracer, lanes: Lanes, bits: int) -> Lanes:
        return m.ftoi(lanes, bits, signed=signed, rounding=rounding)

    return convert


def from_integer(signed: bool) -> Callable[[Tracer, Lanes, int], Lanes]:
    """From integers."""

    def convert(m: Tracer, lanes: Lanes, bits: int) -> Lanes:
        return m.itof(lanes, bits, signed=signed)

    return convert


def to_odd(m: Tracer, lanes: Lanes, bits: int) -> Lanes:
    """To the narrower format, towards zero, with the last bit set where that is not exact (13.19)."""
    cut = m.fcvt(lanes, bits, TOWARDS_ZERO)
    back = m.fcvt(cut, lanes.bits)
    fmt = FORMATS[lanes.bits]
    number = (lanes & fmt.sign - 1).ule(fmt.infinity)
    odd = (back != lanes) & number
    return cut | odd.zext(bits)


_CONVERSIONS: Final = (
    ("xu.f", "000", "To unsigned integers", to_integer(False)),
    ("x.f", "001", "To integers", to_integer(True)),
    ("f.xu", "010", "From unsigned integers", from_integer(False)),
    ("f.x", "011", "From integers", from_integer(True)),
    ("rtz.xu.f", "110", "To unsigned integers, towards zero", to_integer(False, TOWARDS_ZERO)),
    ("rtz.x.f", "111", "To integers, towards zero", to_integer(True, TOWARDS_ZERO)),
)
for _name, _code, _doc, _operation in _CONVERSIONS:
    _of_integers = _name.startswith("f.x")
    converting(f"vfcvt.{_name}", f"00{_code}", f"{_doc}.", _operation, integer=_of_integers)
    wide_converting(
        f"vfwcvt.{_name}", f"01{_code}", f"{_doc}, twice as wide.", _operation, integer=_of_integers
    )
    narrow_converting(f"vfncvt.{_name}", f"10{_code}", f"{_doc}, half as wide.", _operation,
                      source_integer=_of_integers, integer=not _of_integers)  # fmt: skip
wide_converting(
    "vfwcvt.f.f", "01100", "To the format twice as wide.", lambda m, x, bits: m.fcvt(x, bits), integer=False
)
narrow_converting("vfncvt.f.f", "10100", "To the format half as wide.", lambda m, x, bits: m.fcvt(x, bits))
narrow_converting("vfncvt.rod.f.f", "10101", "To the format half as wide, rounded to odd.", to_odd)


# -- Reductions (14.3, 14.4), all of them in order, which the unordered ones allow
def reducing(
    name: str, code: str, doc: str, operation: Callable[[Tracer, Val, Val], Val], *, widens: bool = False
) -> None:
    """Declare vd[0] = vs1[0] and the active elements of vs2, one after the other."""

    @insn(f"{name}.vs vd, vs2, vs1, vm", f"{code} vm vs2 vs1 {FVV} vd 1010111", doc)
    def body(v: Machine, vd: Val, vs2: Val, vs1: Val) -> None:
        bits = 2 * v.sew if widens else v.sew
        supported(v, v.sew, bits)
        source, per = v.source(vs2), v.vlen // v.sew
        v.checked()
        v.from_zero()
        v.spend(v.vlmax)
        total = first(v, vs1, bits)
        inside = [v.active(n, v.sew) for n in range(len(source))]
        for i in range(v.vlmax):
            here = inside[i // per][i % per]
            element = v.m.select(here, source[i // per][i % per], ONE[v.sew])
            if widens:
                element = v.m.fcvt(element, bits)
            new = operation(v.m, v.m.select(here, total, ONE[bits]), element)
            total = v.m.select(here, new, total)
        set_first(v, vd, total)


reducing("vfredosum", "000011", "Sum, in order.", lambda m, a, b: m.fadd(a, b))
reducing("vfredusum", "000001", "Sum.", lambda m, a, b: m.fadd(a, b))
reducing("vfredmin", "000101", "The smallest.", lambda m, a, b: m.fmin(a, b))
reducing("vfredmax", "000111", "The largest.", lambda m, a, b: m.fmax(a, b))
reducing("vfwredosum", "110011", "Sum twice as wide, in order.", lambda m, a, b: m.fadd(a, b), widens=True)
reducing("vfwredusum", "110001", "Sum twice as wide.", lambda m, a, b: m.fadd(a, b), widens=True)
