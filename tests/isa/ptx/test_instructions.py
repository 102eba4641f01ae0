"""PTX instructions bit for bit: against plain integers, and for floats against `ir.softfloat`, which TestFloat judges.

Each instruction runs on vectors, with an operand for each thread, and once more on scalars, with operands that are
parameters: both must give the same. NaNs are compared as NaNs where the manual leaves their payload open.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from polyvm.compute.simt.program import Program
from polyvm.errors import PolyvmError
from polyvm.ir import softfloat as soft
from polyvm.isa.ptx import load, manual, syntax

np: Any = pytest.importorskip(
    "numpy", reason="the device's memory is filled by NumPy: pip install 'polyvm[gpu]'"
)

HEAD = ".version 8.3\n.target sm_80\n.address_size 64\n"
SIZE = {"16": 2, "32": 4, "64": 8, "p": 4}


@dataclass(frozen=True)
class Op:
    """An instruction, the widths of its result and its operands, what it gives; nan: bits of a format with free NaNs."""

    text: str
    result: int
    operands: tuple[int, ...]
    meaning: Callable[..., int]
    nan: int = 0
    special: str = ""  # which values its operands have: "f" floats


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def quotient(a: int, b: int) -> int:
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def integers() -> list[Op]:
    made: list[Op] = []
    for kind, bits in (("s16", 16), ("u16", 16), ("s32", 32), ("u32", 32), ("s64", 64), ("u64", 64)):
        is_s = kind[0] == "s"

        def val(x: int, b: int = bits, s: bool = is_s) -> int:
            return signed(x, b) if s else x & ((1 << b) - 1)

        def op(
            text: str,
            meaning: Callable[..., int],
            result: int = bits,
            operands: tuple[int, ...] = (bits, bits),
        ) -> None:
            made.append(Op(text, result, operands, meaning))

        def divided(a: int, b: int, v: Any = val, s: bool = is_s) -> int:
            return -1 if v(b) == 0 else quotient(v(a), v(b))

        def rest(a: int, b: int, v: Any = val) -> int:
            return a if v(b) == 0 else v(a) - quotient(v(a), v(b)) * v(b)

        op(f"add.{kind}", lambda a, b: a + b)
        op(f"sub.{kind}", lambda a, b: a - b)
        op(f"mul.lo.{kind}", lambda a, b: a * b)
        op(f"mul.hi.{kind}", lambda a, b, v=val, n=bits: v(a) * v(b) >> n)
        op(f"div.{kind}", divided)
        op(f"rem.{kind}", rest)
        op(f"min.{kind}", lambda a, b, v=val: min(v(a), v(b)))
        op(f"max.{kind}", lambda a, b, v=val: max(v(a), v(b)))
        op(f"mad.lo.{kind}", lambda a, b, c: a * b + c, bits, (bits,) * 3)
        op(f"sad.{kind}", lambda a, b, c, v=val: abs(v(a) - v(b)) + c, bits, (bits,) * 3)
        op(f"shr.{kind}", lambda a, b, v=val, n=bits: v(a) >> min(b, n), bits, (bits, 32))
        if bits < 64:
            op(f"mul.wide.{kind}", lambda a, b, v=val: v(a) * v(b), 2 * bits)
            op(f"mad.wide.{kind}", lambda a, b, c, v=val: v(a) * v(b) + c, 2 * bits, (bits, bits, 2 * bits))
        if is_s:
            op(f"abs.{kind}", lambda a, v=val: abs(v(a)), bits, (bits,))
            op(f"neg.{kind}", lambda a: -a, bits, (bits,))
    for bits in (32, 64):
        mask = (1 << bits) - 1

        def reverse(a: int, n: int = bits) -> int:
            return int(f"{a:0{n}b}"[::-1], 2)

        made += [
            Op(f"popc.b{bits}", 32, (bits,), lambda a: a.bit_count()),
            Op(f"clz.b{bits}", 32, (bits,), lambda a, n=bits: n - a.bit_length()),
            Op(f"bfind.u{bits}", 32, (bits,), lambda a: a.bit_length() - 1),
            Op(f"bfind.shiftamt.u{bits}", 32, (bits,), lambda a, n=bits: n - a.bit_length() if a else -1),
            Op(
                f"bfind.s{bits}",
                32,
                (bits,),
                lambda a, n=bits, m=mask: (a ^ (m if a >> (n - 1) else 0)).bit_length() - 1,
            ),
            Op(f"brev.b{bits}", bits, (bits,), reverse),
            Op(f"shl.b{bits}", bits, (bits, 32), lambda a, b, n=bits: a << b if b < n else 0),
            Op(f"not.b{bits}", bits, (bits,), lambda a: ~a),
            Op(f"cnot.b{bits}", bits, (bits,), lambda a: int(a == 0)),
            Op(f"and.b{bits}", bits, (bits, bits), lambda a, b: a & b),
            Op(f"xor.b{bits}", bits, (bits, bits), lambda a, b: a ^ b),
            Op(f"bfe.u{bits}", bits, (bits, 32, 32), lambda a, b, c: a >> (b & 255) & ((1 << (c & 255)) - 1)),
            Op(f"bfe.s{bits}", bits, (bits, 32, 32), lambda a, b, c, n=bits: _bfe(a, b & 255, c & 255, n)),
            Op(
                f"bfi.b{bits}",
                bits,
                (bits, bits, 32, 32),
                lambda a, b, c, d, n=bits: _bfi(a, b, c & 255, d & 255, n),
            ),
        ]
    made += [
        Op("add.sat.s32", 32, (32, 32), lambda a, b: max(-(1 << 31), min((1 << 31) - 1, signed(a, 32) + signed(b, 32)))),
        Op("sub.sat.s32", 32, (32, 32), lambda a, b: max(-(1 << 31), min((1 << 31) - 1, signed(a, 32) - signed(b, 32)))),
        Op("mul24.lo.s32", 32, (32, 32), lambda a, b: signed(a, 24) * signed(b, 24)),
        Op("mul24.hi.u32", 32, (32, 32), lambda a, b: (a & 0xFFFFFF) * (b & 0xFFFFFF) >> 16),
        Op("shf.l.wrap.b32", 32, (32, 32, 32), lambda a, b, c: (b << 32 | a) << (c & 31) >> 32),
        Op("shf.l.clamp.b32", 32, (32, 32, 32), lambda a, b, c: (b << 32 | a) << min(c, 32) >> 32),
        Op("shf.r.wrap.b32", 32, (32, 32, 32), lambda a, b, c: (b << 32 | a) >> (c & 31)),
        Op("shf.r.clamp.b32", 32, (32, 32, 32), lambda a, b, c: (b << 32 | a) >> min(c, 32)),
        Op("prmt.b32", 32, (32, 32, 32), _prmt),
        Op("prmt.b32.f4e", 32, (32, 32, 32), lambda a, b, c: _bytes(a, b, [(c & 3) + i for i in range(4)])),
        Op("prmt.b32.b4e", 32, (32, 32, 32), lambda a, b, c: _bytes(a, b, [((c & 3) - i) & 7 for i in range(4)])),
        Op("prmt.b32.rc16", 32, (32, 32, 32), lambda a, b, c: _bytes(a, b, [2 * (c & 1) + (i & 1) for i in range(4)])),
        Op("dp4a.s32.s32", 32, (32, 32, 32), lambda a, b, c: _dot(a, b, c, True, True)),
        Op("dp4a.u32.s32", 32, (32, 32, 32), lambda a, b, c: _dot(a, b, c, False, True)),
        Op("szext.clamp.s32", 32, (32, 32), lambda a, b: signed(a, b) if 0 < b < 32 else a if b else 0),
        Op("bmsk.clamp.b32", 32, (32, 32), lambda a, b: ((1 << min(b, 32)) - 1) << min(a, 64)),
        Op("cvt.sat.u8.s32", 32, (32,), lambda a: max(0, min(255, signed(a, 32)))),
        Op("cvt.sat.s16.u32", 32, (32,), lambda a: min(a, 32767)),
        Op("cvt.s64.s32", 64, (32,), lambda a: signed(a, 32)),
        Op("cvt.s8.s32", 32, (32,), lambda a: signed(a, 8)),
    ]  # fmt: skip
    return made


def _bfe(a: int, pos: int, length: int, bits: int) -> int:
    """PTX ISA 9.7.1.20, the pseudocode."""
    msb = bits - 1
    sign = 0 if length == 0 else a >> min(pos + length - 1, msb) & 1
    return sum((a >> (pos + i) & 1 if i < length and pos + i <= msb else sign) << i for i in range(bits))


def _bfi(a: int, b: int, pos: int, length: int, bits: int) -> int:
    """PTX ISA 9.7.1.21, the pseudocode."""
    for i in range(length):
        if pos + i < bits:
            bit = a >> i & 1 if i < bits else 0
            b = b & ~(1 << (pos + i)) | bit << (pos + i)
    return b


def _bytes(a: int, b: int, picks: list[int]) -> int:
    pool = (b << 32 | a).to_bytes(8, "little")
    return int.from_bytes(bytes(pool[p] for p in picks), "little")


def _prmt(a: int, b: int, c: int) -> int:
    pool = (b << 32 | a).to_bytes(8, "little")
    out = 0
    for i in range(4):
        pick = c >> 4 * i & 15
        byte = pool[pick & 7]
        out |= ((255 if byte & 128 else 0) if pick & 8 else byte) << 8 * i
    return out


def _dot(a: int, b: int, c: int, sa: bool, sb: bool) -> int:
    for i in range(4):
        x, y = a >> 8 * i & 255, b >> 8 * i & 255
        c += (signed(x, 8) if sa else x) * (signed(y, 8) if sb else y)
    return c


MODES = {"rn": 0, "rz": 1, "rm": 2, "rp": 3}


def floats() -> list[Op]:
    made: list[Op] = []

    def op(text: str, bits: int, count: int, meaning: Callable[..., int], result: int = 0) -> None:
        made.append(Op(text, result or bits, (bits,) * count, meaning, result or bits, "f"))

    for mode, rm in MODES.items():
        op(f"add.{mode}.f32", 32, 2, lambda a, b, r=rm: soft.add(32, a, b, r)[0])
        op(f"sub.{mode}.f32", 32, 2, lambda a, b, r=rm: soft.sub(32, a, b, r)[0])
        op(f"mul.{mode}.f32", 32, 2, lambda a, b, r=rm: soft.mul(32, a, b, r)[0])
        op(f"div.{mode}.f32", 32, 2, lambda a, b, r=rm: soft.div(32, a, b, r)[0])
        op(f"fma.{mode}.f32", 32, 3, lambda a, b, c, r=rm: soft.fma(32, a, b, c, r)[0])
        op(f"sqrt.{mode}.f32", 32, 1, lambda a, r=rm: soft.sqrt(32, a, r)[0])
        op(f"add.{mode}.f64", 64, 2, lambda a, b, r=rm: soft.add(64, a, b, r)[0])
        op(f"cvt.{mode}.f32.f64", 64, 1, lambda a, r=rm: soft.convert(64, 32, a, r)[0], 32)
    for bits, kind in ((64, "f64"), (32, "f32")):
        op(f"mul.rn.{kind}", bits, 2, lambda a, b, w=bits: soft.mul(w, a, b, 0)[0])
        op(f"div.rn.{kind}", bits, 2, lambda a, b, w=bits: soft.div(w, a, b, 0)[0])
        op(f"fma.rn.{kind}", bits, 3, lambda a, b, c, w=bits: soft.fma(w, a, b, c, 0)[0])
        op(f"sqrt.rn.{kind}", bits, 1, lambda a, w=bits: soft.sqrt(w, a, 0)[0])
        op(f"min.{kind}", bits, 2, lambda a, b, w=bits: _extreme(w, a, b, "min"))
        op(f"max.{kind}", bits, 2, lambda a, b, w=bits: _extreme(w, a, b, "max"))
        for mode, rm in (("rni", 0), ("rzi", 1), ("rmi", 2), ("rpi", 3)):
            op(
                f"cvt.{mode}.{kind}.{kind}",
                bits,
                1,
                lambda a, w=bits, r=rm: soft.round_to_int(w, a, r, False)[0],
            )
            for to in ("s32", "u32", "s64", "u64"):
                made.append(Op(f"cvt.{mode}.{to}.{kind}", int(to[1:]), (bits,),
                               lambda a, w=bits, r=rm, t=to: _to_int(w, a, t, r), 0, "f"))  # fmt: skip
    for of in ("s32", "u32", "s64", "u64"):
        for to in (32, 64):
            for mode, rm in MODES.items():
                made.append(Op(f"cvt.{mode}.f{to}.{of}", to, (int(of[1:]),),
                               lambda a, w=int(of[1:]), s=of[0] == "s", t=to, r=rm: soft.from_int(a, w, s, t, r)[0]))  # fmt: skip
    op("cvt.rn.f16.f32", 32, 1, lambda a: _canonical(soft.convert(32, 16, a, 0)[0]), 16)
    op("cvt.rz.f16.f32", 32, 1, lambda a: _canonical(soft.convert(32, 16, a, 1)[0]), 16)
    op("cvt.f32.f16", 16, 1, lambda a: soft.convert(16, 32, a, 0)[0], 32)
    op("add.f16", 16, 2, lambda a, b: soft.add(16, a, b, 0)[0])
    op("mul.f16", 16, 2, lambda a, b: soft.mul(16, a, b, 0)[0])
    op("fma.rn.f16", 16, 3, lambda a, b, c: soft.fma(16, a, b, c, 0)[0])
    op("add.ftz.f32", 32, 2, lambda a, b: _flushed(soft.add(32, _flushed(a), _flushed(b), 0)[0]))
    op("mul.ftz.f32", 32, 2, lambda a, b: _flushed(soft.mul(32, _flushed(a), _flushed(b), 0)[0]))
    op("mul.sat.f32", 32, 2, lambda a, b: _saturated(soft.mul(32, a, b, 0)[0]))
    op("copysign.f32", 32, 2, lambda a, b: a & 1 << 31 | b & 0x7FFFFFFF)
    for relation in (
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "equ",
        "neu",
        "ltu",
        "leu",
        "gtu",
        "geu",
        "num",
        "nan",
    ):
        made.append(
            Op(f"set.{relation}.u32.f32", 32, (32, 32), lambda a, b, r=relation: _related(r, a, b), 0, "f")
        )
    return made


def _number(a: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", a))[0])


def _related(relation: str, a: int, b: int) -> int:
    x, y = _number(a), _number(b)
    unordered = x != x or y != y
    if relation in ("num", "nan"):
        return -int(unordered == (relation == "nan"))
    truth = {"eq": x == y, "ne": x != y, "lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y}[relation[:2]]
    return -int((truth and not unordered) or (unordered and len(relation) == 3))


def _extreme(bits: int, a: int, b: int, which: str) -> int:
    fraction = {32: 23, 64: 52}[bits]
    top = (1 << (bits - 1)) - (1 << fraction)

    def nan(x: int) -> bool:
        return x & ((1 << (bits - 1)) - 1) > top

    if nan(a) and nan(b):
        return 0x7FFFFFFF if bits == 32 else 0x7FF8000000000000
    if nan(a) or nan(b):
        return b if nan(a) else a

    def key(x: int) -> int:
        return ~x & ((1 << bits) - 1) if x >> (bits - 1) else x | 1 << (bits - 1)

    return (min if which == "min" else max)(a, b, key=key)


def _to_int(bits: int, a: int, to: str, rm: int) -> int:
    width = int(to[1:])
    fraction = {32: 23, 64: 52}[bits]
    if a & ((1 << (bits - 1)) - 1) > (1 << (bits - 1)) - (1 << fraction):
        return 1 << (width - 1) if bits == 64 or width == 64 else 0
    return int(soft.to_int(bits, a, rm, width, to[0] == "s")[0])


def _canonical(half: int) -> int:
    return 0x7FFF if half & 0x7FFF > 0x7C00 else half


def _flushed(a: int) -> int:
    return a & 1 << 31 if not a & 0x7F800000 else a


def _saturated(a: int) -> int:
    x = _number(a)
    if not x > 0:
        return 0
    return 0x3F800000 if x >= 1 else a


INTEGERS, FLOATS = integers(), floats()
SPECIAL = {
    16: [0, 0x8000, 1, 0x8001, 0x3FF, 0x400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01, 0x3555],
    32: [0, 1 << 31, 1, 0x80000001, 0x7FFFFF, 0x800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000,
         0xFF800000, 0x7FC00000, 0x7F800001, 0x4F000000, 0xCF000000, 0x4F800000, 0x5F000000, 0x3F000000, 0x40490FDB],
    64: [0, 1 << 63, 1, 0x8000000000000001, 0xFFFFFFFFFFFFF, 0x10000000000000, 0x3FF0000000000000, 0xBFF0000000000000,
         0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000,
         0x41E0000000000000, 0x43E0000000000000, 0x3FE0000000000000, 0x47EFFFFFE0000000, 0x380FFFFFFFFFFFFF],
}  # fmt: skip


def values(bits: int, kind: str, count: int, rng: random.Random) -> list[int]:
    made = []
    for _ in range(count):
        pick = rng.random()
        if kind == "f" and pick < 0.4:
            made.append(rng.choice(SPECIAL[bits]))
        elif kind == "f" and pick < 0.8:  # numbers near each other, so that sums cancel and round
            exponent = {16: (10, 15, 3), 32: (23, 127, 4), 64: (52, 1023, 5)}[bits]
            e = exponent[1] + rng.randint(-exponent[2], exponent[2])
            made.append(rng.getrandbits(1) << (bits - 1) | e << exponent[0] | rng.getrandbits(exponent[0]))
        elif pick < 0.3:
            made.append(
                rng.choice(
                    [0, 1, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1, bits, bits - 1, 31, 33]
                )
            )
        elif pick < 0.6:
            made.append(rng.getrandbits(rng.randint(1, bits)))
        else:
            made.append(rng.getrandbits(bits))
    return made


def kernel(ops: list[Op], uniform: bool) -> str:
    """Every operation on operand arrays `i`, into result arrays `o`; uniform: of thread 0's operands, for all."""
    lines = [
        HEAD + ".visible .entry k(.param .u64 i, .param .u64 o)\n{",
        ".reg .b16 %h<10>; .reg .b32 %r<10>; .reg .b64 %d<10>; .reg .b64 %a<4>; .reg .b32 %t<2>;",
        "ld.param.u64 %a1, [i]; ld.param.u64 %a2, [o]; mov.u32 %t1, %tid.x; mul.wide.u32 %a3, %t1, 8;",
        "add.s64 %a2, %a2, %a3;",
    ]
    if not uniform:
        lines.append("add.s64 %a1, %a1, %a3;")
    at = 0
    for number, op in enumerate(ops):
        names = []
        for k, bits in enumerate(op.operands):
            name = {16: "%h", 32: "%r", 64: "%d"}[bits] + str(k + 1)
            lines.append(f"ld.global.b{bits} {name}, [%a1+{at * 512}];")
            at += 1
            names.append(name)
        target = {16: "%h", 32: "%r", 64: "%d"}[op.result] + "9"
        lines.append(f"{op.text} {target}, {', '.join(names)};")
        lines.append(f"st.global.b{op.result} [%a2+{number * 512}], {target};")
    return "\n".join([*lines, "ret;\n}"])


