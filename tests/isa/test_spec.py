"""The specification language on a small guest of the tests' own: operands, shapes, traces, layout."""

from __future__ import annotations

import pytest

from polyvm.ir.ops import FP_FLAGS, FP_MODE, FP_MODE_BITS
from polyvm.ir.trace import Tracer
from polyvm.ir.values import SpecError, Val
from polyvm.isa.encoding import EncodingError
from polyvm.isa.spec import Insn, Isa
from tests.isa.toy import empty, toy


@pytest.fixture
def isa() -> Isa:
    return toy()


def named(isa: Isa, name: str) -> Insn:
    return next(insn for insn in isa.insns if insn.name == name)


def test_a_processor_shares_what_was_made_of_its_specification() -> None:
    class Wide(Isa):
        width = 0

    isa = toy()
    wide = Wide(isa.name, isa.files, isa.specials, isa.causes, isa.fields, isa.sizes, isa.links)
    wide.insns, wide.width = isa.insns, 256
    one, other = wide.having({"keys": 1}), wide.having({"keys": 0})
    assert (one.given, other.given, wide.given) == ({"keys": 1}, {"keys": 0}, {})
    assert isinstance(one, Wide)
    assert one.width == 256
    assert one.tree is other.tree is wide.tree


def test_an_instruction_knows_its_parts(isa: Isa) -> None:
    add = named(isa, "add")
    assert (add.name, add.operands, add.size, add.doc) == ("add", ("d", "s", "n"), 2, "Add a number.")
    assert add.extension.title == "Everything"
    assert repr(add) == "<Insn add d, s, n>"
    assert named(isa, "halt").operands == ()


def test_fields_are_shapes_or_data(isa: Isa) -> None:
    insn = named(isa, "set")
    assert insn.shape_fields == ("w",)
    assert insn.data_fields == {"u": 1, "h'": 2}  # one bit, and two with the bias
    assert list(insn.shapes()) == [(("w", 0),), (("w", 1),), (("w", 3),)]
    assert list(named(isa, "add").shapes()) == [()]


def test_encode_takes_biased_values(isa: Isa) -> None:
    insn = named(isa, "set")
    word = insn.encode({"u": 1, "w": 3, "h'": 3})
    assert word == 0b0001_00000000_1_11_1
    assert insn.fields(word) == {"u": 1, "w": 3, "h'": 3}
    for wrong in (1, 4):
        with pytest.raises(EncodingError, match="does not fit"):
            insn.encode({"u": 0, "w": 0, "h'": wrong})


def test_the_highest_number_may_name_another_register(isa: Isa) -> None:
    insn = named(isa, "lift")
    assert insn.data_fields["e"] == 3
    word = insn.encode({"p": 0, "s": 0, "e": 4})
    assert word == 0b1000_00000000_00_11
    assert insn.fields(word)["e"] == 4
    with pytest.raises(EncodingError, match="does not fit"):
        insn.encode({"p": 0, "s": 0, "e": 3})


def test_decode_separates_shape_and_data(isa: Isa) -> None:
    decoded = isa.decode(0xABCD_0000 | 0b0001_00000000_1_11_1)
    assert decoded is not None
    assert (decoded.insn.name, decoded.shape, decoded.fields) == ("set", (("w", 3),), {"u": 1, "h'": 3})
    assert decoded.word == 0b0001_00000000_1_11_1
    # A shape that the table does not list is no instruction.
    assert isa.decode(0b0001_00000000_1_10_1) is None
    assert isa.decode(0xFFFF) is None


def test_a_trace_belongs_to_an_instruction_and_a_shape(isa: Isa) -> None:
    insn = named(isa, "set")
    one, three = (("w", 1),), (("w", 3),)
    assert isa.trace(insn, one) is isa.trace(insn, one)
    assert isa.trace(insn, one) is not isa.trace(insn, three)
    constants = [op.attr for op in isa.trace(insn, three).ops if op.op == "const"]
    assert constants == [3]


def test_a_trace_is_verified_and_its_instruction_named() -> None:
    isa = empty()
    insn = isa.extension("Bad", "1", "Mistakes")

    @insn("late d", "00000000000000 d")
    def late(m: Tracer, d: Val) -> None:
        """Write, then load."""
        m.r[d] = m.load(m.pc, 16)
        m.r[d] = m.load(m.pc, 16)

    assert late.__name__ == "late"  # a body stays a plain function
    with pytest.raises(SpecError, match=r"^late: load may leave after"):
        isa.trace(isa.insns[0], ())


def test_a_body_needs_a_docstring() -> None:
    def silent(m: Tracer, d: Val) -> None:
        m.r[d] = m.r[d]

    with pytest.raises(ValueError, match="'silent d' has no docstring"):
        empty().extension("Bad", "1", "Mistakes")("silent d", "00000000000000 d")(silent)


def test_a_field_must_be_in_the_table() -> None:
    def strange(m: Tracer, q: Val) -> None:
        """Use a field that is not there."""

    with pytest.raises(ValueError, match="field 'q' is not in toy's table of fields"):
        empty().extension("Bad", "1", "Mistakes")("strange q", "00000000000000 q[1:0]")(strange)


def test_overlaps_are_found_when_the_tree_is_made(isa: Isa) -> None:
    def again(m: Tracer, n: Val, s: Val, d: Val) -> None:
        """Take add's place."""

    assert isa.decode(0) is not None
    isa.extension("Bad", "1", "Mistakes")("again d, s, n", "0000 n[7:0] s d")(again)
    with pytest.raises(EncodingError, match="encodings overlap"):
        isa.decode(0)


def test_slots_and_layout(isa: Isa) -> None:
    slots = dict(isa.slots())
    assert slots["r", 0] == 16
    assert slots["mode", 0] == 1
    assert slots[FP_FLAGS] == 5
    assert slots[FP_MODE] == FP_MODE_BITS
    assert isa.state_layout(256) == {
        ("r", 0): (256, 2), ("r", 1): (258, 2), ("r", 2): (260, 2), ("r", 3): (262, 2), ("r", 4): (264, 2),
        ("mode", 0): (272, 8),
    }  # fmt: skip
