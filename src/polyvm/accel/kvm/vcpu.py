"""A vCPU of KVM's: running it, answering it, stopping it from outside, debugging it.

cancel() sets `immediate_exit`, which KVM looks at on its way in, and sends the thread that is inside a signal: one that
is blocked everywhere but in KVM_RUN, so that it needs no handler, belongs to nobody else, and cannot come too early.
"""

from __future__ import annotations

import _signal
import _thread
import errno
import fcntl
import os

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.kvm import C
from polyvm.accel.kvm import decode
from polyvm.accel.kvm.handle import Handle, refused
from polyvm.accel.kvm.hypervisor import NESTED, PARAVIRTUAL
from polyvm.accel.kvm.registers import KvmAccess
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.vcpu import capabilities
from polyvm.vcpu.exits import Exit, Interrupted, Mmio, Pio
from polyvm.vcpu.registers import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from polyvm.accel.kvm.loop import Latch, Loop, Ring
    from polyvm.accel.kvm.vm import KvmVm
    from polyvm.vcpu.contract import Breakpoint
    from polyvm.vcpu.state import VcpuState

KICK = _signal.SIGRTMIN + 5
"""The signal that takes a thread out of KVM_RUN. Blocked in every thread that has run a vCPU, and consumed there."""

_RUN = ffi.NUMBERS["KVM_RUN"]
_START = ffi.RUN_UNION
_REASON = ffi.RUN.offset("exit_reason") >> 2
_IMMEDIATE, _WINDOW = ffi.RUN.offset("immediate_exit"), ffi.RUN.offset("request_interrupt_window")
_READY = ffi.RUN.offset("ready_for_interrupt_injection")
_IO, _MMIO = ffi.EXITS["KVM_EXIT_IO"], ffi.EXITS["KVM_EXIT_MMIO"]
_INTR = ffi.EXITS["KVM_EXIT_INTR"]
_NO_EXIT = (_INTR, ffi.EXITS["KVM_EXIT_UNKNOWN"])  # what the run page says when KVM_RUN was interrupted
_OUT = C["KVM_EXIT_IO_OUT"]
_MMIO_DATA = _START + ffi.EXIT_MMIO.offset("data")
_io, _mmio = ffi.EXIT_IO.codec.unpack_from, ffi.EXIT_MMIO.codec.unpack_from
_KINDS = {"execute": 0, "write": 1, "access": 3}  # DR7's R/W field (Intel SDM volume 3, 17.2.4)
_SIZES = {1: 0, 2: 1, 4: 3, 8: 2}  # and its LEN
_DPL = 3 << 5  # of a segment's access rights: the stack's is the ring that the guest is in
_SYS_TGKILL = {"x86_64": 234, "aarch64": 131, "riscv64": 131}

_own = _thread._local()
"""A thread's number with the kernel, once it has the signal blocked: numbers alone come back with other threads."""


