"""Guest programs made at random out of the specification, for tiers to agree on; and the shortest that still differs.

A program is a tree: straight instructions, counted loops, choices, calls and jumps through a table, so that a part can
be left out and the rest still ends. Registers that hold the tree together are written by nothing else; accesses go
through pointers into a buffer, but for those that are meant to fail and end the program. Nothing here runs anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from polyvm.engine.discover import Placed
from polyvm.engine.liveness import ACCESSES, affine, effects
from polyvm.ir.ops import OPS
from polyvm.isa.spec import Insn
from tests.isa.riscv64.floats import register as float_register
from tests.isa.riscv64.machine import ISA, MASK, random_fields, random_value

CODE, DATA = 0x1_2340_0000, 0x2_0000_0000
PAGE = 4096
WRITABLE, SIZE = 2 * PAGE, 3 * PAGE
"""Bytes of the buffer that may be written, and all; the last page may only be read and holds the table."""
TABLE = DATA + WRITABLE

RA, SP, GP, TP, T0 = 1, 2, 3, 4, 5
MIDDLE = DATA + 3072  # what gp holds: pointers are up to 2047 bytes from it, accesses 2048 more
ALIGNED, ANY = (SP, 8, 9), 18  # pointers to double words, and one to anything
POINTERS = (*ALIGNED, ANY)
COUNTERS = (14, 15, 24, 25, 26, 27)
LINKS = (RA, T0)  # of functions that main calls, and of those that functions call
HELD = frozenset((0, GP, TP, *POINTERS, *COUNTERS, *LINKS))
FREE = tuple(number for number in range(1, 32) if number not in HELD)
SHORT = tuple(number for number in FREE if 8 <= number < 16)
FLOATS = (*range(8, 16), 0, 1, 2, 30)
MOST = 10_000
"""Instructions that a program may do, roughly."""


def named(name: str) -> Insn:
    """The instruction with a mnemonic."""
    return next(insn for insn in ISA.insns if insn.name == name)


def word(name: str, **fields: int) -> bytes:
    """An instruction by its name; signed fields may be negative."""
    insn = named(name)
    values = {n: v & (1 << ISA.field_bits(insn.encoding, n)) - 1 for n, v in fields.items()}
    return insn.encode(values).to_bytes(insn.size, "little")


# ------------------------------------------------------------------------------------------------ assembling
class Label:
    """A place in a program. entered: whether compiled code is entered there, too."""

    def __init__(self, entered: bool = False) -> None:
        self.entered = entered
        self.at = -1


@dataclass
class Piece:
    """Bytes that depend on where they are and where labels are. seen: a jump through a table, and where it may go."""

    size: int
    make: Callable[[int], bytes]
    seen: tuple[Label, ...] = ()


Out = list["bytes | Label | Piece"]


def size_of(out: Out) -> int:
    """Bytes of code."""
    return sum(0 if isinstance(o, Label) else o.size if isinstance(o, Piece) else len(o) for o in out)


def to(label: Label, name: str, **fields: int) -> Piece:
    """A branch or jump to a label."""
    return Piece(named(name).size, lambda pc: word(name, offset=label.at - pc, **fields))


def jump(label: Label, distance: int, short: bool) -> Piece:
    """A jump over so many bytes."""
    return to(label, "c.j") if short and distance < 2000 else to(label, "jal", rd=0)


def address_of(label: Label, rd: int, low: Callable[[int], bytes]) -> Out:
    """auipc, and the instruction that takes the low bits."""

    def high(pc: int) -> bytes:
        return word("auipc", rd=rd, upper=(label.at - pc + 0x800) & 0xFFFF_F000)

    return [Piece(4, high), Piece(4, lambda pc: low((label.at - (pc - 4)) & 0xFFF))]


# ------------------------------------------------------------------------------------------------ the tree
@dataclass(frozen=True)
class Node:
    """A part of a program."""

    def emit(self, program: Assembly) -> Out:
        raise NotImplementedError

    def parts(self) -> tuple[Body, ...]:
        """What is inside."""
        return ()

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return self

    def simpler(self) -> Iterator[Body]:
        """Shorter things to stand here instead."""
        yield ()
        yield from self.parts()


Body = tuple[Node, ...]


@dataclass(frozen=True)
class Plain(Node):
    """Instructions that go on behind themselves."""

    code: bytes

    def emit(self, program: Assembly) -> Out:
        return [self.code]


@dataclass(frozen=True)
class Loop(Node):
    """A body done so many times. low: the condition at the start, the first time jumped to."""

    counter: int
    turns: int
    body: Body
    low: bool
    short: bool
    entered: bool

    def emit(self, program: Assembly) -> Out:
        head, check = Label(self.entered), Label()
        body = program.body(self.body)
        compressed = self.short and self.counter < 16
        if compressed:
            step = word("c.addi", rd=self.counter, nzimm=-1)
        else:
            step = word("addi", rd=self.counter, rs1=self.counter, imm=-1)
        if compressed and size_of(body) < 200:
            back = to(head, "c.bnez", **{"rs1'": self.counter})
        elif self.short:
            back = to(head, "blt", rs1=0, rs2=self.counter)
        else:
            back = to(head, "bne", rs1=self.counter, rs2=0)
        start: Out = [word("addi", rd=self.counter, rs1=0, imm=self.turns + self.low)]
        if self.low:
            start.append(jump(check, size_of(body), self.short))
        return [*start, head, *body, check, step, back]

    def parts(self) -> tuple[Body, ...]:
        return (self.body,)

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return replace(self, body=parts[0])

    def simpler(self) -> Iterator[Body]:
        yield from super().simpler()
        for turns in (1, 2, self.turns // 2):
            if 0 < turns < self.turns:
                yield (replace(self, turns=turns),)


@dataclass(frozen=True)
class Choice(Node):
    """One of two bodies; branch: the condition's instruction and registers."""

    branch: tuple[str, tuple[tuple[str, int], ...]]
    then: Body
    other: Body
    short: bool

    def emit(self, program: Assembly) -> Out:
        middle, end = Label(), Label()
        then, other = program.body(self.then), program.body(self.other)
        over = [jump(end, size_of(other), self.short)] if other else []
        name, fields = self.branch
        if name.startswith("c.") and size_of([*then, *over]) > 200:
            name, fields = ("beq" if name == "c.beqz" else "bne"), (("rs1", fields[0][1]), ("rs2", 0))
        return [to(middle, name, **dict(fields)), *then, *over, middle, *other, end]

    def parts(self) -> tuple[Body, ...]:
        return self.then, self.other

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return replace(self, then=parts[0], other=parts[1])


