"""What a recorded run shows, as a polyvm.report/1 document: where its time went, and the code that it went to.

Reads a recording (debug.recording), or the polyvm.run/1 document of --result-file, which has less in it. The host code
of a region is what ran; what stands beside it was made again from the same guest code, and is shown only if the two
are one (debug.relower).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from polyvm import __version__
from polyvm.debug import flame, optext, sourcelines
from polyvm.debug.extras import wanted
from polyvm.debug.recorder import MAX_FRAMES
from polyvm.debug.recording import refused, unpack
from polyvm.debug.relower import Relowered, relower
from polyvm.isa import MACHINES

if TYPE_CHECKING:
    from polyvm.engine.guest import Guest
    from polyvm.isa.spec import Isa

Json = dict[str, Any]

GUESTS = tuple(MACHINES.values())
TOP = 20
"""Regions that are shown whole, the hottest, unless it is said otherwise."""
SHOWN = 500
"""Regions that are listed."""
LEAST = 1 / 2000
"""Of all time: what a function has to have, with all that it calls, to be in the flame graph."""
MAX_LINES = 60_000
"""Of one kind of text of a region: the rest of a larger one is left out, and the last line says so."""


def document(
    source: Json, name: str, *, top: int = TOP, tell: Callable[[str], object] = lambda _: None
) -> Json:
    """The polyvm.report/1 document of a recording, or of a polyvm.run/1 document.

    top: regions whose code is shown. tell: told a line now and then. Raises PVM-RECORDING-REFUSED for what holds
    something else than it should, PVM-EXTRA-MISSING when a package is missing.
    """
    try:
        if source.get("schema") == "polyvm.run/1":
            return _without(source)
        return _Report(source, top, tell).document()
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, AssertionError) as error:
        raise refused(name, "holds something else than a recording does") from error


def _without(run: Json) -> Json:
    """The document of a run that was not recorded."""
    return {
        "schema": "polyvm.report/1",
        "polyvm": __version__,
        "run": run,
        "recorded": False,
        "cpu_s": 0.0,
        "period_s": None,
        "tiers": {},
        "functions": [],
        "flame": None,
        "timeline": None,
        "events": [],
        "regions": [],
        "sources": [],
        "host_cpu": None,
    }


class _Report:
    def __init__(self, recording: Json, top: int, tell: Callable[[str], object]) -> None:
        self.recording = recording
        self.top = top
        self.tell = tell
        self.functions = recording["functions"]
        self.regions = {region["number"]: region for region in recording["regions"]}
        self.looks: dict[int, list[tuple[int, float]]] = {}  # of a region: (offset, seconds)
        self.spent: dict[int, float] = {}
        self.count: dict[int, int] = {}
        for _, _, number, place, seconds, times in recording["looks"]:
            if number in self.regions:
                self.count[number] = self.count.get(number, 0) + times
                self.looks.setdefault(number, []).append((place, seconds))
                self.spent[number] = self.spent.get(number, 0.0) + seconds
        self.total = sum(look[4] for look in recording["looks"])
        self.sources: dict[str, int] = {}
        self.lines: dict[int, dict[int, str]] = {}
        self.programs: dict[str, sourcelines.Program] = {}
        self.made: dict[int, Relowered] = {}
        self.starts = {f["start"]: f["name"] for f in self.functions if f["start"] is not None and f["known"]}

    def document(self) -> Json:
        recording = self.recording
        guest = _guest(recording["run"]["guest"])
        hottest = sorted(self.spent, key=lambda number: -self.spent[number])
        regions = []
        for rank, number in enumerate(hottest[:SHOWN]):
            region = self.regions[number]
            whole = rank < self.top
            if whole:
                self.tell(
                    f"region {rank + 1} of {min(self.top, len(hottest))}: {self._name(region['function'])}"
                )
            regions.append(self._region(guest, region, whole))
        tiers: dict[str, float] = {}
        for _, tier, _, _, seconds, _ in recording["looks"]:
            tiers[tier] = tiers.get(tier, 0.0) + seconds
        return {
            "schema": "polyvm.report/1",
            "polyvm": __version__,
            "run": recording["run"],
            "recorded": True,
            "cpu_s": self.total,
            "period_s": recording["period_s"],
            "tiers": {tier: tiers.get(tier, 0.0) for tier in recording["timeline"]["tiers"]},
            "functions": [
                {"name": f["name"], "file": f["file"], "known": f["known"]} for f in self.functions
            ],
            "flame": flame.tree(self._stacks(), self.total * LEAST),
            "timeline": recording["timeline"],
            "events": [
                {"when_s": when, "pc": hex(pc), "compiled": compiled, "insns": insns, "bytes": size,
                 "compile_s": seconds, "function": self.regions[number]["function"] if number in self.regions else None,
                 "region": number if number in self.regions else None}
                for when, pc, compiled, insns, size, seconds, number in recording["events"]
            ],
            "regions": regions,
            "sources": [
                {"path": path, "lines": sorted(self.lines[number].items())} for path, number in self.sources.items()
            ],
            "host_cpu": None if not regions else _host_cpu(),
        }  # fmt: skip

    def _name(self, number: int) -> str:
        return str(self.functions[number]["name"])

    # -- stacks
    def _stacks(self) -> Iterable[tuple[tuple[int, ...], str, float]]:
        stacks = [tuple(stack[-MAX_FRAMES:]) for stack in self.recording["stacks"]]
        known = range(len(self.functions))
        if any(number not in known for stack in stacks for number in stack):
            raise ValueError("a stack has a function that is none of the recording's")
        for stack, tier, number, place, seconds, _ in self.recording["looks"]:
            whole = stacks[stack]
            if number in self.regions:
                whole = flame.ended(whole, self._inside(number, place))
            yield whole, tier, seconds

    def _inside(self, number: int, offset: int) -> int:
        """The function that a host address of a region belongs to."""
        region = self.regions[number]
        pc = self._pc(number, offset)
        spans = region["spans"]
        index = bisect_right(spans, [pc, 1 << 62]) - 1
        return int(spans[index][1]) if index >= 0 else int(region["function"])

    def _pc(self, number: int, offset: int) -> int:
        """The guest address that a host address of a region belongs to: by its line table, else by its accesses."""
        region = self.regions[number]
        made = self.made.get(number)
        if made is not None and made.same:
            line = made.number(offset)
            return made.insns[line - 1].pc if line else int(region["pc"])
        at, size = region["places"]
        code = unpack(region["code"])
        rows = [
            (int.from_bytes(code[i : i + 4], "little"), int.from_bytes(code[i + 4 : i + 12], "little"))
            for i in range(at, at + size - 11, 12)
        ]
        index = bisect_right(rows, (offset, 1 << 64)) - 1
        return rows[index][1] if index >= 0 else int(region["pc"])

    # -- regions
    def _region(self, guest: Guest, region: Json, whole: bool) -> Json:
        number = region["number"]
        meta = region["meta"] | {"code": [(at, unpack(piece)) for at, piece in region["meta"]["code"]]}
        code = unpack(region["code"])
        seconds = self.spent[number]
        found: Json = {
            "number": number,
            "pc": hex(region["pc"]),
            "function": region["function"],
            "cpu_s": seconds,
            "looks": self.count[number],
            "compiled": region["compiled"],
            "when_s": region["when_s"],
            "compile_s": region["compile_s"],
            "kind": meta["kind"],
            "tries": region["tries"],
            "insns": meta["insns"],
            "guest_bytes": sum(len(piece) for _, piece in meta["code"]),
            "host_bytes": len(code),
            "entries": [hex(entry) for entry in meta["entries"]],
            "line": None,
            "code": None,
        }
        if whole:
            isa = guest.isa_of(str(meta["kind"]))
            made = self.made[number] = relower(isa, meta, code)
            found["code"] = self._code(isa, region, made, code)
            lines = found["code"]["guest_lines"]
            first = next((i for i, placed in enumerate(made.insns) if placed.pc == region["pc"]), 0)
            found["line"] = lines[first] if lines else None
        return found

    def _code(self, isa: Isa, region: Json, made: Relowered, code: bytes) -> Json:
        """Everything that is shown side by side. Numbers are of guest instructions, from 1 on, 0 for none."""
        from polyvm.isa import disasm

        spent: dict[int, float] = {}
        hosts: dict[int, float] = {}
        host = _host(code, region["entry"], made, region["places"][0])
        starts = [row[0] for row in host]
        for offset, seconds in self.looks[region["number"]]:
            index = bisect_right(starts, offset) - 1
            if index >= 0:
                hosts[index] = hosts.get(index, 0.0) + seconds
            if made.same:
                line = made.number(offset)
                spent[line] = spent.get(line, 0.0) + seconds
        guest_lines, of = self._lines(region, made)
        ops: list[tuple[str, int]] = []
        for line, placed in enumerate(made.insns, 1):
            ops += [(f"{placed.pc:x}:", line), *(("  " + text, line) for text in optext.lines(placed.trace))]

        def symbol(address: int) -> str | None:
            return self.starts.get(address)

        return {
            "same": made.same,
            "guest": {
                "at": [hex(placed.pc) for placed in made.insns],
                "bytes": [
                    placed.decoded.word.to_bytes(placed.decoded.insn.size, "little")[::-1].hex()
                    for placed in made.insns
                ],
                "text": [
                    disasm.disassemble(placed.decoded, placed.pc, symbol, aliases=True)
                    for placed in made.insns
                ],
                "cpu_s": [round(spent.get(line, 0.0), 6) for line in range(1, len(made.insns) + 1)],
                "block": [placed.pc in made.blocks for placed in made.insns],
                "label": [
                    self.starts.get(placed.pc) or ("entry" if placed.pc in made.entries else "")
                    for placed in made.insns
                ],
            },
            "guest_lines": guest_lines,
            "sources": of,
            "ops": _texts(ops),
            "llvm": _texts(made.emitted),
            "optimised": _texts(made.optimised),
            "host": {
                "at": [row[0] for row in host],
                "bytes": [row[1] for row in host],
                "text": [row[2] for row in host],
                "of": [made.number(row[0]) if made.same else 0 for row in host],
                "cpu_s": [round(hosts.get(index, 0.0), 6) for index in range(len(host))],
            },
        }

    def _lines(self, region: Json, made: Relowered) -> tuple[list[list[int] | None], list[int]]:
        """For each guest instruction (source, line), or None; and the sources, the function's own first."""
        functions: dict[int, list[int]] = {}
        spans = region["spans"]
        for index, placed in enumerate(made.insns):
            at = bisect_right(spans, [placed.pc, 1 << 62]) - 1
            functions.setdefault(spans[at][1] if at >= 0 else region["function"], []).append(index)
        lines: list[list[int] | None] = [None] * len(made.insns)
        for number, indices in functions.items():
            file, moved = self.functions[number]["file"], self.functions[number]["moved"]
            if not file:
                continue
            program = self.programs.get(file)
            if program is None:
                program = self.programs[file] = sourcelines.Program(file)
            same = [
                i
                for i in indices
                if program.holds(
                    made.insns[i].pc - moved,
                    made.insns[i].decoded.word.to_bytes(made.insns[i].decoded.insn.size, "little"),
                )
            ]
            found = program.lines([made.insns[i].pc - moved for i in same])
            for i in same:
                line = found.get(made.insns[i].pc - moved)
                if line is not None:
                    lines[i] = [self._source(line[0]), line[1]]
        used = [line for line in lines if line is not None]
        for number in dict.fromkeys(line[0] for line in used):
            path = next(path for path, known in self.sources.items() if known == number)
            own = [line[1] for line in used if line[0] == number]
            self.lines[number].update(sourcelines.text_of(path, min(own), max(own)))
        count = {n: sum(1 for line in used if line[0] == n) for n in {line[0] for line in used}}
        return lines, sorted(count, key=lambda n: -count[n])

    def _source(self, path: str) -> int:
        number = self.sources.setdefault(path, len(self.sources))
        self.lines.setdefault(number, {})
        return number


