"""Linux's rules for mapping, one by one: what is refused by which errno, and what becomes of code."""

from __future__ import annotations

import errno
import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory import host, reservation
from polyvm.memory.space import (
    EXEC,
    LOWEST,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_NORESERVE,
    MAP_POPULATE,
    READ,
    STACK_GAP,
    WRITE,
    AddressSpace,
    GuestFault,
    MapError,
)

PAGE = 4096
RW, RX, RWX = READ | WRITE, READ | EXEC, READ | WRITE | EXEC


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=34)
    yield made
    made.close()


def refused(number: int, call: Callable[[], object]) -> MapError:
    with pytest.raises(MapError) as caught:
        call()
    assert caught.value.errno == number, caught.value
    assert caught.value.code == "PVM-MEMORY-MAP"
    return caught.value


def decode(space: AddressSpace, address: int) -> None:
    """Pretend that an instruction was decoded."""
    host.fill(space.slots + address * 8, 0xAB, 16)


def decoded(space: AddressSpace, address: int) -> bool:
    return host.peek(space.slots + address * 8, 16) != bytes(16)


# ---------------------------------------------------------------------------- map
def test_default_is_exactly_there_or_not_at_all(space: AddressSpace) -> None:
    assert space.map(0x10000, 10, RW) == 0x10000
    assert [(r.start, r.end) for r in space] == [(0x10000, 0x11000)]
    refused(errno.EEXIST, lambda: space.map(0x10000, PAGE, RW))
    refused(errno.EEXIST, lambda: space.map(0xF000, 3 * PAGE, RW, flags=MAP_FIXED_NOREPLACE))
    assert len(space.regions) == 1


@pytest.mark.parametrize(
    ("number", "addr", "size", "prot", "more"),
    [
        (errno.EINVAL, 0x10000, 0, RW, {}),
        (errno.EINVAL, 0x10000, -PAGE, RW, {}),
        (errno.EINVAL, 0x10001, PAGE, RW, {}),
        (errno.EINVAL, 0x10000, PAGE, 8, {}),
        (errno.EINVAL, 0x10000, PAGE, RW, {"offset": 1}),
        (errno.EINVAL, 0x10000, PAGE, RW, {"offset": -PAGE}),
        (errno.ENOMEM, 0x10000, 1 << 34, RW, {}),
        (errno.ENOMEM, (1 << 34) - PAGE, 2 * PAGE, RW, {}),
        (errno.ENOMEM, 1 << 63, PAGE, RW, {}),
        (errno.ENOMEM, 0, 1 << 34, RW, {"flags": 0}),
        (errno.ENOMEM, None, 1 << 70, RW, {"flags": 0}),
        (errno.EPERM, 0, PAGE, RW, {}),
        (errno.EBADF, 0x10000, PAGE, RW, {"fd": 9999}),
    ],
)
def test_what_map_refuses(
    space: AddressSpace, number: int, addr: int | None, size: int, prot: int, more: dict[str, int]
) -> None:
    space.min_address = LOWEST
    refused(number, lambda: space.map(addr, size, prot, **more))
    assert len(space.regions) == 0


def test_a_refused_replacement_leaves_what_was_there(space: AddressSpace) -> None:
    space.map(0x10000, 3 * PAGE, RWX)
    space.write(0x11000, b"alive")
    decode(space, 0x11000)
    refused(errno.EBADF, lambda: space.map(0x11000, PAGE, RW, flags=MAP_FIXED, fd=9999))
    assert space.read(0x11000, 5) == b"alive"
    assert decoded(space, 0x11000)


def test_wishes_and_the_search_from_the_top(space: AddressSpace) -> None:
    space.mmap_top = 0x300000
    assert space.map(0x20123, PAGE, RW, flags=0) == 0x20000
    assert space.map(0x20000, PAGE, RW, flags=0) == 0x2FF000
    assert space.map(None, PAGE, RW, flags=0) == 0x2FE000
    space.unmap(0x2FF000, PAGE)
    assert space.find_free(2 * PAGE) == 0x2FC000
    assert space.find_free(1) == 0x2FF000
    # When nothing is left below mmap_top, what lies above it is used.
    assert space.find_free(0x400000) == space.limit - 0x400000
    # A wish below the lowest address is none.
    assert space.find_free(PAGE, 0x1000) == 0x2FF000


