"""Stopping the world: while somebody changes what other guest threads run or read, they are out of native code.

A context manager, re-entrant within one thread. Threads inside a blocking host call stay there (the kernel copes
with memory that goes away); they wait at the gate when they come back. It refuses to stop the caller itself.
"""

from __future__ import annotations

import _thread
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread


class World:
    """The gate between Python and native code."""

    __slots__ = ("_depth", "closed", "lock", "threads")

    def __init__(self) -> None:
        self.lock = _thread.RLock()
        self.closed = False
        self.threads: list[Thread] = []
        self._depth = 0

    def __enter__(self) -> None:
        if not self.lock.acquire(False):
            self._wait_in()
        self._depth += 1
        if self._depth == 1 and len(self.threads) > 1:
            self.closed = True
            self._wait_out(_thread.get_ident())

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.closed = False
        self.lock.release()

    def _wait_in(self) -> None:
        """Wait until nobody else has the world stopped.

        A thread that was called back from its native code (something is hot, code is to be flushed) still counts as in
        there. It is not while it waits here: whoever stops the world waits for it.
        """
        me = _thread.get_ident()
        inside = [t for t in self.threads if t.native and t.ident == me]
        for thread in inside:
            thread.native = False
        self.lock.acquire()
        for thread in inside:
            thread.native = True

    def _wait_out(self, me: int) -> None:
        """Wait until no other thread is in native code."""
        delay = 0.00002
        while True:
            inside = [t for t in self.threads if t.native and t.ident != me]
            if not inside:
                return
            for thread in inside:
                thread.cpu.stop()
            sleep(delay)
            delay = min(delay * 2, 0.001)

    def wait(self) -> None:
        """At the gate: come back when it is open."""
        with self.lock:
            pass
