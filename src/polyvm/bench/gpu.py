"""The GPU back end `host` beside PoCL: the same kernels in CUDA C and OpenCL C, same data, same threads, one run.

Runs of both take turns, and the best of each counts; a time counts only after the results agreed. It measures through
polyvm's own API, whose cost per launch it shows as well. It refuses to run without NVRTC, and says so where PoCL is
missing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from math import exp, log
from typing import Any

from polyvm.errors import PolyvmError

ROUNDS = 7


@dataclass(frozen=True)
class Work:
    """A kernel in both languages; arrays: (count, type) of each buffer, then numbers; work: of a run, in units."""

    name: str
    cuda: str
    opencl: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arrays: tuple[tuple[int, str], ...]
    numbers: tuple[Any, ...]
    work: float
    unit: str
    first: tuple[Any, ...] = ()  # numbers before the arrays


_SAXPY = (
    """extern "C" __global__ void k(float a, const float *x, float *y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a * x[i] + y[i]; }""",
    """__kernel void k(float a, __global const float *x, __global float *y, int n) {
        int i = get_global_id(0);
        if (i < n) y[i] = a * x[i] + y[i]; }""",
)
_TILED = """
    int row = by * T + ty, col = bx * T + tx;
    float s = 0;
    for (int t = 0; t < n / T; t++) {
        As[ty][tx] = A[row * n + t * T + tx];
        Bs[ty][tx] = B[(t * T + ty) * n + col];
        BARRIER;
        for (int k = 0; k < T; k++) s += As[ty][k] * Bs[k][tx];
        BARRIER;
    }
    C[row * n + col] = s; }
"""
_REGISTERS = """
    int tid = ty * 16 + tx, r0 = by * 64, c0 = bx * 64;
    float acc[4][4] = {{0}};
    for (int t = 0; t < n; t += 16) {
        for (int i = 0; i < 4; i++) {
            int e = tid + i * 256;
            As[e % 16][e / 16] = A[(r0 + e / 16) * n + t + e % 16];
            Bs[e / 64][e % 64] = B[(t + e / 64) * n + c0 + e % 64];
        }
        BARRIER;
        for (int k = 0; k < 16; k++) {
            float a[4], b[4];
            for (int i = 0; i < 4; i++) { a[i] = As[k][ty * 4 + i]; b[i] = Bs[k][tx + i * 16]; }
            for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) acc[i][j] += a[i] * b[j];
        }
        BARRIER;
    }
    for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) C[(r0 + ty * 4 + i) * n + c0 + tx + j * 16] = acc[i][j]; }
