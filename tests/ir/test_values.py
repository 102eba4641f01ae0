"""Val: widths, Python's operators, and the messages for what a semantics function may not do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polyvm.ir.ops import OPS
from polyvm.ir.trace import Tracer
from polyvm.ir.values import SpecError, Val


@pytest.fixture
def m() -> Tracer:
    return Tracer({}, 4)


def field(m: Tracer, name: str, bits: int) -> Val:
    return m.emit("field", bits, (), name)


def test_a_value_decides_nothing_in_python(m: Tracer) -> None:
    x = field(m, "x", 64)
    with pytest.raises(SpecError, match=r"m\.select.*m\.when.*shape field"):
        bool(x == 0)
    with pytest.raises(SpecError, match="needs a number"):
        list(range(x))  # type: ignore[call-overload]  # that is the mistake
    with pytest.raises(SpecError, match="condition"):
        _ = x in [field(m, "y", 64)]


def test_values_can_stand_in_sets(m: Tracer) -> None:
    x, y = field(m, "x", 8), field(m, "y", 8)
    assert len({x, y, x}) == 2


OPERATORS: dict[str, Callable[[Val, Val], Val]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << b,
    "lshr": lambda a, b: a >> b,
    "ashr": lambda a, b: a.asr(b),
    "rotl": lambda a, b: a.rotl(b),
    "rotr": lambda a, b: a.rotr(b),
    "udiv": lambda a, b: a.udiv(b),
    "sdiv": lambda a, b: a.sdiv(b),
    "urem": lambda a, b: a.urem(b),
    "srem": lambda a, b: a.srem(b),
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ult": lambda a, b: a.ult(b),
    "ule": lambda a, b: a.ule(b),
    "slt": lambda a, b: a.slt(b),
    "sle": lambda a, b: a.sle(b),
}
COMPARE = ("eq", "ne", "ult", "ule", "slt", "sle")


@pytest.mark.parametrize("op", OPERATORS)
def test_operators_make_ops(op: str, m: Tracer) -> None:
    x, y = field(m, "x", 32), field(m, "y", 32)
    made = OPERATORS[op](x, y)
    assert (made.op, made.bits, made.args) == (op, 1 if op in COMPARE else 32, (x, y))


def test_mirrored_comparisons(m: Tracer) -> None:
    x, y = field(m, "x", 32), field(m, "y", 32)
    assert (x.uge(y).op, x.uge(y).args) == ("ule", (y, x))
    assert (x.sge(5).op, x.sge(5).args[1]) == ("sle", x)


@pytest.mark.parametrize("op", [op for op in OPERATORS if op not in ("shl", "lshr", "ashr", "rotl", "rotr")])
def test_operands_must_have_one_width(op: str, m: Tracer) -> None:
    with pytest.raises(SpecError, match="operands of 32 and 16 bits"):
        OPERATORS[op](field(m, "x", 32), field(m, "y", 16))


def test_numbers_take_the_width_of_their_partner(m: Tracer) -> None:
    made = field(m, "x", 8) + -1
    assert (made.args[1].op, made.args[1].bits, made.args[1].attr) == ("const", 8, 255)


def test_shift_counts_may_be_narrower_and_never_wider(m: Tracer) -> None:
    x, count = field(m, "x", 64), field(m, "n", 6)
    assert (x << count).args[1].op == "zext"
    with pytest.raises(SpecError, match="operands of 32 and 64 bits"):
        field(m, "y", 32) << x
    with pytest.raises(SpecError, match="by 65"):
        x << 65
    with pytest.raises(SpecError, match="by -1"):
        x >> -1
    assert (x >> 64).args[1].attr == 64


def test_negation_and_inversion(m: Tracer) -> None:
    x = field(m, "x", 16)
    assert ((-x).op, (-x).args[0].attr, (-x).args[1]) == ("sub", 0, x)
    assert ((~x).op, (~x).args[1].attr) == ("xor", 0xFFFF)


def test_widening_and_narrowing(m: Tracer) -> None:
    x = field(m, "x", 16)
    assert (x.zext(64).op, x.sext(64).bits, x.trunc(8).bits) == ("zext", 64, 8)
    assert x.zext(16) is x
    assert x.sext(16) is x
    assert x.trunc(16) is x
    for wrong in (lambda: x.zext(8), lambda: x.sext(8), lambda: x.trunc(17), lambda: x.zext(513)):
        with pytest.raises(SpecError):
            wrong()


def test_bit_ranges_include_both_ends(m: Tracer) -> None:
    x = field(m, "x", 32)
    low = x[7:0]
    assert (low.op, low.bits, low.args) == ("trunc", 8, (x,))
    middle = x[15:8]
    assert (middle.op, middle.bits, middle.args[0].op) == ("trunc", 8, "lshr")
    assert x[31].bits == 1
    assert x[31:0] is x
    for wrong in (slice(32, 0), slice(0, 7), slice(7, -1), slice(None, 0), 32):
        with pytest.raises(SpecError, match="bit range"):
            x[wrong]


def test_functions_on_bits(m: Tracer) -> None:
    x, y = field(m, "x", 64), field(m, "y", 64)
    for made, op in ((x.clz(), "clz"), (x.ctz(), "ctz"), (x.popcount(), "popcount"), (x.bswap(), "bswap"),
                     (x.bitrev(), "bitrev"), (x.permute(y, 8), "permute")):  # fmt: skip
        assert (made.op, made.bits) == (op, 64)
    assert x.clmul(y).bits == 128
    assert [x.add_sat(y, signed=signed).op for signed in (True, False)] == ["sadd_sat", "uadd_sat"]
    assert [x.sub_sat(y, signed=signed).op for signed in (True, False)] == ["ssub_sat", "usub_sat"]


def test_a_value_shows_what_it_is(m: Tracer) -> None:
    assert repr(field(m, "x", 12)) == "<field i12 'x'>"
    assert repr(field(m, "x", 12).sext(64)) == "<sext i64>"


def test_the_table_of_ops_is_consistent() -> None:
    for name, info in OPS.items():
        assert info.name == name
        assert info.meaning
        # What is pure has no effect of any kind.
        assert not (info.pure and (info.leaves or info.writes or info.stores))
        assert not info.stores or info.leaves
