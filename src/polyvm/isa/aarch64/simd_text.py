"""How A64 assembly writes vector registers, their lanes and lists, and the fields that say what lanes there are.

Text only: nothing here has a meaning. A field that begins with T holds size and Q, the arrangement: 0 is 8B, 1 is 16B
and so on to 7, which is 2D; F holds the lower bit of size and Q, which of 2S, 4S and 2D it is, and sz that bit alone;
one that begins with size holds the size of a lane, Q the length of the vector. In texts,
Vd.T is a vector in the arrangement that T says, Vd.B one of bytes as long as Q says, Vd.16b one that is always so; low,
full, wide and long say how an arrangement goes with a field that does not hold all of it; E is a scalar as wide as a
lane, L one of twice that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from polyvm.isa.spec import Field, Operand, Syntax

Values = Mapping[str, int]

ARRANGEMENTS: Final = ("8b", "16b", "4h", "8h", "2s", "4s", "1d", "2d")
LETTERS: Final = "bhsd"
REGISTERS: Final = ("d", "n", "m", "t")

FIELDS: Final = {
    **{f"V{name}": Field("register", 5, "q") for name in REGISTERS},
    "T": Field("arrangement", 3, shape=(0, 1, 2, 3, 4, 5, 7)),
    "T_any": Field("arrangement", 3, shape=tuple(range(8))),
    "T_bhs": Field("arrangement", 3, shape=(0, 1, 2, 3, 4, 5)),
    "T_bh": Field("arrangement", 3, shape=(0, 1, 2, 3)),
    "T_hs": Field("arrangement", 3, shape=(2, 3, 4, 5)),
    "T_across": Field("arrangement", 3, shape=(0, 1, 2, 3, 5)),
    "F": Field("arrangement", 2, shape=(0, 1, 3)),
    "sz": Field("arrangement", 1, shape=(0, 1)),
    "Q": Field("arrangement", 1, shape=(0, 1)),
    "size": Field("arrangement", 2, shape=(0, 1, 2, 3)),
    "size_bhs": Field("arrangement", 2, shape=(0, 1, 2)),
    "size_b": Field("arrangement", 2, shape=(0,)),
    "size_d": Field("arrangement", 2, shape=(3,)),
    "size_hs": Field("arrangement", 2, shape=(1, 2)),
    "lane": Field("unsigned"),
    "into": Field("unsigned"),
    "offset8": Field("unsigned", 3, shape=tuple(range(8))),
    "offset16": Field("unsigned", 4, shape=tuple(range(16))),
    "lshift": Field("unsigned"),
    "rshift": Field("rshift"),  # from the width of a lane down to 1
    "imm8": Field("unsigned", 8),
    "amount": Field("bytes"),  # of a shift, in bytes
}  # fmt: skip
"""Fields of SIMD instructions. `lane` is a lane by number, `into` one that is written beside it; offset8 and offset16
are the first byte that EXT takes."""
T_FIELDS: Final = tuple(name for name in FIELDS if name[0] == "T")
SIZE_FIELDS: Final = tuple(name for name in FIELDS if name.startswith("size"))

SYNTAX: Final = {
    "rshift": Syntax(
        lambda value, bits: str((1 << bits) - value),
        lambda text, bits: (1 << bits) - int(text, 0),
    ),
    "bytes": Syntax(lambda value, bits: str(8 * value), lambda text, bits: _times(text, 8)),
}


def _times(text: str, step: int) -> int:
    if int(text, 0) % step:
        raise ValueError(f"{text} is not a multiple of {step}")
    return int(text, 0) // step


def agreed(found: dict[str, int], known: Values) -> dict[str, int]:
    """What an operand says, unless another one has said otherwise."""
    for name, value in found.items():
        if known.get(name, value) != value:
            raise ValueError(f"operands do not go together: {name} is {known[name]} and {value}")
    return found


def _number(text: str, letter: str) -> int:
    if not (
        text[:1] == letter and text[1:].isdecimal() and str(int(text[1:])) == text[1:] and int(text[1:]) < 32
    ):
        raise ValueError(f"{text!r} is no register {letter}0 to {letter}31")
    return int(text[1:])


def vector(register: str, field: str, names: Mapping[int, str], step: int = 0) -> Operand:
    """A vector register in one of these arrangements, by the value of a field; without a field, in the only one.

    step: how many registers it comes after the one that the field `register` names, as in a list.
    """
    values_of = {name: value for value, name in names.items()}

    def show(values: Values) -> str:
        return f"v{(values[register] + step) % 32}.{names[values[field] if field else 0]}"

    def read(text: str, values: Values) -> dict[str, int]:
        head, _, name = text.partition(".")
        if name not in values_of:
            raise ValueError(f"{text!r} is none of {', '.join(names.values())}")
        found = {register: (_number(head, "v") - step) % 32}
        return agreed(found | ({field: values_of[name]} if field else {}), values)

    return Operand((register, field) if field else (register,), show, read)


def scalar(register: str, field: str, letters: Mapping[int, str]) -> Operand:
    """The low end of a vector register, named by how much of it: by the value of a field, or in the only way."""
    values_of: dict[str, list[int]] = {}
    for value, letter in letters.items():
        values_of.setdefault(letter, []).append(value)

    def show(values: Values) -> str:
        return f"{letters[values[field] if field else 0]}{values[register]}"

    def read(text: str, values: Values) -> dict[str, int]:
        if text[:1] not in values_of:
            raise ValueError(f"{text!r} is no register {' or '.join(values_of)}")
        found, possible = {register: _number(text, text[0])}, values_of[text[0]]
        if field and len(possible) == 1:
            found[field] = possible[0]
        elif (
            field in values and values[field] not in possible
        ):  # the other operand says how many lanes there are
            raise ValueError(f"{text!r} is not as wide as a lane")
        return agreed(found, values)

    return Operand((register, field) if field else (register,), show, read)


def computed(fields: tuple[str, ...], value: Callable[[Values], int]) -> Operand:
    """A number that follows from other fields."""

    def read(text: str, values: Values) -> dict[str, int]:
        if all(name in values for name in fields) and int(text, 0) != value(values):
            raise ValueError(f"{text} is not {value(values)}")
        return {}

    return Operand(fields, lambda values: str(value(values)), read)


def _expanded(imm8: int) -> int:
    """Each bit as a byte."""
    return sum(0xFF << 8 * bit for bit in range(8) if imm8 >> bit & 1)


def _bytes_mask() -> Operand:
    values_of = {_expanded(imm8): imm8 for imm8 in range(256)}

    def read(text: str, values: Values) -> dict[str, int]:
        number = int(text, 0) & (1 << 64) - 1
        if number not in values_of:
            raise ValueError(f"{text} has bytes that are neither 0 nor 255")
        return {"imm8": values_of[number]}

    return Operand(("imm8",), lambda values: hex(_expanded(values["imm8"])), read)


def _number8() -> Operand:
    """A number with four bits of its fraction and three of its exponent (VFPExpandImm in the shared pseudocode)."""

    def value(imm8: int) -> float:
        exponent = (imm8 >> 4 & 7 ^ 4) - 3
        return (-1.0 if imm8 >> 7 else 1.0) * (16 + (imm8 & 15)) / 16 * 2.0**exponent

    values_of = {value(imm8): imm8 for imm8 in range(256)}

    def read(text: str, values: Values) -> dict[str, int]:
        if float(text) not in values_of:
            raise ValueError(f"{text} is none of the numbers that eight bits stand for")
        return {"imm8": values_of[float(text)]}

    return Operand(("imm8",), lambda values: f"{value(values['imm8']):.8f}", read)


_BY_T: Final = dict(enumerate(ARRANGEMENTS))
_LONG: Final = {0: "4h", 1: "8h", 2: "2s", 3: "4s", 4: "1d", 5: "2d"}
"""Half as many lanes, twice as wide."""
_BY_SIZE: Final = {
    "low": dict(enumerate(ARRANGEMENTS[::2])),
    "full": dict(enumerate(ARRANGEMENTS[1::2])),
    "wide": dict(enumerate(ARRANGEMENTS[3::2])),
}
LISTED: Final = ("", "2", "3", "4")
"""What is behind the first, second, third and fourth register of a list."""

OPERANDS: Final = {
    **{f"V{x}.{t}": vector(f"V{x}", t, _BY_T) for x in REGISTERS for t in T_FIELDS},
    **{f"V{x}.F": vector(f"V{x}", "F", dict(enumerate(ARRANGEMENTS[4:]))) for x in REGISTERS},
    **{f"V{x}.long.{t}": vector(f"V{x}", t, _LONG) for x in REGISTERS for t in T_FIELDS},
    **{
        f"V{x}.{letter.upper()}": vector(f"V{x}", "Q", dict(enumerate(ARRANGEMENTS[2 * place : 2 * place + 2])))
        for x in REGISTERS
        for place, letter in enumerate(LETTERS)
    },
    **{f"V{x}.{name}": vector(f"V{x}", "", {0: name}) for x in REGISTERS for name in (*ARRANGEMENTS, *LETTERS)},
    **{
        f"V{x}.{how}.{size}": vector(f"V{x}", size, names)
        for x in REGISTERS
        for how, names in _BY_SIZE.items()
        for size in SIZE_FIELDS
    },
    **{f"V{x}.halves": vector(f"V{x}", "Q", {0: "2h", 1: "4h"}) for x in "nm"},
    # What stands beside no other arrangement: a pair, a quad word, four bytes that go by number, a fourth register
    "Vn.2h": vector("Vn", "", {0: "2h"}),
    "Vd.1q": vector("Vd", "", {0: "1q"}),
    "Vm.4b": vector("Vm", "", {0: "4b"}),
    "Vm.2h": vector("Vm", "", {0: "2h"}),
    "Va.16b": vector("Va", "", {0: "16b"}),
    **{f"{letter.upper()}{x}": scalar(f"V{x}", "", {0: letter}) for x in REGISTERS for letter in "bhsdq"},
    **{f"E{x}.sz": scalar(f"V{x}", "sz", {0: "s", 1: "d"}) for x in REGISTERS},
    **{
        f"{kind}{x}.{field}": scalar(
            f"V{x}", field, {value: (LETTERS + "q")[(value >> (field[0] == "T")) + wider] for value in values}
        )
        for kind, wider in (("E", 0), ("L", 1))
        for x in REGISTERS
        for field, values in {name: FIELDS[name].shape or () for name in (*T_FIELDS, *SIZE_FIELDS)}.items()
    },
    # Lists
    **{
        f"V{x}{which}.{t}": vector(f"V{x}", t, _BY_T, step)
        for x in ("t",)
        for t in T_FIELDS
        for step, which in enumerate(LISTED[1:], 1)
    },
    **{
        f"V{x}{which}.{name}": vector(f"V{x}", "", {0: name}, step)
        for x in ("t", "n")
        for name in ("16b", *LETTERS)
        for step, which in enumerate(LISTED[1:], 1)
    },
    **{
        f"bytes{count}.{t}": computed((t,), lambda values, count=count, t=t: count * (8 << (values[t] & 1)))  # type: ignore[misc]
        for count in range(1, 5)
        for t in T_FIELDS
    },
    **{
        f"element{count}.{t}": computed((t,), lambda values, count=count, t=t: count << (values[t] >> 1))  # type: ignore[misc]
        for count in range(1, 5)
        for t in T_FIELDS
    },
    "mask64": _bytes_mask(),
    "fimm8": _number8(),
    # A shift by the width of a lane
    "width.size_bhs": computed(("size_bhs",), lambda values: 8 << values["size_bhs"]),
}  # fmt: skip
