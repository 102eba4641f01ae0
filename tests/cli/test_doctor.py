"""`polyvm doctor`: the document, the text for a person, and findings on a machine that lacks things."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm import doctor
from polyvm.errors import PolyvmError
from tests.cli.conftest import Done

Cli = Callable[..., Done]


def test_the_document(cli: Cli) -> None:
    done = cli("doctor", "--json")
    document = json.loads(done.out)
    assert document["schema"] == "polyvm.doctor/1"
    assert set(document) == {
        "schema", "polyvm", "ok", "checks", "host", "accels", "guests", "address_bits", "page_size", "cache",
    }  # fmt: skip
    assert done.status == (0 if document["ok"] else 1)
    assert set(document["accels"]) == {"jit", "kvm", "hvf", "whp"}
    for accel in document["accels"].values():
        assert set(accel) == {"usable", "reason"}
        assert accel["reason"]
    for check in document["checks"]:
        assert set(check) == {"id", "status", "summary", "hint", "verified_on_hardware"}
        assert check["status"] in ("ok", "warn", "fail", "skip")
        assert check["hint"] or check["status"] in ("ok", "skip")
    names = [check["id"] for check in document["checks"]]
    assert len(names) == len(set(names))
    assert {"python", "host", "llvmlite", "cache", "address-space"} <= set(names)
    assert document["guests"]["riscv64"] == {"user": True, "system": False}
    assert document["guests"]["aarch64"] == {"user": True, "system": False}
    assert document["guests"]["x86_64"] == {"user": False, "system": False}
    assert set(document["cache"]) == {"path", "bytes", "trusted"}
    assert document["address_bits"] >= 38


def test_the_text_names_every_check(cli: Cli) -> None:
    text = cli("doctor").out
    document = json.loads(cli("doctor", "--json").out)
    for check in document["checks"]:
        assert f"{check['status']:<5} {check['id']}" in text
    assert text.rstrip().endswith("programs here." if document["ok"] else "see what failed above.")


def test_a_cache_that_others_can_enter_is_a_failure(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path))
    done = cli("doctor", "--json")
    document = json.loads(done.out)
    assert (done.status, document["ok"]) == (1, False)
    (check,) = [check for check in document["checks"] if check["id"] == "cache"]
    assert check["status"] == "fail"
    assert "chmod 700" in check["hint"]
    assert document["cache"] == {"path": str(tmp_path), "bytes": None, "trusted": False}
    assert "polyvm cannot run programs here" in cli("doctor").out


def test_a_sysroot_that_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYVM_SYSROOT", "/nonexistent")
    document = json.loads(cli("doctor", "--json").out)
    (check,) = [check for check in document["checks"] if check["id"] == "sysroot"]
    assert check["status"] == "fail"


def test_a_cpu_without_features_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cpu_info", lambda: {"model name": "Slow", "flags": "sse2 avx2"})
    (check,) = doctor._cpu()
    assert check.status == "warn"
    assert check.summary == "Slow lacks FMA, F16C, PCLMUL, BMI2"


def test_other_hosts_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(doctor.platform, "machine", lambda: "arm64")
    (check,) = doctor._system()
    assert check.status == "fail"
    accels = doctor.accelerators()
    assert not accels["jit"]["usable"]
    assert "no native runtime" in accels["jit"]["reason"]
    assert "no back end" in accels["hvf"]["reason"]
    assert accels["kvm"]["reason"] == "KVM is Linux's"


def test_no_room_for_addresses() -> None:
    assert doctor._address_check(None).status == "fail"
    assert doctor._address_check(36).status == "warn"
    assert doctor._address_check(38).status == "ok"


def test_old_packages_and_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LLVMLITE", (99, 0))
    (check,) = doctor._llvmlite()
    assert (check.status, check.hint) == ("fail", "pip install 'llvmlite>=99.0'")
    monkeypatch.setattr(doctor, "PYTHON", (9, 9))
    (check,) = doctor._python()
    assert check.status == "fail"
    monkeypatch.setattr(doctor.os, "sysconf", lambda name: 65536)
    (check,) = doctor._page_size()
    assert check.status == "fail"


def fail(*arguments: object, **options: object) -> object:
    raise OSError(13, "Permission denied")


def test_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "implementation", type("Other", (), {"name": "pypy"}))
    (check,) = doctor._python()
    assert (check.status, check.hint) == ("fail", "Use CPython.")


def test_a_cpu_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cpu_info", dict)
    (check,) = doctor._cpu()
    assert check.status == "skip"
    assert doctor._cpu_name()


def test_hardened_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    from polyvm.memory import host, space

    monkeypatch.setattr(host, "mprotect", lambda *a: -13)
    (check,) = doctor._executable_memory()
    assert (check.status, check.verified_on_hardware) == ("fail", True)

    def refuse(*a: object) -> bytes:
        raise PolyvmError("PVM-RESOURCE", "No.")

    monkeypatch.setattr(host, "safe_read", refuse)
    (check,) = doctor._process_memory()
    assert check.status == "fail"
    monkeypatch.setattr(space, "AddressSpace", refuse)
    assert doctor.address_bits() is None


def test_memory_that_is_scarce_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "sysconf", lambda name: 4096)
    (check,) = doctor._memory()
    assert check.status == "warn"
    monkeypatch.setattr(doctor.os, "sysconf", fail)
    (check,) = doctor._memory()
    assert check.status == "skip"


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    (check,) = doctor._llvmlite()
    assert (check.status, check.hint) == ("fail", "pip install llvmlite")


def test_states_of_the_cache(cold_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = doctor._cache_check()
    assert check.status == "ok"
    assert doctor._cache() == {"path": str(cold_cache), "bytes": 0, "trusted": True}
    assert all("will be compiled" in check.summary for check in doctor._interpreter())
    monkeypatch.setattr(doctor.os, "access", lambda *a: False)
    (check,) = doctor._cache_check()
    assert check.status == "warn"
    assert "cannot be written" in check.summary
    monkeypatch.undo()
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(cold_cache))
    monkeypatch.setattr(doctor, "DISK_WANTED", 1 << 62)
    (check,) = doctor._cache_check()
    assert (check.status, check.hint) == ("warn", "polyvm cache prune")
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(cold_cache / "none"))
    (check,) = doctor._cache_check()
    assert "will be made" in check.summary
    assert doctor._cache()["bytes"] == 0
    assert all("will be compiled" in check.summary for check in doctor._interpreter())


def test_the_interpreter_is_there(cold_cache: Path) -> None:
    from polyvm.engine import interpreter_image

    (cold_cache / "tier0").mkdir()
    (cold_cache / f"tier0/riscv64-{interpreter_image.key('riscv64')}.pvi").touch()
    states = {check.id: check.summary for check in doctor._interpreter()}
    assert "is compiled" in states.pop("interpreter-riscv64")
    assert states
    assert all("will be compiled" in summary for summary in states.values())


def test_what_is_not_installed_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    peers = list(doctor._peers())
    assert [check.id for check in peers] == [f"peer-qemu-{guest}" for guest in doctor.GUESTS]
    assert all(check.status == "skip" and "apt install" in (check.hint or "") for check in peers)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [(check.id, check.status) for check in doctor._extras()] == [
        ("package-unicorn", "skip"), ("package-ziglang", "skip"),
    ]  # fmt: skip
    monkeypatch.delenv("POLYVM_SYSROOT", raising=False)
    monkeypatch.setattr(doctor, "SYSROOTS", {"riscv64": (str(tmp_path / "none"), "the-package")})
    (check,) = doctor._sysroots()
    assert (check.status, check.hint) == ("skip", "On Debian and Ubuntu: apt install the-package")
    monkeypatch.setattr(doctor, "SYSROOTS", {"riscv64": (str(tmp_path), "the-package")})
    (check,) = doctor._sysroots()
    assert check.status == "ok"
    monkeypatch.setenv("POLYVM_SYSROOT", str(tmp_path))
    (check,) = doctor._sysroots()
    assert (check.status, check.summary) == ("ok", f"$POLYVM_SYSROOT is {tmp_path}")
