"""Guest programs made at random out of the specification, for tiers to agree on; and the shortest that still differs.

A program is a tree: straight instructions, counted loops, choices, calls and jumps through a table, so that a part can
be left out and the rest still ends. Registers that hold the tree together are written by nothing else; accesses go
through pointers into a buffer, but for those that are meant to fail and end the program. How a guest says all this is
its dialect's, in the module <guest>_programs beside this one. Nothing here runs anything.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from polyvm.engine.discover import Placed
from polyvm.engine.liveness import affine, effects
from polyvm.ir.ops import ACCESSES, FP_MODE, OPS
from polyvm.ir.values import Val
from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Insn
from tests.contract.guests import Guest, Slot
from tests.isa.dictionaries import MASK, random_fields, random_value

CODE, DATA = 0x1_2340_0000, 0x2_0000_0000
PAGE = 4096
WRITABLE, SIZE = 2 * PAGE, 3 * PAGE
"""Bytes of the buffer that may be written, and all; the last page may only be read and holds the table."""
TABLE = DATA + WRITABLE
MIDDLE = DATA + 3072
"""What the base register holds: pointers are up to 2047 bytes from it, accesses FAR more."""
FAR = 2048
MOST = 6_000
"""Instructions that a program may do, roughly."""


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


def to(label: Label, insn: Insn, **fields: int) -> Piece:
    """A branch or jump to a label."""
    return Piece(insn.size, lambda pc: encoded(insn, offset=label.at - pc, **fields))


def encoded(insn: Insn, **fields: int) -> bytes:
    """An instruction; signed fields may be negative."""
    isa = insn.isa
    values = {n: v & (1 << isa.field_bits(insn.encoding, n)) - 1 for n, v in fields.items()}
    return insn.encode(values).to_bytes(insn.size, "little")


# ------------------------------------------------------------------------------------------------ the dialect
class Dialect:
    """How a guest's programs are written: which registers hold the tree together, and the instructions that do.

    base, table: registers that hold MIDDLE and TABLE. aligned: pointers to double words; anything: one to anything;
    counters: of loops; held: all that only the tree writes. free: the others; preferred: those that short instructions
    can name. floats: the file of vectors or floats, and the registers that are used. names of fields that are written
    begin with `written`. wide: the pointer that is aligned for two double words.
    """

    guest: Guest
    base: int
    table: int
    aligned: tuple[int, ...]
    anything: int
    wide: int
    counters: tuple[int, ...]
    held: frozenset[int]
    free: tuple[int, ...]
    preferred: tuple[int, ...]
    floats: tuple[str, tuple[int, ...]]
    written: tuple[str, ...]

    def __init__(self) -> None:
        self.isa = self.guest.isa
        self.pointers = (*self.aligned, self.anything)
        self.kinds: dict[str, list[Insn]] = {}
        for insn in self.isa.insns:
            self.kinds.setdefault(self.sort(insn), []).append(insn)
        self.tastes = {name: mine for name, taste in TASTES.items() if (mine := self._own(taste)) is not None}

    def _own(self, taste: Taste) -> Taste | None:
        """A taste in what the guest has; None where it is about something else."""
        weights = {kind: weight for kind, weight in taste.weights.items() if kind in self.kinds}
        heaviest = max(taste.weights, key=lambda kind: taste.weights[kind])
        return replace(taste, weights=weights) if heaviest in weights else None

    def asm(self, *lines: str, pc: int = 0) -> bytes:
        """Some lines of assembly."""
        return self.guest.assemble(*lines, pc=pc)

    def x(self, number: int) -> str:
        """The name of a register."""
        return self.guest.register(("x", number))

    # -- instructions
    def sort(self, insn: Insn) -> str:
        """ "float", "integer", "memory", "atomic", "branch", or "" for what programs use in places only."""
        trace = self.isa.trace(insn, next(insn.shapes()))
        ops = {op.op for op in trace.walk()}
        if ops & {"syscall", "flush", "counter"} or any(op.op == "trap" for op in trace.ops):
            return ""
        if "jump" in ops:
            return "branch" if "if" in ops and "offset" in insn.encoding.fields else ""
        if ops & set(ACCESSES):
            return "atomic" if self.atomic(insn, ops) else "memory"
        floating = any(not OPS[name].pure and OPS[name].writes and name[0] in "fi" for name in ops)
        files = {self.isa.fields[name].file for name in insn.encoding.fields}
        return "float" if floating or self.floats[0] in files else "integer"

    def atomic(self, insn: Insn, ops: set[str]) -> bool:
        """Whether an access must be aligned: it traps by itself, and no float's."""
        return bool(ops & {"amo", "cas", "trap"})

    def fit(self, maker: Maker, insn: Insn, fields: dict[str, int]) -> bool:
        """Bend random fields to what is useful; whether there is any use."""
        return True

    # -- the tree
    def count(self, counter: int, turns: int) -> bytes:
        """Set a counter."""
        raise NotImplementedError

    def again(self, counter: int, head: Label, size: int, short: bool) -> Out:
        """Count down, and go back over so many bytes unless that is zero."""
        raise NotImplementedError

    def jump(self, label: Label, distance: int, short: bool) -> Piece:
        """A jump over so many bytes."""
        raise NotImplementedError

    def branch(self, insn: Insn, fields: Mapping[str, int], label: Label, distance: int) -> Piece:
        """A conditional branch over so many bytes."""
        return to(label, insn, **fields)

    def entry(self, index: int, source: int, count: int, first: int, short: bool) -> bytes:
        """Load one of some entries of the table, which other bits of a register choose."""
        raise NotImplementedError

    def leap(self, register: int, short: bool) -> bytes:
        """A jump to a register."""
        raise NotImplementedError

    def near(self, label: Label, level: int) -> Out:
        """A call from a function of a level, main being 0."""
        raise NotImplementedError

    def far(self, label: Label, level: int, register: int) -> Out:
        """A call whose address two instructions make."""
        raise NotImplementedError

    def address(self, label: Label, register: int) -> Out:
        """The address of a label."""
        raise NotImplementedError

    def call(self, register: int, level: int) -> bytes:
        """A call through a register."""
        raise NotImplementedError

    def function(self, label: Label, level: int, body: Out) -> Out:
        """A function of level 1, which is called from main, or of level 2, which is called from those."""
        raise NotImplementedError

    # -- memory
    def moved(self, register: int, place: int, *, load: bool) -> bytes:
        """A register from or to a double word of the buffer, by its number from the base on, from -256 to 255."""
        raise NotImplementedError

    def moved_float(self, maker: Maker, register: int, place: int, *, load: bool) -> bytes:
        """The same of a float."""
        raise NotImplementedError

    def point(self, pointer: int, source: int, temporary: int) -> bytes:
        """Make a pointer out of a number."""
        raise NotImplementedError

    def small(self, register: int, source: int) -> bytes:
        """Make an index out of a number: a multiple of 8 up to 120."""
        raise NotImplementedError

    def exclusive(self, rng: random.Random, pointer: int) -> tuple[bytes, bytes]:
        """A load that is watched, and a store that says whether nothing came between."""
        raise NotImplementedError

    def add(self, register: int, to: int, number: int) -> bytes:
        """A register and a number, from -2048 to 2047."""
        raise NotImplementedError

    # -- what ends a program
    def trap(self, rng: random.Random) -> bytes:
        """What traps."""
        raise NotImplementedError

    def nowhere(self, rng: random.Random, register: int) -> bytes:
        """A jump to where there is no code."""
        raise NotImplementedError

    def unsound(self, maker: Maker) -> bytes | None:
        """An instruction that traps because of the state, if there is any."""
        return None


