"""Which checks of alignment a region makes, and what its entries must find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import ndiff

import pytest

from polyvm.engine import settled
from polyvm.engine.alignment import check_of
from polyvm.engine.alignment import settled as without
from polyvm.engine.discover import Placed, Region, discover
from polyvm.engine.region import module
from polyvm.ir.ops import ACCESSES
from polyvm.ir.trace import Trace
from polyvm.isa.aarch64 import load
from polyvm.isa.aarch64.registers import SP
from polyvm.isa.disasm import assemble
from polyvm.isa.spec import Decoded
from tests.engine.assembly import Program

ISA = load()
START = 0x10000
STACK = ("x", SP)


def region(*lines: str, entries: tuple[int, ...] = ()) -> Region:
    """The region of some lines; a target is a line's number behind @."""
    code = b""
    for line in lines:
        head, at, number = line.partition("@")
        text = f"{head}{START + 4 * int(number):#x}" if at else line
        code += assemble(ISA, text, START + len(code))
    found = discover(
        ISA,
        lambda at, length: code[at - START : at - START + length],
        START,
        entries=[START + 4 * n for n in entries],
    )
    assert found is not None
    return found


def checks(region: Region) -> list[int]:
    """The lines whose check is left."""
    return sorted(
        (placed.pc - START) // 4
        for block in region.blocks.values()
        for placed in block.insns
        if any(check_of(op, placed) for op in placed.trace.ops)
    )


FIB = (
    "stp x29, x30, [sp, #-32]!",
    "stp x19, x20, [sp, #16]",
    "mov x29, sp",
    "subs x19, x0, #2",
    "b.lt @10",
    "sub x0, x0, #1",
    "bl @0",
    "mov x20, x0",
    "mov x0, x19",
    "bl @0",
    "ldp x19, x20, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    "ret",
)


def test_a_base_that_is_not_the_stack_pointer_has_no_check() -> None:
    for text, count in (
        ("ldr x0, [x1]", 0),
        ("ldr x0, [sp]", 1),
        ("ldr x0, [x1, x2]", 0),
        ("add sp, sp, #8", 0),
    ):
        decoded = ISA.decode(int.from_bytes(assemble(ISA, text), "little"))
        assert decoded is not None
        trace = settled.trace(decoded, {})
        assert sum(op.op == "if" for op in trace.ops) == count, text
        assert trace is settled.trace(decoded, {})
        assert any(op.op in ACCESSES for op in trace.ops) == text.startswith("ldr")


def test_a_function_looks_at_its_entry_alone() -> None:
    whole = region(*FIB)
    found, entries = without(whole)
    assert checks(whole) == [0, 1, 10, 11]
    assert checks(found) == []
    assert entries[START] == {STACK: 4}
    assert whole.blocks[START].insns[0].trace is not found.blocks[START].insns[0].trace
    assert without(whole)[1] == entries  # a second time, with other places noted


def test_what_is_not_known_is_checked_once() -> None:
    found, _ = without(region("str x0, [sp]", "mov sp, x1", "str x0, [sp]", "str x0, [sp, #8]", "ret"))
    assert checks(found) == [2]
    found, _ = without(
        region("sub sp, sp, #8", "str x0, [sp]", "ldr x1, [sp]", "add sp, sp, #8", "str x0, [sp]", "ret")
    )
    assert checks(found) == [1, 4]


def test_registers_that_it_was_copied_to_and_from() -> None:
    found, _ = without(
        region("stp x29, x30, [sp, #-16]!", "mov x29, sp", "mov sp, x29", "ldp x29, x30, [sp], #16", "ret")
    )
    assert checks(found) == []
    found, _ = without(region("and x9, x0, #-16", "mov sp, x9", "str x0, [sp]", "ret"))
    assert checks(found) == []
    found, _ = without(region("sub sp, sp, x0, lsl #4", "str x0, [sp]", "ret"))
    assert checks(found) == []
    found, _ = without(region("sub sp, sp, x0, lsl #3", "str x0, [sp]", "ret"))
    assert checks(found) == [1]


def test_ways_that_meet_know_what_both_know() -> None:
    lines = ("cbz x0, @2", "mov sp, x1", "str x0, [sp]", "subs x0, x0, #1", "b.ne @2", "ret")
    found, entries = without(region(*lines))
    assert checks(found) == [2]
    # An entry is a way too: where the others know nothing, it need not find anything.
    found, entries = without(region(*lines, entries=(2,)))
    assert checks(found) == [2]
    assert entries[START + 8] == {}


def test_no_demand_no_change() -> None:
    whole = region("ldr x0, [x1]", "add x0, x0, #1", "ret")
    found, entries = without(whole)
    assert found is whole
    assert entries == {START: {}}


def test_compiled_code_pays_at_its_entries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a recursive function with its checks and without: two lines and a branch at a gate, and no more."""
    own = settled.trace

    def unchecked(decoded: Decoded, options: Mapping[str, int]) -> Trace:
        trace = own(decoded, options)
        placed = Placed(START, decoded, trace)
        return replace(trace, ops=tuple(op for op in trace.ops if check_of(op, placed) is None))

    def shape(text: str) -> list[str]:
        """Lines without the numbers of names."""
        return [re.sub(r"(%[a-z]+|^[a-z]+)\d+\b", r"\1", line) for line in text.splitlines()]

    checked = shape(module(ISA, region(*FIB)))
    monkeypatch.setattr(settled, "trace", unchecked)
    plain = shape(module(ISA, region(*FIB)))
    more = [line for line in ndiff(plain, checked) if line.startswith("+ ")]
    gates = sum(line.startswith("G") for line in checked)
    assert gates == 2
    assert [line for line in more if " and i64 " in line] == ["+   %t = and i64 %t, 15"] * gates
    assert len(more) == 7 * gates
    assert len(checked) == len(plain) + 6 * gates


def test_an_address_of_an_atomic_operation_is_demanded_of_no_entry() -> None:
    """Other values are in its register elsewhere; an entry that looked at them would send everyone to the evaluator."""
    code = Program("""
        start: c.beqz a0, out
               add a5, a1, a2
               amoadd.w a3, a4, (a5)
        loop:  addi a0, a0, -1
               bne a0, zero, loop
        out:   c.jr ra
    """)
    found, entries = without(code.region(entries=["loop", "out"]))
    assert entries == {code["start"]: {}, code["loop"]: {}, code["out"]: {}}
    # One that is never given another value is looked at there: all checks ask the same.
    code = Program("""
        start: amoadd.w a3, a4, (a5)
        loop:  addi a0, a0, -1
               amoadd.w a3, a4, (a5)
               bne a0, zero, loop
               c.jr ra
    """)
    found, entries = without(code.region(entries=["loop"]))
    assert entries == {code["start"]: {("x", 15): 2}, code["loop"]: {("x", 15): 2}}
    assert not [p for b in found.blocks.values() for p in b.insns for op in p.trace.ops if check_of(op, p)]
    # And one whose check is on every way from there, though it changes later.
    code = Program("""
        start: amoadd.w a3, a4, (a5)
               addi a5, a1, 3
               c.jr ra
    """)
    _, entries = without(code.region())
    assert entries == {code["start"]: {("x", 15): 2}}
