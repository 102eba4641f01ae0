"""Advanced SIMD, floating point of three vectors or scalars: rest of the tables "three same", vectors' and scalars'.

And of two neighbours: the rest of "Advanced SIMD scalar pairwise" and "Advanced SIMD across lanes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import simd_across, simd_same, simd_scalar_same
from polyvm.isa.aarch64.model import described
from polyvm.isa.aarch64.simd import Row, read, write
from polyvm.isa.aarch64.simd_fp import (
    accumulated,
    add,
    deducted,
    distance,
    equal,
    greater,
    greater_equal,
    multiply_extended,
    of_magnitudes,
    reciprocal_root_step,
    reciprocal_step,
)
from polyvm.isa.aarch64.simd_same import pairwise

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Binary, Declare


def maximum(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The greater number; a NaN where one is a NaN."""
    return m.fmaximum(a, b)


def minimum(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The less number; a NaN where one is a NaN."""
    return m.fminimum(a, b)


def maximum_number(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The greater number; the number beside a quiet NaN."""
    return m.fmax(a, b)


def minimum_number(m: Tracer, a: Lanes, b: Lanes) -> Lanes:
    """The less number; the number beside a quiet NaN."""
    return m.fmin(a, b)


# The higher bit of the field size stands before the opcode, whose part it is.
ROWS: Final = (
    Row("fmaxnm", 0, "0 11000", "F", maximum_number, "The greater of lanes; the number beside a quiet NaN."),
    Row("fmla", 0, "0 11001", "F", accumulated, "Add the products of lanes, rounded once.", accumulates=True),
    Row("fadd", 0, "0 11010", "F", add, "Add lanes of floating point."),
    Row("fmulx", 0, "0 11011", "F", multiply_extended, "Multiply lanes; infinity times 0 is 2."),
    Row("fcmeq", 0, "0 11100", "F", equal, "All ones where numbers are equal."),
    Row("fmax", 0, "0 11110", "F", maximum, "The greater of lanes; a NaN where one is a NaN."),
    Row("frecps", 0, "0 11111", "F", reciprocal_step, "2 less the products of lanes, a step to a reciprocal."),
    Row("fminnm", 0, "1 11000", "F", minimum_number, "The less of lanes; the number beside a quiet NaN."),
    Row("fmls", 0, "1 11001", "F", deducted, "Subtract the products of lanes, rounded once.", accumulates=True),
    Row("fsub", 0, "1 11010", "F", lambda m, a, b: m.fsub(a, b), "Subtract lanes of floating point."),
    Row("fmin", 0, "1 11110", "F", minimum, "The less of lanes; a NaN where one is a NaN."),
    Row("frsqrts", 0, "1 11111", "F", reciprocal_root_step,
        "3 less the products of lanes, halved, a step to the reciprocal of a square root."),
    Row("fmaxnmp", 1, "0 11000", "F", pairwise(maximum_number),
        "The greater of neighbouring lanes; the number beside a quiet NaN."),
    Row("faddp", 1, "0 11010", "F", pairwise(add), "Add neighbouring lanes of floating point."),
    Row("fmul", 1, "0 11011", "F", lambda m, a, b: m.fmul(a, b), "Multiply lanes of floating point."),
    Row("fcmge", 1, "0 11100", "F", greater_equal, "All ones where a number is greater or equal."),
    Row("facge", 1, "0 11101", "F", of_magnitudes(greater_equal),
        "All ones where a number without its sign is greater or equal."),
    Row("fmaxp", 1, "0 11110", "F", pairwise(maximum), "The greater of neighbouring lanes; a NaN where one is a NaN."),
    Row("fdiv", 1, "0 11111", "F", lambda m, a, b: m.fdiv(a, b), "Divide lanes of floating point."),
    Row("fminnmp", 1, "1 11000", "F", pairwise(minimum_number),
        "The less of neighbouring lanes; the number beside a quiet NaN."),
    Row("fabd", 1, "1 11010", "F", distance, "How far numbers are apart."),
    Row("fcmgt", 1, "1 11100", "F", greater, "All ones where a number is greater."),
    Row("facgt", 1, "1 11101", "F", of_magnitudes(greater), "All ones where a number without its sign is greater."),
    Row("fminp", 1, "1 11110", "F", pairwise(minimum), "The less of neighbouring lanes; a NaN where one is a NaN."),
)  # fmt: skip
SCALARS: Final = "fmulx fcmeq frecps frsqrts fcmge facge fabd fcmgt facgt"

for row in ROWS:
    high, opcode = row.opcode.split()
    tail = f"01110 {high} $size 1 Vm {opcode} 1 Vn Vd"
    row.declare(simd_same.insn, "Vd.F, Vn.F, Vm.F", f"0 $Q $U {tail}")
    if row.name in SCALARS.split():
        row.on("sz").declare(simd_scalar_same.insn, "Ed.sz, En.sz, Em.sz", f"01 $U 1{tail[1:]}")

# -- Advanced SIMD scalar pairwise, and across lanes
BOTH: Final = (
    ("fmaxnm", "0", "01100", maximum_number, "The greatest lane; the number beside a quiet NaN."),
    ("fmax", "0", "01111", maximum, "The greatest lane; a NaN where one is a NaN."),
    ("fminnm", "1", "01100", minimum_number, "The least lane; the number beside a quiet NaN."),
    ("fmin", "1", "01111", minimum, "The least lane; a NaN where one is a NaN."),
)
SUM: Final = ("fadd", "0", "01101", add, "Add the two numbers of a vector.")
"""Of two numbers only."""


def pair(name: str, high: str, opcode: str, operation: Binary, doc: str, insn: Declare, bits: int) -> None:
    """The sum or whatever of two neighbours of so many bits."""

    def body(m: Tracer, Vn: Val, Vd: Val) -> None:
        both = read(m, Vn, bits, 2)
        write(m, Vd, operation(m, both.low(), both.high()))

    letter, U, sz = {16: ("h", 0, 0), 32: ("s", 1, 0), 64: ("d", 1, 1)}[bits]
    insn(f"{name}p {letter.upper()}d, Vn.2{letter}", f"01 {U} 11110 {high} {sz} 11000 {opcode} 10 Vn Vd")(
        described(body, doc)
    )


def across(
    name: str, high: str, opcode: str, operation: Binary, doc: str, insn: Declare, text: str, head: str
) -> None:
    """One lane out of four words, or out of four or eight halves where Q says how many there are."""

    def body(m: Tracer, Vn: Val, Vd: Val, Q: int | None = None) -> None:
        # Neighbours first: which of several NaNs is the result depends on the order ("Reduce" of the pseudocode).
        lanes = read(m, Vn, 32, 4) if Q is None else read(m, Vn, 16, 4 << Q)
        while lanes.count > 1:
            lanes = operation(m, lanes.pick(range(0, lanes.count, 2)), lanes.pick(range(1, lanes.count, 2)))
        write(m, Vd, lanes)

    insn(f"{name}v {text}", f"{head} 01110 {high} 0 11000 {opcode} 10 Vn Vd")(described(body, doc))


for both in BOTH:
    for bits in (32, 64):
        pair(*both, simd_across.scalar, bits)
    across(*both, simd_across.insn, "Sd, Vn.4s", "0 1 1")
for bits in (32, 64):
    pair(*SUM, simd_across.scalar, bits)
