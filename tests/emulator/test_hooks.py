"""Hooks: what they are told, what they may change, and that nothing is different where they are not looking."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import polyvm
from tests.emulator.conftest import CODE, DATA

Put = Callable[..., int]
Access = tuple[str, int, int, int]

SUM = ("li a1, 5", "add a0, a0, a1", "addi a1, a1, -1", "bnez a1, .-8", "nop")
WIDE = 1 << 20  # more than breakpoints are made for


@pytest.fixture(params=["narrow", "wide", "everything"])
def end(request: pytest.FixtureRequest) -> int | None:
    """Where a code hook's range ends: each way of running code under hooks."""
    return {"narrow": CODE + 0x1000, "wide": CODE + WIDE, "everything": None}[request.param]


# ------------------------------------------------------------------------------------------------- code hooks
def test_each_instruction_is_told_once_before_it_runs(
    cpu: polyvm.Emulator, put: Put, end: int | None
) -> None:
    stop = put("li a1, 2", "c.addi a0, 1", "addi a1, a1, -1", "bnez a1, .-6")
    seen: list[tuple[int, int, int]] = []
    with cpu.hook_code(
        lambda c, address, size: seen.append((address - CODE, size, c.registers["a0"])), CODE, end
    ):
        assert cpu.run(CODE, until=stop).reason == "until"
    assert seen == [(0, 4, 0), (4, 2, 0), (6, 4, 1), (10, 4, 1), (4, 2, 1), (6, 4, 2), (10, 4, 2)]
    cpu.registers["a0"] = 0
    cpu.run(CODE, until=stop)
    assert len(seen) == 7  # it is gone


