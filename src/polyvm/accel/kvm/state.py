"""Saving and restoring a vCPU of KVM's: typed groups by the guest's table, raw structures beside them.

Restoring starts from the raw structures and lays the typed values over them, so that a group that somebody changed, or
that came from another accelerator, counts. It refuses what KVM does not take back, by name.
"""

from __future__ import annotations

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.kvm import C
from polyvm.accel.kvm import registers
from polyvm.accel.kvm.registers import BANKS, CALLS, msr_index, msr_name
from polyvm.errors import PolyvmError
from polyvm.vcpu.state import VcpuState, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.accel.kvm.vcpu import KvmVcpu

_WAITING = "mp_state"
_FIRST = ("kvm_sregs", "kvm_xcrs")
"""Before MSRs and vector state: modes and control registers decide what these may hold."""
_RESERVED = ("reserved", "pad", "flags")


def save(vcpu: KvmVcpu) -> VcpuState:
    """All of a vCPU's state."""
    groups: dict[str, dict[str, int]] = {}
    blobs: dict[str, bytes] = {}
    for home, bank in BANKS.items():
        data = vcpu.fill(CALLS[home][0], bank.structure.size)
        blobs[home] = bytes(data)
        groups.setdefault(bank.group, {}).update(bank.unpack(data))
    values = registers.read_msrs(vcpu, vcpu.msrs)
    vcpu.msrs = list(values)
    groups["msr"] = {msr_name(index): value for index, value in values.items()}
    data = vcpu.fill("KVM_GET_VCPU_EVENTS", ffi.VCPU_EVENTS.size)
    blobs["kvm_vcpu_events"] = bytes(data)
    events = {
        name: value for name, value in ffi.VCPU_EVENTS.unpack(data).items() if not name.endswith(_RESERVED)
    }
    events |= ffi.MP_STATE.unpack(vcpu.fill("KVM_GET_MP_STATE", ffi.MP_STATE.size))
    groups["events"] = events
    blobs["xsave"] = bytes(vcpu.fill(vcpu.get_xsave, vcpu.xsave_size))
    if vcpu.vm.irqchip:
        blobs["lapic"] = bytes(vcpu.fill("KVM_GET_LAPIC", ffi.LAPIC.size))
    return VcpuState(vcpu.vm.guest, vcpu.vm.accel, groups, blobs)


def restore(vcpu: KvmVcpu, state: VcpuState) -> None:
    """Put state back."""
    check(state, vcpu.vm.guest)
    blobs = state.blobs if state.accel == vcpu.vm.accel else {}
    for home in _FIRST:
        _put(vcpu, home, state, blobs)
    if "xsave" in blobs:
        vcpu.call("KVM_SET_XSAVE", bytearray(blobs["xsave"]))
    for home in BANKS:
        if home not in _FIRST:
            _put(vcpu, home, state, blobs)
    if "lapic" in blobs and vcpu.vm.irqchip:
        vcpu.call("KVM_SET_LAPIC", bytearray(blobs["lapic"]))
    wanted = {msr_index(name): value for name, value in state.groups.get("msr", {}).items()}
    refused = registers.write_msrs(vcpu, wanted)
    if refused:
        # What only tells (a version, a capability) is refused even with the value that it has.
        now = registers.read_msrs(vcpu, refused)
        for index in refused:
            if now.get(index) != wanted[index]:
                raise PolyvmError(
                    "PVM-ACCEL-REFUSED",
                    f"KVM does not take {msr_name(index)} back: this host's processor may be another one.",
                    register=msr_name(index),
                    value=wanted[index],
                )
    events = dict(state.groups.get("events", {}))
    waiting = events.pop(_WAITING, None)
    if events:
        data = blobs.get("kvm_vcpu_events") or vcpu.fill("KVM_GET_VCPU_EVENTS", ffi.VCPU_EVENTS.size)
        merged = {**ffi.VCPU_EVENTS.unpack(data), **events}
        merged["flags"] |= C["KVM_VCPUEVENT_VALID_NMI_PENDING"] | C["KVM_VCPUEVENT_VALID_SHADOW"]
        vcpu.call("KVM_SET_VCPU_EVENTS", bytearray(ffi.VCPU_EVENTS.codec.pack(*merged.values())))
    if waiting is not None and vcpu.vm.irqchip:
        vcpu.call("KVM_SET_MP_STATE", bytearray(ffi.MP_STATE.codec.pack(waiting)))


def _put(vcpu: KvmVcpu, home: str, state: VcpuState, blobs: dict[str, bytes]) -> None:
    """One structure: as it was, or is, with the typed values over it."""
    bank = BANKS[home]
    get, put = CALLS[home]
    data = bytearray(blobs[home]) if home in blobs else vcpu.fill(get, bank.structure.size)
    for name, value in state.groups.get(bank.group, {}).items():
        if name in bank.fields:
            bank.fields[name].put(data, value)
    vcpu.call(put, data)
