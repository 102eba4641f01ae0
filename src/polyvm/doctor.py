"""What this machine and this installation can do for polyvm: one check each, as data for a person and for a program.

A check says what it found and, where that is not good, what to do. Nothing is changed on the machine, nothing is
compiled, and what cannot be found out here (an accelerator of another operating system) is said so.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from polyvm.engine.guest import GUESTS, PLANNED
from polyvm.errors import PolyvmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PYTHON = (3, 11)
LLVMLITE = (0, 50)
# What tier 0's code is chosen by; without one, its instructions go through slower code or the golden evaluator.
FEATURES = {"avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "pclmulqdq": "PCLMUL", "bmi2": "BMI2"}
SYSROOTS = {name: (f"/usr/{name}-linux-gnu", f"gcc-{name}-linux-gnu") for name in GUESTS}
DISK_WANTED = 256 << 20
MEMORY_WANTED = 512 << 20


@dataclass(frozen=True)
class Check:
    """One finding. status: "ok", "warn", "fail" or "skip"."""

    id: str
    status: str
    summary: str
    hint: str | None = None
    verified_on_hardware: bool = False
    """Whether the thing itself was tried, rather than asked about."""


def examine() -> dict[str, Any]:
    """Everything, as the body of a polyvm.doctor/1 document."""
    host = {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "features": sorted(FEATURES[name] for name in FEATURES if name in _cpu_flags()),
        "python": platform.python_version(),
    }
    bits = address_bits()
    checks = [check for group in _CHECKS for check in group()]
    checks.insert(5, _address_check(bits))
    return {
        "ok": all(check.status != "fail" for check in checks),
        "checks": [asdict(check) for check in checks],
        "host": host,
        "accels": accelerators(),
        "guests": {name: {"user": name in GUESTS, "system": False} for name in (*GUESTS, *PLANNED)},
        "address_bits": bits,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "cache": _cache(),
    }


# ---------------------------------------------------------------------------------------------------- the host
def _python() -> Iterator[Check]:
    version = platform.python_version()
    if sys.version_info < PYTHON:
        yield Check("python", "fail", f"Python {version}", "Install Python 3.11 or newer.", True)
    elif sys.implementation.name != "cpython":
        yield Check("python", "fail", f"{sys.implementation.name} {version}", "Use CPython.", True)
    else:
        yield Check("python", "ok", f"CPython {version}", None, True)


def _system() -> Iterator[Check]:
    system, machine = platform.system(), platform.machine()
    if (system, machine) == ("Linux", "x86_64"):
        yield Check("host", "ok", f"Linux {platform.release()} on x86-64", None, True)
    else:
        hint = "Use Linux on x86-64; other hosts are planned."
        yield Check("host", "fail", f"{system} on {machine} has no native code yet", hint)


def _cpu() -> Iterator[Check]:
    flags = _cpu_flags()
    missing = [name for flag, name in FEATURES.items() if flag not in flags]
    if not flags:
        yield Check("cpu", "skip", "The processor's features cannot be read here", None)
    elif missing:
        hint = "Floating point and carry-less multiplication that need them run slower, and stay exact."
        yield Check("cpu", "warn", f"{_cpu_name()} lacks {', '.join(missing)}", hint)
    else:
        yield Check("cpu", "ok", f"{_cpu_name()}, with {', '.join(FEATURES.values())}", None)


def _page_size() -> Iterator[Check]:
    size = os.sysconf("SC_PAGE_SIZE")
    if size > 4096:
        hint = "Use a kernel with pages of 4 KiB."
        yield Check(
            "page-size", "fail", f"Pages of {size} bytes are larger than the guests' of 4096", hint, True
        )
    else:
        yield Check("page-size", "ok", f"Pages of {size} bytes", None, True)


def address_bits() -> int | None:
    """How many bits of addresses a guest gets on this host; None where none can be reserved."""
    try:
        from polyvm.memory.space import AddressSpace

        space = AddressSpace()
    except (PolyvmError, ImportError):
        return None
    bits = space.bits
    space.close()
    return bits


def _address_check(bits: int | None) -> Check:
    if bits is None:
        hint = "Raise the limit on address space (ulimit -v unlimited), and allow overcommit."
        return Check("address-space", "fail", "No room for a guest's address space", hint, True)
    if bits < 38:
        hint = "Raise the limit on address space (ulimit -v unlimited)."
        return Check(
            "address-space", "warn", f"Guests get {bits} bits of addresses instead of 38", hint, True
        )
    return Check("address-space", "ok", f"Guests get {bits} bits of addresses", None, True)


def _executable_memory() -> Iterator[Check]:
    """Whether memory that was written may be made executable: some hardened systems refuse it."""
    import mmap

    from polyvm.memory import host

    size = mmap.PAGESIZE
    at = host.mmap(0, size, host.PROT_READ | host.PROT_WRITE, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    error = host.mprotect(at, size, host.PROT_READ | host.PROT_EXEC) if at > 0 else at
    if at > 0:
        host.munmap(at, size)
    if error:
        hint = "A security module forbids it (SELinux: execmem). Allow it for Python."
        yield Check("executable-memory", "fail", "Generated code may not be made executable", hint, True)
    else:
        yield Check("executable-memory", "ok", "Generated code can be made executable", None, True)


def _process_memory() -> Iterator[Check]:
    from polyvm.memory import host

    at = host.mmap(0, 4096, host.PROT_READ, host.MAP_PRIVATE | host.MAP_ANONYMOUS)
    try:
        fine = len(host.safe_read(at, 8)) == 8
    except PolyvmError:
        fine = False
    host.munmap(at, 4096)
    if fine:
        yield Check("process-vm", "ok", "process_vm_readv works on this process", None, True)
    else:
        hint = "Allow process_vm_readv and process_vm_writev in the container's seccomp profile."
        yield Check("process-vm", "fail", "process_vm_readv is forbidden", hint, True)


def _memory() -> Iterator[Check]:
    try:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        yield Check("memory", "skip", "Free memory cannot be read here", None)
        return
    amount = f"{available / 2**30:.1f} GiB of memory free"
    low = available < MEMORY_WANTED
    yield Check("memory", "warn" if low else "ok", amount, "Compiling wants half a GiB." if low else None)


# ------------------------------------------------------------------------------------------------ the installation
def _llvmlite() -> Iterator[Check]:
    try:
        import llvmlite
        from llvmlite import binding
    except ImportError:
        yield Check("llvmlite", "fail", "llvmlite is not installed", "pip install llvmlite", True)
        return
    numbers = tuple(int(part) for part in llvmlite.__version__.split(".")[:2] if part.isdigit())
    llvm = ".".join(str(part) for part in binding.llvm_version_info)
    summary = f"llvmlite {llvmlite.__version__} with LLVM {llvm}"
    if numbers < LLVMLITE:
        wanted = ".".join(str(part) for part in LLVMLITE)
        yield Check("llvmlite", "fail", f"{summary} is too old", f"pip install 'llvmlite>={wanted}'", True)
    else:
        yield Check("llvmlite", "ok", summary, None, True)


def _cache_check() -> Iterator[Check]:
    from polyvm.engine import cachedir

    folder = cachedir.path()
    try:
        cachedir.check(folder)
    except FileNotFoundError:
        yield Check("cache", "ok", f"{folder} will be made by the first run", None)
        return
    except PolyvmError as error:
        yield Check("cache", "fail", error.message.rstrip("."), error.hint, True)
        return
    if not os.access(folder, os.W_OK):
        hint = "Name a folder that can be written with POLYVM_CACHE_DIR."
        yield Check("cache", "warn", f"{folder} cannot be written: every run compiles anew", hint, True)
        return
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    if room < DISK_WANTED:
        yield Check(
            "cache", "warn", f"{folder} has only {room >> 20} MiB of room", "polyvm cache prune", True
        )
    else:
        yield Check("cache", "ok", f"{folder}, {_bytes_in(folder) / 2**20:.1f} MiB", None, True)


def _cache() -> dict[str, Any]:
    from polyvm.engine import cachedir

    folder = cachedir.path()
    try:
        cachedir.check(folder)
    except FileNotFoundError:
        return {"path": folder, "bytes": 0, "trusted": True}
    except PolyvmError:
        return {"path": folder, "bytes": None, "trusted": False}
    return {"path": folder, "bytes": _bytes_in(folder), "trusted": True}


def _bytes_in(folder: str) -> int:
    from polyvm.engine import cachedir

    return cachedir.total(cachedir.entries(folder))


def _interpreter() -> Iterator[Check]:
    """Whether the guests' interpreters are compiled already, for this version on this CPU."""
    from polyvm.engine import cachedir, interpreter_image

    folder: str | None = cachedir.path()
    try:
        cachedir.check(cachedir.path())
    except (OSError, PolyvmError):
        folder = None
    for guest in GUESTS:
        name = f"tier0/{guest}-{interpreter_image.key(guest)}.pvi"
        there = folder is not None and os.path.exists(os.path.join(folder, name))
        how = "is compiled for this machine" if there else "will be compiled by the first run (some seconds)"
        yield Check(f"interpreter-{guest}", "ok", f"The {guest} interpreter {how}", None, there)


