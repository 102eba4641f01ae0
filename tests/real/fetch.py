"""Fetches the real programs of these tests from Debian for riscv64: into the tests' cache, never into the repository.

    python tests/real/fetch.py [--suite SUITE]

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
from polyvm.errors import PolyvmError
from tests import toolchain

PACKAGES = ("busybox-static", "libc6", "lua5.4", "sqlite3")
COMMAND = "python tests/real/fetch.py"


def folder() -> Path:
    """Where the packages are unpacked: folder/root looks like a Debian machine's /."""
    return toolchain.cache() / "debian-riscv64"


def main() -> int:
    """Fetch, and say what came."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", default="sid", help="a Debian suite that has riscv64 (default: sid)")
    options = parser.parse_args()
    try:
        versions = debian.fetch(options.suite, "riscv64", PACKAGES, folder(), say=print)
    except PolyvmError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_status
    for name in sorted(versions):
        print(f"{name} {versions[name]}")
    print(f"in {folder() / 'root'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
