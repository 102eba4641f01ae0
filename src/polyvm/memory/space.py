"""A guest's address space: its mapping table, and the host memory that carries it, always in step.

Semantics are Linux's (mmap, munmap, mprotect, mremap, madvise, brk), for private and shared memory and
files. Guest memory is never executable for the host. It refuses what it cannot do with the errno that Linux
would give, and it stops nobody: whoever has other threads in guest code hands in `pause`, which is entered
before rights are taken away.
"""

from __future__ import annotations

import _thread
import errno
import os

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.access import GuestBytes, GuestFault
from polyvm.memory.codemap import CodeMap
from polyvm.memory.regions import (
    DONTFORK,
    EVER_WRITABLE,
    EXEC,
    GROWSDOWN,
    READ,
    SHARED,
    WIPEONFORK,
    WRITE,
    Backing,
    Region,
)
from polyvm.memory.reservation import Reservation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["AddressSpace", "GuestFault", "MapError", "Region", "READ", "WRITE", "EXEC"]

# Flags of map(), with Linux's numbers on every guest we know.
MAP_FIXED, MAP_FIXED_NOREPLACE = 0x10, 0x100000
MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE = 0x100, 0x2000, 0x4000, 0x8000
TO_HOST = MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE

# Flags of remap().
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4

LOWEST = 0x10000  # the lowest address that is chosen for a mapping; Linux's default mmap_min_addr
STACK_GAP = 256 * 4096  # what stays free below a mapping that grows down

# Guest protection -> host protection: writable is readable, and nothing is executable, since only decoded code runs.
HOST_PROT = (0, 1, 3, 3, 0, 1, 3, 3)


class MapError(PolyvmError):
    """Linux refuses to map, unmap, protect or move so; `errno` is what it would answer."""

    def __init__(self, number: int, message: str, **context: object) -> None:
        super().__init__("PVM-MEMORY-MAP", message)
        self.context["errno"] = errno.errorcode.get(number, str(number))
        self.context.update(context)

    @property
    def errno(self) -> int:
        """Linux's error number."""
        name = str(self.context["errno"])
        return int(name) if name.isdigit() else int(getattr(errno, name))


