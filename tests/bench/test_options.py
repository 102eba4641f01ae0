"""What a benchmark may be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from polyvm.bench.options import Options, words
from polyvm.errors import PolyvmError


def test_words() -> None:
    assert words(" a, b,,a ") == ("a", "b")
    assert words(["b", "a"]) == ("b", "a")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"peers": ("native", "qemo")}, "there is no peer 'qemo'"),
        ({"size": "huge"}, "there is no size 'huge'"),
        ({"guest": "z80"}, "there is no guest 'z80'"),
        ({"runs": 0}, "1 or more, not 0"),
        ({"limit": 0.0}, "more than 0 seconds"),
        ({"patience": -1.0}, "more than 0 seconds"),
        ({"peers": (), "subject": None}, "nothing to measure"),
    ],
)
def test_what_is_refused(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(PolyvmError, match=why) as caught:
        Options(**asked)
    assert caught.value.code == "PVM-USAGE"
