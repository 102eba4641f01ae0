"""A benchmark whose programs are shell scripts and whose peers are ways to run them: quick, and under control."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from polyvm.bench import options, peers, runner
from polyvm.bench.build import Builder
from polyvm.bench.peers import Peer
from polyvm.bench.progress import Silent

ENTRY = """
[[workload]]
name = "{name}"
group = "{group}"
simd = "{simd}"
size = {{ full = "3", quick = "2", small = "1" }}
output.full = "right 3"
output.quick = "right 2"
output.small = "right 1"
"""


class Bench:
    """Workloads, and peers that write their names into a log before they run a workload's script."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        (folder / "workloads").mkdir()
        self.entries: list[str] = []
        self.prefixes: dict[str, str] = {}
        monkeypatch.setattr(Builder, "build", lambda _self, source, _kind: source.with_suffix(".sh"))
        monkeypatch.setattr(Builder, "version", "zig 0")
        monkeypatch.setattr(peers, "find", self._peer)
        monkeypatch.setattr(peers, "subject", lambda command, more: self._polyvm())

    def program(self, name: str, script: str) -> None:
        """A program that is no workload."""
        self._script(self.folder / "workloads" / f"{name}.sh", script)

    def workload(
        self, name: str, script: str = 'echo "right $1"', group: str = "int", simd: str = ""
    ) -> None:
        """Add a workload: what its program does, under every peer."""
        self.entries.append(ENTRY.format(name=name, group=group, simd=simd))
        (self.folder / "manifest.toml").write_text("\n".join(self.entries))
        source = self.folder / "workloads" / f"{name}.c"
        source.touch()
        self._script(source.with_suffix(".sh"), script)

    def peer(self, name: str, script: str = 'exec "$@"') -> None:
        """What a peer does with the program."""
        self.prefixes[name] = script

    def run(self, *peers: str, **more: Any) -> dict[str, Any]:
        """The document."""
        asked = {"peers": peers, "runs": 2, "march": False, "extras": False, "size": "small", **more}
        chosen = options.Options(benchmarks=self.folder, **asked)
        return runner.run(chosen, Silent())

    def order(self) -> list[str]:
        """Who ran, in order."""
        return self.log.read_text().split()

    def _script(self, path: Path, text: str) -> Path:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def _peer(self, name: str, _guest: str = "riscv64", _builder: object = None) -> Peer:
        script = self.prefixes.get(name, 'exec "$@"')
        path = self._script(self.folder / f"peer-{name}", f"echo {name} >> {self.log}\n{script}")
        return Peer(name, name if name.startswith("native") else "guest", "1", prefix=(str(path),))

    def _polyvm(self) -> Peer:
        # Options come before the program, as for `polyvm run`: --tier TIER and --result-file FILE.
        text = self.prefixes.get("polyvm", 'exec "$@"')
        options = 'result=/dev/null\nwhile case "$1" in --*) true;; *) false;; esac; do\n'
        options += '[ "$1" = --result-file ] && result=$2; shift 2\ndone'
        whole = f"echo polyvm >> {self.log}\nall=$*\n{options}\n{text}"
        path = self._script(self.folder / "peer-polyvm", whole)
        return Peer("polyvm", "guest", "1", prefix=(str(path),))


def document(cpu: float = 0.0, written: int = 0, interpreter: int = 0, **region: float) -> str:
    """Shell text that writes a polyvm.run/1 document of that run, and runs the program."""
    text = json.dumps(
        {
            "workers_cpu_s": cpu,
            "max_rss": 1000,
            "cache": {"disk_written": written, "disk": {"misses": 0}},
            "tiers": {"interpreter": {"insns": interpreter}, "region": region},
        }
    )
    return f"cat > \"$result\" <<'END'\n{text}\nEND\n" + 'exec "$@"'
