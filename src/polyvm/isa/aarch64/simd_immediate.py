"""Advanced SIMD, constants: the manual's table "Advanced SIMD modified immediate" (and AdvSIMDExpandImm there)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.ir.lanes import Lanes
from polyvm.isa.aarch64.fp_formats import fp16
from polyvm.isa.aarch64.model import aarch64, described
from polyvm.isa.aarch64.simd import TITLE, read, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

    Make = Callable[[Val, int], Val]
    """A lane of so many bits, from imm8."""

insn = aarch64.extension("Advanced SIMD modified immediate", "8.0", TITLE)


def _constant(
    name: str, text: str, Q: str, op: str, cmode: str, bits: int, make: Make, doc: str, o2: int = 0
) -> None:
    """An instruction that makes a constant, or changes a vector by one."""

    def body(m: Tracer, imm8: Val, Vd: Val, Q: int = 1, amount: Val | None = None) -> None:
        lane = make(imm8, bits)
        if amount is not None:
            lane = lane << (amount.zext(bits) << 3)
        value = Lanes.splat(lane, (64 << Q) // bits)
        if name in ("orr", "bic"):
            old = read(m, Vd, bits, value.count)
            value = old | value if name == "orr" else old & ~value
        write(m, Vd, ~value if name == "mvni" else value)

    def scalar(m: Tracer, imm8: Val, Vd: Val) -> None:
        m.q[Vd] = make(imm8, bits).zext(128)

    declare = fp16 if o2 else insn
    declare(f"{name} {text}", f"0 {Q} {op} 0111100000 imm8[7:5] {cmode} {o2} 1 imm8[4:0] Vd")(
        described(scalar if Q == "0" else body, doc)
    )


def _plain(imm8: Val, bits: int) -> Val:
    return imm8.zext(bits)


def _with_ones(count: int) -> Make:
    """Shifted left, ones coming in."""
    return lambda imm8, bits: (imm8.zext(bits) << count) | ((1 << count) - 1)


def _bytes(imm8: Val, bits: int) -> Val:
    """A byte for each bit."""
    return Lanes(imm8, 1).sext(8).whole


def _float(fraction: int) -> Make:
    """Sign, three bits of the exponent, four of the fraction ("VFPExpandImm" of the shared pseudocode)."""

    def make(imm8: Val, bits: int) -> Val:
        exponent = bits - fraction - 1
        sign, high, rest = imm8[7].zext(bits), imm8[6], imm8[5:0].zext(bits)
        # Not b, then b so often that the exponent is full.
        leading = ((high ^ 1).zext(bits) << (exponent - 1)) | (high.sext(exponent - 3).zext(bits) << 2)
        return (sign << (bits - 1)) | (leading << fraction) | (rest << (fraction - 4))

    return make


for name, op, odd, doc in (
    ("movi", "0", "0", "A constant in every lane."),
    ("orr", "0", "1", "Or with a constant in every lane."),
    ("mvni", "1", "0", "The inverse of a constant in every lane."),
    ("bic", "1", "1", "Clear bits by a constant in every lane."),
):
    shift = "#imm8{, lsl #amount}"
    _constant(name, f"Vd.S, {shift}", "Q", op, f"0 amount[1:0] {odd}", 32, _plain, doc)
    _constant(name, f"Vd.H, {shift}", "Q", op, f"10 amount[0] {odd}", 16, _plain, doc)
    if odd == "0":
        for ones, cmode in ((8, "1100"), (16, "1101")):
            _constant(name, f"Vd.S, #imm8, msl #{ones}", "Q", op, cmode, 32, _with_ones(ones), doc)
_constant("movi", "Vd.B, #imm8", "Q", "0", "1110", 8, _plain, "A byte in every lane.")
_constant(
    "fmov", "Vd.S, #fimm8", "Q", "0", "1111", 32, _float(23), "A number in every lane, single precision."
)
_constant(
    "fmov", "Vd.H, #fimm8", "Q", "0", "1111", 16, _float(10), "A number in every lane, half precision.", o2=1
)
_constant("movi", "Dd, #mask64", "0", "1", "1110", 64, _bytes, "A constant of bytes that are 0 or 255.")
_constant(
    "movi", "Vd.2d, #mask64", "1", "1", "1110", 64, _bytes, "A constant of bytes that are 0 or 255, twice."
)
_constant(
    "fmov", "Vd.2d, #fimm8", "1", "1", "1111", 64, _float(52), "A number in both lanes, double precision."
)
