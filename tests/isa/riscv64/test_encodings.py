"""The riscv64 encodings: decode and encode are inverse, nothing overlaps, HINTs run, what is reserved does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.isa.encoding import EncodingError, decision_tree
from polyvm.isa.riscv64 import manual
from polyvm.isa.riscv64.model import CSR
from polyvm.isa.spec import Insn
from tests.isa.riscv64.machine import ISA, Machine, random_fields, random_word

IDS = [insn.text for insn in ISA.insns]


def describe(word: int) -> str | None:
    decoded = ISA.decode(word)
    return decoded.insn.name if decoded else None


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_decode_is_the_inverse_of_encode(insn: Insn, rng: random.Random, full: bool) -> None:
    for shape in insn.shapes():
        for _ in range(200 if full else 5):
            fields = random_fields(insn, shape, rng)
            word = insn.encode(fields)
            assert word >> 8 * insn.size == 0
            assert insn.encoding.matches(word)
            assert insn.fields(word) == fields
            decoded = ISA.decode(word)
            assert decoded is not None
            if decoded.insn is not insn:
                # Only a strictly more special encoding may take a word away.
                special = decoded.insn.encoding
                assert special.mask & insn.encoding.mask == insn.encoding.mask != special.mask
                continue
            assert {**decoded.fields, **dict(decoded.shape)} == fields
            assert decoded.word == word
            # What follows a short instruction in memory has no influence.
            if insn.size == 2:
                assert ISA.decode(word | rng.getrandbits(16) << 16) == decoded


@given(st.integers(0, 2**32 - 1))
def test_encode_is_the_inverse_of_decode(word: int) -> None:
    for candidate in (word, word & ~3, word | 3):
        decoded = ISA.decode(candidate)
        if decoded is not None:
            values = {**decoded.fields, **dict(decoded.shape)}
            assert decoded.insn.encode(values) == decoded.word == candidate & (1 << 8 * decoded.insn.size) - 1
            assert decoded.insn.size == ISA.length(candidate)


def test_no_two_encodings_overlap() -> None:
    decision_tree(ISA.insns)
    with pytest.raises(EncodingError, match="overlap"):
        decision_tree([*ISA.insns, ISA.insns[0]])


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_the_tree_finds_what_trying_each_encoding_finds(insn: Insn, rng: random.Random) -> None:
    word = random_word(insn, rng)
    matching = [other for other in ISA.insns if other.encoding.matches(word)]
    assert max(matching, key=lambda other: other.encoding.mask.bit_count()) is insn


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_every_trace_of_every_shape_passes_verify(insn: Insn) -> None:
    for shape in insn.shapes():
        trace = ISA.trace(insn, shape)  # raises SpecError where a rule is broken
        assert trace.size == insn.size
        assert ISA.trace(insn, shape) is trace


def test_the_manual_has_every_mnemonic() -> None:
    known = {name for text in manual.EXTENSIONS.values() for name in text.split()}
    assert {insn.name for insn in ISA.insns} <= known


def test_extensions_have_the_instructions_that_the_manual_puts_there() -> None:
    shared = {"clmul": "Zbc", "clmulh": "Zbc"}
    for insn in ISA.insns:
        name = insn.extension.name
        assert insn.name in manual.EXTENSIONS[name].split() or shared.get(insn.name) == name


# -- HINTs are instructions without effect; what is reserved is none
HINTS = {
    "c.nop with an immediate": 0x0015,
    "c.addi with 0": 0x0501,
    "c.li to x0": 0x4015,
    "c.lui to x0": 0x6015,
    "c.srli by 0": 0x8101,
    "c.srai by 0": 0x8501,
    "c.slli by 0": 0x0502,
    "c.slli of x0": 0x0016,
    "c.mv to x0": 0x802A,
    "c.add to x0 (c.ntl.p1)": 0x900A,
    "add to x0 (ntl.p1)": 0x0020_0033,
    "lui to x0": 0x1234_5037,
    "ori to x0 (prefetch)": 0x0015_6013,
    "fence that orders nothing": 0x0000_000F,
    "fence with a reserved mode": 0x4330_000F,
    "pause": 0x0100_000F,
}


@pytest.mark.parametrize("word", HINTS.values(), ids=HINTS)
def test_hints_do_nothing(word: int, rng: random.Random) -> None:
    machine = Machine()
    for number in range(1, 32):
        machine[number] = rng.getrandbits(64)
    before = dict(machine.state.slots)
    machine.step(word)
    assert machine.state.slots == before
    assert machine.pc == ISA.length(word)


RESERVED = {
    "all zeros": 0x0000,
    "c.addi4spn with 0": 0x0008,
    "quadrant 0, 100": 0x8008,
    "c.addiw to x0": 0x2005,
    "c.addi16sp with 0": 0x6101,
    "c.lui with 0": 0x6501,
    "c.lui to x0 with 0": 0x6001,
    "c.subw's reserved neighbours": 0x9C41,
    "c.lwsp to x0": 0x4012,
    "c.ldsp to x0": 0x6012,
    "c.jr x0": 0x8002,
    "all ones": 0xFFFF_FFFF,
    "slli by 64 and more": 0x4015_1513,
    "slliw by 32 and more": 0x0205_151B,
    "jalr with a funct3": 0x0005_1567,
    "lr.w with rs2": 0x1015_22AF,
    "load with funct3 111": 0x0005_7503,
    "mret": 0x3020_0073,
    "wfi": 0x1050_0073,
    "csrrw cycle": 0xC005_1573,
    "csrrs cycle with x1": 0xC000_A573,
    "csrrs of mstatus": 0x3000_2573,
    "csrrci instret with 1": 0xC020_F573,
    "fadd.s with rounding 5": 0x00B5_5553,
    "vadd.vv": 0x0220_8057,
}


@pytest.mark.parametrize("word", RESERVED.values(), ids=RESERVED)
def test_what_is_reserved_or_refused_does_not_decode(word: int) -> None:
    assert describe(word) is None


def test_counters_can_be_read_and_never_written() -> None:
    names = {number: name for number, name in CSR.items() if number >> 10 == 3}
    assert sorted(names.values()) == ["cycle", "instret", "time"]
    for number in names:
        for funct3 in (0b010, 0b011, 0b110, 0b111):
            assert describe(number << 20 | funct3 << 12 | 0b1110011) is not None
            assert describe(number << 20 | 1 << 15 | funct3 << 12 | 0b1110011) is None
        for funct3 in (0b001, 0b101):
            assert describe(number << 20 | funct3 << 12 | 0b1110011) is None
