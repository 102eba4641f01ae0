"""Which accesses an instruction is about to make, as watchpoints see them: kinds, pairs, structures, atomics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyvm.debug.gdbwatch import ACCESS, READ, WRITE, Simple, Watch, hull, reached
from polyvm.emulator import Emulator
from polyvm.engine.layout import ST

CODE, DATA = 0x1000, 0x2000


@pytest.fixture(scope="module", params=["riscv64", "aarch64"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(request.param, tier="golden") as made:
        made.memory.map(CODE, 0x1000, "rx")
        made.memory.map(DATA, 0x1000, "rw")
        yield made


# Instructions on (base register) = DATA + 64, and for bytes from there on what they do: read, write, or both.
CASES = {
    "riscv64": [
        ("ld a0, 0(a2)", 0x00063503, {0: "r", 7: "r", 8: "", -1: ""}),
        ("sb a0, 3(a2)", 0x00A601A3, {2: "", 3: "w", 4: ""}),
        ("amoadd.w a0, a1, (a2)", 0x00B6252F, {0: "rw", 3: "rw", 4: ""}),
        ("sc.d a0, a1, (a2), no reservation", 0x18B6352F, {0: ""}),
        ("addi a0, a2, 0", 0x00060513, {0: ""}),
        ("no instruction", 0x00000000, {0: ""}),
    ],
    "aarch64": [
        ("ldr x0, [x2]", 0xF9400040, {0: "r", 7: "r", 8: ""}),
        ("strb w0, [x2, #3]!", 0x38003C40, {2: "", 3: "w", 4: ""}),
        ("stp x0, x1, [x2]", 0xA9000440, {0: "w", 15: "w", 16: ""}),
        ("ldp q0, q1, [x2]", 0xAD400440, {0: "r", 31: "r", 32: ""}),
        ("st4 {v0.16b-v3.16b}, [x2]", 0x4C000040, {0: "w", 63: "w", 64: ""}),
        ("ldadd x0, x1, [x2]", 0xF8200041, {0: "rw", 8: ""}),
        ("cas x1, x0, [x2], not equal", 0xC8A17C40, {0: "r"}),
        ("stxr w3, x0, [x2], no monitor", 0xC8037C40, {0: ""}),
        ("svc #0", 0xD4000001, {0: ""}),
    ],
}
BASE = {"riscv64": "a2", "aarch64": "x2"}


def test_each_access_is_told_by_what_it_does(emulator: Emulator) -> None:
    guest = emulator.guest
    for text, word, bytes_ in CASES[guest]:
        emulator._space.poke(CODE, word.to_bytes(4, "little"))
        emulator.registers[BASE[guest]] = DATA + 64
        if guest == "aarch64":
            emulator.registers["x1"] = 1  # what `cas` compares with, and memory is 0
        emulator.pc = CODE
        before = emulator.save().data, emulator.memory.read(DATA, 256)
        for offset, kinds in bytes_.items():
            at = DATA + 64 + offset
            for kind, wanted in ((READ, "r" in kinds), (WRITE, "w" in kinds), (ACCESS, bool(kinds))):
                watch = Watch(kind, at, 1)
                found = reached(emulator._cpu, emulator._space, {watch})
                assert found == ((watch, at) if wanted else None), (text, offset, kind)
        assert (emulator.save().data, emulator.memory.read(DATA, 256)) == before  # nothing was done


def test_simple_accesses_need_not_be_tried(emulator: Emulator) -> None:
    """What passes is what would have been found to reach nothing."""
    simple = Simple(emulator._space)
    for text, word, bytes_ in CASES[emulator.guest]:
        emulator._space.poke(CODE, word.to_bytes(4, "little"))
        emulator.pc = CODE
        for offset, kinds in bytes_.items():
            for kind, wanted in ((READ, "r" in kinds), (WRITE, "w" in kinds), (ACCESS, bool(kinds))):
                watch = Watch(kind, DATA + 64 + offset, 1)
                # Native code leaves at the access itself, whose address is that of its first byte.
                emulator._cpu._words[ST["value"] >> 3] = DATA + 64 + (3 if "3" in text else 0)
                passes = simple.passes(emulator._cpu, {watch})
                assert passes in ((not wanted) and text[:2] in ("ld", "sb", "st"), False), (
                    text,
                    offset,
                    kind,
                )
                if text in ("ld a0, 0(a2)", "sb a0, 3(a2)", "ldr x0, [x2]"):
                    assert passes == (not wanted), (text, offset, kind)


def test_faults_are_left_to_the_instruction(emulator: Emulator) -> None:
    _, word, _ = CASES[emulator.guest][0]
    emulator._space.poke(CODE, word.to_bytes(4, "little"))
    emulator.registers[BASE[emulator.guest]] = 8
    for pc in (CODE, 0x100000):
        emulator.pc = pc
        assert reached(emulator._cpu, emulator._space, {Watch(READ, 8, 8)}) is None


def test_ranges() -> None:
    watches = {Watch(WRITE, 100, 8), Watch(READ, 40, 1)}
    assert hull(watches) == (40, 108)
    assert Watch(WRITE, 100, 8) in watches
    assert Watch(READ, 100, 8) not in watches
