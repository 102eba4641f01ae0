"""mremap: a mapping of the guest grows, shrinks or moves inside the reservation.

The host's own mremap would leave a hole where the old mapping was, into which anything could be mapped, so
pages move with MREMAP_DONTUNMAP and the old place is made inaccessible. Where only a hole will do (an old
kernel, a file that grows), the hole is taken back at once and the guest is ended if somebody else was
faster.
"""

from __future__ import annotations

import errno
import os

from polyvm.memory import host
from polyvm.memory.regions import EXEC, SHARED, Region
from polyvm.memory.space import HOST_PROT, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, MapError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.memory.space import AddressSpace


def remap(space: AddressSpace, addr: int, size: int, new_size: int, flags: int, to: int) -> int:
    """mremap(2) with its checks in Linux's order; the new address. The caller holds the lock."""
    page = space.page_size
    moves = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)
    if flags & ~7 or addr % page or addr < 0 or size < 0 or new_size <= 0:
        raise MapError(errno.EINVAL, "The flags, the address or the sizes are not valid.", addr=addr)
    size, new_size = -(-size // page) * page, -(-new_size // page) * page
    if (moves and not flags & MREMAP_MAYMOVE) or (flags & MREMAP_DONTUNMAP and size != new_size):
        raise MapError(errno.EINVAL, "These flags do not go together.", addr=addr)
    if addr + size > space.limit:
        raise MapError(errno.EFAULT, "The range is not one mapping.", addr=addr, size=size)
    if new_size > space.limit:
        raise MapError(errno.ENOMEM, "The guest has no free range of addresses of this size.", size=new_size)
    if flags & MREMAP_FIXED:
        if to % page or to < 0 or to + new_size > space.limit or (to < addr + size and addr < to + new_size):
            raise MapError(errno.EINVAL, "The new place is not valid, or overlaps the old one.", addr=to)
        if to < space.min_address:
            raise MapError(errno.EPERM, "The guest may not map so low an address.", addr=to)
    region = space.regions.lookup(addr)
    if region is None or (addr + size > region.end and (moves or new_size >= size)):
        raise MapError(errno.EFAULT, "The range is not one mapping.", addr=addr, size=size)
    if size == 0 and (not region.flags & SHARED or not flags & MREMAP_MAYMOVE):
        raise MapError(errno.EINVAL, "Only a shared mapping can be duplicated.", addr=addr)
    if not moves and size:
        if new_size <= size:
            if new_size < size:
                space._unmap(addr + new_size, addr + size)
            return addr
        if region.end == addr + size and _free(space, region.end, addr + new_size):
            space._charge(new_size - size)
            _extend(space, region.slice(addr, region.end), new_size)
            return addr
        if not flags & MREMAP_MAYMOVE:
            raise MapError(errno.ENOMEM, "The mapping cannot grow where it is.", addr=addr, size=new_size)
    space._charge(new_size - (0 if flags & MREMAP_DONTUNMAP else min(size, new_size)))
    if not flags & MREMAP_FIXED:
        to = space.find_free(new_size, to)
    else:
        space._unmap(to, to + new_size)
    if size == 0:
        _duplicate(space, region.slice(addr, region.end), to, new_size)
        return to
    if new_size < size:
        space._unmap(addr + new_size, addr + size)
        size = new_size
    piece = region.slice(addr, addr + size)
    _move(space, piece, to, keep=bool(flags & MREMAP_DONTUNMAP))
    if new_size > size:
        _extend(space, piece.moved(to, to + size), new_size)
    return to


def _free(space: AddressSpace, start: int, end: int) -> bool:
    return end <= space.limit and not space.regions.overlapping(start, end)


def _move(space: AddressSpace, piece: Region, to: int, keep: bool) -> None:
    """Move a region's pages to a free place; `keep` leaves the old addresses mapped, and empty."""
    size = piece.size
    old, new = space.base + piece.start, space.base + to
    both = MREMAP_MAYMOVE | MREMAP_FIXED
    result = host.mremap(old, size, size, both | MREMAP_DONTUNMAP, new)
    if result == -errno.EINVAL and not keep:
        result = host.mremap(old, size, size, both, new)  # before Linux 5.13: leaves a hole
        if result >= 0:
            space._host.refill(piece.start, size)
    elif result >= 0 and not keep:
        space._vacate(piece.start, size)
    if result < 0:
        if not host.mapped(new, size):
            space._host.refill(to, size)
        raise MapError(
            -result, f"The host cannot move this: {os.strerror(-result)}.", addr=piece.start, size=size
        )
    if not keep:
        space._forget(piece.start, piece.end)
    elif piece.prot & EXEC:
        space.code.drop(piece.start, piece.end)
    space._insert(piece.moved(to, to + size))


def _extend(space: AddressSpace, piece: Region, new_size: int) -> None:
    """Lengthen a region over the free addresses behind it."""
    end, new_end = piece.end, piece.start + new_size
    if piece.backing is None:
        space._host_map(end, new_end, piece.prot, 0, -1, 0, False)
    else:
        # The descriptor may be closed long since: only the mapping itself still knows its file.
        host.munmap(space.base + end, new_end - end)
        result = host.mremap(space.base + piece.start, piece.size, new_size, 0)
        if result < 0:
            space._host.refill(end, new_end - end)
            raise MapError(-result, f"The host cannot extend this: {os.strerror(-result)}.", addr=piece.start)
    more = Region(end, new_end, piece.prot, piece.flags, piece.backing, piece.offset + piece.size, piece.name)
    space._insert(more if piece.backing is not None else more.slice(end, new_end))


def _duplicate(space: AddressSpace, piece: Region, to: int, size: int) -> None:
    """Map the same shared memory a second time."""
    result = host.mremap(space.base + piece.start, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, space.base + to)
    if result < 0:
        if not host.mapped(space.base + to, size):
            space._host.refill(to, size)
        raise MapError(-result, f"The host cannot duplicate this: {os.strerror(-result)}.", addr=piece.start)
    host.mprotect(space.base + to, size, HOST_PROT[piece.prot])
    space._insert(piece.moved(to, to + size))
