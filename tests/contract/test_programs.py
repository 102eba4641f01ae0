"""All tiers agree on random programs: loops, choices, calls, jumps through tables, memory, floats, faults and traps.

Each program is made from the seed, compiled into regions of every kind and entered at the start and where loops and
functions begin; how it ends, its registers, its memory and its instruction count are the golden evaluator's. What
differs is made shorter as long as it differs, and shown with its listing.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from polyvm.engine import layout
from polyvm.engine.layout import BUDGET
from polyvm.engine.region import RegionEmitter
from polyvm.ir.values import Val
from polyvm.memory.space import READ
from tests.contract.guests import Guest
from tests.contract.programs import (
    CODE,
    DATA,
    SIZE,
    WRITABLE,
    Assembly,
    Program,
    dialect,
    make,
)
from tests.contract.riscv64 import GUEST as RISCV64
from tests.contract.tiers import EVERY, TIERS, Outcome, Tier, differences, tiers

pytestmark = pytest.mark.unmeasured
"""What compilers of regions do is measured where they are tested; here they do much more of it."""

PROGRAMS = 3
"""Of each taste, in CI."""
ENOUGH = 200_000
"""More instructions than any program does."""
FEW_PAIRS = 5
"""Of accesses that look alike, in CI; the seed says which."""
ATTEMPTS = 300
PATIENCE_S = 20


class Bench:
    """Tiers with room for programs."""

    def __init__(self, made: dict[str, Tier]) -> None:
        self.tiers = made
        self.dialect = dialect(made["golden"].guest.name)
        for tier in made.values():
            tier.map(DATA, bytes(WRITABLE))
            tier.map(DATA + WRITABLE, bytes(SIZE - WRITABLE))
        self.ends: Counter[str] = Counter()

    def run(self, tier: Tier, program: Program, code: Assembly) -> tuple[Outcome, bytes]:
        """How a program ends in a tier, and what is then in memory."""
        tier.space.protect(DATA + WRITABLE, SIZE - WRITABLE, READ | 2)
        tier.space.write(DATA, code.data)
        tier.space.protect(DATA + WRITABLE, SIZE - WRITABLE, READ)
        tier.code(CODE, code.code)
        tier.compile(CODE, code.entries[1:], code.observed)
        registers = tier.guest.pack(dict(program.registers))
        # Compiled code has no budget; where it goes round for ever it is stopped, and that is a difference.
        watchdog = threading.Timer(PATIENCE_S, tier.cpu.stop)
        if tier.kind is not None:
            watchdog.start()
        try:
            outcome = tier.run(CODE, bytes(registers), program.flags, program.rounding, ENOUGH)
        finally:
            watchdog.cancel()
            tier.cpu.clear_stop()
        return outcome, tier.space.read(DATA, SIZE)

    def difference(self, program: Program, names: tuple[str, ...]) -> tuple[str, list[str]] | None:
        """The first of these tiers that does not end as the golden evaluator does, and how it differs."""
        code = Assembly(program)
        expected, memory = self.run(self.tiers["golden"], program, code)
        assert expected.reason != BUDGET, (
            f"a program without an end:\n{program.dialect.guest.text(code.code, CODE)}"
        )
        self.insns = expected.insns
        self.end = layout.REASONS[expected.reason]
        for name in names:
            tier = self.tiers[name]
            outcome, theirs = self.run(tier, program, code)
            wrong = differences(expected, outcome, tier)
            wrong += [
                f"memory at {DATA + at:#x}: golden {memory[at]:#x}, {name} {theirs[at]:#x}"
                for at in (range(SIZE) if theirs != memory else ())
                if memory[at] != theirs[at]
            ]
            if wrong:
                return name, wrong
        return None

    def check(self, program: Program, names: tuple[str, ...]) -> None:
        """Fail, with the shortest program that shows it, where one of these tiers ends differently."""
        found = self.difference(program, names)
        if found is not None:
            pytest.fail(self.explain(program, found[0]), pytrace=False)

    def shorter(self, program: Program, name: str) -> Program:
        """A program that still ends otherwise in a tier, with nothing in it that can be left out."""
        attempts = 0
        going = True
        while going:
            going = False
            for candidate in program.simpler():
                attempts += 1
                if attempts > ATTEMPTS:
                    return program
                if self.difference(candidate, (name,)) is not None:
                    program, going = candidate, True
                    break
        return program

    def explain(self, program: Program, name: str) -> str:
        """A message that shows a difference."""
        program = self.shorter(program, name)
        found = self.difference(program, (name,))
        assert found is not None
        code = Assembly(program)
        guest = program.dialect.guest
        state = " ".join(f"{guest.register(slot)}={value:#x}" for slot, value in program.registers)
        entries = " ".join(hex(entry) for entry in code.entries)
        return "\n".join(
            [f"{name} differs from the golden evaluator, which ended with {self.end}:",
             *(f"  {line}" for line in found[1][:12]), guest.text(code.code, CODE), f"entered at {entries}",
             f"exceptions={program.flags:05b} rounding={program.rounding} {state}"]
        )  # fmt: skip


@pytest.fixture(scope="module", params=EVERY, ids=repr)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The tiers of a guest."""
    with tiers(request.param) as made:
        yield Bench(made)


