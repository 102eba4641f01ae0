"""riscv64 programs with vectors under Linux: what the kernel tells and keeps, and compiled loops beside qemu."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compiled import settled
from tests.toolchain import build
from tests.user.running import polyvm

CPU = "baseline_rv64+v"
KERNELS = Path(__file__).parents[2] / "benchmarks" / "vector" / "kernels.c"
QEMU = shutil.which("qemu-riscv64")


@pytest.mark.parametrize("tier", ["golden", "interpreter", "auto"])
@pytest.mark.parametrize("vlen", ["128", "512"])
def test_what_the_kernel_does_for_vectors(tier: str, vlen: str, golden: Callable[[str, str], None]) -> None:
    program = build("vectors.c", cpu=CPU, flags=("-O3",))
    for _ in range(2 if tier == "auto" else 1):  # the second time regions are there from the beginning
        done = polyvm("--tier", tier, "--vlen", vlen, program)
        assert (done.returncode, done.stderr) == (0, "")
        golden("vectors.txt", done.stdout)


@pytest.mark.parametrize("vlen", ["128", "256", "512"])
@pytest.mark.parametrize("which", ["s", "c", "f"])
@pytest.mark.skipif(QEMU is None, reason="qemu-riscv64 is not installed")
def test_compiled_loops_compute_what_they_do_on_qemu(vlen: str, which: str) -> None:
    program = build(KERNELS, cpu=CPU, flags=("-fno-builtin",))
    assert QEMU is not None
    theirs = subprocess.run(
        [QEMU, "-cpu", f"rv64,v=true,vlen={vlen},vext_spec=v1.0", str(program), which, "1003", "20"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    for _ in range(2):
        done = polyvm("--vlen", vlen, program, which, "1003", "20")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == theirs.stdout.splitlines()[0]


def test_loops_are_compiled_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path))
    program = build(KERNELS, cpu=CPU, flags=("-fno-builtin",))
    insns = []
    for _ in range(2):
        done = polyvm("--vlen", "256", "--result-file", tmp_path / "result.json", program, "s", "1003", "100")
        assert (done.returncode, done.stderr) == (0, "")
        assert settled(tmp_path)
        tiers = json.loads((tmp_path / "result.json").read_text())["tiers"]
        insns.append(tiers["golden"]["insns"])
    assert tiers["region"]["units"]
    assert insns[1] < insns[0]


def test_without_the_option_there_are_no_vectors() -> None:
    program = build("vectors.c", cpu=CPU, flags=("-O3",))
    done = polyvm(program)
    assert done.returncode == -4
    assert "hwcap has V: 0" in done.stdout or "SIGILL" in done.stderr