@dataclass(frozen=True)
class Switch(Node):
    """A jump through the table to one of two or four bodies. seen: whether the compiler is told where it went."""

    index: int
    source: int
    bodies: tuple[Body, ...]
    short: bool
    seen: bool

    def emit(self, program: Assembly) -> Out:
        end = Label()
        places = tuple(Label() for _ in self.bodies)
        first = program.table(places)
        i = self.index
        out: Out = [
            word("andi", rd=i, rs1=self.source, imm=len(places) - 1),
            word("sh3add", rd=i, rs1=i, rs2=TP),
            word("ld", rd=i, rs1=i, imm=8 * first),
        ]
        leap = word("c.jr", rs1=i) if self.short else word("jalr", rd=0, rs1=i, imm=0)
        out.append(Piece(len(leap), lambda pc: leap, places if self.seen else ()))
        for place, body in zip(places, self.bodies, strict=True):
            inside = program.body(body)
            out += [place, *inside, jump(end, 4000, short=False)]
        return [*out, end]

    def parts(self) -> tuple[Body, ...]:
        return self.bodies

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return replace(self, bodies=parts)


@dataclass(frozen=True)
class Call(Node):
    """A call of a function: how is "near", "far" (two instructions), "known" (a register with a known address) or
    "table"."""

    function: int
    how: str
    register: int
    seen: bool

    def emit(self, program: Assembly) -> Out:
        label, link = program.functions[self.function], program.link
        program.called.add(self.function)
        if self.how == "near":
            return [to(label, "jal", rd=link)]
        if self.how == "far":
            return address_of(label, link, lambda low: word("jalr", rd=link, rs1=link, imm=low))
        r = self.register
        leap = word("c.jalr", rs1=r) if link == RA else word("jalr", rd=link, rs1=r, imm=0)
        if self.how == "known":
            return [*address_of(label, r, lambda low: word("addi", rd=r, rs1=r, imm=low)), leap]
        load = word("ld", rd=r, rs1=TP, imm=8 * program.table((label,)))
        return [load, Piece(len(leap), lambda pc: leap, (label,) if self.seen else ())]


