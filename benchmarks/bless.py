"""Builds the C workloads natively, prints their times and their packed arithmetic, and writes the manifest's outputs.

    python benchmarks/bless.py [--check] [WORKLOAD...]

The outputs are those of native code: whoever blesses a change says that native is right. The column "packed" counts
instructions of packed arithmetic in the compiler's assembly of each function: evidence for the `simd` mark, which a
person sets. With --check nothing is written, and a difference is the exit status.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# From a checkout that is not installed, too.
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from polyvm.bench import manifest
from polyvm.bench.build import Builder
from polyvm.bench.options import SIZES

PACKED = re.compile(
    r"\s+v?(?:add|sub|mul|div|sqrt|max|min)p[sd]\b|\s+v?p(?:add|sub|mull|muludq|madd|sll|srl|sra|xor)[a-z]*\b"
)
LABEL = re.compile(r"([A-Za-z_]\w*):")


def packed(builder: Builder, source: Path) -> dict[str, int]:
    """Packed arithmetic in each function of a workload, as the compiler writes it."""
    with tempfile.TemporaryDirectory() as folder:
        assembly = Path(folder) / "assembly.s"  # zig takes "-" for a file's name
        command = [sys.executable, "-m", "ziglang", "cc", *builder.flags("native"), "-S", "-o", str(assembly)]
        subprocess.run([*command, str(source)], capture_output=True, check=True)
        text = assembly.read_text(errors="replace")
    found: dict[str, int] = {}
    function = ""
    for line in text.splitlines():
        if label := LABEL.match(line):
            function = label[1]
        elif PACKED.match(line):
            found[function] = found.get(function, 0) + 1
    return found


def blessed(text: str, name: str, size: str, output: str) -> str:
    """The manifest with one output replaced."""
    pattern = rf'(name = "{name}"\n(?:(?!\[\[).*\n)*?output\.{size} = ")[^"]*"'
    changed, count = re.subn(pattern, lambda match: f'{match[1]}{output}"', text)
    if count != 1:
        raise SystemExit(f"{name} has no output.{size} in the manifest")
    return changed


def main() -> int:
    """Bless or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where the manifest differs")
    options = parser.parse_args()
    folder = Path(__file__).parent
    path = folder / "manifest.toml"
    before = text = path.read_text()
    builder = Builder("riscv64")
    for workload in manifest.select(manifest.load(folder), tuple(options.workloads)):
        if workload.source is None:
            continue
        program = builder.build(workload.source, "native")
        seconds = []
        for size in SIZES:
            start = time.perf_counter()
            ran = subprocess.run([program, workload.size[size]], capture_output=True, text=True, check=True)
            seconds.append(f"{size} {time.perf_counter() - start:.3f} s")
            text = blessed(text, workload.name, size, ran.stdout.strip())
        vectors = ", ".join(f"{name} {count}" for name, count in packed(builder, workload.source).items())
        print(
            f"{workload.name}: {', '.join(seconds)}; simd {workload.simd or 'none'}; packed: {vectors or 'none'}"
        )
    if text == before:
        print("the manifest's outputs are right")
        return 0
    if options.check:
        print("the manifest's outputs differ")
        return 1
    path.write_text(text)
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
