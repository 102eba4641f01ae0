"""Accesses to physical addresses without memory, of every width."""

from __future__ import annotations

from polyvm.vcpu.exits import Mmio
from tests.accel.machines import DEVICE, Machine

NEEDS = "mmio"

WIDTHS = {
    "x86_64": """
        b8 ffff 8e d8     ; mov ax, 0xffff; mov ds, ax
        66 b8 44332211    ; mov eax, 0x11223344
        a2 1000           ; mov [0x10], al
        a3 1200           ; mov [0x12], ax
        66 a3 1400        ; mov [0x14], eax
        66 31 c0          ; xor eax, eax
        a0 1000           ; mov al, [0x10]
        a1 1200           ; mov ax, [0x12]
        66 a1 1400        ; mov eax, [0x14]
        a2 1000           ; mov [0x10], al
    """,
    "riscv64": """
        lui x11, 0x100
        lui x10, 0x11223
        addi x10, x10, 0x344
        sb x10, 0(x11)
        sh x10, 2(x11)
        sw x10, 4(x11)
        lbu x10, 0(x11)
        lhu x10, 2(x11)
        lwu x10, 4(x11)
        sb x10, 0(x11)
    """,
    "aarch64": """
        movz x11, #0x10, lsl #16
        movz w10, #0x3344
        movk w10, #0x1122, lsl #16
        strb w10, [x11]
        strh w10, [x11, #2]
        str w10, [x11, #4]
        ldrb w10, [x11]
        ldrh w10, [x11, #2]
        ldr w10, [x11, #4]
        strb w10, [x11]
    """,
}
WRITES = ((0, 1, 0x44), (2, 2, 0x3344), (4, 4, 0x1122_3344))


def test_widths(machine: Machine) -> None:
    machine.load(WIDTHS)
    for offset, size, value in WRITES:
        assert machine.cpu.run() == Mmio(DEVICE + offset, size, value.to_bytes(size, "little"))
    answers = (0xA1, 0xB2A2, 0xC3B3_A3D3)
    for (offset, size, _), answer in zip(WRITES, answers, strict=True):
        assert machine.cpu.run() == Mmio(DEVICE + offset, size, None)
        machine.cpu.answer(answer)
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\xd3")


def test_nobody_answers(machine: Machine) -> None:
    machine.load(WIDTHS)
    machine.exits(6)
    assert machine.cpu.run() == Mmio(DEVICE, 1, b"\xff")


def test_a_string_instruction(x86: Machine) -> None:
    x86.load("b8 ffff 8e c0 bf 1000 b9 0300 b0 77 f3 aa f4")  # rep stosb to 0xffff:0x10
    assert x86.exits(3) == [Mmio(DEVICE + n, 1, b"\x77") for n in range(3)]


def test_registers_are_whole_at_a_read(machine: Machine) -> None:
    """Looking at the registers finishes the access first, as answered."""
    machine.load(WIDTHS)
    machine.exits(4)
    machine.cpu.answer(0x5A)
    name = "rax" if machine.guest == "x86_64" else "x10"
    assert machine.cpu.registers[name] & 0xFF == 0x5A
    assert machine.cpu.run() == Mmio(DEVICE + 2, 2, None)
