"""What perf is told: the two formats, read back; and perf itself, where it is installed and may sample."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.debug import perf
from tests import toolchain

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """start(KIND, TIER, prefix=[]): run a workload; the process's PID and what it wrote to standard error."""
    program = toolchain.build(WORKLOADS / "nqueens.c", flags=("-lm",))

    def run(kind: str, tier: str, *prefix: str) -> tuple[int, str]:
        size = "13" if tier == "auto" else "11"
        done = subprocess.Popen(
            [*prefix, sys.executable, "-m", "polyvm", "run", "--tier", tier, "--perf", kind, program, size],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "JITDUMPDIR": str(tmp_path)},
        )  # fmt: skip
        out, err = done.communicate(timeout=100)
        assert (done.returncode, out[:9]) == (0, "checksum "), err
        return done.pid, err

    return run


def test_a_map(start: Callable[..., tuple[int, str]]) -> None:
    pid, _ = start("map", "baseline")
    file = Path(f"/tmp/perf-{pid}.map")
    try:
        lines = [
            re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) (.+)", line) for line in file.read_text().splitlines()
        ]
    finally:
        file.unlink()
    assert lines[0] is not None
    assert lines[0][3] == "polyvm interpreter"
    ends = 0
    for line in sorted((line for line in lines[1:] if line is not None), key=lambda line: int(line[1], 16)):
        assert int(line[1], 16) >= ends
        ends = int(line[1], 16) + int(line[2], 16)
        assert line[3].endswith(" [baseline]")
    assert any(
        line is not None and re.fullmatch(r"[a-z_]+\+0x[0-9a-f]+ \[baseline\]", line[3]) for line in lines
    )
    assert None not in lines


def test_a_jitdump(start: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """What an earlier run compiled is told by a later one, with its bytes."""
    names: list[str] = []
    for _ in range(40):
        pid, _ = start("jitdump", "auto")
        names = read(tmp_path / f"jit-{pid}.dump", pid)
        assert names[0] == "polyvm interpreter"
        assert any(name.endswith(" [baseline]") for name in names)
        if any(re.fullmatch(r"\w+(\+0x[0-9a-f]+)? \[region\]", name) for name in names):
            return
        time.sleep(0.25)
    pytest.fail(f"no region was told: {names}")


def read(file: Path, pid: int) -> list[str]:
    """The names in a jitdump, every field of which is checked."""
    data = file.read_bytes()
    magic, version, at, machine, _, its, when, flags = perf.HEADER.unpack_from(data)
    assert (magic, version, machine, its, flags) == (0x4A695444, 1, 62, pid, 0)
    names = []
    while at < len(data):
        kind, size, then = perf.RECORD.unpack_from(data, at)
        assert kind == perf.CODE_LOAD
        assert then >= when
        _, _, vma, address, length, index = struct.unpack_from("<IIQQQQ", data, at + perf.RECORD.size)
        text = data[at + perf.RECORD.size + perf.LOAD.size : at + size - length]
        assert vma == address
        assert index == len(names)
        assert text.endswith(b"\0")
        names.append(text[:-1].decode())
        at += size
    assert at == len(data)
    return names


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    hello = toolchain.build("hello.c")
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--perf", "jitdump", hello], capture_output=True, text=True,
        env={**os.environ, "JITDUMPDIR": str(tmp_path / "missing")}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (125, "")
    assert "The file for perf" in done.stderr
    assert "Traceback" not in done.stderr


def test_perf_knows_the_guest_s_functions(start: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    found = shutil.which("perf")
    if found is None:
        pytest.skip("perf is not installed")
    data = str(tmp_path / "data")
    record = (found, "record", "-e", "cpu-clock", "-F", "5000", "-q", "-o", data)
    if subprocess.run([*record, "true"], capture_output=True, check=False).returncode:
        pytest.skip("perf may not sample here")
    start("map", "baseline", *record, "--")
    for file in Path("/tmp").glob("perf-*.map"):
        if file.stat().st_uid == os.getuid() and "[baseline]" in file.read_text():
            maps = file
            break
    report = subprocess.run(
        [found, "report", "-i", data, "--stdio", "-q", "--sort", "symbol"], capture_output=True, text=True,
        check=False,
    ).stdout  # fmt: skip
    maps.unlink()
    assert re.search(r"main\S* \[baseline\]|nqueens\S* \[baseline\]|\w+\+0x[0-9a-f]+ \[baseline\]", report), (
        report
    )
