"""FEAT_LSE, FEAT_LRCPC and FEAT_LRCPC2: atomic operations, compare and swap, and loads that later accesses follow.

Their addresses must be aligned, those of pairs to both. Every order of atomics is sequentially consistent here, as each
of the weaker ones may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.exclusives import WIDTHS, aligned, released
from polyvm.isa.aarch64.model import UNITS, aarch64, base, described, read, read_pair, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = aarch64.extension("FEAT_LSE", "8.1", "Atomics")

# Letters of the mnemonic, acquire and release.
ORDERS: Final = (("", "0", "0"), ("a", "1", "0"), ("l", "0", "1"), ("al", "1", "1"))


def _swap(letter: str, size: str, register: str, bits: int) -> None:
    def body(m: Tracer, Rs: Val, Rn_sp: Val, Rt: Val) -> None:
        address = base(m, Rn_sp)
        aligned(m, address, bits // 8)
        write(m, Rs, m.cas(address, read(m, Rs, bits), read(m, Rt, bits)))

    for order, acquire, release in ORDERS:
        insn(
            f"cas{order}{letter} {register}s, {register}t, [Xn_sp]",
            f"{size} 001000 1 {acquire} 1 Rs {release} 11111 Rn_sp Rt",
        )(described(body, f"Replace a {UNITS[bits]} if it is Rs, which becomes what it was."))


def _swap_pair(sz: str, register: str, bits: int) -> None:
    def body(m: Tracer, Rs: Val, Rn_sp: Val, Rt: Val) -> None:
        address = base(m, Rn_sp)
        aligned(m, address, bits // 4)
        expected, new = (read_pair(m, low, low + 1, bits) for low in (Rs, Rt))
        old = m.cas(address, expected, new)
        write(m, Rs, old.trunc(bits))
        write(m, Rs + 1, old[2 * bits - 1 : bits])

    r = register
    for order, acquire, release in ORDERS:
        insn(
            f"casp{order} {r}s, {r}s_next, {r}t, {r}t_next, [Xn_sp]",
            f"0 {sz} 001000 0 {acquire} 1 Rs[4:1] 0 {release} 11111 Rn_sp Rt[4:1] 0",
        )(
            described(
                body, f"Replace two {UNITS[bits]}s if they are Rs and the next, which become what they were."
            )
        )


for row in WIDTHS:
    _swap(*row)
_swap_pair("0", "W", 32)
_swap_pair("1", "X", 64)

# Mnemonic; o3 and opc; kind; what is done.
OPERATIONS: Final = (
    ("ldadd", "0 000", "add", "Add Rs to"),
    ("ldclr", "0 001", "and", "Clear the bits of Rs in"),
    ("ldeor", "0 010", "xor", "Exclusive or of Rs and"),
    ("ldset", "0 011", "or", "Set the bits of Rs in"),
    ("ldsmax", "0 100", "max", "The greater signed one of Rs and"),
    ("ldsmin", "0 101", "min", "The less signed one of Rs and"),
    ("ldumax", "0 110", "maxu", "The greater unsigned one of Rs and"),
    ("ldumin", "0 111", "minu", "The less unsigned one of Rs and"),
    ("swp", "1 000", "swap", "Put Rs in the place of"),
)


def _operation(name: str, opcode: str, kind: str, doc: str) -> None:
    for letter, size, register, bits in WIDTHS:

        def body(m: Tracer, Rs: Val, Rn_sp: Val, Rt: Val, bits: int = bits) -> None:
            address = base(m, Rn_sp)
            aligned(m, address, bits // 8)
            value = read(m, Rs, bits)
            write(m, Rt, m.amo(kind, address, ~value if name == "ldclr" else value))

        for order, acquire, release in ORDERS:
            insn(
                f"{name}{order}{letter} {register}s, {register}t, [Xn_sp]",
                f"{size} 111 0 00 {acquire} {release} 1 Rs {opcode} 00 Rn_sp Rt",
            )(described(body, f"{doc} a {UNITS[bits]} in memory; Rt becomes what it was."))


for operation in OPERATIONS:
    _operation(*operation)

insn = aarch64.extension("FEAT_LRCPC", "8.3", "Loads and Stores")


def _acquired(m: Tracer, address: Val, bits: int) -> Val:
    """Load before all later accesses."""
    aligned(m, address, bits // 8)
    value = m.load(address, bits)
    m.fence("r", "rw")
    return value


def _load(letter: str, size: str, register: str, bits: int) -> None:
    def body(m: Tracer, Rn_sp: Val, Rt: Val) -> None:
        write(m, Rt, _acquired(m, base(m, Rn_sp), bits))

    insn(f"ldapr{letter} {register}t, [Xn_sp]", f"{size} 111 0 00 1 0 1 11111 1 100 00 Rn_sp Rt")(
        described(
            body, f"Load a {UNITS[bits]}, before all later accesses; earlier releases may come after it."
        )
    )


for row in WIDTHS:
    _load(*row)

insn = aarch64.extension("FEAT_LRCPC2", "8.4", "Loads and Stores")
_UNSCALED: Final = "[Xn_sp{, #simm}]"


def _unscaled(letter: str, size: str, register: str, bits: int) -> None:
    """The table "LDAPR/STLR (unscaled immediate)" of C4.1, numbers without a sign."""

    def load(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val) -> None:
        write(m, Rt, _acquired(m, base(m, Rn_sp) + simm.sext(64), bits))

    def store(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val) -> None:
        released(m, base(m, Rn_sp) + simm.sext(64), read(m, Rt, bits))

    head, tail = f"{size} 011001", "0 simm[8:0] 00 Rn_sp Rt"
    insn(f"stlur{letter} {register}t, {_UNSCALED}", f"{head} 00 {tail}")(
        described(store, f"Store a {UNITS[bits]}, after all earlier accesses.")
    )
    insn(f"ldapur{letter} {register}t, {_UNSCALED}", f"{head} 01 {tail}")(
        described(load, f"Load a {UNITS[bits]}, before all later accesses.")
    )


def _unscaled_signed(letter: str, size: str, bits: int) -> None:
    for opc, register, wide in (("10", "X", 64), ("11", "W", 32)):
        if wide == bits:
            continue

        def load(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val, wide: int = wide) -> None:
            write(m, Rt, _acquired(m, base(m, Rn_sp) + simm.sext(64), bits).sext(wide))

        insn(f"ldapurs{letter} {register}t, {_UNSCALED}", f"{size} 011001 {opc} 0 simm[8:0] 00 Rn_sp Rt")(
            described(load, f"Load a signed {UNITS[bits]}, before all later accesses.")
        )


for row in WIDTHS:
    _unscaled(*row)
for letter, size, _, bits in (*WIDTHS[:2], ("w", *WIDTHS[2][1:])):
    _unscaled_signed(letter, size, bits)
