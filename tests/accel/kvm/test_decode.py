"""Every exit that KVM has, from a run page as the kernel would leave it: fields, and where the answer goes."""

from __future__ import annotations

import struct

import pytest

from polyvm.accel.ffi import kvm as ffi
from polyvm.accel.ffi.layout import Structure
from polyvm.accel.kvm.decode import ROWS, decode
from polyvm.vcpu import exits
from polyvm.vcpu.exits import Exit

START = ffi.RUN_UNION


def page(structure: Structure | None = None, **fields: int | bytes) -> memoryview:
    """A run page with one arm of its union filled in."""
    made = bytearray(ffi.RUN.size)
    for name, value in fields.items():
        assert structure is not None
        offset, size = structure.places[name.replace("__", ".")]
        data = value if isinstance(value, bytes) else value.to_bytes(size, "little")
        made[START + offset : START + offset + len(data)] = data
    return memoryview(made)


EXITS = [
    ("EXCEPTION", page(ffi.EXIT_EX, exception=13, error_code=8), exits.Exception(13, 8), None),
    ("HYPERCALL", page(ffi.EXIT_HYPERCALL, nr=12, args__0=1, args__5=6), exits.Hypercall(12, (1, 0, 0, 0, 0, 6)),
     (START + 56, 8)),
    ("DEBUG", page(ffi.EXIT_DEBUG, arch__pc=0x10, arch__dr6=1 << 14), exits.Debug(0x10, "step", None, 1 << 14), None),
    ("DEBUG", page(ffi.EXIT_DEBUG, arch__pc=0x10, arch__dr6=2), exits.Debug(0x10, "breakpoint", None, 2), None),
    ("DEBUG", page(ffi.EXIT_DEBUG, arch__pc=0x10, arch__dr6=2, arch__dr7=1 << 20),
     exits.Debug(0x10, "watchpoint", None, 2), None),
    ("HLT", page(), exits.Halt(), None),
    ("IRQ_WINDOW_OPEN", page(), exits.InterruptWindow(), None),
    ("SHUTDOWN", page(), exits.Shutdown("triple fault"), None),
    ("FAIL_ENTRY", page(ffi.EXIT_FAIL_ENTRY, hardware_entry_failure_reason=0x80000021, cpu=3),
     exits.EntryFailure(0x80000021, 3), None),
    ("INTR", page(), exits.Interrupted(), None),
    ("SET_TPR", page(), exits.SetTpr(), None),
    ("TPR_ACCESS", page(ffi.EXIT_TPR_ACCESS, rip=0x77, is_write=1), exits.TprAccess(0x77, True), None),
    ("NMI", page(), exits.Nmi(), None),
    ("INTERNAL_ERROR", page(ffi.EXIT_INTERNAL, suberror=3, ndata=2, data__0=5, data__1=6),
     exits.InternalError("delivery", 3, (5, 6)), None),
    ("INTERNAL_ERROR", page(ffi.EXIT_EMULATION, suberror=1, ndata=3, flags=1, insn_size=2, insn_bytes=b"\x0f\x0b"),
     exits.InternalError("emulation", 1, (1, 0x0B0F02, 0), b"\x0f\x0b"), None),
    ("INTERNAL_ERROR", page(ffi.EXIT_INTERNAL, suberror=1), exits.InternalError("emulation", 1), None),
    ("INTERNAL_ERROR", page(ffi.EXIT_INTERNAL, suberror=99, ndata=999), exits.InternalError("unknown", 99, (0,) * 16),
     None),
    ("WATCHDOG", page(), exits.Watchdog(), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=1), exits.Shutdown("guest"), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=2), exits.Reset("guest"), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=3, ndata=1, data__0=9), exits.Crash((9,)), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=4), exits.Suspend("wakeup"), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=5), exits.Suspend("suspend"), None),
    ("SYSTEM_EVENT", page(ffi.EXIT_SYSTEM_EVENT, type=6, ndata=1), exits.SystemEvent(6, (0,)), None),
    ("IOAPIC_EOI", page(ffi.EXIT_EOI, vector=0x31), exits.IoapicEoi(0x31), None),
    ("HYPERV", page(ffi.EXIT_HYPERV, type=1), exits.Hyperv("synic", b"\1" + bytes(55)), None),
    ("HYPERV", page(ffi.EXIT_HYPERV, type=9), exits.Hyperv("unknown", b"\t" + bytes(55)), None),
    ("ARM_NISV", page(ffi.EXIT_ARM_NISV, esr_iss=1, fault_ipa=2), exits.NoSyndrome(1, 2), None),
    ("X86_RDMSR", page(ffi.EXIT_MSR, reason=4, index=0x10), exits.Msr(0x10, None, "filter"), (START + 16, 8)),
    ("X86_WRMSR", page(ffi.EXIT_MSR, reason=1, index=0x10, data=7), exits.Msr(0x10, 7, "invalid"), None),
    ("DIRTY_RING_FULL", page(), exits.DirtyRingFull(), None),
    ("AP_RESET_HOLD", page(), exits.ApResetHold(), None),
    ("X86_BUS_LOCK", page(), exits.BusLock(), None),
    ("XEN", page(), exits.Xen(bytes(256)), None),
    ("RISCV_SBI", page(ffi.EXIT_RISCV_SBI, extension_id=1, function_id=2, args__1=3),
     exits.Sbi(1, 2, (0, 3, 0, 0, 0, 0)), (START + 64, 16)),
    ("RISCV_CSR", page(ffi.EXIT_RISCV_CSR, csr_num=0xC00, new_value=1, write_mask=2), exits.SysReg(0xC00, 1, 2),
     (START + 24, 8)),
    ("NOTIFY", page(ffi.EXIT_NOTIFY, flags=1), exits.Notify(True), None),
    ("MEMORY_FAULT", page(ffi.EXIT_MEMORY_FAULT, flags=8, gpa=0x1000, size=0x1000),
     exits.MemoryFault(0x1000, 0x1000, 8), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "exit", "answer"), EXITS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_exits(name: str, content: memoryview, exit: Exit, answer: tuple[int, int] | None) -> None:
    assert decode(ffi.EXITS[f"KVM_EXIT_{name}"], content) == (exit, answer)


