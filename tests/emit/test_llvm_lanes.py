"""Ops on lanes as native code against the golden evaluator: every op that lanes can have, in every number of them."""

from __future__ import annotations

import platform
import random
from collections.abc import Iterator
from functools import cache

import pytest

from polyvm.emit import llvm_float
from polyvm.ir import golden
from polyvm.ir.lanes import Lanes
from polyvm.ir.ops import COMPARISONS, CRYPTO_KINDS, FLOAT_STYLES, FLOATING, FP_FLAGS, OPS, ROUND_DYNAMIC
from polyvm.ir.trace import Trace, Tracer, record
from polyvm.ir.values import Val
from polyvm.ir.verify import verify
from tests.emit.floatprobe import GOLDEN, OPERANDS, RESULTS, Body, DeferredFunction, Function, Native
from tests.emit.floatvalues import HOST_MODES, scattered, specials
from tests.emit.test_deferred import Environment

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")

Case = tuple[str, int, tuple[int, ...], int, object]
"""An op, the number of lanes, the widths of its arguments' lanes and of its result's, its attr."""

# (count, width): whole vectors and halves of them, one lane, and what no vector has.
FORMS = [(count, bits) for bits in (8, 16, 32, 64) for count in (1, 2, 4, 8, 16) if count * bits <= 128]
ODD = [(3, 8), (2, 24), (4, 5), (5, 16), (16, 1), (64, 1)]
WIDENED = [(8, 16), (8, 32), (8, 64), (16, 32), (32, 64), (1, 8), (1, 16), (1, 32), (1, 64), (8, 24)]
OWN = frozenset(
    {"zext", "sext", "trunc", "clmul", "permute", "bswap", "select", "lanes", "shuffle", *CRYPTO_KINDS}
)
"""Ops with forms of their own; all others take and give one width, or compare."""


def cases() -> Iterator[Case]:
    for name, info in OPS.items():
        if not info.pure or not info.arity or name in OWN:
            continue
        for count, bits in FORMS + ODD:
            yield name, count, (bits,) * info.arity, 1 if name in COMPARISONS else bits, None
    for count in (1, 2, 3, 4, 8, 16):
        for narrow, wide in WIDENED:
            if count * wide <= 128:
                yield "zext", count, (narrow,), wide, None
                yield "sext", count, (narrow,), wide, None
                yield "trunc", count, (wide,), narrow, None
        for bits in (8, 16, 32, 64):
            if count * bits <= 128:
                yield "select", count, (1, bits, bits), bits, None
            if count * bits <= 64:
                yield "clmul", count, (bits, bits), 2 * bits, None
    for count, bits in FORMS:
        if bits >= 16:
            yield "bswap", count, (bits,), bits, None
            yield "permute", count, (bits, bits), bits, 8
            yield "permute", count, (bits, bits), bits, 4


def float_cases() -> Iterator[Case]:
    for count, bits in [*((c, b) for c, b in FORMS if b > 8), (3, 32)]:
        for mode in (ROUND_DYNAMIC, 0, 1):
            for name in ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma"):
                yield name, count, (bits,) * (OPS[name].arity or 0), bits, mode
            for other in (16, 32, 64):
                if count * other <= 128:
                    if other != bits:
                        yield "fcvt", count, (bits,), other, mode
                        yield "fresize", count, (bits,), other, mode
                    yield "itof", count, (other,), bits, (bool(mode), mode)
                    if other != 16 or bits == 16:  # what is no half has no short integer on the host
                        yield "ftoi", count, (bits,), other, (bool(mode), mode)
            if (bits, count * bits <= 64) == (16, True):
                yield "fma", count, (bits, bits, 2 * bits), 2 * bits, mode
            for exact in (True, False):
                yield "frint", count, (bits,), bits, (exact, mode)
        for name in ("fmin", "fmax", "fminimum", "fmaximum", "feq", "flt", "fle"):
            yield name, count, (bits, bits), 1 if name in COMPARISONS else bits, None
        for signaling in (True, False):
            yield "fcmp", count, (bits, bits), 4, signaling


