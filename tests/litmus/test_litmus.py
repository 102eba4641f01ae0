"""Memory order: races on two to four host threads never end as the guest's architecture forbids.

The program counts outcomes (litmus.c); what is allowed and seen, or not seen, is reported. That the suite would see a
mistake is shown by an engine that drops every fence.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import polyvm
from tests.conftest import warm
from tests.processes import unmeasured
from tests.toolchain import build

HERE = Path(__file__).parent
LINE = re.compile(r"(.+): (\d+) of (\d+), (allowed|forbidden)")
TIERS = ("auto", "interpreter", "baseline", "region")


def outcomes(text: str) -> dict[str, tuple[int, int, bool]]:
    """Test -> how often its outcome was seen, of how many, and whether it is allowed."""
    found = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        found[match[1]] = int(match[2]), int(match[3]), match[4] == "allowed"
    return found


def command(guest: str, tier: str, count: int, seed: int, *name: str) -> list[str | Path]:
    program = build(HERE / "litmus.c", guest)
    options = ["--policy", "eager"] if tier in ("auto", "region") else []
    words = [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, *options, program]
    return [*words, str(count), str(seed), *name]


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_forbidden_never_happens(
    guest: str, tier: str, full: bool, seed: int, report: Callable[[str], None]
) -> None:
    count = 200_000 if full else 2048
    done = subprocess.run(
        command(guest, tier, count, seed), capture_output=True, text=True, check=False, timeout=280, env=unmeasured()
    )  # fmt: skip
    assert done.stderr == ""
    found = outcomes(done.stdout)
    assert len(found) > 35
    assert {name: seen for name, (seen, _, allowed) in found.items() if seen and not allowed} == {}
    assert done.returncode == 0
    total = sum(many for _, many, _ in found.values())
    relaxed = ", ".join(f"{name} {seen}" for name, (seen, _, allowed) in found.items() if allowed)
    report(
        f"litmus, {guest}, {tier}: {len(found)} tests, {total} races, none forbidden; allowed and seen: {relaxed}"
    )


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor shows nothing of another's order")
def test_an_engine_without_fences_is_found_out(tmp_path: Path) -> None:
    shutil.copytree(
        Path(polyvm.__file__).parent, tmp_path / "src/polyvm", ignore=shutil.ignore_patterns("__pycache__")
    )
    emitter = tmp_path / "src/polyvm/emit/llvm.py"
    text = emitter.read_text()
    fence = re.search(r'self\.do\("fence seq_cst" if .*\)', text)
    assert fence is not None
    emitter.write_text(text.replace(fence[0], "pass"))
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    broken = unmeasured(PYTHONPATH=str(tmp_path / "src"), POLYVM_CACHE_DIR=str(cache))
    warm("riscv64")
    for count in (50_000, 400_000):  # another processor may be busy
        for environment, wrong in ((broken, True), (unmeasured(), False)):
            done = subprocess.run(
                command("riscv64", "baseline", count, 1, "SB+fulls"),
                capture_output=True, text=True, check=False, timeout=120, env=environment,
            )  # fmt: skip
            ((seen, many, _),) = outcomes(done.stdout).values()
            assert many >= count
            if not wrong:
                assert (seen, done.returncode) == (0, 0)
            elif not seen:
                break
            else:
                assert done.returncode == 1
        else:
            return
    pytest.fail("an engine without fences showed no store buffering")
