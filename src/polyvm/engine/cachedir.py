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
    from collections.abc import Iterable, Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
OTHERS_WRITE = 0o022
MISSING, REFUSED = -1, -2  # what open_file says instead of a descriptor
_REFUSES = frozenset(
    (1, 5, 6, 13, 40)
)  # EPERM EIO ENXIO EACCES ELOOP: something is there, and it is not for us
LIMIT = 1 << 30  # bytes that trim() leaves
STALE = 3600.0  # seconds after which a file that was being written has no writer any more
TEMPORARY = ".new-"  # files being written: .new-<pid>-<name>
OURS = ("tier0/", "units/", "gpu/")  # folders in which everything is compiled code
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


def prepare(folder: str | None = None) -> str | None:
    """The cache folder (default: path()), made if it is missing, and checked; None where there can be none.

    Without a home that can be written it is one below $TMPDIR: programs run from the second time on as fast as
    anywhere. Raises PVM-CACHE-UNTRUSTED when it could be changed by another user, and PVM-USAGE when a folder that
    was named cannot be made.
    """
    named = folder or os.environ.get("POLYVM_CACHE_DIR")
    try:
        return _prepare(path() if folder is None else folder)
    except OSError as error:
        if named:
            raise PolyvmError(
                "PVM-USAGE",
                f"The code cache {named} cannot be made: {error.strerror}.",
                hint="POLYVM_CACHE_DIR names the folder.",
                path=named,
            ) from error
    try:
        return _prepare(os.path.join(os.environ.get("TMPDIR") or "/tmp", f"polyvm-{os.geteuid()}"))
    except OSError:
        return None  # neither is possible: what is compiled is not kept


def _prepare(folder: str) -> str:
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


def read(folder: str, name: str, *, look: bool = False) -> bytes | None:
    """A file's bytes; None when there is none, and nothing (b"", which is no image) of one that cannot be trusted.

    look: for who only looks, and does not use it: when it was used last stays what it was.
    """
    fd = open_file(folder, name, look=look)
    if fd < 0:
        return None if fd == MISSING else b""
    try:
        parts = []
        while part := os.read(fd, 1 << 24):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def open_file(folder: str, name: str, *, look: bool = False) -> int:
    """A descriptor of a file in the cache, to read; MISSING, or REFUSED when it is not ours alone or no plain file."""
    try:
        fd = os.open(os.path.join(folder, name), _READ | os.O_NOATIME if look else _READ)
    except OSError as error:
        return REFUSED if error.errno in _REFUSES else MISSING
    found = os.fstat(fd)
    if found.st_mode & _KIND != _REGULAR or found.st_uid != os.geteuid() or found.st_mode & OTHERS_WRITE:
        os.close(fd)
        return REFUSED
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


def link(folder: str, name: str, alias: str) -> bool:
    """Have a file under one more name, replacing what had it. Whether it could be done."""
    temporary = os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{alias.replace('/', '-')}")
    try:
        os.link(os.path.join(folder, name), temporary)
        os.rename(temporary, os.path.join(folder, alias))
    except OSError:
        remove(temporary)
        return False
    remove(temporary)  # rename does nothing when both are the same file already
    return True


def remove(file: str) -> bool:
    """Delete a file; whether it was there and could be deleted."""
    try:
        os.unlink(file)
    except OSError:
        return False
    return True


def trim(folder: str, limit: int = LIMIT) -> list[Entry]:
    """Keep the cache small: remove what dead writers left, then the least recently used files; what was removed."""
    from time import time

    now = time()
    gone: list[Entry] = []
    # A file may have many names: its space comes back with the last of them.
    kept: dict[int, list[Entry]] = {}
    for entry in entries(folder):
        if entry.temporary:
            if now - entry.used > STALE:
                gone.append(entry)
        elif entry.name.startswith(OURS):
            kept.setdefault(entry.inode, []).append(entry)
    files = sorted(kept.values(), key=lambda names: -names[0].used)
    left = sum(names[0].size for names in files)
    while files and left > limit:
        oldest = files.pop()
        left -= oldest[0].size
        gone += oldest
    return [entry for entry in gone if remove(os.path.join(folder, entry.name))]


def tidy(folder: str) -> None:
    """Remove the folders that nothing is left in."""
    for name in (*(entry.path for entry in _folders(os.path.join(folder, "units"))), *OURS):
        try:
            os.rmdir(os.path.join(folder, name))
        except OSError:
            continue  # not empty, or not there


def _folders(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as scan:
            return [item for item in scan if item.is_dir(follow_symlinks=False)]
    except OSError:
        return []


class Entry:
    """A name in the cache, below the folder: its file's inode and size, and when that was last used, in seconds."""

    __slots__ = ("inode", "name", "size", "used")

    def __init__(self, name: str, inode: int, size: int, used: float) -> None:
        self.name = name
        self.inode = inode
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
            yield Entry(name, found.st_ino, found.st_size, max(found.st_mtime, found.st_atime))


def total(found: Iterable[Entry]) -> int:
    """Bytes that entries take, a file of many names once."""
    return sum({entry.inode: entry.size for entry in found}.values())


def _untrusted(folder: str, why: str, hint: str) -> PolyvmError:
    return PolyvmError("PVM-CACHE-UNTRUSTED", f"The code cache {folder} {why}.", hint=hint, path=folder)