"""
_IDS = "int tx = threadIdx.x, ty = threadIdx.y, bx = blockIdx.x, by = blockIdx.y;"
_CL_IDS = "int tx = get_local_id(0), ty = get_local_id(1), bx = get_group_id(0), by = get_group_id(1);"


def _gemm(name: str, body: str, tile: int, size: int, rows: int, columns: int, n: int = 512) -> Work:
    shared = f"float As[{rows}][{columns}], Bs[{rows}][{columns}];"
    cuda = f'#define T {tile}\n#define BARRIER __syncthreads()\nextern "C" __global__ void k(const float *A, const float '
    cuda += f"*B, float *C, int n) {{ __shared__ {shared} {_IDS} {body}"
    cl = f"#define T {tile}\n#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)\n__kernel __attribute__((reqd_work_group_size("
    cl += f"{size},{size},1))) void k(__global const float *restrict A, __global const float *restrict B, "
    cl += f"__global float *restrict C, int n) {{ __local {shared.replace(', Bs', '; __local float Bs')} {_CL_IDS} {body}"
    step = tile if body is _TILED else 64
    arrays = ((n * n, "f4"),) * 3
    return Work(
        name, cuda, cl, (n // step, n // step), (size, size), arrays, (n,), 2.0 * n**3 / 1e9, "GFlop/s"
    )


def _pair(name: str, parameters: str, body: str, **rest: Any) -> Work:
    """A kernel whose body is the same in both languages; parameters: `in float x`, `out float y`, `int n`."""
    cuda, cl = [], []
    for word in parameters.split(", "):
        way, _, what = word.partition(" ")
        kind, _, label = what.partition(" ")
        if way in ("in", "out"):
            const = "const " if way == "in" else ""
            cuda.append(f"{const}{kind} *__restrict__ {label}")
            cl.append(f"__global {const}{kind} *restrict {label}")
        else:
            cuda.append(word)
            cl.append(word)
    cuda_ids = "int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y, t = threadIdx.x;"
    cl_ids = "int i = get_global_id(0), j = get_global_id(1), t = get_local_id(0);"
    head = "typedef unsigned char uchar;\n#define SHARED __shared__\n#define BARRIER __syncthreads()\n#define ADD atomicAdd\n"
    cl_head = (
        "#define SHARED __local\n#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)\n#define ADD(p, v) atomic_add(p, v)\n"
        "#define sqrtf sqrt\n#define expf exp\n#define fmaxf fmax\n#define sinf sin\n#define logf log\n#define rsqrtf rsqrt\n"
        "#define tanhf tanh\n#define unsigned uint\n"
    )
    return Work(
        name, f'{head}extern "C" __global__ void k({", ".join(cuda)}) {{ {cuda_ids} {body} }}',
        f"{cl_head}__kernel void k({', '.join(cl)}) {{ {cl_ids} {body} }}", **rest,
    )  # fmt: skip


def works() -> list[Work]:
    """Everything that is measured."""
    made = []
    for n in (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24):
        label = f"{n >> 10}K" if n < 1 << 20 else f"{n >> 20}M"
        made.append(Work(f"saxpy {label}", *_SAXPY, (n // 256,), (256,), ((n, "f4"), (n, "f4")), (n,), 12 * n / 1e9, "GB/s",
                         first=(2.0,)))  # fmt: skip
    made += [
        _gemm("gemm 16x16", _TILED, 16, 16, 16, 16),
        _gemm("gemm 32x32", _TILED, 32, 32, 32, 32),
        _gemm("gemm registers", _REGISTERS, 16, 16, 16, 64),
    ]
    n, m = 1 << 20, 1024
    one: dict[str, Any] = {"grid": (n // 256,), "block": (256,), "work": n / 1e6, "unit": "M/s"}
    two: dict[str, Any] = {"grid": (m // 32, m // 8), "block": (32, 8), "work": m * m / 1e6, "unit": "M/s",
                           "arrays": ((m * m, "f4"), (m * m, "f4")), "numbers": (m,)}  # fmt: skip
    float2: dict[str, Any] = {"arrays": ((n, "f4"), (n, "f4")), "numbers": (n,), **one}
    made += [
        _pair("gelu", "in float x, out float y, int n",
              "if (i < n) y[i] = 0.5f * x[i] * (1.f + tanhf(0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));", **float2),
        _pair("exp log", "in float x, out float y, int n", "if (i < n) y[i] = expf(x[i]) + logf(x[i] + 1.f);", **float2),
        _pair("sine", "in float x, out float y, int n", "if (i < n) y[i] = sinf(x[i] * 6.f);", **float2),
        _pair("polynomial", "in float x, out float y, int n",
              "if (i < n) { float s = 0; for (int k = 0; k < 32; k++) s = s * x[i] + k; y[i] = s; }", **float2),
        _pair("divide", "in float x, out float y, int n", "if (i < n) y[i] = 1.f / sqrtf(x[i] + 1.f);", **float2),
        _pair("strided", "in float x, out float y, int n", "if (i < n) y[i] = x[(i * 17) & (n - 1)];", **float2),
        _pair("collatz", "in float x, out float y, int n",
              "if (i < n) { unsigned v = i + 1; int k = 0; while (v != 1 && k < 100) { v = v & 1 ? 3 * v + 1 : v / 2; k++; } "
              "y[i] = k; }", **float2),
        _pair("integer hash", "in float x, out float y, int n",
              "if (i < n) { unsigned v = i; for (int k = 0; k < 16; k++) { v ^= v << 13; v ^= v >> 17; v ^= v << 5; } "
              "y[i] = v & 65535; }", **float2),
        _pair("division", "in float x, out float y, int n", "if (i < n) y[i] = (i * 7) / (i % 13 + 1);", **float2),
        _pair("tree sum", "in float x, out float y, int n",
              "SHARED float s[256]; s[t] = x[i]; BARRIER; for (int h = 128; h; h >>= 1) { if (t < h) s[t] += s[t + h]; "
              "BARRIER; } if (!t) y[i / 256] = s[0];", **float2),
        _pair("block scan", "in float x, out float y, int n",
              "SHARED float s[256]; s[t] = x[i]; BARRIER; for (int o = 1; o < 256; o <<= 1) { float v = t >= o ? s[t - o] : 0; "
              "BARRIER; s[t] += v; BARRIER; } y[i] = s[t];", **float2),
        _pair("reverse", "in float x, out float y, int n",
              "SHARED float s[256]; s[t] = x[i]; BARRIER; y[i] = s[255 - t];", **float2),
        _pair("stencil", "in float a, out float b, int n",
              "if (i > 0 && j > 0 && i < n - 1 && j < n - 1) b[j * n + i] = 0.2f * (a[j * n + i] + a[j * n + i - 1] + "
              "a[j * n + i + 1] + a[(j - 1) * n + i] + a[(j + 1) * n + i]);", **two),
        _pair("transpose", "in float a, out float b, int n", "if (i < n && j < n) b[i * n + j] = a[j * n + i];", **two),
        _pair("blur", "in float a, out float b, int n",
              "float s = 0; for (int y = -1; y <= 1; y++) for (int x = -1; x <= 1; x++) "
              "s += a[((j + y) & (n - 1)) * n + ((i + x) & (n - 1))]; b[j * n + i] = s / 9.f;", **two),
        _pair("mandelbrot", "in float a, out float b, int n",
              "float x = -2.f + 3.f * i / n, y = -1.f + 2.f * j / n, p = 0, q = 0; int k = 0; "
              "while (k < 50 && p * p + q * q < 4.f) { float r = p * p - q * q + x; q = 2 * p * q + y; p = r; k++; } "
              "b[j * n + i] = k;", **two),
        _pair("row maximum", "in float a, out float b, int n",
              "if (i < n && j == 0) { float best = 0; for (int k = 0; k < n; k++) best = fmaxf(best, a[k * n + i]); "
              "b[i] = best; }", **two),
    ]  # fmt: skip
    return made


def measure(threads: int) -> dict[str, Any]:
    """Everything, as polyvm.gpu-bench/1 without its first two keys.

    Raises PVM-EXTRA-MISSING without NVRTC, PVM-BENCH-MISMATCH where results differ.
    """
    os.environ["POCL_MAX_PTHREAD_COUNT"] = str(threads)
    os.environ.setdefault("PYOPENCL_NO_CACHE", "1")
    from polyvm.compute import api as gpu

    host = gpu.device("host").context(threads=threads)
    try:
        pocl = next(
            d for d in gpu.devices("opencl") if "pthread" in d.name or "cpu" in d.name.lower()
        ).context()
    except (PolyvmError, StopIteration):
        pocl = None
    rows = [_measure(work, host, pocl) for work in works()]
    launches = _launches(host)
    host.close()
    return {
        "threads": threads,
        "device": host.device.name,
        "peer": pocl.device.name if pocl is not None else None,
        "works": rows,
        "geomean": geometric_mean([row["ratio"] for row in rows if row["ratio"]]),
        "launch_us": launches,
    }


def geometric_mean(ratios: list[float]) -> float | None:
    """The geometric mean, None of nothing."""
    return exp(sum(log(r) for r in ratios) / len(ratios)) if ratios else None


def text(found: dict[str, Any]) -> str:
    """The same for a person."""
    peer = found["peer"] or "nobody: PoCL is not installed"
    lines = [f"{found['device']}, {found['threads']} thread{'s' * (found['threads'] > 1)}; beside {peer}"]
    for row in found["works"]:
        beside = f"{row['peer']:10.1f} {row['ratio']:6.2f}x" if row["ratio"] else ""
        lines.append(f"{row['name']:16} {row['host']:10.1f} {beside} {row['unit']}")
    if found["geomean"]:
        lines.append(f"geometric mean over PoCL: {found['geomean']:.2f}x")
    lines.append("empty launch, us: " + ", ".join(f"{k} {v:.2f}" for k, v in found["launch_us"].items()))
    return "\n".join(lines) + "\n"


def _ready(context: Any, source: str, work: Work) -> tuple[Any, list[Any]]:
    """A function that runs the kernel once and waits, and its buffers."""
    import numpy

    from polyvm.compute import api as gpu

    kernel = context.program(source).compile().kernel("k")
    rng = numpy.random.default_rng(0)
    buffers = [context.array(rng.random(count).astype(kind)) for count, kind in work.arrays]
    config = gpu.LaunchConfig(work.grid, work.block)

    def once() -> None:
        gpu.launch(config, kernel, *work.first, *buffers, *work.numbers)
        context.synchronize()

    return once, buffers


def _measure(work: Work, host: Any, pocl: Any) -> dict[str, Any]:
    import numpy

    sides = [_ready(host, work.cuda, work)]
    if pocl is not None:
        sides.append(_ready(pocl, work.opencl, work))
    results = []
    for once, buffers in sides:
        once()
        count, kind = work.arrays[-1]
        results.append(buffers[-1].read(numpy.empty(count, kind)))
    if len(results) > 1:
        wrong = abs(results[0] - results[1]) > 1e-3 * numpy.maximum(abs(results[1]), 1)
        if wrong.mean() > 0.005:  # the edge of a fractal may differ by a rounding
            raise PolyvmError("PVM-BENCH-MISMATCH", f"The results of {work.name} differ.", workload=work.name)
    best = [float("inf")] * len(sides)
    for _ in range(ROUNDS):
        for n, (once, _) in enumerate(sides):
            begin = time.perf_counter()
            once()
            best[n] = min(best[n], time.perf_counter() - begin)
    for _, buffers in sides:
        for buffer in buffers:
            buffer.close()
    for context in (host, pocl):
        if context is not None:
            context.trim()
    rates = [work.work / seconds for seconds in best]
    return {"name": work.name, "unit": work.unit, "host": rates[0], "peer": rates[1] if len(rates) > 1 else None,
            "ratio": rates[0] / rates[1] if len(rates) > 1 else None}  # fmt: skip


def _launches(host: Any) -> dict[str, float]:
    """Microseconds of an empty launch, in a row of many."""
    from polyvm.compute import api as gpu

    kernel = host.program('extern "C" __global__ void k() {}').compile().kernel("k")
    config = gpu.LaunchConfig(1, 32)
    prepared = kernel.prepare(config)
    found = {}
    for name, call in (
        ("packed each time", lambda: gpu.launch(config, kernel)),
        ("packed once", prepared.submit),
    ):
        best = float("inf")
        for _ in range(5):
            begin = time.perf_counter()
            for _ in range(500):
                call()
            best = min(best, (time.perf_counter() - begin) / 500)
            host.synchronize()
        found[name] = best * 1e6
    return found
