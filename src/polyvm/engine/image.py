"""Native images: a relocatable object made flat once, kept as a file, and mapped in a millisecond without a compiler.

A flat image is position independent: read-only code and constants in one mapping, every relocation applied, nothing
writable. What cannot be so (absolute addresses, writable data, symbols from outside) is refused by name when it is
flattened; a file that was cut, changed or made by another version is refused when it is loaded. A file is read into
memory of our own before it is checked, so that writing to it later changes nothing.
"""

from __future__ import annotations

import _imp
import _thread
import errno
import os
from _struct import Struct

from polyvm.engine import layout
from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"PVMIMAGE"
VERSION = 1
PAGE = 4096
# magic, version, layout, checksum of all that follows it, file size, image size, then bytes of: exports' names,
# offsets, sections' names, section table, metadata. The image itself starts at the next page.
_HEADER = Struct("<8sIIQQQIIIII")
_CHECKED = 24  # the checksum covers the file from here on
_KEY = 0x706F6C79766D  # of the checksum: any constant will do
_ASIDE = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE

TABLES = {"pvf": 2, "pvp": 2, "pvx": 3, "pvq": 3}
"""Sections of i32 place-relative addresses, in rows: flattened to sorted rows of u32 offsets into the image.

In pvq one or more addresses stand before a u64 that belongs to all of them (LLVM's pcsections): flattened to rows of a
u32 offset and that u64.
"""


class Room:
    """Address space behind an image, from which later ones are within a slot's distance. Freed parts are joined."""

    __slots__ = ("_free", "_lock")

    def __init__(self, start: int, size: int) -> None:
        self._free = [(start, size)]
        self.forked()

    def take(self, size: int) -> int:
        """So many bytes, whole pages, inaccessible yet; 0 when there is no such room."""
        with self._lock:
            for number, (at, room) in enumerate(self._free):
                if room >= size:
                    self._free[number : number + 1] = [(at + size, room - size)] if room > size else []
                    return at
        return 0

    def give(self, at: int, size: int) -> None:
        """Take back what was taken, or a part of it, whole pages; its memory is the host's again."""
        if not size:
            return
        host.mmap(at, size, host.PROT_NONE, _ASIDE | host.MAP_FIXED)
        with self._lock:
            joined: list[tuple[int, int]] = []
            for start, length in sorted([*self._free, (at, size)]):
                if joined and sum(joined[-1]) == start:
                    joined[-1] = joined[-1][0], joined[-1][1] + length
                else:
                    joined.append((start, length))
            self._free = joined

    def forked(self) -> None:
        """In the child of a fork: a thread that had the lock is not there."""
        self._lock = _thread.allocate_lock()


