"""A run as it is recorded: where the guest's threads were, what was compiled, and every region's code as it was made.

Records one engine's process until close(). Sums are kept instead of single looks, so that an hour of a program takes
no more memory than a minute; which guest instruction a host instruction belongs to is left to who reads the recording.
"""

from __future__ import annotations

import marshal
from bisect import bisect_right
from typing import TYPE_CHECKING

from polyvm.debug import unwind
from polyvm.debug.arrivals import Arrivals
from polyvm.debug.flame import ended
from polyvm.debug.functions import Functions
from polyvm.debug.sampler import TIERS, Sample, Sampler, Where, tier_of
from polyvm.memory import host

if TYPE_CHECKING:
    from typing import Any

    from polyvm.engine.executor import Engine
    from polyvm.engine.units import Unit
    from polyvm.user.process import Process


PERIOD_S = 0.01
BUCKETS = 240
"""Parts of the run's time that are told apart; when there are more, two become one."""
MAX_STACKS = 20_000
"""Different stacks; looks at further ones count for their innermost function alone."""
MAX_UNITS = 4096
"""Regions that are remembered; of later ones it is only known that they were made."""
MAX_FRAMES = 64


class Made:
    """A region that was installed: its description, image and code (engine.units), when, and whether compiled then."""

    __slots__ = (
        "at",
        "code",
        "compiled",
        "cpu_s",
        "entry",
        "meta",
        "number",
        "places",
        "tries",
        "unit_pc",
        "when",
    )

    def __init__(self, number: int, unit: Unit, when: float, compiled: bool) -> None:
        image = unit.image
        self.number = number
        self.unit_pc = unit.pc
        self.tries = unit.tries
        self.when = when
        self.compiled = compiled
        self.cpu_s = unit.compile_s
        self.at = image.base
        self.entry = image.exports["unit"]
        self.meta = image.meta
        self.code = bytes(host.peek(image.base, image.size))
        self.places = image.sections.get("pvq", (0, 0))


class Timeline:
    """Processor seconds of each tier over the run, in at most BUCKETS parts of equal length."""

    def __init__(self, width: float = PERIOD_S) -> None:
        self.width = width
        self.parts: list[list[float]] = []

    def add(self, when: float, tier: str, cpu_s: float) -> None:
        """Some seconds of one thread that ended at a time: it cannot have spent them in less time than that."""
        number = TIERS.index(tier)
        start = max(0.0, when - cpu_s)
        last = self._part(when)
        for part in range(self._part(start), last):
            piece = max(0.0, min(cpu_s, (part + 1) * self.width - start))
            self.parts[part][number] += piece
            start, cpu_s = (part + 1) * self.width, cpu_s - piece
        self.parts[last][number] += cpu_s

    def _part(self, when: float) -> int:
        """The part that a time is in, which is made."""
        while when >= self.width * BUCKETS:
            self.width *= 2
            self.parts = [
                [sum(pair) for pair in zip(*self.parts[i : i + 2], strict=True)]
                for i in range(0, len(self.parts), 2)
            ]
        number = int(when / self.width)
        while len(self.parts) <= number:
            self.parts.append([0.0] * len(TIERS))
        return number


def _plain(meta: bytes) -> dict[str, Any]:
    """A region's description without marshal, which is for files that nobody else wrote."""
    from polyvm.debug.recording import pack

    found: dict[str, Any] = marshal.loads(meta)
    return {
        key: found[key] for key in ("pc", "kind", "asked", "entries", "insns", "hot", "seen", "unmet")
    } | {"code": [[at, pack(code)] for at, code in found["code"]]}


