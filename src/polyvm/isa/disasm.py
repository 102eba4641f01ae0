"""Text of instructions, and back, both from the spec's own lines: "lw rd, imm(rs1)".

One instruction at a time: there are no labels, sections or macros, and nothing is chosen for the writer
(a compressed form is written as c.addi). Pseudo-instructions are rewritten as text, by the guest's table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from polyvm.errors import PolyvmError
from polyvm.ir.golden import signed
from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Decoded, Insn, Isa, Syntax

Symbol = Callable[[int], "str | None"]
"""What stands at an address, as in "main+4", or None."""

_TOKEN = re.compile(r"[A-Za-z_][\w.]*'?|\d+|-\d+|[(),]")
# An operand as written; a branch target may bring its symbol along.
_OPERAND = r"[^,()\s<>]+(?:\s*<[^<>]*>)?"
_NAMED = re.compile(r"\s*,?\s*([A-Za-z_]\w*'?)=([^,()\s]+)$")
_ADDRESS = (1 << 64) - 1


def disassemble(decoded: Decoded, pc: int, symbol: Symbol | None = None, *, aliases: bool = False) -> str:
    """The instruction's text, with ABI register names, decimal immediates and branch targets as addresses.

    Fields that the text has no place for are appended by name where they are not zero. With `aliases`, the
    pseudo-instruction where there is one.
    """
    writer = _writer(decoded.insn.isa, len(decoded.insn.isa.insns))
    text = writer.template(decoded.insn).show({**dict(decoded.shape), **decoded.fields}, pc, symbol)
    return writer.pseudo(text) if aliases else text


def assemble(isa: Isa, text: str, pc: int = 0) -> bytes:
    """The bytes of one instruction or pseudo-instruction at `pc`.

    A branch target is an address, or an offset written as ".+8" or ".-8". Raises PVM-INSN-UNKNOWN and
    PVM-ASM-SYNTAX.
    """
    return _writer(isa, len(isa.insns)).assemble(text, pc)


def listing(
    isa: Isa, code: bytes, pc: int, symbol: Symbol | None = None, *, aliases: bool = False
) -> Iterator[tuple[int, bytes, str]]:
    """Each instruction of a stretch of code as (address, bytes, text); what is none is shown as data."""
    position = 0
    while position < len(code):
        word = int.from_bytes(code[position : position + max(isa.sizes)], "little")
        decoded = isa.decode(word)
        size = decoded.insn.size if decoded else isa.length(word)
        piece = code[position : position + size]
        if decoded and len(piece) == size:
            text = disassemble(decoded, pc + position, symbol, aliases=aliases)
        else:
            text = f".{len(piece)}byte {int.from_bytes(piece, 'little'):#x}"
        yield pc + position, piece, text
        position += len(piece)


def decode(isa: Isa, code: bytes, pc: int) -> Decoded:
    """The instruction at the start of `code`, which stands at `pc`. Raises PVM-DECODE-UNKNOWN."""
    word = int.from_bytes(code[: max(isa.sizes)], "little")
    decoded = isa.decode(word)
    if decoded is None or len(code) < decoded.insn.size:
        size = min(isa.length(word), len(code))
        raise PolyvmError(
            "PVM-DECODE-UNKNOWN",
            f"{code[:size].hex(' ') or 'No bytes at all'} is no instruction of {isa.name}.",
            guest=isa.name,
            pc=pc,
            bytes=code[:size].hex(),
        )
    return decoded


@dataclass(frozen=True)
class _Template:
    """The text of an instruction, taken apart."""

    insn: Insn

    @property
    def isa(self) -> Isa:
        return self.insn.isa

    @cached_property
    def operands(self) -> str:
        return self.insn.text.partition(" ")[2].strip()

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """Fields that are written at the end of the mnemonic."""
        return tuple(name for name in self.insn.encoding.fields if self.syntax(name).suffix)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """Fields that have a place in the operands."""
        return _fields(self.operands, self.insn.encoding.fields)

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Fields that have no place in the text."""
        return tuple(n for n in self.insn.encoding.fields if n not in self.written and n not in self.suffixes)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the operands look like, a group for each field."""
        return _pattern(self.operands, self.written, self.isa, self._optional)

    @cached_property
    def _optional(self) -> str | None:
        last = self.written[-1] if self.written else None
        return last if last and self.syntax(last).default is not None else None

    @cached_property
    def _default(self) -> int:
        default = self.syntax(self._optional).default if self._optional else None
        return default(self.insn.name) if default else 0

    def syntax(self, name: str) -> Syntax:
        """How a field is written."""
        return self.isa.syntax.get(self.isa.fields[name].kind, _PLAIN)

    # -- Values to text
    def show(self, values: dict[str, int], pc: int, symbol: Symbol | None) -> str:
        suffix = "".join(name for name in self.suffixes if values[name])
        operands = self.operands
        if self._optional and values[self._optional] == self._default:
            operands = operands[: operands.rindex(self._optional)].rstrip(", ")
        shown = _TOKEN.sub(
            lambda token: (
                self._show(token[0], values[token[0]], pc, symbol) if token[0] in self.written else token[0]
            ),
            operands,
        )
        parts = [shown] if shown else []
        for name in self.hidden:
            if values[name] != self.isa.fields[name].bias:
                parts.append(f"{name}={self._show(name, values[name], pc, symbol)}")
        return f"{self.insn.name}{'.' if suffix else ''}{suffix} {', '.join(parts)}".rstrip()

    def _show(self, name: str, value: int, pc: int, symbol: Symbol | None) -> str:
        kind, bits = self.isa.fields[name].kind, self.insn.encoding.width(name)
        if kind == "register":
            return self.isa.files[self.isa.fields[name].file].names[value]
        if kind == "signed":
            return str(signed(value, bits))
        if kind == "offset":
            target = pc + signed(value, bits) & _ADDRESS
            label = symbol(target) if symbol else None
            return f"{target:#x} <{label}>" if label else f"{target:#x}"
        return self.syntax(name).show(value, bits)

    # -- Text to values
    def read(self, operands: str, values: dict[str, int], pc: int) -> int | None:
        """The instruction word, or None where the operands have another form. Raises ValueError."""
        values = dict(values)
        while named := _NAMED.search(operands):
            if named[1] not in self.hidden:
                return None
            values[named[1]] = self._read(named[1], named[2], pc)
            operands = operands[: named.start()]
        found = self.pattern.fullmatch(operands.strip())
        if found is None:
            return None
        for number, name in enumerate(self.written):
            text = found[number + 1]
            values[name] = self._default if text is None else self._read(name, text, pc)
        for name in self.hidden:
            values.setdefault(name, self.isa.fields[name].bias)
        for name in self.insn.shape_fields:
            if values[name] not in (self.isa.fields[name].shape or ()):
                raise ValueError(f"{self._show(name, values[name], pc, None)} is not allowed as {name}")
        for name, value in values.items():
            if value - self.isa.fields[name].bias in self.insn.encoding.excluded.get(name, ()):
                raise ValueError(f"{self._show(name, value, pc, None)} is not allowed as {name}")
        return self.insn.encode(values)

    def _read(self, name: str, text: str, pc: int) -> int:
        field, bits = self.isa.fields[name], self.insn.encoding.width(name)
        if field.kind == "register":
            return self._read_register(name, text)
        if field.kind == "offset":
            address = text.partition("<")[0].strip()
            relative = address[0] in ".+-"
            distance = int(address.lstrip(".") or "0", 0) if relative else int(address, 0) - pc
            return self._fit(name, signed(distance & _ADDRESS, 64), -1 << (bits - 1), 1 << (bits - 1))
        if field.kind == "signed":
            return self._fit(name, int(text, 0), -1 << (bits - 1), 1 << (bits - 1))
        return self._fit(name, self.syntax(name).read(text, bits), 0, 1 << bits)

    def _read_register(self, name: str, text: str) -> int:
        field = self.isa.fields[name]
        file = self.isa.files[field.file]
        for number in range(field.bias, field.bias + (1 << self.insn.encoding.width(name))):
            if text in (file.names[number], f"{file.name}{number}"):
                return number
        raise ValueError(f"{text!r} cannot stand for {name}")

    def _fit(self, name: str, value: int, low: int, end: int) -> int:
        encoding = self.insn.encoding
        step = 1 << encoding.low_zeros(name)
        if value % step or not low <= value < end:
            multiple = f" in steps of {step}" if step > 1 else ""
            raise ValueError(f"{name} is {value}, not one of {low} to {end - step}{multiple}")
        return value & (1 << encoding.width(name)) - 1


_PLAIN = Syntax()


class _Writer:
    """The texts of one guest, indexed."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self._templates = {insn: _Template(insn) for insn in isa.insns}
        # Mnemonic, suffixes included -> the instructions that have it, special ones first, and the suffixes.
        self._names: dict[str, list[tuple[_Template, dict[str, int]]]] = {}
        for insn in sorted(isa.insns, key=lambda insn: -insn.encoding.mask.bit_count()):
            template = self._templates[insn]
            for bits in itertools.product((0, 1), repeat=len(template.suffixes)):
                values = dict(zip(template.suffixes, bits, strict=True))
                suffix = "".join(name for name, bit in values.items() if bit)
                name = f"{insn.name}.{suffix}" if suffix else insn.name
                self._names.setdefault(name, []).append((template, values))
        self._printed = [_Alias(isa, short, long) for short, long in isa.aliases]
        self._aliases = [*self._printed, *(_Alias(isa, short, long) for short, long in isa.spellings)]

    def template(self, insn: Insn) -> _Template:
        return self._templates[insn]

    def pseudo(self, text: str) -> str:
        """The first pseudo-instruction for an instruction's text, or the text itself."""
        for alias in self._printed:
            if (short := alias.shorten(text)) is not None:
                return short
        return text

    def assemble(self, text: str, pc: int) -> bytes:
        mnemonic, _, operands = text.strip().replace("\t", " ").partition(" ")
        why: ValueError | None = None
        for template, suffixes in self._names.get(mnemonic, ()):
            try:
                word = template.read(operands, suffixes, pc)
            except (ValueError, EncodingError) as error:
                why = error
                continue
            if word is not None:
                return word.to_bytes(template.insn.size, "little")
        for alias in self._aliases:
            if alias.name == mnemonic and (long := alias.expand(operands)) is not None:
                return self.assemble(long, pc)
        raise self._complaint(mnemonic, text, why) from why

    def _complaint(self, mnemonic: str, text: str, why: ValueError | None) -> PolyvmError:
        known = [template.insn.text for template, _ in self._names.get(mnemonic, ())]
        known += [alias.short for alias in self._aliases if alias.name == mnemonic]
        if not known:
            return PolyvmError(
                "PVM-INSN-UNKNOWN", f"{self.isa.name} has no instruction {mnemonic!r}.", guest=self.isa.name
            )
        return PolyvmError(
            "PVM-ASM-SYNTAX",
            f"{text.strip()!r} is no instruction of {self.isa.name}{f': {why}' if why else ''}.",
            hint=f"Write it as: {'; '.join(known)}.",
            guest=self.isa.name,
        )