@dataclass(frozen=True)
class Program:
    """main, functions by level (those of the second are called by those of the first), and the state to begin with."""

    main: Body
    functions: tuple[tuple[int, Body], ...]
    x: tuple[int, ...]
    f: tuple[int, ...]
    flags: int
    rounding: int
    data: bytes

    def simpler(self) -> Iterator[Program]:
        """Programs with a part left out."""
        for body in _simpler(self.main):
            yield replace(self, main=body)
        for number, (level, body) in enumerate(self.functions):
            for shorter in _simpler(body):
                functions = list(self.functions)
                functions[number] = level, shorter
                yield replace(self, functions=tuple(functions))


def _simpler(body: Body) -> Iterator[Body]:
    if len(body) > 3:
        half = len(body) // 2
        yield body[:half]
        yield body[half:]
    for number, node in enumerate(body):
        for other in node.simpler():
            yield (*body[:number], *other, *body[number + 1 :])
    for number, node in enumerate(body):
        parts = node.parts()
        for which, part in enumerate(parts):
            for shorter in _simpler(part):
                changed = node.with_parts((*parts[:which], shorter, *parts[which + 1 :]))
                yield (*body[:number], changed, *body[number + 1 :])


class Assembly:
    """A program in memory: its code, what the read-only page holds, where compiled code is entered, and where jumps
    through the table were seen to go."""

    def __init__(self, program: Program) -> None:
        self.entries_of_table: list[Label] = []
        self.functions = [Label(entered=True) for _ in program.functions]
        self.called: set[int] = set()
        self.link = RA
        start = Label(entered=True)
        out: Out = [start, *self.body(program.main), word("ecall")]
        for level in (1, 2):
            for number, (its, body) in enumerate(program.functions):
                if its == level and number in self.called:
                    # Inside, calls go to the next level.
                    self.link = LINKS[-1]
                    back = word("c.jr", rs1=RA) if level == 1 else word("jalr", rd=0, rs1=T0, imm=0)
                    out += [self.functions[number], *self.body(body), back]
        self.code = self._place(out)
        assert len(self.entries_of_table) * 8 <= 2040
        labels = [o for o in out if isinstance(o, Label)]
        self.entries = sorted({label.at for label in labels if label.entered})
        self.observed = {
            at: list(dict.fromkeys(label.at for label in piece.seen))
            for at, piece in self.pieces
            if piece.seen
        }
        table = b"".join((label.at & MASK).to_bytes(8, "little") for label in self.entries_of_table)
        self.data = program.data[:WRITABLE] + table + program.data[WRITABLE + len(table) :]

    def body(self, body: Body) -> Out:
        """A body's code."""
        return [item for node in body for item in node.emit(self)]

    def table(self, labels: tuple[Label, ...]) -> int:
        """Put labels into the table; the first one's place."""
        self.entries_of_table += labels
        return len(self.entries_of_table) - len(labels)

    def _place(self, out: Out) -> bytes:
        at = CODE
        self.pieces: list[tuple[int, Piece]] = []
        for item in out:
            if isinstance(item, Label):
                item.at = at
            elif isinstance(item, Piece):
                self.pieces.append((at, item))
                at += item.size
            else:
                at += len(item)
        code, at = b"", CODE
        for item in out:
            if not isinstance(item, Label):
                code += item.make(CODE + len(code)) if isinstance(item, Piece) else item
        return code


