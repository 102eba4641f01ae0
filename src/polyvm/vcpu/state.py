"""What save() gives and restore() takes: typed values by group, and blobs that only the same accelerator reads.

Groups are what every accelerator can say of a guest, so that state can move between accelerators; blobs are the rest.
It refuses state of another guest.
"""

from __future__ import annotations

from polyvm.errors import PolyvmError
from polyvm.vcpu.records import Record

GROUPS = {
    "general": "general registers, program counter and flags",
    "system": "control and segment registers, or system registers of the address space",
    "debug": "debug registers",
    "fp": "floating-point and vector registers, and their controls",
    "msr": "model-specific registers",
    "events": "exceptions and interrupts under way, and whether the vCPU runs or waits",
}
"""Group -> what it has."""


class VcpuState(Record):
    """A vCPU's state. groups: group -> register -> value. blobs: what only `accel` knows, by name."""

    guest: str
    accel: str
    groups: dict[str, dict[str, int]]
    blobs: dict[str, bytes]


class VmState(Record):
    """What a virtual machine has beside its vCPUs and memory: clocks, interrupt controllers, timers."""

    guest: str
    accel: str
    clock: int | None
    blobs: dict[str, bytes]


def check(state: VcpuState | VmState, guest: str) -> None:
    """Refuse state of another guest."""
    if state.guest != guest:
        raise PolyvmError(
            "PVM-USAGE", f"This is state of the guest {state.guest}, and this machine is of {guest}."
        )