TASTES = [
    pytest.param(guest, taste, id=f"{guest}-{taste}")
    for guest in EVERY
    for taste in dialect(guest.name).tastes
]
"""Guests, each with every taste that it has."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("bench", "taste"), TASTES, indirect=["bench"], scope="module")
def test_random_programs(
    taste: str, bench: Bench, rng: random.Random, full: bool, report: Callable[[str], None]
) -> None:
    names, words = TIERS[1:], bench.dialect
    count, insns, ends = (30 if full else 1) * PROGRAMS, 0, Counter[str]()
    for _ in range(count):
        program = make(rng, words, words.tastes[taste])
        bench.check(program, names)
        insns += bench.insns
        ends[bench.end] += 1
    ended = ", ".join(f"{number} {name}" for name, number in sorted(ends.items()))
    report(f"tiers == golden, random programs of {words.guest}: {count:4} of {taste}, {insns} instructions in each of "
           f"{len(names)} tiers; {ended}")  # fmt: skip


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("guest", EVERY, ids=repr)
@pytest.mark.parametrize("kind", ["region", "region, counted", "region, all"])
def test_wherever_registers_live(
    guest: Guest, kind: str, rng: random.Random, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which registers stay in the state while a region runs is a question of speed alone: here all that can do."""
    monkeypatch.setattr("polyvm.engine.leaving.in_state", lambda region, know: frozenset(know.used))
    with tiers(guest, ("golden", kind)) as made:
        bench = Bench(made)
        for taste in bench.dialect.tastes.values():
            for _ in range(10 if full else 1):
                program = make(rng, bench.dialect, taste)
                bench.check(program, (kind,))


