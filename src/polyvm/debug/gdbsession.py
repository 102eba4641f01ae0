"""One debugger's session: what each packet of the remote serial protocol asks for, and the answer (GDB manual, E.2).

All-stop, one process, the host's ids of it and its threads. A packet that is unknown is answered with nothing, as the
protocol wants it; one that is damaged, or that asks for what is not there, with an error number. It knows no socket,
and never blocks.
"""

from __future__ import annotations

from polyvm.debug import gdbgate, gdbobjects, gdbsignals
from polyvm.debug.gdbgate import Action
from polyvm.debug.gdbwatch import ACCESS, READ, WRITE, Watch
from polyvm.debug.gdbwire import Damaged, binary, number, numbers
from polyvm.errors import PolyvmError
from polyvm.memory.access import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from polyvm.debug.gdbcontrol import Control
    from polyvm.debug.gdbtarget import Target
    from polyvm.user.thread import Thread

    T = TypeVar("T")

PACKET_SIZE = 0x10000
EFAULT, EINVAL, ESRCH, EIO = b"E0e", b"E16", b"E03", b"E05"
OK, UNKNOWN = b"OK", b""
_ALWAYS = (
    f"PacketSize={PACKET_SIZE:x}", "QStartNoAckMode+", "vContSupported+", "QPassSignals+", "swbreak+", "hwbreak+",
    *(f"qXfer:{name}:read+" for name in gdbobjects.OBJECTS),
)  # fmt: skip
_IF_ASKED = ("exec-events+", "no-resumed+", "multiprocess+")
_WATCHES = {b"2": WRITE, b"3": READ, b"4": ACCESS}
_BREAKPOINTS = {b"0": gdbgate.BREAKPOINT, b"1": gdbgate.HARDWARE}
_MOST_WATCHED = 1 << 20  # bytes of one watchpoint


