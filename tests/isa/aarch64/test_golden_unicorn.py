"""The golden evaluator beside Unicorn, an emulator from outside: every instruction on random states."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from unicorn import arm64_const as uc

from polyvm.ir import golden, softfloat
from polyvm.ir.ops import OPS
from polyvm.isa.aarch64.model import IDENTITY
from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Insn
from tests.emit.floatvalues import scattered, specials
from tests.isa.aarch64.judge import DATA, DATA_SIZE, Judge
from tests.isa.aarch64.machine import ISA, REGISTERS, Machine
from tests.isa.dictionaries import Memory, random_value, random_word

# Leave the instruction; ask the judge for a monitor (test_exclusives.py); stop the judge's clock.
LEAVING = {"svc", "brk", "udf"}
MONITORED = {insn.name for insn in ISA.insns if insn.name.startswith(("stxr", "stxp", "stlxr", "stlxp"))}
WAITING = {"wfe", "wfi", "yield"}
# Of signed numbers, MemAtomic of the manual's shared pseudocode compares SInt of both; this judge takes what is in
# memory as unsigned where it is narrower than 64 bits. Later versions of QEMU do as the manual; test_atomics judges.
UNSIGNED = {insn for insn in ISA.insns if insn.name.startswith(("ldsmax", "ldsmin")) and " Ws" in insn.text}
HALVES = {"FEAT_FP16", "FEAT_FHM"}
UNKNOWN = {"FEAT_I8MM", "FEAT_BF16", "FEAT_MTE"}
"""Extensions that are about halves; and those that this judge has not: test_golden_qemu asks a later one."""
JUDGED = [
    insn
    for insn in ISA.insns
    if insn.name not in LEAVING | MONITORED | WAITING
    and insn not in UNSIGNED
    and insn.extension.name not in UNKNOWN
    and not insn.extension.name.startswith("FEAT_PAuth")  # has keys, in test_pauth
]
# What the processor is like, and clocks: everybody has their own.
PRIVATE = {"ctr_el0", "dczid_el0", "cntfrq_el0", "cntvct_el0", "tpidrro_el0", *IDENTITY.values()}


@pytest.fixture(scope="module")
def judges() -> dict[bool, Judge]:
    """A processor of Armv8.0, and one with all that there is."""
    return {False: Judge(), True: Judge(uc.UC_CPU_ARM64_MAX)}


@pytest.fixture
def judge(judges: dict[bool, Judge], insn: Insn) -> Judge:
    return judges[later(insn)]


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Random states compared, by instruction; the sum is reported."""
    counts: Counter[str] = Counter()
    yield counts
    report(f"golden == unicorn: {len(counts)} encodings of A64, {counts.total()} random states")


class Asked(Exception):
    """The address that an instruction wants to access."""


class Curious(Memory):
    """Memory that only tells who asks for what."""

    def _at(self, address: int, size: int) -> int:
        raise Asked(address)


def target(machine: Machine, word: int) -> int | None:
    """The address that an instruction would access, or None for one that accesses nothing."""
    asking = Machine()
    asking.state.slots, asking.pc = dict(machine.state.slots), machine.pc
    asking.memory = Curious(0, b"")
    try:
        asking.step(word)
    except Asked as asked:
        return int(asked.args[0])
    except golden.Trap as trap:  # not aligned yet
        return trap.value
    return None


def touches_vectors(insn: Insn) -> bool:
    return any(ISA.fields[name].file == "q" for name in insn.encoding.fields)


def later(insn: Insn) -> bool:
    """Whether it is no processor of Armv8.0 that is asked, which has no FPCR.FZ16 (FEAT_FP16)."""
    return insn.extension.version != "8.0" or floating(insn) or insn.name in ("mrs", "msr")


def floating(insn: Insn) -> bool:
    return any(op in golden.FLOAT_OPS for op in ops(insn))


def needs_alignment(insn: Insn) -> bool:
    """Whether the address must be aligned, whatever the base is."""
    return any(op.attr == "misaligned" for op in ISA.trace(insn, next(insn.shapes())).walk())


def ops(insn: Insn) -> set[str]:
    return {op.op for op in ISA.trace(insn, next(insn.shapes())).walk()}


