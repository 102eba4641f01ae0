"""What a guest may ask of the host, decided per declaration before the call is built.

Without a declaration nothing passes, and declarations carry their own refusals; this adds what depends on how the
program was started. It refuses to look at arguments: those are the calls' own business.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.syscalls.table import Declaration

EPERM = 1

# Below --root only files that were handed over exist, so calls that reach others by some other name are refused.
OUTSIDE_ROOT = frozenset(
    ("mq_open", "mq_unlink", "name_to_handle_at", "syslog", "settimeofday", "clock_settime")
)


class Policy:
    """The policy of one process. `confined`: started with --root."""

    __slots__ = ("confined",)

    def __init__(self, *, confined: bool = False) -> None:
        self.confined = confined

    def denies(self, found: Declaration) -> int:
        """The errno with which a call is refused, or 0."""
        return EPERM if self.confined and found.name in OUTSIDE_ROOT else 0
