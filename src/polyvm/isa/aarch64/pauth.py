"""FEAT_PAuth: pointers that carry a code in their upper bits, made and checked with a key (D8.11 and the functions
AddPAC, Auth and Strip of the shared pseudocode).

The processor has it where it is asked for (registers.OPTIONS): without it hints do nothing and the rest is undefined,
as before Armv8.3. Addresses of a program have 48 bits, and Linux has the top byte ignored in them, for instructions
too, so the code stands in bits 54 to 48; in the kernel's half, where it is not ignored, in bits 63 to 56 as well. It is
FEAT_PAuth alone: a pointer that fails is made one that faults where it is used
(no FEAT_FPAC), and neither FEAT_EPAC nor FEAT_PAuth2 change how codes are put in.

The algorithm is IMPLEMENTATION DEFINED, as ID_AA64ISAR1_EL1.API and GPI tell (FEAT_PACIMP): the key, four rounds of
AES without keys, the key again. That is what Pelican-MAC absorbs a block with, and an instruction a round on hosts
that have AES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polyvm.isa.aarch64.model import aarch64, base, described
from polyvm.isa.aarch64.registers import KEYS, PAUTH, SP

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.ir.trace import Tracer
    from polyvm.ir.values import Val

    Change = Callable[[Tracer, Val, Val, "Key"], Val]

ADDRESS_BITS: Final = 48
FIELD: Final = (1 << 55) - (1 << ADDRESS_BITS)
"""Where the code stands: between the bits of the address and bit 55, which says which half of memory it is in."""
KERNELS: Final = FIELD | 0xFF << 56
"""And where it does in the kernel's half."""
ROUNDS: Final = (
    0x0370_7344_1319_8A2E_85A3_08D3_243F_6A88,
    0xEC4E_6C89_082E_FA98_299F_31D0_A409_3822,
    0x34E9_0C6C_BE54_66CF_38D0_1377_4528_21E6,
    0xB547_0917_3F84_D5B5_C97C_50DD_C0AC_29B7,
)
"""What is added behind each round, so that no two are alike: the first digits of pi behind the point."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its name, and what a pointer that fails gets in bits 54 and 53, or in the kernel's half 62 and 61 (Auth:
    key_number, and its opposite)."""

    name: str
    error: int

    @property
    def title(self) -> str:
        """As the manual writes it."""
        return self.name.upper()

    def halves(self, m: Tracer) -> Val:
        """All 128 bits."""
        low, high = (m.get((f"ap{self.name}key{half}_el1", 0)) for half in ("lo", "hi"))
        return low.zext(128) | high.zext(128) << 64

    def enabled(self, m: Tracer) -> Val:
        """Whether SCTLR_EL1 has it used, one bit."""
        return m.get((f"en{self.name}", 0), 1)


IA, IB, DA, DB, GA = (Key(name, 0b10 if name.endswith("b") else 0b01) for name in KEYS)


def compute(m: Tracer, pointer: Val, modifier: Val, key: Key) -> Val:
    """ComputePAC: 64 bits out of a pointer with good upper bits and a modifier."""
    whole = key.halves(m)
    state = pointer.zext(128) | modifier.zext(128) << 64
    state = state ^ whole
    for constant in ROUNDS:
        state = m.aes("mix", m.aes("encrypt", state)) ^ m.const(constant, 128)
    return (state ^ whole).trunc(64)


def _by_half(m: Tracer, pointer: Val, program: Val, kernel: Val | int) -> Val:
    """What depends on the half of memory that a pointer leads to, mostly the program's."""
    return m.select(~pointer[55], program, kernel, likely=True)


def stripped(m: Tracer, pointer: Val) -> Val:
    """Strip: the pointer with the upper bits that one without a code has."""
    return _by_half(m, pointer, pointer & ~FIELD, pointer | KERNELS)


def _field(m: Tracer, pointer: Val) -> Val:
    """Where this pointer's code stands."""
    return _by_half(m, pointer, m.const(FIELD, 64), KERNELS)


