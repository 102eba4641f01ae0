"""Assembler and disassembler on a small guest of the tests' own; riscv64's texts are judged in riscv64/test_text.py."""

from __future__ import annotations

import pytest

from polyvm.errors import PolyvmError
from polyvm.isa.disasm import assemble, decode, disassemble, listing
from polyvm.isa.spec import Isa
from tests.isa.toy import toy

# Text as printed -> word, at address 0x100.
PRINTED = {
    "add one, two, -1": 0x0FF9,
    "add zero, zero, 127": 0x07F0,
    "set two, 8": 0x1000,
    "set.u three, 64": 0x100F,
    "jump 0xfe": 0x2FFF,
    "jump 0x100": 0x2000,
    "paint one, red": 0x3001,
    "paint one": 0x300D,
    "paint.uv one": 0x306D,
    "paint.v one, blue": 0x3029,
    "paint.v one, blue, z=2": 0x3829,
    "paint one, z=3": 0x3C0D,
    "mix one, two, three": 0x4039,
    "peek one, 255(two)": 0x5FF9,
    "halt": 0x6000,
    "lift top, [one]!": 0x8007,
    "lift two, [three, #16]!": 0x810E,
    "grow.8 two": 0x9002,
    "grow.64 two": 0x900E,
    "swap 5": 0xA059,
    "swap 5, two:one": 0xA056,
    "swap.u 5, one:two": 0xB059,
    "join {one, two}, three": 0x7039,
}


@pytest.fixture(scope="module")
def isa() -> Isa:
    return toy()


@pytest.mark.parametrize(("text", "word"), PRINTED.items(), ids=PRINTED)
def test_there_and_back(text: str, word: int, isa: Isa) -> None:
    code = word.to_bytes(2, "little")
    assert disassemble(decode(isa, code, 0x100), 0x100) == text
    assert assemble(isa, text, 0x100) == code


# Text that is only read -> the text that it means.
READ = {
    "  add\tr1,r2 , 0b11 ": "add one, two, 3",
    "clear two": "add two, zero, 0",
    "move one, two": "add one, two, 0",
    "twice one, two": "mix one, two, two",
    "shift 5, two, one": "add one, two, 5",
    "paint one, any": "paint one",
    "jump .+4": "jump 0x104",
    "jump .": "jump 0x100",
    "jump -2": "jump 0xfe",
    "jump 256": "jump 0x100",
    "jump 0x104 <there>": "jump 0x104",
    "peek r1, 0xff ( two )": "peek one, 255(two)",
    "lift r4,[r3,0x10]!": "lift top, [three, #16]!",
    "lift top, [ one , # 0 ] !": "lift top, [one]!",
    "swap 5, one:two": "swap 5",
    "drop two:one, 5": "swap 5, two:one",
    "back 3": "jump 0xfa",
    "join { r1,two } , r3": "join {one, two}, three",
}


@pytest.mark.parametrize(("text", "shown"), READ.items(), ids=READ)
def test_other_spellings(text: str, shown: str, isa: Isa) -> None:
    assert disassemble(decode(isa, assemble(isa, text, 0x100), 0x100), 0x100) == shown


def test_pseudo_instructions_are_printed_when_asked(isa: Isa) -> None:
    def shown(text: str) -> str:
        return disassemble(decode(isa, assemble(isa, text), 0), 0, aliases=True)

    assert shown("add two, zero, 0") == "clear two"  # the first that fits
    assert shown("add two, one, 0") == "move two, one"
    assert shown("mix one, two, two") == "twice one, two"
    assert shown("mix one, two, three") == "mix one, two, three"
    assert shown("shift 5, two, one") == "add one, two, 5"  # a spelling is never printed
    assert disassemble(decode(isa, assemble(isa, "back 3", 0x100), 0x100), 0x100, aliases=True) == "back 3"
    assert (
        disassemble(decode(isa, assemble(isa, "jump .-8", 0x100), 0x100), 0x100, aliases=True) == "jump 0xf8"
    )


