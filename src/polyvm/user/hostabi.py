"""The host side of Linux: its call numbers, and its structures where they differ from asm-generic.

Inside `user` every structure and flag has its asm-generic form. It refuses hosts that are neither x86-64 nor arm64.
"""

from __future__ import annotations

import os
from _struct import Struct

from polyvm.errors import PolyvmError
from polyvm.user import openflags

MACHINE = os.uname().machine
_X86 = MACHINE == "x86_64"

STAT_BYTES = 144 if _X86 else 128
_STAT_GENERIC = Struct("<QQIIIIQQqiiqqqqqqqII")
_STAT_X86 = Struct("<QQQIIIIQqqqqqqqqq24x")
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
    (dev, ino, nlink, mode, uid, gid, _, rdev, size, blksize, blocks, *times) = _STAT_X86.unpack(raw)
    return _STAT_GENERIC.pack(
        dev, ino, mode, nlink & 0xFFFFFFFF, uid, gid, rdev, 0, size, blksize, 0, blocks, *times, 0, 0
    )


_OPEN = openflags.GENERIC if _X86 else (0x4000, 0x8000, 0x10000, 0x20000)  # arch/arm64/.../fcntl.h


def open_flags_to_host(flags: int) -> int:
    """Flags of open in asm-generic's form, as the host wants them."""
    return openflags.swap(flags, openflags.GENERIC, _OPEN)


def open_flags_from_host(flags: int) -> int:
    """The host's flags of open in asm-generic's form."""
    return openflags.swap(flags, _OPEN, openflags.GENERIC)
