"""What it costs to get from one compiled region into another, in nanoseconds.

`benchmarks/micro/transitions.c` calls functions that are compiled together with their caller, and the same with regions
of their own: a round of the latter has two transitions more, the call and the return.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from polyvm.bench import stats, subject
from polyvm.bench.peers import Peer

MODES = ("direct", "indirect", "polymorphic")
ROUNDS = {"full": 100_000_000, "quick": 20_000_000, "small": 200_000}
RUNS = 3

Times = dict[str, float | None]


def measure(peer: Peer, program: Path, size: str, limit: float, say: Callable[[str], None]) -> Times:
    """Nanoseconds of a transition by the kind of its call; None where a run failed or said something else."""
    return {mode: _transition(peer, program, mode, ROUNDS[size], limit, say) for mode in MODES}


def expected(mode: str, rounds: int) -> int:
    """What the program prints. Function n of four turns x into x ^ n, and is called when x % 4 == n; so x // 4 * 4."""
    if mode == "polymorphic":
        whole, rest = divmod(rounds, 4)
        return 16 * (whole * (whole - 1) // 2) + 4 * whole * rest
    return rounds * (rounds - 1) // 2


def _transition(
    peer: Peer, program: Path, mode: str, rounds: int, limit: float, say: Callable[[str], None]
) -> float | None:
    text = str(expected(mode, rounds))
    times: dict[str, list[float]] = {"near": [], "far": []}

    def run(where: str) -> subject.Outcome:
        return subject.observe(peer, program, (f"{mode}-{where}", str(rounds)), limit=limit)

    say(f"transitions: {mode}")
    for where in times:
        subject.warm_up(partial(run, where))
    for _ in range(RUNS):
        for where, found in times.items():
            sample = run(where).sample
            if sample.status != 0 or sample.output != text:
                return None
            found.append(sample.cpu_s)
    near, far = stats.median(times["near"]), stats.median(times["far"])
    return None if near is None or far is None else (far - near) / rounds / 2 * 1e9
