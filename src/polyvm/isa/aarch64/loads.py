"""Loads and stores of one register or two: the tables of the manual's section "Loads and Stores" in C4.1.

A table of C4.1 is an extension here; its rows are what is accessed, which `ACCESSES` lists once for all addressing
modes. Unaligned accesses work; but for the stack pointer as a base, which must be aligned. Exclusive and ordered
accesses are in `exclusives`.

Where a load writes the address back to the register that it loads, or both registers of a pair are the same, which the
manual leaves open, the last write of these stands, as in QEMU: second register, first register, address; of vector
registers the first comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import UNITS, aarch64, base, described, read, read_pair, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Body

TITLE = "Loads and Stores"


@dataclass(frozen=True, slots=True)
class Access:
    """What is loaded or stored: a row of the tables.

    suffix: what the mnemonic ends with after LD or ST and the letters of the addressing mode. size, opc: fields of the
    encoding. register: W or X, or of SIMD and floating point B, H, S, D or Q. bits: in memory. signed: to how many
    bits a load extends the sign, 0 for none.
    """

    store: bool
    suffix: str
    size: str
    opc: str
    register: str
    bits: int
    signed: int = 0

    @property
    def scale(self) -> int:
        """Bytes of the access, as a power of two."""
        return (self.bits // 8).bit_length() - 1

    @property
    def vector(self) -> bool:
        """Whether it is of a SIMD and floating-point register."""
        return self.register not in GENERAL

    @property
    def group(self) -> str:
        """The bits of the encoding that say so."""
        return "111 1" if self.vector else "111 0"

    @property
    def field(self) -> str:
        """The field that has the register's number."""
        return "Vt" if self.vector else "Rt"

    def name(self, mode: str) -> str:
        """The mnemonic: STR and LDR, or STUR and LDTR and the like."""
        return f"{'st' if self.store else 'ld'}{mode}{self.suffix}"

    @property
    def doc(self) -> str:
        """What it does, without the address."""
        extended = f", extended to {self.signed} bits with its sign" if self.signed else ""
        return f"{'Store' if self.store else 'Load'} a {UNITS[self.bits]}{extended}"

    def do(self, m: Tracer, address: Val, register: Val) -> None:
        """The access."""
        if self.store:
            m.store(address, (m.q[register] if self.vector else m.x[register]).trunc(self.bits))
            return
        value = m.load(address, self.bits)
        if self.vector:
            m.q[register] = value.zext(128)
        else:
            write(m, register, value.sext(self.signed) if self.signed else value)


GENERAL = "WX"
STORE, LOAD = True, False
LDR_W: Final = Access(LOAD, "r", "10", "01", "W", 32)
LDR_X: Final = Access(LOAD, "r", "11", "01", "X", 64)
LDRSW: Final = Access(LOAD, "rsw", "10", "10", "X", 32, signed=64)
ACCESSES: Final = (
    Access(STORE, "rb", "00", "00", "W", 8),
    Access(LOAD, "rb", "00", "01", "W", 8),
    Access(LOAD, "rsb", "00", "10", "X", 8, signed=64),
    Access(LOAD, "rsb", "00", "11", "W", 8, signed=32),
    Access(STORE, "rh", "01", "00", "W", 16),
    Access(LOAD, "rh", "01", "01", "W", 16),
    Access(LOAD, "rsh", "01", "10", "X", 16, signed=64),
    Access(LOAD, "rsh", "01", "11", "W", 16, signed=32),
    Access(STORE, "r", "10", "00", "W", 32),
    LDR_W,
    LDRSW,
    Access(STORE, "r", "11", "00", "X", 64),
    LDR_X,
    *(
        Access(store, "r", size, f"{opc}{int(not store)}", letter, bits)
        for letter, bits, size, opc in (
            ("B", 8, "00", "0"),
            ("H", 16, "01", "0"),
            ("S", 32, "10", "0"),
            ("D", 64, "11", "0"),
            ("Q", 128, "00", "1"),
        )
        for store in (STORE, LOAD)
    ),
)
LITERALS: Final = (
    ("00", LDR_W), ("01", LDR_X), ("10", LDRSW),
    *((opc, Access(LOAD, "r", "", "", letter, bits)) for opc, letter, bits in (
        ("00", "S", 32), ("01", "D", 64), ("10", "Q", 128),
    )),
)  # fmt: skip
PREFETCH: Final = "11", "10"
"""size and opc of PRFM."""


def _prefetch(address: Callable[..., Val]) -> Body:
    """The body of a prefetch; PLD, PLI and PST alike. address: from the tracer and the fields, the operation not
    among them."""

    def body(m: Tracer, prfop: Val, **fields: Val) -> None:
        m.prefetch(address(m, **fields))

    return described(body, "Say that an address will be used soon; nothing happens, and nothing faults.")


