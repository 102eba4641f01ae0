"""Regions: which code belongs to one, where control goes inside and where it is entered, read off small programs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from polyvm.engine.discover import MAX_RETURN_SITES, ROOM, Constants, discover, flow_of, learn
from polyvm.engine.layout import BARRED, MET
from tests.engine.assembly import ISA, START, Program, odd_guest, placed
from tests.engine.walks import Hart, random_code, random_region, walk


def named(program: Program, places: Iterable[int]) -> list[str]:
    return [program.name(place) for place in places]


# ------------------------------------------------------------------------------------------- blocks and edges
LOOP = """
    start: addi a0, zero, 9
    loop:  andi a1, a0, 1
           beq a1, zero, even
    odd:   addi a2, a2, 3
           c.j next
    even:  slli a2, a2, 1
    next:  addi a0, a0, -1
           bne a0, zero, loop
    after: addi a7, zero, 93
           ecall
    back:  c.ebreak
"""


def test_a_loop_with_two_ways_through_it() -> None:
    code = Program(LOOP)
    region = code.region()
    assert code.graph(region) == {
        "start": ["loop"],
        "loop": ["even", "odd"],
        "odd": ["next"],
        "even": ["next"],
        "next": ["loop", "after"],
        "after": [],
        "back": [],
    }
    # A system call comes back behind itself, and who goes around in a loop may come in there.
    assert named(code, region.entries) == ["start", "back", "loop"]
    assert region.insn_count == 11


def test_a_loop_that_is_entered_in_its_middle_is_found_whole() -> None:
    code = Program(LOOP)
    region = code.region("next")
    assert named(code, region.blocks) == ["loop", "odd", "even", "next", "after", "back"]
    assert named(code, region.entries) == ["next", "back"]


def test_code_ends_where_nothing_can_be_decoded_or_fetched() -> None:
    hole = Program("start: addi a0, a0, 1\n c.beqz a0, end\n c.j start\n end: c.nop")
    region = hole.region()
    assert hole.graph(region) == {"start": ["end", hex(START + 6)], hex(START + 6): ["start"], "end": []}
    assert discover(ISA, hole.fetch, hole.end) is None
    # Half an instruction at the end of what may be executed is none.
    cut = Program("start: c.nop\n long: addi a0, a0, 1")
    assert discover(ISA, lambda at, size: cut.fetch(at, min(size, START + 4 - at)), cut["long"]) is None
    assert cut.graph(cut.region()) == {"start": []}
    assert discover(ISA, lambda at, size: b"\0\0\0\0", START) is None


def test_a_region_ends_where_the_rounding_mode_may_change() -> None:
    """Compiled code takes it for constant, so somebody must look at it again."""
    code = Program("""
        start: fadd.d fa0, fa0, fa1
               csrrw a0, frm, a1
        new:   fadd.d fa0, fa0, fa1
               csrrs zero, fflags, zero
               csrrw zero, fflags, a0
               c.j start
    """)
    region = code.region()
    assert code.graph(region) == {"start": [], "new": ["start"]}
    assert named(code, region.entries) == ["start", "new"]


def test_what_flushes_code_ends_a_region() -> None:
    code = Program("start: c.nop\n fence.i\n new: c.j start")
    assert code.graph(code.region()) == {"start": [], "new": ["start"]}


def test_more_instructions_than_the_limit_are_left_out() -> None:
    code = Program("\n".join(["c.nop"] * 400 + ["end: c.ebreak"]))
    region = code.region(limit=100)
    assert region.insn_count == 100 + ROOM
    assert code.region(limit=100, entries=[START]).insn_count == 100 + 2 * ROOM
    assert code["end"] not in region.blocks


# ------------------------------------------------------------------------------------------- calls and returns
CALLS = """
    start: c.addi a0, 1
           jal ra, inner
    first: c.addi a0, 1
           jal ra, inner
    last:  bne a0, a1, start
           c.jr a5
    inner: c.beqz a0, quick
           c.addi a0, -1
    quick: c.jr ra
