"""Records are what dataclasses are: fields, defaults, equality, patterns, pickles."""

from __future__ import annotations

import pickle

import pytest

from polyvm.vcpu import exits
from polyvm.vcpu.exits import Debug, Exit, Halt, Mmio
from polyvm.vcpu.records import Record


class Base(Record):
    """A record to inherit from."""

    one: int
    two: int = 2


class Derived(Base):
    """One with a field of its own."""

    three: str = "x"


def test_fields_and_defaults() -> None:
    assert (Base(1).one, Base(1).two, Base(1, two=3).two) == (1, 2, 3)
    made = Derived(1, three="y")
    assert (made.one, made.two, made.three) == (1, 2, "y")
    assert repr(made) == "Derived(one=1, two=2, three='y')"
    for wrong in (lambda: Base(), lambda: Base(1, 2, 3), lambda: Base(1, four=4)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError):
        made.four = 4


def test_equality_is_by_type_and_fields() -> None:
    assert Derived(1) == Derived(1)
    assert Derived(1) != Derived(2)
    assert Base(1) != Derived(1)
    assert Halt() == Halt()
    with pytest.raises(TypeError):
        hash(Halt())


def test_patterns() -> None:
    match Mmio(0x10, 4, None):
        case Mmio(address, 4, None):
            assert address == 0x10
        case _:
            pytest.fail("the pattern was not met")


def test_text_and_pickle() -> None:
    exit = Debug(0x1000, "step")
    assert repr(exit) == "Debug(pc=0x1000, kind='step', address=None, dr6=0)"
    assert pickle.loads(pickle.dumps(exit)) == exit


def test_every_exit_says_what_it_is() -> None:
    family = [value for value in vars(exits).values() if isinstance(value, type) and issubclass(value, Exit)]
    assert len(family) > 30
    for kind in family:
        assert kind.__doc__