# -- Load register (literal)
insn = aarch64.extension("Load register (literal)", "8.0", TITLE)


def _literal(opc: str, access: Access) -> None:
    def body(m: Tracer, offset: Val, **registers: Val) -> None:
        access.do(m, m.pc + offset.sext(64), registers[access.field])

    insn(
        f"{access.name('')} {access.register}t, offset",
        f"{opc} 011 {int(access.vector)} 00 offset[20:2] {access.field}",
    )(described(body, f"{access.doc}, from a label."))


for opc, access in LITERALS:
    _literal(opc, access)
insn("prfm prfop, offset", "11 011 0 00 offset[20:2] prfop")(
    _prefetch(lambda m, offset: m.pc + offset.sext(64))
)


# -- Load/store register pair
@dataclass(frozen=True, slots=True)
class Mode:
    """How an address is made: the mode's text behind the registers, and whether the base changes, before or after."""

    text: str
    moves: bool
    before: bool
    doc: str

    def address(self, m: Tracer, Rn_sp: Val, simm: Val) -> tuple[Val, Val]:
        """The address of the access and, where the base changes, its new value."""
        start = base(m, Rn_sp)
        moved = start + simm.sext(64)
        return (moved if self.before else start), moved


OFFSET: Final = Mode("[Xn_sp{, #simm}]", False, True, "at a base and an offset")
BEFORE: Final = Mode("[Xn_sp, #simm]!", True, True, "at a base that is moved before")
AFTER: Final = Mode("[Xn_sp], #simm", True, False, "at a base that is moved after")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is loaded or stored as a pair, as Access says it."""

    store: bool
    opc: str
    register: str
    bits: int
    signed: bool = False

    def name(self, mode: str) -> str:
        """The mnemonic."""
        return f"{'st' if self.store else 'ld'}{mode}p{'sw' if self.signed else ''}"

    @property
    def doc(self) -> str:
        """What it does, without the address."""
        extended = ", extended to 64 bits with their sign" if self.signed else ""
        return f"{'Store' if self.store else 'Load'} two {UNITS[self.bits]}s{extended}"

    @property
    def vector(self) -> bool:
        """Whether it is of SIMD and floating-point registers."""
        return self.register not in GENERAL

    @property
    def field(self) -> str:
        """The field that has the first register's number; that of the second ends in 2."""
        return "Vt" if self.vector else "Rt"

    def do(self, m: Tracer, address: Val, first: Val, second: Val) -> None:
        """The access, as one where that can be, so that nothing is done where half of it faults."""
        if self.bits == 128:
            self._do_wide(m, address, first, second)
            return
        if self.store:
            if self.vector:
                low, high = (
                    m.q[register].trunc(self.bits).zext(2 * self.bits) for register in (first, second)
                )
                m.store(address, low | (high << self.bits))
            else:
                m.store(address, read_pair(m, first, second, self.bits))
            return
        both = m.load(address, 2 * self.bits)
        low, high = both.trunc(self.bits), both[2 * self.bits - 1 : self.bits]
        if self.vector:
            m.q[first] = low.zext(128)
            m.q[second] = high.zext(128)
            return
        for register, value in ((second, high), (first, low)):
            write(m, register, value.sext(64) if self.signed else value)

    def _do_wide(self, m: Tracer, address: Val, first: Val, second: Val) -> None:
        if self.store:
            m.probe(address, 32, write=True)
            m.store(address, m.q[first])
            m.store(address + 16, m.q[second])
            return
        low, high = m.load(address, 128), m.load(address + 16, 128)
        m.q[first] = low
        m.q[second] = high


PAIRS: Final = (
    Pair(STORE, "00", "W", 32),
    Pair(LOAD, "00", "W", 32),
    Pair(LOAD, "01", "X", 32, signed=True),
    Pair(STORE, "10", "X", 64),
    Pair(LOAD, "10", "X", 64),
    *(
        Pair(store, opc, letter, bits)
        for opc, letter, bits in (("00", "S", 32), ("01", "D", 64), ("10", "Q", 128))
        for store in (STORE, LOAD)
    ),
)


