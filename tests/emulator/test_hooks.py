"""Hooks: what they are told, what they may change, and that nothing is different where they are not looking."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

import polyvm
from tests.emulator.conftest import CODE, DATA, asm

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


def test_only_accesses_in_the_range_are_told(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put(
        "sd a0, 0(a1)", "sd a0, 0(a2)", "ld a3, -8(a2)", "sb a0, 7(a2)", "ld a3, 8(a2)", "fsw fa0, 4(a2)"
    )
    cpu.registers.update(a0=1, a1=DATA, a2=DATA + 0x800, fa0=0xFFFF_FFFF_4048_F5C3)
    found = accesses(cpu, stop, begin=DATA + 0x800, end=DATA + 0x808)
    assert found == [("write", 0x800, 8, 1), ("write", 0x807, 1, 1), ("write", 0x804, 4, 0x4048F5C3)]
    assert cpu.memory.read_int(DATA + 0x800, 8) == 0x4048F5C3_00000001


def test_several_memory_hooks(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("sd a0, 0(a1)", "ld a2, 0(a1)", "sd a0, 8(a1)", "sd a0, 16(a1)")
    cpu.registers.update(a0=1, a1=DATA)
    log: list[tuple[str, str, int]] = []
    for name, begin in (("low", DATA), ("high", DATA + 16)):
        cpu.hook_memory(
            lambda c, kind, a, s, v, name=name: log.append((name, kind, a - DATA)), begin, begin + 8
        )
    cpu.run(CODE, until=stop)
    assert log == [("low", "write", 0), ("low", "read", 0), ("high", "write", 16)]
    assert cpu.memory.read_int(DATA + 8, 8) == 1


def test_an_access_across_the_end_of_what_is_mapped(cpu: polyvm.Emulator, put: Put) -> None:
    put("ld a0, -4(a1)", "nop", "sd a0, -4(a1)")
    cpu.registers["a1"] = DATA + 0x1000
    seen: list[object] = []
    cpu.hook_memory(lambda *access: seen.append(access))
    for pc in (CODE, CODE + 8):
        with pytest.raises(polyvm.GuestFault) as caught:
            cpu.run(pc)
        assert (caught.value.address, caught.value.context["pc"]) == (DATA + 0x1000, pc)
    cpu.memory.map(DATA + 0x1000, 0x1000)
    cpu.memory.write_int(DATA + 0xFFC, 5 << 32 | 6, 8)
    cpu.run(CODE, count=3)
    assert [access[1:] for access in seen] == [  # type: ignore[index]  # tuples
        ("read", DATA + 0xFFC, 8, 5 << 32 | 6),
        ("write", DATA + 0xFFC, 8, 5 << 32 | 6),
    ]


def test_protected_memory_under_memory_hooks(cpu: polyvm.Emulator, put: Put) -> None:
    put("ld a0, 0(a1)", "sd a0, 0(a1)")
    cpu.registers["a1"] = DATA
    cpu.memory.protect(DATA, 0x1000, "r")
    seen: list[str] = []
    cpu.hook_memory(lambda c, kind, *access: seen.append(kind))
    with pytest.raises(polyvm.GuestFault, match="protected"):
        cpu.run(CODE, count=5)
    assert seen == ["read"]
    assert cpu.pc == CODE + 4


@pytest.mark.parametrize("line", ["sd a0, 0(a1)", "amoadd.d a2, a0, (a1)"])
def test_a_memory_hook_sends_the_program_elsewhere(cpu: polyvm.Emulator, put: Put, line: str) -> None:
    stop = put(line, "li a3, 1", "li a4, 1")
    cpu.registers.update(a0=5, a1=DATA)
    cpu.hook_memory(lambda c, *access: setattr(c, "pc", CODE + 8))
    assert cpu.run(CODE, until=stop).reason == "until"
    assert (cpu.registers["a3"], cpu.registers["a4"], cpu.memory.read_int(DATA, 8)) == (0, 1, 0)


@pytest.mark.parametrize("line", ["sd a0, 0(a1)", "amoswap.d a2, a0, (a1)"])
def test_a_memory_hook_stops_the_run_behind_its_instruction(
    cpu: polyvm.Emulator, put: Put, line: str
) -> None:
    put(line, "li a3, 1")
    cpu.registers.update(a0=5, a1=DATA)
    seen: list[str] = []

    def hook(cpu: polyvm.Emulator, kind: str, *access: int) -> None:
        seen.append(kind)
        cpu.stop()

    cpu.hook_memory(hook, read=False)
    assert cpu.run(CODE) == polyvm.Exit("stopped", CODE + 4)
    assert seen == ["write"]
    assert (cpu.registers["a3"], cpu.memory.read_int(DATA, 8)) == (0, 5)


def test_memory_hooks_come_and_go_while_they_are_called(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("li a2, 3", "sd a0, 0(a1)", "addi a2, a2, -1", "bnez a2, .-8")
    cpu.registers.update(a0=5, a1=DATA)
    log: list[str] = []

    def first(cpu: polyvm.Emulator, *access: object) -> None:
        log.append("first")
        outer.remove()
        cpu.hook_memory(lambda *access: log.append("second"))

    outer = cpu.hook_memory(first)
    assert cpu.run(CODE, until=stop).reason == "until"
    assert log == ["first", "second", "second"]


def test_a_hook_changes_memory_before_it_is_read(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("ld a0, 0(a1)")
    cpu.registers["a1"] = DATA
    cpu.hook_memory(lambda c, kind, a, s, v: c.memory.write_int(a, 9, 8))
    cpu.run(CODE, until=stop)
    assert cpu.registers["a0"] == 9


def test_counts_are_exact_under_memory_hooks(cpu: polyvm.Emulator, put: Put) -> None:
    put("sd a0, 0(a1)", "addi a0, a0, 1", "j .-8")
    cpu.registers["a1"] = DATA
    cpu.hook_memory(lambda *access: None)
    cpu.pc = CODE
    for count in range(1, 8):
        assert cpu.run(count=count) == polyvm.Exit("count", CODE + 4 * (sum(range(count + 1)) % 3))
    assert cpu.registers["a0"] == 9
    assert cpu.run(timeout=0.05).reason == "timeout"


def test_hooks_leave_the_floating_point_environment_alone(cpu: polyvm.Emulator, put: Put) -> None:
    stop = put("fdiv.s fa0, fa1, fa2", "sd a0, 0(a1)", "fdiv.s fa3, fa1, fa2")
    cpu.registers.update(a1=DATA, fa1=0xFFFF_FFFF_3F80_0000, fa2=0xFFFF_FFFF_4040_0000, fcsr=0x60)
    heard: list[float] = []
    cpu.hook_code(lambda *a: heard.append(1.0 / 3.0 + 0.1 * 0.1))
    cpu.hook_memory(lambda *a: heard.append(1.0 / 3.0 + 0.1 * 0.1))
    cpu.run(CODE, until=stop)
    assert cpu.registers["fa0"] == cpu.registers["fa3"] == 0xFFFF_FFFF_3EAA_AAAB  # rounded up
    assert cpu.registers["fcsr"] == 0x61
    assert heard == [1.0 / 3.0 + 0.1 * 0.1] * 4


def test_an_emulator_within_a_hook_of_another(cpu: polyvm.Emulator, put: Put, tier: str) -> None:
    stop = put("sd a0, 0(a1)", "ld a2, 0(a1)", "ld a3, 0(a4)")
    cpu.registers.update(a0=5, a1=DATA, a4=0x90000)
    with polyvm.Emulator("riscv64", tier=tier) as other:
        other.memory.map(CODE, 0x1000, "rwx")
        other.memory.write(CODE, asm("addi a0, a0, 1", "ld a1, 0(a1)"))

        def hook(*access: object) -> None:
            with pytest.raises(polyvm.GuestFault):
                other.run(CODE)

        cpu.hook_memory(hook)
        cpu.hook_code(hook)
        with pytest.raises(polyvm.GuestFault) as caught:
            cpu.run(CODE, until=stop)
        assert (caught.value.address, cpu.registers["a2"], other.registers["a0"]) == (0x90000, 5, 5)


@pytest.mark.parametrize("far", [CODE + 0x100, CODE + (1 << 21)])
def test_code_between_hooks_is_not_told(cpu: polyvm.Emulator, put: Put, far: int) -> None:
    cpu.memory.map(0x100000, 0x200000, "rwx")
    put("li a1, 3", f"j .+{far - CODE - 4}" if far < CODE + 0x1000 else "nop")
    if far >= CODE + 0x1000:
        put("li a1, 3", "jr a5")
    cpu.registers["a5"] = far
    cpu.memory.write(far, asm("addi a1, a1, -1", "bnez a1, .-4", "nop", pc=far))
    seen: list[int] = []
    for place in (CODE, far + 8):
        cpu.hook_code(lambda c, a, s: seen.append(a), place, place + 4)
    assert cpu.run(CODE, until=far + 12).reason == "until"
    assert seen == [CODE, far + 8]
    seen.clear()
    assert cpu.run(CODE, until=far + 12).reason == "until"
    assert seen == [CODE, far + 8]


def test_what_cannot_be_executed_is_told_all_the_same(
    cpu: polyvm.Emulator, put: Put, end: int | None
) -> None:
    stop = put("nop", "j .+8", "nop")
    cpu.memory.write_int(stop, 0, 4)  # no instruction
    seen: list[tuple[int, int]] = []
    cpu.hook_code(lambda c, address, size: seen.append((address, size)), CODE, end)
    for _ in range(2):
        with pytest.raises(polyvm.GuestTrap, match="illegal"):
            cpu.run(CODE)
    assert seen == [(CODE, 4), (CODE + 4, 4), (stop, 0)] * 2
    if end is None:
        seen.clear()
        with pytest.raises(polyvm.GuestFault):
            cpu.run(0x90000)
        assert seen == [(0x90000, 0)]


def test_code_that_changes_under_hooks(cpu: polyvm.Emulator, put: Put, end: int | None) -> None:
    stop = put("sw a0, 8(a1)", "fence.i", "nop", "nop")
    cpu.registers.update(a0=int.from_bytes(asm("addi a2, a2, 5"), "little"), a1=CODE)
    seen: list[int] = []
    cpu.hook_code(lambda c, address, size: seen.append(address - CODE), CODE, end)
    for _ in range(2):
        assert cpu.run(CODE, until=stop).reason == "until"
    assert seen == [0, 4, 8, 12] * 2
    assert cpu.registers["a2"] == 10


def test_random_code_under_hooks_is_the_golden_evaluator_s(full: bool, rng: random.Random) -> None:
    """Every event, in order, and all of the state; hooks on ranges and on everything, with narrow counts."""
    made = [polyvm.Emulator("riscv64", tier=tier) for tier in ("auto", "golden")]
    for cpu in made:
        cpu.memory.map(CODE, 0x1000, "rwx")
        cpu.memory.map(DATA, 0x1000)
    events = 0
    for _ in range(2000 if full else 100):
        code = asm(*(_line(rng) for _ in range(24)))
        registers = {
            f"x{n}": rng.choice([DATA + 8 * rng.randrange(256), rng.getrandbits(64)]) for n in range(1, 16)
        }
        ranges = [
            (begin := rng.randrange(0, 60), begin + rng.randrange(1, 40)) for _ in range(rng.randrange(3))
        ]
        watched = [
            (DATA + (begin := rng.randrange(0x800)), DATA + begin + rng.randrange(1, 0x400))
            for _ in range(rng.randrange(3))
        ]
        count = rng.randrange(1, 80)
        results = []
        for cpu in made:
            log: list[object] = []
            hooks = [
                cpu.hook_code(lambda c, a, s, n=n, log=log: log.append((n, a, s)), CODE + begin, CODE + end)
                for n, (begin, end) in enumerate(ranges)
            ]
            hooks += [
                cpu.hook_memory(lambda c, *access, n=n, log=log: log.append((n, *access)), begin, end)
                for n, (begin, end) in enumerate(watched)
            ]
            cpu.memory.write(CODE, code)
            cpu.memory.write(DATA, bytes(0x1000))
            cpu.registers.update(registers)
            try:
                log.append(cpu.run(CODE, until=CODE + len(code), count=count))
            except (polyvm.GuestTrap, polyvm.GuestFault) as error:
                log.append((error.code, cpu.pc))
            for hook in hooks:
                hook.remove()
            results.append((log, dict(cpu.registers), cpu.memory.read(DATA, 0x1000)))
        assert results[0] == results[1]
        events += len(results[0][0]) - 1
    for cpu in made:
        cpu.close()
    assert events > 100


def _line(rng: random.Random) -> str:
    a, b, c = (f"x{rng.randrange(1, 16)}" for _ in range(3))
    kind = rng.randrange(6)
    if kind == 0:
        return f"{rng.choice(['lb', 'lhu', 'lw', 'ld'])} {a}, {rng.randrange(-64, 64)}({b})"
    if kind == 1:
        return f"{rng.choice(['sb', 'sh', 'sw', 'sd'])} {a}, {rng.randrange(-64, 64)}({b})"
    if kind == 2:
        return f"{rng.choice(['bne', 'blt'])} {a}, {b}, .{rng.choice([-16, -8, 8, 12]):+}"
    if kind == 3:
        return f"{rng.choice(['amoadd.d', 'amoswap.w'])} {a}, {b}, ({c})"
    if kind == 4:
        return f"addi {a}, {b}, {rng.randrange(-8, 9) * 8}"
    return f"{rng.choice(['add', 'xor', 'and'])} {a}, {b}, {c}"


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
