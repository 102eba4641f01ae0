"""The registers of aarch64: the one table of names, and exceptions.

Everything that touches a register by name or number reads it here, so this imports nothing. The specification
(`model`) is built on it.
"""

from __future__ import annotations

NAME = "aarch64"

STACK_ALIGN = 16
XZR, SP = 31, 32
"""Number 31 is the zero register or the stack pointer, as the encoding says: the stack pointer is 32 in the file."""
X_NAMES = (
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
    "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "xzr", "sp",
)  # fmt: skip
W_NAMES = (*(f"w{name[1:]}" for name in X_NAMES[:XZR]), "wzr", "wsp")
Q_NAMES = tuple(f"q{number}" for number in range(32))
FILES = (("x", 64, X_NAMES, XZR), ("q", 128, Q_NAMES, None))
"""(file, bits, names, the register that is always zero)."""
PAUTH = "pauth"
OPTIONS = (PAUTH,)
"""What a processor has only where it is asked for (`polyvm run --feature`), each a special register of one bit that
nothing changes while a program runs: pointer authentication with keys."""
KEYS = ("ia", "ib", "da", "db", "ga")
"""The keys of pointer authentication, in the order of their bits in prctl: of instructions, of data, generic."""
SPECIALS = {
    "n": 1, "z": 1, "c": 1, "v": 1,
    "qc": 1, "idc": 1,
    "tpidr_el0": 64,
    "exclusive_address": 64, "exclusive_low": 64, "exclusive_high": 64, "exclusive": 64,
    **dict.fromkeys(OPTIONS, 1),
    **{f"ap{key}key{half}_el1": 64 for key in KEYS for half in ("lo", "hi")},
    **{f"en{key}": 1 for key in KEYS[:4]},
}  # fmt: skip
"""The flags one by one, so that each can be dead alone; what FPSR accrues and no other guest has, saturation and
denormal inputs; the thread's pointer; the exclusive monitor: its address, the value it saw, and its size in bytes; and
of pointer authentication the keys, and the bits of SCTLR_EL1 that say which of them are used."""
MONITOR = "exclusive"
"""What is not zero while a load-exclusive waits for its store."""
COMPOSED = {"nzcv": (("", 28), ("v", 1), ("c", 1), ("z", 1), ("n", 1))}
CAUSES = ("illegal", "breakpoint", "misaligned", "stack")
"""Exceptions, numbered by position; the last is that the stack pointer is not aligned."""
DEBUGGER = (
    "aarch64",
    (
        ("org.gnu.gdb.aarch64.core", (*X_NAMES[:XZR], "sp", "pc"), ("cpsr",)),
        ("org.gnu.gdb.aarch64.fpu", tuple(f"v{number}" for number in range(32)), ("fpsr", "fpcr")),
        ("org.gnu.gdb.aarch64.tls", ("tpidr",), ()),
    ),
    (("cpsr", "nzcv"), ("tpidr", "tpidr_el0")),
)
"""What debuggers call the architecture; their standard features of it, each with its registers and those that are
settings; and what they call otherwise than this table does (GDB manual, G.5.1)."""


def places(base: int) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int, int]]]:
    """Where registers lie in a state block from `base` on: name -> (offset, bytes), file -> (offset, bytes, count)."""
    from polyvm.isa import placing

    names, files = placing.named(FILES, SPECIALS, base)
    # Not their numbers in the file, which are those of an encoding: x31 is no name, and x32 even less.
    del names["x31"], names["x32"]
    names |= {"fp": names["x29"], "lr": names["x30"]}
    names |= {f"v{number}": names[name] for number, name in enumerate(Q_NAMES)}
    return names, files
