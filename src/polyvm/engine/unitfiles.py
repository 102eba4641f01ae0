"""Compiled units on the disk: how their files are called, and how one gets there under all of its names.

A name holds the guest address, the unit's kind and a digest of the page of code around the address, so that a file is
found by where a program is and what it looks like there. What is in a file is `engine.units`' business.
"""

from __future__ import annotations

from polyvm.engine import cachedir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_NAMES = 128
"""Entries of a unit under which it is found, besides those that somebody asked for."""


def digest(code: bytes) -> str:
    """What stands for a page of code in a name."""
    import _imp

    return _imp.source_hash(1, code).hex()


def name(key: str, pc: int, kind: str, page_digest: str) -> str:
    """A file's name in the cache folder. key: of the engine and host that units are made by and for."""
    return f"units/{key}/{pc:x}.{kind}-{page_digest}.pvu"


def listed(files: Iterable[str]) -> dict[str, set[int]]:
    """The addresses that names in the cache folder stand for, by kinds; what is not such a name is passed over."""
    found: dict[str, set[int]] = {}
    for file in files:
        place, _, rest = file.partition(".")
        try:
            found.setdefault(rest.partition("-")[0], set()).add(int(place, 16))
        except ValueError:
            continue  # a file that is being written, or somebody else's
    return found


def covers(own: Iterable[tuple[int, int]], pc: int) -> bool:
    """Whether an address is in one of the spans of a unit's own function."""
    return any(at <= pc < at + size for at, size in own)


def names(pc: int, asked: Iterable[int], entries: Iterable[int], own: Iterable[tuple[int, int]]) -> list[int]:
    """The addresses that a unit is found under besides its own: none of callees, which have units of their own."""
    spans = list(own)
    places = dict.fromkeys((*asked, *[place for place in entries if covers(spans, place)][:MAX_NAMES]))
    places.pop(pc, None)
    return list(places)


def store(
    folder: str, data: bytes, pc: int, others: Iterable[int], name_of: Callable[[int], str | None]
) -> bool:
    """Write a unit's file and link it under its other names; whether it could be written."""
    file = name_of(pc)
    if file is None or not cachedir.write(folder, file, data):
        return False
    for place in others:
        also(folder, file, name_of(place))
    return True


def also(folder: str, file: str | None, alias: str | None) -> None:
    """Have a stored unit found under another name too."""
    if file is not None and alias is not None and alias != file:
        cachedir.link(folder, file, alias)
