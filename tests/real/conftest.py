"""The real programs, or the reason why they are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyvm.bench import debian
from tests.real import fetch


@pytest.fixture(scope="session")
def sysroot() -> Path:
    """A folder with Debian's riscv64 programs and libraries, as --sysroot and --root take it."""
    folder = fetch.folder()
    if not debian.present(folder) or set(debian.contents(folder)["packages"]) != set(fetch.PACKAGES):
        pytest.skip(f"Debian's riscv64 programs are not here: {fetch.COMMAND}")
    return folder / "root"


@pytest.fixture(scope="session")
def busybox(sysroot: Path) -> Path:
    """BusyBox, statically linked."""
    return sysroot / "usr/bin/busybox"
