"""The verifier: faults come before effects, widths fit, values stay in their blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polyvm.ir.trace import Trace, Tracer
from polyvm.ir.values import SpecError, Val
from polyvm.ir.verify import leaves_always, verify
from tests.ir.test_trace import FILES

Body = Callable[[Tracer], None]


def check(body: Body) -> None:
    m = Tracer(dict(FILES), 4)
    body(m)
    verify(m.trace(), "the test")


def bit(m: Tracer) -> Val:
    return m.emit("field", 1, (), "b")


def load_then_write(m: Tracer) -> None:
    m.x[1] = m.load(m.pc, 64)


def trap_in_a_branch_then_write(m: Tracer) -> None:
    with m.when(bit(m)):
        m.trap("illegal")
    m.x[1] = m.load(m.pc, 64)


def two_probed_stores(m: Tracer) -> None:
    m.probe(m.pc, 8, write=True)
    m.store(m.pc, m.pc)
    m.store(m.pc + 8, m.pc)
    m.x[1] = m.pc


def swap_in_a_branch_then_write(m: Tracer) -> None:
    with m.when(bit(m)):
        m.set(("s", 0), m.cas(m.pc, m.pc, m.pc))
    m.x[1] = m.get(("s", 0))


def jump_in_a_branch(m: Tracer) -> None:
    with m.when(bit(m)):
        m.jump(m.pc)


@pytest.mark.parametrize(
    "body",
    [
        load_then_write,
        trap_in_a_branch_then_write,
        two_probed_stores,
        swap_in_a_branch_then_write,
        jump_in_a_branch,
    ],
)
def test_what_may_be(body: Body) -> None:
    check(body)


def write_then_load(m: Tracer) -> None:
    m.x[1] = m.pc
    m.load(m.pc, 64)


def write_then_trap(m: Tracer) -> None:
    m.x[1] = m.pc
    with m.when(bit(m)):
        m.trap("illegal")


def write_in_a_branch_then_load(m: Tracer) -> None:
    with m.when(bit(m)):
        m.x[1] = m.pc
    m.load(m.pc, 64)


def flags_then_load(m: Tracer) -> None:
    m.fadd(m.pc, m.pc)
    m.load(m.pc, 64)


def jump_then_syscall(m: Tracer) -> None:
    m.jump(m.pc)
    m.syscall()


def two_stores(m: Tracer) -> None:
    m.store(m.pc, m.pc)
    m.store(m.pc + 8, m.pc)


def store_then_trap(m: Tracer) -> None:
    m.store(m.pc, m.pc)
    with m.when(bit(m)):
        m.trap("illegal")


def probe_in_a_branch(m: Tracer) -> None:
    with m.when(bit(m)):
        m.probe(m.pc, 16, write=True)
    m.store(m.pc, m.pc)
    m.store(m.pc + 8, m.pc)


def after_a_trap(m: Tracer) -> None:
    m.trap("illegal")
    m.hint("never")


def two_jumps(m: Tracer) -> None:
    m.jump(m.pc)
    m.jump(m.pc)


def value_out_of_a_branch(m: Tracer) -> None:
    with m.when(bit(m)):
        value = m.load(m.pc, 64)
    m.x[1] = value


ORDER = {
    write_then_load: "load may leave after <set i0 .*> changed state",
    write_then_trap: "trap may leave after <set",
    write_in_a_branch_then_load: "load may leave after <set",
    flags_then_load: "load may leave after <fadd",
    jump_then_syscall: "syscall may leave after <jump",
    two_stores: "store may leave after <store i0> changed memory; m.probe",
    store_then_trap: "trap may leave after <store",
    probe_in_a_branch: "store may leave after <store",
    after_a_trap: "ops after trap never run",
    two_jumps: "more than one jump",
    value_out_of_a_branch: "made inside a `when`",
}


@pytest.mark.parametrize("body", ORDER)
def test_order_that_is_refused(body: Body) -> None:
    with pytest.raises(SpecError, match=f"the test: .*{ORDER[body]}"):
        check(body)


WIDTHS: dict[str, Callable[[Tracer], object]] = {
    "select of 64 bits takes": lambda m: m.emit("select", 64, (m.pc, m.pc, bit(m))),
    "bswap of 24 bits": lambda m: m.emit("bswap", 24, (m.emit("field", 24, (), "x"),)),
    "zext from 64 to 64": lambda m: m.emit("zext", 64, (m.pc,)),
    "trunc from 64 to 64": lambda m: m.emit("trunc", 64, (m.pc,)),
    "eq compares": lambda m: m.emit("eq", 1, (m.pc, bit(m))),
    "add of 64 bits takes": lambda m: m.emit("add", 64, (m.pc, bit(m))),
    "load takes an address of 64 bits": lambda m: m.emit("load", 8, (bit(m),)),
    "load of 24 bits": lambda m: m.emit("load", 24, (m.pc,)),
    "store of 1 bits": lambda m: m.emit("store", 0, (m.pc, bit(m))),
    "cas of 64 bits takes": lambda m: m.emit("cas", 64, (m.pc, bit(m), m.pc)),
    "amo of 8 bits takes": lambda m: m.emit("amo", 8, (m.pc, m.pc), "add"),
    "clmul of 64 bits takes": lambda m: m.emit("clmul", 64, (m.pc, m.pc)),
    "permute of 64 bits in lanes of 5": lambda m: m.emit("permute", 64, (m.pc, m.pc), 5),
    "aes of 64 bits with 'mix' takes": lambda m: m.emit("aes", 64, (m.pc,), "mix"),
    "aes of 128 bits with 'stir' takes": lambda m: m.emit("aes", 128, (m.pc.zext(128),), "stir"),
    "sha1 of 128 bits with 'parity' takes": lambda m: m.emit("sha1", 128, (m.pc.zext(128),) * 3, "parity"),
    "clz of 32 bits takes": lambda m: m.emit("clz", 32, (m.pc,)),
    "trap takes a value of 64 bits": lambda m: m.trap("illegal", bit(m)),
    "counter of 32 bits": lambda m: m.emit("counter", 32, (), "time"),
    "fcvt of 8 bits": lambda m: m.emit("fcvt", 8, (m.pc,), 7),
    "fresize of 8 bits": lambda m: m.emit("fresize", 8, (m.pc,), 7),
    "fma of 64 bits takes .32, 32, 64.": lambda m: m.fma(m.pc.trunc(32), m.pc.trunc(32), m.pc),
    "fma of 32 bits takes .16, 32, 32.": lambda m: m.emit(
        "fma", 32, (m.pc.trunc(16), *[m.pc.trunc(32)] * 2), 7
    ),
    "ftoi takes": lambda m: m.emit("ftoi", 32, (bit(m),), (True, 7)),
    "sadd_sat of 64 bits takes": lambda m: m.emit("sadd_sat", 64, (m.pc, bit(m))),
    "attr is .op, count, widths, attr.": lambda m: m.emit("lanes", 64, (m.pc,), ("clz", 2, 32)),
    "with .'clz', 0": lambda m: m.emit("lanes", 64, (m.pc,), ("clz", 0, (64,), None)),
    "'load' is no op that lanes": lambda m: m.emit("flanes", 64, (m.pc,), ("load", 1, (64,), None)),
    "'clz' is no op that lanes": lambda m: m.emit("flanes", 64, (m.pc,), ("clz", 1, (64,), None)),
    "'lanes' is no op that lanes": lambda m: m.emit("lanes", 64, (m.pc,), ("lanes", 1, (64,), None)),
    "'const' is no op that lanes": lambda m: m.emit("lanes", 64, (m.pc,), ("const", 1, (64,), 5)),
    "'pc' is no op that lanes": lambda m: m.emit("lanes", 64, (m.pc,), ("pc", 1, (64,), None)),
    "'what' is no op that lanes": lambda m: m.emit("lanes", 64, (m.pc,), ("what", 1, (64,), None)),
    "lanes of 64 bits with .* takes .64.": lambda m: m.emit("lanes", 64, (m.pc,), ("clz", 2, (16,), None)),
    "lanes of 63 bits": lambda m: m.emit("lanes", 63, (m.pc,), ("clz", 2, (32,), None)),
    "add takes 2 values, not 1": lambda m: m.emit("lanes", 64, (m.pc,), ("add", 2, (32,), None)),
    "clz of 16 bits takes": lambda m: m.emit("lanes", 32, (m.pc,), ("clz", 2, (32,), None)),
    "eq compares .32, 32. to 32": lambda m: m.emit("lanes", 64, (m.pc, m.pc), ("eq", 2, (32, 32), None)),
    "select of 32 bits": lambda m: m.emit("lanes", 64, (m.pc, m.pc, m.pc), ("select", 2, (32, 32, 32), None)),
    "fadd of 8 bits": lambda m: m.emit("flanes", 64, (m.pc, m.pc), ("fadd", 8, (8, 8), 7)),
    "attr is .width of a lane, indexes.": lambda m: m.emit("shuffle", 64, (m.pc,), (64, 0)),
    "shuffle of 64 bits in 1 lanes of 32": lambda m: m.emit("shuffle", 64, (m.pc,), (32, (0,))),
    "in 1 lanes of 24": lambda m: m.emit("shuffle", 24, (m.pc,), (24, (0,))),
    "of 3 lanes has indexes": lambda m: m.emit(
        "shuffle", 64, (m.pc, m.emit("field", 32, (), "w")), (32, (0, 3))
    ),
    "of 2 lanes has indexes": lambda m: m.emit("shuffle", 64, (m.pc,), (32, (0, -2))),
    "shuffle of 0 bits": lambda m: m.emit("shuffle", 0, (), (32, ())),
    "add takes 2 values": lambda m: m.emit("add", 64, (m.pc,)),
    "which has no value": lambda m: m.emit("clz", 64, (m.emit("hint", 0, (), "x"),)),
}


@pytest.mark.parametrize("message", WIDTHS)
def test_forms_that_are_refused(message: str) -> None:
    def body(m: Tracer) -> None:
        WIDTHS[message](m)

    with pytest.raises(SpecError, match=message):
        check(body)


def test_an_unknown_op_is_refused() -> None:
    m = Tracer({}, 4)
    with pytest.raises(SpecError, match="unknown op 'frobnicate'"):
        verify(Trace((Val(m, "frobnicate", 8),), 4), "the test")


def test_leaves_always() -> None:
    m = Tracer({}, 4)
    m.trap("illegal")
    assert leaves_always(m.trace().ops)
    assert not leaves_always(m.trace().ops[:-1])
    assert not leaves_always(())
