"""The host's memory calls: libc's mmap family, raw syscalls, bytes at host addresses; by `_ctypes` alone.

Addresses and sizes are ints, a failed call is a negative errno, and nothing here raises for the host's
refusal: what a refusal means is decided by the caller. It refuses to know anything about guests, and it
checks no address: peek, poke, fill and view are for memory that is ours and mapped; safe_read and
safe_write are for the rest.
"""

from __future__ import annotations

import _ctypes
import errno
import os
import sys
from _ctypes import CFuncPtr, _SimpleCData
from _struct import pack

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Simple: TypeAlias = _SimpleCData[Any]
else:
    Simple = _SimpleCData

# Linux's numbers, the same on x86-64 and arm64.
PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 0x01, 0x02, 0x10, 0x20
MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_FIXED_NOREPLACE = 0x2000, 0x4000, 0x8000, 0x100000
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4
MADV_DONTNEED, MADV_NOHUGEPAGE = 4, 15
MS_ASYNC = 1

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_CDECL, _PYTHONAPI, _USE_ERRNO = 1, 4, 8  # FUNCFLAG_* of CPython's ctypes.h; PYTHONAPI keeps the GIL
_BUFFER_READ, _BUFFER_WRITE = 0x100, 0x200  # PyBUF_READ, PyBUF_WRITE
_COPY_MAX = 1 << 30  # the kernel copies at most 2 GiB - 4 KiB a call


class _Long(Simple):
    _type_ = "q"


class _Word(Simple):
    _type_ = "Q"


class _Pointer(Simple):  # takes an int, bytes, or None
    _type_ = "P"


class _Int(Simple):
    _type_ = "i"


class _Object(Simple):
    _type_ = "O"


class _Call(CFuncPtr):
    """A C function that may block and sets errno: the GIL is released."""

    _flags_ = _CDECL | _USE_ERRNO
    _restype_ = _Long


class _Quick(CFuncPtr):
    """A C function that is over in no time: the GIL is kept, so that nobody can come in between."""

    _flags_ = _CDECL | _PYTHONAPI
    _restype_ = _Pointer


class _Make(CFuncPtr):
    """A function of Python's C API that returns a new object, or raises."""

    _flags_ = _CDECL | _PYTHONAPI
    _restype_ = _Object


class _Native(CFuncPtr):
    """Native code of ours: the GIL is released, the result is an unsigned word."""

    _flags_ = _CDECL
    _restype_ = _Word


class _Callback(CFuncPtr):
    """A Python function of no arguments as a C function that returns an int. It takes the GIL when it is called."""

    _flags_ = _CDECL
    _argtypes_ = ()
    _restype_ = _Int


# RTLD_NOW; None is what the interpreter itself is linked with, which typeshed does not know.
_libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]


def _function(kind: type[CFuncPtr], name: str, *arguments: type[Simple]) -> Callable[..., Any]:
    made = kind(_ctypes.dlsym(_libc, name))
    made.argtypes = arguments
    return made


_mmap = _function(_Call, "mmap", _Long, _Long, _Int, _Int, _Int, _Long)
_munmap = _function(_Call, "munmap", _Long, _Long)
_mprotect = _function(_Call, "mprotect", _Long, _Long, _Int)
_madvise = _function(_Call, "madvise", _Long, _Long, _Int)
_mremap = _function(_Call, "mremap", _Long, _Long, _Long, _Int, _Long)
_mincore = _function(_Call, "mincore", _Long, _Long, _Pointer)
_msync = _function(_Call, "msync", _Long, _Long, _Int)
_syscall = _function(_Call, "syscall", *[_Long] * 7)
_readv = _function(_Call, "process_vm_readv", _Long, _Pointer, _Long, _Pointer, _Long, _Long)
_writev = _function(_Call, "process_vm_writev", _Long, _Pointer, _Long, _Pointer, _Long, _Long)
_memset = _function(_Quick, "memset", _Long, _Int, _Long)
_memcpy = _function(_Quick, "memcpy", _Long, _Pointer, _Long)
_bytes_at = _function(_Make, "PyBytes_FromStringAndSize", _Pointer, _Long)
_view_at = _function(_Make, "PyMemoryView_FromMemory", _Pointer, _Long, _Int)
_bytes_address = _function(_Quick, "PyBytes_AsString", _Object)
_errno = _ctypes.get_errno


