"""A `polyvm run` with a terminal of its own, whose other side is ours, and with its counters in memory that we share.

It leads a session: Ctrl-C that is typed into its terminal reaches it, and none of ours does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

from polyvm.debug.live import Board

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 16
END_S = 0.3
"""What a guest has to end by itself when it is told to."""


class GuestProcess:
    """Starts at once. command: the command line, for the option of --live that is given to it. status: its exit status,
    or 128 and the signal that killed it; None as long as it runs.
    """

    def __init__(self, command: Callable[[str], list[str]]) -> None:
        memory = os.memfd_create("polyvm live", 0)
        words = command(f"fd:{memory}")
        self.status: int | None = None
        self.pid, self.fd = pty.fork()
        if not self.pid:
            try:
                os.set_inheritable(memory, True)
                os.execv(words[0], words)
            except OSError as error:
                os.write(2, f"{words[0]}: {error.strerror}\n".encode())
            finally:
                os._exit(125)
        os.set_blocking(self.fd, False)
        self._path = f"/proc/self/fd/{memory}"
        self._board: Board | None = None
        self._unsent = b""

    def read(self) -> tuple[int, dict[str, object]] | None:
        """The picture that holds now, of debug.live."""
        if self._board is None:
            if os.stat(self._path).st_size == 0:
                return None
            self._board = Board.open(self._path)
        return self._board.read()

    def receive(self) -> bytes | None:
        """What the guest has written; b"" for nothing yet, None when there is nobody to write any more."""
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if data:
            return data
        self.wait()
        return None

    def send(self, data: bytes) -> None:
        """Type something. What a guest that does not read has no room for any more is lost, as on any terminal."""
        try:
            os.write(self.fd, data)
        except (BlockingIOError, OSError):
            return

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has another size."""
        try:
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        except OSError:
            return

    def wait(self, seconds: float = END_S) -> int | None:
        """Its status, if it ends in time."""
        until = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.status = code if code >= 0 else 128 - code
            elif time.monotonic() > until:
                return None
            else:
                time.sleep(0.005)
        return self.status

    def end(self) -> int:
        """End it, where it has not ended; the status that it had by itself, 0 when it was ended."""
        if self.status is not None or self.wait(0.0) is not None:
            return self.status or 0
        for signo in (signal.SIGHUP, signal.SIGKILL):
            try:
                os.killpg(self.pid, signo)
            except ProcessLookupError:
                pass
            if self.wait() is not None:
                break
        return 0
