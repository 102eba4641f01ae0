"""Runs a static Linux program under Unicorn, for the benchmark: `-m polyvm.bench.unicorn_peer GUEST PROGRAM ARGS`.

Just enough of Linux for programs that compute and print: memory, output, clocks. Another system call answers ENOSYS;
a program that Unicorn stops on ends with status 70 and its reason on standard error. Not a way to run programs.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import time
from typing import Any

PAGE = 4096
STACK_TOP, STACK_SIZE = 0x3F_0000_0000, 8 << 20
MMAP_BASE = 0x20_0000_0000
RISCV_MACHINE = 243
FAILED = 70


class Ended(Exception):
    """The guest called exit."""


class Machine:
    """One Unicorn machine with a program in it. `uc` and `const` are the unicorn module and its RISC-V constants."""

    def __init__(self, path: str, arguments: list[str]) -> None:
        import unicorn
        from unicorn import riscv_const

        self.const: Any = riscv_const
        self.unicorn: Any = unicorn
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
        self.status: int | None = None
        self.failure: BaseException | None = None
        self.next_map = MMAP_BASE
        with open(path, "rb") as file:
            image = file.read()
        self.entry, self.headers, self.header_count, end = self.load(image)
        self.brk = self.brk_mapped = up(end)
        # Floating point is off at reset: mstatus.FS = initial.
        self.uc.reg_write(riscv_const.UC_RISCV_REG_MSTATUS, 0x6000)
        self.uc.mem_map(STACK_TOP - STACK_SIZE, STACK_SIZE)
        self.uc.reg_write(riscv_const.UC_RISCV_REG_SP, self.stack(path, arguments))
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self.interrupt)

    def load(self, image: bytes) -> tuple[int, int, int, int]:
        """Map the segments; entry, address and number of the program headers, end of the program."""
        if image[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", image, 16) != (2, RISCV_MACHINE):
            raise ValueError("only static riscv64 programs at a fixed address")
        entry, table = struct.unpack_from("<QQ", image, 24)
        size, count = struct.unpack_from("<HH", image, 54)
        headers = end = 0
        mapped: set[int] = set()
        for i in range(count):
            kind, _, offset, address, _, in_file, in_memory, _ = struct.unpack_from(
                "<IIQQQQQQ", image, table + i * size
            )
            if kind == 3:
                raise ValueError("a dynamic program: only static ones run here")
            if kind != 1:
                continue
            for page in range(address // PAGE, up(address + in_memory) // PAGE):
                if page not in mapped:  # two segments may share one
                    mapped.add(page)
                    self.uc.mem_map(page * PAGE, PAGE)
            self.uc.mem_write(address, image[offset : offset + in_file])
            if offset <= table < offset + in_file:
                headers = address + table - offset
            end = max(end, address + in_memory)
        return entry, headers, count, end

    def stack(self, path: str, arguments: list[str]) -> int:
        """Arguments, an empty environment, and the auxiliary vector; the stack pointer."""
        at = STACK_TOP - 64
        strings = []
        for text in [path, *arguments]:
            data = text.encode() + b"\0"
            at -= len(data)
            self.uc.mem_write(at, data)
            strings.append(at)
        at = (at & ~15) - 16
        self.uc.mem_write(at, os.urandom(16))
        auxiliary = [3, self.headers, 4, 56, 5, self.header_count, 6, PAGE, 9, self.entry, 25, at, 0, 0]
        words = [len(strings), *strings, 0, 0, *auxiliary]
        at = (at - len(words) * 8) & ~15
        self.uc.mem_write(at, struct.pack(f"<{len(words)}Q", *words))
        return at

    def run(self) -> int:
        """The exit status; raises what stopped it otherwise."""
        pc = self.entry
        while self.status is None:
            try:
                self.uc.emu_start(pc, 0)
            except self.unicorn.UcError:
                if self.failure is None and self.status is None:
                    raise
            if self.failure is not None:
                raise self.failure
            pc = self.uc.reg_read(self.const.UC_RISCV_REG_PC)
        return self.status

    def interrupt(self, uc: Any, number: int, _: object) -> None:
        """An exception of the guest: an ecall, or the end."""
        try:
            pc = uc.reg_read(self.const.UC_RISCV_REG_PC)
            if number not in (8, 9, 11):
                raise RuntimeError(f"the guest raised exception {number} at {pc:#x}")
            a0 = self.const.UC_RISCV_REG_A0
            number = uc.reg_read(self.const.UC_RISCV_REG_A7)
            arguments = [uc.reg_read(a0 + i) for i in range(6)]
            uc.reg_write(a0, self.syscall(number, *arguments) & (1 << 64) - 1)
        except Ended:
            uc.emu_stop()
        except Exception as error:  # carried out of the C callback, and raised by run()
            self.failure = error
            uc.emu_stop()

    def syscall(self, number: int, a: int, b: int, c: int, d: int, e: int, f: int) -> int:
        """The few system calls of riscv64 Linux that a computing program makes."""
        match number:
            case 64:  # write
                return os.write(a, self.uc.mem_read(b, c))
            case 66:  # writev
                vectors = struct.unpack(f"<{2 * c}Q", self.uc.mem_read(b, 16 * c))
                data = b"".join(
                    bytes(self.uc.mem_read(p, n)) for p, n in zip(*[iter(vectors)] * 2, strict=True) if n
                )
                return os.write(a, data)
            case 93 | 94:  # exit, exit_group
                self.status = a & 255
                raise Ended
            case 96 | 172 | 178:  # set_tid_address, getpid, gettid
                return os.getpid()
            case 113:  # clock_gettime
                now = time.clock_gettime_ns(a)
                self.uc.mem_write(b, struct.pack("<QQ", *divmod(now, 10**9)))
                return 0
            case 214:  # brk
                return self.grow(a)
            case 215:  # munmap
                self.uc.mem_unmap(a, up(b))
                return 0
            case 222:  # mmap
                return self.map(a, b, d)
            case 29:  # ioctl: standard output is a file
                return -errno.ENOTTY
            case 135 | 226 | 233:  # rt_sigprocmask, mprotect, madvise
                return 0
        return -errno.ENOSYS

    def grow(self, end: int) -> int:
        """Move the end of the heap up; asked for less, say where it is."""
        if end > self.brk:
            if up(end) > self.brk_mapped:
                self.uc.mem_map(self.brk_mapped, up(end) - self.brk_mapped)
                self.brk_mapped = up(end)
            self.brk = end
        return self.brk

    def map(self, address: int, size: int, flags: int) -> int:
        """Anonymous memory; files and fixed addresses are refused."""
        if not flags & 0x20 or flags & 0x10 or size == 0:
            return -errno.EINVAL
        address = self.next_map
        self.uc.mem_map(address, up(size))
        self.next_map += up(size)
        return address


def up(address: int) -> int:
    """The next page boundary."""
    return -(-address // PAGE) * PAGE


def main(argv: list[str]) -> int:
    """Run the program; what Unicorn cannot do is said in one line."""
    if len(argv) < 2 or argv[0] != "riscv64":
        print("usage: unicorn_peer riscv64 PROGRAM ARGS...", file=sys.stderr)
        return 2
    try:
        return Machine(argv[1], argv[2:]).run()
    except Exception as error:  # whatever Unicorn says is the answer of this peer
        print(f"unsupported by Unicorn: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
