"""KVM's interface to user space: ioctls, structures and constants of x86_64 (Linux, Documentation/virt/kvm/api.rst).

Written once, as data; numbers are computed from what they are made of, and a test compares everything here with the
kernel's own headers where they are installed.
"""

from __future__ import annotations

from polyvm.accel.ffi.layout import Structure

API_VERSION = 12  # of KVM_GET_API_VERSION since Linux 2.6.22; anything else is refused

# ---------------------------------------------------------------------------------------------- structures
REGS = Structure(
    "kvm_regs",
    "u64 rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags",
)
SEGMENT = Structure(
    "kvm_segment",
    "u64 base; u32 limit; u16 selector; u8 type present dpl db s l g avl unusable padding",
)
DTABLE = Structure("kvm_dtable", "u64 base; u16 limit padding[3]")
SREGS = Structure(
    "kvm_sregs",
    "kvm_segment cs ds es fs gs ss tr ldt; kvm_dtable gdt idt; u64 cr0 cr2 cr3 cr4 cr8 efer apic_base"
    " interrupt_bitmap[4]",
)
FPU = Structure(
    "kvm_fpu",
    "bytes[16] fpr[8]; u16 fcw fsw; u8 ftwx pad1; u16 last_opcode; u64 last_ip last_dp; bytes[16] xmm[16];"
    " u32 mxcsr pad2",
)
DEBUGREGS = Structure("kvm_debugregs", "u64 db[4] dr6 dr7 flags reserved[9]")
XCR = Structure("kvm_xcr", "u32 xcr reserved; u64 value")
XCRS = Structure("kvm_xcrs", "u32 nr_xcrs flags; kvm_xcr xcrs[16]; u64 padding[16]")
MSR_ENTRY = Structure("kvm_msr_entry", "u32 index reserved; u64 data")
MSRS = Structure("kvm_msrs", "u32 nmsrs pad")
MSR_LIST = Structure("kvm_msr_list", "u32 nmsrs")
CPUID_ENTRY = Structure("kvm_cpuid_entry2", "u32 function index flags eax ebx ecx edx padding[3]")
CPUID = Structure("kvm_cpuid2", "u32 nent padding")
LAPIC = Structure("kvm_lapic_state", "bytes[1024] regs")
XSAVE = Structure("kvm_xsave", "bytes[4096] region")
MP_STATE = Structure("kvm_mp_state", "u32 mp_state")
VCPU_EVENTS = Structure(
    "kvm_vcpu_events",
    "u8 exception.injected exception.nr exception.has_error_code exception.pending; u32 exception.error_code;"
    " u8 interrupt.injected interrupt.nr interrupt.soft interrupt.shadow"
    " nmi.injected nmi.pending nmi.masked nmi.pad; u32 sipi_vector flags;"
    " u8 smi.smm smi.pending smi.smm_inside_nmi smi.latched_init triple_fault.pending;"
    " bytes[26] reserved; u8 exception_has_payload; u64 exception_payload",
)
MEMORY_REGION = Structure(
    "kvm_userspace_memory_region", "u32 slot flags; u64 guest_phys_addr memory_size userspace_addr"
)
DIRTY_LOG = Structure("kvm_dirty_log", "u32 slot padding1; u64 dirty_bitmap")
IRQ_LEVEL = Structure("kvm_irq_level", "u32 irq level")
IRQCHIP = Structure("kvm_irqchip", "u32 chip_id pad; bytes[512] chip")
PIT_CONFIG = Structure("kvm_pit_config", "u32 flags pad[15]")
PIT_CHANNEL = Structure(
    "kvm_pit_channel_state",
    "u32 count; u16 latched_count; u8 count_latched status_latched status read_state write_state write_latch"
    " rw_mode mode bcd gate; s64 count_load_time",
)
PIT_STATE = Structure("kvm_pit_state2", "kvm_pit_channel_state channels[3]; u32 flags reserved[9]")
CLOCK = Structure("kvm_clock_data", "u64 clock; u32 flags pad0; u64 realtime host_tsc; u32 pad[4]")
IRQFD = Structure("kvm_irqfd", "u32 fd gsi flags resamplefd; bytes[16] pad")
IOEVENTFD = Structure("kvm_ioeventfd", "u64 datamatch addr; u32 len; s32 fd; u32 flags; bytes[36] pad")
MSI = Structure("kvm_msi", "u32 address_lo address_hi data flags devid; bytes[12] pad")
ROUTING = Structure("kvm_irq_routing", "u32 nr flags")
ROUTE = Structure("kvm_irq_routing_entry", "u32 gsi type flags pad; bytes[32] u")
ROUTE_IRQCHIP = Structure("kvm_irq_routing_irqchip", "u32 irqchip pin")
ROUTE_MSI = Structure("kvm_irq_routing_msi", "u32 address_lo address_hi data devid")
ZONE = Structure("kvm_coalesced_mmio_zone", "u64 addr; u32 size pio")
COALESCED = Structure("kvm_coalesced_mmio", "u64 phys_addr; u32 len pio; bytes[8] data")
COALESCED_RING = Structure("kvm_coalesced_mmio_ring", "u32 first last")
TRANSLATION = Structure(
    "kvm_translation", "u64 linear_address physical_address; u8 valid writeable usermode pad[5]"
)
INTERRUPT = Structure("kvm_interrupt", "u32 irq")
GUEST_DEBUG = Structure("kvm_guest_debug", "u32 control pad; u64 arch.debugreg[8]")
ENABLE_CAP = Structure("kvm_enable_cap", "u32 cap flags; u64 args[4]; bytes[64] pad")
SIGNAL_MASK = Structure("kvm_signal_mask", "u32 len")