def symbol(case: Case) -> str:
    name, count, widths, bits, attr = case
    extra = attr if isinstance(attr, tuple) else () if attr is None else (attr,)
    return "_".join(map(str, (name, count, *widths, "to", bits, *map(int, extra))))


def argument(operands: dict[str, Val], number: int, bits: int) -> Val:
    """An argument of up to 128 bits, out of two fields."""
    low, high = (operands[OPERANDS[2 * number + half]] for half in range(2))
    return (low.zext(128) | (high.zext(128) << 64)).trunc(bits)


def result(m: Tracer, value: Val, place: int = 0) -> None:
    m.set(("result", place), value.trunc(min(value.bits, 64)).zext(64))
    if value.bits > 64:
        m.set(("result", place + 1), value[value.bits - 1 : 64].zext(64))


@cache
def trace(case: Case, floats: str = "canonical") -> Trace:
    name, count, widths, bits, attr = case

    def body(m: Tracer, **operands: Val) -> None:
        args = tuple(argument(operands, i, count * w) for i, w in enumerate(widths))
        kind = "flanes" if name in FLOATING else "lanes"
        result(m, m.emit(kind, count * bits, args, (name, count, widths, attr)))

    made = record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64), floats)
    verify(made, symbol(case))
    return made


def native(traces: dict[str, Trace], body: type[Body] = Function, cpu: str = "x86-64-v3") -> Native:
    return Native(traces, cpu, body=body)


