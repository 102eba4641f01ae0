"""Pseudo-instructions, both ways: other texts of the same fields, and those whose operands are computed.

They rewrite text into text; nothing here knows encodings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from polyvm.isa import texts
from polyvm.isa.spec import Computed, Isa


class Alias:
    """A pseudo-instruction: two texts with the same fields."""

    def __init__(self, isa: Isa, short: str, long: str) -> None:
        known = {*isa.fields, *isa.operands}
        self._isa = isa
        self.short = short
        self.name, _, short_operands = short.partition(" ")
        self.long_name, _, long_operands = long.partition(" ")
        self._short_parts, self._long_parts = texts.split(short_operands), texts.split(long_operands)
        self._short_fields = texts.names(self._short_parts, known)
        self._short_pattern = texts.pattern(self._short_parts, self._short_fields, isa)
        self._long_fields = texts.names(self._long_parts, known)
        self._long_pattern = texts.pattern(self._long_parts, self._long_fields, isa)

    def shorten(self, text: str) -> str | None:
        """The pseudo-instruction for an instruction's text, or None."""
        name, _, operands = text.partition(" ")
        found = self._long_pattern.fullmatch(operands) if name == self.long_name else None
        return None if found is None else self._fill(self.name, self._short_parts, self._long_fields, found)

    def expand(self, operands: str) -> str | None:
        """The instruction for the operands of the pseudo-instruction, or None."""
        found = self._short_pattern.fullmatch(operands.strip())
        return (
            None if found is None else self._fill(self.long_name, self._long_parts, self._short_fields, found)
        )

    def _fill(
        self, name: str, parts: texts.Parts, names: tuple[str, ...], found: re.Match[str]
    ) -> str | None:
        values = {name: found[number + 1] for number, name in enumerate(names)}
        try:
            for token, text in values.items():
                if text is not None:
                    self._check(token, text)
        except ValueError:
            return None

        def fill(parts: texts.Parts) -> str:
            text = ""
            for part in parts:
                if isinstance(part, str):
                    text += texts.TOKEN.sub(lambda token: values.get(token[0], token[0]), part)
                elif any(values[name] is not None for name in texts.names(part, values)):
                    text += fill(part)
            return text

        return f"{name} {fill(parts)}".rstrip()

    def _check(self, token: str, text: str) -> None:
        """Raise ValueError where a text cannot stand for an operand or a number."""
        if token in self._isa.operands:
            self._isa.operands[token].read(text, {})
        elif self._isa.fields[token].kind in ("signed", "unsigned"):
            int(text, 0)


class ComputedAlias:
    """A pseudo-instruction whose operands are computed."""

    def __init__(self, alias: Computed) -> None:
        self.short = self.name = alias.short
        self.long_name = alias.long
        self._alias = alias

    def shorten(self, text: str) -> str | None:
        """The pseudo-instruction for an instruction's text, or None."""
        return self._rewrite(text.partition(" ")[2], self._alias.shorten, self.name)

    def expand(self, operands: str) -> str | None:
        """The instruction for the operands of the pseudo-instruction, or None."""
        return self._rewrite(operands, self._alias.expand, self.long_name)

    @staticmethod
    def _rewrite(operands: str, how: Callable[[list[str]], list[str] | None], name: str) -> str | None:
        try:
            found = how([part.strip() for part in operands.split(",")])
        except ValueError:  # a number that is none
            return None
        return None if found is None else f"{name} {', '.join(found)}"


def by_name(
    aliases: Sequence[Alias | ComputedAlias], key: Callable[[Alias | ComputedAlias], str]
) -> dict[str, list[Alias | ComputedAlias]]:
    """Pseudo-instructions by one of their names, each list in their order."""
    found: dict[str, list[Alias | ComputedAlias]] = {}
    for alias in aliases:
        found.setdefault(key(alias), []).append(alias)
    return found
