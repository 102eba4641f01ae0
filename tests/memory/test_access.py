"""Reading and writing guest memory: right bytes, the exact faulting address, and a host that survives everything."""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.access import GuestBytes
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace, GuestFault

PAGE = 4096
RW, RX = READ | WRITE, READ | EXEC
WILD = [-1, -PAGE, 1 << 34, 1 << 38, 1 << 46, 1 << 47, 1 << 63, (1 << 64) - 1, 0, 0xFFF, 0x14000]


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=34)
    made.map(0x10000, PAGE, RW)
    made.map(0x11000, PAGE, READ)
    made.map(0x12000, PAGE, EXEC)
    made.map(0x13000, PAGE, 0)
    yield made
    made.close()


def fault(call: object, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(GuestFault) as caught:
        call(*arguments)
    assert caught.value.code == "PVM-MEMORY-FAULT"
    return caught.value.address, caught.value.kind, caught.value.reason


@pytest.mark.parametrize("address", WILD)
def test_wild_addresses_fault(space: AddressSpace, address: int) -> None:
    own = host.peek(space.base + 0x10000, 16)
    for size in (1, 8, 1 << 20, 1 << 62):
        assert fault(space.read, address, size) == (address, "read", "unmapped")
    assert fault(space.write, address, b"12345678") == (address, "write", "unmapped")
    assert fault(space.fetch, address, 4) == (address, "fetch", "unmapped")
    assert fault(space.read_cstr, address) == (address, "read", "unmapped")
    assert fault(space.host_address, address, 1) == (address, "read", "unmapped")
    assert host.peek(space.base + 0x10000, 16) == own


def test_the_host_s_own_memory_is_out_of_reach(space: AddressSpace) -> None:
    data = b"a Python object"
    inside = id(data) - space.base
    fault(space.read, inside, 8)
    fault(space.write, inside, b"x")
    fault(space.read, inside & (1 << 64) - 1, 8)


def test_the_first_bad_byte_is_named(space: AddressSpace) -> None:
    assert fault(space.read, 0x11FF8, 16) == (0x12000, "read", "protected")
    assert fault(space.write, 0x10FF8, bytes(16)) == (0x11000, "write", "protected")
    assert fault(space.read, 0x13000, 1) == (0x13000, "read", "protected")
    space.unmap(0x11000, PAGE)
    assert fault(space.read, 0x10FFF, 2) == (0x11000, "read", "unmapped")
    assert fault(space.write, 0x10FFF, b"ab") == (0x11000, "write", "unmapped")
    assert space.read(0x10FFF, 1) == b"\0"  # nothing was written


def test_accesses_across_regions(space: AddressSpace) -> None:
    space.protect(0x11000, PAGE, RW)
    space.protect(0x12000, 2 * PAGE, RW | EXEC)
    data = bytes(i * 7 & 0xFF for i in range(2 * PAGE + 100))
    space.write(0x10FC0, bytearray(data))
    assert space.read(0x10FC0, len(data)) == data
    space.write(0x10FC0, memoryview(data)[1:])
    assert space.read(0x10FC0, len(data) - 1) == data[1:]


def test_numbers_of_every_width(space: AddressSpace) -> None:
    value = 0xFEDCBA9876543210
    for bits in (8, 16, 32, 64):
        getattr(space, f"write_u{bits}")(0x10000, value)
        assert getattr(space, f"read_u{bits}")(0x10000) == value & ((1 << bits) - 1)
        assert space.read(0x10000, bits // 8) == (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
        getattr(space, f"write_u{bits}")(0x10000, -1)
        assert getattr(space, f"read_u{bits}")(0x10000) == (1 << bits) - 1


def test_strings(space: AddressSpace) -> None:
    space.write(0x10000, b"hello\0there\0")
    assert space.read_cstr(0x10000) == b"hello"
    assert space.read_cstr(0x10006) == b"there"
    assert space.read_cstr(0x10005) == b""
    assert space.read_cstr(0x10000, 3) == b"hel"
    assert space.read_cstr(0x10000, 0) == b""
    space.write(0x10FFC, b"last")
    assert space.read_cstr(0x10FFC) == b"last"  # the next page begins with a zero
    space.protect(0x11000, PAGE, 0)
    assert fault(space.read_cstr, 0x10FFC) == (0x11000, "read", "protected")
    assert space.read_cstr(0x10FFC, 4) == b"last"
    space.protect(0x11000, PAGE, RW)
    space.write(0x10FF0, b"x" * 2000 + b"\0")
    assert space.read_cstr(0x10FF0) == b"x" * 2000


def test_nothing_is_always_allowed(space: AddressSpace) -> None:
    assert space.read(0x500000, 0) == b""
    space.write(0x500000, b"")


def test_writable_is_readable_and_executable_is_not(space: AddressSpace) -> None:
    space.protect(0x10000, PAGE, WRITE)
    space.write(0x10000, b"abc")
    assert space.read(0x10000, 3) == b"abc"
    assert fault(space.read, 0x12000, 4) == (0x12000, "read", "protected")
    assert fault(space.fetch, 0x10000, 4) == (0x10000, "fetch", "protected")


def test_fetch_stops_where_code_stops(space: AddressSpace) -> None:
    space.protect(0x10000, 3 * PAGE, RW | EXEC)
    space.write(0x10000, b"\x13\x05\x00\x00" * 1024)
    assert space.fetch(0x10FFE, 4) == b"\x00\x00\x00\x00"
    space.protect(0x11000, PAGE, RW)
    assert space.fetch(0x10FFE, 4) == b"\x00\x00"
    space.unmap(0x11000, PAGE)
    assert space.fetch(0x10FFC, 16) == b"\x13\x05\x00\x00"
    space.protect(0x10000, PAGE, READ)
    fault(space.fetch, 0x10FFC, 16)


def test_host_addresses_are_checked(space: AddressSpace) -> None:
    assert space.host_address(0x10000, 2 * PAGE) == space.base + 0x10000
    assert space.host_address(0x10000, PAGE, WRITE) == space.base + 0x10000
    assert fault(space.host_address, 0x10000, 2 * PAGE, WRITE) == (0x11000, "write", "protected")


def test_pokes_pass_protections_but_not_holes(space: AddressSpace) -> None:
    space.poke(0x10FFE, b"over three pages".ljust(PAGE * 2, b"."))
    assert space.read(0x10FFE, 16) == b"over three pages"
    assert [r.prot for r in space] == [RW, READ, EXEC, 0]
    assert space.fetch(0x12000, 4) == b"...."
    with pytest.raises(GuestFault) as error:
        space.poke(0x13FFF, b"xx")
    assert error.value.address == 0x14000


# ---------------------------------------------------------------------------- files that change behind us
@pytest.mark.parametrize("shared", [False, True])
def test_a_file_truncated_behind_its_mapping_kills_nobody(
    space: AddressSpace, tmp_path: Path, shared: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4 * PAGE)
    fd = os.open(path, os.O_RDWR)
    at = space.map(0x20000, 4 * PAGE, RW, fd=fd, shared=shared)
    assert space.read(at, 4 * PAGE) == b"x" * 4 * PAGE
    os.ftruncate(fd, PAGE)
    os.close(fd)
    assert fault(space.read, at + 2 * PAGE, 8) == (at + 2 * PAGE, "read", "beyond the file's end")
    assert fault(space.read, at, 4 * PAGE)[1:] == ("read", "beyond the file's end")
    assert fault(space.write, at + PAGE, b"y")[1:] == ("write", "beyond the file's end")
    assert fault(space.poke, at + PAGE, b"y")[1:] == ("write", "beyond the file's end")
    assert fault(space.read_cstr, at)[1:] == ("read", "beyond the file's end")
    space.write(at, b"y")
    assert space.read(at, 2) == b"yx"


def test_the_safe_copy_can_be_replaced(space: AddressSpace, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(PAGE))
    with (tmp_path / "file").open("rb") as file:
        space.map(0x20000, PAGE, RW, fd=file.fileno())
    space.safe_read = lambda address, size: b"!" * size
    written = []
    space.safe_write = lambda address, data: written.append((address - space.base, data)) or len(data)
    assert space.read(0x20000, 3) == b"!!!"
    assert space.read(0x10000, 3) == bytes(3)
    space.write(0x20010, b"abc")
    assert written == [(0x20010, b"abc")]


def test_readers_and_a_thread_that_unmaps(space: AddressSpace) -> None:
    """Check and copy are one step for other threads of Python."""
    done = []

    def toggle() -> None:
        while not done:
            space.unmap(0x20000, PAGE)
            space.map(0x20000, PAGE, RW)

    space.map(0x20000, PAGE, RW)
    _thread.start_new_thread(toggle, ())
    outcomes = set()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            outcomes.add(space.read(0x20000, 8))
            space.write(0x20000, bytes(8))
        except GuestFault as error:
            outcomes.add(error.reason)
    done.append(True)
    assert outcomes <= {bytes(8), "unmapped"}


def test_without_mappings_that_grow_there_is_nothing_to_grow() -> None:
    assert not GuestBytes(memoryview(b"")).grow(0)


def test_errors_are_the_family_s(space: AddressSpace) -> None:
    with pytest.raises(PolyvmError) as error:
        space.read(0x500000, 1)
    assert error.value.to_json()["context"]["address"] == "0x500000"
