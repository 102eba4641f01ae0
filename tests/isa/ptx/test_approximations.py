"""Approximate functions stay within the manual's bounds, and the rest of the forms give what the manual says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from polyvm import gpu
from tests.compute.conftest import opened

np: Any = pytest.importorskip("numpy", reason="NumPy judges: pip install 'polyvm[gpu]'")

HEAD = ".version 8.3\n.target sm_90\n.address_size 64\n"


def run(body: str, arrays: list[Any], count: int, results: int = 1, dtype: Any = np.float32) -> Any:
    """Run one instruction for each thread: %a, %b, %c are 32-bit operands, %o, %q, ... what it gives."""
    names = "abc"[: len(arrays)]
    loads = "".join(f"ld.global.b32 %{n}, [%i+{4 * count * k}];\n" for k, n in enumerate(names))
    stores = "".join(f"st.global.b32 [%j+{4 * count * k}], %{n};\n" for k, n in enumerate("oqrs"[:results]))
    text = f"""{HEAD}.visible .entry k(.param .u64 x, .param .u64 y) {{
    .reg .b32 %a, %b, %c, %o, %q, %r, %s, %t; .reg .b64 %i, %j, %k, %l<4>; .reg .b16 %h<8>; .reg .pred %p, %v;
    .reg .f32 %f<4>; .reg .f64 %g<4>;
    ld.param.u64 %i, [x]; ld.param.u64 %j, [y]; mov.u32 %t, %tid.x; mul.wide.u32 %k, %t, 4;
    add.s64 %i, %i, %k; add.s64 %j, %j, %k;
    {loads}{body}
    {stores}ret; }}"""
    data = np.concatenate([np.asarray(a).view(np.uint32) for a in arrays])
    with opened("host", timeout=20) as context:
        x, y = context.array(data), context.allocate(4 * count * results)
        gpu.launch(gpu.LaunchConfig(1, count), context.program(text, "ptx").compile().kernel("k"), x, y)
        context.synchronize()
        return y.read(np.empty((results, count), dtype))


X = np.concatenate([np.linspace(-10, 10, 200), [0.0, 1e-30, 1e30, 100, -100]]).astype(np.float32)
POSITIVE = np.concatenate([np.linspace(1e-3, 50, 200), [1e-30, 1e-40, 1e30, 1, 2]]).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "inputs", "exact", "relative", "absolute"),
    [
        ("ex2.approx.f32", X, np.exp2, 2.0**-22, 0), ("ex2.approx.ftz.f32", X, np.exp2, 2.0**-22, 2.0**-126),
        ("lg2.approx.f32", POSITIVE, np.log2, 2.0**-21, 2.0**-22), ("rcp.approx.f32", POSITIVE, lambda v: 1 / v, 2.0**-23, 0),
        ("rsqrt.approx.f32", POSITIVE, lambda v: 1 / np.sqrt(v), 2.0**-22, 0), ("sqrt.approx.f32", POSITIVE, np.sqrt, 2.0**-22, 0),
        ("sin.approx.f32", X[:200], np.sin, 0, 2.0**-20), ("cos.approx.f32", X[:200], np.cos, 0, 2.0**-20),
        ("tanh.approx.f32", X, np.tanh, 2.0**-11, 1e-30),
    ],
)  # fmt: skip
def test_within_the_bounds(
    name: str, inputs: Any, exact: Callable[[Any], Any], relative: float, absolute: float
) -> None:
    got = run(f"{name} %o, %a;", [inputs], len(inputs))[0]
    with np.errstate(all="ignore"):
        want = exact(inputs.astype(np.float64))
        near = np.isclose(got, want, relative, absolute) | (want > np.finfo(np.float32).max) & np.isinf(got)
    assert near.all(), [
        (float(i), float(g), float(w)) for i, g, w in zip(inputs[~near], got[~near], want[~near], strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        ("ex2", math.inf, math.inf), ("ex2", -math.inf, 0.0), ("lg2", 0.0, -math.inf), ("lg2", -1.0, math.nan),
        ("lg2", math.inf, math.inf), ("sin", math.inf, math.nan), ("cos", 0.0, 1.0), ("rcp", 0.0, math.inf), ("rsqrt", -1.0, math.nan),
        ("ex2", math.nan, math.nan), ("lg2", math.nan, math.nan),
    ],
)  # fmt: skip
def test_special_values(name: str, value: float, want: float) -> None:
    got = float(run(f"{name}.approx.f32 %o, %a;", [np.array([value], np.float32)], 1)[0, 0])
    assert (math.isnan(got) and math.isnan(want)) or got == want


def test_bits_that_are_chosen() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(0, 1 << 32, 64, np.uint32) for _ in range(3))
    got = run("lop3.b32 %o, %a, %b, %c, 0xE8; selp.b32 %q, %a, %b, %p; slct.u32.s32 %r, %a, %b, %c; dp2a.hi.s32.u32 %s, %a, %b, %c;",
              [a, b, c], 64, 4, np.uint32)  # fmt: skip
    np.testing.assert_array_equal(got[0], (a & b) | (a & c) | (b & c))  # the majority
    np.testing.assert_array_equal(got[1], b)  # %p was never written: false
    np.testing.assert_array_equal(got[2], np.where(c >> 31, b, a))
    x, y = a.view(np.int16).reshape(-1, 2).astype(np.int64), b.view(np.uint8).reshape(-1, 4).astype(np.int64)
    want = c.astype(np.int64) + x[:, 0] * y[:, 2] + x[:, 1] * y[:, 3]
    np.testing.assert_array_equal(got[3], want.astype(np.uint32))


def test_kinds_of_numbers() -> None:
    x = np.array([0.0, -0.0, 1.0, 1e-40, math.inf, -math.inf, math.nan, -3.0], np.float32)
    want = {
        "finite": np.isfinite(x), "infinite": np.isinf(x), "number": ~np.isnan(x), "notanumber": np.isnan(x),
        "normal": np.isfinite(x) & (abs(x) >= 2.0**-126), "subnormal": abs(x) == np.float32(1e-40),
    }  # fmt: skip
    for kind, truth in want.items():
        got = run(f"testp.{kind}.f32 %p, %a; selp.u32 %o, 1, 0, %p;", [x], 8, 1, np.uint32)[0]
        np.testing.assert_array_equal(got != 0, truth, kind)


def test_the_nth_set_bit() -> None:
    a = np.full(40, 0b1011_0000, np.uint32)
    b = np.array(([0] * 5 + [5] * 5 + [31] * 5 + [7] * 5) * 2, np.uint32)
    c = np.array([1, 2, 3, 4, 0] * 4 + [-1, -2, -3, -4, 0] * 4, np.int32)

    def fns(mask: int, base: int, offset: int) -> int:
        """PTX ISA 9.7.1.17: the pseudocode."""
        pos, remain, step = (base, 0, 0) if offset == 0 else (base, abs(offset) - 1, 1 if offset > 0 else -1)
        while 0 <= pos < 32:
            if mask >> pos & 1:
                if remain == 0:
                    return pos
                remain -= 1
            if step == 0:
                break
            pos += step
        return 0xFFFFFFFF

    got = run("fns.b32 %o, %a, %b, %c;", [a, b, c], 40, 1, np.uint32)[0]
    assert got.tolist() == [fns(*(int(v) for v in row)) for row in zip(a, b, c, strict=True)]


def test_packed_halves_and_brain_floats() -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal(128).astype(np.float16) for _ in range(2))
    body = "add.f16x2 %o, %a, %b; mul.f16x2 %q, %a, %b; min.f16x2 %r, %a, %b; set.lt.f16x2.f16x2 %s, %a, %b;"
    got = run(body, [a, b], 64, 4, np.uint32).view(np.float16)
    for row, want in zip(got, (a + b, a * b, np.minimum(a, b), (a < b).astype(np.float16)), strict=True):
        np.testing.assert_array_equal(row, want)
    x, y = (rng.standard_normal(64).astype(np.float32) for _ in range(2))
    got = run(
        "cvt.rn.bf16x2.f32 %o, %a, %b; max.bf16x2 %q, %o, %o; neg.bf16x2 %r, %o; abs.bf16x2 %s, %r;",
        [x, y],
        64,
        4,
        np.uint32,
    )

    def brain(v: Any) -> Any:
        bits = v.view(np.uint32).astype(np.uint64)
        return (bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)

    want = (brain(x) << np.uint64(16) | brain(y)).astype(np.uint32)
    np.testing.assert_array_equal(got[0], want)
    np.testing.assert_array_equal(got[1], want)
    np.testing.assert_array_equal(got[2], want ^ np.uint32(0x80008000))
    np.testing.assert_array_equal(got[3], want & np.uint32(0x7FFF7FFF))


def test_gross_reciprocals_of_doubles() -> None:
    body = """cvt.f64.f32 %g1, %a; rcp.approx.ftz.f64 %g2, %g1; rsqrt.approx.ftz.f64 %g3, %g1;
    cvt.rn.f32.f64 %o, %g2; cvt.rn.f32.f64 %q, %g3; mov.b64 {%r, %s}, %g2;"""
    x = POSITIVE[:200]
    got = run(body, [x], 200, 4, np.float32)
    np.testing.assert_allclose(got[0], 1 / x, 1e-5)
    np.testing.assert_allclose(got[1], 1 / np.sqrt(x), 1e-5)
    assert not got[2].view(np.uint32).any()  # the lower half is zero
