"""execve: finding out what a file is, and becoming it.

Programs of guests are loaded into this very process, so the PID and all caches stay, also from one guest's to
another's; programs of the host are started by the host's execve; scripts lead to their interpreter. Set-user-ID bits
of foreign programs have no effect. Below --root no program of the host is run.
"""

from __future__ import annotations

import os

from polyvm.engine.guest import abi as abi_of
from polyvm.errors import PolyvmError, from_oserror
from polyvm.isa import MACHINES
from polyvm.memory import host
from polyvm.user import elf, limits, loader, signals
from polyvm.user.elf import check_program, parse_script
from polyvm.user.machine import guest_of
from polyvm.user.paths import AT_FDCWD, O_CLOEXEC
from polyvm.user.thread import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.process import Process
    from polyvm.user.thread import Thread

ENOENT, ENOEXEC, EACCES, ENOTDIR, ELOOP, ELIBBAD, ENOSYS = 2, 8, 13, 20, 40, 80, 38
AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_EACCESS = 0x1000, 0x100, 0x200
X_OK = 1
MAX_INTERPRETERS = 5  # kernel: bprm recursion, ELOOP beyond
PR_SET_NAME = 15
RLIMIT_STACK = 3
STACK_DEFAULT, STACK_MAX = 8 << 20, 1 << 30
COMM_BYTES = 15
HEAD_BYTES = 256  # BINPRM_BUF_SIZE
F_GETFD, FD_CLOEXEC = 1, 1


class Plan:
    """What an execve will do: a program of a guest, or without `program` one of the host, whose descriptor is `fd`."""

    __slots__ = ("argv", "execfn", "exe_host", "fd", "guest", "program")

    def __init__(
        self,
        program: loader.Program | None,
        guest: str,
        fd: int,
        argv: list[bytes],
        execfn: bytes,
        exe_host: bytes,
    ) -> None:
        self.program = program
        self.guest = guest
        self.fd = fd
        self.argv = argv
        self.execfn = execfn
        self.exe_host = exe_host

    def close(self) -> None:
        """Close what is open."""
        if self.program is not None:
            self.program.close()
        elif self.fd >= 0:
            os.close(self.fd)


def open_file(process: Process, at: int, path: bytes, *, follow: bool = True) -> int:
    """A guest's file, open for reading. Raises OSError."""
    taken: list[int] = []
    try:
        if not path:
            where = b"/proc/self/fd/%d" % at
        else:
            at, where = process.paths.lookup(at, path, follow, taken)
            if at != AT_FDCWD:
                where = b"/proc/self/fd/%d/%s" % (at, where)
        flags = os.O_RDONLY | O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
        return os.open(where, flags)
    except Refusal as refusal:
        raise OSError(refusal.args[0], os.strerror(refusal.args[0]), os.fsdecode(path)) from None
    finally:
        for fd in taken:
            os.close(fd)


def check_executable(process: Process, fd: int, path: bytes) -> None:
    """Raise OSError unless it is a regular file that we may execute."""
    if os.fstat(fd).st_mode & 0o170000 != 0o100000:
        raise OSError(EACCES, "Not a regular file", os.fsdecode(path))
    memory = host.mmap(0, 4096, 3, 0x22)
    result = process.plain_syscall("faccessat2", fd, memory, X_OK, AT_EACCESS | AT_EMPTY_PATH)
    host.munmap(memory, 4096)
    if result == -ENOSYS:
        result = 0 if os.access(f"/proc/self/fd/{fd}", os.X_OK) else -EACCES
    if result < 0:
        raise OSError(-result, os.strerror(-result), os.fsdecode(path))


def resolver(process: Process) -> loader.Resolve:
    """Opens a dynamic linker by the name in the program, as the guest sees names."""

    def resolve(name: bytes) -> int:
        return open_file(process, AT_FDCWD, name)

    return resolve


