"""Exclusive and ordered accesses: their tables of the manual's section "Loads and Stores" in C4.1.

Their addresses must be aligned. Exclusives compare the value that the load saw, as QEMU and FEX do: a value that
changed and changed back is not noticed ("Order" in the design), but with --exact-exclusives, which is what the hint
is for (docs/decisions/0016-exclusive-sections.md). Register fields that are not used must be all ones, as
the manual has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import UNITS, aarch64, base, described, read, read_pair, write

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

TITLE = "Loads and Stores"

# -- Load/store exclusive
insn = aarch64.extension("Load/store exclusive", "8.0", TITLE)

# The monitor: the address and the value that a load saw, and its size in bytes; 0 when there is none.
EXCLUSIVE_ADDRESS: Final = ("exclusive_address", 0)
EXCLUSIVE_LOW: Final = ("exclusive_low", 0)
EXCLUSIVE_HIGH: Final = ("exclusive_high", 0)
EXCLUSIVE: Final = ("exclusive", 0)
SUCCEEDED: Final = 1 << 8  # no size

WIDTHS: Final = (("b", "00", "W", 8), ("h", "01", "W", 16), ("", "10", "W", 32), ("", "11", "X", 64))
"""Letter of the mnemonic, size field, register, bits."""


def aligned(m: Tracer, address: Val, size: int) -> None:
    """Trap where an address is not a multiple of a size in bytes."""
    if size > 1:
        with m.when((address & (size - 1)) != 0):
            m.trap("misaligned", address)


def _load_exclusive(m: Tracer, address: Val, bits: int, acquire: bool) -> Val:
    """Load and monitor up to 128 bits."""
    m.hint("exclusive")
    aligned(m, address, bits // 8)
    value = m.load(address, bits)
    if acquire:
        m.fence("r", "rw")
    m.set(EXCLUSIVE_ADDRESS, address)
    m.set(EXCLUSIVE_LOW, value.zext(64) if bits < 64 else value.trunc(64))
    if bits == 128:
        m.set(EXCLUSIVE_HIGH, value[127:64])
    m.set(EXCLUSIVE, m.const(bits // 8, 64))
    return value


def _store_exclusive(m: Tracer, address: Val, new: Val, Rs: Val) -> None:
    """Store up to 128 bits if the monitor saw the address, and memory still has what it saw. A release in any case."""
    bits = new.bits
    aligned(m, address, bits // 8)
    expected = m.get(EXCLUSIVE_LOW)
    if bits == 128:
        expected = expected.zext(128) | (m.get(EXCLUSIVE_HIGH).zext(128) << 64)
    holds = (m.get(EXCLUSIVE) == bits // 8) & (m.get(EXCLUSIVE_ADDRESS) == address)
    expected = expected.trunc(bits)
    # Without a monitor there is no access at all, so the swap stands in a `when`, which no value leaves: EXCLUSIVE
    # carries the result out.
    with m.when(holds):
        m.set(EXCLUSIVE, m.select(m.cas(address, expected, new) == expected, m.const(SUCCEEDED, 64), 0))
    m.x[Rs] = (m.get(EXCLUSIVE) != SUCCEEDED).zext(64)
    m.set(EXCLUSIVE, m.const(0, 64))


def _exclusive(letter: str, size: str, register: str, bits: int) -> None:
    unit = f"a {UNITS[bits]}"
    for acquire, a, o0 in ((False, "", "0"), (True, "a", "1")):

        def load(m: Tracer, Rn_sp: Val, Rt: Val, acquire: bool = acquire) -> None:
            write(m, Rt, _load_exclusive(m, base(m, Rn_sp), bits, acquire))

        order = ", before all later accesses" if acquire else ""
        insn(f"ld{a}xr{letter} {register}t, [Xn_sp]", f"{size} 001000 0 1 0 11111 {o0} 11111 Rn_sp Rt")(
            described(load, f"Load {unit}{order}, and monitor its address.")
        )
    for name, o0, order in (("stxr", "0", ""), ("stlxr", "1", ", after all earlier accesses")):

        def store(m: Tracer, Rs: Val, Rn_sp: Val, Rt: Val) -> None:
            _store_exclusive(m, base(m, Rn_sp), read(m, Rt, bits), Rs)

        insn(f"{name}{letter} Ws, {register}t, [Xn_sp]", f"{size} 001000 0 0 0 Rs {o0} 11111 Rn_sp Rt")(
            described(store, f"Store {unit}{order}, if the monitor holds; Rs is 0 if it did, else 1.")
        )


for row in WIDTHS:
    _exclusive(*row)


def _exclusive_pair(size: str, register: str, bits: int) -> None:
    unit = f"two {UNITS[bits]}s"
    for acquire, a, o0 in ((False, "", "0"), (True, "a", "1")):

        def load(m: Tracer, Rt2: Val, Rn_sp: Val, Rt: Val, acquire: bool = acquire) -> None:
            value = _load_exclusive(m, base(m, Rn_sp), 2 * bits, acquire)
            write(m, Rt, value.trunc(bits))
            write(m, Rt2, value[2 * bits - 1 : bits])

        order = ", before all later accesses" if acquire else ""
        insn(f"ld{a}xp {register}t, {register}t2, [Xn_sp]", f"{size} 001000 0 1 1 11111 {o0} Rt2 Rn_sp Rt")(
            described(load, f"Load {unit}{order}, and monitor their address.")
        )
    for name, o0, order in (("stxp", "0", ""), ("stlxp", "1", ", after all earlier accesses")):

        def store(m: Tracer, Rs: Val, Rt2: Val, Rn_sp: Val, Rt: Val) -> None:
            _store_exclusive(m, base(m, Rn_sp), read_pair(m, Rt, Rt2, bits), Rs)

        insn(f"{name} Ws, {register}t, {register}t2, [Xn_sp]", f"{size} 001000 0 0 1 Rs {o0} Rt2 Rn_sp Rt")(
            described(store, f"Store {unit}{order}, if the monitor holds; Rs is 0 if it did, else 1.")
        )


_exclusive_pair("10", "W", 32)
_exclusive_pair("11", "X", 64)

# -- Load/store ordered
insn = aarch64.extension("Load/store ordered", "8.0", TITLE)


def released(m: Tracer, address: Val, value: Val) -> None:
    """Store after all earlier accesses."""
    aligned(m, address, value.bits // 8)
    m.fence("rw", "w")
    m.store(address, value)
    m.fence("w", "r")  # a later LDAR must not overtake it


def _ordered(letter: str, size: str, register: str, bits: int) -> None:
    unit = f"a {UNITS[bits]}"

    def stlr(m: Tracer, Rn_sp: Val, Rt: Val) -> None:
        released(m, base(m, Rn_sp), read(m, Rt, bits))

    def ldar(m: Tracer, Rn_sp: Val, Rt: Val) -> None:
        address = base(m, Rn_sp)
        aligned(m, address, bits // 8)
        value = m.load(address, bits)
        m.fence("r", "rw")
        write(m, Rt, value)

    for name, opcode, body, doc in (
        ("stlr", "0", stlr, f"Store {unit}, after all earlier accesses."),
        ("ldar", "1", ldar, f"Load {unit}, before all later accesses."),
    ):
        insn(f"{name}{letter} {register}t, [Xn_sp]", f"{size} 001000 1 {opcode} 0 11111 1 11111 Rn_sp Rt")(
            described(body, doc)
        )


for row in WIDTHS:
    _ordered(*row)