# ------------------------------------------------------------------------------------------------ chance
def _sort(insn: Insn) -> str:
    """ "float", "integer", "memory", "atomic", "csr", "branch", or "" for what programs use in places only."""
    trace = ISA.trace(insn, next(insn.shapes()))
    ops = {op.op for op in trace.walk()}
    if insn.extension.name == "Zicsr":
        return "csr"
    if ops & {"amo", "cas"} or "lr." in insn.name:
        return "atomic"
    if ops & set(ACCESSES):
        return "memory"
    if "jump" in ops:
        return "branch" if "if" in ops else ""
    if ops & {"syscall", "flush", "counter"} or any(op.op == "trap" for op in trace.ops):
        return ""
    floating = any(not OPS[name].pure and OPS[name].writes and name[0] in "fi" for name in ops)
    return "float" if floating or "f" in {ISA.fields[n].file for n in insn.encoding.fields} else "integer"


KINDS: dict[str, list[Insn]] = {}
for _insn in ISA.insns:
    KINDS.setdefault(_sort(_insn), []).append(_insn)


@dataclass(frozen=True)
class Taste:
    """What programs are made of: how often each kind of instruction comes; whether the rounding mode changes; how
    they end: "" well, "trouble" perhaps with a fault or a trap, "walk" by walking out of the buffer."""

    weights: dict[str, int] = field(
        default_factory=lambda: {"integer": 8, "float": 6, "memory": 5, "atomic": 1, "csr": 1}
    )
    rounding: bool = False
    end: str = ""
    size: int = 120


TASTES = {
    "integers": Taste({"integer": 10, "memory": 3}),
    "floats": Taste({"integer": 1, "float": 12, "memory": 2, "csr": 1}),
    "memory": Taste({"integer": 3, "float": 1, "memory": 10, "atomic": 3}),
    "everything": Taste(),
    "rounding": Taste({"integer": 1, "float": 10, "csr": 2}, rounding=True),
    "trouble": Taste(end="trouble"),
    "walk": Taste(end="walk"),
}


