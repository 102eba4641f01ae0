"""FEAT_MTE, the instructions of memory tagging where no memory has tags (D10; C4.1 has them in tables of several
sections).

It is what ID_AA64PFR1_EL1.MTE calls instruction-only: AllocationTagAccessIsEnabled of the shared pseudocode is never
so. Tags that are loaded or made are 0, those that are stored are lost, and addresses with a tag lead where they lead
without. Linux tells a program of memory tagging, by HWCAP2_MTE, only where there is more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.exclusives import aligned
from polyvm.isa.aarch64.flags import after_sub, set_flags
from polyvm.isa.aarch64.loads import AFTER, BEFORE, OFFSET, Mode
from polyvm.isa.aarch64.model import aarch64, base, described, read_pair

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

GRANULE: Final = 16
"""Bytes that share a tag."""
TAG: Final = 0xF << 56
"""Where a pointer has its own (bits 59 to 56)."""


def untagged(pointer: Val) -> Val:
    """AddressWithAllocationTag with tag 0."""
    return pointer & ~TAG


# -- Add/subtract (immediate, with tags)
insn = aarch64.extension("FEAT_MTE", "8.5", "Data Processing -- Immediate")


@insn("addg Xd_sp, Xn_sp, #pimm, #tag", "1 0 0 100011 0 pimm[9:4] 00 tag Rn_sp Rd_sp")
def addg(m: Tracer, pimm: Val, tag: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Add to an address, and to its tag, which becomes 0 where no memory has tags."""
    m.x[Rd_sp] = untagged(m.x[Rn_sp] + pimm.zext(64))


@insn("subg Xd_sp, Xn_sp, #pimm, #tag", "1 1 0 100011 0 pimm[9:4] 00 tag Rn_sp Rd_sp")
def subg(m: Tracer, pimm: Val, tag: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Subtract from an address, and add to its tag, which becomes 0 where no memory has tags."""
    m.x[Rd_sp] = untagged(m.x[Rn_sp] - pimm.zext(64))


# -- Data-processing (2 source)
insn = aarch64.extension("FEAT_MTE", "8.5", "Data Processing -- Register")


@insn("irg Xd_sp, Xn_sp{, Xrest}", "1 0 0 11010110 Rm 000100 Rn_sp Rd_sp")
def irg(m: Tracer, Rm: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Give an address a random tag but those of a mask, which is 0 where no memory has tags."""
    m.x[Rd_sp] = untagged(m.x[Rn_sp])


@insn("gmi Xd, Xn_sp, Xm", "1 0 0 11010110 Rm 000101 Rn_sp Rd")
def gmi(m: Tracer, Rm: Val, Rn_sp: Val, Rd: Val) -> None:
    """Put an address's tag into a mask."""
    tag = m.x[Rn_sp][59:56].zext(64)
    m.x[Rd] = m.x[Rm] | m.const(1, 64) << tag


def _difference(m: Tracer, Rn_sp: Val, Rm_sp: Val) -> tuple[Val, Val]:
    first, second = (m.x[register][55:0].sext(64) for register in (Rn_sp, Rm_sp))
    return first, second


@insn("subp Xd, Xn_sp, Xm_sp", "1 0 0 11010110 Rm_sp 000000 Rn_sp Rd")
def subp(m: Tracer, Rm_sp: Val, Rn_sp: Val, Rd: Val) -> None:
    """Subtract addresses without their tags, of 56 bits with a sign."""
    first, second = _difference(m, Rn_sp, Rm_sp)
    m.x[Rd] = first - second


@insn("subps Xd, Xn_sp, Xm_sp", "1 0 1 11010110 Rm_sp 000000 Rn_sp Rd")
def subps(m: Tracer, Rm_sp: Val, Rn_sp: Val, Rd: Val) -> None:
    """Subtract addresses without their tags, of 56 bits with a sign, and set the flags."""
    result, flags = after_sub(*_difference(m, Rn_sp, Rm_sp))
    m.x[Rd] = result
    set_flags(m, flags)


# -- Load/store memory tags
TITLE = "Loads and Stores"
insn = aarch64.extension("FEAT_MTE", "8.5", TITLE)


@insn("ldg Xt, [Xn_sp{, #simm}]", "11011001 01 1 simm[12:4] 00 Rn_sp Rt")
def ldg(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val) -> None:
    """Load the tag of memory into that of a register: 0."""
    address = base(m, Rn_sp) + simm.sext(64)
    m.probe(address & -GRANULE, 1, write=False)
    m.x[Rt] = untagged(m.x[Rt])


def _store(name: str, opc: str, granules: int, zero: bool, doc: str) -> None:
    for mode, op2 in ((AFTER, "01"), (OFFSET, "10"), (BEFORE, "11")):

        def body(m: Tracer, simm: Val, Rn_sp: Val, Rt_sp: Val, mode: Mode = mode) -> None:
            address, moved = mode.address(m, Rn_sp, simm)
            aligned(m, address, GRANULE)
            m.probe(address, granules * GRANULE, write=True)
            if zero:
                for granule in range(granules):
                    m.store(address + granule * GRANULE, m.const(0, 128))
            if mode.moves:
                m.x[Rn_sp] = moved

        insn(f"{name} Xt_sp, {mode.text}", f"11011001 {opc} 1 simm[12:4] {op2} Rn_sp Rt_sp")(
            described(body, f"{doc}, {mode.doc}.")
        )


_store("stg", "00", 1, False, "Store a tag, which is lost where no memory has tags")
_store("stzg", "01", 1, True, "Zero 16 bytes and store their tag, which is lost where no memory has tags")
_store("st2g", "10", 2, False, "Store the tags of 32 bytes, which are lost where no memory has tags")
_store("stz2g", "11", 2, True, "Zero 32 bytes and store their tags, which are lost where no memory has tags")

# -- Load/store register pair
for _mode, _code in ((AFTER, "001"), (OFFSET, "010"), (BEFORE, "011")):

    def stgp(m: Tracer, simm: Val, Rt2: Val, Rn_sp: Val, Rt: Val, mode: Mode = _mode) -> None:
        address, moved = mode.address(m, Rn_sp, simm)
        aligned(m, address, GRANULE)
        m.store(address, read_pair(m, Rt, Rt2, 64))
        if mode.moves:
            m.x[Rn_sp] = moved

    insn(f"stgp Xt, Xt2, {_mode.text}", f"01 101 0 {_code} 0 simm[10:4] Rt2 Rn_sp Rt")(
        described(
            stgp, f"Store two double words and a tag, which is lost where no memory has tags, {_mode.doc}."
        )
    )
