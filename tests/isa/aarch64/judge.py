"""Unicorn as a judge of aarch64 instructions: an emulator from outside, one instruction at a time."""

from __future__ import annotations

import unicorn
from unicorn import arm64_const as uc

from polyvm.isa.aarch64.registers import SP
from polyvm.isa.disasm import assemble
from tests.isa.aarch64.machine import ISA, Machine
from tests.isa.dictionaries import MASK

CODE, CODE_SIZE = 0x1_0000, 0x4_0000
DATA, DATA_SIZE = 0x8_0000, 0x1_0000
THEIRS = {
    **{number: uc.UC_ARM64_REG_X0 + number for number in range(29)},
    29: uc.UC_ARM64_REG_X29, 30: uc.UC_ARM64_REG_X30, SP: uc.UC_ARM64_REG_SP,
}  # fmt: skip
VECTORS = {number: uc.UC_ARM64_REG_Q0 + number for number in range(32)}
FPCR, FPSR = 0x07C8_0000, 0x0800_009F
"""The bits that there are. Unicorn keeps Len, Stride and the flags of AArch32 beside them, which are RES0 where
there is no AArch32 (C5.2.7, C5.2.8); nothing else in floating point was found to differ."""
NOP = int.from_bytes(assemble(ISA, "nop"), "little")


class Judge:
    """Unicorn with code and data where the tests put them."""

    def __init__(self, model: int = uc.UC_CPU_ARM64_A57) -> None:
        self.cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.cpu.ctl_set_cpu_model(model)
        self.cpu.mem_map(CODE, CODE_SIZE)
        self.cpu.mem_write(CODE, NOP.to_bytes(4, "little") * (CODE_SIZE // 4))
        self.cpu.mem_map(DATA, DATA_SIZE)
        self.cpu.hook_add(unicorn.UC_HOOK_INTR, self._exception)
        self.exception: int | None = None
        self.free = CODE

    def _exception(self, cpu: unicorn.Uc, number: int, _: object) -> None:
        self.exception = number
        cpu.emu_stop()

    def room(self) -> int:
        """A place for an instruction where none was before, so that nothing translated is stale."""
        if self.free + 8 > CODE + CODE_SIZE:
            self.free = CODE
            self.cpu.ctl_flush_tb()
        self.free += 4
        return self.free - 4

    def place(self, word: int, address: int) -> None:
        """Put an instruction there."""
        self.cpu.mem_write(address, word.to_bytes(4, "little"))
        self.cpu.ctl_remove_cache(address, address + 4)  # what a jump led to may have been translated

    def step(self, address: int) -> None:
        """Do the instruction at an address. A fault of fetching what it jumped to is the next one's."""
        self.exception = None
        try:
            self.cpu.emu_start(address, MASK, count=1)
        except unicorn.UcError as error:
            if error.errno != unicorn.UC_ERR_FETCH_UNMAPPED:
                raise

    def load_state(self, machine: Machine) -> None:
        self.cpu.reg_write_batch([(theirs, machine[number]) for number, theirs in THEIRS.items()])
        self.cpu.reg_write_batch([(theirs, machine.vector(number)) for number, theirs in VECTORS.items()])
        self.cpu.reg_write(uc.UC_ARM64_REG_FPCR, machine.fpcr)
        self.cpu.reg_write(uc.UC_ARM64_REG_FPSR, machine.fpsr)
        self.cpu.reg_write(uc.UC_ARM64_REG_NZCV, machine.nzcv << 28)
        self.cpu.reg_write(uc.UC_ARM64_REG_TPIDR_EL0, machine.tpidr)

    def compare(self, machine: Machine, what: str) -> None:
        theirs = self.cpu.reg_read_batch(list(THEIRS.values()))
        assert dict(zip(THEIRS, map(hex, theirs), strict=True)) == {n: hex(machine[n]) for n in THEIRS}, what
        vectors = self.cpu.reg_read_batch(list(VECTORS.values()))
        ours = {n: hex(machine.vector(n)) for n in VECTORS}
        assert dict(zip(VECTORS, map(hex, vectors), strict=True)) == ours, what
        assert hex(self.cpu.reg_read(uc.UC_ARM64_REG_FPSR) & FPSR) == hex(machine.fpsr), what
        assert hex(self.cpu.reg_read(uc.UC_ARM64_REG_FPCR) & FPCR) == hex(machine.fpcr), what
        assert self.cpu.reg_read(uc.UC_ARM64_REG_NZCV) >> 28 == machine.nzcv, what
        assert hex(self.cpu.reg_read(uc.UC_ARM64_REG_PC)) == hex(machine.pc), what
        assert self.cpu.reg_read(uc.UC_ARM64_REG_TPIDR_EL0) == machine.tpidr, what
