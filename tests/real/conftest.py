"""The real programs of each guest, or the reason why they are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import require_c
from tests.real import fetch


@pytest.fixture(scope="session", params=fetch.GUESTS)
def machine(request: pytest.FixtureRequest) -> str:
    """Each guest that Debian's programs are here for."""
    require_c(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def sysroot(machine: str) -> Path:
    """A folder with Debian's programs and libraries for a guest, as --sysroot and --root take it."""
    try:
        return fetch.root(machine)
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def busybox(sysroot: Path) -> Path:
    """BusyBox, statically linked."""
    return sysroot / "usr/bin/busybox"
