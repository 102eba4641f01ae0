"""Who executes a guest: the choice, its reasons, and the example that lets one choose."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from polyvm.accel import choice
from polyvm.accel.kvm import Kvm, hypervisor
from polyvm.errors import PolyvmError
from tests.conftest import ROOT

KVM_USABLE = choice.survey()["kvm"][0]


def test_the_jit_runs_what_the_hardware_does_not() -> None:
    made = choice.choose("riscv64")
    assert (made.accel, made.guest) == ("jit", "riscv64")
    reasons = choice.reasons("riscv64")
    assert set(reasons) == set(choice.ACCELERATORS)
    assert reasons["jit"] is None
    assert "does not run riscv64" in str(reasons["kvm"]) or not KVM_USABLE


@pytest.mark.skipif(not KVM_USABLE, reason=f"KVM is not usable here: {choice.survey()['kvm'][1]}")
def test_the_hardware_runs_its_own_kind() -> None:
    made = choice.choose("x86_64")
    assert (made.accel, made.guest) == ("kvm", "x86_64")
    made.close()


@pytest.mark.parametrize("accel", ["hvf", "whp"])
def test_other_systems_hypervisors_say_whose_they_are(accel: str) -> None:
    with pytest.raises(PolyvmError, match="hypervisor, and this is Linux") as caught:
        choice.choose("x86_64", accel)
    assert caught.value.code == "PVM-ACCEL-UNAVAILABLE"


def test_what_nobody_executes_comes_with_all_reasons() -> None:
    with pytest.raises(PolyvmError, match="Nobody here executes sparc") as caught:
        choice.choose("sparc")
    assert "jit: " in str(caught.value.context["reasons"])
    assert "kvm: " in str(caught.value.context["reasons"])
    with pytest.raises(PolyvmError) as caught:
        choice.choose("riscv64", "xen")
    assert caught.value.code == "PVM-USAGE"


def test_the_survey_of_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert choice.survey()["kvm"] == (False, "KVM is Linux's")
    assert "no back end" in choice.survey()["hvf"][1]
    with pytest.raises(PolyvmError, match="no native runtime for Darwin"):
        choice.choose("riscv64")


def test_a_kvm_names_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str | None] = []

    def made(self: Kvm, guest: str) -> None:
        self.fd, self.guest, self.kind = -1, guest, kinds[-1]

    monkeypatch.setattr(Kvm, "__init__", made)
    monkeypatch.setitem(hypervisor.GUESTS, os.uname().machine, "x86_64")
    for kind, said in (
        ("kvm_pvm", "ring 0 is emulated"),
        ("kvm_intel", "kvm_intel: runs"),
        (None, "KVM: runs"),
    ):
        kinds.append(kind)
        usable, reason = choice.survey()["kvm"]
        assert usable
        assert said in reason


@pytest.mark.parametrize("guest", ["x86_64", "riscv64", "aarch64"])
def test_the_example(guest: str) -> None:
    if guest == "x86_64" and not KVM_USABLE:
        pytest.skip(f"KVM is not usable here: {choice.survey()['kvm'][1]}")
    accel = "kvm" if guest == "x86_64" else "jit"
    command = [sys.executable, str(ROOT / "examples" / "vmm.py"), "--guest", guest]
    for options in ([], ["--accel", accel]):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, timeout=280)
        assert done.stdout == f"hello from {guest}, executed by {accel}\n"


@pytest.mark.parametrize("guest", ["x86_64", "riscv64", "aarch64"])
def test_state_moves_between_accelerators(guest: str) -> None:
    """One accelerator saves, another goes on: for every guest that two of them execute."""
    able = [name for name, reason in choice.reasons(guest).items() if reason is None]
    if len(able) < 2:
        pytest.skip(f"only {', '.join(able) or 'nobody'} executes {guest} here yet")
    machines = [choice.choose(guest, name).create_vm() for name in able[:2]]
    first, second = (vm.create_vcpu() for vm in machines)
    general = first.save().groups["general"]
    first.registers.update({name: 100 + number for number, name in enumerate(general)})
    second.restore(first.save())
    assert second.save().groups["general"] == first.save().groups["general"]
