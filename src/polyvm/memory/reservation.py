"""The host address space that a guest lives in: one range without access, guards, and the code arrays.

Everything the guest maps goes inside by MAP_FIXED, and what it unmaps becomes inaccessible again, so that
no other mapping of the host can ever land where the guest can reach. Refuses hosts whose pages are larger
than the guest's.
"""

from __future__ import annotations

import sys

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.codemap import SLOT_MARGIN, SLOT_SCALE, XMAP_MARGIN

GUARD_BELOW = 1 << 32  # base + a negative 32-bit offset faults
GUARD_ABOVE = 1 << 31  # an address below the limit + a 31-bit offset faults
MIN_BITS = 30

_PRIVATE = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE


class Reservation:
    """Host ranges for `bits` bits of guest addresses, or as many fewer as the host can give."""

    __slots__ = ("_ranges", "base", "bits", "limit", "slots", "xmap")

    def __init__(self, bits: int, page_size: int) -> None:
        self._ranges: list[tuple[int, int]] = []
        host.check_host()
        if page_size < host.PAGE_SIZE:
            raise PolyvmError(
                "PVM-HOST-UNSUPPORTED",
                f"The host's pages of {host.PAGE_SIZE} bytes are larger than the guest's of {page_size}.",
                hint="Use a host kernel with 4 KiB pages.",
                host_page_size=host.PAGE_SIZE,
                guest_page_size=page_size,
            )
        for given in range(bits, min(bits, MIN_BITS) - 1, -1):
            number = self._reserve(given, page_size)
            if number == 0:
                return
            self.close()
        raise _no_room(bits, -number)

    def _reserve(self, bits: int, page_size: int) -> int:
        """Take the three ranges; 0 or a negative errno."""
        self.bits = bits
        self.limit = limit = 1 << bits
        guest = self._take(GUARD_BELOW + limit + GUARD_ABOVE, host.PROT_NONE)
        if guest < 0:
            return guest
        slots = self._take(limit * SLOT_SCALE + 2 * SLOT_MARGIN, host.PROT_READ)
        if slots < 0:
            return slots
        xmap = self._take(limit // page_size + 2 * XMAP_MARGIN, host.PROT_READ)
        if xmap < 0:
            return xmap
        self.base = guest + GUARD_BELOW
        self.slots = slots + SLOT_MARGIN
        self.xmap = xmap + XMAP_MARGIN
        for start, size in ((self.slots, limit * SLOT_SCALE), (self.xmap, limit // page_size)):
            number = host.mprotect(start, size, host.PROT_READ | host.PROT_WRITE)
            if number:
                return number
            # A few slots must not cost 2 MiB. A kernel without huge pages answers EINVAL, which is as good.
            host.madvise(start, size, host.MADV_NOHUGEPAGE)
        return 0

    def _take(self, size: int, prot: int) -> int:
        address = host.mmap(0, size, prot, _PRIVATE)
        if address >= 0:
            self._ranges.append((address, size))
        return address

    def vacate(self, start: int, size: int) -> int:
        """Make a guest range inaccessible and give its memory back; 0 or a negative errno."""
        result = host.mmap(self.base + start, size, host.PROT_NONE, _PRIVATE | host.MAP_FIXED)
        return min(result, 0)

    def refill(self, start: int, size: int) -> None:
        """Take a guest range back that the host had unmapped for a moment; nobody may have moved in."""
        result = host.mmap(self.base + start, size, host.PROT_NONE, _PRIVATE | host.MAP_FIXED_NOREPLACE)
        if result != self.base + start:
            raise PolyvmError(
                "PVM-RESOURCE",
                "The host placed memory of its own where the guest's addresses are reserved.",
                start=start,
                size=size,
            )

    def close(self) -> None:
        """Give everything back to the host."""
        while self._ranges:
            host.munmap(*self._ranges.pop())

    def __del__(self) -> None:
        # Not when the interpreter ends: threads may still be in guest code then, and the room is going anyway.
        if not sys.is_finalizing():
            self.close()


def _no_room(bits: int, number: int) -> PolyvmError:
    import errno
    import resource

    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    hint = "Let the kernel overcommit address space (vm.overcommit_memory 0 or 1)."
    if soft != resource.RLIM_INFINITY:
        hint = "Raise the limit on address space (ulimit -v unlimited)."
    return PolyvmError(
        "PVM-RESOURCE",
        f"The host gives no room for a guest's address space of {bits} bits, nor for one of {MIN_BITS}.",
        hint=hint,
        errno=errno.errorcode.get(number, number),
        rlimit_as=None if soft == resource.RLIM_INFINITY else soft,
    )
