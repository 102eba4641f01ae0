"""The guest's address space in a standalone program: brk, and the mmap family but for what the host does as it is.

The host's kernel has the mappings, each at the guest's address from GUEST on. What it cannot be asked is where
something is free among the guest's addresses, so a sorted table of what is mapped is kept beside; and which pages hold
code, which the engine's map of executable pages says. Answers what `memory.space` answers; a mapping that grows down
is refused.
"""

from __future__ import annotations

from polyvm.emit.function import Function, Word
from polyvm.memory.codemap import SLOT_SCALE
from polyvm.memory.regions import EXEC
from polyvm.memory.space import (
    HOST_PROT,
    LOWEST,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    TO_HOST,
)
from polyvm.user.standalone import places
from polyvm.user.standalone.places import GUEST, LIMIT, MAPPED, SPAN
from polyvm.user.standalone.start import Runtime
from polyvm.user.syscalls.memory import (
    EINVAL,
    ENOMEM,
    EOPNOTSUPP,
    EPERM,
    MAP_ANONYMOUS,
    MAP_HUGETLB,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_SYNC,
    MAP_TYPE,
    PROT_KNOWN,
    PROT_SEM,
)

EFAULT, EEXIST = 14, 17
PAGE = 4096
MIN_ADDRESS, MAX_ADDRESS = LOWEST, LIMIT - PAGE  # as user.process sets them
DONTNEED = 4
_ROW = SPAN.size


def add(m: Runtime) -> None:
    """The functions that keep the table, and those of the calls."""
    for one in (_find, _shift, _insert, _remove, _is_free, _gap, _free, _allow, _forget, _forbid, _host_prot, _check,
                _brk, _mmap, _munmap, _mprotect, _mremap):  # fmt: skip
        one(m)


def _up(size: Word) -> Word:
    """Bytes as whole pages."""
    return size + (PAGE - 1) & -PAGE


def _row(index: Word) -> Word:
    return index * _ROW + MAPPED


def _find(m: Runtime) -> None:
    """The first range that ends behind an address: its place in the table."""
    f = m.function("find", 1)
    low, high = f.local(), f.local(m.control(f, "mapped"))
    with f.loop(lambda: low.value < high.value):
        middle = (low.value + high.value) >> 1
        with f.when(f.load(_row(middle) + 8) <= f.arguments[0]):
            low.value = middle + 1
        with f.otherwise():
            high.value = middle
    f.ret(low.value)


def _shift(m: Runtime) -> None:
    """Make or close a gap of one row: shift(from which row on, whether to make it)."""
    f = m.function("shift", 2)
    index, opens = f.arguments
    count = m.control(f, "mapped")
    with f.when(opens != 0):
        at = f.local(_row(count))
        with f.loop(lambda: at.value > _row(index)):
            at.value = at.value - 8
            f.store(at.value + _ROW, f.load(at.value))
        m.set_control(f, "mapped", count + 1)
    with f.otherwise():
        at = f.local(_row(index))
        with f.loop(lambda: at.value < _row(count - 1)):
            f.store(at.value, f.load(at.value + _ROW))
            at.value = at.value + 8
        m.set_control(f, "mapped", count - 1)
    f.ret(0)


def _insert(m: Runtime) -> None:
    """A range, of which nothing is in the table, is mapped now: insert(from, to)."""
    f = m.function("insert", 2)
    start, end = f.arguments
    index = f.call("find", start)
    row = _row(index)
    with f.when((index > 0) & (f.load(row - 8) == start)):
        f.store(row - 8, end)
        with f.when((index < m.control(f, "mapped")) & (f.load(row) == end)):
            f.store(row - 8, f.load(row + 8))
            f.call("shift", index, 0)
        f.ret(0)
    with f.when((index < m.control(f, "mapped")) & (f.load(row) == end)):
        f.store(row, start)
        f.ret(0)
    f.call("shift", index, 1)
    f.store(row, start)
    f.store(row + 8, end)
    f.ret(0)


def _remove(m: Runtime) -> None:
    """Nothing of a range is mapped any more: remove(from, to)."""
    f = m.function("remove", 2)
    start, end = f.arguments
    index = f.local(f.call("find", start))

    def more() -> Word:
        inside = index.value < m.control(f, "mapped")
        return f.select(inside, f.load(_row(index.value)), -1)

    with f.loop(lambda: more() < end):
        row = _row(index.value)
        low, high = f.load(row), f.load(row + 8)
        with f.when(low < start):
            f.store(row + 8, start)
            index.value = index.value + 1
            with f.when(high > end):
                f.call("shift", index.value, 1)
                f.store(row + _ROW, end)
                f.store(row + (_ROW + 8), high)
        with f.otherwise():
            with f.when(high > end):
                f.store(row, end)
                f.ret(0)
            f.call("shift", index.value, 0)
    f.ret(0)


