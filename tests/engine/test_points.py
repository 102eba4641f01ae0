"""Breakpoints in native code, and exact running: every tier stops where one stands, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polyvm.engine.exact import WIDEST, Exact
from polyvm.engine.layout import BARRED, BUDGET, FAULT, MET, REASONS, SYSCALL
from polyvm.engine.points import Points
from polyvm.memory.space import EXEC, READ, WRITE
from tests.engine.assembly import START, Program
from tests.engine.guest import DATA, Guest

LOOP = Program("""
    start: c.addi a0, -1
    middle: c.addi a1, 1
           c.sd a1, 0(a4)
    last:  c.bnez a0, start
    done:  ecall
""")


def never() -> bool:
    """No access passes."""
    return False


def points(guest: Guest) -> Points:
    return Points(guest.engine, guest.space, guest.space.slots)


@pytest.mark.parametrize("place", ["start", "middle", "last"])
def test_a_breakpoint_stops_every_tier_each_time(guests: Callable[..., Guest], place: str) -> None:
    """Interpreted, in a block that was made before, and in a region: each is given up for the breakpoint."""
    guest = guests(LOOP, tier="auto")
    found = points(guest)
    units = guest.engine.units
    assert units is not None
    for made in ("nothing", "a block", "a region"):
        if made != "nothing":
            guest.set(a0=100, a1=0, a4=DATA)
            assert guest.once("start") == "SYSCALL"
        if made == "a block":
            assert any(pc == START for pc, *_ in guest.engine.native.arena.blocks())
        if made == "a region":
            guest.install(guest.compile(ran=True))
            assert units.by_pc
        found.set({LOOP[place]})
        assert not units.by_pc
        guest.set(a0=3, a1=0, a4=DATA)
        guest.cpu.pc = START
        hits = []
        exact = Exact(guest.engine, guest.space)
        while guest.once() == "PAUSE":
            assert guest.cpu.pc == LOOP[place]
            hits.append(guest.cpu.x[10])
            assert exact.step(guest.cpu) == (BUDGET, True)
        assert hits == ([3, 2, 1] if place == "start" else [2, 1, 0])
        assert (guest.cpu.pc, guest.cpu.x[11]) == (LOOP["done"], 3)
        found.set(())


def test_no_region_goes_on_where_a_breakpoint_stands(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    found = points(guest)
    whole = guest.compile()
    guest.set(a0=3, a4=DATA)
    assert guest.once("start") == "SYSCALL"
    found.set({LOOP["last"]})
    units = guest.engine.units
    assert units is not None
    assert units.install(guest.space, whole) is None
    marks = guest.engine.ran(guest.space, START)
    assert marks[(LOOP["start"] & 4095) >> 1] == MET
    assert marks[(LOOP["last"] & 4095) >> 1] == BARRED
    unit = guest.install(guest.compile(ran=True))
    assert not unit.has(LOOP["last"])
    assert unit.has(LOOP["middle"])
    guest.set(a0=3, a1=0, a4=DATA)
    assert guest.once("start") == "PAUSE"
    assert (guest.cpu.pc, guest.cpu.x[10], guest.cpu.x[11]) == (LOOP["last"], 2, 1)
    found.set(())
    assert guest.once() == "SYSCALL"
    guest.install(whole)


def test_units_with_breakpoints_inside_stay_on_the_disk(guests: Callable[..., Guest]) -> None:
    first = guests(LOOP)
    unit = first.install(first.compile())
    units = first.engine.units
    assert units is not None
    assert units.store(first.space, unit, first.compile())
    second = guests(LOOP)
    found = points(second)
    found.set({LOOP["middle"]})
    units = second.engine.units
    assert units is not None
    assert units.fetch(second.space, START) is None
    assert units.rejected == 0
    found.set(())
    assert units.fetch(second.space, START) is not None


def test_breakpoints_outlive_changes_of_the_code(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    found = points(guest)
    found.set({LOOP["middle"], LOOP["middle"] + 1, guest.space.limit + 2})  # the others are never reached
    guest.set(a0=1, a4=DATA)
    guest.space.drop_code(START, START + 4096)
    assert guest.once("start") == "PAUSE"
    guest.space.protect(START, 4096, READ)
    guest.space.protect(START, 4096, READ | EXEC)
    assert guest.once("start") == "PAUSE"
    guest.space.poke(LOOP["start"], LOOP.code[:2])
    assert guest.once("start") == "PAUSE"


def test_steps_are_exact(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, tier="auto")
    guest.set(a0=100, a1=0, a4=DATA)
    assert guest.once("start") == "SYSCALL"
    guest.install(guest.compile(ran=True))
    exact = Exact(guest.engine, guest.space)
    exact.set_points({LOOP["middle"]})
    guest.set(a0=2, a1=0)
    guest.cpu.pc = START
    budget = guest.cpu.budget
    places = []
    for _ in range(8):
        assert exact.step(guest.cpu) == (BUDGET, True)
        places.append(guest.cpu.pc)
    loop = [LOOP["middle"], LOOP["middle"] + 2, LOOP["last"]]
    assert places == [*loop, START, *loop, LOOP["done"]]
    assert budget - guest.cpu.budget == 8
    assert exact.step(guest.cpu)[0] == SYSCALL
    guest.cpu.pc = START
    guest.cpu.stop()
    assert REASONS[exact.step(guest.cpu)[0]] == "STOP"
    guest.cpu.clear_stop()
    # The tiers are where they were.
    assert guest.engine.units is not None
    assert START in guest.engine.units.by_pc


def test_accesses_of_a_range_stop_before_they_are_made(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, tier="auto")
    guest.set(a0=100, a1=0, a4=DATA)
    assert guest.once("start") == "SYSCALL"
    exact = Exact(guest.engine, guest.space)
    guest.set(a0=2, a1=6)
    guest.cpu.pc = START
    start, end = DATA + 4, DATA + 5  # the store begins before, and reaches into it
    assert exact.watch(guest.cpu, start, end, never) == FAULT
    assert exact.is_watched(guest.cpu, start, end)
    assert (guest.cpu.pc, guest.space.read_u64(DATA)) == (LOOP["last"] - 2, 100)
    assert exact.step(guest.cpu) == (BUDGET, True)
    assert guest.space.read_u64(DATA) == 7
    # Elsewhere it costs a comparison; what is wrong is no watchpoint.
    assert exact.watch(guest.cpu, DATA + WIDEST + 7, DATA + WIDEST + 16, never) == SYSCALL
    guest.set(a0=1, a4=8)
    guest.cpu.pc = START
    assert exact.watch(guest.cpu, start, end, never) == FAULT
    assert not exact.is_watched(guest.cpu, start, end)
    exact.set_points({LOOP["last"]})
    guest.set(a0=2, a4=DATA + 512)
    guest.cpu.pc = START
    assert REASONS[exact.watch(guest.cpu, start, end, never)] == "PAUSE"
    assert guest.cpu.pc == LOOP["last"]


def test_native_code_asks_whether_an_access_passes(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, tier="auto")
    exact = Exact(guest.engine, guest.space)
    asked: list[tuple[int, int]] = []

    def passes() -> bool:
        asked.append((guest.cpu.pc, guest.cpu.value))
        return len(asked) < 4

    guest.set(a0=9, a1=0, a4=DATA)
    guest.cpu.pc = START
    budget = guest.cpu.budget
    assert exact.watch(guest.cpu, DATA, DATA + 8, passes) == FAULT
    assert asked == [(LOOP["last"] - 2, DATA)] * 4
    assert (guest.space.read_u64(DATA), guest.cpu.x[11]) == (3, 4)
    assert budget - guest.cpu.budget == 4 * 3 + 2
    # One that passes may fail: as any access does.
    guest.space.protect(DATA, 4096, READ)
    asked.clear()
    guest.cpu.pc = START
    budget = guest.cpu.budget
    assert exact.watch(guest.cpu, DATA, DATA + 8, passes) == FAULT
    assert (len(asked), guest.cpu.pc, guest.cpu.value) == (1, LOOP["last"] - 2, DATA)
    assert budget - guest.cpu.budget == 2
    assert exact.step(guest.cpu) == (FAULT, False)

    def fails() -> bool:
        raise ZeroDivisionError

    guest.cpu.pc = START
    with pytest.raises(ZeroDivisionError):
        exact.watch(guest.cpu, DATA, DATA + 8, fails)


def test_code_that_changes_is_forgotten_by_both(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    exact = Exact(guest.engine, guest.space)
    guest.cpu.pc = LOOP["middle"]
    exact.step(guest.cpu)
    before = guest.cpu.x[11]
    changed = Program("start: c.addi a1, 5")
    guest.space.protect(START, 4096, READ | WRITE | EXEC)
    guest.space.write(LOOP["middle"], changed.code[:2])
    guest.space.drop_code()
    guest.cpu.pc = LOOP["middle"]
    exact.step(guest.cpu)
    assert guest.cpu.x[11] == before + 5
