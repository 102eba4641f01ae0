"""`polyvm` on a full disk: full_disk.py BYTES ARGS... writes so many bytes into its cache, then no space is left.

polyvm itself knows nothing of this: only the cache module's view of `os` is replaced here, as by victim.py.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

from polyvm.engine import cachedir


class Os:
    """What the cache sees as `os`."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = os.write(fd, data[: self.room])
        self.room -= done
        return done


if __name__ == "__main__":
    cachedir.os = Os(int(sys.argv[1]))  # type: ignore[assignment]
    sys.argv[1:] = sys.argv[2:]
    from polyvm.cli.main import main

    sys.exit(main())
