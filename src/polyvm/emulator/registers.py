"""An emulator's registers as a mapping: by number and ABI name, completed in every shell. It refuses unknown names."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

from polyvm.engine.named import Named
from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from polyvm.engine.executor import Engine, GuestCpu


class Registers(MutableMapping[str, int]):
    """A guest's registers by name: number names and ABI names ("x10", "a0"), "pc", and those such as "fcsr".

    Values are unsigned; negative ones are stored as two's complement. Names are completed, as items in IPython and
    as attributes everywhere: `cpu.registers.a0 += 1`. Iterating gives each register once, by its number name.
    """

    _cpu: GuestCpu
    _bits: dict[str, int]
    _zero: frozenset[str]
    _names: tuple[str, ...]

    def __init__(self, cpu: GuestCpu, engine: Engine) -> None:
        named = Named(engine.guest)
        object.__setattr__(self, "_cpu", cpu)
        object.__setattr__(self, "_bits", named.widths)
        object.__setattr__(self, "_zero", named.zero)
        object.__setattr__(self, "_names", named.names)

    def __getitem__(self, name: str) -> int:
        if name not in self._bits:
            raise self._unknown(name)
        return self._alive().read(name)

    def __setitem__(self, name: str, value: int) -> None:
        bits = self._bits.get(name)
        if bits is None:
            raise self._unknown(name)
        if not -1 << (bits - 1) <= value < 1 << bits:
            raise PolyvmError(
                "PVM-USAGE", f"{value:#x} does not fit the {bits} bits of {name}.", register=name
            )
        # What is hardwired to zero takes any value and stays zero, as in the processor.
        if name not in self._zero:
            self._alive().write(name, value & (1 << bits) - 1)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a processor's registers cannot be removed")

    def __contains__(self, name: object) -> bool:
        return name in self._bits

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getattr__(self, name: str) -> int:
        if name.startswith("_") or name not in self._bits:
            raise AttributeError(f"no register {name!r}")
        return self._alive().read(name)

    def __setattr__(self, name: str, value: int) -> None:
        self[name] = value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._bits})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._bits)

    def __repr__(self) -> str:
        return "Registers(" + ", ".join(f"{name}={value:#x}" for name, value in self.items() if value) + ")"

    def _alive(self) -> GuestCpu:
        """The processor, unless its emulator is closed."""
        if not self._cpu.st:
            raise PolyvmError("PVM-USAGE", "The emulator of these registers is closed.")
        return self._cpu

    def _unknown(self, name: object) -> PolyvmError:
        from difflib import get_close_matches

        meant = get_close_matches(str(name), self._bits, 1)
        hint = f"Did you mean {meant[0]}?" if meant else "list(cpu.registers) has their names."
        return PolyvmError(
            "PVM-REGISTER-UNKNOWN", f"The guest has no register {name!r}.", hint=hint, register=name
        )
