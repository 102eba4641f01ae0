"""Berkeley TestFloat's vectors through the real tiers: values and exceptions of F, D and Zfh in every rounding mode.

A guest program goes over a buffer of vectors: it loads the operands, clears fflags, does one instruction, and stores
its result and the exceptions over inverted ones; then the buffer must be what the generator printed. Level 1 is run
whole but for the 6,133,248 vectors of each fused multiplication and for ties away, which native code leaves to the
golden evaluator: of those CI does a sample. The generator is data from outside (`--testfloat` or `--conformance`).
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from polyvm.engine import layout
from polyvm.isa.disasm import assemble
from tests.contract.riscv64 import GUEST
from tests.contract.tiers import PAGE, Tier, tiers
from tests.isa.riscv64.machine import ISA

CODE, DATA = 0x1_2340_0000, 0x2_0000_0000
BUFFER = 256 * PAGE
STYLE = ("RISCV", "after")

MODES = {"near_even": "rne", "minMag": "rtz", "min": "rdn", "max": "rup", "near_maxMag": "rmm"}
"""The generator's names of the rounding modes in the order of their numbers, and the assembler's."""
AWAY = "near_maxMag"
LETTERS = {16: "h", 32: "s", 64: "d"}
INTEGERS = {"i32": ("w", 32), "ui32": ("wu", 32), "i64": ("l", 64), "ui64": ("lu", 64)}
ARITHMETIC = {"add": 2, "sub": 2, "mul": 2, "div": 2, "sqrt": 1, "mulAdd": 3}
COMPARISONS = {"eq": "feq", "lt": "flt", "le": "fle"}
INVERTED = bytes(255 - byte for byte in range(256))


# ------------------------------------------------------------------------------------------------ functions
@dataclass(frozen=True)
class Function:
    """A function of TestFloat's: its operands and result, "f" or "x" with the bits, and the instructions that are it.

    forms: texts with the operands in ft0 to ft2 or t0, the result in ft3 or t2; those after the first need the
    operands whose digits stand in front of them with the other sign. rounds: whether there are rounding modes.
    """

    name: str
    operands: tuple[tuple[str, int], ...]
    result: tuple[str, int]
    forms: tuple[str, ...]
    rounds: bool = True

    @property
    def size(self) -> int:
        """Bytes of a vector: operands, result, exceptions."""
        return self.results.stop

    @property
    def results(self) -> range:
        """Where the result and the exceptions are in it."""
        start = sum(bits // 8 for _, bits in self.operands)
        return range(start, start + self.result[1] // 8 + 1)


def functions() -> Iterator[Function]:
    """Everything that F, D and Zfh have."""
    for bits, letter in LETTERS.items():
        f = ("f", bits)
        for name, count in ARITHMETIC.items():
            operands = ", ".join(f"ft{number}" for number in range(count))
            form = f" f{name}.{letter} ft3, {operands}"
            if name == "mulAdd":
                form = f" fmadd.{letter} ft3, {operands}"
                more = [f"{sign} f{n}.{letter} ft3, {operands}"
                        for sign, n in (("2", "msub"), ("0", "nmsub"), ("02", "nmadd"))]  # fmt: skip
                yield Function(f"f{bits}_{name}", (f, f, f), f, (form, *more))
            else:
                yield Function(f"f{bits}_{name}", (f,) * count, f, (form,))
        for name, mnemonic in COMPARISONS.items():
            form = f" {mnemonic}.{letter} t2, ft0, ft1"
            yield Function(f"f{bits}_{name}", (f, f), ("x", 8), (form,), rounds=False)
        for name, (mnemonic, width) in INTEGERS.items():
            x = ("x", width)
            yield Function(f"f{bits}_to_{name}", (f,), x, (f" fcvt.{mnemonic}.{letter} t2, ft0",))
            yield Function(f"{name}_to_f{bits}", (x,), f, (f" fcvt.{letter}.{mnemonic} ft3, t0",))
        for to, other in LETTERS.items():
            if to != bits:
                yield Function(f"f{bits}_to_f{to}", (f,), ("f", to), (f" fcvt.{other}.{letter} ft3, ft0",))


FUNCTIONS = {function.name: function for function in functions()}


# ------------------------------------------------------------------------------------------------ guest programs
LOAD = {16: "lhu", 32: "lwu", 64: "ld"}
STORE = {8: "sb", 16: "sh", 32: "sw", 64: "sd"}
MOVE = {16: "h", 32: "w", 64: "d"}


def swapped(register: str, bits: int) -> list[str]:
    """Put the bytes of a register's low bits in reverse order: the generator prints the high ones first."""
    if bits == 8:
        return []
    return [
        f"rev8 {register}, {register}",
        *([f"srli {register}, {register}, {64 - bits}"] if bits < 64 else []),
    ]


