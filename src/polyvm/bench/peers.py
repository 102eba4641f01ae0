"""Who is measured: native code, qemu's user mode, Unicorn, and polyvm itself; where each is, and how it runs a program.

A peer that was named and is not installed is PVM-PEER-MISSING with the package to install.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polyvm
from polyvm.bench.build import Builder
from polyvm.errors import PolyvmError

CHANGES = ("LC_", "LANG", "QEMU_", "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
"""Variables of the environment that change a program's output or its time."""

QEMU_CPU = {"aarch64": "cortex-a72"}
"""The processor that qemu plays, where its default would not do: by that one it computes the pointer authentication of
Debian's arm64 programs in software, up to sixteen times slower, and polyvm's own has none unless it is asked for."""


@dataclass(frozen=True)
class Peer:
    """A way to run a program: the build it takes, and what goes before the program's own path."""

    name: str
    build: str
    version: str
    path: str | None = None
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sysroot_option: tuple[str, ...] | None = None
    """What goes before the sysroot's path for a dynamic program; None: it cannot run any."""

    def command(self, program: Path, arguments: tuple[str, ...], sysroot: Path | None = None) -> list[str]:
        """The command line that runs `program` under this peer."""
        middle: list[str] = []
        if sysroot is not None:
            if self.sysroot_option is None:
                raise PolyvmError("PVM-UNSUPPORTED", f"{self.name} runs static programs only")
            middle = [*self.sysroot_option, str(sysroot)]
        return [*self.prefix, *middle, str(program), *arguments]

    def env(self) -> dict[str, str]:
        """The environment of a run: ours, without what would change what is measured.

        Python's modules are kept compiled, as they are where a package is installed.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(CHANGES)}
        return {**kept, "LC_ALL": "C", **self.environment}

    def describe(self) -> dict[str, str | None]:
        return {"version": self.version, "path": self.path}


def find(name: str, guest: str, builder: Builder) -> Peer:
    """The peer of this name as it is installed here."""
    match name:
        case "native" | "native-march":
            return Peer(name, name, " ".join([builder.version, *builder.flags(name)]))
        case "qemu":
            return _qemu(guest)
        case "unicorn":
            return _unicorn(guest)
    raise PolyvmError("PVM-USAGE", f"there is no peer {name!r}")


def subject(command: tuple[str, ...], options: tuple[str, ...]) -> Peer:
    """polyvm itself, as a process of its own."""
    return Peer(
        "polyvm",
        "guest",
        polyvm.__version__,
        path=str(Path(polyvm.__file__).parent),
        prefix=(*command, "run", *options),
        sysroot_option=("--sysroot",),
    )


def _qemu(guest: str) -> Peer:
    program = f"qemu-{guest}"
    path = shutil.which(program)
    if path is None:
        raise PolyvmError(
            "PVM-PEER-MISSING",
            f"{program} is not installed",
            hint="on Debian and Ubuntu: apt install qemu-user",
            peer="qemu",
            package="qemu-user",
        )
    first = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    version = first[0].removeprefix(f"{program} version ") if first else "unknown"
    cpu = QEMU_CPU.get(guest)
    chosen = () if cpu is None else ("-cpu", cpu)
    return Peer(
        "qemu",
        "guest",
        " ".join([version, *chosen]),
        path=path,
        prefix=(path, *chosen),
        sysroot_option=("-L",),
    )


def _unicorn(guest: str) -> Peer:
    if guest != "riscv64":
        raise PolyvmError(
            "PVM-UNSUPPORTED",
            f"the benchmark has no system calls for {guest} programs in Unicorn",
            hint="leave unicorn out of --peers, or measure --guest riscv64",
            peer="unicorn",
            guest=guest,
        )
    if importlib.util.find_spec("unicorn") is None:
        raise PolyvmError(
            "PVM-PEER-MISSING",
            "the Python package unicorn is not installed",
            hint="pip install unicorn",
            peer="unicorn",
            package="unicorn",
        )
    return Peer(
        "unicorn",
        "guest",
        importlib.metadata.version("unicorn"),
        path=importlib.util.find_spec("unicorn").origin,  # type: ignore[union-attr]  # found above
        # By path: what polyvm.bench imports is no part of Unicorn's start.
        prefix=(sys.executable, "-I", str(Path(__file__).with_name("unicorn_peer.py")), guest),
    )
