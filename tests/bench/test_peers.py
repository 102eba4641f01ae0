"""Who is measured: found where installed, refused with the package to install where not."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from polyvm.bench import peers
from polyvm.bench.build import Builder
from polyvm.errors import PolyvmError


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder("riscv64", tmp_path)


def refused(name: str, builder: Builder) -> PolyvmError:
    with pytest.raises(PolyvmError) as caught:
        peers.find(name, "riscv64", builder)
    assert caught.value.code == "PVM-PEER-MISSING"
    return caught.value


def test_qemu_that_is_not_installed(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused("qemu", builder)
    assert "qemu-riscv64 is not installed" in error.message
    assert "apt install qemu-user" in (error.hint or "")
    assert error.context["package"] == "qemu-user"


@pytest.mark.parametrize(("peer", "package"), [("unicorn", "unicorn"), ("native", "ziglang")])
def test_packages_that_are_not_installed(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, peer: str, package: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else real(name, *rest)
    )
    error = refused(peer, builder)
    assert error.hint == f"pip install {package}"


def test_a_peer_that_there_is_not(builder: Builder) -> None:
    with pytest.raises(PolyvmError, match="no peer 'bochs'") as caught:
        peers.find("bochs", "riscv64", builder)
    assert caught.value.code == "PVM-USAGE"


def test_qemu_where_it_is_installed(builder: Builder) -> None:
    if shutil.which("qemu-riscv64") is None:
        pytest.skip("qemu-riscv64 is not installed")
    peer = peers.find("qemu", "riscv64", builder)
    assert peer.version[0].isdigit()
    assert peer.command(Path("/p"), ("1",), Path("/root")) == [peer.path, "-L", "/root", "/p", "1"]


def test_qemu_plays_a_processor_without_pointer_authentication(builder: Builder) -> None:
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is not installed")
    peer = peers.find("qemu", "aarch64", builder)
    assert peer.command(Path("/p"), ()) == [peer.path, "-cpu", "cortex-a72", "/p"]
    assert peer.version.endswith(" -cpu cortex-a72")


def test_native_is_the_same_compiler_with_the_same_flags(builder: Builder) -> None:
    native, guest = builder.flags("native"), builder.flags("guest")
    assert native[2:] == guest[2:] == ["-O2", "-ffp-contract=off", "-fno-sanitize=undefined", "-static"]
    assert native[1] != guest[1]
    assert builder.flags("native-march") == [*native, "-march=native"]
    assert peers.find("native", "riscv64", builder).command(Path("/p"), ("1",)) == ["/p", "1"]


def test_polyvm_runs_as_a_process_of_its_own() -> None:
    peer = peers.subject((sys.executable, "-m", "polyvm"), ("--tier", "interpreter"))
    command = peer.command(Path("/p"), ("1", "2"), Path("/root"))
    assert command[1:] == [
        "-m",
        "polyvm",
        "run",
        "--tier",
        "interpreter",
        "--sysroot",
        "/root",
        "/p",
        "1",
        "2",
    ]


def test_the_environment_is_free_of_what_would_change_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("QEMU_CPU", "max")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("POLYVM_CACHE_DIR", "/kept")
    env = peers.subject(("polyvm",), ()).env()
    assert env["LC_ALL"] == "C"
    assert env["POLYVM_CACHE_DIR"] == "/kept"
    assert not {"LANG", "QEMU_CPU", "PYTHONDONTWRITEBYTECODE"} & set(env)


def test_a_peer_without_dynamic_linking(builder: Builder) -> None:
    if importlib.util.find_spec("unicorn") is None:
        pytest.skip("unicorn is not installed")
    peer = peers.find("unicorn", "riscv64", builder)
    with pytest.raises(PolyvmError, match="unicorn runs static programs only"):
        peer.command(Path("/p"), (), Path("/root"))
