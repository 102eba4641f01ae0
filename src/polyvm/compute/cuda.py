"""The GPU back end `cuda`, on NVIDIA's own bindings (cuda-bindings): the driver API and NVRTC.

NVRTC compiles without a GPU; everything else needs one and its driver. Kernels cannot be stopped: the driver has its
own watchdog, or none. A fault is sticky, as the driver has it: the context is lost.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from polyvm.compute import nvrtc
from polyvm.compute.backend import API_ERRORS, Code, Copy, DeviceInfo, Launch, Parameter, Source, failure
from polyvm.compute.ptxcode import parameters_of
from polyvm.errors import PolyvmError


def _binding() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise PolyvmError(
            "PVM-EXTRA-MISSING", "The back end cuda needs cuda-bindings, which is not installed.",
            hint="pip install 'polyvm[cuda]'", extra="cuda",
        ) from error  # fmt: skip
    return driver


def backend() -> CudaBackend:
    """This back end. Raises PVM-EXTRA-MISSING."""
    return CudaBackend(_binding())


def did(cu: Any, answer: tuple[Any, ...]) -> Any:
    """What a call gave, without its status. Raises the API's error, by name."""
    status, *values = answer
    if int(status) != 0:
        name = getattr(status, "name", str(status))
        what = next((word for word, names in API_ERRORS.items() if names["cuda"] == name), None)
        message = f"The CUDA driver says {name}."
        if what is not None:
            raise failure(what, message)
        raise PolyvmError("PVM-GPU-API", message, api_error={"cuda": name})
    return values[0] if len(values) == 1 else tuple(values)


class CudaBackend:
    """NVIDIA's GPUs."""

    name = "cuda"

    def __init__(self, cu: Any) -> None:
        self.cu = cu

    def devices(self) -> list[DeviceInfo]:
        """Those that are there; none where there is no driver."""
        cu = self.cu
        try:
            did(cu, cu.cuInit(0))
            count = did(cu, cu.cuDeviceGetCount())
        except (RuntimeError, PolyvmError):
            return []  # the driver's library is not there, or has nothing to drive
        return [self._info(n) for n in range(count)]

    def _info(self, number: int) -> DeviceInfo:
        cu = self.cu
        device = did(cu, cu.cuDeviceGet(number))

        def attribute(name: str) -> int:
            return int(
                did(
                    cu,
                    cu.cuDeviceGetAttribute(
                        getattr(cu.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}"), device
                    ),
                )
            )

        raw = bytes(did(cu, cu.cuDeviceGetUuid(device)).bytes)
        digits = raw.hex()
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        name = did(cu, cu.cuDeviceGetName(128, device))
        pci = did(cu, cu.cuDeviceGetPCIBusId(32, device))
        return DeviceInfo(
            uuid=uuid, name=_string(name), backend="cuda", pci=_string(pci).lower(),
            memory_bytes=int(did(cu, cu.cuDeviceTotalMem(device))), compute_units=attribute("MULTIPROCESSOR_COUNT"),
            capability=f"{attribute('COMPUTE_CAPABILITY_MAJOR')}.{attribute('COMPUTE_CAPABILITY_MINOR')}",
            max_threads=attribute("MAX_THREADS_PER_BLOCK"),
            max_block=(attribute("MAX_BLOCK_DIM_X"), attribute("MAX_BLOCK_DIM_Y"), attribute("MAX_BLOCK_DIM_Z")),
            max_grid=(attribute("MAX_GRID_DIM_X"), attribute("MAX_GRID_DIM_Y"), attribute("MAX_GRID_DIM_Z")),
            max_shared=attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
        )  # fmt: skip

    def open(self, info: DeviceInfo) -> CudaDriver:
        """A context on one of them."""
        for number, found in enumerate(self.devices()):
            if found.uuid == info.uuid:
                return CudaDriver(self.cu, found, number)
        raise failure("lost", f"The device {info.name} is not there any more.", uuid=info.uuid)


