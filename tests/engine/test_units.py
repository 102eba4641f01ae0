"""Units in a process and on disk: found by every entry, used only for the code they were made from, dropped with it."""

from __future__ import annotations

import marshal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from polyvm.engine import cachedir, image
from polyvm.engine.layout import COUNTED, PRECISE
from polyvm.engine.units import Unit, Units
from polyvm.errors import PolyvmError
from polyvm.memory.space import EXEC, READ, WRITE
from tests.engine.assembly import START, Program
from tests.engine.guest import Guest

LOOP = Program("""
    start: addi a0, zero, 1000
    loop:  c.addi a1, 1
           c.addi a0, -1
           c.bnez a0, loop
    after: ecall
""")
TWO = Program("""
    one:   c.addi a1, 1
           c.addi a0, -1
           c.bnez a0, one
           c.jr a5
    two:   c.addi a2, 1
           c.addi a0, -1
           c.bnez a0, two
           c.jr a5
    done:  ecall
""")
SWITCH = Program("""
    start: c.addi a0, -1
           c.beqz a0, done
           c.jr a5
    case:  c.addi a1, 1
           c.j start
    done:  ecall
""")

CALLER = Program("""
    start: jal ra, callee
           c.addi a0, -1
           c.bnez a0, start
           c.jr a5
    callee: c.addi a1, 1
           ecall
    back:  c.addi a2, 1
           c.jr ra
""")


def units_of(guest: Guest) -> Units:
    assert guest.engine.units is not None
    return guest.engine.units


def stored(guest: Guest, data: bytes) -> Unit:
    unit = guest.install(data)
    units_of(guest).store(guest.space, unit, data)
    return unit


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("units/*/*"))


