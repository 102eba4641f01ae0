"""What lock-step found wrong, each as the shortest program that shows it, or as the question that was answered so."""

from __future__ import annotations

import struct

import pytest

from polyvm.engine.layout import GOLDEN, PRECISE
from polyvm.engine.lockstep import LockstepEngine
from polyvm.memory.space import EXEC, READ, AddressSpace
from tests.engine.judged import judged
from tests.engine.lockstep_runner import NAMES, Mode, lockstep
from tests.toolchain import build

EXIT = "li a7, 93\n ecall"


def test_a_conversion_that_golden_does_leaves_results_unsettled_for_the_way_that_goes_on() -> None:
    """The NaN test of fa1 was made on the way to golden only, and its result used behind it: LLVM refused the text."""
    text = f"""
        li s2, 20
    loop: fadd.d fa1, fa2, fa3
        fcvt.s.l fa4, a0, rmm
        fsd fa1, 0(gp)
        addi a0, a0, 1
        addi s2, s2, -1
        bnez s2, loop
        {EXIT}
    """
    with judged(text, turns=0) as made:
        made.cpu.f[12], made.cpu.f[13] = (struct.unpack("<Q", struct.pack("<d", x))[0] for x in (1.5, -2.25))
        made.cpu.x[10] = 1 << 24
        assert made.run() == "exit"
        assert made.engine.exits[GOLDEN] > 10


@pytest.mark.parametrize("mode", [Mode(threshold=4), Mode(kind=PRECISE, threshold=4)], ids=str)
def test_memory_that_grows_keeps_registers(mode: Mode) -> None:
    """Going on after the fault that grows a mapping needs the registers, which fast regions do not keep."""
    done = lockstep(build("grows.c"), "1", mode=mode)
    assert (done.error, done.end) == ("", ("exited", 0, None))
    assert done.exits["FAULT"] == 127
    assert done.stdout == "usual fc80b5a71c238001 walked fc80b5a71c238001 memory fd4bbbb0d1fb0000\n"


@pytest.mark.parametrize("address", [1 << 38, (1 << 38) + 4096, 1 << 46, 1 << 47, 1 << 63, (1 << 64) - 4096])
def test_nothing_ran_outside_of_the_space(address: int) -> None:
    """Jumps to nowhere are seen like others; asking what ran there read the host's memory, wherever it was."""
    engine = LockstepEngine("riscv64")
    space = AddressSpace()
    space.map(0x10000, 4096, READ | EXEC)
    assert engine.ran(space, 0x10000) == bytes(2048)
    assert engine.ran(space, address) == bytes(2048)
    space.close()


def test_calls_to_nowhere_seen_often() -> None:
    """The same as a program: it calls through pointers, every other one wild, and goes on after the fault."""
    text = f"""
        li s2, 200
    loop: addi a0, a0, 1
        andi a1, a0, 1
        sh3add a1, a1, gp
        ld a1, 0(a1)
        jalr ra, 0(a1)
        addi s2, s2, -1
        bnez s2, loop
        {EXIT}
    callee: ret
    """
    with judged(text, kind=PRECISE) as made:
        made.space.write(made.cpu.x[3], struct.pack("<QQ", made.program["callee"], 1 << 46))
        assert made.run() == "exit"
        assert made.exceptions == 100


@pytest.mark.parametrize("kind", NAMES)
def test_every_turn_compared_makes_progress(kind: str) -> None:
    """A region entered at its loop's head and left at it had done nothing, and was entered again, for ever."""
    with judged(f"li s2, 50\n loop: addi s2, s2, -1\n bnez s2, loop\n {EXIT}", turns=1, kind=kind) as made:
        assert made.run() == "exit"
        assert made.engine.comparisons > 40


def test_golden_is_left_what_is_still_read_and_no_more() -> None:
    """What the instruction for golden overwrites was not stored before it, which lock-step took for a difference."""
    text = f"""
        li s2, 20
    loop: fadd.d fa1, fa2, fa3
        fadd.d fa3, fa2, fa1
        fsqrt.d fa1, fa3, rmm
        addi s2, s2, -1
        bnez s2, loop
        {EXIT}
    """
    with judged(text, turns=0) as made:
        made.cpu.f[12] = struct.unpack("<Q", struct.pack("<d", 1.5))[0]
        assert made.run() == "exit"
        assert made.engine.exits[GOLDEN] > 10
