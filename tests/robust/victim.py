"""`polyvm` with a weak spot: victim.py POINT NUMBER ARGS... dies of SIGKILL at a point of its NUMBERth cache write.

POINT: "opened" (the temporary file is there, empty), "half" (half of it is written), "written" (all of it, under its
temporary name), "renamed" (it is in place). polyvm itself knows nothing of this: only the module's view of `os` is
replaced here.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from polyvm.engine import cachedir

POINTS = ("opened", "half", "written", "renamed")


class Os:
    """What the cache sees as `os`: the real one, but for the point where the process dies."""

    def __init__(self, point: str, number: int) -> None:
        self.point = point
        self.left = number

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        fd = os.open(path, flags, mode)
        if flags & os.O_CREAT:
            self.left -= 1
            self.die("opened")
        return fd

    def write(self, fd: int, data: Any) -> int:
        if self.left == 0 and self.point == "half":
            os.write(fd, data[: len(data) // 2])
            self.die("half")
        return os.write(fd, data)

    def rename(self, source: str, target: str) -> None:
        self.die("written")
        os.rename(source, target)
        self.die("renamed")

    def die(self, point: str) -> None:
        if self.left == 0 and self.point == point:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    cachedir.os = Os(sys.argv[1], int(sys.argv[2]))  # type: ignore[assignment]
    sys.argv[1:] = sys.argv[3:]
    from polyvm.cli.main import main

    sys.exit(main())
