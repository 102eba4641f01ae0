"""Traces as text: every op of every instruction can be written, and values are named before they are used."""

from __future__ import annotations

import re

from polyvm.debug import optext
from polyvm.ir.trace import Tracer
from polyvm.isa.riscv64 import load


def text(name: str) -> list[str]:
    """The lines of an instruction with one shape."""
    isa = load()
    (insn,) = (insn for insn in isa.insns if insn.name == name)
    (shape,) = insn.shapes()
    return optext.lines(isa.trace(insn, shape))


def test_an_instruction() -> None:
    lines = text("beq")
    assert any(re.fullmatch(r"%\d+ = eq i1 %\d+, %\d+", line) for line in lines)
    condition = next(line.split()[0] for line in lines if " = eq " in line)
    at = lines.index(f"if {condition}:")
    assert lines[at + 1].startswith("  ")


def test_values_are_named_before_they_are_used() -> None:
    isa = load()
    written = 0
    for insn in isa.insns:
        for shape in insn.shapes():
            named: set[str] = set()
            for line in optext.lines(isa.trace(insn, shape)):
                new, equals, rest = line.strip().partition(" = ")
                uses = re.findall(r"%\d+", rest if equals else new)
                assert set(uses) <= named, (insn.name, line)
                if equals:
                    assert new not in named
                    named.add(new)
                written += 1
    assert written > 2000


def test_lanes() -> None:
    m = Tracer({}, 4)
    a = m.emit("field", 64, (), "a").lanes(16)
    m.fadd(a.slt(5).select(a, a.pick([1, 0, 3, -1])), a, 2)
    assert optext.lines(m.trace()) == [
        "%1 = field i64 a",
        "%2 = lanes i4 4 x slt %1, 0x5000500050005",
        "%3 = shuffle i64 (16, (1, 0, 3, -1)) %1",
        "%4 = lanes i64 4 x select %2, %1, %3",
        "%5 = flanes i64 4 x fadd 2 %4, %1",
    ]
