"""One processor made of dictionaries, for the golden evaluator. Shared by the tests of the aarch64 specification."""

from __future__ import annotations

from polyvm.isa.aarch64 import load
from polyvm.isa.aarch64.flags import C, N, V, Z
from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.aarch64.system import TPIDR_EL0
from polyvm.isa.disasm import assemble
from tests.isa import dictionaries

ISA = load()
REGISTERS = (*range(XZR), SP)
"""Every register that can be written, by its number in the file."""


class Machine(dictionaries.Machine):
    """Registers, flags, memory and a program counter."""

    def __init__(self, start: int = 0, data: bytes = b"") -> None:
        super().__init__(ISA, start, data)

    def do(self, *lines: str) -> None:
        """Do some instructions, written in assembly."""
        for line in lines:
            self.step(int.from_bytes(assemble(ISA, line, self.pc), "little"))

    @property
    def nzcv(self) -> int:
        """The flags as a number of four bits."""
        return sum(self.state.read(flag) << 3 - place for place, flag in enumerate((N, Z, C, V)))

    @nzcv.setter
    def nzcv(self, value: int) -> None:
        for place, flag in enumerate((N, Z, C, V)):
            self.state.write(flag, value >> 3 - place & 1)

    @property
    def tpidr(self) -> int:
        """The thread pointer."""
        return self.state.read(TPIDR_EL0)

    @tpidr.setter
    def tpidr(self, value: int) -> None:
        self.state.write(TPIDR_EL0, value)
