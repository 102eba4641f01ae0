"""A running program, as others may watch it: a picture of its counters, some times a second, in a file in memory.

The guest's process writes, anybody reads, and nobody waits for anybody: a picture is written beside the last one, and
then a number says which of the two holds. Who reads while both are overwritten sees it by the checksum, and reads it
again.
"""

from __future__ import annotations

import json
import mmap
import os
import time
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any

from polyvm import __version__
from polyvm.debug.arrivals import Arrivals
from polyvm.debug.functions import Functions
from polyvm.debug.sampler import TIERS, Sample, Sampler, Where, cpu_time, tier_of
from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from polyvm.engine.units import Unit
    from polyvm.user.process import Process

SCHEMA = "polyvm.live/1"
MAGIC = b"PVMLIVE1"
HALF = 1 << 18
SIZE = 4096 + 2 * HALF
PERIOD_S = 0.1
"""Between two looks at where the threads are."""
PICTURE_S = 0.25
RECENT_S = 2.0
"""What counts as now."""
REGIONS, CALLS, EVENTS, THREADS = 40, 40, 30, 64
"""Of each kind in a picture at most: the first ones."""


class Board:
    """The file: a page with its head, and two halves for pictures."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.number = int.from_bytes(memory[8:16], "little")

    @classmethod
    def make(cls, fd: int) -> Board:
        """A board in an open file, which is closed. Raises PVM-USAGE where that is none that can be mapped."""
        try:
            os.ftruncate(fd, SIZE)
            memory = mmap.mmap(fd, SIZE)
        except (OSError, ValueError) as error:
            raise PolyvmError(
                "PVM-USAGE", f"The live file cannot be mapped: {error}.", hint="It has to be a plain file."
            ) from error
        finally:
            os.close(fd)
        memory[:16] = MAGIC + bytes(8)
        return cls(memory)

    @classmethod
    def open(cls, path: str) -> Board:
        """Somebody else's board, to be read. Raises OSError, and PVM-USAGE where it is none."""
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == SIZE:
                memory = mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ)
                if memory[:8] == MAGIC:
                    return cls(memory)
        raise PolyvmError(
            "PVM-USAGE",
            f"{path} is no live file.",
            hint="polyvm run --live FILE PROGRAM keeps one.",
            path=path,
        )

    def write(self, picture: dict[str, Any]) -> None:
        """Show a picture; one that is too large is not shown."""
        data = json.dumps(picture, separators=(",", ":")).encode()
        if len(data) > HALF - 8:
            return
        number = self.number + 1
        at = 4096 + (number & 1) * HALF
        self.memory[at : at + 8 + len(data)] = (
            len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little") + data
        )
        self.memory[8:16] = number.to_bytes(8, "little")
        self.number = number

    def read(self) -> tuple[int, dict[str, Any]] | None:
        """The number and the picture that hold now; None before the first, or when it is just being replaced."""
        number = int.from_bytes(self.memory[8:16], "little")
        if not number:
            return None
        at = 4096 + (number & 1) * HALF
        size, checksum = (int.from_bytes(self.memory[i : i + 4], "little") for i in (at, at + 4))
        data = self.memory[at + 8 : at + 8 + min(size, HALF - 8)]
        if zlib.crc32(data) != checksum:
            return None
        try:
            found = json.loads(data)
        except ValueError:
            return None
        return (number, found) if isinstance(found, dict) and found.get("schema") == SCHEMA else None


