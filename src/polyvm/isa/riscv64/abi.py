"""What Linux user mode needs to know of riscv64: registers of a call, auxv, signal frame, vDSO, hwprobe.

Sources: the RISC-V ELF psABI, and Linux's arch/riscv (include/uapi/asm/{ptrace,sigcontext,ucontext,hwprobe}.h and
kernel/signal.c). It refuses to know how a call is carried out, and what the host is.
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Protocol

    class Registers(Protocol):
        """The part of a Cpu that this module uses."""

        pc: int
        x: list[int]
        f: list[int]

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


NAME = "riscv64"
MACHINE = 243  # EM_RISCV
ELF_CLASS = 2
ELF_FLAGS = 0x5  # EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE
PLATFORM = "riscv64"
UNAME_MACHINE = "riscv64"
STACK_ALIGN = 16
MINSIGSTKSZ = 2048  # asm-generic; AT_MINSIGSTKSZ tells FRAME_BYTES
SIGACTION_RESTORER = False  # struct sigaction is {handler, flags, mask}
SYSCALL_BYTES = 4  # ecall
# The registers of a system call's number, of its arguments, and of its result.
SYSCALL = "a7", ("a0", "a1", "a2", "a3", "a4", "a5"), "a0"
LINK = ("x", 1)  # where a call leaves the return address
RETURN = (1 << 64) - 1  # the bits of a return address
SIGRETURN = "__vdso_rt_sigreturn"  # in the vDSO
# O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE (asm-generic/fcntl.h).
OPEN_FLAGS = (0o200000, 0o400000, 0o40000, 0o100000)

# The calls that asm-generic leaves to the architecture: number -> name.
SYSCALLS = {258: "riscv_hwprobe", 259: "riscv_flush_icache"}
DECLARATIONS = {
    "riscv_hwprobe": "riscv_hwprobe abi pairs:ptr count:size cpusetsize:size cpus:ptr flags:hex",
    "riscv_flush_icache": "riscv_flush_icache memory start:hex end:hex flags:hex",
}


def hwcap(options: Container[str] = ()) -> int:
    """AT_HWCAP: one bit a single-letter extension (asm/hwcap.h)."""
    return sum(1 << (ord(letter) - ord("A")) for letter in "IMAFDC")


def syscall(cpu: Registers) -> tuple[int, int, int, int, int, int, int]:
    """The number and the six arguments of the call the guest is making."""
    x = cpu.x
    return x[17], x[10], x[11], x[12], x[13], x[14], x[15]


def set_result(cpu: Registers, value: int) -> None:
    """The result of a call, or a negative errno."""
    cpu.x[10] = value & 0xFFFFFFFFFFFFFFFF


def set_first_argument(cpu: Registers, value: int) -> None:
    """Put back the first argument, whose register the result shares, before a call is made again."""
    cpu.x[10] = value


def clone_arguments(a: int, b: int, c: int, d: int, e: int) -> tuple[int, int, int, int, int]:
    """clone's arguments as (flags, stack, parent tid, tls, child tid); riscv selects CLONE_BACKWARDS."""
    return a, b, c, d, e


def start(cpu: Registers, entry: int, stack: int) -> None:
    """Registers at the first instruction of a program (start_thread in arch/riscv/kernel/process.c)."""
    for i in range(1, 32):
        cpu.x[i] = 0
    for i in range(32):
        cpu.f[i] = 0
    cpu.write("fcsr", 0)
    cpu.x[2] = stack
    cpu.pc = entry


def stack_pointer(cpu: Registers) -> int:
    """The stack pointer."""
    return cpu.x[2]


def set_stack_pointer(cpu: Registers, value: int) -> None:
    """Set the stack pointer."""
    cpu.x[2] = value


def set_tls(cpu: Registers, value: int) -> None:
    """Set the thread pointer."""
    cpu.x[4] = value


def copy_registers(target: Registers, source: Registers) -> None:
    """Make one thread's registers those of another, for clone."""
    for i in range(1, 32):
        target.x[i] = source.x[i]
    for i in range(32):
        target.f[i] = source.f[i]
    target.write("fcsr", source.read("fcsr"))
    target.pc = source.pc


def prctl(cpu: Registers, option: int, a: int, b: int, c: int, d: int) -> int | None:
    """prctl's options that are riscv64's alone, of which none is known: None."""
    return None


