"""Descriptors of KVM's: ioctls by name, and the kernel's refusals as coded errors. No other module calls it."""

from __future__ import annotations

import errno
import fcntl
import os

from polyvm.accel.ffi.kvm import NUMBERS
from polyvm.errors import PolyvmError
from polyvm.memory import host

RESOURCES = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EAGAIN)


class Handle:
    """An open descriptor of the system, a virtual machine or a vCPU. It is closed with its owner."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def call(self, name: str, argument: int | bytearray = 0) -> int:
        """Make an ioctl; a bytearray is read and filled. Raises PVM-RESOURCE or PVM-ACCEL-REFUSED."""
        if self.fd < 0:
            raise PolyvmError("PVM-USAGE", "This virtual machine or processor is closed.")
        while True:
            try:
                return fcntl.ioctl(self.fd, NUMBERS[name], argument)
            except InterruptedError:  # a signal: its handler ran
                continue
            except OSError as error:
                raise refused(name, error.errno or 0) from None

    def fill(self, name: str, size: int) -> bytearray:
        """What an ioctl fills a structure of `size` bytes with."""
        data = bytearray(size)
        self.call(name, data)
        return data

    def call_wide(self, name: str, argument: int) -> int:
        """An ioctl whose integer is too large for Python's, which takes what fits 31 bits."""
        number = _SYS_IOCTL.get(os.uname().machine)
        if number is None:
            raise PolyvmError("PVM-HOST-UNSUPPORTED", "This host's number of ioctl is not known.")
        result = host.syscall(number, self.fd, NUMBERS[name], argument)
        if result < 0:
            raise refused(name, -result)
        return result

    def close(self) -> None:
        """Close it; more than once is no error."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __del__(self) -> None:
        self.close()


_SYS_IOCTL = {"x86_64": 16, "aarch64": 29, "riscv64": 29}


def refused(name: str, number: int) -> PolyvmError:
    """The error for an ioctl that the kernel refuses."""
    reason = os.strerror(number)
    text = errno.errorcode.get(number, str(number))
    if number in RESOURCES:
        return PolyvmError(
            "PVM-RESOURCE", f"The host has not enough for {name}: {reason}.", ioctl=name, errno=text
        )
    hints = {
        errno.EINVAL: "A value is not valid for this processor, or comes too late or too early.",
        errno.EEXIST: "It is there already.",
        errno.ENXIO: "It needs the interrupt controllers of create_irqchip().",
        errno.ENOTTY: "This kernel's KVM does not have it.",
        errno.EBUSY: "The vCPU is running, or another one stands in the way.",
    }
    return PolyvmError(
        "PVM-ACCEL-REFUSED",
        f"KVM refuses {name}: {reason}.",
        hint=hints.get(number, "The kernel's documentation of the KVM API says when it does."),
        ioctl=name,
        errno=text,
    )
