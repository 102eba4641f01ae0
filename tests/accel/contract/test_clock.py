"""The guest's clock: read, set, and told of a pause."""

from __future__ import annotations

from tests.accel.machines import Machine

NEEDS = "clock"


def test_it_runs_from_where_it_was_set(x86: Machine) -> None:
    x86.vm.clock = 1 << 50
    first = x86.vm.clock
    assert 1 << 50 <= first <= (1 << 50) + 60 * 10**9
    assert first < x86.vm.clock


def test_a_machines_state_has_it(x86: Machine) -> None:
    x86.vm.clock = 1 << 51
    saved = x86.vm.save()
    assert saved.clock is not None
    x86.vm.clock = 0
    x86.vm.restore(saved)
    assert x86.vm.clock >= saved.clock


def test_a_pause(x86: Machine) -> None:
    x86.cpu.note_pause()  # a guest that uses no such clock has nothing to be told


def test_the_rate_of_the_time_stamp_counter(x86: Machine) -> None:
    rate = x86.cpu.tsc_khz
    assert rate > 100_000
    x86.cpu.tsc_khz = rate
    assert x86.cpu.tsc_khz == rate
