"""What every back end does alike: queries, programs, arguments, launches, memory, streams, events and errors."""

from __future__ import annotations

from typing import Any

import pytest

from polyvm import gpu
from polyvm.errors import PolyvmError

np: Any = pytest.importorskip("numpy", reason="NumPy judges: pip install 'polyvm[gpu]'")

PTX = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .f32 a, .param .u64 x, .param .u64 y, .param .u32 n)
{
    .reg .pred %p; .reg .f32 %f<4>; .reg .b32 %r<6>; .reg .b64 %rd<6>;
    ld.param.f32 %f1, [a];
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p, %r5, %r1;
    @%p bra done;
    mul.wide.u32 %rd3, %r5, 4;
    add.s64 %rd4, %rd1, %rd3;
    ld.global.f32 %f2, [%rd4];
    mul.f32 %f3, %f2, %f1;
    add.s64 %rd5, %rd2, %rd3;
    st.global.f32 [%rd5], %f3;
done:
    ret;
}
"""
OPENCL = """__kernel void scale(float a, __global const float *x, __global float *y, uint n) {
    uint i = get_global_id(0); if (i < n) y[i] = a * x[i]; }"""


def program(context: gpu.Context) -> gpu.Program:
    """The same kernel in a language that the back end reads without NVRTC."""
    if context.device.backend == "opencl":
        return context.program(OPENCL, "opencl")
    return context.program(PTX, "ptx")


@pytest.fixture
def kernel(context: gpu.Context) -> gpu.Kernel:
    return program(context).compile().kernel("scale")


def code_of(caught: pytest.ExceptionInfo[PolyvmError]) -> str:
    return caught.value.code


def test_a_device_says_what_it_is(context: gpu.Context) -> None:
    info = context.device.info
    assert len(info.uuid) == 36
    assert info.name
    assert info.memory_bytes
    assert gpu.device(info.uuid).uuid == info.uuid


def test_a_kernel_runs(context: gpu.Context, kernel: gpu.Kernel) -> None:
    x = np.arange(1000, dtype=np.float32)
    with context.array(x) as a, context.allocate(4000) as b:
        gpu.launch(gpu.LaunchConfig(4, 256), kernel, 2.5, a, b, 1000)
        context.synchronize()
        np.testing.assert_array_equal(b.read(np.empty_like(x)), x * np.float32(2.5))


@pytest.mark.parametrize("grid", [1, (1,), (7, 3, 2), 65536, (1, 65535), (1, 1, 1000)])
def test_grids_of_every_shape(context: gpu.Context, kernel: gpu.Kernel, grid: Any) -> None:
    with context.array(np.ones(8, np.float32)) as a, context.allocate(32) as b:
        gpu.launch(gpu.LaunchConfig(grid, 32), kernel, 3.0, a, b, 8)
        context.synchronize()
        assert b.read(np.empty(8, np.float32)).tolist() == [3.0] * 8


def test_beyond_the_limits(context: gpu.Context, kernel: gpu.Kernel) -> None:
    info = context.device.info
    with context.allocate(64) as a:
        for grid, block, shared in (
            (1 << 31, 32, 0), (0, 32, 0), (1, 0, 0), (1, info.max_threads + 1, 0), (1, 32, info.max_shared + 1),
            ((1, 2, 3, 4), 1, 0), (-1, 1, 0), (1.5, 1, 0), (1, (32, 32, 32), 0),
        ):  # fmt: skip
            with pytest.raises(PolyvmError) as caught:
                gpu.launch(gpu.LaunchConfig(grid, block, shared), kernel, 1.0, a, a, 1)  # type: ignore[arg-type]
            assert code_of(caught) == "PVM-GPU-ARGUMENT"
            assert set(caught.value.context["api_error"]) == {"cuda", "hip", "opencl"}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "arguments",
    [(), (1.0,), (1.0, None, None, 1), ("a", 1, 2, 3), (1.0, 1, 2, 3, 4), (1.0, np.zeros(4), np.zeros(4), 4)],
)
def test_arguments_that_do_not_fit(context: gpu.Context, kernel: gpu.Kernel, arguments: Any) -> None:
    with pytest.raises(PolyvmError) as caught:
        gpu.launch(gpu.LaunchConfig(1, 32), kernel, *arguments)
    assert code_of(caught) in ("PVM-GPU-ARGUMENT", "PVM-GPU-API")


def test_a_source_that_does_not_compile(context: gpu.Context) -> None:
    language = "opencl" if context.device.backend == "opencl" else "ptx"
    with pytest.raises(PolyvmError) as caught:
        context.program("this is no program", language).compile()
    assert code_of(caught) in ("PVM-GPU-COMPILE", "PVM-GPU-PTX")


def test_a_kernel_that_is_not_there(context: gpu.Context) -> None:
    with pytest.raises(PolyvmError) as caught:
        program(context).compile().kernel("scales")
    assert "scale" in str(caught.value.hint)


def test_copies_fills_and_offsets(context: gpu.Context) -> None:
    x = np.arange(256, dtype=np.uint8)
    with context.array(x) as a, context.allocate(256) as b:
        b.fill(7)
        b.copy_from(a, 100, offset=50, source_offset=20)
        want = np.full(256, 7, np.uint8)
        want[50:150] = x[20:120]
        np.testing.assert_array_equal(b.read(np.empty(256, np.uint8)), want)
        b.fill(0x01020304, width=4, offset=4, size=8)
        assert b.read(np.empty(16, np.uint8))[4:12].tolist() == [4, 3, 2, 1] * 2
        np.testing.assert_array_equal(
            b.read(np.empty(10, np.uint8), 140), np.append(x[110:120], []).astype(np.uint8)
        )


def test_copies_in_two_and_three_dimensions(context: gpu.Context) -> None:
    x = np.arange(4 * 8 * 16, dtype=np.uint8).reshape(4, 8, 16)
    with context.array(x) as a, context.allocate(4 * 8 * 32) as b:
        b.fill(0)
        b.copy_rows_from(a, 10, 8, 4, pitch=32, source_pitch=16, plane=256, source_plane=128)
        got = b.read(np.empty((4, 8, 32), np.uint8))
        np.testing.assert_array_equal(got[:, :, :10], x[:, :, :10])
        assert not got[:, :, 10:].any()


def test_copies_that_leave_their_buffers(context: gpu.Context) -> None:
    with context.allocate(100) as a, context.allocate(50) as b:
        for call in (
            lambda: b.copy_from(a, 60),
            lambda: a.write(np.zeros(101, np.uint8)),
            lambda: a.read(np.zeros(10, np.uint8), 95),
            lambda: a.fill(0, offset=-1),
            lambda: a.fill(0, size=1 << 62),
            lambda: b.copy_rows_from(a, 10, 6, pitch=10, source_pitch=10),
            lambda: a.fill(300),
            lambda: a.write(np.zeros((4, 4), np.uint8)[:, ::2]),
            lambda: a.write(object()),
        ):
            with pytest.raises(PolyvmError) as caught:
                call()
            assert code_of(caught) == "PVM-GPU-ARGUMENT"


@pytest.mark.parametrize("kind", ["device", "pinned", "managed", "mapped"])
def test_memory_of_every_kind(context: gpu.Context, kernel: gpu.Kernel, kind: str) -> None:
    with context.allocate(400, kind) as a, context.allocate(400, kind) as b:
        a.write(np.arange(100, dtype=np.float32))
        gpu.launch(gpu.LaunchConfig(1, 128), kernel, 2.0, a, b, 100)
        assert b.numpy(np.float32)[99] == 198


def test_host_memory_is_registered(context: gpu.Context, kernel: gpu.Kernel) -> None:
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    with context.register(x) as a, context.register(y) as b:
        gpu.launch(gpu.LaunchConfig(1, 64), kernel, 4.0, a, b, 64)
        context.synchronize()
        np.testing.assert_array_equal(b.read(np.empty(64, np.float32)), x * 4)
    if context.device.backend == "host":
        np.testing.assert_array_equal(y, x * 4)  # it was never copied
    with pytest.raises(PolyvmError):
        context.register(b"read-only")


def test_streams_and_events(context: gpu.Context, kernel: gpu.Kernel) -> None:
    first, second = context.new_stream(), context.new_stream()
    with (
        context.array(np.ones(1 << 16, np.float32)) as a,
        context.allocate(1 << 18) as b,
        context.allocate(1 << 18) as c,
    ):
        begin = first.record()
        gpu.launch(gpu.LaunchConfig(256, 256, stream=first), kernel, 2.0, a, b, 1 << 16)
        event = first.record()
        second.wait(event)
        gpu.launch(gpu.LaunchConfig(256, 256, stream=second), kernel, 3.0, b, c, 1 << 16)
        second.synchronize()
        assert event.reached
        assert second.done
        assert set(c.read(np.empty(1 << 16, np.float32)).tolist()) == {6.0}
        first.synchronize()
        assert event.elapsed_since(begin) >= 0
    first.close()
    second.close()
    with pytest.raises(PolyvmError):
        first.synchronize()


def test_handles_of_others_and_closed_ones(context: gpu.Context, kernel: gpu.Kernel) -> None:
    with context.device.context() as other, other.allocate(64) as foreign:
        closed = context.allocate(64)
        closed.close()
        for buffer in (foreign, closed):
            with pytest.raises(PolyvmError) as caught:
                gpu.launch(gpu.LaunchConfig(1, 1), kernel, 1.0, buffer, buffer, 1)
            assert code_of(caught) == "PVM-GPU-ARGUMENT"
        with pytest.raises(PolyvmError):
            closed.close()
    with pytest.raises(PolyvmError):
        other.allocate(1)


def test_memory_is_reused_and_limited(context: gpu.Context) -> None:
    with context.device.context(memory_limit=1 << 20) as small:
        for _ in range(50):
            small.allocate(300 << 10).close()
        assert small.statistics.reused == 49
        kept = [small.allocate(300 << 10) for _ in range(3)]
        kept[0].label = "weights"
        with pytest.raises(PolyvmError) as caught:
            small.allocate(300 << 10)
        assert code_of(caught) == "PVM-GPU-MEMORY"
        assert any("weights" in str(line) for line in caught.value.context["buffers"])  # type: ignore[attr-defined]
        assert len(small.leaks()) == 3
        for buffer in kept:
            buffer.close()
        assert small.trim() > 0
        assert small.statistics.bytes == 0


@pytest.mark.parametrize(
    ("size", "kind"), [(0, "device"), (-1, "device"), (1 << 60, "device"), (1.5, "device"), (1, "x")]
)
def test_sizes_that_are_none(context: gpu.Context, size: Any, kind: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        context.allocate(size, kind)
    assert code_of(caught) == "PVM-GPU-ARGUMENT"


def test_many_launches_leave_nothing_behind(
    context: gpu.Context, kernel: gpu.Kernel, request: pytest.FixtureRequest
) -> None:
    import resource

    count = 100_000 if context.device.backend == "host" and request.config.getoption("--full") else 3000
    with context.array(np.ones(32, np.float32)) as a, context.allocate(128) as b:
        config = gpu.LaunchConfig(1, 32)
        for _ in range(500):
            gpu.launch(config, kernel, 1.0, a, b, 32)
        context.synchronize()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(count):
            gpu.launch(config, kernel, 1.0, a, b, 32)
        context.synchronize()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_back_ends_that_are_none() -> None:
    with pytest.raises(PolyvmError) as caught:
        gpu.devices("metal")
    assert code_of(caught) == "PVM-USAGE"
    with pytest.raises(PolyvmError) as caught:
        gpu.device("no such device")
    assert code_of(caught) == "PVM-GPU-DEVICE"
