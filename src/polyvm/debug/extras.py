"""Packages that only some commands want: imported when they are used, and asked for by the extra that brings them."""

from __future__ import annotations

import importlib
from typing import Any

from polyvm.errors import PolyvmError


def wanted(module: str, package: str, what: str) -> Any:
    """A module of an optional package. Raises PVM-EXTRA-MISSING; `what` cannot be done without."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PolyvmError(
            "PVM-EXTRA-MISSING",
            f"{what} needs the package {package}, which is not installed.",
            hint='pip install "polyvm[inspect]"',
            package=package,
        ) from error
