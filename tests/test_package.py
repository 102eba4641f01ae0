"""The package's front: public names come when asked for, the version is one, and nothing else is imported."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires, version

import pytest

import polyvm


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in polyvm.__all__:
        value = getattr(polyvm, name)
        assert name in dir(polyvm)
        assert name == "__version__" or value.__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = polyvm.nonsense


def test_the_version_is_the_installed_one() -> None:
    assert version("polyvm") == polyvm.__version__


def test_the_extras_of_the_design_exist() -> None:
    wanted = requires("polyvm") or []
    for extra in ("cranelift", "gpu", "inspect", "solver", "all"):
        assert any(f"extra == '{extra}'" in line.replace('"', "'") for line in wanted), extra


def test_importing_polyvm_imports_almost_nothing() -> None:
    code = "import sys; old = set(sys.modules); import polyvm; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"__future__", "polyvm"}
