"""Runs of polyvm itself: warming its cache, adding its workers' time, and reading its result file.

A missing or torn result file is an unknown (null), never a guess.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polyvm.bench.measure import Sample, measure
from polyvm.bench.peers import Peer
from polyvm.bench.real import Prepared
from polyvm.errors import PolyvmError

# A warm-up ends when a run compiled nothing more; a program that never stops compiling is measured as it is.
WARM_UPS = 5
TIERS = ("golden", "interpreter", "baseline", "region")

Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A sample of polyvm with its workers' CPU time in it, and its polyvm.run/1 document where it wrote one."""

    sample: Sample
    document: Json | None


def observe(
    peer: Peer,
    program: Path,
    arguments: tuple[str, ...],
    *,
    options: tuple[str, ...] = (),
    sysroot: Path | None = None,
    limit: float,
    cwd: str | None = None,
    environment: Mapping[str, str] | None = None,
    probe: Callable[[int], None] | None = None,
) -> Outcome:
    """Run a program under polyvm with a result file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        prefix = (*peer.prefix, *options, "--result-file", str(file))
        command = replace(peer, prefix=prefix).command(program, arguments, sysroot)
        sample = measure(
            command, env={**peer.env(), **(environment or {})}, limit=limit, cwd=cwd, probe=probe
        )
        document = _read(file)
    workers = number(document, "workers_cpu_s")
    rss = number(document, "max_rss")
    return Outcome(
        replace(
            sample,
            cpu_s=sample.cpu_s + (workers or 0.0),
            max_rss=int(max(sample.max_rss or 0, rss or 0)) or None,
        ),
        document,
    )


def observe_prepared(
    peer: Peer, made: Prepared, *, limit: float, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Run a workload that is ready."""
    cwd = str(made.cwd) if made.cwd else None
    return observe(
        peer,
        made.program,
        made.arguments,
        sysroot=made.sysroot,
        limit=limit,
        cwd=cwd,
        environment=environment,
    )


def warm_up(run: Callable[[], Outcome]) -> Outcome:
    """Run until the code cache has everything: a run that wrote nothing to it, and looked for no more than before."""
    outcome = run()
    for _ in range(WARM_UPS - 1):
        sought = missed(outcome.document)
        if outcome.sample.status != 0 or (not sought and not compiled(outcome.document)):
            break
        outcome = run()
        if not compiled(outcome.document) and missed(outcome.document) == sought:
            break
    return outcome


def compiled(document: Json | None) -> bool:
    """Whether that run compiled anything; not knowing counts as yes, once more does no harm."""
    if document is None:
        return True
    written = number(document, "cache", "disk_written")
    spent = sum(number(document, "tiers", tier, "compile_s") or 0.0 for tier in TIERS)
    return bool(written) or (written is None and spent > 0)


def missed(document: Json | None) -> float:
    """How many regions that run looked for in the cache in vain: they may be there the next time."""
    return number(document, "cache", "disk", "misses") or 0.0


def number(document: Json | None, *keys: str) -> float | None:
    """The number at a path of keys, or None where anything on the way is absent or null."""
    value: Any = document
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read(file: Path) -> Json | None:
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PolyvmError("PVM-INTERNAL", "polyvm's result file is not JSON", path=str(file)) from error
    return document if isinstance(document, dict) else None
