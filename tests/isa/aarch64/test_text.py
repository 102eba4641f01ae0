"""The text of A64 instructions: there and back, beside Capstone over random words, and through LLVM's assembler."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.errors import PolyvmError
from polyvm.isa.disasm import assemble, disassemble
from polyvm.isa.spec import Decoded, Insn
from tests.isa.aarch64.disassemblers import Comparison, left_open
from tests.isa.aarch64.machine import ISA
from tests.isa.dictionaries import random_word
from tests.isa.llvm import assembled

IDS = [f"{insn.text} {insn.encoding.text}" for insn in ISA.insns]
PC = 0x1_0000


def decode(word: int) -> Decoded:
    decoded = ISA.decode(word)
    assert decoded is not None
    return decoded


# -- There and back
@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_assemble_is_the_inverse_of_disassemble(insn: Insn, rng: random.Random, full: bool) -> None:
    for _ in range(500 if full else 20):
        word, pc = random_word(insn, rng), rng.getrandbits(48) & ~3
        for aliases in (False, True):
            text = disassemble(decode(word), pc, aliases=aliases)
            if "ignored=" in text and aliases:
                continue  # an alias has no place for bits that mean nothing
            assert assemble(ISA, text, pc).hex() == word.to_bytes(4, "little").hex(), text


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1).map(lambda pc: pc & ~3))
def test_every_word_that_decodes_has_a_text_of_its_own(word: int, pc: int) -> None:
    found = ISA.decode(word)
    if found is not None:
        text = disassemble(found, pc, lambda address: "here+4")
        assert int.from_bytes(assemble(ISA, text, pc), "little") == word


SAME = {
    "mov x0, x1": "orr x0, xzr, x1",
    "mov x0, sp": "add x0, sp, #0",
    "mov sp, x0": "add sp, x0, #0",
    "mov w0, #0xff": "movz w0, #255",
    "mov x0, #0xff00ff00ff00ff00": "orr x0, xzr, #0xff00ff00ff00ff00",
    "mov wsp, #-2": "orr wsp, wzr, #0xfffffffe",
    "mov w0, #-1": "movn w0, #0",
    "mov x0, #-0x10001": "movn x0, #1, lsl #16",
    "mov x0, #0x12340000": "movz x0, #4660, lsl #16",
    "mov x0, #0x123456": None,
    "movk x3, 7, lsl 32": "movk x3, #7, lsl #32",
    "add x0, x1, x2": "add x0, x1, x2",
    "add x0, x1, x2, lsl #0": "add x0, x1, x2",
    "add x0, x1, x2, asr #63": "add x0, x1, x2, asr #63",
    "add x31, x1, x2": None,
    "add sp, x1, x2": "add sp, x1, x2",
    "add sp, x1, x2, lsl #3": "add sp, x1, x2, lsl #3",
    "add x0, sp, x2, uxtx": "add x0, sp, x2",
    "add x0, x1, w2, uxtw": "add x0, x1, w2, uxtw",
    "add x0, x1, x2, uxtw": None,
    "add x0, x1, w2, sxtb #4": "add x0, x1, w2, sxtb #4",
    "add w0, wsp, w2, lsl #1": "add w0, wsp, w2, lsl #1",
    "add x0, x1, #1, lsl #12": "add x0, x1, #1, lsl #12",
    "cmp x0, #5": "subs xzr, x0, #5",
    "cmp w0, w1, lsl #2": "subs wzr, w0, w1, lsl #2",
    "cmp sp, x1": "subs xzr, sp, x1",
    "cmp w17, w28, lsl #7": "subs wzr, w17, w28, lsl #7",
    "dmb sy": "dmb sy",
    "cmn x0, w1, sxtw #2": "adds xzr, x0, w1, sxtw #2",
    "tst x0, #1": "ands xzr, x0, #0x1",
    "tst x0, x1, ror #7": "ands xzr, x0, x1, ror #7",
    "neg x0, x1": "sub x0, xzr, x1",
    "mvn w0, w1": "orn w0, wzr, w1",
    "ngc x0, x1": "sbc x0, xzr, x1",
    "lsl x0, x1, #3": "ubfm x0, x1, #61, #60",
    "lsl x0, x1, x2": "lslv x0, x1, x2",
    "lsr w0, w1, #5": "ubfm w0, w1, #5, #31",
    "asr x0, x1, #5": "sbfm x0, x1, #5, #63",
    "ror x0, x1, #5": "extr x0, x1, x1, #5",
    "uxtb w0, w1": "ubfm w0, w1, #0, #7",
    "sxtw x0, w1": "sbfm x0, x1, #0, #31",
    "bfi x0, x1, #8, #4": "bfm x0, x1, #56, #3",
    "bfxil w0, w1, #8, #4": "bfm w0, w1, #8, #11",
    "ubfx x0, x1, #8, #4": "ubfm x0, x1, #8, #11",
    "sbfiz w0, w1, #8, #4": "sbfm w0, w1, #24, #3",
    "mul x0, x1, x2": "madd x0, x1, x2, xzr",
    "smull x0, w1, w2": "smaddl x0, w1, w2, xzr",
    "cset x0, eq": "csinc x0, xzr, xzr, ne",
    "csetm w0, hi": "csinv w0, wzr, wzr, ls",
    "cinc x0, x1, lt": "csinc x0, x1, x1, ge",
    "cneg x0, x1, mi": "csneg x0, x1, x1, pl",
    "csel x0, x1, x2, cs": "csel x0, x1, x2, hs",
    "b.cc .+8": "b.lo 0x10008",
    "b.al .-4": "b.al 0xfffc",
    "tbz w0, #31, .+4": "tbz w0, #31, 0x10004",
    "tbz x0, #32, .+4": "tbz x0, #32, 0x10004",
    "tbz w0, #32, .+4": None,
    "adr x0, .+1": "adr x0, 0x10001",
    "adrp x0, 0x12000": "adrp x0, 0x12000",
    "adrp x0, 0x12001": None,
    "ret": "ret",
    "ret x30": "ret",
    "ret x1": "ret x1",
    "ldr x0, [x1]": "ldr x0, [x1]",
    "ldr x0, [sp, #0x10]": "ldr x0, [sp, #16]",
    "ldr x0, [x31]": None,
    "ldr x0, [x1, #4]": None,
    "ldr w0, [x1, #4]!": "ldr w0, [x1, #4]!",
    "ldr w0, [x1], #-4": "ldr w0, [x1], #-4",
    "ldr x0, [x1, x2]": "ldr x0, [x1, x2]",
    "ldr x0, [x1, x2, lsl #3]": "ldr x0, [x1, x2, lsl #3]",
    "ldr x0, [x1, x2, lsl #2]": None,
    "ldr x0, [x1, w2, uxtw]": "ldr x0, [x1, w2, uxtw]",
    "ldr x0, [x1, w2]": None,
    "ldrb w0, [x1, x2, lsl #0]": "ldrb w0, [x1, x2, lsl #0]",
    "ldrb w0, [x1, x2]": "ldrb w0, [x1, x2]",
    "ldrh w0, [x1, w2, sxtw #1]": "ldrh w0, [x1, w2, sxtw #1]",
    "ldp x29, x30, [sp], #16": "ldp x29, x30, [sp], #16",
    "stp x29, x30, [sp, #-16]!": "stp x29, x30, [sp, #-16]!",
    "prfm pldl1keep, [x0]": "prfm pldl1keep, [x0]",
    "prfm #7, [x0]": "prfm #7, [x0]",
    "dmb ish": "dmb ish",
    "dsb #0": "dsb #0",
    "isb": "isb",
    "isb sy": "isb",
    "clrex #3": "clrex #3",
    "hint #2": "wfe",
    "paciasp": "paciasp",
    "hint #25": "paciasp",
    "cmpp x1, sp": "subps xzr, x1, sp",
    "irg x1, x2": "irg x1, x2",
    "bti c": "hint #34",
    "mrs x0, tpidr_el0": "mrs x0, tpidr_el0",
    "msr nzcv, x0": "msr nzcv, x0",
    "msr ctr_el0, x0": None,
    "dc zva, x0": "dc zva, x0",
    "fmov s0, #1.0": "fmov s0, #1.00000000",
    "fmov d1, #-0.1328125": "fmov d1, #-0.13281250",
    "fmov d1, #1.1": None,
    "fmov v3.d[1], x4": "fmov v3.d[1], x4",
    "fmov x4, v3.d[1]": "fmov x4, v3.d[1]",
    "fmov x4, v3.d[0]": None,
    "fcvt h0, d1": "fcvt h0, d1",
    "fcvt d0, d1": None,
    "fadd h0, h1, h2": "fadd h0, h1, h2",
    "fadd h0, h1, s2": None,
    "fadd v0.4h, v1.4h, v2.4h": "fadd v0.4h, v1.4h, v2.4h",
    "fadd v0.4h, v1.4h, v2.8h": None,
    "faddp h0, v1.2h": "faddp h0, v1.2h",
    "faddp h0, v1.2s": None,
    "fmaxv h0, v1.8h": "fmaxv h0, v1.8h",
    "fmov h0, w1": "fmov h0, w1",
    "fmov x1, h0": "fmov x1, h0",
    "fmov v0.8h, #0.5": "fmov v0.8h, #0.50000000",
    "fmla h0, h1, v15.h[7]": "fmla h0, h1, v15.h[7]",
    "fmla h0, h1, v16.h[7]": None,
    "scvtf v0.4h, v1.4h, #16": "scvtf v0.4h, v1.4h, #16",
    "fcvtzs h0, h1, #17": None,
    "fcmla v0.4h, v1.4h, v2.h[1], #90": "fcmla v0.4h, v1.4h, v2.h[1], #90",
    "fcmla v0.4h, v1.4h, v2.h[2], #90": None,
    "fcmla v0.8h, v1.8h, v31.h[3], #270": "fcmla v0.8h, v1.8h, v31.h[3], #270",
    "fmlal v0.2s, v1.2h, v2.2h": "fmlal v0.2s, v1.2h, v2.2h",
    "fmlsl2 v0.4s, v1.4h, v15.h[7]": "fmlsl2 v0.4s, v1.4h, v15.h[7]",
    "fmlal v0.4s, v1.4h, v2.8h": None,
    "bfcvt h0, s1": "bfcvt h0, s1",
    "bfcvtn2 v0.8h, v1.4s": "bfcvtn2 v0.8h, v1.4s",
    "bfdot v0.2s, v1.4h, v2.4h": "bfdot v0.2s, v1.4h, v2.4h",
    "bfdot v0.4s, v1.8h, v31.2h[3]": "bfdot v0.4s, v1.8h, v31.2h[3]",
    "bfdot v0.4s, v1.8h, v31.2h[4]": None,
    "bfmlalt v0.4s, v1.8h, v15.h[7]": "bfmlalt v0.4s, v1.8h, v15.h[7]",
    "bfmmla v0.4s, v1.8h, v2.8h": "bfmmla v0.4s, v1.8h, v2.8h",
    "fadd s0, s1, d2": None,
    "fcmpe d0, #0.0": "fcmpe d0, #0.0",
    "fcmp s0, #1.0": None,
    "scvtf s0, x1, #64": "scvtf s0, x1, #64",
    "scvtf s0, w1, #33": None,
    "ldr q0, [x1, x2, lsl #4]": "ldr q0, [x1, x2, lsl #4]",
    "ldr b0, [x1, #4095]": "ldr b0, [x1, #4095]",
    "stp q0, q1, [sp, #-32]!": "stp q0, q1, [sp, #-32]!",
    "ldr v0, [x1]": None,
    "msr fpcr, x0": "msr fpcr, x0",
    "casp x0, x1, x2, x3, [sp]": "casp x0, x1, x2, x3, [sp]",
    "casp x0, x2, x2, x3, [sp]": None,
    "casp w1, w2, w4, w5, [x0]": None,
    "stadd x0, [x1]": "ldadd x0, xzr, [x1]",
    "stuminlb w0, [sp]": "lduminlb w0, wzr, [sp]",
    "and x0, x1, #0": None,
    "and x0, x1, #-1": None,
    "and x0, x1, #0x5555555555555555": "and x0, x1, #0x5555555555555555",
    "and x0, x1, #1, ignored=1": None,
    "ands w0, w1, #0xffff0000, ignored=1": "ands w0, w1, #0xffff0000, ignored=1",
    "add v0.16b, v1.16b, v2.16b": "add v0.16b, v1.16b, v2.16b",
    "add v0.8b, v1.16b, v2.8b": None,
    "add v0.1d, v1.1d, v2.1d": None,
    "add v32.2d, v1.2d, v2.2d": None,
    "add d0, d1, d2": "add d0, d1, d2",
    "add s0, s1, s2": None,
    "cmlo v0.4s, v1.4s, v2.4s": "cmhi v0.4s, v2.4s, v1.4s",
    "cmgt v0.4s, v1.4s, #0": "cmgt v0.4s, v1.4s, #0",
    "cmgt v0.4s, v1.4s, #1": None,
    "mov v0.16b, v1.16b": "orr v0.16b, v1.16b, v1.16b",
    "mvn v0.8b, v1.8b": "not v0.8b, v1.8b",
    "mov v0.s[1], w2": "ins v0.s[1], w2",
    "mov v0.b[15], v1.b[3]": "ins v0.b[15], v1.b[3]",
    "mov v0.b[16], v1.b[3]": None,
    "mov w0, v1.s[3]": "umov w0, v1.s[3]",
    "mov x0, v1.d[1]": "umov x0, v1.d[1]",
    "mov h0, v1.h[7]": "dup h0, v1.h[7]",
    "mov w0, v1.s[4]": None,
    "dup v0.2d, x1": "dup v0.2d, x1",
    "dup v0.2d, w1": None,
    "uxtl v0.8h, v1.8b": "ushll v0.8h, v1.8b, #0",
    "sxtl2 v0.2d, v1.4s": "sshll2 v0.2d, v1.4s, #0",
    "sshr v0.8b, v1.8b, #8": "sshr v0.8b, v1.8b, #8",
    "sshr v0.8b, v1.8b, #9": None,
    "sshr v0.8b, v1.8b, #0": None,
    "shl v0.2d, v1.2d, #63": "shl v0.2d, v1.2d, #63",
    "shl v0.2d, v1.2d, #64": None,
    "sqshrn b0, h1, #1": "sqshrn b0, h1, #1",
    "shll v0.8h, v1.8b, #8": "shll v0.8h, v1.8b, #8",
    "shll v0.8h, v1.8b, #16": None,
    "saddlv h0, v1.16b": "saddlv h0, v1.16b",
    "saddlv s0, v1.16b": None,
    "addv s0, v1.4s": "addv s0, v1.4s",
    "addv s0, v1.2s": None,
    "mla v0.8h, v1.8h, v15.h[7]": "mla v0.8h, v1.8h, v15.h[7]",
    "mla v0.8h, v1.8h, v16.h[7]": None,
    "tbl v0.8b, {v31.16b, v0.16b}, v1.8b": "tbl v0.8b, {v31.16b, v0.16b}, v1.8b",
    "tbl v0.8b, {v31.16b, v1.16b}, v1.8b": None,
    "movi v0.4s, #1, lsl #8": "movi v0.4s, #1, lsl #8",
    "movi v0.4s, #1, lsl #0": "movi v0.4s, #1",
    "movi v0.4s, #1, lsl #4": None,
    "movi v0.8h, #1, lsl #16": None,
    "mvni v0.2s, #255, msl #16": "mvni v0.2s, #255, msl #16",
    "movi d0, #0xff00ff": "movi d0, #0xff00ff",
    "movi d0, #0xff01ff": None,
    "fmov v0.4s, #-1.5": "fmov v0.4s, #-1.50000000",
    "fmov v0.4s, #0.1": None,
    "ld1 {v0.16b}, [x1]": "ld1 {v0.16b}, [x1]",
    "ld1 { v0.16b, v1.16b }, [sp], #32": "ld1 {v0.16b, v1.16b}, [sp], #32",
    "ld1 {v0.16b, v1.16b}, [sp], #16": None,
    "ld1 {v0.1d, v1.1d}, [x0], x1": "ld1 {v0.1d, v1.1d}, [x0], x1",
    "ld2 {v0.1d, v1.1d}, [x0]": None,
    "ld2 {v0.4s, v1.4s}, [x0], xzr": None,
    "st3 {v31.b, v0.b, v1.b}[15], [x0], #3": "st3 {v31.b, v0.b, v1.b}[15], [x0], #3",
    "ld4r {v0.2s, v1.2s, v2.2s, v3.2s}, [x0], #16": "ld4r {v0.2s, v1.2s, v2.2s, v3.2s}, [x0], #16",
}


@pytest.mark.parametrize(("text", "shown"), SAME.items(), ids=SAME)
def test_forms_that_are_accepted_and_refused(text: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(PolyvmError, match="PVM-ASM-SYNTAX"):
            assemble(ISA, text, PC)
        return
    code = assemble(ISA, text, PC)
    assert disassemble(decode(int.from_bytes(code, "little")), PC) == shown


# -- Capstone
def float_word(rng: random.Random) -> int:
    """A word in the encoding space of scalar floating point, or of loads and stores of its registers (C4.1)."""
    word = rng.getrandbits(32)
    if rng.random() < 0.5:
        return word & ~(1 << 25) | 0b11 << 26
    return word & ~(0x5F << 24) | rng.choice((0x1E, 0x1E, 0x1E, 0x1F)) << 24


def integer_word(rng: random.Random) -> int:
    """A word in the encoding space of integer instructions (C4.1: bits 28 to 25)."""
    op0 = rng.choice((0b1000, 0b1001, 0b1010, 0b1011, 0b0100, 0b1100, 0b0101, 0b1101))
    word = rng.getrandbits(32) & ~(0b1111 << 25) | op0 << 25
    return word


def vector_word(rng: random.Random) -> int:
    """A word in the encoding space of SIMD and floating point, every other one in that of an instruction of ours."""
    if rng.random() < 0.5:
        return random_word(rng.choice(VECTORS), rng) ^ rng.choice((0, 0, 0, 1 << rng.randrange(10, 25)))
    op0 = rng.choice((0b0111, 0b1111, 0b0110, 0b1110))
    return rng.getrandbits(32) & ~(0b1111 << 25) | op0 << 25


VECTORS = [insn for insn in ISA.insns if any(ISA.fields[name].file == "q" for name in insn.encoding.fields)]


@pytest.mark.unmeasured
@pytest.mark.parametrize("random_one", [integer_word, float_word, vector_word])
def test_random_words_are_the_same_to_capstone(
    random_one: Callable[[random.Random], int], rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    comparison, counts = Comparison(), Counter[str]()
    different = []
    for _ in range(1_000_000 if full else 100_000):
        word = random_one(rng)
        (verdict,) = comparison.of(word, PC).values()
        counts[verdict.outcome] += 1
        if verdict.unexplained:
            different.append((hex(word), verdict.ours, verdict.theirs))
    assert different[:20] == []
    report(f"text == capstone: {counts['same']} random words of A64, {random_one.__name__}; {dict(counts)}")


# -- LLVM's assembler reads our text and must make our words
def for_llvm(insn: Insn, word: int, aliases: bool) -> str | None:
    """Our text with targets as distances, as LLVM wants them, or None where it refuses what the manual leaves open."""
    decoded = decode(word)
    text = disassemble(decoded, 0, aliases=aliases)
    if "ignored=" in text or left_open(decoded):
        return None
    if {"offset", "page"} & set(insn.encoding.fields):
        head, _, target = text.rpartition(" ")
        distance = int(target, 16)
        text = f"{head} #{distance - (1 << 64) if distance >> 63 else distance}"
    return text


def test_llvm_assembles_our_text_to_our_words(
    tmp_path: Path, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    lines = []
    for insn in ISA.insns:
        for number in range(300 if full else 8):
            word = random_word(insn, rng)
            text = for_llvm(insn, word, aliases=number % 2 == 0)
            if text is not None:
                lines.append((word, text))
    source = tmp_path / "text.s"
    source.write_text("".join(f"{text}\n" for _, text in lines))
    theirs = assembled(
        source, "-target", "aarch64-linux-musl", "-mcpu=generic+v8_6a+aes+sha3+sve+sme+fp16fml+mte"
    )
    assert len(theirs) == 4 * len(lines)
    for position, (word, text) in enumerate(lines):
        assert hex(int.from_bytes(theirs[4 * position : 4 * position + 4], "little")) == hex(word), text
    report(f"text == LLVM's assembler: {len(lines)} instructions of {len(ISA.insns)} A64 encodings")
