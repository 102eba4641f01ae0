"""The system calls that a standalone program's runtime carries out itself: the process, its signals and its limits."""

from __future__ import annotations

import itertools

from polyvm.engine.layout import ST
from polyvm.user.hostabi import OPEN_FLAGS
from polyvm.user.signals import (
    NSIG,
    SIG_DFL,
    SIG_IGN,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    UNCATCHABLE,
)
from polyvm.user.standalone import places
from polyvm.user.standalone.places import CT, DATA, LIMIT, SCRATCH, STATE
from polyvm.user.standalone.start import Runtime
from polyvm.user.syscalls import descriptors, ioctl, misc
from polyvm.user.syscalls.signals import SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from polyvm.emit.function import Function, Word

EPERM, EFAULT, EINVAL, ENOTTY = 1, 14, 22, 25
ENGINE = 1 << SIGSEGV - 1 | 1 << SIGBUS - 1
"""Signals that the host must never block: faults come by them."""
CLONE_VM, CLONE_VFORK, CLONE_THREAD = 0x100, 0x4000, 0x10000
CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x100000, 0x200000, 0x1000000
_FORKING = CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | 0xFF
FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET = 0, 1, 9, 10
FUTEX_COMMAND = 0x7F
_SA_RESTORER = 0x04000000


def add(m: Runtime) -> None:
    """All of them."""
    for name, make in CALLS.items():
        if make is not None:
            make(m, name)


def _exit(m: Runtime, name: str) -> None:
    """The only thread ends, and so does the process."""
    f = m.function(f"sys_{name}", 6)
    m.system(f, "exit_group", f.arguments[0] & 0xFF)
    f.ret(0)