def _is_free(m: Runtime) -> None:
    """Whether nothing of a range is mapped: is_free(from, to)."""
    f = m.function("is_free", 2)
    start, end = f.arguments
    index = f.call("find", start)
    taken = (index < m.control(f, "mapped")) & (f.load(_row(index)) < end)
    f.ret(f.select(taken, 0, 1))


def _gap(m: Runtime) -> None:
    """The highest free range of a size below an address, 0 where there is none: gap(below, size)."""
    f = m.function("gap", 2)
    top, size = f.arguments
    high, index = f.local(top), f.local(m.control(f, "mapped"))
    with f.loop(lambda: index.value != 0):
        index.value = index.value - 1
        low, end = f.load(_row(index.value)), f.load(_row(index.value) + 8)
        with f.when((end + size <= high.value) & (high.value - size >= MIN_ADDRESS)):
            f.ret(high.value - size)
        high.value = f.select(low < high.value, low, high.value)
    with f.when(high.value >= size + MIN_ADDRESS):
        f.ret(high.value - size)
    f.ret(0)


def _free(m: Runtime) -> None:
    """A free range of whole pages: at the hint, else the highest there is; 0 for none: free(size, hint)."""
    f = m.function("free", 2)
    size, hint = f.arguments
    hint = hint & -PAGE
    with f.when((hint >= MIN_ADDRESS) & (hint < MAX_ADDRESS)):
        with f.when((hint + size <= MAX_ADDRESS) & (f.call("is_free", hint, hint + size) != 0)):
            f.ret(hint)
    found = f.call("gap", m.control(f, "mmap_top"), size)
    with f.when(found == 0):
        f.ret(f.call("gap", MAX_ADDRESS, size))
    f.ret(found)


def _allow(m: Runtime) -> None:
    """Pages become executable: allow(from, to)."""
    f = m.function("allow", 2)
    start, end = f.arguments
    at = f.local(start)
    with f.loop(lambda: at.value < end):
        f.store((at.value >> 12) + places.XMAP, 1, 1)
        at.value = at.value + PAGE
    low, high = m.control(f, "code_low"), m.control(f, "code_high")
    m.set_control(f, "code_low", f.select(start < low, start, low))
    m.set_control(f, "code_high", f.select(end > high, end, high))
    f.ret(0)


def _forget(m: Runtime) -> None:
    """What was decoded in pages, and what is compiled of them, is used no more: forget(from, to)."""
    f = m.function("forget", 2)
    start, end = f.arguments
    m.system(f, "madvise", start * SLOT_SCALE + places.SLOTS, (end - start) * SLOT_SCALE, DONTNEED)
    with f.when(start != 0):  # an instruction may begin on the page before
        f.store((start - 2) * SLOT_SCALE + places.SLOTS, 0)
        f.store((start - 2) * SLOT_SCALE + (places.SLOTS + 8), 0)
    f.ret(0)


def _forbid(m: Runtime) -> None:
    """Pages are executable no more, or hold something else: forbid(from, to)."""
    f = m.function("forbid", 2)
    start, end = f.arguments
    low, high = m.control(f, "code_low"), m.control(f, "code_high")
    first = f.select(start > low, start, low)
    last = f.select(end < high, end, high)
    at, any_ = f.local(first), f.local()
    with f.loop(lambda: at.value < last):
        cell = (at.value >> 12) + places.XMAP
        any_.value = any_.value | f.load(cell, 1)
        f.store(cell, 0, 1)
        at.value = at.value + PAGE
    with f.when(any_.value == 0):
        f.ret(0)
    f.call("forget", first, last)
    # Compiled code may be made of several places: where one of the program's own changes, all of it is given up.
    row = f.local(m.control(f, "code"))
    rows = row.value + m.control(f, "code_count") * _ROW
    with f.loop(lambda: row.value < rows):
        with f.when((f.load(row.value) < last) & (f.load(row.value + 8) > first)):
            f.call("forget", low, high)
            f.ret(0)
        row.value = row.value + _ROW
    with f.when(f.call("taken_along", first, last) != 0):
        f.call("forget", low, high)
    f.ret(0)


