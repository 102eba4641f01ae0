"""The table of ops: the name, the typing rule and the exact meaning of every node a trace may hold.

A value is a bit vector of 1 to 128 bits, or of up to 512 where it stands for lanes; an op of width 0 yields nothing.
Every corner is given a meaning
here, so that no back end may fall into LLVM's poison or undef. `ir.golden` is this table, executable;
this module evaluates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_BITS: Final = 128
MAX_LANES: Final = 512
"""Bits of a value that is no number but lanes: what WIDE says may be so wide."""
WIDE: Final = frozenset({
    "const", "get", "set", "getx", "setx", "and", "or", "xor", "shl", "lshr", "eq", "ne", "sub", "zext", "trunc",
    "select", "lanes", "flanes", "shuffle", "load_lanes",
})  # fmt: skip

# The floating-point environment is guest state that every guest shares; a spec reads and writes it as a register.
FP_FLAGS: Final = ("fp.flags", 0)
"""Accrued exceptions, 5 bits: NX=1, UF=2, OF=4, DZ=8, NV=16."""
FP_FLAGS_BITS: Final = 5
FP_MODE: Final = ("fp.mode", 0)
"""Bits 2:0 are the rounding mode: 0 nearest-even, 1 to zero, 2 down, 3 up, 4 nearest-away; 5 to 7 are never rounded
with. The rest is of the arm style: bit 3 says that every NaN result is the default one, bit 4 that denormal numbers
of 32 and 64 bits are zeros, bit 5 that the halves of fcvt have the alternative format, bit 6 that denormal halves are
zeros, but for fcvt. Native code leaves what depends on these to the evaluator."""
FP_MODE_BITS: Final = 7
DEFAULT_NAN: Final = 8
FLUSH: Final = 16
ALTERNATIVE_HALF: Final = 32
FLUSH_HALVES: Final = 64
IDC: Final = ("idc", 0)
"""Where a guest of the arm style accrues that a denormal operand, no half, was taken for zero, one bit."""

FLOAT_STYLES: Final = ("canonical", "arm")
"""What IEEE 754 leaves open, which a guest decides once for all its ops (`Isa.floats`).

