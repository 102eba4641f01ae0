"""Soft floating point against Berkeley TestFloat, the host's own doubles, exact rationals and the manuals.

TestFloat's generator is data from outside (`--testfloat` or `--conformance`): without it, skipped tests.
By default they take a sample of its vectors; under the marker `full`, all of level 1.
"""

from __future__ import annotations

import itertools
import math
import random
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polyvm.ir import softfloat as sf

WIDTHS = (16, 32, 64, 128)
INTEGERS = {"i32": (32, True), "ui32": (32, False), "i64": (64, True), "ui64": (64, False)}
MODES = {
    "near_even": sf.RNE,
    "minMag": sf.RTZ,
    "min": sf.RDN,
    "max": sf.RUP,
    "near_maxMag": sf.RMM,
    "odd": sf.ODD,
}
ARITHMETIC = {
    "add": sf.add,
    "sub": sf.sub,
    "mul": sf.mul,
    "div": sf.div,
    "sqrt": sf.sqrt,
    "mulAdd": sf.fma,
}
COMPARE = {
    "eq": sf.eq,
    "eq_signaling": sf.eq_signaling,
    "lt": sf.lt,
    "lt_quiet": sf.lt_quiet,
    "le": sf.le,
    "le_quiet": sf.le_quiet,
}


# TestFloat -----------------------------------------------------------------------------------------


class Guest(NamedTuple):
    """Which build of the generator speaks for which of our policies."""

    build: str
    nan: str
    tininess: str
    modes: tuple[str, ...]  # that a default run samples


GUESTS = [
    Guest("RISCV", "canonical", "after", tuple(MODES)),
    Guest("ARM-VFPv2", "arm", "before", ("near_even", "max")),
    Guest("8086-SSE", "x86", "after", ("near_even", "min")),
]


def functions(width: int) -> Iterator[str]:
    name = f"f{width}"
    yield from (f"{name}_{op}" for op in (*ARITHMETIC, *COMPARE, "roundToInt"))
    yield from (f"{name}_to_{to}" for to in INTEGERS)
    yield from (f"{integer}_to_{name}" for integer in INTEGERS)
    yield from (f"{name}_to_f{other}" for other in WIDTHS if other != width)


CASES = [
    pytest.param(guest, function, id=f"{guest.build}-{function}")
    for guest in GUESTS
    for width in WIDTHS
    for function in functions(width)
    if guest.nan == "canonical" or "f128" not in function
    if not (guest.nan == "x86" and function.endswith("mulAdd"))  # refused: see test_fma_refuses_x86
]


def bind(function: str, rm: int, nan: str, tininess: str, exact: bool) -> Callable[..., sf.Result]:
    """Our function for TestFloat's, taking only the operands."""
    source, _, op = function.partition("_")
    if op in COMPARE:
        compare = COMPARE[op]
        return lambda a, b: compare(int(source[1:]), a, b)
    if source in INTEGERS:
        width, signed = INTEGERS[source]
        return lambda value: sf.from_int(value, width, signed, int(op.removeprefix("to_f")), rm)
    w = int(source[1:])
    if op in ARITHMETIC:
        arithmetic = ARITHMETIC[op]
        return lambda *operands: arithmetic(w, *operands, rm, nan=nan, tininess=tininess)
    if op == "roundToInt":
        return lambda a: sf.round_to_int(w, a, rm, exact, nan=nan)
    target = op.removeprefix("to_")
    if target in INTEGERS:
        width, signed = INTEGERS[target]
        return lambda a: sf.to_int(w, a, rm, width, signed, exact=exact, nan=nan)
    return lambda a: sf.convert(w, int(target[1:]), a, rm, nan=nan, tininess=tininess)