def random_integers(rng: random.Random, bits: int) -> int:
    """Lanes of corners, small numbers and anything."""
    vector = 0
    for place in range(0, 128, bits):
        top, kind = 1 << bits, rng.randrange(3)
        if kind == 0:
            lane = rng.choice((0, 1, top - 1, top // 2, top // 2 - 1, top // 2 + 1))
        else:
            lane = rng.randrange(-bits - 2, bits + 3) if kind == 1 else rng.getrandbits(bits)
        vector |= lane % top << place
    return vector


def random_number(rng: random.Random, width: int) -> int:
    """A number: corners of a format, most of them, what is near the limits of integers, or any."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(CORNERS[width])
    if kind < 0.6:
        return rng.choice(INTEGERS[width]) + rng.choice((-1, 0, 1)) & (1 << width) - 1
    return scattered(rng, width)


def random_vector(rng: random.Random, widths: tuple[int, ...] = (16, 32, 32, 64, 64)) -> int:
    """A number in each lane, or at the low end and nothing or anything above it."""
    width = rng.choice(widths)
    if rng.random() < 0.6:
        return sum(random_number(rng, width) << place for place in range(0, 128, width))
    return rng.choice((0, rng.getrandbits(128 - width))) << width | random_number(rng, width)


def random_bfloats(rng: random.Random) -> int:
    """The upper halves of singles, or of one of them above anything."""
    if rng.random() < 0.3:
        return random_vector(rng, (32,))
    return sum(random_number(rng, 32) >> 16 << place for place in range(0, 128, 16))


CORNERS = {width: specials(width) for width in (16, 32, 64)}
INTEGERS = {
    width: [
        softfloat.from_int(n, 128, True, width, softfloat.RTZ)[0]
        for bits in (*range(12), 15, 31, 32, 63, 64)
        for n in ((1 << bits), -(1 << bits) & (1 << 128) - 1)
    ]
    for width in (16, 32, 64)
}


def prepared(insn: Insn, machine: Machine, rng: random.Random) -> int | None:
    """A random word, and registers with which it accesses the data if it accesses anything; None: try again."""
    word = random_word(insn, rng)
    decoded = ISA.decode(word)
    assert decoded is not None
    registers = [name for name, field in ((n, ISA.fields[n]) for n in insn.encoding.fields) if field.file]
    if registers and rng.random() < 0.4:  # number 31, XZR or SP; or twice the same register
        fields = insn.fields(word)
        fields[rng.choice(registers)] = rng.choice((fields[rng.choice(registers)], XZR, SP))
        try:
            word = insn.encode(fields)
        except EncodingError:
            return None
    if PRIVATE & {ISA.syntax["system"].show(value, 15) for name, value in decoded.shape if "sysreg" in name}:
        return None
    few = [random_value(rng) for _ in range(2)]
    for number in REGISTERS:
        machine[number] = rng.choice(few) if rng.random() < 0.3 else random_value(rng)
    any_mode = rng.getrandbits(5) << 22 | (rng.getrandbits(1) << 19 if later(insn) else 0)
    machine.fpcr = rng.choice((0, 0, rng.getrandbits(2) << 22, any_mode))
    machine.fpsr = rng.choice((0, 0, rng.getrandbits(32)))
    machine.nzcv, machine.tpidr = rng.getrandbits(4), rng.getrandbits(64)
    if touches_vectors(insn):
        bits, integers = rng.choice((8, 16, 32, 64)), rng.random() < (0.2 if floating(insn) else 0.7)
        draw = partial(random_integers, rng, bits) if integers else partial(random_vector, rng)
        if insn.extension.name in HALVES and rng.random() < 0.9:
            draw = partial(random_integers, rng, 16) if integers else partial(random_vector, rng, (16,))
        if insn.extension.name == "FEAT_BF16" and rng.random() < 0.9:
            draw = partial(random_bfloats, rng)
        few = [draw() for _ in range(2)]
        named = [value for name, value in insn.fields(word).items() if ISA.fields[name].file == "q"]
        for number in {value + step & 31 for value in named for step in range(4)}:  # a list has up to four
            value = rng.choice(few) if rng.random() < 0.3 else draw()
            if insn.text.startswith("fcmla Vd.4h, Vn.4h, Vm.h["):
                # Both judges do this one on eight halves, and tell in FPSR: the upper four are as the lower ones.
                value = value % (1 << 64) * (1 + (1 << 64))
            machine.set_vector(number, value)
    if not any(OPS[op].leaves for op in ops(insn)):
        return word
    wanted = DATA + rng.randrange(64, DATA_SIZE - 128)
    if needs_alignment(insn):
        wanted &= -16
    fields = insn.fields(word)
    if "offset" in fields:  # a literal
        fields["offset"] = (wanted - machine.pc & -4) & 0x1F_FFFF
        return insn.encode(fields)
    base = fields["Rn_sp"] if "Rn_sp" in fields else fields["Rt"]
    machine[base] = 0
    asked = target(machine, word)
    assert asked is not None
    # The stack pointer is aligned: neither Unicorn nor QEMU checks it, which test_stack does.
    machine[base] = (wanted - asked) & (-16 if base == SP else -1)
    if base == SP and needs_alignment(insn) and asked % 16:
        return None
    asked = target(machine, word)
    # An index may be the base itself, and a cache operation has no base but XZR: these miss.
    return word if asked is not None and DATA + 64 <= asked < DATA + DATA_SIZE - 64 else None


def disputed(insn: Insn, machine: Machine, word: int) -> bool:
    """What both judges, QEMU 5 and 7, do otherwise than the manual, whose answers have tests below.

    FJCVTZS of a positive denormal number that FPCR.FZ makes zero: the manual (FPToFixedJS of the shared pseudocode)
    clears Z, as the number was no zero. And FCVTZS (vector, fixed-point) of one half: what is above the result is zero,
    not its sign (V[] in the shared pseudocode).
    """
    if insn.text == "fcvtzs Hd, Hn, #rshift":
        return machine.vector(insn.fields(word)["Vn"]) >> 15 & 1 == 1
    if insn.name != "fjcvtzs" or not machine.fpcr >> 24 & 1:
        return False
    return 0 < machine.vector(insn.fields(word)["Vn"]) % (1 << 64) < 1 << 52


@pytest.mark.parametrize("insn", JUDGED, ids=[insn.text for insn in JUDGED])
def test_agrees_with_unicorn(
    insn: Insn, judge: Judge, rng: random.Random, full: bool, counted: Counter[str]
) -> None:
    shapes = sum(1 for _ in insn.shapes())
    least = 40 if floating(insn) else 15
    wanted, count = (400 if full else 1) * max(least, 2 * shapes), 0
    memory = any(OPS[op].leaves for op in ops(insn))
    data = rng.randbytes(DATA_SIZE)
    if memory:
        judge.cpu.mem_write(DATA, data)
    machine = Machine(DATA, data)
    while count < wanted:
        machine.pc = judge.room()
        word = prepared(insn, machine, rng)
        if word is None or disputed(insn, machine, word):
            continue
        judge.place(word, machine.pc)
        judge.load_state(machine)
        what = f"{insn.text}: {word:#x} {[hex(machine[n]) for n in REGISTERS]} nzcv {machine.nzcv:#x}"
        if touches_vectors(insn):
            read = {
                n: hex(machine.vector(v)) for n, v in insn.fields(word).items() if ISA.fields[n].file == "q"
            }
            what += f" {read} fpcr {machine.fpcr:#x} fpsr {machine.fpsr:#x}"
        judge.step(machine.pc)
        machine.step(word)
        judge.compare(machine, what)
        assert judge.exception is None, what
        count += 1
    if memory:
        assert bytes(machine.memory.data) == bytes(judge.cpu.mem_read(DATA, DATA_SIZE))
    counted[insn.text] += count


def test_flushed_numbers_are_lost() -> None:
    for fpcr, number, nzcv in ((0, 0, 4), (1 << 24, 0, 4), (1 << 24, 1, 0), (1 << 24, 1 << 63, 0), (0, 1, 0)):
        machine = Machine()
        machine.fpcr, machine[0] = fpcr, 7
        machine.set_vector(1, number)
        machine.do("fjcvtzs w0, d1")
        flags = 0x80 if fpcr and number == 1 else 0x10 if number == 1 else 0  # flushed, or inexact
        assert (machine[0], machine.nzcv, machine.fpsr) == (0, nzcv, flags)


def test_above_a_scalar_there_are_zeros() -> None:
    machine = Machine()
    machine.set_vector(0, (1 << 128) - 1)
    machine.set_vector(1, 0xC600)  # -6
    machine.do("fcvtzs h0, h1, #4")
    assert (machine.vector(0), machine.fpsr) == (0x1_0000 - 96, 0)


def test_four_complex_halves_are_all_that_is_done() -> None:
    machine = Machine()
    machine.set_vector(1, 0x7C00 << 64)  # infinity times zero, were there eight
    machine.set_vector(2, 0x3C00_3C00)
    machine.do("fcmla v0.4h, v1.4h, v2.h[1], #0")
    assert (machine.vector(0), machine.fpsr) == (0, 0)
