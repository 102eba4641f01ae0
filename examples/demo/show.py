"""Runs the demo's riscv64 program and lets polyvm tell what it did: the work of `make demo`.

It runs it twice: the second run finds what the first one compiled. The output must be the same, or the demo fails.
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


def run(**options: object) -> subprocess.CompletedProcess[str]:
    """Run the program, showing the command line."""
    words = command()
    print(f"$ {' '.join(words)}\n", flush=True)
    words[0] = str(Path(sys.executable).parent / "polyvm")
    return subprocess.run(words, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def main() -> int:
    """Run, and run again; the guest's own exit status."""
    name, size = os.path.relpath(PROGRAM), PROGRAM.stat().st_size
    print(f"{name} is a riscv64 Linux program of {size:,} bytes, made from demo.c beside it.")
    print(f"This machine's processor is {os.uname().machine}.\n", flush=True)
    first = run(stdout=subprocess.PIPE)
    print(first.stdout, end="", flush=True)
    if first.returncode:
        return first.returncode
    print("\nOnce more, without its output: what was compiled is in the code cache now.\n", flush=True)
    again = run(stdout=subprocess.PIPE)
    if again.stdout != first.stdout:
        print("The output of the second run is another one.", file=sys.stderr)
        return 1
    return again.returncode


if __name__ == "__main__":
    sys.exit(main())
