"""The numbers and structures of accel.ffi.kvm are those of the kernel's own headers, as a C compiler reads them."""

from __future__ import annotations

import platform
import re
import subprocess

import pytest

from polyvm.accel.ffi import kvm, layout
from polyvm.isa.x86_64 import registers
from tests import toolchain

NEWER = {"KVM_EXIT_MEMORY_FAULT"}  # than the oldest header that a compiler may bring


def _c(field: str) -> str:
    """A field of ours as C writes it: db.2 is db[2], and the blobs' elements too."""
    return re.sub(r"\.(\d+)", r"[\1]", field)


def _lines() -> list[str]:
    lines = []
    for name in (*kvm.NUMBERS, *kvm.CAPS, *kvm.EXITS, *kvm.CONSTANTS):
        text = f'printf("{name} %llu\\n", (unsigned long long)({name}));'
        lines.append(f"#ifdef {name}\n{text}\n#endif" if name in NEWER else text)
    arms = {arm.name for arm in kvm.ARMS}
    for structure in layout.structures.values():
        if structure.name == "memory_fault":
            continue  # compared below, where the header has it
        if structure.name not in arms:
            lines.append(f'printf("sizeof {structure.name} %zu\\n", sizeof(struct {structure.name}));')
        for field in structure.places:
            if structure.name in arms:
                where = f"offsetof(struct kvm_run, {structure.name}.{_c(field)})"
            else:
                where = f"offsetof(struct {structure.name}, {_c(field)})"
            if "pad" not in field and "reserved" not in field:
                lines.append(f'printf("{structure.name}.{field} %zu\\n", {where});')
    lines.append("#ifdef KVM_EXIT_MEMORY_FAULT")
    for field in kvm.EXIT_MEMORY_FAULT.places:
        lines.append(
            f'printf("memory_fault.{field} %zu\\n", offsetof(struct kvm_run, memory_fault.{field}));'
        )
    return [*lines, "#endif"]


@pytest.fixture(scope="module")
def header() -> dict[str, int]:
    """What a C program that includes the kernel's headers prints."""
    if platform.machine() != "x86_64":
        pytest.skip("the structures are x86_64's, and this host cannot run the program that prints them")
    source = "\n".join(
        ["#include <stdio.h>", "#include <stddef.h>", "#include <linux/kvm.h>", "int main(void) {", *_lines(),
         "return 0; }", ""]
    )  # fmt: skip
    program = toolchain.build(source, guest="x86_64", name="kvm-header")
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in printed.splitlines())}


def test_numbers_are_the_headers(header: dict[str, int]) -> None:
    ours = {**kvm.NUMBERS, **kvm.CAPS, **kvm.EXITS, **kvm.CONSTANTS}
    assert {name: value for name, value in ours.items() if name in header} == {
        name: header[name] for name in ours if name in header
    }
    assert set(ours) - set(header) <= NEWER


def test_structures_are_the_headers(header: dict[str, int]) -> None:
    arms = {arm.name for arm in kvm.ARMS}
    compared = 0
    for structure in layout.structures.values():
        if structure.name not in arms:
            assert header[f"sizeof {structure.name}"] == structure.size, structure.name
        start = kvm.RUN_UNION if structure.name in arms else 0
        for field, (offset, _) in structure.places.items():
            name = f"{structure.name}.{field}"
            if name in header:
                assert header[name] == start + offset, name
                compared += 1
    assert compared > 300


def test_the_names_of_numbers_are_unique() -> None:
    assert len(kvm.NAMES) == len(kvm.IOCTLS)


def test_a_structure_packs_what_it_unpacks() -> None:
    events = kvm.VCPU_EVENTS
    data = bytes(range(events.size))
    values = events.unpack(data)
    assert values["exception.error_code"] == 0x07060504
    again = events.codec.pack(*values.values())
    assert events.unpack(again) == values
    assert len(again) == events.size


@pytest.mark.parametrize("row", registers.table(), ids=lambda row: row.name)
def test_every_register_of_the_table_has_its_place(row: registers.Register) -> None:
    """A place that the table names is there, and as wide as the register."""
    structure, _, field = row.kvm.partition(".")
    if structure == "msr":
        assert 0 < int(field, 16) < 1 << 32
    elif field.endswith(".access"):
        assert sum(bits for _, bits in registers.ACCESS) == row.bits
    else:
        _, size = layout.structures[structure].places[field]
        assert size * 8 >= row.bits > (size * 8 - 64 if size < 16 else 64)
