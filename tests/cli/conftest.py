"""The command line in this process: words in, exit status and text out. Programs are run as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.cli.main import main
from tests import toolchain


class Done:
    """What a command did."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def code(self) -> str:
        """The error code that stands on standard error."""
        assert self.err.startswith("polyvm: PVM-"), self.err
        return self.err.split(":")[1].strip()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """cli("isa", "list"): run a command in this process."""

    def call(*words: str) -> Done:
        capsys.readouterr()
        status = main(list(words))
        text = capsys.readouterr()
        return Done(status, text.out, text.err)

    return call


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run("--stats", program): `polyvm run` as a process."""

    def call(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polyvm", "run", *map(str, words)]
        defaults = {"capture_output": True, "text": True, "timeout": 100, "check": False}
        return subprocess.run(command, **{**defaults, **options})  # type: ignore[call-overload, no-any-return]

    return call


@pytest.fixture(scope="session")
def hello() -> Path:
    """A static program that prints one line."""
    return toolchain.build("hello.c")
