"""The system calls that native code makes itself: those that the host does as they are, but for pointers.

What each is, is Dispatch's business; this is the table that native code reads (layout.CALLS), and what it counted.
"""

from __future__ import annotations

from polyvm.engine.layout import CALL_ROW, CALL_ROWS, CALLS_HEAD, CR, CS
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from polyvm.engine.cpu import Places
    from polyvm.user.syscalls.table import Declaration

ERESTARTSYS = 512
NO_FLOOR = 0xFFFF_FFFF


class Natively:
    """The table of one process, for all of its threads."""

    __slots__ = ("bytes", "names", "table")

    def __init__(self, abi: Any, places: Places) -> None:
        size = CALLS_HEAD + CALL_ROW * CALL_ROWS
        self.table = host.mmap(
            0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS
        )
        self.bytes = host.view(self.table, size)
        self.names: dict[int, str] = {}
        number, arguments, result = abi.SYSCALL
        for name, register in (("number", number), ("result", result)):
            self._put(CS[name], places.names[register][0])
        for index, argument in enumerate(arguments):
            self._put(CS["arguments"] + 4 * index, places.names[argument][0])
        self._put(CS["bytes"], abi.SYSCALL_BYTES)
        self._put(CS["floor"], NO_FLOOR)

    def _put(self, at: int, value: int) -> None:
        self.bytes[at : at + 4] = value.to_bytes(4, "little")

    def hidden(self, descriptors: Iterable[int]) -> None:
        """These descriptors are ours: calls with them, or with higher ones, are for Python to refuse."""
        self._put(CS["floor"], min(descriptors, default=NO_FLOOR))

    def add(
        self, number: int, host_number: int, found: Declaration, pointers: Iterable[int] | None = None
    ) -> None:
        """Have native code make a call from now on, unless it may have to go on with the time that is left.

        pointers: the positions of guest pointers, where names of files are to be among them.
        """
        if number >= CALL_ROWS or found.restart not in (0, ERESTARTSYS):
            return
        pointers = found.pointers if pointers is None else pointers
        at = CALLS_HEAD + CALL_ROW * number
        self.names[number] = found.name
        self._put(at + CR["host"], host_number)
        self.bytes[at + CR["pointers"]] = sum(1 << index for index in pointers)
        self.bytes[at + CR["descriptors"]] = sum(1 << index for index in found.descriptors)
        self.bytes[at + CR["known"]] = 1  # the last: other threads look

    def counts(self) -> Iterator[tuple[str, int, int]]:
        """(name, how often it was made, how often it failed) of each call."""
        for number, name in self.names.items():
            at = CALLS_HEAD + CALL_ROW * number
            count, errors = (
                int.from_bytes(self.bytes[at + CR[field] : at + CR[field] + 8], "little")
                for field in ("count", "errors")
            )
            if count:
                yield name, count, errors
