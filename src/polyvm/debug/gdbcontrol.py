"""A guest's threads under a debugger: parked while it looks, and told how to go on.

All threads stop when one does. Each parks itself, at its next turn: between two instructions, with every register in
its state, and outside of all calls but those that nothing interrupts. Code runs as compiled code does everywhere but
at breakpoints (engine.points); single steps, and all code while something is watched, run exactly (engine.exact).
Nothing here knows a packet. It refuses children of a fork, which go on without a debugger.
"""

from __future__ import annotations

import errno
import os
import threading
from time import monotonic

from polyvm.debug import gdbwatch
from polyvm.engine.exact import Exact
from polyvm.engine.layout import BUDGET, FAULT, PAUSE
from polyvm.engine.points import Points
from polyvm.user import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from polyvm.debug.gdbwatch import Watch
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

    T = TypeVar("T")

RUNNING, STOPPING, STOPPED = range(3)
SETTLE_S = 0.5
"""How long a stop waits for threads that are in a call which nothing interrupts."""
UNATTENDED_S = 0.2
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


class Control:
    """The threads of one process; what user.tracer.Tracer asks for. wake: called when the program is about to stop."""

    def __init__(self, process: Process, wake: Callable[[], None]) -> None:
        self.process = process
        self.wake = wake
        self.changed = threading.Condition()
        self.state = STOPPED  # before the first instruction
        self.stop = Stop(None, signals.SIGTRAP)
        self.attached = False  # whether anybody wants to hear of anything
        self.closed = False
        self.begun = False  # whether the first thread is where it is to stop
        self.passed: frozenset[int] = frozenset()  # signals that are delivered without a stop
        self.breakpoints: set[tuple[str, int]] = set()
        self.watches: set[Watch] = set()
        self._places: frozenset[int] = frozenset()
        self._watched: frozenset[Watch] = frozenset()
        self._traced: dict[Thread, Traced] = {}
        self._executed: Thread | None = None
        self._jobs: list[_Job] = []
        self.descriptors: list[int] = []  # of the debugger, which are closed in children
        engine, space = process.engine, process.space
        self._points = Points(engine, space, space.slots)
        self._exact = Exact(engine, space)
        self._simple = gdbwatch.Simple(space)
        # A debugger may look at any register wherever the program stops.
        engine.set_precise(space)

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

    def resume(self, actions: Mapping[Thread, Action]) -> None:
        """Have threads go on, each as its action says; those without one stay where they are."""
        if not self._apply():
            return
        with self.changed:
            for thread in self.threads():
                traced = self.traced(thread)
                traced.action = actions.get(thread)
                traced.resumed += 1
            self.state = RUNNING
            self.changed.notify_all()

    def detach(self) -> None:
        """Nobody looks any more: the program goes on without breakpoints, with the signals that it stopped for."""
        self.attached = False
        self.passed = frozenset()
        self.breakpoints.clear()
        self.watches.clear()
        self.interrupt()
        if self.settle():
            actions = {}
            for thread in self.threads():
                info = self.traced(thread).info
                actions[thread] = Action(signo=int.from_bytes(info[:4], "little"))
            self.resume(actions)

    def attach(self) -> None:
        """Somebody looks again: stop the program."""
        self.attached = True
        self.interrupt()

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

    def kill(self) -> None:
        """End the program as SIGKILL does."""
        self.process.finish("signaled", None, signals.SIGKILL)

    def _apply(self) -> bool:
        """Put breakpoints and watchpoints where they are wanted now; whether the program is still there."""
        places = frozenset(address for _, address in self.breakpoints)
        watched = frozenset(self.watches)
        if self.process.exit is not None:
            return False
        if (places, watched) != (self._places, self._watched):
            with self.process.world:  # whoever was left in a call may be in native code
                self._points.set(places)
                self._exact.set_points(places if watched else ())
                self._places, self._watched = places, watched
        return True

    # -- what the process asks for
    def loop(self, thread: Thread) -> None:
        """Run guest code until the thread ends."""
        process, world = thread.process, thread.process.world
        traced = self.traced(thread)
        try:
            while not thread.ending:
                if process.tracer is not self:
                    thread.loop()  # in the child of a fork
                    return
                if self.state != RUNNING or traced.action is None:
                    self._park(thread, traced)
                elif traced.action.signo:
                    self._send(thread, traced, traced.action)
                elif self._executed is thread:
                    self._executed = None
                    self._report(thread, traced, Stop(thread, signals.SIGTRAP, EXEC))
                else:
                    thread.native = True
                    if world.closed:
                        thread.native = False
                        world.wait()
                    elif traced.action.step:
                        self._step(thread, traced)
                    elif thread.cpu.golden:
                        self._go_golden(thread, traced)
                    else:
                        self._go(thread, traced)
        finally:
            if process.tracer is self:
                self._over(thread)

    def signal(self, thread: Thread, signo: int, info: bytes) -> tuple[int, bytes, bool]:
        """A signal is about to be delivered: stop, and deliver what the debugger says."""
        traced = self.traced(thread)
        if signo == traced.approved:
            traced.approved = 0
            return signo, info, False
        traced.moved = False
        told = False
        while not told:
            if not self.attached or signo in self.passed or thread.ending:
                return signo, info, traced.moved
            traced.info = info
            told = self._report(thread, traced, Stop(thread, signo))
        traced.info = b""
        chosen = 0
        if traced.action is not None:
            chosen, traced.action.signo = traced.action.signo, 0
        return chosen, info if chosen == signo else _sent(chosen), traced.moved

    def executed(self, thread: Thread) -> None:
        """The process has become another program: its breakpoints are gone with the old one."""
        self.breakpoints.clear()
        self.watches.clear()
        self._points.set(())
        self._exact.set_points(())
        self._places, self._watched = frozenset(), frozenset()
        engine = self.process.engine  # another one's, maybe
        self._points.use(engine)
        self._exact.use(engine)
        engine.set_precise(self.process.space)
        if self.attached:
            self._executed = thread

    def forked(self, thread: Thread) -> None:
        """A child is not traced: its memory has no breakpoints. What locks there are may be another thread's."""
        self._points.set(())
        self._exact.set_points(())
        for fd in self.descriptors:
            self.process.unhide(fd)

    def ending(self) -> None:
        """Threads were told to end."""
        with self.changed:
            self.changed.notify_all()

    # -- by the guest's threads
    def _send(self, thread: Thread, traced: Traced, action: Action) -> None:
        """Deliver a signal that the debugger made up."""
        traced.approved, action.signo = action.signo, 0
        thread.pending.append((traced.approved, _sent(traced.approved)))
        signals.deliver(thread)
        traced.approved = 0

    def _park(self, thread: Thread, traced: Traced) -> None:
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

    def _report(self, thread: Thread, traced: Traced, stop: Stop) -> bool:
        """Stop the program for an event, and wait; False when it had stopped for another one meanwhile."""
        with self.changed:
            told = self.state == RUNNING and self.attached
            if told:
                self.state, self.stop = STOPPING, stop
                traced.parked = True  # as good as
        if told:
            self.wake()
        self._park(thread, traced)
        return told

    def _go(self, thread: Thread, traced: Traced) -> None:
        """Run freely until something outside must be done."""
        cpu, watched = thread.cpu, self._watched
        if watched:
            reason = self._exact.watch(
                cpu, *gdbwatch.hull(watched), lambda: self._simple.passes(cpu, watched)
            )
        else:
            reason = cpu.run()
        thread.native = False
        if reason == PAUSE:
            self._hit(thread, traced)
        elif reason == FAULT and watched and self._exact.is_watched(cpu, *gdbwatch.hull(watched)):
            self._touched(thread, traced)
        else:
            thread.left(reason)

    def _go_golden(self, thread: Thread, traced: Traced) -> None:
        """The same by the evaluator, which knows neither breakpoints nor watchpoints."""
        cpu, reason = thread.cpu, BUDGET
        while self.state == RUNNING and reason == BUDGET:
            if cpu.pc in self._places:
                thread.native = False
                self._hit(thread, traced)
                return
            if self._watched and gdbwatch.reached(cpu, thread.space, self._watched) is not None:
                thread.native = False
                self._touched(thread, traced)
                return
            reason, _ = self._exact.step(cpu)
        thread.native = False
        if reason != BUDGET:
            thread.left(reason)

    def _hit(self, thread: Thread, traced: Traced) -> None:
        """A breakpoint was reached. It is again when the thread goes on from here: who set it steps over it first."""
        pc = thread.cpu.pc
        why = HARDWARE if (BREAKPOINT, pc) not in self.breakpoints else BREAKPOINT
        self._report(thread, traced, Stop(thread, signals.SIGTRAP, why))

    def _touched(self, thread: Thread, traced: Traced) -> None:
        """An access began near what is watched: it is one that stops the program, or it is made now."""
        found = gdbwatch.reached(thread.cpu, thread.space, self._watched)
        if found is not None:
            watch, address = found
            self._report(thread, traced, Stop(thread, signals.SIGTRAP, watch.kind, address))
            return
        reason, _ = self._exact.step(thread.cpu)
        if reason != BUDGET:
            thread.left(reason)

    def _step(self, thread: Thread, traced: Traced) -> None:
        """One instruction, and a stop behind it: or the next one, as long as pc is in the action's range."""
        cpu, resumed = thread.cpu, traced.resumed
        done = cpu.pc != traced.since  # a signal's handler is about to begin: that is a step as well
        if not done:
            reason, done = self._exact.step(cpu)
            thread.native = False
            if reason != BUDGET:
                thread.left(reason)
            if traced.resumed != resumed:
                return  # it stopped for a signal on the way, and was told how to go on from there
        thread.native = False
        action = traced.action
        if thread.process.tracer is not self or thread.ending or action is None:
            return
        pc = thread.cpu.pc
        # Elsewhere without an instruction: a system call was made, or a handler is about to begin.
        done = done or pc != traced.since or thread.cpu is not cpu
        traced.since = pc
        if not done or self._executed is thread:
            return
        if not action.start <= pc < action.end:
            self._report(thread, traced, Stop(thread, signals.SIGTRAP))
        elif pc in self._places:
            self._hit(thread, traced)

    def _over(self, thread: Thread) -> None:
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


def _sent(signo: int) -> bytes:
    """The siginfo of a signal that the debugger made up: as if this process had sent it."""
    return signals.info_kill(signo, signals.SI_USER, os.getpid(), os.getuid())
