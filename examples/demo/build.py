"""Builds demo-riscv64 from demo.c: the command behind `make demo-guest`.

The program is linked statically against musl and stripped, so that the same compiler makes the same bytes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

# The release of ziglang that made the committed program.
ZIGLANG = "0.17.1"
FLAGS = ("-s",)


def build() -> Path:
    """The program, in the test cache."""
    from tests.toolchain import build

    return build(HERE / "demo.c", "riscv64", flags=FLAGS)


if __name__ == "__main__":
    made = HERE / "demo-riscv64"
    shutil.copyfile(build(), made)
    made.chmod(0o755)
    print(f"{made}: {made.stat().st_size} bytes")
