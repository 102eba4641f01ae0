"""Advanced SIMD, lanes of two widths: the manual's tables "Advanced SIMD three different", of vectors and scalars.

Instructions whose names end in 2 take the upper halves, or write one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, read, read_upper, saturated, widened, write, write_upper
from polyvm.isa.aarch64.simd_same import distance

if TYPE_CHECKING:
    from polyvm.ir.lanes import Lanes
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Binary


@dataclass(frozen=True, slots=True)
class Different:
    """A row. kind: "long", of two halves; "wide", of a vector and a half; "narrow", of two vectors to a half.

    operation: of (m, lanes, lanes), or of (m, lanes, lanes, destination) where it accumulates; it makes wide lanes of
    narrow ones, or the other way.
    """

    name: str
    U: int
    opcode: str
    kind: str
    sizes: str
    operation: Callable[..., Lanes]
    doc: str
    accumulates: bool = False

    def vectors(self) -> None:
        """Both instructions."""
        self._half(0)
        self._half(1)

    def _half(self, upper: int) -> None:
        half, wide, field = ("full" if upper else "low"), "wide", self.sizes
        d, n, r = {"long": (wide, half, half), "wide": (wide, wide, half), "narrow": (half, wide, wide)}[
            self.kind
        ]
        which = ("upper" if upper else "lower") + (" half." if self.kind == "narrow" else " halves.")
        doc = self.doc.replace(".", f", {'to' if self.kind == 'narrow' else 'of'} the {which}")

        def body(m: Tracer, Vm: Val, Vn: Val, Vd: Val, **size: int) -> None:
            bits = 8 << size[field]
            args = [
                read_upper(m, V, bits, upper=upper) if how == half else read(m, V, 2 * bits, 64 // bits)
                for V, how in ((Vn, n), (Vm, r))
            ]
            if self.accumulates:
                args.append(read(m, Vd, 2 * bits, 64 // bits))
            result = self.operation(m, *args)
            if self.kind == "narrow":
                write_upper(m, Vd, result, upper=upper)
            else:
                write(m, Vd, result)

        insn(
            f"{self.name}{'2' if upper else ''} Vd.{d}.{field}, Vn.{n}.{field}, Vm.{r}.{field}",
            f"0 {upper} {self.U} 01110 {field} 1 Vm {self.opcode} 00 Vn Vd",
        )(described(body, doc))

    def scalar(self) -> None:
        """That of a scalar."""

        def body(m: Tracer, Vm: Val, Vn: Val, Vd: Val, **size: int) -> None:
            bits = 8 << size[self.sizes]
            args = [read(m, V, bits, 1) for V in (Vn, Vm)]
            if self.accumulates:
                args.append(read(m, Vd, 2 * bits, 1))
            write(m, Vd, self.operation(m, *args))

        field = self.sizes
        insn(
            f"{self.name} Ld.{field}, En.{field}, Em.{field}",
            f"01 {self.U} 11110 {field} 1 Vm {self.opcode} 00 Vn Vd",
        )(described(body, self.doc))


# -- Operations
def long(signed: bool, operation: Callable[[Lanes, Lanes], Lanes]) -> Binary:
    """An operation on lanes made twice as wide."""
    return lambda m, a, b: operation(widened(a, signed=signed), widened(b, signed=signed))


def product(signed: bool) -> Binary:
    """Twice as wide."""
    return long(signed, lambda a, b: a * b)


def product_added(signed: bool) -> Callable[[Tracer, Lanes, Lanes, Lanes], Lanes]:
    """The destination and the product."""
    return lambda m, a, b, d: d + product(signed)(m, a, b)


def product_subtracted(signed: bool) -> Callable[[Tracer, Lanes, Lanes, Lanes], Lanes]:
    """The destination less the product."""
    return lambda m, a, b, d: d - product(signed)(m, a, b)


def doubled(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """Twice the product; only the square of the least number has no room."""
    once = product(True)(m, a, b)
    result = once.add_sat(once, signed=True)
    saturated(m, result != once + once)
    return result


def doubled_added(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
    """The destination and twice the product, which both saturate."""
    twice = doubled(m, a, b)
    result = d.add_sat(twice, signed=True)
    saturated(m, result != d + twice)
    return result


def doubled_subtracted(m: Tracer, a: Lanes, b: Lanes, d: Lanes) -> Lanes:
    """The destination less twice the product, which both saturate."""
    twice = doubled(m, a, b)
    result = d.sub_sat(twice, signed=True)
    saturated(m, result != d - twice)
    return result


def _wide(signed: bool, operation: Callable[[Lanes, Lanes], Lanes]) -> Binary:
    return lambda m, a, b: operation(a, widened(b, signed=signed))


def _high(rounding: bool, operation: Callable[[Lanes, Lanes], Lanes]) -> Binary:
    """The upper half of each lane."""

    def narrow(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
        half = a.bits // 2
        value = operation(a, b)
        if rounding:
            value = value + (1 << half - 1)
        return (value >> half).trunc(half)

    return narrow


def _distance(signed: bool) -> Binary:
    return lambda m, a, b: distance(signed)(m, a, b).zext(2 * a.bits)


def _sum(a: Lanes, b: Lanes) -> Lanes:
    return a + b


def _difference(a: Lanes, b: Lanes) -> Lanes:
    return a - b


S, U = True, False
ALL: Final = "size_bhs"


def _rows(letter: str, signed: bool) -> tuple[Different, ...]:
    """Those that there are for signed and for unsigned lanes."""
    bit, sort = int(not signed), "signed" if signed else "unsigned"
    return (
        Different(f"{letter}addl", bit, "0000", "long", ALL, long(signed, _sum), f"Add {sort} lanes, twice as wide."),
        Different(f"{letter}addw", bit, "0001", "wide", ALL, _wide(signed, _sum), f"Add {sort} lanes to wide ones."),
        Different(f"{letter}subl", bit, "0010", "long", ALL, long(signed, _difference),
                  f"Subtract {sort} lanes, twice as wide."),
        Different(f"{letter}subw", bit, "0011", "wide", ALL, _wide(signed, _difference),
                  f"Subtract {sort} lanes from wide ones."),
        Different("raddhn" if bit else "addhn", bit, "0100", "narrow", ALL, _high(bool(bit), _sum),
                  f"Add lanes, the upper half of each{', rounded' if bit else ''}."),
        Different(f"{letter}abal", bit, "0101", "long", ALL, lambda m, a, b, d: d + _distance(signed)(m, a, b),
                  f"Add how far {sort} lanes are apart to wide ones.", True),
        Different("rsubhn" if bit else "subhn", bit, "0110", "narrow", ALL, _high(bool(bit), _difference),
                  f"Subtract lanes, the upper half of each{', rounded' if bit else ''}."),
        Different(f"{letter}abdl", bit, "0111", "long", ALL, _distance(signed),
                  f"How far {sort} lanes are apart, twice as wide."),
        Different(f"{letter}mlal", bit, "1000", "long", ALL, product_added(signed),
                  f"Add the products of {sort} lanes to wide ones.", True),
        Different(f"{letter}mlsl", bit, "1010", "long", ALL, product_subtracted(signed),
                  f"Subtract the products of {sort} lanes from wide ones.", True),
        Different(f"{letter}mull", bit, "1100", "long", ALL, product(signed),
                  f"Multiply {sort} lanes, twice as wide."),
    )  # fmt: skip


DOUBLING: Final = (
    Different("sqdmlal", 0, "1001", "long", "size_hs", doubled_added,
              "Add twice the products of lanes to wide ones, saturating.", True),
    Different("sqdmlsl", 0, "1011", "long", "size_hs", doubled_subtracted,
              "Subtract twice the products of lanes from wide ones, saturating.", True),
    Different("sqdmull", 0, "1101", "long", "size_hs", doubled, "Twice the products of lanes, wide, saturating."),
)  # fmt: skip

SIGNED: Final = _rows("s", S)
UNSIGNED: Final = _rows("u", U)

insn = aarch64.extension("Advanced SIMD scalar three different", "8.0", TITLE)
for row in DOUBLING:
    row.scalar()

insn = aarch64.extension("Advanced SIMD three different", "8.0", TITLE)
for row in (
    *SIGNED,
    *UNSIGNED,
    *DOUBLING,
    Different(
        "pmull", 0, "1110", "long", "size_b", lambda m, a, b: a.clmul(b), "Multiply bytes without carries."
    ),
):
    row.vectors()
