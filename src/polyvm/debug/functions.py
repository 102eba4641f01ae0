"""Which function of a program a code address belongs to: by symbols, else by the unwind tables, else by the mapping.

Answers are remembered, because a profile asks for the same addresses all the time; what the guest's code was replaced
for has to be forgotten (`forget`).
"""

from __future__ import annotations

import os
from bisect import bisect_right

from polyvm.debug import unwind
from polyvm.debug.names import Names
from polyvm.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.memory.space import AddressSpace


class Function:
    """A function: its name for a reader, the file that it is in ("" for none), and where it begins, if that is known.
    moved: how far the file's own addresses are from the program's. known: whether a symbol names it.
    """

    __slots__ = ("file", "known", "moved", "name", "start")

    def __init__(self, name: str, file: str, start: int | None, moved: int, known: bool) -> None:
        self.name = name
        self.file = file
        self.start = start
        self.moved = moved
        self.known = known


class Functions:
    """The functions of an address space, numbered as they are met."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.names = Names(space)
        self.known: list[Function] = []
        self._numbers: dict[tuple[str, str, int | None], int] = {}
        self._at: dict[int, int] = {}
        self._tables: dict[int, tuple[CachedTables, int] | None] = {}  # by pages
        self._cached: dict[int, CachedTables] = {}

    def forget(self) -> None:
        """Code has changed: what stands at an address may be another function now."""
        self._at.clear()
        self._tables.clear()

    def at(self, address: int) -> int:
        """The number of the function at an address."""
        found = self._at.get(address)
        if found is None:
            made = self._find(address)
            key = made.file, made.name, made.start
            found = self._numbers.get(key)
            if found is None:
                found = self._numbers[key] = len(self.known)
                self.known.append(made)
            self._at[address] = found
        return found

    def _find(self, address: int) -> Function:
        region = self.space.lookup(address) if 0 <= address < self.space.limit else None
        if region is None:
            return Function("(unmapped)", "", None, 0, False)
        file = "" if region.backing is None else region.backing.path
        label, start = self.names.label(address), self.names.start(address)
        found, place = self.names.tables(address), self.names.place(address)
        moved = 0 if place is None else address - place[1]
        if label is not None:
            if start is not None and start != address:
                label = label.removesuffix(f"+{address - start:#x}")
            return Function(label, file, start, moved, True)
        base = printable(os.path.basename(file) or region.name or "anonymous memory")
        if found is not None:
            index = bisect_right(found[0].starts, address - moved) - 1
            if index >= 0:
                start = found[0].starts[index] + moved
                return Function(f"{base}:{start - moved:#x}", file, start, moved, False)
        return Function(f"[{base.strip('[]')}]", file, None, moved, False)

    def tables(self, address: int) -> tuple[CachedTables, int] | None:
        """As Names.tables, but what was found is remembered."""
        page = address >> 12
        if page not in self._tables:
            found = self.names.tables(address)
            if found is None:
                self._tables[page] = None
            else:
                cached = self._cached.setdefault(id(found[0]), CachedTables(found[0]))
                self._tables[page] = cached, found[1]
        return self._tables[page]


class CachedTables(unwind.Tables):
    """Unwind tables that remember the rules of an address."""

    def __init__(self, tables: unwind.Tables) -> None:  # the tables are read already
        self.tables = tables
        self._rules: dict[int, unwind.Rules | None] = {}

    def rules(self, address: int) -> unwind.Rules | None:
        """The rules at an address. Raises Damaged."""
        if address not in self._rules:
            self._rules[address] = self.tables.rules(address)
        return self._rules[address]
