"""Thousands of damaged ELF files: each loads, or is refused by a PolyvmError, in little time and memory.

Once more through what `polyvm run` does, in a process of its own: there, what loads also runs to some end.
"""

from __future__ import annotations

import collections
import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory.space import AddressSpace
from polyvm.user.loader import load, prepare
from tests.processes import unmeasured
from tests.toolchain import build
from tests.user.elfs import SmallAbi, descriptor, pie, static, with_symbols, write

ABI = SmallAbi()
SECONDS, BYTES = 2.0, 256 << 20

INTERESTING = [
    0,
    1,
    2,
    3,
    0x7F,
    0xFF,
    0x1000,
    0xFFF,
    0x7FFF,
    0xFFFF,
    1 << 31,
    2**32 - 1,
    1 << 38,
    1 << 46,
    1 << 47,
]
INTERESTING += [1 << 62, 1 << 63, 2**64 - 1, 2**64 - 0x1000, 0x10000, 0x3FFFFFF000]
HEADER = [
    (4, 1),
    (5, 1),
    (6, 1),
    (16, 2),
    (18, 2),
    (24, 8),
    (32, 8),
    (40, 8),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
]
PROGRAM = [(0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (40, 8), (48, 8)]
SEEDS = {
    "static": static(),
    "symbols": with_symbols([("main", 0x12, 1, 0x10200, 64)]),
    "pie": pie(),
    "dynamic": pie(b"/lib/ld.so"),
}


def put(data: bytearray, place: int, width: int, value: int) -> None:
    if place + width <= len(data):
        data[place : place + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def value(rng: random.Random, data: bytearray, place: int, width: int) -> int:
    """A hostile value, or one near the right one."""
    old = int.from_bytes(data[place : place + width], "little")
    choice = rng.random()
    if choice < 0.4:
        return rng.choice(INTERESTING)
    if choice < 0.8:
        return old + rng.choice([-0x1000, -64, -1, 1, 8, 64, 0x1000, 0x10000])
    return old ^ (1 << rng.randrange(8 * width))


def tables(data: bytearray) -> dict[str, tuple[int, int]]:
    """Where the dynamic section, the notes and the relocations are: (offset, size)."""
    found = {}
    phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for i in range(phnum):
        kind, _, offset, _, _, filesz, _, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i)
        if kind == 2:
            found["dynamic"] = (offset, filesz)
            found["relocations"] = (0x900, 24)
        elif kind == 4:
            found["notes"] = (offset, filesz)
    return found


def mutate(rng: random.Random, original: bytes) -> bytes:
    """One to four changes, most of them aimed."""
    data = bytearray(original)
    places = tables(data)
    phnum = struct.unpack_from("<H", data, 56)[0]
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])):
        aim = rng.choice(["header", "program", "program", "program", "table", "bytes", "copy", "cut"])
        if aim == "header":
            place, width = rng.choice(HEADER)
            put(data, place, width, value(rng, data, place, width))
        elif aim == "program":
            at, width = rng.choice(PROGRAM)
            place = 64 + 56 * rng.randrange(phnum) + at
            put(data, place, width, value(rng, data, place, width))
        elif aim == "table" and places:
            start, size = rng.choice(list(places.values()))
            place = start + 8 * rng.randrange(max(1, size // 8))
            put(data, place, 8, value(rng, data, place, 8))
        elif aim == "copy":  # one program header over another
            source, target = rng.randrange(phnum), rng.randrange(phnum)
            data[64 + 56 * target : 120 + 56 * target] = data[64 + 56 * source : 120 + 56 * source]
        elif aim == "cut" and rng.random() < 0.5:
            del data[rng.choice([rng.randrange(len(data) + 1), rng.randrange(0, 600)]) :]
        elif data:
            data[rng.randrange(min(len(data), 700))] = rng.randrange(256)
    return bytes(data)


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    made = AddressSpace(bits=38)
    made.min_address = 0x10000
    yield made
    made.close()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def attempt(space: AddressSpace, program: bytes, linker: bytes) -> PolyvmError | None:
    """Load one program; why it was refused, if it was."""
    try:
        found = prepare(b"/fuzz", ABI, fd=descriptor(program), resolve=lambda name: descriptor(linker))
    except PolyvmError as error:
        return error
    try:
        image = load(space, ABI, found, [b"fuzz", b"-x"], [b"A=B"])
    except PolyvmError as error:
        return error
    finally:
        found.close()
    assert 0 <= image.pc < space.limit
    assert image.stack_pointer % 16 == 0
    assert space.read_u64(image.stack_pointer) == 2
    assert all(0 <= r.start < r.end <= space.limit for r in space)
    for address, size, name in image.symbols():
        assert address >= 0
        assert size >= 0
        assert name
    return None


def test_damaged_files_are_loaded_or_refused(
    space: AddressSpace, full: bool, rng: random.Random, report: Callable[[str], None]
) -> None:
    count = 10_000 if full else 1_000
    before, descriptors = resident(), os.listdir("/proc/self/fd")
    outcomes: collections.Counter[str] = collections.Counter()
    magic, slowest = 0, 0.0
    names = list(SEEDS)
    for i in range(count):
        name = names[i % len(names)]
        program, linker = SEEDS[name], SEEDS["pie"]
        # Of a dynamic program, the linker is as likely to be the damaged one.
        if name == "dynamic" and rng.random() < 0.5:
            damaged = linker = mutate(rng, linker)
        else:
            damaged = program = mutate(rng, program)
        started = time.perf_counter()
        space.reset()
        refusal = attempt(space, program, linker)
        slowest = max(slowest, time.perf_counter() - started)
        outcomes[refusal.code if refusal is not None else "loaded"] += 1
        if refusal is not None:
            assert refusal.exit_status == (125 if refusal.code == "PVM-RESOURCE" else 126)
            assert refusal.code in refusal.render()
        magic += damaged[:4] == b"\x7fELF"
        assert resident() - before < BYTES
    assert slowest < SECONDS
    assert magic >= 0.3 * count
    assert outcomes["loaded"] < 0.9 * count  # or else it damages nothing
    assert os.listdir("/proc/self/fd") == descriptors
    parts = ", ".join(f"{code} {number}" for code, number in outcomes.most_common())
    report(
        f"damaged ELF files: {count}, past the magic {magic * 100 // count}%, slowest {slowest * 1e3:.0f} ms: {parts}"
    )


# ------------------------------------------------------------------------------------------------ and run
SERVER = Path(__file__).parent / "server.py"
# Ends that nothing but the guest's own doing explains: the report of its crash must be there as well.
FATAL = {-11: "SIGSEGV", -4: "SIGILL", -7: "SIGBUS", -5: "SIGTRAP"}


class Server:
    """server.py, and what it says to one program after the other."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, SERVER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=unmeasured(),
        )  # fmt: skip

    def run(self, *words: str) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(30) == 0


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def judge(answer: dict[str, object]) -> str:
    """The outcome's name, for what a damaged program may do; anything else fails."""
    status, errors = answer["status"], str(answer["errors"])
    assert not answer["late"], answer
    assert float(str(answer["cpu"])) < SECONDS, answer
    assert int(str(answer["rss"])) < BYTES, answer
    assert "Traceback" not in errors, answer
    codes = re.findall(
        r"^polyvm: (PVM-[A-Z-]+):", errors, re.MULTILINE
    )  # the error; its causes come after it
    assert "PVM-INTERNAL" not in codes, answer
    if codes:
        assert len(codes) == 1, answer
        assert status == (125 if codes[0] == "PVM-RESOURCE" else 126), answer
        return codes[0]
    if status in FATAL:
        assert f"killed by {FATAL[int(str(status))]}" in errors, answer
        return FATAL[int(str(status))]
    return f"exit {status}"


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_damaged_files_are_run_or_refused(
    server: Server, full: bool, rng: random.Random, report: Callable[[str], None], tmp_path: Path
) -> None:
    count = 10_000 if full else 1_000
    programs = {
        **SEEDS,
        "bare": build("bare_hello.c", libc=None).read_bytes(),
        "hello": build("hello.c").read_bytes(),
        "static pie": build("hello.c", flags=("-pie", "-fPIE")).read_bytes(),
    }
    linker = tmp_path / "linker"
    programs["dynamic"] = pie(bytes(linker))
    names = list(programs)
    outcomes: collections.Counter[str] = collections.Counter()
    magic, slowest, largest = 0, 0.0, 0
    for i in range(count):
        name = names[i % len(names)]
        damaged = mutate(rng, programs[name])
        write(tmp_path, programs["pie"], "linker")
        path = write(tmp_path, damaged)
        if name == "dynamic" and rng.random() < 0.5:
            damaged = mutate(rng, programs["pie"])
            write(tmp_path, damaged, "linker")
            path = write(tmp_path, programs["dynamic"])
        answer = server.run(str(path))
        outcomes[judge(answer)] += 1
        magic += damaged[:4] == b"\x7fELF"
        slowest = max(slowest, float(str(answer["seconds"])))
        largest = max(largest, int(str(answer["rss"])))
    assert magic >= 0.3 * count
    assert sum(n for name, n in outcomes.items() if not name.startswith("PVM")) >= 0.1 * count
    parts = ", ".join(f"{name} {number}" for name, number in outcomes.most_common())
    report(
        f"damaged ELF files run: {count}, past the magic {magic * 100 // count}%, "
        f"slowest {slowest * 1e3:.0f} ms, at most {largest >> 20} MiB: {parts}"
    )


def test_the_undamaged_ones_run(server: Server) -> None:
    for program in (build("hello.c"), build("bare_hello.c", libc=None)):
        answer = server.run(str(program))
        assert (answer["status"], answer["errors"]) == (0, "")


def test_the_undamaged_ones_load(space: AddressSpace) -> None:
    for data in SEEDS.values():
        space.reset()
        assert attempt(space, data, SEEDS["pie"]) is None
