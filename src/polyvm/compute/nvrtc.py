"""NVRTC, NVIDIA's run-time compiler, through ctypes: CUDA C to PTX, without a GPU and without a driver.

The library comes from pip (nvidia-cuda-nvrtc, headers from nvidia-cuda-runtime, -crt and -cccl) or from an installed
toolkit. What was compiled once is kept on disk, unless its source includes files that we do not see. It refuses
nothing itself: what the compiler says becomes PVM-GPU-COMPILE with its log.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from hashlib import blake2b

from polyvm.compute.backend import Code, Source, failure
from polyvm.engine import cachedir, image
from polyvm.errors import PolyvmError

ARCHITECTURE = "compute_80"
"""What `host` compiles for: it has redux and cp.async, and later ones bring nothing that it could use."""
_FOLDERS = ("nvidia/cu13", "nvidia/cu12", "nvidia/cuda_nvrtc", "nvidia/cuda_runtime", "nvidia/cuda_cccl")


def _roots() -> list[str]:
    found = [os.path.join(path, folder) for path in sys.path for folder in _FOLDERS]
    found += [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda"]
    return [path for path in found if path and os.path.isdir(path)]


@cache
def library() -> tuple[ctypes.CDLL, tuple[str, ...], str]:
    """The library, where its headers are, and its version. Raises PVM-EXTRA-MISSING."""
    names = [
        os.path.join(root, sub, name)
        for root in _roots()
        for sub in ("lib", "lib64")
        for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")
    ]
    for name in [*filter(os.path.exists, names), "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]:
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        major, minor = ctypes.c_int(), ctypes.c_int()
        lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        lib.nvrtcGetErrorString.restype = ctypes.c_char_p
        include = [os.path.join(root, "include") for root in _roots()]
        include += [os.path.join(path, "cccl") for path in include]
        return lib, tuple(filter(os.path.isdir, include)), f"{major.value}.{minor.value}"
    raise PolyvmError(
        "PVM-EXTRA-MISSING",
        "CUDA C needs NVRTC, which is not installed.",
        hint="pip install 'polyvm[cuda]', or give PTX.",
        extra="cuda",
    )


def key(source: Source, options: tuple[str, ...], version: str) -> str | None:
    """The name in the cache, None where other files may matter."""
    if any(o.startswith(("-I", "--include-path", "-include", "--pre-include")) for o in source.options):
        return None
    digest = blake2b(digest_size=20)
    for part in (
        version,
        source.name,
        source.text,
        *options,
        *(text for pair in source.headers for text in pair),
    ):
        digest.update(len(part.encode()).to_bytes(8, "little") + part.encode())
    return f"gpu/{digest.hexdigest()}.pvi"


def kept(name: str | None) -> bytes | None:
    """What the cache has under a name: it is text, in the envelope of native images, checksum and all."""
    folder = cachedir.prepare() if name else None
    data = cachedir.read(folder, name) if folder and name else None
    if not data:
        return None
    try:
        found = image.load(data)
    except PolyvmError:
        return None
    text = found.meta
    found.unload()
    return text


def keep(name: str | None, text: bytes) -> None:
    """Put text into the cache."""
    folder = cachedir.prepare() if name else None
    if folder and name:
        cachedir.write(folder, name, image.pack(b"\0" * 16, {}, {}, text))


def compile(source: Source, architecture: str = ARCHITECTURE) -> Code:
    """PTX of CUDA C. Raises PVM-GPU-COMPILE, with the log and the first error's line, and PVM-EXTRA-MISSING."""
    prelude = _HIP if source.language == "hip" else ""
    options = (f"--gpu-architecture={architecture}", "-default-device", "-lineinfo", *source.options)
    lib_version = _version_cheaply()
    name = key(source, (*options, prelude), lib_version) if lib_version else None
    found = kept(name)
    if found is not None:
        return Code("ptx", found)
    lib, include, version = library()
    if name is None:
        name = key(source, (*options, prelude), version)
    program = ctypes.c_void_p()
    headers = [*source.headers]
    texts = (ctypes.c_char_p * max(1, len(headers)))(*(text.encode() for _, text in headers))
    names = (ctypes.c_char_p * max(1, len(headers)))(*(n.encode() for n, _ in headers))
    text = prelude + source.text
    if "\0" in text:
        raise failure("source", "A source with a zero byte in it.")
    _check(
        lib,
        lib.nvrtcCreateProgram(
            ctypes.byref(program), text.encode(), source.name.encode(), len(headers), texts, names
        ),
    )
    try:
        words = [*options, *(f"-I{path}" for path in include)]
        listed = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        status = lib.nvrtcCompileProgram(program, len(words), listed)
        log = _text(lib, program, "ProgramLog").decode(errors="replace")
        if status:
            raise _failed(lib, status, log, source, prelude.count("\n"))
        ptx = _text(lib, program, "PTX")
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))
    keep(name, ptx)
    return Code("ptx", ptx, log)


def is_installed() -> bool:
    """Whether pip or a toolkit has put NVRTC where it is looked for; it is not loaded."""
    return bool(_version_cheaply())


@cache
def _version_cheaply() -> str:
    """Which NVRTC there is, without loading its 100 MB: its file, and when that was written."""
    for root in _roots():
        for sub in ("lib", "lib64"):
            for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
                path = os.path.join(root, sub, name)
                if os.path.exists(path):
                    found = os.stat(path)
                    return f"{path} {found.st_size} {found.st_mtime_ns}"
    return ""


def _text(lib: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(lib, getattr(lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(max(1, size.value))
    _check(lib, getattr(lib, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw[: size.value].rstrip(b"\0")


def _check(lib: ctypes.CDLL, status: int) -> None:
    if status:
        raise failure("source", f"NVRTC failed: {lib.nvrtcGetErrorString(status).decode()}.")


def _failed(lib: ctypes.CDLL, status: int, log: str, source: Source, shift: int) -> PolyvmError:
    import re

    line = next(
        (m for m in re.finditer(r"^(.*?)\((\d+)\)(?::\d+)?: (?:catastrophic )?error[^:]*: (.*)$", log, re.M)),
        None,
    )
    first = line[3].strip() if line else lib.nvrtcGetErrorString(status).decode()
    hint = None
    if "cannot open source file" in log:
        hint = "Give the header with headers={name: text}, or its folder with an option -I."
    elif "unrecognized" in log or "invalid" in first:
        hint = "NVRTC knows the options of nvcc's front end."
    return failure(
        "source",
        f"The source does not compile: {first.rstrip('.')}.",
        hint=hint,
        file=line[1] if line else source.name,
        line=int(line[2]) - shift if line else None,
        log=log.strip()[:4000],
    )


_HIP = """\
#define __HIP_PLATFORM_NVIDIA__ 1
#define hipThreadIdx_x threadIdx.x
#define hipThreadIdx_y threadIdx.y
#define hipThreadIdx_z threadIdx.z
#define hipBlockIdx_x blockIdx.x
#define hipBlockIdx_y blockIdx.y
#define hipBlockIdx_z blockIdx.z
#define hipBlockDim_x blockDim.x
#define hipBlockDim_y blockDim.y
#define hipBlockDim_z blockDim.z
#define HIP_DYNAMIC_SHARED(type, name) extern __shared__ type name[];
"""
"""What HIP sources of the common subset say that CUDA does not know."""
