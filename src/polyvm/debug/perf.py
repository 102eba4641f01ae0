"""For Linux's perf: the names of what is compiled at run time, as a map or as a jitdump with the code itself.

A map (/tmp/perf-PID.map) is read by perf when it reports, and knows one name for an address. A jitdump
(jit-PID.dump, in $JITDUMPDIR or here) has times and bytes, for perf inject --jit and perf annotate. Formats:
tools/perf/Documentation/jit-interface.txt and jitdump-specification.txt in Linux's sources.
"""

from __future__ import annotations

import _thread
import os
import time
from _struct import Struct

from polyvm.debug.names import Names
from polyvm.errors import PolyvmError
from polyvm.log import Appender
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.engine.executor import Engine
    from polyvm.engine.units import Unit
    from polyvm.memory.space import AddressSpace

KINDS = ("map", "jitdump")
MAGIC, VERSION, EM_X86_64 = 0x4A695444, 1, 62
CODE_LOAD, CODE_CLOSE = 0, 3
HEADER = Struct("<IIIIIIQQ")  # magic, version, size, machine, padding, pid, time, flags
RECORD = Struct("<IIQ")  # kind, size, time
LOAD = Struct("<IIQQQQ")  # pid, tid, two addresses, size, index


class Perf:
    """What perf is told of one engine's code, until close().

    Regions are told when they are installed; tier 1's blocks, which nobody reports one by one, at the end and before
    they are given up. Raises PVM-USAGE when the file cannot be made.
    """

    def __init__(self, kind: str, engine: Engine, space: AddressSpace, hide: Callable[[int], int]) -> None:
        self.engine = engine
        self.pid = os.getpid()
        engine.take_arena()  # a mapping that comes later covers what was told of its place
        self.started = time.monotonic_ns()
        self.names = Names(space)
        self.count = 0
        self.lock = _thread.allocate_lock()  # regions come from the compilers' thread as well
        path = f"/tmp/perf-{self.pid}.map"
        if kind == "jitdump":
            path = os.path.join(os.environ.get("JITDUMPDIR") or ".", f"jit-{self.pid}.dump")
        try:
            self.file = Appender(path, 0o600, os.O_TRUNC | os.O_NOFOLLOW)
        except OSError as error:
            raise PolyvmError(
                "PVM-USAGE",
                f"The file for perf, {path}, cannot be written: {error.strerror}.",
                hint="JITDUMPDIR names the folder of a jitdump.",
                path=path,
            ) from error
        self.file.hide(hide)
        self.write = self._map
        if kind == "jitdump":
            self.write = self._dump
            self.file.write(HEADER.pack(MAGIC, VERSION, HEADER.size, EM_X86_64, 0, self.pid, self.started, 0))
            # perf notes mappings of executable files: by this one it finds the dump.
            self.marker = host.mmap(
                0, host.PAGE_SIZE, host.PROT_READ | host.PROT_EXEC, host.MAP_PRIVATE, self.file.fd, 0
            )
        image = engine.native.image
        self.write(image.base, image.size, "polyvm interpreter", self.started)
        engine.on_unit.append(self.unit)
        engine.on_empty.append(self.blocks)

    def unit(self, unit: Unit) -> None:
        """A region was installed."""
        if os.getpid() == self.pid:
            self.write(
                unit.image.base, unit.image.size, f"{self._name(unit.pc)} [region]", time.monotonic_ns()
            )

    def blocks(self) -> None:
        """All blocks of tier 1 that there are."""
        if os.getpid() == self.pid:
            for pc, at, size, _ in self.engine.native.arena.blocks():
                self.write(at, size, f"{self._name(pc)} [baseline]", self.started)

    def close(self) -> None:
        """Tell what is left to be told."""
        self.blocks()
        self.file.close()

    def _name(self, pc: int) -> str:
        return self.names.label(pc) or f"{pc:#x}"

    def _map(self, at: int, size: int, name: str, when: int) -> None:
        self.file.write(f"{at:x} {size:x} {name}\n".encode())

    def _dump(self, at: int, size: int, name: str, when: int) -> None:
        text = name.encode() + b"\0"
        length = RECORD.size + LOAD.size + len(text) + size
        head = RECORD.pack(CODE_LOAD, length, when) + LOAD.pack(self.pid, self.pid, at, at, size, self.count)
        self.count += 1
        self.file.write(head + text + host.peek(at, size))
