"""Registers by name, from each guest's table: every name has a width, and each value stands in one group."""

from __future__ import annotations

import pytest

from polyvm.engine.guest import GUESTS, Guest
from polyvm.engine.named import Named


@pytest.mark.parametrize("guest", GUESTS)
def test_every_register_once(guest: str) -> None:
    named = Named(Guest(guest))
    assert len(set(named.names)) == len(named.names)
    assert set(named.names) <= set(named.widths), "each can be read"
    assert named.zero <= set(named.widths) | {"x31"}
    grouped = [name for names in named.groups.values() for name in names]
    assert len(set(grouped)) == len(grouped)
    assert not named.zero & set(grouped)
    assert {"pc", "x5"} <= set(named.groups["general"])


def test_names_where_numbers_are_none() -> None:
    names = Named(Guest("aarch64")).names
    assert {"sp", "xzr", "nzcv", "q31"} <= set(names)
    assert not {"x31", "x32"} & set(names)
