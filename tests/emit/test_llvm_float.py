"""Floating-point ops as native code against the soft ones, Berkeley TestFloat and the manuals: values and flags.

TestFloat's generator is data from outside (`--testfloat` or `--conformance`): without it, skipped tests.
By default they take a sample of its vectors; under the marker `full`, all of level 1.
"""

from __future__ import annotations

import itertools
import platform
import random
import re
import subprocess
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvm.emit import llvm_float
from polyvm.ir import golden, softfloat
from polyvm.ir.ops import (
    ALTERNATIVE_HALF,
    DEFAULT_NAN,
    FLOAT_STYLES,
    FLUSH,
    FLUSH_HALVES,
    FP_MODE_BITS,
    ROUND_DYNAMIC,
)
from polyvm.ir.trace import Tracer, record
from polyvm.ir.values import Val
from tests.emit.floatprobe import GOLDEN, Function, Native, Op
from tests.emit.floatvalues import (
    ALL,
    ARITHMETIC,
    HOST_MODES,
    UNROUNDED,
    WIDTHS,
    rounding_of,
    rounding_ops,
    rounds,
    scattered,
    specials,
    unrounded_ops,
    with_rounding,
)

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="these lowerings are for x86-64 hosts")


STYLED = [(cpu, floats) for floats in FLOAT_STYLES for cpu in ("x86-64-v3", "host")]


@pytest.fixture(scope="module", params=STYLED, ids="-".join)
def native(request: pytest.FixtureRequest) -> Native:
    """Every op in every mode and style, for the least host that does all and for this one."""
    cpu, floats = request.param
    return Native.of([op._replace(floats=floats) for op in ALL], cpu)


@pytest.fixture(scope="module", params=["x86-64-v3", "host"])
def canonical(request: pytest.FixtureRequest) -> Native:
    """RISC-V's style alone."""
    return Native.of(ALL, request.param)


# -- Operands
def near_integers(w: int) -> list[int]:
    """Numbers around the limits of integers, and around halves."""
    fmt = softfloat.FORMATS[w]
    found = []
    for exponent in (-2, -1, 0, 1, 7, 8, 10, 11, 15, 30, 31, 32, 62, 63, 64):
        for low, delta in itertools.product((0, 1, 3), (-2, -1, 0, 1, 2)):
            value = (low << (exponent - 1) if exponent > 0 else 1) + (1 << max(exponent, 0))
            pattern = softfloat.from_int(value, 128, False, w, softfloat.RTZ)[0]
            if pattern < fmt.infinity - 2:
                found += [pattern + delta, pattern + delta | fmt.sign_bit]
    halves = [softfloat.div(w, softfloat.from_int(n, 32, True, w, 0)[0], softfloat.from_int(2, 32, True, w, 0)[0], 0)[0]
              for n in (1, 3, 5, 2**12 + 1)]  # fmt: skip
    return [bits & (1 << w) - 1 for bits in found] + [
        bits | sign for bits in halves for sign in (0, fmt.sign_bit)
    ]


def operands(op: Op, rng: random.Random, count: int) -> Iterator[tuple[int, ...]]:
    """Corners with corners, then random ones."""
    w = op.operands[0]
    if op.name == "itof":
        edges = (
            {1 << n for n in range(w)}
            | {(1 << n) - 1 for n in range(w + 1)}
            | {(1 << n) + 1 for n in range(w)}
        )
        edges |= {-n for n in edges}
        yield from ((n & (1 << w) - 1,) for n in sorted(edges))
        yield from ((rng.getrandbits(rng.randint(1, w)),) for _ in range(count))
        return
    corners = specials(w)
    if len(op.operands) == 3:
        yield from itertools.product(*(rng.sample(specials(bits), 12) for bits in op.operands))
        for _ in range(count):
            yield tuple(scattered(rng, bits) for bits in op.operands)
        return
    if op.name == "ftoi":
        corners = [*corners, *near_integers(w)]
    if op.name in ("fcvt", "fresize"):
        # What the narrower formats hold, and their neighbours.
        for narrow in WIDTHS:
            if narrow < w:
                corners += [
                    softfloat.convert(narrow, w, bits, 0)[0] + d
                    for bits in specials(narrow)
                    for d in (-1, 0, 1)
                ]
        corners = [bits & (1 << w) - 1 for bits in corners]
    yield from itertools.product(corners, repeat=len(op.operands))
    for _ in range(count):
        yield tuple(scattered(rng, w) for _ in op.operands)


def table(op: Op, rows: list[tuple[int, ...]], rounding: int) -> array[int]:
    """Rows for the driver with the soft results."""
    table = array("Q")
    for values in rows:
        table.extend((*values, *[0] * (3 - len(values)), *op.soft(values, rounding)))
    return table


