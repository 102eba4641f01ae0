"""Machine code under lock-step, in this process: what the kernel would do is done here, and everything is judged.

For small programs that tests make; whole programs run in a process of their own (lockstep_runner).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from polyvm.engine import layout
from polyvm.engine.layout import FAULT, FETCH, STOP, SYSCALL, TRAP
from polyvm.engine.lockstep import LockstepCpu, LockstepEngine
from polyvm.engine.region import RegionEmitter
from polyvm.memory.space import EXEC, READ, WRITE, AddressSpace, GuestFault
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
        kind: str = "",
        turns: int = 3,
        threshold: int = 1,
        eager: bool = False,
        wrong: Callable[[type[RegionEmitter]], type[RegionEmitter]] | None = None,
        engine: LockstepEngine | None = None,
    ) -> None:
        made = Eager if eager else LockstepEngine
        self.engine = engine or made("riscv64", kind=kind, turns=turns, threshold=threshold)
        self.engine.new_program()
        if wrong is not None:
            self.engine.here.emitter = wrong(self.engine.here.emitter)
        self.space = AddressSpace()
        cpu = self.engine.thread(self.space)
        assert isinstance(cpu, LockstepCpu)
        self.cpu = cpu
        self.exceptions = 0
        self.program = Assembly("")
        self.hidden: dict[int, int] = {}  # page -> its protection before a system call took some of it away

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
        calls and signals do what rng says.
        """
        cpu = self.cpu
        while True:
            reason = cpu.run()
            if reason == STOP:
                cpu.clear_stop()
                if rng is not None:
                    self._handle_signal(rng)
            elif reason == SYSCALL:
                if cpu.x[17] == SYS_EXIT:
                    return "exit"
                cpu.x[10] = 0 if rng is None else rng.getrandbits(64)
                if rng is not None:
                    self._system_call(rng)
                cpu.pc += 4
            else:
                self.exceptions += 1
                if reason not in (FAULT, TRAP) or self.exceptions > EXCEPTIONS:
                    return layout.REASONS[reason]
                if reason == FAULT and self.hidden:
                    self._show()
                elif reason == FAULT and not self.precise:
                    return "FAULT"
                elif reason == FAULT and cpu.access == FETCH:
                    cpu.pc = cpu.x[RA]
                else:
                    cpu.pc += ISA.length(int.from_bytes(self.space.fetch(cpu.pc, 2), "little"))

    @property
    def precise(self) -> bool:
        """Whether regions keep all registers for faults."""
        units = self.engine.units
        return units is not None and layout.PRECISE in units.kind

    def _handle_signal(self, rng: random.Random) -> None:
        """What a handler may do to whom it interrupted: to registers and flags."""
        kind = rng.randrange(8)
        if kind == 0:
            self.cpu.x[rng.randrange(10, 16)] = rng.getrandbits(64)
        elif kind == 1:
            self.cpu.f[rng.randrange(12)] = rng.getrandbits(64)
        elif kind == 2:
            self.cpu.fp_flags = rng.getrandbits(5)

    def _system_call(self, rng: random.Random) -> None:
        """What a system call may do besides: write memory, change protections, those of code too."""
        kind = rng.randrange(8)
        if kind == 0:
            with suppress(GuestFault):
                self.space.write(DATA + 8 * rng.randrange(DATA_SIZE // 8), rng.randbytes(8))
        elif kind == 1 and self.precise:
            # Until the next access there; who has no handler would be dead.
            self._hide(DATA + 4096 * rng.randrange(DATA_SIZE // 4096), READ | WRITE, rng.choice((0, READ)))
        elif kind == 2 and self.precise:
            found = self.space.lookup(CODE)
            assert found is not None
            self._hide(CODE, found.prot, READ)

    def _hide(self, start: int, prot: int, hidden: int) -> None:
        if start not in self.hidden:
            self.hidden[start] = prot
            self.space.protect(start, 4096, hidden)

    def _show(self) -> None:
        for start, prot in self.hidden.items():
            self.space.protect(start, 4096, prot)
        self.hidden.clear()

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
    kind: str = "",
    turns: int = 3,
    threshold: int = 1,
    wrong: Callable[[type[RegionEmitter]], type[RegionEmitter]] | None = None,
) -> Iterator[Judged]:
    """An assembly program, ready to run."""
    made = Judged(kind=kind, turns=turns, threshold=threshold, wrong=wrong)
    try:
        made.load(text, writable=writable)
        yield made
    finally:
        made.close()
