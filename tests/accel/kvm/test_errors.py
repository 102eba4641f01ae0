"""What can go wrong with KVM: each with its code, the kernel's data, and a hint."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.kvm import Kvm, handle, hypervisor
from polyvm.errors import PolyvmError
from polyvm.memory import host
from polyvm.memory.ram import Ram
from polyvm.vcpu.exits import Exit, Halt, Interrupted, Pio
from tests.accel import machines
from tests.accel.machines import Machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine of KVM's."""
    with machines.opened("kvm x86_64") as made:
        one = Machine(made)
        yield one
        one.close()


@pytest.fixture(autouse=True)
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused before the kernel is asked is refused on every host."""
    monkeypatch.setitem(hypervisor.GUESTS, os.uname().machine, "x86_64")


def opening(**how: str) -> PolyvmError:
    """The error of opening KVM so."""
    with pytest.raises(PolyvmError) as caught:
        Kvm(**how)
    assert caught.value.code == "PVM-ACCEL-UNAVAILABLE"
    assert caught.value.hint
    return caught.value


def test_no_device() -> None:
    error = opening(device="/nonexistent/kvm")
    assert "there is no /nonexistent/kvm" in error.message
    assert "modprobe" in str(error.hint)
    assert isinstance(error.__cause__, PolyvmError)
    assert error.__cause__.context["errno"] == "ENOENT"


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", hypervisor.DEVICE)

    monkeypatch.setattr(os, "open", denied)
    error = opening()
    assert "may not be opened by this user" in error.message
    assert "usermod -aG kvm" in str(error.hint)


def test_another_trouble_with_the_device(tmp_path: object) -> None:
    assert "Is a directory" in opening(device=str(tmp_path)).message


def test_a_device_that_is_none() -> None:
    assert "does not answer as KVM" in opening(device="/dev/null").message


def test_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: 10)
    error = opening(device="/dev/null")
    assert "version 10 of the interface, and 12 is needed" in error.message


def test_another_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not run riscv64 guests" in opening(guest="riscv64").message
    monkeypatch.setattr(hypervisor, "GUESTS", {})
    assert "no back end for KVM on" in opening().message


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOMEM, "PVM-RESOURCE"), (errno.EMFILE, "PVM-RESOURCE"), (errno.EINVAL, "PVM-ACCEL-REFUSED"),
     (errno.ENXIO, "PVM-ACCEL-REFUSED"), (1234, "PVM-ACCEL-REFUSED")],
)  # fmt: skip
def test_refusals_of_the_kernel(number: int, code: str) -> None:
    error = handle.refused("KVM_RUN", number)
    assert error.code == code
    assert error.context == {"ioctl": "KVM_RUN", "errno": errno.errorcode.get(number, "1234")}


def test_a_capability_that_is_missing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kvm, "extension", lambda self, name: 0)
    assert not machine.vm.can("irqchip")
    assert not machine.vm.can("no such thing")
    with pytest.raises(PolyvmError) as caught:
        machine.vm.create_irqchip()
    assert caught.value.code == "PVM-ACCEL-CAPABILITY"
    assert caught.value.context == {"accel": "kvm", "capability": "irqchip"}


def test_no_more_slots(machine: Machine) -> None:
    machine.vm.slot_limit = 2
    machine.vm.add_memory(1 << 24, Ram(0x1000))
    with pytest.raises(PolyvmError) as caught:
        machine.vm.add_memory(1 << 25, Ram(0x1000))
    assert caught.value.code == "PVM-ACCEL-SLOTS"
    assert "2 memory slots" in caught.value.message


def test_a_value_that_the_processor_cannot_have(machine: Machine) -> None:
    with pytest.raises(PolyvmError) as caught:
        machine.cpu.registers["cr0"] = 1 << 31  # paging without protection
    assert caught.value.code == "PVM-ACCEL-REFUSED"
    assert (caught.value.context["ioctl"], caught.value.context["errno"]) == ("KVM_SET_SREGS", "EINVAL")


def test_unknown_registers_and_values(machine: Machine) -> None:
    with pytest.raises(PolyvmError, match="no register 'raxx'") as caught:
        machine.cpu.registers["raxx"]
    assert caught.value.hint == "Did you mean rax?"
    with pytest.raises(PolyvmError, match="does not fit the 16 bits of cs"):
        machine.cpu.registers.update(cs=0x10000)
    machine.cpu.registers["rax"] = -1
    assert machine.cpu.registers["rax"] == 2**64 - 1
    assert "rax" in machine.cpu.registers
    assert "rax=0xffffffffffffffff" in repr(machine.cpu.registers)
    assert len(machine.cpu.registers) == len(list(machine.cpu.registers)) > 100


def test_memory_that_has_gone(machine: Machine) -> None:
    """An owner that unmaps what the guest has is told so; the vCPU can be run again when it is back."""
    machine.load("b0 41 e6 10 f4")
    address, size = machine.ram.address, machine.ram.size
    assert not host.munmap(address, size)
    with pytest.raises(PolyvmError) as caught:
        raise machine.cpu.run().error()
    assert caught.value.code == "PVM-VCPU-FAILED"
    flags = host.MAP_SHARED | host.MAP_FIXED
    assert host.mmap(address, size, host.PROT_READ | host.PROT_WRITE, flags, machine.ram.fd) == address


def test_a_thread_that_dies_leaves_the_others(machine: Machine) -> None:
    """An error in one vCPU's thread is that thread's; another one still runs and is still stopped."""
    other = machine.vm.create_vcpu(1)
    machine.load("eb fe")
    errors: list[str] = []

    def dies() -> None:
        other.close()
        try:
            other.run()
        except PolyvmError as error:
            errors.append(error.code)

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    assert errors == ["PVM-USAGE"]
    threading.Timer(0.05, machine.cpu.cancel).start()
    assert machine.cpu.run() == Interrupted()


def test_debugging_in_ring_3_of_a_paravirtual_kvm(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.hypervisor, "kind", hypervisor.PARAVIRTUAL)
    machine.long_mode(3)
    with pytest.raises(PolyvmError, match="kvm_pvm cannot do this here"):
        machine.cpu.debug(step=True)
    machine.cpu.debug()


def test_too_many_breakpoints(machine: Machine) -> None:
    from polyvm.vcpu.contract import Breakpoint

    with pytest.raises(PolyvmError, match="4 hardware breakpoints, and 5"):
        machine.cpu.debug(breakpoints=[Breakpoint(address) for address in range(5)])


def test_only_an_msr_is_answered_with_a_fault(machine: Machine) -> None:
    machine.load("f4")
    machine.cpu.run()
    with pytest.raises(PolyvmError, match="Only an access to an MSR"):
        machine.cpu.fail()


def test_the_run_page_is_as_large_as_we_read(machine: Machine) -> None:
    assert machine.cpu.page_size >= ffi.RUN.size


def test_control_c_between_the_kernel_and_us_loses_no_exit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.load("b0 41 e6 10 f4")
    decode, calls = machine.cpu.exit, []

    def interrupted() -> Exit:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return decode()

    monkeypatch.setattr(machine.cpu, "exit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        machine.cpu.run()
    assert machine.exits(2) == [Pio(0x10, 1, 1, b"A"), Halt()]