def left(expected: array[int]) -> array[int]:
    """The same rows where all are left to the golden evaluator."""
    rows = expected[:]
    for i in range(0, len(rows), 5):
        rows[i + 3], rows[i + 4] = 0, GOLDEN
    return rows


# -- Against the soft ops
@pytest.mark.parametrize("op", [*unrounded_ops(), *rounding_ops(ROUND_DYNAMIC)], ids=lambda op: op.symbol)
def test_agrees_with_the_soft_op(native: Native, op: Op, rng: random.Random, full: bool) -> None:
    op = op._replace(floats=native.floats)
    rows = list(operands(op, rng, 4000 if full else 150))
    for mode in HOST_MODES if rounds(op) else (0,):
        expected = table(op, rows, mode)
        if native.floats == "arm":
            assert not native.mismatches(op, expected, mode)
            if op.name != "itof":
                for bit in (DEFAULT_NAN, FLUSH, ALTERNATIVE_HALF, FLUSH_HALVES):
                    assert not native.mismatches(op, left(expected), mode | bit)
                if op.name in ("ftoi", "frint"):
                    assert not native.mismatches(with_rounding(op, mode), expected, (mode + 1) % 4)
            continue
        assert not native.mismatches(op, expected, mode)
        if rounds(op):
            # A mode of the instruction's own, with the same one set and with another: it comes back afterwards.
            static = with_rounding(op, mode)
            assert not native.mismatches(static, expected, mode)
            assert not native.mismatches(static, expected, (mode + 1) % 4)
            assert not native.mismatches(static, expected, softfloat.RMM)
            assert not native.mismatches(static, expected, 5)


@pytest.mark.parametrize("op", list(rounding_ops(ROUND_DYNAMIC)), ids=lambda op: op.symbol)
def test_ties_away_are_exact_or_left_to_the_golden_evaluator(
    canonical: Native, op: Op, rng: random.Random
) -> None:
    native = canonical
    rows = list(operands(op, rng, 50))[-300:]
    expected = table(op, rows, softfloat.RMM)
    static = with_rounding(op, softfloat.RMM)
    widens = op.name in ("fcvt", "fresize") and op.bits > op.operands[0]
    exact = widens or (op.name == "itof" and not any(expected[4::5]))
    assert not native.mismatches(op, expected if exact else left(expected), softfloat.RMM)
    if op.name == "itof":
        # Small integers, which are all that a rounding function makes, are done natively.
        for values in rows:
            results, flags, _ = native.call(static.symbol, values)
            assert flags == GOLDEN or (results[0], flags) == op.soft(values, softfloat.RMM)
            assert isinstance(op.attr, tuple)
            number = golden.signed(values[0], op.operands[0]) if op.attr[0] else values[0]
            small = abs(number) <= 1 << 11
            assert flags != GOLDEN or not small
        return
    native_too = exact or op.name in ("ftoi", "frint")
    for mode in (0, 3, 4):
        assert not native.mismatches(static, expected if native_too else left(expected), mode)


def test_accrued_flags_stay(canonical: Native) -> None:
    third = table(Op("fdiv", (64, 64), 64, 7), [(0x3FF0 << 48, 0x4008 << 48)], 0)
    for accrued in range(32):
        third[4] = accrued | softfloat.NX
        for rounding, mode in ((ROUND_DYNAMIC, 0), (0, 0), (0, 3)):
            assert not canonical.mismatches(Op("fdiv", (64, 64), 64, rounding), third, mode, accrued)


def test_the_judge_bites(canonical: Native) -> None:
    native = canonical
    op = Op("fdiv", (64, 64), 64, ROUND_DYNAMIC)
    rows = [(0x3FF0 << 48, 0x4008 << 48)]
    assert not native.mismatches(op, table(op, rows, softfloat.RDN), softfloat.RDN)
    assert (
        "in mode 3 is 3fd5555555555555 01, not 3fd5555555555556 01"
        in native.mismatches(op, table(op, rows, softfloat.RDN), 3)[0]
    )
    quiet = table(op, rows, softfloat.RDN)
    quiet[4] = 0
    assert native.mismatches(op, quiet, softfloat.RDN)


def test_every_half_survives_the_way_through_wider_formats(native: Native) -> None:
    """The host converts four lanes at once; garbage in the others must not raise anything."""
    fmt = softfloat.FORMATS[16]
    for wide in (32, 64):
        widen, narrow = array("Q"), array("Q")
        for bits in range(1 << 16):
            if not fmt.is_nan(bits):
                value, _ = softfloat.convert(16, wide, bits, 0)
                widen.extend((bits, 0, 0, value, 0))
                narrow.extend((value, 0, 0, bits, 0))
        for mode in HOST_MODES:
            assert not native.mismatches(Op("fcvt", (16,), wide, ROUND_DYNAMIC), widen, mode)
            assert not native.mismatches(Op("fcvt", (wide,), 16, ROUND_DYNAMIC), narrow, mode)


