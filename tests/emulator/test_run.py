"""Running bare code: how runs end, exactly where, and in what state; errors leave the registers as they were."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

import polyvm
from tests.emulator.conftest import CODE, DATA, asm

Put = Callable[..., int]
LOOP = ("addi a0, a0, 1", "j .-4")


def test_until_stops_before_the_instruction(cpu: polyvm.Emulator, put: Put) -> None:
    put("li a0, 1", "li a0, 2", "li a0, 3")
    assert cpu.run(CODE, until=CODE + 4) == polyvm.Exit("until", CODE + 4)
    assert cpu.registers["a0"] == 1
    assert cpu.run(until=CODE + 4) == polyvm.Exit("until", CODE + 4)  # it is there already: nothing runs
    assert cpu.registers["a0"] == 1
    cpu.step()
    assert cpu.registers["a0"] == 2


def test_until_in_a_loop_and_after_it(cpu: polyvm.Emulator, put: Put) -> None:
    end = put("li a1, 200", "addi a0, a0, 3", "addi a1, a1, -1", "bnez a1, .-8")
    assert cpu.run(CODE, until=end).reason == "until"
    assert (cpu.registers["a0"], cpu.registers["a1"]) == (600, 0)
    for turn in range(1, 4):
        cpu.registers["a0"] = 0
        cpu.run(CODE, until=CODE + 8)
        assert cpu.registers["a0"] == 3, turn


@pytest.mark.parametrize("until", [CODE + 1, CODE + 2, 0, 1 << 38, (1 << 64) - 4, CODE + 6])
def test_until_where_no_instruction_begins_is_never_reached(
    cpu: polyvm.Emulator, put: Put, until: int
) -> None:
    put(*LOOP)
    assert cpu.run(CODE, until=until, count=99).reason == "count"
    assert cpu.registers["a0"] == 50


def test_until_between_compressed_instructions(cpu: polyvm.Emulator, put: Put) -> None:
    put("c.li a0, 1", "c.li a0, 2", "c.li a0, 3")
    cpu.run(CODE, until=CODE + 2)
    assert cpu.registers.a0 == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 1001])
def test_a_count_is_exact(cpu: polyvm.Emulator, put: Put, count: int) -> None:
    put(*LOOP)
    ended = cpu.run(CODE, count=count)
    assert ended == polyvm.Exit("count", CODE + 4 * (count % 2))
    assert cpu.registers["a0"] == (count + 1) // 2


def test_a_count_ends_at_a_flush_of_code(cpu: polyvm.Emulator, put: Put) -> None:
    put("fence.i", "addi a0, a0, 1", "fence.i", "addi a0, a0, 1", "ebreak")
    for number in range(4):
        assert cpu.run(CODE if number == 0 else None, count=1).reason == "count"
        assert (cpu.pc - CODE, cpu.registers["a0"]) == (4 * (number + 1), (number + 1) // 2)


def test_a_count_goes_on_where_the_last_one_ended(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    cpu.pc = CODE
    for _ in range(10):
        cpu.run(count=7)
    assert cpu.registers["a0"] == 35
    assert cpu.pc == CODE


def test_a_timeout(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    ended = cpu.run(CODE, timeout=0.05)
    assert ended.reason == "timeout"
    assert cpu.registers["a0"] > 0
    assert cpu.run(timeout=0.0, until=CODE + 100).reason == "timeout"


def test_stop_from_another_thread(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    for options in ({}, {"until": CODE + 100}):
        timer = threading.Timer(0.05, cpu.stop)
        timer.start()
        assert cpu.run(CODE, **options).reason == "stopped"
        timer.join()
    cpu.stop()  # nothing runs: nothing happens
    assert cpu.run(CODE, count=1).reason == "count"


def test_two_emulators_run_at_once(put: Put) -> None:
    ends: list[int] = []

    def work(number: int) -> None:
        with polyvm.Emulator("riscv64") as mine:
            mine.memory.map(CODE, 0x1000, "rwx")
            mine.memory.write(CODE, asm(*LOOP))
            mine.run(CODE, count=200_001 + 2 * number)
            ends.append(mine.registers["a0"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == [100_001, 100_002, 100_003]


def test_ctrl_c_interrupts_and_the_run_can_go_on(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cpu.run(CODE)
    timer.join()
    so_far = cpu.registers["a0"]
    assert so_far > 0
    assert cpu.run(count=2).reason == "count"
    assert cpu.registers["a0"] == so_far + 1


def test_a_signal_handler_runs_and_so_does_the_guest(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    seen: list[int] = []

    def handler(signo: int, frame: object) -> None:
        seen.append(signo)
        cpu.stop()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert cpu.run(CODE).reason == "stopped"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [signal.SIGALRM]


# ------------------------------------------------------------------------------------------------- errors
def test_an_exception_that_nobody_handles(cpu: polyvm.Emulator, put: Put) -> None:
    put("li a0, 7", "ebreak")
    with pytest.raises(polyvm.GuestTrap) as caught:
        cpu.run(CODE)
    assert (caught.value.cause, caught.value.pc) == ("breakpoint", CODE + 4)
    assert cpu.pc == CODE + 4
    assert cpu.registers["a0"] == 7


def test_an_unknown_instruction(cpu: polyvm.Emulator) -> None:
    cpu.memory.write(CODE, b"\xff\xff\xff\xff")
    with pytest.raises(polyvm.GuestTrap) as caught:
        cpu.run(CODE)
    assert (caught.value.cause, caught.value.value) == ("illegal", 0xFFFFFFFF)
    assert caught.value.code == "PVM-GUEST-TRAP"


def test_a_system_call_that_nobody_handles(cpu: polyvm.Emulator, put: Put) -> None:
    put("ecall")
    with pytest.raises(polyvm.GuestTrap, match="system call") as caught:
        cpu.run(CODE)
    assert "hook_syscall" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("code", "address", "kind"),
    [
        ("ld a0, 8(a1)", 0x30008, "read"),
        ("sd a0, 8(a1)", 0x30008, "write"),
        ("sb a0, -1(zero)", (1 << 64) - 1, "write"),
        ("jr a1", 0x30000, "fetch"),
        ("amoadd.w a0, a0, (a1)", 0x30000, "write"),
    ],
)
@pytest.mark.parametrize("until", [None, CODE + 100])
def test_wrong_accesses_leave_everything_as_it_was(
    cpu: polyvm.Emulator, put: Put, code: str, address: int, kind: str, until: int | None
) -> None:
    put("nop", code)
    cpu.registers["a0"], cpu.registers["a1"] = 11, 0x30000
    with pytest.raises(polyvm.GuestFault) as caught:
        cpu.run(CODE, until=until)
    error = caught.value
    assert (error.address, error.code) == (address, "PVM-MEMORY-FAULT")
    if not code.startswith("amo"):  # a read-modify-write may be told as either
        assert error.kind == kind
    assert error.context["pc"] == cpu.pc
    assert cpu.pc == (0x30000 if kind == "fetch" else CODE + 4)
    assert (cpu.registers["a0"], cpu.registers["a1"]) == (11, 0x30000)


def test_protections_are_the_guests(cpu: polyvm.Emulator, put: Put) -> None:
    put("sd a0, 0(a1)")
    cpu.registers["a1"] = DATA
    cpu.memory.protect(DATA, 0x1000, "r")
    with pytest.raises(polyvm.GuestFault, match="protected"):
        cpu.run(CODE, count=1)
    cpu.memory.protect(DATA, 0x1000, "rw")
    assert cpu.run(count=1).reason == "count"
    cpu.memory.protect(CODE, 0x1000, "rw")
    with pytest.raises(polyvm.GuestFault) as caught:
        cpu.run(CODE)
    assert caught.value.kind == "fetch"


def test_what_can_only_be_executed(cpu: polyvm.Emulator) -> None:
    """Long instructions into such a page, within it, and out of it to where nothing may be executed; no reading."""
    first, second, end = CODE + 0xFFE, CODE + 0x1000, CODE + 0x2000
    cpu.memory.map(second, 0x1000, "rwx")
    across = asm("addi a0, a0, 5", "c.addi a0, 1", f"j {end - 6:#x}", pc=first)
    cpu.memory.write(first, across)
    cpu.memory.write(end - 6, asm("addi a0, a0, 7") + asm("ld a2, 0(a1)")[:2])
    cpu.memory.protect(second, 0x1000, "x")
    cpu.registers["a0"] = 1
    with pytest.raises(polyvm.GuestFault) as caught:
        cpu.run(first)
    assert (caught.value.kind, caught.value.address) == ("fetch", end)
    assert (cpu.registers["a0"], cpu.pc) == (14, end - 2)
    for _ in range(50):  # decoded by now
        assert cpu.run(first, until=end - 2).reason == "until"
    assert cpu.registers["a0"] == 14 + 50 * 13
    cpu.memory.write(CODE, asm("ld a2, 0(a1)"))
    cpu.registers["a1"] = second
    with pytest.raises(polyvm.GuestFault, match="protected"):
        cpu.run(CODE)
    assert cpu.memory.read(first, len(across)) == across  # a debugger's eye
    # What was given is not given again: other code is read when it comes.
    cpu.memory.protect(second, 0x1000, "rw")
    cpu.memory.write(second - 2, asm("addi a0, a0, 6"))
    cpu.memory.protect(second, 0x1000, "x")
    cpu.registers["a0"] = 0
    assert cpu.run(first, until=second + 2).reason == "until"
    assert cpu.registers["a0"] == 6


def test_code_that_is_written_runs_at_once(cpu: polyvm.Emulator, put: Put) -> None:
    for value in (1, 2, 3):
        end = put(f"li a0, {value}")
        cpu.run(CODE, until=end)
        assert cpu.registers["a0"] == value


def test_code_that_the_guest_writes_runs_after_a_fence(cpu: polyvm.Emulator, put: Put) -> None:
    word = int.from_bytes(asm("li a0, 42"), "little")
    end = put(
        "li a0, 1", "bnez a2, 0x1001c", "sw a1, 0(a3)", "fence.i", "li a2, 1", "j 0x10000", "nop", "nop"
    )
    cpu.registers.update(a1=word, a2=0, a3=CODE)
    # The breakpoint stands in the same page, and must survive that its code was dropped.
    assert cpu.run(CODE, until=end, count=100).reason == "until"
    assert cpu.registers["a0"] == 42


def test_processors_of_two_guests_in_one_process(cpu: polyvm.Emulator, put: Put) -> None:
    end = put("addi a0, zero, 7", "addi a0, a0, 1")
    sum_ = b"\x20\x00\x80\xd2\x00\x04\x00\x91\x01\x00\x00\xd4"  # mov x0, #1; add x0, x0, #1; svc #0
    with polyvm.Emulator("aarch64", tier="interpreter") as other:
        other.memory.map(CODE, 0x1000, "rx")
        other.memory.write(CODE, sum_)
        seen: list[int] = []
        other.hook_syscall(lambda it: seen.append(it.registers["x0"]))
        for turn in (1, 2):
            assert other.run(CODE, CODE + len(sum_)).reason == "until"
            assert cpu.run(CODE, end).reason == "until"
            assert (seen, cpu.registers["a0"]) == ([2] * turn, 8)


# ------------------------------------------------------------------------------------------------- misuse
def test_what_is_refused(cpu: polyvm.Emulator) -> None:
    for options in ({"count": -1}, {"timeout": -1.0}):
        with pytest.raises(polyvm.PolyvmError, match="must not be negative"):
            cpu.run(CODE, **options)
    with pytest.raises(polyvm.PolyvmError) as caught:
        polyvm.Emulator("x86_64")
    assert caught.value.code == "PVM-UNSUPPORTED"
    with pytest.raises(polyvm.PolyvmError) as caught:
        polyvm.Emulator("riscv64", tier="region")
    assert caught.value.code == "PVM-UNSUPPORTED"
    with pytest.raises(polyvm.PolyvmError) as caught:
        polyvm.Emulator("riscv64", tier="quick")
    assert caught.value.code == "PVM-USAGE"


def test_one_thread_at_a_time(cpu: polyvm.Emulator, put: Put) -> None:
    put(*LOOP)
    running = threading.Thread(target=cpu.run, args=(CODE,))
    running.start()
    while cpu._thread is None:
        time.sleep(0.001)
    try:
        for wrong in (
            lambda: cpu.run(CODE),
            cpu.close,
            lambda: cpu.memory.write(CODE, b"x"),
            lambda: cpu.memory.map(0x50000, 0x1000),
            lambda: cpu.restore(cpu.save()),
        ):
            with pytest.raises(polyvm.PolyvmError):
                wrong()
    finally:
        cpu.stop()
        running.join()


def test_a_closed_emulator_says_so() -> None:
    cpu = polyvm.Emulator("riscv64")
    cpu.close()
    cpu.close()
    assert repr(cpu) == "<Emulator of riscv64, closed>"
    for wrong in (
        lambda: cpu.run(0),
        lambda: cpu.memory.read(0, 1),
        lambda: cpu.registers["a0"],
        lambda: cpu.pc,
    ):
        with pytest.raises(polyvm.PolyvmError, match="closed"):
            wrong()


def test_many_are_made_and_forgotten() -> None:
    for _ in range(64):
        cpu = polyvm.Emulator("riscv64")
        cpu.memory.map(CODE, 0x1000, "rwx")
        cpu.memory.write(CODE, asm("nop"))
        cpu.run(CODE, until=CODE + 4)
        del cpu
    gc.collect()
