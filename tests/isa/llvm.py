"""LLVM as a judge of our texts: its assembler, as zig brings it, and its disassembler, where that is installed."""

from __future__ import annotations

import ctypes
import re
import struct
import subprocess
import sys
from pathlib import Path

PLACES = ("/usr/lib/*/libLLVM-*.so*", "/usr/lib/*/libLLVM.so*", "/usr/lib/llvm-*/lib/libLLVM*.so*")
"""Where Debian's packages libllvmN have the library."""
FEATURES = (
    "v8.8a", "aes", "sha2", "sha3", "sm4", "fullfp16", "fp16fml", "bf16", "i8mm", "mte", "ls64", "brbe", "tme", "rand",
    "hbc", "mops", "ssbs", "predres", "sve2", "sme", "lor", "pauth",
)  # fmt: skip
"""What LLVM is told that a processor has: more than we do, so that it also knows what we refuse."""


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


def library() -> Path | None:
    """The newest LLVM of this machine, or None."""
    found = {path.resolve() for place in PLACES for path in Path("/").glob(place[1:])}
    return max(found, key=_version, default=None)


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.name)) or (0,)


class Disassembler:
    """LLVM's disassembler of A64. Raises OSError where the library is none."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        for part in ("TargetInfo", "TargetMC", "Disassembler"):
            library[f"LLVMInitializeAArch64{part}"]()
        create = library.LLVMCreateDisasmCPUFeatures
        create.restype = ctypes.c_void_p
        create.argtypes = [*[ctypes.c_char_p] * 3, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 2]
        features = ",".join(f"+{name}" for name in FEATURES).encode()
        self.name = f"LLVM {_version(path)[0]}"
        self._place = create(b"aarch64-linux-gnu", b"generic", features, None, 0, None, None)
        assert self._place, f"{path} knows no AArch64"
        self._one = library.LLVMDisasmInstruction
        self._one.restype = ctypes.c_size_t
        self._one.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            *[ctypes.c_uint64] * 2,
            ctypes.c_char_p,
            ctypes.c_size_t,
        ]
        self._text = ctypes.create_string_buffer(256)

    def text(self, word: int) -> str | None:
        """The instruction's text at address 0, or None where it is none."""
        if not self._one(self._place, word.to_bytes(4, "little"), 4, 0, self._text, len(self._text)):
            return None
        return " ".join(self._text.value.decode().partition("//")[0].split())
