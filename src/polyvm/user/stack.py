"""The first stack of a program: its arguments, environment and auxiliary vector, as a C library expects them.

Laid out as Linux's fs/exec.c and fs/binfmt_elf.c do it. It refuses more strings than Linux would take.
"""

from __future__ import annotations

import os
from _struct import pack

from polyvm.errors import PolyvmError
from polyvm.user.elf import ADDRESSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from polyvm.memory.space import AddressSpace
    from polyvm.user.loader import Abi, LoadedImage

# Entries of the auxiliary vector (elf.h).
AT_NULL, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY = 0, 3, 4, 5, 6, 7, 8, 9
AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK, AT_SECURE = 11, 12, 13, 14, 15, 16, 17, 23
AT_RANDOM, AT_HWCAP2, AT_EXECFN, AT_SYSINFO_EHDR, AT_MINSIGSTKSZ = 25, 26, 31, 33, 51

STRING_MAX = 128 << 10  # MAX_ARG_STRLEN
STRINGS_MAX = 6 << 20  # three quarters of Linux's default stack


def build_stack(
    space: AddressSpace,
    abi: Abi,
    image: LoadedImage,
    argv: Sequence[bytes],
    env: Sequence[bytes],
    execfn: bytes,
    random: bytes,
    secure: bool,
    options: Container[str],
) -> None:
    """Strings at the top, as in fs/exec.c and fs/binfmt_elf.c; below them auxv, envp, argv, argc."""
    strings = [bytes(text) + b"\0" for text in (*argv, *env, execfn)]
    total = sum(map(len, strings))
    words = 2 * 24 + len(argv) + len(env) + 3
    room = image.stack_top - image.stack_bottom
    if max(map(len, strings)) > STRING_MAX or total + 8 * words > min(room // 4 * 3, STRINGS_MAX):
        raise PolyvmError(
            "PVM-RESOURCE",
            "The program's arguments and environment are too long.",
            hint="Hand them over in a file.",
            errno="E2BIG",
            bytes=total,
        )
    at = image.arg_start = image.stack_top - 8 - total
    places = []
    for text in strings:
        places.append(at)
        at += len(text)
    image.arg_end = image.env_start = places[len(argv)]
    image.env_end = places[-1]
    platform = abi.PLATFORM.encode() + b"\0"
    platform_at = image.arg_start - len(platform)
    random_at = (platform_at - 16) // 16 * 16
    image.auxv = _auxv(space, abi, image, places[-1], platform_at, random_at, secure, options)
    vector = [
        len(argv),
        *places[: len(argv)],
        0,
        *places[len(argv) : -1],
        0,
        *(word for pair in image.auxv for word in pair),
    ]
    pointer = (random_at - 8 * len(vector)) // abi.STACK_ALIGN * abi.STACK_ALIGN
    image.stack_pointer = pointer
    space.write(pointer, pack(f"<{len(vector)}Q", *vector))
    space.write(random_at, random)
    space.write(platform_at, platform + b"".join(strings))


def _auxv(
    space: AddressSpace,
    abi: Abi,
    image: LoadedImage,
    execfn: int,
    platform: int,
    random: int,
    secure: bool,
    options: Container[str],
) -> list[tuple[int, int]]:
    """The auxiliary vector, in Linux's order."""
    hwcap2 = getattr(abi, "hwcap2", None)  # not every architecture has one
    return [
        *([(AT_SYSINFO_EHDR, image.vdso)] if image.vdso else []),
        (AT_MINSIGSTKSZ, abi.FRAME_BYTES),
        (AT_HWCAP, abi.hwcap(options)),
        (AT_PAGESZ, space.page_size),
        (AT_CLKTCK, 100),
        (AT_PHDR, image.phdr),
        (AT_PHENT, image.phent),
        (AT_PHNUM, image.phnum),
        (AT_BASE, image.interp_base % ADDRESSES),
        (AT_FLAGS, 0),
        (AT_ENTRY, image.entry),
        (AT_UID, os.getuid()),
        (AT_EUID, os.geteuid()),
        (AT_GID, os.getgid()),
        (AT_EGID, os.getegid()),
        (AT_SECURE, int(secure)),
        (AT_RANDOM, random),
        *([(AT_HWCAP2, hwcap2(options))] if hwcap2 is not None else []),
        (AT_EXECFN, execfn),
        (AT_PLATFORM, platform),
        (AT_NULL, 0),
    ]
