"""The document as a table for a person: a row a workload, then the means with the worst case beside each.

It computes nothing that is not in the document.
"""

from __future__ import annotations

from typing import Any

from polyvm.bench import stats
from polyvm.bench.document import measured

Json = dict[str, Any]

TITLES = {
    "int": "int",
    "fp": "fp",
    "string": "string",
    "c": "all in C",
    "real": "real programs",
    "all": "all",
    "apart": "vectorised natively",
}


def render(document: Json) -> str:
    """Text of some 100 columns."""
    shown = [
        peer
        for peer in ("native", "native-march", "polyvm", "qemu", "unicorn")
        if document["peers"].get(peer)
    ]
    lines = [_machine(document), *_peers(document), ""]
    lines += _rows(document, shown)
    lines += _means(document, shown)
    lines += _first_runs(document, shown)
    lines += _extras(document)
    for one in document["skipped"]:
        lines.append(f"left out: {one['name']}: {one['reason']}")
    for row in document["workloads"]:
        for peer, runs in measured(row).items():
            if runs["failed"]:
                lines.append(f"failed: {row['name']} under {peer}: {runs['failed']}")
        if (row["first_runs"] or {}).get("failed"):
            lines.append(f"failed: {row['name']} with an empty cache: {row['first_runs']['failed']}")
    if document["interrupted"]:
        lines.append("interrupted: only what was measured until then")
    return "\n".join(lines) + "\n"


def _machine(document: Json) -> str:
    machine, flags = document["machine"], document["flags"]
    return (
        f"{machine['cpu'] or machine['architecture']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"load {machine['load'][0]:.1f}; polyvm {document['polyvm']}, {flags['compiler']}, "
        f"sizes {flags['size']}, {flags['runs']} runs"
    )


def _peers(document: Json) -> list[str]:
    return [
        f"{name}: {peer['version']}" for name, peer in document["peers"].items() if peer and name != "polyvm"
    ]


def _rows(document: Json, shown: list[str]) -> list[str]:
    """CPU seconds, then each peer as a multiple of native, then polyvm as a multiple of the peers."""
    against = [peer for peer in ("native", "qemu", "unicorn") if peer in shown and "polyvm" in shown]
    heads = ["workload", "group", *(f"{peer} s" for peer in shown)]
    relative = [peer for peer in shown if peer != "native"] if "native" in shown else []
    heads += [f"{peer}/native" for peer in relative]
    heads += [f"polyvm/{peer}" for peer in against if peer != "native"]
    table = [heads]
    for row in document["workloads"]:
        cpu = {peer: stats.median(runs["cpu_s"]) for peer, runs in measured(row).items()}
        cells = [row["name"], row["group"] + (" *" if row["apart"] else "")]
        cells += [_seconds(cpu.get(peer)) for peer in shown]
        cells += [_times(row["vs_native"].get(peer)) for peer in relative]
        cells += [_times(row["ratio"].get(peer)) for peer in against if peer != "native"]
        table.append(cells)
    lines = _align(table)
    if any(row["apart"] for row in document["workloads"]):
        lines.append(
            "* native uses vector instructions that the guest does not have; not in the means below but its own"
        )
    return lines


def _means(document: Json, shown: list[str]) -> list[str]:
    """Geometric means, the worst case beside each."""
    table = [["geometric mean (worst)"]]
    relative = [peer for peer in shown if peer != "native"] if "native" in shown else []
    against = (
        [peer for peer in shown if peer not in ("native", "native-march", "polyvm")]
        if "polyvm" in shown
        else []
    )
    table[0] += [f"{peer}/native" for peer in relative] + [f"polyvm/{peer}" for peer in against]
    means, worst = document["vs_native"]["geomean"], document["vs_native"]["worst"]
    for group, title in TITLES.items():
        if group not in means:
            continue
        cells = [title]
        cells += [_mean(means[group].get(peer), worst[group].get(peer)) for peer in relative]
        cells += [
            _mean(document["geomean"][group].get(peer), document["worst_of"][group].get(peer))
            for peer in against
        ]
        table.append(cells)
    return ["", *_align(table)] if len(table) > 1 and len(table[0]) > 1 else []


