"""One processor made of dictionaries, for the golden evaluator. Shared by the tests of the aarch64 specification."""

from __future__ import annotations

from polyvm.ir.ops import FP_FLAGS, FP_MODE, IDC
from polyvm.isa.aarch64 import load
from polyvm.isa.aarch64.flags import C, N, V, Z
from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.aarch64.system import QC, TPIDR_EL0
from polyvm.isa.disasm import assemble
from tests.isa import dictionaries

ISA = load()
MODE_BITS = ((3, 25), (4, 24), (5, 26), (6, 19))
"""DN, FZ, AHP and FZ16, by their bits in the IR's FP_MODE and in FPCR."""
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

    def vector(self, number: int) -> int:
        """A vector register."""
        return self.state.read(("q", number))

    def set_vector(self, number: int, value: int) -> None:
        """Set a vector register."""
        self.state.write(("q", number), value)

    @property
    def fpcr(self) -> int:
        """FPCR: DN, FZ, AHP, FZ16 and the rounding mode (C5.2.7)."""
        mode = self.state.read(FP_MODE)
        return sum((mode >> ours & 1) << theirs for ours, theirs in MODE_BITS) | (0, 3, 2, 1)[mode & 7] << 22

    @fpcr.setter
    def fpcr(self, value: int) -> None:
        bits = sum((value >> theirs & 1) << ours for ours, theirs in MODE_BITS)
        self.state.write(FP_MODE, bits | (0, 3, 2, 1)[value >> 22 & 3])

    @property
    def fpsr(self) -> int:
        """FPSR: accrued exceptions and saturation (C5.2.8)."""
        flags = self.state.read(FP_FLAGS)
        own = self.state.read(IDC) << 7 | self.state.read(QC) << 27
        return own | sum((flags >> 4 - bit & 1) << bit for bit in range(5))

    @fpsr.setter
    def fpsr(self, value: int) -> None:
        self.state.write(FP_FLAGS, sum((value >> bit & 1) << 4 - bit for bit in range(5)))
        self.state.write(IDC, value >> 7 & 1)
        self.state.write(QC, value >> 27 & 1)

    @property
    def tpidr(self) -> int:
        """The thread pointer."""
        return self.state.read(TPIDR_EL0)

    @tpidr.setter
    def tpidr(self, value: int) -> None:
        self.state.write(TPIDR_EL0, value)
