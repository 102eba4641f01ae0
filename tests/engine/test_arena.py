"""Tier 1's memory: who has it, what lies in it, what becomes of it when it is full and when the process forks."""

from __future__ import annotations

import os
from collections.abc import Callable

from polyvm.engine import layout
from polyvm.memory import host
from tests.engine.assembly import Program
from tests.engine.guest import Guest

NESTED = Program("""
    start: c.li a2, 20
    inner: c.addi a1, 1
           c.addi a2, -1
           c.bnez a2, inner
           c.addi a0, -1
           c.bnez a0, start
           ecall
""")
OTHER = Program("""
    start: c.addi a1, 2
           c.addi a0, -1
           c.bnez a0, start
           ecall
""")
HIDDEN = 0x1234


def turns(guest: Guest, count: int) -> int:
    """Run so many turns of the outer loop; what the inner one added up."""
    guest.set(a0=count, a1=0)
    assert guest.run("start") == "SYSCALL"
    return int(guest.cpu.x[11])


def test_what_is_warm_is_made_of_stencils(guests: Callable[..., Guest]) -> None:
    guest = guests(NESTED, tier="baseline")
    arena = guest.engine.native.arena
    assert turns(guest, 1000) == 20_000
    heads = {pc for pc, *_ in arena.blocks()}
    assert {NESTED["start"], NESTED["inner"]} <= heads
    for pc, at, size, insns in arena.blocks():
        slot = host.peek(guest.space.slots + (pc << layout.SLOT_SHIFT), 8)
        assert int.from_bytes(slot, "little") == at - guest.engine.native.decode & 0xFFFF_FFFF
        assert 0 < insns <= layout.MAX_BLOCK
        assert 0 < size < insns * layout.MAX_STENCIL
    made = guest.engine.stats()["tiers"]["baseline"]
    assert made["code_bytes"] == arena.used > 0
    before = made["insns"]
    turns(guest, 1000)
    # 62 instructions a turn, all of them in tier 1 by now but for the last, which leaves.
    assert guest.engine.stats()["tiers"]["baseline"]["insns"] - before > 62_000 - 100


def test_no_other_tier_makes_any(guests: Callable[..., Guest]) -> None:
    guest = guests(NESTED, tier="interpreter")
    turns(guest, 1000)
    assert not guest.engine.tiered
    assert "baseline" not in guest.engine.stats()["tiers"]


def test_one_engine_has_it_at_a_time(guests: Callable[..., Guest]) -> None:
    first = guests(NESTED, tier="baseline")
    second = guests(OTHER, tier="baseline")
    arena = first.engine.native.arena
    assert second.engine.native.arena is arena
    assert (first.engine.tiered, second.engine.tiered) == (True, False)
    assert turns(second, 1000) == 2000  # in tier 0
    assert arena.used == 0
    assert turns(first, 100) == 2000
    assert arena.used
    first.cpu.close()
    assert (first.engine.tiered, arena.owner, arena.used) == (False, None, 0)
    assert host.peek(first.space.slots + (NESTED["inner"] << layout.SLOT_SHIFT), 4) == bytes(4)


def test_when_it_is_full_all_is_made_anew(guests: Callable[..., Guest]) -> None:
    guest = guests(NESTED, tier="baseline")
    native = guest.engine.native
    turns(guest, 20)
    resets = native.arena.resets
    native.set("arena_room", 1)
    guest.space.drop_code(NESTED.start, NESTED.start + 4096)
    assert turns(guest, 1000) == 20_000
    assert native.arena.resets == resets + 1
    assert not native.arena.full
    assert native.arena.blocks()


def test_a_forked_child_has_a_copy(guests: Callable[..., Guest]) -> None:
    guest = guests(NESTED, tier="baseline")
    arena = guest.engine.native.arena
    turns(guest, 100)
    before = host.peek(arena.rw, arena.used)
    child = os.fork()
    if not child:
        status = 1
        try:
            guest.engine.forked()
            same = host.peek(arena.rx, len(before)) == before
            host.poke(arena.rw + 8192, HIDDEN.to_bytes(8, "little"))
            status = 0 if same and turns(guest, 100) == 2000 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert host.peek(arena.rw, arena.used) == before
    assert host.peek(arena.rx + 8192, 8) != HIDDEN.to_bytes(8, "little")


def test_a_child_without_memory_keeps_what_there_is(guests: Callable[..., Guest]) -> None:
    guest = guests(NESTED, tier="baseline")
    arena = guest.engine.native.arena
    turns(guest, 100)
    blocks = arena.blocks()
    child = os.fork()
    if not child:
        status = 1
        try:
            host.mremap = _refuse
            guest.engine.forked()
            status = 0 if turns(guest, 100) == 2000 and arena.blocks() and arena.rw == arena.rx else 2
            arena.empty(guest.space)  # as for another program
            status |= turns(guest, 100) != 2000 or guest.engine.native.get("arena_room") != 0 or arena.used
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert arena.blocks() == blocks


def _refuse(address: int, size: int, new_size: int, flags: int, new_address: int = 0) -> int:
    return -12