def _first_runs(document: Json, shown: list[str]) -> list[str]:
    """Wall seconds of polyvm's first runs beside the peers' usual ones, and the sums where all are known."""
    others = [peer for peer in shown if peer not in ("native-march", "polyvm")]
    table = [["wall s, cache empty at first", *others, "first run", "second run"]]
    sums: list[list[float | None]] = []
    for row in document["workloads"]:
        if row["first_runs"] is None:
            continue
        runs = measured(row)
        times = [stats.median(runs[peer]["wall_s"]) if peer in runs else None for peer in others]
        mine = row["first_runs"]["wall_s"]
        times += [mine[number] if number < len(mine) else None for number in range(2)]
        sums.append(times)
        table.append([row["name"], *map(_seconds, times)])
    if not sums:
        return []
    known = [[time for time in times if time is not None] for times in sums if None not in times]
    if known:
        table.append(
            [f"sum of {len(known)}", *(_seconds(sum(column)) for column in zip(*known, strict=True))]
        )
    return ["", *_align(table)]


def _extras(document: Json) -> list[str]:
    lines = []
    startup = document["startup"]
    for peer, hello in startup["peers"].items():
        if hello["wall_s"] is not None:
            lines.append(f"hello, {peer}: {hello['wall_s'] * 1e3:.1f} ms, {_megabytes(hello['max_rss'])}")
    if startup["cold_s"] is not None:
        lines.append(f"hello, polyvm with an empty cache: {startup['cold_s']:.2f} s")
    titles = {"cold": "hello, empty cache", "warm": "hello", "compiling": "a workload that is compiled"}
    known = [f"{titles[key]} {_megabytes(value)}" for key, value in document["footprint"].items() if value]
    if known:
        lines.append(f"memory of polyvm with its workers: {', '.join(known)}")
    if document["tier_mips"]:
        known = [f"{tier} {mips:.0f}" for tier, mips in document["tier_mips"].items() if mips is not None]
        if known:
            lines.append(f"guest MIPS, integer workloads, geometric mean: {', '.join(known)}")
    if document["translate_us_per_insn"] is not None:
        lines.append(f"translation: {document['translate_us_per_insn']:.1f} us a guest instruction")
    if document["compiling"]:
        lines += _compiling(document["compiling"])
    known = [f"{kind} {ns:.1f} ns" for kind, ns in document["transitions_ns"].items() if ns is not None]
    if known:
        lines.append(f"from one region into another, by the kind of call: {', '.join(known)}")
    for peer, cost in document["hooks"].items():
        if cost is not None:
            lines.append(
                f"hooks, {peer}: {cost['code_us']:.2f} us a call for code, {cost['memory_us']:.2f} for memory; "
                f"{cost['unwatched_ns']:.1f} ns an access that is not watched; without, "
                f"{cost['plain_ns']:.1f} ns an instruction"
            )
    return ["", *lines] if lines else []


def _compiling(found: Json) -> list[str]:
    """Compile time by size of region."""
    rows = ", ".join(f"{row['us_per_insn']:.0f} at {row['insns']:.0f}" for row in found["rows"])
    power = "" if found["exponent"] is None else f"; it grows as size to the {found['exponent']:.2f}"
    return [
        f"compiling, us a guest instruction at the size of region: {rows}{power}",
        f"code cache: {found['bytes_per_guest_byte']:.1f} bytes a byte of guest code that was compiled",
    ]


def _align(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _mean(value: float | None, worst: Json | None) -> str:
    return "-" if value is None or worst is None else f"{value:.2f} ({worst['ratio']:.2f} {worst['name']})"


def _megabytes(value: int | None) -> str:
    return "memory unknown" if value is None else f"{value / 1e6:.1f} MB"