def _host_prot(m: Runtime) -> None:
    """The host's protection for a guest's. What may be executed can be read: the interpreter reads it."""
    f = m.function("host_prot", 1)
    table = bytes(HOST_PROT[prot] | (1 if prot & EXEC else 0) for prot in range(8))
    f.ret(f.load(f.constant(table) + (f.arguments[0] & PROT_KNOWN), 1))


def _check(m: Runtime) -> None:
    """Whether whole pages from an address on end below another one or there: check(address, size, end)."""
    f = m.function("check", 3)
    address, size, end = f.arguments
    fits = ((address & (PAGE - 1)) == 0) & (size <= end) & (address <= end) & (address + size <= end)
    f.ret(f.select(fits, 1, 0))


def _brk(m: Runtime) -> None:
    f = m.function("sys_brk", 6)
    wanted = f.arguments[0]
    start, end = m.control(f, "brk_start"), m.control(f, "brk_end")
    with f.when((wanted < start) | (wanted > MAX_ADDRESS)):
        f.ret(end)
    old, new = _up(end), _up(wanted)
    with f.when(new > old):
        with f.when(f.call("is_free", old, new) == 0):
            f.ret(end)
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
        with f.when(m.system(f, "mmap", old + GUEST, new - old, 3, flags, -1, 0).failed):
            f.ret(end)
        f.call("insert", old, new)
    with f.when(new < old):
        m.system(f, "munmap", new + GUEST, old - new)
        f.call("remove", new, old)
        f.call("forbid", new, old)
    m.set_control(f, "brk_end", wanted)
    f.ret(wanted)


def _answers(f: Function, *answers: tuple[object, int]) -> None:
    """Return the first of these answers whose condition is true."""
    for condition, answer in answers:
        with f.when(condition):  # type: ignore[arg-type]  # a Condition
            f.ret(-answer)


def _mmap(m: Runtime) -> None:
    f = m.function("sys_mmap", 6)
    wish, wanted, prot, flags, fd, offset = f.arguments
    kind = flags & MAP_TYPE
    known = (kind == MAP_SHARED) | (kind == MAP_PRIVATE) | (kind == MAP_SHARED_VALIDATE)
    anonymous = (flags & MAP_ANONYMOUS) != 0
    _answers(f, (~known | ((offset & (PAGE - 1)) != 0) | (wanted == 0), EINVAL))
    with f.when((flags & MAP_HUGETLB) != 0):
        f.ret(f.select(anonymous, -ENOMEM, -EINVAL))
    _answers(
        f,
        ((kind == MAP_SHARED_VALIDATE) & ((flags & MAP_SYNC) != 0), EOPNOTSUPP),
        (wanted > LIMIT, ENOMEM),
        ((prot & ~(PROT_KNOWN | PROT_SEM)) != 0, EINVAL),
        (m.control(f, "mapped") > places.MAX_SPANS - 2, ENOMEM),
    )
    with f.when((flags & MAP_GROWSDOWN) != 0):
        m.refuse(f, "the program maps memory that grows down")
    size = _up(wanted)
    fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0
    at = f.local(wish)
    with f.when(fixed):
        _answers(
            f,
            ((wish & (PAGE - 1)) != 0, EINVAL),
            ((wish >= LIMIT) | (wish + size > MAX_ADDRESS), ENOMEM),
            (wish < MIN_ADDRESS, EPERM),
        )
        with f.when((flags & MAP_FIXED_NOREPLACE) != 0):
            _answers(f, (f.call("is_free", wish, wish + size) == 0, EEXIST))
    with f.otherwise():
        at.value = f.call("free", size, wish)
        _answers(f, (at.value == 0, ENOMEM))
    host_flags = kind | (flags & (TO_HOST | MAP_ANONYMOUS)) | MAP_FIXED
    host_fd = f.select(anonymous, -1, f.signed(fd, 4))
    protection = f.call("host_prot", prot)
    result = m.system(
        f, "mmap", at.value + GUEST, size, protection, host_flags, host_fd, f.select(anonymous, 0, offset)
    )
    with f.when(result.failed):
        f.ret(result)
    end = at.value + size
    f.call("remove", at.value, end)
    f.call("insert", at.value, end)
    f.call("forbid", at.value, end)
    with f.when((prot & EXEC) != 0):
        f.call("allow", at.value, end)
        with f.when(~anonymous):
            f.call("install", host_fd, offset, at.value, end)
    f.ret(at.value)