def vectors(
    folder: Path, guest: Guest, function: str, mode: str, exact: bool, sample: int
) -> Iterator[bytes]:
    """Lines of the generator: all of level 1 where `sample` is 0, else that many of its endless stream."""
    command = [
        str(folder / f"testfloat_gen-{guest.build}"),
        f"-r{mode}",
        f"-tininess{guest.tininess}",
        "-exact" if exact else "-notexact",
        *(("-forever", "-seed", "7") if sample else ("-level", "1")),
        function,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield from itertools.islice(process.stdout, sample or None)
        if sample:
            process.kill()
    assert sample or process.returncode == 0


def mismatches(lines: Iterable[bytes], ours: Callable[..., sf.Result]) -> tuple[int, list[str]]:
    """How many vectors there were, and those that came out differently."""
    count, wrong = 0, []
    for line in lines:
        *operands, result, flags = (int(word, 16) for word in line.split())
        count += 1
        got = ours(*operands)
        if got != (result, flags):
            wrong.append(f"{line.decode().strip()}: got {got[0]:X} {got[1]:02X}")
    return count, wrong


def expect_no_mismatch(folder: Path, guest: Guest, function: str, mode: str, sample: int) -> None:
    operation = function.partition("_")[2]
    to_integer = operation == "roundToInt" or operation.startswith(("to_i", "to_u"))
    for exact in (True, False) if to_integer else (True,):
        lines = vectors(folder, guest, function, mode, exact, sample)
        ours = bind(function, MODES[mode], guest.nan, guest.tininess, exact)
        if guest.nan == "arm" and operation == "mulAdd":
            width = int(function[1:3])
            lines = (_line_without_payload(line, width) for line in lines)
            ours = _without_payload(ours, width)
        count, wrong = mismatches(lines, ours)
        assert count > 100
        assert not wrong, f"{function} {mode}: {len(wrong)} of {count} differ:\n" + "\n".join(wrong[:10])


def _without_payload(ours: Callable[..., sf.Result], width: int) -> Callable[..., sf.Result]:
    """Any NaN will do: SoftFloat's VFPv2 takes an FMA's from the factors first, Arm from the addend."""
    fmt = sf.FORMATS[width]

    def same(*operands: int) -> sf.Result:
        result, flags = ours(*operands)
        return (fmt.default_nan("arm") if fmt.is_nan(result) else result), flags

    return same


def _line_without_payload(line: bytes, width: int) -> bytes:
    *operands, result, flags = line.split()
    fmt = sf.FORMATS[width]
    if fmt.is_nan(int(result, 16)):
        result = b"%x" % fmt.default_nan("arm")
    return b" ".join([*operands, result, flags])


@pytest.mark.parametrize(("guest", "function"), CASES)
def test_testfloat_sample(testfloat_dir: Path, guest: Guest, function: str) -> None:
    modes = ("near_even",) if function.partition("_")[2] in COMPARE else guest.modes
    for mode in modes:
        expect_no_mismatch(
            testfloat_dir, guest, function, mode, sample=250 if guest.nan == "canonical" else 150
        )


LEVEL_1 = [
    pytest.param(*case.values, mode, id=f"{case.id}-{mode}")
    for case in CASES
    for mode in MODES
    if mode == "near_even" or str(case.values[1]).partition("_")[2] not in COMPARE  # which do not round
]


@pytest.mark.full
@pytest.mark.timeout(1200)  # an FMA has 6,133,248 vectors: a minute on a quiet machine
@pytest.mark.parametrize(("guest", "function", "mode"), LEVEL_1)
def test_testfloat_level_1(testfloat_dir: Path, guest: Guest, function: str, mode: str) -> None:
    expect_no_mismatch(testfloat_dir, guest, function, mode, sample=0)


@pytest.mark.parametrize("function", ["f32_mul", "f64_to_f32"])
def test_testfloat_tells_when_tininess_is_detected(testfloat_dir: Path, function: str) -> None:
    """The judge bites: the wrong rule is a mismatch each way, and the right one none."""
    for right, wrong in (("after", "before"), ("before", "after")):
        guest = GUESTS[0]._replace(tininess=right)
        lines = list(vectors(testfloat_dir, guest, function, "near_even", exact=True, sample=0))
        assert not mismatches(lines, bind(function, sf.RNE, "canonical", right, exact=True))[1]
        assert mismatches(lines, bind(function, sf.RNE, "canonical", wrong, exact=True))[1]


# The host's own arithmetic, and exact rationals -----------------------------------------------------


def patterns(width: int) -> st.SearchStrategy[int]:
    """Bit patterns that favour the corners: few fraction bits, extreme and nearby exponents."""
    fmt = sf.FORMATS[width]
    top = fmt.infinity >> fmt.fraction_bits
    middle = top >> 1
    exponents = st.one_of(
        st.sampled_from([0, 1, 2, top - 2, top - 1, top]),
        st.integers(max(0, middle - 4), middle + 4),
        st.integers(0, top),
    )
    last = (1 << fmt.fraction_bits) - 1
    fractions = st.one_of(
        st.sampled_from([0, 1, 2, last, last - 1, fmt.quiet_bit, fmt.quiet_bit + 1, fmt.quiet_bit - 1]),
        st.integers(0, last),
    )
    return st.builds(
        lambda sign, exponent, fraction: sign << (width - 1) | exponent << fmt.fraction_bits | fraction,
        st.integers(0, 1), exponents, fractions,
    )  # fmt: skip


def to_float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


def to_bits(value: float) -> int:
    """Any NaN as the canonical one."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0]) if value == value else 0x7FF8 << 48


def exact_value(width: int, bits: int) -> Fraction:
    """A finite pattern's value, worked out from the format's definition (IEEE 754-2019 3.4)."""
    fmt = sf.FORMATS[width]
    exponent = (bits & fmt.infinity) >> fmt.fraction_bits
    fraction = Fraction(bits & ((1 << fmt.fraction_bits) - 1), 1 << fmt.fraction_bits)
    bias = (1 << (fmt.exponent_bits - 1)) - 1
    magnitude = (
        (1 + fraction) * Fraction(2) ** (exponent - bias)
        if exponent
        else fraction * Fraction(2) ** (1 - bias)
    )
    return -magnitude if bits >> (width - 1) else magnitude


def is_finite(width: int, bits: int) -> bool:
    fmt = sf.FORMATS[width]
    return bits & fmt.magnitude < fmt.infinity


@given(patterns(64), patterns(64))
def test_doubles_are_the_hosts(a: int, b: int) -> None:
    x, y = to_float(a), to_float(b)
    assert sf.add(64, a, b, sf.RNE)[0] == to_bits(x + y)
    assert sf.sub(64, a, b, sf.RNE)[0] == to_bits(x - y)
    assert sf.mul(64, a, b, sf.RNE)[0] == to_bits(x * y)
    if y:
        assert sf.div(64, a, b, sf.RNE)[0] == to_bits(x / y)
    if x >= 0:
        assert sf.sqrt(64, a, sf.RNE)[0] == to_bits(math.sqrt(x))
    assert sf.eq(64, a, b)[0] == (x == y)
    assert sf.lt(64, a, b)[0] == (x < y)
    assert sf.le(64, a, b)[0] == (x <= y)


@given(patterns(64))
def test_narrowing_and_integers_are_the_hosts(a: int) -> None:
    x = to_float(a)
    for width, code, integer in ((32, "<f", "<I"), (16, "<e", "<H")):
        fmt = sf.FORMATS[width]
        try:
            packed = int(struct.unpack(integer, struct.pack(code, x))[0])
        except OverflowError:
            packed = fmt.signed(fmt.sign(a >> (64 - width)), fmt.infinity)
        if x != x:
            packed = fmt.default_nan("canonical")
        assert sf.convert(64, width, a, sf.RNE)[0] == packed
    if is_finite(64, a) and -(2**63) <= int(x) < 2**63:
        assert sf.to_int(64, a, sf.RTZ, 64, True) == (int(x) % 2**64, 0 if int(x) == x else sf.NX)
    if is_finite(64, a):
        assert sf.round_to_int(64, a, sf.RNE, True)[0] == to_bits(math.copysign(float(round(x)), x))


@given(st.integers(0, 2**64 - 1))
@example(2**64 - 1)
@example(2**63)
def test_integers_to_doubles_are_the_hosts(value: int) -> None:
    assert sf.from_int(value, 64, False, 64, sf.RNE)[0] == to_bits(float(value))
    signed = value - (value >> 63 << 64)
    assert sf.from_int(value, 64, True, 64, sf.RNE)[0] == to_bits(float(signed))


@given(patterns(64), patterns(64), patterns(64))
def test_fused_doubles_are_the_rounded_rational(a: int, b: int, c: int) -> None:
    """Python divides big integers with one correct rounding: a judge of FMA that needs no FMA."""
    if not (is_finite(64, a) and is_finite(64, b) and is_finite(64, c)):
        return
    exact = exact_value(64, a) * exact_value(64, b) + exact_value(64, c)
    if not exact:
        return
    sign = -1.0 if exact < 0 else 1.0
    try:
        expected = math.copysign(float(exact), sign)  # one too small for a double loses its sign in float()
    except OverflowError:
        expected = math.copysign(math.inf, sign)
    result, flags = sf.fma(64, a, b, c, sf.RNE)
    assert result == to_bits(expected)
    assert bool(flags & sf.NX) == (math.isinf(expected) or Fraction(expected) != exact)


@st.composite
def finite_operands(draw: st.DrawFn) -> tuple[int, int, int, int]:
    width = draw(st.sampled_from([16, 32, 64, 128]))
    operands = patterns(width).filter(lambda bits: is_finite(width, bits))
    return width, draw(operands), draw(operands), draw(operands)


@given(finite_operands(), st.sampled_from(["add", "sub", "mul", "div", "fma"]))
def test_every_rounding_brackets_the_exact_value(operands: tuple[int, int, int, int], op: str) -> None:
    w, a, b, c = operands
    fmt = sf.FORMATS[w]
    x, y, z = exact_value(w, a), exact_value(w, b), exact_value(w, c)
    if op == "div" and not y:
        return
    exact = {"add": x + y, "sub": x - y, "mul": x * y, "div": x / y if y else x, "fma": x * y + z}[op]
    if not exact:
        return
    function: Callable[..., sf.Result] = {
        "add": sf.add,
        "sub": sf.sub,
        "mul": sf.mul,
        "div": sf.div,
        "fma": sf.fma,
    }[op]
    args = (a, b, c) if op == "fma" else (a, b)
    results = {rm: function(w, *args, rm) for rm in sorted(sf.ROUNDINGS)}
    down, up = results[sf.RDN][0], results[sf.RUP][0]
    inexact = down != up
    assert all(bool(flags & sf.NX) == inexact for _, flags in results.values())
    if not inexact:
        assert exact_value(w, down) == exact
        assert len({bits for bits, _ in results.values()}) == 1
        return
    # Neighbours, the exact value strictly between them.
    low, high = (up, down) if exact < 0 else (down, up)
    assert high - low == 1
    if is_finite(w, down):
        assert exact_value(w, down) < exact
    if is_finite(w, up):
        assert exact_value(w, up) > exact
    assert results[sf.RTZ][0] == low
    assert results[sf.ODD][0] == (low if low & 1 else high)
    if is_finite(w, high):
        half = (exact_value(w, low) + exact_value(w, high)) / 2
        if abs(exact) == abs(half):
            assert (results[sf.RNE][0], results[sf.RMM][0]) == ((high if low & 1 else low), high)
        else:
            nearest = high if abs(exact) > abs(half) else low
            assert results[sf.RNE][0] == results[sf.RMM][0] == nearest
    smallest = exact_value(w, 1 << fmt.fraction_bits)
    for _, flags in results.values():
        if abs(exact) >= smallest:
            assert not flags & sf.UF
        assert not flags & (sf.NV | sf.DZ)
        assert bool(flags & sf.OF) <= bool(not is_finite(w, high))
    assert function(w, *args, sf.RNE, tininess="before")[1] & sf.UF == (sf.UF if abs(exact) < smallest else 0)


@given(st.sampled_from([16, 32, 64, 128]), st.data())
def test_symmetries(w: int, data: st.DataObject) -> None:
    fmt = sf.FORMATS[w]
    a, b = data.draw(patterns(w)), data.draw(patterns(w))
    rm = data.draw(st.sampled_from(sorted(sf.ROUNDINGS)))
    mirrored = {sf.RDN: sf.RUP, sf.RUP: sf.RDN}.get(rm, rm)
    assert sf.add(w, a, b, rm) == sf.add(w, b, a, rm)
    assert sf.mul(w, a, b, rm) == sf.mul(w, b, a, rm)
    assert sf.fma(w, a, b, a, rm) == sf.fma(w, b, a, a, rm)
    if not fmt.is_nan(b):
        assert sf.sub(w, a, b, rm) == sf.add(w, a, b ^ fmt.sign_bit, rm)
    product, flags = sf.mul(w, a, b, rm)
    if not fmt.is_nan(product):
        assert sf.mul(w, a ^ fmt.sign_bit, b, mirrored) == (product ^ fmt.sign_bit, flags)
        assert sf.fma(w, a, b, fmt.signed(fmt.sign(a ^ b), 0), rm) == (product, flags)
    assert sf.min(w, a, b) == sf.min(w, b, a)
    assert sf.max(w, a, b) == sf.max(w, b, a)
    assert sf.lt(w, a, b) == sf.le(w, a, b) or sf.eq(w, a, b)[0]


@given(st.sampled_from([(16, 32), (16, 64), (32, 64), (64, 128)]), st.data())
def test_widening_is_exact_and_comes_back(widths: tuple[int, int], data: st.DataObject) -> None:
    narrow, wide = widths
    a = data.draw(patterns(narrow))
    widened, flags = sf.convert(narrow, wide, a, sf.RTZ)
    fmt = sf.FORMATS[narrow]
    assert flags == (sf.NV if fmt.is_signaling(a) else 0)
    expected = fmt.default_nan("canonical") if fmt.is_nan(a) else a
    assert sf.convert(wide, narrow, widened, sf.RTZ) == (expected, 0)


@given(st.sampled_from([16, 32, 64, 128]), st.booleans(), st.data())
def test_the_order_is_what_the_comparisons_say(w: int, signaling: bool, data: st.DataObject) -> None:
    a, b = data.draw(patterns(w)), data.draw(patterns(w))
    quiet = [f(w, x, y) for f, x, y in ((sf.lt_quiet, a, b), (sf.eq, a, b), (sf.lt_quiet, b, a))]
    outcomes = [result for result, _ in quiet]
    assert sum(outcomes) <= 1
    flags = (sf.lt if signaling else sf.lt_quiet)(w, a, b)[1]
    order = sum(bit << place for place, bit in enumerate((*outcomes, 1 - sum(outcomes))))
    assert sf.order(w, a, b, signaling) == (order, flags)


@given(st.sampled_from([16, 32, 64, 128]), st.data())
def test_classes_agree_with_the_other_operations(w: int, data: st.DataObject) -> None:
    a = data.draw(patterns(w))
    fmt = sf.FORMATS[w]
    mask, flags = sf.classify(w, a)
    assert flags == 0
    assert mask.bit_count() == 1
    assert bool(mask & 0b11_0000_0000) == (sf.eq(w, a, a)[0] == 0)
    assert bool(mask & 0b01_0000_0000) == (sf.eq(w, a, a)[1] == sf.NV)
    assert bool(mask & 0b00_0001_1000) == (sf.eq(w, a, 0)[0] == 1)
    assert bool(mask & 0b00_0000_0111) == (sf.lt(w, a, 0)[0] == 1)
    assert bool(mask & 0b00_1000_0001) == (a & fmt.magnitude == fmt.infinity)
    assert bool(mask & 0b00_0010_0100) == (0 < a & fmt.magnitude < 1 << fmt.fraction_bits)


# What the manuals say of the corners ----------------------------------------------------------------

ONE, ZERO, MINUS_ZERO, INF, MINUS_INF = 0x3FF0 << 48, 0, 0x8000 << 48, 0x7FF0 << 48, 0xFFF0 << 48
QUIET, SIGNALING, CANONICAL = 0x7FF8_0000_0000_0123, 0xFFF0_0000_0000_0456, 0x7FF8 << 48


@pytest.mark.parametrize(
    ("a", "b", "smaller", "larger", "flags"),
    [
        (ZERO, MINUS_ZERO, MINUS_ZERO, ZERO, 0),
        (MINUS_ZERO, MINUS_ZERO, MINUS_ZERO, MINUS_ZERO, 0),
        (ONE, INF, ONE, INF, 0),
        (MINUS_INF, ONE, MINUS_INF, ONE, 0),
        (MINUS_INF, MINUS_ZERO, MINUS_INF, MINUS_ZERO, 0),
        (0x8000_0000_0000_0001, MINUS_ZERO, 0x8000_0000_0000_0001, MINUS_ZERO, 0),
        (ONE, QUIET, ONE, ONE, 0),
        (ONE, SIGNALING, ONE, ONE, sf.NV),
        (QUIET, QUIET, CANONICAL, CANONICAL, 0),
        (QUIET, SIGNALING, CANONICAL, CANONICAL, sf.NV),
    ],
)  # fmt: skip
def test_riscv_minimum_and_maximum(a: int, b: int, smaller: int, larger: int, flags: int) -> None:
    """RISC-V F 2.2: a number beats a NaN, -0 is below +0, a signaling NaN is invalid."""
    assert sf.min(64, a, b) == sf.min(64, b, a) == (smaller, flags)
    assert sf.max(64, a, b) == sf.max(64, b, a) == (larger, flags)


def test_minimum_that_hands_nans_on() -> None:
    assert sf.minimum(64, ONE, QUIET) == (CANONICAL, 0)
    assert sf.maximum(64, SIGNALING, ONE) == (CANONICAL, sf.NV)
    assert sf.minimum(64, ZERO, MINUS_ZERO) == (MINUS_ZERO, 0)
    assert sf.maximum(64, ONE, INF) == (INF, 0)
    quieted = SIGNALING | 1 << 51
    assert sf.minimum(64, QUIET, SIGNALING, nan="arm") == (quieted, sf.NV)
    assert sf.min(64, ONE, QUIET, nan="arm") == (ONE, 0)
    assert sf.min(64, ONE, SIGNALING, nan="arm") == (quieted, sf.NV)


@pytest.mark.parametrize("addend", [ONE, MINUS_INF, QUIET, SIGNALING])
@pytest.mark.parametrize("nan", ["canonical", "arm"])
def test_infinity_times_zero_is_invalid_whatever_is_added(addend: int, nan: str) -> None:
    expected = SIGNALING | 1 << 51 if (addend, nan) == (SIGNALING, "arm") else CANONICAL
    assert sf.fma(64, INF, ZERO, addend, sf.RNE, nan=nan) == (expected, sf.NV)
    assert sf.fma(64, MINUS_ZERO, INF, addend, sf.RNE, nan=nan) == (expected, sf.NV)


def test_arm_takes_the_addends_nan_first() -> None:
    other = 0x7FF8_0000_0000_0789
    assert sf.fma(64, other, ONE, QUIET, sf.RNE, nan="arm") == (QUIET, 0)
    assert sf.fma(64, ONE, other, ONE, sf.RNE, nan="arm") == (other, 0)
    assert sf.fma(64, SIGNALING, ONE, QUIET, sf.RNE, nan="arm") == (SIGNALING | 1 << 51, sf.NV)


@pytest.mark.parametrize(
    ("a", "width", "signed", "expected", "flags"),
    [
        (CANONICAL, 32, True, 0x7FFF_FFFF, sf.NV),
        (SIGNALING, 32, False, 0xFFFF_FFFF, sf.NV),
        (INF, 64, True, 2**63 - 1, sf.NV),
        (MINUS_INF, 64, True, 2**63, sf.NV),
        (MINUS_INF, 64, False, 0, sf.NV),
        (0xBFE0 << 48, 32, False, 0, sf.NX),  # -0.5
        (0xBFF0 << 48, 32, False, 0, sf.NV),  # -1.0
        (0x41DF_FFFF_FFE0_0000, 32, True, 0x7FFF_FFFF, sf.NX),  # 2**31 - 0.5
        (0x41E0 << 48, 32, True, 0x7FFF_FFFF, sf.NV),  # 2**31
        (0xC1E0_0000_0010_0000, 32, True, 0x8000_0000, sf.NX),  # -2**31 - 0.5
    ],
)  # fmt: skip
def test_riscv_conversion_to_integers_saturates(
    a: int, width: int, signed: bool, expected: int, flags: int
) -> None:
    """RISC-V F 2.3, table of domains of float-to-integer conversions, rounding toward zero."""
    assert sf.to_int(64, a, sf.RTZ, width, signed) == (expected, flags)


def test_arm_with_default_nans() -> None:
    """FPProcessNaN with FPCR.DN: the default NaN wherever there would be one, and the rest as without."""
    assert sf.add(64, QUIET, ONE, sf.RNE, nan="arm-default") == (CANONICAL, 0)
    assert sf.fma(64, ONE, ONE, SIGNALING, sf.RNE, nan="arm-default") == (CANONICAL, sf.NV)
    assert sf.convert(64, 32, SIGNALING, sf.RNE, nan="arm-default") == (0x7FC0_0000, sf.NV)
    assert sf.min(64, ONE, QUIET, nan="arm-default") == (ONE, 0)
    assert sf.min(64, ONE, SIGNALING, nan="arm-default") == (CANONICAL, sf.NV)
    for nan in ("arm", "arm-default"):
        assert sf.to_int(64, QUIET, sf.RTZ, 32, True, nan=nan) == (0, sf.NV)


LEAST = 0x0010 << 48
"""The smallest normal number."""


def test_arm_flushes_what_is_tiny_before_rounding() -> None:
    """FPRound with FPCR.FZ: a zero, and underflow alone, also where rounding would make a normal number."""
    below_one = ONE - 1
    for tininess, expected in (
        ("before", (LEAST, sf.UF | sf.NX)),
        ("after", (LEAST, sf.UF | sf.NX)),
        ("flush", (0, sf.UF)),
    ):
        assert sf.mul(64, LEAST, below_one, sf.RNE, tininess=tininess) == expected
    assert sf.add(64, LEAST, MINUS_ZERO | 1, sf.RNE, tininess="flush") == (0, sf.UF)
    assert sf.sub(64, 1, LEAST, sf.RDN, tininess="flush") == (MINUS_ZERO, sf.UF)
    assert sf.add(64, LEAST, LEAST, sf.RNE, tininess="flush") == (2 * LEAST, 0)
    assert sf.flush(64, ONE, MINUS_ZERO | 5, INF) == ([ONE, MINUS_ZERO, INF], sf.IDC)
    assert sf.flush(32, 0, 0x7FC0_0000) == ([0, 0x7FC0_0000], 0)


def test_tininess_differs_where_rounding_reaches_the_smallest_normal_number() -> None:
    # Three quarters of a unit in the last place below it, which is exact to one bit more.
    product = 0x000F_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0001
    assert sf.mul(64, *product, sf.RNE, tininess="after") == (LEAST, sf.NX)
    assert sf.mul(64, *product, sf.RNE, tininess="before") == (LEAST, sf.NX | sf.UF)


def test_arms_alternative_halves() -> None:
    """FPUnpackCV and FPConvert with FPCR.AHP: numbers where others have infinities and NaNs."""
    assert sf.convert(16, 32, 0x7C00, sf.RNE, alternative=True) == (0x4780_0000, 0)  # 2**16
    assert sf.convert(16, 64, 0xFFFF, sf.RNE, alternative=True) == (0xC0FF_FC00 << 32, 0)  # -131008
    assert sf.convert(64, 16, 0x40FF_FC00 << 32, sf.RNE, alternative=True) == (0x7FFF, 0)
    assert sf.convert(64, 16, 0x40FF_FE00 << 32, sf.RNE, alternative=True) == (0x7FFF, sf.NV)
    assert sf.convert(64, 16, 0x40FF_FDFF << 32, sf.RNE, alternative=True) == (0x7FFF, sf.NX)
    assert sf.convert(64, 16, MINUS_INF, sf.RNE, alternative=True) == (0xFFFF, sf.NV)
    assert sf.convert(64, 16, SIGNALING, sf.RNE, alternative=True) == (0x8000, sf.NV)
    assert sf.convert(64, 16, 1, sf.RUP, alternative=True) == (1, sf.NX | sf.UF)
    for bits in range(0x8000):
        wide, _ = sf.convert(16, 32, bits, sf.RNE, alternative=True)
        assert sf.convert(32, 16, wide, sf.RNE, alternative=True) == (bits, 0)


def test_classes() -> None:
    values = [MINUS_INF, ONE | MINUS_ZERO, MINUS_ZERO | 1, MINUS_ZERO, ZERO, 1, ONE, INF, SIGNALING, QUIET]
    assert [sf.classify(64, value)[0] for value in values] == [1 << bit for bit in range(10)]


def test_a_fused_sum_may_have_narrow_factors(rng: random.Random) -> None:
    """As if they were widened first, but that a signaling NaN stays one."""
    for _ in range(2000):
        a, b, c = (sf.FORMATS[w].signed(rng.getrandbits(1), rng.getrandbits(w - 1)) for w in (16, 16, 32))
        rm, nan = rng.choice((sf.RNE, sf.RTZ, sf.RDN, sf.RUP)), rng.choice(("arm", "canonical"))
        if not any(sf.FORMATS[16].is_signaling(factor) for factor in (a, b)):
            wide = [sf.convert(16, 32, factor, sf.RNE, nan="arm")[0] for factor in (a, b)]
            assert sf.fma(32, a, b, c, rm, nan=nan, factors=16) == sf.fma(32, *wide, c, rm, nan=nan)
    assert sf.fma(32, 0x7C05, 0x3C00, 0x7FC0_0001, sf.RNE, nan="arm", factors=16) == (0x7FC0_A000, sf.NV)
    assert sf.fma(32, 0x3C00, 0xFC05, 0x7F80_0001, sf.RNE, nan="arm", factors=16) == (0x7FC0_0001, sf.NV)
    assert sf.fma(32, 0x7C00, 0, 0x7FC0_0001, sf.RNE, nan="arm", factors=16) == (0x7FC0_0000, sf.NV)


def test_zero_sums() -> None:
    assert [sf.sub(64, ONE, ONE, rm)[0] for rm in range(5)] == [ZERO, ZERO, MINUS_ZERO, ZERO, ZERO]
    assert sf.add(64, MINUS_ZERO, MINUS_ZERO, sf.RUP) == (MINUS_ZERO, 0)
    assert sf.sqrt(64, MINUS_ZERO, sf.RNE) == (MINUS_ZERO, 0)


# Refusals -------------------------------------------------------------------------------------------


def test_refuses_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"no floating-point format of 80 bits; supported: \[16, 32, 64, 128\]"
    ):
        sf.add(80, 0, 0, sf.RNE)
    with pytest.raises(ValueError, match="0x10000 is not a 16-bit pattern"):
        sf.mul(16, 0, 1 << 16, sf.RNE)
    with pytest.raises(ValueError, match="is not a 32-bit pattern"):
        sf.from_int(1 << 32, 32, False, 64, sf.RNE)
    with pytest.raises(ValueError, match="no rounding mode 5"):
        sf.sqrt(64, 0, 5)
    with pytest.raises(ValueError, match="no NaN policy 'mips'; supported: canonical, arm, arm-default, x86"):
        sf.add(64, 0, 0, sf.RNE, nan="mips")
    with pytest.raises(ValueError, match="no tininess rule 'never'"):
        sf.add(64, 0, 0, sf.RNE, tininess="never")


def test_fma_refuses_x86() -> None:
    with pytest.raises(ValueError, match="fma has no NaN policy 'x86'"):
        sf.fma(64, ONE, ONE, ONE, sf.RNE, nan="x86")
    with pytest.raises(ValueError, match="minimum and maximum have no NaN policy 'x86'"):
        sf.min(64, ONE, ONE, nan="x86")
