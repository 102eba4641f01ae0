"""Stacks that are put together, and the tree of them: nothing is lost, nothing counts twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.debug import flame

STACKS = st.lists(
    st.tuples(st.lists(st.integers(0, 5), min_size=1, max_size=6).map(tuple), st.sampled_from(["region", "engine"]),
              st.floats(0.001, 1)), max_size=40,
)  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "inside", "whole"),
    [
        ((1, 2, 3), 3, (1, 2, 3)),  # it stopped where it was
        ((1, 2, 3), 2, (1, 2)),  # it has called since
        ((1, 2, 3), 4, (1, 2, 3, 4)),  # it has returned since
        ((1, 2, 3, 2, 3), 2, (1, 2, 3, 2)),  # the innermost of several
        ((7,), 4, (4,)),  # without callers nobody knows who called whom
        ((7,), 7, (7,)),
    ],
)
def test_where_it_was_and_where_it_stopped(
    stack: tuple[int, ...], inside: int, whole: tuple[int, ...]
) -> None:
    assert flame.ended(stack, inside) == whole


@given(STACKS, st.floats(0, 2))
def test_a_tree_has_all_seconds(looks: list[tuple[tuple[int, ...], str, float]], least: float) -> None:
    root = flame.tree(looks, least)
    assert root["t"] == pytest.approx(sum(seconds for _, _, seconds in looks), abs=1e-5)

    def check(node: dict[str, Any]) -> None:
        parts = sum(child["t"] for child in node["c"]) + sum(node["s"].values()) + node.get("o", 0.0)
        assert parts == pytest.approx(node["t"], abs=1e-4)
        assert [child["t"] for child in node["c"]] == sorted(
            (child["t"] for child in node["c"]), reverse=True
        )
        for child in node["c"]:
            assert child["t"] >= least - 1e-6
            check(child)

    check(root)


def test_what_a_function_has_itself_is_by_tiers() -> None:
    root = flame.tree([((1, 2), "region", 2.0), ((1,), "engine", 1.0), ((1,), "region", 0.5)], 0)
    (one,) = root["c"]
    assert (one["f"], one["t"], one["s"]) == (1, 3.5, {"engine": 1.0, "region": 0.5})
    assert [(child["f"], child["t"]) for child in one["c"]] == [(2, 2.0)]
