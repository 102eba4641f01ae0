"""The flags of open that architectures give different bits: O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE.

Inside `user` they have asm-generic's; a guest's abi says its own. It refuses to know what any of them means.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GENERIC = (0x10000, 0x20000, 0x4000, 0x8000)  # include/uapi/asm-generic/fcntl.h


def swap(flags: int, source: tuple[int, ...], target: tuple[int, ...]) -> int:
    """Flags whose four are those of one architecture, with those of another."""
    if source == target:
        return flags
    result = flags & ~(source[0] | source[1] | source[2] | source[3])
    for ours, theirs in zip(source, target, strict=True):
        if flags & ours:
            result |= theirs
    return result


def from_guest(abi: Any, flags: int) -> int:
    """A guest's flags of open in asm-generic's form."""
    return swap(flags, abi.OPEN_FLAGS, GENERIC)


def to_guest(abi: Any, flags: int) -> int:
    """Flags of open in asm-generic's form, as a guest knows them."""
    return swap(flags, GENERIC, abi.OPEN_FLAGS)
