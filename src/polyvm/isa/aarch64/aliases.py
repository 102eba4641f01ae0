"""The manual's aliases of A64 instructions: other texts for them, and other numbers (C6.2, "Alias conditions").

Text only: nothing here has a meaning. The first one that fits is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from polyvm.isa.aarch64.registers import SP, W_NAMES, X_NAMES
from polyvm.isa.aarch64.syntax import CONDITIONS, SHIFTS
from polyvm.isa.spec import Computed


# -- Aliases that are other texts of the same fields
def _sized(r: str, zr: str, sp: str, bits: int) -> Iterator[tuple[str, str]]:
    """Those of the 32-bit or the 64-bit variants."""
    d, n, m, top = f"{r}d", f"{r}n", f"{r}m", bits - 1
    # Data processing, immediate
    yield f"mov {d}_sp, {sp}", f"add {d}_sp, {sp}, #0"
    yield f"mov {sp}, {n}_sp", f"add {sp}, {n}_sp, #0"
    yield f"cmp {n}_sp, #imm12{{, lsl #sh}}", f"subs {zr}, {n}_sp, #imm12{{, lsl #sh}}"
    yield f"cmn {n}_sp, #imm12{{, lsl #sh}}", f"adds {zr}, {n}_sp, #imm12{{, lsl #sh}}"
    yield f"tst {n}, #{r}_mask", f"ands {zr}, {n}, #{r}_mask"
    yield f"lsr {d}, {n}, #immr", f"ubfm {d}, {n}, #immr, #{top}"
    yield f"asr {d}, {n}, #immr", f"sbfm {d}, {n}, #immr, #{top}"
    if bits == 32:
        yield f"uxtb {d}, {n}", f"ubfm {d}, {n}, #0, #7"
        yield f"uxth {d}, {n}", f"ubfm {d}, {n}, #0, #15"
    yield f"ror {d}, {n}, #imms", f"extr {d}, {n}, {n}, #imms"
    # Data processing, register
    yield f"mov {d}, {m}", f"orr {d}, {zr}, {m}"
    logical, shifted = f"{m}{{, logical_shift #imm6}}", f"{m}{{, shift #imm6}}"
    extended = f"{n}_sp, Rm_option{{, {r}_extend{{ #imm3}}}}"
    yield f"mvn {d}, {logical}", f"orn {d}, {zr}, {logical}"
    yield f"tst {n}, {logical}", f"ands {zr}, {n}, {logical}"
    for short, long in (("cmp", "subs"), ("cmn", "adds")):
        yield f"{short} {n}, {shifted}", f"{long} {zr}, {n}, {shifted}"
        yield f"{short} {extended}", f"{long} {zr}, {extended}"
    yield f"neg {d}, {shifted}", f"sub {d}, {zr}, {shifted}"
    yield f"negs {d}, {shifted}", f"subs {d}, {zr}, {shifted}"
    yield f"ngc {d}, {m}", f"sbc {d}, {zr}, {m}"
    yield f"ngcs {d}, {m}", f"sbcs {d}, {zr}, {m}"
    yield f"mul {d}, {n}, {m}", f"madd {d}, {n}, {m}, {zr}"
    yield f"mneg {d}, {n}, {m}", f"msub {d}, {n}, {m}, {zr}"
    for shift in SHIFTS:
        yield f"{shift} {d}, {n}, {m}", f"{shift}v {d}, {n}, {m}"
    # AL and NV have no opposite (C6.2, CSET)
    for number, condition in enumerate(CONDITIONS[:14]):
        opposite = CONDITIONS[number ^ 1]
        yield f"cset {d}, {condition}", f"csinc {d}, {zr}, {zr}, {opposite}"
        yield f"csetm {d}, {condition}", f"csinv {d}, {zr}, {zr}, {opposite}"
        yield f"cinc {d}, {n}, {condition}", f"csinc {d}, {n}, {n}, {opposite}"
        yield f"cinv {d}, {n}, {condition}", f"csinv {d}, {n}, {n}, {opposite}"
        yield f"cneg {d}, {n}, {condition}", f"csneg {d}, {n}, {n}, {opposite}"


def _vectors() -> Iterator[tuple[str, str]]:
    """Those of vectors: moves and conversions."""
    for letter, register in (("b", "W"), ("h", "W"), ("s", "W"), ("d", "X")):
        for source in (f"{register}n", f"Vn.{letter}[lane]"):
            to = f"Vd.{letter}[into], {source}"
            yield f"mov {to}", f"ins {to}"
        yield f"mov {letter.upper()}d, Vn.{letter}[lane]", f"dup {letter.upper()}d, Vn.{letter}[lane]"
    yield "mov Wd, Vn.s[lane]", "umov Wd, Vn.s[lane]"
    yield "mov Xd, Vn.d[lane]", "umov Xd, Vn.d[lane]"
    yield "mov Vd.B, Vn.B", "orr Vd.B, Vn.B, Vn.B"
    yield "mvn Vd.B, Vn.B", "not Vd.B, Vn.B"
    for wide, low, full in (("8h", "8b", "16b"), ("4s", "4h", "8h"), ("2d", "2s", "4s")):
        for sign in "su":
            yield f"{sign}xtl Vd.{wide}, Vn.{low}", f"{sign}shll Vd.{wide}, Vn.{low}, #0"
            yield f"{sign}xtl2 Vd.{wide}, Vn.{full}", f"{sign}shll2 Vd.{wide}, Vn.{full}, #0"


# Hints that later extensions gave a name; without these extensions they do nothing.
HINTS: Final = {
    6: "dgh", 16: "esb", 20: "csdb", 32: "bti", 34: "bti c", 36: "bti j", 38: "bti jc",
}  # fmt: skip

ALIASES: Final = (
    *_sized("W", "wzr", "wsp", 32),
    *_sized("X", "xzr", "sp", 64),
    *((f"{short} Xd, Wn, Wm", f"{long} Xd, Wn, Wm, xzr") for short, long in (
        ("smull", "smaddl"), ("smnegl", "smsubl"), ("umull", "umaddl"), ("umnegl", "umsubl"),
    )),
    ("cmpp Xn_sp, Xm_sp", "subps xzr, Xn_sp, Xm_sp"),
    *((name, f"hint #{number}") for number, name in HINTS.items()),
    *_vectors(),
    *((f"st{name}{order}{size} {r}s, [Xn_sp]", f"ld{name}{order}{size} {r}s, {r.lower()}zr, [Xn_sp]")
      for name in ("add", "clr", "eor", "set", "smax", "smin", "umax", "umin")
      for order in ("", "l")
      for size, r in (("b", "W"), ("h", "W"), ("", "W"), ("", "X"))),
)  # fmt: skip

# Accepted, never printed.
SPELLINGS: Final = (
    ("b.cs offset", "b.hs offset"),
    ("b.cc offset", "b.lo offset"),
    ("isb sy", "isb #15"),
    *((f"{short} Vd.T, Vn.T, Vm.T", f"{long} Vd.T, Vm.T, Vn.T") for short, long in (
        ("cmlt", "cmgt"), ("cmle", "cmge"), ("cmlo", "cmhi"), ("cmls", "cmhs"),
    )),
)  # fmt: skip


# -- Aliases with other numbers than their instruction
def _bits(register: str) -> int:
    return 64 if register in X_NAMES else 32


def _number(text: str) -> int:
    return int(text.removeprefix("#"), 0)


def _bitfield(short: str, long: str, shorten: Callable[[int, int, int], tuple[int, ...] | None],
              expand: Callable[..., tuple[int, int]]) -> Computed:  # fmt: skip
    """An alias of SBFM, BFM or UBFM: its numbers from (bits, immr, imms), and back from (bits, its numbers)."""

    def shorter(operands: list[str]) -> list[str] | None:
        d, n, immr, imms = operands
        found = shorten(_bits(d), _number(immr), _number(imms))
        return None if found is None else [d, n, *(f"#{number}" for number in found)]

    def longer(operands: list[str]) -> list[str] | None:
        d, n, *numbers = operands
        return [d, n, *(f"#{number}" for number in expand(_bits(d), *map(_number, numbers)))]

    return Computed(short, long, shorter, longer)


def _extract(short: str, long: str) -> Computed:
    """The field from lsb on, so many bits, goes to the bottom."""
    return _bitfield(
        short,
        long,
        lambda bits, immr, imms: (immr, imms - immr + 1) if immr <= imms else None,
        lambda bits, lsb, width: (lsb, lsb + width - 1),
    )


def _insert(short: str, long: str) -> Computed:
    """So many bits from the bottom go to lsb."""
    return _bitfield(
        short,
        long,
        lambda bits, immr, imms: (bits - immr, imms + 1) if imms < immr else None,
        lambda bits, lsb, width: (-lsb % bits, width - 1),
    )


def _sign(short: str, last: int) -> Computed:
    """SXTB, SXTH and SXTW: what is extended has the name of a word."""

    def shorten(operands: list[str]) -> list[str] | None:
        d, n, immr, imms = operands
        fits = (immr, imms) == ("#0", f"#{last}") and last < _bits(d) - 1
        return [d, W_NAMES[X_NAMES.index(n)] if n in X_NAMES else n] if fits else None

    def expand(operands: list[str]) -> list[str] | None:
        d, n = operands
        same = X_NAMES[W_NAMES.index(n)] if d in X_NAMES else n
        return [d, same, "#0", f"#{last}"] if last < _bits(d) - 1 else None

    return Computed(short, "sbfm", shorten, expand)


def _wide(value: int, bits: int) -> tuple[int, int] | None:
    """The 16 bits and the shift that make a number, if there are such."""
    for shift in range(0, bits, 16):
        if value >> shift << shift == value and value >> shift <= 0xFFFF:
            return value >> shift, shift
    return None


def _move(long: str) -> Computed:
    """MOV of an immediate, by MOVZ, by MOVN, or where neither can, by ORR (C6.2, MOV)."""

    def made(value: int, bits: int) -> tuple[int, int] | None:
        mask = (1 << bits) - 1
        if long == "movz":
            return _wide(value, bits)
        return None if _wide(value, bits) else _wide(~value & mask, bits)

    def shorten(operands: list[str]) -> list[str] | None:
        d, first, *rest = operands
        bits = _bits(d)
        mask = (1 << bits) - 1
        if long == "orr":
            if first != ("xzr" if bits == 64 else "wzr") or len(rest) != 1 or not rest[0].startswith("#"):
                return None
            value = _number(rest[0])
            return None if _wide(value, bits) or _wide(~value & mask, bits) else [d, rest[0]]
        shift = _number(rest[0].removeprefix("lsl ")) if rest else 0
        value = _number(first) << shift if long == "movz" else ~(_number(first) << shift)
        if made(value & mask, bits) != (_number(first), shift):
            return None  # it can be made in another way, which is preferred
        return [d, f"#{value}"]

    def expand(operands: list[str]) -> list[str] | None:
        d, text = operands
        bits = _bits(d)
        value = _number(text) & (1 << bits) - 1
        if long == "orr":
            return [d, "xzr" if bits == 64 else "wzr", text]
        found = made(value, bits) if d not in (X_NAMES[SP], W_NAMES[SP]) else None
        return found and [d, f"#{found[0]}", f"lsl #{found[1]}"]

    return Computed("mov", long, shorten, expand)


COMPUTED: Final = (
    _move("movz"),
    _move("movn"),
    _move("orr"),
    _bitfield(
        "lsl",
        "ubfm",
        lambda bits, immr, imms: (bits - immr,) if imms + 1 == immr else None,
        lambda bits, amount: (-amount % bits, bits - 1 - amount),
    ),
    _sign("sxtb", 7),
    _sign("sxth", 15),
    _sign("sxtw", 31),
    _insert("sbfiz", "sbfm"),
    _extract("sbfx", "sbfm"),
    _insert("bfi", "bfm"),
    _extract("bfxil", "bfm"),
    _insert("ubfiz", "ubfm"),
    _extract("ubfx", "ubfm"),
)
