"""Real programs, from Debian packages: where they are once fetched, what they are given, and how each peer runs them.

The guest's and the native ones come from the same suite. Nothing is fetched here: benchmarks/real/fetch.py does that,
and a program that was asked for and is not there is refused with that command.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from polyvm.bench import data, debian
from polyvm.bench.build import cache_folder
from polyvm.bench.manifest import Workload
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer
from polyvm.errors import PolyvmError

# What fetch.py takes unless told otherwise. Both processors' packages have the same versions there.
SUITE = "sid"
ARCHITECTURE = {"riscv64": "riscv64", "x86_64": "amd64", "aarch64": "arm64"}
LOADER = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
LIBRARIES = {"x86_64": "usr/lib/x86_64-linux-gnu", "aarch64": "usr/lib/aarch64-linux-gnu"}

FETCH = "python benchmarks/real/fetch.py"


@dataclass(frozen=True)
class Prepared:
    """A program ready to run: for native, `launcher` is its own dynamic linker."""

    program: Path
    arguments: tuple[str, ...]
    sysroot: Path | None = None
    cwd: Path | None = None
    launcher: tuple[str, ...] = ()


def folder(machine: str) -> Path:
    """Where the packages for a processor are unpacked."""
    return cache_folder() / "real" / ARCHITECTURE[machine]


class Real:
    """The real programs that this benchmark can run."""

    def __init__(self, guest: str, wanted: tuple[str, ...]) -> None:
        self.guest = guest
        self.host = platform.machine()
        self.wanted = wanted
        self.data = cache_folder() / "real" / "data"

    def missing(self, workload: Workload) -> str | None:
        """Why a workload cannot run here, or None."""
        if workload.source is not None:
            return None
        for machine in (self.guest, self.host):
            if machine not in ARCHITECTURE:
                return f"no Debian packages for {machine}"
            root = folder(machine)
            if not debian.present(root) or not (root / "root" / workload.program).exists():
                return f"{workload.package} for {machine} is not fetched: {FETCH}"
        return None

    def program(self, workload: Workload, peer: Peer, size: str) -> Prepared:
        """The program, its arguments and its libraries for one peer."""
        machine = self.guest if peer.build == "guest" else self.host
        root = folder(machine) / "root"
        fill = {"size": workload.size[size], "data": str(self.data), "here": str(workload.folder)}
        arguments = tuple(argument.format(**fill) for argument in workload.arguments)
        for argument in arguments:
            if argument.startswith(f"{self.data}/"):
                data.make(Path(argument))
        self.data.mkdir(parents=True, exist_ok=True)
        path = root / workload.program
        if static(path):
            return Prepared(path, arguments, cwd=self.data)
        if peer.build == "guest":
            return Prepared(path, arguments, sysroot=root, cwd=self.data)
        launcher = (str(root / LOADER[machine]), "--library-path", str(root / LIBRARIES[machine]))
        return Prepared(path, arguments, sysroot=root, cwd=self.data, launcher=launcher)


def prepare(options: Options, workloads: list[Workload]) -> Real:
    """Check that what was asked for by name is there."""
    real = Real(options.guest, options.workloads)
    for workload in workloads:
        asked = workload.name in options.workloads or workload.group in options.workloads
        reason = real.missing(workload)
        if asked and reason is not None:
            raise PolyvmError(
                "PVM-BENCH-BUILD",
                f"{workload.name} cannot run: {reason}",
                hint=FETCH,
                package=workload.package,
            )
    return real


def static(path: Path) -> bool:
    """Whether an ELF program has no interpreter: no program header of type 3."""
    with path.open("rb") as file:
        head = file.read(4096)
    table = int.from_bytes(head[32:40], "little")
    size, count = int.from_bytes(head[54:56], "little"), int.from_bytes(head[56:58], "little")
    kinds = [
        int.from_bytes(head[at : at + 4], "little") for at in range(table, table + size * count, size or 1)
    ]
    return 3 not in kinds
