"""The demo: its program is what its source makes, and it shows the guest's output and what each tier did."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import toolchain
from tests.conftest import ROOT, script

DEMO = ROOT / "examples" / "demo"


def test_the_committed_program_is_small_and_made_from_its_source() -> None:
    committed = (DEMO / "demo-riscv64").read_bytes()
    assert len(committed) < 100_000
    build = script(DEMO / "build.py")
    made = build.build().read_bytes()
    if toolchain.version() == build.ZIGLANG:
        assert made == committed
    else:  # another compiler: at least the same kind of program
        assert made[:20] == committed[:20]


def test_what_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, DEMO / "show.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout
    assert "demo-riscv64 is a riscv64 Linux program" in done.stdout
    assert done.stdout.count("$ polyvm run --stats examples/demo/demo-riscv64 hello\n") == 2
    assert done.stdout.count("primes below 20000000: 1270607\n") == 1
    assert done.stdout.count("demo-riscv64, with 1 argument(s), believes to run on Linux riscv64") == 1
    assert done.stdout.count("polyvm: riscv64 program demo-riscv64, exited with 0\n") == 2
    assert done.stdout.count("\n  interpreter ") == 2
    assert "code cache: " in done.stdout
