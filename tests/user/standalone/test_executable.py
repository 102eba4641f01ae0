"""Executables of the host, judged by the kernel that runs them, by readelf, and by our own reader of ELF files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polyvm.errors import PolyvmError
from polyvm.user import elf
from polyvm.user.standalone import executable
from polyvm.user.standalone.executable import EXEC, READ, WRITE, Segment

# mov $0x700000, %eax; incb 3(%rax); movzbl 3(%rax), %edi; mov $231, %eax (exit_group); syscall
CODE = bytes.fromhex("b800007000 fe4003 0fb67803 b8e7000000 0f05")
SEGMENTS = [Segment(0x700000, READ | WRITE, b"abc", 0x3000), Segment(0x500000, READ | EXEC, CODE)]


def test_the_kernel_runs_it(tmp_path: Path) -> None:
    """Bytes where they belong, zeros behind them, and they can be written."""
    program = tmp_path / "program"
    program.write_bytes(executable.write(SEGMENTS, 0x500000))
    program.chmod(0o755)
    assert subprocess.run([program], check=False).returncode == 1


def test_readers_agree(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(executable.write(SEGMENTS, 0x500000))
    fd = os.open(program, os.O_RDONLY)
    found = elf.parse(fd, bytes(program), executable.EM_X86_64)
    os.close(fd)
    assert found.entry == 0x500000
    assert [(one.address, one.filesz, one.memsz) for one in found.segments] == [
        (0x500000, len(CODE), len(CODE)), (0x700000, 3, 0x3000),
    ]  # fmt: skip
    if shutil.which("readelf"):
        done = subprocess.run(["readelf", "-hlW", program], capture_output=True, text=True, check=True)
        assert "EXEC (Executable file)" in done.stdout
        assert "warning" not in done.stderr.lower()


@pytest.mark.parametrize("address", [0x500000 + 1, 0x500000])
def test_segments_that_cannot_be_loaded(address: int) -> None:
    with pytest.raises(PolyvmError) as caught:
        executable.write([Segment(0x500000, READ, b"x"), Segment(address, READ, b"y")], 0x500000)
    assert caught.value.code == "PVM-INTERNAL"
