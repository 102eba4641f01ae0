"""Advanced SIMD, lanes from and to registers: the manual's tables "Advanced SIMD copy" and "Advanced SIMD scalar copy".

Which lane it is, is a number at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import model
from polyvm.isa.aarch64.model import UNITS, aarch64, described
from polyvm.isa.aarch64.simd import TITLE, element, put

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

# Letter and width of a lane, and the field imm5: the lane's number above a one that says which size it has.
SIZES: Final = (("b", 8, "[3:0] 1"), ("h", 16, "[2:0] 10"), ("s", 32, "[1:0] 100"), ("d", 64, "[0] 1000"))

# -- Advanced SIMD scalar copy
insn = aarch64.extension("Advanced SIMD scalar copy", "8.0", TITLE)


def _scalar(letter: str, bits: int, imm5: str) -> None:
    def dup(m: Tracer, lane: Val, Vn: Val, Vd: Val) -> None:
        m.q[Vd] = element(m, Vn, bits, lane).zext(128)

    insn(f"dup {letter.upper()}d, Vn.{letter}[lane]", f"01 0 11110000 lane{imm5} 0 0000 1 Vn Vd")(
        described(dup, f"A {UNITS[bits]} out of a vector.")
    )


for row in SIZES:
    _scalar(*row)

# -- Advanced SIMD copy
insn = aarch64.extension("Advanced SIMD copy", "8.0", TITLE)


def _vectors(letter: str, bits: int, imm5: str) -> None:
    # There is no vector of one double word here.
    Q, vector = ("1", "Vd.2d") if bits == 64 else ("Q", f"Vd.{letter.upper()}")
    unit = UNITS[bits]

    def dup(m: Tracer, lane: Val, Vn: Val, Vd: Val, Q: int = 1) -> None:
        m.q[Vd] = Lanes.splat(element(m, Vn, bits, lane), (64 << Q) // bits).whole.zext(128)

    insn(f"dup {vector}, Vn.{letter}[lane]", f"0 {Q} 0 01110000 lane{imm5} 0 0000 1 Vn Vd")(
        described(dup, f"A {unit} of a vector in every lane.")
    )

    def dup_general(m: Tracer, ignored: Val, Rn: Val, Vd: Val, Q: int = 1) -> None:
        m.q[Vd] = Lanes.splat(model.read(m, Rn, bits), (64 << Q) // bits).whole.zext(128)

    register = "X" if bits == 64 else "W"
    insn(f"dup {vector}, {register}n", f"0 {Q} 0 01110000 ignored{imm5} 0 0001 1 Rn Vd")(
        described(dup_general, f"The {unit} of a general register in every lane.")
    )

    for wide in (32, 64):
        to, Q = ("W", "0") if wide == 32 else ("X", "1")

        def smov(m: Tracer, lane: Val, Vn: Val, Rd: Val, wide: int = wide) -> None:
            model.write(m, Rd, element(m, Vn, bits, lane).sext(wide))

        def umov(m: Tracer, lane: Val, Vn: Val, Rd: Val) -> None:
            model.write(m, Rd, element(m, Vn, bits, lane))

        if bits < wide:
            insn(f"smov {to}d, Vn.{letter}[lane]", f"0 {Q} 0 01110000 lane{imm5} 0 0101 1 Vn Rd")(
                described(smov, f"A {unit} of a vector, extended to {wide} bits with its sign.")
            )
        if bits == 64 == wide or bits <= 32 == wide:
            insn(f"umov {to}d, Vn.{letter}[lane]", f"0 {Q} 0 01110000 lane{imm5} 0 0111 1 Vn Rd")(
                described(umov, f"A {unit} of a vector, with zeros above it.")
            )

    def ins_general(m: Tracer, into: Val, Rn: Val, Vd: Val) -> None:
        put(m, Vd, into, model.read(m, Rn, bits))

    insn(f"ins Vd.{letter}[into], {register}n", f"0 1 0 01110000 into{imm5} 0 0011 1 Rn Vd")(
        described(ins_general, f"Replace a {unit} by that of a general register.")
    )

    def ins(m: Tracer, into: Val, lane: Val, Vn: Val, Vd: Val, ignored: Val | None = None) -> None:
        put(m, Vd, into, element(m, Vn, bits, lane))

    imm4 = {
        8: "lane[3:0]",
        16: "lane[2:0] ignored[0]",
        32: "lane[1:0] ignored[1:0]",
        64: "lane[0] ignored[2:0]",
    }
    insn(f"ins Vd.{letter}[into], Vn.{letter}[lane]", f"0 1 1 01110000 into{imm5} 0 {imm4[bits]} 1 Vn Vd")(
        described(ins, f"Replace a {unit} by one of a vector.")
    )


for row in SIZES:
    _vectors(*row)