def program(function: Function, rm: str, forms: Sequence[str] | None = None) -> bytes:
    """A loop over the vectors from a0 up to a1. s0 collects what is wrong beside result and exceptions: a word that
    is not sign-extended, a narrow result that is not boxed, and other forms that differ from the first one.
    """
    lines: list[str] = []
    at = 0
    for number, (file, bits) in enumerate(function.operands):
        lines += [f"{LOAD[bits]} t{number}, {at}(a0)", *swapped(f"t{number}", bits)]
        if file == "f":
            lines.append(f"fmv.{MOVE[bits]}.x ft{number}, t{number}")
        at += bits // 8
    file, bits = function.result
    for place, form in enumerate(forms or function.forms):
        signs, _, text = form.partition(" ")
        rounding = f", {rm}" if function.rounds else ""
        letter = LETTERS.get(function.operands[0][1], "")
        negate = [f"fsgnjn.{letter} ft{digit}, ft{digit}, ft{digit}" for digit in signs]
        lines += [*negate, "csrrwi zero, fflags, 0", text + rounding, "csrrs t3, fflags, zero", *negate]
        if file == "f":
            lines.append(f"fmv.x.{MOVE[bits]} t2, ft3")
            if bits < 64:
                lines += ["fmv.x.d t4, ft3", "xori t4, t4, -1", f"srli t4, t4, {bits}", "or s0, s0, t4"]
        elif bits == 32:
            lines += ["addiw t4, t2, 0", "xor t4, t4, t2", "or s0, s0, t4"]
        if place == 0:
            lines += ["addi s2, t2, 0", *swapped("t2", bits)]
            lines += [f"{STORE[bits]} t2, {at}(a0)", f"sb t3, {at + bits // 8}(a0)", "addi s3, t3, 0"]
        else:
            lines += ["xor t2, t2, s2", "or s0, s0, t2", "xor t3, t3, s3", "or s0, s0, t3"]
    body = b"".join(assemble(ISA, line) for line in [*lines, f"addi a0, a0, {function.size}"])
    return body + assemble(ISA, f"bltu a0, a1, .-{len(body)}") + assemble(ISA, "ecall")