def lane_values(rng: random.Random, bits: int, count: int, floating: bool) -> int:
    """Lanes of corners, small numbers and anything."""
    value = 0
    for i in range(count):
        if floating and bits in (16, 32, 64) and rng.random() < 0.8:
            lane = rng.choice(specials(bits)) if rng.random() < 0.3 else scattered(rng, bits)
        elif rng.random() < 0.5:
            top = 1 << bits
            lane = (
                rng.choice((0, 1, 2, bits - 1, bits, bits + 1, top - 1, top // 2, top // 2 - 1, top - bits))
                % top
            )
        else:
            lane = rng.getrandbits(rng.randint(1, bits))
        value |= lane << i * bits
    return value


def agree(compiled: Native, name: str, made: Trace, values: list[int], mode: int, flags: int) -> bool:
    """Whether native code and the evaluator end in the same state; False where native code left."""
    operands = [value >> 64 * half & (1 << 64) - 1 for value in values for half in range(2)]
    operands += [0] * (8 - len(operands))
    state = Environment(mode, flags)
    golden.execute(made, dict(zip(OPERANDS, operands, strict=True)), 0, state, None)  # type: ignore[arg-type]
    expected = [state.slots.get(("result", i), 0) for i in range(RESULTS)]
    results, raised, after = compiled.call(name, operands, mode, flags)
    if raised & GOLDEN:
        return False
    assert (results, raised, after) == (expected, state.read(FP_FLAGS), mode), (
        name,
        list(map(hex, values)),
        mode,
    )
    return True


def test_every_op_that_lanes_can_have_is_tried() -> None:
    pure = {name for name, info in OPS.items() if info.pure and info.arity}
    assert {case[0] for case in cases()} == pure - CRYPTO_KINDS.keys()
    assert {case[0] for case in float_cases()} == FLOATING


@pytest.mark.parametrize("cpu", ["x86-64-v3", "host"])
def test_lanes_agree_with_the_golden_evaluator(cpu: str, rng: random.Random, full: bool) -> None:
    # Carry-less products need an instruction that the least host is not sure to have; doctor asks for it.
    every = [case for case in cases() if case[0] != "clmul" or cpu == "host"]
    compiled = native({symbol(case): trace(case) for case in every}, cpu=cpu)
    for case in every:
        for _ in range(400 if full else 12):
            values = [lane_values(rng, bits, case[1], False) for bits in case[2]]
            assert agree(compiled, symbol(case), trace(case), values, 0, 0)


@pytest.mark.parametrize("floats", FLOAT_STYLES)
@pytest.mark.parametrize("body", [Function, DeferredFunction])
def test_floating_point_lanes_agree_with_the_golden_evaluator(
    body: type[Body], floats: str, rng: random.Random, full: bool
) -> None:
    every = list(float_cases())
    compiled = native({symbol(case): trace(case, floats) for case in every}, body)
    for case in every:
        for _ in range(300 if full else 15):
            values = [lane_values(rng, bits, case[1], case[0] != "itof") for bits in case[2]]
            flags = rng.choice((0, rng.getrandbits(5)))
            assert agree(compiled, symbol(case), trace(case, floats), values, rng.choice(HOST_MODES), flags)


def test_what_the_host_cannot_round_is_left_to_the_golden_evaluator() -> None:
    case: Case = ("fadd", 4, (32, 32), 32, ROUND_DYNAMIC)
    compiled = native({symbol(case): trace(case)})
    assert not agree(compiled, symbol(case), trace(case), [0, 0], 4, 0)
    without = Native({"f": trace(("fma", 4, (32, 32, 32), 32, 0))}, features=llvm_float.FEATURES - {"fma"})
    assert not agree(without, "f", trace(("fma", 4, (32, 32, 32), 32, 0)), [0, 0, 0], 0, 0)


# -- shuffles
SHUFFLES: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = [
    # width of a lane, widths of the arguments, indexes
    (8, (8,), (0,) * 16),
    (32, (32,), (0, 0)),
    (64, (64, 64), (0, 1)),
    (64, (64, 64), (1, 0)),
    (64, (64,), (0, -1)),
    (8, (128, 128), tuple(range(3, 19))),
    (16, (128, 128), (0, 8, 1, 9, 2, 10, 3, 11)),
    (16, (128,), tuple(range(7, -1, -1))),
    (32, (128, 32), (0, 4, 2, 3)),
    (32, (32, 128), (1, 0, 3, -1)),
    (8, (64, 128), (0, 8, -1, 23, 7, 15, 9, 1)),
    (8, (128,), (5,)),
    (64, (128,), (1,)),
    (64, (128,), (-1, 0)),
    (128, (128,), (0,)),
    (1, (16,), (3, 1, 0, -1, 15)),
    (4, (64,), (15, -1, 3)),
    (24, (48, 24), (2, -1, 0)),
    (32, (96,), (2, 0)),
    (8, (128, 128), (-1,) * 16),
]


def shuffled(bits: int, widths: tuple[int, ...], indexes: tuple[int, ...]) -> Trace:
    def body(m: Tracer, **operands: Val) -> None:
        args = tuple(argument(operands, i, width) for i, width in enumerate(widths))
        result(m, m.emit("shuffle", bits * len(indexes), args, (bits, indexes)))

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64))


