"""Machine code under lock-step, in this process: what the kernel would do is done here, and everything is judged.

For small programs that tests make; whole programs run in a process of their own (lockstep_runner).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polyvm.engine import layout
from polyvm.engine.layout import FAULT, FETCH, STOP, SYSCALL, TRAP
from polyvm.engine.lockstep import LockstepCpu, LockstepEngine
from polyvm.engine.region import RegionEmitter
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace
from tests.engine.assembly import Program as Assembly
from tests.engine.random_program import CODE, DATA, DATA_SIZE, GP, ISA, RA, SP, STACK, STACK_SIZE, SYS_EXIT

EXCEPTIONS = 30_000
"""So many faults and traps of one program are enough."""


class Eager(LockstepEngine):
    """Compiles what never ran as well."""

    def ran(self, space: AddressSpace, address: int) -> bytes:
        return b""


class Judged:
    """One thread under lock-step. Close it. wrong: changes the engine's emitter, to see whether that is noticed.

    eager: regions have code in them that never ran. engine: one that had another thread before.
    """

    def __init__(
        self,
        *,
        precise: bool = False,
        turns: int = 3,
        threshold: int = 1,
        eager: bool = False,
        wrong: Callable[[type[RegionEmitter]], type[RegionEmitter]] | None = None,
        engine: LockstepEngine | None = None,
    ) -> None:
        kind = Eager if eager else LockstepEngine
        self.engine = engine or kind("riscv64", precise=precise, turns=turns, threshold=threshold)
        self.engine.new_program()
        if wrong is not None:
            self.engine.here.emitter = wrong(self.engine.here.emitter)
        self.space = AddressSpace()
        cpu = self.engine.thread(self.space)
        assert isinstance(cpu, LockstepCpu)
        self.cpu = cpu
        self.exceptions = 0
        self.program = Assembly("")

    def compile(self, pc: int) -> None:
        """Have the region of an address at once, hot or not."""
        assert self.engine.units is not None
        self.engine._want(self.space, self.engine.units, pc)
        assert pc in self.engine.units.by_pc

    @contextmanager
    def stopped(self, rng: random.Random) -> Iterator[None]:
        """Meanwhile another thread stops this one, wherever it is."""
        over = threading.Event()

        def stop() -> None:
            while not over.wait(rng.choice((0.0001, 0.0005, 0.002))):
                self.cpu.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def load(self, text: str, *, writable: bool = False) -> None:
        """Put assembly where programs begin, with data at gp and a stack; the program counter is at its start."""
        self.program = program = Assembly(text, CODE)
        size = -(-len(program.code) // 4096) * 4096
        self.space.map(CODE, size, READ | WRITE)
        self.space.write(CODE, program.code)
        self.space.protect(CODE, size, READ | EXEC | (WRITE if writable else 0))
        self.space.map(DATA, DATA_SIZE, READ | WRITE)
        self.space.map(STACK, STACK_SIZE, READ | WRITE)
        self.cpu.x[GP], self.cpu.x[SP] = DATA + DATA_SIZE // 2, STACK + STACK_SIZE - 0x800
        self.cpu.pc = CODE

    def run(self, rng: random.Random | None = None) -> str:
        """Run to the call of exit, or to what ends a guest without handlers: why.

        A guest with handlers (precise) goes on behind the instruction that faulted, or where it was called from. System
        calls return a number of rng's.
        """
        cpu = self.cpu
        while True:
            reason = cpu.run()
            if reason == STOP:
                cpu.clear_stop()
            elif reason == SYSCALL:
                if cpu.x[17] == SYS_EXIT:
                    return "exit"
                cpu.x[10] = rng.getrandbits(64) if rng else 0
                cpu.pc += 4
            else:
                self.exceptions += 1
                if reason not in (FAULT, TRAP) or self.exceptions > EXCEPTIONS:
                    return layout.REASONS[reason]
                units = self.engine.units
                if reason == FAULT and (units is None or layout.PRECISE not in units.kind):
                    return "FAULT"
                if reason == FAULT and cpu.access == FETCH:
                    cpu.pc = cpu.x[RA]
                else:
                    cpu.pc += ISA.length(int.from_bytes(self.space.fetch(cpu.pc, 2), "little"))

    def close(self) -> None:
        """Give everything back."""
        if self.engine.units is not None:
            self.engine.units.drop_all(self.space)
        self.cpu.close()
        self.space.close()


@contextmanager
def judged(
    text: str,
    *,
    writable: bool = False,
    precise: bool = False,
    turns: int = 3,
    threshold: int = 1,
    wrong: Callable[[type[RegionEmitter]], type[RegionEmitter]] | None = None,
) -> Iterator[Judged]:
    """An assembly program, ready to run."""
    made = Judged(precise=precise, turns=turns, threshold=threshold, wrong=wrong)
    try:
        made.load(text, writable=writable)
        yield made
    finally:
        made.close()