class Recorder:
    """Records a process from now on. Raises what starting a thread raises."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.functions = Functions(process.space)
        self.timeline = Timeline()
        self.stacks: dict[tuple[int, ...], int] = {}
        self.looks: dict[tuple[int, str, int, int], list[float]] = {}  # (stack, tier, region or -1, place)
        self.made: list[Made] = []
        self.events: list[tuple[float, int, bool, int, int, float, int]] = []
        self.where = Where[Made]()
        self.blocks: list[tuple[int, int, int]] = []  # of tier 1: host address, guest address, bytes
        self.blocks_of = (0, 0)  # resets of the arena, and bytes used, when they were read
        process.space.on_code_drop(lambda start, end: self.functions.forget())
        self.arrivals = Arrivals(process, self._installed)
        self.sampler = Sampler(process, PERIOD_S, self._look, self._tick)

    def close(self) -> None:
        """End."""
        self.sampler.close()

    # -- what the engine tells
    def _installed(self, unit: Unit, compiled: bool) -> None:
        when = self._now()
        self.events.append(
            (when, unit.pc, compiled, unit.insns, unit.image.size, unit.compile_s, len(self.made))
        )
        if len(self.made) < MAX_UNITS:
            made = Made(len(self.made), unit, when, compiled)
            self.made.append(made)
            self.where.add(unit, made)

    def _now(self) -> float:
        import time

        sampler = getattr(self, "sampler", None)
        return 0.0 if sampler is None else time.monotonic() - sampler.began

    # -- what the sampler tells
    def _tick(self, now: float) -> None:
        self.arrivals.follow()

    def _look(self, sample: Sample) -> None:
        engine = self.arrivals.engine
        tier = tier_of(engine, sample.rip)
        unit, place = -1, sample.pc
        if tier is None:
            found = self.where.find(sample.rip)
            if found is None:
                tier = "engine"
            else:
                tier, unit, place = "region", found[0].number, found[1]
        elif tier == "baseline":
            place = self._block(engine, sample.rip) or sample.pc
        self.timeline.add(sample.when, tier, sample.cpu_s)
        key = self._stack(sample, self.functions.at(place) if tier == "baseline" else None), tier, unit, place
        look = self.looks.get(key)
        if look is None:
            look = self.looks[key] = [0.0, 0]
        look[0] += sample.cpu_s
        look[1] += 1

    def _block(self, engine: Engine, rip: int) -> int | None:
        """The guest address of the block of tier 1 at a host PC."""
        arena = engine.native.arena
        now = arena.resets, arena.used
        if now != self.blocks_of:
            self.blocks_of = now
            self.blocks = [(at, pc, size) for pc, at, size, _ in arena.blocks()]
        index = bisect_right(self.blocks, (rip, 1 << 64, 0)) - 1
        if index < 0 or rip >= self.blocks[index][0] + self.blocks[index][2]:
            return None
        return self.blocks[index][1]

    def _stack(self, sample: Sample, inside: int | None) -> int:
        """The number of a look's stack: functions from the outermost to the one of the safepoint, or to that which the
        thread was inside of before.
        """
        frames = [self.functions.at(sample.pc)]
        try:
            for address, _ in unwind.walk(
                sample.registers, sample.pc, self.process.abi.DWARF_STACK, self.functions.tables,
                lambda at: self._load(sample, at), self.process.abi.RETURN,
            ):  # fmt: skip
                frames.append(self.functions.at(address - 1))
                if len(frames) == MAX_FRAMES:
                    break
        except unwind.Damaged:
            pass  # as far as it led
        stack = tuple(reversed(frames))
        if inside is not None:
            stack = ended(stack, inside)
        if stack not in self.stacks and len(self.stacks) >= MAX_STACKS:
            stack = stack[-1:]
        return self.stacks.setdefault(stack, len(self.stacks))

    def _load(self, sample: Sample, address: int) -> int:
        offset = address - sample.stack_at
        if 0 <= offset <= len(sample.stack) - 8:
            return int.from_bytes(sample.stack[offset : offset + 8], "little")
        raise unwind.Damaged("it is not in what was kept of the stack")

    def _spans(self, meta: bytes) -> list[tuple[int, int]]:
        """Of a region's code, where each function begins: (address, number), in order."""
        spans: list[tuple[int, int]] = []
        step = min(self.process.engine.guest.isa.sizes)
        for at, code in marshal.loads(meta)["code"]:
            for address in range(at, at + len(code), step):
                number = self.functions.at(address)
                if not spans or spans[-1][1] != number or address == at:
                    spans.append((address, number))
        return spans

    # -- the document
    def body(self, run: dict[str, Any]) -> dict[str, Any]:
        """The parts of a polyvm.recording/1 document; run: the polyvm.run/1 document."""
        from polyvm.debug.recording import pack

        functions = self.functions
        regions = {made.number for made in self.made}
        used = sorted({key[2] for key in self.looks if key[2] in regions})
        names = {made.number: functions.at(made.unit_pc) for made in self.made}
        body = {
            "run": run,
            "period_s": self.sampler.period,
            "stacks": [list(stack) for stack in self.stacks],
            "looks": [[*key, look[0], int(look[1])] for key, look in self.looks.items()],
            "timeline": {"tiers": TIERS, "width_s": self.timeline.width, "parts": self.timeline.parts},
            "events": self.events,
            "regions": [
                {
                    "number": made.number,
                    "pc": made.unit_pc,
                    "function": names[made.number],
                    "compiled": made.compiled,
                    "when_s": made.when,
                    "compile_s": made.cpu_s,
                    "entry": made.entry,
                    "tries": made.tries,
                    "places": made.places,
                    "spans": self._spans(made.meta),
                    "meta": _plain(made.meta),
                    "code": pack(made.code),
                }
                for made in self.made
                if made.number in used
            ],
        }
        body["functions"] = [  # all that were met by now
            {"name": f.name, "file": f.file, "start": f.start, "moved": f.moved, "known": f.known}
            for f in functions.known
        ]
        return body
