"""From the kernel's exit to ours: one row a reason, each by its structure in accel.ffi.kvm.

The two that are common, port and memory accesses, are decoded where they happen (`accel.kvm.vcpu`). What no row is for
is Unknown, with its bytes.
"""

from __future__ import annotations

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.kvm import C
from polyvm.accel.ffi.layout import Structure
from polyvm.vcpu import exits
from polyvm.vcpu.exits import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Answer: TypeAlias = tuple[int, int] | None
    """Where in the run page an answer goes, and how many bytes it has; None where there is none."""

_START = ffi.RUN_UNION
_RAW = ffi.RUN.places["padding"][1]


def _value(structure: Structure, page: memoryview) -> dict[str, int]:
    return structure.unpack(page[_START : _START + structure.size])


def _place(structure: Structure, field: str) -> tuple[int, int]:
    offset, size = structure.places[field]
    return _START + offset, size


def _exception(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_EX, page)
    return exits.Exception(v["exception"], v["error_code"]), None


def _debug(page: memoryview) -> tuple[Exit, Answer]:
    # Intel SDM volume 3, 17.2.3: BS is bit 14, the breakpoint that matched bits 0 to 3; the kinds are in DR7.
    v = _value(ffi.EXIT_DEBUG, page)
    dr6, dr7 = v["arch.dr6"], v["arch.dr7"]
    kind = "step" if dr6 & 1 << 14 else "breakpoint"
    for number in range(4):
        if dr6 & 1 << number:
            kind = "watchpoint" if dr7 >> 16 + 4 * number & 3 else "breakpoint"
    return exits.Debug(v["arch.pc"], kind, None, dr6), None


def _hypercall(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_HYPERCALL, page)
    arguments = tuple(v[f"args.{number}"] for number in range(6))
    return exits.Hypercall(v["nr"], arguments), _place(ffi.EXIT_HYPERCALL, "ret")


def _shutdown(page: memoryview) -> tuple[Exit, Answer]:
    return exits.Shutdown("triple fault"), None


def _fail_entry(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_FAIL_ENTRY, page)
    return exits.EntryFailure(v["hardware_entry_failure_reason"], v["cpu"]), None


def _tpr_access(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_TPR_ACCESS, page)
    return exits.TprAccess(v["rip"], bool(v["is_write"])), None


_SUBERRORS = {
    C["KVM_INTERNAL_ERROR_EMULATION"]: "emulation",
    C["KVM_INTERNAL_ERROR_SIMUL_EX"]: "simultaneous exceptions",
    C["KVM_INTERNAL_ERROR_DELIVERY_EV"]: "delivery",
    C["KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON"]: "unexpected exit reason",
}


def _internal(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_INTERNAL, page)
    suberror, count = v["suberror"], min(v["ndata"], 16)
    code = b""
    if suberror == C["KVM_INTERNAL_ERROR_EMULATION"] and count:
        e = _value(ffi.EXIT_EMULATION, page)
        if e["flags"] & C["KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES"]:
            at, room = _place(ffi.EXIT_EMULATION, "insn_bytes")
            code = bytes(page[at : at + min(e["insn_size"], room)])
    data = tuple(v[f"data.{number}"] for number in range(count))
    return exits.InternalError(_SUBERRORS.get(suberror, "unknown"), suberror, data, code), None


def _system_event(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_SYSTEM_EVENT, page)
    data = tuple(v[f"data.{number}"] for number in range(min(v["ndata"], 16)))
    kind = v["type"]
    made: dict[int, Callable[[], Exit]] = {
        C["KVM_SYSTEM_EVENT_SHUTDOWN"]: lambda: exits.Shutdown("guest"),
        C["KVM_SYSTEM_EVENT_RESET"]: lambda: exits.Reset("guest"),
        C["KVM_SYSTEM_EVENT_CRASH"]: lambda: exits.Crash(data),
        C["KVM_SYSTEM_EVENT_WAKEUP"]: lambda: exits.Suspend("wakeup"),
        C["KVM_SYSTEM_EVENT_SUSPEND"]: lambda: exits.Suspend("suspend"),
    }
    return made.get(kind, lambda: exits.SystemEvent(kind, data))(), None


def _eoi(page: memoryview) -> tuple[Exit, Answer]:
    return exits.IoapicEoi(page[_START]), None


def _hyperv(page: memoryview) -> tuple[Exit, Answer]:
    kinds = {1: "synic", 2: "hypercall", 3: "debugger"}
    kind = kinds.get(_value(ffi.EXIT_HYPERV, page)["type"], "unknown")
    return exits.Hyperv(kind, bytes(page[_START : _START + ffi.EXIT_HYPERV.size])), None


def _xen(page: memoryview) -> tuple[Exit, Answer]:
    return exits.Xen(bytes(page[_START : _START + _RAW])), None