"""


def test_a_return_leads_behind_the_calls_of_its_function() -> None:
    code = Program(CALLS)
    region = code.region()
    assert code.graph(region)["quick"] == ["first", "last"]
    assert region.returns == {code["quick"]: [code["first"], code["last"]]}
    assert named(code, region.entries) == ["start"]  # every call is answered inside


def test_a_call_that_leaves_the_region_comes_back_behind_itself() -> None:
    code = Program("start: c.addi a0, 1\n jalr ra, 0(a5)\n back: c.j start")
    region = code.region()
    assert code.graph(region) == {"start": [], "back": ["start"]}
    assert named(code, region.entries) == ["start", "back"]
    assert region.blocks[START].flow.call
    assert region.blocks[START].flow.dynamic


def test_the_second_link_register_calls_and_returns_too() -> None:
    code = Program("""
        start: jal t0, save
        back:  jal ra, save
               c.ebreak
        save:  jalr zero, 0(t0)
    """)
    region = code.region()
    assert code.graph(region)["save"] == ["back", hex(code["back"] + 4)]
    assert region.blocks[code["save"]].flow.returns


def test_functions_come_before_what_they_call() -> None:
    """A callee that is too long is left out whole: part of it, or of the loop around the call, would be of no use."""
    twenty = "c.nop\n" * 20
    code = Program(f"""
        start: jal ra, deep
        back:  {twenty}
               bne a0, zero, start
        end:   c.jr a5
        deep:  {twenty * 15}
               c.jr ra
    """)
    region = code.region()
    assert code.graph(region) == {"start": [], "back": ["start", "end"], "end": []}
    # The callee's return comes from outside.
    assert named(code, region.entries) == ["start", "back"]
    short = Program(
        f"start: jal ra, leaf\n back: bne a0, zero, start\n end: c.jr a5\n leaf: {twenty} c.jr ra"
    )
    region = short.region()
    assert short.graph(region)["leaf"] == ["back"]
    assert named(short, sorted(region.own)) == ["start", "back", "end"]
    # Not even one instruction of a function is taken when all of them are more than is left.
    assert "leaf" not in short.graph(short.region(limit=0, callees=20))


def test_what_is_called_often_is_taken_along_first() -> None:
    """It is known by its own heat, or by that of where it returns to; what is called now and then gets what is left."""
    ten = "c.nop\n" * 10
    code = Program(f"""
        start: jal ra, rare
        one:   jal ra, often
        two:   jal ra, usual
        three: c.j start
        rare:  {ten} c.jr ra
        often: {ten} c.jr ra
        usual: {ten} jal t0, deep
        deep:  c.jr t0
    """)

    def taken(*hot: str, **limits: int) -> set[str]:
        return {"rare", "often", "usual"} & set(
            code.graph(code.region(hot=[code[name] for name in hot], **limits))
        )

    assert taken(callees=14) == {"rare"}
    assert taken("two", callees=14) == {"often"}
    assert taken("usual", callees=14) == {"usual"}
    assert taken("two", "usual", callees=30) == {"often", "usual"}
    assert taken(cold=25) == {"rare", "often"}
    assert taken("three", cold=12) == {"usual"}
    assert taken("three", "two", cold=12) == {"often", "usual"}
    assert taken("three", cold=23) == {"rare", "usual"}


def test_a_function_is_what_is_reached_without_its_callees() -> None:
    code = Program("""
        start: jal ra, outer
        back:  c.j start
        outer: c.mv s0, ra
               jal ra, leaf
        mid:   c.mv ra, s0
        ret:   c.jr ra
        leaf:  c.beqz a0, out
               c.nop
        out:   c.jr ra
    """)
    region = code.region()
    assert region.returns == {code["mid"]: [code["back"]], code["out"]: [code["mid"]]}
    assert named(code, region.entries) == ["start"]


def test_a_callee_that_ends_elsewhere_returns_from_outside() -> None:
    code = Program("""
        start: jal ra, tail
        back:  c.j start
        tail:  c.jr a5
    """)
    region = code.region()
    assert code.graph(region) == {"start": ["tail"], "back": ["start"], "tail": []}
    assert named(code, region.entries) == ["start", "back"]
    known = code.region(observed={code["tail"]: [code["tail"]]})
    assert named(code, known.entries) == ["start", "back"]


def test_returns_to_very_many_places_leave_the_region() -> None:
    calls = MAX_RETURN_SITES + 7
    code = Program(
        "\n".join(f"jal ra, inner\n s{i}: c.nop" for i in range(calls)) + "\nc.jr a5\ninner: c.jr ra"
    )
    region = code.region()
    sites = [code[f"s{i}"] for i in range(calls)]
    assert region.returns[code["inner"]] == sites[:MAX_RETURN_SITES]
    assert region.entries == [START, *sites[MAX_RETURN_SITES:]]
    assert code.graph(region)["inner"] == [f"s{i}" for i in range(MAX_RETURN_SITES)]


# ------------------------------------------------------------------------------------------- dynamic jumps
SWITCH = """
    start: andi a0, a0, 1
           c.jr a5
    one:   c.addi a1, 1
           c.j start
    two:   c.addi a1, 2
           c.j start