class Live:
    """Keeps a board up to date with a process until close()."""

    def __init__(self, process: Process, board: Board, argv: list[str]) -> None:
        self.process = process
        self.board = board
        self.argv = argv
        self.pid = os.getpid()
        self.functions = Functions(process.space)
        self.spent = dict.fromkeys(TIERS, 0.0)
        self.recent: deque[tuple[float, str, int, float]] = deque()  # when, tier, region or -1, seconds
        self.by_region: dict[int, float] = {}
        self.where = Where[int]()
        self.made: list[tuple[Unit, bool]] = []
        self.events: deque[tuple[float, int, bool, int, float]] = deque(maxlen=EVENTS)
        self.last: dict[int, int] = {}  # by threads, the function that they were last seen in
        self.shown = -PICTURE_S
        process.space.on_code_drop(lambda start, end: self.functions.forget())
        self.arrivals = Arrivals(process, self._installed)
        self.began = time.monotonic()
        self.sampler = Sampler(process, PERIOD_S, self._look, self._tick, stacks=False)

    def close(self) -> None:
        """End, with a last picture. Raises what went wrong meanwhile."""
        self.sampler.close()
        if os.getpid() == self.pid:
            self.board.write(self.picture(time.monotonic() - self.began, ended=True))

    def _installed(self, unit: Unit, compiled: bool) -> None:
        self.events.append((time.monotonic() - self.began, unit.pc, compiled, unit.insns, unit.compile_s))
        self.where.add(unit, len(self.made))
        self.made.append((unit, compiled))

    def _look(self, sample: Sample) -> None:
        tier, region = tier_of(self.arrivals.engine, sample.rip), -1
        if tier is None:
            found = self.where.find(sample.rip)
            tier = "engine" if found is None else "region"
            if found is not None:
                region = found[0]
                self.by_region[region] = self.by_region.get(region, 0.0) + sample.cpu_s
        self.spent[tier] += sample.cpu_s
        self.recent.append((sample.when, tier, region, sample.cpu_s))
        self.last[sample.tid] = self.functions.at(sample.pc)

    def _tick(self, now: float) -> None:
        self.arrivals.follow()
        while self.recent and self.recent[0][0] < now - RECENT_S:
            self.recent.popleft()
        if now - self.shown >= PICTURE_S:
            self.shown = now
            self.board.write(self.picture(now))

    def _name(self, address: int) -> str:
        return self.functions.known[self.functions.at(address)].name

    def picture(self, now: float, *, ended: bool = False) -> dict[str, Any]:
        """A polyvm.live/1 document."""
        from polyvm.user.result import calls

        process, engine = self.process, self.arrivals.engine
        units, arena = engine.units, engine.native.arena
        recent, hot = dict.fromkeys(TIERS, 0.0), dict[int, float]()
        for _, tier, region, seconds in self.recent:
            recent[tier] += seconds
            if region >= 0:
                hot[region] = hot.get(region, 0.0) + seconds
        order = sorted(self.by_region, key=lambda region: (-hot.get(region, 0.0), -self.by_region[region]))
        end = (process.exit or ("failed", None, None)) if ended else None
        return {
            "schema": SCHEMA,
            "polyvm": __version__,
            "pid": self.pid,
            "guest": engine.name,
            "argv": self.argv,
            "now_s": now,
            "recent_s": RECENT_S,
            "ended": dict(zip(("kind", "status", "signal"), end, strict=True)) if end else None,
            "cpu_s": time.process_time(),
            "resident": _resident(),
            "tiers": self.spent,
            "tiers_recent": recent,
            "regions": [self._region(region, hot.get(region, 0.0)) for region in order[:REGIONS]],
            "code": {
                "regions": len(units.installed) if units is not None else 0,
                "region_bytes": units.bytes if units is not None else 0,
                "region_limit": units.limit if units is not None else 0,
                "compiled": units.compiled if units is not None else 0,
                "compile_s": units.compile_s if units is not None else 0.0,
                "waiting": len(engine.pending),
                "hits": units.hits if units is not None else 0,
                "misses": units.misses if units is not None else 0,
                "written": units.stored if units is not None else 0,
                "evicted": units.evicted if units is not None else 0,
                "dropped": units.dropped if units is not None else 0,
                "baseline_bytes": arena.used if arena.size else 0,
                "baseline_limit": engine.code_limit,
                "baseline_resets": arena.resets,
            },
            "calls": [
                [name, *counts]
                for name, counts in sorted(calls(process).items(), key=lambda call: -call[1][0])[:CALLS]
            ],
            "exits": engine.left(),
            "threads": [self._thread(thread) for thread in list(process.world.threads)[:THREADS]],
            "events": [
                {"when_s": when, "pc": hex(pc), "name": self._name(pc), "compiled": compiled, "insns": insns,
                 "compile_s": seconds}
                for when, pc, compiled, insns, seconds in reversed(list(self.events))
            ],
        }  # fmt: skip

    def _region(self, number: int, recent: float) -> dict[str, Any]:
        unit, compiled = self.made[number]
        return {
            "pc": hex(unit.pc), "name": self._name(unit.pc), "cpu_s": self.by_region[number], "recent_s": recent,
            "insns": unit.insns, "bytes": unit.image.size, "entries": len(unit.entries), "compiled": compiled,
            "compile_s": unit.compile_s,
        }  # fmt: skip

    def _thread(self, thread: Any) -> dict[str, Any]:
        function = self.last.get(thread.tid)
        return {
            "tid": thread.tid,
            "cpu_s": cpu_time(thread.tid) or 0.0,
            "state": _state(thread.tid),
            "native": bool(thread.native),
            "function": None if function is None else self.functions.known[function].name,
        }


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return None


def _state(tid: int) -> str:
    """A thread's state as the kernel has it (proc(5)): R, S, D and so on; "" for one that is gone."""
    try:
        with open(f"/proc/self/task/{tid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""
