"""What every GPU back end offers: devices, and a driver for each context, as protocols and plain data.

A back end is one flat file and is imported when it is asked for. Handles are integers or the binding's own objects:
only the back end that made one looks into it. Errors are PolyvmErrors that carry the API's own code (`api_error`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from polyvm.errors import PolyvmError

BACKENDS = ("host", "opencl", "cuda")
"""Those that exist, the best for somebody without a GPU first."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device. uuid names it for ever; sizes in bytes; what is not known is None."""

    uuid: str
    name: str
    backend: str
    pci: str | None = None
    memory_bytes: int | None = None
    memory_free: int | None = None
    compute_units: int | None = None
    capability: str | None = None
    verified_on_hardware: bool = False
    max_threads: int = 1024
    max_block: tuple[int, int, int] = (1024, 1024, 64)
    max_grid: tuple[int, int, int] = ((1 << 31) - 1, 65535, 65535)
    max_shared: int = 48 << 10


@dataclass(frozen=True, slots=True)
class Parameter:
    """A kernel's parameter: its place among the packed ones, bytes, and "int", "float", "pointer" or "struct"."""

    offset: int
    size: int
    kind: str


@dataclass(slots=True)
class Code:
    """What a compiler made: "ptx" text, OpenCL C, a binary; and what it said."""

    kind: str
    data: bytes
    log: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A program to compile. headers: name -> text, found by #include."""

    text: str
    language: str
    name: str = "kernel.cu"
    options: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """How a kernel is started: blocks, threads of a block, and bytes of dynamic shared memory."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int = 0


class Driver(Protocol):
    """A context on one device."""

    @property
    def info(self) -> DeviceInfo:
        """The device."""

    @property
    def languages(self) -> tuple[str, ...]:
        """What it compiles, the usual one first."""

    def allocate(self, size: int, kind: str) -> Any:
        """Memory: "device", "pinned", "managed" or "mapped"."""

    def limit(self, memory: Any, size: int) -> None:
        """Kernels may touch only so many bytes of it, where that can be checked."""

    def release(self, memory: Any) -> None:
        """Give it back."""

    def address(self, memory: Any) -> int | None:
        """Where a kernel sees it, where that is a number."""

    def register(self, address: int, size: int, owner: object) -> Any:
        """Host pages as device memory, without a copy where that is possible."""

    def view(self, memory: Any) -> memoryview | None:
        """The memory as the host sees it, where it does."""

    def write(self, to: Any, offset: int, data: memoryview, stream: Any) -> None:
        """From the host; may return before it is done, `data` must stay."""

    def read(self, data: memoryview, source: Any, offset: int, stream: Any) -> None:
        """To the host, likewise."""

    def copy(self, to: Any, to_offset: int, source: Any, offset: int, shape: Copy, stream: Any) -> None:
        """On the device, in one to three dimensions."""

    def fill(self, to: Any, offset: int, pattern: bytes, size: int, stream: Any) -> None:
        """A pattern of 1, 2, 4 or 8 bytes, over and over."""

    def stream(self) -> Any:
        """A queue of its own."""

    def drop_stream(self, stream: Any) -> None:
        """Forget it, when it is done."""

    def synchronize(self, stream: Any) -> None:
        """Wait, and raise what went wrong."""

    def query(self, stream: Any) -> bool:
        """Whether everything is done."""

    def record(self, stream: Any) -> Any:
        """An event at this point."""

    def wait(self, stream: Any, event: Any) -> None:
        """The stream goes on when the event was reached."""

    def reached(self, event: Any) -> bool:
        """Whether it was."""

    def elapsed(self, begin: Any, end: Any) -> float:
        """Seconds between two events that were reached."""

    def compile(self, source: Source) -> Code:
        """Raises PVM-GPU-COMPILE with the compiler's log."""

    def load(self, code: Code) -> Any:
        """A module."""

    def unload(self, module: Any) -> None:
        """Forget it."""

    def kernel(self, module: Any, name: str) -> tuple[Any, tuple[Parameter, ...] | None]:
        """A kernel and its parameters, None where only the driver knows them."""

    def kernels(self, module: Any) -> list[str]:
        """Their names."""

    def launch(self, kernel: Any, how: Launch, arguments: Sequence[Any], stream: Any) -> None:
        """Start a kernel; arguments are bytes packed as the parameters say, or the binding's own objects."""

    def close(self) -> None:
        """End the context."""


