"""Data processing, immediate: the tables of the manual's section "Data Processing -- Immediate" in C4.1.

A table of C4.1 is an extension here, in its order; each instruction's page is in C6.2, under the name of its mnemonic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.isa.aarch64.flags import after_add, after_logic, after_sub, set_flags
from polyvm.isa.aarch64.model import aarch64, described, read, sized, write
from polyvm.isa.aarch64.syntax import ELEMENTS

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Body

TITLE = "Data Processing -- Immediate"

# -- PC-rel. addressing
insn = aarch64.extension("PC-rel. addressing", "8.0", TITLE)


@insn("adr Xd, offset", "0 offset[1:0] 10000 offset[20:2] Rd")
def adr(m: Tracer, offset: Val, Rd: Val) -> None:
    """The address of a label within a megabyte."""
    m.x[Rd] = m.pc + offset.sext(64)


@insn("adrp Xd, page", "1 page[1:0] 10000 page[20:2] Rd")
def adrp(m: Tracer, page: Val, Rd: Val) -> None:
    """The address of the 4 KiB page of a label within four gigabytes."""
    m.x[Rd] = (m.pc & ~0xFFF) + (page.sext(64) << 12)


# -- Add/subtract (immediate)
insn = aarch64.extension("Add/subtract (immediate)", "8.0", TITLE)


def _immediate(imm12: Val, sh: int, bits: int) -> Val:
    return imm12.zext(bits) << 12 * sh


@sized(insn)("add Rd_sp, Rn_sp, #imm12{, lsl #sh}", "sf 00 100010 sh imm12 Rn_sp Rd_sp")
def add(m: Tracer, bits: int, sh: int, imm12: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Add a 12-bit immediate, which may be shifted left by 12."""
    write(m, Rd_sp, read(m, Rn_sp, bits) + _immediate(imm12, sh, bits))


@sized(insn)("adds Rd, Rn_sp, #imm12{, lsl #sh}", "sf 01 100010 sh imm12 Rn_sp Rd")
def adds(m: Tracer, bits: int, sh: int, imm12: Val, Rn_sp: Val, Rd: Val) -> None:
    """Add a 12-bit immediate, which may be shifted left by 12, and set the flags."""
    result, flags = after_add(read(m, Rn_sp, bits), _immediate(imm12, sh, bits))
    write(m, Rd, result)
    set_flags(m, flags)


@sized(insn)("sub Rd_sp, Rn_sp, #imm12{, lsl #sh}", "sf 10 100010 sh imm12 Rn_sp Rd_sp")
def sub(m: Tracer, bits: int, sh: int, imm12: Val, Rn_sp: Val, Rd_sp: Val) -> None:
    """Subtract a 12-bit immediate, which may be shifted left by 12."""
    write(m, Rd_sp, read(m, Rn_sp, bits) - _immediate(imm12, sh, bits))


@sized(insn)("subs Rd, Rn_sp, #imm12{, lsl #sh}", "sf 11 100010 sh imm12 Rn_sp Rd")
def subs(m: Tracer, bits: int, sh: int, imm12: Val, Rn_sp: Val, Rd: Val) -> None:
    """Subtract a 12-bit immediate, which may be shifted left by 12, and set the flags."""
    result, flags = after_sub(read(m, Rn_sp, bits), _immediate(imm12, sh, bits))
    write(m, Rd, result)
    set_flags(m, flags)


# -- Logical (immediate)
insn = aarch64.extension("Logical (immediate)", "8.0", TITLE)


def _masked(text: str, opc: str) -> Callable[[Body], Body]:
    """The decorator of an instruction with a bit mask: one encoding for each size of the mask's element.

    N and the leading ones of imms say the size, the rest of imms how many ones (all of them are not allowed), and as
    many bits of immr how far they are rotated; what is left of immr is ignored ("DecodeBitMasks").
    """

    def add(body: Body) -> Body:
        for bits, letter in ((32, "W"), (64, "X")):
            for element in (size for size in ELEMENTS if size <= bits):
                width = element.bit_length() - 1
                ignored = f"ignored[{5 - width}:0] " if width < 6 else ""
                kind = "1" * (5 - width) + "0" if width < 6 else ""
                insn(
                    text.replace("@", letter).replace("mask", f"mask{element}"),
                    f"{int(bits == 64)} {opc} 100100 {int(element == 64)} {ignored}immr[{width - 1}:0]"
                    f" {kind} imms[{width - 1}:0]!={element - 1} Rn {'Rd' if opc == '11' else 'Rd_sp'}",
                )(_with_mask(body, bits, element))
        return body

    return add