# What begins every exit, and the arms of its union, each a structure of its own that starts at RUN_UNION.
RUN = Structure(
    "kvm_run",
    "u8 request_interrupt_window immediate_exit padding1[6]; u32 exit_reason;"
    " u8 ready_for_interrupt_injection if_flag; u16 flags; u64 cr8 apic_base; bytes[256] padding;"
    " u64 kvm_valid_regs kvm_dirty_regs; bytes[2048] s",
)
RUN_UNION = RUN.offset("padding")
EXIT_HW = Structure("hw", "u64 hardware_exit_reason")
EXIT_FAIL_ENTRY = Structure("fail_entry", "u64 hardware_entry_failure_reason; u32 cpu")
EXIT_EX = Structure("ex", "u32 exception error_code")
EXIT_IO = Structure("io", "u8 direction size; u16 port; u32 count; u64 data_offset")
EXIT_DEBUG = Structure("debug", "u32 arch.exception arch.pad; u64 arch.pc arch.dr6 arch.dr7")
EXIT_MMIO = Structure("mmio", "u64 phys_addr; bytes[8] data; u32 len; u8 is_write")
EXIT_HYPERCALL = Structure("hypercall", "u64 nr args[6] ret; u32 longmode pad")
EXIT_TPR_ACCESS = Structure("tpr_access", "u64 rip; u32 is_write pad")
EXIT_INTERNAL = Structure("internal", "u32 suberror ndata; u64 data[16]")
EXIT_EMULATION = Structure(
    "emulation_failure", "u32 suberror ndata; u64 flags; u8 insn_size; bytes[15] insn_bytes"
)
EXIT_SYSTEM_EVENT = Structure("system_event", "u32 type ndata; u64 data[16]")
EXIT_EOI = Structure("eoi", "u8 vector")
EXIT_HYPERV = Structure("hyperv", "u32 type pad1; bytes[48] u")
EXIT_ARM_NISV = Structure("arm_nisv", "u64 esr_iss fault_ipa")
EXIT_MSR = Structure("msr", "u8 error pad[7]; u32 reason index; u64 data")
EXIT_RISCV_SBI = Structure("riscv_sbi", "u64 extension_id function_id args[6] ret[2]")
EXIT_RISCV_CSR = Structure("riscv_csr", "u64 csr_num new_value write_mask ret_value")
EXIT_NOTIFY = Structure("notify", "u32 flags")
EXIT_MEMORY_FAULT = Structure("memory_fault", "u64 flags gpa size")
ARMS = (
    EXIT_HW, EXIT_FAIL_ENTRY, EXIT_EX, EXIT_IO, EXIT_DEBUG, EXIT_MMIO, EXIT_HYPERCALL, EXIT_TPR_ACCESS, EXIT_INTERNAL,
    EXIT_EMULATION, EXIT_SYSTEM_EVENT, EXIT_EOI, EXIT_HYPERV, EXIT_ARM_NISV, EXIT_MSR, EXIT_RISCV_SBI,
    EXIT_RISCV_CSR, EXIT_NOTIFY, EXIT_MEMORY_FAULT,
)  # fmt: skip

