"""How much memory a run of polyvm takes with everything that works for it: children, and the compile workers.

The workers belong to no family, so they are found by the code cache that they serve, which their command line names.
Pages that processes share count once (the kernel's proportional set size). Where /proc does not tell, it says 0.
"""

from __future__ import annotations

import os
from pathlib import Path

WORKER = b"polyvm.engine.worker"


class Peak:
    """The largest footprint seen of a process, with its descendants and the workers of one cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.fsencode(folder)
        self.bytes = 0

    def look(self, pid: int) -> None:
        """Take a sample."""
        self.bytes = max(self.bytes, sum(resident(one) for one in self._processes(pid)))

    def _processes(self, pid: int) -> set[int]:
        parents: dict[int, int] = {}
        chosen = {pid}
        for name in os.listdir("/proc"):
            if name.isdigit():
                words = _read(f"/proc/{name}/cmdline").split(b"\0")
                if any(WORKER in word for word in words) and any(self.folder in word for word in words):
                    chosen.add(int(name))
                parents[int(name)] = _parent(name)
        grown = True
        while grown:
            more = {child for child, parent in parents.items() if parent in chosen} - chosen
            chosen |= more
            grown = bool(more)
        return chosen


def resident(pid: int) -> int:
    """The proportional set size of a process in bytes; 0 when it is gone."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _parent(pid: str) -> int:
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""  # it ended meanwhile, or is somebody else's
