"""A: atomic instructions, the manual's chapter A (Zalrsc and Zaamo).

The atomic ops are sequentially consistent, so aq and rl ask for nothing more there. SC compares the value
that LR saw, as QEMU and FEX do: a value that changed and changed back is not noticed ("Order" in the design), but with
--exact-exclusives, which is what the hint is for (docs/decisions/0016-exclusive-sections.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.riscv64.model import riscv64

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

insn = riscv64.extension("A", "2.1", "Atomic instructions")

# The reservation of LR. RESERVED holds its size in bytes, 0 when there is none: SC of another size fails.
RESERVED_ADDRESS: Final = ("reserved_address", 0)
RESERVED_VALUE: Final = ("reserved_value", 0)
RESERVED: Final = ("reserved", 0)


# -- Load-reserved, store-conditional
def _load_reserved(m: Tracer, bits: int, rd: Val, rs1: Val, aq: Val, rl: Val) -> None:
    m.hint("exclusive")
    address = m.x[rs1]
    with m.when((address & (bits // 8 - 1)) != 0):
        m.trap("load_misaligned", address)
    with m.when(rl):  # only together with aq: sequentially consistent, so after every earlier store too
        m.fence()
    value = m.load(address, bits)
    with m.when(aq):
        m.fence("r", "rw")
    m.set(RESERVED_ADDRESS, address)
    m.set(RESERVED_VALUE, value.zext(64))
    m.set(RESERVED, m.const(bits // 8, 64))
    m.x[rd] = value.sext(64)


def _store_conditional(m: Tracer, bits: int, rd: Val, rs1: Val, rs2: Val) -> None:
    address, new = m.x[rs1], m.x[rs2].trunc(bits)
    with m.when((address & (bits // 8 - 1)) != 0):
        m.trap("store_misaligned", address)
    expected = m.get(RESERVED_VALUE).trunc(bits)
    holds = (m.get(RESERVED) == bits // 8) & (m.get(RESERVED_ADDRESS) == address)
    # Without a reservation there is no access at all, so the swap stands in a `when`, which no value leaves:
    # RESERVED carries the result out, as 1 for success (0, 4 or 8 where the swap was not tried). A fault of
    # the swap comes before any write; the reservation is gone whatever the result.
    with m.when(holds):
        m.set(RESERVED, (m.cas(address, expected, new) == expected).zext(64))
    m.x[rd] = (m.get(RESERVED) != 1).zext(64)
    m.set(RESERVED, m.const(0, 64))


@insn("lr.w rd, (rs1)", "00010 aq rl 00000 rs1 010 rd 0101111")
def lr_w(m: Tracer, rd: Val, rs1: Val, aq: Val, rl: Val) -> None:
    """Load a word, sign-extended, and reserve its address."""
    _load_reserved(m, 32, rd, rs1, aq, rl)


@insn("lr.d rd, (rs1)", "00010 aq rl 00000 rs1 011 rd 0101111")
def lr_d(m: Tracer, rd: Val, rs1: Val, aq: Val, rl: Val) -> None:
    """Load a double word and reserve its address."""
    _load_reserved(m, 64, rd, rs1, aq, rl)


@insn("sc.w rd, rs2, (rs1)", "00011 aq rl rs2 rs1 010 rd 0101111")
def sc_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Store a word if the reservation of the address holds; rd is 0 if it did, else 1."""
    _store_conditional(m, 32, rd, rs1, rs2)


@insn("sc.d rd, rs2, (rs1)", "00011 aq rl rs2 rs1 011 rd 0101111")
def sc_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Store a double word if the reservation of the address holds; rd is 0 if it did, else 1."""
    _store_conditional(m, 64, rd, rs1, rs2)


# -- Atomic memory operations
def _amo(m: Tracer, kind: str, bits: int, rd: Val, rs1: Val, rs2: Val) -> None:
    address = m.x[rs1]
    with m.when((address & (bits // 8 - 1)) != 0):
        m.trap("store_misaligned", address)
    m.x[rd] = m.amo(kind, address, m.x[rs2].trunc(bits)).sext(64)


@insn("amoswap.w rd, rs2, (rs1)", "00001 aq rl rs2 rs1 010 rd 0101111")
def amoswap_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Swap a word with memory; rd is its old value, sign-extended."""
    _amo(m, "swap", 32, rd, rs1, rs2)


