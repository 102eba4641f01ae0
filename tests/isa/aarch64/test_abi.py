"""Linux's side of aarch64: registers of calls, the signal frame to the byte, and what a damaged frame comes to.

The structures are declared here once more, from the kernel's arch/arm64/include/uapi/asm/{sigcontext,ucontext}.h, and
laid out by ctypes.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable

import pytest

from polyvm.ir.ops import ALTERNATIVE_HALF, DEFAULT_NAN, FLUSH, FLUSH_HALVES
from polyvm.isa.aarch64 import abi
from polyvm.isa.aarch64.registers import SP, SPECIALS, XZR
from polyvm.memory.access import GuestFault

u32, u64 = ctypes.c_uint32, ctypes.c_uint64
HANDLER, RESTORER = 0x11000, 0x12000
SIGSEGV, SIGBUS, SIGILL, SIGUSR1 = 11, 7, 4, 10
BASE, SIZE = 0x70000, 0x4000


class Head(ctypes.Structure):
    _fields_ = (("magic", u32), ("size", u32))


class Simd(ctypes.Structure):
    _fields_ = (("head", Head), ("fpsr", u32), ("fpcr", u32), ("v", (u64 * 2) * 32))


class Esr(ctypes.Structure):
    _fields_ = (("head", Head), ("esr", u64))


class SigContext(ctypes.Structure):
    _fields_ = (
        ("fault_address", u64), ("regs", u64 * 31), ("sp", u64), ("pc", u64), ("pstate", u64), ("align", u64),
        ("simd", Simd), ("rest", ctypes.c_uint8 * (4096 - 528)),
    )  # fmt: skip


class Stack(ctypes.Structure):
    _fields_ = (("sp", u64), ("flags", ctypes.c_int), ("size", u64))


class UContext(ctypes.Structure):
    _fields_ = (
        ("flags", u64), ("link", u64), ("stack", Stack), ("sigmask", u64), ("unused", ctypes.c_uint8 * 120),
        ("align", u64), ("mcontext", SigContext),
    )  # fmt: skip


class Frame(ctypes.Structure):
    _fields_ = (("info", ctypes.c_uint8 * 128), ("uc", UContext))


class Record(ctypes.Structure):
    _fields_ = (("fp", u64), ("lr", u64))


class Cpu:
    """The registers, each with a value of its own."""

    def __init__(self) -> None:
        self.pc = 0x10040
        self.x = [0x1111 * (i + 1) << 16 for i in range(33)]
        self.x[SP] = BASE + SIZE - 0x38
        self.q = [(i + 1) << 100 | i + 1 for i in range(32)]
        self.fp_flags, self.fp_mode = 0b10010, 3
        self.specials = dict.fromkeys(SPECIALS, 0) | {
            "nzcv": 0xA0000000, "tpidr_el0": 0x5000, "idc": 1, "qc": 0, "exclusive": 8,
        }  # fmt: skip

    def read(self, name: str) -> int:
        return self.specials[name]

    def write(self, name: str, value: int) -> None:
        self.specials[name] = value

    def state(self) -> tuple[object, ...]:
        x = [value for i, value in enumerate(self.x) if i != XZR]
        return self.pc, x, list(self.q), self.fp_flags, self.fp_mode, dict(self.specials)


class Memory:
    """A few pages from BASE on."""

    def __init__(self) -> None:
        self.bytes = bytearray(b"\xa5" * SIZE)

    def _at(self, address: int, size: int) -> int:
        if not 0 <= address - BASE <= SIZE - size:
            raise GuestFault(address, 1)
        return address - BASE

    def read(self, addr: int, n: int) -> bytes:
        at = self._at(addr, n)
        return bytes(self.bytes[at : at + n])

    def write(self, addr: int, data: bytes) -> None:
        at = self._at(addr, len(data))
        self.bytes[at : at + len(data)] = data


def info(signo: int, code: int, address: int = 0) -> bytes:
    return struct.pack("<iiiiQ", signo, 0, code, 0, address).ljust(128, b"\0")


def enter(
    cpu: Cpu, memory: Memory, signo: int = SIGUSR1, code: int = 0, fault: tuple[str, int] | None = None
) -> Frame:
    abi.setup_frame(
        cpu,
        memory,
        cpu.x[SP],
        HANDLER,
        RESTORER,
        signo,
        info(signo, code),
        0x1234,
        (0x9000, 2, 0x2000),
        fault,
    )
    return Frame.from_buffer(memory.bytes, cpu.x[SP] - BASE)


def test_sizes_are_the_kernels() -> None:
    assert (ctypes.sizeof(Simd), ctypes.sizeof(SigContext), ctypes.sizeof(Frame)) == (528, 4384, 4688)
    assert Frame.uc.offset == abi.UC_OFFSET
    assert Frame.uc.offset + UContext.mcontext.offset == abi.MCONTEXT_OFFSET
    assert ctypes.sizeof(Frame) + 32 == abi.FRAME_BYTES


def test_a_frame_holds_everything() -> None:
    cpu, memory = Cpu(), Memory()
    before = Cpu()
    frame = enter(cpu, memory)
    context = frame.uc.mcontext
    assert list(context.regs) == before.x[:XZR]
    assert (context.sp, context.pc, context.pstate) == (before.x[SP], before.pc, 0xA0000000)
    assert context.fault_address == 0
    assert (context.simd.head.magic, context.simd.head.size) == (0x46508001, 528)
    # UFC and IOC accrued, and a denormal input; rounding up.
    assert (context.simd.fpsr, context.simd.fpcr) == (1 << 7 | 1 << 3 | 1 << 0, 1 << 22)
    assert [low | high << 64 for low, high in context.simd.v] == before.q
    assert bytes(context.rest)[:8] == bytes(8)
    assert (frame.uc.sigmask, frame.uc.flags, frame.uc.link) == (0x1234, 0, 0)
    assert (frame.uc.stack.sp, frame.uc.stack.flags, frame.uc.stack.size) == (0x9000, 2, 0x2000)
    assert bytes(frame.info) == info(SIGUSR1, 0)


def test_the_handler_begins_as_the_kernel_has_it() -> None:
    cpu, memory = Cpu(), Memory()
    before = Cpu()
    enter(cpu, memory)
    here = cpu.x[SP]
    assert cpu.pc == HANDLER
    assert here % 16 == 0
    assert cpu.x[:3] == [SIGUSR1, here, here + abi.UC_OFFSET]
    assert cpu.x[30] == RESTORER
    assert cpu.x[29] == here + ctypes.sizeof(Frame)
    record = Record.from_buffer(memory.bytes, cpu.x[29] - BASE)
    assert (record.fp, record.lr) == (before.x[29], before.x[30])
    assert cpu.x[29] + 16 <= before.x[SP]
    assert cpu.specials["exclusive"] == 0
    assert cpu.q == before.q


@pytest.mark.parametrize(
    ("signo", "code", "kind", "address", "esr"),
    [
        (SIGSEGV, 1, "read", 0x1008, 0x92000007),
        (SIGSEGV, 1, "write", 0x1008, 0x92000047),
        (SIGSEGV, 2, "write", 0x1008, 0x9200004F),
        (SIGSEGV, 2, "fetch", 0x1008, 0x8200000F),
        (SIGBUS, 2, "read", 0x1008, 0x92000007),
        (SIGBUS, 1, "misaligned", 0x1009, 0x92000021),
        (SIGSEGV, 1, "write", 0xFFFF000000000008, 0x92000044),
    ],
)
def test_faults_are_told(signo: int, code: int, kind: str, address: int, esr: int) -> None:
    context = enter(Cpu(), Memory(), signo, code, (kind, address)).uc.mcontext
    assert context.fault_address == address
    told = Esr.from_buffer(context.rest)
    assert (told.head.magic, told.head.size, hex(told.esr)) == (0x45535201, 16, hex(esr))
    assert bytes(context.rest)[16:24] == bytes(8)


def test_a_misaligned_pc_has_a_syndrome_of_its_own() -> None:
    cpu = Cpu()
    cpu.pc = 0x10042
    context = enter(cpu, Memory(), SIGBUS, 1, ("misaligned", 0x10042)).uc.mcontext
    assert (context.fault_address, hex(Esr.from_buffer(context.rest).esr)) == (0, "0x8a000000")


@pytest.mark.parametrize("cause", ["illegal", "breakpoint"])
def test_what_is_no_access_leaves_no_syndrome(cause: str) -> None:
    context = enter(Cpu(), Memory(), SIGILL, 1, (cause, 0x10040)).uc.mcontext
    assert context.fault_address == 0
    assert bytes(context.rest)[:8] == bytes(8)


def test_everything_comes_back() -> None:
    cpu, memory = Cpu(), Memory()
    enter(cpu, memory, SIGSEGV, 1, ("read", 0x1008))
    here = cpu.x[SP]
    cpu.x, cpu.q = [7] * 33, [8] * 32
    cpu.fp_flags = cpu.fp_mode = cpu.pc = 0
    cpu.specials |= {"nzcv": 0, "idc": 0, "qc": 1, "exclusive": 4}
    cpu.x[SP] = here
    assert abi.restore_frame(cpu, memory) == (0x1234, (0x9000, 2, 0x2000))
    before = Cpu()
    before.specials["exclusive"] = 0
    assert cpu.state() == before.state()


def _set(**fields: int) -> Callable[[Frame], None]:
    def change(frame: Frame) -> None:
        for name, value in fields.items():
            owner = frame.uc.mcontext.simd.head if name in ("magic", "size") else frame.uc.mcontext
            setattr(owner, name, value)

    return change


def _second(frame: Frame) -> None:
    """The same record once more."""
    frame.uc.mcontext.rest[:528] = bytes(frame.uc.mcontext.simd)


def _unknown(frame: Frame) -> None:
    Head.from_buffer(frame.uc.mcontext.rest).magic = 0x53564501  # of SVE, which there is not
    Head.from_buffer(frame.uc.mcontext.rest).size = 16


def _endless(frame: Frame) -> None:
    Head.from_buffer(frame.uc.mcontext.rest).magic = 0x45535201


@pytest.mark.parametrize(
    "damage",
    [
        _set(magic=1), _set(size=512), _set(size=0), _set(size=4096), _set(magic=0, size=0),
        _set(pstate=0xA0000010), _set(pstate=0x5), _set(pstate=0x80), _second, _unknown, _endless,
    ],
)  # fmt: skip
def test_damaged_frames_are_refused(damage: Callable[[Frame], None]) -> None:
    cpu, memory = Cpu(), Memory()
    damage(enter(cpu, memory))
    before = cpu.state()
    with pytest.raises(ValueError, match="signal frame"):
        abi.restore_frame(cpu, memory)
    assert cpu.state() == before


def test_a_stack_that_is_not_aligned_is_refused() -> None:
    cpu, memory = Cpu(), Memory()
    enter(cpu, memory)
    cpu.x[SP] += 8
    with pytest.raises(ValueError, match="not aligned"):
        abi.restore_frame(cpu, memory)


@pytest.mark.parametrize("room", [0, 16, 40, 4688])
def test_a_frame_that_has_no_room_changes_nothing(room: int) -> None:
    cpu, memory = Cpu(), Memory()
    cpu.x[SP] = BASE + room
    before = cpu.state()
    with pytest.raises(GuestFault):
        enter(cpu, memory)
    assert cpu.state() == before


def test_floating_point_control_and_status() -> None:
    cpu = Cpu()
    for mode, rmode in enumerate((0, 3, 2, 1)):  # nearest, zero, down, up
        cpu.fp_mode = mode
        assert abi.fpcr(cpu) == rmode << 22
        abi.set_fpcr(cpu, rmode << 22)
        assert cpu.fp_mode == mode
    for bit, place in ((FLUSH, 24), (DEFAULT_NAN, 25), (ALTERNATIVE_HALF, 26), (FLUSH_HALVES, 19)):
        cpu.fp_mode = bit | 2
        assert abi.fpcr(cpu) == 1 << place | 2 << 22
        cpu.fp_mode = 0
        abi.set_fpcr(cpu, 1 << place | 2 << 22)
        assert cpu.fp_mode == bit | 2
    # NX, UF, OF, DZ, NV
    for flag, bit in enumerate((4, 3, 2, 1, 0)):
        abi.set_fpsr(cpu, 1 << bit)
        assert (cpu.fp_flags, abi.fpsr(cpu)) == (1 << flag, 1 << bit)
    abi.set_fpsr(cpu, 1 << 27 | 1 << 7)
    assert (cpu.specials["qc"], cpu.specials["idc"], abi.fpsr(cpu)) == (1, 1, 1 << 27 | 1 << 7)


def test_calls() -> None:
    cpu = Cpu()
    cpu.x[8], cpu.x[:6] = 220, [1, 2, 3, 4, 5, 6]
    assert abi.syscall(cpu) == (220, 1, 2, 3, 4, 5, 6)
    abi.set_result(cpu, -38)
    assert cpu.x[0] == (1 << 64) - 38
    abi.set_first_argument(cpu, 5)
    assert cpu.x[0] == 5
    assert abi.clone_arguments(1, 2, 3, 4, 5) == (1, 2, 3, 4, 5)


def test_a_program_begins_with_nothing() -> None:
    cpu = Cpu()
    abi.start(cpu, 0x4000, 0x8000)
    assert (cpu.pc, cpu.x[SP], set(cpu.x[:XZR]), set(cpu.q)) == (0x4000, 0x8000, {0}, {0})
    assert (abi.fpsr(cpu), abi.fpcr(cpu), set(cpu.specials.values())) == (0, 0, {0})


def test_a_clone_has_all_registers() -> None:
    one, other = Cpu(), Cpu()
    abi.start(other, 0, 0)
    abi.copy_registers(other, one)
    one.specials["exclusive"] = 0
    assert other.state() == one.state()
    abi.set_tls(other, 0x77)
    abi.set_stack_pointer(other, 0x88)
    assert (other.specials["tpidr_el0"], abi.stack_pointer(other)) == (0x77, 0x88)
    assert abi.dwarf_registers(other)[31] == 0x88


def test_cpuinfo_has_a_paragraph_for_each_processor() -> None:
    paragraphs = abi.cpuinfo(2).split("\n\n")
    assert [text.split("\n")[0] for text in paragraphs] == ["processor\t: 0", "processor\t: 1", ""]
    assert "Features\t: fp asimd aes pmull " in paragraphs[0]
    assert "CPU implementer\t: 0x00\nCPU architecture: 8\n" in paragraphs[0]
