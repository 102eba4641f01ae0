"""Recordings as files: what is written is read again, and nothing that was changed is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.debug import recording
from polyvm.errors import PolyvmError

BODY = {
    "run": {"guest": "riscv64"},
    "looks": [[0, "region", 1, 16, 0.25, 3]],
    "code": recording.pack(b"abc" * 50),
}


@given(st.binary(max_size=2000))
def test_pieces_come_back(data: bytes) -> None:
    assert recording.unpack(recording.pack(data)) == data


def test_what_is_no_piece_is_refused() -> None:
    whole = recording.pack(b"abcdef" * 100)
    for text in ("", "%", whole[:-8], "YWJj"):
        with pytest.raises(ValueError, match=r".*"):
            recording.unpack(text)


def test_a_file_is_read_again() -> None:
    assert recording.load(recording.dump(BODY), "it") == BODY


def refused(data: bytes) -> str:
    with pytest.raises(PolyvmError) as caught:
        recording.load(data, "it")
    assert caught.value.code == "PVM-RECORDING-REFUSED"
    return caught.value.message


def test_whose_it_is_not_is_said() -> None:
    assert "is no recording" in refused(b"{}")
    assert "is no recording" in refused(b"[1]")
    assert "damaged, or no recording" in refused(b"")
    other = json.loads(recording.dump(BODY)) | {"schema": "polyvm.recording/9"}
    assert "another version" in refused(json.dumps(other).encode())


@given(st.integers(0, len(recording.dump(BODY)) - 2), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(place: int, change: int) -> None:
    data = bytearray(recording.dump(BODY))
    data[place] ^= change
    try:
        found = recording.load(bytes(data), "it")
    except PolyvmError as error:
        assert error.code == "PVM-RECORDING-REFUSED"  # noqa: PT017  # either way is right
    else:
        assert found == BODY


@given(st.integers(0, len(recording.dump(BODY)) - 2))
def test_a_file_that_was_cut_is_refused(size: int) -> None:
    refused(recording.dump(BODY)[:size])
