"""One processor made of dictionaries, for the golden evaluator. Shared by the tests of the aarch64 specification."""

from __future__ import annotations

from polyvm.ir import golden
from polyvm.isa.aarch64 import load
from polyvm.isa.aarch64.flags import C, N, V, Z
from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.aarch64.system import TPIDR_EL0
from polyvm.isa.disasm import assemble
from tests.isa.dictionaries import MASK, Memory, State

ISA = load()
REGISTERS = (*range(XZR), SP)
"""Every register that can be written, by its number in the file."""


class Machine:
    """Registers, flags, memory and a program counter."""

    def __init__(self, start: int = 0, data: bytes = b"") -> None:
        self.state = State(ISA)
        self.memory = Memory(start, data)
        self.pc = 0

    def step(self, word: int) -> None:
        """Do one instruction; traps and faults come out as exceptions and leave the program counter."""
        decoded = ISA.decode(word)
        assert decoded is not None, hex(word)
        trace = ISA.trace(decoded.insn, decoded.shape)
        try:
            self.pc = golden.execute(trace, decoded.fields, self.pc, self.state, self.memory)
        except golden.Flush as flush:
            self.pc = flush.args[0]

    def do(self, *lines: str) -> None:
        """Do some instructions, written in assembly."""
        for line in lines:
            self.step(int.from_bytes(assemble(ISA, line, self.pc), "little"))

    def __getitem__(self, register: int) -> int:
        return self.state.read(("x", register))

    def __setitem__(self, register: int, value: int) -> None:
        if register != XZR:
            self.state.write(("x", register), value & MASK)

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
