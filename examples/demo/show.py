"""Runs the demo's riscv64 program and lets polyvm tell what it did: the work of `make demo`.

It runs it twice: the second run finds what the first one compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "demo-riscv64"


def command() -> list[str]:
    """The command line that is shown and run."""
    return ["polyvm", "run", "--stats", os.path.relpath(PROGRAM), "hello"]


def run(stdout: int | None = None) -> int:
    """Show the command line and run it, the guest's output going to ours or elsewhere; the exit status."""
    words = command()
    print(f"$ {' '.join(words)}\n", flush=True)
    words[0] = str(Path(sys.executable).parent / "polyvm")
    return subprocess.run(words, stdout=stdout, check=False).returncode


def main() -> int:
    """Run, and run again; the guest's own exit status."""
    name, size = os.path.relpath(PROGRAM), PROGRAM.stat().st_size
    print(f"{name} is a riscv64 Linux program of {size:,} bytes, made from demo.c beside it.")
    print(f"This machine's processor is {os.uname().machine}.\n", flush=True)
    status = run()
    if status == 0:
        print("\nOnce more, without its output: what was compiled is in the code cache now.\n", flush=True)
        status = run(subprocess.DEVNULL)
    return status


if __name__ == "__main__":
    sys.exit(main())