class Backend(Protocol):
    """One kind of device."""

    name: str

    def devices(self) -> list[DeviceInfo]:
        """Those that are there."""

    def open(self, info: DeviceInfo) -> Driver:
        """A context on one of them."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of `planes` times `rows` times `size` bytes; distances of rows and planes on both sides."""

    size: int
    rows: int = 1
    planes: int = 1
    to_row: int = 0
    from_row: int = 0
    to_plane: int = 0
    from_plane: int = 0


@dataclass(slots=True)
class Statistics:
    """What a context has allocated."""

    bytes: int = 0
    peak: int = 0
    allocations: int = 0
    reused: int = 0
    cached: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


API_ERRORS = {
    "memory": {
        "cuda": "CUDA_ERROR_OUT_OF_MEMORY",
        "hip": "hipErrorOutOfMemory",
        "opencl": "CL_MEM_OBJECT_ALLOCATION_FAILURE",
    },
    "value": {
        "cuda": "CUDA_ERROR_INVALID_VALUE",
        "hip": "hipErrorInvalidValue",
        "opencl": "CL_INVALID_VALUE",
    },
    "handle": {
        "cuda": "CUDA_ERROR_INVALID_HANDLE",
        "hip": "hipErrorInvalidHandle",
        "opencl": "CL_INVALID_MEM_OBJECT",
    },
    "name": {"cuda": "CUDA_ERROR_NOT_FOUND", "hip": "hipErrorNotFound", "opencl": "CL_INVALID_KERNEL_NAME"},
    "source": {
        "cuda": "CUDA_ERROR_INVALID_SOURCE",
        "hip": "hipErrorInvalidSource",
        "opencl": "CL_BUILD_PROGRAM_FAILURE",
    },
    "ptx": {
        "cuda": "CUDA_ERROR_INVALID_PTX",
        "hip": "hipErrorInvalidKernelFile",
        "opencl": "CL_INVALID_BINARY",
    },
    "address": {
        "cuda": "CUDA_ERROR_ILLEGAL_ADDRESS",
        "hip": "hipErrorIllegalAddress",
        "opencl": "CL_OUT_OF_RESOURCES",
    },
    "instruction": {
        "cuda": "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "hip": "hipErrorLaunchFailure",
        "opencl": "CL_OUT_OF_RESOURCES",
    },
    "assert": {"cuda": "CUDA_ERROR_ASSERT", "hip": "hipErrorAssert", "opencl": "CL_OUT_OF_RESOURCES"},
    "launch": {
        "cuda": "CUDA_ERROR_LAUNCH_FAILED",
        "hip": "hipErrorLaunchFailure",
        "opencl": "CL_OUT_OF_RESOURCES",
    },
    "timeout": {
        "cuda": "CUDA_ERROR_LAUNCH_TIMEOUT",
        "hip": "hipErrorLaunchTimeOut",
        "opencl": "CL_OUT_OF_RESOURCES",
    },
    "device": {"cuda": "CUDA_ERROR_NO_DEVICE", "hip": "hipErrorNoDevice", "opencl": "CL_DEVICE_NOT_FOUND"},
    "lost": {
        "cuda": "CUDA_ERROR_SYSTEM_NOT_READY",
        "hip": "hipErrorContextIsDestroyed",
        "opencl": "CL_DEVICE_NOT_AVAILABLE",
    },
}
"""What each API calls a failure: for libraries through which guests speak these APIs."""

CODES = {
    "memory": "PVM-GPU-MEMORY", "ptx": "PVM-GPU-PTX", "source": "PVM-GPU-COMPILE", "timeout": "PVM-GPU-TIMEOUT",
    "device": "PVM-GPU-DEVICE", "lost": "PVM-GPU-DEVICE", "address": "PVM-GPU-FAULT", "instruction": "PVM-GPU-FAULT",
    "assert": "PVM-GPU-FAULT", "launch": "PVM-GPU-FAULT",
}  # fmt: skip


def failure(what: str, message: str, /, *, hint: str | None = None, **context: object) -> PolyvmError:
    """The error for one of API_ERRORS; its context has what each API calls it."""
    return PolyvmError(
        CODES.get(what, "PVM-GPU-ARGUMENT"), message, hint=hint, **context, api_error=dict(API_ERRORS[what])
    )


def load(name: str) -> Backend:
    """A back end by name. Raises PVM-EXTRA-MISSING where what it needs is not installed."""
    if name not in BACKENDS:
        raise PolyvmError(
            "PVM-USAGE", f"There is no GPU back end {name!r}.", hint=f"There is: {', '.join(BACKENDS)}."
        )
    module = __import__(f"polyvm.compute.{name}", fromlist=["backend"])
    made: Backend = module.backend()
    return made