# ---------------------------------------------------------------------------------------------- ioctls
KVMIO = 0xAE
_NONE, _WRITE, _READ = 0, 1, 2
_U64, _INT = 8, 4

IOCTLS = (
    # direction, number, size of the argument
    ("KVM_GET_API_VERSION", _NONE, 0x00, 0),
    ("KVM_CREATE_VM", _NONE, 0x01, 0),
    ("KVM_GET_MSR_INDEX_LIST", _READ | _WRITE, 0x02, MSR_LIST.size),
    ("KVM_CHECK_EXTENSION", _NONE, 0x03, 0),
    ("KVM_GET_VCPU_MMAP_SIZE", _NONE, 0x04, 0),
    ("KVM_GET_SUPPORTED_CPUID", _READ | _WRITE, 0x05, CPUID.size),
    ("KVM_CREATE_VCPU", _NONE, 0x41, 0),
    ("KVM_GET_DIRTY_LOG", _WRITE, 0x42, DIRTY_LOG.size),
    ("KVM_SET_USER_MEMORY_REGION", _WRITE, 0x46, MEMORY_REGION.size),
    ("KVM_SET_TSS_ADDR", _NONE, 0x47, 0),
    ("KVM_SET_IDENTITY_MAP_ADDR", _WRITE, 0x48, _U64),
    ("KVM_CREATE_IRQCHIP", _NONE, 0x60, 0),
    ("KVM_IRQ_LINE", _WRITE, 0x61, IRQ_LEVEL.size),
    ("KVM_GET_IRQCHIP", _READ | _WRITE, 0x62, IRQCHIP.size),
    ("KVM_SET_IRQCHIP", _READ, 0x63, IRQCHIP.size),
    ("KVM_REGISTER_COALESCED_MMIO", _WRITE, 0x67, ZONE.size),
    ("KVM_UNREGISTER_COALESCED_MMIO", _WRITE, 0x68, ZONE.size),
    ("KVM_SET_GSI_ROUTING", _WRITE, 0x6A, ROUTING.size),
    ("KVM_IRQFD", _WRITE, 0x76, IRQFD.size),
    ("KVM_CREATE_PIT2", _WRITE, 0x77, PIT_CONFIG.size),
    ("KVM_IOEVENTFD", _WRITE, 0x79, IOEVENTFD.size),
    ("KVM_SET_CLOCK", _WRITE, 0x7B, CLOCK.size),
    ("KVM_GET_CLOCK", _READ, 0x7C, CLOCK.size),
    ("KVM_RUN", _NONE, 0x80, 0),
    ("KVM_GET_REGS", _READ, 0x81, REGS.size),
    ("KVM_SET_REGS", _WRITE, 0x82, REGS.size),
    ("KVM_GET_SREGS", _READ, 0x83, SREGS.size),
    ("KVM_SET_SREGS", _WRITE, 0x84, SREGS.size),
    ("KVM_TRANSLATE", _READ | _WRITE, 0x85, TRANSLATION.size),
    ("KVM_INTERRUPT", _WRITE, 0x86, INTERRUPT.size),
    ("KVM_GET_MSRS", _READ | _WRITE, 0x88, MSRS.size),
    ("KVM_SET_MSRS", _WRITE, 0x89, MSRS.size),
    ("KVM_SET_SIGNAL_MASK", _WRITE, 0x8B, SIGNAL_MASK.size),
    ("KVM_GET_FPU", _READ, 0x8C, FPU.size),
    ("KVM_SET_FPU", _WRITE, 0x8D, FPU.size),
    ("KVM_GET_LAPIC", _READ, 0x8E, LAPIC.size),
    ("KVM_SET_LAPIC", _WRITE, 0x8F, LAPIC.size),
    ("KVM_SET_CPUID2", _WRITE, 0x90, CPUID.size),
    ("KVM_GET_CPUID2", _READ | _WRITE, 0x91, CPUID.size),
    ("KVM_GET_MP_STATE", _READ, 0x98, MP_STATE.size),
    ("KVM_SET_MP_STATE", _WRITE, 0x99, MP_STATE.size),
    ("KVM_NMI", _NONE, 0x9A, 0),
    ("KVM_SET_GUEST_DEBUG", _WRITE, 0x9B, GUEST_DEBUG.size),
    ("KVM_GET_PIT2", _READ, 0x9F, PIT_STATE.size),
    ("KVM_SET_PIT2", _WRITE, 0xA0, PIT_STATE.size),
    ("KVM_GET_VCPU_EVENTS", _READ, 0x9F, VCPU_EVENTS.size),
    ("KVM_SET_VCPU_EVENTS", _WRITE, 0xA0, VCPU_EVENTS.size),
    ("KVM_GET_DEBUGREGS", _READ, 0xA1, DEBUGREGS.size),
    ("KVM_SET_DEBUGREGS", _WRITE, 0xA2, DEBUGREGS.size),
    ("KVM_SET_TSC_KHZ", _NONE, 0xA2, 0),
    ("KVM_GET_TSC_KHZ", _NONE, 0xA3, 0),
    ("KVM_ENABLE_CAP", _WRITE, 0xA3, ENABLE_CAP.size),
    ("KVM_GET_XSAVE", _READ, 0xA4, XSAVE.size),
    ("KVM_SET_XSAVE", _WRITE, 0xA5, XSAVE.size),
    ("KVM_SIGNAL_MSI", _WRITE, 0xA5, MSI.size),
    ("KVM_GET_XCRS", _READ, 0xA6, XCRS.size),
    ("KVM_SET_XCRS", _WRITE, 0xA7, XCRS.size),
    ("KVM_KVMCLOCK_CTRL", _NONE, 0xAD, 0),
    ("KVM_GET_XSAVE2", _READ, 0xCF, XSAVE.size),
)  # fmt: skip


