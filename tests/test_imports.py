"""What a warm `polyvm run` imports is pinned: every module costs time before a program's first instruction."""

from __future__ import annotations

import os
import subprocess
import sys

import polyvm
from tests import toolchain

MAIN = os.path.join(os.path.dirname(polyvm.__file__), "__main__.py")

# Beside polyvm's own: C modules and nothing else.
ALLOWED = {"__future__", "_bisect", "_ctypes", "_struct", "errno", "resource"}

# Of polyvm's own: neither a specification nor a compiler, and nothing of the other commands.
HEAVY = (
    "polyvm.accel", "polyvm.bench", "polyvm.debug", "polyvm.devices", "polyvm.emit", "polyvm.emulator", "polyvm.ir",
    "polyvm.isa.disasm", "polyvm.isa.encoding", "polyvm.isa.riscv64.base", "polyvm.isa.riscv64.model",
    "polyvm.isa.spec", "polyvm.engine.compile", "polyvm.engine.flatten", "polyvm.engine.goldenstep",
    "polyvm.engine.interpreter.", "polyvm.engine.leaving", "polyvm.engine.region", "polyvm.engine.worker",
)  # fmt: skip
MODULES = 62  # about 0.3 ms each: raise it for a reason


def imported(*words: str) -> set[str]:
    """Every module that such a start of Python imports."""
    # Measuring coverage imports a good deal of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


def test_a_warm_run_imports_what_it_needs_and_nothing_else() -> None:
    program = str(toolchain.build("hello.c"))
    words = ["-P", MAIN, "run", program]
    imported(*words)  # the interpreter is compiled now, at the latest
    found = imported(*words) - imported("-c", "pass")
    ours = {name for name in found if name == "polyvm" or name.startswith("polyvm.")}
    assert found - ours <= ALLOWED, "standard modules that take time"
    assert [name for name in ours if name.startswith(HEAVY)] == []
    assert len(ours) <= MODULES, sorted(ours)


def test_statistics_stay_light() -> None:
    program = str(toolchain.build("hello.c"))
    found = imported("-P", MAIN, "run", "--stats", "--result-file", "/dev/null", program) - imported(
        "-c", "pass"
    )
    assert {name for name in found if not name.startswith("polyvm")} <= {*ALLOWED, "_json", "fcntl"}
    assert [name for name in found if name.startswith(HEAVY)] == []


def test_help_and_errors_are_light_as_well() -> None:
    for words in (["--help"], ["run", "--help"], ["--version"]):
        found = imported("-P", MAIN, *words) - imported("-c", "pass")
        assert {name.split(".")[0] for name in found} <= {"polyvm", *ALLOWED}
        assert not [name for name in found if name.startswith(("polyvm.engine", "polyvm.user", "polyvm.isa"))]
