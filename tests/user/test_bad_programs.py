"""Files that are no programs, and programs that do what they should not: one clear error, or the guest's own end.

Everything goes through `polyvm run` in a process of its own: never a traceback, never a hang, never a crash of ours.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import require_c
from tests.toolchain import build
from tests.user.elfs import PT_INTERP, R, W, X, elf, phdr, pie, static, write
from tests.user.running import PROGRAMS, TIERS, polyvm

SECONDS = 20  # each takes a fraction of one; what hangs takes for ever
HUGE = 1 << 60

# ------------------------------------------------------------------------------------------------ files
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "PVM-ELF-INVALID"),
    "one byte": (b"\x7f", "PVM-ELF-TRUNCATED"),
    "the magic alone": (b"\x7fELF", "PVM-ELF-TRUNCATED"),
    "half a header": (static()[:40], "PVM-ELF-TRUNCATED"),
    "half the program headers": (static()[:90], "PVM-ELF-TRUNCATED"),
    "half the text": (static()[:0x1000], "PVM-ELF-TRUNCATED"),
    "text": (b"hello\n", "PVM-ELF-INVALID"),
    "a script for this machine's programs": (b"#!/bin/sh\n", "PVM-ELF-MACHINE"),
    "32 bits": (static(ei_class=1), "PVM-ELF-CLASS"),
    "big-endian": (static(ei_data=2), "PVM-ELF-ENDIAN"),
    "loongarch64": (static(machine=258), "PVM-ELF-MACHINE"),
    "an object file": (static(type=1), "PVM-ELF-INVALID"),
    "no program headers": (static(phnum=0), "PVM-ELF-INVALID"),
    "65535 program headers": (static(phnum=0xFFFF), "PVM-ELF-INVALID"),
    "program headers far away": (static(phoff=1 << 63), "PVM-ELF-TRUNCATED"),
    "a segment of 2^60 bytes": (elf([phdr(filesz=HUGE)]), "PVM-ELF-TRUNCATED"),
    "memory of 2^60 bytes": (elf([phdr(memsz=HUGE)]), "PVM-ELF-INVALID"),
    "memory of 2^38 bytes": (elf([phdr(memsz=1 << 38)]), "PVM-ELF-INVALID"),
    "at address 0": (elf([phdr(address=0)], entry=0x100), "PVM-ELF-INVALID"),
    "at address 2^62": (elf([phdr(address=1 << 62)], entry=1 << 62), "PVM-ELF-INVALID"),
    "an entry outside": (static(entry=1 << 50), "PVM-ELF-INVALID"),
    "no dynamic linker": (pie(b"/no/such/linker"), "PVM-ELF-INTERP"),
    "a directory as dynamic linker": (pie(b"/"), "PVM-ELF-INTERP"),
    "a device as dynamic linker": (pie(b"/dev/zero"), "PVM-ELF-INTERP"),
    "a linker of this machine": (pie(sys.executable.encode()), "PVM-ELF-INTERP"),
    "a linker's name that does not end": (
        elf([phdr(), phdr(PT_INTERP, R, 0x600, 0, 4, align=1)], data={0x600: b"/lib"}), "PVM-ELF-INVALID",
    ),
}  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], code: str, status: int) -> None:
    """One error, told once, and nothing else."""
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count(code + ":") == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 8


@pytest.mark.parametrize("what", FILES)
def test_files_that_are_no_programs(what: str, tmp_path: Path) -> None:
    data, code = FILES[what]
    refused(polyvm(write(tmp_path, data), timeout=SECONDS), code, 126)


def test_errors_for_programs_are_documents(tmp_path: Path) -> None:
    done = polyvm("--json", write(tmp_path, static(machine=258)), timeout=SECONDS)
    document = json.loads(done.stderr)
    assert (done.returncode, document["schema"], document["code"]) == (
        126,
        "polyvm.error/1",
        "PVM-ELF-MACHINE",
    )
    assert document["context"]["path"] == str(tmp_path / "program")


def test_names_that_are_no_files(tmp_path: Path) -> None:
    refused(polyvm(tmp_path, timeout=SECONDS), "PVM-FILE-DIRECTORY", 126)
    refused(polyvm(tmp_path / "missing", timeout=SECONDS), "PVM-FILE-MISSING", 127)
    refused(polyvm(tmp_path / "missing" / "deeper", timeout=SECONDS), "PVM-FILE-MISSING", 127)
    refused(polyvm(write(tmp_path, static()) / "deeper", timeout=SECONDS), "PVM-FILE-MISSING", 127)
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert polyvm(loop, timeout=SECONDS).returncode == 126
    assert polyvm("/" + "x" * 300, timeout=SECONDS).returncode == 126
    assert polyvm("x/" * 3000, timeout=SECONDS).returncode == 126
    assert polyvm(b"/\xff\xfe", timeout=SECONDS).returncode == 127
    assert polyvm("", timeout=SECONDS).returncode in (125, 127)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # nobody will ever write to it
    name = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(name))
        for path in (fifo, name, "/dev/null", "/dev/zero", "/proc/self/mem"):
            done = polyvm(path, timeout=SECONDS)
            assert done.returncode == 126
            assert "Traceback" not in done.stderr


def test_scripts(tmp_path: Path) -> None:
    """As with execve, a script's interpreter is what is run; it may be a program of the guest."""
    echo = build("args.c")
    done = polyvm(write(tmp_path, f"#!{echo} one argument\n".encode(), "script"), "last", timeout=SECONDS)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:5] == [
        "argc 4", f"argv[0] {echo}", "argv[1] one argument", f"argv[2] {tmp_path}/script", "argv[3] last",
    ]  # fmt: skip
    refused(polyvm(write(tmp_path, b"#!/no/such\n"), timeout=SECONDS), "PVM-FILE-MISSING", 127)
    refused(
        polyvm(write(tmp_path, b"#!" + bytes(tmp_path / "program") + b"\n"), timeout=SECONDS),
        "PVM-FILE-IO",
        126,
    )


