"""Pointer authentication with keys: beside Unicorn and qemu-aarch64, whose algorithm is another, in all that does not
depend on it; and as programs see it, in every tier.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from unicorn import arm64_const as uc

from polyvm.ir import golden
from polyvm.isa.aarch64 import abi, features, pauth
from polyvm.isa.aarch64.registers import KEYS, OPTIONS, PAUTH, SP, SPECIALS
from polyvm.isa.disasm import assemble
from polyvm.isa.spec import Insn
from tests.isa.aarch64.judge import Judge
from tests.isa.aarch64.machine import ISA, Machine
from tests.isa.dictionaries import CORNERS, MASK, OutsideMemory, random_word
from tests.processes import unmeasured
from tests.toolchain import build

OURS = [insn for insn in ISA.insns if insn.extension.name.startswith("FEAT_PAuth")]
HINTS = [insn for insn in OURS if insn.extension.name.endswith("hints")]
LETTERS = ("ia", "ib", "da", "db")
USED = 1 << 31 | 1 << 30 | 1 << 27 | 1 << 13
"""SCTLR_EL1.EnIA, EnIB, EnDA and EnDB (D24.2.149)."""
NOT_TRAPPED = 1 << 17 | 1 << 10 | 1, 1 << 41 | 1 << 31
"""SCR_EL3.API, RW and NS; HCR_EL2.API and RW."""
RANGES = 1 << 37 | 16 << 16 | 16
"""TCR_EL1.TBI0, and addresses of 48 bits in both halves: what Linux has."""


def keyed(rng: random.Random, pointer: int = 0) -> Machine:
    """A processor that has it, with keys that are all used."""
    machine = Machine()
    for name in SPECIALS:
        if name.startswith("ap"):
            machine.state.write((name, 0), rng.getrandbits(64))
    for name in (PAUTH, *(f"en{letter}" for letter in LETTERS)):
        machine.state.write((name, 0), 1)
    machine[1] = pointer
    machine[2] = rng.getrandbits(64)
    return machine


def pointers(rng: random.Random, count: int) -> list[int]:
    """Pointers of both halves, with tags and without, some of which lead nowhere."""
    found = list(CORNERS)
    for _ in range(count):
        low = rng.getrandbits(48)
        found += [low, low | 0xFFFF << 48, low | rng.getrandbits(8) << 56, rng.getrandbits(64)]
        found.append(low | rng.choice((0x40, 0x80, 0x7F, 0x01, 0xFF)) << 48)
    return found


@pytest.fixture(scope="module")
def judge() -> Judge:
    made = Judge(uc.UC_CPU_ARM64_MAX)
    for crn, crm, op1, op2, value in (
        (1, 1, 6, 0, NOT_TRAPPED[0]), (1, 1, 4, 0, NOT_TRAPPED[1]), (1, 0, 0, 0, USED), (2, 0, 0, 2, RANGES),
        *((2, 1 + n // 4, 0, n % 4, 0x1234 + n) for n in range(10)),
    ):  # fmt: skip
        made.cpu.reg_write(uc.UC_ARM64_REG_CP_REG, (crn, crm, 3, op1, op2, value))
    return made


def theirs(judge: Judge, machine: Machine, *lines: str) -> int:
    """X1 after some instructions on their processor."""
    judge.load_state(machine)
    for line in lines:
        place = judge.room()
        judge.place(int.from_bytes(assemble(ISA, line), "little"), place)
        judge.step(place)
        assert judge.exception is None, line
    return int(judge.cpu.reg_read(uc.UC_ARM64_REG_X1))


def ours(machine: Machine, *lines: str) -> int:
    """X1 after some instructions on ours."""
    machine.do(*lines)
    return machine[1]


def field(pointer: int) -> int:
    """Where a pointer's code is, by whoever makes it."""
    return 0xFF7F << 48 if pointer >> 55 & 1 else 0x7F << 48


