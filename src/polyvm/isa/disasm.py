"""Text of instructions, and back, both from the spec's own lines: "lw rd, imm(rs1)", "ldr Xt, [Xn_sp{, #pimm}]".

What stands in braces is left out where all in it has its default. One instruction at a time: there are no labels,
sections or macros, and nothing is chosen for the writer (a compressed form is written as c.addi). Pseudo-instructions
are rewritten as text, by the guest's table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from polyvm.errors import PolyvmError
from polyvm.ir.golden import signed
from polyvm.isa import texts
from polyvm.isa.encoding import EncodingError
from polyvm.isa.pseudo import Alias, ComputedAlias, by_name
from polyvm.isa.spec import Decoded, Insn, Isa, Syntax

Symbol = Callable[[int], "str | None"]
"""What stands at an address, as in "main+4", or None."""

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
    def parts(self) -> texts.Parts:
        """The operands, what is optional in it as a list of its own."""
        operands = self.insn.text.partition(" ")[2].strip()
        names = texts.names([operands], self._known)
        if names and self.syntax(names[-1]).default is not None and "{" not in operands:
            head = operands[: operands.rindex(names[-1])].rstrip(", ")
            operands = f"{head}{{{operands[len(head) :]}}}"
        return texts.split(operands)

    @cached_property
    def _known(self) -> Container[str]:
        return {*self.insn.encoding.fields, *self.isa.operands}

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """Fields that are written at the end of the mnemonic."""
        return tuple(name for name in self.insn.encoding.fields if self.syntax(name).suffix)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """Fields that stand in the mnemonic, as in "b.cond"."""
        return tuple(part for part in self.insn.name.split(".")[1:] if part in self.insn.encoding.fields)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """Fields and operands that have a place in the text behind the mnemonic."""
        return texts.names(self.parts, self._known)

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Fields that have no place in the text."""
        shown = {name for token in self.written for name in self._stands_for(token)}
        shown.update(self.suffixes, self.named)
        return tuple(name for name in self.insn.encoding.fields if name not in shown)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the operands look like, a group for each that is written."""
        return texts.pattern(self.parts, self.written, self.isa)

    def syntax(self, name: str) -> Syntax:
        """How a field is written."""
        field = self.isa.fields.get(name)
        return self.isa.syntax.get(field.kind, _PLAIN) if field else _PLAIN

    def names(self) -> Iterator[tuple[str, dict[str, int]]]:
        """The mnemonics, suffixes included, and the values that they stand for."""
        choices = [
            *((name, self.isa.fields[name].shape or ()) for name in self.named),
            *((name, (0, 1)) for name in self.suffixes),
        ]
        for chosen in itertools.product(*(values for _, values in choices)):
            values = dict(zip((name for name, _ in choices), chosen, strict=True))
            yield self._mnemonic(values), values

    def _mnemonic(self, values: Mapping[str, int]) -> str:
        parts = [
            self._show(part, values[part], 0, None) if part in self.named else part
            for part in self.insn.name.split(".")
        ]
        suffix = "".join(name for name in self.suffixes if values[name])
        return ".".join([*parts, suffix] if suffix else parts)

    def _stands_for(self, token: str) -> tuple[str, ...]:
        operand = self.isa.operands.get(token)
        return operand.fields if operand else (token,)

    def _zero(self, name: str) -> int:
        """The value of a field whose bits are all zero."""
        return self.isa.fields[name].value(0, self.insn.encoding.width(name))

    def _default(self, token: str, values: Mapping[str, int]) -> dict[str, int] | None:
        operand = self.isa.operands.get(token)
        if operand:
            return operand.default(values)
        default = self.syntax(token).default
        return {token: default(self.insn.name) if default else self._zero(token)}

    # -- Values to text
    def show(self, values: dict[str, int], pc: int, symbol: Symbol | None) -> str:
        shown = self._text(self.parts, values, pc, symbol)
        parts = [shown] if shown else []
        for name in self.hidden:
            if values[name] != self._zero(name):
                parts.append(f"{name}={self._show(name, values[name], pc, symbol)}")
        return f"{self._mnemonic(values)} {', '.join(parts)}".rstrip()

    def _text(self, parts: texts.Parts, values: dict[str, int], pc: int, symbol: Symbol | None) -> str:
        def token(found: re.Match[str]) -> str:
            name = found[0]
            if name in self.isa.operands:
                return self.isa.operands[name].show(values)
            return self._show(name, values[name], pc, symbol) if name in self.written else name

        text = ""
        for part in parts:
            if isinstance(part, str):
                text += texts.TOKEN.sub(token, part)
            elif not all(
                (default := self._default(name, values)) is not None and default.items() <= values.items()
                for name in texts.names(part, self._known)
            ):
                text += self._text(part, values, pc, symbol)
        return text

    def _show(self, name: str, value: int, pc: int, symbol: Symbol | None) -> str:
        kind, bits = self.isa.fields[name].kind, self.insn.encoding.width(name)
        if kind == "register":
            return self.isa.files[self.isa.fields[name].file].names[value]
        if kind == "signed":
            return str(signed(value, bits))
        if kind in _RELATIVE:
            unit = _RELATIVE[kind]
            target = (pc & -unit) + signed(value, bits) * unit & _ADDRESS
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
        # What an operand means may depend on those behind it: the second time all of them are known.
        for _ in range(2):
            for number, name in enumerate(self.written):
                values.update(self._values(name, found[number + 1], values, pc))
        for name in self.hidden:
            values.setdefault(name, self._zero(name))
        for name in self.insn.shape_fields:
            if values[name] not in (self.isa.fields[name].shape or ()):
                raise ValueError(f"{self._show(name, values[name], pc, None)} is not allowed as {name}")
        for name, value in values.items():
            raw = self.isa.fields[name].raw(value, self.insn.encoding.width(name))
            if raw in self.insn.encoding.excluded.get(name, ()):
                raise ValueError(f"{self._show(name, value, pc, None)} is not allowed as {name}")
        return self.insn.encode(values)

    def _values(self, token: str, text: str | None, known: dict[str, int], pc: int) -> dict[str, int]:
        operand = self.isa.operands.get(token)
        if text is None:
            default = self._default(token, known)
            if default is None:
                raise ValueError(f"{token} cannot be left out")
            return default
        return operand.read(text, known) if operand else {token: self._read(token, text, pc)}

    def _read(self, name: str, text: str, pc: int) -> int:
        field, bits = self.isa.fields[name], self.insn.encoding.width(name)
        if field.kind == "register":
            return self._read_register(name, text)
        if field.kind in _RELATIVE:
            address = text.partition("<")[0].strip()
            relative = address[0] in ".+-"
            unit = _RELATIVE[field.kind]
            distance = int(address.lstrip(".") or "0", 0) if relative else int(address, 0) - (pc & -unit)
            distance = signed(distance & _ADDRESS, 64)
            if distance % unit:
                raise ValueError(f"{name} is {distance}, not a multiple of {unit}")
            distance //= unit
            return self._fit(name, distance, -1 << (bits - 1), 1 << (bits - 1))
        if field.kind == "signed":
            return self._fit(name, int(text, 0), -1 << (bits - 1), 1 << (bits - 1))
        return self._fit(name, self.syntax(name).read(text, bits), 0, 1 << bits)

    def _read_register(self, name: str, text: str) -> int:
        field = self.isa.fields[name]
        file = self.isa.files[field.file]
        width = self.insn.encoding.width(name)
        for number in (field.value(raw, width) for raw in range(1 << width)):
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
# Kinds of fields that are written as addresses, and what they count: bytes from the program counter, or pages from its.
_RELATIVE = {"offset": 1, "page": 1 << 12}


class _Writer:
    """The texts of one guest, indexed."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self._templates = {insn: _Template(insn) for insn in isa.insns}
        # Mnemonic, suffixes included -> the instructions that have it, special ones first, and the suffixes.
        self._names: dict[str, list[tuple[_Template, dict[str, int]]]] = {}
        for insn in sorted(isa.insns, key=lambda insn: -insn.encoding.mask.bit_count()):
            template = self._templates[insn]
            for name, values in template.names():
                self._names.setdefault(name, []).append((template, values))
        printed: list[Alias | ComputedAlias] = [
            *(Alias(isa, short, long) for short, long in isa.aliases),
            *(ComputedAlias(alias) for alias in isa.computed),
        ]
        self._printed = by_name(printed, lambda alias: alias.long_name)
        spellings = [Alias(isa, short, long) for short, long in isa.spellings]
        self._aliases = by_name([*printed, *spellings], lambda alias: alias.name)

    def template(self, insn: Insn) -> _Template:
        return self._templates[insn]

    def pseudo(self, text: str) -> str:
        """The first pseudo-instruction for an instruction's text, or the text itself."""
        for alias in self._printed.get(text.partition(" ")[0], ()):
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
        for alias in self._aliases.get(mnemonic, ()):
            if (long := alias.expand(operands)) is not None:
                try:
                    return self.assemble(long, pc)
                except PolyvmError as error:
                    why = ValueError(error.message)
        raise self._complaint(mnemonic, text, why) from why

    def _complaint(self, mnemonic: str, text: str, why: ValueError | None) -> PolyvmError:
        known = [template.insn.text for template, _ in self._names.get(mnemonic, ())]
        known += [alias.short for alias in self._aliases.get(mnemonic, ())]
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


@lru_cache(maxsize=8)
def _writer(isa: Isa, count: int) -> _Writer:
    """The guest's texts; `count` instructions, so that a guest that grew is indexed anew."""
    return _Writer(isa)