# ------------------------------------------------------------------------------------------------ vectors
def vectors(
    folder: Path,
    function: Function,
    mode: str,
    *,
    seed: int = 1,
    limit: int | None = None,
    style: tuple[str, str] = STYLE,
) -> Iterator[bytes]:
    """Level 1 in pieces that fit the buffer, or its first `limit` vectors; numbers with their high bytes first. style:
    whose answers they have, and when tininess is found."""
    build, tininess = style
    command = [str(folder / f"testfloat_gen-{build}"), "-level", "1", "-seed", str(seed), f"-r{mode}",
               f"-tininess{tininess}", "-exact", function.name]  # fmt: skip
    widths = [2 * bits // 8 for _, bits in function.operands] + [1 if function.result[1] == 8 else
                                                                 function.result[1] // 4, 2]  # fmt: skip
    line = sum(widths) + len(widths)
    piece = BUFFER // function.size
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        done = 0
        while text := process.stdout.read(line * min(piece, (limit or piece + done) - done)):
            assert len(text) % line == 0
            done += len(text) // line
            if function.result[1] == 8:  # a truth value has one digit
                text = text.replace(b" 0 ", b" 00 ").replace(b" 1 ", b" 01 ")
            data = bytes.fromhex(text.decode())
            assert len(data) % function.size == 0
            yield data
            if done == limit:
                process.kill()
    assert process.returncode == 0 or done == limit


def every(data: bytes, size: int, step: int, first: int = 0) -> bytes:
    """One of so many vectors."""
    return b"".join(data[at : at + size] for at in range(first * size, len(data), step * size))


def unanswered(data: bytes, function: Function) -> bytearray:
    """The vectors with results and exceptions that are surely wrong."""
    asked = bytearray(data)
    for column in function.results:
        asked[column :: function.size] = asked[column :: function.size].translate(INVERTED)
    return asked


class Judge:
    """A function's program in a tier, with frm set to `rounding`. golden: native code leaves its instructions, or those
    that must round, to the golden evaluator."""

    def __init__(
        self,
        tier: Tier,
        function: Function,
        code: bytes,
        rounding: int,
        *,
        golden: bool = False,
        address: int = CODE,
    ) -> None:
        self.tier, self.function, self.code, self.rounding = tier, function, code, rounding
        self.golden, self.address = golden, address
        tier.code(address, code)
        tier.compile(address)
        self.count = self.golden_steps = 0

    def run(self, data: bytes) -> list[str]:
        """Do vectors; those that came out differently, as text."""
        tier, function = self.tier, self.function
        count = len(data) // function.size
        self.count += count
        tier.space.write(DATA, unanswered(data, function))
        golden_steps = tier.engine.golden_steps
        outcome = tier.run(
            self.address,
            bytes(tier.guest.pack({("x", 10): DATA, ("x", 11): DATA + len(data)})),
            0,
            self.rounding,
        )
        assert outcome.reason == layout.SYSCALL, layout.REASONS[outcome.reason]
        assert tier.guest.get(outcome.registers, ("x", 10)) == DATA + len(data)
        self.golden_steps += tier.engine.golden_steps - golden_steps
        wrong = (
            [] if tier.guest.get(outcome.registers, ("x", 8)) == 0 else ["s0: extension, box or another form"]
        )
        answered = tier.space.read(DATA, len(data))
        if answered != data:
            places = range(0, len(data), function.size)
            wrong += [self._text(data, answered, at) for at in places
                      if answered[at : at + function.size] != data[at : at + function.size]]  # fmt: skip
        return wrong

    def _text(self, data: bytes, answered: bytes, at: int) -> str:
        first, end = self.function.results[0], self.function.size
        bits = [bits // 8 for _, bits in self.function.operands]
        starts = [sum(bits[:number]) for number in range(len(bits))]
        operands = " ".join(
            data[at + s : at + s + width].hex() for s, width in zip(starts, bits, strict=True)
        )
        expected, got = data[at + first : at + end], answered[at + first : at + end]
        return f"{operands}: {expected[:-1].hex()} {expected[-1]:02x}, got {got[:-1].hex()} {got[-1]:02x}"

    def expect_all(self, data: bytes) -> None:
        """Every vector agrees."""
        wrong = self.run(data)
        assert not wrong, (
            f"{self.function.name}, {self.tier.name}, frm {self.rounding}: {len(wrong)} differ:\n"
            + "\n".join(wrong[:8])
            + f"\n{self.tier.guest.text(self.code, self.address)}"
        )


# ------------------------------------------------------------------------------------------------ tests
@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Tier]]:
    with tiers(GUEST, ("golden", "interpreter", "baseline", "region", "region, rounded")) as found:
        for tier in found.values():
            tier.map(DATA, bytes(BUFFER))
        yield found


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Vectors that agreed, by tier and whether they were rounded to nearest, ties away."""
    counts: Counter[str] = Counter()
    yield counts
    for name, count in sorted(counts.items()):
        report(f"TestFloat level 1 through the engine: {name}, {count} vectors, values and exceptions")


def judges(made: dict[str, Tier], function: Function, mode: str) -> Iterator[Judge]:
    """Every way to do a function in a rounding mode: the mode in the instruction, with another one in frm; then in
    frm. Compiled code takes frm to be nearest, unless it was made for others.

    Ties away are the golden evaluator's to do, but for what rounds to integers and says so itself.
    """
    number = list(MODES).index(mode)
    forms = function.forms[:1] if mode == AWAY else None
    static = program(function, MODES[mode], forms)
    other = (number + 1) % len(MODES)
    golden = mode == AWAY and function.result[0] == "f"
    yield Judge(made["interpreter"], function, static, other, golden=golden)
    yield Judge(made["region"], function, static, other, golden=golden)
    if function.rounds:
        dynamic, golden = program(function, "dyn", forms), mode == AWAY
        for name in ("interpreter", "region, rounded" if number else "region"):
            yield Judge(made[name], function, dynamic, number, golden=golden, address=CODE + PAGE)


CASES = [(function, mode) for function in FUNCTIONS.values() for mode in MODES
         if function.rounds or mode == "near_even"]  # fmt: skip


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("function", "mode"), CASES, ids=[f"{f.name}-{mode}" for f, mode in CASES])
def test_level_1(
    function: Function,
    mode: str,
    testfloat_dir: Path,
    made: dict[str, Tier],
    counted: Counter[str],
    full: bool,
    seed: int,
) -> None:
    fused, alone = function.name.endswith("mulAdd"), len(function.operands) == 1
    limit = 100_000 if fused and not full else None
    # A ten thousandth of a second each, where the golden evaluator does them.
    sparse = (61 if fused else 1) if full else 3 if alone else 101
    all_of_them = list(judges(made, function, mode))
    for data in vectors(testfloat_dir, function, mode, seed=seed, limit=limit):
        some = every(data, function.size, sparse, seed % sparse) if mode == AWAY else data
        for judge in all_of_them:
            judge.expect_all(some if judge.golden else data)
    for judge in all_of_them:
        assert judge.count > 100
        # Else it was native code's own work; a unit may hand over where it is entered.
        assert judge.golden or judge.golden_steps * 50 < judge.count
        counted[f"{judge.tier.name}{', ties away' if judge.golden else ''}"] += judge.count


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_golden_evaluator_runs_the_same_programs(
    function: Function,
    testfloat_dir: Path,
    made: dict[str, Tier],
    counted: Counter[str],
    full: bool,
    seed: int,
) -> None:
    """A sample: tests/ir/test_softfloat.py has all of level 1 for its arithmetic."""
    for number, mode in enumerate(MODES if function.rounds else ("near_even",)):
        data = next(vectors(testfloat_dir, function, mode, seed=seed, limit=2000 if full else 40))
        for rm, frm in ((MODES[mode], (number + 1) % len(MODES)), ("dyn", number)):
            judge = Judge(made["golden"], function, program(function, rm), frm)
            judge.expect_all(data)
            counted["golden"] += judge.count


# ------------------------------------------------------------------------------------------------ the judge bites
@pytest.mark.parametrize("name", ["interpreter", "baseline", "region"])
@pytest.mark.parametrize("function", [FUNCTIONS[n] for n in ("f64_add", "f16_to_ui32", "f32_mulAdd", "f64_lt")],
                         ids=lambda function: function.name)  # fmt: skip
def test_one_wrong_bit_is_found(
    function: Function, name: str, testfloat_dir: Path, made: dict[str, Tier]
) -> None:
    """In the value or in the exceptions of one vector: that vector and no other is named."""
    judge = Judge(made[name], function, program(function, "rne"), 0)
    data = next(vectors(testfloat_dir, function, "near_even", limit=500))
    assert judge.run(data) == []
    for column in function.results:
        at = 123 * function.size + column
        wrong = judge.run(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        assert len(wrong) == 1
        start = 123 * function.size
        assert wrong[0].startswith(data[start : start + function.operands[0][1] // 8].hex())


@pytest.mark.parametrize("name", ["interpreter", "baseline", "region"])
def test_what_is_not_done_is_found(name: str, testfloat_dir: Path, made: dict[str, Tier]) -> None:
    """Another rounding mode, an instruction that raises nothing, one that is left out, a result without its box, and
    forms that disagree."""
    add, narrow, fused = FUNCTIONS["f64_add"], FUNCTIONS["f64_to_f32"], FUNCTIONS["f32_mulAdd"]
    data = next(vectors(testfloat_dir, add, "near_even", limit=500))
    assert len(Judge(made[name], add, program(add, "rup"), 0).run(data)) > 50
    unrounded = Function(add.name, add.operands, add.result, (" fsgnj.d ft3, ft0, ft0",), rounds=False)
    assert len(Judge(made[name], unrounded, program(unrounded, ""), 0).run(data)) > 200
    nothing = assemble(ISA, "addi a0, a1, 0") + assemble(ISA, "ecall")
    assert len(Judge(made[name], add, nothing, 0).run(data)) == len(data) // add.size
    data = next(vectors(testfloat_dir, narrow, "near_even", limit=200))
    moved = Function(narrow.name, narrow.operands, narrow.result,
                     (" fcvt.s.d ft3, ft0", " fsgnj.d ft3, ft0, ft0"), rounds=False)  # fmt: skip
    assert Judge(made[name], moved, program(moved, ""), 0).run(data) == ["s0: extension, box or another form"]
    data = next(vectors(testfloat_dir, fused, "near_even", limit=200))
    wrong_sign = (fused.forms[0], fused.forms[1].lstrip("2"))
    assert Judge(made[name], fused, program(fused, "rne", wrong_sign), 0).run(data) == [
        "s0: extension, box or another form"
    ]
