"""What the engine and the layers above must know of a guest before anything of its specification is needed.

Light on purpose: a program that runs from the cache never imports the specification itself. It refuses guests that
polyvm does not have, by name.
"""

from __future__ import annotations

from polyvm.engine import layout
from polyvm.engine.cpu import Places
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from polyvm.isa.spec import Isa

GUESTS = ("riscv64", "aarch64")
PLANNED = ("x86_64",)


class Guest:
    """A guest by name: its ABI, its exceptions, where its registers are, its monitor, what its processor may have; the
    specification on demand.

    vlen: bits of its vector registers, 0 where it has none.
    """

    __slots__ = ("_abi", "_isa", "causes", "monitor", "name", "options", "places", "vlen")

    def __init__(self, name: str, vlen: int = 0) -> None:
        name, _, wide = name.partition(layout.VECTORS)
        if name not in GUESTS:
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                f"There is no guest {name!r}{' yet' if name in PLANNED else ''}.",
                hint=f"Guests that exist: {', '.join(GUESTS)}.",
                guest=name,
            )
        self.name = name
        self.vlen = vlen or int(wide or 0)
        registers = _module(name, "registers")
        names, files = registers.places(layout.REGISTERS)
        if self.vlen:
            names, files = registers.with_vectors(names, files, layout.REGISTERS, self.vlen)
        self.causes: tuple[str, ...] = registers.CAUSES
        self.monitor: str = registers.MONITOR
        self.options: tuple[str, ...] = registers.OPTIONS
        self.places = Places(names, files, registers.COMPOSED)
        self._abi: ModuleType | None = None
        self._isa: Isa | None = None

    @property
    def variant(self) -> str:
        """The name by which others make the same Guest, its vectors included."""
        return f"{self.name}{layout.VECTORS}{self.vlen}" if self.vlen else self.name

    @property
    def abi(self) -> ModuleType:
        """The guest's Linux ABI."""
        if self._abi is None:
            self._abi = _module(self.name, "vector", "abi").load(self.vlen) if self.vlen else abi(self.name)
        return self._abi

    @property
    def isa(self) -> Isa:
        """The complete specification; importing it takes tens of milliseconds."""
        if self._isa is None:
            load = _module(self.name, "vector").load if self.vlen else _module(self.name).load
            self._isa = load(*((self.vlen,) if self.vlen else ()))
        return self._isa

    def isa_of(self, kind: str) -> Isa:
        """The specification for the processor that units of a kind are for."""
        letters = layout.option_letters(self.options)
        return self.isa.having({name: int(letter in kind) for name, letter in letters.items()})


def abi(name: str) -> ModuleType:
    """The Linux ABI of a guest, by its name."""
    return _module(name, "abi")


def _module(*path: str) -> ModuleType:
    name = ".".join(("polyvm.isa", *path))
    __import__(name)
    import sys

    return sys.modules[name]