def run(ops: list[Op], rng: random.Random, context: Any) -> None:
    from polyvm import gpu

    inputs, count = [], 64
    for op in ops:
        for n, bits in enumerate(op.operands):
            # Shift amounts and places are small numbers more often than not.
            small = not op.special and n and bits == 32 and len(op.operands) > 1 and rng.random() < 0.5
            inputs.append([v % 70 if small else v for v in values(bits, op.special, count, rng)])
    array = np.array(inputs, np.uint64)
    with context.array(array) as i, context.array(np.zeros((len(ops), count), np.uint64)) as o:
        results = []
        for uniform in (False, True):
            module = context.program(kernel(ops, uniform), "ptx").compile()
            gpu.launch(gpu.LaunchConfig(1, count), module.kernel("k"), i, o)
            context.synchronize()
            results.append(o.read(np.zeros((len(ops), count), np.uint64)))
    at = 0
    for number, op in enumerate(ops):
        mask = (1 << op.result) - 1
        operands = inputs[at : at + len(op.operands)]
        at += len(op.operands)
        for lane in range(count):
            mine = [column[lane] for column in operands]
            want = op.meaning(*mine) & mask
            got = int(results[0][number, lane]) & mask
            assert _same(op, got, want), f"{op.text} {[hex(v) for v in mine]}: {got:#x}, not {want:#x}"
        want = op.meaning(*(column[0] for column in operands)) & mask
        got = int(results[1][number, 5]) & mask
        assert _same(op, got, want), f"uniform {op.text}: {got:#x}, not {want:#x}"