def ioctl(direction: int, number: int, size: int) -> int:
    """The number that the kernel knows an ioctl by (asm-generic/ioctl.h, the same on all of our hosts)."""
    return direction << 30 | size << 16 | KVMIO << 8 | number


NUMBERS = {name: ioctl(direction, number, size) for name, direction, number, size in IOCTLS}
NAMES = {number: name for name, number in NUMBERS.items()}

# ---------------------------------------------------------------------------------------------- capabilities
CAPS = {
    "KVM_CAP_IRQCHIP": 0, "KVM_CAP_NR_VCPUS": 9, "KVM_CAP_NR_MEMSLOTS": 10, "KVM_CAP_COALESCED_MMIO": 15,
    "KVM_CAP_USER_NMI": 22, "KVM_CAP_SET_GUEST_DEBUG": 23, "KVM_CAP_IRQ_ROUTING": 25, "KVM_CAP_IRQFD": 32,
    "KVM_CAP_PIT2": 33, "KVM_CAP_IOEVENTFD": 36, "KVM_CAP_ADJUST_CLOCK": 39, "KVM_CAP_VCPU_EVENTS": 41,
    "KVM_CAP_DEBUGREGS": 50,
    "KVM_CAP_XSAVE": 55, "KVM_CAP_XCRS": 56, "KVM_CAP_MAX_VCPUS": 66, "KVM_CAP_KVMCLOCK_CTRL": 76,
    "KVM_CAP_SIGNAL_MSI": 77, "KVM_CAP_READONLY_MEM": 81, "KVM_CAP_SPLIT_IRQCHIP": 121,
    "KVM_CAP_IMMEDIATE_EXIT": 136, "KVM_CAP_NESTED_STATE": 157, "KVM_CAP_COALESCED_PIO": 162,
    "KVM_CAP_X86_USER_SPACE_MSR": 188, "KVM_CAP_DIRTY_LOG_RING": 192, "KVM_CAP_XSAVE2": 208,
}  # fmt: skip

