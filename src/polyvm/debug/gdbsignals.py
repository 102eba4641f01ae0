"""Signals as GDB numbers them, which is the same on every system and nobody's own (GDB manual, E.1, "Signals").

It refuses to guess: a signal that GDB has no number for is told as unknown.
"""

from __future__ import annotations

from polyvm.user import signals

UNKNOWN = 143
_NAMES = (
    "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "", "FPE", "KILL", "BUS", "SEGV", "SYS", "PIPE", "ALRM", "TERM",
    "URG", "STOP", "TSTP", "CONT", "CHLD", "TTIN", "TTOU", "IO", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "",
    "USR1", "USR2", "PWR",
)  # fmt: skip
_TO_GDB = {signals.NAMES.index(name): number for number, name in enumerate(_NAMES) if name}
_TO_GDB |= {signo: signo + 12 for signo in range(33, 64)} | {32: 77, 64: 78}
_FROM_GDB = {number: signo for signo, number in _TO_GDB.items()}


def to_gdb(signo: int) -> int:
    """GDB's number of a guest's signal."""
    return _TO_GDB.get(signo, UNKNOWN)


def from_gdb(number: int) -> int | None:
    """The guest's signal, None for one that it has not."""
    return _FROM_GDB.get(number)
