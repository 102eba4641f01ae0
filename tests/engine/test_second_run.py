"""A second run of a program compiles nothing: what the first one had compiled is found, and is enough."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyvm.engine.workers import finishing
from tests.compiled import run_until_compiled, settled
from tests.toolchain import build
from tests.user.running import polyvm

# Loops in loops, recursion, a table of functions, and an interpreter's switch, each hot: for as long as is needed.
PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
#include "hot.h"
static uint32_t grid[64][64];
int main(int argc, char **argv) {
    uint64_t sum = 1, result = 0;
    for (int turns = 0; turns < 60 || access(argv[1], F_OK); turns++) {
        for (int i = 0; i < 20000; i++) sum = run(code, sum + i);
        for (int y = 0; y < 64; y++)
            for (int x = 0; x < 64; x++) grid[y][x] += (uint32_t)(sum >> (x & 31)) + grid[x][y];
        sum += fib(18);
        for (int y = 0; y < 64; y++)
            for (int x = 0; x < 64; x++) sum += grid[y][x];
        if (turns == 59) result = sum;
    }
    printf("%llx\n", (unsigned long long)result);
    return 0;
}
"""


def run(*words: Path, result: Path) -> tuple[str, dict[str, Any]]:
    done = polyvm("--result-file", result, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, json.loads(result.read_text())


@pytest.mark.timeout(400)
def test_a_second_run_compiles_nothing(compiles: Path, tmp_path: Path, report: Callable[[str], None]) -> None:
    program = build(PROGRAM, name="second")
    stop, result = tmp_path / "stop", tmp_path / "first"
    first = run_until_compiled(compiles, stop, "--result-file", result, program)
    assert (first.returncode, first.stderr) == (0, "")
    document = json.loads(result.read_text())
    assert document["tiers"]["region"]["units"] > 0
    assert document["workers_cpu_s"] > 0
    units = settled(compiles)
    assert units
    second, document = run(program, stop, result=tmp_path / "second")
    assert second == first.stdout
    assert (document["cache"]["disk_written"], document["workers_cpu_s"]) == (0, 0)
    assert document["cache"]["disk"]["hits"] > 0
    assert document["cache"]["disk_rejected"] == 0
    assert settled(compiles) == units
    report(
        f"second run: {len(units)} names of units, {document['cache']['disk']['hits']} taken, none compiled"
    )


SHORT = r"""
#include <stdio.h>
__attribute__((noinline)) static unsigned step(unsigned a) { return a * 69069 + 1 ^ a >> 7; }
int main(void) {
    unsigned sum = 1;
    for (int i = 0; i < 1500000; i++) sum = step(sum);
    printf("%x\n", sum);
    return 0;
}
"""


def test_what_a_program_left_is_compiled_though_no_pool_was_there_yet(compiles: Path, tmp_path: Path) -> None:
    program = build(SHORT, name="short")
    first, document = run(program, result=tmp_path / "first")
    assert document["tiers"]["region"]["units"] == 0, "it is meant to be over before a compiler is there"
    assert settled(compiles)
    second, document = run(program, result=tmp_path / "second")
    assert second == first
    assert document["tiers"]["region"]["units"] > 0
    assert document["workers_cpu_s"] == 0


def test_one_process_at_a_time_compiles_what_was_left(compiles: Path, tmp_path: Path) -> None:
    program = build(SHORT, name="short")
    lock = finishing(str(compiles))
    assert lock is not None
    try:
        assert finishing(str(compiles)) is None
        run(program, result=tmp_path / "first")
        time.sleep(1.5)
        assert list(compiles.glob("units/*/*")) == []
    finally:
        os.close(lock)
