"""The golden evaluator at work on a live thread: for `--tier golden`, and for what native code leaves to it.

Slow, and imported only when it is needed. It runs single instructions; system calls and signals are its caller's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from polyvm.engine import exclusive, layout
from polyvm.engine.layout import ST
from polyvm.ir import golden
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.memory import host

if TYPE_CHECKING:
    from _thread import LockType

    from polyvm.engine.cpu import Cpu
    from polyvm.ir.trace import Trace
    from polyvm.isa.spec import Decoded, Isa
    from polyvm.memory.space import AddressSpace

SIGBUS, SIGSEGV = 7, 11
_ALONE = ST["alone"] >> 2


def _signo(reason: str) -> int:
    return SIGBUS if reason == "beyond the file's end" else SIGSEGV


class Fault(Exception):
    """An access that the guest may not make."""

    def __init__(self, address: int, access: int, signo: int = SIGSEGV) -> None:
        super().__init__(address, access, signo)
        self.address = address
        self.access = access
        self.signo = signo


class CpuState:
    """A thread's registers as the evaluator wants them: slots, unsigned."""

    def __init__(self, cpu: Cpu, isa: Isa) -> None:
        self.cpu = cpu
        self.isa = isa
        self.layout = isa.state_layout(layout.REGISTERS)
        self.bytes = host.view(cpu.st, layout.QUEUE)

    def read(self, slot: tuple[str, int]) -> int:
        """A register."""
        if slot == FP_FLAGS:
            return self.cpu.fp_flags
        if slot == FP_MODE:
            return self.cpu.fp_mode
        offset, size = self.layout[slot]
        return int.from_bytes(self.bytes[offset : offset + size], "little")

    def write(self, slot: tuple[str, int], value: int) -> None:
        """Set a register."""
        if slot == FP_FLAGS:
            self.cpu.fp_flags = value
        elif slot == FP_MODE:
            self.cpu.fp_mode = value
        else:
            offset, size = self.layout[slot]
            self.bytes[offset : offset + size] = value.to_bytes(size, "little")

    def hardwired(self, file: str) -> int | None:
        """The register of a file that is always zero."""
        return self.isa.files[file].zero

    def counter(self, kind: str) -> int:
        """Cycles and time in nanoseconds; instructions as far as they are counted."""
        if kind == "instret":
            return -self.cpu.budget & 0xFFFF_FFFF_FFFF_FFFF
        return time.monotonic_ns()