def test_only_the_range_is_told(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put(*SUM)
    seen: list[int] = []
    cpu.hook_code(lambda c, address, size: seen.append(address - CODE), CODE + 8, CODE + 12)
    cpu.run(CODE, until=stop)
    assert seen == [8] * 5
    assert cpu.registers["a0"] == 15


def test_a_hook_changes_registers_memory_and_pc(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    stop = put("li a0, 1", "li a0, 2", "li a1, 3", "ld a2, 0(a3)")
    cpu.registers["a3"] = DATA

    def hook(cpu: polyvm.Emulator, address: int, size: int) -> None:
        if address == CODE + 4:
            cpu.pc = CODE + 8  # li a0, 2 is left out
        if address == CODE + 12:
            cpu.memory.write_int(DATA, 77, 8)
            cpu.registers["a1"] = 9

    cpu.hook_code(hook, CODE, end)
    cpu.run(CODE, until=stop)
    assert [cpu.registers[name] for name in ("a0", "a1", "a2")] == [1, 9, 77]


def test_a_hook_stops_the_run_before_its_instruction(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    put("li a0, 1", "li a0, 2")
    hook = cpu.hook_code(lambda c, address, size: c.stop() if address == CODE + 4 else None, CODE, end)
    assert cpu.run(CODE) == polyvm.Exit("stopped", CODE + 4)
    assert cpu.registers["a0"] == 1
    hook.remove()
    hook.remove()  # again is no error
    cpu.run(count=1)
    assert cpu.registers["a0"] == 2


def test_what_a_hook_raises_comes_through(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    put("li a0, 1", "li a0, 2", *SUM)

    def hook(cpu: polyvm.Emulator, address: int, size: int) -> None:
        if address == CODE + 4:
            raise LookupError("of the hook's")

    with cpu.hook_code(hook, CODE, end), pytest.raises(LookupError, match="of the hook's"):
        cpu.run(CODE)
    assert cpu.pc == CODE + 4
    assert cpu.registers["a0"] == 1
    assert cpu.run(count=1).reason == "count"


def test_counts_are_exact_under_hooks(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    put(*SUM)
    seen: list[int] = []
    cpu.hook_code(lambda c, address, size: seen.append(address), CODE, end)
    for count in (1, 2, 5):
        seen.clear()
        assert cpu.run(CODE, count=count).reason == "count"
        assert len(seen) == count


def test_hooks_come_and_go_while_it_runs(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put(*SUM)
    log: list[str] = []
    inner: list[object] = []

    def first(cpu: polyvm.Emulator, address: int, size: int) -> None:
        log.append("first")
        outer.remove()
        inner.append(cpu.hook_code(lambda c, a, s: log.append(f"{a - CODE}")))

    outer = cpu.hook_code(first, CODE + 8, CODE + 12)
    cpu.run(CODE, until=stop)
    assert log[:2] == ["first", "12"]  # the instruction that was told already is not told again
    assert len(log) == 1 + 1 + 3 * 4 + 1


def test_a_hook_must_not_run_the_emulator(cpu: polyvm.Emulator, put: Put) -> None:
    put(*SUM)
    cpu.hook_code(lambda c, a, s: c.run(CODE))
    with pytest.raises(polyvm.PolyvmError, match="running already"):
        cpu.run(CODE)


def test_several_hooks_are_called_in_order(cpu: polyvm.Emulator, put: Put) -> None:
    put("nop")
    log: list[int] = []
    for number in range(3):
        cpu.hook_code(lambda c, a, s, number=number: log.append(number))
    cpu.run(CODE, count=1)
    assert log == [0, 1, 2]


def test_stop_from_another_thread_under_hooks(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    put("nop", "j .-4")
    cpu.hook_code(lambda c, a, s: None, CODE, end)
    timer = threading.Timer(0.05, cpu.stop)
    timer.start()
    assert cpu.run(CODE).reason == "stopped"
    timer.join()
    assert cpu.run(CODE, timeout=0.05).reason == "timeout"


# ------------------------------------------------------------------------------------------------- memory hooks
def accesses(cpu: polyvm.Emulator, stop: int, **options: object) -> list[Access]:
    seen: list[Access] = []
    with cpu.hook_memory(
        lambda c, kind, a, size, value: seen.append((kind, a - DATA, size, value)), **options
    ):
        cpu.run(CODE, until=stop)
    return seen


def test_loads_and_stores_are_told(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("sd a0, 8(a1)", "lbu a2, 9(a1)", "sh a2, 0(a1)", "ld a3, 8(a1)", "add a4, a3, a2")
    cpu.registers.update(a0=0x1122334455667788, a1=DATA)
    assert accesses(cpu, stop) == [
        ("write", 8, 8, 0x1122334455667788),
        ("read", 9, 1, 0x77),
        ("write", 0, 2, 0x77),
        ("read", 8, 8, 0x1122334455667788),
    ]
    assert cpu.registers["a3"] == 0x1122334455667788
    assert cpu.memory.read_int(DATA, 2) == 0x77


def test_a_range_and_a_kind(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("sd a0, 0(a1)", "sd a0, 6(a1)", "sd a0, 8(a1)", "ld a0, 15(a1)", "ld a0, 16(a1)")
    cpu.registers.update(a0=1, a1=DATA)
    found = accesses(cpu, stop, begin=DATA + 8, end=DATA + 16)
    assert [(kind, at) for kind, at, _, _ in found] == [("write", 6), ("write", 8), ("read", 15)]
    assert [kind for kind, *_ in accesses(cpu, stop, read=False)] == ["write"] * 3
    assert [kind for kind, *_ in accesses(cpu, stop, write=False)] == ["read"] * 2


def test_atomics_are_a_read_and_a_write(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("amoadd.w a2, a0, (a1)", "lr.d a3, (a1)", "sc.d a4, a0, (a1)")
    cpu.registers.update(a0=5, a1=DATA)
    cpu.memory.write_int(DATA, 10, 8)
    found = accesses(cpu, stop)
    assert [kind for kind, *_ in found[:2]] == ["read", "write"]
    assert cpu.memory.read_int(DATA, 8) == 5
    assert (cpu.registers["a2"], cpu.registers["a3"], cpu.registers["a4"]) == (10, 15, 0)
    assert ("read", 0, 8, 15) in found


def test_an_access_that_fails_is_none(cpu: polyvm.Emulator, put: Put) -> None:
    put("ld a0, 0(a1)")
    cpu.registers["a1"] = 0x90000
    seen: list[object] = []
    with cpu.hook_memory(lambda *access: seen.append(access)), pytest.raises(polyvm.GuestFault):
        cpu.run(CODE)
    assert seen == []
    assert cpu.pc == CODE


def test_what_it_raises_comes_before_any_effect(cpu: polyvm.Emulator, put: Put) -> None:
    put("nop", "sd a0, 0(a1)")
    cpu.registers.update(a0=5, a1=DATA)

    def hook(*access: object) -> None:
        raise LookupError("no")

    with cpu.hook_memory(hook), pytest.raises(LookupError):
        cpu.run(CODE)
    assert cpu.pc == CODE + 4
    assert cpu.memory.read_int(DATA, 8) == 0


def test_with_and_without_hooks_the_result_is_the_same(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put(
        "li a1, 100", "sd a1, 0(a2)", "ld a3, 0(a2)", "add a0, a0, a3", "amoxor.d a4, a0, (a2)", "addi a1, a1, -1",
        "bnez a1, .-20",
    )  # fmt: skip
    results = []
    for hooks in ((), ("code",), ("memory",), ("code", "memory")):
        cpu.registers.update(a0=0, a1=0, a2=DATA, a3=0, a4=0)
        cpu.memory.write(DATA, bytes(16))
        placed = [cpu.hook_code(lambda *a: None)] if "code" in hooks else []
        placed += [cpu.hook_memory(lambda *a: None)] if "memory" in hooks else []
        cpu.run(CODE, until=stop)
        for hook in placed:
            hook.remove()
        results.append((dict(cpu.registers), cpu.memory.read(DATA, 16)))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (5, 4), (-1, 4)])
def test_an_empty_range_is_refused(cpu: polyvm.Emulator, begin: int, end: int) -> None:
    for hook in (cpu.hook_code, cpu.hook_memory):
        with pytest.raises(polyvm.PolyvmError) as caught:
            hook(lambda *a: None, begin, end)
        assert caught.value.code == "PVM-USAGE"
    with pytest.raises(polyvm.PolyvmError, match="neither"):
        cpu.hook_memory(lambda *a: None, read=False, write=False)


# ------------------------------------------------------------------------------------------------- calls and traps
def test_system_calls(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("li a7, 64", "ecall", "addi a0, a0, 1")
    cpu.hook_syscall(lambda c: c.registers.__setitem__("a0", c.registers["a7"] * 2))
    assert cpu.run(CODE, until=stop).reason == "until"
    assert cpu.registers["a0"] == 129
    with pytest.raises(polyvm.PolyvmError, match="already"):
        cpu.hook_syscall(lambda c: None)


def test_a_system_call_may_go_elsewhere_or_stop(cpu: polyvm.Emulator, put: Put) -> None:
    put("ecall", "ebreak", "li a0, 5")
    with cpu.hook_syscall(lambda c: setattr(c, "pc", CODE + 8)):
        cpu.run(CODE, count=2)
    assert cpu.registers["a0"] == 5
    with cpu.hook_syscall(lambda c: c.stop()):
        assert cpu.run(CODE) == polyvm.Exit("stopped", CODE + 4)


def test_a_system_call_may_put_hooks_in_place(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("ecall", "nop", "nop")
    seen: list[int] = []
    cpu.hook_syscall(lambda c: c.hook_code(lambda c, a, s: seen.append(a - CODE)) and None)
    cpu.run(CODE, count=3)
    assert seen == [4, 8]
    seen.clear()
    cpu.run(CODE, until=stop)
    assert set(seen) == {0, 4, 8}


def test_exceptions_can_be_dealt_with(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("ebreak", "ld a0, 0(a1)", "li a2, 3")
    cpu.registers["a1"] = 0x90000
    seen: list[str] = []

    def handler(cpu: polyvm.Emulator, error: polyvm.GuestTrap | polyvm.GuestFault) -> bool:
        seen.append(error.code)
        if isinstance(error, polyvm.GuestFault):
            cpu.memory.map(0x90000, 0x1000)
            cpu.memory.write_int(0x90000, 12, 8)
        else:
            cpu.pc += 4
        return True

    with cpu.hook_trap(handler):
        assert cpu.run(CODE, until=stop).reason == "until"
    assert seen == ["PVM-GUEST-TRAP", "PVM-MEMORY-FAULT"]
    assert (cpu.registers["a0"], cpu.registers["a2"]) == (12, 3)


def test_exceptions_that_are_not_dealt_with_are_raised(cpu: polyvm.Emulator, put: Put) -> None:
    put("ebreak")
    cpu.hook_trap(lambda c, error: False)
    with pytest.raises(polyvm.GuestTrap):
        cpu.run(CODE)
