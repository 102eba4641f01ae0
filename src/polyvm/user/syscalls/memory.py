"""brk, the mmap family, and what tells the machine that code has changed: all on the guest's own mapping table."""

from __future__ import annotations

import os

from polyvm.memory.space import MapError
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EPERM, EBADF, EAGAIN, ENOMEM, EACCES, ENODEV, EINVAL, EOPNOTSUPP = 1, 9, 11, 12, 13, 19, 22, 95
MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_TYPE = 1, 2, 3, 0xF
MAP_FIXED, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 0x10, 0x20, 0x100000
MAP_GROWSDOWN, MAP_HUGETLB, MAP_SYNC = 0x100, 0x40000, 0x80000
PROT_KNOWN = 7
PROT_SEM, PROT_GROWS = 8, 0x03000000


def sys_brk(t: Thread, address: int, *_: int) -> int:
    """The heap's end, moved where possible."""
    return t.space.set_brk(address)


def sys_mmap(t: Thread, address: int, size: int, prot: int, flags: int, fd: int, offset: int) -> int:
    """mmap: fd and offset in the order of asm-generic, offset in bytes."""
    kind = flags & MAP_TYPE
    if kind not in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE) or offset & 4095 or not size:
        return -EINVAL
    if flags & MAP_HUGETLB:
        return -EINVAL if not flags & MAP_ANONYMOUS else -ENOMEM
    if kind == MAP_SHARED_VALIDATE and flags & MAP_SYNC:
        return -EOPNOTSUPP
    if size > t.limit:
        return -ENOMEM
    if prot & PROT_GROWS or prot & ~(PROT_KNOWN | PROT_SEM):
        return -EINVAL
    if (
        prot & 4 and t.process.personality & 0x0400000
    ):  # READ_IMPLIES_EXEC has no say on what is executable already
        prot |= 1
    if flags & MAP_GROWSDOWN:
        # The guest goes on after the fault that makes it grow, with the registers that it had.
        t.process.engine.set_precise(t.space)
    host_fd, name = -1, ""
    if not flags & MAP_ANONYMOUS:
        host_fd = fd & 0xFFFFFFFF
        if host_fd > 0x7FFFFFFF or host_fd in t.process.hidden:
            return -EBADF
        try:
            # The host's: what tells it, converts.
            name = os.fsdecode(os.readlink(b"/proc/self/fd/%d" % host_fd))
        except OSError:
            return -EBADF
    else:
        offset = 0
    try:
        return t.space.map(
            address & ~4095 if not flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) else address,
            size,
            prot & PROT_KNOWN,
            flags=flags & ~MAP_TYPE & ~MAP_ANONYMOUS,
            fd=host_fd,
            offset=offset,
            shared=kind != MAP_PRIVATE,
            name=name,
        )
    except MapError as error:
        return -error.errno


def sys_munmap(t: Thread, address: int, size: int, *_: int) -> int:
    """munmap."""
    try:
        t.space.unmap(address, size)
    except MapError as error:
        return -error.errno
    return 0


def sys_mprotect(t: Thread, address: int, size: int, prot: int, *_: int) -> int:
    """mprotect. PROT_GROWSDOWN and PROT_GROWSUP are refused."""
    if prot & PROT_GROWS or prot & ~(PROT_KNOWN | PROT_SEM):
        return -EINVAL
    if address & 4095:
        return -EINVAL
    if not size:
        return 0
    try:
        t.space.protect(address, size, prot & PROT_KNOWN)
    except MapError as error:
        return -error.errno
    return 0


def sys_mremap(
    t: Thread, address: int, size: int, new_size: int, flags: int, new_address: int, *_: int
) -> int:
    """mremap."""
    try:
        return t.space.remap(address, size, new_size, flags=flags, to=new_address)
    except MapError as error:
        return -error.errno


def sys_madvise(t: Thread, address: int, size: int, advice: int, *_: int) -> int:
    """madvise."""
    if address & 4095:
        return -EINVAL
    if not size:
        return 0
    try:
        t.space.madvise(address, size, advice & 0xFFFFFFFF)
    except MapError as error:
        return -error.errno
    return 0


def _mapped(t: Thread, address: int, size: int) -> int:
    """The host address of a range that is mapped without holes. Raises Refusal."""
    if address & 4095:
        raise Refusal(EINVAL)
    end = (address + size + 4095) & ~4095
    if end > t.limit or not t.space.regions.covered(address, end):
        raise Refusal(ENOMEM)
    return t.base + address


def sys_msync(t: Thread, address: int, size: int, flags: int, *_: int) -> int:
    """msync."""
    where = _mapped(t, address, size) if size else t.base + address
    return t.process.plain_syscall("msync", where, size, flags)


def sys_mlock(t: Thread, address: int, size: int, *_: int) -> int:
    """mlock."""
    start = address & ~4095
    return t.process.plain_syscall("mlock", _mapped(t, start, size + address - start), size + address - start)


def sys_mlock2(t: Thread, address: int, size: int, flags: int, *_: int) -> int:
    """mlock2."""
    start = address & ~4095
    where = _mapped(t, start, size + address - start)
    return t.process.plain_syscall("mlock2", where, size + address - start, flags)


def sys_munlock(t: Thread, address: int, size: int, *_: int) -> int:
    """munlock."""
    start = address & ~4095
    return t.process.plain_syscall(
        "munlock", _mapped(t, start, size + address - start), size + address - start
    )


def sys_mlockall(t: Thread, flags: int, *_: int) -> int:
    """mlockall would lock the whole reservation and all of Python: as for a process without the right."""
    return -EPERM if flags & ~7 == 0 and flags else -EINVAL


def sys_munlockall(t: Thread, *_: int) -> int:
    """munlockall."""
    return 0


def sys_mincore(t: Thread, address: int, size: int, vector: int, *_: int) -> int:
    """mincore."""
    if not size:
        return 0 if not address & 4095 else -EINVAL
    return t.process.plain_syscall("mincore", _mapped(t, address, size), size, t.pointer(vector) or t.bad)


def sys_riscv_flush_icache(t: Thread, start: int, end: int, flags: int, *_: int) -> int:
    """riscv_flush_icache: every thread sees the instructions that were stored."""
    if flags & ~1:
        return -EINVAL
    if start < end <= t.limit:
        t.space.drop_code(start, end)
    else:
        t.space.drop_code()
    return 0
