"""Integer arithmetic, comparison, selection, logic and shifts: PTX ISA 9.7.1, 9.7.2, 9.7.6 to 9.7.8."""

from __future__ import annotations

from typing import Any

from polyvm.isa.ptx.table import Decoded, Lanes, form

INTS = "u16 s16 u32 s32 u64 s64"
BITS = "b16 b32 b64"
SIGNED = "s16 s32 s64"


def bits(kind: str) -> int:
    """The width of a type."""
    return {"pred": 1}.get(kind) or int("".join(c for c in kind if c.isdigit()))


def is_signed(kind: str) -> bool:
    """Whether a type is one of signed integers."""
    return kind[0] == "s"


# -- 9.7.1 Integer arithmetic
@form("add", INTS + " u16x2 s16x2", "d a b", mods="sat")
def add(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The sum; .sat (s32) limits it to the type's range."""
    return m.sadd_sat(a, b) if i.has("sat") else m.add(a, b)


@form("sub", INTS, "d a b", mods="sat")
def sub(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The difference; .sat (s32) limits it to the type's range."""
    return m.ssub_sat(a, b) if i.has("sat") else m.sub(a, b)


def _extend(m: Lanes, i: Decoded, a: Any, width: int) -> Any:
    return m.sext(a, width) if is_signed(i.type) else m.zext(a, width)


def _product(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    width = 2 * bits(i.type)
    return m.mul(_extend(m, i, a, width), _extend(m, i, b, width))


def _high(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    product = _product(m, i, a, b)
    return m.trunc(m.lshr(product, m.const(product, bits(i.type))), bits(i.type))


@form("mul", INTS, "d a b", needs="lo")
def mul_lo(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The low half of the product."""
    return m.mul(a, b)


@form("mul", INTS, "d a b", needs="hi")
def mul_hi(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The high half of the product."""
    return _high(m, i, a, b)


@form("mul", "u16 s16 u32 s32", "d:wide a b", needs="wide")
def mul_wide(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The whole product, twice as wide."""
    return _product(m, i, a, b)


@form("mad", INTS, "d a b c", needs="lo")
def mad_lo(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, the low half."""
    return m.add(m.mul(a, b), c)


@form("mad", INTS, "d a b c", needs="hi", mods="sat")
def mad_hi(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """The high half of a * b, plus c."""
    high = _high(m, i, a, b)
    return m.sadd_sat(high, c) if i.has("sat") else m.add(high, c)


@form("mad", "u16 s16 u32 s32", "d:wide a b c:wide", needs="wide")
def mad_wide(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """The whole product plus c, twice as wide."""
    return m.add(_product(m, i, a, b), c)


def _product24(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    def low(x: Any) -> Any:
        up = m.shl(x, m.const(x, 8))
        return m.ashr(up, m.const(x, 8)) if is_signed(i.type) else m.lshr(up, m.const(x, 8))

    product = m.mul(_extend(m, i, low(a), 64), _extend(m, i, low(b), 64))
    return m.trunc(m.lshr(product, m.const(product, 16)) if i.has("hi") else product, 32)


@form("mul24", "u32 s32", "d a b", needs="lo hi")
def mul24(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The product of 24-bit numbers, 48 bits: its low or its high 32."""
    return _product24(m, i, a, b)


@form("mad24", "u32 s32", "d a b c", needs="lo hi", mods="sat")
def mad24(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """mul24, plus c."""
    product = _product24(m, i, a, b)
    return m.sadd_sat(product, c) if i.has("sat") else m.add(product, c)


@form("sad", INTS, "d a b c")
def sad(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """c + |a - b|."""
    less = m.icmp("slt" if is_signed(i.type) else "ult", a, b)
    return m.add(c, m.select(less, m.sub(b, a), m.sub(a, b)))


@form("div", INTS, "d a b")
def div(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The quotient, towards zero. By zero it is unspecified: all ones here. The minimum / -1 is the minimum."""
    return m.divide(a, b, is_signed(i.type))[0]


@form("rem", INTS, "d a b")
def rem(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The remainder, with the dividend's sign. By zero it is unspecified: the dividend here."""
    return m.divide(a, b, is_signed(i.type))[1]


@form("abs", SIGNED, "d a")
def absolute(m: Lanes, i: Decoded, a: Any) -> Any:
    """|a|; of the minimum, the minimum."""
    return m.select(m.icmp("slt", a, m.const(a, 0)), m.sub(m.const(a, 0), a), a)


@form("neg", SIGNED, "d a")
def neg(m: Lanes, i: Decoded, a: Any) -> Any:
    """-a."""
    return m.sub(m.const(a, 0), a)


@form("min", INTS + " u16x2 s16x2", "d a b", mods="relu")
def minimum(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The smaller; .relu (signed) gives at least 0."""
    found = m.smin(a, b) if is_signed(i.type) else m.umin(a, b)
    return m.smax(found, m.const(a, 0)) if i.has("relu") else found


@form("max", INTS + " u16x2 s16x2", "d a b", mods="relu")
def maximum(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The larger; .relu (signed) gives at least 0."""
    found = m.smax(a, b) if is_signed(i.type) else m.umax(a, b)
    return m.smax(found, m.const(a, 0)) if i.has("relu") else found


@form("popc", "b32 b64", "d:u32 a")
def popc(m: Lanes, i: Decoded, a: Any) -> Any:
    """How many bits are set."""
    return m.resize(m.ctpop(a), 32)


@form("clz", "b32 b64", "d:u32 a")
def clz(m: Lanes, i: Decoded, a: Any) -> Any:
    """Leading zeros; the width for 0."""
    return m.resize(m.ctlz(a), 32)


@form("bfind", "u32 s32 u64 s64", "d:u32 a", mods="shiftamt")
def bfind(m: Lanes, i: Decoded, a: Any) -> Any:
    """The place of the highest bit that is no sign, or how far to shift it to the top; all ones when there is none."""
    width = bits(i.type)
    x = m.xor(a, m.ashr(a, m.const(a, width - 1))) if is_signed(i.type) else a
    lead = m.ctlz(x)
    at = lead if i.has("shiftamt") else m.sub(m.const(a, width - 1), lead)
    return m.resize(m.select(m.icmp("eq", x, m.const(a, 0)), m.const(a, -1), at), 32)


@form("fns", "b32", "d a:b32 b:b32 c:s32")
def fns(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """The place of the c-th set bit of a from bit b on, upwards for c > 0, downwards for c < 0; all ones for none."""
    none = m.const(a, -1)
    found = none
    zero = m.const(a, 0)
    up, down = zero, zero
    for bit in range(32):
        for at, count_up in ((bit, True), (31 - bit, False)):
            here = m.const(a, at)
            is_set = m.icmp("ne", m.and_(a, m.const(a, 1 << at)), zero)
            inside = m.icmp("uge" if count_up else "ule", here, b)
            step = m.zext(m.and_(is_set, inside), 32)
            if count_up:
                up = m.add(up, step)
                hit = m.and_(m.icmp("eq", up, c), m.icmp("sgt", c, zero))
            else:
                down = m.sub(down, step)
                hit = m.and_(m.icmp("eq", down, c), m.icmp("slt", c, zero))
            fresh = m.and_(m.icmp("eq", found, none), m.and_(hit, m.icmp("ne", step, zero)))
            found = m.select(fresh, here, found)
    at_b = m.icmp("ne", m.and_(m.lshift_right(a, b), m.const(a, 1)), zero)
    return m.select(m.icmp("eq", c, zero), m.select(at_b, b, none), found)


@form("brev", "b32 b64", "d a")
def brev(m: Lanes, i: Decoded, a: Any) -> Any:
    """The bits in reverse order."""
    return m.bitreverse(a)


@form("bfe", "u32 s32 u64 s64", "d a b:u32 c:u32")
def bfe(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """The field of c bits from bit b on, of each the low 8 bits count; filled up with its sign, which for a field past
    the top is a's highest bit."""
    width = bits(i.type)
    pos = m.resize(m.and_(b, m.const(b, 255)), width)
    length = m.resize(m.and_(c, m.const(c, 255)), width)
    one, zero, full = m.const(a, 1), m.const(a, 0), m.const(a, width)
    mask = m.sub(m.lshift_left(one, length), one)  # all ones from the width on
    mask = m.select(m.icmp("uge", length, full), m.const(a, -1), mask)
    field = m.and_(m.lshift_right(a, pos), mask)
    if not is_signed(i.type):
        return field
    last = m.umin(m.sub(m.add(pos, length), one), m.const(a, width - 1))
    sign = m.icmp("ne", m.and_(m.lshift_right(a, last), one), zero)
    sign = m.and_(sign, m.icmp("ne", length, zero))
    # What stands above the field, also where the field is past the top, is sign.
    top = m.select(m.icmp("ugt", m.add(pos, length), full), m.lshift_right(m.const(a, -1), pos), mask)
    top = m.and_(top, mask)
    return m.select(sign, m.or_(field, m.xor(top, m.const(a, -1))), field)


@form("bfi", "b32 b64", "d a b c:u32 e:u32")
def bfi(m: Lanes, i: Decoded, a: Any, b: Any, c: Any, e: Any) -> Any:
    """b with a's low e bits put in from bit c on."""
    width = bits(i.type)
    pos = m.resize(m.and_(c, m.const(c, 255)), width)
    length = m.resize(m.and_(e, m.const(e, 255)), width)
    one = m.const(a, 1)
    ones = m.select(
        m.icmp("uge", length, m.const(a, width)), m.const(a, -1), m.sub(m.lshift_left(one, length), one)
    )
    mask = m.lshift_left(ones, pos)
    return m.or_(m.and_(m.lshift_left(a, pos), mask), m.and_(b, m.xor(mask, m.const(a, -1))))


@form("szext", "u32 s32", "d a b:u32", needs="clamp wrap")
def szext(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The low b bits, extended."""
    n = m.and_(b, m.const(b, 31)) if i.has("wrap") else m.umin(b, m.const(b, 32))
    shift = m.sub(m.const(a, 32), n)
    up = m.lshift_left(a, shift)
    down = m.ashift_right(up, shift) if is_signed(i.type) else m.lshift_right(up, shift)
    return m.select(m.icmp("eq", n, m.const(a, 0)), m.const(a, 0), down)


@form("bmsk", "b32", "d a:u32 b:u32", needs="clamp wrap")
def bmsk(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """b ones from bit a on."""
    if i.has("wrap"):
        a, b = m.and_(a, m.const(a, 31)), m.and_(b, m.const(b, 31))
    ones = m.sub(m.lshift_left(m.const(a, 1), b), m.const(a, 1))
    ones = m.select(m.icmp("uge", b, m.const(b, 32)), m.const(a, -1), ones)
    return m.lshift_left(ones, a)


def _byte(m: Lanes, x: Any, at: int, width: int, signed: bool) -> Any:
    up = m.shl(x, m.const(x, 32 - width - at))
    return m.ashr(up, m.const(x, 32 - width)) if signed else m.lshr(up, m.const(x, 32 - width))


@form("dp4a", "u32 s32 ; u32 s32", "d:s32 a:s32 b:s32 c:s32")
def dp4a(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """c plus the four products of bytes."""
    for at in (0, 8, 16, 24):
        x = _byte(m, a, at, 8, is_signed(i.types[0]))
        c = m.add(c, m.mul(x, _byte(m, b, at, 8, is_signed(i.types[1]))))
    return c


@form("dp2a", "u32 s32 ; u32 s32", "d:s32 a:s32 b:s32 c:s32", needs="lo hi")
def dp2a(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """c plus the products of two halves with two bytes, the low or the high ones."""
    for at in (0, 1):
        x = _byte(m, a, 16 * at, 16, is_signed(i.types[0]))
        y = _byte(m, b, 8 * at + (16 if i.has("hi") else 0), 8, is_signed(i.types[1]))
        c = m.add(c, m.mul(x, y))
    return c


# -- 9.7.2 Extended-precision integer arithmetic: the carry is CC.CF
def _add_carry(m: Lanes, a: Any, b: Any, carry: Any) -> tuple[Any, Any]:
    first = m.add(a, b)
    total = m.add(first, m.zext(carry, bits_of(a)))
    return total, m.or_(m.icmp("ult", first, a), m.icmp("ult", total, first))


def bits_of(value: Any) -> int:
    """The width of a builder's integer."""
    return int(value.type[1:])


@form("add", "u32 s32 u64 s64", "d a b", needs="cc", carries="w")
def add_cc(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The sum, and its carry."""
    total = m.add(a, b)
    return total, m.icmp("ult", total, a)


@form("addc", "u32 s32 u64 s64", "d a b", mods="cc", carries="rw")
def addc(m: Lanes, i: Decoded, a: Any, b: Any, carry: Any) -> Any:
    """a + b + carry; .cc writes the new one."""
    total, out = _add_carry(m, a, b, carry)
    return (total, out) if i.has("cc") else (total, carry)


@form("sub", "u32 s32 u64 s64", "d a b", needs="cc", carries="w")
def sub_cc(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """The difference, and its borrow."""
    return m.sub(a, b), m.icmp("ult", a, b)


@form("subc", "u32 s32 u64 s64", "d a b", mods="cc", carries="rw")
def subc(m: Lanes, i: Decoded, a: Any, b: Any, borrow: Any) -> Any:
    """a - (b + borrow); .cc writes the new one."""
    first = m.sub(a, b)
    step = m.zext(borrow, bits_of(a))
    total = m.sub(first, step)
    out = m.or_(m.icmp("ult", a, b), m.icmp("ult", first, step))
    return (total, out) if i.has("cc") else (total, borrow)


@form("mad", "u32 s32 u64 s64", "d a b c", needs="cc ; lo hi", carries="w")
def mad_cc(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """mad, and its carry."""
    product = _high(m, i, a, b) if i.has("hi") else m.mul(a, b)
    total = m.add(product, c)
    return total, m.icmp("ult", total, product)


@form("madc", "u32 s32 u64 s64", "d a b c", needs="lo hi", mods="cc", carries="rw")
def madc(m: Lanes, i: Decoded, a: Any, b: Any, c: Any, carry: Any) -> Any:
    """mad plus the carry; .cc writes the new one."""
    product = _high(m, i, a, b) if i.has("hi") else m.mul(a, b)
    total, out = _add_carry(m, product, c, carry)
    return (total, out) if i.has("cc") else (total, carry)


# -- 9.7.6 Comparison and selection (floating point is in isa.ptx.floating)
RELATIONS = {
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge",
    "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge",
}  # fmt: skip


def compare(m: Lanes, i: Decoded, kind: str, a: Any, b: Any) -> Any:
    """The integer comparison of setp and set."""
    relation = RELATIONS[i.one(*RELATIONS)]
    if relation in ("lt", "le", "gt", "ge"):
        relation = ("s" if is_signed(kind) else "u") + relation
    return m.icmp(relation, a, b)


def combine(m: Lanes, i: Decoded, truth: Any, other: Any) -> Any:
    """The .and, .or or .xor of setp and set with a predicate."""
    word = i.one("and", "or", "xor")
    if not word:
        return truth
    operation = {"and": m.and_, "or": m.or_, "xor": m.xor}[word]
    return operation(truth, other)


_COMPARED = INTS + " " + BITS
_INT_RELATIONS = "eq ne lt le gt ge lo ls hi hs"


@form("setp", _COMPARED, "d:pred a b", needs=_INT_RELATIONS)
@form("setp", _COMPARED, "d:pred a b c:pred", needs=_INT_RELATIONS + " ; and or xor")
def setp(m: Lanes, i: Decoded, a: Any, b: Any, c: Any = None) -> Any:
    """A predicate from a comparison, and its contrary."""
    truth = compare(m, i, i.type, a, b)
    return combine(m, i, truth, c), combine(m, i, m.not_(truth), c)


@form("set", "u32 s32 f32 ; " + _COMPARED, "d a:2 b:2", needs=_INT_RELATIONS, mods="ftz")
@form(
    "set",
    "u32 s32 f32 ; " + _COMPARED,
    "d a:2 b:2 c:pred",
    needs=_INT_RELATIONS + " ; and or xor",
    mods="ftz",
)
def set_(m: Lanes, i: Decoded, a: Any, b: Any, c: Any = None) -> Any:
    """All ones (1.0 for f32) or zero from a comparison."""
    return truth_value(m, i, combine(m, i, compare(m, i, i.types[1], a, b), c))


def truth_value(m: Lanes, i: Decoded, truth: Any) -> Any:
    """A truth as set gives it in its first type."""
    if i.type == "f32":
        return m.bitcast(m.select_bits(truth, 0x3F800000, 32), "float")
    return m.sext(truth, 32)


@form("selp", "b16 u16 s16 b32 u32 s32 b64 u64 s64 f32 f64", "d a b c:pred")
def selp(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """a where c, else b."""
    return m.select(c, a, b)


@form("slct", "b16 u16 s16 b32 u32 s32 b64 u64 s64 f32 f64 ; s32", "d a b c:2")
def slct(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """a where c >= 0, else b."""
    return m.select(m.icmp("sge", c, m.const(c, 0)), a, b)


# -- 9.7.8 Logic and shifts
@form("and", "pred b16 b32 b64", "d a b")
def and_(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Bitwise and."""
    return m.and_(a, b)


@form("or", "pred b16 b32 b64", "d a b")
def or_(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Bitwise or."""
    return m.or_(a, b)


@form("xor", "pred b16 b32 b64", "d a b")
def xor(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Bitwise exclusive or."""
    return m.xor(a, b)


@form("not", "pred b16 b32 b64", "d a")
def not_(m: Lanes, i: Decoded, a: Any) -> Any:
    """Bitwise not."""
    return m.xor(a, m.const(a, -1))


@form("cnot", BITS, "d a")
def cnot(m: Lanes, i: Decoded, a: Any) -> Any:
    """1 for 0, else 0."""
    return m.zext(m.icmp("eq", a, m.const(a, 0)), bits(i.type))


@form("lop3", "b32", "d a b c e:imm")
def lop3(m: Lanes, i: Decoded, a: Any, b: Any, c: Any, table: int) -> Any:
    """Any logical operation on three inputs, by its truth table."""
    total = m.const(a, 0)
    for row in range(8):
        if table >> row & 1:
            term = m.const(a, -1)
            for bit, x in ((4, a), (2, b), (1, c)):
                term = m.and_(term, x if row & bit else m.xor(x, m.const(a, -1)))
            total = m.or_(total, term)
    return total


@form("shl", BITS, "d a b:u32")
def shl(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Shift left; amounts from the width on shift everything out."""
    return m.lshift_left(a, b)


@form("shr", BITS + " " + INTS, "d a b:u32")
def shr(m: Lanes, i: Decoded, a: Any, b: Any) -> Any:
    """Shift right, sign in for signed types; amounts from the width on count as the width."""
    return m.ashift_right(a, b) if is_signed(i.type) else m.lshift_right(a, b)


@form("shf", "b32", "d a b c:u32", needs="l r ; clamp wrap")
def shf(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """32 bits out of the 64 of b above a, shifted; .clamp limits the amount to 32, .wrap takes it modulo 32."""
    n = m.and_(c, m.const(c, 31)) if i.has("wrap") else m.umin(c, m.const(c, 32))
    both = m.or_(m.shl(m.zext(b, 64), m.const64(b, 32)), m.zext(a, 64))
    amount = m.zext(n, 64)
    if i.has("r"):
        return m.trunc(m.lshr(both, amount), 32)
    return m.trunc(m.lshr(m.shl(both, amount), m.const64(b, 32)), 32)


# -- 9.7.9 Data movement within a thread
@form("prmt", "b32", "d a b c:b32", mods="f4e b4e rc8 ecl ecr rc16")
def prmt(m: Lanes, i: Decoded, a: Any, b: Any, c: Any) -> Any:
    """Four bytes chosen out of the eight of b above a; bit 3 of a choice gives the sign instead."""
    both = m.or_(m.shl(m.zext(b, 64), m.const64(b, 32)), m.zext(a, 64))
    mode = i.one("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
    out = m.const(a, 0)
    low = m.and_(c, m.const(c, 3))
    for place in range(4):
        choice = (
            m.and_(m.lshr(c, m.const(c, 4 * place)), m.const(c, 15))
            if not mode
            else _mode(m, mode, low, place)
        )
        at = m.shl(m.and_(choice, m.const(c, 7)), m.const(c, 3))
        byte = m.and_(m.trunc(m.lshr(both, m.zext(at, 64)), 32), m.const(a, 255))
        if not mode:
            sign = m.select_bits(m.icmp("ugt", byte, m.const(a, 127)), 255, 32)
            byte = m.select(m.icmp("ugt", choice, m.const(c, 7)), sign, byte)
        out = m.or_(out, m.shl(byte, m.const(a, 8 * place)))
    return out


def _mode(m: Lanes, mode: str, low: Any, place: int) -> Any:
    """The byte that a mode of prmt puts at a place, PTX ISA 9.7.9.7."""
    if mode == "f4e":
        return m.add(low, m.const(low, place))
    if mode == "b4e":
        return m.and_(m.sub(low, m.const(low, place)), m.const(low, 7))
    if mode == "rc8":
        return low
    if mode == "ecl":
        return m.umax(low, m.const(low, place))
    if mode == "ecr":
        return m.umin(low, m.const(low, place))
    return m.add(m.shl(m.and_(low, m.const(low, 1)), m.const(low, 1)), m.const(low, place & 1))


_MOVED = "pred b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 f16 bf16 f32 f64 f16x2 bf16x2"


@form("mov", _MOVED, "d a")
def mov(m: Lanes, i: Decoded, a: Any) -> Any:
    """A copy; also of vectors into one register and back, and of the address of a variable."""
    return a
