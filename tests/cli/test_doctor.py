"""`polyvm doctor`: the document, the text for a person, and findings on a machine that lacks things."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm import doctor
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
    assert document["guests"]["aarch64"] == {"user": False, "system": False}
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
