"""What a process asks of whoever debugs it: to run its threads, and what is to become of their signals.

A process without one pays nothing for this. It refuses to be known by what it is: the layer above hands it in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from polyvm.user.thread import Thread

    class Tracer(Protocol):
        """A debugger, as the process sees it. All but ending() are called by the thread that they are about."""

        def loop(self, thread: Thread) -> None:
            """Run guest code until the thread ends, as Thread.loop does."""

        def signal(self, thread: Thread, signo: int, info: bytes) -> tuple[int, bytes, bool]:
            """A signal is about to be delivered: the signal to deliver instead, 0 for none, and its siginfo; and
            whether the thread was given other registers meanwhile. May take long.
            """

        def executed(self, thread: Thread) -> None:
            """The process has become another program; this is its only thread."""

        def forked(self, thread: Thread) -> None:
            """This is the only thread of a forked child, which is not traced."""

        def ending(self) -> None:
            """Threads were told to end, from any thread: none may be kept waiting."""
