"""/dev/kvm: opening it, what it is, what it can do. It refuses other versions of the interface than the only one."""

from __future__ import annotations

import os

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.kvm.handle import Handle
from polyvm.errors import PolyvmError, from_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.accel.kvm.vm import KvmVm

DEVICE = "/dev/kvm"
GUESTS = {"x86_64": "x86_64"}
"""The host's machine -> the guest that KVM runs on it, as far as this package speaks to it."""

PARAVIRTUAL = "kvm_pvm"
"""A KVM for hosts that are guests themselves: ring 3 runs natively, ring 0 is emulated, slowly and not completely. It
knows no watchpoints, and in ring 3 no debugging at all."""
_MODULES = (PARAVIRTUAL, "kvm_intel", "kvm_amd")
_VMX, _SVM = (1, 2, 1 << 5), (0x8000_0001, 2, 1 << 2)
NESTED = (_VMX, _SVM)
"""(leaf, word, bit) of CPUID that let a guest run guests of its own: not offered, since their state is not saved."""

CAPABILITIES = {
    "port_io": "", "mmio": "", "dirty_log": "", "single_step": "KVM_CAP_SET_GUEST_DEBUG",
    "breakpoints": "KVM_CAP_SET_GUEST_DEBUG", "watchpoints": "KVM_CAP_SET_GUEST_DEBUG",
    "readonly_memory": "KVM_CAP_READONLY_MEM", "irqchip": "KVM_CAP_IRQCHIP",
    "split_irqchip": "KVM_CAP_SPLIT_IRQCHIP", "pit": "KVM_CAP_PIT2", "interrupt": "", "nmi": "KVM_CAP_USER_NMI",
    "msi": "KVM_CAP_SIGNAL_MSI", "routes": "KVM_CAP_IRQ_ROUTING", "ioeventfd": "KVM_CAP_IOEVENTFD",
    "irqfd": "KVM_CAP_IRQFD",    "coalesced": "KVM_CAP_COALESCED_MMIO", "translate": "", "cpuid": "", "msr": "",
    "clock": "KVM_CAP_ADJUST_CLOCK", "cancel": "KVM_CAP_IMMEDIATE_EXIT", "smp": "KVM_CAP_NR_VCPUS",
    "save": "KVM_CAP_VCPU_EVENTS", "msr_exits": "KVM_CAP_X86_USER_SPACE_MSR",
}  # fmt: skip
"""Capability -> the kernel's name for the question, "" for what every KVM has."""


class Kvm(Handle):
    """KVM on this host. Raises PVM-ACCEL-UNAVAILABLE, with the reason and what to do, where it cannot be used."""

    __slots__ = ("_cpuid", "_msrs", "guest", "kind")
    accel = "kvm"

    def __init__(self, guest: str = "x86_64", *, device: str = DEVICE) -> None:
        super().__init__(-1)
        machine = os.uname().machine
        if GUESTS.get(machine) != guest:
            raise _unavailable(
                f"on a host of {machine} it does not run {guest} guests"
                if machine in GUESTS
                else f"there is no back end for KVM on {machine} yet",
                'Use the JIT (accel="jit"), which runs every guest that it has on every host.',
            )
        try:
            self.fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _cannot_open(device, error) from from_oserror(error, f"Cannot open {device}")
        try:
            version = self.call("KVM_GET_API_VERSION")
        except PolyvmError as error:
            raise _unavailable(f"{device} does not answer as KVM", "Name KVM's device.") from error
        if version != ffi.API_VERSION:
            raise _unavailable(
                f"{device} speaks version {version} of the interface, and {ffi.API_VERSION} is needed",
                "Use a Linux kernel of this century's second decade or later.",
            )
        self.guest = guest
        self.kind = next((name for name in _MODULES if os.path.isdir(f"/sys/module/{name}")), None)
        self._cpuid: bytearray | None = None
        self._msrs: list[int] | None = None

    def can(self, capability: str) -> bool:
        """Whether this host's KVM has a capability."""
        if capability == "watchpoints" and self.kind == PARAVIRTUAL:
            return False
        if capability == "native_loop":
            from polyvm.accel.kvm import loop

            return loop.possible()
        question = CAPABILITIES.get(capability)
        return question is not None and (not question or self.extension(question) > 0)

    def extension(self, name: str) -> int:
        """The kernel's answer to a question of ffi.CAPS: 0 for no, else yes or how much."""
        return self.call("KVM_CHECK_EXTENSION", ffi.CAPS[name])

    def create_vm(self) -> KvmVm:
        """A virtual machine without memory and processors."""
        from polyvm.accel.kvm.vm import KvmVm

        return KvmVm(self)

    def cpuid(self) -> bytearray:
        """What KVM can offer of this host's CPUID, as the kernel's kvm_cpuid2, without nested virtualisation."""
        if self._cpuid is None:
            entries, size = 256, ffi.CPUID_ENTRY.size
            data = bytearray(ffi.CPUID.size + entries * size)
            data[:4] = entries.to_bytes(4, "little")
            self.call("KVM_GET_SUPPORTED_CPUID", data)
            del data[ffi.CPUID.size + int.from_bytes(data[:4], "little") * size :]
            for leaf, word, bit in NESTED:
                for at in range(ffi.CPUID.size, len(data), size):
                    if int.from_bytes(data[at : at + 4], "little") == leaf:
                        place = at + ffi.CPUID_ENTRY.offset("eax") + 4 * word
                        value = int.from_bytes(data[place : place + 4], "little") & ~bit
                        data[place : place + 4] = value.to_bytes(4, "little")
            self._cpuid = data
        return self._cpuid

    def msrs(self) -> list[int]:
        """The indexes of the MSRs that are a guest's state, as KVM lists them."""
        if self._msrs is None:
            room = 1024
            data = bytearray(ffi.MSR_LIST.size + 4 * room)
            data[:4] = room.to_bytes(4, "little")
            self.call("KVM_GET_MSR_INDEX_LIST", data)
            count = int.from_bytes(data[:4], "little")
            self._msrs = list(memoryview(data)[4 : 4 + 4 * count].cast("I"))
        return self._msrs


def _unavailable(why: str, hint: str, **context: object) -> PolyvmError:
    return PolyvmError(
        "PVM-ACCEL-UNAVAILABLE", f"KVM cannot be used: {why}.", hint=hint, accel="kvm", **context
    )


def _cannot_open(device: str, error: OSError) -> PolyvmError:
    if isinstance(error, PermissionError):
        return _unavailable(
            f"{device} may not be opened by this user",
            "Join the group that owns it (usually: usermod -aG kvm USER, then log in again).",
            path=device,
        )
    if isinstance(error, FileNotFoundError):
        return _unavailable(
            f"there is no {device}",
            "Load the module (modprobe kvm_intel or kvm_amd), enable virtualisation in the firmware, or, in a"
            " container, hand the device in.",
            path=device,
        )
    return _unavailable(f"{device}: {error.strerror}", "The host's kernel log may say why.", path=device)
