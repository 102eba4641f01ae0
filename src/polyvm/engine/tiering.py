"""Which hot place is compiled next, and whether at all: by how often it is jumped to, and what compiling it costs.

A place's heat is an exponentially weighted moving average of jumps a second, read off the counters of native code
when somebody asks, so that a phase of the program that ended cools down by itself. A region is worth its cost when it
wins more than that in as long as the program has run so far, here and in a few runs to come.
"""

from __future__ import annotations

from polyvm.engine.layout import COUNTERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.engine.executor import GuestCpu

HALF_LIFE_S = 0.25
"""Of the average, in the process's CPU time."""
GAIN_S = 1e-8
"""What one jump wins when a region is behind it: some ten instructions that are not done by stencils."""
HORIZON = 32.0
"""As many times as long as it has run, a program is taken to run on: here, and with what it leaves on the disk."""
RUNS = 100.0
"""As many runs to come are taken to gain by what is compiled after the end, when nothing else wants the processor."""
POLICIES = ("heuristic", "eager")
"""Whether a region has to be worth its cost, or only somebody to ask for it."""
MAX_ENTRIES = 16
"""Places that a region is to be entered at because they were found hot inside of it."""
COLD_S = 2.0
"""What was not asked for as long, and is far from its cost, is not waited for any more."""
FIRST_COST_S = 0.1
"""CPU seconds that a region is taken to cost before any was compiled."""


class Heat:
    """Jumps to a place a second; 0 until it was looked at twice."""

    __slots__ = ("count", "known", "rate", "when")

    def __init__(self, count: int, when: float) -> None:
        self.count = count
        self.when = when
        self.rate = 0.0
        self.known = False

    def sample(self, count: int, now: float) -> float:
        """There were `count` jumps in all by now; the rate."""
        passed = now - self.when
        if passed > 1e-3:
            recent = (count - self.count) / passed
            keep = 0.5 ** (passed / HALF_LIFE_S) if self.known else 0.0
            self.rate = recent + (self.rate - recent) * keep
            self.count, self.when, self.known = count, now, True
        return self.rate


class Hotness:
    """The heat of the places of one engine that were hot. cpus: its threads, those of now. policy: of POLICIES."""

    def __init__(self, cpus: list[GuestCpu], policy: str = "heuristic") -> None:
        self.cpus = cpus
        self.eager = policy == "eager"
        self.heats: dict[int, Heat] = {}
        self.counted: dict[int, int] = {}  # by counter, the jumps that ran it down
        self.cost_s = FIRST_COST_S  # of a region, as a moving average

    def ran_down(self, cpu: GuestCpu, pc: int) -> None:
        """The counter of a place came to its end in a thread."""
        cell = (pc >> 1) % COUNTERS
        self.counted[cell] = self.counted.get(cell, 0) + cpu.begun.pop(cell, 0)

    def begin(self, cpu: GuestCpu, pc: int, jumps: int) -> None:
        """It counts so many from now on."""
        cell = (pc >> 1) % COUNTERS
        cpu.begun[cell] = cpu.hot_cells[cell] = jumps

    def jumps(self, pc: int) -> int:
        """To a place, or another of its counter, since it was first hot."""
        cell = (pc >> 1) % COUNTERS
        count = self.counted.get(cell, 0)
        for cpu in list(self.cpus):
            begun = cpu.begun.get(cell, 0)
            try:
                count += max(0, begun - cpu.hot_cells[cell])
            except ValueError:
                continue  # its thread has just ended
        return count

    def rate(self, pc: int, now: float) -> float:
        """Jumps a second, now."""
        heat = self.heats.get(pc)
        if heat is None:
            heat = self.heats[pc] = Heat(self.jumps(pc), now)
            return 0.0
        return heat.sample(self.jumps(pc), now)

    def learnt(self, cost_s: float) -> None:
        """What a region did cost."""
        self.cost_s += (cost_s - self.cost_s) / 4

    def score(self, places: Iterable[int], cost_s: float, asked: float, now: float) -> float:
        """How many times its cost a region for some places wins: 0 if less than once, below 0 if hopelessly less."""
        won = sum([self.rate(pc, now) for pc in places]) * GAIN_S * HORIZON * now
        cost = cost_s or self.cost_s
        if won >= cost or self.eager:
            return max(won / cost, 1.0)
        return -1.0 if now - asked > COLD_S and won * 8 < cost else 0.0

    def worth(self, places: Iterable[int], cost_s: float) -> float:
        """The same of a region that is compiled for the runs to come, when the program has ended: by all jumps so far,
        in whatever phase they were.
        """
        won = sum([self.jumps(pc) for pc in places]) * GAIN_S * RUNS
        cost = cost_s or self.cost_s
        return won / cost if won >= cost else 0.0

    def forked(self) -> None:
        """In a forked child: it counts its own jumps, in CPU time that begins anew. The parent's are the parent's."""
        self.heats.clear()
        self.counted.clear()
        for cpu in self.cpus:
            cpu.begun = {cell: cpu.hot_cells[cell] for cell in cpu.begun}

    def clear(self) -> None:
        """Another program."""
        self.heats.clear()