def test_what_may_not_be_executed(tmp_path: Path) -> None:
    refused(polyvm(write(tmp_path, static(), mode=0o644), timeout=SECONDS), "PVM-FILE-DENIED", 126)


# ------------------------------------------------------------------------------------------------ programs by hand
def program(folder: Path, code: bytes, **fields: int) -> Path:
    """A program that is only these instructions, on the last bytes of its page."""
    start = 0x1000 - len(code)
    return write(
        folder,
        elf([phdr(flags=R | X)], size=0x1000, data={start: code}, **{"entry": 0x10000 + start, **fields}),
    )


@pytest.mark.parametrize("tier", ["golden", "interpreter", "baseline", "region", "auto"])
@pytest.mark.parametrize(
    ("code", "end"),
    [
        (b"", signal.SIGSEGV),  # the entry is the first byte behind the page
        (b"\x13\0\0\0", signal.SIGSEGV),  # nop, and then nothing
        (b"\x13\0", signal.SIGSEGV),  # half an instruction
        (b"\0\0", signal.SIGILL),
        (b"\0\0\0\0", signal.SIGILL),
        (b"\xff" * 8, signal.SIGILL),
        (b"\x02\x90", signal.SIGTRAP),  # c.ebreak
        (b"\x93\x08\xd0\x05\x73\0\0\0", 0),  # li a7, 93; ecall: the page's last instruction is the program's
    ],
)
def test_the_end_of_a_page(code: bytes, end: int, tier: str, tmp_path: Path) -> None:
    done = polyvm("--tier", tier, program(tmp_path, code), timeout=SECONDS)
    assert done.returncode == -end
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"entry": 0x12900}, signal.SIGSEGV),  # in data that may not be executed
        ({"entry": 0x20000}, signal.SIGSEGV),  # where nothing is
        ({"entry": 0}, signal.SIGSEGV),
        ({"entry": 0x10101}, None),  # odd
        ({"entry": (1 << 38) - 2}, signal.SIGSEGV),
    ],
)
def test_entries(fields: dict[str, int], end: int | None, tmp_path: Path) -> None:
    done = polyvm(write(tmp_path, static(**fields)), timeout=SECONDS)
    assert done.returncode < 0 if end is None else done.returncode == -end
    assert "Traceback" not in done.stderr


def test_text_that_may_be_written(tmp_path: Path) -> None:
    """A page that is data and code at once is no trouble: li a7, 93; li a0, 3; ecall."""
    code = bytes.fromhex("9308d005 13053000 73000000".replace(" ", ""))
    path = write(tmp_path, elf([phdr(flags=R | W | X)], size=0x1000, data={0x100: code}))
    assert polyvm(path, timeout=SECONDS).returncode == 3