def base_field(insn: Insn) -> str | None:
    """The field of the register that an access goes through; None where that is no field."""
    for op in insn.isa.trace(insn, next(insn.shapes())).walk():
        if op.op in ACCESSES:
            address = op.args[0]
            while address.op in ("add", "sub", "and"):
                address = address.args[0]
            if address.op == "getx" and address.args[0].op == "field":
                return str(address.args[0].attr)
    return None


def index_fields(address: Val) -> set[str]:
    """The fields of the registers in an address."""
    found = {str(address.args[0].attr)} if address.op == "getx" and address.args[0].op == "field" else set()
    return found.union(*(index_fields(value) for value in address.args))


@lru_cache
def dialect(name: str) -> Dialect:
    """A guest's dialect."""
    found = importlib.import_module(f"tests.contract.{name}_programs").DIALECT
    assert isinstance(found, Dialect)
    return found


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
        dialect, body = program.dialect, program.body(self.body)
        start: Out = [dialect.count(self.counter, self.turns + self.low)]
        if self.low:
            start.append(dialect.jump(check, size_of(body), self.short))
        return [*start, head, *body, check, *dialect.again(self.counter, head, size_of(body), self.short)]

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

    branch: tuple[Insn, tuple[tuple[str, int], ...]]
    then: Body
    other: Body
    short: bool

    def emit(self, program: Assembly) -> Out:
        middle, end = Label(), Label()
        then, other = program.body(self.then), program.body(self.other)
        over = [program.dialect.jump(end, size_of(other), self.short)] if other else []
        insn, fields = self.branch
        distance = size_of([*then, *over])
        branch = program.dialect.branch(insn, dict(fields), middle, distance)
        return [branch, *then, *over, middle, *other, end]

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
        dialect, first = program.dialect, program.table(places)
        out: Out = [dialect.entry(self.index, self.source, len(places), first, self.short)]
        leap = dialect.leap(self.index, self.short)
        out.append(Piece(len(leap), lambda pc: leap, places if self.seen else ()))
        for place, body in zip(places, self.bodies, strict=True):
            inside = program.body(body)
            out += [place, *inside, dialect.jump(end, 4000, short=False)]
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
        label, level, r = program.functions[self.function], program.level, self.register
        dialect = program.dialect
        program.called.add(self.function)
        if self.how == "near":
            return dialect.near(label, level)
        if self.how == "far":
            return dialect.far(label, level, r)
        leap = dialect.call(r, level)
        if self.how == "known":
            return [*dialect.address(label, r), leap]
        load = dialect.entry(r, r, 1, program.table((label,)), short=False)
        return [load, Piece(len(leap), lambda pc: leap, (label,) if self.seen else ())]


