"""How riscv64 assembly writes what is neither a register nor a number, and the manual's pseudo-instructions.

Text only: nothing here has a meaning. Names are those of the manual and its assembly programmer's guide.
"""

from __future__ import annotations

from typing import Final

from polyvm.isa.spec import Syntax

ROUNDING: Final = {0: "rne", 1: "rtz", 2: "rdn", 3: "rup", 4: "rmm", 7: "dyn"}
# Nothing to round: assemblers have always written rne for these.
EXACT: Final = frozenset({"fcvt.d.w", "fcvt.d.wu", "fcvt.d.s", "fcvt.d.h", "fcvt.s.h"})
FENCE_SET: Final = "iorw"  # from bit 3 down


def table(csr: dict[int, str]) -> dict[str, Syntax]:
    """The Syntax of each kind of field in model.py that needs one; `csr` has the names of its kind."""
    return {
        "upper": Syntax(_show_upper, _read_upper),
        "order": Syntax(suffix=True),
        "fence_set": Syntax(_show_fence_set, _read_fence_set),
        "rounding": Syntax(
            lambda value, bits: ROUNDING.get(value, str(value)),
            lambda text, bits: _read_name(text, ROUNDING, "rounding mode"),
            default=lambda name: 0 if name in EXACT else 7,
        ),
        "csr": Syntax(
            lambda value, bits: csr.get(value, hex(value)),
            lambda text, bits: _read_name(text, csr, "control and status register"),
        ),
    }


def _read_name(text: str, names: dict[int, str], what: str) -> int:
    for value, name in names.items():
        if name == text:
            return value
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"{text!r} is no {what}") from None


def _show_upper(value: int, bits: int) -> str:
    """Bits 31 to 12 of the sign-extended immediate, as lui's operand is written."""
    return hex(((value ^ 1 << (bits - 1)) - (1 << (bits - 1))) >> 12 & 0xF_FFFF)


def _read_upper(text: str, bits: int) -> int:
    number = int(text, 0)
    if not -0x8_0000 <= number <= 0xF_FFFF:
        raise ValueError(f"{text} is not an immediate of 20 bits")
    upper = (number & 0xF_FFFF ^ 0x8_0000) - 0x8_0000 << 12
    if not -1 << (bits - 1) <= upper < 1 << (bits - 1):
        raise ValueError(f"{text} does not fit the {bits - 12} bits of the compressed form")
    return upper & (1 << bits) - 1


def _show_fence_set(value: int, bits: int) -> str:
    return "".join(name for bit, name in zip((8, 4, 2, 1), FENCE_SET, strict=True) if value & bit) or "0"


def _read_fence_set(text: str, bits: int) -> int:
    if text == "0":
        return 0
    value = sum(8 >> FENCE_SET.index(name) for name in text if name in FENCE_SET)
    if _show_fence_set(value, bits) != text:
        raise ValueError(f"{text!r} is no set of {FENCE_SET!r}, in this order")
    return value


