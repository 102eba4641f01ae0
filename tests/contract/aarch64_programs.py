"""How programs of aarch64 are written."""

from __future__ import annotations

import random

from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.spec import Insn
from tests.contract.aarch64 import GUEST
from tests.contract.programs import Dialect, Label, Maker, Out, Piece

BASE, TABLE, KEPT, LINK = 28, 27, 29, 30
ALIGNED, ANYTHING = (SP, 19, 20), 21
COUNTERS = (18, 22, 23, 24, 25, 26)


class Aarch64(Dialect):
    """Functions that call others keep their link in a register; accesses may move the pointer to anything."""

    guest = GUEST
    base, table = BASE, TABLE
    aligned, anything, wide = ALIGNED, ANYTHING, SP
    counters = COUNTERS
    held = frozenset((XZR, BASE, TABLE, KEPT, LINK, *ALIGNED, ANYTHING, *COUNTERS))
    free = tuple(range(18))
    preferred = free
    floats = "q", (0, 1, 2, 3, 7, 8, 15, 16, 30, 31)
    written = ("Rd", "Rt", "Rs", "Vd", "Vt")

    def fit(self, maker: Maker, insn: Insn, fields: dict[str, int]) -> bool:
        for name in ("simm", "pimm"):
            if name in fields:
                # Near, and as much to the one side as to the other: pointers may move by it, and stay aligned.
                width = insn.encoding.width(name)
                fields[name] = 16 * maker.rng.randrange(-4 if name == "simm" else 0, 5) & (1 << width) - 1
        return True

    # -- the tree
    def count(self, counter: int, turns: int) -> bytes:
        return self.asm(f"mov x{counter}, {turns}")

    def again(self, counter: int, head: Label, size: int, short: bool) -> Out:
        if short:
            return [self.asm(f"subs x{counter}, x{counter}, 1"), self._to("b.ne", head)]
        return [self.asm(f"sub x{counter}, x{counter}, 1"), self._to(f"cbnz x{counter},", head)]

    def _to(self, what: str, label: Label) -> Piece:
        return Piece(4, lambda pc: self.asm(f"{what} {label.at:#x}", pc=pc))

    def jump(self, label: Label, distance: int, short: bool) -> Piece:
        return self._to("b", label)

    def entry(self, index: int, source: int, count: int, first: int, short: bool) -> bytes:
        if count == 1:
            return self.asm(f"ldr x{index}, [x{TABLE}, {8 * first}]")
        few = f"and x{index}, {self.x(source)}, {count - 1}"
        if short:
            place = f"add x{index}, x{index}, {first}", f"ldr x{index}, [x{TABLE}, x{index}, lsl 3]"
        else:
            place = f"add x{index}, x{TABLE}, x{index}, lsl 3", f"ldr x{index}, [x{index}, {8 * first}]"
        return self.asm(few, *place)

    def leap(self, register: int, short: bool) -> bytes:
        return self.asm(f"br x{register}")

    def near(self, label: Label, level: int) -> Out:
        return [self._to("bl", label)]

    def far(self, label: Label, level: int, register: int) -> Out:
        low = Piece(4, lambda pc: self.asm(f"add x{register}, x{register}, {label.at & 0xFFF}"))
        page = Piece(4, lambda pc: self.asm(f"adrp x{register}, {label.at & ~0xFFF:#x}", pc=pc))
        return [page, low, self.call(register, level)]

    def address(self, label: Label, register: int) -> Out:
        return [self._to(f"adr x{register},", label)]

    def call(self, register: int, level: int) -> bytes:
        return self.asm(f"blr x{register}")

    def function(self, label: Label, level: int, body: Out) -> Out:
        if level == 2:
            return [label, *body, self.asm("ret")]
        # Either the return says where the link is, or it is put back.
        back = ("ret x29",) if len(body) % 2 else ("mov x30, x29", "ret")
        return [label, self.asm("mov x29, x30"), *body, self.asm(*back)]

    # -- memory
    def moved(self, register: int, place: int, *, load: bool) -> bytes:
        how = "ldr" if load else "str"
        if place >= 0:
            return self.asm(f"{how} x{register}, [x{BASE}, {8 * place}]")
        return self.asm(f"{how[:2]}u{how[2:]} x{register}, [x{BASE}, {place}]")

    def moved_float(self, maker: Maker, register: int, place: int, *, load: bool) -> bytes:
        return maker.some("memory")

    def point(self, pointer: int, source: int, temporary: int) -> bytes:
        mask = {SP: 0x7F0, self.anything: 0x7FF}.get(pointer, 0x7F8)
        return self.asm(
            f"and x{temporary}, {self.x(source)}, {mask}", f"add {self.x(pointer)}, x{BASE}, x{temporary}"
        )

    def small(self, register: int, source: int) -> bytes:
        return self.asm(f"and x{register}, {self.x(source)}, 0x78")

    def exclusive(self, rng: random.Random, pointer: int) -> tuple[bytes, bytes]:
        kind, register = rng.choice((("b", "w"), ("h", "w"), ("", "w"), ("", "x")))
        status, data, stored = rng.sample(self.free, 3)
        base = self.x(pointer)
        load = f"{rng.choice(('ldxr', 'ldaxr'))}{kind} {register}{data}, [{base}]"
        store = f"{rng.choice(('stxr', 'stlxr'))}{kind} w{status}, {register}{stored}, [{base}]"
        return self.asm(load), self.asm(store)

    def add(self, register: int, to: int, number: int) -> bytes:
        how = "sub" if number < 0 else "add"
        return self.asm(f"{how} {self.x(register)}, {self.x(to)}, {abs(number)}")

    # -- what ends a program
    def trap(self, rng: random.Random) -> bytes:
        return rng.choice((self.asm("brk 7"), self.asm("udf 1"), *self.guest.none))

    def nowhere(self, rng: random.Random, register: int) -> bytes:
        away = rng.choice((
            f"mov x{register}, {rng.randrange(4096)}",
            f"lsl x{register}, x{BASE}, {rng.randrange(4, 31)}",
            f"sub x{register}, xzr, x{BASE}",
            f"add x{register}, x{BASE}, {rng.randrange(4)}",
            f"adr x{register}, {rng.choice((1, 2, 3, 6)):#x}",  # between two instructions
        ))  # fmt: skip
        return self.asm(away, f"{rng.choice(('br', 'blr', 'ret'))} x{register}")


DIALECT = Aarch64()