def test_files_private_and_shared(space: AddressSpace, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(PAGE) + b"second page".ljust(PAGE, b"."))
    with path.open("r+b") as file:
        fd = file.fileno()
        private = space.map(None, PAGE, RW, flags=0, fd=fd, offset=PAGE, name="/guest/file")
        shared = space.map(None, PAGE, RW, flags=0, fd=fd, offset=PAGE, shared=True, name="/guest/file")
        status = os.fstat(fd)
    region = space.lookup(private)
    assert region is not None
    assert region.backing is not None
    assert (region.backing.path, region.offset) == ("/guest/file", PAGE)
    assert (region.backing.device, region.backing.inode) == (status.st_dev, status.st_ino)
    space.write(private, b"mine")
    assert space.read(private, 8) == b"minend p"
    assert path.read_bytes()[PAGE : PAGE + 6] == b"second"
    space.write(shared, b"ours")
    assert path.read_bytes()[PAGE : PAGE + 6] == b"oursnd"
    assert space.lookup(shared).permissions == "rw-s"


def test_a_read_only_descriptor_cannot_be_shared_writable(space: AddressSpace, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(PAGE))
    with path.open("rb") as file:
        refused(errno.EACCES, lambda: space.map(0x10000, PAGE, RW, fd=file.fileno(), shared=True))
        space.map(0x10000, PAGE, READ, fd=file.fileno(), shared=True)
    refused(errno.EACCES, lambda: space.protect(0x10000, PAGE, RW))
    with pytest.raises(MapError):
        space.poke(0x10000, b"x")
    assert space.lookup(0x10000).prot == READ


def test_shared_anonymous_memory_has_an_identity(space: AddressSpace) -> None:
    space.map(0x10000, PAGE, RW, shared=True)
    space.map(0x11000, PAGE, RW, shared=True, name="/dev/zero (deleted)")
    assert len(space.regions) == 2  # two calls, two objects
    space.write(0x10FFE, b"over")
    assert space.read(0x10FFE, 4) == b"over"


def test_memory_can_be_limited(space: AddressSpace) -> None:
    space.memory_limit = 4 * PAGE
    space.map(0x10000, 3 * PAGE, RW)
    refused(errno.ENOMEM, lambda: space.map(0x20000, 2 * PAGE, RW))
    space.map(0x10000, 4 * PAGE, RW, flags=MAP_FIXED)  # only one page more
    refused(errno.ENOMEM, lambda: space.remap(0x10000, PAGE, 2 * PAGE, flags=1))
    space.unmap(0x10000, PAGE)
    space.map(0x20000, PAGE, RW)


def test_populate_and_noreserve_reach_the_host(space: AddressSpace) -> None:
    space.map(0x10000, 64 * PAGE, RW, flags=MAP_FIXED | MAP_POPULATE)
    space.map(0x1000000, 1 << 33, RW, flags=MAP_FIXED | MAP_NORESERVE)
    space.write(0x1000000 + (1 << 33) - 1, b"x")


def test_host_memory_is_never_executable(space: AddressSpace) -> None:
    space.map(0x10000, PAGE, EXEC)
    space.map(0x11000, PAGE, RWX)
    space.map(0x12000, PAGE, WRITE)
    low = space.base + 0x10000
    seen = [line.split()[:2] for line in Path("/proc/self/maps").read_text().splitlines()]
    inside = [
        (int(a.split("-")[0], 16), p) for a, p in seen if low <= int(a.split("-")[0], 16) < low + 3 * PAGE
    ]
    assert inside == [(low, "---p"), (low + PAGE, "rw-p")]


# ---------------------------------------------------------------------------- unmap, protect
def test_unmap_makes_holes(space: AddressSpace) -> None:
    space.map(0x10000, 5 * PAGE, RW, name="[it]")
    space.unmap(0x12000, PAGE)
    space.unmap(0x12000, PAGE)  # nothing there any more
    assert [(r.start, r.end, r.name) for r in space] == [
        (0x10000, 0x12000, "[it]"),
        (0x13000, 0x15000, "[it]"),
    ]
    assert space.regions.mapped == 4 * PAGE
    refused(errno.EINVAL, lambda: space.unmap(0x10001, PAGE))
    refused(errno.EINVAL, lambda: space.unmap(0x10000, 0))
    refused(errno.EINVAL, lambda: space.unmap(0, 1 << 35))
    with pytest.raises(GuestFault):
        space.read(0x11FFF, 2)


