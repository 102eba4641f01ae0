"""A program in memory at the moment when it begins: its code, and where functions are, for who compiles it unrun.

The dynamic linker has done its work by then, so that libraries are where they always are, and every table of addresses
holds addresses. Of the program itself all functions count, of libraries those that something points to.
"""

from __future__ import annotations

import os

from polyvm.debug.names import Names
from polyvm.engine.codepages import PAGE
from polyvm.engine.executor import code_page
from polyvm.engine.layout import PAUSE, SYSCALL
from polyvm.engine.points import Points
from polyvm.errors import PolyvmError
from polyvm.memory.regions import EXEC, READ, WRITE
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from polyvm.memory.space import AddressSpace
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

HANDLERS = ("sigaction", "signal", "__sysv_signal", "bsd_signal")
"""What programs set handlers of signals with."""
_LINKERS = (b".so", b"ld-musl")
"""What the names of libraries have in them, and of the files that a dynamic linker reads."""
ENOENT = 2
MAX_SCANNED = 64 << 20
"""Bytes of one mapping that are searched for addresses of functions."""


class Opened:
    """The files that a dynamic linker opens by their names: their bytes, None where it found none.

    Libraries, and what says where they are; a program's other files are not looked at.
    """

    def __init__(self) -> None:
        self.files: dict[bytes, bytes | None] = {}

    def call(self, process: Process, thread: Thread) -> None:
        """Carry out the system call that the guest is making, and note what it opened."""
        number, _, address, *_ = process.abi.syscall(thread.cpu)
        name = process.dispatch.names.get(number & 0xFFFF_FFFF)
        path = b""
        if name in ("openat", "faccessat", "newfstatat"):
            try:
                path = process.paths.read(thread, address)
            except (PolyvmError, Refusal):
                path = b""
        thread.left(SYSCALL)
        if not path.startswith(b"/") or not any(part in path for part in _LINKERS):
            return
        result = process.abi.syscall(thread.cpu)[1]  # it shares its register with the first argument
        if result == -ENOENT & (1 << 64) - 1:
            self.files.setdefault(path, None)
        elif name == "openat" and result < 1 << 31:
            self.files[path] = _whole(result)


def _whole(fd: int) -> bytes:
    """The bytes of an open file."""
    parts: list[bytes] = []
    while part := os.pread(fd, 1 << 20, sum(map(len, parts))):
        parts.append(part)
    return b"".join(parts)


class AtEntry:
    """A tracer that has a program end where it begins, at its own entry, after `take` was called.

    first: called before anything runs, its dynamic linker included. opened: told of each system call until then.
    """

    def __init__(
        self,
        process: Process,
        take: Callable[[Process], None],
        first: Callable[[Process, Thread], None] | None = None,
        opened: Opened | None = None,
    ) -> None:
        self.process = process
        self.take = take
        self.first = first
        self.opened = opened

    def loop(self, thread: Thread) -> None:
        """Run what runs before the program: the dynamic linker, and what libraries do first."""
        process = self.process
        if self.first is not None:
            self.first(process, thread)
        points = Points(process.engine, process.space, process.space.slots)
        points.set({process.image.entry})
        cpu = thread.cpu
        while not thread.ending:
            thread.native = True
            if process.world.closed:
                thread.native = False
                process.world.wait()
                continue
            reason = cpu.run()
            thread.native = False
            if reason == PAUSE:
                self.take(process)
                process.finish("exited", 0, None)
            elif reason == SYSCALL and self.opened is not None:
                self.opened.call(process, thread)
            else:
                thread.left(reason)

    def signal(self, thread: Thread, signo: int, info: bytes) -> tuple[int, bytes, bool]:
        """A signal is delivered as it is."""
        return signo, info, False

    def executed(self, thread: Thread) -> None:
        """A program that becomes another before it begins is not known."""
        self.process.finish("exited", 1, None)

    def forked(self, thread: Thread) -> None:
        """A child runs by itself."""

    def ending(self) -> None:
        """Nobody waits here."""


def beginning(process: Process, thread: Thread) -> dict[str, Any]:
    """The program before its first instruction, as the fields of a user.standalone.build.Beginning."""
    space, image = process.space, process.image
    regions = []
    for region in space.regions:
        if region.name != "[stack]":
            empty = region.backing is None and not region.name
            data = b"" if empty else _fetch(space.peek, region.start, region.end - region.start)
            regions.append((region.start, region.end, region.prot, data.rstrip(b"\0")))
    return {
        "guest": process.engine.name,
        "pc": image.pc,
        "regions": regions,
        "state": thread.cpu.context(),
        "stack": (image.stack_bottom, image.stack_top),
        "brk": image.brk_start,
        "mmap_top": space.mmap_top,
        "auxv": image.auxv,
    }


def mapped_code(process: Process) -> list[tuple[int, int, int]]:
    """(from, to, place in its file) of the code that is mapped from files."""
    return [
        (region.start, region.end, region.offset)
        for region in process.space.regions
        if region.prot & EXEC and region.backing is not None
    ]


def contents(process: Process) -> dict[str, Any]:
    """The program, as the fields of an engine.aot.Program, of plain values."""
    space, image = process.space, process.image
    code: dict[int, bytes] = {}
    data: list[tuple[int, bytes]] = []
    program: list[int] = [image.entry]
    libraries: list[int] = []
    known: set[int] = set()
    bare: list[tuple[int, int]] = []
    handles = False
    names = Names(space)
    for region in space.regions:
        if region.prot & EXEC:
            for page in range(region.start, region.end, PAGE):
                code[page] = code_page(space, page)
            found = names.functions(region)
            known.update(found)
            if not found:
                bare.append((region.start, region.end))
            if region.backing is not None and region.start <= image.entry < region.end:
                program += sorted(found)
                handles = names.knows(region, HANDLERS)
        elif region.prot & READ and not region.prot & WRITE and region.backing is not None:
            data.append((region.start, _fetch(space.read, region.start, region.end - region.start)))
    for address in _pointers(space, code):
        if address in known or any(start <= address < end for start, end in bare):
            libraries.append(address)
    libraries += sorted(image.vdso_symbols.values())
    return {
        "code": code,
        "data": sorted(data),
        "starts": sorted(known),
        "handles": handles,
        "roots": list(dict.fromkeys([*program, *libraries])),
    }


def _fetch(read: Callable[[int, int], bytes], start: int, size: int) -> bytes:
    """Memory, as far as it can be read: a file may be shorter than its mapping."""
    found = b""
    while size > 0:
        step = min(size, PAGE)
        try:
            found += read(start, step)
        except PolyvmError:
            break
        start, size = start + step, size - step
    return found


def _pointers(space: AddressSpace, code: dict[int, bytes]) -> dict[int, None]:
    """Addresses of code that stand in the program's data."""
    found: dict[int, None] = {}
    for region in space.regions:
        size = region.end - region.start
        if region.prot & EXEC or not region.prot & READ or region.name == "[stack]" or size > MAX_SCANNED:
            continue
        bytes_ = _fetch(space.read, region.start, size)
        for word in memoryview(bytes_)[: len(bytes_) & -8].cast("Q").tolist():
            if word & -PAGE in code:
                found[word] = None
    return found
