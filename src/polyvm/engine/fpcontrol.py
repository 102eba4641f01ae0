"""The floating-point control word of an x86-64 host (MXCSR) in the terms of the IR: accrued flags, rounding mode.

The guest's word is live inside native code and rests in the thread state meanwhile. Rounding modes that the host
lacks stand as nearest, because code for them does not use the host's.
"""

from __future__ import annotations

RESET = 0x1F80  # Intel SDM volume 1, 10.2.3: every exception masked, to nearest, no flags
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16  # the IR's flags, as in RISC-V's fflags
# MXCSR bit of each of them: PE, UE, OE, ZE, IE.
_BITS = ((NX, 0x20), (UF, 0x10), (OF, 0x08), (DZ, 0x04), (NV, 0x01))
_FLAGS = 0x3F  # DE, which the IR does not know, is cleared with them
_ROUND_SHIFT = 13
_ROUND = 3 << _ROUND_SHIFT
_MODES = (0, 3, 1, 2)  # RNE, RTZ, RDN, RUP


def flags(word: int) -> int:
    """The accrued flags of a control word."""
    return sum(flag for flag, bit in _BITS if word & bit)


def with_flags(word: int, value: int) -> int:
    """A control word with these accrued flags."""
    return word & ~_FLAGS | sum(bit for flag, bit in _BITS if value & flag)


def with_round(word: int, mode: int) -> int:
    """A control word with this rounding mode (IR numbering)."""
    host = _MODES[mode] if mode < len(_MODES) else 0
    return word & ~_ROUND | host << _ROUND_SHIFT