def test_unmapped_memory_is_given_back(space: AddressSpace) -> None:
    space.map(0x10000, PAGE, RW)
    space.write(0x10000, b"secret")
    space.unmap(0x10000, PAGE)
    space.map(0x10000, PAGE, RW)
    assert space.read(0x10000, 6) == bytes(6)


def test_protect_changes_what_lies_before_a_hole(space: AddressSpace) -> None:
    space.map(0x10000, PAGE, RW)
    space.map(0x12000, PAGE, RW)
    refused(errno.ENOMEM, lambda: space.protect(0x10000, 3 * PAGE, READ))
    assert [r.prot for r in space] == [READ, RW]
    refused(errno.ENOMEM, lambda: space.protect(0x40000, PAGE, READ))
    refused(errno.EINVAL, lambda: space.protect(0x10000, PAGE, 16))
    refused(errno.EINVAL, lambda: space.protect(0x10004, PAGE, READ))
    refused(errno.ENOMEM, lambda: space.protect(0x10000, 1 << 40, READ))
    space.protect(0x10000, 0, RWX)  # nothing to do
    assert [r.prot for r in space] == [READ, RW]


def test_others_are_stopped_only_when_something_is_taken_away(space: AddressSpace) -> None:
    stops = []

    class Pause:
        def __enter__(self) -> None:
            stops.append("stop")

        def __exit__(self, *exception: object) -> None:
            stops.append("go")

    space.pause = Pause
    space.map(0x10000, 4 * PAGE, READ)
    space.protect(0x10000, PAGE, RW)
    space.set_brk(0)
    assert stops == []
    space.protect(0x10000, PAGE, READ)
    assert stops == ["stop", "go"]
    space.map(0x10000, PAGE, RW, flags=MAP_FIXED)
    space.unmap(0x10000, PAGE)
    space.remap(0x11000, PAGE, 2 * PAGE, flags=1)
    space.drop_code()
    assert stops == ["stop", "go"] * 5
    with pytest.raises(MapError):
        space.madvise(0x40000, PAGE, 4)
    assert stops == ["stop", "go"] * 6


# ---------------------------------------------------------------------------- code
@pytest.mark.parametrize(
    "lose",
    [
        lambda s: s.unmap(0x10000, PAGE),
        lambda s: s.protect(0x10000, PAGE, RW),
        lambda s: s.map(0x10000, PAGE, RX, flags=MAP_FIXED),
        lambda s: s.remap(0x10000, PAGE, PAGE, flags=3, to=0x90000),
        lambda s: s.madvise(0x10000, PAGE, 4),
        lambda s: s.drop_code(0x10004, 0x10008),
        lambda s: s.drop_code(),
        lambda s: s.poke(0x10000, b"x"),
        lambda s: s.reset(),
    ],
    ids=["unmap", "protect", "replace", "move", "dontneed", "drop", "flush", "poke", "reset"],
)
def test_code_is_dropped(space: AddressSpace, lose: Callable[[AddressSpace], None]) -> None:
    dropped: list[tuple[int, int]] = []
    space.on_code_drop(lambda start, end: dropped.append((start, end)))
    space.map(0x10000, 2 * PAGE, RWX)
    decode(space, 0x10000)
    lose(space)
    assert not decoded(space, 0x10000)
    assert any(start <= 0x10000 and end >= 0x11000 for start, end in dropped)


def test_code_survives_what_does_not_concern_it(space: AddressSpace) -> None:
    dropped: list[tuple[int, int]] = []
    space.on_code_drop(lambda start, end: dropped.append((start, end)))
    space.map(0x10000, PAGE, RX)
    decode(space, 0x10000)
    space.map(0x20000, PAGE, RW)
    space.unmap(0x20000, PAGE)
    space.protect(0x10000, PAGE, EXEC)
    space.protect(0x10000, PAGE, RX)
    space.drop_code()  # never writable, private: the guest cannot have changed it
    space.madvise(0x10000, PAGE, 3)
    assert decoded(space, 0x10000)
    assert dropped == []
    space.protect(0x10000, PAGE, RWX)
    space.protect(0x10000, PAGE, RX)
    assert decoded(space, 0x10000)
    space.drop_code()  # it was writable for a while
    assert not decoded(space, 0x10000)


