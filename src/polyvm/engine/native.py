"""A loaded interpreter image bound to Python: its entry points as functions, its process block, thread states.

Images stay for the life of the process, since the signal handler is inside one of them. Code that is compiled later
is made known to that handler with add_ranges(). It refuses an image that was built without the host's runtime.
"""

from __future__ import annotations

import _thread
from _struct import Struct

from polyvm.engine import image as images
from polyvm.engine import layout
from polyvm.engine.arena import Arena
from polyvm.engine.layout import PR, ST
from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from polyvm.engine.image import Image

KICK_SIGNO = 64  # SIGRTMAX: shared with the guest, ours carry the address of a thread state

loaded: list[Native] = []
"""Every image of this process; the handler inside the first is the one that gets installed."""

_RANGE = Struct("<QQQQIIQQQQII")
_CELLS = 4096  # bytes taken at a time for the shadows' states


class Range:
    """Compiled code that the signal handler must know: its addresses, and tables of u32 pairs relative to start.

    faults, points and places are (address, rows). A fault whose instruction is not among the faults is the guest's at
    the nearest place before; without places, at the pc that the unit stored itself. With `shadow` (image.load) a stop
    costs two signals; without, it single-steps to the next safepoint. Whatever leaves the code for other code that
    does not look at the stop flag must itself be a safepoint.
    """

    __slots__ = ("cell", "fault_count", "faults", "place_count", "places", "point_count", "points", "shadow", "size",
                 "start")  # fmt: skip

    def __init__(
        self,
        start: int,
        size: int,
        faults: tuple[int, int] = (0, 0),
        points: tuple[int, int] = (0, 0),
        shadow: int = 0,
        places: tuple[int, int] = (0, 0),
    ) -> None:
        self.start = start
        self.size = size
        self.faults, self.fault_count = faults
        self.points, self.point_count = points
        self.places, self.place_count = places
        self.shadow = shadow
        self.cell = 0

    @property
    def end(self) -> int:
        """Past the last address that belongs to it, its shadow's among them."""
        return self.start + self.shadow + self.size

    @classmethod
    def of(cls, image: Image) -> Range:
        """The range of a unit image: its sections pvf (faults), pvp (safepoints) and pvq (accesses) are the tables."""
        tables = image.table("pvf"), image.table("pvp")
        return cls(image.base, image.size, *tables, image.shadow, image.table("pvq"))


