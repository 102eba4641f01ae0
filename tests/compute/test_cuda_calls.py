"""The back end cuda without a GPU: every call that it makes exists in NVIDIA's bindings and has as many arguments.

A stub stands in for the driver: it keeps host memory for the device's, checks each call against the real binding's
documented signature, and answers as the driver does. What no GPU has seen stays unverified, and the docs say so.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Any

import pytest

from polyvm import gpu
from polyvm.compute import cuda, nvrtc
from polyvm.compute.backend import Source
from polyvm.errors import PolyvmError

np: Any = pytest.importorskip(
    "numpy", reason="the device's memory is filled by NumPy: pip install 'polyvm[gpu]'"
)
real: Any = pytest.importorskip(
    "cuda.bindings.driver", reason="cuda-bindings is not installed: pip install 'polyvm[cuda]'"
)

PTX = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 x, .param .f32 a, .param .u32 n) { ret; }"


class Stub:
    """The driver, as far as it can be had without one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.memory: dict[int, Any] = {}
        self.fails: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(real, name)  # AttributeError for what the binding does not have
        if not name.startswith("cu") or isinstance(found, type):
            return found
        signature = re.match(rf"{name}\((.*?)\)", found.__doc__ or "")

        def call(*arguments: Any) -> tuple[Any, ...]:
            if signature is not None:
                wanted = len([part for part in signature[1].split(",") if part.strip()])
                assert len(arguments) == wanted, f"{name} has {wanted} arguments: {signature[1]}"
            self.calls.append((name, arguments))
            status = self.fails.get(name, real.CUresult.CUDA_SUCCESS)
            own: Callable[..., Any] | None = vars(type(self)).get(f"do_{name}")
            made = own(self, *arguments) if own is not None and int(status) == 0 else None
            return (status,) if made is None else (status, made)

        return call

    def do_cuDeviceGetCount(self) -> int:
        return 1

    def do_cuDeviceGet(self, number: int) -> int:
        return number

    def do_cuDeviceGetAttribute(self, which: Any, device: int) -> int:
        return {
            "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": 9,
            "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": 0,
        }.get(which.name, 1024)

    def do_cuDeviceGetUuid(self, device: int) -> Any:
        made = real.CUuuid()
        ctypes.memmove(made.getPtr(), bytes(range(16)), 16)
        return made

    def do_cuDeviceGetName(self, size: int, device: int) -> bytes:
        return b"Stub\0\0"

    def do_cuDeviceGetPCIBusId(self, size: int, device: int) -> bytes:
        return b"0000:01:00.0\0"

    def do_cuDeviceTotalMem(self, device: int) -> int:
        return 1 << 34

    def do_cuDevicePrimaryCtxRetain(self, device: int) -> str:
        return "context"

    def _allocate(self, size: int, *rest: Any) -> int:
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    do_cuMemAlloc = do_cuMemAllocManaged = do_cuMemHostAlloc = _allocate

    def do_cuMemcpyHtoDAsync(self, to: int, source: int, size: int, stream: Any) -> None:
        ctypes.memmove(to, source, size)

    do_cuMemcpyDtoHAsync = do_cuMemcpyAsync = do_cuMemcpyHtoDAsync

    def do_cuMemsetD8Async(self, to: int, value: int, count: int, stream: Any) -> None:
        ctypes.memset(to, value, count)

    def do_cuStreamCreate(self, flags: int) -> str:
        return "stream"

    def do_cuEventCreate(self, flags: int) -> str:
        return "event"

    def do_cuEventElapsedTime(self, begin: Any, end: Any) -> float:
        return 1500.0

    def do_cuModuleLoadData(self, image: bytes) -> str:
        return "module"

    def do_cuModuleGetFunction(self, module: Any, name: bytes) -> str:
        return "function"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    made = Stub()
    monkeypatch.setattr(cuda, "_binding", lambda: made)
    return made


def test_a_whole_life(stub: Stub) -> None:
    (device,) = gpu.devices("cuda")
    assert (device.name, device.info.pci, device.info.capability) == ("Stub", "0000:01:00.0", "9.0")
    assert device.uuid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    with device.context() as context:
        x = np.arange(64, dtype=np.uint8)
        with context.array(x) as a, context.allocate(64, "managed") as b, context.allocate(64, "pinned") as c:
            b.copy_from(a)
            c.copy_rows_from(b, 4, 4, 2, pitch=8, source_pitch=4, plane=32, source_plane=16)
            np.testing.assert_array_equal(b.numpy(np.uint8), x)
            np.testing.assert_array_equal(a.numpy(np.uint8), x)
            assert c.numpy(np.uint8)[8:12].tolist() == [4, 5, 6, 7]
            a.fill(7)
            for width in (2, 4, 8):
                a.fill(7, width=width)
            kernel = context.program(PTX, "ptx").compile().kernel("k")
            second = context.new_stream()
            event = second.record()
            context.stream.wait(event)
            gpu.launch(gpu.LaunchConfig((2, 3), 32, 512, second), kernel, a, 1.5, 64)
            assert event.elapsed_since(event) == 1.5
            assert second.done
            second.close()
            with context.register(np.zeros(16, np.uint8)) as r:
                assert r.size == 16
            context.trim()
    names = [name for name, _ in stub.calls]
    launch = dict(stub.calls)["cuLaunchKernel"]
    assert launch[1:8] == (2, 3, 1, 32, 1, 1, 512)
    assert names.count("cuMemHostRegister") == names.count("cuMemHostUnregister") == 1
    assert names[-1] == "cuDevicePrimaryCtxRelease"


@pytest.mark.parametrize(
    ("status", "code"),
    [("CUDA_ERROR_OUT_OF_MEMORY", "PVM-GPU-MEMORY"), ("CUDA_ERROR_INVALID_VALUE", "PVM-GPU-ARGUMENT"), ("CUDA_ERROR_ECC_UNCORRECTABLE", "PVM-GPU-API")],
)  # fmt: skip
def test_the_drivers_errors(stub: Stub, status: str, code: str) -> None:
    with gpu.devices("cuda")[0].context() as context:
        stub.fails["cuMemAlloc"] = getattr(real.CUresult, status)
        with pytest.raises(PolyvmError) as caught:
            context.allocate(64)
        assert caught.value.code == code
        assert caught.value.context["api_error"]["cuda"] == status  # type: ignore[index]


def test_a_kernels_fault_is_sticky(stub: Stub) -> None:
    context = gpu.devices("cuda")[0].context()
    stub.fails["cuStreamSynchronize"] = real.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    for _ in range(2):
        with pytest.raises(PolyvmError) as caught:
            context.synchronize()
        assert caught.value.code == "PVM-GPU-FAULT"


def test_without_a_driver_there_are_no_devices(stub: Stub) -> None:
    stub.fails["cuInit"] = real.CUresult.CUDA_ERROR_NO_DEVICE
    assert gpu.devices("cuda") == []


@pytest.mark.parametrize("architecture", ["compute_80", "compute_90", "compute_120"])
def test_nvrtc_compiles_for_gpus_that_are_not_there(architecture: str) -> None:
    try:
        nvrtc.library()
    except PolyvmError as error:
        pytest.skip(f"{error.message} {error.hint}")
    code = nvrtc.compile(
        Source('extern "C" __global__ void k(float *x) { x[threadIdx.x] *= 2; }', "cuda"), architecture
    )
    assert f".target {architecture.replace('compute', 'sm')}" in code.data.decode()