def plan(
    process: Process, at: int, path: bytes, argv: list[bytes], flags: int = 0, *, strict: bool = False
) -> Plan:
    """Find out what a file is, following scripts. Raises OSError, or PolyvmError for a bad program of a guest.

    strict: only programs of guests will do, and what else it is makes a PolyvmError.
    """
    name = path
    if at != AT_FDCWD and not path.startswith(b"/"):
        name = b"/dev/fd/%d" % at + (b"/" + path if path else b"")
    execfn = name
    for _ in range(MAX_INTERPRETERS):
        fd = open_file(process, at, path, follow=not flags & AT_SYMLINK_NOFOLLOW)
        try:
            if strict:
                check_program(fd, path)
            else:
                check_executable(process, fd, path)
            head = os.pread(fd, HEAD_BYTES, 0)
            exe_host = os.readlink(b"/proc/self/fd/%d" % fd)
            script = parse_script(head)
            if script is None:
                return _finish_plan(process, fd, name, head, argv, execfn, exe_host, strict)
        except BaseException:
            _close_quietly(fd)
            raise
        os.close(fd)
        interpreter, argument = script
        argv = [interpreter, *([argument] if argument else []), name, *argv[1:]]
        at, path, name = AT_FDCWD, interpreter, interpreter
        flags = 0
    raise OSError(ELOOP, os.strerror(ELOOP), os.fsdecode(execfn))


def _finish_plan(
    process: Process,
    fd: int,
    name: bytes,
    head: bytes,
    argv: list[bytes],
    execfn: bytes,
    exe_host: bytes,
    strict: bool,
) -> Plan:
    guest = guest_of(head)
    if guest is None and strict:
        elf.refuse(fd, exe_host, MACHINES)
    if guest is not None:
        own = os.dup(fd)  # prepare() closes what it is given, whatever happens
        os.set_inheritable(own, False)
        program = loader.prepare(exe_host, abi_of(guest), fd=own, resolve=resolver(process))
        os.close(fd)
        return Plan(program, guest, -1, argv, execfn, exe_host)
    if head[:4] == b"\x7fELF" and process.paths.root is None:
        return Plan(None, "", fd, argv, execfn, exe_host)
    raise OSError(ENOEXEC, os.strerror(ENOEXEC), os.fsdecode(name))


