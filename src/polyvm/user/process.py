"""A guest process: its memory, threads, signals, names of files, and how it starts and ends.

`run()` is the way in for the command line. The guest's PID, descriptors, working directory and credentials are this
process's own. It refuses to share that process with a second guest.
"""

from __future__ import annotations

import _thread
import os
from time import monotonic, sleep

from polyvm.engine import fault
from polyvm.memory import host
from polyvm.memory.access import GuestFault
from polyvm.memory.space import AddressSpace
from polyvm.user import limits, signals
from polyvm.user.hostabi import numbers
from polyvm.user.hostsignals import HostSignals
from polyvm.user.machine import Machine
from polyvm.user.paths import Paths
from polyvm.user.policy import Policy
from polyvm.user.result import Result, add_counts, collect
from polyvm.user.signals import Actions
from polyvm.user.thread import Thread
from polyvm.user.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from polyvm.user.dispatch import Call, Dispatch
    from polyvm.user.fork import Borrowed
    from polyvm.user.natively import Natively
    from polyvm.user.strace import Strace
    from polyvm.user.tracer import Tracer

    Bind = tuple[bytes, bytes, bool]

F_DUPFD, F_DUPFD_CLOEXEC = 0, 1030
O_PATH = os.O_PATH
RESOLVE_IN_ROOT = 0x10
CLONE_FILES = 0x400
ENOSYS, EINTR = 38, 4


