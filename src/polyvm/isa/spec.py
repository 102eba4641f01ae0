"""The specification language: a guest's registers, fields and instructions, and the traces of their semantics.

An instruction is one decorated function: its text gives assembler and disassembler, its encoding line decoder
and encoder, its docstring the reference page, its body everything else. Nothing here runs guest code.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from polyvm.ir import trace as ir_trace
from polyvm.ir.ops import FP_FLAGS, FP_ROUND
from polyvm.ir.verify import verify
from polyvm.isa.encoding import Encoding, Leaf, Switch, decision_tree, decode, parse

Body = Callable[..., None]
Shape = tuple[tuple[str, int], ...]
"""The values of an instruction's shape fields, in the order of the encoding."""


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """Registers that an instruction can name by number.

    zero: the register that always reads as 0. names: what assembly calls them, one per register.
    """

    name: str
    bits: int
    count: int
    names: tuple[str, ...]
    zero: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """What a field of an encoding means.

    kind: "register", "signed", "unsigned", "offset" (from the program counter), or a kind the guest names itself.
    bits: width where the encoding line gives no range. file: the register file of a register. bias: added to the
    raw value (rd' names x8 and up). shape: the values a shape field may take; None for a data field.
    """

    kind: str
    bits: int = 0
    file: str = ""
    bias: int = 0
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a kind of field that the guest names itself is written, where a plain number would not do.

    show: text of a value of so many bits; read: the value, or ValueError. default: for a mnemonic, the value
    that may be left out at the end of the operands. suffix: no operand; where the field is 1, its name is
    appended to the mnemonic.
    """

    show: Callable[[int, int], str] = lambda value, bits: str(value)
    read: Callable[[str, int], int] = lambda text, bits: int(text, 0)
    default: Callable[[str], int] | None = None
    suffix: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    """A named part of the architecture, as its manual names it."""

    name: str
    version: str
    title: str


@dataclass(frozen=True, eq=False)
class Insn:
    """An instruction: one text, one encoding, one body."""

    isa: Isa
    extension: Extension
    text: str
    encoding: Encoding
    body: Body
    doc: str

    @property
    def name(self) -> str:
        """The mnemonic."""
        return self.text.split(None, 1)[0]

    @property
    def operands(self) -> tuple[str, ...]:
        """The operand templates of the text, such as "rd" and "imm(rs1)"."""
        _, _, rest = self.text.partition(" ")
        return tuple(part.strip() for part in rest.split(",")) if rest else ()

    @property
    def size(self) -> int:
        """Bytes of the encoding."""
        return self.encoding.size

    @property
    def shape_fields(self) -> tuple[str, ...]:
        """Fields that select what code is made."""
        return tuple(n for n in self.encoding.fields if self.isa.fields[n].shape is not None)

    @property
    def data_fields(self) -> dict[str, int]:
        """Fields that are values at run time, with their widths after the bias."""
        return {
            name: self.isa.field_bits(self.encoding, name)
            for name in self.encoding.fields
            if self.isa.fields[name].shape is None
        }

    def shapes(self) -> Iterator[Shape]:
        """Every combination of the shape fields' values."""
        names = self.shape_fields
        for values in itertools.product(*(self.isa.fields[n].shape or () for n in names)):
            yield tuple(zip(names, values, strict=True))

    def fields(self, word: int) -> dict[str, int]:
        """Every field's value in an instruction word, biases applied."""
        return {n: self.encoding.extract(word, n) + self.isa.fields[n].bias for n in self.encoding.fields}

    def encode(self, values: dict[str, int]) -> int:
        """The instruction word with these field values (biased, unsigned). Raises EncodingError."""
        word = self.encoding.match
        for name in self.encoding.fields:
            word |= self.encoding.insert(name, values[name] - self.isa.fields[name].bias)
        return word

    def __repr__(self) -> str:
        return f"<Insn {self.text}>"


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction found at some place: what it is, its shape, and its data fields."""

    insn: Insn
    shape: Shape
    fields: dict[str, int]
    word: int


@dataclass(eq=False)
class Isa:
    """A guest's instruction set.

    specials: registers outside files, name to width. causes: names of its exceptions, numbered by position; native
    code passes the number. fields: the meaning of each field name. sizes: bytes an instruction may have.
    links: registers that calls put the return address in. syntax: how kinds of fields are written.
    aliases: pairs (pseudo-instruction, instruction), for the disassembler's and the assembler's texts only;
    spellings: likewise, but never printed.
    length: how many bytes an instruction has that starts like this word, known or not.
    """

    name: str
    files: dict[str, RegisterFile]
    specials: dict[str, int]
    causes: tuple[str, ...]
    fields: dict[str, Field]
    sizes: tuple[int, ...]
    links: tuple[tuple[str, int], ...]
    syntax: dict[str, Syntax] = field(default_factory=dict, repr=False)
    aliases: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    spellings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    length: Callable[[int], int] = field(default=lambda word: 4, repr=False)
    insns: list[Insn] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    _traces: dict[tuple[Insn, Shape], ir_trace.Trace] = field(default_factory=dict, repr=False)
    _tree: Any = field(default=None, repr=False)

    def extension(self, name: str, version: str, title: str) -> Callable[[str, str], Callable[[Body], Body]]:
        """Start an extension; the result is the decorator that adds instructions to it."""
        part = Extension(name, version, title)
        self.extensions.append(part)
        widths = {name: f.bits for name, f in self.fields.items() if f.bits}

        def insn(text: str, encoding: str) -> Callable[[Body], Body]:
            def add(body: Body) -> Body:
                if not body.__doc__:
                    raise ValueError(f"{text!r} has no docstring, which is its reference page")
                parsed = parse(encoding, widths)
                for name in parsed.fields:
                    if name not in self.fields:
                        raise ValueError(f"{text!r}: field {name!r} is not in {self.name}'s table of fields")
                self.insns.append(Insn(self, part, text, parsed, body, body.__doc__))
                self._tree = None
                return body

            return add

        return insn

    def field_bits(self, encoding: Encoding, name: str) -> int:
        """The width of a field's value, bias included."""
        bits = encoding.width(name)
        return ((1 << bits) - 1 + self.fields[name].bias).bit_length() if self.fields[name].bias else bits

    @property
    def tree(self) -> Switch[Insn] | Leaf[Insn]:
        """The decision tree over all encodings."""
        if self._tree is None:
            self._tree = decision_tree(self.insns)
        return self._tree  # type: ignore[no-any-return]  # built just above

    def decode(self, word: int) -> Decoded | None:
        """The instruction at the low end of a word, or None where there is none.

        Raises nothing: a shape field whose value the table does not list is no instruction.
        """
        for insn in decode(self.tree, word):
            values = insn.fields(word)
            shape = tuple((n, values.pop(n)) for n in insn.shape_fields)
            if all(value in (self.fields[n].shape or ()) for n, value in shape):
                return Decoded(insn, shape, values, word & ((1 << 8 * insn.size) - 1))
        return None

    def trace(self, insn: Insn, shape: Shape) -> ir_trace.Trace:
        """The verified trace of an instruction in one shape; made once, then shared. Raises SpecError."""
        key = (insn, shape)
        found = self._traces.get(key)
        if found is None:
            operands = {ir_trace.parameter(n): value for n, value in shape}
            found = ir_trace.record(insn.body, dict(self.files), insn.size, operands, insn.data_fields)
            verify(found, f"{insn.name} {dict(shape) or ''}".strip())
            self._traces[key] = found
        return found

    def slots(self) -> Iterator[tuple[tuple[str, int], int]]:
        """Every register slot with its width, the hardwired ones and the floating-point environment included."""
        for file in self.files.values():
            for number in range(file.count):
                yield (file.name, number), file.bits
        for name, bits in self.specials.items():
            yield (name, 0), bits
        yield FP_FLAGS, 5
        yield FP_ROUND, 3

    def state_layout(self, base: int) -> dict[tuple[str, int], tuple[int, int]]:
        """Where slots live in the state block, as (offset, bytes), files first, from `base` on.

        The floating-point environment is not among them: the engine keeps it in its own header.
        """
        layout: dict[tuple[str, int], tuple[int, int]] = {}
        offset = base
        for file in self.files.values():
            size = (file.bits + 7) // 8
            for number in range(file.count):
                layout[file.name, number] = (offset, size)
                offset += size
        for name in self.specials:
            layout[name, 0] = (offset, 8)
            offset += 8
        return layout
