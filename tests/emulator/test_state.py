"""Registers, memory and saved contexts of an emulator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import polyvm
from tests.emulator.conftest import CODE, DATA

Put = Callable[..., int]


def test_registers_by_number_name_and_attribute(cpu: polyvm.Emulator) -> None:
    cpu.registers["a0"] = 5
    assert cpu.registers["x10"] == cpu.registers.a0 == 5
    cpu.registers.s0 = -1
    assert cpu.registers["fp"] == (1 << 64) - 1
    cpu.registers["f3"] = 1 << 63
    assert cpu.registers["ft3"] == 1 << 63
    cpu.pc = CODE
    assert cpu.registers["pc"] == cpu.pc == CODE


def test_zero_stays_zero(cpu: polyvm.Emulator, put: Put) -> None:
    cpu.registers["zero"] = 5
    cpu.registers.x0 = 6
    end = put("add a0, zero, zero")
    cpu.run(CODE, until=end)
    assert cpu.registers["zero"] == cpu.registers["a0"] == 0


def test_each_register_is_iterated_once(cpu: polyvm.Emulator) -> None:
    names = list(cpu.registers)
    assert len(names) == len(set(names)) == len(cpu.registers)
    assert {"pc", "x0", "x31", "f0", "f31", "fcsr"} <= set(names)
    assert "a0" not in names
    assert "a0" in cpu.registers
    assert "nonsense" not in cpu.registers
    assert "a0" in dir(cpu.registers)
    assert "a0" in cpu.registers._ipython_key_completions_()


def test_floating_point_control(cpu: polyvm.Emulator, put: Put) -> None:
    cpu.registers["fcsr"] = 0xFF
    assert (cpu.registers["frm"], cpu.registers["fflags"]) == (7, 31)
    cpu.registers.update(fcsr=0)
    end = put("fdiv.d fa0, fa1, fa2")
    cpu.registers.update(fa1=0x3FF0000000000000, fa2=0)
    cpu.run(CODE, until=end)
    assert cpu.registers["fflags"] == 8  # divide by zero
    assert cpu.registers["fa0"] == 0x7FF0000000000000


@pytest.mark.parametrize(("name", "value"), [("a0", 1 << 64), ("a0", -(1 << 63) - 1), ("frm", 8)])
def test_values_that_do_not_fit(cpu: polyvm.Emulator, name: str, value: int) -> None:
    with pytest.raises(polyvm.PolyvmError, match="does not fit") as caught:
        cpu.registers[name] = value
    assert caught.value.code == "PVM-USAGE"


def test_unknown_registers(cpu: polyvm.Emulator) -> None:
    with pytest.raises(polyvm.PolyvmError) as caught:
        _ = cpu.registers["x99"]
    assert caught.value.code == "PVM-REGISTER-UNKNOWN"
    assert "Did you mean" in (caught.value.hint or "")
    with pytest.raises(polyvm.PolyvmError):
        cpu.registers["rax"] = 1
    with pytest.raises(AttributeError):
        _ = cpu.registers.rax
    with pytest.raises(TypeError):
        del cpu.registers["a0"]


def test_representations(cpu: polyvm.Emulator) -> None:
    cpu.registers.update(a0=5, pc=CODE)
    assert repr(cpu.registers) == "Registers(pc=0x10000, x10=0x5)"
    assert repr(cpu.memory) == "Memory(0x10000-0x11000 rwx, 0x20000-0x21000 rw-)"
    assert repr(cpu) == "<Emulator of riscv64 at 0x10000>"
    assert repr(polyvm.Exit("until", 16)) == "Exit('until', pc=0x10)"
    assert cpu.guest == "riscv64"


# ------------------------------------------------------------------------------------------------- memory
def test_memory_is_read_and_written_like_by_a_debugger(cpu: polyvm.Emulator) -> None:
    cpu.memory.map(0x40000, 0x2000, "---")
    cpu.memory.write(0x40FFE, b"abcd")
    assert cpu.memory.read(0x40FFE, 4) == b"abcd"
    cpu.memory.write_int(DATA, -2, 4)
    assert cpu.memory.read_int(DATA, 4) == 0xFFFFFFFE
    assert cpu.memory.read_int(DATA, 4, signed=True) == -2
    assert [(r.start, r.end, r.permissions[:3]) for r in cpu.memory.regions()] == [
        (CODE, CODE + 0x1000, "rwx"), (DATA, DATA + 0x1000, "rw-"), (0x40000, 0x42000, "---"),
    ]  # fmt: skip


def test_memory_that_is_not_there(cpu: polyvm.Emulator) -> None:
    for address in (0, 0x90000, DATA + 0xFFF, 1 << 38, (1 << 64) - 1):
        with pytest.raises(polyvm.GuestFault):
            cpu.memory.read(address, 2)
        with pytest.raises(polyvm.GuestFault):
            cpu.memory.write(address, b"ab")
    cpu.memory.unmap(DATA, 0x1000)
    with pytest.raises(polyvm.GuestFault):
        cpu.memory.read(DATA, 1)


@pytest.mark.parametrize(
    ("address", "size"), [(DATA, 0x1000), (0x123, 0x1000), (0x50000, 0), (1 << 38, 0x1000)]
)
def test_what_cannot_be_mapped(cpu: polyvm.Emulator, address: int, size: int) -> None:
    with pytest.raises(polyvm.PolyvmError) as caught:
        cpu.memory.map(address, size)
    assert caught.value.code == "PVM-MEMORY-MAP"


def test_permissions_are_texts(cpu: polyvm.Emulator) -> None:
    with pytest.raises(polyvm.PolyvmError, match="are no permissions"):
        cpu.memory.map(0x50000, 0x1000, "rwq")
    cpu.memory.map(0x50000, 0x1000, "r-x")
    assert cpu.memory.regions()[-1].permissions.startswith("r-x")


# ------------------------------------------------------------------------------------------------- contexts
def test_contexts_keep_every_register(cpu: polyvm.Emulator, put: Put) -> None:
    end = put("addi a0, a0, 1", "fadd.d fa0, fa0, fa1", "csrrwi zero, fcsr, 3")
    cpu.registers.update(pc=CODE, a0=1, fa0=0x3FF0000000000000, fa1=0x3FF0000000000000)
    saved = cpu.save()
    before = dict(cpu.registers)
    cpu.run(CODE, until=end)
    after = dict(cpu.registers)
    assert after != before
    cpu.restore(saved)
    assert dict(cpu.registers) == before
    cpu.run(CODE, until=end)
    assert dict(cpu.registers) == after
    assert repr(saved) == "<Context of riscv64>"


def test_contexts_move_between_emulators(cpu: polyvm.Emulator) -> None:
    cpu.registers.update(a0=77, pc=CODE)
    with polyvm.Emulator("riscv64") as other:
        other.restore(cpu.save())
        assert (other.registers["a0"], other.pc) == (77, CODE)


def test_a_context_of_another_guest_is_refused(cpu: polyvm.Emulator) -> None:
    saved = cpu.save()
    saved.guest = "aarch64"
    with pytest.raises(polyvm.PolyvmError, match="aarch64"):
        cpu.restore(saved)


def test_a_smaller_space() -> None:
    with polyvm.Emulator("riscv64", address_bits=32) as cpu:
        cpu.memory.map((1 << 32) - 0x1000, 0x1000)
        with pytest.raises(polyvm.PolyvmError):
            cpu.memory.map(1 << 32, 0x1000)