# -- Beside Unicorn
def test_what_is_no_code_is_the_same(
    judge: Judge, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    compared = 0
    for pointer in pointers(rng, 400 if full else 8):
        for name in ("xpaci", "xpacd"):
            made = (ours(keyed(rng, pointer), f"{name} x1"), theirs(judge, keyed(rng, pointer), f"{name} x1"))
            assert made[0] == made[1], (name, hex(pointer))
        if pointer >> 55 & 1 and not pointer >> 63:
            # Of the kernel's half by bit 55 alone: AddPAC takes that bit where tags are ignored in either half ("the
            # awkward case" of its comment), this judge bit 63, as tags are not ignored in this one.
            continue
        for key in LETTERS:
            machine = keyed(rng, pointer)
            both = theirs(judge, machine, f"pac{key} x1, x2"), ours(machine, f"pac{key} x1, x2")
            assert both[0] & ~field(pointer) == both[1] & ~field(pointer), (key, hex(pointer))
            # A pointer that was good is so again. One that was not is poison then; this judge makes bit 55 of its code
            # wrong, which is none of the code, and not bit 54 (top_bit - 1 in AddPAC); qemu-aarch64 does as we do.
            machine = keyed(rng, pointer)
            lines = f"pac{key} x1, x2", f"aut{key} x1, x2"
            there, here = theirs(judge, machine, *lines), ours(machine, *lines)
            place = 61 if pointer >> 55 & 1 else 53
            poison = good(pointer) & ~(3 << place) | (1 if key[1] == "a" else 2) << place
            assert hex(here) == hex(good(pointer) if good(pointer) == pointer else poison), (
                key,
                hex(pointer),
            )
            assert there in (here, good(pointer))
            # Anything else is poison; one code in 128 is right, with each algorithm another.
            machine = keyed(rng, pointer)
            there, here = theirs(judge, machine, lines[1]), ours(machine, lines[1])
            assert here == there or good(pointer) in (here, there), (key, hex(pointer))
            compared += 3
    report(f"pointer authentication == unicorn: {compared} pointers")


def good(pointer: int) -> int:
    """A pointer without its code, as D8.11 has it."""
    return pointer | 0xFFFF << 48 if pointer >> 55 & 1 else pointer & ~(0x7F << 48)


def test_generic_codes_have_an_upper_half(judge: Judge, rng: random.Random) -> None:
    machine = keyed(rng, 5)
    for result in (theirs(judge, machine, "pacga x1, x1, x2"), ours(machine, "pacga x1, x1, x2")):
        assert result % (1 << 32) == 0
        assert result


# -- The algorithm
def code(machine: Machine, pointer: int, key: str = "ia") -> int:
    machine[1] = pointer
    return ours(machine, f"pac{key} x1, x2") >> 48 & 0x7F


def test_codes_depend_on_all_that_goes_in(rng: random.Random) -> None:
    """Each bit of pointer, modifier and key changes about 127 codes in 128; chance has room (5 sigma is 12 of 128)."""
    machine = keyed(rng)
    pointer, modifier = rng.getrandbits(48), machine[2]
    before = code(machine, pointer)
    changed = 0
    for bit in range(48):
        changed += code(machine, pointer ^ 1 << bit) != before
    for bit in range(64):
        machine[2] = modifier ^ 1 << bit
        changed += code(machine, pointer) != before
    machine[2] = modifier
    for half in ("lo", "hi"):
        slot = (f"apiakey{half}_el1", 0)
        key = machine.state.read(slot)
        for bit in range(64):
            machine.state.write(slot, key ^ 1 << bit)
            changed += code(machine, pointer) != before
        machine.state.write(slot, key)
    assert changed > 240 - 16
    assert code(machine, pointer) == before


def test_every_code_occurs(rng: random.Random) -> None:
    machine = keyed(rng)
    codes = [code(machine, 16 * number) for number in range(2048)]
    counts = [codes.count(value) for value in range(128)]
    assert min(counts) >= 1
    assert max(counts) < 48  # 16 each; 8 sigma


@pytest.mark.parametrize("key", LETTERS)
def test_a_key_that_is_not_used_does_nothing(key: str, rng: random.Random) -> None:
    machine = keyed(rng, 0x1234_5678)
    machine.state.write((f"en{key}", 0), 0)
    assert ours(machine, f"pac{key} x1, x2", f"aut{key} x1, x2") == 0x1234_5678
    machine[1] = 0x0055_0000_1234_5678
    assert ours(machine, f"aut{key} x1, x2") == 0x0055_0000_1234_5678


# -- Forms: every instruction is the one by a register, done otherwise
def done(machine: Machine, line: str) -> Machine:
    machine.do(line)
    return machine


FORMS = {
    "paciasp": ("pacia x30, sp", 30), "pacibsp": ("pacib x30, sp", 30), "autiasp": ("autia x30, sp", 30),
    "autibsp": ("autib x30, sp", 30), "paciaz": ("pacia x30, x5", 30), "pacibz": ("pacib x30, x5", 30),
    "autiaz": ("autia x30, x5", 30), "autibz": ("autib x30, x5", 30), "pacia1716": ("pacia x17, x16", 17),
    "pacib1716": ("pacib x17, x16", 17), "autia1716": ("autia x17, x16", 17), "autib1716": ("autib x17, x16", 17),
    "xpaclri": ("xpaci x30", 30),
    **{f"{does}{key[0]}z{key[1]} x3": (f"{does}{key} x3, x5", 3) for does in ("pac", "aut") for key in LETTERS},
}  # fmt: skip
"""Text: the instruction that it is another form of, where x5 is zero; the register that changes."""


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, rng: random.Random) -> None:
    plain, register = FORMS[form]
    for pointer in pointers(rng, 2):
        machine, seed = keyed(rng), rng.getrandbits(32)
        other = keyed(random.Random(seed))
        machine.state.slots.update(other.state.slots)
        for each in (machine, other):
            each[register], each[5], each[16], each[SP] = pointer, 0, 77, 0x4_0000
        signing = plain.replace("aut", "pac")
        if plain.startswith("aut") and rng.random() < 0.7:
            machine.do(signing)
            other.do(signing)
        assert done(machine, form)[register] == done(other, plain)[register]
        assert all(machine[n] == other[n] for n in range(31))


