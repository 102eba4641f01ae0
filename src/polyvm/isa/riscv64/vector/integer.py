"""V: integer arithmetic (11): on SEW, widening, narrowing, with carries; comparisons, merges and moves among it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.riscv64.vector.spec import Family

if TYPE_CHECKING:
    from polyvm.ir.values import Val
    from polyvm.isa.riscv64.vector.machine import Machine

insn = Family("V", "1.0", "Vector operations")

Operation = Callable[[Lanes, Lanes], Lanes]
IVV, FVV, MVV, IVI, IVX, FVF, MVX = "000", "001", "010", "011", "100", "101", "110"
"""funct3 (10.1)."""


# -- Operands: a second one is a group vs1, a scalar rs1, or an immediate
class Form:
    """A form of an operation: the end of its mnemonic, its operand's text, and the encoding behind vs2."""

    def __init__(self, suffix: str, operand: str, field: str, funct3: str) -> None:
        self.suffix = suffix
        self.operand = operand
        self.encoding = f"{field} {funct3}"

    def masked(
        self, name: str, code: str, *, wide: bool = False, operand_first: bool = False
    ) -> tuple[str, str]:
        """Text and encoding of an operation on vs2 and the operand, under a mask.

        wide: vs2 has elements of twice SEW. operand_first: the text names the operand before vs2.
        """
        sources = ("vs2", self.operand)[:: -1 if operand_first else 1]
        return (
            f"{name}.{'w' if wide else 'v'}{self.suffix} vd, {', '.join(sources)}, vm",
            f"{code} vm vs2 {self.encoding} vd 1010111",
        )

    def lanes(self, v: Machine, given: dict[str, Val], bits: int = 0, mul: int = 0) -> list[Lanes]:
        """The operand for each chunk, of SEW and LMUL unless it is said otherwise."""
        bits, mul = bits or v.sew, mul or v.lmul
        if "vs1" in given:
            v.aligned(given["vs1"], mul)
            return v.group(given["vs1"], bits, mul)
        if "rs1" in given:
            one = v.scalar(given["rs1"], bits)
        else:
            one = given["imm"].sext(bits) if "imm" in given else given["uimm"].zext(bits)
        return [v.splat(one)] * v.chunks(mul)


def form(kind: str, *, m: bool = False) -> Form:
    """The form "v", "x", "i" or "u", an immediate without a sign; m: of the instructions whose encodings are OPM."""
    return {
        "v": Form("v", "vs1", "vs1", MVV if m else IVV),
        "x": Form("x", "rs1", "rs1", MVX if m else IVX),
        "i": Form("i", "imm", "imm[4:0]", IVI),
        "u": Form("i", "uimm", "uimm[4:0]", IVI),
    }[kind]


def on_sew(name: str, code: str, kinds: str, doc: str, operation: Operation, *, m: bool = False) -> None:
    """Declare vd[i] = operation(vs2[i], operand) in some forms."""
    for one in (form(kind, m=m) for kind in kinds):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.no_mask(vd)
            v.aligned(vd, v.lmul)
            b = one.lanes(v, given)
            v.write(vd, [operation(x, y) for x, y in zip(v.source(vs2), b, strict=True)])


def high(a: Lanes, b: Lanes, *, signed: tuple[bool, bool]) -> Lanes:
    """The upper halves of products."""
    bits = a.bits
    if bits == 64:
        halves = []
        for i in range(a.count):
            wide = [
                part[i].sext(128) if s else part[i].zext(128) for part, s in zip((a, b), signed, strict=True)
            ]
            halves.append((wide[0] * wide[1])[127:64])
        return Lanes.of(halves)
    found = []
    for half in (Lanes.low, Lanes.high):
        x, y = (
            half(part).sext(2 * bits) if s else half(part).zext(2 * bits)
            for part, s in zip((a, b), signed, strict=True)
        )
        found.append(((x * y) >> bits).trunc(bits))
    return found[0].join(found[1])


def shift(amount: Lanes) -> Lanes:
    """The bits of a shift amount that count (11.6)."""
    return amount & amount.bits - 1