def _extras() -> Iterator[Check]:
    """Packages that add something; their absence is no fault."""
    from importlib.util import find_spec

    for name, what in (
        ("unicorn", "a peer of polyvm bench"),
        ("ziglang", "the compiler of polyvm bench's workloads"),
    ):
        if find_spec(name) is not None:
            yield Check(f"package-{name}", "ok", f"{name} is installed: {what}", None)
        else:
            yield Check(f"package-{name}", "skip", f"{name} is not installed: {what}", f"pip install {name}")


def _gpu() -> Iterator[Check]:
    """What polyvm gpu has besides the processor; its absence is no fault."""
    from importlib.util import find_spec

    from polyvm.compute import nvrtc

    for name, there, what, extra in (
        ("nvrtc", nvrtc.is_installed(), "compiles CUDA C for polyvm gpu", "cuda"),
        ("opencl", find_spec("pyopencl") is not None, "OpenCL's devices for polyvm gpu", "opencl"),
    ):
        if there:
            yield Check(f"gpu-{name}", "ok", f"{name} is installed: {what}", None)
        else:
            yield Check(
                f"gpu-{name}", "skip", f"{name} is not installed: {what}", f"pip install 'polyvm[{extra}]'"
            )


def _peers() -> Iterator[Check]:
    import shutil

    for guest in GUESTS:
        name = f"qemu-{guest}"
        found = shutil.which(name)
        if found:
            yield Check(f"peer-{name}", "ok", f"{found}: a peer of polyvm bench", None)
        else:
            hint = "On Debian and Ubuntu: apt install qemu-user"
            yield Check(f"peer-{name}", "skip", f"{name} is not installed: a peer of polyvm bench", hint)