@pytest.mark.parametrize("key", ["a", "b"])
def test_branches_and_loads(key: str, rng: random.Random) -> None:
    target = 0x4444_0010
    for line, link, zero in (
        (f"bra{key} x1, x2", False, False), (f"bra{key}z x1", False, True), (f"blra{key} x1, x2", True, False),
        (f"blra{key}z x1", True, True), (f"reta{key}", False, False),
    ):  # fmt: skip
        for wrong in (False, True):
            machine = keyed(rng, target)
            machine[30] = 0x99
            machine.do(f"paciz{key} x1" if zero else f"paci{key} x1, x2")
            if line.startswith("ret"):
                machine[SP] = machine[2] & -16
                machine[1] = target
                machine.do(f"paci{key} x1, sp")
                machine[30] = machine[1]
            if wrong:
                machine[30 if line.startswith("ret") else 1] ^= 1 << 50
            machine.pc = 0x1000
            machine.do(line)
            assert machine.pc == (target | (2 if key == "b" else 1) << 53 if wrong else target), line
            assert (machine[30] == 0x1004) == link
    data = rng.randbytes(64)
    machine = keyed(rng)
    machine = with_memory(machine, 0x8000, data)
    machine[1] = 0x8000 + 128
    machine.do(f"pacdz{key} x1", f"ldra{key} x3, [x1, #-120]")
    assert machine[3] == int.from_bytes(data[8:16], "little")
    machine.do(f"ldra{key} x4, [x1, #-112]!")
    assert (machine[4], machine[1]) == (int.from_bytes(data[16:24], "little"), 0x8010)
    machine[1] = 0x8010
    machine.do(f"pacdz{key} x1")
    machine[1] ^= 1 << 51
    with pytest.raises(OutsideMemory):
        machine.do(f"ldra{key} x4, [x1]")


