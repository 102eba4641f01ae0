"""Every identity of ir.rewrite: proven by z3 over all inputs, sampled with the evaluator, and of use to somebody.

z3's operations stand for the table of ops here (SMT-LIB's theory of bit vectors), so that neither the evaluator nor the
compilers judge themselves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from polyvm.ir import golden, rewrite, trace
from polyvm.ir.ops import MAX_BITS
from polyvm.ir.trace import Tracer
from polyvm.ir.values import Val
from polyvm.isa import aarch64, riscv64

z3: Any = pytest.importorskip("z3")

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 64)
LONGEST_MS = 60_000
SAMPLES = 200

MEANING: dict[str, Callable[[Any, Any], Any]] = {"add": lambda a, b: a + b, "shl": lambda a, b: a << b}


def proven(claim: Any) -> bool:
    """Whether a claim holds for all values: its negation has no model."""
    solver = z3.Solver()
    solver.set("timeout", LONGEST_MS)
    solver.add(z3.Not(claim))
    answer = solver.check()
    assert answer != z3.unknown, "z3 cannot decide it: it is not used"
    return bool(answer == z3.unsat)


@pytest.mark.parametrize("op", rewrite.NEUTRAL)
def test_a_neutral_number_is_proven_to_be_one(op: str) -> None:
    for width in WIDTHS:
        x = z3.BitVec("x", width)
        assert proven(MEANING[op](x, z3.BitVecVal(rewrite.NEUTRAL[op], width)) == x), width


@pytest.mark.parametrize("op", rewrite.NEUTRAL)
def test_no_other_number_is_neutral(op: str) -> None:
    """The prover can say no."""
    x = z3.BitVec("x", 8)
    assert not proven(MEANING[op](x, z3.BitVecVal(3, 8)) == x)


def test_selections_are_proven() -> None:
    for width in WIDTHS:
        x, y = z3.BitVecs("x y", width)
        c = z3.Bool("c")
        assert proven(z3.If(c, x, x) == x)
        assert proven(z3.If(z3.BoolVal(True), x, y) == x)
        assert proven(z3.If(z3.BoolVal(False), x, y) == y)


@pytest.mark.parametrize("op", rewrite.NEUTRAL)
def test_a_neutral_number_is_one_for_the_evaluator(op: str) -> None:
    """At every width, the corners among the values."""
    draw = random.Random(1)
    for bits in range(1, MAX_BITS + 1):
        m = Tracer({}, 4)
        for number in (
            0,
            1,
            (1 << bits) - 1,
            1 << bits - 1,
            *(draw.getrandbits(bits) for _ in range(SAMPLES // 20)),
        ):
            args = m.const(number, bits), m.const(rewrite.NEUTRAL[op], bits)
            assert golden.fold(op, bits, args, None) == number


def test_what_is_simplified_is_an_argument_and_nothing_else_is() -> None:
    m = Tracer({}, 4)
    x, y, c = (m.emit("field", bits, (), name) for name, bits in (("x", 64), ("y", 64), ("c", 1)))
    assert rewrite.simplified("add", (x, m.const(0, 64))) is x
    assert rewrite.simplified("select", (c, x, x)) is x
    assert rewrite.simplified("select", (m.const(0, 1), x, y)) is y
    for op in rewrite.NEUTRAL:
        assert rewrite.simplified(op, (x, y)) is None
        assert rewrite.simplified(op, (x, m.const(1, 64))) is None
        assert rewrite.simplified(op, (m.const(0, 64), x)) is None
    assert rewrite.simplified("mul", (x, m.const(0, 64))) is None
    assert rewrite.simplified("select", (c, x, y)) is None


@pytest.mark.unmeasured
def test_each_identity_is_of_use(monkeypatch: pytest.MonkeyPatch, report: Callable[[str], None]) -> None:
    uses: Counter[str] = Counter()

    def counting(op: str, args: tuple[Val, ...]) -> Val | None:
        found = rewrite.simplified(op, args)
        uses[op] += found is not None
        return found

    monkeypatch.setattr(trace, "simplified", counting)
    for load in (riscv64.load, aarch64.load):
        isa = load()
        monkeypatch.setattr(isa, "_traces", {})
        for insn in isa.insns:
            for shape in insn.shapes():
                isa.trace(insn, shape)
    report("identities used: " + ", ".join(f"{op} {count}" for op, count in sorted(uses.items()) if count))
    assert {op for op, count in uses.items() if count} == {*rewrite.NEUTRAL, "select"}
