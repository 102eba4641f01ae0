"""The calls that only one architecture has, carried out by the guest's own abi module."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread


def sys_riscv_hwprobe(
    t: Thread, pairs: int, count: int, cpus_size: int, cpus: int, flags: int, *_: int
) -> int:
    """riscv_hwprobe."""
    result: int = t.process.abi.hwprobe(t.space, pairs, count, cpus_size, cpus, flags & 0xFFFFFFFF, t.limit)
    return result
