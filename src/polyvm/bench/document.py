"""The polyvm.bench/1 document: machine, flags, peers, rows, means with their worst cases.

Keys are only ever added. Times are float seconds of CPU (whole process, its children and polyvm's workers) and of the
clock on the wall, sizes int bytes; what is not known is null.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any

import polyvm
from polyvm.bench import stats
from polyvm.bench.build import Builder
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer

SCHEMA = "polyvm.bench/1"
Json = dict[str, Any]


def assemble(
    options: Options,
    peers: list[Peer],
    builder: Builder,
    rows: list[Json],
    skipped: list[Json],
    extra: Json,
    *,
    interrupted: bool,
) -> Json:
    """The whole document."""
    for row in rows:
        ratios(row)
    others = ["native", "qemu", "unicorn", "native-march"]
    geomean, worst = stats.summarise(rows, others, "ratio")
    geomean_wall, worst_wall = stats.summarise(rows, others, "ratio_wall")
    geomean_native, worst_native = stats.summarise(rows, ["polyvm", *others], "vs_native")
    known = {peer.name: peer.describe() for peer in peers}
    slowest = (worst.get("all") or {}).get("native")
    return {
        "schema": SCHEMA,
        "polyvm": polyvm.__version__,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "flags": {
            "guest": options.guest,
            "compiler": builder.version,
            "guest_flags": builder.flags("guest"),
            "native_flags": builder.flags("native"),
            "size": options.size,
            "runs": options.runs,
            "run_options": list(options.run_options),
        },
        "peers": {name: known.get(name) for name in dict.fromkeys(["native", "qemu", "unicorn", *known])},
        "workloads": rows,
        "skipped": skipped,
        "geomean": geomean,
        "geomean_wall": geomean_wall,
        "worst": {
            "name": slowest["name"] if slowest else None,
            "native": slowest["ratio"] if slowest else None,
        },
        "worst_of": worst,
        "worst_of_wall": worst_wall,
        "vs_native": {"geomean": geomean_native, "worst": worst_native},
        "interrupted": interrupted,
        **extra,
    }


def measured(row: Json) -> Json:
    """The runs of the peers that were asked; the others' are null."""
    return {peer: runs for peer, runs in row["runs"].items() if runs is not None}


def ratios(row: Json) -> None:
    """Fill in a row's ratios from the medians of its runs, and whether every output was right."""
    runs = measured(row)
    cpu = {peer: stats.median(one["cpu_s"]) for peer, one in runs.items()}
    wall = {peer: stats.median(one["wall_s"]) for peer, one in runs.items()}
    others = [peer for peer in dict.fromkeys(["native", "qemu", "unicorn", *runs]) if peer != "polyvm"]
    row["ratio"] = {peer: stats.ratio(cpu.get("polyvm"), cpu.get(peer)) for peer in others}
    row["ratio_wall"] = {peer: stats.ratio(wall.get("polyvm"), wall.get(peer)) for peer in others}
    row["vs_native"] = {peer: stats.ratio(cpu[peer], cpu.get("native")) for peer in runs}
    if any((one["failed"] or "").startswith("wrong output") for one in runs.values()):
        row["checksum_ok"] = False
    elif any(one["cpu_s"] for one in runs.values()):
        row["checksum_ok"] = True


def machine() -> Json:
    """The machine, as far as times depend on it."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu": _first("/proc/cpuinfo", "model name") or platform.processor() or None,
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "load": list(os.getloadavg()),
    }


def _first(path: str, key: str) -> str | None:
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    except OSError:
        return None
    return None
