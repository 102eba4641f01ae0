"""The texts of instructions, taken apart: "ldr Xt, [Xn_sp{, #imm}]" is words and marks, and in braces what is optional.

Is told which words name fields and operands, and knows nothing of what they mean; `isa.disasm` fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import TypeAlias

from polyvm.isa.spec import Isa

TOKEN = re.compile(r"[A-Za-z_][\w.]*'?|\d+|-\d+|[(),\[\]{}!#]")
# An operand as written; a branch target may bring its symbol along.
_OPERAND = r"#?[^,()\[\]{}!#\s<>]+(?:\s*<[^<>]*>)?"

Parts: TypeAlias = "list[str | Parts]"
"""An operand text: what stands there always, and in lists what is optional."""


def split(text: str) -> Parts:
    """A text with its optional parts, which stand in braces, as lists of their own; \\{ is a brace that is written."""
    stack: list[Parts] = [[]]
    for piece in re.split(r"(\\?[{}])", text):
        if piece == "{":
            stack.append([])
        elif piece == "}":
            inner = stack.pop()
            stack[-1].append(inner)
        elif piece:
            stack[-1].append(piece.removeprefix("\\"))
    return stack[0]


def names(parts: Parts, known: Container[str]) -> tuple[str, ...]:
    """The fields and operands that a text names, each once, in their order."""
    return tuple(dict.fromkeys(word for word in _words(parts) if word in known))


def _words(parts: Parts) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield from TOKEN.findall(part)
        else:
            yield from _words(part)


def pattern(parts: Parts, fields: tuple[str, ...], isa: Isa) -> re.Pattern[str]:
    """A pattern of an operand text with a group for each field; a field that comes twice must be the same.

    Spaces may stand anywhere and # may be left out, but something must part two words.
    """
    seen: set[str] = set()
    word = False  # what stands just before is a word

    def pattern(parts: Parts) -> str:
        nonlocal word
        text = ""
        for part in parts:
            if not isinstance(part, str):
                text += f"(?:{pattern(part)})?"
                word = False
                continue
            for token in TOKEN.findall(part):
                if token == "#":
                    text += r"(?:\s+#?|\s*#)" if word else r"\s*#?"
                    word = False
                    continue
                before, word = word, token not in "(),[]{}!"
                text += r"\s+" if before and word else r"\s*"
                if token not in fields:
                    text += f"(?:{'|'.join(map(re.escape, _spellings(token, isa)))})"
                elif token in seen:
                    text += f"(?P=g{fields.index(token)})"
                else:
                    seen.add(token)
                    text += f"(?P<g{fields.index(token)}>{_OPERAND})"
        return text

    return re.compile(pattern(parts))


def _spellings(token: str, isa: Isa) -> list[str]:
    """What may be written for a literal of a template: a register has a name and a number."""
    for file in isa.files.values():
        if token in file.names:
            return [token, f"{file.name}{file.names.index(token)}"]
    return [token]
