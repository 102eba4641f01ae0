"""What Linux user mode needs to know of aarch64: registers of a call, auxv, open flags, signal frame, vDSO.

Sources: the Arm ABI (AAPCS64, DWARF), and Linux's arch/arm64 (include/uapi/asm/{fcntl,hwcap,sigcontext,ucontext}.h,
kernel/signal.c and mm/fault.c). It refuses to know how a call is carried out, and what the host is.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.isa.aarch64 import features
from polyvm.isa.aarch64.registers import KEYS, PAUTH, SP, XZR
from polyvm.isa.aarch64.registers import STACK_ALIGN as STACK_ALIGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
    from typing import Protocol

    class Registers(Protocol):
        """The part of a Cpu that this module uses."""

        pc: int
        x: list[int]
        q: list[int]
        fp_flags: int
        fp_mode: int

        def read(self, name: str) -> int:
            """A register by name."""

        def write(self, name: str, value: int) -> None:
            """Set a register by name."""

    class Memory(Protocol):
        """The part of an AddressSpace that this module uses."""

        def read(self, addr: int, n: int) -> bytes:
            """Bytes of guest memory."""

        def write(self, addr: int, data: bytes) -> None:
            """Store bytes into guest memory."""


NAME = "aarch64"
MACHINE = 183  # EM_AARCH64
PLATFORM = "aarch64"
UNAME_MACHINE = "aarch64"
MINSIGSTKSZ = 5120  # asm/signal.h; AT_MINSIGSTKSZ tells FRAME_BYTES
SIGACTION_RESTORER = True  # struct sigaction is {handler, flags, restorer, mask}
SYSCALL_BYTES = 4  # svc
# The registers of a system call's number, of its arguments, and of its result.
SYSCALL = "x8", ("x0", "x1", "x2", "x3", "x4", "x5"), "x0"
LINK = ("x", 30)  # where a call leaves the return address
RETURN = (1 << 48) - 1  # the bits of a return address; those above may be a code (pauth)
SIGRETURN = "__kernel_rt_sigreturn"  # in the vDSO
# O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE (asm/fcntl.h).
OPEN_FLAGS = (0o40000, 0o100000, 0o200000, 0o400000)

# The calls that not every architecture of asm-generic has: number -> name. None is arm64's alone.
SYSCALLS = {38: "renameat"}
DECLARATIONS: dict[str, str] = {}


def hwcap(options: Container[str] = ()) -> int:
    """AT_HWCAP of a processor that has some of registers.OPTIONS."""
    return features.hwcap(1, options)


def hwcap2(options: Container[str] = ()) -> int:
    """AT_HWCAP2."""
    return features.hwcap(2, options)


def syscall(cpu: Registers) -> tuple[int, int, int, int, int, int, int]:
    """The number and the six arguments of the call the guest is making."""
    x = cpu.x
    return x[8], x[0], x[1], x[2], x[3], x[4], x[5]


def set_result(cpu: Registers, value: int) -> None:
    """The result of a call, or a negative errno."""
    cpu.x[0] = value & 0xFFFFFFFFFFFFFFFF


def set_first_argument(cpu: Registers, value: int) -> None:
    """Put back the first argument, whose register the result shares, before a call is made again."""
    cpu.x[0] = value


def clone_arguments(a: int, b: int, c: int, d: int, e: int) -> tuple[int, int, int, int, int]:
    """clone's arguments as (flags, stack, parent tid, tls, child tid); arm64 selects CLONE_BACKWARDS."""
    return a, b, c, d, e


def start(cpu: Registers, entry: int, stack: int) -> None:
    """Registers at the first instruction of a program (flush_thread and start_thread, arch/arm64)."""
    for i in range(XZR):
        cpu.x[i] = 0
    for i in range(32):
        cpu.q[i] = 0
    for name in ("nzcv", "tpidr_el0", "exclusive"):
        cpu.write(name, 0)
    set_fpsr(cpu, 0)
    set_fpcr(cpu, 0)
    if cpu.read(PAUTH):
        _reset_keys(cpu, KEYS)
        _use_keys(cpu, ADDRESS_KEYS)
    cpu.x[SP] = stack
    cpu.pc = entry


