"""The folder that everything compiled is kept in: where it is, whether it can be trusted, and its files.

A checksum finds damage, not malice, so the folder must be ours alone (mode 0700) or it is refused. Files appear whole
or not at all, are opened without following links, and only when they are ours. What is in a file is the business of
whoever made it: `engine.image` for native images. It refuses to mend permissions that somebody else chose.
"""

from __future__ import annotations

import os

from polyvm.errors import PolyvmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
OTHERS_WRITE = 0o022
TEMPORARY = ".new-"  # files being written: .new-<pid>-<name>
_REGULAR, _DIRECTORY, _KIND = 0o100000, 0o040000, 0o170000


def path() -> str:
    """Where the cache is: $POLYVM_CACHE_DIR, else $XDG_CACHE_HOME/polyvm, else ~/.cache/polyvm.

    As the XDG specification asks, a relative $XDG_CACHE_HOME is ignored.
    """
    named = os.environ.get("POLYVM_CACHE_DIR")
    if named:
        return os.path.abspath(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "polyvm")


def prepare(folder: str | None = None) -> str:
    """The cache folder (default: path()), made if it is missing, and checked.

    Raises PVM-CACHE-UNTRUSTED when it could be changed by another user, and what the host says when it cannot be made.
    """
    folder = path() if folder is None else folder
    try:
        check(folder)
    except FileNotFoundError:
        # Parents get the user's usual permissions, the folder its own from the first moment.
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # another process was faster
        check(folder)
    return folder


def check(folder: str) -> None:
    """Raise PVM-CACHE-UNTRUSTED unless the folder is a directory of ours that nobody else can enter.

    Raises FileNotFoundError when it is not there.
    """
    link = os.lstat(folder)
    found = link
    us = os.geteuid()
    if link.st_mode & _KIND == 0o120000:
        found = os.stat(folder)
        if link.st_uid not in (us, 0):
            raise _untrusted(folder, f"is a link that user {link.st_uid} made", "Remove the link.")
    if found.st_mode & _KIND != _DIRECTORY:
        raise _untrusted(folder, "is not a folder", "Move the file away.")
    if found.st_uid != us:
        raise _untrusted(
            folder,
            f"belongs to user {found.st_uid}, and this is user {us}",
            "Name a folder of your own with POLYVM_CACHE_DIR.",
        )
    if found.st_mode & 0o077:
        raise _untrusted(
            folder, f"is open to other users (mode {found.st_mode & 0o7777:04o})", f"chmod 700 {folder}"
        )


def read(folder: str, name: str) -> bytes | None:
    """A file's bytes, or None when there is none that can be trusted."""
    fd = open_file(folder, name)
    if fd < 0:
        return None
    try:
        parts = []
        while part := os.read(fd, 1 << 24):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def open_file(folder: str, name: str) -> int:
    """A descriptor of a file in the cache, to read; -1 when there is none, or it is not ours, or is no plain file."""
    try:
        fd = os.open(os.path.join(folder, name), _READ)
    except OSError:
        return -1
    found = os.fstat(fd)
    if found.st_mode & _KIND != _REGULAR or found.st_uid != os.geteuid() or found.st_mode & OTHERS_WRITE:
        os.close(fd)
        return -1
    return fd


def write(folder: str, name: str, data: bytes) -> bool:
    """Put a file into the cache, whole or not at all, replacing an earlier one. Whether it could be done.

    A full disk or a read-only one is no reason to stop a program: without the file it is only slower the next time.
    """
    temporary = os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{name.replace('/', '-')}")
    target = os.path.join(folder, name)
    try:
        fd = os.open(temporary, _WRITE, 0o600)
    except FileExistsError:  # left behind by an earlier process of this number
        remove(temporary)
        return False
    except OSError:
        return False
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        if "/" in name:
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        os.rename(temporary, target)
    except OSError:
        remove(temporary)
        return False
    return True


def remove(file: str) -> bool:
    """Delete a file; whether it was there and could be deleted."""
    try:
        os.unlink(file)
    except OSError:
        return False
    return True


class Entry:
    """A file in the cache: its name below the folder, its size, and when it was last used, in seconds."""

    __slots__ = ("name", "size", "used")

    def __init__(self, name: str, size: int, used: float) -> None:
        self.name = name
        self.size = size
        self.used = used

    @property
    def temporary(self) -> bool:
        """Whether it is (or was, if its writer died) being written."""
        return self.name.rpartition("/")[2].startswith(TEMPORARY)


def entries(folder: str, below: str = "") -> Iterator[Entry]:
    """Every file of the cache, links and other things left out, in order of their names."""
    here = os.path.join(folder, below) if below else folder
    try:
        with os.scandir(here) as scan:
            items = sorted(scan, key=lambda item: item.name)
    except FileNotFoundError:
        return  # never made, or removed meanwhile
    for item in items:
        name = f"{below}/{item.name}" if below else item.name
        if item.is_dir(follow_symlinks=False):
            yield from entries(folder, name)
        elif item.is_file(follow_symlinks=False):
            try:
                found = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Entry(name, found.st_size, max(found.st_mtime, found.st_atime))


def _untrusted(folder: str, why: str, hint: str) -> PolyvmError:
    return PolyvmError("PVM-CACHE-UNTRUSTED", f"The code cache {folder} {why}.", hint=hint, path=folder)