class _Alias:
    """A pseudo-instruction: two texts with the same fields."""

    def __init__(self, isa: Isa, short: str, long: str) -> None:
        self.short = short
        self.name, _, self._short_operands = short.partition(" ")
        self._long = long
        self._long_name, _, long_operands = long.partition(" ")
        self._short_fields = _fields(self._short_operands, isa.fields)
        self._short_pattern = _pattern(self._short_operands, self._short_fields, isa)
        self._long_fields = _fields(long_operands, isa.fields)
        self._long_pattern = _pattern(long_operands, self._long_fields, isa)

    def shorten(self, text: str) -> str | None:
        name, _, operands = text.partition(" ")
        found = self._long_pattern.fullmatch(operands) if name == self._long_name else None
        if found is None:
            return None
        return f"{self.name} {self._fill(self._short_operands, self._long_fields, found)}".rstrip()

    def expand(self, operands: str) -> str | None:
        found = self._short_pattern.fullmatch(operands.strip())
        return None if found is None else self._fill(self._long, self._short_fields, found)

    @staticmethod
    def _fill(template: str, names: tuple[str, ...], found: re.Match[str]) -> str:
        values = {name: found[number + 1] for number, name in enumerate(names)}
        return _TOKEN.sub(lambda token: values.get(token[0], token[0]), template)


