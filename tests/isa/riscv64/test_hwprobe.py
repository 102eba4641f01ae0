"""What a program is told of the processor: exactly what the specification has, by Linux's numbers."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from polyvm.isa.riscv64 import abi
from polyvm.isa.riscv64.vector.abi import VectorAbi
from tests.isa.riscv64.machine import ISA

LIMIT = 1 << 38
NOBODY: Any = None  # whose registers prctl's options do not look at
# include/uapi/asm/hwprobe.h: the bits of RISCV_HWPROBE_KEY_IMA_EXT_0, and what of ours means them.
BITS = {
    "F": 0, "D": 0, "C": 1, "V": 2, "Zba": 3, "Zbb": 4, "Zbs": 5, "Zicboz": 6, "Zbc": 7, "Zbkb": 8, "Zbkc": 9,
    "Zbkx": 10, "Zknd": 11, "Zkne": 12, "Zknh": 13, "Zksed": 14, "Zksh": 15, "Zkt": 16, "Zvbb": 17, "Zvbc": 18,
    "Zvkb": 19, "Zvkg": 20, "Zvkned": 21, "Zvknha": 22, "Zvknhb": 23, "Zvksed": 24, "Zvksh": 25, "Zvkt": 26, "Zfh": 27,
    "Zvfh": 30, "Zvfhmin": 31, "Zfa": 32, "Ztso": 33, "Zacas": 34, "Zicond": 35, "Zihintpause": 36, "Zimop": 42,
    "Zcb": 44, "Zcmop": 47, "Zawrs": 48,
}  # fmt: skip
MEANT = {28: "Zfh", 43: "C", 45: "C"}  # Zfhmin, Zca, Zcd
DONE = {extension.name for extension in ISA.extensions}


class Memory:
    """Pairs at address 0."""

    def __init__(self, *pairs: tuple[int, int]) -> None:
        self.bytes = bytearray(b"".join(struct.pack("<qQ", *pair) for pair in pairs))

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.bytes[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        self.bytes[address : address + len(data)] = data

    def pairs(self) -> list[tuple[int, int]]:
        return list(struct.iter_unpack("<qQ", bytes(self.bytes)))


def test_every_extension_is_told_and_no_other() -> None:
    told = abi.hwprobe_value(4, LIMIT)
    assert told is not None
    for name, bit in BITS.items():
        assert (told >> bit & 1) == (name in DONE), name
    for bit, name in MEANT.items():
        assert (told >> bit & 1) == (name in DONE)
    assert told & ~sum(1 << bit for bit in {*BITS.values(), *MEANT}) == 0


def test_a_key_that_is_not_known_says_so() -> None:
    memory = Memory((3, 7), (99, 7), (7, 0))
    assert abi.hwprobe(memory, 0, 3, 0, 0, 0, LIMIT) == 0
    assert memory.pairs() == [(3, 1), (-1, 0), (7, LIMIT - 1)]


@pytest.mark.parametrize(
    ("pairs", "left"),
    [([(3, 1), (4, 3)], b"\7"), ([(4, 1 << 2)], b"\0"), ([(8, 5)], b"\0"), ([(99, 0)], b"\0")],
    ids=["what there is", "vectors", "another clock", "no key"],
)
def test_which_processors_have_it(pairs: list[tuple[int, int]], left: bytes) -> None:
    memory = Memory(*pairs)
    at = len(memory.bytes)
    memory.bytes += b"\7"
    assert abi.hwprobe(memory, 0, len(pairs), 1, at, 1, LIMIT) == 0
    assert memory.read(at, 1) == left


@pytest.mark.parametrize("wrong", [(0, 0, 2), (0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 0, 1)])
def test_what_is_refused(wrong: tuple[int, int, int]) -> None:
    size, cpus, flags = wrong
    assert abi.hwprobe(Memory((3, 0)), 0, 1, size, cpus, flags, LIMIT) == -22


def test_with_vectors_there_are_three_more() -> None:
    memory = Memory((4, 0), (10, 0))
    plain = abi.hwprobe_value(4, LIMIT)
    assert plain is not None
    assert VectorAbi(256).hwprobe(memory, 0, 2, 0, 0, 0, LIMIT) == 0
    told = {BITS["V"], BITS["Zvfh"], BITS["Zvfhmin"]}
    assert memory.pairs() == [(4, plain | sum(1 << bit for bit in told)), (10, 3)]


def test_vectors_elsewhere_in_what_linux_tells() -> None:
    vectors = VectorAbi(128)
    assert vectors.hwcap() == abi.hwcap() | 1 << 21
    line = next(line for line in vectors.cpuinfo(1).splitlines() if line.startswith("isa"))
    assert line.split()[-1].startswith("rv64imafdcv_")
    assert line.endswith("_zvfh_zvfhmin")


@pytest.mark.parametrize(
    ("option", "value", "result"),
    [
        (70, 0, 2),
        (69, 0, 0),
        (69, 2, 0),
        (69, 1, -1),
        (69, 3, -22),
        (69, 4, -1),
        (69, 32, -22),
        (68, 0, None),
    ],
)
def test_vectors_are_on_and_stay_so(option: int, value: int, result: int | None) -> None:
    assert VectorAbi(128).prctl(NOBODY, option, value, 0, 0, 0) == result
