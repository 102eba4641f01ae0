"""Regions of code made at random, and the golden evaluator's way through them: what judges the analyses of a region.

Every address is there and no access faults, so a walk ends only where the region does, at a trap, or when it was long
enough. It says nothing about text or native code.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from polyvm.engine.discover import Block, Placed, Region, discover
from polyvm.ir import golden
from polyvm.isa.spec import Insn
from tests.engine.assembly import ISA, START
from tests.isa.riscv64.floats import register as float_value
from tests.isa.riscv64.machine import State, random_value

MASK = (1 << 64) - 1
WHOLE = (0, 1, 2, 5, 8, 9, 10, 11)
FLOATS = (0, 8, 9, 10, 11)
_BRANCHES = ("beq", "bne", "blt", "bgeu", "c.beqz", "c.bnez")
_JUMPS = ("jal", "c.j", "jalr", "c.jr", "c.jalr")
_ENDS = ("ecall", "ebreak", "c.ebreak", "fence.i", "csrrw")
_RESULTS = ("fadd.d", "fmul.d", "fsub.d", "fmadd.d", "fdiv.d", "fadd.s", "fmul.s", "fcvt.d.s", "fcvt.s.d", "fcvt.d.w",
            "fsgnj.d", "fsgnj.d", "fsgnj.s", "fsgnjn.d", "fld", "fmv.d.x")  # fmt: skip
_NAMED = {insn.name: insn for insn in ISA.insns}
_ACCESS = [
    i for i in ISA.insns if i.name.removeprefix("c.") in ("lb", "lwu", "ld", "sb", "sw", "sd", "fld", "fsd")
]
_ACCESS += [_NAMED["amoadd.d"], _NAMED["lr.w"], _NAMED["sc.w"]]
_PLAIN = [
    i for i in ISA.insns
    if i.name not in (*_BRANCHES, "bge", "bltu", *_JUMPS, *_ENDS) and i not in _ACCESS
]  # fmt: skip
_MOVES = [_NAMED[name] for name in ("addi", "c.addi", "add", "sub", "c.mv", "slli", "lui", "auipc", "xor")]


class Memory:
    """Bytes at every address: what was not written is arbitrary, and always the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.written: dict[int, int] = {}
        self.touched: list[tuple[int, int]] = []

    def _byte(self, address: int) -> int:
        return self.written.get(address, (address ^ self.seed) * 0x9E37_79B9_7F4A_7C15 >> 40 & 0xFF)

    def load(self, address: int, size: int) -> int:
        self.touched.append((address, size))
        return int.from_bytes(bytes(self._byte(address + i & MASK) for i in range(size)), "little")

    def store(self, address: int, size: int, value: int) -> None:
        self.touched.append((address, size))
        for i in range(size):
            self.written[address + i & MASK] = value >> 8 * i & 0xFF

    def probe(self, address: int, size: int, write: bool) -> None:
        self.touched.append((address, size))


@dataclass(slots=True)
class Code:
    """Machine code, and where its instructions begin."""

    data: bytes
    places: list[int]

    def fetch(self, address: int, length: int) -> bytes:
        """Code at an address."""
        at = address - START
        return self.data[at : at + length] if 0 <= at <= len(self.data) else b""


def random_code(rng: random.Random, count: int = 40, *, floats: bool = False) -> Code:
    """Instructions that jump and branch to each other; few registers, so that what one writes another reads."""
    chosen: list[tuple[Insn, int | None]] = []  # and the instruction that it leads to
    while len(chosen) < count:
        kind = rng.randrange(100)
        if kind < 12:
            chosen.append((_NAMED[rng.choice(_BRANCHES)], rng.randrange(count)))
        elif kind < 17:
            chosen.append((_NAMED[rng.choice(("jal", "jal", "c.j"))], rng.randrange(count)))
        elif kind < 22:
            chosen.append((_NAMED["auipc"], None))
            if rng.random() < 0.3:
                chosen.append((rng.choice(_MOVES), None))
            chosen.append((_NAMED["jalr"], rng.randrange(count)))
        elif kind < 26:
            chosen.append((_NAMED[rng.choice(("c.jr", "c.jr", "c.jalr", "jalr"))], None))
        elif kind < 28:
            chosen.append((_NAMED[rng.choice(_ENDS)], None))
        elif kind < 45:
            chosen.append((rng.choice(_ACCESS), None))
        elif kind < 65:
            chosen.append((_NAMED[rng.choice(_RESULTS)] if floats else rng.choice(_MOVES), None))
        else:
            chosen.append((rng.choice(_MOVES if floats and rng.random() < 0.7 else _PLAIN), None))
    places = [START]
    for insn, _ in chosen:
        places.append(places[-1] + insn.size)
    data = b""
    upper: tuple[int, int] | None = None  # register and place of the last auipc
    for (insn, to), here in zip(chosen, places, strict=False):
        values = _fields(insn, rng)
        if insn.name == "auipc":
            upper = rng.choice((1, 5, 10)), here
            values["rd"], values["upper"] = upper[0], 0
        elif insn.name == "jalr" and to is not None and upper is not None:
            distance = places[to] - upper[1]
            values |= {"rs1": upper[0], "rd": rng.choice((0, 1, 5)), "imm": distance & 0xFFF}
        elif insn.name in ("c.jr", "jalr") and rng.random() < 0.7:
            values["rs1"] = 1
            values |= {"rd": 0, "imm": 0} if insn.name == "jalr" else {}
        elif insn.name in ("c.jalr",):
            values["rs1"] = rng.choice((1, 5, 10))
        if to is not None and "offset" in values:
            bits = insn.encoding.width("offset")
            values["offset"] = places[to] - here & (1 << bits) - 1
            if "rd" in values:
                values["rd"] = rng.choice((0, 0, 1, 5))
        data += insn.encode(values).to_bytes(insn.size, "little")
    return Code(data, places[:-1])


