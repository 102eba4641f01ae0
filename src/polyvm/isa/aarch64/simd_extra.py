"""FEAT_RDM, FEAT_DotProd, FEAT_I8MM and FEAT_FCMA: the manual's tables "Advanced SIMD three same extra", and scalars'.

And those rows of the tables "x indexed element" that belong to them. C4.1 has matrices of bytes among the former. What
FEAT_FCMA has for halves is FEAT_FP16's, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import simd_element
from polyvm.isa.aarch64.fp_formats import fp16
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, Row, element, halves, narrowed, read, widened, write
from polyvm.isa.aarch64.simd_same import pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Declare

    Accumulating = Callable[[Tracer, Lanes, Lanes, Lanes], Lanes]

_ENCODING: Final = "0 $Q $U 01110 $size 0 Vm 1 $opcode 1 Vn Vd"

# -- FEAT_RDM
insn = aarch64.extension("FEAT_RDM", "8.1", TITLE)


def rounded_high(sign: int) -> Accumulating:
    """The destination and the high half of twice the product, or less it: rounded, then saturated (SQRDMLAH).

    All of it halved, which no bit is lost by, so that twice the width has room.
    """

    def operation(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
        def high(a: Lanes, b: Lanes, d: Lanes) -> Lanes:
            bits = a.bits
            product = widened(a, signed=True) * widened(b, signed=True)
            start = (widened(d, signed=True) << bits - 1) + (1 << bits - 2)
            total = start + product if sign > 0 else start - product
            return narrowed(m, total.asr(bits - 1), signed=True, to_signed=True)

        return halves(high, a, b, d)

    return operation


_DOC: Final = "the high halves of twice the products, rounded, saturating."
RDM: Final = (
    (Row("sqrdmlah", 1, "0000", "T_hs", rounded_high(1), f"Add {_DOC}", accumulates=True), "1101"),
    (Row("sqrdmlsh", 1, "0001", "T_hs", rounded_high(-1), f"Subtract {_DOC}", accumulates=True), "1111"),
)
"""And the opcode of the form with an element."""
for row, by_element in RDM:
    row.declare(insn, "Vd.$T, Vn.$T, Vm.$T", _ENCODING)
    row.on("size_hs").declare(insn, "Ed.$T, En.$T, Em.$T", "01 $U 11110 $size 0 Vm 1 $opcode 1 Vn Vd")
    for scalar in (False, True):
        simd_element.same(insn, row, 1, by_element, scalar=scalar)


# -- FEAT_DotProd and FEAT_I8MM: bytes, four to a word, of one sign or of two
def _byte(words: Lanes, place: int, *, signed: bool) -> Lanes:
    """A byte of each word."""
    return (words << 24 - 8 * place).asr(24) if signed else words >> 8 * place & 255


def dot(a: Lanes, b: Lanes, signs: str) -> Lanes:
    """For each word, the sum of the products of its bytes. signs: "s" or "u" for either."""
    first, second = (sign == "s" for sign in signs)
    total = _byte(a, 0, signed=first) * _byte(b, 0, signed=second)
    for place in range(1, 4):
        total = total + _byte(a, place, signed=first) * _byte(b, place, signed=second)
    return total


_SORTS: Final = {"ss": "signed", "uu": "unsigned", "us": "unsigned by signed", "su": "signed by unsigned"}


def _vectors(name: str, U: int, opcode: str, signs: str) -> None:
    def body(m: Tracer, Q: int, Vm: Val, Vn: Val, Vd: Val) -> None:
        d, a, b = (read(m, V, 32, 2 << Q) for V in (Vd, Vn, Vm))
        write(m, Vd, d + dot(a, b, signs))

    insn(f"{name} Vd.S, Vn.B, Vm.B", f"0 Q {U} 01110 10 0 Vm 1 {opcode} 1 Vn Vd")(
        described(body, f"Add the products of four bytes, {_SORTS[signs]}, to each word.")
    )


def _by_element(name: str, U: int, size: str, opcode: str, signs: str) -> None:
    def body(m: Tracer, Q: int, lane: Val, Vm: Val, Vn: Val, Vd: Val) -> None:
        d, a = (read(m, V, 32, 2 << Q) for V in (Vd, Vn))
        write(m, Vd, d + dot(a, Lanes.splat(element(m, Vm, 32, lane), a.count), signs))

    insn(f"{name} Vd.S, Vn.B, Vm.4b[lane]", f"0 Q {U} 01111 {size} lane[0] Vm {opcode} lane[1] 0 Vn Vd")(
        described(body, f"Add the products of four bytes, {_SORTS[signs]}, those of one word, to each word.")
    )


def _matrix(name: str, U: int, opcode: str, signs: str) -> None:
    def body(m: Tracer, Vm: Val, Vn: Val, Vd: Val) -> None:
        rows, columns = read(m, Vn, 64, 2), read(m, Vm, 32, 4)
        sums = [dot(rows.pick([row] * 2).lanes(32), columns, signs) for row in range(2)]
        even, odd = pairs(*sums)
        write(m, Vd, read(m, Vd, 32, 4) + even + odd)

    insn(f"{name} Vd.4s, Vn.16b, Vm.16b", f"0 1 {U} 01110 10 0 Vm 1 {opcode} 1 Vn Vd")(
        described(body, f"Multiply two by eight bytes by eight by two, {_SORTS[signs]}, and add to words.")
    )


insn = aarch64.extension("FEAT_DotProd", "8.2", TITLE)
_vectors("sdot", 0, "0010", "ss")
_vectors("udot", 1, "0010", "uu")
_by_element("sdot", 0, "10", "1110", "ss")
_by_element("udot", 1, "10", "1110", "uu")

insn = aarch64.extension("FEAT_I8MM", "8.6", TITLE)
_vectors("usdot", 0, "0011", "us")
_by_element("usdot", 0, "10", "1111", "us")
_by_element("sudot", 0, "00", "1111", "su")
_matrix("smmla", 0, "0100", "ss")
_matrix("ummla", 1, "0100", "uu")
_matrix("usmmla", 0, "0101", "us")

# -- FEAT_FCMA: numbers with a real and an imaginary part, lanes that are neighbours
insn = aarch64.extension("FEAT_FCMA", "8.3", TITLE)


def _turned(b: Lanes, quarters: int) -> Lanes:
    """Complex numbers, turned by so many quarters: what are parts of the product's real and imaginary part."""
    if quarters % 2:
        b = b.pick([place ^ 1 for place in range(b.count)])
    odd = sum(1 << b.bits - 1 + place * b.bits for place in range(1, b.count, 2))
    signs = (0, odd >> b.bits, odd | odd >> b.bits, odd)[quarters]
    return b if not signs else (b.lanes(b.whole.bits) ^ signs).lanes(b.bits)


