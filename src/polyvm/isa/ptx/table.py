"""What a PTX instruction is, in the table: a form of a mnemonic, its types, operands, modifiers and meaning.

A form's meaning is a Python function over a `Lanes` builder: it is run once for an instruction and makes code for one
thread or for many, as the builder likes. Instructions that touch memory, other threads or the flow of control have no
such function; their `kind` says who carries them out. Forms are data: the parser's checks, the translator and the
coverage of the manual come from them.

Source: PTX ISA 9.0, chapter 9; each module of forms names its sections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from polyvm.errors import PolyvmError
from polyvm.isa.ptx.syntax import SIZES, Insn

Body = Callable[..., Any]

PACKED = {"f16x2": "f16", "bf16x2": "bf16", "u16x2": "u16", "s16x2": "s16"}
"""Two values in a register of 32 bits; the meaning sees twice as many lanes of one."""


class Value(Protocol):
    """A value of a builder: its LLVM type by name."""

    type: str


class Lanes(Protocol):
    """What a meaning builds with: LLVM's operations, by their names, on one value or on a vector of them."""

    def __getattr__(self, name: str) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a mnemonic.

    operands: words such as "d a b:u32 c:pred?": a name, behind a colon the type where it is not the instruction's own
    (`wide` is twice as wide, `2` the second type), and a question mark where it may be missing. What begins with d is
    written, `mem` is an address. types: for each type of the instruction, which ones it may be. mods: what else may
    stand behind dots. needs: sets of modifiers of which one must be there.
    """

    name: str
    types: tuple[frozenset[str], ...]
    operands: tuple[str, ...]
    mods: frozenset[str]
    needs: tuple[frozenset[str], ...]
    kind: str
    body: Body | None
    doc: str
    carries: str = ""  # "r" reads the carry, "w" writes it


FORMS: dict[str, list[Form]] = {}


def form(
    name: str,
    types: str,
    operands: str,
    *,
    mods: str = "",
    needs: str = "",
    kind: str = "lanes",
    carries: str = "",
) -> Callable[[Body], Body]:
    """Enter a form with its meaning. types: alternatives split by blanks, one group for each type, split by " ; ".

    needs: as `lo hi wide`, one of which must stand there; several such sets are split by " ; ".
    """

    def enter(body: Body) -> Body:
        groups = tuple(frozenset(group.split()) for group in types.split(";")) if types else ()
        sets = tuple(frozenset(group.split()) for group in needs.split(";")) if needs else ()
        allowed = frozenset(mods.split()).union(*sets)
        doc = (body.__doc__ or "").strip()
        entry = Form(name, groups, tuple(operands.split()), allowed, sets, kind,
                     body if kind == "lanes" else None, doc, carries)  # fmt: skip
        FORMS.setdefault(name, []).append(entry)
        return body

    return enter


def effect(
    name: str, kind: str, types: str, operands: str, doc: str, *, mods: str = "", needs: str = ""
) -> None:
    """Enter a form that touches memory, other threads or the flow of control; `kind` says who carries it out."""

    def body() -> None: ...

    body.__doc__ = doc
    form(name, types, operands, mods=mods, needs=needs, kind=kind)(body)


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction and the form that it is of."""

    insn: Insn
    form: Form
    types: tuple[str, ...]
    mods: frozenset[str]

    @property
    def type(self) -> str:
        """The first type, "" where there is none."""
        return self.types[0] if self.types else ""

    def has(self, mod: str) -> bool:
        """Whether a modifier stands there."""
        return mod in self.mods

    def one(self, *choices: str) -> str:
        """The modifier out of these that stands there, "" for none."""
        return next((word for word in choices if word in self.mods), "")

    def operand_type(self, word: str) -> str:
        """The type of an operand of the form."""
        _, _, kind = word.rstrip("?").partition(":")
        if not kind:
            return self.type
        if kind == "2":
            return self.types[1]
        if kind == "wide":
            return wide(self.type)
        return kind


def wide(kind: str) -> str:
    """The integer type of twice the width."""
    return f"{kind[0]}{2 * int(kind[1:])}"


def decode(insn: Insn) -> Decoded:
    """The form of an instruction. Raises PVM-UNSUPPORTED, with the line, for what the table does not have."""
    forms = FORMS.get(insn.name)
    if forms is None:
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"The PTX instruction {insn.text} is not supported.",
            hint="polyvm isa coverage ptx lists the instructions that are.",
            line=insn.line,
            instruction=insn.text,
        )
    for entry in forms:
        found = _match(insn, entry)
        if found is not None:
            return found
    raise PolyvmError(
        "PVM-UNSUPPORTED",
        f"This form of a PTX instruction is not supported: {insn.text}.",
        hint="polyvm isa coverage ptx lists the instructions that are.",
        line=insn.line,
        instruction=insn.text,
    )


def _match(insn: Insn, entry: Form) -> Decoded | None:
    types: list[str] = []
    mods: list[str] = []
    for word in insn.mods:
        if len(types) < len(entry.types) and word in entry.types[len(types)] and word not in entry.mods:
            types.append(word)
        elif word in entry.mods and not (types and word in SIZES):
            mods.append(word)
        else:
            return None
    if len(types) != len(entry.types):
        return None
    chosen = frozenset(mods)
    if len(chosen) != len(mods) or any(len(chosen & group) != 1 for group in entry.needs):
        return None
    least = sum(not word.endswith("?") for word in entry.operands)
    if not least <= len(insn.operands) <= len(entry.operands):
        return None
    return Decoded(insn, entry, tuple(types), chosen)
