"""PTX text to a module of variables and functions: the lexer, the parser, and what they make.

Every line that a statement came from is kept, and the line of the source where the text has `.loc`. Names of nested
scopes are made unique, so that whoever comes next sees one flat function. It refuses text that is not PTX by line
(PVM-GPU-PTX); whether an instruction exists, and with these operands, is `isa.ptx.check`'s to say.

Source: PTX ISA 9.0, chapters 4 (syntax), 5 (state spaces and types), 11 (directives).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import NoReturn

from polyvm.errors import PolyvmError

SIZES = {
    "b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4, "s32": 4,
    "f32": 4, "f16x2": 4, "bf16x2": 4, "u16x2": 4, "s16x2": 4, "tf32": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8,
    "pred": 0, "b128": 16,
}  # fmt: skip
"""Bytes of each fundamental and packed type (PTX ISA 5.2); a predicate has no size in memory."""

LIMIT = 4 << 20  # characters of text: far more than compilers write, and little enough to be read in a second
MAX_REGISTERS = 1 << 16
MAX_BYTES = 1 << 30  # of one variable

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*")
    |(?P<float>0[fF][0-9a-fA-F]{8}\b|0[dD][0-9a-fA-F]{16}\b)
    |(?P<number>0[xX][0-9a-fA-F]+U?|0[bB][01]+U?|[0-9]+(?:\.[0-9]+)?U?)
    |(?P<suffix>\.[A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*)
    |(?P<name>[A-Za-z_$%][A-Za-z0-9_$]*)
    |(?P<mark>[-{}()\[\],;:=+!|<>*@~&?/])""",
    re.VERBOSE | re.DOTALL,
)


def refuse(why: str, line: int) -> NoReturn:
    """Raise PVM-GPU-PTX for a line of the text."""
    raise PolyvmError("PVM-GPU-PTX", f"This is not PTX: {why}.", line=line or None)


@dataclass(frozen=True, slots=True)
class Reg:
    """A register, or a special one such as %tid.x."""

    name: str


@dataclass(frozen=True, slots=True)
class Imm:
    """An integer constant."""

    value: int


@dataclass(frozen=True, slots=True)
class FloatImm:
    """A floating-point constant as its bit pattern of 32 or 64 bits."""

    bits: int
    width: int


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, function or label, and an offset in bytes."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Mem:
    """[base + offset]."""

    base: Reg | Name | Imm
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Vec:
    """{a, b, ...}: the parts of a vector; also the two results of d|p."""

    parts: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """!p: a predicate, negated."""

    name: str


@dataclass(frozen=True, slots=True)
class Sink:
    """_: nobody wants this."""


Operand = Reg | Imm | FloatImm | Name | Mem | Vec | Not | Sink


@dataclass(slots=True)
class Insn:
    """One instruction: its name, what follows it after dots, operands, guard, and where it stands."""

    name: str
    mods: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: str = ""
    negated: bool = False
    line: int = 0
    source: tuple[int, int] = (0, 0)  # file and line of .loc

    @property
    def text(self) -> str:
        """The instruction's full name, as in add.rn.f32."""
        return ".".join((self.name, *self.mods))


@dataclass(slots=True)
class Variable:
    """A variable of a state space: `count` elements of `type`, `size` bytes in all, aligned to `align`."""

    name: str
    space: str
    type: str
    align: int
    size: int
    data: bytes | None = None
    addresses: list[tuple[int, Name]] = field(default_factory=list)  # (offset, what is named there)
    external: bool = False
    line: int = 0


@dataclass(slots=True)
class Function:
    """A kernel (`entry`) or a device function."""

    name: str
    entry: bool
    params: list[Variable]
    returns: list[Variable]
    defined: bool = True
    registers: dict[str, str] = field(default_factory=dict)  # name -> type
    variables: dict[str, Variable] = field(default_factory=dict)  # local, shared and param
    insns: list[Insn] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # -> index of an instruction
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)  # .branchtargets
    bounds: dict[str, tuple[int, ...]] = field(default_factory=dict)  # .maxntid, .reqntid, ...
    line: int = 0


