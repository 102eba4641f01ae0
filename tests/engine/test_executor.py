"""The engine's own business: what gets hot, what is compiled then and how often, other kinds of units, and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.engine import executor, tiering
from polyvm.engine.executor import HOT_AFTER, HOT_FIRST, MAX_ENTRIES, MAX_TRIES, Engine
from polyvm.engine.layout import COUNTED, FETCH, PRECISE, ROUNDED, WHOLE
from polyvm.errors import PolyvmError
from polyvm.memory.space import AddressSpace
from tests.engine.assembly import START, Program
from tests.engine.guest import DATA, Guest

LOOP = Program("""
    start: c.addi a1, 1
           c.addi a0, -1
           c.bnez a0, start
           ecall
""")
WAYS = Program("""
    start: c.beqz a2, rare
    next:  c.addi a0, -1
           c.bnez a0, start
           ecall
    rare:  c.addi a1, 1
           c.addi a3, 5
           c.j next
""")
JUMPS = Program("""
    start: c.addi a0, -1
           c.beqz a0, done
           c.jr a5
    one:   c.addi a1, 1
           c.j start
    two:   c.addi a2, 1
           c.j start
    done:  ecall
""")
FLOATS = Program("""
    start: fadd.d fa0, fa0, fa1
           c.addi a0, -1
           c.bnez a0, start
           ecall
""")
NOT_YET, LOOKED, COMPILED = HOT_FIRST - 50, HOT_FIRST + 50, HOT_FIRST + HOT_AFTER + 50
"""Turns of a loop after which nothing has happened, the disk was looked at, a compilation was asked for."""


def turn(guest: Guest, turns: int, **registers: int) -> None:
    """So many turns of the program's loop, from its start."""
    guest.set(a0=turns, **registers)
    assert guest.run("start") == "SYSCALL"
    assert guest.cpu.x[10] == 0


