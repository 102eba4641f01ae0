"""clone: a new thread in this process, or a new process by Python's own fork with the other threads parked.

A vfork is a fork whose parent waits until the child has called execve or ended: the child works on a copy of memory,
a deviation that is documented. New namespaces and sharing without a thread are refused with EINVAL.
"""

from __future__ import annotations

import os
import sys
from _struct import Struct

from polyvm.memory.access import GuestFault
from polyvm.user import hostsignals, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EAGAIN, EINVAL, EINTR = 11, 22, 4
(
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_PIDFD,
    CLONE_PTRACE,
    CLONE_VFORK,
    CLONE_PARENT,
    CLONE_THREAD,
) = (1 << bit for bit in range(8, 17))
CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID = 1 << 18, 1 << 19, 1 << 20, 1 << 21
CLONE_DETACHED, CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_IO = 1 << 22, 1 << 23, 1 << 24, 1 << 31
CLONE_CLEAR_SIGHAND = 1 << 32
BLOCK, FRAMES, CHUNK = 8, 65536, 65536
_CHANGE = Struct("<QQ")
_THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
_COMMON = (
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED | CLONE_UNTRACED
    | CLONE_IO | CLONE_SYSVSEM
)  # fmt: skip
_PROCESS = _COMMON | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND


def clone(
    thread: Thread,
    *,
    flags: int,
    exit_signal: int,
    stack: int,
    tls: int,
    parent_tid: int,
    child_tid: int,
    pidfd: int,
) -> int | None:
    """clone(2) after its arguments were sorted out."""
    if flags & CLONE_THREAD:
        if flags & _THREAD != _THREAD or flags & ~(_THREAD | _COMMON) or exit_signal:
            return -EINVAL
        return _new_thread(thread, flags, stack, tls, parent_tid, child_tid)
    if flags & ~_PROCESS or exit_signal not in (0, signals.SIGCHLD):
        return -EINVAL
    if flags & CLONE_VM and not flags & CLONE_VFORK:
        return -EINVAL  # two processes on one memory
    if flags & CLONE_PIDFD and flags & CLONE_PARENT_SETTID and pidfd == parent_tid:
        return -EINVAL
    return _new_process(thread, flags, stack, tls, parent_tid, child_tid, pidfd)


def _new_thread(thread: Thread, flags: int, stack: int, tls: int, parent_tid: int, child_tid: int) -> int:
    """A guest thread on a host thread. It starts behind the call, with result 0."""
    process, abi = thread.process, thread.process.abi
    child = process.new_thread()
    abi.copy_registers(child.cpu, thread.cpu)
    abi.set_result(child.cpu, 0)
    child.cpu.pc = thread.cpu.pc + abi.SYSCALL_BYTES
    if stack:
        abi.set_stack_pointer(child.cpu, stack)
    if flags & CLONE_SETTLS:
        abi.set_tls(child.cpu, tls)
    child.mask = thread.mask
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_tid = child_tid
    tid = bytearray()

    def born() -> None:
        """Runs in the new thread before its first instruction, and before clone returns in the old one."""
        tid.extend(child.tid.to_bytes(4, "little"))
        if flags & CLONE_CHILD_SETTID:
            _store(child, child_tid, bytes(tid))
        if flags & CLONE_PARENT_SETTID:
            _store(child, parent_tid, bytes(tid))

    if not process.start_thread(child, born):
        return -EAGAIN
    return child.tid


def _store(thread: Thread, address: int, data: bytes) -> None:
    """put_user as clone does it: a bad address is ignored."""
    try:
        thread.space.write(address, data)
    except GuestFault:
        return


def _quiet_fork() -> int:
    """os.fork, whose warning about threads (3.12) is answered: the others are parked."""
    if sys.version_info >= (3, 12):
        import warnings

        warnings.simplefilter("ignore", DeprecationWarning)
    return os.fork()


