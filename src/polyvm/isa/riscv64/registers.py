"""The registers of riscv64: the one table of names, places in the thread state, and exceptions.

Everything that touches a register by name or number reads it here, the start of a program too, so this imports
nothing. The specification (`model`) is built on it.
"""

from __future__ import annotations

NAME = "riscv64"

X_NAMES = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
)  # fmt: skip
F_NAMES = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
FILES = (("x", 64, X_NAMES, 0), ("f", 64, F_NAMES, None))
"""(file, bits, names, the register that is always zero)."""
SPECIALS = {"reserved_address": 64, "reserved_value": 64, "reserved": 64}
"""The reservation of lr: its address, its value, and whether it stands."""
OPTIONS = ()
"""What a processor has only where it is asked for: nothing yet."""
MONITOR = "reserved"
"""What is not zero while lr waits for its sc."""
COMPOSED = {
    "fflags": (("fp.flags", 5),),
    "frm": (("fp.mode", 3),),
    "fcsr": (("fp.flags", 5), ("fp.mode", 3)),
}
CAUSES = ("illegal", "breakpoint", "load_misaligned", "store_misaligned", "fetch_misaligned")
"""Exceptions, numbered by position."""
DEBUGGER = (
    "riscv:rv64",
    (
        ("org.gnu.gdb.riscv.cpu", (*X_NAMES, "pc"), ()),
        ("org.gnu.gdb.riscv.fpu", F_NAMES, tuple(COMPOSED)),
    ),
    (),
)
"""What debuggers call the architecture; their standard features of it, each with its registers and those that are
settings; and what they call otherwise than this table does (GDB manual, G.5.13)."""


VECTOR_SPECIALS = ("vl", "vtype", "vstart", "vxrm", "vxsat")


def vector_places(base: int, vlen: int) -> dict[tuple[str, int], tuple[int, int]]:
    """Where the vector extension's registers lie, behind all others: (name, number) -> (offset, bytes)."""
    from polyvm.isa import placing

    files = [(file, bits, len(names)) for file, bits, names, _ in FILES]
    at = max(offset + size for offset, size in placing.place(files, SPECIALS, base).values())
    found = placing.place((), VECTOR_SPECIALS, at)
    at = max(offset + size for offset, size in found.values())
    return found | placing.place([("v", vlen, 32)], (), (at + 63) // 64 * 64)


def with_vectors(
    names: dict[str, tuple[int, int]], files: dict[str, tuple[int, int, int]], base: int, vlen: int
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int, int]]]:
    """What places() found from `base` on, and the vector extension's."""
    found = vector_places(base, vlen)
    names |= {f"v{number}": found["v", number] for number in range(32)}
    names |= {name: found[name, 0] for name in VECTOR_SPECIALS}
    return names, files | {"v": (*found["v", 0], 32)}


def places(base: int) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int, int]]]:
    """Where registers lie in a state block from `base` on: name -> (offset, bytes), file -> (offset, bytes, count)."""
    from polyvm.isa import placing

    names, files = placing.named(FILES, SPECIALS, base)
    names["fp"] = names["s0"]
    return names, files
