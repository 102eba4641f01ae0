"""FPCR and FPSR as numbers, from the IR's floating-point environment and back: for signal frames and debuggers.

The specification's MRS and MSR (`system`) say the same in ops; this imports nothing.
"""

from __future__ import annotations

# Of the IR's FP_MODE and of FPCR: DN, FZ, AHP, FZ16 (C5.2.7).
_MODE_BITS = ((3, 25), (4, 24), (5, 26), (6, 19))
_QC, _IDC = 27, 7  # of FPSR (C5.2.8)


def fpcr(mode: int) -> int:
    """FPCR from FP_MODE. Its rounding modes are the IR's, negated modulo 4."""
    return (-mode & 3) << 22 | sum((mode >> ours & 1) << theirs for ours, theirs in _MODE_BITS)


def mode(value: int) -> int:
    """FP_MODE from FPCR; bits that there are not are ignored, as MSR ignores them."""
    return -(value >> 22) & 3 | sum((value >> theirs & 1) << ours for ours, theirs in _MODE_BITS)


def fpsr(flags: int, idc: int, qc: int) -> int:
    """FPSR from the IR's accrued exceptions, which it has in reverse order, and its own two."""
    return sum((flags >> 4 - bit & 1) << bit for bit in range(5)) | idc << _IDC | qc << _QC


def accrued(value: int) -> tuple[int, int, int]:
    """The IR's accrued exceptions, IDC and QC from FPSR."""
    flags = sum((value >> bit & 1) << 4 - bit for bit in range(5))
    return flags, value >> _IDC & 1, value >> _QC & 1