def _close_quietly(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return


def execve(
    thread: Thread, at: int, path: bytes, argv: list[bytes], envp: list[bytes], flags: int
) -> int | None:
    """execve(2): a negative errno, or None once another program is in place."""
    process = thread.process
    if not argv:
        argv = [b""]  # since Linux 5.18
    try:
        what = plan(process, at, path, argv, flags)
    except OSError as error:
        return -(error.errno or ENOEXEC)
    except PolyvmError as error:
        return -_errno_of(error)
    if what.program is None:
        return _execve_host(thread, what, envp)
    if thread.tid != process.pid:
        process.pending_exec = _handed_over(thread, what, envp)
        thread.ending = True
        process.end_threads(keep=thread)
        return None
    process.exec_in_progress = True
    process.end_threads(keep=thread)
    process.wait_others(thread, 5.0)
    become(thread, what, envp)
    return None


def _errno_of(error: PolyvmError) -> int:
    """What Linux answers for a program that the loader refuses."""
    if error.code == "PVM-ELF-INTERP":
        cause = error.__cause__
        if isinstance(cause, OSError):
            return cause.errno or ENOENT
        return ENOENT if isinstance(cause, PolyvmError) and cause.code == "PVM-FILE-MISSING" else ELIBBAD
    return ENOEXEC


class _handed_over:
    """An execve on its way to the first thread."""

    def __init__(self, thread: Thread, what: Plan, envp: list[bytes]) -> None:
        self.mask = thread.mask
        self.pending = thread.pending
        self.what = what
        self.envp = envp

    def __call__(self, main: Thread) -> None:
        main.process.wait_others(main, 5.0)
        main.mask = self.mask
        main.pending = self.pending
        become(main, self.what, self.envp)
        signals.set_mask(main, main.mask)


def become(thread: Thread, what: Plan, envp: list[bytes]) -> None:
    """The point of no return: the new program's memory and registers, in the first thread, which is the only one."""
    process = thread.process
    assert what.program is not None
    from polyvm.user.syscalls import futex

    if process.borrowed is not None:
        process.borrowed.give_back()
        process.borrowed = None
    futex.thread_ends(thread)
    thread.clear_tid = thread.robust = 0
    try:
        with process.world:
            process.space.reset()
            if what.guest != process.engine.name:
                _change(thread, what.guest)
            process.engine.new_program()
            load(thread, what, envp)
    except PolyvmError:
        process.finish("signaled", None, signals.SIGKILL)
        return
    finally:
        what.close()
    process.exec_in_progress = False
    process.actions.exec()
    thread.altstack_sp = thread.altstack_size = 0
    thread.altstack_flags = signals.SS_DISABLE
    thread.saved_mask = None
    close_on_exec(process)
    if process.tracer is not None:
        process.tracer.executed(thread)


def _change(thread: Thread, guest: str) -> None:
    """Become a program of another guest. Raises PolyvmError."""
    process = thread.process
    process.engine.new_program()  # for what it knew of the old one is void as well
    mask = thread.host_mask()
    process.block_all()  # what comes meanwhile waits in the kernel
    signals.collect(thread)
    process.use(guest)
    thread.take(process.new_cpu())
    thread.cpu.attach()
    thread.set_host_mask(mask)


def load(thread: Thread, what: Plan, envp: list[bytes]) -> None:
    """Load a planned program into the empty address space and set the registers."""
    process, abi = thread.process, thread.process.abi
    assert what.program is not None
    soft = process.limits.get(RLIMIT_STACK, (STACK_DEFAULT, 0))[0]
    process.exe_host = what.exe_host
    process.exe = process.paths.to_guest(what.exe_host)
    process.argv, process.envp = what.argv, envp
    image = loader.load(
        process.space,
        abi,
        what.program,
        what.argv,
        envp,
        execfn=what.execfn,
        stack_bytes=max(min(soft, STACK_MAX), 128 << 10),
        options=process.engine.options,
    )
    process.image = image
    process.auxv = image.auxv
    process.sigreturn = image.vdso_symbols.get(abi.SIGRETURN, 0)
    abi.start(thread.cpu, image.pc, image.stack_pointer)
    name = thread.place(what.execfn.rpartition(b"/")[2][:COMM_BYTES] + b"\0")
    process.plain_syscall("prctl", PR_SET_NAME, name)
    thread.top = 0


def close_on_exec(process: Process) -> None:
    """Close what was opened with O_CLOEXEC, but ours."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd not in process.hidden and process.plain_syscall("fcntl", fd, F_GETFD) & ~FD_CLOEXEC == 0:
            if process.plain_syscall("fcntl", fd, F_GETFD) == FD_CLOEXEC:
                os.close(fd)


def _execve_host(thread: Thread, what: Plan, envp: list[bytes]) -> int:
    """A program of the host, by the host: only failure returns."""
    process = thread.process
    path = what.exe_host
    blob = bytearray()
    offsets = []
    for text in (path, *what.argv, *envp):
        offsets.append(len(blob))
        blob += text + b"\0"
    table = (len(blob) + 7) & ~7
    words = len(what.argv) + len(envp) + 2
    size = table + 8 * words
    memory = host.mmap(0, size, 3, 0x22)
    if memory < 0:
        what.close()
        return memory
    places = [memory + offset for offset in offsets]
    count = len(what.argv) + 1
    array = [*places[1:count], 0, *places[count:], 0]
    blob += bytes(table - len(blob)) + b"".join(word.to_bytes(8, "little") for word in array)
    host.poke(memory, bytes(blob))
    before = thread.host_mask()
    thread.set_host_mask(thread.mask)
    if process.borrowed is not None:
        process.borrowed.send()
    limits.theirs(process)
    result = process.plain_syscall("execve", memory, memory + table, memory + table + 8 * count)
    limits.ours(process)
    thread.set_host_mask(before)
    host.munmap(memory, size)
    what.close()
    return result


def first_program(process: Process, program: bytes, argv: list[bytes]) -> Plan:
    """What the user asked for, a program of a guest. Raises PolyvmError."""
    try:
        return plan(process, AT_FDCWD, program, argv, strict=True)
    except OSError as error:
        raise from_oserror(error, "Cannot run the program", path=os.fsdecode(program)) from error


def begin(thread: Thread, what: Plan, env: list[bytes]) -> None:
    """Load the first program. Raises PolyvmError."""
    try:
        load(thread, what, env)
    finally:
        what.close()


def change_directory(process: Process, path: bytes) -> None:
    """--cwd, as the guest sees names. Raises PolyvmError."""
    taken: list[int] = []
    try:
        at, found = process.paths.lookup(AT_FDCWD, path, True, taken)
        os.chdir(found if at == AT_FDCWD else b"/proc/self/fd/%d/%s" % (at, found))
    except (OSError, Refusal) as error:
        number = error.errno if isinstance(error, OSError) else error.args[0]
        raise PolyvmError(
            "PVM-USAGE", f"--cwd {os.fsdecode(path)}: {os.strerror(number or 0)}.", path=os.fsdecode(path)
        ) from error
    finally:
        for fd in taken:
            os.close(fd)
    if process.paths.root is not None:
        process.paths.root.moved(os.getcwdb())