def signed(m: Tracer, pointer: Val, modifier: Val, key: Key) -> Val:
    """AddPAC: the pointer with its code, which is wrong where its upper bits were not all the same."""
    plain = stripped(m, pointer)
    wrong = _by_half(m, pointer, m.const(1 << 54, 64), 1 << 62)
    code = compute(m, plain, modifier, key) ^ m.select(plain == pointer, m.const(0, 64), wrong, likely=True)
    return m.select(key.enabled(m), plain ^ (plain ^ code) & _field(m, pointer), pointer)


def authenticated(m: Tracer, pointer: Val, modifier: Val, key: Key) -> Val:
    """Auth: the pointer without its code, or where that is another one, with an error in the place of it."""
    plain = stripped(m, pointer)
    good = ((compute(m, plain, modifier, key) ^ pointer) & _field(m, pointer)) == 0
    failed = _by_half(
        m, pointer, plain & ~(0b11 << 53) | key.error << 53, plain & ~(0b11 << 61) | key.error << 61
    )
    # What follows goes on with the pointer; whether that was right, the host may find out later.
    checked = m.select(good, plain, failed, likely=True)
    return m.select(key.enabled(m), checked, pointer)


def without(m: Tracer, pointer: Val, modifier: Val, key: Key) -> Val:
    """XPAC, which needs no key."""
    return stripped(m, pointer)


def required(m: Tracer) -> None:
    """An illegal instruction, where the processor does not have it."""
    with m.when(~m.get((PAUTH, 0), 1)):
        m.trap("illegal", m.pc)


# -- Hints
TITLE = "Branches, Exception Generating and System instructions"
insn = aarch64.extension("FEAT_PAuth, hints", "8.3", TITLE)

LINK = 30


def _hint(
    name: str, number: int, register: int, modifier: int | None, change: Change, key: Key, doc: str
) -> None:
    def body(m: Tracer) -> None:
        with m.when(m.get((PAUTH, 0), 1)):
            by = m.const(0, 64) if modifier is None else m.x[modifier]
            m.x[register] = change(m, m.x[register], by, key)

    insn(name, f"11010101000000110010 {number >> 3:04b} {number & 7:03b} 11111")(described(body, doc))


_hint("xpaclri", 7, LINK, None, without, IA, "Take the code from the return address in x30.")
for change, does, word, number in (
    (signed, "Put a code into", "pac", 0),
    (authenticated, "Check the code of", "aut", 4),
):
    for key in (IA, IB):
        more = 2 * (key is IB)
        _hint(
            f"{word}{key.name}1716",
            8 + number + more,
            17,
            16,
            change,
            key,
            f"{does} x17, by x16 and key {key.title}.",
        )
        _hint(
            f"{word}{key.name}z",
            24 + number + more,
            LINK,
            None,
            change,
            key,
            f"{does} x30, by zero and key {key.title}.",
        )
        _hint(f"{word}{key.name}sp", 25 + number + more, LINK, SP, change, key,
              f"{does} x30, by the stack pointer and key {key.title}.")  # fmt: skip

# -- Data-processing (1 source) and (2 source)
insn = aarch64.extension("FEAT_PAuth", "8.3", "Data Processing -- Register")


def _data(name: str, opcode: str, change: Change, key: Key, doc: str) -> None:
    def by_register(m: Tracer, Rn_sp: Val, Rd: Val) -> None:
        required(m)
        m.x[Rd] = change(m, m.x[Rd], m.x[Rn_sp], key)

    def by_zero(m: Tracer, Rd: Val) -> None:
        required(m)
        m.x[Rd] = change(m, m.x[Rd], m.const(0, 64), key)

    line = "1 1 0 11010110 00001 0 0 {} " + opcode + " {} Rd"
    insn(f"{name}{key.name} Xd, Xn_sp", line.format(0, "Rn_sp"))(
        described(by_register, f"{doc} a pointer, by a register and key {key.title}.")
    )
    z = f"{name}{key.name[0]}z{key.name[1]}"
    insn(f"{z} Xd", line.format(1, "11111"))(
        described(by_zero, f"{doc} a pointer, by zero and key {key.title}.")
    )


for number, key in enumerate((IA, IB, DA, DB)):
    _data("pac", f"0{number:02b}", signed, key, "Put a code into")
    _data("aut", f"1{number:02b}", authenticated, key, "Check the code of")


