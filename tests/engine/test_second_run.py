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
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
static uint64_t add(uint64_t a) { return a + 3; }
static uint64_t mix(uint64_t a) { return a ^ a << 7; }
static uint64_t turn(uint64_t a) { return a >> 9 | a << 55; }
static uint64_t (*volatile const table[])(uint64_t) = {add, mix, turn, mix};
__attribute__((noinline)) static uint64_t fib(uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__attribute__((noinline)) static uint64_t run(const uint8_t *code, uint64_t a) {
    for (;;)
        switch (*code++) {
        case 0: return a;
        case 1: a += 17; break;
        case 2: a ^= a >> 3; break;
        case 3: a = table[a & 3](a); break;
        case 4: if (a & 1) code++; break;
        case 5: a *= 5; break;
        case 6: a -= fib(a & 7); break;
        default: a = ~a;
        }
}
static const uint8_t code[] = {1, 4, 5, 2, 3, 6, 4, 7, 1, 3, 5, 4, 2, 3, 9, 0};
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