def _same(op: Op, got: int, want: int) -> bool:
    if op.nan:
        fraction = {16: 10, 32: 23, 64: 52}[op.nan]
        top = (1 << (op.nan - 1)) - (1 << fraction)
        low = (1 << (op.nan - 1)) - 1
        if want & low > top:
            return got & low > top
    return got == want


@pytest.mark.parametrize("part", range(8))
def test_bit_for_bit(part: int, full: bool) -> None:
    from tests.compute.conftest import opened

    ops = [*INTEGERS, *FLOATS][part::8]
    with opened("host") as context:
        for turn in range(20 if full else 1):
            run(ops, random.Random(part * 100 + turn), context)


def test_carries_are_handed_on() -> None:
    from polyvm import gpu
    from tests.compute.conftest import opened

    text = (
        HEAD
        + """.visible .entry k(.param .u64 x, .param .u64 y) {
    .reg .b32 %r<20>; .reg .b64 %d<5>;
    ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 16;
    add.s64 %d1, %d1, %d3; add.s64 %d2, %d2, %d3;
    ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d1];
    add.cc.u32 %r6, %r2, %r4; addc.u32 %r7, %r3, %r5;
    sub.cc.u32 %r8, %r2, %r4; subc.u32 %r9, %r3, %r5;
    st.global.v4.u32 [%d2], {%r6, %r7, %r8, %r9}; ret; }"""
    )
    rng = np.random.default_rng(1)
    x = rng.integers(0, 1 << 63, (100, 2), np.uint64) * np.uint64(2)
    with opened("host") as context, context.array(x) as a, context.array(np.zeros_like(x)) as b:
        gpu.launch(gpu.LaunchConfig(1, 100), context.program(text, "ptx").compile().kernel("k"), a, b)
        context.synchronize()
        got = b.read(np.zeros_like(x))
    np.testing.assert_array_equal(got[:, 0], x[:, 0] + x[:, 1])
    np.testing.assert_array_equal(got[:, 1], x[:, 0] - x[:, 1])


