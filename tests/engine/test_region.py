"""Compiled regions: their text, their loops' safepoints, and when they refuse to begin."""

from __future__ import annotations

import random
from collections.abc import Callable

from polyvm.engine import compile as compiler
from polyvm.engine.discover import Region, loop_heads
from polyvm.engine.layout import COUNTED, PRECISE
from polyvm.engine.region import RegionEmitter, module
from tests.engine.assembly import ISA, START, SUM, Program
from tests.engine.guest import DATA, Guest
from tests.engine.walks import random_code, random_region

CALLS = Program("""
    loop:  jal ra, inner
    back:  c.beqz a0, rare
           c.j loop
    rare:  ecall
    inner: c.addi a0, -1
           c.jr ra
""")
FLOATS = Program("""
    loop:  fmul.d fa0, fa0, fa1
           fadd.d fa0, fa0, fa2
           c.addi a0, -1
           c.bnez a0, loop
           fsd fa0, 0(a1)
           c.jr ra
""")


# ------------------------------------------------------------------------------------------- text
def unit_text(program: Program, kind: str = "", **options: object) -> str:
    text = module(ISA, program.region(**options), kind=kind)  # type: ignore[arg-type]  # passed on
    compiler.compile_object(text)  # LLVM takes it
    return text[text.index("define preserve_nonecc void @unit") :]


def test_the_text_of_a_loop(golden: Callable[[str, str], None]) -> None:
    """Registers in SSA values, one comparison before the loop where it can be, a safepoint at its head."""
    golden("region_sum.ll", unit_text(SUM))


def test_the_text_of_a_loop_whose_faults_show_every_register(golden: Callable[[str, str], None]) -> None:
    golden("region_sum_precise_counted.ll", unit_text(SUM, COUNTED + PRECISE))


def test_the_text_of_calls_and_of_what_never_ran(golden: Callable[[str, str], None]) -> None:
    text = unit_text(CALLS, ran=lambda at: at != CALLS["rare"], entries=["inner"])
    golden("region_calls.ll", text)


def test_the_text_of_floating_point(golden: Callable[[str, str], None]) -> None:
    """Canonical NaNs are made where somebody looks: at the store, not in the loop."""
    golden("region_floats.ll", unit_text(FLOATS))


# ------------------------------------------------------------------------------------------- safepoints
def cyclic(region: Region, without: set[int]) -> bool:
    """Whether some way leads round and round through no such block."""
    left = {
        start: {s for s in block.successors if s not in without} for start, block in region.blocks.items()
    }
    left = {start: successors for start, successors in left.items() if start not in without}
    while left:
        ends = {start for start, successors in left.items() if not successors & left.keys()}
        if not ends:
            return True
        left = {start: successors for start, successors in left.items() if start not in ends}
    return False


def test_no_way_leads_round_without_a_safepoint(seed: int, report: Callable[[str], None]) -> None:
    loops = heads = 0
    for number in range(500):
        rng = random.Random(f"{seed} {number} heads")
        region = random_region(rng, random_code(rng))
        assert region is not None
        found = loop_heads(region)
        assert not cyclic(region, found)
        loops += cyclic(region, set())
        heads += len(found)
        points = RegionEmitter(ISA, region).text("unit").count("callbr void asm sideeffect")
        assert points == len(found)
    report(f"safepoints: {loops} random regions with loops, {heads} heads")


# ------------------------------------------------------------------------------------------- entries
def test_a_region_made_for_rounding_to_nearest_refuses_to_begin_in_another(
    guests: Callable[..., Guest],
) -> None:
    code = Program("start: fadd.d fa0, fa0, fa1\n c.addi a0, -1\n c.bnez a0, start\n ecall")
    guest = guests(code)
    guest.install(guest.compile())
    guest.set(a0=3)
    guest.cpu.fp_mode = 2
    assert guest.once("start") == "HOT"
    assert (guest.cpu.pc, guest.hot_pc, guest.cpu.x[10]) == (START, START, 3)


def test_an_entry_that_takes_a_register_for_a_result_looks_first(guests: Callable[..., Guest]) -> None:
    """Another NaN than the canonical one is golden's to go on with."""
    guest = guests(FLOATS)
    guest.install(guest.compile())
    one, two = 0x3FF0 << 48, 0x4000 << 48
    guest.cpu.f[10], guest.cpu.f[11], guest.cpu.f[12] = one, two, one
    guest.set(a0=3, a1=DATA, ra=START + 0x800)
    assert guest.once("loop") in ("ILLEGAL", "TRAP")  # nothing is there
    assert guest.cpu.f[10] == 0x402E << 48  # 2 (2 (2 + 1) + 1) + 1
    guest.cpu.f[10] = (0x7FF8 << 48) + 5
    guest.set(a0=3)
    assert guest.once("loop") == "GOLDEN"
    assert (guest.cpu.pc, guest.cpu.x[10]) == (START, 3)
    guest.cpu.f[10] = 0x7FF8 << 48
    assert guest.once("loop") in ("ILLEGAL", "TRAP")
    assert int.from_bytes(guest.space.read(DATA, 8), "little") == 0x7FF8 << 48
