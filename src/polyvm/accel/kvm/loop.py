"""A native run loop: registers of devices that are served without Python, and everything else as before.

    ring = cpu.serve_ring(0x3F8, 1, port=True)     # what the guest writes to the serial port is collected
    ready = cpu.serve_latch(0x3FD, 1, port=True)   # and what it reads there is this
    ready.value = 0x60
    exit = cpu.run()                               # comes back for the rest
    print(ring.drain())

The loop is LLVM text (`accel.kvm.looptext`), compiled once and kept in the code cache: it calls the kernel itself and
looks each access up in a table. It refuses registers that are not of 1, 2, 4 or 8 bytes; string instructions come back.
"""

from __future__ import annotations

import os

from polyvm.accel.kvm import looptext
from polyvm.accel.kvm.looptext import CONTEXT, ENTRY, NAME, PORT
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.vcpu.exits import RingFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.accel.kvm.vcpu import KvmVcpu

MAX_SERVED = 64
"""The table is searched one by one, and an exit costs a thousand times what a comparison does."""
_PROT = host.PROT_READ | host.PROT_WRITE
_ANONYMOUS = host.MAP_PRIVATE | host.MAP_ANONYMOUS


_loaded: list[int] = []  # the loop's address in this process, once it is there


def possible() -> bool:
    """Whether this host has the loop."""
    return os.uname().machine == "x86_64"


def _address() -> int:
    """Where the loop is; compiled now, or found in the code cache. It stays for the life of the process."""
    if not _loaded:
        import hashlib

        from polyvm import __version__
        from polyvm.engine import cachedir, image

        source = looptext.text()
        # No feature of this very processor is used, so that nobody has to ask for them.
        identity = hashlib.sha256(f"{__version__}\n{source}".encode()).hexdigest()[:32]
        folder, name = cachedir.prepare(), f"accel/kvm-loop-{identity}.pvi"
        data = cachedir.read(folder, name) if folder is not None else None
        made = None
        if data is not None:
            try:
                made = image.load(data)
            except PolyvmError as error:
                if error.code != "PVM-CACHE-DAMAGED":
                    raise
        if made is None:
            from polyvm.engine import compile as compiler

            data = compiler.build(source, [NAME], runtime=False, cpu="x86-64", features="")
            if folder is not None:
                cachedir.write(folder, name, data)
            made = image.load(data)
        _loaded.append(made.address(NAME))
    return _loaded[0]


class Served:
    """A register of a device that native code serves."""

    def __init__(self, loop: Loop, entry: int, key: int, size: int) -> None:
        self._loop = loop  # its memory is the loop's
        self._entry = entry
        self.key = key
        self.size = size

    def _get(self, field: int) -> int:
        return int.from_bytes(host.peek(self._loop.entry(self._entry) + field, 8), "little")

    def _set(self, field: int, value: int) -> None:
        host.poke(self._loop.entry(self._entry) + field, value.to_bytes(8, "little"))

    @property
    def count(self) -> int:
        """How many accesses were served."""
        return self._get(ENTRY["count"])


class Latch(Served):
    """A register that reads as what was written last, by the guest or here. From any thread."""

    @property
    def value(self) -> int:
        """What it holds."""
        return self._get(ENTRY["cell"]) & (1 << 8 * self.size) - 1

    @value.setter
    def value(self, value: int) -> None:
        self._set(ENTRY["cell"], value & (1 << 8 * self.size) - 1)


class Ring(Served):
    """A register whose writes are collected, oldest first; run() returns RingFull when there is no more room."""

    def drain(self) -> bytes:
        """What was written since the last call, `size` bytes each. From one thread at a time."""
        head, tail, capacity = (
            self._get(ENTRY["head"]),
            self._get(ENTRY["tail"]),
            self._get(ENTRY["capacity"]),
        )
        base = self._get(ENTRY["ring"])
        data = host.peek(base, capacity)
        start, end = tail % capacity, tail % capacity + head - tail
        found = (data + data)[start:end]
        self._set(ENTRY["tail"], head)
        return found


