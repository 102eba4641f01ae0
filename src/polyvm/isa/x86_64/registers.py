"""The registers of x86_64: the one table of names, widths, and what each of their users calls them.

Everything that touches a register of an x86-64 guest by name reads it here: accelerators' accessors, saved state, GDB
and the reference page. Names are those of the manuals (AMD64 APM volume 2, Intel SDM volume 3). This imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "x86_64"

R_NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")  # fmt: skip
"""In the encoding's order."""
SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt")

DEBUGGER = (
    "i386:x86-64",
    (
        (
            "org.gnu.gdb.i386.core",
            ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *R_NAMES[8:], "rip", "rflags",
             "cs", "ss", "ds", "es", "fs", "gs", *(f"st{n}" for n in range(8)),
             "fcw", "fsw", "ftw", "fiseg", "fip", "foseg", "fdp", "fop"),
            (),
        ),
        ("org.gnu.gdb.i386.sse", (*(f"xmm{n}" for n in range(16)), "mxcsr"), ()),
        ("org.gnu.gdb.i386.segments", ("fs_base", "gs_base"), ()),
    ),
    (("eflags", "rflags"), ("fctrl", "fcw"), ("fstat", "fsw"), ("ftag", "ftw"), ("fioff", "fip"), ("fooff", "fdp")),
)  # fmt: skip
"""What debuggers call the architecture; their standard features of it, each with its registers and those that are
settings; and what they call otherwise than this table does (GDB manual, G.5.4)."""

DWARF = {
    **{name: number for number, name in enumerate(
        ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *R_NAMES[8:], "rip"))},
    **{f"xmm{n}": 17 + n for n in range(16)},
    **{f"st{n}": 33 + n for n in range(8)},
    "rflags": 49, "es": 50, "cs": 51, "ss": 52, "ds": 53, "fs": 54, "gs": 55,
    "fs_base": 58, "gs_base": 59, "tr": 62, "ldt": 63, "mxcsr": 64, "fcw": 65, "fsw": 66,
}  # fmt: skip
"""System V ABI, AMD64 supplement, figure 3.36."""

ACCESS = (
    ("type", 4), ("s", 1), ("dpl", 2), ("present", 1), ("", 4), ("avl", 1), ("l", 1), ("db", 1), ("g", 1),
    ("unusable", 1),
)  # fmt: skip
"""The bits of a segment's access rights, lowest first (Intel SDM volume 3, table 25-2)."""

MSRS = (
    ("tsc", 0x10, "Tsc"), ("tsc_adjust", 0x3B, "TscAdjust"), ("spec_ctrl", 0x48, "SpecCtrl"),
    ("sysenter_cs", 0x174, "SysenterCs"), ("sysenter_esp", 0x175, "SysenterEsp"),
    ("sysenter_eip", 0x176, "SysenterEip"), ("misc_enable", 0x1A0, ""), ("pat", 0x277, "Pat"),
    ("mtrr_def_type", 0x2FF, "MsrMtrrDefType"), ("tsc_deadline", 0x6E0, "TscDeadline"), ("xss", 0xDA0, "Xss"),
    ("star", 0xC000_0081, "Star"), ("lstar", 0xC000_0082, "Lstar"), ("cstar", 0xC000_0083, "Cstar"),
    ("sfmask", 0xC000_0084, "Sfmask"), ("kernel_gs_base", 0xC000_0102, "KernelGsBase"),
    ("tsc_aux", 0xC000_0103, "TscAux"),
)  # fmt: skip
"""(name, index, WHP's name or ""): those that have a name here; others go by msr_<index in hexadecimal>."""

_HVF = {
    "rip": 0, "rflags": 1, "rax": 2, "rcx": 3, "rdx": 4, "rbx": 5, "rsi": 6, "rdi": 7, "rsp": 8, "rbp": 9,
    **{f"r{n}": n + 2 for n in range(8, 16)},
    "cs": 18, "ss": 19, "ds": 20, "es": 21, "fs": 22, "gs": 23,
    "idt_base": 24, "idt_limit": 25, "gdt_base": 26, "gdt_limit": 27,
    "ldt": 28, "ldt_base": 29, "ldt_limit": 30, "ldt_access": 31,
    "tr": 32, "tr_base": 33, "tr_limit": 34, "tr_access": 35,
    "cr0": 36, "cr2": 38, "cr3": 39, "cr4": 40, **{f"dr{n}": 41 + n for n in (0, 1, 2, 3, 6, 7)},
    "cr8": 49, "xcr0": 50,
}  # fmt: skip
"""hv_x86_reg_t of macOS's Hypervisor.framework. Registers beyond these are VMCS fields there."""