def _set_tid_address(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    m.set_control(f, "clear_tid", f.arguments[0])
    f.ret(m.control(f, "tid"))


def _nothing(m: Runtime, name: str) -> None:
    """Done by doing nothing: a list that only other threads would look at."""
    m.function(f"sys_{name}", 6).ret(0)


def _not_permitted(m: Runtime, name: str) -> None:
    """mlockall would lock the code slots, too."""
    m.function(f"sys_{name}", 6).ret(-EPERM)


def _uname(m: Runtime, name: str) -> None:
    """The host's, on the guest's machine: the fifth of its six texts."""
    f = m.function(f"sys_{name}", 6)
    size = misc.UTSNAME_FIELD
    result = m.system(f, "uname", SCRATCH)
    with f.when(result.failed):
        f.ret(result)
    machine = m.guest.abi.UNAME_MACHINE.encode().ljust(size, b"\0")
    f.call("copy", SCRATCH + 4 * size, f.constant(machine), size)
    f.ret(f.call("fetch", f.call("pointer", f.arguments[0]), SCRATCH, 6 * size))


def _personality(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    persona = f.arguments[0] & 0xFFFF_FFFF
    before = m.control(f, "persona")
    m.set_control(f, "persona", f.select(persona == misc.PER_QUERY, before, persona))
    f.ret(before)


def _prctl(m: Runtime, name: str) -> None:
    """The options that mean the same on every machine."""
    f = m.function(f"sys_{name}", 6)
    option, first, *rest = f.arguments
    option = option & 0xFFFF_FFFF
    with f.when(option == misc.PR_GET_DUMPABLE):
        f.ret(f.word(1) - m.control(f, "dumpable"))
    with f.when(option == misc.PR_SET_DUMPABLE):
        with f.when(first > 1):
            f.ret(-EINVAL)
        m.set_control(f, "dumpable", f.word(1) - first)
        f.ret(0)
    with f.when(option == misc.PR_GET_SECCOMP):
        f.ret(0)
    with f.when(option == misc.PR_SET_MM):
        f.ret(-EPERM)
    for number, position in misc.PRCTL.items():
        with f.when(option == number):
            argument = f.call("pointer", first) if position == 1 else first
            f.ret(m.system(f, "prctl", option, argument, *rest[:3]))
    f.ret(-EINVAL)


def _prlimit64(m: Runtime, name: str) -> None:
    """Limits of memory are only remembered: the host's would strike the code slots."""
    f = m.function(f"sys_{name}", 6)
    pid, resource, new, old = f.arguments[:4]
    resource = resource & 0xFFFF_FFFF
    kept = f.local(0)
    for number in (misc.RLIMIT_DATA, misc.RLIMIT_STACK, misc.RLIMIT_AS):
        kept.value = f.select(resource == number, 1, kept.value)
    mine = ((pid & 0xFFFF_FFFF) == 0) | ((pid & 0xFFFF_FFFF) == m.system(f, "getpid"))
    with f.when((kept.value == 0) | ~mine):
        f.ret(m.system(f, "prlimit64", pid, resource, f.call("pointer", new), f.call("pointer", old)))
    row = resource * 24 + (DATA + CT["limits"])
    with f.when(f.load(row) == 0):
        result = m.system(f, "prlimit64", 0, resource, 0, row + 8)
        with f.when(result.failed):
            f.ret(result)
        f.store(row, 1)
    hard = f.load(row + 16)
    f.call("copy", SCRATCH + 16, row + 8, 16)
    with f.when(new != 0):
        with f.when(f.call("fetch", SCRATCH, f.call("pointer", new), 16) != 0):
            f.ret(-EFAULT)
        with f.when(f.load(SCRATCH) > f.load(SCRATCH + 8)):
            f.ret(-EINVAL)
        with f.when((f.load(SCRATCH + 8) > hard) & (m.system(f, "geteuid") != 0)):
            f.ret(-EPERM)
        f.call("copy", row + 8, SCRATCH, 16)
    with f.when(old != 0):
        f.ret(f.call("fetch", f.call("pointer", old), SCRATCH + 16, 16))
    f.ret(0)


def _limit(m: Runtime, name: str) -> None:
    """getrlimit and setrlimit, by prlimit64."""
    f = m.function(f"sys_{name}", 6)
    resource, limit = f.arguments[:2]
    with f.when(limit == 0):
        f.ret(-EFAULT)
    pair = (0, limit) if name == "getrlimit" else (limit, 0)
    f.ret(f.call("sys_prlimit64", 0, resource, *pair, 0, 0))


def _fcntl(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    fd, command, argument = f.arguments[:3]
    command = command & 0xFFFF_FFFF
    guest = m.guest.abi.OPEN_FLAGS
    with f.when(command == descriptors.F_SETFL):
        f.ret(m.system(f, "fcntl", fd, command, m.open_flags(f, argument & 0xFFFF_FFFF, guest, OPEN_FLAGS)))
    with f.when(command == descriptors.F_GETFL):
        result = m.system(f, "fcntl", fd, command)
        with f.when(result.failed):
            f.ret(result)
        f.ret(m.open_flags(f, result, OPEN_FLAGS, guest))
    _by_number(m, f, "fcntl", (fd, command, argument), descriptors.NUMBERS, descriptors.STRUCTS)
    f.ret(-EINVAL)


def _ioctl(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    fd, request, argument = f.arguments[:3]
    request = request & 0xFFFF_FFFF
    _by_number(m, f, "ioctl", (fd, request, argument), ioctl.NUMBERS, ioctl.STRUCTS)
    f.ret(-ENOTTY)


def _by_number(
    m: Runtime,
    f: Function,
    call: str,
    words: tuple[Word, Word, Word],
    numbers: frozenset[int],
    structs: frozenset[int],
) -> None:
    """Return what the host answers to a command whose argument is a number or points to a structure."""
    fd, number, argument = words
    for value in sorted(numbers | structs):
        with f.when(number == value):
            f.ret(
                m.system(f, call, fd, number, f.call("pointer", argument) if value in structs else argument)
            )


def _rt_sigaction(m: Runtime, name: str) -> None:
    """Default and ignored are the host's; for a handler the host gets one that ends the program with a message."""
    f = m.function(f"sys_{name}", 6)
    signo, new, old, size = f.arguments[:4]
    signo = signo & 0xFFFF_FFFF
    with f.when((size != 8) | (signo == 0) | (signo > NSIG)):
        f.ret(-EINVAL)
    row = signo * 32 + (DATA + CT["actions"])
    # What the guest has: handler, flags, its restorer if there is one, mask.
    there = (0, 8, 16, 24) if m.guest.abi.SIGACTION_RESTORER else (0, 8, 24)
    f.call("copy", SCRATCH + 64, row, 32)
    with f.when(f.load(row) == SIG_DFL):  # unless whoever started us has it ignored
        m.system(f, "rt_sigaction", signo, 0, SCRATCH, 8)
        with f.when(f.load(SCRATCH) == SIG_IGN):
            f.store(SCRATCH + 64, SIG_IGN)
    with f.when(new != 0):
        with f.when((signo == SIGKILL) | (signo == SIGSTOP)):
            f.ret(-EINVAL)
        with f.when(f.call("fetch", SCRATCH, f.call("pointer", new), 8 * len(there)) != 0):
            f.ret(-EFAULT)
        for index, place in enumerate(there):
            f.store(row + place, f.load(SCRATCH + 8 * index))
        handler, flags = f.load(row), f.load(row + 8)
        catches = handler > SIG_IGN
        f.store(SCRATCH, f.select(catches, f.address_of("caught"), handler))
        f.store(
            SCRATCH + 8, (flags & 3) | f.select(catches, _SA_RESTORER, 0)
        )  # SA_NOCLDSTOP and SA_NOCLDWAIT
        f.store(SCRATCH + 16, f.select(catches, f.address_of("pv_restorer"), 0))
        f.store(SCRATCH + 24, 0)
        with f.when((signo != SIGSEGV) & (signo != SIGBUS)):  # by which faults come: only kept
            m.system(f, "rt_sigaction", signo, SCRATCH, 0, 8)
    with f.when(old != 0):
        for index, place in enumerate(there):
            f.store(SCRATCH + 8 * index, f.load(SCRATCH + 64 + place))
        f.ret(f.call("fetch", f.call("pointer", old), SCRATCH, 8 * len(there)))
    f.ret(0)


def _rt_sigprocmask(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    how, new, old, size = f.arguments[:4]
    how = how & 0xFFFF_FFFF
    with f.when(size != 8):
        f.ret(-EINVAL)
    m.system(f, "rt_sigprocmask", SIG_BLOCK, 0, SCRATCH + 8, 8)
    before = f.load(SCRATCH + 8) | m.control(f, "hidden")
    with f.when(new != 0):
        with f.when(f.call("fetch", SCRATCH, f.call("pointer", new), 8) != 0):
            f.ret(-EFAULT)
        with f.when(how > SIG_SETMASK):
            f.ret(-EINVAL)
        given = f.load(SCRATCH) & ~UNCATCHABLE
        value = f.select(how == SIG_BLOCK, before | given, given)
        value = f.select(how == SIG_UNBLOCK, before & (given ^ -1), value)
        m.set_control(f, "hidden", value & ENGINE)
        f.store(SCRATCH, value & ~ENGINE)
        m.system(f, "rt_sigprocmask", SIG_SETMASK, SCRATCH, 0, 8)
    with f.when(old != 0):
        f.store(SCRATCH + 16, before)
        f.ret(f.call("fetch", f.call("pointer", old), SCRATCH + 16, 8))
    f.ret(0)


def _sigaltstack(m: Runtime, name: str) -> None:
    """Kept, and never used: no handler of the guest's runs."""
    f = m.function(f"sys_{name}", 6)
    new, old = f.arguments[:2]
    place = DATA + CT["altstack"]
    f.call("copy", SCRATCH + 24, place, 24)
    with f.when(f.load(SCRATCH + 24) == 0):
        f.store(SCRATCH + 32, 2)  # SS_DISABLE
    with f.when(new != 0):
        with f.when(f.call("fetch", SCRATCH, f.call("pointer", new), 24) != 0):
            f.ret(-EFAULT)
        f.call("copy", place, SCRATCH, 24)
    with f.when(old != 0):
        f.ret(f.call("fetch", f.call("pointer", old), SCRATCH + 24, 24))
    f.ret(0)


def _clone(m: Runtime, name: str) -> None:
    """A new process, which has a copy of all memory; one that would share it is only told so (vfork)."""
    f = m.function(f"sys_{name}", 6)
    flags, stack, parent_tid, _tls, child_tid = m.guest.abi.clone_arguments(*f.arguments[:5])
    shares = (flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM
    with f.when(shares | ((flags & CLONE_THREAD) != 0)):
        m.refuse(f, "the program starts a thread")
    with f.when((flags & ~_FORKING) != 0):
        m.refuse(f, "the program made the system call clone with flags ", flags)
    pid = m.system(f, "clone", flags & 0xFF, 0, 0, 0, 0)
    with f.when(pid.failed):
        f.ret(pid)
    with f.when(pid != 0):
        with f.when((flags & CLONE_PARENT_SETTID) != 0):
            f.store(SCRATCH, pid, 4)
            f.call("fetch", f.call("pointer", parent_tid), SCRATCH, 4)
        # A real vfork's parent waits until its child has memory of its own; this one has it already.
        f.ret(pid)
    tid = m.system(f, "gettid")
    m.set_control(f, "tid", tid)
    f.store(STATE + ST["tid"], tid, 4)
    f.store(places.ALTSTACK + 16, tid, 4)
    with f.when(stack != 0):
        f.store(m.register("sp"), stack)
    with f.when((flags & CLONE_CHILD_SETTID) != 0):
        f.store(SCRATCH, tid, 4)
        f.call("fetch", f.call("pointer", child_tid), SCRATCH, 4)
    f.ret(0)


def _futex(m: Runtime, name: str) -> None:
    """Waiting and waking are the host's: another process may share the word."""
    f = m.function(f"sys_{name}", 6)
    address, operation, value, timeout, _, bits = f.arguments
    command = operation & FUTEX_COMMAND
    with f.when((command == FUTEX_WAKE) | (command == FUTEX_WAKE_BITSET)):
        f.ret(m.system(f, "futex", f.call("pointer", address), operation, value, 0, 0, bits))
    with f.when((command == FUTEX_WAIT) | (command == FUTEX_WAIT_BITSET)):
        time = f.call("pointer", timeout)
        f.ret(m.system(f, "futex", f.call("pointer", address), operation, value, time, 0, bits))
    m.refuse(f, "the program made the system call futex with operation ", operation)


def _hwprobe(m: Runtime, name: str) -> None:
    """What the abi knows of the processor, by keys from 0 on: pairs of a key and its value, all processors alike."""
    value_of = getattr(m.guest.abi, "hwprobe_value", None)
    if value_of is None:
        return  # no call of this guest's
    f = m.function(f"sys_{name}", 6)
    pairs, count, cpus_size, cpus, flags = f.arguments[:5]
    with f.when((flags & 0xFFFF_FFFF) != 0):
        m.refuse(f, f"the program made the system call {name} with flags ", flags)
    with f.when(f.select(cpus_size == 0, 1, 0) != f.select(cpus == 0, 1, 0)):
        f.ret(-EINVAL)
    done = f.local()
    with f.loop(lambda: done.value < count):
        at = f.call("pointer", pairs + done.value * 16)
        with f.when(f.call("fetch", SCRATCH, at, 8) != 0):
            f.ret(-EFAULT)
        key = f.load(SCRATCH)
        found, value = f.local(-1), f.local(0)
        for number in itertools.takewhile(lambda key: value_of(key, LIMIT) is not None, itertools.count()):
            found.value = f.select(key == number, key, found.value)
            value.value = f.select(key == number, value_of(number, LIMIT), value.value)
        f.store(SCRATCH, found.value)
        f.store(SCRATCH + 8, value.value)
        with f.when(f.call("fetch", at, SCRATCH, 16) != 0):
            f.ret(-EFAULT)
        done.value = done.value + 1
    f.ret(0)


def _flush(m: Runtime, name: str) -> None:
    f = m.function(f"sys_{name}", 6)
    m.refuse(f, f"the program makes code of its own (system call {name})")


CALLS: dict[str, Callable[[Runtime, str], None] | None] = {
    "exit": _exit, "exit_group": _exit, "set_tid_address": _set_tid_address, "set_robust_list": _nothing,
    "munlockall": _nothing, "mlockall": _not_permitted, "uname": _uname, "personality": _personality,
    "prctl": _prctl, "prlimit64": _prlimit64, "getrlimit": _limit, "setrlimit": _limit, "fcntl": _fcntl,
    "ioctl": _ioctl, "rt_sigaction": _rt_sigaction, "rt_sigprocmask": _rt_sigprocmask, "sigaltstack": _sigaltstack,
    "clone": _clone, "futex": _futex, "riscv_flush_icache": _flush,
    "riscv_hwprobe": _hwprobe,
    "brk": None, "mmap": None, "munmap": None, "mremap": None, "mprotect": None,  # standalone.memory's
}  # fmt: skip
"""By name, what makes the function of a call."""