class Maker:
    """Makes one program."""

    def __init__(self, rng: random.Random, taste: Taste) -> None:
        self.rng, self.taste = rng, taste
        self.hot = rng.sample(FREE, 4) + rng.sample(SHORT, 2)
        self.hot_floats = rng.sample(FLOATS, 4)
        self.counters = list(COUNTERS)
        self.left = taste.size
        self.level = 0
        self.levels: list[int] = []
        self.cost = 0  # instructions done so far, in this function
        self.times = 1  # how often the present place is come to
        self.costs: list[int] = []  # of the functions

    def program(self) -> Program:
        rng = self.rng
        functions: list[tuple[int, Body]] = []
        # Those of the second level first: those of the first call them.
        self.levels = sorted((rng.choice((1, 2)) for _ in range(rng.choice((0, 0, 1, 2, 3)))), reverse=True)
        for level in self.levels:
            self.level, self.left, self.cost = level, self.taste.size // 4, MOST - MOST // 20
            functions.append((level, self.body(1, rng.randrange(1, 4))))
            self.costs.append(self.cost - (MOST - MOST // 20))
        self.level, self.left, self.cost = 0, self.taste.size, 0
        main = self.body(0, rng.randrange(7, 13))
        if self.taste.end == "walk":
            main += (self.walk(),)
        elif self.taste.end == "trouble":
            around = tuple(self.plain() for _ in range(rng.randrange(5)))
            main += (
                Loop(rng.choice(self.counters), 5, (*around, self.trouble(), *around), False, False, True),
            )
        x = [0] + [random_value(rng) for _ in range(31)]
        x[GP], x[TP] = MIDDLE, TABLE
        for pointer in POINTERS:
            x[pointer] = MIDDLE + 8 * rng.randrange(255)
        f = [float_register(rng) for _ in range(32)]
        data = b"".join(
            (float_register(rng) if rng.random() < 0.5 else random_value(rng)).to_bytes(8, "little")
            for _ in range(SIZE // 8)
        )
        mode = rng.randrange(5) if self.taste.rounding and rng.random() < 0.5 else 0
        flags = rng.choice((0, rng.getrandbits(5)))
        return Program(main, tuple(functions), tuple(x), tuple(f), flags, mode, data)

    # -- bodies
    def body(self, depth: int, count: int) -> Body:
        """So many nodes."""
        rng = self.rng
        nodes: list[Node] = []
        for _ in range(count):
            kind = rng.randrange(16)
            if kind < 5 or self.left <= 0 or depth > 3:
                nodes += self.straight()
            elif kind < 7:
                nodes += self.pointing()
            elif kind < 11:
                nodes.append(self.loop(depth))
            elif kind < 13:
                nodes.append(self.choice(depth))
            elif kind == 13:
                nodes.append(self.switch(depth))
            elif kind == 14 and self.taste.end == "trouble" and rng.random() < 0.5:
                nodes.append(self.trouble())
            else:
                nodes.append(self.call())
        return tuple(nodes)

    def straight(self) -> list[Node]:
        """Some instructions, often on fresh numbers out of the buffer, and their results into it: else few are seen at
        the end."""
        rng = self.rng
        count = rng.randrange(1, 5)
        nodes: list[Node] = [self.plain() for _ in range(count)]
        if rng.random() < 0.6:
            nodes.insert(0, self.moved("ld", "fld", "rd", "fd"))
        for _ in range(count):
            if rng.random() < 0.5:
                nodes.insert(rng.randrange(1, len(nodes) + 1), self.moved("sd", "fsd", "rs2", "fs2"))
        return nodes

    def moved(self, whole: str, floating: str, x: str, f: str) -> Node:
        """A register to or from a place of its own in the buffer."""
        rng = self.rng
        imm = 8 * rng.randrange(-256, 256)
        if rng.randrange(sum(self.taste.weights.values())) < self.taste.weights.get("float", 0):
            return Plain(word(floating, rs1=GP, imm=imm, **{f: rng.choice(self.hot_floats)}))
        return Plain(word(whole, rs1=GP, imm=imm, **{x: rng.choice(self.hot)}))

    def loop(self, depth: int) -> Node:
        rng = self.rng
        turns = rng.choice((1, 2, 3, 5, 10, 40, 100))
        turns = min(turns, max(0, MOST - self.cost) // (20 * self.times))
        if not turns or len(self.counters) <= (3 if self.level else 0):
            return self.plain()
        counter = self.counters.pop(rng.randrange(len(self.counters)))
        before, self.times = self.times, self.times * turns
        body = self.body(depth + 1, rng.randrange(1, 4))
        self.times = before
        # Functions may be called in loops, so their counters are their own.
        if self.level == 0:
            self.counters.append(counter)
        return Loop(counter, turns, body, rng.random() < 0.3, rng.random() < 0.5, rng.random() < 0.5)

    def choice(self, depth: int) -> Node:
        rng = self.rng
        insn = rng.choice(KINDS["branch"])
        fields = {n: self.register(n, written=False) for n in insn.encoding.fields if n != "offset"}
        then = self.body(depth + 1, rng.randrange(1, 3))
        other = self.body(depth + 1, rng.randrange(1, 3)) if rng.random() < 0.5 else ()
        return Choice((insn.name, tuple(fields.items())), then, other, rng.random() < 0.5)

    def switch(self, depth: int) -> Node:
        rng = self.rng
        bodies = tuple(self.body(depth + 2, 1) for _ in range(rng.choice((2, 4))))
        index, source = rng.choice(FREE), rng.choice(self.hot)
        return Switch(index, source, bodies, rng.random() < 0.5, rng.random() < 0.5)

    def call(self) -> Node:
        rng = self.rng
        room = max(0, MOST - self.cost) // self.times
        able = [n for n, cost in enumerate(self.costs) if self.levels[n] == self.level + 1 and cost <= room]
        if not able:
            return self.plain()
        function = rng.choice(able)
        self.cost += self.costs[function] * self.times
        how = rng.choice(("near", "near", "far", "known", "table"))
        return Call(function, how, rng.choice(FREE), rng.random() < 0.5)

    # -- instructions
    def register(self, name: str, *, written: bool) -> int:
        """A register for a field."""
        rng, about = self.rng, ISA.fields[name]
        if about.file == "f":
            if about.bias:
                return rng.randrange(8, 16)
            return rng.choice(self.hot_floats if rng.random() < 0.7 else FLOATS)
        if about.bias:
            return rng.choice(SHORT if written or rng.random() < 0.8 else range(8, 16))
        if rng.random() < 0.05:
            return 0
        if not written and rng.random() < 0.15:
            return rng.choice((*HELD, *FREE))
        return rng.choice(self.hot if rng.random() < 0.7 else FREE)

    def plain(self) -> Node:
        """An instruction of the kinds that the taste wants."""
        rng = self.rng
        self.left -= 1
        self.cost += 2 * self.times  # with what stands around it
        weights = self.taste.weights
        (kind,) = rng.choices(list(weights), list(weights.values()))
        while True:
            code = self.attempt(rng.choice(KINDS[kind]), kind)
            if code is not None:
                return Plain(code)

    def attempt(self, insn: Insn, kind: str) -> bytes | None:
        """An instruction with random fields, unless it would not do here."""
        rng = self.rng
        fields = random_fields(insn, rng.choice(list(insn.shapes())), rng)
        for name in fields:
            about = ISA.fields[name]
            if about.kind == "register":
                fields[name] = self.register(name, written=name.startswith(("rd", "fd")))
            elif about.kind == "signed" and rng.random() < 0.5:
                width = insn.encoding.width(name)
                fields[name] = (rng.randrange(-4, 5) << insn.encoding.low_zeros(name)) & (1 << width) - 1
        if fields.get("rm") == 4 and rng.random() < 0.7:
            fields["rm"] = 7  # ties away are the golden evaluator's
        if kind == "memory" and "rs1" in fields:
            fields["rs1"] = rng.choice(POINTERS)
        elif kind == "memory" and "rs1'" in fields:
            fields["rs1'"] = rng.choice((8, 9))
        elif kind == "atomic":
            fields["rs1"] = rng.choice(ALIGNED)
        elif kind == "csr":
            if fields.get("csr", 0) >= 0xC00:
                return None  # clocks
            if fields.get("wcsr", 1) != 1:
                if not self.taste.rounding:
                    return None
                if rng.random() < 0.9:
                    # Mostly a mode that there is.
                    return word("csrrwi", rd=rng.choice(FREE), wcsr=2, zimm=rng.randrange(5))
        raw = {n: fields[n] - ISA.fields[n].bias for n in insn.encoding.fields}
        if any(raw[n] in values for n, values in insn.encoding.excluded.items()):
            return None
        decoded = ISA.decode(insn.encode(fields))
        if decoded is None or decoded.insn is not insn:
            return None
        trace = ISA.trace(insn, decoded.shape)
        writes = effects(ISA, Placed(0, decoded, trace)).writes
        if any(("x", number) in writes for number in HELD):
            return None
        for op in trace.walk():
            if op.op in ACCESSES:
                form = affine(op.args[0], decoded.fields, 0)
                if form is None or form[0] not in [("x", pointer) for pointer in POINTERS]:
                    return None
        return decoded.word.to_bytes(insn.size, "little")

    def pointing(self) -> list[Node]:
        """A pointer made of data, and accesses through it while it moves."""
        rng = self.rng
        pointer, temporary = rng.choice(POINTERS), rng.choice(FREE)
        mask = 0x7FF if pointer == ANY else 0x7F8
        code = word("andi", rd=temporary, rs1=rng.choice(self.hot), imm=mask)
        code += word("add", rd=pointer, rs1=GP, rs2=temporary)
        nodes: list[Node] = [Plain(code)]
        self.left -= 2
        for _ in range(rng.randrange(1, 4)):
            code = None
            while code is None:
                code = self.attempt(rng.choice(KINDS["memory"]), "memory")
            nodes.append(Plain(code))
        if rng.random() < 0.3 and pointer != ANY:
            width = rng.choice("wd")
            lr = word(f"lr.{width}", rd=rng.choice(FREE), rs1=pointer, aq=0, rl=0)
            sc = word(f"sc.{width}", rd=rng.choice(FREE), rs1=pointer, rs2=rng.choice(FREE), aq=0, rl=0)
            nodes += [Plain(lr), *([self.plain()] if rng.random() < 0.5 else []), Plain(sc)]
        return nodes

    # -- what ends a program
    def trouble(self) -> Node:
        """An instruction that faults or traps."""
        rng = self.rng
        kind = rng.randrange(6)
        register, pointer = rng.choice(SHORT), rng.choice(ALIGNED)
        if kind == 0:
            return Plain(rng.choice((word("ebreak"), word("c.ebreak"), bytes(4), b"\0\0")))
        if kind == 1:  # a misaligned atomic operation
            insn = rng.choice(KINDS["atomic"])
            fields = random_fields(insn, (), rng) | {"rd": register, "rs1": ANY}
            odd = word("addi", rd=ANY, rs1=pointer, imm=rng.choice((1, 2, 4)))
            return Plain(odd + insn.encode(fields).to_bytes(4, "little"))
        if kind == 2:  # any address at all
            insn = rng.choice([insn for insn in KINDS["memory"] if "rs1" in insn.encoding.fields])
            fields = random_fields(insn, (), rng) | {"rs1": rng.choice(FREE)}
            fields |= {name: register for name in ("rd",) if name in fields}
            return Plain(insn.encode(fields).to_bytes(4, "little"))
        if kind == 3:  # across the end of what may be written, and of what there is
            insn = rng.choice([insn for insn in KINDS["memory"] if "rs1" in insn.encoding.fields])
            edge = rng.choice((TABLE, DATA + SIZE, DATA)) - rng.randrange(9) - MIDDLE
            high, low = edge + 0x800 >> 12, (edge + 0x800 & 0xFFF) - 0x800
            make = word("lui", rd=ANY, upper=high << 12) + word("add", rd=ANY, rs1=ANY, rs2=GP)
            make += word("addi", rd=ANY, rs1=ANY, imm=low)
            fields = random_fields(insn, (), rng) | {"rs1": ANY, "imm": 0}
            fields |= {name: register for name in ("rd",) if name in fields}
            # The pointer is put back, for whoever comes here when there is no fault.
            again = word("addi", rd=ANY, rs1=GP, imm=rng.randrange(512))
            return Plain(make + insn.encode(fields).to_bytes(4, "little") + again)
        if kind == 4:  # to where there is no code
            away = rng.choice((
                word("addi", rd=register, rs1=0, imm=rng.randrange(-2048, 2048)),
                word("slli", rd=register, rs1=GP, shamt=rng.randrange(4, 31)),
                word("sub", rd=register, rs1=0, rs2=GP),
                word("addi", rd=register, rs1=GP, imm=0),
            ))  # fmt: skip
            return Plain(away + word("jalr", rd=rng.choice((0, register)), rs1=register, imm=0))
        # A rounding mode that there is not, and an instruction that asks for it.
        insn = named("fadd.d")
        fields = random_fields(insn, (("rm", 7),), rng)
        return Plain(word("csrrwi", rd=0, wcsr=2, zimm=rng.randrange(5, 8)) + word("fadd.d", **fields))

    def walk(self) -> Node:
        """A loop that goes on until its pointer leaves the buffer."""
        rng = self.rng
        store = rng.random() < 0.5
        name, data = rng.choice((("sd", "rs2"), ("sb", "rs2"), ("fsw", "fs2")) if store else
                                (("ld", "rd"), ("lbu", "rd"), ("fld", "fd")))  # fmt: skip
        register = rng.choice(self.hot_floats if data[0] == "f" else self.hot)
        access = word(name, rs1=ANY, imm=rng.randrange(-8, 8), **{data: register})
        step = word("addi", rd=ANY, rs1=ANY, imm=rng.choice((24, 40, 56, 120, 248, -16, -40)))
        before, after = (tuple(self.plain() for _ in range(rng.randrange(4))) for _ in range(2))
        return Walk(before, access, after, step)


@dataclass(frozen=True)
class Walk(Node):
    """A loop that nothing but a fault ends."""

    before: Body
    access: bytes
    after: Body
    step: bytes

    def emit(self, program: Assembly) -> Out:
        head = Label(entered=True)
        start = word("addi", rd=ANY, rs1=GP, imm=0)
        body = [*program.body(self.before), self.access, *program.body(self.after), self.step]
        return [start, head, *body, to(head, "jal", rd=0)]

    def parts(self) -> tuple[Body, ...]:
        return self.before, self.after

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return replace(self, before=parts[0], after=parts[1])


def make(rng: random.Random, taste: Taste) -> Program:
    """A program."""
    return Maker(rng, taste).program()
