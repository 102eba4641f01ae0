"""The functions of riscv64's vDSO. Symbols carry the version LINUX_4.15, as the kernel's own
(arch/riscv/kernel/vdso/vdso.lds.S).
"""

from __future__ import annotations

from _struct import pack

from polyvm.isa import vdso

# Function -> system call number. __vdso_rt_sigreturn comes first and unwinders know its two instructions by heart.
FUNCTIONS = (
    ("__vdso_rt_sigreturn", 139),
    ("__vdso_clock_gettime", 113),
    ("__vdso_gettimeofday", 169),
    ("__vdso_clock_getres", 114),
    ("__vdso_getcpu", 168),
    ("__vdso_flush_icache", 259),
    ("__vdso_riscv_hwprobe", 258),
)
VERSION = "LINUX_4.15"
_EM_RISCV = 243
_NOP = b"\x13\0\0\0"


def code(number: int) -> bytes:
    """`li a7, number; ecall; ret`."""
    return pack("<III", number << 20 | 17 << 7 | 0x13, 0x73, 0x8067)


def build() -> tuple[bytes, dict[str, int]]:
    """(image, offset of each function)."""
    return vdso.build(_EM_RISCV, VERSION, [(name, code(number)) for name, number in FUNCTIONS], _NOP)
