"""Signals of the host that Python has handlers for, in the main thread: they stop native code, so that these can run.

For who runs guest code inside somebody else's program (the emulator, the JIT as an accelerator). It refuses nothing.
"""

from __future__ import annotations

import threading

from polyvm.engine import fault, layout

_PYTHONS = ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def let_signals_through() -> None:
    """Call it before guest code is entered. In other threads it does nothing: Python's handlers never run there."""
    if threading.current_thread() is not threading.main_thread():
        return
    import signal

    for name in _PYTHONS:
        signo = getattr(signal, name, None)
        if signo is not None and signo not in fault._taken and callable(signal.getsignal(signo)):
            fault.take(int(signo), layout.POLICY_STOP | layout.POLICY_CHAIN)