def rotated_sum(quarters: int) -> Callable[[Tracer, Lanes, Lanes], Lanes]:
    """The sum with complex numbers that are turned (FCADD)."""
    return lambda m, a, b: m.fadd(a, _turned(b, quarters))


def rotated_product(quarters: int) -> Accumulating:
    """The destination and half of a complex product: with the real parts, or the imaginary ones (FCMLA)."""
    part = quarters % 2

    def operation(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
        parts = a.pick([place & ~1 | part for place in range(a.count)])
        return m.fma(parts, _turned(b, quarters), d)

    return operation


def _complex(row: Row, degrees: int) -> None:
    """A row of words and double words, and of halves."""
    for declare, T, field, size in ((insn, "F", "F", "1 $size"), (fp16, "H", "H", "01")):
        text = f"Vd.{T}, Vn.{T}, Vm.{T}, #{degrees}"
        row.on(field).declare(declare, text, _ENCODING.replace("$size", size))


for quarters, bit in ((1, 0), (3, 1)):
    degrees = 90 * quarters
    _complex(Row("fcadd", 1, f"11{bit}0", "F", rotated_sum(quarters),
                 f"Add complex numbers, the second ones turned by {degrees} degrees."), degrees)  # fmt: skip


def _complex_element(
    quarters: int, doc: str, insn: Declare, T: str, Q: int, where: tuple[str, str, str]
) -> None:
    """The form with one complex number. where: the size, L and H of the encoding."""
    letter, (size, low, high) = T[-1], where
    bits = {"h": 16, "s": 32}[letter]

    def body(m: Tracer, lane: Val, Vm: Val, Vn: Val, Vd: Val) -> None:
        a, d = (read(m, V, bits, int(T[:-1])) for V in (Vn, Vd))
        b = Lanes.splat(element(m, Vm, 2 * bits, lane), a.count // 2).lanes(bits)
        write(m, Vd, rotated_product(quarters)(m, a, b, d))

    insn(
        f"fcmla Vd.{T}, Vn.{T}, Vm.{letter}[lane], #{90 * quarters}",
        f"0 {Q} 1 01111 {size} {low} Vm 0 {quarters:02b} 1 {high} 0 Vn Vd",
    )(described(body, doc))


for quarters in range(4):
    part = "imaginary" if quarters % 2 else "real"
    doc = f"Add products of the {part} parts and complex numbers that are turned by {90 * quarters} degrees."
    _complex(
        Row("fcmla", 1, f"10{quarters:02b}", "F", rotated_product(quarters), doc, accumulates=True),
        90 * quarters,
    )
    doc = doc.replace(".", ", one of them by number.")
    _complex_element(quarters, doc, insn, "4s", 1, ("10", "0", "lane[0]"))
    # Of the two in a vector of four halves, the lower bit of the number is all there is.
    _complex_element(quarters, doc, fp16, "4h", 0, ("01", "lane[0]", "0"))
    _complex_element(quarters, doc, fp16, "8h", 1, ("01", "lane[0]", "lane[1]"))