# ------------------------------------------------------------------------------------------- in memory
def test_entries_lead_to_a_unit(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    guest.install(guest.compile("loop"))
    guest.set(a0=10**6)
    assert guest.once("loop") == "SYSCALL"
    assert (guest.cpu.pc, guest.cpu.x[11]) == (LOOP["after"], 10**6)
    # Regions leave the budget alone: only the call was counted, if anything.
    assert guest.engine.stats()["tiers"]["interpreter"]["insns"] < 10


def test_a_unit_for_other_code_is_not_used(guests: Callable[..., Guest]) -> None:
    data = guests(LOOP).compile("loop")
    other = guests(
        Program("start: c.nop\n c.nop\n loop: c.addi a1, 2\n c.addi a0, -1\n c.bnez a0, loop\n ecall")
    )
    assert units_of(other).install(other.space, data) is None
    assert units_of(other).by_pc == {}
    elsewhere = guests(Program("start: ecall", start=START + 0x100000))
    assert units_of(elsewhere).install(elsewhere.space, data) is None
    forbidden = guests(LOOP)
    forbidden.space.protect(START, 4096, READ | WRITE)
    assert units_of(forbidden).install(forbidden.space, data) is None


def test_a_unit_of_another_kind_is_not_used(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    data = guest.compile("loop")
    units_of(guest).kind = PRECISE
    assert units_of(guest).install(guest.space, data) is None
    units_of(guest).kind = ""
    assert units_of(guest).install(guest.space, data) is not None


@pytest.mark.parametrize("meta", [b"", b"garbage", marshal.dumps({}), marshal.dumps([1])])
def test_a_description_that_cannot_be_read_is_damage(meta: bytes, guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    with pytest.raises(PolyvmError) as caught:
        units_of(guest).install(guest.space, image.pack(b"\xc3" * 64, {"unit": 0}, {}, meta))
    assert caught.value.code == "PVM-CACHE-DAMAGED"
    assert units_of(guest).by_pc == {}


def test_units_are_dropped_with_their_code(guests: Callable[..., Guest]) -> None:
    far = Program("one: c.addi a1, 1\n c.addi a0, -1\n c.bnez a0, one\n c.jr a5\n" + "c.nop\n" * 2044
                  + "two: c.addi a2, 1\n c.addi a0, -1\n c.bnez a0, two\n done: ecall")  # fmt: skip
    assert far["two"] == START + 4096
    guest = guests(far)
    one, two = guest.install(guest.compile("one")), guest.install(guest.compile("two"))
    units = units_of(guest)
    assert units.by_pc[far["one"]] is one
    guest.space.drop_code(far["one"], far["one"] + 2)
    assert set(units.by_pc.values()) == {two}
    assert units.dropped == 1
    # What was dropped is interpreted; its room is given out again.
    guest.set(a0=3, a5=far["done"])
    assert guest.once("one") == "SYSCALL"
    assert guest.cpu.x[11] == 3
    assert guest.install(guest.compile("one")).start == one.start
    guest.space.protect(START, 8192, READ | WRITE)
    assert units.by_pc == {}


def test_a_newer_unit_takes_the_entries_of_an_older_one(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    old = guest.install(guest.compile("loop"))
    new = guest.install(guest.compile("loop"))
    units = units_of(guest)
    assert units.by_pc[LOOP["loop"]] is new
    assert new.start != old.start
    guest.space.drop_code()
    assert (units.by_pc, units.dropped) == ({}, 2)


def test_the_oldest_are_given_up_first(guests: Callable[..., Guest]) -> None:
    names = ("a", "b", "c", "d")
    loops = (f"{name}: c.addi a1, 1\n c.addi a0, -1\n c.bnez a0, {name}\n c.jr a5\n" for name in names)
    program = Program("".join(loops) + "done: ecall")
    guest = guests(program)
    units = units_of(guest)
    made = {name: guest.compile(name) for name in names}
    old = {name: guest.install(made[name]) for name in names}
    size = units.bytes
    assert size == sum(unit.image.size for unit in old.values())
    newer = guest.install(made["a"])  # which takes all entries of the older one
    assert units.evict(guest.space) == set()
    assert (units.bytes, units.evicted, old["a"] in units.installed) == (size, 1, False)
    units.limit = size - 1
    assert units.evict(guest.space) >= {program["b"], program["c"]}
    assert (units.evicted, set(units.installed)) == (3, {old["d"], newer})
    units.limit = 1
    assert units.evict(guest.space) >= {program["a"], program["d"]}
    assert (units.bytes, units.by_pc, len(units.installed)) == (0, {}, 0)
    for name in names:
        guest.set(a0=100, a1=0, a5=program["done"])
        assert guest.once(name) == "SYSCALL"
        assert guest.cpu.x[11] == 100


def test_a_full_room_is_no_crash(guests: Callable[..., Guest]) -> None:
    guest = guests(TWO)
    units = units_of(guest)
    made = [guest.compile(name) for name in ("one", "two")]
    guest.install(made[0])
    room = units.native.image.room
    assert room is not None
    sizes = [1 << bits for bits in range(30, 11, -1)]
    taken = [(at, size) for size in sizes for at in iter(lambda size=size: room.take(size), 0)]  # type: ignore[misc]
    assert not units.full
    assert units.install(guest.space, made[1]) is None
    assert units.full
    guest.set(a0=5, a5=TWO["done"])
    assert guest.once("one") == "SYSCALL"
    assert guest.cpu.x[11] == 5
    # What the disk has is not taken for damaged.
    assert units.store(guest.space, units.by_pc[TWO["one"]], made[0])
    kept = len(files(Path(str(units.folder))))
    assert units.fetch(guest.space, TWO["one"]) is None
    assert (len(files(Path(str(units.folder)))), units.rejected) == (kept, 0)
    for at, size in taken:
        room.give(at, size)
    units.evict(guest.space)  # nobody is left out for good: there is room when some are given up
    assert (units.full, units.by_pc) == (False, {})
    guest.install(made[1])


def test_what_a_unit_covers(guests: Callable[..., Guest]) -> None:
    guest = guests(LOOP)
    unit = guest.install(guest.compile("loop"))
    assert unit.covers(LOOP["loop"] + 2)
    assert not unit.covers(START)
    assert not unit.covers(LOOP.end)
    assert unit.overlaps(0, LOOP["loop"] + 1)
    assert not unit.overlaps(0, LOOP["loop"])
    assert not unit.overlaps(LOOP.end, LOOP.end + 10)
    units = units_of(guest)
    assert units.covering(LOOP["loop"] + 4) is unit
    assert units.covering(START) is None
    assert units.covering(START + 0x5000) is None


# ------------------------------------------------------------------------------------------- on disk
def test_a_unit_is_found_by_the_next_process(guests: Callable[..., Guest]) -> None:
    first = guests(SWITCH)
    jump = START + 4
    stored(first, first.compile(observed={jump: [SWITCH["case"]]}, tries=3))
    second = guests(SWITCH)
    unit = units_of(second).fetch(second.space, START)
    assert unit is not None
    assert (unit.pc, unit.tries, unit.kind) == (START, 3, "")
    assert unit.seen == [(jump, (SWITCH["case"],))]
    assert (units_of(second).hits, units_of(second).misses) == (1, 0)


def test_what_was_learnt_comes_back_with_it(guests: Callable[..., Guest]) -> None:
    first = guests(SWITCH)
    jump = START + 4
    stored(first, first.compile(entries=["case"], observed={jump: [SWITCH["case"], START]}, tries=2))
    second = guests(SWITCH)
    engine = second.engine
    engine.tries[START] = 4
    engine._fetch(second.space, units_of(second), SWITCH["case"])
    assert engine.tries == {START: 4, SWITCH["case"]: 2}
    # The commonest first, as it was.
    assert engine._observed() == {jump: [SWITCH["case"], START]}


def test_a_unit_is_found_by_any_entry_that_somebody_asked_for(guests: Callable[..., Guest]) -> None:
    first = guests(SWITCH)
    stored(first, first.compile(entries=["case"], observed={START + 4: [SWITCH["case"]]}))
    second = guests(SWITCH)
    unit = units_of(second).fetch(second.space, SWITCH["case"])
    assert unit is not None
    assert unit.pc == START
    assert SWITCH["case"] in unit.entries


def test_a_unit_can_be_found_where_it_is_not_entered(guests: Callable[..., Guest]) -> None:
    """Its place was hot before the unit that has it inside was there: nothing is to be compiled for it."""
    first = guests(LOOP)
    inside = LOOP["loop"] + 2
    unit = stored(first, first.compile("start"))
    assert inside not in unit.entries
    units_of(first).name_also(first.space, unit, inside)
    second = guests(LOOP)
    found = units_of(second).fetch(second.space, inside)
    assert found is not None
    assert found.pc == START
    assert units_of(second).covering(inside) is found


def test_names_of_one_file(guests: Callable[..., Guest], cold_cache: Path) -> None:
    guest = guests(SWITCH)
    stored(guest, guest.compile(entries=["case"], observed={START + 4: [SWITCH["case"]]}))
    names = files(cold_cache)
    assert len(names) > 1
    assert len({path.stat().st_ino for path in names}) == 1
    units = [entry for entry in cachedir.entries(str(cold_cache)) if entry.name.startswith("units/")]
    assert cachedir.total(units) == len(names[0].read_bytes())


def test_a_callees_entry_is_not_a_name(guests: Callable[..., Guest], cold_cache: Path) -> None:
    """It would take the place of the callee's own unit: each would push the other out, and be compiled in every run."""
    guest = guests(CALLER)
    inside = CALLER["back"]
    caller = guest.compile("start")
    stored(guest, guest.compile("back"))
    unit = stored(guest, caller)
    assert inside in unit.entries
    assert not unit.covers(inside)
    second = guests(CALLER)
    found = units_of(second).fetch(second.space, inside)
    assert found is not None
    assert found.pc == inside
    assert units_of(second).rejected == 0


def test_code_that_changed_is_another_name(guests: Callable[..., Guest], cold_cache: Path) -> None:
    first = guests(LOOP)
    stored(first, first.compile("loop"))
    second = guests(LOOP)
    second.space.protect(START, 4096, READ | WRITE)
    second.space.write(START + 0x800, b"\1")
    second.space.protect(START, 4096, READ | EXEC)
    assert units_of(second).fetch(second.space, LOOP["loop"]) is None
    assert (units_of(second).misses, units_of(second).rejected) == (1, 0)
    assert files(cold_cache)


def test_another_kind_is_another_name(guests: Callable[..., Guest]) -> None:
    first = guests(LOOP)
    stored(first, first.compile("loop"))
    counted = guests(LOOP, counted=True)
    assert units_of(counted).kind == COUNTED
    assert units_of(counted).fetch(counted.space, LOOP["loop"]) is None
    assert units_of(counted).rejected == 0


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "of other code", "of another place"])
def test_what_is_damaged_or_foreign_is_removed_and_counted(
    harm: str, guests: Callable[..., Guest], cold_cache: Path
) -> None:
    first = guests(TWO)
    data = first.compile("one")
    stored(first, data)
    (path,) = [path for path in files(cold_cache) if path.name.startswith(f"{START:x}.-")]
    other = first.compile("two")
    path.write_bytes({
        "cut": data[:-100],
        "flipped": data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
        "empty": b"",
        "of other code": guests(LOOP).compile("loop"),
        "of another place": other,
    }[harm])  # fmt: skip
    second = guests(TWO)
    assert units_of(second).fetch(second.space, START) is None
    assert (units_of(second).hits, units_of(second).rejected) == (0, 1)
    assert not path.exists()
    second.set(a0=3, a5=TWO["done"])
    assert second.once("one") == "SYSCALL"
    assert second.cpu.x[11] == 3


def test_what_others_store_is_seen_after_a_moment(guests: Callable[..., Guest]) -> None:
    second = guests(LOOP)
    assert units_of(second).fetch(second.space, LOOP["loop"]) is None
    first = guests(LOOP)
    stored(first, first.compile("loop"))
    end = time.monotonic() + 20
    while units_of(second).fetch(second.space, LOOP["loop"]) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert units_of(second).hits == 1


def test_a_unit_with_known_addresses_needs_a_space_that_has_them(guests: Callable[..., Guest]) -> None:
    program = Program("""
        start: c.addi a0, -1
               lui a1, 0x20000
               ld a2, 8(a1)
               c.bnez a0, start
               ecall
    """)
    guest = guests(program)
    data = guest.compile("start")
    unit = guest.install(data)
    assert unit.reach == 0x2000_0001
    units = units_of(guest)
    units.drop_all(guest.space)
    limit = guest.space.limit
    guest.space.limit = 0x2000_0000  # what a host without room gives
    try:
        assert units.install(guest.space, data) is None
    finally:
        guest.space.limit = limit
    assert units.install(guest.space, data) is not None
