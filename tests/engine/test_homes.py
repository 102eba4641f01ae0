"""Where registers live while a region runs: what loops use is held, what only rare ways use stays in the state."""

from __future__ import annotations

import random
from collections.abc import Callable

from polyvm.engine import compile as compiler
from polyvm.engine.discover import Region, Slot, loop_heads
from polyvm.engine.homes import frequencies, in_state
from polyvm.engine.layout import REGISTERS
from polyvm.engine.liveness import analyse
from polyvm.engine.region import module
from tests.engine.assembly import ISA, SUM, Program
from tests.engine.walks import random_code, random_region

RARE = Program("""
    start: ld a2, 0(a0)
           c.bnez a2, odd
    on:    c.addi a0, 8
           c.jr ra
    odd:   add a0, s2, s3
           c.li s4, 1
           c.j on
""")


def x(*numbers: int) -> set[Slot]:
    return {("x", number) for number in numbers}


def stays(region: Region) -> frozenset[Slot]:
    return in_state(region, analyse(ISA, region))


def test_what_a_loop_uses_is_held() -> None:
    assert stays(SUM.region()) == frozenset()


def test_what_a_rare_way_uses_stays() -> None:
    region = RARE.region()
    found = stays(region)
    assert x(18, 19, 20) <= found
    assert not found & x(10, 1)


def test_nothing_is_loaded_or_stored_for_what_stays() -> None:
    text = module(ISA, RARE.region())
    compiler.compile_object(text)  # LLVM takes it
    places = ISA.state_layout(REGISTERS)
    way = text[text.index(f"\nL{RARE['odd']:x}:") :]
    for number in (18, 19):
        at = f"ptr %S.{places['x', number][0]}\n"
        assert text.count(at) == 1
        assert f"load i64, {at}" in way
    at = f"ptr %S.{places['x', 20][0]}\n"
    assert text.count(at) == 1
    assert f"store i64 1, {at}" in way


def test_a_way_out_that_nobody_took_counts_little() -> None:
    program = Program("start: c.beqz a0, rare\n c.addi a1, 1\n c.jr ra\n rare: c.addi a2, 1\n c.jr ra")
    often, exits = frequencies(program.region())
    assert often[program["rare"]] == 0.5
    assert exits[program["rare"]] == 0.5
    seldom = program.region(ran=lambda at: at != program["rare"])
    often, exits = frequencies(seldom)
    assert 0 < exits[program["start"]] < 0.05
    assert often[program["start"] + 2] > 0.95


def test_what_comes_in_goes_out(seed: int, report: Callable[[str], None]) -> None:
    """Of what enters a region, no more leaves it than entered, and where there is no loop, all of it."""
    loops = 0
    for number in range(300):
        rng = random.Random(f"{seed} {number} frequencies")
        region = random_region(rng, random_code(rng))
        assert region is not None
        heads = loop_heads(region)
        often, exits = frequencies(region)
        assert often.keys() == exits.keys() == region.blocks.keys()
        assert all(share >= 0 for share in (*often.values(), *exits.values()))
        entered, left = len(region.entries), sum(exits.values())
        assert left < entered + 1e-6
        assert heads or left > entered - 1e-6
        loops += bool(heads)
    report(f"frequencies: 300 random regions, {loops} with loops")
