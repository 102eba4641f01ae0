"""Profiles that options name: read, or told why not, and then done without."""

from __future__ import annotations

from polyvm.engine import profile
from polyvm.errors import PolyvmError, from_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from polyvm.engine.profile import Profile


def warning(refused: PolyvmError) -> str:
    """A line that says what is not used, and why."""
    return f"polyvm: warning: {refused.code}: {refused.message}\n"


def read(names: Iterable[str], warn: Callable[[PolyvmError], object]) -> list[Profile]:
    """Those that can be used. warn: told of each that cannot; a file that is not there is PVM-USAGE."""
    found = []
    for name in names:
        try:
            with open(name, "rb") as file:
                data = file.read(profile.MAX_BYTES + 1)
        except OSError as error:
            told = from_oserror(error, f"Cannot read the profile {name}")
            raise PolyvmError("PVM-USAGE", told.message).add_context(**told.context) from error
        try:
            found.append(profile.load(data, name))
        except PolyvmError as refused:
            warn(refused)
    return found