canonical: a NaN result has sign 0 and only the quiet bit; a NaN becomes the largest integer; tininess is found after
rounding; minimumNumber of a signaling NaN and a number is the number. As RISC-V.
arm: a NaN result is the first signaling operand made quiet, else the first quiet one, where the addend of a fused
multiply and add comes first; one that no operand gave is canonical. A NaN becomes the integer 0; tininess is found
before rounding; minimumNumber of a signaling NaN and a number is that NaN. FP_MODE has bits 6:3, and a denormal
operand that counts as zero sets IDC, unless it is a half.
"""

ROUND_DYNAMIC: Final = 7
"""The rounding attribute of an op that takes the mode from FP_MODE."""

CRYPTO_KINDS: Final = {
    "aes": ("encrypt", "decrypt", "mix", "unmix"),
    "sha1": ("choose", "parity", "majority"),
    "sha256": ("low", "high"),
    "sha256_words": ("first", "second"),
}
"""The attrs of cryptographic ops, which `ir.crypto` defines; their results have 128 bits."""

EXCLUSIVE: Final = "exclusive"
"""The hint of a load that monitors its address for a store that may fail; it stands before any effect."""

COUNTERS: Final = ("cycle", "time", "instret")
AMO_KINDS: Final = ("swap", "add", "and", "or", "xor", "min", "max", "minu", "maxu")


@dataclass(frozen=True, slots=True)
class OpInfo:
    """One row of the table.

    arity: how many values it takes, None for several.
    pure: the same arguments give the same value and nothing else happens.
    leaves: it may leave the instruction (a fault, a trap, a system call), so state must be whole before it.
    writes: it changes guest state (registers, program counter, accrued floating-point flags).
    stores: it changes guest memory.
    """

    name: str
    arity: int | None
    meaning: str
    pure: bool = True
    leaves: bool = False
    writes: bool = False
    stores: bool = False


def _table() -> dict[str, OpInfo]:
    rows: list[OpInfo] = []

    def op(name: str, arity: int | None, meaning: str, **kinds: bool) -> None:
        rows.append(OpInfo(name, arity, meaning, **kinds))

    # 1. Constants and what is known when an instruction is placed
    op("const", 0, "The integer in attr, modulo 2^bits.")
    op("field", 0, "The data field named attr of this encoding, after the field's own bias and scaling.")
    op("pc", 0, "The address of this instruction.")

    # 2. Guest state
    op("get", 0, "Read the register slot attr = (file, index).", pure=False)
    op("set", 1, "Write the register slot attr = (file, index).", pure=False, writes=True)
    op("getx", 1, "Read register number arg0 of file attr; a hardwired register reads as zero.", pure=False)
    op("setx", 2, "Write arg1 to register number arg0 of file attr; a hardwired register stays zero.",
       pure=False, writes=True)  # fmt: skip

    op("counter", 0, "Read a counter, 64 bits, attr = 'cycle', 'time' or 'instret'; it never runs backwards.",
       pure=False)  # fmt: skip

    # 3. Integers. Results are modulo 2^bits.
    op("add", 2, "arg0 + arg1.")
    op("sub", 2, "arg0 - arg1.")
    op("mul", 2, "The low half of arg0 * arg1.")
    op("uadd_sat", 2, "arg0 + arg1, unsigned, or the maximum where it is more.")
    op("sadd_sat", 2, "arg0 + arg1, signed, or the nearest number there is.")
    op("usub_sat", 2, "arg0 - arg1, unsigned, or 0 where it is less.")
    op("ssub_sat", 2, "arg0 - arg1, signed, or the nearest number there is.")
    op("udiv", 2, "Unsigned quotient, towards zero; all ones when arg1 is 0.")
    op("sdiv", 2, "Signed quotient, towards zero; -1 when arg1 is 0; the minimum / -1 is the minimum.")
    op("urem", 2, "Unsigned remainder; arg0 when arg1 is 0.")
    op("srem", 2, "Signed remainder, with the sign of arg0; arg0 when arg1 is 0; the minimum rem -1 is 0.")
    op("and", 2, "Bitwise and.")
    op("or", 2, "Bitwise or.")
    op("xor", 2, "Bitwise exclusive or.")
    op("shl", 2, "Shift left by the unsigned arg1; 0 when arg1 >= bits.")
    op("lshr", 2, "Shift right, zeros in; 0 when arg1 >= bits.")
    op("ashr", 2, "Shift right, sign in; all sign when arg1 >= bits.")
    op("rotl", 2, "Rotate left by arg1 modulo bits.")
    op("rotr", 2, "Rotate right by arg1 modulo bits.")
    op("clz", 1, "Leading zeros; bits when arg0 is 0.")
    op("ctz", 1, "Trailing zeros; bits when arg0 is 0.")
    op("popcount", 1, "How many bits are set.")
    op("bswap", 1, "Bytes in reverse order; the width is a multiple of 16.")
    op("bitrev", 1, "Bits in reverse order.")
    op("clmul", 2, "Carry-less product, twice as wide as its arguments; these have at most 64 bits.")
    op(
        "permute",
        2,
        "Table look-up by lanes of attr bits: lane i is lane arg1[i] of arg0, 0 when arg1[i] is past the end.",
    )
    op("aes", 1, "Half a round of AES on 16 bytes, the first lowest; attr = 'encrypt', ShiftRows with SubBytes, or "
       "'decrypt', their inverse; 'mix', MixColumns, or 'unmix', its inverse (FIPS 197).")  # fmt: skip
    op("sha1", 3, "Four rounds of SHA-1, attr = 'choose', 'parity' or 'majority': the new a, b, c, d. arg0 is a, b, c, "
       "d, the first lowest; arg1 is e; arg2 four sums of a word and the constant (FIPS 180-4).")  # fmt: skip
    op("sha256", 3, "Four rounds of SHA-256: the new a, b, c, d where attr is 'low', the new e, f, g, h where it is "
       "'high'. arg0 is a, b, c, d, the first lowest; arg1 e, f, g, h; arg2 as for sha1.")  # fmt: skip
    op("sha256_words", 2, "Of SHA-256's schedule, attr = 'first': four words and sigma0 of the one behind each, arg1 "
       "being the next four; 'second': four sums and sigma1 of the word two before each, arg1 being the four before "
       "them.")  # fmt: skip
    op("eq", 2, "1 bit: equal.")
    op("ne", 2, "1 bit: not equal.")
    op("ult", 2, "1 bit: unsigned less.")
    op("ule", 2, "1 bit: unsigned less or equal.")
    op("slt", 2, "1 bit: signed less.")
    op("sle", 2, "1 bit: signed less or equal.")
    op("zext", 1, "Widen with zeros.")
    op("sext", 1, "Widen with the sign.")
    op("trunc", 1, "The low bits.")
    op(
        "select",
        3,
        "arg1 when the bit arg0 is 1, else arg2. Both are always computed. attr 'likely': it mostly is 1.",
    )

    op(
        "lanes",
        None,
        "The pure op of the table on each of count lanes, the lowest first, attr = (op, count, width of a lane of each "
        "argument, attr of the op). A comparison gives count bits.",
    )
    op(
        "shuffle",
        None,
        "Lanes of one argument, or of two put behind each other, the first lowest, attr = (width of a lane, indexes): "
        "lane i of the result is that of number indexes[i]; -1 is a lane of zeros.",
    )

    # 4. Memory, little-endian, any alignment. A fault happens before any effect.
    mem = {"pure": False, "leaves": True}
    op("load", 1, "Read bits/8 bytes at arg0.", **mem)
    op("store", 2, "Write arg1 at arg0.", stores=True, **mem)
    op(
        "amo",
        2,
        "Atomically read at arg0 and write kind(old, arg1), attr = kind; the old value.",
        stores=True,
        **mem,
    )
    op(
        "cas",
        3,
        "Atomically: when memory at arg0 equals arg1, write arg2; the old value.",
        stores=True,
        **mem,
    )
    op("load_lanes", 2, "Read those lanes of attr bits, the lowest first and one behind the other from arg0 on, whose "
       "bit in arg1 is 1; the others are 0, and nothing is asked of their places.", **mem)  # fmt: skip
    op("store_lanes", 3, "Write the lanes of attr bits of arg1 likewise, whose bits in arg2 are 1. What faults behind "
       "others is made again from the first on: the guest sees to it that this is right.",
       stores=True, **mem)  # fmt: skip
    op("probe", 1, "Fault as an access of attr = (bytes, write) at arg0 would; nothing else.", **mem)
    op("fence", 0, "Order memory accesses, attr = (before, after) out of 'r' and 'w'; the full fence is sequentially "
       "consistent.", pure=False)  # fmt: skip

    # 5. Control
    op("jump", 1, "Go on at arg0 instead of the next instruction.", pure=False, writes=True)
    op("if", 1, "Do the ops in attr when the bit arg0 is 1.", pure=False)
    op(
        "trap",
        1,
        "Leave with exception attr and the value arg0; the program counter stays here.",
        pure=False,
        leaves=True,
    )
    op("syscall", 0, "Leave for a system call; the program counter stays here.", pure=False, leaves=True)
    op(
        "flush",
        0,
        "After this instruction, later ones see every earlier store as code.",
        pure=False,
        writes=True,
    )
    op("reshape", 0, "Leave: the state is not as this trace takes it to be. The golden evaluator, which has a trace "
       "for it, does the instruction.", pure=False, leaves=True)  # fmt: skip
    op("hint", 0, "Nothing that a program can see; attr says what the processor may do.", pure=False)
    op(
        "prefetch",
        1,
        "Nothing that a program can see: memory at arg0 will soon be wanted. It never faults.",
        pure=False,
    )

    # 6. Floating point, IEEE 754, on bit patterns of 16, 32 or 64 bits, in the guest's style (FLOAT_STYLES).
    #    attr rounding is 0 to 4, or ROUND_DYNAMIC. Exceptions accrue in FP_FLAGS.
    fp = {"pure": False, "writes": True}
    op("fadd", 2, "arg0 + arg1, attr = rounding.", **fp)
    op("fsub", 2, "arg0 - arg1, attr = rounding.", **fp)
    op("fmul", 2, "arg0 * arg1, attr = rounding.", **fp)
    op("fdiv", 2, "arg0 / arg1, attr = rounding.", **fp)
    op("fsqrt", 1, "Square root, attr = rounding.", **fp)
    op(
        "fma",
        3,
        "arg0 * arg1 + arg2 rounded once, attr = rounding; infinity * 0 is invalid even beside a quiet NaN. Where "
        "arg2 and the result have 32 bits, arg0 and arg1 may be halves.",
        **fp,
    )
    op("fmin", 2, "minimumNumber: the other when one is NaN; -0 < +0; a signaling NaN is invalid.", **fp)
    op("fmax", 2, "maximumNumber, likewise.", **fp)
    op("fminimum", 2, "minimum: a NaN when one is NaN; -0 < +0; a signaling NaN is invalid.", **fp)
    op("fmaximum", 2, "maximum, likewise.", **fp)
    op("feq", 2, "1 bit: equal; only a signaling NaN is invalid.", **fp)
    op("flt", 2, "1 bit: less; any NaN is invalid.", **fp)
    op("fle", 2, "1 bit: less or equal; any NaN is invalid.", **fp)
    op(
        "fcmp",
        2,
        "4 bits, one of them set: less, equal, greater, unordered. A signaling NaN is invalid, where attr any NaN.",
        **fp,
    )
    op("fcvt", 1, "To another format, attr = rounding.", **fp)
    op("fresize", 1, "As fcvt, but halves are what they are in arithmetic: IEEE 754's always, and flushed where "
       "FP_MODE says so.", **fp)  # fmt: skip
    op(
        "frint",
        1,
        "To an integral number, which may be -0, attr = (exact, rounding); inexact is raised where exact asks.",
        **fp,
    )
    op(
        "ftoi",
        1,
        "To an integer, attr = (signed, rounding): saturates; invalid when out of range; NaN as the style says.",
        **fp,
    )
    op("itof", 1, "From an integer, attr = (signed, rounding).", **fp)
    op("flanes", None, "The floating-point op of the table on each lane, attr as that of lanes.", **fp)
    return {row.name: row for row in rows}


OPS: Final = _table()

FLOAT_BITS: Final = (16, 32, 64)
MEMORY_BITS: Final = (8, 16, 32, 64, 128)
LANE_BITS: Final = (8, 16, 32, 64)
"""Of a lane of load_lanes and store_lanes."""
ACCESSES: Final = ("load", "store", "amo", "cas", "probe")
"""Ops that may find an address that the guest must not use."""
COMPARISONS: Final = frozenset({"eq", "ne", "ult", "ule", "slt", "sle", "feq", "flt", "fle"})
FLOATING: Final = frozenset(name for name, info in OPS.items() if info.writes) - {
    "set", "setx", "jump", "flush", "flanes",
}  # fmt: skip
"""Ops that change nothing but accrued floating-point exceptions: what flanes does on lanes."""
ROUNDED: Final = frozenset({"fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma", "fcvt", "fresize"})


def lanes_of(attr: object) -> tuple[str, int, tuple[int, ...], object]:
    """The attr of lanes and flanes: the op, how many lanes, the width of a lane of each argument, the op's attr."""
    return attr  # type: ignore[return-value]  # which `ir.verify` has looked at


def shuffled(attr: object) -> tuple[int, tuple[int, ...]]:
    """The attr of shuffle: the width of a lane, and indexes."""
    return attr  # type: ignore[return-value]  # which `ir.verify` has looked at


def rounding(op: str, attr: object) -> int | None:
    """The rounding attribute of an op, or None where the op does not round."""
    if op in ROUNDED:
        assert isinstance(attr, int)
        return attr
    if op == "flanes":
        name, _, _, inner = lanes_of(attr)
        return rounding(name, inner)
    if op in ("ftoi", "itof", "frint"):
        assert isinstance(attr, tuple)
        mode = attr[1]
        assert isinstance(mode, int)
        return mode
    return None