# ------------------------------------------------------------------------------------------------ fixed programs
# Their registers have the same numbers: 10 is the choice, 8 and 9 are pointers.
SHAPES = {
    "riscv64": {
        "diamond": ("beq a0, zero, .+12", "{first}", "jal zero, .+8", "{second}", "addi a2, a2, 1", "ecall"),
        "longer": ("beq a0, zero, .+16", "{first}", "xor a3, a1, a2", "jal zero, .+12", "{second}",
                   "add a3, a1, a2", "sub a4, a3, a1", "ecall"),
        "loop": ("{first}", "addi a3, zero, 5", "{second}", "addi s0, s0, 8", "addi s1, s1, 16",
                 "jal zero, .-16", "ecall"),
    },
    "aarch64": {
        "diamond": ("cbz x10, .+12", "{first}", "b .+8", "{second}", "add x12, x12, 1", "svc 0"),
        "longer": ("cbz x10, .+16", "{first}", "eor x13, x11, x12", "b .+12", "{second}",
                   "add x13, x11, x12", "sub x14, x13, x11", "svc 0"),
        "loop": ("{first}", "mov x13, 5", "{second}", "add x8, x8, 8", "add x9, x9, 16", "b .-16", "svc 0"),
    },
}  # fmt: skip
ALIKE = {
    "riscv64": [
        ("sd a1, 0(s0)", "sd a1, 0(s1)"), ("sd a1, 0(s0)", "sd a1, 0(s0)"), ("ld a1, 0(s0)", "ld a1, 0(s1)"),
        ("lw a1, 8(s0)", "lw a1, 8(s1)"), ("lbu a1, 0(s0)", "lbu a1, 0(s0)"),
        ("lb zero, 0(s0)", "lb zero, 0(s1)"), ("fld fa0, 0(s0)", "fld fa0, 0(s1)"),
        ("fsw fa0, 0(s0)", "fsw fa0, 0(s1)"), ("amoor.d a1, a2, (s0)", "amoor.d a1, a2, (s1)"),
        ("amoadd.w zero, zero, (s0)", "amoadd.w zero, zero, (s1)"),
    ],
    "aarch64": [
        ("str x11, [x8]", "str x11, [x9]"), ("str x11, [x8]", "str x11, [x8]"), ("ldr x11, [x8]", "ldr x11, [x9]"),
        ("ldrsw x11, [x8, 8]", "ldrsw x11, [x9, 8]"), ("ldrb w11, [x8]", "ldrb w11, [x8]"),
        ("ldrb wzr, [x8]", "ldrb wzr, [x9]"), ("ldp x11, x12, [x8]", "ldp x11, x12, [x9]"),
        ("stp x11, x12, [x8]", "stp x11, x12, [x9]"), ("stp w11, w12, [x8]", "stp w11, w12, [x8]"),
        ("ldaxr x11, [x8]", "ldaxr x11, [x9]"), ("stlr w11, [x8]", "stlr w11, [x9]"), ("dc zva, x8", "dc zva, x9"),
        ("dc cvac, x8", "dc cvac, x9"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("bench", "shape"),
    [
        pytest.param(guest, shape, id=f"{guest}-{name}")
        for guest in EVERY
        for name, shape in SHAPES[guest.name].items()
    ],
    indirect=["bench"],
    scope="module",
)
def test_accesses_that_look_alike_keep_their_places(
    shape: tuple[str, ...], bench: Bench, rng: random.Random, full: bool
) -> None:
    """A compiler makes one access of two in the arms of a choice, or of the copies of a loop's. A fault is still the
    fault of the one instruction, in the fast mode too."""
    guest = bench.dialect.guest
    pairs = ALIKE[guest.name]
    for first, second in pairs if full else rng.sample(pairs, FEW_PAIRS):
        code = guest.assemble(*(line.format(first=first, second=second) for line in shape))
        for tier in bench.tiers.values():
            tier.code(CODE, code)
            tier.compile(CODE)
        for chosen, one, two in (
            (0, DATA, 64),
            (1, 64, DATA),
            (0, 64, 64),
            (1, 64, 64),
            (1, DATA + 64, DATA),
        ):
            registers = bytes(guest.pack({("x", 10): chosen, ("x", 8): one, ("x", 9): two}))
            expected = bench.tiers["golden"].run(CODE, registers)
            for tier in bench.tiers.values():
                assert differences(expected, tier.run(CODE, registers), tier) == [], (first, second)


# ------------------------------------------------------------------------------------------------ the judge bites
class LosesSigns(RegionEmitter):
    """Widens words with zeros."""

    def op_sext(self, op: Val, args: list[str]) -> str:
        return self.op_zext(op, args)


class KeepsNans(RegionEmitter):
    """Never makes a NaN canonical."""

    def settle(self, values: Sequence[str], *, leaving: bool = False) -> list[str]:
        return list(values)


class ForgetsRegisters(RegionEmitter):
    """Leaves without having stored one of the registers."""

    def sync(self, live_at: int | None = None) -> None:
        self.stale.discard(("x", 12))
        super().sync(live_at)


class GoesRound(RegionEmitter):
    """Takes loops for longer than they are."""

    def op_setx(self, op: Val, args: list[str]) -> None:
        counts = self._slot(op) in [("x", number) for number in dialect(self.isa.name).counters]
        super().op_setx(op, [args[0], "7"] if counts else args)


class StoresElsewhere(RegionEmitter):
    """Has its stores a byte beside where they belong."""

    def address_for(self, op: Val, value: str, size: int, *, write: bool) -> str:
        pointer = super().address_for(op, value, size, write=write)
        return self.ins(f"getelementptr i8, ptr {pointer}, i64 1") if write else pointer


MISTAKES = [
    (LosesSigns, "integers", "golden 0xffffffff"), (ForgetsRegisters, "everything", "{x12}: golden"),
    (StoresElsewhere, "memory", "memory at"), (GoesRound, "integers", "reason: golden SYSCALL, region STOP"),
]  # fmt: skip
SLOW = (LosesSigns, ForgetsRegisters)
"""Whose programs take minutes to shorten for a guest with big instructions."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("guest", "emitter", "taste", "shown"),
    [
        pytest.param(
            guest,
            *mistake,
            id=f"{guest}-{mistake[0].__name__}",
            marks=[pytest.mark.full] if guest is not RISCV64 and mistake[0] in SLOW else [],
        )
        for guest in EVERY
        for mistake in (*MISTAKES, *([(KeepsNans, "floats", "f")] if guest is RISCV64 else []))
    ],
)
def test_a_compiler_with_a_mistake_is_found(
    guest: Guest,
    emitter: type[RegionEmitter],
    taste: str,
    shown: str,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a short program shows it."""
    monkeypatch.setattr(f"{__name__}.PATIENCE_S", 0.2)
    golden, wrong = Tier(guest, "golden"), Tier(guest, "region", emitter)
    try:
        bench = Bench({"golden": golden, "region": wrong})
        for _ in range(20):
            program = make(rng, bench.dialect, bench.dialect.tastes[taste])
            found = bench.difference(program, ("region",))
            if found is not None:
                break
        else:
            pytest.fail("no program shows it")
        message = bench.explain(program, "region")
        assert message.startswith("region differs from the golden evaluator, which ended with SYSCALL:\n")
        assert shown.format(x12=guest.register(("x", 12))) in message
        assert message.count("\n  0x") <= 12
    finally:
        wrong.close()
        golden.close()
