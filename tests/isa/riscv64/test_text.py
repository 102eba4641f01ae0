"""The text of riscv64 instructions: there and back, beside Capstone, and through LLVM's assembler."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import capstone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.errors import PolyvmError
from polyvm.isa.disasm import assemble, disassemble, listing
from polyvm.isa.spec import Decoded, Insn
from tests.isa.llvm import assembled
from tests.isa.riscv64.machine import ISA, random_word

IDS = [insn.text for insn in ISA.insns]
PC = 0x1_0000


def decode(word: int) -> Decoded:
    decoded = ISA.decode(word)
    assert decoded is not None
    return decoded


# -- There and back
@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_assemble_is_the_inverse_of_disassemble(insn: Insn, rng: random.Random, full: bool) -> None:
    for _ in range(500 if full else 20):
        word, pc = random_word(insn, rng), rng.getrandbits(38) & ~1
        for aliases in (False, True):
            text = disassemble(decode(word), pc, aliases=aliases)
            assert assemble(ISA, text, pc) == word.to_bytes(insn.size, "little"), text


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1).map(lambda pc: pc & ~1))
def test_every_word_that_decodes_has_a_text_of_its_own(word: int, pc: int) -> None:
    for candidate in (word, word & ~3, word | 3):
        found = ISA.decode(candidate)
        if found is not None:
            text = disassemble(found, pc, lambda address: "here+4")
            assert int.from_bytes(assemble(ISA, text, pc), "little") == found.word


SAME = {
    "addi x10, x11, -5": "addi a0, a1, -5",
    "lw a0,0x8( sp )": "lw a0, 8(sp)",
    "ld\ta0, 8(x2)": "ld a0, 8(sp)",
    "beq a0, a1, .+16": "beq a0, a1, 0x10010",
    "beq a0, a1, -8": "beq a0, a1, 0xfff8",
    "jal ra, 0x10000 <main>": "jal ra, 0x10000",
    "lui a0, -1": "lui a0, 0xfffff",
    "c.lui a0, -1": "c.lui a0, 0xfffff",
    "c.lui a0, 0xfffe1": "c.lui a0, 0xfffe1",
    "ret": "jalr zero, 0(ra)",
    "li a0, -3": "addi a0, zero, -3",
    "nop": "addi zero, zero, 0",
    "jalr a0": "jalr ra, 0(a0)",
    "jalr t0, a0, 4": "jalr t0, 4(a0)",
    "bgt a0, a1, .+8": "blt a1, a0, 0x10008",
    "csrr a0, cycle": "csrrs a0, cycle, zero",
    "csrrs a0, 3, x0": "csrrs a0, fcsr, zero",
    "csrw fcsr, a0": "csrrw zero, fcsr, a0",
    "frflags a0": "csrrs a0, fflags, zero",
    "fence": "fence iorw, iorw",
    "fence rw, w, fm=8, rd=x3": "fence rw, w, fm=8, rd=gp",
    "fence.tso": "fence.tso",
    "amoadd.w.aqrl a0, a1, (a2)": "amoadd.w.aqrl a0, a1, (a2)",
    "lr.d.aq a0, (a2)": "lr.d.aq a0, (a2)",
    "sc.d.rl a0, a1, (a2)": "sc.d.rl a0, a1, (a2)",
    "packw a0, a1, zero": "zext.h a0, a1",
    "fadd.d f0, f1, f2": "fadd.d ft0, ft1, ft2",
    "fadd.d f0, f1, f2, rtz": "fadd.d ft0, ft1, ft2, rtz",
    "fadd.d f0, f1, f2, dyn": "fadd.d ft0, ft1, ft2",
    "fcvt.d.w f0, a0": "fcvt.d.w ft0, a0",
    "fcvt.d.w f0, a0, rne": "fcvt.d.w ft0, a0",
    "fmv.d fa0, fa1": "fsgnj.d fa0, fa1, fa1",
    "c.addi16sp x2, -64": "c.addi16sp sp, -64",
}


@pytest.mark.parametrize(("text", "shown"), SAME.items(), ids=SAME)
def test_forms_that_are_accepted(text: str, shown: str) -> None:
    code = assemble(ISA, text, PC)
    assert disassemble(decode(int.from_bytes(code, "little")), PC) == shown


REFUSED = {
    "frobnicate a0": ("PVM-INSN-UNKNOWN", "'frobnicate'"),
    "": ("PVM-INSN-UNKNOWN", "''"),
    "addi a0, a1": ("PVM-ASM-SYNTAX", "no instruction of riscv64"),
    "addi a0, a1, a2": ("PVM-ASM-SYNTAX", "'a2'"),
    "addi a0, a1, 2048": ("PVM-ASM-SYNTAX", "imm is 2048, not one of -2048 to 2047"),
    "addi a0, q1, 1": ("PVM-ASM-SYNTAX", "'q1' cannot stand for rs1"),
    "slli a0, a1, 64": ("PVM-ASM-SYNTAX", "not one of 0 to 63"),
    "beq a0, a1, .+3": ("PVM-ASM-SYNTAX", "in steps of 2"),
    "beq a0, a1, 0x20000": ("PVM-ASM-SYNTAX", "offset is 65536"),
    "beq a0, a1, main": ("PVM-ASM-SYNTAX", "main"),
    "lui a0, 0x100000": ("PVM-ASM-SYNTAX", "20 bits"),
    "c.lui a0, 32": ("PVM-ASM-SYNTAX", "6 bits"),
    "c.lui sp, 1": ("PVM-ASM-SYNTAX", "sp is not allowed as rd"),
    "c.addiw zero, 1": ("PVM-ASM-SYNTAX", "zero is not allowed as rd"),
    "c.addi16sp sp, 8": ("PVM-ASM-SYNTAX", "in steps of 16"),
    "c.lw t0, 0(a0)": ("PVM-ASM-SYNTAX", "'t0' cannot stand for rd'"),
    "csrrw a0, cycle, a1": ("PVM-ASM-SYNTAX", "cycle is not allowed"),
    "csrrs a0, mstatus, a1": ("PVM-ASM-SYNTAX", "'mstatus' is no control and status register"),
    "csrrs a0, 0x300, zero": ("PVM-ASM-SYNTAX", "0x300 is not allowed"),
    "fence wr, rw": ("PVM-ASM-SYNTAX", "in this order"),
    "fence rw, rw, rs2=a0": ("PVM-ASM-SYNTAX", "no instruction"),
    "fadd.d fa0, fa1, fa2, sideways": ("PVM-ASM-SYNTAX", "rounding mode"),
    "fadd.d fa0, fa1, fa2, 5": ("PVM-ASM-SYNTAX", "5 is not allowed as rm"),
    "amoadd.w.x a0, a1, (a2)": ("PVM-INSN-UNKNOWN", "amoadd.w.x"),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=REFUSED)
def test_text_that_is_refused(text: str, expected: tuple[str, str]) -> None:
    with pytest.raises(PolyvmError) as caught:
        assemble(ISA, text, PC)
    assert caught.value.code == expected[0]
    assert expected[1] in caught.value.message
    if expected[0] == "PVM-ASM-SYNTAX":
        mnemonic = re.split(r"[. ](?=aq|rl)|\s", text)[0]
        assert mnemonic in (caught.value.hint or "")


def test_targets_get_their_symbols() -> None:
    def symbol(address: int) -> str | None:
        return {PC + 8: "loop", PC - 4: "main+0x20"}.get(address)

    word = decode(int.from_bytes(assemble(ISA, "bnez a0, .+8", PC), "little"))
    assert disassemble(word, PC, symbol) == "bne a0, zero, 0x10008 <loop>"
    assert disassemble(word, PC, symbol, aliases=True) == "bnez a0, 0x10008 <loop>"
    assert disassemble(word, PC - 12, symbol) == "bne a0, zero, 0xfffc <main+0x20>"
    assert disassemble(word, PC - 8, symbol) == "bne a0, zero, 0x10000"


def test_a_listing_goes_on_behind_what_is_no_instruction() -> None:
    code = bytes.fromhex("1305 a0000505ffffffff00006780 000013".replace(" ", ""))
    assert [(pc, data.hex(), text) for pc, data, text in listing(ISA, code, PC, aliases=True)] == [
        (0x10000, "1305a000", "li a0, 10"),
        (0x10004, "0505", "c.addi a0, 1"),
        (0x10006, "ffffffff", ".4byte 0xffffffff"),
        (0x1000A, "0000", ".2byte 0x0"),
        (0x1000C, "67800000", "ret"),
        (0x10010, "13", ".1byte 0x13"),
    ]


# -- Capstone
# Extensions and words that Capstone 5 does not know.
UNKNOWN_TO_CAPSTONE = {"Zfh", "Zicond", "Zba", "Zbb", "Zbc", "Zbs", "Zbkb", "Zbkx", "Zihintpause"}
LEGACY_ROUNDING = {"fcvt.d.w", "fcvt.d.wu", "fcvt.d.s"}  # it knows no rounding mode but rne there


def unknown_to_capstone(insn: Insn, word: int, text: str) -> bool:
    if insn.extension.name in UNKNOWN_TO_CAPSTONE:
        return True
    if "=" in text:  # a field that has no place in the text is not zero
        return True
    if insn.name in LEGACY_ROUNDING:
        return word >> 12 & 7 != 0
    # HINTs with rd = x0
    return insn.name in ("c.mv", "c.add", "c.li", "c.lui", "c.slli", "c.addi") and word >> 7 & 31 == 0


def normal(text: str, pc: int | None) -> str:
    """One spelling for both: decimal numbers, absolute targets (pc given: the last operand is an offset)."""
    text = re.sub(r"-?0x[0-9a-f]+", lambda number: str(int(number[0], 16)), text)
    # Capstone writes jalr's operands apart.
    text = re.sub(r"^(jalr) (\w+), (\w+), (-?\d+)$", r"\1 \2, \4(\3)", text)
    if pc is not None:
        text = re.sub(r"-?\d+$", lambda number: str(pc + int(number[0]) & (1 << 64) - 1), text)
    return text


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_agrees_with_capstone(insn: Insn, rng: random.Random, full: bool, counted: Counter[str]) -> None:
    judge = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    branches = "offset" in insn.encoding.fields
    for _ in range(1000 if full else 15):
        word = random_word(insn, rng)
        ours = {disassemble(decode(word), PC, aliases=aliases) for aliases in (False, True)}
        theirs = [
            f"{i.mnemonic} {i.op_str}".strip()
            for i in judge.disasm(word.to_bytes(insn.size, "little"), PC, 1)
        ]
        if unknown_to_capstone(insn, word, max(ours)):
            counted["unknown to Capstone"] += 1
            continue
        assert theirs, f"Capstone knows no {ours} ({word:#x})"
        if "unknown" in theirs[0]:  # its text for an empty set of a fence
            continue
        expected = {normal(text, None) for text in ours}
        assert normal(theirs[0], PC if branches else None) in expected, (
            f"{word:#x}: {ours}, Capstone {theirs}"
        )
        counted["compared"] += 1


@pytest.fixture(scope="module")
def counted(report: Callable[[str], None]) -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()
    yield counts
    report(
        f"text == capstone: {counts['compared']} words; {counts['unknown to Capstone']} that it does not know"
    )


# -- LLVM's assembler reads our text and must make our words
FEATURES = "+m+a+f+d+c+zfh+zicsr+zifencei+zicond+zba+zbb+zbc+zbs+zbkb+zbkx+zihintpause"


def for_llvm(insn: Insn, word: int) -> str | None:
    """Our text with branch targets as LLVM wants them, or None where it has no such form."""
    text = disassemble(decode(word), 0)
    if "=" in text:
        return None
    if insn.extension.name == "C" and HINT.fullmatch(text):
        return None
    if "offset" in insn.encoding.fields:
        target = int(text.rpartition(" ")[2], 16)
        text = text.rpartition(" ")[0] + f" {target - (1 << 64) if target >> 63 else target}"
    return text


# LLVM has other names for these HINTs, or none.
HINT = re.compile(r"c\.(addi|li|lui|slli|mv|add) zero, .*|c\.(slli|srli|srai|addi) \w+, 0")


def test_llvm_assembles_our_text_to_our_words(
    tmp_path: Path, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    chosen = [(insn, random_word(insn, rng)) for insn in ISA.insns for _ in range(300 if full else 10)]
    lines = [(insn, word, text) for insn, word in chosen if (text := for_llvm(insn, word)) is not None]
    source = tmp_path / "text.s"
    source.write_text(
        "".join(f".option {'rvc' if i.size == 2 else 'norvc'}\n{text}\n" for i, _, text in lines)
    )
    theirs = assembled(source, "-target", "riscv64-linux-musl", "-mcpu=generic_rv64" + FEATURES)
    position = 0
    for insn, word, text in lines:
        made = int.from_bytes(theirs[position : position + insn.size], "little")
        assert hex(made) == hex(word), text
        position += insn.size
    assert position == len(theirs)
    report(f"text == LLVM's assembler: {len(lines)} instructions of {len(ISA.insns)} encodings")
