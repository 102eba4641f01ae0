"""The JIT as an accelerator: a bare processor of any guest that polyvm translates, on every host that it runs on.

    vm = Jit("riscv64").create_vm()
    vm.add_memory(0, ram)
    cpu = vm.create_vcpu()
    cpu.registers["pc"] = 0x1000
    exit = cpu.run()

Guest physical is guest virtual: there is no MMU yet, no privilege, no interrupt. Code runs natively; an instruction
that touches a device is done by the golden evaluator, access by access. It refuses, by capability, what it has not got.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, NoReturn

from polyvm.engine import fault, layout
from polyvm.engine.cpu import FOREVER
from polyvm.engine.executor import Engine, GuestCpu
from polyvm.engine.goldenstep import SpaceMemory, Stepper
from polyvm.engine.guest import GUESTS
from polyvm.engine.mainthread import let_signals_through
from polyvm.engine.named import Named
from polyvm.engine.points import GRANULE, Points
from polyvm.errors import PolyvmError
from polyvm.memory.regions import EXEC, READ, WRITE
from polyvm.memory.space import AddressSpace, MapError
from polyvm.vcpu import capabilities, exits
from polyvm.vcpu.contract import Region
from polyvm.vcpu.exits import Exit, Interrupted, Mmio
from polyvm.vcpu.registers import Registers
from polyvm.vcpu.state import VcpuState, VmState, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from polyvm.memory.ram import Ram
    from polyvm.vcpu.contract import Breakpoint

CAPABILITIES = frozenset(("mmio", "readonly_memory", "single_step", "breakpoints", "cancel", "save"))
ADDRESS_BITS = 38
_ACCESSES = ("read", "write", "fetch")
_BLOB = "context"


class Jit:
    """The way to virtual machines of a guest. Raises PVM-ACCEL-UNAVAILABLE for a guest that there is none of."""

    accel = "jit"
    kind: str | None = None

    def __init__(self, guest: str) -> None:
        if guest not in GUESTS:
            raise PolyvmError(
                "PVM-ACCEL-UNAVAILABLE",
                f"The JIT has no guest {guest!r}.",
                hint=f"It has {', '.join(GUESTS)}.",
                accel="jit",
                guest=guest,
            )
        self.guest = guest

    def can(self, capability: str) -> bool:
        """Whether its virtual machines have a capability."""
        return capability in CAPABILITIES

    def create_vm(self) -> JitVm:
        """A virtual machine without memory and processors."""
        return JitVm(self)

    def close(self) -> None:
        """Nothing is held."""


def _lacks(capability: str) -> Callable[..., NoReturn]:
    """A method of the contract that the JIT has not got."""

    def refuse(self: object, *_: object, **__: object) -> NoReturn:
        raise capabilities.missing("jit", capability)

    refuse.__doc__ = f"Refused: PVM-ACCEL-CAPABILITY, {capability}."
    return refuse


class JitVm:
    """A virtual machine: an address space, and one processor."""

    accel = "jit"

    def __init__(self, hypervisor: Jit) -> None:
        self.guest = hypervisor.guest
        # Tiers whose state is exact wherever a run ends, and that can stop after any instruction.
        self.engine = Engine(hypervisor.guest, regions=False)
        self.space: AddressSpace | None = AddressSpace(ADDRESS_BITS)
        self.placed: dict[int, tuple[Region, Callable[[int, int], None]]] = {}
        self.vcpu: JitVcpu | None = None

    def can(self, capability: str) -> bool:
        """Whether it has a capability."""
        return capability in CAPABILITIES

    def open_space(self) -> AddressSpace:
        """Its address space, unless it is closed."""
        if self.space is None:
            raise PolyvmError("PVM-USAGE", "This virtual machine is closed.")
        return self.space

    def create_vcpu(self, number: int = 0) -> JitVcpu:
        """A processor with zeros in its registers."""
        space = self.open_space()
        if number or self.vcpu is not None:
            raise capabilities.missing("jit", "smp")
        self.vcpu = JitVcpu(self, self.engine.thread(space))
        return self.vcpu

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
        """Put memory into the guest's space (see vcpu.contract.Vm)."""
        space = self.open_space()
        if log_dirty:
            raise capabilities.missing("jit", "dirty_log")
        if ram.fd < 0:
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                "The JIT cannot share memory that is a file's private copy.",
                hint="Copy it into a Ram of its own.",
            )
        size = ram.size - offset if size is None else size
        page = space.page_size
        if (
            address % page
            or offset % page
            or size % page
            or size <= 0
            or offset < 0
            or offset + size > ram.size
        ):
            raise PolyvmError(
                "PVM-MEMORY-MAP",
                "There is no such memory, or it does not go to whole pages.",
                address=address,
                size=size,
                offset=offset,
            )
        if not 0 <= address <= space.limit - size:
            raise PolyvmError(
                "PVM-MEMORY-MAP",
                f"The JIT's guests have {space.bits} bits of addresses.",
                address=address,
                size=size,
            )
        prot = READ | EXEC | (0 if readonly else WRITE)
        try:
            space.map(address, size, prot, fd=ram.fd, offset=offset, shared=True)
        except MapError as error:
            raise PolyvmError("PVM-MEMORY-MAP", error.message, address=address, size=size) from error
        slot = next(number for number in range(len(self.placed) + 1) if number not in self.placed)
        region = Region(address, size, ram, offset, readonly, False, slot)

        def written(start: int, end: int) -> None:
            """We wrote into the Ram: what was translated from there is of yesterday."""
            low, high = max(start, offset), min(end, offset + size)
            if low < high:
                space.drop_code(address + low - offset, address + high - offset)

        ram.listeners.append(written)
        self.placed[slot] = region, written
        return region

    def remove_memory(self, region: Region) -> None:
        """Take a region out again."""
        space = self.open_space()
        placed = self.placed.get(region.slot)
        if placed is None or placed[0] is not region:
            raise PolyvmError("PVM-MEMORY-MAP", "This region is not in place.", address=region.address)
        space.unmap(region.address, region.size)
        region.ram.listeners.remove(placed[1])
        del self.placed[region.slot]

    def regions(self) -> list[Region]:
        """What is in place, by address."""
        return sorted((region for region, _ in self.placed.values()), key=lambda region: region.address)

    # ------------------------------------------------------------------------------------------ what there is none of
    dirty_log = log_dirty = _lacks("dirty_log")
    create_irqchip = set_irq = _lacks("irqchip")
    create_pit = _lacks("pit")
    signal_msi = _lacks("msi")
    set_routes = _lacks("routes")
    exit_on_msrs = _lacks("msr_exits")
    add_ioeventfd = remove_ioeventfd = _lacks("ioeventfd")
    add_irqfd = remove_irqfd = _lacks("irqfd")
    add_coalesced = remove_coalesced = drain_coalesced = _lacks("coalesced")
    clock = property(_lacks("clock"), _lacks("clock"))

    # ------------------------------------------------------------------------------------------ state
    def save(self) -> VmState:
        """There is nothing beside memory and the vCPU."""
        return VmState(self.guest, self.accel, None, {})

    def restore(self, state: VmState) -> None:
        """Put back what save() gave. Raises PVM-UNSUPPORTED for what another accelerator had beside."""
        check(state, self.guest)
        if state.blobs:
            raise PolyvmError(
                "PVM-UNSUPPORTED", f"The JIT has no {', '.join(state.blobs)} of {state.accel}'s."
            )

    def close(self) -> None:
        """Give everything back, the vCPU first."""
        if self.vcpu is not None:
            self.vcpu.close()
        for region, _ in list(self.placed.values()):
            self.remove_memory(region)
        if self.space is not None:
            self.space.close()
            self.space = None

    def __del__(self) -> None:
        if getattr(self, "space", None) is not None:
            self.close()


