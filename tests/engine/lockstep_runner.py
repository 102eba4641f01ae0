"""One guest program under lock-step, in a process of its own; what came of it comes back as an Outcome.

The guest's output is that process's. As a program it is given the file for the result, options and environment as
JSON, the sysroot or nothing, and the guest's command line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyvm.engine import layout
from tests.processes import unmeasured

ROOT = Path(__file__).parents[2]
NAMES = {"": "fast", layout.WHOLE: "whole", layout.PRECISE: "precise"}


@dataclass(frozen=True, slots=True)
class Mode:
    """How: see engine.lockstep.LockstepEngine."""

    kind: str = ""
    turns: int = 997
    threshold: int = 32
    tier: str = "region"

    def __str__(self) -> str:
        if self.tier != "region":
            return self.tier
        return f"{NAMES[self.kind]}-{self.turns}-{self.threshold}"


@dataclass(slots=True)
class Outcome:
    """end: kind, status and signal of the guest. error: code and text of ours, or nothing.

    compared: instructions done twice; in_units: how many of them in compiled regions, or in stencils where these are
    judged. comparisons: of everything.
    """

    end: tuple[str, int | None, int | None]
    error: str
    compared: int
    in_units: int
    comparisons: int
    units: int
    exits: dict[str, int]
    stdout: str = ""
    stderr: str = ""
    context: dict[str, Any] = field(default_factory=dict)


def lockstep(
    program: str | Path,
    *arguments: str,
    mode: Mode | None = None,
    sysroot: str | Path = "",
    timeout: float = 600,
    measured: bool = False,
    **variables: str,
) -> Outcome:
    """Run a program. variables: of its environment. measured: it tells what of the sources it ran, and takes longer."""
    mode = mode or Mode()
    options = {"tier": mode.tier, "kind": mode.kind, "turns": mode.turns, "threshold": mode.threshold}
    words = [json.dumps([options, variables]), str(sysroot), str(program), *arguments]
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        done = subprocess.run(
            [sys.executable, "-m", __name__, result.name, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", check=False,
            timeout=timeout, cwd=ROOT, env=None if measured else unmeasured(),
        )  # fmt: skip
        text = result.read()
    assert text, f"{program}: lock-step ended with {done.returncode}: {done.stderr}"
    told = json.loads(text)
    return Outcome(
        (told["kind"], told["status"], told["signal"]), told["error"], told["compared"], told["in_units"],
        told["comparisons"], told["units"], told["exits"], done.stdout, done.stderr, told["context"],
    )  # fmt: skip


def main(words: Sequence[str]) -> None:
    """The program; it does not return."""
    from polyvm.engine.lockstep import LockstepEngine
    from polyvm.errors import PolyvmError
    from polyvm.user import process

    result, options, sysroot, *command = words
    settings, variables = json.loads(options)
    engine = LockstepEngine("riscv64", **settings)
    environment = [os.fsencode(f"{name}={value}") for name, value in {"PATH": "/bin", **variables}.items()]
    argv = [os.fsencode(word) for word in command]
    told: dict[str, Any] = {"kind": "", "status": None, "signal": None, "error": "", "context": {}}
    try:
        # report: a signal that kills the guest does not kill us before we have told of it.
        end = process.run(
            argv[0],
            argv,
            environment,
            engines=lambda _: engine,
            report=True,
            sysroot=os.fsencode(sysroot) or None,
        )
    except PolyvmError as error:
        told["error"] = f"{error.code}: {error.message}"
        told["context"] = {key: str(value) for key, value in error.context.items()}
    else:
        told |= {"kind": end.kind, "status": end.status, "signal": end.signal}
    stats = engine.stats()
    judged = stats["tiers"]["baseline" if settings["tier"] == "baseline" else "region"]
    told |= {
        "compared": engine.compared,
        "in_units": judged.get("insns", 0),
        "comparisons": engine.comparisons,
        "units": judged.get("units", 0),
        "exits": stats["exits"],
    }
    Path(result).write_text(json.dumps(told))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