def random_shuffle(rng: random.Random) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    bits = rng.choice((8, 16, 32, 64, 4))
    most = 128 // bits
    widths = tuple(
        bits * rng.choice((1, most, most // 2, rng.randint(1, most))) for _ in range(rng.choice((1, 2)))
    )
    count = rng.choice((1, most, most // 2, rng.randint(1, most)))
    return bits, widths, tuple(rng.randrange(-1, sum(widths) // bits) for _ in range(count))


def test_shuffles_agree_with_the_golden_evaluator(rng: random.Random, full: bool) -> None:
    every = SHUFFLES + [random_shuffle(rng) for _ in range(600 if full else 120)]
    traces = {f"s{i}": shuffled(*row) for i, row in enumerate(every)}
    compiled = native(traces)
    for name, row in zip(traces, every, strict=True):
        for _ in range(5):
            values = [rng.getrandbits(width) for width in row[1]]
            assert agree(compiled, name, traces[name], values, 0, 0), row


@pytest.mark.parametrize("features", [llvm_float.FEATURES, frozenset()], ids=["pshufb", "none"])
def test_look_ups_of_bytes(features: frozenset[str], rng: random.Random) -> None:
    def body(bits: int) -> Trace:
        def look(m: Tracer, **operands: Val) -> None:
            table, index = (argument(operands, i, bits) for i in range(2))
            result(m, table.permute(index, 8))

        return record(look, {}, 4, {}, dict.fromkeys(OPERANDS, 64))

    traces = {f"p{bits}": body(bits) for bits in (8, 16, 32, 64, 96, 128)}
    compiled = Native(traces, features=features)
    for name, made in traces.items():
        bits = int(name[1:])
        for start in range(0, 256, 4):
            index = sum((start + rng.randrange(4)) % 256 << 8 * i for i in range(bits // 8))
            near = sum(rng.randrange(bits // 8 + 2) << 8 * i for i in range(bits // 8))
            for which in (index, near):
                assert agree(compiled, name, made, [rng.getrandbits(bits), which], 0, 0)


# -- programs
def random_program(rng: random.Random) -> Trace:
    """Ops on each other's lanes, on numbers of scalar ops among them, in lanes of changing widths."""

    def body(m: Tracer, **operands: Val) -> None:
        values = [argument(operands, i, 128) for i in range(4)]
        for _ in range(rng.randint(3, 9)):
            bits = rng.choice((8, 16, 32, 64))
            a, b, c = (rng.choice(values[-4:]).lanes(bits) for _ in range(3))
            choice = rng.randrange(9)
            if choice == 0:
                made = rng.choice((a + b, a - b, a * b, a & b, ~a, -a, a ^ 5))
            elif choice == 1:
                made = a.slt(b).select(b, c)
            elif choice == 2:
                made = (a == b).sext(bits) | b.ult(c).zext(bits)
            elif choice == 3:
                made = rng.choice((a << (b & (bits - 1)), a >> b, a.asr(3), a >> m.const(3, 4)))
            elif choice == 4 and bits < 64:
                made = a.high().sext(2 * bits) + b.low().zext(2 * bits)
            elif choice == 5:
                made = a.pick([rng.randrange(-1, 2 * a.count) for _ in range(a.count)], b)
            elif choice == 6 and bits >= 32:
                number = m.fadd(a[0], b[a.count - 1])
                made = rng.choice((Lanes.splat(number, a.count), Lanes.of([number] * a.count) + c))
            elif bits >= 32:
                made = rng.choice((m.fmul(a, b), m.fadd(a, b), m.fma(a, b, c), m.fmin(a, b), m.fsqrt(a)))
            else:
                made = rng.choice(
                    (a.smin(b), a.umax(b), a.add_sat(b, signed=True), a.sub_sat(1, signed=False))
                )
            values.append(made.whole)
        for place, value in enumerate(values[-3:]):
            result(m, value, 2 * place)
        result(m, values[-1].lanes(8).any(), 6)
        result(m, m.select(values[-1].trunc(1), values[-1].lanes(8), values[0].lanes(8)).whole, 6)

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64))


@pytest.mark.parametrize("body", [Function, DeferredFunction])
def test_programs_agree_with_the_golden_evaluator(body: type[Body], rng: random.Random, full: bool) -> None:
    programs = {f"p{i}": random_program(rng) for i in range(500 if full else 50)}
    compiled = native(programs, body)
    for name, made in programs.items():
        for _ in range(6):
            bits = rng.choice((8, 16, 32, 64))
            values = [lane_values(rng, bits, 128 // bits, bits >= 32) for _ in range(4)]
            assert agree(compiled, name, made, values, rng.choice(HOST_MODES), rng.getrandbits(5))
