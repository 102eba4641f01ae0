"""Source lines of guest code, judged by binutils' addr2line; and files that are damaged, or name what is no source."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from polyvm.debug import elf, sourcelines
from tests import toolchain

WORKLOADS = Path(__file__).parents[2] / "benchmarks/workloads"
ADDR2LINE = shutil.which("addr2line")


def program(guest: str, version: int) -> Path:
    flags = ("-g", "-lm") if version == 5 else ("-g", f"-gdwarf-{version}", "-lm")  # 5 is what -g means
    return toolchain.build(WORKLOADS / "json.c", guest, flags=flags)


def addresses(path: Path, name: str) -> list[int]:
    found = elf.read(str(path)).symbols().find(name)
    assert found is not None
    return list(range(found[0], found[1], 4))


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("guest", ["riscv64", "aarch64"])
def test_lines_are_those_of_addr2line(guest: str, version: int) -> None:
    if ADDR2LINE is None:
        pytest.skip("addr2line is not installed (binutils)")
    path = program(guest, version)
    places = addresses(path, "main") + addresses(path, "parse")
    found = sourcelines.Program(str(path)).lines(places)
    out = subprocess.run(
        [ADDR2LINE, "-e", path, *map(hex, places)], capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    compared = 0
    for place, line in zip(places, out, strict=True):
        match = re.match(r"(.*):(\d+)", line)
        if match is None or match[2] == "0":
            continue
        compared += 1
        assert found[place][1] == int(match[2]), hex(place)
        assert Path(found[place][0]).name == Path(match[1]).name
    assert compared > 50


def test_it_knows_whether_a_file_holds_code() -> None:
    path = program("riscv64", 5)
    name, start, code = next(part for part in elf.read(str(path)).code() if part[0] == ".text")
    found = sourcelines.Program(str(path))
    assert name
    assert found.holds(start, bytes(code[:64]))
    assert not found.holds(start + 2, bytes(code[:64]))
    assert not found.holds(1 << 60, b"1234")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_file_has_no_lines_or_fewer(tmp_path: Path, place: float) -> None:
    path = program("riscv64", 5)
    data = bytearray(path.read_bytes())
    sections = [s for s in elf.read(str(path)).sections if s.name.startswith(".debug_")]
    for section in sections:
        at = bytes(data).find(bytes(section.data)) + int(place * len(section.data))
        data[at : at + 40] = bytes(255 - byte for byte in data[at : at + 40])
    (tmp_path / "damaged").write_bytes(data)
    sourcelines.Program(str(tmp_path / "damaged")).lines(addresses(path, "main"))
    (tmp_path / "cut").write_bytes(data[: int(place * len(data))])
    assert sourcelines.Program(str(tmp_path / "cut")).lines([0x10000]) == {}
    assert sourcelines.Program(str(tmp_path / "gone")).lines([0x10000]) == {}


def test_only_sources_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("\n".join(f"line {n}" for n in range(1, 21)))
    (tmp_path / "secret").write_text("a\nb\n")
    assert sourcelines.text_of(str(tmp_path / "secret"), 1, 2) == []
    assert sourcelines.text_of("/dev/zero.c", 1, 2) == []
    found = sourcelines.text_of(str(tmp_path / "a.c"), 5, 6)
    assert [number for number, _ in found] == list(range(2, 10))
    assert found[0] == (2, "line 2")