def _nisv(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_ARM_NISV, page)
    return exits.NoSyndrome(v["esr_iss"], v["fault_ipa"]), None


_REASONS = {
    C["KVM_MSR_EXIT_REASON_INVAL"]: "invalid",
    C["KVM_MSR_EXIT_REASON_UNKNOWN"]: "unknown",
    C["KVM_MSR_EXIT_REASON_FILTER"]: "filter",
}


def _rdmsr(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_MSR, page)
    reason = _REASONS.get(v["reason"], "unknown")
    return exits.Msr(v["index"], None, reason), _place(ffi.EXIT_MSR, "data")


def _wrmsr(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_MSR, page)
    return exits.Msr(v["index"], v["data"], _REASONS.get(v["reason"], "unknown")), None


def _sbi(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_RISCV_SBI, page)
    arguments = tuple(v[f"args.{number}"] for number in range(6))
    return exits.Sbi(v["extension_id"], v["function_id"], arguments), _place(ffi.EXIT_RISCV_SBI, "ret")


def _csr(page: memoryview) -> tuple[Exit, Answer]:
    v = _value(ffi.EXIT_RISCV_CSR, page)
    made = exits.SysReg(v["csr_num"], v["new_value"], v["write_mask"])
    return made, _place(ffi.EXIT_RISCV_CSR, "ret_value")


def _notify(page: memoryview) -> tuple[Exit, Answer]:
    return exits.Notify(bool(_value(ffi.EXIT_NOTIFY, page)["flags"] & 1)), None


def memory_fault(page: memoryview) -> tuple[Exit, Answer]:
    """KVM_EXIT_MEMORY_FAULT, which comes with an error of KVM_RUN itself."""
    v = _value(ffi.EXIT_MEMORY_FAULT, page)
    return exits.MemoryFault(v["gpa"], v["size"], v["flags"]), None


def _plain(kind: type[Exit]) -> Callable[[memoryview], tuple[Exit, Answer]]:
    return lambda page: (kind(), None)


_E = ffi.EXITS
ROWS: dict[int, Callable[[memoryview], tuple[Exit, Answer]]] = {
    _E["KVM_EXIT_EXCEPTION"]: _exception,
    _E["KVM_EXIT_HYPERCALL"]: _hypercall,
    _E["KVM_EXIT_DEBUG"]: _debug,
    _E["KVM_EXIT_HLT"]: _plain(exits.Halt),
    _E["KVM_EXIT_IRQ_WINDOW_OPEN"]: _plain(exits.InterruptWindow),
    _E["KVM_EXIT_SHUTDOWN"]: _shutdown,
    _E["KVM_EXIT_FAIL_ENTRY"]: _fail_entry,
    _E["KVM_EXIT_INTR"]: _plain(exits.Interrupted),
    _E["KVM_EXIT_SET_TPR"]: _plain(exits.SetTpr),
    _E["KVM_EXIT_TPR_ACCESS"]: _tpr_access,
    _E["KVM_EXIT_NMI"]: _plain(exits.Nmi),
    _E["KVM_EXIT_INTERNAL_ERROR"]: _internal,
    _E["KVM_EXIT_WATCHDOG"]: _plain(exits.Watchdog),
    _E["KVM_EXIT_SYSTEM_EVENT"]: _system_event,
    _E["KVM_EXIT_IOAPIC_EOI"]: _eoi,
    _E["KVM_EXIT_HYPERV"]: _hyperv,
    _E["KVM_EXIT_ARM_NISV"]: _nisv,
    _E["KVM_EXIT_X86_RDMSR"]: _rdmsr,
    _E["KVM_EXIT_X86_WRMSR"]: _wrmsr,
    _E["KVM_EXIT_DIRTY_RING_FULL"]: _plain(exits.DirtyRingFull),
    _E["KVM_EXIT_AP_RESET_HOLD"]: _plain(exits.ApResetHold),
    _E["KVM_EXIT_X86_BUS_LOCK"]: _plain(exits.BusLock),
    _E["KVM_EXIT_XEN"]: _xen,
    _E["KVM_EXIT_RISCV_SBI"]: _sbi,
    _E["KVM_EXIT_RISCV_CSR"]: _csr,
    _E["KVM_EXIT_NOTIFY"]: _notify,
    _E["KVM_EXIT_MEMORY_FAULT"]: memory_fault,
}
"""The kernel's number -> what makes the exit of the run page."""


def decode(reason: int, page: memoryview) -> tuple[Exit, Answer]:
    """The exit in a run page, and where its answer goes."""
    row = ROWS.get(reason)
    if row is None:
        return exits.Unknown(reason, bytes(page[_START : _START + _RAW])), None
    return row(page)
