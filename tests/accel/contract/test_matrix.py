"""The matrix of behaviours and back ends that the documentation shows is what the suite finds; it only gets better."""

from __future__ import annotations

import json

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.capabilities import CAPABILITIES
from tests.accel.contract.conftest import MATRIX, PASSES, UNSUPPORTED, behaviours, cells
from tests.accel.machines import BACKENDS


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    """Whether the matrix is to be written anew."""
    return bool(request.config.getoption("--bless"))


def test_every_behaviour_and_back_end_has_its_cell(bless: bool) -> None:
    pinned = json.loads(MATRIX.read_text())
    found: dict[str, dict[str, object]] = {
        behaviour: {"needs": needs, "over": {}} for behaviour, needs in behaviours().items()
    }
    for backend, make in BACKENDS.items():
        try:
            hypervisor = make()
        except PolyvmError:  # not here: what was found where it was
            for behaviour in found:
                cells(found, behaviour)[backend] = cells(pinned, behaviour).get(backend, UNSUPPORTED)
            continue
        for behaviour, needs in behaviours().items():
            assert not needs or needs in CAPABILITIES
            cell = PASSES if not needs or hypervisor.can(needs) else UNSUPPORTED
            before = cells(pinned, behaviour).get(backend)
            assert (before, cell) != (PASSES, UNSUPPORTED), (
                f"{behaviour} over {backend}: what passed stays so"
            )
            # Elsewhere the hypervisor may be able to do more than where the matrix was made.
            cells(found, behaviour)[backend] = before if before and not bless else cell
        hypervisor.close()
    if bless:
        MATRIX.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(MATRIX.read_text()), "pytest --bless writes it anew"
