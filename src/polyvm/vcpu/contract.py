"""The three protocols. An accelerator is a module of `polyvm.accel` whose classes have these shapes.

One host thread runs a vCPU, and may be another each time; everything else about a vCPU is called while it does not
run, but for cancel(). A Vm may be called from any thread. Addresses are guest physical ones, sizes bytes.
"""

from __future__ import annotations

from polyvm.vcpu.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from polyvm.memory.ram import Ram
    from polyvm.vcpu.exits import Exit
    from polyvm.vcpu.registers import Registers
    from polyvm.vcpu.state import VcpuState, VmState
else:
    Protocol = object

BREAKPOINT_KINDS = ("execute", "write", "access")


class Breakpoint(Record):
    """Where a vCPU is to stop. kind: "execute", or "write" or "access" to `size` bytes, 1, 2, 4 or 8, aligned."""

    address: int
    kind: str = "execute"
    size: int = 1


class Pin(Record):
    """Where a line leads: a pin of an interrupt controller. chip: 0 and 1 are the PICs, 2 is the I/O APIC (x86)."""

    line: int
    chip: int
    pin: int


class Message(Record):
    """Where a line leads: a message-signalled interrupt."""

    line: int
    address: int
    data: int


class Region(Record):
    """Guest memory in place: `size` bytes of `ram` from `offset` on, at a guest physical address."""

    address: int
    size: int
    ram: Ram
    offset: int
    readonly: bool
    log_dirty: bool
    slot: int

    @property
    def end(self) -> int:
        """Past its last address."""
        return self.address + self.size


class Latch(Protocol):
    """A register that native code serves: it reads as what was written last, by the guest or here."""

    value: int
    """What it holds. From any thread."""

    @property
    def count(self) -> int:
        """How many accesses were served."""


class Ring(Protocol):
    """A register whose writes native code collects."""

    @property
    def count(self) -> int:
        """How many accesses were served."""

    def drain(self) -> bytes:
        """What was written since the last call, oldest first."""


class Hypervisor(Protocol):
    """Who executes guests: the way to virtual machines."""

    accel: str
    """"jit", "kvm", "hvf" or "whp"."""
    guest: str
    """The processor of its virtual machines."""
    kind: str | None
    """What there is to know of who is behind it, such as "kvm_pvm"; None for nothing in particular."""

    def create_vm(self) -> Vm:
        """A virtual machine without memory and processors."""

    def can(self, capability: str) -> bool:
        """Whether its virtual machines have a capability, one of `vcpu.capabilities.CAPABILITIES`."""

    def close(self) -> None:
        """Give it back, when no virtual machine is made of it any more."""


class Vm(Protocol):
    """A virtual machine: memory, interrupts, clock, and the way to vCPUs."""

    accel: str
    guest: str

    def can(self, capability: str) -> bool:
        """Whether it has a capability."""

    def create_vcpu(self, number: int = 0) -> Vcpu:
        """A processor, in the state of its architecture's reset."""

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
        """Put memory into the guest's physical space, whole pages. The Ram must live as long.

        Raises PVM-MEMORY-MAP for what overlaps or is not aligned, PVM-ACCEL-SLOTS when there are no more slots.
        """

    def remove_memory(self, region: Region) -> None:
        """Take it out again. No vCPU may be in need of it."""

    def regions(self) -> list[Region]:
        """What is in place, by address."""

    def dirty_log(self, region: Region) -> bytes:
        """Which pages were written since the last call, by the guest or through Ram.write: a bit each, lowest first."""

    def log_dirty(self, region: Region, wanted: bool = True) -> None:
        """Begin or end to log the writes to a region that is in place."""

    # ------------------------------------------------------------------------------------------ interrupts, devices
    def create_irqchip(self, *, split: bool = False, pins: int = 24) -> None:
        """Interrupt controllers inside the accelerator, before any vCPU; split: the I/O one stays outside."""

    def set_irq(self, line: int, level: bool) -> None:
        """Raise or lower a line of the interrupt controller."""

    def signal_msi(self, address: int, data: int) -> bool:
        """Send a message-signalled interrupt; whether it was delivered."""

    def set_routes(self, routes: Iterable[Pin | Message]) -> None:
        """Where every line leads from now on: those of set_irq() and of irqfds. A line may lead to several pins."""

    def exit_on_msrs(self, wanted: bool = True) -> None:
        """Have accesses to MSRs that the accelerator does not know, or values it does not take, be Msr exits (x86)."""

    def add_ioeventfd(self, address: int, fd: int, *, size: int = 0, match: int | None = None,
                      port: bool = False) -> None:  # fmt: skip
        """Have writes of `size` bytes (0: any) to an address signal an eventfd instead of being exits.

        match: only those of this value.
        """

    def remove_ioeventfd(self, address: int, fd: int, *, size: int = 0, match: int | None = None,
                         port: bool = False) -> None:  # fmt: skip
        """Take it back."""

    def add_irqfd(self, fd: int, line: int, *, resample: int | None = None) -> None:
        """Have an eventfd raise a line: an edge, or a level until the guest ends it, which signals `resample`."""

    def remove_irqfd(self, fd: int, line: int) -> None:
        """Take it back."""

    # ------------------------------------------------------------------------------------------ state
    def save(self) -> VmState:
        """What is neither memory nor a vCPU's."""

    def restore(self, state: VmState) -> None:
        """Put it back, into this or another Vm of the same accelerator with the same controllers."""

    def close(self) -> None:
        """Give everything back; its vCPUs first."""


class Vcpu(Protocol):
    """A processor of a virtual machine."""

    number: int
    registers: Registers

    def run(self) -> Exit:
        """Execute until something must be done outside. The GIL is released meanwhile.

        Ctrl-C is KeyboardInterrupt in the main thread; afterwards run() goes on.
        """

    def answer(self, value: int | bytes) -> None:
        """What the access, call or register of the last exit reads: an int, or its bytes, lowest first."""

    def fail(self) -> None:
        """Answer the last exit, of an MSR, with a general protection fault."""

    def cancel(self) -> None:
        """Have the run under way, or else the next one, return Interrupted, once. From any thread."""

    def serve_latch(self, address: int, size: int, *, port: bool = False, value: int = 0) -> Latch:
        """Have native code serve a register of 1, 2, 4 or 8 bytes: it reads as what was written last."""

    def serve_ring(self, address: int, size: int, *, port: bool = False, capacity: int = 4096) -> Ring:
        """Have native code collect what is written to a register; run() returns RingFull when the ring has no room."""

    def serve_no_more(self, served: object) -> None:
        """Have accesses to it be exits again."""

    def save(self) -> VcpuState:
        """All of its state. What the last exit left unfinished is finished first, as answered."""

    def restore(self, state: VcpuState) -> None:
        """Put state back that was saved of this vCPU or another one of the same guest."""

    def debug(self, *, step: bool = False, breakpoints: Iterable[Breakpoint] = ()) -> None:
        """From now on stop after each instruction, or at these places, and nowhere else."""

    def interrupt(self, vector: int) -> None:
        """Hand it an interrupt by vector, where there is no interrupt controller. Raises PVM-USAGE if it takes none."""

    def nmi(self) -> None:
        """A non-maskable interrupt."""

    def translate(self, address: int) -> int | None:
        """The physical address of a virtual one, by the guest's tables; None where there is none."""

    def set_cpuid(self, leaves: Mapping[tuple[int, int], tuple[int, int, int, int]]) -> None:
        """What the guest's CPUID says: (leaf, subleaf) -> (eax, ebx, ecx, edx)."""

    def close(self) -> None:
        """Give it back. It must not be running."""
