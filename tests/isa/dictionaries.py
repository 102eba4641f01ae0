"""A guest made of dictionaries, for the golden evaluator, and random instruction words to run on it.

Shared by the tests of the specifications; it refuses accesses outside the memory that it was given.
"""

from __future__ import annotations

import random

from polyvm.ir import golden
from polyvm.isa.spec import Insn, Isa, Shape

MASK = (1 << 64) - 1
CORNERS = (0, 1, 2, 3, 7, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1,
           1 << 63, MASK, MASK - 1, MASK << 31 & MASK)  # fmt: skip


class OutsideMemory(Exception):
    """A guest access to memory that is not there."""


class Memory:
    """Bytes from `start` on."""

    def __init__(self, start: int, data: bytes) -> None:
        self.start = start
        self.data = bytearray(data)

    def _at(self, address: int, size: int) -> int:
        offset = address - self.start
        if not 0 <= offset <= len(self.data) - size:
            raise OutsideMemory(hex(address))
        return offset

    def load(self, address: int, size: int) -> int:
        offset = self._at(address, size)
        return int.from_bytes(self.data[offset : offset + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        offset = self._at(address, size)
        self.data[offset : offset + size] = value.to_bytes(size, "little")

    def probe(self, address: int, size: int, write: bool) -> None:
        self._at(address, size)


class State:
    """Registers by slot; what was never written is zero."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.slots: dict[tuple[str, int], int] = {}

    def read(self, slot: tuple[str, int]) -> int:
        return self.slots.get(slot, 0)

    def write(self, slot: tuple[str, int], value: int) -> None:
        self.slots[slot] = value

    def hardwired(self, file: str) -> int | None:
        return self.isa.files[file].zero

    def counter(self, kind: str) -> int:
        return {"cycle": 1000, "time": 2000, "instret": 3000}[kind]


class Machine:
    """One processor: registers, memory and a program counter. Subclasses name its registers."""

    def __init__(self, isa: Isa, start: int, data: bytes) -> None:
        self.isa = isa
        self.state = State(isa)
        self.memory = Memory(start, data)
        self.pc = 0

    def step(self, word: int) -> None:
        """Do one instruction; traps and faults come out as exceptions and leave the program counter."""
        decoded = self.isa.decode(word)
        assert decoded is not None, hex(word)
        trace = self.isa.trace(decoded.insn, decoded.shape)
        try:
            self.pc = golden.execute(trace, decoded.fields, self.pc, self.state, self.memory)
        except golden.Flush as flush:
            self.pc = flush.args[0]

    def __getitem__(self, register: int) -> int:
        return self.state.read(("x", register))

    def __setitem__(self, register: int, value: int) -> None:
        if register != self.isa.files["x"].zero:
            self.state.write(("x", register), value & MASK)


def random_value(rng: random.Random) -> int:
    """A register value: corners, small numbers, words and anything."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(CORNERS)
    if kind == 1:
        return rng.randrange(-64, 64) & MASK
    if kind == 2:
        return rng.getrandbits(32)
    return rng.getrandbits(64)


def random_fields(insn: Insn, shape: Shape, rng: random.Random) -> dict[str, int]:
    """Any values that the encoding allows, biases applied."""
    values = dict(shape)
    for name in insn.encoding.fields:
        if name in values:
            continue
        while True:
            raw = rng.getrandbits(insn.encoding.width(name)) & ~((1 << insn.encoding.low_zeros(name)) - 1)
            if raw not in insn.encoding.excluded.get(name, ()):
                break
        values[name] = insn.isa.fields[name].value(raw, insn.encoding.width(name))
    return values


def random_word(insn: Insn, rng: random.Random) -> int:
    """An instruction word of this encoding that decodes to this instruction."""
    shapes = list(insn.shapes())
    while True:
        word = insn.encode(random_fields(insn, rng.choice(shapes), rng))
        decoded = insn.isa.decode(word)
        # A more special instruction may own the word, as zext.h owns some of packw's.
        if decoded is not None and decoded.insn is insn:
            return word