def stack_pointer(cpu: Registers) -> int:
    """The stack pointer."""
    return cpu.x[SP]


def set_stack_pointer(cpu: Registers, value: int) -> None:
    """Set the stack pointer."""
    cpu.x[SP] = value


def set_tls(cpu: Registers, value: int) -> None:
    """Set the thread pointer."""
    cpu.write("tpidr_el0", value)


def copy_registers(target: Registers, source: Registers) -> None:
    """Make one thread's registers those of another, for clone."""
    for i in (*range(XZR), SP):
        target.x[i] = source.x[i]
    for i in range(32):
        target.q[i] = source.q[i]
    for name in ("nzcv", "tpidr_el0", *_KEY_REGISTERS, *_ENABLED):
        target.write(name, source.read(name))
    set_fpsr(target, fpsr(source))
    set_fpcr(target, fpcr(source))
    target.pc = source.pc


# Pointer authentication (arch/arm64/kernel/pointer_auth.c): keys are random, new with execve, and a thread begins with
# those of the one that made it.
ADDRESS_KEYS = KEYS[:4]
_KEY_REGISTERS = tuple(f"ap{key}key{half}_el1" for key in KEYS for half in ("lo", "hi"))
_ENABLED = tuple(f"en{key}" for key in ADDRESS_KEYS)
PR_PAC_RESET_KEYS, PR_PAC_SET_ENABLED_KEYS, PR_PAC_GET_ENABLED_KEYS = 54, 60, 61
_EINVAL = -22


def _reset_keys(cpu: Registers, keys: Iterable[str]) -> None:
    from posix import urandom

    for key in keys:
        for half in ("lo", "hi"):
            cpu.write(f"ap{key}key{half}_el1", int.from_bytes(urandom(8), "little"))


def _use_keys(cpu: Registers, keys: Container[str]) -> None:
    for key in ADDRESS_KEYS:
        cpu.write(f"en{key}", int(key in keys))


def _named_keys(bits: int, names: Sequence[str]) -> list[str] | None:
    """Keys by their bits; None where a bit is of no key."""
    return None if bits >> len(names) else [key for place, key in enumerate(names) if bits >> place & 1]


def prctl(cpu: Registers, option: int, a: int, b: int, c: int, d: int) -> int | None:
    """prctl's options that are arm64's alone (asm-generic's prctl.h): the result, or None for others."""
    if option not in (PR_PAC_RESET_KEYS, PR_PAC_SET_ENABLED_KEYS, PR_PAC_GET_ENABLED_KEYS):
        return None
    if not cpu.read(PAUTH) or c or d:
        return _EINVAL
    if option == PR_PAC_RESET_KEYS:
        keys = _named_keys(a, KEYS)
        if b or keys is None:
            return _EINVAL
        _reset_keys(cpu, keys or KEYS)
        return 0
    used = [key for key in ADDRESS_KEYS if cpu.read(f"en{key}")]
    if option == PR_PAC_GET_ENABLED_KEYS:
        return _EINVAL if a or b else sum(1 << ADDRESS_KEYS.index(key) for key in used)
    changed, on = _named_keys(a, ADDRESS_KEYS), _named_keys(b, ADDRESS_KEYS)
    if changed is None or on is None or not set(on) <= set(changed):
        return _EINVAL
    _use_keys(cpu, set(used) - set(changed) | set(on))
    return 0


DWARF_STACK = 31  # DWARF for the Arm 64-bit Architecture, 4.1


def dwarf_registers(cpu: Registers) -> list[int]:
    """The registers by their DWARF numbers, as far as unwinding needs them."""
    return [*(cpu.x[i] for i in range(XZR)), cpu.x[SP]]


