"""Contexts of each back end; what is missing skips with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polyvm.errors import PolyvmError


@pytest.fixture(scope="session", autouse=True)
def _numpy() -> None:
    pytest.importorskip(
        "numpy", reason="the tests of GPU compute compare with NumPy: pip install 'polyvm[gpu]'"
    )


def opened(backend: str, **options: Any) -> Any:
    """A context of a back end, or a skip."""
    from polyvm import gpu

    try:
        found = gpu.devices(backend)
    except PolyvmError as error:
        pytest.skip(f"{error.message} {error.hint}")
    if not found:
        pytest.skip(f"there is no device of the back end {backend}")
    return found[0].context(**options)


@pytest.fixture
def host() -> Iterator[Any]:
    """A context on the processor, in which a kernel may run for ten seconds."""
    with opened("host", timeout=10) as made:
        yield made


@pytest.fixture(params=["host", "opencl", "cuda"])
def context(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A context of each back end."""
    if request.param == "cuda":
        pytest.importorskip(
            "cuda.bindings.driver", reason="cuda-bindings is not installed: pip install 'polyvm[cuda]'"
        )
    with opened(request.param) as made:
        yield made
        assert made.leaks() == []
