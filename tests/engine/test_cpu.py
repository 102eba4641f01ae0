"""A Cpu's registers by every name, its floating-point environment, and its contexts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyvm.engine import fpcontrol, layout
from polyvm.engine.cpu import FOREVER, Cpu
from polyvm.errors import PolyvmError
from tests.engine import toy


@pytest.fixture
def space() -> Iterator[toy.Space]:
    made = toy.Space()
    yield made
    made.close()


@pytest.fixture
def cpu(space: toy.Space) -> Iterator[Cpu]:
    made = toy.make_cpu(space)
    yield made
    made.close()


def test_registers_go_by_number_name_and_alias(cpu: Cpu) -> None:
    cpu.x[10] = 2**64 - 1
    assert cpu.read("a0") == cpu.read("x10") == 2**64 - 1
    cpu.write("a0", -2)
    assert cpu.x[10] == 2**64 - 2
    cpu.write("b", 0x1FF)
    assert cpu.read("b") == 0xFF
    cpu.pc = -4
    assert cpu.read("pc") == 2**64 - 4
    cpu.write("pc", 0x1000)
    assert cpu.pc == 0x1000
    cpu.budget = -1
    assert cpu.budget == -1
    cpu.counters = 0x5000
    assert cpu.counters == 0x5000


def test_an_unknown_register_is_refused_by_name(cpu: Cpu) -> None:
    for act in (lambda: cpu.read("rax"), lambda: cpu.write("rax", 1)):
        with pytest.raises(PolyvmError) as caught:
            act()
        assert caught.value.code == "PVM-REGISTER-UNKNOWN"
        assert caught.value.context["register"] == "rax"


def test_registers_made_of_parts(cpu: Cpu) -> None:
    cpu.write("fcsr", 0b011_10101)
    assert cpu.fp_flags == 0b10101
    assert cpu.fp_mode == 0b011
    assert cpu.read("fcsr") == 0b011_10101
    assert cpu.read("fp.flags") == 0b10101
    cpu.write("fp.flags", 0)
    cpu.write("fp.mode", 1)
    assert cpu.read("fcsr") == 0b001_00000
    cpu.write("pair", 7 << 64 | 9)
    assert (cpu.x[2], cpu.x[3]) == (9, 7)
    assert cpu.read("pair") == 7 << 64 | 9


def test_the_control_word_in_the_terms_of_the_ir() -> None:
    for flags in range(32):
        word = fpcontrol.with_flags(fpcontrol.RESET | 2, flags)
        assert fpcontrol.flags(word) == flags
        assert word & ~0x3F == fpcontrol.RESET
    rounded = [fpcontrol.with_round(fpcontrol.RESET, mode) >> 13 & 3 for mode in range(8)]
    assert rounded == [0, 3, 1, 2, 0, 0, 0, 0]


def test_the_guests_rounding_and_flags_are_its_own(cpu: Cpu, space: toy.Space) -> None:
    import struct

    one, three = (int.from_bytes(struct.pack("<d", v), "little") for v in (1.0, 3.0))
    nearest = int.from_bytes(struct.pack("<d", 1.0 / 3.0), "little")
    space.open(0x1000)
    cpu.x[31], cpu.x[0], cpu.pc = toy.DIVIDE, 0x1000, 0x100
    for mode, expected in ((0, nearest), (1, nearest), (2, nearest), (3, nearest + 1)):
        cpu.x[2], cpu.x[3] = one, three
        cpu.fp_flags, cpu.fp_mode = 0, mode
        assert cpu.run() == layout.GOLDEN
        assert cpu.x[2] == expected
        assert cpu.fp_flags == fpcontrol.NX
        assert struct.unpack("<d", nearest.to_bytes(8, "little"))[0] == 1.0 / 3.0
    # The same where the run ends by a fault instead of a return.
    cpu.x[2], cpu.x[3], cpu.x[0] = one, three, 0x5000
    cpu.fp_flags, cpu.fp_mode = 0, 3
    assert cpu.run() == layout.FAULT
    assert (cpu.x[2], cpu.fp_flags, cpu.fp_mode) == (nearest + 1, fpcontrol.NX, 3)
    assert float("0.3") == 0.3


def test_a_context_is_saved_and_restored(cpu: Cpu, space: toy.Space) -> None:
    cpu.x[5], cpu.pc = 99, 0x4000
    cpu.write("fcsr", 0x61)
    context = cpu.save()
    other = toy.make_cpu(space)
    other.restore(context)
    assert (other.x[5], other.pc, other.read("fcsr")) == (99, 0x4000, 0x61)
    assert other.st != cpu.st
    other.close()
    other.close()


def test_a_new_cpu_stops_for_nothing(cpu: Cpu, space: toy.Space) -> None:
    assert cpu.budget == FOREVER
    assert cpu.take_signals() == []
    space.open(0x1000)
    cpu.x[0] = 0x1000
    assert cpu.run() == layout.GOLDEN
    assert cpu.reason == layout.GOLDEN


def test_a_stop_is_never_lost_and_can_be_taken_back(cpu: Cpu, space: toy.Space) -> None:
    space.open(0x1000)
    cpu.x[0] = 0x1000
    cpu.stop()
    assert cpu.run() == layout.STOP
    assert cpu.run() == layout.STOP
    cpu.clear_stop()
    assert cpu.run() == layout.GOLDEN


def test_stopping_a_closed_cpu_does_nothing(space: toy.Space) -> None:
    cpu = toy.make_cpu(space)
    cpu.close()
    cpu.stop()
