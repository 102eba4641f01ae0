"""The stack pointer as a base must be a multiple of 16: in the specification, in every tier, and in a handler."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from polyvm.engine.layout import TRAP
from polyvm.ir import golden
from polyvm.ir.ops import ACCESSES
from polyvm.isa.aarch64 import abi
from polyvm.isa.aarch64.registers import PAUTH, SP
from polyvm.isa.spec import Insn
from tests.contract.guests import guest
from tests.contract.programs import CODE
from tests.contract.tiers import tiers
from tests.isa.aarch64.machine import ISA, REGISTERS, Machine
from tests.isa.dictionaries import OutsideMemory, random_word
from tests.processes import unmeasured
from tests.toolchain import build

ESR = 0x9A000000
"""Exception class 0x26 and IL (D24.2.40)."""


def based(insn: Insn) -> bool:
    """Whether an instruction accesses memory through a base that may be the stack pointer."""
    trace = ISA.trace(insn, next(insn.shapes()))
    return "Rn_sp" in insn.encoding.fields and any(op.op in ACCESSES for op in trace.walk())


BASED = [insn for insn in ISA.insns if based(insn)]
PREFETCHES = [insn for insn in ISA.insns if insn.name.startswith("prf") and "Rn_sp" in insn.encoding.fields]


def random_one(insn: Insn, rng: random.Random) -> int:
    """A word with the stack pointer as its base."""
    fields = insn.fields(random_word(insn, rng))
    return insn.encode(fields | {"Rn_sp": SP})


@pytest.mark.parametrize("insn", BASED, ids=[f"{insn.text} {insn.encoding.text}" for insn in BASED])
def test_every_access_checks_it_before_all_else(insn: Insn, rng: random.Random) -> None:
    for low in (1, 8, 15, rng.randrange(1, 16)):
        machine = Machine()
        for number in REGISTERS:
            machine[number] = rng.getrandbits(64)
        machine[SP] = rng.getrandbits(40) << 4 | low
        machine.state.write((PAUTH, 0), 1)  # so that what wants keys is there
        before = dict(machine.state.slots)
        with pytest.raises(golden.Trap) as found:
            machine.step(random_one(insn, rng))
        assert (found.value.cause, found.value.value) == ("stack", machine[SP])
        assert machine.state.slots == before


def cause(machine: Machine, insn: Insn, base: int, rng: random.Random) -> str:
    """The exception of an instruction through a base, if it has one; there is no memory at all."""
    try:
        machine.step(insn.encode(insn.fields(random_word(insn, rng)) | {"Rn_sp": base}))
    except golden.Trap as trap:
        return trap.cause
    except OutsideMemory:
        pass
    return ""


@pytest.mark.parametrize("insn", BASED, ids=[f"{insn.text} {insn.encoding.text}" for insn in BASED])
def test_nothing_else_is_checked(insn: Insn, rng: random.Random) -> None:
    machine = Machine()
    machine[SP], machine[3] = 0x7FFF_0010, 0x1001
    assert cause(machine, insn, SP, rng) != "stack"
    machine[SP] = 0x7FFF_0018
    assert cause(machine, insn, 3, rng) != "stack"


def test_prefetches_do_not_look(rng: random.Random) -> None:
    assert len(PREFETCHES) == 3
    for insn in PREFETCHES:
        machine = Machine()
        machine[SP] = 0x1001
        machine.step(random_one(insn, rng))


def test_what_a_handler_is_told() -> None:
    assert abi.TRAPS["stack"] == (abi.SIGBUS, 1)
    assert abi.trap_address("stack", 0x1000, 0x2008) == 0x2008  # do_sp_pc_abort gets regs->sp
    assert abi.syndrome(abi.SIGBUS, 1, 0x1000, "stack", 0x2008) == ESR


# -- A program
REFUSED = (
    "load",
    "store",
    "byte",
    "indexed",
    "pair",
    "after",
    "unscaled",
    "vector",
    "structure",
    "exclusive",
    "acquired",
)


def expected(turns: int) -> str:
    told = "refused while aligned; {} refused, signal {} code {}, address is sp 1, off by {}, fault_address 0, esr "
    lines = [f"{name}: 0 {told.format(12, 7, 1, 1)}{ESR:#x}" for name in REFUSED]
    lines += [f"{name}: 0 {told.format(0, 0, 0, 0)}0" for name in ("prefetch", "elsewhere")]
    return "\n".join([*lines, f"deep: {turns // 40 * 820}, then 820, 1 refused"]) + "\n"


@pytest.fixture(scope="module")
def program() -> Path:
    return build("stack_aarch64.c", "aarch64")


@pytest.mark.parametrize("tier", ["auto", "interpreter", "baseline", "region", "golden"])
def test_a_program_is_told(program: Path, tier: str, tmp_path: Path) -> None:
    options = ["--policy", "eager"] if tier in ("auto", "region") else []
    turns = 40 if tier == "golden" else 40_000
    for _ in range(2 if options else 1):  # a second run begins with what the first one compiled
        done = subprocess.run(
            [sys.executable, "-m", "polyvm", "run", "--quiet", "--tier", tier, *options, program, str(turns)],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=200, env=unmeasured(),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == expected(turns)


# -- Where the evaluator goes on for native code
def test_a_jump_that_the_evaluator_does_to_between_instructions() -> None:
    """An entry of a region that demands an aligned register leaves the jump there to the evaluator."""
    table = guest("aarch64")
    with tiers(table, ("golden", "region")) as made:
        for tier in made.values():
            tier.code(CODE, table.assemble("br x30", "ldar x0, [x15]", "svc #0"))
            tier.compile(CODE, [CODE + 4])
            for target in (1, 2, 0x1_0007):
                registers = bytes(table.pack(table.resting() | {("x", 15): 0x8001, ("x", 30): target}))
                outcome = tier.run(CODE, registers)
                assert (outcome.reason, outcome.value, outcome.pc) == (TRAP, target, target), tier.name
        assert made["region"].engine.golden_steps > 0
