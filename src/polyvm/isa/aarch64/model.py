"""Fields, registers and exceptions of aarch64, and what the families of its specification share.

Names are those of the Arm Architecture Reference Manual for A-profile (DDI 0487): fields as in the encoding diagrams
of C4.1, operands as in the assembler symbols of C6.2. Where register number 31 is the stack pointer, the field's name
ends in _sp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64 import aliases, features, simd_text, syntax
from polyvm.isa.aarch64.registers import CAUSES, FILES, NAME, OPTIONS, SP, SPECIALS, STACK_ALIGN
from polyvm.isa.spec import Field, Isa, RegisterFile

if TYPE_CHECKING:
    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val
    from polyvm.isa.spec import Body

    Declare = Callable[[str, str], Callable[[Body], Body]]


def system_register(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    """The number of a system register as MRS and MSR have it: o0, op1, CRn, CRm, op2 (C6.2, MRS)."""
    return (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


# The system registers that a program may read, ID registers among them, and of all those that it may write.
IDENTITY: Final = {
    system_register(3, 0, 0, crm, op2): name for (crm, op2), name in features.registers().items()
}
SYSTEM: Final = {
    **IDENTITY,
    system_register(3, 3, 0, 0, 1): "ctr_el0",
    system_register(3, 3, 0, 0, 7): "dczid_el0",
    system_register(3, 3, 4, 2, 0): "nzcv",
    system_register(3, 3, 4, 4, 0): "fpcr",
    system_register(3, 3, 4, 4, 1): "fpsr",
    system_register(3, 3, 13, 0, 2): "tpidr_el0",
    system_register(3, 3, 13, 0, 3): "tpidrro_el0",
    system_register(3, 3, 14, 0, 0): "cntfrq_el0",
    system_register(3, 3, 14, 0, 2): "cntvct_el0",
}
WRITABLE: Final = tuple(
    number for number, name in SYSTEM.items() if name in ("nzcv", "fpcr", "fpsr", "tpidr_el0")
)

aarch64: Final = Isa(
    name=NAME,
    files={name: RegisterFile(name, bits, len(names), names, zero) for name, bits, names, zero in FILES},
    specials=dict(SPECIALS),
    options=OPTIONS,
    causes=CAUSES,
    fields={
        **{name: Field("register", 5, "x") for name in ("Rd", "Rn", "Rm", "Ra", "Rt", "Rt2", "Rs")},
        **{name: Field("register", 5, "q") for name in ("Vd", "Vn", "Vm", "Va", "Vt", "Vt2")},
        "Rd_sp": Field("register", 5, "x", last=SP),
        "Rn_sp": Field("register", 5, "x", last=SP),
        "Rm_sp": Field("register", 5, "x", last=SP),
        "Rt_sp": Field("register", 5, "x", last=SP),
        # Immediates
        "imm3": Field("unsigned", 3),
        "imm5": Field("unsigned", 5),
        "imm6": Field("unsigned", 6),
        "imm7": Field("unsigned", 7),
        "imm12": Field("unsigned", 12),
        "imm16": Field("unsigned", 16),
        "immr": Field("unsigned", 6),
        "imms": Field("unsigned", 6),
        "tag": Field("unsigned", 4),
        "ignored": Field("reserved"),
        "hw": Field("unsigned"),  # in bits: 0, 16, 32, 48
        "pimm": Field("unsigned"),  # in bytes, as simm
        "simm": Field("signed"),
        "bit": Field("unsigned"),
        "fimm": Field("float", 8),
        "scale": Field("fraction", 6),  # 2^bits less the bits behind the point
        "nzcv": Field("unsigned", 4),
        "offset": Field("offset"),
        "page": Field("page"),
        "prfop": Field("prefetch", 5),
        "CRm": Field("full", 4),
        # What selects code
        "sh": Field("shift12", 1, shape=(0, 1)),
        "shift": Field("shift", 2, shape=(0, 1, 2)),
        "logical_shift": Field("shift", 2, shape=(0, 1, 2, 3)),
        "option": Field("extension", 3, shape=tuple(range(8))),
        "index": Field("index", 3, shape=(2, 3, 6, 7)),
        "S": Field("scaled", 1, shape=(0, 1)),
        "cond": Field("condition", 4, shape=tuple(range(16))),
        "barrier": Field("barrier", 4, shape=tuple(range(16))),
        "sysreg": Field("system", 15, shape=tuple(SYSTEM)),
        "wsysreg": Field("system", 15, shape=WRITABLE),
        **simd_text.FIELDS,
    },
    sizes=(4,),
    misaligned="misaligned",  # D1, "PC alignment checking"
    links=(("x", 30),),
    syntax=syntax.table(SYSTEM) | simd_text.SYNTAX,
    operands=syntax.OPERANDS | simd_text.OPERANDS,
    aliases=aliases.ALIASES,
    spellings=aliases.SPELLINGS,
    computed=aliases.COMPUTED,
    floats="arm",
)

# How the fields of an encoding line stand in the 32-bit and the 64-bit variant of an instruction. N must be sf, and
# numbers of bits that do not exist in 32 are unallocated.
_VARIANTS: Final = {
    32: {
        "sf": "0",
        "N": "0",
        "hw": "0 hw[4]",
        **{name: f"0 {name}[4:0]" for name in ("imm6", "immr", "imms")},
        "scale": "1 scale[4:0]",
    },
    64: {"sf": "1", "N": "1", "hw": "hw[5:4]"},
}


def sized(insn: Declare) -> Declare:
    """The decorator of instructions with a 32-bit and a 64-bit variant, which the bit sf tells apart.

    R in the text is W in one and X in the other; the body is told how many bits there are.
    """

    def both(text: str, encoding: str) -> Callable[[Body], Body]:
        def add(body: Body) -> Body:
            for bits, letter in ((32, "W"), (64, "X")):
                shown = re.sub(r"\bR(?=[dnmats_])(?!m_option)", letter, text)
                if bits == 32:
                    shown = shown.replace("Rm_option", "Wm")
                line = " ".join(_VARIANTS[bits].get(word, word) for word in encoding.split())
                insn(shown, line)(_of(body, bits))
            return body

        return add

    return both


def _of(body: Body, bits: int) -> Body:
    def variant(m: Tracer, **fields: Val | int) -> None:
        body(m, bits, **fields)

    return described(variant, body.__doc__ or "")


def described(body: Body, doc: str) -> Body:
    """A body with a reference page, for the rows of a table that are declared together."""
    body.__doc__ = doc
    return body


UNITS: Final = {8: "byte", 16: "half word", 32: "word", 64: "double word", 128: "quad word"}
"""Names of what is accessed, by bits."""


# -- Registers
def read(m: Tracer, register: Val, bits: int) -> Val:
    """The low bits of a register."""
    return m.x[register].trunc(bits)


def write(m: Tracer, register: Val, value: Val) -> None:
    """Write a register; what is above a result of 32 bits becomes zero (B1.2.1)."""
    m.x[register] = value.zext(64)


def base(m: Tracer, Rn_sp: Val) -> Val:
    """The base of an access. As one the stack pointer must be a multiple of 16, wherever the access is (D1, "SP
    alignment checking"; CheckSPAlignment of the shared pseudocode): Linux has SCTLR_EL1.SA0 set. Prefetches do not
    look."""
    address = m.x[Rn_sp]
    with m.when(Rn_sp == SP):
        with m.when((address & STACK_ALIGN - 1) != 0):
            m.trap("stack", address)
    return address


def read_pair(m: Tracer, low: Val, high: Val, bits: int) -> Val:
    """The low bits of two registers as they lie in memory."""
    return read(m, low, bits).zext(2 * bits) | (read(m, high, bits).zext(2 * bits) << bits)
