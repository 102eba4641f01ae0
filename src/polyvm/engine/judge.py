"""The golden evaluator on a copy of a thread and its memory: it goes as far as another tier went, and compares.

Its code is `ir.golden_source`'s, one Python function a block, so that it judges millions of instructions. It refuses
to guess: a value that the other tier was free to lose is never read here without saying so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyvm.engine import layout
from polyvm.engine.layout import FAULT, ILLEGAL, SYSCALL, TRAP
from polyvm.engine.mirror import MASK, Mirror, MirrorFault
from polyvm.errors import PolyvmError
from polyvm.ir import golden
from polyvm.ir.golden_source import Block, Writer
from polyvm.ir.ops import FP_FLAGS, FP_MODE
from polyvm.isa.spec import Decoded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polyvm.engine.executor import GuestCpu
    from polyvm.ir.golden_source import Slot
    from polyvm.ir.trace import Trace
    from polyvm.isa.spec import Isa
    from polyvm.memory.space import AddressSpace

MAX_BLOCK = 64
ENDLESS = 1 << 62


class _Lost:
    """In place of a register's value that the other tier need not have, since nothing may read it: using it raises."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # nor may it be a key

    def _used(self, *arguments: object) -> bool:
        raise TypeError("the value of a lost register is used")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _used


LOST = _Lost()


class Event:
    """What the evaluator must leave to its caller. cause: of TRAP the exception, of FAULT the kind of access."""

    __slots__ = ("cause", "reason", "value")

    def __init__(self, reason: int, cause: int = 0, value: int = 0) -> None:
        self.reason = reason
        self.cause = cause
        self.value = value

    def __str__(self) -> str:
        return f"{layout.REASONS[self.reason]} ({self.cause}, {self.value:#x})"


class _Undecodable(Exception):
    """There is no instruction at the beginning of a block."""

    def __init__(self, event: Event) -> None:
        super().__init__(str(event))
        self.event = event


