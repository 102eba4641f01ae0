"""How compilation scales, read off a real code cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.bench import compiling
from polyvm.bench.compiling import Region
from polyvm.engine import image
from tests import toolchain
from tests.compiled import settled

SOURCE = """
#include <stdio.h>
static unsigned char data[4096];
__attribute__((noinline)) unsigned fill(unsigned seed) {
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (seed = seed * 69069 + 1) >> 24;
    return seed;
}
__attribute__((noinline)) unsigned sum(void) {
    unsigned all = 0;
    for (unsigned i = 0; i < sizeof data; i++) all = all * 31 + data[i];
    return all;
}
int main(void) {
    unsigned all = 1;
    for (int i = 0; i < 2000; i++) all = fill(all) ^ sum();
    printf("%u\\n", all);
}
"""


def test_what_a_code_cache_holds(cold_cache: Path) -> None:
    program = toolchain.build(SOURCE, name="scaling")
    words = [sys.executable, "-m", "polyvm", "run", "--quiet", "--policy", "eager", str(program)]
    for _ in range(3):
        subprocess.run(words, check=True, capture_output=True)
    assert settled(cold_cache)
    found = compiling.regions(cold_cache)
    assert found
    for region in found:
        assert region.insns * 2 <= region.guest_bytes <= region.insns * 4
        assert region.host_bytes % image.PAGE == 0
        assert region.compile_s > 0
    table = compiling.table(found)
    assert table is not None
    assert sum(row["regions"] for row in table["rows"]) == len(found)
    assert table["bytes_per_guest_byte"] > compiling.KEPT_PER_GUEST_BYTE
    damaged = next(cold_cache.glob("units/*/*.pvu"))
    size = damaged.stat().st_size
    with open(damaged, "r+b") as file:
        file.seek(size - 9)
        file.write(b"damaged!")
    assert len(compiling.regions(cold_cache)) == len(found) - 1


def test_an_empty_cache(tmp_path: Path) -> None:
    assert compiling.regions(tmp_path) == []
    assert compiling.table([]) is None


@given(st.floats(-3, 3), st.floats(0.01, 100), st.sets(st.integers(1, 5000), min_size=2, max_size=20))
def test_the_exponent_of_a_power_law(power: float, factor: float, sizes: set[int]) -> None:
    found = compiling.exponent([(size, factor * size**power) for size in sizes])
    assert found == pytest.approx(power, abs=1e-3)


def test_there_is_no_exponent_of_one_size() -> None:
    assert compiling.exponent([(10, 1.0)]) is None
    assert compiling.exponent([(10, 1.0), (10, 2.0)]) is None
    table = compiling.table([Region(10, 40, 4096, 0.001)])
    assert table == {
        "rows": [{"insns": 10.0, "regions": 1, "us_per_insn": pytest.approx(100.0)}],
        "exponent": None,
        "bytes_per_guest_byte": pytest.approx(4096 / 40 + 9),
    }
