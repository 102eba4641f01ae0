"""The polyvm.run/1 document of a run, whatever became of it, and the table of --stats made from it.

Every key of the schema is there in every document; what is not known is null.
"""

from __future__ import annotations

import os
import sys

from polyvm import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Json = dict[str, Any]

TIERS = ("golden", "interpreter", "baseline", "region")
CACHES = ("jump", "map", "disk")
OF_TIER = ("insns", "seconds", "units", "compile_s", "code_bytes")


def empty(program: str, argv: Sequence[str]) -> Json:
    """The document of a run of which nothing is known yet."""
    return {
        "schema": "polyvm.run/1",
        "polyvm": __version__,
        "guest": None,
        "host": os.uname().machine,
        "program": program,
        "argv": list(argv),
        "accel": "jit",
        "backend": "llvm",
        "tier": "auto",
        "exit": {"kind": "failed", "status": None, "signal": None},
        "error": None,
        "wall_s": None,
        "cpu_s": None,
        "workers_cpu_s": None,
        "max_rss": None,
        "guest_insns": None,
        "tiers": {tier: dict.fromkeys(OF_TIER) for tier in TIERS},
        "cache": {
            **{name: {"hits": None, "misses": None} for name in CACHES},
            "disk_written": None,
            "disk_rejected": None,
        },
        "hot": [],
        "exits": {},
        "lockstep": None,
        "syscalls": {},
        "unknown_syscalls": {},
        "faults": {},
    }


def merge(document: Json, known: Mapping[str, Any]) -> None:
    """Fill in what is known; keys that are dictionaries of the schema are merged, not replaced."""
    for key, value in known.items():
        if key in ("tiers", "cache"):
            for name, part in value.items():
                if isinstance(part, dict):
                    document[key].setdefault(name, {}).update(part)
                else:
                    document[key][name] = part
        else:
            document[key] = value


def merge_engine(document: Json, stats: Mapping[str, Any]) -> None:
    """Fill in the engine's own counts. Its regions and the disk cache come as plain numbers."""
    merge(document, {key: value for key, value in stats.items() if key in document})
    region, cache = document["tiers"]["region"], document["cache"]
    if "compile_s" in stats:
        region["compile_s"] = stats["compile_s"]
    cache["disk"].update(stats.get("disk") or {})
    for key in ("disk_written", "disk_rejected"):
        cache[key] = stats.get(key)


def peak() -> int | None:
    """The most memory that this process had resident, in bytes. (ru_maxrss would include whoever started us.)"""
    try:
        with open("/proc/self/status", "rb") as file:
            text = file.read()
    except OSError:
        return None
    value = text.partition(b"VmHWM:")[2].split(None, 1)
    return int(value[0]) * 1024 if value else None


def failed(document: Json, error: BaseException) -> None:
    """The run ended because polyvm failed."""
    from polyvm import errors

    document["exit"] = {"kind": "failed", "status": errors.exit_status(error), "signal": None}
    document["error"] = errors.body(error)


def write(descriptor: int, document: Json) -> None:
    """Write the document, replacing what the file held. Raises OSError."""
    from polyvm.cli.jsontext import dump

    data = memoryview((dump(document) + "\n").encode())
    while data:
        data = data[os.write(descriptor, data) :]


def stats(document: Json) -> str:
    """The table of --stats."""
    from polyvm.cli.output import seconds, size, table

    def number(value: object) -> str:
        return "-" if value is None else f"{value:,}"

    def time(value: float | None) -> str:
        return "-" if value is None else seconds(value)

    lines = [
        f"polyvm: {document['guest'] or 'a'} program {os.path.basename(document['program'])}, {_end(document)}"
    ]
    memory = "memory unknown" if document["max_rss"] is None else f"{size(document['max_rss'])} at most"
    lines.append(
        f"  {time(document['wall_s'])} in all, {time(document['cpu_s'])} on the processor, "
        f"{time(document['workers_cpu_s'])} in compile workers; {memory}"
    )
    rows = [("  tier", "instructions", "time", "million/s", "units", "compiling", "code")]
    for name in TIERS:
        tier = document["tiers"].get(name, {})
        if not any(tier.values()):
            continue
        speed = "-"
        if tier["insns"] and tier["seconds"]:
            speed = f"{tier['insns'] / tier['seconds'] / 1e6:,.0f}"
        code = "-" if tier["code_bytes"] is None else size(tier["code_bytes"])
        rows.append((f"  {name}", number(tier["insns"]), time(tier["seconds"]), speed, number(tier["units"]),
                     time(tier["compile_s"]), code))  # fmt: skip
    text = "\n".join(lines) + "\n"
    if len(rows) > 1:
        text += table(rows, right=".rrrrrr")
    disk = document["cache"]["disk"]
    if disk["hits"] is not None:
        rejected = document["cache"]["disk_rejected"]
        text += (
            f"  code cache: {number(disk['hits'])} hits, {number(disk['misses'])} misses, "
            f"{number(document['cache']['disk_written'])} written"
            + (f", {rejected} rejected" if rejected else "")
            + "\n"
        )
    text += _hottest(document["hot"])
    if document["lockstep"] is not None and document["error"] is None:
        text += "  " + compared(document["lockstep"])
    text += _counts("left native code", document["exits"])
    text += _counts("system calls", {name: call["count"] for name, call in document["syscalls"].items()})
    text += _counts("unknown system calls", document["unknown_syscalls"])
    return text + _counts("faults", document["faults"])


def _hottest(places: Sequence[Json]) -> str:
    """The places that interpreter and stencils came to most often, and what runs there now."""
    if not places:
        return ""
    from polyvm.cli.output import table

    rows = [("  hottest places", "jumps", "a second", "runs in")]
    for place in places[:8]:
        tier = place["tier"] + (", a region is waited for" if place["waiting"] else "")
        rows.append(
            (f"  {place['name'] or hex(place['pc'])}", f"{place['jumps']:,}", f"{place['heat']:,.0f}", tier)
        )
    return table(rows, right=".rr.")


def compared(lockstep: Json) -> str:
    """What --lockstep tells when nothing differed."""
    return (
        f"lock-step: {lockstep['insns']:,} instructions are the golden evaluator's, "
        f"in {lockstep['comparisons']:,} comparisons\n"
    )


def _counts(title: str, counts: Mapping[str, int]) -> str:
    """The most frequent of something, on one line."""
    found = sorted(((name, count) for name, count in counts.items() if count), key=lambda item: -item[1])
    if not found:
        return ""
    more = f", and {len(found) - 8} more kinds" if len(found) > 8 else ""
    return f"  {title}: " + ", ".join(f"{name} {count:,}" for name, count in found[:8]) + more + "\n"


def _end(document: Json) -> str:
    end = document["exit"]
    if end["kind"] == "exited":
        return f"exited with {end['status']}"
    if end["kind"] == "signaled":
        return f"killed by {signal_name(end['signal'])}"
    return "ended by --timeout" if end["kind"] == "timeout" else "failed"


def signal_name(number: int) -> str:
    """SIGSEGV for 11."""
    from polyvm.user.signals import name

    return name(number)


def tell(text: str) -> None:
    """Text on standard error, whatever became of it meanwhile."""
    try:
        sys.stderr.flush()
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        return  # closed by the guest: nobody listens
