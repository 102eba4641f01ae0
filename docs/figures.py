"""Writes the README's table of figures, so that no figure stands there without the run that made it.

    polyvm bench --peers native,qemu --result-file bench.json
    python docs/figures.py bench.json

keeps what the table needs of the document in docs/figures.json and writes the table into README.md. Without an
argument it writes the table anew from the file. It measures nothing and rounds only what it prints.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "figures.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: python docs/figures.py -->", "<!-- end of figures -->"

GROUPS = {
    "int": "integer",
    "fp": "floating point",
    "string": "strings and memory",
    "c": "all workloads in C",
    "apart": "loops that only native vectorises",
    "real": "real programs",
}
PEERS = ("native", "qemu", "unicorn")
NAMES = {"polyvm": "Hooks in Python", "unicorn": "Unicorn's"}
KEYS = (
    *(
        "schema",
        "polyvm",
        "when",
        "machine",
        "flags",
        "geomean",
        "worst_of",
        "vs_native",
        "startup",
        "tier_mips",
    ),
    *("translate_us_per_insn", "hooks", "interrupted"),
)

Json = dict[str, Any]


def keep(document: Json) -> Json:
    """What the table needs of a polyvm.bench/1 document."""
    kept = {key: document[key] for key in KEYS}
    kept["peers"] = {name: peer and {"version": peer["version"]} for name, peer in document["peers"].items()}
    kept["counts"] = counts = {}
    for row in document["workloads"]:
        group = "apart" if row["apart"] else row["group"]
        counts[group] = counts.get(group, 0) + 1
    counts["c"] = sum(counts.get(group, 0) for group in ("int", "fp", "string"))
    return kept


def command(kept: Json) -> str:
    """The command line that measured it."""
    flags = kept["flags"]
    peers = ",".join(name for name in PEERS if kept["peers"].get(name))
    words = ["polyvm bench", f"--peers {peers}"]
    if flags["size"] != "full":
        words.append(f"--size {flags['size']}")
    if flags["runs"] != 3:
        words.append(f"--runs {flags['runs']}")
    if "native-march" not in kept["peers"]:
        words.append("--no-march")
    return " ".join(words)


def table(kept: Json) -> str:
    """The table and what has to be said about it, as Markdown."""
    machine, flags, startup = kept["machine"], kept["flags"], kept["startup"]
    qemu = bool(kept["peers"].get("qemu"))
    heads = ["geometric mean (worst)", "polyvm / native"]
    if qemu:
        heads += ["qemu / native", "polyvm / qemu"]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    native, worst = kept["vs_native"]["geomean"], kept["vs_native"]["worst"]
    for group, title in GROUPS.items():
        if group not in native or not kept["counts"].get(group):
            continue
        if group == "c" and sum(kept["counts"].get(name, 0) > 0 for name in ("int", "fp", "string")) < 2:
            continue  # the same as the row above
        cells = [f"{title} ({kept['counts'][group]})", _mean(native[group], worst[group], "polyvm")]
        if qemu:
            cells.append(_mean(native[group], worst[group], "qemu"))
            cells.append(_mean(kept["geomean"][group], kept["worst_of"][group], "qemu"))
        lines.append(f"| {' | '.join(cells)} |")
    how = " ".join(flag for flag in flags["native_flags"] if flag.startswith(("-O", "-ffp")))
    said = [
        f"`{command(kept)}` printed these on {kept['when'][:10]}.",
        "CPU time of whole processes, compile workers included, with a warm cache; every output was checked;",
        f"{flags['compiler']} with `{how}` on both sides;",
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}.",
    ]
    if flags["size"] != "full":
        said.append(
            f"Sizes are `{flags['size']}`, a fraction of a second each, so starting up is part of them."
        )
    if machine["load"][0] > machine["cores"]:
        load = f"load {machine['load'][0]:.1f}"
        said.append(f"The machine was busy with other work ({load}), so take them for upper bounds.")
    hello = startup["peers"]
    times = [
        f"{name} {hello[name]['wall_s'] * 1e3:.3g} ms"
        for name in ("polyvm", *PEERS)
        if name in hello and hello[name]["wall_s"] is not None
    ]
    if times:
        said.append(f"Static hello world, warm: {', '.join(times)}.")
    if startup["cold_s"] is not None:
        said.append(
            f"The first run ever on a machine, which compiles the interpreter: {startup['cold_s']:.1f} s."
        )
    if startup["max_rss"]:
        said.append(f"Hello world takes {startup['max_rss'] / 1e6:.0f} MB of memory.")
    mips = kept["tier_mips"] or {}
    if mips.get("interpreter") is not None:
        said.append(f"The interpreter alone: {mips['interpreter']:.0f} million guest instructions a second.")
    if kept["translate_us_per_insn"] is not None:
        said.append(f"Translation: {kept['translate_us_per_insn']:.0f} us a guest instruction.")
    for peer, cost in kept.get("hooks", {}).items():
        if cost is not None:
            said.append(
                f"{NAMES.get(peer, peer)}: a hook's call {cost['code_us']:.1f} us for an instruction, "
                f"{cost['memory_us']:.1f} us for an access."
            )
    return "\n".join(lines) + "\n\n" + " ".join(said) + "\n"


def _mean(means: Json, worst: Json, peer: str) -> str:
    value, most = means.get(peer), worst.get(peer)
    if value is None or most is None:
        return "-"
    return f"{value:.2f} ({most['ratio']:.2f} {most['name']})"


def fill(text: str, kept: Json) -> str:
    """The README with the table in its place."""
    place = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    return place.sub(lambda _: f"\n{table(kept)}\n", text)


def main(words: list[str]) -> None:
    """Keep what a document says, if one is named, and write the table."""
    if words:
        kept = keep(json.loads(Path(words[0]).read_text()))
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    README.write_text(fill(README.read_text(), json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