def _with_mask(body: Body, bits: int, element: int) -> Body:
    def variant(m: Tracer, immr: Val, imms: Val, Rn: Val, ignored: Val | None = None, **Rd: Val) -> None:
        ones = m.const((1 << element) - 1, bits) >> (m.const(element - 1, bits) - imms.zext(bits))
        repeated = ones * (((1 << bits) - 1) // ((1 << element) - 1))
        (target,) = Rd.values()
        body(m, read(m, Rn, bits), repeated.rotr(immr), target)

    return described(variant, body.__doc__ or "")


@_masked("and @d_sp, @n, #@_mask", "00")
def and_(m: Tracer, operand: Val, mask: Val, Rd_sp: Val) -> None:
    """And with a bit mask."""
    write(m, Rd_sp, operand & mask)


@_masked("orr @d_sp, @n, #@_mask", "01")
def orr(m: Tracer, operand: Val, mask: Val, Rd_sp: Val) -> None:
    """Or with a bit mask."""
    write(m, Rd_sp, operand | mask)


@_masked("eor @d_sp, @n, #@_mask", "10")
def eor(m: Tracer, operand: Val, mask: Val, Rd_sp: Val) -> None:
    """Exclusive or with a bit mask."""
    write(m, Rd_sp, operand ^ mask)


@_masked("ands @d, @n, #@_mask", "11")
def ands(m: Tracer, operand: Val, mask: Val, Rd: Val) -> None:
    """And with a bit mask, and set the flags."""
    result = operand & mask
    write(m, Rd, result)
    set_flags(m, after_logic(m, result))


# -- Move wide (immediate)
insn = aarch64.extension("Move wide (immediate)", "8.0", TITLE)


@sized(insn)("movn Rd, #imm16{, lsl #hw}", "sf 00 100101 hw imm16 Rd")
def movn(m: Tracer, bits: int, hw: Val, imm16: Val, Rd: Val) -> None:
    """Move the inverse of a 16-bit immediate, shifted left."""
    write(m, Rd, ~(imm16.zext(bits) << hw))


@sized(insn)("movz Rd, #imm16{, lsl #hw}", "sf 10 100101 hw imm16 Rd")
def movz(m: Tracer, bits: int, hw: Val, imm16: Val, Rd: Val) -> None:
    """Move a 16-bit immediate, shifted left."""
    write(m, Rd, imm16.zext(bits) << hw)


@sized(insn)("movk Rd, #imm16{, lsl #hw}", "sf 11 100101 hw imm16 Rd")
def movk(m: Tracer, bits: int, hw: Val, imm16: Val, Rd: Val) -> None:
    """Replace 16 bits of a register by an immediate."""
    kept = read(m, Rd, bits) & ~(m.const(0xFFFF, bits) << hw)
    write(m, Rd, kept | (imm16.zext(bits) << hw))


# -- Bitfield
insn = aarch64.extension("Bitfield", "8.0", TITLE)


def _field(m: Tracer, value: Val, immr: Val, imms: Val, *, signed: bool = False) -> Val:
    """The bits up to imms, extended: moved down by immr where imms is not below it, else up to the top by it."""
    bits = value.bits
    unused = m.const(bits - 1, bits) - imms.zext(bits)
    low = (value << unused).asr(unused) if signed else (value << unused) >> unused
    down = low.asr(immr) if signed else low >> immr
    return m.select(immr.ule(imms), down, low << (m.const(bits, bits) - immr.zext(bits)))


@sized(insn)("sbfm Rd, Rn, #immr, #imms", "sf 00 100110 N immr imms Rn Rd")
def sbfm(m: Tracer, bits: int, immr: Val, imms: Val, Rn: Val, Rd: Val) -> None:
    """Move a bit field, copies of its sign above it and zeros below it."""
    write(m, Rd, _field(m, read(m, Rn, bits), immr, imms, signed=True))


@sized(insn)("bfm Rd, Rn, #immr, #imms", "sf 01 100110 N immr imms Rn Rd")
def bfm(m: Tracer, bits: int, immr: Val, imms: Val, Rn: Val, Rd: Val) -> None:
    """Move a bit field into a register whose other bits stay."""
    replaced = _field(m, m.const(-1, bits), immr, imms)
    write(m, Rd, (read(m, Rd, bits) & ~replaced) | _field(m, read(m, Rn, bits), immr, imms))


@sized(insn)("ubfm Rd, Rn, #immr, #imms", "sf 10 100110 N immr imms Rn Rd")
def ubfm(m: Tracer, bits: int, immr: Val, imms: Val, Rn: Val, Rd: Val) -> None:
    """Move a bit field, zeros around it."""
    write(m, Rd, _field(m, read(m, Rn, bits), immr, imms))


# -- Extract
insn = aarch64.extension("Extract", "8.0", TITLE)


@sized(insn)("extr Rd, Rn, Rm, #imms", "sf 00 100111 N 0 Rm imms Rn Rd")
def extr(m: Tracer, bits: int, Rm: Val, imms: Val, Rn: Val, Rd: Val) -> None:
    """A register's width out of two registers, Rm below Rn, from bit imms on."""
    high = read(m, Rn, bits) << (m.const(bits, bits) - imms.zext(bits))
    write(m, Rd, high | (read(m, Rm, bits) >> imms))
