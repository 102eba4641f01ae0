"""Each kernel of this folder with arguments and NumPy's answer: integers exactly, floats within a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Case:
    """One launch: arrays among the arguments are buffers; expected: argument's place -> what it holds afterwards."""

    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: Sequence[Any]
    expected: dict[int, Any]
    tolerance: float = 0.0  # relative to the largest number; 0 is equal
    shared: int = 0
    compare: Callable[[Any, Any], bool] | None = None


Maker = Callable[[np.random.Generator], Case]
CASES: dict[str, tuple[str, str, Maker]] = {}
f4, f8, i4, u4 = np.float32, np.float64, np.int32, np.uint32


def case(source: str, kernel: str = "") -> Callable[[Maker], Maker]:
    """Enter a case: the file, and the kernel where it is not called as the function."""

    def enter(make: Maker) -> Maker:
        CASES[make.__name__] = source, kernel or make.__name__, make
        return make

    return enter


def blocks(n: int, size: int) -> tuple[int]:
    return (-(-n // size),)


# -- basics.cu
@case("basics.cu")
def saxpy(rng: np.random.Generator) -> Case:
    n = 10007
    x, y = rng.random(n, f4), rng.random(n, f4)
    exact = (np.float64(f4(2.5)) * x.astype(f8) + y.astype(f8)).astype(f4)  # one rounding, as fma
    return Case(blocks(n, 256), (256,), [2.5, x, y, n], {2: exact}, 1e-7)


@case("basics.cu")
def axpby_double(rng: np.random.Generator) -> Case:
    x, y = rng.random(5000), rng.random(5000)
    return Case((7,), (96,), [2.0, x, -3.0, y, 5000], {3: 2 * x - 3 * y}, 1e-15)


@case("basics.cu")
def vector_types(rng: np.random.Generator) -> Case:
    n = 1000
    a, c = rng.random((n, 4), f4), rng.integers(-9, 9, (n, 2), i4)
    b = a.copy()
    b[:, 0] += c[:, 0]
    b[:, 3] *= c[:, 1]
    return Case(
        blocks(n, 64), (64,), [a, np.zeros_like(a), c, np.zeros((n, 2)), n], {1: b, 3: b[:, :2].astype(f8)}
    )


@case("basics.cu")
def bytes_and_shorts(rng: np.random.Generator) -> Case:
    n = 999
    d, e, f = (
        rng.integers(0, 256, n, np.uint8),
        rng.integers(-3e4, 3e4, n, np.int16),
        rng.integers(-128, 128, n, np.int8),
    )
    with np.errstate(over="ignore"):
        return Case(
            blocks(n, 128), (128,), [d, e, f, n],
            {0: (d.astype(i4) * 3 + e).astype(np.uint8), 1: (e.astype(i4) - f.astype(i4) * 7).astype(np.int16)},
        )  # fmt: skip


def _integers(x: int, y: int, u: int, w: int, c: int) -> int:
    """The kernel `integers`, number by number."""

    def s32(v: int) -> int:
        v &= 0xFFFFFFFF
        return v - (1 << 32) if v >> 31 else v

    def quotient(a: int, b: int) -> int:
        q = abs(a) // abs(b)
        return q if (a < 0) == (b < 0) else -q

    def bits(v: int, width: int) -> int:
        return bin(v & ((1 << width) - 1)).count("1")

    def lead(v: int, width: int) -> int:
        return width - (v & ((1 << width) - 1)).bit_length()

    m = 0xFFFFFFFF
    d, e = y | 1, w | 1
    r = (s32(quotient(x, d)) + s32(x - quotient(x, d) * d) + u // e + u % e) & m
    r += ((x * y >> 32) & m) ^ (u * w >> 32)
    selector = 0x5210 ^ (x & 0x7777)
    pool = (u | w << 32).to_bytes(8, "little")
    chosen = 0
    for k in range(4):
        pick = selector >> 4 * k & 15
        byte = pool[pick & 7]
        chosen |= (byte if not pick & 8 else (255 if byte & 128 else 0)) << 8 * k
    n = x & 31
    r += (((w << 32 | u) << n >> 32 & m) + chosen) & m
    ffs = (y & -y & m).bit_length()
    least = min(x, y)
    step = (s32(bits(u, 32) + lead(x, 32) + ffs) + int(f"{u:032b}"[::-1], 2) % 1000) & m
    r += (step + least - max(u, w) % 17) & m
    part = (abs(x - y) + 5) % (1 << 32) % 1000003 + (
        s32(abs(x)) // 3 if x != -(1 << 31) else quotient(-(1 << 31), 3)
    )
    r += (part + (x >> (u & 31)) + (u << (w & 31) & m) % 1009) & m
    total = r + x * y + bits(c, 64) + lead(c, 64) + quotient(c, 9) + (c >> 3)
    total &= (1 << 64) - 1
    return total - (1 << 64) if total >> 63 else total


@case("basics.cu")
def integers(rng: np.random.Generator) -> Case:
    n = 500
    a = rng.integers(-(1 << 31), 1 << 31, 2 * n, i4)
    b = rng.integers(0, 1 << 32, 2 * n, u4)
    c = rng.integers(-(1 << 60), 1 << 60, n, np.int64)
    want = [_integers(*(int(v) for v in (a[i], a[i + n], b[i], b[i + n], c[i]))) for i in range(n)]
    return Case(blocks(n, 64), (64,), [a, b, c, n], {2: np.array(want, np.int64)})


@case("basics.cu")
def dot_bytes(rng: np.random.Generator) -> Case:
    w, x = rng.integers(-128, 128, (20, 256), np.int8), rng.integers(-128, 128, 256, np.int8)
    return Case((20,), (32,), [w, x, np.zeros(20, i4), 64], {2: w.astype(i4) @ x.astype(i4)})


@case("basics.cu")
def recursion(rng: np.random.Generator) -> Case:
    numbers = [0, 1]
    while len(numbers) < 13:
        numbers.append(numbers[-1] + numbers[-2])
    return Case((1,), (64,), [np.zeros(64, i4)], {0: np.array([numbers[i % 13] for i in range(64)], i4)})


@case("basics.cu")
def structures(rng: np.random.Generator) -> Case:
    shape = np.array([(np.array([1, 2, 3, 4], f4), 9)], np.dtype([("side", f4, 4), ("kind", i4)]))[0]
    i = np.arange(32)
    weights = np.zeros(16, i4)
    weights[:4] = 1, 2, 3, 5
    want = (
        ((7 * i) & 31) * i
        + np.array([1, 2, 3, 4])[i & 3]
        + weights[i & 15]
        + np.where(i & 1, i * i, i + 1)
        + 9
    )
    return Case((1,), (32,), [np.zeros(32, i4), shape, 7], {0: want.astype(i4)})


@case("basics.cu")
def mandelbrot(rng: np.random.Generator) -> Case:
    w, h, limit = 100, 20, 50
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    cx = f4(-2) + f4(3) * x.astype(f4) / f4(w)
    cy = f4(-1) + f4(2) * y.astype(f4) / f4(h)

    def few_differ(got: Any, want: Any) -> bool:  # rounding differs where products are fused
        return float(np.mean(got != want)) < 0.02

    a, b, k = np.zeros_like(cx), np.zeros_like(cx), np.zeros(cx.shape, i4)
    alive = np.ones(cx.shape, bool)
    for _ in range(limit):
        alive &= a * a + b * b < 4
        t = a * a - b * b + cx
        b = np.where(alive, 2 * a * b + cy, b)
        a = np.where(alive, t, a)
        k += alive
    return Case((1, h), (128,), [np.zeros((h, w), i4), w, h, limit], {0: k}, compare=few_differ)


@case("basics.cu")
def collatz(rng: np.random.Generator) -> Case:
    x = rng.integers(1, 100000, 333, u4)
    want = []
    for v in x.tolist():
        k = 0
        while v != 1:
            v = 3 * v + 1 if v & 1 else v // 2
            k += 1
        want.append(k)
    return Case(blocks(333, 96), (96,), [x, np.zeros(333, i4), 333], {1: np.array(want, i4)})


@case("basics.cu")
def early_exit(rng: np.random.Generator) -> Case:
    want = np.zeros(200, i4)
    for i in range(200):
        if i % 3 == 0:
            continue
        for k in range(10):
            if (i + k) % 7 == 0:
                continue
            if k > i % 11:
                break
            want[i] += k
    return Case((2,), (100,), [np.zeros(200, i4), 10], {0: want})


@case("basics.cu")
def philox(rng: np.random.Generator) -> Case:
    n, seed, m = 300, 12345, 0xFFFFFFFF
    want = []
    for i in range(n):
        c0, c1, c2, c3, k0, k1 = i, 0, 0, 0, seed, seed ^ 0xDEADBEEF
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
            c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & m, (p0 >> 32) ^ c3 ^ k1, p0 & m
            k0, k1 = (k0 + 0x9E3779B9) & m, (k1 + 0xBB67AE85) & m
        want.append(c0 ^ c1 ^ c2 ^ c3)
    return Case(blocks(n, 64), (64,), [seed, np.zeros(n, u4), n], {1: np.array(want, u4)})


# -- together.cu
@case("together.cu")
def reduce(rng: np.random.Generator) -> Case:
    x = rng.random(20000, f4)
    parts = [
        sum(float(x[k : k + 256].sum(dtype=f8)) for k in range(b * 256, 20000, 8 * 256)) for b in range(8)
    ]
    return Case((8,), (256,), [x, np.zeros(8, f4), 20000], {1: np.array(parts, f4)}, 1e-5)


@case("together.cu")
def reduce_tree(rng: np.random.Generator) -> Case:
    x = rng.integers(-1000, 1000, (5, 128), i4)
    return Case((5,), (128,), [x, np.zeros(5, i4)], {1: x.sum(1).astype(i4)}, shared=512)


@case("together.cu")
def argmax(rng: np.random.Generator) -> Case:
    x = rng.random(1000, f4)
    return Case((1,), (32,), [x, np.zeros(1, i4), 1000], {1: np.array([x.argmax()], i4)})


@case("together.cu")
def scan(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 100, 256, i4)
    return Case((1,), (256,), [x, np.zeros(256, i4), 256], {1: np.cumsum(x).astype(i4)}, shared=1024)


@case("together.cu")
def scan_warp(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 100, (6, 32), i4)
    return Case((2,), (96,), [x, np.zeros_like(x)], {1: np.cumsum(x, 1).astype(i4)})


@case("together.cu")
def histogram(rng: np.random.Generator) -> Case:
    d = rng.integers(0, 256, 20000, np.uint8)
    return Case((6,), (128,), [d, np.zeros(256, u4), 20000], {1: np.bincount(d, minlength=256).astype(u4)})


@case("together.cu")
def bitonic_sort(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 1 << 32, (2, 512), u4)
    return Case((2,), (256,), [x.copy()], {0: np.sort(x, 1)})


@case("together.cu")
def odd_even_sort(rng: np.random.Generator) -> Case:
    x = rng.integers(-99, 99, 90, i4)
    return Case((1,), (64,), [x.copy(), 90], {0: np.sort(x)})


@case("together.cu")
def radix_split(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 1 << 32, 256, u4)
    one = (x >> 5 & 1).astype(bool)
    return Case((1,), (256,), [x, np.zeros(256, u4), 5], {1: np.concatenate([x[~one], x[one]])})


@case("together.cu")
def warp_primitives(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 6, (4, 32), i4)
    y, z = np.zeros_like(x), np.zeros(x.shape, u4)
    for w, row in enumerate(x):
        ballot = sum(1 << k for k in range(32) if row[k] > 3)
        for k in range(32):
            same = sum(1 << j for j in range(32) if row[j] == row[k])
            z[w, k] = ballot ^ same ^ ((1 << k) - 1)
            up = row[k - 1] if k % 8 else row[k]
            y[w, k] = 2 + 10 * row[k * 7 & 31] + 1000 * up + 100000 * row.sum() + row.max()
    return Case((2,), (64,), [x, np.zeros_like(x), np.zeros(x.shape, u4)], {1: y, 2: z})


@case("together.cu")
def stream_compaction(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 1000, 700, i4)
    kept = x[x % 3 == 0]
    want = np.zeros(700, i4)
    want[: len(kept)] = np.sort(kept)

    def same_set(got: Any, expected: Any) -> bool:
        return bool((np.sort(got) == np.sort(expected)).all())

    return Case((6,), (128,), [x, np.zeros(700, i4), np.zeros(1, i4), 700], {1: want, 2: np.array([len(kept)], i4)},
                compare=same_set)  # fmt: skip


@case("together.cu")
def atomics(rng: np.random.Generator) -> Case:
    n = 256
    a = np.array([0, 5, 5, 1000], i4)
    b = np.array([0xFFFFFFFF, 0, 0, 0, 0, 0, 0], u4)
    want_a = np.array([n * (n - 1) // 2, n - 1, -(n - 1), 1000 - 2 * n], i4)
    x = 0
    for i in range(n):
        x ^= i
    down = 0
    for _ in range(n):
        down = 9 if down == 0 or down > 9 else down - 1
    want_b = np.array([0xFFFF0000, 0xFFFFFFFF, x, n % 10, down, 77, 5], u4)
    return Case(
        (2,), (128,), [a, b, np.zeros(1, f4), np.zeros(1), np.zeros(1, np.uint64)],
        {0: want_a, 1: want_b, 2: np.array([1.5 * n], f4), 3: np.array([0.25 * n]), 4: np.array([n << 33], np.uint64)},
    )  # fmt: skip


@case("together.cu")
def lock_free_max(rng: np.random.Generator) -> Case:
    x = rng.random(1000, f4)
    return Case(blocks(1000, 128), (128,), [x, np.zeros(1, f4), 1000], {1: x.max(keepdims=True)})


@case("together.cu")
def block_votes(rng: np.random.Generator) -> Case:
    x = rng.integers(-10, 100, (6, 96), i4)
    x[0] = 1
    want = np.stack([(x > 0).sum(1), (x > -5).all(1), (x > 95).any(1)], 1).astype(i4)

    def truths(got: Any, expected: Any) -> bool:
        return bool(
            (got[:, 0] == expected[:, 0]).all() and ((got[:, 1:] != 0) == (expected[:, 1:] != 0)).all()
        )

    return Case((6,), (96,), [x, np.zeros((6, 3), i4)], {1: want}, compare=truths)


@case("together.cu")
def divergent_barriers(rng: np.random.Generator) -> Case:
    x = rng.integers(-99, 99, 256, i4)
    s = np.concatenate([x[:100] + 1, x[100:] * 2]).astype(i4)
    t = np.arange(256)
    return Case(
        (1,), (256,), [x, np.zeros(256, i4)], {1: np.where(t < 100, s[255 - t], s[t - 100]).astype(i4)}
    )


@case("together.cu")
def game_of_life(rng: np.random.Generator) -> Case:
    a = rng.integers(0, 2, (37, 53), np.uint8)
    n = sum(np.roll(a, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy)
    want = ((n == 3) | ((n == 2) & (a == 1))).astype(np.uint8)
    return Case((4, 5), (16, 8), [a, np.zeros_like(a), 53, 37], {1: want})


# -- linear.cu
def _gemm(n: int, tile: int, block: tuple[int, ...], rng: np.random.Generator) -> Case:
    a, b = rng.random((n, n), f4), rng.random((n, n), f4)
    return Case((n // tile, n // tile), block, [a, b, np.zeros((n, n), f4), n], {2: a @ b}, 1e-5)


@case("linear.cu")
def gemm16(rng: np.random.Generator) -> Case:
    return _gemm(64, 16, (16, 16), rng)


@case("linear.cu")
def gemm32(rng: np.random.Generator) -> Case:
    return _gemm(64, 32, (32, 32), rng)


@case("linear.cu")
def gemm_registers(rng: np.random.Generator) -> Case:
    return _gemm(128, 64, (16, 16), rng)


@case("linear.cu")
def gemm_double(rng: np.random.Generator) -> Case:
    a, b = rng.random((50, 50)), rng.random((50, 50))
    return Case((4, 4), (16, 16), [a, b, np.zeros((50, 50)), 50, 0.5], {2: a @ b / 2}, 1e-14)


@case("linear.cu")
def gemm_int8(rng: np.random.Generator) -> Case:
    a, b = rng.integers(-128, 128, (32, 32), np.int8), rng.integers(-128, 128, (32, 32), np.int8)
    return Case((4, 4), (8, 8), [a, b, np.zeros((32, 32), i4), 32], {2: a.astype(i4) @ b.T.astype(i4)})


@case("linear.cu")
def transpose(rng: np.random.Generator) -> Case:
    a = rng.random((70, 90), f4)
    return Case((3, 3), (32, 8), [a, np.zeros((90, 70), f4), 90, 70], {1: a.T})


@case("linear.cu")
def matvec(rng: np.random.Generator) -> Case:
    a, x = rng.random((45, 300), f4), rng.random(300, f4)
    return Case((12,), (128,), [a, x, np.zeros(45, f4), 45, 300], {2: a @ x}, 1e-5)


@case("linear.cu")
def matvec_quantised(rng: np.random.Generator) -> Case:
    rows, columns = 24, 256
    q = rng.integers(0, 16, (rows, columns), np.int64)
    scales, x = rng.random((rows, columns // 32), f4), rng.random(columns, f4) - f4(0.5)
    words = (q.reshape(rows, -1, 8) << (4 * np.arange(8))).sum(2).astype(u4)
    want = ((q - 8) * np.repeat(scales, 32, 1).astype(f8)) @ x
    return Case((rows,), (32,), [words, scales, x, np.zeros(rows, f4), columns], {3: want.astype(f4)}, 1e-5)


@case("linear.cu")
def sparse_matvec(rng: np.random.Generator) -> Case:
    dense = rng.random((100, 80), f4) * (rng.random((100, 80)) < 0.1)
    dense = dense.astype(f4)
    rows, column = np.nonzero(dense)
    start = np.searchsorted(rows, np.arange(101)).astype(i4)
    x = rng.random(80, f4)
    return Case(blocks(100, 32), (32,), [start, column.astype(i4), dense[rows, column], x, np.zeros(100, f4), 100],
                {4: dense @ x}, 1e-5)  # fmt: skip


@case("linear.cu")
def stencil(rng: np.random.Generator) -> Case:
    a = rng.random((60, 75), f4)
    want = np.zeros_like(a)
    c = a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[:-2, 1:-1] + a[2:, 1:-1]
    want[1:-1, 1:-1] = f4(0.2) * c
    return Case((3, 8), (32, 8), [a, np.zeros_like(a), 75, 60], {1: want}, 1e-6)


@case("linear.cu")
def heat3d(rng: np.random.Generator) -> Case:
    a = rng.random((12, 12, 12))
    want = np.zeros_like(a)
    m = slice(1, -1)
    around = a[m, m, :-2] + a[m, m, 2:] + a[m, :-2, m] + a[m, 2:, m] + a[:-2, m, m] + a[2:, m, m]
    want[m, m, m] = a[m, m, m] + 0.1 * (around - 6 * a[m, m, m])
    return Case((2, 3, 3), (8, 4, 4), [a, np.zeros_like(a), 12, 0.1], {1: want}, 1e-14)


@case("linear.cu")
def convolution(rng: np.random.Generator) -> Case:
    a, kernel = rng.random(500, f4), rng.random(7, f4)
    return Case(blocks(500, 128), (128,), [a, kernel, np.zeros(500, f4), 500, 3],
                {2: np.convolve(a, kernel[::-1], "same").astype(f4)}, 1e-5, shared=(128 + 6) * 4)  # fmt: skip


@case("linear.cu")
def fft(rng: np.random.Generator) -> Case:
    x = (rng.random((3, 256)) + 1j * rng.random((3, 256))).astype(np.complex64)
    return Case(
        (3,), (64,), [x.copy(), 8], {0: np.fft.fft(x, axis=1).astype(np.complex64)}, 1e-5, shared=2048
    )


@case("linear.cu")
def grey(rng: np.random.Generator) -> Case:
    p = rng.integers(0, 256, (1000, 4), np.uint8)
    want = (p.astype(i4) @ np.array([77, 150, 29, 0]) + 128 >> 8).astype(np.uint8)
    return Case(blocks(1000, 128), (128,), [p, np.zeros(1000, np.uint8), 1000], {1: want})


@case("linear.cu")
def sobel(rng: np.random.Generator) -> Case:
    a = rng.integers(0, 256, (40, 50), np.uint8)
    p = a.astype(i4)
    gx = p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:] - p[:-2, :-2] - 2 * p[1:-1, :-2] - p[2:, :-2]
    gy = p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:] - p[:-2, :-2] - 2 * p[:-2, 1:-1] - p[:-2, 2:]
    want = np.zeros(a.shape, i4)
    want[1:-1, 1:-1] = abs(gx) + abs(gy)
    return Case((4, 5), (16, 8), [a, np.zeros(a.shape, i4), 50, 40], {1: want})


@case("linear.cu")
def median3(rng: np.random.Generator) -> Case:
    a = rng.integers(0, 256, (30, 41), np.uint8)
    want = np.zeros_like(a)
    windows = np.lib.stride_tricks.sliding_window_view(a, (3, 3)).reshape(28, 39, 9)
    want[1:-1, 1:-1] = np.median(windows, 2)
    return Case((2, 4), (32, 8), [a, np.zeros_like(a), 41, 30], {1: want})


@case("linear.cu")
def nbody(rng: np.random.Generator) -> Case:
    p = rng.random((128, 4), f4)
    d = p[None, :, :3].astype(f8) - p[:, None, :3]
    r = 1 / np.sqrt((d * d).sum(2) + 0.01)
    want = np.zeros((128, 4), f4)
    want[:, :3] = (d * (p[:, 3] * r**3)[:, :, None]).sum(1)
    return Case((2,), (64,), [p, np.zeros((128, 4), f4), 128], {1: want}, 1e-4)


# -- learning.cu
@case("learning.cu")
def softmax(rng: np.random.Generator) -> Case:
    x = rng.standard_normal((4, 500)).astype(f4)
    e = np.exp(x - x.max(1, keepdims=True))
    return Case((4,), (128,), [x, np.zeros_like(x), 500], {1: e / e.sum(1, keepdims=True)}, 1e-5)


@case("learning.cu")
def layer_norm(rng: np.random.Generator) -> Case:
    x, g, b = rng.standard_normal((6, 200)).astype(f4), rng.random(200, f4), rng.random(200, f4)
    want = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * g + b
    return Case((6,), (32,), [x, g, b, np.zeros_like(x), 200], {3: want}, 1e-5)


@case("learning.cu")
def rms_norm(rng: np.random.Generator) -> Case:
    x, g = rng.standard_normal((5, 130)).astype(f4), rng.random(130, f4)
    want = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6) * g
    return Case((5,), (64,), [x, g, np.zeros_like(x), 130], {2: want}, 1e-5)


@case("learning.cu")
def attention(rng: np.random.Generator) -> Case:
    q, k, v = (rng.standard_normal((40, 16)).astype(f4) for _ in range(3))
    s = np.where(np.tril(np.ones((40, 40))), q @ k.T / 4, -1e30)
    e = np.exp(s - s.max(1, keepdims=True))
    want = (e / e.sum(1, keepdims=True) @ v).astype(f4)
    return Case((40,), (32,), [q, k, v, np.zeros((40, 16), f4), 40, 16], {3: want}, 1e-5, shared=160)  # fmt: skip


@case("learning.cu")
def gelu(rng: np.random.Generator) -> Case:
    x = rng.standard_normal(700).astype(f4) * 3
    want = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return Case(blocks(700, 128), (128,), [x, np.zeros_like(x), 700], {1: want}, 1e-5)


@case("learning.cu")
def silu_gate(rng: np.random.Generator) -> Case:
    a, b = rng.standard_normal(700).astype(f4) * 5, rng.standard_normal(700).astype(f4)
    return Case(blocks(700, 128), (128,), [a, b, np.zeros_like(a), 700], {2: a / (1 + np.exp(-a)) * b}, 1e-5)


@case("learning.cu")
def rotary(rng: np.random.Generator) -> Case:
    x = (rng.random((10, 4, 16)) + 1j * rng.random((10, 4, 16))).astype(np.complex64)
    angle = np.arange(10)[:, None] * 10000.0 ** (-np.arange(16) / 16)
    return Case((10,), (64,), [x.copy(), 4, 16], {0: x * np.exp(1j * angle)[:, None, :]}, 1e-4)


@case("learning.cu")
def embedding(rng: np.random.Generator) -> Case:
    tokens, table = rng.integers(0, 50, 30, i4), rng.random((50, 24), f4)
    return Case((30,), (24,), [tokens, table, np.zeros((30, 24), f4), 24], {2: table[tokens]})


@case("learning.cu")
def halves(rng: np.random.Generator) -> Case:
    n = 300
    a, b, c = (rng.standard_normal(2 * n).astype(np.float16) for _ in range(3))
    d = rng.standard_normal(n).astype(np.float16)
    fused = (a.astype(f8) * b.astype(f8) + c.astype(f8)).astype(np.float16)  # a product of halves is exact
    e = (d + d * d).astype(f4) + (d > 1)
    return Case(blocks(n, 64), (64,), [a, b, c.copy(), d, np.zeros(n, f4), n], {2: fused, 4: e.astype(f4)})


@case("learning.cu")
def gemm_half(rng: np.random.Generator) -> Case:
    a, b = rng.random((32, 32)).astype(np.float16), rng.random((32, 32)).astype(np.float16)
    return Case((2, 4), (16, 8), [a, b, np.zeros((32, 32), f4), 32], {2: a.astype(f4) @ b.astype(f4)}, 1e-5)


def _brain(x: Any) -> Any:
    """Floats rounded to brain floats, as bits."""
    bits = np.asarray(x, f4).view(u4).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


@case("learning.cu")
def brain_floats(rng: np.random.Generator) -> Case:
    x, f = rng.standard_normal(400).astype(f4), _brain(rng.standard_normal(400))
    wide = (f.astype(u4) << 16).view(f4) + (_brain(x).astype(u4) << 16).view(f4)
    return Case(blocks(400, 64), (64,), [f, np.zeros(400, np.uint16), x, 400], {1: _brain(wide)})


@case("learning.cu")
def functions(rng: np.random.Generator) -> Case:
    from math import erf

    x = (rng.random(200, f4) * 8 + f4(0.01)).astype(f4)
    d = x.astype(f8)
    want = [np.sin(d), np.cos(d), np.exp(d), np.log(d), d**1.7, np.tanh(d), [erf(v) for v in d], np.cbrt(d),
            np.arctan2(d, 2), np.log1p(d), np.sqrt(d) + np.floor(d) + np.rint(d) + np.fmod(d, 3)]  # fmt: skip

    def each(got: Any, expected: Any) -> bool:
        return bool((abs(got - expected) <= 4e-7 * np.maximum(abs(expected), 1)).all())

    return Case(blocks(200, 64), (64,), [x, np.zeros((11, 200), f4), 200], {1: np.array(want)}, compare=each)


@case("learning.cu")
def functions_double(rng: np.random.Generator) -> Case:
    x = rng.random(100) * 8 + 0.01
    want = [
        np.sin(x),
        np.exp(x),
        np.log(x),
        x**2.5,
        np.tanh(x),
        np.sqrt(x) + x / 3.1 + np.floor(x) + (x * x + x),
    ]

    def each(got: Any, expected: Any) -> bool:
        return bool((abs(got - expected) <= 1e-15 * 4 * np.maximum(abs(expected), 1)).all())

    return Case(blocks(100, 64), (64,), [x, np.zeros((6, 100)), 100], {1: np.array(want)}, compare=each)


# -- groups.cu
@case("groups.cu")
def groups(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 100, (6, 32), i4)
    return Case((2,), (96,), [x, np.zeros(6, i4)], {1: x.sum(1).astype(i4)})
