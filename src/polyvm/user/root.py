"""A guest's world below --root: one host directory and what --bind adds, and nothing else.

Names are walked component by component from descriptors that never follow a link, `..` goes up our own list of
directories, and a link's target is read as the guest's name; so no `..`, symbolic link or rename leads outside. It
refuses descriptors of directories that lie outside, and writing below read-only binds.
"""

from __future__ import annotations

import os

from polyvm.errors import PolyvmError
from polyvm.user.paths import Elsewhere
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process

AT_FDCWD = -100
MAX_LINKS = 40
ENOENT, EACCES, ENOTDIR, ELOOP, EROFS = 2, 13, 20, 40, 30
_DIRECTORY = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_OBJECT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Mount:
    """A host directory or file at a place in the guest's tree."""

    __slots__ = ("fd", "guest", "host", "is_directory", "readonly")

    def __init__(self, process: Process, guest: tuple[bytes, ...], host: bytes, readonly: bool) -> None:
        self.guest = guest
        self.host = os.path.realpath(host)
        self.readonly = readonly
        try:
            fd = os.open(self.host, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            raise PolyvmError(
                "PVM-USAGE",
                f"{os.fsdecode(host)} cannot be shown to the guest: {error.strerror}.",
                path=os.fsdecode(host),
            ) from error
        self.is_directory = os.stat(fd).st_mode & 0o170000 == 0o040000
        self.fd = process.hide(fd)


class Place:
    """A directory on the way: its descriptor (owned if `own`), its guest name and its mount."""

    __slots__ = ("fd", "mount", "name", "own")

    def __init__(self, fd: int, name: bytes, mount: Mount, own: bool) -> None:
        self.fd = fd
        self.name = name
        self.mount = mount
        self.own = own


class Root:
    """The tree. `cwd` is the guest's working directory, as components. `sockets`: what the host calls the sockets that
    were bound to names with directories in them, and what the guest calls them."""

    __slots__ = ("binds", "cwd", "process", "sockets", "top")

    def __init__(self, process: Process, root: bytes, binds: tuple[tuple[bytes, bytes, bool], ...]) -> None:
        self.process = process
        self.top = Mount(process, (), root, False)
        if not self.top.is_directory:
            raise PolyvmError(
                "PVM-USAGE", f"--root {os.fsdecode(root)} is not a directory.", path=os.fsdecode(root)
            )
        self.binds: dict[tuple[bytes, ...], Mount] = {}
        for host, guest, readonly in binds:
            parts = tuple(p for p in os.path.normpath(b"/" + guest).split(b"/") if p)
            self.binds[parts] = Mount(process, parts, host, readonly)
        self.cwd: tuple[bytes, ...] = ()
        self.sockets: dict[bytes, bytes] = {}

    def enter(self) -> None:
        """Make sure that the host's working directory is inside, too."""
        here = os.getcwdb()
        if not self._inside(here):
            os.chdir(self.top.host)
            here = self.top.host
        self.moved(here)

    def mounts(self) -> list[Mount]:
        """All mounts, the longest host path first."""
        return sorted([self.top, *self.binds.values()], key=lambda m: -len(m.host))

    def to_guest(self, host_path: bytes) -> bytes:
        """A host path as the guest would say it; "/" for what lies outside."""
        for mount in self.mounts():
            if host_path == mount.host or host_path.startswith(mount.host.rstrip(b"/") + b"/"):
                rest = host_path[len(mount.host.rstrip(b"/")) :]
                return b"/" + b"/".join(mount.guest) + rest if mount.guest else rest or b"/"
        return b"/"

    def directory(self, at: int) -> tuple[bytes, ...]:
        """The guest name of a directory argument."""
        if at == AT_FDCWD:
            return self.cwd
        try:
            host_path = os.readlink(b"/proc/self/fd/%d" % at)
        except OSError:
            raise Refusal(9) from None  # EBADF
        if not self._inside(host_path):
            raise Refusal(EACCES)
        return tuple(p for p in self.to_guest(host_path).split(b"/") if p)

    def _inside(self, host_path: bytes) -> bool:
        return any(
            host_path == m.host or host_path.startswith(m.host.rstrip(b"/") + b"/") for m in self.mounts()
        )

    def is_readonly(self, fd: int) -> bool:
        """Whether an open file lies below a read-only bind."""
        if not any(m.readonly for m in self.binds.values()):
            return False
        try:
            host_path = os.readlink(b"/proc/self/fd/%d" % fd)
        except OSError:
            return False
        for mount in self.mounts():
            if host_path == mount.host or host_path.startswith(mount.host.rstrip(b"/") + b"/"):
                return mount.readonly
        return False

    def binds_readonly(self, fd: int) -> bool:
        """Whether a bind's own descriptor stands for a read-only one."""
        return any(m.fd == fd and m.readonly for m in self.binds.values())

    def moved(self, host_path: bytes) -> None:
        """The host's working directory is now this one, which lies inside."""
        self.cwd = tuple(p for p in self.to_guest(host_path).split(b"/") if p)

    def lookup(
        self, at: int, path: bytes, follow: bool, taken: list[int], *, writes: bool = False
    ) -> tuple[int, bytes]:
        """(directory, name) for the host. Followed names are magic links to the object itself, which exists.

        Raises Elsewhere as `walk` does.
        """
        place, last, fd = self.walk(at, path, follow, taken)
        if writes and (self.binds_readonly(fd) if fd >= 0 else place.mount.readonly):
            raise Refusal(EROFS)
        if not follow and not last.endswith(b"/"):
            return place.fd, last
        if fd < 0:
            flags = _OBJECT | os.O_DIRECTORY if last.endswith(b"/") else _OBJECT
            try:
                fd = os.open(last.rstrip(b"/") or b".", flags, dir_fd=place.fd)
            except OSError as error:
                if not follow and error.errno == ENOENT:
                    return place.fd, last  # mkdir("new/")
                raise Refusal(error.errno or ENOENT) from None
            taken.append(fd)
        return AT_FDCWD, b"/proc/self/fd/%d" % fd

    def walk(self, at: int, path: bytes, follow: bool, taken: list[int]) -> tuple[Place, bytes, int]:
        """(directory, last component, descriptor of a bind or -1). The last component is no link if `follow`.

        Raises Elsewhere for a link such as /dev/stdin, whose target the host must not be asked for.
        """
        stack = [Place(self.top.fd, b"", self.top, False)]
        prefix: tuple[bytes, ...] = () if path[0] == 47 else self.directory(at)
        parts = [*prefix, *[p for p in path.split(b"/") if p]]
        slash = path.endswith(b"/")
        links = 0
        i = 0
        try:
            while i < len(parts):
                part = parts[i]
                final = i == len(parts) - 1
                i += 1
                if part == b".":
                    continue
                if part == b"..":
                    if len(stack) > 1:
                        gone = stack.pop()
                        if gone.own:
                            os.close(gone.fd)
                    continue
                here = stack[-1]
                names = (*[p.name for p in stack[1:]], part)
                mount = self.binds.get(names)
                if mount is not None:
                    if final:
                        return self._keep(stack, taken), b".", mount.fd
                    if not mount.is_directory:
                        raise Refusal(ENOTDIR)
                    stack.append(Place(mount.fd, part, mount, False))
                    continue
                target = None
                if not final or follow or slash:
                    try:
                        target = os.readlink(part, dir_fd=here.fd)
                    except OSError as error:
                        if error.errno != 22 and not (final and error.errno == ENOENT):  # EINVAL: no link
                            raise Refusal(error.errno or ENOENT) from None
                if target is not None:
                    if part in (b"cwd", b"root") and names[:-1] == (b"proc", b"%d" % self.process.pid):
                        target = b"/" + b"/".join(self.cwd if part == b"cwd" else ())
                    links += 1
                    if links > MAX_LINKS:
                        raise Refusal(ELOOP)
                    parts = [*[p for p in target.split(b"/") if p], *parts[i:]]
                    slash = slash or (final and target.endswith(b"/"))
                    if b"proc" in target:
                        self._check_proc([b"", *([] if target[0] == 47 else names[:-1]), *parts])
                    i = 0
                    if target.startswith(b"/"):
                        for gone in stack[1:]:
                            if gone.own:
                                os.close(gone.fd)
                        del stack[1:]
                    continue
                if final:
                    return self._keep(stack, taken), part + (b"/" if slash else b""), -1
                try:
                    fd = os.open(part, _DIRECTORY, dir_fd=here.fd)
                except OSError as error:
                    raise Refusal(error.errno or ENOENT) from None
                stack.append(Place(fd, part, here.mount, True))
            return self._keep(stack, taken), b".", -1
        except BaseException:
            for gone in stack[1:]:
                if gone.own:
                    os.close(gone.fd)
            raise

    def _check_proc(self, parts: list[bytes]) -> None:
        """Raise Elsewhere if an absolute name, whose first part is empty, is that of a file that procfs makes."""
        from polyvm.user import procfs

        name = b"/".join(parts)
        if procfs.find(self.process, AT_FDCWD, name) is not None:
            raise Elsewhere(name)

    def _keep(self, stack: list[Place], taken: list[int]) -> Place:
        """The last directory, its descriptor handed to `taken`; the others are closed."""
        for gone in stack[1:-1]:
            if gone.own:
                os.close(gone.fd)
        last = stack[-1]
        if last.own:
            taken.append(last.fd)
        return last