class _Unanswered(Exception):
    """An instruction reads a device, and nobody has said what."""

    def __init__(self, address: int, size: int) -> None:
        super().__init__(address, size)
        self.address = address
        self.size = size


class _DeviceMemory(SpaceMemory):
    """Guest memory of the evaluator in which what is not memory is a device.

    An instruction is done as often as it reads something that is not answered yet: state is written after the last
    access that may leave, so that nothing has happened before.
    """

    def __init__(self, space: AddressSpace) -> None:
        super().__init__(space)
        self.answers: list[int] = []
        self.position = 0
        self.written: list[Exit] = []

    def begin(self) -> None:
        """An instruction is tried, from its beginning."""
        self.position = 0
        self.written = []

    def load(self, address: int, size: int) -> int:
        """Read memory, or what was answered."""
        if self._is_memory(address, size, READ):
            return super().load(address, size)
        if self.position == len(self.answers):
            raise _Unanswered(address, size)
        self.position += 1
        return self.answers[self.position - 1]

    def store(self, address: int, size: int, value: int) -> None:
        """Write memory, or remember what a device is told."""
        if self._is_memory(address, size, WRITE):
            super().store(address, size, value)
        else:
            self.written.append(Mmio(address, size, value.to_bytes(size, "little")))

    def probe(self, address: int, size: int, write: bool) -> None:
        """Devices take everything."""
        if self._is_memory(address, size, WRITE if write else READ):
            super().probe(address, size, write)

    def _is_memory(self, address: int, size: int, prot: int) -> bool:
        """Whether any of it is memory that can be accessed so; half of an access is no device's."""
        for place in (address, address + size - 1):
            region = self.space.lookup(place) if place < self.space.limit else None
            if region is not None and region.prot & prot:
                return True
        return False