class Native:
    """An image's entry points. All take and return ints; the GIL is released while they run."""

    __slots__ = (
        "arena", "block", "cas32", "cells", "copy", "decode", "enter", "handler", "image", "kick", "load32", "lock",
        "process", "ranges", "retired", "run", "strnlen", "swap32", "syscall", "ticks", "translate",
    )  # fmt: skip

    def __init__(self, image: Image, decode: str = "decode") -> None:
        if image.tail < layout.PROCESS_SIZE:
            raise PolyvmError(
                "PVM-INTERNAL", "The native image was mapped without room for its process block."
            )
        self.image = image
        self.decode = image.address(decode)
        self.handler = image.address("pv_signal")
        self.process = image.base + ((image.size + images.PAGE - 1) & -images.PAGE)
        self.block = host.view(self.process, layout.PROCESS_SIZE)
        self.ranges: list[Range] = []
        self.cells: list[int] = []
        self.retired: list[tuple[int, int]] = []
        self.lock = _thread.allocate_lock()
        self.arena = Arena(self)
        self._bind()
        self._fill()
        loaded.append(self)

    def _bind(self) -> None:
        def bound(name: str, nargs: int) -> Callable[..., int]:
            return host.native(self.image.address(name), nargs)

        self.enter = bound("pv_enter", 1)
        self.run = bound("pv_run", 1)
        self.kick = bound("pv_kick", 1)
        self.syscall = bound("pv_syscall", 8)
        self.copy = bound("pv_copy", 3)
        self.strnlen = bound("pv_strnlen", 2)
        self.load32 = bound("pv_load32", 1)
        self.swap32 = bound("pv_swap32", 2)
        self.cas32 = bound("pv_cas32", 3)
        self.ticks = bound("pv_ticks", 0)
        self.translate = bound("pv_translate", 2) if "pv_translate" in self.image.exports else None

    def _fill(self) -> None:
        for name, value in process_fields(self.image).items():
            self.set(name, value)
        self.set("kick_signo", KICK_SIGNO, 4)
        if loaded:
            # The handler starts at the first block; one store makes ours part of its chain.
            first = loaded[0]
            self.set("next", first.get("next"))
            first.set("next", self.process)

    def set(self, name: str, value: int, size: int = 8) -> None:
        """Write a field of the process block."""
        at = PR[name]
        self.block[at : at + size] = value.to_bytes(size, "little")

    def get(self, name: str, size: int = 8) -> int:
        """Read a field of the process block."""
        at = PR[name]
        return int.from_bytes(self.block[at : at + size], "little")

    def new_state(self) -> int:
        """A fresh thread state, zero but for what belongs to this image; its address."""
        st = _map(layout.STATE_SIZE)
        view = host.view(st, layout.STATE_SIZE)
        for name, value in state_fields(self.image, self.decode, self.process).items():
            view[ST[name] : ST[name] + layout.SIZES[name]] = value.to_bytes(layout.SIZES[name], "little")
        return st

    def free_state(self, st: int) -> None:
        """Unmap a thread state that no thread uses any more."""
        host.munmap(st, layout.STATE_SIZE)

    def add_ranges(self, ranges: Iterable[Range]) -> None:
        """Make compiled code known to the signal handler, before any of it runs. Cheaper in batches."""
        with self.lock:
            self._publish([*self.ranges, *ranges])

    def remove_ranges(self, ranges: Iterable[Range]) -> None:
        """Forget code that no thread can be in any more."""
        with self.lock:
            gone = set(ranges)
            self._publish([r for r in self.ranges if r not in gone])
            for r in gone:
                if r.cell:
                    host.poke(r.cell, bytes(8))
                    self.cells.append(r.cell)
                    r.cell = 0

    def _publish(self, ranges: list[Range]) -> None:
        ranges.sort(key=_start)
        end = 0
        for r in ranges:
            if r.start < end or r.end <= r.start:
                raise PolyvmError(
                    "PVM-INTERNAL", "Ranges of compiled code overlap.", start=r.start, end=r.end
                )
            end = r.end
        for r in ranges:
            if r.shadow and not r.cell:
                r.cell = self._new_cell()
        table = range_table(ranges)
        at = _map(len(table))
        host.poke(at, table)
        old = self.get("ranges")
        host.poke(self.process + PR["ranges"], at.to_bytes(8, "little"))  # one store: memcpy of eight bytes
        self.ranges = ranges
        if old:
            self.retired.append((old, 16 + int.from_bytes(host.peek(old, 8), "little") * layout.RANGE_SIZE))
        # A handler that looks after the store finds the new table; when none is looking, nobody has an old one. A
        # locked instruction reads the count, so that the store is not still on its way.
        if not self.cas32(self.process + PR["readers"], 0, 0):
            for table_at, size in self.retired:
                host.munmap(table_at, size)
            self.retired.clear()

    def _new_cell(self) -> int:
        if not self.cells:
            at = _map(_CELLS)
            self.cells = list(range(at, at + _CELLS, 8))
        return self.cells.pop()

    def forked(self) -> None:
        """In the child: what another thread was doing when it vanished is undone."""
        self.lock = _thread.allocate_lock()
        self.set("readers", 0, 4)
        self.set("chain_tid", 0, 4)
        self.arena.forked()
        if self.image.room is not None:
            self.image.room.forked()
        for r in self.ranges:
            if r.cell and host.peek(r.cell, 4)[0] == layout.SHADOW_BUSY:
                host.poke(r.cell, bytes(4))


def range_table(ranges: Iterable[Range]) -> bytes:
    """What the signal handler reads of compiled code: rows (layout.RANGE) by address behind their number."""
    rows = [
        _RANGE.pack(
            r.start, r.end, r.faults, r.points, r.fault_count, r.point_count, r.size, r.shadow, r.cell, r.places,
            r.place_count, 0,
        )
        for r in ranges
    ]  # fmt: skip
    return len(rows).to_bytes(16, "little") + b"".join(rows)


def process_fields(image: Image) -> dict[str, int]:
    """What the process block of an image says of it: fields of eight bytes."""
    fields = {"image_start": image.base, "image_end": image.base + image.size}
    for name in ("resume", "sys_begin", "sys_end", "sys_skip", "sys_again"):
        fields[name] = image.address("pv_" + name)
    for section, name in (("pvg", "gate"), ("pvdecode", "decode")):
        offset, size = image.sections.get(section, (0, 0))
        fields[f"{name}_start"] = image.base + offset if size else 0
        fields[f"{name}_end"] = image.base + offset + size if size else 0
    fields["windows"], fields["window_count"] = image.table("pvx")
    return fields


def state_fields(image: Image, decode: int, process: int) -> dict[str, int]:
    """What a thread state says of an image: its decoder's address, and its process block's."""
    handlers, size = image.sections.get("pvh", (0, 0))
    start = image.base + handlers - decode & 0xFFFF_FFFF
    return {"process": process, "hbase": decode, "handlers_start": start, "handlers_size": size}


def _map(size: int) -> int:
    at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    if at < 0:
        raise PolyvmError(
            "PVM-RESOURCE", "The host has no memory for the engine's tables.", size=size, errno=-at
        )
    return at


def _start(r: Range) -> int:
    return r.start


def load(source: str | bytes | int, decode: str = "decode") -> Native:
    """Load an interpreter image (built with the host's runtime) and bind it."""
    return Native(images.load(source, tail=layout.PROCESS_SIZE), decode)
