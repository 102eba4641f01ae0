"""riscv64 with the vector extension: the base specification, the registers of V and its instructions, for one VLEN.

A vector instruction is compiled for the vtype that it is met with; its trace asks whether that is the state's. It is no
part of `polyvm.isa.riscv64.load()`: a program without vectors pays nothing for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from polyvm.errors import PolyvmError
from polyvm.isa.riscv64 import extensions, syntax
from polyvm.isa.riscv64.model import CSR
from polyvm.isa.riscv64.registers import VECTOR_SPECIALS, vector_places
from polyvm.isa.riscv64.vector import syntax as vector_syntax
from polyvm.isa.riscv64.vector.machine import (
    END,
    PART_BIT,
    VILL,
    VSTART,
    VTYPE,
    LeftError,
    Machine,
    longest,
    pack,
)
from polyvm.isa.spec import Decoded, Field, Isa, RegisterFile, Shape

if TYPE_CHECKING:
    from polyvm.ir.golden import Memory, State
    from polyvm.ir.trace import Tracer
    from polyvm.isa.spec import Body

VLENS: Final = (128, 256, 512)
"""Bits of a vector register that can be asked for."""
CONTEXT: Final = "context"
BACK: Final = 512
"""Bytes of code before a place in which the vset instruction that it is reached with is looked for."""

VECTOR_CSR: Final = {
    0x008: "vstart", 0x009: "vxsat", 0x00A: "vxrm", 0x00F: "vcsr", 0xC20: "vl", 0xC21: "vtype", 0xC22: "vlenb",
}  # fmt: skip
FIELDS: Final = {
    "vd": Field("vector", 5),
    "vs1": Field("vector", 5),
    "vs2": Field("vector", 5),
    "vs3": Field("vector", 5),
    "vm": Field("vector_mask", 1, shape=(0, 1)),
    "vsew": Field("vsew", 3),
    "vlmul": Field("vlmul", 3),
    "vta": Field("vta", 1),
    "vma": Field("vma", 1),
    "vreserved": Field("unsigned", 3),
}


class VectorIsa(Isa):
    """The specification for one VLEN. Decoded vector instructions get their context by `in_context`."""

    vlen: int = 0
    restarts: dict[str, Callable[[VectorIsa, Mapping[str, int], Callable[[tuple[str, int]], int]], int]]
    """Accesses by mnemonic -> how many elements an instruction has, given its fields and how to read a register."""

    def state_layout(self, base: int) -> dict[tuple[str, int], tuple[int, int]]:
        """As without vectors, whose registers lie behind all others."""
        return extensions.riscv64.state_layout(base) | vector_places(base, self.vlen)

    def is_vector(self, decoded: Decoded) -> bool:
        """Whether an instruction's trace depends on vtype."""
        return decoded.insn.extension.name in VECTOR_EXTENSIONS and decoded.insn.name not in CONFIGURATION

    def in_context(self, decoded: Decoded, context: int | None) -> Decoded:
        """A vector instruction for a context; others as they are."""
        if context is None or not self.is_vector(decoded):
            return decoded
        shape: Shape = (*decoded.shape, (CONTEXT, context))
        fields = {**decoded.fields, END: (1 << 64) - 1} if context & PART_BIT else decoded.fields
        return dataclasses.replace(decoded, shape=shape, fields=fields)

    def state_context(self, read: Callable[[tuple[str, int]], int], *, part: bool = False) -> int | None:
        """The context that the state is in, for the golden evaluator. part: for a single element."""
        return pack(read(VTYPE), self.vlen, part=part or read(VSTART) != 0, golden=True)

    def context_behind(self, decoded: Decoded, context: int | None) -> int | None:
        """What compiled code takes for the context behind an instruction, given that before it."""
        if decoded.insn.name in ("vsetvli", "vsetivli"):
            return self._context(vtype_of(decoded.fields))
        return None if decoded.insn.name == "vsetvl" else context

    def restart(
        self, decoded: Decoded, pc: int, state: State, memory: Memory, fault: type[Exception]
    ) -> int | None:
        """One element after the other."""
        if decoded.insn.name not in self.restarts:
            return None
        from polyvm.isa.riscv64.vector.restart import by_elements

        return by_elements(self, decoded, pc, state, memory, fault)

    def _context(self, vtype: int) -> int:
        return pack(vtype if longest(vtype, self.vlen) else VILL, self.vlen)

    def context_before(self, fetch: Callable[[int, int], bytes], pc: int) -> int | None:
        """A guess at the context of a place in code: that of the nearest vset instruction before it."""
        start = pc
        while start > max(0, pc - BACK) and len(fetch(start - 2, 2)) == 2:
            start -= 2
        code = fetch(start, pc - start)
        for at in range(len(code) - 4, -2, -2):
            word = int.from_bytes(code[at : at + 4], "little")
            if word & 0x7F == 0x57 and word >> 12 & 7 == 7 and (word >> 31 == 0 or word >> 30 == 3):
                return self._context(word >> 20 & (0x7FF if word >> 31 == 0 else 0x3FF))
        return None


