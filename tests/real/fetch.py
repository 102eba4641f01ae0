"""Fetches the real programs of these tests from Debian, for every guest: into the tests' cache, never the repository.

    python tests/real/fetch.py [--guest GUEST] [--tree TREE] [--suite SUITE]

Nothing is installed: apt works with state of its own, and packages are checked against Debian's archive keys.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

# From a checkout that is not installed, too.
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from polyvm.bench import debian
from polyvm.bench.real import ARCHITECTURE
from polyvm.errors import PolyvmError
from tests import toolchain

GUESTS = ("riscv64", "aarch64")
COMMAND = "python tests/real/fetch.py"


@dataclass(frozen=True)
class Tree:
    """Packages that are unpacked together. `suite` has all guests' and amd64's."""

    name: str
    suite: str
    packages: tuple[str, ...]


PROGRAMS = Tree("debian", "sid", ("busybox-static", "libc6", "lua5.4", "sqlite3"))
# What a small Debian machine has, with a compiler: nearly half a gigabyte for each processor.
SYSTEM = Tree(
    "system",
    "trixie",
    (
        "base-files", "base-passwd", "bash", "bzip2", "coreutils", "dash", "diffutils", "findutils", "gcc", "grep",
        "gzip", "libc-bin", "libc6-dev", "libpython3.13-testsuite", "mawk", "openssl", "perl", "python3", "sed", "sqlite3", "tar",
        "util-linux", "xz-utils",
    ),
)  # fmt: skip
TREES = {tree.name: tree for tree in (PROGRAMS, SYSTEM)}


def folder(guest: str, tree: Tree = PROGRAMS) -> Path:
    """Where the packages are unpacked: folder/root looks like a Debian machine's /."""
    return toolchain.cache() / f"{tree.name}-{ARCHITECTURE[guest]}"


def root(guest: str, tree: Tree = PROGRAMS) -> Path:
    """What looks like a Debian machine's /. Raises LookupError, with what to do, where the packages are not here."""
    place = folder(guest, tree)
    if not debian.present(place) or set(debian.contents(place)["packages"]) != set(tree.packages):
        raise LookupError(
            f"Debian's {guest} programs are not here: {COMMAND} --guest {guest} --tree {tree.name}"
        )
    return place / "root"


def settle(root: Path) -> None:
    """What the packages' own scripts would have done, as far as programs look for it."""
    awk = root / "usr/bin/awk"
    if not awk.is_symlink() and (root / "usr/bin/mawk").exists():
        awk.symlink_to("mawk")
    for name in ("passwd", "group"):
        master = root / f"usr/share/base-passwd/{name}.master"
        if master.exists():
            shutil.copy(master, root / "etc" / name)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)


def main() -> int:
    """Fetch, and say what came."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", help="another Debian suite, one that has the guest")
    parser.add_argument(
        "--guest", choices=(*GUESTS, "x86_64"), help="of one processor only (default: every guest)"
    )
    parser.add_argument("--tree", choices=TREES, help="one set of packages only")
    options = parser.parse_args()
    status = 0
    for guest in (options.guest,) if options.guest else GUESTS:
        for tree in (TREES[options.tree],) if options.tree else TREES.values():
            place = folder(guest, tree)
            try:
                versions = debian.fetch(
                    options.suite or tree.suite, ARCHITECTURE[guest], tree.packages, place, say=print
                )
            except PolyvmError as error:
                print(error.render(), file=sys.stderr)
                status = error.exit_status
                continue
            if tree is SYSTEM:
                settle(place / "root")
            for name in sorted(versions):
                if name in tree.packages:
                    print(f"{name} {versions[name]}")
            print(f"in {place / 'root'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