def _fields(operands: str, known: Container[str]) -> tuple[str, ...]:
    """The fields that an operand text names, each once, in their order."""
    return tuple(dict.fromkeys(token for token in _TOKEN.findall(operands) if token in known))


def _pattern(
    operands: str, fields: tuple[str, ...], isa: Isa, optional: str | None = None
) -> re.Pattern[str]:
    """A pattern of an operand text with a group for each field; a field that comes twice must be the same."""
    parts: list[str] = []
    seen: set[str] = set()
    for token in _TOKEN.findall(operands):
        if token not in fields:
            parts.append(f"(?:{'|'.join(map(re.escape, _spellings(token, isa)))})")
        elif token in seen:
            parts.append(f"(?P=g{fields.index(token)})")
        else:
            seen.add(token)
            group = f"(?P<g{fields.index(token)}>{_OPERAND})"
            parts.append(f"(?:{parts.pop()}\\s*{group})?" if token == optional else group)
    return re.compile(r"\s*".join(parts))


def _spellings(token: str, isa: Isa) -> list[str]:
    """What may be written for a literal of a template: a register has a name and a number."""
    for file in isa.files.values():
        if token in file.names:
            return [token, f"{file.name}{file.names.index(token)}"]
    return [token]


@lru_cache(maxsize=8)
def _writer(isa: Isa, count: int) -> _Writer:
    """The guest's texts; `count` instructions, so that a guest that grew is indexed anew."""
    return _Writer(isa)