# -- The environment
def test_only_results_are_compared_without_constraints() -> None:
    """LLVM moves its own comparison out of loops and conditions; of a signaling NaN it would raise invalid there."""
    plain = re.compile(r" = fcmp (\w+) (\w+) (%\w+), (%\w+)")

    def is_result(text: str, name: str) -> bool:
        definition = next(line for line in text.splitlines() if line.startswith(f"  {name} = "))
        if " phi " in definition:
            return all(is_result(text, one) for one in re.findall(r"\[ (%t\w+),", definition))
        return "@llvm.experimental.constrained." in definition or " asm " in definition

    for op in (op._replace(floats=floats) for op in ALL for floats in FLOAT_STYLES):
        text = Function(op.symbol, op.trace, llvm_float.FEATURES).text()
        for a in re.findall(
            r" = fcmp ueq \w+ (%\w+), 0x", text
        ):  # Arm's: a NaN, or the smallest normal number
            number = re.search(rf"  {a} = call \w+ @llvm.fabs.f\d+\(\w+ (%\w+)\)", text)
            assert number is not None
            assert is_result(text, number[1]), text
        assert text.count(" = fcmp ") == len(re.findall(r" = fcmp (?:ueq .*, 0x|uno .*, %)", text))
        for predicate, _, a, b in plain.findall(text):
            assert (predicate, a) == ("uno", b)
            assert is_result(text, a), text


def test_the_environment_is_read_and_written() -> None:
    def body(m: Tracer, a: Val, b: Val) -> None:
        m.set(("result", 0), m.fp_flags.zext(64))
        m.set(("result", 1), m.fp_mode.zext(64))
        m.fp_flags = a.trunc(5)
        m.fp_mode = b.trunc(FP_MODE_BITS)
        m.set(("result", 2), m.fp_flags.zext(64))

    compiled = Native({"f": record(body, {}, 4, {}, {"a": 64, "b": 64})})
    for flags, mode in itertools.product(range(32), (*range(8), 8, 0x3B, 0x7B)):
        for old in range(5):
            results, after, round_ = compiled.call("f", (flags, mode), old, 31 - flags)
            assert (results[:3], after, round_) == ([31 - flags, old, flags], flags, mode)


# -- Hosts that lack something
def test_what_the_host_lacks_is_left_to_the_golden_evaluator() -> None:
    ops = [op for op in ALL if rounding_of(op) in (None, ROUND_DYNAMIC)]
    one = {16: 0x3C00, 32: 0x3F80_0000, 64: 0x3FF0 << 48}
    for missing in sorted(llvm_float.FEATURES):
        compiled = Native.of(
            ops, features=llvm_float.FEATURES - {missing} - ({"fma", "f16c"} if missing == "avx" else set())
        )
        for op in ops:
            half = 16 in (*op.operands, op.bits) and op.operands[0] in (16, 32, 64)
            lacks = {
                "fma": op.name == "fma" and op.bits != 16,
                "f16c": half,
                "avx": half
                or op.name in ("fma", "fmin", "fmax", "fminimum", "fmaximum", "fcmp", "frint", "ftoi"),
            }[missing]
            values = tuple(3 if op.name == "itof" else one[w] for w in op.operands)
            results, flags, _ = compiled.call(op.symbol, values)
            assert (flags == GOLDEN) == lacks, op
            if not lacks:
                assert (results[0], flags) == op.soft(values, 0)


def test_refuses_a_conversion_to_the_same_format() -> None:
    with pytest.raises(ValueError, match="fcvt from 32 to 32 bits"):
        Native.of([Op("fcvt", (32,), 32, ROUND_DYNAMIC)])


# -- TestFloat
TESTFLOAT_INTEGERS = {"i32": (32, True), "ui32": (32, False), "i64": (64, True), "ui64": (64, False)}
TESTFLOAT_MODES = {"near_even": 0, "minMag": 1, "min": 2, "max": 3, "near_maxMag": 4}
TESTFLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "sqrt": "fsqrt", "mulAdd": "fma",
                 "eq": "feq", "lt": "flt", "le": "fle"}  # fmt: skip


def functions() -> Iterator[str]:
    for w in WIDTHS:
        yield from (f"f{w}_{name}" for name in (*TESTFLOAT_OPS, "roundToInt"))
        yield from (f"f{w}_to_{to}" for to in TESTFLOAT_INTEGERS)
        yield from (f"{integer}_to_f{w}" for integer in TESTFLOAT_INTEGERS)
        yield from (f"f{w}_to_f{to}" for to in WIDTHS if to != w)


