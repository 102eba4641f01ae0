"""Damaged, truncated and foreign cache entries: noticed, made again, counted; never an answer that is wrong."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from polyvm.cli.main import main
from polyvm.engine import image
from tests.robust.conftest import LONG, Lane

# Each takes the sound content, another entry's sound content, and random numbers.
DAMAGES: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    "one bit changed": lambda data, other, rng: flip(data, rng),
    "truncated": lambda data, other, rng: data[: rng.randrange(1, len(data))],
    "emptied": lambda data, other, rng: b"",
    "longer": lambda data, other, rng: data + b"\0" * rng.randrange(1, 5000),
    "a page of zeros": lambda data, other, rng: data[:4096] + bytes(4096) + data[8192:],
    "random bytes": lambda data, other, rng: rng.randbytes(len(data)),
    "a header and nothing else": lambda data, other, rng: data[:64] + bytes(len(data) - 64),
    "another format": lambda data, other, rng: b"\x7fELF" + data[4:],
    "another version": lambda data, other, rng: (
        data[:8] + (image.VERSION + 1).to_bytes(4, "little") + data[12:]
    ),
    "another entry": lambda data, other, rng: other,
}


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.fixture
def full_lane(lane: Lane) -> Lane:
    """A cache that is complete."""
    lane.settle()
    return lane


def foreign() -> bytes:
    """A sound image that is none of polyvm's own: made for nobody."""
    return image.pack(b"\xc3" * 64, {"unit": 0, "decode": 0}, {}, b"")


def test_damaged_regions(
    full_lane: Lane, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    lane = full_lane
    count = 0
    sound = {unit: unit.read_bytes() for unit in lane.units()}
    for turn in range(20 if full else 1):
        for how, damage in DAMAGES.items():
            # Which of them a run asks for, and which it does without, is the policy's business: all are damaged, and
            # nobody makes sound ones meanwhile.
            lane.close()
            for unit, data in sound.items():
                unit.write_bytes(damage(data, foreign(), rng))
            if how != "another entry":
                assert main(["cache", "verify"]) == 125
            assert lane.run()["cache"]["disk_rejected"] >= 1, (turn, how)
            count += 1
            for unit, data in sound.items():
                unit.write_bytes(data)
    report(f"cache: {count} times damaged regions noticed, made again and counted")
    document = lane.run()
    assert document["cache"]["disk_rejected"] == 0
    assert document["cache"]["disk"]["hits"] >= 1


def test_damaged_regions_are_made_again(full_lane: Lane) -> None:
    lane = full_lane
    for unit in lane.units():
        unit.write_bytes(b"nonsense")
    assert lane.run(LONG)["cache"]["disk_rejected"] >= 1
    lane.settle()
    document = lane.run()
    assert document["cache"]["disk_rejected"] == 0
    assert document["cache"]["disk"]["hits"] >= 1


@pytest.mark.parametrize("how", ["a link", "writable by others", "a folder"])
def test_regions_that_cannot_be_trusted(full_lane: Lane, how: str) -> None:
    lane = full_lane
    for number, unit in enumerate(lane.units()):
        if how == "a link":
            elsewhere = lane.folder.parent / f"elsewhere-{number}"
            unit.rename(elsewhere)
            unit.symlink_to(elsewhere)
        elif how == "writable by others":
            unit.chmod(0o622)
        else:
            unit.unlink()
            unit.mkdir()
    assert lane.run()["cache"]["disk_rejected"] >= 1


def test_regions_of_another_place(full_lane: Lane) -> None:
    lane = full_lane
    units = lane.units()
    if len(units) < 2:
        pytest.skip("the program has one region only")
    data = [unit.read_bytes() for unit in units]
    for unit, other in zip(units, [*data[1:], data[0]], strict=True):
        unit.write_bytes(other)
    lane.verify()  # they are sound
    lane.run()
    lane.settle()


@pytest.mark.parametrize("how", ["one bit changed", "another entry"])
def test_damaged_interpreters(full_lane: Lane, rng: random.Random, how: str) -> None:
    lane = full_lane
    (file,) = lane.interpreters()
    sound = file.read_bytes()
    file.write_bytes(DAMAGES[how](sound, foreign(), rng))
    document = lane.run()
    assert document["cache"]["disk_rejected"] == 1
    assert document["cache"]["disk_written"] >= 1
    assert lane.run()["cache"]["disk_rejected"] == 0
    lane.verify()


def test_it_is_said_by_stats(lane: Lane) -> None:
    command = [sys.executable, "-m", "polyvm", "run", "--quiet", "--stats", str(lane.program)]
    # Counting instructions makes regions of another kind, so they are made first.
    for _ in range(5):
        subprocess.run([*command, LONG], capture_output=True, check=True)
        if lane.units():
            break
    for unit in lane.units():
        unit.write_bytes(b"nonsense")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert " rejected\n" in done.stderr
    assert done.stdout == lane.expected
