"""Text and documents: tables, sizes and times, JSON without json, and the document of a run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.cli import output, rundocument
from polyvm.cli.jsontext import dump
from polyvm.errors import PolyvmError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_text_is_json(value: Any) -> None:
    assert json.loads(dump(value)) == value
    assert "\n" not in dump(value)


def test_numbers_that_json_has_no_word_for() -> None:
    assert dump([float("nan"), float("inf"), -float("inf"), (1, 2)]) == "[null, null, null, [1, 2]]"


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), {"a": b""}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no place in a document"):
        dump(value)


def test_tables() -> None:
    rows = [("name", "size"), ("a", "1"), ("longer", "1000")]
    assert output.table(rows, right=".r") == "name    size\na          1\nlonger  1000\n"
    assert output.table([]) == ""
    assert output.table([("a", "")], indent="  ") == "  a\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 << 10, "1.5 MiB"), (5 << 40, "5120.0 GiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.parametrize(("value", "text"), [(0.0015, "1.5 ms"), (1.0, "1.00 s"), (75.25, "1 min 15.2 s")])
def test_times(value: float, text: str) -> None:
    assert output.seconds(value) == text


def test_an_empty_document_has_every_key_and_is_told() -> None:
    document = rundocument.empty("/bin/x", ["x", "y"])
    assert document["exit"]["kind"] == "failed"
    text = rundocument.stats(document)
    assert text.startswith("polyvm: a program x, failed\n")
    assert "memory unknown" in text


def test_a_failure_in_the_document() -> None:
    document = rundocument.empty("x", [])
    rundocument.failed(document, PolyvmError("PVM-FILE-MISSING", "Not there.", path="x"))
    assert document["exit"] == {"kind": "failed", "status": 127, "signal": None}
    assert document["error"]["context"] == {"path": "x"}


def test_merging_keeps_the_schema() -> None:
    document = rundocument.empty("x", [])
    rundocument.merge(
        document, {"tiers": {"region": {"units": 3}}, "cache": {"disk": {"hits": 1}, "disk_written": 2}}
    )
    assert document["tiers"]["region"]["units"] == 3
    assert document["tiers"]["region"]["insns"] is None
    assert document["cache"]["disk"] == {"hits": 1, "misses": None}
    assert document["cache"]["disk_written"] == 2


def test_the_summary_names_what_is_most() -> None:
    document = rundocument.empty("x", [])
    document["exit"] = {"kind": "signaled", "status": None, "signal": 11}
    document["syscalls"] = {f"call{n}": {"count": n, "errors": 0, "native": 0} for n in range(12)}
    document["unknown_syscalls"] = {"999": 2}
    document["faults"] = {"SIGSEGV": 1}
    document["cache"]["disk"] = {"hits": 1, "misses": 2}
    document["cache"]["disk_rejected"] = 3
    text = rundocument.stats(document)
    assert "killed by SIGSEGV" in text
    assert "system calls: call11 11, call10 10" in text
    assert "and 3 more kinds" in text
    assert "unknown system calls: 999 2" in text
    assert ", 3 rejected\n" in text