def divided(name: str) -> Operation:
    """A division with the corners of 11.11, which are those of the op."""
    return lambda a, b: a.op(name, a.bits, (b,))


on_sew("vadd", "000000", "vxi", "Add.", lambda a, b: a + b)
on_sew("vsub", "000010", "vx", "Subtract.", lambda a, b: a - b)
on_sew("vrsub", "000011", "xi", "Subtract vs2 from the operand.", lambda a, b: b - a)
on_sew("vminu", "000100", "vx", "The less, unsigned.", Lanes.umin)
on_sew("vmin", "000101", "vx", "The less, signed.", Lanes.smin)
on_sew("vmaxu", "000110", "vx", "The greater, unsigned.", Lanes.umax)
on_sew("vmax", "000111", "vx", "The greater, signed.", Lanes.smax)
on_sew("vand", "001001", "vxi", "Bitwise and.", lambda a, b: a & b)
on_sew("vor", "001010", "vxi", "Bitwise or.", lambda a, b: a | b)
on_sew("vxor", "001011", "vxi", "Bitwise exclusive or.", lambda a, b: a ^ b)
on_sew("vsll", "100101", "vxu", "Shift left.", lambda a, b: a << shift(b))
on_sew("vsrl", "101000", "vxu", "Shift right, zeros in.", lambda a, b: a >> shift(b))
on_sew("vsra", "101001", "vxu", "Shift right, sign in.", lambda a, b: a.asr(shift(b)))
on_sew("vdivu", "100000", "vx", "Unsigned quotient.", divided("udiv"), m=True)
on_sew("vdiv", "100001", "vx", "Signed quotient.", divided("sdiv"), m=True)
on_sew("vremu", "100010", "vx", "Unsigned remainder.", divided("urem"), m=True)
on_sew("vrem", "100011", "vx", "Signed remainder.", divided("srem"), m=True)
on_sew("vmul", "100101", "vx", "The low half of the product.", lambda a, b: a * b, m=True)
on_sew("vmulh", "100111", "vx", "The high half of the product of signed numbers.",
       lambda a, b: high(a, b, signed=(True, True)), m=True)  # fmt: skip
on_sew("vmulhu", "100100", "vx", "The high half of the product of unsigned numbers.",
       lambda a, b: high(a, b, signed=(False, False)), m=True)  # fmt: skip
on_sew("vmulhsu", "100110", "vx", "The high half of the product of signed vs2 and an unsigned number.",
       lambda a, b: high(a, b, signed=(True, False)), m=True)  # fmt: skip


