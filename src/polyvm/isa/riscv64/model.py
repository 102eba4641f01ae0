"""Registers, fields and exceptions of riscv64, which every extension of the specification builds on.

Names and numbers are those of the RISC-V Instruction Set Manual, Volume I.
"""

from __future__ import annotations

from typing import Final

from polyvm.isa.riscv64 import syntax
from polyvm.isa.riscv64.registers import CAUSES, FILES, NAME, SPECIALS
from polyvm.isa.spec import Field, Isa, RegisterFile

# The control and status registers that a user program may touch.
CSR: Final = {0x001: "fflags", 0x002: "frm", 0x003: "fcsr", 0xC00: "cycle", 0xC01: "time", 0xC02: "instret"}

riscv64: Final = Isa(
    name=NAME,
    files={name: RegisterFile(name, bits, len(names), names, zero) for name, bits, names, zero in FILES},
    specials=dict(SPECIALS),
    causes=CAUSES,
    fields={
        "rd": Field("register", 5, "x"),
        "rs1": Field("register", 5, "x"),
        "rs2": Field("register", 5, "x"),
        "rd'": Field("register", 3, "x", bias=8),
        "rs1'": Field("register", 3, "x", bias=8),
        "rs2'": Field("register", 3, "x", bias=8),
        "fd": Field("register", 5, "f"),
        "fs1": Field("register", 5, "f"),
        "fs2": Field("register", 5, "f"),
        "fs3": Field("register", 5, "f"),
        "fd'": Field("register", 3, "f", bias=8),
        "fs2'": Field("register", 3, "f", bias=8),
        "imm": Field("signed"),
        "nzimm": Field("signed"),
        "upper": Field("upper"),
        "uimm": Field("unsigned"),
        "nzuimm": Field("unsigned"),
        "shamt": Field("unsigned"),
        "zimm": Field("unsigned", 5),
        "zimm12": Field("reserved"),
        "offset": Field("offset"),
        "aq": Field("order", 1),
        "rl": Field("order", 1),
        "fm": Field("fence_mode", 4),
        "pred": Field("fence_set", 4),
        "succ": Field("fence_set", 4),
        "rm": Field("rounding", 3, shape=(0, 1, 2, 3, 4, 7)),
        "csr": Field("csr", 12, shape=tuple(CSR)),
        # A register that the instruction writes: the manual makes those whose top two bits are 11 read-only.
        "wcsr": Field("csr", 12, shape=tuple(number for number in CSR if number >> 10 != 0b11)),
    },
    sizes=(2, 4),
    # The calling convention's hints for return-address prediction (manual, 2.5.1).
    links=(("x", 1), ("x", 5)),
    syntax=syntax.table(CSR),
    aliases=syntax.ALIASES,
    spellings=syntax.SPELLINGS,
    length=lambda word: 4 if word & 0b11 == 0b11 else 2,
)
