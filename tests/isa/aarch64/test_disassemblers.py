"""The comparison with other disassemblers: that it sees mistakes, LLVM over random words, and `make decode-full`."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.isa.disasm import assemble
from tests import toolchain
from tests.isa import llvm
from tests.isa.aarch64 import decode_full, disassemblers
from tests.isa.aarch64.disassemblers import OURS, REFUSED, SAME, TEXT, THEIRS, Comparison
from tests.isa.aarch64.machine import ISA


@pytest.fixture(scope="module")
def both() -> Comparison:
    """Capstone and LLVM."""
    path = llvm.library()
    if path is None:
        pytest.skip("LLVM's library is not here: apt install libllvm15 or later")
    return Comparison(llvm.Disassembler(path))


def word(text: str) -> int:
    return int.from_bytes(assemble(ISA, text), "little")


AGREED = {
    "b .-4": SAME,
    "add x0, x1, #1, lsl #12": SAME,
    "ld1 {v0.16b}, [x1]": SAME,
    "adrp x0, 0x12000": SAME,
    "prfm #7, [x0]": TEXT,
    "ldp x0, x0, [x1]": OURS,
}


@pytest.mark.parametrize("text", AGREED)
def test_verdicts(text: str) -> None:
    (verdict,) = Comparison().of(word(text)).values()
    assert (verdict.outcome, verdict.unexplained) == (AGREED[text], False)


@pytest.mark.parametrize(
    ("number", "outcome", "reason"),
    [(0xFFFFFFFF, REFUSED, ""), (0xD9200000, THEIRS, "memory tagging"), (0x04000000, THEIRS, "SVE, SME")],
)
def test_what_we_refuse(number: int, outcome: str, reason: str) -> None:
    (verdict,) = Comparison().of(number).values()
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_a_mistake_has_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    decode, add = ISA.decode, word("add x0, x1, x2")
    monkeypatch.setattr(type(ISA), "decode", lambda self, number: decode(word("sub x0, x1, x2")))
    (verdict,) = Comparison().of(add).values()
    assert verdict.unexplained
    monkeypatch.setattr(type(ISA), "decode", lambda self, number: None)
    (verdict,) = Comparison().of(add).values()
    assert verdict.unexplained


@pytest.mark.unmeasured
def test_random_words_are_the_same_to_llvm(
    both: Comparison, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    counts, different = Counter[str](), []
    for _ in range(500_000 if full else 25_000):
        number = rng.getrandbits(32)
        for judge, verdict in both.of(number).items():
            counts[f"{judge}: {verdict.outcome}"] += 1
            if verdict.unexplained:
                different.append((hex(number), judge, verdict.ours, verdict.theirs))
    assert different[:20] == []
    report(f"text == LLVM's disassembler, any words: {dict(counts)}")


# -- make decode-full
def test_a_count_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = decode_full.count(Comparison(), decode_full.random_words(1, 0, 400))
    ledger = decode_full.Ledger(tmp_path / "ledger")
    ledger.add("one", whole)
    again = decode_full.Ledger(tmp_path / "ledger").all(["one"])
    assert (again.counts, again.examples) == (whole.counts, whole.examples)
    assert sum(again.counts.values()) == 400
    again.merge(whole)
    assert sum(again.counts.values()) == 800


def test_code_of_a_program_is_found() -> None:
    program = toolchain.build("bare_hello.c", "aarch64", libc=None).read_bytes()
    code = b"".join(decode_full.sections(program))
    assert word("svc #0").to_bytes(4, "little") in code
    assert [*decode_full.sections(b"#!/bin/sh\n")] == []


def test_the_page_has_every_class() -> None:
    tally = decode_full.count(Comparison(), decode_full.random_words(1, 1, 400))
    page = decode_full.summary(tally, decode_full.Tally(), {}, 1, "Capstone")
    assert "## 400 random words" in page
    for _, _, outcome, reason in tally.counts:
        assert reason in page or outcome in (SAME, REFUSED)


COUNTED = 1_000_000
"""Random words of the committed page at least. The command's own number is ten times that, and takes an hour."""


def test_the_committed_page_has_nothing_unexplained() -> None:
    page = decode_full.SUMMARY.read_text()
    assert "UNEXPLAINED" not in page
    found = re.search(r"## ([\d,]+) random words", page)
    assert found is not None
    assert int(found[1].replace(",", "")) >= COUNTED
    assert page.count("\n| lib") > 5
    assert disassemblers.SAME in page
