"""Two processors of one machine run at once, and start-up by the guest's own means."""

from __future__ import annotations

import threading
from collections.abc import Callable

from polyvm.vcpu.exits import Exit, Halt, Pio
from tests.accel.machines import DATA, Machine

NEEDS = "smp"


def test_two_that_wait_for_each_other(x86: Machine) -> None:
    """Each writes its own word and spins until the other's is there."""
    second = x86.vm.create_vcpu(1)
    # mov [0x8000], al; again: cmp [0x8001], 0; je again; hlt, and the same with the two exchanged
    x86.load("a2 0080 80 3e 0180 00 74 f9 f4")
    x86.ram.write(0x2000, bytes.fromhex("a2 0180 80 3e 0080 00 74 f9 f4"))
    x86.start(second, 0x2000)
    found: list[Exit] = []
    for cpu in (x86.cpu, second):
        cpu.registers["rax"] = 1
    threads = [threading.Thread(target=lambda cpu=cpu: found.append(cpu.run())) for cpu in (x86.cpu, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Halt(), Halt()]
    assert x86.ram.read(DATA, 2) == b"\x01\x01"


def test_the_guest_starts_the_second(build: Callable[..., Machine]) -> None:
    """INIT and start-up IPIs through the local APIC in the accelerator (Intel SDM volume 3, 9.4.4)."""
    machine = build(irqchip=True)
    second = machine.vm.create_vcpu(1)
    machine.ram.write(0x3000, bytes.fromhex("b0 55 e6 10 f4"))  # the second's: out 0x10, al; hlt
    # mov dword [rax + 0xf0], 0x1ff (enable); [rax + 0x310] = 1 << 24; [rax + 0x300] = 0x4500 (INIT), 0x4603 (start-up
    # at page 3); jmp $, in 64-bit code with the APIC's page mapped
    machine.load("c7 80 f0000000 ff010000 c7 80 10030000 00000001 c7 80 00030000 00450000"
                 "c7 80 00030000 03460000 eb fe")  # fmt: skip
    machine.long_mode(0)
    table = 0x1_1000 + 3 * 8  # the fourth GiB's directory
    machine.ram.write(table, (0x1_4007).to_bytes(8, "little"))
    machine.ram.write(0x1_4000 + 503 * 8, (0xFEE0_0097).to_bytes(8, "little"))
    machine.cpu.registers["rax"] = 0xFEE0_0000
    found: list[Exit] = []
    threads = [
        threading.Thread(target=lambda cpu=cpu: found.append(cpu.run())) for cpu in (second, machine.cpu)
    ]
    for thread in threads:
        thread.start()
    threads[0].join(60)
    machine.cpu.cancel()
    threads[1].join(60)
    assert found[0] == Pio(0x10, 1, 1, b"\x55")
