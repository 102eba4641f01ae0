"""What a warm `polyvm run` imports is pinned: every module costs time before a program's first instruction."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import polyvm
from tests import toolchain

MAIN = os.path.join(os.path.dirname(polyvm.__file__), "__main__.py")

# Beside polyvm's own: C modules and nothing else.
ALLOWED = {"__future__", "_bisect", "_ctypes", "_struct", "errno", "resource"}


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


def test_a_warm_run_imports_what_it_needs_and_nothing_else(golden: Callable[[str, str], None]) -> None:
    program = str(toolchain.build("hello.c"))
    words = ["-P", MAIN, "run", program]
    imported(*words)  # the interpreter is compiled now, at the latest
    found = imported(*words) - imported("-c", "pass")
    ours = {name for name in found if name == "polyvm" or name.startswith("polyvm.")}
    assert found - ours <= ALLOWED, "standard modules that take time"
    golden("imports-run.txt", "".join(f"{name}\n" for name in sorted(ours)))


def test_no_specification_and_no_compiler_on_the_warm_path(golden: Callable[[str, str], None]) -> None:
    program = str(toolchain.build("hello.c"))
    found = imported("-P", MAIN, "run", "--stats", "--result-file", "/dev/null", program)
    assert not [
        name for name in found if name.split(".")[0] in ("llvmlite", "json", "re", "typing", "dataclasses")
    ]
    layers = {".".join(name.split(".")[:2]) for name in found if name.startswith("polyvm.")}
    assert layers <= {
        "polyvm.cli", "polyvm.errors", "polyvm.user", "polyvm.engine", "polyvm.memory", "polyvm.isa",
    }  # fmt: skip


def test_help_and_errors_are_light_as_well() -> None:
    for words in (["--help"], ["run", "--help"], ["--version"]):
        found = imported("-P", MAIN, *words) - imported("-c", "pass")
        assert {name.split(".")[0] for name in found} <= {"polyvm", *ALLOWED}
        assert not [name for name in found if name.startswith(("polyvm.engine", "polyvm.user", "polyvm.isa"))]