def _munmap(m: Runtime) -> None:
    f = m.function("sys_munmap", 6)
    address, size = f.arguments[0], _up(f.arguments[1])
    _answers(
        f,
        ((f.call("check", address, size, MAX_ADDRESS) == 0) | (f.arguments[1] == 0), EINVAL),
        (m.control(f, "mapped") > places.MAX_SPANS - 2, ENOMEM),
    )
    result = m.system(f, "munmap", address + GUEST, size)
    with f.when(result == 0):
        f.call("remove", address, address + size)
        f.call("forbid", address, address + size)
    f.ret(result)


def _mprotect(m: Runtime) -> None:
    f = m.function("sys_mprotect", 6)
    address, prot = f.arguments[0], f.arguments[2]
    size = _up(f.arguments[1])
    _answers(f, (((prot & ~(PROT_KNOWN | PROT_SEM)) != 0) | ((address & (PAGE - 1)) != 0), EINVAL))
    with f.when(f.arguments[1] == 0):
        f.ret(0)
    _answers(f, (f.call("check", address, size, MAX_ADDRESS) == 0, ENOMEM))
    result = m.system(f, "mprotect", address + GUEST, size, f.call("host_prot", prot))
    end = f.local(address + size)
    with f.when(result.failed):  # what lies before the trouble, a hole, is changed all the same
        row = _row(f.call("find", address))
        here = (f.load(row) <= address) & (f.load(row + 8) > address) & (row < _row(m.control(f, "mapped")))
        with f.when(~here):
            f.ret(result)
        end.value = f.select(f.load(row + 8) < end.value, f.load(row + 8), end.value)
    with f.when((prot & EXEC) != 0):
        f.call("allow", address, end.value)
    with f.otherwise():
        f.call("forbid", address, end.value)
    f.ret(result)


def _mremap(m: Runtime) -> None:
    f = m.function("sys_mremap", 6)
    address, _, _, flags, to, _ = f.arguments
    size, new_size = _up(f.arguments[1]), _up(f.arguments[2])
    fixed, moves = (flags & MREMAP_FIXED) != 0, (flags & MREMAP_MAYMOVE) != 0
    _answers(
        f,
        (
            (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE)) != 0,
            EINVAL,
        ),  # MREMAP_DONTUNMAP is as on a kernel before 5.7
        (fixed & ~moves, EINVAL),
        (((address & (PAGE - 1)) != 0) | (f.arguments[2] == 0), EINVAL),
        (f.call("check", address, size, LIMIT) == 0, EFAULT),
        (new_size > LIMIT, ENOMEM),
        (m.control(f, "mapped") > places.MAX_SPANS - 2, ENOMEM),
    )
    with f.when(fixed):
        overlaps = (to < address + size) & (address < to + new_size)
        _answers(
            f, ((f.call("check", to, new_size, LIMIT) == 0) | overlaps, EINVAL), (to < MIN_ADDRESS, EPERM)
        )
    index = f.call("find", address)
    row = _row(index)
    there = (index < m.control(f, "mapped")) & (f.load(row) <= address)
    _answers(f, (~there | ((f.load(row + 8) < address + size) & (fixed | (new_size >= size))), EFAULT))
    target = f.local(address)
    here = f.local(0)
    with f.when(~fixed & (size != 0)):
        free = f.select(new_size > size, f.call("is_free", address + size, address + new_size), 1)
        with f.when(free != 0):
            result = m.system(f, "mremap", address + GUEST, size, new_size, 0)
            with f.when(result.failed & (result != -ENOMEM)):
                f.ret(result)
            here.value = f.select(result.failed, 0, 1)
    with f.when(here.value == 0):
        _answers(f, (~moves, ENOMEM))
        target.value = to
        with f.when(~fixed):
            target.value = f.call("free", new_size, 0)
            _answers(f, (target.value == 0, ENOMEM))
        both = MREMAP_MAYMOVE | MREMAP_FIXED
        result = m.system(f, "mremap", address + GUEST, size, new_size, both, target.value + GUEST)
        with f.when(result.failed):
            f.ret(result)
    # Where a mapping was duplicated (of size 0), nothing is gone.
    f.call("remove", address, address + size)
    f.call("forbid", address, address + size)
    f.call("remove", target.value, target.value + new_size)
    f.call("insert", target.value, target.value + new_size)
    f.ret(target.value)
