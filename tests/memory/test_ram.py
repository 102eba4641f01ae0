"""Guest RAM: bytes, dirty pages of ours, discarding, huge pages, and files that are mapped privately."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.ram import HUGE_PAGE, Ram
from tests.accel.machines import descriptors

PAGE = host.PAGE_SIZE


def test_bytes() -> None:
    ram = Ram(4 * PAGE)
    assert ram.read(0, 4) == bytes(4)
    ram.write(PAGE - 1, b"ab")
    assert ram.read(PAGE - 1, 2) == b"ab"
    assert bytes(ram.view[PAGE - 1 : PAGE + 1]) == b"ab"
    assert os.pread(ram.fd, 2, PAGE - 1) == b"ab"
    for offset, size in ((-1, 1), (0, 4 * PAGE + 1), (4 * PAGE, 1)):
        with pytest.raises(PolyvmError, match="no such part"):
            ram.read(offset, size)
    ram.close()
    ram.close()


@pytest.mark.parametrize("size", [0, -PAGE, PAGE + 1])
def test_whole_pages_only(size: int) -> None:
    with pytest.raises(PolyvmError) as caught:
        Ram(size)
    assert caught.value.code == "PVM-MEMORY-MAP"


def test_more_than_the_host_has() -> None:
    before = descriptors()
    with pytest.raises(PolyvmError) as caught:
        Ram(1 << 62)
    assert caught.value.code == "PVM-RESOURCE"
    assert descriptors() == before


def test_only_what_is_touched_takes_memory() -> None:
    ram = Ram(64 << 20)
    assert ram.resident() == 0
    ram.write(1 << 20, b"x")
    assert 0 < ram.resident() <= 2 << 20
    ram.discard(0, 64 << 20)
    assert ram.resident() == 0
    assert ram.read(1 << 20, 1) == b"\0"
    with pytest.raises(PolyvmError, match="whole pages"):
        ram.discard(1, PAGE)


def test_dirty_pages_of_ours() -> None:
    ram = Ram(20 * PAGE)
    ram.write(0, b"x")
    assert ram.take_dirty(0, ram.size) == 0, "nobody asked"
    ram.track()
    ram.track()
    ram.write(9 * PAGE - 1, b"xy")
    ram.mark(19 * PAGE, 1)
    ram.mark(3 * PAGE, 0)
    assert ram.take_dirty(9 * PAGE, PAGE) == 1
    assert ram.take_dirty(0, ram.size) == 1 << 8 | 1 << 19
    assert ram.take_dirty(0, ram.size) == 0


def test_huge_pages_where_granted() -> None:
    ram = Ram(2 * HUGE_PAGE, huge=True)
    ram.write(HUGE_PAGE - 1, b"ab")
    assert ram.read(HUGE_PAGE - 1, 2) == b"ab"
    assert isinstance(ram.huge, bool)
    assert not Ram(PAGE, huge=True).huge


def test_a_file_is_mapped_privately(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_bytes(b"saved" + bytes(2 * PAGE))
    with path.open("rb") as file:
        ram = Ram(2 * PAGE, file=file.fileno())
        with pytest.raises(PolyvmError, match="shorter"):
            Ram(4 * PAGE, file=file.fileno())
    assert ram.read(0, 5) == b"saved"
    ram.write(0, b"other")
    assert path.read_bytes()[:5] == b"saved"
    with pytest.raises(PolyvmError, match="private copy"):
        ram.discard(0, PAGE)


def test_what_is_forgotten_is_given_back() -> None:
    gc.collect()
    before = descriptors()
    ram = Ram(PAGE)
    del ram
    gc.collect()
    assert descriptors() == before
