"""The kernels of tests/compute/kernels, compiled by NVRTC and run on the back end host, are equal to NumPy."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="NumPy judges the kernels: pip install 'polyvm[gpu]'")
from polyvm import gpu  # noqa: E402
from polyvm.compute import nvrtc  # noqa: E402
from polyvm.errors import PolyvmError  # noqa: E402
from tests.compute.kernels.cases import CASES, Case  # noqa: E402

FOLDER = Path(__file__).parent / "kernels"


@pytest.fixture(scope="module")
def context() -> Iterator[gpu.Context]:
    try:
        nvrtc.library()
    except PolyvmError as error:
        pytest.skip(f"{error.message} {error.hint}")
    with gpu.device("host").context(timeout=60) as made:
        yield made
        assert made.leaks() == []
    compiled.cache_clear()


@cache
def compiled(context: gpu.Context, name: str) -> gpu.Module:
    return context.program((FOLDER / name).read_text(), name=name).compile()


def run(context: gpu.Context, kernel: gpu.Kernel, case: Case) -> list[Any]:
    """Launch a case; its arguments afterwards."""
    buffers = [context.array(arg) if isinstance(arg, np.ndarray) else arg for arg in case.args]
    gpu.launch(gpu.LaunchConfig(case.grid, case.block, case.shared), kernel, *buffers)
    context.synchronize()
    results = []
    for arg, buffer in zip(case.args, buffers, strict=True):
        if isinstance(buffer, gpu.Buffer):
            results.append(buffer.read(np.empty_like(arg, order="C")))
            buffer.close()
        else:
            results.append(arg)
    return results


def check(case: Case, results: list[Any]) -> None:
    for place, want in case.expected.items():
        got = results[place]
        want = np.asarray(want).reshape(got.shape)
        if case.compare is not None:
            assert case.compare(got, want)
        elif case.tolerance:
            error = float(abs(got - want).max() / abs(want).max())
            assert error <= case.tolerance, f"argument {place} is off by {error:.2g}"
        else:
            np.testing.assert_array_equal(got, want.astype(got.dtype))


@pytest.mark.parametrize("name", CASES)
def test_equal_to_numpy(context: gpu.Context, name: str) -> None:
    source, kernel, make = CASES[name]
    case = make(np.random.default_rng(zlib.crc32(name.encode())))
    check(case, run(context, compiled(context, source).kernel(kernel), case))


def test_there_are_as_many_as_promised() -> None:
    assert len(CASES) >= 40
