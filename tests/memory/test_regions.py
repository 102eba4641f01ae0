"""The mapping table against the plainest model there is: a dictionary from page to properties."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from polyvm.memory.regions import Backing, Region, Regions

PAGES = 40
FILES = [None, Backing("/a", 1, 2), Backing("/b", 1, 3)]

ranges = st.tuples(st.integers(0, PAGES - 1), st.integers(1, 12)).map(
    lambda r: (r[0], min(PAGES, r[0] + r[1]))
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("map"), ranges, st.integers(0, 7), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("unmap"), ranges),
        st.tuples(st.just("protect"), ranges, st.integers(0, 7)),
    ),
    max_size=30,
)

Page = tuple[int, int, int]  # prot, which file, page of the file


def page_of(region: Region, page: int) -> Page:
    return (
        region.prot,
        FILES.index(region.backing),
        region.offset + page - region.start if region.backing else 0,
    )


def flat(table: Regions) -> dict[int, Page]:
    return {page: page_of(region, page) for region in table for page in range(region.start, region.end)}


@given(operations)
def test_table_agrees_with_a_dictionary(steps: list[tuple]) -> None:
    table, model = Regions(), {}
    for what, (start, end), *rest in steps:
        if what == "map":
            prot, file, offset = rest
            table.remove(start, end)
            table.insert(Region(start, end, prot, 0, FILES[file], offset if file else 0))
            model.update({p: (prot, file, offset + p - start if file else 0) for p in range(start, end)})
        elif what == "unmap":
            removed = table.remove(start, end)
            gone = {p: page_of(region, p) for region in removed for p in range(region.start, region.end)}
            assert gone == {p: model.pop(p) for p in range(start, end) if p in model}
        else:
            for region in table.remove(start, end):
                table.insert(region.changed(prot=rest[0]))
            model.update({p: (rest[0], *model[p][1:]) for p in range(start, end) if p in model})
        assert flat(table) == model
        assert table.mapped == len(model)
        items = list(table)
        assert len(items) == len(table)
        for before, after in itertools.pairwise(items):
            assert before.end <= after.start
            assert not before.joins(after)


@given(operations, ranges, st.integers(0, PAGES), st.integers(0, PAGES), st.integers(1, 12))
def test_questions_agree_with_a_dictionary(
    steps: list[tuple], asked: tuple[int, int], ceiling: int, floor: int, size: int
) -> None:
    table = Regions()
    for what, (start, end), *rest in steps:
        table.remove(start, end)
        if what == "map":
            table.insert(Region(start, end, rest[0]))
    model = flat(table)
    start, end = asked
    assert table.covered(start, end) == all(p in model for p in range(start, end))
    assert bool(table.overlapping(start, end)) == any(p in model for p in range(start, end))
    for page in range(PAGES):
        found = table.lookup(page)
        assert (found is not None) == (page in model)
        assert found is None or found.start <= page < found.end
    above, below = table.above(start), table.below(start)
    assert above is None or above.start >= start
    assert below is None or below.start < start
    starts = [region.start for region in table]
    assert (above is None) == all(s < start for s in starts)
    assert (below is None) == all(s >= start for s in starts)
    free = [
        at for at in range(floor, ceiling - size + 1) if not any(p in model for p in range(at, at + size))
    ]
    assert table.gap_below(ceiling, floor, size) == (free[-1] if free else None)


def test_an_empty_range_is_nothing() -> None:
    table = Regions()
    table.insert(Region(10, 20, 3))
    assert table.remove(15, 15) == []
    assert table.overlapping(15, 15) == []
    assert table.covered(15, 15)
    assert len(table) == 1


def test_neighbours_join_only_where_nothing_tells_them_apart() -> None:
    file = Backing("/lib/libc.so", 1, 2)
    table = Regions()
    table.insert(Region(0, 10, 1, 0, file, 100))
    table.insert(Region(10, 20, 1, 0, file, 110))
    assert len(table) == 1
    table.insert(Region(20, 30, 1, 0, file, 999))  # another place in the file
    table.insert(Region(30, 40, 1, 0, Backing("/lib/libc.so", 1, 2), 1009))  # another call of map
    table.insert(Region(40, 50, 1, name="[heap]"))
    table.insert(Region(50, 60, 1))
    assert len(table) == 5
    table.insert(Region(70, 80, 1))
    table.insert(Region(60, 70, 1))  # closes the gap between two
    assert [(r.start, r.end) for r in table][-1] == (50, 80)


def test_iterating_survives_changes() -> None:
    table = Regions()
    for i in range(10):
        table.insert(Region(i * 10, i * 10 + 5, 3))
    for region in table:
        table.remove(region.start, region.end)
    assert len(table) == 0
    assert table.mapped == 0


def test_a_region_shows_itself() -> None:
    assert Region(0, 4096, 5).permissions == "r-xp"
    assert Region(0, 4096, 3, 1).permissions == "rw-s"
    assert Region(0, 4096, 3, 1).shared
    assert Region(4096, 8192, 0).size == 4096
    assert repr(Region(0x1000, 0x2000, 3, name="[heap]")) == "<Region 0x1000-0x2000 rw-p [heap]>"
    assert repr(Region(0x1000, 0x2000, 0)) == "<Region 0x1000-0x2000 ---p>"
    assert "libc+0x10" in repr(Region(0, 1, 1, 0, Backing("libc"), 16))
    assert "libc" in repr(Backing("libc"))


@given(
    operations,
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([PAGES, PAGES, PAGES - 7])), min_size=31),
)
def test_searches_between_changes_find_the_same(steps: list[tuple], asked: list[tuple[int, int]]) -> None:
    """A search begins where the last one ended; nobody may notice."""
    table = Regions()
    for (what, (start, end), *rest), (size, ceiling) in zip(steps, asked, strict=False):
        table.remove(start, end)
        if what == "map":
            table.insert(Region(start, end, rest[0]))
        taken = flat(table)
        free = [at for at in range(ceiling - size + 1) if not any(p in taken for p in range(at, at + size))]
        assert table.gap_below(ceiling, 0, size) == (free[-1] if free else None)
        if free and size % 2:
            table.insert(Region(free[-1], free[-1] + size, 3))
