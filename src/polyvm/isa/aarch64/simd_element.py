"""Advanced SIMD, lanes by one lane: the manual's tables "Advanced SIMD vector x indexed element", and scalars'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import simd_different, simd_fp_same, simd_same
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, Row, element, read, read_upper, write
from polyvm.isa.aarch64.simd_different import Different

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.simd import Declare

# Letter and width of a lane; size; L and M of the encoding with the register, of which half words have sixteen; and H.
SIZES: Final = (("h", 16, "01", "lane[1:0] Vm[3:0]", "lane[2]"), ("s", 32, "10", "lane[0] Vm", "lane[1]"))
NUMBERS: Final = (SIZES[1], ("d", 64, "11", "0 Vm", "lane[0]"))
HALVES: Final = (("h", 16, "00", "lane[1:0] Vm[3:0]", "lane[2]"),)
"""Those of floating point."""
_SAME: Final = {row.name: row for row in simd_same.ROWS}
NUMBERED: Final = {row.name: row for row in simd_fp_same.ROWS}
_LONG: Final = {
    row.name: row for row in (*simd_different.SIGNED, *simd_different.UNSIGNED, *simd_different.DOUBLING)
}
SAME: Final = {
    "mul": (0, "1000"),
    "sqdmulh": (0, "1100"),
    "sqrdmulh": (0, "1101"),
    "mla": (1, "0000"),
    "mls": (1, "0100"),
}
LONG: Final = {
    "smlal": (0, "0010"), "sqdmlal": (0, "0011"), "smlsl": (0, "0110"), "sqdmlsl": (0, "0111"), "smull": (0, "1010"),
    "sqdmull": (0, "1011"), "umlal": (1, "0010"), "umlsl": (1, "0110"), "umull": (1, "1010"),
}  # fmt: skip
"""U and opcode."""
FLOAT: Final = {"fmla": (0, "0001"), "fmls": (0, "0101"), "fmul": (0, "1001"), "fmulx": (1, "1001")}
"""Likewise, of vectors and of scalars."""


def _doc(row: Row | Different) -> str:
    return row.doc.replace(".", ", one of them by number.")


def same(insn: Declare, row: Row, U: int, opcode: str, *, scalar: bool) -> None:
    """The forms of a row of three vectors, or scalars, whose third is one element."""
    for letter, bits, size, vm, h in {"F": NUMBERS, "H": HALVES}.get(row.field, SIZES):

        def body(m: Tracer, lane: Val, Vm: Val, Vn: Val, Vd: Val, Q: int = 1, bits: int = bits) -> None:
            count = 1 if scalar else (64 << Q) // bits
            args = [read(m, Vn, bits, count), Lanes.splat(element(m, Vm, bits, lane), count)]
            if row.accumulates:
                args.append(read(m, Vd, bits, count))
            write(m, Vd, row.operation(m, *args))

        Q, T = ("1", "2d") if bits == 64 else ("Q", letter.upper())
        text = f"{letter.upper()}d, {letter.upper()}n" if scalar else f"Vd.{T}, Vn.{T}"
        head = f"01 {U} 11111" if scalar else f"0 {Q} {U} 01111"
        insn(f"{row.name} {text}, Vm.{letter}[lane]", f"{head} {size} {vm} {opcode} {h} 0 Vn Vd")(
            described(body, _doc(row))
        )


def _long(row: Different, U: int, opcode: str, *, scalar: bool) -> None:
    for letter, bits, size, vm, h in SIZES:
        for upper in (0,) if scalar else (0, 1):

            def body(
                m: Tracer, lane: Val, Vm: Val, Vn: Val, Vd: Val, bits: int = bits, upper: int = upper
            ) -> None:
                first = read(m, Vn, bits, 1) if scalar else read_upper(m, Vn, bits, upper=upper)
                args = [first, Lanes.splat(element(m, Vm, bits, lane), first.count)]
                if row.accumulates:
                    args.append(read(m, Vd, 2 * bits, first.count))
                write(m, Vd, row.operation(m, *args))

            wide, half = ("4s", ("4h", "8h")[upper]) if bits == 16 else ("2d", ("2s", "4s")[upper])
            text = f"{'SD'[bits > 16]}d, {letter.upper()}n" if scalar else f"Vd.{wide}, Vn.{half}"
            head = f"01 {U} 11111" if scalar else f"0 {upper} {U} 01111"
            insn(
                f"{row.name}{'2' if upper else ''} {text}, Vm.{letter}[lane]",
                f"{head} {size} {vm} {opcode} {h} 0 Vn Vd",
            )(described(body, _doc(row)))


insn = aarch64.extension("Advanced SIMD scalar x indexed element", "8.0", TITLE)
for name in ("sqdmlal", "sqdmlsl", "sqdmull"):
    _long(_LONG[name], *LONG[name], scalar=True)
for name in ("sqdmulh", "sqrdmulh"):
    same(insn, _SAME[name], *SAME[name], scalar=True)
for name, where in FLOAT.items():
    same(insn, NUMBERED[name], *where, scalar=True)

insn = aarch64.extension("Advanced SIMD vector x indexed element", "8.0", TITLE)
for name, where in LONG.items():
    _long(_LONG[name], *where, scalar=False)
for name, where in SAME.items():
    same(insn, _SAME[name], *where, scalar=False)
for name, where in FLOAT.items():
    same(insn, NUMBERED[name], *where, scalar=False)