# ------------------------------------------------------------------------------------------- getting hot
def test_a_loop_is_looked_for_and_then_compiled(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    units = guest.engine.units
    assert units is not None
    turn(guest, NOT_YET)
    assert (units.misses, guest.queue.jobs) == (0, [])
    turn(guest, LOOKED)
    assert (units.misses, guest.queue.jobs) == (1, [])
    turn(guest, COMPILED)
    assert [job.pc for job in guest.queue.jobs] == [START]
    guest.queue.finish()
    assert list(units.by_pc) == [START]
    assert (units.compiled, units.stored, guest.engine.pending) == (1, 1, {})
    before = guest.cpu.budget
    turn(guest, 10**6)
    assert before - guest.cpu.budget < 20  # the region does not count


def test_what_is_on_disk_is_not_compiled(guests: Callable[..., Guest]) -> None:
    first = guests(LOOP)
    turn(first, COMPILED)
    first.queue.finish()
    second = guests(LOOP)
    turn(second, COMPILED + 10 * HOT_AFTER)
    units = second.engine.units
    assert units is not None
    assert (units.hits, units.compiled, second.queue.jobs) == (1, 0, [])
    assert units.stored == 0


def test_what_waits_gets_hotter(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    turn(guest, COMPILED)
    (job,) = guest.queue.jobs
    jumps = guest.engine.hotness.jumps(START)
    turn(guest, 20 * HOT_AFTER)
    assert guest.queue.jobs == [job]
    assert job.places == [START]
    assert guest.engine.hotness.jumps(START) - jumps == pytest.approx(20 * HOT_AFTER, abs=4)


def test_what_cooled_down_meanwhile_is_not_compiled(
    guests: Callable[..., Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = guests(LOOP)
    turn(guest, COMPILED)
    (job,) = guest.queue.jobs
    now = job.asked
    monkeypatch.setattr(executor, "process_time", lambda: now)
    assert job.score(job) == 0  # it is not known yet how fast it is
    turn(guest, 10**6)
    now += 0.01
    assert job.score(job) > 0
    now += 1000 * tiering.HALF_LIFE_S
    assert job.score(job) < 0
    monkeypatch.undo()
    guest.queue.finish(lose=True)
    turn(guest, 20 * HOT_AFTER)  # hot again: it was not one of its tries
    assert [(job.pc, job.tries) for job in guest.queue.jobs] == [(START, 1)]


def test_losing_the_compiler_costs_speed_only(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    turn(guest, COMPILED)
    guest.queue.finish(lose=True)
    turn(guest, 50000)
    assert guest.cpu.x[11] == COMPILED + 50000


# ------------------------------------------------------------------------------------------- again, and wider
def test_a_way_that_had_never_been_gone_widens_the_region(guests: Callable[..., Guest]) -> None:
    guest = guests(WAYS)
    turn(guest, COMPILED, a2=1)
    guest.queue.finish()
    units = guest.engine.units
    assert units is not None
    first = units.by_pc[START]
    assert not first.covers(WAYS["rare"])
    turn(guest, 20 * HOT_AFTER, a2=0)
    assert {job.pc for job in guest.queue.jobs} == {START}
    while guest.queue.jobs:
        guest.queue.finish()
    assert units.by_pc[START].covers(WAYS["rare"])
    turn(guest, 10 * HOT_AFTER, a2=0)
    assert guest.queue.jobs == []
    assert guest.cpu.x[11] == 30 * HOT_AFTER


def test_where_dynamic_jumps_went_is_inside_the_next_region(guests: Callable[..., Guest]) -> None:
    guest = guests(JUMPS)
    turn(guest, COMPILED, a5=JUMPS["one"])
    engine, units = guest.engine, guest.engine.units
    assert units is not None
    jump = JUMPS["one"] - 2
    while guest.queue.jobs:
        guest.queue.finish()
    assert engine._observed()[jump] == [JUMPS["one"]]
    unit = units.covering(START)
    assert unit is not None
    assert unit.covers(JUMPS["one"])
    assert not unit.covers(JUMPS["two"])
    turn(guest, 40 * HOT_AFTER, a5=JUMPS["two"])
    assert guest.queue.jobs
    while guest.queue.jobs:
        guest.queue.finish()
    unit = units.covering(START)
    assert unit is not None
    assert unit.covers(JUMPS["two"])
    assert sorted(engine._observed()[jump]) == [JUMPS["one"], JUMPS["two"]]


def test_a_region_is_not_tried_for_ever(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    units, space = guest.engine.units, guest.space
    assert units is not None
    for number in range(MAX_TRIES + 3):
        guest.engine._want(space, units, START)
        if guest.queue.jobs:
            assert guest.queue.jobs[0].tries == number + 1
            guest.queue.finish()
    assert units.compiled == MAX_TRIES
    assert guest.engine.tries == {START: MAX_TRIES}


def test_a_place_inside_a_region_becomes_one_of_its_entries(guests: Callable[..., Guest]) -> None:
    guest = guests(WAYS)
    guest.install(guest.compile("start"))
    units = guest.engine.units
    assert units is not None
    places = [WAYS["rare"] + 2, WAYS["rare"] + 4]
    assert not units.by_pc.keys() & set(places)
    for place in places:
        guest.engine._want(guest.space, units, place)
    (job,) = guest.queue.jobs  # both at once
    assert (job.pc, job.entries) == (START, places)
    guest.queue.finish()
    assert units.by_pc[START].asked == places
    assert {units.by_pc[place] for place in places} == {units.by_pc[START]}


def test_a_region_with_many_entries_gets_no_more(guests: Callable[..., Guest]) -> None:
    code = Program("start: " + "c.nop\n" * 60 + "c.bnez a0, start\n ecall")
    guest = guests(code)
    guest.install(guest.compile("start", entries=[START + 2 + 2 * n for n in range(MAX_ENTRIES)]))
    units = guest.engine.units
    assert units is not None
    guest.engine._want(guest.space, units, START + 100)
    (job,) = guest.queue.jobs
    assert (job.pc, job.entries) == (START + 100, [])  # one of its own


# ------------------------------------------------------------------------------------------- what ran
def test_what_ran_is_known_in_every_tier(guests: Callable[..., Guest]) -> None:
    guest = guests(WAYS)
    ran = guest.engine.ran(guest.space, START)
    assert not any(ran)
    assert len(ran) == 2048
    turn(guest, 3, a2=1)
    places = {START + 2 * n for n, mark in enumerate(guest.engine.ran(guest.space, START)) if mark}
    assert places == {START, WAYS["next"], WAYS["next"] + 2, WAYS["next"] + 4}
    guest.install(guest.compile())  # of everything: what is in a region counts
    assert guest.engine.ran(guest.space, START)[WAYS["rare"] + 2 - START >> 1]
    assert not any(guest.engine.ran(guest.space, DATA))
    assert guest.engine.ran(guest.space, guest.space.limit) == bytes(2048)
    assert guest.engine.ran(guest.space, -4096 & (1 << 64) - 1) == bytes(2048)


# ------------------------------------------------------------------------------------------- kinds
def test_a_guest_that_can_look_gets_precise_units(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    turn(guest, COMPILED)
    guest.queue.finish()
    units = guest.engine.units
    assert units is not None
    guest.engine.set_precise(guest.space)
    assert (units.kind, units.by_pc, guest.engine.tries) == (PRECISE, {}, {})
    turn(guest, COMPILED + HOT_FIRST + 10 * HOT_AFTER)
    guest.queue.finish()
    assert [unit.kind for unit in units.by_pc.values()] == [PRECISE]
    guest.engine.set_precise(guest.space)  # no reason to do it again
    assert units.by_pc


def test_a_guest_that_is_interrupted_sees_every_register(guests: Callable[..., Guest]) -> None:
    """Those that nobody reads any more as well, once it has a handler."""
    guest = guests(WAYS)
    units = guest.engine.units
    assert units is not None
    guest.engine.set_whole(guest.space)
    assert units.kind == WHOLE
    guest.install(guest.compile())
    unit = units.by_pc[START]
    guest.engine.set_whole(guest.space)
    assert units.by_pc[START] is unit  # no reason to do it again
    guest.engine.set_precise(guest.space)  # which is more
    assert (units.kind, units.by_pc) == (PRECISE, {})
    guest.engine.set_whole(guest.space)
    assert units.kind == PRECISE


def test_a_unit_that_comes_too_late_for_its_kind_is_left_out(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    turn(guest, COMPILED)
    (job,) = guest.queue.jobs
    assert job.kind == ""
    guest.engine.set_precise(guest.space)
    guest.queue.finish()
    units = guest.engine.units
    assert units is not None
    assert (units.by_pc, units.compiled, units.stored) == ({}, 0, 0)


def test_another_rounding_mode_makes_new_units(guests: Callable[..., Guest]) -> None:
    """Those that round to nearest refuse to begin in it."""
    guest = guests(FLOATS)
    turn(guest, COMPILED)
    guest.queue.finish()
    units = guest.engine.units
    assert units is not None
    guest.cpu.fp_mode = 1
    turn(guest, COMPILED + HOT_FIRST + 20 * HOT_AFTER)
    assert units.kind == ROUNDED
    guest.queue.finish()
    assert [unit.kind for unit in units.by_pc.values()] == [ROUNDED]
    guest.cpu.f[10], guest.cpu.f[11] = 0x3FF0 << 48, 1  # 1.0 and the smallest number
    turn(guest, 1)
    assert guest.cpu.f[10] == 0x3FF0 << 48
    guest.cpu.fp_mode = 3  # up
    turn(guest, 1)
    assert guest.cpu.f[10] == (0x3FF0 << 48) + 1
    guest.cpu.fp_mode = 0
    turn(guest, 50000)
    assert units.kind == ROUNDED


def test_a_new_program_begins_anew(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, counted=True)
    turn(guest, COMPILED)
    guest.engine.set_precise(guest.space)
    guest.engine.new_program()
    engine = guest.engine
    assert (engine.tries, engine.seen, engine.met) == ({}, {}, set())
    assert engine.units is not None
    assert engine.units.kind == COUNTED


# ------------------------------------------------------------------------------------------- counts
def test_regions_can_count(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, counted=True)
    turn(guest, COMPILED)
    guest.queue.finish()
    turn(guest, 10**6)
    stats = guest.engine.stats()
    assert stats["guest_insns"] == 3 * (COMPILED + 10**6) + 2  # and two calls
    inside, outside = stats["tiers"]["region"]["insns"], stats["tiers"]["interpreter"]["insns"]
    assert inside + outside == stats["guest_insns"]
    assert 3 * 10**6 - 10 <= inside <= 3 * 10**6 + 1
    assert stats["tiers"]["region"]["seconds"] > 0


def test_what_threads_counted_outlives_them(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP, counted=True)
    turn(guest, 100)
    engine = guest.engine
    other = engine.thread(guest.space)
    other.pc, other.x[10] = START, 1000
    other.run()
    both = engine.stats()["guest_insns"]
    assert both == 3 * 1100 + 2
    other.close()
    assert engine.cpus == [guest.cpu]
    assert engine.stats()["guest_insns"] == both
    other.close()
    assert engine.stats()["guest_insns"] == both
    turn(guest, 10)
    assert engine.stats()["guest_insns"] == both + 31


@pytest.mark.parametrize("tier", ["golden", "interpreter"])
def test_the_other_tiers_compile_nothing(tier: str, cold_cache: Path) -> None:
    turns = 300 if tier == "golden" else COMPILED + 10 * HOT_AFTER
    with Guest(LOOP, cold_cache, tier=tier) as guest:
        turn(guest, turns)
        stats = guest.engine.stats()
        assert guest.queue.jobs == []
        assert guest.engine.units is None
        assert stats["guest_insns"] == stats["tiers"][tier]["insns"] == 3 * turns + 1
        guest.engine.set_precise(guest.space)


def test_tiers_that_do_not_exist_are_refused_by_name() -> None:
    with pytest.raises(PolyvmError, match="'fast'") as caught:
        Engine("riscv64", tier="fast")
    assert caught.value.code == "PVM-USAGE"
    assert "interpreter" in (caught.value.hint or "")


def test_without_a_cache_nothing_is_compiled() -> None:
    engine = Engine("riscv64", folder="")
    space = AddressSpace(32)
    cpu = engine.thread(space)
    assert (engine.folder, engine.units) == (None, None)
    cpu.close()
    space.close()


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region"])
def test_a_jump_below_address_zero_faults_where_it_leads(tier: str, cold_cache: Path) -> None:
    """Addresses are numbers modulo 2^64, and what is below the first is at their end."""
    below = (START - 0x20000) % 2**64
    program = Program(f"loop: c.addi a0, -1\n c.bnez a0, loop\n jal zero, {below + 4}")
    with Guest(program, cold_cache, tier=tier) as guest:
        if tier == "region":
            guest.install(guest.compile())
        guest.set(a0=60)
        assert guest.run("loop") == "FAULT"
        cpu = guest.cpu
        assert (cpu.pc, cpu.value, cpu.access) == (below + 4, below + 4, FETCH)
