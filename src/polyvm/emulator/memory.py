"""An emulator's memory: mapping, permissions, bytes. It refuses changes from other threads while guest code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from weakref import ref

    from polyvm.emulator.processor import Emulator
    from polyvm.memory.regions import Region
    from polyvm.memory.space import AddressSpace

PERMISSIONS = {"r": 1, "w": 2, "x": 4, "-": 0}


class Memory:
    """A guest's memory. Addresses are the guest's; permissions are texts such as "rw", "r-x", "rwx".

    read and write work on everything that is mapped, like a debugger: permissions are for the guest's code. What is
    written over code takes effect at once.
    """

    __slots__ = ("_owner", "_space")

    def __init__(self, space: AddressSpace, owner: ref[Emulator]) -> None:
        self._space = space
        self._owner = owner

    def map(self, address: int, size: int, permissions: str = "rw") -> None:
        """Map `size` bytes of zeros, in whole pages, where nothing is mapped. Raises PVM-MEMORY-MAP."""
        self._check_thread()
        self._space.map(address, size, _permissions(permissions))

    def unmap(self, address: int, size: int) -> None:
        """Unmap whole pages. Raises PVM-MEMORY-MAP."""
        self._check_thread()
        self._space.unmap(address, size)

    def protect(self, address: int, size: int, permissions: str) -> None:
        """Change what the guest's code may do with whole pages. Raises PVM-MEMORY-MAP."""
        self._check_thread()
        self._space.protect(address, size, _permissions(permissions))

    def read(self, address: int, size: int) -> bytes:
        """A copy of memory. Raises GuestFault (PVM-MEMORY-FAULT) unless all of it is mapped."""
        self._alive()
        return self._space.peek(address, size)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes. Raises GuestFault (PVM-MEMORY-FAULT) unless all of it is mapped."""
        self._check_thread()
        self._space.poke(address, bytes(data))

    def read_int(self, address: int, size: int, *, signed: bool = False) -> int:
        """A little-endian number of `size` bytes."""
        return int.from_bytes(self.read(address, size), "little", signed=signed)

    def write_int(self, address: int, value: int, size: int) -> None:
        """Store a little-endian number of `size` bytes; negative ones as two's complement."""
        self.write(address, value.to_bytes(size, "little", signed=value < 0))

    def regions(self) -> list[Region]:
        """What is mapped, in order: `start`, `end`, `permissions` of each."""
        self._alive()
        return list(self._space)

    def __repr__(self) -> str:
        return f"Memory({', '.join(f'{r.start:#x}-{r.end:#x} {r.permissions[:3]}' for r in self._space)})"

    def _alive(self) -> Emulator:
        """The emulator, unless it is closed or forgotten."""
        owner = self._owner()
        if owner is None or not owner._close.alive:
            raise PolyvmError("PVM-USAGE", "The emulator of this memory is closed.")
        return owner

    def _check_thread(self) -> None:
        self._alive()._check_thread()


def _permissions(text: str) -> int:
    bits = 0
    for letter in text:
        if letter not in PERMISSIONS:
            raise PolyvmError(
                "PVM-USAGE",
                f"{text!r} are no permissions.",
                hint='Permissions are texts such as "r", "rw" or "r-x".',
            )
        bits |= PERMISSIONS[letter]
    return bits
