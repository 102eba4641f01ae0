"""A guest hardware thread: registers by name, and run(), which goes into native code and says why it came back.

It knows no guest: where the registers are is handed in. It refuses names that the guest does not have, and cuts
values to their register's width.
"""

from __future__ import annotations

import _thread

from polyvm.engine import fault, fpcontrol, layout
from polyvm.engine.layout import LOST, ST
from polyvm.errors import PolyvmError
from polyvm.memory import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, Protocol

    from polyvm.engine.native import Native

    class Space(Protocol):
        """What a Cpu needs of memory.space.AddressSpace."""

        base: int
        limit: int
        xmap: int
        slots: int


_CODES: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}
_PC, _REASON, _STOP = ST["pc"] >> 3, ST["reason"] >> 2, ST["stop"] >> 2
_CAUSE, _VALUE, _ACCESS = ST["cause"] >> 3, ST["value"] >> 3, ST["access"] >> 2
_BUDGET, _HEAD, _TAIL = ST["budget"] >> 3, ST["sig_head"] >> 2, ST["sig_tail"] >> 2
_MXCSR, _MODE = ST["mxcsr_guest"] >> 2, ST["fp_mode"] >> 2
_LOST_MASK, _COUNTERS, _CALLS = ST["sig_lost"] >> 3, ST["counters"] >> 3, ST["calls"] >> 3
# What a context is made of, as spans of the state.
_CONTEXT = (
    (ST["pc"], ST["pc"] + 8),
    (ST["mxcsr_guest"], ST["mxcsr_guest"] + 4),
    (ST["fp_mode"], ST["fp_mode"] + 4),
    (layout.REGISTERS, layout.QUEUE),
    (layout.BIG_STATE, layout.STATE_SIZE),
)
FOREVER = (1 << 63) - 1


class Places:
    """Where a guest's registers are in the thread state: by name, and whole files for fast access by number.

    names: every name and alias -> (offset, bytes). files: attribute name ("x", "f") -> (offset, bytes, count).
    composed: names such as fcsr -> their parts, lowest first, as (name, bits); a part is any other name, or
    "fp.flags" or "fp.mode", the floating-point environment that the engine keeps itself, or "", bits that are zero.
    """

    __slots__ = ("composed", "files", "names")

    def __init__(
        self,
        names: Mapping[str, tuple[int, int]],
        files: Mapping[str, tuple[int, int, int]],
        composed: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
    ) -> None:
        self.names = names
        self.files = files
        self.composed = composed or {}


class Wide:
    """A file of registers that are wider than what a memoryview knows, as a sequence of ints all the same."""

    __slots__ = ("_bytes", "_size")

    def __init__(self, view: memoryview, size: int) -> None:
        self._bytes = view
        self._size = size

    def __len__(self) -> int:
        return len(self._bytes) // self._size

    def __getitem__(self, number: int) -> int:
        return int.from_bytes(self._bytes[self._span(number)], "little")

    def __setitem__(self, number: int, value: int) -> None:
        self._bytes[self._span(number)] = value.to_bytes(self._size, "little")

    def _span(self, number: int) -> slice:
        if not 0 <= number < len(self):
            raise IndexError(f"register {number} of {len(self)}")
        return slice(number * self._size, (number + 1) * self._size)


