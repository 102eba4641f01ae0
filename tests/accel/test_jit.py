"""The JIT as an accelerator, beyond the contract: what a bare processor's instructions lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from polyvm.accel.jit import Jit
from polyvm.errors import PolyvmError
from polyvm.memory.ram import Ram
from polyvm.vcpu import exits
from polyvm.vcpu.contract import Breakpoint
from polyvm.vcpu.exits import Debug, Mmio, Syscall
from tests.accel.machines import DATA, DEVICE, ENTRY, RAM, Machine


@pytest.fixture
def build() -> Iterator[Callable[[str, str], Machine]]:
    """Machines of a guest, about to run assembly."""
    made: list[Machine] = []

    def one(guest: str, code: str) -> Machine:
        made.append(Machine(Jit(guest)))
        made[-1].load(code)
        return made[-1]

    yield one
    for machine in made:
        machine.close()


Build = Callable[[str, str], Machine]


def test_system_calls_come_back_and_go_on_behind(build: Build) -> None:
    machine = build("riscv64", "ecall\naddi x10, x0, 7\necall\necall")
    assert machine.cpu.run() == Syscall(ENTRY)
    assert machine.pc == ENTRY
    assert machine.cpu.run() == Syscall(ENTRY + 8)
    assert machine.cpu.registers["a0"] == 7
    saved = machine.cpu.save()
    assert saved.groups["general"]["pc"] == ENTRY + 12, "a saved vCPU is behind it"
    machine.cpu.restore(saved)
    assert machine.cpu.run() == Syscall(ENTRY + 12)


def test_exceptions(build: Build) -> None:
    machine = build("riscv64", "ebreak")
    assert machine.cpu.run() == exits.Exception("breakpoint", ENTRY, ENTRY), "its value is its address"
    machine.ram.write(ENTRY, b"\xff\xff\xff\xff")
    assert machine.cpu.run() == exits.Exception("illegal", 0xFFFF_FFFF, ENTRY), "new code is seen"
    for address in (DEVICE, 1 << 40):
        machine.cpu.registers["pc"] = address
        assert machine.cpu.run() == exits.MemoryFault(address, 0, 0, "fetch")


def test_pairs_and_vectors_are_one_access(build: Build) -> None:
    machine = build("aarch64", "stp x1, x2, [x0]\nldp x3, x4, [x0]\nstr q5, [x0]\nsvc #0")
    machine.cpu.registers.update(x0=DEVICE, x1=1, x2=2, q5=5 << 64 | 6)
    assert machine.cpu.run() == Mmio(DEVICE, 16, (2 << 64 | 1).to_bytes(16, "little"))
    assert machine.cpu.run() == Mmio(DEVICE, 16, None)
    machine.cpu.answer((44 << 64 | 33).to_bytes(16, "little"))
    assert machine.cpu.run() == Mmio(DEVICE, 16, (5 << 64 | 6).to_bytes(16, "little"))
    assert machine.cpu.registers.read("x3", "x4") == {"x3": 33, "x4": 44}
    assert machine.cpu.run() == Syscall(ENTRY + 12)


def test_an_atomic_reads_and_writes(build: Build) -> None:
    machine = build("riscv64", "amoadd.w x10, x11, (x12)\necall")
    machine.cpu.registers.update(x11=5, x12=DEVICE)
    assert machine.cpu.run() == Mmio(DEVICE, 4, None)
    machine.cpu.answer(7)
    assert machine.cpu.run() == Mmio(DEVICE, 4, (12).to_bytes(4, "little"))
    assert machine.cpu.run() == Syscall(ENTRY + 4)
    assert machine.cpu.registers["x10"] == 7


def test_between_an_access_and_its_step_nothing_is_saved(build: Build) -> None:
    machine = build("riscv64", "sw x1, 0(x12)")
    machine.cpu.registers["x12"] = DEVICE
    machine.cpu.debug(step=True)
    machine.cpu.run()
    with pytest.raises(PolyvmError, match="between two parts"):
        machine.cpu.save()
    assert machine.cpu.run() == Debug(ENTRY + 4, "step")
    machine.cpu.save()


def test_half_memory_half_device_is_a_fault(build: Build) -> None:
    machine = build("riscv64", "sd x1, 0(x12)\nld x1, 0(x12)")
    machine.cpu.registers.update(x12=RAM - 4)
    assert machine.cpu.run() == exits.MemoryFault(RAM, 0, 0, "write")
    machine.cpu.registers["pc"] = ENTRY + 4
    assert machine.cpu.run() == exits.MemoryFault(RAM, 0, 0, "read")


def test_steps_over_devices_and_breakpoints(build: Build) -> None:
    machine = build("riscv64", "sw x1, 0(x12)\nlw x1, 0(x12)\nnop\nnop")
    machine.cpu.registers.update(x12=DEVICE, x1=9)
    machine.cpu.debug(step=True)
    assert machine.exits(2) == [Mmio(DEVICE, 4, b"\x09\0\0\0"), Debug(ENTRY + 4, "step")]
    assert machine.cpu.run() == Mmio(DEVICE, 4, None)
    machine.cpu.cancel()
    assert isinstance(machine.exits(2)[-1], exits.Interrupted | Debug)
    machine.cpu.debug(breakpoints=[Breakpoint(ENTRY + 12)])
    machine.cpu.registers["pc"] = ENTRY + 8
    assert Debug(ENTRY + 12, "breakpoint") in machine.exits(2)


def test_a_loop_is_native(build: Build) -> None:
    """Code that runs long and is changed from outside: what was compiled of it is not run any more."""
    text = "lui x10, 500\nagain: addi x10, x10, -1\nbne x10, x0, again\n{}\necall"
    machine = build("riscv64", text.format("addi x11, x0, 1"))
    assert isinstance(machine.cpu.run(), Syscall)
    assert machine.cpu.registers["x11"] == 1
    machine.load(text.format("addi x11, x0, 2"))
    assert isinstance(machine.cpu.run(), Syscall)
    assert machine.cpu.registers["x11"] == 2


def test_state_moves_to_another_machine(build: Build) -> None:
    code = "addi x10, x10, 1\necall\naddi x10, x10, 1\necall"
    machine, other = build("riscv64", code), build("riscv64", code)
    machine.cpu.run()
    other.vm.restore(machine.vm.save())
    other.cpu.restore(machine.cpu.save())
    assert other.cpu.run() == Syscall(ENTRY + 12)
    assert other.cpu.registers["x10"] == 2


def test_what_it_has_not_got_is_refused_by_capability(build: Build) -> None:
    machine = build("riscv64", "nop")
    vm, cpu = machine.vm, machine.cpu
    refused: dict[str, Callable[[], object]] = {
        "dirty_log": lambda: vm.dirty_log(machine.region),
        "irqchip": vm.create_irqchip,
        "msi": lambda: vm.signal_msi(0, 0),
        "ioeventfd": lambda: vm.add_ioeventfd(0, 0),
        "irqfd": lambda: vm.add_irqfd(0, 0),
        "interrupt": lambda: cpu.interrupt(1),
        "nmi": cpu.nmi,
        "translate": lambda: cpu.translate(0),
        "cpuid": lambda: cpu.set_cpuid({}),
        "smp": lambda: vm.create_vcpu(1),
        "watchpoints": lambda: cpu.debug(breakpoints=[Breakpoint(DATA, "write")]),
        "clock": lambda: vm.clock,
        "msr": cpu.fail,
    }
    for capability, use in refused.items():
        assert not vm.can(capability)
        with pytest.raises(PolyvmError) as caught:
            use()
        assert (caught.value.code, caught.value.context["capability"]) == ("PVM-ACCEL-CAPABILITY", capability)
    with pytest.raises(PolyvmError, match="which pages"):
        vm.add_memory(DEVICE, Ram(0x1000), log_dirty=True)


def test_what_is_refused(build: Build, tmp_path: object) -> None:
    machine = build("riscv64", "ld x1, 0(x0)\necall")
    with pytest.raises(PolyvmError, match="reads nothing"):
        machine.cpu.answer(1)
    with pytest.raises(PolyvmError, match="no place"):
        machine.cpu.debug(breakpoints=[Breakpoint(ENTRY + 1)])
    with pytest.raises(PolyvmError, match="no guest 'sparc'"):
        Jit("sparc")
    machine.cpu.registers["x0"] = 5
    assert machine.cpu.registers["x0"] == 0
    machine.cpu.registers["pc"] = ENTRY
    machine.vm.remove_memory(machine.region)
    machine.cpu.registers["pc"] = 0
    state = machine.vm.save()
    state.blobs = {"pit": b""}
    with pytest.raises(PolyvmError, match="has no pit"):
        machine.vm.restore(state)
    machine.region = machine.vm.add_memory(0, machine.ram)
    machine.load("lw x1, 0(x12)")
    machine.cpu.registers["x12"] = DEVICE
    machine.cpu.run()
    with pytest.raises(PolyvmError, match="3 bytes, and 4 are read"):
        machine.cpu.answer(bytes(3))
