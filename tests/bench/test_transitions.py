"""The microbenchmark of transitions: its program says what it should, and only right runs are compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.bench import transitions
from polyvm.bench.peers import Peer
from tests import toolchain

SOURCE = Path(__file__).parents[2] / "benchmarks" / "micro" / "transitions.c"
OURS = Peer("polyvm", "guest", "1", prefix=(sys.executable, "-m", "polyvm", "run", "--quiet"))


@pytest.mark.parametrize("mode", transitions.MODES)
@pytest.mark.parametrize("where", ["near", "far"])
@pytest.mark.parametrize("rounds", [0, 1, 6, 1001])
def test_the_program_prints_what_is_expected(mode: str, where: str, rounds: int) -> None:
    program = toolchain.build(SOURCE.read_text(), "x86_64", name="transitions")
    words = [str(program), f"{mode}-{where}", str(rounds)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) == transitions.expected(mode, rounds)


@pytest.mark.parametrize("rounds", [0, 1, 5, 999, 1000, 1003])
def test_the_short_way_to_what_is_expected(rounds: int) -> None:
    assert transitions.expected("polymorphic", rounds) == sum(i // 4 * 4 for i in range(rounds))
    assert transitions.expected("direct", rounds) == sum(range(rounds))


def test_each_kind_of_call_is_measured(code_cache: Path) -> None:
    program = toolchain.build(SOURCE.read_text(), name="transitions")
    said: list[str] = []
    found = transitions.measure(OURS, program, "small", 60, said.append)
    assert list(found) == list(transitions.MODES)
    assert all(isinstance(value, float) for value in found.values())
    assert said == [f"transitions: {mode}" for mode in transitions.MODES]


def test_a_wrong_answer_has_no_time(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("#!/bin/sh\necho 42\n")
    wrong.chmod(0o700)
    peer = Peer("polyvm", "guest", "1", prefix=("/usr/bin/env", str(wrong)))
    found = transitions.measure(peer, wrong, "small", 60, lambda text: None)
    assert found == dict.fromkeys(transitions.MODES)
