"""Reads and writes of guest memory that never crash the host: checked against the table, then copied.

Private anonymous memory is copied at once. What a file stands behind may vanish under us, because somebody
truncates the file, so it goes through a safe copy. Writing here does not touch decoded code: like a kernel's
copy to the user, it leaves that to the guest's flush, or to drop_code().
"""

from __future__ import annotations

import _thread

from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.regions import EXEC, READ, WRITE, Region, Regions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("read", "write", "fetch")

_READABLE = READ | WRITE  # every host and guest here reads what it may write


class GuestFault(PolyvmError):
    """An access that the guest's memory does not allow.

    `kind` is "read", "write" or "fetch", given so or as 0, 1 or 2 (the state block's `access`);
    `reason` is "unmapped", "protected", or "beyond the file's end".
    """

    def __init__(self, address: int, kind: str | int, reason: str = "unmapped") -> None:
        if isinstance(kind, int):
            kind = KINDS[kind]
        super().__init__(
            "PVM-MEMORY-FAULT",
            f"A guest {kind} at {address:#x} failed: {reason}.",
            address=address,
            kind=kind,
            reason=reason,
        )

    @property
    def address(self) -> int:
        """The first guest address that could not be accessed."""
        address = self.context["address"]
        assert isinstance(address, int)
        return address

    @property
    def kind(self) -> str:
        """What was tried: "read", "write" or "fetch"."""
        return str(self.context["kind"])

    @property
    def access(self) -> int:
        """The kind as a number: 0 read, 1 write, 2 fetch."""
        return KINDS.index(self.kind)

    @property
    def reason(self) -> str:
        """What stood against it: "unmapped" (SEGV_MAPERR), "protected" (SEGV_ACCERR), else SIGBUS."""
        return str(self.context["reason"])