def test_every_form_is_in_the_manual() -> None:
    listed = {name.partition(".")[0] for text in manual.EXTENSIONS.values() for name in text.split()}
    assert set(load()) <= listed
    assert set(manual.PARTIAL) <= {name for text in manual.EXTENSIONS.values() for name in text.split()}


def test_coverage_lists_everything() -> None:
    from polyvm.isa import coverage

    found = coverage.document("ptx")
    states = {manual.state(name) for text in manual.EXTENSIONS.values() for name in text.split()}
    assert states == {"done", "partial", "refused"}
    assert found["encodings"]["total"] == sum(part["insns"] for part in found["extensions"])
    assert found["encodings"]["total"] == found["encodings"]["done"] + found["encodings"]["refused"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("bra nowhere;", "PVM-GPU-PTX"), ("add.s32 %r1, %r2;", "PVM-UNSUPPORTED"), ("add.s32 %r1, %r2, %d1;", "PVM-GPU-PTX"),
        ("add.s32 %r1, %r2, %x1;", "PVM-GPU-PTX"), ("frobnicate.s32 %r1;", "PVM-UNSUPPORTED"), ("add.f33 %r1, %r2, %r3;", "PVM-UNSUPPORTED"),
        ("ld.global.u32 %r1, [%h1];", "PVM-GPU-PTX"), ("tcgen05.alloc.b32 [%d1], 32;", "PVM-UNSUPPORTED"), ("mov.u32 %r1, nothing;", "PVM-GPU-PTX"),
        ("st.global.v2.u32 [%d1], {%r1};", "PVM-GPU-PTX"), ("bar.arrive 0, 32;", "PVM-UNSUPPORTED"), ("bar.sync 0, 16;", "PVM-UNSUPPORTED"),
        ("ld.param.u64 %d1, [p+4];", "PVM-GPU-PTX"), ("add.s32 3, %r1, %r2;", "PVM-GPU-PTX"), ("lop3.b32 %r1, %r2, %r3, %r4, %r5;", "PVM-GPU-PTX"),
        ("mul.rz.f64 %g1, %g2, %g3;", "PVM-UNSUPPORTED"), ("mov.u32 %r1, %pm0;", "PVM-UNSUPPORTED"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_with_its_line(body: str, code: str) -> None:
    text = (
        HEAD
        + f""".visible .entry k(.param .u64 p)
{{ .reg .b16 %h<9>; .reg .b32 %r<9>; .reg .b64 %d<9>; .reg .f64 %g<9>;
{body}
ret; }}"""
    )
    with pytest.raises(PolyvmError) as caught:
        Program(syntax.parse(text), "k", (64, 1, 1)).text()
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    ["", "{", ".version", ".version x", ".version 8.0 .target", HEAD + ".visible .entry k(", HEAD + ".entry k() {", "\0", '"',
     HEAD + ".entry k() { .reg .b32 %r<99999999>; }", HEAD + ".global .b8 x[99999999999999];", HEAD + ".address_size 32",
     HEAD + ".global .u32 x[2] = {1, 2, 3};", HEAD + ".entry k() { a: a: ret; }", HEAD + ".entry k() { mov.u32 %r, 0x; }",
     HEAD + ".entry k() {} .entry k() {}", HEAD + ".global .u32 x = y;", HEAD + "." * 1000, HEAD + "{" * 100000,
     HEAD + ".global .b8 x[1] = " + "{" * 100000, HEAD + ".entry k() { @p }", HEAD + "/* no end"],
)  # fmt: skip
def test_what_is_no_ptx(text: str) -> None:
    with pytest.raises(PolyvmError) as caught:
        syntax.parse(text)
    assert caught.value.code == "PVM-GPU-PTX"