def _sysroots() -> Iterator[Check]:
    named = os.environ.get("POLYVM_SYSROOT")
    if named:
        if os.path.isdir(named):
            yield Check("sysroot", "ok", f"$POLYVM_SYSROOT is {named}", None)
        else:
            yield Check(
                "sysroot",
                "fail",
                f"$POLYVM_SYSROOT is {named}, which is no folder",
                "Unset or correct it.",
                True,
            )
        return
    for guest, (folder, package) in SYSROOTS.items():
        if os.path.isdir(folder):
            yield Check(
                f"sysroot-{guest}",
                "ok",
                f"{folder} has the libraries of dynamic {guest} programs: --sysroot {folder}",
                None,
            )
        else:
            hint = f"On Debian and Ubuntu: apt install {package}"
            yield Check(
                f"sysroot-{guest}", "skip", f"No libraries for dynamic {guest} programs in {folder}", hint
            )


# ------------------------------------------------------------------------------------------------- accelerators
def accelerators() -> dict[str, dict[str, Any]]:
    """Who can execute guests here. jit runs every guest on every host; the others run the host's own kind."""
    from polyvm.accel import choice

    return {name: {"usable": usable, "reason": reason} for name, (usable, reason) in choice.survey().items()}


def _cpu_info() -> dict[str, str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read(16384)
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _cpu_name() -> str:
    return _cpu_info().get("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    return set(_cpu_info().get("flags", "").split())


_CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    _python,
    _system,
    _cpu,
    _memory,
    _page_size,
    _executable_memory,
    _process_memory,
    _llvmlite,
    _cache_check,
    _interpreter,
    _sysroots,
    _peers,
    _extras,
    _gpu,
)