class _NoPause:
    """Stops nobody: right for a guest with one thread."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


class AddressSpace(GuestBytes):
    """The address space of one guest process, in one host reservation of 2**bits bytes.

    A host with less room gives fewer bits, at least 30; `bits` and `limit` tell. Raises
    PVM-HOST-UNSUPPORTED when the host's pages are larger than the guest's, PVM-RESOURCE when there is no
    room.
    """

    def __init__(self, bits: int = 38, page_size: int = 4096) -> None:
        self._host = reservation = Reservation(bits, page_size)
        super().__init__(host.view(reservation.base, reservation.limit))
        self.bits = reservation.bits
        self.base = reservation.base  # host address of guest address 0
        self.limit = reservation.limit  # guest addresses are below it
        self.xmap = reservation.xmap  # host address of the executable byte of page 0
        self.slots = reservation.slots  # host address of the code slot of address 0
        self.page_size = page_size
        self.code = CodeMap(self.xmap, self.slots, self.limit, page_size)
        self.pause: Callable[[], AbstractContextManager[None]] = _NoPause
        # Policy, to be set by whoever owns the space.
        self.min_address = 0  # below it, MAP_FIXED is EPERM
        self.max_address = self.limit  # nothing is mapped from there on
        self.mmap_top = self.limit  # where the search for free addresses starts, downwards
        self.memory_limit: int | None = None  # bytes mapped in all; beyond it, ENOMEM
        self.stack_limit = 8 << 20  # how far a mapping may grow down
        self.brk_start = self.brk_end = 0
        self.brk_limit: int | None = None

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    def on_code_drop(self, callback: Callable[[int, int], object]) -> None:
        """Have callback(start, end) called whenever code made from these addresses must not run any more."""
        self.code.callbacks.append(callback)

    # -------------------------------------------------------------------------------------- mapping

    def map(
        self,
        addr: int | None,
        size: int,
        prot: int,
        *,
        flags: int = MAP_FIXED_NOREPLACE,
        fd: int = -1,
        offset: int = 0,
        shared: bool = False,
        name: str = "",
    ) -> int:
        """Map size bytes, of a file where fd is one, else zeros; the guest address.

        prot is a set of READ, WRITE, EXEC. Without MAP_FIXED and MAP_FIXED_NOREPLACE, addr is a wish. name
        is the file's path, or what maps shows for memory without a file. Raises MapError.
        """
        page = self.page_size
        if size <= 0 or offset % page or offset < 0 or prot & ~7:
            raise MapError(errno.EINVAL, "The size, the offset or the protection is not valid.", size=size)
        size = -(-size // page) * page
        flags |= MAP_FIXED if flags & MAP_FIXED_NOREPLACE else 0
        with self.lock:
            addr = self._place(addr or 0, size, flags)
            end = addr + size
            replaced = self.regions.overlapping(addr, end)
            if replaced and flags & MAP_FIXED_NOREPLACE:
                raise MapError(errno.EEXIST, "Something is mapped there.", addr=addr, size=size)
            if not replaced:
                self._charge(size)
                self._map(addr, end, prot, flags, fd, offset, shared, name)
                return addr
        # A mapping is replaced: stop the others first, then look again, for they may have changed the table.
        with self.pause(), self.lock:
            replaced = self.regions.overlapping(addr, end)
            self._charge(size - sum(min(r.end, end) - max(r.start, addr) for r in replaced))
            self._map(addr, end, prot, flags, fd, offset, shared, name)
        return addr

    def unmap(self, addr: int, size: int) -> None:
        """Unmap whole pages; what is not mapped there already is no error. Raises MapError."""
        size = self._check_range(addr, size, errno.EINVAL)
        if size == 0:
            raise MapError(errno.EINVAL, "Nothing is to be unmapped.", addr=addr)
        with self.pause(), self.lock:
            self._unmap(addr, addr + size)

    def protect(self, addr: int, size: int, prot: int) -> None:
        """Set the protection of whole pages. Raises MapError, having changed what lies before the trouble."""
        if prot & ~7:
            raise MapError(errno.EINVAL, "The protection is not valid.", addr=addr)
        end = addr + self._check_range(addr, size, errno.ENOMEM)
        with self.lock:
            taken = any(r.prot & ~prot for r in self.regions.overlapping(addr, end))
            if not taken:
                self._protect(addr, end, prot)
                return
        with self.pause(), self.lock:
            self._protect(addr, end, prot)

    def remap(self, addr: int, size: int, new_size: int, *, flags: int = 0, to: int = 0) -> int:
        """Resize or move a mapping as mremap does; its address. Raises MapError."""
        from polyvm.memory.moving import remap

        with self.pause(), self.lock:
            return remap(self, addr, size, new_size, flags, to)

    def madvise(self, addr: int, size: int, advice: int) -> None:
        """madvise(2). Advice that is unknown, or that we could not survive, is EINVAL. Raises MapError."""
        from polyvm.memory.advice import advise

        end = addr + self._check_range(addr, size, errno.EINVAL)
        with self.pause(), self.lock:
            advise(self, addr, end, advice)

    def set_brk(self, wanted: int) -> int:
        """Move the end of the heap, which starts at `brk_start`; the end, moved or not, as brk(2) answers."""
        if not self.brk_start <= wanted <= self.limit:
            return self.brk_end
        try:
            if wanted < self.brk_end:
                with self.pause(), self.lock:
                    self._shrink_heap(wanted)
            else:
                with self.lock:
                    self._grow_heap(wanted)
        except MapError:
            pass  # brk reports no errors: the end that is returned has not moved
        return self.brk_end

    def find_free(self, size: int, hint: int = 0) -> int:
        """A free range of whole pages: at the hint, else the highest below mmap_top. Raises MapError."""
        page = self.page_size
        size = -(-size // page) * page
        floor = max(self.min_address, LOWEST)
        hint = hint // page * page
        with self.lock:
            if (
                hint >= floor
                and hint + size <= self.max_address
                and not self.regions.overlapping(hint, hint + size)
            ):
                return hint
            for top in (self.mmap_top, self.max_address):
                found = self.regions.gap_below(top, floor, size)
                if found is not None:
                    return found // page * page
        raise MapError(errno.ENOMEM, "The guest has no free range of addresses of this size.", size=size)

    def grow(self, address: int) -> bool:
        """Whether a mapping above that grows down now holds an address: call it when an access faults."""
        with self.lock:
            page = address // self.page_size * self.page_size
            above = self.regions.above(page)
            if above is None or not above.flags & GROWSDOWN or address < self.min_address or address < 0:
                return False
            below = self.regions.below(page)
            if below is not None and (below.end > page or (below.prot and below.end + STACK_GAP > page)):
                return False
            if above.end - page > self.stack_limit:
                return False
            try:
                self._charge(above.start - page)
                self._host_map(page, above.start, above.prot, 0, -1, 0, False)
            except MapError:
                return False
            self._insert(Region(page, above.start, above.prot, above.flags, None, 0, above.name))
            return True

    def peek(self, address: int, size: int) -> bytes:
        """Read whatever the protection, as a debugger does. Raises GuestFault where nothing is mapped."""
        page = self.page_size
        end = address + size
        with self.pause(), self.lock:
            self._check(address, end, 0, "read")
            parts = []
            for region in self.regions.overlapping(address, end):
                start, stop = max(address, region.start), min(end, region.end)
                low, high = start // page * page, -(-stop // page) * page
                hidden = not HOST_PROT[region.prot]
                if hidden:
                    self._protect_host(low, high, READ)
                try:
                    parts.append(self._read_safely(region, start, stop - start, "read"))
                finally:
                    if hidden:
                        self._protect_host(low, high, region.prot)
            return b"".join(parts)

    def poke(self, address: int, data: bytes) -> None:
        """Write whatever the protection, as a loader or a debugger does; code made from there is dropped.

        Raises GuestFault where nothing is mapped, MapError for what is shared and cannot be written.
        """
        page = self.page_size
        end = address + len(data)
        with self.pause(), self.lock:
            self._check(address, end, 0, "write")
            for region in self.regions.overlapping(address, end):
                start, stop = max(address, region.start), min(end, region.end)
                low, high = start // page * page, -(-stop // page) * page
                if not region.prot & WRITE:
                    self._protect_host(low, high, READ | WRITE)
                done = self.safe_write(self.base + start, data[start - address : stop - address])
                if not region.prot & WRITE:
                    self._protect_host(low, high, region.prot)
                if region.prot & EXEC:
                    self.code.drop(low, high)
                if done < stop - start:
                    raise GuestFault(start + done, "write", "beyond the file's end")

    # -------------------------------------------------------------------------------------- code

    def drop_code(self, start: int | None = None, end: int | None = None) -> None:
        """Forget code made from a range, or, without one, from all that the guest may have written."""
        page = self.page_size
        low = 0 if start is None else start // page * page
        high = self.limit if end is None else -(-end // page) * page
        with self.pause(), self.lock:
            for region in self.regions.overlapping(low, high):
                if not region.prot & EXEC:
                    continue
                # Shared memory may be written through another mapping of it.
                if start is None and not region.prot & WRITE and not region.flags & (EVER_WRITABLE | SHARED):
                    continue
                self.code.drop(max(low, region.start), min(high, region.end))

    # -------------------------------------------------------------------------------------- whole life

    def fork_child(self) -> None:
        """Put a forked child's copy in order. Call it in the child, when only its own thread is left."""
        self.lock = _thread.RLock()
        for region in self.regions:
            if region.flags & DONTFORK:
                self._unmap(region.start, region.end)
            elif region.flags & WIPEONFORK and region.prot & EXEC:
                self.code.drop(region.start, region.end)

    def reset(self) -> None:
        """Unmap everything, for execve; the reservation and the policy stay. No other thread may run."""
        with self.pause(), self.lock:
            self._vacate(0, self.limit)
            self.regions.clear()
            self.code.reset()
            self.brk_start = self.brk_end = 0

    def close(self) -> None:
        """Give all host memory back. Nothing may be read, written or run afterwards."""
        with self.lock:
            self.regions.clear()
            self._view.release()
            self._host.close()

    # -------------------------------------------------------------------------------------- within the lock

    def _shrink_heap(self, wanted: int) -> None:
        page = self.page_size
        self._unmap(-(-wanted // page) * page, -(-self.brk_end // page) * page)
        self.brk_end = wanted

    def _grow_heap(self, wanted: int) -> None:
        page = self.page_size
        old, new = -(-self.brk_end // page) * page, -(-wanted // page) * page
        if self.brk_limit is not None and wanted - self.brk_start > self.brk_limit:
            return
        if new > old:
            above = self.regions.above(old)
            if above is not None and above.flags & GROWSDOWN and above.start - STACK_GAP < new:
                return
            self.map(old, new - old, READ | WRITE, name="[heap]")
        self.brk_end = wanted

    def _check_range(self, addr: int, size: int, beyond: int) -> int:
        """The size in whole pages; raises MapError for a range that no guest can have."""
        page = self.page_size
        if addr % page or addr < 0 or size < 0:
            raise MapError(errno.EINVAL, "The address is not a page's.", addr=addr, size=size)
        size = -(-size // page) * page
        if addr + size > self.max_address:
            raise MapError(beyond, "The range ends beyond the guest's address space.", addr=addr, size=size)
        return size

    def _place(self, addr: int, size: int, flags: int) -> int:
        """Where map() maps."""
        if not flags & MAP_FIXED:
            return self.find_free(size, addr)
        self._check_range(addr, size, errno.ENOMEM)
        if addr < self.min_address:
            raise MapError(errno.EPERM, "The guest may not map so low an address.", addr=addr)
        return addr

    def _charge(self, more: int) -> None:
        if self.memory_limit is not None and self.regions.mapped + more > self.memory_limit:
            raise MapError(
                errno.ENOMEM,
                "The guest's limit of memory is reached.",
                size=more,
                memory_limit=self.memory_limit,
            )

    def _map(
        self, addr: int, end: int, prot: int, flags: int, fd: int, offset: int, shared: bool, name: str
    ) -> None:
        """Map where addresses have been chosen, over whatever is there."""
        self._host_map(addr, end, prot, flags, fd, offset, shared)
        self._forget(addr, end)
        backing = None
        if fd >= 0:
            status = os.fstat(fd)
            backing, name = Backing(name, status.st_dev, status.st_ino), ""
        elif shared:
            backing, name = Backing(name or "/dev/zero (deleted)"), ""
        about = (SHARED if shared else 0) | (GROWSDOWN if flags & MAP_GROWSDOWN else 0)
        about |= EVER_WRITABLE if prot & WRITE else 0
        self._insert(Region(addr, end, prot, about, backing, offset if backing is not None else 0, name))

    def _host_map(
        self, addr: int, end: int, prot: int, flags: int, fd: int, offset: int, shared: bool
    ) -> None:
        how = host.MAP_FIXED | (host.MAP_SHARED if shared else host.MAP_PRIVATE) | flags & TO_HOST
        how |= host.MAP_ANONYMOUS if fd < 0 else 0
        result = host.mmap(self.base + addr, end - addr, HOST_PROT[prot], how, fd, offset)
        if result >= 0:
            return
        # Older kernels unmap what was there before they find that they cannot map what comes.
        if not host.mapped(self.base + addr, end - addr):
            self._vacate(addr, end - addr)
            self._forget(addr, end)
        raise MapError(
            -result, f"The host cannot map this: {os.strerror(-result)}.", addr=addr, size=end - addr
        )

    def _unmap(self, start: int, end: int) -> None:
        if self.regions.overlapping(start, end):
            self._vacate(start, end - start)
            self._forget(start, end)

    def _vacate(self, start: int, size: int) -> None:
        result = self._host.vacate(start, size)
        if result:
            raise MapError(
                -result, f"The host cannot unmap this: {os.strerror(-result)}.", addr=start, size=size
            )

    def _forget(self, start: int, end: int) -> None:
        """The host's mapping of a range is gone: so are its regions and its code."""
        for region in self.regions.remove(start, end):
            if region.prot & EXEC:
                self.code.forbid(region.start, region.end)

    def _insert(self, region: Region) -> None:
        self.regions.insert(region)
        if region.prot & EXEC:
            self.code.allow(region.start, region.end)

    def _protect(self, start: int, end: int, prot: int) -> None:
        at = start
        for region in self.regions.overlapping(start, end):
            if region.start > at:
                break
            at = min(end, region.end)
            self._protect_piece(max(start, region.start), at, region.prot, prot)
        if at < end:
            raise MapError(errno.ENOMEM, "Not all of the range is mapped.", addr=at, size=end - at)

    def _protect_piece(self, start: int, end: int, old: int, prot: int) -> None:
        if old == prot:
            return
        if HOST_PROT[old] != HOST_PROT[prot]:
            self._protect_host(start, end, prot)
        (piece,) = self.regions.remove(start, end)
        flags = piece.flags | (EVER_WRITABLE if prot & WRITE else 0)
        self.regions.insert(piece.changed(prot=prot, flags=flags))
        if prot & EXEC and not old & EXEC:
            self.code.allow(start, end)
        elif old & EXEC and not prot & EXEC:
            self.code.forbid(start, end)

    def _protect_host(self, start: int, end: int, prot: int) -> None:
        result = host.mprotect(self.base + start, end - start, HOST_PROT[prot])
        if result:
            reason = os.strerror(-result)
            raise MapError(-result, f"The host cannot protect this: {reason}.", addr=start, size=end - start)
