"""A guest of the engine with a small program in its memory, whose regions are compiled in this process when it is told.

The real engine, but for the pool of compile processes: tests decide when a compilation begins and when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from polyvm.engine import layout, worker
from polyvm.engine.cpu import Cpu
from polyvm.engine.executor import Engine, GuestCpu, code_page
from polyvm.engine.layout import REASONS, ST
from polyvm.engine.lockstep import Here
from polyvm.engine.units import Unit
from polyvm.engine.workers import Job
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace
from tests.engine.assembly import Program

DATA, DATA_SIZE = 0x40000, 0x4000


class Queue:
    """Stands for the connection to the compilers: jobs wait until a test has them done."""

    def __init__(self) -> None:
        self.failed = ""
        self.cpu_s = 0.0
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        """Queue a region."""
        self.jobs.append(job)

    def finish(self, *, lose: bool = False) -> Job:
        """Have the oldest job done, as engine.workers does it; or lose it, as when the compiler ends."""
        job = self.jobs.pop(0)
        if lose or not job.wanted(job):
            job.done(job, None, 0.0)
            return job
        self.cpu_s += 1.0
        job.done(job, Here("riscv64").compile(job), 1.0)
        return job


class Guest:
    """One thread of a program; `folder` is the code cache. It is to be closed."""

    def __init__(
        self, program: Program, folder: Path | str, *, tier: str = "region", counted: bool = False
    ) -> None:
        self.program = program
        self.engine = Engine("riscv64", tier=tier, folder=str(folder), counted=counted)
        self.space = AddressSpace(32)
        self.load(program)
        self.space.map(DATA, DATA_SIZE, READ | WRITE)
        self.cpu: GuestCpu = self.engine.thread(self.space)
        self.cpu.pc = program.start
        self.queue = Queue()
        self.engine.compilers = self.queue  # type: ignore[assignment]  # as much of it as the engine uses

    def load(self, program: Program) -> None:
        """Map a program's code."""
        size = -(-len(program.code) // 4096) * 4096
        self.space.map(program.start, size, READ | WRITE)
        self.space.write(program.start, program.code)
        self.space.protect(program.start, size, READ | EXEC)

    def close(self) -> None:
        """Give everything back."""
        if self.engine.units is not None:
            self.engine.units.drop_all(self.space)
        self.cpu.close()
        self.space.close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- units
    def compile(
        self,
        entry: str | int | None = None,
        entries: Iterable[str | int] = (),
        *,
        observed: dict[int, list[int]] | None = None,
        tries: int = 1,
        ran: bool = False,
    ) -> bytes:
        """The image of a unit; with `ran`, of what was executed so far."""
        units = self.engine.units
        assert units is not None
        data = worker.compile_unit(
            "riscv64",
            self.program.start if entry is None else self.at(entry),
            [self.at(place) for place in entries],
            observed or {},
            lambda address: code_page(self.space, address),
            ran=(lambda address: self.engine.ran(self.space, address)) if ran else None,
            kind=units.kind,
            tries=tries,
        )
        assert data is not None
        return data

    def install(self, data: bytes) -> Unit:
        """Have a unit in use."""
        units = self.engine.units
        assert units is not None
        unit = units.install(self.space, data)
        assert unit is not None
        return unit

    def at(self, place: str | int) -> int:
        """The address of a label."""
        return place if isinstance(place, int) else self.program[place]

    # -- running
    def set(self, **registers: int) -> None:
        """Write registers by name."""
        for name, value in registers.items():
            self.cpu.write(name, value)

    def once(self, place: str | int | None = None) -> str:
        """Run until native code is left, for whatever reason, which is given."""
        if place is not None:
            self.cpu.pc = self.at(place)
        return REASONS[Cpu.run(self.cpu)]

    def run(self, place: str | int | None = None) -> str:
        """Run as the layers above do: the engine's own business is done on the way."""
        if place is not None:
            self.cpu.pc = self.at(place)
        return REASONS[self.cpu.run()]

    @property
    def hot_pc(self) -> int:
        """What got hot last."""
        return self.cpu._words[ST["hot_pc"] >> 3]

    def heat(self, place: str | int) -> int:
        """How many more jumps until a place is hot."""
        return self.cpu.hot_cells[(self.at(place) >> 1) % layout.COUNTERS]

    def log(self) -> list[tuple[int, int]]:
        """The dynamic jumps logged."""
        count = min(self.cpu._halves[ST["log_next"] >> 2], layout.LOG_ENTRIES)
        at = layout.LOG >> 3
        words = self.cpu._words
        return [(words[at + 2 * n], words[at + 2 * n + 1]) for n in range(count)]


def wait(what: object, seconds: float = 60.0) -> None:
    """Until a function says yes; a test that waits for nothing fails."""
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)