class CudaDriver:
    """The device's primary context."""

    languages: tuple[str, ...] = ("cuda", "ptx", "hip")

    def __init__(self, cu: Any, info: DeviceInfo, number: int) -> None:
        self.cu, self.info = cu, info
        self.device = did(cu, cu.cuDeviceGet(number))
        self.context = did(cu, cu.cuDevicePrimaryCtxRetain(self.device))
        self._sizes: dict[int, tuple[int, str]] = {}

    def _did(self, name: str, *arguments: Any) -> Any:
        did(self.cu, self.cu.cuCtxSetCurrent(self.context))
        return did(self.cu, getattr(self.cu, name)(*arguments))

    def allocate(self, size: int, kind: str) -> int:
        """Device memory, or host memory that the device sees."""
        if kind == "device":
            at = int(self._did("cuMemAlloc", size))
        elif kind == "managed":
            at = int(
                self._did("cuMemAllocManaged", size, self.cu.CUmemAttach_flags.CU_MEM_ATTACH_GLOBAL.value)
            )
        else:
            at = int(self._did("cuMemHostAlloc", size, 3))  # portable, and mapped
        self._sizes[at] = size, kind
        return at

    def limit(self, memory: Any, size: int) -> None:
        """The driver does not check."""

    def release(self, memory: int) -> None:
        """Give it back."""
        _, kind = self._sizes.pop(memory)
        if kind == "registered":
            self._did("cuMemHostUnregister", memory)
        else:
            self._did("cuMemFree" if kind in ("device", "managed") else "cuMemFreeHost", memory)

    def address(self, memory: int) -> int:
        """Where it is: with unified addresses, the host's is the device's."""
        return memory

    def register(self, address: int, size: int, owner: object) -> int:
        """Host pages, pinned where they are."""
        self._did("cuMemHostRegister", address, size, 3)
        self._sizes[address] = size, "registered"
        return address

    def view(self, memory: int) -> memoryview | None:
        """The memory itself, where the host sees it."""
        size, kind = self._sizes[memory]
        if kind == "device":
            return None
        return memoryview((ctypes.c_char * size).from_address(memory)).cast("B")

    def write(self, to: int, offset: int, data: memoryview, stream: Any) -> None:
        """From the host."""
        if data.nbytes:
            self._did("cuMemcpyHtoDAsync", to + offset, _address(data), data.nbytes, stream)

    def read(self, data: memoryview, source: int, offset: int, stream: Any) -> None:
        """To the host."""
        if data.nbytes:
            self._did("cuMemcpyDtoHAsync", _address(data), source + offset, data.nbytes, stream)

    def copy(self, to: int, to_offset: int, source: int, offset: int, shape: Copy, stream: Any) -> None:
        """From one place to another, row after row where there are several."""
        for plane in range(shape.planes):
            for row in range(shape.rows):
                self._did(
                    "cuMemcpyAsync", to + to_offset + plane * shape.to_plane + row * shape.to_row,
                    source + offset + plane * shape.from_plane + row * shape.from_row, shape.size, stream,
                )  # fmt: skip

    def fill(self, to: int, offset: int, pattern: bytes, size: int, stream: Any) -> None:
        """A pattern, over and over; the driver has none of 8 bytes."""
        width = len(pattern)
        if width == 8:
            for half in (0, 4):
                value = int.from_bytes(pattern[half : half + 4], "little")
                self._did("cuMemsetD2D32Async", to + offset + half, 8, value, 1, size // 8, stream)
            return
        name = {1: "cuMemsetD8Async", 2: "cuMemsetD16Async", 4: "cuMemsetD32Async"}[width]
        self._did(name, to + offset, int.from_bytes(pattern, "little"), size // width, stream)

    def stream(self) -> Any:
        """A stream of its own."""
        return self._did("cuStreamCreate", 1)

    def drop_stream(self, stream: Any) -> None:
        """Forget it, when it is done."""
        self.synchronize(stream)
        self._did("cuStreamDestroy", stream)

    def synchronize(self, stream: Any) -> None:
        """Wait."""
        self._did("cuStreamSynchronize", stream)

    def query(self, stream: Any) -> bool:
        """Whether everything is done."""
        return int(self.cu.cuStreamQuery(stream)[0]) == 0

    def record(self, stream: Any) -> Any:
        """An event."""
        event = self._did("cuEventCreate", 0)
        self._did("cuEventRecord", event, stream)
        return event

    def wait(self, stream: Any, event: Any) -> None:
        """The stream waits for it."""
        self._did("cuStreamWaitEvent", stream, event, 0)

    def reached(self, event: Any) -> bool:
        """Whether it was."""
        return int(self.cu.cuEventQuery(event)[0]) == 0

    def elapsed(self, begin: Any, end: Any) -> float:
        """Seconds between two events."""
        return float(self._did("cuEventElapsedTime", begin, end)) / 1e3

    def compile(self, source: Source) -> Code:
        """CUDA C through NVRTC, for this device; PTX as it is."""
        if source.language == "ptx":
            return Code("ptx", source.text.encode())
        return nvrtc.compile(source, "compute_" + str(self.info.capability).replace(".", ""))

    def load(self, code: Code) -> Any:
        """A module: the driver compiles PTX to the device's code. Its parameters come from the text."""
        from polyvm.isa.ptx import syntax

        handle = self._did("cuModuleLoadData", code.data + b"\0")
        return handle, syntax.parse(code.data.decode("utf-8", "replace"))

    def unload(self, module: Any) -> None:
        """Forget it."""
        self._did("cuModuleUnload", module[0])

    def kernels(self, module: Any) -> list[str]:
        """Their names."""
        return list(module[1].kernels)

    def kernel(self, module: Any, name: str) -> tuple[Any, tuple[Parameter, ...]]:
        """A kernel and its parameters."""
        function = module[1].kernels.get(name)
        if function is None:
            raise failure(
                "name", f"The module has no kernel {name!r}.", hint=f"It has: {', '.join(module[1].kernels)}."
            )
        parameters = parameters_of(function)
        return (self._did("cuModuleGetFunction", module[0], name.encode()), parameters), parameters

    def launch(self, kernel: Any, how: Launch, arguments: Sequence[Any], stream: Any) -> None:
        """Start a kernel with its packed parameters."""
        handle, parameters = kernel
        packed = ctypes.create_string_buffer(bytes(arguments[0]) or b"\0")
        base = ctypes.addressof(packed)
        places = (ctypes.c_void_p * max(1, len(parameters)))(*(base + p.offset for p in parameters))
        if how.shared > 48 << 10:
            kind = self.cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._did("cuFuncSetAttribute", handle, kind, how.shared)
        self._did(
            "cuLaunchKernel", handle, *how.grid, *how.block, how.shared, stream, ctypes.addressof(places), 0
        )

    def close(self) -> None:
        """Give the context back."""
        did(self.cu, self.cu.cuDevicePrimaryCtxRelease(self.device))


def _string(value: Any) -> str:
    return bytes(value).split(b"\0")[0].decode()


def _address(data: memoryview) -> int:
    import numpy

    return int(numpy.frombuffer(data, numpy.uint8).ctypes.data)