class KvmVcpu(Handle):
    """A processor; one thread runs it at a time."""

    def __init__(self, vm: KvmVm, number: int) -> None:
        self.page_address = self._inside = 0
        super().__init__(-1)
        self.vm = vm
        self.number = number
        self.fd = vm.call("KVM_CREATE_VCPU", number)
        self.page_size = size = vm.hypervisor.call("KVM_GET_VCPU_MMAP_SIZE")
        at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_SHARED, self.fd)
        if at < 0:
            raise PolyvmError(
                "PVM-RESOURCE", "The host has no memory for a vCPU.", errno=errno.errorcode[-at]
            )
        self.page_address = at
        self.page = host.view(at, size)
        self.words = self.page.cast("I")
        self.registers = Registers(KvmAccess(self))
        self.msrs = vm.hypervisor.msrs()
        large = vm.hypervisor.extension("KVM_CAP_XSAVE2")
        self.xsave_size = max(large, ffi.XSAVE.size)
        self.get_xsave = "KVM_GET_XSAVE2" if large else "KVM_GET_XSAVE"
        self.loop: Loop | None = None
        self._lock = _thread.allocate_lock()  # cancel() against the end of a run
        self._tid = (
            -1
        )  # the kernel's number of the thread that ran it last; `_inside` is that while it runs, else 0
        self._wanted = False  # somebody called cancel()
        self._kicked = False  # and the thread inside was sent the signal
        self._answer: tuple[int, int] | None = None  # where in the page, and how many bytes
        self._answered = False
        self._ring_full = False  # the last exit is looked at again when it is run next
        self._unfinished = False  # the last exit's access is completed by the next KVM_RUN
        self._held: Exit | None = None  # an exit that finishing another one led to
        self._set_cpuid(bytearray(vm.hypervisor.cpuid()))

    # ------------------------------------------------------------------------------------------ running
    def run(self) -> Exit:
        """Execute until something must be done outside (see vcpu.contract.Vcpu)."""
        if getattr(_own, "tid", 0) != self._tid:
            self._adopt()
        if self._held is not None:
            held, self._held = self._held, None
            return held
        with self._lock:
            if self._inside:
                raise self._busy()
            self._inside = self._tid
        if self._ring_full:
            self._ring_full = False
        else:
            self.words[_REASON] = _INTR
        try:
            while True:
                number = self._enter() if self.loop is None else self.loop.enter()
                if not number:
                    return self.exit()
                if number > 0 and self.loop is not None:
                    self._unfinished, self._ring_full = False, True
                    return self.loop.full()
                if number == -errno.EINTR:
                    if self._interrupted():
                        return Interrupted()
                elif number != -errno.EAGAIN:  # that is: it waited to be started by another one, and was
                    return self._failed(-number)
        except KeyboardInterrupt:
            # Between KVM's return and ours: the next run tells of the exit that came.
            if self.words[_REASON] not in _NO_EXIT and not (self.loop and self.loop.resumes()):
                self._held = self.exit()
            raise
        finally:
            with self._lock:
                self._inside = 0

    def call(self, name: str, argument: int | bytearray = 0) -> int:
        """Make an ioctl, which would wait for a run that is under way: PVM-USAGE instead."""
        if self._inside:
            raise self._busy()
        return super().call(name, argument)

    def _busy(self) -> PolyvmError:
        return PolyvmError(
            "PVM-USAGE",
            "This vCPU is running.",
            hint="cancel() it, and use it when run() has returned.",
            vcpu=self.number,
        )

    def _enter(self) -> int:
        """KVM_RUN: 0 for an exit, else -errno."""
        try:
            return fcntl.ioctl(self.fd, _RUN, 0)
        except OSError as error:
            return -(error.errno or errno.EIO)

    def exit(self) -> Exit:
        """The exit that the run page tells of."""
        page = self.page
        reason = self.words[_REASON]
        self._answer = None
        self._answered = False
        self._unfinished = True
        if reason == _IO:
            direction, size, port, count, offset = _io(page, _START)
            if direction == _OUT:
                return Pio(port, size, count, bytes(page[offset : offset + size * count]))
            self._wait(offset, size * count)
            return Pio(port, size, count, None)
        if reason == _MMIO:
            address, size, write = _mmio(page, _START)
            if write:
                return Mmio(address, size, bytes(page[_MMIO_DATA : _MMIO_DATA + size]))
            self._wait(_MMIO_DATA, size)
            return Mmio(address, size, None)
        made, place = decode.decode(reason, page)
        if place is not None:
            self._answer = place
        return made

    def _wait(self, offset: int, size: int) -> None:
        """An answer of so many bytes goes there; without one, a bus that nobody drives reads as ones."""
        self._answer = offset, size
        self.page[offset : offset + size] = b"\xff" * size

    def answer(self, value: int | bytes) -> None:
        """What the last exit reads. Raises PVM-USAGE when nothing is read, or the size is another."""
        if self._answer is None:
            raise PolyvmError("PVM-USAGE", "The last exit reads nothing that could be answered.")
        offset, size = self._answer
        if isinstance(value, int):
            value = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        if len(value) != size:
            raise PolyvmError("PVM-USAGE", f"The answer has {len(value)} bytes, and {size} are read.")
        self.page[offset : offset + size] = value
        self._answered = True

    def fail(self) -> None:
        """Answer the last exit, of an MSR, with a general protection fault."""
        if self.words[_REASON] not in (ffi.EXITS["KVM_EXIT_X86_RDMSR"], ffi.EXITS["KVM_EXIT_X86_WRMSR"]):
            raise PolyvmError("PVM-USAGE", "Only an access to an MSR can be answered with a fault.")
        self.page[_START] = 1

    def _failed(self, number: int) -> Exit:
        """KVM_RUN itself failed."""
        self._answer = None
        self._unfinished = False
        if number == errno.EFAULT:
            if self.words[_REASON] == ffi.EXITS["KVM_EXIT_MEMORY_FAULT"]:
                return decode.memory_fault(self.page)[0]
            raise PolyvmError(
                "PVM-VCPU-FAILED",
                "The guest's memory is not there any more: its mapping in this process is gone or protected.",
                hint="Keep a Ram open, and files that it was restored from whole, while it is in place.",
                errno="EFAULT",
            )
        raise refused("KVM_RUN", number)

    # ------------------------------------------------------------------------------------------ stopping
    def cancel(self) -> None:
        """Have the run under way, or the next one, return Interrupted, once. From any thread."""
        with self._lock:
            if self.fd < 0:
                return
            self._wanted = True
            self.page[_IMMEDIATE] = 1
            if self._inside and not self._kicked:
                self._kicked = True
                host.syscall(_SYS_TGKILL[os.uname().machine], os.getpid(), self._inside, KICK)

    def _interrupted(self) -> bool:
        """KVM_RUN came back for a signal: whether it was ours."""
        with self._lock:
            asked = self._wanted
            self._wanted = self._kicked = False
            self.page[_IMMEDIATE] = 0
        # One that is left of an earlier run, of this vCPU or another, would end the next one at once.
        while _signal.sigtimedwait([KICK], 0) is not None:
            pass
        self._unfinished = False
        return asked

    def _adopt(self) -> None:
        """The calling thread runs it from now on: in there, and nowhere else, the signal is let through."""
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, [KICK])
        bits = sum(1 << signal - 1 for signal in mask if signal != KICK)
        self.call(
            "KVM_SET_SIGNAL_MASK", bytearray(ffi.SIGNAL_MASK.codec.pack(8) + bits.to_bytes(8, "little"))
        )
        self._tid = _own.tid = _thread.get_native_id()

    def finish(self, *, unanswered: bool = True) -> None:
        """Complete what the last exit left unfinished, so that the registers are whole.

        unanswered: a read that was not answered too, which then reads as ones and cannot be answered any more.
        """
        if not self._unfinished or self._held is not None:
            return
        if self._answer is not None and not (self._answered or unanswered):
            return
        if getattr(_own, "tid", 0) != self._tid:
            self._adopt()
        self.page[_IMMEDIATE] = 1
        try:
            fcntl.ioctl(self.fd, _RUN, 0)
        except OSError as error:
            if error.errno != errno.EINTR:
                raise refused("KVM_RUN", error.errno or 0) from None
            self._unfinished = False
            self._answer = None
        else:
            self._held = self.exit()  # an access of several parts: the next one
        finally:
            with self._lock:
                self.page[_IMMEDIATE] = self._wanted

    # ------------------------------------------------------------------------------------------ native registers
    def serve_latch(self, address: int, size: int, *, port: bool = False, value: int = 0) -> Latch:
        """Have native code serve a register that reads as what was written last (see vcpu.contract.Vcpu)."""
        made: Latch = self._native().add(address, size, port, 0)  # type: ignore[assignment]  # without a capacity
        made.value = value
        return made

    def serve_ring(self, address: int, size: int, *, port: bool = False, capacity: int = 4096) -> Ring:
        """Have native code collect what is written to a register (see vcpu.contract.Vcpu)."""
        if not capacity:
            raise PolyvmError("PVM-USAGE", "A ring without capacity collects nothing.")
        return self._native().add(address, size, port, capacity)  # type: ignore[return-value]  # with a capacity

    def serve_no_more(self, served: object) -> None:
        """Have accesses to a register be exits again."""
        self._native().remove(served)

    def _native(self) -> Loop:
        if self._inside or self.fd < 0:
            raise PolyvmError("PVM-USAGE", "What native code serves is changed while the vCPU does not run.")
        if self.loop is None:
            self.vm.need("native_loop")
            from polyvm.accel.kvm.loop import Loop

            self.loop = Loop(self)
        return self.loop

    # ------------------------------------------------------------------------------------------ state
    def save(self) -> VcpuState:
        """All of its state. Raises PVM-USAGE between the parts of one access: run() on first."""
        from polyvm.accel.kvm import state

        self.finish()
        if self._held is not None or self._ring_full:
            raise PolyvmError(
                "PVM-USAGE",
                "The guest is between two parts of one access.",
                hint="Run it on, serve the exit that comes, and save then.",
            )
        return state.save(self)

    def restore(self, state: VcpuState) -> None:
        """Put state back."""
        from polyvm.accel.kvm import state as states

        self.finish()
        self._held = None
        states.restore(self, state)

    def debug(self, *, step: bool = False, breakpoints: Iterable[Breakpoint] = ()) -> None:
        """Stop after each instruction, or at these places, at most four."""
        places = list(breakpoints)
        if len(places) > 4:
            raise PolyvmError(
                "PVM-USAGE", f"The processor has 4 hardware breakpoints, and {len(places)} are wanted."
            )
        control, dr7, addresses = 0, 0x400, [0, 0, 0, 0]  # bit 10 is always set
        for number, place in enumerate(places):
            size = 1 if place.kind == "execute" else place.size
            if place.kind not in _KINDS or size not in _SIZES or place.address % size:
                raise PolyvmError(
                    "PVM-USAGE", f"{place} is no breakpoint that the processor has.",
                    hint="Watched sizes are 1, 2, 4 and 8, and addresses their multiples.",
                )  # fmt: skip
            addresses[number] = place.address
            dr7 |= 2 << 2 * number | (_KINDS[place.kind] | _SIZES[size] << 2) << 16 + 4 * number
        if any(place.kind != "execute" for place in places):
            self.vm.need("watchpoints")
        if (step or places) and self.vm.hypervisor.kind == PARAVIRTUAL and self.registers["ss_access"] & _DPL:
            raise capabilities.missing(
                "kvm_pvm", "single_step" if step else "breakpoints", hint="It debugs ring 0 only."
            )
        if step or places:
            control |= C["KVM_GUESTDBG_ENABLE"]
        control |= step * C["KVM_GUESTDBG_SINGLESTEP"] | bool(places) * C["KVM_GUESTDBG_USE_HW_BP"]
        values = control, 0, *addresses, 0, 0, 0, dr7
        self.call("KVM_SET_GUEST_DEBUG", bytearray(ffi.GUEST_DEBUG.codec.pack(*values)))

    # ------------------------------------------------------------------------------------------ interrupts
    def interrupt(self, vector: int) -> None:
        """Hand it an interrupt by vector. Raises PVM-USAGE when the guest takes none now, or has a controller."""
        if self.vm.irqchip:
            raise PolyvmError(
                "PVM-USAGE", "The interrupt controller in KVM hands interrupts out.", hint="Use set_irq()."
            )
        if not self.page[_READY] and self._tid > 0:
            raise PolyvmError(
                "PVM-USAGE",
                "The guest takes no interrupt now.",
                hint="request_interrupt_window() makes run() return InterruptWindow when it does.",
            )
        self.call("KVM_INTERRUPT", bytearray(ffi.INTERRUPT.codec.pack(vector)))

    def request_interrupt_window(self, wanted: bool = True) -> None:
        """Have run() return InterruptWindow as soon as the guest takes interrupts."""
        self.page[_WINDOW] = wanted

    def nmi(self) -> None:
        """A non-maskable interrupt."""
        self.call("KVM_NMI")

    def translate(self, address: int) -> int | None:
        """The physical address of a virtual one, by the guest's tables; None where there is none."""
        self.finish()
        data = bytearray(ffi.TRANSLATION.codec.pack(address, *(0,) * 9))
        self.call("KVM_TRANSLATE", data)
        found = ffi.TRANSLATION.unpack(data)
        return found["physical_address"] if found["valid"] else None

    # ------------------------------------------------------------------------------------------ CPUID, clock
    def cpuid(self) -> dict[tuple[int, int], tuple[int, int, int, int]]:
        """What the guest's CPUID says: (leaf, subleaf) -> (eax, ebx, ecx, edx)."""
        data = bytearray(self.vm.hypervisor.cpuid())
        self.call("KVM_GET_CPUID2", data)
        found = {}
        for at in range(ffi.CPUID.size, len(data), ffi.CPUID_ENTRY.size):
            leaf, subleaf, _, *values = ffi.CPUID_ENTRY.codec.unpack_from(data, at)
            found[leaf, subleaf] = (values[0], values[1], values[2], values[3])
        return found

    def set_cpuid(self, leaves: Mapping[tuple[int, int], tuple[int, int, int, int]]) -> None:
        """Have the guest's CPUID say this. Before it has run. Raises PVM-UNSUPPORTED for nested virtualisation."""
        for leaf, word, bit in NESTED:
            if leaves.get((leaf, 0), (0, 0, 0, 0))[word] & bit:
                raise capabilities.missing("kvm", "nested", hint="Clear VMX and SVM in the guest's CPUID.")
        several = {leaf for leaf, subleaf in leaves if subleaf}
        offered = self.vm.hypervisor.cpuid()
        for at in range(ffi.CPUID.size, len(offered), ffi.CPUID_ENTRY.size):
            leaf, _, flags = ffi.CPUID_ENTRY.codec.unpack_from(offered, at)[:3]
            if flags & C["KVM_CPUID_FLAG_SIGNIFCANT_INDEX"]:
                several.add(leaf)
        rows = [
            ffi.CPUID_ENTRY.codec.pack(
                leaf, subleaf, (leaf in several) * C["KVM_CPUID_FLAG_SIGNIFCANT_INDEX"], *values, 0, 0, 0
            )
            for (leaf, subleaf), values in leaves.items()
        ]
        self.call("KVM_SET_CPUID2", bytearray(ffi.CPUID.codec.pack(len(rows), 0) + b"".join(rows)))

    def _set_cpuid(self, data: bytearray) -> None:
        """The host's, but for the number of this processor (Intel SDM volume 2, CPUID leaves 1, 0xB and 0x1F)."""
        for at in range(ffi.CPUID.size, len(data), ffi.CPUID_ENTRY.size):
            leaf = int.from_bytes(data[at : at + 4], "little")
            if leaf == 1:
                data[at + ffi.CPUID_ENTRY.offset("ebx") + 3] = self.number & 0xFF
            elif leaf in (0xB, 0x1F):
                place = at + ffi.CPUID_ENTRY.offset("edx")
                data[place : place + 4] = self.number.to_bytes(4, "little")
        self.call("KVM_SET_CPUID2", data)

    @property
    def tsc_khz(self) -> int:
        """The rate of the guest's time stamp counter."""
        return self.call("KVM_GET_TSC_KHZ")

    @tsc_khz.setter
    def tsc_khz(self, rate: int) -> None:
        self.call("KVM_SET_TSC_KHZ", rate)

    def note_pause(self) -> None:
        """Tell a guest with a paravirtual clock that it was paused, so that its watchdogs keep quiet."""
        try:
            self.call("KVM_KVMCLOCK_CTRL")
        except PolyvmError as error:
            if error.context.get("errno") != "EINVAL":  # that is: the guest uses no such clock
                raise

    # ------------------------------------------------------------------------------------------ the end
    def close(self) -> None:
        """Give it back. It must not be running."""
        with self._lock:
            if self._inside:
                raise self._busy()
            self._release()

    def _release(self) -> None:
        if self.loop is not None:
            self.loop.close()
            self.loop = None
        if self.page_address:
            self.words.release()
            self.page.release()
            host.munmap(self.page_address, self.page_size)
            self.page_address = 0
        super().close()

    def __del__(self) -> None:
        try:
            self._release()
        except (AttributeError, BufferError):
            super().close()
