"""Guests of the engine, closed when a test is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.assembly import Program
from tests.engine.guest import Guest
from tests.engine.pair import Pair


@pytest.fixture
def guests(cold_cache: Path) -> Iterator[Callable[..., Guest]]:
    """Guests that share one cache: as many processes, one after the other."""
    made: list[Guest] = []

    def make(program: Program, **options: bool) -> Guest:
        made.append(Guest(program, cold_cache, **options))
        return made[-1]

    yield make
    for guest in made:
        guest.close()


@pytest.fixture
def pairs(cold_cache: Path) -> Iterator[Callable[..., Pair]]:
    """Pairs, closed when the test is done."""
    made: list[Pair] = []

    def make(program: Program, kind: str = "") -> Pair:
        made.append(Pair(program, cold_cache, kind))
        return made[-1]

    yield make
    for pair in made:
        pair.close()
