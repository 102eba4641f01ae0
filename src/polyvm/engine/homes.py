"""Where guest registers live while a region runs: in host registers, or where they are between regions, in the state.

A register that lives in the state is read there by whoever wants it and written there at once: nothing is loaded for
it at an entry, nothing stored at an exit. That is the better choice for one that only rare ways through a region touch;
of a short function's registers most are of that kind. Looks at blocks and at what is known of registers, never at text.
"""

from __future__ import annotations

from polyvm.engine.discover import Block, Region, Slot, in_order
from polyvm.engine.liveness import Knowledge

ROUNDS = 12
"""Passes over a region until what is estimated has settled well enough to compare."""
AROUND = 0.9
"""How much of what comes to the end of a loop's turn is estimated to go around again."""
SELDOM = 0.02
"""How much of what comes to a block's end is estimated to go where nobody was seen to go."""
DYNAMIC = 0.1
"""How much of what comes to a jump to a computed address is estimated to leave, where places inside are known."""
STAY = 1.5
"""What a turn through memory costs, in loads at an entry or stores at an exit."""


def in_state(region: Region, know: Knowledge) -> frozenset[Slot]:
    """The registers that are better left in the state."""
    often, exits = frequencies(region)
    held = dict.fromkeys(know.used, 0.0)
    stayed = dict.fromkeys(know.used, 0.0)
    for entry in region.entries:
        for slot in know.needed[entry]:
            held[slot] += 1.0
    for start, block in region.blocks.items():
        read, written = _touched(block, know)
        for slot in (*read, *written):
            stayed[slot] += STAY * often[start]
        for slot in know.dirty[start] | written:
            held[slot] += exits[start]
    return frozenset(slot for slot in know.used if stayed[slot] < held[slot])


def _touched(block: Block, know: Knowledge) -> tuple[set[Slot], set[Slot]]:
    """The registers whose value a block takes from before it, and those that it changes."""
    read: set[Slot] = set()
    written: set[Slot] = set()
    for placed in block.insns:
        effect = know.effects[placed.pc]
        read |= (effect.reads | (effect.writes - effect.surely)) - written
        written |= effect.writes
    return read, written


def frequencies(region: Region) -> tuple[dict[int, float], dict[int, float]]:
    """How often a block is estimated to run, and to be left for outside, where each entry is taken once."""
    order = in_order(region)
    ways: dict[int, list[tuple[int, float]]] = {}
    leaving: dict[int, float] = {}
    for start in order:
        block = region.blocks[start]
        back = [s for s in block.successors if order[s] <= order[start]]
        ahead = [s for s in block.successors if s not in back]
        out = _out(block, region)
        share = AROUND if back and (ahead or out >= 1) else 1.0
        rest = (1.0 - share if back else 1.0) * (1.0 - out)
        ways[start] = [(s, share / len(back)) for s in back] + [(s, rest / len(ahead)) for s in ahead]
        leaving[start] = 1.0 - sum(part for _, part in ways[start])
    entered = dict.fromkeys(order, 0.0)
    for entry in region.entries:
        entered[entry] = 1.0
    before: dict[int, list[tuple[int, float]]] = {start: [] for start in order}
    for start, targets in ways.items():
        for target, part in targets:
            before[target].append((start, part))
    often = dict.fromkeys(order, 0.0)
    for _ in range(ROUNDS):
        for start in order:
            often[start] = entered[start] + sum(often[source] * part for source, part in before[start])
    return often, {start: often[start] * max(0.0, leaving[start]) for start in order}


def _out(block: Block, region: Region) -> float:
    """The share of what comes to a block's end that leaves the region there."""
    if not block.successors:
        return 1.0
    if block.flow.dynamic:
        return DYNAMIC
    outside = [place for place in block.onward if place not in region.blocks]
    seldom = sum(place in region.unmet for place in outside)
    return (len(outside) - seldom) / len(block.onward) + SELDOM * seldom if outside else 0.0