class Process:
    """Everything the guest's threads share. `exit` is (kind, status, signal) once it is decided."""

    def __init__(
        self,
        engines: Callable[[str], Any],
        *,
        sysroot: bytes | None = None,
        root: bytes | None = None,
        binds: Sequence[Bind] = (),
        strace: bool = False,
    ) -> None:
        self.engines = engines
        self.machines: dict[str, Machine] = {}
        # What use() sets, of the machine that the program is for:
        self.engine: Any = None
        self.abi: Any = None
        self.natively: Natively | None = None
        self.dispatch: Dispatch
        self.calls: dict[int, Call] = {}
        self.pid = os.getpid()
        self.hidden: set[int] = set()
        self.numbers = numbers()
        self.space = space = AddressSpace()
        # As on Linux (vm.mmap_min_addr); and compiled code takes a pointer outside of these for wild (engine.leaving).
        space.min_address, space.max_address = 0x10000, space.limit - space.page_size
        self.world = World()
        self.space.pause = self.pause
        self.host_signals = HostSignals(self)
        self.actions = Actions(self)
        self.policy = Policy(confined=root is not None)
        self.paths = Paths(self, sysroot, self._make_root(root, binds))
        self.strace: Strace | None = None
        if strace:
            from polyvm.user.strace import Strace

            self.strace = Strace(self)
        self.exit: tuple[str, int | None, int | None] | None = None
        self.fatal: tuple[Thread, int, bytes] | None = None  # who died of what, for the crash report
        self.on_crash: Callable[[Thread, int, bytes], None] | None = None
        self.on_exit_reason: Callable[[Thread, int], None] | None = None
        self.on_stop: Callable[[Thread], None] | None = (
            None  # a thread left native code because it was asked to
        )
        self.tracer: Tracer | None = None  # a debugger
        self.child = False  # forked from a guest: nobody above waits for a Result
        self.pending_exec: Callable[[Thread], None] | None = None  # for the main thread, from one that is not
        self.borrowed: Borrowed | None = None  # a vfork child's hold on its waiting parent
        self.faults: dict[int, int] = {}
        self.past_counts: dict[str, list[int]] = {}
        self.first_status = 0  # of exit() in the first thread
        self.changed = _thread.allocate_lock()
        self.changed.acquire()
        self.error: BaseException | None = None
        # What execve sets:
        self.exe = self.exe_host = b""
        self.argv: list[bytes] = []
        self.envp: list[bytes] = []
        self.auxv: list[tuple[int, int]] = []
        self.brk_start = self.brk = 0
        self.sigreturn = 0
        self.image: Any = None  # the loader's LoadedImage
        self.exec_in_progress = False
        self.personality = 0
        self.limits: dict[int, tuple[int, int]] = {}
        self.dumpable = 1

    def use(self, guest: str) -> None:
        """From now on, run programs of this guest. Raises PolyvmError when there is no engine for it."""
        machine = self.machines.get(guest)
        if machine is None:
            machine = self.machines[guest] = Machine(self, self.engines(guest))
        self.engine, self.abi, self.natively = machine.engine, machine.abi, machine.natively
        self.dispatch, self.calls = machine.dispatch, machine.dispatch.calls

    def _make_root(self, root: bytes | None, binds: Sequence[Bind]) -> Any:
        if root is None:
            return None
        from polyvm.user.root import Root

        return Root(self, root, tuple(binds))

    # Host ------------------------------------------------------------------------------------------------------

    def plain_syscall(self, name: str, *arguments: int) -> int:
        """A host call of ours that no signal needs to interrupt."""
        return host.syscall(self.numbers[name], *arguments)

    def pause(self) -> World:
        """Stop the other threads, as a context manager."""
        return self.world

    def hide(self, fd: int) -> int:
        """Move a descriptor of ours out of the guest's sight and reach: to the top of its table."""
        # No imports here: they would take a moment, in which the guest could see it and get the next number.
        found = limits.exchange(self, limits.RLIMIT_NOFILE)
        limit = found[0] if isinstance(found, tuple) else 1024
        top = min(limit, 1024 + limits.RESERVE) - 1
        for floor in range(top, 2, -1):
            if floor in self.hidden:
                continue
            moved = self.plain_syscall("fcntl", fd, F_DUPFD_CLOEXEC, floor)
            if moved < 0:
                continue
            os.close(fd)
            self.hidden.add(moved)
            break
        else:
            self.hidden.add(fd)
            moved = fd
        self._hidden_changed()
        return moved

    def unhide(self, fd: int) -> None:
        """Close a descriptor of ours."""
        self.hidden.discard(fd)
        self._hidden_changed()
        os.close(fd)

    def _hidden_changed(self) -> None:
        for machine in self.machines.values():
            if machine.natively is not None:
                machine.natively.hidden(self.hidden)

    def lowest(self, fd: int, cloexec: int) -> int:
        """A new descriptor with the number that it should have, the lowest, once what of ours was there is closed.

        It takes a number that is free: what was closed a moment ago may be another thread's by now.
        """
        moved = self.plain_syscall("fcntl", fd, F_DUPFD_CLOEXEC if cloexec else F_DUPFD, 0)
        if moved < 0:
            return fd
        os.close(fd)
        return moved

    def open_in_root(self, root_fd: int, path: bytes, flags: int) -> int:
        """openat2 with RESOLVE_IN_ROOT: a descriptor or a negative errno."""
        how = flags.to_bytes(8, "little") + bytes(8) + RESOLVE_IN_ROOT.to_bytes(8, "little")
        memory = host.mmap(0, 8192, 3, 0x22)
        try:
            host.poke(memory, how)
            host.poke(memory + 64, path + b"\0")
            return self.plain_syscall("openat2", root_fd, memory + 64, memory, 24)
        finally:
            host.munmap(memory, 8192)

    # Threads ---------------------------------------------------------------------------------------------------

    def new_thread(self) -> Thread:
        """A thread that has not started."""
        return Thread(self, self.new_cpu())

    def new_cpu(self) -> Any:
        """A hardware thread of the machine in use."""
        cpu = self.engine.thread(self.space)
        if self.natively is not None:
            cpu.calls = self.natively.table
        return cpu

    def start_thread(self, thread: Thread, born: Callable[[], None]) -> bool:
        """Run a thread on a new host thread, with the same mask as ours. Returns once born() has run there.

        False when the host gives no more threads.
        """
        me = self.current_mask()
        self.block_all()  # the new one begins so
        thread.started.acquire()
        try:
            _thread.start_new_thread(self._run_thread, (thread, me, born))
        except RuntimeError:
            thread.release()
            return False
        else:
            thread.started.acquire()
        finally:
            self.set_mask(me)
        return True

    def _run_thread(self, thread: Thread, mask: int, born: Callable[[], None]) -> None:
        """The body of a host thread that is not the first."""
        try:
            self.adopt(thread)
            born()
            with self.world.lock:
                self.world.threads.append(thread)
            if self.exit is not None or self.pending_exec is not None:
                thread.ending = True
            thread.started.release()
            self.set_mask(mask)
            thread.loop()
        except BaseException as error:
            self.fail(error)
        finally:
            self.thread_over(thread)
        if self.child and thread.tid == self.pid:
            self.end_main(thread)

    def adopt(self, thread: Thread) -> None:
        """Make the calling host thread the one of a guest thread."""
        thread.ident = _thread.get_ident()
        thread.tid = _thread.get_native_id()
        thread.cpu.attach()

    def thread_over(self, thread: Thread) -> None:
        """What the kernel does when a thread ends: wake robust futexes and whoever joins it."""
        if self.exit is None and self.pending_exec is None and not self.exec_in_progress:
            from polyvm.user.syscalls import futex

            futex.thread_ends(thread)
        self.block_all()
        with self.world.lock:
            thread.done = True
            add_counts(self.past_counts, thread.counts)
            if thread in self.world.threads:
                self.world.threads.remove(thread)
            alone = not self.world.threads
        if alone or self.exit is not None or self.pending_exec is not None:
            self.wake_main()
        if thread.tid != self.pid:
            thread.release()

    def wake_main(self) -> None:
        """Let the first thread look again, if it waits."""
        if self.changed.locked():
            try:
                self.changed.release()
            except RuntimeError:
                return  # somebody else released it in between

    def current_mask(self) -> int:
        """The calling host thread's signal mask."""
        return self.host_signals.mask()

    def set_mask(self, mask: int) -> None:
        """Set the calling host thread's signal mask."""
        self.host_signals.set_mask(mask)

    def block_all(self) -> None:
        """Block every signal for the calling host thread."""
        self.host_signals.set_mask(signals.WORD)

    def set_apart(self, keep: Iterable[int] = ()) -> bool:
        """Make the calling host thread one of ours: no signals, and where the host allows it descriptors of its own.

        What it opens takes no number then that the guest's next descriptor should have, and is not there for it.
        keep: descriptors of ours that it needs all the same.
        """
        self.block_all()
        if self.plain_syscall("unshare", CLONE_FILES):
            return False
        # Its copies of the guest's would keep pipes and sockets open. What is logged may go to standard error.
        kept = sorted({*keep} if self.engine.log is None else {2, *keep})
        starts, ends = [0, *(fd + 1 for fd in kept)], [*(fd - 1 for fd in kept), 0xFFFFFFFF]
        ranges = [(start, end) for start, end in zip(starts, ends, strict=True) if start <= end]
        return all(self.plain_syscall("close_range", *pair, 0) == 0 for pair in ranges)

    def kick(self, thread: Thread) -> None:
        """Get a thread out of native code or a blocking host call."""
        thread.cpu.stop()

    def hand_over(self, thread: Thread, signo: int, info: bytes) -> bool:
        """Give a signal sent to the process to another thread that does not block it."""
        for other in self.world.threads:
            if other is not thread and not other.ending and not other.mask >> signo - 1 & 1:
                other.pending.append((signo, info))
                self.kick(other)
                return True
        return False

    def compare_and_swap(self, thread: Thread, address: int, old: int, new: int) -> int:
        """Atomically replace a guest's 32-bit word; what was there before. Raises GuestFault."""
        seen: int = thread.cpu.native.cas32(self.space.base + address, old, new)
        if seen >> 32:
            raise GuestFault(address, 1)
        return seen

    # The end ---------------------------------------------------------------------------------------------------

    def finish(self, kind: str, status: int | None, signal: int | None) -> None:
        """Decide how the process ends (the first decision counts) and end every thread."""
        if self.exit is None:
            self.exit = (kind, status, signal)
        self.end_threads()

    def end_threads(self, keep: Thread | None = None) -> None:
        """Tell every thread but one to end."""
        me = _thread.get_ident()
        for thread in list(self.world.threads):
            if thread is not keep:
                thread.ending = True
                if thread.ident != me:
                    self.kick(thread)
        if self.tracer is not None:
            self.tracer.ending()
        self.wake_main()

    def fail(self, error: BaseException) -> None:
        """Our own failure, in any thread: it ends the process and is raised by run()."""
        if self.error is None:
            self.error = error
        self.finish("failed", None, None)

    def killed(self, thread: Thread, signo: int, info: bytes) -> None:
        """The guest dies of a signal."""
        if self.exit is None:
            self.fatal = (thread, signo, info)
            if self.on_crash is not None:
                self.on_crash(thread, signo, info)
        self.finish("signaled", None, signo)

    def stop_self(self, signo: int) -> None:
        """Job control's default action, taken by us because the kernel asked us first."""
        self.plain_syscall("kill", self.pid, signals.SIGSTOP)

    def count_signal(self, signo: int, *, delivered: bool) -> None:
        """Hook of the statistics: a handler was entered."""

    def count_fault(self, signo: int) -> None:
        """Count a synchronous signal."""
        self.faults[signo] = self.faults.get(signo, 0) + 1

    def unhandled_exit(self, thread: Thread, reason: int) -> None:
        """An exit that belongs to the engine."""
        if self.on_exit_reason is None:
            from polyvm.errors import PolyvmError

            raise PolyvmError(
                "PVM-INTERNAL", f"Native code was left for reason {reason}, which nobody handles here."
            )
        self.on_exit_reason(thread, reason)

    # The first thread ------------------------------------------------------------------------------------------

    def run_main(self, thread: Thread) -> Result:
        """Run the first thread, then wait for the others; returns only in the process that started the guest."""
        while True:
            try:
                thread.loop()
            except BaseException as error:
                self.fail(error)
            request = self.pending_exec
            if request is None and self.exit is None:
                self.thread_over(thread)
            while self.exit is None and self.pending_exec is None:
                if not self.world.threads:
                    break
                self.changed.acquire()
            request, self.pending_exec = self.pending_exec, None
            if request is None or self.exit is not None:
                break
            thread = self._take_over(thread, request)
        return self.end_main(thread)

    def _take_over(self, old: Thread, request: Callable[[Thread], None]) -> Thread:
        """Another thread called execve: its program goes on here, in the thread whose tid is the PID."""
        old.ending = False
        old.done = False
        if old not in self.world.threads:
            self.world.threads.append(old)
        try:
            request(old)
        except BaseException as error:
            self.fail(error)
        return old

    def wait_others(self, thread: Thread | None, seconds: float) -> bool:
        """Wait until no other guest thread is left."""
        until = monotonic() + seconds
        again = monotonic() + 0.02
        while any(t is not thread for t in self.world.threads):
            if monotonic() > until:
                return False
            if monotonic() > again:  # a kick may have come between check and entry of a call without a window
                again = monotonic() + 0.02
                for other in list(self.world.threads):
                    if other is not thread:
                        self.kick(other)
            sleep(0.0002)
        return True

    def end_main(self, thread: Thread) -> Result:
        """Everything after the last guest instruction. In a forked child this does not return."""
        self.wait_others(thread, 2.0)
        if self.exit is None:
            self.exit = ("exited", self.first_status, None)
        kind, status, signo = self.exit
        if self.child:
            if self.borrowed is not None:
                self.borrowed.give_back()
            if kind == "signaled":
                die(signo or 0)
            if kind == "failed":
                self._report_failure()
            self.engine.hand_over()
            os._exit(125 if kind == "failed" else (status or 0) & 0xFF)
        if self.error is not None:
            raise self.error
        return collect(self, Result(kind, status, signo))

    def _report_failure(self) -> None:
        from polyvm.errors import PolyvmError

        text = self.error.render() if isinstance(self.error, PolyvmError) else f"polyvm: {self.error!r}"
        os.write(2, text.encode() + b"\n")


