"""How vector operands are written: v registers, the mask, and vtype. Text only: nothing here has a meaning."""

from __future__ import annotations

from typing import Final

from polyvm.isa.spec import Syntax

SEWS: Final = ("e8", "e16", "e32", "e64")
LMULS: Final = ("m1", "m2", "m4", "m8", "4", "mf8", "mf4", "mf2")


def table() -> dict[str, Syntax]:
    """The Syntax of each kind of field that vectors add."""
    return {
        "vector": Syntax(lambda value, bits: f"v{value}", _read_register),
        "vector_mask": Syntax(lambda value, bits: "v0.t", _read_mask, default=lambda name: 1),
        "vsew": _one_of(SEWS),
        "vlmul": _one_of(LMULS),
        "vta": _one_of(("tu", "ta")),
        "vma": _one_of(("mu", "ma")),
    }


def _read_register(text: str, bits: int) -> int:
    if text[:1] != "v" or not text[1:].isdigit() or not 0 <= int(text[1:]) < 32:
        raise ValueError(f"{text!r} is no vector register")
    return int(text[1:])


def _read_mask(text: str, bits: int) -> int:
    if text != "v0.t":
        raise ValueError(f"{text!r} is no mask: it is written v0.t")
    return 0


def _one_of(names: tuple[str, ...]) -> Syntax:
    """A field that is written as a name; what has none, as a number."""

    def read(text: str, bits: int) -> int:
        return names.index(text) if text in names else int(text, 0)

    return Syntax(lambda value, bits: (names[value : value + 1] or ("",))[0] or str(value), read)


ALIASES: Final = (
    ("vneg.v vd, vs2, vm", "vrsub.vx vd, vs2, zero, vm"),
    ("vnot.v vd, vs2, vm", "vxor.vi vd, vs2, -1, vm"),
    ("vmmv.m vd, vs2", "vmand.mm vd, vs2, vs2"),
    ("vmclr.m vd", "vmxor.mm vd, vd, vd"),
    ("vmset.m vd", "vmxnor.mm vd, vd, vd"),
    ("vmnot.m vd, vs2", "vmnand.mm vd, vs2, vs2"),
)
