"""A bound image: entry points, copies that stop at a fault instead of dying, and the table of compiled code."""

from __future__ import annotations

import _thread
import os
import threading
from collections.abc import Iterator

import pytest

from polyvm.engine import fault, image, layout, native
from polyvm.engine.cpu import Cpu
from polyvm.errors import PolyvmError
from polyvm.memory import host
from tests.engine import toy


@pytest.fixture(autouse=True)
def loaded() -> None:
    """Whichever test comes first in its process: signals can be taken."""
    toy.toy()


@pytest.fixture
def space() -> Iterator[toy.Space]:
    made = toy.Space()
    yield made
    made.close()


@pytest.fixture
def cpu(space: toy.Space) -> Iterator[Cpu]:
    made = toy.make_cpu(space)
    yield made
    made.close()


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def test_entering_and_leaving(cpu: Cpu, space: toy.Space) -> None:
    space.open(0x1000)
    host.poke(space.base + 0x1008, (0x1122334455667788).to_bytes(8, "little"))
    cpu.x[0], cpu.pc = 0x1008, 0x100
    assert toy.toy().enter(cpu.st) == layout.GOLDEN
    assert cpu.x[1] == 0x1122334455667788
    assert cpu.pc == 0x100


def test_copies_go_as_far_as_they_can(space: toy.Space) -> None:
    fault.install()
    n = toy.toy()
    space.open(0x1000)
    host.poke(space.base + 0x1000, bytes(range(256)) * 16)
    base = space.base
    for size in (0, 1, 7, 64, 1000, 4096):
        assert n.copy(base + 0x1000, base + 0x1000, size) == 0
    # Reading past the end, writing past the end, and a start that is wrong already.
    room = host.mmap(0, 8192, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    assert n.copy(room, base + 0x1FF0, 100) == 84
    assert host.peek(room, 17) == bytes(range(240, 256)) + b"\0"
    assert n.copy(base + 0x1FF0, room, 100) == 84
    assert n.copy(room, base + 0x3000, 5) == 5
    assert n.copy(base + 0x3000, room, 5) == 5
    host.munmap(room, 8192)


def test_a_file_that_was_cut_under_its_mapping(space: toy.Space) -> None:
    fault.install()
    fd = os.memfd_create("cut")
    os.truncate(fd, 8192)
    at = host.mmap(0, 8192, 3, host.MAP_SHARED, fd)
    os.truncate(fd, 4096)
    space.open(0x1000)
    assert toy.toy().copy(space.base + 0x1000, at + 4096 - 8, 64) == 56
    assert signed(toy.toy().strnlen(at + 4096, 10)) == -1
    os.close(fd)
    host.munmap(at, 8192)


def test_scanning_for_the_end_of_a_string(space: toy.Space) -> None:
    fault.install()
    n = toy.toy()
    space.open(0x1000)
    host.poke(space.base + 0x1000, b"hello\0" + b"x" * 4090)
    assert n.strnlen(space.base + 0x1000, 100) == 5
    assert n.strnlen(space.base + 0x1000, 3) == 3
    assert n.strnlen(space.base + 0x1000, 0) == 0
    assert signed(n.strnlen(space.base + 0x1FF0, 100)) == ~16
    assert signed(n.strnlen(space.base + 0x9000, 100)) == ~0


def test_atomic_words(space: toy.Space) -> None:
    fault.install()
    n = toy.toy()
    space.open(0x1000)
    at = space.base + 0x1000
    assert n.swap32(at, 0xFFFFFFFF) == 0
    assert n.load32(at) == 0xFFFFFFFF
    assert n.cas32(at, 5, 6) == 0xFFFFFFFF
    assert n.cas32(at, 0xFFFFFFFF, 6) == 0xFFFFFFFF
    assert n.cas32(at, 6, 7) == 6
    assert n.load32(at) == 7
    bad = space.base + 0x9000
    assert [signed(v) for v in (n.load32(bad), n.swap32(bad, 1), n.cas32(bad, 0, 1))] == [-1, -1, -1]


def test_windows_work_in_any_thread_with_or_without_a_guest(space: toy.Space) -> None:
    fault.install()
    results: list[int] = []

    def work() -> None:
        results.extend(toy.toy().copy(space.base + 0x9000, space.base, 9) for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [9] * 200


def test_several_images_share_one_handler(space: toy.Space) -> None:
    toy.toy()
    other = native.load(toy.toy_image())
    assert other.process != toy.toy().process
    assert other.copy(space.base + 0x9000, space.base, 9) == 9
    cpu = toy.make_cpu(space)
    theirs = Cpu(other, space, cpu.places)
    for c in (cpu, theirs):
        c.x[0], c.pc = 0x7000, 0x40
        assert c.run() == layout.FAULT
        assert (c.pc, c.value) == (0x40, 0x7000)
        c.stop()
        assert c.run() == layout.STOP
        c.close()


def test_an_image_without_room_for_the_process_block_is_refused() -> None:
    loaded = image.load(toy.toy_image())
    with pytest.raises(PolyvmError, match="process block"):
        native.Native(loaded)
    loaded.unload()


def test_ranges_that_overlap_are_refused() -> None:
    n = toy.toy()
    before = list(n.ranges)
    for start, size in ((0x1000, 0), (0x1000, 0x2000)):
        with pytest.raises(PolyvmError, match="overlap"):
            n.add_ranges([native.Range(start, size), native.Range(0x2000, 0x1000)])
    assert n.ranges == before


def test_ranges_come_and_go_while_units_fault(cpu: Cpu, space: toy.Space) -> None:
    n = toy.toy()
    space.open(0x1000)
    toy.enter_unit(cpu, 3)
    cpu.x[0] = 0x5000
    busy = [True]
    rounds = [0]
    over = _thread.allocate_lock()
    over.acquire()

    def change() -> None:
        while busy[0]:
            extra = [native.Range(0x10000 * i, 0x1000, shadow=0x2000) for i in range(1, 40)]
            n.add_ranges(extra)
            n.remove_ranges(extra)
            rounds[0] += 1
        over.release()

    _thread.start_new_thread(change, ())
    for turn in range(2000):
        assert cpu.run() == layout.FAULT
        assert (cpu.pc, cpu.value, cpu.access) == (0x3000, 0x5000, layout.READ)
        if turn % 50 == 0:
            cpu.x[0] = 0x5000
    busy[0] = False
    over.acquire()
    n.add_ranges([])
    assert not n.retired
    assert rounds[0]
