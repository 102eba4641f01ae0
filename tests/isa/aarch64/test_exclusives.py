"""Exclusives, acquire and release where a random state seldom leads: monitors, alignment, faults before effects."""

from __future__ import annotations

import random

import pytest

from polyvm.ir.golden import Trap
from polyvm.isa.aarch64.exclusives import EXCLUSIVE
from polyvm.isa.disasm import assemble
from tests.isa.aarch64.judge import DATA, DATA_SIZE, Judge
from tests.isa.aarch64.machine import ISA, Machine
from tests.isa.dictionaries import OutsideMemory

# letter of the mnemonic, the registers of a load and of a store, bytes
KINDS = {
    "b": ("xrb", "w1", "w4", 1),
    "h": ("xrh", "w1", "w4", 2),
    "w": ("xr", "w1", "w4", 4),
    "x": ("xr", "x1", "x4", 8),
    "pair of w": ("xp", "w1, w2", "w4, w5", 8),
    "pair of x": ("xp", "x1, x2", "x4, x5", 16),
}
BETWEEN = (
    "",
    "a store",
    "a store elsewhere",
    "another address",
    "used up",
    "the same value",
    "clrex",
    "another load",
)


def program(kind: str, between: str, acquire: bool) -> list[str]:
    """A load that monitors, what a program may do in between, and the store."""
    name, loaded, stored, _ = KINDS[kind]
    load, store = ("lda", "stl") if acquire else ("ld", "st")
    lines = {
        "": [],
        "a store": ["strb w6, [x0]"],
        "a store elsewhere": ["str x6, [x0, #64]"],
        "another address": ["add x0, x0, #16"],
        "used up": [f"{store}{name} w7, {stored}, [x0]"],
        "the same value": ["ldr x8, [x0]", "str x8, [x0]"],
        "clrex": ["clrex"],
        "another load": [f"{load}{name} {loaded}, [x9]"],
    }[between]
    return [f"{load}{name} {loaded}, [x0]", *lines, f"{store}{name} w3, {stored}, [x0]"]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.parametrize("acquire", [False, True], ids=["plain", "ordered"])
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("kind", KINDS)
def test_monitors_agree_with_unicorn(
    kind: str, between: str, acquire: bool, judge: Judge, rng: random.Random
) -> None:
    data = rng.randbytes(DATA_SIZE)
    judge.cpu.mem_write(DATA, data)
    machine = Machine(DATA, data)
    for number in range(31):
        machine[number] = rng.getrandbits(64)
    machine[0], machine[9] = DATA + 128, DATA + 256
    judge.load_state(machine)
    for line in program(kind, between, acquire):
        word = int.from_bytes(assemble(ISA, line), "little")
        machine.pc = judge.room()
        judge.place(word, machine.pc)
        judge.step(machine.pc)
        machine.step(word)
        judge.compare(machine, f"{between}: {line}")
    assert bytes(machine.memory.data) == bytes(judge.cpu.mem_read(DATA, DATA_SIZE))
    assert machine[3] == (between in ("a store", "another address", "used up", "clrex", "another load"))


@pytest.fixture
def machine() -> Machine:
    machine = Machine(DATA, bytes(range(64)))
    machine[0] = DATA + 16
    machine[4] = 0x1122_3344_5566_7788
    machine[5] = 0x99AA_BBCC_DDEE_FF00
    return machine


def snapshot(machine: Machine) -> tuple[dict[tuple[str, int], int], bytes, int]:
    return dict(machine.state.slots), bytes(machine.memory.data), machine.pc


@pytest.mark.parametrize(
    ("first", "second"), [("b", "h"), ("w", "x"), ("x", "w"), ("pair of w", "pair of x")]
)
def test_a_monitor_of_another_size_does_not_hold(first: str, second: str, machine: Machine) -> None:
    machine.do(program(first, "", False)[0], program(second, "", False)[-1])
    assert machine[3] == 1


def test_without_a_monitor_there_is_no_access(machine: Machine) -> None:
    machine[0] = 0x8000_0000
    machine.do("stxr w3, x4, [x0]")
    assert machine[3] == 1
    assert machine.state.read(EXCLUSIVE) == 0


def test_the_status_may_go_where_the_address_came_from(machine: Machine) -> None:
    machine.do("ldxr x4, [x0]", "stxr w0, x4, [x0]")
    assert machine[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_leaves_everything_as_it_was(kind: str, machine: Machine) -> None:
    load, store = program(kind, "", False)
    machine.do(load)
    machine.memory.start += 1 << 20  # the memory went away between the two
    before = snapshot(machine)
    for line in (store, load):
        with pytest.raises(OutsideMemory):
            machine.do(line)
        assert snapshot(machine) == before


ORDERED = {"stlrb w4, [x0]": 1, "stlrh w4, [x0]": 2, "stlr w4, [x0]": 4, "stlr x4, [x0]": 8,
           "ldarb w4, [x0]": 1, "ldarh w4, [x0]": 2, "ldar w4, [x0]": 4, "ldar x4, [x0]": 8}  # fmt: skip
EXCLUSIVES = {
    line: size
    for kind, (_, _, _, size) in KINDS.items()
    for line in (*program(kind, "", False), *program(kind, "", True))
}


@pytest.mark.parametrize(("line", "size"), {**ORDERED, **EXCLUSIVES}.items())
@pytest.mark.parametrize("offset", [1, 2, 4, 8])
def test_misaligned_addresses_trap(line: str, size: int, offset: int, machine: Machine) -> None:
    machine[0] = DATA + 16 + offset
    if offset % size == 0:
        machine.do(line)
        return
    before = snapshot(machine)
    with pytest.raises(Trap) as trap:
        machine.do(line)
    assert (trap.value.cause, trap.value.value) == ("misaligned", DATA + 16 + offset)
    assert snapshot(machine) == before
