"""The judge's copy of a guest's memory: it follows the table and what others wrote, and checks every access itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyvm.engine import layout
from polyvm.engine.mirror import Mirror, MirrorFault
from polyvm.memory.regions import SHARED
from polyvm.memory.space import EXEC, MAP_FIXED, READ, WRITE, AddressSpace

PAGE = 4096
RW = READ | WRITE
START = 0x10000


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    """Two pages that can be written, one that can only be read, code, one that nobody may access, and nothing."""
    made = AddressSpace(bits=34)
    made.map(START, 2 * PAGE, RW)
    made.map(START + 2 * PAGE, PAGE, READ)
    made.map(START + 3 * PAGE, PAGE, EXEC)
    made.map(START + 4 * PAGE, PAGE, 0)
    yield made
    made.close()


@pytest.fixture
def mirror(space: AddressSpace) -> Iterator[Mirror]:
    made = Mirror(space)
    made.follow()
    yield made
    made.close()


def fault(call: object, *arguments: object) -> tuple[int, int]:
    with pytest.raises(MirrorFault) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.address, caught.value.access


def resident_pages() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_it_takes_over_what_was_written(space: AddressSpace, mirror: Mirror) -> None:
    space.write(START + PAGE - 2, b"1234")
    assert mirror.load(START + PAGE - 2, 4) == 0
    assert sorted(mirror.differences()) == [START + PAGE - 2 + i for i in range(4)]
    assert not mirror.follow()
    assert mirror.load(START + PAGE - 2, 4) == int.from_bytes(b"1234", "little")
    assert list(mirror.differences()) == []


def test_what_it_stores_stays_its_own(space: AddressSpace, mirror: Mirror) -> None:
    mirror.store(START + 62, 4, 0x04030201)
    assert space.read(START + 62, 4) == bytes(4)
    assert sorted(mirror.written) == [START >> 6, (START >> 6) + 1]
    assert list(mirror.written_differences()) == [START + 62 + i for i in range(4)]
    space.write(START + 62, b"\1\2\3\4")
    assert list(mirror.written_differences()) == []
    # Where it stored nothing it does not look, until it is asked for everything.
    space.write(START + 128, b"x")
    assert list(mirror.written_differences()) == []
    assert list(mirror.differences()) == [START + 128]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_accesses_are_checked(mirror: Mirror, size: int) -> None:
    names = mirror.environment()
    load, store = names[f"load{size}"], names[f"store{size}"]
    for address in (START, START + 8, START + PAGE - 1, START + 3):  # aligned and not, across pages
        value = 0x8877_6655_4433_2211 & ((1 << 8 * size) - 1)
        store(address, value)
        assert load(address) == value == mirror.load(address, size)
    locked, hidden = START + 2 * PAGE, START + 4 * PAGE
    assert load(locked) == 0
    assert fault(store, locked, 1) == (locked, layout.WRITE)
    assert fault(load, hidden) == (hidden, layout.READ)
    assert fault(load, START - size) == (START - size, layout.READ)
    for wild in (mirror.limit, 1 << 46, 1 << 63, (1 << 64) - size):
        assert fault(load, wild) == (wild, layout.READ)
        assert fault(store, wild, 0) == (wild, layout.WRITE)
    if size > 1:
        # The address of a fault is that of the first byte that may not be accessed.
        assert fault(store, locked - 1, 0) == (locked, layout.WRITE)
        assert fault(load, START - 1) == (START - 1, layout.READ)
        assert fault(names["probe"], locked - 1, size, True) == (locked, layout.WRITE)
    names["probe"](locked, size, False)


def test_a_store_that_faults_writes_nothing(mirror: Mirror) -> None:
    assert fault(mirror.store, START + 2 * PAGE - 4, 8, (1 << 64) - 1) == (START + 2 * PAGE, layout.WRITE)
    assert mirror.load(START + 2 * PAGE - 4, 4) == 0
    assert mirror.written == set()


def test_code_is_fetched_as_far_as_it_may_be_executed(space: AddressSpace, mirror: Mirror) -> None:
    code = START + 3 * PAGE
    space.protect(code, PAGE, RW)
    space.write(code + PAGE - 4, b"\x13\0\0\0")
    assert mirror.fetch(code + PAGE - 4, 4) == bytes(4)
    space.protect(code, PAGE, EXEC)
    assert mirror.follow()
    assert mirror.fetch(code + PAGE - 4, 4) == b"\x13\0\0\0"
    assert mirror.fetch(code + PAGE - 2, 4) == bytes(2)
    assert mirror.fetch(START, 4) == b""
    assert mirror.fetch(mirror.limit - 2, 4) == b""


def test_the_table_is_followed(space: AddressSpace, mirror: Mirror) -> None:
    mirror.store(START, 8, 77)
    space.unmap(START, PAGE)
    assert not mirror.follow()
    assert fault(mirror.load, START, 8) == (START, layout.READ)
    space.map(START, PAGE, READ)
    mirror.follow()
    assert mirror.load(START, 8) == 0  # not what was there before
    assert fault(mirror.store, START, 8, 1) == (START, layout.WRITE)
    space.map(START + 16 * PAGE, PAGE, READ | EXEC)
    assert mirror.follow()
    space.unmap(START + 16 * PAGE, PAGE)
    assert mirror.follow()


def test_memory_that_becomes_accessible_again_is_what_it_was(space: AddressSpace, mirror: Mirror) -> None:
    space.write(START, b"kept")
    space.protect(START, PAGE, 0)
    mirror.follow()
    assert fault(mirror.load, START, 4) == (START, layout.READ)
    space.protect(START, PAGE, READ)
    mirror.follow()
    assert mirror.load(START, 4) == int.from_bytes(b"kept", "little")


def test_files(space: AddressSpace, mirror: Mirror, tmp_path: Path) -> None:
    """Shared ones change behind its back, and what lies past the end of one may not be accessed."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 2 * PAGE)
    at = START + 32 * PAGE
    with path.open("r+b") as file:
        space.map(at, 2 * PAGE, RW, flags=MAP_FIXED, fd=file.fileno(), shared=True)
    assert next(region for region in space if region.start == at).flags & SHARED
    mirror.follow()
    assert mirror.load(at + PAGE, 1) == ord("a")
    path.write_bytes(b"b" * 2 * PAGE)
    assert next(iter(mirror.differences())) == at
    mirror.follow()
    assert mirror.load(at + PAGE, 1) == ord("b")
    os.truncate(path, PAGE)
    mirror.follow()
    assert mirror.load(at + PAGE - 1, 1) == ord("b")
    assert fault(mirror.load, at + PAGE - 1, 2) == (at + PAGE, layout.READ)
    assert fault(mirror.store, at + PAGE, 1, 0) == (at + PAGE, layout.WRITE)
    assert list(mirror.differences()) == []
    path.write_bytes(b"c" * 2 * PAGE)
    mirror.follow()
    assert mirror.load(at + PAGE, 1) == ord("c")


