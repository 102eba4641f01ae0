"""What lanes of a warp do together, with operands that are known only at run time; generic addresses and copies."""

from __future__ import annotations

from typing import Any

import pytest

from polyvm import gpu
from polyvm.errors import PolyvmError
from tests.compute.conftest import opened

np: Any = pytest.importorskip("numpy", reason="NumPy judges: pip install 'polyvm[gpu]'")

HEAD = ".version 8.3\n.target sm_90\n.address_size 64\n"


def run(body: str, inputs: list[Any], results: int, block: Any = 64, shared: str = "") -> Any:
    """One warp program for each thread of a block: %a, %b, ... in, %o, %q, %r, %s out; the number of the thread in %t."""
    count = int(np.prod(block))
    loads = "".join(
        f"ld.global.b32 %{n}, [%i+{4 * count * k}];\n" for k, n in enumerate("abcd"[: len(inputs)])
    )
    stores = "".join(f"st.global.b32 [%j+{4 * count * k}], %{n};\n" for k, n in enumerate("oqrs"[:results]))
    text = f"""{HEAD}{shared}.visible .entry k(.param .u64 x, .param .u64 y) {{
    .reg .b32 %a, %b, %c, %d, %o, %q, %r, %s, %t, %u<9>; .reg .b64 %i, %j, %k, %l<9>; .reg .pred %p<9>; .reg .f32 %f<9>;
    .local .align 8 .b8 mine[16];
    ld.param.u64 %i, [x]; ld.param.u64 %j, [y]; mov.u32 %t, %tid.x; mov.u32 %u1, %tid.y; mov.u32 %u2, %ntid.x;
    mad.lo.s32 %t, %u1, %u2, %t; mul.wide.u32 %k, %t, 4; add.s64 %l1, %i, %k; add.s64 %l2, %j, %k;
    mov.u64 %l8, %i; mov.u64 %i, %l1; mov.u64 %j, %l2;
    {loads}{body}
    {stores}ret; }}"""
    data = np.concatenate([np.asarray(a).astype(np.uint32) for a in inputs])
    with opened("host", timeout=20) as context:
        x, y = context.array(data), context.array(np.zeros(count * results, np.uint32))
        gpu.launch(gpu.LaunchConfig(1, block), context.program(text, "ptx").compile().kernel("k"), x, y)
        context.synchronize()
        return y.read(np.empty((results, count), np.uint32))