# Floating-point control and status --------------------------------------------------------------------------------
# FPSR: IOC, DZC, OFC, UFC and IXC are bits 0 to 4, which is the IR's order turned round; IDC, QC. FPCR: RMode is
# bits 23:22, of which 0 is to nearest, 1 up, 2 down, 3 to zero; the IR has 1 and 3 the other way round. Of FZ, DN and
# AHP, from bit 24 on, the IR has the first two the other way round; FZ16 is bit 19.
_IDC, _QC, _RMODE = 7, 27, 22
_MODES = {16: 24, 8: 25, 32: 26, 64: 19}  # the IR's FLUSH, DEFAULT_NAN, ALTERNATIVE_HALF and FLUSH_HALVES


def fpsr(cpu: Registers) -> int:
    """FPSR."""
    accrued = sum(1 << bit for bit in range(5) if cpu.fp_flags >> 4 - bit & 1)
    return accrued | cpu.read("idc") << _IDC | cpu.read("qc") << _QC


def set_fpsr(cpu: Registers, value: int) -> None:
    """Set FPSR."""
    cpu.fp_flags = sum(1 << 4 - bit for bit in range(5) if value >> bit & 1)
    cpu.write("idc", value >> _IDC & 1)
    cpu.write("qc", value >> _QC & 1)


def fpcr(cpu: Registers) -> int:
    """FPCR."""
    mode = cpu.fp_mode
    return sum(1 << place for bit, place in _MODES.items() if mode & bit) | (-mode & 3) << _RMODE


def set_fpcr(cpu: Registers, value: int) -> None:
    """Set FPCR."""
    cpu.fp_mode = sum(bit for bit, place in _MODES.items() if value >> place & 1) | -(value >> _RMODE) & 3


# Traps -----------------------------------------------------------------------------------------------------------
# The Isa's cause names -> (signal, si_code): asm-generic siginfo.h's ILL_ILLOPC, TRAP_BRKPT and BUS_ADRALN; the
# kernel's arch/arm64/kernel/{traps,debug-monitors}.c and mm/fault.c.
SIGILL, SIGTRAP, SIGBUS, SIGSEGV = 4, 5, 7, 11
TRAPS = {"illegal": (SIGILL, 1), "breakpoint": (SIGTRAP, 1), "misaligned": (SIGBUS, 1), "stack": (SIGBUS, 1)}


def trap_address(name: str, pc: int, value: int) -> int:
    """si_addr of a trap: what FAR has of a misaligned access, the stack pointer, or the instruction's address."""
    return value if name in ("misaligned", "stack") else pc


# Exception classes of ESR (Arm ARM, D24.2.40), with IL, an instruction of 32 bits.
_INSN_ABORT, _PC_ALIGNMENT, _DATA_ABORT, _SP_ALIGNMENT = (
    kind << 26 | 1 << 25 for kind in (0x20, 0x22, 0x24, 0x26)
)
_WRITE = 1 << 6
_TRANSLATION_0, _TRANSLATION_3, _PERMISSION_3, _ALIGNMENT = 0x04, 0x07, 0x0F, 0x21
_USER = 1 << 48  # addresses from here on are the kernel's, of which a program learns nothing but that
_SEGV_ACCERR = 2


def syndrome(signo: int, code: int, pc: int, kind: str, address: int) -> int:
    """ESR of a wrong access, by its signal, si_code and kind; 0 for what leaves none. Which way a misaligned access
    went is not told."""
    if kind == "stack":
        return _SP_ALIGNMENT
    if kind not in ("read", "write", "fetch", "misaligned"):
        return 0
    if kind == "misaligned" and address == pc:
        return _PC_ALIGNMENT
    if address >= _USER:
        status = _TRANSLATION_0
    elif kind == "misaligned":
        status = _ALIGNMENT
    else:
        status = _PERMISSION_3 if (signo, code) == (SIGSEGV, _SEGV_ACCERR) else _TRANSLATION_3
    found = _INSN_ABORT if kind == "fetch" else _DATA_ABORT
    return found | status | (_WRITE if kind == "write" else 0)


