"""The A64 encodings: decode and encode are inverse, nothing overlaps, hints run, what is reserved does not decode."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.ir.golden import Syscall, Trap
from polyvm.ir.ops import FP_FLAGS, FP_MODE, IDC
from polyvm.isa.aarch64 import abi, features, fpenv, manual
from polyvm.isa.aarch64.model import IDENTITY, SYSTEM
from polyvm.isa.aarch64.registers import SP, XZR
from polyvm.isa.aarch64.system import CTR_EL0, QC
from polyvm.isa.disasm import assemble
from polyvm.isa.encoding import EncodingError, decision_tree
from polyvm.isa.spec import Insn
from tests.isa.aarch64.machine import ISA, REGISTERS, Machine
from tests.isa.dictionaries import random_fields, random_word

IDS = [f"{insn.text} {insn.encoding.text}" for insn in ISA.insns]


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_decode_is_the_inverse_of_encode(insn: Insn, rng: random.Random, full: bool) -> None:
    for shape in insn.shapes():
        for _ in range(200 if full else 5):
            fields = random_fields(insn, shape, rng)
            word = insn.encode(fields)
            assert word >> 32 == 0
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


@given(st.integers(0, 2**32 - 1))
def test_encode_is_the_inverse_of_decode(word: int) -> None:
    decoded = ISA.decode(word)
    if decoded is not None:
        assert decoded.insn.encode({**decoded.fields, **dict(decoded.shape)}) == decoded.word == word


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
        assert trace.size == 4
        assert ISA.trace(insn, shape) is trace


@pytest.mark.parametrize("insn", ISA.insns, ids=IDS)
def test_the_manual_has_every_instruction_in_its_table(insn: Insn) -> None:
    assert insn.name in manual.EXTENSIONS[insn.extension.name].split()


@pytest.mark.parametrize("name", [part.name for part in ISA.extensions if part.name.startswith("FEAT_")])
def test_an_extension_has_all_that_the_manual_lists(name: str) -> None:
    """`isa coverage` asks for names alone, which other extensions may have for other formats."""
    specified = {insn.name for insn in ISA.insns if insn.extension.name == name}
    assert specified == set(manual.EXTENSIONS[name].split())


def test_number_31_is_what_the_field_says(rng: random.Random) -> None:
    for insn in ISA.insns:
        for name in insn.encoding.fields:
            if ISA.fields[name].file:
                wide = ISA.field_bits(insn.encoding, name)
                if insn.encoding.low_zeros(name):  # the first of two registers is an even one
                    assert insn.name.startswith("casp")
                    continue
                if insn.encoding.width(name) == 4:  # half words by number are in the lower sixteen registers
                    assert name == "Vm"
                    continue
                assert wide == (6 if name.endswith("_sp") else 5)
                fields = insn.fields(insn.encode({**random_fields(insn, next(insn.shapes()), rng), name: 0}))
                fields[name] = SP if name.endswith("_sp") else XZR
                assert insn.fields(insn.encode(fields))[name] == fields[name]
                fields[name] = XZR if name.endswith("_sp") else SP
                with pytest.raises(EncodingError):
                    insn.encode(fields)


# -- Hints are instructions without effect; what is unallocated or privileged is none
@pytest.mark.parametrize("imm7", range(128))
def test_hints_do_nothing(imm7: int, rng: random.Random) -> None:
    machine = Machine()
    for number in REGISTERS:
        machine[number] = rng.getrandbits(64)
    before = dict(machine.state.slots)
    machine.step(0xD503_201F | imm7 << 5)
    assert machine.state.slots == before
    assert machine.pc == 4


QUIET = ("dmb sy", "dmb ishld", "dmb ishst", "dsb #0", "isb", "clrex", "prfm pldl1keep, [x0]", "prfm #24, [x0, x1]",
         "prfum pstl3strm, [sp, #-1]", "prfm pldl1keep, .+8")  # fmt: skip


@pytest.mark.parametrize("line", QUIET)
def test_barriers_and_prefetches_change_no_register(line: str) -> None:
    machine = Machine()
    machine[0] = machine[SP] = 0xDEAD_0000
    before = dict(machine.state.slots)
    machine.do(line)
    assert {slot: value for slot, value in machine.state.slots.items() if value} == before


UNALLOCATED = {
    "all ones": 0xFFFF_FFFF,
    "add of words, shifted by 32": 0x0B00_8000,
    "add, shifted by ror": 0x8BC0_0000,
    "add, extended and shifted by 5": 0x8B20_7400,
    "movz of a word at 32": 0x52C0_0000,
    "move wide with opc 01": 0xB280_0000,
    "and of words with N": 0x1240_0000,
    "and with all ones": 0x9240_FC00,
    "ubfm of words with N": 0x5340_0000,
    "ubfm of words from 32": 0x5300_8000,
    "ubfm without N": 0xD300_0000,
    "extr of words from 32": 0x1380_8000,
    "rev of 64 bits in words": 0x5AC0_0C00,
    "smulh with Ra": 0x9B40_0000,
    "ldr with option 000": 0xF860_0800,
    "ldpsw without allocation": 0x6840_0000,
    "prfm after": 0xF880_0400,
    "ldxr with Rt2": 0xC85F_0000,
    "casp from an odd register on": 0x4821_7C00,
    "casp to an odd register": 0x4820_7C01,
    "casp of bytes": 0x0820_7C01,
    "ldapr with Rs": 0xB8A0_C000,
    "crc32x of words": 0x1AC0_4C00,
    "crc32b of 64 bits": 0x9AC0_4000,
    "hvc": 0xD400_0002,
    "smc": 0xD400_0003,
    "hlt": 0xD440_0000,
    "eret": 0xD69F_03E0,
    "br with op2": 0xD61E_0000,
    "bc.eq": 0x5400_0010,
    "msr spsel": 0xD500_40BF,
    "mrs of sctlr_el1": 0xD538_1000,
    "mrs of id_pfr0_el1, which Linux does not emulate": 0xD538_0100,
    "mrs of the register behind revidr_el1": 0xD538_00E0,
    "msr of midr_el1": 0xD518_0000,
    "xpaci of a register behind the field": 0xDAC1_43C0,
    "retaa with another register": 0xD65F_0BDF,
    "stzgm": 0xD920_0000,
    "setf of words": 0x3A00_880D,
    "cfinv with CRm": 0xD500_411F,
    "frint32z of halves": 0x1EE8_4000,
    "fjcvtzs of a single": 0x1E3E_0000,
    "sqrdmlah of bytes": 0x6E00_8400,
    "sqrdmlah of double words": 0x6EC0_8400,
    "sdot of half words": 0x4E40_9400,
    "smmla of eight bytes": 0x0E80_A400,
    "pmull of half words": 0x0E60_E000,
    "fcadd of bytes": 0x6E00_E400,
    "fcmla of one double word": 0x2EC0_C400,
    "fcmla of two words by number": 0x2F80_1000,
    "sm3ss1": 0xCE40_0000,
    "msr of ctr_el0": 0xD51B_0020,
    "add of one double word": 0x0EE0_8400,
    "mul of double words": 0x4EE0_9C00,
    "sqdmulh of bytes": 0x4E20_B400,
    "dup of no size": 0x4E00_0400,
    "smov of a word to a word": 0x0E04_2C00,
    "umov of a byte to a double word": 0x4E01_3C00,
    "ext past eight bytes": 0x2E00_4000,
    "addv of two words": 0x0EB1_B800,
    "rev64 of double words": 0x4EE0_0800,
    "saddl of double words": 0x0EE0_0000,
    "sshr of one double word": 0x0F40_0400,
    "movi of words by nothing known": 0x0F00_CC00,
    "mla of bytes by number": 0x2F00_0000,
    "ld2 of one double word": 0x0C40_8C00,
    "ld1 of words with S in a wrong place": 0x0D40_8800,
    "ld1 with Rm and no base that moves": 0x0C5F_7000,
    "ldr of half a SIMD register": 0x7DC0_0000,
    "ldp of SIMD registers with opc 11": 0xED40_0000,
    "fadd of format 10": 0x1EA0_2800,
    "fadd of one half by vectors": 0x5E40_1400,
    "fmul of halves by number with no size": 0x0F40_9000,
    "fcmla of four halves by number with H": 0x2F40_1800,
    "fmaxnmv of two words": 0x2E30_C800,
    "scvtf of halves with 17 bits of fraction": 0x0F0F_E400,
    "scvtf of a word with 33 bits of fraction, to a half": 0x1EC2_7C00,
    "fmov of a half to the upper half of a register": 0x9EEF_0000,
    "fmlal with size 11": 0x0E60_EC00,
    "bfmmla of eight bytes": 0x2E40_EC00,
    "bfdot of words": 0x2E80_FC00,
    "fcvt to the same format": 0x1E62_C000,
    "fmov of the upper half to a word": 0x1EAE_0000,
    "scvtf of a word with 33 bits of fraction": 0x1E02_7C00,
    "fmov of an immediate with imm5": 0x1E60_1020,
}


@pytest.mark.parametrize("word", UNALLOCATED.values(), ids=UNALLOCATED)
def test_what_is_unallocated_or_refused_does_not_decode(word: int) -> None:
    assert ISA.decode(word) is None


# -- What leaves
def test_system_calls_and_traps_leave_with_the_address() -> None:
    machine = Machine()
    machine.pc = 0x4000
    before = dict(machine.state.slots)
    with pytest.raises(Syscall):
        machine.do("svc #0")
    for line, cause in (("brk #1000", "breakpoint"), ("udf #0", "illegal")):
        with pytest.raises(Trap) as trap:
            machine.do(line)
        assert (trap.value.cause, trap.value.value) == (cause, 0x4000)
    assert (machine.state.slots, machine.pc) == (before, 0x4000)
    assert assemble(ISA, "udf #0") == bytes(4)


# -- System registers
def test_what_the_processor_tells_of_itself() -> None:
    machine = Machine()
    machine.do(
        "mrs x0, ctr_el0",
        "mrs x1, dczid_el0",
        "mrs x2, cntfrq_el0",
        "mrs x3, cntvct_el0",
        "mrs x4, tpidrro_el0",
    )
    assert machine[0] == CTR_EL0
    assert 4 << (CTR_EL0 & 15) == 4 << machine[1] == 64  # bytes of a line, and of what DC ZVA zeroes
    assert machine[2] == 1_000_000_000
    assert machine[3] == 2000  # the tests' clock
    assert machine[4] == 0
    assert sorted(set(SYSTEM.values()) - set(IDENTITY.values())) == [
        "cntfrq_el0", "cntvct_el0", "ctr_el0", "dczid_el0", "fpcr", "fpsr", "nzcv", "tpidr_el0", "tpidrro_el0",
    ]  # fmt: skip


def test_the_table_of_features_is_what_the_specification_has() -> None:
    told = {feature for feature, *_ in features.FEATURES}
    optional = {feature for rows in features.OPTIONAL.values() for feature, *_ in rows}
    specified = {extension.name for extension in ISA.extensions if extension.name.startswith("FEAT_")}
    # Floating point and vectors are tables of C4.1, DGH is a hint; of memory tagging an ID register tells alone.
    untold = optional | {"FEAT_PAuth, hints", "FEAT_MTE"}
    assert told - {"ID registers"} == specified - untold | {"FEAT_FP", "FEAT_AdvSIMD", "FEAT_DGH"}
    assert optional <= specified
    assert list(features.OPTIONAL) == list(ISA.options)
    places = [row[2:4] for rows in (features.FEATURES, *features.OPTIONAL.values()) for row in rows]
    assert len(set(places)) == len(places)


def test_the_id_registers_say_what_hwcap_says() -> None:
    """By the fields of Linux's arch/arm64/include/asm/sysreg.h, read by an instruction."""
    machine = Machine()

    def read(name: str) -> int:
        machine.do(f"mrs x0, {name}")
        return machine[0]

    isar0, isar1, pfr0 = (read(f"id_aa64{name}_el1") for name in ("isar0", "isar1", "pfr0"))
    fields = {
        "aes": isar0 >> 4, "sha1": isar0 >> 8, "sha2": isar0 >> 12, "crc32": isar0 >> 16, "atomics": isar0 >> 20,
        "asimdrdm": isar0 >> 28, "sha3": isar0 >> 32, "asimddp": isar0 >> 44, "flagm": isar0 >> 52,
        "jscvt": isar1 >> 12, "fcma": isar1 >> 16, "lrcpc": isar1 >> 20, "frint": isar1 >> 32, "sb": isar1 >> 36,
        "dgh": isar1 >> 48, "i8mm": isar1 >> 52, "asimdfhm": isar0 >> 48, "fphp": pfr0 >> 16, "asimdhp": pfr0 >> 20,
        "bf16": isar1 >> 44,
    }  # fmt: skip
    values = {name: value & 15 for name, value in fields.items()}
    assert values == dict.fromkeys(fields, 1) | {"aes": 2, "sha2": 2, "atomics": 2, "flagm": 2, "lrcpc": 2}
    assert pfr0 == 0x110011  # no SVE; EL0 and EL1 of 64 bits
    names = features.names().split()
    assert names == [
        "fp", "asimd", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp", "asimdhp", "cpuid", "asimdrdm",
        "jscvt", "fcma", "lrcpc", "sha3", "asimddp", "sha512", "asimdfhm", "ilrcpc", "flagm", "sb", "flagm2",
        "frint", "i8mm", "bf16", "dgh",
    ]  # fmt: skip
    assert abi.hwcap().bit_count() + abi.hwcap2().bit_count() == len(names)
    assert f"Features\t: {' '.join(names)}\n" in abi.cpuinfo(1)
    assert (read("midr_el1"), read("mpidr_el1"), read("revidr_el1")) == (0xF_0000, 1 << 31, 0)
    assert (read("id_aa64mmfr0_el1"), read("id_aa64dfr0_el1")) == (0xFF00_0000, 6)
    assert len(IDENTITY) == 3 + 48  # CRm 2 to 7 are there as a whole
    known = {"id_aa64isar0_el1", "id_aa64isar1_el1", "id_aa64pfr0_el1", "midr_el1", "mpidr_el1", "id_aa64mmfr0_el1",
             "id_aa64dfr0_el1", "id_aa64pfr1_el1"}  # fmt: skip
    assert {name for name in IDENTITY.values() if read(name)} == known


