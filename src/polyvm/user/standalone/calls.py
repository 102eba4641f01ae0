"""System calls of a standalone program: each from its declaration, and the few that are its runtime's own.

What the host does once addresses, structures and flags are its own is made of the types in `user.syscalls.table`; most
of it is made by native code without leaving it. A call that only Python serves ends the program with its name.
"""

from __future__ import annotations

from polyvm.emit.function import Function, Word
from polyvm.engine.layout import ST
from polyvm.user.hostabi import OPEN_FLAGS, STAT_BYTES, STAT_GENERIC, STAT_HOST, fields
from polyvm.user.standalone import files, own, places
from polyvm.user.standalone.places import GUEST, LIMIT, SCRATCH, STATE
from polyvm.user.standalone.start import Runtime
from polyvm.user.syscalls.descriptors import IOV_MAX
from polyvm.user.syscalls.numbers_generic import NAMES
from polyvm.user.syscalls.table import MOVED, Declaration, declaration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

EFAULT, EINVAL, ENOMEM, ENOSYS, E2BIG = 14, 22, 12, 38, 7
BAD = GUEST + LIMIT + 4096  # nothing is mapped there: EFAULT from the kernel
STAT_AT, IOV_AT, STRINGS_AT = 0, 1024, 1024 + 16 * IOV_MAX
STRINGS_ROOM = (places.SCRATCH_SIZE - STRINGS_AT) // 2
CONVERTED = ("open_flags", "iov", "stat", "strings", "range")


def declared(abi: object) -> Iterator[tuple[int, str, Declaration | None]]:
    """Number, name and declaration of each call that a guest has."""
    names: dict[int, str] = {**NAMES, **abi.SYSCALLS}  # type: ignore[attr-defined]  # a module of isa
    special: dict[str, str] = abi.DECLARATIONS  # type: ignore[attr-defined]
    for number, name in sorted(names.items()):
        if name is not None:
            line = special.get(name)
            yield number, name, Declaration(line) if line else declaration(name)


def natively(found: Declaration) -> bool:
    """Whether native code can make it, without leaving."""
    return (
        found.whole
        and found.name not in own.CALLS
        and not any(kind in CONVERTED for _, kind in found.arguments)
    )


def add(m: Runtime) -> None:
    """`serve`, which carries out the call that the guest is making, and all that it calls."""
    _pointer(m)
    _fetch(m)
    _answer(m)
    _vectors(m)
    _strings(m)
    _stat(m)
    own.add(m)
    f = m.function("serve", 0)
    number_register, arguments, _ = m.guest.abi.SYSCALL
    number = f.load(m.register(number_register)) & 0xFFFF_FFFF
    words = [f.load(m.register(name)) for name in arguments]
    f.call("answer", f.call("dispatch", number, *words))
    f.ret(0)
    d = m.function("dispatch", 7)
    number = d.arguments[0]
    for value, name, found in declared(m.guest.abi):
        with d.when(number == value):
            _serve(m, d, name, found)
    d.ret(-ENOSYS)


def _serve(m: Runtime, d: Function, name: str, found: Declaration | None) -> None:
    """Return what a call answers."""
    words = d.arguments[1:]
    if name in own.CALLS or f"sys_{name}" in m.functions:
        d.ret(d.call(f"sys_{name}", *words))
    elif found is None:
        d.ret(-ENOSYS)
    elif found.how == "refuse":
        d.ret(-found.errno)
    elif found.whole and found.name in m.numbers:
        _whole(m, found)
        d.ret(d.call(f"sys_{name}", *words))
    else:
        m.refuse(d, f"the program made the system call {name}")


def _whole(m: Runtime, found: Declaration) -> None:
    """A call that the host does, its arguments made the host's by their types."""
    f = m.function(f"sys_{found.name}", 6)
    values = f.arguments
    kinds = [kind for _, kind in found.arguments]
    if found.name in files.CALLS:
        files.inside(m, f, found.name, f.arguments)
    stat: Word | None = None
    for index, kind in enumerate(kinds):
        value = values[index]
        if kind in MOVED:
            values[index] = f.call("pointer", value)
        elif kind == "open_flags":
            values[index] = m.open_flags(f, value, m.guest.abi.OPEN_FLAGS, OPEN_FLAGS)
        elif kind == "iov":
            values[index] = f.call("vectors", value, values[index + 1])
        elif kind == "strings":
            values[index] = f.call(
                "strings", value, STRINGS_AT + STRINGS_ROOM * (kinds.index("strings") != index)
            )
        elif kind == "range":
            inside = (value <= LIMIT) & (values[index + 1] <= LIMIT) & (value + values[index + 1] <= LIMIT)
            with f.when(~inside):
                f.ret(-ENOMEM)
            values[index] = value + GUEST
        elif kind == "stat":
            stat, values[index] = value, f.word(SCRATCH + STAT_AT)
        if kind in ("iov", "strings"):
            with f.when(values[index].failed):
                f.ret(values[index])
    result = m.system(f, found.name, *values)
    if stat is not None:
        with f.when(result == 0):
            f.ret(f.call("stat", stat))
    f.ret(result)


