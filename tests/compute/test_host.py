"""The back end host: faults with thread and line, endless kernels, printf, the cache, policy, hot plug."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from polyvm import gpu
from polyvm.compute import nvrtc, registry
from polyvm.errors import PolyvmError
from tests.compute.conftest import opened

np: Any = pytest.importorskip("numpy", reason="NumPy judges: pip install 'polyvm[gpu]'")

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
SOURCE = r"""
extern "C" __global__ void past(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        x[i] = i;
}
extern "C" __global__ void spin(int *x) { while (atomicAdd(x, 0) == 0); }
extern "C" __global__ void stop(int n) { if (threadIdx.x == n) __trap(); }
extern "C" __global__ void sure(int n) { assert(n > 5); }
extern "C" __global__ void say(float f) {
    if (threadIdx.x < 2) printf("%d|%5.2f|%s|%c|%x|%lld|%%\n", threadIdx.x, f, "text", 'c', 255u, 1ll << 40);
}
__device__ __noinline__ int deep(int n) { volatile int a[64]; a[n & 63] = n; return n ? deep(n - 1) + a[n & 63] : 0; }
extern "C" __global__ void deeper(int *x, int n) { x[threadIdx.x] = deep(n); }
extern "C" __global__ void shared(int *x, int n) {
    extern __shared__ int s[];
    s[threadIdx.x + n] = 1;
    __syncthreads();
    x[0] = s[0];
}
extern "C" __global__ void each_other(volatile int *x) { while (x[0] != threadIdx.x); x[0] = threadIdx.x + 1; }
extern "C" __global__ void empty() {}
"""


@pytest.fixture(scope="module")
def code() -> str:
    try:
        nvrtc.library()
    except PolyvmError as error:
        pytest.skip(f"{error.message} {error.hint}")
    from polyvm.compute.backend import Source

    return nvrtc.compile(Source(SOURCE, "cuda", "bad.cu")).data.decode()


def failed(
    context: gpu.Context, code: str, name: str, grid: int, block: int, *args: Any, shared: int = 0
) -> PolyvmError:
    """What a kernel's launch raises when somebody waits."""
    gpu.launch(
        gpu.LaunchConfig(grid, block, shared), context.program(code, "ptx").compile().kernel(name), *args
    )
    with pytest.raises(PolyvmError) as caught:
        context.synchronize()
    with pytest.raises(PolyvmError) as again:  # it stays wrong
        context.synchronize()
    assert again.value.code == caught.value.code
    return caught.value


def test_out_of_bounds_says_where(host: gpu.Context, code: str) -> None:
    x = host.allocate(1000 * 4)
    address = int(x)
    error = failed(host, code, "past", 8, 128, x, 1024)
    assert error.code == "PVM-GPU-FAULT"
    assert error.context["thread"] == "(104, 0, 0)"  # 7 * 128 + 104 is 1000
    assert error.context["block"] == "(7, 0, 0)"
    assert error.context["address"] == address + 4000
    assert str(error.context["source"]).endswith("bad.cu:5")
    assert error.context["instruction"] == "st.global.f32"


def test_a_freed_buffer_is_out_of_bounds(host: gpu.Context, code: str) -> None:
    x = host.allocate(4096)
    address = int(x)
    x.close()
    host.trim()
    assert failed(host, code, "past", 1, 32, address, 32).code == "PVM-GPU-FAULT"


def test_shared_memory_beyond_its_size(host: gpu.Context, code: str) -> None:
    x = host.array(np.zeros(1, np.int32))
    gpu.launch(gpu.LaunchConfig(1, 64, 512), host.program(code, "ptx").compile().kernel("shared"), x, 64)
    host.synchronize()
    error = failed(host, code, "shared", 1, 64, x, 65, shared=512)
    assert "shared memory" in error.message
    assert error.context["thread"] == "(63, 0, 0)"
    with opened("host") as other:
        y = other.allocate(4)
        assert failed(other, code, "shared", 1, 64, y, -1, shared=512).context["thread"] == "(0, 0, 0)"


@pytest.mark.parametrize(("name", "args", "word"), [("stop", (33,), "trap"), ("sure", (5,), "n > 5")])
def test_traps_and_assertions(host: gpu.Context, code: str, name: str, args: Any, word: str) -> None:
    error = failed(host, code, name, 2, 64, *args)
    assert error.code == "PVM-GPU-FAULT"
    assert word in error.message


def test_recursion_has_an_end(host: gpu.Context, code: str) -> None:
    x = host.array(np.zeros(32, np.int32))
    gpu.launch(gpu.LaunchConfig(1, 32), host.program(code, "ptx").compile().kernel("deeper"), x, 50)
    host.synchronize()
    assert x.read(np.empty(32, np.int32)).tolist() == [sum(range(51))] * 32
    assert "too deeply" in failed(host, code, "deeper", 1, 32, x, 1 << 30).message


@pytest.mark.parametrize(("name", "block"), [("spin", 1), ("each_other", 32)])
def test_endless_kernels_are_ended(code: str, name: str, block: int) -> None:
    with opened("host", timeout=0.2) as context:
        x = context.array(np.zeros(1, np.int32))
        assert failed(context, code, name, 1, block, x).code == "PVM-GPU-TIMEOUT"
    with opened("host") as after:  # and the pool works on
        gpu.launch(gpu.LaunchConfig(1, 1), after.program(code, "ptx").compile().kernel("empty"))
        after.synchronize()


