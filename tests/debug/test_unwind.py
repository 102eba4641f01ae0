"""Call frames from unwind tables: each rule by itself, the tables of real programs, and damaged ones."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from polyvm.debug import elf, unwind
from polyvm.debug.unwind import Damaged, Tables
from tests.toolchain import build

BASE = 0x9000


def entry(back: int, body: bytes) -> bytes:
    """One entry of .eh_frame, filled up with nops to a multiple of four."""
    body += bytes(-(len(body)) % 4)
    return struct.pack("<II", 4 + len(body), back) + body


def tables(program: bytes, *, shared: bytes = b"\x0c\x02\x00", augmentation: bytes = b"zR\0") -> Tables:
    """One function from 0x1000 to 0x1100 with this program; the frame's address is x2 at its start."""
    # code alignment 2, data alignment -8, return column 1, and pointers of eight bytes as they are.
    extra = b"\x01\x04" if augmentation.startswith(b"zR") else b""
    common = entry(0, b"\x01" + augmentation + b"\x02\x78\x01" + extra + shared)
    function = entry(
        len(common) + 4, struct.pack("<QQ", 0x1000, 0x100) + (b"\x00" if extra else b"") + program
    )
    return Tables(BASE, memoryview(common + function + bytes(4)))


def rules(program: bytes, at: int = 0x10FF, **more: bytes) -> tuple[int, int, dict[int, int | None]]:
    """What holds at an address: register, offset, saved."""
    found = tables(program, **more).rules(at)
    assert found is not None
    assert found.return_column == 1
    return found.register, found.offset, found.saved


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (b"", (2, 0, {})),
        (b"\x0e\x20", (2, 32, {})),  # def_cfa_offset
        (b"\x0c\x08\x10", (8, 16, {})),  # def_cfa
        (b"\x12\x08\x7e", (8, 16, {})),  # def_cfa_sf
        (b"\x0d\x08", (8, 0, {})),  # def_cfa_register
        (b"\x13\x7e", (2, 16, {})),  # def_cfa_offset_sf
        (b"\x81\x01", (2, 0, {1: -8})),  # offset
        (b"\x05\x08\x02", (2, 0, {8: -16})),  # offset_extended
        (b"\x11\x08\x7e", (2, 0, {8: 16})),  # offset_extended_sf
        (b"\x81\x01\xc1", (2, 0, {})),  # restore
        (b"\x81\x01\x06\x01", (2, 0, {})),  # restore_extended
        (b"\x07\x01", (2, 0, {1: None})),  # undefined
        (b"\x81\x01\x08\x01", (2, 0, {})),  # same_value
        (b"\x0a\x0e\x20\x81\x01\x0b", (2, 0, {})),  # remember_state, restore_state
        (b"\x2e\x10\x00", (2, 0, {})),  # GNU_args_size, nop
        (b"\x0e\xa0\x80\x00", (2, 32, {})),  # a number with more bytes than it needs
    ],
)
def test_each_instruction(program: bytes, expected: tuple[int, int, dict[int, int | None]]) -> None:
    assert rules(program) == expected


@pytest.mark.parametrize(
    "advance",
    [b"\x44", b"\x02\x04", b"\x03\x04\x00", b"\x04\x04\x00\x00\x00", b"\x01" + struct.pack("<Q", 0x1008)],
    ids=["advance_loc", "advance_loc1", "advance_loc2", "advance_loc4", "set_loc"],
)
def test_what_holds_depends_on_the_place(advance: bytes) -> None:
    program = advance + b"\x0e\x20"
    assert rules(program, 0x1007) == (2, 0, {})
    assert rules(program, 0x1008) == (2, 32, {})


def test_restore_goes_back_to_what_all_functions_share() -> None:
    assert rules(b"\x81\x02\xc1", shared=b"\x0c\x02\x00\x81\x01") == (2, 0, {1: -8})


def test_addresses_outside_have_no_rules() -> None:
    known = tables(b"")
    assert known.rules(0xFFF) is None
    assert known.rules(0x1100) is None
    assert known.rules(0x1000) is not None


@pytest.mark.parametrize("program", [b"\x0f\x01\x00", b"\x0b", b"\x3f", b"\x0e" + b"\xff" * 11])
def test_what_is_odd_is_refused(program: bytes) -> None:
    with pytest.raises(Damaged):
        tables(program).rules(0x10FF)


@pytest.mark.parametrize("augmentation", [b"zQ\0", b"eh\0"])
def test_an_unknown_augmentation_leaves_the_function_out(augmentation: bytes) -> None:
    assert tables(b"", augmentation=augmentation).rules(0x1000) is None


def test_pointers_in_other_encodings() -> None:
    assert tables(b"", augmentation=b"\0").rules(0x1000) is not None
    for encoding, pack in ((0x1B, "<iI"), (0x1C, "<qQ"), (0x1A, "<hH"), (0x0B, "<iI")):
        common = entry(0, b"\x01zR\0\x02\x78\x01\x01" + bytes([encoding]))
        place = BASE + len(common) + 8
        start = 0x1000 - place if encoding & 0x10 else 0x1000
        if encoding == 0x1A:
            start = -100
        function = entry(len(common) + 4, struct.pack(pack, start, 0x100) + b"\x00")
        found = Tables(BASE, memoryview(common + function))
        address = (place + start if encoding & 0x10 else start) & unwind.WORD
        assert found.rules(address) is not None
        assert found.rules(address - 1) is None


