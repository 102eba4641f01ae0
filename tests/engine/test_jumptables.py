"""Where jumps through tables lead, in the code that compilers write for a switch."""

from __future__ import annotations

import pytest

from polyvm.engine.jumptables import Tables
from polyvm.isa import aarch64, riscv64
from polyvm.isa.spec import Isa
from tests.engine.assembly import Program

RISCV64, AARCH64 = riscv64.load(), aarch64.load()
CASES = ["one", "two", "three", "four", "five"]


def found(isa: Isa, text: str, size: int, base: str, shift: int = 0, after: bytes = b"") -> list[str]:
    """What is found of the jump at `jump`, by labels. The table is at the label `table`: distances from a label, or
    addresses, of so many bytes.
    """
    code = Program(text, isa=isa)
    data = code.distances(*CASES, base=base, size=size, shift=shift) + after

    def read(address: int, length: int) -> bytes:
        at = address - code["table"]
        return data[at : at + length] if 0 <= at <= len(data) else b""

    tables = Tables(isa, code.fetch, read, lambda _: (code["start"], code["table"]))
    targets = tables(code["jump"])
    assert targets is tables(code["jump"])  # it is not looked for again
    return [code.name(target) for target in targets]


BEHIND = """
    one:   addi a0, a0, 1
    two:   addi a0, a0, 2
    three: addi a0, a0, 3
    four:  c.nop
    five:  addi a0, a0, 5
    away:  c.jr ra
    table:
"""

RELATIVE = """
    start: addi a4, zero, 4
           bltu a4, a0, away
           auipc a2, %hi(table)
           addi a2, a2, %lo(table)
           slli a1, a0, 2
           add a1, a1, a2
           lw a1, 0(a1)
           add a1, a1, a2
    jump:  c.jr a1
"""
ABSOLUTE = """
    start: addi a1, a0, -48
           addi a4, zero, 4
           bltu a4, a1, away
           auipc a2, %hi(table)
           addi a2, a2, %lo(table)
           slli a1, a1, 3
           add a1, a1, a2
           ld a1, 0(a1)
    jump:  c.jr a1
"""
# The table's address and its size are in registers long before, and what the index is made of is not known.
HOISTED = """
    start: auipc s2, %hi(table)
           addi s2, s2, %lo(table)
           addi s3, zero, 4
    loop:  lbu a1, 0(s1)
           addi s1, s1, 1
           bltu s3, a1, away
           sh2add a1, a1, s2
           lw a1, 0(a1)
           add a1, a1, s2
    jump:  c.jr a1
"""
UNBOUNDED = """
    start: lbu a1, 0(s1)
           auipc a2, %hi(table)
           addi a2, a2, %lo(table)
           sh2add a1, a1, a2
           lw a1, 0(a1)
           add a1, a1, a2
    jump:  c.jr a1
"""


@pytest.mark.parametrize(
    ("text", "size", "base"),
    [(RELATIVE, 4, "table"), (ABSOLUTE, 8, ""), (HOISTED, 4, "table"), (UNBOUNDED, 4, "table")],
)
@pytest.mark.parametrize("after", [b"", bytes(64)])
def test_tables_of_riscv64(text: str, size: int, base: str, after: bytes) -> None:
    """after: what stands behind the table leads out of the function."""
    assert found(RISCV64, text + BEHIND, size, base, after=after) == CASES


def test_what_stands_behind_a_table_is_not_part_of_it() -> None:
    """Where the index is compared with its size: what is there would be places of the function as well."""
    code = Program(RELATIVE + BEHIND)
    more = code.distances("away", base="table")
    assert found(RISCV64, RELATIVE + BEHIND, 4, "table", after=more * 9) == CASES
    assert found(RISCV64, UNBOUNDED + BEHIND, 4, "table", after=more * 9) == [*CASES, "away"]


A64_BEHIND = """
    one:   add x0, x0, #1
    two:   add x0, x0, #2
    three: add x0, x0, #3
    four:  nop
    five:  add x0, x0, #5
    away:  ret
    table:
"""


@pytest.mark.parametrize("after", [b"", b"\xff" * 64])
@pytest.mark.parametrize(("load", "size"), [("ldrb w10, [x11, x8]", 1), ("ldrh w10, [x11, x8, lsl #1]", 2)])
def test_tables_of_aarch64(load: str, size: int, after: bytes) -> None:
    text = f"""
    start: sub w8, w12, #83
           cmp w8, #4
           b.hi away
           adr x11, table
           adr x9, one
           {load}
           add x9, x9, x10, lsl #2
    jump:  br x9
    """
    assert found(AARCH64, text + A64_BEHIND, size, "one", 2, after) == CASES


def test_what_is_no_table() -> None:
    # A call, a return, a pointer from memory that is not known, and a jump that only one place is known of.
    for text in (
        "start: ld a1, 0(a0)\n jump: c.jalr a1",
        "start: c.nop\n jump: c.jr ra",
        "start: ld a1, 0(a0)\n jump: c.jr a1",
        "start: auipc a1, 0\n addi a1, a1, 16\n jump: c.jr a1",
    ):
        assert found(RISCV64, text + BEHIND, 8, "") == []


def test_a_table_leads_into_no_instruction() -> None:
    """Of those that stand before the jump: what would is read from behind the table's end."""
    code = Program(UNBOUNDED + BEHIND)
    middle = (code["start"] + 6 - code["table"] & 0xFFFF_FFFF).to_bytes(4, "little")
    assert found(RISCV64, UNBOUNDED + BEHIND, 4, "table", after=middle + bytes(16)) == CASES
