"""The host side of Linux: its call numbers, and its structures where they differ from asm-generic.

Inside `user` every structure and flag has its asm-generic form. It refuses hosts that are neither x86-64 nor arm64.
"""

from __future__ import annotations

import os
from _struct import Struct

from polyvm.errors import PolyvmError
from polyvm.user import openflags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MACHINE = os.uname().machine
_X86 = MACHINE == "x86_64"

# struct stat: (name, struct's letter) of each field, "" for what is not used (asm-generic/stat.h, x86's asm/stat.h).
_TIMES = tuple((f"{kind}{part}", "q") for kind in ("atime", "mtime", "ctime") for part in ("", "_nsec"))
STAT_GENERIC = (
    ("dev", "Q"), ("ino", "Q"), ("mode", "I"), ("nlink", "I"), ("uid", "I"), ("gid", "I"), ("rdev", "Q"), ("", "Q"),
    ("size", "q"), ("blksize", "i"), ("", "i"), ("blocks", "q"), *_TIMES, ("", "Q"),
)  # fmt: skip
STAT_X86 = (
    ("dev", "Q"), ("ino", "Q"), ("nlink", "I"), ("", "I"), ("mode", "I"), ("uid", "I"), ("gid", "I"), ("", "I"),
    ("rdev", "Q"), ("size", "q"), ("blksize", "i"), ("", "i"), ("blocks", "q"), *_TIMES, ("", "QQQ"),
)  # fmt: skip
STAT_HOST = STAT_X86 if _X86 else STAT_GENERIC


def fields(table: Iterable[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """(offset, bytes) of each named field of a structure, and of "" all of it."""
    found, at = {}, 0
    for name, letters in table:
        size = Struct("<" + letters).size
        if name:
            found[name] = at, size
        at += size
    return found | {"": (0, at)}


STAT_BYTES = fields(STAT_HOST)[""][1]
_STAT_GENERIC, _STAT_X86 = (
    Struct("<" + "".join(kind for _, kind in table)) for table in (STAT_GENERIC, STAT_X86)
)
# Where in the x86 one each field of the generic one is; behind all, where a 0 is appended, what is not used.
_X86_NAMES = [name for name, letters in STAT_X86 for _ in letters]
_STAT_ORDER = [_X86_NAMES.index(name) if name else len(_X86_NAMES) for name, _ in STAT_GENERIC]
EPOLL_EVENT = Struct("<IQ" if _X86 else "<I4xQ")  # packed on x86 alone
EPOLL_EVENT_GENERIC = Struct("<I4xQ")

_numbers: dict[str, int] = {}


def numbers() -> dict[str, int]:
    """The host's system call numbers by name."""
    if not _numbers:
        if _X86:
            from polyvm.user.syscalls.numbers_x86_64 import NUMBERS

            _numbers.update(NUMBERS)
        elif MACHINE == "aarch64":
            from polyvm.user.syscalls.numbers_generic import NAMES

            _numbers.update({name: number for number, name in NAMES.items()}, renameat=38)
        else:
            raise PolyvmError(
                "PVM-HOST-UNSUPPORTED",
                f"Linux programs need an x86-64 or arm64 host, and this one is {MACHINE}.",
            )
    return _numbers


def stat_to_generic(raw: bytes) -> bytes:
    """The host's struct stat in asm-generic's form."""
    if not _X86:
        return raw
    values = (*_STAT_X86.unpack(raw), 0)
    return _STAT_GENERIC.pack(*[values[place] for place in _STAT_ORDER])


OPEN_FLAGS = openflags.GENERIC if _X86 else (0x4000, 0x8000, 0x10000, 0x20000)  # arch/arm64/.../fcntl.h


def open_flags_to_host(flags: int) -> int:
    """Flags of open in asm-generic's form, as the host wants them."""
    return openflags.swap(flags, openflags.GENERIC, OPEN_FLAGS)


def open_flags_from_host(flags: int) -> int:
    """The host's flags of open in asm-generic's form."""
    return openflags.swap(flags, OPEN_FLAGS, openflags.GENERIC)
