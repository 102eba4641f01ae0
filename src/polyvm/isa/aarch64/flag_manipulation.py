"""FEAT_FlagM and FEAT_FlagM2: the condition flags as data, and as a comparison of x86 would leave them.

Their pages are in C6.2 under the name of each mnemonic; RMIF and SETF are the tables "Rotate right into flags" and
"Evaluate into flags" of C4.1, the others stand beside MSR (immediate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.isa.aarch64.flags import C, N, V, Z, set_flags
from polyvm.isa.aarch64.model import aarch64, described

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = aarch64.extension("FEAT_FlagM", "8.4", "Flag manipulation")


@insn("cfinv", "1101010100000 000 0100 0000 000 11111")
def cfinv(m: Tracer) -> None:
    """Invert C."""
    m.set(C, ~m.get(C, 1))


@insn("rmif Xn, #imm6, #nzcv", "1 0 1 11010000 imm6 00001 Rn 0 nzcv")
def rmif(m: Tracer, imm6: Val, Rn: Val, nzcv: Val) -> None:
    """Rotate a register right; its lowest four bits become those flags that a mask names."""
    bits = m.x[Rn].rotr(imm6)
    for place, flag in enumerate((V, C, Z, N)):
        m.set(flag, m.select(nzcv[place], bits[place], m.get(flag, 1)))


def _evaluate(bits: int) -> None:
    def body(m: Tracer, Rn: Val) -> None:
        value = m.x[Rn]
        m.set(N, value[bits - 1])
        m.set(Z, value.trunc(bits) == 0)
        m.set(V, value[bits] ^ value[bits - 1])

    insn(f"setf{bits} Wn", f"0 0 1 11010000 000000 {bits // 16} 0010 Rn 0 1101")(
        described(
            body,
            f"N and Z of the low {bits} bits of a register, and V where its next bit is no copy of them.",
        )
    )


_evaluate(8)
_evaluate(16)

insn = aarch64.extension("FEAT_FlagM2", "8.5", "Flag manipulation, of floating-point comparisons")


@insn("xaflag", "1101010100000 000 0100 0000 001 11111")
def xaflag(m: Tracer) -> None:
    """From the flags of a comparison as others have them to Arm's: C says below and Z equal, both of them unordered."""
    z, c = m.get(Z, 1), m.get(C, 1)
    set_flags(m, (~c & ~z, z & c, c | z, ~c & z))


@insn("axflag", "1101010100000 000 0100 0000 010 11111")
def axflag(m: Tracer) -> None:
    """From the flags of a comparison as Arm has them to others'."""
    z, c, v = m.get(Z, 1), m.get(C, 1), m.get(V, 1)
    no = m.const(0, 1)
    set_flags(m, (no, z | v, c & ~v, no))
