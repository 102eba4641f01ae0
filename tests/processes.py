"""Processes of tests' own: what they are started with."""

from __future__ import annotations

import os


def measuring() -> list[str]:
    """The variables of the environment by which a process knows that it is measured."""
    return [name for name in os.environ if name.startswith("COVERAGE_")]


def unmeasured(**variables: str) -> dict[str, str]:
    """The environment of a process that does not tell what of the sources it ran, and some variables besides.

    For those that may be killed, as half a report is none; and for the golden evaluator's millions of instructions,
    which take two to five times as long when every line is counted, and are counted in other tests.
    """
    hidden = measuring()
    return {name: value for name, value in os.environ.items() if name not in hidden} | variables
