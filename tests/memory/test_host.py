"""The thin layer over libc: errors as numbers, bytes at addresses, and copies that survive bad ones."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from polyvm.errors import PolyvmError
from polyvm.memory import host


@pytest.fixture
def page() -> Iterator[int]:
    address = host.mmap(0, 2 * host.PAGE_SIZE, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    assert address > 0
    yield address
    assert host.munmap(address, 2 * host.PAGE_SIZE) == 0


def test_failures_are_negative_numbers(page: int) -> None:
    assert host.mmap(0, 1 << 62, 3, host.MAP_PRIVATE | host.MAP_ANONYMOUS) == -errno.ENOMEM
    assert host.mmap(0, 4096, 3, host.MAP_PRIVATE, 9999) == -errno.EBADF
    assert host.munmap(1, 4096) == -errno.EINVAL
    assert host.mprotect(page + 1, 4096, 1) == -errno.EINVAL
    assert host.madvise(page, 4096, 9999) == -errno.EINVAL
    assert host.mremap(page, 4096, 4096, 99) == -errno.EINVAL
    assert host.syscall(9999) == -errno.ENOSYS


def test_syscalls_take_whole_words(page: int) -> None:
    numbers = {"x86_64": (39, 0), "aarch64": (172, 63)}
    getpid, read = numbers[os.uname().machine]
    assert host.syscall(getpid) == os.getpid()
    ours, theirs = os.pipe()
    os.write(theirs, b"through")
    assert host.syscall(read, ours, page, 100) == 7
    assert host.peek(page, 7) == b"through"
    assert host.syscall(read, ours, 1 << 63, 100) == -errno.EFAULT
    os.close(ours)
    os.close(theirs)


def test_bytes_at_addresses(page: int) -> None:
    host.poke(page, b"hello\0world")
    assert host.peek(page, 11) == b"hello\0world"
    host.fill(page, 0x41, 3)
    assert host.peek(page, 5) == b"AAAlo"
    seen = host.view(page, 5)
    seen[:2] = b"BB"
    assert host.peek(page, 3) == b"BBA"
    fixed = host.view(page, 5, writable=False)
    with pytest.raises(TypeError):
        fixed[0] = 1


def test_native_functions() -> None:
    labs = host.native(host.symbol("labs"), 1)
    assert labs(-(1 << 40)) == 1 << 40
    assert host.native(host.symbol("getpid"), 0)() == os.getpid()


def test_safe_copies_stop_where_memory_stops(page: int) -> None:
    size = host.PAGE_SIZE
    host.poke(page, b"x" * 2 * size)
    assert host.safe_read(page, 2 * size) == b"x" * 2 * size
    assert host.mprotect(page + size, size, host.PROT_NONE) == 0
    assert host.safe_read(page, 2 * size) == b"x" * size
    assert host.safe_read(page + size, 1) == b""
    assert host.safe_read(page, 0) == b""
    assert host.safe_write(page + size - 2, b"yyyy") == 2
    assert host.safe_write(page + size, b"y") == 0
    assert host.peek(page + size - 3, 3) == b"xyy"
    assert host.safe_read(8, 8) == b""
    assert host.safe_write((1 << 64) - 8, b"y") == 0


def test_safe_copies_in_parts(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_COPY_MAX", 1000)
    data = bytes(range(256)) * 20
    assert host.safe_write(page, data) == len(data)
    assert host.safe_read(page, len(data)) == data


def test_a_host_that_forbids_the_copy_is_refused(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_readv", lambda *_: -1)
    monkeypatch.setattr(host, "_errno", lambda: errno.EPERM)
    with pytest.raises(PolyvmError) as error:
        host.safe_read(page, 1)
    assert error.value.code == "PVM-HOST-UNSUPPORTED"
    assert "seccomp" in str(error.value.hint)


def test_only_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    host.check_host()
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(PolyvmError, match="plan9"):
        host.check_host()


def test_importing_costs_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import polyvm.memory.space; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    allowed = {"__future__", "_ctypes", "_struct", "_bisect", "errno", "polyvm"}
    assert {name for name in done.stdout.split() if not name.startswith("polyvm.")} <= allowed
