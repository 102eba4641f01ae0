"""$POLYVM_LOG: what polyvm says of its own doings, on standard error or in a file, through the logger "polyvm".

The value is a level, or LEVEL,FILE. Without the variable nothing of this is loaded, and nobody asks twice.
"""

from __future__ import annotations

import os
from _thread import get_ident

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

EBADF = 9
VARIABLE = "POLYVM_LOG"
LEVELS = ("error", "warning", "info", "debug")


def configure(still_ours: Callable[[], bool]) -> logging.Logger | None:
    """The logger, as the environment asks for it; None where it does not.

    still_ours: whether standard error is still the one that we were given; when it is not, nothing is written there.
    Raises PVM-USAGE for a level that does not exist, or a file that cannot be written.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return None
    level, _, path = wanted.partition(",")
    if level not in LEVELS:
        raise PolyvmError(
            "PVM-USAGE",
            f"${VARIABLE} names the level {level!r}, which does not exist.",
            hint=f"The levels are {', '.join(LEVELS)}; {VARIABLE}=info,FILE writes to a file.",
        )
    import logging

    class Descriptor(logging.Handler):
        """Writes whole lines to a file, or standard error; what cannot be written is lost, and the guest goes on."""

        def __init__(self, file: Appender | None) -> None:
            super().__init__()
            self.file = file

        def emit(self, record: logging.LogRecord) -> None:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
            if self.file is not None:
                self.file.write(line)
            elif still_ours():
                try:
                    os.write(2, line)
                except OSError:
                    pass

    handler = Descriptor(_open(path) if path else None)
    handler.setFormatter(
        logging.Formatter("polyvm[%(process)d] %(relativeCreated)d ms %(levelname)s: %(message)s")
    )
    logger = logging.getLogger("polyvm")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())
    return logger


class Appender:
    """A file of ours that is written behind its end, from threads that share descriptors with the guest and others.

    Raises OSError when it cannot be opened; later, what cannot be written is lost.
    """

    def __init__(self, path: str, mode: int = 0o666, flags: int = 0) -> None:
        self.path = os.path.abspath(path)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | flags, mode)
        self.others: dict[int, int] = {}  # of threads that have a table of descriptors of their own

    def hide(self, hide: Callable[[int], int]) -> None:
        """Have the descriptor moved out of the guest's sight."""
        self.fd = hide(self.fd)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        try:
            fd = self.others.get(get_ident(), self.fd)
            while data:
                try:
                    data = data[os.write(fd, data) :]
                except OSError as error:
                    if error.errno != EBADF or fd != self.fd:
                        raise
                    fd = self.others[get_ident()] = os.open(
                        self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
                    )
        except OSError:
            pass

    def close(self) -> None:
        """Close it in this thread."""
        os.close(self.fd)


def _open(path: str) -> Appender:
    try:
        return Appender(path)
    except OSError as error:
        raise PolyvmError(
            "PVM-USAGE",
            f"${VARIABLE} names the file {path}, which cannot be written: {error.strerror}.",
            hint=f"{VARIABLE}=info writes to standard error.",
            path=path,
        ) from error
