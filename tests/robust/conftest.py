"""A program with several hot loops, its right output, and runs of it on a code cache of the test's own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polyvm.cli.main import main
from tests import toolchain

# Some regions that are worth compiling, half a second in the interpreter; more rounds take longer and need no others.
LONG = "2000"
SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t table[256];
static uint8_t data[1 << 12];

__attribute__((noinline)) static void fill(uint64_t seed) {
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (seed = seed * 6364136223846793005u + 1) >> 56;
}

__attribute__((noinline)) static uint32_t crc(void) {
    uint32_t c = ~0u;
    for (unsigned i = 0; i < sizeof data; i++) c = table[(c ^ data[i]) & 255] ^ c >> 8;
    return ~c;
}

__attribute__((noinline)) static int sort(void) {
    int moves = 0;
    for (int i = 1; i < 512; i++)
        for (int j = i; j > 0 && data[j - 1] > data[j]; j--, moves++) {
            uint8_t t = data[j];
            data[j] = data[j - 1];
            data[j - 1] = t;
        }
    return moves;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 200;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    uint32_t all = 0;
    double sum = 0;
    for (int round = 0; round < rounds; round++) {
        fill(round);
        all = all * 31 + crc();
        all += sort();
        for (int i = 1; i < 20000; i++) sum += 1.0 / ((double)i * i);
    }
    printf("%08x %.12f\n", all, sum);
    return 0;
}
"""


class Lane:
    """A code cache, and the program run on it."""

    def __init__(self, folder: Path, program: Path, expected: str, long: str) -> None:
        self.folder = folder
        self.program = program
        self.expected = expected
        self.long = long

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run the program; its output must be right. The polyvm.run/1 document."""
        file = self.folder.parent / f"result-{os.getpid()}.json"
        options = ["--quiet", "--policy", "eager", "--result-file", str(file)]
        words = [sys.executable, "-m", "polyvm", "run", *options]
        done = subprocess.run(
            [*words, str(self.program), *arguments], capture_output=True, text=True, timeout=200, check=False
        )
        expected = self.long if arguments else self.expected
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
        found = json.loads(file.read_text())
        assert isinstance(found, dict)
        return found

    def settle(self) -> None:
        """Run until nothing is compiled any more, long enough for the compilers to keep up."""
        for _ in range(10):
            cache = self.run(LONG)["cache"]
            if not cache["disk_written"] and not cache["disk_rejected"] and self.units():
                return
        pytest.fail("the cache does not become complete")

    def verify(self) -> None:
        """`polyvm cache verify` must find nothing."""
        assert main(["cache", "verify"]) == 0

    def units(self) -> list[Path]:
        """The compiled regions on the disk."""
        return sorted(self.folder.glob("units/*/*.pvu"))

    def interpreters(self) -> list[Path]:
        """The program's compiled interpreters on the disk: one."""
        return sorted(self.folder.glob("tier0/riscv64-*.pvi"))

    def pools(self) -> list[int]:
        """The process numbers of the compile pools of this cache."""
        found = []
        for path in self.folder.glob("*.sock"):
            with socket.socket(socket.AF_UNIX) as sock:
                # A socket's name may have 107 bytes.
                folder = os.open(self.folder, os.O_PATH)
                try:
                    sock.connect(f"/proc/self/fd/{folder}/{path.name}")
                    found.append(
                        int.from_bytes(
                            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little"
                        )
                    )
                except ConnectionError:
                    pass  # it is gone, its socket's name is not
                finally:
                    os.close(folder)
        return found

    def close(self) -> None:
        """End what would otherwise wait for work for a while, or still compile for the next run."""
        for pid in self.pools():
            group = os.getpgid(pid)
            os.killpg(group, signal.SIGKILL)
            while any(stat.split(")")[1].split()[2] == str(group) for stat in _processes()):
                time.sleep(0.01)
        # One whose pool is gone already may still compile what an ended guest waited for: it holds this lock.
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        finally:
            os.close(folder)


def _processes() -> Iterator[str]:
    """/proc/PID/stat of all processes that are not dead already."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stat = path.read_text()
            if stat.split(")")[1].split()[0] not in "ZX":
                yield stat


@pytest.fixture(scope="session")
def work() -> tuple[Path, str, str]:
    """The program, and what the same source prints on this machine, also for many rounds."""
    native = toolchain.build(SOURCE, "x86_64", name="work")
    expected, long = (
        subprocess.run([native, *words], capture_output=True, text=True, check=True).stdout
        for words in ([], [LONG])
    )
    return toolchain.build(SOURCE, name="work"), expected, long


@pytest.fixture
def lane(cold_cache: Path, code_cache: Path, work: tuple[Path, str, str]) -> Iterator[Lane]:
    """A cache that holds the interpreter already (it takes seconds) and nothing else."""
    subprocess.run([sys.executable, "-m", "polyvm", "run", "--quiet", str(work[0])], check=True, capture_output=True,
                   env={**os.environ, "POLYVM_CACHE_DIR": str(code_cache)})  # fmt: skip
    (cold_cache / "tier0").mkdir(mode=0o700)
    for file in (code_cache / "tier0").glob("*.pvi"):
        (cold_cache / "tier0" / file.name).write_bytes(file.read_bytes())
    made = Lane(cold_cache, *work)
    yield made
    made.close()