def test_the_floating_point_environment_has_the_bits_that_there_are() -> None:
    machine = Machine()
    machine[0] = (1 << 64) - 1
    machine.do("msr fpcr, x0", "msr fpsr, x0", "mrs x1, fpcr", "mrs x2, fpsr")
    assert (machine[1], machine[2]) == (0x07C8_0000, 0x0800_009F)
    for mode, ours in enumerate((0, 3, 2, 1)):  # nearest, up, down, to zero
        machine[0] = mode << 22
        machine.do("msr fpcr, x0", "mrs x1, fpcr", "fmov s1, #1.0", "fmov s2, #3.0", "fdiv s0, s1, s2")
        assert (machine.state.read(FP_MODE), machine[1]) == (ours, mode << 22)
        assert machine.vector(0) == (0x3EAA_AAAB if mode < 2 else 0x3EAA_AAAA)


def test_the_environment_as_numbers_is_what_the_instructions_say() -> None:
    machine = Machine()
    for bits in range(256):
        value = (bits & 31) << 22 | (bits & 128) << 12
        machine[0], machine[1] = value, bits & 31 | (bits & 32) << 2 | (bits & 64) << 21
        machine.do("msr fpcr, x0", "msr fpsr, x1")
        mode = machine.state.read(FP_MODE)
        assert (fpenv.mode(value), fpenv.fpcr(mode)) == (mode, value)
        accrued = tuple(machine.state.read(slot) for slot in (FP_FLAGS, IDC, QC))
        assert (fpenv.accrued(machine[1]), fpenv.fpsr(*accrued)) == (accrued, machine[1])
    assert fpenv.mode((1 << 64) - 1) == machine.state.read(FP_MODE)


def test_flushing_code_ends_an_instruction() -> None:
    machine = Machine(0x1000, bytes(64))
    machine[0] = 0x1010
    machine.do("dc cvau, x0", "ic ivau, x0")
    assert machine.pc == 8
    trace = ISA.trace(next(i for i in ISA.insns if i.name == "ic"), ())
    assert "flush" in {op.op for op in trace.walk()}
