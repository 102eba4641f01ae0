"""ELF files for a reader: symbols are those of the source, and damage is an error with a code, never another one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from polyvm.debug import elf
from polyvm.errors import PolyvmError
from tests.toolchain import build


def test_symbols_are_those_of_the_source() -> None:
    file = elf.read(str(build("fault.c")))
    symbols = file.symbols()
    assert file.machine == "riscv64"
    assert symbols.at(file.entry) == ("_start", 0)
    found = symbols.find("main")
    assert found is not None
    start, end = found
    assert symbols.text(start) == "main"
    assert symbols.text(start + 4) == "main+0x4"
    assert symbols.text(end - 2) == f"main+{end - 2 - start:#x}"
    assert symbols.at(end) != ("main", end - start)
    assert symbols.find("no such name") is None
    assert symbols.text(0) is None
    assert len(symbols) == len(list(symbols))
    assert [address for address, _ in symbols] == sorted(address for address, _ in symbols)


def test_code_is_what_can_be_executed() -> None:
    file = elf.read(str(build("fault.c")))
    pieces = file.code()
    assert ".text" in [name for name, _, _ in pieces]
    assert any(address <= file.entry < address + len(data) for _, address, data in pieces)
    tables = file.eh_frame()
    assert tables is None or len(tables[1]) > 0


def test_without_sections_code_comes_from_segments() -> None:
    data = bytearray(build("fault.c").read_bytes())
    data[40:48] = bytes(8)  # e_shoff
    data[60:62] = bytes(2)  # e_shnum
    file = elf.Elf(bytes(data))
    assert [name for name, _, _ in file.code()] == ["segment"]
    assert len(file.symbols()) == 0
    assert file.eh_frame() is None


def test_a_symbol_without_a_size_ends_at_the_next() -> None:
    symbols = elf.Symbols([(16, 0, "b"), (32, 4, "c"), (0, 4, "__a"), (0, 0, "a"), (0, 4, "a2")])
    assert symbols.find("b") == (16, 32)
    assert symbols.text(20) == "b+0x4"
    assert symbols.text(36) is None
    assert symbols.text(0) == "a2"


def test_another_machine_has_a_number() -> None:
    data = bytearray(build("fault.c").read_bytes())
    data[18] = 40
    assert elf.Elf(bytes(data)).machine == "machine 40"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "PVM-ELF-INVALID"),
        (b"#!/bin/sh\n", "PVM-ELF-INVALID"),
        (b"\x7fELF\x02\x01", "PVM-ELF-TRUNCATED"),
        (b"\x7fELF\x01\x01" + bytes(58), "PVM-ELF-CLASS"),
        (b"\x7fELF\x02\x02" + bytes(58), "PVM-ELF-ENDIAN"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(PolyvmError) as refused:
        elf.Elf(data)
    assert refused.value.code == code


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none", "PVM-FILE-MISSING"), (tmp_path, "PVM-FILE-DIRECTORY")):
        with pytest.raises(PolyvmError) as refused:
            elf.read(str(path))
        assert refused.value.code == code


def test_damage_is_refused_or_read(rng: random.Random) -> None:
    whole = build("fault.c").read_bytes()
    outcomes = dict.fromkeys(("read", "PVM-ELF-TRUNCATED", "PVM-ELF-INVALID", "PVM-ELF-CLASS"), 0)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            table = rng.choice((range(4, 64), range(64, 64 + 56 * 6), range(len(data) - 64 * 20, len(data))))
            data[rng.choice(table)] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            file = elf.Elf(bytes(data))
            file.symbols().text(file.entry)
            file.code()
            outcomes["read"] += 1
        except PolyvmError as error:
            outcomes[error.code] = outcomes.get(error.code, 0) + 1
    assert outcomes["read"] > 10
    assert outcomes["PVM-ELF-TRUNCATED"] > 10
