"""The judge by itself: it goes as far as it is told, compares, and never guesses what the other tier may have lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from polyvm.engine.judge import LOST, Event, Judge
from polyvm.engine.layout import FAULT, FETCH, ILLEGAL, READ, SYSCALL, TRAP, WRITE
from polyvm.errors import PolyvmError
from tests.engine.judged import Judged
from tests.engine.random_program import CODE, DATA, DATA_SIZE, ISA

MIDDLE = DATA + DATA_SIZE // 2  # where gp points to
A0 = ("x", 10)
BREAKPOINT, MISALIGNED = ISA.causes.index("breakpoint"), ISA.causes.index("load_misaligned")


@pytest.fixture
def load() -> Iterator[Callable[[str], Judged]]:
    """load(text): a program that only the judge runs; what the other tier should have done, the test does."""
    made: list[Judged] = []

    def put(text: str) -> Judged:
        made.append(Judged())
        made[-1].load(text, writable=True)
        made[-1].cpu.judge.take()
        return made[-1]

    yield put
    for one in made:
        one.close()


def differs(call: Callable[..., object], *arguments: object) -> PolyvmError:
    with pytest.raises(PolyvmError) as caught:
        call(*arguments)
    assert caught.value.code == "PVM-LOCKSTEP-DIFFERS"
    return caught.value


def event(judge: Judge, insns: int = 1 << 20) -> tuple[int, int, int]:
    found = judge.go(insns)
    assert found is not None
    return found.reason, found.cause, found.value


def test_it_goes_as_far_as_it_is_told(load: Callable[[str], Judged]) -> None:
    made = load("li a0, 5\n loop: addi a0, a0, -1\n bnez a0, loop\n ecall")
    judge, program = made.cpu.judge, made.program
    assert judge.go(2) is None
    assert (judge.pc, judge.insns) == (program["loop"] + 4, 2)
    assert judge.registers[judge.index[A0]] == 4
    assert judge.go(3) is None  # into the middle of blocks, and out again
    assert (judge.pc, judge.registers[judge.index[A0]]) == (program["loop"], 3)
    assert event(judge) == (SYSCALL, 0, 0)
    assert (judge.pc, judge.insns) == (program.end - 4, 11)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("li a0, 0\n ld a1, 8(a0)", (FAULT, READ, 8)),
        ("sd a0, -8(gp)\n sd a0, 2000(sp)\n sd a0, 2044(sp)", (FAULT, WRITE, 0x64000)),
        ("ebreak", (TRAP, BREAKPOINT, CODE)),
        ("addi a0, gp, 1\n lr.w a1, (a0)", (TRAP, MISALIGNED, MIDDLE + 1)),
        ("jalr zero, 8(zero)", (FAULT, FETCH, 8)),
        ("c.nop", (ILLEGAL, 0, 0)),
    ],
)
def test_what_it_cannot_do_is_an_event(
    load: Callable[[str], Judged], text: str, expected: tuple[int, int, int]
) -> None:
    made = load(text)
    judge = made.cpu.judge
    assert event(judge) == expected
    if expected[0] != FAULT or expected[1] != FETCH:
        assert CODE <= judge.pc <= made.program.end


def test_an_instruction_cut_off_by_the_end_of_code(load: Callable[[str], Judged]) -> None:
    made = load("c.nop")
    at = CODE + 4096 - 2
    made.space.write(at, b"\x13\x05")
    made.cpu.pc = at
    made.cpu.judge.take()
    assert event(made.cpu.judge) == (FAULT, FETCH, CODE + 4096)


def test_it_compares_registers(load: Callable[[str], Judged]) -> None:
    made = load("li a0, 7\n li a1, 8\n fsqrt.d ft0, ft1\n ecall")
    cpu, judge = made.cpu, made.cpu.judge
    cpu.x[10], cpu.pc = 7, CODE + 4
    judge.follow(1)
    assert judge.comparisons == 1
    cpu.x[11], cpu.pc = 9, CODE + 8
    error = differs(judge.follow, 1)
    assert (
        error.message
        == "Compiled code and the golden evaluator disagree: a1 is 0x9, and 0x8 for the golden evaluator."
    )
    assert (error.context["pc"], error.context["since"], error.context["insns"]) == (CODE + 8, CODE + 4, 2)
    cpu.x[11] = 8
    judge.compare()
    # The square root of a negative number is invalid.
    cpu.f[1] = 0xBFF0 << 48
    judge.take()
    cpu.f[0], cpu.pc = 0x7FF8 << 48, CODE + 12
    assert "fp.flags is 0x0, and 0x10" in differs(judge.follow, 1).message


def test_it_compares_the_program_counter(load: Callable[[str], Judged]) -> None:
    made = load("beqz a0, there\n nop\n nop\n there: nop")
    made.cpu.pc = CODE + 4
    error = differs(made.cpu.judge.follow, 1)
    assert f"the golden evaluator is at {made.program['there']:#x}" in error.message
    assert error.context["pc"] == CODE + 4


def test_it_compares_what_it_wrote_and_in_the_end_everything(load: Callable[[str], Judged]) -> None:
    made = load("sb a0, 5(gp)\n ecall")
    cpu, judge = made.cpu, made.cpu.judge
    cpu.x[10] = 0x1FF
    judge.take()
    cpu.pc = CODE + 4
    error = differs(judge.follow, 1)
    assert f"memory at {MIDDLE + 5:#x} differs" in error.message
    assert (error.context["address"], error.context["tier_byte"], error.context["golden_byte"]) == (
        MIDDLE + 5,
        0,
        255,
    )
    made.space.write(MIDDLE + 5, b"\xff")
    judge.compare()
    made.space.write(DATA, b"?")  # nothing that the evaluator wrote
    judge.compare()
    assert f"memory at {DATA:#x} differs" in differs(judge.meet, Event(SYSCALL)).message


def test_it_meets_what_was_met_and_nothing_else(load: Callable[[str], Judged]) -> None:
    made = load("ebreak\n nop\n ecall")
    cpu, judge = made.cpu, made.cpu.judge
    judge.meet(Event(TRAP, BREAKPOINT, CODE))
    cpu.pc = CODE + 4
    judge.take()
    assert "the golden evaluator came to SYSCALL (0, 0x0) first" in differs(judge.follow, 5).message
    judge.take()
    assert (
        "came to SYSCALL (0, 0x0) and not to FAULT (0, 0x8)"
        in differs(judge.meet, Event(FAULT, READ, 8)).message
    )


def test_system_calls_are_taken_over(load: Callable[[str], Judged]) -> None:
    made = load("ecall\n addi a1, a0, 1\n ld a2, 0(gp)\n ecall")
    cpu, judge = made.cpu, made.cpu.judge
    judge.meet(Event(SYSCALL))
    made.space.write(MIDDLE, b"answer!!")
    cpu.x[10], cpu.pc = 41, CODE + 4
    judge.take()
    cpu.x[11], cpu.x[12], cpu.pc = 42, int.from_bytes(b"answer!!", "little"), CODE + 12
    judge.meet(Event(SYSCALL))


@pytest.mark.parametrize(
    "text", ["addi a1, a0, 1", "sd a0, 0(gp)", "beqz a0, .+4", "sd zero, 0(a0)", "jr a0"]
)
def test_reading_what_was_lost_is_an_error(load: Callable[[str], Judged], text: str) -> None:
    made = load(f"nop\n {text}\n nop")
    made.cpu.pc = CODE + 4
    made.cpu.judge.follow(1, [A0])
    error = differs(made.cpu.judge.go, 1)
    assert "reads a register that was lost" in error.message
    assert error.context["pc"] == CODE + 4


def test_a_copy_of_what_was_lost_is_an_error(load: Callable[[str], Judged]) -> None:
    made = load("nop\n fmv.d.x fa1, a0\n nop")
    made.cpu.pc = CODE + 4
    made.cpu.judge.follow(1, [A0])
    made.cpu.pc = CODE + 8
    assert "fa1 is a copy of a lost register" in differs(made.cpu.judge.follow, 1).message


def test_what_was_lost_may_differ_until_it_is_written(load: Callable[[str], Judged]) -> None:
    made = load("nop\n nop\n li a0, 3\n nop")
    cpu, judge = made.cpu, made.cpu.judge
    cpu.pc = CODE + 4
    judge.follow(1, [A0])
    cpu.x[10], cpu.pc = 99, CODE + 8
    judge.follow(1)
    cpu.pc = CODE + 12
    assert "a0 is 0x63, and 0x3" in differs(judge.follow, 1).message


def test_a_signal_handler_gives_lost_registers_values_again(load: Callable[[str], Judged]) -> None:
    made = load("nop\n addi a1, a0, 1\n nop")
    cpu, judge = made.cpu, made.cpu.judge
    cpu.pc = CODE + 4
    judge.follow(1, [A0])
    judge.take()
    assert judge.registers[judge.index[A0]] is LOST  # nobody did anything to it
    cpu.x[10] = 5
    judge.take()
    cpu.x[11], cpu.pc = 6, CODE + 8
    judge.follow(1)


def test_counters_are_replayed_or_refused(load: Callable[[str], Judged]) -> None:
    made = load("rdtime a0\n rdtime a1\n nop")
    cpu, judge = made.cpu, made.cpu.judge
    judge.clock.append(1234)
    cpu.x[10], cpu.pc = 1234, CODE + 4
    judge.follow(1)
    with pytest.raises(PolyvmError) as caught:
        judge.go(1)
    assert caught.value.code == "PVM-UNSUPPORTED"
    assert "time" in caught.value.message


def test_code_that_changed_is_read_again_behind_a_flush(load: Callable[[str], Judged]) -> None:
    made = load("loop: li a0, 1\n sw a1, 0(a2)\n fence.i\n j loop")
    cpu, judge = made.cpu, made.cpu.judge
    cpu.x[11], cpu.x[12] = 0x0020_0513, CODE  # li a0, 2
    judge.take()
    assert judge.go(4) is None
    assert judge.registers[judge.index[A0]] == 1
    assert judge.go(1) is None
    assert judge.registers[judge.index[A0]] == 2
    judge.memory.store(CODE, 4, 0x0030_0513)
    assert judge.go(4) is None
    assert judge.registers[judge.index[A0]] == 2  # the flush comes behind it


def test_a_second_thread_is_refused(load: Callable[[str], Judged]) -> None:
    made = load("nop")
    with pytest.raises(PolyvmError) as caught:
        made.engine.thread(made.space)
    assert caught.value.code == "PVM-UNSUPPORTED"
    assert "one thread" in caught.value.message