def _new_process(
    thread: Thread, flags: int, stack: int, tls: int, parent_tid: int, child_tid: int, pidfd: int
) -> int | None:
    process, abi = thread.process, thread.process.abi
    waits = bool(flags & CLONE_VFORK)
    read_end = write_end = -1
    if waits:
        read_end, write_end = os.pipe()
        write_end = process.hide(write_end)
        read_end = process.hide(read_end)
    mask = thread.host_mask()
    with process.world, process.space.lock:
        process.block_all()  # so that no signal is queued twice, for parent and child
        signals.collect(thread)
        try:
            pid = _quiet_fork()
        except OSError as error:
            pid = -(error.errno or EAGAIN)
        if pid == 0:
            _become_child(thread, read_end, write_end)
    if pid:
        process.set_mask(mask)
        if write_end >= 0:
            process.unhide(write_end)
        if pid > 0:
            _tell_parent(thread, flags, pid, parent_tid, pidfd)
            if waits:
                _wait_for_child(thread, read_end)
        if read_end >= 0:
            process.unhide(read_end)
        return pid
    if flags & CLONE_CLEAR_SIGHAND:
        process.actions.exec()
    if stack:
        abi.set_stack_pointer(thread.cpu, stack)
    if flags & CLONE_SETTLS:
        abi.set_tls(thread.cpu, tls)
    thread.clear_tid = child_tid if flags & CLONE_CHILD_CLEARTID else 0
    if flags & CLONE_CHILD_SETTID:
        _store(thread, child_tid, thread.tid.to_bytes(4, "little"))
    process.set_mask(mask)
    return 0


def _become_child(thread: Thread, read_end: int, write_end: int) -> None:
    """In the child: one thread, new ids, nothing pending, no parent's statistics."""
    import _thread

    process = thread.process
    process.pid = thread.tid = os.getpid()
    process.child = True
    thread.ident = _thread.get_ident()
    process.world.threads[:] = [thread]
    thread.pending.clear()
    thread.robust = 0
    thread.counts = {}
    process.past_counts.clear()
    process.faults.clear()
    process.changed = _thread.allocate_lock()
    process.changed.acquire()
    if (
        process.borrowed is not None
    ):  # our parent was itself a vfork child: its parent is none of our business
        process.unhide(process.borrowed.fd)
        process.borrowed = None
    process.space.fork_child()
    process.engine.forked()
    if process.tracer is not None:  # it stays with the parent
        tracer, process.tracer = process.tracer, None
        tracer.forked(thread)
    if read_end >= 0:
        process.unhide(read_end)
        process.borrowed = Borrowed(thread, write_end)
    hostsignals.forked()


def _tell_parent(thread: Thread, flags: int, pid: int, parent_tid: int, pidfd: int) -> None:
    if flags & CLONE_PARENT_SETTID:
        _store(thread, parent_tid, pid.to_bytes(4, "little"))
    if flags & CLONE_PIDFD:
        fd = thread.process.plain_syscall("pidfd_open", pid, 0)
        _store(thread, pidfd, (fd & 0xFFFFFFFF).to_bytes(4, "little"))


def _wait_for_child(thread: Thread, read_end: int) -> None:
    """Until the child's end of the pipe is closed, storing what the child changed. Signals wait, as in Linux."""
    where = thread.place(b"", CHUNK)
    data = bytearray()
    while not thread.ending:
        result = thread.process.plain_syscall("read", read_end, where, CHUNK)
        if result > 0:
            data += thread.placed(where, result)
        elif result != -EINTR:
            break
    at = 0
    while at + 16 <= len(data):
        address, size = _CHANGE.unpack_from(data, at)
        _store(thread, address, bytes(data[at + 16 : at + 16 + size]))
        at += 16 + size


class Borrowed:
    """What a vfork child owes its parent: an end to the waiting, and what it changed in the caller's stack frames.

    A real vfork child works on the parent's memory; this one tells its parent what it wrote from the stack pointer
    upwards, which is how posix_spawn learns that execve failed. Writes elsewhere stay unknown to the parent.
    """

    __slots__ = ("before", "fd", "start", "thread")

    def __init__(self, thread: Thread, fd: int) -> None:
        self.thread = thread
        self.fd = fd
        pointer = thread.process.abi.stack_pointer(thread.cpu)
        region = thread.space.lookup(pointer)
        self.start = pointer & ~(BLOCK - 1)
        size = 0 if region is None else min(FRAMES, region.end - self.start)
        try:
            self.before = thread.space.read(self.start, size)
        except GuestFault:
            self.before = b""

    def send(self) -> None:
        """Tell the parent what is different since the last time."""
        try:
            now = self.thread.space.read(self.start, len(self.before))
        except GuestFault:
            return
        changes = b"".join(
            _CHANGE.pack(self.start + at, len(now[at : at + BLOCK])) + now[at : at + BLOCK]
            for at in range(0, len(now), BLOCK)
            if now[at : at + BLOCK] != self.before[at : at + BLOCK]
        )
        self.before = now
        while changes:
            try:
                changes = changes[os.write(self.fd, changes) :]
            except BrokenPipeError:
                return  # the parent was killed while it waited

    def give_back(self) -> None:
        """The parent goes on."""
        self.send()
        self.thread.process.unhide(self.fd)
