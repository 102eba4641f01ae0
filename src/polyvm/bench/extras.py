"""What is measured beside the workloads: start-up, the memory of hello, guest MIPS of each tier, cost of translation.

Figures that polyvm's result file does not have stay null; nothing is estimated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyvm.bench import stats, subject
from polyvm.bench.build import Builder
from polyvm.bench.manifest import Workload
from polyvm.bench.measure import measure
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer
from polyvm.bench.subject import number

Json = dict[str, Any]

# What the document has when this part did not run.
NOTHING: Json = {
    "startup": {"cold_s": None, "warm_s": None, "peers": {}, "max_rss": None},
    "tier_mips": None,
    "tier_mips_of": {},
    "translate_us_per_insn": None,
}
MEASURED_TIERS = ("interpreter", "baseline", "region")
HELLO_RUNS = 7


def measure_into(
    extra: Json,
    options: Options,
    builder: Builder,
    peers: Sequence[Peer],
    workloads: list[Workload],
    folder: Path,
) -> None:
    """Fill `extra` step by step, so that an interruption keeps what is there."""
    extra["startup"] = startup = dict(NOTHING["startup"], peers={})
    hello = folder / "workloads" / "hello.c"
    for peer in peers:
        program = builder.build(hello, peer.build)
        if peer.name == "polyvm":
            _start(startup, options, peer, program, extra)
        else:
            startup["peers"][peer.name] = _hello(peer, program, options)
    ours = next((peer for peer in peers if peer.name == "polyvm"), None)
    if ours is not None:
        _tiers(
            extra, options, builder, ours, [one for one in workloads if one.group == "int" and not one.apart]
        )


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


def _start(startup: Json, options: Options, peer: Peer, program: Path, extra: Json) -> None:
    """Cold: nothing in the code cache, tier 0 included. Warm: hello, the median of several."""
    with tempfile.TemporaryDirectory() as folder:
        cold = subject.observe(
            peer,
            program,
            (),
            limit=options.limit,
            environment={"POLYVM_CACHE_DIR": str(Path(folder) / "cache")},
        )
    if cold.sample.status == 0 and cold.sample.output == "hello":
        startup["cold_s"] = cold.sample.wall_s
    subject.warm_up(lambda: subject.observe(peer, program, (), limit=options.limit))
    warm = _hello(peer, program, options)
    startup["peers"]["polyvm"] = warm
    startup["warm_s"] = warm["wall_s"]
    known = subject.observe(peer, program, (), limit=options.limit)
    startup["max_rss"] = known.sample.max_rss


def _tiers(extra: Json, options: Options, builder: Builder, peer: Peer, workloads: list[Workload]) -> None:
    """MIPS: guest instructions, as the interpreter counts them, over the time spent in the tier."""
    size = "small" if options.size == "small" else "quick"
    table: Json = {}
    extra["tier_mips_of"] = table
    costs: list[float | None] = []
    for workload in workloads:
        if workload.source is None:
            continue
        program = builder.build(workload.source, peer.build)
        arguments = (workload.size[size],)
        row = table.setdefault(workload.name, {})
        insns: float | None = None
        for tier in MEASURED_TIERS:
            ran = subject.observe(
                peer, program, arguments, options=("--tier", tier), limit=min(options.limit, 120.0)
            )
            if ran.sample.status != 0 or ran.sample.output != workload.output[size]:
                row[tier] = None
                continue
            if tier == "interpreter":
                insns = number(ran.document, "tiers", tier, "insns") or number(ran.document, "guest_insns")
            seconds = number(ran.document, "tiers", tier, "seconds") or ran.sample.cpu_s
            row[tier] = insns / seconds / 1e6 if insns else None
        costs.append(_cost(options, peer, program, arguments))
    extra["tier_mips"] = {
        tier: stats.geomean(row.get(tier) for row in table.values()) for tier in MEASURED_TIERS
    }
    extra["translate_us_per_insn"] = stats.geomean(costs)


def _cost(options: Options, peer: Peer, program: Path, arguments: tuple[str, ...]) -> float | None:
    """Microseconds of compilation for each guest instruction compiled, from a run with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        ran = subject.observe(
            peer,
            program,
            arguments,
            limit=options.limit,
            environment={"POLYVM_CACHE_DIR": str(Path(folder) / "cache")},
        )
    spent = number(ran.document, "tiers", "region", "compile_s")
    insns = number(ran.document, "tiers", "region", "compiled_insns")
    return spent / insns * 1e6 if spent and insns else None