def op_of(function: str, rounding: int, floats: str = "canonical") -> Op:
    """Our op for TestFloat's function."""
    return _op_of(function, rounding)._replace(floats=floats)


def _op_of(function: str, rounding: int) -> Op:
    source, _, name = function.partition("_")
    if source in TESTFLOAT_INTEGERS:
        bits, signed = TESTFLOAT_INTEGERS[source]
        return Op("itof", (bits,), int(name.removeprefix("to_f")), (signed, rounding))
    w = int(source[1:])
    if name == "roundToInt":
        return Op("frint", (w,), w, (True, rounding))
    if name in TESTFLOAT_OPS:
        ours = TESTFLOAT_OPS[name]
        if ours in UNROUNDED:
            return Op(ours, (w, w), 1)
        return Op(ours, (w,) * ARITHMETIC[ours], w, rounding)
    target = name.removeprefix("to_")
    if target in TESTFLOAT_INTEGERS:
        bits, signed = TESTFLOAT_INTEGERS[target]
        return Op("ftoi", (w,), bits, (signed, rounding))
    return Op("fcvt", (w,), int(target[1:]), rounding)


GENERATORS = {"canonical": ("RISCV", "after"), "arm": ("ARM-VFPv2", "before")}


def chunks(folder: Path, floats: str, function: str, mode: str, sample: int) -> Iterator[array[int]]:
    """Tables of vectors: all of level 1 where `sample` is 0, else that many of the endless stream."""
    build, tininess = GENERATORS[floats]
    command = [str(folder / f"testfloat_gen-{build}"), f"-r{mode}", f"-tininess{tininess}", "-exact",
               *(("-forever", "-seed", "7") if sample else ("-level", "1")), function]  # fmt: skip
    fused = floats == "arm" and function.endswith("mulAdd")
    addend = softfloat.FORMATS[int(function[1:3])] if fused else None
    padding = [0] * (3 - len(op_of(function, 0).operands))
    width = len(op_of(function, 0).operands)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines = itertools.islice(process.stdout, sample or None)
        while batch := list(itertools.islice(lines, 100_000)):
            table = array("Q")
            for line in batch:
                values = [int(word, 16) for word in line.split()]
                if addend is not None and addend.is_nan(values[-2]):
                    # SoftFloat takes the addend's NaN last; the manual, and the golden evaluator with it, first.
                    values[-2:] = op_of(function, 0, floats).soft((values[0], values[1], values[2]), 0)
                table.extend(values[:width] + padding + values[width:])
            yield table
        if sample:
            process.kill()
    assert sample or process.returncode == 0


def judge(native: Native, folder: Path, function: str, mode: str, sample: int) -> int:
    """How many vectors agreed: in the dynamic mode, and in one of the instruction's own with another one set."""
    number, count = TESTFLOAT_MODES[mode], 0
    floats = native.floats
    for table in chunks(folder, floats, function, mode, sample):
        count += len(table) // 5
        dynamic, static = op_of(function, ROUND_DYNAMIC, floats), op_of(function, number, floats)
        if number < 4:
            assert not native.mismatches(dynamic, table, number)
        if rounds(static) and (floats == "canonical" or static.name in ("ftoi", "frint", "itof")):
            assert not native.mismatches(static, table, number if floats == "canonical" else number % 4)
            assert not native.mismatches(static, table, (number + 1) % 4)
    assert count > 100
    return count


def cases() -> Iterator[tuple[str, str]]:
    """Functions and modes: comparisons do not round, and ties away are native for integers only."""
    for function in functions():
        op = op_of(function, 0)
        for mode in TESTFLOAT_MODES:
            if not rounds(op) and mode != "near_even":
                continue
            if mode == "near_maxMag" and op.name not in ("ftoi", "frint"):
                continue
            yield function, mode


@pytest.mark.parametrize("function", list(functions()))
def test_testfloat_sample(testfloat_dir: Path, native: Native, function: str) -> None:
    for name, mode in cases():
        if name == function:
            judge(native, testfloat_dir, function, mode, 250)


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Vectors that agreed, by function; the sum is reported."""
    counts: Counter[str] = Counter()
    yield counts
    if counts:
        report(
            f"native == TestFloat level 1: {len(counts)} functions, {counts.total()} vectors, values and exceptions"
        )


@pytest.mark.full
@pytest.mark.timeout(1200)  # an FMA has 6,133,248 vectors: most of the time goes to printing and reading them
@pytest.mark.parametrize(("function", "mode"), list(cases()))
def test_testfloat_level_1(
    testfloat_dir: Path, native: Native, function: str, mode: str, counted: Counter[str]
) -> None:
    counted[f"{native.floats} {function}"] += judge(native, testfloat_dir, function, mode, 0)