# The signal frame ------------------------------------------------------------------------------------------------
# struct rt_sigframe { siginfo_t info; struct ucontext uc; }, struct ucontext { u64 flags; ptr link; stack_t stack;
# sigset_t sigmask; u8 unused[120]; (8 bytes to align) struct sigcontext mcontext; }, struct sigcontext { u64
# fault_address, x0..x30, sp, pc, pstate; (8 bytes to align) u8 reserved[4096]; }. In `reserved` stand records that
# begin with {u32 magic, size}, the last of them empty. Above it all, at the next 16 bytes, stands a frame record, so
# that debuggers find the way: {fp, lr}.
_INFO = 128
_UC = Struct("<QQQi4xQQ120x8x")
_REGS = Struct("<35Q8x")
_HEAD = Struct("<II")
_FP = Struct("<IIII")  # magic, size, fpsr, fpcr; then v0..v31
_ESR = Struct("<IIQ")
_RECORD = Struct("<QQ")
_FPSIMD_MAGIC, _FPSIMD_SIZE, _ESR_MAGIC = 0x46508001, 528, 0x45535201
_RESERVED = 4096
UC_OFFSET = _INFO
MCONTEXT_OFFSET = _INFO + _UC.size
RESERVED_OFFSET = MCONTEXT_OFFSET + _REGS.size
_FRAME = RESERVED_OFFSET + _RESERVED
FRAME_BYTES = _FRAME + _RECORD.size + 16  # and what aligning the stack may cost
assert (_UC.size, _REGS.size, _FRAME) == (176, 288, 4688)
_NZCV = 0xF0000000
_MODE, _MASKS = 0x1F, 0x3C0  # of pstate: EL0 and no exception masked is all that a program may ask for


def setup_frame(
    cpu: Registers,
    memory: Memory,
    stack: int,
    handler: int,
    restorer: int,
    signo: int,
    info: bytes,
    mask: int,
    altstack: tuple[int, int, int],
    fault: tuple[str, int] | None = None,
) -> None:
    """Store a frame below `stack` and enter the handler. Raises GuestFault, with the registers unchanged.

    mask: what rt_sigreturn restores. altstack: (sp, flags, size), as sigaltstack would tell at this moment. fault: of
    an exception of this thread, its kind ("read", "write", "fetch" or a cause) and the address.
    """
    x, q = cpu.x, cpu.q
    record = (stack - _RECORD.size) & ~15 & 0xFFFFFFFFFFFFFFFF
    frame = (record - _FRAME) & 0xFFFFFFFFFFFFFFFF
    sp, flags, size = altstack
    esr = where = 0
    if fault is not None:
        code = int.from_bytes(info[8:12], "little", signed=True)
        esr = syndrome(signo, code, cpu.pc, *fault)
        where = (
            fault[1] if esr not in (0, _PC_ALIGNMENT, _SP_ALIGNMENT) else 0
        )  # as the kernel has it: of aborts alone
    data = b"".join(
        (
            info,
            _UC.pack(0, 0, sp, flags, size, mask),
            _REGS.pack(where, *[x[i] for i in range(XZR)], x[SP], cpu.pc, cpu.read("nzcv")),
            _FP.pack(_FPSIMD_MAGIC, _FPSIMD_SIZE, fpsr(cpu), fpcr(cpu)),
            *[q[i].to_bytes(16, "little") for i in range(32)],
            _ESR.pack(_ESR_MAGIC, _ESR.size, esr) if esr else b"",
            _HEAD.pack(0, 0),
        )
    )
    memory.write(frame, data)
    memory.write(record, _RECORD.pack(x[29], x[30]))
    cpu.write("exclusive", 0)  # every return from the kernel clears the monitor
    x[0], x[1], x[2] = signo, frame, frame + UC_OFFSET
    x[29], x[30] = record, restorer
    x[SP] = frame
    cpu.pc = handler


