"""Which loops are strips, and what is found out about them."""

from __future__ import annotations

import pytest

from polyvm.engine.affine import Linear, Strip, find
from polyvm.engine.liveness import analyse
from tests.engine.assembly import ISA, Program

A0, A1, A2, A3, A4 = (("x", number) for number in range(10, 15))
HEAD = "loop: "
SAXPY = """
    loop: flw fa5, 0(a1)
          flw fa4, 4(a0)
          fmul.s fa5, fa0, fa5
          fadd.s fa5, fa5, fa4
          fsw fa5, 4(a0)
          addi a0, a0, 8
          addi a1, a1, 4
          bne a0, a2, loop
          ecall
"""


def strip(text: str) -> Strip | None:
    """What is found of the loop in a program."""
    program = Program(text)
    region = program.region("loop")
    return find(ISA, region.blocks[program["loop"]], analyse(ISA, region).effects)


def test_saxpy() -> None:
    found = strip(SAXPY)
    assert found is not None
    assert found.steps == {A0: 8, A1: 4}
    assert found.carried == []
    assert found.exposed == [("f", 10), A0, A1, A2]
    assert (found.compare, found.move) == ("ne", 8)
    assert (found.left, found.right) == (Linear(((A0, 1),), 8), Linear(((A2, 1),), 0))
    assert [(s.terms, s.low, s.high, s.step, s.write) for s in found.streams] == [
        (((A1, 1),), 0, 4, 4, False),
        (((A0, 1),), 4, 8, 8, False),
        (((A0, 1),), 4, 8, 8, True),
    ]


def test_an_index_is_scaled_and_added() -> None:
    found = strip("""
        loop: slli t0, a1, 3
              add t0, t0, a0
              ld t1, 16(t0)
              add a3, a3, t1
              addi a1, a1, 1
              blt a1, a2, loop
              ecall
    """)
    assert found is not None
    (stream,) = found.streams
    assert (stream.terms, stream.low, stream.high, stream.step) == (((A0, 1), (A1, 8)), 16, 24, 8)
    assert found.carried == [A3]
    assert (found.compare, found.move) == ("slt", 1)


def test_accesses_that_are_near_are_one_stream() -> None:
    found = strip("""
        loop: ld t1, 0(a0)
              ld t2, -8(a0)
              sd t1, 2040(a1)
              sd t2, -2048(a1)
              addi a0, a0, -16
              addi a1, a1, 16
              c.addi a4, -1
              c.bnez a4, loop
              ecall
    """)
    assert found is not None
    assert [(s.low, s.high, s.step, s.write) for s in found.streams] == [
        (-8, 8, -16, False),
        (-2048, 2048, 16, True),
    ]


def test_what_one_turn_hands_to_the_next_may_be_a_loaded_number() -> None:
    found = strip("""
        loop: fld fa1, 0(a0)
              fadd.d fa2, fa1, fa0
              fsd fa2, 0(a1)
              fsgnj.d fa0, fa1, fa1
              addi a0, a0, 8
              addi a1, a1, 8
              bne a0, a2, loop
              ecall
    """)
    assert found is not None
    assert found.carried == [("f", 10)]


BODY = "ld t1, 0(a0); {} ; addi a0, a0, 8; bne a0, a2, loop; ecall"


@pytest.mark.parametrize(
    "body",
    {
        "a sum in floating point, whose order counts": "fcvt.d.l fa1, t1; fadd.d fa0, fa0, fa1",
        "a sum of loaded numbers": "fld fa1, 0(a0); fadd.d fa0, fa0, fa1",
        "a result that nobody looks at but for its flags": "fld fa1, 0(a0); fmul.d fa2, fa1, fa1",
        "an address out of memory": "ld t2, 0(t1)",
        "an atomic operation": "amoadd.d t2, t1, (a3)",
        "a fence": "fence",
        "the flags of floating point": "fld fa1, 0(a0); fadd.d fa2, fa1, fa1; fsd fa2, 0(a3); csrrs t2, fflags, zero",
        "a rounding mode": "csrrw zero, frm, t1",
        "a mode of rounding of its own": "fld fa1, 0(a0); fadd.d fa2, fa1, fa1, rtz; fsd fa2, 8(a0)",
        "a store that stays where it is": "sd t1, 0(a3)",
        "a step of more than a page": "ld t2, 0(a3); lui t3, 1; addi t3, t3, 8; add a3, a3, t3",
        "a step that changes": "ld t2, 0(a3); addi a4, a4, 8; add a3, a3, a4",
        "a system call": "ecall",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_none(body: tuple[str, str]) -> None:
    assert strip(HEAD + "\n".join(BODY.format(body[1]).split(";"))) is None


def test_the_same_without_that_is_one() -> None:
    assert strip(HEAD + "\n".join(BODY.format("add a3, a3, t1").split(";"))) is not None


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ("bne a0, a2, loop", ("ne", 8)),
        ("bltu a0, a2, loop", ("ult", 8)),
        ("blt a0, a2, loop", ("slt", 8)),
        ("beq a0, a2, loop", None),
        ("bge a2, a0, loop", ("sle", 8)),
        ("bgeu a2, a0, loop", ("ule", 8)),
        ("bltu a2, a0, loop", None),  # it moves away
        ("bne a2, a3, loop", None),  # it stays where it is
    ],
)
def test_how_it_goes_on(branch: str, expected: tuple[str, int] | None) -> None:
    found = strip(f"loop: ld t1, 0(a0)\n addi a0, a0, 8\n {branch}\n ecall")
    assert (found and (found.compare, found.move)) == expected


def test_a_long_block_is_none() -> None:
    assert (
        strip("loop: ld t1, 0(a0)\n" + "add a3, a3, t1\n" * 64 + "addi a0, a0, 8\n bne a0, a2, loop\n ecall")
        is None
    )
