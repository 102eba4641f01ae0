"""What registers a guest has by name, from its one table: widths, each once, and which are always zero.

For who offers registers as a mapping (the emulator, the JIT as an accelerator). It imports no specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyvm.engine.guest import Guest


class Named:
    """widths: every name and alias -> bits. names: each register once, by its number name, with those composed of
    others. zero: names of what is hardwired to zero. groups: group -> the names of its registers, each value once.
    """

    __slots__ = ("groups", "names", "widths", "zero")

    def __init__(self, guest: Guest) -> None:
        places = guest.places
        self.widths = {"pc": 64} | {name: 8 * size for name, (_, size) in places.names.items()}
        table = __import__(f"polyvm.isa.{guest.name}.registers", fromlist=["FILES"])
        self.zero = frozenset(
            alias
            for file, _, names, number in table.FILES
            if number is not None
            for alias in (f"{file}{number}", names[number])
        )
        general = table.FILES[0][0]
        names = ["pc"]
        self.groups: dict[str, list[str]] = {"general": ["pc"], "fp": [], "events": list(table.SPECIALS)}
        for file, _, aliases, _ in table.FILES:
            group = self.groups["general" if file == general else "fp"]
            for number, alias in enumerate(aliases):
                # A number that is none in the manual (aarch64's x31 and x32) goes by the register's name.
                name = f"{file}{number}" if f"{file}{number}" in self.widths else alias
                names.append(name)
                if name not in self.zero:
                    group.append(name)
        for name, parts in places.composed.items():
            self.widths[name] = sum(width for _, width in parts)
            names.append(name)
            # A part that is a register itself is in its own group already.
            if all(part.startswith("fp.") for part, _ in parts):
                self.groups["fp"].append(name)
        self.names = tuple(names)
