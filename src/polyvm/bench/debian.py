"""Fetches Debian packages of any architecture, with what they depend on, and unpacks them into a folder of ours.

apt does the work with state, lists and sources of its own in our cache: this machine's packages are neither read nor
changed. Without apt and dpkg it refuses, and says which programs it looked for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from polyvm.errors import PolyvmError

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("apt-get", "dpkg-deb")

# Debian has had these as links into /usr since bookworm; the packages only have what is behind them.
MERGED = ("bin", "lib", "lib64", "sbin")


def fetch(
    suite: str,
    architecture: str,
    packages: Sequence[str],
    folder: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Unpack `packages` and their dependencies under folder/root; package -> version. Done before: taken as it is."""
    root, stamp = folder / "root", folder / "packages.json"
    wanted = {"suite": suite, "packages": sorted(packages)}
    if not present(folder) or {key: contents(folder)[key] for key in wanted} != wanted:
        _check_tools()
        say(f"fetching {', '.join(packages)} of {suite} for {architecture}")
        archives = _download(suite, architecture, packages, folder)
        stamp.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
        for name in MERGED:
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
        for archive in archives:
            _unpack(archive, root)
        stamp.write_text(
            json.dumps({**wanted, "versions": dict(_name(archive) for archive in archives)}, indent=1)
        )
    versions: dict[str, str] = contents(folder)["versions"]
    return versions


def contents(folder: Path) -> dict[str, Any]:
    """What `fetch` wrote down: suite, packages, versions."""
    written: dict[str, Any] = json.loads((folder / "packages.json").read_text())
    return written


def present(folder: Path) -> bool:
    """Whether `fetch` has finished for this folder."""
    return (folder / "packages.json").exists()


def mirror() -> str:
    """The mirror in this machine's own sources, else Debian's."""
    found = []
    for path in (*Path("/etc/apt").glob("*.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if path.suffix in (".list", ".sources") and path.is_file():
            found += re.findall(
                r"^(?:URIs:|deb\b.*?)\s*(https?://\S*/debian)/?(?:\s|$)", path.read_text(), re.M
            )
    return found[0] if found else MIRROR


def _check_tools() -> None:
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise PolyvmError(
                "PVM-BENCH-BUILD",
                f"{tool} is not on this machine, so Debian's packages cannot be fetched",
                hint="fetch them on a Debian or Ubuntu machine, or leave the group real out",
                tool=tool,
            )
    if not KEYRING.exists():
        raise PolyvmError(
            "PVM-BENCH-BUILD",
            "Debian's archive keys are not on this machine, so its packages cannot be checked",
            hint="apt install debian-archive-keyring",
            path=str(KEYRING),
        )


def _download(suite: str, architecture: str, packages: Sequence[str], folder: Path) -> list[Path]:
    """The packages' archives and those of all they depend on."""
    state = folder / "apt"
    for name in ("state", "lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")
    (state / "sources.list").write_text(
        f"deb [arch={architecture} signed-by={KEYRING}] {mirror()} {suite} main\n"
    )
    (state / "apt.conf").write_text(
        "".join(
            f"{key} {value};\n"
            for key, value in {
                "Dir::State": f'"{state}/state"',
                "Dir::State::lists": f'"{state}/lists"',
                "Dir::State::status": f'"{state}/status"',
                "Dir::Cache": f'"{state}/cache"',
                "Dir::Etc::sourcelist": f'"{state}/sources.list"',
                "Dir::Etc::sourceparts": '"/dev/null"',
                "Dir::Etc::preferencesparts": '"/dev/null"',
                "Dir::Log": f'"{state}"',
                "APT::Architecture": f'"{architecture}"',
                "APT::Architectures": f'{{ "{architecture}"; }}',
                "APT::Install-Recommends": '"false"',
                "APT::Sandbox::User": '""',
                "Acquire::Languages": '"none"',
                "Debug::NoLocking": '"true"',
            }.items()
        )
    )
    environment = {**os.environ, "APT_CONFIG": str(state / "apt.conf"), "LC_ALL": "C"}
    _run(["apt-get", "-qq", "update"], environment)
    _run(["apt-get", "-qq", "--yes", "--download-only", "install", *packages], environment)
    return sorted((state / "cache" / "archives").glob("*.deb"))


def _unpack(archive: Path, root: Path) -> None:
    """dpkg-deb --extract replaces our links (/lib -> usr/lib) by folders of older packages; tar can be told not to."""
    with tempfile.NamedTemporaryFile(dir=root.parent) as tar:
        tar.write(_run(["dpkg-deb", "--fsys-tarfile", str(archive)]))
        tar.flush()
        _run(["tar", "-x", "-f", tar.name, "-C", str(root), "--keep-directory-symlink", "--no-same-owner"])


def _run(command: list[str], environment: dict[str, str] | None = None) -> bytes:
    """The output of a command; a failure has its last words as the hint."""
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise PolyvmError(
            "PVM-BENCH-BUILD",
            f"{command[0]} failed while fetching Debian packages",
            hint=words[-1000:] or None,
            command=" ".join(command),
            status=done.returncode,
        )
    return done.stdout


def _name(archive: Path) -> tuple[str, str]:
    """name_version_architecture.deb, where apt writes a colon as %3a."""
    name, version, _ = archive.stem.split("_")
    return name, version.replace("%3a", ":")