@insn("amoadd.w rd, rs2, (rs1)", "00000 aq rl rs2 rs1 010 rd 0101111")
def amoadd_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Add to a word in memory; rd is its old value, sign-extended."""
    _amo(m, "add", 32, rd, rs1, rs2)


@insn("amoxor.w rd, rs2, (rs1)", "00100 aq rl rs2 rs1 010 rd 0101111")
def amoxor_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Exclusive or with a word in memory; rd is its old value, sign-extended."""
    _amo(m, "xor", 32, rd, rs1, rs2)


@insn("amoand.w rd, rs2, (rs1)", "01100 aq rl rs2 rs1 010 rd 0101111")
def amoand_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """And with a word in memory; rd is its old value, sign-extended."""
    _amo(m, "and", 32, rd, rs1, rs2)


@insn("amoor.w rd, rs2, (rs1)", "01000 aq rl rs2 rs1 010 rd 0101111")
def amoor_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Or with a word in memory; rd is its old value, sign-extended."""
    _amo(m, "or", 32, rd, rs1, rs2)


@insn("amomin.w rd, rs2, (rs1)", "10000 aq rl rs2 rs1 010 rd 0101111")
def amomin_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Lower a word in memory to the lesser, as signed numbers; rd is its old value, sign-extended."""
    _amo(m, "min", 32, rd, rs1, rs2)


@insn("amomax.w rd, rs2, (rs1)", "10100 aq rl rs2 rs1 010 rd 0101111")
def amomax_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Raise a word in memory to the greater, as signed numbers; rd is its old value, sign-extended."""
    _amo(m, "max", 32, rd, rs1, rs2)


@insn("amominu.w rd, rs2, (rs1)", "11000 aq rl rs2 rs1 010 rd 0101111")
def amominu_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Lower a word in memory to the lesser, as unsigned numbers; rd is its old value, sign-extended."""
    _amo(m, "minu", 32, rd, rs1, rs2)


@insn("amomaxu.w rd, rs2, (rs1)", "11100 aq rl rs2 rs1 010 rd 0101111")
def amomaxu_w(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Raise a word in memory to the greater, as unsigned numbers; rd is its old value, sign-extended."""
    _amo(m, "maxu", 32, rd, rs1, rs2)


@insn("amoswap.d rd, rs2, (rs1)", "00001 aq rl rs2 rs1 011 rd 0101111")
def amoswap_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Swap a double word with memory; rd is its old value."""
    _amo(m, "swap", 64, rd, rs1, rs2)


@insn("amoadd.d rd, rs2, (rs1)", "00000 aq rl rs2 rs1 011 rd 0101111")
def amoadd_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Add to a double word in memory; rd is its old value."""
    _amo(m, "add", 64, rd, rs1, rs2)


@insn("amoxor.d rd, rs2, (rs1)", "00100 aq rl rs2 rs1 011 rd 0101111")
def amoxor_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Exclusive or with a double word in memory; rd is its old value."""
    _amo(m, "xor", 64, rd, rs1, rs2)


@insn("amoand.d rd, rs2, (rs1)", "01100 aq rl rs2 rs1 011 rd 0101111")
def amoand_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """And with a double word in memory; rd is its old value."""
    _amo(m, "and", 64, rd, rs1, rs2)


@insn("amoor.d rd, rs2, (rs1)", "01000 aq rl rs2 rs1 011 rd 0101111")
def amoor_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Or with a double word in memory; rd is its old value."""
    _amo(m, "or", 64, rd, rs1, rs2)


@insn("amomin.d rd, rs2, (rs1)", "10000 aq rl rs2 rs1 011 rd 0101111")
def amomin_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Lower a double word in memory to the lesser, as signed numbers; rd is its old value."""
    _amo(m, "min", 64, rd, rs1, rs2)


@insn("amomax.d rd, rs2, (rs1)", "10100 aq rl rs2 rs1 011 rd 0101111")
def amomax_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Raise a double word in memory to the greater, as signed numbers; rd is its old value."""
    _amo(m, "max", 64, rd, rs1, rs2)


@insn("amominu.d rd, rs2, (rs1)", "11000 aq rl rs2 rs1 011 rd 0101111")
def amominu_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Lower a double word in memory to the lesser, as unsigned numbers; rd is its old value."""
    _amo(m, "minu", 64, rd, rs1, rs2)


@insn("amomaxu.d rd, rs2, (rs1)", "11100 aq rl rs2 rs1 011 rd 0101111")
def amomaxu_d(m: Tracer, rd: Val, rs1: Val, rs2: Val, aq: Val, rl: Val) -> None:
    """Raise a double word in memory to the greater, as unsigned numbers; rd is its old value."""
    _amo(m, "maxu", 64, rd, rs1, rs2)