def restore_frame(cpu: Registers, memory: Memory) -> tuple[int, tuple[int, int, int]]:
    """Undo setup_frame for rt_sigreturn: (signal mask, altstack). Raises GuestFault, or ValueError on a bad frame."""
    x, q = cpu.x, cpu.q
    frame = x[SP]
    if frame & 15:
        raise ValueError("signal frame that is not aligned")
    data = memory.read(frame, _FRAME)
    _, _, sp, flags, size, mask = _UC.unpack_from(data, UC_OFFSET)
    _, *registers, stack, pc, pstate = _REGS.unpack_from(data, MCONTEXT_OFFSET)
    if pstate & (_MODE | _MASKS):
        raise ValueError("signal frame of another mode")
    simd = _find_simd(data[RESERVED_OFFSET:]) + RESERVED_OFFSET
    _, _, status, control = _FP.unpack_from(data, simd)
    for i, value in enumerate(registers):
        x[i] = value
    for i in range(32):
        at = simd + _FP.size + 16 * i
        q[i] = int.from_bytes(data[at : at + 16], "little")
    x[SP] = stack
    cpu.pc = pc
    cpu.write("nzcv", pstate & _NZCV)
    set_fpsr(cpu, status)
    set_fpcr(cpu, control)
    cpu.write("exclusive", 0)
    return mask, (sp, flags, size)


def _find_simd(records: bytes) -> int:
    """Where the record of the vector registers is. Raises ValueError unless there is one, and nothing unknown."""
    at, found = 0, -1
    while at + _HEAD.size <= len(records):
        magic, size = _HEAD.unpack_from(records, at)
        if not magic and not size and found >= 0:
            return found
        if size < _HEAD.size or size % 16 or at + size > len(records):
            break
        if magic == _FPSIMD_MAGIC and size == _FPSIMD_SIZE and found < 0:
            found = at
        elif magic != _ESR_MAGIC:
            break
        at += size
    raise ValueError("signal frame whose records are damaged")


# The vDSO (arch/arm64/kernel/vdso/vdso.lds.S) -----------------------------------------------------------------------
# Function -> system call number. Unwinders know the two instructions of __kernel_rt_sigreturn by heart.
VDSO = (
    (SIGRETURN, 139),
    ("__kernel_gettimeofday", 169),
    ("__kernel_clock_gettime", 113),
    ("__kernel_clock_getres", 114),
)
_VERSION = "LINUX_2.6.39"
_CODE, _NOP = Struct("<III"), b"\x1f\x20\x03\xd5"


def vdso() -> tuple[bytes, dict[str, int]]:
    """The vDSO's image and the offsets of its functions, which are `mov x8, #number; svc #0; ret`."""
    from polyvm.isa import vdso

    functions = [
        (name, _CODE.pack(0xD2800008 | number << 5, 0xD4000001, 0xD65F03C0)) for name, number in VDSO
    ]
    return vdso.build(MACHINE, _VERSION, functions, _NOP)


_CPUINFO = """\
processor\t: {}
BogoMIPS\t: 2000.00
Features\t: {}
CPU implementer\t: 0x{:02x}
CPU architecture: 8
CPU variant\t: 0x{:x}
CPU part\t: 0x{:03x}
CPU revision\t: {}

"""
"""Of each processor; the first number is what a counter of 1 GHz makes, and 0x00 no maker's."""


def cpuinfo(count: int, options: Container[str] = ()) -> str:
    """/proc/cpuinfo for a number of processors (arch/arm64/kernel/cpuinfo.c)."""
    midr = features.MIDR
    maker = midr >> 24, midr >> 20 & 15, midr >> 4 & 0xFFF, midr & 15
    return "".join(_CPUINFO.format(i, features.names(options), *maker) for i in range(count))
