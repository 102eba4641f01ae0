"""One hart made of dictionaries, for the golden evaluator, and random instruction words to run on it.

Shared by the tests of the riscv64 specification.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.isa.riscv64 import load
from polyvm.isa.spec import Insn
from tests.isa import dictionaries
from tests.isa.dictionaries import CORNERS as CORNERS
from tests.isa.dictionaries import MASK as MASK
from tests.isa.dictionaries import Memory as Memory
from tests.isa.dictionaries import OutsideMemory as OutsideMemory
from tests.isa.dictionaries import random_fields as random_fields
from tests.isa.dictionaries import random_value as random_value
from tests.isa.dictionaries import random_word as random_word

ISA = load()


class State(dictionaries.State):
    """The registers of a hart."""

    def __init__(self) -> None:
        super().__init__(ISA)


class Machine(dictionaries.Machine):
    """One hart: registers, memory and a program counter."""

    def __init__(self, start: int = 0, data: bytes = b"") -> None:
        super().__init__(ISA, start, data)

    @property
    def fcsr(self) -> int:
        return self.state.read(FP_MODE) << 5 | self.state.read(FP_FLAGS)

    @fcsr.setter
    def fcsr(self, value: int) -> None:
        self.state.write(FP_MODE, value >> 5 & 7)
        self.state.write(FP_FLAGS, value & 31)


def of(extensions: Sequence[str]) -> list[Insn]:
    """The instructions of some extensions."""
    return [insn for insn in ISA.insns if insn.extension.name in extensions]