class _Access:
    """The way to the registers (vcpu.registers.Access)."""

    def __init__(self, vcpu: JitVcpu) -> None:
        self.vcpu = vcpu
        named = Named(vcpu.vm.engine.guest)
        self.widths: Mapping[str, int] = named.widths
        self.names = named.names
        self.zero = named.zero
        self.groups = named.groups

    def read(self, names: Iterable[str]) -> dict[str, int]:
        """Values by name; those before a read that was not answered yet."""
        cpu = self.vcpu.idle_cpu()
        self.vcpu.finish(unanswered=False)
        return {name: cpu.read(name) for name in names}

    def write(self, values: Mapping[str, int]) -> None:
        """Set them; what is hardwired to zero takes any value and stays zero."""
        cpu = self.vcpu.idle_cpu()
        self.vcpu.finish()
        for name, value in values.items():
            if name not in self.zero:
                cpu.write(name, value)


class JitVcpu:
    """The processor of a JitVm."""

    number = 0

    def __init__(self, vm: JitVm, cpu: GuestCpu) -> None:
        self.vm = vm
        self.cpu: GuestCpu | None = cpu
        self.access = _Access(self)
        self.registers = Registers(self.access)
        space = vm.open_space()
        self.memory = _DeviceMemory(space)
        self.stepper = Stepper(cpu, vm.engine.guest.isa, space, vm.engine.guest.monitor)
        self._plain = self.stepper.memory
        self.points = Points(vm.engine, space, space.slots)
        self._step = False
        self._wanted = False  # somebody called cancel()
        self._running = _thread.allocate_lock()
        self._stopped_at = -1  # a breakpoint that was told of, and whose instruction was not executed since
        self._call = False  # the last exit was a system call: run() goes on behind it
        self._asked = 0  # bytes that a device's read wants, 0 for none
        self._answer: int | None = None
        self._told: list[Exit] = []  # what a device is still to be told of an instruction that is done

    def open_cpu(self) -> GuestCpu:
        """The thread of the engine, unless the vCPU is closed."""
        if self.cpu is None:
            raise PolyvmError("PVM-USAGE", "This virtual machine or processor is closed.")
        return self.cpu

    def idle_cpu(self) -> GuestCpu:
        """The same, unless it is running."""
        if self._running.locked():
            raise self._busy()
        return self.open_cpu()

    def _busy(self) -> PolyvmError:
        hint = "cancel() it, and use it when run() has returned."
        return PolyvmError("PVM-USAGE", "This vCPU is running.", hint=hint, vcpu=self.number)

    # ------------------------------------------------------------------------------------------ running
    def run(self) -> Exit:
        """Execute until something must be done outside (see vcpu.contract.Vcpu)."""
        cpu = self.open_cpu()
        if not self._running.acquire(blocking=False):
            raise self._busy()
        try:
            cpu.attach()
            let_signals_through()
            try:
                return self._run(cpu)
            finally:
                fault.detach()
        finally:
            self._running.release()

    def _run(self, cpu: GuestCpu) -> Exit:
        self.finish()
        if self._told:
            return self._told.pop(0)
        while True:
            if self._step or cpu.pc == self._stopped_at:
                if self._wanted:
                    return self._cancelled(cpu)
                self._stopped_at = -1
                exit = self._after(cpu, self._one(cpu))
                if exit is None and self._step:
                    exit = exits.Debug(cpu.pc, "step")
            else:
                cpu.budget = FOREVER
                exit = self._after(cpu, cpu.run())
            if exit is not None:
                return exit

    def _one(self, cpu: GuestCpu) -> int:
        """One instruction by the evaluator; 0 or the reason why not."""
        reason = self.stepper.step()
        if reason == layout.FLUSH:
            self.vm.open_space().drop_code()
            return 0
        return reason

    def _after(self, cpu: GuestCpu, reason: int) -> Exit | None:
        """What is behind a reason of the engine's: an exit, or None to go on."""
        if reason in (0, layout.BUDGET):
            return None
        if reason == layout.STOP:
            if self._wanted:
                return self._cancelled(cpu)
            cpu.clear_stop()  # a signal of the host: its Python handler runs now
            return None
        if reason == layout.PAUSE:
            self._stopped_at = cpu.pc
            return exits.Debug(cpu.pc, "breakpoint")
        if reason == layout.SYSCALL:
            self._call = True
            return exits.Syscall(cpu.pc)
        if reason == layout.TRAP:
            return exits.Exception(self.vm.engine.causes[cpu.cause], cpu.value, cpu.pc)
        if reason == layout.ILLEGAL:
            return exits.Exception("illegal", self._word(cpu.pc), cpu.pc)
        if reason == layout.FAULT:
            if cpu.access == layout.FETCH:
                return exits.MemoryFault(cpu.value, 0, 0, _ACCESSES[cpu.access])
            self.memory.answers = []
            return self._access(cpu)
        raise PolyvmError(
            "PVM-INTERNAL", f"Native code was left for reason {reason}, which nobody handles here."
        )

    def _word(self, pc: int) -> int:
        """The instruction at an address, as far as it can be read."""
        try:
            return int.from_bytes(self.vm.open_space().fetch(pc, max(self.stepper.isa.sizes)), "little")
        except PolyvmError:
            return 0

    def _access(self, cpu: GuestCpu) -> Exit | None:
        """Do the instruction at pc, whose accesses go to a device; the first exit, None when it was none after all."""
        memory = self.memory
        if self._asked:
            answer = (1 << 8 * self._asked) - 1 if self._answer is None else self._answer
            memory.answers.append(answer)
            self._asked, self._answer = 0, None
        memory.begin()
        self.stepper.memory = memory
        try:
            reason = self._one(cpu)
        except _Unanswered as read:
            self._asked = read.size
            return Mmio(read.address, read.size, None)
        finally:
            self.stepper.memory = self._plain
        memory.answers = []
        self._told = memory.written
        if reason == layout.FAULT:  # a part of the access is memory, and a part is not
            self._told = []
            return exits.MemoryFault(cpu.value, 0, 0, _ACCESSES[cpu.access])
        exit = self._after(cpu, reason)
        if self._told:
            self._told += [exit] if exit else [exits.Debug(cpu.pc, "step")] if self._step else []
            return self._told.pop(0)
        return exit

    def answer(self, value: int | bytes) -> None:
        """What the last exit reads. Raises PVM-USAGE when nothing is read, or the size is another."""
        if not self._asked:
            raise PolyvmError("PVM-USAGE", "The last exit reads nothing that could be answered.")
        if isinstance(value, bytes):
            if len(value) != self._asked:
                raise PolyvmError(
                    "PVM-USAGE", f"The answer has {len(value)} bytes, and {self._asked} are read."
                )
            value = int.from_bytes(value, "little")
        self._answer = value & (1 << 8 * self._asked) - 1

    def fail(self) -> None:
        """Only an access to an MSR can be answered so, which the JIT's guests have not got."""
        raise capabilities.missing("jit", "msr")

    def finish(self, *, unanswered: bool = True) -> None:
        """Complete what the last exit left unfinished; unanswered: a read that was not answered too, as ones."""
        if self._call and unanswered:
            self._call = False
            self.open_cpu().pc += self.vm.engine.abi.SYSCALL_BYTES
        if self._asked and (unanswered or self._answer is not None):
            exit = self._access(self.open_cpu())
            if exit is not None:
                self._told.insert(0, exit)

    # ------------------------------------------------------------------------------------------ stopping
    def cancel(self) -> None:
        """Have the run under way, or the next one, return Interrupted, once. From any thread."""
        self._wanted = True
        cpu = self.cpu
        if cpu is not None:
            cpu.stop()

    def _cancelled(self, cpu: GuestCpu) -> Exit:
        cpu.clear_stop()  # first: who asks after that stops the next run
        self._wanted = False
        return Interrupted()

    # ------------------------------------------------------------------------------------------ state
    def save(self) -> VcpuState:
        """All of its state. Raises PVM-USAGE between the parts of one access: run() on first."""
        cpu = self.idle_cpu()
        self.finish()
        if self._told:
            raise PolyvmError(
                "PVM-USAGE",
                "The guest is between two parts of one access.",
                hint="Run it on, serve the exit that comes, and save then.",
            )
        groups = {
            group: {name: cpu.read(name) for name in names}
            for group, names in self.access.groups.items()
            if names
        }
        return VcpuState(self.vm.guest, self.vm.accel, groups, {_BLOB: cpu.save()})

    def restore(self, state: VcpuState) -> None:
        """Put state back."""
        cpu = self.idle_cpu()
        check(state, self.vm.guest)
        self._asked, self._answer, self._told, self._call, self._stopped_at = 0, None, [], False, -1
        if state.accel == self.vm.accel and _BLOB in state.blobs:
            cpu.restore(state.blobs[_BLOB])
        for group, names in self.access.groups.items():
            values = state.groups.get(group, {})
            self.access.write({name: values[name] for name in names if name in values})

    def debug(self, *, step: bool = False, breakpoints: Iterable[Breakpoint] = ()) -> None:
        """Stop after each instruction, or at these places, of which there may be any number."""
        self.idle_cpu()
        places = list(breakpoints)
        for place in places:
            if place.kind != "execute":
                raise capabilities.missing("jit", "watchpoints")
            if place.address % GRANULE or not 0 <= place.address < self.vm.open_space().limit:
                raise PolyvmError("PVM-USAGE", f"{place} is no place that an instruction can have.")
        self.points.set(place.address for place in places)
        self._step = step

    interrupt = request_interrupt_window = _lacks("interrupt")
    serve_latch = serve_ring = serve_no_more = _lacks("native_loop")
    nmi = _lacks("nmi")
    translate = _lacks("translate")
    cpuid = set_cpuid = _lacks("cpuid")
    note_pause = _lacks("clock")
    tsc_khz = property(_lacks("clock"), _lacks("clock"))

    def close(self) -> None:
        """Give it back. It must not be running."""
        if not self._running.acquire(blocking=False):
            raise self._busy()
        try:
            if self.cpu is not None:
                self.cpu.close()
                self.cpu = None
        finally:
            self._running.release()
