"""Why a vCPU came back: one class an exit, of every accelerator, with what the guest wants and nothing of whose it is.

    match vcpu.run():
        case Mmio(address=0x1000_0000, data=bytes() as data):  # a write
            print(data)
        case Mmio(data=None):  # a read: answer it, or the guest reads all ones
            vcpu.answer(b"\\0")
        case exit:
            raise exit.error()

An exit that no class is for arrives as Unknown, with its number and its raw bytes: the family can grow.
"""

from __future__ import annotations

from polyvm.errors import PolyvmError
from polyvm.vcpu.records import Record


class Exit(Record):
    """The base of all exits."""

    def error(self) -> PolyvmError:
        """This exit as an error, for who does not serve it: PVM-VCPU-EXIT, or PVM-VCPU-FAILED where it is a failure."""
        return PolyvmError(
            "PVM-VCPU-EXIT",
            f"The virtual machine's owner serves no {type(self).__name__} exit.",
            hint="Serve it after run(), or keep the guest from causing it.",
            exit=type(self).__name__,
            **{name: getattr(self, name) for name in type(self)._fields},
        )


# ---------------------------------------------------------------------------------------------- accesses to devices
class Pio(Exit):
    """An x86 port access: `in`, `out` and their string forms. `count` items of `size` bytes at one port.

    data: what is written, of size * count bytes; None for a read, which answer() serves with as many.
    """

    port: int
    size: int
    count: int
    data: bytes | None


class Mmio(Exit):
    """An access to a physical address without memory. data: what is written, `size` bytes; None for a read."""

    address: int
    size: int
    data: bytes | None


class Msr(Exit):
    """rdmsr or wrmsr of a register that the accelerator leaves to its user (x86). value: None for a read.

    reason: "invalid", "unknown" or "filter". fail() answers with a general protection fault.
    """

    index: int
    value: int | None
    reason: str


class SysReg(Exit):
    """A system register or CSR that the accelerator leaves to its user. The read value is answered.

    value, mask: what is to be written, and to which of its bits; mask 0 is a read.
    """

    number: int
    value: int
    mask: int


class IoapicEoi(Exit):
    """The guest ended an interrupt of this vector, and the I/O APIC is ours (split irqchip)."""

    vector: int


class TprAccess(Exit):
    """The guest reads or writes the task priority register (x86)."""

    pc: int
    write: bool


class SetTpr(Exit):
    """The guest raised its task priority (x86, without an interrupt controller in the accelerator)."""


# ---------------------------------------------------------------------------------------------- calls
class Syscall(Exit):
    """A system call instruction of a bare processor, whose registers are the arguments. run() goes on behind it, and so
    does a vCPU whose registers are set: pc too, if it is to go on elsewhere."""

    pc: int


class Hypercall(Exit):
    """A hypercall (vmcall, hvc, smc). answer() gives its result."""

    number: int
    arguments: tuple[int, ...]


class Sbi(Exit):
    """A call of the RISC-V supervisor binary interface. answer() gives its error and value, 8 bytes each."""

    extension: int
    function: int
    arguments: tuple[int, ...]


class Hyperv(Exit):
    """A Hyper-V interface of the guest: kind is "synic", "hypercall" or "debugger"; raw is the kernel's structure."""

    kind: str
    raw: bytes


class Xen(Exit):
    """A Xen hypercall; raw is the kernel's structure."""

    raw: bytes


# ---------------------------------------------------------------------------------------------- the processor's state
class Exception(Exit):
    """An exception of the guest that nobody in it takes: a vector and error code (x86), or the spec's cause by name."""

    cause: int | str
    code: int
    pc: int | None = None


class Debug(Exit):
    """A debugging event before the instruction at pc: kind is "step", "breakpoint" or "watchpoint".

    address: the accessed one, of a watchpoint that says so. dr6: the x86 register, else 0.
    """

    pc: int
    kind: str
    address: int | None = None
    dr6: int = 0