def _fields(insn: Insn, rng: random.Random) -> dict[str, int]:
    values: dict[str, int] = {}
    for name in insn.encoding.fields:
        field = ISA.fields[name]
        while True:
            if field.kind == "register":
                raw = rng.choice(FLOATS if field.file == "f" else WHOLE) - field.bias
                if raw < 0:
                    continue
            elif field.shape is not None:
                raw = rng.choice(field.shape)
            else:
                raw = rng.getrandbits(insn.encoding.width(name)) & -(1 << insn.encoding.low_zeros(name))
            if raw not in insn.encoding.excluded.get(name, ()):
                break
        values[name] = raw + field.bias
    return values


def random_region(rng: random.Random, code: Code, limit: int = 1000) -> Region | None:
    """A region that begins somewhere, may be entered elsewhere too, and whose dynamic jumps were seen to go places."""
    observed: dict[int, list[int]] = {}
    for place in code.places:
        if rng.random() < 0.5:
            observed[place] = rng.sample(code.places, rng.randrange(1, 3))
    entries = rng.sample(code.places, rng.choice((0, 0, 1, 3)))
    ran = None
    if rng.random() < 0.5:
        met = {place for place in code.places if rng.random() < 0.8}
        ran = met.__contains__
    return discover(ISA, code.fetch, rng.choice(code.places), observed, limit=limit, entries=entries, ran=ran)


class Hart:
    """Registers and memory that the golden evaluator works on."""

    def __init__(self, rng: random.Random) -> None:
        self.state = State()
        self.memory = Memory(rng.getrandbits(64))
        for number in WHOLE[1:]:
            self.state.write(("x", number), random_value(rng))
        for number in FLOATS:
            self.state.write(("f", number), float_value(rng))

    def copy(self) -> Hart:
        """The same once more."""
        other = Hart(random.Random(0))
        other.state.slots = dict(self.state.slots)
        other.memory.seed = self.memory.seed
        other.memory.written = dict(self.memory.written)
        return other

    def step(self, placed: Placed) -> int | str:
        """Do one instruction; the next address, or why there is none: "trap", "syscall" or "flush"."""
        self.memory.touched.clear()
        try:
            return golden.execute(placed.trace, placed.decoded.fields, placed.pc, self.state, self.memory)
        except golden.Trap:
            return "trap"
        except golden.Syscall:
            return "syscall"
        except golden.Flush:
            return "flush"


@dataclass(slots=True)
class Step:
    """An instruction about to be executed, and where it stands in its block."""

    block: Block
    number: int

    @property
    def placed(self) -> Placed:
        """The instruction."""
        return self.block.insns[self.number]

    @property
    def first(self) -> bool:
        """Whether a block begins here."""
        return self.number == 0


def walk(hart: Hart, region: Region, entry: int, limit: int = 150) -> Iterator[Step]:
    """Follow a hart through a region by what the region says of its blocks, which is compared with what happens.

    Each step is given before it is done; leaving the region ends the walk, and so does the limit.
    """
    block = region.blocks[entry]
    number = 0
    for _ in range(limit):
        step = Step(block, number)
        yield step
        placed = step.placed
        to = hart.step(placed)
        last = number == len(block.insns) - 1
        if not last:
            if to == "trap":
                return
            number += 1
            assert to == block.insns[number].pc, "control leaves a block in its middle"
        elif to in block.successors:
            assert isinstance(to, int)
            block, number = region.blocks[to], 0
        else:
            left(block, region, to)
            return


def left(block: Block, region: Region, to: int | str) -> None:
    """A block was left for somewhere that is not among its successors: whether it may be."""
    flow, last = block.flow, block.insns[-1]
    if to in ("syscall", "flush", "trap"):
        assert flow.leaves or to == "trap"
        return
    if flow.leaves or flow.dynamic:
        return
    places = {flow.target} if flow.target is not None else set()
    if flow.conditional or not flow.ends:
        places.add(last.next_pc)
    assert to in places, f"{last.pc:#x} goes to {to:#x}, not to {[hex(p) for p in places if p]}"
    assert to not in region.blocks, "a block of the region is not a successor"
