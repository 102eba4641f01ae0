"""How A64 assembly writes registers, extensions, conditions and immediates.

Text only: nothing here has a meaning. Names are those of the manual (C1.2, "Structure of the A64 assembler language").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from polyvm.isa.aarch64.registers import SP, W_NAMES, X_NAMES, XZR
from polyvm.isa.spec import Operand, Syntax

Values = Mapping[str, int]

CONDITIONS: Final = (
    "eq",
    "ne",
    "hs",
    "lo",
    "mi",
    "pl",
    "vs",
    "vc",
    "hi",
    "ls",
    "ge",
    "lt",
    "gt",
    "le",
    "al",
    "nv",
)
SHIFTS: Final = ("lsl", "lsr", "asr", "ror")
EXTENSIONS: Final = ("uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx")
UXTW, UXTX = 2, 3
# DMB and DSB: the domain and the kinds of accesses (C6.2, DMB).
BARRIERS: Final = {
    1: "oshld", 2: "oshst", 3: "osh", 5: "nshld", 6: "nshst", 7: "nsh", 9: "ishld", 10: "ishst", 11: "ish",
    13: "ld", 14: "st", 15: "sy",
}  # fmt: skip
# PRFM: what is done, at which cache, how often it is used (C6.2, PRFM).
PREFETCHES: Final = {
    kind << 3 | level << 1 | policy: f"{('pld', 'pli', 'pst')[kind]}l{level + 1}{('keep', 'strm')[policy]}"
    for kind in range(3)
    for level in range(3)
    for policy in range(2)
}


def table(system: dict[int, str]) -> dict[str, Syntax]:
    """The Syntax of each kind of field in model.py that needs one; `system` has the names of system registers."""
    return {
        "condition": _named(dict(enumerate(CONDITIONS)) | {2: "cs", 3: "cc"}, CONDITIONS),
        "shift": _named(dict(enumerate(SHIFTS)), SHIFTS),
        "index": _named({2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx"}, default=3),
        "shift12": Syntax(lambda value, bits: str(12 * value), lambda text, bits: _one_of(text, (0, 12))),
        "barrier": _named(BARRIERS),
        "prefetch": _named(PREFETCHES),
        "full": Syntax(default=lambda name: 15),
        "system": _named(system),
        "float": Syntax(lambda value, bits: f"{_immediate(value):.8f}", lambda text, bits: _float(text)),
        "fraction": Syntax(
            lambda value, bits: str((1 << bits) - value), lambda text, bits: (1 << bits) - int(text, 0)
        ),
    }


def _immediate(imm8: int) -> float:
    """The number that eight bits stand for (VFPExpandImm)."""
    number = (16 + (imm8 & 15)) / 16 * 2.0 ** ((imm8 >> 4 & 3) + (-3 if imm8 & 0x40 else 1))
    return -number if imm8 & 0x80 else number


_FLOATS: Final = {_immediate(imm8): imm8 for imm8 in range(256)}


def _float(text: str) -> int:
    number = float(text)
    if number not in _FLOATS:
        raise ValueError(f"{text} is no number of eight bits")
    return _FLOATS[number]


def _one_of(text: str, numbers: tuple[int, ...]) -> int:
    """The place of a number among those that can stand there."""
    if int(text, 0) not in numbers:
        raise ValueError(f"{text} is none of {', '.join(map(str, numbers))}")
    return numbers.index(int(text, 0))


def _named(names: dict[int, str], shown: tuple[str, ...] = (), default: int | None = None) -> Syntax:
    """Values that have names; others are numbers. `shown`: the names that are printed where there are several."""
    printed = dict(enumerate(shown)) or names
    values = {name: value for value, name in (*names.items(), *printed.items())}

    def read(text: str, bits: int) -> int:
        return values[text] if text in values else int(text.removeprefix("#"), 0)

    return Syntax(
        lambda value, bits: printed.get(value, f"#{value}"),
        read,
        None if default is None else lambda name: default,
    )


# -- Registers: Wd and Xd are the two names of the field Rd
def _register(field: str, names: tuple[str, ...], default: int | None = None) -> Operand:
    numbers = {name: number for number, name in enumerate(names)}
    allowed = SP if field.endswith("_sp") else XZR

    def read(text: str, values: Values) -> dict[str, int]:
        number = numbers.get(text)
        if number is None or (number >= XZR and number != allowed):
            raise ValueError(f"{text!r} cannot stand for {names[0][0].upper()}{field[1:]}")
        return {field: number}

    return Operand(
        (field,),
        lambda values: names[values[field]],
        read,
        lambda values: None if default is None else {field: default},
    )


def _next(field: str, names: tuple[str, ...]) -> Operand:
    """The register after one that is named before."""

    def read(text: str, values: Values) -> dict[str, int]:
        if text != names[values[field] + 1]:
            raise ValueError(f"{text!r} does not follow {names[values[field]]}")
        return {}

    return Operand((field,), lambda values: names[values[field] + 1], read)


def _either(field: str, other: str, wide: tuple[int, ...]) -> Operand:
    """A register that is named X where another field has one of these values, else W."""
    w, x = _register(field, W_NAMES), _register(field, X_NAMES)

    def read(text: str, values: Values) -> dict[str, int]:
        if other in values:
            return (x if values[other] in wide else w).read(text, values)
        return (x if text[:1] == "x" else w).read(text, values)

    return Operand((field,), lambda values: (x if values[other] in wide else w).show(values), read)


# -- The extension of a register that is added: LSL is the name of doing nothing where the stack pointer takes part
def _extension(nothing: int) -> Operand:
    def stack(values: Values) -> bool:
        return SP in (values.get("Rd_sp"), values.get("Rn_sp"))

    def show(values: Values) -> str:
        value = values["option"]
        return "lsl" if value == nothing and stack(values) else EXTENSIONS[value]

    def read(text: str, values: Values) -> dict[str, int]:
        if text == "lsl" and (stack(values) or "Rn_sp" not in values):
            return {"option": nothing}
        if text not in EXTENSIONS:
            raise ValueError(f"{text!r} is no extension of a register")
        return {"option": EXTENSIONS.index(text)}

    return Operand(("option",), show, read, lambda values: {"option": nothing} if stack(values) else None)


# -- Whether an index is shifted by the size of what is accessed
def _scaling(amount: int) -> Operand:
    def read(text: str, values: Values) -> dict[str, int]:
        if amount == 0 and text == "0":  # a byte is shifted by nothing, and that it is is said
            return {"S": 1}
        return {"S": _one_of(text, (0, amount))}

    return Operand(("S",), lambda values: str(amount if values["S"] else 0), read, lambda values: {"S": 0})


# -- What a comparison with zero has in place of a register
def _zero() -> Operand:
    def read(text: str, values: Values) -> dict[str, int]:
        if float(text.removeprefix("#")) != 0:
            raise ValueError(f"{text} is not 0.0")
        return {}

    return Operand((), lambda values: "0.0", read)


# -- Bit masks (C6.2, AND (immediate); "DecodeBitMasks" of the shared pseudocode)
def mask(element: int, bits: int, imms: int, immr: int) -> int:
    """A run of imms + 1 ones, rotated right by immr in elements of so many bits, and repeated."""
    ones = (1 << imms + 1) - 1
    rotated = ones >> immr | ones << element - immr
    return (rotated & (1 << element) - 1) * (((1 << bits) - 1) // ((1 << element) - 1))


@lru_cache(maxsize=16)
def _masks(element: int, bits: int) -> dict[int, tuple[int, int]]:
    return {
        mask(element, bits, imms, immr): (imms, immr)
        for imms in range(element - 1)
        for immr in range(element)
    }


def _bitmask(element: int, bits: int) -> Operand:
    def read(text: str, values: Values) -> dict[str, int]:
        found = _masks(element, bits).get(int(text, 0) & (1 << bits) - 1)
        if found is None:
            raise ValueError(f"{text} is no repeated run of ones")
        return dict(zip(("imms", "immr"), found, strict=True))

    return Operand(
        ("imms", "immr"), lambda values: hex(mask(element, bits, values["imms"], values["immr"])), read
    )


def _any_bitmask(bits: int) -> Operand:
    """For aliases: a mask with elements of whatever size."""

    def read(text: str, values: Values) -> dict[str, int]:
        if not any(int(text, 0) & (1 << bits) - 1 in _masks(size, bits) for size in ELEMENTS if size <= bits):
            raise ValueError(f"{text} is no repeated run of ones")
        return {}

    return Operand((), lambda values: "", read)


ELEMENTS: Final = (64, 32, 16, 8, 4, 2)

OPERANDS: Final = {
    **{
        f"W{name}": _register(f"R{name}", W_NAMES)
        for name in ["d", "n", "m", "a", "t", "s", "t2", "d_sp", "n_sp"]
    },
    **{
        f"X{name}": _register(f"R{name}", X_NAMES)
        for name in ["d", "n", "m", "a", "t", "s", "t2", "d_sp", "n_sp", "m_sp", "t_sp"]
    },
    **{
        f"{letter.upper()}{name}": _register(f"V{name}", tuple(f"{letter}{number}" for number in range(32)))
        for letter in "bhsdq"
        for name in ["d", "n", "m", "a", "t", "t2"]
    },
    **{f"V{name}.d": _register(f"V{name}", tuple(f"v{number}.d" for number in range(32))) for name in "dn"},
    "zero": _zero(),
    **{f"W{name}_next": _next(f"R{name}", W_NAMES) for name in "st"},
    **{f"X{name}_next": _next(f"R{name}", X_NAMES) for name in "st"},
    "Xlink": _register("Rn", X_NAMES, default=30),
    "Xrest": _register("Rm", X_NAMES, default=XZR),
    "Rm_option": _either("Rm", "option", wide=(3, 7)),
    "Rm_index": _either("Rm", "index", wide=(3, 7)),
    "Rt_bit": _either("Rt", "bit", wide=tuple(range(32, 64))),
    "W_extend": _extension(UXTW),
    "X_extend": _extension(UXTX),
    **{f"S{amount}": _scaling(amount) for amount in range(5)},
    **{f"W_mask{element}": _bitmask(element, 32) for element in ELEMENTS if element <= 32},
    **{f"X_mask{element}": _bitmask(element, 64) for element in ELEMENTS},
    "W_mask": _any_bitmask(32),
    "X_mask": _any_bitmask(64),
}
