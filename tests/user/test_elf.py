"""What the ELF parser takes, and the exact code by which it refuses everything else."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from polyvm.errors import CODES, PolyvmError
from polyvm.user import elf as parser
from polyvm.user.elf import Elf, open_program, parse, parse_script, read_symbols
from tests.user.elfs import (
    ET_DYN,
    PT_GNU_STACK,
    PT_INTERP,
    PT_NOTE,
    RISCV,
    R,
    W,
    X,
    descriptor,
    elf,
    phdr,
    pie,
    static,
    with_symbols,
    write,
)

HUGE = 1 << 63


def read(data: bytes, machine: int | None = RISCV) -> Elf:
    fd = descriptor(data)
    try:
        return parse(fd, b"/the/program", machine)
    finally:
        os.close(fd)


def interp(filesz: int, offset: int = 0x600, text: bytes = b"/lib/ld.so\0") -> bytes:
    return elf([phdr(), phdr(PT_INTERP, R, offset, 0, filesz, align=1)], data={0x600: text})


MALFORMED = {
    "empty": (b"", "INVALID"),
    "one byte of magic": (b"\x7f", "TRUNCATED"),
    "magic alone": (b"\x7fELF", "TRUNCATED"),
    "half of the identification": (static()[:10], "TRUNCATED"),
    "identification alone": (static()[:16], "TRUNCATED"),
    "half of the header": (static()[:50], "TRUNCATED"),
    "header alone": (static()[:64], "TRUNCATED"),
    "half of the program headers": (static()[:100], "TRUNCATED"),
    "half of the text": (static()[:0x1000], "TRUNCATED"),
    "all but the last data byte": (static()[:0x20FF], "TRUNCATED"),
    "text": (b"hello, world\n", "INVALID"),
    "a script": (b"#!/bin/sh\n", "INVALID"),
    "wrong magic": (b"\x7fELG" + static()[4:], "INVALID"),
    "32 bits": (static(ei_class=1), "CLASS"),
    "32 bits, big-endian, and short": (static(ei_class=1, ei_data=2)[:20], "CLASS"),
    "no class": (static(ei_class=0), "INVALID"),
    "class 3": (static(ei_class=3), "INVALID"),
    "big-endian": (static(ei_data=2), "ENDIAN"),
    "no byte order": (static(ei_data=0), "INVALID"),
    "version 0": (static(ei_version=0), "INVALID"),
    "x86-64": (static(machine=62), "MACHINE"),
    "aarch64": (static(machine=183), "MACHINE"),
    "an unknown machine": (static(machine=0xFFFF), "MACHINE"),
    "an object file": (static(type=1), "INVALID"),
    "a core dump": (static(type=4), "INVALID"),
    "no type": (static(type=0), "INVALID"),
    "program headers of another size": (static(phentsize=32), "INVALID"),
    "no program headers": (static(phnum=0), "INVALID"),
    "very many program headers": (static(phnum=0xFFFF), "INVALID"),
    "more program headers than fit": (static(phnum=1000), "TRUNCATED"),
    "program headers at the end": (static(phoff=0x3000), "TRUNCATED"),
    "program headers far away": (static(phoff=HUGE), "TRUNCATED"),
    "program headers that wrap around": (static(phoff=2**64 - 56), "TRUNCATED"),
    "nothing to load": (elf([phdr(PT_NOTE)]), "INVALID"),
    "only an empty segment": (elf([phdr(filesz=0)]), "INVALID"),
    "a file part larger than memory": (elf([phdr(filesz=0x2000, memsz=0x1000)]), "INVALID"),
    "a segment behind the file": (elf([phdr(offset=0x3000)]), "TRUNCATED"),
    "a segment of 2^63 bytes": (elf([phdr(filesz=HUGE)]), "TRUNCATED"),
    "memory that wraps around": (elf([phdr(address=0x10000, memsz=2**64 - 1)]), "INVALID"),
    "a file offset that wraps around": (elf([phdr(offset=2**64 - 0x1000, filesz=0x2000)]), "INVALID"),
    "two equal segments": (elf([phdr(), phdr()]), "INVALID"),
    "overlap by a byte": (elf([phdr(memsz=0x2001), phdr(address=0x12000)]), "INVALID"),
    "overlap, in reverse order": (elf([phdr(address=0x12000), phdr(memsz=0x2001)]), "INVALID"),
    "an empty linker name": (interp(0), "INVALID"),
    "a linker name of one byte": (interp(1), "INVALID"),
    "a linker name without an end": (interp(5), "INVALID"),
    "a linker name that is a zero": (interp(2, text=b"\0\0"), "INVALID"),
    "a linker name of 1 MiB": (interp(1 << 20), "INVALID"),
    "a linker name behind the file": (interp(11, offset=0x2FFA), "TRUNCATED"),
    "a linker name far away": (interp(11, offset=2**64 - 1), "TRUNCATED"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_files_are_refused_by_name(what: str) -> None:
    data, code = MALFORMED[what]
    with pytest.raises(PolyvmError) as caught:
        read(data)
    error = caught.value
    assert error.code == f"PVM-ELF-{code}"
    assert error.exit_status == 126
    assert error.context["path"] == "/the/program"
    if data[:4] == b"\x7fELF":
        assert error.hint


def test_every_truncation_of_a_program_is_refused() -> None:
    data = pie(b"/lib/ld.so")
    for size in [*range(600), *range(600, 0x2200, 37)]:
        with pytest.raises(PolyvmError) as caught:
            read(data[:size])
        assert caught.value.code == ("PVM-ELF-TRUNCATED" if size else "PVM-ELF-INVALID")


def test_static_program() -> None:
    found = read(static())
    assert (found.machine, found.entry, found.flags) == (RISCV, 0x10100, 5)
    assert not found.position_independent
    assert found.interp is None
    assert (found.start, found.end) == (0x10000, 0x15800)
    assert (found.phdr, found.phnum, found.phent) == (0x10040, 3, 56)
    assert found.stack_flags == R | W
    assert found.align == 0x1000
    text, data = found.segments
    assert (text.flags, text.offset, text.filesz, text.memsz) == (R | X, 0, 0x1800, 0x1800)
    assert (data.address, data.end, data.align) == (0x12800, 0x15800, 0x1000)


def test_dynamic_program() -> None:
    found = read(pie(b"/lib/ld.so"))
    assert found.position_independent
    assert found.interp == b"/lib/ld.so"
    assert found.phdr == 64


def test_what_is_odd_but_allowed() -> None:
    assert read(static(machine=62), machine=None).machine == 62
    # Headers that no segment holds are nowhere in memory.
    assert read(elf([phdr(offset=0x1000)])).phdr == 0
    # Segments in any order; the first of two dynamic linkers; alignments that are no power of two are ignored.
    found = read(elf([phdr(address=0x20000, align=3), phdr(address=0x10000, align=0x10000)], type=ET_DYN))
    assert [s.address for s in found.segments] == [0x10000, 0x20000]
    assert found.align == 0x10000
    twice = elf(
        [phdr(), phdr(PT_INTERP, R, 0x600, 0, 3), phdr(PT_INTERP, R, 0x700, 0, 3)],
        data={0x600: b"/a\0", 0x700: b"/b\0"},
    )
    assert read(twice).interp == b"/a"
    assert read(interp(11, text=b"/lib\0junk\0\0")).interp == b"/lib"
    stack = elf([phdr(), phdr(PT_GNU_STACK, R | W | X, filesz=0)])
    assert read(stack).stack_flags == R | W | X
    assert read(elf([phdr()])).stack_flags == R | W
    # Zeros up to the very end of all addresses are a matter for the loader.
    assert read(elf([phdr(address=2**64 - 0x1000)])).end == 2**64


def test_a_huge_file_costs_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, static())
    os.truncate(path, 1 << 40)
    fd = os.open(path, os.O_RDONLY)
    assert parse(fd, bytes(path)).phnum == 3
    os.close(fd)


# ---------------------------------------------------------------------------- the file itself
def test_files_that_cannot_be_run(tmp_path: Path) -> None:
    program = write(tmp_path, static())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o777)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused = {
        tmp_path / "nothing": ("PVM-FILE-MISSING", 127),
        program / "below": ("PVM-FILE-MISSING", 127),
        "with\0zero": ("PVM-FILE-MISSING", 127),
        tmp_path: ("PVM-FILE-DIRECTORY", 126),
        fifo: ("PVM-FILE-DENIED", 126),
        "/dev/null": ("PVM-FILE-DENIED", 126),
        write(tmp_path, static(), "plain", 0o644): ("PVM-FILE-DENIED", 126),
        loop: ("PVM-FILE-IO", 126),
    }
    for path, (code, status) in refused.items():
        with pytest.raises(PolyvmError) as caught:
            open_program(os.fspath(path))
        assert (caught.value.code, caught.value.exit_status) == (code, status)
        assert caught.value.context["path"] == os.fspath(path)
    os.close(open_program(bytes(program)))


def test_no_descriptor_is_lost(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for path in (tmp_path, write(tmp_path, static(), mode=0o644)):
        with pytest.raises(PolyvmError):
            open_program(str(path))
    assert os.listdir("/proc/self/fd") == before


def test_a_host_that_cannot_read_is_an_error_of_the_family() -> None:
    reading, writing = os.pipe()
    with pytest.raises(PolyvmError) as caught:
        parse(reading, b"pipe")
    assert caught.value.code == "PVM-FILE-IO"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#!/bin/sh\n", (b"/bin/sh", None)),
        (b"#! /bin/sh\necho", (b"/bin/sh", None)),
        (b"#! \t /bin/sh -e\n", (b"/bin/sh", b"-e")),
        (b"#!/usr/bin/env python3 -u \t\n", (b"/usr/bin/env", b"python3 -u")),
        (b"#!/bin/sh", (b"/bin/sh", None)),
        (b"#!/bin/sh\0-x\n", (b"/bin/sh", None)),
        (b"#!/bin/sh -x\0y\n", (b"/bin/sh", b"-x")),
        (b"#!\n", None),
        (b"#!   \n/bin/sh", None),
        (b"#!", None),
        (b"\x7fELF", None),
        (b"", None),
        (b"#!/" + b"x" * 300 + b"\n", None),
        (b"#!/bin/sh " + b"x" * 300 + b"\n", (b"/bin/sh", b"x" * 246)),
        (b"#!/" + b"x" * 252 + b"\n", (b"/" + b"x" * 252, None)),
    ],
)
def test_scripts(head: bytes, expected: tuple[bytes, bytes | None] | None) -> None:
    assert parse_script(head) == expected


def test_machines_have_names() -> None:
    assert parser.machine_name(243) == "riscv64"
    assert parser.machine_name(9999) == "number 9999"
    with pytest.raises(PolyvmError, match="for x86_64, and not for riscv64"):
        read(static(machine=62))


def test_every_code_is_known() -> None:
    for code in ("TRUNCATED", "INVALID", "CLASS", "ENDIAN", "MACHINE", "INTERP"):
        assert CODES[f"PVM-ELF-{code}"].exit_status == 126


# ---------------------------------------------------------------------------- symbols
def symbols(data: bytes) -> list[tuple[int, int, str]]:
    fd = descriptor(data)
    try:
        return read_symbols(fd)
    finally:
        os.close(fd)


def test_symbols_in_order() -> None:
    data = with_symbols(
        [
            ("main", 0x12, 1, 0x10200, 64),
            ("_start", 0x10, 1, 0x10100, 0),
            ("table", 0x11, 2, 0x12800, 8),
            ("$x", 0x10, 1, 0x10100, 0),  # a mapping symbol
            ("file.c", 0x04, 0xFFF1, 0, 0),
            ("elsewhere", 0x12, 0, 0, 0),
            ("", 0x12, 1, 0x10300, 0),
        ]
    )
    assert symbols(data) == [(0x10100, 0, "_start"), (0x10200, 64, "main"), (0x12800, 8, "table")]
    assert symbols(static()) == []


def test_damaged_symbol_tables_are_no_symbols() -> None:
    good = with_symbols([("main", 0x12, 1, 0x10200, 64)])
    (sections,) = struct.unpack_from("<Q", good, 0x28)
    assert symbols(good[:40]) == []
    assert symbols(good[:-64]) == []
    for place, width, value in [
        (0x28, "Q", HUGE),
        (0x3A, "H", 40),
        (0x3C, "H", 0xFFFF),
        (sections + 64 + 24, "Q", HUGE),  # where the table is
        (sections + 64 + 32, "Q", HUGE),  # how long it is
        (sections + 64 + 40, "I", 99),  # where its names are
        (sections + 128 + 24, "Q", HUGE),
        (sections + 128 + 32, "Q", 1 << 40),
    ]:
        bad = bytearray(good)
        struct.pack_into("<" + width, bad, place, value)
        assert symbols(bytes(bad)) == []
    bad = bytearray(good)
    struct.pack_into("<I", bad, sections - 6 - 24, 1 << 30)  # the name's place
    assert symbols(bytes(bad)) == []
