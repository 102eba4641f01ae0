"""Advanced SIMD, one result out of all lanes: the manual's "Advanced SIMD across lanes" and "scalar pairwise"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, arranged, read, widened, write
from polyvm.isa.aarch64.simd_same import add, smax, smin, umax, umin

if TYPE_CHECKING:
    from polyvm.ir.lanes import Lanes
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Binary

# -- Advanced SIMD scalar pairwise
scalar = insn = aarch64.extension("Advanced SIMD scalar pairwise", "8.0", TITLE)


@insn("addp Dd, Vn.2d", "01 0 11110 11 11000 11011 10 Vn Vd")
def addp(m: Tracer, Vn: Val, Vd: Val) -> None:
    """Add the two double words of a vector."""
    both = read(m, Vn, 64, 2)
    write(m, Vd, both.low() + both.high())


# -- Advanced SIMD across lanes
insn = aarch64.extension("Advanced SIMD across lanes", "8.0", TITLE)


def _folded(m: Tracer, operation: Binary, lanes: Lanes) -> Lanes:
    """One lane, by halves."""
    while lanes.count > 1:
        lanes = operation(m, lanes.low(), lanes.high())
    return lanes


def _across(name: str, U: int, opcode: str, operation: Binary, doc: str) -> None:
    def body(m: Tracer, T_across: int, Vn: Val, Vd: Val) -> None:
        write(m, Vd, _folded(m, operation, read(m, Vn, *arranged(T_across))))

    insn(
        f"{name} Ed.T_across, Vn.T_across",
        f"0 T_across[0] {U} 01110 T_across[2:1] 11000 {opcode} 10 Vn Vd",
    )(described(body, doc))


def _long_sum(name: str, U: int, signed: bool) -> None:
    def body(m: Tracer, T_across: int, Vn: Val, Vd: Val) -> None:
        lanes = read(m, Vn, *arranged(T_across))
        low, high = (widened(half, signed=signed) for half in (lanes.low(), lanes.high()))
        write(m, Vd, _folded(m, add, low + high))

    sort = "signed" if signed else "unsigned"
    insn(
        f"{name} Ld.T_across, Vn.T_across",
        f"0 T_across[0] {U} 01110 T_across[2:1] 11000 00011 10 Vn Vd",
    )(described(body, f"The sum of all {sort} lanes, twice as wide."))


_long_sum("saddlv", 0, signed=True)
ROWS: Final = (
    ("smaxv", 0, "01010", smax, "The greatest signed lane."),
    ("sminv", 0, "11010", smin, "The least signed lane."),
    ("addv", 0, "11011", add, "The sum of all lanes."),
    ("umaxv", 1, "01010", umax, "The greatest unsigned lane."),
    ("uminv", 1, "11010", umin, "The least unsigned lane."),
)
for row in ROWS:
    _across(*row)
_long_sum("uaddlv", 1, signed=False)