def _strip(name: str, opcode: str, what: str) -> None:
    def body(m: Tracer, Rd: Val) -> None:
        required(m)
        m.x[Rd] = stripped(m, m.x[Rd])

    insn(f"{name} Xd", f"1 1 0 11010110 00001 01000 {opcode} 11111 Rd")(
        described(body, f"Take the code from a pointer to {what}.")
    )


_strip("xpaci", "0", "instructions")
_strip("xpacd", "1", "data")


@insn("pacga Xd, Xn, Xm_sp", "1 0 0 11010110 Rm_sp 001100 Rn Rd")
def pacga(m: Tracer, Rm_sp: Val, Rn: Val, Rd: Val) -> None:
    """Compute a code of 32 bits, in the upper half, from any two numbers."""
    required(m)
    m.x[Rd] = compute(m, m.x[Rn], m.x[Rm_sp], GA) & 0xFFFF_FFFF << 32


# -- Unconditional branch (register)
insn = aarch64.extension("FEAT_PAuth", "8.3", TITLE)


def _branch(name: str, opc: str, key: Key, doc: str, *, link: bool) -> None:
    def by_register(m: Tracer, Rn: Val, Rm_sp: Val) -> None:
        required(m)
        target = authenticated(m, m.x[Rn], m.x[Rm_sp], key)
        if link:
            m.x[LINK] = m.next_pc
        m.jump(target)

    def by_zero(m: Tracer, Rn: Val) -> None:
        required(m)
        target = authenticated(m, m.x[Rn], m.const(0, 64), key)
        if link:
            m.x[LINK] = m.next_pc
        m.jump(target)

    letter = key.name[1]
    line = f"1101011 {{}} {opc} 11111 00001 {int(key is IB)} Rn {{}}"
    insn(f"{name}a{letter} Xn, Xm_sp", line.format(1, "Rm_sp"))(
        described(by_register, f"{doc} whose code is checked by another one and key {key.title}.")
    )
    insn(f"{name}a{letter}z Xn", line.format(0, "11111"))(
        described(by_zero, f"{doc} whose code is checked by zero and key {key.title}.")
    )


def _return(key: Key) -> None:
    def body(m: Tracer) -> None:
        required(m)
        m.jump(authenticated(m, m.x[LINK], m.x[SP], key))

    insn(f"reta{key.name[1]}", f"1101011 0010 11111 00001 {int(key is IB)} 11111 11111")(
        described(body, f"Return to x30, whose code is checked by the stack pointer and key {key.title}.")
    )


for key in (IA, IB):
    _branch("br", "000", key, "Branch to a register", link=False)
    _branch("blr", "001", key, "Branch to a register, with the return address in x30,", link=True)
    _return(key)

# -- Load/store register (pac)
insn = aarch64.extension("FEAT_PAuth", "8.3", "Loads and Stores")


def _load(letter: str, M: str, key: Key) -> None:
    def body(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val, write_back: bool) -> None:
        required(m)
        address = authenticated(m, base(m, Rn_sp), m.const(0, 64), key) + simm.sext(64)
        value = m.load(address, 64)
        m.x[Rt] = value
        if write_back:
            m.x[Rn_sp] = address

    def offset(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val) -> None:
        body(m, simm, Rn_sp, Rt, False)

    def pre_indexed(m: Tracer, simm: Val, Rn_sp: Val, Rt: Val) -> None:
        body(m, simm, Rn_sp, Rt, True)

    line = f"11 111 0 00 {M} simm[12] 1 simm[11:3] {{}} 1 Rn_sp Rt"
    doc = f"Load a double word through a pointer whose code is checked by zero and key {key.title}"
    insn(f"ldra{letter} Xt, [Xn_sp{{, #simm}}]", line.format(0))(described(offset, f"{doc}."))
    insn(f"ldra{letter} Xt, [Xn_sp{{, #simm}}]!", line.format(1))(
        described(pre_indexed, f"{doc}; the base becomes the address.")
    )


_load("a", "0", DA)
_load("b", "1", DB)
