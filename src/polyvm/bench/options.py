"""What a benchmark is asked to do, checked: peers, workloads, sizes, runs, limits.

Unknown names and bad numbers are PVM-USAGE; whether a peer is installed is for `peers` to find out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from polyvm.bench.build import TARGET
from polyvm.errors import PolyvmError

PEERS = ("native", "qemu", "unicorn")
SIZES = ("full", "quick", "small")
GUESTS = tuple(TARGET)


@dataclass(frozen=True)
class Options:
    """One benchmark. Times are in seconds."""

    peers: tuple[str, ...] = ("native",)
    workloads: tuple[str, ...] = ()
    """Names or groups (int, fp, string, real); empty: every C workload, and the real programs that are fetched."""
    runs: int = 3
    size: str = "full"
    guest: str = "riscv64"
    march: bool = True
    """Beside native, also a build with -march=native: the second column."""
    subject: tuple[str, ...] | None = (sys.executable, "-m", "polyvm")
    """The command that is polyvm; None measures the peers alone."""
    first_runs: bool = False
    """Also each workload's first runs, with nothing of it in the code cache."""
    extras: bool = True
    """Also start-up, guest MIPS of each tier and the cost of translation."""
    limit: float = 900.0
    """A process that runs longer is ended and counts as failed."""
    patience: float = 20.0
    """A peer whose first run took longer, and ten times native, is not run again."""
    benchmarks: Path | None = None
    """The folder with manifest.toml; default: the one that came with this polyvm."""
    run_options: tuple[str, ...] = ()
    """More options for `polyvm run`."""

    def __post_init__(self) -> None:
        for peer in self.peers:
            _one_of("peer", peer, PEERS)
        _one_of("size", self.size, SIZES)
        _one_of("guest", self.guest, GUESTS)
        if self.runs < 1:
            raise PolyvmError("PVM-USAGE", f"the number of runs must be 1 or more, not {self.runs}")
        if self.limit <= 0 or self.patience < 0:
            raise PolyvmError("PVM-USAGE", "a time limit must be more than 0 seconds")
        if not self.peers and self.subject is None:
            raise PolyvmError("PVM-USAGE", "nothing to measure: no peers, and polyvm itself left out")


def words(text: str | Iterable[str]) -> tuple[str, ...]:
    """The items of `a,b,c`, in order, each once."""
    items = text.split(",") if isinstance(text, str) else text
    return tuple(dict.fromkeys(item.strip() for item in items if item.strip()))


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise PolyvmError(
            "PVM-USAGE",
            f"there is no {what} {value!r} in the benchmark",
            hint=f"one of: {', '.join(allowed)}",
        )
