"""Advanced SIMD, shifts by a constant: the manual's tables "Advanced SIMD shift by immediate", of vectors and scalars.

The fields immh and immb hold the width of a lane as their highest one, and the amount below it; each width is an
encoding of its own here. Of fixed point, the amount says how many bits are behind the point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, narrowed, read, read_upper, saturated, widened, write, write_upper
from polyvm.isa.aarch64.simd_fp import from_fixed, to_fixed
from polyvm.isa.aarch64.simd_same import saturating_left, shifted_right
from polyvm.isa.aarch64.simd_text import ARRANGEMENTS

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Declare

# Letter and width of a lane, and the bits above the amount.
SIZES: Final = (
    ("b", 8, "0001", "[2:0]"),
    ("h", 16, "001", "[3:0]"),
    ("s", 32, "01", "[4:0]"),
    ("d", 64, "1", "[5:0]"),
)


def _amount(m: Tracer, fields: dict[str, Any], bits: int, count: int) -> Lanes:
    """How far lanes of so many bits are shifted."""
    if "lshift" in fields:
        amount: Val = fields["lshift"].zext(bits)
    else:
        narrow: Val = fields["rshift"]
        amount = m.const(1 << narrow.bits, bits) - narrow.zext(bits)
    return Lanes.splat(amount, count)


@dataclass(frozen=True, slots=True)
class Shift:
    """A row: an operation of (m, lanes, amounts), or of (m, lanes, amounts, destination) where it accumulates.

    scalars: the letters of the scalars that it has. widths: those of lanes.
    """

    name: str
    U: int
    opcode: str
    way: str
    operation: Callable[..., Lanes]
    doc: str
    accumulates: bool = False
    scalars: str = "d"
    widths: str = "bhsd"

    def vectors(self, insn: Declare) -> None:
        """Those of vectors."""
        for letter, bits, high, low in SIZES:
            if letter not in self.widths:
                continue
            Q, T = ("1", "2d") if bits == 64 else ("Q", letter.upper())
            insn(
                f"{self.name} Vd.{T}, Vn.{T}, #{self.way}",
                f"0 {Q} {self.U} 011110 {high} {self.way}{low} {self.opcode} 1 Vn Vd",
            )(described(self._body(bits, scalar=False), self.doc))

    def scalar(self, insn: Declare) -> None:
        """Those of scalars."""
        for letter, bits, high, low in SIZES:
            if letter in self.scalars:
                r = letter.upper()
                insn(
                    f"{self.name} {r}d, {r}n, #{self.way}",
                    f"01 {self.U} 111110 {high} {self.way}{low} {self.opcode} 1 Vn Vd",
                )(described(self._body(bits, scalar=True), self.doc))

    def _body(self, bits: int, *, scalar: bool) -> Callable[..., None]:
        def body(m: Tracer, Vn: Val, Vd: Val, Q: int = 1, **fields: Any) -> None:
            count = 1 if scalar else (64 << Q) // bits
            args = [read(m, Vn, bits, count), _amount(m, fields, bits, count)]
            if self.accumulates:
                args.append(read(m, Vd, bits, count))
            write(m, Vd, self.operation(m, *args))

        return body


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A row: a right shift of lanes that are twice as wide as the result's. finish: makes them narrow."""

    name: str
    U: int
    opcode: str
    signed: bool
    rounding: bool
    finish: Callable[[Tracer, Lanes], Lanes]
    doc: str
    scalars: bool = True

    def vectors(self, insn: Declare) -> None:
        """To the lower half of a vector, and, as another instruction, to the upper half."""
        for (_, bits, high, low), low_text, full_text, wide_text in zip(
            SIZES, ARRANGEMENTS[::2], ARRANGEMENTS[1::2], ARRANGEMENTS[3::2], strict=False
        ):
            for upper in (0, 1):

                def body(
                    m: Tracer, rshift: Val, Vn: Val, Vd: Val, bits: int = bits, upper: int = upper
                ) -> None:
                    value = self._value(m, read(m, Vn, 2 * bits, 64 // bits), rshift)
                    write_upper(m, Vd, value, upper=upper)

                name = f"{self.name}2" if upper else self.name
                insn(
                    f"{name} Vd.{full_text if upper else low_text}, Vn.{wide_text}, #rshift",
                    f"0 {upper} {self.U} 011110 {high} rshift{low} {self.opcode} 1 Vn Vd",
                )(described(body, self.doc.replace(".", ", to the upper half.") if upper else self.doc))

    def scalar(self, insn: Declare) -> None:
        """Of a scalar."""
        for (letter, bits, high, low), wide in zip(SIZES, "hsd", strict=False):

            def body(m: Tracer, rshift: Val, Vn: Val, Vd: Val, bits: int = bits) -> None:
                write(m, Vd, self._value(m, read(m, Vn, 2 * bits, 1), rshift))

            insn(
                f"{self.name} {letter.upper()}d, {wide.upper()}n, #rshift",
                f"01 {self.U} 111110 {high} rshift{low} {self.opcode} 1 Vn Vd",
            )(described(body, self.doc))

    def _value(self, m: Tracer, wide: Lanes, rshift: Val) -> Lanes:
        amount = _amount(m, {"rshift": rshift}, wide.bits, wide.count)
        return self.finish(m, shifted_right(wide, amount, self.signed, self.rounding))


# -- Operations
def _right(signed: bool, rounding: bool) -> Callable[[Tracer, Lanes, Lanes], Lanes]:
    return lambda m, a, n: shifted_right(a, n, signed, rounding)


def _right_added(signed: bool, rounding: bool) -> Callable[[Tracer, Lanes, Lanes, Lanes], Lanes]:
    return lambda m, a, n, d: d + shifted_right(a, n, signed, rounding)


def _insert_right(m: Tracer, a: Lanes, n: Lanes, d: Lanes) -> Lanes:
    kept = ~((a | -1) >> n)
    return (d & kept) | (a >> n)


def _insert_left(m: Tracer, a: Lanes, n: Lanes, d: Lanes) -> Lanes:
    kept = ~((a | -1) << n)
    return (d & kept) | (a << n)


def _left_to_unsigned(m: Tracer, a: Lanes, n: Lanes) -> Lanes:
    result, negative = a << n, a.slt(0)
    lost = (result >> n) != a
    saturated(m, negative | lost)
    return negative.select(a & 0, lost.select(a | -1, result))


def _finish(signed: bool, to_signed: bool) -> Callable[[Tracer, Lanes], Lanes]:
    return lambda m, value: narrowed(m, value, signed=signed, to_signed=to_signed)


def _low(m: Tracer, value: Lanes) -> Lanes:
    return value.trunc(value.bits // 2)


S, U = True, False
R, L = "rshift", "lshift"
SHIFTS: Final = (
    Shift("sshr", 0, "00000", R, _right(S, False), "Shift signed lanes right."),
    Shift("ssra", 0, "00010", R, _right_added(S, False), "Shift signed lanes right and add them.", True),
    Shift("srshr", 0, "00100", R, _right(S, True), "Shift signed lanes right, rounded."),
    Shift("srsra", 0, "00110", R, _right_added(S, True), "Shift signed lanes right, rounded, and add them.", True),
    Shift("shl", 0, "01010", L, lambda m, a, n: a << n, "Shift lanes left."),
    Shift("sqshl", 0, "01110", L, lambda m, a, n: saturating_left(m, a, n, None, S),
          "Shift signed lanes left, saturating.", scalars="bhsd"),
    Shift("ushr", 1, "00000", R, _right(U, False), "Shift unsigned lanes right."),
    Shift("usra", 1, "00010", R, _right_added(U, False), "Shift unsigned lanes right and add them.", True),
    Shift("urshr", 1, "00100", R, _right(U, True), "Shift unsigned lanes right, rounded."),
    Shift("ursra", 1, "00110", R, _right_added(U, True), "Shift unsigned lanes right, rounded, and add them.", True),
    Shift("sri", 1, "01000", R, _insert_right, "Shift lanes right; bits above stay.", True),
    Shift("sli", 1, "01010", L, _insert_left, "Shift lanes left; bits below stay.", True),
    Shift("sqshlu", 1, "01100", L, _left_to_unsigned, "Shift signed lanes left to unsigned ones, saturating.",
          scalars="bhsd"),
    Shift("uqshl", 1, "01110", L, lambda m, a, n: saturating_left(m, a, n, None, U),
          "Shift unsigned lanes left, saturating.", scalars="bhsd"),
    *(Shift(name, number, opcode, R, operation, doc, scalars="sd", widths="sd")
      for number, signed, which in ((0, S, "signed"), (1, U, "unsigned"))
      for name, opcode, operation, doc in (
          (f"{which[0]}cvtf", "11100", from_fixed(signed=signed), f"From {which} fixed-point numbers."),
          (f"fcvtz{which[0]}", "11111", to_fixed(signed=signed), f"To {which} fixed-point numbers, towards zero."),
      )),
)  # fmt: skip
NARROWINGS: Final = (
    Narrowing("shrn", 0, "10000", U, False, _low, "Shift lanes right and halve their width.", False),
    Narrowing("rshrn", 0, "10001", U, True, _low, "Shift lanes right, rounded, and halve their width.", False),
    Narrowing("sqshrn", 0, "10010", S, False, _finish(S, S), "Shift signed lanes right and saturate them."),
    Narrowing("sqrshrn", 0, "10011", S, True, _finish(S, S), "Shift signed lanes right, rounded, and saturate them."),
    Narrowing("sqshrun", 1, "10000", S, False, _finish(S, U), "Shift signed lanes right, saturating to unsigned."),
    Narrowing("sqrshrun", 1, "10001", S, True, _finish(S, U),
              "Shift signed lanes right, rounded, and saturate them to unsigned."),
    Narrowing("uqshrn", 1, "10010", U, False, _finish(U, U), "Shift unsigned lanes right and saturate them."),
    Narrowing("uqrshrn", 1, "10011", U, True, _finish(U, U),
              "Shift unsigned lanes right, rounded, and saturate them."),
)  # fmt: skip

insn = aarch64.extension("Advanced SIMD scalar shift by immediate", "8.0", TITLE)
for row in SHIFTS:
    row.scalar(insn)
for narrowing in NARROWINGS:
    if narrowing.scalars:
        narrowing.scalar(insn)

insn = aarch64.extension("Advanced SIMD shift by immediate", "8.0", TITLE)
for row in SHIFTS:
    row.vectors(insn)
for narrowing in NARROWINGS:
    narrowing.vectors(insn)


def _long(name: str, U: int, signed: bool) -> None:
    """SSHLL and USHLL: shift lanes left, twice as wide."""
    for (_, bits, high, low), low_text, full_text, wide_text in zip(
        SIZES, ARRANGEMENTS[::2], ARRANGEMENTS[1::2], ARRANGEMENTS[3::2], strict=False
    ):
        for upper in (0, 1):

            def body(m: Tracer, lshift: Val, Vn: Val, Vd: Val, bits: int = bits, upper: int = upper) -> None:
                value = widened(read_upper(m, Vn, bits, upper=upper), signed=signed)
                write(m, Vd, value << _amount(m, {"lshift": lshift}, value.bits, value.count))

            half, which = (full_text, "upper") if upper else (low_text, "lower")
            sort = "signed" if signed else "unsigned"
            insn(
                f"{name}{'2' if upper else ''} Vd.{wide_text}, Vn.{half}, #lshift",
                f"0 {upper} {U} 011110 {high} lshift{low} 10100 1 Vn Vd",
            )(described(body, f"Widen {sort} lanes of the {which} half and shift them left."))


_long("sshll", 0, signed=True)
_long("ushll", 1, signed=False)
