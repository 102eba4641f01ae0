"""Builds the C workloads for the host and the guest with one compiler (zig's clang), and keeps the results.

Same source, same version, same flags: `-O2 -ffp-contract=off`, static musl; native also with -march=native. Without
the compiler nothing is built by another one instead: it is refused with the package to install.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from polyvm.engine import cachedir
from polyvm.errors import PolyvmError

FLAGS = ("-O2", "-ffp-contract=off", "-fno-sanitize=undefined", "-static")
NATIVE = {"x86_64": "x86_64-linux-musl", "aarch64": "aarch64-linux-musl"}
TARGET = {"riscv64": "riscv64-linux-musl", "aarch64": "aarch64-linux-musl"}
KINDS = ("native", "native-march", "guest")


def cache_folder() -> Path:
    """Where built programs and fetched packages are: a folder in polyvm's cache."""
    folder = cachedir.prepare()
    if folder is None:
        raise PolyvmError(
            "PVM-BENCH-BUILD",
            "there is no folder that can be written to keep the benchmark's programs in",
            hint="name one with POLYVM_CACHE_DIR",
        )
    return Path(folder) / "bench"


class Builder:
    """Compiles workloads for one guest; what is already there for the same source and flags is taken."""

    def __init__(self, guest: str, folder: Path | None = None) -> None:
        self.guest = guest
        self.folder = folder or cache_folder() / "programs"

    @property
    def version(self) -> str:
        """The compiler's version; refused when it is not installed."""
        if importlib.util.find_spec("ziglang") is None:
            raise PolyvmError(
                "PVM-PEER-MISSING",
                "the benchmark's C compiler, zig, is not installed",
                hint="pip install ziglang",
                package="ziglang",
            )
        return "zig " + importlib.metadata.version("ziglang")

    def flags(self, kind: str) -> list[str]:
        """All of the compiler's options for one kind of build."""
        machine = platform.machine()
        if kind == "guest":
            return ["-target", TARGET[self.guest], *FLAGS]
        if machine not in NATIVE:
            raise PolyvmError("PVM-UNSUPPORTED", f"no native benchmark on a {machine} host")
        return ["-target", NATIVE[machine], *FLAGS, *(["-march=native"] if kind == "native-march" else [])]

    def build(self, source: Path, kind: str) -> Path:
        """The program that `source` makes; kind is one of KINDS."""
        flags = self.flags(kind)
        identity = "\0".join([self.version, *flags, *([_cpu()] if kind == "native-march" else [])])
        key = hashlib.sha256(identity.encode() + b"\0" + source.read_bytes()).hexdigest()[:20]
        program = self.folder / f"{source.stem}-{self.guest if kind == 'guest' else kind}-{key}"
        if not program.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two benchmarks build each program once
                if not program.exists():
                    self._compile(source, flags, program)
        return program

    def _compile(self, source: Path, flags: list[str], program: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            made = Path(work) / "program"
            command = [sys.executable, "-m", "ziglang", "cc", *flags, "-o", str(made), str(source), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not made.exists():
                raise PolyvmError(
                    "PVM-BENCH-BUILD",
                    f"the compiler failed on {source.name}",
                    hint=done.stderr.strip()[-1000:] or None,
                    path=str(source),
                    status=done.returncode,
                )
            made.rename(program)


def _cpu() -> str:
    """What -march=native depends on, so that a cache shared between machines gives no illegal instructions."""
    try:
        with open("/proc/cpuinfo") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()
