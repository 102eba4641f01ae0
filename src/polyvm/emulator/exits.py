"""How runs of an emulator end, and the small things that it hands out: hooks in place and saved registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

SYSCALL = "syscall"


class Exit:
    """Why a run ended although nothing went wrong: `reason` is "until", "count", "timeout" or "stopped"; `pc`."""

    __slots__ = ("pc", "reason")

    def __init__(self, reason: str, pc: int) -> None:
        self.reason = reason
        self.pc = pc

    def __repr__(self) -> str:
        return f"Exit({self.reason!r}, pc={self.pc:#x})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exit) and (self.reason, self.pc) == (other.reason, other.pc)

    def __hash__(self) -> int:
        return hash((self.reason, self.pc))


class Limits:
    """What ends a run: an address, so many more instructions, a time; and where hooks were called last.

    announced: the instruction that code hooks were told of and that was not executed since, -1 for none.
    """

    __slots__ = ("announced", "deadline", "left", "until")

    def __init__(self, until: int | None, count: int | None, deadline: float | None) -> None:
        self.until = until
        self.left = count
        self.deadline = deadline
        self.announced = -1

    def ran(self, count: int) -> None:
        """So many instructions were executed."""
        if self.left is not None:
            self.left -= min(count, self.left)


class GuestTrap(PolyvmError):
    """An exception of the guest's architecture that nobody handles; the registers are as before the instruction.

    cause: as the specification names it ("illegal", "breakpoint", "load_misaligned"...), or "syscall". value: what the
    exception says beside it, such as an address or the instruction word.
    """

    def __init__(self, cause: str, pc: int, value: int, *, guest: str) -> None:
        what = "a system call" if cause == SYSCALL else f"an exception ({cause.replace('_', ' ')})"
        hints = {
            SYSCALL: "Hand a handler in with hook_syscall(), or use polyvm.run for a Linux program.",
            "illegal": f"polyvm explain says what {guest} instructions there are.",
        }
        super().__init__(
            "PVM-GUEST-TRAP",
            f"The guest's code raised {what} at {pc:#x}, which nobody handles.",
            hint=hints.get(cause, "hook_trap() hands a handler in."),
            guest=guest,
            cause=cause,
            pc=pc,
            value=value,
        )

    @property
    def cause(self) -> str:
        """The exception's name."""
        return str(self.context["cause"])

    @property
    def pc(self) -> int:
        """The address of the instruction that raised it."""
        return int(self.context["pc"])  # type: ignore[call-overload, no-any-return]  # set above

    @property
    def value(self) -> int:
        """What the exception says beside its cause."""
        return int(self.context["value"])  # type: ignore[call-overload, no-any-return]  # set above


class Context:
    """Registers as `save()` found them. Opaque; for emulators of the same guest."""

    __slots__ = ("data", "guest")

    def __init__(self, guest: str, data: bytes) -> None:
        self.guest = guest
        self.data = data

    def __repr__(self) -> str:
        return f"<Context of {self.guest}>"


class Hook:
    """A hook that is in place. It is taken out by remove(), or at the end of a `with` block."""

    __slots__ = ("_remove",)

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take the hook out; more than once is no error."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
