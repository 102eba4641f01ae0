"""A guest's threads under a debugger: how each goes on, and what stops it.

Code runs as compiled code does everywhere but at breakpoints (engine.points); single steps, and all code while
something is watched, run exactly (engine.exact). Nothing here knows a packet. It refuses children of a fork, which go
on without a debugger.
"""

from __future__ import annotations

import os

from polyvm.debug import gdbwatch
from polyvm.debug.gdbgate import BREAKPOINT, EXEC, HARDWARE, RUNNING, Action, Gate, Stop, Traced
from polyvm.engine.exact import Exact
from polyvm.engine.layout import BUDGET, FAULT, PAUSE
from polyvm.engine.points import Points
from polyvm.user import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from polyvm.debug.gdbwatch import Watch
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread


class Control(Gate):
    """What user.tracer.Tracer asks for, and what a debugger may do with the program."""

    def __init__(self, process: Process, wake: Callable[[], None]) -> None:
        super().__init__(process, wake)
        self.passed: frozenset[int] = frozenset()  # signals that are delivered without a stop
        self.breakpoints: set[tuple[str, int]] = set()
        self.watches: set[Watch] = set()
        self._places: frozenset[int] = frozenset()
        self._watched: frozenset[Watch] = frozenset()
        self._executed: Thread | None = None
        self.descriptors: list[int] = []  # of the debugger, which are closed in children
        engine, space = process.engine, process.space
        self._points = Points(engine, space, space.slots)
        self._exact = Exact(engine, space)
        self._simple = gdbwatch.Simple(space)
        # A debugger may look at any register wherever the program stops.
        engine.set_precise(space)

    # -- for the debugger: of threads that are parked
    def resume(self, actions: Mapping[Thread, Action]) -> None:
        """Have threads go on, with the breakpoints and watchpoints of now; those without an action stay."""
        if self._apply():
            self.release(actions)

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
                    self.park(thread, traced)
                elif traced.action.signo:
                    self._send(thread, traced, traced.action)
                elif self._executed is thread:
                    if self.report(thread, traced, Stop(thread, signals.SIGTRAP, EXEC)):
                        self._executed = None
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
                self.over(thread)

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
            told = self.report(thread, traced, Stop(thread, signo))
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

    # -- by the guest's threads
    def _send(self, thread: Thread, traced: Traced, action: Action) -> None:
        """Deliver a signal that the debugger made up."""
        traced.approved, action.signo = action.signo, 0
        thread.pending.append((traced.approved, _sent(traced.approved)))
        signals.deliver(thread)
        traced.approved = 0

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
        self.report(thread, traced, Stop(thread, signals.SIGTRAP, why))

    def _touched(self, thread: Thread, traced: Traced) -> None:
        """An access began near what is watched: it is one that stops the program, or it is made now."""
        found = gdbwatch.reached(thread.cpu, thread.space, self._watched)
        if found is not None:
            watch, address = found
            self.report(thread, traced, Stop(thread, signals.SIGTRAP, watch.kind, address))
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
            self.report(thread, traced, Stop(thread, signals.SIGTRAP))
        elif pc in self._places:
            self._hit(thread, traced)


def _sent(signo: int) -> bytes:
    """The siginfo of a signal that the debugger made up: as if this process had sent it."""
    return signals.info_kill(signo, signals.SI_USER, os.getpid(), os.getuid())
