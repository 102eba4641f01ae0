"""Builds LLVM text for the meanings of instructions: the same operation on one value, or on a vector of lanes.

A value knows its element's type and how many lanes it has, 0 for a scalar. Operands of one operation have as many lanes
each: whoever calls sees to that. The operations are those of LLVM; what it leaves undefined (division by zero, shifts
by the width or more) has a method here that does not.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, NoReturn

from polyvm.errors import PolyvmError
from polyvm.isa.ptx.table import Decoded

_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}
WIDTHS = {"half": 16, "float": 32, "double": 64, "ptr": 64}


class Val(NamedTuple):
    """A value of LLVM text."""

    text: str
    type: str
    lanes: int = 0

    @property
    def full(self) -> str:
        """Its type as LLVM writes it."""
        return f"<{self.lanes} x {self.type}>" if self.lanes else self.type

    @property
    def typed(self) -> str:
        """Type and value."""
        return f"{self.full} {self.text}"


def width(kind: str) -> int:
    """Bits of an element type."""
    return WIDTHS.get(kind) or int(kind[1:])


def splat(text: str, kind: str, lanes: int) -> str:
    """A constant for every lane."""
    return f"splat ({kind} {text})" if lanes else text


def float_text(value: float, kind: str) -> str:
    """A constant as LLVM reads every one."""
    if kind == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if kind == "float":
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Builder:
    """LLVM text in the making: lines, fresh names, and the intrinsics to declare."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.count = 0

    # -- Text
    def emit(self, line: str) -> None:
        """One more line."""
        self.lines.append("  " + line)

    def label(self, name: str) -> None:
        """The beginning of a block."""
        self.lines.append(f"{name}:")

    def fresh(self, stem: str = "v") -> str:
        """A name that nobody has."""
        self.count += 1
        return f"{stem}{self.count}"

    def let(self, kind: str, lanes: int, text: str) -> Val:
        """What an instruction gives."""
        name = "%" + self.fresh()
        self.lines.append(f"  {name} = {text}")
        return Val(name, kind, lanes)

    def intrinsic(
        self, name: str, kind: str, lanes: int, *args: Val, extra: str = "", suffix: str = ""
    ) -> Val:
        """Call an intrinsic that is overloaded on its result's type, and on `suffix`."""
        of = f"v{lanes}" if lanes else ""
        full = f"llvm.{name}.{of}{_SUFFIX.get(kind, kind)}{suffix}"
        result = f"<{lanes} x {kind}>" if lanes else kind
        kinds = ", ".join(a.full for a in args) + (", i1" if extra else "")
        self.declared.add(f"declare {result} @{full}({kinds})")
        listed = ", ".join(a.typed for a in args) + (f", {extra}" if extra else "")
        return self.let(kind, lanes, f"call {result} @{full}({listed})")

    def refuse(self, i: Decoded, why: str) -> NoReturn:
        """PVM-UNSUPPORTED for an instruction."""
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"{i.insn.text} is not supported: {why}.",
            line=i.insn.line,
            instruction=i.insn.text,
        )

    # -- Constants
    def const(self, like: Val, value: int) -> Val:
        """An integer, as wide and with as many lanes."""
        return self.integer(like, value, like.type)

    def integer(self, like: Val, value: int, kind: str = "") -> Val:
        """An integer with as many lanes, as wide as the other or of a type."""
        kind = kind or f"i{width(like.type)}"
        bits = width(kind)
        value &= (1 << bits) - 1
        text = ("true" if value else "false") if kind == "i1" else str(value)
        return Val(splat(text, kind, like.lanes), kind, like.lanes)

    def const1(self, like: Val, value: int) -> Val:
        """A truth with as many lanes."""
        return self.integer(like, value, "i1")

    def const32(self, like: Val, value: int) -> Val:
        """32 bits with as many lanes."""
        return self.integer(like, value, "i32")

    def const64(self, like: Val, value: int) -> Val:
        """64 bits with as many lanes."""
        return self.integer(like, value, "i64")

    def fconst(self, like: Val, value: float) -> Val:
        """A float, as wide and with as many lanes."""
        return Val(splat(float_text(value, like.type), like.type, like.lanes), like.type, like.lanes)

    # -- Integers
    def _two(self, op: str, a: Val, b: Val) -> Val:
        return self.let(a.type, a.lanes, f"{op} {a.typed}, {b.text}")

    def add(self, a: Val, b: Val) -> Val:
        """a + b."""
        return self._two("add", a, b)

    def sub(self, a: Val, b: Val) -> Val:
        """a - b."""
        return self._two("sub", a, b)

    def mul(self, a: Val, b: Val) -> Val:
        """a * b, the low half."""
        return self._two("mul", a, b)

    def and_(self, a: Val, b: Val) -> Val:
        """Bitwise and."""
        return self._two("and", a, b)

    def or_(self, a: Val, b: Val) -> Val:
        """Bitwise or."""
        return self._two("or", a, b)

    def xor(self, a: Val, b: Val) -> Val:
        """Bitwise exclusive or."""
        return self._two("xor", a, b)

    def not_(self, a: Val) -> Val:
        """Bitwise not."""
        return self.xor(a, self.const(a, -1))

    def shl(self, a: Val, b: Val) -> Val:
        """Shift left by less than the width."""
        return self._two("shl", a, b)

    def lshr(self, a: Val, b: Val) -> Val:
        """Shift right by less than the width, zeros in."""
        return self._two("lshr", a, b)

    def ashr(self, a: Val, b: Val) -> Val:
        """Shift right by less than the width, sign in."""
        return self._two("ashr", a, b)

    def _shift(self, op: str, a: Val, count: Val) -> Val:
        bits = width(a.type)
        known = _known(count)
        if known is not None:
            if known < bits:
                return self._two(op, a, self.const(a, known))
            return self.ashr(a, self.const(a, bits - 1)) if op == "ashr" else self.const(a, 0)
        far = self.icmp("ugt", count, self.const(count, bits - 1))
        n = self.resize(self.select(far, self.const(count, bits - 1), count), bits)
        made = self._two(op, a, n)
        return made if op == "ashr" else self.select(far, self.const(a, 0), made)

    def lshift_left(self, a: Val, count: Val) -> Val:
        """Shift left; by the width or more it is 0. The count may have another width."""
        return self._shift("shl", a, count)

    def lshift_right(self, a: Val, count: Val) -> Val:
        """Shift right, zeros in; by the width or more it is 0."""
        return self._shift("lshr", a, count)

    def ashift_right(self, a: Val, count: Val) -> Val:
        """Shift right, sign in; by the width or more it is all sign."""
        return self._shift("ashr", a, count)

    def divide(self, a: Val, b: Val, signed: bool) -> tuple[Val, Val]:
        """Quotient and remainder; by zero all ones and the dividend, the minimum / -1 is the minimum and 0.

        Of at most 32 bits by doubles, whose quotient, cut off, is exact, and which have vectors.
        """
        zero = self.const(b, 0)
        by_zero = self.icmp("eq", b, zero)
        bits = width(a.type)
        if bits <= 32 and (a.lanes or bits < 32):
            convert = self.sitofp if signed else self.uitofp
            ratio = self.fdiv(
                convert(a, "double"), convert(self.select(by_zero, self.const(b, 1), b), "double")
            )
            if signed:  # the minimum / -1 is 2^31: through 64 bits it wraps
                quotient = self.trunc(
                    self.let("i64", a.lanes, f"fptosi {ratio.typed} to {self._of('i64', a)}"), bits
                )
            else:
                quotient = self.let(a.type, a.lanes, f"fptoui {ratio.typed} to {self._of(a.type, a)}")
        else:
            unsafe = by_zero
            if signed:
                least = self.icmp("eq", a, self.const(a, 1 << (bits - 1)))
                unsafe = self.or_(unsafe, self.and_(least, self.icmp("eq", b, self.const(b, -1))))
            divisor = self.select(unsafe, self.const(b, 1), b)
            quotient = self._two("sdiv" if signed else "udiv", a, divisor)
        rest = self.sub(a, self.mul(quotient, b))
        return self.select(by_zero, self.const(a, -1), quotient), self.select(by_zero, a, rest)

    def _of(self, kind: str, like: Val) -> str:
        return f"<{like.lanes} x {kind}>" if like.lanes else kind

    def icmp(self, relation: str, a: Val, b: Val) -> Val:
        """A truth."""
        return self.let("i1", a.lanes, f"icmp {relation} {a.typed}, {b.text}")

    def select(self, condition: Val, a: Val, b: Val) -> Val:
        """a where the condition, else b."""
        return self.let(a.type, a.lanes, f"select {condition.typed}, {a.typed}, {b.typed}")

    def select_bits(self, condition: Val, value: int, bits: int) -> Val:
        """An integer of so many bits where the condition, else 0."""
        one = self.integer(condition, value, f"i{bits}")
        return self.select(condition, one, self.const(one, 0))

    def _cast(self, op: str, a: Val, kind: str) -> Val:
        return self.let(kind, a.lanes, f"{op} {a.typed} to {self._of(kind, a)}")

    def zext(self, a: Val, bits: int) -> Val:
        """Wider, with zeros."""
        return a if width(a.type) == bits else self._cast("zext", a, f"i{bits}")

    def sext(self, a: Val, bits: int) -> Val:
        """Wider, with the sign."""
        return a if width(a.type) == bits else self._cast("sext", a, f"i{bits}")

    def trunc(self, a: Val, bits: int) -> Val:
        """The low bits."""
        return a if width(a.type) == bits else self._cast("trunc", a, f"i{bits}")

    def resize(self, a: Val, bits: int) -> Val:
        """Cut off, or filled up with zeros."""
        return self.trunc(a, bits) if width(a.type) > bits else self.zext(a, bits)

    def bitcast(self, a: Val, kind: str) -> Val:
        """The same bits as another type."""
        return a if a.type == kind else self._cast("bitcast", a, kind)

    def clamp(self, a: Val, signed: bool, to_signed: bool, bits: int) -> Val:
        """An integer limited to the range of a type of so many bits, in its own width."""
        own = width(a.type)
        high = (1 << (bits - to_signed)) - 1
        low = -(1 << (bits - 1)) if to_signed else 0
        if signed:
            if high < 1 << (own - 1):
                a = self.smin(a, self.const(a, high))
            return self.smax(a, self.const(a, low)) if low > -(1 << (own - 1)) else a
        return self.umin(a, self.const(a, high)) if high < (1 << own) - 1 else a

    def _same(self, name: str, *args: Val) -> Val:
        return self.intrinsic(name, args[0].type, args[0].lanes, *args)

    def smin(self, a: Val, b: Val) -> Val:
        """The smaller, signed."""
        return self._same("smin", a, b)

    def smax(self, a: Val, b: Val) -> Val:
        """The larger, signed."""
        return self._same("smax", a, b)

    def umin(self, a: Val, b: Val) -> Val:
        """The smaller, unsigned."""
        return self._same("umin", a, b)

    def umax(self, a: Val, b: Val) -> Val:
        """The larger, unsigned."""
        return self._same("umax", a, b)

    def sadd_sat(self, a: Val, b: Val) -> Val:
        """The signed sum within the type's range."""
        return self._same("sadd.sat", a, b)

    def ssub_sat(self, a: Val, b: Val) -> Val:
        """The signed difference within the type's range."""
        return self._same("ssub.sat", a, b)

    def ctpop(self, a: Val) -> Val:
        """Bits that are set."""
        return self._same("ctpop", a)

    def bitreverse(self, a: Val) -> Val:
        """Bits in reverse order."""
        return self._same("bitreverse", a)

    def ctlz(self, a: Val) -> Val:
        """Leading zeros; the width for 0."""
        return self.intrinsic("ctlz", a.type, a.lanes, a, extra="i1 false")

    def cttz(self, a: Val) -> Val:
        """Trailing zeros; the width for 0."""
        return self.intrinsic("cttz", a.type, a.lanes, a, extra="i1 false")

    # -- Floating point
    def fadd(self, a: Val, b: Val) -> Val:
        """a + b."""
        return self._two("fadd", a, b)

    def fsub(self, a: Val, b: Val) -> Val:
        """a - b."""
        return self._two("fsub", a, b)

    def fmul(self, a: Val, b: Val) -> Val:
        """a * b."""
        return self._two("fmul", a, b)

    def fdiv(self, a: Val, b: Val) -> Val:
        """a / b."""
        return self._two("fdiv", a, b)

    def fneg(self, a: Val) -> Val:
        """-a, of a NaN too."""
        return self.let(a.type, a.lanes, f"fneg {a.typed}")

    def fma(self, a: Val, b: Val, c: Val) -> Val:
        """a * b + c, rounded once."""
        return self._same("fma", a, b, c)

    def fsqrt(self, a: Val) -> Val:
        """The square root."""
        return self._same("sqrt", a)

    def fabs(self, a: Val) -> Val:
        """|a|."""
        return self._same("fabs", a)

    def copysign(self, a: Val, b: Val) -> Val:
        """a with the sign of b."""
        return self._same("copysign", a, b)

    def rint(self, a: Val) -> Val:
        """To the nearest integral value, ties to even."""
        return self._same("rint", a)

    def ftrunc(self, a: Val) -> Val:
        """To an integral value, towards zero."""
        return self._same("trunc", a)

    def ffloor(self, a: Val) -> Val:
        """To an integral value, downwards."""
        return self._same("floor", a)

    def fceil(self, a: Val) -> Val:
        """To an integral value, upwards."""
        return self._same("ceil", a)

    def _number(self, relation: str, a: Val, b: Val) -> Val:
        """minimumNumber or maximumNumber, -0 < +0, from comparisons, which every type has."""
        pick = self.fcmp(relation, a, b)
        made = self.select(self.or_(pick, self.fcmp("uno", b, b)), a, b)
        # Equal numbers differ at most in the sign of zero.
        kind = f"i{width(a.type)}"
        x, y = self.bitcast(a, kind), self.bitcast(b, kind)
        both = self.or_(x, y) if relation == "olt" else self.and_(x, y)
        return self.select(self.fcmp("oeq", a, b), self.bitcast(both, a.type), made)

    def minimumnum(self, a: Val, b: Val) -> Val:
        """The smaller; of a NaN and a number the number; -0 < +0."""
        return self._number("olt", a, b)

    def maximumnum(self, a: Val, b: Val) -> Val:
        """The larger, likewise."""
        return self._number("ogt", a, b)

    def fcmp(self, relation: str, a: Val, b: Val) -> Val:
        """A truth."""
        return self.let("i1", a.lanes, f"fcmp {relation} {a.typed}, {b.text}")

    def finite(self, a: Val) -> Val:
        """Whether it is neither infinite nor a NaN."""
        return self.fcmp("olt", self.fabs(a), self.fconst(a, float("inf")))

    def fpext(self, a: Val, kind: str) -> Val:
        """As a wider float."""
        return a if a.type == kind else self._cast("fpext", a, kind)

    def fptrunc(self, a: Val, kind: str) -> Val:
        """As a narrower float, to the nearest."""
        return a if a.type == kind else self._cast("fptrunc", a, kind)

    def sitofp(self, a: Val, kind: str) -> Val:
        """A signed integer as a float."""
        return self._cast("sitofp", a, kind)

    def uitofp(self, a: Val, kind: str) -> Val:
        """An unsigned integer as a float."""
        return self._cast("uitofp", a, kind)

    def fptosi_sat(self, a: Val, bits: int) -> Val:
        """To a signed integer within its range; a NaN is 0."""
        return self._sat("fptosi.sat", a, bits)

    def fptoui_sat(self, a: Val, bits: int) -> Val:
        """To an unsigned integer within its range; a NaN is 0."""
        return self._sat("fptoui.sat", a, bits)

    def _sat(self, name: str, a: Val, bits: int) -> Val:
        of = f"v{a.lanes}" if a.lanes else ""
        return self.intrinsic(name, f"i{bits}", a.lanes, a, suffix=f".{of}{_SUFFIX[a.type]}")


def _known(value: Val) -> int | None:
    """The integer of a constant."""
    text = value.text.removesuffix(")").rpartition(" ")[2]
    return int(text) if text.isdigit() else None