def test_code_in_a_file_that_was_cut(space: AddressSpace, mirror: Mirror, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 5 * PAGE)
    at = START + 32 * PAGE
    with path.open("rb") as file:
        space.map(at, 5 * PAGE, READ | EXEC, flags=MAP_FIXED, fd=file.fileno())
    assert mirror.follow()
    assert mirror.fetch(at + 3 * PAGE - 2, 4) == b"aaaa"
    os.truncate(path, 2 * PAGE + 1)
    assert mirror.follow()
    assert not mirror.follow()
    assert mirror.fetch(at + 3 * PAGE - 2, 4) == bytes(2)
    assert mirror.fetch(at + 4 * PAGE, 4) == b""


def test_code_in_a_file_that_cannot_be_read(space: AddressSpace, mirror: Mirror, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x13\x05\x10\x00" * (PAGE // 4))
    at = START + 32 * PAGE
    with path.open("rb") as file:
        space.map(at, 2 * PAGE, EXEC, flags=MAP_FIXED, fd=file.fileno())
    mirror.follow()
    assert mirror.fetch(at + 4, 4) == b"\x13\x05\x10\x00"
    assert mirror.fetch(at + PAGE - 2, 4) == b"\x10\x00"
    assert fault(mirror.load, at, 4) == (at, layout.READ)
    assert list(mirror.differences()) == []


def test_memory_that_nobody_used_is_not_read(space: AddressSpace, mirror: Mirror) -> None:
    """A guest may map all that there is; following it takes neither time nor memory for what it never touched."""
    size = 1 << 31
    space.map(1 << 32, size, RW)
    before = resident_pages()
    mirror.follow()
    assert list(mirror.differences()) == []
    space.write((1 << 32) + size // 2, b"x")
    assert list(mirror.differences()) == [(1 << 32) + size // 2]
    assert (resident_pages() - before) * PAGE < size // 16


def test_a_forked_process_follows_its_own_memory(space: AddressSpace, mirror: Mirror) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            space.write(START, b"child")
            mirror.follow()
            os.write(write, mirror.view[START : START + 5].tobytes())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 5) == b"child"
    os.close(read)
    os.close(write)
    assert mirror.load(START, 1) == 0
