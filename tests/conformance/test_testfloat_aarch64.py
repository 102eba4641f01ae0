"""Berkeley TestFloat's vectors of halves through aarch64's tiers: FEAT_FP16, a number and vectors of it.

As in `test_testfloat`, a guest program goes over a buffer of vectors. It does each instruction on the low end of a
register, and on four and eight lanes that all hold the same; those must say the same. Wider formats are
tests/emit/test_llvm_float.py's, in the same style.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from polyvm.ir.softfloat import FORMATS
from polyvm.isa.disasm import assemble
from tests.conformance.test_testfloat import BUFFER, DATA, Function, Judge, every, vectors
from tests.contract.aarch64 import GUEST
from tests.contract.tiers import Tier, tiers
from tests.isa.aarch64.machine import ISA

STYLE = ("ARM-VFPv2", "before")
MODES = {"near_even": "n", "minMag": "z", "min": "m", "max": "p"}
"""The generator's names of FPCR's rounding modes in the order of their numbers, and the letters of conversions."""
AWAY = "near_maxMag"
LETTERS = {16: "h", 32: "s", 64: "d"}
GENERAL = {8: "w", 16: "w", 32: "w", 64: "x"}
INTEGERS = {"i32": ("s", 32), "ui32": ("u", 32), "i64": ("s", 64), "ui64": ("u", 64)}


@dataclass(frozen=True)
class Halves(Function):
    """A function of halves: `forms` has the lines that make h3, s3, d3, w2 or x2 of h0 to h2 or w1 or x1.

    lanes: the lines that make lanes of v7 of those of v4 to v6, {T} being their arrangement; none where there are none.
    """

    lanes: tuple[str, ...] = ()


def functions() -> Iterator[Halves]:
    """Everything that FP16 has for halves, and conversions to other formats. {r} is the letter of a rounding mode."""
    h = ("f", 16)
    for name in ("add", "sub", "mul", "div"):
        lanes = (f"f{name} v7.{{T}}, v4.{{T}}, v5.{{T}}",)
        yield Halves(f"f16_{name}", (h, h), h, (f"f{name} h3, h0, h1",), lanes=lanes)
    yield Halves("f16_sqrt", (h,), h, ("fsqrt h3, h0",), lanes=("fsqrt v7.{T}, v4.{T}",))
    yield Halves("f16_roundToInt", (h,), h, ("frintx h3, h0",), lanes=("frintx v7.{T}, v4.{T}",))
    fused = ("mov v7.16b, v6.16b", "fmla v7.{T}, v4.{T}, v5.{T}")
    yield Halves("f16_mulAdd", (h, h, h), h, ("fmadd h3, h0, h1, h2",), lanes=fused)
    for name, compare, condition, vector in (
        ("eq", "fcmp", "eq", "fcmeq v7.{T}, v4.{T}, v5.{T}"),
        ("lt", "fcmpe", "mi", "fcmgt v7.{T}, v5.{T}, v4.{T}"),
        ("le", "fcmpe", "ls", "fcmge v7.{T}, v5.{T}, v4.{T}"),
    ):
        forms = f"{compare} h0, h1", f"cset w2, {condition}"
        yield Halves(f"f16_{name}", (h, h), ("x", 8), forms, False, (vector,))
    for name, (sign, bits) in INTEGERS.items():
        r, x = GENERAL[bits], ("x", bits)
        yield Halves(f"f16_to_{name}", (h,), x, (f"fcvt{{r}}{sign} {r}2, h0",))
        yield Halves(f"{name}_to_f16", (x,), h, (f"{sign}cvtf h3, {r}1",))
    for bits, letter in ((32, "s"), (64, "d")):
        f = ("f", bits)
        yield Halves(f"f16_to_f{bits}", (h,), f, (f"fcvt {letter}3, h0",))
        yield Halves(f"f{bits}_to_f16", (f,), h, (f"fcvt h3, {letter}0",))


FUNCTIONS = {function.name: function for function in functions()}


def swapped(register: int, bits: int) -> list[str]:
    """Put the bytes of a register's low bits in reverse order: the generator prints the high ones first."""
    if bits == 8:
        return []
    name = f"{GENERAL[bits]}{register}"
    return [f"rev{'16' if bits == 16 else ''} {name}, {name}"]


