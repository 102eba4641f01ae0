"""`polyvm explain`: text, encoding, ops, LLVM and host assembly of one instruction; names that are none."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from polyvm.cli import explain, guests
from tests.cli.conftest import Done

Cli = Callable[..., Done]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("addi", ["addi"]),
        ("beq", ["beq"]),
        ("amoadd", ["amoadd.w.aqrl", "a0,", "a1,", "(a2)"]),
        ("word", ["0x00a50513"]),
        ("compressed", ["c.addi", "a0,", "1"]),
        ("fadd", ["fadd.d"]),
    ],
)
def test_text_encoding_and_ops(
    cli: Cli, golden: Callable[[str, str], None], name: str, words: list[str]
) -> None:
    done = cli("explain", "--show", "text,encoding,ops", *words)
    assert (done.status, done.err) == (0, "")
    golden(f"explain-{name}.txt", done.out)


def test_down_to_host_code(cli: Cli) -> None:
    text = cli("explain", "addi").out
    for title in ("Encoding:", "Operations:", "LLVM, ", "Host assembly "):
        assert title in text
    assert "define preserve_nonecc void @addi" in text
    assert "jmp" in text.split("Host assembly")[1]  # it ends by going to the next handler


def test_as_json(cli: Cli) -> None:
    document = json.loads(cli("explain", "--json", "mulhu", "a0,", "a1,", "a2").out)
    assert document["schema"] == "polyvm.explain/1"
    (page,) = document["insns"]
    assert page["instance"]["text"] == "mulhu a0, a1, a2"
    assert page["instance"]["fields"] == {"rs2": 12, "rs1": 11, "rd": 10}
    assert page["encoding"]["bits"] == 32
    assert page["llvm"]
    assert page["assembly"]
    only = json.loads(cli("explain", "--json", "--show", "text", "mulhu").out)["insns"][0]
    assert only["instance"] is only["encoding"] is only["ops"] is only["llvm"] is only["assembly"] is None


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], "PVM-USAGE", "needs INSN"),
        (["addii"], "PVM-INSN-UNKNOWN", "Did you mean addi?"),
        (["mv"], "PVM-INSN-UNKNOWN", "polyvm explain addi"),
        (["vadd.vv"], "PVM-INSN-UNKNOWN", "belongs to V"),
        (["add", "a0"], "PVM-ASM-SYNTAX", "add rd, rs1, rs2"),
        (["0xffffffff"], "PVM-DECODE-UNKNOWN", "is no instruction"),
        (["0x100000001"], "PVM-DECODE-UNKNOWN", "is longer than"),
        (["addi", "--show", "text,colour"], "PVM-USAGE", "names 'colour'"),
        (["addi", "--guest", "x86_64"], "PVM-UNSUPPORTED", "x86_64"),
    ],
)
def test_what_cannot_be_explained(cli: Cli, words: list[str], code: str, text: str) -> None:
    done = cli("explain", *words)
    assert (done.status, done.code(), done.out) == (125, code, "")
    assert text in done.err


def test_a_name_that_is_also_hexadecimal_is_a_name(cli: Cli) -> None:
    assert explain._word(guests.load("riscv64"), "add") is None


def test_every_instruction_has_a_diagram_of_all_its_bits() -> None:
    for insn in guests.load("riscv64").insns:
        cells = explain._cells(insn.encoding)
        assert sum(high - low + 1 for high, low, _ in cells) == 8 * insn.size
        assert [high for high, _, _ in cells[1:]] == [low - 1 for _, low, _ in cells[:-1]]
        assert len({len(line) for line in explain.diagram(insn.encoding)[1:4]}) == 1
