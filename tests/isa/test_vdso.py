"""The vDSO of every guest, read by a tool made elsewhere: its functions are there, and are the calls they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from polyvm.isa import SPECIFIED, disasm, vdso
from polyvm.user.syscalls.numbers_generic import NAMES

# Guest -> what readelf calls the machine, version, prefix of names, and the text of a function.
GUESTS = {
    "riscv64": ("RISC-V", "LINUX_4.15", "__vdso_", ["addi a7, zero, {}", "ecall", "jalr zero, 0(ra)"]),
    "aarch64": ("AArch64", "LINUX_2.6.39", "__kernel_", ["movz x8, #{}", "svc #0", "ret"]),
}


def _readelf(*words: str | Path) -> str:
    tool = shutil.which("readelf")
    if tool is None:
        pytest.skip("readelf is not here: apt install binutils")
    return subprocess.run([tool, "-W", *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("guest", SPECIFIED)
def test_the_image(guest: str, tmp_path: Path) -> None:
    abi = import_module(f"polyvm.isa.{guest}.abi")
    image, offsets = abi.vdso()
    file = tmp_path / "vdso"
    file.write_bytes(image)
    machine, version, prefix, _ = GUESTS[guest]
    header = _readelf("-h", file)
    assert re.search(rf"Machine: +{machine}$", header, re.MULTILINE)
    assert re.search(r"Type: +DYN ", header)
    assert int.from_bytes(image[18:20], "little") == abi.MACHINE
    assert f"Library soname: [{vdso.SONAME}]" in _readelf("-d", file)
    rows = [line.split() for line in _readelf("-Ds", file).splitlines() if " FUNC " in line]
    assert {row[-1]: int(row[1], 16) for row in rows} == {
        f"{name}@@{version}": at for name, at in offsets.items()
    }
    assert all(name.startswith(prefix) and at % vdso.APART == 0 for name, at in offsets.items())
    assert abi.SIGRETURN in offsets


@pytest.mark.parametrize("guest", SPECIFIED)
def test_the_functions(guest: str) -> None:
    abi = import_module(f"polyvm.isa.{guest}.abi")
    isa = import_module(f"polyvm.isa.{guest}").load()
    image, offsets = abi.vdso()
    _, _, prefix, (number, call, back) = GUESTS[guest]
    numbers = {name: n for n, name in {**NAMES, **abi.SYSCALLS}.items()}
    for name, at in offsets.items():
        rows = list(disasm.listing(isa, image[at : at + 12], at))
        bare = name.removeprefix(prefix)
        wanted = {"flush_icache": "riscv_flush_icache"}.get(bare, bare)
        assert [text for _, _, text in rows] == [number.format(numbers[wanted]), call, back]
