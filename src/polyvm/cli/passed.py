"""Options of `polyvm run` for commands that have it run a program: taken as they are given, and passed on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from polyvm.cli.options import Option
from polyvm.cli.runoptions import COMMAND as RUN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.cli.options import Values


def options(names: Iterable[str]) -> tuple[Option, ...]:
    """Options of `polyvm run`, whose values stay text once they are found to be right."""
    return tuple(_kept(option) for option in RUN.options if option.name in names)


def words(values: Values, passed: Iterable[Option]) -> list[str]:
    """What was given of them, for a command line."""
    found: list[str] = []
    for option in passed:
        if option.key not in values.given:
            continue
        value = getattr(values, option.key)
        if not option.metavar:
            found.append(option.name)
        else:
            for one in value if option.many else [value]:
                found.append(f"{option.name}={one}")
    return found


def command(values: Values, passed: Iterable[Option], *more: str) -> list[str]:
    """The command line of `polyvm run` for the program that was named."""
    return [
        sys.executable,
        "-I",
        "-m",
        "polyvm",
        "run",
        *more,
        *words(values, passed),
        "--",
        *values.arguments,
    ]


def _kept(option: Option) -> Option:
    made = Option(
        option.name, option.metavar, option.help, short=option.short, choices=option.choices, planned=option.planned,
        default=None if option.many else option.default, many=option.many, env=option.env, group=option.group,
        complete=option.complete,
    )  # fmt: skip
    convert = option.convert
    if convert is not None:

        def check(text: str) -> Any:
            convert(text)
            return text

        made.convert = check
    return made