def vtype_of(fields: Mapping[str, int]) -> int:
    """The vtype that vsetvli and vsetivli ask for."""
    named = fields["vma"] << 7 | fields["vta"] << 6 | fields["vsew"] << 3 | fields["vlmul"]
    return named | fields["vreserved"] << 8


VECTOR_EXTENSIONS: Final[set[str]] = set()
CONFIGURATION: Final = frozenset({"vsetvli", "vsetivli", "vsetvl"})
_made: dict[int, VectorIsa] = {}
_bodies: list[tuple[str, str, str, str, str, Body]] = []
"""(extension, version, title, text, encoding, body) of every vector instruction, in order."""
RESTARTS: Final[dict[str, Any]] = {}


class Family:
    """An extension, or a part of one: called, it is the decorator that adds an instruction whose body takes a Machine.

    doc: what an instruction does, where its body has no docstring. typed: it needs a legal vtype (3.4.4).
    """

    def __init__(self, name: str, version: str, title: str) -> None:
        VECTOR_EXTENSIONS.add(name)
        self.about = name, version, title

    def __call__(
        self, text: str, encoding: str, doc: str = "", *, typed: bool = True
    ) -> Callable[[Body], Body]:
        def add(body: Body) -> Body:
            body.__doc__ = body.__doc__ or doc
            _bodies.append((*self.about, text, encoding, _on_machine(body, typed)))
            return body

        return add


def _on_machine(body: Body, typed: bool) -> Body:
    def traced(m: Tracer, *, context: int | None = None, **fields: Any) -> None:
        if context is None:
            m.reshape()
            return
        v = Machine(m, context, fields.pop("vm", 1))
        v.begin()
        try:
            if typed:
                v.need_type()
            body(v, **fields)
            v.done()
        except LeftError:
            pass

    traced.__doc__ = body.__doc__
    return traced


def plain(name: str, version: str, title: str, text: str, encoding: str, body: Body) -> None:
    """Add an instruction whose body takes the tracer itself."""
    VECTOR_EXTENSIONS.add(name)
    _bodies.append((name, version, title, text, encoding, body))


def load(vlen: int) -> VectorIsa:
    """The specification for registers of `vlen` bits. Raises PVM-USAGE for a VLEN that is not offered."""
    if vlen not in VLENS:
        raise PolyvmError(
            "PVM-USAGE",
            f"There are no vector registers of {vlen} bits.",
            hint=f"VLEN may be {', '.join(map(str, VLENS))}.",
        )
    if vlen not in _made:
        _made[vlen] = _build(vlen)
    return _made[vlen]


def _build(vlen: int) -> VectorIsa:
    from polyvm.isa.riscv64.vector import families

    assert families.FAMILIES
    base = extensions.riscv64
    csr = {**CSR, **VECTOR_CSR}
    fields = {**base.fields, **FIELDS}
    fields["csr"] = dataclasses.replace(fields["csr"], shape=tuple(csr))
    fields["wcsr"] = dataclasses.replace(fields["wcsr"], shape=tuple(n for n in csr if n >> 10 != 0b11))
    names = tuple(f"v{number}" for number in range(32))
    isa = VectorIsa(
        name=base.name,
        files={**base.files, "v": RegisterFile("v", vlen, len(names), names)},
        specials={**base.specials, **dict.fromkeys(VECTOR_SPECIALS, 64)},
        causes=base.causes,
        fields=fields,
        sizes=base.sizes,
        links=base.links,
        syntax={**syntax.table(csr), **vector_syntax.table()},
        aliases=(*base.aliases, *vector_syntax.ALIASES),
        spellings=base.spellings,
        length=base.length,
    )
    isa.vlen = vlen
    isa.restarts = RESTARTS
    isa.extensions = list(base.extensions)
    isa.insns = [dataclasses.replace(insn, isa=isa) for insn in base.insns]
    declare: dict[str, Callable[[str, str], Callable[[Body], Body]]] = {}
    for name, version, title, text, encoding, body in _bodies:
        if name not in declare:
            declare[name] = isa.extension(name, version, title)
        declare[name](text, encoding)(body)
    return isa
