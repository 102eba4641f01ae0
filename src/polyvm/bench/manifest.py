"""The workloads as benchmarks/manifest.toml and benchmarks/real/manifest.toml describe them: group, sizes, outputs.

A manifest that contradicts itself is refused when it is read. Nothing is built or run here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyvm.bench.options import SIZES
from polyvm.errors import PolyvmError

GROUPS = ("int", "fp", "string", "real")
SIMD = ("", "slp", "loop", "libc")

# Where the folder is: in a checkout beside src/, in an installed package (should it bring them) beside this module.
_PLACES = (Path(__file__).parents[3] / "benchmarks", Path(__file__).parent / "benchmarks")


VECTORS = ("aarch64", "x86_64")
"""Guests whose compilers have vectors to work with in what every processor of the kind has."""


@dataclass(frozen=True)
class Workload:
    """One program and its sizes. `source` is a C file; a real program has `program`, `needs` and `arguments`."""

    name: str
    group: str
    simd: str
    size: dict[str, str]
    output: dict[str, str]
    """The expected standard output of each size; where a size has none, whoever runs it must agree with native."""
    source: Path | None = None
    program: str = ""
    package: str = ""
    arguments: tuple[str, ...] = ()
    """Of a real program; {size}, {data} and {here} are filled in."""
    folder: Path = Path()

    def apart(self, guest: str) -> bool:
        """Whether native has vectors where the guest has none, so that it stays out of the means."""
        return guest not in VECTORS and self.simd in ("loop", "libc")


def locate(folder: Path | None = None) -> Path:
    """The benchmarks folder: the one that was named, or the one that came with polyvm."""
    places = _PLACES if folder is None else (folder,)
    for place in places:
        if (place / "manifest.toml").is_file():
            return place
    raise PolyvmError(
        "PVM-FILE-MISSING",
        "the benchmark's workloads are not here: no manifest.toml",
        hint="they are in the folder benchmarks/ of polyvm's source; name it with --benchmarks DIR",
        path=str(places[0]),
    )


def load(folder: Path) -> list[Workload]:
    """Every workload: those in C first, then the real programs."""
    found = [_c_workload(folder, entry) for entry in _entries(folder / "manifest.toml")]
    real = folder / "real"
    if (real / "manifest.toml").is_file():
        found += [_real_workload(real, entry) for entry in _entries(real / "manifest.toml")]
    names = [workload.name for workload in found]
    for name in names:
        if names.count(name) > 1:
            raise _bad(folder, name, "is there twice")
    return found


def select(workloads: list[Workload], wanted: tuple[str, ...]) -> list[Workload]:
    """Those whose name or group was asked for, in the manifest's order; an unknown word is refused."""
    known = {workload.name for workload in workloads} | {workload.group for workload in workloads}
    for word in wanted:
        if word not in known:
            raise PolyvmError(
                "PVM-USAGE",
                f"no workload or group is called {word!r}",
                hint=f"there are: {', '.join(sorted(known))}",
            )
    return [one for one in workloads if not wanted or one.name in wanted or one.group in wanted]


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            entries: list[dict[str, Any]] = tomllib.load(file).get("workload", [])
    except tomllib.TOMLDecodeError as error:
        raise PolyvmError("PVM-BENCH-BUILD", f"{path.name} is not TOML: {error}", path=str(path)) from error
    return entries


def _bad(path: Path, name: object, why: str) -> PolyvmError:
    return PolyvmError("PVM-BENCH-BUILD", f"workload {name} {why}", path=str(path))


def _common(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    name = entry.get("name", "?")
    if entry.get("group") not in GROUPS:
        raise _bad(path, name, f"has no group of {', '.join(GROUPS)}")
    if entry.get("simd", "") not in SIMD:
        raise _bad(path, name, "has an unknown simd mark")
    if set(entry.get("size", ())) != set(SIZES):
        raise _bad(path, name, f"needs the sizes {', '.join(SIZES)}")
    if not set(entry.get("output", ())) <= set(SIZES):
        raise _bad(path, name, "has an output of an unknown size")
    return {
        "name": name,
        "group": entry["group"],
        "simd": entry.get("simd", ""),
        "size": {key: str(value) for key, value in entry["size"].items()},
        "output": dict(entry.get("output", {})),
        "folder": path,
    }


def _c_workload(folder: Path, entry: dict[str, Any]) -> Workload:
    common = _common(folder, entry)
    source = folder / "workloads" / f"{common['name']}.c"
    if not source.is_file():
        raise _bad(folder, common["name"], "has no source")
    if common["group"] == "real" or set(common["output"]) != set(SIZES):
        raise _bad(folder, common["name"], "in C must have an output for each size, and not be in group real")
    return Workload(**common, source=source)


def _real_workload(folder: Path, entry: dict[str, Any]) -> Workload:
    common = _common(folder, entry)
    if common["group"] != "real" or not entry.get("program") or not entry.get("package"):
        raise _bad(folder, common["name"], "must be in group real, with a program and its package")
    return Workload(
        **common,
        program=entry["program"],
        package=entry["package"],
        arguments=tuple(entry.get("arguments", ())),
    )