class Cpu:
    """A guest hardware thread; its register files are attributes, as sequences of ints that can be assigned to."""

    x: memoryview
    f: memoryview
    q: Wide

    def __init__(self, native: Native, space: Space, places: Places) -> None:
        self.native = native
        self.places = places
        self.st = st = native.new_state()
        self._bytes = view = host.view(st, layout.STATE_SIZE)
        self._words = view.cast("Q")
        self._halves = view.cast("I")
        self._signed = view.cast("q")
        self._files: list[memoryview] = []
        for name, (offset, size, count) in places.files.items():
            part = view[offset : offset + size * count]
            if size in _CODES:
                file = part.cast(_CODES[size])
                setattr(self, name, file)
            else:
                file = part
                setattr(self, name, Wide(part, size))
            self._files.append(file)
        self._words[ST["mem_base"] >> 3] = space.base
        self._words[ST["limit"] >> 3] = self._words[ST["plain_limit"] >> 3] = space.limit
        self._words[ST["xmap"] >> 3] = space.xmap
        self._words[ST["leave_syscall"] >> 3] = (
            native.image.exports.get("leave_SYSCALL", 0) + native.image.base
        )
        self._words[ST["slot_base"] >> 3] = space.slots
        self._halves[_MXCSR] = fpcontrol.RESET
        self._signed[_BUDGET] = FOREVER
        self._alive = _thread.RLock()  # against stop() from one thread while another closes
        self._run = native.run
        self._syscall = native.syscall

    def close(self) -> None:
        """Give the state's memory back. The Cpu is not usable afterwards."""
        with self._alive:
            if not self.st:
                return
            fault.leave(self.st)
            for view in (*self._files, self._signed, self._halves, self._words, self._bytes):
                view.release()
            self.native.free_state(self.st)
            self.st = 0

    # ------------------------------------------------------------------------------------------------ running

    def run(self) -> int:
        """Run guest code from pc until it leaves native code; the reason, one of layout.REASONS."""
        run, st = self._run, self.st
        while (reason := run(st) & 0xFFFFFFFF) == LOST:
            fault.own(st)
        return reason

    def stop(self) -> None:
        """Have run() return STOP soon, or at once when it is called next. From any thread; nothing when closed."""
        with self._alive:
            if self.st:
                self.native.kick(self.st)

    def clear_stop(self) -> None:
        """Take the stop back, before looking for why it was asked: who asks after that stops the next run."""
        self._halves[_STOP] = 0

    def attach(self) -> None:
        """Make the calling host thread this Cpu's own: signals that reach it are queued here, also outside of run."""
        fault.attach(self.st)

    def take_signals(self) -> list[tuple[int, bytes]]:
        """What came since the last call, oldest first: (signal, siginfo). On the Cpu's own thread."""
        if self._halves[_HEAD] == self._halves[_TAIL] and not self._words[_LOST_MASK]:
            return []
        return fault.drain(self.st)

    def syscall(self, number: int, *arguments: int) -> int:
        """A host system call that a signal for this Cpu interrupts or keeps from starting.

        The kernel's result; or layout.RESTART_SYSCALL where the kernel would restart it for a handler with
        SA_RESTART, or RESTART_ALWAYS where it was not entered.
        """
        result = self._syscall(self.st, number, *arguments, *(0,) * (6 - len(arguments)))
        return result - (1 << 64) if result >> 63 else result

    # ------------------------------------------------------------------------------------------------ state

    @property
    def pc(self) -> int:
        """The guest's program counter."""
        return self._words[_PC]

    @pc.setter
    def pc(self, value: int) -> None:
        self._words[_PC] = value & 0xFFFFFFFFFFFFFFFF

    @property
    def reason(self) -> int:
        """Why the last run ended."""
        return self._halves[_REASON]

    @property
    def cause(self) -> int:
        """TRAP: the Isa's cause number. FAULT: SIGSEGV or SIGBUS."""
        return self._words[_CAUSE]

    @property
    def value(self) -> int:
        """TRAP: its value. FAULT: the guest address."""
        return self._words[_VALUE]

    @property
    def access(self) -> int:
        """FAULT: layout.READ, WRITE or FETCH."""
        return self._halves[_ACCESS]

    @property
    def budget(self) -> int:
        """Instructions that may still run before run() returns BUDGET."""
        return self._signed[_BUDGET]

    @budget.setter
    def budget(self, value: int) -> None:
        self._signed[_BUDGET] = value

    @property
    def counters(self) -> int:
        """Host address of the hotness counters, 0 for none."""
        return self._words[_COUNTERS]

    @counters.setter
    def counters(self, address: int) -> None:
        self._words[_COUNTERS] = address

    @property
    def fp_flags(self) -> int:
        """The accrued floating-point flags, in the IR's numbering."""
        return fpcontrol.flags(self._halves[_MXCSR])

    @fp_flags.setter
    def fp_flags(self, value: int) -> None:
        self._halves[_MXCSR] = fpcontrol.with_flags(self._halves[_MXCSR], value)

    @property
    def fp_mode(self) -> int:
        """The rounding mode and what else the IR's FP_MODE holds."""
        return self._halves[_MODE]

    @fp_mode.setter
    def fp_mode(self, mode: int) -> None:
        self._halves[_MODE] = mode & 0x7F  # ops.FP_MODE_BITS
        self._halves[_MXCSR] = fpcontrol.with_round(self._halves[_MXCSR], mode & 7)

    @property
    def calls(self) -> int:
        """Host address of the table of system calls that native code makes itself (layout.CALLS), 0 for none."""
        return self._words[_CALLS]

    @calls.setter
    def calls(self, address: int) -> None:
        self._words[_CALLS] = address

    def read(self, name: str) -> int:
        """A register by any of its names, "pc" among them. Raises PVM-REGISTER-UNKNOWN."""
        if name == "pc":
            return self.pc
        if not name:
            return 0
        if name == "fp.flags":
            return self.fp_flags
        if name == "fp.mode":
            return self.fp_mode
        if name in self.places.composed:
            value = position = 0
            for part, bits in self.places.composed[name]:
                value |= self.read(part) << position
                position += bits
            return value
        offset, size = self._place(name)
        return int.from_bytes(self._bytes[offset : offset + size], "little")

    def write(self, name: str, value: int) -> None:
        """Write a register by any of its names; bits that it has not are dropped. Raises PVM-REGISTER-UNKNOWN."""
        if name == "pc":
            self.pc = value
        elif name == "fp.flags":
            self.fp_flags = value
        elif name == "fp.mode":
            self.fp_mode = value
        elif not name:
            pass
        elif name in self.places.composed:
            for part, bits in self.places.composed[name]:
                self.write(part, value & ((1 << bits) - 1))
                value >>= bits
        else:
            offset, size = self._place(name)
            self._bytes[offset : offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def _place(self, name: str) -> tuple[int, int]:
        try:
            return self.places.names[name]
        except KeyError:
            raise PolyvmError(
                "PVM-REGISTER-UNKNOWN", f"The guest has no register {name!r}.", register=name
            ) from None

    def context(self) -> list[tuple[int, bytes]]:
        """The registers, program counter and floating-point environment: (offset in the state, bytes)."""
        return [(start, bytes(self._bytes[start:end])) for start, end in _CONTEXT]

    def save(self) -> bytes:
        """The context as one opaque piece for restore()."""
        return b"".join(data for _, data in self.context())

    def restore(self, context: bytes) -> None:
        """Put back what save() gave, of this Cpu or of another of the same guest (clone, fork, a saved context)."""
        at = 0
        for start, end in _CONTEXT:
            self._bytes[start:end] = context[at : at + end - start]
            at += end - start
