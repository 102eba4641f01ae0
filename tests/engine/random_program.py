"""Guest programs made at random, to be run by two tiers that must agree: loops, calls, tables, memory, floating point.

They always end: what counts a loop's turns is written by nothing else. Where they touch memory that they may not, on
purpose, whoever runs them goes on behind the instruction (`skip`). It makes no program that reads a clock.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from polyvm.engine.cpu import Cpu
from polyvm.isa.riscv64 import load
from polyvm.isa.spec import Insn
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace

ISA = load()
MASK = (1 << 64) - 1

CODE, TABLE, DATA, STACK = 0x10000, 0x30000, 0x40000, 0x60000
DATA_SIZE, STACK_SIZE = 0x4000, 0x4000
LOCKED = DATA + DATA_SIZE  # a page that can only be read; the pages around all of this are not there
SYS_EXIT = 93

RA, SP, GP, TP, ALT = 1, 2, 3, 4, 5  # TP: the table. ALT: the second link register
COUNTERS = range(18, 26)
POOL = [5, 6, 7, *range(8, 18), *range(26, 32)]
NEAR = [8, 9, 10, 11, 12, 13, 14, 15]  # what compressed instructions name
FLOATS = [*range(12), 28, 31]
WILD = (0, 8, 1 << 38, 1 << 46, 1 << 47, 1 << 63, MASK, MASK - 7, (1 << 38) - 4)
ENTRIES = 32  # addresses of functions and labels in the table; constants behind them
CONSTANTS = 64

_INSNS = {insn.text: insn for insn in ISA.insns}


def _one(name: str, size: int | None = None) -> Insn:
    return next(i for i in ISA.insns if i.name == name and (size is None or i.size == size))


ACCESS = [(i, "rd") for i in ISA.insns if i.name in ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")]
ACCESS += [(i, "rs2") for i in ISA.insns if i.name in ("sb", "sh", "sw", "sd")] * 2
ACCESS += [(i, "fd") for i in ISA.insns if i.name in ("flh", "flw", "fld")]
ACCESS += [(i, "fs2") for i in ISA.insns if i.name in ("fsh", "fsw", "fsd")]
SHORT_ACCESS = [i for i in ISA.insns if i.name in ("c.lw", "c.ld", "c.sw", "c.sd", "c.fld", "c.fsd")]
STACK_ACCESS = [
    i for i in ISA.insns if i.name in ("c.lwsp", "c.ldsp", "c.swsp", "c.sdsp", "c.fldsp", "c.fsdsp")
]
ATOMIC = [i for i in ISA.insns if i.name.startswith(("amo", "lr.", "sc."))]
BRANCHES = [i for i in ISA.insns if i.name in ("beq", "bne", "blt", "bge", "bltu", "bgeu")]
SHORT_BRANCHES = [i for i in ISA.insns if i.name in ("c.beqz", "c.bnez")]
CSR = [i for i in ISA.insns if i.extension.name == "Zicsr"]
_SPECIAL = {
    *(i for i, _ in ACCESS), *SHORT_ACCESS, *STACK_ACCESS, *ATOMIC, *BRANCHES, *SHORT_BRANCHES, *CSR,
    *(i for i in ISA.insns if i.name in (
        "jal", "jalr", "c.j", "c.jr", "c.jalr", "ecall", "ebreak", "c.ebreak", "fence.i", "c.addi16sp")),
}  # fmt: skip
PLAIN = [i for i in ISA.insns if i not in _SPECIAL]
FLOATING = [i for i in PLAIN if i.extension.name in ("F", "D", "Zfh")]
WHOLE = [i for i in PLAIN if i not in FLOATING]
# What makes numbers out of numbers, and what copies them: what loops over numbers are made of.
NUMERIC = [i for i in FLOATING if i.name.split(".")[0] in (
    "fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd", "fmsub", "fnmsub", "fnmadd", "fsgnj", "fsgnjn")]  # fmt: skip


@dataclass(slots=True, eq=False)
class Label:
    """A place in the code."""

    at: int = -1


@dataclass(slots=True)
class Item:
    """An instruction; `to` is the label that its offset leads to, or that `hi`/`lo` of an address pair come from."""

    insn: Insn
    fields: dict[str, int]
    to: Label | None = None
    pair: Item | None = None  # the auipc whose address the offset belongs to


Code = list["Item | Label"]


@dataclass(frozen=True, slots=True)
class Taste:
    """What a program is made of. floats: how many of ten plain instructions. faults: whether it makes some.
    rounding: whether the rounding mode changes. modified: whether it writes code. calls: whether it calls the system.
    size: about how many statements. turns: about how many instructions are executed, in functions again."""

    floats: int = 4
    faults: bool = False
    rounding: bool = False
    modified: bool = False
    csr: bool = True
    calls: bool = False
    size: int = 60
    turns: int = 20_000


@dataclass(slots=True)
class Program:
    """The result: code, the table's words, and what registers and memory hold at the start."""

    code: bytes
    table: bytes
    data: bytes
    x: list[int]
    f: list[int]
    fcsr: tuple[int, int]
    writable: bool


