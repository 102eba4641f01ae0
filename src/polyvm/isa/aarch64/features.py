"""The extensions that the specification has, and how a program learns of each: the one table.

Linux tells of them three times: in AT_HWCAP and AT_HWCAP2 (asm/hwcap.h), in /proc/cpuinfo, which has the bits' names,
and in the ID registers whose reads it emulates (Documentation/arch/arm64/cpu-feature-registers.rst). Fields are those
of D24.2, "General system control registers". This imports next to nothing, because every process reads it.
"""

from __future__ import annotations

from polyvm.isa.aarch64.registers import PAUTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

ISAR0, ISAR1, PFR0 = "id_aa64isar0_el1", "id_aa64isar1_el1", "id_aa64pfr0_el1"

FEATURES = (
    ("FEAT_FP", "fp", 1, 0, PFR0, 16, 0),
    ("FEAT_AdvSIMD", "asimd", 1, 1, PFR0, 20, 0),
    ("FEAT_AES", "aes", 1, 3, ISAR0, 4, 1),
    ("FEAT_PMULL", "pmull", 1, 4, ISAR0, 4, 2),
    ("FEAT_SHA1", "sha1", 1, 5, ISAR0, 8, 1),
    ("FEAT_SHA256", "sha2", 1, 6, ISAR0, 12, 1),
    ("FEAT_CRC32", "crc32", 1, 7, ISAR0, 16, 1),
    ("FEAT_LSE", "atomics", 1, 8, ISAR0, 20, 2),
    ("FEAT_FP16", "fphp", 1, 9, PFR0, 16, 1),
    ("FEAT_FP16", "asimdhp", 1, 10, PFR0, 20, 1),
    ("ID registers", "cpuid", 1, 11, "", 0, 0),
    ("FEAT_RDM", "asimdrdm", 1, 12, ISAR0, 28, 1),
    ("FEAT_JSCVT", "jscvt", 1, 13, ISAR1, 12, 1),
    ("FEAT_FCMA", "fcma", 1, 14, ISAR1, 16, 1),
    ("FEAT_LRCPC", "lrcpc", 1, 15, ISAR1, 20, 1),
    ("FEAT_SHA3", "sha3", 1, 17, ISAR0, 32, 1),
    ("FEAT_DotProd", "asimddp", 1, 20, ISAR0, 44, 1),
    ("FEAT_SHA512", "sha512", 1, 21, ISAR0, 12, 2),
    ("FEAT_FHM", "asimdfhm", 1, 23, ISAR0, 48, 1),
    ("FEAT_LRCPC2", "ilrcpc", 1, 26, ISAR1, 20, 2),
    ("FEAT_FlagM", "flagm", 1, 27, ISAR0, 52, 1),
    ("FEAT_SB", "sb", 1, 29, ISAR1, 36, 1),
    ("FEAT_FlagM2", "flagm2", 2, 7, ISAR0, 52, 2),
    ("FEAT_FRINTTS", "frint", 2, 8, ISAR1, 32, 1),
    ("FEAT_I8MM", "i8mm", 2, 13, ISAR1, 52, 1),
    ("FEAT_BF16", "bf16", 2, 14, ISAR1, 44, 1),
    ("FEAT_DGH", "dgh", 2, 15, ISAR1, 48, 1),
)
"""(feature, its name in /proc/cpuinfo, which of AT_HWCAP and AT_HWCAP2 and the bit in it, ID register, the lowest bit
of its field there, the field's value). Of several in one field, the greatest value holds."""

OPTIONAL = {
    PAUTH: (
        ("FEAT_PAuth", "paca", 1, 30, ISAR1, 8, 1),
        ("FEAT_PAuth", "pacg", 1, 31, ISAR1, 28, 1),
    ),
}
"""And those that a processor has only where it is asked for, by option."""

# What a program reads in fields that Linux does not show: EL0 and EL1 are of 64 bits alone; no granule is known; the
# debugger's version. And who made the processor, which nobody did: MIDR says that ID registers tell of it (D24.2.122);
# of MPIDR only the bit that is always one is shown.
MIDR = 0xF << 16
_HIDDEN = {
    PFR0: 0x11,
    "id_aa64pfr1_el1": 1
    << 8,  # of memory tagging the instructions alone, for which there is no bit elsewhere
    "id_aa64mmfr0_el1": 0xFF00_0000,
    "id_aa64dfr0_el1": 0x6,
    "midr_el1": MIDR,
    "mpidr_el1": 1 << 31,
}

_NAMES = {
    0: {0: "midr_el1", 5: "mpidr_el1", 6: "revidr_el1"},
    2: {0: "id_isar0_el1", 1: "id_isar1_el1", 2: "id_isar2_el1", 3: "id_isar3_el1", 4: "id_isar4_el1",
        5: "id_isar5_el1", 6: "id_mmfr4_el1", 7: "id_isar6_el1"},
    3: {0: "mvfr0_el1", 1: "mvfr1_el1", 2: "mvfr2_el1", 4: "id_pfr2_el1", 6: "id_mmfr5_el1"},
    4: {0: PFR0, 1: "id_aa64pfr1_el1", 4: "id_aa64zfr0_el1", 5: "id_aa64smfr0_el1"},
    5: {0: "id_aa64dfr0_el1", 1: "id_aa64dfr1_el1", 4: "id_aa64afr0_el1", 5: "id_aa64afr1_el1"},
    6: {0: ISAR0, 1: ISAR1, 2: "id_aa64isar2_el1"},
    7: {0: "id_aa64mmfr0_el1", 1: "id_aa64mmfr1_el1", 2: "id_aa64mmfr2_el1"},
}  # fmt: skip
"""By CRm and op2, op0 being 3, and op1 and CRn 0: those that assemblers know by name."""


def registers() -> dict[tuple[int, int], str]:
    """The ID registers that a program may read, by CRm and op2: those that have names, and all others from CRm = 2 on,
    which read as zero."""
    every = {(crm, op2): f"s3_0_c0_c{crm}_{op2}" for crm in range(2, 8) for op2 in range(8)}
    return every | {(crm, op2): name for crm, names in _NAMES.items() for op2, name in names.items()}


def _rows(options: Container[str]) -> list[tuple[str, str, int, int, str, int, int]]:
    return [*FEATURES, *(row for name, rows in OPTIONAL.items() if name in options for row in rows)]


def value(register: str, options: Container[str] = ()) -> int:
    """What an ID register reads as."""
    fields: dict[int, int] = {}
    for *_, where, low, number in _rows(options):
        if where == register:
            fields[low] = max(number, fields.get(low, 0))
    return _HIDDEN.get(register, 0) | sum(number << low for low, number in fields.items())


def hwcap(word: int, options: Container[str] = ()) -> int:
    """AT_HWCAP, or AT_HWCAP2 for 2."""
    return sum(1 << bit for _, _, which, bit, *_ in _rows(options) if which == word)


def names(options: Container[str] = ()) -> str:
    """What /proc/cpuinfo calls them, in the order of their bits."""
    return " ".join(row[1] for row in sorted(_rows(options), key=lambda row: row[2:4]))
