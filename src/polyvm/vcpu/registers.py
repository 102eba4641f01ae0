"""A vCPU's registers as a mapping, by name, over whatever reads and writes them. It refuses unknown names.

What registers there are is the guest's table, `isa/<guest>/registers.py`, which is handed in; so is the accelerator's
way to them, in batches, since a hypervisor hands out whole structures.
"""

from __future__ import annotations

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Protocol

    class Access(Protocol):
        """How an accelerator reads and writes registers: by names, which are checked already."""

        @property
        def widths(self) -> Mapping[str, int]:
            """Every name, aliases too -> bits."""

        @property
        def names(self) -> tuple[str, ...]:
            """Each register once."""

        def read(self, names: Iterable[str]) -> dict[str, int]:
            """Values by name."""

        def write(self, values: Mapping[str, int]) -> None:
            """Set them."""


class Registers:
    """`vcpu.registers["rip"]`, and whole sets at once: `read("rax", "rbx")`, `update(rip=0x1000, rflags=2)`.

    Values are unsigned; negative ones are stored as two's complement. Only while the vCPU does not run. After an exit
    that reads something they are those before the instruction until it is answered, and setting one takes it for
    answered: answer first.
    """

    __slots__ = ("_access",)

    def __init__(self, access: Access) -> None:
        self._access = access

    def __getitem__(self, name: str) -> int:
        self._width(name)
        return self._access.read((name,))[name]

    def __setitem__(self, name: str, value: int) -> None:
        self.update({name: value})

    def read(self, *names: str) -> dict[str, int]:
        """The values of some registers, of all where none is named."""
        for name in names:
            self._width(name)
        return self._access.read(names or self._access.names)

    def update(self, values: Mapping[str, int] | None = None, **named: int) -> None:
        """Set registers, those of one kind in one go. Raises PVM-REGISTER-UNKNOWN, PVM-USAGE."""
        wanted = {}
        for name, value in {**(values or {}), **named}.items():
            bits = self._width(name)
            if not -1 << (bits - 1) <= value < 1 << bits:
                raise PolyvmError(
                    "PVM-USAGE", f"{value:#x} does not fit the {bits} bits of {name}.", register=name
                )
            wanted[name] = value & (1 << bits) - 1
        self._access.write(wanted)

    def __contains__(self, name: object) -> bool:
        return name in self._access.widths

    def __iter__(self) -> Iterator[str]:
        return iter(self._access.names)

    def __len__(self) -> int:
        return len(self._access.names)

    def __repr__(self) -> str:
        return f"Registers({', '.join(f'{name}={value:#x}' for name, value in self.read().items() if value)})"

    def _width(self, name: str) -> int:
        try:
            return self._access.widths[name]
        except KeyError:
            from difflib import get_close_matches

            meant = get_close_matches(str(name), self._access.widths, 1)
            hint = f"Did you mean {meant[0]}?" if meant else "list(vcpu.registers) has their names."
            raise PolyvmError(
                "PVM-REGISTER-UNKNOWN", f"The guest has no register {name!r}.", hint=hint, register=name
            ) from None
