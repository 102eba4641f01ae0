"""Where a guest's threads wait while a debugger looks: all of them stop when one does, and go on when they are told to.

Each parks itself, at its next turn: between two instructions, with every register in its state, and outside of all
calls but those that nothing interrupts. Nothing here knows a packet, nor how a thread runs.
"""

from __future__ import annotations

import errno
import threading
from time import monotonic

from polyvm.user import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

    T = TypeVar("T")

RUNNING, STOPPING, STOPPED = range(3)
SETTLE_S = 0.5
"""How long a stop waits for threads that are in a call which nothing interrupts."""
UNATTENDED_S = 0.2
"""How often a thread that waits for the first debugger looks whether somebody wants its end."""
BREAKPOINT, HARDWARE, EXEC, NO_RESUMED = "swbreak", "hwbreak", "exec", "no-resumed"


class Stop:
    """Why the program stopped. why: "", BREAKPOINT, HARDWARE, EXEC, NO_RESUMED or a watchpoint's kind, with a value."""

    __slots__ = ("signo", "thread", "value", "why")

    def __init__(self, thread: Thread | None, signo: int, why: str = "", value: int = 0) -> None:
        self.thread = thread
        self.signo = signo
        self.why = why
        self.value = value


class Action:
    """How a thread goes on: by itself, or by steps until pc is outside of start..end; and with which signal."""

    __slots__ = ("end", "signo", "start", "step")

    def __init__(self, *, step: bool = False, signo: int = 0, start: int = 0, end: int = 0) -> None:
        self.step = step
        self.signo = signo
        self.start = start
        self.end = end


class Traced:
    """What is known of a thread. action: None while it is to stay where it is."""

    __slots__ = ("action", "approved", "info", "moved", "parked", "resumed", "since")

    def __init__(self) -> None:
        self.action: Action | None = Action()
        self.approved = 0  # a signal that the debugger need not be asked about
        self.parked = False
        self.moved = False  # its registers were set while it was parked
        self.resumed = 0  # how often it was
        self.since = 0  # its pc then
        self.info = b""  # siginfo of the signal it stopped with


class _Job:
    """Something that one thread does for another."""

    __slots__ = ("done", "error", "job", "result")

    def __init__(self, job: Callable[[], Any]) -> None:
        self.job = job
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def do(self) -> None:
        """Do it, in the calling thread."""
        try:
            self.result = self.job()
        except BaseException as error:
            self.error = error
        self.done = True


class Gate:
    """The threads of one process. wake: called when the program is about to stop."""

    def __init__(self, process: Process, wake: Callable[[], None]) -> None:
        self.process = process
        self.wake = wake
        self.changed = threading.Condition()
        self.state = STOPPED  # before the first instruction
        self.stop = Stop(None, signals.SIGTRAP)
        self.attached = False  # whether anybody wants to hear of anything
        self.closed = False
        self.begun = False  # whether the first thread is where it is to stop
        self._traced: dict[Thread, Traced] = {}
        self._jobs: list[_Job] = []

    # -- for the debugger: of threads that are parked
    def threads(self) -> list[Thread]:
        """The guest's threads, in the order they came."""
        return [thread for thread in list(self.process.world.threads) if not thread.done]

    def traced(self, thread: Thread) -> Traced:
        """What is known of a thread."""
        found = self._traced.get(thread)
        if found is None:
            found = self._traced.setdefault(thread, Traced())
        return found

    def interrupt(self) -> None:
        """Have the program stop, soon, as by Ctrl-C; nothing when it does already."""
        with self.changed:
            if self.state == RUNNING:
                threads = self.threads()
                self.state, self.stop = STOPPING, Stop(threads[0] if threads else None, signals.SIGINT)

    def settle(self) -> bool:
        """Wait until the program has stopped; whether it has, and did not end instead.

        A thread in a call that nothing interrupts is left there: it parks when that comes back.
        """
        until = monotonic() + SETTLE_S
        with self.changed:
            while self.process.exit is None and not self.closed:
                busy = [t for t in self.threads() if not t.ending and not self.traced(t).parked]
                if self.begun and (not busy or monotonic() > until):
                    self.state = STOPPED
                    return True
                for thread in busy:
                    thread.cpu.stop()
                self.changed.wait(0.005)
        return False

    def release(self, actions: Mapping[Thread, Action]) -> None:
        """Have threads go on, each as its action says; those without one stay where they are."""
        with self.changed:
            for thread in self.threads():
                traced = self.traced(thread)
                traced.action = actions.get(thread)
                traced.resumed += 1
            self.state = RUNNING
            self.changed.notify_all()

    def ask(self, job: Callable[[], T]) -> T:
        """What a job returns that one of the guest's threads does, while it is parked. Raises what the job does, and
        OSError when no thread is parked.
        """
        asked = _Job(job)
        with self.changed:
            self._jobs.append(asked)
            self.changed.notify_all()
            if not self.changed.wait_for(lambda: asked.done, SETTLE_S) and asked in self._jobs:
                self._jobs.remove(asked)
                raise OSError(errno.EBUSY, "no thread is parked")
        if asked.error is not None:
            raise asked.error
        return asked.result  # type: ignore[no-any-return]  # the job's

    def close(self) -> None:
        """The program is over, or never began."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def ending(self) -> None:
        """Threads were told to end."""
        with self.changed:
            self.changed.notify_all()

    # -- by the guest's threads
    def park(self, thread: Thread, traced: Traced) -> None:
        """Wait until this thread may go on, or must end."""
        with self.changed:
            traced.parked = self.begun = True
            self.changed.notify_all()
            while not thread.ending and (self.state != RUNNING or traced.action is None):
                if self._jobs:
                    self._jobs.pop(0).do()
                    self.changed.notify_all()
                elif self.attached:
                    self.changed.wait()
                else:  # nobody has come yet: Ctrl-C still ends it
                    self.changed.wait(UNATTENDED_S)
                    signals.collect(thread)
                    if signals.deliverable(thread, thread.mask):
                        signals.deliver(thread)
            traced.parked = False
            traced.since = thread.cpu.pc

    def report(self, thread: Thread, traced: Traced, stop: Stop) -> bool:
        """Stop the program for an event, and wait; False when it had stopped for another one meanwhile."""
        with self.changed:
            told = self.state == RUNNING and self.attached
            if told:
                self.state, self.stop = STOPPING, stop
                traced.parked = True  # as good as
        if told:
            self.wake()
        self.park(thread, traced)
        return told

    def over(self, thread: Thread) -> None:
        """A thread ends. If all that are left were told to stay, nothing would ever happen again."""
        with self.changed:
            self._traced.pop(thread, None)
            left = [t for t in self.threads() if t is not thread and not t.ending]
            lonely = (
                self.state == RUNNING and self.attached and self.process.exit is None and left
                and all(self.traced(t).action is None for t in left)
            )  # fmt: skip
            if lonely:
                self.state, self.stop = STOPPING, Stop(left[0], 0, NO_RESUMED)
        if lonely:
            self.wake()
