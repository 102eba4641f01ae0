"""The script that writes the manifest's outputs: it changes the one that is meant, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import script

BLESS = script(Path(__file__).parents[2] / "benchmarks" / "bless.py")
TEXT = """
[[workload]]
name = "one"
output.full = "a"
output.small = "b"

[[workload]]
name = "two"
output.small = "b"
"""


def test_one_output_is_replaced() -> None:
    assert BLESS.blessed(TEXT, "two", "small", "new") == TEXT[::-1].replace('"b"', '"wen"', 1)[::-1]
    assert BLESS.blessed(TEXT, "one", "small", r"\1") == TEXT.replace('"b"', r'"\1"', 1)


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(SystemExit, match=r"two has no output\.full"):
        BLESS.blessed(TEXT, "two", "full", "new")


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("\tmulps\t%xmm1, %xmm2", True),
        ("\tvaddpd\t%ymm1, %ymm2, %ymm3", True),
        ("\tpaddd\t%xmm1, %xmm2", True),
        ("\taddsd\t%xmm1, %xmm2", False),
        ("\tpushq\t%rbp", False),
        ("\taddq\t$8, %rax", False),
    ],
)
def test_packed_arithmetic(line: str, counts: bool) -> None:
    assert bool(BLESS.PACKED.match(line)) is counts
