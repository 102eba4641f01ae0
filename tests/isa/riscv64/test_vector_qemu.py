"""The vector extension beside qemu-riscv64: every instruction in random states, by native code and by the evaluator.

Every instruction is compiled for some vtypes, as regions do, and done on random registers, masks, vl and memory;
a few states of each go through the golden evaluator, vstart and accesses over the edges of a page among them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from polyvm.isa.riscv64 import vector
from polyvm.isa.riscv64.vector.spec import VectorIsa
from polyvm.isa.spec import Insn
from tests.isa.riscv64.vectornative import Native
from tests.isa.riscv64.vectors import QEMU, Case, accesses, difference, on_golden, on_qemu, random_case

pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-riscv64 is not installed")

PARTS = 8
"""The instructions are divided among so many tests, which run in parallel."""
VLEN = {0: 128, 1: 256, 2: 512}


def own(isa: VectorIsa, part: int) -> list[Insn]:
    """A part of V's instructions that depend on vtype."""
    every = [insn for insn in isa.insns if insn.extension.name == "V"]
    return every[part::PARTS]


def compare(cases: list[tuple[Insn, Case]], isa: VectorIsa, ours: Callable[[Case], Case]) -> int:
    """Have both do all of it, and say how many of them were legal."""
    results = on_qemu([case for _, case in cases], isa.vlen)
    found, legal = [], 0
    for (insn, case), theirs in zip(cases, results, strict=True):
        legal += theirs.signal != 4
        if text := difference(insn, case, ours(case), theirs):
            found.append(text)
    assert not found, f"{len(found)} of {len(cases)} differ:\n" + "\n".join(found[:5])
    return legal


@pytest.mark.parametrize("part", range(PARTS))
def test_golden_agrees_with_qemu(
    part: int, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    isa = vector.load(VLEN[part % 3])
    insns = own(isa, part)
    cases = [(insn, random_case(insn, isa, rng)) for insn in insns for _ in range(30 if full else 3)]
    legal = compare(cases, isa, lambda case: on_golden(case, isa))
    report(
        f"golden == qemu: V, VLEN {isa.vlen}, {len(insns)} instructions, {len(cases)} states, {legal} of them legal"
    )


@pytest.mark.parametrize("vlen", VLEN.values())
def test_faults_restart_where_they_are(vlen: int, rng: random.Random, full: bool) -> None:
    """An access over the edge of a page does what comes before, says which element it was, and where."""
    isa = vector.load(vlen)
    insns = [insn for insn in isa.insns if insn.extension.name == "V" and accesses(insn)]
    cases = []
    for insn in rng.sample(insns, len(insns) if full else 60):
        for _ in range(3):
            case = random_case(insn, isa, rng, edges=True)
            if "ff" in insn.name:
                # vl may be any that has the first element (7.7): here it ends with the page, so ask for no more.
                ours = on_golden(case, isa)
                case = case if ours.signal else replace(case, vl=ours.vl)
            cases.append((insn, case))
    compare(cases, isa, lambda case: on_golden(case, isa))


@pytest.mark.parametrize("part", range(PARTS))
def test_native_code_agrees_with_qemu(
    part: int, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    """200 states of every instruction in CI: two encodings, some vtypes each, and random registers for each."""
    isa = vector.load(VLEN[part % 3])
    insns = own(isa, part)
    native, cases = Native(isa), []
    for insn in insns:
        for _ in range(20 if full else 4):
            found = native.legal_case(insn, rng)
            if found is None:
                continue
            for _ in range(50):
                cases.append((insn, native.varied(found, insn, rng)))
    native.link()
    compare(cases, isa, native.step)
    assert native.left < len(cases) // 3
    report(
        f"native == qemu: V, VLEN {isa.vlen}, {len(insns)} instructions, {len(cases)} states, {native.left} of them "
        "left to the evaluator"
    )
