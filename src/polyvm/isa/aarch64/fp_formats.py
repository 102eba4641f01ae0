"""What the scalar floating-point families share: the formats, the low ends of vector registers, and the comparison.

A scalar is the low end of a vector register; writing it makes the rest of the register zero. What IEEE 754 leaves open
is the IR's style "arm", which is FPProcessNaNs, FPRound and FPCR of the manual's shared pseudocode. What computes with
halves is FEAT_FP16, in whatever table of C4.1 it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, described

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.aarch64.flags import Flags
    from polyvm.isa.aarch64.model import Declare
    from polyvm.isa.spec import Body

TITLE: Final = "Data Processing -- Scalar Floating-Point and Advanced SIMD"


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the letter of its registers, the field ftype, its width, and how many bits the fraction has."""

    letter: str
    ftype: str
    bits: int
    fraction: int

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << self.bits - 1

    @property
    def bias(self) -> int:
        """The exponent field of 1."""
        return (1 << self.bits - self.fraction - 2) - 1


S: Final = Format("S", "00", 32, 23)
D: Final = Format("D", "01", 64, 52)
H: Final = Format("H", "11", 16, 10)

fp16: Final = aarch64.extension("FEAT_FP16", "8.2", TITLE)
"""The decorator of instructions that compute with halves."""


def of_formats(insn: Declare) -> Declare:
    """The decorator of instructions with a variant for each format, which the field ftype tells apart.

    F in the text is the letter of the format; the body is told which.
    """

    def every(text: str, encoding: str) -> Callable[[Body], Body]:
        def add(body: Body) -> Body:
            for fmt in (S, D, H):
                shown = re.sub(r"\bF(?=[dnma]\b)", fmt.letter, text)
                declare = fp16 if fmt is H else insn
                declare(shown, encoding.replace("ftype", fmt.ftype))(_of(body, fmt))
            return body

        return add

    return every


def _of(body: Body, fmt: Format) -> Body:
    def variant(m: Tracer, **fields: Val | int) -> None:
        body(m, fmt, **fields)

    return described(variant, body.__doc__ or "")


# -- Registers
def read(m: Tracer, register: Val, fmt: Format) -> Val:
    """The low end of a vector register."""
    return m.q[register].trunc(fmt.bits)


def write(m: Tracer, register: Val, value: Val) -> None:
    """Write a scalar; what is above it becomes zero."""
    m.q[register] = value.zext(128)


def negated(value: Val, fmt: Format) -> Val:
    """Another sign, of NaNs too (FPNeg)."""
    return value ^ fmt.sign


def compared(m: Tracer, a: Val, b: Val, *, signaling: bool) -> Flags:
    """The flags of a comparison (FPCompare)."""
    order = m.fcmp(a, b, signaling=signaling)
    return order[0], order[1], ~order[0], order[3]
