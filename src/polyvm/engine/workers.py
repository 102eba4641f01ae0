"""The way to the compilers: one pool per user and cache folder, shared by every guest process over a private socket.

A thread of ours hands requests over and installs what comes back, so the guest never waits. The pool is started only
when there is something to compile and ends when it is idle. Losing it costs speed, never the guest.
"""

from __future__ import annotations

import _socket
import _thread
import marshal
import os
from time import process_time, thread_time

from polyvm.engine import fault, interpreter_image
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SOCKET = "compiler.sock"
PAGE = 4096
START_TRIES, START_WAIT = 1200, 0.025
"""A pool needs 0.3 s to be there, and has had 5 s and more where others wanted every processor."""
HAND_OVER_S = 0.5
LOOK_S = 0.02
"""Between two looks at whether what waits is hot enough by now; and so many times what the look before took."""
LOOK_SHARE = 50


def send(sock: _socket.socket, message: Any) -> None:
    """One message: four bytes of length, then marshal."""
    data = marshal.dumps(message)
    sock.sendall(len(data).to_bytes(4, "little") + data)


def receive(sock: _socket.socket) -> Any:
    """The next message, or None at the end."""
    head = _exactly(sock, 4)
    if head is None:
        return None
    data = _exactly(sock, int.from_bytes(head, "little"))
    return None if data is None else marshal.loads(data)


def _exactly(sock: _socket.socket, count: int) -> bytes | None:
    parts = b""
    while len(parts) < count:
        part = sock.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return parts


class Job:
    """A region to compile: its address and kind, and what the compiler may ask when its turn comes.

    entries: other addresses that it should be entered at. places: those that asked for it. asked: this process's CPU
    time when that was last.
    observed, hot: what was seen of dynamic jumps, and found hot, by then.
    read, ran: guest code, by pages, and what of it was executed.
    tries: the compilation's number. wanted: whether it is still needed. score: how much it is worth now; the highest is
    next, 0 has to wait, and what is below is given up. cost_s: what it took the last time, 0 when that is not known.
    done: told the unit, or None when there is none, and the seconds of CPU time that it took.
    """

    __slots__ = ("asked", "cost_s", "done", "entries", "hot", "kind", "observed", "pc", "places", "ran", "read",
                 "score", "tries", "wanted")  # fmt: skip

    def __init__(
        self,
        pc: int,
        entries: list[int],
        kind: str,
        *,
        observed: Callable[[], dict[int, list[int]]],
        hot: Callable[[], list[int]],
        read: Callable[[int], bytes],
        ran: Callable[[int], bytes],
        wanted: Callable[[Job], bool],
        score: Callable[[Job], float],
        done: Callable[[Job, bytes | None, float], None],
        tries: int = 0,
        cost_s: float = 0.0,
    ) -> None:
        self.pc = pc
        self.cost_s = cost_s
        self.entries = entries
        self.kind = kind
        self.places: list[int] = []
        self.asked = 0.0
        self.observed = observed
        self.hot = hot
        self.read = read
        self.ran = ran
        self.wanted = wanted
        self.score = score
        self.done = done
        self.tries = tries

    def ask(self, place: int) -> None:
        """A place was found hot, perhaps again."""
        if place not in self.places:
            self.places.append(place)
        self.asked = process_time()