def program(function: Halves, letter: str) -> bytes:
    """A loop over the vectors from x10 up to x11. x8 collects how lanes differ from the number, in value or FPSR."""
    suffix = {8: "b", 16: "h", 32: "", 64: ""}
    lines, at = [], 0
    for number, (file, bits) in enumerate(function.operands):
        register = f"{GENERAL[bits]}{number + 1}"
        lines += [f"ldur{suffix[bits]} {register}, [x10, #{at}]", *swapped(number + 1, bits)]
        if file == "f":
            lines.append(f"fmov {LETTERS[bits]}{number}, {register}")
        at += bits // 8
    file, bits = function.result
    lines += ["msr fpsr, xzr", *(form.format(r=letter) for form in function.forms), "mrs x3, fpsr"]
    if file == "f":
        lines.append(f"fmov {GENERAL[bits]}2, {LETTERS[bits]}3")
    for T in ("4h", "8h") if function.lanes else ():
        lines += [f"dup v{number + 4}.{T}, v{number}.h[0]" for number in range(len(function.operands))]
        lines += ["msr fpsr, xzr", *(line.format(T=T) for line in function.lanes), "mrs x4, fpsr"]
        # A truth value is all ones in a lane.
        lines += ["mov w5, w2"] if file == "f" else ["neg w5, w2"]
        lines += [f"dup v6.{T}, w5", "eor v6.16b, v6.16b, v7.16b", "mov x5, v6.d[0]", "mov x6, v6.d[1]"]
        lines += ["orr x8, x8, x5", "orr x8, x8, x6", "eor x4, x4, x3", "orr x8, x8, x4"]
    lines += [*swapped(2, bits), f"stur{suffix[bits]} {GENERAL[bits]}2, [x10, #{at}]"]
    # The generator's exceptions are FPSR's in reverse order.
    lines += ["rbit w3, w3", "lsr w3, w3, #27", f"sturb w3, [x10, #{at + bits // 8}]"]
    lines += [f"add x10, x10, #{function.size}", "cmp x10, x11"]
    body = b"".join(assemble(ISA, line) for line in lines)
    return body + assemble(ISA, f"b.lo .-{len(body)}") + assemble(ISA, "svc #0")


def without(data: bytes, function: Function) -> bytes:
    """Vectors but for those of a fused sum with a NaN as its addend: SoftFloat takes that last, Arm first."""
    if len(function.operands) < 3:
        return data
    pieces = (data[at : at + function.size] for at in range(0, len(data), function.size))
    return b"".join(piece for piece in pieces if not FORMATS[16].is_nan(int.from_bytes(piece[4:6], "big")))


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Tier]]:
    with tiers(GUEST, ("golden", "interpreter", "baseline", "region", "region, rounded")) as found:
        for tier in found.values():
            tier.map(DATA, bytes(BUFFER))
        yield found


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Vectors that agreed, by tier."""
    counts: Counter[str] = Counter()
    yield counts
    for name, count in sorted(counts.items()):
        report(f"TestFloat level 1, halves of aarch64: {name}, {count} vectors, values and exceptions")


def modes(function: Halves) -> Iterator[tuple[str, str]]:
    """Rounding modes by the generator's name, and the letters of a conversion to integers, which has one of its own."""
    yield from MODES.items() if function.rounds else (("near_even", "n"),)
    if "{r}" in function.forms[0]:
        yield AWAY, "a"


CASES = [(function, mode, letter) for function in FUNCTIONS.values() for mode, letter in modes(function)]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("function", "mode", "letter"), CASES, ids=[f"{f.name}-{mode}" for f, mode, _ in CASES]
)
def test_level_1(
    function: Halves,
    mode: str,
    letter: str,
    testfloat_dir: Path,
    made: dict[str, Tier],
    counted: Counter[str],
    full: bool,
    seed: int,
) -> None:
    # What has a rounding mode of its own has another one in FPCR.
    number = (list(MODES) * 2).index(mode) if mode in MODES else 0
    number = (number + 1) % 4 if "{r}" in function.forms[0] else number
    names = ("interpreter", "baseline", "region, rounded" if number else "region")
    code = program(function, letter)
    judges = [Judge(made[name], function, code, number) for name in names]
    limit = 60_000 if not full and len(function.operands) == 3 else None
    for data in vectors(testfloat_dir, function, mode, seed=seed, limit=limit, style=STYLE):
        for judge in judges:
            judge.expect_all(without(data, function))
    for judge in judges:
        assert judge.count > 100
        assert judge.golden_steps * 50 < judge.count
        counted[judge.tier.name] += judge.count


@pytest.mark.parametrize(
    ("function", "mode", "letter"), CASES, ids=[f"{f.name}-{mode}" for f, mode, _ in CASES]
)
def test_the_golden_evaluator_runs_the_same_programs(
    function: Halves,
    mode: str,
    letter: str,
    testfloat_dir: Path,
    made: dict[str, Tier],
    counted: Counter[str],
    full: bool,
    seed: int,
) -> None:
    number = list(MODES).index(mode) if mode in MODES else 0
    judge = Judge(made["golden"], function, program(function, letter), number)
    data = next(vectors(testfloat_dir, function, mode, seed=seed, limit=2000, style=STYLE))
    judge.expect_all(without(every(data, function.size, 1 if full else 50, seed % 50), function))
    counted["golden"] += judge.count


def test_one_wrong_bit_is_found(testfloat_dir: Path, made: dict[str, Tier]) -> None:
    """In the value or in the exceptions of a vector; and so is what lanes do otherwise."""
    function = FUNCTIONS["f16_mul"]
    data = next(vectors(testfloat_dir, function, "near_even", limit=500, style=STYLE))
    judge = Judge(made["region"], function, program(function, "n"), 0)
    assert judge.run(data) == []
    for column in function.results:
        at = 123 * function.size + column
        assert len(judge.run(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])) == 1
    other = Halves(
        function.name, function.operands, function.result, function.forms, lanes=FUNCTIONS["f16_add"].lanes
    )
    assert "form" in Judge(made["region"], other, program(other, "n"), 0).run(data)[0]
