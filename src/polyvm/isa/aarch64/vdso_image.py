"""The functions of aarch64's vDSO. Symbols carry the version LINUX_2.6.39, as the kernel's own
(arch/arm64/kernel/vdso/vdso.lds.S).
"""

from __future__ import annotations

from _struct import pack

from polyvm.isa import vdso

# Function -> system call number. Unwinders know the two instructions of __kernel_rt_sigreturn by heart.
FUNCTIONS = (
    ("__kernel_rt_sigreturn", 139),
    ("__kernel_gettimeofday", 169),
    ("__kernel_clock_gettime", 113),
    ("__kernel_clock_getres", 114),
)
VERSION = "LINUX_2.6.39"
_EM_AARCH64 = 183
_NOP = pack("<I", 0xD503201F)


def code(number: int) -> bytes:
    """`mov x8, #number; svc #0; ret`."""
    return pack("<III", 0xD2800000 | number << 5 | 8, 0xD4000001, 0xD65F03C0)


def build() -> tuple[bytes, dict[str, int]]:
    """(image, offset of each function)."""
    return vdso.build(_EM_AARCH64, VERSION, [(name, code(number)) for name, number in FUNCTIONS], _NOP)