def size_of(code: Code) -> int:
    """Bytes."""
    return sum(item.insn.size for item in code if isinstance(item, Item))


class Maker:
    """Makes one program."""

    def __init__(self, rng: random.Random, taste: Taste) -> None:
        self.rng = rng
        self.taste = taste
        self.hot = rng.sample(POOL, 5)
        self.hot_floats = rng.sample(FLOATS, 4)
        self.entries: list[Label] = []
        self.constants: list[int] = []
        self.functions: list[Label] = []
        letters = rng.choice(("d", "s", "ds", "dsh"))
        self.numeric = [i for i in NUMERIC if i.name[-1] in letters]

    # -- pieces
    def register(self, file: str, *, write: bool, bias: int) -> int:
        rng = self.rng
        if file == "f":
            pool = self.hot_floats if rng.random() < 0.6 else FLOATS
            number = rng.choice(pool)
            return rng.randrange(8, 16) if bias else number
        if bias:
            near = [r for r in self.hot if r in NEAR]
            return rng.choice(near) if near and rng.random() < 0.6 else rng.choice(NEAR)
        if write:
            return 0 if rng.random() < 0.03 else rng.choice(self.hot if rng.random() < 0.6 else POOL)
        if rng.random() < 0.1:
            return rng.choice([0, SP, GP, TP, RA, *COUNTERS])
        return rng.choice(self.hot if rng.random() < 0.6 else POOL)

    def item(self, insn: Insn, **given: int) -> Item:
        """An instruction with these fields and others at random."""
        rng = self.rng
        shapes = list(insn.shapes())
        while True:
            values = dict(rng.choice(shapes))
            for name in insn.encoding.fields:
                if name in values:
                    continue
                about = ISA.fields[name]
                if about.kind == "register":
                    values[name] = self.register(
                        about.file, write=name[1] == "d" or name == "rd'", bias=about.bias
                    )
                    continue
                raw = rng.getrandbits(insn.encoding.width(name))
                if about.kind == "signed" and rng.random() < 0.5:
                    raw = rng.randrange(-8, 9) & ((1 << insn.encoding.width(name)) - 1)
                values[name] = raw & ~((1 << insn.encoding.low_zeros(name)) - 1)
            # Golden does what is rounded to nearest, ties away.
            if "rm" in values and rng.random() < (0.6 if values["rm"] != 4 else 0.9):
                values["rm"] = 7
            values |= given
            if any(
                values[n] - ISA.fields[n].bias in insn.encoding.excluded.get(n, ())
                for n in insn.encoding.fields
            ):
                continue
            decoded = ISA.decode(insn.encode(values))
            if decoded is None or decoded.insn is not insn:
                continue
            return Item(insn, values)

    def i(self, name: str, **fields: int) -> Item:
        """An instruction by its name."""
        return self.item(_one(name), **fields)

    def addi(self, rd: int, rs1: int, imm: int) -> Item:
        return self.i("addi", rd=rd, rs1=rs1, imm=imm & 0xFFF)

    def plain(self) -> Item:
        rng = self.rng
        pool = FLOATING if rng.randrange(10) < self.taste.floats else WHOLE
        if pool is FLOATING and rng.random() < 0.6:
            pool = self.numeric
        while True:
            item = self.item(rng.choice(pool))
            if item.insn.name.startswith("fsgnj.") and rng.random() < 0.6:
                item.fields["fs2"] = item.fields["fs1"]
            if item.insn.name in ("c.addi4spn", "auipc", "fence", "fence.tso") and rng.random() < 0.7:
                continue
            if "rd" in item.fields and item.fields["rd"] not in (0, *POOL):
                continue
            return item

    def csr(self) -> Item:
        """Flags and rounding; no counters."""
        rng = self.rng
        while True:
            item = self.item(rng.choice(CSR))
            number = item.fields.get("csr", item.fields.get("wcsr", 0))
            writes = "wcsr" in item.fields
            if number >= 0xC00 or (writes and number != 1 and not self.taste.rounding):
                continue
            if "rd" in item.fields and item.fields["rd"] not in (0, *POOL):
                continue
            return item

    def set_rounding(self) -> Code:
        mode = self.rng.choice((0, 0, 1, 2, 3, 4)) if self.rng.random() < 0.95 else self.rng.randrange(8)
        return [self.i("csrrwi", wcsr=2, zimm=mode)]

    def address(self, register: int, align: int = 1) -> Code:
        """Leave in a register an address in the data, made of another one."""
        rng = self.rng
        kind = rng.randrange(4)
        source = rng.choice(self.hot)
        if kind == 3:
            return [self.i("lui", rd=register, upper=DATA + 0x1000 * rng.randrange(1, 3))]
        if kind == 0:
            return [
                self.i("andi", rd=register, rs1=source, imm=0x7FF & -align),
                self.i("add", rd=register, rs1=GP, rs2=register),
            ]
        if kind == 1:
            shift = rng.choice((1, 2, 3))
            while 1 << shift < align:
                shift += 1
            return [
                self.i("andi", rd=register, rs1=source, imm=0x7F),
                self.i(f"sh{shift}add", rd=register, rs1=register, rs2=GP),
            ]
        return [self.addi(register, GP, rng.randrange(-2048, 2048) & -align)]

    def access(self, base: int, low: int = -1024, high: int = 1024) -> Item:
        rng = self.rng
        insn, _ = rng.choice(ACCESS)
        imm = rng.choice((0, 8, rng.randrange(low, high), rng.randrange(low, high) & -8))
        return self.item(insn, rs1=base, imm=imm & 0xFFF)

    def memory(self) -> Code:
        """Accesses through one register."""
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            return [self.access(GP)]
        if kind == 1:
            while True:
                item = self.item(rng.choice(STACK_ACCESS))
                # Not into the frames, where return addresses are.
                if item.fields["uimm"] >= 128 and item.fields.get("rd", 8) in POOL:
                    return [item]
        base = rng.choice(NEAR)
        code: Code = [*self.address(base)]
        for _ in range(rng.randrange(1, 5)):
            if rng.random() < 0.3:
                insn = rng.choice(SHORT_ACCESS)
                code.append(self.item(insn, **{"rs1'": base}))
                written = code[-1].fields.get("rd'")  # type: ignore[union-attr]  # an Item
            else:
                item = self.access(base)
                code.append(item)
                written = item.fields.get("rd")
            if written == base:
                break
            if rng.random() < 0.2:
                code.append(self.addi(base, base, rng.choice((1, 2, 4, 8, 16, -8))))
        return code

    def atomic(self) -> Code:
        rng = self.rng
        base = rng.choice(POOL)
        code = self.address(base, 8)
        odd = self.taste.faults and rng.random() < 0.1
        if odd:
            code.append(self.addi(base, base, rng.choice((1, 2, 4))))
        code.append(self.item(rng.choice(ATOMIC), rs1=base))
        if rng.random() < 0.4:
            width = rng.choice("wd")
            old = rng.choice([r for r in POOL if r != base])
            code += [
                self.i(f"lr.{width}", rd=old, rs1=base),
                self.i(f"sc.{width}", rs1=base, rd=rng.choice(POOL)),
            ]
        return code

    def fault(self) -> Code:
        """What may not be done: an access far out, across the end of the data, to what can only be read; a jump."""
        rng = self.rng
        base = rng.choice(POOL)
        kind = rng.randrange(7)
        if kind == 5 and self.calls:
            return [
                *self.constant(base, rng.choice(WILD)),
                self.i("jalr", rd=RA, rs1=base, imm=rng.choice((0, 1, 8))),
            ]
        if kind >= 5:
            return [self.i(rng.choice(("ebreak", "c.ebreak")))]
        if kind == 0:  # anywhere
            value = rng.choice((*WILD, rng.getrandbits(64), rng.getrandbits(38)))
            if rng.random() < 0.1:
                return [self.access(0)]
            return [*self.constant(base, value), self.access(base, -64, 64)]
        if kind == 1:  # across the end
            end = LOCKED + 0x1000
            return [*self.constant(base, end - rng.randrange(1, 10)), self.access(base, 0, 1)]
        if kind == 2:
            return [*self.constant(base, LOCKED - rng.randrange(0, 16)), self.access(base, 0, 16)]
        if kind == 3:
            start = rng.choice((DATA, TABLE, STACK))
            return [*self.constant(base, start - rng.randrange(0, 9)), self.access(base, 0, 1)]
        end = STACK + STACK_SIZE
        return [*self.constant(base, end - rng.randrange(0, 9)), self.access(base, 0, 1)]

    def constant(self, register: int, value: int) -> Code:
        """Load a 64-bit number from the table."""
        if len(self.constants) == CONSTANTS:
            return [self.i("ld", rd=register, rs1=TP, imm=8 * (ENTRIES + self.rng.randrange(CONSTANTS)))]
        self.constants.append(value)
        return [self.i("ld", rd=register, rs1=TP, imm=8 * (ENTRIES + len(self.constants) - 1))]

    # -- statements
    def condition(self, to: Label, distance: int) -> Item:
        """A branch to a label that is so far away at most."""
        rng = self.rng
        if distance < 240 and rng.random() < 0.4:
            item = self.item(rng.choice(SHORT_BRANCHES))
        else:
            item = self.item(rng.choice(BRANCHES))
        item.to = to
        return item

    def choice(self, depth: int, times: int) -> Code:
        then = self.statements(depth + 1, times, self.rng.randrange(1, 4))
        end = Label()
        if self.rng.random() < 0.5:
            return [self.condition(end, size_of(then) + 8), *then, end]
        other = self.statements(depth + 1, times, self.rng.randrange(1, 3))
        if size_of(then) < 2000 and self.rng.random() < 0.5:
            jump = self.i("c.j")
        else:
            jump = self.i("jal", rd=0)
        middle = Label()
        jump.to = end
        return [self.condition(middle, size_of(then) + 8), *then, jump, middle, *other, end]

    def loop(self, depth: int, times: int) -> Code:
        rng = self.rng
        if not self.counters:
            return self.statements(depth + 1, times, 2)
        counter = self.counters.pop()
        turns = rng.choice((1, 2, 3, 5, 9, 20, 60))
        while self.cost + 20 * times * turns > self.taste.turns and turns > 1:
            turns //= 2
        walking = rng.random() < 0.4
        body = self.statements(depth + 1, times * turns, rng.randrange(1, 5))
        head = Label()
        code: Code = [self.addi(counter, 0, turns)]
        if walking:
            # A pointer that walks through the data, compared with the limit once before.
            pointer = rng.choice((16, 17, 29, 30, 31))
            step = rng.choice((1, 2, 4, 8, 12, 16))
            code.append(self.addi(pointer, GP, rng.randrange(-1024, 512)))
            body = [self.access(pointer, -32, 32), *body, self.addi(pointer, pointer, step)]
        code.append(head)
        code += body
        step = self.i("c.addi", rd=counter) if rng.random() < 0.5 else self.addi(counter, counter, -1)
        if step.insn.name == "c.addi":
            step.fields["nzimm" if "nzimm" in step.fields else "imm"] = 0x3F
        code.append(step)
        back = self.i("bne", rs1=counter, rs2=0) if rng.random() < 0.7 else self.i("blt", rs1=0, rs2=counter)
        back.to = head
        code.append(back)
        self.counters.append(counter)
        return code

    def call(self, times: int) -> Code:
        rng = self.rng
        if not self.callable:
            return [self.plain()]
        # One that there is still time for: through a table it may be any of those.
        affordable = [f for f in self.callable if self.cost + times * self.costs[f] <= 2 * self.taste.turns]
        if not affordable:
            return [self.plain()]
        target = rng.choice(affordable)
        self.cost += times * max(self.costs[f] for f in affordable)
        link = RA
        kind = rng.randrange(5)
        if kind == 0:
            item = self.i("jal", rd=link)
            item.to = target
            return [item]
        if kind == 1:  # two instructions, the address known
            high = self.i("auipc", rd=rng.choice((RA, 6, 7)))
            high.to = target
            low = self.i("jalr", rd=link, rs1=high.fields["rd"])
            low.pair = high
            low.to = target
            between = [self.i("addi", rd=rng.choice(NEAR))] if rng.random() < 0.2 else []
            return [high, *between, low]
        index = rng.choice(POOL)
        start = self.table([rng.choice(affordable) for _ in range(rng.choice((1, 2, 4)))])
        code: Code = [
            self.i("andi", rd=index, rs1=rng.choice(self.hot), imm=start[1] - 1),
            self.i("sh3add", rd=index, rs1=index, rs2=TP),
            self.i("ld", rd=index, rs1=index, imm=8 * start[0]),
        ]
        if kind == 2:
            return [*code, self.i("c.jalr", rs1=index)]
        return [*code, self.i("jalr", rd=link, rs1=index, imm=rng.choice((0, 0, 1)))]

    def helper(self) -> Code:
        """A call through the second link register, of what saves registers for others."""
        item = self.i("jal", rd=ALT)
        item.to = self.rng.choice(self.helpers)
        return [item]

    def table(self, labels: list[Label]) -> tuple[int, int]:
        """Put labels into the table: the first one's place, and how many are there (a power of two)."""
        if len(self.entries) + len(labels) > ENTRIES:
            at = next((i for i, e in enumerate(self.entries) if e in labels), None)
            if at is not None:
                return at, 1
            self.entries[-1] = labels[0]
            raise OverflowError
        self.entries += labels
        return len(self.entries) - len(labels), len(labels)

    def switch(self, depth: int, times: int) -> Code:
        """A jump through a table."""
        rng = self.rng
        count = rng.choice((2, 4))
        if len(self.entries) + count > ENTRIES - 4:
            return [self.plain()]
        cases = [Label() for _ in range(count)]
        first, _ = self.table(cases)
        index = rng.choice([r for r in POOL if r != ALT])
        end = Label()
        code: Code = [
            self.i("andi", rd=index, rs1=rng.choice(self.hot), imm=count - 1),
            self.i("sh3add", rd=index, rs1=index, rs2=TP),
            self.i("ld", rd=index, rs1=index, imm=8 * first),
            self.i("c.jr", rs1=index) if rng.random() < 0.5 else self.i("jalr", rd=0, rs1=index, imm=0),
        ]
        for case in cases:
            jump = self.i("jal", rd=0)
            jump.to = end
            code += [case, *self.statements(depth + 1, times, rng.randrange(1, 3)), jump]
        return [*code, end]

    def modify(self) -> Code:
        """Write another instruction over one, sometimes."""
        rng = self.rng
        if self.modified >= 2:
            return [self.plain()]
        self.modified += 1
        site, away = Label(), Label()
        while True:
            old, new = self.plain(), self.plain()
            if old.insn.size == new.insn.size == 4 and old.insn.name != "auipc" != new.insn.name:
                break
        base, word = rng.sample([r for r in POOL if r != ALT], 2)
        high = self.i("auipc", rd=base)
        high.to = site
        low = self.i("addi", rd=base, rs1=base)
        low.pair, low.to = high, site
        skip = self.i("bne", rs1=self.outer, rs2=word)
        skip.to = away
        return [
            self.addi(word, 0, rng.randrange(1, 10)),
            skip,
            high,
            low,
            *self.constant(word, new.insn.encode(new.fields)),
            self.i("sw", rs1=base, rs2=word, imm=0),
            self.i("fence.i"),
            away,
            site,
            old,
        ]

    def statements(self, depth: int, times: int, count: int) -> Code:
        rng, taste = self.rng, self.taste
        code: Code = []
        for _ in range(count):
            kind = rng.randrange(26)
            self.cost += 4 * times
            if self.left <= 0 or kind < 8:
                for _ in range(rng.randrange(1, 6)):
                    code.append(self.plain())
                    self.left -= 1
            elif kind < 12:
                code += self.memory()
                self.left -= 3
            elif kind == 12:
                code += self.atomic()
                self.left -= 3
            elif kind == 13 and taste.csr:
                code.append(self.csr())
            elif kind == 14 and taste.rounding:
                code += self.set_rounding()
            elif kind == 15 and taste.faults:
                code += self.fault()
            elif kind == 16 and taste.modified:
                code += self.modify()
            elif kind < 19 and depth < 4:
                code += self.choice(depth, times)
            elif kind in (19, 22) and depth < 3:
                code += self.loop(depth, times)
            elif kind in (20, 23):
                try:
                    code += self.call(times)
                except OverflowError:
                    code.append(self.plain())
            elif kind == 24:
                code += self.helper()
            elif kind == 25:
                code += self.system()
            elif kind == 21 and depth < 3:
                code += self.switch(depth, times)
            else:
                code.append(self.plain())
        return code

    def system(self) -> Code:
        """A system call that is not the last one."""
        return (
            [self.addi(17, 0, self.rng.randrange(8)), self.i("ecall")] if self.taste.calls else [self.plain()]
        )

    def helper_text(self, label: Label) -> Code:
        """What comes back through the second link register."""
        body: Code = []
        while len(body) < 3:
            item = self.plain()
            if item.fields.get("rd") != ALT:
                body.append(item)
        end = self.i("c.jr", rs1=ALT) if self.rng.random() < 0.5 else self.i("jalr", rd=0, rs1=ALT, imm=0)
        return [label, *body, end]

    def function(self, number: int) -> Code:
        """A function that may call those before it."""
        rng = self.rng
        self.callable = self.functions[:number]
        self.calls = True
        self.cost = 10
        self.counters = [COUNTERS[2 * number], COUNTERS[2 * number + 1]]
        self.left = self.taste.size // 3
        leaf = number == 0 or rng.random() < 0.3
        if leaf:
            self.callable = []
        frame = 32
        code: Code = [self.functions[number]]
        self.calls = not leaf or rng.random() < 0.3
        if self.calls:
            body = self.statements(1, 1, rng.randrange(2, 5))
            code += [
                self.addi(SP, SP, -frame),
                self.i("sd", rs1=SP, rs2=RA, imm=24),
                *body,
                self.i("ld", rd=RA, rs1=SP, imm=24),
                self.addi(SP, SP, frame),
            ]
        else:
            code += self.statements(1, 1, rng.randrange(2, 5))
        back = self.i("c.jr", rs1=RA) if rng.random() < 0.5 else self.i("jalr", rd=0, rs1=RA, imm=0)
        code.append(back)
        self.costs[self.functions[number]] = self.cost
        return code

    def make(self) -> Program:
        rng, taste = self.rng, self.taste
        self.modified = 0
        self.outer = COUNTERS[7]
        count = rng.randrange(0, 4)
        self.functions = [Label() for _ in range(count)]
        self.costs: dict[Label, int] = {}
        self.helpers = [Label(), Label()]
        texts = [self.function(number) for number in range(count)]
        texts += [self.helper_text(label) for label in self.helpers]
        self.callable, self.calls = self.functions, True
        self.counters = [COUNTERS[6]]
        self.left = taste.size
        passes = rng.choice((10, 30, 80))
        self.cost = 0
        head = Label()
        body = self.statements(0, passes, rng.randrange(5, 12))
        while self.left > 0:
            body += self.statements(0, passes, 2)
        back = self.i("bne", rs1=self.outer, rs2=0)
        back.to = head
        main: Code = [
            self.addi(self.outer, 0, passes),
            head,
            *body,
            self.addi(self.outer, self.outer, -1),
            back,
            self.addi(17, 0, SYS_EXIT),
            self.i("ecall"),
        ]
        code: Code = list(main)
        for text in rng.sample(texts, len(texts)):
            code += text
        return self.finish(code)

    def finish(self, code: Code) -> Program:
        rng = self.rng
        at = CODE
        places: list[tuple[int, Item]] = []
        for item in code:
            if isinstance(item, Label):
                item.at = at
            else:
                places.append((at, item))
                at += item.insn.size
        where = {id(item): pc for pc, item in places}
        text = b""
        for pc, item in places:
            values = dict(item.fields)
            if item.to is not None:
                assert item.to.at >= 0
                if item.pair is not None:
                    distance = item.to.at - where[id(item.pair)]
                    values["imm"] = distance & 0xFFF
                elif item.insn.name == "auipc":
                    distance = item.to.at - pc
                    name = "upper" if "upper" in values else "imm"
                    values[name] = (distance + 0x800) & 0xFFFF_F000
                else:
                    width = item.insn.encoding.width("offset")
                    values["offset"] = item.to.at - pc & ((1 << width) - 1)
            text += item.insn.encode(values).to_bytes(item.insn.size, "little")
        words = [entry.at for entry in self.entries] + [CODE] * (ENTRIES - len(self.entries))
        words += self.constants + [rng.getrandbits(64) for _ in range(CONSTANTS - len(self.constants))]
        table = b"".join(word.to_bytes(8, "little") for word in words)
        x = [0] + [value(rng) for _ in range(31)]
        x[SP], x[GP], x[TP] = STACK + STACK_SIZE - 0x800, DATA + DATA_SIZE // 2, TABLE
        f = [number(rng) for _ in range(32)]
        data = b"".join(
            (number(rng) if rng.random() < 0.5 else value(rng)).to_bytes(8, "little")
            for _ in range(DATA_SIZE // 8)
        )
        mode = rng.choice((0, 1, 2, 3, 4)) if self.taste.rounding and rng.random() < 0.5 else 0
        return Program(text, table, data, x, f, (mode, rng.choice((0, 0, 31))), self.taste.modified)


CORNERS = (0, 1, 2, 63, 64, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1, 1 << 63, MASK)


def value(rng: random.Random) -> int:
    """A register's value."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(CORNERS)
    return rng.randrange(-64, 64) & MASK if kind == 1 else rng.getrandbits(32 if kind == 2 else 64)


def number(rng: random.Random) -> int:
    """A floating-point register's value: numbers of three formats, boxed or not, and every kind of NaN."""
    bits, fraction, bias = rng.choice(
        ((64, 52, 1023), (64, 52, 1023), (32, 23, 127), (32, 23, 127), (16, 10, 15))
    )
    kind = rng.randrange(10)
    top = (1 << bits - 1 - fraction) - 1
    if kind == 0:
        exponent, mantissa = top, rng.choice((0, 1 << fraction - 1, 1, 1 | 1 << fraction - 1))
    elif kind == 1:
        exponent, mantissa = rng.choice((0, 1, top - 1)), rng.getrandbits(fraction)
    elif kind == 2:
        exponent, mantissa = 0, 0
    else:
        exponent, mantissa = bias + rng.randrange(-4, 5), rng.getrandbits(fraction)
        if rng.random() < 0.5:
            mantissa &= -1 << fraction - 3
    pattern = rng.randrange(2) << bits - 1 | exponent << fraction | mantissa
    if bits < 64:
        pattern |= MASK & -1 << bits
        if rng.random() < 0.1:
            pattern ^= 1 << rng.randrange(bits, 64)
    return pattern


def make(rng: random.Random, taste: Taste | None = None) -> Program:
    """A program."""
    return Maker(rng, taste or Taste()).make()


def start(program: Program, space: AddressSpace, cpu: Cpu) -> None:
    """Map a program and its data, and set the registers."""
    size = -(-len(program.code) // 4096) * 4096
    space.map(CODE, size, READ | WRITE)
    space.write(CODE, program.code)
    space.protect(CODE, size, READ | EXEC | (WRITE if program.writable else 0))
    space.map(TABLE, 4096, READ | WRITE)
    space.write(TABLE, program.table)
    space.protect(TABLE, 4096, READ)
    space.map(DATA, DATA_SIZE, READ | WRITE)
    space.write(DATA, program.data)
    space.map(LOCKED, 4096, READ)
    space.map(STACK, STACK_SIZE, READ | WRITE)
    for number in range(32):
        cpu.x[number], cpu.f[number] = program.x[number], program.f[number]
    cpu.fp_mode, cpu.fp_flags = program.fcsr
    cpu.pc = CODE
