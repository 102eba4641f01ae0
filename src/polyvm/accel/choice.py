"""Choosing who executes a guest: hardware where guest and host match and its device is usable, the JIT otherwise.

The reasons are part of the answer: `reasons("aarch64")` says for each accelerator why it is not the one. It refuses
names that do not exist, and a guest that nobody here can execute, with all the reasons.
"""

from __future__ import annotations

import os
import platform

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.vcpu.contract import Hypervisor

ACCELERATORS = ("jit", "kvm", "hvf", "whp")
"""Every accelerator of the design."""
_HARDWARE = {"Linux": "kvm", "Darwin": "hvf", "Windows": "whp"}
_OWNERS = {"hvf": ("Darwin", "macOS"), "whp": ("Windows", "Windows")}


def choose(guest: str, accel: str = "auto") -> Hypervisor:
    """The accelerator for a guest: a named one, or with "auto" the best that is usable.

    Raises PVM-USAGE for a name that does not exist, PVM-ACCEL-UNAVAILABLE, with the reason, for what cannot be used.
    """
    if accel not in (*ACCELERATORS, "auto"):
        raise PolyvmError(
            "PVM-USAGE",
            f"There is no accelerator {accel!r}.",
            hint=f"There are {', '.join(ACCELERATORS)}, and auto, which chooses.",
        )
    if accel != "auto":
        return _open(guest, accel)
    refusals: list[PolyvmError] = []
    for name in (_HARDWARE.get(platform.system(), "kvm"), "jit"):
        try:
            return _open(guest, name)
        except PolyvmError as error:
            if error.code != "PVM-ACCEL-UNAVAILABLE":
                raise
            refusals.append(error)
    why = "; ".join(f"{error.context['accel']}: {error.message.rstrip('.')}" for error in refusals)
    raise PolyvmError(
        "PVM-ACCEL-UNAVAILABLE",
        f"Nobody here executes {guest} guests.",
        hint="polyvm doctor lists the accelerators of this host.",
        guest=guest,
        reasons=why,
    ) from refusals[0]


def reasons(guest: str) -> dict[str, str | None]:
    """For each accelerator: None if it executes this guest here, else why not."""
    found: dict[str, str | None] = {}
    for name in ACCELERATORS:
        try:
            _open(guest, name).close()
            found[name] = None
        except PolyvmError as error:
            found[name] = error.message
    return found


def survey() -> dict[str, tuple[bool, str]]:
    """For each accelerator whether it is usable on this host, and what there is to say of it."""
    return {"jit": _jit(), "kvm": _kvm()} | {name: _elsewhere(name) for name in _OWNERS}


def _open(guest: str, accel: str) -> Hypervisor:
    if accel == "jit":
        usable, why = _jit()
        if not usable:
            raise _unavailable("jit", why)
        from polyvm.accel.jit import Jit

        return Jit(guest)
    if accel == "kvm" and platform.system() == "Linux":
        from polyvm.accel.kvm import Kvm

        return Kvm(guest)
    raise _unavailable(accel, _kvm()[1] if accel == "kvm" else _elsewhere(accel)[1])


def _unavailable(accel: str, why: str) -> PolyvmError:
    return PolyvmError(
        "PVM-ACCEL-UNAVAILABLE",
        f"{accel} cannot be used: {why}.",
        hint="polyvm doctor lists the accelerators of this host.",
        accel=accel,
    )


def _jit() -> tuple[bool, str]:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return False, f"no native runtime for {system} on {machine} yet"
    return True, "runs every guest on this host"


def _kvm() -> tuple[bool, str]:
    if platform.system() != "Linux":
        return False, "KVM is Linux's"
    from polyvm.accel.kvm import Kvm
    from polyvm.accel.kvm.hypervisor import GUESTS, PARAVIRTUAL

    guest = GUESTS.get(os.uname().machine, "")
    try:
        hypervisor = Kvm(guest)
    except PolyvmError as error:
        return False, error.message.removeprefix("KVM cannot be used: ").rstrip(".")
    kind = hypervisor.kind
    hypervisor.close()
    if kind == PARAVIRTUAL:
        return (
            True,
            f"{kind}: runs {guest} guests, ring 3 natively; ring 0 is emulated, slowly and not completely",
        )
    return True, f"{kind or 'KVM'}: runs {guest} guests"


def _elsewhere(accel: str) -> tuple[bool, str]:
    system, name = _OWNERS[accel]
    if platform.system() == system:
        return False, f"polyvm has no back end for {name}'s hypervisor yet"
    return False, f"it is {name}'s hypervisor, and this is {platform.system()}"
