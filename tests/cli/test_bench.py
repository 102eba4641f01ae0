"""`polyvm bench`, as far as it is the command line's: what it hands on, prints, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyvm import bench
from polyvm.errors import PolyvmError
from tests.cli.conftest import Done

Cli = Callable[..., Done]
DOCUMENT = {"schema": "polyvm.bench/1", "interrupted": False}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the benchmark was asked for; it is not run."""
    found: list[Any] = []

    def run(options: Any) -> dict[str, object]:
        found.append(options)
        return dict(DOCUMENT)

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr(bench, "render", lambda document: "a table\n")
    monkeypatch.setattr(bench, "failure", lambda document: None)
    return found


def test_options_are_handed_on(cli: Cli, asked: list[Any]) -> None:
    words = [
        "--peers",
        "native, qemu,native",
        "--runs",
        "2",
        "--size",
        "small",
        "--no-extras",
        "--limit",
        "2m",
    ]
    done = cli("bench", *words, "--run-option=--tier=golden", "sieve", "int")
    assert (done.status, done.out) == (0, "a table\n")
    (options,) = asked
    assert options.peers == ("native", "qemu")
    assert (options.runs, options.size, options.extras, options.limit) == (2, "small", False, 120.0)
    assert options.workloads == ("sieve", "int")
    assert options.run_options == ("--tier=golden",)
    assert options.subject is not None


def test_without_polyvm_or_without_peers(cli: Cli, asked: list[Any]) -> None:
    assert cli("bench", "--no-polyvm", "--peers", "native").status == 0
    assert cli("bench", "--peers", "").status == 0
    assert asked[0].subject is None
    assert asked[1].peers == ()


def test_the_document(cli: Cli, asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert cli("bench", "--result-file", str(file)).out == "a table\n"
    assert json.loads(file.read_text()) == DOCUMENT
    assert json.loads(cli("bench", "--json").out) == DOCUMENT


def test_a_wrong_output_fails_after_the_table(
    cli: Cli, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "failure", lambda document: PolyvmError("PVM-BENCH-MISMATCH", "Wrong."))
    done = cli("bench")
    assert (done.status, done.code(), done.out) == (125, "PVM-BENCH-MISMATCH", "a table\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--runs", "0"], "is no number of 1 or more"),
        (["--runs", "x"], "is no number"),
        (["--size", "huge"], "is not one of full, quick, small"),
        (["--limit", "soon"], "is no length of time"),
        (["--peer", "native"], "Did you mean --peers?"),
    ],
)
def test_what_is_refused(cli: Cli, words: list[str], text: str) -> None:
    done = cli("bench", *words)
    assert (done.status, done.code()) == (125, "PVM-USAGE")
    assert text in done.err