@dataclass(slots=True)
class Module:
    """A whole text."""

    version: tuple[int, int]
    target: str
    variables: dict[str, Variable]
    functions: dict[str, Function]
    files: dict[int, str]

    @property
    def kernels(self) -> dict[str, Function]:
        """The functions that a host may start."""
        return {name: f for name, f in self.functions.items() if f.entry and f.defined}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    made: list[_Token] = []
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            refuse(f"the character {text[at]!r}", line)
        kind, word = str(found.lastgroup), found.group()
        if kind != "space":
            made.append(_Token(kind, word, line))
        line += word.count("\n")
        at = found.end()
    made.append(_Token("end", "", line))
    return made


class _Scope:
    """Names of a block in braces: what they are called in the flat function, or in an outer block."""

    def __init__(self, outer: _Scope | None, number: int) -> None:
        self.outer = outer
        self.number = number
        self.names: dict[str, str] = {}

    def find(self, name: str) -> str | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def declare(self, name: str) -> str:
        unique = name if self.number == 0 else f"{name}.{self.number}"
        self.names[name] = unique
        return unique


_LINKING = frozenset((".visible", ".extern", ".weak", ".common"))
_SPACES = frozenset((".global", ".const", ".shared", ".local", ".param", ".reg", ".tex"))
_SKIPPED = frozenset((".file", ".loc", ".pragma", ".alias"))
_RANGES = frozenset(("maxntid", "reqntid", "minnctapersm", "maxnctapersm", "maxnreg", "maxclusterrank",
                     "reqnctapercluster", "blocksareclusters", "explicitcluster"))  # fmt: skip


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.module = Module((0, 0), "", {}, {}, {})
        self.source = (0, 0)
        self.scopes = 0
        self.registers_of: dict[str, str] = {}

    # -- Tokens
    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.next.text == text and self.next.kind != "text":
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> _Token:
        token = self.take()
        if token.text != text:
            refuse(f"{text!r} is missing before {token.text or 'the end'!r}", token.line)
        return token

    def name(self) -> str:
        token = self.take()
        if token.kind != "name":
            refuse(f"{token.text or 'the end'!r} stands where a name belongs", token.line)
        return token.text

    def integer(self) -> int:
        negative = self.accept("-")
        token = self.take()
        if token.kind != "number" or "." in token.text:
            refuse(f"{token.text or 'the end'!r} stands where an integer belongs", token.line)
        value = _integer(token.text, token.line)
        return -value if negative else value

    # -- The module
    def parse(self) -> Module:
        while self.next.kind != "end":
            self.statement()
        if self.module.version == (0, 0):
            refuse("it does not begin with .version", 1)
        return self.module

    def statement(self) -> None:
        token = self.take()
        word = token.text
        external = False
        while word in _LINKING:
            external |= word == ".extern"
            token = self.take()
            word = token.text
        if word == ".version":
            major, _, minor = self.take().text.partition(".")
            if not (major.isdigit() and minor.isdigit()):
                refuse(".version wants a number such as 8.0", token.line)
            self.module.version = int(major), int(minor)
        elif word == ".target":
            self.module.target = self.name()
            while self.accept(","):
                self.name()
        elif word == ".address_size":
            if self.integer() != 64:
                refuse("only addresses of 64 bits are known here", token.line)
        elif word in _SKIPPED:
            self.directive(token)
        elif word == ".section":
            self.section()
        elif word in (".entry", ".func"):
            self.function(word == ".entry", external, token.line)
        elif word in _SPACES and word != ".reg":
            for variable in self.variables(word[1:], external, token.line):
                old = self.module.variables.get(variable.name)
                if old is not None and not old.external:
                    refuse(f"{variable.name} is declared twice", variable.line)
                self.module.variables[variable.name] = variable
        elif word != ";":
            refuse(f"{word!r} begins no statement", token.line)

    def directive(self, token: _Token) -> None:
        if token.text == ".file":
            number = self.integer()
            self.module.files[number] = self.take().text.strip('"')
            while self.accept(","):
                self.integer()
        elif token.text == ".loc":
            self.source = self.integer(), self.integer()
            self.integer()
            while self.accept(","):  # inlined at: the outermost line says less than the innermost
                self.name()
                while not self.next.text.startswith(".") and self.next.text not in (",", ";"):
                    self.take()
                    if self.next.kind == "end" or self.next.line != token.line:
                        break
        else:
            while not self.accept(";"):
                if self.take().kind == "end":
                    refuse(f"{token.text} does not end", token.line)

    def section(self) -> None:
        line = self.take().line
        self.expect("{")
        while not self.accept("}"):
            if self.take().kind == "end":
                refuse("a .section does not end", line)

    # -- Variables
    def variables(self, space: str, external: bool, line: int) -> list[Variable]:
        """The variables of one declaration, behind the name of their state space."""
        align, kind, vector = 0, "", 1
        while self.next.kind == "suffix":
            word = self.take().text[1:]
            if word == "align":
                align = self.integer()
                if align <= 0 or align & (align - 1) or align > 4096:
                    refuse(f"an alignment of {align}", line)
            elif word in ("v2", "v4"):
                vector = int(word[1])
            elif word in SIZES:
                kind = word
            elif word in ("texref", "samplerref", "surfref"):
                raise PolyvmError("PVM-UNSUPPORTED", f"PTX's .{word} is not supported.", line=line)
            elif word in ("ptr", "global", "const", "local", "shared", "managed", "attribute", "param"):
                pass  # what a pointer points to, and hints
            else:
                refuse(f".{word} is no type", line)
        if not kind or kind == "pred":
            refuse("a variable without a type", line)
        made = []
        while True:
            name = self.name()
            count = self.parameterised()
            if count is not None:
                made += [
                    self.variable(f"{name}{i}", space, kind, align, vector, external, line)
                    for i in range(count)
                ]
            else:
                made.append(self.variable(name, space, kind, align, vector, external, line))
            if not self.accept(","):
                break
        self.expect(";")
        return made

    def parameterised(self) -> int | None:
        """The 4 of %r<4>."""
        if not self.accept("<"):
            return None
        count = self.integer()
        self.expect(">")
        if not 0 <= count <= MAX_REGISTERS:
            refuse(f"{count} names at once", self.next.line)
        return count

    def variable(
        self, name: str, space: str, kind: str, align: int, vector: int, external: bool, line: int
    ) -> Variable:
        size = SIZES[kind] * vector
        align = align or size
        while self.accept("["):
            if self.accept("]"):
                size = 0  # as large as the launch says
                continue
            count = self.integer()
            self.expect("]")
            size *= count
        if not 0 <= size <= MAX_BYTES:
            refuse(f"{name} has {size} bytes", line)
        made = Variable(name, space, kind, align, size, external=external, line=line)
        if self.accept("="):
            self.initialiser(made)
        return made

    def initialiser(self, into: Variable) -> None:
        unit = SIZES[into.type]
        data = bytearray()
        depth = 0
        while True:
            if self.accept("{"):
                depth += 1
                if depth > 8:
                    refuse("braces nested too deeply", into.line)
            elif self.accept("}"):
                depth -= 1
                self.accept(",")
            else:
                self.element(into, data, unit)
                self.accept(",")
            if depth <= 0:
                break
            if len(data) > max(into.size, unit) or self.next.kind == "end":
                refuse(f"too much data for {into.name}", into.line)
        if len(data) > into.size:
            refuse(f"too much data for {into.name}", into.line)
        into.data = bytes(data).ljust(into.size, b"\0")

    def element(self, into: Variable, data: bytearray, unit: int) -> None:
        token = self.next
        if token.kind == "name":
            self.take()
            if token.text == "generic":
                self.expect("(")
                name = self.name()
                self.expect(")")
            else:
                name = token.text
            if unit != 8:
                refuse(f"an address in {into.type}", token.line)
            into.addresses.append((len(data), Name(name, self.offset())))
            data += bytes(8)
        else:
            value = self.constant()
            floating = into.type in ("f32", "f64")
            if isinstance(value, FloatImm) and (floating or value.width == 8 * unit):
                data += _float_bits(value, unit).to_bytes(unit, "little")
            elif isinstance(value, Imm) and not (floating and value.value):
                data += (value.value & ((1 << 8 * unit) - 1)).to_bytes(unit, "little")
            else:
                refuse(f"{into.name} is .{into.type}, and has a constant of another kind", token.line)

    def offset(self) -> int:
        if self.accept("+"):
            return self.integer()
        return self.integer() if self.next.text == "-" else 0

    # -- Functions
    def parameters(self) -> list[Variable]:
        made: list[Variable] = []
        self.expect("(")
        if self.accept(")"):
            return made
        while True:
            token = self.take()
            if token.text not in (".param", ".reg"):
                refuse(f"{token.text!r} begins no parameter", token.line)
            made.append(self.parameter(token))
            if not self.accept(","):
                break
        self.expect(")")
        return made

    def parameter(self, token: _Token) -> Variable:
        if token.text == ".reg":
            raise PolyvmError(
                "PVM-UNSUPPORTED", "Parameters in registers are not supported.", line=token.line
            )
        align, kind = 0, ""
        while self.next.kind == "suffix":
            word = self.take().text[1:]
            if word == "align":
                align = self.integer()
                if align <= 0 or align & (align - 1) or align > 4096:
                    refuse(f"an alignment of {align}", token.line)
            elif word in SIZES:
                kind = kind or word
            elif word not in ("ptr", "global", "const", "local", "shared"):
                refuse(f".{word} is no type of a parameter", token.line)
        if not SIZES.get(kind):
            refuse("a parameter without a type", token.line)
        name = self.name()
        return self.variable(name, "param", kind, align, 1, False, token.line)

    def function(self, entry: bool, external: bool, line: int) -> None:
        returns = self.parameters() if self.next.text == "(" else []
        name = self.name()
        params = self.parameters() if self.next.text == "(" else []
        made = Function(name, entry, params, returns, defined=False, line=line)
        while self.next.kind == "suffix":
            word = self.take().text[1:]
            if word in _RANGES:
                values = []
                while self.next.kind == "number":
                    values.append(self.integer())
                    if not self.accept(","):
                        break
                made.bounds[word] = tuple(values)
            elif word == "pragma":
                while not self.accept(";"):
                    if self.take().kind == "end":
                        refuse(".pragma does not end", line)
            elif word != "noreturn":
                refuse(f".{word} says nothing about a function", line)
        if self.next.text == "{":
            made.defined = True
            self.body(made)
        else:
            self.expect(";")
        old = self.module.functions.get(name)
        if old is not None and old.defined:
            if made.defined:
                refuse(f"{name} is defined twice", line)
            return
        self.module.functions[name] = made

    def body(self, into: Function) -> None:
        self.source = (0, 0)
        self.scopes = 0
        scope = _Scope(None, 0)
        for variable in (*into.params, *into.returns):
            into.variables[variable.name] = variable
        opening = self.expect("{")
        pending: list[tuple[Insn, _Scope]] = []
        stack: list[_Scope] = []
        while True:
            token = self.next
            if token.kind == "end":
                refuse(f"the body of {into.name} does not end", opening.line)
            if self.accept("{"):
                stack.append(scope)
                self.scopes += 1
                scope = _Scope(scope, self.scopes)
            elif self.accept("}"):
                if not stack:
                    break
                scope = stack.pop()
            elif token.kind == "suffix":
                self.take()
                self.declaration(token, scope, into)
            elif token.kind == "name" and self.tokens[self.at + 1].text == ":":
                self.take()
                self.take()
                self.label(token, scope, into, len(pending))
            elif not self.accept(";"):
                pending.append((self.insn(), scope))
        # A label may be used before it stands, so names are looked up when all are known.
        self.registers_of = into.registers
        into.insns = [self.resolve(insn, where) for insn, where in pending]

    def label(self, token: _Token, scope: _Scope, into: Function, index: int) -> None:
        word = self.next.text
        unique = scope.declare(token.text)
        if word in (".callprototype", ".calltargets"):
            while not self.accept(";"):
                if self.take().kind == "end":
                    refuse(f"{word} does not end", token.line)
        elif word == ".branchtargets":
            self.take()
            names = [self.name()]
            while self.accept(","):
                names.append(self.name())
            self.expect(";")
            into.targets[unique] = tuple(names)
        else:
            if unique in into.labels:
                refuse(f"the label {token.text} stands twice", token.line)
            into.labels[unique] = index

    def declaration(self, token: _Token, scope: _Scope, into: Function) -> None:
        word = token.text
        if word == ".reg":
            self.registers(scope, into, token.line)
        elif word in _SKIPPED:
            self.directive(token)
        elif word in _SPACES:
            for variable in self.variables(word[1:], False, token.line):
                variable.name = scope.declare(variable.name)
                if variable.name in into.variables:
                    refuse(f"{variable.name} is declared twice", token.line)
                into.variables[variable.name] = variable
        elif word in _LINKING:
            pass
        else:
            refuse(f"{word} says nothing in a function", token.line)

    def registers(self, scope: _Scope, into: Function, line: int) -> None:
        kind, vector = "", False
        while self.next.kind == "suffix":
            word = self.take().text[1:]
            vector |= word in ("v2", "v4")
            kind = word
        if vector or kind not in SIZES:
            refuse(f"registers of the type .{kind}", line)
        while True:
            name = self.name()
            count = self.parameterised()
            names = [name] if count is None else [f"{name}{i}" for i in range(count)]
            if len(into.registers) + len(names) > MAX_REGISTERS:
                refuse("too many registers", line)
            for one in names:
                into.registers[scope.declare(one)] = kind
            if not self.accept(","):
                break
        self.expect(";")

    # -- Instructions
    def insn(self) -> Insn:
        token = self.next
        guard, negated = "", False
        if self.accept("@"):
            negated = self.accept("!")
            guard = self.name()
        opening = self.take()
        if opening.kind != "name":
            refuse(f"{opening.text!r} begins no instruction", opening.line)
        mods = []
        while self.next.kind == "suffix":
            mods.append(self.take().text[1:])
        operands: list[Operand] = []
        if opening.text == "call":
            operands = self.call_operands()
        else:
            while not self.accept(";"):
                operands.append(self.operand())
                if not self.accept(","):
                    self.expect(";")
                    break
        return Insn(opening.text, tuple(mods), tuple(operands), guard, negated, token.line, self.source)

    def call_operands(self) -> list[Operand]:
        """call (returns), target, (arguments), prototype: as three operands, vectors first and last."""
        returns: tuple[Operand, ...] = ()
        if self.next.text == "(":
            returns = self.bracketed()
            self.expect(",")
        target = self.operand()
        arguments: tuple[Operand, ...] = ()
        if self.accept(","):
            if self.next.text == "(":
                arguments = self.bracketed()
            else:
                self.operand()
        if self.accept(","):
            self.operand()
        self.expect(";")
        return [Vec(returns), target, Vec(arguments)]

    def bracketed(self) -> tuple[Operand, ...]:
        self.expect("(")
        made: list[Operand] = []
        while not self.accept(")"):
            made.append(self.operand())
            if not self.accept(","):
                self.expect(")")
                break
        return tuple(made)

    def operand(self) -> Operand:
        token = self.next
        if self.accept("{"):
            parts: list[Operand] = []
            while not self.accept("}"):
                parts.append(self.simple())
                if not self.accept(","):
                    self.expect("}")
                    break
            return Vec(tuple(parts))
        if self.accept("["):
            return self.memory()
        if self.accept("!"):
            return Not(self.name())
        first = self.simple()
        if self.accept("|"):
            return Vec((first, self.simple()))
        if isinstance(first, Name) and self.next.text in ("+", "-"):
            return Name(first.name, self.offset())
        if isinstance(first, Mem | Vec):
            refuse("an operand in an operand", token.line)
        return first

    def memory(self) -> Mem:
        token = self.next
        base = self.simple()
        if not isinstance(base, Reg | Name | Imm):
            refuse("an address that is none", token.line)
        offset = self.offset()
        self.expect("]")
        return Mem(base, offset)

    def simple(self) -> Operand:
        token = self.next
        if token.kind == "name":
            self.take()
            if token.text == "_":
                return Sink()
            if self.next.kind == "suffix" and token.text.startswith("%"):
                return Reg(token.text + self.take().text)
            return Name(token.text)
        if token.text == "-" or token.kind in ("number", "float"):
            return self.constant()
        refuse(f"{token.text or 'the end'!r} stands where an operand belongs", token.line)

    def constant(self) -> Operand:
        negative = self.accept("-")
        token = self.take()
        if token.kind == "float":
            bits = int(token.text[2:], 16)
            width = 32 if token.text[1] in "fF" else 64
            return FloatImm(bits ^ (1 << (width - 1)) if negative else bits, width)
        if token.kind != "number":
            refuse(f"{token.text or 'the end'!r} stands where a number belongs", token.line)
        if "." in token.text:
            value = float(token.text.rstrip("U"))
            bits = struct.unpack("<Q", struct.pack("<d", -value if negative else value))[0]
            return FloatImm(bits, 64)
        number = _integer(token.text, token.line)
        return Imm(-number if negative else number)

    # -- Names
    def resolve(self, insn: Insn, scope: _Scope) -> Insn:
        insn.operands = tuple(self.named(operand, scope) for operand in insn.operands)
        if insn.guard:
            insn.guard = scope.find(insn.guard) or insn.guard
        return insn

    def named(self, operand: Operand, scope: _Scope) -> Operand:
        if isinstance(operand, Name):
            found = scope.find(operand.name) or operand.name
            if operand.name.startswith("%") or found in self.registers_of:
                return Reg(found)
            return Name(found, operand.offset)
        if isinstance(operand, Mem):
            base = self.named(operand.base, scope)
            assert isinstance(base, Reg | Name | Imm)
            return Mem(base, operand.offset)
        if isinstance(operand, Vec):
            return Vec(tuple(self.named(part, scope) for part in operand.parts))
        if isinstance(operand, Not):
            return Not(scope.find(operand.name) or operand.name)
        return operand


