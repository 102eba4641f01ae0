"""Lanes: a value taken apart into lanes of one width, with Python's operators on each of them.

Operators are those of Val, lane by lane; comparisons give lanes of one bit, which choose and widen like any other. A
number or a Val of a lane's width stands for itself in every lane. One lane is a plain value: its ops are plain ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from polyvm.ir.ops import MAX_LANES, OPS
from polyvm.ir.values import SpecError, Val


class Lanes:
    """`count` lanes of `bits` bits each, the lowest first; `whole` is all of them as one value."""

    __slots__ = ("bits", "count", "whole")

    def __init__(self, whole: Val, bits: int) -> None:
        if bits < 1 or whole.bits % bits:
            raise SpecError(f"{whole.bits} bits in lanes of {bits}")
        self.whole = whole
        self.bits = bits
        self.count = whole.bits // bits

    @staticmethod
    def splat(value: Val, count: int) -> Lanes:
        """The value in each of so many lanes."""
        return Lanes(value, value.bits).pick([0] * count)

    @staticmethod
    def of(values: Sequence[Val]) -> Lanes:
        """Lanes of values, the lowest first."""
        bits = values[0].bits
        parts = [Lanes(value, bits) for value in values]
        while len(parts) > 1:
            pairs = [a.join(b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[2 * len(pairs) :]
        return parts[0]

    # Comparison operators build ops, so identity is the only equality a set or dict may use.
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise SpecError("lanes stand in a Python condition. Write mask.select(a, b), or m.when(mask.any()).")

    def __repr__(self) -> str:
        return f"<{self.count} lanes of i{self.bits}: {self.whole!r}>"

    # -- making ops
    def op(self, name: str, bits: int, others: Iterable[Lanes] = (), attr: object = None) -> Lanes:
        """An op of the table on each lane of self and others, whose results have so many bits."""
        every = (self, *others)
        for lanes in every:
            if lanes.count != self.count:
                raise SpecError(f"{name} of {self.count} and of {lanes.count} lanes")
        if self.count * bits > MAX_LANES:
            raise SpecError(
                f"{self.count} lanes of {bits} bits; values have 1 to {MAX_LANES}, so widen halves"
            )
        wholes, tracer = tuple(lanes.whole for lanes in every), self.whole.tracer
        if self.count == 1:
            return Lanes(tracer.emit(name, bits, wholes, attr), bits)
        widths = tuple(lanes.bits for lanes in every)
        kind = "lanes" if OPS[name].pure else "flanes"
        made = tracer.emit(kind, self.count * bits, wholes, (name, self.count, widths, attr))
        return Lanes(made, bits)

    def _same(self, other: Lanes | Val | int) -> Lanes:
        if isinstance(other, int):
            lane = other & (1 << self.bits) - 1
            every = sum(lane << i * self.bits for i in range(self.count))
            return Lanes(self.whole.tracer.const(every, self.whole.bits), self.bits)
        if other.bits != self.bits:
            raise SpecError(f"lanes of {self.bits} and {other.bits} bits; write .zext(), .sext() or .trunc()")
        return Lanes.splat(other, self.count) if isinstance(other, Val) else other

    def _binary(self, name: str, other: Lanes | Val | int) -> Lanes:
        return self.op(name, self.bits, (self._same(other),))

    def _compare(self, name: str, other: Lanes | Val | int) -> Lanes:
        return self.op(name, 1, (self._same(other),))

    def _bitwise(self, name: str, other: Lanes | Val | int) -> Lanes:
        same = self._same(other)
        if same.count != self.count:
            raise SpecError(f"{name} of {self.count} and of {same.count} lanes")
        whole = self.whole.tracer.emit(name, self.whole.bits, (self.whole, same.whole))
        return Lanes(whole, self.bits)

    def _shift(self, name: str, amount: Lanes | Val | int) -> Lanes:
        if isinstance(amount, int) and not 0 <= amount <= self.bits:
            raise SpecError(f"shift of {self.bits} bits by {amount}")
        if isinstance(amount, int) and amount == 0:
            return self
        if not isinstance(amount, int) and amount.bits < self.bits:
            amount = amount.zext(self.bits)
        return self._binary(name, amount)

    # -- arithmetic
    def __add__(self, other: Lanes | Val | int) -> Lanes:
        return self._binary("add", other)

    def __sub__(self, other: Lanes | Val | int) -> Lanes:
        return self._binary("sub", other)

    def __mul__(self, other: Lanes | Val | int) -> Lanes:
        return self._binary("mul", other)

    def __neg__(self) -> Lanes:
        return self._same(0) - self

    def add_sat(self, other: Lanes | Val | int, *, signed: bool) -> Lanes:
        """The sum, or the nearest number there is."""
        return self._binary("sadd_sat" if signed else "uadd_sat", other)

    def sub_sat(self, other: Lanes | Val | int, *, signed: bool) -> Lanes:
        """The difference, or the nearest number there is."""
        return self._binary("ssub_sat" if signed else "usub_sat", other)

    def __and__(self, other: Lanes | Val | int) -> Lanes:
        return self._bitwise("and", other)

    def __or__(self, other: Lanes | Val | int) -> Lanes:
        return self._bitwise("or", other)

    def __xor__(self, other: Lanes | Val | int) -> Lanes:
        return self._bitwise("xor", other)

    def __invert__(self) -> Lanes:
        return self ^ -1

    def __lshift__(self, amount: Lanes | Val | int) -> Lanes:
        return self._shift("shl", amount)

    def __rshift__(self, amount: Lanes | Val | int) -> Lanes:
        return self._shift("lshr", amount)

    def asr(self, amount: Lanes | Val | int) -> Lanes:
        """Arithmetic shift right; by the width or more it is all sign."""
        return self._shift("ashr", amount)

    def rotl(self, amount: Lanes | Val | int) -> Lanes:
        """Rotate left, modulo the width."""
        return self._shift("rotl", amount)

    def rotr(self, amount: Lanes | Val | int) -> Lanes:
        """Rotate right, modulo the width."""
        return self._shift("rotr", amount)

    def clz(self) -> Lanes:
        """Leading zeros; the width for 0."""
        return self.op("clz", self.bits)

    def ctz(self) -> Lanes:
        """Trailing zeros; the width for 0."""
        return self.op("ctz", self.bits)

    def popcount(self) -> Lanes:
        """How many bits are set."""
        return self.op("popcount", self.bits)

    def bswap(self) -> Lanes:
        """Bytes in reverse order."""
        return self.op("bswap", self.bits)

    def bitrev(self) -> Lanes:
        """Bits in reverse order."""
        return self.op("bitrev", self.bits)

    def clmul(self, other: Lanes | Val | int) -> Lanes:
        """Carry-less products, twice as wide."""
        return self.op("clmul", 2 * self.bits, (self._same(other),))

    def smin(self, other: Lanes | Val | int) -> Lanes:
        """The less of two signed numbers."""
        same = self._same(other)
        return self.slt(same).select(self, same)

    def smax(self, other: Lanes | Val | int) -> Lanes:
        """The greater of two signed numbers."""
        same = self._same(other)
        return self.slt(same).select(same, self)

    def umin(self, other: Lanes | Val | int) -> Lanes:
        """The less of two unsigned numbers."""
        same = self._same(other)
        return self.ult(same).select(self, same)

    def umax(self, other: Lanes | Val | int) -> Lanes:
        """The greater of two unsigned numbers."""
        same = self._same(other)
        return self.ult(same).select(same, self)

    # -- comparing and choosing
    def __eq__(self, other: Lanes | Val | int) -> Lanes:  # type: ignore[override]  # an op, not Python's equality
        return self._compare("eq", other)

    def __ne__(self, other: Lanes | Val | int) -> Lanes:  # type: ignore[override]  # an op, not Python's equality
        return self._compare("ne", other)

    def ult(self, other: Lanes | Val | int) -> Lanes:
        """Unsigned less than."""
        return self._compare("ult", other)

    def ule(self, other: Lanes | Val | int) -> Lanes:
        """Unsigned less than or equal."""
        return self._compare("ule", other)

    def slt(self, other: Lanes | Val | int) -> Lanes:
        """Signed less than."""
        return self._compare("slt", other)

    def sle(self, other: Lanes | Val | int) -> Lanes:
        """Signed less than or equal."""
        return self._compare("sle", other)

    def uge(self, other: Lanes | Val | int) -> Lanes:
        """Unsigned greater than or equal."""
        return self._same(other).ule(self)

    def sge(self, other: Lanes | Val | int) -> Lanes:
        """Signed greater than or equal."""
        return self._same(other).sle(self)

    def select(self, then: Lanes, otherwise: Lanes | Val | int) -> Lanes:
        """Lanes of `then` where self, lanes of one bit, has a 1, else of `otherwise`."""
        if self.bits != 1:
            raise SpecError(f"lanes of one bit choose, not of {self.bits}")
        return self.op("select", then.bits, (then, then._same(otherwise)))

    def any(self) -> Val:
        """One bit: whether a bit of any lane is set."""
        return self.whole != 0

    # -- widths
    def zext(self, bits: int) -> Lanes:
        """Widen each lane with zeros."""
        return self._widened("zext", bits)

    def sext(self, bits: int) -> Lanes:
        """Widen each lane with its sign: one bit becomes all ones or none."""
        return self._widened("sext", bits)

    def _widened(self, name: str, bits: int) -> Lanes:
        if bits < self.bits:
            raise SpecError(f"{name} from {self.bits} to {bits} bits")
        return self if bits == self.bits else self.op(name, bits)

    def trunc(self, bits: int) -> Lanes:
        """The low bits of each lane."""
        if bits > self.bits:
            raise SpecError(f"trunc from {self.bits} to {bits} bits")
        return self if bits == self.bits else self.op("trunc", bits)

    def lanes(self, bits: int) -> Lanes:
        """The same bits in lanes of another width."""
        return Lanes(self.whole, bits)

    # -- places
    def __getitem__(self, lane: int) -> Val:
        return self.pick([range(self.count)[lane]]).whole

    def pick(self, indexes: Sequence[int], other: Lanes | None = None) -> Lanes:
        """Lanes by number; those of `other` stand behind one's own, -1 is zero."""
        if other is not None and other.bits != self.bits:
            raise SpecError(f"lanes of {self.bits} and {other.bits} bits")
        if other is None and [*indexes] == [*range(self.count)]:
            return self
        args = (self.whole,) if other is None else (self.whole, other.whole)
        bits = len(indexes) * self.bits
        return Lanes(self.whole.tracer.emit("shuffle", bits, args, (self.bits, tuple(indexes))), self.bits)

    def join(self, high: Lanes) -> Lanes:
        """These lanes, and `high` above them."""
        return self.pick(range(self.count + high.count), high)

    def low(self) -> Lanes:
        """The lower half of the lanes."""
        return self.pick(range(self.count // 2))

    def high(self) -> Lanes:
        """The upper half of the lanes."""
        return self.pick(range(self.count // 2, self.count))
