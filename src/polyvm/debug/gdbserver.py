"""The other end of `target remote`: a socket, one debugger at a time, and the thread that serves it.

The thread is one of ours, with descriptors of its own where the host allows that, so that the guest never sees them.
A debugger that goes away without a word leaves the program running without breakpoints, and another one may come;
while one is there, a second is turned away. It refuses to listen anywhere but where it was told to.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import threading

from polyvm.debug import gdbgate, gdbwire
from polyvm.debug.gdbcontrol import Control
from polyvm.debug.gdbsession import PACKET_SIZE, Session
from polyvm.debug.gdbtarget import Target
from polyvm.engine import fault
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process

    Place = tuple[str, int] | str

GOODBYE_S = 2.0
"""How long the end of the program waits for the debugger to be told of it."""
MOST_HELD = 64
_READ = 1 << 16


class Server:
    """Listens for the debuggers of one process.

    where: (host, port), port 0 for any that is free, or a path of a socket; `where` has what it became. The process
    has its tracer from now on, and stops before its first instruction. Raises PVM-USAGE when nobody can listen there.
    """

    def __init__(self, process: Process, where: Place) -> None:
        self.process = process
        self.where = where
        self._wake = process.hide(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self.control = Control(process, self._woken)
        self.control.descriptors.append(self._wake)
        self._pid = os.getpid()
        self._apart = False
        self._listener: socket.socket
        self._client: socket.socket | None = None
        self._session: Session | None = None
        self._reader = gdbwire.Reader(2 * PACKET_SIZE)
        self._held: list[bytes] = []  # packets that came while the program ran
        self._last = b""  # what was sent, until it is acknowledged
        self._end: tuple[str, int | None, int | None] | None = None
        self._first = True
        self._done = threading.Event()
        ready, failed = threading.Event(), list[BaseException]()
        fault.start_thread(self._serve, ready, failed)
        ready.wait()
        if failed:
            raise failed[0]
        process.tracer = self.control

    @property
    def name(self) -> str:
        """What a debugger calls the place where it is to connect."""
        return self.where if isinstance(self.where, str) else f"{self.where[0]}:{self.where[1]}"

    def ended(self, kind: str, status: int | None, signo: int | None) -> None:
        """The program has ended: tell the debugger, and close."""
        if os.getpid() != self._pid:
            return
        self._end = kind, status, signo
        self.control.close()
        self._woken()
        self._done.wait(GOODBYE_S)
        if isinstance(self.where, str):
            try:
                os.unlink(self.where)
            except OSError:
                pass  # somebody else did

    def _woken(self) -> None:
        """Have the server's thread look; from any thread."""
        os.eventfd_write(self._wake, 1)

    # -- the server's thread
    def _serve(self, ready: threading.Event, failed: list[BaseException]) -> None:
        try:
            self._apart = self.process.set_apart(keep=(self._wake,))
            self._listener = self._hidden(self._listen())
        except BaseException as error:
            failed.append(error)
            return
        finally:
            ready.set()
        try:
            while self._end is None:
                self._turn()
            self._goodbye()
        except BaseException as error:
            self.process.fail(error)
        finally:
            self._done.set()

    def _listen(self) -> socket.socket:
        """A socket that listens where it was told. Raises PVM-USAGE."""
        where = self.where
        try:
            if isinstance(where, str):
                made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                _remove_stale(where)
                made.bind(where)
                os.chmod(where, 0o600)
            else:
                made = socket.create_server(where)
                self.where = made.getsockname()[:2]
            made.listen(4)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise PolyvmError(
                "PVM-USAGE",
                f"--gdb cannot listen at {self.name}: {reason}.",
                hint="Port 0 takes any that is free, and says which."
                if error.errno == errno.EADDRINUSE
                else None,
            ) from error
        return made

    def _hidden(self, made: socket.socket) -> socket.socket:
        """A socket that the guest does not meet."""
        if self._apart:
            return made
        fd = self.process.hide(made.detach())
        self.control.descriptors.append(fd)
        return socket.socket(fileno=fd)

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        poll = select.poll()
        for fd in (self._wake, self._listener.fileno(), self._client.fileno() if self._client else -1):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        found = {fd for fd, _ in poll.poll()}
        if self._wake in found:
            try:
                os.eventfd_read(self._wake)
            except BlockingIOError:
                pass  # looked at before
        if self._client is not None and self._client.fileno() in found:
            self._read(self._client)
        if self._listener.fileno() in found:
            self._accept()
        self._look()

    def _accept(self) -> None:
        made, _ = self._listener.accept()
        if self._client is not None and _is_gone(self._client):
            self._lost()
        if self._client is not None:
            made.close()
            return
        self._client = self._hidden(made)
        if self._client.family != socket.AF_UNIX:
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = gdbwire.Reader(2 * PACKET_SIZE)
        self._session = Session(self.control, Target(self.process.engine.guest), first=self._first)
        self._first = False
        self.control.attach()
        self.control.settle()

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(_READ)
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        for kind, payload in self._reader.feed(data):
            if self._session is None:
                return
            self._heard(self._session, kind, payload)

    def _heard(self, session: Session, kind: str, payload: bytes) -> None:
        """One thing that the debugger said."""
        if kind == "interrupt":
            self.control.interrupt()
        elif kind == "ack":
            self._last = b""
        elif kind == "nack":
            self._send(self._last)
        elif kind == "bad":
            self._send(gdbwire.NACK if session.acks else b"")
        else:
            self._send(gdbwire.ACK if session.acks else b"")
            self._asked(session, payload)

    def _asked(self, session: Session, packet: bytes) -> None:
        """A packet. While the program runs nobody may ask anything: it waits until that stops."""
        if session.waiting:
            if len(self._held) < MOST_HELD:
                self._held.append(packet)
            return
        answer = session.answer(packet)
        if answer is not None:
            self._reply(answer)
        if session.over:
            self._lost()

    def _reply(self, payload: bytes) -> None:
        self._last = gdbwire.frame(payload)
        self._send(self._last)

    def _send(self, data: bytes) -> None:
        if self._client is not None and data:
            try:
                self._client.sendall(data)
            except OSError:
                pass  # reading finds out

    def _look(self) -> None:
        """Tell of a stop, if there is one."""
        session = self._session
        if session is not None and session.waiting and self.control.state == gdbgate.STOPPING:
            if self.control.settle():
                session.target = Target(self.process.engine.guest)  # execve may have changed it
                self._reply(session.stopped())
                held, self._held = self._held, []
                for packet in held:
                    if self._session is session:
                        self._asked(session, packet)

    def _lost(self) -> None:
        """The debugger went away, or said that it would."""
        session, self._session = self._session, None
        self._held.clear()
        self._close()
        if session is not None and session.first and not session.spoken:
            self._first = True  # somebody knocked: the program still waits for its debugger
            self.control.attached = False
        else:
            self.control.detach()

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if self._apart:
            client.close()
        else:
            fd = client.detach()
            self.control.descriptors.remove(fd)
            self.process.unhide(fd)

    def _goodbye(self) -> None:
        assert self._end is not None
        if self._session is not None and self._session.waiting:
            self._reply(self._session.ended(*self._end))
        self._close()
        self._listener.close()


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens at any more: it is left when a program is killed."""
    try:
        with open("/proc/net/unix", "rb") as file:
            listened = os.fsencode(path) in [line.rpartition(b" ")[2] for line in file.read().splitlines()]
        if not listened and stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass  # there is none, or binding says what is wrong with it


def _is_gone(client: socket.socket) -> bool:
    """Whether the other end is closed, and all that came from there was read."""
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
