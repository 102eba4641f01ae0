"""How stencils are cut out of an object: what is refused, and what the table says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from polyvm.engine import cut, stencil
from polyvm.engine.entries import PIECES, handlers
from polyvm.engine.flatten import Reference, Symbol
from polyvm.errors import PolyvmError
from tests.isa.riscv64.machine import ISA

FLAT = SimpleNamespace(references=[], code=b"", defined={})


@pytest.mark.parametrize(
    ("kind", "symbol"),
    [
        (9, Symbol("elsewhere", None, 0)),  # R_X86_64_GOTPCREL
        (2, Symbol("elsewhere", None, 0)),  # R_X86_64_PC32, but to nowhere
        (1, Symbol("elsewhere", 16, 0)),  # R_X86_64_64 of what is no hole
        (99, Symbol("hole.here.100000000", None, 0)),
    ],
)
def test_what_there_is_no_hole_for_is_refused(kind: int, symbol: Symbol) -> None:
    cutter = cut.Cutter(ISA, FLAT)  # type: ignore[arg-type]  # it has what is used of it
    with pytest.raises(PolyvmError, match="no hole for") as caught:
        cutter._hole(Reference(20, kind, symbol, 0), 16, 64, None)
    assert caught.value.code == "PVM-COMPILE-FAILED"
    assert caught.value.context["symbol"] == symbol.name


def test_numbers_follow_each_other() -> None:
    """A handler's number is where the table has its stencil, and jumps by a distance have two."""
    number = PIECES
    for entry in handlers(ISA):
        if entry.again:
            assert entry.number < number
            continue
        assert entry.number == number
        names = stencil.names(entry)
        assert len(names) == entry.ways
        number += entry.ways
    jumps = {entry.insn.name for entry in handlers(ISA) if entry.ways == 2}
    assert {"beq", "bne", "blt", "bge", "bltu", "bgeu", "jal", "c.j", "c.beqz", "c.bnez"} == jumps


def test_the_text_has_a_hole_for_every_field_it_reads() -> None:
    _, text = stencil.module(ISA)
    for name in (
        "hole.register.x.rs1",
        "hole.written.x.rd",
        "hole.field.imm",
        "hole.target.offset",
        "hole.pc",
    ):
        assert name in text