def with_memory(machine: Machine, start: int, data: bytes) -> Machine:
    other = Machine(start, data)
    other.state.slots.update(machine.state.slots)
    return other


# -- Without
@pytest.mark.parametrize("insn", OURS, ids=[insn.text for insn in OURS])
def test_a_processor_without_it(insn: Insn, rng: random.Random) -> None:
    machine = keyed(rng)
    machine.state.write((PAUTH, 0), 0)
    for number in range(31):
        machine[number] = rng.getrandbits(64)
    before, word = dict(machine.state.slots), random_word(insn, rng)
    if insn in HINTS:
        machine.step(word)
    else:
        with pytest.raises(golden.Trap, match="illegal"):
            machine.step(word)
    assert machine.state.slots == before


def test_what_a_program_is_told() -> None:
    without, having = (features.names(options).split() for options in ((), OPTIONS))
    assert set(having) - set(without) == {"paca", "pacg"}
    assert abi.hwcap(OPTIONS) ^ abi.hwcap() == 0b11 << 30
    assert abi.hwcap2(OPTIONS) == abi.hwcap2()
    difference = features.value(features.ISAR1, OPTIONS) ^ features.value(features.ISAR1)
    assert difference == 1 << 28 | 1 << 8  # GPI and API
    for option in (0, 1):
        machine = Machine()
        machine.state.write((PAUTH, 0), option)
        machine.do("mrs x1, id_aa64isar1_el1")
        assert machine[1] == features.value(features.ISAR1, OPTIONS if option else ())
    assert len(pauth.ROUNDS) == len({*pauth.ROUNDS}) == 4
    assert KEYS == ("ia", "ib", "da", "db", "ga")
    assert MASK == (1 << 64) - 1


# -- Programs
EXPECTED = """\
paca 1 pacg 1
ia: good 64, address and tag kept 64, error 1, others fail 1, codes change 1
ib: good 64, address and tag kept 64, error 2, others fail 1, codes change 1
da: good 64, address and tag kept 64, error 1, others fail 1, codes change 1
not canonical: fails 1
xpac ab00012345678900 ffff012345678900
another key fails 1
pacga: low half 0, by modifier 1
ldraa 1122334455667788
blraa 2, retaa 6
a smashed return: signal 11, poisoned 1
a thread has the same keys 1
a child has the same keys 1
prctl 0 -1 -1
another key was made anew, this one not 1
this one was 1
"""
LATER = "enabled 15 0 14, then ia does nothing 1, ib does 1, wrong -1 -1\n"
AFTER = "after execve: keys are new 1\n"
WITHOUT = "paca 0 pacg 0\nhints do nothing 1\nxpaci: signal 4\npacga: signal 4\nprctl -1\n"


@pytest.fixture(scope="module")
def program() -> Path:
    return build("pauth_aarch64.c", "aarch64")


@pytest.mark.parametrize("tier", ["auto", "interpreter", "baseline", "region", "golden"])
def test_a_program_has_it_where_it_is_asked_for(program: Path, tier: str, tmp_path: Path) -> None:
    eager = ["--policy", "eager"] if tier in ("auto", "region") else []
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, *eager]
    for option, expected in ((["--feature", "pauth"], EXPECTED + LATER + AFTER), ([], WITHOUT)):
        for _ in range(2 if eager else 1):
            ran = subprocess.run(
                [*command, *option, program], capture_output=True, text=True, check=False, cwd=tmp_path,
                timeout=200, env=unmeasured(),
            )  # fmt: skip
            assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", expected)


def test_another_emulator_says_the_same(program: Path) -> None:
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        pytest.skip("qemu-aarch64 is not installed")
    for cpu, expected in (("max", EXPECTED), ("max,pauth-impdef=on", EXPECTED), ("cortex-a72", WITHOUT)):
        ran = subprocess.run([qemu, "-cpu", cpu, program], capture_output=True, text=True, check=False)
        # Its execve does not lead through /proc/self/exe, and it has not all of prctl.
        assert ran.stdout.removesuffix(AFTER).removesuffix(LATER) == expected
