"""The mmap family of standalone programs, judged by that of `polyvm run`: the same answers, and the same memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.engine import compile as compiler
from polyvm.engine import image as images
from polyvm.engine.guest import Guest
from polyvm.memory import host
from polyvm.memory.space import LOWEST, AddressSpace
from polyvm.user.standalone import calls, files, memory, places, start
from polyvm.user.standalone.places import CT, DATA, GUEST, LIMIT, MAPPED, SPAN
from polyvm.user.syscalls import memory as judge

NAMES = ("brk", "mmap", "munmap", "mprotect", "mremap")
PAGE = 4096
TOP = LIMIT - (1 << 20)
HEAP = 0x200000
WINDOW = 24  # pages below TOP that fixed addresses are drawn from
FREE = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE

PAGES = st.integers(0, WINDOW).map(lambda number: TOP - number * PAGE)
SIZES = st.integers(1, 6 * PAGE) | st.integers(1, 6).map(lambda pages: pages * PAGE)
ADDRESSES = (
    PAGES | PAGES.map(lambda address: address + 8) | st.sampled_from([0, LOWEST - PAGE, LOWEST, LIMIT - PAGE])
)
PROTS = st.integers(0, 7) | st.just(16)
FLAGS = st.sampled_from([0x22, 0x21, 0x32, 0x32, 0x100022, 0x20, 0x40022])
OPERATION = st.one_of(
    st.tuples(
        st.just("mmap"),
        ADDRESSES,
        SIZES | st.just(0),
        PROTS,
        FLAGS,
        st.just(0),
        st.sampled_from([0, 0, 0, 5]),
    ),
    st.tuples(st.just("munmap"), ADDRESSES, SIZES | st.just(0)),
    st.tuples(st.just("mprotect"), ADDRESSES, SIZES | st.just(0), PROTS),
    st.tuples(st.just("mremap"), ADDRESSES, SIZES, SIZES, st.sampled_from([0, 1, 1, 3, 2]), ADDRESSES),
    st.tuples(st.just("brk"), st.integers(-1, 9).map(lambda pages: HEAP + pages * PAGE + 40)),
)


class Standalone:
    """The functions of a runtime in this process, with the memory that they work on."""

    def __init__(self) -> None:
        m = start.Runtime(Guest("riscv64"))
        for part in (memory, files, calls, start):
            part.add(m)
        text = compiler.host_module().start_ir() + m.text()
        exports = [f"sys_{name}" for name in NAMES]
        self.image = images.load(compiler.build(text, exports, runtime=False, opt=1))
        self.calls: dict[str, Callable[..., int]] = {
            name: host.native(self.image.address(f"sys_{name}"), 6) for name in NAMES
        }
        self.ranges = [
            (DATA, places.DATA_END - DATA + PAGE - 1 & -PAGE),
            places.SLOTS_RANGE,
            places.XMAP_RANGE,
        ]

    def reset(self) -> None:
        """A guest of which nothing is mapped."""
        for at, size in (*self.ranges, (GUEST, LIMIT)):
            host.munmap(at, size)
        for at, size in self.ranges:
            found = host.mmap(at, size, 3, FREE | host.MAP_FIXED_NOREPLACE)
            if found != at:
                pytest.skip("something of this process is where a standalone program's memory is")
        for name, value in (("mmap_top", TOP), ("brk_start", HEAP), ("brk_end", HEAP), ("code_low", LIMIT)):
            host.poke(DATA + CT[name], value.to_bytes(8, "little"))

    def call(self, name: str, *words: int) -> int:
        """What a system call answers."""
        result = self.calls[name](*words, *[0] * (6 - len(words)))
        return result - (1 << 64) if result >> 63 else result

    def mapped(self) -> list[tuple[int, int]]:
        """What the table has."""
        count = int.from_bytes(host.peek(DATA + CT["mapped"], 8), "little")
        return [SPAN.unpack(host.peek(MAPPED + SPAN.size * number, SPAN.size)) for number in range(count)]


@pytest.fixture(scope="module")
def standalone() -> Iterator[Standalone]:
    made = Standalone()
    made.reset()
    yield made
    for at, size in (*made.ranges, (GUEST, LIMIT)):
        host.munmap(at, size)


@given(operations=st.lists(OPERATION, min_size=1, max_size=12))
def test_as_polyvm_run(standalone: Standalone, operations: list[tuple[str, int, int]]) -> None:
    standalone.reset()
    space = AddressSpace(places.BITS)
    space.min_address, space.max_address, space.mmap_top = memory.MIN_ADDRESS, memory.MAX_ADDRESS, TOP
    space.brk_start = space.brk_end = HEAP
    thread = SimpleNamespace(space=space, limit=LIMIT, process=SimpleNamespace(personality=0, hidden=()))
    try:
        for name, *words in operations:
            given = [*words, *[0] * (6 - len(words))]
            expected = getattr(judge, f"sys_{name}")(thread, *given)
            assert standalone.call(name, *given) == expected, (name, [hex(word) for word in words])
        spans: list[tuple[int, int]] = []
        for region in space:
            if spans and spans[-1][1] == region.start:
                spans[-1] = spans[-1][0], region.end
            else:
                spans.append((region.start, region.end))
            for address in range(region.start, region.end, PAGE):
                cell = host.peek(places.XMAP + (address >> 12), 1)[0]
                assert cell == bool(region.prot & 4), (hex(address), region)
        assert standalone.mapped() == spans
    finally:
        space.close()
