"""What the suites must know of a guest beside its specification: one small table each, in the module of its name.

How an instruction is ended, what is surely none, which values its registers are given, and what its monitor of
exclusive accesses must hold to be believed. All else is read off the specification, so that a new instruction is
covered without a word here. Nothing here runs anything.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Mapping
from functools import lru_cache

from hypothesis import strategies as st

from polyvm.engine import layout
from polyvm.isa.disasm import assemble, listing
from polyvm.isa.spec import Isa
from tests.isa.dictionaries import CORNERS, MASK

Slot = tuple[str, int]
Values = st.SearchStrategy[int]

integers: Values = st.one_of(
    st.sampled_from(CORNERS),
    st.integers(-64, 64).map(lambda value: value & MASK),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, MASK),
)


class Guest:
    """A guest's table, and where its registers are in the bytes that a run begins and ends with.

    call: a system call, which stands behind every instruction. nothing: the shortest instruction that does nothing.
    none: words that never will be instructions; the first has the size of the longest and ends compiled code.
    values: what registers of a file hold, by its name. modes: rounding modes to begin with. beside: how many bytes
    behind an instruction a register may point that a jump goes to.
    """

    call: str
    nothing: str
    none: tuple[bytes, ...]
    values: Mapping[str, Values]
    modes: tuple[int, ...]
    beside: tuple[int, ...] = (0,)

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.name = isa.name
        self.places = isa.state_layout(layout.REGISTERS)
        self.first = layout.REGISTERS
        self.end = max(offset + size for offset, size in self.places.values())
        widths = {file.name: file.bits for file in isa.files.values()} | isa.specials
        self.widths = {slot: widths[slot[0]] for slot in self.places}
        self.zeros = {(file.name, file.zero) for file in isa.files.values() if file.zero is not None}
        self.background = bytes(self.pack(self.resting()))

    def __repr__(self) -> str:
        return self.name

    # -- what a run begins with
    def drawn(self, slot: Slot) -> Values:
        """Values of a register that an instruction reads."""
        if slot[0] in self.isa.options:
            return st.just(1)
        if slot[0] in self.values:
            return self.values[slot[0]]
        mask = (1 << self.widths[slot]) - 1
        return integers.map(lambda value: value & mask)

    def resting(self) -> dict[Slot, int]:
        """What registers hold that an instruction does not read: each something of its own. The processor has all that
        it may have."""
        return {(name, 0): 1 for name in self.isa.options} | {
            (file.name, number): number * 0x0101_0101_0101_0101_0101_0101_0101_0101 & (1 << file.bits) - 1
            for file in self.isa.files.values()
            for number in range(file.count)
            if number != file.zero
        }

    def monitor(self, address: int, memory: Callable[[int, int], int]) -> dict[Slot, Values]:
        """The monitor after a load of an address; `memory` is what (address, size) holds."""
        raise NotImplementedError

    def float_value(self, rng: random.Random) -> int:
        """What a register holds of the file of floats."""
        raise NotImplementedError

    # -- registers in bytes
    def pack(self, values: Mapping[Slot, int]) -> bytearray:
        """The bytes of a register state; what is not named is zero."""
        data = bytearray(self.end - self.first)
        for slot, value in values.items():
            self.put(data, slot, value)
        return data

    def put(self, data: bytearray, slot: Slot, value: int) -> None:
        """Set one register in such bytes."""
        offset, size = self.places[slot]
        data[offset - self.first : offset - self.first + size] = value.to_bytes(size, "little")

    def get(self, data: bytes | bytearray, slot: Slot) -> int:
        """One register out of such bytes."""
        offset, size = self.places[slot]
        return int.from_bytes(data[offset - self.first : offset - self.first + size], "little")

    def register(self, slot: Slot) -> str:
        """What assembly calls a register."""
        file = self.isa.files.get(slot[0])
        return file.names[slot[1]] if file else slot[0]

    # -- texts
    def assemble(self, *lines: str, pc: int = 0) -> bytes:
        """The code of some lines."""
        return b"".join(assemble(self.isa, line, pc) for line in lines)

    def text(self, code: bytes, pc: int) -> str:
        """A listing for a message."""
        return "\n".join(
            f"  {at:#x}: {data.hex():<10} {text}" for at, data, text in listing(self.isa, code, pc)
        )


@lru_cache
def guest(name: str) -> Guest:
    """The table of a guest."""
    found = importlib.import_module(f"tests.contract.{name}").GUEST
    assert isinstance(found, Guest)
    return found