def shuffled(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """PTX ISA 9.7.9.6, the pseudocode: the source lane, and whether it is in range."""
    bval, cval, mask = b & 31, c & 31, c >> 8 & 31
    top, low = (lane & mask) | (cval & ~mask & 31), lane & mask
    j = {"up": lane - bval, "down": lane + bval, "bfly": lane ^ bval, "idx": low | (bval & ~mask & 31)}[mode]
    good = j >= top if mode == "up" else j <= top
    return (j if good else lane), good


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
@pytest.mark.parametrize("block", [64, (16, 4), (8, 8)])
def test_shuffles(mode: str, block: Any) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 1 << 32, 64, np.uint32)
    b = rng.integers(0, 32, 64)
    c = np.repeat(rng.integers(0, 4, 2), 32) * 0x800 + (0 if mode == "up" else 31)
    got = run(
        f"shfl.sync.{mode}.b32 %o|%p1, %a, %b, %c, -1; selp.u32 %q, 1, 0, %p1; shfl.sync.{mode}.b32 %r, %a, 5, 31, -1;",
        [a, b, c],
        3,
        block,
    )
    for t in range(64):
        lane, good = shuffled(mode, t % 32, int(b[t]), int(c[t]))
        assert (got[0, t], got[1, t]) == (a[t // 32 * 32 + lane], good)
        assert got[2, t] == a[t // 32 * 32 + shuffled(mode, t % 32, 5, 31)[0]]


def test_votes_matches_and_reductions() -> None:
    a = np.arange(64) % 5
    a[32:] = 7
    body = """setp.eq.u32 %p1, %a, 2; vote.sync.ballot.b32 %o, %p1, -1; match.all.sync.b32 %q|%p2, %a, -1;
    redux.sync.xor.b32 %r, %a, 0xFFFF; elect.sync %s|%p3, -1; @%p3 add.u32 %s, %s, 100;"""
    got = run(body, [a], 4)
    for warp in (0, 1):
        mine = a[32 * warp : 32 * warp + 32]
        assert set(got[0, 32 * warp : 32 * warp + 32]) == {sum(1 << k for k in range(32) if mine[k] == 2)}
        assert set(got[1, 32 * warp : 32 * warp + 32]) == {0xFFFFFFFF if warp else 0}
        assert set(got[2, 32 * warp : 32 * warp + 32]) == {int(np.bitwise_xor.reduce(mine[:16]))}
        assert got[3, 32 * warp : 32 * warp + 32].tolist() == [100] + [0] * 31
    body = """redux.sync.min.s32 %o, %a, -1; redux.sync.max.u32 %q, %a, -1; redux.sync.and.b32 %r, %a, -1; activemask.b32 %s;
    setp.gt.s32 %p1, %a, 3; vote.sync.uni.pred %p2, %p1, -1; @%p2 add.u32 %s, %s, 1;"""
    got = run(body, [a], 4)
    assert got[:, 0].tolist() == [0, 4, 0, 0xFFFFFFFF]
    assert got[:, 32].tolist() == [7, 7, 7, 0]


def test_lanes_that_wait_elsewhere_are_not_named() -> None:
    body = "setp.ge.u32 %p1, %t, 5; @%p1 bra high; shfl.sync.idx.b32 %o, %a, 0, 31, -1; high:"
    with pytest.raises(PolyvmError) as caught:
        run(body, [np.arange(64)], 1)
    assert caught.value.code == "PVM-GPU-FAULT"
    assert "wait elsewhere" in caught.value.message


def test_generic_addresses_of_every_space() -> None:
    body = """mov.u64 %l3, mine; cvta.local.u64 %l4, %l3; st.u32 [%l4+8], %a; ld.local.u32 %o, [mine+8];
    mov.u64 %l5, buffer; cvta.shared.u64 %l6, %l5; mul.wide.u32 %l7, %t, 4; add.s64 %l6, %l6, %l7; st.u32 [%l6], %t; bar.sync 0;
    ld.shared.u32 %q, [buffer+12]; isspacep.shared %p1, %l6; isspacep.local %p2, %l4; isspacep.global %p3, %l1;
    selp.u32 %r, 1, 0, %p1; @%p2 add.u32 %r, %r, 2; @%p3 add.u32 %r, %r, 4; isspacep.global %p4, %l6; @%p4 add.u32 %r, %r, 8;
    cvta.to.shared.u64 %l6, %l6; cvt.u32.u64 %s, %l6;"""
    a = np.arange(64) * 3
    got = run(body, [a], 4, shared=".shared .align 4 .b8 buffer[256];\n")
    np.testing.assert_array_equal(got[0], a)
    assert set(got[1]) == {3}
    assert set(got[2]) == {7}
    np.testing.assert_array_equal(got[3], np.arange(64) * 4)


def test_asynchronous_copies_to_shared_memory() -> None:
    body = """mov.u32 %u3, buffer; shl.b32 %u4, %t, 2; add.s32 %u3, %u3, %u4; cp.async.ca.shared.global [%u3], [%l1], 4;
    cp.async.commit_group; cp.async.wait_group 0; bar.sync 0; xor.b32 %u5, %u4, 252; mov.u32 %u3, buffer; add.s32 %u3, %u3, %u5;
    ld.shared.u32 %o, [%u3];"""
    a = np.arange(64) * 7
    got = run(body, [a], 1, shared=".shared .align 16 .b8 buffer[256];\n")
    np.testing.assert_array_equal(got[0], a[::-1])


def test_atomics_of_halves_and_strong_accesses() -> None:
    body = """mov.u32 %u3, 0x3C003C00; atom.global.add.noftz.f16x2 %o, [%l8], %u3; membar.gl; bar.sync 0;
    ld.relaxed.gpu.global.u32 %q, [%l8]; ld.volatile.global.u32 %r, [%l1+4]; st.volatile.global.u32 [%l2+384], %t; fence.acq_rel.gpu;
    atom.acq_rel.gpu.global.exch.b32 %s, [%l2+384], %a;"""
    a = np.zeros(65, np.uint32)
    got = run(body, [a[:64]], 4, block=32)
    assert got[1].view(np.float16).reshape(-1, 2)[:, 0].tolist() == [32.0] * 32
    np.testing.assert_array_equal(got[3], np.arange(32))


def test_branches_by_table() -> None:
    body = """ts: .branchtargets one, two, three; and.b32 %u3, %a, 3; mov.u32 %o, 0; brx.idx %u3, ts;
    one: add.u32 %o, %o, 1; two: add.u32 %o, %o, 10; three: add.u32 %o, %o, 100;"""
    got = run(body, [np.arange(64) % 3], 1)
    assert got[0].tolist() == [(111, 110, 100)[t % 3] for t in range(64)]
    with pytest.raises(PolyvmError) as caught:
        run(body, [np.arange(64) % 4], 1)
    assert "past the end" in caught.value.message


def test_indexes_that_wrap() -> None:
    """An affine index that is made wider must not wrap between lanes that are there; with exact it may."""
    text = f"""{HEAD}.visible .entry k(.param .u64 y, .param .u32 n) {{
    .reg .b32 %r<5>; .reg .b64 %d<5>; .reg .pred %p;
    ld.param.u64 %d1, [y]; ld.param.u32 %r2, [n]; mov.u32 %r1, %tid.x; sub.s32 %r3, %r1, %r2;
    cvt.u64.u32 %d2, %r3; mul.wide.u32 %d3, %r1, 8; add.s64 %d4, %d1, %d3; setp.lt.u32 %p, %r1, 5; @%p bra out;
    cvt.u64.u32 %d2, %r3; st.global.u64 [%d4], %d2; out: ret; }}"""
    for exact, n, fine in ((False, 0, True), (True, 5, True), (True, 9, True), (False, 9, False)):
        with opened("host", exact=exact) as context:
            y = context.array(np.zeros(32, np.uint64))
            gpu.launch(gpu.LaunchConfig(1, 32), context.program(text, "ptx").compile().kernel("k"), y, n)
            if not fine:
                with pytest.raises(PolyvmError) as caught:
                    context.synchronize()
                assert "exact=True" in str(caught.value.hint)
                continue
            want = [(t - n) % (1 << 32) if t >= 5 else 0 for t in range(32)]
            assert y.read(np.empty(32, np.uint64)).tolist() == want