def test_a_walk_over_frames() -> None:
    # Two functions' frames of 32 bytes, the return address at the top, one above the other; the third has none.
    memory = {0x8018: 0x1010, 0x8038: 0x5000}
    known = tables(b"\x0e\x20\x81\x01")

    def load(address: int) -> int:
        if address not in memory:
            raise Damaged("not mapped")
        return memory[address]

    registers = [0] * 32
    registers[2] = 0x8000
    found = list(unwind.walk(registers, 0x1004, 2, lambda address: (known, 0), load))
    assert found == [(0x1010, 0x8020), (0x5000, 0x8040)]
    moved = unwind.walk(registers, 0x21004, 2, lambda address: (known, 0x20000), load)
    assert next(moved) == (0x1010, 0x8020)
    registers[2] = 0x9000
    with pytest.raises(Damaged):
        list(unwind.walk(registers, 0x1004, 2, lambda address: (known, 0), load))


def test_vectors_that_are_saved_and_marks_of_signing_are_no_obstacle() -> None:
    known = tables(b"\x0e\x20\x81\x01\x05\x48\x02\x2d")  # register 72 is v8 of aarch64
    registers = [0x8000] * 32
    memory = {0x8018: 0x1010}
    walk = unwind.walk(registers, 0x1004, 2, lambda address: (known, 0), memory.__getitem__)
    assert next(walk) == (0x1010, 0x8020)


def test_a_walk_in_circles_ends() -> None:
    known = tables(b"")  # a frame of nothing, the return address in its register
    registers = [0x1010] * 32
    found = list(unwind.walk(registers, 0x1004, 2, lambda address: (known, 0), lambda address: 0))
    assert found == [(0x1010, 0x1010)]
    lost = tables(b"\x07\x01")
    assert list(unwind.walk(registers, 0x1004, 2, lambda address: (lost, 0), lambda address: 0)) == []
    wild = tables(b"\x05\xff\x01\x01")  # a register that there is not
    assert list(unwind.walk(registers, 0x1004, 2, lambda address: (wild, 0), lambda address: 0)) == []


def program_tables(program: Path) -> tuple[int, memoryview, int, int]:
    """A program's tables, and the range of main."""
    file = elf.read(str(program))
    found, main = file.eh_frame(), file.symbols().find("main")
    assert found is not None
    assert main is not None
    return *found, *main


def test_a_compilers_tables() -> None:
    address, data, start, end = program_tables(build("fault.c"))
    known = Tables(address, data)
    first, last = known.rules(start), known.rules(end - 2)
    assert first is not None
    assert last is not None
    assert (first.register, first.offset, first.saved, first.return_column) == (2, 0, {}, 1)
    inside = [known.rules(place) for place in range(start, end, 2)]
    assert any(one is not None and one.offset > 0 and 1 in one.saved for one in inside)


def test_damage_is_an_end_and_nothing_else(rng: random.Random) -> None:
    address, whole, start, _ = program_tables(build("fault.c"))
    damaged = walked = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        known = Tables(address, memoryview(data))
        try:
            for place in range(start, start + 64, 2):
                known.rules(place)
            registers = [rng.randrange(1 << 64) for _ in range(32)]
            frames = unwind.walk(registers, start, 2, lambda _, known=known: (known, 0), lambda place: place)
            walked += len(list(frames))
        except Damaged:
            damaged += 1
    assert damaged > 0
    assert walked > 0


def test_a_debuggers_tables_say_the_same(tmp_path: Path) -> None:
    """The same program with .debug_frame alone: but for single steps of prologues and epilogues, which only
    .eh_frame of the two has to know, its rules are .eh_frame's."""
    source = Path(__file__).parents[2] / "benchmarks/workloads/json.c"
    flags = ("-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-lm")
    for guest in ("riscv64", "aarch64"):
        usual, other = (
            build(source, guest, flags=("-g", "-lm")),
            build(source, guest, flags=flags),
        )
        frames, more = elf.read(str(usual)).eh_frame(), elf.read(str(other)).debug_frame()
        assert frames is not None
        assert more is not None
        known, debug = unwind.Tables(*frames), unwind.Tables(0, more, debug=True)
        compared = differ = 0
        for name in ("parse", "print", "main"):
            ours, theirs = (elf.read(str(path)).symbols().find(name) for path in (usual, other))
            assert ours is not None
            assert theirs is not None
            assert ours[1] - ours[0] == theirs[1] - theirs[0]
            for offset in range(0, ours[1] - ours[0], 2):
                one, two = known.rules(ours[0] + offset), debug.rules(theirs[0] + offset)
                assert one is not None
                assert two is not None
                rules = tuple((each.register, each.offset, tuple(each.saved.items())) for each in (one, two))
                compared += 1
                differ += len(set(rules)) > 1
        assert compared > 200
        assert differ < compared / 10
        joined = unwind.Joined(unwind.Tables(0, memoryview(b"")), debug)
        assert set(joined.starts) == set(debug.starts)
        assert joined.rules(theirs[0]) is not None
        assert joined.rules(1 << 60) is None