def test_shared_code_may_be_written_through_an_alias(space: AddressSpace) -> None:
    fd = os.memfd_create("jit")
    os.ftruncate(fd, PAGE)
    space.map(0x10000, PAGE, RX, fd=fd, shared=True)
    space.map(0x20000, PAGE, RW, fd=fd, shared=True)
    os.close(fd)
    decode(space, 0x10000)
    space.write(0x20000, b"new code")
    space.drop_code()
    assert not decoded(space, 0x10000)
    assert space.fetch(0x10000, 8) == b"new code"


def test_the_executable_map_of_very_large_mappings(space: AddressSpace) -> None:
    size = 5 << 30
    space.map(0x10000, size, RX, flags=MAP_FIXED | MAP_NORESERVE)
    first, last = space.xmap + 0x10, space.xmap + 0x10 + size // PAGE - 1
    assert host.peek(first - 1, 2) == b"\0\1"
    assert host.peek(last, 2) == b"\1\0"
    space.unmap(0x10000 + PAGE, size - 2 * PAGE)
    assert host.peek(first, 2) == b"\1\0"
    assert host.peek(last - 1, 2) == b"\0\1"
    assert not any(host.peek(first + 1, size // PAGE - 2))


def test_branches_just_outside_find_nothing_decoded(space: AddressSpace) -> None:
    for address in (-(1 << 20), -2, space.limit, space.limit + (1 << 20)):
        assert host.peek(space.slots + address * 8, 16) == bytes(16)
    assert host.peek(space.xmap - 1, 1) == host.peek(space.xmap + space.limit // PAGE, 1) == b"\0"


# ---------------------------------------------------------------------------- madvise
def test_advice(space: AddressSpace) -> None:
    space.map(0x10000, 2 * PAGE, RW)
    space.map(0x20000, PAGE, RW, shared=True)
    for advice in (0, 1, 2, 3, 14, 15, 16, 17):
        space.madvise(0x10000, 2 * PAGE, advice)
    for advice in (100, 102, 103, 12345, 5):
        refused(errno.EINVAL, lambda advice=advice: space.madvise(0x10000, PAGE, advice))
    refused(errno.EINVAL, lambda: space.madvise(0x40000, PAGE, 12345))
    refused(errno.ENOMEM, lambda: space.madvise(0x40000, PAGE, 4))
    refused(errno.EINVAL, lambda: space.madvise(0x10001, PAGE, 4))
    refused(errno.EINVAL, lambda: space.madvise(0x20000, PAGE, 18))  # shared memory cannot be wiped
    space.write(0x10000, b"gone")
    refused(errno.ENOMEM, lambda: space.madvise(0x10000, 3 * PAGE, 4))
    assert space.read(0x10000, 4) == bytes(4)
    refused(errno.EINVAL, lambda: space.madvise(0x10000, PAGE, 9))  # the host: nothing to remove from
    space.write(0x20000, b"gone")
    space.madvise(0x20000, PAGE, 9)  # MADV_REMOVE
    assert space.read(0x20000, 4) == bytes(4)


def test_fork_does_what_was_advised(space: AddressSpace) -> None:
    for i in range(4):
        space.map(0x10000 + i * 0x10000, PAGE, RWX)
        space.write(0x10000 + i * 0x10000, b"here")
    space.madvise(0x20000, PAGE, 10)  # DONTFORK
    space.madvise(0x30000, PAGE, 18)  # WIPEONFORK
    space.madvise(0x40000, PAGE, 10)
    space.madvise(0x40000, PAGE, 11)  # DOFORK
    decode(space, 0x30000)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            space.fork_child()
            assert space.read(0x10000, 4) == b"here" == space.read(0x40000, 4)
            assert space.read(0x30000, 4) == bytes(4)
            assert not decoded(space, 0x30000)
            assert space.lookup(0x20000) is None
            with pytest.raises(GuestFault):
                space.read(0x20000, 4)
            # The hole is still reserved: nothing of the host's can be there.
            assert host.mapped(space.base + 0x20000, PAGE)
            space.write(0x10000, b"mine")
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert space.read(0x10000, 4) == b"here"
    assert space.read(0x20000, 4) == b"here"
    space.madvise(0x30000, PAGE, 19)  # KEEPONFORK
    assert all(r.flags & ~4 in (0, 8) for r in space)


# ---------------------------------------------------------------------------- brk, stacks
def test_brk(space: AddressSpace) -> None:
    space.brk_start = space.brk_end = 0x20800
    assert space.set_brk(0) == 0x20800
    assert space.set_brk(0x20900) == 0x20900
    assert len(space.regions) == 0 or space.lookup(0x20900) is not None
    assert space.set_brk(0x25001) == 0x25001
    space.write(0x25FFF, b"x")
    assert space.lookup(0x25000).name == "[heap]"
    assert space.set_brk(0x22000) == 0x22000
    assert space.lookup(0x22000) is None
    space.map(0x28000, PAGE, RW)
    assert space.set_brk(0x29000) == 0x22000  # something is in the way
    assert space.set_brk(0x28000) == 0x28000
    assert space.set_brk(1 << 60) == 0x28000
    space.unmap(0x28000, PAGE)
    space.brk_limit = 0x9000
    assert space.set_brk(0x20800 + 0x9001) == 0x28000
    assert space.set_brk(0x20800 + 0x9000) == 0x29800
    space.map(0x40000 + STACK_GAP, PAGE, RW, flags=MAP_FIXED | MAP_GROWSDOWN)
    space.brk_limit = None
    assert space.set_brk(0x40001) == 0x29800  # a stack keeps its distance


def test_mappings_that_grow_down(space: AddressSpace) -> None:
    top = 0x4000000
    space.map(top - PAGE, PAGE, RW, flags=MAP_FIXED | MAP_GROWSDOWN, name="[stack]")
    assert space.grow(top - 5 * PAGE + 8)
    assert [(r.start, r.end, r.name) for r in space] == [(top - 5 * PAGE, top, "[stack]")]
    space.write(top - 7 * PAGE, b"as the kernel does")  # an access by a call grows it too
    assert space.lookup(top - 7 * PAGE).name == "[stack]"
    assert not space.grow(top - space.stack_limit - 1)
    assert space.grow(top - space.stack_limit)
    assert not space.grow(top)  # nothing above
    # It keeps its distance from what is mapped below.
    low = 0x1000000
    space.map(low - PAGE, PAGE, RW, flags=MAP_FIXED | MAP_GROWSDOWN)
    space.map(low - PAGE - STACK_GAP - 2 * PAGE, PAGE, RW)
    assert space.grow(low - 2 * PAGE)
    assert not space.grow(low - 4 * PAGE)
    space.memory_limit = space.regions.mapped
    other = 0x3000000
    space.unmap(top - PAGE, PAGE)
    space.map(other, PAGE, RW, flags=MAP_FIXED | MAP_GROWSDOWN)
    assert not space.grow(other - PAGE)  # no memory left
    with pytest.raises(GuestFault, match="unmapped"):
        space.read(other - PAGE, 1)


# ---------------------------------------------------------------------------- the whole space
def test_reset_leaves_an_empty_space(space: AddressSpace) -> None:
    base = space.base
    space.map(0x10000, PAGE, RWX)
    space.brk_start = space.brk_end = 0x20000
    space.set_brk(0x21000)
    space.reset()
    assert list(space) == []
    assert space.brk_end == 0
    assert space.base == base
    assert host.peek(space.xmap + 0x10, 1) == b"\0"
    with pytest.raises(GuestFault):
        space.read(0x10000, 1)
    space.map(0x10000, PAGE, RW)
    assert space.read(0x10000, 4) == bytes(4)


def test_spaces_are_apart_and_end() -> None:
    before = len(Path("/proc/self/maps").read_text().splitlines())
    spaces = [AddressSpace(bits=32) for _ in range(3)]
    for i, space in enumerate(spaces):
        space.map(0x10000, PAGE, RW)
        space.write(0x10000, b"%d" % i)
    assert [s.read(0x10000, 1) for s in spaces] == [b"0", b"1", b"2"]
    ranges = sorted(
        (s.base - reservation.GUARD_BELOW, s.base + s.limit + reservation.GUARD_ABOVE) for s in spaces
    )
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))
    for space in spaces:
        space.close()
    assert len(Path("/proc/self/maps").read_text().splitlines()) <= before + 2


def test_a_space_that_is_forgotten_gives_its_room_back() -> None:
    for _ in range(200):  # 200 x 256 GiB and slots do not fit into 47 bits
        AddressSpace(bits=38).map(0x10000, PAGE, RW)


def test_pages_of_the_host_may_not_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PAGE_SIZE", 65536)
    with pytest.raises(PolyvmError, match="larger") as error:
        AddressSpace()
    assert error.value.code == "PVM-HOST-UNSUPPORTED"
    assert error.value.hint


def test_guest_pages_may_be_larger() -> None:
    space = AddressSpace(bits=32, page_size=65536)
    refused(errno.EINVAL, lambda: space.map(0x11000, PAGE, RW))
    assert space.map(None, 1, RX, flags=0) % 65536 == 0
    assert next(iter(space)).size == 65536
    space.close()


def test_little_room_gives_fewer_bits_and_none_a_clear_error() -> None:
    code = """
import resource
from polyvm.memory.space import AddressSpace
from polyvm.errors import PolyvmError
resource.setrlimit(resource.RLIMIT_AS, (100 << 30, 100 << 30))
space = AddressSpace(bits=38)
space.map(0x10000, 4096, 3)
space.write(0x10000, b"fine")
print(space.bits, space.read(0x10000, 4))
space.close()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    AddressSpace(bits=38)
except PolyvmError as error:
    print(error.code, error.exit_status, "ulimit" in error.hint, error.context["errno"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["33 b'fine'", "PVM-RESOURCE 125 True ENOMEM"]


@pytest.mark.parametrize("call", ["mmap", "mprotect"])
@pytest.mark.parametrize("fails", [1, 2, 3])
def test_a_host_with_little_room_for_one_of_the_arrays(
    monkeypatch: pytest.MonkeyPatch, call: str, fails: int
) -> None:
    """Whichever range cannot be had, the next attempt asks for less, and nothing stays behind."""
    real, calls = getattr(host, call), []

    def refuse(*arguments: int) -> int:
        calls.append(arguments)
        return -errno.ENOMEM if len(calls) == fails else real(*arguments)

    monkeypatch.setattr(host, call, refuse)
    space = AddressSpace(bits=34)
    monkeypatch.undo()
    assert space.bits == (34 if call == "mprotect" and fails == 3 else 33)
    space.map(0x10000, PAGE, RX)
    space.close()


def test_a_stranger_in_the_reservation_ends_the_guest(space: AddressSpace) -> None:
    with pytest.raises(PolyvmError) as error:
        space._host.refill(0x10000, PAGE)  # it is still taken: as if somebody had been faster
    assert error.value.code == "PVM-RESOURCE"


def test_what_the_host_lost_is_lost_in_the_table_too(
    space: AddressSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 6.12 unmap what a mapping replaces, and may then fail to map."""
    space.map(0x10000, 3 * PAGE, RWX)

    def mmap(address: int, size: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
        if prot == host.PROT_NONE:
            return real(address, size, prot, flags, fd, offset)
        host.munmap(address, size)
        return -errno.ENOMEM

    real = host.mmap
    monkeypatch.setattr(host, "mmap", mmap)
    refused(errno.ENOMEM, lambda: space.map(0x11000, PAGE, RW, flags=MAP_FIXED))
    assert [(r.start, r.end) for r in space] == [(0x10000, 0x11000), (0x12000, 0x13000)]
    assert host.mapped(space.base + 0x10000, 3 * PAGE)


def test_errors_cross_processes() -> None:
    for error in (MapError(errno.ENOMEM, "No.", addr=1), MapError(5555, "No."), GuestFault(4096, "write")):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
    assert MapError(5555, "No.").errno == 5555
    assert pickle.loads(pickle.dumps(GuestFault(4096, 1, "protected"))).access == 1
