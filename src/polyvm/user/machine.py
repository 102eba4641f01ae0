"""The machine that a program is for, as a process has it: the guest's engine and ABI, and its system calls by number.

A process that calls execve may become a program for another one: then it has several, one of them in use. It refuses
to know what any of them is.
"""

from __future__ import annotations

from polyvm.isa import MACHINES
from polyvm.user.dispatch import Dispatch
from polyvm.user.syscalls.numbers_generic import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from polyvm.user.natively import Natively
    from polyvm.user.process import Process


class Machine:
    """One guest's side of a process."""

    __slots__ = ("abi", "dispatch", "engine", "natively")

    def __init__(self, process: Process, engine: Any) -> None:
        self.engine = engine  # engine.executor.Engine: the guest's abi and causes, and its threads
        self.abi: Any = engine.abi
        engine.hide, engine.apart = process.hide, process.set_apart
        self.natively: Natively | None = None
        if engine.natively and process.strace is None:
            from polyvm.user.natively import Natively

            self.natively = Natively(self.abi, engine.guest.places)
            self.natively.hidden(process.hidden)
        self.dispatch = Dispatch(process, {**NAMES, **self.abi.SYSCALLS})


def guest_of(head: bytes) -> str | None:
    """The guest that a file's first bytes say it is a program for; None for others."""
    if head[:4] != b"\x7fELF" or head[4:5] != b"\2":
        return None
    return MACHINES.get(int.from_bytes(head[18:20], "little"))
