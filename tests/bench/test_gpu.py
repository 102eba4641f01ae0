"""The benchmark of GPU back ends measures what agrees, and says what it measured."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy", reason="the benchmark's data are NumPy's: pip install 'polyvm[gpu]'")
from polyvm.bench import gpu as bench
from polyvm.compute import nvrtc
from polyvm.errors import PolyvmError


def test_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        nvrtc.library()
    except PolyvmError as error:
        pytest.skip(f"{error.message} {error.hint}")
    works = bench.works()
    assert len(works) >= 20
    chosen = [work for work in works if work.name in ("saxpy 64K", "reverse")]
    monkeypatch.setattr(bench, "works", lambda: chosen)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    found = bench.measure(1)
    assert [row["name"] for row in found["works"]] == ["saxpy 64K", "reverse"]
    assert all(row["host"] > 0 for row in found["works"])
    shown = bench.text(found)
    assert "saxpy 64K" in shown
    assert "empty launch" in shown


def test_the_mean_of_ratios() -> None:
    assert bench.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert bench.geometric_mean([]) is None
    nobody = {"device": "d", "threads": 2, "peer": None, "works": [{"name": "w", "unit": "u", "host": 1.0, "peer": None,
              "ratio": None}], "geomean": None, "launch_us": {"once": 1.0}}  # fmt: skip
    assert "2 threads; beside nobody" in bench.text(nobody)