class Loop:
    """The loop of one vCPU, and the table of what it serves."""

    def __init__(self, vcpu: KvmVcpu) -> None:
        self._call = host.native(_address(), 1)
        room = host.PAGE_SIZE + MAX_SERVED * ENTRY["bytes"]
        self._size = (room + host.PAGE_SIZE - 1) & -host.PAGE_SIZE
        self._context = _map(self._size)
        self._table = self._context + host.PAGE_SIZE
        self.served: list[Served | None] = []
        self._rings: dict[int, tuple[int, int]] = {}
        for field, value in (
            (CONTEXT["fd"], vcpu.fd),
            (CONTEXT["run"], vcpu.page_address),
            (CONTEXT["table"], self._table),
            (CONTEXT["end"], self._table),
        ):
            host.poke(self._context + field, value.to_bytes(8, "little"))

    def enter(self) -> int:
        """Run until Python is wanted: 0 for an exit, RING_FULL, or -errno."""
        result = self._call(self._context)
        return result - (1 << 64) if result >> 63 else result

    def resumes(self) -> bool:
        """Whether the last exit will be looked at again."""
        return host.peek(self._context + CONTEXT["resume"], 1) != b"\0"

    def full(self) -> RingFull:
        """The exit for a ring that had no room."""
        at = int.from_bytes(host.peek(self._context + CONTEXT["full"], 8), "little")
        found = self.served[(at - self._table) // ENTRY["bytes"]]
        assert found is not None
        return RingFull(found.key & PORT - 1, bool(found.key & PORT))

    def entry(self, number: int) -> int:
        """The address of a table entry."""
        if not self._context:
            raise PolyvmError("PVM-USAGE", "This virtual machine or processor is closed.")
        return self._table + number * ENTRY["bytes"]

    def add(self, address: int, size: int, port: bool, capacity: int) -> Latch | Ring:
        """Serve a register: a latch without a capacity, a ring with one."""
        if size not in (1, 2, 4, 8) or not 0 <= address < (1 << 16 if port else 1 << 52):
            raise PolyvmError("PVM-USAGE", "Registers have 1, 2, 4 or 8 bytes, and an address.", size=size)
        if capacity and (capacity < 8 or capacity & capacity - 1):
            raise PolyvmError("PVM-USAGE", "A ring's capacity is a power of two, from 8 on.", size=capacity)
        key = address | (PORT if port else 0)
        if any(served is not None and (served.key, served.size) == (key, size) for served in self.served):
            raise PolyvmError("PVM-USAGE", "This register is served already.", address=address, size=size)
        number = self.served.index(None) if None in self.served else len(self.served)
        if number == MAX_SERVED:
            raise PolyvmError("PVM-USAGE", f"Native code serves no more than {MAX_SERVED} registers.")
        at = self.entry(number)
        fields = [(ENTRY["mask"], (1 << 8 * size) - 1), (ENTRY["capacity"], capacity)]
        if capacity:
            ring = _map(capacity)
            self._rings[number] = ring, capacity
            fields.append((ENTRY["ring"], ring))
        host.fill(at, 0, ENTRY["bytes"])
        for field, value in fields:
            host.poke(at + field, value.to_bytes(8, "little"))
        host.poke(
            at + ENTRY["size"],
            size.to_bytes(4, "little")
            + (looptext.COLLECT if capacity else looptext.LATCH).to_bytes(4, "little"),
        )
        host.poke(at + ENTRY["key"], key.to_bytes(8, "little"))
        made = (Ring if capacity else Latch)(self, number, key, size)
        self.served[number : number + 1] = [made]
        host.poke(self._context + CONTEXT["end"], self.entry(len(self.served)).to_bytes(8, "little"))
        return made

    def remove(self, served: object) -> None:
        """Serve it no more."""
        if served not in self.served:
            raise PolyvmError("PVM-USAGE", "This register is not served.")
        number = self.served.index(served)
        host.fill(self.entry(number), 0, ENTRY["bytes"])  # a size of 0 matches nothing
        self.served[number] = None
        self._free(number)

    def _free(self, number: int) -> None:
        ring = self._rings.pop(number, None)
        if ring is not None:
            host.munmap(*ring)

    def close(self) -> None:
        """Give its memory back."""
        for number in list(self._rings):
            self._free(number)
        if self._context:
            host.munmap(self._context, self._size)
            self._context = 0


def _map(size: int) -> int:
    at = host.mmap(0, size, _PROT, _ANONYMOUS)
    if at < 0:
        raise PolyvmError("PVM-RESOURCE", "The host has no memory for a vCPU's registers.", size=size)
    return at