class SpaceMemory:
    """Guest memory as the evaluator wants it."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space

    def load(self, address: int, size: int) -> int:
        """Read, little-endian."""
        return self._read(address, size, layout.READ)

    def code(self, address: int, size: int) -> bytes:
        """Read what the guest may execute, whether or not it may read it."""
        from polyvm.memory.space import GuestFault

        try:
            return self.space.fetch(address, size)
        except GuestFault as fault:
            raise Fault(fault.address, layout.FETCH, _signo(fault.reason)) from None

    def store(self, address: int, size: int, value: int) -> None:
        """Write, little-endian: all of it or nothing."""
        from polyvm.memory.space import WRITE, GuestFault

        page = self.space.page_size
        if (address ^ address + size - 1) >= page:
            # Where a file ends between the pages, a copy may write the part before that end, and a store may not.
            middle = (address + size) // page * page
            for start, end in ((address, middle), (middle, address + size)):
                region = self.space.lookup(start)
                if region is not None and not region.prot & WRITE:
                    break  # what is below tells of it
                self._read(start, end - start, layout.WRITE)
        try:
            self.space.write(address, value.to_bytes(size, "little"))
        except GuestFault as fault:
            raise Fault(fault.address, layout.WRITE, _signo(fault.reason)) from None

    def probe(self, address: int, size: int, write: bool) -> None:
        """Fault as an access would."""
        value = self._read(address, size, layout.WRITE if write else layout.READ)
        if write:
            self.store(address, size, value)

    def _read(self, address: int, size: int, access: int) -> int:
        from polyvm.memory.space import GuestFault

        try:
            return int.from_bytes(self.space.read(address, size), "little")
        except GuestFault as fault:
            raise Fault(fault.address, access, _signo(fault.reason)) from None


class Stepper:
    """Single instructions of one thread through the evaluator."""

    def __init__(
        self, cpu: Cpu, isa: Isa, space: AddressSpace, monitor: str = "", turn: LockType | None = None
    ) -> None:
        self.cpu = cpu
        self.isa = isa
        self.space = space
        self.monitor = monitor  # the register that says whether a load-exclusive waits for its store
        # Held for an instruction, where other threads have an evaluator too: atomics are atomic.
        self.turn = turn
        self.state = CpuState(cpu, isa)
        self.memory = SpaceMemory(space)
        self.words = host.view(cpu.st, 256).cast("Q")
        self.halves = host.view(cpu.st, 512).cast("I")
        self.alone = False  # no other thread is in guest code

    def fetch(self, pc: int) -> int:
        """The instruction word at pc. Raises Fault where it, or a part of it, is not executable."""
        raw = b""
        step = min(self.isa.sizes)
        for offset in range(0, max(self.isa.sizes), step):
            region = self.space.lookup(pc + offset) if pc + offset < self.space.limit else None
            if region is None or not region.prot & 4:
                if offset == 0:
                    raise Fault(pc, layout.FETCH)
                break
            raw += self.memory.code(pc + offset, step)
        word = int.from_bytes(raw, "little")
        if self.isa.length(word) > len(raw) < max(self.isa.sizes):
            raise Fault(pc + len(raw), layout.FETCH)
        return word

    def next_begins(self) -> bool:
        """Whether the next instruction is a load-exclusive."""
        try:
            decoded = self.isa.decode(self.fetch(self.cpu.pc))
        except Fault:
            return False
        return decoded is not None and exclusive.begins(self.isa.trace(decoded.insn, decoded.shape))

    def step(self) -> int:
        """Do one instruction, or a whole exclusive section; 0 when it completed, else the reason, the state being as
        native code leaves it."""
        cpu = self.cpu
        pc = cpu.pc
        if pc % self.isa.step:
            return self._leave(layout.TRAP, self.isa.causes.index(self.isa.misaligned), pc)
        try:
            word = self.fetch(pc)
            decoded = self.isa.decode(word)
            if decoded is None:
                return self._leave(layout.ILLEGAL)
            decoded = self.isa.in_context(decoded, self.isa.state_context(self.state.read))
            trace = self.isa.trace(decoded.insn, decoded.shape)
            if self.halves[_ALONE] and not self.alone and exclusive.begins(trace):
                return exclusive.section(self)
            if self.turn is None:
                cpu.pc = self._execute(decoded, trace, pc)
            else:
                with self.turn:
                    cpu.pc = self._execute(decoded, trace, pc)
        except golden.Trap as trap:
            return self._leave(layout.TRAP, self.isa.causes.index(trap.cause), trap.value)
        except golden.Syscall:
            cpu.budget -= 1
            return self._leave(layout.SYSCALL)
        except golden.Flush as flush:
            cpu.pc = flush.args[0]
            cpu.budget -= 1
            return self._leave(layout.FLUSH)
        except Fault as fault:
            self.halves[ST["access"] >> 2] = fault.access
            return self._leave(layout.FAULT, fault.signo, fault.address)
        cpu.budget -= 1
        return 0

    def _execute(self, decoded: Decoded, trace: Trace, pc: int) -> int:
        try:
            return golden.execute(trace, decoded.fields, pc, self.state, self.memory)
        except Fault:
            following = self.isa.restart(decoded, pc, self.state, self.memory, Fault)
            if following is None:
                raise
            return following

    def _leave(self, reason: int, cause: int = 0, value: int = 0) -> int:
        self.halves[ST["reason"] >> 2] = reason
        self.words[ST["cause"] >> 3] = cause
        self.words[ST["value"] >> 3] = value
        return reason

    def step_for_native(self) -> int:
        """step(), after which native code can go on: where a jump led between instructions, that is told at once."""
        return self.step() or (self.step() if self.cpu.pc % self.isa.step else 0)

    def run(self) -> int:
        """Run until something must be done outside: `--tier golden`."""
        stop = ST["stop"] >> 2
        while True:
            if self.halves[stop]:
                return self._leave(layout.STOP)
            if self.cpu.budget < 0:
                return self._leave(layout.BUDGET)
            reason = self.step()
            if reason:
                return reason