DWARF_STACK = 2  # RISC-V ELF psABI, DWARF register numbers


def dwarf_registers(cpu: Registers) -> list[int]:
    """The registers by their DWARF numbers, as far as unwinding needs them."""
    return list(cpu.x)


# Traps -----------------------------------------------------------------------------------------------------------
# The Isa's cause names -> (signal, si_code): asm-generic siginfo.h's ILL_ILLOPC, TRAP_BRKPT and BUS_ADRALN; the
# kernel's arch/riscv/kernel/traps.c.
SIGILL, SIGTRAP, SIGBUS, SIGSEGV = 4, 5, 7, 11
TRAPS = {
    "illegal": (SIGILL, 1),
    "breakpoint": (SIGTRAP, 1),
    "load_misaligned": (SIGBUS, 1),
    "store_misaligned": (SIGBUS, 1),
    "fetch_misaligned": (SIGBUS, 1),
}


def trap_address(name: str, pc: int, value: int) -> int:
    """si_addr of a trap: always the instruction's address (do_trap_error is given epc), of a misaligned access too."""
    return pc


# The signal frame ------------------------------------------------------------------------------------------------
# struct rt_sigframe { siginfo_t info; struct ucontext uc; }, struct ucontext { u64 flags; ptr link; stack_t stack;
# sigset_t sigmask; u8 unused[120]; (8 bytes to align) struct sigcontext mcontext; }, struct sigcontext { u64 pc,
# x1..x31; union { u64 f[32]; u32 fcsr; ... reserved at 516, header {magic, size} at 520 } of 528 bytes }.
_INFO = 128
_UC = Struct("<QQQi4xQQ120x8x")
_REGS = Struct("<32Q")
_FP = Struct("<32QI256xIII")
UC_OFFSET = _INFO
MCONTEXT_OFFSET = _INFO + _UC.size
FRAME_BYTES = MCONTEXT_OFFSET + _REGS.size + 528
assert (_UC.size, _FP.size, FRAME_BYTES) == (176, 528, 1088)


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
    an exception of this thread, its kind ("read", "write", "fetch" or a cause) and the address; not told here.
    """
    x, f = cpu.x, cpu.f
    frame = (stack - FRAME_BYTES) & ~15 & 0xFFFFFFFFFFFFFFFF
    sp, flags, size = altstack
    data = b"".join(
        (
            info,
            _UC.pack(0, 0, sp, flags, size, mask),
            _REGS.pack(cpu.pc, *[x[i] for i in range(1, 32)]),
            _FP.pack(*[f[i] for i in range(32)], cpu.read("fcsr"), 0, 0, 0),
        )
    )
    memory.write(frame, data)
    cpu.write("reserved", 0)  # every return from the kernel ends the reservation of lr (RESTORE in entry.S)
    x[1] = restorer
    x[2] = frame
    x[10] = signo
    x[11] = frame
    x[12] = frame + UC_OFFSET
    cpu.pc = handler


def restore_frame(
    cpu: Registers, memory: Memory, *, extensions: bool = False
) -> tuple[int, tuple[int, int, int]]:
    """Undo setup_frame for rt_sigreturn: (signal mask, altstack). Raises GuestFault, or ValueError on a bad frame.

    extensions: what is saved of them was looked at.
    """
    data = memory.read(cpu.x[2], FRAME_BYTES)
    _, _, sp, flags, size, mask = _UC.unpack_from(data, UC_OFFSET)
    pc, *xs = _REGS.unpack_from(data, MCONTEXT_OFFSET)
    *fs, fcsr, reserved, magic, length = _FP.unpack_from(data, MCONTEXT_OFFSET + _REGS.size)
    if reserved or (
        (magic or length) and not extensions
    ):  # no extension is saved, so only END_MAGIC may be here
        raise ValueError("signal frame with reserved fields set")
    x, f = cpu.x, cpu.f
    for i, value in enumerate(xs, 1):
        x[i] = value
    for i, value in enumerate(fs):
        f[i] = value
    cpu.write("fcsr", fcsr & 0xFF)
    cpu.write("reserved", 0)
    cpu.pc = pc
    return mask, (sp, flags, size)


# riscv_hwprobe (Documentation/arch/riscv/hwprobe.rst) ---------------------------------------------------------------
_PAIR = Struct("<qQ")
_EXT0 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 27 | 1 << 28 | 1 << 35
# IMA_FD, C, Zba, Zbb, Zbs, Zbc, Zbkb, Zbkx, Zfh, Zfhmin, Zicond; Zihintpause; Zca and Zcd, which C and D mean:
_EXT0 |= 1 << 36 | 1 << 43 | 1 << 45
_TIME_FREQUENCY = 1_000_000_000  # the time CSR counts nanoseconds


def hwprobe_value(key: int, limit: int) -> int | None:
    """The value of one key, None for a key that this kernel does not know."""
    values = {
        0: 0,  # MVENDORID
        1: 0,  # MARCHID
        2: 0,  # MIMPID
        3: 1,  # BASE_BEHAVIOR: IMA
        4: _EXT0,
        5: 3,  # CPUPERF_0: misaligned scalar accesses are fast
        6: 0,  # ZICBOZ_BLOCK_SIZE
        7: limit - 1,  # HIGHEST_VIRT_ADDRESS
        8: _TIME_FREQUENCY,
        9: 3,  # MISALIGNED_SCALAR_PERF: fast
        10: 4,  # MISALIGNED_VECTOR_PERF: unsupported
    }
    return values.get(key)


def hwprobe(memory: Memory, pairs: int, count: int, cpus_size: int, cpus: int, flags: int, limit: int,
            value_of: Callable[[int, int], int | None] = hwprobe_value) -> int:  # fmt: skip
    """riscv_hwprobe over an array of (key, value) pairs; all CPUs are alike. Raises GuestFault.

    value_of: the value of a key, None for one that is not known.
    """
    if (
        flags & ~1
        or (flags and not cpus_size)
        or (flags and not cpus)
        or (not flags and bool(cpus_size) != bool(cpus))
    ):
        return -22
    if not flags:
        for i in range(count):
            (key,) = Struct("<q").unpack(memory.read(pairs + 16 * i, 8))
            value = value_of(key, limit)
            memory.write(pairs + 16 * i, _PAIR.pack(-1 if value is None else key, value or 0))
        return 0
    # RISCV_HWPROBE_WHICH_CPUS: which of these CPUs have all the pairs? All or none.
    alike = True
    for i in range(count):
        key, wanted = _PAIR.unpack(memory.read(pairs + 16 * i, 16))
        value = value_of(key, limit)
        if value is None:
            memory.write(pairs + 16 * i, _PAIR.pack(-1, 0))
            alike = False
        elif key in (3, 4):
            alike = alike and value & wanted == wanted
        else:
            alike = alike and value == wanted
    if not alike:
        memory.write(cpus, bytes(cpus_size))
    return 0


# The vDSO (arch/riscv/kernel/vdso/vdso.lds.S) -----------------------------------------------------------------------
# Function -> system call number. Unwinders know the two instructions of __vdso_rt_sigreturn by heart.
VDSO = (
    (SIGRETURN, 139),
    ("__vdso_clock_gettime", 113),
    ("__vdso_gettimeofday", 169),
    ("__vdso_clock_getres", 114),
    ("__vdso_getcpu", 168),
    ("__vdso_flush_icache", 259),
    ("__vdso_riscv_hwprobe", 258),
)
_VERSION = "LINUX_4.15"
_CODE, _NOP = Struct("<III"), b"\x13\0\0\0"


def vdso() -> tuple[bytes, dict[str, int]]:
    """The vDSO's image and the offsets of its functions, which are `li a7, number; ecall; ret`."""
    from polyvm.isa import vdso

    functions = [(name, _CODE.pack(number << 20 | 17 << 7 | 0x13, 0x73, 0x8067)) for name, number in VDSO]
    return vdso.build(MACHINE, _VERSION, functions, _NOP)


def cpuinfo(count: int, options: Container[str] = ()) -> str:
    """/proc/cpuinfo for a number of harts (arch/riscv/kernel/cpu.c)."""
    isa = "rv64imafdc_zicond_zicsr_zifencei_zfh_zba_zbb_zbc_zbs_zbkb_zbkx"
    text = "processor\t: {0}\nhart\t\t: {0}\nisa\t\t: {1}\nmmu\t\t: sv39\nuarch\t\t: polyvm\n\n"
    return "".join(text.format(i, isa) for i in range(count))