@dataclass(frozen=True)
class Program:
    """main, functions by level (those of the second are called by those of the first), and the state to begin with."""

    dialect: Dialect
    main: Body
    functions: tuple[tuple[int, Body], ...]
    registers: tuple[tuple[Slot, int], ...]
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
        self.dialect = dialect = program.dialect
        self.entries_of_table: list[Label] = []
        self.functions = [Label(entered=True) for _ in program.functions]
        self.called: set[int] = set()
        self.level = 0
        start = Label(entered=True)
        out: Out = [start, *self.body(program.main), dialect.asm(dialect.guest.call)]
        for self.level in (1, 2):
            for number, (its, body) in enumerate(program.functions):
                if its == self.level and number in self.called:
                    out += dialect.function(self.functions[number], self.level, self.body(body))
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

    def __init__(self, rng: random.Random, dialect: Dialect, taste: Taste) -> None:
        self.rng, self.dialect, self.taste = rng, dialect, taste
        self.isa = dialect.isa
        self.hot = rng.sample(dialect.free, 4) + rng.sample(dialect.preferred, 2)
        self.hot_floats = rng.sample(dialect.floats[1], 4)
        self.counters = list(dialect.counters)
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
        registers = tuple(self.state().items())
        data = b"".join(self.number().to_bytes(8, "little") for _ in range(SIZE // 8))
        mode = rng.randrange(4) if self.taste.rounding and rng.random() < 0.5 else 0
        flags = rng.choice((0, rng.getrandbits(5)))
        return Program(self.dialect, main, tuple(functions), registers, flags, mode, data)

    def state(self) -> dict[Slot, int]:
        """Registers to begin with."""
        rng, dialect = self.rng, self.dialect
        found: dict[Slot, int] = {}
        for slot, width in dialect.guest.widths.items():
            if slot in dialect.guest.zeros:
                continue
            if slot[0] == dialect.floats[0]:
                found[slot] = dialect.guest.float_value(rng)
            elif slot[0] in self.isa.files:
                found[slot] = random_value(rng)
            elif width == 1:
                found[slot] = 1 if slot[0] in self.isa.options else rng.randrange(2)
        found[("x", dialect.base)], found[("x", dialect.table)] = MIDDLE, TABLE
        for pointer in dialect.pointers:
            found[("x", pointer)] = MIDDLE + 16 * rng.randrange(127)
        return found

    def number(self) -> int:
        """A double word of the buffer."""
        rng = self.rng
        return (self.dialect.guest.float_value(rng) if rng.random() < 0.5 else random_value(rng)) & MASK

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
            nodes.insert(0, self.moved(load=True))
        for _ in range(count):
            if rng.random() < 0.5:
                nodes.insert(rng.randrange(1, len(nodes) + 1), self.moved(load=False))
        return nodes

    def moved(self, *, load: bool) -> Node:
        """A register to or from a place of its own in the buffer."""
        rng, place = self.rng, self.rng.randrange(-256, 256)
        if rng.randrange(sum(self.taste.weights.values())) < self.taste.weights.get("float", 0):
            return Plain(self.dialect.moved_float(self, rng.choice(self.hot_floats), place, load=load))
        return Plain(self.dialect.moved(rng.choice(self.hot), place, load=load))

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
        insn = rng.choice(self.dialect.kinds["branch"])
        fields = random_fields(insn, rng.choice(list(insn.shapes())), rng)
        del fields["offset"]
        fields |= {n: self.register(n, written=False) for n in fields if self.isa.fields[n].file}
        then = self.body(depth + 1, rng.randrange(1, 3))
        other = self.body(depth + 1, rng.randrange(1, 3)) if rng.random() < 0.5 else ()
        return Choice((insn, tuple(fields.items())), then, other, rng.random() < 0.5)

    def switch(self, depth: int) -> Node:
        rng = self.rng
        bodies = tuple(self.body(depth + 2, 1) for _ in range(rng.choice((2, 4))))
        index, source = rng.choice(self.dialect.free), rng.choice(self.hot)
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
        return Call(function, how, rng.choice(self.dialect.free), rng.random() < 0.5)

    # -- instructions
    def register(self, name: str, *, written: bool) -> int:
        """A register for a field."""
        rng, about, dialect = self.rng, self.isa.fields[name], self.dialect
        if about.file == dialect.floats[0]:
            if about.bias:
                return rng.randrange(8, 16)
            return rng.choice(self.hot_floats if rng.random() < 0.7 else dialect.floats[1])
        if about.bias:
            return rng.choice(dialect.preferred if written or rng.random() < 0.8 else range(8, 16))
        if rng.random() < 0.05:
            return self.isa.files["x"].zero or 0
        if not written and rng.random() < 0.15:
            return rng.choice((*dialect.held, *dialect.free))
        return rng.choice(self.hot if rng.random() < 0.7 else dialect.free)

    def plain(self) -> Node:
        """An instruction of the kinds that the taste wants."""
        rng = self.rng
        self.left -= 1
        self.cost += 2 * self.times  # with what stands around it
        weights = self.taste.weights
        (kind,) = rng.choices(list(weights), list(weights.values()))
        return Plain(self.some(kind))

    def some(self, kind: str, moving: int | None = None) -> bytes:
        """An instruction of a kind. moving: a pointer that it may move."""
        code = None
        while code is None:
            code = self.attempt(self.rng.choice(self.dialect.kinds[kind]), kind, moving)
        return code

    def attempt(self, insn: Insn, kind: str, moving: int | None = None) -> bytes | None:
        """An instruction with random fields, unless it would not do here."""
        rng, dialect, isa = self.rng, self.dialect, self.isa
        fields = random_fields(insn, rng.choice(list(insn.shapes())), rng)
        for name in fields:
            about = isa.fields[name]
            if about.kind == "register":
                fields[name] = self.register(name, written=name.startswith(dialect.written))
            elif about.kind == "signed" and rng.random() < 0.5:
                width, zeros = insn.encoding.width(name), insn.encoding.low_zeros(name)
                fields[name] = (rng.randrange(-4, 5) << zeros) & (1 << width) - 1
        base = base_field(insn) if kind in ("memory", "atomic") else None
        if base is not None:
            pointers = dialect.aligned if kind == "atomic" else dialect.pointers
            if isa.fields[base].bias:
                pointers = tuple(pointer for pointer in pointers if 8 <= pointer < 16)
            fields[base] = rng.choice(pointers) if moving is None else moving
        if not dialect.fit(self, insn, fields):
            return None
        try:
            decoded = isa.decode(insn.encode(fields))
        except EncodingError:
            return None  # a register that this field cannot name
        if decoded is None or decoded.insn is not insn:
            return None
        trace = isa.trace(insn, decoded.shape)
        writes = effects(isa, Placed(0, decoded, trace)).writes
        kept = dialect.held if moving is None else dialect.held - {moving}
        if any(("x", number) in writes for number in kept):
            return None
        before = b""
        for op in trace.walk():
            if op.op == "counter" or (op.op == "set" and op.attr == FP_MODE and not self.taste.rounding):
                return None
            if op.op in ACCESSES:
                bits = op.attr[0] * 8 if op.op == "probe" else (op.args[1] if op.op == "store" else op).bits  # type: ignore[index]  # (bytes, write)
                if kind == "atomic" and bits > 64 and fields.get(base or "") != dialect.wide:
                    return None
                form = affine(op.args[0], decoded.fields, 0)
                if form is not None:
                    if form[0] not in [("x", pointer) for pointer in dialect.pointers] or abs(form[1]) > FAR:
                        return None
                elif base is None:
                    return None
                else:
                    others = index_fields(op.args[0]) - {base}
                    if any(fields[name] not in dialect.free for name in others):
                        return None
                    before = b"".join(dialect.small(fields[name], rng.choice(self.hot)) for name in others)
        return before + decoded.word.to_bytes(insn.size, "little")

    def pointing(self) -> list[Node]:
        """A pointer made of data, and accesses through it while it moves."""
        rng, dialect = self.rng, self.dialect
        pointer = rng.choice(dialect.pointers)
        nodes: list[Node] = [Plain(dialect.point(pointer, rng.choice(self.hot), rng.choice(dialect.free)))]
        self.left -= 2
        for _ in range(rng.randrange(1, 4)):
            nodes.append(Plain(self.some("memory", pointer if pointer == dialect.anything else None)))
        if rng.random() < 0.3 and pointer != dialect.anything:
            load, store = dialect.exclusive(rng, pointer)
            nodes += [Plain(load), *([self.plain()] if rng.random() < 0.5 else []), Plain(store)]
        return nodes

    # -- what ends a program
    def trouble(self) -> Node:
        """An instruction that faults or traps."""
        rng, dialect = self.rng, self.dialect
        kind = rng.randrange(6)
        register, pointer = rng.choice(dialect.preferred), rng.choice(dialect.aligned)
        if kind == 1:  # a misaligned atomic operation
            odd = dialect.add(dialect.anything, pointer, rng.choice((1, 2, 4)))
            return Plain(odd + self.through(dialect.anything, register, "atomic"))
        if kind == 2:  # any address at all
            return Plain(self.through(rng.choice(dialect.free), register, "memory"))
        if kind == 3:  # across the end of what may be written, and of what there is
            edge = rng.choice((TABLE, DATA + SIZE, DATA)) - rng.randrange(17) - MIDDLE
            make, last = b"", dialect.base
            while edge:
                step = max(-2048, min(2047, edge))
                make += dialect.add(dialect.anything, last, step)
                edge, last = edge - step, dialect.anything
            # The pointer is put back, for whoever comes here when there is no fault.
            again = dialect.add(dialect.anything, dialect.base, rng.randrange(512))
            return Plain(make + self.through(dialect.anything, register, "memory", still=True) + again)
        if kind == 4:  # to where there is no code
            return Plain(dialect.nowhere(rng, register))
        unsound = dialect.unsound(self) if kind == 5 else None
        return Plain(dialect.trap(rng) if unsound is None else unsound)

    def through(self, pointer: int, register: int, kind: str, *, still: bool = False) -> bytes:
        """An access through a register, with no regard to where it leads. still: at no distance from it."""
        rng, dialect, isa = self.rng, self.dialect, self.isa
        while True:
            insn = rng.choice(dialect.kinds[kind])
            base = base_field(insn)
            if base is None or any(isa.fields[name].bias for name in insn.encoding.fields):
                continue
            fields = random_fields(insn, next(insn.shapes()), rng)
            for name in fields:
                if isa.fields[name].file == "x":
                    fields[name] = register
                elif still and isa.fields[name].kind in ("signed", "unsigned"):
                    fields[name] = 0
            fields[base] = pointer
            try:
                decoded = isa.decode(insn.encode(fields))
            except EncodingError:
                continue  # a register that this field cannot name
            if decoded is None or decoded.insn is not insn:
                continue
            writes = effects(isa, Placed(0, decoded, isa.trace(insn, decoded.shape))).writes
            if ("x", pointer) not in writes:
                return decoded.word.to_bytes(insn.size, "little")

    def walk(self) -> Node:
        """A loop that goes on until its pointer leaves the buffer."""
        rng, dialect = self.rng, self.dialect
        access = self.through(dialect.anything, rng.choice(self.hot), "memory", still=rng.random() < 0.5)
        start = dialect.add(dialect.anything, dialect.base, 0)
        step = dialect.add(dialect.anything, dialect.anything, rng.choice((24, 40, 56, 120, 248, -16, -40)))
        before, after = (tuple(self.plain() for _ in range(rng.randrange(4))) for _ in range(2))
        return Walk(start, before, access, after, step)


@dataclass(frozen=True)
class Walk(Node):
    """A loop that nothing but a fault ends."""

    start: bytes
    before: Body
    access: bytes
    after: Body
    step: bytes

    def emit(self, program: Assembly) -> Out:
        head = Label(entered=True)
        body = [*program.body(self.before), self.access, *program.body(self.after), self.step]
        return [self.start, head, *body, program.dialect.jump(head, -size_of(body), short=False)]

    def parts(self) -> tuple[Body, ...]:
        return self.before, self.after

    def with_parts(self, parts: tuple[Body, ...]) -> Node:
        return replace(self, before=parts[0], after=parts[1])


def make(rng: random.Random, dialect: Dialect, taste: Taste) -> Program:
    """A program."""
    return Maker(rng, dialect, taste).program()