def _pairs(table: str, code: str, mode: Mode, letter: str = "") -> None:
    insn = aarch64.extension(table, "8.0", TITLE)
    for pair in PAIRS:
        if pair.signed and letter:
            continue  # unallocated

        def body(m: Tracer, simm: Val, Rn_sp: Val, pair: Pair = pair, **registers: Val) -> None:
            address, moved = mode.address(m, Rn_sp, simm)
            pair.do(m, address, registers[pair.field], registers[f"{pair.field}2"])
            if mode.moves:
                m.x[Rn_sp] = moved

        scale = (pair.bits // 8).bit_length() - 1
        insn(
            f"{pair.name(letter)} {pair.register}t, {pair.register}t2, {mode.text}",
            f"{pair.opc} 101 {int(pair.vector)} {code} {int(not pair.store)} simm[{6 + scale}:{scale}] "
            f"{pair.field}2 Rn_sp {pair.field}",
        )(described(body, f"{pair.doc}, {mode.doc}."))


_pairs("Load/store no-allocate pair (offset)", "000", OFFSET, "n")
_pairs("Load/store register pair (post-indexed)", "001", AFTER)
_pairs("Load/store register pair (offset)", "010", OFFSET)
_pairs("Load/store register pair (pre-indexed)", "011", BEFORE)


# -- Load/store register, with a 9-bit offset
def _unscaled(table: str, code: str, mode: Mode, letter: str = "") -> None:
    insn = aarch64.extension(table, "8.0", TITLE)
    for access in ACCESSES:
        if access.vector and letter == "t":
            continue  # unallocated

        def body(m: Tracer, simm: Val, Rn_sp: Val, access: Access = access, **registers: Val) -> None:
            address, moved = mode.address(m, Rn_sp, simm)
            access.do(m, address, registers[access.field])
            if mode.moves:
                m.x[Rn_sp] = moved

        insn(
            f"{access.name(letter)} {access.register}t, {mode.text}",
            f"{access.size} {access.group} 00 {access.opc} 0 simm[8:0] {code} Rn_sp {access.field}",
        )(described(body, f"{access.doc}, {mode.doc}."))
    if letter == "u":
        size, opc = PREFETCH
        insn(f"prfum prfop, {mode.text}", f"{size} 111 0 00 {opc} 0 simm[8:0] {code} Rn_sp prfop")(
            _prefetch(lambda m, simm, Rn_sp: m.x[Rn_sp] + simm.sext(64))
        )


_unscaled("Load/store register (unscaled immediate)", "00", OFFSET, "u")
_unscaled("Load/store register (immediate post-indexed)", "01", AFTER)
# Without privileges there is none to do without: as the unscaled ones (C3.2, "Load/store unprivileged").
_unscaled("Load/store register (unprivileged)", "10", OFFSET, "t")
_unscaled("Load/store register (immediate pre-indexed)", "11", BEFORE)

# -- Load/store register (register offset)
insn = aarch64.extension("Load/store register (register offset)", "8.0", TITLE)


def _indexed(m: Tracer, Rm: Val, index: int, shift: int) -> Val:
    """The index: a word, extended with zeros or its sign, or a double word, shifted left."""
    wide, signed = index & 1, index & 4
    value = m.x[Rm] if wide else read(m, Rm, 32)
    return (value.sext(64) if signed else value.zext(64)) << shift


def _at_index(access: Access) -> None:
    def body(m: Tracer, Rm: Val, index: int, S: int, Rn_sp: Val, **registers: Val) -> None:
        access.do(m, base(m, Rn_sp) + _indexed(m, Rm, index, S * access.scale), registers[access.field])

    insn(
        f"{access.name('')} {access.register}t, {_index(access.scale)}",
        f"{access.size} {access.group} 00 {access.opc} 1 Rm index S 10 Rn_sp {access.field}",
    )(described(body, f"{access.doc}, at a base and an index, which may be shifted by its size."))


def _index(scale: int) -> str:
    return f"[Xn_sp, Rm_index{{, index{{ #S{scale}}}}}]"


for access in ACCESSES:
    _at_index(access)
insn(f"prfm prfop, {_index(3)}", f"{PREFETCH[0]} 111 0 00 {PREFETCH[1]} 1 Rm index S 10 Rn_sp prfop")(
    _prefetch(lambda m, Rm, index, S, Rn_sp: m.x[Rn_sp] + _indexed(m, Rm, index, 3 * S))
)

# -- Load/store register (unsigned immediate)
insn = aarch64.extension("Load/store register (unsigned immediate)", "8.0", TITLE)


def _scaled(access: Access) -> None:
    def body(m: Tracer, pimm: Val, Rn_sp: Val, **registers: Val) -> None:
        access.do(m, base(m, Rn_sp) + pimm.zext(64), registers[access.field])

    insn(
        f"{access.name('')} {access.register}t, [Xn_sp{{, #pimm}}]",
        f"{access.size} {access.group} 01 {access.opc} pimm[{11 + access.scale}:{access.scale}] Rn_sp {access.field}",
    )(described(body, f"{access.doc}, at a base and a multiple of its size."))


for access in ACCESSES:
    _scaled(access)
insn("prfm prfop, [Xn_sp{, #pimm}]", f"{PREFETCH[0]} 111 0 01 {PREFETCH[1]} pimm[14:3] Rn_sp prfop")(
    _prefetch(lambda m, pimm, Rn_sp: m.x[Rn_sp] + pimm.zext(64))
)
