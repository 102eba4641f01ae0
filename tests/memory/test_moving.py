"""mremap: sizes, places, contents, and a reservation without a hole at any time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.space import (
    EXEC,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    READ,
    WRITE,
    AddressSpace,
    GuestFault,
    MapError,
)

PAGE = 4096
RW = READ | WRITE
A = 0x100000
BOTH = MREMAP_MAYMOVE | MREMAP_FIXED


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=34)
    yield made
    assert whole(made), "the reservation has a hole"
    made.close()


def whole(space: AddressSpace) -> bool:
    return host.mapped(space.base, space.limit)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(b"".join(b"%d" % i * PAGE for i in range(8)))
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def shape(space: AddressSpace) -> list[tuple[int, int]]:
    return [((r.start - A) // PAGE, (r.end - A) // PAGE) for r in space]


@pytest.mark.parametrize(
    ("number", "arguments", "keywords"),
    [
        (errno.EINVAL, (A + 1, PAGE, PAGE), {}),
        (errno.EINVAL, (A, PAGE, 0), {}),
        (errno.EINVAL, (A, PAGE, PAGE), {"flags": 8}),
        (errno.EINVAL, (A, PAGE, PAGE), {"flags": MREMAP_FIXED}),
        (errno.EINVAL, (A, PAGE, PAGE), {"flags": MREMAP_DONTUNMAP}),
        (errno.EINVAL, (A, PAGE, 2 * PAGE), {"flags": MREMAP_MAYMOVE | MREMAP_DONTUNMAP}),
        (errno.EINVAL, (A, PAGE, PAGE), {"flags": BOTH, "to": A + 1}),
        (errno.EINVAL, (A, PAGE, PAGE), {"flags": BOTH, "to": 1 << 34}),
        (errno.EINVAL, (A, 2 * PAGE, 2 * PAGE), {"flags": BOTH, "to": A + PAGE}),
        (errno.EINVAL, (A, 0, PAGE), {"flags": MREMAP_MAYMOVE}),
        (errno.EPERM, (A, PAGE, PAGE), {"flags": BOTH, "to": 0}),
        (errno.EFAULT, (A + 0x100000, PAGE, PAGE), {}),
        (errno.EFAULT, (A, 1 << 40, PAGE), {}),
        (errno.EFAULT, (A + 3 * PAGE, 2 * PAGE, 3 * PAGE), {"flags": MREMAP_MAYMOVE}),
        (errno.ENOMEM, (A, 4 * PAGE, 1 << 40), {"flags": MREMAP_MAYMOVE}),
        (errno.ENOMEM, (A, PAGE, 2 * PAGE), {}),
    ],
)
def test_what_is_refused(
    space: AddressSpace, number: int, arguments: tuple[int, int, int], keywords: dict[str, int]
) -> None:
    space.min_address = 0x10000
    space.map(A, 4 * PAGE, RW)
    with pytest.raises(MapError) as error:
        space.remap(*arguments, **keywords)
    assert error.value.errno == number
    assert shape(space) == [(0, 4)]


def test_shrinking_and_staying(space: AddressSpace) -> None:
    space.map(A, 4 * PAGE, RW)
    assert space.remap(A, 4 * PAGE, 4 * PAGE) == A
    assert space.remap(A + PAGE, 3 * PAGE, PAGE) == A + PAGE
    assert shape(space) == [(0, 2)]


def test_growing_in_place(space: AddressSpace) -> None:
    space.map(A, PAGE, RW)
    space.write(A, b"kept")
    assert space.remap(A, PAGE, 3 * PAGE) == A
    space.write(A + 3 * PAGE - 1, b"x")
    assert space.read(A, 4) == b"kept"
    assert shape(space) == [(0, 3)]


def test_growing_moves_where_it_must(space: AddressSpace) -> None:
    space.map(A, 2 * PAGE, RW)
    space.map(A + 2 * PAGE, PAGE, READ)
    space.write(A, b"kept")
    to = space.remap(A, 2 * PAGE, 4 * PAGE, flags=MREMAP_MAYMOVE)
    assert to != A
    assert space.read(to, 4) == b"kept"
    assert space.read(to + 3 * PAGE, 4) == bytes(4)
    with pytest.raises(GuestFault):
        space.read(A, 1)
    assert shape(space)[0] == (2, 3)


def test_moving_a_part_with_fewer_pages(space: AddressSpace) -> None:
    space.map(A, 4 * PAGE, RW)
    for i in range(4):
        space.write(A + i * PAGE, b"%d" % i)
    space.map(A + 8 * PAGE, 2 * PAGE, READ, name="replaced")
    assert space.remap(A + PAGE, 2 * PAGE, PAGE, flags=BOTH, to=A + 8 * PAGE) == A + 8 * PAGE
    assert shape(space) == [(0, 1), (3, 4), (8, 9), (9, 10)]
    assert space.read(A + 8 * PAGE, 1) == b"1"


def test_the_old_place_may_stay(space: AddressSpace) -> None:
    space.map(A, PAGE, RW | EXEC)
    space.write(A, b"moved")
    host.fill(space.slots + A * 8, 1, 16)
    to = space.remap(A, PAGE, PAGE, flags=MREMAP_MAYMOVE | MREMAP_DONTUNMAP)
    assert space.read(to, 5) == b"moved"
    assert space.read(A, 5) == bytes(5)
    assert host.peek(space.slots + A * 8, 16) == bytes(16)
    assert host.peek(space.xmap + to // PAGE, 1) == host.peek(space.xmap + A // PAGE, 1) == b"\1"


@pytest.mark.parametrize("shared", [False, True])
def test_files_move_and_grow_without_their_descriptor(space: AddressSpace, file: int, shared: bool) -> None:
    fd = os.dup(file)
    space.map(A, 2 * PAGE, RW, fd=fd, offset=PAGE, shared=shared)
    os.close(fd)
    assert space.remap(A, 2 * PAGE, 3 * PAGE) == A
    assert space.read(A + 2 * PAGE, 1) == b"3"
    assert shape(space) == [(0, 3)]
    space.map(A + 3 * PAGE, PAGE, RW)
    to = space.remap(A, 3 * PAGE, 5 * PAGE, flags=MREMAP_MAYMOVE)
    assert [space.read(to + i * PAGE, 1) for i in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
    region = space.lookup(to)
    assert region is not None
    assert region.size == 5 * PAGE
    assert region.offset == PAGE
    assert shape(space)[0] == (3, 4)


def test_a_shared_mapping_can_be_mapped_twice(space: AddressSpace) -> None:
    space.map(A, 2 * PAGE, RW, shared=True)
    to = space.remap(A, 0, 2 * PAGE, flags=MREMAP_MAYMOVE)
    space.write(to + PAGE, b"seen")
    assert space.read(A + PAGE, 4) == b"seen"
    assert len(space.regions) == 2


def test_old_kernels_move_through_a_hole(space: AddressSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = host.mremap

    def before_5_13(address: int, size: int, new_size: int, flags: int, to: int = 0) -> int:
        return -errno.EINVAL if flags & MREMAP_DONTUNMAP else real(address, size, new_size, flags, to)

    monkeypatch.setattr(host, "mremap", before_5_13)
    space.map(A, PAGE, RW)
    space.write(A, b"moved")
    assert space.remap(A, PAGE, PAGE, flags=BOTH, to=A + 5 * PAGE) == A + 5 * PAGE
    assert space.read(A + 5 * PAGE, 5) == b"moved"
    assert whole(space)
    with pytest.raises(MapError):
        space.remap(A + 5 * PAGE, PAGE, PAGE, flags=MREMAP_MAYMOVE | MREMAP_DONTUNMAP)


@pytest.mark.parametrize("lost", [False, True])
def test_a_host_that_refuses_leaves_everything_as_it_was(
    space: AddressSpace, file: int, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    def mremap(address: int, size: int, new_size: int, flags: int, to: int = 0) -> int:
        if lost and to:
            host.munmap(to, new_size)
        return -errno.ENOMEM

    space.map(A, PAGE, RW, fd=file)
    space.map(A + 4 * PAGE, PAGE, RW, shared=True)
    monkeypatch.setattr(host, "mremap", mremap)
    for arguments in (
        (A, PAGE, 2 * PAGE, 0),
        (A, PAGE, PAGE, MREMAP_MAYMOVE | 4),
        (A + 4 * PAGE, 0, PAGE, 1),
    ):
        with pytest.raises(PolyvmError) as error:
            space.remap(*arguments[:3], flags=arguments[3])
        assert error.value.context["errno"] == "ENOMEM"
        assert shape(space) == [(0, 1), (4, 5)]
        assert whole(space)
