"""$POLYVM_LOG: what it says, where it says it, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyvm import log
from polyvm.errors import PolyvmError
from tests import toolchain

WORKLOADS = Path(__file__).parents[1] / "benchmarks/workloads"
LINE = re.compile(r"polyvm\[\d+\] \d+ ms (ERROR|WARNING|INFO|DEBUG): .+")


def run(wanted: str, cache: Path | None = None, size: str = "4") -> subprocess.CompletedProcess[str]:
    program = toolchain.build(WORKLOADS / "nqueens.c", flags=("-lm",))
    environment = {**os.environ, "POLYVM_LOG": wanted}
    if cache is not None:
        environment["POLYVM_CACHE_DIR"] = str(cache)
    return subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--quiet", program, size],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip


def test_what_is_compiled_and_what_the_disk_had(tmp_path: Path) -> None:
    first = run("debug", tmp_path / "cache", "12")
    assert "tier auto, code cache" in first.stderr
    assert re.search(r"DEBUG: 0x[0-9a-f]+ .* is hot: a region of it is wanted", first.stderr)
    for _ in range(40):  # what was not compiled when a program ended is compiled behind it
        later = run("info", tmp_path / "cache", "12")
        assert (later.returncode, later.stdout) == (0, first.stdout)
        assert all(LINE.fullmatch(line) for line in later.stderr.splitlines()), later.stderr
        assert "DEBUG" not in later.stderr
        if re.search(r"region 0x[0-9a-f]+ \S+ \(.*\), from the disk: \d+ instructions", later.stderr):
            return
        time.sleep(0.25)
    pytest.fail(f"no region came from the disk: {later.stderr}")


@pytest.mark.parametrize("where", ["standard error", "a file"])
def test_what_the_compilers_say_is_told_too(where: str, tmp_path: Path) -> None:
    """Their thread has descriptors of its own."""
    file = tmp_path / "log"
    # Until it runs long enough for a region to be compiled meanwhile, which no earlier run left behind.
    for size in ("14", "15", "16"):
        done = run("info" if where == "standard error" else f"info,{file}", tmp_path / f"cache-{size}", size)
        told = done.stderr if where == "standard error" else file.read_text()
        if re.search(r"region 0x[0-9a-f]+ .*, compiled in \d+\.\d+ s: \d+ instructions", told):
            return
    pytest.fail(told)


def test_a_file(tmp_path: Path) -> None:
    done = run(f"info,{tmp_path}/log")
    assert done.stderr == ""
    assert LINE.match((tmp_path / "log").read_text())
    run(f"info,{tmp_path}/log")
    assert len((tmp_path / "log").read_text().splitlines()) >= 2  # the second is behind the first


def test_nothing_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(log.VARIABLE, raising=False)
    assert log.configure(lambda: True) is None


@pytest.mark.parametrize(
    ("wanted", "text"), [("loud", "names the level 'loud'"), ("info,/nonexistent/log", "cannot be written")]
)
def test_what_is_refused(wanted: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(log.VARIABLE, wanted)
    with pytest.raises(PolyvmError, match=text) as caught:
        log.configure(lambda: True)
    assert caught.value.code == "PVM-USAGE"
    done = run(wanted)
    assert (done.returncode, done.stdout) == (125, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