def mmap(address: int, size: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    """Map memory; the address, or a negative errno."""
    result: int = _mmap(address, size, prot, flags, fd, offset)
    return result if result != -1 else -_errno()


def munmap(address: int, size: int) -> int:
    """Unmap memory; 0 or a negative errno."""
    return -_errno() if _munmap(address, size) else 0


def mprotect(address: int, size: int, prot: int) -> int:
    """Change the protection of whole pages; 0 or a negative errno."""
    return -_errno() if _mprotect(address, size, prot) else 0


def madvise(address: int, size: int, advice: int) -> int:
    """Advise the host about whole pages; 0 or a negative errno."""
    return -_errno() if _madvise(address, size, advice) else 0


def mremap(address: int, size: int, new_size: int, flags: int, new_address: int = 0) -> int:
    """Resize or move a mapping; its address, or a negative errno."""
    result: int = _mremap(address, size, new_size, flags, new_address)
    return result if result != -1 else -_errno()


def mapped(address: int, size: int) -> bool:
    """Whether every page of a range is mapped, however protected."""
    return not _msync(address, size, MS_ASYNC)


def resident(address: int, size: int) -> bytes:
    """For each page of a mapped range, whether it takes memory: a byte each, its lowest bit. Empty when unknown."""
    pages = -(-size // PAGE_SIZE)
    answer: bytes = _bytes_at(None, pages)  # uninitialised, and nobody else's yet
    return answer if pages and not _mincore(address, size, _bytes_address(answer)) else b""


def syscall(number: int, *arguments: int) -> int:
    """A raw system call with up to six integer arguments; its result, or a negative errno."""
    result: int = _syscall(number, *arguments, *(0,) * (6 - len(arguments)))
    return result if result != -1 else -_errno()


def native(address: int, nargs: int) -> Callable[..., int]:
    """The native function at a host address: nargs words in, one word out, the GIL released meanwhile."""
    made = _Native(address)
    made.argtypes = [_Long] * nargs
    return made


def callback(function: Callable[[], int]) -> tuple[int, object]:
    """A host address at which native code can call a function, and what to keep as long. It must not raise."""
    made = _Callback(function)
    return int.from_bytes(peek(_ctypes.addressof(made), 8), "little"), made


def symbol(name: str) -> int:
    """The host address of a function that the interpreter is linked with (libc's among them)."""
    return _ctypes.dlsym(_libc, name)


def peek(address: int, size: int) -> bytes:
    """A copy of host memory that is ours and readable."""
    result: bytes = _bytes_at(address, size)
    return result


def poke(address: int, data: bytes) -> None:
    """Copy bytes into host memory that is ours and writable."""
    _memcpy(address, data, len(data))


def fill(address: int, value: int, size: int) -> None:
    """Set every byte of host memory that is ours and writable."""
    _memset(address, value, size)


def view(address: int, size: int, writable: bool = True) -> memoryview:
    """Host memory as a memoryview, without a copy. It does not keep the memory mapped."""
    result: memoryview = _view_at(address, size, _BUFFER_WRITE if writable else _BUFFER_READ)
    return result


def safe_read(address: int, size: int) -> bytes:
    """A copy of host memory that may be unmapped, protected, or past its file's end: what can be had."""
    result: bytes = _bytes_at(None, size)  # uninitialised, and nobody else's yet
    done = _vm_copy(_readv, _bytes_address(result), address, size)
    return result if done == size else result[:done]


def read_unreadable(address: int, size: int) -> bytes:
    """A copy of host memory that may be protected from reading: what can be had. Slow, since only a file offers it."""
    try:
        fd = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, size, address)
    except OSError:  # not mapped, past its file's end, or forbidden by the kernel's proc_mem.force_override
        return b""
    finally:
        os.close(fd)


def safe_write(address: int, data: bytes) -> int:
    """Copy bytes into host memory that may be unmapped or protected; the number of bytes copied."""
    return _vm_copy(_writev, _bytes_address(data), address, len(data))


def _vm_copy(call: Callable[..., int], ours: int, theirs: int, size: int) -> int:
    """Copy between us and us, by the one call that answers EFAULT where a load would be a signal."""
    done = 0
    while done < size:
        part = min(size - done, _COPY_MAX)
        count = call(os.getpid(), pack("QQ", ours + done, part), 1, pack("QQ", theirs + done, part), 1, 0)
        if count <= 0:
            number = _errno()
            if count < 0 and number != errno.EFAULT:
                name = errno.errorcode.get(number, number)
                raise PolyvmError(
                    "PVM-HOST-UNSUPPORTED",
                    "The host forbids process_vm_readv and process_vm_writev on this very process.",
                    hint="Allow both system calls in the container's seccomp profile.",
                    errno=name,
                )
            break
        done += count
    return done


def check_host() -> None:
    """Refuse hosts that this module's numbers are not for."""
    if sys.platform != "linux" or sys.maxsize < 1 << 62:
        raise PolyvmError(
            "PVM-HOST-UNSUPPORTED",
            f"Guest memory needs a 64-bit Linux host, and this one is {sys.platform}.",
            hint="Run it on Linux on x86-64 or arm64.",
        )