_WHP = {
    "xcr0": "XCr0", "apic_base": "ApicBase", "mxcsr": "XmmControlStatus", "fcw": "FpControlStatus",
    **{f"{name}{part}": title for name, title in (("ldt", "Ldtr"), ("gdt", "Gdtr"), ("idt", "Idtr"))
       for part in ("", "_base", "_limit", "_access")},
    **{f"st{n}": f"FpMmx{n}" for n in range(8)},
    **dict.fromkeys(("fsw", "ftw", "fop", "fip"), "FpControlStatus"), "fdp": "XmmControlStatus",
}  # fmt: skip
"""Where WHP's name is not the register's own: several of ours are parts of one of its registers."""


class Register:
    """One row. bits: its width. gdb, dwarf: numbers, None where there is none. kvm: `structure.field` of the kernel's
    interface, or `msr.<index>`. hvf: macOS's number. whp: Windows's WHvX64Register name without that prefix.
    """

    __slots__ = ("bits", "dwarf", "gdb", "group", "hvf", "kvm", "name", "whp")

    def __init__(
        self, name: str, bits: int, group: str, kvm: str, *, hvf: int | None, whp: str, gdb: int | None
    ) -> None:
        self.name = name
        self.bits = bits
        self.group = group
        self.kvm = kvm
        self.hvf = hvf
        self.whp = whp
        self.gdb = gdb
        self.dwarf = DWARF.get(name)


def _rows() -> Iterator[tuple[str, int, str, str]]:
    """(name, bits, group, KVM's place)."""
    for name in (*R_NAMES, "rip", "rflags"):
        yield name, 64, "general", f"kvm_regs.{name}"
    for name in SEGMENTS:
        yield name, 16, "system", f"kvm_sregs.{name}.selector"
        yield f"{name}_base", 64, "system", f"kvm_sregs.{name}.base"
        yield f"{name}_limit", 32, "system", f"kvm_sregs.{name}.limit"
        yield f"{name}_access", 17, "system", f"kvm_sregs.{name}.access"
    for name in ("gdt", "idt"):
        yield f"{name}_base", 64, "system", f"kvm_sregs.{name}.base"
        yield f"{name}_limit", 16, "system", f"kvm_sregs.{name}.limit"
    for name in ("cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"):
        yield name, 64, "system", f"kvm_sregs.{name}"
    yield "xcr0", 64, "system", "kvm_xcrs.xcrs.0.value"
    for number in range(4):
        yield f"dr{number}", 64, "debug", f"kvm_debugregs.db.{number}"
    for name in ("dr6", "dr7"):
        yield name, 64, "debug", f"kvm_debugregs.{name}"
    for number in range(8):
        yield f"st{number}", 80, "fp", f"kvm_fpu.fpr.{number}"
    for name, bits, field in (("fcw", 16, "fcw"), ("fsw", 16, "fsw"), ("ftw", 8, "ftwx"), ("fop", 16, "last_opcode"),
                              ("fip", 64, "last_ip"), ("fdp", 64, "last_dp"), ("mxcsr", 32, "mxcsr")):  # fmt: skip
        yield name, bits, "fp", f"kvm_fpu.{field}"
    for number in range(16):
        yield f"xmm{number}", 128, "fp", f"kvm_fpu.xmm.{number}"
    for name, index, _ in MSRS:
        yield name, 64, "msr", f"msr.{index:#x}"


def table() -> tuple[Register, ...]:
    """Every register, each once."""
    global _TABLE
    if _TABLE:
        return _TABLE
    gdb = {name: number for number, name in enumerate(name for feature in DEBUGGER[1] for name in feature[1])}
    whp = {name: title for name, _, title in MSRS} | _WHP
    made = []
    for name, bits, group, kvm in _rows():
        title = whp.get(name, name.partition("_")[0].capitalize() if group != "msr" else "")
        made.append(Register(name, bits, group, kvm, hvf=_HVF.get(name), whp=title, gdb=gdb.get(name)))
    _TABLE = tuple(made)
    return _TABLE


_TABLE: tuple[Register, ...] = ()