def die(signo: int) -> None:
    """End this process by a signal, without a core file; 128+N where the signal does not kill."""
    import resource

    from polyvm.user.hostsignals import reset_and_unblock

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    reset_and_unblock(signo)
    host.syscall(numbers()["tgkill"], os.getpid(), _thread.get_native_id(), signo)
    os._exit(128 + signo)


def run(
    program: bytes,
    argv: Sequence[bytes],
    env: Sequence[bytes],
    *,
    engines: Callable[[str], Any],
    sysroot: bytes | None = None,
    root: bytes | None = None,
    binds: Sequence[Bind] = (),
    cwd: bytes | None = None,
    timeout: float | None = None,
    strace: bool = False,
    report: bool = False,
    prepare: Callable[[Process], None] | None = None,
) -> Result:
    """Run a program in this process until it ends.

    engines: makes the engine of a guest by its name, when a program for it is met. binds: (host path, guest path,
    read-only). report: a Result is wanted even when a signal from outside ends the guest, so such signals are caught.
    prepare: called with the Process before the program starts.
    Raises PolyvmError for a program that cannot be run.
    """
    from polyvm.user import execute

    started = monotonic()
    process = Process(engines, sysroot=sysroot, root=root, binds=binds, strace=strace)
    process.actions.catch_fatal = report
    limits.begin(process)
    if process.paths.root is not None:
        process.paths.root.enter()
    if cwd is not None:
        execute.change_directory(process, cwd)
    what = execute.first_program(process, program, list(argv))
    process.use(what.guest)
    process.host_signals.begin()
    if prepare is not None:
        prepare(process)
    thread = process.new_thread()
    process.world.threads.append(thread)
    process.adopt(thread)
    thread.mask = process.host_signals.first_mask
    execute.begin(thread, what, list(env))
    if timeout is not None:
        fault.start_thread(_watch, process, timeout)
    signals.set_mask(thread, thread.mask)
    result = process.run_main(thread)
    process.engine.hand_over()
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    result.wall_s = monotonic() - started
    result.cpu_s = usage.ru_utime + usage.ru_stime
    result.max_rss = usage.ru_maxrss * 1024
    return result


def _watch(process: Process, timeout: float) -> None:
    """A thread that ends the guest when its time is over."""
    process.block_all()
    sleep(timeout)
    process.finish("timeout", None, None)
