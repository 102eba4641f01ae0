"""Where tier 1's code lies: memory behind the interpreter's image, run at one address and written at another.

A code slot holds a distance from the image, so code of tier 1 is entered as any handler is, and the signal handler
takes it for a part of the image. One engine of a process has it at a time, because blocks belong to the slots of one
address space. When it is full, all of it is given up: what is still run is made again.
"""

from __future__ import annotations

from polyvm.engine import layout
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.engine.native import Native
    from polyvm.memory.space import AddressSpace

SIZE = 16 << 20
"""Bytes: some four hundred thousand guest instructions."""
SPARE = layout.BLOCK_HEADER + (layout.MAX_BLOCK + 2) * layout.MAX_STENCIL + 16
"""A block needs less than this."""


class Arena:
    """The memory of one interpreter image's tier 1."""

    __slots__ = ("limit", "native", "owner", "resets", "rw", "rx", "size")

    def __init__(self, native: Native) -> None:
        self.native = native
        self.owner: object = None
        self.resets = 0
        self.rx = self.rw = self.size = 0
        self.limit = SIZE

    def take(self, owner: object, limit: int = SIZE) -> bool:
        """Have the arena, or `limit` bytes of it and a block, for an engine's blocks.

        Whether there is one, and nobody else has it.
        """
        if self.owner is owner:
            return True
        if self.owner is not None or not self._map():
            return False
        self.owner = owner
        self.limit = limit
        self.begin()
        return True

    def release(self, owner: object, space: AddressSpace) -> None:
        """The last thread of an engine ends."""
        if self.owner is owner:
            self.empty(space)
            self.owner = None

    def _map(self) -> bool:
        native, size = self.native, SIZE
        if self.size:
            return True
        at = native.process + layout.PROCESS_SIZE
        if native.image.tail < layout.PROCESS_SIZE + size or "pvr" not in native.image.sections:
            return False
        if not self._back(at, size):
            return False
        self.rx, self.size = at, size
        table, _ = native.image.sections["pvr"]
        native.set("stencils", native.image.base + table)
        native.set("arena", at)
        native.set("image_end", at + size)
        self.begin()
        return True

    def _back(self, at: int, size: int) -> bool:
        """Put memory there that is executable, and writable elsewhere. False when the host has none, or refuses.

        Anonymous memory, not a memfd: some hosts let no memfd be executed, and perf takes it for a file of its own.
        """
        flags = host.MAP_SHARED | host.MAP_ANONYMOUS | host.MAP_NORESERVE | (host.MAP_FIXED if self.rw else 0)
        rw = host.mmap(self.rw, size, host.PROT_READ | host.PROT_WRITE, flags)
        if rw < 0:
            return False
        # Of an old size of 0, mremap makes a second mapping of shared memory.
        rx = host.mremap(rw, 0, size, host.MREMAP_MAYMOVE | host.MREMAP_FIXED, at)
        if rx < 0 or host.mprotect(at, size, host.PROT_READ | host.PROT_EXEC):
            host.munmap(rw, size)
            return False
        self.rw = rw
        self.native.set("arena_rw", rw)
        return True

    def begin(self) -> None:
        """Take all of the memory for unused: no slot leads to it any more."""
        self.native.set("arena_next", 0)
        self.native.set("arena_room", min(self.size - SPARE, self.limit) if self.rw != self.rx else 0)
        self.native.set("arena_full", 0, 4)
        self.native.set("arena_lock", 0, 4)

    @property
    def used(self) -> int:
        """Bytes of code, and of what stands before each block."""
        return self.native.get("arena_next")

    def counts(self) -> dict[str, int]:
        """What was made, as --stats has it."""
        if not self.size:
            return {"units": 0, "compiled_insns": 0, "code_bytes": 0}
        native = self.native
        made, insns = native.get("blocks"), native.get("block_insns")
        return {"units": made, "compiled_insns": insns, "code_bytes": self.used}

    @property
    def full(self) -> bool:
        """Whether a block found no room."""
        return self.size > 0 and bool(self.native.get("arena_full", 4))

    def blocks(self) -> list[tuple[int, int, int, int]]:
        """(guest address, host address, bytes, instructions) of every block, the oldest first."""
        found, at, end = [], 0, self.used
        view = host.view(self.rw, self.size)
        while at < end:
            pc = int.from_bytes(view[at : at + 8], "little")
            size, insns = memoryview(view[at + 8 : at + 16]).cast("I")
            found.append((pc, self.rx + at + layout.BLOCK_HEADER, size, insns))
            at += layout.BLOCK_HEADER + size + 15 & -16
        return found

    def empty(self, space: AddressSpace) -> None:
        """Give all blocks up, those of the given space, and begin anew. No guest thread is in native code now."""
        base = self.native.decode
        for pc, at, _, _ in self.blocks():
            slot = host.view(space.slots + pc * (layout.SLOT_SIZE >> 1), 8).cast("Q")
            if slot[0] == at - base & 0xFFFF_FFFF:
                slot[0] = 0
        self.resets += 1
        self.begin()

    def forked(self) -> None:
        """In a forked child: the memory is the parent's too, so take a copy. Without one no more is made."""
        if not self.size:
            return
        used = self.used
        code = host.peek(self.rw, used)
        if not self._back(self.rx, self.size):
            self._forget(code)
            return
        host.poke(self.rw, code)

    def _forget(self, code: bytes) -> None:
        """Keep what there is, in memory of our own, and make no more: what is writable is the parent's."""
        host.mmap(self.rx, self.size, host.PROT_READ | host.PROT_WRITE,
                  host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE | host.MAP_FIXED)  # fmt: skip
        host.poke(self.rx, code)
        host.mprotect(self.rx, self.size, host.PROT_READ | host.PROT_EXEC)
        self.rw = self.rx
        self.native.set("arena_room", 0)
