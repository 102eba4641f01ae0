"""One measurement of hooks, for the benchmark: `hook_peer.py polyvm|unicorn CODE` prints it as JSON.

CODE: the loop's instructions as hexadecimal digits, five of them, of which two access memory. It imports the one
emulator that it is told, and nothing of the other.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

CODE, DATA = 0x1000, 0x8000
INSNS, ACCESSES = 5, 2
PLAIN, CALLED, UNWATCHED = 4_000_000, 20_000, 1_000_000  # turns of the loop

# Runs the loop so many times under a hook ("", "code", "memory" or "elsewhere"); seconds, and how often it was called.
Run = Callable[[int, str], tuple[float, int]]


def measure(run: Run) -> dict[str, float]:
    """One measurement: nanoseconds an instruction and an access, microseconds a call."""
    run(CALLED, "")
    plain, _ = run(PLAIN, "")
    code, calls = run(CALLED, "code")
    memory, accesses = run(CALLED, "memory")
    elsewhere, none = run(UNWATCHED, "elsewhere")
    assert (calls, accesses, none) == (INSNS * CALLED, ACCESSES * CALLED, 0)
    return {
        "plain_ns": plain / (INSNS * PLAIN) * 1e9,
        "code_us": code / calls * 1e6,
        "memory_us": memory / accesses * 1e6,
        "unwatched_ns": elsewhere / (ACCESSES * UNWATCHED) * 1e9,
    }


def polyvm_runs(code: bytes) -> Run:
    """This emulator."""
    import polyvm

    cpu = polyvm.Emulator("riscv64")
    cpu.memory.map(CODE, 0x1000, "rwx")
    cpu.memory.map(DATA, 0x2000)
    cpu.memory.write(CODE, code)

    def run(turns: int, hook: str) -> tuple[float, int]:
        called = 0

        def at_code(cpu: polyvm.Emulator, address: int, size: int) -> None:
            nonlocal called
            called += 1

        def at_memory(cpu: polyvm.Emulator, kind: str, address: int, size: int, value: int) -> None:
            nonlocal called
            called += 1

        cpu.registers.update(a1=turns, a2=DATA)
        hooks = []
        if hook == "code":
            hooks.append(cpu.hook_code(at_code))
        elif hook:
            begin, end = (DATA + 0x100, DATA + 0x108) if hook == "elsewhere" else (0, None)
            hooks.append(cpu.hook_memory(at_memory, begin, end))
        started = time.perf_counter()
        cpu.run(CODE, until=CODE + len(code))
        spent = time.perf_counter() - started
        for one in hooks:
            one.remove()
        return spent, called

    return run


def unicorn_runs(code: bytes) -> Run:
    """Unicorn, through its own Python binding."""
    import unicorn
    from unicorn import riscv_const

    machine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    machine.mem_map(CODE, 0x1000)
    machine.mem_map(DATA, 0x2000)
    machine.mem_write(CODE, code)

    def run(turns: int, hook: str) -> tuple[float, int]:
        called = 0

        def at_code(uc: object, address: int, size: int, data: object) -> None:
            nonlocal called
            called += 1

        def at_memory(uc: object, access: int, address: int, size: int, value: int, data: object) -> None:
            nonlocal called
            called += 1

        machine.reg_write(riscv_const.UC_RISCV_REG_A1, turns)
        machine.reg_write(riscv_const.UC_RISCV_REG_A2, DATA)
        handle = None
        if hook == "code":
            handle = machine.hook_add(unicorn.UC_HOOK_CODE, at_code)
        elif hook:
            kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
            begin, end = (DATA + 0x100, DATA + 0x107) if hook == "elsewhere" else (1, 0)
            handle = machine.hook_add(kinds, at_memory, begin=begin, end=end)
        started = time.perf_counter()
        machine.emu_start(CODE, CODE + len(code))
        spent = time.perf_counter() - started
        if handle is not None:
            machine.hook_del(handle)
        return spent, called

    return run


if __name__ == "__main__":
    runs = {"polyvm": polyvm_runs, "unicorn": unicorn_runs}[sys.argv[1]]
    print(json.dumps(measure(runs(bytes.fromhex(sys.argv[2])))))
