"""Registers that native code serves: nothing of them comes back, everything else does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Halt, Interrupted, Mmio, Pio, RingFull
from tests.accel.contract.test_mmio import WIDTHS
from tests.accel.contract.test_pio import collect
from tests.accel.machines import DEVICE, Machine

NEEDS = "native_loop"

PRINT = "66 b9 00040000 88 c8 e6 10 66 49 75 f8 f4"  # mov ecx, 1024; again: mov al, cl; out 0x10; dec ecx; jnz; hlt
PRINTED = bytes(n & 0xFF for n in range(1024, 0, -1))


def test_writes_are_collected(x86: Machine) -> None:
    ring = x86.cpu.serve_ring(0x10, 1, port=True)
    x86.load(PRINT)
    assert x86.cpu.run() == Halt()
    assert ring.count == 1024
    assert ring.drain() == PRINTED
    assert ring.drain() == b""


def test_a_full_ring_comes_back_and_loses_nothing(x86: Machine) -> None:
    ring = x86.cpu.serve_ring(0x10, 1, port=True, capacity=64)
    x86.load(PRINT)
    found = b""
    while (exit := x86.cpu.run()) != Halt():
        assert exit == RingFull(0x10, True)
        assert x86.cpu.run() == RingFull(0x10, True), "nothing was taken yet"
        with pytest.raises(PolyvmError, match="between two parts"):
            x86.cpu.save()
        found += ring.drain()
    assert found + ring.drain() == PRINTED


def test_every_width_of_memory(machine: Machine) -> None:
    """The three writes and reads of WIDTHS, and its last write, which nobody serves."""
    latches = [machine.cpu.serve_latch(DEVICE + offset, size) for offset, size in ((2, 2), (4, 4))]
    machine.load(WIDTHS)
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\x44")
    assert machine.cpu.run() == Mmio(DEVICE, 1, None)
    assert [latch.value for latch in latches] == [0x3344, 0x1122_3344]
    latches[1].value = 0x1234_56EE
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\xee")
    assert [latch.count for latch in latches] == [2, 2]


@pytest.mark.parametrize(("size", "code"), [(1, "ee"), (2, "ef"), (4, "66 ef")])
def test_rings_of_every_width(x86: Machine, size: int, code: str) -> None:
    ring = x86.cpu.serve_ring(0x10, size, port=True, capacity=8)
    x86.load(f"ba 1000 66 b8 44332211 {code} {code} f4")
    assert x86.cpu.run() == Halt()
    assert ring.drain() == bytes.fromhex("44332211")[:size] * 2


def test_what_is_not_served_comes_back(x86: Machine) -> None:
    """Another width, another space, a read of a ring, a string instruction."""
    ring = x86.cpu.serve_ring(0x10, 1, port=True)
    x86.cpu.serve_latch(0x10, 8)
    x86.load("ba 1000 b8 0100 ef ec be 0080 b9 0300 f3 6e f4")  # out dx, ax; in al, dx; rep outsb; hlt
    assert x86.exits(2) == [Pio(0x10, 2, 1, b"\1\0"), Pio(0x10, 1, 1, None)]
    x86.cpu.answer(5)
    written, last = collect(x86, 1)
    assert last == [Halt()]
    assert written + ring.drain() == bytes(3)


def test_a_latch_is_set_while_the_guest_waits_for_it(x86: Machine) -> None:
    latch = x86.cpu.serve_latch(0x10, 1, port=True)
    x86.load("e4 10 84 c0 74 fa e6 11 f4")  # again: in al, 0x10; test al, al; jz again; out 0x11, al; hlt
    timer = threading.Timer(0.1, setattr, [latch, "value", 0x77])
    timer.start()
    assert x86.cpu.run() == Pio(0x11, 1, 1, b"\x77")
    timer.join()
    assert latch.count > 1


def test_it_is_cancelled_as_well(x86: Machine) -> None:
    x86.cpu.serve_latch(0x10, 1, port=True)
    x86.load("e4 10 eb fc")  # again: in al, 0x10; jmp again
    for _ in range(20):
        timer = threading.Timer(0.01, x86.cpu.cancel)
        timer.start()
        assert x86.cpu.run() == Interrupted()
        timer.join()


def test_served_no_more(x86: Machine) -> None:
    ring = x86.cpu.serve_ring(0x10, 1, port=True)
    x86.cpu.serve_no_more(ring)
    x86.load(PRINT)
    assert isinstance(x86.cpu.run(), Pio)
    with pytest.raises(PolyvmError, match="not served"):
        x86.cpu.serve_no_more(ring)
    again = x86.cpu.serve_ring(0x10, 1, port=True)
    assert (again.count, again.drain()) == (0, b"")


def test_what_is_refused(x86: Machine) -> None:
    x86.cpu.serve_latch(0x10, 1)
    for address, size, port in ((0x10, 3, False), (0x10, 1, False), (-1, 1, False), (1 << 16, 1, True)):
        with pytest.raises(PolyvmError):
            x86.cpu.serve_latch(address, size, port=port)
    for capacity in (0, 4, 100):
        with pytest.raises(PolyvmError, match="capacity"):
            x86.cpu.serve_ring(0x20, 1, capacity=capacity)
    for address in range(63):
        x86.cpu.serve_latch(address, 2)
    with pytest.raises(PolyvmError, match="no more than 64"):
        x86.cpu.serve_latch(100, 2)


def test_the_loop_is_kept_on_disk(x86: Machine, cold_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polyvm.accel.kvm import loop

    for number, damage in enumerate((None, b"", b"no image"), 1):
        monkeypatch.setattr(loop, "_loaded", [])
        files = list(cold_cache.glob("accel/kvm-loop-*"))
        if damage is not None:
            (file,) = files
            if damage:
                file.write_bytes(damage)
        cpu = x86.vm.create_vcpu(number)
        cpu.serve_latch(0x10, 1)
        x86.start(cpu)
    assert len(list(cold_cache.glob("accel/kvm-loop-*"))) == 1
