"""Where a guest's registers lie in a thread's state: one rule for the specification and for what runs without it.

The engine's header comes before them and the floating-point environment is in there; a program that runs from the
cache reads this, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Slot = tuple[str, int]

SPECIAL = 8
"""Bytes of a special register, whatever its width."""


def place(
    files: Iterable[tuple[str, int, int]], specials: Iterable[str], base: int
) -> dict[Slot, tuple[int, int]]:
    """Every slot -> (offset, bytes) from `base` on: the files, (name, bits, count) each, aligned to a register's size,
    then the special registers.
    """
    found: dict[Slot, tuple[int, int]] = {}
    at = base
    for file, bits, count in files:
        size = (bits + 7) // 8
        at = (at + size - 1) // size * size
        for number in range(count):
            found[file, number] = (at, size)
            at += size
    for name in specials:
        at = (at + SPECIAL - 1) // SPECIAL * SPECIAL
        found[name, 0] = (at, SPECIAL)
        at += SPECIAL
    return found


def named(
    files: Sequence[tuple[str, int, tuple[str, ...], int | None]], specials: Iterable[str], base: int
) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int, int]]]:
    """The same from a guest's table (file, bits, names, the register that is always zero): every name and number,
    as x5 -> (offset, bytes), and file -> (offset, bytes, count).
    """
    found = place([(file, bits, len(aliases)) for file, bits, aliases, _ in files], specials, base)
    names: dict[str, tuple[int, int]] = {}
    for file, _, aliases, _ in files:
        for number, alias in enumerate(aliases):
            names[f"{file}{number}"] = names[alias] = found[file, number]
    names |= {name: found[name, 0] for name in specials}
    return names, {file: (*found[file, 0], len(aliases)) for file, _, aliases, _ in files}
