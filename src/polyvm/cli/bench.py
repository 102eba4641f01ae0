"""`polyvm bench`: the benchmark's options; what is measured and how is `polyvm.bench`'s business."""

from __future__ import annotations

import sys
from pathlib import Path

from polyvm.cli.options import DEBUG, FILE, FOLDER, JSON, Command, Option
from polyvm.cli.runoptions import seconds
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from polyvm.cli.options import Values

PEERS = ("native", "qemu", "unicorn")
SIZES = ("full", "quick", "small")
GUESTS = ("riscv64", "aarch64")
INTERRUPTED = 130  # after Ctrl-C, with what was measured until then


def count(text: str) -> int:
    """A number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError("is no number of 1 or more")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


COMMAND = Command(
    "bench",
    usage=("[OPTIONS] [WORKLOAD...]",),
    about="""
Runs the workloads under polyvm and its peers, in turn and on the same machine, checks every output, and prints CPU
times side by side. Native is the same source, compiler and flags. A peer that is named and not installed is refused,
with what to install.
""",
    arguments=(("WORKLOAD", "Names or groups (int, fp, string, real); all of them when left out."),),
    options=(
        Option("--peers", "LIST", f"Compare with these, separated by commas: {', '.join(PEERS)}; empty for none.",
               convert=names, default="native"),
        Option("--guest", "GUEST", "The processor that the workloads are built for.", choices=GUESTS,
               default=GUESTS[0]),
        Option("--runs", "N", "Measure each workload N times.", convert=count, default=3),
        Option("--size", "SIZE", "How much work: full takes seconds each, quick tenths, small hardly any.",
               choices=SIZES, default="full"),
        Option("--no-march", "", "Leave out the second native column, built with -march=native."),
        Option("--no-polyvm", "", "Measure the peers alone."),
        Option("--first-runs", "", "Also run each twice with nothing of it in the code cache, and print wall times."),
        Option("--no-extras", "", "Leave out start-up, the speed of each tier, and the cost of translation."),
        Option("--limit", "TIME", "End a process that runs longer.", convert=seconds, default="15m"),
        Option("--benchmarks", "DIR", "The folder with the workloads.", complete=FOLDER),
        Option("--run-option", "OPTION", "Another option for polyvm run, such as --tier=interpreter.", many=True),
        Option("--result-file", "FILE", "Write the polyvm.bench/1 document there, and the table here.", complete=FILE),
        JSON,
        DEBUG,
    ),
    examples=(
        ("Everything, against native code", "polyvm bench"),
        ("Against QEMU too, with a file to attach", "polyvm bench --peers native,qemu --result-file bench.json"),
        ("What a program costs that was never run here", "polyvm bench --peers native,qemu --first-runs real"),
        ("A first impression", "polyvm bench --size quick --runs 1 sieve nbody"),
    ),
    takes=(0, None),
)  # fmt: skip


def execute(values: Values) -> int:
    """Measure and print. With --json the document alone: a wrong output is in it, and in the exit status."""
    import json

    from polyvm import bench

    options = {
        "peers": values.peers,
        "workloads": tuple(values.arguments),
        "runs": values.runs,
        "guest": values.guest,
        "size": values.size,
        "march": not values.no_march,
        "first_runs": values.first_runs,
        "extras": not values.no_extras,
        "limit": values.limit,
        "benchmarks": Path(values.benchmarks) if values.benchmarks else None,
        "run_options": tuple(values.run_option),
    }
    if values.no_polyvm:
        options["subject"] = None
    chosen = bench.Options(**options)
    # Opened now: a path that cannot be written is better known before the measurement than after it.
    result_file = _open(values.result_file) if values.result_file else None
    try:
        found = bench.run(chosen)
        if result_file is not None:
            result_file.write(json.dumps(found, indent=2) + "\n")
    finally:
        if result_file is not None:
            result_file.close()
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if values.json else bench.render(found))
    wrong = bench.failure(found)
    if wrong is not None and not values.json:
        raise wrong
    if found["interrupted"]:
        return INTERRUPTED
    return 0 if wrong is None else wrong.exit_status


def _open(path: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise PolyvmError("PVM-USAGE", f"Cannot write the result file {path}: {error.strerror}.") from error