def test_every_row_is_tested_and_every_number_has_one() -> None:
    tested = {ffi.EXITS[f"KVM_EXIT_{name}"] for name, *_ in EXITS}
    assert set(ROWS) == tested
    assert all(decode(ffi.EXITS[f"KVM_EXIT_{name}"], content)[0] == exit for name, content, exit, _ in EXITS)
    elsewhere = {ffi.EXITS[name] for name in ("KVM_EXIT_UNKNOWN", "KVM_EXIT_IO", "KVM_EXIT_MMIO")}
    assert set(ffi.EXITS.values()) - tested == elsewhere


@pytest.mark.parametrize("number", [0, 13, 38, 4_000_000_000])
def test_what_no_class_is_for_is_unknown(number: int) -> None:
    content = page()
    content[START : START + 8] = struct.pack("<Q", 0x1234)
    exit, answer = decode(number, content)
    assert exit == exits.Unknown(number, struct.pack("<Q", 0x1234) + bytes(248))
    assert answer is None


def test_failures_are_errors_with_what_is_known() -> None:
    entry = exits.EntryFailure(0x80000021, 3).error()
    assert (entry.code, entry.context) == ("PVM-VCPU-FAILED", {"reason": 0x80000021, "cpu": 3})
    internal = exits.InternalError("emulation", 1, (5,), b"\x0f\x0b").error()
    assert internal.code == "PVM-VCPU-FAILED"
    assert internal.context == {"suberror": 1, "data": ["0x5"], "bytes": b"\x0f\x0b"}
    assert "polyvm disasm" in str(internal.hint)
    assert "0f 0b" in internal.render()
    other = exits.Mmio(0x1000, 4, None).error()
    assert other.code == "PVM-VCPU-EXIT"
    assert other.context == {"exit": "Mmio", "address": 0x1000, "size": 4, "data": None}
