"""A virtual machine of KVM's: memory slots and their dirty logs, interrupt controllers, doorbells, clock."""

from __future__ import annotations

import weakref

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.kvm import C
from polyvm.accel.kvm.handle import Handle
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.vcpu import capabilities
from polyvm.vcpu.contract import Message, Pin, Region
from polyvm.vcpu.exits import Exit, Mmio, Pio
from polyvm.vcpu.state import VmState, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.accel.kvm.hypervisor import Kvm
    from polyvm.accel.kvm.vcpu import KvmVcpu
    from polyvm.memory.ram import Ram

TSS = 0xFFFB_D000  # three pages below the firmware that Intel's KVM wants for its real mode
IDENTITY_MAP = 0xFFFB_C000  # and one
_ADDRESSES = 1 << 52


class KvmVm(Handle):
    """A virtual machine. Closing it closes its vCPUs."""

    accel = "kvm"

    def __init__(self, hypervisor: Kvm) -> None:
        super().__init__(hypervisor.call("KVM_CREATE_VM"))
        self.hypervisor = hypervisor
        self.guest = hypervisor.guest
        self.slots: dict[int, Region] = {}
        self.slot_limit = hypervisor.extension("KVM_CAP_NR_MEMSLOTS")
        self.irqchip: str | None = None  # "full" or "split"
        self.pit = False
        self._routed = False
        self.vcpus: weakref.WeakValueDictionary[int, KvmVcpu] = weakref.WeakValueDictionary()
        self.call_wide("KVM_SET_TSS_ADDR", TSS)
        self.call("KVM_SET_IDENTITY_MAP_ADDR", bytearray(IDENTITY_MAP.to_bytes(8, "little")))

    def can(self, capability: str) -> bool:
        """Whether it has a capability."""
        return self.hypervisor.can(capability)

    def need(self, capability: str) -> None:
        """Refuse what this KVM cannot do: PVM-ACCEL-CAPABILITY."""
        if not self.can(capability):
            raise capabilities.missing("kvm", capability)

    def create_vcpu(self, number: int = 0) -> KvmVcpu:
        """A processor in reset, whose CPUID is the host's as far as KVM offers it."""
        from polyvm.accel.kvm.vcpu import KvmVcpu

        made = KvmVcpu(self, number)
        self.vcpus[number] = made
        return made

    # ------------------------------------------------------------------------------------------ memory
    def add_memory(
        self,
        address: int,
        ram: Ram,
        *,
        offset: int = 0,
        size: int | None = None,
        readonly: bool = False,
        log_dirty: bool = False,
    ) -> Region:
        """Put memory into the guest's physical space (see vcpu.contract.Vm)."""
        size = ram.size - offset if size is None else size
        page = host.PAGE_SIZE
        if address % page or offset % page or size % page or size <= 0:
            raise PolyvmError(
                "PVM-MEMORY-MAP",
                "Guest memory goes to whole pages.",
                address=address,
                size=size,
                offset=offset,
            )
        if address < 0 or address + size > _ADDRESSES or offset < 0 or offset + size > ram.size:
            raise PolyvmError(
                "PVM-MEMORY-MAP", "There is no such memory, or no such address.", address=address, size=size
            )
        for region in self.slots.values():
            if address < region.end and address + size > region.address:
                raise PolyvmError(
                    "PVM-MEMORY-MAP",
                    "There is memory already.",
                    address=address,
                    size=size,
                    start=region.address,
                )
        if readonly:
            self.need("readonly_memory")
        slot = next(number for number in range(len(self.slots) + 1) if number not in self.slots)
        if slot >= self.slot_limit:
            raise PolyvmError(
                "PVM-ACCEL-SLOTS",
                f"KVM has no more than {self.slot_limit} memory slots for a virtual machine.",
                hint="Join regions that lie side by side, or remove one.",
                address=address,
                size=size,
            )
        region = Region(address, size, ram, offset, readonly, log_dirty, slot)
        self._set_slot(region, size)
        self.slots[slot] = region
        if log_dirty:
            ram.track()
        return region

    def remove_memory(self, region: Region) -> None:
        """Take a region out again."""
        if self.slots.get(region.slot) is not region:
            raise PolyvmError("PVM-MEMORY-MAP", "This region is not in place.", address=region.address)
        self._set_slot(region, 0)
        del self.slots[region.slot]

    def _set_slot(self, region: Region, size: int) -> None:
        flags = region.readonly * C["KVM_MEM_READONLY"] | region.log_dirty * C["KVM_MEM_LOG_DIRTY_PAGES"]
        address = region.ram.address + region.offset
        values = region.slot, flags if size else 0, region.address, size, address
        self.call("KVM_SET_USER_MEMORY_REGION", bytearray(ffi.MEMORY_REGION.codec.pack(*values)))

    def regions(self) -> list[Region]:
        """What is in place, by address."""
        return sorted(self.slots.values(), key=lambda region: region.address)

    def log_dirty(self, region: Region, wanted: bool = True) -> None:
        """Begin or end to log the writes to a region that is in place."""
        if self.slots.get(region.slot) is not region:
            raise PolyvmError("PVM-MEMORY-MAP", "This region is not in place.", address=region.address)
        region.log_dirty = wanted
        self._set_slot(region, region.size)
        if wanted:
            region.ram.track()

    def dirty_log(self, region: Region) -> bytes:
        """Which pages were written since the last call, a bit each: by the guest, and by us through Ram.write."""
        if not region.log_dirty or self.slots.get(region.slot) is not region:
            raise PolyvmError(
                "PVM-USAGE", "This region has no dirty log.", hint="Add it with log_dirty=True.",
                address=region.address,
            )  # fmt: skip
        pages = region.size // host.PAGE_SIZE
        room = (pages + 63) // 64 * 8
        at = host.mmap(0, room, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
        if at < 0:
            raise PolyvmError("PVM-RESOURCE", "The host has no memory for a dirty log.", size=room)
        try:
            self.call("KVM_GET_DIRTY_LOG", bytearray(ffi.DIRTY_LOG.codec.pack(region.slot, 0, at)))
            found = host.peek(at, (pages + 7) // 8)
        finally:
            host.munmap(at, room)
        ours = region.ram.take_dirty(region.offset, region.size)
        return (int.from_bytes(found, "little") | ours).to_bytes(len(found), "little") if ours else found

    # ------------------------------------------------------------------------------------------ interrupts
    def create_irqchip(self, *, split: bool = False, pins: int = 24) -> None:
        """Local APICs, and the I/O APIC and PICs unless split, inside KVM. Before any vCPU."""
        if split:
            self.need("split_irqchip")
            values = ffi.CAPS["KVM_CAP_SPLIT_IRQCHIP"], 0, pins, 0, 0, 0
            self.call("KVM_ENABLE_CAP", bytearray(ffi.ENABLE_CAP.codec.pack(*values)))
        else:
            self.need("irqchip")
            self.call("KVM_CREATE_IRQCHIP")
        self.irqchip = "split" if split else "full"

    def create_pit(self) -> None:
        """The interval timer inside KVM, with port 0x61 answered by it. After create_irqchip()."""
        self.need("pit")
        values = C["KVM_PIT_SPEAKER_DUMMY"], *(0,) * 15
        self.call("KVM_CREATE_PIT2", bytearray(ffi.PIT_CONFIG.codec.pack(*values)))
        self.pit = True

    def set_irq(self, line: int, level: bool) -> None:
        """Raise or lower a line of the interrupt controller."""
        if self.irqchip == "split" and not self._routed:  # KVM would take it and do nothing
            raise PolyvmError(
                "PVM-USAGE",
                "The interrupt controller with lines is outside.",
                hint="Use signal_msi(), or lead lines to messages with set_routes().",
            )
        self.call("KVM_IRQ_LINE", bytearray(ffi.IRQ_LEVEL.codec.pack(line, level)))

    def set_routes(self, routes: Iterable[Pin | Message]) -> None:
        """Where every line leads from now on (see vcpu.contract.Vm)."""
        self.need("routes")
        rows = []
        for route in routes:
            if isinstance(route, Pin):
                kind = C["KVM_IRQ_ROUTING_IRQCHIP"]
                body = ffi.ROUTE_IRQCHIP.codec.pack(route.chip, route.pin)
            else:
                kind = C["KVM_IRQ_ROUTING_MSI"]
                low, high = route.address & 0xFFFF_FFFF, route.address >> 32
                body = ffi.ROUTE_MSI.codec.pack(low, high, route.data, 0)
            head = ffi.ROUTE.codec.pack(route.line, kind, 0, 0)
            rows.append(head[: ffi.ROUTE.offset("u")] + body + bytes(ffi.ROUTE.places["u"][1] - len(body)))
        self.call("KVM_SET_GSI_ROUTING", bytearray(ffi.ROUTING.codec.pack(len(rows), 0) + b"".join(rows)))
        self._routed = True

    def signal_msi(self, address: int, data: int) -> bool:
        """Send a message-signalled interrupt; whether it was delivered, rather than masked in the guest."""
        self.need("msi")
        values = address & 0xFFFF_FFFF, address >> 32, data, 0, 0
        return self.call("KVM_SIGNAL_MSI", bytearray(ffi.MSI.codec.pack(*values))) > 0

    def exit_on_msrs(self, wanted: bool = True) -> None:
        """Have accesses to MSRs that KVM does not know, or values that it does not take, be exits instead of faults."""
        self.need("msr_exits")
        mask = C["KVM_MSR_EXIT_REASON_UNKNOWN"] | C["KVM_MSR_EXIT_REASON_INVAL"] if wanted else 0
        values = ffi.CAPS["KVM_CAP_X86_USER_SPACE_MSR"], 0, mask, 0, 0, 0
        self.call("KVM_ENABLE_CAP", bytearray(ffi.ENABLE_CAP.codec.pack(*values)))

    # ------------------------------------------------------------------------------------------ doorbells
    def add_ioeventfd(
        self, address: int, fd: int, *, size: int = 0, match: int | None = None, port: bool = False
    ) -> None:
        """Have writes to an address signal an eventfd instead of being exits (see vcpu.contract.Vm)."""
        self.need("ioeventfd")
        self._ioeventfd(address, fd, size, match, port, 0)

    def remove_ioeventfd(
        self, address: int, fd: int, *, size: int = 0, match: int | None = None, port: bool = False
    ) -> None:
        """Take it back: with what it was added with."""
        self._ioeventfd(address, fd, size, match, port, C["KVM_IOEVENTFD_FLAG_DEASSIGN"])

    def _ioeventfd(self, address: int, fd: int, size: int, match: int | None, port: bool, flags: int) -> None:
        flags |= port * C["KVM_IOEVENTFD_FLAG_PIO"]
        flags |= (match is not None) * C["KVM_IOEVENTFD_FLAG_DATAMATCH"]
        self.call("KVM_IOEVENTFD", bytearray(ffi.IOEVENTFD.codec.pack(match or 0, address, size, fd, flags)))

    def add_irqfd(self, fd: int, line: int, *, resample: int | None = None) -> None:
        """Have an eventfd raise a line (see vcpu.contract.Vm)."""
        self.need("irqfd")
        flags = 0 if resample is None else C["KVM_IRQFD_FLAG_RESAMPLE"]
        self.call("KVM_IRQFD", bytearray(ffi.IRQFD.codec.pack(fd, line, flags, resample or 0)))

    def remove_irqfd(self, fd: int, line: int) -> None:
        """Take it back."""
        flags = C["KVM_IRQFD_FLAG_DEASSIGN"]
        self.call("KVM_IRQFD", bytearray(ffi.IRQFD.codec.pack(fd, line, flags, 0)))

    def add_coalesced(self, address: int, size: int, *, port: bool = False) -> None:
        """Have writes to a range collected in a ring instead of being exits: drain_coalesced() has them."""
        self.need("coalesced")
        self.call("KVM_REGISTER_COALESCED_MMIO", bytearray(ffi.ZONE.codec.pack(address, size, port)))

    def remove_coalesced(self, address: int, size: int, *, port: bool = False) -> None:
        """Take it back."""
        self.call("KVM_UNREGISTER_COALESCED_MMIO", bytearray(ffi.ZONE.codec.pack(address, size, port)))

    def drain_coalesced(self) -> list[Exit]:
        """The collected writes, oldest first, as the exits that they would have been. All vCPUs share the ring."""
        vcpu = next(iter(self.vcpus.values()), None)
        if vcpu is None:
            return []
        start = C["KVM_COALESCED_MMIO_PAGE_OFFSET"] * host.PAGE_SIZE
        ring = vcpu.page[start : start + host.PAGE_SIZE]
        first, last = ffi.COALESCED_RING.codec.unpack_from(ring)
        head, each = ffi.COALESCED_RING.size, ffi.COALESCED.size
        count = (host.PAGE_SIZE - head) // each
        found: list[Exit] = []
        while first != last:
            at = head + first * each
            address, size, port = ffi.COALESCED.codec.unpack_from(ring, at)
            place = at + ffi.COALESCED.offset("data")
            data = bytes(ring[place : place + size])
            found.append(Pio(address, size, 1, data) if port else Mmio(address, size, data))
            first = (first + 1) % count
        ring[:4] = first.to_bytes(4, "little")
        return found

    # ------------------------------------------------------------------------------------------ clock and state
    @property
    def clock(self) -> int:
        """The guest's paravirtual clock, in nanoseconds."""
        clock: int = ffi.CLOCK.codec.unpack(self.fill("KVM_GET_CLOCK", ffi.CLOCK.size))[0]
        return clock

    @clock.setter
    def clock(self, nanoseconds: int) -> None:
        self.need("clock")
        self.call("KVM_SET_CLOCK", bytearray(ffi.CLOCK.codec.pack(nanoseconds, *(0,) * 8)))

    def save(self) -> VmState:
        """Clock, interrupt controllers and timer."""
        blobs = {}
        if self.irqchip == "full":
            for chip in range(C["KVM_NR_IRQCHIPS"]):
                data = bytearray(ffi.IRQCHIP.codec.pack(chip, 0))
                self.call("KVM_GET_IRQCHIP", data)
                blobs[f"irqchip{chip}"] = bytes(data)
        if self.pit:
            blobs["pit"] = bytes(self.fill("KVM_GET_PIT2", ffi.PIT_STATE.size))
        return VmState(self.guest, self.accel, self.clock if self.can("clock") else None, blobs)

    def restore(self, state: VmState) -> None:
        """Put back what save() gave, into this or another Vm of KVM's with the same controllers."""
        check(state, self.guest)
        if state.blobs and state.accel != self.accel:
            raise PolyvmError(
                "PVM-UNSUPPORTED", f"These are interrupt controllers of {state.accel}, and this is KVM."
            )
        for name, data in state.blobs.items():
            self.call("KVM_SET_PIT2" if name == "pit" else "KVM_SET_IRQCHIP", bytearray(data))
        if state.clock is not None:
            self.clock = state.clock

    def close(self) -> None:
        """Give everything back, vCPUs first."""
        for vcpu in list(getattr(self, "vcpus", {}).values()):
            vcpu.close()
        super().close()
