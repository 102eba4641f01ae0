"""Typed bit vectors with Python's operators: what a semantics function computes with.

A `Val` is a node of a trace, never a number: asking Python to decide on one raises and says what to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from polyvm.ir.lanes import Lanes
    from polyvm.ir.trace import Tracer


class SpecError(TypeError):
    """A semantics function used a value in a way the specification language does not allow."""


class Val:
    """One op of a trace and the value that it yields.

    op: a name of `ir.ops.OPS`; bits: width of the value, 0 for none; args: the values it takes;
    attr: what the op needs besides values; where: file and line of the spec that wrote it.
    """

    __slots__ = ("args", "attr", "bits", "op", "tracer")

    def __init__(
        self, tracer: Tracer, op: str, bits: int, args: tuple[Val, ...] = (), attr: object = None
    ) -> None:
        self.tracer = tracer
        self.op = op
        self.bits = bits
        self.args = args
        self.attr = attr

    # Comparison operators build ops, so identity is the only equality a set or dict may use.
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise SpecError(
            f"a run-time value ({self.op}, {self.bits} bits) stands in a Python condition. "
            "Write m.select(condition, a, b) to choose data, `with m.when(condition):` to choose effects, "
            "or make the field that decides a shape field."
        )

    def __index__(self) -> NoReturn:
        raise SpecError(
            f"a run-time value ({self.op}) stands where Python needs a number; only shape fields are numbers"
        )

    def _same(self, other: Val | int) -> Val:
        if isinstance(other, int):
            return self.tracer.const(other, self.bits)
        if other.bits != self.bits:
            raise SpecError(
                f"operands of {self.bits} and {other.bits} bits; write .zext(), .sext() or a slice"
            )
        return other

    def _binary(self, op: str, other: Val | int) -> Val:
        return self.tracer.emit(op, self.bits, (self, self._same(other)))

    def _compare(self, op: str, other: Val | int) -> Val:
        return self.tracer.emit(op, 1, (self, self._same(other)))

    def _shift(self, op: str, amount: Val | int) -> Val:
        if isinstance(amount, int):
            if not 0 <= amount <= self.bits:
                raise SpecError(f"shift of {self.bits} bits by {amount}")
            count = self.tracer.const(amount, self.bits)
        elif amount.bits < self.bits:
            count = amount.zext(self.bits)
        else:
            count = self._same(amount)
        return self.tracer.emit(op, self.bits, (self, count))

    def __add__(self, other: Val | int) -> Val:
        return self._binary("add", other)

    def __sub__(self, other: Val | int) -> Val:
        return self._binary("sub", other)

    def __mul__(self, other: Val | int) -> Val:
        return self._binary("mul", other)

    def __and__(self, other: Val | int) -> Val:
        return self._binary("and", other)

    def __or__(self, other: Val | int) -> Val:
        return self._binary("or", other)

    def __xor__(self, other: Val | int) -> Val:
        return self._binary("xor", other)

    def __invert__(self) -> Val:
        return self._binary("xor", (1 << self.bits) - 1)

    def __neg__(self) -> Val:
        return self.tracer.const(0, self.bits)._binary("sub", self)

    def __lshift__(self, amount: Val | int) -> Val:
        return self._shift("shl", amount)

    def __rshift__(self, amount: Val | int) -> Val:
        return self._shift("lshr", amount)

    def asr(self, amount: Val | int) -> Val:
        """Arithmetic shift right; by the width or more it is all sign."""
        return self._shift("ashr", amount)

    def rotl(self, amount: Val | int) -> Val:
        """Rotate left, modulo the width."""
        return self._shift("rotl", amount)

    def rotr(self, amount: Val | int) -> Val:
        """Rotate right, modulo the width."""
        return self._shift("rotr", amount)

    def add_sat(self, other: Val | int, *, signed: bool) -> Val:
        """The sum, or the nearest number there is."""
        return self._binary("sadd_sat" if signed else "uadd_sat", other)

    def sub_sat(self, other: Val | int, *, signed: bool) -> Val:
        """The difference, or the nearest number there is."""
        return self._binary("ssub_sat" if signed else "usub_sat", other)

    def udiv(self, other: Val | int) -> Val:
        """Unsigned quotient; all ones for a divisor of 0."""
        return self._binary("udiv", other)

    def sdiv(self, other: Val | int) -> Val:
        """Signed quotient towards zero; -1 for a divisor of 0."""
        return self._binary("sdiv", other)

    def urem(self, other: Val | int) -> Val:
        """Unsigned remainder; the dividend for a divisor of 0."""
        return self._binary("urem", other)

    def srem(self, other: Val | int) -> Val:
        """Signed remainder with the dividend's sign; the dividend for a divisor of 0."""
        return self._binary("srem", other)

    def __eq__(self, other: Val | int) -> Val:  # type: ignore[override]  # an op, not Python's equality
        return self._compare("eq", other)

    def __ne__(self, other: Val | int) -> Val:  # type: ignore[override]  # an op, not Python's equality
        return self._compare("ne", other)

    def ult(self, other: Val | int) -> Val:
        """Unsigned less than; one bit."""
        return self._compare("ult", other)

    def ule(self, other: Val | int) -> Val:
        """Unsigned less than or equal; one bit."""
        return self._compare("ule", other)

    def slt(self, other: Val | int) -> Val:
        """Signed less than; one bit."""
        return self._compare("slt", other)

    def sle(self, other: Val | int) -> Val:
        """Signed less than or equal; one bit."""
        return self._compare("sle", other)

    def uge(self, other: Val | int) -> Val:
        """Unsigned greater than or equal; one bit."""
        return self._same(other).ule(self)

    def sge(self, other: Val | int) -> Val:
        """Signed greater than or equal; one bit."""
        return self._same(other).sle(self)

    def zext(self, bits: int) -> Val:
        """Widen with zeros to `bits`."""
        return self._resize("zext", bits)

    def sext(self, bits: int) -> Val:
        """Widen with the sign to `bits`."""
        return self._resize("sext", bits)

    def trunc(self, bits: int) -> Val:
        """The low `bits` bits."""
        if bits == self.bits:
            return self
        if bits > self.bits:
            raise SpecError(f"trunc from {self.bits} to {bits} bits")
        return self.tracer.emit("trunc", bits, (self,))

    def _resize(self, op: str, bits: int) -> Val:
        if bits == self.bits:
            return self
        if bits < self.bits:
            raise SpecError(f"{op} from {self.bits} to {bits} bits")
        return self.tracer.emit(op, bits, (self,))

    def __getitem__(self, bits: slice | int) -> Val:
        """x[hi:lo] or x[bit], as the manuals write bit ranges: both ends are included."""
        hi, lo = (bits.start, bits.stop) if isinstance(bits, slice) else (bits, bits)
        if not (isinstance(hi, int) and isinstance(lo, int) and self.bits > hi >= lo >= 0):
            raise SpecError(f"bit range [{hi}:{lo}] of a {self.bits}-bit value")
        return ((self >> lo) if lo else self).trunc(hi - lo + 1)

    def clz(self) -> Val:
        """Leading zeros, as wide as the value; the width itself for 0."""
        return self.tracer.emit("clz", self.bits, (self,))

    def ctz(self) -> Val:
        """Trailing zeros, as wide as the value; the width itself for 0."""
        return self.tracer.emit("ctz", self.bits, (self,))

    def popcount(self) -> Val:
        """How many bits are set, as wide as the value."""
        return self.tracer.emit("popcount", self.bits, (self,))

    def bswap(self) -> Val:
        """Bytes in reverse order."""
        return self.tracer.emit("bswap", self.bits, (self,))

    def bitrev(self) -> Val:
        """Bits in reverse order."""
        return self.tracer.emit("bitrev", self.bits, (self,))

    def clmul(self, other: Val) -> Val:
        """Carry-less product, twice as wide as the arguments."""
        return self.tracer.emit("clmul", 2 * self.bits, (self, self._same(other)))

    def permute(self, index: Val, lane_bits: int) -> Val:
        """Look lanes of `lane_bits` up in self by the lanes of `index`; past the end gives 0."""
        return self.tracer.emit("permute", self.bits, (self, self._same(index)), lane_bits)

    def lanes(self, bits: int) -> Lanes:
        """The value as lanes of so many bits, on each of which operators work."""
        from polyvm.ir.lanes import Lanes

        return Lanes(self, bits)

    def __repr__(self) -> str:
        return f"<{self.op} i{self.bits}{'' if self.attr is None or self.op == 'if' else f' {self.attr!r}'}>"
