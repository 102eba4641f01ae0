"""A64 words beside two other disassemblers, Capstone and LLVM: the same text, or a difference that has a name.

`Comparison.of` says of a word what each of them makes of it. A difference without a reason in the tables here is a
mistake of somebody's; nothing is left out to make it disappear.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import capstone

from polyvm.isa.disasm import disassemble
from polyvm.isa.spec import Decoded
from tests.isa.aarch64.machine import ISA
from tests.isa.dictionaries import MASK
from tests.isa.llvm import Disassembler

SAME, REFUSED, OURS, THEIRS, TEXT = "same", "refused", "ours alone", "theirs alone", "another text"
"""What a judge makes of a word beside us: the same text; no instruction to both; one to us alone, or to it alone; an
instruction to both, with different texts."""

# C4.1: the main encoding table, by bits 28 to 25.
GROUPS = {
    **dict.fromkeys((0b0000,), "reserved, SME"),
    **dict.fromkeys((0b0001, 0b0011), "unallocated"),
    **dict.fromkeys((0b0010,), "SVE"),
    **dict.fromkeys((0b1000, 0b1001), "data processing, immediate"),
    **dict.fromkeys((0b1010, 0b1011), "branches, exceptions, system"),
    **dict.fromkeys((0b0100, 0b0110, 0b1100, 0b1110), "loads and stores"),
    **dict.fromkeys((0b0101, 0b1101), "data processing, register"),
    **dict.fromkeys((0b0111, 0b1111), "SIMD and floating point"),
}


def group(word: int) -> str:
    """The part of A64 that a word is in."""
    return GROUPS[word >> 25 & 15]


def normal(text: str) -> str:
    """One spelling for all: decimal numbers modulo 2^64, or modulo 2^32 where they are moved to a word; no #."""
    text = text.replace("#", "").replace("{ ", "{").replace(" }", "}")
    mask = (1 << 32) - 1 if text.startswith("mov w") else MASK
    return re.sub(
        r"(?<![\w.])-?(0x[0-9a-f]+|\d+)", lambda number: str(int(number[0], 0) & mask), text
    ).strip()


# What Capstone knows in the encoding space of integer instructions, and we do not: by its mnemonic, and why.
BEYOND = {
    r"stzgm|ldgm|stgm": "memory tagging",
    r"swppa?l?|ld(clr|set)pa?l?": "FEAT_LSE128",
    r"ldiapp|stilp": "FEAT_LRCPC3",
    r"ldlarb?h?|stllrb?h?": "FEAT_LOR",
    r"ereta[ab]": "needs a privilege or a debugger",
    r"bc\..*": "FEAT_HBC",
    r"(cpy|set)g?[fpme].*": "FEAT_MOPS",
    r"ld64b|st64b(v0?)?": "FEAT_LS64",
    r"smc|hvc|hlt|dcps\d|eret|drps": "needs a privilege or a debugger",
    r"msr|mrs|sysl?|at|tlbi|dc|ic|cfp|dvp|cpp|msrr|mrrs|sysp|smstart|smstop|brb": "system registers and operations",
    r"wfet|wfit|tstart|tcommit|ttest|tcancel|dsb|esb|psb|tsb": "later hints and barriers",
    r"abs|cnt|ctz|[su]max|[su]min": "FEAT_CSSC",
    r"rprfm|rcw.*|ldtp|sttp": "later loads and prefetches",
}
# The same among instructions on vector registers.
BEYOND_VECTORS = {
    r"famax|famin|fscale|fdot|fmlal[bt]|fmlall[bt][bt]|[bf][12]cvtl2?|fmmla": "FEAT_FAMINMAX, FEAT_FP8",
    r"sm[34].*": "FEAT_SM3, FEAT_SM4",
    r"(cpy|set)g?[fpme].*": "FEAT_MOPS",
    r"ldap1|stl1|ldapu?r|stlur|ldtn?p|sttn?p": "later loads and stores",
    r"luti[24]": "FEAT_LUT",
}
# Bits that should be one, in fields that are not used: we refuse what the manual leaves open.
ONES = {
    r"(ld|st)a?l?xrb?h?": 0x7C00,
    r"lda?xrb?h?": 0x1F_7C00,
    r"lda?xp": 0x1F_0000,
    r"ldarb?h?|stlrb?h?": 0x1F_7C00,
    r"[su]mulh": 0x7C00,
}


# And bits that should be zero.
ZEROS = {r"fcmpe? \w+, #0\.0": 0x1F_0000}


def refused_by_us(word: int, text: str) -> str:
    """Why a word is no instruction to us that has this text elsewhere; "" if there is no reason for it."""
    if group(word) in ("reserved, SME", "SVE"):
        return "SVE, SME"
    name = text.split()[0]
    for pattern, reason in (BEYOND_VECTORS if word >> 26 & 3 == 3 else BEYOND).items():
        if re.fullmatch(pattern, name):
            return reason
    if any(re.fullmatch(pattern, text) and word & zeros for pattern, zeros in ZEROS.items()):
        return "bits that should be zero"
    if any(re.fullmatch(pattern, name) and word & ones != ones for pattern, ones in ONES.items()):
        return "bits that should be one"
    return ""


