"""How programs of riscv64 are written."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from polyvm.isa.spec import Insn
from tests.contract.programs import Dialect, Label, Maker, Out, Piece, encoded, to
from tests.contract.riscv64 import GUEST
from tests.isa.dictionaries import random_fields

RA, SP, GP, TP, T0 = 1, 2, 3, 4, 5
ALIGNED, ANYTHING = (SP, 8, 9), 18
COUNTERS = (14, 15, 24, 25, 26, 27)
LINKS = (RA, T0)
"""Of functions that main calls, and of those that functions call."""
HELD = frozenset((0, GP, TP, *ALIGNED, ANYTHING, *COUNTERS, *LINKS))
Distance = Callable[[int], int]


def named(name: str) -> Insn:
    """The instruction with a mnemonic."""
    return next(insn for insn in GUEST.isa.insns if insn.name == name)


def word(name: str, **fields: int) -> bytes:
    """An instruction by its name; signed fields may be negative."""
    return encoded(named(name), **fields)


class Riscv64(Dialect):
    """Short instructions where they can be, and floats with the registers' boxes."""

    guest = GUEST
    base, table = GP, TP
    aligned, anything, wide = ALIGNED, ANYTHING, SP
    counters = COUNTERS
    held = HELD
    free = tuple(number for number in range(1, 32) if number not in HELD)
    preferred = tuple(number for number in range(8, 16) if number not in HELD)
    floats = "f", (*range(8, 16), 0, 1, 2, 30)
    written = ("rd", "fd")

    def sort(self, insn: Insn) -> str:
        return "csr" if insn.extension.name == "Zicsr" else super().sort(insn)

    def atomic(self, insn: Insn, ops: set[str]) -> bool:
        return bool(ops & {"amo", "cas"}) or "lr." in insn.name

    def fit(self, maker: Maker, insn: Insn, fields: dict[str, int]) -> bool:
        rng = maker.rng
        if fields.get("rm") == 4 and rng.random() < 0.7:
            fields["rm"] = 7  # ties away are the golden evaluator's
        if fields.get("wcsr", 1) != 1 and rng.random() < 0.9 and "zimm" in fields:
            fields["zimm"] = rng.randrange(5)  # mostly a mode that there is
        return True

    # -- the tree
    def count(self, counter: int, turns: int) -> bytes:
        return word("addi", rd=counter, rs1=0, imm=turns)

    def again(self, counter: int, head: Label, size: int, short: bool) -> Out:
        if short and counter < 16:
            step = word("c.addi", rd=counter, nzimm=-1)
            if size < 200:
                return [step, to(head, named("c.bnez"), **{"rs1'": counter})]
        else:
            step = word("addi", rd=counter, rs1=counter, imm=-1)
        if short:
            return [step, to(head, named("blt"), rs1=0, rs2=counter)]
        return [step, to(head, named("bne"), rs1=counter, rs2=0)]

    def jump(self, label: Label, distance: int, short: bool) -> Piece:
        return to(label, named("c.j")) if short and distance < 2000 else to(label, named("jal"), rd=0)

    def branch(self, insn: Insn, fields: Mapping[str, int], label: Label, distance: int) -> Piece:
        if insn.size == 2 and distance > 200:
            other = named("beq" if insn.name == "c.beqz" else "bne")
            return to(label, other, rs1=fields["rs1'"], rs2=0)
        return to(label, insn, **fields)

    def entry(self, index: int, source: int, count: int, first: int, short: bool) -> bytes:
        if count == 1:
            return word("ld", rd=index, rs1=TP, imm=8 * first)
        return (
            word("andi", rd=index, rs1=source, imm=count - 1)
            + word("sh3add", rd=index, rs1=index, rs2=TP)
            + word("ld", rd=index, rs1=index, imm=8 * first)
        )

    def leap(self, register: int, short: bool) -> bytes:
        return word("c.jr", rs1=register) if short else word("jalr", rd=0, rs1=register, imm=0)

    def near(self, label: Label, level: int) -> Out:
        return [to(label, named("jal"), rd=LINKS[level])]

    def far(self, label: Label, level: int, register: int) -> Out:
        link = LINKS[level]
        high, low = self._halves(label, link)
        return [high, Piece(4, lambda pc: word("jalr", rd=link, rs1=link, imm=low(pc)))]

    def address(self, label: Label, register: int) -> Out:
        high, low = self._halves(label, register)
        return [high, Piece(4, lambda pc: word("addi", rd=register, rs1=register, imm=low(pc)))]

    @staticmethod
    def _halves(label: Label, register: int) -> tuple[Piece, Distance]:
        def high(pc: int) -> bytes:
            return word("auipc", rd=register, upper=(label.at - pc + 0x800) & 0xFFFF_F000)

        return Piece(4, high), lambda pc: (label.at - (pc - 4)) & 0xFFF

    def call(self, register: int, level: int) -> bytes:
        link = LINKS[level]
        return word("c.jalr", rs1=register) if link == RA else word("jalr", rd=link, rs1=register, imm=0)

    def function(self, label: Label, level: int, body: Out) -> Out:
        back = word("c.jr", rs1=RA) if level == 1 else word("jalr", rd=0, rs1=T0, imm=0)
        return [label, *body, back]

    # -- memory
    def moved(self, register: int, place: int, *, load: bool) -> bytes:
        return self._moved(("ld", "rd") if load else ("sd", "rs2"), register, place)

    def moved_float(self, maker: Maker, register: int, place: int, *, load: bool) -> bytes:
        return self._moved(("fld", "fd") if load else ("fsd", "fs2"), register, place)

    @staticmethod
    def _moved(how: tuple[str, str], register: int, place: int) -> bytes:
        name, data = how
        return word(name, rs1=GP, imm=8 * place, **{data: register})

    def point(self, pointer: int, source: int, temporary: int) -> bytes:
        mask = 0x7FF if pointer == self.anything else 0x7F8
        return word("andi", rd=temporary, rs1=source, imm=mask) + word(
            "add", rd=pointer, rs1=GP, rs2=temporary
        )

    def exclusive(self, rng: random.Random, pointer: int) -> tuple[bytes, bytes]:
        width = rng.choice("wd")
        one, two, three = (rng.choice(self.free) for _ in range(3))
        load = word(f"lr.{width}", rd=one, rs1=pointer, aq=0, rl=0)
        return load, word(f"sc.{width}", rd=two, rs1=pointer, rs2=three, aq=0, rl=0)

    def add(self, register: int, to: int, number: int) -> bytes:
        return word("addi", rd=register, rs1=to, imm=number)

    # -- what ends a program
    def trap(self, rng: random.Random) -> bytes:
        return rng.choice((word("ebreak"), word("c.ebreak"), bytes(4), b"\0\0"))

    def nowhere(self, rng: random.Random, register: int) -> bytes:
        away = rng.choice((
            word("addi", rd=register, rs1=0, imm=rng.randrange(-2048, 2048)),
            word("slli", rd=register, rs1=GP, shamt=rng.randrange(4, 31)),
            word("sub", rd=register, rs1=0, rs2=GP),
            word("addi", rd=register, rs1=GP, imm=0),
        ))  # fmt: skip
        return away + word("jalr", rd=rng.choice((0, register)), rs1=register, imm=0)

    def unsound(self, maker: Maker) -> bytes:
        """A rounding mode that there is not, and an instruction that asks for it."""
        fields = random_fields(named("fadd.d"), (("rm", 7),), maker.rng)
        wrong = word("csrrwi", rd=0, wcsr=2, zimm=maker.rng.randrange(5, 8))
        return wrong + word("fadd.d", **fields)


DIALECT = Riscv64()
