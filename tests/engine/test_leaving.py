"""How regions are left: where they may be stopped, what they say when they are, and with which registers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from polyvm.engine import layout
from polyvm.engine.layout import COUNTED, PRECISE, ROUNDED, ST
from polyvm.engine.region import RegionEmitter
from tests.engine.assembly import ISA, START, Program
from tests.engine.guest import DATA, Guest

OUT = Program("""
    start: c.beqz a2, far
           c.addi a0, -1
           c.bnez a0, start
           c.jr a5
    far:   c.addi a1, 1
           c.j start
    done:  ecall
""")


def heat(guest: Guest) -> None:
    """One jump more and anything is hot."""
    guest.cpu.hot_cells[: layout.COUNTERS] = memoryview((1).to_bytes(4, "little") * layout.COUNTERS).cast("I")


def test_what_never_ran_asks_for_a_better_region_of_its_own(guests: Callable[..., Guest]) -> None:
    guest = guests(OUT)
    guest.set(a0=1, a2=1, a5=OUT["done"])
    assert guest.once("start") == "SYSCALL"
    unit = guest.install(guest.compile(ran=True))
    assert not unit.covers(OUT["far"])
    guest.set(a0=1, a2=0)
    heat(guest)
    assert guest.once("start") == "HOT"
    assert (guest.hot_pc, guest.cpu.pc) == (START, OUT["far"])


def test_what_lies_beyond_a_region_gets_hot_itself(guests: Callable[..., Guest]) -> None:
    code = Program("start: c.addi a0, 1\n bne a0, a1, out\n c.j start\n" + "c.nop\n" * 10 + "out: c.j out")
    guest = guests(code)
    data = guest.compile(ran=False)
    guest.install(data)
    # A region whose limit was reached before `out`, made from the same code.
    text = RegionEmitter(ISA, code.region(limit=-98)).text("unit")
    assert f"store i64 {code['out']}, ptr %S.{ST['hot_pc']}" in text
    assert f"store i64 {START}, ptr %S.{ST['hot_pc']}" not in text


def test_a_dynamic_jump_that_is_not_known_is_noted(guests: Callable[..., Guest]) -> None:
    guest = guests(OUT)
    guest.install(guest.compile(ran=False))
    guest.set(a0=2, a2=1, a5=OUT["done"])
    assert guest.once("start") == "SYSCALL"
    assert guest.log() == [(START + 6, OUT["done"])]
    heat(guest)
    guest.set(a0=1)
    assert guest.once("start") == "HOT"
    assert (guest.hot_pc, guest.cpu.pc) == (START, OUT["done"])
    # One that is known goes on inside.
    known = guests(OUT)
    known.install(known.compile(observed={START + 6: [OUT["far"]]}))
    known.set(a0=1, a2=1, a5=OUT["far"])
    known.cpu.stop()
    assert known.once("start") == "STOP"
    assert known.log() == []


def test_returns_are_not_noted(guests: Callable[..., Guest]) -> None:
    code = Program("start: c.addi a0, -1\n c.bnez a0, start\n c.jr ra\n done: ecall")
    guest = guests(code)
    guest.install(guest.compile())
    guest.set(a0=5, ra=code["done"])
    assert guest.once("start") == "SYSCALL"
    assert guest.log() == []


@pytest.mark.parametrize("kind", ["", PRECISE, COUNTED, COUNTED + PRECISE + ROUNDED])
def test_a_loop_stops_at_its_head_with_every_register(kind: str, guests: Callable[..., Guest]) -> None:
    code = Program("start: c.addi a1, 1\n c.addi a2, 3\n sd a1, 0(a3)\n c.j start")
    guest = guests(code)
    assert guest.engine.units is not None
    guest.engine.units.kind = kind
    guest.install(guest.compile())
    guest.set(a3=DATA)
    guest.cpu.pc = START
    threading.Timer(0.05, guest.cpu.stop).start()
    assert guest.once() == "STOP"
    assert guest.cpu.pc == START
    turns = guest.cpu.x[11]
    assert turns > 0
    assert guest.cpu.x[12] == 3 * turns
    assert int.from_bytes(guest.space.read(DATA, 8), "little") == turns


@pytest.mark.parametrize("address", [DATA - 8, 1 << 38, 1 << 47, 1 << 63, (1 << 64) - 8])
def test_a_precise_region_faults_with_every_register(address: int, guests: Callable[..., Guest]) -> None:
    code = Program("""
        start: c.addi a1, 1
               c.addi a2, 3
               ld a4, 0(a3)
               c.addi a2, 5
               c.addi a0, -1
               c.bnez a0, start
               c.mv a3, a5
               c.j start
    """)
    guest = guests(code)
    assert guest.engine.units is not None
    guest.engine.units.kind = PRECISE
    guest.install(guest.compile())
    guest.space.write(DATA, (77).to_bytes(8, "little"))
    guest.set(a0=9, a3=DATA, a5=address)
    assert guest.run("start") == "FAULT"
    cpu = guest.cpu
    assert (cpu.pc, cpu.value, cpu.access) == (START + 4, address, layout.READ)
    assert cpu.x[10:16].tolist() == [0, 10, 9 * 8 + 3, address, 77, address]
