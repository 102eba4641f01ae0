"""Lock-step of every guest: its random programs, and in one of each what only a live thread has, clocks among it.

The programs are the contract's, in the guest's dialect; what it takes to judge a guest is read off its specification.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from polyvm.engine import layout
from polyvm.engine.layout import FAULT, ILLEGAL, PRECISE, SYSCALL, TRAP, WHOLE
from polyvm.engine.lockstep import LockstepCpu, LockstepEngine
from polyvm.engine.region import RegionEmitter
from polyvm.errors import PolyvmError
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace
from tests.contract.guests import Guest, Slot
from tests.contract.programs import CODE, DATA, SIZE, WRITABLE, Assembly, Program, dialect, make
from tests.contract.tiers import EVERY
from tests.engine.judged import Eager

ENDS = (SYSCALL, TRAP, FAULT, ILLEGAL)
PAGE = 4096


@contextmanager
def thread(engine: LockstepEngine, code: bytes, data: bytes) -> Iterator[LockstepCpu]:
    """A thread with code and the buffer of random programs in its memory."""
    space = AddressSpace()
    size = -(-len(code) // PAGE) * PAGE
    try:
        space.map(CODE, size, READ | WRITE)
        space.write(CODE, code)
        space.protect(CODE, size, READ | EXEC)
        space.map(DATA, SIZE, READ | WRITE)
        space.write(DATA, data)
        space.protect(DATA + WRITABLE, SIZE - WRITABLE, READ)
        cpu = engine.thread(space)
        assert isinstance(cpu, LockstepCpu)
        cpu.pc = CODE
        yield cpu
        if engine.units is not None:
            engine.units.drop_all(space)
        cpu.close()
    finally:
        space.close()


def judge(engine: LockstepEngine, program: Program) -> int:
    """Run a program to its end, all of it judged; why it ended."""
    code, guest = Assembly(program), program.dialect.guest
    with thread(engine, code.code, code.data) as cpu:
        cpu._bytes[guest.first : guest.end] = guest.pack(dict(program.registers))
        cpu.fp_flags, cpu.fp_mode = program.flags, program.rounding
        reason = cpu.run()
        assert reason in ENDS, layout.REASONS[reason]
        return reason


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("guest", EVERY, ids=repr)
def test_random_programs(guest: Guest, full: bool, rng: random.Random, report: Callable[[str], None]) -> None:
    words = dialect(guest.name)
    ends: Counter[str] = Counter()
    compared = comparisons = in_units = 0
    for taste in words.tastes.values():
        for _ in range(20 if full else 2):
            seed = rng.getrandbits(32)
            own = random.Random(seed)
            options = {
                "kind": own.choice(("", WHOLE, PRECISE, PRECISE)), "turns": own.choice((0, 1, 2, 7, 997)),
                "threshold": own.choice((1, 2, 4)), "tier": own.choice(("region", "region", "auto", "baseline")),
            }  # fmt: skip
            engine = (Eager if own.random() < 0.4 else LockstepEngine)(
                guest.name, options=guest.isa.options, **options
            )
            try:
                ends[layout.REASONS[judge(engine, make(own, words, taste))]] += 1
            except PolyvmError as error:
                pytest.fail(f"the program of seed {seed}, {options}: {error.render()}")
            compared += engine.compared
            comparisons += engine.comparisons
            in_units += engine.stats()["tiers"].get("region", {}).get("insns") or 0
    assert in_units
    assert len(ends) > 1
    report(
        f"lock-step, random programs of {guest}: {compared:,} instructions compared, {in_units:,} in regions; "
        f"{comparisons:,} comparisons; {dict(ends)}"
    )


CLOCKS = {
    "riscv64": """
        addi s2, zero, 50
    loop: ld a3, 0(s0)
        add a3, a3, s2
        sd a3, 0(s0)
    again: lr.d a4, (s1)
        add a4, a4, a3
        sc.d a5, a4, (s1)
        bne a5, zero, again
        rdtime a6
        addi s2, s2, -1
        bne s2, zero, loop
        ecall
    """,
    "aarch64": """
        mov x2, 50
    loop: ldp x3, x4, [x8]
        adds x3, x3, x2
        stp x4, x3, [x8]
        csel x5, x3, x4, lt
    again: ldxr x6, [x9]
        add x6, x6, x4
        stlxr w7, x6, [x9]
        cbnz w7, again
        ldxp x10, x11, [x9]
        mrs x12, cntvct_el0
        subs x2, x2, 1
        b.ne loop
        svc 0
    """,
}
"""Loops with clocks, and with what another thread could break."""


@pytest.mark.parametrize("kind", ["", WHOLE, PRECISE], ids=["fast", "whole", "precise"])
@pytest.mark.parametrize("tier", ["region", "baseline", "interpreter"])
@pytest.mark.parametrize("guest", EVERY, ids=repr)
def test_clocks_and_exclusive_accesses(guest: Guest, tier: str, kind: str) -> None:
    """What the judge reads of a clock is what the other tier has read."""
    code = program(guest, CLOCKS[guest.name])
    engine = LockstepEngine(guest.name, tier=tier, kind=kind, turns=3, threshold=2)
    with thread(engine, code, bytes(SIZE)) as cpu:
        cpu.x[8], cpu.x[9] = DATA, DATA + 64
        assert cpu.run() == SYSCALL
    assert engine.compared > 50 * 10
    assert engine.comparisons > 50 // 3


def program(guest: Guest, text: str) -> bytes:
    """The code of some lines, with labels."""
    lines = [line.strip() for line in text.strip().splitlines()]
    labels: dict[str, int] = {}
    for _ in range(2):  # the first time every label is at the start
        code = b""
        for line in lines:
            label, _, rest = line.rpartition(": ")
            if label:
                labels[label] = CODE + len(code)
            words = " ".join(
                hex(labels.get(word, CODE)) if word in ("loop", "again") else word for word in rest.split()
            )
            code += guest.assemble(words, pc=CODE + len(code))
    return code


# ------------------------------------------------------------------------------------------------ the judge bites
class ForgetsRegisters(RegionEmitter):
    """Leaves without having stored one of the registers that loops count with."""

    def sync(self, live_at: int | None = None) -> None:
        counters: set[Slot] = {("x", number) for number in dialect(self.isa.name).counters}
        self.stale -= counters
        super().sync(live_at)


@pytest.mark.parametrize("guest", EVERY, ids=repr)
def test_a_compiler_with_a_mistake_is_found(guest: Guest, rng: random.Random) -> None:
    words = dialect(guest.name)
    for _ in range(10):
        engine = LockstepEngine(guest.name, turns=3, threshold=1, options=guest.isa.options)
        engine.here.emitter = type("Wrong", (ForgetsRegisters, engine.here.emitter), {})
        try:
            judge(engine, make(rng, words, words.tastes["integers"]))
        except PolyvmError as error:
            found = error
            break
    else:
        pytest.fail("no program shows it")
    assert found.code == "PVM-LOCKSTEP-DIFFERS"
    assert found.context["insns"]