class Session:
    """The state of a conversation.

    waiting: the debugger resumed the program and has not been told of a stop since. acks: packets are acknowledged.
    over: no more is said. spoken: something was. first: this debugger is the one that the program was started for.
    """

    def __init__(self, control: Control, target: Target, *, first: bool) -> None:
        self.control = control
        self.target = target
        self.first = first
        self.waiting = False
        self.acks = True
        self.over = False
        self.spoken = False
        self.files = gdbobjects.Files(control)
        self._features: frozenset[str] = frozenset()
        self._general = 0  # the thread that registers are read of; 0 for the one that stopped
        self._object: tuple[tuple[str, bytes], bytes] | None = None  # read last, for its next part
        self._commands: dict[bytes, Callable[[bytes], bytes | None]] = {
            b"?": self._why, b"g": self._read_registers, b"G": self._write_registers, b"p": self._read_register,
            b"P": self._write_register, b"m": self._read_memory, b"M": self._write_memory,
            b"X": self._write_binary, b"c": self._continue, b"C": self._continue, b"s": self._continue,
            b"S": self._continue, b"H": self._choose_thread, b"T": self._is_alive, b"z": self._point,
            b"Z": self._point, b"D": self._detach, b"k": self._kill, b"v": self._verbose, b"q": self._query,
            b"Q": self._set,
        }  # fmt: skip

    # -- the conversation
    def answer(self, packet: bytes) -> bytes | None:
        """The answer to a packet; None when there is none, or not yet."""
        self.spoken = True
        command = self._commands.get(packet[:1])
        if command is None:
            return UNKNOWN
        try:
            return command(packet)
        except GuestFault:
            return EFAULT
        except (ValueError, IndexError, OverflowError):  # Damaged is a ValueError
            return EINVAL
        except (PolyvmError, OSError):
            return EIO

    def stopped(self) -> bytes:
        """The stop reply: why the program stopped, and from now on the thread that did is the one that is meant."""
        self.waiting = False
        self._general = 0
        stop = self.control.stop
        if stop.why == gdbgate.NO_RESUMED and "no-resumed+" in self._features:
            return b"N"
        thread = self._current()
        text = f"T{gdbsignals.to_gdb(stop.signo):02x}"
        if thread is not None:
            text += f"thread:{self.name(thread)};"
        if stop.why in _WATCHES.values():
            text += f"{stop.why}:{stop.value:x};"
        elif stop.why in _BREAKPOINTS.values() and f"{stop.why}+" in self._features:
            text += f"{stop.why}:;"
        elif stop.why == gdbgate.EXEC and "exec-events+" in self._features:
            text += f"exec:{self.control.process.exe.hex()};"
        return text.encode()

    def ended(self, kind: str, status: int | None, signo: int | None) -> bytes:
        """The stop reply of a program that is no more."""
        process = f";process:{self.control.process.pid:x}" if self._many else ""
        if kind == "signaled":
            return f"X{gdbsignals.to_gdb(signo or 0):02x}{process}".encode()
        return f"W{(status or 0) & 0xFF:02x}{process}".encode()

    # -- threads
    @property
    def _many(self) -> bool:
        """Whether the debugger knows that there are many processes, and wants to know which is meant."""
        return "multiprocess+" in self._features

    def name(self, thread: Thread) -> str:
        """A thread's id as the debugger has it."""
        return f"p{self.control.process.pid:x}.{thread.tid:x}" if self._many else f"{thread.tid:x}"

    def _current(self) -> Thread | None:
        """The thread that is meant: that which was chosen, else the one that stopped, else any."""
        threads = self.control.threads()
        if self._general:
            return next((t for t in threads if t.tid == self._general), None)
        stopped = self.control.stop.thread
        return stopped if stopped in threads else threads[0] if threads else None

    def _chosen(self) -> Thread:
        thread = self._current()
        if thread is None:
            raise Damaged("there is no such thread")
        return thread

    def _find(self, text: bytes) -> int:
        """A thread's number; -1 for all, 0 for any. Raises Damaged, for another process too."""
        if text[:1] == b"p":
            process, dot, text = text[1:].partition(b".")
            if process != b"-1" and number(process) not in (0, self.control.process.pid):
                raise Damaged("there is no such process")
            if not dot:
                return -1
        return -1 if text == b"-1" else number(text)

    def _choose_thread(self, packet: bytes) -> bytes:
        wanted = self._find(packet[2:])
        if packet[1:2] == b"g":
            if wanted > 0 and all(t.tid != wanted for t in self.control.threads()):
                return ESRCH
            self._general = max(wanted, 0)
        elif packet[1:2] != b"c":  # what is resumed is in vCont
            return EINVAL
        return OK

    def _is_alive(self, packet: bytes) -> bytes:
        wanted = self._find(packet[1:])
        return OK if any(t.tid == wanted for t in self.control.threads()) else ESRCH

    def _why(self, packet: bytes) -> bytes:
        return self.stopped()

    # -- registers and memory
    def _read_registers(self, packet: bytes) -> bytes:
        return self.target.read_all(self._chosen().cpu).hex().encode()

    def _write_registers(self, packet: bytes) -> bytes:
        thread = self._chosen()
        self.target.write_all(thread.cpu, binary(packet[1:]))
        self.control.traced(thread).moved = True
        return OK

    def _read_register(self, packet: bytes) -> bytes:
        return self.target.read(self._chosen().cpu, number(packet[1:])).hex().encode()

    def _write_register(self, packet: bytes) -> bytes:
        which, _, value = packet[1:].partition(b"=")
        thread = self._chosen()
        self.target.write(thread.cpu, number(which), binary(value))
        self.control.traced(thread).moved = True
        return OK

    def _read_memory(self, packet: bytes) -> bytes:
        address, size = numbers(packet[1:], 2)
        size = min(size, PACKET_SIZE // 2 - 16)
        space = self.control.process.space
        try:
            return space.peek(address, size).hex().encode()
        except GuestFault as fault:
            if fault.address <= address:
                raise
            return space.peek(address, fault.address - address).hex().encode()

    def _write_memory(self, packet: bytes) -> bytes:
        place, _, data = packet[1:].partition(b":")
        return self._store(place, binary(data))

    def _write_binary(self, packet: bytes) -> bytes:
        place, _, data = packet[1:].partition(b":")
        return self._store(place, data)

    def _store(self, place: bytes, data: bytes) -> bytes:
        address, size = numbers(place, 2)
        if size != len(data):
            raise Damaged("another number of bytes than it says")
        if data:
            self.control.process.space.poke(address, data)
        return OK

    # -- breakpoints and watchpoints
    def _point(self, packet: bytes) -> bytes:
        kind, address, size = packet[1:].split(b";")[0].split(b",")
        at, length = number(address), number(size)
        if kind in _BREAKPOINTS:
            return self._toggle(packet, self.control.breakpoints, (_BREAKPOINTS[kind], at), at)
        if kind in _WATCHES:
            if not 0 < length <= _MOST_WATCHED:
                return EINVAL
            return self._toggle(packet, self.control.watches, Watch(_WATCHES[kind], at, length), at)
        return UNKNOWN

    def _toggle(self, packet: bytes, points: set[T], point: T, address: int) -> bytes:
        if packet[:1] == b"z":
            points.discard(point)
            return OK
        space = self.control.process.space
        if address >= space.limit or space.lookup(address) is None:
            return EFAULT
        points.add(point)
        return OK

    # -- going on
    def _continue(self, packet: bytes) -> bytes | None:
        """c, C, s and S: all threads go on, and of s and S the chosen one by a step."""
        command, rest = packet[:1].lower(), packet[1:]
        signo = 0
        if packet[:1] in (b"C", b"S"):
            text, _, rest = rest.partition(b";")
            signo = self._signal(text)
        thread = self._chosen()
        if rest:
            thread.cpu.pc = number(rest)
            self.control.traced(thread).moved = True
        actions = {other: Action() for other in self.control.threads()}
        actions[thread] = Action(step=command == b"s", signo=signo)
        self._resume(actions)
        return None

    def _signal(self, text: bytes) -> int:
        signo = gdbsignals.from_gdb(number(text))
        if signo is None:
            raise Damaged("the guest has no such signal")
        return signo

    def _resume(self, actions: dict[Thread, Action]) -> None:
        self.waiting = True
        self._object = None
        self.control.resume(actions)

    def _resume_threads(self, text: bytes) -> bytes | None:
        """vCont: for each thread, the first action that is meant for it."""
        actions: dict[Thread, Action] = {}
        threads = self.control.threads()
        for part in text.split(b";"):
            what, _, whose = part.partition(b":")
            wanted = self._find(whose) if whose else -1
            chosen = [t for t in threads if wanted in (-1, t.tid)] if wanted else [self._chosen()]
            for thread in chosen:
                if thread not in actions:  # one each: an action is changed while it is carried out
                    actions[thread] = self._action(what)
            if not chosen:
                self._action(what)
        if not actions:
            return EINVAL
        self._resume(actions)
        return None

    def _action(self, text: bytes) -> Action:
        command, rest = text[:1], text[1:]
        if command in (b"c", b"s") and not rest:
            return Action(step=command == b"s")
        if command in (b"C", b"S"):
            return Action(step=command == b"S", signo=self._signal(rest))
        if command == b"r":
            start, end = numbers(rest, 2)
            return Action(step=True, start=start, end=end)
        raise Damaged("there is no such action")

    def _detach(self, packet: bytes) -> bytes:
        self.over = True
        return OK

    def _kill(self, packet: bytes) -> None:
        self.over = True
        self.control.kill()

    # -- packets with names
    def _verbose(self, packet: bytes) -> bytes | None:
        if packet == b"vCont?":
            return b"vCont;c;C;s;S;r"
        if packet.startswith(b"vCont;"):
            return self._resume_threads(packet[6:])
        if packet.startswith(b"vKill"):
            self._kill(packet)
            return OK
        if packet.startswith(b"vFile:"):
            return self.files.answer(packet[6:])
        return UNKNOWN

    def _set(self, packet: bytes) -> bytes:
        if packet == b"QStartNoAckMode":
            self.acks = False
            return OK
        if packet.startswith(b"QPassSignals:"):
            numbers = [number(text) for text in packet[13:].split(b";") if text]
            found = (gdbsignals.from_gdb(signal) for signal in numbers)
            self.control.passed = frozenset(signo for signo in found if signo is not None)
            return OK
        return UNKNOWN

    def _query(self, packet: bytes) -> bytes:
        name, _, rest = packet[1:].partition(b":")
        if name == b"Supported":
            self._features = frozenset(rest.decode(errors="replace").split(";"))
            return ";".join([*_ALWAYS, *(text for text in _IF_ASKED if text in self._features)]).encode()
        if name == b"Xfer":
            return self._transfer(rest)
        if name == b"Attached":  # whether to leave the program alone in the end
            return b"0" if self.first else b"1"
        if name == b"C":
            return f"QC{self.name(self._chosen())}".encode()
        if name == b"fThreadInfo":
            return f"m{','.join(map(self.name, self.control.threads()))}".encode()
        if name == b"sThreadInfo":
            return b"l"
        if name.startswith(b"ThreadExtraInfo,"):
            wanted = self._find(name.partition(b",")[2])
            thread = next((t for t in self.control.threads() if t.tid == wanted), None)
            return ESRCH if thread is None else gdbobjects.thread_name(thread).encode().hex().encode()
        return UNKNOWN

    def _transfer(self, text: bytes) -> bytes:
        """qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH."""
        name, operation, annex, place = text.split(b":")
        offset, length = numbers(place, 2)
        if operation != b"read" or name.decode(errors="replace") not in gdbobjects.OBJECTS:
            return UNKNOWN
        key = name.decode(), annex
        # What is read in parts must stay the same from its first to its last.
        if offset and self._object is not None and self._object[0] == key:
            data: bytes | None = self._object[1]
        else:
            data = self._object_text(*key)
        if data is None:
            return b"E00" if key[0] == "features" else EIO
        self._object = key, data
        return gdbobjects.part(data, offset, min(length, PACKET_SIZE // 2 - 16))

    def _object_text(self, name: str, annex: bytes) -> bytes | None:
        """A qXfer object, whole; None when there is none of that name."""
        thread = self._current()
        if name == "features":
            return self.target.xml().encode() if annex == b"target.xml" else None
        if name == "threads":
            return gdbobjects.threads((self.name(found), found) for found in self.control.threads())
        if name == "siginfo":
            return None if thread is None else self.control.traced(thread).info or None
        return gdbobjects.of_process(self.control.process, name)