class Image:
    """A loaded image: r-x at `base`, `size` bytes; behind it `tail` writable bytes of zero; `shadow`: see load().

    room: the address space behind it, if some was asked for. within: the room that it is in itself.
    """

    __slots__ = ("base", "exports", "mapped", "meta", "room", "sections", "shadow", "size", "tail", "within")

    def __init__(self, base: int, size: int, mapped: int, tail: int) -> None:
        self.room: Room | None = None
        self.within: Room | None = None
        self.base = base
        self.size = size
        self.mapped = mapped
        self.tail = tail
        self.shadow = 0
        self.exports: dict[str, int] = {}
        self.sections: dict[str, tuple[int, int]] = {}
        self.meta = b""

    def address(self, name: str) -> int:
        """The host address of an export."""
        try:
            return self.base + self.exports[name]
        except KeyError:
            raise PolyvmError("PVM-INTERNAL", "The native image lacks an export.", export=name) from None

    def table(self, name: str) -> tuple[int, int]:
        """A table's host address and its number of rows (0, 0 when the image has none)."""
        offset, size = self.sections.get(name, (0, 0))
        return (self.base + offset, size // (4 * TABLES[name])) if size else (0, 0)

    def unload(self) -> None:
        """Unmap it. Nothing of it may run, or be found by the signal handler, any more."""
        _give(self.within, self.base, self.mapped)


def pack(
    code: bytes, exports: dict[str, int], sections: dict[str, tuple[int, int]], meta: bytes = b""
) -> bytes:
    """The file that holds a flat image."""
    offsets = b"".join(value.to_bytes(4, "little") for value in exports.values())
    spans = b"".join(o.to_bytes(4, "little") + n.to_bytes(4, "little") for o, n in sections.values())
    names = "\0".join(exports).encode()
    labels = "\0".join(sections).encode()
    parts = (names, offsets, labels, spans, meta)
    body = b"".join(parts)
    body += bytes(-(_HEADER.size + len(body)) % PAGE)
    size = _HEADER.size + len(body) + len(code)
    head = _HEADER.pack(MAGIC, VERSION, layout.LAYOUT_VERSION, 0, size, len(code), *map(len, parts))
    rest = head[_CHECKED:] + body + code
    return head[: _CHECKED - 8] + _imp.source_hash(_KEY, rest) + rest


def _damaged(why: str, where: str) -> PolyvmError:
    return PolyvmError(
        "PVM-CACHE-DAMAGED",
        f"A native image cannot be used: {why}.",
        hint="It will be made again.",
        path=where,
    )


def load(
    source: str | bytes | int,
    *,
    tail: int = 0,
    room: int = 0,
    shadow: bool = False,
    within: Room | None = None,
) -> Image:
    """Map a flat image from a path, an open descriptor, or bytes; `tail` bytes of zero follow it, writable.

    room: behind that, so many bytes of address space for others. With shadow, address space (but no memory) for a copy
    of the image is kept behind it, at base + shadow: the signal handler runs a stopped unit on there, to its next
    safepoint. within: where it is to be. Raises PVM-CACHE-DAMAGED for anything but an intact image of this version,
    PVM-RESOURCE when there is no memory or no room, OSError when it cannot be read.
    """
    if isinstance(source, bytes):
        return _load(source, None, len(source), "bytes", tail, room, shadow, within)
    if isinstance(source, int):
        return _load(None, source, os.fstat(source).st_size, f"fd:{source}", tail, room, shadow, within)
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return _load(None, fd, os.fstat(fd).st_size, source, tail, room, shadow, within)
    finally:
        os.close(fd)


def _load(
    data: bytes | None, fd: int | None, length: int, where: str, tail: int, room: int, shadow: bool,
    within: Room | None,
) -> Image:  # fmt: skip
    if not PAGE < length < 1 << 30:
        raise _damaged("it is too short or too long", where)
    # The file is read to here; afterwards its last pages, the image, are made executable and the rest goes.
    tail = (tail + PAGE - 1) & -PAGE
    filled = ((length + PAGE - 1) & -PAGE) + tail
    size = filled * (1 + shadow) + (room & -PAGE)
    at = host.mmap(0, size, host.PROT_NONE, _ASIDE) if within is None else within.take(size) or -errno.ENOMEM
    if at < 0:
        raise PolyvmError("PVM-RESOURCE", "The host has no memory for native code.", size=size, errno=-at)
    try:
        error = host.mprotect(at, filled, host.PROT_READ | host.PROT_WRITE)
        if error:
            raise PolyvmError(
                "PVM-RESOURCE", "The host has no memory for native code.", size=size, errno=-error
            )
        view = host.view(at, length)
        if data is not None:
            view[:] = data
        elif fd is not None:
            done = 0
            while done < length:
                n = os.preadv(fd, [view[done:]], done)
                if not n:
                    raise _damaged("it was cut while it was read", where)
                done += n
        image = _check(at, view, length, filled, tail, where)
        view.release()
        code = image.mapped - tail
        error = host.mprotect(image.base, code, host.PROT_READ | host.PROT_EXEC)
        if error:
            raise PolyvmError("PVM-RESOURCE", "The host refuses executable memory.", errno=-error)
    except BaseException:
        _give(within, at, size)
        raise
    image.within = within
    _give(within, at, image.base - at)
    if room:
        image.room = Room(image.base + image.mapped, room & -PAGE)
        image.mapped += room & -PAGE
    elif shadow:
        image.shadow = image.mapped
        image.mapped += code
        _give(within, image.base + image.mapped, at + size - image.base - image.mapped)
    return image


def placed(data: bytes, base: int, where: str = "bytes") -> tuple[Image, bytes]:
    """What a flat image would be at an address, and the bytes to be there: nothing is mapped.

    Raises PVM-CACHE-DAMAGED for anything but an intact image of this version.
    """
    if not PAGE < len(data) < 1 << 30:
        raise _damaged("it is too short or too long", where)
    image = _check(0, memoryview(data), len(data), len(data), 0, where)
    code = data[image.base :]
    image.base = base
    return image, code


def _give(room: Room | None, at: int, size: int) -> None:
    if room is None:
        host.munmap(at, size)
    else:
        room.give(at, size)


def _check(at: int, view: memoryview, length: int, room: int, tail: int, where: str) -> Image:
    magic, version, layout_version, checksum, size, code, *lengths = _HEADER.unpack_from(view)
    if magic != MAGIC or version != VERSION or layout_version != layout.LAYOUT_VERSION:
        raise _damaged("it is none, or of another version", where)
    head = _HEADER.size + sum(lengths)
    start = (head + PAGE - 1) & -PAGE
    if size != length or not code or start + code != length:
        raise _damaged("its size is wrong", where)
    if _imp.source_hash(_KEY, view[_CHECKED:]) != checksum.to_bytes(8, "little"):
        raise _damaged("its checksum is wrong", where)
    image = Image(at + start, code, room - start, tail)
    # What the checksum covers was written by pack(), so it is not doubted any more.
    position = _HEADER.size
    parts = []
    for part in lengths:
        parts.append(bytes(view[position : position + part]))
        position += part
    names, offsets, labels, spans, image.meta = parts
    if names:
        image.exports = dict(zip(names.decode().split("\0"), memoryview(offsets).cast("I"), strict=True))
    if labels:
        numbers = iter(memoryview(spans).cast("I"))
        image.sections = dict(
            zip(labels.decode().split("\0"), zip(numbers, numbers, strict=True), strict=True)
        )
    return image


def flatten(obj: bytes, exports: Iterable[str] = (), meta: bytes = b"") -> bytes:
    """A relocatable object as a flat image file (engine.flatten)."""
    from polyvm.engine import flatten as module

    return module.flatten(obj, exports, meta)


def build(ir: str, exports: Iterable[str], *, opt: int = 2, meta: bytes = b"", runtime: bool = True) -> bytes:
    """The flat image file of LLVM text (engine.compile), with the host's runtime in it unless told otherwise."""
    from polyvm.engine import compile as module

    return module.build(ir, exports, opt=opt, meta=meta, runtime=runtime)


def runtime_ir() -> str:
    """The LLVM text of this host's runtime, which build() puts before the text it is given."""
    from polyvm.engine import compile as module

    return module.runtime_ir()
