"""Port accesses of every width, and their string forms."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.vcpu.exits import Exit, Halt, Pio
from tests.accel.machines import DATA, Machine

NEEDS = "port_io"

WIDTHS = """
    ba 1000        ; mov dx, 0x10
    66 b8 44332211 ; mov eax, 0x11223344
    ee ef 66 ef    ; out dx, al; out dx, ax; out dx, eax
    ec ed 66 ed    ; in al, dx; in ax, dx; in eax, dx
    f4             ; hlt
"""


def test_widths(x86: Machine) -> None:
    x86.load(WIDTHS)
    assert x86.exits(3) == [
        Pio(0x10, 1, 1, b"\x44"), Pio(0x10, 2, 1, b"\x44\x33"), Pio(0x10, 4, 1, b"\x44\x33\x22\x11")
    ]  # fmt: skip
    assert x86.cpu.run() == Pio(0x10, 1, 1, None)
    x86.cpu.answer(0xAA)
    assert x86.cpu.run() == Pio(0x10, 2, 1, None)
    assert x86.cpu.registers["rax"] == 0x112233AA, "looking at it answers nothing"
    x86.cpu.answer(b"\x01\x02")
    assert x86.cpu.registers["rax"] == 0x11220201
    assert x86.cpu.run() == Pio(0x10, 4, 1, None)
    x86.cpu.answer(0x8765_4321)
    assert x86.cpu.run() == Halt()
    assert x86.cpu.registers["rax"] == 0x8765_4321


def test_nobody_answers(x86: Machine) -> None:
    """A read that is not answered is all ones, as on a bus that nobody drives."""
    x86.load(WIDTHS)
    assert isinstance(x86.exits(7)[-1], Halt)
    assert x86.cpu.registers["rax"] == 0xFFFF_FFFF


def test_a_register_that_is_set_takes_a_read_for_answered(x86: Machine) -> None:
    x86.load(WIDTHS)
    x86.exits(4)
    x86.cpu.registers["rbx"] = 7
    assert x86.cpu.registers["rax"] & 0xFF == 0xFF
    with pytest.raises(PolyvmError, match="reads nothing"):
        x86.cpu.answer(1)
    x86.exits(1)
    x86.cpu.answer(0x55AA)
    x86.cpu.registers["rbx"] = 8
    assert x86.cpu.registers["rax"] & 0xFFFF == 0x55AA


def test_answers_are_checked(x86: Machine) -> None:
    x86.load(WIDTHS)
    x86.cpu.run()
    for wrong in (1, b"\1"):
        with pytest.raises(PolyvmError, match="reads nothing"):
            x86.cpu.answer(wrong)
    x86.exits(3)
    with pytest.raises(PolyvmError, match="3 bytes, and 1 are read"):
        x86.cpu.answer(bytes(3))


def collect(machine: Machine, size: int) -> tuple[bytes, list[Exit]]:
    """What a string instruction writes, in however many exits, and the exit behind it."""
    written = b""
    while isinstance(exit := machine.cpu.run(), Pio) and exit.data is not None:
        assert (exit.port, exit.size, len(exit.data)) == (0x10, size, exit.size * exit.count)
        written += exit.data
    return written, [exit]


@pytest.mark.parametrize(("size", "code"), [(1, "6e"), (2, "6f"), (4, "66 6f")])
def test_string_output(x86: Machine, size: int, code: str) -> None:
    rep = code.replace("66 ", "66 f3") if size == 4 else "f3" + code
    x86.load(f"ba 1000 be 0080 b9 0500 {rep} f4")  # mov dx, 0x10; mov si, DATA; mov cx, 5; rep outs; hlt
    text = bytes(range(1, 5 * size + 1))
    x86.ram.write(DATA, text)
    assert collect(x86, size) == (text, [Halt()])


@pytest.mark.parametrize(("size", "code"), [(1, "6c"), (2, "6d"), (4, "66 6d")])
def test_string_input(x86: Machine, size: int, code: str) -> None:
    rep = code.replace("66 ", "66 f3") if size == 4 else "f3" + code
    x86.load(f"ba 1000 bf 0080 b9 0500 {rep} f4")
    given = b""
    while isinstance(exit := x86.cpu.run(), Pio):
        assert (exit.port, exit.size, exit.data) == (0x10, size, None)
        data = bytes(range(len(given) + 1, len(given) + 1 + exit.size * exit.count))
        x86.cpu.answer(data)
        given += data
    assert exit == Halt()
    assert len(given) == 5 * size
    assert x86.ram.read(DATA, len(given)) == given
