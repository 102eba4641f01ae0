"""Runs the demo's riscv64 program and tells what happened: the work of `make demo`.

Everything it says comes from the polyvm.run/1 document that `polyvm run --result-file` writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "demo-riscv64"


def run(result_file: Path) -> int:
    """Run the program with its output on our standard output; its exit status."""
    program = os.path.relpath(PROGRAM)
    print(f"$ polyvm run {program} hello\n", flush=True)
    polyvm = Path(sys.executable).parent / "polyvm"
    command = [str(polyvm), "run", "--result-file", str(result_file), program, "hello"]
    return subprocess.run(command, check=False).returncode


def lines(result: dict[str, Any]) -> list[str]:
    """What the document says, for a person."""
    cpu, workers = result["cpu_s"] or 0, result["workers_cpu_s"] or 0
    said = [
        f"guest: a {result['guest']} Linux program, {PROGRAM.stat().st_size} bytes; host: {result['host']}",
        f"time: {result['wall_s']:.2f} s, on the processor {cpu:.2f} s, in compile workers {workers:.2f} s",
        f"memory: {(result['max_rss'] or 0) / 2**20:.0f} MB at most",
    ]
    if result["guest_insns"] is not None:
        said.append(f"guest instructions: {result['guest_insns']:,}")
    said.append("tiers:")
    for name, tier in result["tiers"].items():
        if not any(tier.values()):
            continue
        parts = []
        if tier["insns"] is not None:
            parts.append(f"{tier['insns']:,} instructions")
        if tier["seconds"] is not None:
            parts.append(f"{tier['seconds']:.3f} s")
        if tier["insns"] and tier["seconds"]:
            parts.append(f"{tier['insns'] / tier['seconds'] / 1e6:,.0f} million a second")
        if tier["units"]:
            parts.append(f"{tier['units']} units")
        if tier["compile_s"]:
            parts.append(f"compiled in {tier['compile_s']:.2f} s")
        if tier["code_bytes"]:
            parts.append(f"{tier['code_bytes']:,} bytes of code")
        said.append(f"  {name:<12} {', '.join(parts)}")
    disk = result["cache"]["disk"]
    said.append(
        f"disk cache: {disk['hits']} hits, {disk['misses']} misses; run it again and nothing is compiled"
    )
    calls = sorted(result["syscalls"].items(), key=lambda item: -item[1]["count"])
    said.append("system calls: " + ", ".join(f"{name} {call['count']}" for name, call in calls[:6]))
    return said


def main() -> int:
    """Run and tell; the guest's own exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        status = run(file)
        if file.exists():
            print("\nWhat happened:")
            for line in lines(json.loads(file.read_text())):
                print(f"  {line}")
    return status


if __name__ == "__main__":
    sys.exit(main())
