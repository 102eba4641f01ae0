"""A whole address space against a dictionary of pages: table, bytes, host protections, executable map, code slots."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.memory import host
from polyvm.memory.space import (
    EXEC,
    MAP_FIXED,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    READ,
    WRITE,
    AddressSpace,
    GuestFault,
    MapError,
)

PAGE = 4096
FIRST = 0x100  # the window's first page
PAGES = 10
FILE_PAGES = 5  # of the mapped file; what is mapped of it beyond is there, but cannot be touched

ranges = st.tuples(st.integers(0, PAGES - 1), st.integers(1, 5)).map(
    lambda r: (r[0], min(PAGES, r[0] + r[1]))
)
pages = st.integers(0, PAGES - 1)
prots = st.integers(0, 7)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("map"), ranges, prots),
        st.tuples(st.just("file"), ranges, prots, st.integers(0, 7)),
        st.tuples(st.just("unmap"), ranges),
        st.tuples(st.just("protect"), ranges, prots),
        st.tuples(st.just("move"), ranges, pages, st.integers(1, 8)),
        st.tuples(st.just("write"), pages, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("poke"), pages, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("dontneed"), ranges),
        st.tuples(st.just("decode"), pages),
        st.tuples(st.just("flush")),
        st.tuples(st.just("drop"), ranges),
    ),
    min_size=3,
    max_size=12,
)


class Model:
    """One page: protection, first bytes, what a dropped page reads again, and whether code was decoded from it."""

    def __init__(self, prot: int, origin: bytes | None, source: int | None = None) -> None:
        self.prot = prot
        self.data = self.origin = origin  # None: beyond the file's end
        self.source = source  # the file's page
        self.decoded = False
        self.ever_writable = bool(prot & 2)
        self.call = 0  # which call of map it came from; the table keeps files apart by it


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("space") / "file"
    path.write_bytes(b"".join(bytes([i + 1]) * PAGE for i in range(FILE_PAGES)))
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.fixture(scope="module")
def space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=32)
    yield made
    made.close()


def host_protections(space: AddressSpace) -> dict[int, str]:
    """The host's own view of the window."""
    found = {}
    low, high = space.base + FIRST * PAGE, space.base + (FIRST + PAGES) * PAGE
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        for at in range(max(low, start), min(high, end), PAGE):
            found[(at - low) // PAGE] = line.split()[1]
    return found


def at(page: int) -> int:
    return (FIRST + page) * PAGE


def fresh_file(page: int) -> bytes | None:
    return bytes([page + 1]) * 8 if page < FILE_PAGES else None


class Pair:
    """The space and its model, side by side."""

    def __init__(self, space: AddressSpace, file: int) -> None:
        self.space, self.file = space, file
        self.model: dict[int, Model] = {}
        self.calls = 0
        space.reset()

    def do(self, what: str, *arguments: object) -> None:
        getattr(self, "do_" + what)(*arguments)

    def do_map(self, where: tuple[int, int], prot: int) -> None:
        start, end = where
        assert self.space.map(at(start), (end - start) * PAGE, prot, flags=MAP_FIXED) == at(start)
        self.model.update({p: Model(prot, bytes(8)) for p in range(start, end)})

    def do_file(self, where: tuple[int, int], prot: int, offset: int) -> None:
        start, end = where
        size = (end - start) * PAGE
        self.space.map(
            at(start), size, prot, flags=MAP_FIXED, fd=self.file, offset=offset * PAGE, name="file"
        )
        self.calls += 1
        for i in range(end - start):
            page = self.model[start + i] = Model(prot, fresh_file(offset + i), offset + i)
            page.call = self.calls

    def do_unmap(self, where: tuple[int, int]) -> None:
        start, end = where
        self.space.unmap(at(start), (end - start) * PAGE)
        for p in range(start, end):
            self.model.pop(p, None)

    def do_protect(self, where: tuple[int, int], prot: int) -> None:
        start, end = where
        hole = next((p for p in range(start, end) if p not in self.model), None)
        if hole is None:
            self.space.protect(at(start), (end - start) * PAGE, prot)
        else:
            with pytest.raises(MapError) as error:
                self.space.protect(at(start), (end - start) * PAGE, prot)
            assert error.value.context["errno"] == "ENOMEM"
        for p in range(start, end if hole is None else hole):
            page = self.model[p]
            page.decoded = page.decoded and bool(prot & 4)
            page.prot = prot
            page.ever_writable = page.ever_writable or bool(prot & 2)

    def do_move(self, where: tuple[int, int], to: int, size: int) -> None:
        start, end = where
        size = min(size, PAGES - to)
        one = self.space.lookup(at(start))
        disjoint = to >= end or to + size <= start
        # Growing a file's mapping is measured apart (test_moving): its model would need the file's later pages.
        possible = (
            one is not None
            and disjoint
            and one.end >= at(end)
            and (one.backing is None or size <= end - start)
        )
        if not possible:
            if not disjoint or one is None:
                with pytest.raises(MapError):
                    self.space.remap(
                        at(start),
                        (end - start) * PAGE,
                        size * PAGE,
                        flags=MREMAP_MAYMOVE | MREMAP_FIXED,
                        to=at(to),
                    )
            return
        flags = MREMAP_MAYMOVE | MREMAP_FIXED
        assert self.space.remap(at(start), (end - start) * PAGE, size * PAGE, flags=flags, to=at(to)) == at(
            to
        )
        old = [self.model.pop(p) for p in range(start, end)]
        for i in range(size):
            page = old[i] if i < len(old) else Model(old[0].prot, bytes(8))
            page.decoded = False
            page.ever_writable = page.ever_writable or old[0].ever_writable
            self.model[to + i] = page

    def do_write(self, p: int, data: bytes) -> None:
        page = self.model.get(p)
        if page is None or not page.prot & 2 or page.data is None:
            with pytest.raises(GuestFault) as error:
                self.space.write(at(p), data)
            assert error.value.address == at(p)
            assert error.value.kind == "write"
        else:
            self.space.write(at(p), data)
            page.data = data + page.data[len(data) :]

    def do_poke(self, p: int, data: bytes) -> None:
        page = self.model.get(p)
        if page is None or page.data is None:
            with pytest.raises(GuestFault):
                self.space.poke(at(p), data)
        else:
            self.space.poke(at(p), data)
            page.data = data + page.data[len(data) :]
        if page is not None:
            page.decoded = False

    def do_dontneed(self, where: tuple[int, int]) -> None:
        start, end = where
        whole = all(p in self.model for p in range(start, end))
        if whole:
            self.space.madvise(at(start), (end - start) * PAGE, 4)
        else:
            with pytest.raises(MapError):
                self.space.madvise(at(start), (end - start) * PAGE, 4)
        for p in range(start, end):
            if p in self.model:
                self.model[p].data = self.model[p].origin
                self.model[p].decoded = False

    def do_decode(self, p: int) -> None:
        if p in self.model and self.model[p].prot & 4:
            host.fill(self.space.slots + at(p) * 8, 0xFF, 16)
            self.model[p].decoded = True

    def do_flush(self) -> None:
        self.space.drop_code()
        for page in self.model.values():
            page.decoded = page.decoded and not page.ever_writable

    def do_drop(self, where: tuple[int, int]) -> None:
        start, end = where
        self.space.drop_code(at(start), at(end))
        for p in range(start, end):
            if p in self.model:
                self.model[p].decoded = False

    def check(self) -> None:
        space, model = self.space, self.model
        protections = host_protections(space)
        table = {}
        for region in space:
            for address in range(region.start, region.end, PAGE):
                table[address // PAGE - FIRST] = region
        assert table.keys() == model.keys()
        for p in range(PAGES):
            page = model.get(p)
            prot = page.prot if page is not None else 0
            readable = "r" if prot & 3 else "-"
            assert protections[p] == readable + ("w" if prot & 2 else "-") + "-p"
            assert host.peek(space.xmap + FIRST + p, 1)[0] == (prot >> 2)
            slot = host.peek(space.slots + at(p) * 8, 16)
            assert slot == (b"\xff" if page is not None and page.decoded else b"\0") * 16
            if page is None:
                with pytest.raises(GuestFault, match="unmapped"):
                    space.read(at(p), 1)
                continue
            assert table[p].prot == prot
            if page.source is not None:
                assert table[p].offset + at(p) - table[p].start == page.source * PAGE
            if not prot & 3:
                with pytest.raises(GuestFault, match="protected"):
                    space.read(at(p), 8)
            elif page.data is None:
                with pytest.raises(GuestFault, match="beyond"):
                    space.read(at(p), 8)
            else:
                assert space.read(at(p), 8) == page.data
            if prot & 4 and page.data is not None:
                assert space.fetch(at(p), 4) == page.data[:4]
            else:
                with pytest.raises(GuestFault):
                    space.fetch(at(p), 4)


@given(first=st.sampled_from([None, READ | WRITE, READ | EXEC, READ | WRITE | EXEC]), steps=operations)
def test_space_agrees_with_a_dictionary_of_pages(
    space: AddressSpace, file: int, first: int | None, steps: list[tuple]
) -> None:
    pair = Pair(space, file)
    if first is not None:
        pair.do_map((0, PAGES), first)
    for page in range(PAGES):
        pair.do_decode(page)
    for step in steps:
        pair.do(*step)
        pair.check()