class Halt(Exit):
    """The processor waits for an interrupt (hlt), and there is no interrupt controller that could wake it."""


class Wfi(Exit):
    """The processor waits for an interrupt or event (wfi, wfe)."""


class InterruptWindow(Exit):
    """The guest takes interrupts now: a window that request_interrupt_window() asked for."""


class Nmi(Exit):
    """A non-maskable interrupt of the host came."""


class ApResetHold(Exit):
    """An application processor waits to be started (SEV-ES)."""


class Interrupted(Exit):
    """cancel() was called, or a signal of the host came. run() goes on."""


# ---------------------------------------------------------------------------------------------- the machine's state
class Shutdown(Exit):
    """The machine is to be switched off. reason: "triple fault", "guest", or what the accelerator says."""

    reason: str


class Reset(Exit):
    """The guest wants the machine to be reset. reason: as for Shutdown."""

    reason: str


class Crash(Exit):
    """The guest says that it has crashed, with what it says of it."""

    data: tuple[int, ...]


class Suspend(Exit):
    """The guest wants to be suspended; `kind` is "suspend" or "wakeup"."""

    kind: str


class SystemEvent(Exit):
    """Another event of the whole system, with the accelerator's number of it."""

    number: int
    data: tuple[int, ...]


class MemoryFault(Exit):
    """An access that the accelerator cannot resolve and that is no device's: a missing private page, a bad mapping.

    flags: the accelerator's. access: "read", "write", "fetch" or None where that is not known.
    """

    address: int
    size: int
    flags: int
    access: str | None = None


class NoSyndrome(Exit):
    """An access to a device by an instruction that the hardware does not describe (arm64): decode it at the pc.

    syndrome: ISS of ESR_EL2. address: the physical one.
    """

    syndrome: int
    address: int


class DirtyRingFull(Exit):
    """The ring of dirty pages is full: collect and reset it."""


class BusLock(Exit):
    """The guest locked the bus by a split or uncached atomic access (x86)."""


class Notify(Exit):
    """The guest kept the processor from taking events for too long (x86). invalid: its state is lost."""

    invalid: bool


class Watchdog(Exit):
    """A watchdog of the accelerator expired."""


class RingFull(Exit):
    """The ring of a register that native code serves is full: drain it and run on. Nothing is lost.

    address: the register's, or its port.
    """

    address: int
    port: bool


# ---------------------------------------------------------------------------------------------- failures
class EntryFailure(Exit):
    """The hardware refuses to enter the guest in this state: the vendor's reason, and the host CPU."""

    reason: int
    cpu: int

    def error(self) -> PolyvmError:
        """PVM-VCPU-FAILED."""
        return PolyvmError(
            "PVM-VCPU-FAILED",
            f"The processor refuses to enter the guest, hardware reason {self.reason:#x}.",
            hint="Check the vCPU's system registers: a combination of control bits or segments is not valid.",
            reason=self.reason,
            cpu=self.cpu,
        )


class InternalError(Exit):
    """The accelerator cannot go on: what it calls it, its data, and the instruction's bytes where it says them."""

    kind: str
    suberror: int
    data: tuple[int, ...] = ()
    bytes: bytes = b""

    def error(self) -> PolyvmError:
        """PVM-VCPU-FAILED."""
        hints = {
            "emulation": "The accelerator lacks this instruction here: `polyvm disasm --bytes` may name it.",
            "delivery": "An exception could not be delivered: check the interrupt table and the stack.",
        }
        return PolyvmError(
            "PVM-VCPU-FAILED",
            f"The accelerator cannot go on: {self.kind} (suberror {self.suberror}).",
            hint=hints.get(self.kind, "The data is the accelerator's own; its kernel log may say more."),
            suberror=self.suberror,
            data=[hex(word) for word in self.data],
            bytes=self.bytes,
        )


class Unknown(Exit):
    """An exit that this version has no class for: the accelerator's number, and its raw bytes."""

    number: int
    raw: bytes