class Judge:
    """The evaluator's own thread. `insns` it has done and `comparisons` it has made."""

    def __init__(self, cpu: GuestCpu, isa: Isa, space: AddressSpace) -> None:
        self.cpu = cpu
        self.isa = isa
        self.memory = Mirror(space)
        self.pc = cpu.pc
        self.insns = 0
        self.comparisons = 0
        self.since = cpu.pc  # where the last comparison was
        self.lost: set[int] = set()
        self.clock: list[int] = []  # what the other tier read of counters, to be read again
        places = isa.state_layout(layout.REGISTERS)
        self.slots: list[Slot] = [*places, FP_FLAGS, FP_MODE]
        # Of each the first of its words in the state, and how many.
        self.words = [(offset - layout.REGISTERS >> 3, size >> 3) for offset, size in places.values()]
        self.count = sum(self.words[-1])
        self.narrow = self.words == [(number, 1) for number in range(self.count)]
        index = {
            slot: place
            for place, slot in enumerate(self.slots)
            if slot[0] not in isa.files or isa.files[slot[0]].zero != slot[1]
        }
        self.index = index
        self.registers: list[Any] = [0] * len(self.slots)
        self.theirs = self.registers[:]
        self.writer = Writer(index, {**self.memory.environment(), "counter": self._counter})
        self.blocks: dict[int, Block] = {}
        self.pieces: dict[tuple[int, int], Block] = {}

    # -- state
    def take(self) -> None:
        """Take over what a system call, a signal or a debugger changed in the other thread."""
        if self.memory.follow():
            self.forget()
        now = self._their_registers()
        for place, value in enumerate(now):
            # What the other tier had lost stays lost unless somebody gave it a value.
            if self.registers[place] is not LOST or value != self.theirs[place]:
                self.registers[place] = value
        self.theirs = now
        self.pc = self.cpu.pc
        self.memory.written.clear()

    def _their_registers(self) -> list[int]:
        cpu = self.cpu
        first = layout.REGISTERS >> 3
        values = cpu._words[first : first + self.count].tolist()
        if not self.narrow:
            values = [
                values[word] if count == 1 else values[word] | values[word + 1] << 64
                for word, count in self.words
            ]
        return [*values, cpu.fp_flags, cpu.fp_mode]

    def lose(self, slots: Iterable[Slot]) -> None:
        """The other tier need not have these registers' values: whoever reads one before it is written is wrong."""
        for slot in slots:
            place = self.index[slot]
            self.registers[place] = LOST
            self.lost.add(place)

    def forget(self) -> None:
        """Code changed."""
        self.blocks.clear()
        self.pieces.clear()

    def _counter(self, kind: str) -> int:
        if not self.clock:
            raise PolyvmError(
                "PVM-UNSUPPORTED",
                f"Lock-step checking cannot replay what native code read of {kind}.",
                pc=self.pc,
            )
        return self.clock.pop(0)

    # -- going
    def go(self, insns: int) -> Event | None:
        """Do so many instructions, or fewer when something must be done outside: that."""
        left, pc = insns, self.pc
        blocks, registers = self.blocks, self.registers
        block: Block | None = None
        event: Event | None = None
        while left and event is None:
            try:
                while left:
                    block = blocks.get(pc)
                    if block is None:
                        block = blocks[pc] = self._block(pc, MAX_BLOCK)
                    if block.insns > left:
                        block = self._piece(pc, left)
                    pc = block.run(registers)
                    left -= block.insns
            except _Undecodable as undecodable:
                event = undecodable.event
            except golden.Flush as flush:
                assert block is not None
                left -= block.insns
                pc = flush.args[0]
                self.forget()
            except (golden.Trap, golden.Syscall, MirrorFault) as error:
                assert block is not None
                pc, done = block.place(error)
                left -= done
                event = self._event(error)
            except TypeError as error:
                assert block is not None
                pc, _ = block.place(error)
                raise self._differs("the golden evaluator reads a register that was lost", pc) from error
        self.insns += insns - left
        self.pc = pc
        return event

    def _event(self, error: Exception) -> Event:
        if isinstance(error, golden.Trap):
            return Event(TRAP, self.isa.causes.index(error.cause), error.value)
        if isinstance(error, MirrorFault):
            return Event(FAULT, error.access, error.address)
        return Event(SYSCALL)

    def _block(self, pc: int, limit: int) -> Block:
        insns: list[tuple[int, Trace, dict[str, int]]] = []
        at = pc
        while len(insns) < limit:
            found = self._decode(at)
            if isinstance(found, Event):
                if not insns:
                    raise _Undecodable(found)
                break
            trace = self.isa.trace(found.insn, found.shape)
            insns.append((at, trace, found.fields))
            at = at + trace.size & MASK
            if any(op.op in ("jump", "syscall", "flush") for op in trace.walk()):
                break
        return self.writer.block(insns)

    def _piece(self, pc: int, insns: int) -> Block:
        """The beginning of a block."""
        block = self.pieces.get((pc, insns))
        if block is None:
            block = self.pieces[pc, insns] = self._block(pc, insns)
        return block

    def _decode(self, pc: int) -> Decoded | Event:
        isa = self.isa
        if pc % isa.step:
            return Event(TRAP, isa.causes.index(isa.misaligned), pc)
        code = self.memory.fetch(pc, max(isa.sizes))
        if len(code) < min(isa.sizes):
            return Event(FAULT, layout.FETCH, pc)
        word = int.from_bytes(code, "little")
        decoded = isa.decode(word)
        if decoded is not None and decoded.insn.size <= len(code):
            return decoded
        missing = len(code) < max(isa.sizes) and isa.length(word) > len(code)
        return Event(FAULT, layout.FETCH, pc + len(code)) if missing else Event(ILLEGAL)

    # -- comparing
    def follow(self, insns: int, lost: Iterable[Slot] = ()) -> None:
        """Do what the other tier did in so many instructions, and compare. Raises PVM-LOCKSTEP-DIFFERS.

        lost: registers that the other tier need not have any more.
        """
        event = self.go(insns)
        if event is not None:
            raise self._differs(f"the golden evaluator came to {event} first", self.pc)
        self.lose(lost)
        self.compare()

    def meet(self, expected: Event, lost: Iterable[Slot] = ()) -> None:
        """Go on until something must be done outside: it must be this, here. Raises PVM-LOCKSTEP-DIFFERS."""
        event = self.go(ENDLESS)
        assert event is not None
        if (event.reason, event.cause, event.value) != (expected.reason, expected.cause, expected.value):
            raise self._differs(f"the golden evaluator came to {event} and not to {expected}", self.pc)
        self.lose(lost)
        self.compare()
        for address in self.memory.differences():
            raise self._differs(f"memory at {address:#x} differs", self.pc, address)

    def compare(self) -> None:
        """Compare the program counter, the registers, and the memory that was written since the last time."""
        self.comparisons += 1
        if self.pc != self.cpu.pc:
            raise self._differs(f"the golden evaluator is at {self.pc:#x}", self.cpu.pc)
        self.theirs = theirs = self._their_registers()
        ours = self.registers
        for place, (mine, value) in enumerate(zip(ours, theirs, strict=True)):
            if mine is LOST:
                if place not in self.lost:
                    raise self._differs(f"{self._name(place)} is a copy of a lost register", self.pc)
            elif mine != value:
                message = f"{self._name(place)} is {value:#x}, and {mine:#x} for the golden evaluator"
                raise self._differs(message, self.pc)
        for address in self.memory.written_differences():
            raise self._differs(f"memory at {address:#x} differs", self.pc, address)
        self.memory.written.clear()
        self.since = self.pc

    def _name(self, place: int) -> str:
        file, number = self.slots[place]
        known = self.isa.files.get(file)
        return known.names[number] if known else file

    def _differs(self, what: str, pc: int, address: int | None = None) -> PolyvmError:
        found = self._decode(pc) if pc < self.memory.limit else None
        memory = {} if address is None else {
            "address": address, "tier_byte": self.memory.theirs[address], "golden_byte": self.memory.view[address]
        }  # fmt: skip
        return PolyvmError(
            "PVM-LOCKSTEP-DIFFERS",
            f"Compiled code and the golden evaluator disagree: {what}.",
            hint="--tier golden gives the defined result meanwhile.",
            pc=pc,
            insn=found.insn.text if isinstance(found, Decoded) else None,
            since=self.since,
            reason=layout.REASONS[self.cpu.reason],
            insns=self.insns,
            **memory,
        )
