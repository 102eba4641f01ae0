"""Fetches the real programs of these tests from Debian, for every guest: into the tests' cache, never the repository.

    python tests/real/fetch.py [--suite SUITE] [--guest GUEST]

Nothing is installed: apt works with state of its own, and packages are checked against Debian's archive keys.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# From a checkout that is not installed, too.
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from polyvm.bench import debian
from polyvm.bench.real import ARCHITECTURE
from polyvm.errors import PolyvmError
from tests import toolchain

PACKAGES = ("busybox-static", "libc6", "lua5.4", "sqlite3")
GUESTS = ("riscv64", "aarch64")
COMMAND = "python tests/real/fetch.py"


def folder(guest: str) -> Path:
    """Where the packages are unpacked: folder/root looks like a Debian machine's /."""
    return toolchain.cache() / f"debian-{ARCHITECTURE[guest]}"


def root(guest: str) -> Path:
    """What looks like a Debian machine's /. Raises LookupError, with what to do, where the packages are not here."""
    place = folder(guest)
    if not debian.present(place) or set(debian.contents(place)["packages"]) != set(PACKAGES):
        raise LookupError(f"Debian's {guest} programs are not here: {COMMAND}")
    return place / "root"


def main() -> int:
    """Fetch, and say what came."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", default="sid", help="a Debian suite that has riscv64 (default: sid)")
    parser.add_argument("--guest", choices=GUESTS, help="of one guest only")
    options = parser.parse_args()
    for guest in (options.guest,) if options.guest else GUESTS:
        place = folder(guest)
        try:
            versions = debian.fetch(options.suite, ARCHITECTURE[guest], PACKAGES, place, say=print)
        except PolyvmError as error:
            print(error.render(), file=sys.stderr)
            return error.exit_status
        for name in sorted(versions):
            print(f"{name} {versions[name]}")
        print(f"in {place / 'root'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