"""


def test_a_dynamic_jump_goes_where_it_was_seen_to_go() -> None:
    code = Program(SWITCH)
    jump = START + 4
    assert code.graph(code.region()) == {"start": []}
    seen = code.region(observed={jump: [code["two"], code["one"]]})
    assert code.graph(seen) == {"start": ["two", "one"], "one": ["start"], "two": ["start"]}
    assert seen.blocks[START].flow.seen == (code["two"], code["one"])
    # Seen where there is no code by now.
    gone = code.region(observed={jump: [code.end, code["one"]]})
    assert code.graph(gone) == {"start": ["one"], "one": ["start"]}


def test_what_was_seen_of_returns_is_not_believed() -> None:
    """A return goes behind the calls in the region; others have their own way back."""
    code = Program(CALLS)
    back = code["quick"]
    assert code.region("inner", observed={back: [code["first"]]}).blocks.keys() == {
        code["inner"],
        code["inner"] + 2,
        back,
    }


FAR = """
    start: c.beqz a0, other
           auipc a5, %hi(there)
    mid:   jalr zero, %lo(there)(a5)
    other: c.ebreak
    there: c.addi a1, 1
           c.j start
"""


def test_a_jump_through_a_register_with_a_known_value_is_static() -> None:
    code = Program(FAR)
    region = code.region()
    assert code.graph(region)[hex(START + 2)] == ["there"]
    flow = region.blocks[START + 2].flow
    assert (flow.target, flow.dynamic, flow.since) == (code["there"], False, START + 2)


def test_such_a_jump_is_dynamic_when_somebody_jumps_in_between() -> None:
    code = Program(FAR.replace("other: c.ebreak", "other: c.j mid"))
    region = code.region()
    for start in (START + 2, code["mid"]):
        assert code.graph(region)[code.name(start)] == (["mid"] if start != code["mid"] else ["there"])
    flow = region.blocks[code["mid"]].flow
    assert (flow.target, flow.dynamic, flow.seen) == (None, True, (code["there"],))
    # Likewise where it is entered there from outside.
    entered = Program(FAR).region(entries=["mid"])
    assert entered.blocks[code["mid"]].flow.dynamic


def test_every_instruction_that_makes_the_target_known_counts() -> None:
    text = """
        start: c.beqz a0, other
               auipc a5, 0
        mid:   addi a5, a5, 10
               c.addi a5, 2
        late:  c.jr a5
               c.nop
        other: c.j target
    """
    for target, dynamic in (("mid", True), ("late", True), ("start", False)):
        code = Program(text.replace("target", target))
        last = code["late"] if target == "late" else code["mid"] if target == "mid" else START + 2
        flow = code.region().blocks[last].flow
        assert flow.dynamic == dynamic, target
        assert (flow.seen or (flow.target,)) == (START + 2 + 12,)


def test_a_call_through_a_link_register_is_no_return() -> None:
    """As two coroutines go to each other."""
    code = Program("start: jalr ra, 0(t0)\n back: c.j start\n other: c.jr a5")
    region = code.region(observed={START: [code["other"]]})
    flow = region.blocks[START].flow
    assert (flow.call, flow.returns, flow.seen) == (True, False, (code["other"],))
    assert code.graph(region)["start"] == ["other"]


def test_a_call_through_a_known_register_is_answered_inside() -> None:
    code = Program("""
        start: auipc ra, %hi(inner)
               jalr ra, %lo(inner)(ra)
        back:  c.j start
        inner: c.jr ra
    """)
    assert code.graph(code.region()) == {"start": ["inner"], "back": ["start"], "inner": ["back"]}


def test_a_known_register_is_forgotten_where_it_is_written() -> None:
    for between in ("ld a5, 0(a5)", "add a5, a5, a0", "csrrw a5, fflags, zero", "lr.d a5, (a0)"):
        code = Program(f"""
            start: auipc a5, %hi(there)
                   {between}
            mid:   jalr zero, 8(a5)
            there: c.ebreak
        """)
        region = code.region()
        last = region.blocks[START].flow
        assert (last.target, last.dynamic) == (None, True), between


def test_a_hardwired_zero_stays_zero() -> None:
    code = Program("start: auipc zero, 8\n jalr zero, 0x20(zero)\n c.ebreak")
    assert code.region().blocks[START].flow.target in (None, 0x20)


def test_what_is_written_on_one_way_only_is_not_known() -> None:
    isa = odd_guest()
    known: Constants = {}
    learn(isa, placed("surely two", 0x100, isa), known)
    assert known == {("r", 2): (5, 0x100)}
    learn(isa, placed("maybe two, one", 0x104, isa), known)
    assert known == {}


# ------------------------------------------------------------------------------------------- what never ran
def ran(program: Program, *labels: str) -> Callable[[int], bool]:
    """Everything but what stands at these labels was executed."""
    never = {program[label] for label in labels}
    return lambda address: address not in never


def test_what_never_ran_is_left_out() -> None:
    code = Program(LOOP)
    region = code.region(ran=ran(code, "even", "after"))
    assert code.graph(region) == {
        "start": ["loop"],
        "loop": ["odd"],
        "odd": ["next"],
        "next": ["loop"],
    }
    assert named(code, sorted(region.unmet)) == ["even", "after"]
    assert named(code, region.entries) == ["start", "loop"]


def test_what_fell_through_only_is_left_out_where_nothing_fell() -> None:
    code = Program(LOOP)
    region = code.region(ran=ran(code, "odd"))
    assert "odd" not in code.graph(region)
    assert code.graph(region)["loop"] == ["even"]
    assert named(code, region.unmet) == ["odd"]


def test_what_one_way_leaves_out_another_may_bring_in() -> None:
    """A place inside straight code counts as met once the code around it is in the region."""
    code = Program("""
        start: c.beqz a0, late
        early: c.addi a1, 1
        late:  c.addi a1, 2
               c.j start
    """)
    region = code.region(ran=ran(code, "late"))
    assert region.unmet == {code["late"]}  # no block begins there
    assert code.graph(region) == {"start": ["early"], "early": ["start"]}
    both = code.region(ran=ran(code, "late"), entries=["late"])
    assert both.unmet == frozenset()
    assert code.graph(both) == {"start": ["late", "early"], "early": ["late"], "late": ["start"]}


def test_the_entries_of_a_region_need_not_have_run() -> None:
    code = Program(LOOP)
    region = code.region("even", entries=["after"], ran=lambda address: False)
    assert named(code, region.entries) == ["even", "after"]
    assert named(code, sorted(region.unmet)) == ["loop", "back"]
    assert code.graph(region) == {"even": ["after"], "after": []}


def test_callees_and_targets_that_never_ran_are_left_out() -> None:
    code = Program(CALLS)
    region = code.region(ran=ran(code, "inner"))
    assert code["inner"] not in region.blocks
    assert named(code, region.unmet) == ["inner"]
    # Then both calls leave the region, and come back to it.
    assert named(code, region.entries) == ["start", "first", "last"]
    switch = Program(SWITCH)
    seen = {START + 4: [switch["one"], switch["two"]]}
    assert switch.graph(switch.region(observed=seen, ran=ran(switch, "two")))["start"] == ["one"]


# ------------------------------------------------------------------------------------------- entries
def test_a_region_is_entered_where_it_goes_and_was_asked_for() -> None:
    code = Program(LOOP)
    assert named(code, code.region(entries=["odd", "next"]).entries) == [
        "start",
        "odd",
        "next",
        "back",
        "loop",
    ]
    nowhere = code.region("even", entries=[code.end, 0x7000_0000])
    assert named(code, nowhere.entries) == ["even", "back", "next"]
    apart = Program("start: c.j start\n apart: c.j apart")
    assert apart.graph(apart.region(entries=["apart"])) == {"start": ["start"], "apart": ["apart"]}


# ------------------------------------------------------------------------------------------- anything at all
def test_control_goes_only_where_a_region_says(seed: int, full: bool, report: Callable[[str], None]) -> None:
    """Random code, followed by the golden evaluator from every entry: what happens must be foreseen."""
    regions = steps = unmet = 0
    for number in range(4000 if full else 400):
        rng = random.Random(f"{seed} {number} discover")
        code = random_code(rng, floats=number % 3 == 0)
        region = random_region(rng, code, limit=rng.choice((0, 1000)))
        assert region is not None
        regions += 1
        assert region.entries[0] == region.entry
        assert len(set(region.entries)) == len(region.entries)
        assert set(region.entries) <= region.blocks.keys()
        assert not region.unmet & region.blocks.keys()
        unmet += len(region.unmet)
        reached = set(region.entries)
        for start, block in region.blocks.items():
            reached.update(block.successors)
            assert block.start == start == block.insns[0].pc
            assert not any(flow_of(ISA, item).ends for item in block.insns[:-1])
        assert reached == region.blocks.keys()
        for entry in region.entries:
            steps += sum(1 for _ in walk(Hart(rng), region, entry))
    assert unmet
    report(f"control flow: {regions} random regions, {steps} instructions followed")


def test_a_region_does_not_go_on_where_it_is_barred() -> None:
    """Not even into straight code, nor where it would begin."""
    code = Program(LOOP)
    second = code["odd"] + 4
    region = code.region(ran=lambda address: BARRED if address == second else MET)
    assert second not in [item.pc for block in region.blocks.values() for item in block.insns]
    assert second in region.unmet
    assert code.graph(region)["odd"] == []
    assert discover(ISA, code.fetch, START, ran=lambda address: BARRED) is None