class GuestBytes:
    """The bytes of a guest's address space: what AddressSpace offers to whoever only reads and writes."""

    base: int  # host address of guest address 0
    limit: int  # guest addresses are below it
    page_size: int

    def __init__(self, view: memoryview) -> None:
        self.regions = Regions()
        self.lock = _thread.RLock()  # held by whoever changes the table or copies bytes
        self.safe_read: Callable[[int, int], bytes] = host.safe_read
        self.safe_write: Callable[[int, bytes], int] = host.safe_write
        self._view = view

    def lookup(self, address: int) -> Region | None:
        """The region that holds an address."""
        return self.regions.lookup(address)

    def read(self, address: int, size: int) -> bytes:
        """A copy of guest memory. Raises GuestFault at the first byte that the guest may not read."""
        end = address + size
        with self.lock:
            region = self.regions.lookup(address)
            if region is not None and end <= region.end and region.prot & _READABLE:
                if region.backing is None:
                    return self._view[address:end].tobytes()
                return self._read_safely(region, address, size, "read")
            return self._read_pieces(address, end, _READABLE, "read")

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes into guest memory. Raises GuestFault, with none written, if the guest may not write all.

        Where a file ends earlier than its mapping, what stands before that end is written.
        """
        if isinstance(data, memoryview):
            data = data.tobytes()
        end = address + len(data)
        with self.lock:
            region = self.regions.lookup(address)
            if region is not None and end <= region.end and region.prot & WRITE and region.backing is None:
                self._view[address:end] = data
                return
            self._check(address, end, WRITE, "write")
            done = 0
            for region in self.regions.overlapping(address, end):
                stop = min(end, region.end)
                part = bytes(data[done : stop - address])
                if region.backing is None:
                    self._view[address + done : stop] = part
                else:
                    count = self.safe_write(self.base + address + done, part)
                    if count < len(part):
                        raise GuestFault(address + done + count, "write", "beyond the file's end")
                done = stop - address

    def fetch(self, address: int, size: int) -> bytes:
        """Instruction bytes: up to size of them, fewer where what follows is not executable.

        Raises GuestFault when not even the first byte is executable for the guest.
        """
        with self.lock:
            self._check(address, address + 1, EXEC, "fetch")
            end = address + 1
            for region in self.regions.overlapping(address, address + size):
                if not region.prot & EXEC or region.start > end:
                    break
                end = min(region.end, address + size)
            return self._read_pieces(address, end, EXEC, "fetch")

    def read_cstr(self, address: int, limit: int = 1 << 20) -> bytes:
        """The bytes before the first zero byte; when there is none among the first `limit`, those."""
        parts = []
        page = self.page_size
        while limit > 0:
            part = self.read(address, min(page - address % page, limit))
            stop = part.find(0)
            if stop >= 0:
                parts.append(part[:stop])
                break
            parts.append(part)
            address += len(part)
            limit -= len(part)
        return b"".join(parts)

    def read_u8(self, address: int) -> int:
        """An unsigned byte."""
        return self.read(address, 1)[0]

    def read_u16(self, address: int) -> int:
        """An unsigned 16-bit little-endian word."""
        return int.from_bytes(self.read(address, 2), "little")

    def read_u32(self, address: int) -> int:
        """An unsigned 32-bit little-endian word."""
        return int.from_bytes(self.read(address, 4), "little")

    def read_u64(self, address: int) -> int:
        """An unsigned 64-bit little-endian word."""
        return int.from_bytes(self.read(address, 8), "little")

    def write_u8(self, address: int, value: int) -> None:
        """Write the low 8 bits of value."""
        self.write(address, (value & 0xFF).to_bytes(1, "little"))

    def write_u16(self, address: int, value: int) -> None:
        """Write the low 16 bits of value, little-endian."""
        self.write(address, (value & 0xFFFF).to_bytes(2, "little"))

    def write_u32(self, address: int, value: int) -> None:
        """Write the low 32 bits of value, little-endian."""
        self.write(address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def write_u64(self, address: int, value: int) -> None:
        """Write the low 64 bits of value, little-endian."""
        self.write(address, (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"))

    def host_address(self, address: int, size: int, prot: int = READ) -> int:
        """The host address of guest memory, for a native call that must not stray from it.

        Raises GuestFault unless every byte is mapped and allows prot. The pages behind may still be missing
        (a truncated file): only the kernel may be given the result, never memcpy.
        """
        need, kind = (WRITE, "write") if prot & WRITE else (_READABLE, "read")
        with self.lock:
            self._check(address, address + size, need, kind)
        return self.base + address

    def grow(self, address: int) -> bool:
        """Whether a mapping just above grew down to hold an address; here there are none that could."""
        return False

    def _check(self, address: int, end: int, need: int, kind: str) -> None:
        """Raise GuestFault unless every byte of a range is mapped, with one of the needed rights if any."""
        at = address
        while at < end:
            region = self.regions.lookup(at)
            if region is None:
                if not self.grow(at):
                    raise GuestFault(at, kind, "unmapped")
                continue
            if need and not region.prot & need:
                raise GuestFault(at, kind, "protected")
            at = region.end

    def _read_pieces(self, address: int, end: int, need: int, kind: str) -> bytes:
        """A copy of a range that may span regions."""
        self._check(address, end, need, kind)
        parts = []
        for region in self.regions.overlapping(address, end):
            start, stop = max(address, region.start), min(end, region.end)
            if region.backing is None and region.prot & _READABLE:
                parts.append(self._view[start:stop].tobytes())
            else:
                parts.append(self._read_safely(region, start, stop - start, kind))
        return b"".join(parts)

    def stored(self, region: Region, address: int, size: int) -> bytes:
        """What is there of a part of a region, whether or not the guest may read it: less where its file has ended."""
        # Of what may only be executed the host's page is closed too.
        read = self.safe_read if region.prot & _READABLE else host.read_unreadable
        return read(self.base + address, size)

    def _read_safely(self, region: Region, address: int, size: int, kind: str) -> bytes:
        data = self.stored(region, address, size)
        if len(data) < size:
            raise GuestFault(address + len(data), kind, "beyond the file's end")
        return data
