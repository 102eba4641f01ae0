"""Builds guest programs from C for the tests, with the cross compiler that pip brings (ziglang).

Results are kept under $XDG_CACHE_HOME/polyvm-tests by the hash of everything that went in, never in the repository.
It refuses guests and C libraries that it has no compiler for, and shows the compiler's own words when one fails.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

GUESTS = Path(__file__).parent / "guests"

# The oldest glibc that has a riscv64 port without later symbol versions; Debian stable's is newer.
GLIBC = "2.36"

# As in "Comparing with native": fused multiply-add only where the source asks for it. No default sanitizers.
FLAGS = ("-O2", "-ffp-contract=off", "-fno-sanitize=undefined", "-Wall", "-Werror")
SECOND_FLAGS = ("-O2", "-ffp-contract=off", "-static", "-pthread", "-lm")
FREESTANDING = ("-ffreestanding", "-nostdlib", "-fno-stack-protector", "-fno-builtin")

# What distributions build for: rv64gc, armv8-a, x86-64.
CPUS = {"riscv64": "baseline_rv64", "aarch64": "baseline", "x86_64": "baseline"}
# For freestanding programs, which have nothing that needs vectors: they run before a guest has any.
BARE_CPUS = {"aarch64": "generic-neon-fp_armv8"}


class BuildError(Exception):
    """The compiler failed; the message is its output."""


def cache() -> Path:
    """Where built programs and zig's own caches are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "polyvm-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def second(guest: str = "riscv64") -> str | None:
    """Debian's cross compiler for a guest, where it is installed: another compiler's opinion of the same sources."""
    return shutil.which(f"{guest.replace('_', '-')}-linux-gnu-gcc")


def build_second(source: str, guest: str = "riscv64") -> Path:
    """The static glibc program that Debian's cross compiler makes of a file in tests/guests."""
    compiler = second(guest)
    if compiler is None:
        raise ValueError(f"no second compiler for guest {guest!r}")
    path = GUESTS / source
    about = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    command = [compiler, str(path), f"-I{GUESTS}", *SECOND_FLAGS, "-o"]
    parts = [about, repr(SECOND_FLAGS).encode(), *_headers(), path.read_bytes()]
    return _kept(f"{path.stem}-{guest}-gnu", parts, lambda made: _run([*command, str(made)]))


def version() -> str:
    """The compiler's version, part of every program's hash."""
    from importlib.metadata import version as installed

    return installed("ziglang")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: parallel test processes build each program once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(
    source: str | Path | Sequence[str | Path],
    guest: str = "riscv64",
    *,
    static: bool = True,
    libc: str | None = "musl",
    flags: Sequence[str] = (),
    cpu: str | None = None,
    name: str | None = None,
) -> Path:
    """The program that these C or assembly sources make, built now or found in the cache.

    source: a file name in tests/guests, a path, or several; text with a newline in it is C source itself.
    libc: "musl", "glibc", or None for a freestanding program with its own _start (see guests/bare.h).
    cpu: zig's name of a processor with features, such as "baseline_rv64+zba+zbb"; default: what distributions use, and
    for a freestanding program no vectors.
    """
    if guest not in CPUS:
        raise ValueError(f"no cross compiler for guest {guest!r}; there is one for {', '.join(CPUS)}")
    if libc not in ("musl", "glibc", None):
        raise ValueError(f"libc is 'musl', 'glibc' or None, not {libc!r}")
    if libc == "glibc" and static:
        raise ValueError("zig links glibc dynamically only: pass static=False")
    sources = [source] if isinstance(source, str | Path) else list(source)
    texts = [_text(item) for item in sources]
    if cpu is None and libc is None:
        cpu = BARE_CPUS.get(guest)
    options = _options(guest, static, libc, cpu, flags)
    parts = [
        version().encode(),
        repr(options).encode(),
        *_headers(),
        *(suffix.encode() + text for suffix, text in texts),
    ]
    stem = name or (Path(sources[0]).stem if "\n" not in str(sources[0]) else "inline")
    return _kept(f"{stem}-{guest}", parts, lambda made: _compile(texts, options, made))


def _headers() -> list[bytes]:
    return [path.read_bytes() for path in sorted(GUESTS.glob("*.h"))]


def _kept(name: str, parts: Sequence[bytes], make: Callable[[Path], None]) -> Path:
    """The program that these parts make, found in the cache or made now. make: writes it to a path."""
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]
    folder = cache() / "programs"
    folder.mkdir(exist_ok=True)
    result = folder / f"{name}-{key}"
    if not result.exists():
        with locked(folder / f"{key}.lock"):
            if not result.exists():
                # Renamed into place within one file system, so that no process ever sees half a program.
                new = result.with_suffix(".new")
                make(new)
                new.rename(result)
    return result


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")


def _text(source: str | Path) -> tuple[str, bytes]:
    """A source's suffix and content."""
    if isinstance(source, str) and "\n" in source:
        return ".c", source.encode()
    path = Path(source) if Path(source).is_absolute() else GUESTS / source
    return path.suffix, path.read_bytes()


def _options(guest: str, static: bool, libc: str | None, cpu: str | None, flags: Sequence[str]) -> list[str]:
    abi = {"musl": "musl", "glibc": f"gnu.{GLIBC}", None: "musl"}[libc]
    options = ["-target", f"{guest}-linux-{abi}", f"-mcpu={cpu or CPUS[guest]}", *FLAGS]
    if libc is None:
        options += FREESTANDING
    if static:
        options.append("-static")
    return [*options, *flags]


def macros(header: str, guest: str) -> dict[str, int]:
    """The numbers that a header of Linux, such as "asm/unistd.h", defines for a guest."""
    options = ["-target", f"{guest}-linux-musl", "-E", "-dM", "-include", header, "-x", "c", os.devnull]
    command = [sys.executable, "-m", "ziglang", "cc", *options]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True)
    texts = dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line.count(" ") > 1)
    found = {}
    for name, text in texts.items():
        for _ in range(4):  # a name of a name; some are their own
            text = texts.get(text, text)
        bits = re.fullmatch(r"\(1(?:UL)? << (\d+)\)", text)
        if bits:
            found[name] = 1 << int(bits[1])
        elif re.fullmatch(r"0|0x[0-9a-fA-F]+|[0-9]+", text):
            octal = len(text) > 1 and text[0] == "0" and text[1] != "x"
            found[name] = int(text, 8 if octal else 0)
    return found


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "ZIG_GLOBAL_CACHE_DIR": str(cache() / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(cache() / "zig-local"),
    }


def _compile(texts: list[tuple[str, bytes]], options: list[str], result: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as work:
        files = []
        for index, (suffix, text) in enumerate(texts):
            file = Path(work) / f"{index}{suffix}"
            file.write_bytes(text)
            files.append(str(file))
        made = Path(work) / "program"
        command = [sys.executable, "-m", "ziglang", "cc", *options, f"-I{GUESTS}", *files, "-o", str(made)]
        # One compiler at a time: the first build of a target makes its libc, and two cores are all there is.
        with locked(cache() / "zig.lock"):
            _run(command, _environment())
        shutil.move(made, result)
