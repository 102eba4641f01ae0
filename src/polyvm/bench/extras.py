"""What is measured beside the workloads: start-up, memory, tiers, translation, transitions, hooks.

Figures that polyvm's result file does not have stay null; nothing is estimated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from polyvm.bench import compiling, hooks, stats, subject, transitions
from polyvm.bench.build import Builder
from polyvm.bench.footprint import Peak
from polyvm.bench.manifest import Workload
from polyvm.bench.measure import measure
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer
from polyvm.bench.subject import number

Json = dict[str, Any]
Say = Callable[[str], None]

# What the document has when this part did not run.
NOTHING: Json = {
    "startup": {"cold_s": None, "warm_s": None, "peers": {}, "max_rss": None},
    "footprint": {"cold": None, "warm": None, "compiling": None},
    "tier_mips": None,
    "tier_mips_of": {},
    "translate_us_per_insn": None,
    "compiling": None,
    "transitions_ns": {},
    "hooks": {},
}
MEASURED_TIERS = ("interpreter", "baseline", "region")
HELLO_RUNS = 7
TIER_LIMIT = 120.0


def measure_into(
    extra: Json,
    options: Options,
    builder: Builder,
    peers: Sequence[Peer],
    workloads: list[Workload],
    folder: Path,
    say: Say,
) -> None:
    """Fill `extra` step by step, so that an interruption keeps what is there."""
    extra["startup"] = startup = dict(NOTHING["startup"], peers={})
    hello = folder / "workloads" / "hello.c"
    ours = next((peer for peer in peers if peer.name == "polyvm"), None)
    for peer in peers:
        if peer is not ours:
            say(f"start-up: {peer.name}")
            startup["peers"][peer.name] = _hello(peer, builder.build(hello, peer.build), options)
    if ours is None:
        return
    chosen = [
        one
        for one in workloads
        if one.source is not None and one.group == "int" and not one.apart(options.guest)
    ]
    with tempfile.TemporaryDirectory() as cache:
        # One cache that is empty at first: after the first program only the interpreter is in it.
        cold = Cold(options, ours, Path(cache) / "cache")
        cold.start(extra, builder.build(hello, ours.build), say)
        cold.translation(extra, builder, chosen, say)
    tiers(extra, options, builder, ours, chosen, say)
    source = folder / "micro" / "transitions.c"
    if source.exists():  # --benchmarks may name a folder without
        program = builder.build(source, ours.build)
        extra["transitions_ns"] = transitions.measure(ours, program, options.size, options.limit, say)
    if options.guest == hooks.GUEST:
        extra["hooks"] = hooks.compare([peer.name for peer in peers], say)


class Cold:
    """Measurements that begin with an empty code cache: our own, so that the user's is left alone."""

    def __init__(self, options: Options, peer: Peer, cache: Path) -> None:
        self.options = options
        self.peer = peer
        self.cache = cache

    def run(self, program: Path, *arguments: str) -> tuple[subject.Outcome, int | None]:
        """One run, and its peak footprint."""
        peak = Peak(self.cache)
        ran = subject.observe(
            self.peer,
            program,
            arguments,
            limit=self.options.limit,
            environment={"POLYVM_CACHE_DIR": str(self.cache)},
            probe=peak.look,
        )
        return ran, peak.bytes or None

    def start(self, extra: Json, hello: Path, say: Say) -> None:
        """Hello: with nothing in the cache, then with what every program leaves there."""
        startup = extra["startup"]
        extra["footprint"] = memory = dict(NOTHING["footprint"])
        say("start-up: polyvm with an empty cache")
        first, peak = self.run(hello)
        if first.sample.status == 0 and first.sample.output == "hello":
            startup["cold_s"] = first.sample.wall_s
            memory["cold"] = peak
        say("start-up: polyvm")
        second, memory["warm"] = self.run(hello)
        subject.warm_up(lambda: subject.observe(self.peer, hello, (), limit=self.options.limit))
        startup["peers"]["polyvm"] = warm = _hello(self.peer, hello, self.options)
        startup["warm_s"] = warm["wall_s"]
        startup["max_rss"] = second.sample.max_rss

    def translation(self, extra: Json, builder: Builder, workloads: list[Workload], say: Say) -> None:
        """Microseconds of the compilers' CPU for each guest instruction compiled, over all workloads together."""
        spent = insns = 0.0
        for workload in workloads:
            assert workload.source is not None
            say(f"translation: {workload.name}")
            program = builder.build(workload.source, self.peer.build)
            ran, peak = self.run(program, workload.size[_size(self.options)])
            extra["footprint"]["compiling"] = max(extra["footprint"]["compiling"] or 0, peak or 0) or None
            done = number(ran.document, "tiers", "region", "compiled_insns")
            if done:
                insns += done
                spent += number(ran.document, "tiers", "region", "compile_s") or 0.0
        extra["translate_us_per_insn"] = spent / insns * 1e6 if spent and insns else None
        extra["compiling"] = compiling.table(compiling.regions(self.cache))


def tiers(
    extra: Json, options: Options, builder: Builder, peer: Peer, workloads: list[Workload], say: Say
) -> None:
    """MIPS: guest instructions, as the interpreter counts them, over the process's CPU time beyond its start-up."""
    size = _size(options)
    table: Json = {}
    extra["tier_mips_of"] = table
    started = extra["startup"]["peers"]["polyvm"]["cpu_s"]
    for workload in workloads:
        assert workload.source is not None
        program = builder.build(workload.source, peer.build)
        arguments = (workload.size[size],)
        row = table.setdefault(workload.name, {})
        insns: float | None = None
        for tier in MEASURED_TIERS:
            say(f"speed of tiers: {workload.name}, {tier}")
            ran = _in_tier(options, peer, tier, program, arguments)
            if ran.sample.status != 0 or ran.sample.output != workload.output[size]:
                row[tier] = None
                continue
            if tier == "interpreter":
                insns = number(ran.document, "tiers", tier, "insns")
                row["insns"] = insns
            seconds = None if started is None else ran.sample.cpu_s - started
            row[tier] = insns / seconds / 1e6 if insns and seconds and seconds > 0 else None
    extra["tier_mips"] = {
        tier: stats.geomean(row.get(tier) for row in table.values()) for tier in MEASURED_TIERS
    }


def _in_tier(
    options: Options, peer: Peer, tier: str, program: Path, arguments: tuple[str, ...]
) -> subject.Outcome:
    def run() -> subject.Outcome:
        return subject.observe(
            peer, program, arguments, options=("--tier", tier), limit=min(options.limit, TIER_LIMIT)
        )

    return run() if tier == "interpreter" else subject.warm_up(run)


def _size(options: Options) -> str:
    """Tiers are compared on programs of tenths of a second natively: the slowest takes some ten times that."""
    return "small" if options.size == "small" else "quick"


def _hello(peer: Peer, program: Path, options: Options) -> Json:
    samples = [
        measure(peer.command(program, ()), env=peer.env(), limit=options.limit) for _ in range(HELLO_RUNS)
    ]
    good = [one for one in samples if one.status == 0 and one.output == "hello"]
    return {
        "wall_s": stats.median(one.wall_s for one in good),
        "cpu_s": stats.median(one.cpu_s for one in good),
        "max_rss": max((one.max_rss or 0 for one in good), default=0) or None,
    }