def left_open(decoded: Decoded) -> bool:
    """What the manual calls CONSTRAINED UNPREDICTABLE, and LLVM no instruction: both registers of a loaded pair the
    same, or the base that changes among them."""
    fields, text, name = decoded.fields, decoded.insn.text, decoded.insn.name
    # That LDTR and STTR change the base is a mistake of its own.
    changes = "]!" in text or "], #" in text or name.startswith(("ldtr", "sttr"))
    if "Vt2" in fields:
        return fields["Vt"] == fields["Vt2"] and name.startswith("ld")
    targets = [fields[name] for name in ("Rt", "Rt2") if name in fields]
    if changes and fields.get("Rn_sp") in targets:
        return True
    if name.startswith(("stx", "stlx")):  # the status is the address or the data
        return fields["Rs"] in (*targets, fields["Rn_sp"])
    return len(set(targets)) < len(targets)


GAPS = {"stgp": "STGP, which Capstone does not know"}
"""What a judge lacks of what we have; LLVM has it."""


# -- One word
def texts(decoded: Decoded, pc: int, theirs: str | None) -> set[str]:
    """What we write, in the common spelling: with aliases, and without where that is not their text already."""
    if "ignored" in decoded.fields:  # bits that mean nothing: an alias has no place for them
        decoded = dataclasses.replace(decoded, fields={**decoded.fields, "ignored": 0})
    usual = normal(disassemble(decoded, pc, aliases=True))
    if theirs is None or normal(theirs) == usual:
        return {usual}
    return {usual, normal(disassemble(decoded, pc))}


# Texts that stand for each other: a pattern and what becomes of it, first of ours, then of theirs; and why.
RESPELLED = (
    # The manual calls a few ORR MOV that MOVN could do too (MoveWidePreferred); ours is what is assembled back.
    ((r"orr (\w+), [wx]zr, (\d+)", r"mov \1, \2"), None, "MOV of a mask: MoveWidePreferred"),
    # BFC is an alias since Armv8.2 only.
    ((r"bfxil (\w+), [wx]zr, 0, (.*)", r"bfc \1, 0, \2"), None, "BFC, an alias of Armv8.2"),
    ((r"bfi (\w+), [wx]zr, (.*)", r"bfc \1, \2"), None, "BFC, an alias of Armv8.2"),
    ((r"prf(u?m) \d+, (.*)", r"prf\1 , \2"), None, "a prefetch without a name"),
)


def respelled(theirs: str, ours: set[str]) -> str:
    """Why their text is one of ours all the same, or ""."""
    for own, other, reason in RESPELLED:
        text = re.sub(f"^{other[0]}$", other[1], theirs) if other else theirs
        if text in {re.sub(f"^{own[0]}$", own[1], text) for text in ours}:
            return reason
    return ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge makes of a word: one of the five, for what reason where it differs, and the texts."""

    outcome: str
    reason: str = ""
    ours: str = ""
    theirs: str = ""

    @property
    def unexplained(self) -> bool:
        """Whether it is a difference that nobody has a name for."""
        return self.outcome not in (SAME, REFUSED) and not self.reason


class Comparison:
    """The judges, made once. llvm: None where there is no LLVM on this machine."""

    def __init__(self, llvm: Disassembler | None = None) -> None:
        self._capstone = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
        self._llvm = llvm

    def of(self, word: int, pc: int = 0) -> dict[str, Verdict]:
        """The verdicts by judge; `pc` is the place of the word to Capstone, to LLVM all are at 0."""
        decoded = ISA.decode(word)
        theirs = {"Capstone": self._by_capstone(word, pc)}
        if self._llvm is not None:
            theirs["LLVM"] = self._llvm.text(word)
        if decoded is None:
            return {judge: _of_none(word, text) for judge, text in theirs.items()}
        ours = {"Capstone": texts(decoded, pc, theirs["Capstone"])}
        if self._llvm is not None:
            if pc or normal(theirs["LLVM"] or "") not in ours["Capstone"]:
                ours["LLVM"] = texts(decoded, 0, theirs["LLVM"])
            else:
                ours["LLVM"] = ours["Capstone"]
        found = {judge: _of_some(decoded, ours[judge], text) for judge, text in theirs.items()}
        return {judge: _decided(verdict, found) for judge, verdict in found.items()}

    def _by_capstone(self, word: int, pc: int) -> str | None:
        found = [*self._capstone.disasm_lite(word.to_bytes(4, "little"), pc, 1)]
        return " ".join(found[0][2:]).strip() if found else None


def _of_none(word: int, theirs: str | None) -> Verdict:
    if theirs is None:
        return Verdict(REFUSED)
    return Verdict(THEIRS, refused_by_us(word, theirs), "", theirs)


def _of_some(decoded: Decoded, ours: set[str], theirs: str | None) -> Verdict:
    if theirs is None:
        reason = (
            "CONSTRAINED UNPREDICTABLE registers" if left_open(decoded) else GAPS.get(decoded.insn.name, "")
        )
        return Verdict(OURS, reason, min(ours))
    text = normal(theirs)
    if text in ours:
        return Verdict(SAME)
    return Verdict(TEXT, respelled(text, ours), min(ours), text)


def _decided(verdict: Verdict, every: dict[str, Verdict]) -> Verdict:
    """A difference between the judges is decided by the one that agrees with us."""
    if verdict.unexplained:
        for judge, other in every.items():
            if other.outcome == SAME:
                return dataclasses.replace(verdict, reason=f"{judge} has our text")
    return verdict