# Pseudo-instruction, instruction. The first one that fits is printed: special ones stand before general ones.
ALIASES: Final = (
    ("nop", "addi zero, zero, 0"),
    ("li rd, imm", "addi rd, zero, imm"),
    ("mv rd, rs1", "addi rd, rs1, 0"),
    ("not rd, rs1", "xori rd, rs1, -1"),
    ("neg rd, rs2", "sub rd, zero, rs2"),
    ("negw rd, rs2", "subw rd, zero, rs2"),
    ("sext.w rd, rs1", "addiw rd, rs1, 0"),
    ("zext.b rd, rs1", "andi rd, rs1, 255"),
    ("zext.w rd, rs1", "add.uw rd, rs1, zero"),
    ("seqz rd, rs1", "sltiu rd, rs1, 1"),
    ("snez rd, rs2", "sltu rd, zero, rs2"),
    ("sltz rd, rs1", "slt rd, rs1, zero"),
    ("sgtz rd, rs2", "slt rd, zero, rs2"),
    ("beqz rs1, offset", "beq rs1, zero, offset"),
    ("bnez rs1, offset", "bne rs1, zero, offset"),
    ("blez rs2, offset", "bge zero, rs2, offset"),
    ("bgez rs1, offset", "bge rs1, zero, offset"),
    ("bltz rs1, offset", "blt rs1, zero, offset"),
    ("bgtz rs2, offset", "blt zero, rs2, offset"),
    ("j offset", "jal zero, offset"),
    ("jal offset", "jal ra, offset"),
    ("ret", "jalr zero, 0(ra)"),
    ("jr rs1", "jalr zero, 0(rs1)"),
    ("jr imm(rs1)", "jalr zero, imm(rs1)"),
    ("jalr rs1", "jalr ra, 0(rs1)"),
    ("jalr imm(rs1)", "jalr ra, imm(rs1)"),
    ("fence", "fence iorw, iorw"),
    ("rdcycle rd", "csrrs rd, cycle, zero"),
    ("rdtime rd", "csrrs rd, time, zero"),
    ("rdinstret rd", "csrrs rd, instret, zero"),
    ("frcsr rd", "csrrs rd, fcsr, zero"),
    ("frrm rd", "csrrs rd, frm, zero"),
    ("frflags rd", "csrrs rd, fflags, zero"),
    ("fscsr rs1", "csrrw zero, fcsr, rs1"),
    ("fscsr rd, rs1", "csrrw rd, fcsr, rs1"),
    ("fsrm rs1", "csrrw zero, frm, rs1"),
    ("fsrm rd, rs1", "csrrw rd, frm, rs1"),
    ("fsflags rs1", "csrrw zero, fflags, rs1"),
    ("fsflags rd, rs1", "csrrw rd, fflags, rs1"),
    ("fsrmi zimm", "csrrwi zero, frm, zimm"),
    ("fsrmi rd, zimm", "csrrwi rd, frm, zimm"),
    ("fsflagsi zimm", "csrrwi zero, fflags, zimm"),
    ("fsflagsi rd, zimm", "csrrwi rd, fflags, zimm"),
    ("csrr rd, csr", "csrrs rd, csr, zero"),
    ("csrw csr, rs1", "csrrw zero, csr, rs1"),
    ("csrs csr, rs1", "csrrs zero, csr, rs1"),
    ("csrc csr, rs1", "csrrc zero, csr, rs1"),
    ("csrwi csr, zimm", "csrrwi zero, csr, zimm"),
    ("csrsi csr, zimm", "csrrsi zero, csr, zimm"),
    ("csrci csr, zimm", "csrrci zero, csr, zimm"),
    ("fmv.h fd, fs1", "fsgnj.h fd, fs1, fs1"),
    ("fabs.h fd, fs1", "fsgnjx.h fd, fs1, fs1"),
    ("fneg.h fd, fs1", "fsgnjn.h fd, fs1, fs1"),
    ("fmv.s fd, fs1", "fsgnj.s fd, fs1, fs1"),
    ("fabs.s fd, fs1", "fsgnjx.s fd, fs1, fs1"),
    ("fneg.s fd, fs1", "fsgnjn.s fd, fs1, fs1"),
    ("fmv.d fd, fs1", "fsgnj.d fd, fs1, fs1"),
    ("fabs.d fd, fs1", "fsgnjx.d fd, fs1, fs1"),
    ("fneg.d fd, fs1", "fsgnjn.d fd, fs1, fs1"),
)

# Accepted, never printed.
SPELLINGS: Final = (
    ("bgt rs2, rs1, offset", "blt rs1, rs2, offset"),
    ("ble rs2, rs1, offset", "bge rs1, rs2, offset"),
    ("bgtu rs2, rs1, offset", "bltu rs1, rs2, offset"),
    ("bleu rs2, rs1, offset", "bgeu rs1, rs2, offset"),
    ("jalr rd, rs1, imm", "jalr rd, imm(rs1)"),
    ("jalr rd, rs1", "jalr rd, 0(rs1)"),
)
