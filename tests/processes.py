"""Processes of tests' own: what they are started with."""

from __future__ import annotations

import os


def unmeasured(**variables: str) -> dict[str, str]:
    """The environment of a process that does not tell what of the sources it ran, and some variables besides.

    For those that may be killed, as half a report is none; and for the golden evaluator's millions of instructions,
    which take two to five times as long when every line is counted, and are counted in other tests.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return kept | variables
