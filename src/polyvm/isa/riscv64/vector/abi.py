"""What Linux user mode needs to know of riscv64 with vectors, besides what `abi` says without them.

Sources: Linux's Documentation/arch/riscv/vector.rst and hwprobe.rst, include/uapi/asm/{ptrace,sigcontext}.h and
kernel/{signal,vector}.c. A system call may change vector registers as the kernel likes; here it leaves them.
"""

from __future__ import annotations

from _struct import Struct

from polyvm.isa.riscv64 import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from polyvm.isa.riscv64.abi import Memory, Registers

    class VectorRegisters(Registers):
        """The part of a Cpu that this module uses."""

        v: list[int]


MAGIC, HEADER = 0x5346_5457, 8  # RISCV_V_MAGIC, struct __riscv_ctx_hdr
# struct __sc_riscv_v_state { struct __riscv_v_ext_state { u64 vstart, vl, vtype, vcsr, vlenb; void *datap; } } on 16
# bytes, and the registers behind it.
_EXT = Struct("<IIQQQQQQ")
_VILL = 1 << 63
# hwprobe's IMA_EXT_0: V, Zvfh, Zvfhmin.
_EXT0_V = 1 << 2 | 1 << 30 | 1 << 31
_PERF_FAST = 3  # MISALIGNED_VECTOR_PERF
# prctl (include/uapi/linux/prctl.h)
SET_CONTROL, GET_CONTROL = 69, 70
_OFF, _ON, _MASK = 1, 2, 0x1F
EINVAL, EPERM = 22, 1


class VectorAbi:
    """The ABI of a guest whose vector registers have `vlen` bits; what it does not say itself is `abi`'s."""

    def __init__(self, vlen: int) -> None:
        self.vlen = vlen
        self.registers = 32 * vlen // 8
        self.extra = _EXT.size + self.registers
        self.FRAME_BYTES = abi.FRAME_BYTES + (self.extra + HEADER + 15) // 16 * 16

    def __getattr__(self, name: str) -> Any:
        return getattr(abi, name)

    def hwcap(self, options: Container[str] = ()) -> int:
        """AT_HWCAP with V."""
        return abi.hwcap(options) | 1 << (ord("V") - ord("A"))

    def cpuinfo(self, count: int, options: Container[str] = ()) -> str:
        """/proc/cpuinfo with V among the letters."""
        return (
            abi.cpuinfo(count, options)
            .replace("rv64imafdc_", "rv64imafdcv_")
            .replace("_zbkx\n", "_zbkx_zvfh_zvfhmin\n")
        )

    def hwprobe(
        self, memory: Memory, pairs: int, count: int, cpus_size: int, cpus: int, flags: int, limit: int
    ) -> int:
        """riscv_hwprobe, which tells of V."""
        return abi.hwprobe(memory, pairs, count, cpus_size, cpus, flags, limit, value_of=self._hwprobe_value)

    def _hwprobe_value(self, key: int, limit: int) -> int | None:
        value = abi.hwprobe_value(key, limit)
        if key == 4:
            assert value is not None
            return value | _EXT0_V
        return _PERF_FAST if key == 10 else value

    def start(self, cpu: VectorRegisters, entry: int, stack: int) -> None:
        """Registers at the first instruction of a program: no vtype."""
        abi.start(cpu, entry, stack)
        self._clear(cpu)

    def _clear(self, cpu: VectorRegisters) -> None:
        for name in ("vl", "vstart", "vxrm", "vxsat"):
            cpu.write(name, 0)
        cpu.write("vtype", _VILL)
        for number in range(32):
            cpu.v[number] = 0

    def copy_registers(self, target: VectorRegisters, source: VectorRegisters) -> None:
        """Make one thread's registers those of another, for clone."""
        abi.copy_registers(target, source)
        for name in ("vl", "vstart", "vxrm", "vxsat", "vtype"):
            target.write(name, source.read(name))
        for number in range(32):
            target.v[number] = source.v[number]

    def prctl(self, cpu: Registers, option: int, value: int, b: int, c: int, d: int) -> int | None:
        """PR_RISCV_V_SET_CONTROL and its counterpart. Vectors are on, and stay so: to turn them off is refused."""
        if option == GET_CONTROL:
            return _ON
        if option != SET_CONTROL:
            return abi.prctl(cpu, option, value, b, c, d)
        if value & ~_MASK or value & 3 == 3 or value >> 2 & 3 == 3:
            return -EINVAL
        return -EPERM if value & 3 == _OFF or value >> 2 & 3 == _OFF else 0

    # -- The signal frame: behind struct rt_sigframe, at the end of which the header of what comes next is
    def setup_frame(
        self,
        cpu: VectorRegisters,
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
        """As abi's, with the vector state behind it."""
        frame = (stack - self.FRAME_BYTES) & ~15 & 0xFFFF_FFFF_FFFF_FFFF
        data = frame + abi.FRAME_BYTES + self.extra - self.registers - HEADER
        state = _EXT.pack(
            MAGIC, self.extra, cpu.read("vstart"), cpu.read("vl"), cpu.read("vtype"),
            cpu.read("vxrm") << 1 | cpu.read("vxsat"), self.vlen // 8, data,
        )  # fmt: skip
        # struct __riscv_extra_ext_header ends where struct rt_sigframe does: its header is the last 8 bytes.
        end = frame + abi.FRAME_BYTES - HEADER
        registers = b"".join(cpu.v[number].to_bytes(self.vlen // 8, "little") for number in range(32))
        memory.write(end + HEADER, state[HEADER:] + registers + bytes(HEADER))
        abi.setup_frame(
            cpu, memory, frame + abi.FRAME_BYTES, handler, restorer, signo, info, mask, altstack, fault
        )
        memory.write(end, state[:HEADER])

    def restore_frame(self, cpu: VectorRegisters, memory: Memory) -> tuple[int, tuple[int, int, int]]:
        """Undo setup_frame for rt_sigreturn. Raises GuestFault, or ValueError on a bad frame."""
        end = cpu.x[2] + abi.FRAME_BYTES - HEADER
        magic, size, vstart, vl, vtype, vcsr, _, data = _EXT.unpack(memory.read(end, _EXT.size))
        if (magic, size) == (0, 0):  # END_MAGIC: the handler took it out
            return abi.restore_frame(cpu, memory)
        if magic != MAGIC or size != self.extra:
            raise ValueError("signal frame with an extension that is not known")
        if memory.read(end + size, HEADER) != bytes(HEADER):
            raise ValueError("signal frame without an end")
        registers = memory.read(data, self.registers)
        saved = abi.restore_frame(cpu, memory, extensions=True)
        for name, value in (
            ("vstart", vstart),
            ("vl", vl),
            ("vtype", vtype),
            ("vxrm", vcsr >> 1 & 3),
            ("vxsat", vcsr & 1),
        ):
            cpu.write(name, value)
        size = self.vlen // 8
        for number in range(32):
            cpu.v[number] = int.from_bytes(registers[number * size : number * size + size], "little")
        return saved


def load(vlen: int) -> VectorAbi:
    """The ABI for registers of so many bits."""
    return VectorAbi(vlen)
