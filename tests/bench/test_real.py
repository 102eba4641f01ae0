"""Real programs: where they are looked for, what they are given, and what is refused when they are not there."""

from __future__ import annotations

import hashlib
import json
import platform
import struct
from pathlib import Path

import pytest

from polyvm.bench import data, debian, manifest, real
from polyvm.bench.options import Options
from polyvm.bench.peers import Peer
from polyvm.errors import PolyvmError

FOLDER = Path(__file__).parents[2] / "benchmarks"
QEMU = Peer("qemu", "guest", "1", prefix=("qemu-riscv64",), sysroot_option=("-L",))
NATIVE = Peer("native", "native", "1")

pytestmark = pytest.mark.usefixtures("cold_cache")


def elf(*kinds: int) -> bytes:
    """The head of an ELF file with program headers of these types."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, len(kinds))
    return bytes(header) + b"".join(struct.pack("<I52x", kind) for kind in kinds)


def fetched(machine: str, program: str, content: bytes) -> Path:
    """What debian.fetch leaves behind."""
    folder = real.folder(machine)
    path = folder / "root" / program
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (folder / "packages.json").write_text(json.dumps({"versions": {}}))
    return path


def lua() -> manifest.Workload:
    return next(one for one in manifest.load(FOLDER) if one.name == "lua")


def test_programs_that_are_not_fetched_are_left_out_unless_asked_for() -> None:
    workload = lua()
    found = real.prepare(Options(), [workload])
    assert "lua5.4 for riscv64 is not fetched: python benchmarks/real/fetch.py" in (
        found.missing(workload) or ""
    )
    for asked in ("lua", "real"):
        with pytest.raises(PolyvmError, match="lua cannot run") as caught:
            real.prepare(Options(workloads=(asked,)), [workload])
        assert (caught.value.code, caught.value.hint) == ("PVM-BENCH-BUILD", real.FETCH)


def test_a_dynamic_program_has_its_own_libraries_under_every_peer() -> None:
    workload = lua()
    for machine in ("riscv64", platform.machine()):
        fetched(machine, workload.program, elf(1, 3))
    found = real.prepare(Options(workloads=("lua",)), [workload])
    assert found.missing(workload) is None
    guest = found.program(workload, QEMU, "small")
    assert guest.sysroot == real.folder("riscv64") / "root"
    assert guest.program == guest.sysroot / workload.program
    assert guest.arguments == (str(FOLDER / "real" / "suite.lua"), "1")
    assert guest.launcher == ()
    native = found.program(workload, NATIVE, "small")
    assert native.launcher[1] == "--library-path"
    assert native.launcher[0].startswith(str(real.folder(platform.machine())))


def test_a_static_program_and_generated_input() -> None:
    workload = next(one for one in manifest.load(FOLDER) if one.name == "busybox_awk")
    for machine in ("riscv64", platform.machine()):
        fetched(machine, workload.program, elf(1, 1))
    found = real.prepare(Options(workloads=("real",)), [workload])
    ready = found.program(workload, QEMU, "small")
    assert (ready.sysroot, ready.launcher) == (None, ())
    made = Path(ready.arguments[3])
    assert made.stat().st_size == int(workload.size["small"]) * 1024


def test_which_programs_are_static(tmp_path: Path) -> None:
    file = tmp_path / "program"
    for kinds, static in (((1, 1), True), ((6, 3, 1), False), ((), True)):
        file.write_bytes(elf(*kinds))
        assert real.static(file) is static


def test_the_input_is_the_same_everywhere(tmp_path: Path) -> None:
    data.make(tmp_path / "text-64k")
    made = (tmp_path / "text-64k").read_bytes()
    assert len(made) == 64 * 1024
    assert made.endswith(b"\n")
    assert hashlib.sha256(made).hexdigest()[:16] == "85cd38d12c6a4727"
    with pytest.raises(PolyvmError, match="no rule to make text-64"):
        data.make(tmp_path / "text-64")


def test_without_apt_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PolyvmError, match="apt-get is not on this machine") as caught:
        debian.fetch("sid", "riscv64", ["lua5.4"], tmp_path / "x")
    assert caught.value.code == "PVM-BENCH-BUILD"


def test_what_was_fetched_before_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    written = {"suite": "sid", "packages": ["a", "b"], "versions": {"a": "1", "b": "1:2"}}
    (tmp_path / "packages.json").write_text(json.dumps(written))
    assert debian.fetch("sid", "riscv64", ["b", "a"], tmp_path) == {"a": "1", "b": "1:2"}
    with pytest.raises(PolyvmError):
        debian.fetch("sid", "riscv64", ["c"], tmp_path)


def test_names_of_archives() -> None:
    assert debian._name(Path("lua5.4_5.4.8-1+b1_riscv64.deb")) == ("lua5.4", "5.4.8-1+b1")
    assert debian._name(Path("bash_1%3a5.2_amd64.deb")) == ("bash", "1:5.2")
