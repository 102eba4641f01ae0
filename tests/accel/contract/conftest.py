"""A behaviour's file runs over every back end, and the matrix of what each can do is held to what it says.

A file says what it NEEDS, a capability or "" for what all have. Where a back end lacks it, the file's tests only see
that it says so; the pinned matrix (docs/accelerators.json) then has "unsupported". A cell that passes stays so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyvm.vcpu.contract import Hypervisor
from tests.accel import machines
from tests.accel.machines import Machine
from tests.conftest import ROOT

MATRIX = ROOT / "docs" / "accelerators.json"
PASSES, UNSUPPORTED = "passes", "unsupported"


def behaviours() -> dict[str, str]:
    """Every behaviour -> the capability that it needs."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        needs = [line for line in path.read_text().splitlines() if line.startswith("NEEDS = ")]
        if needs:
            found[path.stem.removeprefix("test_")] = needs[0].removeprefix("NEEDS = ").strip('"')
    return found


@pytest.fixture(params=list(machines.BACKENDS))
def hypervisor(request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    """Each back end that is usable here and can do what the file needs; the matrix has to say which."""
    backend, needs = request.param, request.module.NEEDS
    behaviour = request.path.stem.removeprefix("test_")
    cell = json.loads(MATRIX.read_text()).get(behaviour, {}).get(backend)
    with machines.opened(backend) as made:
        if needs and not made.can(needs):
            assert cell == UNSUPPORTED, f"{behaviour} over {backend}: a cell that passes stays so"
            pytest.skip(f"{backend} has no {needs}, as the matrix says")
        assert cell == PASSES or made.kind is not None, f"{behaviour} over {backend} passes: bless the matrix"
        yield made


@pytest.fixture
def build(hypervisor: Hypervisor) -> Iterator[Callable[..., Machine]]:
    """Machines as they are asked for, closed in the end."""
    made: list[Machine] = []

    def one(**options: bool) -> Machine:
        made.append(Machine(hypervisor, **options))
        return made[-1]

    yield one
    for machine in made:
        machine.close()


@pytest.fixture
def machine(build: Callable[..., Machine]) -> Machine:
    """A machine with a MiB of memory."""
    return build()


@pytest.fixture
def x86(machine: Machine) -> Machine:
    """The same, for behaviours that only x86-64 has."""
    if machine.guest != "x86_64":
        pytest.skip(f"{machine.guest} has no such thing")
    return machine
