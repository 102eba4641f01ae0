"""Whole programs of floating-point ops as native code, canonical at once and deferred: values, flags, modes."""

from __future__ import annotations

import itertools
import platform
import random

import pytest

from polyvm.ir import golden, softfloat
from polyvm.ir.ops import FLOAT_STYLES, FP_FLAGS, FP_MODE
from polyvm.ir.trace import Trace, Tracer, record
from polyvm.ir.values import Val
from tests.emit.floatprobe import OPERANDS, RESULTS, Body, DeferredFunction, Function, Native
from tests.emit.floatvalues import ALL, HOST_MODES, rounding_of, scattered, specials

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")


class Environment:
    """The state of a trace that knows nothing but the environment and results."""

    def __init__(self, mode: int, flags: int) -> None:
        self.slots: dict[tuple[str, int], int] = {FP_FLAGS: flags, FP_MODE: mode}

    def read(self, slot: tuple[str, int]) -> int:
        return self.slots[slot]

    def write(self, slot: tuple[str, int], value: int) -> None:
        self.slots[slot] = value

    def hardwired(self, file: str) -> int | None:
        return None

    def counter(self, kind: str) -> int:
        raise AssertionError(kind)


def narrowed(m: Tracer, value: Val, bits: int, rng: random.Random) -> Val:
    """The low bits of a value, whatever is above them or only if that is all ones."""
    if value.bits == bits or rng.random() < 0.5:
        return value.trunc(bits)
    boxed = value[value.bits - 1 : bits] == (1 << (value.bits - bits)) - 1
    return m.select(boxed, value.trunc(bits), 0x7FC0_0000, likely=True)


def random_program(rng: random.Random, floats: str) -> Trace:
    """Ops on each other's results, flags read and written between them, and the rounding mode changed."""
    kinds = [op for op in ALL if op.operands[0] != 16 and op.bits != 16 and rounding_of(op) != softfloat.RMM]

    def body(m: Tracer, **operands: Val) -> None:
        values = list(operands.values())
        results = itertools.count()
        for _ in range(rng.randint(6, 14)):
            choice = rng.random()
            if choice < 0.12 and (slot := next(results)) < RESULTS - 1:
                m.set(("result", slot), m.fp_flags.zext(64))
            elif choice < 0.18:
                m.fp_flags = m.const(rng.getrandbits(5), 5) if rng.random() < 0.5 else m.fp_flags & 9
            elif choice < 0.24:
                m.fp_mode = m.const(rng.choice(HOST_MODES), 6)
            else:
                op = rng.choice(kinds)
                args = []
                for bits in op.operands:
                    value = rng.choice(values[-4:])
                    args.append(narrowed(m, value, bits, rng) if value.bits >= bits else value.zext(bits))
                if choice > 0.8 and (slot := next(results)) < RESULTS - 1:
                    # Not done at all where the condition does not hold: the compiler must not do it in advance.
                    with m.when(rng.choice(values).trunc(1)):
                        m.set(("result", slot), m.emit(op.name, op.bits, tuple(args), op.attr).zext(64))
                    continue
                value = m.emit(op.name, op.bits, tuple(args), op.attr)
                if value.bits == 32 and rng.random() < 0.5:
                    value = value.zext(64) | rng.choice((-(1 << 32), 1 << 40))
                values.append(value if value.bits >= 32 else value.zext(64))
        m.set(("result", RESULTS - 1), values[-1].zext(64))

    return record(body, {}, 4, {}, dict.fromkeys(OPERANDS, 64), floats)


@pytest.mark.parametrize("floats", FLOAT_STYLES)
@pytest.mark.parametrize("body", [Function, DeferredFunction])
def test_programs_agree_with_the_golden_evaluator(
    body: type[Body], floats: str, rng: random.Random, full: bool
) -> None:
    """Nothing is moved, merged or dropped by the compiler, and bits are canonical wherever something looks at them."""
    count = 400 if full else 40
    programs = {f"p{i}": random_program(rng, floats) for i in range(count)}
    for cpu in ("x86-64-v3", "host"):
        compiled = Native(programs, cpu, body=body)
        for name, trace in programs.items():
            for _ in range(6):
                values = [
                    rng.choice((scattered(rng, 64), rng.choice(specials(64)), packed(rng))) for _ in OPERANDS
                ]
                mode, flags = rng.choice(HOST_MODES), rng.choice((0, rng.getrandbits(5)))
                state = Environment(mode, flags)
                golden.execute(trace, dict(zip(OPERANDS, values, strict=True)), 0, state, None)  # type: ignore[arg-type]
                expected = [state.slots.get(("result", i), 0) for i in range(RESULTS)]
                got = compiled.call(name, values, mode, flags)
                assert got == (expected, state.read(FP_FLAGS), state.read(FP_MODE)), name


def packed(rng: random.Random) -> int:
    """A single above ones or another single."""
    return rng.choice((0xFFFF_FFFF, rng.choice(specials(32)))) << 32 | rng.choice(
        (scattered(rng, 32), rng.choice(specials(32)))
    )


def test_deferred_results_are_canonical_to_other_formats() -> None:
    """A NaN's low half is a number to a narrower op, and a narrow result is a number to a wider one."""

    def body(m: Tracer, a: Val, b: Val) -> None:
        wide = m.fadd(a, b)
        m.set(("result", 0), m.fadd(wide.trunc(32), b.trunc(32)).zext(64))
        boxed = wide[63:32] == 0xFFFF_FFFF
        m.set(("result", 1), m.fmul(m.select(boxed, wide.trunc(32), 0x7FC0_0000), b.trunc(32)).zext(64))
        narrow = m.fadd(a.trunc(32), b.trunc(32))
        m.set(("result", 2), m.fadd(narrow.zext(64), m.const(0, 64)))
        m.set(("result", 3), m.itof(narrow, 64, signed=True))
        m.set(("result", 4), m.fadd(narrow.zext(64) | 1 << 62, m.const(0, 64)))

    trace = record(body, {}, 4, {}, {"a": 64, "b": 64})
    compiled = Native({"f": trace}, body=DeferredFunction)
    for values in itertools.product(
        (0xFFFF_FFFF_3F80_0000, 0x7FF8_0000_3F80_0000, 0xFFF8_0000_7FC0_0123), repeat=2
    ):
        state = Environment(0, 0)
        golden.execute(trace, dict(zip("ab", values, strict=True)), 0, state, None)  # type: ignore[arg-type]
        expected = [state.slots.get(("result", i), 0) for i in range(RESULTS)]
        assert compiled.call("f", values) == (expected, state.read(FP_FLAGS), 0)


def test_deferred_results_share_comparisons() -> None:
    def body(m: Tracer, a: Val, b: Val) -> None:
        product, total = m.fmul(a, b), m.fadd(a, b)
        m.set(("result", 0), m.fsub(product, total) ^ 1)
        m.set(("result", 1), total)
        m.set(("result", 2), m.fadd(product, total))
        m.set(("result", 3), total)

    trace = record(body, {}, 4, {}, {"a": 64, "b": 64})
    assert Function("f", trace).text().count("fcmp uno") == 4
    # A value that is put away twice is looked at once, and one that only numbers come from not at all.
    assert sum(" fcmp uno double %" in line for line in hot(DeferredFunction("f", trace))) == 3


def hot(function: Body) -> list[str]:
    """The lines of a function but those of blocks off the way."""
    lines, cold = [], False
    for line in function.lines:
        if line.endswith(":"):
            cold = line.startswith("cold")
        if not cold:
            lines.append(line)
    return lines
