"""Lanes: each operator is the op on every lane, places are what they are called, and mistakes are explained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.ir import golden
from polyvm.ir.golden import execute, signed
from polyvm.ir.lanes import Lanes
from polyvm.ir.ops import COMPARISONS, CRYPTO_KINDS, FLOATING, FP_FLAGS, OPS
from polyvm.ir.trace import Tracer, record
from polyvm.ir.values import SpecError, Val
from polyvm.ir.verify import verify
from tests.ir.test_golden import Memory, State, pure

Numbers = list[int]


@pytest.fixture
def m() -> Tracer:
    return Tracer({}, 4)


def field(m: Tracer, bits: int, name: str = "x") -> Val:
    return m.emit("field", bits, (), name)


def join(lanes: Numbers, bits: int) -> int:
    return sum((lane & (1 << bits) - 1) << i * bits for i, lane in enumerate(lanes))


def split(value: int, bits: int, count: int) -> Numbers:
    return [value >> i * bits & (1 << bits) - 1 for i in range(count)]


def run(body: Callable[[Tracer, list[Val]], Val], widths: list[int], values: list[int]) -> int:
    """What a body makes of some values, evaluated, and folded, which must agree."""

    def traced(m: Tracer, **operands: Val) -> None:
        m.set(("result", 0), body(m, [*operands.values()]))

    fields = {f"f{i}": width for i, width in enumerate(widths)}
    trace = record(traced, {}, 4, {}, fields)
    verify(trace, "the test")
    state = State()
    execute(trace, dict(zip(fields, values, strict=True)), 0, state, Memory())
    result = state.read(("result", 0))
    tracer = Tracer({}, 4)
    folded = body(tracer, [tracer.const(v, width) for v, width in zip(values, widths, strict=True)])
    assert (folded.op, folded.attr) == ("const", result)
    return result


# -- Each op is the op of the table on every lane
FORMS = st.sampled_from([(count, bits) for count in (1, 2, 3, 4, 8, 16) for bits in (1, 8, 16, 24, 32, 64)
                         if count * bits <= 128])  # fmt: skip
PLAIN = [n for n, info in OPS.items() if info.pure and info.arity and n not in
         ("zext", "sext", "trunc", "clmul", "permute", "bswap", "select", *CRYPTO_KINDS)]  # fmt: skip


@given(st.sampled_from(PLAIN), FORMS, st.data())
def test_every_op_is_done_lane_by_lane(op: str, form: tuple[int, int], data: st.DataObject) -> None:
    count, bits = form
    arity = OPS[op].arity or 0
    result = 1 if op in COMPARISONS else bits
    args = [[data.draw(st.integers(0, 2**bits - 1)) for _ in range(count)] for _ in range(arity)]
    whole = pure("lanes", count * result, *((join(a, bits), count * bits) for a in args),
                 attr=(op, count, (bits,) * arity, None))  # fmt: skip
    lanes = [pure(op, result, *((a[i], bits) for a in args)) for i in range(count)]
    assert whole == join(lanes, result)


@given(
    st.sampled_from(["zext", "sext", "trunc"]),
    st.sampled_from([(8, 16), (1, 8), (32, 64), (5, 13)]),
    st.data(),
)
def test_widths_change_lane_by_lane(op: str, widths: tuple[int, int], data: st.DataObject) -> None:
    source, to = widths if op != "trunc" else widths[::-1]
    count = data.draw(st.integers(1, 128 // max(widths)))
    lanes = [data.draw(st.integers(0, 2**source - 1)) for _ in range(count)]
    whole = pure(
        "lanes", count * to, (join(lanes, source), count * source), attr=(op, count, (source,), None)
    )
    assert whole == join([pure(op, to, (lane, source)) for lane in lanes], to)


@given(st.sampled_from([16, 32, 64]), st.data())
def test_floating_point_is_done_lane_by_lane_and_exceptions_add_up(bits: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 128 // bits))
    op = data.draw(st.sampled_from(["fadd", "fmul", "fdiv", "fmin", "flt", "fma"]))
    arity, attr = OPS[op].arity or 0, None if op in ("fmin", "flt") else 2
    args = [[data.draw(st.integers(0, 2**bits - 1)) for _ in range(count)] for _ in range(arity)]

    def body(m: Tracer, operands: list[Val]) -> None:
        lanes = [operand.lanes(bits) for operand in operands]
        made = getattr(m, op)(*lanes, *([] if attr is None else [attr]))
        assert isinstance(made, Lanes)
        m.set(("result", 0), made.whole)

    names = {f"f{i}": count * bits for i in range(arity)}
    trace = record(lambda m, **operands: body(m, [*operands.values()]), {}, 4, {}, names)
    verify(trace, "the test")
    state = State()
    execute(trace, dict(zip(names, (join(a, bits) for a in args), strict=True)), 0, state, Memory())
    answers = [
        golden._FLOAT[op]([a[i] for a in args], bits if op != "flt" else 1, bits, attr, 2, golden.Style())
        for i in range(count)
    ]
    assert state.read(("result", 0)) == join([int(value) for value, _ in answers], 1 if op == "flt" else bits)
    flags = 0
    for _, raised in answers:
        flags |= raised
    assert state.read(FP_FLAGS) == flags


# -- Python's operators
def clamp(value: int, bits: int, is_signed: bool) -> int:
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    return min(max(value, low), high)


def s(value: int) -> int:
    return signed(value, 16)


# operator -> (on lanes, on numbers of 16 bits)
OPERATORS: dict[str, tuple[Callable[[Lanes, Lanes], Lanes], Callable[[int, int], int]]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "&": (lambda a, b: a & b, lambda a, b: a & b),
    "|": (lambda a, b: a | b, lambda a, b: a | b),
    "^": (lambda a, b: a ^ b, lambda a, b: a ^ b),
    "~": (lambda a, b: ~a, lambda a, b: ~a),
    "neg": (lambda a, b: -a, lambda a, b: -a),
    "<<": (lambda a, b: a << b, lambda a, b: a << b if b < 16 else 0),
    ">>": (lambda a, b: a >> b, lambda a, b: a >> b),
    "asr": (lambda a, b: a.asr(b), lambda a, b: s(a) >> b),
    "<< 3": (lambda a, b: a << 3, lambda a, b: a << 3),
    ">> 16": (lambda a, b: a >> 16, lambda a, b: 0),
    "asr 0": (lambda a, b: a.asr(0), lambda a, b: a),
    "uadd": (lambda a, b: a.add_sat(b, signed=False), lambda a, b: clamp(a + b, 16, False)),
    "sadd": (lambda a, b: a.add_sat(b, signed=True), lambda a, b: clamp(s(a) + s(b), 16, True)),
    "usub": (lambda a, b: a.sub_sat(b, signed=False), lambda a, b: clamp(a - b, 16, False)),
    "ssub": (lambda a, b: a.sub_sat(b, signed=True), lambda a, b: clamp(s(a) - s(b), 16, True)),
    "clz": (lambda a, b: a.clz(), lambda a, b: 16 - a.bit_length()),
    "ctz": (lambda a, b: a.ctz(), lambda a, b: (a & -a).bit_length() - 1 if a else 16),
    "popcount": (lambda a, b: a.popcount(), lambda a, b: a.bit_count()),
    "bswap": (lambda a, b: a.bswap(), lambda a, b: a >> 8 | a << 8),
    "bitrev": (lambda a, b: a.bitrev(), lambda a, b: int(f"{a:016b}"[::-1], 2)),
    "smin": (lambda a, b: a.smin(b), lambda a, b: min(s(a), s(b))),
    "smax": (lambda a, b: a.smax(b), lambda a, b: max(s(a), s(b))),
    "umin": (lambda a, b: a.umin(b), lambda a, b: min(a, b)),
    "umax": (lambda a, b: a.umax(b), lambda a, b: max(a, b)),
    "==": (lambda a, b: a == b, lambda a, b: a == b),
    "!=": (lambda a, b: a != b, lambda a, b: a != b),
    "ult": (lambda a, b: a.ult(b), lambda a, b: a < b),
    "ule": (lambda a, b: a.ule(b), lambda a, b: a <= b),
    "slt": (lambda a, b: a.slt(b), lambda a, b: s(a) < s(b)),
    "sle": (lambda a, b: a.sle(b), lambda a, b: s(a) <= s(b)),
    "uge": (lambda a, b: a.uge(b), lambda a, b: a >= b),
    "sge": (lambda a, b: a.sge(b), lambda a, b: s(a) >= s(b)),
    "clmul": (lambda a, b: a.trunc(8).clmul(b.trunc(8)), lambda a, b: pure("clmul", 16, (a & 255, 8), (b & 255, 8))),
    "zext": (lambda a, b: a.trunc(8).zext(16), lambda a, b: a & 255),
    "sext": (lambda a, b: a.trunc(8).sext(16), lambda a, b: signed(a & 255, 8)),
    "mask": (lambda a, b: (a == b).sext(16), lambda a, b: -(a == b)),
    "select": (lambda a, b: a.slt(b).select(b, 7), lambda a, b: b if s(a) < s(b) else 7),
    "with a number": (lambda a, b: a + -1, lambda a, b: a - 1),
    "with a value": (lambda a, b: a + b[0].tracer.const(-2, 16), lambda a, b: a - 2),
    "shifted by a short value": (lambda a, b: a >> b[0].tracer.const(5, 3), lambda a, b: a >> 5),
}  # fmt: skip
LANE = st.one_of(st.integers(0, 2**16 - 1), st.integers(0, 17), st.sampled_from([0x7FFF, 0x8000, 0xFFFF]))


@pytest.mark.parametrize("name", OPERATORS)
@given(st.lists(st.tuples(LANE, LANE), min_size=1, max_size=8))
def test_operators(name: str, pairs: list[tuple[int, int]]) -> None:
    ours, theirs = OPERATORS[name]
    width = 16 * len(pairs)
    lanes_bits = []

    def body(m: Tracer, operands: list[Val]) -> Val:
        made = ours(operands[0].lanes(16), operands[1].lanes(16))
        assert made.count == len(pairs)
        lanes_bits.append(made.bits)
        return made.whole

    result = run(body, [width, width], [join([pair[side] for pair in pairs], 16) for side in range(2)])
    assert result == join([theirs(a, b) for a, b in pairs], lanes_bits[0])


# -- Places
@given(st.sampled_from([8, 16, 32, 64, 5]), st.data())
def test_places(bits: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 64 // bits))
    a, b = ([data.draw(st.integers(0, 2**bits - 1)) for _ in range(count)] for _ in range(2))
    indexes = data.draw(st.lists(st.integers(-1, 2 * count - 1), min_size=1, max_size=128 // bits))
    number = data.draw(st.integers(0, count - 1))
    widths, values = [count * bits] * 2, [join(a, bits), join(b, bits)]

    def check(make: Callable[[Lanes, Lanes], Lanes | Val], expected: Numbers) -> None:
        def body(m: Tracer, operands: list[Val]) -> Val:
            made = make(operands[0].lanes(bits), operands[1].lanes(bits))
            return made.whole if isinstance(made, Lanes) else made

        assert run(body, widths, values) == join(expected, bits)

    check(lambda x, y: x.pick(indexes, y), [[*a, *b, 0][i] for i in indexes])
    check(lambda x, y: x[number], [a[number]])
    check(lambda x, y: x[-1], [a[-1]])
    check(lambda x, y: x.join(y), a + b)
    check(lambda x, y: Lanes.splat(y[number], 128 // bits), [b[number]] * (128 // bits))
    check(
        lambda x, y: Lanes.of([x[0], y[number], y[0]][: 128 // bits]), [a[0], b[number], b[0]][: 128 // bits]
    )
    if count % 2 == 0:
        check(lambda x, y: x.low(), a[: count // 2])
        check(lambda x, y: y.high(), b[count // 2 :])
    check(lambda x, y: x.any().zext(bits), [int(any(a))])


def test_one_bit_chooses_all_lanes_and_lanes_of_one_bit_choose_lanes(m: Tracer) -> None:
    a, b = field(m, 64, "a").lanes(16), field(m, 64, "b").lanes(16)
    whole = m.select(field(m, 1, "c"), a, b)
    assert (whole.bits, whole.whole.op) == (16, "select")
    each = m.select(a == b, a, 5)
    assert (each.bits, each.whole.op) == (16, "lanes")
    with pytest.raises(SpecError, match="chooses lanes"):
        m.select(a == b, a.whole, b.whole)


def test_one_lane_is_a_plain_value(m: Tracer) -> None:
    a, b = field(m, 64, "a").lanes(64), field(m, 64, "b").lanes(64)
    made = m.fadd((a + b).slt(a).select(a, b.asr(3)), a.zext(128).trunc(64))
    assert {op.op for op in m.trace().ops} >= {"add", "slt", "select", "ashr", "fadd", "zext", "trunc"}
    assert not {"lanes", "flanes"} & {op.op for op in m.trace().ops}
    assert made.count == 1


def test_every_floating_point_method_takes_lanes(m: Tracer) -> None:
    a, whole = field(m, 64).lanes(32), field(m, 128, "w").lanes(64)
    made = {
        "fadd": m.fadd(a, a), "fsub": m.fsub(a, a), "fmul": m.fmul(a, a), "fdiv": m.fdiv(a, a), "fsqrt": m.fsqrt(a),
        "fma": m.fma(a, a, a), "fmin": m.fmin(a, a), "fmax": m.fmax(a, a), "feq": m.feq(a, a), "flt": m.flt(a, a),
        "fle": m.fle(a, a), "fcvt": m.fcvt(a, 64), "ftoi": m.ftoi(a, 64, signed=True),
        "itof": m.itof(a, 64, signed=False), "fminimum": m.fminimum(a, a), "fmaximum": m.fmaximum(a, a),
        "frint": m.frint(a, exact=True), "fresize": m.fresize(a, 64), "fcmp": m.fcmp(a, a, signaling=False),
    }  # fmt: skip
    assert set(made) == FLOATING
    for name, lanes in made.items():
        assert (lanes.whole.op, lanes.whole.attr[0], lanes.count) == ("flanes", name, 2)  # type: ignore[index]
        short = {"feq": 1, "flt": 1, "fle": 1, "fcmp": 4}
        assert lanes.bits == (64 if name in ("fcvt", "fresize", "ftoi", "itof") else short.get(name, 32))
    assert m.fcvt(whole, 32).whole.bits == 64


# -- Mistakes
def test_lanes_decide_nothing_in_python(m: Tracer) -> None:
    with pytest.raises(SpecError, match=r"mask\.select.*any"):
        bool(field(m, 64).lanes(8) == 0)


MISTAKES: dict[str, Callable[[Lanes, Lanes], object]] = {
    "64 bits in lanes of 5": lambda a, b: a.lanes(5),
    "lanes of 16 and 8 bits": lambda a, b: a + b,
    "add of 4 and of 2 lanes": lambda a, b: a + b.low().low().zext(16),
    "and of 4 and of 2 lanes": lambda a, b: a & b.low().low().zext(16),
    "4 lanes of 256 bits; .* widen halves": lambda a, b: a.zext(256),
    "zext from 16 to 8": lambda a, b: a.zext(8),
    "trunc from 16 to 32": lambda a, b: a.trunc(32),
    "shift of 16 bits by 17": lambda a, b: a << 17,
    "lanes of one bit choose": lambda a, b: a.select(a, a),
    "lanes of 16 and 8 bits;? ?": lambda a, b: a.pick([0], b),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(message: str, m: Tracer) -> None:
    a, b = field(m, 64, "a").lanes(16), field(m, 64, "b").lanes(8)
    with pytest.raises(SpecError, match=message):
        MISTAKES[message](a, b)


def test_lanes_show_what_they_are_and_can_stand_in_sets(m: Tracer) -> None:
    a = field(m, 64).lanes(16)
    assert repr(a) == "<4 lanes of i16: <field i64 'x'>>"
    assert len({a, a}) == 1
    assert split(join([1, 2, 3], 5), 5, 3) == [1, 2, 3]
