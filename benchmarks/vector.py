"""RISC-V's vectors: SAXPY, a copy and a search for a byte, built with vectors and without from one source.

    python benchmarks/vector.py [ROUNDS]

prints, for each of them and two sizes, how much longer the scalar build takes under polyvm, and how much longer
qemu-riscv64 takes for the build with vectors, than polyvm does for that, for each VLEN. Best of the rounds, which are
interleaved; a program times its loops itself, so start-up and compiling are not in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.toolchain import build

SOURCE = Path(__file__).parent / "vector" / "kernels.c"
KERNELS = {"saxpy": "s", "copy": "c", "search": "f"}
SIZES = ((4096, 4000), (1 << 20, 12))
"""Elements, and how often."""
VLENS = (128, 256, 512)
SLOWER = 20
"""qemu is given so much less to do."""


def nanoseconds(command: list[str], which: str, size: int, times: int) -> float:
    """What a program says that one time takes."""
    done = subprocess.run(
        [*command, KERNELS[which], str(size), str(times)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / times


def main(rounds: int) -> None:
    """Print a row for each kernel and size."""
    flags = ("-fno-builtin",)
    vectors = str(build(SOURCE, cpu="baseline_rv64+v", flags=flags))
    scalar = str(build(SOURCE, cpu="baseline_rv64", flags=flags))
    polyvm = [sys.executable, "-m", "polyvm", "run", "--quiet"]
    ways = {f"vlen {vlen}": [*polyvm, "--vlen", str(vlen), vectors] for vlen in VLENS}
    ways["scalar"] = [*polyvm, scalar]
    qemu = shutil.which("qemu-riscv64")
    if qemu is not None:
        ways["qemu"] = [qemu, "-cpu", "rv64,v=true,vlen=128,vext_spec=v1.0", vectors]
    for which in KERNELS:
        for size, times in SIZES:
            best: dict[str, float] = {}
            for _ in range(rounds):
                for name, command in ways.items():
                    count = max(1, times // SLOWER) if name == "qemu" else times
                    took = nanoseconds(command, which, size, count)
                    best[name] = min(took, best.get(name, took))
            for vlen in VLENS:
                ours = best[f"vlen {vlen}"]
                others = [f"{name} {best[name] / ours:7.2f}x" for name in ("scalar", "qemu") if name in best]
                print(
                    f"{which:7} {size:8} vlen {vlen}: {ours / size:7.4f} ns an element; {'; '.join(others)}"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
