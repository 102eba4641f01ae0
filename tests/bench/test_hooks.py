"""The measurement of hooks: it counts its calls itself, here it runs once for each emulator."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from polyvm.bench import hook_peer, hooks


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "ROUNDS", 1)


def test_both_emulators_are_measured() -> None:
    if importlib.util.find_spec("unicorn") is None:
        pytest.skip("unicorn is not installed")
    said: list[str] = []
    found = hooks.compare(["native", "polyvm", "unicorn"], said.append)
    assert list(found) == ["polyvm", "unicorn"]
    for figures in found.values():
        assert set(figures) == set(hooks.FIGURES)
        assert all(value > 0 for value in figures.values())
    assert said == ["hooks: polyvm, 1 of 1", "hooks: unicorn, 1 of 1"]


def test_one_that_cannot_run_has_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "peer.py"
    broken.write_text("import sys; sys.exit(70)")
    monkeypatch.setattr(hooks, "PEER", broken)
    assert hooks.compare(["polyvm"], lambda text: None) == {"polyvm": None}


@pytest.mark.parametrize("name", ["polyvm", "unicorn"])
def test_hooks_are_called_as_often_as_they_should(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    runs = {"polyvm": hook_peer.polyvm_runs, "unicorn": hook_peer.unicorn_runs}[name](hooks.loop())
    assert [runs(7, hook)[1] for hook in ("", "code", "memory", "elsewhere", "")] == [0, 35, 14, 0, 0]
    for constant in ("PLAIN", "CALLED", "UNWATCHED"):
        monkeypatch.setattr(hook_peer, constant, 10)
    assert set(hook_peer.measure(runs)) == set(hooks.FIGURES)
    with pytest.raises(AssertionError):
        hook_peer.measure(lambda turns, hook: (1.0, 3))
