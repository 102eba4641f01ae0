"""Fetches the real programs of the benchmark from Debian, for the guest and for this machine, into polyvm's cache.

    python benchmarks/real/fetch.py [--suite SUITE] [--guest GUEST] [--extra PACKAGE...]

Nothing is installed and nothing lands in the repository: apt works with state of its own. Packages are checked against
Debian's archive keys. Without apt it refuses.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

# From a checkout that is not installed, too.
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from polyvm.bench import debian, manifest, real
from polyvm.errors import PolyvmError


def main() -> int:
    """Fetch for both processors; print what is there and where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--suite", default=real.SUITE, help=f"Debian suite with both architectures (default: {real.SUITE})"
    )
    parser.add_argument("--guest", default="riscv64", choices=sorted(real.ARCHITECTURE))
    parser.add_argument(
        "--extra", nargs="*", default=[], metavar="PACKAGE", help="more packages, for experiments"
    )
    options = parser.parse_args()
    folder = Path(__file__).parents[1]
    packages = sorted({one.package for one in manifest.load(folder) if one.package} | set(options.extra))
    try:
        versions = {}
        for machine in (options.guest, platform.machine()):
            where = real.folder(machine)
            versions[machine] = debian.fetch(
                options.suite, real.ARCHITECTURE[machine], packages, where, say=print
            )
            print(f"{machine}: {len(versions[machine])} packages in {where / 'root'}")
    except PolyvmError as error:
        print(f"{error}\n{error.hint or ''}".strip(), file=sys.stderr)
        return error.exit_status
    for package in packages:
        found = {machine: names.get(package, "absent") for machine, names in versions.items()}
        same = len(set(found.values())) == 1
        print(f"  {package}: {next(iter(found.values())) if same else found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