class Compilers:
    """This process's connection to the pool, and the thread that uses it.

    apart: makes the calling thread one of ours, and says whether its descriptors are its own from then on. Where they
    cannot be, `hide` moves one out of the guest's way.
    """

    def __init__(
        self, guest: str, folder: str, hide: Callable[[int], int], apart: Callable[[], bool]
    ) -> None:
        self.guest = guest
        self.folder = folder
        self.hide = hide
        self.set_apart = apart
        self.apart = False
        self.jobs: list[Job] = []
        self.running = False  # whether the thread is at work; it waits for `wake` when it is not
        self.started = False
        self.wake = _thread.allocate_lock()
        self.lock = _thread.allocate_lock()
        self.starting = _thread.allocate_lock()  # held while the pool's first process is a child of this one
        self.sock: _socket.socket | None = None
        self.failed = ""
        self.cpu_s = 0.0
        self.deepest = 0
        self.pid = os.getpid()

    def submit(self, job: Job) -> None:
        """Queue a region."""
        if self.pid != os.getpid():
            self._forked()
        with self.lock:
            if self.failed:
                return
            self.jobs.append(job)
            self.deepest = max(self.deepest, len(self.jobs))
            if self.running:
                return
            self.running = True
            if self.started:
                self.wake.release()
                return
        self.wake.acquire()
        try:
            fault.start_thread(self._work)
            self.started = True
        except RuntimeError:
            self.wake.release()
            self.running = False  # no more threads: the next submission tries again

    def hand_over(self, rest: tuple[Any, ...]) -> None:
        """This process ends: let the pool go on by itself with what is left, or another process where there is none."""
        message = ("rest", self.guest, self.folder, *rest)
        try:
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            sock.settimeout(HAND_OVER_S)
            at_socket(self._path(), sock.connect)
            send(sock, message)
            sock.close()
        except OSError:
            try:
                self._leave(message)
            except OSError:
                return  # then they are compiled when they are hot again

    def _leave(self, message: Any) -> None:
        """Start a process for what is left, and do not wait for it: a program that ends before a pool is there would
        never be compiled, however often it runs.
        """
        lock = finishing(self.folder)
        if lock is None:
            return
        os.close(lock)  # the process takes it itself
        fd = os.memfd_create("polyvm rest", os.MFD_CLOEXEC)
        try:
            data = marshal.dumps(message)
            while data:
                data = data[os.write(fd, data) :]
            os.lseek(fd, 0, os.SEEK_SET)
            for name in os.listdir("/proc/self/fd"):
                # The guest's pipes end with this process.
                try:
                    os.set_inheritable(int(name), False)
                except OSError:
                    pass  # the listing's own
            self._spawn(interpreter_image.worker_command("rest"), [(os.POSIX_SPAWN_DUP2, fd, 0)])
        finally:
            os.close(fd)

    def _path(self) -> str:
        return os.path.join(self.folder, f"{interpreter_image.key(self.guest)[:12]}-{SOCKET}")

    def _forked(self) -> None:
        """A forked child has no thread of ours and shares the parent's connection, which it must not use."""
        self.pid = os.getpid()
        self.lock = _thread.allocate_lock()  # whoever held it is not here
        self.wake = _thread.allocate_lock()
        self.starting = _thread.allocate_lock()
        self.jobs = []
        self.running = self.started = False
        if self.sock is not None:
            if self.apart:
                self.sock.detach()  # a number in a table that is not here
            else:
                self.sock.close()
            self.sock = None

    def _work(self) -> None:
        self.apart = self.set_apart()
        while True:
            began = thread_time()
            with self.lock:
                self.running = bool(self.jobs)
                scores = [(job.score(job), job) for job in self.jobs]
                gone = [job for score, job in scores if score < 0]
                _, job = max((one for one in scores if one[0] > 0), key=_first, default=(0.0, None))
                for other in (*gone, *([job] if job is not None else [])):
                    self.jobs.remove(other)
            for other in gone:
                other.done(other, None, 0.0)
            if job is None:
                # Without anything to wait for it waits to be woken.
                pause = max(LOOK_S, LOOK_SHARE * (thread_time() - began))
                self.wake.acquire(True, pause if self.running else -1)
                continue
            if not job.wanted(job):
                job.done(job, None, 0.0)
                continue
            try:
                data, cpu = self._compile(job)
            except (OSError, PolyvmError, ValueError, EOFError) as error:
                self.failed = str(error)
                data, cpu = None, 0.0
                with self.lock:
                    self.running = False
                    waiting, self.jobs = self.jobs, []
                for other in (job, *waiting):
                    other.done(other, None, 0.0)
                return
            self.cpu_s += cpu
            job.done(job, data, cpu)

    def _compile(self, job: Job) -> tuple[bytes | None, float]:
        for attempt in range(2):
            sock = self.sock
            if sock is None:
                sock = self.sock = self._connect()
            try:
                what = job.pc, job.entries, job.observed(), job.kind, job.tries, job.hot()
                send(sock, ("compile", self.guest, *what))
                while True:
                    answer = receive(sock)
                    if answer is None:
                        raise EOFError("the compiler process ended")
                    if answer[0] == "page":
                        send(sock, job.read(answer[1]))
                    elif answer[0] == "ran":
                        send(sock, job.ran(answer[1]))
                    elif answer[0] == "unit":
                        return answer[1], answer[2]
                    else:
                        # This region cannot be compiled; others may.
                        return None, answer[2]
            except (OSError, EOFError):
                sock.close()
                self.sock = None
                if attempt:
                    raise
        return None, 0.0

    def _connect(self) -> _socket.socket:
        from time import sleep

        path = self._path()
        # One socket for all attempts: out of the guest's sight from its first moment, as far as that can be.
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if not self.apart:
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.hide(sock.detach()))
        try:
            for attempt in range(START_TRIES):
                try:
                    at_socket(path, sock.connect)
                    return sock
                except OSError:
                    if not attempt:
                        self._start(path)
                sleep(START_WAIT)
        except BaseException:
            sock.close()
            raise
        sock.close()
        raise PolyvmError("PVM-COMPILE-FAILED", "The compiler pool did not start.", path=path)

    def _start(self, path: str) -> None:
        """Start the pool; it leaves this process's family at once, so the guest never meets it as a child."""
        command = interpreter_image.worker_command("pool", self.guest, path)
        with self.starting:
            os.waitpid(self._spawn(command, [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0)]), 0)

    def _spawn(self, command: list[str], actions: list[tuple[Any, ...]]) -> int:
        """Start a compiler process, in a session of its own; what it has for standard input is in the actions."""
        # Opened by the child: here it would take a number that the guest's next descriptor should have.
        others = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (1, 2)]
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG")  # the last is for our own tests
        environment = {name: value for name, value in os.environ.items() if name in kept}
        return os.posix_spawn(
            command[0], command, environment, file_actions=[*actions, *others], setsigmask=[], setsid=True
        )

    def no_start(self) -> None:
        """Wait until the pool's first process is no child of this one."""
        if self.pid == os.getpid():
            with self.starting:
                pass


def finishing(folder: str) -> int | None:
    """The lock of whoever compiles what programs have left, as a descriptor; None while another has it."""
    import fcntl

    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _first(scored: tuple[float, Job]) -> float:
    return scored[0]


def at_socket(path: str, use: Callable[[str], object]) -> None:
    """Call with a name for a socket's path: it may have 107 bytes; a longer one goes by its folder's descriptor."""
    if len(path.encode()) < 100:
        use(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        use(f"/proc/thread-self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