# -- Multiply and add (11.13)
def accumulating(name: str, code: str, doc: str, operation: Callable[[Lanes, Lanes, Lanes], Lanes]) -> None:
    """Declare vd[i] = operation(vs1[i] or the scalar, vs2[i], vd[i])."""
    for one in (form("v", m=True), form("x", m=True)):

        @insn(*one.masked(name, code, operand_first=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.no_mask(vd)
            a, b, c = one.lanes(v, given), v.source(vs2), v.source(vd)
            v.write(vd, [operation(*each) for each in zip(a, b, c, strict=True)])


accumulating("vmacc", "101101", "Multiply the operands and add to vd.", lambda a, b, d: a * b + d)
accumulating("vnmsac", "101111", "Multiply the operands and subtract from vd.", lambda a, b, d: d - a * b)
accumulating("vmadd", "101001", "Multiply by vd and add vs2.", lambda a, b, d: a * d + b)
accumulating("vnmsub", "101011", "Multiply by vd and subtract from vs2.", lambda a, b, d: b - a * d)


# -- Widening (5.2, 11.2, 11.12, 11.14)
def widening(v: Machine, vd: Val, sources: list[Val]) -> None:
    """What is reserved of an instruction whose results are twice as wide as its sources."""
    v.reserve(v.sew > 32 or v.lmul > 32)
    v.no_mask(vd)
    v.aligned(vd, 2 * v.lmul)
    for source in sources:
        v.compatible(vd, 2 * v.sew, 2 * v.lmul, source, v.sew, v.lmul)


def wide(
    name: str, code: str, doc: str, operation: Operation, signed: tuple[bool, bool], kinds: str = "vx"
) -> None:
    """Declare vd[i] = operation(vs2[i], operand) of operands that are widened first."""
    for one in (form(kind, m=True) for kind in kinds):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            widening(v, vd, [vs2, *([given["vs1"]] if "vs1" in given else [])])
            a, b = v.source(vs2), one.lanes(v, given)
            v.write(vd, [
                operation(v.widened(a, chunk, 2, signed=signed[0]), v.widened(b, chunk, 2, signed=signed[1]))
                for chunk in range(v.chunks(2 * v.lmul))
            ])  # fmt: skip


def half_wide(name: str, code: str, doc: str, operation: Operation, *, signed: bool) -> None:
    """Declare vd[i] = operation(vs2[i], operand), where only the operand is widened first."""
    for one in (form("v", m=True), form("x", m=True)):

        @insn(*one.masked(name, code, wide=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            widening(v, vd, [given["vs1"]] if "vs1" in given else [])
            v.aligned(vs2, 2 * v.lmul)
            a, b = v.group(vs2, 2 * v.sew, 2 * v.lmul), one.lanes(v, given)
            v.write(vd, [operation(x, v.widened(b, n, 2, signed=signed)) for n, x in enumerate(a)])


def wide_accumulating(name: str, code: str, doc: str, signed: tuple[bool, bool], kinds: str = "vx") -> None:
    """Declare vd[i] += operand * vs2[i] of operands that are widened first, with or without their signs."""
    for one in (form(kind, m=True) for kind in kinds):

        @insn(*one.masked(name, code, operand_first=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            widening(v, vd, [vs2, *([given["vs1"]] if "vs1" in given else [])])
            a, b, d = one.lanes(v, given), v.source(vs2), v.group(vd, 2 * v.sew, 2 * v.lmul)
            v.write(vd, [
                v.widened(a, chunk, 2, signed=signed[0]) * v.widened(b, chunk, 2, signed=signed[1]) + d[chunk]
                for chunk in range(v.chunks(2 * v.lmul))
            ])  # fmt: skip


wide("vwaddu", "110000", "Add, the sum twice as wide, unsigned.", lambda a, b: a + b, (False, False))
wide("vwadd", "110001", "Add, the sum twice as wide.", lambda a, b: a + b, (True, True))
wide(
    "vwsubu",
    "110010",
    "Subtract, the difference twice as wide, unsigned.",
    lambda a, b: a - b,
    (False, False),
)
wide("vwsub", "110011", "Subtract, the difference twice as wide.", lambda a, b: a - b, (True, True))
half_wide("vwaddu", "110100", "Add to what is twice as wide, unsigned.", lambda a, b: a + b, signed=False)
half_wide("vwadd", "110101", "Add to what is twice as wide.", lambda a, b: a + b, signed=True)
half_wide(
    "vwsubu", "110110", "Subtract from what is twice as wide, unsigned.", lambda a, b: a - b, signed=False
)
half_wide("vwsub", "110111", "Subtract from what is twice as wide.", lambda a, b: a - b, signed=True)
wide("vwmulu", "111000", "The whole product, unsigned.", lambda a, b: a * b, (False, False))
wide(
    "vwmulsu",
    "111010",
    "The whole product of signed vs2 and an unsigned number.",
    lambda a, b: a * b,
    (True, False),
)
wide("vwmul", "111011", "The whole product.", lambda a, b: a * b, (True, True))
wide_accumulating("vwmaccu", "111100", "Add the whole product, unsigned.", (False, False))
wide_accumulating("vwmacc", "111101", "Add the whole product.", (True, True))
wide_accumulating(
    "vwmaccsu", "111111", "Add the whole product of a signed operand and unsigned vs2.", (True, False)
)
wide_accumulating(
    "vwmaccus", "111110", "Add the whole product of an unsigned operand and signed vs2.", (False, True), "x"
)


# -- Narrowing shifts (11.7) and extensions (11.3)
def narrow(v: Machine, vd: Val, vs2: Val, operation: Operation, one: Form, given: dict[str, Val],
           before: Callable[[], None] = lambda: None) -> None:  # fmt: skip
    """vd[i] = operation(vs2[i], operand) of vs2 twice as wide; the operand is widened for it, the result is narrow.

    before: done when all results are there, before they are written.
    """
    v.reserve(v.sew > 32 or v.lmul > 32)
    v.no_mask(vd)
    v.aligned(vd, v.lmul)
    v.aligned(vs2, 2 * v.lmul)
    v.compatible(vd, v.sew, v.lmul, vs2, 2 * v.sew, 2 * v.lmul)
    a, b = v.group(vs2, 2 * v.sew, 2 * v.lmul), one.lanes(v, given)
    v.checked()

    def part(chunk: int) -> Lanes:
        return operation(a[chunk], v.widened(b, chunk, 2, signed=False))

    results = [v.narrowed(a, chunk, part) for chunk in range(v.chunks(v.lmul))]
    before()
    v.write(vd, results)


def narrowing(name: str, code: str, doc: str, operation: Operation) -> None:
    """Declare a narrowing shift."""
    for one in (form("v"), form("x"), form("u")):

        @insn(*one.masked(name, code, wide=True), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            narrow(v, vd, vs2, operation, one, given)


narrowing(
    "vnsrl",
    "101100",
    "Shift right, zeros in, to half the width.",
    lambda a, b: (a >> shift(b)).trunc(a.bits // 2),
)
narrowing(
    "vnsra",
    "101101",
    "Shift right, sign in, to half the width.",
    lambda a, b: a.asr(shift(b)).trunc(a.bits // 2),
)


def extending(times: int, *, signed: bool, code: str) -> None:
    """Declare an extension from a fraction of SEW."""
    kind = "s" if signed else "z"

    @insn(f"v{kind}ext.vf{times} vd, vs2, vm", f"010010 vm vs2 {code} {MVV} vd 1010111",
          f"Widen from SEW/{times}, {'with the sign' if signed else 'with zeros'}.")  # fmt: skip
    def body(v: Machine, vd: Val, vs2: Val) -> None:
        bits, mul = v.sew // times, v.lmul // times
        v.reserve(bits < 8 or mul < 1)
        v.no_mask(vd)
        v.aligned(vd, v.lmul)
        v.aligned(vs2, mul)
        v.compatible(vd, v.sew, v.lmul, vs2, bits, mul)
        source = v.group(vs2, bits, mul)
        v.write(vd, [v.widened(source, chunk, times, signed=signed) for chunk in range(v.chunks(v.lmul))])


for _times, _codes in ((8, ("00010", "00011")), (4, ("00100", "00101")), (2, ("00110", "00111"))):
    for _signed, _code in zip((False, True), _codes, strict=True):
        extending(_times, signed=_signed, code=_code)


# -- Comparisons (11.8), and carries out of sums (11.4)
def comparing(name: str, code: str, kinds: str, doc: str, operation: Operation) -> None:
    """Declare a comparison, whose results are bits of a mask."""
    for one in (form(kind) for kind in kinds):

        @insn(*one.masked(name, code), doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            for source in (vs2, *([given["vs1"]] if "vs1" in given else [])):
                v.compatible(vd, 1, 8, source, v.sew, v.lmul)
            a, b = v.source(vs2), one.lanes(v, given)
            v.write_mask(vd, [operation(x, y) for x, y in zip(a, b, strict=True)])


comparing("vmseq", "011000", "vxi", "Whether equal.", lambda a, b: a == b)
comparing("vmsne", "011001", "vxi", "Whether not equal.", lambda a, b: a != b)
comparing("vmsltu", "011010", "vx", "Whether less, unsigned.", Lanes.ult)
comparing("vmslt", "011011", "vx", "Whether less.", Lanes.slt)
comparing("vmsleu", "011100", "vxi", "Whether less or equal, unsigned.", Lanes.ule)
comparing("vmsle", "011101", "vxi", "Whether less or equal.", Lanes.sle)
comparing("vmsgtu", "011110", "xi", "Whether greater, unsigned.", lambda a, b: b.ult(a))
comparing("vmsgt", "011111", "xi", "Whether greater.", lambda a, b: b.slt(a))

_MASKED: Final = {"v": "vvm", "x": "vxm", "i": "vim"}


def carrying(
    name: str, code: str, kinds: str, doc: str, operation: Callable[[Lanes, Lanes, Lanes], Lanes]
) -> None:
    """Declare a sum with v0's bits as carries: of all body elements, not masked."""
    for one in (form(kind) for kind in kinds):
        suffix = _MASKED[one.suffix]

        @insn(f"{name}.{suffix} vd, vs2, {one.operand}, v0", f"{code} 0 vs2 {one.encoding} vd 1010111", doc)
        def body(v: Machine, vd: Val, vs2: Val, one: Form = one, **given: Val) -> None:
            v.reserve(vd == 0)
            v.aligned(vd, v.lmul)
            a, b = v.source(vs2), one.lanes(v, given)
            carry = [v.mask(chunk, v.sew).zext(v.sew) for chunk in range(len(a))]
            v.write(vd, [operation(*each) for each in zip(a, b, carry, strict=True)])


def carries(
    name: str, code: str, kinds: str, doc: str, operation: Callable[[Lanes, Lanes, Lanes], Lanes]
) -> None:
    """Declare the carries out of sums, with carries into them or without."""
    for one in (form(kind) for kind in kinds):
        for with_mask in (True, False):
            suffix = _MASKED[one.suffix] if with_mask else "v" + one.suffix

            @insn(f"{name}.{suffix} vd, vs2, {one.operand}{', v0' if with_mask else ''}",
                  f"{code} {0 if with_mask else 1} vs2 {one.encoding} vd 1010111", doc)  # fmt: skip
            def body(
                v: Machine, vd: Val, vs2: Val, one: Form = one, with_mask: bool = with_mask, **given: Val
            ) -> None:
                for source in (vs2, *([given["vs1"]] if "vs1" in given else [])):
                    v.compatible(vd, 1, 8, source, v.sew, v.lmul)
                a, b = v.source(vs2), one.lanes(v, given)
                none = Lanes(v.m.const(0, v.vlen), v.sew)
                carry = [v.mask(chunk, v.sew).zext(v.sew) if with_mask else none for chunk in range(len(a))]
                v.write_mask(vd, [operation(*each) for each in zip(a, b, carry, strict=True)])


def _carry(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """Whether a sum has a carry."""
    total = a + b
    return total.ult(a) | (total + c).ult(total)


carrying("vadc", "010000", "vxi", "Add, and v0's bit.", lambda a, b, c: a + b + c)
carrying("vsbc", "010010", "vx", "Subtract, and v0's bit.", lambda a, b, c: a - b - c)
carries("vmadc", "010001", "vxi", "Whether the sum has a carry.", _carry)
carries("vmsbc", "010011", "vx", "Whether the difference borrows.", lambda a, b, c: a.ult(b) | (a - b).ult(c))


# -- Merges and moves (11.15, 11.16)
for _one in (form("v"), form("x"), form("i")):

    @insn(
        f"vmerge.{_MASKED[_one.suffix]} vd, vs2, {_one.operand}, v0",
        f"010111 0 vs2 {_one.encoding} vd 1010111",
    )
    def merge(v: Machine, vd: Val, vs2: Val, one: Form = _one, **given: Val) -> None:
        """The operand where v0 has a bit, else vs2; of all body elements."""
        v.reserve(vd == 0)
        v.aligned(vd, v.lmul)
        a, b = v.source(vs2), one.lanes(v, given)
        v.write(vd, [v.mask(n, v.sew).select(y, x) for n, (x, y) in enumerate(zip(a, b, strict=True))])

    @insn(f"vmv.v.{_one.suffix} vd, {_one.operand}", f"010111 1 00000 {_one.encoding} vd 1010111")
    def move(v: Machine, vd: Val, one: Form = _one, **given: Val) -> None:
        """Copy the operand to every element."""
        v.aligned(vd, v.lmul)
        v.write(vd, one.lanes(v, given))
