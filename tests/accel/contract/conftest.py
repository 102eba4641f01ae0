"""A behaviour's file runs over every back end, and the matrix of what each can do is held to what it says.

A file says what it NEEDS, a capability or "" for what all have. The pinned matrix (docs/accelerators.json) says which
back ends lack it: there the file is not run, and test_matrix sees that they still say so. A cell that passes stays so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def cells(matrix: dict[str, dict[str, Any]], behaviour: str) -> dict[str, str]:
    """Back end -> what the matrix has for a behaviour."""
    found: dict[str, str] = matrix.get(behaviour, {}).get("over", {})
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a behaviour over every back end but those that the matrix says cannot."""
    if "hypervisor" in metafunc.fixturenames:
        behaviour = Path(metafunc.module.__file__ or "").stem.removeprefix("test_")
        pinned = cells(json.loads(MATRIX.read_text()), behaviour)
        able = [backend for backend in machines.BACKENDS if pinned.get(backend) != UNSUPPORTED]
        if "x86" in metafunc.fixturenames:  # what no other processor has
            able = [backend for backend in able if backend.endswith(" x86_64")]
        nobody = pytest.param("nobody", marks=pytest.mark.skip(reason="no back end of the matrix has it yet"))
        metafunc.parametrize("hypervisor", able or [nobody], indirect=True)


@pytest.fixture
def hypervisor(request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    """Each back end that is usable here, and can do what the file needs."""
    with machines.opened(request.param) as made:
        assert not request.module.NEEDS or made.can(request.module.NEEDS), "what passed stays so"
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
    return machine