REFUSED = {
    "nothing": ("PVM-INSN-UNKNOWN", "toy has no instruction 'nothing'"),
    "set.v two, 8": ("PVM-INSN-UNKNOWN", "set.v"),
    "add one, two": ("PVM-ASM-SYNTAX", "'add one, two' is no instruction of toy."),
    "add one, two, 128": ("PVM-ASM-SYNTAX", "n is 128, not one of -128 to 127"),
    "add four, two, 1": ("PVM-ASM-SYNTAX", "'four' cannot stand for d"),
    "set one, 8": ("PVM-ASM-SYNTAX", "'one' cannot stand for h'"),
    "set two, 32": ("PVM-ASM-SYNTAX", "32 is not allowed as w"),
    "jump 0x101": ("PVM-ASM-SYNTAX", "to is 1, not one of -4096 to 4094 in steps of 2"),
    "peek one, 256(two)": ("PVM-ASM-SYNTAX", "p is 256, not one of 0 to 255"),
    "paint one, z=4": ("PVM-ASM-SYNTAX", "z is 4"),
    "paint one, d=1": ("PVM-ASM-SYNTAX", "no instruction"),
    "halt now": ("PVM-ASM-SYNTAX", "no instruction"),
    "lift three, [one]!": ("PVM-ASM-SYNTAX", "'three' cannot stand for e"),
    "grow.32 two": ("PVM-INSN-UNKNOWN", "grow.32"),
    "swap.u 5": ("PVM-ASM-SYNTAX", "pair cannot be left out"),
    "swap.u 5, one:one": ("PVM-ASM-SYNTAX", "a pair with u has two registers"),
    "drop one:ten, 5": ("PVM-ASM-SYNTAX", "no instruction"),
    "back x": ("PVM-ASM-SYNTAX", "no instruction"),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=REFUSED)
def test_refusals_say_why(text: str, expected: tuple[str, str], isa: Isa) -> None:
    with pytest.raises(PolyvmError) as caught:
        assemble(isa, text, 0x100)
    error = caught.value
    assert error.code == expected[0]
    assert expected[1] in error.message
    assert error.context["guest"] == "toy"


def test_the_hint_shows_every_form(isa: Isa) -> None:
    with pytest.raises(PolyvmError) as caught:
        assemble(isa, "twice one")
    assert caught.value.hint == "Write it as: twice d, s."


def test_what_is_no_instruction(isa: Isa) -> None:
    with pytest.raises(PolyvmError) as caught:
        decode(isa, b"\xff\xff\x00", 0x40)
    error = caught.value
    assert error.code == "PVM-DECODE-UNKNOWN"
    assert error.message == "ff ff is no instruction of toy."
    assert error.context == {"guest": "toy", "pc": 0x40, "bytes": "ffff"}
    for short in (b"", b"\x00"):
        with pytest.raises(PolyvmError, match="PVM-DECODE-UNKNOWN"):
            decode(isa, short, 0)


def test_a_listing(isa: Isa) -> None:
    code = bytes.fromhex("0020 ffff 0060 00")
    assert list(listing(isa, code, 0x100, lambda address: "top" if address == 0x100 else None)) == [
        (0x100, b"\x00\x20", "jump 0x100 <top>"),
        (0x102, b"\xff\xff", ".2byte 0xffff"),
        (0x104, b"\x00\x60", "halt"),
        (0x106, b"\x00", ".1byte 0x0"),
    ]


def test_a_guest_that_grew_is_indexed_anew() -> None:
    isa = toy()
    assert assemble(isa, "halt") == b"\x00\x60"

    def rest(m: object) -> None:
        """Do nothing."""

    isa.extension("More", "1", "More")("rest", "0111 000000000000")(rest)
    assert assemble(isa, "rest") == b"\x00\x70"
