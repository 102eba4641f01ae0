"""What describes or limits the process: uname, resource limits, prctl, personality, System V semaphores' control."""

from __future__ import annotations

from _struct import Struct

from polyvm.user import limits
from polyvm.user.hostabi import MACHINE
from polyvm.user.limits import RLIMIT_CORE, RLIMIT_NOFILE
from polyvm.user.paths import signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from polyvm.user.thread import Thread

EPERM, EFAULT, EINVAL = 1, 14, 22
UTSNAME_FIELD = 65  # of struct utsname: sysname, nodename, release, version, machine, domainname
INFINITY = (1 << 64) - 1
_LIMIT = Struct("<QQ")

# Kept here and applied to the guest's memory: on the host they would strike Python and the reservation.
RLIMIT_DATA, RLIMIT_STACK, RLIMIT_AS = 2, 3, 9
_VIRTUAL = (RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_AS)

# prctl options that the host may see: arguments are numbers, or where listed with a position, one pointer.
PRCTL = {
    1: -1, 2: 1, 7: -1, 8: -1, 13: -1, 14: -1, 15: 1, 16: 1, 23: -1, 24: -1, 27: -1, 28: -1, 29: -1, 30: -1, 36: -1,
    37: 1, 38: -1, 39: -1, 41: -1, 42: -1, 47: -1,
}  # fmt: skip
PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_SECCOMP, PR_SET_MM, PR_GET_TID_ADDRESS = 3, 4, 21, 35, 40

PER_QUERY = 0xFFFFFFFF

_IPC_SET, _IPC_STAT, _GETALL, _SETALL, _SETVAL, _SEM_STAT, _SEM_INFO, _IPC_INFO, _SEM_STAT_ANY = (
    1,
    2,
    13,
    17,
    16,
    18,
    19,
    3,
    20,
)
_SEMID_X86 = Struct("<48sQQQQQQQ")
_SEMID = Struct("<48sQQQQQ")


def sys_uname(t: Thread, buffer: int, *_: int) -> int:
    """uname: the host's, on the guest's machine."""
    where = t.place(b"", 6 * UTSNAME_FIELD)
    result = t.process.plain_syscall("uname", where)
    if result == 0:
        data = t.placed(where, 6 * UTSNAME_FIELD)
        machine = t.process.abi.UNAME_MACHINE.encode().ljust(UTSNAME_FIELD, b"\0")
        t.space.write(buffer, data[: 4 * UTSNAME_FIELD] + machine + data[5 * UTSNAME_FIELD :])
    return result


def sys_personality(t: Thread, persona: int, *_: int) -> int:
    """personality, remembered; the host's own stays as it is."""
    before = t.process.personality
    if persona & 0xFFFFFFFF != PER_QUERY:
        t.process.personality = persona & 0xFFFFFFFF
    return before


def sys_prlimit64(t: Thread, pid: int, resource: int, new: int, old: int, *_: int) -> int:
    """prlimit64."""
    resource = signed(resource)
    if signed(pid) not in (0, t.process.pid) or resource not in _VIRTUAL:
        out = t.place(b"", 16)
        result = t.host(t.process.numbers["prlimit64"], pid, resource, t.pointer(new), out if old else 0)
        if result == 0 and old:
            t.space.write(old, t.placed(out, 16))
        return result
    before = _limit(t, resource)
    if new:
        soft, hard = _LIMIT.unpack(t.space.read(new, 16))
        if soft > hard:
            return -EINVAL
        if hard > before[1] and t.process.plain_syscall("geteuid") != 0:
            return -EPERM
        if resource == RLIMIT_NOFILE:
            if hard > before[1] and (refused := limits.raise_hard(t.process, resource, hard)):
                return refused
            limits.set_files(t.process, soft)
        t.process.limits[resource] = (soft, hard)
        if resource == RLIMIT_AS:
            t.space.memory_limit = None if soft == INFINITY else soft
        elif resource == RLIMIT_DATA:
            t.space.brk_limit = None if soft == INFINITY else soft
        elif resource == RLIMIT_STACK:
            t.space.stack_limit = min(soft, 1 << 32)
    if old:
        t.space.write(old, _LIMIT.pack(*before))
    return 0


def _limit(t: Thread, resource: int) -> tuple[int, int]:
    """A limit that is kept here, at first the host's."""
    kept = t.process.limits.get(resource)
    if kept is None:
        out = t.place(b"", 16)
        t.process.plain_syscall("prlimit64", 0, resource, 0, out)
        kept = _LIMIT.unpack(t.placed(out, 16))
    return kept


def sys_getrlimit(t: Thread, resource: int, limit: int, *_: int) -> int:
    """getrlimit."""
    result = sys_prlimit64(t, 0, resource, 0, limit)
    return result if limit or result else -EFAULT  # the resource is looked at first


def sys_setrlimit(t: Thread, resource: int, limit: int, *_: int) -> int:
    """setrlimit."""
    return sys_prlimit64(t, 0, resource, limit, 0) if limit else -EFAULT


def sys_prctl(t: Thread, option: int, a: int, b: int, c: int, d: int, *_: int) -> int:
    """prctl, for options that mean the same on every machine, and the guest's own."""
    option &= 0xFFFFFFFF
    process = t.process
    own = process.abi.prctl(t.cpu, option, a, b, c, d)
    if own is not None:
        return int(own)
    if option == PR_GET_DUMPABLE:
        return process.dumpable
    if option == PR_SET_DUMPABLE:
        if a > 1:
            return -EINVAL
        process.dumpable = a
        return 0
    if option == PR_GET_SECCOMP:
        return 0
    if option == PR_SET_MM:
        return -EPERM
    if option == PR_GET_TID_ADDRESS:
        t.space.write_u64(a, t.clear_tid)
        return 0
    pointer = PRCTL.get(option)
    if pointer is None:
        return -EINVAL
    return t.host(process.numbers["prctl"], option, t.pointer(a) or t.bad if pointer == 1 else a, b, c, d)


def sys_semctl(t: Thread, semaphores: int, number: int, command: int, argument: int, *_: int) -> int:
    """semctl; struct semid_ds has holes on x86 alone."""
    command = signed(command)
    call = t.process.numbers["semctl"]
    if command in (_GETALL, _SETALL, _SEM_INFO, _IPC_INFO):
        return t.host(call, semaphores, number, command, t.pointer(argument) or t.bad)
    if command not in (_IPC_SET, _IPC_STAT, _SEM_STAT, _SEM_STAT_ANY):
        return t.host(call, semaphores, number, command, argument if command == _SETVAL else 0)
    if MACHINE != "x86_64":
        return t.host(call, semaphores, number, command, t.pointer(argument) or t.bad)
    where = t.place(b"", _SEMID_X86.size)
    if command == _IPC_SET:
        permissions, otime, ctime, count, _, _ = _SEMID.unpack(t.space.read(argument, _SEMID.size))
        where = t.place(_SEMID_X86.pack(permissions, otime, 0, ctime, 0, count, 0, 0))
    result = t.host(call, semaphores, number, command, where)
    if result >= 0 and command != _IPC_SET:
        permissions, otime, _, ctime, _, count, _, _ = _SEMID_X86.unpack(t.placed(where, _SEMID_X86.size))
        t.space.write(argument, _SEMID.pack(permissions, otime, ctime, count, 0, 0))
    return result
