"""A running program's picture: written beside the last one, read whole or not at all, and true of the program."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.debug.live import HALF, SCHEMA, SIZE, Board
from polyvm.debug.sampler import TIERS
from polyvm.errors import PolyvmError
from tests import toolchain

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"


def made(path: Path) -> Board:
    return Board.make(os.open(path, os.O_RDWR | os.O_CREAT))


def test_the_last_picture_holds(tmp_path: Path) -> None:
    board = made(tmp_path / "live")
    other = Board.open(str(tmp_path / "live"))
    assert other.read() is None
    for number in range(1, 6):
        board.write({"schema": SCHEMA, "number": number})
        assert other.read() == (number, {"schema": SCHEMA, "number": number})


def test_a_picture_without_room_is_not_shown(tmp_path: Path) -> None:
    board = made(tmp_path / "live")
    board.write({"schema": SCHEMA, "text": "short"})
    board.write({"schema": SCHEMA, "text": "x" * HALF})
    found = board.read()
    assert found is not None
    assert found[1]["text"] == "short"


def test_who_reads_while_it_is_written_sees_whole_pictures(tmp_path: Path) -> None:
    board, over = made(tmp_path / "live"), threading.Event()
    other = Board.open(str(tmp_path / "live"))

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            board.write({"schema": SCHEMA, "one": number, "pad": "x" * (number % 4000), "two": number})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [found for _ in range(2000) if (found := other.read()) is not None]
    finally:
        over.set()
        writer.join()
    assert seen
    assert all(picture["one"] == picture["two"] for _, picture in seen)
    numbers = [number for number, _ in seen]
    assert numbers == sorted(numbers)


@given(st.binary(max_size=200), st.integers(0, 2 * HALF))
def test_a_hostile_board_is_no_picture(data: bytes, place: int) -> None:
    memory = bytearray(SIZE)
    memory[:16] = b"PVMLIVE1" + (1).to_bytes(8, "little")
    memory[8 + place : 8 + place + len(data)] = data
    Board(memory[:SIZE]).read()  # type: ignore[arg-type]  # a bytearray is read as a mapping is


@pytest.mark.parametrize("content", [b"", b"no live file", bytes(SIZE)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(PolyvmError) as caught:
        Board.open(str(path))
    assert caught.value.code == "PVM-USAGE"


def test_what_cannot_be_mapped_is_refused() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(PolyvmError, match="cannot be mapped"):
        Board.make(writing)


@pytest.mark.parametrize("guest", ["riscv64", "aarch64"])
def test_a_program_that_has_ended_leaves_its_last_picture(tmp_path: Path, guest: str) -> None:
    program = toolchain.build(WORKLOADS / "json.c", guest, flags=("-g", "-lm"))
    path = tmp_path / "live"
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--quiet", "--policy", "eager", "--live", path, program, "400"],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    found = Board.open(str(path)).read()
    assert found is not None
    picture: dict[str, Any] = found[1]
    assert (picture["guest"], picture["argv"]) == (guest, [str(program), "400"])
    assert picture["ended"] == {"kind": "exited", "status": 0, "signal": None}
    assert set(picture["tiers"]) == set(TIERS)
    assert 0 < sum(picture["tiers"].values()) <= picture["cpu_s"] + 0.01
    assert picture["code"]["baseline_bytes"] > 0
    assert any(name in ("write", "writev") for name, *_ in picture["calls"])
    assert picture["exits"]["SYSCALL"] > 0


def test_a_live_file_that_is_none_is_an_error_of_usage(tmp_path: Path) -> None:
    program = toolchain.build("bare_hello.c", libc=None)
    done = subprocess.run(
        [sys.executable, "-m", "polyvm", "run", "--live", "fd:1", program],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 125
    assert "PVM-USAGE" in done.stderr
