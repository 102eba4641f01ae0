"""LLVM's assembler, as zig brings it: a judge of our texts."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path


def assembled(source: Path, *options: str) -> bytes:
    """The code that LLVM makes of an assembly file."""
    command = [sys.executable, "-m", "ziglang", "cc", *options, "-c", source.name]
    subprocess.run(command, cwd=source.parent, check=True, timeout=200)
    return section(source.with_suffix(".o").read_bytes(), b".text")


def section(file: bytes, name: bytes) -> bytes:
    """A section of a 64-bit ELF object."""
    (table,), (count, names) = struct.unpack_from("<Q", file, 40), struct.unpack_from("<HH", file, 60)
    headers = [struct.unpack_from("<IIQQQQ", file, table + 64 * i) for i in range(count)]
    for header in headers:
        start = headers[names][4] + header[0]
        if file[start : file.index(0, start)] == name:
            return file[header[4] : header[4] + header[5]]
    raise AssertionError(f"no section {name!r}")
