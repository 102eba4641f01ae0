"""What the families of Advanced SIMD share: vectors as lanes, saturation, and rows of their tables as instructions.

A row names an operation on lanes; the same operation serves vectors, elements and scalars, which are one lane. What is
above a result of 64 bits or less becomes zero (C1.2.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.model import described

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Body

    Declare = Callable[[str, str], Callable[[Body], Body]]
    Unary = Callable[[Tracer, Lanes], Lanes]
    Binary = Callable[[Tracer, Lanes, Lanes], Lanes]
    Shift = Callable[[Tracer, Lanes, Val], Lanes]

TITLE: Final = "Data Processing -- Scalar Floating-Point and Advanced SIMD"
QC: Final = ("qc", 0)


# -- Registers
def arranged(T: int) -> tuple[int, int]:
    """Width and number of lanes of an arrangement."""
    bits = 8 << (T >> 1)
    return bits, (64 << (T & 1)) // bits


def lanes_of(field: str, value: int) -> tuple[int, int]:
    """Width and number of lanes that a field of simd_text says; "H" is Q where it says it of vectors of halves, and no
    field stands for one half."""
    if field in ("H", ""):
        return 16, 4 << value if field else 1
    if field == "sz":
        return 32 << value, 1
    if field == "F":
        return arranged(value + 4)
    return (8 << value, 1) if field.startswith("size") else arranged(value)


def read(m: Tracer, V: Val, bits: int, count: int) -> Lanes:
    """The low lanes of a register."""
    return m.q[V].trunc(bits * count).lanes(bits)


def read_upper(m: Tracer, V: Val, bits: int, *, upper: int) -> Lanes:
    """The lanes of the lower or the upper half of a register."""
    whole = m.q[V]
    return (whole[127:64] if upper else whole.trunc(64)).lanes(bits)


def write(m: Tracer, V: Val, value: Lanes) -> None:
    """Write a register, with zeros above what is written."""
    m.q[V] = value.whole.zext(128)


def write_upper(m: Tracer, V: Val, value: Lanes, *, upper: int) -> None:
    """Write half of a register: the lower one with zeros above, the upper one alone."""
    if upper:
        m.q[V] = m.q[V].trunc(64).lanes(value.bits).join(value).whole
    else:
        write(m, V, value)


def element(m: Tracer, V: Val, bits: int, lane: Val) -> Val:
    """A lane of a register, by a number."""
    return (m.q[V] >> (lane.zext(128) << (bits.bit_length() - 1))).trunc(bits)


def put(m: Tracer, V: Val, lane: Val, value: Val) -> None:
    """Write a lane of a register, by a number."""
    old = m.q[V].lanes(value.bits)
    numbers = m.const(sum(place << place * value.bits for place in range(old.count)), 128).lanes(value.bits)
    m.q[V] = (numbers == lane.zext(value.bits)).select(Lanes.splat(value, old.count), old).whole


# -- Saturation
def saturated(m: Tracer, where: Lanes) -> None:
    """Set QC where a lane, as lanes of one bit, has saturated."""
    m.set(QC, m.get(QC, 1) | where.any())


def narrowed(m: Tracer, value: Lanes, *, signed: bool, to_signed: bool) -> Lanes:
    """The nearest number there is in half the width, for each lane."""
    bits = value.bits // 2
    if signed:
        low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if to_signed else (0, (1 << bits) - 1)
        near = value.smax(low).smin(high)
    else:
        near = value.umin((1 << bits) - 1)
    saturated(m, near != value)
    return near.trunc(bits)


def halves(operation: Callable[..., Lanes], *args: Lanes) -> Lanes:
    """An operation that makes lanes wider, and narrow again, on halves of vectors where the whole would be too wide."""
    if args[0].whole.bits < 128:
        return operation(*args)
    return operation(*(a.low() for a in args)).join(operation(*(a.high() for a in args)))


def widened(value: Lanes, *, signed: bool) -> Lanes:
    """Lanes twice as wide."""
    return value.sext(2 * value.bits) if signed else value.zext(2 * value.bits)


# -- Rows of tables, as instructions
@dataclass(frozen=True, slots=True)
class Row:
    """An instruction on lanes that are all of one width.

    field: the one that says which, of vectors or of scalars. accumulates: the operation takes the destination, too, as
    its last argument.
    """

    name: str
    U: int
    opcode: str
    field: str
    operation: Callable[..., Lanes]
    doc: str
    accumulates: bool = False

    def declare(self, insn: Declare, text: str, encoding: str) -> None:
        """Make it an instruction; $T stands for the field in its text, and $U, $opcode, $Q and $size are its own."""

        def body(m: Tracer, Vd: Val, **fields: Any) -> None:
            bits, count = lanes_of(self.field, fields.get("Q" if self.field == "H" else self.field, 0))
            names = [name for name in ("Vn", "Vm") if name in fields]
            args = [read(m, fields[name], bits, count) for name in names]
            if self.accumulates:
                args.append(read(m, Vd, bits, count))
            write(m, Vd, self.operation(m, *args))

        insn(f"{self.name} {self._filled(text)}", self._filled(encoding))(described(body, self.doc))

    def on(self, field: str) -> Row:
        """The same on other sizes."""
        return replace(self, field=field)

    def _filled(self, text: str) -> str:
        T = self.field
        size, Q = {"T": (f"{T}[2:1]", f"{T}[0]"), "F": ("F[1]", "F[0]"), "H": ("", "Q")}.get(T[:1], (T, T))
        for name, value in (
            ("$U", str(self.U)),
            ("$opcode", self.opcode),
            ("$Q", Q),
            ("$size", size),
            ("$T", T),
        ):
            text = text.replace(name, value)
        return text
