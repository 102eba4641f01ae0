"""What the contract's suite runs on: the back ends, and a virtual machine of one of them with memory and code.

Code is written once for each guest: as assembly where polyvm has the guest's assembler, as bytes for x86-64.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory.ram import Ram
from polyvm.vcpu.contract import Hypervisor, Region, Vcpu, Vm
from polyvm.vcpu.exits import Exit

RAM = 1 << 20
ENTRY = 0x1000
DATA = 0x8000
DEVICE = 0x10_0000
"""Just behind the memory, and within reach of real mode with a segment of 0xffff."""
TABLES = 0x1_0000

REAL = {f"{name}{part}": 0 for name in ("cs", "ds", "es", "ss") for part in ("", "_base")}
"""x86-64 in real mode, with every segment at 0."""


def _kvm() -> Hypervisor:
    from polyvm.accel.kvm import Kvm

    return Kvm()


def _jit(guest: str) -> Callable[[], Hypervisor]:
    def made() -> Hypervisor:
        from polyvm.accel.jit import Jit

        return Jit(guest)

    return made


BACKENDS: dict[str, Callable[[], Hypervisor]] = {
    "kvm x86_64": _kvm,
    "jit riscv64": _jit("riscv64"),
    "jit aarch64": _jit("aarch64"),
}
"""Back end and guest -> what opens it."""


@contextmanager
def opened(backend: str) -> Iterator[Hypervisor]:
    """A back end, or a skip with its reason."""
    try:
        hypervisor = BACKENDS[backend]()
    except PolyvmError as error:
        pytest.skip(f"{backend} is not usable here: {error.message}")
    try:
        yield hypervisor
    finally:
        hypervisor.close()


class Machine:
    """A virtual machine with a MiB of memory at 0, and one vCPU about to run what was loaded."""

    def __init__(self, hypervisor: Hypervisor, *, irqchip: bool = False, log_dirty: bool = False) -> None:
        self.hypervisor = hypervisor
        self.guest = hypervisor.guest
        self.vm: Vm = hypervisor.create_vm()
        self.ram = Ram(RAM)
        self.region: Region = self.vm.add_memory(0, self.ram, log_dirty=log_dirty)
        if irqchip:
            self.vm.create_irqchip()
        self.cpu: Vcpu = self.vm.create_vcpu()

    def load(self, code: dict[str, str] | str, address: int = ENTRY) -> None:
        """Put code there, of this machine's guest, and have the vCPU begin with it."""
        text = code if isinstance(code, str) else code[self.guest]
        self.ram.write(address, assembled(self.guest, text, address))
        self.start(self.cpu, address)

    def start(self, cpu: Vcpu, address: int = ENTRY) -> None:
        """Have a vCPU begin at an address, with a stack below DATA."""
        if self.guest == "x86_64":
            cpu.registers.update(REAL, rip=address, rsp=DATA - 0x100, rflags=2)
        else:
            cpu.registers.update(pc=address)

    def long_mode(self, ring: int, address: int = ENTRY) -> None:
        """x86-64: 64-bit code in a ring, with the first 4 MiB mapped where they are, ports allowed."""
        for place, entry in (
            (TABLES, TABLES + 0x1007), (TABLES + 0x1000, TABLES + 0x2007), (TABLES + 0x2000, 0x87),
            (TABLES + 0x2008, 0x20_0087),
        ):  # fmt: skip
            self.ram.write(place, entry.to_bytes(8, "little"))
        flat: dict[str, int] = {}
        for name, access in (("cs", 0xA09B), ("ss", 0xC093), ("ds", 0xC093), ("es", 0xC093)):
            flat |= {f"{name}_access": access | ring << 5, f"{name}_base": 0, f"{name}_limit": 0xFFFF_FFFF}
            flat[name] = (0x8 if name == "cs" else 0x10) | ring
        self.cpu.registers.update(
            flat, cr0=0x8000_0011, cr4=0x20, cr3=TABLES, efer=0x500, rip=address, rsp=DATA - 0x100, rflags=0x3002
        )  # fmt: skip

    def exits(self, count: int) -> list[Exit]:
        """The next exits."""
        return [self.cpu.run() for _ in range(count)]

    @property
    def pc(self) -> int:
        """The vCPU's program counter, whatever the guest calls it."""
        return self.cpu.registers["rip" if self.guest == "x86_64" else "pc"]

    def close(self) -> None:
        """Give it all back."""
        self.vm.close()
        self.ram.close()


def assembled(guest: str, text: str, address: int) -> bytes:
    """Machine code of a guest: bytes in hexadecimal for x86-64, with a comment behind each `;`."""
    if guest == "x86_64":
        return bytes.fromhex("".join(line.partition(";")[0] for line in text.splitlines()))
    from importlib import import_module

    from tests.engine.assembly import Program

    return Program(text, address, import_module(f"polyvm.isa.{guest}").load()).code


def descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def alarm(seconds: float) -> Iterator[list[int]]:
    """A signal of the host after so long, and which came."""
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
