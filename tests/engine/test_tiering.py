"""The moving average of jumps, and what it makes of a place that waits for its region."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from polyvm.engine import tiering
from polyvm.engine.layout import COUNTERS
from polyvm.engine.tiering import Heat, Hotness

PC = 0x10000


def thread() -> Any:
    return SimpleNamespace(begun={}, hot_cells=[1000] * COUNTERS)


def test_a_steady_rate_is_known_at_once() -> None:
    heat = Heat(0, 0.0)
    assert heat.sample(0, 0.0) == 0
    assert heat.sample(1000, 0.01) == pytest.approx(100_000)
    assert heat.sample(2000, 0.02) == pytest.approx(100_000)


def test_it_halves_in_a_half_life_without_jumps() -> None:
    heat = Heat(0, 0.0)
    heat.sample(1000, 0.01)
    assert heat.sample(1000, 0.01 + tiering.HALF_LIFE_S) == pytest.approx(50_000)
    assert heat.sample(1000, 0.01 + 3 * tiering.HALF_LIFE_S) == pytest.approx(12_500)


def test_it_does_not_depend_on_how_often_somebody_looks() -> None:
    often, once = Heat(0, 0.0), Heat(0, 0.0)
    for heat in (often, once):
        heat.sample(1000, 0.01)
    for step in range(1, 11):
        last = often.sample(1000 + 50 * step, 0.01 + step / 100)
    assert once.sample(1500, 0.11) == pytest.approx(last)


def test_jumps_are_counted_over_counters_and_threads() -> None:
    cpus = [thread(), thread()]
    hotness = Hotness(cpus)
    for cpu in cpus:
        hotness.ran_down(cpu, PC)  # what it was at before is not known
        hotness.begin(cpu, PC, 5000)
    assert hotness.jumps(PC) == 0
    cpus[0].hot_cells[(PC >> 1) % COUNTERS] -= 700
    cpus[1].hot_cells[(PC >> 1) % COUNTERS] -= 50
    assert hotness.jumps(PC) == 750
    hotness.ran_down(cpus[0], PC)
    hotness.begin(cpus[0], PC, 9000)
    assert hotness.jumps(PC) == 5050
    assert hotness.jumps(PC + 2) == 0
    cpus[1].hot_cells = memoryview(b"")
    cpus[1].hot_cells.release()  # its thread has ended
    assert hotness.jumps(PC) == 5000


def test_what_is_hotter_and_cheaper_is_worth_more() -> None:
    cpu = thread()
    hotness = Hotness([cpu])
    places = (PC, PC + 2)
    for pc in places:
        hotness.begin(cpu, pc, 10**9)
    assert [hotness.score([pc], 0.1, 1.0, 1.0) for pc in places] == [0, 0]
    cpu.hot_cells[(PC >> 1) % COUNTERS] -= 2_000_000
    cpu.hot_cells[(PC + 2 >> 1) % COUNTERS] -= 1_000_000
    hot, warm = (hotness.score([pc], 0.1, 1.0, 1.1) for pc in places)
    assert hot == pytest.approx(2 * warm)
    assert hotness.score([PC], 0.2, 1.0, 1.1) == pytest.approx(hot / 2)
    assert hotness.score(places, 0.1, 1.0, 1.1) == pytest.approx(hot + warm)
    assert hotness.score([PC], 1e6, 1.0, 1.1) == 0
    assert hotness.score([PC], 1e6, 1.0, 1.1 + 2 * tiering.COLD_S) == -1


def test_who_is_eager_compiles_all_that_asked() -> None:
    cpu = thread()
    hotness = Hotness([cpu], "eager")
    assert hotness.score([PC], 1e6, 1.0, 1.0) == 1
    assert hotness.score([PC], 1e6, 1.0, 10.0) == 1


def test_what_cooled_down_is_still_worth_it_for_the_runs_to_come() -> None:
    cpu = thread()
    hotness = Hotness([cpu])
    hotness.begin(cpu, PC, 10**9)
    assert hotness.worth([PC], 0.1) == 0
    cpu.hot_cells[(PC >> 1) % COUNTERS] -= 200_000
    hotness.rate(PC, 1.0)
    hotness.rate(PC, 100.0)
    assert hotness.score([PC], 0.1, 100.0, 100.0) == 0
    assert hotness.worth([PC], 0.1) == pytest.approx(2)
    assert hotness.worth([PC], 0.3) == 0
    assert hotness.worth([PC], 0) == pytest.approx(2)  # what regions are taken to cost


def test_what_regions_cost_is_learnt() -> None:
    hotness = Hotness([])
    for _ in range(40):
        hotness.learnt(0.5)
    assert hotness.cost_s == pytest.approx(0.5, rel=0.01)
    hotness.rate(PC, 0.0)
    hotness.clear()
    assert hotness.heats == {}


def test_a_forked_child_counts_its_own_jumps() -> None:
    """What its parent did is not worth compiling for it: each child of a shell would have it compiled once more."""
    cpu = thread()
    hotness = Hotness([cpu])
    hotness.ran_down(cpu, PC)
    hotness.begin(cpu, PC, 10**9)
    cpu.hot_cells[(PC >> 1) % COUNTERS] -= 2_000_000
    hotness.rate(PC, 5.0)
    assert hotness.worth([PC], 0.1) > 1
    hotness.forked()
    assert hotness.jumps(PC) == 0
    assert hotness.worth([PC], 0.1) == 0
    assert hotness.score([PC], 0.1, 5.0, 0.001) == 0  # its CPU time begins at 0
    cpu.hot_cells[(PC >> 1) % COUNTERS] -= 1_000_000
    assert hotness.jumps(PC) == 1_000_000
    assert hotness.rate(PC, 0.101) == pytest.approx(10_000_000)
