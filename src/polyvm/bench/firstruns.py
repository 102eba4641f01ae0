"""The first runs of a workload: nothing of it is in the code cache, where only the interpreter is.

What a program costs before it has settled, in seconds of the clock on the wall too: a peer that has no cache needs the
same in every run. The runs follow each other at once, so the second has what the first left for the compilers beside
it. Outputs count as elsewhere: a wrong one has no time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polyvm.bench import subject
from polyvm.bench.measure import Sample
from polyvm.bench.peers import Peer
from polyvm.bench.real import Prepared

RUNS = 2
INTERPRETERS = "tier0"
"""The folder of a code cache that does not depend on the program."""

Json = dict[str, Any]


class FirstRuns:
    """Runs of polyvm with code caches of their own."""

    def __init__(self, peer: Peer, limit: float) -> None:
        self.peer = peer
        self.limit = limit
        # Compilers may still be writing when it is given up.
        self.folder = tempfile.TemporaryDirectory(prefix="polyvm-bench-", ignore_cleanup_errors=True)
        self.count = 0

    def close(self) -> None:
        """Remove what the runs left."""
        self.folder.cleanup()

    def prepare(self, hello: Path) -> None:
        """Have the interpreter compiled."""
        self._run(Prepared(hello, ()), self._cache("first"))

    def measure(self, made: Prepared, right: Callable[[Sample], str | None]) -> Json:
        """CPU and wall seconds of each run of a program. right: what is wrong with one, or None."""
        self.count += 1
        cache = self._cache(str(self.count))
        prepared = Path(self.folder.name, "first", INTERPRETERS)
        if prepared.exists():
            shutil.copytree(prepared, cache / INTERPRETERS)
        found: Json = {"cpu_s": [], "wall_s": [], "failed": None}
        for _ in range(RUNS):
            sample = self._run(made, cache)
            found["failed"] = right(sample)
            if found["failed"] is not None:
                break
            found["cpu_s"].append(sample.cpu_s)
            found["wall_s"].append(sample.wall_s)
        return found

    def _cache(self, name: str) -> Path:
        cache = Path(self.folder.name, name)
        cache.mkdir(mode=0o700)
        return cache

    def _run(self, made: Prepared, cache: Path) -> Sample:
        return subject.observe_prepared(
            self.peer, made, limit=self.limit, environment={"POLYVM_CACHE_DIR": str(cache)}
        ).sample
