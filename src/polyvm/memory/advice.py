"""madvise: what the guest says of its memory, carried out, passed on to the host, or refused.

Advice that would make the host's picture differ from the guest's table (holes in a forked child, guard
pages that a reader in this process dies of) never reaches the host.
"""

from __future__ import annotations

import errno
import os

from polyvm.memory import host
from polyvm.memory.regions import DONTFORK, EXEC, WIPEONFORK, Region
from polyvm.memory.space import MapError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.memory.space import AddressSpace

_MADV_DONTFORK, _MADV_DOFORK, _MADV_WIPEONFORK, _MADV_KEEPONFORK = 10, 11, 18, 19
# What empties pages: dontneed, remove, dontneed_locked.
_EMPTYING = frozenset((4, 9, 24))
# What the host may simply be told: normal, random, sequential, willneed, free, mergeable, huge pages, dump,
# cold, pageout, populate. Guard pages (102, 103) and poison (100, 101) are not among them.
_HARMLESS = frozenset((0, 1, 2, 3, 8, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23))
_OURS = frozenset((_MADV_DONTFORK, _MADV_DOFORK, _MADV_WIPEONFORK, _MADV_KEEPONFORK))


def advise(space: AddressSpace, start: int, end: int, advice: int) -> None:
    """Carry out advice for whole pages. Raises MapError, ENOMEM after the rest when some are not mapped."""
    if advice not in _HARMLESS and advice not in _EMPTYING and advice not in _OURS:
        raise MapError(errno.EINVAL, "This advice is not supported.", addr=start, advice=advice)
    whole = space.regions.covered(start, end)
    for region in space.regions.overlapping(start, end):
        _advise_region(space, max(start, region.start), min(end, region.end), region, advice)
    if not whole:
        raise MapError(errno.ENOMEM, "Not all of the range is mapped.", addr=start, size=end - start)


def _advise_region(space: AddressSpace, start: int, end: int, region: Region, advice: int) -> None:
    """Carry out advice for a part of one region."""
    if advice not in _OURS:
        _tell_host(space, start, end, advice)
        if advice in _EMPTYING and region.prot & EXEC:
            space.code.drop(start, end)
        return
    flags = region.flags
    if advice == _MADV_DONTFORK:
        flags |= DONTFORK
    elif advice == _MADV_DOFORK:
        flags &= ~DONTFORK
    else:
        if advice == _MADV_WIPEONFORK and region.backing is not None:
            raise MapError(errno.EINVAL, "Only private memory can be wiped.", addr=start)
        _tell_host(space, start, end, advice)
        flags = flags | WIPEONFORK if advice == _MADV_WIPEONFORK else flags & ~WIPEONFORK
    for piece in space.regions.remove(start, end):
        space.regions.insert(piece.changed(flags=flags))


def _tell_host(space: AddressSpace, start: int, end: int, advice: int) -> None:
    result = host.madvise(space.base + start, end - start, advice)
    if result:
        reason = os.strerror(-result)
        raise MapError(-result, f"The host refuses the advice: {reason}.", addr=start, advice=advice)
