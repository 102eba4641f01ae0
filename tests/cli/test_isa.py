"""`polyvm isa`: guests, instructions, coverage."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from polyvm.cli import guests
from tests.cli.conftest import Done

Cli = Callable[..., Done]


def test_the_guests(cli: Cli) -> None:
    assert cli("isa", "list").out == "riscv64\naarch64\nx86_64  (not there yet)\n"
    document = json.loads(cli("isa", "list", "--json").out)
    assert document["guests"] == [
        {"name": "riscv64", "exists": True, "specified": True},
        {"name": "aarch64", "exists": True, "specified": True},
        {"name": "x86_64", "exists": False, "specified": False},
    ]


def test_the_state_of_a_guest(cli: Cli) -> None:
    assert "cbnz Xt, offset" in cli("isa", "list", "aarch64").out
    document = json.loads(cli("isa", "coverage", "aarch64", "--json").out)
    states = {part["name"]: part["state"] for part in document["extensions"]}
    assert states["Bitfield"] == "done"
    assert states["Advanced SIMD three same"] == "done"
    assert states["FEAT_PAuth"] == states["FEAT_MTE"] == "done"
    # By class, all that is there: what is not specified is refused when it is met.
    assert {states[name] for name in ("FEAT_SVE", "FEAT_SVE2", "FEAT_SME", "FEAT_SME2", "FEAT_MOPS")} == {
        "refused"
    }


def test_every_instruction_is_listed_once(cli: Cli) -> None:
    isa = guests.load("riscv64")
    text = cli("isa", "list", "riscv64").out
    rows = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(rows) == len(isa.insns)
    document = json.loads(cli("isa", "list", "riscv64", "--json").out)
    assert [row["name"] for row in document["insns"]] == [insn.name for insn in isa.insns]
    assert all(row["summary"] for row in document["insns"])


def test_coverage(cli: Cli) -> None:
    document = json.loads(cli("isa", "coverage", "--json").out)
    assert document["schema"] == "polyvm.coverage/1"
    assert set(document) == {"schema", "polyvm", "guest", "revision", "extensions", "encodings"}
    parts = {part["name"]: part for part in document["extensions"]}
    for name in (
        "I",
        "M",
        "A",
        "F",
        "D",
        "C",
        "Zicsr",
        "Zifencei",
        "Zba",
        "Zbb",
        "Zbs",
        "Zbkb",
        "Zicond",
        "Zfh",
    ):
        assert parts[name]["state"] == "done", name
        assert parts[name]["missing"] == []
    counts = document["encodings"]
    assert counts["total"] == counts["done"] + counts["refused"]
    text = cli("isa", "coverage", "riscv64").out
    assert f"{counts['done']} of {counts['total']} instructions" in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "PVM-USAGE"),
        (["cover"], "PVM-USAGE"),
        (["list", "mips"], "PVM-USAGE"),
        (["coverage", "x86_64"], "PVM-UNSUPPORTED"),
        (["list", "riscv64", "more"], "PVM-USAGE"),
    ],
)
def test_what_is_refused(cli: Cli, words: list[str], code: str) -> None:
    done = cli("isa", *words)
    assert (done.status, done.code(), done.out) == (125, code, "")
