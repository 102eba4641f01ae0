"""Guest RAM as a memfd: one object that a virtual machine, its devices, dirty logs and snapshots share without copies.

Only what is touched takes memory of the host. Writes through write() are remembered as dirty, because no accelerator's
dirty log sees them. It refuses sizes that are not whole pages, and accesses outside.
"""

from __future__ import annotations

import errno
import os

from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HUGE_PAGE = 2 << 20
_HUGETLB = 4  # MFD_HUGETLB
_MADV_REMOVE = 9


class Ram:
    """`size` bytes of memory that starts as zeros.

    fd: the memfd, for others to map. address: of its mapping in this process. view: its bytes, without a copy; what
    is written through it is not remembered as dirty: say so with mark().

    huge: ask for huge pages; `huge` tells whether they were granted, and without them it is memory as usual. file: map
    what an open descriptor has instead, privately, lazily and without changing it: how a snapshot is restored.
    """

    def __init__(self, size: int, *, huge: bool = False, file: int = -1) -> None:
        host.check_host()
        if size <= 0 or size % host.PAGE_SIZE:
            raise PolyvmError("PVM-MEMORY-MAP", "Guest memory comes in whole pages.", size=size)
        self.size = size
        self.huge = False
        self.fd = -1
        self.address = 0
        self.listeners: list[Callable[[int, int], None]] = []
        """Called with (start, end) of what write(), mark() and discard() say was written, by who keeps copies of it."""
        self._dirty: bytearray | None = None
        if file >= 0:
            if os.fstat(file).st_size < size:
                raise PolyvmError("PVM-MEMORY-MAP", "The file is shorter than the memory.", size=size)
            at = host.mmap(
                0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_NORESERVE, file
            )
        else:
            at = self._map_huge(size) if huge else -errno.EINVAL
            if at < 0:
                at = self._map(size, 0)
        if at < 0:
            self._close_fd()
            raise PolyvmError(
                "PVM-RESOURCE", "The host has no memory for the guest.", size=size, errno=errno.errorcode[-at]
            )
        self.address = at
        self.view = host.view(at, size)

    def _map_huge(self, size: int) -> int:
        if size % HUGE_PAGE:
            return -errno.EINVAL
        at = self._map(size, _HUGETLB)
        self.huge = at > 0
        return at

    def _map(self, size: int, flags: int) -> int:
        try:
            self.fd = os.memfd_create("polyvm-ram", flags | os.MFD_CLOEXEC)
            os.ftruncate(self.fd, size)
        except OSError as error:
            self._close_fd()
            return -(error.errno or errno.ENOMEM)
        # Huge pages are taken now, so that a lack of them is known here rather than a SIGBUS later.
        share = host.MAP_SHARED | (0 if flags else host.MAP_NORESERVE)
        at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE, share, self.fd)
        if at < 0:
            self._close_fd()
        return at

    def read(self, offset: int, size: int) -> bytes:
        """A copy of some of it."""
        self._check(offset, size)
        return bytes(self.view[offset : offset + size])

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store bytes; their pages count as dirty."""
        self._check(offset, len(data))
        self.view[offset : offset + len(data)] = data
        self.mark(offset, len(data))

    def mark(self, offset: int, size: int) -> None:
        """Say that somebody beside the guest wrote here, such as a device of ours, or us through `view`."""
        dirty = self._dirty
        if dirty is not None and size:
            for page in range(offset // host.PAGE_SIZE, (offset + size - 1) // host.PAGE_SIZE + 1):
                dirty[page >> 3] |= 1 << (page & 7)
        for listener in self.listeners:
            listener(offset, offset + size)

    def track(self) -> None:
        """From now on remember what is written by write() and mark()."""
        if self._dirty is None:
            self._dirty = bytearray((self.size // host.PAGE_SIZE + 7) // 8)

    def take_dirty(self, offset: int, size: int) -> int:
        """Which pages of a part were written by us since the last call: a bit each, lowest first, as one int."""
        if self._dirty is None:
            return 0
        first, pages = offset // host.PAGE_SIZE, size // host.PAGE_SIZE
        everything = int.from_bytes(self._dirty, "little")
        found = everything >> first & (1 << pages) - 1
        self._dirty[:] = (everything ^ found << first).to_bytes(len(self._dirty), "little")
        return found

    def discard(self, offset: int, size: int) -> None:
        """Give a part's memory back to the host, whole pages: it reads as zeros. What a balloon does."""
        self._check(offset, size)
        if offset % host.PAGE_SIZE or size % host.PAGE_SIZE:
            raise PolyvmError(
                "PVM-MEMORY-MAP", "Only whole pages can be discarded.", offset=offset, size=size
            )
        if self.fd < 0:
            raise PolyvmError("PVM-UNSUPPORTED", "Memory that is a file's private copy cannot be discarded.")
        failed = host.madvise(self.address + offset, size, _MADV_REMOVE)
        if failed:
            raise PolyvmError(
                "PVM-RESOURCE", "The host does not take the memory back.", errno=errno.errorcode[-failed]
            )
        self.mark(offset, size)

    def resident(self) -> int:
        """How many bytes of it take memory of the host."""
        return sum(flag & 1 for flag in host.resident(self.address, self.size)) * host.PAGE_SIZE

    def close(self) -> None:
        """Give it back. No virtual machine may have it in place any more."""
        if self.address:
            self.view.release()
            host.munmap(self.address, self.size)
            self.address = 0
        self._close_fd()

    def _close_fd(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        # A view that somebody still has keeps its memory: better lost than unmapped under them.
        try:
            self.close()
        except (AttributeError, BufferError):
            pass

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise PolyvmError(
                "PVM-MEMORY-MAP", "There is no such part of this memory.", offset=offset, size=size
            )