def _pointer(m: Runtime) -> None:
    """A guest pointer as the kernel may have it: null stays null, outside is an address that faults."""
    f = m.function("pointer", 1)
    (address,) = f.arguments
    moved = f.select(address < LIMIT, address + GUEST, BAD)
    f.ret(f.select(address == 0, 0, moved))


def _fetch(m: Runtime) -> None:
    """Copy between the guest's memory and ours, where one may not be there: fetch(to, from, size); 0 or EFAULT."""
    f = m.function("fetch", 3)
    left = f.call_at(m.control(f, "copy"), *f.arguments)
    f.ret(f.select(left == 0, 0, -EFAULT))


def _answer(m: Runtime) -> None:
    """A call is done: its result, and the guest goes on behind it."""
    f = m.function("answer", 1)
    abi = m.guest.abi
    f.store(m.register(abi.SYSCALL[2]), f.arguments[0])
    f.store(STATE + ST["pc"], f.load(STATE + ST["pc"]) + abi.SYSCALL_BYTES)
    f.ret(0)


def _vectors(m: Runtime) -> None:
    """An array of struct iovec with addresses of the host's: vectors(address, count)."""
    f = m.function("vectors", 2)
    address, count = f.arguments
    with f.when(count > IOV_MAX):
        f.ret(-EINVAL)
    with f.when(f.call("fetch", SCRATCH + IOV_AT, f.call("pointer", address), count * 16) != 0):
        f.ret(-EFAULT)
    at = f.local(SCRATCH + IOV_AT)
    end = at.value + count * 16
    with f.loop(lambda: at.value < end):
        start, size = f.load(at.value), f.load(at.value + 8)
        with f.when(size > (1 << 63) - 1):
            f.ret(-EINVAL)
        # One that starts inside and ends outside meets nothing that is mapped behind the space.
        f.store(at.value, f.select(start < LIMIT, start + GUEST, BAD))
        f.store(at.value + 8, f.select((start < LIMIT) | (size < 1 << 30), size, 1 << 30))
        at.value = at.value + 16
    f.ret(SCRATCH + IOV_AT)


def _strings(m: Runtime) -> None:
    """A null-terminated array of strings with addresses of the host's: strings(address, where in scratch)."""
    f = m.function("strings", 2)
    address, place = f.arguments
    source, at = f.local(address), f.local(place + SCRATCH)
    end = at.value + (STRINGS_ROOM - 8)
    with f.when(address == 0):
        f.store(at.value, 0)
        f.ret(at.value)
    more = f.local(1)
    with f.loop(lambda: more.value != 0):
        with f.when(at.value > end):
            f.ret(-E2BIG)
        with f.when(f.call("fetch", at.value, f.call("pointer", source.value), 8) != 0):
            f.ret(-EFAULT)
        more.value = f.load(at.value)
        f.store(at.value, f.call("pointer", more.value))
        source.value = source.value + 8
        at.value = at.value + 8
    f.ret(place + SCRATCH)


def _stat(m: Runtime) -> None:
    """The host's struct stat, in scratch, given to the guest as asm-generic's: stat(guest address)."""
    f = m.function("stat", 1)
    ours, theirs = fields(STAT_HOST), fields(STAT_GENERIC)
    at, (_, size) = SCRATCH + STAT_AT + STAT_BYTES, theirs[""]
    for offset in range(0, size, 8):
        f.store(at + offset, 0)
    for name, (offset, length) in theirs.items():
        if name:
            place, kept = ours[name]
            f.store(at + offset, f.load(SCRATCH + STAT_AT + place, kept), length)
    f.ret(f.call("fetch", f.call("pointer", f.arguments[0]), at, size))
