"""The notation of encodings: fields, exclusions, overlaps, and the decision tree."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyvm.isa.encoding import Encoding, EncodingError, Leaf, Switch, decision_tree, decode, parse

WIDTHS = {"rd": 5, "rs1": 5, "rs2": 5, "rd'": 3}


@dataclass(frozen=True)
class Item:
    """Something with an encoding."""

    name: str
    encoding: Encoding


def items(*lines: str) -> list[Item]:
    return [Item(line, parse(line, WIDTHS)) for line in lines]


def test_bits_and_fields_stand_from_the_top_down() -> None:
    encoding = parse("0100000 rs2 rs1 000 rd 0110011", WIDTHS)
    assert (encoding.size, encoding.mask, encoding.match) == (4, 0xFE00_707F, 0x4000_0033)
    assert list(encoding.fields) == ["rs2", "rs1", "rd"]
    word = 0x4000_0033 | 7 << 20 | 9 << 15 | 31 << 7
    assert {name: encoding.extract(word, name) for name in encoding.fields} == {"rs2": 7, "rs1": 9, "rd": 31}
    assert encoding.matches(word)
    assert not encoding.matches(word ^ 0x4000_0000)


def test_a_field_may_be_scattered() -> None:
    encoding = parse("offset[12|10:5] rs2 rs1 000 offset[4:1|11] 1100011", WIDTHS)
    assert encoding.width("offset") == 13
    assert encoding.low_zeros("offset") == 1
    for bit, place in ((12, 31), (11, 7), (10, 30), (5, 25), (4, 11), (1, 8)):
        assert encoding.extract(1 << place, "offset") == 1 << bit
        assert encoding.insert("offset", 1 << bit) == 1 << place


@given(st.integers(0, 2**12 - 1).map(lambda value: value << 1))
def test_extract_undoes_insert(value: int) -> None:
    encoding = parse("offset[12|10:5] rs2 rs1 000 offset[4:1|11] 1100011", WIDTHS)
    assert encoding.extract(encoding.insert("offset", value), "offset") == value


@pytest.mark.parametrize("value", [1, 3, 1 << 13, -2])
def test_a_value_that_does_not_fit_is_refused(value: int) -> None:
    encoding = parse("offset[12|10:5] rs2 rs1 000 offset[4:1|11] 1100011", WIDTHS)
    with pytest.raises(EncodingError, match=r"offset = .* does not fit"):
        encoding.insert("offset", value)


def test_values_may_be_excluded() -> None:
    encoding = parse("011 imm[5]!=0 rd!={0,2} imm[4:0] 01", WIDTHS)
    base = 0b011 << 13 | 1
    assert encoding.matches(base | 1 << 7 | 1 << 2)
    assert encoding.matches(base | 1 << 7 | 1 << 12)  # the exclusion is on the whole field
    assert not encoding.matches(base | 1 << 7)
    assert not encoding.matches(base | 2 << 7 | 1 << 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0100000 rs2 rs1 000 rd 011001", "has 31 bits"),
        ("0100000 rs-2 rs1 000 rd 0110011", "'rs-2' .* is neither bits nor a field"),
        ("imm rs1 000 rd 0010011", "'imm' .* has no range and no width"),
        ("imm[11:0] rs1 000 rd 001x011", "'001x011'|001x011"),
        ("imm[0:11] rs1 000 rd 0010011", "low to high"),
        ("imm[6:0] imm[4:0] rs1 000 rd 0010011", "stand there twice"),
    ],
)
def test_lines_that_are_refused(line: str, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        parse(line, WIDTHS)


# -- Overlaps and the tree
def test_a_special_case_may_overlap_the_general_one() -> None:
    tree = decision_tree(items("0000 rd' 1", "0000 000 1", "0001 rd' 1"))
    assert [item.name for item in decode(tree, 0b0000_000_1)] == ["0000 000 1", "0000 rd' 1"]
    assert [item.name for item in decode(tree, 0b0000_010_1)] == ["0000 rd' 1"]
    assert [item.name for item in decode(tree, 0b0011_010_1)] == []


@pytest.mark.parametrize(
    "lines",
    [
        ("0000 rd' 1", "0000 rd' 1"),
        ("0000 rd' 1", "imm[3:0] 000 1"),
        ("0000 rd'!=1 1", "imm[3:0] 000 1"),
    ],
)
def test_other_overlaps_are_mistakes(lines: tuple[str, ...]) -> None:
    with pytest.raises(EncodingError, match="encodings overlap"):
        decision_tree(items(*lines))


def test_an_exclusion_keeps_encodings_apart() -> None:
    tree = decision_tree(items("0000 rd'!=0 1", "imm[3:0] 000 1"))
    assert [item.name for item in decode(tree, 0b0000_000_1)] == ["imm[3:0] 000 1"]
    assert [item.name for item in decode(tree, 0b0000_001_1)] == ["0000 rd'!=0 1"]


def test_the_tree_switches_where_all_have_bits() -> None:
    tree = decision_tree(items("0000 rd' 1", "0001 rd' 1", "0001 rd' 0"))
    assert isinstance(tree, Switch)
    assert isinstance(decision_tree(items("0000 rd' 1")), Leaf)


def test_long_bits_are_switched_on_in_steps() -> None:
    lines = [f"{number:012b} 0000" for number in range(0, 4096, 37)]
    made = items(*lines)
    tree = decision_tree(made)
    for item in made:
        assert next(decode(tree, item.encoding.match)) is item
    assert list(decode(tree, 0xFFFF)) == []
