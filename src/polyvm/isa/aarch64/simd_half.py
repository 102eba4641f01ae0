"""FEAT_FP16 on vectors and scalars, and FEAT_FHM: the tables of C4.1 that end in "FP16", and halves in some others.

FP16 is the rows that `simd_fp_same`, `simd_fp_misc`, `simd_shift` and `simd_element` have for wider formats, once more.
Its constants are in `simd_immediate`, complex numbers in `simd_extra`, what is no vector in `fp` and `fp_convert`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64 import simd_element, simd_fp_misc, simd_fp_same, simd_shift
from polyvm.isa.aarch64.fp_formats import fp16
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, element, read, write
from polyvm.isa.aarch64.simd_fp import half_from_fixed, half_to_fixed, negated

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

# -- FEAT_FP16: three vectors
for row in simd_fp_same.ROWS:
    high, opcode = row.opcode.split()
    tail = f"01110 {high} 10 Vm 00 {opcode[2:]} 1 Vn Vd"
    row.on("H").declare(fp16, "Vd.H, Vn.H, Vm.H", f"0 $Q $U {tail}")
    if row.name in simd_fp_same.SCALARS.split():
        row.on("").declare(fp16, "Hd, Hn, Hm", f"01 $U 1{tail[1:]}")

# -- One vector
for row in (*simd_fp_misc.SCALARS, *simd_fp_misc.ZEROS, *simd_fp_misc.VECTORS, simd_fp_misc.EXPONENT):
    high, opcode = row.opcode.split()
    tail = f"01110 {high} 111100 {opcode} 10 Vn Vd"
    more = ", #zero" if row in simd_fp_misc.ZEROS else ""
    if row is not simd_fp_misc.EXPONENT:
        row.on("H").declare(fp16, f"Vd.H, Vn.H{more}", f"0 $Q $U {tail}")
    if row not in simd_fp_misc.VECTORS:
        row.on("").declare(fp16, f"Hd, Hn{more}", f"01 $U 1{tail[1:]}")

# -- Two neighbours, and across lanes
for both in simd_fp_same.BOTH:
    simd_fp_same.pair(*both, fp16, 16)
    simd_fp_same.across(*both, fp16, "Hd, Vn.H", "0 Q 0")
simd_fp_same.pair(*simd_fp_same.SUM, fp16, 16)

# -- Fixed point
for shift in simd_shift.SHIFTS:
    if shift.name in ("scvtf", "ucvtf", "fcvtzs", "fcvtzu"):
        make = half_from_fixed if shift.name.endswith("f") else half_to_fixed
        halves = replace(shift, operation=make(signed=shift.U == 0), widths="h", scalars="h")
        halves.vectors(fp16)
        halves.scalar(fp16)

# -- One element
for name, where in simd_element.FLOAT.items():
    for scalar in (True, False):
        simd_element.same(fp16, simd_element.NUMBERED[name].on("H"), *where, scalar=scalar)

# -- FEAT_FHM: products of halves, added to words; the 2 of a name is for the upper half of what is as long as the sums
insn = aarch64.extension("FEAT_FHM", "8.2", TITLE)
_LENGTHS: Final = "Vd.S, Vn.halves"


def _factors(m: Tracer, V: Val, Q: int, upper: int) -> Lanes:
    bits = 32 << Q
    return (m.q[V] >> upper * bits).trunc(bits).lanes(16)


def _long(subtracts: int, upper: int) -> None:
    name = f"fml{'as'[subtracts]}l{'2' if upper else ''}"
    what, which = ("Add", "Subtract")[subtracts], ("lower", "upper")[upper]
    doc = f"{what} products of halves of the {which} half, rounded once to single precision."

    def added(m: Tracer, a: Lanes, b: Lanes, Vd: Val) -> None:
        write(m, Vd, m.fma(negated(a) if subtracts else a, b, read(m, Vd, 32, a.count)))

    def vectors(m: Tracer, Q: int, Vm: Val, Vn: Val, Vd: Val) -> None:
        added(m, _factors(m, Vn, Q, upper), _factors(m, Vm, Q, upper), Vd)

    def by_element(m: Tracer, Q: int, lane: Val, Vm: Val, Vn: Val, Vd: Val) -> None:
        a = _factors(m, Vn, Q, upper)
        added(m, a, Lanes.splat(element(m, Vm, 16, lane), a.count), Vd)

    insn(f"{name} {_LENGTHS}, Vm.halves", f"0 Q {upper} 01110 {subtracts} 01 Vm 11{1 - upper}011 Vn Vd")(
        described(vectors, doc)
    )
    insn(
        f"{name} {_LENGTHS}, Vm.h[lane]",
        f"0 Q {upper} 01111 10 lane[1:0] Vm[3:0] {upper}{subtracts}00 lane[2] 0 Vn Vd",
    )(described(by_element, doc.replace(",", ", one of them by number,")))


for upper in range(2):
    for subtracts in range(2):
        _long(subtracts, upper)