# ---------------------------------------------------------------------------------------------- constants
EXITS = {
    "KVM_EXIT_UNKNOWN": 0, "KVM_EXIT_EXCEPTION": 1, "KVM_EXIT_IO": 2, "KVM_EXIT_HYPERCALL": 3, "KVM_EXIT_DEBUG": 4,
    "KVM_EXIT_HLT": 5, "KVM_EXIT_MMIO": 6, "KVM_EXIT_IRQ_WINDOW_OPEN": 7, "KVM_EXIT_SHUTDOWN": 8,
    "KVM_EXIT_FAIL_ENTRY": 9, "KVM_EXIT_INTR": 10, "KVM_EXIT_SET_TPR": 11, "KVM_EXIT_TPR_ACCESS": 12,
    "KVM_EXIT_NMI": 16, "KVM_EXIT_INTERNAL_ERROR": 17, "KVM_EXIT_WATCHDOG": 21, "KVM_EXIT_SYSTEM_EVENT": 24,
    "KVM_EXIT_IOAPIC_EOI": 26, "KVM_EXIT_HYPERV": 27, "KVM_EXIT_ARM_NISV": 28, "KVM_EXIT_X86_RDMSR": 29,
    "KVM_EXIT_X86_WRMSR": 30, "KVM_EXIT_DIRTY_RING_FULL": 31, "KVM_EXIT_AP_RESET_HOLD": 32,
    "KVM_EXIT_X86_BUS_LOCK": 33, "KVM_EXIT_XEN": 34, "KVM_EXIT_RISCV_SBI": 35, "KVM_EXIT_RISCV_CSR": 36,
    "KVM_EXIT_NOTIFY": 37, "KVM_EXIT_MEMORY_FAULT": 39,
}  # fmt: skip
CONSTANTS = {
    "KVM_MEM_LOG_DIRTY_PAGES": 1, "KVM_MEM_READONLY": 2,
    "KVM_EXIT_IO_OUT": 1,
    "KVM_IOEVENTFD_FLAG_DATAMATCH": 1, "KVM_IOEVENTFD_FLAG_PIO": 2, "KVM_IOEVENTFD_FLAG_DEASSIGN": 4,
    "KVM_IRQ_ROUTING_IRQCHIP": 1, "KVM_IRQ_ROUTING_MSI": 2,
    "KVM_IRQFD_FLAG_DEASSIGN": 1, "KVM_IRQFD_FLAG_RESAMPLE": 2,
    "KVM_GUESTDBG_ENABLE": 1, "KVM_GUESTDBG_SINGLESTEP": 2, "KVM_GUESTDBG_USE_HW_BP": 0x20000,
    "KVM_PIT_SPEAKER_DUMMY": 1, "KVM_NR_IRQCHIPS": 3,
    "KVM_MP_STATE_RUNNABLE": 0, "KVM_MP_STATE_HALTED": 3,
    "KVM_CPUID_FLAG_SIGNIFCANT_INDEX": 1,
    "KVM_VCPUEVENT_VALID_NMI_PENDING": 1, "KVM_VCPUEVENT_VALID_SIPI_VECTOR": 2, "KVM_VCPUEVENT_VALID_SHADOW": 4,
    "KVM_VCPUEVENT_VALID_SMM": 8, "KVM_VCPUEVENT_VALID_TRIPLE_FAULT": 32,
    "KVM_PIO_PAGE_OFFSET": 1, "KVM_COALESCED_MMIO_PAGE_OFFSET": 2,
    "KVM_MSR_EXIT_REASON_INVAL": 1, "KVM_MSR_EXIT_REASON_UNKNOWN": 2, "KVM_MSR_EXIT_REASON_FILTER": 4,
    "KVM_SYSTEM_EVENT_SHUTDOWN": 1, "KVM_SYSTEM_EVENT_RESET": 2, "KVM_SYSTEM_EVENT_CRASH": 3,
    "KVM_SYSTEM_EVENT_WAKEUP": 4, "KVM_SYSTEM_EVENT_SUSPEND": 5,
    "KVM_INTERNAL_ERROR_EMULATION": 1, "KVM_INTERNAL_ERROR_SIMUL_EX": 2, "KVM_INTERNAL_ERROR_DELIVERY_EV": 3,
    "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON": 4, "KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES": 1,
}  # fmt: skip
C = CONSTANTS