# ------------------------------------------------------------------------------------------------ programs in C
SEGV, ILL, TRAP, BUS, ABRT, KILL = (
    -signal.SIGSEGV, -signal.SIGILL, -signal.SIGTRAP, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGKILL
)  # fmt: skip
BAD = {
    "jump to zero": SEGV,
    "jump to a wild address": SEGV,
    "jump behind the space": SEGV,
    "jump to -2": SEGV,
    "execute data": SEGV,
    "execute the stack": SEGV,
    "execute zeros": ILL,
    "half an instruction at the end of a page": SEGV,
    "unknown instruction": ILL,
    "unknown compressed instruction": ILL,
    "all ones": ILL,
    "privileged instruction": ILL,
    "unknown control register": ILL,
    "write to a counter": ILL,
    "vector instruction": ILL,
    "reserved rounding mode": ILL,
    "breakpoint": TRAP,
    "overflow the stack": SEGV,
    "overflow the stack with a handler on it": SEGV,
    "overflow the stack with a handler elsewhere": signal.SIGSEGV,
    "a handler that faults": SEGV,
    "a handler that faults for ever": SEGV,
    "a handler on an alternate stack that faults for ever": SEGV,
    "a handler that is not there": SEGV,
    "a handler that is data": SEGV,
    "an ignored fault": SEGV,
    "a blocked fault": SEGV,
    "a stack pointer of zero": SEGV,
    "a stack pointer of 2^63": SEGV,
    "a stack in the text": SEGV,
    "a signal without a stack": SEGV,
    "return from no signal": SEGV,
    "return from a signal with a bad frame": SEGV,
    "return from a signal without a stack": SEGV,
    "unmap everything": SEGV,
    "unmap its own text": SEGV,
    "unmap its own stack": SEGV,
    "hide its own text": SEGV,
    "write to its text": SEGV,
    "past the end of a file": BUS,
    "a file that became shorter": BUS,
    "all memory": SEGV,
    "all memory by mapping": ABRT,
    "all memory by brk": ABRT,
    "all descriptors": errno.EMFILE,
    "close everything": errno.EBADF,
    "a fault in a thread": SEGV,
    "memory that another thread takes away": SEGV,
    "too much processor time": -signal.SIGXCPU,
    "too long a file": -signal.SIGXFSZ,
    "an ignored breakpoint": TRAP,
    "abort with a handler": ABRT,
    "stop and be killed": KILL,
    "a system call that nobody knows": errno.ENOSYS,
    "a system call of all ones": errno.ENOSYS,
    "a thread on no stack": SEGV,
    "two processes on one memory": errno.EINVAL,
}


# Instructions of aarch64 begin at multiples of four, and nowhere else.
ALIGNED = {"jump to -2": BUS, "half an instruction at the end of a page": BUS}


def bad(guest: str = "riscv64") -> Path:
    require_c(guest)
    return build(PROGRAMS / "bad.c", guest, flags=("-Wno-infinite-recursion", "-Wno-unused-result"))


def test_every_kind_is_here() -> None:
    assert polyvm(bad()).stdout.splitlines() == list(BAD)


@pytest.mark.parametrize(("machine", "tier"), [*(("riscv64", tier) for tier in TIERS), ("aarch64", "auto")])
@pytest.mark.parametrize("kind", BAD)
def test_programs_that_do_what_they_should_not(kind: str, machine: str, tier: str) -> None:
    done = polyvm("--tier", tier, "--memory", "64M", bad(machine), kind, timeout=SECONDS * 2)
    assert done.returncode == (BAD if machine == "riscv64" else BAD | ALIGNED)[kind]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "PVM-" not in done.stderr


def test_the_crash_report_of_a_fault() -> None:
    done = polyvm(bad(), "jump to zero")
    first, *rest = done.stderr.splitlines()
    assert first == "polyvm: the riscv64 program was killed by SIGSEGV: a jump to 0x0, which is not mapped"
    assert any("sp" in line for line in rest)


@pytest.mark.parametrize("tier", TIERS)
def test_hostile_pointers_in_every_call(tier: str, guest: str) -> None:
    program = build(PROGRAMS / "hostile.c", guest, flags=("-Wno-unused-result",))
    done = polyvm("--tier", tier, program)
    assert (done.returncode, done.stderr) == (0, "")
    calls, _, rest = done.stdout.partition(" ")
    assert int(calls) > 1500
    assert rest == "calls, 0 went wrong\n"


def test_memory_is_never_more_than_was_allowed(tmp_path: Path) -> None:
    """Resident memory of a program that takes all it gets of 32 MiB: that, and what polyvm itself needs."""
    file = tmp_path / "result.json"
    done = polyvm("--memory", "32M", "--result-file", file, bad(), "all memory by mapping")
    assert done.returncode == -signal.SIGABRT
    assert json.loads(file.read_text())["max_rss"] < 150 << 20


def test_unknown_calls_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = polyvm("--result-file", file, bad(), "a system call that nobody knows")
    assert done.returncode == errno.ENOSYS
    document = json.loads(file.read_text())
    assert document["unknown_syscalls"] == {"9999": 1}
    assert document["syscalls"]["exit_group"]["count"] == 1


def test_a_timeout_ends_what_does_not_end() -> None:
    started = time.perf_counter()
    done = polyvm("--timeout", "0.5", build("loop.c"), "0")
    assert done.returncode == 124
    assert time.perf_counter() - started < SECONDS


def test_a_full_disk_is_the_guests_affair() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "polyvm", "run", "--quiet", build("hello.c")],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.stderr == b""


def test_few_descriptors() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    line = f"ulimit -n 24; exec {sys.executable} -m polyvm run --quiet {bad()} 'all descriptors'"
    assert subprocess.run([shell, "-c", line], check=False).returncode == errno.EMFILE
