"""The interpreter as a file in the cache: found by what it was made from, or made once by a child process.

The start of every program comes through here, so the usual way is a few stat calls and one file. It refuses to
compile in this process: LLVM would stay resident, and Ctrl-C would have to wait for it.
"""

from __future__ import annotations

import os
import sys

from polyvm.engine import cachedir, layout
from polyvm.engine import image as images
from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.engine.image import Image

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SOURCES = ("ir", "emit", "engine", "isa")


def host_key() -> str:
    """What of the host's CPU decides what code may run on it."""
    fields: dict[str, str] = {}
    fd = os.open("/proc/cpuinfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 8192).decode(errors="replace")
    finally:
        os.close(fd)
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return "|".join(
        fields.get(name, "") for name in ("vendor_id", "cpu family", "model", "model name", "flags")
    )


def source_key(guest: str) -> str:
    """What the specification and the engine are: their sources' names, sizes and times."""
    parts = []
    name, _, vectors = guest.partition(layout.VECTORS)
    for folder in (*_SOURCES, f"isa/{name}", *([f"isa/{name}/vector"] if vectors else [])):
        with os.scandir(f"{PACKAGE}/{folder}") as scan:
            for item in scan:
                if item.name.endswith(".py"):
                    found = item.stat()
                    parts.append(f"{folder}/{item.name}:{found.st_size}:{found.st_mtime_ns}")
    return "|".join(sorted(parts))


def key(guest: str) -> str:
    """16 hexadecimal digits that change with the guest's specification, the engine, and the host CPU."""
    import _imp

    text = f"{guest}|{host_key()}|{source_key(guest)}".encode()
    return "".join(_imp.source_hash(salt, text).hex() for salt in (1, 2))


def load(
    guest: str, folder: str | None, progress: Callable[[str], None] | None, *, tail: int, room: int
) -> tuple[Image, str, bool, int]:
    """The interpreter of a guest, its key, whether it was made and kept now, and how many files could not be used
    (0 or 1).

    tail, room: of images.load. folder: the cache, or None for none. progress: told a line when making it takes a while.
    Raises PVM-COMPILE-FAILED, PVM-CACHE-UNTRUSTED, PVM-RESOURCE.
    """
    identity = key(guest)
    name = f"tier0/{guest}-{identity}.pvi"
    rejected = 0
    if folder is not None:
        fd = cachedir.open_file(folder, name)
        rejected = int(fd != cachedir.MISSING)
        if fd >= 0:
            try:
                image = images.load(fd, tail=tail, room=room)
                if image.meta == identity.encode():
                    return image, identity, False, 0
                image.unload()  # intact, but made for another version or machine, and put here by somebody
            except PolyvmError as error:
                if error.code != "PVM-CACHE-DAMAGED":
                    raise
            finally:
                os.close(fd)
    if progress is not None:
        progress(
            f"polyvm: compiling the {guest} interpreter for this machine, once (seconds, or half a minute)"
        )
    data = _make(guest, identity)
    written = False
    if folder is not None:
        written = cachedir.write(folder, name, data)
        cachedir.trim(folder)
    return images.load(data, tail=tail, room=room), identity, written, rejected


def worker_command(*arguments: str) -> list[str]:
    """The command line of one of our helper processes, which sees neither the user's modules nor the environment's."""
    path = f"import sys; sys.path.insert(0, {os.path.dirname(PACKAGE)!r})"
    start = f"{path}; from polyvm.engine.worker import main; main()"
    return [sys.executable, "-I", "-c", start, *arguments]


def _make(guest: str, identity: str) -> bytes:
    """Run a child that writes the image to a pipe."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    command = worker_command("interpreter", guest, identity)
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    try:
        pid = os.posix_spawn(command[0], command, dict(os.environ), file_actions=actions)
    except OSError as error:
        os.close(reading)
        raise PolyvmError(
            "PVM-COMPILE-FAILED", "The compiler process could not be started.", errno=error.errno
        ) from error
    finally:
        os.close(writing)
    parts = []
    try:
        while part := os.read(reading, 1 << 20):
            parts.append(part)
    finally:
        os.close(reading)
        _, status = os.waitpid(pid, 0)
    if status:
        raise PolyvmError(
            "PVM-COMPILE-FAILED",
            "The compiler process failed; what it said stands above.",
            hint="polyvm doctor says whether this machine has what it takes.",
            status=os.waitstatus_to_exitcode(status),
            guest=guest,
        )
    return b"".join(parts)