def _integer(text: str, line: int) -> int:
    digits = text.rstrip("U")
    if digits[:2] in ("0x", "0X"):
        value = int(digits, 16)
    elif digits[:2] in ("0b", "0B"):
        value = int(digits, 2)
    elif len(digits) > 1 and digits[0] == "0":
        if not set(digits) <= set("01234567"):
            refuse(f"{text} is no octal number", line)
        value = int(digits, 8)
    else:
        value = int(digits) if len(digits) < 24 else 1 << 64
    if value >> 64:
        refuse(f"{text[:32]} has more than 64 bits", line)
    return value


def _float_bits(value: FloatImm, size: int) -> int:
    """A constant as the bits of a variable of so many bytes."""
    if value.width == 8 * size:
        return value.bits
    if size == 4:
        return int(
            struct.unpack("<I", struct.pack("<f", struct.unpack("<d", value.bits.to_bytes(8, "little"))[0]))[
                0
            ]
        )
    if size == 8:
        wide = struct.unpack("<f", value.bits.to_bytes(4, "little"))[0]
        return int(struct.unpack("<Q", struct.pack("<d", wide))[0])
    return value.bits & ((1 << 8 * size) - 1)


def parse(text: str) -> Module:
    """The module of a PTX text. Raises PVM-GPU-PTX with the line, and PVM-UNSUPPORTED for what is known and refused."""
    if len(text) > LIMIT:
        refuse(f"it is longer than {LIMIT} characters", 1)
    try:
        return _Parser(text.rstrip("\0")).parse()
    except (OverflowError, ValueError) as error:  # numbers that no type holds
        raise PolyvmError("PVM-GPU-PTX", f"This is not PTX: {error}.") from error
