"""F, D and Zfh in the golden evaluator, beside the manual, the riscv-tests, Unicorn and QEMU.

The riscv-tests are data from outside (`--riscv-tests` or `--conformance`), qemu-riscv64 may be absent; then skipped.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unicorn import riscv_const as uc

from polyvm.ir import golden, softfloat
from polyvm.isa.disasm import assemble
from polyvm.isa.riscv64.fp import D, Format, H, S
from polyvm.isa.spec import Insn
from tests.isa.riscv64 import test_golden_qemu as qemu
from tests.isa.riscv64.floats import (
    EXTENSIONS,
    FLOAT,
    FORMATS,
    boxed,
    fill,
    float_register,
    pattern,
    register,
)
from tests.isa.riscv64.machine import ISA, MASK, Machine, of, random_fields, random_value
from tests.isa.riscv64.test_golden_unicorn import Judge

DATA = 0x10_0000


# -- The manual
def run(line: str, machine: Machine) -> None:
    machine.step(int.from_bytes(assemble(ISA, line), "little"))


def unboxed_values() -> Iterator[tuple[Format, int]]:
    for fmt in (S, H):
        for missing in (63, fmt.bits):
            yield fmt, boxed(0, fmt) ^ 1 << missing


@pytest.mark.parametrize(("fmt", "value"), list(unboxed_values()))
def test_what_is_not_boxed_counts_as_the_canonical_nan(fmt: Format, value: int) -> None:
    """D 2.2, NaN boxing: computations see a NaN; stores and moves take the bits as they are."""
    machine = Machine(DATA, bytes(16))
    for bits in (value, value | 0x3C00):
        machine.state.write(("f", 1), bits)
        machine.state.write(("f", 2), boxed(0, fmt))
        run(f"fclass.{fmt.letter} a0, ft1", machine)
        assert machine[10] == 1 << 9
        run(f"fadd.{fmt.letter} ft3, ft1, ft2", machine)
        assert float_register(machine, 3) == boxed(fmt.nan, fmt)
        run(f"fmin.{fmt.letter} ft3, ft1, ft2", machine)
        assert float_register(machine, 3) == boxed(0, fmt)
        run(f"fsgnj.{fmt.letter} ft3, ft1, ft1", machine)
        assert float_register(machine, 3) == boxed(fmt.nan, fmt)
        run(f"fsgnjn.{fmt.letter} ft3, ft2, ft1", machine)
        assert float_register(machine, 3) == boxed(fmt.sign, fmt)
        assert machine.fcsr == 0
        machine[11] = DATA
        width = {32: "w", 16: "h"}[fmt.bits]
        run(f"fs{width} ft1, 0(a1)", machine)
        assert machine.memory.load(DATA, fmt.bits // 8) == bits & (1 << fmt.bits) - 1
        run(f"fmv.x.{width} a0, ft1", machine)
        assert machine[10] == golden.signed(bits & (1 << fmt.bits) - 1, fmt.bits) & MASK


def test_narrow_results_are_boxed() -> None:
    machine = Machine(DATA, bytes([0, 0, 0x80, 0x3F, *range(12)]))
    machine[10], machine[11] = 0x1234_5678_3F80_3C00, DATA
    for line, expected in (
        ("fmv.w.x ft0, a0", boxed(0x3F80_3C00, S)),
        ("fmv.h.x ft0, a0", boxed(0x3C00, H)),
        ("flw ft0, 0(a1)", boxed(0x3F80_0000, S)),
        ("flh ft0, 2(a1)", boxed(0x3F80, H)),
        ("fcvt.s.w ft0, a0", boxed(softfloat.from_int(0x3F80_3C00, 32, True, 32, 0)[0], S)),
        ("fcvt.h.w ft0, zero", boxed(0, H)),
    ):
        run(line, machine)
        assert float_register(machine, 0) == expected, line


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.letter)
def test_classes(fmt: Format, rng: random.Random) -> None:
    machine = Machine()
    values = [
        (1 << fmt.bits) - 1,
        0,
        fmt.sign,
        1,
        fmt.sign | 1,
        fmt.infinity,
        fmt.infinity | fmt.sign,
        fmt.infinity | 1,
    ]
    for value in [*values, *(pattern(rng, fmt) for _ in range(500))]:
        machine.state.write(("f", 1), boxed(value, fmt))
        run(f"fclass.{fmt.letter} a0, ft1", machine)
        assert machine[10] == softfloat.classify(fmt.bits, value)[0], hex(value)
    assert machine.fcsr == 0


def rounding_insns() -> list[Insn]:
    return [insn for insn in FLOAT if "rm" in insn.encoding.fields]


def test_reserved_rounding_modes_are_illegal(rng: random.Random) -> None:
    """F 2.2, "rm": 5 and 6 in the instruction, and 5 to 7 in frm for a dynamic one, even where nothing is rounded."""
    for insn in rounding_insns():
        fields = random_fields(insn, (("rm", 7),), rng)
        for reserved in (5, 6):
            assert ISA.decode(insn.encode({**fields, "rm": reserved})) is None
        word = insn.encode(fields)
        for mode in range(8):
            machine = Machine()
            fill(machine, rng)
            machine.fcsr = mode << 5 | 5
            before = dict(machine.state.slots)
            if mode < 5:
                machine.step(word)
                assert machine.pc == 4
                continue
            with pytest.raises(golden.Trap) as trap:
                machine.step(word)
            assert trap.value.cause == "illegal"
            assert (machine.state.slots, machine.pc) == (before, 0)
            static = insn.encode({**fields, "rm": 1})
            machine.step(static)
            assert machine.pc == 4


def test_every_instruction_has_its_formats_result(rng: random.Random) -> None:
    """Words are sign-extended even when they are unsigned, and -(a * b) keeps the sign of an exact zero."""
    machine = Machine()
    machine.state.write(("f", 1), boxed(0xCF00_0000, S))  # -2^31
    machine.state.write(("f", 2), boxed(0x4F00_0000, S))
    run("fcvt.w.s a0, ft1, rtz", machine)
    assert machine[10] == 0xFFFF_FFFF_8000_0000
    run("fcvt.wu.s a0, ft2, rtz", machine)
    assert machine[10] == 0xFFFF_FFFF_8000_0000
    assert machine.fcsr == 0
    one, zero = 0x3FF0 << 48, 0
    for number, value in enumerate((one, one, one ^ 1 << 63, zero)):
        machine.state.write(("f", number), value)
    for line, expected in (
        ("fmadd.d ft4, ft0, ft1, ft2", 0),
        ("fmsub.d ft4, ft0, ft1, ft0", 0),
        ("fnmsub.d ft4, ft0, ft1, ft0", 0),
        ("fnmadd.d ft4, ft0, ft1, ft2", 0),
        ("fnmadd.d ft4, ft0, ft3, ft3", 1 << 63),
    ):
        run(line, machine)
        assert float_register(machine, 4) == expected, line


# -- riscv-tests, in the golden evaluator
PROGRAMS = [f"rv64u{part}-u-{name}"
            for part, names in (
                ("f", "fadd fclass fcmp fcvt fcvt_w fdiv fmadd fmin ldst move recoding"),
                ("d", "fadd fclass fcmp fcvt fcvt_w fdiv fmadd fmin ldst move recoding structural"),
                ("zfh", "fadd fclass fcmp fcvt fcvt_w fdiv fmadd fmin ldst move recoding"),
                ("c", "rvc"))
            for name in names.split()]  # fmt: skip


def load_program(path: Path) -> Machine:
    """A machine with a static program in memory, at its entry."""
    image = path.read_bytes()
    entry, headers = struct.unpack_from("<QQ", image, 24)
    (count,) = struct.unpack_from("<H", image, 56)
    segments = []
    for number in range(count):
        kind, _, offset, address, _, size, memory, _ = struct.unpack_from(
            "<IIQQQQQQ", image, headers + 56 * number
        )
        if kind == 1:
            segments.append((address, image[offset : offset + size], memory))
    start = min(address for address, _, _ in segments)
    end = max(address + memory for address, _, memory in segments)
    machine = Machine(start, bytes(end - start))
    for address, data, _ in segments:
        machine.memory.data[address - start : address - start + len(data)] = data
    machine.pc = entry
    return machine


def run_on(machine: Machine, limit: int) -> None:
    for _ in range(limit):
        word = machine.memory.load(machine.pc, 2)
        if word & 3 == 3:
            word |= machine.memory.load(machine.pc + 2, 2) << 16
        machine.step(word)


@pytest.mark.parametrize("name", PROGRAMS)
def test_riscv_tests(riscv_tests_dir: Path, name: str) -> None:
    machine = load_program(riscv_tests_dir / name)
    with pytest.raises(golden.Syscall):
        run_on(machine, 100_000)
    assert (machine[17], machine[10]) == (93, 0), f"test {machine[10]} failed"


# -- Unicorn
F_REGISTERS = [uc.UC_RISCV_REG_F0 + number for number in range(32)]


def differs_from_qemu_5(insn: Insn, machine: Machine) -> bool:
    """Where Unicorn's QEMU is behind the manual's version 2.2.

    Its fmin and fmax are IEEE 754-2008's minNum, for which a signaling NaN wins. It neither makes nor checks boxes:
    it gets none that are wrong, and of single results the low halves are compared.
    """
    nans = (fmt for fmt in (S, D) if insn.name in (f"fmin.{fmt.letter}", f"fmax.{fmt.letter}"))
    for fmt in nans:
        values = [float_register(machine, number) & (1 << fmt.bits) - 1 for number in range(32)]
        if any(softfloat.FORMATS[fmt.bits].is_signaling(value) for value in values):
            return True
    return False


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


UNICORN = [
    insn
    for insn in of(("F", "D"))
    if not any(f.kind == "signed" for f in map(ISA.fields.get, insn.encoding.fields) if f)
]


@pytest.mark.parametrize("insn", UNICORN, ids=[insn.name for insn in UNICORN])
def test_agrees_with_unicorn(insn: Insn, judge: Judge, rng: random.Random, full: bool) -> None:
    compared, wanted = 0, 3000 if full else 60
    source = D if insn.extension.name == "D" and insn.name != "fcvt.d.s" else S
    machine = Machine()
    while compared < wanted:
        fill(machine, rng, source)
        if differs_from_qemu_5(insn, machine):
            for number in range(32):
                value = float_register(machine, number)
                if softfloat.FORMATS[source.bits].is_nan(value & (1 << source.bits) - 1):
                    machine.state.write(("f", number), value | source.quiet)
        machine.fcsr = rng.randrange(5) << 5 | rng.choice((0, rng.getrandbits(5)))
        word = insn.encode(random_fields(insn, rng.choice(list(insn.shapes())), rng))
        address = judge.place(word, 4)
        judge.load_state(machine)
        judge.cpu.reg_write_batch([(r, float_register(machine, n)) for n, r in enumerate(F_REGISTERS)])
        machine.pc = address
        judge.step(address)
        machine.step(word)
        what = f"{insn.text}: {word:#x}"
        judge.compare(machine, what)
        theirs = [*judge.cpu.reg_read_batch(F_REGISTERS)]
        if "fd" in insn.encoding.fields and (insn.extension.name == "F" or insn.name == "fcvt.s.d"):
            fd = insn.fields(word)["fd"]
            theirs[fd] = boxed(theirs[fd] & 0xFFFF_FFFF, S)
        assert [hex(v) for v in theirs] == [hex(float_register(machine, n)) for n in range(32)], what
        assert judge.exception is None
        compared += 1


# -- QEMU, which knows halves and boxes
@pytest.mark.skipif(qemu.QEMU is None, reason="qemu-riscv64 is not installed")
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_agrees_with_qemu(
    extension: str, tmp_path: Path, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    """Operands, result and exceptions of each instruction: fa0 to fa2 and a0 are its registers, fcsr goes with them."""
    insns = [insn for insn in of([extension]) if "imm" not in insn.encoding.fields]
    before = qemu.code(
        "ld a0, 24(s0)", "fscsr a0", "ld a0, 32(s0)", *(f"fld fa{i}, {8 * i}(s0)" for i in range(3))
    )
    after = qemu.code("sd a0, 32(s0)", "frcsr a0", "sd a0, 24(s0)", *(f"fsd fa{i}, {8 * i}(s0)" for i in range(3)),
                      "addi s0, s0, 40")  # fmt: skip
    cases: list[tuple[Insn, int, tuple[int, ...]]] = []
    for insn in insns:
        for _ in range(400 if full else 40):
            fields = random_fields(insn, rng.choice(list(insn.shapes())), rng)
            for name in fields:
                if ISA.fields[name].kind == "register":
                    fields[name] = rng.randrange(10, 13) if ISA.fields[name].file == "f" else 10
            state = (*(register(rng) for _ in range(3)), rng.randrange(5) << 5 | rng.choice((0, rng.getrandbits(5))),
                     random_value(rng))  # fmt: skip
            cases.append((insn, insn.encode(fields), state))
    body = b"".join(before + word.to_bytes(4, "little") + after for _, word, _ in cases)
    table = b"".join(struct.pack("<5Q", *state) for _, _, state in cases)
    binary = tmp_path / "program"
    binary.write_bytes(around(body, table))
    binary.chmod(0o755)
    assert qemu.QEMU is not None
    done = subprocess.run(
        [qemu.QEMU, "-cpu", "rv64,Zfh=true", str(binary)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    machine = Machine()
    for (insn, word, state), theirs in zip(cases, struct.iter_unpack("<5Q", done.stdout), strict=True):
        for number in range(3):
            machine.state.write(("f", 10 + number), state[number])
        machine.fcsr, machine[10] = state[3], state[4]
        machine.step(word)
        ours = (*(float_register(machine, 10 + n) for n in range(3)), machine.fcsr, machine[10])
        assert [hex(v) for v in ours] == [hex(v) for v in theirs], (
            f"{insn.text}: {word:#x} on {[hex(v) for v in state]}"
        )
    report(
        f"golden == qemu: {extension:>4}, {len(insns)} instructions, {len(cases)} random states, with exceptions"
    )


def around(body: bytes, table: bytes) -> bytes:
    """A program that does `body` with s0 at the table, then writes the table out."""
    high, low = qemu.split(len(table))
    end = qemu.code("li a0, 1", "mv a1, s1", f"lui a2, {high}", f"addi a2, a2, {low}", "li a7, 64", "ecall",
                    "li a0, 0", "li a7, 93", "ecall")  # fmt: skip
    high, low = qemu.split(12 + len(body) + len(end))
    return qemu.elf(qemu.code(f"auipc s0, {high}", f"addi s0, s0, {low}", "mv s1, s0") + body + end, table)
