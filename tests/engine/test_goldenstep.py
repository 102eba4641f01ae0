"""The golden evaluator on a live thread: how it reaches the guest's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyvm.engine import layout
from polyvm.engine.goldenstep import SIGBUS, SIGSEGV, Fault, SpaceMemory
from polyvm.memory.space import READ, WRITE, AddressSpace

PAGE = 4096
END = 0x10000 + PAGE


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SpaceMemory]:
    """A private mapping of two pages of a file that has one."""
    path = tmp_path / "file"
    path.write_bytes(b"?" * PAGE)
    fd = os.open(path, os.O_RDONLY)
    space = AddressSpace(bits=34)
    space.map(0x10000, 2 * PAGE, READ | WRITE, fd=fd)
    os.close(fd)
    yield SpaceMemory(space)
    space.close()


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_a_store_is_made_whole_or_not_at_all(memory: SpaceMemory, size: int) -> None:
    with pytest.raises(Fault) as caught:
        memory.store(END - 1, size, 0)
    fault = caught.value
    assert (fault.address, fault.access, fault.signo) == (END, layout.WRITE, SIGBUS)
    assert memory.load(END - 1, 1) == ord("?")


def test_a_store_faults_at_the_first_byte_that_may_not_be_written(memory: SpaceMemory) -> None:
    """Out of a page that may only be read, into nothing; and into what a file no longer fills."""
    memory.space.protect(0x10000, PAGE, READ)
    memory.space.map(0x20000, PAGE, READ)
    for end in (END, 0x20000 + PAGE):
        with pytest.raises(Fault) as caught:
            memory.store(end - 3, 8, 0)
        assert (caught.value.address, caught.value.signo) == (end - 3, SIGSEGV)
