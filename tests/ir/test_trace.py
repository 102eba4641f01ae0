"""The tracer: folding, sharing, blocks, register files, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from polyvm.ir.ops import FP_FLAGS, FP_MODE, ROUND_DYNAMIC
from polyvm.ir.rewrite import NEUTRAL
from polyvm.ir.trace import Tracer, parameter, record, walk
from polyvm.ir.values import SpecError, Val


@dataclass(frozen=True)
class File:
    """A register file of the tests."""

    name: str
    bits: int
    count: int
    zero: int | None = None


FILES = {"x": File("x", 64, 32, 0), "v": File("v", 128, 4)}


@pytest.fixture
def m() -> Tracer:
    return Tracer(dict(FILES), 4)


def ops(m: Tracer) -> list[str]:
    return [op.op for op in walk(m.trace().ops)]


# -- Folding and sharing
def test_constants_are_folded(m: Tracer) -> None:
    value = (m.const(200, 8) + 100) * 3
    assert (value.op, value.bits, value.attr) == ("const", 8, 132)


def test_constants_are_taken_modulo_their_width(m: Tracer) -> None:
    assert m.const(-1, 12).attr == 0xFFF
    assert m.const(1 << 64, 64).attr == 0


def test_equal_pure_ops_are_made_once(m: Tracer) -> None:
    x = m.emit("field", 64, (), "x")
    assert x + 5 is x + 5
    assert m.pc is m.pc
    assert m.const(5, 64) is m.const(5, 64)
    assert m.const(5, 64) is not m.const(5, 32)
    assert ops(m).count("add") == 1


def test_reads_of_state_are_never_shared(m: Tracer) -> None:
    register = m.emit("field", 5, (), "rs1")
    assert m.x[register] is not m.x[register]
    assert m.get(("x", 1)) is not m.get(("x", 1))
    assert m.load(m.pc, 8) is not m.load(m.pc, 8)
    assert m.counter("time") is not m.counter("time")


IDENTITIES = sorted(NEUTRAL)


@pytest.mark.parametrize("op", IDENTITIES)
def test_an_operation_with_zero_is_nothing(op: str, m: Tracer) -> None:
    x = m.emit("field", 64, (), "x")
    assert m.emit(op, 64, (x, m.const(0, 64))) is x


def test_other_identities(m: Tracer) -> None:
    x, bit = m.emit("field", 64, (), "x"), m.emit("field", 1, (), "b")
    assert m.select(bit, x, x) is x
    assert m.select(m.const(1, 1), x, 7) is x
    assert m.select(m.const(0, 1), x, 7).attr == 7


# -- Blocks
def test_when_makes_a_block_whose_values_stay_inside(m: Tracer) -> None:
    x, bit = m.emit("field", 64, (), "x"), m.emit("field", 1, (), "b")
    outside = x + 1
    with m.when(bit):
        assert x + 1 is outside
        inside = x + 2
        m.store(x, inside)
        with m.when(bit):
            assert x + 2 is inside
    assert x + 2 is not inside
    branch = next(op for op in m.trace().ops if op.op == "if")
    assert branch.args == (bit,)
    body = branch.attr
    assert isinstance(body, tuple)
    assert [op.op for op in body] == ["const", "add", "store", "if"]


def test_when_needs_one_bit(m: Tracer) -> None:
    with pytest.raises(SpecError, match="one bit, not 64"), m.when(m.pc):
        pass


def test_walk_goes_through_bodies_in_program_order(m: Tracer) -> None:
    with m.when(m.emit("field", 1, (), "b")):
        m.hint("first")
    m.hint("second")
    assert ops(m) == ["field", "if", "hint", "hint"]


# -- Registers
def test_data_numbers_are_indices_and_constants_are_slots(m: Tracer) -> None:
    number = m.emit("field", 5, (), "rd")
    m.x[number] = m.x[3]
    m.x[m.const(4, 5)] = m.x[number]
    assert [(op.op, op.attr) for op in m.trace().ops if op.op[:3] in ("get", "set")] == [
        ("get", ("x", 3)), ("setx", "x"), ("getx", "x"), ("set", ("x", 4)),
    ]  # fmt: skip


def test_a_hardwired_register_reads_zero_and_keeps_nothing(m: Tracer) -> None:
    assert (m.x[0].op, m.x[0].attr) == ("const", 0)
    m.x[0] = m.pc
    assert "set" not in ops(m)


def test_register_mistakes_are_named(m: Tracer) -> None:
    with pytest.raises(SpecError, match=r"x\[32\] of 32"):
        m.x[32]
    with pytest.raises(SpecError, match="holds 64 bits"):
        m.x[1] = m.const(0, 32)
    with pytest.raises(SpecError, match="holds 128 bits"):
        m.v[1] = 5  # type: ignore[assignment]  # that is the mistake
    with pytest.raises(AttributeError, match="no register file 'y'; there are v, x"):
        _ = m.y


def test_the_floating_point_environment_is_a_register(m: Tracer) -> None:
    m.fp_flags = m.fp_flags | 1
    m.fp_mode = m.fp_mode & 1
    slots = [(op.op, op.attr) for op in m.trace().ops if op.op in ("get", "set")]
    assert slots == [("get", FP_FLAGS), ("set", FP_FLAGS), ("get", FP_MODE), ("set", FP_MODE)]
    assert (m.fp_flags.bits, m.fp_mode.bits) == (5, 7)


def test_the_next_program_counter_depends_on_the_size() -> None:
    m = Tracer({}, 2)
    assert (m.next_pc.op, m.next_pc.args[1].attr) == ("add", 2)


# -- Refusals
def test_unknown_kinds_are_refused(m: Tracer) -> None:
    with pytest.raises(SpecError, match="no atomic operation 'nand'; there are swap"):
        m.amo("nand", m.pc, m.pc)
    with pytest.raises(SpecError, match="no counter 'wall'; there are cycle"):
        m.counter("wall")
    with pytest.raises(SpecError, match="fadd of 8 bits"):
        m.fadd(m.const(0, 8), m.const(0, 8))
    with pytest.raises(SpecError, match="of 129 bits"):
        m.emit("field", 129, (), "x")


def test_rounding_is_dynamic_unless_said(m: Tracer) -> None:
    a = m.emit("field", 64, (), "a")
    assert m.fadd(a, a).attr == ROUND_DYNAMIC
    assert m.fma(a, a, a, 1).attr == 1
    assert m.ftoi(a, 32, signed=True, rounding=1).attr == (True, 1)
    assert m.itof(a, 32, signed=False).attr == (False, ROUND_DYNAMIC)


# -- Recording a body
def test_record_hands_shapes_as_numbers_and_data_as_values() -> None:
    def body(m: Tracer, width: int, rd_: Val, imm: Val) -> None:
        assert width == 8
        assert (rd_.bits, imm.bits) == (4, 12)
        m.x[rd_] = imm.sext(64) << width

    trace = record(body, dict(FILES), 2, {"width": 8}, {"rd'": 4, "imm": 12})
    assert trace.size == 2
    assert [op.attr for op in trace.ops if op.op == "field"] == ["rd'", "imm"]
    assert parameter("rd'") == "rd_"
