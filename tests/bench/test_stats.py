"""The arithmetic of the tables, on numbers that can be checked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from polyvm.bench import stats


def row(name: str, group: str, ratio: float | None, *, apart: bool = False) -> dict[str, Any]:
    return {"name": name, "group": group, "apart": apart, "ratio": {"native": ratio}}


def test_medians_and_ratios() -> None:
    assert stats.median([3.0, 1.0, 2.0]) == 2.0
    assert stats.median([]) is None
    assert stats.ratio(3.0, 2.0) == 1.5
    assert stats.ratio(3.0, 0.0) is None
    assert stats.ratio(None, 2.0) is None


def test_geometric_mean_leaves_out_what_is_unknown() -> None:
    assert stats.geomean([1.0, 4.0, None]) == pytest.approx(2.0)
    assert stats.geomean([None]) is None
    assert stats.geomean([]) is None


def test_what_native_vectorised_is_in_its_own_table_alone() -> None:
    rows = [
        row("a", "int", 1.0),
        row("b", "fp", 4.0),
        row("c", "fp", 100.0, apart=True),
        row("d", "real", 8.0),
    ]
    means, worst = stats.summarise(rows, ["native"], "ratio")
    assert means["c"]["native"] == pytest.approx(2.0)
    assert means["all"]["native"] == pytest.approx(math.prod((1, 4, 8)) ** (1 / 3))
    assert means["fp"]["native"] == pytest.approx(4.0)
    assert means["apart"]["native"] == pytest.approx(100.0)
    assert worst["all"]["native"] == {"name": "d", "ratio": 8.0}
    assert worst["apart"]["native"] == {"name": "c", "ratio": 100.0}
    assert "string" not in means


def test_worst_of_nothing_measured() -> None:
    means, worst = stats.summarise([row("a", "int", None)], ["native"], "ratio")
    assert means["int"]["native"] is None
    assert worst["int"]["native"] is None
