"""The C workloads themselves: the same line from native code, from qemu and from polyvm's tiers.

A few of them in the ordinary run, all of them at full size; always with their smallest input.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.bench import manifest
from polyvm.bench.build import Builder
from polyvm.bench.manifest import Workload
from tests import toolchain

FOLDER = Path(__file__).parents[2] / "benchmarks"
IN_C = [one for one in manifest.load(FOLDER) if one.source is not None]
ALWAYS = {"sha256", "fib", "qsort_callback", "json", "nbody", "copying"}
TIERS = ("interpreter", "baseline", "auto")


@pytest.fixture(scope="module")
def builder() -> Builder:
    """Keeps what it builds beside the other tests' programs, so that a second run builds nothing."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the C compiler is not installed: pip install ziglang")
    return Builder("riscv64", toolchain.cache() / "bench")


def output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def polyvm(tier: str, program: Path, size: str) -> str:
    return output(sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, program, size)


@pytest.mark.parametrize(
    "workload",
    [pytest.param(one, id=one.name, marks=() if one.name in ALWAYS else pytest.mark.full) for one in IN_C],
)
def test_the_same_output_everywhere(workload: Workload, builder: Builder) -> None:
    assert workload.source is not None
    size, right = workload.size["small"], workload.output["small"]
    assert output(builder.build(workload.source, "native"), size) == right
    guest = builder.build(workload.source, "guest")
    for tier in TIERS:
        assert polyvm(tier, guest, size) == right
    qemu = shutil.which("qemu-riscv64")
    if qemu is not None and workload.name != "saxpy":  # 4 s there, for this size
        assert output(qemu, guest, size) == right


def test_unicorn_runs_a_workload(builder: Builder) -> None:
    if importlib.util.find_spec("unicorn") is None:
        pytest.skip("unicorn is not installed")
    guest = builder.build(FOLDER / "workloads" / "hello.c", "guest")
    peer = Path(str(importlib.util.find_spec("polyvm.bench").origin)).with_name("unicorn_peer.py")  # type: ignore[union-attr]
    assert output(sys.executable, "-I", peer, "riscv64", guest) == "hello"


def test_a_compiler_that_fails_is_told_with_its_words(builder: Builder, tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int main(void) { return nothing; }\n")
    from polyvm.errors import PolyvmError

    with pytest.raises(PolyvmError, match=r"the compiler failed on broken\.c") as caught:
        Builder("riscv64", tmp_path / "made").build(source, "guest")
    assert caught.value.code == "PVM-BENCH-BUILD"
    assert "nothing" in (caught.value.hint or "")
    assert not [name for name in os.listdir(tmp_path / "made") if name.startswith("broken")]
