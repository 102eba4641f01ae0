"""The specification language: a guest's registers, fields and instructions, and the traces of their semantics.

An instruction is one decorated function: its text gives assembler and disassembler, its encoding line decoder
and encoder, its docstring the reference page, its body everything else. Nothing here runs guest code.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polyvm.ir import trace as ir_trace
from polyvm.ir.ops import FP_FLAGS, FP_MODE, FP_MODE_BITS
from polyvm.ir.verify import verify
from polyvm.isa.encoding import Encoding, Leaf, Switch, decision_tree, decode, parse
from polyvm.isa.placing import place

if TYPE_CHECKING:
    from polyvm.ir.golden import Memory, State

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

    kind: "register", "signed", "unsigned", "offset" (in bytes from the program counter), "page" (in pages of 4096 bytes
    from its page), or a kind the guest names itself.
    bits: width where the encoding line gives no range. file: the register file of a register. bias: added to the
    raw value (rd' names x8 and up). last: what the highest raw value stands for instead of itself (number 31 names
    the stack pointer). shape: the values a shape field may take; None for a data field.
    """

    kind: str
    bits: int = 0
    file: str = ""
    bias: int = 0
    last: int | None = None
    shape: tuple[int, ...] | None = None

    def value(self, raw: int, width: int) -> int:
        """What a raw value stands for."""
        return self.last if self.last is not None and raw == (1 << width) - 1 else raw + self.bias

    def raw(self, value: int, width: int) -> int:
        """The raw value that stands for a value; -1, which fits no encoding, where there is none."""
        if self.last is None:
            return value - self.bias
        top = (1 << width) - 1
        return top if value == self.last else -1 if value - self.bias == top else value - self.bias


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
class Operand:
    """A name in the texts of instructions that is written in a way of its own, out of one field or several.

    show: its text, from the values of all fields; read: the values of its fields, from a text and the values that are
    known already, or ValueError. It is read twice, the second time with every value known; in an alias none is.
    default: the values with which an optional part of a text may be left out, None where it may not.
    """

    fields: tuple[str, ...]
    show: Callable[[Mapping[str, int]], str]
    read: Callable[[str, Mapping[str, int]], dict[str, int]]
    default: Callable[[Mapping[str, int]], dict[str, int] | None] = lambda values: None


@dataclass(frozen=True, slots=True)
class Computed:
    """A pseudo-instruction whose operands are computed from those of an instruction.

    short, long: the two mnemonics. shorten: the operands of `short`, from those of `long`; expand: the way back. Both
    give None where there is no such form.
    """

    short: str
    long: str
    shorten: Callable[[list[str]], list[str] | None]
    expand: Callable[[list[str]], list[str] | None]


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
        encoding, fields = self.encoding, self.isa.fields
        return {n: fields[n].value(encoding.extract(word, n), encoding.width(n)) for n in encoding.fields}

    def encode(self, values: dict[str, int]) -> int:
        """The instruction word with these field values (biased, unsigned). Raises EncodingError."""
        word = self.encoding.match
        for name in self.encoding.fields:
            raw = self.isa.fields[name].raw(values[name], self.encoding.width(name))
            word |= self.encoding.insert(name, raw)
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

    specials: registers outside files, name to width. options: those of them, of one bit, that say what the processor
    has and that nothing changes while a program runs; given: their values, where they are known (`having`).
    causes: names of its exceptions, numbered by position; native code passes the number. fields: the meaning of each
    field name. sizes: bytes an instruction may have.
    misaligned: the exception at an address that is no multiple of the smallest size; none where jumps see to it that
    they lead to none. links: registers that calls put the return address in. syntax: how kinds of fields are written.
    operands: names that stand in texts for what is no field of its own.
    aliases: pairs (pseudo-instruction, instruction), for the disassembler's and the assembler's texts only;
    spellings: likewise, but never printed. computed: those that are more than other texts of the same fields, and
    printed where no alias fits.
    length: how many bytes an instruction has that starts like this word, known or not.
    floats: the style of its floating point (`ir.ops.FLOAT_STYLES`).
    """

    name: str
    files: dict[str, RegisterFile]
    specials: dict[str, int]
    causes: tuple[str, ...]
    fields: dict[str, Field]
    sizes: tuple[int, ...]
    links: tuple[tuple[str, int], ...]
    misaligned: str = ""
    syntax: dict[str, Syntax] = field(default_factory=dict, repr=False)
    operands: dict[str, Operand] = field(default_factory=dict, repr=False)
    aliases: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    spellings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    computed: tuple[Computed, ...] = field(default=(), repr=False)
    length: Callable[[int], int] = field(default=lambda word: 4, repr=False)
    floats: str = "canonical"
    options: tuple[str, ...] = ()
    given: dict[str, int] = field(default_factory=dict)
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

    def having(self, options: Mapping[str, int]) -> Isa:
        """The same instruction set, for one processor: its options and their values. What was made of it is shared."""
        _ = self.tree  # else each of them would make it for itself
        found = copy(self)
        found.given = dict(options)
        return found

    @property
    def step(self) -> int:
        """What the target of a jump must be a multiple of, and need not be by itself."""
        return min(self.sizes) if self.misaligned else 1

    def field_bits(self, encoding: Encoding, name: str) -> int:
        """The width of a field's value, bias included."""
        bits, field = encoding.width(name), self.fields[name]
        return max(bits, ((1 << bits) - 1 + field.bias).bit_length(), (field.last or 0).bit_length())

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
            found = ir_trace.record(
                insn.body, dict(self.files), insn.size, operands, insn.data_fields, self.floats
            )
            verify(found, f"{insn.name} {dict(shape) or ''}".strip())
            self._traces[key] = found
        return found

    # -- What a trace depends on besides the encoding: nothing, but for guests that say otherwise (riscv64's vectors).
    # A context is a number; where it is None, such an instruction's trace leaves it to the golden evaluator.
    def in_context(self, decoded: Decoded, context: int | None) -> Decoded:
        """An instruction for a context."""
        return decoded

    def state_context(self, read: Callable[[tuple[str, int]], int]) -> int | None:
        """The context that a state is in, given how to read its registers; for the golden evaluator."""
        return None

    def context_behind(self, decoded: Decoded, context: int | None) -> int | None:
        """What compiled code takes for the context behind an instruction, which it looks at before it relies on it."""
        return None

    def context_before(self, fetch: Callable[[int, int], bytes], pc: int) -> int | None:
        """A guess at the context that an address is reached in, from the code around it."""
        return None

    def restart(
        self, decoded: Decoded, pc: int, state: State, memory: Memory, fault: type[Exception]
    ) -> int | None:
        """Do an instruction that faults in the middle so that what a guest may see of it is done; the address of the
        next one. Raises the fault. None where a fault comes before any effect, as nearly everywhere.
        """
        return None

    def slots(self) -> Iterator[tuple[tuple[str, int], int]]:
        """Every register slot with its width, the hardwired ones and the floating-point environment included."""
        for file in self.files.values():
            for number in range(file.count):
                yield (file.name, number), file.bits
        for name, bits in self.specials.items():
            yield (name, 0), bits
        yield FP_FLAGS, 5
        yield FP_MODE, FP_MODE_BITS

    def state_layout(self, base: int) -> dict[tuple[str, int], tuple[int, int]]:
        """Where slots live in the state block, as (offset, bytes), files first, from `base` on.

        The floating-point environment is not among them: the engine keeps it in its own header.
        """
        files = [(file.name, file.bits, file.count) for file in self.files.values()]
        return place(files, self.specials, base)