def test_two_users_at_once(code: str) -> None:
    results: list[str] = []

    def use(wrong: bool) -> None:
        with opened("host") as context:
            x = context.allocate(4096)
            kernel = context.program(code, "ptx").compile().kernel("past")
            try:
                for _ in range(50):
                    gpu.launch(gpu.LaunchConfig(9, 128), kernel, x, 4096 if wrong else 1024)
                    context.synchronize()
                results.append("good")
            except PolyvmError as error:
                results.append(error.code)

    threads = [threading.Thread(target=use, args=(n % 2 == 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["PVM-GPU-FAULT"] * 2 + ["good"] * 2


def test_kernels_print(host: gpu.Context, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.launch(gpu.LaunchConfig(1, 8), host.program(code, "ptx").compile().kernel("say"), 2.5)
    host.synchronize()
    assert capsys.readouterr().out == "".join(f"{n}| 2.50|text|c|ff|1099511627776|%\n" for n in (0, 1))


def test_compilers_errors_have_a_line(host: gpu.Context, code: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        host.program('extern "C" __global__ void k() {\n  undeclared = 1;\n}', name="wrong.cu").compile()
    assert caught.value.code == "PVM-GPU-COMPILE"
    assert (caught.value.context["file"], caught.value.context["line"]) == ("wrong.cu", 2)
    assert "undeclared" in caught.value.message


def test_headers_defines_and_hip(host: gpu.Context, code: str) -> None:
    text = '#include "two.h"\nextern "C" __global__ void k(int *x) { x[hipThreadIdx_x] = TWO * FACTOR; }'
    program = host.program(text, "hip", headers={"two.h": "#define TWO 2\n"}, defines={"FACTOR": 21})
    with host.allocate(128) as x:
        gpu.launch(gpu.LaunchConfig(1, 32), program.compile().kernel("k"), x)
        assert x.numpy(np.int32).tolist() == [42] * 32


def test_what_was_compiled_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, code: str) -> None:
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path / "cache"))
    with opened("host") as context:
        gpu.launch(gpu.LaunchConfig(1, 32), context.program(SOURCE).compile().kernel("empty"))
        context.synchronize()
    kept = list((tmp_path / "cache" / "gpu").iterdir())
    assert len(kept) == 2  # the PTX, and one kernel's code
    from polyvm.engine import compile as compiler

    monkeypatch.setattr(compiler, "build", None)
    monkeypatch.setattr(nvrtc, "library", None)
    with opened("host") as context:
        gpu.launch(gpu.LaunchConfig(1, 32), context.program(SOURCE).compile().kernel("empty"))
        context.synchronize()


def test_damaged_entries_are_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, code: str) -> None:
    monkeypatch.setenv("POLYVM_CACHE_DIR", str(tmp_path / "cache"))
    for _ in range(2):
        with opened("host") as context:
            gpu.launch(gpu.LaunchConfig(1, 32), context.program(code, "ptx").compile().kernel("empty"))
            context.synchronize()
        for entry in (tmp_path / "cache" / "gpu").iterdir():
            entry.write_bytes(entry.read_bytes()[:-100] + b"x" * 100)


def test_a_policy_decides() -> None:
    info = gpu.device("host").info
    old = gpu.set_policy(gpu.Policy(allowed=frozenset({"opencl"})))
    try:
        assert gpu.devices("host") == []
        with pytest.raises(PolyvmError):
            gpu.Context(gpu.Device(info))
        gpu.set_policy(gpu.Policy(limits_of={info.uuid: gpu.Limits(memory=4096, kernel_seconds=0.1)}))
        with opened("host") as context:
            with pytest.raises(PolyvmError) as caught:
                context.allocate(8192)
            assert caught.value.code == "PVM-GPU-MEMORY"
    finally:
        gpu.set_policy(old)


def test_devices_come_and_go() -> None:
    heard: list[tuple[str, str]] = []
    number = gpu.subscribe(lambda what, info: heard.append((what, info.uuid)))
    uuid = "00000000-0000-0000-0000-000000000001"
    device = gpu.Device(registry.plug(uuid))
    context = device.context()
    x = context.array(np.zeros(4))
    registry.pull(uuid)
    for call in (
        lambda: x.fill(0),
        lambda: context.allocate(1),
        context.synchronize,
        lambda: device.context(),
    ):
        with pytest.raises(PolyvmError) as caught:
            call()
        assert caught.value.code == "PVM-GPU-DEVICE"
    context.close()
    assert registry.plug(uuid) == device.info
    with device.context() as again:
        again.array(np.ones(4)).close()
    registry.pull(uuid, failed=True)
    gpu.unsubscribe(number)
    assert heard == [("added", uuid), ("removed", uuid), ("added", uuid), ("failed", uuid)]
    registry.announce("added", device.info)


def test_launches_that_are_packed_once(host: gpu.Context, code: str) -> None:
    x = host.array(np.zeros(64, np.float32))
    prepared = host.program(code, "ptx").compile().kernel("past").prepare(gpu.LaunchConfig(1, 64), x, 64)
    late = host.allocate(4096)  # memory that came later does not hurt
    for _ in range(3):
        prepared.submit()
    np.testing.assert_array_equal(x.numpy(np.float32), np.arange(64))
    late.close()


def test_extern_functions_are_refused_by_name(host: gpu.Context) -> None:
    text = HEAD + ".extern .func mystery();\n.visible .entry k() { call.uni mystery, (); ret; }"
    with pytest.raises(PolyvmError) as caught:
        gpu.launch(gpu.LaunchConfig(1, 1), host.program(text, "ptx").compile().kernel("k"))
    assert caught.value.code == "PVM-UNSUPPORTED"
    assert "mystery" in caught.value.message