def _texts(lines: list[tuple[str, int]]) -> Json:
    """Lines of text with their numbers."""
    kept = lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        kept = [*kept, (f"; {len(lines) - MAX_LINES} more lines are left out", 0)]
    return {"text": [text for text, _ in kept], "of": [number for _, number in kept]}


def _host(code: bytes, entry: int, made: Relowered, tables: int) -> list[tuple[int, str, str]]:
    """The host's instructions: (distance from the image's beginning, bytes, text). Behind the code there are tables;
    where nobody knows how long it is, all up to the first of them that is known counts.
    """
    capstone = wanted("capstone", "capstone", "polyvm report")
    end = made.end or tables or len(code)
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.skipdata = True
    return [
        (address, bytes(raw).hex(), f"{name} {operands}".rstrip())
        for address, size, name, operands in engine.disasm_lite(code[:end], 0)
        if address >= entry
        for raw in (code[address : address + size],)
    ]


def _guest(name: str) -> Guest:
    if name not in GUESTS:
        raise ValueError(f"{name!r} is no guest")
    from polyvm.engine.guest import Guest
    from polyvm.engine.worker import prepared

    prepared(name)
    return Guest(name)


def _host_cpu() -> str:
    from polyvm.engine import compile as compiler

    return f"{os.uname().machine}, {compiler.host_cpu()[0]}"
