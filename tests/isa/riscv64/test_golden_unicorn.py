"""The golden evaluator beside Unicorn, an emulator from outside: every RV64GC integer instruction on random states.

Unicorn knows no B and no Zicond; those are for test_golden_qemu.py. Its reading of reserved encodings is compared too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import unicorn
from unicorn import riscv_const as uc

from polyvm.ir import golden
from polyvm.isa.disasm import assemble
from polyvm.isa.spec import Insn
from tests.isa.riscv64.machine import ISA, MASK, Machine, of, random_value, random_word

CODE, CODE_SIZE = 0x1_0000, 0x4_0000
DATA, DATA_SIZE = 0x10_0000, 0x1_0000
REGISTERS = [uc.UC_RISCV_REG_X0 + number for number in range(1, 32)]
FLOATING_POINT_ON = 3 << 13  # mstatus.FS
ILLEGAL = 2

# Leave the instruction, or read clocks of their own.
LEAVING = {"ecall", "ebreak", "c.ebreak"}
COUNTERS = {"cycle", "time", "instret"}
INTEGER = [
    insn for insn in of(["I", "Zifencei", "Zicsr", "Zihintpause", "M", "A", "C"]) if insn.name not in LEAVING
]
INTEGER = [insn for insn in INTEGER if "f" not in {ISA.fields[name].file for name in insn.encoding.fields}]


class Judge:
    """Unicorn with code and data where the tests put them."""

    def __init__(self) -> None:
        self.cpu = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
        self.cpu.mem_map(CODE, CODE_SIZE)
        self.cpu.mem_write(CODE, b"\x01\x00" * (CODE_SIZE // 2))  # c.nop wherever a jump may lead
        self.cpu.mem_map(DATA, DATA_SIZE)
        self.cpu.reg_write(uc.UC_RISCV_REG_MSTATUS, FLOATING_POINT_ON)
        self.cpu.hook_add(unicorn.UC_HOOK_INTR, self._exception)
        self.exception: int | None = None
        self.free = CODE

    def _exception(self, cpu: unicorn.Uc, number: int, _: object) -> None:
        self.exception = number
        cpu.emu_stop()

    def place(self, word: int, size: int) -> int:
        """Put an instruction where none was before, so that nothing translated is stale."""
        if self.free + 8 > CODE + CODE_SIZE:
            self.free = CODE
            self.cpu.ctl_flush_tb()
        address, self.free = self.free, self.free + 4
        self.cpu.mem_write(address, word.to_bytes(size, "little"))
        self.cpu.ctl_remove_cache(
            address, address + 4
        )  # the target of an earlier jump may have been translated
        return address

    def step(self, address: int) -> None:
        """Do the instruction at an address. A fault of fetching what it jumped to is the next one's."""
        self.exception = None
        try:
            self.cpu.emu_start(address, MASK, count=1)
        except unicorn.UcError as error:
            if error.errno != unicorn.UC_ERR_FETCH_UNMAPPED:
                raise

    def load_state(self, machine: Machine) -> None:
        self.cpu.reg_write_batch(
            [(register, machine[number + 1]) for number, register in enumerate(REGISTERS)]
        )
        self.cpu.reg_write(uc.UC_RISCV_REG_FCSR, machine.fcsr)

    def compare(self, machine: Machine, what: str) -> None:
        theirs = self.cpu.reg_read_batch(REGISTERS)
        assert {f"x{n + 1}": hex(v) for n, v in enumerate(theirs)} == {
            f"x{n}": hex(machine[n]) for n in range(1, 32)
        }, what
        assert hex(self.cpu.reg_read(uc.UC_RISCV_REG_PC)) == hex(machine.pc), what
        assert self.cpu.reg_read(uc.UC_RISCV_REG_FCSR) == machine.fcsr, what


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Random states compared, by instruction; the sum is reported."""
    counts: Counter[str] = Counter()
    yield counts
    report(f"golden == unicorn: {len(counts)} integer instructions of RV64GC, {counts.total()} random states")


def accesses_memory(insn: Insn) -> bool:
    return any(op.op in ("load", "store", "amo", "cas") for op in ISA.trace(insn, next(insn.shapes())).walk())


def words(insn: Insn, rng: random.Random) -> Iterator[int]:
    while True:
        word = random_word(insn, rng)
        decoded = ISA.decode(word)
        assert decoded is not None
        if not COUNTERS & {ISA.syntax["csr"].show(value, 12) for _, value in decoded.shape}:
            yield word


def point_into_data(machine: Machine, insn: Insn, word: int, rng: random.Random) -> bool:
    """Make the address register of a memory access point into the data; False where x0 stands there."""
    fields = insn.fields(word)
    base = fields.get("rs1", fields.get("rs1'", 2))
    raw = next((insn.encoding.extract(word, name) for name in ("imm", "uimm") if name in fields), 0)
    offset = golden.signed(raw, 12) if "imm" in fields else raw
    address = DATA + rng.randrange(8, DATA_SIZE - 16)
    if insn.extension.name == "A":
        address &= ~7
    machine[base] = address - offset
    return base != 0


@pytest.mark.parametrize("insn", INTEGER, ids=[insn.text for insn in INTEGER])
def test_agrees_with_unicorn(
    insn: Insn, judge: Judge, rng: random.Random, full: bool, counted: Counter[str]
) -> None:
    wanted, count = 2000 if full else 20, 0
    stream = words(insn, rng)
    memory = accesses_memory(insn)
    data = rng.randbytes(DATA_SIZE)
    judge.cpu.mem_write(DATA, data)
    machine = Machine(DATA, data)
    while count < wanted:
        word = next(stream)
        for number in range(1, 32):
            machine[number] = random_value(rng)
        machine.fcsr = rng.getrandbits(8)
        if memory and not point_into_data(machine, insn, word, rng):
            continue
        address = judge.place(word, insn.size)
        judge.load_state(machine)
        machine.pc = address
        judge.step(address)
        machine.step(word)
        judge.compare(machine, f"{insn.text}: {word:#x}")
        assert judge.exception is None
        count += 1
    if memory:
        assert bytes(machine.memory.data) == bytes(judge.cpu.mem_read(DATA, DATA_SIZE))
    counted[insn.text] += count


# lr, then up to one thing that a program may do in between, then sc
BETWEEN = ("", "sw", "sd elsewhere", "sc", "lr elsewhere", "same value")


@pytest.mark.parametrize("width", ["w", "d"])
@pytest.mark.parametrize("between", BETWEEN)
def test_reservations_agree_with_unicorn(width: str, between: str, judge: Judge, rng: random.Random) -> None:
    lines = {
        "": [],
        "sw": ["sw a4, 0(a0)"],
        "sd elsewhere": ["sd a4, 64(a0)"],
        "sc": [f"sc.{width} a5, a4, (a0)"],
        "lr elsewhere": [f"lr.{width} a5, (a3)"],
        "same value": [f"lr.{width} a5, (a0)", f"sc.{width} a5, a5, (a0)", f"lr.{width} a5, (a0)"],
    }[between]
    program = [f"lr.{width} a1, (a0)", *lines, f"sc.{width} a2, a4, (a0)"]
    data = rng.randbytes(DATA_SIZE)
    judge.cpu.mem_write(DATA, data)
    machine = Machine(DATA, data)
    machine[10], machine[13], machine[14] = DATA + 128, DATA + 256, rng.getrandbits(64)
    judge.load_state(machine)
    for line in program:
        word = int.from_bytes(assemble(ISA, line), "little")
        machine.pc = judge.place(word, 4)
        judge.step(machine.pc)
        machine.step(word)
        judge.compare(machine, f"{between}: {line}")
    assert bytes(machine.memory.data) == bytes(judge.cpu.mem_read(DATA, DATA_SIZE))


# -- What is an instruction at all. Where the two differ the manual decides, and the reason stands here.
def excused(word: int) -> str | None:
    """Why Unicorn (QEMU 5) sees an instruction where the manual has none, or the other way round."""
    if word == 0x9002:
        return "c.ebreak reaches no hook as an exception of its own"
    if word & 0xE003 == 0x8000:
        return "quadrant 0, funct3 100 is reserved (now Zcb); QEMU 5 falls through its older decoder and does nothing"
    if word & 0xFC43 == 0x9C41:
        return "the reserved places beside c.subw and c.addw (now Zcb): likewise"
    return None


def legal_to_unicorn(judge: Judge, word: int, size: int) -> bool:
    address = judge.place(word, size)
    judge.cpu.reg_write_batch([(register, DATA + 0x800) for register in REGISTERS])
    try:
        judge.step(address)
    except unicorn.UcError as error:
        if error.errno not in (unicorn.UC_ERR_READ_UNMAPPED, unicorn.UC_ERR_WRITE_UNMAPPED):
            raise
        return True  # an access that faults is an instruction's
    return judge.exception != ILLEGAL


def test_short_words_are_instructions_to_both(
    judge: Judge, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    everything = [word for word in range(0x1_0000) if word & 3 != 3]
    sample = everything if full else rng.sample(everything, 1500)
    different = []
    for word in sample:
        decoded = ISA.decode(word)
        ours = decoded.insn.name if decoded else None
        if (ours is not None) != legal_to_unicorn(judge, word, 2) and excused(word) is None:
            different.append((hex(word), ours))
    assert different == []
    report(f"decodes == unicorn: {len(sample)} words of 16 bits")
