"""The description of a guest's registers for debuggers: whole, in the standard order, and what it says is true."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from polyvm.debug.gdbtarget import Target
from polyvm.emulator import Emulator
from polyvm.engine.guest import Guest
from tests.conftest import GUESTS

FEATURES = {
    "riscv64": {
        "org.gnu.gdb.riscv.cpu": ["zero", "ra", *[None] * 29, "t6", "pc"],
        "org.gnu.gdb.riscv.fpu": ["ft0", *[None] * 30, "ft11", "fflags", "frm", "fcsr"],
    },
    "aarch64": {
        "org.gnu.gdb.aarch64.core": [*(f"x{n}" for n in range(31)), "sp", "pc", "cpsr"],
        "org.gnu.gdb.aarch64.fpu": [*(f"v{n}" for n in range(32)), "fpsr", "fpcr"],
        "org.gnu.gdb.aarch64.tls": ["tpidr"],
    },
}
"""What GDB's manual asks for (appendix G.5); None: not looked at."""


@pytest.fixture(params=GUESTS)
def target(request: pytest.FixtureRequest) -> Target:
    return Target(Guest(request.param))


def test_the_features_are_gdb_s(target: Target) -> None:
    guest = next(
        name for name, features in FEATURES.items() if [f for f, _ in target.features] == [*features]
    )
    root = ElementTree.fromstring(target.xml())
    assert root.findtext("osabi") == "GNU/Linux"
    number = 0
    for feature in root.findall("feature"):
        wanted = FEATURES[guest][feature.get("name", "")]
        found = feature.findall("reg")
        assert len(found) == len(wanted)
        types = {made.get("id") for made in feature if made.tag != "reg"}
        for register, name in zip(found, wanted, strict=True):
            assert name in (None, register.get("name"))
            assert register.get("regnum") == str(number)
            assert register.get("type") in {"int", "code_ptr", "data_ptr", *types}
            number += 1
    names = [register.name for register in target.registers]
    assert len(set(names)) == len(names) == number


def test_types_are_as_wide_as_their_registers(target: Target) -> None:
    bits = {"ieee_half": 16, "ieee_single": 32, "ieee_double": 64}
    root = ElementTree.fromstring(target.xml())

    def size(type: str) -> int:
        found = root.find(f".//*[@id='{type}']")
        if found is None:
            return bits.get(type) or int(type.removeprefix("u").removeprefix("int"))
        if found.tag == "vector":
            return size(found.get("type", "")) * int(found.get("count", ""))
        return max(size(field.get("type", "")) for field in found)

    for register in root.iter("reg"):
        if register.get("group") == "float":
            assert size(register.get("type", "")) == int(register.get("bitsize", ""))


@pytest.fixture(params=GUESTS, scope="module")
def cpu(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(request.param) as made:
        yield made


def test_registers_are_written_and_read(cpu: Emulator) -> None:
    target = Target(Guest(cpu.guest))
    for register in target.registers:
        size = register.bits // 8
        value = (0x1122334455667788_99AABBCCDDEEFF01 & (1 << register.bits) - 1) & ~1
        if register.setting:
            value = 1  # bits that every one of these has: a flag, a rounding mode
        if register.name == "cpsr":
            value = 0xA0000000
        if register.name == "fpcr":
            value = 1 << 22
        target.write(cpu._cpu, register.number, value.to_bytes(size, "little"))
        expected = 0 if register.name in target.zero else value
        assert int.from_bytes(register.read(cpu._cpu), "little") == expected, register.name
    everything = target.read_all(cpu._cpu)
    target.write_all(cpu._cpu, bytes(len(everything)))
    assert not any(target.read_all(cpu._cpu))
    target.write_all(cpu._cpu, everything)
    assert target.read_all(cpu._cpu) == everything
    with pytest.raises(ValueError, match="not all"):
        target.write_all(cpu._cpu, everything[1:])
    with pytest.raises(ValueError, match="bytes"):
        target.write(cpu._cpu, 1, b"")
